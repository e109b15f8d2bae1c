"""The kinds of run that a run file can describe, each known by a section of its own.

A box of atoms has no such section; [upscale] makes a run one of a population of voids, and so on.
`kmc.systems` says what a kind does; here stands what its run files may hold. A further kind is
added by `register`, which `kmc.systems.register` calls.
"""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from kmc.common.validation import Checked, Problem
from kmc.errors import KmcWarning
from kmc.runfile.kind_sections import Cathode, Deposition, Upscale

Tables = dict[str, dict[str, Any]]
BOX = "electrode"


@dataclass(frozen=True)
class RunKind:
    """A kind of run as run files describe it.

    - `name`: "electrode" for a box of atoms, "population", "deposition", "cathode".
    - `noun`: for messages: "a deposition".
    - `section`, `model`: that makes a run one of this kind, and its keys; none of a box of atoms.
    - `uses`: section → keys that such runs use of it, beside those of `section`; others are refused
      and not stored. All, where it is None.
    """

    name: str
    noun: str
    section: str
    model: type[Checked] | None
    uses: Mapping[str, tuple[str, ...]] | None = None

    def stored(self, tables: Tables, has_protocol: bool) -> Tables:
        """Of all sections with their defaults those that mean something in a run of this kind."""
        uses = self.uses
        if uses is None:
            # Sections of other kinds have defaults, too, and mean nothing here.
            uses = {name: tuple(table) for name, table in tables.items() if name not in sections()}
        else:
            uses = {**uses, self.section: tuple(tables[self.section])}
        kept = {name: {key: tables[name][key] for key in keys} for name, keys in uses.items()}
        if not has_protocol:
            kept.pop("protocol", None)
        elif self.section:
            kept[self.section].pop("capacity_mAh_cm2", None)  # the steps have their own
        for key in LATER:  # files without them stay as they were
            if kept.get(self.section, {}).get(key, 0) is None:
                del kept[self.section][key]
        return {**kept, "parameters": tables["parameters"]}


LATER = ("surface_layer_nm", "zinc_oxide_nm", "area_per_electrode_area")
KINDS: dict[str, RunKind] = {
    BOX: RunKind(BOX, "a box of atoms", "", None),
    "population": RunKind("population", "a population of voids", "upscale", Upscale, Upscale.uses),
    "deposition": RunKind("deposition", "a deposition", "deposition", Deposition, Deposition.uses),
    "cathode": RunKind("cathode", "a cathode", "cathode", Cathode, Cathode.uses),
}
"""Name → kind, that of a run without a section of its own first."""

CHECKS: dict[str, Callable[[Any, Any], list[Problem]]] = {}
"""Name → what is wrong with a run whose single values are all in order, from it and its `Origin`.
Filled by `kmc.runfile.load`."""


@cache
def find_more() -> None:
    """Import the kinds of installed packages: those with an entry point ``kmc.kinds``, once."""
    for point in entry_points(group="kmc.kinds"):
        try:
            point.load()  # registers itself with `kmc.systems.register`
        # Of whatever error: the package of somebody else must not keep kmc from its own runs.
        except Exception as problem:
            warnings.warn(
                f"the kind of run {point.name!r} of an installed package cannot be loaded: "
                f"{type(problem).__name__}: {problem}",
                KmcWarning,
                stacklevel=2,
            )


def kind_of(sections: Mapping[str, Any] | set[str]) -> RunKind:
    """The kind of a run that has these sections."""
    find_more()  # a sweep whose numbers are kept is opened without loading one of its runs
    # Several such sections are refused later, where the file can be named.
    named = (kind for kind in KINDS.values() if kind.section and kind.section in sections)
    return next(named, KINDS[BOX])


def sections() -> tuple[str, ...]:
    """Sections that make a run one of a kind."""
    return tuple(kind.section for kind in KINDS.values() if kind.section)
