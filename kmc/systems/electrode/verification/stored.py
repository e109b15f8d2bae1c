"""Reads a trajectory for verification, as it is stored and without consistency checks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kmc.files import integrity as guard
from kmc.files import schema
from kmc.files.integrity import read, root_number


@dataclass(frozen=True)
class Stored:
    """Content of a file except its occupancies.

    Attributes
    ----------
    record : dict
        The JSON of `/record`.
    finished : bool
    seed : int
        Attribute of the root; `record` has it too.
    rows, frames : structured ndarray
        `/samples` and the columns of `/frames`, truncated to the rows that every column has.
    row_checksums, frame_checksums : ndarray of int64
    lengths : dict of str to int
        Length of each column, by its path.
    totals : Totals or None
        Counts and running checksums; None in an older file.
    """

    record: dict[str, Any]
    finished: bool
    seed: int | None
    rows: np.ndarray
    row_checksums: np.ndarray
    frames: np.ndarray
    frame_checksums: np.ndarray
    lengths: dict[str, int]
    totals: schema.Totals | None


def read_stored(path: Path) -> Stored:
    """Rows, checksums and record of a file, consistent or not.

    Raises
    ------
    InputError
        There is no such file, or it cannot be read.
    FileFormatError
        It is not a trajectory, or so damaged that HDF5 cannot read it as one.
    """
    return read(path, _stored)


def _stored(file) -> Stored:
    _, record = guard.read_record(file)
    columns = [name for name, _ in record["columns"]]
    rows, row_checksums, lengths = guard.rows(file, "samples", columns)
    names = [entry.name for entry in schema.FRAME_COLUMNS]
    frames, frame_checksums, more = guard.rows(file, "frames", names)
    lengths |= more
    n_frames = len(guard.occupancies(file, record["lattice"]))
    lengths[schema.FRAME_OCCUPANCY.path] = n_frames
    totals = guard.totals(file)
    return Stored(
        record=record,
        finished=bool(root_number(file, "finished")),
        seed=root_number(file, "seed"),
        rows=rows,
        row_checksums=row_checksums,
        frames=frames[:n_frames],
        frame_checksums=frame_checksums[:n_frames],
        lengths=lengths,
        totals=totals[0] if totals else None,
    )


def read_lattice(path: Path, box: dict[str, Any]) -> dict[str, np.ndarray]:
    """`/lattice` of a file with this box: see `kmc.files.integrity.lattice`."""
    return read(path, lambda file: guard.lattice(file, box))


def read_occupancy(path: Path, box: dict[str, Any], index: int) -> np.ndarray:
    """Occupancy of one frame, uint8 of shape (n_sites,); its checksum is not compared."""
    return read(path, lambda file: guard.occupancy(file, box, index))
