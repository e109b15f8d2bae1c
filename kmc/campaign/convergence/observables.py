"""The numbers that a convergence study follows, and how each kind scales and scatters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
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
    def of(cls, ratio: float, values: Sequence[float], censored: Sequence[bool] = ()) -> LevelRuns:
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
# The loss and not the efficiency: a change from 0.97 to 0.99 is small against 1, and decides.
LOSS = Observable("aurbach_loss", "Aurbach loss", "", SHARE, 0.1, "the plated charge")
