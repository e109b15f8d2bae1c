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
    exchange_rate,
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
from kmc.kernels.jit import inner, rare
from kmc.kernels.rates import plate_weight, species_of, strip_weight
from kmc.kernels.selection import total_mass

_REJECTED, _DEAD = -1, -2


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


@inner
def net_charge(channels, state, net):
    """Charge that has flown in the direction of the current, in atoms."""
    charge = state.counters[t.STRIPS] - state.counters[t.PLATES]
    return -charge if net is not None and channels.plating else charge


@rare
def _strip_at_current(geometry, law, channels, state, scratch, net, rng, log):
    """Oxidise one electroactive Li atom; the reason to stop when there is none."""
    refresh_strip_weights(geometry, law, channels, state, scratch)
    if total_mass(state.strips) <= 0.0:
        return t.NO_ELECTROACTIVE
    # At a given current strips come at a constant rate: what they meet is the mean over time.
    observe(channels, state, 1.0)
    site = draw_strip(geometry, law, state, scratch, net, rng)
    if site < 0:
        return t.NO_ELECTROACTIVE
    oxidise(geometry, law, channels, state, scratch, site, log)
    return t.GO_ON


@rare
def plate_at_current(geometry, law, channels, state, scratch, net, rng, log):
    """Reduce one ion at a given current; without a vacant site it waits for one.

    The reason to stop where there are vacant sites, but none beside connected metal.
    """
    refresh_strip_weights(geometry, law, channels, state, scratch)
    # Before the ion lands: afterwards its site is occupied, and no vacancy that it met.
    observe(channels, state, 1.0)
    site = draw_plate(geometry, law, state, scratch, net, rng)
    if site >= 0:
        reduce(geometry, law, channels, state, scratch, site, log)
    # Vacant sites are left, but beside dead metal alone, which may last: the caller decides.
    elif total_mass(state.plates) > 0.0:
        return t.NO_SITE
    else:
        state.clock[t.STRIP_DUE] = t.WAITING
    return t.GO_ON


@rare
def plate_waiting(geometry, law, channels, state, scratch, net, rng, log):
    """Reduce the ion that waits, if there is a vacant site by now.

    No random number is drawn where there is none, as nobody knows how often this is asked.
    """
    refresh_strip_weights(geometry, law, channels, state, scratch)
    if total_mass(state.plates) <= 0.0:
        return
    if net.spares and none_reacts(geometry, law, state, net, scratch.near[2], False):
        return
    site = draw_plate(geometry, law, state, scratch, net, rng)
    state.clock[t.STRIP_DUE] = 0.0
    reduce(geometry, law, channels, state, scratch, site, log)


@inner
def transfer_due(geometry, law, channels, state, scratch, limits, net, rng, log):
    """The strip or plate that a limit put off, or the ion that waits, if it can land by now.

    Returns `GO_ON`, or the reason to stop: the limit still holds, or no site can have it any more.
    """
    place = state.clock[t.STRIP_DUE]
    if net is not None and place == t.WAITING:
        plate_waiting(geometry, law, channels, state, scratch, net, rng, log)
        return t.GO_ON
    if net_charge(channels, state, net) >= limits.before_strip:
        return t.PAUSED
    state.clock[t.STRIP_DUE] = 0.0
    # Below 0 no site was chosen when the charge was put off: it is drawn now, as the state is now.
    if place < 0.0:
        return transfer_at_current(geometry, law, channels, state, scratch, limits, net, rng, log)
    if net is not None and channels.plating:
        reduce(geometry, law, channels, state, scratch, np.int64(place) - 1, log)
    else:
        oxidise(geometry, law, channels, state, scratch, np.int64(place) - 1, log)
    return t.GO_ON


@inner
def transfer_at_current(geometry, law, channels, state, scratch, limits, net, rng, log):
    """Strip, or plate, what is due at a given current; `GO_ON`, or the reason to stop before it."""
    if net is not None and state.clock[t.STRIP_DUE] == t.WAITING:
        return t.NO_SITE
    if net_charge(channels, state, net) >= limits.before_strip:
        state.clock[t.STRIP_DUE] = -1.0
        return t.PAUSED
    if net is not None and channels.plating:
        return plate_at_current(geometry, law, channels, state, scratch, net, rng, log)
    return _strip_at_current(geometry, law, channels, state, scratch, net, rng, log)


@inner
def transfer_rates(geometry, law, channels, state, scratch):
    """Bounds of the rates of strip and plate; of plate, at a given current, that of an exchange."""
    strip, plate = channels.strip, 0.0
    at_voltage, exchanges = channels.strip_per_weight > 0.0, channels.exchange > 0.0
    # At a voltage the weights are rates, which every attempt needs; at a given current only a strip
    # asks for them.
    if (at_voltage or exchanges) and state.counters[t.N_DIRTY] > 0:
        refresh_strip_weights(geometry, law, channels, state, scratch)
    if at_voltage:
        strip = channels.strip_per_weight * total_mass(state.strips)
        plate = channels.plate_per_weight * total_mass(state.plates)
    if exchanges:
        # From bounds of the weights, and so a bound itself, as the rate rises with the product.
        product = total_mass(state.strips) * total_mass(state.plates)
        plate = exchange_rate(strip, channels.exchange * product)
    return strip, plate


@inner
def _site_at_voltage(geometry, bins, law, state, net, weight, rest):
    """Atom (or vacant site, by bins and weight) that holds `rest` in the sum of the bounds.

    `_REJECTED` if its weight does not hold it, `_DEAD` if it does but no current reaches it.
    """
    site, y = site_at(geometry, bins, rest)
    if y >= weight(law, state.site_state[site]):
        return np.int64(_REJECTED)
    if net.spares and not reached(geometry, state.site_state, net, site):
        return np.int64(_DEAD)
    return site


@inner
def transfer_at_voltage(
    geometry, law, channels, state, scratch, limits, net, total, plates, rest, log
):
    """Offer the atom, or with `plates` the vacant site, that holds `rest` at a held voltage.

    `total` is the summed bound of the rates of both. Returns `GO_ON`, or the reason to stop.
    """
    flat = channels.strip_per_weight * geometry.sites_per_layer
    # Weighted by the time between such attempts, which is the mean over time again.
    observe(channels, state, min(flat / total, 1.0 / channels.forgetting))
    if plates:
        rest = rest / channels.plate_per_weight
        at = _site_at_voltage(geometry, state.plates, law, state, net, plate_weight, rest)
    else:
        rest = rest / channels.strip_per_weight
        at = _site_at_voltage(geometry, state.strips, law, state, net, strip_weight, rest)
    # The whole interface is looked at only after a draw met dead metal, as it costs thousands of
    # attempts.
    if at == _DEAD and none_reacts(geometry, law, state, net, scratch.near[2], True):
        return t.NO_ELECTROACTIVE
    if at < 0:
        return t.GO_ON
    if plates == channels.plating and net_charge(channels, state, net) >= limits.before_strip:
        # The site stays chosen; stored with one more, as 0 stands for none.
        state.clock[t.STRIP_DUE] = at + 1.0
        return t.PAUSED
    if plates:
        reduce(geometry, law, channels, state, scratch, at, log)
    else:
        oxidise(geometry, law, channels, state, scratch, at, log)
    return t.GO_ON
