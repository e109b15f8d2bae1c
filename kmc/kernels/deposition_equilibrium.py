"""Adatoms in equilibrium with one another: a chain that takes an atom out and puts it back.

With n atoms the chain takes one out, with n − 1 it puts one on a vacant site, in turn, at rates
whose ratio is exp(−B/kT) with B what binds it there, so that states with n atoms are visited for
times in proportion to their Boltzmann factors (as in `kmc.kernels.equilibrium`). An atom without
which others would be cut off stays, and nothing is put beside a dead atom: dead atoms and the
number of the connected ones do not change.
"""

from typing import NamedTuple

import numpy as np

from kmc.kernels import deposition as kernel
from kmc.kernels.deposition import (
    add,
    bin_at,
    bin_of,
    mass_of,
    remove,
    shifted,
)
from kmc.kernels.jit import entry, inner, rare

ABSENT, BESIDE_DEAD = -1, -2  # of `Vacant.where`


class Vacant(NamedTuple):
    """Sites where an atom would be connected, in the bins of what it would be."""

    members: np.ndarray  # int32 [bin, site]
    size: np.ndarray  # int64 [bin]
    where: np.ndarray  # int32 [site], place in the bin; ABSENT or BESIDE_DEAD


@inner
def _put(box, state, vacant, site):
    """Enter a vacant site that touches the substrate or an atom."""
    touches = state.neighbours[site] > 0 or site < box.ny * box.nx
    if touches and not state.occupied[site] and vacant.where[site] == ABSENT:
        b = bin_of(box, state, site)
        vacant.members[b, vacant.size[b]] = site
        vacant.where[site] = vacant.size[b]
        vacant.size[b] += 1


@inner
def _drop(box, state, vacant, site):
    if vacant.where[site] >= 0:
        b = bin_of(box, state, site)
        last = vacant.members[b, vacant.size[b] - 1]
        vacant.members[b, vacant.where[site]] = last
        vacant.where[last] = vacant.where[site]
        vacant.where[site] = ABSENT
        vacant.size[b] -= 1


@rare
def _flip(box, state, vacant, site):
    """Take an atom out, or put one on a site."""
    _drop(box, state, vacant, site)
    for d in range(6):
        other, z = shifted(box, site, d)
        if 0 <= z < box.nz:
            _drop(box, state, vacant, other)
    if state.occupied[site]:
        remove(box, state, site)
    else:
        add(box, state, site)
    _put(box, state, vacant, site)
    for d in range(6):
        other, z = shifted(box, site, d)
        if 0 <= z < box.nz:
            _put(box, state, vacant, other)


@rare
def _enter_all(box, state, vacant):
    """All vacant sites up to one layer above the highest atom."""
    columns, high = box.ny * box.nx, np.int64(0)
    vacant.size[:] = 0
    vacant.where[:] = ABSENT
    for column in range(columns):
        high = max(high, np.int64(state.top[column]))
    sites = columns * min(box.nz, high + 1)
    if state.counts[kernel.DEAD] > 0:
        for site in range(sites):
            if state.occupied[site] and not state.connected[site]:
                for d in range(6):
                    other, z = shifted(box, np.int64(site), d)
                    if 0 <= z < box.nz:
                        vacant.where[other] = BESIDE_DEAD
    for site in range(sites):
        _put(box, state, vacant, np.int64(site))


@entry
def equilibrate(box, state, vacant, leave, join, time, rng):
    """Take an atom out and put one back, in turn, for a time of the chain.

    - `vacant` (Vacant): work space, made anew here.
    - `leave`, `join` (float64 [bin]): rates at which an atom of a bin is taken out, and put on a
      site; their ratio is exp(−B/kT) times a factor that all bins share. `leave` is 0 for atoms
      that do not move.
    - `time` (float): with n atoms, in the unit of the rates. It must not depend on the state: a
      state after a number of moves, or after a time of its own, would be one that is soon left.
    - `rng` (Generator): a stay, bin and member of what leaves, bin and member of where it goes.

    Returns the moves made, those to the same place among them.
    """
    _enter_all(box, state, vacant)
    made = 0
    while True:
        rate = mass_of(state.n_connected, leave)
        if rate == 0.0:
            return made
        time -= rng.standard_exponential() / rate
        if time <= 0.0:
            return made
        b = bin_at(state.n_connected, leave, rng.random() * rate)
        site = np.int64(0)
        while True:
            member = min(np.int64(rng.random() * state.size[b]), state.size[b] - 1)
            site = np.int64(state.members[b, member])
            if state.connected[site]:
                break
        dead = state.counts[kernel.DEAD]
        _flip(box, state, vacant, site)
        if state.counts[kernel.DEAD] == dead:
            b = bin_at(vacant.size, join, rng.random() * mass_of(vacant.size, join))
            member = min(np.int64(rng.random() * vacant.size[b]), vacant.size[b] - 1)
            site = np.int64(vacant.members[b, member])
        _flip(box, state, vacant, site)
        made += 1
