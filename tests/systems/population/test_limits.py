"""Fields of gaps against independent solutions and exact limits (validation)."""

from __future__ import annotations

import functools
import math

import numpy as np
import pytest
from scipy import optimize, special
from squares import SITE_um3, STRIP_per_um2_s, imbalance, medium, run, setting
from stable_radius import growth, stable_radius

from kmc.analysis.shapes import labels
from kmc.nuclei.field import Medium
from kmc.runfile.load import load_run
from kmc.systems.population import gaps as gaps_module
from kmc.systems.population.gaps import Gaps
from kmc.systems.population.life import gaps_of
from kmc.systems.population.setup import prepare

HEIGHT_um_s = STRIP_per_um2_s * SITE_um3


# --- the stable size of a lone void below a rigid body --------------------------------------------


@pytest.mark.validation
def test_the_reference_of_the_stable_radius_is_converged():
    """Without sinks Weber's 4 K a; r*/λ = 2.089 and r*κ = 1.140 to three digits from four terms on.

    Had planes above the void counted as well as those beside it, r*κ would be 1.521.
    """
    assert growth(1.0, 0.0, 0.0) == pytest.approx(4.0, rel=1e-6)
    for terms in (4, 6):
        assert stable_radius(1.0, 0.0, terms=terms) == pytest.approx(2.0887, abs=5e-4)
        assert stable_radius(0.0, 1.0, terms=terms) == pytest.approx(1.1401, abs=5e-4)
    assert stable_radius(0.0, 1.0, column=True) == pytest.approx(1.5214, abs=5e-4)


def growth_on_the_grid(radius_um: float, sinks: tuple[float, float], cell_um: float) -> float:
    """dV/dt of a lone cap by what arrives and what settles far from it; sink lengths of 1 µm."""
    metal = Medium(3.6e8, 0.0, 1e-6, 1e-6, 1e6, SITE_um3, *sinks)
    gaps = Gaps(setting(24.0, cell_um, flaws=0, medium=metal), np.random.default_rng(1))
    gaps._draw(12.0, 12.0, gaps.setting.volume_factor * radius_um**3)
    gaps._locate()
    known = gaps._absorbers()
    known.cell_supersaturation[:] = 1.0
    rate, _, S = gaps._solve(known, 1e9)
    supply = metal.bulk_per_um_s * (1 / sinks[0] + 1 / sinks[1])
    far = S[0, 0] - 1
    return (rate.sum() - supply * far * gaps.cover.sum() * cell_um**2) / (metal.bulk_per_um_s * far)


@pytest.mark.validation
@pytest.mark.parametrize(("sinks", "wanted"), [((1.0, math.inf), 2.089), ((math.inf, 1.0), 1.140)])
@pytest.mark.parametrize("cell_um", [0.24, 0.12])
def test_the_stable_size_on_the_grid(sinks, wanted, cell_um):
    """r*/λ and r*κ to 3 %: the sign changes within it.

    3 % of the smaller, 0.034 µm, is a seventh of the wider cell.
    """
    assert growth_on_the_grid(0.97 * wanted, sinks, cell_um) > 0
    assert growth_on_the_grid(1.03 * wanted, sinks, cell_um) < 0


@pytest.mark.slow
@pytest.mark.validation
def test_voids_grow_below_the_stable_size_and_shrink_above_it():
    """In time, with everything that moves: λ = 1 µm, radii of 1.2 and 3.2 µm.

    What is tested are the signs, at changes far above 1e-9, which the ledger may be off by.
    """
    change = []
    for radius in (1.2, 3.2):
        given = setting(20.0, 0.25, flaws=0, medium=medium(1.0), rounding_length_um=4.0)
        gaps = Gaps(given, np.random.default_rng(1))
        gaps._draw(10.0, 10.0, given.volume_factor * radius**3)
        gaps.ledger.initial = gaps.in_voids_per_um2
        gaps._locate()
        run(gaps, 10.0)
        before = gaps.gaps_um
        run(gaps, 400.0)
        change.append(gaps.gaps_um / before - 1)
    assert change[0] > 0.2
    assert change[1] < -0.02


