"""Voids against brute force, and against shapes whose measures are known."""

from __future__ import annotations

from collections import deque

import fake
import numpy as np
import pytest

from kmc.analysis import voids
from kmc.model.lattice import Lattice

LATTICES = ("bcc_100", "bcc_110", "bcc_111")
BOXES = [
    (name, cells, layers, boundary)
    for name in LATTICES
    for cells, layers in (((4, 4), 12), ((5, 7), 12))
    for boundary in ("interface", "periodic")
]


def breadth_first(occupancy, lattice) -> list[set[int]]:
    """Groups of vacant sites, one neighbour at a time, by distance alone."""
    reach = lattice.lattice_parameter_A * 1.001  # second neighbours lie at a
    vacant = set(np.flatnonzero(occupancy == 0).tolist())
    groups = []
    while vacant:
        queue, group = deque([min(vacant)]), set()
        vacant.discard(queue[0])
        while queue:
            site = queue.popleft()
            group.add(site)
            rest = np.array(sorted(vacant), dtype=int)
            if not len(rest):
                continue
            near = rest[lattice.distance_A(site, rest) < reach].tolist()
            vacant.difference_update(near)
            queue.extend(near)
        groups.append(group)
    return groups


@pytest.mark.parametrize(("name", "cells", "layers", "boundary"), BOXES)
@pytest.mark.parametrize("fraction", [0.03, 0.12, 0.2])
def test_groups_equal_brute_force(name, cells, layers, boundary, fraction):
    box = fake.lattice(name, cells, layers, boundary)
    rng = np.random.default_rng(len(name) + layers + int(100 * fraction))
    occupancy = np.where(rng.random(box.n_sites) < fraction, 0, 1).astype(np.uint8)
    labels, n_groups = voids.label(occupancy, box)
    expected = breadth_first(occupancy, box)  # in the order of their first sites, as promised
    assert n_groups == len(expected)
    for number, group in enumerate(expected, start=1):
        assert set(np.flatnonzero(labels == number)) == group
    assert np.all((labels > 0) == (occupancy == 0))

    found = voids.find(occupancy, box, min_size=3)
    sizes = sorted((len(group) for group in expected if len(group) >= 3), reverse=True)
    assert found.volume.tolist() == sizes
    assert found.n_vacancies == np.sum(occupancy == 0)
    assert found.n_outside == found.n_vacancies - sum(sizes)
    for void in found:
        members = np.flatnonzero(found.labels == void.label)
        assert void.volume == len(members)
        in_L1 = int(np.sum(box.layer[members] == 1)) if boundary == "interface" else 0
        assert void.contact_sites == in_L1
        assert void.contact_area_nm2 == pytest.approx(in_L1 * box.site_area_A2 / 100)


@pytest.mark.parametrize("name", LATTICES)
def test_measures_of_a_slab_and_a_hemisphere(name):
    box = fake.lattice(name, (24, 24), 36)
    slab = np.where(box.layer <= 3, 0, 1).astype(np.uint8)
    [void] = voids.find(slab, box)
    area_nm2 = box.box_A[0] * box.box_A[1] / 100
    assert void.contact_area_nm2 == pytest.approx(area_nm2)
    assert void.width_nm == pytest.approx(2 * np.sqrt(area_nm2 / np.pi))
    assert void.height_nm == pytest.approx(3 * box.layer_spacing_A / 10)
    assert void.volume_nm3 == pytest.approx(void.height_nm * area_nm2)

    radius = 22.0
    offset = box.positions_A[:, :2]
    offset = offset - box.box_A[:2] * np.round(offset / box.box_A[:2])  # around a corner of the box
    distance = np.sqrt((offset**2).sum(axis=1) + box.positions_A[:, 2] ** 2)
    [void] = voids.find(np.where(distance < radius, 0, 1).astype(np.uint8), box)
    assert void.width_nm == pytest.approx(2 * radius / 10, rel=0.03)
    assert void.height_nm == pytest.approx(radius / 10, rel=0.12)
    half_layer = (
        np.pi * radius**2 * box.layer_spacing_A / 2
    )  # L1 sites stand for half a layer below
    volume_A3 = 2 / 3 * np.pi * radius**3 + half_layer
    assert void.volume_nm3 == pytest.approx(volume_A3 / 1000, rel=0.04)


