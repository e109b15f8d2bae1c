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
import warnings
import zlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from kmc.common.provenance import collect, numerical_versions
from kmc.common.version import __version__
from kmc.errors import FileFormatError, KmcWarning
from kmc.files import file as layout
from kmc.files import integrity as guard
from kmc.files import schema
from kmc.files.integrity import read
from kmc.files.reader import Trajectory, load
from kmc.files.saving import WriteLock
from kmc.files.writer import TrajectoryWriter

_MAGIC = b"kmcstate"
_HEAD = struct.Struct("<8sQI")
_FASTEST = 1  # level of zlib: compression of a large box must not delay the event loop
_DTYPES = ("|u1", "|i1", "|b1", "<i4", "<i8", "<f4", "<f8")
# A state has 1 byte for each site, 8 for each vacancy, 4 for each Mg and 56 for each site of L1,
# which is at most one site in 8 (`MIN_LAYERS` of the lattice).
_BYTES_PER_SITE, _BYTES_BESIDES = 16, 2**20

Table = dict[str, Any]


def pack(table: Table) -> bytes:
    """Bytes of a table of numbers, texts, lists, objects and arrays."""
    plain, arrays = {}, []
    for name, value in table.items():
        if isinstance(value, np.ndarray):
            array = np.ascontiguousarray(value)
            arrays.append(array.astype(array.dtype.newbyteorder("<"), copy=False))
            if arrays[-1].dtype.str not in _DTYPES:  # it could not be read again
                raise TypeError(f"{name} of a checkpoint is of {array.dtype}")
            plain[name] = {"dtype": arrays[-1].dtype.str, "shape": list(array.shape)}
        else:
            plain[name] = value
    line = json.dumps(plain, separators=(",", ":")).encode() + b"\n"
    # Array by array, so that a box of gigabytes is never in memory a second time.
    packer = zlib.compressobj(_FASTEST)
    body = b"".join(
        [packer.compress(line), *(packer.compress(array.data) for array in arrays), packer.flush()]
    )
    return _HEAD.pack(_MAGIC, len(body), zlib.crc32(body)) + body


def unpack(data: bytes, most: int = 0) -> Table | None:
    """The table of these bytes; None where they hold no complete checkpoint.

    Bytes behind the checkpoint are ignored: its dataset never shrinks. What it unpacks to has at
    most `most` bytes; 0 is for any, where kmc itself has packed it.
    """
    if len(data) < _HEAD.size:
        return None
    magic, length, checksum = _HEAD.unpack_from(data)
    body = data[_HEAD.size : _HEAD.size + length]
    # Before anything is unpacked: a torn write gives no state, never a wrong one.
    if magic != _MAGIC or len(body) != length or zlib.crc32(body) != checksum:
        return None
    try:
        unpacker = zlib.decompressobj()
        content = unpacker.decompress(body, most)
        return _tables(content) if unpacker.eof else None
    except (*guard.H5PY_ERRORS, zlib.error):
        return None


def _tables(data: bytes) -> Table:
    end = data.index(b"\n") + 1
    table = json.loads(data[:end])
    for name, value in table.items():
        if not (isinstance(value, dict) and value.keys() == {"dtype", "shape"}):
            continue
        # numpy takes memory for the shape that is stated, not for the bytes that are there.
        if value["dtype"] not in _DTYPES or not 0 <= math.prod(value["shape"]) <= len(data):
            raise ValueError(value)
        array = np.frombuffer(data, value["dtype"], math.prod(value["shape"]), end)
        end += array.nbytes
        table[name] = array.reshape(value["shape"])
    return table


# --- checkpoints in a file, and a writer that appends after one ---


def checkpoint_of(trajectory: Trajectory) -> Table | None:
    """The latest complete state of the run whose rows the file holds; None before a first flush."""
    found = read(trajectory.path, lambda file: checkpoints_in(file, trajectory.box))
    usable = [
        table
        for table in found
        if 0 <= table["n_samples"] <= len(trajectory.samples)
        and 0 <= table["n_frames"] <= len(trajectory.frames)
    ]
    # Older files kept two by turns: the later one has seen more attempts.
    state = max(usable, key=lambda table: table["attempts"], default=None)
    samples, checksums = trajectory.samples, trajectory.frames.checksums
    if found and not (state and follows(state, samples.rows(state["n_samples"]), checksums)):
        raise FileFormatError(
            f"{trajectory.path} lacks rows that it had when its checkpoint was written",
            advice="`kmc verify` reports what is missing. Use an earlier copy, or start the run "
            "again.",
        )
    return state