# --- the outline of a lone void -------------------------------------------------------------------


def lone(cell_um: float, R_star: float = 6.0, **more) -> Gaps:
    """A cap that begins with 0.75 µm and stays below R*, in metal that does not settle."""
    given = setting(9.0, cell_um, flaws=0, medium=medium(), rounding_length_um=R_star, **more)
    gaps = Gaps(given, np.random.default_rng(1))
    gaps._draw(4.5, 4.5, given.volume_factor * 0.75**3)
    gaps.ledger.initial = gaps.in_voids_per_um2
    gaps._locate()
    return gaps


@pytest.mark.slow
@pytest.mark.validation
@pytest.mark.parametrize(("cell_um", "t"), [(0.25, 0.82), (0.125, 0.82), (0.25, 0.38)])
def test_a_lone_cap_keeps_its_aspect_while_it_grows(cell_um, t):
    """Height over radius of half the contact slope to 5 %; height of a paraboloid from its volume.

    At a given volume it goes with 1/R³: 5 % is 1.7 % of R, a tenth of a cell at the first look,
    when R is six of the wide cells. The highest cell is a mean, below the peak: 7 %.
    """
    gaps = lone(cell_um, height_over_radius=t)
    for end in (100.0, 200.0, 400.0):
        run(gaps, end)
        area = float(gaps.cover.sum()) * cell_um**2
        height = 2 * gaps.gaps_um * gaps.area_um2 / area
        wanted = t * (3 + t**2) / 3  # of the paraboloid with the volume of the cap
        assert height / math.sqrt(area / math.pi) == pytest.approx(wanted, rel=0.05)
    assert gaps.h_um.max() == pytest.approx(height, rel=0.07)


def roundness(cover: np.ndarray) -> float:
    """Length over width of a footprint, from its second moments."""
    x = np.arange(len(cover))
    out = []
    for axis in (0, 1):
        part = cover.sum(axis=axis)
        middle = (part * x).sum() / part.sum()
        out.append((part * (x - middle) ** 2).sum() / part.sum() + 1 / 12)
    return math.sqrt(out[0] / out[1])


@pytest.mark.validation
def test_ellipses_round_off_in_a_time_that_goes_with_the_fourth_power():
    """exp(−C B t/R⁴), C = x⁴ of the second harmonic of ∂h/∂t = −B ∇⁴h at a line of fixed slope.

    h = a J2(xr/R) + b I2(xr/R); no flux: −a J2' + b I2' = 0; slope kept at the line: x h' = h.
    5 %: a step is C/1000 = 5 % of the time of decay, and radii are 10 and 20 cells.
    """

    def mode(x: float) -> float:
        outer = special.iv(2, x) / special.ivp(2, x)
        return 2 * x * special.jvp(2, x) - special.jv(2, x) - special.jvp(2, x) * outer

    C = optimize.brentq(mode, 1.0, 3.0) ** 4
    assert pytest.approx(49.65, abs=0.01) == C
    from kmc.kernels import outline
    from kmc.systems.population.state import Outline

    rates = []
    for radius in (10.0, 20.0):
        n = int(3.4 * radius) + 6
        x = (np.arange(8 * n) + 0.5) / 8 - n / 2
        cap = 1 - x[None, :] ** 2 / (1.3 * radius**2) - x[:, None] ** 2 * 1.3 / radius**2
        h = (np.maximum(0.0, cap) * radius / 2).reshape(n, 8, n, 8).mean(axis=(1, 3))
        shape, seen, step = Outline(n), [], 1e-3 * radius**4
        for _ in range(14):
            shape.locate(h)
            seen.append(roundness(shape.cover) - 1)
            shape.relax(h, np.zeros_like(h), step)
            outline.clear(h)
            shape.locate(h)
            shape.advance(h, step)
        rates.append(math.log(seen[3] / seen[13]) / 10e-3)
    assert rates == pytest.approx([C, C], rel=0.05)


