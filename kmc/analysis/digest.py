"""The short summary of a box of atoms: how it ended, contact, voids, overpotential, trust.

`kmc.analysis.summary` has everything, for ``kmc info --all``.
"""

from __future__ import annotations

import numpy as np

from kmc.analysis import coulombic, voids
from kmc.common.conditions import driven_by_run, ending, temperatures, unfinished
from kmc.common.formatting import figure, monolayers, plural, scaled
from kmc.common.units import A_per_nm
from kmc.files.reader import Trajectory

FEW_VOIDS = 20  # below this many, contact measures the box
_NEGLIGIBLE = 0.01  # of the overpotential: a constriction that need not be named in volts
_Rows = list[tuple[str, str]]


def digest(run: Trajectory) -> _Rows:
    """At most eight pairs of label and text, each of about a line."""
    rows = [_end(run), ("Conditions", _conditions(run))]
    if not len(run.samples):
        return [*rows, ("Samples", "none yet")]
    rows += _charge(run)
    if run.has_interface:
        first, last = 100 * run.samples["contact_fraction"][[0, -1]]
        rows.append(("Contact", f"{first:.3g} % → {last:.3g} % of the interface"))
    found = voids.find(run.frames[-1].occupancy, run.lattice) if len(run.frames) else None
    if found is not None:
        rows.append(("Voids", _void_text(found)))
    if run.has_interface and run.has_current:
        rows += [*_overpotential(run), *_supersaturation(run)]
    if trust := _trust(run, found):
        rows.append(("Trust", trust))
    return rows


def _end(run: Trajectory) -> tuple[str, str]:
    if run.finished:
        return "Ended", ending(run.stop_reason or "no reason is stated")
    return "Not finished", unfinished(run.stop_reason, run.path.name)


def _conditions(run: Trajectory) -> str:
    edges = " × ".join(f"{edge / A_per_nm:.3g}" for edge in run.box["box_A"][:2])
    parts = [
        run.run.get("system", {}).get("params", "–".join(run.species)),
        f"{edges} nm of {run.box['name']}",
        temperatures(run.run),
        driven_by_run(run.run),
    ]
    return ", ".join(part for part in parts if part)


def _charge(run: Trajectory) -> _Rows:
    if not run.has_current:
        return []
    samples = run.samples
    last = {name: samples[name][-1] for name in ("capacity_monolayers", "capacity_mAh_cm2")}
    text = f"{monolayers(last['capacity_monolayers'])}, "
    text += figure(last["capacity_mAh_cm2"], "mAh/cm²")
    if "step" not in samples or not samples["step"].any():
        return [("Stripped", text)]
    text += " net of what was plated"
    known = [(c.cycle, c.efficiency) for c in coulombic.cycles(run) if c.efficiency is not None]
    if known:
        ends = dict.fromkeys((known[0], known[-1]))
        texts = (f"{100 * efficiency:.3g} % in cycle {cycle}" for cycle, efficiency in ends)
        text += f"; stripped over plated: {', '.join(texts)}"
    return [("Stripped", text)]


def _void_text(found: voids.Voids) -> str:
    if not len(found):
        return f"none of {found.min_size} vacancies or more in the last frame"
    first = found[0]
    return (
        f"{len(found)} in the last frame, the largest {figure(first.width_nm, 'nm', 2)} wide and "
        f"{figure(first.height_nm, 'nm', 2)} high"
    )


def _overpotential(run: Trajectory) -> _Rows:
    samples = run.samples
    volts = samples["overpotential_V"]
    flows = samples["phase"] == 0 if "phase" in samples else np.ones(len(volts), dtype=bool)
    known = np.flatnonzero(flows & np.isfinite(volts))
    if not len(known) or not volts[known].any():
        return []
    last, most = known[-1], known[np.argmax(np.abs(volts[known]))]
    text = f"{scaled(volts[last], 'V')} at the end"
    if most != last:
        charge = figure(samples["capacity_mAh_cm2"][most], "mAh/cm²")
        text += f", largest {scaled(volts[most], 'V')} at {charge}"
    name = "overpotential_constriction_V"
    if name in samples and np.nanmax(np.abs(samples[name])) < _NEGLIGIBLE * abs(volts[most]):
        text += "; constriction: negligible"
    return [("Overpotential", text)]


def _supersaturation(run: Trajectory) -> _Rows:
    if "vacancy_activity" not in run.samples:
        return []
    S = run.samples["vacancy_activity"]
    S = S[np.isfinite(S)]
    if not len(S):
        return []
    text = f"of vacancies at the interface: {figure(S[-1])} at the end, largest {figure(S.max())}"
    return [("Supersaturation", text)]


def _trust(run: Trajectory, found: voids.Voids | None) -> str:
    """What limits the numbers most: slowed hops, few voids, or neither."""
    parts = []
    slowed = [entry.get("slowed_by", 1.0) for entry in run.acceleration.get("classes", [])]
    if max(slowed, default=1.0) > 1.001:
        parts.append(
            f"hops slowed up to {figure(max(slowed), digits=2)} times, on which number and size of "
            "voids depend (kmc converge)"
        )
    if found is not None and 0 < len(found) < FEW_VOIDS and run.has_interface:
        parts.append(f"{plural(len(found), 'void')}: contact measures the box")
    return "; ".join(parts)
