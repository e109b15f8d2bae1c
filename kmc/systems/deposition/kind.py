"""A deposition for the commands of kmc: what it records, how it is checked and summed up."""

from __future__ import annotations

from kmc.files.table_file import Tables
from kmc.runfile.kinds import KINDS
from kmc.systems.deposition.check import CHECKS
from kmc.systems.deposition.run import DepositionJob
from kmc.systems.deposition.summary import digest, summary
from kmc.systems.table_system import table_system

SAMPLES: dict[str, tuple[str, str]] = {
    "time_s": ("s", "Time since the beginning"),
    "capacity_monolayers": ("1", "Atoms plated less atoms stripped, for each column"),
    "capacity_mAh_cm2": ("mAh/cm2", "The same as charge per area"),
    "step": ("1", "Step of the protocol, from 1"),
    "phase": ("1", "0 rest, 1 plating, 2 stripping"),
    "plated": ("1", "Atoms plated so far"),
    "stripped": ("1", "Atoms stripped so far"),
    "hops": ("1", "Hops so far"),
    "attempts": ("1", "Attempts so far, rejected ones included"),
    "atoms": ("1", "Atoms of the metal"),
    "coverage": ("1", "Share of the substrate under metal"),
    "mean_height_layers": ("1", "Layers up to the highest atom of a column, mean over all columns"),
    "island_height_layers": ("1", "The same over the columns with metal; NaN without any"),
    "max_height_layers": ("1", "The same, highest column"),
    "roughness_layers": ("1", "Standard deviation of the height over all columns"),
    "islands": ("1", "Connected components of the columns with metal"),
    "islands_per_um2": ("1/µm2", "Islands per area"),
    "island_area_nm2": ("nm2", "Mean area of an island; NaN without any"),
    "largest_island_share": ("1", "Largest island over the area of all; NaN without any"),
    "dead_Li": ("1", "Atoms without a path of neighbours to the substrate"),
    "dead_fraction": ("1", "The same over all atoms; 0 without any"),
    "dead_per_plated": ("1", "The same over all atoms plated so far: what lost contact has cost"),
}
FRAMES: dict[str, tuple[str, str]] = {
    "sample": ("1", "Row of /samples at the same time"),
    "occupied": ("1", "Atoms, [frame, z, y, x]; z = 0 on the substrate"),
}
CONSTANTS: dict[str, tuple[str, str]] = {
    "substrate": ("1", "Surface of each column, [y, x]: 0 the substrate, 1 its islands"),
}

PICTURES = {
    "summary": "coverage, height, roughness, islands, and the last map",
    "map": "the deposit from above, with its height",
    "section": "cuts through the deposit",
}


DEPOSITION = table_system(
    KINDS["deposition"],
    Tables(SAMPLES, FRAMES, CONSTANTS),
    lambda run, progress: DepositionJob(run),
    CHECKS,
    summary,
    PICTURES,
    ends=("stop.capacity_monolayers", "stop.capacity_mAh_cm2"),
    digest=digest,
    headline="coverage",
)
