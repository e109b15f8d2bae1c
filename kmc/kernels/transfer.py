"""When and where charge is transferred: at a given current, at a held voltage.

Where dead lithium is spared (`kmc.kernels.connection`), its atoms are not stripped and nothing is
plated on it. At a given current the next atom or site is drawn among connected ones. At a held
voltage every site has its own rate, and that of dead metal is 0: what the bins of weights draw
there is rejected, and the time of the attempt passes. That is exact, as the bins hold bounds of the
rates.
"""

import numpy as np

from kmc.kernels import tables as t
from kmc.kernels.charge import (
    draw_site,
    meets_electrolyte,
    observe,
    oxidise,
    reduce,
    refresh_strip_weights,
    site_at,
    strip_site,
)
from kmc.kernels.connection import is_connected, reached, touches_connected
from kmc.kernels.counts import neighbour_row
from kmc.kernels.jit import entry, inner, rare
from kmc.kernels.rates import plate_weight, species_of, strip_weight
from kmc.kernels.selection import total_mass

REJECTED, DEAD = -1, -2


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
        if species_of(site_state[site]) != t.VACANCY:
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
        for k in range(t.N_NEAR):
            other = here + geometry.offsets[row, k]
            if net.seen[other] != search and species_of(site_state[other]) == t.VACANCY:
                net.seen[other] = search
                net.listed[n] = other
                n += 1
    return n


@inner
def _draw(net, n, total, rng):
    """One of the listed sites by its weight; −1 where all weights are 0."""
    # All weights are 0 where connected metal touches no vacant site.
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
def strip_among_all(geometry, law, state, net, near, rng):
    """Electroactive atom among all that are connected, by its weight; −1 for none."""
    site_state, n, total = state.site_state, 0, 0.0
    for member in range(geometry.active_layers * geometry.sites_per_layer):
        site = np.int64(strip_site(geometry, member))
        if species_of(site_state[site]) != t.LI:
            continue
        if not meets_electrolyte(geometry, site_state, site, near):
            continue
        if is_connected(geometry, site_state, net, site):
            net.listed[n], net.weights[n] = site, strip_weight(law, site_state[site])
            total += net.weights[n]
            n += 1
    return _draw(net, n, total, rng)


@rare
def draw_strip(geometry, law, state, scratch, net, rng):
    """Electroactive atom by its weight, where dead lithium is spared a connected one; −1 for none.

    A draw by the bins of weights holds unless the atom is dead; then one among all connected ones
    follows, which leaves to each its share: w/W (1 + W_dead/W_connected) = w/W_connected.
    """
    site = draw_site(geometry, state.strips, law, state.site_state, strip_weight, rng)
    if net is None or not net.spares or is_connected(geometry, state.site_state, net, site):
        return site
    return strip_among_all(geometry, law, state, net, scratch.near[2], rng)


@rare
def draw_plate(geometry, law, state, scratch, net, rng):
    """Vacant site, where dead lithium is spared beside connected metal, in the same way.

    With void surfaces always by its place in the sum over all sites.
    """
    if not net.void_surfaces:
        if total_mass(state.plates) <= 0.0:
            return np.int64(-1)
        site = draw_site(geometry, state.plates, law, state.site_state, plate_weight, rng)
        if not net.spares or touches_connected(geometry, state.site_state, net, site):
            return site
    total, n = 0.0, _list_vacant(geometry, state, net, scratch.near[2])
    for i in range(n):
        site = np.int64(net.listed[i])
        net.weights[i] = 0.0
        if touches_connected(geometry, state.site_state, net, site):
            net.weights[i] = plate_weight(law, state.site_state[site])
        total += net.weights[i]
    return _draw(net, n, total, rng)


