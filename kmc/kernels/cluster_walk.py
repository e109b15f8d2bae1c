"""Enumeration of clusters of vacancies, and a walk over their shapes and sizes (see `clusters`)."""

from __future__ import annotations

import math

from kmc.kernels.cluster_sites import (
    CLOSED,
    METAL,
    N_NEAR,
    add,
    change_beside,
    draw,
    height,
    is_spare,
    near,
    remove,
    site_weight,
    total_weight,
    weight_of,
)
from kmc.kernels.jit import entry, inner


@inner
def _below(rng, n):
    return min(int(rng.random() * n), n - 1)


@inner
def _try_larger(geometry, cluster, bias, largest, rng):
    """Propose one more vacancy; the acceptance probability, and whether it happened."""
    n = cluster.number[0]
    total = total_weight(cluster)
    if n == largest or total <= 0.0:
        return 0.0
    site = draw(cluster, rng.random() * total)
    chance = math.exp(bias[n + 1] - bias[n] + change_beside(geometry, cluster, site))
    # The reverse takes out one of n + 1 vacancies, where this draws by weight among `total`.
    chance *= total / (n + 1)
    if chance >= 1.0 or rng.random() < chance:
        add(geometry, cluster, site)
    return min(chance, 1.0)


@inner
def _try_smaller(geometry, cluster, bias, rng):
    """Propose one vacancy less; the acceptance probability."""
    n = cluster.number[0]
    if n == 1:
        return 0.0
    site = cluster.vacant[_below(rng, n)]
    # Clusters of the sum touch the electrolyte: the last vacancy of L1 stays.
    if cluster.number[2] == 1 and height(geometry, site) == 0:
        return 0.0
    if not is_spare(geometry, cluster, site):
        return 0.0
    remove(geometry, cluster, site)
    change = change_beside(geometry, cluster, site)
    total = total_weight(cluster)
    chance = math.exp(bias[n - 1] - bias[n] - change) * n / total
    if chance < 1.0 and rng.random() >= chance:
        add(geometry, cluster, site)
    return min(chance, 1.0)


@inner
def _move_one(geometry, cluster, rng):
    """Take one vacancy away and put one anywhere on what is left, by heat bath."""
    n = cluster.number[0]
    site = cluster.vacant[_below(rng, n)]
    if n == 1:
        # Anywhere in L1: clusters of other pockets are reached through a single vacancy.
        mask = (1 << geometry.shift) - 1
        other = (geometry.base << geometry.shift) | _below(rng, mask + 1)
        if cluster.occupancy[other] == CLOSED or other == site:
            return
        ratio = site_weight(geometry, other) / site_weight(geometry, site)
        if ratio >= 1.0 or rng.random() < ratio:
            remove(geometry, cluster, site)
            add(geometry, cluster, other)
        return
    if not is_spare(geometry, cluster, site):
        return
    remove(geometry, cluster, site)
    other = draw(cluster, rng.random() * total_weight(cluster))
    if other != site:
        at_interface = cluster.number[2] > 0 or height(geometry, other) == 0
        change = change_beside(geometry, cluster, other) - change_beside(geometry, cluster, site)
        if not at_interface or (change < 0.0 and rng.random() >= math.exp(change)):
            other = site
    add(geometry, cluster, other)


