"""Repair: a new trajectory from the undamaged rows and frames of a damaged one."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np

from kmc.common.outputs import check_output
from kmc.errors import FileFormatError, KmcError
from kmc.trajectory import checkpoint, schema
from kmc.trajectory import file as layout
from kmc.trajectory import integrity as guard
from kmc.trajectory.checkpoint import checkpoints_in
from kmc.trajectory.integrity import H5PY_ERRORS, check_readable, read_record, reason_of
from kmc.trajectory.transaction import stored_end
from kmc.trajectory.writer import TrajectoryWriter

REPAIRED = "repaired"


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


@dataclass
class _Salvage:
    """Everything that could be read of a damaged file."""

    head: layout.Head
    finished: bool
    stop_reason: str
    rows: np.ndarray
    frame_rows: np.ndarray
    occupancies: list[np.ndarray]
    checkpoint: checkpoint.Table | None
    expected: tuple[int, int]  # samples and frames, by the lengths of the datasets
    undamaged: tuple[int, int]  # samples and frames before the first damaged one
    problems: list[str] = field(default_factory=list)


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
        saved = _salvage(path, copy, problems)
    state = saved.checkpoint
    whole = not saved.problems
    samples, frames = saved.undamaged
    if state and (state["n_samples"] > samples or state["n_frames"] > frames):
        state = None

    def fill(file) -> tuple[int, int]:
        layout.append_samples(file, saved.rows)
        for row, occupancy in zip(saved.frame_rows, saved.occupancies, strict=True):
            layout.append_frames(file, row[None], [occupancy])
        return len(saved.rows), len(saved.frame_rows)

    writer = TrajectoryWriter.filled(output, saved.head, fill)
    writer.close(
        finished=whole and saved.finished,
        stop_reason=saved.stop_reason if whole else REPAIRED,
        checkpoint=checkpoint.pack(state) if state else None,
    )
    return Repair(
        path=Path(output),
        samples=(len(saved.rows), saved.expected[0]),
        frames=(len(saved.frame_rows), saved.expected[1]),
        problems=saved.problems,
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
        if end is None or size >= end:
            raise
    else:
        yield path, []
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "padded.h5"
        shutil.copyfile(path, copy)
        with copy.open("r+b") as file:
            file.truncate(end)
        yield copy, [f"truncated: {size} bytes are left of {end}"]


def _salvage(path: Path, copy: Path, problems: list[str]) -> _Salvage:
    try:
        with h5py.File(copy, "r", locking=False) as file:
            head, finished, stop_reason = _head(file)
            rows, n_rows, good_rows = _samples(file, head, problems)
            frames, n_frames, good_frames = _frames(file, head.lattice.n_sites, problems)
            states = _part(problems, "the checkpoints", lambda: checkpoints_in(file)) or []
    except FileFormatError as problem:
        raise FileFormatError(f"repair is impossible: {problem.message}") from None
    except H5PY_ERRORS as problem:
        raise FileFormatError(
            f"{path} cannot be repaired: the table of contents or the settings of the run are "
            f"damaged ({reason_of(problem)})",
            advice="Start the run again.",
        ) from None
    return _Salvage(
        head=head,
        finished=finished,
        stop_reason=stop_reason,
        rows=rows[good_rows],
        frame_rows=np.array([row for row, _ in frames if row is not None], layout.FRAME_DTYPE),
        occupancies=[occupancy for row, occupancy in frames if row is not None],
        checkpoint=max(states, key=lambda state: state["attempts"], default=None),
        expected=(n_rows, n_frames),
        undamaged=(_undamaged(good_rows), _undamaged(good_frames)),
        problems=problems,
    )


def _head(file: h5py.File) -> tuple[layout.Head, bool, str]:
    """What the file records once, whether it is finished, and its stop_reason."""
    _, record, attributes = read_record(file)
    origin = record.get("provenance") or json.loads(
        bytes(attributes[schema.RECORD_PROVENANCE.name])
    )
    known = {entry.name: entry for entry in schema.SAMPLE_COLUMNS}
    head = layout.Head(
        lattice=layout.lattice_of(record["lattice"]),
        columns=tuple(
            known.get(name) or schema.column(name, file[f"samples/{name}"].dtype.str, unit, "")
            for name, unit in record["columns"]
        ),
        run_text=record["run_file"],
        resolved=record["resolved"],
        seed=record["seed"],
        chemistry=_chemistry(file),
        kmc_version=record["kmc_version"],
        provenance=origin,
    )
    stop_reason = bytes(attributes[schema.RECORD_STOP_REASON.name]).decode()
    return head, bool(file.attrs["finished"]), stop_reason


def _chemistry(file: h5py.File) -> np.ndarray | None:
    with contextlib.suppress(KeyError):  # older files have one chemistry
        return guard.dataset(file, schema.CHEMISTRY.path)[:]
    return None


def _part(problems: list[str], name: str, reader):
    """Result of a reader; None and a line in `problems` where it fails."""
    try:
        return reader()
    except (*H5PY_ERRORS, KmcError):
        problems.append(f"{name} cannot be read")
        return None


def _samples(
    file: h5py.File, head: layout.Head, problems: list[str]
) -> tuple[np.ndarray, int, np.ndarray]:
    """Rows of `/samples`, their expected number, and which of them pass their checksum."""
    names = [*(head.row_dtype.names or ()), schema.CHECKSUM]
    lost: list[str] = []
    columns = {
        name: _part(
            lost, f"/samples/{name}", lambda name=name: guard.dataset(file, f"samples/{name}")[:]
        )
        for name in names
    }
    lengths = [len(column) for column in columns.values() if column is not None]
    if lost:
        problems.append(f"{len(lost)} of {len(names)} columns of samples: {lost[0]}")
        return np.empty(0, head.row_dtype), max(lengths, default=0), np.empty(0, bool)
    n = min(lengths)
    rows = np.empty(n, head.row_dtype)
    for name in names[:-1]:
        rows[name] = columns[name][:n]
    good = schema.row_checksums(rows) == columns[schema.CHECKSUM][:n]
    if not good.all():
        problems.append(f"{np.count_nonzero(~good)} of {n} sample rows are damaged")
    return rows, n, good


def _frames(file: h5py.File, n_sites: int, problems: list[str]):
    """Row and occupancy of each frame, their expected number, and which are undamaged."""
    dataset = _part(problems, "/frames", lambda: guard.dataset(file, schema.FRAME_OCCUPANCY.path))
    if dataset is None or dataset.shape[1:] != (n_sites,):
        return [], 0, np.empty(0, bool)
    found = [_frame(file, dataset, index) for index in range(len(dataset))]
    good = np.array([row is not None for row, _ in found], dtype=bool)
    if not good.all():
        problems.append(f"{np.count_nonzero(~good)} of {len(good)} frames are damaged")
    return found, len(found), good


def _frame(file: h5py.File, dataset: h5py.Dataset, index: int):
    """Row and occupancy of one frame; Nones if it is damaged."""
    try:
        row = np.empty((), layout.FRAME_DTYPE)
        for name in row.dtype.names:
            row[name] = guard.dataset(file, f"frames/{name}", sized=False)[index]
        occupancy = dataset[index]
        stored = int(guard.dataset(file, schema.FRAME_CHECKSUM.path, sized=False)[index])
    except H5PY_ERRORS:
        return None, None
    return (row, occupancy) if schema.frame_checksum(occupancy, row) == stored else (None, None)


def _undamaged(good: np.ndarray) -> int:
    """Number of rows before the first damaged one."""
    return int(np.argmin(good)) if not good.all() else len(good)
