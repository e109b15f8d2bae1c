"""Files of runs that are tables and maps: HDF5, written whole, every number under a checksum.

The groups are::

    /samples/NAME        one row of numbers each time; of several replicas their mean
    /replicas/I/NAME     the same of each replica
    /frames/NAME         arrays whose first axis counts the frames; ``sample``: row of /samples
    /LIST/NAME           one row for each thing in each frame, such as a void; ``frame``: which
    /constants/NAME      arrays that do not change
    /checkpoint          state of an unfinished run (`kmc.files.checkpoint`)
    /record              JSON: what the file is, from which run, how it ended, and every dataset
                         with its type and shape, the CRC-32 of each of its pieces (a frame, or
                         some rows of a column) and the length of these

The attributes at the root repeat some of the record for whoever opens the file with h5py, and
``settings`` all settings as TOML; a reader compares them, and ``record_crc32`` with the record, so
that nothing can change unseen. ``time_s`` is the dimension scale of its group. The file is
replaced whole each time, so that it is complete at every moment; equal runs give equal bytes.
Frames and long columns are packed as they come, once, so that a save writes them and packs nothing.
"""

import csv
import io
import json
import math
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from kmc.common.validation import toml_document
from kmc.common.version import __version__
from kmc.files.saving import SavedWhole

FORMAT = "kmc system"
# 1 had the record as attributes, without a checksum over them; 2 one checksum a dataset, and boxes
# of atoms had files of their own; 3 texts of a fixed length, and neither settings nor scales.
SCHEMA_VERSION = 4
MARKER = "system_schema"
RECORD, CHECKPOINT = "record", "checkpoint"
RECORD_LABELS = ("UTF-8", "This file, as JSON")
ROOT = ("format", "system", MARKER, "kmc_version", "finished", "stop_reason", "seed", "settings")
"""Attributes at the root that repeat the record."""

Table = Mapping[str, tuple[str, str]]
# HDF5 1.10 of 2016 and later read the file; older formats lack the chunk index used here.
_OPTIONS: Any = {"libver": ("v110", "v110")}
_FEW = 64  # numbers that are not worth packing
_ROWS = 4096  # of a column that are packed as one piece
_SITES = 2**16  # the same of an array of sites: more than a layer, which the next one repeats
_LEVEL = 4  # of gzip: 1 M sites in 10 ms; level 1 takes half the time and a third more space
_TEXT_BYTES, FIXED_BYTES = 2**15, 2000  # of an attribute, at most; of one up to schema 3


@dataclass(frozen=True)
class Tables:
    """What a kind of run records: name → (unit, meaning), in four places."""

    samples: Table  #: columns of `/samples`; ``time_s`` is among them
    #: Arrays of `/frames`; ``sample``, the row of the same time, is among them.
    frames: Table = field(default_factory=dict)
    constants: Table = field(default_factory=dict)  #: arrays that do not change
    #: Name of a list → its columns; ``frame`` is among them where its rows belong to frames.
    lists: Mapping[str, Table] = field(default_factory=dict)
    format: str = FORMAT  #: what the file calls itself
    counts: frozenset[str] = frozenset()  #: columns of `/samples` that are whole numbers, int64
    group: str = "constants"  #: of the arrays that do not change
    #: Array of the frames → constants that are the coordinates along its axes after the first.
    axes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    #: Datasets that are read when they are asked for, as they are most of a file.
    late: frozenset[str] = frozenset()

    def of(self, path: str) -> tuple[str, str]:
        """Unit and meaning of a dataset; of one that an earlier version wrote nothing is known."""
        group, _, name = path.rpartition("/")
        if group.startswith("replicas/"):
            group = "samples"
        groups = {"samples": self.samples, "frames": self.frames, self.group: self.constants}
        return {**groups, **self.lists}.get(group, {}).get(name, ("1", ""))


def columns_of(path: Path) -> dict[str, Table]:
    """Tables of a kind of run from a CSV file: name → (unit, meaning) of each column, in order."""
    tables: dict[str, dict[str, tuple[str, str]]] = {}
    with path.open(newline="", encoding="utf-8") as rows:
        for row in csv.DictReader(rows):
            tables.setdefault(row["table"], {})[row["column"]] = (row["unit"], row["meaning"])
    return dict(tables)


