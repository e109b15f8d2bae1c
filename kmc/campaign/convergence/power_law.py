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
normal. The thousand fits of a bootstrap are made at once, as arrays: one by one, by a library of
regressions, they would take seconds for each number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from kmc.campaign.convergence.observables import (
    COUNT,
    FAR,
    ONSET,
    SHARE,
    TINY,
    Family,
    LevelRuns,
)

CONFIDENCE = 0.95  # of every interval of a convergence study
MIN_LEVELS = 3  # two always lie on a line
_DRAWS = 1000
_SEED = 20_261_121  # of the bootstrap: the same runs give the same interval
_ROUNDS = 60
_STEP = 4.0  # of a linear predictor in one round; further steps overshoot
_MIN_VARIANCE = 1e-12  # of logarithms: equal times do not make a likelihood infinite


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
        """Mean at some ratios, shape (m,), with the interval of the bootstrap."""
        x = np.log(np.atleast_1d(np.asarray(ratio, dtype=float)))
        eta = self.intercept + self.exponent * x
        low = high = np.full(len(x), np.nan)
        if len(self.draws):
            low, high = _interval(eta, self.draws @ np.stack([np.ones_like(x), x]), self.widening)
        return Predicted(*(self.family.mean(e) / self.unit for e in (eta, low, high)))


def fit_law(levels: Sequence[LevelRuns], family: Family, unit: float = 1.0) -> PowerLaw | None:
    """The law that the highest levels follow, as many of them as do; None where no three do."""
    some = sorted((level for level in levels if level.n), key=lambda level: level.ratio)
    for first in range(len(some) - MIN_LEVELS + 1):
        law = _law(some[first:], family, unit, tuple(level.ratio for level in some[:first]))
        if law is None or not law.p_value < 1 - CONFIDENCE:
            return law
    return None


def _law(levels: list[LevelRuns], family: Family, unit: float, left_out: tuple) -> PowerLaw | None:
    line = _line(levels, family)
    if line is None:
        return None
    free = sum(level.n for level in levels) - len(levels)
    low = high = p_value = widening = math.nan
    draws = np.zeros((0, 2))
    if free > 0:
        from scipy.stats import norm
        from scipy.stats import t as student

        # The percentiles are those of a normal law; so few replicas need the wider one.
        upper = 0.5 + CONFIDENCE / 2
        widening = float(student.ppf(upper, free) / norm.ppf(upper))
        draws = _bootstrap(levels, family, line)
        low, high = (float(end[0]) for end in _interval(np.array(line[1:]), draws[:, 1:], widening))
        p_value = _lack_of_fit(levels, family, line)
    ratios = tuple(level.ratio for level in levels)
    return PowerLaw(family, *line, low, high, p_value, ratios, left_out, unit, draws, widening)


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
        seen = sum(not level.censored.all() for level in levels)
        if seen < 2 or min(float(level.values.min()) for level in levels) <= 0:
            return None
        (line,), _ = _lines_of_onsets(levels, _all(levels))
    else:
        means, n = _means(levels)
        # Levels at 0 or 1 alone would put the line at infinity.
        if ((means > 0) & ((means < 1) | (family is not SHARE))).sum() < 2:
            return None
        (line,) = _lines(_x(levels), means[None], n, family)
    return float(line[0]), float(line[1])


def _x(levels: Sequence[LevelRuns]) -> np.ndarray:
    return np.log([level.ratio for level in levels])


def _means(levels: Sequence[LevelRuns]) -> tuple[np.ndarray, np.ndarray]:
    means = np.array([level.values.mean() for level in levels])
    return means, np.array([float(level.n) for level in levels])


