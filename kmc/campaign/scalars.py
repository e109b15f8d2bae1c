"""Summary numbers of a run: at its end, at chosen capacities, and at the onset of contact loss.

`ScalarCache` stores them beside the runs of a sweep, so that large sweeps open quickly.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pydantic import BaseModel, TypeAdapter, ValidationError

from kmc.common.formatting import figure, monolayers
from kmc.common.json_files import json_lines, read_json, read_text
from kmc.common.outputs import replacing
from kmc.common.version import __version__
from kmc.errors import InputError, KmcError
from kmc.files.table_run import read_samples
from kmc.systems import SYSTEMS
from kmc.systems.run import load
from kmc.systems.system import MONOLAYERS

Run = Any
"""A run of any kind, as `kmc.load` returns it."""

DERIVED = {n: text for system in SYSTEMS.values() for n, text in system.derived_columns.items()}
_TEXTS = {n: text for system in reversed(SYSTEMS.values()) for n, text in system.samples.items()}
_TEXTS |= DERIVED

ONSET_CONTACT = 0.9  # the loss of a tenth of the contact is its onset
HALF_CONTACT = 0.5
_CACHE = "scalars.json"
_NEW = "scalars.jsonl"  # a line for each point, written when it ends
_VERSION = 3  # of the cache; raised when the meaning of a number changes
_SETTLED_NS = 2_000_000_000  # coarsest resolution of the time stamps of file systems
_SLACK = 1e-9  # a capacity of 2 monolayers is met by 2 − 1e-12


def meaning(name: str) -> tuple[str, str]:
    """Unit and meaning of a number."""
    return _TEXTS.get(name, ("1", name.replace("_", " ")))


def final(t: Run) -> dict[str, float]:
    """Every column of the last sample, and what a kind adds: the voids of a box."""
    system, samples = SYSTEMS[t.kind], _columns(t)
    if not len(samples["time_s"]):
        return {}
    row = {name: float(samples[name][-1]) for name in samples}
    return row if system.derived is None else row | system.derived(t, row, None)


def _columns(t: Run) -> Any:
    return SYSTEMS[t.kind].columns(t)


class At(NamedTuple):
    """A charge at which runs are compared: a value of a column of the samples."""

    value: float
    column: str = MONOLAYERS.column

    @property
    def key(self) -> str:
        """How a cache names it, such as ``capacity_mAh_cm2=0.05``."""
        return f"{self.column}={float(self.value)!r}"

    @property
    def unit(self) -> str:
        """ "monolayers" or "mAh_cm2", as in the names of dimensions and options."""
        return unit_of(self.column)

    def __str__(self) -> str:
        return charge_text(self.value, self.unit)


def unit_of(column: str) -> str:
    """The unit in the name of a column of charge: "monolayers" or "mAh_cm2"."""
    return column.removeprefix("capacity_")


def charge_text(value: float, unit: str) -> str:
    """``0.5 monolayers`` or ``0.5 mAh/cm²``."""
    return monolayers(value) if unit == "monolayers" else figure(value, "mAh/cm²")


def at_capacity(t: Run, value: float, column: str = MONOLAYERS.column) -> dict[str, float]:
    """The same at a charge, linear between two samples; empty where the run did not reach it.

    Voids are those of the nearest frame. With a protocol the capacity, strips less plates, rises
    and falls: what counts is the first time that it is reached.

    Parameters
    ----------
    t : Trajectory
    value : float
        Charge passed, in the unit of `column`.
    column : str
        ``capacity_monolayers`` or ``capacity_mAh_cm2``.
    """
    samples = _columns(t)
    if column not in samples:
        return {}
    capacity = samples[column]
    reached = np.flatnonzero(capacity >= value - _SLACK)
    if not len(reached):
        return {}
    after = int(reached[0])
    before = max(0, after - 1)
    gap = capacity[after] - capacity[before]
    # Two samples at one capacity stand where the current was switched: the later one counts.
    share = 1.0 if gap <= 0 else min(1.0, float(value - capacity[before]) / gap)
    row = {}
    for name in samples:
        first, second = float(samples[name][before]), float(samples[name][after])
        # No interpolation between a number and infinity: the later sample is used.
        straight = share < 1 and math.isfinite(first) and math.isfinite(second)
        row[name] = first + share * (second - first) if straight else second
    derived = SYSTEMS[t.kind].derived
    return row if derived is None else row | derived(t, row, row[MONOLAYERS.column])


def onset(t: Run, contact: float) -> float:
    """Charge at which contact first falls below a fraction, linear between samples.

    In the unit by which runs of this kind are compared (`System.charge`). NaN where contact never
    does: the run ended first, so the onset is censored.
    """
    samples, charge = _columns(t), SYSTEMS[t.kind].charge
    if charge is None or "contact_fraction" not in samples:  # no contact is lost there
        return math.nan
    values = samples["contact_fraction"]
    below = np.flatnonzero(values < contact)
    if not len(below):
        return math.nan
    capacity, after = samples[charge.column], int(below[0])
    if not after:
        return float(capacity[0])
    above, under = values[after - 1], values[after]
    share = (above - contact) / (above - under)
    return float(capacity[after - 1] + share * (capacity[after] - capacity[after - 1]))


def entry_of(
    file: Path,
    t: Run,
    wanted: Sequence[At] = (),
    contact: float = ONSET_CONTACT,
    known: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """What `ScalarCache` stores of a run: `known`, and what it lacks."""
    known = known or {}
    at, crossings = known.get("at", {}), known.get("onset", {})
    new = {one.key: at_capacity(t, one.value, one.column) for one in wanted if one.key not in at}
    fractions = {HALF_CONTACT, float(contact)}
    return {
        "file": _mark(file),
        "at": at | new,
        "onset": crossings | {repr(fraction): onset(t, fraction) for fraction in fractions},
        "final": known["final"] if "final" in known else final(t),
        "stop_reason": t.stop_reason,
    }


def opened(file: Path) -> Run:
    """A run to take numbers from: its samples alone, where its kind needs nothing else."""
    found = read_samples(file)
    if found is None or found.kind not in SYSTEMS or SYSTEMS[found.kind].derived is not None:
        return load(file)
    return found


def read_entries(
    name: str, files: Sequence[str], wanted: Sequence[Sequence[Any]], contact: float
) -> dict[str, Any]:
    """Entries of some trajectories, computed in a worker; None for those that cannot be read."""
    entries: dict[str, Any] = {}
    for file in map(Path, files):
        with suppress(KmcError, OSError):
            entries[file.stem] = entry_of(file, opened(file), [At(*one) for one in wanted], contact)
    return {"name": name, "entries": entries}


def append_entry(folder: Path, name: str, entry: dict[str, Any]) -> None:
    """Add the numbers of a point that ended; `ScalarCache` then need not open its file.

    Nothing happens where the disk is full: the numbers are read from the file then.
    """
    row = {"version": _VERSION, "kmc": __version__, "name": name, "entry": entry}
    with suppress(OSError), open(Path(folder) / _NEW, "a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def _mark(file: Path) -> list[int]:
    status = file.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ino]


class _Entry(BaseModel, strict=True):
    file: list[int]
    at: dict[str, dict[str, float]]
    onset: dict[str, float]
    final: dict[str, float]
    stop_reason: str


_ENTRY = TypeAdapter(_Entry)


class ScalarCache:
    """Numbers of the runs of a folder, cached until the file of a run changes.

    A file is identified by size, time and inode. A file changed within two seconds before it was
    read is not cached, as its time stamp may not show another change.

    Parameters
    ----------
    path : Path
        A JSON file, replaced atomically; it may be deleted at any time.
    """

    def __init__(self, path: Path):
        self.path = path
        self._entries: dict[str, dict[str, Any]] = {}
        self._checked: set[str] = set()  # names whose entry has the layout of `_Entry`
        self._changed = False
        with suppress(InputError, ValueError, TypeError, LookupError):
            kept = read_json(path)
            if kept["version"] == _VERSION and kept["kmc"] == __version__:
                self._entries = dict(kept["runs"])
        with suppress(OSError):
            for row in json_lines(read_text(path.with_name(_NEW), "replace")):
                self._add(row)

    def _add(self, row: Any) -> None:
        """Numbers that a point left when it ended, unless there are newer ones of its file."""
        # A truncated or damaged line is left out.
        with suppress(ValueError, TypeError, LookupError):
            if row["version"] == _VERSION and row["kmc"] == __version__:
                known = self._entries.get(row["name"])
                if known is None or known["file"] != row["entry"]["file"]:
                    self._entries[row["name"]] = row["entry"]

    @classmethod
    def of(cls, folder: Path) -> ScalarCache:
        """The cache of the folder of a sweep."""
        return cls(Path(folder) / _CACHE)

    def known(
        self, name: str, file: Path, wanted: Sequence[At], contact: float
    ) -> dict[str, Any] | None:
        """The entry of a run if it holds all of this; None where `read` has to open the file."""
        entry = self._current(name, _mark(file))
        there = "final" in entry and all(one.key in entry["at"] for one in wanted)
        asked = (repr(float(contact)), repr(HALF_CONTACT))
        return entry if there and all(one in entry["onset"] for one in asked) else None

    def _current(self, name: str, mark: list[int]) -> dict[str, Any]:
        with suppress(LookupError, TypeError, ValidationError):
            entry = self._entries[name]
            if name not in self._checked:
                _ENTRY.validate_python(entry)
                self._checked.add(name)
            if entry["file"] == mark:
                return entry
        return {"file": mark, "at": {}, "onset": {}}

    def read(
        self, name: str, file: Path, wanted: Sequence[At] = (), contact: float = ONSET_CONTACT
    ) -> dict[str, Any]:
        """Numbers of a run: ``final``, ``at`` by `At.key`, ``onset``, ``stop_reason``.

        Raises
        ------
        KmcError
            The file cannot be read.
        """
        if (entry := self.known(name, file, wanted, contact)) is not None:
            return entry
        known = self._current(name, _mark(file))
        entry = entry_of(file, opened(file), wanted, contact, known)
        self.keep(name, entry)
        return entry

    def keep(self, name: str, entry: dict[str, Any]) -> None:
        """Store an entry, unless its file may still change within its time stamp."""
        if time.time_ns() - entry["file"][1] > _SETTLED_NS:
            self._entries[name] = entry
            self._checked.add(name)
            self._changed = True

    def save(self) -> None:
        """Write the cache; nothing happens where the folder is read-only."""
        if not self._changed:
            return
        kept = {"version": _VERSION, "kmc": __version__, "runs": self._entries}
        with suppress(InputError), replacing(self.path) as draft:
            draft.write_text(json.dumps(kept), encoding="utf-8")
            self._changed = False
