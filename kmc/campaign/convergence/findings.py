"""Result of a convergence study for one number."""

from __future__ import annotations

import math
from dataclasses import dataclass

from kmc.campaign.convergence.equivalence import Comparison
from kmc.campaign.convergence.observables import Observable
from kmc.campaign.convergence.power_law import PowerLaw


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
class Plateau:
    """A converged number at the physical ratio, if nothing changes above the highest level.

    Attributes
    ----------
    value : float
        Mean of the levels that agree.
    low, high : float
        95 % interval, Student's t.
    widest_low, widest_high : float
        The same, widened by the tolerance for every decade.
    """

    value: float
    low: float
    high: float
    widest_low: float
    widest_high: float


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
        See `kmc.campaign.convergence.equivalence.Comparison`, of the last two levels.
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
