"""What the file of a population holds, beside what every file of tables does.

    /frames/h_um           the gap itself, in single precision
    /points/NAME           one row a frame and void that is smaller than two cells
    /events/NAME           one row a split, collapse, coalescence or new void

Files of schema 1, of the population of discs, have /voids and /discs in place of the gap; they are
read, not written.
"""

from typing import Any

import numpy as np

from kmc.files.table_file import Tables

SAMPLES: dict[str, tuple[str, str]] = {
    "time_s": ("s", "Time since the current was switched on"),
    "capacity_mAh_cm2": ("mAh/cm2", "Charge stripped less charge plated, per area"),
    "phase": ("1", "0 with current, 1 rest"),
    "step": ("1", "Number of the step of the protocol, from 1; 0 without one"),
    "cycle": ("1", "Pass of a block of the protocol, from 1; 0 without one"),
    "current_density_mA_cm2": ("mA/cm2", "Current density, below 0 while plating"),
    "contact_fraction": ("1", "Share of the interface in contact"),
    "voids_per_um2": ("1/µm2", "Voids per area, without debris below 4 cells or resolution_um"),
    "voids_per_100um": ("1/100 µm", "Voids on 100 µm of cross-section line"),
    "mean_width_um": ("µm", "Mean width of the voids on cross-section lines; NaN without any"),
    "max_width_um": ("µm", "Largest width of a void on cross-section lines that spans two cells"),
    "mean_height_um": ("µm", "Mean of the largest heights of the voids on cross-section lines"),
    "max_height_um": ("µm", "Largest height of a void on cross-section lines"),
    "supersaturation": ("1", "Vacancy activity at the contact, mean over it"),
    "max_supersaturation": ("1", "Largest vacancy activity on the grid"),
    "overpotential_V": ("V", "Overpotential: concentration, charge transfer, constriction, series"),
    "concentration_V": ("V", "Overpotential of vacancies left in the metal, (kT/e) ln S"),
    "charge_transfer_V": ("V", "Overpotential of charge transfer, (2kT/e) asinh[j/(2 j0 θ √S)]"),
    "constriction_V": ("V", "Overpotential of the constriction in the electrolyte, j R_c"),
    "series_V": ("V", "Overpotential of the series resistance, j R_series"),
    "stack_pressure_MPa": ("MPa", "Stack pressure, which falls as a stiff stack becomes shorter"),
    "stress_MPa": ("MPa", "Pressure over the share of the contact that carries it"),
    "stripped_um": ("µm", "Height of the metal stripped so far"),
    "initial_um": ("µm", "Volume of the flaws at the start, as a height"),
    "voids_um": ("µm", "Volume of the voids, as a height"),
    "settled_um": ("µm", "Height by which metal in contact has come down, mean over the square"),
    "sink_um": ("µm", "Vacancies gone to the sink behind the metal, as a height"),
    "storage_um": ("µm", "Vacancies beyond equilibrium in the metal, as a height"),
    "annihilated_fraction": ("1", "Share of the vacancies since the last row that ended at sinks"),
    "roof_velocity_um_s": ("µm/s", "Velocity of the metal over the voids towards the electrolyte"),
    "raised_rim_fraction": ("1", "Share of the rims whose lip is thinner than the grid resolves"),
    "plated_um": ("µm", "Height of the metal plated so far"),
    "filled_um": ("µm", "Height of plated metal that filled voids"),
    "pushed_back_um": (
        "µm",
        "Height of plated metal that pushed the metal back, as no void was left",
    ),
    "dead_um": ("µm", "Volume of voids that plating cut off, as a height"),
    "nucleated_per_um2": ("1/µm2", "Voids nucleated so far"),
    "dissolved_per_um2": ("1/µm2", "Voids smaller than two cells that dissolved so far"),
    "splits": ("1", "Parts that came off a void so far; other cells see other numbers"),
    "collapses": ("1", "Voids that closed so far; other cells see other numbers"),
    "coalescences": ("1", "Voids that became part of another so far"),
    "regained_fraction": ("1", "Area that came back into contact so far, over the square"),
}
FRAMES: dict[str, tuple[str, str]] = {
    "time_s": ("s", "Time of the frame"),
    "capacity_mAh_cm2": ("mAh/cm2", "Charge passed per area"),
    "sample": ("1", "Row of /samples (of the replica) at the same time"),
    "replica": ("1", "Replica, from 0"),
    "h_um": ("µm", "Gap between metal and electrolyte by row (y) and column (x)"),
}
POINTS: dict[str, tuple[str, str]] = {
    "frame": ("1", "Row of /frames"),
    "x_um": ("µm", "Centre of the void along x"),
    "y_um": ("µm", "Centre of the void along y"),
    "radius_um": ("µm", "Radius of the void's footprint"),
    "volume_um3": ("µm3", "Volume of the void"),
}
EVENTS: dict[str, tuple[str, str]] = {
    "replica": ("1", "Replica, from 0"),
    "time_s": ("s", "Time at which it was seen"),
    "capacity_mAh_cm2": ("mAh/cm2", "Charge passed per area"),
    "kind": ("1", "0 appears, 1 splits, 2 coalesces, 3 collapses"),
    "void": ("1", "The new void, or the one that ended"),
    "other": ("1", "The void it came off, or became part of; 0 without"),
    "area_um2": ("µm2", "Area of the void as it began, or before it ended"),
    "volume_um3": ("µm3", "Volume of the void as it began, or before it ended"),
    "height_um": ("µm", "Largest height of the void as it began, or before it ended"),
}

CELLS = {f"{axis}_um": ("µm", f"Centre of each cell of the gap along {axis}") for axis in "yx"}
LISTS, AXES = {"points": POINTS, "events": EVENTS}, {"h_um": tuple(CELLS)}
TABLES = Tables(SAMPLES, FRAMES, CELLS, LISTS, format="kmc population", axes=AXES)


def complete(record: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    """Add columns that files of schema 1 lack: theirs is a strip, and a rest perhaps."""
    current = record["resolved"]["run"]["conditions"]["current_density_mA_cm2"]
    for path in [path for path in arrays if path.endswith("/phase")]:
        group = path.removesuffix("/phase")
        # They had one current, and neither steps nor plating.
        if f"{group}/current_density_mA_cm2" not in arrays:
            arrays[f"{group}/current_density_mA_cm2"] = current * (arrays[path] == 0)
            none = np.zeros(len(arrays[path]))
            arrays.update({f"{group}/{name}": none for name in ("step", "cycle", "plated_um")})
