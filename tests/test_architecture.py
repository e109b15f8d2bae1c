"""The rooms of the package: imports go downwards, heavy libraries stay where they belong."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import time
import tomllib
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "kmc"
MOST_LINES = 450

# Ground floor first. A module imports from its own floor and from those below it.
FLOORS = (
    "errors units wording framechoice outputs checkpoint",
    "catalogue validation quantities",
    "lattice parameters interphase interface_* sections flaws masks chemistry_map interfacechecks "
    "runchecks conditions runfile_template",
    "provenance transaction trajectory*",
    "kernels.*",
    "electrochemistry constriction mechanics hamiltonian assembly rate_tables modelchecks model "
    "composition engine reference",
    "snapshot",
    "stopping phases progress simulation continuation verification*",
    "analysis.*",
    "mesoscale.*",
    "sweep.*",
    "plotting.* report export parameter_tables",
    "benchmark bench_report",
    "cli.*",
)

# Libraries that only these modules may import, in whatever way.
AT_HOME = {
    "h5py": "trajectory* transaction",
    "matplotlib": "plotting.*",
    "PIL": "plotting.* masks",
    "numba": "kernels.* benchmark",
    "llvmlite": "kernels.*",
    "click": "cli.*",
    "filelock": "sweep.*",
    "rich": "cli.* report progress parameter_tables bench_report sweep.display",
    "pydantic": "validation parameters sections conditions sweep.plan",
    "pandas": "trajectory_tables analysis.* sweep.* plotting.sweeps export",
    "scipy": "analysis.* mesoscale.* plotting.* electrochemistry sweep.threshold sweep.laws "
    "sweep.equivalence sweep.assess sweep.regression",
    "xarray": "sweep.results mesoscale.*",
}

# Slow to import, and most uses of kmc never need it: imported inside functions alone.
LATE = {"pandas", "xarray"}

# They come with pydantic, numba and matplotlib, which say what version they need.
PARTS = {"pydantic_core", "llvmlite", "PIL"}

# Imported by name where they are asked for, and missing is told: they come with an extra.
OPTIONAL = {"distributed"}

# kmc/__init__.py is the front door: others take the version from it, it leads to all of them.
FRONT_DOOR = "__init__"


class Import(NamedTuple):
    """One imported module, with the line and whether it happens with the module's own import."""

    name: str
    line: int
    at_once: bool


