"""The packages of kmc: imports go one way, and libraries are imported where they belong."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "kmc"

# Ground floor first: a package imports itself and those before it; "" is what `import kmc` gives.
LEVELS = [
    *("errors", "common", "kernels", "model", "runfile", "files", "analysis", "nuclei", "systems"),
    *("campaign", "papers", "plotting", "", "cli", "__main__"),
]

# Stricter than their level: all they may import of kmc besides themselves.
ONLY = {
    "errors": set(),
    "common": {"errors"},
    "kernels": set(),
    "nuclei": {"errors", "common", "kernels", "model", "runfile", "files"},
}

# Libraries that only these packages or modules import, in whatever way.
AT_HOME = {
    "h5py": "files",
    "matplotlib": "plotting",
    "numba": "kernels systems.electrode.benchmark",
    "llvmlite": "kernels",
    "platformdirs": "kernels.jit",
    "click": "cli",
    "jinja2": "plotting.report",
    "rich": "cli common.progress",
    "filelock": "campaign",
    "distributed": "campaign.cluster",
    "dask_jobqueue": "campaign.cluster",
    "xarray": "nuclei campaign plotting files.reader files.table_run common.late",
    "ase": "files.samples model.cluster_expansion model.ase_energies model.ase_configurations "
    "model.dft_energies model.ase_calculator model.ase_files",
    "sklearn": "campaign.calibration.emulator",
    "threadpoolctl": "campaign.calibration.emulator",
    "emcee": "campaign.calibration.posterior",
    "skimage": "analysis.segmentation analysis.plan_view",
    "tifffile": "analysis.image_files",
    "pybamm": "campaign.cell_model",
    "IPython": "plotting.draw",
    "ipywidgets": "plotting.draw",
    "pandas": "analysis systems.population campaign plotting files common.late",
}

# Slow to import and seldom needed: `kmc.common.late` loads them when they are first used.
LATE = {"pandas", "xarray"}

# Come with a library that is declared (pydantic, numba, matplotlib).
PARTS = {"pydantic_core", "llvmlite", "PIL"}

# Come with an extra; imported by name in the functions that say so when they are missing.
OPTIONAL = {
    "icet",
    "smol",
    "pymatgen",
    "pybamm",
    "distributed",
    "dask_jobqueue",
    "ase",
    "skimage",
    "sklearn",
    "threadpoolctl",  # of sklearn
    "emcee",
    "tifffile",
    "IPython",
    "ipywidgets",
}

HEAVY = (
    "numpy",
    "jinja2",
    "numba",
    "llvmlite",
    "h5py",
    "pydantic",
    "rich",
    "matplotlib",
    "pandas",
    "scipy",
)


class Import(NamedTuple):
    """One imported module.

    `at_once`: with the module that imports it, not in a function and not for type checkers alone.
    """

    name: str
    line: int
    at_once: bool


def imports_of(tree: ast.Module) -> list[Import]:
    """Every import of a module, those in functions and for type checkers included."""
    found: list[Import] = []

    def visit(node: ast.AST, at_once: bool) -> None:
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            names = []
        found.extend(Import(name, node.lineno, at_once) for name in names)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or (
            isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        ):
            at_once = False
        for child in ast.iter_child_nodes(node):
            visit(child, at_once)

    visit(tree, True)
    return found


def module_name(path: Path) -> str:
    """kmc/kernels/loop.py → kernels.loop; a package is its __init__, and kmc itself is ''."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


PATHS = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}
MODULES = [name for name in PATHS if name]  # without kmc/__init__.py, which leads to all of them


@cache
def tree_of(module: str) -> ast.Module:
    return ast.parse(PATHS[module].read_text(encoding="utf-8"))


@cache
def imports_in(module: str) -> list[Import]:
    return imports_of(tree_of(module))


def package_of(module: str) -> str:
    return module.partition(".")[0]


def targets(module: str) -> list[tuple[str, Import]]:
    """Modules of kmc that a module imports."""
    found = []
    for item in imports_in(module):
        top, *parts = item.name.split(".")
        if top != "kmc":
            continue
        while ".".join(parts) not in PATHS:
            parts.pop()  # the last part is a name inside the module
        found.append((".".join(parts), item))
    return found


def libraries(module: str) -> list[tuple[str, Import]]:
    """Third-party libraries that a module imports, those of `kmc.common.late` included."""
    late = "kmc.common.late."
    items = [
        i._replace(name=i.name.removeprefix(late), at_once=False) if i.name.startswith(late) else i
        for i in imports_in(module)
    ]
    tops = [(item.name.partition(".")[0], item) for item in items]
    return [(top, i) for top, i in tops if top != "kmc" and top not in sys.stdlib_module_names]


def place(module: str, item: Import) -> str:
    return f"{PATHS[module].relative_to(ROOT)}, line {item.line}: {item.name}"


