"""A hop: the states it changes, and the vacancies whose rates follow from them."""

import numpy as np

from kmc.kernels import tables as t
from kmc.kernels.counts import carry_mg, count_L1, gather, shift_pairs, shifted, variant_of
from kmc.kernels.events import refresh, total_rate
from kmc.kernels.jit import count_bits, index, inner, lowest_bit
from kmc.kernels.rates import class_of, species_of
from kmc.kernels.selection import reassign


@inner
def _list_changed(site_state, site, steps, blocked, beside_from, touched):
    """List the vacancies whose counts have changed, those without atoms only next to site_from.

    Returns how many are listed, and which of the sites are vacancies.
    """
    n, vacant = 0, 0
    while blocked != 0:
        i = lowest_bit(blocked)
        blocked &= blocked - 1
        other = site + steps[index(i)]
        packed = site_state[index(other)]
        touched[index(n)] = other  # kept only if it counts: nothing to mispredict
        is_vacancy = 1 if packed & t.SPECIES_BITS == 0 else 0
        has_atoms = 1 if packed & t.MASK_FIRST != t.N_FIRST else 0
        vacant |= is_vacancy << i
        n += is_vacancy & (has_atoms | (beside_from >> i))
    return n, vacant


@inner
def _list_beside(
    geometry, site_state, site, steps, direction, atoms, vacant, beside_from, touched, n
):
    """Append the vacancies whose counts stay, beside an atom whose counts have changed.

    Most atoms see no vacancies but those already known: their surroundings need no look.
    """
    variant, k = direction
    candidates, first = 0, geometry.group_end[5]
    for i in range(first):
        known = count_bits(vacant & geometry.beside[variant, k, index(i)]) + (beside_from >> i & 1)
        seen = np.int64(site_state[index(site + steps[index(i)])]) & t.MASK_FIRST
        # Signs as masks: branches would often be mispredicted.
        sees_more = ((known - seen) >> 63) & -((atoms >> i) & 1)
        candidates |= geometry.beyond[variant, k, index(i)] & sees_more
    while candidates != 0:
        i = lowest_bit(candidates) + first
        candidates &= candidates - 1
        other = site + steps[index(i)]
        touched[index(n)] = other
        n += 1 if site_state[index(other)] & t.SPECIES_BITS == 0 else 0
    return n


@inner
def hop(geometry, law, channels, state, scratch, k, site_to, site_from):
    """Move the atom on `site_from` into the vacancy on `site_to`, its neighbour number k."""
    site_state, end = state.site_state, geometry.group_end
    species = species_of(site_state[site_from])
    packed_to, packed_from = site_state[site_to], site_state[site_from]
    layer_to, layer_from = class_of(packed_to), class_of(packed_from)
    is_mg = 1 if species == t.MG else 0
    if is_mg:
        carry_mg(state, site_to, site_from)
    if is_mg or layer_to == 1 or layer_from == 1:
        count_L1(state, layer_to, np.int64(-1), is_mg)
        count_L1(state, layer_from, np.int64(1), -is_mg)
    if geometry.pairs and (layer_to == 1 or layer_to == 2):
        gather(geometry, packed_to, site_to, scratch.near[0], t.N_FIRST)
        shift_pairs(state, scratch.near[0], layer_to, np.int64(-1), is_mg)
    if geometry.pairs and (layer_from == 1 or layer_from == 2):
        gather(geometry, packed_from, site_from, scratch.near[1], t.N_FIRST)
        shift_pairs(state, scratch.near[1], layer_from, np.int64(1), -is_mg)

    first = is_mg * t.NM1 - t.NV1  # change of the first neighbours of site_to when it is filled
    # site_from becomes what site_to was: the same change with the other sign.
    code = species * t.SPECIES - t.BLOCKED
    v = shifted(state, site_to, code - first) & t.MASK_FIRST
    v += shifted(state, site_from, first - code) & t.MASK_FIRST
    variant = index(variant_of(packed_to))
    steps = geometry.around[0, variant, k]
    # The sign bit marks sites whose neighbours wrap around: inside, steps are constants of the
    # variant.
    if packed_to < 0:  # in the fringe
        column = site_to // geometry.height
        steps = geometry.around[index(geometry.pattern[index(column)]), variant, k]
        if geometry.wrap_layer.size:
            # Periodic along z: a column has its own ends, which no pattern in plane knows.
            inside, layers = steps, geometry.around_layers[variant, k]
            layer = site_to - column * geometry.height - geometry.walls
            for i in range(inside.size):
                scratch.steps[i] = inside[i] + geometry.wrap_layer[layer + layers[i]]
            steps = scratch.steps
    shift, blocked = geometry.shift[is_mg], 0  # bits of the sites without an atom
    for i in range(shift.size):
        packed = shifted(state, site_to + steps[index(i)], shift[index(i)])
        v += packed & t.MASK_FIRST
        blocked |= ((packed >> t.BLOCKED_SHIFT) & 1) << i
    n = 0
    # Alone, the vacancy is seen by its own first neighbours only: no other rate has changed.
    if v != t.N_FIRST:
        touched, way = scratch.touched, (variant, k)
        # A vacancy without atoms beside it has no rate; only next to site_from can it have had one.
        beside_from = (1 << end[3]) - (1 << end[1])
        n, vacant = _list_changed(site_state, site_to, steps, blocked, beside_from, touched)
        atoms = (1 << end[5]) - 1 - blocked
        n = _list_beside(
            geometry, site_state, site_to, steps, way, atoms, vacant, beside_from, touched, n
        )
    # The vacancy itself, which stays in its bin where its rate does, as in perfect metal.
    rate = total_rate(geometry, law, channels, scratch, state.site_state, site_from)
    reassign(state.hops, site_to, site_from, rate)
    refresh(geometry, law, channels, state, scratch, n)
