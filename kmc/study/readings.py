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
from kmc.mesoscale.result import PopulationRun
from kmc.sweep.folder import open_folder
from kmc.systems.opening import load
from kmc.trajectory.reader import Trajectory

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


def read_step(folder: Path, step: str, progress: Callable[[], None] | None = None) -> list[Reading]:
    """Numbers of the runs of a step that are done; empty where it has not begun."""
    if not (folder / step / "index.json").is_file():
        return []
    opened = open_folder(folder / step)
    done = opened.done()
    found = []
    for point in opened.plan.points:
        if point.name in done:
            run = load(opened.trajectory_path(point))
            if isinstance(run, PopulationRun):
                numbers = voids_of(run.samples, run.stop_reason)
            elif isinstance(run, Trajectory):
                numbers = box_of(run)
            else:
                numbers = {name: float(values[-1]) for name, values in run.samples.items()}
            found.append(Reading(step, point.settings, numbers))
        if progress is not None:
            progress()
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
        ``contact_end``, ``contact_Li_end``, ``overpotential_start_V`` and ``_end_V``; ``splits``,
        ``collapses``, ``coalescences`` and ``nucleations`` of voids in the run;
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
        "overpotential_end_V": float(samples["overpotential_V"][-1]),
        "splits": float(kinds.get("split", 0)),
        "collapses": float(kinds.get("collapse", 0)),
        "coalescences": float(kinds.get("coalescence", 0)),
        "nucleations": float(kinds.get("nucleation", 0)),
    }
    if "Mg" in t.species:
        coverage = float(profiles(t).interface["mg_coverage"].iloc[-1])
        out["mg_coverage_end"] = coverage
        alloy = t.run.get("system", {}).get("mg_fraction", 0.0)
        out["mg_intensity_end"] = coverage / alloy if alloy else math.nan
    return out