def _lines(x: np.ndarray, means: np.ndarray, n: np.ndarray, family: Family) -> np.ndarray:
    """a and b of greatest quasi-likelihood (Fisher scoring), shape (sets, 2).

    For many sets of means at once, shape (sets, k), at ln(ratio) x of n runs each, shape (k,).
    """
    centre = x.mean()
    u = x - centre  # about their mean a and b are uncorrelated, and the rounds converge faster
    inside = np.clip(means, 1e-3, 1 - 1e-3) if family is SHARE else np.maximum(means, 1e-3)
    a, b = _least_squares(u, family.link(inside), np.broadcast_to(n, means.shape))
    for _ in range(_ROUNDS):
        eta = a[:, None] + b[:, None] * u
        mean = family.mean(eta)
        slope = np.maximum(family.slope(mean), TINY)
        weights = n * slope**2 / np.maximum(family.variance(mean), TINY)
        target = eta + np.clip((means - mean) / slope, -_STEP, _STEP)
        new_a, new_b = _least_squares(u, target, weights)
        moved = np.max(np.abs(new_a - a) + np.abs(new_b - b) * np.ptp(u))
        a, b = new_a, new_b
        if moved < 1e-9:
            break
    return np.stack([a - b * centre, b], axis=1)


def _least_squares(
    u: np.ndarray, y: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Weighted lines through the rows of y."""
    total = weights.sum(axis=1)
    mean_u, mean_y = (weights * u).sum(axis=1) / total, (weights * y).sum(axis=1) / total
    off = u - mean_u[:, None]
    spread = (weights * off**2).sum(axis=1)
    b = (weights * off * (y - mean_y[:, None])).sum(axis=1) / np.maximum(spread, TINY)
    b = np.clip(b, -FAR, FAR)
    return mean_y - b * mean_u, b


# --- onsets, which may be censored ----------------------------------------------------------------


def _all(levels: Sequence[LevelRuns]) -> list[np.ndarray]:
    """Every run of each level, as one draw."""
    return [np.arange(level.n)[None] for level in levels]


def _drawn(
    levels: Sequence[LevelRuns], picked: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Times of the runs picked, and whether they are bounds, shape (draws, runs)."""
    pairs = list(zip(levels, picked, strict=True))
    times = np.concatenate([level.values[c] for level, c in pairs], axis=1)
    return times, np.concatenate([level.censored[c] for level, c in pairs], axis=1)


def _lines_of_onsets(
    levels: Sequence[LevelRuns], picked: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """a and b of some draws of the runs, shape (draws, 2), and σ, shape (draws,)."""
    sizes = [chosen.shape[1] for chosen in picked]
    x = np.repeat(_x(levels), sizes)
    # The draws of a level stand for all of its runs.
    weights = np.repeat([level.n / n for level, n in zip(levels, sizes, strict=True)], sizes)
    design = np.stack([np.ones_like(x), x - x.mean()], axis=1)
    lines, sigma = _censored_fit(design, *_drawn(levels, picked), weights)
    return lines - np.outer(lines[:, 1], [x.mean(), 0.0]), sigma


def _censored_fit(
    design: np.ndarray,
    times: np.ndarray,
    late: np.ndarray,
    weights: np.ndarray,
    sigma_from: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Log-normal regression with right-censored times by expectation and maximisation.

    A time that is only known to be `late`, after the end of a run, is taken as log-normal about
    the regression (Aitkin, Technometrics 23, 161 (1981)). Coefficients, shape (sets, k), and σ of
    `times`, shape (sets, runs), on `design`, shape (runs, k). The rounds begin with `sigma_from`
    or that of the known times; from none, late times hardly move.
    """
    y = np.log(times)
    weighted = design.T * weights
    solve = np.linalg.solve(weighted @ design, weighted).T  # of every set, as none has weights

    def mean_square(expected: np.ndarray, found: np.ndarray, unseen: np.ndarray) -> np.ndarray:
        squares = (expected - found @ design.T) ** 2 + unseen
        return np.maximum(squares @ weights / weights.sum(), _MIN_VARIANCE)

    found = y @ solve
    variance = mean_square(y, found, np.zeros_like(y))
    if sigma_from and late.any():
        variance = np.full(len(y), sigma_from**2)
    for _ in range(_ROUNDS if late.any() else 0):
        mu, sigma = found @ design.T, np.sqrt(variance)[:, None]
        z, hazard = _hazard((y - mu) / sigma)
        # The mean of what lies beyond the end of a run, of a normal law cut off there.
        expected = np.where(late, mu + sigma * hazard, y)
        before, found = found, expected @ solve
        # The cut-off law scatters less than the whole one; without this σ would shrink each round.
        unseen = np.where(late, sigma**2 * (1 + z * hazard - hazard**2), 0.0)
        variance, earlier = mean_square(expected, found, unseen), variance
        moved = np.max(np.abs(found - before)) + np.max(np.abs(np.sqrt(variance / earlier) - 1))
        if moved < 1e-6:
            break
    return found, np.sqrt(variance)


def _hazard(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """z, kept from overflowing, and φ(z)/(1 − Φ(z))."""
    from scipy.special import log_ndtr

    z = np.clip(z, -FAR, FAR)
    return z, np.exp(-0.5 * z**2 - 0.5 * math.log(2 * math.pi) - log_ndtr(-z))


def _log_likelihood(times: np.ndarray, late: np.ndarray, mu: np.ndarray, sigma: float) -> float:
    """Of ln(times) about μ, but for a constant."""
    from scipy.special import log_ndtr

    z = (np.log(times) - mu) / sigma
    return float(np.where(late, log_ndtr(-z), -0.5 * z**2 - math.log(sigma)).sum())


# --- errors and goodness --------------------------------------------------------------------------


def _dispersion(levels: Sequence[LevelRuns], family: Family, fitted: np.ndarray) -> float:
    """φ, pooled over the levels with two runs or more."""
    free = np.array([level.n - 1 for level in levels])
    scatter = np.array([level.values.var(ddof=1) if level.n > 1 else 0.0 for level in levels])
    scatter = np.maximum(scatter, family.least_variance)
    return float((free * scatter / np.maximum(family.variance(fitted), TINY)).sum() / free.sum())


def _bootstrap(
    levels: Sequence[LevelRuns], family: Family, line: tuple[float, float]
) -> np.ndarray:
    """a and b of resampled runs, shape (draws, 2)."""
    rng = np.random.default_rng(_SEED)
    # n − 1 of n: means of n draws with replacement would scatter too little, by (n − 1)/n.
    picked = [rng.integers(level.n, size=(_DRAWS, max(1, level.n - 1))) for level in levels]
    if family is ONSET:
        return _lines_of_onsets(levels, picked)[0]
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
    whole, n = _means(levels)
    least = 0.0 if family in (COUNT, SHARE) else 1e-6 * float(whole.mean())
    return _lines(_x(levels), np.clip(means, least, 1 if family is SHARE else None), n, family)


def _lack_of_fit(levels: Sequence[LevelRuns], family: Family, line: tuple[float, float]) -> float:
    """Probability that levels on the line scatter about it as much as these."""
    from scipy.stats import f as fisher

    # Two degrees of freedom are spent on the line, one in each level on its mean.
    between, within = len(levels) - 2, sum(level.n for level in levels) - len(levels)
    if family is ONSET:
        return float(fisher.sf(_ratio_of_onsets(levels) * within / between, between, within))
    fitted = family.mean(line[0] + line[1] * _x(levels))
    means, n = _means(levels)
    off = float((n * (means - fitted) ** 2 / np.maximum(family.variance(fitted), TINY)).sum())
    phi = _dispersion(levels, family, fitted)
    if phi <= 0:  # all replicas agree to the digit, as onsets read at one frame do
        return 1.0 if off < 1e-12 else 0.0
    return float(fisher.sf(off / between / phi, between, within))


def _ratio_of_onsets(levels: Sequence[LevelRuns]) -> float:
    """Scatter about the line over that about a mean for each level, by their likelihood ratio.

    Exactly that without censored runs. A level without any onset is as likely as can be when its
    mean is late enough: its likelihood is 1.
    """
    lines, sigma = _lines_of_onsets(levels, _all(levels))
    seen = [level for level in levels if not level.censored.all()]
    group = np.eye(len(seen))[np.repeat(np.arange(len(seen)), [level.n for level in seen])]
    times, late = _drawn(seen, _all(seen))
    means, width = _censored_fit(group, times, late, np.ones(len(group)), float(sigma[0]))
    free = _log_likelihood(times[0], late[0], group @ means[0], float(width[0]))
    times, late = _drawn(levels, _all(levels))
    mu = lines[0, 0] + lines[0, 1] * np.repeat(_x(levels), [level.n for level in levels])
    gain = max(0.0, free - _log_likelihood(times[0], late[0], mu, float(sigma[0])))
    return math.expm1(min(2 * gain / times.size, 700.0))
