"""Vacancies in equilibrium with one another: a rejection-free chain between n and n + 1 of them.

With n vacancies the chain makes one at the atom u with rate exp(−ΔE_u/2kT); with n + 1 it fills the
vacancy v with rate exp(+ΔE_v/2kT), in turn. ΔE is the energy of taking a Li atom from its site to a
kink of the bulk, everything else as it is. Both rates of a pair of states have the ratio
exp(−ΔE/kT), so states with n vacancies are visited for times in proportion to their Boltzmann
factors, and the times at n and at n + 1 are as Z_n to Z_(n+1) = S, the activity of the vacancies
(choice by rates: Bortz, Kalos and Lebowitz, 10.1016/0021-9991(75)90060-1; half of the energy in
each direction: Kawasaki, 10.1103/PhysRev.145.224).

Every site of Li takes part: a vacancy that could be filled but not made would break the balance.
Each site carries ΔE as an integer, brought up to date around every flip, and the rate that follows
from it. Rates are summed in a tree whose nodes are always the sums of their children, never changed
by differences: nothing drifts, and all that is here is a function of the occupancy alone, so that
occupancy and generator are all of the state.
"""

import math
from typing import NamedTuple

import numpy as np

from kmc.kernels.jit import entry, index, inner
from kmc.kernels.rates import by_type

# RESERVOIR: an atom of the metal above the box; it stays, and only its energy of coordination is
# asked for.
VACANCY, LI, MG, WALL, RESERVOIR = 0, 1, 2, 3, 4
N_FIRST, N_NEAR = 8, 14
BRANCHES = 16  # children of a node of the tree of rates
HASH_BITS = 12

FILL, MAKE = VACANCY, LI  # trees of rates, by the species of the sites that have one there

# Entries of `Chain.numbers`: vacancies; vacant sites of L1; energy in µeV less that of the box
# without vacancies, the atoms taken out put on kinks.
VACANCIES, VACANT_L1, ENERGY = range(3)
# Entries of `Chain.totals`: residence with n and with n + 1 vacancies, and with n the residence
# times the vacant sites of L1, and times the energy. The unit of time is the inverse of the rate of
# a flip that changes no energy.
RESIDENCE, RESIDENCE_ABOVE, TIMES_L1, TIMES_ENERGY = range(4)


class Box(NamedTuple):
    """Sites and energies, in µeV."""

    n_sites: int  # that may change; those of the reservoir come behind them
    # int32[sites, 14]: first, then second neighbours; the number of sites for none
    near: np.ndarray
    layer_class: np.ndarray  # int8[sites + 1]: 1, 2, 3 for L1, L2, L3, else 0
    n_interface: int  # sites of L1, the first ones; 0 without an interface
    bonds: np.ndarray  # int64[14]: bond of two Li, by neighbour
    bond_L1: int  # gained by each pair of vacant second neighbours in L1
    # int64[4, 9, 7]: energy of an atom by class, vacant first and vacant second neighbours
    coordination: np.ndarray
    by_coordination: bool  # whether any of it is not zero
    half: float  # 1/(2kT)


class CoordinationBox(Box):
    """A box with energies of coordination: its own type has the code for them compiled."""


class Sums(NamedTuple):
    """Trees of rates, `FILL` and `MAKE`: level 0 are the sites, a further node sums 16 of the last.

    A site of Li has its rate in `MAKE` and a vacancy in `FILL`, by its species, and 0 in the other.
    """

    value: np.ndarray  # float64[2, nodes], level behind level
    first: np.ndarray  # int64[levels]: where a level begins in `value`
    stale: np.ndarray  # int64[2, levels, nodes of level 1 and one]: nodes to be summed anew
    n_stale: np.ndarray  # int64[2, levels]
    is_stale: np.ndarray  # uint8[2, nodes]


class Chain(NamedTuple):
    """State of the chain, with what follows from the occupancy, and its averages."""

    occupancy: np.ndarray  # uint8[sites + 1], a wall behind the last site
    energy: np.ndarray  # int64[sites + 1]: ΔE of each site that holds Li or a vacancy
    vacant_near: np.ndarray  # int64[sites + 1, 2]: vacant first and second neighbours
    sums: Sums
    numbers: np.ndarray  # int64[3]
    totals: np.ndarray  # float64[4]
    touched: np.ndarray  # int64[256], work space: sites whose ΔE has changed
    is_touched: np.ndarray  # uint8[sites + 1]
    # Rates at the energies met last, by their hash: few differ, and an exponential takes long.
    of_energy: np.ndarray  # int64[2**HASH_BITS]; 0 where none has been met
    rates: np.ndarray  # float64[2**HASH_BITS, 2]


