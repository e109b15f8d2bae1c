"""What is read of a run: by hand from a few rows."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kmc.analysis.measured import CAPACITY
from kmc.campaign.calibration.data import Measurable, observed

SAMPLES = {
    "time_s": np.array([0.0, 900.0, 1800.0, 2700.0, 3600.0]),
    "capacity_mAh_cm2": np.array([0.0, 0.125, 0.25, 0.375, 0.5]),
    "contact_fraction": np.array([1.0, 0.8, 0.4, 0.08, 0.02]),
    "voids_per_100um": np.array([0.0, 16.0, 20.0, 16.0, 4.0]),
    "mean_width_um": np.array([math.nan, 2.0, 4.0, 8.0, 10.0]),
    "overpotential_V": np.array([0.5, 0.02, 0.022, 0.04, 0.4]),
    "splits": np.array([0.0, 0.0, 0.0, 1.0, 1.0]),
}
LOST, WHOLE = "no contact is left", "capacity_mAh_cm2 reached 0.5"


def at(column, charge, reason=WHOLE):
    return observed(SAMPLES, reason, Measurable("cell", column, charge))


def charge(event, reason=WHOLE):
    return observed(SAMPLES, reason, Measurable("cell", CAPACITY, event=event))


def test_columns_at_a_charge():
    assert at("contact_loss_percent", 0.1875) == (pytest.approx(40), False)
    assert at("width_um", 0.25) == (4.0, False)
    assert at("overpotential_mV", 0.375) == (pytest.approx(40), False)


def test_beyond_the_end_numbers_hold_where_no_contact_is_left_and_are_unknown_else():
    assert at("contact_loss_percent", 1.0, LOST) == (pytest.approx(98), False)
    assert math.isnan(at("contact_loss_percent", 1.0)[0])


def test_charges_of_events():
    # 50 mV above the lowest since 1 s, 20 mV, between 40 mV at 0.375 and 400 mV at 0.5.
    assert charge("rise") == (pytest.approx(0.375 + 0.125 * 30 / 360), False)
    assert charge("coalescence") == (0.375, False)
    assert charge("split") == (0.375, False)
    assert charge("contact_loss_percent=90") == (pytest.approx(0.25 + 0.125 * 50 / 52 * 0.6 / 0.6,
                                                               abs=0.005), False)  # fmt: skip


def test_voids_are_counted_in_images_only():
    """The most voids, 20 at 0.25, are before the first image at 0.375: nobody sees them go."""
    of = Measurable("cell", CAPACITY, event="coalescence")
    assert observed(SAMPLES, WHOLE, of, 0.125) == (0.375, False)
    assert observed(SAMPLES, WHOLE, of, 0.375) == (0.5, True)


def test_what_did_not_happen_is_a_bound_unless_no_contact_is_left():
    assert charge("gap", LOST) == (0.5, False)
    assert charge("gap") == (0.5, True)
    assert charge("contact_loss_percent=99") == (0.5, True)
    quiet = SAMPLES | {"splits": np.zeros(5)}
    of = Measurable("cell", CAPACITY, event="split")
    assert observed(quiet, LOST, of) == (0.5, True)
