"""Numbers that are compared: of a run, as measured, and how far both are trusted."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from kmc.analysis.measured import CAPACITY
from kmc.campaign.scalars import crossing
from kmc.common.formatting import figure, quantity
from kmc.errors import InputError

# What happens at a charge: the word of the column `event`, and when a run has it.
EVENTS = {
    "rise": "overpotential 50 mV above its lowest value since 1 s",
    "coalescence": "fewer than nine tenths of the most voids per length of line",
    "split": "a part has come off a void",
    "gap": "no contact is left",
}
NOT = "no "  # before an event: not until this charge
LOGARITHMIC = (CAPACITY, "width_um", "height_um")  # positive, and known within a factor


@dataclass(frozen=True)
class Measurable:
    """One number of a run that can be compared with a measured one."""

    experiment: str
    # column of the data; ``capacity_mAh_cm2`` for the charge at which something happens
    column: str
    charge: float = math.nan  # mAh/cm² at which the column is read; NaN for a charge
    # of a charge: a name of `EVENTS`, or ``COLUMN=LEVEL``, where a column first reaches a level
    event: str = ""

    @property
    def name(self) -> str:
        """``Li: width_um at 0.125`` or ``Li: charge of rise``."""
        if self.event:
            return f"{self.experiment}: charge of {self.event}"
        return f"{self.experiment}: {self.column} at {self.charge:g}"

    @property
    def log(self) -> bool:
        """Whether it is compared by its logarithm."""
        return self.column in LOGARITHMIC

    @property
    def unit(self) -> str:
        return "mAh/cm²" if self.event else quantity(self.column)[1].replace("1/", "per ")

    def scaled(self, values: ArrayLike) -> np.ndarray:
        """Values on the scale of the comparison: their logarithm, or as they are."""
        y = np.asarray(values, dtype=float)
        return np.log(np.maximum(y, 1e-12)) if self.log else y

    def plain(self, scaled: ArrayLike) -> np.ndarray:
        """The inverse of `scaled`."""
        return np.exp(scaled) if self.log else np.asarray(scaled, dtype=float)


@dataclass(frozen=True)
class Datum:
    """A measured number, with what it may be wrong by."""

    of: Measurable
    # on the scale of the comparison (`Measurable.scaled`); errors are standard deviations
    value: float
    error: float
    discrepancy: float
    # only known to be larger: what happens at this charge had not happened yet
    beyond: bool = False

    @property
    def variance(self) -> float:
        return self.error**2 + self.discrepancy**2

    @property
    def text(self) -> str:
        """``2.2 ± 0.3 µm``"""
        value = float(self.of.plain(self.value))
        error = value * self.error if self.of.log else self.error
        if self.beyond:
            return f"above {figure(value, self.of.unit)}"
        return f"{figure(value)} ± {figure(error, self.of.unit, 2)}"


def relative(of: Measurable, value: float, sigma: float) -> float:
    """An error on the scale of the comparison: of a logarithm it is relative."""
    return sigma / value if of.log else sigma


def discrepancy_of(
    of: Measurable, value: float, stated: Mapping[str, float | str], source: str | Path
) -> float:
    """Standard deviation of the model's own error at a value, on the scale of the comparison."""
    if (column := of.column) not in stated:
        raise InputError(
            f"{source} states no discrepancy for {column}: by how much may the model be wrong?",
            advice=f'Write [discrepancy], then {column} = "20 %" or a number in its unit: one '
            "standard deviation, from what the model leaves out. Without it every fit looks too "
            "certain, or nothing fits.",
        )
    sigma = stated[column]
    try:
        text = str(sigma).strip()
        percent = text.endswith("%")
        number = float(text.rstrip("% ")) / (100 if percent else 1)
        if not 0 <= number < math.inf:
            raise ValueError
    except ValueError:
        raise InputError(
            f"discrepancy.{column} = {sigma!r} in {source} is neither a number nor a percentage",
            advice='For example 3.5 or "20 %".',
        ) from None
    if percent:
        return number if of.log else number * abs(value)
    return relative(of, value, number)


