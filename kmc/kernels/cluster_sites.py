"""Clusters of vacancies at an interface: their sites, weights and the sites beside them.

A lattice site is numbered ``s = layer << shift | column``: the columns of a layer form a periodic
plane of ``2**shift`` sites, so that every neighbour is a fixed step away in layer and column.
Layers below the interface and above the last one are closed (`CLOSED`), as are sites that hold a
quenched Mg atom.

The weight of a cluster C is

    ln w(C) = Σ_{v∈C} ln site(v) + Σ_{pairs in C} ε/kT + Σ_{q beside C} lf(q)

with ``site = exp(−E_f/kT)`` times the probability that the site holds Li (E_f without the
coordination of the atoms around), and lf the logarithm of the Boltzmann factor of a metal site
beside the cluster: that of its coordination, and its mean over Li and Mg. It is 0 where energies
are of pairs and there is no Mg.
"""

from typing import NamedTuple

import numpy as np

from kmc.kernels.jit import index, inner

N_NEAR = 14  # 8 first and 6 second neighbours
N_FIRST = 8
METAL, VACANT, CLOSED = 0, 1, 2

# How a site counts its vacant neighbours in one integer: first shell, second shell, and those that
# have an energy of their own, for a site of L2 first neighbours in L1 (χ), for one of L1 second
# neighbours in L1.
FIRST, SECOND, INTERFACE = 1, 16, 128
N_CODES = 1024


class ClusterLattice(NamedTuple):
    """The lattice and the weights of its sites."""

    d_column: np.ndarray  # int64[14], steps to the neighbours, first shell first
    d_layer: np.ndarray  # int64[14]
    shift: int  # columns per layer are 2**shift
    counted: np.ndarray  # int64[2, 14], what a vacancy adds to the counts of them; row 1: one in L1
    base: int  # layer index of L1; the layers below are closed
    by_site: int  # 1: `site` has one entry for each site; 0: one for each layer
    site: np.ndarray  # float64[:], exp(−E_f/kT) times the probability of Li
    # float64[3, N_CODES] for a site of L1, of L2 and above: factor of vacating it when its counts
    # are `code`; lf of a metal site with these counts
    bond: np.ndarray
    log_beside: np.ndarray
    with_beside: int  # whether `log_beside` is used at all
    # uint8[2**14], for each set of vacant neighbours whether they hang together without the site
    together: np.ndarray


class Cluster(NamedTuple):
    """A cluster and the metal sites beside it."""

    occupancy: np.ndarray  # uint8[n_sites]
    code: np.ndarray  # int16[n_sites], counts of vacant neighbours
    place: np.ndarray  # int32[n_sites], position of a site in `vacant` or `beside`; −1 for neither
    vacant: np.ndarray  # int64[:], sites of the cluster
    beside: np.ndarray  # int64[:], metal sites that touch it
    weight: np.ndarray  # float64[:], factor of vacating each site of `beside`
    # int64[4]: vacancies, sites beside, vacancies in L1, layers above L1 summed over the vacancies
    number: np.ndarray
    stack: np.ndarray  # int64[:], scratch of the connectivity search
    mark: np.ndarray  # uint8[n_sites], scratch of the same


@inner
def near(geometry, site, j):
    """Neighbour number j of a site."""
    mask = (1 << geometry.shift) - 1
    column = ((site & mask) + geometry.d_column[index(j)]) & mask
    return (((site >> geometry.shift) + geometry.d_layer[index(j)]) << geometry.shift) | column


@inner
def height(geometry, site):
    """Layers above L1."""
    return (site >> geometry.shift) - geometry.base


@inner
def site_weight(geometry, site):
    """Factor of vacating a metal site whose neighbours are all metal."""
    return geometry.site[site if geometry.by_site else site >> geometry.shift]


@inner
def weight_of(geometry, site, code):
    """Factor of vacating a site, its own lf left behind and those of its neighbours left out."""
    kind = min(height(geometry, site), 2)
    return site_weight(geometry, site) * geometry.bond[index(kind), index(code)]


@inner
def change_beside(geometry, cluster, site):
    """Change of Σ lf over the neighbours of a site that becomes vacant."""
    if not geometry.with_beside:
        return 0.0
    total = 0.0
    counted = geometry.counted[1 if height(geometry, site) == 0 else 0]
    for j in range(N_NEAR):
        q = near(geometry, site, j)
        # Quenched Mg closes a site, and is an atom with a coordination like any other.
        if cluster.occupancy[index(q)] != VACANT and height(geometry, q) >= 0:
            kind = min(height(geometry, q), 2)
            code = cluster.code[index(q)]
            total += geometry.log_beside[kind, code + counted[index(j)]]
            total -= geometry.log_beside[kind, code]
    return total


