"""Repair: a new trajectory from the undamaged rows and frames of a damaged one."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from kmc.common.outputs import check_output
from kmc.errors import FileFormatError, InputError, KmcError
from kmc.files import checkpoint, schema
from kmc.files import file as layout
from kmc.files import integrity as guard
from kmc.files.checkpoint import checkpoints_in
from kmc.files.integrity import (
    H5PY_ERRORS,
    check_readable,
    open_to_read,
    read_record,
    reason_of,
)
from kmc.files.transaction import stored_end
from kmc.files.writer import TrajectoryWriter
from kmc.model import processes

REPAIRED = "repaired"
_LONGER = 100  # times that a file may have been longer than what is left of it


@dataclass(frozen=True)
class Repair:
    """Result of `repair`.

    Attributes
    ----------
    path : Path
        The new file.
    samples, frames : tuple of int
        Number kept, and number in the damaged file.
    problems : list of str
        What is damaged, one line each.
    whole : bool
        Nothing is damaged.
    resumable : bool
        The new file holds a checkpoint, and all rows before it are undamaged.
    """

    path: Path
    samples: tuple[int, int]
    frames: tuple[int, int]
    problems: list[str]
    whole: bool
    resumable: bool


_LOST = {"f": np.nan, "i": -1}  # in place of a lost value: no count is negative
# Sums: where one of these columns is lost, it follows from the others. The first is the sum.
_SUMS = (
    ("events", tuple(process.column for process in processes.PROCESSES)),
    ("hops", tuple(schema.HOP_CLASSES.values())),
    (
        "overpotential_V",
        tuple(
            f"overpotential_{term}_V"
            for term in ("concentration", "charge_transfer", "constriction", "series")
        ),
    ),
)
_COPIED_BYTES = 2**26  # of frames, held in memory at a time


@dataclass
class _Rows:
    """Rows of a table that are kept."""

    rows: np.ndarray
    checksums: np.ndarray
    places: np.ndarray  # of the kept rows, in the damaged file
    expected: int  # number of rows that were written
    undamaged: int  # number of rows before the first damaged one


def repair(path: str | Path, output: str | Path, *, overwrite: bool = False) -> Repair:
    """Write a new trajectory with all rows and frames of a damaged one that pass their checksums.

    Parameters
    ----------
    path : str or Path
        The damaged file; it is not changed.
    output : str or Path
        The new file.
    overwrite : bool
        Replace an existing `output`.

    Raises
    ------
    InputError
        There is no such file, or the output cannot be written.
    FileFormatError
        Not a kmc trajectory, or the settings of the run are damaged.
    """
    path = Path(path)
    with contextlib.suppress(OSError, ValueError):  # an invalid name is reported below
        if path.is_file():
            check_output(output, overwrite)
    with _openable(path) as (copy, problems):
        try:
            with open_to_read(copy) as file:
                return _repair(file, output, problems)
        except FileFormatError as problem:
            raise FileFormatError(
                f"repair is impossible: {problem.message}", advice="Start the run again."
            ) from None
        except H5PY_ERRORS as problem:
            raise FileFormatError(
                f"{path} cannot be repaired: the table of contents or the settings of the run are "
                f"damaged ({reason_of(problem)})",
                advice="Start the run again.",
            ) from None


def _repair(file: h5py.File, output: str | Path, problems: list[str]) -> Repair:
    record, head, finished, stop_reason = _head(file)
    box = record["lattice"]
    samples = _samples(file, head, finished, problems)
    frames = _frames(file, box, samples, problems)
    written = _part(problems, "the counts of rows", lambda: guard.totals(file))
    if written and not problems:
        found = schema.Totals().with_samples(samples.rows).with_frames(frames.checksums)
        if found != written[0] and (finished or found.n_samples <= written[0].n_samples):
            lost = [getattr(written[0], n) - getattr(found, n) for n in ("n_samples", "n_frames")]
            problems.append(f"{lost[0]} sample rows and {lost[1]} frames are missing")
            samples.expected = max(samples.expected, written[0].n_samples)
            frames.expected = max(frames.expected, written[0].n_frames)
    states = _part(problems, "the checkpoints", lambda: checkpoints_in(file, box)) or []
    undamaged = samples.rows[: samples.undamaged], frames.checksums[: frames.undamaged]
    states = [state for state in states if checkpoint.follows(state, *undamaged)]
    state = max(states, key=lambda state: state["attempts"], default=None)
    whole = not problems

    at_once = max(1, _COPIED_BYTES // head.lattice.n_sites)

    def append(new: h5py.File, first: int) -> None:
        part = slice(first, first + at_once)
        places = frames.places[part].tolist()
        occupancies = [guard.occupancy(file, box, index) for index in places]
        layout.append_frames(new, frames.rows[part], occupancies)

    def steps() -> Iterator[Callable[[h5py.File], None]]:
        yield lambda new: layout.append_samples(new, samples.rows)
        for first in range(0, len(frames.rows), at_once):
            yield functools.partial(append, first=first)

    writer = TrajectoryWriter.filled(output, head, steps())
    writer.close(
        finished=whole and finished,
        stop_reason=stop_reason if whole else REPAIRED,
        checkpoint=checkpoint.pack(state) if state else None,
    )
    return Repair(
        path=Path(output),
        samples=(len(samples.rows), samples.expected),
        frames=(len(frames.rows), frames.expected),
        problems=problems,
        whole=whole,
        resumable=state is not None,
    )


@contextlib.contextmanager
def _openable(path: Path):
    """A file that HDF5 opens: this one, or a copy padded to the length in its superblock."""
    try:
        check_readable(path)
    except FileFormatError:
        with path.open("rb") as file:
            head, size = file.read(64), file.seek(0, 2)
        end = stored_end(head)
        if end is None or size >= end or end > _LONGER * size + 2**20:
            raise
    else:
        yield path, []
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "padded.h5"
        try:
            shutil.copyfile(path, copy)
            os.truncate(copy, end)
        except OSError as problem:
            raise InputError(
                f"no copy of {path} can be made in {folder}: {problem.strerror}",
                advice="Free space there, or set TMPDIR to another folder.",
            ) from None
        yield copy, [f"truncated: {size} bytes are left of {end}"]


def _head(file: h5py.File) -> tuple[dict, layout.Head, bool, str]:
    """The record, what the file records once, whether the run finished, and its stop reason."""
    _, record = read_record(file)
    box = record["lattice"]
    guard.check_box(file, box)  # before its sites take memory
    origin = record.get("provenance") or json.loads(
        guard.fixed_text(file, schema.RECORD_PROVENANCE)
    )
    known = {entry.name: entry for entry in schema.SAMPLE_COLUMNS}
    head = layout.Head(
        lattice=layout.lattice_of(record["lattice"]),
        columns=tuple(
            known.get(name) or schema.column(name, schema.FLOAT, unit, "")
            for name, unit in record["columns"]
        ),
        run_text=record["run_file"],
        resolved=record["resolved"],
        seed=record["seed"],
        chemistry=_part([], "/lattice", lambda: guard.lattice(file, box).get("chemistry")),
        kmc_version=record["kmc_version"],
        provenance=origin,
    )
    stop_reason = guard.fixed_text(file, schema.RECORD_STOP_REASON)
    return record, head, bool(guard.root_number(file, "finished")), stop_reason


def _part(problems: list[str], name: str, reader):
    """Result of a reader; None and a line in `problems` where it fails."""
    try:
        return reader()
    except (*H5PY_ERRORS, KmcError):
        problems.append(f"{name} cannot be read")
        return None


def _columns(file: h5py.File, group: str, dtype: np.dtype, least: int) -> tuple[np.ndarray, ...]:
    """Rows of a group with their checksums as a further column, and which values could be read.

    Parameters
    ----------
    least : int
        Number of rows that were written, as far as it is known; rows that any column has are kept.
    """
    names = dtype.names or ()
    dtype = np.dtype([*((name, dtype[name]) for name in names), (schema.CHECKSUM, "<i8")])
    names = (*names, schema.CHECKSUM)
    there = {}
    for name in names:
        with contextlib.suppress(*H5PY_ERRORS, KmcError):
            there[name] = guard.dataset(file, f"{group}/{name}")
    guard.table(file, group, list(there))
    lengths = [len(column) for column in there.values()] or [0]
    n = max(min(lengths), min(least, max(lengths)))
    rows, known = np.empty(n, dtype), np.zeros(n, [(name, bool) for name in names])
    for name in names:
        rows[name] = _LOST[dtype[name].kind]
        if name not in there:
            continue
        step = there[name].chunks[0] if there[name].chunks else n
        for first in range(0, min(n, len(there[name])), max(1, step)):
            part = slice(first, min(n, len(there[name]), first + step))
            with contextlib.suppress(*H5PY_ERRORS):
                rows[name][part] = there[name][part]
                known[name][part] = True
    return rows, known


def _samples(file: h5py.File, head: layout.Head, finished: bool, problems: list[str]) -> _Rows:
    """Rows that pass their checksum, and rows of which only a part could be read."""
    names = list(head.row_dtype.names or ())
    written = _part([], "", lambda: guard.totals(file))
    least = written[0].n_samples if written else 2**62 if finished else 0
    table, known = _columns(file, "samples", head.row_dtype, least)
    rows = table[names].astype(head.row_dtype)
    good = np.ones(len(rows), bool)
    for name in (*names, schema.CHECKSUM):
        good &= known[name]
    partial = ~good
    good &= schema.row_checksums(rows) == table[schema.CHECKSUM]
    if partial.any():
        good |= _restored(rows, known, table[schema.CHECKSUM])
    for name in (*names, schema.CHECKSUM):
        lost = int(np.count_nonzero(~known[name] & ~good))
        if lost:
            instead = f"{_LOST[table[name].dtype.kind]} is written instead"
            if name == schema.CHECKSUM:
                instead = "these rows cannot be checked"
            problems.append(f"/samples/{name} is lost in {lost} of {len(rows)} rows: {instead}")
    kept = good | partial
    if not kept.all():
        problems.append(f"{np.count_nonzero(~kept)} of {len(kept)} sample rows are damaged")
    return _Rows(
        rows[kept], table[schema.CHECKSUM][kept], np.flatnonzero(kept), len(kept), _undamaged(good)
    )


def _restored(rows: np.ndarray, known: np.ndarray, checksums: np.ndarray) -> np.ndarray:
    """Restore lost values that are sums or differences of others; returns which rows are whole."""
    good = np.zeros(len(rows), bool)
    for whole, terms in _SUMS:
        parts = [name for name in terms if name in (rows.dtype.names or ())]
        for name in (whole, *parts):
            trial = rows.copy()
            # In the order in which the engine adds and subtracts: floating point depends on it.
            with np.errstate(invalid="ignore"):
                if name == whole:
                    trial[name] = sum(rows[part] for part in parts)
                else:
                    trial[name] = rows[whole]
                    for part in parts:
                        if part != name:
                            trial[name] -= rows[part]
            lost = ~known[name] & known[schema.CHECKSUM]
            found = lost & (schema.row_checksums(trial) == checksums)
            rows[name][found] = trial[name][found]
            good |= found
    return good


def _frames(file: h5py.File, box: dict, samples: _Rows, problems: list[str]) -> _Rows:
    """Frames that pass their checksum; a column that is lost is taken from the samples."""
    dtype, empty = layout.FRAME_DTYPE, np.empty(0, np.int64)
    n = _part(problems, "/frames", lambda: len(guard.occupancies(file, box)))
    if not n:
        return _Rows(np.empty(0, dtype), empty, empty, 0, 0)
    table, known = _columns(file, "frames", dtype, n)
    rows, checksums, places = [], [], []
    for index in range(n):
        with contextlib.suppress(*H5PY_ERRORS, KmcError):
            checksum = zlib.crc32(guard.occupancy(file, box, index).data)
            stored = table[schema.CHECKSUM][index] if known[schema.CHECKSUM][index] else None
            for row in _candidates(table[index], known[index], samples.rows):
                total = zlib.crc32(row.tobytes(), checksum)
                if stored in (None, total):
                    rows.append(row)
                    checksums.append(total)
                    places.append(index)
                    break
    if len(rows) < n:
        problems.append(f"{n - len(rows)} of {n} frames are damaged")
    for name in known.dtype.names or ():
        if not known[name].all():
            problems.append(f"/frames/{name} is lost; its values are taken from /samples")
    good = np.isin(np.arange(n), places)
    return _Rows(
        rows=np.array(rows, dtype),
        checksums=np.array(checksums, np.int64),
        places=np.array(places, int),
        expected=n,
        undamaged=_undamaged(good),
    )


def _candidates(row: np.void, known: np.void, samples: np.ndarray) -> Iterator[np.ndarray]:
    """Possible columns of a frame: those stored, or those of a sample that agrees."""
    names = layout.FRAME_DTYPE.names or ()
    if all(known[name] for name in names):
        yield np.array(tuple(row[name] for name in names), layout.FRAME_DTYPE)
        return
    same = np.ones(len(samples), bool)
    for name in names:
        if known[name]:
            same &= samples[name] == row[name]
    for place in np.flatnonzero(same) if any(known[name] for name in names) else ():
        yield np.array(tuple(samples[name][place] for name in names), layout.FRAME_DTYPE)


def _undamaged(good: np.ndarray) -> int:
    """Number of rows before the first damaged one."""
    return int(np.argmin(good)) if not good.all() else len(good)
