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

Errors are those of the likelihood, by Student's t of the replicas' degrees of freedom.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import scipy
from numpy.typing import ArrayLike
from scipy.special import expit, logit

FAR = 30.0  # beyond it a share is as good as 0 or 1, and 1 − share still has digits
TINY = 1e-300
_ALL = 1 - 1e-12  # a share of one has no finite logit


@dataclass(frozen=True)
class Family:
    """Scale and scatter of a kind of number."""

    name: str  # "count", "share", "size", "onset"
    # lower bound of the variance of single runs: counts that agree by chance have none
    least_variance: float = 0.0

    def link(self, mean):
        """Linear predictor of a mean."""
        if self.name == "share":
            return logit(np.clip(mean, TINY, _ALL))
        return np.log(np.maximum(mean, TINY))

    def mean(self, eta):
        """Mean of a linear predictor."""
        eta = np.clip(eta, -FAR, FAR)
        return expit(eta) if self.name == "share" else np.exp(eta)

    def slope(self, mean):
        """dμ/dη."""
        return mean * (1 - mean) if self.name == "share" else mean

    def variance(self, mean):
        """Variance of a single run over φ."""
        return self.slope(mean) if self.name in ("count", "share") else mean**2


COUNT = Family("count", least_variance=0.25)  # as of a number that is n or n + 1 with equal chances
SHARE = Family("share")
SIZE = Family("size")
ONSET = Family("onset")


class LevelRuns(NamedTuple):
    """One number of each run of a level."""

    ratio: float
    # shape (n,); of an onset that was not reached: the capacity at which the run ended
    values: np.ndarray
    censored: np.ndarray  # shape (n,): whether it was not reached; nothing but onsets can be

    @classmethod
    def of(
        cls, ratio: float, values: Sequence[float], censored: Sequence[bool] = ()
    ) -> "LevelRuns":
        """From numbers that may be NaN; runs without the number are left out."""
        numbers = np.asarray(values, dtype=float)
        late = np.asarray(censored, dtype=bool) if len(censored) else np.zeros(len(numbers), bool)
        there = np.isfinite(numbers)
        return cls(float(ratio), numbers[there], late[there])

    @property
    def n(self) -> int:
        return len(self.values)


@dataclass(frozen=True)
class Observable:
    """A number of a run that a convergence study follows."""

    name: str  # key in tables and JSON
    label: str  # name in sentences and on axes
    unit: str
    family: Family
    # smallest size that the tolerance is a share of: contact loss near zero is compared with a
    # tenth of the interface, not with itself
    least_margin: float = 0.0
    whole: str = "the interface"  # that a share is a share of

    @property
    def percent(self) -> bool:
        """Whether it is printed in percent."""
        return self.family is SHARE

    @property
    def scale(self) -> float:
        """Factor of printed numbers: 100 for percent."""
        return 100.0 if self.percent else 1.0


CONTACT_LOSS = Observable("contact_loss", "contact loss", "", SHARE, 0.1)
VOID_DENSITY = Observable("void_density_per_um2", "void density", "µm⁻²", COUNT)
WIDTH = Observable("mean_void_width_nm", "mean void width", "nm", SIZE)
ONSET_CAPACITY = Observable("onset_capacity_monolayers", "onset capacity", "monolayers", ONSET)
# After the first void these follow from how far hops are slowed.
ACTIVITY = Observable("vacancy_activity", "supersaturation", "", SIZE)
OVERPOTENTIAL = Observable("overpotential_V", "overpotential", "V", SIZE)
ABSORBED = Observable("absorbed_share", "absorbed share", "", SHARE, 0.1, "the stripped atoms")
# The loss and not the efficiency: a change from 0.97 to 0.99 is small against 1, and decides.
LOSS = Observable("aurbach_loss", "Aurbach loss", "", SHARE, 0.1, "the plated charge")

# Of populations of voids; counts are those of a microscope, on lines through all of the square.
HALF_CONTACT = Observable("half_contact_mAh_cm2", "half of the contact lost", "mAh/cm²", ONSET)
OF_SQUARES = (
    CONTACT_LOSS,
    Observable("voids_per_100um", "voids in a cross-section", "per 100 µm", SIZE),
    Observable("mean_width_um", "mean void width", "µm", SIZE),
    Observable("mean_height_um", "mean void height", "µm", SIZE),
    OVERPOTENTIAL,
)
EVENTS = (
    Observable("coalescences", "voids that met", "", SIZE),
    Observable("splits", "voids that split", "", SIZE),
)

