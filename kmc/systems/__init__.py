"""The kinds of run: a box of atoms, a population of voids, a deposition, a cathode.

Each is a `System`, registered once in `SYSTEMS`, from where every command and `kmc.load` know it.
Some checks and pictures ask for a shipped kind by name; a new kind needs none of them.
docs/dev/add_a_kind.md adds one.
"""

from collections.abc import Callable
from typing import Any

from kmc.runfile.kinds import CHECKS
from kmc.runfile.run_file import add_kind
from kmc.systems.cathode.kind import CATHODE
from kmc.systems.deposition.kind import DEPOSITION
from kmc.systems.electrode.kind import ELECTRODE
from kmc.systems.population.kind import POPULATION
from kmc.systems.system import System

SYSTEMS: dict[str, System] = {
    system.name: system for system in (ELECTRODE, POPULATION, DEPOSITION, CATHODE)
}
"""Name of a kind → what it does."""


def register(system: System, check: Callable[..., list[Any]] = lambda run, origin: []) -> None:
    """Add a kind of run.

    - `system`: the kind (`kmc.systems.system.System`).
    - `check`: ``check(run, origin)``, a list of `kmc.common.validation.Problem` of a run whose
      single values are all in order.
    """
    SYSTEMS[system.name], CHECKS[system.name] = system, check
    add_kind(system.rules)