@inner
def _join_beside(geometry, cluster, site):
    i = cluster.number[1]
    cluster.beside[index(i)] = site
    cluster.weight[index(i)] = weight_of(geometry, site, cluster.code[index(site)])
    cluster.place[index(site)] = i
    cluster.number[1] = i + 1


@inner
def _leave_beside(cluster, site):
    i, last = cluster.place[index(site)], cluster.number[1] - 1
    other = cluster.beside[last]
    cluster.beside[index(i)] = other
    cluster.weight[index(i)] = cluster.weight[last]
    cluster.place[index(other)] = i
    cluster.place[index(site)] = -1
    cluster.number[1] = last


@inner
def add(geometry, cluster, site):
    """Vacate a metal site."""
    if cluster.place[index(site)] >= 0:
        _leave_beside(cluster, site)
    cluster.occupancy[index(site)] = VACANT
    n = cluster.number[0]
    cluster.vacant[n] = site
    cluster.place[index(site)] = n
    h = height(geometry, site)
    cluster.number[0] = n + 1
    cluster.number[2] += 1 if h == 0 else 0
    cluster.number[3] += h
    counted = geometry.counted[1 if h == 0 else 0]
    for j in range(N_NEAR):
        q = near(geometry, site, j)
        cluster.code[index(q)] += counted[index(j)]
        if cluster.occupancy[index(q)] == METAL:
            i = cluster.place[index(q)]
            if i < 0:
                _join_beside(geometry, cluster, q)
            else:
                cluster.weight[index(i)] = weight_of(geometry, q, cluster.code[index(q)])


@inner
def remove(geometry, cluster, site):
    """Fill a vacancy again."""
    i, last = cluster.place[index(site)], cluster.number[0] - 1
    other = cluster.vacant[last]
    cluster.vacant[i] = other
    cluster.place[index(other)] = i
    cluster.place[index(site)] = -1
    cluster.occupancy[index(site)] = METAL
    h = height(geometry, site)
    cluster.number[0] = last
    cluster.number[2] -= 1 if h == 0 else 0
    cluster.number[3] -= h
    counted = geometry.counted[1 if h == 0 else 0]
    for j in range(N_NEAR):
        q = near(geometry, site, j)
        cluster.code[index(q)] -= counted[index(j)]
        if cluster.occupancy[index(q)] == METAL:
            if cluster.code[index(q)] == 0:
                _leave_beside(cluster, q)
            else:
                place = cluster.place[index(q)]
                cluster.weight[place] = weight_of(geometry, q, cluster.code[index(q)])
    if cluster.code[index(site)]:
        _join_beside(geometry, cluster, site)


@inner
def is_spare(geometry, cluster, site):
    """Whether the cluster without this vacancy still hangs together."""
    around, count, start = 0, 0, site
    for j in range(N_NEAR):
        q = near(geometry, site, j)
        if cluster.occupancy[index(q)] == VACANT:
            around |= 1 << j
            count += 1
            start = q
    if count == 0:
        return False
    # A look into a table settles most cases: vacancies around a site are often neighbours.
    if geometry.together[index(around)]:
        return True
    # The neighbours may still be joined farther away: search from one of them.
    cluster.mark[index(site)] = 1
    cluster.mark[index(start)] = 1
    cluster.stack[0] = start
    found = 1
    done = 0
    while done < found:
        here = cluster.stack[index(done)]
        done += 1
        for j in range(N_NEAR):
            q = near(geometry, here, j)
            if cluster.occupancy[index(q)] == VACANT and not cluster.mark[index(q)]:
                cluster.mark[index(q)] = 1
                cluster.stack[index(found)] = q
                found += 1
    for i in range(found):
        cluster.mark[cluster.stack[index(i)]] = 0
    cluster.mark[index(site)] = 0
    return found == cluster.number[0] - 1


# A sum waits some four cycles for each addition: the two below do four entries at a time.


@inner
def total_weight(cluster):
    """Sum of the factors of all sites beside the cluster."""
    weight, n = cluster.weight, cluster.number[1]
    a = b = c = d = 0.0
    for k in range(n // 4):
        i = 4 * k
        a += weight[index(i)]
        b += weight[index(i + 1)]
        c += weight[index(i + 2)]
        d += weight[index(i + 3)]
    for i in range(n - n % 4, n):
        a += weight[index(i)]
    return (a + b) + (c + d)


@inner
def draw(cluster, target):
    """Site beside the cluster at this place of the cumulated factors."""
    weight, last = cluster.weight, cluster.number[1] - 1
    first = 0
    while first + 4 <= last:
        i = index(first)
        part = (weight[i] + weight[i + index(1)]) + (weight[i + index(2)] + weight[i + index(3)])
        if target < part:
            break
        target -= part
        first += 4
    for i in range(first, last):
        target -= weight[index(i)]
        if target < 0.0:
            return cluster.beside[index(i)]
    return cluster.beside[last]