def axes_over_diagonals(gaps: Gaps, x_um: float, y_um: float) -> float:
    """Extent of the void around a place along the axes of the grid over that along its diagonals.

    From the areas in sectors of 22.5°.
    """
    edge, n = gaps.setting.edge_um, gaps.setting.n_cells
    along = (np.arange(n * 8) + 0.5) / 8 * gaps.setting.pitch_um
    x, y = ((along - c + edge / 2) % edge - edge / 2 for c in (x_um, y_um))
    angle = np.abs(np.mod(np.arctan2(y[:, None], x[None, :]) + math.pi / 4, math.pi / 2))
    angle = np.abs(angle - math.pi / 4)  # from the nearest axis
    near = np.hypot(y[:, None], x[None, :]) < 0.7
    fine = gaps.cover.repeat(8, 0).repeat(8, 1) * near
    axes, diagonals = angle < math.pi / 16, angle > math.pi / 4 - math.pi / 16
    return math.sqrt(fine[axes].sum() / fine[diagonals].sum())


@pytest.mark.validation
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("R_star_cells", [0.3, 1.0, 5.2])
def test_a_void_whose_lip_the_grid_does_not_resolve_stays_a_disc(R_star_cells, turned):
    """Nucleated voids 1.5 µm apart on cells of 0.05 µm, from 2 to 9 cells of radius, to 5 %.

    The same lattice of voids along the axes of the grid and along its diagonals. 5.2 cells are the
    R* of `upscale_cycle`; without more surface diffusion its ratio is 0.57. 5 % of 9 cells is half
    a cell.
    """
    edge, n, voids = (1.5 * math.sqrt(2), 42, 2) if turned else (1.5, 30, 1)
    given = setting(
        edge, edge / n, flaws=0, medium=medium(), rounding_length_um=R_star_cells * edge / n
    )
    gaps = Gaps(given, np.random.default_rng(1))
    places = [((k + 0.51) * edge / voids) % edge for k in range(voids)]
    for place in places:
        gaps._draw(place, place, given.volume_factor * 0.1**3)
    gaps.ledger.initial = gaps.in_voids_per_um2
    gaps._locate()
    run(gaps, 72.0)
    assert 0.40 < math.sqrt(gaps.cover.sum() / voids / math.pi) * edge / n < 0.50
    for place in places:
        assert axes_over_diagonals(gaps, place, place) == pytest.approx(1.0, abs=0.05)


# --- populations without sinks --------------------------------------------------------------------


@pytest.mark.validation
def test_caps_that_have_not_met_lose_contact_as_random_caps_do():
    """π (V/s)^(2/3) for each void, to 2 %, while they grow without meeting.

    2 % of the area is 1 % of the radius, a tenth of a cell.
    """
    given = setting(
        12.0, 0.125, flaws=0, medium=medium(), rounding_length_um=4.0, homogeneous=False
    )
    gaps = Gaps(given, np.random.default_rng(4))
    for place in np.ndindex(3, 3):
        x, y = (np.array(place) + 0.3 + 0.4 * gaps.rng.random(2)) * 4.0
        gaps._draw(x, y, given.volume_factor * 0.6**3)
    gaps.ledger.initial = gaps.in_voids_per_um2
    gaps._locate()
    for height in (0.1, 0.2):
        run(gaps, height / HEIGHT_um_s)
        names, count = labels(gaps.cover > 0)
        volume = np.bincount(names.ravel(), gaps.h_um.ravel())[1:] * given.pitch_um**2
        assert count == 9
        wanted = math.pi * float(((volume / given.volume_factor) ** (2 / 3)).sum())
        assert float(gaps.cover.sum()) * given.pitch_um**2 == pytest.approx(wanted, rel=0.02)