def follows(state: Table, rows: np.ndarray, frame_checksums: np.ndarray) -> bool:
    """Whether a checkpoint was taken after the first of these rows and frames, undamaged."""
    if len(rows) < state["n_samples"] or len(frame_checksums) < state["n_frames"]:
        return False
    if "crc_samples" not in state:  # of an earlier kmc
        return True
    found = schema.Totals().with_samples(rows[: state["n_samples"]])
    found = found.with_frames(frame_checksums[: state["n_frames"]])
    return all(state.get(name) == number for name, number in found._asdict().items())


def checkpoints_in(file: h5py.File, box: Table) -> list[Table]:
    """Every complete checkpoint of an open file with this box."""
    most = _BYTES_PER_SITE * guard.occupancies(file, box).shape[1] + _BYTES_BESIDES
    tables = []
    for slot in (schema.CHECKPOINT, *schema.OLD_CHECKPOINTS):
        with contextlib.suppress(KeyError):  # schema 1 has none, files of today one
            dataset = guard.dataset(file, slot.path, kinds=(slot.dtype,))
            if len(dataset) <= most:
                tables.append(unpack(dataset[:].tobytes(), most))
    # With the numbers that are needed before the state itself.
    needed = ("n_samples", "n_frames", "attempts")
    return [t for t in tables if t is not None and all(type(t.get(key)) is int for key in needed)]


@contextlib.contextmanager
def held(path: Path) -> Iterator[Trajectory]:
    """A trajectory that no other process can write meanwhile.

    Raises `InputError`: the file cannot be read, or another process writes it.
    """
    load(path)  # an unreadable file is reported before it is locked
    lock = WriteLock(Path(os.path.realpath(path)))
    try:
        yield load(path)
    finally:
        lock.release()


def writer_after(
    trajectory: Trajectory, state: Table | None, resolved: Mapping
) -> TrajectoryWriter:
    """A writer that goes on after a checkpoint of a trajectory, or at its beginning without one.

    The rows up to the checkpoint are copied into a new file, which replaces the old one atomically:
    a kill leaves one or the other, and no row is duplicated. `resolved` is that of the new file.
    """
    provenance = dict(trajectory.provenance)
    times = int(provenance.get("continued", "0").split()[0]) + 1
    now = datetime.now(UTC).isoformat(timespec="seconds")
    provenance["continued"] = f"{times} times, last by kmc {__version__} at {now}"
    before = provenance.get("continued_with", numerical_versions(provenance))
    versions = numerical_versions(collect())
    if versions != before:
        provenance["continued_with"] = versions
        warnings.warn(
            f"{trajectory.path} was written with {before} and is continued with {versions}: it may "
            "differ in the last bits from an uninterrupted run",
            KmcWarning,
            stacklevel=2,
        )
    head = layout.Head(
        lattice=trajectory.lattice,
        run_text=trajectory.run_file,
        resolved=resolved,
        seed=trajectory.seed,
        chemistry=trajectory.chemistry,
        kmc_version=trajectory.kmc_version,
        provenance=provenance,
    )

    def fill(file: h5py.File) -> None:
        if state is None:
            return
        # Up to the checkpoint alone: what a kill left behind it is computed and written again.
        layout.append_samples(file, trajectory.samples.rows(state["n_samples"]))
        for frame in trajectory.frames[: state["n_frames"]]:
            row = tuple(getattr(frame, name) for name in layout.FRAME_DTYPE.names or ())
            layout.append_frames(file, np.array([row], layout.FRAME_DTYPE), [frame.occupancy])
        layout.put_checkpoint(file, pack(state))

    return TrajectoryWriter.filled(trajectory.path, head, fill)
