"""Rejection-free selection by bins of bounded rates.

Members are sorted into bins two to an octave: bin b holds the rates up to its bound and above the
bound below, so at least two thirds of it. A draw takes a bin by its mass (count times bound), a
member uniformly, and accepts it with probability rate/bound. The cost does not depend on the number
of members and no sum tree has to be kept. Nothing can drift: what is stored are integer counts, and
the masses, whose bounds are 2 or 3 times a power of two, add up in integers too. Rejected draws
advance the clock like accepted ones, which keeps the waiting times exactly exponential (thinning of
a Poisson process: Lewis and Shedler, Nav. Res. Logist. Q. 26, 403 (1979),
doi:10.1002/nav.3800260304; composition-rejection for kinetic Monte Carlo: Slepoy, Thompson and
Plimpton, J. Chem. Phys. 128, 205101 (2008), doi:10.1063/1.2919546).

Where one uniform number draws a bin and a member (`find_bin`, `find_member`), it does so as in a
linear scan over [0, total): every member has an interval of the length of its bin's bound, whose
first part, of the length of the member's rate, is its events. Hops draw their member by a separate
number (`find_place`), so that the memory of the next attempt can be prefetched.
"""

import numpy as np

from kmc.kernels.jit import index, inner

N_BINS = 256
WINDOW_BITS = 6  # bins of a window share one integer sum; 32 octaves leave room for any count
N_WINDOWS = N_BINS >> WINDOW_BITS
POSITION_BITS = 23
POSITION_MASK = (1 << POSITION_BITS) - 1
NONE = -1
_ALL = 2 * N_BINS - 1  # bits that hold every bin and `NONE`


@inner
def bin_of(bins, rate):
    """Bin of a positive rate: the lowest whose bound is not below it."""
    # A logarithm would be slower, and could differ in its last bit between libraries.
    bits = np.float64(rate).view(np.int64)
    # The exponent and one bit of the mantissa, rounded up.
    return max(((bits + 0x7FFFFFFFFFFFF) >> 51) - 2 * 1023 + bins.unit_bin, 0)


@inner
def bin_or_none(bins, rate):
    """Bin of a rate; a rate of zero belongs nowhere (`NONE`)."""
    b = bin_of(bins, rate)
    return b if rate > 0.0 else np.int64(NONE)


@inner
def _leave(bins, place):
    """Empty a place; the last member of the bin moves there. What was there keeps its `where`."""
    b = index(place >> POSITION_BITS)
    # Nothing is shifted: a member leaves in the same time, however full its bin is.
    last = bins.count[b] - 1
    moved = bins.members[b, index(last)]
    bins.members[b, index(place & POSITION_MASK)] = moved
    bins.where[index(moved)] = place
    bins.count[b] = last


@inner
def _enter(bins, site, b):
    """Put a site at the end of a bin."""
    position = bins.count[index(b)]
    bins.members[index(b), index(position)] = site
    bins.where[index(site)] = (b << POSITION_BITS) | position
    bins.count[index(b)] = position + 1
    if b > bins.top[index(b >> WINDOW_BITS)]:
        bins.top[index(b >> WINDOW_BITS)] = b


@inner
def _move(bins, site, place, b):
    """Move a site from its place to another bin, either of them perhaps none."""
    if place != NONE:
        _leave(bins, place)
    if b != NONE:
        _enter(bins, site, b)
    else:
        bins.where[index(site)] = NONE


@inner
def _weigh(bins, old, new):
    """Bring the sums of the windows up to date with a member that changes its bin."""
    # Without branches, which would often be mispredicted: `NONE` takes nothing from a window.
    bins.window[index(old >> WINDOW_BITS & N_WINDOWS - 1)] -= bins.weight[index(old & _ALL)]
    bins.window[index(new >> WINDOW_BITS & N_WINDOWS - 1)] += bins.weight[index(new & _ALL)]


@inner
def assign(bins, site, rate):
    """Put a site where its rate belongs."""
    put(bins, site, bin_or_none(bins, rate))


@inner
def put(bins, site, b):
    """Put a site into a bin, or into none."""
    place = np.int64(bins.where[index(site)])
    old = place >> POSITION_BITS
    if old != b:  # both are −1 where the site was and stays out
        _weigh(bins, old, b)
        _move(bins, site, place, b)


@inner
def reassign(bins, old, new, rate):
    """The member `old` has become `new` with this rate: in place where the bin stays the same."""
    place, b = np.int64(bins.where[index(old)]), bin_or_none(bins, rate)
    if place != NONE and place >> POSITION_BITS == b:
        bins.where[index(new)] = place
        bins.members[index(b), index(place & POSITION_MASK)] = new
    else:
        _weigh(bins, place >> POSITION_BITS, b)
        _move(bins, old, place, np.int64(NONE))
        _move(bins, new, np.int64(NONE), b)
    bins.where[index(old)] = NONE


@inner
def total_mass(bins):
    """Sum of the bounds of all members."""
    # From integers, so that the sum never drifts from the members.
    total = 0.0
    for w in range(N_WINDOWS):
        total += bins.window[w] * bins.scale[w]
    return total


@inner
def find_bin(bins, x):
    """Bin that holds x in the running sum from the highest bin down, and what is left of x.

    Returns −1 with the remainder when x lies beyond all bins.
    """
    # From the fastest down: nearly all draws end in the first window that has members.
    for w in range(N_WINDOWS - 1, -1, -1):
        mass = bins.window[w] * bins.scale[w]
        if x < mass:
            while bins.count[bins.top[w]] == 0:  # the window has members: this ends
                bins.top[w] -= 1
            for b in range(bins.top[w], (w << WINDOW_BITS) - 1, -1):
                mass = bins.count[b] * bins.bound[b]
                if x < mass:
                    return b, x
                x -= mass
        else:
            x -= mass
    return -1, x


@inner
def lowest_bin(bins):
    """Lowest occupied bin: where a draw belongs that rounding carried beyond all bins."""
    for b in range(N_BINS):
        if bins.count[b] > 0:
            return b
    return 0


@inner
def find_member(bins, b, rest):
    """Member of bin b that holds `rest`, and where in its stretch [0, bound) the draw fell."""
    bound = bins.bound[b]
    # Rounding can carry the quotient to the count, one beyond the last member.
    position = min(int(rest / bound), bins.count[b] - 1)
    return bins.members[b, position], rest - position * bound


@inner
def find_place(count, v):
    """Place of a member in a bin of so many for a uniform number v; `count` or more: draw again.

    v falls on a grid of as many cells as the next power of two, once with its leading bits and, if
    there is no member, once with those that follow. So the place depends on the count only through
    that power, and stays the same when members come and go.
    """
    # The exponent of the power as it is stored; that of 1 for a single member.
    exponent = max((np.float64(count - 1).view(np.int64) >> 52) + 1, 1023)
    cells = np.int64(exponent << 52).view(np.float64)
    place = int(v * cells)
    if place >= count:
        place = int((v * cells - place) * cells)
    return place


@inner
def find_choice(rates, y):
    """Index of the rate that holds y in their running sum, or of the last one above zero."""
    choice = 0
    for k in range(rates.size):  # without branches: past the rate that holds y, y is negative
        choice += 1 if y >= rates[k] else 0
        y -= rates[k]
    if choice == rates.size:
        choice -= 1
        while choice > 0 and rates[choice] <= 0.0:
            choice -= 1
    return choice