def test_periodic_height_goes_over_the_boundary():
    box = fake.lattice(boundary="periodic", layers=12)
    occupancy = np.where((box.layer <= 2) | (box.layer >= 12), 0, 1).astype(np.uint8)
    [void] = voids.find(occupancy, box)
    assert void.height_nm == pytest.approx(3 * box.layer_spacing_A / 10)
    assert void.contact_sites == 0
    [everything] = voids.find(np.zeros(box.n_sites, np.uint8), box)
    assert everything.height_nm == pytest.approx(12 * box.layer_spacing_A / 10)


def test_nothing_and_little():
    box = fake.lattice()
    occupancy = np.ones(box.n_sites, dtype=np.uint8)
    none = voids.find(occupancy, box)
    assert len(none) == 0
    assert list(none) == []
    assert none.labels.max() == 0
    assert repr(none) == "Voids: none of 4 sites or more; 0 of 0 vacancies outside voids"
    with pytest.raises(IndexError, match="there are 0"):
        _ = none[0]
    occupancy[[5, 300]] = 0
    assert voids.find(occupancy, box).n_outside == 2
    assert len(voids.find(occupancy, box, min_size=1)) == 2
    with pytest.raises(ValueError, match="occupancy has shape"):
        voids.find(occupancy[:-1], box)


def test_order_and_repr():
    box = fake.lattice(cells=(16, 16), layers=12)
    found = voids.find(fake.stripped(box, 1.0, seed=3), box, min_size=1)
    assert found.volume.tolist() == sorted(found.volume, reverse=True)
    assert found[-1] == list(found)[-1]
    assert found[0].label == 1
    assert f"Voids: {len(found)} of 1 sites or more" in repr(found)


@pytest.mark.parametrize(("name", "step"), [("bcc_100", 2), ("bcc_110", 2), ("bcc_111", 3)])
def test_gap_height(name, step):
    box = fake.lattice(name, (5, 5), 12)
    straight_up = box.positions_A.reshape(12, -1, 3)
    np.testing.assert_allclose(straight_up[step, :, :2], straight_up[0, :, :2], atol=1e-9)
    n = box.sites_per_layer
    occupancy = np.ones(box.n_sites, dtype=np.uint8)
    occupancy[3] = 0  # one layer, then metal straight above
    occupancy[[7, 7 + step * n]] = 0
    occupancy[9 + n] = 0  # in L2 alone: in contact
    occupancy[11::n] = 0  # open up to the reservoir
    height = voids.open_height_nm(occupancy, box)
    gap = step * box.layer_spacing_A / 10
    expected = np.zeros(n)
    expected[[3, 7, 11]] = gap, 2 * gap, 12 // step * gap
    np.testing.assert_allclose(height, expected)


def test_the_work_grows_with_the_vacancies_not_with_the_box(monkeypatch):
    """Neighbours are asked for once a shell, of vacancies alone."""
    box = fake.lattice(cells=(60, 60), layers=26)
    occupancy = (np.random.default_rng(1).random(box.n_sites) > 0.05).astype(np.uint8)
    asked = []
    neighbours = Lattice.neighbours

    def counted(self, sites, shell):
        asked.append(np.size(sites))
        return neighbours(self, sites, shell)

    monkeypatch.setattr(Lattice, "neighbours", counted)
    voids.find(occupancy, box)
    assert sum(asked) == 2 * np.count_nonzero(occupancy == 0)


# --- shapes ---------------------------------------------------------------------------------------


def cap(box, centre_A, radius_A, angle_deg):
    """Occupancy with a spherical cap of that metal angle at the interface."""
    offset = box.positions_A[:, :2] - np.asarray(centre_A)
    offset = offset - box.box_A[:2] * np.round(offset / box.box_A[:2])
    height = box.positions_A[:, 2] - np.cos(np.radians(angle_deg)) * radius_A
    inside = (offset**2).sum(axis=1) + height**2 < radius_A**2
    return np.where(inside, 0, 1).astype(np.uint8)


