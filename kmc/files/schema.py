"""Schema 2 of the trajectory file: every dataset and attribute, with type, unit and meaning.

This table is the documentation of the format, and the writer takes types, units and descriptions
from it, so that the two cannot differ. A reader with plain h5py needs nothing else::

    with h5py.File("strip_li.h5") as file:
        contact = file["samples/contact_fraction"][:]
        occupancy = file["frames/occupancy"][-1]   # 0 vacancy, 1 Li, 2 Mg; one entry a site
        height_A = file["lattice/positions_A"][:, 2]

Shapes: ``sample`` rows are written often and hold a few numbers, ``frame`` rows are rarer and hold
every site. Files need HDF5 1.10 or newer. Text is UTF-8. Each row carries a checksum, so that
damage is seen rather than analysed.

The text attributes are for people. HDF5 stores such text in a heap without a checksum, where damage
can lead to wrong results or endless loops; kmc itself reads ``/record``, which has the same content
under a checksum.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from kmc.common.units import unit_of
from kmc.model import processes

SCHEMA_VERSION = 2
CHECKSUM = "crc32"
FLOAT, INTEGER = "<f8", "<i8"


@dataclass(frozen=True)
class Entry:
    """One dataset or attribute of the file.

    - `path`: place in the file; an attribute is written ``group@attribute``.
    - `dtype`: numpy's code of the type, or ``text``, ``bool``.
    - `unit`: unit, ``"1"`` for counts, fractions and text.
    - `description`: meaning.
    - `shape`: names of the dimensions, empty for a single value.
    """

    path: str
    dtype: str
    unit: str
    description: str
    shape: str = ""

    @property
    def name(self) -> str:
        """Last part of the path: the name of a column."""
        return self.path.rpartition("@" if "@" in self.path else "/")[2]


def column(name: str, dtype: str, unit: str, description: str) -> Entry:
    """An entry of `/samples`: one number a row."""
    return Entry(f"/samples/{name}", dtype, unit, description, "sample")


def _count(name: str, description: str) -> Entry:
    return column(name, INTEGER, "1", description)


def _numbers(**described: str) -> tuple[Entry, ...]:
    """Columns of numbers by name, which ends in their unit."""
    return tuple(column(name, FLOAT, unit_of(name), text) for name, text in described.items())


# Hops by class and way: stage by the lower end of the hop, then the direction of the atom.
HOP_CLASSES = {"Li": "hops_Li", "Li_near_Mg": "hops_Li_near_Mg", "Mg": "hops_Mg"}
_WAYS = {
    "L1_up": "out of L1 into a higher layer",
    "L1_down": "into L1 from a higher layer",
    "L2_up": "out of L2 into a higher layer",
    "L2_down": "into L2 from a higher layer",
    "deep_up": "to a higher layer, both ends above L2 (or no interface)",
    "deep_down": "to a lower layer, both ends above L2 (or no interface)",
}
HOP_WAYS = tuple(_WAYS)
HOPS_BY_WAY = tuple(f"{name}_{way}" for name in HOP_CLASSES.values() for way in HOP_WAYS)

SAMPLE_COLUMNS = (
    _count("events", f"Events so far: {processes.listed()}"),
    *(_count(process.column, process.description) for process in processes.PROCESSES),
    _count("vacancies", "Vacant sites in the box"),
    *_numbers(
        vacancy_time_s="Time integral of `vacancies` so far: differences of rows give exact "
        "averages",
        time_s="Simulated time",
        capacity_mAh_cm2="Net charge (strips less plates) per interface area",
        capacity_monolayers="The same in atoms per L1 site",
        contact_fraction="Share of L1 sites that hold metal; NaN without interface",
        contact_fraction_Li="Share of L1 sites that hold Li; NaN without interface",
        overpotential_V="Overpotential, the sum of concentration, charge transfer, constriction "
        "and series; inf when no atom is electroactive",
        overpotential_charge_transfer_V="Charge transfer through the contacted area; at a held "
        "voltage what the other terms leave",
        overpotential_constriction_V="Crowding of the current in the electrolyte onto the contact "
        "left; inf without contact",
        current_density_mA_cm2="Current density of this moment, given or driven",
        local_stress_MPa="Stack pressure over contact fraction, up to the set's limit; drives "
        "creep",
    ),
    _count("phase", "0 while current flows, 1 during a rest"),
    *_numbers(energy_eV="Energy of the box by the Hamiltonian in `resolved`"),
    _count("hops_Li", "Hops of Li without Mg among the first neighbours of either end, so far"),
    _count("hops_Li_near_Mg", "Hops of Li with Mg among the first neighbours of an end, so far"),
    _count("hops_Mg", "Hops of Mg, so far"),
    *(_count(process.column_Mg, process.description_Mg) for process in processes.WITH_MG),
    *(
        _count(f"{name}_{way}", f"Of `{name}`, those {text}, so far")
        for name in HOP_CLASSES.values()
        for way, text in _WAYS.items()
    ),
    *(
        _TERMS := _numbers(
            overpotential_concentration_V="kT/e ln of `vacancy_activity`: what the vacancies left "
            "in the metal cost; NaN, like the sum, where ions pushed the metal up since the row "
            "before",
            overpotential_series_V="Current times `series_resistance_ohm_cm2` of the run",
            overpotential_sites_V="At the interface, from the balance of oxidation and reduction "
            "of every site of this moment: concentration and charge transfer at the scale of the "
            "box",
            vacancy_activity="`vacancies_seen` over `vacancies_expected`, with 0.02 added to each",
            vacancies_seen="Isolated vacancies in L1 and L2, summed over the strips of the last "
            "0.1 monolayers (100 at least); while a current plates, over the ions since the row "
            "before; at rest, over the last 100 of 30 moments a row",
            vacancies_expected="Those expected there in equilibrium, summed alike; far below 1 "
            "the activity is not resolved",
            strip_weight="Oxidation rate of all electroactive atoms over that of a flat L1; NaN "
            "without interface",
            rim_per_nm="Length of the rims of the contact per interface area; NaN without "
            "interface",
        )
    ),
    _count("step", "Number of the step of the protocol, from 1, repeats counted; 0 without one"),
    _count("cycle", "Pass of a block of the protocol, from 1; 0 without a protocol"),
    _count(
        "dead_Li",
        "Li not connected to the metal above the box over first and second neighbours; 0 in bulk",
    ),
)
# Columns that came without a new schema.
_OPTIONAL = (
    *HOPS_BY_WAY,
    "vacancy_time_s",
    *(entry.name for entry in _TERMS),
    "step",
    "cycle",
    "dead_Li",
    *(process.column for process in processes.PROCESSES if process.optional),
    *(process.column_Mg for process in processes.WITH_MG if process.optional),
)
# Columns that files of schema 1 have not.
_SINCE_2 = (
    *(process.column for process in processes.PROCESSES if process.since_schema > 1),
    *(process.column_Mg for process in processes.WITH_MG if process.since_schema > 1),
    "current_density_mA_cm2",
    "local_stress_MPa",
    "overpotential_charge_transfer_V",
    "overpotential_constriction_V",
    "phase",
)


def required_columns(version: int) -> tuple[str, ...]:
    """Names of the columns that every file of this schema has.

    Some columns came later, without a new schema.
    """
    # So that a file of the first kmc passes, and one of today that lacks a column does not.
    later = _OPTIONAL if version > 1 else (*_OPTIONAL, *_SINCE_2)
    return tuple(entry.name for entry in SAMPLE_COLUMNS if entry.name not in later)


SAMPLE_CHECKSUM = _count(
    CHECKSUM,
    "CRC-32 of the row: its other columns in the order of `/record`, 8 bytes each, little-endian",
)

FRAME_COLUMNS = (
    Entry("/frames/events", INTEGER, "1", "Events so far", "frame"),
    Entry("/frames/time_s", FLOAT, "s", "Simulated time", "frame"),
    Entry("/frames/capacity_monolayers", FLOAT, "1", "Net charge in atoms per L1 site", "frame"),
    Entry("/frames/capacity_mAh_cm2", FLOAT, "mAh/cm2", "Net charge per interface area", "frame"),
)
FRAME_OCCUPANCY = Entry(
    "/frames/occupancy", "|u1", "1", "What each site holds: 0 vacancy, 1 Li, 2 Mg", "frame, site"
)
FRAME_CHECKSUM = Entry(
    f"/frames/{CHECKSUM}",
    INTEGER,
    "1",
    "CRC-32 of the frame: the bytes of occupancy, then events, time_s, capacity_monolayers and "
    "capacity_mAh_cm2, 8 bytes each, little-endian",
    "frame",
)

CHEMISTRY = Entry(
    "/lattice/chemistry",
    "|u1",
    "1",
    "Interface chemistry below each site of L1: its place, from 0, in the list interface.chemistry "
    "of `resolved`; 0 everywhere if that list is empty",
    "site of L1",
)
LATTICE_ENTRIES = (
    Entry(
        "/lattice/positions_A",
        FLOAT,
        "Å",
        "Position of each site, x and y in the interface; L1 lies at z = 0 and the metal above it",
        "site, xyz",
    ),
    Entry(
        "/lattice/layer",
        "<i4",
        "1",
        "Atomic layer of each site; 1 is L1, at the electrolyte",
        "site",
    ),
    CHEMISTRY,
)

RECORD = Entry(
    "/record",
    "|u1",
    "1",
    "What kmc reads instead of the text attributes: UTF-8 bytes of a JSON object with run_file, "
    "resolved, kmc_version, seed, lattice, columns: name and unit of those of /samples in the "
    "order of the checksum, totals: whether the file has that group, and labels_crc32: CRC-32 of "
    "the units and descriptions of all datasets",
    "byte",
)
PROVENANCE_BYTES = 1024
RECORD_PROVENANCE = Entry(
    "/record@provenance", f"|S{PROVENANCE_BYTES}", "1", "provenance of the root, of fixed length"
)
STOP_REASON_BYTES = 512
RECORD_STOP_REASON = Entry(
    "/record@stop_reason", f"|S{STOP_REASON_BYTES}", "1", "stop_reason of the root, of fixed length"
)

CHECKPOINT = Entry(
    "/checkpoint/end",
    "|u1",
    "1",
    "State of the run at the last save, from which it can go on, as bytes that "
    "`kmc.files.checkpoint` documents",
    "byte",
)
# Before files were replaced whole, states during the run stood in two datasets, by turns.
OLD_CHECKPOINTS = tuple(
    Entry(f"/checkpoint/{name}", "|u1", "1", "", "byte") for name in ("first", "second")
)

TOTALS = "/totals"
TOTALS_ROWS = Entry(
    "/totals@rows",
    INTEGER,
    "1",
    "Rows of /samples so far; CRC-32 of the bytes of all of them in their order; frames so far; "
    "CRC-32 of their crc32, 8 bytes each, little-endian",
    "total",
)
TOTALS_CONSTANTS = Entry(
    "/totals@constants",
    INTEGER,
    "1",
    "CRC-32 of schema_version, 8 bytes, then /record, then positions_A, layer and chemistry of "
    "/lattice",
)

# HDF5 stores up to eight attributes of a group in its object header, which changes in one write,
# and moves all of them into an indexed heap if there are more. The root has eight.
ATTRIBUTES = (
    Entry("/@schema_version", INTEGER, "1", "Version of this schema"),
    Entry("/@kmc_version", "text", "1", "Version of kmc that wrote the file"),
    Entry("/@run_file", "text", "1", "The run file as it was given, TOML"),
    Entry(
        "/@resolved",
        "text",
        "1",
        "JSON of everything the run used: run settings with defaults, parameters with unit and "
        "source, Hamiltonian, acceleration, species",
    ),
    Entry("/@seed", INTEGER, "1", "Seed of the random numbers"),
    Entry("/@finished", "bool", "1", "Whether the run came to its end"),
    Entry("/@stop_reason", "text", "1", "Why the run ended; empty while it runs"),
    Entry("/@provenance", "text", "1", "JSON of versions, platform and the time of creation (UTC)"),
    Entry("/lattice@name", "text", "1", "Lattice, such as bcc_100"),
    Entry("/lattice@boundary", "text", "1", "Along z: interface or periodic"),
    Entry("/lattice@cells", INTEGER, "1", "Cells of the box in the interface", "xy"),
    Entry("/lattice@layers", INTEGER, "1", "Atomic layers of the box"),
    Entry("/lattice@lattice_parameter_A", FLOAT, "Å", "Lattice parameter"),
    Entry("/lattice@box_A", FLOAT, "Å", "Edges of the box", "xyz"),
    TOTALS_CONSTANTS,
    TOTALS_ROWS,
)

SCHEMA = (
    *SAMPLE_COLUMNS,
    SAMPLE_CHECKSUM,
    FRAME_OCCUPANCY,
    *FRAME_COLUMNS,
    FRAME_CHECKSUM,
    *LATTICE_ENTRIES,
    RECORD,
    RECORD_STOP_REASON,
    RECORD_PROVENANCE,
    CHECKPOINT,
    *ATTRIBUTES,
)


def row_dtype(columns: Iterable[Entry]) -> np.dtype:
    """numpy type of one row of a table: 8 bytes a column, little-endian, in the columns' order."""
    return np.dtype([(entry.name, entry.dtype) for entry in columns])


