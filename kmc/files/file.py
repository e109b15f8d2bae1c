"""Datasets, attributes and rows of an open trajectory file.

`kmc.files.schema` documents them; `kmc.files.writer` writes them to disk safely.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np

from kmc.common import provenance
from kmc.common.version import __version__
from kmc.files import schema
from kmc.model.lattice import Lattice

# HDF5 1.10 of 2016 and later read the file; older formats lack the chunk index used here.
OPTIONS = {"libver": ("v110", "v110"), "alignment_threshold": 1, "alignment_interval": 512}
_ROWS_PER_CHUNK = 512  # 4 kB a column: little for a short run, few chunks for a long one
_GZIP_LEVEL = 4  # 1 M sites in 10 ms; level 1 takes half the time and a third more space
_MIN_CHUNK = 4096  # bytes of a checkpoint
BOX_KEYS = ("name", "cells", "layers", "boundary", "lattice_parameter_A")
_SITES_PER_CHECKPOINT_CHUNK = 16  # keeps the chunks of a checkpoint few, however large the box


@dataclass(frozen=True)
class Head:
    """What a file records once, before any row.

    `resolved` is everything the run used, JSON-able; `chemistry` that of each L1 site, uint8 of
    shape (sites_per_layer,), 0 where it is None; `provenance` that of the start of the run.
    """

    lattice: Lattice
    run_text: str
    resolved: Mapping
    seed: int
    columns: tuple[schema.Entry, ...] = schema.SAMPLE_COLUMNS
    chemistry: np.ndarray | None = None
    kmc_version: str = __version__
    provenance: Mapping | None = None

    @property
    def row_dtype(self) -> np.dtype:
        return schema.row_dtype(self.columns)


FRAME_DTYPE = schema.row_dtype(schema.FRAME_COLUMNS)


def lattice_of(box: Mapping) -> Lattice:
    """The lattice that a file records as `lattice` in its ``/record``."""
    return Lattice(**{key: box[key] for key in BOX_KEYS})


def lay_out(file: h5py.File, head: Head) -> None:
    """Create all datasets of a new file, without rows, and its attributes."""
    lattice = head.lattice
    origin = head.provenance or provenance.collect() | {"hdf5": h5py.version.hdf5_version}
    box = {
        "name": lattice.name,
        "boundary": lattice.boundary,
        "cells": list(lattice.cells),
        "layers": lattice.layers,
        "lattice_parameter_A": lattice.lattice_parameter_A,
        "box_A": lattice.box_A.tolist(),
    }
    record = {
        "kmc_version": head.kmc_version,
        "run_file": head.run_text,
        "resolved": head.resolved,
        "seed": int(head.seed),
        "lattice": box,
        "columns": [[entry.name, entry.unit] for entry in head.columns],
        "totals": True,
        "labels_crc32": schema.labels_checksum(
            (entry.path, entry.unit, entry.description)
            for entry in ({*schema.SCHEMA} - {*schema.SAMPLE_COLUMNS}) | {*head.columns}
            if "@" not in entry.path
        ),
    }
    text = np.frombuffer(_utf8(json.dumps(record, ensure_ascii=False)), np.uint8)
    # One chemistry, 0, is that of [system] everywhere.
    chemistry = np.zeros(lattice.sites_per_layer) if head.chemistry is None else head.chemistry
    arrays = [
        (chemistry if entry is schema.CHEMISTRY else getattr(lattice, entry.name)).astype(
            entry.dtype
        )
        for entry in schema.LATTICE_ENTRIES
    ]
    attributes = texts(record, origin, "") | {
        "/@schema_version": schema.SCHEMA_VERSION,
        "/@finished": False,
        schema.TOTALS_ROWS.path: schema.Totals(),
        schema.TOTALS_CONSTANTS.path: schema.constants_checksum(
            schema.SCHEMA_VERSION, text.tobytes(), arrays
        ),
    }
    packed: dict[str, Any] = {"compression": _GZIP_LEVEL, "fletcher32": True}
    dataset = _create(file, schema.RECORD, data=text, **packed)
    _put_fixed(dataset, schema.RECORD_STOP_REASON, "")
    _put_fixed(dataset, schema.RECORD_PROVENANCE, json.dumps(origin))
    column: dict[str, Any] = {"shape": (0,), "maxshape": (None,), "chunks": (_ROWS_PER_CHUNK,)}
    for entry in (
        *(*head.columns, schema.SAMPLE_CHECKSUM),
        *(*schema.FRAME_COLUMNS, schema.FRAME_CHECKSUM),
    ):
        _create(file, entry, dtype=entry.dtype, **column)
    # A frame is a piece: reading one unpacks no other.
    of_frames = {"shape": (0, lattice.n_sites), "maxshape": (None, lattice.n_sites)}
    occupancy = {"chunks": (1, lattice.n_sites), "dtype": schema.FRAME_OCCUPANCY.dtype}
    _create(file, schema.FRAME_OCCUPANCY, **of_frames, **occupancy, shuffle=True, **packed)
    for entry, data in zip(schema.LATTICE_ENTRIES, arrays, strict=True):
        _create(file, entry, data=data, shuffle=True, **packed)
    column["chunks"] = (max(_MIN_CHUNK, lattice.n_sites // _SITES_PER_CHECKPOINT_CHUNK),)
    _create(file, schema.CHECKPOINT, dtype=schema.CHECKPOINT.dtype, **column)
    file.create_group(schema.TOTALS)
    for entry in schema.ATTRIBUTES:
        place = file[entry.path.partition("@")[0]]
        value = attributes[entry.path]
        place.attrs[entry.name] = (
            value if entry.dtype in ("text", "bool") else np.array(value, entry.dtype)[()]
        )


def texts(record: Mapping, origin: Mapping, stop_reason: str) -> dict[str, object]:
    """The attributes that repeat `/record` as text for readers; none has a zero byte."""
    values = {
        "/@kmc_version": record["kmc_version"],
        "/@run_file": record["run_file"],
        "/@resolved": json.dumps(record["resolved"], ensure_ascii=False),
        "/@seed": record["seed"],
        "/@stop_reason": stop_reason,
        "/@provenance": json.dumps(origin, ensure_ascii=False),
        **{f"/lattice@{name}": value for name, value in record["lattice"].items()},
    }
    return {
        path: _printable(value) if isinstance(value, str) else value
        for path, value in values.items()
    }


def _printable(text: str) -> str:
    """The text without what an attribute cannot hold: zero bytes and lone surrogates."""
    return _utf8(text.replace("\0", "\N{REPLACEMENT CHARACTER}")).decode()


def _utf8(text: str) -> bytes:
    """UTF-8 of JSON; lone surrogates, in file names that are not UTF-8, are escaped."""
    return text.encode("utf-8", "backslashreplace")


def append_samples(file: h5py.File, rows: np.ndarray) -> None:
    """Add rows of `Head.row_dtype` to `/samples`."""
    for name in rows.dtype.names or ():
        _extend(file[f"samples/{name}"], rows[name])
    _extend(file[schema.SAMPLE_CHECKSUM.path], schema.row_checksums(rows))
    _put_totals(file, totals(file).with_samples(rows))


def append_frames(file: h5py.File, rows: np.ndarray, occupancies: Sequence[np.ndarray]) -> None:
    """Add frames: rows of `FRAME_DTYPE`, and the occupancy of each."""
    checksums = [
        schema.frame_checksum(occupancy, row)
        for occupancy, row in zip(occupancies, rows, strict=True)
    ]
    dataset = file[schema.FRAME_OCCUPANCY.path]
    first = len(dataset)
    dataset.resize(first + len(occupancies), axis=0)
    # One by one: stacked they would be in memory a second time.
    for index, occupancy in enumerate(occupancies):
        dataset[first + index] = occupancy
    for name in rows.dtype.names or ():
        _extend(file[f"frames/{name}"], rows[name])
    _extend(file[schema.FRAME_CHECKSUM.path], np.array(checksums, dtype=np.int64))
    _put_totals(file, totals(file).with_frames(checksums))


def totals(file: h5py.File) -> schema.Totals:
    """Number of rows and frames, and their running checksums."""
    return schema.Totals(*file[schema.TOTALS].attrs[schema.TOTALS_ROWS.name].tolist())


def _put_totals(file: h5py.File, numbers: schema.Totals) -> None:
    # In place: an assignment would delete the attribute and create another one.
    value = np.array(numbers, schema.TOTALS_ROWS.dtype)
    file[schema.TOTALS].attrs.modify(schema.TOTALS_ROWS.name, value)


def put_checkpoint(file: h5py.File, data: bytes, *, exact: bool = False) -> None:
    """Replace the checkpoint. Its dataset shrinks at the end alone: HDF5 loses the space."""
    dataset = file[schema.CHECKPOINT.path]
    if exact or len(data) > len(dataset):
        dataset.resize(len(data), axis=0)
    dataset[: len(data)] = np.frombuffer(data, np.uint8)


def set_end(file: h5py.File, finished: bool, stop_reason: str) -> None:
    """Record whether the run finished, and why it ended."""
    file.attrs.modify("finished", finished)
    file.attrs.modify("stop_reason", _printable(stop_reason))
    _put_fixed(file[schema.RECORD.path], schema.RECORD_STOP_REASON, stop_reason)


def _create(file: h5py.File, entry: schema.Entry, **options: Any) -> h5py.Dataset:
    dataset = file.create_dataset(entry.path, **options)
    dataset.attrs["unit"] = entry.unit
    dataset.attrs["description"] = entry.description
    return dataset


def _put_fixed(dataset: h5py.Dataset, entry: schema.Entry, text: str) -> None:
    # Of fixed length, in the object header: HDF5 keeps other texts in a heap without a checksum.
    size = int(entry.dtype[2:])
    value = np.array(truncated(text, size), dtype=h5py.string_dtype("utf-8", size))
    dataset.attrs.modify(entry.name, value)


def truncated(text: str, size: int) -> bytes:
    """UTF-8 of a text, truncated to the length of an attribute."""
    # A character that is cut in two goes: the attribute must stay UTF-8.
    return _printable(text).encode()[:size].decode(errors="ignore").encode()


def _extend(dataset: h5py.Dataset, values: np.ndarray) -> None:
    first = len(dataset)
    dataset.resize(first + len(values), axis=0)
    dataset[first:] = values
