"""Spreading resistance of contact maps, against Holm, a flux tube, Greenwood, dense algebra."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kmc.model.constriction import Rim, Spreading
from kmc.model.lattice import Lattice

FACES = ("bcc_100", "bcc_110", "bcc_111")


def interface(name="bcc_100", n=40) -> Lattice:
    return Lattice(name, (n, n), 12, "interface", 3.506)


def distances(lattice: Lattice, x: float, y: float) -> np.ndarray:
    """Of the sites of L1 from a point, given in parts of the box, over the periodic images."""
    box = lattice.box_A[:2]
    d = lattice.positions_A[: lattice.sites_per_layer, :2] - np.array([x, y]) * box
    return np.hypot(*(d - box * np.round(d / box)).T)


def area_A2(lattice: Lattice) -> float:
    return float(lattice.box_A[0] * lattice.box_A[1])


@pytest.mark.parametrize("name", FACES)
def test_full_contact_costs_nothing_and_none_everything(name):
    lattice = interface(name, 8)
    spreading = Spreading(lattice)
    n = lattice.sites_per_layer
    assert spreading.length_A(np.ones(n, dtype=bool)) == 0.0
    assert spreading.length_A(np.zeros(n, dtype=bool)) == math.inf
    # Uniform current through all tiles has no waves: what is computed vanishes too.
    total = spreading._currents(spreading._grid).sum()
    assert 1 / total == pytest.approx(spreading._shift_A, rel=1e-9)


@pytest.mark.parametrize("name", FACES)
@pytest.mark.parametrize("share", [0.05, 0.1, 0.2])
def test_one_round_spot_in_a_flux_tube(name, share):
    """Holm's 1/(4 κ a) times (1 − sqrt(c))^1.5 (Cooper, Mikic and Yovanovich, Int. J. Heat Mass
    Transfer, 1969, "Thermal contact conductance"), for the area of the spot as it is.

    5 %: the formula is for a round tube and itself good to a few per cent, and the rim of a spot
    consists of sites. Where the box is oblong, as on (110) and (111), the tube is further from
    round: cut to a box near square here.
    """
    cells = {"bcc_100": (40, 40), "bcc_110": (58, 41), "bcc_111": (45, 26)}[name]
    lattice = Lattice(name, cells, 12, "interface", 3.506)
    contact = distances(lattice, 0.5, 0.5) < share * lattice.box_A[:2].min()
    a = math.sqrt(contact.sum() * lattice.site_area_A2 / math.pi)
    expected = area_A2(lattice) / (4 * a) * (1 - math.sqrt(contact.mean())) ** 1.5
    assert Spreading(lattice).length_A(contact) == pytest.approx(expected, rel=0.05)


def test_many_spots_against_greenwood():
    """R = 1/(4 κ Σa) + Σ a_i a_j/s_ij /(2 π κ (Σa)²), i ≠ j, for a cluster of spots.

    Greenwood's formula is for an unbounded plane. The potential of the periodic images, less that
    of a uniform sheet, is taken from the map of one spot of the size of the cluster: difference
    between the two clusters' resistances is compared, in which it cancels to first order.
    """
    lattice = interface(n=96)
    spreading, area = Spreading(lattice), area_A2(lattice)

    def both(gap):
        places = [(0.5 + i * gap, 0.5 + j * gap) for i in (-1, 0, 1) for j in (-1, 0, 1)]
        spots = [distances(lattice, x, y) < 2.6 * lattice.lattice_parameter_A for x, y in places]
        contact = np.any(spots, axis=0)
        a = np.sqrt([s.sum() * lattice.site_area_A2 / math.pi for s in spots])
        at = np.array(places) * lattice.box_A[:2]
        s = np.linalg.norm(at[:, None] - at[None], axis=-1)
        np.fill_diagonal(s, np.inf)
        interaction = (np.outer(a, a) / s).sum() / (2 * math.pi * a.sum() ** 2)
        return spreading.length_A(contact), area * (1 / (4 * a.sum()) + interaction)

    near, near_greenwood = both(8 / 96)
    far, far_greenwood = both(14 / 96)
    assert near - far == pytest.approx(near_greenwood - far_greenwood, rel=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("name", FACES)
def test_the_sum_over_waves_solved_densely(name):
    """The same equations with a full matrix, each wave summed by itself, on a small box."""
    lattice = interface(name, 6)
    n = lattice.sites_per_layer
    contact = np.random.default_rng(3).random(n) < 0.4
    spreading = Spreading(lattice)
    cell = lattice.unit_cell
    edges = cell.edges[:2] * lattice.lattice_parameter_A
    tile = edges.copy()
    if cell.sites_per_layer_cell == 2:
        tile = min((edges / (1, 2), edges / (2, 1)), key=lambda t: max(t) / min(t))
    xy, box = lattice.positions_A[:n, :2], lattice.box_A[:2]
    per_cell = 2 if cell.sites_per_layer_cell == 2 else 1
    reach = 6 * per_cell * 4 + 6 * per_cell // 2
    matrix = np.zeros((n, n))
    for i in range(-reach, reach):
        for j in range(-reach, reach):
            k = 2 * np.pi * np.array([i, j]) / box
            if i or j:
                shape = np.prod(np.sinc(k * tile / (2 * np.pi))) ** 2 / np.hypot(*k)
                phase = xy @ k
                matrix += shape * np.cos(phase[:, None] - phase[None])
    matrix = matrix[np.ix_(contact, contact)]
    currents = np.linalg.solve(matrix + 1.0, np.ones(len(matrix)))
    currents /= currents.sum()
    # The two sums end at waves a half grid apart, which is worth up to 1e-3 of a site's own term.
    assert spreading.length_A(contact) == pytest.approx(currents @ matrix @ currents, rel=2e-3)


@pytest.mark.slow
@pytest.mark.parametrize("name", FACES)
def test_losing_a_site_never_lowers_the_resistance(name):
    lattice = interface(name, 12)
    spreading = Spreading(lattice)
    n = lattice.sites_per_layer
    contact = np.ones(n, dtype=bool)
    before = 0.0
    for site in np.random.default_rng(1).permutation(n)[:-1]:
        contact[site] = False
        now = spreading.length_A(contact)
        assert now >= before * (1 - 1e-6)
        before = now


def test_where_the_box_begins_does_not_matter():
    lattice = interface(n=12)
    contact = np.random.default_rng(2).random((12, 12)) < 0.6
    spreading = Spreading(lattice)
    rolled = np.roll(contact, (5, 3), axis=(0, 1))
    expected = spreading.length_A(contact.ravel())
    assert spreading.length_A(rolled.ravel()) == pytest.approx(expected, rel=1e-6)
    twice = np.tile(contact, (2, 2))
    assert Spreading(interface(n=24)).length_A(twice.ravel()) == pytest.approx(expected, rel=1e-6)


def test_ninety_per_cent_loss_shoots_up():
    """One growing round gap: from 20 to 90 per cent of lost contact at least thirtyfold."""
    lattice = interface()
    from_gap = np.argsort(distances(lattice, 0.5, 0.5))
    spreading, lengths = Spreading(lattice), {}
    for lost in (0.2, 0.9):
        contact = np.ones(lattice.sites_per_layer, dtype=bool)
        contact[from_gap[: round(lost * contact.size)]] = False
        lengths[lost] = spreading.length_A(contact)
    assert lengths[0.9] > 30 * lengths[0.2]


def test_takes_few_steps(monkeypatch):
    """Two convolutions a step of conjugate gradients; a map is computed with every sample."""
    lattice = interface()
    spreading, rng, taken = Spreading(lattice), np.random.default_rng(0), []
    apply = Spreading._apply

    def counted(self, *arguments):
        taken[-1] += 1
        return apply(self, *arguments)

    monkeypatch.setattr(Spreading, "_apply", counted)
    for share in np.linspace(0.1, 0.9, 9):
        taken.append(0)
        spreading.length_A(rng.random(lattice.sites_per_layer) < share)
    assert max(taken) <= 40, taken


@pytest.mark.parametrize("name", FACES)
def test_length_of_the_rim_of_a_disc(name):
    """2 π r for discs of three sizes, within 8 %: rims are made of sites."""
    cells = {"bcc_100": (50, 50), "bcc_110": (50, 36), "bcc_111": (36, 22)}[name]
    lattice = Lattice(name, cells, 12, "interface", 3.506)
    rim = Rim(lattice)
    for share in (0.15, 0.25, 0.35):
        inside = distances(lattice, 0.5, 0.5) < share * lattice.box_A[:2].min()
        radius = math.sqrt(inside.sum() * lattice.site_area_A2 / math.pi)
        found = rim.length_per_area_per_A(~inside) * area_A2(lattice)
        assert found == pytest.approx(2 * math.pi * radius, rel=0.08)
        assert rim.length_per_area_per_A(inside) == pytest.approx(found / area_A2(lattice))
    assert rim.length_per_area_per_A(np.ones(lattice.sites_per_layer, dtype=bool)) == 0.0