_SAMPLE = {  # column of the data → column of the samples
    "contact_loss_percent": "contact_fraction",
    "voids_per_100um": "voids_per_100um",
    "width_um": "mean_width_um",
    "height_um": "mean_height_um",
    "overpotential_mV": "overpotential_V",
}
_OF_EVENT = {"rise": "overpotential_V", "coalescence": "voids_per_100um", "split": "splits"}
FIRST_S = 1.0  # a cycler records no sooner
_RISEN_V = 0.05  # a share of the lowest value would judge the constant terms, such as the pellet
_FEWER = 0.9  # of the most voids
_NO_CONTACT = "contact"  # in the reason why a run ended


def needs(of: Measurable) -> list[str]:
    """Columns of the samples that an observable is read from."""
    if not of.event:
        return [_SAMPLE[of.column]]
    column = of.event.partition("=")[0]
    return [_SAMPLE[column]] if column in _SAMPLE else [_OF_EVENT.get(column, "contact_fraction")]


def observed(
    samples: Mapping[str, np.ndarray],
    stop_reason: str,
    of: Measurable,
    image_mAh_cm2: float = 0.0,
) -> tuple[float, bool]:
    """The value of an observable in a run, and whether it is only a lower bound.

    `image_mAh_cm2` is the charge between two images, in which voids are counted; 0 for any charge.

    A charge that the run ended before is at least the charge of its end. Once no contact is left
    nothing changes any more: numbers hold, and the overpotential has risen.
    """
    charge = np.asarray(samples["capacity_mAh_cm2"], dtype=float)
    lost = _NO_CONTACT in stop_reason
    if not of.event:
        y = _column(samples, of.column)
        # Without contact nothing changes any more; a run that ended otherwise says nothing here.
        if of.charge > charge[-1] * (1 + 1e-9) and not lost:
            return math.nan, False
        return float(np.interp(of.charge, charge, y)), False
    event_mAh_cm2 = event_charge(samples, stop_reason, of.event, image_mAh_cm2)
    return (event_mAh_cm2, False) if math.isfinite(event_mAh_cm2) else (float(charge[-1]), True)


def _column(samples: Mapping[str, np.ndarray], column: str) -> np.ndarray:
    y = np.asarray(samples[_SAMPLE[column]], dtype=float)
    if column == "contact_loss_percent":
        return 100 * (1 - y)
    return 1e3 * y if column == "overpotential_mV" else y


def event_charge(
    samples: Mapping[str, np.ndarray], stop_reason: str, event: str, image_mAh_cm2: float = 0.0
) -> float:
    """Charge of an event in mAh/cm²; infinite where the run ends before it."""
    charge, event_mAh_cm2 = np.asarray(samples["capacity_mAh_cm2"], dtype=float), math.inf
    end = float(charge[-1])
    if event == "rise":
        volts = np.asarray(samples["overpotential_V"], dtype=float)
        begun = np.flatnonzero(np.asarray(samples["time_s"]) >= FIRST_S)
        if len(begun):
            lowest = begun[np.argmin(volts[begun])]
            event_mAh_cm2 = crossing(charge[lowest:], volts[lowest:], volts[lowest] + _RISEN_V)
    elif event == "coalescence":
        cuts = np.asarray(samples["voids_per_100um"], dtype=float)
        if image_mAh_cm2:
            # Most voids are there before the first image, which is the first that anybody counts.
            images = np.arange(image_mAh_cm2, end + 1e-9, image_mAh_cm2)
            charge, cuts = images, np.interp(images, charge, cuts)
        if len(charge):
            most = int(np.argmax(cuts))
            fewer = np.flatnonzero(cuts[most:] < _FEWER * cuts[most])
            event_mAh_cm2 = float(charge[most + fewer[0]]) if len(fewer) else math.inf
    elif event == "split":
        event_mAh_cm2 = crossing(charge, np.asarray(samples["splits"], dtype=float), 1.0)
    elif event != "gap":
        column, _, level = event.partition("=")
        event_mAh_cm2 = crossing(charge, _column(samples, column), float(level))
    # The voltage of a cell without contact is beyond any level, and its voids are one.
    lost = math.isinf(event_mAh_cm2) and _NO_CONTACT in stop_reason and event != "split"
    return end if lost else event_mAh_cm2
