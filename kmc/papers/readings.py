"""Numbers of the runs of a study: what the claims are judged from."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from kmc.analysis.history import voids
from kmc.analysis.profiles import profiles
from kmc.analysis.voids import find
from kmc.campaign.folder import open_folder
from kmc.common.progress import progress_for
from kmc.systems.deposition.cycles import aurbach_of
from kmc.systems.run import load
from kmc.trajectory.reader import Trajectory
from kmc.trajectory.table_run import TableRun

CONFIDENCE = 0.95
LOST = 0.9  # share of contact at whose loss the paper's overpotential rises
_RISEN = 1.5  # the overpotential has risen where it is so many times its lowest value


@dataclass(frozen=True)
class Measured:
    """A number of some equal runs, with the 95 % interval of its mean (Student's t).

    Attributes
    ----------
    value : float
        Mean; infinite where no run reached it before it ended.
    low, high : float
        Ends of the interval; those of `value` for a single run.
    n : int
        Runs; 0 for a number that is no mean over runs and has no scatter.
    """

    value: float
    low: float
    high: float
    n: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Measured | None:
        """The mean over runs; None without any. One that never came makes the mean infinite."""
        known = np.array([value for value in values if not math.isnan(value)], dtype=float)
        if not len(known):
            return None
        mean = float(known.mean())
        if len(known) < 2 or not math.isfinite(mean):
            return cls(mean, float(known.min()), mean, len(known))
        half = float(stats.t.ppf(0.5 + CONFIDENCE / 2, len(known) - 1) * stats.sem(known))
        return cls(mean, mean - half, mean + half, len(known))

    @classmethod
    def exact(cls, value: float) -> Measured:
        """A number without scatter, such as a limit, or one that follows from the parameters."""
        return cls(value, value, value, 0)

    def overlaps(self, low: float, high: float) -> bool:
        """Whether the interval meets a range."""
        return self.low <= high and self.high >= low

    def below(self, other: Measured) -> bool:
        """Whether it is below another beyond both intervals; single runs by a fifth."""
        if 1 in (self.n, other.n):
            return self.value < 0.8 * other.value
        return self.high < other.low or (self.high < other.value == math.inf)


@dataclass(frozen=True)
class Reading:
    """The numbers of one run, and the settings that set it apart."""

    step: str
    settings: Mapping[str, Any]
    numbers: Mapping[str, float]


def mean(readings: Sequence[Reading], name: str) -> Measured | None:
    """Mean of a number over runs; None without any run that has it."""
    return Measured.of([r.numbers[name] for r in readings if name in r.numbers])


def read_steps(folder: Path, steps: Sequence[str], progress: bool = False) -> list[Reading]:
    """Numbers of the runs of some steps that are done; none of a step that has not begun."""
    todo = []
    for step in steps:
        if (folder / step / "index.json").is_file():
            opened = open_folder(folder / step)
            done = opened.done()
            todo += [(step, opened, point) for point in opened.plan.points if point.name in done]
    found = []
    with progress_for("reading", progress) as shown:
        for number, (step, opened, point) in enumerate(todo, start=1):
            run = load(opened.trajectory_path(point))
            numbers = _NUMBERS[run.kind](run)
            found.append(Reading(step, point.settings, numbers))
            shown.update(number / len(todo), f"run {number} of {len(todo)}")
    return found


# --- a population ---------------------------------------------------------------------------------


def voids_of(samples: Mapping[str, np.ndarray], stop_reason: str = "") -> dict[str, float]:
    """Numbers of a population, from the columns of its samples.

    Returns
    -------
    dict
        ``most_cuts_per_100um``, the most cuts of voids on a line, and ``width_um``, their mean
        width where nine tenths of that number are first reached;
        ``coalescing_mAh_cm2``, the charge from which they become fewer;
        ``cuts_left``, the share of them at the end;
        ``lost90_mAh_cm2`` and ``gap_mAh_cm2``, where nine tenths and all of the contact are gone;
        ``risen_mAh_cm2``, where the overpotential is half above its lowest value since voids began;
        ``steepness``, its slope against charge beyond nine tenths over that from one tenth to
        there; ``contact_end``, ``overpotential_end_V``, ``concentration_max_V``. Infinite: not by
        the end of the run. NaN: not defined.
    """
    charge, contact = samples["capacity_mAh_cm2"], samples["contact_fraction"]
    volts, cuts = samples["overpotential_V"], samples["voids_per_100um"]
    most = int(np.argmax(cuts))
    many = int(np.argmax(cuts >= 0.9 * cuts[most]))
    lost = crossing(charge, 1 - contact, LOST)
    none_left = contact[-1] < 0.05 and "contact" in stop_reason
    began = int(np.argmax(samples["concentration_V"]))
    lowest = began + int(np.argmin(volts[began:]))
    risen = crossing(charge[lowest:], volts[lowest:], _RISEN * volts[lowest])
    return {
        "most_cuts_per_100um": float(cuts[most]),
        "width_um": float(samples["mean_width_um"][many]),
        "coalescing_mAh_cm2": float(charge[most]) if cuts[-1] < 0.9 * cuts[most] else math.inf,
        "cuts_left": float(cuts[-1] / cuts[most]) if cuts[most] else math.nan,
        "lost90_mAh_cm2": lost,
        "gap_mAh_cm2": float(charge[-1]) if none_left else math.inf,
        "risen_mAh_cm2": risen,
        "steepness": _steepness(charge, 1 - contact, volts),
        "contact_end": float(contact[-1]),
        "overpotential_end_V": float(volts[-1]),
        "concentration_max_V": float(samples["concentration_V"].max()),
    }


def crossing(x: np.ndarray, y: np.ndarray, level: float) -> float:
    """First x at which y reaches a level, linear between rows; infinite where it never does."""
    above = np.flatnonzero(y >= level)
    if not len(above):
        return math.inf
    k = int(above[0])
    if not k or not np.isfinite(y[k]):
        return float(x[k])
    share = (level - y[k - 1]) / (y[k] - y[k - 1])
    return float(x[k - 1] + share * (x[k] - x[k - 1]))


def _steepness(charge: np.ndarray, loss: np.ndarray, volts: np.ndarray) -> float:
    """Slope of the overpotential beyond nine tenths of contact loss over the slope before it.

    NaN where nine tenths are not lost, or nothing follows them.
    """
    start, middle = crossing(charge, loss, 0.1), crossing(charge, loss, LOST)
    if not math.isfinite(middle) or charge[-1] <= middle or middle <= start:
        return math.nan
    at = np.interp([start, middle, charge[-1]], charge, volts)
    before = (at[1] - at[0]) / (middle - start)
    after = (at[2] - at[1]) / (charge[-1] - middle)
    return float(after / before) if before > 0 else math.inf


# --- a box ----------------------------------------------------------------------------------------


def box_of(t: Trajectory) -> dict[str, float]:
    """Numbers of a box of atoms.

    Returns
    -------
    dict
        ``contact_end``, ``contact_Li_end``, ``overpotential_start_V``,
        ``_tenth_V`` (at a tenth of a monolayer) and ``_end_V``; ``splits``,
        ``collapses``, ``coalescences`` and ``nucleations`` of voids in the run;
        ``voids_end``, voids of the last frame; ``dead_Li_most``, the most dead atoms of a sample;
        ``mg_intensity_end``, Mg per site of L1 over that of the alloy, as a line scan sees it, and
        ``mg_coverage_end``, share of the sites of L1. Both only where there is Mg.
    """
    samples = t.samples
    events = voids(t).events
    kinds = events["kind"].value_counts() if len(events) else {}
    out = {
        "contact_end": float(samples["contact_fraction"][-1]),
        "contact_Li_end": float(samples["contact_fraction_Li"][-1]),
        "overpotential_start_V": float(samples["overpotential_V"][0]),
        "overpotential_tenth_V": float(
            np.interp(0.1, samples["capacity_monolayers"], samples["overpotential_V"])
        ),
        "overpotential_end_V": float(samples["overpotential_V"][-1]),
        "splits": float(kinds.get("split", 0)),
        "collapses": float(kinds.get("collapse", 0)),
        "coalescences": float(kinds.get("coalescence", 0)),
        "nucleations": float(kinds.get("nucleation", 0)),
    }
    last = len(t.frames) - 1
    out["voids_end"] = float(len(find(t.frames[last].occupancy, t.lattice)))
    if "dead_Li" in samples:
        out["dead_Li_most"] = float(samples["dead_Li"].max())
    if "Mg" in t.species:
        coverage = float(profiles(t).interface["mg_coverage"].iloc[-1])
        out["mg_coverage_end"] = coverage
        alloy = t.run.get("system", {}).get("mg_fraction", 0.0)
        out["mg_intensity_end"] = coverage / alloy if alloy else math.nan
    return out


# --- other systems --------------------------------------------------------------------------------


def deposition_of(run: TableRun) -> dict[str, float]:
    """Numbers of a deposition.

    Returns
    -------
    dict
        ``coverage_1`` and ``coverage_3``, ``roughness_3`` and ``highest_3`` (layers), at one and at
        three monolayers of the first plating; NaN where it ends before. ``dead_percent``, dead
        atoms over all plated at the end; ``efficiency_percent`` by Aurbach's protocol, NaN where a
        run does not reach its end. ``covered_islands`` and ``covered_between``, shares of the
        islands and of the substrate between them that are covered at the end.
    """
    s = run.samples
    first = s["step"] == s["step"][0]
    thickness = s["capacity_monolayers"][first]

    def at(monolayers: float, column: str) -> float:
        if thickness.max() < monolayers - 1e-6:
            return math.nan
        return float(np.interp(monolayers, thickness, s[column][first]))

    efficiency = aurbach_of(run) if "protocol" in run.run else None
    out = {
        "coverage_1": at(1.0, "coverage"),
        "coverage_3": at(3.0, "coverage"),
        "roughness_3": at(3.0, "roughness_layers"),
        "highest_3": at(3.0, "max_height_layers"),
        "dead_percent": 100 * float(s["dead_per_plated"][-1]),
        "efficiency_percent": math.nan if efficiency is None else 100 * efficiency,
    }
    islands = run.constants["substrate"] == 1
    if islands.any():
        covered = run.frames["occupied"][-1][0] > 0
        out["covered_islands"] = float(covered[islands].mean())
        out["covered_between"] = float(covered[~islands].mean())
    return out


def cathode_of(run: TableRun) -> dict[str, float]:
    """Numbers of a cathode.

    Returns
    -------
    dict
        ``cycles``; each of the contact ratios and stresses, lithiated, in the first and in the last
        cycle (``_first``, ``_last``), and the last less the first (``_change``); the first pores
        still open, over their area at the start, lithiated and delithiated in the first cycle
        (``pores_lithiated``, ``pores_delithiated``), and their difference (``pores_change``).
    """
    s = run.samples
    lithiated, delithiated = s["phase"] == 1, s["phase"] == 2
    out = {"cycles": float(s["cycle"].max())}
    for name in _CATHODE:
        values = s[name][lithiated]
        first, last = float(values[0]), float(values[-1])
        out |= {f"{name}_first": first, f"{name}_last": last, f"{name}_change": last - first}
    full, empty = (float(s["pore_area"][phase][0]) for phase in (lithiated, delithiated))
    return out | {
        "pores_lithiated": full,
        "pores_delithiated": empty,
        "pores_change": empty - full,
    }


_CATHODE = (
    *("contact_active_active", "contact_active_frame"),
    *("stress_active_GPa", "stress_frame_GPa", "stress_active_99_GPa"),
)
_NUMBERS: dict[str, Callable[[Any], dict[str, float]]] = {
    "electrode": box_of,
    "population": lambda run: voids_of(run.samples, run.stop_reason),
    "deposition": deposition_of,
    "cathode": cathode_of,
}
