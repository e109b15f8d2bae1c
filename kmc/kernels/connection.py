"""Which atom a given current takes, and which site it plates on: those the collector reaches.

The event loop knows the neighbours of a site, not what these are connected to. It stops before each
strip or plate; the site is drawn here, by its weight, and the loop goes on with it. Metal is
connected if a path of metal over first and second neighbours leads to the metal above the box, or
to L1 on a conductive scaffold (`kmc.model.connectivity`); a vacant site, if such metal is beside
it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from kmc.kernels.charge import (
    draw_plate_site,
    draw_strip_site,
    meets_electrolyte,
    observe,
    refresh_strip_weights,
    strip_site,
)
from kmc.kernels.counts import neighbour_row
from kmc.kernels.jit import entry, inner, rare, source_fingerprint
from kmc.kernels.loop import advance
from kmc.kernels.rates import plate_weight, species_of, strip_weight
from kmc.kernels.selection import total_mass
from kmc.kernels.tables import (
    LI,
    MG,
    N_NEAR,
    NO_ELECTROACTIVE,
    NO_SITE,
    PAUSED,
    PLATES,
    STRIP_DUE,
    STRIPS,
    VACANCY,
    WAITING,
    Limits,
)


class Connection(NamedTuple):
    """What tells connected metal from dead metal, and room for the searches.

    Attributes
    ----------
    conductive : ndarray of bool
        Columns above a conductive scaffold; empty without one.
    top : int
        First layer whose metal is beside the metal above the box, from 0.
    void_surfaces : bool
        Whether ions also reach metal through voids that are open to the electrolyte.
    seen : ndarray of int64, shape (kernel sites,)
        Number of the last search that came to a site; `search` holds the number of the last.
    search : ndarray of int64, shape (1,)
    stack, listed : ndarray of int32, shape (kernel sites,)
        Sites that wait in a search; sites that an ion can reach.
    weights : ndarray of float64, shape (kernel sites,)
    """

    conductive: np.ndarray
    top: int
    void_surfaces: bool
    seen: np.ndarray
    search: np.ndarray
    stack: np.ndarray
    listed: np.ndarray
    weights: np.ndarray


@inner
def _is_metal(packed):
    return LI <= species_of(packed) <= MG


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
    search = net.search[0]
    net.seen[site] = search
    net.stack[0] = site
    n = 1
    while n > 0:
        n -= 1
        here = np.int64(net.stack[n])
        if _at_collector(geometry, net, here):
            return True
        row = neighbour_row(geometry, site_state[here], here)
        layer = here % geometry.height
        for upwards in range(2):  # what is listed last, the sites above, is looked at first
            for k in range(N_NEAR):
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
    """Whether connected metal is beside a vacant site."""
    row = neighbour_row(geometry, site_state[site], site)
    for k in range(N_NEAR):
        other = np.int64(site + geometry.offsets[row, k])
        if _is_metal(site_state[other]) and is_connected(geometry, site_state, net, other):
            return True
    return False


@rare
def _list_vacant(geometry, state, net, near):
    """List the vacant sites that ions reach; returns their number.

    L1, and L2 above an Mg of L1; with void surfaces, also every vacancy that vacancies connect to
    one of L1 over first and second neighbours.
    """
    site_state = state.site_state
    net.search[0] += 1
    search = net.search[0]
    n = 0
    for member in range(geometry.active_layers * geometry.sites_per_layer):
        site = np.int64(strip_site(geometry, member))
        if species_of(site_state[site]) != VACANCY:
            continue
        if meets_electrolyte(geometry, site_state, site, near):
            net.seen[site] = search
            net.listed[n] = site
            n += 1
    if not net.void_surfaces:
        return n
    looked_at = 0
    while looked_at < n:
        here = np.int64(net.listed[looked_at])
        looked_at += 1
        row = neighbour_row(geometry, site_state[here], here)
        for k in range(N_NEAR):
            other = here + geometry.offsets[row, k]
            if net.seen[other] != search and species_of(site_state[other]) == VACANCY:
                net.seen[other] = search
                net.listed[n] = other
                n += 1
    return n


@inner
def _draw(net, n, total, rng):
    """One of the listed sites by its weight; −1 where all weights are 0."""
    if total <= 0.0:
        return np.int64(-1)
    x, last = rng.random() * total, np.int64(-1)
    for i in range(n):
        if net.weights[i] > 0.0:
            last = np.int64(net.listed[i])
            if x < net.weights[i]:
                break
            x -= net.weights[i]
    return last


@inner
def _strip_among_all(geometry, law, state, net, near, rng):
    site_state, n, total = state.site_state, 0, 0.0
    for member in range(geometry.active_layers * geometry.sites_per_layer):
        site = np.int64(strip_site(geometry, member))
        if species_of(site_state[site]) != LI:
            continue
        if not meets_electrolyte(geometry, site_state, site, near):
            continue
        if is_connected(geometry, site_state, net, site):
            net.listed[n], net.weights[n] = site, strip_weight(law, site_state[site])
            total += net.weights[n]
            n += 1
    return _draw(net, n, total, rng)


@inner
def _plate_among_all(geometry, law, state, net, near, rng):
    site_state, total = state.site_state, 0.0
    n = _list_vacant(geometry, state, net, near)
    for i in range(n):
        site = np.int64(net.listed[i])
        net.weights[i] = 0.0
        if touches_connected(geometry, site_state, net, site):
            net.weights[i] = plate_weight(law, site_state[site])
        total += net.weights[i]
    return _draw(net, n, total, rng)


@rare
def _draw_strip(geometry, law, channels, state, scratch, net, rng):
    """Connected electroactive atom, by its weight; −1 where there is none.

    A draw by the bins of weights holds unless the atom is dead; then one among all connected ones
    follows, which leaves to each its share: w/W (1 + W_dead/W_connected) = w/W_connected.
    """
    refresh_strip_weights(geometry, law, channels, state, scratch)
    if total_mass(state.strips) <= 0.0:
        return np.int64(-1)
    observe(channels, state, 1.0)
    site = draw_strip_site(geometry, state.strips, law, state.site_state, rng)
    if is_connected(geometry, state.site_state, net, site):
        return site
    return _strip_among_all(geometry, law, state, net, scratch.near[2], rng)


@rare
def _draw_plate(geometry, law, channels, state, scratch, net, rng):
    """Vacant site beside connected metal, by its weight, in the same way; −1 where there is none.

    With void surfaces always by its place in the sum over all sites.
    """
    refresh_strip_weights(geometry, law, channels, state, scratch)
    observe(channels, state, 1.0)
    if not net.void_surfaces:
        if total_mass(state.plates) <= 0.0:
            return np.int64(-1)
        site = draw_plate_site(geometry, state.plates, law, state.site_state, rng)
        if touches_connected(geometry, state.site_state, net, site):
            return site
    return _plate_among_all(geometry, law, state, net, scratch.near[2], rng)


def _compile(fingerprint):
    @entry
    def connected(geometry, state, net, site):
        """Whether the metal on a site (of the kernels) is connected."""
        return fingerprint >= 0 and is_connected(geometry, state.site_state, net, site)

    @entry
    def draw(geometry, law, channels, state, scratch, net, rng):
        """`_draw_strip` or `_draw_plate`, for inspection."""
        if fingerprint < 0:
            return np.int64(-1)
        if channels.plating:
            return _draw_plate(geometry, law, channels, state, scratch, net, rng)
        return _draw_strip(geometry, law, channels, state, scratch, net, rng)

    @entry
    def advance_connected(geometry, law, channels, state, scratch, lone, limits, log, net, rng):
        """`loop.advance` at a given current, with strips and plates at connected metal alone.

        The loop stops before each of them, its site is drawn here, and the loop goes on with it.
        Parameters and result are those of `loop.advance`. Where vacant sites are left, but none
        beside connected metal, the reason is `NO_SITE` without an ion that waits.
        """
        counters, clock = state.counters, state.clock
        if fingerprint < 0:
            return -1
        forward, backward = STRIPS, PLATES
        if channels.plating:
            forward, backward = PLATES, STRIPS
        while True:
            following = counters[forward] - counters[backward]
            if clock[STRIP_DUE] > 0.0:
                following += 1
            held = Limits(
                limits.events,
                limits.strips,
                limits.attempts,
                limits.vacant_L1,
                limits.time_s,
                limits.pause_time_s,
                min(limits.before_strip, following),
            )
            reason = advance(geometry, law, channels, state, scratch, lone, held, log, rng)
            drawn = counters[forward] - counters[backward] >= limits.before_strip
            if reason != PAUSED or clock[STRIP_DUE] != -1.0 or drawn:
                return reason
            if channels.plating:
                site = _draw_plate(geometry, law, channels, state, scratch, net, rng)
            else:
                site = _draw_strip(geometry, law, channels, state, scratch, net, rng)
            if site >= 0:
                clock[STRIP_DUE] = site + 1.0
            elif channels.plating and total_mass(state.plates) <= 0.0:
                clock[STRIP_DUE] = WAITING  # the loop plates it where a vacancy comes
            else:
                clock[STRIP_DUE] = 0.0
                return NO_SITE if channels.plating else NO_ELECTROACTIVE

    return connected, draw, advance_connected


connected, draw, advance_connected = _compile(source_fingerprint())
