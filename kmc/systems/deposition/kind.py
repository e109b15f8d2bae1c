"""A deposition for the commands of kmc: what it records, how it is checked and summed up."""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from kmc.common.metals import VALENCES
from kmc.common.units import A_per_nm
from kmc.files.check_result import Breach, differences, first_breach
from kmc.files.table_file import Tables, columns_of
from kmc.files.table_run import TableRun
from kmc.model.electrochemistry import strip_rate_Hz
from kmc.runfile.kinds import KINDS
from kmc.runfile.protocol import PLATE, STRIP, plan_of, stored_blocks
from kmc.runfile.run_file import RunFile
from kmc.systems.checks import frames_give, in_order
from kmc.systems.deposition.run import FRAME_EVERY, DepositionJob
from kmc.systems.deposition.shape import describe
from kmc.systems.deposition.summary import has_layer, layer_of, summary
from kmc.systems.electrode import cost
from kmc.systems.system import System

_SIGMAS = 6.0  # of the shot noise of a step's charge
_EXACT_RATIO = 5e8  # hops for each atom plated on a site at 1 mA/cm², no barrier raised: on carbon
# Of the shipped depositions at ratios of 1e5 to 1e8, and in equilibrium, within a factor of 2:
# seconds of a core to start, and for an atom at 1e6, and the power of the ratio; bytes of a file
# and of a site in each frame.
_RUN_S, _ATOM_S, _POWER = 0.5, 3e-4, 0.6
_FILE_BYTES, _SITE_BYTES = 20_000, 0.02
_COLUMNS = columns_of(Path(__file__).with_name("columns.csv"))

PICTURES = {
    "summary": "coverage, height, roughness, islands, and the last map",
    "map": "the deposit from above, with its height",
    "section": "cuts through the deposit",
}


# --- what `kmc verify` recomputes ---


def _atoms(run: TableRun) -> Iterator[Breach]:
    s = run.samples
    layer = layer_of(run)
    if not has_layer(run):
        layer = np.zeros_like(layer)
    # Ions go into the layer while they are plated; none comes back.
    wrong = (np.diff(layer, prepend=0.0) < 0) | (layer > s["plated"])
    text = "a layer that does not fall"
    yield from first_breach("layer", "/samples/plated", wrong, s["plated"], text)
    wrong = (np.diff(layer, prepend=0.0) > 0) & (np.diff(s["plated"], prepend=0.0) == 0)
    wrong[:1] = False  # what was there at the start came with no row
    text = "a layer of plated ions"
    yield from first_breach("layer", "/samples/atoms", wrong, s["atoms"], text)
    atoms = s["plated"] - s["stripped"] - layer
    yield from differences("atoms", "/samples/atoms", s["atoms"], atoms)


def _dead(run: TableRun) -> Iterator[Breach]:
    s = run.samples
    # A bare substrate has lost nothing: 0 over 1, not 0 over 0.
    share = s["dead_Li"] / np.maximum(1, s["plated"])
    place = "/samples/dead_per_plated"
    yield from differences("dead atoms over plated ones", place, s["dead_per_plated"], share)


def _described(run: TableRun, frame: int) -> dict[str, float]:
    return describe(run.frames["occupied"][frame], run.facts["spacing_A"] / A_per_nm)


def _charge(run: TableRun) -> Iterator[Breach]:
    """Charge over time is the current, within the shot noise of its atoms."""
    s, columns = run.samples, run.constants["substrate"].size
    area = run.facts["spacing_A"] ** 2 * columns
    plan = [planned.step for planned in plan_of(stored_blocks(run.run))]
    for number in np.unique(s["step"]).astype(int):
        rows = np.flatnonzero(s["step"] == number)
        # From the last row of the step before, where this one began.
        first, last = max(0, rows[0] - 1), rows[-1]
        what = int(s["phase"][last])
        step = plan[number - 1] if plan else None
        if what == 0 or (step is not None and step.do not in (PLATE, STRIP)):
            continue
        current = run.run["conditions"]["current_density_mA_cm2"]
        if step is not None:
            current = step.current_density_mA_cm2
        charge = (s["plated"] + s["stripped"])[[first, last]]
        passed, seconds = charge[1] - charge[0], s["time_s"][last] - s["time_s"][first]
        local = current / (run.run["deposition"].get("area_per_electrode_area") or 1.0)
        expected = strip_rate_Hz(local, area, VALENCES[run.metal]) * seconds
        # Atoms come at random (Poisson): the count scatters by the root of its mean.
        if not abs(passed - expected) <= _SIGMAS * np.sqrt(max(expected, passed, 1.0)):
            check = "charge follows from the current"
            yield Breach(check, "/samples/plated", last, passed, f"{expected:.6g}")


CHECKS = (
    ("atoms = plated − stripped, less a surface layer that takes only plated ions", _atoms),
    ("dead atoms over plated ones", _dead),
    ("rows are in order", in_order("time_s", "plated", "stripped", "hops", "attempts", "step")),
    ("charge follows from the current, within its shot noise", _charge),
    ("coverage, heights, islands and dead atoms of every frame", frames_give(_described)),
)


def seconds(run: RunFile) -> float:
    """Rough time of a run: by its atoms and by how far hops are slowed."""
    current = abs(run.drive.current_density_mA_cm2 or 1.0)
    exact = 1e6 if run.acceleration.saddle_floor_eV else _EXACT_RATIO / current
    ratio = run.acceleration.max_hops_per_strip_per_site or exact
    each_s = _ATOM_S * (4.0 if ratio == math.inf else (ratio / 1e6) ** _POWER)
    return _RUN_S + each_s * cost.strips(run)


def file_bytes(run: RunFile) -> float:
    """Rough size of its file."""
    every = run.output.frame_every_monolayers or FRAME_EVERY
    return _FILE_BYTES + _SITE_BYTES * cost.strips(run) * run.system.size[2] / every


DEPOSITION = System(
    KINDS["deposition"],
    Tables(_COLUMNS["samples"], _COLUMNS["frames"], _COLUMNS["constants"]),
    lambda run, progress: DepositionJob(run),
    CHECKS,
    summary,
    PICTURES,
    ends=("stop.capacity_monolayers", "stop.capacity_mAh_cm2"),
    short=("Capacity", "Deposit", "Dead", "Lost", "Efficiency", "Equilibrium"),
    headline="coverage",
    seconds=seconds,
    file_bytes=file_bytes,
)