def checksum(values: np.ndarray) -> int:
    """CRC-32 of the bytes of an array."""
    return zlib.crc32(np.ascontiguousarray(values).data)


class Pieces:
    """A dataset that grows along its first axis; each full piece of it is packed once.

    - `dtype`, `shape`: of one row.
    - `rows`: rows of a piece. Of positions each column of it is packed by itself, as x of all sites
      repeats from layer to layer.
    """

    def __init__(self, dtype: Any, shape: tuple[int, ...] = (), rows: int = _ROWS):
        self.dtype, self.shape, self.rows = stored_type(dtype), shape, rows
        self._packed: list[bytes] = []
        self._checksums: list[int] = []
        self._open = bytearray()  # rows of the piece that is not full yet
        self._n = 0

    @classmethod
    def of(cls, values: np.ndarray, rows: int = _ROWS) -> "Pieces":
        """The pieces of an array."""
        made = cls(values.dtype, values.shape[1:], rows)
        made.extend(values)
        return made

    def append(self, row: Any) -> None:
        """Add one row."""
        self.extend(np.asarray(row)[np.newaxis])

    def extend(self, rows: np.ndarray) -> None:
        """Add rows."""
        if rows.shape[1:] != self.shape:
            raise ValueError(f"a row has shape {rows.shape[1:]}, and the first had {self.shape}")
        while len(rows):
            part = rows[: self.rows - self._n % self.rows]
            self._open += np.ascontiguousarray(part, self.dtype).tobytes()
            self._n += len(part)
            rows = rows[len(part) :]
            if self._n % self.rows == 0:
                self._checksums.append(zlib.crc32(self._open))
                self._packed += self._chunks(self._open)
                self._open = bytearray()

    @property
    def _columns(self) -> int:
        """Chunks a piece."""
        return self.shape[0] if len(self.shape) == 1 and self.rows > 1 else 1

    def _chunks(self, data: bytearray) -> list[bytes]:
        rows = np.frombuffer(data, self.dtype)
        parts = rows.reshape(-1, self._columns).T if self._columns > 1 else [rows]
        return [_packed(part, self.dtype.itemsize) for part in parts]

    def __len__(self) -> int:
        return self._n

    @property
    def values(self) -> np.ndarray:
        """All rows as one array."""
        chunks, n = [_unpacked(c, self.dtype.itemsize) for c in self._packed], self._columns
        pieces = [
            np.array([np.frombuffer(c, self.dtype) for c in chunks[i : i + n]]).T.tobytes()
            for i in range(0, len(chunks), n)
        ]
        return np.frombuffer(b"".join([*pieces, self._open]), self.dtype).reshape(-1, *self.shape)

    def described(self) -> list[Any]:
        """Type, shape, checksums and rows of the pieces, for the record."""
        checksums = [*self._checksums, *([zlib.crc32(self._open)] if self._open else [])]
        return [self.dtype.str, [self._n, *self.shape], checksums, self.rows]

    def put(self, file: h5py.File, path: str) -> h5py.Dataset:
        """Write the dataset."""
        rows, size = min(self.rows, self._n), self.dtype.itemsize
        across = self._columns
        made = file.create_dataset(
            path,
            (self._n, *self.shape),
            self.dtype,
            chunks=(rows, 1) if across > 1 else (rows, *self.shape),
            compression="gzip",
            compression_opts=_LEVEL,
            shuffle=True,
            track_times=False,
        )
        pieces = list(self._packed)
        if self._open:
            # HDF5 stores whole chunks: what a long column lacks in the last one are zeros.
            chunk = rows * size * math.prod(self.shape)
            pieces += self._chunks(self._open.ljust(chunk, b"\0"))
        for i, piece in enumerate(pieces):
            corner = (i // across * rows, *([i % across] if across > 1 else [0] * len(self.shape)))
            made.id.write_direct_chunk(corner, piece)
        return made


def _packed(numbers: np.ndarray, size: int) -> bytes:
    """What HDF5's filters make of a chunk of numbers of so many bytes: shuffle, then gzip."""
    # Their first bytes together, then their second ones: those of near numbers are alike.
    by_byte = np.frombuffer(numbers.tobytes(), np.uint8).reshape(-1, size).T
    return zlib.compress(by_byte.tobytes(), _LEVEL)


def _unpacked(data: bytes, size: int) -> bytes:
    return np.frombuffer(zlib.decompress(data), np.uint8).reshape(size, -1).T.tobytes()


def stored_type(dtype: Any) -> np.dtype:
    """The type in a file: bool as a byte, and little-endian, as every machine writes it."""
    return np.dtype(np.uint8 if np.dtype(dtype) == np.bool_ else dtype).newbyteorder("<")


class TableWriter:
    """A file of tables being written; holds everything in memory and replaces the file whole.

    - `head`: what the record holds from the beginning: ``system``, the name of the kind;
      ``run_file``, its text; ``resolved``, everything the run used, with ``run``, ``name``,
      ``parameters`` and ``facts``; ``seed``.
    - `constants` (mapping of str to ndarray): arrays of ``tables.constants``.
    """

    def __init__(
        self, path: Path, head: Mapping[str, Any], tables: Tables, constants: Mapping[str, Any]
    ):
        self.path, self.head, self.tables = Path(path), head, tables
        names = (name for name in tables.constants if name in constants)
        self._constants = {
            f"{tables.group}/{name}": _in_pieces(np.asarray(constants[name])) for name in names
        }
        self._place = SavedWhole(path)
        if self.path.is_file():
            self._place.hold()
        self._tried = False  # to save a state: without space for it nothing is saved
        self._last_s: float | None = None  # time of the last row, for messages
        self._rows: list[dict[str, Pieces]] = [self._empty()]
        # Numbers of the frames as lists, arrays packed as they come.
        self._frames: dict[str, list[np.ndarray] | Pieces] = {name: [] for name in tables.frames}
        self._lists: dict[str, dict[str, list[np.ndarray]]] = {
            group: {name: [] for name in columns} for group, columns in tables.lists.items()
        }

    def _empty(self) -> dict[str, Pieces]:
        counts = self.tables.counts
        return {
            name: Pieces(np.int64 if name in counts else np.float64) for name in self.tables.samples
        }

    @property
    def position(self) -> dict[str, int]:
        """Rows and frames so far, as a checkpoint records them: what follows is not of its past."""
        return {"n_samples": self.n_samples, "n_frames": self.n_frames}

    @property
    def n_samples(self) -> int:
        """Rows of the present replica."""
        return len(next(iter(self._rows[-1].values())))

    @property
    def n_frames(self) -> int:
        return len(next(iter(self._frames.values()), ()))

    def go_on_after(self, run: Any, state: Mapping[str, Any]) -> None:
        """Take up the rows and frames of a `kmc.files.table_run.TableRun` up to its checkpoint."""
        self._tried = True  # the file has a state already
        # Rows that were written only because the run paused there are not of a longer run.
        last = len(run.replicas) - 1
        n_frames = state.get("n_frames", len(run.frames))
        for i, columns in enumerate(run.replicas):
            n_rows = state.get("n_samples") if i == last else None
            self._rows.append(self._empty())
            for name, pieces in self._rows[-1].items():
                pieces.extend(columns[name][:n_rows])
        del self._rows[0]
        times = run.replicas[-1]["time_s"][: state.get("n_samples")]
        self._last_s = float(times[-1]) if len(times) else None
        for index in range(n_frames):
            self._append_arrays({name: run.frame_array(name, index) for name in self._frames})
        for group, columns in self._lists.items():
            found = run.lists[group]
            kept = found["frame"] < n_frames if "frame" in columns else slice(None)
            for name in columns:
                values = found[name][kept]
                columns[name] = [values] if len(values) else []  # an empty one has no type

    def append_sample(self, row: Mapping[str, float]) -> None:
        """Add a row, with a value for every column of ``tables.samples``."""
        if row.keys() != self.tables.samples.keys():
            wrong = sorted(row.keys() ^ self.tables.samples.keys())
            raise ValueError(f"the sample and its columns differ in {wrong}")
        # Columns, not rows: each is written as one array, and a mean needs no transposition.
        for name, pieces in self._rows[-1].items():
            pieces.append(row[name])
        self._last_s = float(row["time_s"])

    def append_frame(self, **arrays: Any) -> None:
        """Add a frame of the last sample; lists are mappings of columns among the arrays."""
        index = self.n_frames
        given = {**arrays, "sample": self.n_samples - 1, "replica": len(self._rows) - 1}
        self._append_arrays(given)
        for group, columns in self._lists.items():
            if "frame" in columns:
                length = len(next(iter(given[group].values())))
                self.append_listed(group, {**given[group], "frame": np.full(length, index)})

    def _append_arrays(self, arrays: Mapping[str, Any]) -> None:
        for name, frames in self._frames.items():
            values = np.array(arrays[name])  # a copy: the run goes on in its own
            if values.ndim and not len(frames):
                frames = self._frames[name] = Pieces(values.dtype, values.shape, rows=1)
            frames.append(values)

    def append_listed(self, name: str, columns: Mapping[str, Any]) -> None:
        """Add rows to a list."""
        for key, parts in self._lists[name].items():
            parts.append(np.array(columns[key]))

    def next_replica(self) -> None:
        """What follows belongs to another, independent repetition."""
        self._rows.append(self._empty())

    def flush(self, checkpoint: bytes | None = None) -> None:
        """Write the file, unfinished."""
        self._tried = True
        self._write(False, "", checkpoint)

    def close(self, *, finished: bool, stop_reason: str, checkpoint: bytes | None = None) -> None:
        """Write the file for the last time, with the state of a run that may go on.

        `stop_reason` is a phrase for people, empty after an error.
        """
        # After an error the file stays as it was saved last, with the state to go on from.
        try:
            if stop_reason or (self.n_samples and not self._tried):
                self._write(finished, stop_reason, checkpoint)
        finally:
            self.release()

    def release(self) -> None:
        """Let other processes write the file; nothing more is saved."""
        self._place.release()

    # --- the file ---------------------------------------------------------------------------------

    def _datasets(self) -> dict[str, np.ndarray | Pieces]:
        """Every dataset of numbers by its path."""
        rows = self._rows
        means: Mapping[str, Any] = rows[0]
        if len(rows) > 1:
            means = mean_of([{name: pieces.values for name, pieces in r.items()} for r in rows])
        out: dict[str, np.ndarray | Pieces] = {f"samples/{n}": v for n, v in means.items()}
        for i, replica in enumerate(rows if len(rows) > 1 else ()):
            out |= {f"replicas/{i}/{name}": pieces for name, pieces in replica.items()}
        for name, frames in self._frames.items():
            out[f"frames/{name}"] = frames if isinstance(frames, Pieces) else np.array(frames)
        for group, columns in self._lists.items():
            for name, parts in columns.items():
                out[f"{group}/{name}"] = np.concatenate(parts) if parts else np.zeros(0)
        return out | self._constants

    def _write(self, finished: bool, stop_reason: str, checkpoint: bytes | None) -> None:
        datasets = self._datasets()
        if checkpoint is not None:
            datasets[CHECKPOINT] = np.frombuffer(checkpoint, np.uint8)
        record = {
            "kmc_version": __version__,
            **self.head,
            "format": self.tables.format,
            "finished": bool(finished),
            "stop_reason": stop_reason,
            "settings": settings_of(self.head["resolved"]),
        }
        self._place.save(content(record, datasets, self.tables), self._last_s)


def settings_of(resolved: Mapping[str, Any]) -> str:
    """All settings of a run as TOML."""
    sections = {name: keys for name, keys in resolved["run"].items() if isinstance(keys, Mapping)}
    # JSON has no infinity, which stands in the record as text.
    return toml_document(sections).replace(' = "inf"', " = inf")


def content(
    record: Mapping[str, Any], arrays: Mapping[str, np.ndarray | Pieces], tables: Tables
) -> memoryview:
    """Bytes of a file with these arrays, by path.

    The record has `ROOT`, ``run_file`` and ``resolved``, and gets the list of the arrays.
    """
    datasets = {path: _in_pieces(values, path) for path, values in arrays.items()}
    labels = {CHECKPOINT: ("1", "State of the run")}
    listed = {
        path: [*_described(values), *labels.get(path, tables.of(path))]
        for path, values in datasets.items()
    }
    # Sorted keys: the bytes must not depend on the order in which a run filled its dictionaries.
    record = {**record, MARKER: SCHEMA_VERSION}
    text = json.dumps({**record, "datasets": listed}, ensure_ascii=False, sort_keys=True)
    data = text.encode("utf-8", "backslashreplace")
    memory = io.BytesIO()  # HDF5 aborts the process where a disk is full
    with h5py.File(memory, "w", **_OPTIONS) as file:
        for name in filter(record.__contains__, ROOT):
            value = record[name]
            file.attrs[name] = short_text(value) if isinstance(value, str) else value
        file.attrs["record_crc32"] = zlib.crc32(data)
        _put(file, RECORD, _in_pieces(np.frombuffer(data, np.uint8)), *RECORD_LABELS)
        for path, values in datasets.items():
            _put(file, path, values, *listed[path][-2:])
        _attach_scales(file, datasets, tables)
    return memory.getbuffer()


def _attach_scales(file: h5py.File, paths: Iterable[str], tables: Tables) -> None:
    """Name the coordinates of each axis, for programs that read such files (netCDF, xarray)."""
    of_axes = {f"{tables.group}/{name}" for names in tables.axes.values() for name in names}
    coordinates = {path for path in paths if path in of_axes or path.endswith("/time_s")}
    for path in sorted(coordinates):
        h5py.h5ds.set_scale(file[path].id, path.rpartition("/")[2].encode())
    for path in paths:
        group, _, name = path.rpartition("/")
        fixed = (f"{tables.group}/{axis}" for axis in tables.axes.get(name, ()))
        for axis, scale in enumerate((f"{group}/time_s", *fixed)):
            if scale in coordinates and path not in coordinates:
                h5py.h5ds.attach_scale(file[path].id, file[scale].id, axis)


def _in_pieces(values: np.ndarray | Pieces, path: str = "") -> np.ndarray | Pieces:
    """A dataset as it is stored: in packed pieces where that is worth it."""
    if isinstance(values, Pieces):
        return values if len(values) * math.prod(values.shape) > _FEW else values.values
    values = values.astype(stored_type(values.dtype), copy=False)
    # A state has been packed already.
    if values.size <= _FEW or path == CHECKPOINT:
        return values
    if path.startswith("frames/") and values.ndim > 1:
        return Pieces.of(values, 1)
    return Pieces.of(values, _SITES if path == "" else _ROWS)


def _described(values: np.ndarray | Pieces) -> list[Any]:
    if isinstance(values, Pieces):
        return values.described()
    return [values.dtype.str, list(values.shape), [checksum(values)], len(np.atleast_1d(values))]


def _put(file: h5py.File, path: str, values: np.ndarray | Pieces, unit: str, meaning: str) -> None:
    if isinstance(values, Pieces):
        made = values.put(file, path)
    else:
        made = file.create_dataset(path, data=values, track_times=False)
    # Texts of variable length, which h5py shows as text, and those of a fixed length as bytes.
    made.attrs["unit"], made.attrs["description"] = short_text(unit), short_text(meaning)


def short_text(text: str, limit: int = _TEXT_BYTES) -> str:
    """What an attribute holds of a text: no zero byte, no half character, and a limited length."""
    printable = text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "backslashreplace")
    return printable[:limit].decode(errors="ignore")


def mean_of(replicas: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Means over the replicas, of the rows at the same times that all of them have."""
    if len(replicas) < 2:
        return dict(*replicas)
    rows = min(len(columns["time_s"]) for columns in replicas)
    # Replicas that end early, or take rows at events of their own, share only a first part.
    times = [columns["time_s"][:rows] for columns in replicas]
    same = np.all([t == times[0] for t in times], axis=0)
    rows = rows if same.all() else int(np.argmin(same))
    out = {}
    for name in replicas[0]:
        stacked = np.stack([columns[name][:rows] for columns in replicas])
        # NaN is "none there" (the width of no void) and left out; an infinite voltage is a value.
        known = np.isfinite(stacked) | np.isinf(stacked)
        total = np.where(known, stacked, 0.0).sum(axis=0)
        with np.errstate(invalid="ignore"):
            out[name] = total / known.sum(axis=0)
    out["time_s"] = times[0][:rows]
    return out
