"""Reads files of runs of any kind: record and arrays, every number compared with its checksum.

`kmc.files.table_file` writes them; `kmc.files.earlier` reads those of kmc 0.1 and 0.2.
"""

import json
import math
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from pydantic import BaseModel

from kmc.errors import FileFormatError
from kmc.files import earlier
from kmc.files import integrity as guard
from kmc.files import table_file as schema
from kmc.files.integrity import Whole, check_layout, damaged

_FRAME_NUMBERS = 2**25  # in the arrays of all frames that are read at once; 256 MB
PIECE_NUMBERS = 2**22  # that a checksum is of, unless a row is longer


class _Quantity(BaseModel, strict=True, allow_inf_nan=False):
    value: float


class _Resolved(BaseModel, strict=True):
    run: dict[str, Any]
    parameters: dict[str, _Quantity]


class _Record(BaseModel, strict=True):
    """What readers rely on in the record."""

    system: str
    kmc_version: str
    stop_reason: str
    run_file: str
    finished: bool
    seed: Whole
    datasets: dict[str, Any]
    resolved: _Resolved


def load(path: str | Path, system: Any, only: str = "") -> Any:
    """Open a file of a kind of run, or those of its datasets alone whose path begins so.

    Raises `InputError`: there is no such file. `FileFormatError`: it is not one of kmc, is damaged,
    or of a newer schema.
    """
    path = Path(path)
    record, arrays = guard.read(path, lambda file: contents(file, system, only))
    try:
        return system.run_class(path, system, record, arrays)
    except guard.H5PY_ERRORS as problem:
        what = f"its record is not that of {system.noun} ({guard.reason_of(problem)})"
        raise FileFormatError(f"{path} is damaged: {what}") from None


def kind_of(file: h5py.File) -> str:
    """Name of the kind of run of an open file.

    Raises `FileFormatError`: it is none of kmc, or of a newer schema.
    """
    if _is_of_today(file):
        earlier.check_heaps(Path(file.filename))
        return str(guard.attribute(file, "system", "SO"))
    return earlier.kind_of(file)


def _is_of_today(file: h5py.File) -> bool:
    version = guard.root_number(file, schema.MARKER)
    if version is None:
        return False
    guard.checked_version(file, version, schema.MARKER.replace("_", " "), schema.SCHEMA_VERSION)
    return version > 1


