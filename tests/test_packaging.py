"""What is shipped: the wheel, an editable install and a checkout that is not installed."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import kmc
from kmc.common import catalogue

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SETUPTOOLS = PYPROJECT["tool"]["setuptools"]
SOURCES = (
    "pyproject.toml",
    "MANIFEST.in",
    "README.md",
    "LICENSE",
    "kmc",
    *catalogue.KINDS,
    "tests",
)


def modules(package: Path) -> set[str]:
    """Python files below a package folder, as paths relative to it."""
    return {path.relative_to(package).as_posix() for path in package.rglob("*.py")}


def tables(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("*.toml")}


# --- what pyproject.toml says ---------------------------------------------------------------------


def test_every_package_folder_is_listed():
    """A folder that is not listed is silently left out of the wheel."""
    folders = {(ROOT / "kmc" / name).parent for name in modules(ROOT / "kmc")}
    code = {".".join(folder.relative_to(ROOT).parts) for folder in folders}
    data = {f"kmc.{kind}" for kind in catalogue.KINDS}
    assert set(SETUPTOOLS["packages"]) == code | data
    assert len(SETUPTOOLS["packages"]) == len(code | data)
    for package in data:
        assert SETUPTOOLS["package-dir"][package] == package.removeprefix("kmc.")


@pytest.mark.parametrize("kind", catalogue.KINDS)
def test_data_folders_are_flat_and_hold_no_code(kind):
    names = [p.name for p in (ROOT / kind).iterdir() if p.name != "__pycache__"]
    strangers = [name for name in names if not name.endswith((".toml", ".h5", ".png"))]
    assert strangers == []
    # A module of this name would hide the folder once both are installed.
    assert not (ROOT / "kmc" / f"{kind}.py").exists()


def test_version_and_python_are_stated_once():
    assert kmc.__version__ == PYPROJECT["project"]["version"]
    assert kmc.__version__ == importlib.metadata.version("kmc-voids")
    oldest = PYPROJECT["project"]["requires-python"].removeprefix(">=")
    assert PYPROJECT["tool"]["ruff"]["target-version"] == "py" + oldest.replace(".", "")
    classifiers = PYPROJECT["project"]["classifiers"]
    versions = [c.rpartition(" ")[2] for c in classifiers if "Python :: 3." in c]
    assert versions[0] == oldest


def test_what_is_imported_is_what_is_here():
    """setuptools reuses `build/`: modules deleted since would be installed again."""
    installed = Path(kmc.__file__).resolve().parent
    assert modules(installed) == modules(ROOT / "kmc"), "remove build/ and install again"
    for kind in catalogue.KINDS:
        folder = catalogue.locate(kind, catalogue.names(kind)[0]).parent
        assert tables(folder) == tables(ROOT / kind), "remove build/ and install again"


def test_the_conda_recipe_says_what_pyproject_says():
    """The recipe is YAML, read here line by line: no library for it is needed otherwise."""
    text = (ROOT / "docs" / "install" / "conda" / "meta.yaml").read_text(encoding="utf-8")
    run = text.partition("  run:\n")[2].partition("\ntest:")[0]
    listed = {line.strip(" -").replace(" ", "") for line in run.splitlines() if "- " in line}
    project = PYPROJECT["project"]
    wanted = {f"python{project['requires-python']}"} | set(project["dependencies"])
    assert listed == {name.replace("matplotlib", "matplotlib-base") for name in wanted}
    assert f'version: "{project["version"]}"' in text
    assert "- kmc = kmc.cli:main" in text
    assert project["scripts"] == {"kmc": "kmc.cli:main"}


def test_containers_install_extras_that_there_are():
    for name in ("Dockerfile", "kmc.def"):
        text = (ROOT / "docs" / "install" / name).read_text(encoding="utf-8")
        (extras,) = re.findall(r"/src\[([a-z,]+)\]", text)
        assert set(extras.split(",")) <= set(PYPROJECT["project"]["optional-dependencies"])


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_can_complete(shell):
    environment = os.environ | {"_KMC_COMPLETE": f"{shell}_source", "PYTHONPATH": str(ROOT)}
    if shell == "bash" and shutil.which("bash") is None:
        pytest.skip("bash is asked for its version")
    code = "from kmc.cli import main; main(prog_name='kmc')"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "_KMC_COMPLETE" in done.stdout


# --- a checkout and a wheel -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of the sources alone: no `build/`, nothing that an earlier install left behind."""
    copy = tmp_path_factory.mktemp("checkout")
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            ignore = shutil.ignore_patterns("__pycache__", "*.h5", "*.png")
            shutil.copytree(source, copy / name, ignore=ignore)
        else:
            shutil.copy(source, copy / name)
    return copy


def _has_setuptools() -> bool:
    """Whether a setuptools that reads this pyproject.toml is here."""
    if importlib.util.find_spec("setuptools") is None:
        return False
    return int(importlib.metadata.version("setuptools").partition(".")[0]) >= 77


@pytest.fixture(scope="module")
def wheel(checkout, tmp_path_factory):
    """The wheel, built as pip builds it: by the backend's hook, in the folder of the sources."""
    if not _has_setuptools():
        pytest.skip('building a wheel needs setuptools >= 77, see `pip install ".[test]"`')
    out = tmp_path_factory.mktemp("wheel")
    code = "import sys; from setuptools import build_meta as b; b.build_wheel(sys.argv[1])"
    command = [sys.executable, "-c", code, str(out)]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (file,) = out.iterdir()
    return file


