"""Neighbours of a site, and the counts that its state holds of them."""

import numpy as np

from kmc.kernels import tables as t
from kmc.kernels.jit import index, inner
from kmc.kernels.rates import binding, class_of, species_of

_CLASS_STEP = 1 << t.CLASS_SHIFT
_CLASS_TOP = 2 << t.CLASS_SHIFT


@inner
def variant_of(packed):
    return (packed >> t.VARIANT_SHIFT) & 15


@inner
def neighbour_row(geometry, packed, site):
    """Row of ``geometry.offsets`` that serves a site."""
    if packed & t.EDGE == 0:
        return index(variant_of(packed))
    column = index(site) // index(geometry.height)
    layer = index(site) - column * index(geometry.height) - index(geometry.walls)
    return index(geometry.row[index(geometry.layer_key[layer]), column])


@inner
def lattice_site(geometry, site):
    """Number of a site as users count: layer by layer."""
    column = site // geometry.height
    layer = site - column * geometry.height - geometry.walls
    return layer * geometry.sites_per_layer + column


@inner
def gather(geometry, packed, site, near, count):
    """Write the first `count` neighbours of a site into `near`: first shell, then second."""
    row = neighbour_row(geometry, packed, site)
    for k in range(count):
        near[k] = site + geometry.offsets[row, k]


@inner
def shifted(state, site, step):
    """Add to the packed state of a site, mark its strip weight out of date; the new state."""
    packed = state.site_state[index(site)] + step
    # Class 1 or 2, not dirty, in one comparison: one more than its class has the upper bit alone.
    if (packed + _CLASS_STEP) & (_CLASS_TOP | t.DIRTY) == _CLASS_TOP:
        state.dirty[state.counters[t.N_DIRTY]] = site
        state.counters[t.N_DIRTY] += 1
        packed |= t.DIRTY
    state.site_state[index(site)] = packed
    return packed


@inner
def shift_pairs(state, near, layer, d_vacancy, d_mg):
    """Update the count of pairs for chi: in L2 for a vacancy of L1, in L1 for an Mg of L2."""
    step = (d_vacancy if layer == 1 else d_mg) * t.CX
    if step != 0:
        for k in range(t.N_FIRST):
            if class_of(state.site_state[near[k]]) == 3 - layer:
                state.site_state[near[k]] += step


@inner
def _shift_counts(geometry, state, near, layer, d_vacancy, d_mg):
    """Update the counts around a site of this class by the change of its vacancy or Mg."""
    step = d_vacancy * t.NV1 + d_mg * t.NM1
    for k in range(t.N_FIRST):
        shifted(state, near[k], step)
    if geometry.shells == 2:
        step = d_vacancy * t.NV2 + d_mg * t.NM2
        for k in range(t.N_FIRST, t.N_NEAR):
            shifted(state, near[k], step)
    if geometry.pairs and (layer == 1 or layer == 2):
        shift_pairs(state, near, layer, d_vacancy, d_mg)


@inner
def list_mg(state, site, d_mg):
    """An Mg has come to a site or left it."""
    mg = state.mg
    if mg.place.size == 0 or d_mg == 0:
        return
    n = mg.length[0]
    if d_mg > 0:
        mg.sites[n] = site
        mg.place[site] = n
        mg.length[0] = n + 1
    else:
        i, last = mg.place[site], mg.sites[n - 1]
        mg.sites[i] = last
        mg.place[last] = i
        mg.place[site] = -1
        mg.length[0] = n - 1


@inner
def carry_mg(state, site_to, site_from):
    """An Mg has hopped: it keeps its place in the list."""
    mg = state.mg
    if mg.place.size > 0:
        i = mg.place[site_from]
        mg.sites[i] = site_to
        mg.place[site_to] = i
        mg.place[site_from] = -1


@inner
def _blocked(species):
    return t.BLOCKED if species == t.VACANCY else 0


@inner
def count_L1(state, layer, d_vacancy, d_mg):
    if layer == 1:
        state.counters[t.VACANT_L1] += d_vacancy
        state.counters[t.MG_L1] += d_mg


@inner
def set_species(geometry, state, site, near, old, new):
    """Change the species of a site and the counts around it."""
    packed = shifted(state, site, (new - old) * t.SPECIES + _blocked(new) - _blocked(old))
    d_vacancy = (1 if new == t.VACANCY else 0) - (1 if old == t.VACANCY else 0)
    d_mg = (1 if new == t.MG else 0) - (1 if old == t.MG else 0)
    layer = class_of(packed)
    state.counters[t.VACANCIES] += d_vacancy
    count_L1(state, layer, d_vacancy, d_mg)
    list_mg(state, site, d_mg)
    _shift_counts(geometry, state, near, layer, d_vacancy, d_mg)


@inner
def count_neighbours(geometry, law, state, near):
    """Fill in neighbour counts, counters and energy of site states that hold species only.

    The energy counter must hold the energy of the box full of Li; every other site adds what it
    takes to change its Li, among the sites changed before it, into what it is.
    """
    site_state, counters = state.site_state, state.counters
    for site in range(site_state.size):
        species = species_of(site_state[site])
        if species == t.WALL:
            continue
        packed = shifted(state, site, np.int64(0))
        if species == t.LI:
            continue
        layer = class_of(packed)
        is_vacancy = 1 if species == t.VACANCY else 0
        counters[t.VACANCIES] += is_vacancy
        count_L1(state, layer, is_vacancy, 1 - is_vacancy)
        counters[t.ENERGY] += binding(law, t.LI, packed)
        if species == t.MG:
            counters[t.ENERGY] -= binding(law, t.MG, packed)
        gather(geometry, packed, site, near, t.N_NEAR)
        _shift_counts(geometry, state, near, layer, is_vacancy, 1 - is_vacancy)
