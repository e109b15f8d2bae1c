"""Repair: a new trajectory from the undamaged rows and frames of a damaged one."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from kmc.common.outputs import check_output
from kmc.errors import FileFormatError, KmcError
from kmc.files import checkpoint, schema
from kmc.files import file as layout
from kmc.files import integrity as guard
from kmc.files.reader import stored_in
from kmc.files.writer import TrajectoryWriter

REPAIRED = "repaired"


@dataclass(frozen=True)
class Repair:
    """Result of `repair`: the new file; of samples and frames the number kept and that there was.

    `problems` says what is damaged, one line each; the file is `whole` where nothing is, and
    `resumable` where it holds a checkpoint before which all rows are undamaged.
    """

    path: Path
    samples: tuple[int, int]
    frames: tuple[int, int]
    problems: list[str]
    whole: bool
    resumable: bool


def repair(path: str | Path, output: str | Path, *, overwrite: bool = False) -> Repair:
    """Write a new trajectory with all rows and frames of a damaged one that pass their checksums.

    - `path`: the damaged file; it is not changed.
    - `output`: the new file.
    - `overwrite`: replace an existing `output`.

    Raises `InputError`: there is no such file, or the output cannot be written. `FileFormatError`:
    not a kmc trajectory, or the settings of the run or a whole column are damaged.
    """
    with contextlib.suppress(OSError, ValueError):  # an invalid name is reported below
        # Before all frames are read: that the output exists is known at once.
        if Path(path).is_file():
            check_output(output, overwrite)
    try:
        return guard.read(Path(path), lambda file: _repair(file, Path(output)))
    except FileFormatError as problem:
        raise FileFormatError(
            f"repair is impossible: {problem.message}", advice="Start the run again."
        ) from None


def _repair(file: h5py.File, output: Path) -> Repair:
    stored = stored_in(file)
    record, rows, table = stored.record, stored.rows, stored.frames
    box, n_frames, frame_checksums = record["lattice"], len(table), stored.frame_checksums
    # Row by row, so that one damaged sector costs the rows in it alone.
    good = schema.row_checksums(rows) == stored.row_checksums
    kept = []
    for index in range(n_frames):
        with contextlib.suppress(*guard.H5PY_ERRORS, KmcError):
            occupancy = guard.occupancy(file, box, index)
            if schema.frame_checksum(occupancy, table[index]) == frame_checksums[index]:
                kept.append(index)
    problems = [
        f"{lost} of {of} {what} are damaged"
        for what, lost, of in (
            ("sample rows", np.count_nonzero(~good), len(good)),
            ("frames", n_frames - len(kept), n_frames),
        )
        if lost
    ]
    found = schema.Totals().with_samples(rows).with_frames(frame_checksums)
    written = stored.totals or found
    if not problems and found != written:
        lost = [getattr(written, n) - getattr(found, n) for n in ("n_samples", "n_frames")]
        problems.append(f"{lost[0]} sample rows and {lost[1]} frames are missing")
    # Only a checkpoint before which nothing is missing leads to what an undisturbed run writes.
    n_good = int(np.argmin([*good, False]))
    # Up to the first frame that is not kept, likewise.
    n_good_frames = next((i for i, at in enumerate([*kept, -1]) if at != i), 0)
    states = []
    with contextlib.suppress(*guard.H5PY_ERRORS, KmcError):
        states = [
            state
            for state in checkpoint.checkpoints_in(file, box)
            if checkpoint.follows(state, rows[:n_good], frame_checksums[:n_good_frames])
        ]
    state = max(states, key=lambda state: state["attempts"], default=None)

    def fill(new: h5py.File) -> None:
        layout.append_samples(new, rows[good])
        for index in kept:
            occupancy = guard.occupancy(file, box, index)
            layout.append_frames(new, table[index : index + 1], [occupancy])

    known = {entry.name: entry for entry in schema.SAMPLE_COLUMNS}
    head = layout.Head(
        lattice=layout.lattice_of(box),
        # Columns that this kmc does not know are kept: they are in the checksums of the rows.
        columns=tuple(
            known.get(name) or schema.column(name, schema.FLOAT, unit, "")
            for name, unit in record["columns"]
        ),
        run_text=record["run_file"],
        resolved=record["resolved"],
        seed=record["seed"],
        chemistry=guard.lattice(file, box).get("chemistry"),
        kmc_version=record["kmc_version"],
        provenance=record.get("provenance"),
    )
    TrajectoryWriter.filled(output, head, fill).close(
        finished=record["finished"] and not problems,
        stop_reason=REPAIRED if problems else record["stop_reason"],
        checkpoint=checkpoint.pack(state) if state else None,
    )
    return Repair(
        path=output,
        samples=(int(np.count_nonzero(good)), max(len(rows), written.n_samples)),
        frames=(len(kept), max(n_frames, written.n_frames)),
        problems=problems,
        whole=not problems,
        resumable=state is not None,
    )
