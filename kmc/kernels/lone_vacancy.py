"""All hops of the only vacancy of a box in one step: an exact superbasin of one vacancy.

As long as nothing else happens, the vacancy walks through perfect metal, and what it does next
depends on its layer alone. On bcc (100) each hop goes one layer up or down, so its layers are a
birth-death chain that ends in an event of another kind (at the same rate everywhere) or in the
reservoir (from the top layer). Where and when the chain ends, and how often each pair of layers is
crossed before, is drawn without a step through the hops: states are eliminated from the ends of the
chain towards the layer of the start, and the walks cut off are put back as random counts. That is
the exact law of the absorbing Markov chain (Novotny, Phys. Rev. Lett. 74, 1 (1995),
doi:10.1103/PhysRevLett.74.1; counts of cut-off walks as in kinetic path sampling, Athènes and
Bulatov, Phys. Rev. Lett. 113, 230601 (2014), doi:10.1103/PhysRevLett.113.230601). Sums hold no
differences, so no digits are lost however rare the end is.

In plane the four hops to a layer are equally fast, so each hop goes half a cell to either side in x
and in y, independently and whatever happens in z.
"""

import numpy as np

from kmc.kernels import tables as t
from kmc.kernels.events import exchange
from kmc.kernels.jit import inner
from kmc.kernels.rates import by_type
from kmc.kernels.selection import find_bin

DOWN, UP = 0, 1
_LONG = 50.0  # mean waits: what ends later than that has a chance of exp(-50)


@inner
def _poisson(rng, mean):
    """Poisson number of any mean (Ahrens and Dieter, Computing 12, 223 (1974), 10.1007/BF02293108).

    The generator's own cannot be compiled without reference counting (see `jit`).
    """
    count = 0
    while mean > 12.0:
        most = int(mean * 0.875)
        reached = rng.standard_gamma(most)  # when the event of that number happens, at rate 1
        if reached > mean:
            return count + rng.binomial(most - 1, mean / reached)
        count += most
        mean -= reached
    until = rng.standard_exponential()
    while until < mean:
        count += 1
        until += rng.standard_exponential()
    return count


@inner
def _leave_rate(lone, others, layer):
    """Rate at which the chain ends in this layer."""
    return others + lone.absorption if layer == lone.layers - 1 else others


@inner
def _eliminate(lone, others):
    """Probabilities not to return, and to return, from layers beyond the start.

    ``lone.lost[UP, m]`` is the probability that a vacancy in m ends before it goes down to m − 1,
    ``lone.lost[DOWN, m]`` that it ends before it goes up to m + 1; ``lone.kept`` are the others.
    """
    rate, lost, kept, n = lone.rate, lone.lost, lone.kept, lone.layers
    for m in range(n):
        beyond = rate[DOWN, m] * lost[DOWN, m - 1] if m > 0 else 0.0
        ends = _leave_rate(lone, others, m) + beyond
        lost[DOWN, m] = ends / (ends + rate[UP, m])
        kept[DOWN, m] = rate[UP, m] / (ends + rate[UP, m])
    for m in range(n - 1, -1, -1):
        beyond = rate[UP, m] * lost[UP, m + 1] if m < n - 1 else 0.0
        ends = _leave_rate(lone, others, m) + beyond
        lost[UP, m] = ends / (ends + rate[DOWN, m])
        kept[UP, m] = rate[DOWN, m] / (ends + rate[DOWN, m])


@inner
def _count(counters, lower, up, down):
    """Count how often the vacancy crossed from a layer to the one above, and its atoms back."""
    stage = t.FIRST_WAY + 2 * min(lower, 2)
    counters[t.HOPS_BY_WAY + stage] += down
    counters[t.HOPS_BY_WAY + stage + 1] += up


@inner
def _walks_beyond(lone, others, side, layer, returning, ends, counters, rng):
    """Walks beyond a layer: `returning` that come back to it, and one that does not if `ends`.

    Returns the layer where the latter ends (−1 without it), the hops and the time of all.
    """
    step = 2 * side - 1
    end, hops, time = -1, 0, 0.0
    m = layer
    while returning + ends > 0:
        m += step
        if side == UP:
            _count(counters, m - 1, returning + ends, returning)
        else:
            _count(counters, m, returning, returning + ends)
        hops += 2 * returning + ends
        onward = lone.rate[side, m]
        leave, loops, beyond = _leave_rate(lone, others, m), 0.0, 0.0
        if onward > 0.0:
            loops, beyond = onward * lone.kept[side, m + step], onward * lone.lost[side, m + step]
        # Walks onward and back to here, before the hop back or the end: a geometric number each.
        until = lone.rate[1 - side, m] + leave + beyond
        visits = returning + ends
        # A sum of geometric numbers is negative binomial: Poisson with a mean drawn from a gamma.
        again = _poisson(rng, rng.standard_gamma(visits) * loops / until)
        # Waits at one layer are alike, so that their sum is one gamma number.
        time += rng.standard_gamma(visits + again) / (onward + lone.rate[1 - side, m] + leave)
        returning = again
        if ends == 1 and rng.random() * (leave + beyond) < leave:
            end, ends = m, 0
    return end, hops, time


