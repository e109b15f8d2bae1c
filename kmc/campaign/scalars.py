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
from typing import Any

import numpy as np
from pydantic import BaseModel, ValidationError

from kmc._version import __version__
from kmc.common.json_files import read_json, read_text
from kmc.common.outputs import replacing
from kmc.errors import InputError, KmcError
from kmc.systems import SYSTEMS
from kmc.systems.run import load

Run = Any
"""A run of any kind, as `kmc.load` returns it."""

DERIVED = {n: text for system in SYSTEMS.values() for n, text in system.derived_columns.items()}
_TEXTS = {n: text for system in reversed(SYSTEMS.values()) for n, text in system.samples.items()}
_TEXTS |= DERIVED

ONSET_CONTACT = 0.9  # the loss of a tenth of the contact is its onset
_CACHE = "scalars.json"
_NEW = "scalars.jsonl"  # a line for each point, written when it ends
_VERSION = 2  # of the cache; raised when the meaning of a number changes
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


def at_capacity(t: Run, monolayers: float) -> dict[str, float]:
    """The same at a capacity, linear between two samples; empty where the run did not reach it.

    Voids are those of the nearest frame. With a protocol the capacity, strips less plates, rises
    and falls: what counts is the first time that it is reached.

    Parameters
    ----------
    t : Trajectory
    monolayers : float
        Charge passed, in monolayers of the interface.
    """
    samples = _columns(t)
    if "capacity_monolayers" not in samples:
        return {}
    capacity = samples["capacity_monolayers"]
    reached = np.flatnonzero(capacity >= monolayers - _SLACK)
    if not len(reached):
        return {}
    after = int(reached[0])
    before = max(0, after - 1)
    gap = capacity[after] - capacity[before]
    # Two samples at one capacity stand where the current was switched: the later one counts.
    share = 1.0 if gap <= 0 else min(1.0, float(monolayers - capacity[before]) / gap)
    row = {}
    for name in samples:
        first, second = float(samples[name][before]), float(samples[name][after])
        # No interpolation between a number and infinity: the later sample is used.
        straight = share < 1 and math.isfinite(first) and math.isfinite(second)
        row[name] = first + share * (second - first) if straight else second
    derived = SYSTEMS[t.kind].derived
    return row if derived is None else row | derived(t, row, monolayers)


def onset(t: Run, contact: float) -> float:
    """Capacity (monolayers) where contact first falls below a fraction, linear between samples.

    NaN where it never does: the run ended first, so the onset is censored.
    """
    samples = _columns(t)
    if "contact_fraction" not in samples:  # no contact is lost there
        return math.nan
    values = samples["contact_fraction"]
    below = np.flatnonzero(values < contact)
    if not len(below):
        return math.nan
    capacity, after = samples["capacity_monolayers"], int(below[0])
    if not after:
        return float(capacity[0])
    above, under = values[after - 1], values[after]
    share = (above - contact) / (above - under)
    return float(capacity[after - 1] + share * (capacity[after] - capacity[after - 1]))


def entry_of(
    file: Path,
    t: Run,
    capacities: Sequence[float] = (),
    contact: float = ONSET_CONTACT,
    known: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """What `ScalarCache` stores of a run: `known`, and what it lacks."""
    known = known or {}
    at, crossings = known.get("at", {}), known.get("onset", {})
    wanted = {repr(float(capacity)) for capacity in capacities} - set(at)
    return {
        "file": _mark(file),
        "at": at | {text: at_capacity(t, float(text)) for text in sorted(wanted)},
        "onset": crossings | {repr(float(contact)): onset(t, contact)},
        "final": known["final"] if "final" in known else final(t),
        "stop_reason": t.stop_reason,
    }


def read_entries(
    name: str, files: Sequence[str], capacities: Sequence[float], contact: float
) -> dict[str, Any]:
    """Entries of some trajectories, computed in a worker; None for those that cannot be read."""
    entries: dict[str, Any] = {}
    for file in map(Path, files):
        with suppress(KmcError, OSError):
            entries[file.stem] = entry_of(file, load(file), capacities, contact)
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
        self._changed = False
        with suppress(InputError, ValueError, TypeError, LookupError):
            kept = read_json(path)
            if kept["version"] == _VERSION and kept["kmc"] == __version__:
                self._entries = dict(kept["runs"])
        with suppress(OSError):
            text = read_text(path.with_name(_NEW), "replace")
            for line in text.splitlines():
                self._add(line)

    def _add(self, line: str) -> None:
        """Numbers that a point left when it ended, unless there are newer ones of its file."""
        # A truncated or damaged line is left out.
        with suppress(ValueError, TypeError, LookupError, RecursionError):
            row = json.loads(line)
            if row["version"] == _VERSION and row["kmc"] == __version__:
                known = self._entries.get(row["name"])
                if known is None or known["file"] != row["entry"]["file"]:
                    self._entries[row["name"]] = row["entry"]

    @classmethod
    def of(cls, folder: Path) -> ScalarCache:
        """The cache of the folder of a sweep."""
        return cls(Path(folder) / _CACHE)

    def lacks(self, name: str, file: Path, capacities: Sequence[float], contact: float) -> bool:
        """Whether `read` has to open the file."""
        entry = self._current(name, _mark(file))
        wanted = {repr(float(capacity)) for capacity in capacities}
        return not ("final" in entry and wanted <= set(entry["at"])) or (
            repr(float(contact)) not in entry["onset"]
        )

    def _current(self, name: str, mark: list[int]) -> dict[str, Any]:
        with suppress(LookupError, ValidationError):
            if _Entry.model_validate(self._entries[name]).file == mark:
                return self._entries[name]
        return {"file": mark, "at": {}, "onset": {}}

    def read(
        self, name: str, file: Path, capacities: Sequence[float], contact: float = ONSET_CONTACT
    ) -> dict[str, Any]:
        """Numbers of a run: ``final``, ``at`` by capacity, ``onset``, ``stop_reason``.

        Raises
        ------
        KmcError
            The file cannot be read.
        """
        if not self.lacks(name, file, capacities, contact):
            return self._entries[name]
        known = self._current(name, _mark(file))
        entry = entry_of(file, load(file), capacities, contact, known)
        self.keep(name, entry)
        return entry

    def keep(self, name: str, entry: dict[str, Any]) -> None:
        """Store an entry, unless its file may still change within its time stamp."""
        if time.time_ns() - entry["file"][1] > _SETTLED_NS:
            self._entries[name] = entry
            self._changed = True

    def save(self) -> None:
        """Write the cache; nothing happens where the folder is read-only."""
        if not self._changed:
            return
        kept = {"version": _VERSION, "kmc": __version__, "runs": self._entries}
        with suppress(InputError), replacing(self.path) as draft:
            draft.write_text(json.dumps(kept), encoding="utf-8")
            self._changed = False