def printed_by(code: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split()


# --- which way imports go -------------------------------------------------------------------------


def test_every_package_has_its_level():
    assert {package_of(name) for name in MODULES} <= set(LEVELS)


def test_packages_import_only_those_before_them():
    level = {package: i for i, package in enumerate(LEVELS)}
    wrong = []
    for module in MODULES:
        own = package_of(module)
        for target, item in targets(module):
            other = package_of(target)
            allowed = other in ONLY.get(own, LEVELS) and level.get(other, 99) < level[own]
            if other != own and not allowed:
                wrong.append(place(module, item))
    assert wrong == []


def test_convergence_and_critical_stand_on_campaign():
    """The studies know the sweeps; the sweeps do not know the studies, nor they each other."""
    wrong = []
    for module in MODULES:
        own = module.split(".")[:2]
        for target, item in targets(module):
            study = target.split(".")[1:2] if package_of(target) == "campaign" else []
            of_study = study in (["convergence"], ["critical"])
            if own[0] == "campaign" and of_study and own[1:] != study:
                wrong.append(place(module, item))
    assert wrong == []


def test_modules_do_not_import_each_other_in_circles():
    """Neither when they are imported, nor when they are called, nor for type checkers."""
    graph = {
        module: {target for target, item in targets(module) if target} - {module}
        for module in MODULES
    }
    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError as problem:
        pytest.fail(f"modules import each other in a circle: {' → '.join(problem.args[1])}")


def test_no_module_imports_by_a_computed_name():
    """Such an import would be hidden from these tests."""
    callers = {
        name
        for name in PATHS
        for node in ast.walk(tree_of(name))
        if isinstance(node, ast.Name | ast.Attribute | ast.alias)
        and "import_module" in (getattr(node, k, None) for k in ("id", "attr", "name"))
    }
    # kmc itself, for an extra, and for what is late
    assert callers <= {"", "campaign.cluster", "common.late"}


# --- libraries ------------------------------------------------------------------------------------


def test_kernels_know_only_numbers():
    """Free of files, units and classes of kmc: numpy, numba and each other."""
    kernels = [name for name in MODULES if package_of(name) == "kernels"]
    used = {library for name in kernels for library, _ in libraries(name)}
    # platformdirs names the folder in which numba keeps compiled code.
    assert used <= {"numpy", "numba", "llvmlite", "platformdirs"}
    calls = {
        node.func.id
        for name in kernels
        for node in ast.walk(tree_of(name))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert "open" not in calls


def test_libraries_are_imported_where_they_belong():
    wrong = []
    for module in PATHS:
        for library, item in libraries(module):
            homes = AT_HOME.get(library, module).split(" ")
            at_home = any(f"{module}.".startswith(f"{home}.") for home in homes)
            if not at_home or (library in LATE and item.at_once):
                wrong.append(place(module, item))
    assert wrong == []


def test_what_is_imported_is_declared():
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    declared = {re.split(r"[<>=~!\[ ]", text)[0] for text in pyproject["project"]["dependencies"]}
    used = {library for name in PATHS for library, _ in libraries(name)}
    assert used - PARTS - OPTIONAL == declared


def test_nothing_heavy_is_imported_at_the_start():
    """`import kmc` and `kmc --help` answer at once: what a run needs is imported by the run."""
    for module in ("kmc", "kmc.cli"):
        code = f"import {module}, sys; print(*(name for name in {HEAVY} if name in sys.modules))"
        assert printed_by(code) == []


@pytest.mark.slow
def test_no_module_needs_what_is_late():
    """Types of late libraries are text: one that is looked up would load the library."""
    names = [f"kmc.{name}" for name in MODULES if not name.endswith("__main__")]
    code = f"import importlib, sys\nfor name in {names}: importlib.import_module(name)\n"
    assert printed_by(code + f"print(*({LATE} & sys.modules.keys()))") == []


# --- what a reader finds --------------------------------------------------------------------------


def test_every_package_says_what_it_is_for():
    packages = [name for name, path in PATHS.items() if path.name == "__init__.py"]
    silent = [name for name in packages if len(ast.get_docstring(tree_of(name)) or "") < 60]
    assert silent == []


def test_the_package_shows_only_what_a_user_needs():
    assert printed_by("import kmc; print(*dir(kmc))") == printed_by(
        "import kmc; print(*sorted(kmc.__all__))"
    )


def test_imports_are_seen_wherever_they_stand():
    source = (
        "import os.path\n"
        "if TYPE_CHECKING:\n    import numba\n"
        "def f():\n    from kmc.model.model import Model\n"
    )
    assert imports_of(ast.parse(source)) == [
        Import("os.path", 1, True),
        Import("numba", 3, False),
        Import("kmc.model.model.Model", 5, False),
    ]
