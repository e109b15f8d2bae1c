"""Whether two levels of a convergence study give the same number, within a tolerance.

Two one-sided tests (Schuirmann, J. Pharmacokinet. Biopharm. 15, 657 (1987), 10.1007/BF01068419):
two numbers are equivalent when the 90 % interval of their difference lies within ± the margin, so
that a difference larger than the margin is accepted in at most 5 % of cases. A wide interval is no
evidence of agreement. The intervals are those of Welch's t.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from kmc.campaign.convergence.observables import Family, LevelRuns
from kmc.campaign.convergence.power_law import CONFIDENCE

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
    difference : float
        Mean at the upper level minus that at the lower one.
    margin : float
        What counts as no difference.
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


def compare(lower: LevelRuns, upper: LevelRuns, margin: float, family: Family) -> Comparison:
    """Judge the difference of two levels.

    Parameters
    ----------
    lower, upper : LevelRuns
    margin : float
        In the unit of the numbers.
    family : Family
        Its `least_variance` is a lower bound for counts that agree by chance.

    Examples
    --------
    Widths in nm at two ratios, and a difference of 0.2 nm that counts as none:

    >>> from kmc.campaign.convergence.observables import SIZE
    >>> lower = LevelRuns.of(1e5, [2.0, 2.1, 1.9, 2.0])
    >>> upper = LevelRuns.of(1e6, [2.05, 2.0, 1.95, 2.1])
    >>> compare(lower, upper, 0.2, SIZE).verdict
    'converged'
    """
    nan = math.nan
    if not lower.n or not upper.n or lower.censored.any() or upper.censored.any():
        return Comparison(lower.ratio, upper.ratio, nan, margin, nan, nan, nan, nan, UNKNOWN)
    difference = float(upper.values.mean() - lower.values.mean())
    nothing = not lower.values.any() and not upper.values.any()
    if lower.n < 2 or upper.n < 2 or nothing:
        return Comparison(lower.ratio, upper.ratio, difference, margin, nan, nan, nan, nan, UNKNOWN)
    from scipy.stats import t as student

    variances = [
        max(float(level.values.var(ddof=1)), family.least_variance) for level in (lower, upper)
    ]
    shares = [v / level.n for v, level in zip(variances, (lower, upper), strict=True)]
    error = math.sqrt(sum(shares))
    free = lower.n + upper.n - 2.0
    if error > 0:
        spread = [s**2 / (level.n - 1) for s, level in zip(shares, (lower, upper), strict=True)]
        free = sum(shares) ** 2 / sum(spread)  # Welch and Satterthwaite
    judged = float(student.ppf(1 - _RISK, free)) * error
    wide = float(student.ppf(0.5 + CONFIDENCE / 2, free)) * error
    verdict = UNCLEAR
    if abs(difference) + judged <= margin:
        verdict = CONVERGED
    elif abs(difference) > wide:
        verdict = CHANGING
    most = max(lower.n, upper.n)
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
        _needed(float(np.mean(variances)), difference, margin, most)
        if verdict == UNCLEAR
        else None,
    )


def _needed(variance: float, difference: float, margin: float, have: int) -> int:
    """Runs at each level that would separate the difference from zero, or from the margin."""
    small = abs(difference) <= margin
    size, z = (margin, _Z_SAME) if small else (abs(difference), _Z_DIFFERENT)
    return max(have + 1, math.ceil(2 * variance * (z / size) ** 2))