def contents(
    file: h5py.File, system: Any, only: str = ""
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Record and arrays by path, all or those that begin so; every checksum is compared.

    Those that ``system.layout`` calls late are left to `kmc.files.table_run.TableRun.read`.

    Raises `FileFormatError`, `LookupError`, `TypeError`, `ValueError`: a newer schema, or a file
    that kmc did not write so.
    """
    if _is_of_today(file):
        record = _record(file)
        late = set() if only else system.layout.late & record["datasets"].keys()
        # All frames of a run that packs well may be a hundred times its file.
        frames = arrays_of_frames(record["datasets"])
        if sum(math.prod(record["datasets"][path][1]) for path in frames) > _FRAME_NUMBERS:
            late |= frames
        listed = [p for p in record["datasets"] if p.startswith(only) and p not in late]
        arrays = _arrays(file, record["datasets"], listed, late)
    else:
        record, arrays = earlier.contents(file)
        if system.complete is not None:
            system.complete(record, arrays)
    check_layout(record, _Record)
    _check_lengths(file, arrays, system.layout.group)
    if not only:
        _check_frames(file, arrays)
        for path in arrays_of_frames(record["datasets"]):
            if record["datasets"][path][1][0] != len(arrays["frames/sample"]):
                raise damaged(file, f"{path} has another number of frames than /frames/sample")
    return record, arrays


def arrays_of_frames(datasets: Mapping[str, Any]) -> set[str]:
    """Paths of the arrays of frames that can be read frame by frame."""
    # Of schema 2 a checksum is of all frames.
    return {
        path
        for path, entry in datasets.items()
        if path.startswith("frames/") and len(entry[1]) > 1 and len(entry) > 3
    }


def _record(file: h5py.File) -> dict[str, Any]:
    earlier.check_heaps(Path(file.filename))
    data = guard.record_bytes(file)
    # Before it is parsed: JSON from a damaged file may be deep or wrong in ways no check foresees.
    if zlib.crc32(data) != guard.root_number(file, "record_crc32"):
        raise damaged(file, "/record fails its checksum")
    record = json.loads(data)
    version = guard.root_number(file, schema.MARKER)
    for name, value in ({schema.MARKER: 2} | record).items():  # schema 2 did not repeat it
        if name in schema.ROOT and not _is_shown(file, name, value):
            raise damaged(file, f"its attribute {name} is not that of /record")
    labels = schema.RECORD_LABELS if schema.MARKER in record else ()
    _check_labels(file, schema.RECORD, file[schema.RECORD], labels)
    check_layout(record, _Record)
    return {**record, "schema_version": version}


def _is_shown(place: Any, name: str, value: Any) -> bool:
    """Whether an attribute is that of the record; a long text is shown in part."""
    stored = guard.attribute(place, name, "SOiufb")
    if isinstance(value, str):
        return stored in (schema.short_text(value), schema.short_text(value, schema.FIXED_BYTES))
    return bool(stored == value)


def _arrays(
    file: h5py.File, datasets: Mapping[str, Any], listed: Iterable[str], late: Iterable[str]
) -> dict[str, np.ndarray]:
    """Datasets that the record lists, with their types, shapes, labels and checksums.

    Of the `late` ones nothing is read but their labels.
    """
    places = {path: _place(file, path, datasets[path]) for path in listed}
    for path in late:
        _place(file, path, datasets[path], sized=False)
    arrays = guard.arrays_of(file, places)
    for path, values in arrays.items():
        _compare(file, path, values, datasets[path])
    return arrays


def _place(file: h5py.File, path: str, entry: list[Any], sized: bool = True) -> h5py.Dataset:
    """A dataset as the record describes it."""
    dtype, shape, *_ = entry
    place = guard.dataset(file, path, dimensions=len(shape), sized=sized)
    # A file that is being written may have more frames by now than when it was opened.
    same = place.shape == tuple(shape) if sized else place.shape[1:] == tuple(shape[1:])
    if place.dtype.str != dtype or not same or (shape and len(place) < shape[0]):
        raise damaged(file, f"{path} is {place.dtype} {place.shape}, and was {dtype} {shape}")
    _check_labels(file, path, place, entry[4:])
    return place


def _check_labels(file: h5py.File, path: str, place: h5py.Dataset, labels: Iterable[str]) -> None:
    """Refuse a dataset with another unit or description; schema 2 does not list them."""
    for name, label in zip(("unit", "description"), labels, strict=False):
        if not _is_shown(place, name, label):
            raise damaged(file, f"the {name} of {path} has changed")


def rows_of(file: h5py.File, path: str, entry: list[Any], rows: slice | None) -> np.ndarray:
    """Rows of a dataset, which are compared with the checksums of the pieces they lie in."""
    # Labels were compared when the file was opened, with its heaps.
    place = _place(file, path, entry[:4], sized=rows is None)
    n = entry[1][0]
    step = max(1, entry[3] if len(entry) > 3 else n)
    if rows is not None and step > 1 and step * math.prod(entry[1][1:]) > PIECE_NUMBERS:
        raise damaged(file, f"{path} has checksums of {step} rows each")
    start, stop, _ = (rows or slice(None)).indices(n)
    first, end = start // step * step, min(n, -(-stop // step) * step)
    if rows is None:
        values = guard.arrays_of(file, {path: place})[path]
    else:
        values = guard.rows_of(file, place, path, slice(first, end))
    _compare(file, path, values, entry, first // step)
    return values[start - first : stop - first]


def _compare(
    file: h5py.File, path: str, values: np.ndarray, entry: list[Any], first: int = 0
) -> None:
    """Refuse values whose pieces, from number `first` on, have other checksums."""
    # Of schema 2: one of all.
    checksums, step = (entry[2], entry[3]) if len(entry) > 3 else ([entry[2]], values.size)
    rows, step = np.atleast_1d(values), max(1, step)
    parts = [rows[start : start + step] for start in range(0, max(1, len(rows)), step)]
    found = [schema.checksum(part) for part in parts]
    expected = checksums[first : first + len(found)]
    if found != expected:
        at = next((i for i, (a, b) in enumerate(zip(found, expected, strict=False)) if a != b), 0)
        which = f"row {(first + at) * step} or after it" if step > 1 else f"row {first + at}"
        raise damaged(file, f"{path} fails its checksum, at {which}")


def _check_lengths(file: h5py.File, arrays: Mapping[str, np.ndarray], fixed: str) -> None:
    """Refuse columns of different lengths, and samples without a time."""
    lengths: dict[str, set[int]] = {}
    for path, values in arrays.items():
        group = path.rpartition("/")[0]
        if group in ("", fixed):
            continue
        if not values.ndim or (group != "frames" and values.ndim != 1):
            raise damaged(file, f"{path} has {values.ndim} dimensions")
        lengths.setdefault(group, set()).add(len(values))
    for group, found in lengths.items():
        if len(found) > 1:
            raise damaged(file, f"columns of /{group} differ in length")
    if "samples/time_s" not in arrays:
        raise damaged(file, "/samples/time_s is missing")


def _check_frames(file: h5py.File, arrays: Mapping[str, np.ndarray]) -> None:
    """Refuse frames of rows, and lists of frames, that do not exist."""
    if "frames/sample" not in arrays:
        raise damaged(file, "/frames/sample is missing")
    # A frame counts rows of its own replica, as the mean may have fewer.
    of = arrays.get("frames/replica", np.zeros(len(arrays["frames/sample"]), int))
    for row, replica in zip(arrays["frames/sample"], of, strict=True):
        own = arrays.get(f"replicas/{int(replica)}/time_s")
        rows = arrays["samples/time_s"] if own is None else own
        if not 0 <= row < len(rows):
            raise damaged(file, f"/frames/sample names row {row} of {len(rows)}")
    for path, values in arrays.items():
        if (
            path.endswith("/frame")
            and len(values)
            and not 0 <= values.min() <= values.max() < len(of)
        ):
            raise damaged(file, f"/{path} names a frame of {len(of)} that does not exist")
