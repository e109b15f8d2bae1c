"""Z_n against clusters counted in closed boxes by the exchange walk, which knows nothing of kmc.

A box of N vacancies, all else Li, is sampled from exp(−H/kT). Two of its macrostates: all N in one
cluster that touches L1, of weight N_L1 Z_N; and a cluster of N − 1 that touches L1 with one vacancy
apart from it, of weight

    N_L1 Σ_C exp(−E(C)/kT) [Σ_all sites exp(−E_f/kT) − Σ_{sites of C and beside it} exp(−E_f/kT)].

Their ratio holds Z_N/Z_(N−1), and the volume that the cluster closes to a lone vacancy exactly.
"""

from __future__ import annotations

import math

import naive
import naive_clusters
import numpy as np
import pytest
from naive import LI, VACANCY
from paired_engines import Setup
from sampler import box_of, metropolis

from kmc.model.parameters import load_parameters
from kmc.nuclei.clusters import enumerate_weights
from kmc.nuclei.surface import Surface

pytestmark = [pytest.mark.validation, pytest.mark.slow]

# Lattice, temperature, vacancies, cells, layers, exchange sweeps between two looks.
CASES = [
    ("bcc_100", 900.0, 2, (6, 6), 8, 12),
    ("bcc_100", 900.0, 3, (6, 6), 8, 12),
    ("bcc_100", 298.15, 2, (8, 8), 8, 150),
    ("bcc_110", 900.0, 3, (5, 5), 8, 12),
]
LOOKS, BATCHES = 24_000, 24


def apart_weight(box, energies, found, site_weight) -> float:
    """Σ exp(−E_f/kT) over the sites that neither belong to the cluster nor touch it."""
    closed = set(found)
    for i in found:
        closed.update(box.in_box(i, 1) + box.in_box(i, 2))
    return site_weight.sum() - sum(site_weight[i] for i in closed)


def expected_ratio(case) -> float:
    """Weight of one cluster of N over that of N − 1 and one apart, with kmc's Z_N."""
    face, T, n, cells, layers, _ = case
    box = naive.lattice(face, cells, layers, "interface")
    energies = naive.calibrate(naive.LI_LI2S, box)
    kT = naive.K_B_EV * T
    perfect = [LI] * box.n_sites

    def weight(found):
        return math.exp(-naive_clusters.energy_eV(box, energies, perfect, found) / kT)

    site_weight = np.array([weight([i]) for i in range(box.n_sites)])
    apart = sum(
        weight(found) * apart_weight(box, energies, found, site_weight)
        for found in naive_clusters.clusters(box, n - 1)[-1]
    )
    if n == 2:
        # Two lone vacancies, at least one of them in L1: pairs within L1 count once.
        for i in range(box.n_sites):
            if box.layer[i] != 1:
                continue
            near = set(box.in_box(i, 1) + box.in_box(i, 2)) | {i}
            inside = sum(
                site_weight[j] for j in range(box.n_sites) if box.layer[j] == 1 and j not in near
            )
            apart -= 0.5 * site_weight[i] * inside
    Z, *_ = enumerate_weights(Surface(load_parameters("li_li2s"), face, T), n)
    return box.sites_per_layer * Z[-1] / apart


def touching_clusters(near, layer, vacancies):
    """Sizes of the clusters, and whether each touches L1."""
    left, found = set(vacancies), []
    while left:
        todo = [left.pop()]
        size, touches = 0, False
        while todo:
            i = todo.pop()
            size += 1
            touches = touches or layer[i] == 1
            for j in near[i]:
                if j in left:
                    left.discard(j)
                    todo.append(j)
        found.append((size, touches))
    return found


@pytest.mark.parametrize("case", CASES)
def test_clusters_of_closed_boxes(case):
    """Within 3 standard errors, which are 5 % or less."""
    face, T, n, cells, layers, sweeps = case
    setup = Setup(lattice=face, cells=cells, layers=layers, temperature_K=T)
    box = box_of(setup)
    near = [[int(j) for j in row if j >= 0] for row in box.near]
    layer = setup.box.layer
    state = np.full(setup.n_sites, LI, dtype=np.int64)
    defects = np.arange(n, dtype=np.int64)
    state[defects] = VACANCY
    kT_ueV = naive.K_B_EV * T * 1e6
    metropolis(box, state, defects, kT_ueV, 5000, 11)
    whole, parted = np.zeros(BATCHES), np.zeros(BATCHES)
    for look in range(LOOKS):
        metropolis(box, state, defects, kT_ueV, sweeps, 12 + look)
        sizes = sorted(touching_clusters(near, layer, defects.tolist()), reverse=True)
        batch = look * BATCHES // LOOKS
        if sizes[0] == (n, True):
            whole[batch] += 1
        elif len(sizes) == 2 and sizes[0][0] == n - 1:
            parted[batch] += sizes[0][1] or (n == 2 and sizes[1][1])
    ratio = whole.sum() / parted.sum()
    # Jackknife over batches.
    without = (whole.sum() - whole) / (parted.sum() - parted)
    error = math.sqrt((BATCHES - 1) * without.var())
    expected = expected_ratio(case)
    assert error < 0.05 * expected
    assert abs(ratio - expected) < 3 * error, (ratio, expected, error)
