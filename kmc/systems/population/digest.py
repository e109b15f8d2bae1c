"""The short summary of a population: how it ended, contact, voids, overpotential, trust.

Its functions take a `PopulationRun`, which imports this module.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kmc.common.conditions import driven_by_run, ending, unfinished
from kmc.common.formatting import duration, figure, plural, scaled

FEW_VOIDS = 20  # below this many, contact measures the square
_ASSUMED = ("sink_length_um", "sink_depth_um", "rounding_length_um", "flaw_density_per_um2")
_ROUNDING = 1e-9
_Rows = list[tuple[str, str]]


def digest(run: Any) -> _Rows:
    """At most eight pairs of label and text, each of about a line."""
    edge = f"{run.edge_um:.3g} µm"
    kelvin = f"{run.run['conditions']['temperature_K']:g} K"
    name, driven = run.resolved["parameter_set"], driven_by_run(run.run)
    rows = [_end(run), ("Conditions", f"{name}, {edge} × {edge}, {kelvin}, {driven}")]
    if not len(run.samples["time_s"]):
        return [*rows, ("Samples", "none yet")]
    rows += [("Stripped", _charge(run)), ("Contact", _contact(run)), *_voids(run)]
    return [*rows, ("Overpotential", _overpotential(run)), ("Trust", _trust(run))]


def _end(run: Any) -> tuple[str, str]:
    if not run.finished:
        return "Not finished", unfinished(run.stop_reason, run.path.name)
    value = run.run["upscale"].get(run.stop_reason, run.run.get("stop", {}).get(run.stop_reason))
    return "Ended", ending(f"{run.stop_reason} reached {value:g}" if value else run.stop_reason)


def _monolayers(run: Any, charge: float) -> str:
    layers = charge / run.facts["monolayer_mAh_cm2"]
    return f"{figure(charge, 'mAh/cm²')} ({figure(layers)} monolayers)"


def _charge(run: Any) -> str:
    s = run.samples
    most, last = float(s["capacity_mAh_cm2"].max()), float(s["capacity_mAh_cm2"][-1])
    text = f"{_monolayers(run, most)} in {duration(float(s['time_s'][-1]))}"
    if s["plated_um"][-1] > 0:
        net = last if abs(last) > _ROUNDING * most else 0.0
        text = f"{_monolayers(run, most)} at most; {figure(net, 'mAh/cm²')} net at the end"
    if not run.has_gap:
        return text
    made = max(float(s["stripped_um"][-1] + s["initial_um"][-1]), 1e-300)
    return f"{text}; {100 * s['settled_um'][-1] / made:.3g} % of it settled"


def _contact(run: Any) -> str:
    parts = [f"{100 * run.samples['contact_fraction'][-1]:.3g} % at the end"]
    for share, name in ((0.5, "half"), (0.1, "nine tenths")):
        if math.isfinite(charge := run.charge_at_contact(share)):
            parts.append(f"{name} lost at {figure(charge, 'mAh/cm²')}")
    return "; ".join(parts)


def _voids(run: Any) -> _Rows:
    s = run.samples
    at = int(np.argmax(s["voids_per_100um"]))
    if not s["voids_per_100um"][at] > 0:
        return [("Voids", "none in a cross-section")]
    text = f"in a cross-section at most {_section(run, at)}"
    rows = [("Voids", f"{text}, at {figure(s['capacity_mAh_cm2'][at], 'mAh/cm²')}")]
    if s["voids_per_100um"][-1] > 0 and at + 1 < len(s["time_s"]):
        rows.append(("", f"at the end {_section(run, -1)}"))
    return rows


def _section(run: Any, row: int) -> str:
    s = run.samples
    return (
        f"{figure(s['voids_per_100um'][row])} per 100 µm, "
        f"{figure(s['mean_width_um'][row], 'µm')} wide, "
        f"{figure(s['mean_height_um'][row], 'µm')} high"
    )


def _overpotential(run: Any) -> str:
    s = run.samples
    volts = np.where(np.isfinite(s["overpotential_V"]), s["overpotential_V"], 0.0)
    most = int(np.argmax(np.abs(volts)))
    text = f"{scaled(s['overpotential_V'][-1], 'V')} at the end"
    if most + 1 < len(volts):
        charge = figure(s["capacity_mAh_cm2"][most], "mAh/cm²")
        text += f", largest {scaled(volts[most], 'V')} at {charge}"
    return text


def _trust(run: Any) -> str:
    """What limits the numbers most: too few voids, else inputs that nobody has measured."""
    number = round(float(run.samples["voids_per_um2"].max()) * run.edge_um**2)
    text = f"{plural(number, 'void')} at most"
    if number < FEW_VOIDS:
        return f"{text}: contact measures the square; a larger upscale.domain_um is needed"
    given = run.run["conditions"] | run.run["upscale"]
    names = [key for key in _ASSUMED if math.isfinite(float(given.get(key) or math.inf))]
    return f"{text}; assumed: {', '.join(names) or 'how fast voids round off'}"
