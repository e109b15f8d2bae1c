"""Events: changes of species and neighbour counts, and the refresh of rates nearby."""

from __future__ import annotations

import numpy as np

from kmc.kernels.jit import count_bits, index, inner, lowest_bit, rare
from kmc.kernels.rates import (
    absorption,
    binding,
    class_of,
    expected_vacancies,
    hop_rate,
    hop_target,
    plate_weight,
    remembers_rates,
    species_of,
    strip_weight,
)
from kmc.kernels.selection import assign, bin_or_none, put, reassign
from kmc.kernels.tables import (
    BLOCKED,
    BLOCKED_SHIFT,
    CLASS_SHIFT,
    CX,
    DIRTY,
    EDGE,
    ENERGY,
    EXPECTED,
    LI,
    MASK_FIRST,
    MASK_VACANCIES,
    MG,
    MG_L1,
    MG_SHIFT,
    N_DIRTY,
    N_FIRST,
    N_KEPT,
    N_NEAR,
    NM1,
    NM2,
    NV1,
    NV2,
    REFRESHES,
    SEEN,
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

CLASS_STEP = 1 << CLASS_SHIFT
CLASS_TOP = 2 << CLASS_SHIFT


# --- neighbours --------------------------------------------------------------------------------


@inner
def variant_of(packed):
    return (packed >> VARIANT_SHIFT) & 15


@inner
def neighbour_row(geometry, packed, site):
    """Row of ``geometry.offsets`` that serves a site."""
    if packed & EDGE == 0:
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


# --- rates -------------------------------------------------------------------------------------


@inner
def _absorption_rates(law, packed, rates):
    """Rates of absorption as Li and as Mg; returns their sum."""
    rates[N_FIRST] = absorption(law, LI, packed)
    rates[N_FIRST + 1] = absorption(law, MG, packed)
    return rates[N_FIRST] + rates[N_FIRST + 1]


@inner
def _sum_of_rates(rates):
    hops = ((rates[0] + rates[1]) + (rates[2] + rates[3])) + (
        (rates[4] + rates[5]) + (rates[6] + rates[7])
    )
    return hops + (rates[N_FIRST] + rates[N_FIRST + 1])


@inner
def vacancy_rates(geometry, law, channels, site_state, site, rates):
    """Rates of everything that can fill a vacancy, and their sum.

    ``rates[0:8]`` are the hops of its first neighbours, ``rates[8:10]`` absorption as Li and as Mg.
    """
    packed = site_state[index(site)]
    row = neighbour_row(geometry, packed, site)
    steps = geometry.offsets[row]
    target = hop_target(law, packed)
    for k in range(N_FIRST):
        rates[k] = hop_rate(law, target, site_state[index(site + steps[k])])
    if channels.absorbs and packed & TOP_BITS == TOP:
        _absorption_rates(law, packed, rates)
    else:
        rates[N_FIRST] = 0.0
        rates[N_FIRST + 1] = 0.0
    return _sum_of_rates(rates)


@inner
def _sum_of_hops(geometry, law, site_state, site):
    """Sum of the first eight of `vacancy_rates`, to the last bit."""
    packed = site_state[index(site)]
    row = neighbour_row(geometry, packed, site)
    target = hop_target(law, packed)
    steps = geometry.offsets[row]
    rate_0 = hop_rate(law, target, site_state[index(site + steps[0])])
    rate_1 = hop_rate(law, target, site_state[index(site + steps[1])])
    rate_2 = hop_rate(law, target, site_state[index(site + steps[2])])
    rate_3 = hop_rate(law, target, site_state[index(site + steps[3])])
    rate_4 = hop_rate(law, target, site_state[index(site + steps[4])])
    rate_5 = hop_rate(law, target, site_state[index(site + steps[5])])
    rate_6 = hop_rate(law, target, site_state[index(site + steps[6])])
    rate_7 = hop_rate(law, target, site_state[index(site + steps[7])])
    return ((rate_0 + rate_1) + (rate_2 + rate_3)) + ((rate_4 + rate_5) + (rate_6 + rate_7))


@inner
def total_rate(geometry, law, channels, scratch, site_state, site):
    """Total rate of a vacancy; of an alloy, its rates are kept for the attempts to come."""
    slot = index(site & (N_KEPT - 1))
    if remembers_rates(law):
        scratch.owner[slot] = site
        return vacancy_rates(geometry, law, channels, site_state, site, scratch.rates[slot])
    total = _sum_of_hops(geometry, law, site_state, site)
    packed = site_state[index(site)]
    if channels.absorbs and packed & TOP_BITS == TOP:
        total += _absorption_rates(law, packed, scratch.rates[slot])
    return total


@inner
def rates_now(geometry, law, channels, scratch, site_state, site):
    """`vacancy_rates` of a vacancy in its row of ``scratch.rates``, and their sum."""
    slot = index(site & (N_KEPT - 1))
    rates = scratch.rates[slot]
    if remembers_rates(law):
        if scratch.owner[slot] == site:
            return _sum_of_rates(rates)
        scratch.owner[slot] = site
    return vacancy_rates(geometry, law, channels, site_state, site, rates)


@inner
def _refresh(geometry, law, channels, state, scratch, n):
    """Recompute the rates of the first n vacancies listed.

    All their bins are found before any changes its bin: the processor then overlaps either.
    """
    bins = state.hops
    for i in range(n):
        site = scratch.touched[index(i)]
        rate = total_rate(geometry, law, channels, scratch, state.site_state, site)
        scratch.bins[index(i)] = bin_or_none(bins, rate)
    for i in range(n):
        put(bins, scratch.touched[index(i)], scratch.bins[index(i)])
    state.counters[REFRESHES] += n


# --- counts ------------------------------------------------------------------------------------


@inner
def _shifted(state, site, step):
    """Add to the packed state of a site, mark its strip weight out of date; the new state."""
    packed = state.site_state[index(site)] + step
    # Class 1 or 2, not dirty, in one comparison: one more than its class has the upper bit alone.
    if (packed + CLASS_STEP) & (CLASS_TOP | DIRTY) == CLASS_TOP:
        state.dirty[state.counters[N_DIRTY]] = site
        state.counters[N_DIRTY] += 1
        packed |= DIRTY
    state.site_state[index(site)] = packed
    return packed


@inner
def _shift_pairs(state, near, layer, d_vacancy, d_mg):
    """Update the count of pairs for chi: in L2 for a vacancy of L1, in L1 for an Mg of L2."""
    step = (d_vacancy if layer == 1 else d_mg) * CX
    if step != 0:
        for k in range(N_FIRST):
            if class_of(state.site_state[near[k]]) == 3 - layer:
                state.site_state[near[k]] += step


@inner
def _shift_counts(geometry, state, near, layer, d_vacancy, d_mg):
    """Update the counts around a site of this class by the change of its vacancy or Mg."""
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
def _carry_mg(state, site_to, site_from):
    """An Mg has hopped: it keeps its place in the list."""
    mg = state.mg
    if mg.place.size > 0:
        i = mg.place[site_from]
        mg.sites[i] = site_to
        mg.place[site_to] = i
        mg.place[site_from] = -1


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
    packed = _shifted(state, site, (new - old) * SPECIES + _blocked(new) - _blocked(old))
    d_vacancy = (1 if new == VACANCY else 0) - (1 if old == VACANCY else 0)
    d_mg = (1 if new == MG else 0) - (1 if old == MG else 0)
    layer = class_of(packed)
    state.counters[VACANCIES] += d_vacancy
    _count_L1(state, layer, d_vacancy, d_mg)
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
        if species == WALL:
            continue
        packed = _shifted(state, site, 0)
        if species == LI:
            continue
        layer = class_of(packed)
        is_vacancy = 1 if species == VACANCY else 0
        counters[VACANCIES] += is_vacancy
        _count_L1(state, layer, is_vacancy, 1 - is_vacancy)
        counters[ENERGY] += binding(law, LI, packed)
        if species == MG:
            counters[ENERGY] -= binding(law, MG, packed)
        gather(geometry, packed, site, near, N_NEAR)
        _shift_counts(geometry, state, near, layer, is_vacancy, 1 - is_vacancy)


# --- vacancies affected by an exchange ------------------------------------------------------------


@inner
def _touch(site_state, touched, n, site):
    if site_state[site] & BLOCKED:
        site_state[site] ^= BLOCKED
        touched[n] = site
        n += 1
    return n


@inner
def _touch_around(geometry, site_state, site, known, near, touched, n):
    """List the vacancies whose rates follow from this site, whose counts have changed.

    A vacancy follows from its own counts and from those of the atoms beside it. `known` is how many
    vacancies beside an atom are already listed, so that most atoms need no second look.
    """
    packed = site_state[site]
    species = species_of(packed)
    if species == VACANCY:
        return _touch(site_state, touched, n, site)
    if species != WALL and packed & MASK_FIRST > known:
        gather(geometry, packed, site, near, N_FIRST)
        for k in range(N_FIRST):
            if species_of(site_state[near[k]]) == VACANCY:
                n = _touch(site_state, touched, n, near[k])
    return n


@inner
def _unmark(site_state, touched, n):
    for i in range(n):
        site_state[touched[i]] |= BLOCKED


@rare
def exchange(geometry, law, channels, state, scratch, site, new):
    """Change the species of a site: `new` comes from outside, what was there leaves."""
    site_state, touched = state.site_state, scratch.touched
    near_site, near = scratch.near[0], scratch.near[2]
    old = species_of(site_state[site])
    gather(geometry, site_state[site], site, near_site, N_NEAR)
    set_species(geometry, state, site, near_site, old, new)
    if old == VACANCY:
        assign(state.hops, site, 0.0)
    n = _touch_around(geometry, site_state, site, 0, near, touched, 0)
    for i in range(N_NEAR):
        n = _touch_around(geometry, site_state, near_site[i], 0, near, touched, n)
    _unmark(site_state, touched, n)
    _refresh(geometry, law, channels, state, scratch, n)


# --- vacancies affected by a hop ------------------------------------------------------------------


@inner
def _wrap_along_z(geometry, site, column, inside, layers, steps):
    """Steps from a site near an end of a box that is periodic along z."""
    layer = site - column * geometry.height - geometry.walls
    for i in range(inside.size):
        steps[i] = inside[i] + geometry.wrap_layer[layer + layers[i]]


@inner
def _shift_around(state, site, steps, shift, vacancies):
    """Shift the states that a hop changes; adds up their nv1, notes which hold no atom."""
    blocked = 0
    for i in range(shift.size):
        packed = _shifted(state, site + steps[index(i)], shift[index(i)])
        vacancies += packed & MASK_FIRST
        blocked |= ((packed >> BLOCKED_SHIFT) & 1) << i
    return vacancies, blocked


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
        is_vacancy = 1 if packed & SPECIES_BITS == 0 else 0
        has_atoms = 1 if packed & MASK_FIRST != N_FIRST else 0
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
    candidates = 0
    while atoms != 0:
        i = lowest_bit(atoms)
        atoms &= atoms - 1
        known = count_bits(vacant & geometry.beside[variant, k, index(i)]) + (beside_from >> i & 1)
        seen = np.int64(site_state[index(site + steps[index(i)])]) & MASK_FIRST
        # The sign of the difference as a mask: a branch would often be mispredicted.
        candidates |= geometry.beyond[variant, k, index(i)] & ((known - seen) >> 63)
    first = geometry.group_end[5]
    while candidates != 0:
        i = lowest_bit(candidates) + first
        candidates &= candidates - 1
        other = site + steps[index(i)]
        touched[index(n)] = other
        n += 1 if site_state[index(other)] & SPECIES_BITS == 0 else 0
    return n


@inner
def _move(geometry, state, scratch, k, site_to, site_from, species):
    """Change species and counts for a hop; returns how many vacancies are listed for a refresh."""
    site_state, end = state.site_state, geometry.group_end
    packed_to, packed_from = site_state[site_to], site_state[site_from]
    layer_to, layer_from = class_of(packed_to), class_of(packed_from)
    is_mg = 1 if species == MG else 0
    if is_mg:
        _carry_mg(state, site_to, site_from)
    if is_mg or layer_to == 1 or layer_from == 1:
        _count_L1(state, layer_to, -1, is_mg)
        _count_L1(state, layer_from, 1, -is_mg)
    if geometry.pairs and (layer_to == 1 or layer_to == 2):
        gather(geometry, packed_to, site_to, scratch.near[0], N_FIRST)
        _shift_pairs(state, scratch.near[0], layer_to, -1, is_mg)
    if geometry.pairs and (layer_from == 1 or layer_from == 2):
        gather(geometry, packed_from, site_from, scratch.near[1], N_FIRST)
        _shift_pairs(state, scratch.near[1], layer_from, 1, -is_mg)

    first = is_mg * NM1 - NV1  # change of the first neighbours of site_to when it is filled
    code = species * SPECIES - BLOCKED
    v = _shifted(state, site_to, code - first) & MASK_FIRST
    v += _shifted(state, site_from, first - code) & MASK_FIRST
    variant = index(variant_of(packed_to))
    steps = geometry.around[0, variant, k]
    if packed_to < 0:  # in the fringe
        column = index(site_to // geometry.height)
        steps = geometry.around[index(geometry.pattern[column]), variant, k]
        if geometry.wrap_layer.size:
            layers = geometry.around_layers[variant, k]
            _wrap_along_z(geometry, site_to, np.int64(column), steps, layers, scratch.steps)
            steps = scratch.steps
    v, blocked = _shift_around(state, site_to, steps, geometry.shift[is_mg], v)
    if v == N_FIRST:
        return 0  # only the first neighbours of the vacancy itself see one: it is alone
    touched = scratch.touched
    # A vacancy without atoms beside it has no rate; only next to site_from can it have had one.
    beside_from = (1 << end[3]) - (1 << end[1])
    n, vacant = _list_changed(site_state, site_to, steps, blocked, beside_from, touched)
    atoms = (1 << end[5]) - 1 - blocked
    return _list_beside(
        geometry, site_state, site_to, steps, (variant, k), atoms, vacant, beside_from, touched, n
    )


@inner
def hop(geometry, law, channels, state, scratch, k, site_to, site_from):
    """Move the atom on `site_from` into the vacancy on `site_to`, its neighbour number k."""
    species = species_of(state.site_state[site_from])
    n = _move(geometry, state, scratch, k, site_to, site_from, species)
    rate = total_rate(geometry, law, channels, scratch, state.site_state, site_from)
    reassign(state.hops, site_to, site_from, rate)
    _refresh(geometry, law, channels, state, scratch, n)


# --- charge transfer ----------------------------------------------------------------------------


@inner
def meets_electrolyte(geometry, site_state, site, near):
    """L1, or L2 with an Mg among its first neighbours in L1: the ion passes the Mg layer."""
    packed = site_state[site]
    if class_of(packed) == 1:
        return True
    if (packed >> MG_SHIFT) & MASK_FIRST == 0:
        return False
    gather(geometry, packed, site, near, N_FIRST)
    for k in range(N_FIRST):
        other = site_state[near[k]]
        if class_of(other) == 1 and species_of(other) == MG:
            return True
    return False


@inner
def strip_site(geometry, member):
    """Site of a member of the strip bins: 2 * column + (0 for L1, 1 for L2)."""
    return (member >> 1) * geometry.height + geometry.walls + (member & 1)


@inner
def _note_monomer(state, member, monomer):
    """Note what an atom or vacancy among atoms adds to the vacancies expected and seen."""
    before = state.monomer[member]
    if before == monomer:
        return
    if before < 0:
        state.isolated[SEEN] -= 1
    else:
        state.isolated[EXPECTED] -= before
    if monomer < 0:
        state.isolated[SEEN] += 1
    else:
        state.isolated[EXPECTED] += monomer
    state.monomer[member] = monomer


@rare
def refresh_strip_weights(geometry, law, channels, state, scratch):
    """Bring the strip and plate weights of all sites listed as dirty up to date."""
    site_state = state.site_state
    for i in range(state.counters[N_DIRTY]):
        site = state.dirty[i]
        packed = site_state[site] & ~DIRTY
        site_state[site] = packed
        strip, plate, monomer = 0.0, 0.0, np.int64(0)
        species = species_of(packed)
        if species == LI:
            if meets_electrolyte(geometry, site_state, site, scratch.near[2]):
                strip = strip_weight(law, packed)
            if packed & MASK_VACANCIES == 0:
                monomer = expected_vacancies(law, packed)
        elif species == VACANCY:
            if channels.plates and meets_electrolyte(geometry, site_state, site, scratch.near[2]):
                plate = plate_weight(law, packed)
            if packed & MASK_VACANCIES == 0:
                monomer = np.int64(-1)
        member = 2 * (site // geometry.height) + class_of(packed) - 1
        assign(state.strips, member, strip)
        if channels.plates:
            assign(state.plates, member, plate)
        _note_monomer(state, member, monomer)
    state.counters[N_DIRTY] = 0
