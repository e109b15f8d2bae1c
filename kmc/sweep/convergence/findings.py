"""What a ladder of ratios says about one number."""

from __future__ import annotations

import math
from dataclasses import dataclass

from kmc.sweep.convergence.equivalence import Comparison
from kmc.sweep.convergence.power_law import COUNT, ONSET, SHARE, SIZE, Family, Law


@dataclass(frozen=True)
class Observable:
    """A number of a run that a ladder follows.

    Attributes
    ----------
    name, words, unit : str
    family : Family
    least_margin : float
        Of a difference that matters, for a tolerance of 1: contact loss near zero is compared with
        a tenth of the interface, not with itself.
    """

    name: str
    words: str
    unit: str
    family: Family
    least_margin: float = 0.0

    @property
    def percent(self) -> bool:
        """Whether people read it in percent."""
        return self.family is SHARE


CONTACT_LOSS = Observable("contact_loss", "contact loss", "", SHARE, 0.1)
VOID_DENSITY = Observable("void_density_per_um2", "void density", "µm⁻²", COUNT)
WIDTH = Observable("mean_void_width_nm", "mean void width", "nm", SIZE)
ONSET_CAPACITY = Observable("onset_capacity_monolayers", "onset capacity", "monolayers", ONSET)
OBSERVABLES = (CONTACT_LOSS, VOID_DENSITY, WIDTH, ONSET_CAPACITY)


@dataclass(frozen=True)
class Rung:
    """One number at one ratio.

    Attributes
    ----------
    ratio : float
    n : int
        Runs that gave the number.
    mean, std : float
        Over the runs. With onsets that were not reached it is a lower bound.
    low, high : float
        95 % interval of the mean, Student's t over the replicas; NaN with one, or with a bound.
    censored : int
        Runs that ended before the onset.
    converged : bool
        Whether this rung and all above it agree with the last one within the tolerance.
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
        Of the law; of a number that has converged without one, the mean of the rungs that agree.
    low, high : float
        95 % interval: bootstrap over the replicas, given that the law holds, or Student's t.
    widest_low, widest_high : float
        The same, widened to what the lines through all rungs, all but the lowest, … and the highest
        two say; without a law, to what the tolerance leaves open, decade by decade.
    """

    value: float
    low: float
    high: float
    widest_low: float
    widest_high: float


@dataclass(frozen=True)
class Bound:
    """A number at the physical ratio where the rungs follow no law but bend one way.

    Attributes
    ----------
    value : float
        Where the line through the two highest rungs ends, within its error of 95 %.
    below : bool
        Whether the number is below it if the rungs go on bending, or above.
    exponents : tuple of float
        From rung to rung.
    """

    value: float
    below: bool
    exponents: tuple[float, ...]


@dataclass(frozen=True)
class Needed:
    """A ladder that would decide what this one left open.

    Attributes
    ----------
    ratios : tuple of float
        Further rungs.
    replicas : int
        Runs at each rung.
    time_s : float
        It would take, about; NaN where the runs so far do not tell.
    """

    ratios: tuple[float, ...]
    replicas: int
    time_s: float


@dataclass(frozen=True)
class Finding:
    """What the ladder says about one number.

    Attributes
    ----------
    observable : Observable
    rungs : tuple of Rung
        In ascending order of their ratios.
    verdict : {"converged", "changing", "unclear", "unknown"}
        See `kmc.sweep.convergence.equivalence.Comparison`, of the last two rungs.
    last : Comparison or None
        These two compared, in the unit of the observable.
    law : Law or None
    physical : Extrapolation or None
    bound : Bound or None
        Where there is no law.
    needed : Needed or None
    sentences : tuple of str
    """

    observable: Observable
    rungs: tuple[Rung, ...]
    verdict: str
    last: Comparison | None
    law: Law | None
    physical: Extrapolation | None
    bound: Bound | None
    needed: Needed | None
    sentences: tuple[str, ...]

    @property
    def converged_from(self) -> float:
        """Lowest ratio of the rungs that have converged; NaN where none has."""
        return next((rung.ratio for rung in self.rungs if rung.converged), math.nan)
