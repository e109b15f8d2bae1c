"""What an event does to the lattice: species and counts change, rates nearby are refreshed."""

from __future__ import annotations

import numpy as np

from kmc.kernels.jit import index, inner
from kmc.kernels.rates import (
    absorption,
    binding,
    class_of,
    hop_rate,
    hop_target,
    species_of,
    strip_weight,
)
from kmc.kernels.selection import assign, reassign
from kmc.kernels.tables import (
    BLOCKED,
    CLASS_SHIFT,
    CX,
    DIRTY,
    EDGE,
    ELECTROACTIVE_BITS,
    ENERGY,
    LI,
    MASK_FIRST,
    MG,
    MG_L1,
    MG_SHIFT,
    N_DIRTY,
    N_FIRST,
    N_NEAR,
    NM1,
    NM2,
    NV1,
    NV2,
    REFRESHES,
    SPECIES,
    SPECIES_BITS,
    TOP,
    TOP_BITS,
    VACANCIES,
    VACANCY,
    VACANT_L1,
    VARIANT_SHIFT,
    WALL,
)

L1_CLEAN = 1 << CLASS_SHIFT
L2_CLEAN = 2 << CLASS_SHIFT


# --- neighbours --------------------------------------------------------------------------------


@inner
def variant_of(word):
    return (word >> VARIANT_SHIFT) & 15


@inner
def neighbour_row(geometry, word, site):
    """Row of ``geometry.offsets`` that serves a site."""
    if word & EDGE == 0:
        return index(variant_of(word))
    column = site // geometry.height
    layer = site - column * geometry.height - geometry.walls
    return index(geometry.row[geometry.layer_key[index(layer)], index(column)])


@inner
def lattice_site(geometry, site):
    """Number of a site as users count: layer by layer."""
    column = site // geometry.height
    layer = site - column * geometry.height - geometry.walls
    return layer * geometry.sites_per_layer + column


@inner
def gather(geometry, word, site, near, count):
    """Write the first `count` neighbours of a site into `near`: first shell, then second."""
    row = neighbour_row(geometry, word, site)
    for k in range(count):
        near[k] = site + geometry.offsets[row, k]


# --- rates -------------------------------------------------------------------------------------


@inner
def _absorption_rates(law, word, rates):
    """Rates of absorption as Li and as Mg; returns their sum."""
    rates[N_FIRST] = absorption(law, LI, word)
    rates[N_FIRST + 1] = absorption(law, MG, word)
    return rates[N_FIRST] + rates[N_FIRST + 1]


@inner
def vacancy_rates(geometry, law, channels, words, site, rates):
    """Rates of everything that can fill a vacancy, and their sum.

    ``rates[0:8]`` are the hops of its first neighbours, ``rates[8:10]`` absorption as Li and as Mg.
    """
    word = words[index(site)]
    row = neighbour_row(geometry, word, site)
    steps = geometry.offsets[row]
    target = hop_target(law, word)
    for k in range(N_FIRST):
        rates[k] = hop_rate(law, target, words[index(site + steps[k])])
    total = ((rates[0] + rates[1]) + (rates[2] + rates[3])) + (
        (rates[4] + rates[5]) + (rates[6] + rates[7])
    )
    if channels.absorbs and word & TOP_BITS == TOP:
        total += _absorption_rates(law, word, rates)
    else:
        rates[N_FIRST] = 0.0
        rates[N_FIRST + 1] = 0.0
    return total


@inner
def total_rate(geometry, law, channels, words, site, rates):
    """Total rate of a vacancy, to the last bit the sum that `vacancy_rates` returns."""
    word = words[index(site)]
    row = neighbour_row(geometry, word, site)
    target = hop_target(law, word)
    steps = geometry.offsets[row]
    rate_0 = hop_rate(law, target, words[index(site + steps[0])])
    rate_1 = hop_rate(law, target, words[index(site + steps[1])])
    rate_2 = hop_rate(law, target, words[index(site + steps[2])])
    rate_3 = hop_rate(law, target, words[index(site + steps[3])])
    rate_4 = hop_rate(law, target, words[index(site + steps[4])])
    rate_5 = hop_rate(law, target, words[index(site + steps[5])])
    rate_6 = hop_rate(law, target, words[index(site + steps[6])])
    rate_7 = hop_rate(law, target, words[index(site + steps[7])])
    total = ((rate_0 + rate_1) + (rate_2 + rate_3)) + ((rate_4 + rate_5) + (rate_6 + rate_7))
    if channels.absorbs and word & TOP_BITS == TOP:
        total += _absorption_rates(law, word, rates)
    return total


