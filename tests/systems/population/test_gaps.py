"""The field of gaps against limits that are known."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import integrate
from squares import SITE_um3, STRIP_per_um2_s, Vapour, imbalance, medium, run, setting

from kmc.common import threads
from kmc.systems.population.body import Viscous
from kmc.systems.population.gaps import Gaps
from kmc.systems.population.setting import FlawPatches


@pytest.mark.validation
@pytest.mark.parametrize(("length", "depth"), [(5.0, math.inf), (math.inf, 3.0), (4.0, 8.0)])
def test_supersaturation_with_sinks(length, depth):
    """S − 1 = (j/e)/(K/λ + Kκ coth κL) far from voids, to 1 %; K/λ or its like left out is seen.

    The least of them, 1/L beside 1/λ = 0.2 per µm, is 5 %. 500 s are 1900 times L²/D: steady.
    """
    metal = medium(length, depth)
    gaps = run(Gaps(setting(flaws=0, medium=metal), np.random.default_rng(1)), 500.0)
    into = 1 / length + (1 / depth) / math.tanh(100.0 / depth) if depth < math.inf else 1 / length
    if math.isinf(depth):
        into += 1 / 100.0
    assert gaps.S_contact - 1 == pytest.approx(STRIP_per_um2_s / (3.6e8 * into), rel=0.01)


@pytest.mark.parametrize("hysteresis_deg", [0.0, 20.0])
def test_every_vacancy_is_counted_and_a_restored_field_goes_on_alike(hysteresis_deg):
    given = setting(contact_angle_hysteresis_deg=hysteresis_deg)
    gaps = run(Gaps(given, np.random.default_rng(2)), 300.0)
    if hysteresis_deg:  # rims pinned a little below the slope at which they spread
        gaps.outline.slope *= 0.95
        gaps._locate()
    assert gaps.contact_fraction < 0.95
    assert gaps.ledger.settled > 0
    stored = {key: value.copy() for key, value in gaps.arrays().items()}
    assert ("rim_slope" in stored) == (hysteresis_deg > 0)
    again = Gaps(given, np.random.default_rng(5))
    again.restore(stored)
    run(gaps, 400.0)
    run(again, 400.0)
    assert gaps.h_um.tobytes() == again.h_um.tobytes()
    assert vars(gaps.ledger) == vars(again.ledger)


@pytest.mark.slow
def test_any_number_of_threads_gives_the_same_bytes(monkeypatch):
    monkeypatch.setattr(threads, "_ROWS", 8)  # for a square of 48 rows
    monkeypatch.setattr(threads, "cores", lambda: 3)
    stored = []
    for number in ("1", "2", "3"):
        monkeypatch.setenv("OMP_NUM_THREADS", number)
        gaps = run(Gaps(setting(), np.random.default_rng(2)), 300.0)
        stored.append([np.asarray(values).tobytes() for values in gaps.arrays().values()])
    assert gaps.contact_fraction < 0.95
    assert stored[0] == stored[1] == stored[2]


def test_plating_fills_the_gaps_and_then_lifts_the_body():
    gaps = run(Gaps(setting(), np.random.default_rng(2)), 300.0)
    gaps.switch(-STRIP_per_um2_s)
    run(gaps, 700.0)
    assert gaps.contact_fraction > 0.99
    assert gaps.ledger.grown > 0
    assert gaps.ledger.plated == pytest.approx(gaps.ledger.filled + gaps.ledger.grown)


@pytest.mark.validation
def test_each_flaw_grows_only_above_its_own_supersaturation():
    """S > exp(2γΩ/kTr), r of the flaw; below it a flaw stays as it is beside others that grow.

    As it is to rounding, 1e-9.
    """
    given = replace(setting(20.0, 0.25, flaws=0, medium=medium(0.5)), flaws=FlawPatches(0, 0.05))
    gaps = Gaps(given, np.random.default_rng(1))
    radius = np.array([0.03, 0.05, 0.09, 0.15])
    begun = math.pi * radius**2 * FlawPatches.height_um
    gaps.points.add([2.0, 7.0, 12.0, 17.0], [5.0, 15.0, 5.0, 15.0], begun, radius)
    gaps.ledger.initial = gaps.in_voids_per_um2
    run(gaps, 0.5)
    critical = 2 * Vapour.capillary_um / math.log(gaps.S_contact)  # 65 nm
    assert radius[1] < critical < radius[2]
    assert gaps.points.volume_um3[:2] == pytest.approx(begun[:2], rel=1e-9)
    assert (gaps.points.volume_um3[2:] > 1.5 * begun[2:]).all()


class _Power(Vapour):
    """Nuclei at the rate 1e-5 S⁴ per µm² and second."""

    def rate_per_um2_s(self, supersaturation) -> np.ndarray:
        return 1e-5 * np.asarray(supersaturation, dtype=float) ** 4


@pytest.mark.slow
@pytest.mark.validation
def test_nuclei_are_the_integral_of_their_rate():
    """∫I(S(t)) dt of an interface without voids, whose S(t) comes from lines of its own.

    C ∂S/∂t = K ∂²S/∂z² below it, C_i dS/dt = j/e + K ∂S/∂z at it, S = 1 at L; too few voids to
    change S. About 1600 of them: 3σ are 7.5 %.
    """
    metal, until_s = medium(), 0.15
    edges = np.append(0.0, np.geomspace(0.05, metal.thickness_um, 120))
    middles = (edges[1:] + edges[:-1]) / 2
    far = np.append(middles, metal.thickness_um)
    gaps_um = np.diff(np.append(0.0, far))

    def change(_, y):
        S = y[:-1]
        flux = -metal.bulk_per_um_s * np.diff(np.append(S, 1.0)) / gaps_um
        at_top = (STRIP_per_um2_s - flux[0]) / metal.interface_storage_per_um2
        inside = -np.diff(flux) / (metal.bulk_storage_per_um3 * np.diff(edges))
        return np.concatenate([[at_top], inside, [1e-5 * S[0] ** 4]])

    y = np.append(np.ones(len(edges)), 0.0)
    wanted = integrate.solve_ivp(change, (0, until_s), y, method="BDF", rtol=1e-8).y[-1, -1]
    edge = math.sqrt(1600 / wanted)
    given = setting(edge, edge / 64, flaws=0, medium=metal, homogeneous=True)
    given = replace(given, vapour=_Power())
    gaps = run(Gaps(given, np.random.default_rng(1)), until_s)
    assert gaps.ledger.nucleated == pytest.approx(1600, abs=120)


@pytest.mark.validation
def test_plating_fills_a_lone_gap_from_its_rim():
    """All that is plated goes into the gap until it is closed, the rest lifts the body.

    The ledger to rounding; the volume of the gap to 1 %, for vacancies that leave it.
    """
    gaps = Gaps(setting(6.0, 0.25, flaws=0, medium=medium()), np.random.default_rng(1))
    gaps._draw(3.0, 3.0, gaps.setting.volume_factor * 1.5**3)
    gaps.ledger.initial = gaps.in_voids_per_um2
    gaps._locate()
    whole, middle = gaps.in_voids_per_um2, gaps.h_um.max()
    gaps.switch(-STRIP_per_um2_s)
    run(gaps, 0.5 * whole / STRIP_per_um2_s)
    assert gaps.ledger.filled == pytest.approx(0.5 * whole, rel=1e-9)
    assert gaps.in_voids_per_um2 == pytest.approx(0.5 * whole, rel=0.01)  # some dissolves
    assert gaps.h_um.max() > 0.7 * middle  # it narrows
    run(gaps, 1.2 * whole / STRIP_per_um2_s)
    assert gaps.contact_fraction == 1.0
    assert gaps.ledger.filled < whole
    assert gaps.ledger.grown == pytest.approx(gaps.ledger.plated - gaps.ledger.filled, rel=1e-12)


@pytest.mark.validation
def test_what_is_stripped_and_plated_again_at_strong_sinks_is_flat():
    """The body has risen by what it came down, but for vacancies that went to the far side.

    To 1e-9, what `run` allows the ledger to be off by.
    """
    gaps = run(Gaps(setting(medium=medium(0.3)), np.random.default_rng(2)), 300.0)
    assert gaps.contact_fraction < 1.0
    assert gaps.ledger.settled > 0.8 * gaps.ledger.stripped
    gaps.switch(-STRIP_per_um2_s)
    run(gaps, 600.0)
    ledger = gaps.ledger
    assert ledger.plated == pytest.approx(ledger.stripped, rel=1e-9)
    assert (gaps.h_um == 0).all()
    left = gaps.in_voids_per_um2 - ledger.initial  # flaws
    wanted = ledger.sink + gaps.mean.stored_per_um2 + left
    assert ledger.grown - ledger.settled == pytest.approx(wanted, abs=1e-9 * ledger.stripped)


@pytest.mark.slow
@pytest.mark.validation
@pytest.mark.parametrize("reopen", [True, False])
def test_a_flaw_that_reopens_grows_as_it_did_the_first_time(reopen):
    """A lone flaw, plated over and left to rest, makes the same void in every strip.

    To 0.3 % of the first, whose first steps are shorter, and to rounding from then on.
    """
    given = setting(6.0, 0.25, flaws=0, medium=medium(5.0))
    given = replace(given, flaws=FlawPatches(1, 0.1, reopen=reopen))
    gaps = run(Gaps(given, np.random.default_rng(1)), 200.0)
    contact, volume, after = gaps.contact_fraction, gaps.gaps_um, []
    assert contact < 0.93
    for _ in range(2):
        for flux, time_s in ((-STRIP_per_um2_s, 200.0), (0.0, 500.0), (STRIP_per_um2_s, 200.0)):
            gaps.switch(flux)
            if flux > 0:
                assert gaps.contact_fraction == 1.0
                gaps.reopen()
            run(gaps, gaps.time_s + time_s)
        after.append(gaps.h_um.copy())
    assert abs(imbalance(gaps)) < 1e-9
    if not reopen:
        assert gaps.contact_fraction == 1.0
        return
    assert gaps.gaps_um == pytest.approx(volume, rel=0.003)
    assert 1 - gaps.contact_fraction == pytest.approx(1 - contact, rel=0.015)
    np.testing.assert_allclose(after[1], after[0], rtol=0, atol=1e-12)


@pytest.mark.slow
def test_flaws_that_are_still_open_do_not_open_twice():
    given = replace(setting(20.0, 0.25, flaws=0), flaws=FlawPatches(40, 0.1, reopen=True))
    gaps = run(Gaps(given, np.random.default_rng(1)), 300.0)
    begun, initial = len(gaps.points), gaps.ledger.initial
    assert gaps.contact_fraction < 0.95
    gaps.reopen()
    row, column = (gaps.flaws_um[1::-1] / given.pitch_um).astype(int)
    # Roofs that have moved off a flaw leave it in contact, where it opens.
    opened = np.count_nonzero(gaps.h_um[row, column] <= 0)
    assert len(gaps.points) - begun < 40
    assert len(gaps.points) <= opened
    assert gaps.ledger.initial <= initial + opened * math.pi * 0.01 * FlawPatches.height_um


@pytest.mark.validation
def test_a_stiff_fixture_takes_pressure_by_what_the_stack_becomes_shorter():
    """P0 − k (settled − c stripped): with strong sinks it falls, and rises where c is larger."""
    site = SITE_um3
    for share, sign in ((0.0, -1), (0.8, 1)):
        stiff = {"fixture_stiffness_MPa_per_um": 0.5, "counter_electrode_share": share}
        given = setting(medium=medium(5.0), pressure_MPa=1.0, **stiff)
        gaps = run(Gaps(given, np.random.default_rng(2)), 300.0)
        ledger = gaps.ledger
        assert 0.2 < ledger.settled / ledger.stripped < 0.7
        wanted = 1.0 - 0.5 * site * (ledger.settled - share * ledger.stripped)
        assert gaps.stack_pressure_MPa == pytest.approx(wanted, rel=1e-12)
        assert sign * (gaps.stack_pressure_MPa - 1.0) > 0.01
        gaps.switch(STRIP_per_um2_s, 2.0)
        assert gaps.stack_pressure_MPa == 2.0
        while gaps.stack_pressure_MPa and share == 0:
            gaps.step(1e9)
            ledger.settled += 0.1 / site  # a stack that has lost its load pulls at nothing
        assert share or gaps.stack_pressure_MPa == 0.0


def test_steps_become_longer_once_every_void_is_closed():
    """A lone void that creep closes; its last motion once halved every step after it."""
    body = Viscous(1.0, 1.0)
    given = setting(6.0, 0.25, flaws=0, medium=medium(0.5), body=body, pressure_MPa=5.0)
    gaps = Gaps(given, np.random.default_rng(1))
    gaps._draw(3.0, 3.0, given.volume_factor * 0.6**3)
    gaps._locate()
    while gaps.h_um.any() or len(gaps.points):
        gaps.step(1e9)
    gaps.step(1e9)
    before = gaps.dt_s
    for _ in range(3):
        gaps.step(1e9)
    assert gaps.dt_s > before
