"""Threshold of a binary outcome of random runs: fit and search.

The probability of "yes" is taken as a logistic function of one variable x or of its logarithm,

    P(x) = 1/(1 + exp(∓(x − x_c)/w)),

rising or falling. The threshold x_c is where half of the runs say yes. Its estimate is that of
maximum likelihood, its interval that of the profile likelihood: every x_c for which some width w
makes the outcomes no less likely than χ² allows (Venzon and Moolgavkar, J. R. Stat. Soc. C 37, 87
(1988), 10.2307/2347496). It needs no values with mixed outcomes: where all runs below say no and
all above say yes, as during bisection, the interval extends as far as the outcomes allow.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike

from kmc.errors import InputError

_LOG_FROM = 3.0  # a range whose ends differ by this factor is searched on a logarithmic scale
_MARGIN = 1.0  # how far beyond the range the likelihood is followed, in lengths of the range
_GRID = 241
_WIDTHS = np.geomspace(1e-4, 3.0, 40)  # of the range; the narrowest is a step
_WIDTH_STEP = _WIDTHS[1] / _WIDTHS[0]
_FLAT = (
    0.01  # log-likelihoods this close to the highest are one plateau; its middle is the estimate
)
# Values chosen by earlier outcomes make the usual χ²₁ too narrow; χ²₂, of threshold and width
# together, has the nominal coverage in tests/campaign/critical/test_threshold.py.
_DEGREES = 2
_NEAR = 8  # runs beside the threshold, on either side, that an interval needs
_DIGITS = 4  # significant digits of the values tried


@dataclass(frozen=True)
class Scale:
    """A range of a variable, linear or logarithmic, mapped to 0…1."""

    low: float
    high: float
    log: bool

    @classmethod
    def between(cls, low: float, high: float) -> "Scale":
        """Logarithmic where both ends are positive and a factor of 3 apart."""
        for value in (low, high):
            if not math.isfinite(value):
                raise InputError(f"{value} is no end of a range", advice="Give two finite numbers.")
        if not low < high:
            raise InputError(
                f"the range from {low:g} to {high:g} is empty",
                advice="Give the smaller value first, then the larger.",
            )
        return cls(low, high, low > 0 and high / low >= _LOG_FROM)

    @property
    def length(self) -> float:
        """Of the range, in units of the variable or of its natural logarithm."""
        return math.log(self.high / self.low) if self.log else self.high - self.low

    def place(self, value: ArrayLike) -> np.ndarray:
        """Where a value lies: 0 at the low end, 1 at the high one."""
        if self.log:
            return np.log(np.asarray(value, dtype=float) / self.low) / self.length
        return (np.asarray(value, dtype=float) - self.low) / self.length

    def value(self, place: float) -> float:
        if self.log:
            return self.low * (self.high / self.low) ** place
        return self.low + (self.high - self.low) * place

    def rounded(self, place: float) -> float:
        """A value of few digits near a place, inside the range."""
        digits = _DIGITS
        if not self.log:  # 298.15 ± 0.1 needs digits of the range, not of the value
            largest = max(abs(self.low), abs(self.high))
            digits += max(0, math.ceil(math.log10(largest / (self.high - self.low))))
        value = float(f"{self.value(min(1.0, max(0.0, place))):.{digits}g}")
        return min(self.high, max(self.low, value))


@dataclass(frozen=True)
class Fit:
    """A threshold with its interval."""

    value: float  # where half of the runs say yes; NaN where it cannot be determined
    low: float  # ends of the interval; −inf or inf where it goes on beyond the range searched
    high: float
    confidence: float  # of the interval, such as 0.95
    # whether yes becomes more frequent with the variable; None where it cannot be determined
    rising: bool | None
    width: float  # w of P, in units of the variable, or of its natural logarithm; 0 for a step
    scale: Scale  # the range searched

    @property
    def bracketed(self) -> bool:
        """Whether the interval lies inside the range searched."""
        return (
            self.rising is not None and self.low >= self.scale.low <= self.scale.high >= self.high
        )

    @property
    def precision(self) -> float:
        """Half the interval: as a share of the value on a logarithmic scale, else of the range."""
        if not self.bracketed:
            return math.inf
        if self.scale.log:
            return 0.5 * (self.high - self.low) / self.value
        return 0.5 * (self.high - self.low) / (self.scale.high - self.scale.low)

    def quantile(self, probability: float) -> float:
        """Value of the variable at which P of the fit is this; NaN where it is not determined."""
        if self.rising is None:
            return math.nan
        # The inverse of P: x_c ± w ln(p/(1 − p)), a factor on a logarithmic scale.
        shift = self.width * math.log(probability / (1 - probability))
        shift = shift if self.rising else -shift
        return self.value * math.exp(shift) if self.scale.log else self.value + shift

    def probability(self, values: ArrayLike) -> np.ndarray:
        """P of the fit at some values of the variable."""
        width = max(self.width / self.scale.length, _WIDTHS[0])
        z = (self.scale.place(values) - self.scale.place(self.value)) / width
        return np.exp(_log_logistic(z if self.rising else -z))


def fit(
    values: Sequence[float],
    hits: Sequence[int],
    runs: Sequence[int],
    scale: Scale,
    confidence: float = 0.95,
) -> Fit:
    """Threshold of runs of which `hits` of `runs` met the criterion at each of some `values`.

    Of four runs at four currents 0, 1, 3 and 4 failed:

    >>> found = fit([1, 2, 4, 8], [0, 1, 3, 4], [4, 4, 4, 4], Scale.between(0.5, 16))
    >>> print(f"{found.value:.1f}, 95 %: {found.low:.1f} to {found.high:.1f}")
    2.8, 95 %: 1.5 to 5.4
    """
    u = np.asarray(scale.place(values), dtype=float)
    yes, total = np.asarray(hits, dtype=float), np.asarray(runs, dtype=float)
    unknown = Fit(math.nan, -math.inf, math.inf, confidence, None, math.nan, scale)
    # Without a yes and a no, any threshold far outside fits.
    if not 0 < yes.sum() < total.sum() or len(np.unique(u[total > 0])) < 2:
        return unknown
    # Wilks: twice the fall of the log-likelihood is χ² of the true threshold.
    fall = 0.5 * scipy.stats.chi2.ppf(confidence, _DEGREES)
    # On a grid and not by a minimiser: where outcomes separate, the likelihood has a plateau.
    places = np.linspace(-_MARGIN, 1 + _MARGIN, _GRID)
    up, down = (_profile(u, yes, total, places, _WIDTHS, sign) for sign in (1, -1))
    # Whether failure sets in with rising or falling values is no input: the likelier of the two.
    sign = 1 if up[0].max() >= down[0].max() else -1
    if abs(up[0].max() - down[0].max()) <= fall:
        return unknown
    profile, widths = up if sign > 0 else down
    fitting = widths[profile >= profile.max() - fall]
    # The widths that fit span decades at first: repeat on a grid as fine as the interval needs.
    finer = np.geomspace(fitting.min() / _WIDTH_STEP, fitting.max() * _WIDTH_STEP, len(_WIDTHS))
    inside = places[profile >= profile.max() - fall]
    step = places[1] - places[0]
    places = np.linspace(
        max(-_MARGIN, inside[0] - step), min(1 + _MARGIN, inside[-1] + step), _GRID
    )
    profile, widths = _profile(u, yes, total, places, finer, sign)  # once more, where it matters
    inside = places[profile >= profile.max() - fall]
    # With a gap between all "no" and all "yes" the likelihood has no single maximum.
    flat = places[profile >= profile.max() - _FLAT]
    best = 0.5 * (flat[0] + flat[-1])
    width = float(np.interp(best, places, widths))
    return Fit(
        value=float(scale.value(best)),
        low=float(scale.value(inside[0])) if inside[0] >= 0 else -math.inf,
        high=float(scale.value(inside[-1])) if inside[-1] <= 1 else math.inf,
        confidence=confidence,
        rising=sign > 0,
        # Narrower than the widths tried can tell apart: a step.
        width=0.0 if width <= 2 * _WIDTHS[0] else width * scale.length,
        scale=scale,
    )


def _profile(
    u: np.ndarray,
    yes: np.ndarray,
    total: np.ndarray,
    places: np.ndarray,
    trial_widths: np.ndarray,
    sign: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Highest log-likelihood over all widths for each threshold, and the width that gives it."""
    z = sign * (u[None, :] - places[:, None])
    best = np.full(len(places), -np.inf)
    widths = np.zeros(len(places))
    for width in trial_widths:
        scaled = z / width
        no = _log_logistic(-scaled)
        likelihood = no @ total + scaled @ yes  # log P = log(1 − P) + z
        better = likelihood > best
        best[better], widths[better] = likelihood[better], width
    return best, widths