@inner
def _refresh(geometry, law, channels, state, scratch, n):
    """Recompute the rates of the first n vacancies listed."""
    for i in range(n):
        site = scratch.touched[i]
        rate = total_rate(geometry, law, channels, state.words, site, scratch.rates)
        assign(state.hops, site, rate)
    state.counters[REFRESHES] += n


# --- counts ------------------------------------------------------------------------------------


@inner
def _shifted(state, site, step):
    """Add to the word of a site, and note that its strip weight is out of date; the new word."""
    word = state.words[index(site)] + step
    clean = word & ELECTROACTIVE_BITS
    if clean == L1_CLEAN or clean == L2_CLEAN:  # noqa: SIM109 - a tuple compiles worse
        state.dirty[state.counters[N_DIRTY]] = site
        state.counters[N_DIRTY] += 1
        word |= DIRTY
    state.words[index(site)] = word
    return word


@inner
def _shift_pairs(state, near, layer, d_vacancy, d_mg):
    """Tell L2 of a vacancy in L1, or L1 of an Mg in L2: the pairs that chi counts."""
    step = (d_vacancy if layer == 1 else d_mg) * CX
    if step != 0:
        for k in range(N_FIRST):
            if class_of(state.words[near[k]]) == 3 - layer:
                state.words[near[k]] += step


@inner
def _shift_counts(geometry, state, near, layer, d_vacancy, d_mg):
    """Tell the sites around a site of this class that its vacancy or Mg came or went."""
    step = d_vacancy * NV1 + d_mg * NM1
    for k in range(N_FIRST):
        _shifted(state, near[k], step)
    if geometry.shells == 2:
        step = d_vacancy * NV2 + d_mg * NM2
        for k in range(N_FIRST, N_NEAR):
            _shifted(state, near[k], step)
    if geometry.pairs and (layer == 1 or layer == 2):
        _shift_pairs(state, near, layer, d_vacancy, d_mg)


@inner
def _blocked(species):
    return BLOCKED if species == VACANCY else 0


@inner
def _count_L1(state, layer, d_vacancy, d_mg):
    if layer == 1:
        state.counters[VACANT_L1] += d_vacancy
        state.counters[MG_L1] += d_mg


@inner
def set_species(geometry, state, site, near, old, new):
    """Change the species of a site and the counts around it."""
    word = _shifted(state, site, (new - old) * SPECIES + _blocked(new) - _blocked(old))
    d_vacancy = (1 if new == VACANCY else 0) - (1 if old == VACANCY else 0)
    d_mg = (1 if new == MG else 0) - (1 if old == MG else 0)
    layer = class_of(word)
    state.counters[VACANCIES] += d_vacancy
    _count_L1(state, layer, d_vacancy, d_mg)
    _shift_counts(geometry, state, near, layer, d_vacancy, d_mg)


@inner
def count_neighbours(geometry, law, state, near):
    """Fill in neighbour counts, counters and energy of words that hold species only.

    The energy counter must hold the energy of the box full of Li; every other site adds what it
    takes to change its Li, among the sites changed before it, into what it is.
    """
    words, counters = state.words, state.counters
    for site in range(words.size):
        species = species_of(words[site])
        if species == WALL:
            continue
        word = _shifted(state, site, 0)
        if species == LI:
            continue
        layer = class_of(word)
        is_vacancy = 1 if species == VACANCY else 0
        counters[VACANCIES] += is_vacancy
        _count_L1(state, layer, is_vacancy, 1 - is_vacancy)
        counters[ENERGY] += binding(law, LI, word)
        if species == MG:
            counters[ENERGY] -= binding(law, MG, word)
        gather(geometry, word, site, near, N_NEAR)
        _shift_counts(geometry, state, near, layer, is_vacancy, 1 - is_vacancy)


