"""What a microscope and a cycler would have measured of a run, in the columns of ``--data``."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from kmc.campaign.calibration.data import Observable
from kmc.campaign.scalars import crossing

_SAMPLE = {  # column of the data → column of the samples
    "contact_loss_percent": "contact_fraction",
    "voids_per_100um": "voids_per_100um",
    "width_um": "mean_width_um",
    "height_um": "mean_height_um",
    "overpotential_mV": "overpotential_V",
}
_OF_EVENT = {"rise": "overpotential_V", "coalescence": "voids_per_100um", "split": "splits"}
FIRST_S = 1.0  # a cycler records no sooner
_RISEN = 1.5  # overpotential over its lowest value
_FEWER = 0.9  # of the most voids
_NO_CONTACT = "contact"  # in the reason why a run ended


def needs(of: Observable) -> list[str]:
    """Columns of the samples that an observable is read from."""
    if not of.event:
        return [_SAMPLE[of.column]]
    column = of.event.partition("=")[0]
    return [_SAMPLE[column]] if column in _SAMPLE else [_OF_EVENT.get(column, "contact_fraction")]


def observed(
    samples: Mapping[str, np.ndarray], stop_reason: str, of: Observable, image_mAh_cm2: float = 0.0
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
        if of.charge > charge[-1] * (1 + 1e-9) and not lost:
            return math.nan, False
        return float(np.interp(of.charge, charge, y)), False
    found = event_charge(samples, stop_reason, of.event, image_mAh_cm2)
    return (found, False) if math.isfinite(found) else (float(charge[-1]), True)


def _column(samples: Mapping[str, np.ndarray], column: str) -> np.ndarray:
    y = np.asarray(samples[_SAMPLE[column]], dtype=float)
    if column == "contact_loss_percent":
        return 100 * (1 - y)
    return 1e3 * y if column == "overpotential_mV" else y


def event_charge(
    samples: Mapping[str, np.ndarray], stop_reason: str, event: str, image_mAh_cm2: float = 0.0
) -> float:
    """Charge of an event in mAh/cm²; infinite where the run ends before it."""
    charge = np.asarray(samples["capacity_mAh_cm2"], dtype=float)
    found = _seen(samples, charge, event, image_mAh_cm2)
    # The voltage of a cell without contact is beyond any level, and its voids are one.
    if math.isinf(found) and _NO_CONTACT in stop_reason and event != "split":
        return float(charge[-1])
    return found


def _seen(
    samples: Mapping[str, np.ndarray], charge: np.ndarray, event: str, image_mAh_cm2: float
) -> float:
    if event == "gap":
        return math.inf
    if event == "rise":
        volts = np.asarray(samples["overpotential_V"], dtype=float)
        begun = np.flatnonzero(np.asarray(samples["time_s"]) >= FIRST_S)
        if not len(begun):
            return math.inf
        lowest = begun[np.argmin(volts[begun])]
        return crossing(charge[lowest:], volts[lowest:], _RISEN * volts[lowest])
    if event == "coalescence":
        cuts = np.asarray(samples["voids_per_100um"], dtype=float)
        if image_mAh_cm2:
            # Most voids are there before the first image, which is the first that anybody counts.
            images = np.arange(image_mAh_cm2, charge[-1] + 1e-9, image_mAh_cm2)
            charge, cuts = images, np.interp(images, charge, cuts)
            if not len(images):
                return math.inf
        most = int(np.argmax(cuts))
        fewer = np.flatnonzero(cuts[most:] < _FEWER * cuts[most])
        return float(charge[most + fewer[0]]) if len(fewer) else math.inf
    if event == "split":
        return crossing(charge, np.asarray(samples["splits"], dtype=float), 1.0)
    column, _, level = event.partition("=")
    return crossing(charge, _column(samples, column), float(level))
