"""Waiting times for the first supercritical void in the event loop at fixed S, against theory."""

from __future__ import annotations

import math

import numpy as np
import pytest
import stock
import waiting

RUNS = 120
# Lowest barrier, eV; thickness of the electrode, µm, whose resistance the reservoir has; S.
CASES = [
    (0.12, 0.02, 280.0),
    (0.12, 0.02, 320.0),
    (0.12, 0.02, 450.0),
    (0.12, 0.002, 320.0),
    (0.18, 0.02, 320.0),
    (0.18, 0.02, 450.0),
]


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


def measured(case: waiting.Case) -> tuple[float, float]:
    """Rate over I A, and its standard error, from waiting times beyond two time lags.

    The delay of the start is not part of I; exponential times do not mind where counting begins.
    """
    start_s = 2 * waiting.theories(case.box)["box"].time_lag_s(case.S)
    waits_s = case.waits_s()
    waits_s = waits_s[waits_s > start_s] - start_s
    assert exponential_chance(waits_s) > 0.01
    rate = case.expected_s()["box"] / waits_s.mean()
    return float(rate), float(rate / math.sqrt(len(waits_s)))


@pytest.mark.long
@pytest.mark.validation
def test_first_voids_come_at_the_rate_of_theory():
    """Each case within 3 standard errors, all together within 2 (± 8 %).

    Lowest barriers of 0.12 and 0.18 eV, reservoirs near and far, and S with a critical size of 4.
    """
    found = []
    for floor_eV, electrode_um, S in CASES:
        case = waiting.Case(waiting.Box(floor_eV, electrode_um=electrode_um), S, RUNS)
        (rate, error), theory = measured(case), stock.correction(case.box, S)
        found.append((rate / theory, error / theory))
    ratios, errors = np.array(found).T
    assert (np.abs(ratios - 1) < 3 * errors).all(), found
    pooled = np.average(ratios, weights=errors**-2.0)
    assert abs(pooled - 1) < 2 / math.sqrt((errors**-2.0).sum()), found


@pytest.mark.validation
@pytest.mark.long
def test_a_far_reservoir_leaves_its_mark():
    """With a reservoir five times farther the box is faster than I A by its own stock.

    At 2 standard errors of the mean of up to 120 exponential times, 9 % each.
    """
    box, S = waiting.Box(0.12, electrode_um=0.1), 320.0
    rate, error = measured(waiting.Case(box, S, RUNS))
    assert rate - 1 > 2 * error
    assert stock.correction(box, S, stock.Parts(stock=False)) < rate - 2 * error
    assert stock.correction(box, S) == pytest.approx(rate, abs=2 * error)


# --- the parts of the theory ----------------------------------------------------------------------


@pytest.mark.validation
@pytest.mark.slow
def test_small_clusters_on_the_interface():
    """Their Z_n are those of the enumeration; at S = 320 pairs carry a fifth of the vacancies.

    Both are exact but for energies of whole µeV, 4e-5 kT: 1e-4. No statistics in the three figures
    either, so that one or two units of their last digit are allowed.
    """
    free, box = waiting.free_energies(), waiting.Box(0.12)
    mobile = stock.mobilities(box)
    for n, (Z_n, _) in mobile.known.items():
        assert math.log(Z_n) == pytest.approx(free.ln_Z[n - 1], abs=1e-4)
    assert mobile.flux(2, 320.0) == pytest.approx(0.205, abs=0.001)
    assert mobile.flux(3, 320.0) == pytest.approx(0.024, abs=0.001)
    assert mobile.relative(4) == pytest.approx(0.308, abs=0.002)


@pytest.mark.validation
@pytest.mark.slow
def test_the_chain_without_its_parts_is_becker_and_doering():
    """All parts off: Becker and Döring's sum, to the 5 % that the delay is of the wait."""
    box, S = waiting.Box(0.12), 320.0
    theory = waiting.theories(box)["box"]
    size = waiting.supercritical(theory, S)
    plain = stock.rate_Hz(box, S, size, stock.Parts(False, False, False, False))
    sites = box.model.lattice.sites_per_layer
    assert plain * waiting.mean_wait_s(theory, S, size, sites) == pytest.approx(1, abs=0.05)
    # The stock is never slower than the steady state, and the faster the farther the reservoir.
    stock_alone = stock.Parts(arriving=False, moving=False, crowding=False)
    near, far = (
        stock.correction(waiting.Box(0.12, electrode_um=um), S, stock_alone) for um in (0.002, 0.1)
    )
    assert 1 < near < 1.1 < 1.4 < far