@pytest.mark.parametrize("name", LATTICES)
@pytest.mark.parametrize("angle", [60.0, 93.6, 120.0])
def test_wetting_angle_of_caps(name, angle):
    """Metal angle θ: the centre of the sphere lies cos θ R above L1."""
    box = fake.lattice(name, (26, 26), 60)
    [void] = voids.find(cap(box, (0.0, 20.0), 30.0, angle), box)
    assert void.wetting_angle_deg == pytest.approx(angle, abs=6)
    assert void.aspect_ratio == pytest.approx(void.height_nm / void.width_nm)


def test_wetting_angle_is_left_out_where_it_means_nothing():
    box = fake.lattice("bcc_100", (12, 12), 12)
    small = np.ones(box.n_sites, dtype=np.uint8)
    small[[0, 1, 2, 3, 4]] = 0
    [void] = voids.find(small, box)
    assert np.isnan(void.wetting_angle_deg)
    around = np.where((box.layer <= 2) & (box.positions_A[:, 1] < 12), 0, 1).astype(np.uint8)
    [void] = voids.find(around, box)
    assert np.isnan(void.wetting_angle_deg)  # closed around the box along x
    assert void.extent_x_nm == pytest.approx(box.box_A[0] / 10)
    assert void.extent_y_nm < box.box_A[1] / 20


@pytest.mark.parametrize("name", LATTICES)
@pytest.mark.parametrize("boundary", ["interface", "periodic"])
def test_centroid_and_extent_follow_a_void_over_the_edges(name, boundary):
    box = fake.lattice(name, (14, 14), 24, boundary)
    radius = 9.0

    def measured(site):
        delta = box.positions_A - box.positions_A[site]
        axes = 3 if boundary == "periodic" else 2
        delta[:, :axes] -= box.box_A[:axes] * np.round(delta[:, :axes] / box.box_A[:axes])
        occupancy = np.where((delta**2).sum(axis=1) < radius**2, 0, 1).astype(np.uint8)
        [void] = voids.find(occupancy, box)
        return void

    middle = box.sites_per_layer * 12 + box.sites_per_layer // 2
    reference = measured(middle)
    layers = 0 if boundary == "periodic" else 12
    for in_plane in (0, box.sites_per_layer - box.unit_cell.sites_per_layer_cell):
        site = layers * box.sites_per_layer + in_plane
        void = measured(site)
        assert void.volume == reference.volume
        assert void.extent_x_nm == pytest.approx(reference.extent_x_nm)
        assert void.extent_y_nm == pytest.approx(reference.extent_y_nm)
        away = np.array([void.x_nm, void.y_nm, void.z_nm]) - box.positions_A[site] / 10
        edges = box.box_A / 10
        away -= edges * np.round(away / edges)
        np.testing.assert_allclose(away, 0, atol=1e-6)


@pytest.mark.parametrize("bulge", [0, 3, 9, 13])
def test_centroid_of_a_void_that_spans_the_box(bulge):
    """A channel along x through the whole box, wider around one place: there its centroid lies."""
    box = fake.lattice("bcc_100", (14, 14), 24)
    x, y, z = (box.positions_A / box.lattice_parameter_A).T
    along = np.abs(x - bulge)
    along = np.minimum(along, 14 - along)  # periodic, so that the bulge is symmetric about itself
    width = np.where(along < 3, 3, 1)
    away = np.abs(y - 6)
    occupancy = np.where((away <= width) & (z < 2), 0, 1).astype(np.uint8)
    [void] = voids.find(occupancy, box)
    assert void.extent_x_nm == pytest.approx(box.box_A[0] / 10)
    offset = void.x_nm * 10 / box.lattice_parameter_A - bulge
    assert abs(offset - 14 * round(offset / 14)) < 0.01
    assert void.y_nm * 10 / box.lattice_parameter_A == pytest.approx(6, abs=0.01)


def test_lone_vacancies_and_small_clusters_are_counted_apart():
    box = fake.lattice(cells=(12, 12), layers=12)
    occupancy = np.ones(box.n_sites, dtype=np.uint8)
    occupancy[[0, 1]] = 0  # second neighbours
    occupancy[[60, 400]] = 0
    far = box.sites_per_layer * 8
    occupancy[far : far + 5] = 0
    found = voids.find(occupancy, box)
    assert (len(found), found.n_lone, found.n_small_clusters) == (1, 2, 1)
    assert found.n_outside == 4
