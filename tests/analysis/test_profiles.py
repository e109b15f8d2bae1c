"""Profiles against counting by hand, and against randomness."""

from __future__ import annotations

import fake
import numpy as np
import pytest

import kmc
from kmc import load
from kmc.analysis.profiles import vacancies_around_mg
from kmc.errors import InputError


@pytest.fixture(scope="module")
def alloy(tmp_path_factory):
    path = tmp_path_factory.mktemp("profiles") / "t.h5"
    box = fake.lattice(cells=(16, 16), layers=12)
    return load(fake.write(path, box=box, species=("Li", "Mg")))


def test_fractions_are_counted(alloy):
    profiles = kmc.profiles(alloy)
    n = alloy.lattice.sites_per_layer
    for frame in alloy.frames:
        layers = frame.occupancy.reshape(-1, n)
        rows = profiles.table[profiles.table.frame == frame.index]
        assert rows.layer.tolist() == list(range(1, 13))
        mg, vacant = (layers == 2).sum(axis=1), (layers == 0).sum(axis=1)
        np.testing.assert_allclose(rows.vacancy_fraction, vacant / n)
        np.testing.assert_allclose(rows.mg_per_site, mg / n)
        np.testing.assert_allclose(rows.mg_fraction, mg / (n - vacant))
        bulk = layers[8:]  # the upper third
        np.testing.assert_allclose(rows.mg_relative, mg / n / np.mean(bulk == 2))
        in_metal = np.sum(bulk == 2) / np.sum(bulk != 0)
        np.testing.assert_allclose(rows.mg_enrichment, mg / (n - vacant) / in_metal)
        last = profiles.interface.iloc[frame.index]
        assert last.mg_coverage + last.li_coverage + last.vacancy_coverage == pytest.approx(1)
        assert last.mg_coverage == pytest.approx(mg[0] / n)
        assert last.mg_enrichment_L1 == pytest.approx(rows.mg_enrichment.iloc[0])
        excess = (mg.sum() - in_metal * (layers != 0).sum()) / (n * 0.3506**2)
        assert last.mg_excess_nm2 == pytest.approx(excess)
    np.testing.assert_allclose(profiles.table.z_nm[:12], np.arange(12) * 0.1753)
    assert profiles.bulk_layers == (9, 12)
    assert "L9 to L12" in repr(profiles)


def test_roughness(tmp_path):
    """Half of L1 open by one step of two layers: mean half of it, and so is the roughness."""
    from kmc.analysis.voids import open_height_nm

    box = fake.lattice()
    occupancy = np.ones(box.n_sites, dtype=np.uint8)
    occupancy[: box.sites_per_layer // 2] = 0
    height = open_height_nm(occupancy, box)
    assert height.mean() == pytest.approx(0.3506 / 2)
    assert height.std() == pytest.approx(0.3506 / 2)


def test_no_mg_and_no_interface(tmp_path):
    pure = kmc.profiles(load(fake.write(tmp_path / "pure.h5")), frames=[0, -1])
    assert len(pure) == 2
    assert (pure.table.mg_fraction == 0).all()
    assert pure.table.mg_relative.isna().all()
    box = fake.lattice(boundary="periodic")
    periodic = kmc.profiles(load(fake.write(tmp_path / "p.h5", box=box)))
    assert periodic.interface.mg_coverage.isna().all()
    assert periodic.interface.roughness_nm.isna().all()
    assert periodic.bulk_layers == (1, 8)
    with pytest.raises(InputError, match="bulk_layers"):
        kmc.profiles(load(tmp_path / "p.h5"), bulk_layers=(0, 4))


@pytest.mark.parametrize("name", ["bcc_100", "bcc_110", "bcc_111"])
@pytest.mark.parametrize("boundary", ["interface", "periodic"])
def test_pairs_equal_brute_force(name, boundary):
    box = fake.lattice(name, (8, 8), 18, boundary)
    rng = np.random.default_rng(4)
    occupancy = rng.choice([0, 1, 2], box.n_sites, p=[0.1, 0.7, 0.2]).astype(np.uint8)
    found = vacancies_around_mg(occupancy, box, 0.8)
    mg, vacant = np.flatnonzero(occupancy == 2), np.flatnonzero(occupancy == 0)
    distance = np.concatenate([box.distance_A(i, vacant) for i in mg]) / 10
    for row in found.itertuples():
        assert row.pairs == np.sum(np.abs(distance - row.r_nm) < 1e-6)
    share = np.bincount(box.layer[vacant] - 1, minlength=box.layers) / box.sites_per_layer
    table = box.neighbours(mg, 1)
    expected = share[(table // box.sites_per_layer)[table >= 0]].sum()
    assert found.expected[0] == pytest.approx(expected)
    assert found.r_nm[:3].tolist() == pytest.approx(
        [0.3506 * np.sqrt(3) / 2, 0.3506, 0.3506 * np.sqrt(2)]
    )


def test_randomness_has_no_preference_and_repulsion_shows():
    """60 000 pairs and more at each distance: g = 1 within 4 standard errors."""
    box = fake.lattice("bcc_100", (24, 24), 24)
    rng = np.random.default_rng(11)
    share = np.where(box.layer == 1, 0.3, 0.04)  # vacancies prefer L1: g does not show it
    occupancy = np.where(rng.random(box.n_sites) < 0.2, 2, 1)
    occupancy[rng.random(box.n_sites) < share] = 0
    g = vacancies_around_mg(occupancy, box)
    assert (np.abs(g.g - 1) < 4 * g.g_error).all()
    near = box.neighbours(np.flatnonzero(occupancy == 0), 1)
    beside = near[(near >= 0) & (occupancy[near] == 2)]
    occupancy[beside] = 1
    assert vacancies_around_mg(occupancy, box).g[0] == 0


def test_radial_of_a_frame(alloy):
    profiles = kmc.profiles(alloy)
    expected = vacancies_around_mg(alloy.frames[-1].occupancy, alloy.lattice)
    assert profiles.radial().equals(expected)
    with pytest.raises(InputError, match="half of the box"):
        profiles.radial(r_max_nm=5)
