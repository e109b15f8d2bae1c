"""Checks of a trajectory file before its content is used; the file is not trusted.

An HDF5 file can link to other files, name filters that load a library, and state sizes larger than
its content. A trajectory does none of that, and a file that does is refused: reading opens no other
file, loads no code, and takes no more memory than the stored bytes can fill.
"""

from __future__ import annotations

import contextlib
import json
import math
import mmap
import os
import re
import stat
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.lib.recfunctions import repack_fields

from kmc.common import catalogue
from kmc.errors import FileFormatError, InputError
from kmc.files import schema
from kmc.files.record import check_record
from kmc.files.schema import FRAME_OCCUPANCY, LATTICE_ENTRIES, SCHEMA, SCHEMA_VERSION
from kmc.model.lattice import MAX_SITES_A_CELL

_ENTRIES = {entry.path: entry for entry in SCHEMA}
# gzip, shuffle, fletcher32: what kmc writes. Others may be plugins, which HDF5 would load.
_FILTERS = (h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32)
_MAX_PACKED = 1100  # bytes that one byte of gzip can unpack to; 1032 by its format
_SLACK_BYTES = 4096  # very short datasets, checksums included
# What a file of some size can take: see `rows`, `read_record` and `occupancies`.
_TABLE_BYTES_A_BYTE, _TABLE_BYTES = 16, 2**25  # columns of rows, which kmc itself does not pack
_SITES_A_BYTE, _SITES = 2, 2**22  # kmc's own boxes have at most 1.7, by their positions alone
_RECORD_BYTES = 2**24  # of JSON, which takes up to 30 times as much as Python objects
_CHUNK_BYTES = 2**24  # that are unpacked at once, unless a frame has more sites


def dataset(
    file: h5py.File,
    path: str,
    *,
    sized: bool = True,
    kinds: Sequence[str] | None = None,
    dimensions: int | None = 1,
    file_bytes: int | None = None,
) -> h5py.Dataset:
    """A dataset of plain numbers that the file itself holds.

    - `path`: such as ``"/samples/time_s"``.
    - `sized`: all of it will be read, so that its length must agree with its stored bytes.
    - `kinds`: types that it may have; those of trajectories, by their schema, without it.
    - `dimensions`: with `kinds`, its number of dimensions; any where it is None.
    - `file_bytes`: size of the file on disk, where it is known.

    Raises `FileFormatError`: the dataset is a link, is stored in another file, has a filter or type
    that trajectories do not use, or a size beyond its stored bytes. `KeyError`: there is none.
    """
    place = _place_of(file, path)
    if not isinstance(place, h5py.h5d.DatasetID):
        raise _refused(file, path, "is not a dataset")
    plan = place.get_create_plist()
    if plan.get_layout() == h5py.h5d.VIRTUAL or plan.get_external_count():
        raise _refused(file, path, "keeps its numbers in another file")
    filters = [plan.get_filter(i)[0] for i in range(plan.get_nfilters())]
    if not set(filters) <= set(_FILTERS) or len(set(filters)) < len(filters):
        raise _refused(file, path, "is packed in a way that a trajectory is not")
    entry = _ENTRIES.get(f"/{path.strip('/')}")
    if kinds is None:
        # Columns of the samples that the schema does not list are numbers of either kind.
        kinds = ("<i8", "<f8") if entry is None else (entry.dtype,)
        dimensions = 1 if entry is None else len(entry.shape.split(", "))
    dtype, shape = place.dtype, place.shape
    if dtype.str not in kinds or dimensions not in (None, len(shape)):
        raise _refused(file, path, f"holds {dtype} in {len(shape)} dimensions")
    file_size = bytes_on_disk(file) if file_bytes is None else file_bytes
    stored = place.get_storage_size() if sized else file_size
    row = dtype.itemsize * math.prod(shape[1:])
    # Before a byte is read: numpy takes memory for what a dataset states, not for what it has.
    stated = row * (shape[0] if sized else 1)
    packed = h5py.h5z.FILTER_DEFLATE in filters
    if stated > min(stored, file_size) * (_MAX_PACKED if packed else 1) + _SLACK_BYTES:
        raise damaged(file, f"{path} states {stated} bytes and has {stored}")
    found = h5py.Dataset(place)
    if packed and dtype.itemsize * math.prod(found.chunks) > max(_CHUNK_BYTES, row):
        raise _refused(file, path, f"is packed in pieces of {found.chunks}")
    if packed and sized and path.strip("/") != FRAME_OCCUPANCY.path.strip("/"):
        places: list[tuple[int, ...]] = []
        place.chunk_iter(lambda info: places.append(info.chunk_offset))
        for offset in places:
            _check_chunk(file, found, path, offset)
    return found


