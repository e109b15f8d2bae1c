"""Z_n of clusters: against the plain listing, and the walk against the enumeration."""

from __future__ import annotations

import math
from functools import cache

import naive
import naive_clusters
import numpy as np
import pytest
from marks import slow_but
from paired_engines import parameter_set

from kmc.common.units import K_B_eV
from kmc.errors import InputError
from kmc.kernels import cluster_sites as kernel
from kmc.kernels import cluster_walk
from kmc.model.parameters import load_parameters
from kmc.nuclei.clusters import (
    Walk,
    cluster_free_energies,
    enumerate_weights,
    learn_bias,
)
from kmc.nuclei.surface import Surface, empty_cluster, hanging_together, root_site

FACES = ("bcc_100", "bcc_110", "bcc_111")
T_K = 298.15


CURVED = "every term"  # of the Hamiltonian, in place of a coverage of L1


def surface(face="bcc_100", temperature_K=T_K, coverage=0.0, fraction=0.0):
    if coverage == CURVED:
        values = naive.LIMG_CURVED if fraction else naive.CURVED
        return Surface(parameter_set(values), face, temperature_K, fraction, fraction)
    name = "limg_li2s" if coverage or fraction else "li_li2s"
    return Surface(load_parameters(name), face, temperature_K, coverage, fraction)


# --- enumeration ----------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("temperature_K", [298.15, 900.0])
@pytest.mark.parametrize("face", FACES)
def test_enumeration_matches_the_plain_listing(face, temperature_K):
    largest = 4 if face == "bcc_100" else 3
    expected = naive_clusters.Z(face, largest, temperature_K)
    found, *_ = enumerate_weights(surface(face, temperature_K), largest)
    # The oracle rounds formation energies on its own: half a µeV for each vacancy.
    np.testing.assert_allclose(np.log(found), np.log(expected), atol=5e-4)


@pytest.mark.slow
@pytest.mark.parametrize("face", FACES)
def test_enumeration_with_coordination_matches_the_plain_listing(face):
    """The same with a curvature of coordination and a bond in L1."""
    expected = naive_clusters.Z(face, 3, T_K, naive.CURVED)
    found, *_ = enumerate_weights(surface(face, T_K, CURVED), 3)
    np.testing.assert_allclose(np.log(found), np.log(expected), atol=1e-3)


@pytest.mark.parametrize("face", FACES)
def test_pairs_with_coordination_are_those_of_the_hamiltonian(face):
    """Z_2 from H of a box with a pair of vacancies at each of the neighbours of a site of L1."""
    of = surface(face, T_K, CURVED)
    h, box = of.hamiltonian, of.probe
    Z_2 = 0.0
    for other in np.concatenate([box.neighbours(0, shell) for shell in (1, 2)]):
        if other >= 0:
            occupancy = np.full(box.n_sites, naive.LI)
            occupancy[[0, other]] = naive.VACANCY
            energy = h.energy_ueV(occupancy, box) - h.perfect_energy_ueV(box)
            # A pair within L1 is met from both of its ends.
            weight = 0.5 if box.layer[other] == 1 else 1.0
            Z_2 += weight * math.exp(-(energy - 2 * h.kink_binding_ueV) / of.kT_ueV)
    found, *_ = enumerate_weights(of, 2)
    assert found[1] == pytest.approx(Z_2, rel=1e-9)


def test_numbers_of_the_first_two_sizes():
    """Lone vacancies and pairs on bcc (100), from energies known by hand."""
    kT = K_B_eV * T_K
    pairs = [0.5145] * 2 + [0.6191] * 4 + [0.7345]
    expected = [math.exp(-0.28 / kT), sum(math.exp(-e / kT) for e in pairs)]
    found, *_ = enumerate_weights(surface(), 2)
    np.testing.assert_allclose(np.log(found), np.log(expected), atol=2e-3)
    assert np.log(found[0]) == pytest.approx(-10.898, abs=1e-3)
    assert np.log(found[1]) == pytest.approx(-19.30, abs=5e-3)


@pytest.mark.parametrize("face", FACES)
def test_number_of_clusters(face):
    """A cluster touches L1 in one way only, so every face lists the animals of the bcc lattice."""
    *_, counts = enumerate_weights(surface(face), 5)
    assert counts.tolist() == [1, 7, 67, 734, 8716]


@pytest.mark.slow
def test_mean_over_mg_matches_maps_listed_plainly():
    """Mean of Z_n over drawn maps, by the oracle: within 3 standard errors of 3 % or less."""
    rng = np.random.default_rng(5)
    for face in FACES:
        maps = naive_clusters.Z_of_maps(face, 2, 900.0, 0.3, 0.1, 260, rng)
        found, *_ = enumerate_weights(surface(face, 900.0, 0.3, 0.1), 2)
        ratio = maps.mean(axis=0) / found
        error = maps.std(axis=0, ddof=1) / math.sqrt(len(maps)) / found
        assert (error < 0.03).all()
        assert (np.abs(ratio - 1) < 3 * error).all(), (face, ratio, error)


