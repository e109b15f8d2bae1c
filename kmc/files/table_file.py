"""Files of runs that are tables and maps: HDF5, written whole, every number under a checksum.

The groups are::

    /samples/NAME        one row of numbers each time; of several replicas their mean
    /replicas/I/NAME     the same of each replica
    /frames/NAME         arrays whose first axis counts the frames; ``sample``: row of /samples
    /LIST/NAME           one row for each thing in each frame, such as a void; ``frame``: which
    /constants/NAME      arrays that do not change
    /checkpoint          state of an unfinished run (`kmc.files.checkpoint`)
    /record              JSON: what the file is, from which run, how it ended, and every dataset
                         with its type, shape and CRC-32

The attributes at the root repeat some of the record for whoever opens the file with h5py; a reader
compares them, and ``record_crc32`` with the record, so that nothing can change unseen. The file is
replaced whole each time, so that it is complete at every moment; equal runs give equal bytes.
"""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from kmc.common.version import __version__
from kmc.files import file as layout
from kmc.files.saving import SavedWhole

FORMAT = "kmc system"
SCHEMA_VERSION = 2  # 1 had the record as attributes, without a checksum over them
MARKER = "system_schema"
RECORD, CHECKPOINT = "record", "checkpoint"
ROOT = ("format", "system", "kmc_version", "finished", "stop_reason", "seed")
"""Attributes at the root that repeat the record."""

Table = Mapping[str, tuple[str, str]]
_FEW = 64  # numbers that are not worth packing
_TEXT_BYTES = 2000  # of an attribute, fixed: HDF5 keeps others in heaps without a checksum


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

    def of(self, path: str) -> tuple[str, str]:
        """Unit and meaning of a dataset; of one that an earlier version wrote nothing is known."""
        group, _, name = path.rpartition("/")
        if group.startswith("replicas/"):
            group = "samples"
        known = {"samples": self.samples, "frames": self.frames, "constants": self.constants}
        return {**known, **self.lists}.get(group, {}).get(name, ("1", ""))