@pytest.mark.slow
@pytest.mark.validation
@pytest.mark.parametrize("flaws", [400, 1000])
def test_voids_that_round_off_at_once_are_a_breath_figure(flaws):
    """A little less than half of the contact goes, whatever the first density; widths follow it.

    Discs that fuse at once lose 0.50 to 0.54 and are 4.8 to 6.5 stripped heights wide. Here rims
    nearer than a cell have met, and a void needs time to round off. The band was set after runs, so
    that this keeps what is found and does not confirm the discs' figure. At 1000 flaws the width is
    6.7 heights, above their range.
    """
    given = setting(20.0, 0.2, flaws=flaws, medium=medium(), rounding_length_um=6.0)
    gaps = run(Gaps(given, np.random.default_rng(3)), 0.4 / HEIGHT_um_s)
    assert 1 - gaps.contact_fraction == pytest.approx(0.45, abs=0.04)
    inside = gaps.cover > 0.5
    chords = np.count_nonzero(inside & ~np.roll(inside, 1, axis=1))
    assert 4.8 < inside.sum() * 0.2 / chords / 0.4 < 7.0


@pytest.mark.slow
@pytest.mark.validation
def test_discs_at_once_are_the_limit_of_surface_diffusion():
    """`relaxation = "instant"` against ∂h/∂t = −B ∇⁴h with an R* of half the square (the oracle).

    With surface diffusion voids need time to round off: eighteen squares lose 0.007, 0.006, 0.022
    and 0.019 less contact (± 0.002 to 0.005) up to the height of 0.16. Equal flaws, and the mean of
    six squares: 0.02, which keeps that, and three standard errors of the mean of pairs.
    """
    heights = np.array([0.05, 0.08, 0.12, 0.16, 0.2, 0.3])
    lost = np.zeros((2, 6, len(heights)))
    for at_once, seed in np.ndindex(2, 6):
        more = {"rounding_length_um": 5.0, "round_at_once": bool(at_once)}
        given = setting(10.0, 0.2, flaws=100, medium=medium(), **more)
        gaps = Gaps(given, np.random.default_rng(seed))
        for k, height in enumerate(heights):
            run(gaps, height / HEIGHT_um_s)
            lost[at_once, seed, k] = 1 - gaps.contact_fraction
    less = lost[1] - lost[0]
    error = less.std(axis=0, ddof=1) / np.sqrt(len(less))
    assert (np.abs(less.mean(axis=0)) < 0.02 + 3 * error).all()
    assert (error < 0.015).all()


def test_voids_that_touch_become_a_disc_about_their_centre_of_volume():
    """Across the seam of the square; volume to rounding, place to a fifth of a cell."""
    given = setting(8.0, 0.1, flaws=0, medium=medium(), round_at_once=True)
    gaps = Gaps(given, np.random.default_rng(1))
    for x, radius in ((7.5, 0.8), (0.6, 0.4)):
        gaps._draw(x, 4.0, given.volume_factor * radius**3)
    gaps._locate()
    gaps.ledger.initial = gaps.in_voids_per_um2
    gaps.step(1e-3)
    voids = gaps_of(gaps.h_um, 8.0, gaps.parts)
    assert len(voids) == 1
    assert abs(imbalance(gaps)) < 1e-12
    (x,), (y,) = voids.centres_um()
    # From 7.5 the second lies 1.1 µm on; the mean of phases is that of places for small voids.
    assert (x, y) == pytest.approx((7.5 + 1.1 * 0.4**3 / (0.4**3 + 0.8**3), 4.0), abs=0.02)
    radius = math.sqrt(float(gaps.cover.sum()) * 0.01 / math.pi)
    assert radius == pytest.approx(np.cbrt(0.8**3 + 0.4**3), rel=0.01)


