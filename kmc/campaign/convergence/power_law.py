"""Power law of a number against the ratio: fit, errors and goodness.

The mean of each number is taken as a straight line in ln(ratio), on the scale that suits the number
(generalised linear models; McCullagh and Nelder, Generalized Linear Models, 1989):

    counts   ln μ = a + b x          variance φ μ            void density: n ∝ ratio^b, b = −χ
    shares   ln μ/(1 − μ) = a + b x  variance φ μ (1 − μ)    contact loss: a power law where small
    sizes    ln μ = a + b x          variance φ μ²           widths
    onsets   ln t = a + b x + σ ε    median; a run that ended first counts as "later than its end"

so that a level without voids enters as a count of zero. φ comes from the scatter of the replicas.
Whether the line holds is tested by the scatter of the levels about it against that of the replicas
about their level (F test of lack of fit). Where it does not, the lowest levels are left out one by
one: the law is that of many hops per stripped atom. It is not continued beyond the levels: the
exponent follows from the size of the critical nucleus, which changes with the ratio.

Errors: bootstrap over the replicas of each level. n − 1 of n replicas are drawn, so that the
variance of a mean comes out right for few of them too (Rao and Wu, J. Am. Stat. Assoc. 83, 231
(1988), 10.1080/01621459.1988.10478591), and the percentiles are widened by Student's t over the
normal.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from kmc.campaign.convergence.observables import COUNT, ONSET, SHARE, Family, LevelRuns
from kmc.campaign.convergence.regression import (
    ROUNDS,
    TINY,
    censored_line,
    censored_means,
    least_squares,
    log_likelihood,
)

CONFIDENCE = 0.95  # of every interval of a convergence study
MIN_LEVELS = 3  # two always lie on a line
_DRAWS = 1000
_SEED = 20_261_121  # of the bootstrap: the same runs give the same interval
_STEP = 4.0  # of a linear predictor in one round; further steps overshoot


class Predicted(NamedTuple):
    """Value and interval at some ratios; NaN where the scatter of the replicas is not known."""

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class PowerLaw:
    """A line that the levels follow.

    Attributes
    ----------
    family : Family
    exponent, exponent_low, exponent_high : float
        b, with its interval of 95 %.
    p_value : float
        Of the lack of fit; NaN where it cannot be tested.
    ratios, left_out : tuple of float
        Levels that it rests on, and lower ones that are off it.
    unit : float
        Divides a mean: the area of the box for counts that become densities.
    """

    family: Family
    intercept: float
    exponent: float
    exponent_low: float
    exponent_high: float
    p_value: float
    ratios: tuple[float, ...]
    left_out: tuple[float, ...]
    unit: float = 1.0
    draws: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)), repr=False, compare=False)
    widening: float = math.nan

    def at(self, ratio: ArrayLike) -> Predicted:
        """Mean at some ratios, with the interval of the bootstrap.

        Parameters
        ----------
        ratio : float or array of float, shape (m,)
        """
        x = np.log(np.atleast_1d(np.asarray(ratio, dtype=float)))
        eta = self.intercept + self.exponent * x
        low = high = np.full(len(x), np.nan)
        if len(self.draws):
            low, high = _interval(
                eta, self.draws[:, 0, None] + self.draws[:, 1, None] * x, self.widening
            )
        return Predicted(*(self.family.mean(e) / self.unit for e in (eta, low, high)))


def fit_law(levels: Sequence[LevelRuns], family: Family, unit: float = 1.0) -> PowerLaw | None:
    """The law that the highest levels follow, as many of them as do; None where no three do.

    Parameters
    ----------
    levels : sequence of LevelRuns
    family : Family
    unit : float
        See `PowerLaw`.
    """
    some = sorted((level for level in levels if level.n), key=lambda level: level.ratio)
    for first in range(len(some) - MIN_LEVELS + 1):
        law = _law(some[first:], family, unit, tuple(level.ratio for level in some[:first]))
        if law is None:
            return None
        if not law.p_value < 1 - CONFIDENCE:
            return law
    return None


def _law(levels: list[LevelRuns], family: Family, unit: float, left_out: tuple) -> PowerLaw | None:
    line = _line(levels, family)
    if line is None:
        return None
    a, b = line
    free = sum(level.n for level in levels) - len(levels)
    low = high = math.nan
    draws, widening = np.zeros((0, 2)), math.nan
    if free > 0:
        from scipy.stats import norm
        from scipy.stats import t as student

        upper = 0.5 + CONFIDENCE / 2
        widening = float(student.ppf(upper, free) / norm.ppf(upper))
        draws = _bootstrap(levels, family, line)
        low, high = (float(end[0]) for end in _interval(np.array([b]), draws[:, 1:], widening))
    return PowerLaw(
        family=family,
        intercept=a,
        exponent=b,
        exponent_low=low,
        exponent_high=high,
        p_value=_lack_of_fit(levels, family, line) if free > 0 else math.nan,
        ratios=tuple(level.ratio for level in levels),
        left_out=left_out,
        unit=unit,
        draws=draws,
        widening=widening,
    )


def _interval(
    centre: np.ndarray, draws: np.ndarray, widening: float
) -> tuple[np.ndarray, np.ndarray]:
    """Percentiles of the draws, their distances from the centre widened."""
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(draws, [tail, 100 - tail], axis=0)
    low, high = np.minimum(low, centre), np.maximum(high, centre)
    return centre - (centre - low) * widening, centre + (high - centre) * widening


# --- one line -------------------------------------------------------------------------------------


def _line(levels: Sequence[LevelRuns], family: Family) -> tuple[float, float] | None:
    """a and b of the runs as they are; None where no finite line is the likeliest."""
    if family is ONSET:
        if sum(not level.censored.all() for level in levels) < 2 or _least(levels) <= 0:
            return None
        x, times, late, weights = _as_runs(levels)
        a, b, _ = censored_line(x, times[None], late[None], weights)
        return float(a[0]), float(b[0])
    means, n = _means(levels)
    edge = (means > 0) & (means < 1) if family is SHARE else means > 0
    if edge.sum() < 2:
        return None
    a, b = _weighted_line(_x(levels), means[None], n, family)
    return float(a[0]), float(b[0])


def _least(levels: Sequence[LevelRuns]) -> float:
    return min(float(level.values.min()) for level in levels)


def _x(levels: Sequence[LevelRuns]) -> np.ndarray:
    return np.log([level.ratio for level in levels])


def _means(levels: Sequence[LevelRuns]) -> tuple[np.ndarray, np.ndarray]:
    return (
        np.array([level.values.mean() for level in levels]),
        np.array([float(level.n) for level in levels]),
    )


def _weighted_line(
    x: np.ndarray, means: np.ndarray, n: np.ndarray, family: Family
) -> tuple[np.ndarray, np.ndarray]:
    """Lines of greatest quasi-likelihood for many sets of means at once (Fisher scoring).

    Parameters
    ----------
    x : ndarray, shape (k,)
    means : ndarray, shape (sets, k)
    n : ndarray, shape (k,)
        Runs behind each mean.

    Returns
    -------
    a, b : ndarray, shape (sets,)
    """
    centre = x.mean()
    u = x - centre  # about their mean a and b are uncorrelated, and the rounds converge faster
    inside = np.clip(means, 1e-3, 1 - 1e-3) if family is SHARE else np.maximum(means, 1e-3)
    a, b = least_squares(u, family.link(inside), np.broadcast_to(n, means.shape))
    for _ in range(ROUNDS):
        eta = a[:, None] + b[:, None] * u
        mean = family.mean(eta)
        slope = np.maximum(family.slope(mean), TINY)
        weights = n * slope**2 / np.maximum(family.variance(mean), TINY)
        target = eta + np.clip((means - mean) / slope, -_STEP, _STEP)
        new_a, new_b = least_squares(u, target, weights)
        moved = np.max(np.abs(new_a - a) + np.abs(new_b - b) * np.ptp(u))
        a, b = new_a, new_b
        if moved < 1e-9:
            break
    return a - b * centre, b


def _as_runs(levels: Sequence[LevelRuns]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    x = np.repeat(_x(levels), [level.n for level in levels])
    times = np.concatenate([level.values for level in levels])
    return x, times, np.concatenate([level.censored for level in levels]), np.ones(len(x))


# --- errors and goodness --------------------------------------------------------------------------


def _scatter(levels: Sequence[LevelRuns], family: Family) -> np.ndarray:
    """Variance of single runs in each level; NaN where a level has one."""
    found = [level.values.var(ddof=1) if level.n > 1 else math.nan for level in levels]
    return np.maximum(found, family.least_variance)


def _dispersion(levels: Sequence[LevelRuns], family: Family, fitted: np.ndarray) -> float:
    """φ, pooled over the levels."""
    free = np.array([level.n - 1 for level in levels])
    some = free > 0
    share = _scatter(levels, family)[some] / np.maximum(family.variance(fitted)[some], TINY)
    return float((free[some] * share).sum() / free.sum())


def _bootstrap(
    levels: Sequence[LevelRuns], family: Family, line: tuple[float, float]
) -> np.ndarray:
    """a and b of resampled runs, shape (draws, 2)."""
    rng = np.random.default_rng(_SEED)
    # n − 1 of n: means of n draws with replacement would scatter too little, by (n − 1)/n.
    picked = [rng.integers(level.n, size=(_DRAWS, max(1, level.n - 1))) for level in levels]
    if family is ONSET:
        x = np.repeat(_x(levels), [chosen.shape[1] for chosen in picked])
        # The draws of a level stand for all of its runs.
        weights = np.repeat(
            [level.n / c.shape[1] for level, c in zip(levels, picked, strict=True)],
            [chosen.shape[1] for chosen in picked],
        )
        pairs = list(zip(levels, picked, strict=True))
        times = np.concatenate([level.values[c] for level, c in pairs], axis=1)
        late = np.concatenate([level.censored[c] for level, c in pairs], axis=1)
        a, b, _ = censored_line(x, times, late, weights)
        return np.stack([a, b], axis=1)
    fitted = family.mean(line[0] + line[1] * _x(levels))
    phi = _dispersion(levels, family, fitted)
    means = np.empty((_DRAWS, len(levels)))
    for i, (level, chosen) in enumerate(zip(levels, picked, strict=True)):
        means[:, i] = level.values[chosen].mean(axis=1)
        # What the replicas of this level cannot show: whole numbers that agree, or a single run.
        seen = level.values.var(ddof=1) if level.n > 1 else 0.0
        least = family.least_variance if level.n > 1 else phi * float(family.variance(fitted[i]))
        if least > seen:
            means[:, i] += rng.normal(0.0, math.sqrt((least - seen) / level.n), _DRAWS)
    # A resampled mean below zero would have no logarithm; a share stays a share.
    top = 1.0 if family is SHARE else math.inf
    least = 1e-6 * float(np.mean([level.values.mean() for level in levels]))
    means = np.clip(means, 0.0 if family in (COUNT, SHARE) else least, top)
    a, b = _weighted_line(_x(levels), means, _means(levels)[1], family)
    return np.stack([a, b], axis=1)


def _lack_of_fit(levels: Sequence[LevelRuns], family: Family, line: tuple[float, float]) -> float:
    """Probability that levels on the line scatter about it as much as these."""
    from scipy.stats import f as fisher

    if len(levels) < MIN_LEVELS:
        return math.nan
    if family is ONSET:
        return _lack_of_fit_of_onsets(levels)
    fitted = family.mean(line[0] + line[1] * _x(levels))
    means, n = _means(levels)
    off = float((n * (means - fitted) ** 2 / np.maximum(family.variance(fitted), TINY)).sum())
    phi = _dispersion(levels, family, fitted)
    # Two degrees of freedom are spent on the line, one in each level on its mean.
    between, within = len(levels) - 2, int(n.sum()) - len(levels)
    if phi <= 0:  # all replicas agree to the digit, as onsets read at one frame do
        return 1.0 if off < 1e-12 else 0.0
    return float(fisher.sf(off / between / phi, between, within))


def _lack_of_fit_of_onsets(levels: Sequence[LevelRuns]) -> float:
    """The same by the likelihood ratio of the line and of a mean for each level.

    Turned into F as it is exactly without censored runs. A level without any onset is as likely as
    can be when its mean is late enough: its likelihood is 1.
    """
    from scipy.stats import f as fisher

    x, times, late, weights = _as_runs(levels)
    a, b, sigma = censored_line(x, times[None], late[None], weights)
    on_line = log_likelihood(times, late, a[0] + b[0] * x, float(sigma[0]))
    seen = [level for level in levels if not level.censored.all()]
    _, some, some_late, _ = _as_runs(seen)
    group = np.repeat(np.arange(len(seen)), [level.n for level in seen])
    means, width = censored_means(some, some_late, group, float(sigma[0]))
    free = log_likelihood(some, some_late, means[group], width)
    n, k = len(times), len(levels)
    ratio = max(0.0, free - on_line)
    statistic = math.expm1(min(2 * ratio / n, 700.0)) * (n - k) / (k - 2)
    return float(fisher.sf(statistic, k - 2, n - k))
