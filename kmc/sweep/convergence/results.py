"""The runs of a ladder of ratios, read from its folder and judged."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import numpy as np

from kmc.errors import InputError, KmcError
from kmc.sweep.convergence.assess import assess
from kmc.sweep.convergence.findings import CONTACT_LOSS, ONSET_CAPACITY, VOID_DENSITY, WIDTH
from kmc.sweep.convergence.power_law import Runs
from kmc.sweep.convergence.report import Convergence
from kmc.sweep.folder import SweepFolder, open_folder
from kmc.sweep.local import cores
from kmc.sweep.plan import Plan
from kmc.sweep.results import load_sweep
from kmc.trajectory.reader import Trajectory, load

RATIO = "acceleration.max_hops_per_strip_per_site"
TOLERANCE = 0.1
_AXIS = "max_hops_per_strip_per_site"
_A2_PER_um2 = 1e8


def ladder_in(opened: SweepFolder) -> Plan:
    """The plan of a folder that holds a ladder.

    Raises
    ------
    InputError
        It holds another sweep.
    """
    if list(opened.plan.axes) != [RATIO]:
        varies = " and ".join(opened.plan.axes) or "nothing"
        raise InputError(
            f"{opened.path} holds another sweep: {varies} varies there, {RATIO} in a ladder",
            advice="Use another folder with -o.",
        )
    return opened.plan


def read_ladder(
    folder: str | Path,
    *,
    at: float | None = None,
    tolerance: float = TOLERANCE,
    workers: int | None = None,
    progress: bool = False,
) -> Convergence:
    """Judge the runs of a ladder, as far as they are done.

    Parameters
    ----------
    folder : str or Path
        Made by `kmc converge`.
    at : float, optional
        Capacity in monolayers at which contact and voids are read; the end of each run by default.
    tolerance : float
        Change that a tenfold ratio may make for a number to count as converged, as a share of it.
    workers : int, optional
        Runs at a time that times to go are estimated for.
    progress : bool
        Show on stderr how far the reading is.

    Raises
    ------
    InputError
        This is no ladder, none of its runs is done, or a number is out of range.
    """
    check_reading(at, tolerance)
    opened = open_folder(folder)
    plan = ladder_in(opened)
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
    area_um2 = first.box["box_A"][0] * first.box["box_A"][1] / _A2_PER_um2
    physical = _physical_ratio_in(first)

    def numbers(name: str):
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
        runs = [Runs.of(r, v, c) for r, v, c in zip(ratios, values, censored, strict=True)]
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
    """Refuse what cannot be read at.

    Raises
    ------
    InputError
        A capacity or tolerance that makes no sense.
    """
    if at is not None and not (math.isfinite(at) and at > 0):
        raise InputError(f"--at {at:g}: a capacity above 0 monolayers is needed")
    if not 0 < tolerance < 1:
        raise InputError(
            f"--tolerance {tolerance:g} is out of range",
            advice="Give a share between 0 and 1: 0.1 for a change of 10 %.",
        )


def _physical_ratio_in(trajectory: Trajectory) -> float:
    frequency = trajectory.params["attempt_frequency_Hz"].value
    return float(frequency) / float(trajectory.acceleration["strip_rate_per_site_Hz"])


class _Times:
    """What more rungs or replicas would take, from what the runs so far took."""

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
        """Seconds, with some more ratios and so many replicas at every rung."""
        if not self._one_s:
            return math.nan
        top = max(self._one_s)
        total = sum(s * max(0, replicas - self._have[r]) for r, s in self._one_s.items())
        # Beyond the highest rung nearly all events are hops, and these grow with the ratio.
        total += sum(self._one_s[top] * ratio / top * replicas for ratio in ratios)
        return total / self._workers
