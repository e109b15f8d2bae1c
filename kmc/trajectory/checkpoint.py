"""Checkpoints: the complete state of a run as bytes, from which it continues without a difference.

A checkpoint is a table of numbers, texts and arrays. As bytes it is, little-endian::

    8 bytes  the letters kmcstate
    8 bytes  length of the body
    4 bytes  CRC-32 of the body
    body     zlib: a line of JSON, then the arrays one after the other

The JSON line is an object; an array stands in it as ``{"dtype": …, "shape": …}``. Reading executes
nothing from the file.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import struct
import zlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from kmc._version import __version__
from kmc.trajectory import file as layout
from kmc.trajectory import integrity as guard
from kmc.trajectory import schema
from kmc.trajectory.integrity import read
from kmc.trajectory.reader import Trajectory, load
from kmc.trajectory.writer import TrajectoryWriter, WriteLock

_MAGIC = b"kmcstate"
_HEAD = struct.Struct("<8sQI")
_FASTEST = 1  # level of zlib: compression of a large box must not delay the event loop
_DTYPES = ("|u1", "<i4", "<i8", "<f8")
_MOST_BYTES = 2**40

Table = dict[str, Any]


def pack(table: Table) -> bytes:
    """Bytes of a table of numbers, texts, lists, objects and arrays."""
    plain, arrays = {}, []
    for name, value in table.items():
        if isinstance(value, np.ndarray):
            array = np.ascontiguousarray(value)
            arrays.append(array.astype(array.dtype.newbyteorder("<"), copy=False))
            plain[name] = {"dtype": arrays[-1].dtype.str, "shape": list(array.shape)}
        else:
            plain[name] = value
    line = json.dumps(plain, separators=(",", ":")).encode() + b"\n"
    packer = zlib.compressobj(_FASTEST)
    body = b"".join(
        [packer.compress(line), *(packer.compress(array.data) for array in arrays), packer.flush()]
    )
    return _HEAD.pack(_MAGIC, len(body), zlib.crc32(body)) + body


def unpack(data: bytes) -> Table | None:
    """The table of these bytes; None where they hold no complete checkpoint.

    Bytes behind the checkpoint are ignored: its dataset never shrinks.
    """
    if len(data) < _HEAD.size:
        return None
    magic, length, checksum = _HEAD.unpack_from(data)
    body = data[_HEAD.size : _HEAD.size + length]
    if magic != _MAGIC or len(body) != length or zlib.crc32(body) != checksum:
        return None
    try:
        return _tables(zlib.decompress(body))
    except (ValueError, KeyError, TypeError, zlib.error, MemoryError):
        return None


def _tables(data: bytes) -> Table:
    end = data.index(b"\n") + 1
    table = json.loads(data[:end])
    for name, value in table.items():
        if not (isinstance(value, dict) and value.keys() == {"dtype", "shape"}):
            continue
        if value["dtype"] not in _DTYPES or math.prod(value["shape"]) > _MOST_BYTES:
            raise ValueError(value)
        array = np.frombuffer(data, value["dtype"], math.prod(value["shape"]), end)
        end += array.nbytes
        table[name] = array.reshape(value["shape"])
    return table


# --- checkpoints in a file, and a writer that appends after one ---


def checkpoint_of(trajectory: Trajectory) -> Table | None:
    """The latest complete state of the run whose rows the file holds.

    Returns
    -------
    Table or None
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


def checkpoints_in(file: h5py.File) -> list[Table]:
    """Every complete checkpoint of an open file."""
    tables = []
    for slot in schema.CHECKPOINT_SLOTS:
        with contextlib.suppress(KeyError):  # schema 1 has none
            tables.append(unpack(guard.dataset(file, slot.path)[:].tobytes()))
    return [table for table in tables if table is not None and _is_complete(table)]


def _is_complete(table: Table) -> bool:
    """Whether the table has the numbers that are needed before the state itself."""
    return all(type(table.get(key)) is int for key in ("n_samples", "n_frames", "attempts"))


def reopen(
    path: str | Path,
    prepare: Callable[[Trajectory], tuple[Table | None, Mapping]],
) -> TrajectoryWriter:
    """A writer that appends to a trajectory after its checkpoint.

    The rows up to the checkpoint are copied into a new file, which replaces the old one atomically:
    a kill leaves one or the other, and no row is duplicated.

    Parameters
    ----------
    path : str or Path
    prepare : callable
        Called with the trajectory once it is locked; returns the checkpoint to continue from
        (None for the beginning of the run), and `resolved` of the new file.

    Raises
    ------
    InputError
        The file cannot be read or continued, or another process writes it.
    """
    path = Path(path)
    load(path)  # an unreadable file is reported before it is locked
    lock = WriteLock(Path(os.path.realpath(path)))
    try:
        trajectory = load(path)
        state, resolved = prepare(trajectory)
        writer = TrajectoryWriter.filled(
            path, _head(trajectory, resolved), lambda file: _copy(trajectory, state, file)
        )
    finally:
        lock.release()
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


def _copy(trajectory: Trajectory, state: Table | None, file: h5py.File) -> tuple[int, int]:
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
            [tuple(getattr(frame, name) for name in layout.FRAME_DTYPE.names or ())],
            layout.FRAME_DTYPE,
        )
        layout.append_frames(file, row, [frame.occupancy])
    layout.put_checkpoint(file, schema.CHECKPOINT_SLOTS[0], pack(state))
    return n_samples, n_frames
