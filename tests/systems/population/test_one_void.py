"""A round void in a periodic cell against a solution of its own on a moving mesh (reference)."""

from __future__ import annotations

import functools
import math
from dataclasses import replace

import numpy as np
import pytest
from moving_disc import FluxIntoDisc, MovingDisc, stripped_at
from scipy.ndimage import maximum_filter
from squares import SITE_um3, STRIP_per_um2_s, medium, setting

from kmc.errors import InputError
from kmc.systems.population.gaps import Gaps
from kmc.systems.population.state import _LIP_CELLS, Outline

EDGE_um, BEGIN_um = 4.0, 0.5
HEIGHT_OVER_RADIUS = math.tan(math.radians(180 - 93.6) / 2)
SLOPE = 2.43
CONTACTS = (0.75, 0.5, 0.4)
LAYER_um = medium().interface_per_s / medium().bulk_per_um_s


@functools.cache
def into() -> FluxIntoDisc:
    return FluxIntoDisc(EDGE_um / math.sqrt(math.pi), LAYER_um)


def disc(R_star_um: float, **more) -> MovingDisc:
    flux = STRIP_per_um2_s * SITE_um3
    return MovingDisc(SLOPE, R_star_um**4 / 1e4, BEGIN_um, into(), flux, **more)


def on_the_grid(R_star_um: float, cell_um: float, **more) -> np.ndarray:
    """Heights by which the void grows until contact falls to each of `CONTACTS`."""
    given = setting(EDGE_um, cell_um, flaws=0, medium=medium(), rounding_length_um=R_star_um)
    given = replace(given, height_over_radius=HEIGHT_OVER_RADIUS, **more)
    gaps = Gaps(given, np.random.default_rng(1))
    gaps._draw(2.03, 2.07, gaps.setting.volume_factor * BEGIN_um**3)
    gaps._locate()
    begun = gaps.gaps_um
    seen = []
    while gaps.contact_fraction > CONTACTS[-1]:
        gaps.step(1e9)
        seen.append((-gaps.contact_fraction, gaps.gaps_um - begun))
    return np.interp(-np.array(CONTACTS), *np.transpose(seen))


@pytest.mark.parametrize(("angle_deg", "slope"), [(93.6, SLOPE), (87.1, 2.88)])
def test_the_slope_is_that_of_a_cap_of_the_same_volume(angle_deg, slope):
    """By slices of the cap, whose sphere meets the interface at the angle of the void."""
    angle = math.radians(180 - angle_deg)
    z = (np.arange(4000) + 0.5) / 4000 * math.tan(angle / 2)
    slices = math.pi * (1 / math.sin(angle) ** 2 - (z + 1 / math.tan(angle)) ** 2)
    volume = float(slices.mean()) * math.tan(angle / 2)
    given = setting(flaws=0, height_over_radius=math.tan(angle / 2))
    assert given.volume_factor == pytest.approx(volume, rel=1e-6)
    assert given.slope == pytest.approx(slope, abs=5e-3)
    assert given.sin_angle == pytest.approx(math.sin(angle))
    with pytest.raises(InputError, match="to 0 or to 180°"):
        replace(given, height_over_radius=math.tan(math.radians(2)), contact_angle_hysteresis_deg=9)


@pytest.mark.slow
def test_the_reference_balances_and_is_converged():
    """A void that is round at once is a paraboloid: π/4 s a³, 0.0499 s E at half the contact."""
    round_void = disc(20.0)
    heights = np.array(stripped_at(CONTACTS, round_void))
    radii = EDGE_um * np.sqrt((1 - np.array(CONTACTS)) / math.pi)
    caps = math.pi / 4 * SLOPE * radii**3
    assert heights == pytest.approx((caps - caps[0] * (BEGIN_um / radii[0]) ** 3) / 16, rel=1e-3)
    assert caps[1] / 16 == pytest.approx(0.0499 * SLOPE * EDGE_um, rel=1e-3)
    assert abs(round_void.imbalance) < 1e-12
    fine = stripped_at(CONTACTS, disc(1.2, n=180), 2e-3)
    assert stripped_at(CONTACTS, disc(1.2)) == pytest.approx(fine, rel=2e-3)


@pytest.mark.slow
@pytest.mark.validation
@pytest.mark.parametrize(
    ("R_star_um", "cells_um"), [(0.6, (0.06, 0.04)), (1.2, (0.12, 0.08)), (2.7, (0.12, 0.08))]
)
def test_charge_at_which_a_lone_void_takes_contact(R_star_um, cells_um):
    """To 3 %, and to 1.5 % with the narrower cells; the shape between flat and round by R*."""
    wanted = stripped_at(CONTACTS, disc(R_star_um))
    for cell_um, within in zip(cells_um, (0.03, 0.015), strict=True):
        assert on_the_grid(R_star_um, cell_um) == pytest.approx(wanted, rel=within)


@pytest.mark.slow
@pytest.mark.validation
def test_a_rim_spreads_at_the_advancing_angle():
    """Half of the hysteresis on 86.4°: slope 3.17; contact lasts as that of the moving mesh."""
    t = math.tan(math.radians(86.4 + 10) / 2)
    slope = 2 * t * (3 + t * t) / 3
    assert slope == pytest.approx(3.17, abs=5e-3)
    flux = STRIP_per_um2_s * SITE_um3
    wanted = stripped_at(CONTACTS, MovingDisc(slope, 1.2**4 / 1e4, BEGIN_um, into(), flux))
    seen = on_the_grid(1.2, 0.08, contact_angle_hysteresis_deg=20.0)
    assert seen == pytest.approx(wanted, rel=0.015)
    assert on_the_grid(1.2, 0.08, contact_angle_hysteresis_deg=17.0) != pytest.approx(
        wanted, rel=0.015
    )


