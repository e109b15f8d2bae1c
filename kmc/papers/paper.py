"""A paper as its TOML file in this folder has it: which runs are laid beside it, and its claims.

The file is the only place of a claim's range, quotation and section. Its tables::

    defaults            value of each key that a row of a sweep does not name
    sets.NAME           keys that belong together, such as a metal or a substrate
    inputs.NAME         settings of an input that is changed, `of` which sets, in which `family`
    families.NAME       steps whose runs answer for each other
    steps               in order: `run`, `rows` (names of sets and keys), `grid`, `replicas`, `set`;
                        `inputs` are sets that are run once for each input
    plans.NAME          what another plan changes: `defaults`, and keys of its `steps`
    tables              means that stand on the page: `in` a family, `by` keys, `columns`
    pictures            of the report: `what`, `text`, `runs` (name = [step, parameter set])
    checked             parameter set whose rows of `kmc params check` are laid beside the paper
    calibrated          row, its parts joined by commas = experiment of a calibration
    claims              see `kmc.papers.claims.Claim`
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

from kmc.papers.claims import Claim
from kmc.papers.readings import NONE

Row = dict[str, Any]


@dataclass(frozen=True)
class Paper:
    """A paper and its study; see the head of this module."""

    name: str  # of the study
    paper: str  # reference
    steps: Sequence[Mapping[str, Any]]
    claims: Sequence[Claim]
    defaults: Mapping[str, Any] = field(default_factory=dict)
    sets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    inputs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    families: Mapping[str, Sequence[str]] = field(default_factory=dict)
    plans: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    tables: Sequence[Mapping[str, Any]] = ()
    pictures: Sequence[Mapping[str, Any]] = ()
    ignore: Sequence[str] = ()
    checked: str = ""
    calibrated: Mapping[str, str] = field(default_factory=dict)

    def planned(self, plan: str) -> "Paper":
        """The study with the changes of a plan; "default" has none."""
        if plan == "default":
            return self
        changed = self.plans.get(plan, {})
        steps = []
        for step in self.steps:
            change = changed.get("steps", {}).get(step["name"], {})
            # A plan changes keys of a step, it does not replace them.
            fixed = {**step.get("set", {}), **change.get("set", {})}
            steps.append({**step, **change, "set": fixed})
        defaults = {**self.defaults, **changed.get("defaults", {})}
        return Paper(**{**vars(self), "steps": steps, "defaults": defaults})

    def row(self, parts: Sequence[Any]) -> Row:
        """Keys of a row: names of sets, and keys by themselves."""
        out: Row = {}
        for part in parts:
            out |= self.sets[part] if isinstance(part, str) else part
        return out

    def applies(self, name: str, family: str, parts: Sequence[Any]) -> bool:
        """Whether a changed input belongs to a family and to a row of it."""
        entry = self.inputs[name]
        of = entry.get("of", ())
        return entry.get("family", family) == family and (
            not of or any(isinstance(part, str) and part in of for part in parts)
        )

    def rows_of(self, step: Mapping[str, Any]) -> list[Row]:
        """Rows of a step, without doubles."""
        rows = [self.row(parts) for parts in step.get("rows", [[]])]
        if "inputs" in step:
            # Inputs are laid beside the unchanged runs of the same family.
            (family,) = (n for n, steps in self.families.items() if step["name"] in steps)
            rows = [
                self.row([*parts, self.inputs[name]["settings"]])
                for name in self.inputs
                for parts in step["inputs"]
                if self.applies(name, family, parts)
            ]
            unchanged = [
                row
                for other in self.steps
                if other["name"] in self.families[family] and "inputs" not in other
                for row in self.rows_of(other)
            ]
            # An input that is a condition of another step, such as the pressure, is run there.
            rows = [row for row in rows if not any(self.same(row, r) for r in unchanged)]
        grid = step.get("grid", {})
        rows = [
            {**row, **dict(zip(grid, values, strict=True))}
            for row in rows
            for values in product(*grid.values())
        ]
        # Inputs of one metal only would run the other metal's row once for each of them.
        return [row for i, row in enumerate(rows) if row not in rows[:i]]

    def same(self, settings: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
        """Whether a point of a sweep is a row; keys that a plan sizes do not matter."""
        # A point names the keys of its sweep file, a row those of its claim: both sides count.
        keys = {*settings, *row} - {*self.ignore}
        return all(self.value(settings, key) == self.value(row, key) for key in keys)

    def value(self, settings: Mapping[str, Any], key: str) -> Any:
        """A key of a row, or its default."""
        value = settings.get(key, self.defaults.get(key, NONE))
        return float(value) if isinstance(value, int | float) else value


NAMES = tuple(sorted((path.stem for path in Path(__file__).parent.glob("*.toml")), reverse=True))


@cache
def paper(name: str) -> Paper:
    """The paper of a name in `NAMES`."""
    with (Path(__file__).parent / f"{name}.toml").open("rb") as file:
        tables = tomllib.load(file)
    claims = [Claim(**claim) for claim in tables.pop("claims")]
    return Paper(name=name, claims=claims, **tables)
