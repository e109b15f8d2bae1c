"""Runs of any kind side by side: inputs in which they differ, and their results."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from kmc.campaign.dataset import number_order
from kmc.campaign.scalars import At, charge_text, entry_of, meaning
from kmc.common.formatting import html_table, listed
from kmc.common.json_files import json_safe
from kmc.common.late import pandas as pd
from kmc.errors import InputError
from kmc.runfile.run_file import from_resolved
from kmc.systems import SYSTEMS
from kmc.systems.run import load
from kmc.systems.slowing import hidden_effects

_SAME = 1e-9  # relative: a number that was summed in another order is the same
_SAME_CHARGE = 1e-3  # relative: boxes end at the event that reaches their charge


@dataclass(frozen=True, repr=False)
class Compared:
    """Runs side by side; made by `compare`.

    To see in which inputs a few runs differ and what that did; many runs are a sweep
    (`kmc.load_sweep`).
    """

    # of the files, without their ending where that is enough to distinguish them
    names: tuple[str, ...]
    # ``section.key`` or name of a number → its value in each run; None where a run has none
    inputs: Mapping[str, tuple]
    results: Mapping[str, tuple]
    moment: str  # where the results were read: "at the end", "at 0.1 mAh/cm²"
    notes: tuple[str, ...] = ()  # what makes the runs hard to compare

    def to_dataframe(self, *, everything: bool = False) -> "pd.DataFrame":
        """A row for each input and number that differs, or for every one, a column for each run.

        Columns: ``what`` ("input" or "result"), ``name``, ``unit``, and the runs by name.
        """
        rows = [
            {"what": what, "name": name, "unit": unit, **dict(zip(self.names, values, strict=True))}
            for what, name, unit, values in self.rows(everything=everything)
        ]
        return pd.DataFrame(rows, columns=["what", "name", "unit", *self.names])

    def rows(self, *, everything: bool = False) -> Iterator[tuple[str, str, str, tuple]]:
        """What, name, unit and values of each row of the table."""
        for what, table in (("input", self.inputs), ("result", self.results)):
            for name, values in table.items():
                if everything or differ(values):
                    unit = meaning(name)[0] if what == "result" else ""
                    yield what, name, "" if unit == "1" else unit, values

    def to_json(self) -> str:
        """Everything as JSON text; what a run does not have is null."""
        top = {"runs": self.names, "moment": self.moment, "notes": self.notes}
        tables = {"inputs": dict(self.inputs), "results": dict(self.results)}
        return json.dumps(json_safe(top | tables), indent=2, ensure_ascii=False, allow_nan=False)

    def _repr_html_(self) -> str:
        return html_table(self._texts(), ("", "unit", *self.names), f"What differs, {self.moment}")

    def __repr__(self) -> str:
        table = pd.DataFrame(self._texts(), columns=["", "unit", *self.names])
        return "\n".join(
            [f"What differs, {self.moment}", table.to_string(index=False), *self.notes]
        )

    def _texts(self) -> list[tuple[str, ...]]:
        return [(name, unit, *map(text_of, values)) for _, name, unit, values in self.rows()]


def compare(*runs: Any, at: float | None = None) -> Compared:
    """Lay runs side by side: the inputs in which they differ, and their results.

    - `*runs`: two or more files, or what `kmc.load` and `kmc.run` return, of any kind.
    - `at`: charge at which the results are read, in mAh/cm² for populations of voids and in
      monolayers for all others; the end of each run by default.

    Raises `InputError`: fewer than two runs, or one that cannot be read or passes no such charge.

    >>> kmc.compare("strip_li.h5", "strip_limg.h5").to_dataframe()             # doctest: +SKIP
    """
    if len(runs) < 2:
        raise InputError("there is nothing to compare with", advice="Give two runs or more.")
    loaded = [run if hasattr(run, "samples") else load(run) for run in runs]
    results = [_results(run, at) for run in loaded]
    inputs = [_inputs(run) for run in loaded]
    charges = dict.fromkeys(c.unit for run in loaded if (c := SYSTEMS[run.kind].charge))
    moment = "at the end"
    if at is not None:
        moment = "at " + " and ".join(charge_text(at, unit) for unit in charges)
    paths = [Path(run.path) for run in loaded]
    # As short as keeps them apart: stem, file name, path, path with a number.
    numbered = [f"{path} ({i})" for i, path in enumerate(paths, 1)]
    forms = ([p.stem for p in paths], [p.name for p in paths], [str(p) for p in paths], numbered)
    return Compared(
        names=tuple(next(names for names in forms if len(set(names)) == len(names))),
        inputs={n: tuple(row.get(n) for row in inputs) for n in dict.fromkeys(chain(*inputs))},
        results={
            n: tuple(row.get(n) for row in results)
            for n in sorted({*chain(*results)}, key=number_order)
        },
        moment=moment,
        notes=tuple(_notes(loaded, results, at)),
    )


def _inputs(run: Any) -> dict[str, Any]:
    """Everything a run was given, by ``section.key``."""
    flat: dict[str, Any] = {"kind": SYSTEMS[run.kind].noun, "kmc_version": run.kmc_version}
    for section, table in run.run.items():
        if section == "parameters":  # those that the run used stand below
            continue
        rows = table.items() if isinstance(table, Mapping) else [("", table)]
        flat |= {f"{section}.{key}".rstrip("."): value for key, value in rows}
    values = run.resolved.get("parameters", {})
    return flat | {f"parameters.{name}": entry.get("value") for name, entry in values.items()}


def _results(run: Any, at: float | None) -> dict[str, Any]:
    system = SYSTEMS[run.kind]
    if at is not None and system.charge is None:
        raise InputError(
            f"{run.path} is {system.noun}, which passes no charge through an interface",
            advice="Leave the charge away: runs are compared at their end.",
        )
    wanted = [At(float(at), system.charge.column)] if at is not None and system.charge else []
    entry = entry_of(Path(run.path), run, wanted)
    numbers = entry["at"][wanted[0].key] if wanted else entry["final"]
    results = dict(numbers)
    if system.charge is not None and "contact_fraction" in system.samples:
        results[f"half_contact_{system.charge.unit}"] = entry["onset"]["0.5"]
    return results | {"stop_reason": run.stop_reason if run.finished else "unfinished"}


def _notes(runs: Sequence[Any], results: Sequence[Mapping[str, Any]], at: float | None) -> list:
    settings = [
        {
            f"{section}.{key}": value
            for section, table in from_resolved(
                {name: table for name, table in run.run.items() if isinstance(table, Mapping)}
            ).items()
            for key, value in table.items()
        }
        for run in runs
    ]
    notes = hidden_effects({}, settings)
    charges = [charge for run in runs if (charge := SYSTEMS[run.kind].charge)]
    # Runs that pass different kinds of charge cannot be compared at one.
    if at is None and len({charge.column for charge in charges}) == 1:
        ends = [row.get(charges[0].column, math.nan) for row in results]
        if max(ends) - min(ends) > _SAME_CHARGE * max(ends):
            texts = listed([charge_text(end, charges[0].unit) for end in ends])
            notes.append(f"The runs end at {texts}: --at compares them at one charge.")
    # The reason of the end and half_contact are in every row.
    early = [str(run.path) for run, row in zip(runs, results, strict=True) if len(row) <= 2]
    if at is not None and early:
        notes.append(f"{listed(early)} did not reach this charge.")
    return notes


def differ(values: Sequence[Any]) -> bool:
    """Whether values differ by more than the last digits of a sum."""
    return any(not _same(values[0], value) for value in values[1:])


def _same(first: Any, other: Any) -> bool:
    if isinstance(first, int | float) and isinstance(other, int | float):
        both_nan = first != first and other != other
        return both_nan or math.isclose(first, other, rel_tol=_SAME)
    return first == other


def text_of(value: Any) -> str:
    """A value in a table: four digits, – where a run has none or it is not known."""
    if value is None or value != value:
        return "–"
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:.4g}"
    return str(value)
