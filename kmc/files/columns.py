"""The columns of `/samples` of a file of tables without the rest of it.

A sweep asks thousands of files for their numbers and for nothing else: frames and lists of things,
most of a file, are not read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from kmc.errors import FileFormatError
from kmc.files import integrity as guard
from kmc.files import table_file as schema
from kmc.files.table_run import KINDS, _check_record, _record

_GROUP = "samples/"


@dataclass(frozen=True)
class Sampled:
    """What a file of tables says of its run, with its samples alone.

    Attributes
    ----------
    path : Path
    kind, stop_reason : str
    finished : bool
    facts : dict
    samples : dict of str to ndarray, shape (n_rows,)
    """

    path: Path
    kind: str
    stop_reason: str
    finished: bool
    facts: Mapping[str, Any]
    samples: dict[str, np.ndarray]


def read_samples(path: str | Path) -> Sampled | None:
    """The samples of a file of tables; None for a file of another layout, or of an earlier one.

    Raises
    ------
    InputError, FileFormatError
        As for `kmc.load`; what is not read is not checked.
    """
    path = Path(path)
    guard.check_readable(path)
    guard.check_heaps(path)  # before HDF5 reads a text of an attribute
    return guard.read(path, lambda file: _read(path, file))


def _read(path: Path, file: h5py.File) -> Sampled | None:
    if guard.root_number(file, schema.MARKER) != schema.SCHEMA_VERSION:
        return None
    record = _record(file)
    _check_record(file, record)
    size, samples = guard.bytes_on_disk(file), {}
    for name, (dtype, shape, crc) in record["datasets"].items():
        if not name.startswith(_GROUP):
            continue
        found = guard.dataset(file, name, kinds=KINDS, dimensions=1, file_bytes=size).id
        values = np.empty(found.shape, found.dtype)
        if values.dtype.str != dtype or list(values.shape) != list(shape):
            raise FileFormatError(f"{path} is damaged: {name} is not what its record states")
        # h5py's own way of reading takes as long as the rest together.
        found.read(h5py.h5s.ALL, h5py.h5s.ALL, values)
        if schema.checksum(values) != crc:
            raise FileFormatError(f"{path} is damaged: {name} fails its checksum")
        samples[name.removeprefix(_GROUP)] = values
    if len({len(values) for values in samples.values()}) > 1 or "time_s" not in samples:
        raise FileFormatError(f"{path} is damaged: columns of /samples differ in length")
    return Sampled(
        path,
        record["system"],
        record["stop_reason"],
        record["finished"],
        record["resolved"]["facts"],
        samples,
    )
