"""Checks of a file of a run before its content is used; the file is not trusted.

An HDF5 file can link to other files, name filters that load a library, and state sizes larger than
its content. A file of kmc does none of that, and one that does is refused: reading opens no other
file, loads no code, and takes no more memory than the stored bytes can fill.
"""

import contextlib
import math
import os
import re
import stat
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import h5py
import numpy as np
from pydantic import BaseModel, Field, ValidationError

from kmc.common import catalogue
from kmc.errors import FileFormatError, InputError

# Beyond 64 bits numpy would fail later, where no file is named any more.
Whole = Annotated[int, Field(ge=-(2**63), lt=2**63)]
NUMBERS = ("|u1", "|i1", "<u2", "<i2", "<u4", "<i4", "<u8", "<i8", "<f4", "<f8")
# gzip, shuffle, fletcher32: what kmc writes or wrote. Others may be plugins, which HDF5 would load.
_FILTERS = (h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32)
_MAX_PACKED = 1100  # bytes that one byte of gzip can unpack to; 1032 by its format
_SLACK_BYTES = 4096  # very short datasets, checksums included
_RECORD_BYTES = 2**24  # of JSON, which takes up to 30 times as much as Python objects
_CHUNK_BYTES = 2**24  # that are unpacked at once, unless a row is longer
_MAX_DATASETS = 10_000  # each replica has as many as there are columns
_MAX_CHUNKS = 2**20  # of all that is read at once; 5 s
_CHUNKS_AT_ONCE = 4096  # HDF5 takes 6 kB for each chunk of one reading
# All datasets are read at once. Maps that are nearly empty pack to a hundredth.
_BYTES, _BYTES_A_BYTE = 2**27, 48


def dataset(
    file: h5py.File,
    path: str,
    *,
    kinds: Sequence[str] = NUMBERS,
    dimensions: int | None = 1,
    sized: bool = True,
) -> h5py.Dataset:
    """A dataset of plain numbers that the file itself holds.

    - `path`: such as ``"samples/time_s"``.
    - `kinds`, `dimensions`: types that it may have, and its number of dimensions; None for any.
    - `sized`: all of it will be read, so that its length must agree with its stored bytes.

    Raises `FileFormatError`: the dataset is a link, is stored in another file, has a filter or type
    that files of kmc do not use, or a size beyond its stored bytes. `KeyError`: there is none.
    """
    place = _place_of(file, path)
    if not isinstance(place, h5py.h5d.DatasetID):
        raise _refused(file, path, "is not a dataset")
    plan = place.get_create_plist()
    if plan.get_layout() == h5py.h5d.VIRTUAL or plan.get_external_count():
        raise _refused(file, path, "keeps its numbers in another file")
    filters = [plan.get_filter(i)[0] for i in range(plan.get_nfilters())]
    if not set(filters) <= set(_FILTERS) or len(set(filters)) < len(filters):
        raise _refused(file, path, "is packed in a way that files of kmc are not")
    dtype, shape = place.dtype, place.shape
    if dtype.str not in kinds or dimensions not in (None, len(shape)):
        raise _refused(file, path, f"holds {dtype} in {len(shape)} dimensions")
    row = dtype.itemsize * math.prod(shape[1:])
    # Before a byte is read: numpy takes memory for what a dataset states, not for what it has.
    stated = row * (shape[0] if sized and shape else 1)
    packed = h5py.h5z.FILTER_DEFLATE in filters
    stored = min(place.get_storage_size() if sized else math.inf, bytes_on_disk(file))
    # Of a single row the file has more than that: positions of sites, other rows.
    most = stored * (_MAX_PACKED if packed else 1) + _SLACK_BYTES
    if packed and not sized:
        most = _BYTES + _BYTES_A_BYTE * stored
    if stated > most:
        raise damaged(file, f"{path} states {stated} bytes and has {stored}")
    opened = h5py.Dataset(place)
    if not packed:
        return opened
    pieces, of_a_piece = chunks_of(opened), dtype.itemsize * math.prod(opened.chunks)
    if of_a_piece > max(_CHUNK_BYTES, row):
        raise _refused(file, path, f"is packed in pieces of {opened.chunks}")
    # One row is read at once.
    in_a_row = pieces // max(1, -(-shape[0] // opened.chunks[0]))
    if pieces > _MAX_CHUNKS or in_a_row > _CHUNKS_AT_ONCE:
        raise damaged(file, f"{path} states {pieces} chunks of {opened.chunks}")
    if sized:
        places: list[tuple[tuple[int, ...], int]] = []
        place.chunk_iter(lambda info: places.append((info.chunk_offset, info.size)))
        if len(places) != pieces:
            raise damaged(file, f"{path} states {pieces} chunks and has {len(places)}")
        for offset, size in places:
            # What is not packed well needs no second look, which takes as long as all the rest.
            if size * _MAX_PACKED > of_a_piece + 2**26:
                _check_chunk(file, opened, path, offset)
    return opened


def holds(file: h5py.File, path: str) -> bool:
    """Whether the file itself has such a group or dataset."""
    try:
        _place_of(file, path)
    except KeyError:
        return False
    return True


