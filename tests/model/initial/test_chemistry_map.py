"""Maps of chemistries: fractions to the site, the correlation length, masks in their place."""

from __future__ import annotations

import numpy as np
import pytest

from kmc.model.initial import chemistry_map as cm
from kmc.model.lattice import Lattice

LATTICES = ("bcc_100", "bcc_110", "bcc_111")


def box(name="bcc_100", cells=(40, 40)) -> Lattice:
    return Lattice(name, cells, 12, "interface", 3.506)


@pytest.mark.parametrize("name", LATTICES)
@pytest.mark.parametrize("length", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("fractions", [(0.2,), (0.5, 0.3), (1 / 3, 1 / 3, 1 / 3), (0.0,), (1.0,)])
def test_fractions_are_met_to_the_site(name, length, fractions):
    lattice = box(name, (20, 14))
    drawn = cm.random_map(lattice, fractions, length, np.random.default_rng(1))
    n = lattice.sites_per_layer
    assert drawn.dtype == np.uint8
    assert drawn.shape == (n,)
    counts = np.bincount(drawn, minlength=len(fractions) + 1)
    assert np.all(np.abs(counts[1:] - np.array(fractions) * n) < 1)
    assert abs(counts[0] - (1 - sum(fractions)) * n) <= 0.5 + 1e-9


def test_the_same_generator_draws_the_same_map():
    maps = [cm.random_map(box(), (0.3,), 2.0, np.random.default_rng(s)) for s in (1, 1, 2)]
    assert np.array_equal(maps[0], maps[1])
    assert not np.array_equal(maps[0], maps[2])


@pytest.mark.slow
@pytest.mark.validation
@pytest.mark.parametrize("name", LATTICES)
def test_the_field_falls_off_as_a_gaussian_of_the_correlation_length(name):
    """exp(−r²/ξ²), ξ = 1.5 nm, over 1000 fields; 0.03 is at least four standard errors."""
    lattice, rng = box(name, (24, 24) if name == "bcc_100" else (16, 14)), np.random.default_rng(5)
    places = lattice.positions_A[: lattice.sites_per_layer, :2] / 10
    edges = lattice.box_A[:2] / 10
    delta = places[None, :, :] - places[:, None, :]
    delta -= edges * np.round(delta / edges)
    apart = np.hypot(delta[..., 0], delta[..., 1])
    fields = np.array([cm.random_field(lattice, 1.5, rng) for _ in range(1000)])
    product = fields.T @ fields / (fields**2).sum(axis=0).mean()
    for distance in (0.5, 1.0, 1.5, 2.0, 3.0):
        near = np.abs(apart - distance) < 0.18
        expected = np.exp(-((apart[near] / 1.5) ** 2)).mean()
        assert product[near].mean() == pytest.approx(expected, abs=0.03), distance


def autocorrelation(drawn: np.ndarray, n: int) -> np.ndarray:
    """Two-point function of a map on bcc (100) along x, steps of one lattice parameter."""
    centred = drawn.reshape(n, n) - drawn.mean()
    full = np.fft.ifft2(np.abs(np.fft.fft2(centred)) ** 2).real
    return full[0] / full[0, 0]


@pytest.mark.validation
def test_the_map_follows_the_arcsine_law():
    """Half of the sites: (2/π) arcsin exp(−r²/ξ²) (Van Vleck and Middleton), ξ = 1.5 nm.

    60 maps of 28 nm: the standard error is below 0.008 at every distance, and fixing the fraction
    to the site lowers all values by the mean of the function over the box, below 0.01.
    """
    n, rng = 80, np.random.default_rng(6)
    lattice = box("bcc_100", (n, n))
    maps = [cm.random_map(lattice, (0.5,), 1.5, rng) for _ in range(60)]
    measured = np.mean([autocorrelation(one.astype(float), n) for one in maps], axis=0)[1:12]
    r = np.arange(1, 12) * 0.3506

    def law(length):
        return 2 / np.pi * np.arcsin(np.exp(-((r / length) ** 2)))

    assert measured == pytest.approx(law(1.5), abs=0.03)
    # A length 10 % off would be told apart.
    assert np.abs(measured - law(1.65)).max() > 0.04
    assert np.abs(measured - law(1.35)).max() > 0.04


def test_without_a_length_each_site_is_drawn_by_itself():
    """No correlation between neighbours: 40 maps of 576 sites, four standard errors."""
    n, rng = 24, np.random.default_rng(7)
    lattice = box("bcc_100", (n, n))
    maps = [cm.random_map(lattice, (0.3,), 0.0, rng) for _ in range(40)]
    beside = [autocorrelation(one.astype(float), n)[1] for one in maps]
    assert abs(np.mean(beside) + 1 / n**2) < 4 / np.sqrt(40 * n**2)


def test_a_chemistry_does_not_depend_on_those_listed_after_it():
    one = cm.random_map(box(), (0.2,), 2.0, np.random.default_rng(3))
    two = cm.random_map(box(), (0.2, 0.3), 2.0, np.random.default_rng(3))
    assert np.array_equal(one == 1, two == 1)


# --- masks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LATTICES)
def test_a_mask_is_stretched_over_the_box(name):
    lattice = box(name, (12, 10))
    mask = np.array([[0, 1, 2], [3, 0, 1]], dtype=np.uint8)
    found = cm.map_from_mask(lattice, mask)
    x, y = (lattice.positions_A[: lattice.sites_per_layer, :2] / lattice.box_A[:2]).T
    for value, at_x, at_y in zip(found, x, y, strict=True):
        row, column = int(at_y * 2 + 1e-9), int(at_x * 3 + 1e-9)
        assert value == mask[row, column]


def test_a_mask_of_one_pixel_a_site_is_itself():
    lattice = box("bcc_100", (9, 7))
    mask = np.random.default_rng(1).integers(0, 2, (7, 9)).astype(np.uint8)
    assert np.array_equal(cm.map_from_mask(lattice, mask), mask.ravel())
