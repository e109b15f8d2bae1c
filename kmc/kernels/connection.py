"""Which metal the current collector reaches.

The event loop knows the neighbours of a site, not what these are connected to: where dead lithium
is spared, it asks here for each atom that is about to leave and each site about to be plated.
Metal is connected if a path of metal over first and second neighbours leads to the metal above the
box, or to L1 on a conductive scaffold (`kmc.model.connectivity`); a vacant site, if such metal is
beside it or the scaffold.
"""

from typing import NamedTuple

import numpy as np

from kmc.kernels import tables as t
from kmc.kernels.counts import neighbour_row
from kmc.kernels.jit import inner, rare
from kmc.kernels.rates import species_of


class Connection(NamedTuple):
    """What separates connected metal from dead metal, and room for the searches.

    Arrays are of shape (kernel sites,) where nothing else is said.
    """

    spares: bool  # whether connected metal alone is stripped and plated on; else the rest is unused
    conductive: np.ndarray  # bool[columns], above a conductive scaffold; empty without one
    top: int  # first layer whose metal is beside the metal above the box, from 0
    void_surfaces: bool  # whether ions also reach metal through voids open to the electrolyte
    seen: np.ndarray  # int64, number of the last search that came to a site
    search: np.ndarray  # int64[1], number of the last search
    stack: np.ndarray  # int32, sites that wait in a search
    listed: np.ndarray  # int32, sites that an ion can reach
    weights: np.ndarray  # float64, of those


@inner
def _is_metal(packed):
    return t.LI <= species_of(packed) <= t.MG


@inner
def _at_collector(geometry, net, site):
    column = site // geometry.height
    layer = site - column * geometry.height - geometry.walls
    if layer >= net.top:
        return True
    return layer == 0 and net.conductive.size > 0 and net.conductive[column]


@rare
def is_connected(geometry, site_state, net, site):
    """Whether metal leads from a site that holds metal to the current collector."""
    net.search[0] += 1
    # Sites carry the number of the last search that met them: nothing has to be cleared after one.
    search = net.search[0]
    net.seen[site] = search
    net.stack[0] = site
    n = 1
    while n > 0:
        n -= 1
        here = np.int64(net.stack[n])
        # Depth first and upwards: in metal without gaps the search ends after as many steps as
        # there are layers.
        if _at_collector(geometry, net, here):
            return True
        row = neighbour_row(geometry, site_state[here], here)
        layer = here % geometry.height
        for upwards in range(2):  # what is listed last, the sites above, is looked at first
            for k in range(t.N_NEAR):
                other = here + geometry.offsets[row, k]
                if (other % geometry.height > layer) != (upwards == 1):
                    continue
                if net.seen[other] != search and _is_metal(site_state[other]):
                    net.seen[other] = search
                    net.stack[n] = other
                    n += 1
    return False


@rare
def touches_connected(geometry, site_state, net, site):
    """Whether connected metal is beside a vacant site, or the collector itself.

    So the current reaches it just where it would reach an atom there.
    """
    if _at_collector(geometry, net, site):
        return True
    row = neighbour_row(geometry, site_state[site], site)
    for k in range(t.N_NEAR):
        other = np.int64(site + geometry.offsets[row, k])
        if _is_metal(site_state[other]) and is_connected(geometry, site_state, net, other):
            return True
    return False


@inner
def reached(geometry, site_state, net, site):
    """Whether the current reaches the metal on a site or, if it is vacant, metal beside it."""
    if _is_metal(site_state[site]):
        return is_connected(geometry, site_state, net, site)
    return touches_connected(geometry, site_state, net, site)


NO_SEARCH = Connection(
    spares=False,
    conductive=np.zeros(0, dtype=np.bool_),
    top=0,
    void_surfaces=False,
    seen=np.zeros(0, dtype=np.int64),
    search=np.zeros(1, dtype=np.int64),
    stack=np.zeros(0, dtype=np.int32),
    listed=np.zeros(0, dtype=np.int32),
    weights=np.zeros(0),
)
"""Where dead lithium is like any other."""
