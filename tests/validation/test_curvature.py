"""Energies of `li_li2s_clusters` against a plain numpy version, and 5 % of its β noticed by each.

    E = ε1, ε2 for each bond cut + Σ_atoms β (v1 + r v2)² − b · #{pairs of second neighbours vacant
    in L1} − φ(layer) of the atoms taken out − their kinks

on a grid of half the cubic edge, with the numbers of the set written out.
"""

from __future__ import annotations

import itertools
import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from marks import slow

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks" / "energies"))

from clusters import CLUSTERS

from kmc.kernels.tables import LI, VACANCY
from kmc.model.equilibrium import VacancyEquilibrium
from kmc.model.hamiltonian import calibrate
from kmc.model.lattice import Lattice
from kmc.model.parameters import load_parameters
from kmc.nuclei.clusters import enumerate_weights
from kmc.nuclei.surface import Surface

pytestmark = pytest.mark.validation

SET, CURVATURE, A, KELVIN = "li_li2s_clusters", "coordination_curvature_eV", 3.506, 298.15
KT_eV = 8.617333262e-5 * KELVIN
EPSILON2, BETA, R, BOND_L1 = 0.1391, 0.00923, 0.4, -0.0455
ALONE_eV = (0.28, 0.43, 0.50)  # in L1, in L2, and deeper
EPSILON1 = (ALONE_eV[2] - 3 * EPSILON2 - BETA * (8 + 6 * R**2)) / 4
FIRST = list(itertools.product((-1, 1), repeat=3))
SECOND = [tuple(2 * sign * row) for row in np.eye(3, dtype=int) for sign in (-1, 1)]


def plain_eV(vacant: np.ndarray, metal: np.ndarray, interface: bool) -> float:
    """E of a periodic grid (bool, [x, y, z]); at an interface its highest layers are no sites."""

    def beside(sites, vectors):
        return sum(np.roll(sites, vector, axis=(0, 1, 2)).astype(int) for vector in vectors)

    v1, v2 = beside(vacant, FIRST), beside(vacant, SECOND)
    n1, n2 = beside(metal, FIRST), beside(metal, SECOND)
    total = BETA * ((v1 + R * v2) ** 2)[metal & ~vacant].sum()
    total += EPSILON1 * (n1 - v1 / 2)[vacant].sum() + EPSILON2 * (n2 - v2 / 2)[vacant].sum()
    kink = 4 * EPSILON1 + 3 * EPSILON2
    total -= vacant.sum() * kink
    if interface:
        for z in (0, 1):
            x, y = np.argwhere(metal[:, :, z])[0]
            cut = EPSILON1 * n1[x, y, z] + EPSILON2 * n2[x, y, z]
            phi = cut + BETA * (n1[x, y, z] + R**2 * n2[x, y, z]) - kink - ALONE_eV[z]
            total -= phi * vacant[:, :, z].sum()
        flat = vacant[:, :, 0]
        total -= BOND_L1 * sum((flat & np.roll(flat, 2, axis)).sum() for axis in (0, 1))
    return float(total)


class Box:
    """A box of kmc and its grid; the vacancies of both are named by places of the grid."""

    def __init__(self, cells: int, layers: int, boundary: str, beta=1.0, table=1.0):
        self.lattice = Lattice("bcc_100", (cells, cells), layers, boundary, A)
        set_ = load_parameters(SET, {CURVATURE: BETA * beta} if beta != 1 else {})
        h = calibrate(set_, self.lattice)
        self.h = replace(h, coordination_ueV=np.rint(h.coordination_ueV * table).astype(np.int64))
        self.interface = boundary == "interface"
        self.places = np.rint(2 * self.lattice.positions_A / A).astype(int)
        self.places[:, 2] -= self.places[:, 2].min()
        edges = (2 * cells, 2 * cells, layers + 4 * self.interface)
        self.metal = np.zeros(edges, dtype=bool)
        self.metal[tuple(self.places.T)] = True
        self.site = {tuple(place): i for i, place in enumerate(self.places)}

    def sites(self, places) -> list[int]:
        edges = (*self.metal.shape[:2], 10**6 if self.interface else self.metal.shape[2])
        return [self.site[tuple(int(k) for k in np.mod(place, edges))] for place in places]

    def plain_eV(self, sites) -> float:
        vacant = np.zeros_like(self.metal)
        vacant[tuple(self.places[sites].T)] = True
        return plain_eV(vacant, self.metal, self.interface)

    def energy_eV(self, sites) -> float:
        occupancy = np.full(self.lattice.n_sites, LI)
        occupancy[sites] = VACANCY
        change = self.h.energy_ueV(occupancy, self.lattice) - self.h.perfect_energy_ueV(
            self.lattice
        )
        return (change - len(sites) * self.h.kink_binding_ueV) / 1e6


def flat(edge: int) -> list[tuple[int, int, int]]:
    return [(2 * i, 2 * j, 0) for i in range(edge) for j in range(edge)]


AT_INTERFACE = {
    "pair": [(0, 0, 0), (2, 0, 0)],
    "pair of L1 and L2": [(0, 0, 0), (1, 1, 1)],
    "square": flat(2),
    "nine": flat(3),
    "pit": flat(3) + [(2 * i + 1, 2 * j + 1, 1) for i in (0, 1) for j in (0, 1)],
}


