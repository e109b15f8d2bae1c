"""Result of a convergence study for one number."""

from __future__ import annotations

import math
from dataclasses import dataclass

from kmc.sweep.convergence.equivalence import Comparison
from kmc.sweep.convergence.observables import Observable
from kmc.sweep.convergence.power_law import Law


@dataclass(frozen=True)
class Level:
    """One number at one ratio.

    Attributes
    ----------
    ratio : float
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
class Extrapolation:
    """A number at the physical ratio.

    Attributes
    ----------
    value : float
        By the law; for a converged number without one, the mean of the levels that agree.
    low, high : float
        95 % interval: bootstrap over the replicas, given that the law holds, or Student's t.
    widest_low, widest_high : float
        The same, widened to the lines through all levels, all but the lowest, … and the highest
        two; without a law, by the tolerance for every decade.
    """

    value: float
    low: float
    high: float
    widest_low: float
    widest_high: float


@dataclass(frozen=True)
class Bound:
    """Bound at the physical ratio for levels that follow no law but curve one way.

    Attributes
    ----------
    value : float
        End of the line through the two highest levels, plus or minus its error of 95 %.
    below : bool
        Whether it is an upper bound, if the curvature continues, or a lower one.
    exponents : tuple of float
        Local exponents between consecutive levels.
    """

    value: float
    below: bool
    exponents: tuple[float, ...]


@dataclass(frozen=True)
class Needed:
    """Runs that would decide what is open.

    Attributes
    ----------
    ratios : tuple of float
        Further levels.
    replicas : int
        Runs at each level.
    time_s : float
        Estimated wall time; NaN without a run to estimate it from.
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
        See `kmc.sweep.convergence.equivalence.Comparison`, of the last two levels.
    last : Comparison or None
        Comparison of these two, in the unit of the observable.
    law : Law or None
    physical : Extrapolation or None
    bound : Bound or None
        Where there is no law.
    needed : Needed or None
    sentences : tuple of str
    """

    observable: Observable
    levels: tuple[Level, ...]
    verdict: str
    last: Comparison | None
    law: Law | None
    physical: Extrapolation | None
    bound: Bound | None
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
