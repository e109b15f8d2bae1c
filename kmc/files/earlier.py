"""Reads files of kmc 0.1 and 0.2: boxes of atoms of schema 1 and 2, and tables of schema 1.

What it gives is what `kmc.files.table_reader` gives of a file of today. It is not to be changed
with the format: it has no part in writing, and the files it reads are there already. Each row and
frame of a box has a checksum of its own, running ones count them, and one is of what does not
change; texts at the root, which HDF5 keeps in heaps without a checksum, are read of tables alone.
"""

import json
import mmap
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from kmc.errors import FileFormatError
from kmc.files import integrity as guard
from kmc.files.integrity import damaged

_BOX, _TABLES, _POPULATION = "schema_version", "system_schema", "population_schema"
_NEWEST_BOX = 2
_FRAME = ("events", "time_s", "capacity_monolayers", "capacity_mAh_cm2")
_LATTICE = {"positions_A": ("<f8", 2), "layer": ("<i4", 1), "chemistry": ("|u1", 1)}
_HEAP = b"GCOL\x01\0\0\0"


def kind_of(file: h5py.File) -> str:
    """Name of the kind of run of an open file of an earlier version.

    Raises `FileFormatError`: the file is none of kmc, or of a newer schema.
    """
    if (version := guard.root_number(file, _BOX)) is not None:
        guard.checked_version(file, version, "schema", _NEWEST_BOX)
        return "electrode"
    if _POPULATION in file.attrs:
        return "population"
    if guard.root_number(file, _TABLES) == 1:
        check_heaps(Path(file.filename))
        return str(file.attrs["system"])
    raise FileFormatError(
        f"{file.filename} is not a kmc trajectory: it is an HDF5 file without a {_TABLES}",
        advice="`kmc run` writes trajectories.",
    )