def test_a_void_as_wide_as_the_square_leaves_a_disc_of_contact():
    """One curvature outside a disc of contact: r h' = c (b² − r²)/2 integrated in a round cell.

    The area left at a volume to 2 %, which is half of what 5 % of the volume change it by.
    """
    edge = 8.0
    given = setting(edge, 0.08, flaws=0, medium=medium(), round_at_once=True)
    b, a = edge / math.sqrt(math.pi), 0.2 * edge
    r = np.linspace(a, b, 20001)
    slope = given.slope * a / (b * b - a * a) * (b * b - r * r) / r
    h = np.append(0.0, np.cumsum((slope[1:] + slope[:-1]) / 2 * (r[1] - r[0])))
    volume = float(np.trapezoid(2 * math.pi * r * h, r))
    gaps = Gaps(given, np.random.default_rng(1))
    gaps._draw(2.0, 4.0, volume)
    gaps.h_um[gaps.h_um > 0] = 1.0  # any shape will do, but for its centre and its volume
    gaps.h_um *= volume / gaps.h_um.sum() / given.pitch_um**2
    gaps._locate()
    gaps.ledger.initial = gaps.in_voids_per_um2
    gaps.step(1e-3)
    assert abs(imbalance(gaps)) < 1e-12
    assert gaps.contact_fraction * edge**2 == pytest.approx(math.pi * a * a, rel=0.02)
    place = np.exp(2j * np.pi * (np.arange(given.n_cells) + 0.5) / given.n_cells)
    centre = np.angle(((1 - gaps.cover) * place).sum()) % (2 * np.pi) * edge / (2 * np.pi)
    assert centre == pytest.approx(6.0, abs=0.1)
    gaps.h_um *= 1.3  # more than any disc of contact bears
    gaps._locate()
    gaps.step(1e-3)
    assert 0 < gaps.contact_fraction < 0.01


@pytest.mark.long
@pytest.mark.validation
def test_without_cells_voids_that_round_off_at_once_are_the_breath_figure_of_discs():
    """Rims nearer than a cell have met, an error of the first order in the cell.

    Without it the loss is in the 0.50 to 0.54, the width in the 4.8 to 6.5 heights of discs. Single
    squares scatter by 0.02 in the loss, so three of them within two standard errors of the mean.
    """
    height, losses, widths = 0.3, [], []
    for seed in (3, 4, 5):
        seen = []
        for cell_um in (0.2, 0.1):
            given = setting(20.0, cell_um, flaws=1000, medium=medium(), rounding_length_um=4.0)
            gaps = Gaps(given, np.random.default_rng(seed))
            for part in (1, 2, 3):
                run(gaps, part / 3 * height / HEIGHT_um_s)
            inside = gaps.cover > 0.5
            chords = np.count_nonzero(inside & ~np.roll(inside, 1, axis=1))
            seen.append((1 - gaps.contact_fraction, inside.sum() * cell_um / chords / height))
        coarse, fine = np.array(seen)
        losses.append([coarse[0], fine[0], 2 * fine[0] - coarse[0]])
        widths.append(2 * fine[1] - coarse[1])
    # As docs/upscaling.md prints them, to its last digit.
    assert np.mean(losses, axis=0) == pytest.approx([0.449, 0.488, 0.526], abs=0.001)
    error = float(np.std(losses, axis=0, ddof=1)[2]) / math.sqrt(3)
    assert error < 0.015  # keeps what was found, so that the next line can fail
    assert 0.50 - 2 * error < np.mean(losses, axis=0)[2] < 0.54 + 2 * error
    assert 4.8 < np.mean(widths) < 6.5


@pytest.mark.slow
@pytest.mark.validation
def test_voids_wider_than_R_star_lie_flat_before_they_meet():
    """`upscale_li` up to 0.002 mAh/cm² against random paraboloids of the volumes of its voids.

    With R* = 3 µm it loses what they cover, 1 − exp(−area), less 2 to 5 % with a standard error of
    2 %; with its own R* a tenth to a quarter more, which grows from the second charge on. Means of
    three squares of 64 µm², as one scatters by 3 %; 6 %, and the band of 1.1 to 1.3, keep what was
    found since voids have the volume of their caps.
    """
    charges = (2.5e-4, 5e-4, 1e-3, 2e-3)
    ratios = {}
    for R_star in (None, 3.0):
        changes = {"upscale.domain_um": 8.0}
        if R_star is not None:
            changes |= {"upscale.rounding_length_um": R_star, "upscale.grid_um": 0.05}
        given = prepare(load_run("upscale_li", changes)).setting
        squares = np.zeros((3, len(charges)))
        for seed in range(3):
            gaps = Gaps(given, np.random.default_rng(seed + 1))
            for k, charge in enumerate(charges):
                height = given.strip_per_um2_s * given.medium.site_volume_um3
                run(gaps, charge * 4.84 / height)
                names, _ = labels(gaps.cover > 0)
                drawn = np.bincount(names.ravel(), gaps.h_um.ravel())[1:] * given.pitch_um**2
                volume = np.concatenate([drawn, gaps.points.volume_um3])
                area = math.pi * ((volume / given.volume_factor) ** (2 / 3)).sum() / gaps.area_um2
                squares[seed, k] = (1 - gaps.contact_fraction) / -math.expm1(-area)
        ratios[R_star] = squares.mean(axis=0)
    assert ratios[3.0] == pytest.approx(np.ones(4), abs=0.06)
    assert (np.diff(ratios[None])[1:] > 0).all()
    assert 1.1 < ratios[None][-1] < 1.3


