"""A cathode for the commands of kmc: what it records, how it is checked and summed up."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from kmc.files.check_result import Breach, differences
from kmc.files.table_file import Tables, columns_of
from kmc.files.table_run import TableRun
from kmc.model.parameters import load_parameters
from kmc.runfile.kinds import KINDS
from kmc.runfile.run_file import RunFile
from kmc.systems.cathode.contact import DESCRIBED, describe
from kmc.systems.cathode.materials import solid_of
from kmc.systems.cathode.microstructure import ACTIVE, FRAME, counts
from kmc.systems.cathode.run import CathodeJob
from kmc.systems.cathode.summary import summary
from kmc.systems.checks import frames_give, in_order
from kmc.systems.system import System

_CLOSED = 1e-9  # mean area strain: what a wall has moved, and zero but for rounding without
_COLUMNS = columns_of(Path(__file__).with_name("columns.csv"))

PICTURES = {
    "summary": "contact, pores and stresses cycle by cycle, and the maps at the end",
    "map": "material, openings and stress",
}


# --- what `kmc verify` recomputes ---


def _fractions(run: TableRun) -> Iterator[Breach]:
    section, material = run.run["cathode"], run.constants["material"]
    fractions = section["active_fraction"], section["frame_fraction"]
    of_section = counts(section["edge_sites"], *fractions)
    for kind, uncut in zip((ACTIVE, FRAME), of_section, strict=True):
        # Counts are rounded before the sites are cut, so that the finer section is the same one.
        sites = uncut * section.get("refinement", 1) ** 2
        found = int((material == kind).sum())
        if found != sites:
            yield Breach("sites of a material", "/constants/material", None, found, sites)


def _portions(run: TableRun) -> Iterator[Breach]:
    material = run.constants["material"]
    total = int((material == ACTIVE).sum()) * run.facts["portions_per_site"]
    yield from differences("portions", "/samples/portions", run.samples["portions"], total)
    for i, portions in enumerate(run.frames["portions"]):
        if portions.sum() != total:
            yield Breach("portions", "/frames/portions", i, portions.sum(), total)
        if (portions < 0).any() or portions[material == FRAME].any():
            text = "below 0, or on the frame"
            yield Breach("portions", "/frames/portions", i, text, "neither")


def _area(run: TableRun) -> Iterator[Breach]:
    for i, strain in enumerate(run.frames["area_strain"]):
        row = run.frames["sample"][i]
        imposed = run.samples["thickness"][row] - 1.0 if "thickness" in run.samples else 0.0
        # Fixed walls hold the area; one under pressure moves, and all sites together with it.
        moves = run.run["cathode"].get("wall_pressure_MPa") is not None
        if not abs(strain.mean() - imposed) <= _CLOSED or (imposed and not moves):
            found, wanted = f"{strain.mean():.3g}", f"{imposed if moves else 0.0:.3g}"
            yield Breach("area between the walls", "/frames/area_strain", i, found, wanted)
        # What active material leaves of a site is open, but for sites that it presses on.
        fill = run.frames["portions"][i] * (1.0 + run.samples["swelling"][row])
        fill /= run.facts["portions_per_site"]
        loaded = run.frames["bears_load"][i].astype(bool)
        room = np.where(loaded, 0.0, np.maximum(1.0 + strain - fill, 0.0))
        wrong = ~(np.abs(room - run.frames["open_area"][i]) <= 1e-9)
        for x, y in np.argwhere(wrong)[:1]:
            stored = run.frames["open_area"][i][x, y]
            yield Breach(f"open area of site {x}, {y}", "/frames/open_area", i, stored, room[x, y])


def _described(run: TableRun, frame: int) -> dict[str, float]:
    maps = {name: run.frames[name][frame] for name in DESCRIBED}
    constants = run.constants["material"], run.constants["grain"]
    return describe(*constants, maps, run.run["cathode"].get("refinement", 1))


CHECKS = (
    ("sites of each material are those of the run file", _fractions),
    ("portions of active material are conserved, to the last one", _portions),
    ("area between the walls is conserved, and shared between material and openings", _area),
    ("contact ratios, pores and stresses of every frame", frames_give(_described)),
    ("rows are in order", in_order("time_s", "cycle", "events", "moved", "factorizations")),
)


# Of the shipped cathodes with 24 to 96 sites along an edge: seconds of a core to start, and of a
# factorization for each site where the edge has 48; factorizations of a step, which grow with the
# exponent of creep; bytes of a file, and of a site in each frame.
_RUN_S, _SITE_S, _FACTORIZATIONS = 1.0, 7e-6, 7.0
_FILE_BYTES, _SITE_BYTES = 50_000, 12.0


def seconds(run: RunFile) -> float:
    """Rough time of a run: by its cycles and steps, the sites of its section, and its creep."""
    section = run.cathode
    edge = section.edge_sites * section.refinement
    exponent = solid_of(load_parameters(run.system.params, run.parameters)).exponent
    steps = section.cycles * section.steps * (2.0 - section.residual_lithiation)
    each_s = _SITE_S * edge**2 * (edge / 48) ** 0.4
    return _RUN_S + steps * each_s * max(1.0, _FACTORIZATIONS * exponent**0.4)


def file_bytes(run: RunFile) -> float:
    """Rough size of its file."""
    section = run.cathode
    frames = 1 + 2 * min(section.cycles, 4 + section.cycles / 20)
    return _FILE_BYTES + _SITE_BYTES * frames * (section.edge_sites * section.refinement) ** 2


CATHODE = System(
    KINDS["cathode"],
    Tables(_COLUMNS["samples"], _COLUMNS["frames"], _COLUMNS["constants"]),
    lambda run, progress: CathodeJob(run),
    CHECKS,
    summary,
    PICTURES,
    ends=("cathode.cycles",),
    short=("Creep", "Lithiated", "Delithiated"),
    charge=None,  # a site of active material is lithiated, no interface is stripped
    headline="pore_area",
    seconds=seconds,
    file_bytes=file_bytes,
)
