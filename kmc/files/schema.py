"""What the file of a box of atoms holds: every dataset with unit and meaning.

This table is the documentation of the format (docs/trajectory.md), and the writer takes units and
descriptions from it, so that the two cannot differ. ``sample`` rows are written often and hold a
few numbers, ``frame`` rows are rarer and hold every site. `kmc.files.table_file` has what files of
all kinds share.
"""

from kmc.common.units import unit_of
from kmc.files.table_file import Tables
from kmc.model import processes

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

SAMPLES = {
    name: (unit_of(name), meaning)
    for name, meaning in {
        "events": f"Events so far: {processes.listed()}",
        **{process.column: process.description for process in processes.PROCESSES},
        "vacancies": "Vacant sites in the box",
        "vacancy_time_s": "Time integral of `vacancies` so far: differences of rows give exact "
        "averages",
        "time_s": "Simulated time",
        "capacity_mAh_cm2": "Net charge (strips less plates) per interface area",
        "capacity_monolayers": "The same in atoms per L1 site",
        "contact_fraction": "Share of L1 sites that hold metal; NaN without interface",
        "contact_fraction_Li": "Share of L1 sites that hold Li; NaN without interface",
        "overpotential_V": "Overpotential, the sum of concentration, charge transfer, constriction "
        "and series; inf when no atom is electroactive",
        "overpotential_charge_transfer_V": "Charge transfer through the contacted area; at a held "
        "voltage what the other terms leave",
        "overpotential_constriction_V": "Crowding of the current in the electrolyte onto the "
        "contact left; inf without contact",
        "current_density_mA_cm2": "Current density of this moment, given or driven",
        "local_stress_MPa": "Stack pressure over contact fraction, up to the set's limit; drives "
        "creep",
        "phase": "0 while current flows, 1 during a rest",
        "energy_eV": "Energy of the box by the Hamiltonian in `resolved`",
        "hops_Li": "Hops of Li without Mg among the first neighbours of either end, so far",
        "hops_Li_near_Mg": "Hops of Li with Mg among the first neighbours of an end, so far",
        "hops_Mg": "Hops of Mg, so far",
        **{process.column_Mg: process.description_Mg for process in processes.WITH_MG},
        **{
            f"{name}_{way}": f"Of `{name}`, those {text}, so far"
            for name in HOP_CLASSES.values()
            for way, text in _WAYS.items()
        },
        "overpotential_concentration_V": "kT/e ln of `vacancy_activity`: what the vacancies left "
        "in the metal cost; NaN, like the sum, where ions pushed the metal up since the row before",
        "overpotential_series_V": "Current times `series_resistance_ohm_cm2` of the run",
        "overpotential_sites_V": "At the interface, from the balance of oxidation and reduction of "
        "every site of this moment: concentration and charge transfer at the scale of the box",
        "vacancy_activity": "`vacancies_seen` over `vacancies_expected`, with 0.02 added to each",
        "vacancies_seen": "Isolated vacancies in L1 and L2, summed over the strips of the last 0.1 "
        "monolayers (100 at least); while a current plates, over the ions since the row before; at "
        "rest, over the last 100 of 30 moments a row",
        "vacancies_expected": "Those expected there in equilibrium, summed alike; far below 1 the "
        "activity is not resolved",
        "strip_weight": "Oxidation rate of all electroactive atoms over that of a flat L1; NaN "
        "without interface",
        "rim_per_nm": "Length of the rims of the contact per interface area; NaN without interface",
        "step": "Number of the step of the protocol, from 1, repeats counted; 0 without one",
        "cycle": "Pass of a block of the protocol, from 1; 0 without a protocol",
        "dead_Li": "Li not connected to the metal above the box over first and second neighbours; "
        "0 in bulk",
    }.items()
}
COUNTS = frozenset(
    (
        *("events", "vacancies", "phase", "step", "cycle", "dead_Li"),
        *(process.column for process in processes.PROCESSES),
        *(process.column_Mg for process in processes.WITH_MG),
        *(*HOP_CLASSES.values(), *HOPS_BY_WAY),
    )
)
"""Columns of `/samples` that are whole numbers."""
FRAMES = {
    "sample": ("1", "Row of /samples at the same time"),
    "events": ("1", "Events so far"),
    "time_s": ("s", "Simulated time"),
    "capacity_monolayers": ("1", "Net charge in atoms per L1 site"),
    "capacity_mAh_cm2": ("mAh/cm2", "Net charge per interface area"),
    "occupancy": ("1", "What each site holds: 0 vacancy, 1 Li, 2 Mg"),
}
FRAME_COLUMNS = ("events", "time_s", "capacity_monolayers", "capacity_mAh_cm2")
"""Columns of a frame that are those of its row of `/samples`."""
LATTICE = {
    "positions_A": (
        "Å",
        "Position of each site, x and y in the interface; L1 lies at z = 0 and the metal above it",
    ),
    "layer": ("1", "Atomic layer of each site; 1 is L1, at the electrolyte"),
    "chemistry": (
        "1",
        "Interface chemistry below each site of L1: its place, from 0, in the list "
        "interface.chemistry of `resolved`; 0 everywhere if that list is empty",
    ),
}
TABLES = Tables(
    SAMPLES,
    FRAMES,
    LATTICE,
    format="kmc trajectory",
    counts=COUNTS,
    group="lattice",
    late=frozenset(("frames/occupancy", "lattice/positions_A", "lattice/layer", "checkpoint")),
)