# --- grid and step --------------------------------------------------------------------------------


@functools.cache
def charges(cell_um: float, step: float = 1.0) -> np.ndarray:
    """Heights stripped when half and nine tenths of the contact are lost, µm; four squares' mean.

    One square scatters by some 5 %: the mean of two missed the 5 % of the tests by chance.

    `step` multiplies the limits of the time step.
    """
    found = []
    with pytest.MonkeyPatch.context() as patch:
        for name in ("_LINE_SHARE", "_GROWN_SHARE", "_SETTLING_SHARE"):
            patch.setattr(gaps_module, name, getattr(gaps_module, name) * step)
        for seed in (6, 7, 8, 9):
            gaps = Gaps(setting(15.0, cell_um, 36), np.random.default_rng(seed))
            course = [(0.0, 1.0)]
            while course[-1][1] > 0.1 and gaps.step(1e6):
                course.append((gaps.time_s * HEIGHT_um_s, gaps.contact_fraction))
            height, contact = np.array(course).T
            found.append(np.interp([-0.5, -0.1], -contact, height))
    return np.mean(found, axis=0)


@pytest.mark.slow
@pytest.mark.validation
def test_half_the_cell_changes_the_charges_by_less_than_five_percent():
    """5 % is what docs/upscaling.md states for cell and step."""
    assert charges(0.5) == pytest.approx(charges(0.25), rel=0.05)


@pytest.mark.slow
@pytest.mark.validation
def test_half_the_step_changes_the_charges_by_less_than_five_percent():
    """To the 5 % of the test before."""
    assert charges(0.25, step=0.5) == pytest.approx(charges(0.25), rel=0.05)


@pytest.mark.slow
@pytest.mark.validation
@pytest.mark.parametrize("cell_um", [0.5, 0.25])
def test_a_void_wider_than_R_star_stays_a_disc(cell_um):
    """From 6 to 10.7 µm, R* = 1.8 µm: its rim is as fast along axes as along diagonals, to ±2 %.

    The lip is 1.3 µm thick. The radius is that of cells of 0.15 µm to 1 %. Both, 2 % of the way of
    the rim and 1 % of the radius, are 0.1 µm: a fifth of the wider cell.
    """
    given = setting(60.0, cell_um, flaws=0, medium=medium(5.0), rounding_length_um=1.8)
    gaps = Gaps(given, np.random.default_rng(1))
    gaps._draw(30.0, 30.0, given.volume_factor * 6.0**3)
    gaps.ledger.initial = gaps.in_voids_per_um2
    gaps._locate()
    run(gaps, 9000.0)
    x = (np.arange(given.n_cells * 4) + 0.5) / 4 * cell_um - 30.0
    fine = gaps.cover.repeat(4, 0).repeat(4, 1)
    fourth = (fine * np.cos(4 * np.arctan2(x[:, None], x[None, :]))).sum() / fine.sum()
    radius = math.sqrt(float(gaps.cover.sum()) / math.pi) * cell_um
    assert radius == pytest.approx(10.69, rel=0.01)
    assert abs(fourth) * radius < 0.02 * (radius - 6.0)
