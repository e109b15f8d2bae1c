"""Plating of a population: what fills, what is cut off, what pushes the metal back."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kmc.mesoscale import coalescence
from kmc.mesoscale.plating import cut_off_share, plate
from kmc.mesoscale.population import Population
from kmc.mesoscale.voids import Shape, Voids
from tests.mesoscale.support import SITE_um3, STRIP_per_um2_s, setting

CAP = Shape.of_contact_angle(93.6)


def voids_of(radii, shape: Shape = CAP, edge: float = 20.0) -> Voids:
    """Round voids far apart."""
    voids = Voids(edge, SITE_um3, shape)
    places = (np.arange(len(radii)) + 0.5) * edge / len(radii)
    counts = shape.volume_factor * np.asarray(radii) ** 3 / SITE_um3
    voids.add(places, places, counts)
    voids.measure()
    return voids


@pytest.mark.validation
def test_share_cut_off_by_growth_from_the_rim():
    """Against points drawn at random in the cap: those further from the rim than its radius."""
    assert cut_off_share(Shape(1.0)) == pytest.approx(
        1 - math.pi / 2 + 3 * math.sqrt(3) / 8, rel=1e-5
    )
    rng = np.random.default_rng(1)
    for t in (0.3, CAP.height_over_radius, 1.0, 1.6):
        sphere = (1 + t * t) / (2 * t)
        widest = sphere if t > 1 else 1.0
        x, y = rng.uniform(-widest, widest, (2, 2_000_000))
        z = rng.uniform(0, t, x.size)
        inside = x * x + y * y + (z - (t - sphere)) ** 2 < sphere**2
        beyond = (1 - np.hypot(x, y)) ** 2 + z * z > 1
        share, n = (inside & beyond).sum() / inside.sum(), inside.sum()
        assert cut_off_share(Shape(t)) == pytest.approx(share, abs=5 * math.sqrt(share / n) + 1e-6)


@pytest.mark.parametrize("share", [0.0, 0.08, 0.5])
def test_a_void_that_never_rounds_off_leaves_that_share(share):
    voids = voids_of([1.0])
    whole = float(voids.count.sum())
    filled = cut_off = pushed = 0.0
    for _ in range(40):
        done = plate(voids, whole / 30, share, np.zeros(voids.lobes))
        voids.measure()
        filled, cut_off, pushed = filled + done.filled, cut_off + done.cut_off, pushed + done.pushed
    assert len(voids) == 0
    assert cut_off == pytest.approx(share * whole, rel=1e-9, abs=1e-9 * whole)
    assert filled + cut_off == pytest.approx(whole, rel=1e-12)
    assert filled + pushed == pytest.approx(40 / 30 * whole, rel=1e-12)


def test_metal_is_shared_by_length_of_rim():
    voids = voids_of([1.0, 2.0, 0.5])
    before = voids.count.copy()
    plate(voids, 1e6, 0.08, np.zeros(3))
    np.testing.assert_allclose((before - voids.count) / 1e6, np.array([2, 4, 1]) / 7, rtol=1e-9)


def test_a_flaw_keeps_its_patch():
    voids = voids_of([1.0, 1.0])
    voids.floor_um = np.array([0.3, 0.0])
    done = plate(voids, 1e15, 0.0, np.array([500.0, 0.0]))
    assert voids.count.tolist() == [500.0]
    assert done.cut_off == 0.0
    assert done.closed == 1
    voids.measure()
    assert voids.radius_um[0] == pytest.approx(0.3)


def cycled(relaxation: str, edge: float = 6.0) -> Population:
    """Grown voids, plated until none is left."""
    p = Population(setting(edge, 24, relaxation=relaxation), np.random.default_rng(3))
    p.setting.__dict__["cut_off_share"] = cut_off_share(CAP)
    radius = np.array([0.3, 0.5, 0.8])
    x, y = np.array([[1.0, 3.0, 4.5], [1.5, 4.0, 2.0]])
    p.voids.add(x, y, CAP.volume_factor * radius**3 / SITE_um3)
    coalescence.meet(p.voids, p.setting.rounding)
    p.ledger.initial = p.in_voids_per_um2
    p.switch(-STRIP_per_um2_s)
    return p


@pytest.mark.validation
@pytest.mark.parametrize(("relaxation", "dead"), [("none", None), ("instant", 0.0)])
def test_the_two_limits_of_rounding(relaxation, dead):
    """Never: the share of every void is cut off. At once: nothing is. Exact but for diffusion."""
    p = cycled(relaxation)
    started = p.ledger.initial
    end = 3 * started / STRIP_per_um2_s
    contact = [p.contact_fraction]
    while p.time_s < end * (1 - 1e-12):
        p.step(end)
        contact.append(p.contact_fraction)
        assert abs(p.imbalance) < 1e-9
    assert len(p.voids) == 0
    assert contact[-1] == 1.0
    assert np.all(np.diff(contact) > -1e-3)
    ledger = p.ledger
    assert ledger.filled + ledger.grown == pytest.approx(ledger.plated, rel=1e-12)
    expected = cut_off_share(CAP) if dead is None else dead
    assert ledger.dead / started == pytest.approx(expected, abs=2e-3)


def test_kinetic_rounding_lies_between():
    p = cycled("kinetic")
    end = 2 * p.ledger.initial / STRIP_per_um2_s
    while p.time_s < end * (1 - 1e-12):
        p.step(end)
    assert len(p.voids) == 0
    assert 0 < p.ledger.dead / p.ledger.initial < cut_off_share(CAP)


def test_plating_without_voids_pushes_the_metal_back():
    p = Population(setting(4.0, 16), np.random.default_rng(1))
    p.switch(-STRIP_per_um2_s)
    for _ in range(5):
        p.step(1.0)
    assert p.ledger.grown == p.ledger.plated > 0
    assert p.ledger.filled == p.ledger.dead == 0
