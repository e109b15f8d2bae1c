"""Charge transfer: weights of electroactive sites, draws by them, strips and plates."""

import math

import numpy as np

from kmc.kernels import tables as t
from kmc.kernels.connection import reached
from kmc.kernels.counts import gather
from kmc.kernels.events import exchange, record
from kmc.kernels.jit import inner, rare
from kmc.kernels.rates import (
    class_of,
    expected_vacancies,
    plate_weight,
    species_of,
    strip_weight,
)
from kmc.kernels.selection import assign, find_bin, find_member, lowest_bin, total_mass


@inner
def meets_electrolyte(geometry, site_state, site, near):
    """L1, or L2 with an Mg among its first neighbours in L1: the ion passes the Mg layer."""
    packed = site_state[site]
    if class_of(packed) == 1:
        return True
    if (packed >> t.MG_SHIFT) & t.MASK_FIRST == 0:
        return False
    gather(geometry, packed, site, near, t.N_FIRST)
    for k in range(t.N_FIRST):
        other = site_state[near[k]]
        if class_of(other) == 1 and species_of(other) == t.MG:
            return True
    return False


@inner
def strip_site(geometry, member):
    """Site of a member of the strip bins: 2 * column + (0 for L1, 1 for L2)."""
    return (member >> 1) * geometry.height + geometry.walls + (member & 1)


@rare
def refresh_strip_weights(geometry, law, channels, state, scratch):
    """Bring the strip and plate weights of all sites listed as dirty up to date."""
    site_state, isolated = state.site_state, state.isolated
    for i in range(state.counters[t.N_DIRTY]):
        site = np.int64(state.dirty[i])
        packed = site_state[site] & ~t.DIRTY
        site_state[site] = packed
        strip, plate, monomer = 0.0, 0.0, np.int64(0)
        species = species_of(packed)
        if species == t.LI:
            if meets_electrolyte(geometry, site_state, site, scratch.near[2]):
                strip = strip_weight(law, packed)
            if packed & t.MASK_VACANCIES == 0:
                monomer = expected_vacancies(law, packed)
        elif species == t.VACANCY:
            if channels.plates and meets_electrolyte(geometry, site_state, site, scratch.near[2]):
                plate = plate_weight(law, packed)
            if packed & t.MASK_VACANCIES == 0:
                monomer = np.int64(-1)
        member = 2 * (site // geometry.height) + class_of(packed) - 1
        assign(state.strips, member, strip)
        if channels.plates:
            assign(state.plates, member, plate)
        # What an atom or vacancy among atoms adds to the vacancies expected and seen: −1 stands for
        # a vacancy that is seen, as what an atom adds to the expected number is never negative.
        before = state.monomer[member]
        if before != monomer:
            if before < 0:
                isolated[t.SEEN] -= 1
            else:
                isolated[t.EXPECTED] -= before
            if monomer < 0:
                isolated[t.SEEN] += 1
            else:
                isolated[t.EXPECTED] += monomer
            state.monomer[member] = monomer
    state.counters[t.N_DIRTY] = 0


@rare
def sums_over_box(geometry, law, state, net, near):
    """Sums of the weights of strips and of plates; where dead lithium is spared, without it."""
    strips, plates = 0.0, 0.0
    for member in range(geometry.active_layers * geometry.sites_per_layer):
        site = np.int64(strip_site(geometry, member))
        packed = state.site_state[site]
        species = species_of(packed)
        if species != t.LI and species != t.VACANCY:
            continue
        if meets_electrolyte(geometry, state.site_state, site, near):
            spares = net is not None and net.spares
            if spares and not reached(geometry, state.site_state, net, site):
                continue
            if species == t.LI:
                strips += strip_weight(law, packed)
            else:
                plates += plate_weight(law, packed)
    return strips, plates


@inner
def exchange_rate(net, product):
    """Rate of reduction b/x where a x - b/x = net and product = a b (alpha = 1/2).

    It rises with the product, so that bounds of a and b bound it.
    """
    return 2.0 * product / (math.sqrt(net * net + 4.0 * product) + net) if product > 0.0 else 0.0


@inner
def observe(channels, state, weight):
    """Add the isolated vacancies of this moment to those of the recent past."""
    # Exponential forgetting to first order in the weight, which is at most 1/forgetting.
    kept = 1.0 - channels.forgetting * weight
    activity, isolated = state.activity, state.isolated
    activity[t.SEEN] = activity[t.SEEN] * kept + isolated[t.SEEN] * weight
    activity[t.EXPECTED] = (
        activity[t.EXPECTED] * kept + isolated[t.EXPECTED] * t.EXPECTED_UNIT * weight
    )


@inner
def site_at(geometry, bins, x):
    """Site of L1 or L2 that holds x in the sum of the weights' bounds, and where in its stretch."""
    b, rest = find_bin(bins, x)
    member, y = find_member(bins, b if b >= 0 else lowest_bin(bins), rest)
    return np.int64(strip_site(geometry, member)), y


@inner
def draw_site(geometry, bins, law, site_state, weight, rng):
    """Site drawn by its weight: `strip_weight` of an atom, `plate_weight` of a vacant site."""
    # Over bounds and not weights, so that a draw is accepted with weight over bound.
    mass = total_mass(bins)
    while True:
        site, y = site_at(geometry, bins, rng.random() * mass)
        if y < weight(law, site_state[site]):
            return site


@rare
def oxidise(geometry, law, channels, state, scratch, site, log):
    exchange(geometry, law, channels, state, scratch, site, np.int64(t.VACANCY))
    state.counters[t.STRIPS] += 1
    record(geometry, log, state, np.int64(t.STRIP), site, np.int64(-1), np.int64(t.LI))


@rare
def reduce(geometry, law, channels, state, scratch, site, log):
    exchange(geometry, law, channels, state, scratch, site, np.int64(t.LI))
    state.counters[t.PLATES] += 1
    record(geometry, log, state, np.int64(t.PLATE), np.int64(-1), site, np.int64(t.LI))


@inner
def _plate_site(geometry, law, state, near, x):
    """Vacant site that holds x in the running sum of the plate weights, member by member."""
    last = -1
    for member in range(geometry.active_layers * geometry.sites_per_layer):
        site = strip_site(geometry, member)
        packed = state.site_state[site]
        if species_of(packed) != t.VACANCY:
            continue
        if meets_electrolyte(geometry, state.site_state, site, near):
            weight = plate_weight(law, packed)
            if weight > 0.0:
                # Rounding can leave x beyond the last weight: that site then takes it.
                last = site
                if x < weight:
                    break
                x -= weight
    return last


@rare
def oxidise_and_reduce(geometry, law, channels, state, scratch, net, bound, rng, log):
    """Oxidise an atom and reduce an ion at once, at the exact rate instead of its bound."""
    # Exact sums cost a pass over the interface, and are taken only for attempts that their bound
    # lets through.
    strips, plates = sums_over_box(geometry, law, state, net, scratch.near[2])
    rate = exchange_rate(channels.strip, channels.exchange * strips * plates)
    if rng.random() * bound >= rate:
        return
    site = draw_site(geometry, state.strips, law, state.site_state, strip_weight, rng)
    oxidise(geometry, law, channels, state, scratch, site, log)
    # Anew: the vacancy of the strip is a site for the plate, often the most likely one.
    _, plates = sums_over_box(geometry, law, state, net, scratch.near[2])
    site = _plate_site(geometry, law, state, scratch.near[2], rng.random() * plates)
    reduce(geometry, law, channels, state, scratch, site, log)
