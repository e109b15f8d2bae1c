"""Two levels compared: same, changing, or not known, at known truths."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kmc.campaign.convergence.findings import CHANGING, CONVERGED, UNCLEAR, UNKNOWN, compare
from kmc.campaign.convergence.power_law import COUNT, SIZE, LevelRuns

MARGIN = 0.1


def judge(lower, upper, margin=MARGIN, family=SIZE, censored=()):
    return compare(LevelRuns.of(1e5, lower), LevelRuns.of(1e6, upper, censored), margin, family)


def share_of(verdict, first, second, scatter, n=4, trials=1000):
    """How often a verdict is given where the truth is known."""
    rng = np.random.default_rng(11)
    given = [
        judge(rng.normal(first, scatter, n), rng.normal(second, scatter, n)).verdict
        for _ in range(trials)
    ]
    return given.count(verdict) / trials


# --- decisions at known truths: 1000 trials, limits 3 standard errors wide ------------------------


def test_a_difference_as_large_as_the_margin_is_rarely_taken_for_none():
    """The risk of the two one-sided tests: 5 %, standard error 0.7 %."""
    assert share_of(CONVERGED, 1.0, 1.1, 0.02) < 0.05 + 0.021
    assert share_of(CONVERGED, 1.0, 1.1, 0.05) < 0.05 + 0.021
    assert share_of(CONVERGED, 1.0, 1.1, 0.3) < 0.05


def test_no_difference_is_rarely_called_a_change():
    assert share_of(CHANGING, 1.0, 1.0, 0.05) < 0.05 + 0.021
    assert share_of(CHANGING, 1.0, 1.0, 0.3) < 0.05 + 0.021


def test_clear_cases_are_seen():
    assert share_of(CONVERGED, 1.0, 1.0, 0.02) > 0.95
    assert share_of(CHANGING, 1.0, 1.4, 0.05) > 0.99
    assert share_of(UNCLEAR, 1.0, 1.0, 0.3) > 0.9


def test_the_replicas_asked_for_decide():
    """As many runs as it names decide in at least 80 % of cases where there is no difference."""
    rng = np.random.default_rng(4)
    scatter = 0.08
    asked = [
        found.replicas
        for _ in range(200)
        if (found := judge(rng.normal(1, scatter, 6), rng.normal(1, scatter, 6))).replicas
        and abs(found.difference) < MARGIN
    ]
    typical = int(np.median(asked))
    assert 6 < typical < 40
    assert share_of(CONVERGED, 1.0, 1.0, scatter, n=typical) > 0.8


# --- single cases ---------------------------------------------------------------------------------


def test_a_wide_interval_is_no_agreement():
    found = judge([1.0, 1.6], [1.0, 1.6])
    assert found.difference == 0
    assert found.verdict == UNCLEAR
    assert found.replicas > 2


def test_an_interval_is_that_of_welch():
    from scipy.stats import ttest_ind

    lower, upper = [1.0, 1.1, 1.3, 0.9], [1.5, 1.2, 1.9, 1.6]
    found = judge(lower, upper)
    test = ttest_ind(upper, lower, equal_var=False)
    ends = test.confidence_interval(0.90)
    assert (found.low, found.high) == pytest.approx((ends.low, ends.high))
    ends = test.confidence_interval(0.95)
    assert (found.change_low, found.change_high) == pytest.approx((ends.low, ends.high))


def test_equal_numbers_without_scatter_agree():
    found = judge([2.0, 2.0], [2.0, 2.0])
    assert found.verdict == CONVERGED
    assert found.low == found.high == 0


def test_equal_counts_do_not():
    found = judge([1, 1, 1, 1], [1, 1, 1, 1], family=COUNT)
    assert found.verdict == UNCLEAR
    assert found.high > 0.3


@pytest.mark.parametrize(
    ("lower", "upper", "censored"),
    [
        ([1.0], [1.0, 1.1], ()),
        ([1.0, 1.1], [1.0], ()),
        ([math.nan, math.nan], [1.0, 1.1], ()),
        ([1.0, 1.1], [], ()),
        ([1.0, 1.1], [2.0, 2.0], [False, True]),
        ([0.0, 0.0], [0.0, 0.0], ()),
    ],
)
def test_nothing_can_be_said(lower, upper, censored):
    found = judge(lower, upper, censored=censored)
    assert found.verdict == UNKNOWN
    assert math.isnan(found.low)
