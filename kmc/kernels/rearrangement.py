"""Atoms put to other sites all at once, as equilibrium between events leaves them."""

import numpy as np

from kmc.kernels import tables as t
from kmc.kernels.events import exchange
from kmc.kernels.jit import entry, index
from kmc.kernels.rates import binding, species_of


@entry
def set_species_of(geometry, law, channels, state, scratch, sites, species):
    """Give sites another species, one after the other, and keep energy and counts up to date.

    - `sites`, `species` (int64[n]): in the numbering of the kernels.
    """
    for i in range(sites.size):
        site, new = np.int64(sites[i]), np.int64(species[i])
        old = species_of(state.site_state[index(site)])
        if old == new:
            continue
        # Bindings are those to what surrounds the site, which does not change here.
        if old != t.VACANCY:
            state.counters[t.ENERGY] += binding(law, old, state.site_state[site])
        if new != t.VACANCY:
            state.counters[t.ENERGY] -= binding(law, new, state.site_state[site])
        exchange(geometry, law, channels, state, scratch, site, new)