@inner
def _draw_walk(lone, others, layer, counters, rng):
    """Everything the vacancy does until something else happens.

    Counts its hops by way and returns the layer of the end, the number of hops and the time.
    """
    _eliminate(lone, others)
    down, up, leave = lone.rate[DOWN, layer], lone.rate[UP, layer], _leave_rate(lone, others, layer)
    lost_down, lost_up, loops_down, loops_up = 0.0, 0.0, 0.0, 0.0
    if down > 0.0:
        lost_down = down * lone.lost[DOWN, layer - 1]
        loops_down = down * lone.kept[DOWN, layer - 1]
    if up > 0.0:
        lost_up, loops_up = up * lone.lost[UP, layer + 1], up * lone.kept[UP, layer + 1]
    until = leave + lost_down + lost_up
    # Both numbers of loops share this mean: they compete with the same end.
    mean = rng.standard_exponential() / until
    n_down, n_up = _poisson(rng, mean * loops_down), _poisson(rng, mean * loops_up)
    time = rng.standard_gamma(n_down + n_up + 1) / (down + up + leave)
    x = rng.random() * until
    ends_down = 1 if leave <= x < leave + lost_down else 0
    ends_up = 1 if x >= leave + lost_down else 0
    end_down, hops_down, time_down = _walks_beyond(
        lone, others, DOWN, layer, n_down, ends_down, counters, rng
    )
    end_up, hops_up, time_up = _walks_beyond(lone, others, UP, layer, n_up, ends_up, counters, rng)
    end = end_down if ends_down else end_up if ends_up else layer
    return end, hops_down + hops_up, time + time_down + time_up


@inner
def _shifted_column(lone, column, layer, end, hops, rng):
    """Column under which the walk ends that began over `column`."""
    iy = column // lone.nx
    ix = column - iy * lone.nx
    # In half cells: a bcc layer is shifted by half a cell against the one below.
    x = 2 * ix + (layer & 1) + 2 * rng.binomial(hops, 0.5) - hops
    y = 2 * iy + (layer & 1) + 2 * rng.binomial(hops, 0.5) - hops
    return ((y - (end & 1)) // 2 % lone.ny) * lone.nx + (x - (end & 1)) // 2 % lone.nx


@inner
def _walk(geometry, law, channels, state, scratch, lone, others, limits, rng):
    counters, clock = state.counters, state.clock
    # Without another event the walk has no end; with frequent ones, hops one by one are as fast.
    if not 0.0 < others <= lone.most_others:
        return np.int64(-1), False
    stop = min(limits.time_s, limits.pause_time_s)
    if clock[t.TIME] + _LONG / (others * channels.unit_Hz) >= stop:
        return np.int64(-1), False  # a walk cannot be stopped on its way
    b, _ = find_bin(state.hops, 0.0)
    site = np.int64(state.hops.members[b, 0])
    column = site // geometry.height
    layer = site - column * geometry.height - geometry.walls
    end, hops, time = _draw_walk(lone, others, layer, counters, rng)
    column = _shifted_column(lone, column, layer, end, hops, rng)
    site_to = column * geometry.height + geometry.walls + end
    if site_to != site:
        # Filled first, so that the energies are those of perfect metal around either site.
        exchange(geometry, law, channels, state, scratch, site, np.int64(t.LI))
        exchange(geometry, law, channels, state, scratch, site_to, np.int64(t.VACANCY))
    counters[t.EVENTS] += hops
    counters[t.HOPS] += hops
    counters[t.ATTEMPTS] += hops + 1
    clock[t.TIME] += time / channels.unit_Hz
    clock[t.VACANCY_TIME] += clock[t.TIME] - clock[t.ATTEMPT_TIME]
    clock[t.ATTEMPT_TIME] = clock[t.TIME]
    return site_to, rng.random() * _leave_rate(lone, others, end) >= others


# Moves the only vacancy to where it is when something else happens, and the clock to then. Returns
# its site, −1 if the walk is better taken hop by hop, and whether what happens is its absorption.
# Loops that draw no walks are compiled without them.
walk_alone = by_type(
    {
        t.LoneVacancy: _walk,
        t.NoWalks: lambda geometry, law, channels, state, scratch, lone, others, limits, rng: (
            np.int64(-1),
            False,
        ),
    },
    law_at=5,
)