def module_name(path: Path) -> str:
    """kmc/kernels/loop.py → kernels.loop; the __init__ of a subpackage is the subpackage."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


def imports_of(tree: ast.Module) -> list[Import]:
    """Every import that can run; those for type checkers only never do."""
    found: list[Import] = []

    def visit(node: ast.AST, at_once: bool) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for child in node.orelse:
                visit(child, at_once)
            return
        if isinstance(node, ast.Import):
            found.extend(Import(alias.name, node.lineno, at_once) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative import"
            found.extend(
                Import(f"{node.module}.{alias.name}", node.lineno, at_once) for alias in node.names
            )
        inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            visit(child, at_once and not inside)

    visit(tree, True)
    return found


PATHS = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}
IMPORTS = {
    name: imports_of(ast.parse(path.read_text(encoding="utf-8"))) for name, path in PATHS.items()
}
MODULES = sorted(set(PATHS) - {FRONT_DOOR})


def matches(name: str, patterns: str) -> bool:
    """Whether a module is among `patterns`: names, ``trajectory*`` or ``kernels.*`` (all of it)."""
    return any(
        name == p
        or (p.endswith(".*") and f"{name}.".startswith(p[:-1]))
        or (p.endswith("*") and not p.endswith(".*") and name.startswith(p[:-1]))
        for p in patterns.split()
    )


def floor_of(name: str) -> int:
    floors = [i for i, patterns in enumerate(FLOORS) if matches(name, patterns)]
    assert len(floors) == 1, (
        f"kmc/{name}.py has no floor in tests/test_architecture.py: give it one"
    )
    return floors[0]


def own(name: str) -> list[tuple[str, Import]]:
    """Modules of kmc that a module imports."""
    found = []
    for item in IMPORTS[name]:
        if item.name.split(".")[0] != "kmc":
            continue
        parts = item.name.split(".")[1:]
        while parts and ".".join(parts) not in PATHS:
            parts.pop()  # the last part is a name inside the module
        found.append((".".join(parts) or FRONT_DOOR, item))
    return found


def foreign(name: str) -> list[tuple[str, Import]]:
    """Third-party libraries that a module imports."""
    tops = [(item.name.split(".")[0], item) for item in IMPORTS[name]]
    return [(t, i) for t, i in tops if t != "kmc" and t not in sys.stdlib_module_names]


# --- the way of the imports -----------------------------------------------------------------------


@pytest.mark.parametrize("name", MODULES)
def test_imports_go_downwards(name):
    for target, item in own(name):
        if target != FRONT_DOOR:
            assert floor_of(target) <= floor_of(name), (
                f"kmc/{name}.py line {item.line} imports kmc.{target} from a floor above"
            )


def test_imports_have_no_cycles():
    graph = {n: {t for t, _ in own(n) if t not in (n, FRONT_DOOR)} for n in MODULES}
    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError as problem:
        pytest.fail(f"modules import each other in a circle: {' → '.join(problem.args[1])}")


def test_the_front_door_opens_nothing_by_itself():
    """`import kmc` must stay light: its modules are imported at first use."""
    assert [item.name for item in IMPORTS[FRONT_DOOR] if item.at_once and item.name[0] != "_"] == [
        "typing.TYPE_CHECKING",
        "typing.Any",
    ]


@pytest.mark.parametrize("name", [m for m in MODULES if matches(m, "kernels.*")])
def test_kernels_know_only_numbers(name):
    assert {library for library, _ in foreign(name)} <= {"numpy", "numba", "llvmlite"}
    assert all(matches(target, "kernels.*") for target, _ in own(name))


@pytest.mark.parametrize("name", [m for m in MODULES if matches(m, "analysis.*")])
def test_analysis_reads_trajectories_never_simulations(name):
    targets = {target for target, _ in own(name)}
    assert not targets & {"simulation", "engine", "stopping", "model"}


@pytest.mark.parametrize("name", MODULES)
def test_libraries_stay_at_home(name):
    for library, item in foreign(name):
        assert matches(name, AT_HOME.get(library, name)), (
            f"kmc/{name}.py line {item.line} imports {library}; only {AT_HOME[library]} may"
        )
        assert not (library in LATE and item.at_once), (
            f"kmc/{name}.py line {item.line}: import {library} where it is used, in the function"
        )


def test_what_is_imported_is_declared():
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    declared = {re.split(r"[<>=~!\[ ]", text)[0] for text in pyproject["project"]["dependencies"]}
    used = {library for name in PATHS for library, _ in foreign(name)}
    assert used - PARTS - OPTIONAL == declared


@pytest.mark.parametrize("name", PATHS)
def test_modules_fit_on_some_pages(name):
    lines = len(PATHS[name].read_text(encoding="utf-8").splitlines())
    assert lines <= MOST_LINES, f"{PATHS[name].name} has {lines} lines: it wants to be two modules"


# --- the checks themselves ------------------------------------------------------------------------


def test_imports_are_seen_wherever_they_stand():
    source = (
        "import os.path\n"
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    import numba\n"
        "def f():\n    from kmc.model import Model\n"
    )
    assert imports_of(ast.parse(source)) == [
        Import("os.path", 1, True),
        Import("typing.TYPE_CHECKING", 2, True),
        Import("kmc.model.Model", 6, False),
    ]


def test_every_room_is_there():
    """No floor and no library at home names a module that has gone."""
    for patterns in (*FLOORS, *AT_HOME.values()):
        for pattern in patterns.split():
            assert any(matches(name, pattern) for name in MODULES), pattern


def test_patterns():
    assert matches("trajectory_writer", "trajectory* transaction")
    assert matches("kernels", "kernels.*")
    assert matches("kernels.loop", "kernels.*")
    assert not matches("kernels_of_truth", "kernels.*")
    assert not matches("climate", "cli")


# --- start-up -------------------------------------------------------------------------------------

HEAVY = ("numpy", "numba", "llvmlite", "h5py", "pydantic", "rich", "matplotlib", "pandas", "scipy")


@pytest.mark.parametrize("module", ["kmc", "kmc.cli"])
def test_nothing_heavy_is_imported_at_the_start(module):
    code = f"import {module}, sys; print(*[name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_help_is_quick():
    """`kmc --help` takes less than 0.3 s more than a Python that does nothing.

    It takes about 0.04 s where Python itself takes 0.01 s; importing what a run needs would add
    0.5 s or more. The best of five alternating measurements counts, and where Python itself needs
    long to start the limit grows with it.
    """

    def seconds(*arguments: str) -> float:
        start = time.perf_counter()
        subprocess.run([sys.executable, *arguments], capture_output=True, check=True)
        return time.perf_counter() - start

    kmc = ("-c", "from kmc.cli import main; main()", "--help")  # what the command `kmc` runs
    seconds(*kmc)  # compiles to bytecode
    pairs = [(seconds("-c", "pass"), seconds(*kmc)) for _ in range(5)]
    python, help_text = (min(column) for column in zip(*pairs, strict=True))
    assert help_text - python < max(0.3, 10 * python)
