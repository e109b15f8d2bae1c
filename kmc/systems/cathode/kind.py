"""A cathode for the commands of kmc: what it records, how it is checked and summed up."""

from __future__ import annotations

from kmc.files.table_file import Tables
from kmc.runfile.kinds import KINDS
from kmc.systems.cathode.check import CHECKS
from kmc.systems.cathode.run import CathodeJob
from kmc.systems.cathode.summary import digest, summary
from kmc.systems.table_system import table_system

SAMPLES: dict[str, tuple[str, str]] = {
    "time_s": ("s", "Time since the beginning"),
    "cycle": ("1", "Cycle, from 1; 0 before the first"),
    "phase": ("1", "0 start, 1 end of a lithiation, 2 end of a delithiation"),
    "lithiation": ("1", "0 delithiated, 1 fully lithiated"),
    "swelling": ("1", "Free area strain of the active material"),
    "contact_active_active": ("1", "Share of active surfaces looking at active ones that touch"),
    "contact_active_frame": ("1", "Share of active surfaces looking at the frame that touch"),
    "pore_area": ("1", "Open area of the sites that began as pores, over their number"),
    "open_area": ("1", "Open area of all sites, over the same number"),
    "stress_active_GPa": ("GPa", "Equivalent stress, mean over the sites of active grains"),
    "stress_frame_GPa": ("GPa", "Equivalent stress, mean over the sites of the frame"),
    "stress_active_99_GPa": ("GPa", "Equivalent stress that 1 % of those of the grains exceed"),
    "thickness": ("1", "Distance of the walls along x, over that at the start"),
    "portions": ("1", "Portions of active material"),
    "portions_in_pores": ("1", "Portions on sites that began as pores"),
    "events": ("1", "Events of creep so far"),
    "moved": ("1", "Portions that creep moved to another site so far"),
    "factorizations": ("1", "Factorizations of the stiffness matrix so far: work"),
}
FRAMES: dict[str, tuple[str, str]] = {
    "sample": ("1", "Row of /samples at the same time"),
    "portions": ("1", "Portions of active material on each site, [frame, x, y]"),
    "area_strain": ("1", "Area strain of each site, [frame, x, y]"),
    "bears_load": ("1", "Whether a site bears load, [frame, x, y]"),
    "open_area": ("1", "Open share of each site, [frame, x, y]"),
    "equivalent_GPa": ("GPa", "Equivalent stress, [frame, x, y]"),
    "mean_GPa": ("GPa", "Mean stress in the plane, pressure negative, [frame, x, y]"),
}
CONSTANTS: dict[str, tuple[str, str]] = {
    "material": ("1", "At the start, [x, y]: 0 pore, 1 frame, 2 active"),
    "grain": ("1", "Grain whose cell the site is in, [x, y]"),
}

PICTURES = {
    "summary": "contact, pores and stresses cycle by cycle, and the maps at the end",
    "map": "material, openings and stress",
}


CATHODE = table_system(
    KINDS["cathode"],
    Tables(SAMPLES, FRAMES, CONSTANTS),
    lambda run, progress: CathodeJob(run),
    CHECKS,
    summary,
    PICTURES,
    ends=("cathode.cycles",),
    digest=digest,
    charge=None,  # a site of active material is lithiated, no interface is stripped
    headline="pore_area",
)
