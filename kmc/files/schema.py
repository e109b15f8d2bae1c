"""What the file of a box of atoms holds: every dataset with type, unit and meaning.

This table is the documentation of the format (docs/trajectory.md), and the writer takes types,
units and descriptions from it, so that the two cannot differ. ``sample`` rows are written often and
hold a few numbers, ``frame`` rows are rarer and hold every site. `kmc.files.table_file` has what
files of all kinds share.
"""

from dataclasses import dataclass

from kmc.common.units import unit_of
from kmc.files.table_file import Tables
from kmc.model import processes

FLOAT, INTEGER = "<f8", "<i8"


@dataclass(frozen=True)
class Entry:
    """One dataset of the file.

    - `path`: place in the file.
    - `dtype`: numpy's code of the type.
    - `unit`: unit, ``"1"`` for counts and fractions.
    - `description`: meaning.
    - `shape`: names of the dimensions.
    """

    path: str
    dtype: str
    unit: str
    description: str
    shape: str = ""

    @property
    def name(self) -> str:
        """Last part of the path: the name of a column."""
        return self.path.rpartition("/")[2]


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
        _numbers(
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
FRAME_ENTRIES = (
    Entry("/frames/sample", INTEGER, "1", "Row of /samples at the same time", "frame"),
    Entry("/frames/events", INTEGER, "1", "Events so far", "frame"),
    Entry("/frames/time_s", FLOAT, "s", "Simulated time", "frame"),
    Entry("/frames/capacity_monolayers", FLOAT, "1", "Net charge in atoms per L1 site", "frame"),
    Entry("/frames/capacity_mAh_cm2", FLOAT, "mAh/cm2", "Net charge per interface area", "frame"),
    Entry(
        "/frames/occupancy",
        "|u1",
        "1",
        "What each site holds: 0 vacancy, 1 Li, 2 Mg",
        "frame, site",
    ),
)
FRAME_COLUMNS = ("events", "time_s", "capacity_monolayers", "capacity_mAh_cm2")
"""Columns of a frame that are those of its row of `/samples`."""

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
    Entry(
        "/lattice/chemistry",
        "|u1",
        "1",
        "Interface chemistry below each site of L1: its place, from 0, in the list "
        "interface.chemistry of `resolved`; 0 everywhere if that list is empty",
        "site of L1",
    ),
)

SCHEMA = (
    *SAMPLE_COLUMNS,
    *FRAME_ENTRIES,
    *LATTICE_ENTRIES,
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
)


def _table(entries: tuple[Entry, ...]) -> dict[str, tuple[str, str]]:
    return {entry.name: (entry.unit, entry.description) for entry in entries}


TABLES = Tables(
    _table(SAMPLE_COLUMNS),
    _table(FRAME_ENTRIES),
    _table(LATTICE_ENTRIES),
    format="kmc trajectory",
    counts=frozenset(entry.name for entry in SAMPLE_COLUMNS if entry.dtype == INTEGER),
    group="lattice",
    late=frozenset(("frames/occupancy", "lattice/positions_A", "lattice/layer", "checkpoint")),
)
