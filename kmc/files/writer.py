"""Writes trajectories: the file grows in memory, and is replaced whole at every save.

40 frames of 16 million sites are 78 MB and take 0.6 s to save: saves become rarer as the file
grows. `kmc.files.schema` documents its content.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from kmc.common.outputs import check_output
from kmc.errors import KmcError
from kmc.files import file as layout
from kmc.files import schema
from kmc.files.saving import SavedWhole, WriteLock

_BUFFER_BYTES = 64 * 2**20  # of frames that are not packed yet


class TrajectoryWriter:
    """A trajectory being written; as a context manager it saves at its end.

    The file is created atomically, with all datasets empty; the arguments are those of
    `kmc.files.file.Head`.

    Raises `InputError`: see `kmc.common.outputs.check_output`; also where another process is
    writing the file.
    """

    def __init__(self, path: str | Path, *, overwrite: bool = False, **head: Any):
        check_output(path, overwrite)
        if Path(path).is_file():
            WriteLock(Path(os.path.realpath(path))).release()  # another run may be writing it
        self._start(path, layout.Head(**head))

    @classmethod
    def filled(
        cls, path: str | Path, head: layout.Head, fill: Callable[[h5py.File], None]
    ) -> TrajectoryWriter:
        """A writer of a new file that replaces `path`, with the rows that ``fill(file)`` writes."""
        writer = cls.__new__(cls)
        writer._start(path, head, fill)
        return writer

    def _start(
        self,
        path: str | Path,
        head: layout.Head,
        fill: Callable[[h5py.File], None] = lambda file: None,
    ) -> None:
        self.path = Path(path)
        self._place = SavedWhole(path)
        self.columns = head.columns
        self.n_sites = head.lattice.n_sites
        self._row = head.row_dtype
        self._samples: list[tuple] = []
        self._frames: list[tuple[np.ndarray, tuple]] = []
        self._closed = False
        # HDF5 aborts the process where a disk is full, so it writes to memory only.
        self._memory = io.BytesIO()
        with h5py.File(self._memory, "w", **layout.OPTIONS) as file:
            layout.lay_out(file, head)
            fill(file)
            self._totals = layout.totals(file)
            self._last_s = file["samples/time_s"][-1] if self._totals.n_samples else None
        self._place.begin(self._memory.getbuffer(), self._last_s)

    @property
    def position(self) -> dict[str, int]:
        """Number and running checksums of the rows and frames, as a checkpoint records them."""
        return self._totals._asdict()

    def append_sample(self, row: Mapping[str, float]) -> None:
        """Add a row to `/samples`, with a value for every column."""
        names = self._row.names or ()
        if row.keys() != set(names):
            missing, unknown = set(names) - row.keys(), row.keys() - set(names)
            raise ValueError(f"sample lacks {sorted(missing)}, has unknown {sorted(unknown)}")
        # In the order of the record, over which the checksum of a row runs.
        values = tuple(row[name] for name in names)
        self._samples.append(values)
        self._last_s = row.get("time_s", 0.0)
        # Row by row: a checkpoint records the checksums before the rows are packed.
        self._totals = self._totals.with_samples(np.array(values, self._row))

    def append_frame(self, occupancy: np.ndarray, **moment: float) -> None:
        """Add a frame with its columns of `/frames`; the occupancy, uint8 (n_sites,), is copied."""
        occupancy = np.asarray(occupancy)
        if occupancy.shape != (self.n_sites,):
            raise ValueError(f"occupancy has shape {occupancy.shape}, not ({self.n_sites},)")
        row = tuple(moment[name] for name in layout.FRAME_DTYPE.names or ())
        self._frames.append((occupancy.astype(np.uint8), row))
        checksum = schema.frame_checksum(self._frames[-1][0], np.array(row, layout.FRAME_DTYPE))
        self._totals = self._totals.with_frames([checksum])
        # Packed they take an eighth, and a large box has hundreds.
        if len(self._frames) * self.n_sites > _BUFFER_BYTES:
            with h5py.File(self._memory, "r+", **layout.OPTIONS) as file:
                self._pack(file)

    def flush(self, checkpoint: bytes | None = None) -> None:
        """Save all rows and frames so far, and the state of the run (`checkpoint.pack`) after them.

        Raises `KmcError`: see `kmc.files.saving.SavedWhole.save`; this can be tried again.
        """
        self._save(checkpoint)

    def close(self, *, finished: bool, stop_reason: str, checkpoint: bytes | None = None) -> None:
        """Save, and record whether the run finished and why it ended, a phrase for people.

        A run that was interrupted is not finished; its checkpoint is the state to go on from.
        """
        self._save(checkpoint, (bool(finished), stop_reason))
        self._release()

    def __enter__(self) -> TrajectoryWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: object, trace: object) -> None:
        if not self._closed:
            with contextlib.suppress(KmcError) if kind else contextlib.nullcontext():
                self.flush()  # an error here must not replace the one before
            self._release()

    def _release(self) -> None:
        self._closed = True
        self._place.release()

    def _pack(self, file: h5py.File) -> None:
        """Move the buffered rows and frames into the file in memory."""
        if self._samples:
            layout.append_samples(file, np.array(self._samples, dtype=self._row))
        if self._frames:
            rows = np.array([row for _, row in self._frames], dtype=layout.FRAME_DTYPE)
            layout.append_frames(file, rows, [occupancy for occupancy, _ in self._frames])
        self._samples.clear()
        self._frames.clear()

    def _save(self, checkpoint: bytes | None, end: tuple[bool, str] | None = None) -> None:
        if self._closed:
            raise ValueError(f"{self.path} is closed")
        # Closed before it is saved: an open HDF5 file has parts of its index in memory alone.
        with h5py.File(self._memory, "r+", **layout.OPTIONS) as file:
            self._pack(file)
            if checkpoint:
                layout.put_checkpoint(file, checkpoint, exact=end is not None)
            if end is not None:
                layout.set_end(file, *end)
        self._place.save(self._memory.getbuffer(), self._last_s)