def _place_of(file: h5py.File, path: str) -> Any:
    # h5py's own objects cost ten times as much, which counts where a sweep has thousands of files.
    # Not its ``in`` either, which follows links, and would wait for ever at one to a pipe.
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
    # The size alone, which HDF5 searches among all chunks, takes longer than the chunk.
    _, data = place.id.read_direct_chunk(offset)
    if len(data) * _MAX_PACKED <= size + 2**26:
        return
    if not zlib.decompressobj().decompress(data, size + _SLACK_BYTES)[size + 4 :]:
        return
    raise damaged(file, f"a piece of {path} holds more than {size}")


def arrays_of(file: h5py.File, places: Mapping[str, h5py.Dataset]) -> dict[str, np.ndarray]:
    """All numbers of datasets that were checked by `dataset`."""
    # Sizes are added up before a byte is read: empty chunks state what memory cannot hold.
    stated = sum(place.dtype.itemsize * math.prod(place.shape) for place in places.values())
    if (chunks := sum(map(chunks_of, places.values()))) > _MAX_CHUNKS:
        raise damaged(file, f"it states {chunks} chunks; at most {_MAX_CHUNKS} are allowed")
    if len(places) > _MAX_DATASETS or stated > _BYTES + _BYTES_A_BYTE * bytes_on_disk(file):
        raise damaged(file, f"it states {stated} bytes in {len(places)} datasets, more than it has")
    arrays = {}
    for path, place in places.items():
        # h5py's own selection at each call takes as long as the reading.
        arrays[path] = np.empty(place.shape, place.dtype)
        if chunks_of(place) > _CHUNKS_AT_ONCE:
            _read_rows(place, slice(0, len(place)), arrays[path])
        elif place.size:
            place.id.read(h5py.h5s.ALL, h5py.h5s.ALL, arrays[path])
    return arrays


def _read_rows(place: h5py.Dataset, rows: slice, into: np.ndarray) -> None:
    """Read rows of a dataset in chunks, some thousand of these at a time."""
    step = max(1, _CHUNKS_AT_ONCE * len(place) // max(1, chunks_of(place)))
    for start in range(rows.start, rows.stop, step):
        end = min(start + step, rows.stop)
        place.read_direct(into, np.s_[start:end], np.s_[start - rows.start : end - rows.start])


def chunks_of(place: h5py.Dataset) -> int:
    """Number of chunks of a dataset, 0 of one without."""
    return math.prod(-(-n // k) for n, k in zip(place.shape, place.chunks or (), strict=False))


def rows_of(file: h5py.File, place: h5py.Dataset, path: str, rows: slice) -> np.ndarray:
    """Some rows of a dataset that was checked by `dataset`, though not its length."""
    # Their own pieces alone are unpacked: those that are damaged elsewhere do not matter.
    if place.compression == "gzip":
        step, *across = place.chunks
        for start in range(rows.start // step * step, rows.stop, step):
            pieces = (-(-n // k) for n, k in zip(place.shape[1:], across, strict=True))
            for corner in np.ndindex(*pieces):
                offset = (start, *(int(i) * k for i, k in zip(corner, across, strict=True)))
                _check_chunk(file, place, path, offset)
    values = np.empty((rows.stop - rows.start, *place.shape[1:]), place.dtype)
    _read_rows(place, rows, values)
    return values


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


def record_bytes(file: h5py.File) -> bytes:
    """Bytes of `/record`; more than that of any run are a `FileFormatError`."""
    found = dataset(file, "record", kinds=("|u1",))
    if len(found) > _RECORD_BYTES:
        raise damaged(
            file, f"/record states {len(found)} bytes; at most {_RECORD_BYTES} are allowed"
        )
    return found[:].tobytes()


def check_layout(value: Any, layout: type[BaseModel], place: str = "record") -> None:
    """Refuse JSON of a file that has not the layout its readers rely on; it may have more keys.

    Raises `ValueError`: the message names the place.
    """
    try:
        layout.model_validate(value)
    except ValidationError as problem:
        first = problem.errors()[0]
        where = ".".join([place, *map(str, first["loc"])])
        raise ValueError(f"{where}: {first['msg']}") from None


def root_number(file: h5py.File, name: str) -> int | None:
    """An integer or boolean attribute of the root; None if there is no such number."""
    value = attribute(file, name, "iub")
    return None if value is None or isinstance(value, list) else int(value)


def attribute(place: Any, name: str, kinds: str = "Siufb") -> Any:
    """Text or numbers of an attribute as Python has them; None if there is none, or of other kinds.

    A text in a heap is one of the kind O, for who has checked the heaps: HDF5 goes round in a
    damaged one for ever.
    """
    attributes = place.attrs  # made anew at each asking
    if name not in attributes:
        return None
    stored = attributes.get_id(name)
    is_text = h5py.check_string_dtype(stored.dtype) is not None
    if stored.dtype.kind not in kinds or (stored.dtype.kind == "O" and not is_text):
        return None
    # Before it is read: what it states would take memory.
    if math.prod(stored.shape) > 16:
        raise ValueError(f"attribute {name} is a large array")
    value = attributes[name]
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value
