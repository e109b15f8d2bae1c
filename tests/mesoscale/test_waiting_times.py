"""Waiting times for the first supercritical void in the event loop at fixed S, against theory."""

from __future__ import annotations

import math

import numpy as np
import pairs
import pytest
import waiting

RUNS = 50
ACTIVITIES = (280.0, 320.0, 350.0)


def exponential_chance(waits: np.ndarray) -> float:
    """Chance of a larger Kolmogorov–Smirnov distance for exponential times, the mean fitted."""

    def distance(times):
        times = np.sort(times / times.mean(axis=-1, keepdims=True), axis=-1)
        n = times.shape[-1]
        share = 1.0 - np.exp(-times)
        above = np.arange(1, n + 1) / n - share
        below = share - np.arange(n) / n
        return np.maximum(above, below).max(axis=-1)

    drawn = np.random.default_rng(1).exponential(size=(4000, len(waits)))
    return float((distance(drawn) >= distance(waits)).mean())


@pytest.mark.validation
@pytest.mark.slow
@pytest.mark.parametrize("floor_eV", [0.12, 0.18])
def test_first_voids_come_at_the_rate_of_theory(floor_eV):
    """Beyond two time lags: exponential, and together I A within 2 standard errors (± 16 %).

    β is the uptake of clusters in the box with its raised barriers, of single vacancies and of
    pairs. The delay of the start is not part of I, so waiting times are counted from two time lags
    on; exponential ones do not mind.
    """
    rates, errors = [], []
    for S in ACTIVITIES:
        case = waiting.Case(waiting.Box(floor_eV), S, RUNS)
        start_s = 2 * waiting.theories(case.box)["box"].time_lag_s(S)
        waits_s = case.waits_s()
        waits_s = waits_s[waits_s > start_s] - start_s
        assert exponential_chance(waits_s) > 0.01
        rates.append(case.expected_s()["pairs"] / waits_s.mean())
        errors.append(1 / math.sqrt(len(waits_s)))
    weight = 1 / np.square(errors)
    pooled = float(np.average(rates, weights=weight))
    assert abs(pooled - 1) < 2 / math.sqrt(weight.sum()), (rates, errors)


@pytest.mark.medium
@pytest.mark.validation
def test_pairs_on_the_interface():
    """Z_2 of the pairs equals that of the clusters; at S = 300 they carry the 19 % of the page."""
    box = waiting.Box(0.12)
    surface = waiting.free_energies().surface
    Z_2, _ = pairs.pairs(surface, box.model)
    assert math.log(Z_2) == pytest.approx(waiting.free_energies().ln_Z[1], abs=1e-4)
    assert pairs.flux_by_pairs(surface, box.model, 300.0) == pytest.approx(0.192, abs=0.001)
