"""Types and dimensions of the datasets of a box of atoms, as docs/trajectory.md promises them."""

from __future__ import annotations

from typing import NamedTuple

from kmc.files.schema import COUNTS, SAMPLES, TABLES


class Entry(NamedTuple):
    """One dataset of the file."""

    path: str
    dtype: str
    unit: str
    description: str
    shape: str


TYPES = {
    "/frames/sample": ("<i8", "frame"),
    "/frames/events": ("<i8", "frame"),
    "/frames/time_s": ("<f8", "frame"),
    "/frames/capacity_monolayers": ("<f8", "frame"),
    "/frames/capacity_mAh_cm2": ("<f8", "frame"),
    "/frames/occupancy": ("|u1", "frame, site"),
    "/lattice/positions_A": ("<f8", "site, xyz"),
    "/lattice/layer": ("<i4", "site"),
    "/lattice/chemistry": ("|u1", "site of L1"),
}


def _entry(path: str, unit: str, description: str) -> Entry:
    dtype, shape = TYPES[path]
    return Entry(path, dtype, unit, description, shape)


SAMPLE_ENTRIES = [
    Entry(f"/samples/{name}", "<i8" if name in COUNTS else "<f8", *about, "sample")
    for name, about in SAMPLES.items()
]
FRAME_ENTRIES = [_entry(f"/frames/{name}", *about) for name, about in TABLES.frames.items()]
LATTICE_ENTRIES = [_entry(f"/lattice/{name}", *about) for name, about in TABLES.constants.items()]
SCHEMA = [
    *(*SAMPLE_ENTRIES, *FRAME_ENTRIES, *LATTICE_ENTRIES),
    Entry(
        "/record",
        "|u1",
        "1",
        "UTF-8 bytes of a JSON object: system, kmc_version, run_file, resolved, seed, finished, "
        "stop_reason, provenance, lattice (name, boundary, cells, layers, lattice_parameter_A, "
        "box_A), and datasets: type, shape, CRC-32 of each piece, rows of a piece, unit and "
        "description of every dataset",
        "byte",
    ),
    Entry(
        "/checkpoint",
        "|u1",
        "1",
        "State at the last save, from which the run can go on, as bytes that "
        "`kmc.files.checkpoint` documents",
        "byte",
    ),
]