@inner
def _mark(sums, tree, level, node, changed):
    """List a node whose sum is out of date, where `changed` is 1 and not 0, once.

    Without a branch, as whether it is listed already would often be mispredicted.
    """
    place, n = index(sums.first[index(level)] + node), sums.n_stale[tree, index(level)]
    sums.stale[tree, level, index(n)] = node
    known = sums.is_stale[tree, place]
    sums.n_stale[tree, level] = n + (changed & ~known)
    sums.is_stale[tree, place] = known | changed


@inner
def _put(sums, tree, site, rate):
    """Set the rate of a site; its sums wait for `_total`."""
    changed = np.uint8(sums.value[tree, index(site)] != rate)
    sums.value[tree, index(site)] = rate
    _mark(sums, tree, np.int64(1), site // BRANCHES, changed)


@inner
def _total(sums, tree):
    """Sum of all rates, after the nodes above changed sites have been summed anew."""
    value, top = sums.value[tree], sums.first.size - 1
    for level in range(1, top + 1):
        for i in range(sums.n_stale[tree, level]):
            node = sums.stale[tree, level, index(i)]
            at = sums.first[level - 1] + node * BRANCHES
            a = b = c = d = 0.0
            for k in range(0, BRANCHES, 4):  # four chains of additions, in an order of their own
                a += value[index(at + k)]
                b += value[index(at + k + 1)]
                c += value[index(at + k + 2)]
                d += value[index(at + k + 3)]
            place = index(sums.first[level] + node)
            value[place] = (a + b) + (c + d)
            sums.is_stale[tree, place] = 0
            if level < top:
                _mark(sums, tree, level + 1, node // BRANCHES, np.uint8(1))
        sums.n_stale[tree, level] = 0
    return value[index(sums.first[top])]


@inner
def _draw(sums, tree, x):
    """Site that holds x in the running sum of all rates."""
    value, node = sums.value[tree], np.int64(0)
    for level in range(sums.first.size - 2, -1, -1):
        at = sums.first[level] + node * BRANCHES
        k = 0
        while k < BRANCHES - 1 and x >= value[index(at + k)]:
            x -= value[index(at + k)]
            k += 1
        # Rounding can carry x beyond the last child with a rate.
        while k > 0 and value[index(at + k)] <= 0.0:
            k -= 1
        node = node * BRANCHES + k
    return node


@inner
def _refresh(box, chain, site):
    """Bring the rate of a site in line with its energy."""
    tree = chain.occupancy[index(site)]
    if tree > MAKE:
        return
    energy = chain.energy[index(site)]
    # Fibonacci hashing: the upper bits of a product with 2^64 over the golden ratio.
    slot = (index(energy) * index(0x9E3779B97F4A7C15)) >> index(64 - HASH_BITS)
    if chain.of_energy[slot] != energy:
        chain.of_energy[slot] = energy
        chain.rates[slot, MAKE] = math.exp(-box.half * energy)
        chain.rates[slot, FILL] = math.exp(box.half * energy)
    _put(chain.sums, tree, site, chain.rates[slot, tree])


@inner
def _touch(chain, site, n):
    if not chain.is_touched[site]:
        chain.is_touched[site] = 1
        chain.touched[n] = site
        n += 1
    return n


@inner
def _gain(box, kind, first, second, k, counted):
    """Energy that an atom gains when its neighbour k becomes vacant.

    `first`, `second`: its vacant neighbours, k among them where `counted` is 1.
    """
    a, b = (1, 0) if k < N_FIRST else (0, 1)
    first, second = first - counted * a, second - counted * b
    return box.coordination[kind, first + a, second + b] - box.coordination[kind, first, second]


@inner
def _coordination(box, chain, site, sign, n):
    """Change ΔE where it depends on the numbers of vacant neighbours of atoms, for a flip.

    Called before the occupancy changes: `sign` is +1 where `site` becomes vacant, −1 where it is
    filled. ΔE of i holds, for each atom j beside it, the energy of j with i vacant less that with i
    an atom, and less the energy of i itself.
    """
    counts, occupancy, table = chain.vacant_near, chain.occupancy, box.coordination
    kind, first, second = box.layer_class[site], counts[site, 0], counts[site, 1]
    for k in range(N_NEAR):
        j = box.near[site, k]
        if occupancy[j] == WALL:
            continue
        # The atom at `site` is one of those beside j.
        counted = 1 if occupancy[j] == VACANCY else 0
        chain.energy[j] -= sign * _gain(box, kind, first, second, k, counted)
        # The atom at j, and those that j is beside, see one vacancy more, or less.
        kind_j, old_1, old_2 = box.layer_class[j], counts[j, 0], counts[j, 1]
        new_1 = old_1 + (sign if k < N_FIRST else 0)
        new_2 = old_2 + (0 if k < N_FIRST else sign)
        chain.energy[j] -= table[kind_j, new_1, new_2] - table[kind_j, old_1, old_2]
        counts[j, 0], counts[j, 1] = new_1, new_2
        if occupancy[j] == VACANCY:
            continue
        for m in range(N_NEAR):
            i = box.near[j, m]
            if i == site or occupancy[i] == WALL:
                continue
            counted = 1 if occupancy[i] == VACANCY else 0
            change = _gain(box, kind_j, new_1, new_2, m, counted)
            change -= _gain(box, kind_j, old_1, old_2, m, counted)
            if change != 0:
                chain.energy[i] += change
                n = _touch(chain, i, n)
    return n


_around_atoms = by_type({Box: lambda box, chain, site, sign, n: n, CoordinationBox: _coordination})


@inner
def _flip(box, chain, site):
    """Make a vacancy of the Li at a site, or fill the vacancy there."""
    sign = 1 if chain.occupancy[site] == LI else -1
    numbers, n = chain.numbers, 0
    numbers[VACANCIES] += sign
    numbers[ENERGY] += sign * chain.energy[site]
    in_L1 = site < box.n_interface
    if in_L1:
        numbers[VACANT_L1] += sign
    n = _around_atoms(box, chain, site, sign, n)
    _put(chain.sums, chain.occupancy[site], site, 0.0)
    chain.occupancy[site] = VACANCY if sign > 0 else LI
    near = box.near[index(site)]
    for k in range(N_NEAR):
        j = np.int64(near[k])
        chain.energy[index(j)] -= sign * box.bonds[k]
        if in_L1 and k >= N_FIRST and j < box.n_interface:
            chain.energy[index(j)] -= sign * box.bond_L1
        if box.by_coordination:
            n = _touch(chain, j, n)
        else:
            _refresh(box, chain, j)
    _refresh(box, chain, site)
    for i in range(n):
        chain.is_touched[chain.touched[i]] = 0
        _refresh(box, chain, chain.touched[i])


@entry
def flip(box, chain, sites):
    """Make a vacancy of the Li at each site (int64[:]), or fill the vacancy there with Li."""
    for site in sites:
        _flip(box, chain, site)


@entry
def refresh(box, chain):
    """Bring the rates of all sites in line with the occupancy and the energies."""
    chain.of_energy[:] = 0
    chain.rates[:] = 1.0  # those of the energy 0
    for site in range(box.n_sites):
        _refresh(box, chain, np.int64(site))


@entry
def advance(box, chain, rng, pairs):
    """Make a vacancy and fill one in turn, about so many pairs of flips.

    It ends after a time with n vacancies, that of so many pairs at the rate of the start, with
    stays drawn for this purpose alone: the state then is one of the Boltzmann distribution, where
    one after a number of flips would favour states that are soon left. The averages take the mean
    stays. `rng` (Generator) gives three numbers a pair. Returns the pairs made.
    """
    totals, numbers = chain.totals, chain.numbers
    rate = _total(chain.sums, np.int64(MAKE))
    rest = pairs / rate
    made = 0
    while True:
        rest += math.log1p(-rng.random()) / rate
        if rest <= 0.0:
            return made
        totals[RESIDENCE] += 1.0 / rate
        totals[TIMES_L1] += numbers[VACANT_L1] / rate
        totals[TIMES_ENERGY] += numbers[ENERGY] / rate
        _flip(box, chain, _draw(chain.sums, np.int64(MAKE), rng.random() * rate))
        rate = _total(chain.sums, np.int64(FILL))
        totals[RESIDENCE_ABOVE] += 1.0 / rate
        _flip(box, chain, _draw(chain.sums, np.int64(FILL), rng.random() * rate))
        rate = _total(chain.sums, np.int64(MAKE))
        made += 1
