"""Result of a convergence study for one number, and whether two of its levels agree.

Two levels give the same number where the 90 % interval of their difference lies within ± the
margin (two one-sided tests; Schuirmann, J. Pharmacokinet. Biopharm. 15, 657 (1987),
10.1007/BF01068419), so that a difference larger than the margin is accepted in at most 5 % of
cases. A wide interval is no evidence of agreement. The intervals are those of Welch's t.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from kmc.campaign.convergence.observables import Family, LevelRuns, Observable
from kmc.campaign.convergence.power_law import CONFIDENCE, PowerLaw

CONVERGED, CHANGING, UNCLEAR, UNKNOWN = "converged", "changing", "unclear", "unknown"
_RISK = 0.05  # of accepting a difference beyond the margin, on either side
# Normal quantiles for the number of runs: risk 5 %, and 90 % power where there is no difference
# (both sides have to hold); 95 % two-sided and 80 % power where there is one.
_Z_SAME, _Z_DIFFERENT = 1.645 + 1.645, 1.960 + 0.842


@dataclass(frozen=True)
class Comparison:
    """The difference of two levels.

    Attributes
    ----------
    lower, upper : float
        Their ratios.
    difference, margin : float
        Mean at the upper level minus that at the lower one, and what counts as no difference.
    low, high : float
        90 % interval of the difference, by which it is judged.
    change_low, change_high : float
        Its 95 % interval.
    verdict : {"converged", "changing", "unclear", "unknown"}
        Same within the margin; different with 95 % confidence; neither; or undecidable, as where
        all numbers are zero or censored.
    replicas : int or None
        Where unclear: estimated runs at each level that would decide.
    """

    lower: float
    upper: float
    difference: float
    margin: float
    low: float
    high: float
    change_low: float
    change_high: float
    verdict: str
    replicas: int | None = None


@dataclass(frozen=True)
class Level:
    """One number at one ratio.

    Attributes
    ----------
    n : int
        Runs that gave the number.
    mean, std : float
        Over the runs; a lower bound where onsets were not reached.
    low, high : float
        95 % interval of the mean, Student's t over the replicas; NaN with one, or with a bound.
    censored : int
        Runs that ended before the onset.
    converged : bool
        Whether this level and all above it agree with the last one within the tolerance.
    """

    ratio: float
    n: int
    mean: float
    std: float
    low: float
    high: float
    censored: int
    converged: bool


@dataclass(frozen=True)
class Plateau:
    """A converged number at the physical ratio, if nothing changes above the highest level.

    The mean of the levels that agree, its 95 % interval (Student's t), and the same widened by the
    tolerance for every decade.
    """

    value: float
    low: float
    high: float
    widest_low: float
    widest_high: float


@dataclass(frozen=True)
class Needed:
    """Runs that would decide what is open: further levels, runs at each level, and wall time.

    The time is NaN without a run to estimate it from.
    """

    ratios: tuple[float, ...]
    replicas: int
    time_s: float


@dataclass(frozen=True)
class Finding:
    """Result for one number.

    Attributes
    ----------
    observable : Observable
    levels : tuple of Level
        In ascending order of their ratios.
    verdict : {"converged", "changing", "unclear", "unknown"}
        See `Comparison`, of the last two levels.
    last : Comparison or None
        Comparison of these two, in the unit of the observable.
    law : PowerLaw or None
        Of the levels; it is not continued beyond them.
    physical : Plateau or None
        Of a converged number; None for all others.
    needed : Needed or None
    sentences : tuple of str
    """

    observable: Observable
    levels: tuple[Level, ...]
    verdict: str
    last: Comparison | None
    law: PowerLaw | None
    physical: Plateau | None
    needed: Needed | None
    sentences: tuple[str, ...]

    @property
    def rungs(self) -> tuple[Level, ...]:
        """`levels` under the name it had before."""
        return self.levels

    @property
    def converged_from(self) -> float:
        """Lowest ratio of the levels that have converged; NaN where none has."""
        return next((level.ratio for level in self.levels if level.converged), math.nan)


def compare(lower: LevelRuns, upper: LevelRuns, margin: float, family: Family) -> Comparison:
    """Judge the difference of two levels against a margin in the unit of the numbers.

    Examples
    --------
    Widths in nm at two ratios, and a difference of 0.2 nm that counts as none:

    >>> from kmc.campaign.convergence.observables import SIZE
    >>> lower = LevelRuns.of(1e5, [2.0, 2.1, 1.9, 2.0])
    >>> upper = LevelRuns.of(1e6, [2.05, 2.0, 1.95, 2.1])
    >>> compare(lower, upper, 0.2, SIZE).verdict
    'converged'
    """
    both = (lower, upper)
    difference = math.nan
    # A mean over runs that ended before their onset is a bound: two bounds have no difference.
    if all(level.n and not level.censored.any() for level in both):
        difference = float(upper.values.mean() - lower.values.mean())
    nothing = not lower.values.any() and not upper.values.any()
    if math.isnan(difference) or min(lower.n, upper.n) < 2 or nothing:
        nan4 = (math.nan,) * 4
        return Comparison(lower.ratio, upper.ratio, difference, margin, *nan4, UNKNOWN)
    from scipy.stats import t as student

    # Counts that agree by chance have no scatter, yet the next run may differ: a least variance.
    variances = [max(float(level.values.var(ddof=1)), family.least_variance) for level in both]
    shares = [v / level.n for v, level in zip(variances, both, strict=True)]
    error = math.sqrt(sum(shares))
    free = lower.n + upper.n - 2.0
    if error > 0:
        spread = [s**2 / (level.n - 1) for s, level in zip(shares, both, strict=True)]
        free = sum(shares) ** 2 / sum(spread)  # Welch and Satterthwaite
    judged = float(student.ppf(1 - _RISK, free)) * error
    wide = float(student.ppf(0.5 + CONFIDENCE / 2, free)) * error
    replicas = None
    if abs(difference) + judged <= margin:
        verdict = CONVERGED
    elif abs(difference) > wide:
        verdict = CHANGING
    else:
        verdict = UNCLEAR
        # Runs that would separate the difference from zero or, if smaller, from the margin.
        small = abs(difference) <= margin
        size, z = (margin, _Z_SAME) if small else (abs(difference), _Z_DIFFERENT)
        enough = math.ceil(2 * float(np.mean(variances)) * (z / size) ** 2)
        replicas = max(lower.n + 1, upper.n + 1, enough)
    return Comparison(
        lower.ratio,
        upper.ratio,
        difference,
        margin,
        difference - judged,
        difference + judged,
        difference - wide,
        difference + wide,
        verdict,
        replicas,
    )
