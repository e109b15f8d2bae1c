"""The event loop."""

import numpy as np

from kmc.kernels import tables as t
from kmc.kernels.charge import oxidise_and_reduce, reduce, refresh_strip_weights, sums_over_box
from kmc.kernels.connection import is_connected
from kmc.kernels.counts import count_neighbours, list_mg, neighbour_row, variant_of
from kmc.kernels.events import exchange, rates_now, record, refresh_one, vacancy_rates
from kmc.kernels.hop import hop
from kmc.kernels.jit import entry, index, inner, prefetch, rare
from kmc.kernels.lone_vacancy import walk_alone
from kmc.kernels.rates import (
    barrier_kind,
    class_of,
    exchange_energies,
    exchange_share,
    hop_energy,
    hop_rate,
    hop_target,
    species_of,
)
from kmc.kernels.selection import find_bin, find_choice, find_place, lowest_bin, total_mass
from kmc.kernels.transfer import (
    net_charge,
    none_reacts,
    plate_at_current,
    plate_waiting,
    strip_among_all,
    transfer_at_current,
    transfer_at_voltage,
    transfer_due,
    transfer_rates,
)
from kmc.kernels.void_closure import close_void, creep_bound


@rare
def _change_places(geometry, law, channels, state, scratch, site, other, log):
    """An Mg and the Li beside it change places."""
    exchange(geometry, law, channels, state, scratch, site, np.int64(t.LI))
    exchange(geometry, law, channels, state, scratch, other, np.int64(t.MG))
    state.counters[t.MG_EXCHANGES] += 1
    record(geometry, log, state, np.int64(t.MG_EXCHANGE), site, other, np.int64(t.MG))


