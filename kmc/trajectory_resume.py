"""Opens a trajectory to go on with it: its checkpoint, and a writer that appends behind it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import h5py
import numpy as np

from kmc import __version__, checkpoint
from kmc import trajectory_file as layout
from kmc import trajectory_guard as guard
from kmc import trajectory_schema as schema
from kmc.trajectory import Trajectory, load, read
from kmc.trajectory_writer import Hold, TrajectoryWriter


def checkpoint_of(trajectory: Trajectory) -> checkpoint.Table | None:
    """The latest whole state of the run whose rows the file holds.

    Returns
    -------
    checkpoint.Table or None
        None where the run was killed before its first flush.
    """
    found = read(trajectory.path, checkpoints_in)
    usable = [
        table
        for table in found
        if 0 <= table["n_samples"] <= len(trajectory.samples)
        and 0 <= table["n_frames"] <= len(trajectory.frames)
    ]
    return max(usable, key=lambda table: table["attempts"], default=None)


def checkpoints_in(file: h5py.File) -> list[checkpoint.Table]:
    """Every whole checkpoint of an open file."""
    tables = []
    for slot in schema.CHECKPOINT_SLOTS:
        with contextlib.suppress(KeyError):  # schema 1 has none
            tables.append(checkpoint.unpack(guard.dataset(file, slot.path)[:].tobytes()))
    return [table for table in tables if table is not None and _is_whole(table)]


def _is_whole(table: checkpoint.Table) -> bool:
    """Whether the numbers that are needed before the state itself are there."""
    return all(type(table.get(key)) is int for key in ("n_samples", "n_frames", "attempts"))


def reopen(
    path: str | Path,
    prepare: Callable[[Trajectory], tuple[checkpoint.Table | None, Mapping]],
) -> TrajectoryWriter:
    """A writer that appends to a trajectory behind its checkpoint.

    The rows up to there are copied into a new file, which then takes the place of the old one in
    one step: a kill leaves one or the other, and rows that will come again are not there twice.

    Parameters
    ----------
    path : str or Path
    prepare : callable
        Gets the trajectory, once nobody else can write to it; returns the checkpoint to go on
        from, None for the very beginning, and what is to be recorded as `resolved`.

    Raises
    ------
    InputError
        The file cannot be read or continued, or another process writes it.
    """
    path = Path(path)
    load(path)  # says what is wrong with the path before it is held
    hold = Hold(Path(os.path.realpath(path)))
    try:
        trajectory = load(path)
        state, resolved = prepare(trajectory)
        writer = TrajectoryWriter.filled(
            path, _head(trajectory, resolved), lambda file: _copy(trajectory, state, file)
        )
    finally:
        hold.release()
    return writer


def _head(trajectory: Trajectory, resolved: Mapping) -> layout.Head:
    provenance = dict(trajectory.provenance)
    times = int(provenance.get("continued", "0").split()[0]) + 1
    now = datetime.now(UTC).isoformat(timespec="seconds")
    provenance["continued"] = f"{times} times, last by kmc {__version__} at {now}"
    return layout.Head(
        lattice=trajectory.lattice,
        columns=schema.SAMPLE_COLUMNS,
        run_text=trajectory.run_file,
        resolved=resolved,
        seed=trajectory.seed,
        chemistry=trajectory.chemistry,
        kmc_version=trajectory.kmc_version,
        provenance=provenance,
    )


def _copy(
    trajectory: Trajectory, state: checkpoint.Table | None, file: h5py.File
) -> tuple[int, int]:
    """Copy rows and frames up to a checkpoint, and the checkpoint itself."""
    if state is None:
        return 0, 0
    n_samples, n_frames = state["n_samples"], state["n_frames"]
    samples = trajectory.samples
    rows = np.empty(n_samples, [(name, samples[name].dtype) for name in samples])
    for name in samples:
        rows[name] = samples[name][:n_samples]
    layout.append_samples(file, rows)
    for frame in trajectory.frames[:n_frames]:
        row = np.array(
            [tuple(getattr(frame, name) for name in layout.FRAME_DTYPE.names)], layout.FRAME_DTYPE
        )
        layout.append_frames(file, row, [frame.occupancy])
    layout.put_checkpoint(file, schema.CHECKPOINT_SLOTS[0], checkpoint.pack(state))
    return n_samples, n_frames
