"""Rough cost of a run of a box of atoms, from its run file: events, time and size of its file."""

import math
from functools import cache
from typing import NamedTuple

from kmc.common.formatting import duration, figure
from kmc.common.units import K_B_eV
from kmc.errors import KmcError
from kmc.model.electrochemistry import atoms_of_capacity, strip_rate_Hz
from kmc.model.lattice import load_unit_cell
from kmc.model.parameters import load_parameters
from kmc.runfile.kinds import BOX
from kmc.runfile.protocol import REST, Until
from kmc.runfile.run_file import RunFile, given_keys
from kmc.runfile.sections import Conditions, Stop

# Of strip_li_hops on a slow core.
_S_PER_EVENT = 4e-7
_HOPS_PER_STRIP_AND_RATIO = 5e-3
_LATERAL = 6.0  # with `lateral_supersaturation` = 1, over strip_li_hops
_ALLOY = 0.35  # of strip_limg over strip_li_hops: Mg at the interface keeps vacancies away
# Measured on shipped runs: the empty file, its lattice, a compressed frame without and with Mg,
# a row of samples.
_FILE_BYTES = 50_000
_LATTICE_BYTES_PER_SITE = 0.6
_FRAME_BYTES_PER_SITE = (0.03, 0.1)
_SAMPLE_BYTES = 65
_FRAMES_UNKNOWN = 12
_CURRENT_mA_cm2 = Conditions.model_fields["current_density_mA_cm2"].default
_S_IN_EQUILIBRIUM = 3.0  # of starting, and of the free energies of clusters
_S_PER_STRIP = 2e-3  # in equilibrium between strips
_LONG_s = 900.0  # of exact kinetics: more is worth a warning


class _Metal(NamedTuple):
    """Of a parameter set; by default of li_li2s, for a set that says nothing of it."""

    area_A2: float = 12.3  # of an atom of the interface
    valence: int = 1
    fastest_Hz: float = 2.6e12
    barrier_eV: float = 0.055


@cache
def _metal(params: str) -> _Metal:
    try:
        parameters = load_parameters(params)
        return _Metal(
            parameters.value("lattice_parameter_A") ** 2,
            parameters.valence,
            parameters.value("attempt_frequency_Hz"),
            parameters.value("barrier_Li_eV"),
        )
    except (KmcError, OSError):
        return _Metal()


def seconds(run: RunFile) -> float:
    """Time on a slow core; NaN where the number of events is unknown."""
    if run.acceleration.max_hops_per_strip_per_site == math.inf:
        return _S_IN_EQUILIBRIUM + _S_PER_STRIP * events(run)
    return _S_PER_EVENT * events(run)


def events(run: RunFile) -> float:
    """Expected number of events, correct within a factor of about 3 for the shipped runs."""
    monolayers, sites = _monolayers(run), _sites(run)[1]
    stop, rest = run.stop.events, run.rest
    if math.isnan(monolayers):
        return float(stop or math.nan)
    # Hops outnumber all other events: their number follows from how fast they may be.
    hops = _HOPS_PER_STRIP_AND_RATIO * _ratio(run)
    if run.acceleration.max_hops_per_strip_per_site == math.inf:
        hops = 0.1  # what passes between box and metal
    if run.acceleration.superbasins:
        hops = 1.0  # the walk of a lone vacancy is drawn in one step
    if run.system.mg_fraction:
        hops *= _ALLOY
    if run.acceleration.lateral_supersaturation is not None:
        hops *= _LATERAL
    # Voids hop on in a rest, at the rate that they had under current.
    resting = (rest.time_s or 0.0) * _strip_rate_Hz(run) * sites * hops
    resting = (resting if math.isfinite(resting) else 0.0) + (rest.events or 0)
    return min(monolayers * sites * (1.0 + hops), stop or math.inf) + resting


def _ratio(run: RunFile) -> float:
    """Rate of the fastest hop over the strip rate of a site: given, or by the lowest barrier."""
    acceleration, metal = run.acceleration, _metal(run.system.params)
    if acceleration.max_hops_per_strip_per_site:
        return acceleration.max_hops_per_strip_per_site
    kT_eV = K_B_eV * run.conditions.temperature_K
    lowest_eV = acceleration.saddle_floor_eV or metal.barrier_eV
    if acceleration.slow_down_by:
        lowest_eV = metal.barrier_eV + kT_eV * math.log(acceleration.slow_down_by)
    return metal.fastest_Hz * math.exp(-lowest_eV / kT_eV) / _strip_rate_Hz(run)


