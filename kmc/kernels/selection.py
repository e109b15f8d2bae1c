"""Rejection-free selection by powers of two.

Members are sorted into bins, bin b holding rates in (bound/2, bound]. A draw takes a bin by its
mass (count times bound), a member uniformly, and accepts it with probability rate/bound. The cost
does not depend on the number of members, no sum tree has to be kept, and as only integer counts are
stored nothing can drift. Rejected draws advance the clock like accepted ones, which keeps the
waiting times exactly exponential (thinning of a Poisson process: Lewis and Shedler, Nav. Res.
Logist. Q. 26, 403 (1979), doi:10.1002/nav.3800260304; composition-rejection for kinetic Monte
Carlo: Slepoy, Thompson and Plimpton, J. Chem. Phys. 128, 205101 (2008), doi:10.1063/1.2919546).

One uniform number serves a whole draw, as in a linear scan over [0, total): every member owns a
stretch of its bin's bound, the first part of it, as long as the member's rate, being its events.
"""

from __future__ import annotations

import numpy as np

from kmc.kernels.jit import index, inner

N_BINS = 192
OFFSET = 128  # bin whose bound is one unit; rates 2**63 times as high still fit
POSITION_BITS = 23
POSITION_MASK = (1 << POSITION_BITS) - 1
NONE = -1


@inner
def bin_of(rate):
    """Bin of a positive rate: the smallest b with rate <= 2**(b - OFFSET)."""
    bits = np.float64(rate).view(np.int64)
    # Adding all ones of the mantissa carries into the exponent unless the mantissa is zero.
    return min(max(((bits + 0xFFFFFFFFFFFFF) >> 52) - 1023 + OFFSET, 0), N_BINS - 1)


@inner
def insert(bins, site, b):
    position = bins.count[b]
    bins.members[b, position] = site
    bins.where[site] = (b << POSITION_BITS) | position
    bins.count[b] = position + 1
    bins.mass[b] = (position + 1) * bins.bound[b]
    bins.span[0] = min(bins.span[0], b)
    bins.span[1] = max(bins.span[1], b)
    bins.span[2] = 1


@inner
def remove(bins, site):
    """Take a site out of its bin; the last member of the bin takes its place."""
    place = bins.where[site]
    if place == NONE:
        return
    b = place >> POSITION_BITS
    last = bins.count[b] - 1
    moved = bins.members[b, last]
    bins.members[b, place & POSITION_MASK] = moved
    bins.where[moved] = place
    bins.where[site] = NONE
    bins.count[b] = last
    bins.mass[b] = last * bins.bound[b]
    bins.span[2] = 1


@inner
def assign(bins, site, rate):
    """Put a site where its rate belongs; a rate of zero belongs nowhere."""
    place = bins.where[index(site)]
    b = bin_of(rate) if rate > 0.0 else NONE
    if place >> POSITION_BITS != b:  # both are −1 where the site was and stays out
        remove(bins, site)
        if b != NONE:
            insert(bins, site, b)


@inner
def reassign(bins, old, new, rate):
    """The member `old` has become `new` with this rate: in place where the bin stays the same."""
    place = bins.where[old]
    if place != NONE and rate > 0.0 and place >> POSITION_BITS == bin_of(rate):
        bins.where[old] = NONE
        bins.where[new] = place
        bins.members[place >> POSITION_BITS, place & POSITION_MASK] = new
    else:
        remove(bins, old)
        assign(bins, new, rate)


@inner
def total_mass(bins):
    """Sum of the bounds of all members, added up afresh."""
    low, high = bins.span[0], bins.span[1]
    while high > low and bins.count[high] == 0:
        high -= 1
    while low < high and bins.count[low] == 0:
        low += 1
    bins.span[0] = low
    bins.span[1] = high
    bins.span[2] = 0
    # Four sums side by side: the additions do not wait for one another.
    mass = bins.mass
    sum_0, sum_1, sum_2, sum_3 = 0.0, 0.0, 0.0, 0.0
    b = low
    while b + 3 <= high:
        sum_0 += mass[b]
        sum_1 += mass[b + 1]
        sum_2 += mass[b + 2]
        sum_3 += mass[b + 3]
        b += 4
    while b <= high:
        sum_0 += mass[b]
        b += 1
    return (sum_0 + sum_1) + (sum_2 + sum_3)


@inner
def find_bin(bins, x):
    """Bin that holds x in the running sum from the highest bin down, and what is left of x.

    Returns −1 with the remainder when x lies beyond all bins.
    """
    for b in range(bins.span[1], bins.span[0] - 1, -1):
        mass = bins.mass[b]
        if x < mass:
            return b, x
        x -= mass
    return -1, x


@inner
def find_member(bins, b, rest):
    """Member of bin b that holds `rest`, and where in its stretch [0, bound) the draw fell."""
    bound = bins.bound[b]
    position = min(int(rest / bound), bins.count[b] - 1)
    return bins.members[b, position], rest - position * bound


@inner
def find_choice(rates, y):
    """Index of the rate that holds y in their running sum; the last positive one at its very end."""
    last = 0
    for i in range(rates.size):
        if rates[i] > 0.0:
            if y < rates[i]:
                return i
            y -= rates[i]
            last = i
    return last