def check_energies(**wrong) -> None:
    """Of 17 clusters of the bulk, of surfaces and of patches in L1, within 20 µeV a vacancy."""
    bulk, interface = Box(8, 16, "periodic", **wrong), Box(8, 18, "interface", **wrong)
    cases = [(bulk, bulk.sites(places)) for places in CLUSTERS.values()]
    cases.append((bulk, [i for i, place in enumerate(bulk.places) if place[2] < 8]))
    cases += [(interface, interface.sites(places)) for places in AT_INTERFACE.values()]
    for box, sites in cases:
        assert box.energy_eV(sites) == pytest.approx(box.plain_eV(sites), abs=2e-5 * len(sites))


def check_enumerated(**wrong) -> None:
    """Z_1 to Z_3 of clusters that touch L1, listed plainly, within 0.2 %."""
    changes = {CURVATURE: BETA * wrong.get("beta", 1.0)} if wrong else {}
    found, *_ = enumerate_weights(Surface(load_parameters(SET, changes), "bcc_100", KELVIN), 3)
    box = Box(8, 18, "interface")
    sizes = [{frozenset([(x, y, 0)]) for x, y in itertools.product(range(0, 16, 2), repeat=2)}]
    for _ in range(2):
        sizes.append(
            {
                cluster | {near}
                for cluster in sizes[-1]
                for place in cluster
                for step in FIRST + SECOND
                for near in [tuple(int(k) for k in np.mod(np.add(place, step), (16, 16, 10**6)))]
                if near not in cluster and near[2] < 9
            }
        )
    for Z, clusters in zip(found, sizes, strict=True):
        roots = [c for c in clusters if (0, 0, 0) in c]  # each once for each of its sites of L1
        weights = [
            math.exp(-box.plain_eV(box.sites(c)) / KT_eV) / sum(z == 0 for _, _, z in c)
            for c in roots
        ]
        assert pytest.approx(math.fsum(weights), rel=2e-3) == Z


def check_stationary(**wrong) -> None:
    """Three vacancies of a periodic box: S = Z_2/Z_3 and the second neighbours among them.

    Within 4 standard errors, of some 0.3 and 1 %.
    """
    box = Box(4, 8, "periodic")
    # All sites are alike: one vacancy stays at the first.
    others = range(1, box.lattice.n_sites)
    far = (box.places[:, None] - box.places + (4, 4, 4)) % (8, 8, 8) - (4, 4, 4)
    second = (far**2).sum(axis=2) == 4
    ways = [(0, *pair) for pair in itertools.combinations(others, 2)]
    weights = np.exp(-np.array([box.plain_eV(list(way)) for way in ways]) / KT_eV)
    Z_2 = sum(math.exp(-box.plain_eV([0, i]) / KT_eV) for i in others) / 2
    near = np.array([sum(second[i, j] for i, j in itertools.combinations(w, 2)) for w in ways])
    exact = [3 / weights.sum() * Z_2, weights @ near / weights.sum()]
    sampled = Box(4, 8, "periodic", **wrong)
    means = []
    for block in range(16):
        rng = np.random.default_rng([3, block])
        occupancy = np.full(box.lattice.n_sites, LI)
        occupancy[rng.choice(box.lattice.n_sites, 3, replace=False)] = VACANCY
        chain = VacancyEquilibrium(sampled.lattice, [sampled.h], 1e6 * KT_eV, occupancy)
        chain.equilibrate(500, rng)
        pairs = []
        for _ in range(200):
            chain.equilibrate(30, rng)
            vacant = np.flatnonzero(chain.occupancy[: box.lattice.n_sites] == VACANCY)
            pairs.append(second[np.ix_(vacant, vacant)].sum() / 2)
        chain.flip(int(vacant[0]))
        means.append([chain.equilibrate(6000, rng).S, np.mean(pairs)])
    error = np.std(means, axis=0, ddof=1) / 4
    assert (error < (0.005 * exact[0], 0.015 * exact[1])).all(), "error bars are too long"
    assert (np.abs(np.mean(means, axis=0) - exact) < 4 * error).all()


@pytest.mark.parametrize("check", [check_energies, check_enumerated, slow(check_stationary)])
def test_the_set_is_its_plain_version(check):
    check()


MORE, LESS, TABLE = {"beta": 1.05}, {"beta": 0.95}, {"table": 1.05}
WRONG = [
    *((check_energies, wrong) for wrong in (MORE, LESS, TABLE)),
    *((check_enumerated, wrong) for wrong in (MORE, LESS)),
    *(slow(check_stationary, wrong) for wrong in (MORE, LESS, TABLE)),
]


@pytest.mark.parametrize(("check", "wrong"), WRONG)
def test_five_percent_of_beta_is_noticed(check, wrong):
    """In the set, where single vacancies keep their energies, and in the energy function alone."""
    with pytest.raises(AssertionError) as caught:
        check(**wrong)
    assert "error bars" not in str(caught.value)  # not for lack of statistics