def holds(file: h5py.File, path: str) -> bool:
    """Whether the file itself has such a group or dataset.

    Not h5py's ``in``, which follows links, and would wait for ever at one to a pipe.
    """
    try:
        _place_of(file, path)
    except KeyError:
        return False
    return True


def _place_of(file: h5py.File, path: str) -> Any:
    # h5py's own objects cost ten times as much, which counts where a sweep has thousands of files.
    place: Any = file.id
    for name in path.strip("/").encode().split(b"/"):
        links = place.links
        if not links.exists(name):
            raise KeyError(f"object {name.decode()!r} doesn't exist")
        if links.get_info(name).type != h5py.h5l.TYPE_HARD:
            raise _refused(file, path, "is a link, which could lead to another file")
        place = h5py.h5o.open(place, name)
    return place


def bytes_on_disk(file: h5py.File) -> int:
    """Size of a file; little for one that is mostly holes, unless its disk packs it."""
    size = file.id.get_filesize()
    # A sparse file states bytes that no disk holds; file systems that pack need some allowance.
    with contextlib.suppress(OSError, TypeError, ValueError, AttributeError):
        return min(size, 2**26 + 32 * 512 * os.stat(file.filename).st_blocks)
    return size


def _check_chunk(file: h5py.File, place: h5py.Dataset, path: str, offset: tuple[int, ...]) -> None:
    """Refuse a packed piece that holds more than its size: HDF5 would unpack all of it."""
    size = place.dtype.itemsize * math.prod(place.chunks)
    info = place.id.get_chunk_info_by_coord(offset)
    if info.size is None or info.size * _MAX_PACKED <= size + 2**26:
        return
    if info.size <= 2 * size + _SLACK_BYTES:
        _, data = place.id.read_direct_chunk(offset)
        if not zlib.decompressobj().decompress(data, size + _SLACK_BYTES)[size + 4 :]:
            return
    raise damaged(file, f"a piece of {path} holds more than {size}")


def rows(
    file: h5py.File, group: str, names: Sequence[str]
) -> tuple[np.ndarray, np.ndarray, dict[str, int]]:
    """Rows of `/samples` or `/frames`, their checksums, and the length of each column by path.

    They are cut to the rows that every column has; the checksums are not compared.

    Raises `FileFormatError`, `KeyError`: as for `dataset`; also where two columns are one and the
    same dataset, or the columns state more than the file can hold.
    """
    size = bytes_on_disk(file)
    columns = {
        name: dataset(file, f"{group}/{name}", file_bytes=size)
        for name in (*names, schema.CHECKSUM)
    }
    if len({h5py.h5o.get_info(column.id).addr for column in columns.values()}) < len(columns):
        raise _refused(file, f"/{group}", "gives one column several names")
    stated = sum(column.dtype.itemsize * len(column) for column in columns.values())
    if stated > _TABLE_BYTES_A_BYTE * size + _TABLE_BYTES:
        raise damaged(file, f"/{group} states {stated} bytes")
    lengths = {f"/{group}/{name}": len(column) for name, column in columns.items()}
    # A killed writer of kmc 0.1 could leave columns of different lengths.
    found = np.empty(min(lengths.values()), [(name, columns[name].dtype) for name in columns])
    for name, column in columns.items():
        found[name] = values_of(column)[: len(found)]
    return repack_fields(found[list(names)]), found[schema.CHECKSUM].copy(), lengths


