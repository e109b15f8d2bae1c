"""A file that is replaced whole at each save, and locked while a run writes it.

So it is a complete HDF5 file at every moment, after a kill or a power cut, too, and any program
reads it while the run goes on.
"""

import contextlib
import os
import shutil
import struct
from pathlib import Path

from kmc.common.outputs import draft_of, put_in_place, remove_drafts, room
from kmc.errors import KmcError, OutputError

try:
    from fcntl import F_OFD_SETLK, F_WRLCK, fcntl

    _CAN_LOCK = True
except ImportError:  # not on Linux: a second writer is detected at the next save of the first
    _CAN_LOCK = False


class SavedWhole:
    """The place of a file on the disk."""

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.target = Path(os.path.realpath(path))  # a link stays one
        self._saved: str | None = None
        self._lock: WriteLock | None = None
        self._identity: os.stat_result | None = None
        # Of writers that were killed: a draft is as large as the file.
        remove_drafts(self.target.parent, self.target.name)

    def hold(self) -> None:
        """Lock the file that is there, which this one will replace at its first save.

        Raises `OutputError`: another process writes it, or it may not be written.
        """
        self._lock, self._identity = WriteLock(self.target), os.stat(self.target)

    def save(self, content: memoryview, until_s: float | None = None) -> None:
        """Save; `until_s` is the time of the last row, for messages.

        Raises `KmcError`: the disk is full or fails, or the file was moved, removed or replaced
        meanwhile. What was saved before is safe in the file; this can be tried again. `OutputError`
        at the first time: a file that was there is what it was.
        """
        try:
            if self._identity is None and self.target.is_file():
                self.hold()  # another run with this output has saved first, and goes on
            # Two runs with one output would replace each other's file at each save.
            if self._identity and not os.path.samestat(os.stat(self.target), self._identity):
                raise KmcError(
                    f"{self.path} was replaced or changed by another process during the run",
                    advice="Give each run an output of its own.",
                )
            self._put(content, until_s)
        except FileNotFoundError:
            raise KmcError(
                f"{self.path} was moved or removed during the run",
                advice="Leave the output in place until the run has ended.",
            ) from None
        except OSError as problem:
            if self._saved is None:
                free = shutil.disk_usage(self.target.parent).free
                kept = f" {self.path} is what it was before." if self.target.exists() else ""
                raise OutputError(
                    f"output {self.path} cannot be written: {problem.strerror or problem}",
                    advice=f"It needs {content.nbytes / 1e6:.3g} MB or more to begin with. "
                    + room(
                        problem,
                        f"{free / 1e6:.3g} MB are free: give another place, or free space there.",
                    )
                    + kept,
                ) from None
            raise KmcError(
                f"{self.path} cannot be written further: {problem.strerror or problem}",
                advice=f"{room(problem, 'Is the disk full?')} {self._saved} is safe in the file.",
            ) from None

    def _put(self, content: memoryview, until_s: float | None) -> None:
        """Write the file as a draft, lock it, and give it its name."""
        draft = draft_of(self.target)
        lock = None
        try:
            draft.write_bytes(content)
            lock = WriteLock(draft)  # before it has its name: there is no moment without a lock
            put_in_place(draft, self.target)
        except BaseException:
            if lock is not None:
                lock.release()
            raise
        finally:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)
        # The old file's lock goes only now that the new one, under its own lock, has the name.
        self.release()
        self._lock, self._identity = lock, os.stat(self.target)
        self._saved = "No sample" if until_s is None else f"Everything up to t = {until_s:.6g} s"

    def release(self) -> None:
        """Let other processes write the file."""
        if self._lock is not None:
            self._lock.release()


class WriteLock:
    """Exclusive lock of an existing file for writing, released at the latest when the process ends.

    Raises `OutputError`: another process has locked the file, or it may not be written.
    """

    def __init__(self, path: Path):
        try:
            self._file = open(path, "r+b")  # noqa: SIM115 - closed in release()
        except OSError as problem:
            raise OutputError(
                f"{path} cannot be written: {problem.strerror or problem}",
                advice="Make it writable (chmod u+w), or continue a copy in a folder of yours.",
            ) from None
        if not _CAN_LOCK:
            self.release()
            return
        # Not flock, which HDF5 takes when the file is opened for reading. An open-file-description
        # lock belongs to this open file alone; it is on one byte far beyond the end.
        lock = struct.pack("hhqqi", F_WRLCK, os.SEEK_SET, 2**62, 1, 0)
        try:
            fcntl(self._file, F_OFD_SETLK, lock)
        except (BlockingIOError, PermissionError):
            self.release()
            raise OutputError(
                f"{path} is being written by another process",
                advice="Wait until that run has ended, or stop it with Ctrl-C.",
            ) from None
        except OSError:  # a file system without locks
            pass

    def release(self) -> None:
        """Release the lock."""
        self._file.close()