@rare
def none_reacts(geometry, law, state, net, near, strips):
    """Whether dead metal alone is left to plate on or, with `strips`, to strip either."""
    site_state = state.site_state
    for member in range(geometry.active_layers * geometry.sites_per_layer):
        site = np.int64(strip_site(geometry, member))
        packed = site_state[site]
        species = species_of(packed)
        if species == t.LI and strips:
            weight = strip_weight(law, packed)
        elif species == t.VACANCY:
            weight = plate_weight(law, packed)
        else:
            continue
        if weight > 0.0 and meets_electrolyte(geometry, site_state, site, near):  # noqa: SIM102
            if reached(geometry, site_state, net, site):
                return False
    return True


@rare
def strip_at_current(geometry, law, channels, state, scratch, net, rng, log):
    """Oxidise one electroactive Li atom; False when there is none."""
    refresh_strip_weights(geometry, law, channels, state, scratch)
    if total_mass(state.strips) <= 0.0:
        return False
    # At a given current strips come at a constant rate: what they meet is the mean over time.
    observe(channels, state, 1.0)
    site = draw_strip(geometry, law, state, scratch, net, rng)
    if site < 0:
        return False
    oxidise(geometry, law, channels, state, scratch, site, log)
    return True


@rare
def plate_at_current(geometry, law, channels, state, scratch, net, rng, log):
    """Reduce one ion at a given current; without a vacant site it waits for one.

    False where there are vacant sites, but none beside connected metal.
    """
    refresh_strip_weights(geometry, law, channels, state, scratch)
    # Before the ion lands: afterwards its site is occupied, and no vacancy that it met.
    observe(channels, state, 1.0)
    site = draw_plate(geometry, law, state, scratch, net, rng)
    if site >= 0:
        reduce(geometry, law, channels, state, scratch, site, log)
    # Vacant sites are left, but beside dead metal alone, which may last: the caller decides.
    elif total_mass(state.plates) > 0.0:
        return False
    else:
        state.clock[t.STRIP_DUE] = t.WAITING
    return True


@rare
def plate_waiting(geometry, law, channels, state, scratch, net, rng, log):
    """Reduce the ion that waits, if there is a vacant site by now; whether there was.

    No random number is drawn where there is none, as nobody knows how often this is asked.
    """
    refresh_strip_weights(geometry, law, channels, state, scratch)
    if total_mass(state.plates) <= 0.0:
        return False
    if net.spares and none_reacts(geometry, law, state, net, scratch.near[2], False):
        return False
    site = draw_plate(geometry, law, state, scratch, net, rng)
    state.clock[t.STRIP_DUE] = 0.0
    reduce(geometry, law, channels, state, scratch, site, log)
    return True


@rare
def transfer_due(geometry, law, channels, state, scratch, net, rng, log):
    """The strip or plate that a limit put off; False where no site can have it any more."""
    place = state.clock[t.STRIP_DUE]
    state.clock[t.STRIP_DUE] = 0.0
    # Below 0 no site was chosen when the charge was put off: it is drawn now, as the state is now.
    if place < 0.0:
        if net is not None and channels.plating:
            return plate_at_current(geometry, law, channels, state, scratch, net, rng, log)
        return strip_at_current(geometry, law, channels, state, scratch, net, rng, log)
    if net is not None and channels.plating:
        reduce(geometry, law, channels, state, scratch, np.int64(place) - 1, log)
    else:
        oxidise(geometry, law, channels, state, scratch, np.int64(place) - 1, log)
    return True


@inner
def site_at_voltage(geometry, bins, law, state, net, weight, rest):
    """Atom (or vacant site, by bins and weight) that holds `rest` in the sum of the bounds.

    `REJECTED` if its weight does not hold it, `DEAD` if it does but no current reaches it.
    """
    site, y = site_at(geometry, bins, rest)
    if y >= weight(law, state.site_state[site]):
        return np.int64(REJECTED)
    if net.spares and not reached(geometry, state.site_state, net, site):
        return np.int64(DEAD)
    return site


@entry
def draw(geometry, law, channels, state, scratch, net, rng):
    """The next site of a given current, for inspection; −1 where there is none."""
    refresh_strip_weights(geometry, law, channels, state, scratch)
    if channels.plating:
        return draw_plate(geometry, law, state, scratch, net, rng)
    return draw_strip(geometry, law, state, scratch, net, rng)
