"""Reads the runs of a convergence study from their folder and evaluates them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import numpy as np

from kmc.campaign.convergence.assess import assess
from kmc.campaign.convergence.observables import (
    CONTACT_LOSS,
    ONSET_CAPACITY,
    VOID_DENSITY,
    WIDTH,
    LevelRuns,
)
from kmc.campaign.convergence.outcome import Convergence
from kmc.campaign.dataset import load_sweep
from kmc.campaign.folder import SweepFolder, open_folder
from kmc.campaign.local import cores
from kmc.campaign.plan import Plan
from kmc.common.units import A_per_um
from kmc.errors import InputError, KmcError
from kmc.files.reader import Trajectory, load

RATIO = "acceleration.max_hops_per_strip_per_site"
TOLERANCE = 0.1
_AXIS = "max_hops_per_strip_per_site"


def study_in(opened: SweepFolder) -> Plan:
    """The plan of the folder of a convergence study.

    Raises
    ------
    InputError
        It holds another sweep.
    """
    if list(opened.plan.axes) != [RATIO]:
        varies = " and ".join(opened.plan.axes) or "nothing"
        raise InputError(
            f"{opened.path} holds another sweep: {varies} varies there, and {RATIO} in a "
            "convergence study",
            advice="Use another folder with -o.",
        )
    return opened.plan


def read_study(
    folder: str | Path,
    *,
    at: float | None = None,
    tolerance: float = TOLERANCE,
    workers: int | None = None,
    progress: bool = False,
) -> Convergence:
    """Evaluate the runs of a convergence study that are done.

    Parameters
    ----------
    folder : str or Path
        Made by `kmc converge`.
    at : float, optional
        Capacity in monolayers at which contact and voids are read; the end of each run by default.
    tolerance : float
        Change that a tenfold ratio may make for a number to count as converged, as a share of it.
    workers : int, optional
        Parallel runs that the remaining time is estimated for.
    progress : bool
        Show the progress of reading on stderr.

    Raises
    ------
    InputError
        The folder holds another sweep, none of its runs is done, or a number is out of range.
    """
    check_reading(at, tolerance)
    opened = open_folder(folder)
    plan = study_in(opened)
    ds = load_sweep(folder, at_monolayers=() if at is None else at, progress=progress)
    ds = ds.transpose(_AXIS, "replica", ...)
    ds = ds.sortby(_AXIS)
    paths = [path for path in ds.path.values.ravel() if path]
    if not paths:
        errors = [text for text in ds.error.values.ravel() if text]
        raise KmcError(
            f"none of the runs in {folder} is done" + (f": {errors[0]}" if errors else ""),
            advice=f"{folder}/failures has the details." if errors else "Call kmc converge again.",
        )
    first = load(paths[0])
    area_um2 = first.box["box_A"][0] * first.box["box_A"][1] / A_per_um**2
    physical = _physical_ratio_in(first)

    def numbers(name: str) -> np.ndarray:
        if at is None:
            return ds[name].values
        return ds[f"{name}_at"].sel(at_monolayers=at).values

    ratios = ds[_AXIS].values
    end = ds.capacity_monolayers.values
    late = ds.onset_censored.values
    onset = ds.onset_capacity_monolayers.where(~ds.onset_censored, ds.capacity_monolayers).values
    rows = {
        CONTACT_LOSS: 1.0 - numbers("contact_fraction"),
        VOID_DENSITY: numbers("voids"),
        WIDTH: numbers("mean_void_width_nm"),
        ONSET_CAPACITY: onset,
    }
    time_s = _Times(opened, workers or cores())
    findings = {}
    for observable, values in rows.items():
        censored = late if observable is ONSET_CAPACITY else [()] * len(ratios)
        runs = [LevelRuns.of(r, v, c) for r, v, c in zip(ratios, values, censored, strict=True)]
        findings[observable.name] = assess(
            observable,
            runs,
            tolerance=tolerance,
            physical_ratio=physical,
            unit=area_um2 if observable is VOID_DENSITY else 1.0,
            time_s=time_s,
        )
    done = ds.state.values == "done"
    ends = end[done]
    return Convergence(
        base=Path(plan.base).stem if plan.base.endswith(".toml") else plan.base,
        ratios=tuple(float(r) for r in ratios),
        replicas=plan.replicas,
        at=at,
        tolerance=tolerance,
        physical_ratio=physical,
        area_um2=area_um2,
        findings=findings,
        runs=int(done.sum()),
        missing=int((~done).sum()),
        early=0 if at is None else int((ends < at - 1e-9).sum()),
        ends=(float(ends.min()), float(ends.max())),
        frames_at=_mean_of_known(numbers("frame_capacity_monolayers")),
        folder=Path(folder),
    )


def _mean_of_known(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else math.nan


def check_reading(at: float | None, tolerance: float) -> None:
    """Check the capacity and the tolerance of a reading.

    Raises
    ------
    InputError
        The capacity or the tolerance is out of range.
    """
    if at is not None and not (math.isfinite(at) and at > 0):
        raise InputError(f"--at {at:g}: a capacity above 0 monolayers is needed")
    if not 0 < tolerance < 1:
        raise InputError(
            f"--tolerance {tolerance:g} is out of range",
            advice="Give a share between 0 and 1: 0.1 for a change of 10 %.",
        )


def _physical_ratio_in(trajectory: Trajectory) -> float:
    params = trajectory.params
    frequency = params["attempt_frequency_Hz"].value
    if "formation_entropy_bulk_k" in params:  # `Electrode.attempt_frequency_Hz`
        frequency *= math.exp(params["formation_entropy_bulk_k"].value)
    return float(frequency) / float(trajectory.acceleration["strip_rate_per_site_Hz"])


class _Times:
    """Estimates the time of further levels or replicas from the runs that are done."""

    def __init__(self, folder: SweepFolder, workers: int):
        spent: dict[float, list[float]] = {}
        ratio_of = {point.name: float(point.settings[RATIO]) for point in folder.plan.points}
        for line in folder.log():
            if line.state == "done" and line.name in ratio_of:
                spent.setdefault(ratio_of[line.name], []).append(line.wall_s)
        self._one_s = {ratio: median(times) for ratio, times in spent.items()}
        self._have = {ratio: len(times) for ratio, times in spent.items()}
        self._workers = workers

    def __call__(self, ratios: Sequence[float], replicas: int) -> float:
        """Seconds, with some more ratios and so many replicas at every level."""
        if not self._one_s:
            return math.nan
        top = max(self._one_s)
        total = sum(s * max(0, replicas - self._have[r]) for r, s in self._one_s.items())
        # Beyond the highest level nearly all events are hops, and these grow with the ratio.
        total += sum(self._one_s[top] * ratio / top * replicas for ratio in ratios)
        return total / self._workers