CONFIDENCE = 0.95  # of every interval of a convergence study
MIN_LEVELS = 3  # two always lie on a line
_ROUNDS = 100
_STEP = 4.0  # of a linear predictor in one round; further steps overshoot
_MIN_SIGMA = 1e-6  # of logarithms: equal times do not make a likelihood infinite


class Predicted(NamedTuple):
    """Value and interval at some ratios; NaN where the scatter of the replicas is not known."""

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class PowerLaw:
    """A line that the levels follow."""

    family: Family
    intercept: float
    exponent: float  # b, with its interval of 95 %
    exponent_low: float
    exponent_high: float
    p_value: float  # of the lack of fit; NaN where it cannot be tested
    ratios: tuple[float, ...]  # levels that it rests on
    left_out: tuple[float, ...]  # lower ones that are off it
    unit: float = 1.0  # divides a mean: the area of the box for counts that become densities
    # of a and b, times the square of Student's t
    spread: np.ndarray = field(
        default_factory=lambda: np.full((2, 2), np.nan), repr=False, compare=False
    )

    def at(self, ratio: ArrayLike) -> Predicted:
        """Mean at some ratios, shape (m,), with its interval."""
        x = np.log(np.atleast_1d(np.asarray(ratio, dtype=float)))
        design = np.stack([np.ones_like(x), x])
        eta = np.array([self.intercept, self.exponent]) @ design
        half = np.sqrt(np.einsum("im,ij,jm->m", design, self.spread, design))
        return Predicted(*(self.family.mean(e) / self.unit for e in (eta, eta - half, eta + half)))


def fit_law(levels: Sequence[LevelRuns], family: Family, unit: float = 1.0) -> PowerLaw | None:
    """The law that the highest levels follow, as many of them as do; None where no three do."""
    some = sorted((level for level in levels if level.n), key=lambda level: level.ratio)
    for first in range(len(some) - MIN_LEVELS + 1):
        kept, ratios = some[first:], tuple(level.ratio for level in some)
        x = np.log(ratios[first:])
        # About their mean a and b are uncorrelated, and rounds converge faster.
        fitted = (_line_of_onsets if family is ONSET else _line)(kept, family, x - x.mean())
        if fitted is None:
            return None
        line, spread, off = fitted
        shift = np.array([[1.0, -x.mean()], [0.0, 1.0]])
        a, b = map(float, shift @ line)
        nan = math.nan
        law = PowerLaw(family, a, b, nan, nan, nan, ratios[first:], ratios[:first], unit)
        # Two degrees of freedom are spent on the line, one in each level on its mean.
        between, within = len(kept) - 2, sum(level.n for level in kept) - len(kept)
        if not within:
            return law
        spread = shift @ spread @ shift.T * scipy.stats.t.ppf(0.5 + CONFIDENCE / 2, within) ** 2
        half = math.sqrt(spread[1, 1])
        p_value = float(scipy.stats.f.sf(off * within / between, between, within))
        if not p_value < 1 - CONFIDENCE:
            law = replace(law, exponent_low=b - half, exponent_high=b + half)
            return replace(law, p_value=p_value, spread=spread)
    return None


_Line = tuple[np.ndarray, np.ndarray, float]
"""a and b about the mean of ln(ratio), their covariance, and the scatter of the levels about the
line over that of the replicas about their level, as sums of squares."""