def checksum(values: np.ndarray) -> int:
    """CRC-32 of the bytes of an array."""
    return zlib.crc32(np.ascontiguousarray(values).tobytes())


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
        self.constants = dict(constants)
        self._place = SavedWhole(path)
        if self.path.is_file():
            self._place.hold()
        self._flushed = False
        self._rows: list[dict[str, list[float]]] = [self._empty()]
        self._frames: dict[str, list[np.ndarray]] = {name: [] for name in tables.frames}
        self._lists: dict[str, dict[str, list[np.ndarray]]] = {
            group: {name: [] for name in columns} for group, columns in tables.lists.items()
        }

    def _empty(self) -> dict[str, list[float]]:
        return {name: [] for name in self.tables.samples}

    @property
    def position(self) -> dict[str, int]:
        """Nothing: the file is read whole, so that a state is never of other rows."""
        return {}

    @property
    def n_samples(self) -> int:
        """Rows of the present replica."""
        return len(next(iter(self._rows[-1].values())))

    @property
    def n_frames(self) -> int:
        return len(next(iter(self._frames.values()), ()))

    def go_on_after(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take up the rows and frames of an earlier file, by dataset."""
        # Replicas are kept as rows each; /samples, their mean, is made again from them.
        replicas = sorted({int(p.split("/")[1]) for p in arrays if p.startswith("replicas/")})
        groups = [f"replicas/{i}" for i in replicas] or ["samples"]
        self._rows = [
            {name: arrays[f"{group}/{name}"].tolist() for name in self.tables.samples}
            for group in groups
        ]
        for name in self._frames:
            self._frames[name] = list(arrays[f"frames/{name}"])
        for group, columns in self._lists.items():
            for name in columns:
                values = arrays[f"{group}/{name}"]
                columns[name] = [values] if len(values) else []  # an empty one has no type

    def append_sample(self, row: Mapping[str, float]) -> None:
        """Add a row, with a value for every column of ``tables.samples``."""
        if row.keys() != self.tables.samples.keys():
            wrong = sorted(row.keys() ^ self.tables.samples.keys())
            raise ValueError(f"the sample and its columns differ in {wrong}")
        # Columns, not rows: each is written as one array, and a mean needs no transposition.
        for name, values in self._rows[-1].items():
            values.append(float(row[name]))

    def append_frame(self, **arrays: Any) -> None:
        """Add a frame of the last sample; lists are mappings of columns among the arrays."""
        index = self.n_frames
        given = {**arrays, "sample": self.n_samples - 1, "replica": len(self._rows) - 1}
        for name, frames in self._frames.items():
            frames.append(np.array(given[name]))  # a copy: the run goes on in its own
        for group, columns in self._lists.items():
            if "frame" in columns:
                length = len(next(iter(given[group].values())))
                self.append_listed(group, {**given[group], "frame": np.full(length, index)})

    def append_listed(self, name: str, columns: Mapping[str, Any]) -> None:
        """Add rows to a list."""
        for key, parts in self._lists[name].items():
            parts.append(np.array(columns[key]))

    def next_replica(self) -> None:
        """What follows belongs to another, independent repetition."""
        self._rows.append(self._empty())

    def flush(self, checkpoint: bytes | None = None) -> None:
        """Write the file, unfinished."""
        self._write(False, "", checkpoint)
        self._flushed = True

    def close(self, *, finished: bool, stop_reason: str, checkpoint: bytes | None = None) -> None:
        """Write the file for the last time, with the state of a run that may go on.

        `stop_reason` is a phrase for people, empty after an error.
        """
        # After an error the file stays as it was saved last, with the state to go on from.
        try:
            if stop_reason or (self.n_samples and not self._flushed):
                self._write(finished, stop_reason, checkpoint)
        finally:
            self.release()

    def release(self) -> None:
        """Let other processes write the file; nothing more is saved."""
        self._place.release()

    # --- the file ---------------------------------------------------------------------------------

    def arrays(self) -> dict[str, np.ndarray]:
        """Every dataset of numbers by its path."""
        replicas = [
            {name: np.array(values, dtype=float) for name, values in rows.items()}
            for rows in self._rows
        ]
        out = {f"samples/{name}": values for name, values in mean_of(replicas).items()}
        if len(replicas) > 1:
            for i, rows in enumerate(replicas):
                out |= {f"replicas/{i}/{name}": values for name, values in rows.items()}
        out |= {f"frames/{name}": np.array(frames) for name, frames in self._frames.items()}
        for group, columns in self._lists.items():
            for name, parts in columns.items():
                out[f"{group}/{name}"] = np.concatenate(parts) if parts else np.zeros(0)
        known = (name for name in self.tables.constants if name in self.constants)
        return out | {f"constants/{name}": np.asarray(self.constants[name]) for name in known}

    def _write(self, finished: bool, stop_reason: str, checkpoint: bytes | None) -> None:
        arrays = self.arrays()
        if checkpoint is not None:
            arrays[CHECKPOINT] = np.frombuffer(checkpoint, np.uint8)
        record = {
            **self.head,
            "format": self.tables.format,
            "kmc_version": __version__,
            "finished": bool(finished),
            "stop_reason": stop_reason,
        }
        times = arrays["samples/time_s"]
        memory = content(record, arrays, self.tables)
        self._place.save(memory, times[-1] if len(times) else None)


def content(
    record: Mapping[str, Any], arrays: Mapping[str, np.ndarray], tables: Tables
) -> memoryview:
    """Bytes of a file with these arrays, by path.

    The record has `ROOT`, ``run_file`` and ``resolved``, and gets the list of the arrays.
    """
    # Bool as a byte, and little-endian, so that every machine writes the same bytes.
    types = {path: np.dtype(np.uint8) if a.dtype == bool else a.dtype for path, a in arrays.items()}
    arrays = {p: a.astype(types[p].newbyteorder("<"), copy=False) for p, a in arrays.items()}
    datasets = {
        path: [values.dtype.str, list(values.shape), checksum(values)]
        for path, values in arrays.items()
    }
    labels = {RECORD: ("UTF-8", "What the file is, as JSON"), CHECKPOINT: ("1", "State of the run")}
    labels = {path: labels.get(path) or tables.of(path) for path in (RECORD, *arrays)}
    given = {
        "datasets": datasets,
        "labels_crc32": layout.schema.labels_checksum((p, *label) for p, label in labels.items()),
    }
    # Sorted keys: the bytes must not depend on the order in which a run filled its dictionaries.
    text = json.dumps({**record, **given}, ensure_ascii=False, sort_keys=True)
    data = text.encode("utf-8", "replace")
    memory = io.BytesIO()  # HDF5 aborts the process where a disk is full
    with h5py.File(memory, "w", **layout.OPTIONS) as file:
        for name in ROOT:
            _put_attribute(file, name, record[name])
        file.attrs[MARKER] = SCHEMA_VERSION
        file.attrs["record_crc32"] = zlib.crc32(data)
        _put(file, RECORD, np.frombuffer(data, np.uint8), *labels[RECORD])
        for path, values in arrays.items():
            _put(file, path, values, *labels[path])
    return memory.getbuffer()


def _put(file: h5py.File, path: str, values: np.ndarray, unit: str, meaning: str) -> None:
    options: dict[str, Any] = {}
    if values.size > _FEW:
        options = {"compression": "gzip", "compression_opts": 4, "shuffle": True}
        # A frame, or a part of a long column, is a piece: it can be read by itself.
        of_frames = path.startswith("frames/") and values.ndim > 1
        options["chunks"] = (1, *values.shape[1:]) if of_frames else True
    made = file.create_dataset(path, data=values, track_times=False, **options)
    _put_attribute(made, "unit", unit)
    _put_attribute(made, "description", meaning)


def _put_attribute(place: Any, name: str, value: Any) -> None:
    if not isinstance(value, str):
        place.attrs[name] = value
        return
    text = layout.truncated(value, _TEXT_BYTES)
    place.attrs.create(name, text, dtype=h5py.string_dtype("utf-8", max(1, len(text))))


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
