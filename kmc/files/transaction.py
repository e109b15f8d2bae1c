"""Crash-safe changes of an HDF5 file.

To append a row, HDF5 rewrites several places of a file, and a process that dies between those
writes leaves a file that cannot be opened. Here HDF5 writes into a `Transaction` instead: its
writes stay in memory until `commit` applies them, in an order that leaves a valid file after every
single write:

1. everything beyond the old end of the file, to which nothing points yet, and behind it a journal
   of steps 2 to 4; then the file is synchronised;
2. the superblock, which now admits the new end;
3. changes inside the old file that are not object headers: chunk indices, unused rows of chunks;
4. object headers, which hold the lengths of the datasets and so make the new rows visible; then the
   file is synchronised again.

So after a kill the file on disk is a complete, closed HDF5 file: no flag marks it as open, and any
program reads it. After a power cut any part of what was not synchronised may be missing, down to
single sectors. Before the first synchronisation that is nothing the file needs; after it the
journal, which has a checksum, holds all that may be missing: `recovered` reads the file with it,
and `complete` applies it before a run goes on. HDF5's own answer, SWMR, orders its writes likewise
but marks the file as open for writing: after a kill it needs repair before a plain reader, or the
resumed run, can open it.

This relies on two properties of HDF5: it passes every metadata object to a Python file object in
one write, and rows stay where they were written (rows of an uncompressed chunk are overwritten with
the same bytes; a compressed chunk holds one frame and is written once). The tests check both by
opening the file after each write of a commit.
"""

from __future__ import annotations

import contextlib
import io
import os
import struct
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

SIGNATURE = b"\x89HDF\r\n\x1a\n"
_OBJECT_HEADERS = (b"OHDR", b"OCHK")
# The journal of a commit: changes as offset, length and bytes; then at the very end of the file
# the end of the HDF5 file before it, the length of the changes, their checksum, and this name.
_CHANGE = struct.Struct("<QI")
_FOOTER = struct.Struct("<QQI12s")
_JOURNAL = b"kmc journal\n"
_LARGEST_CHANGE = 2**16  # larger ones are numbers with checksums of their own: checkpoints
_MOST_CHANGES = 4096  # of a journal; a commit makes a few of each column


class Change(NamedTuple):
    """Bytes inside the file that a commit replaces."""

    offset: int
    new: bytes
    old: bytes


def stored_end(head: bytes) -> int | None:
    """End of the file in bytes that the superblock at its start names; None if there is none.

    Parameters
    ----------
    head : bytes
        The first 36 bytes or more of the file.
    """
    if len(head) < 36 or not head.startswith(SIGNATURE) or head[8] not in (2, 3) or head[9] != 8:
        return None
    return struct.unpack_from("<Q", head, 28)[0]