# --- which vacancies feel an exchange ------------------------------------------------------------


@inner
def _touch(words, touched, n, site):
    if words[site] & BLOCKED:
        words[site] ^= BLOCKED
        touched[n] = site
        n += 1
    return n


@inner
def _touch_around(geometry, words, site, known, near, touched, n):
    """List the vacancies whose rates follow from this site, whose counts have changed.

    A vacancy follows from its own counts and from those of the atoms beside it. `known` is how many
    vacancies beside an atom are already listed, so that most atoms need no second look.
    """
    word = words[site]
    species = species_of(word)
    if species == VACANCY:
        return _touch(words, touched, n, site)
    if species != WALL and word & MASK_FIRST > known:
        gather(geometry, word, site, near, N_FIRST)
        for k in range(N_FIRST):
            if species_of(words[near[k]]) == VACANCY:
                n = _touch(words, touched, n, near[k])
    return n


@inner
def _unmark(words, touched, n):
    for i in range(n):
        words[touched[i]] |= BLOCKED


@inner
def exchange(geometry, law, channels, state, scratch, site, new):
    """Change the species of a site: `new` comes from outside, what was there leaves."""
    words, touched = state.words, scratch.touched
    near_site, near = scratch.near[0], scratch.near[2]
    old = species_of(words[site])
    gather(geometry, words[site], site, near_site, N_NEAR)
    set_species(geometry, state, site, near_site, old, new)
    if old == VACANCY:
        assign(state.hops, site, 0.0)
    n = _touch_around(geometry, words, site, 0, near, touched, 0)
    for i in range(N_NEAR):
        n = _touch_around(geometry, words, near_site[i], 0, near, touched, n)
    _unmark(words, touched, n)
    _refresh(geometry, law, channels, state, scratch, n)


# --- which vacancies feel a hop ------------------------------------------------------------------


@inner
def _wrap_along_z(geometry, site, column, inside, layers, steps):
    """Steps from a site near an end of a box that is periodic along z."""
    layer = site - column * geometry.height - geometry.walls
    for i in range(inside.size):
        steps[i] = inside[i] + geometry.wrap_layer[layer + layers[i]]


@inner
def _shift_group(state, site, steps, first, end, step, vacancies, atoms):
    """Shift the words of a stretch of the list; adds up their nv1 and notes which are atoms."""
    for i in range(first, end):
        word = _shifted(state, site + steps[index(i)], step)
        vacancies += word & MASK_FIRST
        atoms |= (1 if word & BLOCKED == 0 else 0) << i
    return vacancies, atoms


@inner
def _list_changed(words, site, steps, first, end, touched, n, enclosed):
    """Append the vacancies of a stretch of the list; fully enclosed ones only on request."""
    for i in range(first, end):
        other = site + steps[index(i)]
        word = words[index(other)]
        touched[index(n)] = other  # kept only if the next line counts it: nothing to mispredict
        is_vacancy = 1 if word & SPECIES_BITS == 0 else 0
        has_atoms = 1 if word & MASK_FIRST != N_FIRST else 0
        n += is_vacancy & (has_atoms | enclosed)
    return n


@inner
def _list_beside(words, site, steps, beside, first, atoms, touched, n):
    """Append the vacancies of the rest of the list that stand beside a changed atom."""
    for i in range(first, steps.size):
        other = site + steps[index(i)]
        word = words[index(other)]
        touched[index(n)] = other
        is_vacancy = 1 if word & SPECIES_BITS == 0 else 0
        n += is_vacancy & (1 if beside[index(i)] & atoms != 0 else 0)
    return n