def printed(code: str, path: Path, cwd: Path) -> str:
    """What a process in `cwd` prints that imports kmc from `path`."""
    environment = os.environ | {"PYTHONPATH": str(path)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def where_the_tables_are(path: Path, cwd: Path) -> dict[str, list[str]]:
    """Files that `catalogue` finds when kmc is imported from `path` by a process in `cwd`."""
    code = (
        "import json, kmc; from kmc.common import catalogue as c\n"
        "from kmc.runfile.load import load_run\n"
        "load_run('strip_limg')\n"
        "kinds = (*c.KINDS, 'studies', 'calibrations')\n"
        "found = {k: [str(c.locate(k, n)) for n in c.names(k)] for k in kinds}\n"
        "found['runs'] += found.pop('studies') + found.pop('calibrations')\n"
        "print(json.dumps([kmc.__file__, found]))"
    )
    home, found = json.loads(printed(code, path, cwd))
    assert Path(home).is_relative_to(path)
    return found


def test_a_checkout_that_is_not_installed_finds_its_tables(checkout, tmp_path):
    found = where_the_tables_are(checkout, tmp_path)
    for kind, paths in found.items():
        assert {Path(path).name for path in paths} == tables(ROOT / kind)
        assert all(Path(path).parent == checkout / kind for path in paths)


@pytest.mark.slow
def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    info = f"kmc_voids-{kmc.__version__}.dist-info/"
    shipped = {name for name in names if not name.startswith(info)}
    expected = {"kmc/py.typed"} | {f"kmc/{name}" for name in modules(ROOT / "kmc")}
    expected |= {f"kmc/{kind}/{name}" for kind in catalogue.KINDS for name in tables(ROOT / kind)}
    for pattern in ("**/*.csv", "cli/help/*.txt", "plotting/*.mplstyle", "**/templates/*.j2"):
        data = (ROOT / "kmc").glob(pattern)
        expected |= {path.relative_to(ROOT).as_posix() for path in data}
    expected |= {f"kmc/papers/{name}" for name in tables(ROOT / "kmc" / "papers")}
    assert shipped == expected
    assert f"{info}licenses/LICENSE" in names
    archive = zipfile.ZipFile(wheel)
    assert "kmc = kmc.cli:main" in archive.read(f"{info}entry_points.txt").decode()
    metadata = archive.read(f"{info}METADATA").decode()
    assert f"\nVersion: {kmc.__version__}\n" in metadata
    assert "\nName: kmc-voids\n" in metadata


@pytest.mark.slow
def test_the_wheel_makes_a_report(wheel, tmp_path):
    """Its templates are in it."""
    home = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(home)
    code = (
        "import kmc; from kmc.plotting.report.page import Page, Table\n"
        "page = Page('<b>', 'a test'); page.add('Part', Table([('a', 'b')]))\n"
        "print(kmc.__file__); print(page.html())"
    )
    page = printed(code, home, tmp_path)
    assert page.startswith(str(home))
    assert "&lt;b&gt;" in page


@pytest.mark.slow
def test_the_wheel_finds_its_tables(wheel, tmp_path):
    home = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(home)
    for kind, paths in where_the_tables_are(home, tmp_path).items():
        assert {Path(path).name for path in paths} == tables(ROOT / kind)
        assert all(Path(path).parent == home / "kmc" / kind for path in paths)


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """Runs a program of an empty environment, which gets the dependencies once."""
    home = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(program: str, *arguments: str) -> subprocess.CompletedProcess:
        command = [str(home / ("Scripts" if os.name == "nt" else "bin") / program), *arguments]
        return subprocess.run(command, capture_output=True, text=True, cwd=home, env=clean)

    return run


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_it_installs_into_an_empty_environment(kind, checkout, environment, tmp_path):
    """Built as for the index, installed by pip, away from the checkout."""
    hook = f"b.build_{kind}(sys.argv[1])"
    code = f"import sys; from setuptools import build_meta as b; {hook}"
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=checkout, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (file,) = (path for path in tmp_path.iterdir() if path.suffix in (".whl", ".gz"))
    if kind == "sdist":  # setuptools adds tests/test*.py unless told not to
        names = subprocess.run(["tar", "tzf", str(file)], capture_output=True, text=True).stdout
        assert "/kmc/" in names
        assert "/tests/" not in names
    environment("python", "-m", "pip", "uninstall", "--quiet", "--yes", "kmc-voids")
    done = environment("python", "-m", "pip", "install", "--quiet", str(file))
    if "Could not find a version" in done.stderr or "Failed to establish" in done.stderr:
        pytest.skip("no package index can be reached")
    assert done.returncode == 0, done.stderr
    for arguments, part in (
        (["--version"], kmc.__version__),
        (["runs", "list"], "strip_li"),
        (["params", "show", "li_li2s"], "formation_energy_L1_eV"),
        (["init", "-"], "[system]"),
    ):
        done = environment("kmc", *arguments)
        assert done.returncode == 0, done.stderr
        assert part in done.stdout
    code = "from kmc.analysis.measured import PAPER, read_measured; print(read_measured(PAPER))"
    done = environment("python", "-c", code)
    assert done.returncode == 0, done.stderr