def row_checksums(rows: np.ndarray) -> np.ndarray:
    """CRC-32 of each row of a table of `row_dtype`, int64 of shape (rows,)."""
    # Parts of one buffer: a copy of each row would take longer than its checksum.
    data, width = np.ascontiguousarray(rows).view(np.uint8).data, rows.dtype.itemsize
    return np.array(
        [zlib.crc32(data[start : start + width]) for start in range(0, len(data), width)],
        dtype=np.int64,
    )


class Totals(NamedTuple):
    """Counts and running checksums of rows and frames, as in `/totals`."""

    n_samples: int = 0
    crc_samples: int = 0
    n_frames: int = 0
    crc_frames: int = 0

    def with_samples(self, rows: np.ndarray) -> Totals:
        """These and further rows of /samples."""
        crc = zlib.crc32(rows.tobytes(), self.crc_samples)
        return self._replace(n_samples=self.n_samples + rows.size, crc_samples=crc)

    def with_frames(self, checksums: Iterable[int]) -> Totals:
        """These and further frames, by their `frame_checksum`."""
        data = np.array(list(checksums), dtype=INTEGER)
        crc = zlib.crc32(data.tobytes(), self.crc_frames)
        return self._replace(n_frames=self.n_frames + data.size, crc_frames=crc)


def constants_checksum(version: int, record: bytes, lattice: Iterable[np.ndarray]) -> int:
    """CRC-32 of what a file records once: see `TOTALS_CONSTANTS`."""
    checksum = zlib.crc32(record, zlib.crc32(np.array(version, INTEGER).tobytes()))
    for array in lattice:
        checksum = zlib.crc32(np.ascontiguousarray(array).data, checksum)
    return checksum


def labels_checksum(labels: Iterable[tuple[str, str | None, str | None]]) -> int:
    """CRC-32 of path, unit and description of datasets: JSON of the sorted list."""
    # Sorted, as the order in which datasets are listed is no part of the file.
    return zlib.crc32(json.dumps(sorted(labels, key=lambda label: label[0])).encode())


def frame_checksum(occupancy: np.ndarray, row: np.ndarray) -> int:
    """CRC-32 of one frame: its occupancy, then its row of `FRAME_COLUMNS`."""
    # The moment is in it, too: frames that are exchanged fail.
    return zlib.crc32(row.tobytes(), zlib.crc32(np.ascontiguousarray(occupancy).data))