def contents(file: h5py.File) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Record and arrays by path of a file that `kind_of` knows; every checksum is compared.

    Of a box without the occupancies of its frames; `occupancy` reads these.

    Raises `FileFormatError`, `LookupError`, `TypeError`, `ValueError`: it is damaged.
    """
    if kind_of(file) == "electrode":
        return _box(file)
    return _tables(file)


# --- boxes of atoms -------------------------------------------------------------------------------


def _box(file: h5py.File) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    version = guard.root_number(file, _BOX)
    data = guard.record_bytes(file)
    record = json.loads(data)
    if not {"run_file", "resolved", "lattice", "columns", "seed"} <= record.keys():
        raise damaged(file, "its record is not that of a box of atoms")
    rows = _table(file, "samples", [name for name, _ in record["columns"]])
    frames = _table(file, "frames", _FRAME)
    names = [name for name in _LATTICE if guard.holds(file, f"lattice/{name}")]
    places = {
        f"lattice/{n}": guard.dataset(
            file, f"lattice/{n}", kinds=_LATTICE[n][:1], dimensions=_LATTICE[n][1]
        )
        for n in names
    }
    arrays = guard.arrays_of(file, places)
    checksums = np.array([zlib.crc32(row.tobytes()) for row in rows.numbers], np.int64)
    if len(wrong := np.flatnonzero(checksums != rows.checksums)):
        raise damaged(
            file, f"{len(wrong)} rows of /samples fail their checksum, the first is row {wrong[0]}"
        )
    record |= {
        "system": "electrode",
        "schema_version": version,
        "finished": bool(guard.root_number(file, "finished")),
        "stop_reason": guard.attribute(file["record"], "stop_reason", "S"),
        "datasets": {},
        "frame_checksums": frames.checksums.tolist(),
    }
    if record["stop_reason"] is None or guard.root_number(file, "seed") != record["seed"]:
        raise damaged(file, "its attributes are not those of its record")
    _check_end(file, record)
    if version == 2:  # schema 1 had it in the record
        record["provenance"] = json.loads(guard.attribute(file["record"], "provenance", "S"))
    if guard.holds(file, "totals"):
        _check_totals(file, record, rows, frames, [data, *arrays.values()])
    elif record.get("totals"):
        raise damaged(file, "/totals is missing")
    for group, table in (("samples", rows), ("frames", frames)):
        for name in table.numbers.dtype.names or ():
            arrays[f"{group}/{name}"] = table.numbers[name].copy()
    arrays["frames/sample"] = _rows_of_frames(file, rows.numbers, frames.numbers)
    if guard.holds(file, "checkpoint/end"):
        state = guard.dataset(file, "checkpoint/end", kinds=("|u1",))
        arrays |= guard.arrays_of(file, {"checkpoint": state})
    return record, arrays


class _Table(NamedTuple):
    """Columns of a group as rows, cut to the length that all have, and the checksum of each."""

    numbers: np.ndarray
    checksums: np.ndarray


def _table(file: h5py.File, group: str, names: list[str] | tuple[str, ...]) -> _Table:
    places = {
        name: guard.dataset(file, f"{group}/{name}", kinds=("<i8", "<f8"))
        for name in (*names, "crc32")
    }
    columns = guard.arrays_of(file, places)
    # A killed writer of kmc 0.1 could leave columns of different lengths.
    numbers = np.empty(
        min(len(values) for values in columns.values()),
        [(name, columns[name].dtype) for name in names],
    )
    for name in names:
        numbers[name] = columns[name][: len(numbers)]
    return _Table(numbers, columns["crc32"][: len(numbers)])


def _check_totals(
    file: h5py.File, record: Mapping[str, Any], rows: _Table, frames: _Table, constants: list[Any]
) -> None:
    """Refuse a file that lacks rows or frames, or in which what is written once has changed."""
    totals = file["totals"]
    n_rows, crc_rows, n_frames, crc_frames = guard.attribute(totals, "rows", "i")
    there = (len(rows.numbers), len(frames.numbers))
    more = there != (n_rows, n_frames) and record["finished"]
    if more or there[0] < n_rows or there[1] < n_frames:
        raise damaged(file, f"it has {there} samples and frames, and had {(n_rows, n_frames)}")
    # All rows one after the other: that one was moved, its own checksum does not see.
    if zlib.crc32(rows.numbers[:n_rows].tobytes()) != crc_rows:
        raise damaged(file, "/samples has another sequence of rows")
    if zlib.crc32(frames.checksums[:n_frames].astype("<i8").tobytes()) != crc_frames:
        raise damaged(file, "/frames has another sequence of frames")
    found = zlib.crc32(np.array(record["schema_version"], "<i8").tobytes())
    for part in constants:
        found = zlib.crc32(part, found)
    if found != guard.attribute(totals, "constants", "i"):
        raise damaged(file, "/record or /lattice fails its checksum")


def _rows_of_frames(file: h5py.File, rows: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """The row of `/samples` of each frame: that of the same time and events."""
    places: dict[tuple[float, int], int] = {}
    of_rows = zip(rows["time_s"].tolist(), rows["events"].tolist(), strict=True)
    for row, moment in enumerate(of_rows):
        places.setdefault(moment, row)
    moments = zip(frames["time_s"].tolist(), frames["events"].tolist(), strict=True)
    found = [places.get(moment, -1) for moment in moments]
    if -1 in found:
        raise damaged(file, f"frame {found.index(-1)} has the time of no row of /samples")
    return np.array(found, dtype=np.int64)


def occupancy(file: h5py.File, record: Mapping[str, Any], frame: Mapping[str, Any]) -> np.ndarray:
    """What each site of a box holds in a frame, of which the columns are given with its number."""
    path, index = "frames/occupancy", frame["index"]
    place = guard.dataset(file, path, kinds=("|u1",), dimensions=2, sized=False)
    sites = guard.rows_of(file, place, path, slice(index, index + 1))[0]
    moment = np.array([(*(frame[n] for n in _FRAME),)], "<i8,<f8,<f8,<f8")
    # The moment is in its checksum, too: frames that are exchanged fail.
    if (
        zlib.crc32(moment.tobytes(), zlib.crc32(sites.tobytes()))
        != record["frame_checksums"][index]
    ):
        raise damaged(file, f"frame {index} fails its checksum")
    return sites


# --- tables ---------------------------------------------------------------------------------------


def _tables(file: h5py.File) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Of a file with two texts in place of the record, and a checksum at each dataset."""
    check_heaps(Path(file.filename))
    name = _POPULATION if _POPULATION in file.attrs else _TABLES
    version = guard.checked_version(file, guard.root_number(file, name) or 0, name, 1)
    places = {
        path: guard.dataset(file, path, kinds=guard.NUMBERS, dimensions=None)
        for path in _paths(file)
    }
    arrays = guard.arrays_of(file, places)
    for path, values in arrays.items():
        if zlib.crc32(np.ascontiguousarray(values).data) != guard.attribute(places[path], "crc32"):
            raise damaged(file, f"{path} fails its checksum")
    texts = {name: arrays.pop(name).tobytes().decode() for name in ("run_file", "resolved")}
    record = {
        "system": kind_of(file),
        "kmc_version": str(file.attrs["kmc_version"]),
        "stop_reason": str(file.attrs["stop_reason"]),
        "finished": bool(guard.root_number(file, "finished")),
        "seed": guard.root_number(file, "seed"),
        "run_file": texts["run_file"],
        "resolved": json.loads(texts["resolved"]),
        "schema_version": version,
        "datasets": {},
    }
    # Attributes had no checksum: they must fit what had one.
    given = record["resolved"]["run"].get("random", {}).get("seed")
    if given is not None and record["seed"] != given:
        raise damaged(file, f"its seed is {record['seed']}, and that of its run {given}")
    _check_end(file, record)
    return record, arrays


