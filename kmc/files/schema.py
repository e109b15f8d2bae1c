"""What the file of a box of atoms holds: every dataset with unit and meaning.

These tables and columns.csv are the documentation of the format (docs/trajectory.md), and the
writer takes units and descriptions from them, so that the two cannot differ. ``sample`` rows are
written often and hold a few numbers, ``frame`` rows are rarer and hold every site.
`kmc.files.table_file` has what files of all kinds share.
"""

from pathlib import Path

from kmc.common.units import unit_of
from kmc.files.table_file import Tables, columns_of
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

_COLUMNS = columns_of(Path(__file__).with_name("columns.csv"))
# Columns that follow from the table of processes, by the column of the file they come before.
_BEFORE = {
    "vacancies": {
        "events": f"Events so far: {processes.listed()}",
        **{process.column: process.description for process in processes.PROCESSES},
    },
    "overpotential_concentration_V": {
        **{process.column_Mg: process.description_Mg for process in processes.WITH_MG},
        **{
            f"{name}_{way}": f"Of `{name}`, those {text}, so far"
            for name in HOP_CLASSES.values()
            for way, text in _WAYS.items()
        },
    },
}
SAMPLES: dict[str, tuple[str, str]] = {}
for _name, _row in _COLUMNS["samples"].items():
    SAMPLES |= {made: (unit_of(made), text) for made, text in _BEFORE.get(_name, {}).items()}
    SAMPLES[_name] = _row
COUNTS = frozenset(
    (
        *("events", "vacancies", "phase", "step", "cycle", "dead_Li"),
        *(process.column for process in processes.PROCESSES),
        *(process.column_Mg for process in processes.WITH_MG),
        *(*HOP_CLASSES.values(), *HOPS_BY_WAY),
    )
)
"""Columns of `/samples` that are whole numbers."""
FRAME_COLUMNS = ("events", "time_s", "capacity_monolayers", "capacity_mAh_cm2")
"""Columns of a frame that are those of its row of `/samples`."""
TABLES = Tables(
    SAMPLES,
    _COLUMNS["frames"],
    _COLUMNS["lattice"],
    format="kmc trajectory",
    counts=COUNTS,
    group="lattice",
    late=frozenset(("frames/occupancy", "lattice/positions_A", "lattice/layer", "checkpoint")),
)
