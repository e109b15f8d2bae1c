"""Waiting times for the first supercritical void in the event loop at fixed S, against theory."""

from __future__ import annotations

import math

import numpy as np
import pytest
import waiting

RUNS = 50
CASES = [(floor_eV, S) for floor_eV in (0.12, 0.18) for S in (280.0, 320.0, 350.0)]


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
@pytest.mark.parametrize(("floor_eV", "S"), CASES)
def test_first_voids_come_at_the_rate_of_theory(floor_eV, S):
    """Beyond two time lags: exponential, and 1/(I A) on average within 2 standard errors.

    β is the uptake of clusters in the box with its raised barriers. The delay of the start is not
    part of I, so waiting times are counted from two time lags on; exponential ones do not mind.
    """
    case = waiting.Case(waiting.Box(floor_eV), S, RUNS)
    start_s = 2 * waiting.theories(case.box)["box"].time_lag_s(S)
    waits_s = case.waits_s()
    waits_s = waits_s[waits_s > start_s] - start_s
    expected_s = case.expected_s()["box"]
    assert exponential_chance(waits_s) > 0.01
    assert abs(waits_s.mean() - expected_s) < 2 * expected_s / math.sqrt(len(waits_s))
