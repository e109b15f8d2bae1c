"""Writes trajectories: rows and frames are buffered in memory and appended by `flush`.

After a kill at any moment the file holds everything up to the last flush and opens with plain h5py,
see `kmc.files.transaction`. `kmc.files.schema` documents its content.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np

from kmc.common.outputs import check_output, draft_of, put_in_place, remove_drafts
from kmc.errors import KmcError, OutputError
from kmc.files import file as layout
from kmc.files import schema
from kmc.files.transaction import Transaction
from kmc.model.lattice import Lattice

try:
    from fcntl import F_OFD_SETLK, F_WRLCK, fcntl

    _CAN_LOCK = True
except ImportError:  # not on Linux: a second writer is detected at the next flush of the first
    _CAN_LOCK = False

_BUFFER_BYTES = 64 * 2**20  # of frames; more are flushed at once


class TrajectoryWriter:
    """A trajectory being written; as a context manager it flushes at its end.

    Parameters
    ----------
    path : str or Path
        The file; it is created atomically, with all datasets empty.
    lattice : Lattice
        The box.
    columns : sequence of Entry
        Columns of `/samples`.
    run_text : str
        The run file as it was given.
    resolved : mapping
        Everything the run used; JSON-able. See `resolved` in the schema.
    seed : int
        Seed of the random numbers.
    chemistry : ndarray of uint8, shape (sites_per_layer,), optional
        Interface chemistry of each L1 site; all 0 by default.
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    InputError
        See `kmc.common.outputs.check_output`; also where another process is writing the file.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        lattice: Lattice,
        columns: Sequence[schema.Entry] = schema.SAMPLE_COLUMNS,
        run_text: str,
        resolved: Mapping,
        seed: int,
        chemistry: np.ndarray | None = None,
        overwrite: bool = False,
    ):
        check_output(path, overwrite)
        if Path(path).is_file():
            WriteLock(Path(os.path.realpath(path))).release()  # another run may be writing it
        head = layout.Head(
            lattice, tuple(columns), run_text, resolved, int(seed), chemistry=chemistry
        )
        self._start(path, head)

    @classmethod
    def filled(
        cls, path: str | Path, head: layout.Head, steps: Iterable[Callable[[h5py.File], None]]
    ) -> TrajectoryWriter:
        """A writer of a new file that replaces `path` and has rows from the beginning.

        Parameters
        ----------
        path : str or Path
        head : file.Head
        steps : iterable of callable
            Each writes a part of the rows, of a size that fits into memory, into the new file.
        """
        writer = cls.__new__(cls)
        writer._start(path, head, steps)
        return writer

    def _start(self, path, head, steps=()) -> None:
        self.path = Path(path)
        self._target = Path(os.path.realpath(path))
        self.columns = head.columns
        self.n_sites = head.lattice.n_sites
        self._row = head.row_dtype
        self._samples: list[tuple] = []
        self._frames: list[tuple[np.ndarray, tuple]] = []
        self._slots = schema.CHECKPOINT_SLOTS[1::-1]  # the next one to write stands first
        self._flushed = "No sample"
        self._closed = False
        self._totals = self._create(head, steps)
        self._lock = WriteLock(self._target)
        self._identity = self._file_identity()

    @property
    def n_samples(self) -> int:
        """Number of rows appended, flushed or not."""
        return self._totals.n_samples

    @property
    def n_frames(self) -> int:
        """Number of frames appended, flushed or not."""
        return self._totals.n_frames

    @property
    def position(self) -> dict[str, int]:
        """Number and running checksums of the rows and frames, as a checkpoint records them."""
        return self._totals._asdict()

    def append_sample(self, row: Mapping[str, float]) -> None:
        """Add a row to `/samples`, with a value for every column."""
        if row.keys() != set(self._row.names):
            missing, unknown = set(self._row.names) - row.keys(), row.keys() - set(self._row.names)
            raise ValueError(f"sample lacks {sorted(missing)}, has unknown {sorted(unknown)}")
        values = tuple(row[name] for name in self._row.names)
        self._samples.append(values)
        self._totals = self._totals.with_samples(np.array(values, self._row))

    def append_frame(
        self,
        occupancy: np.ndarray,
        *,
        events: int,
        time_s: float,
        capacity_monolayers: float,
        capacity_mAh_cm2: float,
    ) -> None:
        """Add a frame; the occupancy, uint8 of shape (n_sites,), is copied.

        Flushes when the buffer is full.
        """
        occupancy = np.asarray(occupancy)
        if occupancy.shape != (self.n_sites,):
            raise ValueError(f"occupancy has shape {occupancy.shape}, not ({self.n_sites},)")
        row = (events, time_s, capacity_monolayers, capacity_mAh_cm2)
        self._frames.append((occupancy.astype(np.uint8), row))
        checksum = schema.frame_checksum(self._frames[-1][0], np.array(row, layout.FRAME_DTYPE))
        self._totals = self._totals.with_frames([checksum])
        if len(self._frames) * self.n_sites > _BUFFER_BYTES:
            self.flush()

    def flush(self, checkpoint: bytes | None = None) -> None:
        """Write the buffered rows and frames to the disk.

        Parameters
        ----------
        checkpoint : bytes, optional
            State of the run (`checkpoint.pack`) after these rows.

        Raises
        ------
        KmcError
            The disk is full or fails, or the file was moved, removed or replaced meanwhile. Earlier
            flushes are safe in the file; the buffer is kept for another attempt.
        """
        self._closed_check()
        slot = self._slots[0]
        if self._write(slot, checkpoint) and checkpoint:
            self._slots = self._slots[::-1]

    def close(self, *, finished: bool, stop_reason: str, checkpoint: bytes | None = None) -> None:
        """Flush, and record whether the run finished and why it ended.

        Parameters
        ----------
        finished : bool
            False for a run that was interrupted and may be continued.
        stop_reason : str
            A phrase for people, such as ``"capacity of 2 monolayers reached"``.
        checkpoint : bytes, optional
            State of the run. The file of a finished run keeps this one only.
        """
        first, second, end = schema.CHECKPOINT_SLOTS
        if finished and checkpoint:
            self._closed_check()
            self._write(end, checkpoint)
        else:
            self.flush(checkpoint)

        def set_end(file):
            layout.set_end(file, bool(finished), stop_reason)
            if finished:
                layout.empty_checkpoint(file, first)
                layout.empty_checkpoint(file, second)

        self._change(set_end, last=True)
        self._closed = True
        self._lock.release()

    def __enter__(self) -> TrajectoryWriter:
        return self

    def __exit__(self, kind, problem, trace) -> None:
        if not self._closed:
            with contextlib.suppress(KmcError) if kind else contextlib.nullcontext():
                self.flush()  # an error here must not replace the one before
            self._closed = True
            self._lock.release()

    # --- the file ---------------------------------------------------------------------------------

    def _create(self, head, steps) -> schema.Totals:
        """Write the file under a temporary name, then move it in place.

        HDF5 aborts the process where a disk is full, so it writes to memory only.
        """
        draft, folder = draft_of(self._target), self._target.parent
        remove_drafts(folder, self._target.name)
        memory = io.BytesIO()
        with h5py.File(memory, "w", **layout.OPTIONS) as file:
            layout.lay_out(file, head)
            written = layout.totals(file)
        needed = memory.getbuffer().nbytes
        try:
            with open(draft, "wb", buffering=0) as file:
                content = memory.getbuffer()
                while content:
                    content = content[file.write(content) :]
            for step in steps:
                with Transaction(draft) as transaction:
                    needed = transaction.base_size
                    with h5py.File(transaction, "r+", **layout.OPTIONS) as file:
                        step(file)
                        written = layout.totals(file)
                        if written.n_samples:
                            self._note_flushed(file["samples/time_s"][-1])
                    needed = transaction.size
                    transaction.commit()
                    transaction.settle()
            put_in_place(draft, self._target)
            return written
        except OSError as problem:
            free = shutil.disk_usage(folder).free
            kept = f" {self.path} is what it was before." if self._target.exists() else ""
            raise OutputError(
                f"output {self.path} cannot be written: {problem.strerror or problem}",
                advice=f"It needs {needed / 1e6:.3g} MB or more to begin with; {free / 1e6:.3g} MB "
                f"are free. Give another place, or free space on the disk.{kept}",
            ) from None
        finally:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)

    def _note_flushed(self, time_s: float) -> None:
        self._flushed = f"Everything up to t = {time_s:.6g} s"

    def _write(self, slot: schema.Entry, checkpoint: bytes | None) -> bool:
        """Write the buffer and a checkpoint; False if both are empty."""
        if not (self._samples or self._frames or checkpoint):
            return False

        def append(file):
            if self._samples:
                layout.append_samples(file, np.array(self._samples, dtype=self._row))
            if self._frames:
                rows = np.array([row for _, row in self._frames], dtype=layout.FRAME_DTYPE)
                layout.append_frames(file, rows, [occupancy for occupancy, _ in self._frames])
            if checkpoint:
                layout.put_checkpoint(file, slot, checkpoint)

        self._change(append)
        if self._samples:
            last = dict(zip(self._row.names, self._samples[-1], strict=True))
            self._note_flushed(last.get("time_s", 0.0))
        self._samples.clear()
        self._frames.clear()
        return True

    def _change(self, change, *, last: bool = False) -> None:
        """Apply ``change(file)`` as one transaction."""
        try:
            if self._file_identity() != self._identity:
                raise KmcError(
                    f"{self.path} was replaced or changed by another process during the run",
                    advice="Give each run an output of its own.",
                )
            try:
                with Transaction(self._target) as transaction:
                    with h5py.File(transaction, "r+", **layout.OPTIONS) as file:
                        change(file)
                    transaction.commit()
                    if last:
                        transaction.settle()
            finally:
                self._identity = self._file_identity()
        except FileNotFoundError:
            raise KmcError(
                f"{self.path} was moved or removed during the run",
                advice="Leave the output in place until the run has ended.",
            ) from None
        except (OSError, RuntimeError) as problem:
            raise KmcError(
                f"{self.path} cannot be written further: {problem}",
                advice=f"Is the disk full? {self._flushed} is safe in the file.",
            ) from None

    def _file_identity(self) -> tuple[int, int, int]:
        """Device, inode and size of the file at the path."""
        status = os.stat(self._target)
        return status.st_dev, status.st_ino, status.st_size

    def _closed_check(self) -> None:
        if self._closed:
            raise ValueError(f"{self.path} is closed")


class WriteLock:
    """Exclusive lock of a file for writing, released at the latest when the process ends.

    Parameters
    ----------
    path : Path
        An existing file.

    Raises
    ------
    OutputError
        Another process has locked the file, or it may not be written.
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
