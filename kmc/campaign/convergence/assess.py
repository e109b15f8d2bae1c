"""Evaluates one number of a convergence study: levels, verdict, power law, further runs needed."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from kmc.campaign.convergence.findings import (
    CHANGING,
    CONVERGED,
    UNKNOWN,
    Comparison,
    Finding,
    Level,
    Needed,
    Plateau,
    compare,
)
from kmc.campaign.convergence.observables import SHARE, Family, LevelRuns, Observable
from kmc.campaign.convergence.power_law import CONFIDENCE, PowerLaw, fit_law
from kmc.campaign.convergence.sentences import box_text, law_text, verdict_text

_SHRINKS = 0.8  # steps between levels shrink where each is at most this share of the one before
_USUAL = 4  # replicas, where one alone gives no scatter

TimeOf = Callable[[Sequence[float], int], float]
"""Further ratios, and replicas at every level → remaining wall time in seconds."""


def assess(
    observable: Observable,
    levels: Sequence[LevelRuns],
    *,
    tolerance: float,
    physical_ratio: float,
    unit: float = 1.0,
    time_s: TimeOf = lambda ratios, replicas: math.nan,
) -> Finding:
    """Evaluate one number over the levels.

    Parameters
    ----------
    observable : Observable
    levels : sequence of LevelRuns
        One for each ratio, in ascending order.
    tolerance : float
        Change that a tenfold ratio may make, as a share of the number.
    physical_ratio : float
        Where nothing is slowed any more.
    unit : float
        The numbers are divided by it: the area of the box, of counts that become densities.
    time_s : callable
        See `TimeOf`.
    """
    *below, top = levels
    comparisons = []
    for level in below:
        # Levels closer than a decade must agree better: the tolerance is for a tenfold ratio.
        decades = min(1.0, math.log10(top.ratio / level.ratio))
        size = max(abs(float(top.values.mean())), observable.least_margin) if top.n else math.nan
        comparisons.append(compare(level, top, tolerance * size * decades, observable.family))
    # All levels that agree with the last one, without a gap.
    agree = len(below)
    while agree and comparisons[agree - 1].verdict == CONVERGED:
        agree -= 1
    agree = len(levels) if agree == len(below) else agree
    last = comparisons[-1] if comparisons else None
    verdict = last.verdict if last else UNKNOWN
    law = fit_law(levels, observable.family, unit)
    shown = tuple(_level(level, observable, unit, i >= agree) for i, level in enumerate(levels))
    physical = None
    if verdict == CONVERGED:
        most = 1.0 if observable.family is SHARE else math.inf
        physical = _plateau(levels[agree:], unit, tolerance, physical_ratio, most)
    needed = _needed(levels, last, law, observable, tolerance, physical_ratio, time_s)
    if last:
        names = ("difference", "margin", "low", "high", "change_low", "change_high")
        last = replace(last, **{name: getattr(last, name) / unit for name in names})
    box = box_text(observable, levels)
    if box and needed is not None and not needed.ratios:
        needed = None  # more runs of a box that is too small decide nothing
    sentences = (
        verdict_text(observable, levels, last, shown, tolerance),
        *law_text(observable, levels, law, physical, physical_ratio),
        *box,
    )
    return Finding(observable, shown, verdict, last, law, physical, needed, sentences)


def _half(std: float, n: int) -> float:
    """Half of the 95 % interval of a mean, Student's t."""
    from scipy.stats import t as student

    return float(student.ppf(0.5 + CONFIDENCE / 2, n - 1)) * std / math.sqrt(n)


def _level(level: LevelRuns, observable: Observable, unit: float, converged: bool) -> Level:
    values, censored = level.values / unit, int(level.censored.sum())
    std, low, high = math.nan, math.nan, math.nan
    mean = float(values.mean()) if level.n else math.nan
    if level.n > 1:
        std = float(values.std(ddof=1))
        half = _half(max(std, math.sqrt(observable.family.least_variance) / unit), level.n)
        if not censored:  # the mean of bounds is a bound itself and has no interval
            low, high = max(0.0, mean - half), mean + half
            high = min(1.0, high) if observable.family is SHARE else high
    return Level(level.ratio, level.n, mean, std, low, high, censored, converged)


def _plateau(
    levels: Sequence[LevelRuns], unit: float, tolerance: float, ratio: float, most: float
) -> Plateau:
    values = np.concatenate([level.values for level in levels]) / unit
    value, half = float(values.mean()), _half(float(values.std(ddof=1)), len(values))
    low, high = max(0.0, value - half), min(most, value + half)
    # Between the last level and the physical ratio nothing was run: every decade may still change
    # the number by the tolerance.
    decades = max(0.0, math.log10(ratio / levels[-1].ratio))
    widest = low * (1 - tolerance) ** decades, min(most, high * (1 + tolerance) ** decades)
    return Plateau(value, low, high, *widest)


def _needed(
    levels: Sequence[LevelRuns],
    last: Comparison | None,
    law: PowerLaw | None,
    observable: Observable,
    tolerance: float,
    physical_ratio: float,
    time_s: TimeOf,
) -> Needed | None:
    """Further levels or replicas that would decide; None where decided, or where none can."""
    replicas = max((level.n for level in levels), default=0)
    if not replicas:
        return None
    top = levels[-1].ratio
    ratios: tuple[float, ...] = ()
    if last is None:
        ratios = (10.0 * top if 10.0 * top <= physical_ratio else 0.1 * top,)
    elif last.verdict == UNKNOWN and replicas < 2:
        replicas = _USUAL
    elif last.replicas is not None:  # unclear
        replicas = last.replicas
    elif last.verdict == CHANGING:
        more = _further(levels, law, observable.family, tolerance)
        ratios = tuple(top * 10.0**i for i in range(1, more + 1) if top * 10.0**i <= physical_ratio)
        if not ratios:
            return None
    else:
        return None
    return Needed(ratios, replicas, time_s(ratios, replicas))


def _further(
    levels: Sequence[LevelRuns], law: PowerLaw | None, family: Family, tolerance: float
) -> int:
    """Number of further levels, ten times apart, after which the change is below the tolerance.

    Steps that shrink are extrapolated geometrically. Along a power law they do not shrink, and one
    further level tests it; without a law two more are needed for three that follow one.
    """
    if law:
        return 1
    eta = [float(family.link(level.values.mean())) for level in levels[-3:] if level.n]
    if len(eta) == 3:
        before, now = abs(eta[1] - eta[0]), abs(eta[2] - eta[1])
        if 0 < now <= _SHRINKS * before:
            return max(1, math.ceil(math.log(tolerance / now) / math.log(now / before)))
    return 2