@inner
def _mix(geometry, law, channels, state, scratch, rest, log):
    """Offer the Mg that holds `rest`, and one of its first neighbours, to change places."""
    site_state, mg = state.site_state, state.mg
    x = rest / channels.mg_exchange
    pair = min(int(x), t.N_FIRST * mg.length[0] - 1)
    site = np.int64(mg.sites[pair // t.N_FIRST])
    packed = site_state[site]
    row = neighbour_row(geometry, packed, site)
    other = site + geometry.offsets[row, pair % t.N_FIRST]
    packed_other = site_state[other]
    if species_of(packed_other) != t.LI:
        return
    barrier_ueV, _ = exchange_energies(law, packed, packed_other)
    # The fraction of x is uniform whatever the pair: it decides without another draw.
    if x - pair < exchange_share(law, barrier_ueV):
        _change_places(geometry, law, channels, state, scratch, site, other, log)


@rare
def _emit(geometry, law, channels, state, scratch, share, log):
    """Offer the top-layer site at this share of the layer a vacancy from the reservoir."""
    # Rounding can make share · n equal to n, a column that there is not.
    column = min(int(share * geometry.sites_per_layer), geometry.sites_per_layer - 1)
    site = column * geometry.height + geometry.walls + geometry.n_layers - 1
    species = species_of(state.site_state[site])
    # A rejected attempt: the rate in the sum is that of all sites of the layer, vacant or not.
    if species == t.VACANCY:
        return
    exchange(geometry, law, channels, state, scratch, site, np.int64(t.VACANCY))
    state.counters[t.EMITTED] += 1
    if species == t.MG:
        state.counters[t.EMITTED_MG] += 1
    record(geometry, log, state, np.int64(t.EMISSION), site, np.int64(-1), species)


@inner
def _look_ahead(geometry, law, state, x, v):
    """Fetch what the next attempt will need, should this one leave its bin as it is."""
    site_state, hops = state.site_state, state.hops
    b, rest = find_bin(hops, x)
    if b < 0:
        return
    place = find_place(hops.count[b], v)
    if place >= hops.count[b]:
        return
    site = np.int64(hops.members[b, place])
    column = site // geometry.height
    layer = site - column * geometry.height - geometry.walls
    variant = (layer % geometry.layer_types) * geometry.columns + column % geometry.columns
    prefetch(hops.where, site)
    steps = geometry.offsets[variant]
    for k in range(t.N_NEAR):
        prefetch(site_state, site + steps[k])
    for k in range(t.N_FIRST):
        prefetch(hops.where, site + steps[k])
    # Which hop it will be is known if the vacancy is alone, as most are in a box of this size.
    lone = hop_rate(law, hop_target(law, t.VACANCY * t.SPECIES), t.LI * t.SPECIES + t.NV1)
    k = int(rest / hops.count[b] / lone)
    if k < t.N_FIRST:
        steps = geometry.around[0, variant, k]
        for i in range(steps.size):
            prefetch(site_state, site + steps[i])


@inner
def _fill_vacancy(geometry, law, channels, state, scratch, site, choice, log):
    """Carry out event number `choice` of a vacancy: a hop into it, or absorption."""
    site_state, counters = state.site_state, state.counters
    if choice < t.N_FIRST:
        packed_to = site_state[site]
        row = neighbour_row(geometry, packed_to, site)
        site_from = site + geometry.offsets[row, choice]
        packed_from = site_state[site_from]
        counters[t.ENERGY] += hop_energy(law, hop_target(law, packed_to), packed_from)
        counters[t.HOPS] += 1
        kind = barrier_kind(law, packed_to, packed_from)
        classes = class_of(packed_to) << 2 | class_of(packed_from)
        way = geometry.way[index(variant_of(packed_to)), index(choice), index(classes)]
        counters[t.HOPS_BY_WAY + t.N_WAYS * kind + way] += 1
        hop(geometry, law, channels, state, scratch, choice, site, site_from)
        record(geometry, log, state, np.int64(t.HOP), site_from, site, species_of(packed_from))
    else:
        species = choice - t.N_FIRST + 1
        exchange(geometry, law, channels, state, scratch, site, species)
        counters[t.ABSORBED] += 1
        if species == t.MG:
            counters[t.ABSORBED_MG] += 1
        record(geometry, log, state, np.int64(t.ABSORPTION), np.int64(-1), site, species)


# Places of the processes other than those of vacancies in `_process_rates`.
_STRIP, _PLATE, _EMISSION, _CLOSURE, _MG_EXCHANGE = range(5)


@inner
def _process_rates(geometry, law, channels, state, scratch, held, creeps, mixes):
    """Bounds of the rates of all processes other than those of vacancies, in the order above.

    A process is offered to the box by its rate here alone, and its event by `_carry_out`.
    """
    strip, plate, creep, mixing = channels.strip, 0.0, 0.0, 0.0
    if held is not None:
        strip, plate = transfer_rates(geometry, law, channels, state, scratch)
    if creeps is not None and channels.creep.size > 0:
        creep = creep_bound(geometry, channels, state)
    if mixes is not None:
        mixing = channels.mg_exchange * (t.N_FIRST * state.mg.length[0])
    return strip, plate, channels.emission, creep, mixing


@inner
def _process_at(rates, rest):
    """Process that holds `rest` in the running sum of the rates, and what is left of it."""
    last, left = 0, rest
    for process in range(len(rates)):
        if rates[process] > 0.0:
            if rest < rates[process]:
                return process, rest
            # Rounding can leave `rest` beyond all rates: the last process then takes it.
            last, left = process, rest
            rest -= rates[process]
    return last, left


@inner
def _carry_out(
    geometry, law, channels, state, scratch, limits, log, net, held, creeps, mixes, rates, rest, rng
):
    """Carry out the process that holds `rest`; returns `GO_ON`, or the reason to stop before it."""
    process, rest = _process_at(rates, rest)
    if process == _EMISSION:
        # What is left of the number is uniform over the stretch of emission: no second draw.
        share = rest / channels.emission
        _emit(geometry, law, channels, state, scratch, share, log)
    elif creeps is not None and process == _CLOSURE:
        close_void(geometry, law, channels, state, scratch, rng, log)
    elif mixes is not None and process == _MG_EXCHANGE:
        _mix(geometry, law, channels, state, scratch, rest, log)
    elif held is not None and channels.strip_per_weight > 0.0 and process <= _PLATE:
        total, plates = rates[_STRIP] + rates[_PLATE], process == _PLATE
        return transfer_at_voltage(
            geometry, law, channels, state, scratch, limits, net, total, plates, rest, log
        )
    elif held is not None and process == _PLATE:
        bound = rates[_PLATE]
        oxidise_and_reduce(geometry, law, channels, state, scratch, net, bound, rng, log)
    elif process == _STRIP:
        return transfer_at_current(geometry, law, channels, state, scratch, limits, net, rng, log)
    return t.GO_ON


@inner
def _wait(channels, state, limits, total, rng):
    """Set the clock to the next attempt of this total rate; False where a limit comes first."""
    counters, clock = state.counters, state.clock
    time = clock[t.PUT_OFF]
    if time < 0.0:
        time = clock[t.TIME] + rng.standard_exponential() / (total * channels.unit_Hz)
    elif total != clock[t.PUT_OFF_RATE]:  # the current was switched off, or its voltage
        # Waiting times have no memory: what is left of this one is stretched to the new rate.
        left = (time - clock[t.TIME]) * clock[t.PUT_OFF_RATE]
        time = clock[t.TIME] + left / total
    # One comparison an attempt; which of the two it was is asked only at the end.
    stop = min(limits.time_s, limits.pause_time_s)
    if time >= stop:
        # Kept with its rate, and not drawn anew: a stop in between changes nothing that follows.
        clock[t.PUT_OFF], clock[t.PUT_OFF_RATE] = time, total
        clock[t.TIME] = stop
        return False
    clock[t.PUT_OFF] = -1.0
    # The integral grows at attempts alone, so that stops between them change no digit.
    clock[t.VACANCY_TIME] += (time - clock[t.ATTEMPT_TIME]) * counters[t.VACANCIES]
    clock[t.ATTEMPT_TIME] = time
    clock[t.TIME] = time
    counters[t.ATTEMPTS] += 1
    return True


@inner
def _choose_vacancy(geometry, law, channels, state, scratch, x, v, others, rng):
    """Vacancy that holds x in the sum of all bounds, number of its event, and what is left of x.

    The site is −1 where x lies behind all vacancies, the event −1 where the attempt is rejected.
    """
    hops, site, choice = state.hops, np.int64(-1), np.int64(-1)
    b, rest = find_bin(hops, x)
    if b < 0 and others == 0.0:
        b = lowest_bin(hops)  # rounded up to the very end of the sum
    if b >= 0:
        count = hops.count[b]
        place = find_place(count, v)
        while place >= count:
            place = find_place(count, rng.random())
        site, y = np.int64(hops.members[b, place]), rest / count
        # Thinning: the bin has bounds, and what lies between rate and bound is a rejected attempt.
        if y < rates_now(geometry, law, channels, scratch, state.site_state, site):
            choice = find_choice(scratch.rates[index(site & (t.N_KEPT - 1))], y)
    return site, choice, rest


PARTS = {
    "net": (is_connected, none_reacts, plate_at_current, plate_waiting, reduce, strip_among_all),
    "held": (oxidise_and_reduce, transfer_at_voltage, transfer_rates),
    "creeps": (creep_bound, close_void),
    "mixes": (_mix,),
    "lone": (_look_ahead, _choose_vacancy, _fill_vacancy),
}
"""Functions that `advance` calls only if these arguments of it are given."""


def left_out(given):
    """Functions that `advance` does not compile with these arguments of `PARTS`."""
    return {part for name in PARTS if given[name] is None for part in PARTS[name]}


@entry
def prepare(geometry, law, channels, state, scratch):
    """Count neighbours and fill the bins of a state whose site states hold species only.

    The energy counter must hold the energy of the box full of Li. Strip weights are listed as
    out of date; the first strip brings them up to date.
    """
    count_neighbours(geometry, law, state, scratch.near[0])
    site_state = state.site_state
    for site in range(site_state.size):
        if species_of(site_state[site]) == t.VACANCY:
            refresh_one(geometry, law, channels, state, scratch, np.int64(site))
        elif species_of(site_state[site]) == t.MG:
            list_mg(state, site, np.int64(1))


@entry
def set_species_of(geometry, law, channels, state, scratch, sites, species):
    """Give sites another species, one after the other, as equilibrium between events leaves them.

    - `sites`, `species` (int64[n]): in the numbering of the kernels.
    """
    for i in range(sites.size):
        site = np.int64(sites[i])
        if species_of(state.site_state[index(site)]) != species[i]:
            exchange(geometry, law, channels, state, scratch, site, np.int64(species[i]))


@entry
def sums_of_weights(geometry, law, state, scratch, net):
    """Sums of the strip weights of all electroactive atoms and of all plate weights.

    Where dead lithium is spared, of those that the current reaches.
    """
    return sums_over_box(geometry, law, state, net, scratch.near[2])


@entry
def update_strip_weights(geometry, law, channels, state, scratch):
    """Bring the weights of all sites listed as out of date up to date."""
    refresh_strip_weights(geometry, law, channels, state, scratch)


@entry
def rates_of_vacancy(geometry, law, channels, site_state, site, rates):
    """`events.vacancy_rates`, for inspection."""
    return vacancy_rates(geometry, law, channels, site_state, site, rates)


@entry
def advance(
    geometry, law, channels, state, scratch, limits, log, lone, net, held, creeps, mixes, rng
):
    """Run events until a limit is reached; returns the reason (`PAUSED`, ...).

    - `geometry`, `law`, `channels`, `state`, `scratch`, `limits`, `log`: tuples of
      `kmc.kernels.tables`; `law` is `OneSpecies` or `TwoSpecies`.
    - `lone` (`LoneVacancy`, `NoWalks` or None): walks of the only vacancy of a box; None for a loop
      without hops, between whose events vacancies move in another way.
    - `net` (kmc.kernels.connection.Connection or None): whether dead lithium is spared, and how it
      is found. None for a loop that never plates and spares nothing.
    - `held`, `creeps`, `mixes` (True or None): None for a loop without a held voltage and exchange
      (`held`, which needs `net`), creep, or exchange of Mg. Code for what is None is left out of
      the compilation, in which a loop that only strips takes half the time of one with everything.
    - `rng` (numpy.random.Generator): the only source of randomness. An attempt draws its waiting
      time (standard exponential), then two uniform numbers for the next attempt (its own were drawn
      by the one before): where in the sum of all bounds it falls, and which member of a bin it
      takes. A vacancy then draws another of the latter as long as it names no member, a strip or
      plate at a given current as many uniform numbers as its own selection takes (of an ion that
      waited, before the numbers of the attempt that follows; an exchange one more before to be
      accepted and one after for the site that is plated), a closure one for the site and, where the
      reservoir has Mg, one for the species.

    Limits do not change what happens: an attempt that would come after a time at which the
    clock stops is put off and carried out by the next call, an atom about to leave leaves then.

    An ion that comes at a given current and finds no vacant site waits, and takes the first
    one there is, at once. When the next ion comes before that, the reason is `NO_SITE`; also,
    without an ion that waits, where vacant sites are left but none beside connected metal.
    """
    counters, clock = state.counters, state.clock
    if lone is not None:
        scratch.owner[:] = -1  # rates may have changed since the last call
    # Whole counts and not shares or charge: integers compare exactly, so that a limit is met to the
    # atom.
    while (
        counters[t.EVENTS] < limits.events
        and net_charge(channels, state, net) < limits.strips
        and counters[t.ATTEMPTS] < limits.attempts
        and counters[t.VACANT_L1] < limits.vacant_L1
        and clock[t.TIME] < limits.pause_time_s
    ):
        # One bin may have to hold all vacancies: asked before the event that could overflow it.
        if lone is not None:  # noqa: SIM102
            if counters[t.VACANCIES] >= state.hops.members.shape[1]:
                return t.BINS_FULL
        # What an earlier call put off, or an ion that waits, comes before any new attempt.
        if clock[t.STRIP_DUE] != 0.0:
            reason = transfer_due(geometry, law, channels, state, scratch, limits, net, rng, log)
            if reason != t.GO_ON:
                return reason
            if clock[t.STRIP_DUE] != t.WAITING:
                continue
        rates = _process_rates(geometry, law, channels, state, scratch, held, creeps, mixes)
        # Two conditions: numba leaves out the second where `held` is None.
        if held is not None and channels.strip_per_weight > 0.0:  # noqa: SIM102
            if rates[_STRIP] + rates[_PLATE] <= 0.0:
                return t.NO_ELECTROACTIVE
        others = 0.0
        for rate in rates:
            others += rate
        total = others
        if lone is not None:
            total += total_mass(state.hops)
        if total <= 0.0:
            return t.NO_EVENT
        u, v = clock[t.PLACE], clock[t.MEMBER]  # here, as a later read costs 5 % of an event
        walker, absorbed = np.int64(-1), False
        # An attempt that is put off has its time already, drawn for the hops one by one.
        if lone is not None and counters[t.VACANCIES] == 1 and clock[t.PUT_OFF] < 0.0:
            walker, absorbed = walk_alone(
                geometry, law, channels, state, scratch, lone, others, limits, rng
            )
        if walker < 0 and not _wait(channels, state, limits, total, rng):
            return t.TIME_IS_UP if limits.time_s <= limits.pause_time_s else t.PAUSED
        clock[t.PLACE] = rng.random()
        clock[t.MEMBER] = rng.random()
        site, choice, rest = walker if absorbed else np.int64(-1), np.int64(t.N_FIRST), u * others
        if lone is not None and walker < 0:
            if geometry.looks_ahead:
                _look_ahead(geometry, law, state, clock[t.PLACE] * total, clock[t.MEMBER])
            site, choice, rest = _choose_vacancy(
                geometry, law, channels, state, scratch, u * total, v, others, rng
            )
        if lone is not None and site >= 0:
            if choice >= 0:
                _fill_vacancy(geometry, law, channels, state, scratch, site, choice, log)
            continue
        reason = _carry_out(
            geometry, law, channels, state, scratch, limits, log, net, held, creeps, mixes,
            rates, rest, rng,
        )  # fmt: skip
        if reason != t.GO_ON:
            return reason
    return t.PAUSED
