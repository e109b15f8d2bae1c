"""Writes trajectories: rows and frames are gathered in memory and appended by `flush`.

After a kill at any moment the file holds everything up to the last flush and opens with plain h5py:
`kmc.trajectory.transaction` says how. `kmc.trajectory.schema` documents what is in it.
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

from kmc.common.outputs import draft_of, put_in_place, remove_drafts
from kmc.errors import InputError, KmcError
from kmc.model.lattice import Lattice
from kmc.trajectory import file as layout
from kmc.trajectory import schema
from kmc.trajectory.transaction import Transaction

try:
    from fcntl import F_OFD_SETLK, F_WRLCK, fcntl
except ImportError:  # not on Linux: a second writer is noticed later, at the first one's next flush
    fcntl = None

_BUFFER_BYTES = 64 * 2**20  # of frames; a flush comes early rather than hold more


def check_output(path: str | Path, overwrite: bool = False) -> None:
    """Refuse an output that could not be written, before any work is done.

    Parameters
    ----------
    path : str or Path
        The file to be.
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    InputError
        The path is a folder, its folder is missing or not writable, or the file exists already.
    """
    path = Path(path)
    target = Path(os.path.realpath(path))  # a link stays a link, to a larger disk for example
    folder = target.parent
    if target.is_dir():
        raise InputError(
            f"output {path} is a folder", advice="Give the name of a file, such as run.h5."
        )
    if target.exists() and not target.is_file():
        raise InputError(f"output {path} is not a regular file", advice="Give another name.")
    if not folder.is_dir():
        raise InputError(
            f"output {path}: there is no folder {folder}",
            advice="Create the folder first, or give another place.",
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(
            f"output {path}: the folder {folder} is not writable", advice="Give another place."
        )
    if target.exists() and not overwrite:
        raise InputError(
            f"output {path} exists already",
            advice="Give another name, or replace it: --force (kmc run), overwrite=True (Python).",
        )
    if target.exists() and not os.access(target, os.W_OK):
        raise InputError(
            f"output {path} exists and is write-protected", advice="Give another name."
        )


class TrajectoryWriter:
    """A trajectory being written; also a context manager, which flushes at its end.

    Parameters
    ----------
    path : str or Path
        The file; it appears complete, with all datasets empty.
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
        Interface chemistry of each L1 site; without it all are 0.
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    InputError
        See `check_output`; also where another process is writing the file.
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
            Hold(Path(os.path.realpath(path))).release()  # not from under a run that still writes
        head = layout.Head(
            lattice, tuple(columns), run_text, resolved, int(seed), chemistry=chemistry
        )
        self._start(path, head)

    @classmethod
    def filled(
        cls, path: str | Path, head: layout.Head, steps: Iterable[Callable[[h5py.File], None]]
    ) -> TrajectoryWriter:
        """A writer of a file that takes the place of `path` with rows in it from the beginning.

        Parameters
        ----------
        path : str or Path
        head : trajectory_file.Head
        steps : iterable of callable
            Each writes a part of the rows into the new file: as much as fits into memory.
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
        self._safe = "No sample"
        self._closed = False
        self._totals = self._create(head, steps)
        self._hold = Hold(self._target)
        self._identity = self._look()

    @property
    def n_samples(self) -> int:
        """Rows appended so far, flushed or not."""
        return self._totals.n_samples

    @property
    def n_frames(self) -> int:
        """Frames appended so far, flushed or not."""
        return self._totals.n_frames

    @property
    def position(self) -> dict[str, int]:
        """What a checkpoint says of the rows before it: how many, and their running checksums."""
        return self._totals._asdict()

    def append_sample(self, row: Mapping[str, float]) -> None:
        """Add a row to `/samples`; it needs a value for every column and no other."""
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

        Flushes by itself when much has been gathered.
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
        """Bring everything gathered so far to the disk.

        Parameters
        ----------
        checkpoint : bytes, optional
            State of the run (`checkpoint.pack`) from which it can go on behind these rows.

        Raises
        ------
        KmcError
            The disk is full or fails, or the file was moved, removed or replaced while the run went
            on. What earlier flushes wrote is safe; what was gathered is kept for another try.
        """
        self._closed_check()
        slot = self._slots[0]
        if self._write(slot, checkpoint) and checkpoint:
            self._slots = self._slots[::-1]

    def close(self, *, finished: bool, stop_reason: str, checkpoint: bytes | None = None) -> None:
        """Flush, and state whether and why the run came to its end.

        Parameters
        ----------
        finished : bool
            False for a run that was interrupted and may be continued.
        stop_reason : str
            A phrase for people, such as ``"capacity of 2 monolayers reached"``.
        checkpoint : bytes, optional
            State of the run. That of a finished run is the only one its file keeps.
        """
        first, second, end = schema.CHECKPOINT_SLOTS
        if finished and checkpoint:
            self._closed_check()
            self._write(end, checkpoint)
        else:
            self.flush(checkpoint)

        def state_end(file):
            layout.state_end(file, bool(finished), stop_reason)
            if finished:
                layout.empty_checkpoint(file, first)
                layout.empty_checkpoint(file, second)

        self._change(state_end, last=True)
        self._closed = True
        self._hold.release()

    def __enter__(self) -> TrajectoryWriter:
        return self

    def __exit__(self, kind, problem, trace) -> None:
        if not self._closed:
            with contextlib.suppress(KmcError) if kind else contextlib.nullcontext():
                self.flush()  # must not hide what went wrong before
            self._closed = True
            self._hold.release()

    # --- the file ---------------------------------------------------------------------------------

    def _create(self, head, steps) -> schema.Totals:
        """Write the file under a temporary name, then put it in place.

        HDF5 ends the process where a disk is full, so it only ever writes to memory.
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
                            self._is_safe_to(file["samples/time_s"][-1])
                    needed = transaction.size
                    transaction.commit()
                    transaction.settle()
            put_in_place(draft, self._target)
            return written
        except OSError as problem:
            free = shutil.disk_usage(folder).free
            kept = f" {self.path} is what it was before." if self._target.exists() else ""
            raise InputError(
                f"output {self.path} cannot be written: {problem.strerror or problem}",
                advice=f"It needs {needed / 1e6:.3g} MB or more to begin with; {free / 1e6:.3g} MB "
                f"are free. Give another place, or free space on the disk.{kept}",
            ) from None
        finally:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)

    def _is_safe_to(self, time_s: float) -> None:
        self._safe = f"Everything up to t = {time_s:.6g} s"

    def _write(self, slot: schema.Entry, checkpoint: bytes | None) -> bool:
        """Write what was gathered and a checkpoint; False if there was nothing to write."""
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
            self._is_safe_to(last.get("time_s", 0.0))
        self._samples.clear()
        self._frames.clear()
        return True

    def _change(self, change, *, last: bool = False) -> None:
        """Apply ``change(file)`` as one transaction."""
        try:
            if self._look() != self._identity:
                raise KmcError(
                    f"{self.path} was replaced or changed by something else while the run wrote it",
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
                self._identity = self._look()
        except FileNotFoundError:
            raise KmcError(
                f"{self.path} was moved or removed while the run wrote it",
                advice="Leave the output where it is until the run has ended.",
            ) from None
        except (OSError, RuntimeError) as problem:
            raise KmcError(
                f"{self.path} cannot be written further: {problem}",
                advice=f"Is the disk full? {self._safe} is safe in the file.",
            ) from None

    def _look(self) -> tuple[int, int, int]:
        """What tells this file from another at the same path."""
        status = os.stat(self._target)
        return status.st_dev, status.st_ino, status.st_size

    def _closed_check(self) -> None:
        if self._closed:
            raise ValueError(f"{self.path} is closed")


class Hold:
    """Keeps other processes from continuing a file while this one writes it; ends with the process.

    Parameters
    ----------
    path : Path
        An existing file.

    Raises
    ------
    InputError
        Another process holds the file.
    """

    def __init__(self, path: Path):
        self._file = open(path, "r+b")  # noqa: SIM115 - closed in release()
        if fcntl is None:
            return
        # Not flock: HDF5 asks for that when anybody opens the file to read. A lock of this kind
        # belongs to this open file alone, and one byte far beyond the end stands for all of it.
        lock = struct.pack("hhqqi", F_WRLCK, os.SEEK_SET, 2**62, 1, 0)
        try:
            fcntl(self._file, F_OFD_SETLK, lock)
        except (BlockingIOError, PermissionError):
            self.release()
            raise InputError(
                f"{path} is being written by another process",
                advice="Wait until that run has ended, or stop it with Ctrl-C.",
            ) from None
        except OSError:  # a file system without locks
            pass

    def release(self) -> None:
        """Let others write."""
        self._file.close()
