"""Judges one number of a ladder: its rungs, whether it has converged, its law, what is needed."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from kmc.sweep.convergence.equivalence import (
    CHANGING,
    CONVERGED,
    UNCLEAR,
    UNKNOWN,
    Comparison,
    compare,
)
from kmc.sweep.convergence.findings import Bound, Extrapolation, Finding, Needed, Observable, Rung
from kmc.sweep.convergence.power_law import (
    CONFIDENCE,
    LEAST_RUNGS,
    SHARE,
    Family,
    Law,
    Runs,
    fit_law,
    line_of_two,
    values_of_other_lines,
)
from kmc.sweep.convergence.sentences import box_words, law_words, verdict_words

_SHRINKS = 0.8  # a step that is at most that share of the one before is on its way to none
_USUAL = 4  # replicas


def assess(
    observable: Observable,
    rungs: Sequence[Runs],
    *,
    tolerance: float,
    physical_ratio: float,
    unit: float = 1.0,
    time_s: Callable[[Sequence[float], int], float] = lambda ratios, replicas: math.nan,
) -> Finding:
    """Judge one number.

    Parameters
    ----------
    observable : Observable
    rungs : sequence of Runs
        One for each ratio, in ascending order.
    tolerance : float
        Change that a tenfold ratio may make, as a share of the number.
    physical_ratio : float
        Where nothing is slowed any more.
    unit : float
        The numbers are divided by it: the area of the box, of counts that become densities.
    time_s : callable
        Further ratios, and replicas at every rung → time such a ladder still takes, in seconds.
    """
    comparisons = [
        compare(rung, rungs[-1], _margin(observable, rung, rungs[-1], tolerance), observable.family)
        for rung in rungs[:-1]
    ]
    agree = len(rungs)
    for i in reversed(range(len(comparisons))):
        if comparisons[i].verdict != CONVERGED:
            break
        agree = i
    last = comparisons[-1] if comparisons else None
    verdict = last.verdict if last else UNKNOWN
    law = fit_law(rungs, observable.family, unit)
    shown = tuple(_rung(rung, observable, unit, i >= agree) for i, rung in enumerate(rungs))
    physical = bound = None
    if law is not None:
        # Rungs below those that have converged are no choice that anybody would make.
        choice = rungs[agree:] if verdict == CONVERGED else rungs
        physical = _extrapolate(choice, law, physical_ratio)
    elif verdict == CONVERGED:
        most = 1.0 if observable.family is SHARE else math.inf
        physical = _plateau(rungs[agree:], unit, tolerance, physical_ratio, most)
    else:
        bound = _bound(rungs, observable.family, unit, physical_ratio)
    needed = _needed(rungs, last, law, observable, tolerance, physical_ratio, time_s)
    scaled = _scaled(last, unit) if last else None
    sentences = (
        verdict_words(observable, rungs, scaled, shown, tolerance),
        *law_words(observable, rungs, law, physical or bound, physical_ratio),
        *box_words(observable, rungs),
    )
    return Finding(observable, shown, verdict, scaled, law, physical, bound, needed, sentences)


def _margin(observable: Observable, lower: Runs, upper: Runs, tolerance: float) -> float:
    """Difference that does not matter: for a tenfold ratio, less for rungs that are closer."""
    if not upper.n:
        return math.nan
    decades = math.log10(upper.ratio / lower.ratio)
    size = max(abs(float(upper.values.mean())), observable.least_margin)
    return tolerance * size * min(1.0, decades)


def _rung(rung: Runs, observable: Observable, unit: float, converged: bool) -> Rung:
    values, censored = rung.values / unit, int(rung.censored.sum())
    nan = math.nan
    mean = float(values.mean()) if rung.n else nan
    std, low, high = nan, nan, nan
    if rung.n > 1:
        from scipy.stats import t as student

        std = float(values.std(ddof=1))
        least = math.sqrt(observable.family.least_variance) / unit
        half = float(student.ppf(0.5 + CONFIDENCE / 2, rung.n - 1)) * max(std, least)
        half /= math.sqrt(rung.n)
        if not censored:
            low, high = max(0.0, mean - half), mean + half
            high = min(1.0, high) if observable.family is SHARE else high
    return Rung(rung.ratio, rung.n, mean, std, low, high, censored, converged)


def _scaled(last: Comparison, unit: float) -> Comparison:
    ends = (last.difference, last.margin, last.low, last.high, last.change_low, last.change_high)
    return Comparison(
        last.lower, last.upper, *(end / unit for end in ends), last.verdict, last.replicas
    )


def _extrapolate(rungs: Sequence[Runs], law: Law, ratio: float) -> Extrapolation:
    value, low, high = (float(part[0]) for part in law.at(ratio))
    others = values_of_other_lines(rungs, law, ratio)
    known = not math.isnan(low)
    widest = (min([low, *others]), max([high, *others])) if known else (math.nan, math.nan)
    return Extrapolation(value, low, high, *widest)


def _plateau(
    rungs: Sequence[Runs], unit: float, tolerance: float, ratio: float, most: float
) -> Extrapolation:
    """Mean of the rungs that agree; the widest ends allow for the tolerance at every decade."""
    from scipy.stats import t as student

    values = np.concatenate([rung.values for rung in rungs]) / unit
    value, n = float(values.mean()), len(values)
    half = float(student.ppf(0.5 + CONFIDENCE / 2, n - 1) * values.std(ddof=1) / math.sqrt(n))
    low, high = max(0.0, value - half), min(most, value + half)
    decades = max(0.0, math.log10(ratio / rungs[-1].ratio))
    widest = low * (1 - tolerance) ** decades, min(most, high * (1 + tolerance) ** decades)
    return Extrapolation(value, low, high, *widest)


def _bound(rungs: Sequence[Runs], family: Family, unit: float, ratio: float) -> Bound | None:
    """What the physical ratio is below, or above, if every step is steeper than the one before."""
    some = [rung for rung in rungs if rung.n and not rung.censored.all()]
    means = np.array([rung.values.mean() for rung in some])
    late = any(rung.censored.any() for rung in some)
    if (
        len(some) < LEAST_RUNGS
        or late
        or (means <= 0).any()
        or (family is SHARE and (means >= 1).any())
    ):
        return None
    steps = np.diff(family.link(means)) / np.diff(np.log([rung.ratio for rung in some]))
    if not ((steps > 0).all() or (steps < 0).all()) or not (np.diff(np.abs(steps)) > 0).all():
        return None
    line = line_of_two(some, family, unit)
    if line is None:
        return None
    end = line.at(ratio)
    below = bool(steps[-1] < 0)
    value = float((end.high if below else end.low)[0])
    return None if math.isnan(value) else Bound(value, below, tuple(float(s) for s in steps))


# --- what is needed -------------------------------------------------------------------------------


def _needed(rungs, last, law, observable, tolerance, physical_ratio, time_s) -> Needed | None:
    """The ladder that would decide; None where this one does, or where no ladder can."""
    replicas = max((rung.n for rung in rungs), default=0)
    if not replicas:
        return None
    if last is None:
        top = rungs[-1].ratio
        nearest = (10.0 * top if 10.0 * top <= physical_ratio else 0.1 * top,)
        return Needed(nearest, replicas, time_s(nearest, replicas))
    if last.verdict == UNKNOWN and replicas < 2:
        return Needed((), _USUAL, time_s((), _USUAL))
    if last.verdict == UNCLEAR:
        return Needed((), last.replicas, time_s((), last.replicas))
    if last.verdict != CHANGING:
        return None
    more = _further(rungs, law, observable.family, tolerance)
    top = rungs[-1].ratio
    ratios = tuple(top * 10.0**i for i in range(1, more + 1) if top * 10.0**i <= physical_ratio)
    return Needed(ratios, replicas, time_s(ratios, replicas)) if ratios else None


def _further(rungs: Sequence[Runs], law: Law | None, family: Family, tolerance: float) -> int:
    """Further rungs, ten times apart, after which nothing should change any more.

    Where the steps shrink they are taken to go on shrinking alike. Along a power law they do not,
    and a further rung only tests it; without a law three rungs have to be found that follow one.
    """
    if law:
        return 1
    eta = [float(family.link(rung.values.mean())) for rung in rungs[-3:] if rung.n]
    if len(eta) == 3:
        before, now = abs(eta[1] - eta[0]), abs(eta[2] - eta[1])
        if 0 < now <= _SHRINKS * before:
            return max(1, math.ceil(math.log(tolerance / now) / math.log(now / before)))
    return 2
