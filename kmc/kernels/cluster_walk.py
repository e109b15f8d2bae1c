"""Enumeration of clusters of vacancies, and a walk over their shapes and sizes (see `clusters`)."""

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
def _try_larger(geometry, cluster, bias, stride, largest, rng):
    """Propose one more vacancy; the acceptance probability, and whether it happened."""
    n = cluster.number[0]
    total = total_weight(cluster)
    if n == largest or total <= 0.0:
        return 0.0
    site = draw(cluster, rng.random() * total)
    here = n + stride * cluster.number[2]
    there = here + 1 + (stride if height(geometry, site) == 0 else 0)
    chance = math.exp(bias[there] - bias[here] + change_beside(geometry, cluster, site))
    # The reverse takes out one of n + 1 vacancies, where this draws by weight among `total`.
    chance *= total / (n + 1)
    if chance >= 1.0 or rng.random() < chance:
        add(geometry, cluster, site)
    return min(chance, 1.0)


@inner
def _try_smaller(geometry, cluster, bias, stride, rng):
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
    here = n + stride * cluster.number[2]
    remove(geometry, cluster, site)
    there = n - 1 + stride * cluster.number[2]
    change = change_beside(geometry, cluster, site)
    total = total_weight(cluster)
    chance = math.exp(bias[there] - bias[here] - change) * n / total
    if chance < 1.0 and rng.random() >= chance:
        add(geometry, cluster, site)
    return min(chance, 1.0)


@inner
def _move_one(geometry, cluster, bias, stride, rng):
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
    here = n + stride * cluster.number[2]
    other = draw(cluster, rng.random() * total_weight(cluster))
    if other != site:
        at_interface = cluster.number[2] > 0 or height(geometry, other) == 0
        change = change_beside(geometry, cluster, other) - change_beside(geometry, cluster, site)
        there = here + (stride if height(geometry, other) == 0 else 0)
        here += stride if height(geometry, site) == 0 else 0
        change += bias[there] - bias[here]
        if not at_interface or (change < 0.0 and rng.random() >= math.exp(change)):
            other = site
    add(geometry, cluster, other)


@entry
def walk(
    geometry, cluster, bias, stride, largest, steps, learn, flat, rng, visits, chances, shapes
):
    """Walk over clusters of 1 … `largest` vacancies with weight w(C) exp(bias[place]).

    The place of n vacancies of which f are in L1 is n + `stride` f: with a stride of 0 all sizes
    become equally frequent, with `largest` + 2 all pairs of n and f. Half of the steps propose one
    vacancy more or less, half move one vacancy.

    - `bias` (float64[places]): changed while learning.
    - `learn`: Wang and Landau's modification factor ln f of a walk that learns
      (10.1103/PhysRevLett.86.2050), at most `flat` over the steps, which makes it fall as 1/t
      (Belardinelli and Pereyra, 10.1103/PhysRevE.75.046701); 0: the bias stays, and detailed
      balance is exact.
    - `visits` (int64[places]): steps that ended at each place.
    - `chances` (float64[places, 4]): summed acceptance probabilities of growth and their number,
      the same of shrinking.
    - `shapes` (float64[places, 2]): sums over the steps of vacancies in L1, and of layers above L1
      summed over the vacancies.
    """
    for step in range(steps):
        place = cluster.number[0] + stride * cluster.number[2]
        u = rng.random()
        if u < 0.25:
            chance = _try_larger(geometry, cluster, bias, stride, largest, rng)
            chances[place, 0] += chance
            chances[place, 1] += 1.0
        elif u < 0.5:
            chance = _try_smaller(geometry, cluster, bias, stride, rng)
            chances[place, 2] += chance
            chances[place, 3] += 1.0
        else:
            _move_one(geometry, cluster, bias, stride, rng)
        place = cluster.number[0] + stride * cluster.number[2]
        visits[place] += 1
        shapes[place, 0] += cluster.number[2]
        shapes[place, 1] += cluster.number[3]
        if learn > 0.0:
            # 1/t in the end: a factor that falls faster would freeze errors of the first steps in.
            bias[place] -= min(learn, flat / (step + 1.0))


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
