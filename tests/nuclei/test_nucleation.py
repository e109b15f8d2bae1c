"""Work, critical size, rate and delay of nucleation, on clusters whose ln Z_n is a known law."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kmc.errors import InputError
from kmc.kernels.becker_doering import step_sizes
from kmc.kernels.jit import entry
from kmc.model.parameters import load_parameters
from kmc.nuclei.burst import population
from kmc.nuclei.capture import VacancyTransport
from kmc.nuclei.clusters import ClusterFreeEnergies
from kmc.nuclei.nucleation import NucleationModel, classical_barrier_kT
from kmc.nuclei.nucleation_conditions import conditions_of
from kmc.nuclei.surface import Surface

A, B = 16.0, -4.5


@entry
def try_step(sizes, S, dt):
    """One step of the sizes alone at given S."""
    return step_sizes(sizes, sizes.size.size, S, dt)


def model(surface=A, line=B, n_max=60) -> NucleationModel:
    n = np.arange(1, n_max + 1)
    ln_Z = -(surface * n ** (2 / 3) + line * n ** (1 / 3))
    metal = Surface(load_parameters("li_li2s"), "bcc_100", 298.15)
    free = ClusterFreeEnergies(
        surface=metal,
        ln_Z=ln_Z,
        ln_Z_error=np.zeros(n_max),
        enumerated=7,
        sampled_ln_Z=ln_Z,
        sampled_error=np.zeros(n_max),
        footprint=1.6 * n ** (2 / 3) - 0.6 * n ** (1 / 3),
        mean_layer=0.3 * n ** (1 / 3),
        walkers=2,
        steps=1,
        seed=1,
    )
    return NucleationModel(free, VacancyTransport(metal))


def test_fit_and_continuation():
    m = model()
    assert m.law.surface == pytest.approx(A)
    assert m.law.line == pytest.approx(B)
    for n in (30.0, 60.0, 61.0, 90.0, 1e3, 1e6):
        assert m.ln_Z(n) == pytest.approx(-(A * n ** (2 / 3) + B * n ** (1 / 3)), rel=2e-4)
        slope = 2 / 3 * A * n ** (-1 / 3) + B / 3 * n ** (-2 / 3)
        assert m.S_eq(n) == pytest.approx(math.exp(slope), rel=5e-3)


@pytest.mark.parametrize("S", [10.0, 30.0, 100.0])
def test_barrier_and_critical_size(S):
    m, n = model(), np.arange(1, 3000)
    work = A * n ** (2 / 3) + B * n ** (1 / 3) - n * math.log(S)
    assert m.critical_size(S) == n[np.argmax(work)]
    assert m.barrier_kT(S) == pytest.approx(work.max(), abs=1e-3)


def test_large_voids_follow_classical_theory():
    """With B = 0 the barrier is that of a cap: 16π γ³ F Ω²/(3 (kT ln S)²)."""
    m, S = model(line=0.0), 5.0
    cap = m.cap
    omega = m.transport.surface.site_volume_cm3
    expected = classical_barrier_kT(cap.gamma_J_m2, 180 - cap.angle_deg, omega, 298.15, S)
    assert m.barrier_kT(S) == pytest.approx(expected, rel=1e-3)


def test_classical_barrier_of_the_dft_energies():
    omega = (3.506e-8) ** 3 / 2
    assert classical_barrier_kT(0.416, 93.6, omega, 298.15, 507) == pytest.approx(94, abs=0.5)


@pytest.mark.parametrize("S", [30.0, 60.0, 100.0])
def test_rate_against_the_equations_solved_outright(S):
    """I(S) is the flux of Becker and Döring's equations in their steady state: within 0.1 %."""
    m = model()
    n = np.arange(1, 200)
    grow = m.beta_per_s(n, S)
    shrink = np.zeros(n.size)  # of n + 1 to n
    shrink[:] = m.capture_per_s(n) * np.exp(m.ln_Z(n) - m.ln_Z(n + 1))
    first = m.transport.L1_density_cm2 * math.exp(m.ln_Z(1)) * S
    size = n.size - 1  # unknowns N_2 … N_199; N_200 = 0
    matrix, rhs = np.zeros((size, size)), np.zeros(size)
    for i in range(size):
        k = i + 1  # n[k] = i + 2
        matrix[i, i] = -(grow[k] + shrink[k - 1])
        if i:
            matrix[i, i - 1] = grow[k - 1]
        else:
            rhs[0] = -grow[0] * first
        if i + 1 < size:
            matrix[i, i + 1] = shrink[k]
    numbers = np.linalg.solve(matrix, rhs)
    flux = grow[-1] * numbers[-1]
    assert m.rate_per_cm2_s(S) == pytest.approx(flux, rel=1e-3)


def test_delay_and_rate_against_the_equations_in_time():
    """From S = 1 switched to 60: voids beyond 60 vacancies grow as I (t − lag), both within 3 %."""
    m, S = model(), 60.0
    sizes = population(m)
    lag, rate = m.time_lag_s(S), m.rate_per_cm2_s(S)
    dt, times, counts = lag / 400, [], []
    for k in range(8000):
        try_step(sizes, S, dt)
        sizes.number[:] = sizes.after
        if k % 100 == 0:
            times.append((k + 1) * dt)
            counts.append(sizes.number[sizes.size > m.critical_size(S)].sum())
    late = np.array(times) > 8 * lag
    slope, offset = np.polyfit(np.array(times)[late], np.array(counts)[late], 1)
    assert slope == pytest.approx(rate, rel=0.03)
    # The lag is defined at a size where the work has fallen by 3 kT; at the critical size about
    # half.
    assert 0.2 * lag < -offset / slope < 1.2 * lag


def test_prefactor_and_gamma():
    m = model()
    tenfold = m.varied(prefactor=10.0)
    assert tenfold.rate_per_cm2_s(40.0) / m.rate_per_cm2_s(40.0) == pytest.approx(10, rel=0.01)
    stiffer = m.varied(gamma_factor=1.1)
    n = 40.0
    assert m.ln_Z(n) - stiffer.ln_Z(n) == pytest.approx(0.1 * A * (n ** (2 / 3) - 1))
    assert stiffer.cap.gamma_J_m2 == pytest.approx(1.1 * m.cap.gamma_J_m2)
    assert stiffer.ln_Z(1.0) == m.ln_Z(1.0)


def test_S_at_a_rate():
    m = model()
    S = m.S_at_rate(1e-3)
    assert m.rate_per_cm2_s(S) == pytest.approx(1e-3, rel=0.01)


def test_nothing_nucleates_at_equilibrium():
    m = model()
    assert m.critical_size(1.0) == math.inf
    assert m.barrier_kT(1.0) == math.inf
    assert m.rate_per_cm2_s(1.0) == 0.0


@pytest.mark.parametrize("run", ["plate_zno_002", "cathode_se"])
def test_a_run_of_another_system_is_refused_by_what_it_is(run):
    kind = "deposition" if run.startswith("plate") else "cathode"
    with pytest.raises(InputError, match=rf"{run} is a {kind}, which has no voids"):
        conditions_of(run)