def _line(levels: list[LevelRuns], family: Family, x: np.ndarray) -> _Line | None:
    """The line of greatest quasi-likelihood (Fisher scoring); None where it is not finite."""
    means = np.array([level.values.mean() for level in levels])
    n = np.array([float(level.n) for level in levels])
    # Levels at 0 or 1 alone would put the line at infinity.
    if ((means > 0) & ((means < 1) | (family is not SHARE))).sum() < 2:
        return None
    # Only the start of the scoring: a level at 0 has no link value, and its weight soon decides.
    inside = np.clip(means, 1e-3, 1 - 1e-3) if family is SHARE else np.maximum(means, 1e-3)
    design = np.stack([np.ones_like(x), x], axis=1)
    target, weights, line = family.link(inside), n, np.zeros(2)
    for _ in range(_ROUNDS):
        before, line = (
            line,
            np.linalg.solve((design.T * weights) @ design, design.T @ (weights * target)),
        )
        # Levels that all but separate send the slope to infinity, with weights that overflow on the
        # way.
        line[1] = np.clip(line[1], -FAR, FAR)
        eta = design @ line
        mean = family.mean(eta)
        slope = np.maximum(family.slope(mean), TINY)
        weights = n * np.maximum(slope**2 / np.maximum(family.variance(mean), TINY), TINY)
        target = eta + np.clip((means - mean) / slope, -_STEP, _STEP)
        if np.abs(line - before) @ [1, np.ptp(x)] < 1e-9:
            break
    # φ is pooled over the levels with two runs or more.
    scatter = np.array([level.values.var(ddof=1) if level.n > 1 else 0.0 for level in levels])
    # Pearson's φ, by the replicas and not by the line: a bad line must not widen its own errors.
    variance = np.maximum(family.variance(mean), TINY)
    # Counts that agree by chance get the variance of a number that is n or n + 1.
    squares = float(((n - 1) * np.maximum(scatter, family.least_variance) / variance).sum())
    phi = squares / max(1.0, (n - 1).sum())
    # Of the levels about the line, in the same units as the replicas about their level: their ratio
    # is F.
    off = float((n * (means - mean) ** 2 / variance).sum())
    if squares <= 0:  # all replicas agree to the digit, as onsets read at one frame do
        off, squares = (0.0, 1.0) if off < 1e-12 else (math.inf, 1.0)
    return line, phi * np.linalg.inv((design.T * weights) @ design), off / squares


def _line_of_onsets(levels: list[LevelRuns], family: Family, x: np.ndarray) -> _Line | None:
    seen = [level for level in levels if not level.censored.all()]
    if len(seen) < 2 or min(float(level.values.min()) for level in levels) <= 0:
        return None
    places = np.repeat(x, [level.n for level in levels])
    line, covariance, likelihood = _regression(np.stack([np.ones_like(places), places], 1), levels)
    # A level without any onset is as likely as can be when its mean is late enough.
    group = np.eye(len(seen))[np.repeat(np.arange(len(seen)), [level.n for level in seen])]
    gain = max(0.0, _regression(group, seen)[2] - likelihood)
    # Exactly the ratio of the sums of squares without censored runs.
    return line, covariance, math.expm1(min(2 * gain / len(places), 700.0))


def _regression(
    design: np.ndarray, levels: Sequence[LevelRuns]
) -> tuple[np.ndarray, np.ndarray, float]:
    """Log-normal regression with right-censored times: coefficients, covariance, log-likelihood.

    In β/σ and 1/σ the likelihood has a single maximum, which Newton's method finds (Olsen,
    Econometrica 46, 1211 (1978), 10.2307/1911445).
    """
    y = np.log(np.concatenate([level.values for level in levels]))
    late = np.concatenate([level.censored for level in levels])
    moves = np.column_stack([-design, y])  # of z = y/σ − x β/σ with β/σ and 1/σ
    beta = np.linalg.lstsq(design, y, rcond=None)[0]
    # Started as if no time were censored.
    theta = np.append(beta, 1.0) / max(float(np.std(y - design @ beta)), 1e-3)
    for _ in range(_ROUNDS):
        z = np.clip(moves @ theta, -FAR, FAR)
        # In logarithms: far in the tail density and survival are both 0, their ratio is not.
        hazard = np.exp(-0.5 * z**2 - 0.5 * math.log(2 * math.pi) - scipy.special.log_ndtr(-z))
        gradient = -moves.T @ np.where(late, hazard, z)
        gradient[-1] += (~late).sum() / theta[-1]
        information = (moves.T * np.where(late, hazard * (hazard - z), 1.0)) @ moves
        information[-1, -1] += (~late).sum() / theta[-1] ** 2
        step = np.linalg.solve(information, gradient)
        # 1/σ stays positive, and finite where all times lie on the line.
        share = min(1.0, 0.5 * theta[-1] / max(-step[-1], TINY))
        theta = theta + share * step
        if theta[-1] > 1 / _MIN_SIGMA or abs(gradient @ step) < 1e-12:
            break
    z = moves @ theta
    likelihood = np.where(late, scipy.special.log_ndtr(-z), -0.5 * z**2 + math.log(theta[-1])).sum()
    beta = theta[:-1] / theta[-1]
    # Delta method back from β/σ and 1/σ to β.
    turn = np.column_stack([np.eye(len(beta)), -beta]) / theta[-1]
    # The likeliest σ is too small by the coefficients that were fitted.
    wider = len(y) / max(1, len(y) - len(beta))
    return beta, wider * turn @ np.linalg.inv(information) @ turn.T, float(likelihood)