@entry
def walk(geometry, cluster, bias, largest, steps, learn, rng, visits, chances, shapes):
    """Walk over clusters of 1 … `largest` vacancies with weight w(C) exp(bias[n]).

    Half of the steps propose one vacancy more or less, half move one vacancy.

    - `bias` (float64[largest + 2]): by number of vacancies; changed while learning.
    - `learn`: Wang and Landau's modification factor ln f at the first step of a walk that
      learns (10.1103/PhysRevLett.86.2050), falling as 1/t as Belardinelli and Pereyra
      (10.1103/PhysRevE.75.046701); 0: the bias stays, and detailed balance is exact.
    - `visits` (int64[largest + 2]): steps that ended at each size.
    - `chances` (float64[largest + 2, 4]): summed acceptance probabilities of growth and their
      number, the same of shrinking.
    - `shapes` (float64[largest + 2, 4]): sums over the steps of vacancies in L1, its square, layers
      above L1 summed over the vacancies, and sites beside the cluster.
    """
    for step in range(steps):
        n = cluster.number[0]
        u = rng.random()
        if u < 0.25:
            chance = _try_larger(geometry, cluster, bias, largest, rng)
            chances[n, 0] += chance
            chances[n, 1] += 1.0
        elif u < 0.5:
            chance = _try_smaller(geometry, cluster, bias, rng)
            chances[n, 2] += chance
            chances[n, 3] += 1.0
        else:
            _move_one(geometry, cluster, rng)
        n = cluster.number[0]
        visits[n] += 1
        foot = float(cluster.number[2])
        shapes[n, 0] += foot
        shapes[n, 1] += foot * foot
        shapes[n, 2] += cluster.number[3]
        shapes[n, 3] += cluster.number[1]
        if learn > 0.0:
            # 1/t in the end: a factor that falls faster would freeze errors of the first steps in.
            bias[n] -= min(learn, 2.0 * largest / (step + 1.0))


@entry
def enumerate_clusters(geometry, cluster, root, largest, sums, counts, untried, choice, log_w):
    """Sums over all clusters of up to `largest` vacancies whose first L1 site is `root`.

    Redelmeier's algorithm (10.1016/0012-365X(81)90237-5): every cluster is met exactly once.
    The first site of L1 in the order of columns is the root, so each cluster is counted once
    modulo translation.

    - `sums` (float64[largest + 1, 3]): sums of w, of w times the vacancies in L1, and of w times
      the summed layers.
    - `counts` (int64[largest + 1]): clusters.
    - `untried` (int64[:]): sites still to be tried, a stack shared by all depths.
    - `choice` (int64[largest + 2, 2]): scratch by depth: next entry to try, and end of the entries
      of this depth.
    - `log_w` (float64[largest + 2]): scratch: ln w by number of vacancies, 0 at 0.
    """
    # Sites seen carry a mark.
    untried[0] = root
    cluster.mark[root] = 1
    depth = 0
    choice[0, 0], choice[0, 1] = 0, 1
    end = 1
    while depth >= 0:
        if choice[depth, 0] >= choice[depth, 1]:
            # Nothing left here: forget the neighbours that this depth had added.
            depth -= 1
            if depth >= 0:
                site = untried[choice[depth, 0] - 1]
                for i in range(choice[depth, 1], end):
                    cluster.mark[untried[i]] = 0
                end = choice[depth, 1]
                remove(geometry, cluster, site)
            continue
        site = untried[choice[depth, 0]]
        choice[depth, 0] += 1
        n = cluster.number[0]
        gain = math.log(weight_of(geometry, site, cluster.code[site]))
        gain += change_beside(geometry, cluster, site)
        log_w[n + 1] = log_w[n] + gain
        w = math.exp(log_w[n + 1])
        foot = cluster.number[2] + (1 if height(geometry, site) == 0 else 0)
        sums[n + 1, 0] += w
        sums[n + 1, 1] += w * foot
        sums[n + 1, 2] += w * (cluster.number[3] + height(geometry, site))
        counts[n + 1] += 1
        if n + 1 == largest:
            continue
        add(geometry, cluster, site)
        for j in range(N_NEAR):
            q = near(geometry, site, j)
            if cluster.occupancy[q] != METAL or cluster.mark[q]:
                continue
            # Clusters with an earlier site of L1 are counted from that root.
            if height(geometry, q) == 0 and q < root:
                continue
            untried[end] = q
            cluster.mark[q] = 1
            end += 1
        depth += 1
        choice[depth, 0] = choice[depth - 1, 0]
        choice[depth, 1] = end
    cluster.mark[root] = 0


@entry
def vacate(geometry, cluster, site):
    """Vacate one metal site, whatever the cluster is."""
    add(geometry, cluster, site)
