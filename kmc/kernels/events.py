"""Rates of vacancies, their refresh, and the exchange of the species of a site."""

import numpy as np

from kmc.kernels import tables as t
from kmc.kernels.counts import gather, lattice_site, neighbour_row, set_species
from kmc.kernels.jit import index, inner, rare
from kmc.kernels.rates import (
    absorption,
    binding,
    by_type,
    hop_rate,
    hop_target,
    remembers_rates,
    species_of,
)
from kmc.kernels.selection import assign, bin_or_none, put


@inner
def _absorption_rates(law, packed, rates):
    """Rates of absorption as Li and as Mg; returns their sum."""
    rates[t.N_FIRST] = absorption(law, t.LI, packed)
    rates[t.N_FIRST + 1] = absorption(law, t.MG, packed)
    return rates[t.N_FIRST] + rates[t.N_FIRST + 1]


@inner
def _sum_of_rates(rates):
    # In pairs, as `_sum_of_hops` adds: another order would differ in the last bit, and so in the
    # bin.
    hops = ((rates[0] + rates[1]) + (rates[2] + rates[3])) + (
        (rates[4] + rates[5]) + (rates[6] + rates[7])
    )
    return hops + (rates[t.N_FIRST] + rates[t.N_FIRST + 1])


@inner
def vacancy_rates(geometry, law, channels, site_state, site, rates):
    """Rates of everything that can fill a vacancy, and their sum.

    ``rates[0:8]`` are the hops of its first neighbours, ``rates[8:10]`` absorption as Li and as Mg.
    """
    packed = site_state[index(site)]
    row = neighbour_row(geometry, packed, site)
    steps = geometry.offsets[row]
    target = hop_target(law, packed)
    for k in range(t.N_FIRST):
        rates[k] = hop_rate(law, target, site_state[index(site + steps[k])])
    if channels.absorbs and packed & t.TOP_BITS == t.TOP:
        _absorption_rates(law, packed, rates)
    else:
        rates[t.N_FIRST] = 0.0
        rates[t.N_FIRST + 1] = 0.0
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
    slot = index(site & (t.N_KEPT - 1))
    if remembers_rates(law):
        scratch.owner[slot] = site
        return vacancy_rates(geometry, law, channels, site_state, site, scratch.rates[slot])
    total = _sum_of_hops(geometry, law, site_state, site)
    packed = site_state[index(site)]
    if channels.absorbs and packed & t.TOP_BITS == t.TOP:
        total += _absorption_rates(law, packed, scratch.rates[slot])
    return total


@inner
def rates_now(geometry, law, channels, scratch, site_state, site):
    """`vacancy_rates` of a vacancy in its row of ``scratch.rates``, and their sum."""
    slot = index(site & (t.N_KEPT - 1))
    rates = scratch.rates[slot]
    if remembers_rates(law):
        # Rates of an alloy take many look-ups; between two attempts at a vacancy few have changed.
        if scratch.owner[slot] == site:
            return _sum_of_rates(rates)
        scratch.owner[slot] = site
    return vacancy_rates(geometry, law, channels, site_state, site, rates)


@inner
def refresh(geometry, law, channels, state, scratch, n):
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
    state.counters[t.REFRESHES] += n


@inner
def _touch(site_state, touched, n, site):
    # BLOCKED is set on every vacancy; taking it off marks those that are listed, without a list to
    # search.
    if site_state[site] & t.BLOCKED:
        site_state[site] ^= t.BLOCKED
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
    if species == t.VACANCY:
        return _touch(site_state, touched, n, site)
    if species != t.WALL and packed & t.MASK_FIRST > known:
        gather(geometry, packed, site, near, t.N_FIRST)
        for k in range(t.N_FIRST):
            if species_of(site_state[near[k]]) == t.VACANCY:
                n = _touch(site_state, touched, n, near[k])
    return n


@inner
def _refresh_around(geometry, law, channels, state, scratch, site, old):
    """Bring rates in line with a site of another species, its neighbours in `scratch.near[0]`."""
    site_state, touched = state.site_state, scratch.touched
    near_site, near = scratch.near[0], scratch.near[2]
    # A rate of 0 belongs to no bin: what is no vacancy any more cannot be drawn.
    if old == t.VACANCY:
        assign(state.hops, site, 0.0)
    n = _touch_around(geometry, site_state, site, 0, near, touched, np.int64(0))
    for i in range(t.N_NEAR):
        n = _touch_around(geometry, site_state, near_site[i], 0, near, touched, n)
    # Listed once each by now: vacancies are marked as blocked again.
    for i in range(n):
        site_state[touched[i]] |= t.BLOCKED
    refresh(geometry, law, channels, state, scratch, n)


@inner
def _refresh_one(geometry, law, channels, state, scratch, site):
    rate = total_rate(geometry, law, channels, scratch, state.site_state, site)
    assign(state.hops, site, rate)


# Where vacancies are in equilibrium between events none has a rate.
refresh_around = by_type(
    {
        t.Scratch: _refresh_around,
        t.WithoutHops: lambda geometry, law, channels, state, scratch, site, old: None,
    },
    law_at=4,
)
refresh_one = by_type(
    {
        t.Scratch: _refresh_one,
        t.WithoutHops: lambda geometry, law, channels, state, scratch, site: None,
    },
    law_at=4,
)


@rare
def exchange(geometry, law, channels, state, scratch, site, new):
    """Change the species of a site: `new` comes from outside, what was there leaves."""
    site_state, near_site = state.site_state, scratch.near[0]
    old = species_of(site_state[site])
    if old != t.VACANCY:
        state.counters[t.ENERGY] += binding(law, old, site_state[site])
    if new != t.VACANCY:
        state.counters[t.ENERGY] -= binding(law, new, site_state[site])
    gather(geometry, site_state[site], site, near_site, t.N_NEAR)
    set_species(geometry, state, site, near_site, old, new)
    refresh_around(geometry, law, channels, state, scratch, site, old)


@inner
def record(geometry, log, state, kind, site_from, site_to, species):
    """Count an event and log it. Whole numbers as ``np.int64``: compiled once (see `jit.rare`)."""
    state.counters[t.EVENTS] += 1
    n = state.counters[t.LOGGED]
    if n < log.kind.size:
        log.kind[n] = kind
        log.site_from[n] = site_from if site_from < 0 else lattice_site(geometry, site_from)
        log.site_to[n] = site_to if site_to < 0 else lattice_site(geometry, site_to)
        log.species[n] = species
        log.time_s[n] = state.clock[t.TIME]
        state.counters[t.LOGGED] = n + 1
