"""Thresholds: the fit, its interval, and the search, against outcomes with known answers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from marks import slow
from scipy.stats import binom

from kmc.campaign.critical.threshold import Scale, fit, search
from kmc.errors import InputError

DECADES = Scale.between(0.1, 10.0)


def experiment(rng, scale, threshold, width, replicas, sign=1):
    """Evaluate of a logistic threshold; `threshold` and `width` as shares of the range."""

    def evaluate(values):
        z = sign * (scale.place(values) - threshold) / width
        shares = 1 / (1 + np.exp(-np.clip(z, -700, 700)))
        return [(int(rng.binomial(replicas, share)), replicas) for share in shares]

    return evaluate


# --- scales ---------------------------------------------------------------------------------------


def test_scale_is_logarithmic_over_a_factor_of_three():
    assert DECADES.log
    assert DECADES.place(1.0) == pytest.approx(0.5)
    assert DECADES.value(0.5) == pytest.approx(1.0)
    assert not Scale.between(280, 340).log
    assert not Scale.between(0, 0.2).log
    assert Scale.between(280, 340).value(0.25) == pytest.approx(295)


def test_values_tried_have_few_digits_and_stay_inside():
    assert DECADES.rounded(1 / 3) == 0.4642
    assert Scale.between(298.1, 298.3).rounded(1 / 3) == pytest.approx(298.1667, abs=1e-4)
    assert DECADES.rounded(1.7) == 10.0


@pytest.mark.parametrize("ends", [(1, 1), (2, 1), (0, math.inf), (math.nan, 1)])
def test_a_range_that_is_none_is_refused(ends):
    with pytest.raises(InputError, match=r"range"):
        Scale.between(*ends)


# --- fits -----------------------------------------------------------------------------------------


def test_clear_cut_outcomes_leave_the_gap_between_them():
    found = fit([0.1, 1.0, 2.0, 10.0], [0, 0, 8, 8], [8, 8, 8, 8], DECADES)
    assert found.rising is True
    assert found.value == pytest.approx(math.sqrt(2.0), rel=0.01)  # the middle, on a log scale
    assert 0.1 < found.low < 1.0 + 1e-2
    assert 2.0 - 2e-2 < found.high < 10
    assert found.bracketed


def test_direction_comes_from_the_outcomes():
    found = fit([0.1, 1.0, 2.0, 10.0], [8, 8, 0, 0], [8, 8, 8, 8], DECADES)
    assert found.rising is False
    assert found.probability([0.1, 10.0]) == pytest.approx([1, 0], abs=1e-3)


@pytest.mark.parametrize("hits", [(0, 0), (4, 4)])
def test_outcomes_without_both_answers_give_no_number(hits):
    found = fit([0.1, 10.0], hits, [4, 4], DECADES)
    assert math.isnan(found.value)
    assert found.rising is None
    assert not found.bracketed
    assert found.precision == math.inf


def test_two_runs_do_not_tell_a_direction():
    assert fit([0.1, 10.0], [0, 1], [1, 1], DECADES).rising is None


def test_likelihood_of_the_fit_is_the_highest_nearby():
    """The estimate maximises the likelihood, here by looking around with scipy's binomial."""
    values, hits, runs = [0.1, 0.5, 1.0, 2.0, 4.0, 10.0], [0, 3, 7, 12, 18, 20], [20] * 6
    found = fit(values, hits, runs, DECADES)
    u, width = DECADES.place(values), found.width / DECADES.length

    def likelihood(place, width):
        shares = 1 / (1 + np.exp(-(u - place) / width))
        return binom.logpmf(hits, runs, shares).sum()

    place = float(DECADES.place(found.value))
    best = max(
        likelihood(place + a, width * b)
        for a in np.linspace(-0.1, 0.1, 41)
        for b in np.geomspace(0.5, 2, 41)
    )
    assert likelihood(place, width) > best - 0.05


# --- searches -------------------------------------------------------------------------------------


@pytest.mark.parametrize("sign", [1, -1])
def test_a_sharp_threshold_is_bisected(sign):
    rng = np.random.default_rng(3)
    evaluate = experiment(rng, DECADES, 0.7, 1e-4, 4, sign)
    found = search(evaluate, DECADES, replicas=4, tolerance=0.05, max_runs=200)
    assert found.reached
    assert found.fit.rising is (sign > 0)
    assert found.fit.low <= DECADES.value(0.7) <= found.fit.high
    assert found.fit.precision <= 0.05
    assert sum(found.runs) < 80


def test_the_same_outcomes_end_a_search_at_once():
    rng = np.random.default_rng(4)
    options = {"replicas": 4, "tolerance": 0.1, "max_runs": 200}
    first = search(experiment(rng, DECADES, 0.4, 0.01, 4), DECADES, **options)
    known = dict(zip(first.values, zip(first.hits, first.runs, strict=True), strict=True))

    def never(values):
        raise AssertionError(f"asked for {values}")

    assert search(never, DECADES, known=known, **options) == first


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_without_a_threshold_the_search_ends_early_and_says_so(share):
    found = search(
        lambda values: [(int(4 * share), 4)] * len(values),
        DECADES,
        replicas=4,
        tolerance=0.1,
        max_runs=200,
    )
    assert found.values == (0.1, 1.0, 10.0)
    assert found.fit.rising is None
    assert not found.reached


def test_a_search_keeps_to_its_runs():
    rng = np.random.default_rng(5)
    evaluate = experiment(rng, DECADES, 0.5, 0.2, 4)
    found = search(evaluate, DECADES, replicas=4, tolerance=0.01, max_runs=50)
    assert sum(found.runs) <= 50
    assert not found.reached


@pytest.mark.slow
@pytest.mark.validation
@pytest.mark.parametrize(("width", "replicas"), [slow(0.001, 4), (0.02, 4), slow(0.1, 4)])
def test_intervals_cover_the_threshold(width, replicas):
    """95 % intervals of whole searches hold the true threshold in 95 % of synthetic studies.

    100 searches with thresholds at random places; fewer than 89 covered has a probability below 1 %
    if the coverage is 95 %. Searches that could not tell a direction give no interval;
    they must be rare.
    """
    rng = np.random.default_rng(11)
    covered = told = 0
    for _ in range(100):
        place = rng.uniform(0.15, 0.85)
        found = search(
            experiment(rng, DECADES, place, width, replicas),
            DECADES,
            replicas=replicas,
            tolerance=0.2,
            max_runs=40,
        ).fit
        if found.rising is None:
            continue
        told += 1
        covered += found.low <= DECADES.value(place) <= found.high
    assert binom.cdf(88, 100, 0.95) < 0.01
    assert told >= 90
    assert covered >= 0.89 * told


def test_a_search_over_its_budget_says_how_many_runs_it_lacks():
    """Four values of four runs, and two more values do not fit into 20."""
    found = search(lambda values: [(2 * (v > 2) + 2 * (v > 2.5), 4) for v in values],
                   Scale.between(1, 4), replicas=4, tolerance=0.01, max_runs=20)  # fmt: skip
    assert not found.reached
    assert found.next_runs in (4, 8)
    assert sum(found.runs) + found.next_runs > 20