def _log_logistic(z: np.ndarray) -> np.ndarray:
    # As a logarithm: P itself is 0 from z = −745 on, and its logarithm infinite.
    return -np.logaddexp(0.0, -np.asarray(z, dtype=float))


# Runs at each of some values: how many met the criterion, of how many that could be judged.
Evaluate = Callable[[Sequence[float]], Sequence[tuple[int, int]]]


@dataclass(frozen=True)
class Search:
    """Values tried by a search, and its fit."""

    fit: Fit
    # values tried, in ascending order, with the runs that met the criterion and all runs
    values: tuple[float, ...]
    hits: tuple[int, ...]
    runs: tuple[int, ...]
    reached: bool  # whether the interval is as narrow as required
    # runs that the next step needed beyond those allowed; 0 where it ended for another reason
    next_runs: int = 0


def search(
    evaluate: Evaluate,
    scale: Scale,
    *,
    replicas: int,
    tolerance: float,
    max_runs: int,
    confidence: float = 0.95,
    known: dict[float, tuple[int, int]] | None = None,
) -> Search:
    """Find a threshold by bisection that goes on as a fit.

    The ends and the middle of the range come first. Further values are placed by the fit: in the
    middle of the gap while no value has mixed outcomes, which is bisection, and later on both sides
    of the fitted threshold. The search ends when `Fit.precision` is within `tolerance`, when
    `max_runs` do not allow the next values (`replicas` runs each; those of `known`, value → (yes,
    runs), count), or when the ends and the middle have the same outcome.
    """
    outcomes = dict(known or {})
    # The ends first: where both have one outcome there is no threshold between them.
    wanted = [scale.low, scale.high]
    while True:
        new = [value for value in dict.fromkeys(wanted) if value not in outcomes]
        for value, outcome in zip(new, evaluate(new) if new else (), strict=True):
            outcomes[value] = (int(outcome[0]), int(outcome[1]))
        values = tuple(sorted(outcomes))
        hits, runs = zip(*(outcomes[value] for value in values), strict=True)
        estimate = fit(values, hits, runs, scale, confidence)
        done = False
        if estimate.precision <= tolerance:
            # Bisection by single runs always ends in a narrow gap, also where P is broad: enough
            # runs beside the threshold, on both sides, distinguish the two.
            low, centre, high = (
                float(scale.place(v)) for v in (estimate.low, estimate.value, estimate.high)
            )
            near = [(float(scale.place(v)), n) for v, (_, n) in outcomes.items()]
            below = sum(n for u, n in near if low - (high - low) <= u <= centre)
            above = sum(n for u, n in near if centre <= u <= high + (high - low))
            done = min(below, above) >= _NEAR
        wanted = _next(outcomes, estimate, scale, tolerance)
        fresh = [value for value in wanted if value not in outcomes]
        more = 0 if done else replicas * len(fresh)
        if done or not fresh or sum(runs) + more > max_runs:
            return Search(estimate, values, hits, runs, done, more)


