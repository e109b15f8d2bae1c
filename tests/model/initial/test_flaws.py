"""Flaws at the start: how many, where, how large, and that nothing else depends on them."""

from __future__ import annotations

import numpy as np
import pytest

from kmc.model.initial import flaws
from kmc.model.lattice import Lattice
from kmc.runfile.sections import Interface

LATTICES = ("bcc_100", "bcc_110", "bcc_111")
A = 3.506


def box(name="bcc_100", cells=(40, 40), layers=24) -> Lattice:
    return Lattice(name, cells, layers, "interface", A)


def drawn(section: Interface, seed=1, lattice=None):
    return flaws.draw_flaws(section, lattice or box(), np.random.SeedSequence(seed))


# --- geometry -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LATTICES)
def test_a_disc_has_its_area(name):
    """Mean over places: a site belongs to the disc exactly if it lies within its radius."""
    lattice = box(name, (24, 24), 12)
    places = np.random.default_rng(1).random((200, 2)) * lattice.box_A[:2] / 10
    sizes = [len(flaws.disc_sites(lattice, x, y, 1.5)) for x, y in places]
    area = np.mean(sizes) * lattice.site_area_A2 / 100
    # Single discs scatter by about 5 % on these nets, and their mean by 0.35 %.
    assert area == pytest.approx(np.pi * 1.5**2, rel=0.02)


@pytest.mark.parametrize("name", LATTICES)
@pytest.mark.parametrize(("radius", "height"), [(2.0, 0.8), (2.0, 2.0), (1.2, 2.2)])
def test_a_cap_has_its_volume_within_the_discreteness_of_the_lattice(name, radius, height):
    """Flat, hemispherical and bulging; the mean over places removes the lattice's in-plane noise.

    Along z a layer stands for the slab around it: the midpoint rule, whose error for a cap of
    eight layers or so is below 2 %; the flat cap on bcc (100) has four.
    """
    lattice = box(name, (24, 24), 40)
    places = np.random.default_rng(2).random((60, 2)) * lattice.box_A[:2] / 10
    sizes = [len(flaws.cap_sites(lattice, x, y, radius, height)) for x, y in places]
    site_nm3 = lattice.site_area_A2 * lattice.layer_spacing_A / 1000
    volume = np.mean(sizes) * site_nm3
    cap = np.pi * height * (3 * radius**2 + height**2) / 6
    assert volume == pytest.approx(cap, rel=0.04)


def test_a_cap_stands_on_the_interface_and_is_round():
    lattice = box()
    sites = flaws.cap_sites(lattice, 7.0, 7.0, 2.0, 1.2)
    x, y, z = (lattice.positions_A[sites] / 10).T
    spacing = lattice.layer_spacing_A / 10
    assert z.min() == 0
    assert 1.2 - 2 * spacing < z.max() + spacing / 2 < 1.2 + 1e-9
    sphere = (2.0**2 + 1.2**2) / 2.4
    centre = 1.2 - sphere - spacing / 2
    assert np.all((x - 7) ** 2 + (y - 7) ** 2 + (z - centre) ** 2 <= sphere**2 + 1e-9)


@pytest.mark.parametrize("name", LATTICES)
def test_flaws_reach_over_the_periodic_edges(name):
    lattice = box(name, (24, 24), 12)
    edges = lattice.box_A[:2] / 10
    for sites in (
        lambda x, y: flaws.disc_sites(lattice, x, y, 1.5),
        lambda x, y: flaws.cap_sites(lattice, x, y, 1.5, 1.0),
    ):
        assert np.array_equal(sites(0.3, 0.2), sites(0.3 + edges[0], 0.2 - edges[1]))


# --- number and places ----------------------------------------------------------------------------


@pytest.mark.validation
def test_the_number_is_poisson_with_the_mean_of_the_density():
    """400 seeds, mean 1.97: mean and variance within 4 standard errors."""
    section = Interface(
        patch_density_per_um2=1e4,
        patch_radius_nm=1.0,
        void_density_per_um2=1e4,
        void_radius_nm=1.0,
        void_height_nm=0.5,
    )
    lattice = box()
    mean = 1e4 * lattice.box_A[0] * lattice.box_A[1] / 1e8
    assert mean == pytest.approx(flaws.expected(1e4, lattice)) == pytest.approx(1.967, abs=1e-3)
    found = [drawn(section, seed, lattice) for seed in range(400)]
    for numbers in ([len(f.patches_nm) for f in found], [len(f.voids_nm) for f in found]):
        assert abs(np.mean(numbers) - mean) < 4 * np.sqrt(mean / 400)
        # var of the sample variance of a Poisson variable: (μ + 2 μ²)/n
        assert abs(np.var(numbers) - mean) < 4 * np.sqrt((mean + 2 * mean**2) / 400)
    x = np.concatenate([f.patches_nm[:, 0] for f in found]) / (lattice.box_A[0] / 10)
    assert abs(x.mean() - 0.5) < 4 * np.sqrt(1 / 12 / len(x))


def test_the_same_seed_draws_the_same_flaws():
    section = Interface(patch_density_per_um2=2e4, patch_radius_nm=1.0)
    one, two, other = drawn(section, 3), drawn(section, 3), drawn(section, 4)
    assert np.array_equal(one.patches_nm, two.patches_nm)
    assert np.array_equal(one.sites, two.sites)
    assert not np.array_equal(one.sites, other.sites)


def test_voids_do_not_depend_on_patches():
    voids = {"void_density_per_um2": 2e4, "void_radius_nm": 1.0, "void_height_nm": 0.5}
    alone = drawn(Interface(**voids), 3)
    both = drawn(Interface(**voids, patch_density_per_um2=2e4, patch_radius_nm=1.0), 3)
    assert len(alone.voids_nm)
    assert np.array_equal(alone.voids_nm, both.voids_nm)


def test_flaws_at_stated_places():
    found = drawn(Interface(patches=[[3, 4, 1.0]], voids=[[8, 8, 1.5, 0.7], [2, 11, 1, 1]]))
    assert found.patches_nm.tolist() == [[3, 4, 1]]
    assert found.voids_nm.tolist() == [[8, 8, 1.5, 0.7], [2, 11, 1, 1]]
    lattice = box()
    wanted = {
        *flaws.disc_sites(lattice, 3, 4, 1.0),
        *flaws.cap_sites(lattice, 8, 8, 1.5, 0.7),
        *flaws.cap_sites(lattice, 2, 11, 1, 1),
    }
    assert set(found.sites) == wanted
    assert found.resolved()["vacant_sites"] == len(found.sites) == len(wanted)


def test_overlapping_flaws_count_their_sites_once():
    found = drawn(Interface(patches=[[5, 5, 1.0], [5, 5, 1.0]]))
    assert len(found.sites) == len(flaws.disc_sites(box(), 5, 5, 1.0))


def test_no_flaws():
    found = drawn(Interface())
    assert found.sites.size == 0
    assert found.resolved() == {"patches": [], "voids": [], "vacant_sites": 0}