class Transaction(io.RawIOBase):
    """A file with pending changes, for `h5py.File`; the disk changes in `commit` alone.

    Parameters
    ----------
    path : Path
        An existing file.
    writable : bool
        Without it there is no `commit`.

    Attributes
    ----------
    base_size : int
        End of the file on disk in bytes. Bytes that an interrupted commit left behind the end the
        superblock names do not count.
    """

    def __init__(self, path: str | Path, *, writable: bool = True):
        super().__init__()
        self._path = path
        how = "r+b" if writable else "rb"
        self._file = open(path, how, buffering=0)  # noqa: SIM115 - closed in close()
        size = self._file.seek(0, os.SEEK_END)
        self.base_size = min(size, stored_end(self._on_disk(0, min(size, 64))) or size)
        self._patches: dict[int, bytes] = {}  # offset of a write inside the old file: its bytes
        self._tail = bytearray()  # the file beyond base_size
        self._position = 0

    def __repr__(self) -> str:
        return str(self._path)  # h5py takes it for the name of the file

    # --- the file as HDF5 sees it -----------------------------------------------------------------

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    @property
    def size(self) -> int:
        """Size of the file with all changes, bytes."""
        return self.base_size + len(self._tail)

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size}[whence]
        self._position = start + offset
        return self._position

    def readinto(self, buffer) -> int:
        view = memoryview(buffer).cast("B")
        data = self._changed(self._position, min(len(view), max(0, self.size - self._position)))
        view[: len(data)] = data
        self._position += len(data)
        return len(data)

    def write(self, data) -> int:
        data, start = bytes(data), self._position
        inside = max(0, min(len(data), self.base_size - start))
        if inside:
            self._patches.pop(start, None)  # so that the dict keeps the order of writing
            self._patches[start] = data[:inside]
        if inside < len(data):
            first, last = start + inside - self.base_size, start + len(data) - self.base_size
            self._tail.extend(bytes(max(0, last - len(self._tail))))
            self._tail[first:last] = data[inside:]
        self._position += len(data)
        return len(data)

    def truncate(self, size: int | None = None) -> int:
        size = self._position if size is None else size
        beyond = max(0, size - self.base_size)
        del self._tail[beyond:]
        self._tail.extend(bytes(beyond - len(self._tail)))
        return size

    def flush(self) -> None:
        """Does nothing: changes reach the disk in `commit` alone."""

    def close(self) -> None:
        self._file.close()
        super().close()

    def _changed(self, start: int, count: int) -> bytes:
        """Bytes of the file with the changes applied."""
        inside = max(0, min(count, self.base_size - start))
        data = bytearray(self._on_disk(start, inside))
        for offset, patch in self._patches.items():
            low, high = max(offset, start), min(offset + len(patch), start + inside)
            if low < high:
                data[low - start : high - start] = patch[low - offset : high - offset]
        if inside < count:
            first = start + inside - self.base_size
            data += self._tail[first : first + count - inside]
        return bytes(data)

    def _on_disk(self, start: int, count: int) -> bytes:
        self._file.seek(start)
        data = bytearray()
        while len(data) < count and (piece := self._file.read(count - len(data))):
            data += piece
        return bytes(data) + bytes(count - len(data))

    # --- commit -----------------------------------------------------------------------------------

    def changes(self) -> list[Change]:
        """Changes inside the old file in the order of their writing."""
        indices: list[Change] = []
        headers: list[Change] = []
        for offset, patch in sorted(self._patches.items()):
            old, new = self._on_disk(offset, len(patch)), self._changed(offset, len(patch))
            if old == new:
                continue
            # Only the bytes that differ: rows that others may be reading are not rewritten.
            first, last = _span_of_difference(old, new)
            change = Change(offset + first, new[first:last], old[first:last])
            (headers if new.startswith(_OBJECT_HEADERS) else indices).append(change)
        return [*indices, *headers]  # sorted by offset: the superblock is the first

    def commit(self) -> None:
        """Apply the changes.

        Raises
        ------
        OSError
            The disk is full or fails; the file is then what it was.
        """
        changes, done = self.changes(), []
        if not (changes or self._tail):
            return
        self._file.truncate(self.base_size)
        try:
            self._write(self.base_size, bytes(self._tail) + _journal(self.size, changes))
            self._sync()
            for change in changes:
                done.append(change)
                self._write(change.offset, change.new)
            self._sync()
        except OSError:
            with contextlib.suppress(OSError):
                for change in reversed(done):
                    self._write(change.offset, change.old)
                self._file.truncate(self.base_size)
            raise
        self.base_size = self.size
        self._patches.clear()
        self._tail.clear()

    def settle(self) -> None:
        """Cut off the journal, once no commit follows."""
        self._file.truncate(self.base_size)
        self._sync()

    def _sync(self) -> None:
        os.fsync(self._file.fileno())

    def _write(self, offset: int, data: bytes) -> None:
        self._file.seek(offset)
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]


def _span_of_difference(old: bytes, new: bytes) -> tuple[int, int]:
    """First and one past the last place at which two different strings of one length differ."""
    places = np.flatnonzero(np.frombuffer(old, np.uint8) != np.frombuffer(new, np.uint8))
    return int(places[0]), int(places[-1]) + 1


def _journal(end: int, changes: list[Change]) -> bytes:
    body = b"".join(
        _CHANGE.pack(change.offset, len(change.new)) + change.new
        for change in changes
        if len(change.new) <= _LARGEST_CHANGE
    )
    return body + _FOOTER.pack(end, len(body), zlib.crc32(body), _JOURNAL)


def recovered(path: Path) -> Transaction | None:
    """The file as its last commit would have left it; None where it is so or that is not known.

    Nothing on the disk changes: the journal behind the end of the file is applied in memory.
    """
    file = Transaction(path, writable=False)
    file.base_size = file._file.seek(0, os.SEEK_END)
    start = file.base_size - _FOOTER.size
    end, length, checksum, name = _FOOTER.unpack(file._on_disk(max(0, start), _FOOTER.size))
    body = file._on_disk(start - length, length) if 0 <= length <= start else b""
    if name != _JOURNAL or end + length != start or zlib.crc32(body) != checksum:
        file.close()
        return None
    place = 0
    while place + _CHANGE.size <= length and len(file._patches) < _MOST_CHANGES:
        offset, size = _CHANGE.unpack_from(body, place)
        place += _CHANGE.size + size
        if offset + size > end:
            break
        file._patches[offset] = body[place - size : place]
    file.base_size = end
    # A journal that kmc did not write may have any content.
    if place != length or all(
        file._on_disk(offset, len(data)) == data for offset, data in file._patches.items()
    ):
        file.close()
        return None
    return file


def complete(path: Path) -> bool:
    """Apply the journal of an interrupted commit to the disk; whether there was anything to apply.

    Nobody else may be writing the file.

    Raises
    ------
    OSError
        The file cannot be written; what it holds is safe, and this can be repeated.
    """
    file = recovered(path)
    if file is None:
        return False
    with file, open(path, "r+b", buffering=0) as disk:
        for offset, data in file._patches.items():  # object headers stand last, as in a commit
            disk.seek(offset)
            disk.write(data)
        os.fsync(disk.fileno())
        disk.truncate(file.base_size)
        os.fsync(disk.fileno())
    return True