def _next(outcomes: dict, estimate: Fit, scale: Scale, tolerance: float) -> list[float]:
    missing = [value for value in (scale.low, scale.high) if value not in outcomes]
    if missing:
        return missing
    # A value without a run says nothing.
    shares = {value: hits / runs for value, (hits, runs) in outcomes.items() if runs}
    if estimate.rising is None:
        middle = scale.rounded(0.5)
        if middle not in outcomes:
            return [middle]
        if len({share > 0.5 for share in shares.values()}) < 2:
            return []
        # Both outcomes, but too few runs for the direction: the quarters add to both sides.
        return [scale.rounded(0.25), scale.rounded(0.75)]
    place = float(scale.place(estimate.value))
    low, high = (
        float(scale.place(end)) if math.isfinite(end) else edge
        for end, edge in ((estimate.low, 0.0), (estimate.high, 1.0))
    )
    if estimate.width == 0 and estimate.precision > tolerance:
        return [_untried(place, outcomes, scale, 0.05 * (high - low))]
    # A logistic curve is found most precisely from values on its slopes, not at its middle.
    reach = 0.25 * (high - low)
    return [
        _untried(place + side * reach, outcomes, scale, 0.05 * (high - low)) for side in (-1, 1)
    ]


def _untried(place: float, outcomes: dict, scale: Scale, step: float) -> float:
    """The value at a place, or the nearest one that has not been tried."""
    for shift in range(40):
        for side in (1, -1):
            value = scale.rounded(place + side * shift * step)
            if value not in outcomes:
                return value
    return scale.rounded(place)
