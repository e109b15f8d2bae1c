"""Creep: voids close as the metal above them sinks, one layer of one column at a time."""

import numpy as np

from kmc.kernels import tables as t
from kmc.kernels.events import exchange, record
from kmc.kernels.jit import inner, rare
from kmc.kernels.rates import species_of


@inner
def creep_bound(geometry, channels, state):
    """Rate at which sites of the box are offered a closure: that of a box full of voids."""
    if state.counters[t.VACANCIES] == 0:
        return 0.0
    # The stress follows from contact, which is a count: all rates were worked out beforehand.
    rate = channels.creep[state.counters[t.VACANT_L1]]
    return rate * geometry.sites_per_layer * geometry.n_layers


@rare
def _sink(geometry, law, channels, state, scratch, site, rng, log):
    """Let the metal above a vacancy sink by one layer; the atom on top is from the reservoir."""
    site_state, counters = state.site_state, state.counters
    species = np.int64(t.LI)
    if channels.mg_share > 0.0 and rng.random() < channels.mg_share:
        species = np.int64(t.MG)
    column = site // geometry.height
    top = column * geometry.height + geometry.walls + geometry.n_layers - 1
    # From below upwards, so that each site takes the species that the one above still has.
    for place in range(site, top + 1):
        old = species_of(site_state[place])
        new = species_of(site_state[place + 1]) if place < top else species
        if new == old:
            continue
        exchange(geometry, law, channels, state, scratch, place, new)
    counters[t.CLOSURES] += 1
    if species == t.MG:
        counters[t.CLOSURES_MG] += 1
    record(geometry, log, state, np.int64(t.CLOSURE), np.int64(-1), site, species)


@inner
def close_void(geometry, law, channels, state, scratch, rng, log):
    """Offer a site of the box, drawn uniformly, to creep: a void vacancy there is closed."""
    n_layers = geometry.n_layers
    n_sites = geometry.sites_per_layer * n_layers
    place = min(int(rng.random() * n_sites), n_sites - 1)
    site = (place // n_layers) * geometry.height + geometry.walls + place % n_layers
    # Uniform over all sites, most of them metal: rejected, which is exact and needs no list of
    # voids. A void vacancy has two or more around it: creep does not close lone vacancies.
    packed = state.site_state[site]
    around = (packed & t.MASK_FIRST) + (packed & t.MASK_VACANCIES) // t.NV2
    if packed & t.SPECIES_BITS == 0 and around >= 2:
        _sink(geometry, law, channels, state, scratch, site, rng, log)