def values_of(place: h5py.Dataset) -> np.ndarray:
    """All numbers of a dataset that has been checked."""
    values = np.empty(place.shape, place.dtype)
    # h5py's own selection at each call takes as long as the reading.
    if values.size:
        place.id.read(h5py.h5s.ALL, h5py.h5s.ALL, values)
    return values


def fixed_text(file: h5py.File, entry: schema.Entry) -> str:
    """An attribute of `/record` of fixed length."""
    attribute = dataset(file, schema.RECORD.path).attrs.get_id(entry.name)
    if attribute.dtype.kind != "S" or attribute.shape or attribute.dtype.itemsize > 2**16:
        raise ValueError(f"{entry.path} is not a text")
    value = bytes(file[schema.RECORD.path].attrs[entry.name])
    return value.decode(errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}")


def lattice(file: h5py.File, box: dict[str, Any]) -> dict[str, np.ndarray]:
    """`/lattice`, name of the dataset to its numbers; HDF5 checks its checksums.

    An older file has no chemistry. Raises as `occupancies`, and where one is longer than the box.
    """
    n_sites = occupancies(file, box).shape[1]
    found = {}
    for entry in LATTICE_ENTRIES:
        if not holds(file, entry.path):
            continue
        values = dataset(file, entry.path)
        if math.prod(values.shape) > 3 * n_sites:
            raise damaged(
                file, f"{entry.path} has shape {values.shape}, and the box {n_sites} sites"
            )
        found[entry.name] = values[:]
    return found