@inner
def _move(geometry, state, scratch, k, site_to, site_from, species):
    """Change species and counts for a hop; returns how many vacancies are listed for a refresh."""
    words, end = state.words, geometry.group_end
    word_to, word_from = words[site_to], words[site_from]
    layer_to, layer_from = class_of(word_to), class_of(word_from)
    is_mg = 1 if species == MG else 0
    if is_mg or layer_to == 1 or layer_from == 1:
        _count_L1(state, layer_to, -1, is_mg)
        _count_L1(state, layer_from, 1, -is_mg)
    if geometry.pairs and (layer_to == 1 or layer_to == 2):
        gather(geometry, word_to, site_to, scratch.near[0], N_FIRST)
        _shift_pairs(state, scratch.near[0], layer_to, -1, is_mg)
    if geometry.pairs and (layer_from == 1 or layer_from == 2):
        gather(geometry, word_from, site_from, scratch.near[1], N_FIRST)
        _shift_pairs(state, scratch.near[1], layer_from, 1, -is_mg)

    first = is_mg * NM1 - NV1  # what filling site_to means to its first neighbours
    second = is_mg * NM2 - NV2
    code = species * SPECIES - BLOCKED
    v = _shifted(state, site_to, code - first) & MASK_FIRST
    v += _shifted(state, site_from, first - code) & MASK_FIRST
    variant = index(variant_of(word_to))
    steps = geometry.around[0, variant, k]
    if word_to < 0:  # in the fringe
        column = index(site_to // geometry.height)
        steps = geometry.around[index(geometry.pattern[column]), variant, k]
        if geometry.wrap_layer.size:
            layers = geometry.around_layers[variant, k]
            _wrap_along_z(geometry, site_to, np.int64(column), steps, layers, scratch.steps)
            steps = scratch.steps
    v, atoms = _shift_group(state, site_to, steps, 0, end[0], first - second, v, 0)
    v, atoms = _shift_group(state, site_to, steps, end[0], end[1], first, v, atoms)
    v, atoms = _shift_group(state, site_to, steps, end[1], end[2], second - first, v, atoms)
    v, atoms = _shift_group(state, site_to, steps, end[2], end[3], -first, v, atoms)
    v, atoms = _shift_group(state, site_to, steps, end[3], end[4], second, v, atoms)
    v, atoms = _shift_group(state, site_to, steps, end[4], end[5], -second, v, atoms)
    if v == N_FIRST:
        return 0  # only the first neighbours of the vacancy itself see one: it is alone
    touched = scratch.touched
    # A vacancy without atoms beside it has no rate; only next to site_from can it have had one.
    n = _list_changed(words, site_to, steps, 0, end[1], touched, 0, 0)
    n = _list_changed(words, site_to, steps, end[1], end[3], touched, n, 1)
    n = _list_changed(words, site_to, steps, end[3], end[5], touched, n, 0)
    beside = geometry.beside[variant, k]
    return _list_beside(words, site_to, steps, beside, end[5], atoms, touched, n)


@inner
def hop(geometry, law, channels, state, scratch, k, site_to, site_from):
    """Move the atom on `site_from` into the vacancy on `site_to`, its neighbour number k."""
    words = state.words
    species = species_of(words[site_from])
    n = _move(geometry, state, scratch, k, site_to, site_from, species)
    rate = total_rate(geometry, law, channels, words, site_from, scratch.rates)
    reassign(state.hops, site_to, site_from, rate)
    _refresh(geometry, law, channels, state, scratch, n)


# --- stripping ---------------------------------------------------------------------------------


@inner
def is_electroactive(geometry, words, site, near):
    """Li in L1, or Li in L2 with an Mg among its first neighbours in L1."""
    word = words[site]
    if species_of(word) != LI:
        return False
    if class_of(word) == 1:
        return True
    if (word >> MG_SHIFT) & MASK_FIRST == 0:
        return False
    gather(geometry, word, site, near, N_FIRST)
    for k in range(N_FIRST):
        other = words[near[k]]
        if class_of(other) == 1 and species_of(other) == MG:
            return True
    return False


@inner
def strip_site(geometry, member):
    """Site of a member of the strip bins: 2 * column + (0 for L1, 1 for L2)."""
    return (member >> 1) * geometry.height + geometry.walls + (member & 1)


@inner
def refresh_strip_weights(geometry, law, state, scratch):
    """Bring the strip weights of all sites listed as dirty up to date."""
    words = state.words
    for i in range(state.counters[N_DIRTY]):
        site = state.dirty[i]
        words[site] &= ~DIRTY
        weight = 0.0
        if is_electroactive(geometry, words, site, scratch.near[2]):
            weight = strip_weight(law, words[site])
        member = 2 * (site // geometry.height) + class_of(words[site]) - 1
        assign(state.strips, member, weight)
    state.counters[N_DIRTY] = 0