@pytest.mark.slow
def test_mean_over_mg_matches_single_maps_of_the_kernel():
    """n ≤ 4 enumerated around every L1 site of drawn maps: within 3 standard errors of 3 %."""
    plain = surface(coverage=0.4, fraction=0.05)
    expected, *_ = enumerate_weights(plain, 4)
    maps = []
    for seed in range(6):
        geometry = plain.quenched_geometry(100, np.random.default_rng(seed))
        cluster = empty_cluster(geometry, 4)
        side = 1 << (geometry.shift // 2)
        sums, counts = np.zeros((5, 3)), np.zeros(5, dtype=np.int64)
        untried = np.zeros(4 * kernel.N_NEAR + 2, dtype=np.int64)
        scratch = untried, np.zeros((6, 2), dtype=np.int64), np.zeros(6)
        n_roots = 0
        # Roots away from the edges: the first L1 site of a cluster is so by number.
        for row in range(6, side - 6):
            for column in range(6, side - 6):
                root = (geometry.base << geometry.shift) | (row * side + column)
                n_roots += 1
                if cluster.occupancy[root] == kernel.METAL:
                    given = geometry, cluster, root, 4, sums, counts
                    cluster_walk.enumerate_clusters(*given, *scratch)
        maps.append(sums[1:, 0] / n_roots)
    maps = np.array(maps)
    error = maps.std(axis=0, ddof=1) / math.sqrt(len(maps)) / expected
    assert (error < 0.035).all()
    assert (np.abs(maps.mean(axis=0) / expected - 1) < 3 * error).all()


# --- the walk -------------------------------------------------------------------------------------

SHARES = ((0.0, 0.0), (0.3, 0.0), (0.6, 0.03), (CURVED, 0.0), (CURVED, 0.1))
CASES = [(face, x, y) for face in FACES for x, y in SHARES]
QUICK = [("bcc_100", 0.0, 0.0), ("bcc_111", 0.6, 0.03), ("bcc_100", CURVED, 0.0)]


@cache
def deviation_of(case):
    """Sampled less enumerated ln(Z_(n+1)/Z_n), n = 1 … 6, in standard errors, and these."""
    free = cluster_free_energies(
        surface(case[0], T_K, *case[1:]),
        n_max=8,
        steps=250_000,
        walkers=16,
        seed=3,
        by_footprint=False,
    )
    steps = np.diff(free.curves[:, :7], axis=1)
    error = steps.std(axis=0, ddof=1) / math.sqrt(len(steps))
    return (steps.mean(axis=0) - np.diff(free.ln_Z[:7])) / error, error


@pytest.mark.parametrize("case", slow_but(QUICK, CASES))
def test_walk_matches_enumeration(case):
    """Errors below 2 %, so that 5 % in one weight would be seen; no ratio off by 4.5 of them."""
    deviation, error = deviation_of(case)
    assert (error < 0.02).all()
    assert (np.abs(deviation) < 4.5).all()


@pytest.mark.parametrize("of", slow_but([CURVED], [0.0, CURVED]))
def test_walk_by_size_and_footprint_matches_enumeration(of):
    """The same where footprints are levelled, too: rarer ones cost it time, errors are 5 %."""
    free = cluster_free_energies(
        surface(coverage=of), n_max=8, steps=400_000, walkers=8, seed=3, by_footprint=True
    )
    off = free.sampled_ln_Z[1:7] - free.ln_Z[1:7]
    assert (free.sampled_error[1:7] < 0.1).all()
    assert (np.abs(off) < 4 * free.sampled_error[1:7]).all()
    foot = free.footprint[7]
    assert foot == pytest.approx(
        cluster_free_energies(
            surface(coverage=of), n_max=8, steps=250_000, walkers=4, by_footprint=False
        ).footprint[7],
        abs=0.05,
    )


@pytest.mark.slow
def test_error_bars_of_the_walk_are_honest():
    """Over all cases: as many within 2 standard errors as Student's t of 15 has, and their mean
    square its variance, 15/13 ± 0.22."""
    deviation = np.concatenate([deviation_of(case)[0] for case in CASES])
    assert np.mean(np.abs(deviation) > 2) < 0.15
    assert 0.6 < np.mean(deviation**2) < 1.9


@pytest.mark.slow
def test_runs_with_other_seeds_agree():
    """Error bars are honest: two runs differ by no more than they say, up to n = 30."""
    runs = [
        cluster_free_energies(surface(), n_max=30, steps=1_000_000, walkers=8, seed=seed)
        for seed in (1, 2)
    ]
    n = [9, 14, 19, 24, 29]
    difference = (runs[0].ln_Z - runs[1].ln_Z)[n]
    error = np.hypot(runs[0].ln_Z_error, runs[1].ln_Z_error)[n]
    assert (np.abs(difference) < 3.5 * error).all()
    assert (error < 0.15).all()


def test_equal_seeds_give_equal_numbers():
    first, again = (
        cluster_free_energies(surface(), n_max=10, steps=50_000, walkers=2, seed=4).ln_Z
        for _ in range(2)
    )
    np.testing.assert_array_equal(first, again)


@pytest.mark.slow
@pytest.mark.parametrize("face", FACES)
def test_bookkeeping_after_a_walk(face):
    """Counts, lists and factors as a fresh count has them; one cluster, at the interface."""
    plain = surface(face, T_K, 0.3, 0.05)
    geometry = plain.geometry(20)
    known = np.log(enumerate_weights(plain, 5)[0])
    bias = learn_bias(geometry, known, 20, np.random.default_rng(1))
    walk = Walk(geometry, 20, np.random.default_rng(2))
    moved = False
    start = root_site(geometry)
    for _ in range(200):
        walk.go(bias, 997)
        c = walk.cluster
        n, n_beside, n_foot, layers = c.number
        sites = set(c.vacant[:n].tolist())
        assert len(sites) == n
        assert set(np.flatnonzero(c.occupancy == kernel.VACANT)) == sites
        code = {}
        mask = (1 << geometry.shift) - 1
        for s in sites:
            h = (s >> geometry.shift) - geometry.base
            assert h >= 0
            for j in range(14):
                column = ((s & mask) + geometry.d_column[j]) & mask
                q = ((s >> geometry.shift) + geometry.d_layer[j]) << geometry.shift | column
                code[q] = code.get(q, 0) + geometry.counted[int(h == 0), j]
        beside = {q for q in code if c.occupancy[q] == kernel.METAL}
        assert set(c.beside[:n_beside].tolist()) == beside
        for i in range(n_beside):
            q = c.beside[i]
            assert c.place[q] == i
            kind = min((q >> geometry.shift) - geometry.base, 2)
            expected = geometry.site[q >> geometry.shift] * geometry.bond[kind, code[q]]
            assert c.weight[i] == pytest.approx(expected, rel=1e-12)
        assert n_foot == sum((s >> geometry.shift) == geometry.base for s in sites) >= 1
        assert layers == sum((s >> geometry.shift) - geometry.base for s in sites)
        assert _is_one(sites, geometry)
        moved = moved or start not in sites
    assert moved  # clusters travel
    assert (walk.visits[1:21] > 0).all()


def _is_one(sites, geometry) -> bool:
    mask = (1 << geometry.shift) - 1
    todo, left = [next(iter(sites))], set(sites)
    left.discard(todo[0])
    while todo:
        s = todo.pop()
        for j in range(14):
            column = ((s & mask) + geometry.d_column[j]) & mask
            q = ((s >> geometry.shift) + geometry.d_layer[j]) << geometry.shift | column
            if q in left:
                left.discard(q)
                todo.append(q)
    return not left


@pytest.mark.parametrize("face", FACES)
def test_table_of_neighbours_that_hang_together(face):
    steps = surface(face).steps
    together = hanging_together(steps)
    known = {tuple(s) for s in steps}
    rng = np.random.default_rng(0)
    for chosen in rng.integers(1, 1 << 14, 300):
        members = [j for j in range(14) if chosen >> j & 1]
        todo, left = [members[0]], set(members[1:])
        while todo:
            a = todo.pop()
            for b in list(left):
                if tuple(steps[b] - steps[a]) in known:
                    left.discard(b)
                    todo.append(b)
        assert bool(together[chosen]) == (not left)


def test_clusters_never_reach_around_the_plane():
    for face in FACES:
        geometry = surface(face).geometry(60)
        reach = 60 * np.abs(surface(face).steps[:, :2]).max()
        assert 1 << (geometry.shift // 2) > reach
        # A chain of 60 straight up may not fit on (111), but 40 layers are five times what is met.
        assert len(geometry.site) > min(60 * geometry.d_layer.max(), 120)


def test_energy_of_vacant_layers():
    """Layers vacated whole, against the oracle's H; on (110) two of them cost less than nothing."""
    for face in FACES:
        box = naive_clusters.box_of(face, 3)
        energies = naive.calibrate(naive.LI_LI2S, box)
        for layers in (1, 2, 3):
            found = [i for i in range(box.n_sites) if box.layer[i] <= layers]
            total = naive_clusters.energy_eV(box, energies, [naive.LI] * box.n_sites, found)
            expected = total / box.sites_per_layer
            assert surface(face).film_eV(layers) == pytest.approx(expected, abs=1e-5)
    assert surface("bcc_110").film_eV(2) == pytest.approx(-0.017, abs=1e-3)
    assert min(surface("bcc_100").film_eV(k) for k in range(1, 9)) > 0


def test_out_of_range():
    with pytest.raises(InputError, match="mg_coverage"):
        surface(coverage=1.0)
    with pytest.raises(InputError, match="has no Mg"):
        Surface(load_parameters("li_li2s"), "bcc_100", T_K, 0.3)
    with pytest.raises(InputError, match="temperature_K"):
        surface(temperature_K=-1.0)
    with pytest.raises(InputError, match="n_max"):
        cluster_free_energies(surface(), n_max=2)
