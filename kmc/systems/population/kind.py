"""A population of voids for the commands of kmc: micrometres of interface."""

from typing import Any

from kmc.runfile.kind_sections import Upscale
from kmc.runfile.kinds import KINDS
from kmc.runfile.run_file import RunFile
from kmc.systems.population.check import CHECKS
from kmc.systems.population.columns import TABLES, complete
from kmc.systems.population.result import PopulationRun
from kmc.systems.population.run import NO_CONTACT, population
from kmc.systems.population.setup import cell_at
from kmc.systems.system import Charge, System

PICTURES = {
    "summary": "contact, voids, widths, heights and overpotential against charge",
    "microscope": "the same beside the operando images of Zhao et al., on their scales",
    "section": "cuts through the gap",
    "map": "the interface from above, with the height of the gap",
    "sizes": "sizes of the voids",
    "events": "voids that appear, split, meet and close",
}
# Of cell_li, operando_limg and upscale_li on squares of 6 to 40 µm: seconds of a core for a run and
# for each cell of its grid; bytes of a file and of a cell in each frame.
_RUN_S, _CELL_S = 0.8, 2e-4
_CREEP_S = 2.8e-3  # for each cell and mAh/cm² of upscale_pressure, 0.05 to 0.8 mAh/cm²
_FILE_BYTES, _CELL_BYTES = 90_000, 1.0
_FRAMES_EARLY = 12  # beside the even ones, where voids may begin
_NUCLEATED_CELL_um = 0.045  # of upscale_li, whose voids are dense and hardly round
_VOIDS_PER_um2 = 0.7  # of lithium at 0.5 mA/cm² and 25 °C, where voids nucleate


def columns(found: PopulationRun) -> dict[str, Any]:
    """Columns of the samples, with the capacity in monolayers too."""
    monolayers = found.samples["capacity_mAh_cm2"] / found.facts["monolayer_mAh_cm2"]
    return {**found.samples, "capacity_monolayers": monolayers}


def _cells(upscale: Upscale) -> float:
    """Of the grid, roughly where the square and the cell follow from voids that nucleate."""
    flaws = upscale.nucleation == "flaws"
    # Clusters take seconds to compute, for which a rough cost is not worth waiting.
    density = (upscale.flaw_density_per_um2 or 0.0) if flaws else _VOIDS_PER_um2
    cell = upscale.grid_um or (cell_at(density) if flaws else _NUCLEATED_CELL_um)
    return (upscale.edge_um(density) / cell) ** 2


def seconds(run: RunFile) -> float:
    """Rough time of a run: by the cells of its grid, its replicas and steps, and under a pressure
    by its charge."""
    upscale, plan = run.upscale, run.protocol.plan
    each_s = _CELL_S * max(1, len(plan))
    # Without creep contact is lost early, and the charge that was asked for hardly counts.
    pressed = run.conditions.stack_pressure_MPa * upscale.pressure_share > 0
    if pressed and upscale.body != "rigid":
        charges = [planned.step.until.capacity_mAh_cm2 or 0.0 for planned in plan]
        each_s += _CREEP_S * (sum(charges) if plan else upscale.capacity_mAh_cm2)
    return (_RUN_S + each_s * _cells(upscale)) * upscale.replicas


def file_bytes(run: RunFile) -> float:
    """Rough size of its file."""
    frames = float(run.upscale.frames) * max(1, len(run.protocol.plan))
    return _FILE_BYTES + _CELL_BYTES * _cells(run.upscale) * (frames + _FRAMES_EARLY)


POPULATION = System(
    KINDS["population"],
    TABLES,
    population,
    CHECKS,
    PopulationRun.everything,
    PICTURES,
    short=("Stripped", "Contact", "Voids", "Overpotential"),
    run_class=PopulationRun,
    complete=complete,
    more_columns={"capacity_monolayers": ("1", "Charge in layers of atoms")},
    columns=columns,
    charge=Charge("capacity_mAh_cm2", "upscale.capacity_mAh_cm2"),
    headline="half_contact_mAh_cm2",
    tables={
        "samples": lambda found, **_: found.samples.table,
        "voids": lambda found, **_: found.voids.table,
    },
    seconds=seconds,
    file_bytes=file_bytes,
    more_frames="a larger upscale.frames",
    next=("--what microscope --paper",),
    ends=("upscale.capacity_mAh_cm2",),
    for_good=(
        NO_CONTACT,
        'A lower current, a stack_pressure_MPa, or in cycles contact_lost = "plate_back" keep it',
    ),
)
