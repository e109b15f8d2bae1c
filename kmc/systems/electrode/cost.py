"""Rough cost of a run of a box of atoms, from its run file: events, time and size of its file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

from kmc.common.formatting import duration, figure
from kmc.common.units import K_B_eV
from kmc.errors import KmcError
from kmc.model.electrochemistry import atoms_of_capacity, strip_rate_Hz
from kmc.model.lattice import load_unit_cell
from kmc.model.parameters import load_parameters
from kmc.runfile.kinds import BOX
from kmc.runfile.protocol import REST, Step, plan_of, stored_blocks
from kmc.runfile.run_file import RunFile, from_resolved
from kmc.runfile.sections import Conditions, System

# Of strip_li on a slow core.
_S_PER_EVENT = 4e-7
_HOPS_PER_STRIP_AND_RATIO = 5e-3
_ALLOY = 0.35  # of strip_limg over strip_li: Mg at the interface keeps vacancies away
# Measured on shipped runs: the empty file, its lattice, a compressed frame without and with Mg,
# a row of samples.
_FILE_BYTES = 420_000
_LATTICE_BYTES_PER_SITE = 1.5
_FRAME_BYTES_PER_SITE = (0.03, 0.1)
_SAMPLE_BYTES = 160
_FRAMES_UNKNOWN = 12
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
        found = load_parameters(params)
        return _Metal(
            found.value("lattice_parameter_A") ** 2,
            found.valence,
            found.value("attempt_frequency_Hz"),
            found.value("barrier_Li_eV"),
        )
    except (KmcError, OSError):
        return _Metal()


def _metal_of(tables: Mapping[str, Mapping[str, Any]]) -> _Metal:
    default = System.model_fields["params"].default
    return _metal(str(tables.get("system", {}).get("params", default)))


def seconds(tables: Mapping[str, Mapping[str, Any]]) -> float:
    """Time on a slow core; NaN where the number of events is unknown."""
    return _S_PER_EVENT * events(tables)


def events(tables: Mapping[str, Mapping[str, Any]]) -> float:
    """Expected number of events, correct within a factor of about 3 for the shipped runs."""
    monolayers, sites = _monolayers(tables), _sites(tables)[1]
    # Hops outnumber all other events: their number follows from how fast they may be.
    hops = _HOPS_PER_STRIP_AND_RATIO * _ratio(tables)
    if tables.get("acceleration", {}).get("superbasins"):
        hops = 1.0  # the walk of a lone vacancy is drawn in one step
    if tables.get("system", {}).get("mg_fraction"):
        hops *= _ALLOY
    rest = tables.get("rest", {})
    if not math.isnan(monolayers):
        # Voids hop on in a rest, at the rate that they had under current.
        stripping = monolayers * sites * (1.0 + hops)
        resting = float(rest.get("time_s") or 0.0) * _strip_rate_Hz(tables) * sites * hops
        most = float(tables.get("stop", {}).get("events") or math.inf)
        resting = (resting if math.isfinite(resting) else 0.0) + (rest.get("events") or 0)
        return min(stripping, most) + resting
    return float(tables.get("stop", {}).get("events") or math.nan)


def _ratio(tables: Mapping[str, Mapping[str, Any]]) -> float:
    """Rate of the fastest hop over the strip rate of a site: given, or by the lowest barrier."""
    acceleration = tables.get("acceleration", {})
    if given := acceleration.get("max_hops_per_strip_per_site"):
        return float(given)
    kT_eV = K_B_eV * _conditions(tables)["temperature_K"]
    metal = _metal_of(tables)
    lowest_eV = acceleration.get("saddle_floor_eV") or metal.barrier_eV
    if factor := acceleration.get("slow_down_by"):
        lowest_eV = metal.barrier_eV + kT_eV * math.log(factor)
    return metal.fastest_Hz * math.exp(-lowest_eV / kT_eV) / _strip_rate_Hz(tables)


def exact_kinetics(run: RunFile) -> str:
    """What a box with exact kinetics costs and how to have it sooner; empty where that is little.

    Without [acceleration] a vacancy hops about 1e11 times while an atom of its site is stripped.
    """
    given = ("max_hops_per_strip_per_site", "saddle_floor_eV", "slow_down_by")
    if run.kind != BOX or any(getattr(run.acceleration, key) for key in given):
        return ""
    # Superbasins draw the walk of a lone vacancy in one step: their cost does not follow the hops.
    if run.drive.current_density_mA_cm2 <= 0 or run.acceleration.superbasins:
        return ""
    tables = from_resolved(run.resolved())
    number = events(tables)
    cost_s = _S_PER_EVENT * (math.inf if math.isnan(number) else number)
    cost_s = min(cost_s, run.stop.wall_time_s or math.inf)
    if not cost_s > _LONG_s:
        return ""
    hops = _HOPS_PER_STRIP_AND_RATIO * _ratio(tables)
    return (
        f"no barrier is raised: exact kinetics take {figure(hops, digits=2)} hops for each "
        f"stripped atom, about {duration(cost_s, 2)} of processor. "
        "--set acceleration.max_hops_per_strip_per_site=1e6 slows the fastest hops and leaves "
        "equilibrium exact (docs/acceleration.md)"
    )


def _conditions(tables: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    defaults = {key: field.default for key, field in Conditions.model_fields.items()}
    return defaults | dict(tables.get("conditions", {}))


def _strip_rate_Hz(tables: Mapping[str, Mapping[str, Any]]) -> float:
    """Strips of a site in a second; NaN without a current."""
    metal = _metal_of(tables)
    current = _conditions(tables)["current_density_mA_cm2"] or math.nan
    return strip_rate_Hz(current, metal.area_A2, metal.valence)


def _monolayers(tables: Mapping[str, Mapping[str, Any]]) -> float:
    """Monolayers to be stripped or plated; NaN where no stop is a capacity."""
    plan, metal = plan_of(stored_blocks(tables)), _metal_of(tables)
    if plan:
        return sum(_monolayers_of(planned.step, metal) for planned in plan)
    stop = tables.get("stop", {})
    monolayers = [float(stop["capacity_monolayers"])] if "capacity_monolayers" in stop else []
    if "capacity_mAh_cm2" in stop:
        charge = float(stop["capacity_mAh_cm2"])
        monolayers.append(atoms_of_capacity(charge, metal.area_A2, metal.valence))
    if "time_s" in stop and math.isfinite(rate_Hz := _strip_rate_Hz(tables)):
        monolayers.append(float(stop["time_s"]) * rate_Hz)
    return min(monolayers, default=math.nan)


def _monolayers_of(step: Step, metal: _Metal) -> float:
    """The least of the charges that may end a step; NaN for a hold that ends by its time."""
    until, found = step.until, []
    if step.do == REST:
        return 0.0
    if until.capacity_monolayers is not None:
        found.append(until.capacity_monolayers)
    if until.capacity_mAh_cm2 is not None:
        found.append(atoms_of_capacity(until.capacity_mAh_cm2, metal.area_A2, metal.valence))
    if until.time_s is not None and step.current_density_mA_cm2 is not None:
        rate_Hz = strip_rate_Hz(step.current_density_mA_cm2, metal.area_A2, metal.valence)
        found.append(until.time_s * rate_Hz)
    return min(found, default=math.nan)


def _sites(tables: Mapping[str, Mapping[str, Any]]) -> tuple[int, int]:
    """Sites of the box and of one layer."""
    system = tables.get("system", {})
    size = system.get("size", System.model_fields["size"].default)
    per_cell = _sites_of_cell(system.get("lattice", System.model_fields["lattice"].default))
    return math.prod(size) * per_cell, size[0] * size[1] * per_cell


@cache
def _sites_of_cell(lattice: str) -> int:
    """Sites of one layer of one cell; 1 where the lattice cannot be read, as the run reports."""
    try:
        return load_unit_cell(lattice).sites_per_layer_cell
    except KmcError:
        return 1


def file_bytes(tables: Mapping[str, Mapping[str, Any]]) -> float:
    """Estimated size of the file."""
    output, system = tables.get("output", {}), tables.get("system", {})
    monolayers = _monolayers(tables)
    current = tables.get("conditions", {}).get(
        "current_density_mA_cm2", Conditions.model_fields["current_density_mA_cm2"].default
    )
    records = {}
    for what, every in (("sample", 0.02), ("frame", 0.2)):
        given = [key for key in output if key.startswith(f"{what}_every_")]
        step = output.get(f"{what}_every_monolayers", every)
        known = (
            current and not math.isnan(monolayers) and given in ([], [f"{what}_every_monolayers"])
        )
        records[what] = monolayers / step + 2 if known else _FRAMES_UNKNOWN
    sites, _ = _sites(tables)
    per_site = _FRAME_BYTES_PER_SITE[bool(system.get("mg_fraction"))]
    rows = records["sample"] * _SAMPLE_BYTES + records["frame"] * sites * per_site
    return _FILE_BYTES + sites * _LATTICE_BYTES_PER_SITE + rows
