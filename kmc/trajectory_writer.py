"""Writes trajectories: rows and frames are gathered in memory and appended by `flush`.

After a kill at any moment the file holds everything up to the last flush and opens with plain h5py:
`kmc.transaction` says how. `kmc.trajectory_schema` documents what is in it.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np

from kmc import __version__, provenance
from kmc import trajectory_schema as schema
from kmc.errors import InputError, KmcError
from kmc.lattice import Lattice
from kmc.transaction import Transaction

# HDF5 1.10 of 2016 and later read the file; older formats lack the chunk index used here.
_OPTIONS = {"libver": ("v110", "v110"), "alignment_threshold": 1, "alignment_interval": 512}
# Aligned so that an object header, 512 bytes at most, never straddles two pages of the disk cache.
_ROWS_PER_CHUNK = 512  # 4 kB a column: little for a short run, few chunks for a long one
_GZIP_LEVEL = 4  # 1 M sites in 10 ms; level 1 takes half the time and a third more space
_FIXED_TEXT = h5py.string_dtype("utf-8", schema.STOP_REASON_BYTES)
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
        See `check_output`.
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
        self.path = Path(path)
        self._target = Path(os.path.realpath(path))
        self.columns = tuple(columns)
        self.n_sites = lattice.n_sites
        self._chemistry = np.zeros(lattice.sites_per_layer) if chemistry is None else chemistry
        self._row = schema.row_dtype(self.columns)
        self._frame_row = schema.row_dtype(schema.FRAME_COLUMNS)
        self._samples: list[tuple] = []
        self._frames: list[tuple[np.ndarray, tuple]] = []
        self._safe = "No sample"
        self._closed = False
        self._create(lattice, run_text, resolved, seed)
        self._identity = self._look()

    def append_sample(self, row: Mapping[str, float]) -> None:
        """Add a row to `/samples`; it needs a value for every column and no other."""
        if row.keys() != set(self._row.names):
            missing, unknown = set(self._row.names) - row.keys(), row.keys() - set(self._row.names)
            raise ValueError(f"sample lacks {sorted(missing)}, has unknown {sorted(unknown)}")
        self._samples.append(tuple(row[name] for name in self._row.names))

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
        if len(self._frames) * self.n_sites > _BUFFER_BYTES:
            self.flush()

    def flush(self) -> None:
        """Bring everything gathered so far to the disk.

        Raises
        ------
        KmcError
            The disk is full or fails, or the file was moved, removed or replaced while the run went
            on. What earlier flushes wrote is safe; what was gathered is kept for another try.
        """
        self._closed_check()
        if self._samples or self._frames:
            self._change(self._append)
            if self._samples:
                last = dict(zip(self._row.names, self._samples[-1], strict=True))
                self._safe = f"Everything up to t = {last.get('time_s', 0.0):.6g} s"
            self._samples.clear()
            self._frames.clear()

    def close(self, *, finished: bool, stop_reason: str) -> None:
        """Flush, and state whether and why the run came to its end.

        Parameters
        ----------
        finished : bool
            False for a run that was interrupted and may be continued.
        stop_reason : str
            A phrase for people, such as ``"capacity of 2 monolayers reached"``.
        """
        self.flush()

        def state_end(file):
            file.attrs.modify("finished", bool(finished))
            file.attrs.modify("stop_reason", stop_reason)
            text = np.array(_cut(stop_reason), dtype=_FIXED_TEXT)
            file[schema.RECORD.path].attrs.modify(schema.RECORD_STOP_REASON.name, text)

        self._change(state_end)
        self._closed = True

    def __enter__(self) -> TrajectoryWriter:
        return self

    def __exit__(self, kind, problem, trace) -> None:
        if not self._closed:
            with contextlib.suppress(KmcError) if kind else contextlib.nullcontext():
                self.flush()  # must not hide what went wrong before
            self._closed = True

    # --- the file ---------------------------------------------------------------------------------

    def _create(self, lattice: Lattice, run_text: str, resolved: Mapping, seed: int) -> None:
        """Write the file without rows under a temporary name, then put it in place."""
        draft = self._target.with_name(f".{self._target.name}.{os.getpid()}.part")
        try:
            with h5py.File(draft, "w", locking=False, **_OPTIONS) as file:
                self._lay_out(file, lattice, run_text, resolved, seed)
            os.replace(draft, self._target)
        except OSError as problem:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)
            raise InputError(
                f"output {self.path} cannot be written: {problem}",
                advice="Give another place, or free space on the disk.",
            ) from None

    def _lay_out(self, file, lattice: Lattice, run_text: str, resolved: Mapping, seed: int) -> None:
        origin = provenance.collect() | {"hdf5": h5py.version.hdf5_version}
        box = {
            "name": lattice.name,
            "boundary": lattice.boundary,
            "cells": list(lattice.cells),
            "layers": lattice.layers,
            "lattice_parameter_A": lattice.lattice_parameter_A,
            "box_A": lattice.box_A.tolist(),
        }
        record = {
            "kmc_version": __version__,
            "run_file": run_text,
            "resolved": resolved,
            "seed": int(seed),
            "provenance": origin,
            "lattice": box,
            "columns": [[entry.name, entry.unit] for entry in self.columns],
        }
        attributes = {
            "/@schema_version": schema.SCHEMA_VERSION,
            "/@kmc_version": __version__,
            "/@run_file": run_text,
            "/@resolved": json.dumps(resolved, ensure_ascii=False),
            "/@seed": seed,
            "/@finished": False,
            "/@stop_reason": "",
            "/@provenance": json.dumps(origin, ensure_ascii=False),
            **{f"/lattice@{name}": value for name, value in box.items()},
        }
        text = np.frombuffer(json.dumps(record, ensure_ascii=False).encode(), np.uint8)
        dataset = file.create_dataset(
            schema.RECORD.path, data=text, compression=_GZIP_LEVEL, fletcher32=True
        )
        _describe(dataset, schema.RECORD)
        dataset.attrs.create(schema.RECORD_STOP_REASON.name, b"", dtype=_FIXED_TEXT)
        for entry in (*self.columns, schema.SAMPLE_CHECKSUM):
            _create_column(file, entry)
        for entry in (*schema.FRAME_COLUMNS, schema.FRAME_CHECKSUM):
            _create_column(file, entry)
        _describe(
            file.create_dataset(
                schema.FRAME_OCCUPANCY.path,
                shape=(0, self.n_sites),
                maxshape=(None, self.n_sites),
                chunks=(1, self.n_sites),
                dtype=schema.FRAME_OCCUPANCY.dtype,
                compression=_GZIP_LEVEL,
                shuffle=True,
                fletcher32=True,
            ),
            schema.FRAME_OCCUPANCY,
        )
        for entry in schema.LATTICE_ENTRIES:
            stored = self._chemistry if entry.name == "chemistry" else getattr(lattice, entry.name)
            data = stored.astype(entry.dtype)
            dataset = file.create_dataset(
                entry.path, data=data, compression=_GZIP_LEVEL, shuffle=True, fletcher32=True
            )
            _describe(dataset, entry)
        for entry in schema.ATTRIBUTES:
            place = file[entry.path.partition("@")[0]]
            value = attributes[entry.path]
            place.attrs[entry.name] = (
                value if entry.dtype in ("text", "bool") else np.array(value, entry.dtype)[()]
            )

    def _append(self, file) -> None:
        if self._samples:
            rows = np.array(self._samples, dtype=self._row)
            for name in self._row.names:
                _extend(file[f"samples/{name}"], rows[name])
            _extend(file[schema.SAMPLE_CHECKSUM.path], schema.row_checksums(rows))
        if self._frames:
            rows = np.array([row for _, row in self._frames], dtype=self._frame_row)
            stack = [occupancy for occupancy, _ in self._frames]
            checksums = [
                schema.frame_checksum(occupancy, row)
                for occupancy, row in zip(stack, rows, strict=True)
            ]
            dataset = file[schema.FRAME_OCCUPANCY.path]
            first = len(dataset)
            dataset.resize(first + len(stack), axis=0)
            for index, occupancy in enumerate(stack):
                dataset[first + index] = occupancy
            for name in self._frame_row.names:
                _extend(file[f"frames/{name}"], rows[name])
            _extend(file[schema.FRAME_CHECKSUM.path], np.array(checksums, dtype=np.int64))

    def _change(self, change) -> None:
        """Apply ``change(file)`` as one transaction."""
        try:
            if self._look() != self._identity:
                raise KmcError(
                    f"{self.path} was replaced or changed by something else while the run wrote it",
                    advice="Give each run an output of its own.",
                )
            with Transaction(self._target) as transaction:
                with h5py.File(transaction, "r+", **_OPTIONS) as file:
                    change(file)
                transaction.commit()
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


def _create_column(file, entry: schema.Entry) -> None:
    dataset = file.create_dataset(
        entry.path, shape=(0,), maxshape=(None,), chunks=(_ROWS_PER_CHUNK,), dtype=entry.dtype
    )
    _describe(dataset, entry)


def _describe(dataset, entry: schema.Entry) -> None:
    dataset.attrs["unit"] = entry.unit
    dataset.attrs["description"] = entry.description


def _cut(text: str) -> bytes:
    """UTF-8 of a text, cut to what the fixed-length attribute holds."""
    return text.encode()[: schema.STOP_REASON_BYTES].decode(errors="ignore").encode()


def _extend(dataset, values: np.ndarray) -> None:
    first = len(dataset)
    dataset.resize(first + len(values), axis=0)
    dataset[first:] = values