def occupancy(file: h5py.File, box: dict[str, Any], index: int) -> np.ndarray:
    """Occupancy of one frame, without a look at its checksum."""
    # Its own piece alone is unpacked: frames that are still to come, or damaged, do not matter.
    found = occupancies(file, box, sized=False)
    if found.compression == "gzip":
        frames, sites = found.chunks
        for site in range(0, found.shape[1], sites):
            _check_chunk(file, found, FRAME_OCCUPANCY.path, (index // frames * frames, site))
    return found[index]


def occupancies(file: h5py.File, box: dict[str, Any], *, sized: bool = True) -> h5py.Dataset:
    """The occupancies of the frames; they must have as many sites as the lattice of the record.

    Raises as `dataset`; `ValueError`: they do not fit, and a lattice as large as the record states
    could exhaust the memory.
    """
    found = dataset(file, FRAME_OCCUPANCY.path, sized=sized)
    n_sites = len(dataset(file, LATTICE_ENTRIES[1].path, sized=False))
    unit_cells = math.prod(box["cells"]) * box["layers"]
    most = MAX_SITES_A_CELL * unit_cells
    if found.shape[1:] != (n_sites,) or unit_cells < 1 or n_sites % unit_cells or n_sites > most:
        raise ValueError(f"frames of shape {found.shape[1:]} do not fit the lattice")
    check_box(file, box, n_sites)
    return found


def check_box(file: h5py.File, box: dict[str, Any], n_sites: int = 0) -> None:
    """Refuse a box with more sites than a file of this size can hold."""
    n_sites = max(n_sites, math.prod(box["cells"]) * box["layers"])
    if n_sites > max(_SITES, _SITES_A_BYTE * bytes_on_disk(file)):
        raise damaged(file, f"it states {n_sites} sites, more than a file of its size can hold")


def damaged(file: h5py.File, what: str) -> FileFormatError:
    """The error that says what is damaged in a file."""
    return FileFormatError(f"{file.filename} is damaged: {what}")


def _refused(file: h5py.File, path: str, what: str) -> FileFormatError:
    return FileFormatError(f"{file.filename} is not a kmc trajectory: {path} {what}")


# --- opening a file that may be damaged, of another program, or still being written ---

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_NOT_OURS = "is not a kmc trajectory"
_MADE_BY = "`kmc run` writes trajectories, `kmc upscale` populations of voids."
_LOCKING = "file locking"  # in what HDF5 says of a file opened twice in one process, in two ways
# What h5py and numpy raise over content they cannot make sense of.
H5PY_ERRORS = (
    OSError,
    RuntimeError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    MemoryError,
    ArithmeticError,
)


def read(path: Path, reader: Callable[[h5py.File], Any]) -> Any:
    """Result of ``reader(file)``; any error is an `InputError` or `FileFormatError` on the file."""
    check_readable(path)
    try:
        with open_to_read(path) as file:
            return reader(file)
    except FileFormatError:
        raise
    except H5PY_ERRORS as damage:
        reason = reason_of(damage)
        if isinstance(damage, OSError) and _LOCKING in reason:
            raise FileFormatError(
                f"{path} is open elsewhere in this process, with file locking that does not "
                f"match: {reason}",
                advice="Close that h5py.File first, or open it after kmc.load.",
            ) from None
        # What lacks a part of ours was written by another program, and is not damaged.
        verdict = _NOT_OURS if "doesn't exist" in reason else "is damaged"
        raise FileFormatError(f"{path} {verdict}: {reason}") from None


@contextlib.contextmanager
def open_to_read(path: Path) -> Iterator[h5py.File]:
    """A file open for reading, without a lock.

    A file that is open elsewhere in this process must be opened with the locking it has there.
    """
    problem: OSError | None = None
    for locking in (False, None, True):
        try:
            file = h5py.File(path, "r", locking=locking)
            break
        except OSError as refused:
            if _LOCKING not in str(refused):
                raise
            problem = problem or refused
    else:
        assert problem is not None
        raise problem
    with file:
        yield file


def check_readable(path: Path) -> None:
    """Check what needs no HDF5: missing, a folder, unreadable, empty, not HDF5, truncated."""
    try:
        mode = path.stat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):  # reading from a pipe would block
            raise InputError(f"{path} is not a regular file", advice="Give a trajectory file.")
        with path.open("rb") as file:
            head = file.read(64)
            size = file.seek(0, 2)
    except FileNotFoundError:
        advice = "`kmc run` writes trajectories."
        if (shipped := catalogue.use_of(str(path))) is not None:
            advice = f"{path} is {shipped[0]}: {shipped[1]}"
        raise InputError(f"{path}: no such file", advice=advice) from None
    except IsADirectoryError:
        raise InputError(
            f"{path} is a folder",
            advice="Give a trajectory file; kmc report shows the folder of a sweep or a study.",
        ) from None
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or problem
        raise InputError(f"{path} cannot be read: {reason}") from None
    if not size:
        raise FileFormatError(f"{path} is empty", advice=_MADE_BY)
    if not head.startswith(_SIGNATURE):
        raise FileFormatError(f"{path} {_NOT_OURS}: it is not an HDF5 file", advice=_MADE_BY)
    # The superblock, of version 2 or 3, states the end of the file.
    end = int.from_bytes(head[28:36], "little")
    if head[8:10] in (b"\x02\x08", b"\x03\x08") and size < end:
        raise FileFormatError(f"{path} is cut short: {size} bytes are left of {end}")


def is_hdf5(path: Path) -> bool:
    """Whether there is a regular file that begins like HDF5; no other reason is given."""
    if not os.path.isfile(path):
        return False
    with contextlib.suppress(OSError), path.open("rb") as file:
        return file.read(len(_SIGNATURE)) == _SIGNATURE
    return False


def reason_of(problem: Exception) -> str:
    """Reason in a message of h5py, which has it in parentheses behind the operation."""
    text = " ".join(str(problem.args[0] if problem.args else "").split())
    reason = re.fullmatch(r"[^(]*\((.+)\)\.?", text)
    return (reason[1] if reason else text) or type(problem).__name__


def schema_version(file: h5py.File) -> int:
    """Schema of an open file; a newer one than this kmc reads is a `FileFormatError`."""
    version = root_number(file, "schema_version")
    if version is None:
        what = "it is an HDF5 file without a schema_version"
        raise FileFormatError(f"{file.filename} {_NOT_OURS}: {what}")
    return checked_version(file, version, "schema", SCHEMA_VERSION)


def checked_version(file: h5py.File, version: int, what: str, newest: int) -> int:
    """The version of a schema, such as "system schema"; one not known is a `FileFormatError`."""
    if version < 1:
        raise damaged(file, f"its {what} is {version}, and the first was 1")
    if version > newest:
        raise FileFormatError(
            f"{file.filename} has {what} {version}, but this kmc reads up to {what} {newest}: "
            "update kmc"
        )
    return version


def read_record(file: h5py.File) -> tuple[int, dict[str, Any]]:
    """Schema version and the JSON of ``/record``, with the layout that the readers rely on.

    Raises `FileFormatError`, `KeyError`, `ValueError`: it is missing, not JSON, larger than any
    run's, or has another layout.
    """
    version = schema_version(file)
    record = json.loads(record_bytes(file))
    check_record(record, schema.required_columns(version))
    return version, record


def record_bytes(file: h5py.File) -> bytes:
    """Bytes of `/record`; more than that of any run are a `FileFormatError`."""
    found = dataset(file, schema.RECORD.path)
    if len(found) > _RECORD_BYTES:
        raise damaged(
            file, f"/record states {len(found)} bytes; at most {_RECORD_BYTES} are allowed"
        )
    return found[:].tobytes()


def root_number(file: h5py.File, name: str) -> int | None:
    """An integer or boolean attribute of the root; None if there is no such number."""
    value = attribute(file, name, "iub")
    return None if value is None or isinstance(value, list) else int(value)


def totals(file: h5py.File) -> tuple[schema.Totals, int] | None:
    """Counts and running checksums, and the checksum of what is constant; None in an older file."""
    if not holds(file, schema.TOTALS):
        return None
    rows, constants = (
        attribute(file[schema.TOTALS], entry.name, "i")
        for entry in (schema.TOTALS_ROWS, schema.TOTALS_CONSTANTS)
    )
    if np.shape(rows) != (len(schema.Totals()),) or type(constants) is not int:
        raise ValueError(f"{schema.TOTALS} holds something else than counts and checksums")
    return schema.Totals(*rows), constants


# --- the text attributes, which HDF5 keeps in heaps without a checksum ---

_HEAP = b"GCOL\x01\0\0\0"


def check_heaps(path: Path) -> None:
    """Refuse a file in whose heaps HDF5 would go round for ever; `attribute` is for files without.

    Raises `FileFormatError`: a heap is damaged.
    """
    with (
        Path(path).open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
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


def labels_checksum(file: h5py.File, paths: Iterable[str]) -> int:
    """`schema.labels_checksum` of the datasets as the file labels them."""
    return schema.labels_checksum(
        (path, attribute(file[path], "unit"), attribute(file[path], "description"))
        for path in paths
    )


def attribute(place: Any, name: str, kinds: str = "") -> Any:
    """Text or numbers of an attribute as Python has them; None if there is none, or of other kinds.

    Without `kinds` it may be a text in a heap, which `check_heaps` looks at before.
    """
    if name not in place.attrs:
        return None
    stored = place.attrs.get_id(name)
    if kinds and stored.dtype.kind not in kinds:
        return None
    # Before it is read: what it states would take memory.
    if math.prod(stored.shape) > 16:
        raise ValueError(f"attribute {name} is a large array")
    value = place.attrs[name]
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value
