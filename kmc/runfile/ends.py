"""When a run will end and what exact kinetics cost, in words, before its first event."""

from __future__ import annotations

import math

from kmc.common.formatting import duration, figure, listed, monolayers, plural
from kmc.common.units import K_B_eV
from kmc.model.electrochemistry import atoms_of_capacity, capacity_mAh_cm2, strip_rate_Hz
from kmc.model.lattice import Lattice
from kmc.runfile.kinds import BOX, KINDS
from kmc.runfile.protocol import Until
from kmc.runfile.run_file import RunFile, given_keys
from kmc.runfile.sections import Stop

# Of strip_li: hops a stripped atom over the ratio of the fastest hop to stripping, and the time of
# an event on a slow core.
_HOPS_PER_RATIO, _S_PER_EVENT = 5e-3, 4e-7
_OF_A_CELL_mAh_cm2 = 1e-2  # 276 monolayers: many times what a box of atoms is made for
_LONG_s = 900.0  # of exact kinetics: more is worth a warning
_S_PER_H = 3600.0
_PROBE = (4, 4), 12  # cells and layers of a box whose interface stands for any of that lattice
_EARLIER = {
    "contact_fraction": "contact falls to {:g}",
    "overpotential_V": "the overpotential reaches {:g} V",
    "events": "{:g} events are done",
    "time_s": "{:g} s have passed",
    "wall_time_s": "{:g} s have passed on the clock",
}


def ends(run: RunFile) -> str:
    """The nearest stop of a run by charge, and those that may come before it.

    >>> from kmc.runfile.load import load_run
    >>> ends(load_run("strip_li")).replace("\\xa0", " ")
    'at 2 monolayers (7.24e-5 mAh/cm²)'
    """
    stop = run.stop
    earlier = [_EARLIER[k].format(getattr(stop, k)) for k in given_keys(stop) if k in _EARLIER]
    text = _by_charge(run)
    if not earlier:
        return text
    return f"{text}, or earlier when {' or '.join(earlier)}" if text else f"when {listed(earlier)}"


def _by_charge(run: RunFile) -> str:
    if run.has_protocol:
        steps = f"after {plural(len(run.protocol.plan), 'step')}"
        ends_early = run.kind == "population" and run.upscale.contact_lost == "end"
        return f"{steps}, or earlier when no contact is left" if ends_early else steps
    section = getattr(run, KINDS[run.kind].section, None)
    if cycles := getattr(section, "cycles", None):
        return f"after {plural(cycles, 'cycle')}"
    if charge := getattr(section, "capacity_mAh_cm2", None):
        return f"at {figure(charge, 'mAh/cm²')}, or earlier when no contact is left"
    layers, charge = run.stop.capacity_monolayers, run.stop.capacity_mAh_cm2
    if run.kind != BOX:  # its layers are those of another lattice
        parts = [monolayers(layers)] if layers else []
        parts += [figure(charge, "mAh/cm²")] if charge else []
        return f"at {' or '.join(parts)}" if parts else ""
    area_A2, valence = _area_of_site_A2(run), run.parameter_set().valence
    found = [layers] if layers else []
    if charge:
        found.append(atoms_of_capacity(charge, area_A2, valence))
    if not found:
        return ""
    nearest = min(found)
    charge = capacity_mAh_cm2(nearest, area_A2, valence)
    text = f"at {monolayers(nearest)} ({figure(charge, 'mAh/cm²')})"
    return text if charge < _OF_A_CELL_mAh_cm2 else f"{text}; kmc run cell_li follows such charges"


def exact_kinetics(run: RunFile) -> str:
    """What a box with exact kinetics costs and how to have it sooner; empty where that is little.

    Without [acceleration] a vacancy hops about 1e11 times while an atom of its site is stripped.
    """
    given = ("max_hops_per_strip_per_site", "saddle_floor_eV", "slow_down_by")
    if run.kind != BOX or any(getattr(run.acceleration, key) for key in given):
        return ""
    current = run.drive.current_density_mA_cm2
    # Superbasins draw the walk of a lone vacancy in one step: their cost does not follow the hops.
    if current <= 0 or run.acceleration.superbasins:
        return ""
    parameters, area_A2 = run.parameter_set(), _area_of_site_A2(run)
    strip_Hz = strip_rate_Hz(current, area_A2, parameters.valence)
    barrier = f"barrier_{parameters.metal}_eV"
    lowest_eV = parameters.value(barrier) if parameters.has(barrier) else 0.0
    kT_eV = K_B_eV * run.conditions.temperature_K
    ratio = parameters.value("attempt_frequency_Hz") * math.exp(-lowest_eV / kT_eV) / strip_Hz
    hops = _HOPS_PER_RATIO * ratio
    events = _layers_to_come(run, area_A2, current) * _sites(run) * hops
    seconds = min(events, run.stop.events or math.inf) * _S_PER_EVENT
    seconds = min(seconds, run.stop.wall_time_s or math.inf)
    if not seconds > _LONG_s:
        return ""
    return (
        f"no barrier is raised: exact kinetics take {figure(hops, digits=2)} hops for each "
        f"stripped atom, about {duration(seconds, 2)} of processor. "
        "--set acceleration.max_hops_per_strip_per_site=1e6 slows the fastest hops and leaves "
        "equilibrium exact (docs/acceleration.md)"
    )


def _layers_to_come(run: RunFile, area_A2: float, current_mA_cm2: float) -> float:
    """Monolayers until the first stop by charge or time; infinite without one."""
    valence = run.parameter_set().valence
    steps: list[Stop | Until] = [planned.step.until for planned in run.protocol.plan]
    total = 0.0
    for end in steps or [run.stop]:
        charges = [end.capacity_mAh_cm2]
        if end.time_s is not None:
            charges.append(end.time_s * current_mA_cm2 / _S_PER_H)
        found = [atoms_of_capacity(q, area_A2, valence) for q in charges if q is not None]
        total += min([*found, end.capacity_monolayers or math.inf])
    return total


def _sites(run: RunFile) -> int:
    (nx, ny), per_layer = run.system.size[:2], _probe(run).sites_per_layer
    return nx * ny * per_layer // (_PROBE[0][0] * _PROBE[0][1])


def _area_of_site_A2(run: RunFile) -> float:
    probe = _probe(run)
    return float(probe.box_A[0] * probe.box_A[1]) / probe.sites_per_layer


def _probe(run: RunFile) -> Lattice:
    edge_A = run.parameter_set().value("lattice_parameter_A")
    return Lattice(run.system.lattice, *_PROBE, "interface", edge_A)
