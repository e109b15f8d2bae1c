"""The burst of nucleation: diffusion alone, balance of vacancies, growth, and its numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import erfcx
from test_nucleation import model, try_step

from kmc.common.units import E_C
from kmc.errors import InputError
from kmc.kernels.becker_doering import follow
from kmc.nuclei import burst as module
from kmc.nuclei.burst import metal, nucleation_burst, population


@pytest.mark.slow
def test_without_voids_S_follows_diffusion():
    """S = 1 + (2 j/(e K)) √(D t/π) early, 1 + jL/(eK) late; storage in L1 made negligible."""
    m = model(surface=60.0, line=0.0)
    t = m.transport
    found = nucleation_burst(m, 0.5, 100.0, longest_s=10.0)
    flux = 0.5e-3 / E_C
    for time in (1e-4, 1e-3, 1e-2):
        root = math.sqrt(t.diffusivity_cm2_s * time / math.pi)
        expected = 1 + 2 * flux * root / t.bulk_conductance_per_cm_s
        assert np.interp(time, found.times_s, found.activity) == pytest.approx(expected, rel=0.01)
    assert found.activity[-1] == pytest.approx(found.S_steady, rel=1e-3)
    assert found.density_per_um2 < 1e-12


SINKS = [
    {"sink_length_um": 5.0},
    {"sink_depth_um": 2.0},
    {"sink_depth_um": 60.0},
    {"sink_length_um": 5.0, "sink_depth_um": 2.0},
    {"sink_length_um": 5.0, "sink_depth_um": 2.0, "thickness_um": math.inf},
]


@pytest.mark.parametrize("sinks", SINKS, ids=lambda sinks: " ".join(sinks))
def test_sinks_hold_S(sinks):
    """Without voids S − 1 ends at (j/e)/(K/λ + K κ coth κL), L = 100 µm, within 1 %."""
    m = model(surface=60.0, line=0.0)
    asked = {"thickness_um": 100.0, **sinks}
    found = nucleation_burst(m, 0.5, longest_s=10.0, coarseness=2.0, **asked)
    thickness, kappa = asked["thickness_um"], 1 / asked.get("sink_depth_um", math.inf)
    rate = kappa / math.tanh(kappa * thickness) if kappa else 1 / thickness
    per_um = 0.5e-3 / E_C / (m.transport.bulk_conductance_per_cm_s * 1e4)
    expected = per_um / (rate + 1 / asked.get("sink_length_um", math.inf))
    assert found.activity[-1] - 1 == pytest.approx(expected, rel=0.01)
    assert found.S_steady - 1 == pytest.approx(expected, rel=1e-9)


def test_an_interface_alone_as_a_sink():
    """Metal without end or dislocations fills for ever; the interface holds S below 1 + jλ/(eK).

    s = s∞ [1 − exp(t/τ) erfc √(t/τ)] with τ = λ²/D_v (a half-space losing heat at its face).
    """
    m = model(surface=60.0, line=0.0)
    found = nucleation_burst(m, 0.5, math.inf, sink_length_um=20.0, longest_s=1.0)
    tau = (20e-4) ** 2 / m.transport.diffusivity_cm2_s
    for time in (1e-3, 1e-2, 0.1):
        share = 1 - erfcx(math.sqrt(time / tau))
        measured = np.interp(time, found.times_s, found.activity)
        assert measured - 1 == pytest.approx((found.S_steady - 1) * share, rel=0.01)


def test_sinks_suppress_the_burst():
    """Voids become fewer as sinks come nearer, and with one at 3 µm there are practically none."""
    found = [
        nucleation_burst(model(), 0.5, 100.0, sink_depth_um=depth, coarseness=2.0).density_per_um2
        for depth in (math.inf, 12.0, 6.0, 3.0)
    ]
    assert found == sorted(found, reverse=True)
    assert found[3] < 1e-8 < 0.01 * found[0]


def test_vacancies_are_conserved():
    """What the current made is in the metal, in L1, in clusters, or has reached the sink."""
    m = model()
    t, flux = m.transport, 0.5e-3 / E_C
    sizes = population(m, 2.0)
    depths = metal(t.diffusivity_cm2_s, t.site_density_cm3 * t.bulk_vacancies, 1e-2)
    before = sizes.number @ sizes.size
    rows = np.zeros((5000, 4))
    n = follow(sizes, depths, flux, 1e-10, 0.01, 0.05, 0.02, rows)
    made = flux * rows[n - 1, 0]
    bound = sizes.number @ sizes.size - before
    held = ((depths.activity - 1) * depths.held).sum()
    assert rows[n - 1, 2] > 0  # voids there are
    assert 0.05 < bound / made < 1
    # The sink has taken little by then: it lies L²/D = 0.27 s away.
    assert bound + held == pytest.approx(made, rel=5e-3)


def test_steady_flux_at_fixed_S():
    """The clusters' own equations reach I(S): every flux from n to n + 1, within 1 %."""
    m, S = model(), 50.0
    sizes = population(m)
    for _ in range(4000):
        try_step(sizes, S, m.time_lag_s(S) / 20)
        sizes.number[:] = sizes.after
    assert sizes.flux[1:90] == pytest.approx(m.rate_per_cm2_s(S), rel=0.01)


def test_growth_of_a_large_void():
    """dn/dt = G(n)(S − S_eq(n)) on the wide part of the grid: the mean size within 2 %."""
    m, S = model(), 10.0
    sizes = population(m)
    sizes.number[:] = 0.0
    start = int(np.searchsorted(sizes.size, 5000.0))
    sizes.number[start] = 1.0
    n, dt = sizes.size[start], 1e-6
    for _ in range(2000):
        try_step(sizes, S, dt)
        sizes.number[:] = sizes.after
        sizes.number[0] = 0.0
        n += float(m.capture_per_s(n) * (S - m.S_eq(n))) * dt
    large = sizes.size > 1000
    count = sizes.number[large].sum()
    assert count == pytest.approx(1.0, rel=1e-3)
    assert (sizes.number * sizes.size)[large].sum() / count == pytest.approx(n, rel=0.02)
    assert n > 1.5 * sizes.size[start]


def test_steps_and_grids_are_fine_enough(monkeypatch):
    m = model()
    plain = nucleation_burst(m, 0.5, 100.0)
    monkeypatch.setattr(module, "_STEP_LN_S", 0.0015)
    monkeypatch.setattr(module, "_STEP_TIME", 0.01)
    monkeypatch.setattr(module, "_GROWTH", 0.015)
    monkeypatch.setattr(module, "_DEPTH_POINTS", 300)
    fine = nucleation_burst(m, 0.5, 100.0)
    assert plain.density_per_um2 == pytest.approx(fine.density_per_um2, rel=0.03)
    assert pytest.approx(fine.S, rel=0.005) == plain.S


def test_current_and_prefactor_act_as_they_must():
    m = model()
    slow, fast = (nucleation_burst(m, j, 100.0, coarseness=2.0) for j in (0.2, 2.0))
    assert fast.density_per_um2 > 3 * slow.density_per_um2
    assert fast.S > slow.S
    easier = nucleation_burst(m.varied(gamma_factor=0.9), 0.2, 100.0, coarseness=2.0)
    assert easier.S < slow.S
    assert easier.density_per_um2 > slow.density_per_um2


@pytest.mark.parametrize(("current", "thickness"), [(0.0, 100.0), (0.5, math.inf), (0.5, 0.0)])
def test_out_of_range(current, thickness):
    with pytest.raises(InputError, match="out of range"):
        nucleation_burst(model(), current, thickness)