def exact_kinetics(run: RunFile) -> str:
    """What a box with exact kinetics costs and how to have it sooner; empty where that is little.

    Without [acceleration] a vacancy hops about 1e11 times while an atom of its site is stripped.
    """
    # Any of these raises barriers, and its cost is what the user asked for.
    keys = ("max_hops_per_strip_per_site", "saddle_floor_eV", "slow_down_by")
    if run.kind != BOX or any(getattr(run.acceleration, key) for key in keys):
        return ""
    # Superbasins draw the walk of a lone vacancy in one step: their cost does not follow the hops.
    if run.drive.current_density_mA_cm2 <= 0 or run.acceleration.superbasins:
        return ""
    number = events(run)
    cost_s = _S_PER_EVENT * (math.inf if math.isnan(number) else number)
    cost_s = min(cost_s, run.stop.wall_time_s or math.inf)
    if not cost_s > _LONG_s:
        return ""
    hops = _HOPS_PER_STRIP_AND_RATIO * _ratio(run)
    return (
        f"no barrier is raised: exact kinetics take {figure(hops, digits=2)} hops for each "
        f"stripped atom, about {duration(cost_s, 2)} of processor. "
        "--set acceleration.max_hops_per_strip_per_site=1e6 slows the fastest hops and leaves "
        "equilibrium exact (docs/acceleration.md)"
    )


def _current_mA_cm2(run: RunFile) -> float:
    """The current given; where a voltage is held, the default stands for what it drives."""
    held = run.drive.overpotential_V is not None
    return _CURRENT_mA_cm2 if held else run.drive.current_density_mA_cm2


def _strip_rate_Hz(run: RunFile) -> float:
    """Strips of a site in a second; NaN without a current."""
    metal = _metal(run.system.params)
    return strip_rate_Hz(_current_mA_cm2(run) or math.nan, metal.area_A2, metal.valence)


def _monolayers(run: RunFile) -> float:
    """Monolayers to be stripped or plated; NaN where no stop is a capacity."""
    if not run.has_protocol:
        return _least(run.stop, _current_mA_cm2(run), run)
    steps = [planned.step for planned in run.protocol.plan if planned.step.do != REST]
    return sum(_least(step.until, step.current_density_mA_cm2, run) for step in steps)


def strips(run: RunFile) -> float:
    """Atoms to be stripped or plated; NaN where no stop is a capacity."""
    return _monolayers(run) * _sites(run)[1]


def _least(end: Stop | Until, current_mA_cm2: float | None, run: RunFile) -> float:
    """The least of the charges that may end a run or a step, in monolayers; NaN without one."""
    metal, times_s = _metal(run.system.params), []
    if end.capacity_monolayers is not None:
        times_s.append(end.capacity_monolayers)
    if end.capacity_mAh_cm2 is not None:
        times_s.append(atoms_of_capacity(end.capacity_mAh_cm2, metal.area_A2, metal.valence))
    if end.time_s is not None and current_mA_cm2:
        times_s.append(end.time_s * strip_rate_Hz(current_mA_cm2, metal.area_A2, metal.valence))
    return min(times_s, default=math.nan)


def _sites(run: RunFile) -> tuple[int, int]:
    """Sites of the box and of one layer."""
    nx, ny, layers = run.system.size
    in_layer = nx * ny * load_unit_cell(run.system.lattice).sites_per_layer_cell
    return in_layer * layers, in_layer


def file_bytes(run: RunFile) -> float:
    """Estimated size of the file."""
    monolayers, sites = _monolayers(run), _sites(run)[0]
    records = {}
    for what, every in (("sample", 0.02), ("frame", 0.2)):
        by_charge = f"{what}_every_monolayers"
        cadences = given_keys(run.output, f"{what}_every_")
        is_predictable = (
            _current_mA_cm2(run) and not math.isnan(monolayers) and cadences in ([], [by_charge])
        )
        step = getattr(run.output, by_charge) or every
        records[what] = monolayers / step + 2 if is_predictable else _FRAMES_UNKNOWN
    per_site = _FRAME_BYTES_PER_SITE[bool(run.system.mg_fraction)]
    rows = records["sample"] * _SAMPLE_BYTES + records["frame"] * sites * per_site
    return _FILE_BYTES + sites * _LATTICE_BYTES_PER_SITE + rows
