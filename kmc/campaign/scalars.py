"""Summary numbers of a run: at its end, at chosen capacities, and at the onset of contact loss.

`Numbers` keeps them beside the runs of a sweep, so that large sweeps open quickly.
"""

import json
import math
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pydantic import BaseModel

from kmc.common.formatting import figure, monolayers
from kmc.common.json_files import json_lines
from kmc.common.version import __version__
from kmc.errors import InputError
from kmc.systems import SYSTEMS
from kmc.systems.run import system_of
from kmc.systems.system import MONOLAYERS

Run = Any
"""A run of any kind, as `kmc.load` returns it."""

ONSET_CONTACT = 0.9  # the loss of a tenth of the contact is its onset
HALF_CONTACT = 0.5
_FILE = "scalars.jsonl"
_VERSION = 3  # of its lines; raised when the meaning of a number changes
_SETTLED_NS = 2_000_000_000  # coarsest resolution of the time stamps of file systems
_SLACK = 1e-9  # a capacity of 2 monolayers is met by 2 − 1e-12


def derived() -> dict[str, tuple[str, str]]:
    """Unit and meaning of the numbers that kinds of run add to those of the samples."""
    # Asked for each time: kinds of other packages may be registered meanwhile.
    return {n: text for system in SYSTEMS.values() for n, text in system.derived_columns.items()}


def meaning(name: str) -> tuple[str, str]:
    """Unit and meaning of a number."""
    tables = (derived(), *(system.samples for system in SYSTEMS.values()))
    return next((table[name] for table in tables if name in table), ("1", name.replace("_", " ")))


def final(t: Run) -> dict[str, float]:
    """Every column of the last sample, and what a kind adds: the voids of a box."""
    system, samples = SYSTEMS[t.kind], SYSTEMS[t.kind].columns(t)
    if not len(samples["time_s"]):
        return {}
    row = {name: float(samples[name][-1]) for name in samples}
    return row if system.derived is None else row | system.derived(t, row, None)


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
        return self.column.removeprefix("capacity_")


def charge_text(value: float, unit: str) -> str:
    """``0.5 monolayers`` or ``0.5 mAh/cm²``."""
    return monolayers(value) if unit == "monolayers" else figure(value, "mAh/cm²")


def check_reading(at: float | None, tolerance: float) -> None:
    """Refuse (`InputError`) a charge at which runs are judged, or a tolerance, out of range."""
    if at is not None and not (math.isfinite(at) and at > 0):
        raise InputError(
            f"--at {at:g}: a capacity above 0 is needed",
            advice="In mAh/cm² for populations of voids, in monolayers for all others.",
        )
    if not 0 < tolerance < 1:
        raise InputError(
            f"--tolerance {tolerance:g} is out of range",
            advice="Give a share between 0 and 1, such as 0.1 for 10 %.",
        )


def at_capacity(t: Run, value: float, column: str = MONOLAYERS.column) -> dict[str, float]:
    """The same at a charge, linear between two samples; empty where the run did not reach it.

    The charge is a value of `column`, ``capacity_monolayers`` or ``capacity_mAh_cm2``. Voids are
    those of the nearest frame. With a protocol the capacity, strips less plates, rises and falls:
    what counts is the first time that it is reached.
    """
    samples = SYSTEMS[t.kind].columns(t)
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
    samples, charge = SYSTEMS[t.kind].columns(t), SYSTEMS[t.kind].charge
    if charge is None or "contact_fraction" not in samples:  # no contact is lost there
        return math.nan
    crossed = crossing(samples[charge.column], -samples["contact_fraction"], -contact)
    return math.nan if math.isinf(crossed) else crossed


def crossing(x: np.ndarray, y: np.ndarray, level: float) -> float:
    """First x at which y reaches a level, linear between rows; infinite where it never does."""
    above = np.flatnonzero(y >= level)
    if not len(above):
        return math.inf
    k = int(above[0])
    # Nothing lies between a number and infinity: such as the voltage once contact is lost.
    if not k or not np.isfinite(y[k]):
        return float(x[k])
    share = (level - y[k - 1]) / (y[k] - y[k - 1])
    return float(x[k - 1] + share * (x[k] - x[k - 1]))


def entry_of(
    file: Path,
    t: Run,
    wanted: Sequence[At] = (),
    contact: float = ONSET_CONTACT,
    known: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """What `Numbers` keeps of a run: `known`, and what it lacks.

    ``final``, ``at`` by `At.key`, ``onset`` by contact fraction, ``stop_reason``, and ``file``:
    size, time and inode, by which a file that has changed is recognised.
    """
    known = known or {}
    at, crossings = known.get("at", {}), known.get("onset", {})
    new = {c.key: at_capacity(t, c.value, c.column) for c in wanted if c.key not in at}
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
    system = system_of(file)
    return system.load(file, "" if system.derived is not None else "samples/")


def _mark(file: Path) -> list[int]:
    status = file.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ino]


class _Entry(BaseModel, strict=True):
    file: list[int]
    at: dict[str, dict[str, float]]
    onset: dict[str, float]
    final: dict[str, float]
    stop_reason: str


class Numbers:
    """Numbers of the runs in the folder of a sweep: of each run, the last line of a file counts.

    A point adds its line when it ends, `kmc.load_sweep` adds lines where it needs more capacities.
    The file may be deleted at any time: the numbers are read from the runs again.
    """

    def __init__(self, folder: Path):
        self._path = Path(folder) / _FILE
        self._entries: dict[str, dict[str, Any]] = {}
        self._new: dict[str, dict[str, Any]] = {}
        for row in json_lines(self._path):
            # A truncated or damaged line is left out, as is one of another version.
            with suppress(ValueError, TypeError, LookupError):
                if row["version"] == _VERSION and row["kmc"] == __version__:
                    _Entry.model_validate(row["entry"])
                    self._entries[row["name"]] = row["entry"]

    def of(self, name: str, file: Path, wanted: Sequence[At], contact: float) -> dict[str, Any]:
        """Numbers of a run: those kept of its file of today, and what they lack from the file."""
        entry = self._entries.get(name)
        known = entry if entry and entry["file"] == _mark(file) else None
        fractions = {repr(float(contact)), repr(HALF_CONTACT)}
        if (
            known
            and fractions <= known["onset"].keys()
            and all(charge.key in known["at"] for charge in wanted)
        ):
            return known
        self._new[name] = entry_of(file, opened(file), wanted, contact, known)
        return self._new[name]

    def save(self) -> None:
        """Keep what was read, unless its file may still change within its time stamp.

        Nothing happens where the disk is full or read-only.
        """
        settled = time.time_ns() - _SETTLED_NS
        # A file that changes twice within its time stamp would keep the numbers of the first.
        some = {name: e for name, e in self._new.items() if e["file"][1] < settled}
        append_entries(self._path.parent, some)


def append_entries(folder: Path, entries: Mapping[str, Mapping[str, Any]]) -> None:
    """Keep the numbers of points whose files do not change any more."""
    head, path = {"version": _VERSION, "kmc": __version__}, Path(folder) / _FILE
    rows = [json.dumps({**head, "name": name, "entry": e}) for name, e in entries.items()]
    if rows:  # which may be left out where the disk is full or read-only
        with suppress(OSError), open(path, "a", encoding="utf-8") as file:
            file.writelines(f"{row}\n" for row in rows)