@pytest.mark.validation
def test_a_rim_is_pinned_between_the_two_angles():
    """Volume over radius³ of a round void that loses volume, then gains it.

    Its rim rests until the slope has gone from that of one angle to that of the other (exact for a
    void below R*). Closing is seen to 2.5 %; spreading to 4 %, as without hysteresis the grid adds
    1 to 4 % at this cell and rate: the test above is sharper.
    """
    more = {"rounding_length_um": 12.0, "contact_angle_hysteresis_deg": 20.0}
    given = setting(24.0, 0.5, flaws=0, **more)
    gaps = Gaps(given, np.random.default_rng(1))
    gaps._draw(12.1, 12.05, given.volume_factor * 4.0**3)
    gaps._locate()
    angle = 2 * math.atan(given.height_over_radius)
    tangents = (math.tan(angle / 2 + way * math.radians(5)) for way in (-1, 1))
    closing, spreading = (math.pi / 4 * 2 * t * (3 + t * t) / 3 for t in tangents)

    def goes_to(volume_um3: float) -> tuple[float, float]:
        """Radius and volume over radius³ after 20 steps to a volume."""
        gain = (volume_um3 - gaps.h_um.sum() * 0.25) / 20
        for _ in range(20):
            gaps._shape_step(gaps.cover / gaps.cover.sum() * gain, np.zeros_like(gaps.h_um), 40.0)
            gaps._locate()
        radius = math.sqrt(gaps.cover.sum() * 0.25 / math.pi)
        return radius, gaps.h_um.sum() * 0.25 / radius**3

    full = spreading * 4.0**3
    assert goes_to(full * 0.8)[0] == pytest.approx(4.0, rel=0.005)  # pinned
    assert goes_to(full * 0.35)[1] == pytest.approx(closing, rel=0.025)
    closed = goes_to(full * 0.3)
    assert closed[1] == pytest.approx(closing, rel=0.025)
    assert goes_to(full * 0.4)[0] == pytest.approx(closed[0], rel=0.005)  # pinned
    assert goes_to(full * 0.8)[1] == pytest.approx(spreading, rel=0.04)
    assert goes_to(full * 1.3)[1] == pytest.approx(spreading, rel=0.04)


@pytest.mark.slow
@pytest.mark.validation
def test_what_raised_surface_diffusion_costs():
    """Figures of docs/upscaling.md: R* of 0.6 µm at cells of 0.24, 0.38 and 0.75 of a lip."""
    lip = (0.6**4 / 1e4 / (2 * STRIP_per_um2_s * SITE_um3)) ** (1 / 3)
    wanted = stripped_at(CONTACTS, disc(0.6))
    for cell_um, share, excess in ((0.05, 0.24, 0.01), (0.08, 0.38, 0.04), (0.16, 0.75, 0.33)):
        assert cell_um / lip == pytest.approx(share, abs=0.01)
        largest = (on_the_grid(0.6, cell_um) / wanted).max() - 1
        assert largest == pytest.approx(excess, abs=0.01)


def _as_travelling_wave(self: Outline, step: np.ndarray, time: float, names: np.ndarray) -> None:
    """Lower the slope s where B is raised: a rim of speed v leaves s(B/v)^(1/3) behind.

    That is h∞ of h = h∞ (1 − exp(−ξ/ℓ)), ℓ = (B/v)^(1/3), a solution of v ∂h = −B ∂⁴h + growth at
    the line with h∞/ℓ = s: V = π a² s ℓ of a wide void, π/4 s a³ of a round one; between them
    π/4 s a³/(1 + a/4ℓ).
    """
    _raise_alone(self, step, time, names)
    sums = [np.bincount(names.ravel(), x.ravel()) for x in (self.cover, self.line_lengths())]
    radius = (2 * sums[0] / np.maximum(sums[1], 1e-9))[names]
    true = _LIP_CELLS / np.cbrt(self.mobility)
    lowered = (1 + radius / (4 * _LIP_CELLS)) / (1 + radius / (4 * true)) * (names > 0)
    near = maximum_filter(lowered, 7, mode="wrap")
    self.slope = np.where(names > 0, lowered, np.where(near > 0, near, 1.0))


_raise_alone = Outline.set_mobility


@pytest.mark.slow
@pytest.mark.validation
@pytest.mark.parametrize(
    ("share", "raised", "lowered"),
    [(0.75, (1.33, 1.34), (0.93, 1.03)), (1.17, (1.42, 1.57), (0.84, 0.97))],
)
def test_a_travelling_wave_does_not_replace_fine_cells(monkeypatch, share, raised, lowered):
    """Figures of docs/upscaling.md: charges over the moving mesh's with B raised, and s lowered.

    Much nearer, but not to 5 %: a prototype, none of the product.
    """
    lip = (0.6**4 / 1e4 / (2 * STRIP_per_um2_s * SITE_um3)) ** (1 / 3)
    wanted = stripped_at(CONTACTS, disc(0.6))
    seen = []
    for way in (_raise_alone, _as_travelling_wave):
        monkeypatch.setattr(Outline, "set_mobility", way)
        charges = on_the_grid(0.6, EDGE_um / round(EDGE_um / (share * lip))) / wanted
        seen.append((charges.min(), charges.max()))
    assert seen[0] == pytest.approx(raised, abs=0.01)
    assert seen[1] == pytest.approx(lowered, abs=0.01)