def _check_end(file: h5py.File, record: Mapping[str, Any]) -> None:
    if record["finished"] != (record["stop_reason"] not in ("", "interrupted", "repaired")):
        reason = f"with stop_reason {record['stop_reason']!r}"
        raise damaged(file, f"finished is {record['finished']} {reason}")


def _paths(group: h5py.Group, prefix: str = "") -> Iterator[str]:
    """Datasets of a file, without following links."""
    for name in group:
        place = prefix + name
        if group.get(name, getlink=True).__class__ is not h5py.HardLink:
            raise damaged(group.file, f"/{place} is a link")
        if isinstance(group[name], h5py.Dataset):
            yield place
        elif place.count("/") > 1:  # replicas/0/NAME is the deepest, and groups may form a circle
            raise damaged(group.file, f"/{place} is a group")
        elif place != "checkpoint":  # arrays of that version's own state, which none takes up
            yield from _paths(group[name], f"{place}/")


def check_heaps(path: Path) -> None:
    """Refuse a file in whose heaps of texts HDF5 would go round for ever.

    Raises `FileFormatError`: a heap is damaged.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        place = content.find(_HEAP)
        while place >= 0:
            # HDF5 reads a heap object by object, for ever where one has no length: its objects
            # must fill it one after the other.
            end = place + int.from_bytes(content[place + 8 : place + 16], "little")
            at = place + 16 if end <= len(content) else end + 1
            while at + 16 <= end:
                index = int.from_bytes(content[at : at + 2], "little")
                length = int.from_bytes(content[at + 8 : at + 16], "little")
                # Object 0 is what is free, up to the end, its own head included.
                if index == 0:
                    at = end if at + length == end else end + 1
                    break
                at += 16 + (length + 7) // 8 * 8
            if at > end:
                raise FileFormatError(f"{path} is damaged: the texts at byte {place}")
            place = content.find(_HEAP, end)
