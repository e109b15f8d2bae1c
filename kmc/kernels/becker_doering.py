"""Cluster sizes and diffusion in the metal, stepped together (Becker and Döring's equations).

Sizes stand on a grid n_0 = 1 < n_1 < …, spaced by 1 at first and wider beyond. Between two of them
the flux is that of drift and diffusion in n with detailed balance kept exactly (Scharfetter and
Gummel, 10.1109/T-ED.1969.16566); where the spacing is 1 it is Becker and Döring's own
G (S N_n − N_(n+1) Z_n/Z_(n+1)). Every step is an implicit Euler step.
"""

import math
from typing import NamedTuple

import numpy as np

from kmc.kernels.jit import entry, inner

_EMPTY = 1e-25  # clusters per cm² and grid point that count as none
_AHEAD = 12  # grid points beyond the largest clusters that a step covers
_ITERATIONS = 40
_TOLERANCE = 1e-9  # of S
_APART = 1e-6  # of S: least distance of the first two points of the secant


class Sizes(NamedTuple):
    """Grid of sizes and the clusters on it."""

    size: np.ndarray  # float64[m], the first 1
    gap: np.ndarray  # float64[m], distance to the next size
    width: np.ndarray  # float64[m], sizes that a grid point stands for
    ln_Z: np.ndarray  # float64[m]
    capture: np.ndarray  # float64[m], G of growth to the next size, 1/s and unit of S
    sites: float  # L1 sites per cm²
    lone: float  # lone vacancies on them at S = 1
    # Clusters per cm² and grid point, now and at the end of the step that is tried, float64[m]; the
    # first are lone vacancies, sites Z_1 S.
    number: np.ndarray
    after: np.ndarray
    flux: np.ndarray  # float64[m], scratch; after a step clusters per cm² and s to the next size
    upper: np.ndarray  # float64[m], scratch
    forward: np.ndarray  # float64[m], scratch


class Depths(NamedTuple):
    """Layers of the metal from the interface to the sink."""

    held: np.ndarray  # float64[z], vacancies per cm² and unit of S in each layer
    # float64[z + 1], vacancies per cm², s and unit of S that pass between neighbours; the first
    # from the interface, the last to the sink, where S = 1
    conductance: np.ndarray
    # float64[z], vacancies per cm², s and unit of S − 1 that end at dislocations of each layer
    lost: np.ndarray
    lost_at_interface: float  # the same at the interface itself
    activity: np.ndarray  # float64[z], S of each layer
    # Scratch, float64[z]: S at the end of a step is fixed + free · S of the interface.
    fixed: np.ndarray
    free: np.ndarray
    upper: np.ndarray


@inner
def step_sizes(sizes, m, S, dt):
    """Step the sizes at an activity S; vacancies per cm² bound into clusters of two and more."""
    ln_S = math.log(S)
    # Lone vacancies are in equilibrium with the interface at once: they hop 1e10 times a second.
    sizes.after[0] = sizes.sites * math.exp(sizes.ln_Z[0] + ln_S)
    for k in range(m - 1):
        gap = sizes.gap[k]
        drive = gap * ln_S + sizes.ln_Z[k + 1] - sizes.ln_Z[k]  # ln of the ratio of the two ways
        # Where drift vanishes both quotients below are 0/0: pure diffusion.
        if abs(drive) < 1e-8:
            growth = loss = sizes.capture[k] * S / gap
        elif gap == 1.0:
            growth = sizes.capture[k] * S
            loss = growth * math.exp(-drive)
        else:
            # Drift velocity G (S − S_eq), S_eq = S exp(−drive/gap).
            velocity = -sizes.capture[k] * S * math.expm1(-drive / gap)
            growth = velocity / -math.expm1(-drive)
            loss = velocity / math.expm1(drive)
        sizes.forward[k] = growth / sizes.width[k]
        sizes.flux[k] = loss / sizes.width[k + 1]  # for now: rate of shrinking from k + 1
    sizes.forward[m - 1] = 0.0
    # Thomas's algorithm on N_k − dt (F_(k−1) − F_k) = number_k; nothing leaves the last size.
    sizes.upper[0] = 0.0
    for k in range(1, m):
        lower = dt * sizes.forward[k - 1]
        pivot = 1.0 + dt * (sizes.flux[k - 1] + sizes.forward[k]) - lower * sizes.upper[k - 1]
        sizes.upper[k] = dt * sizes.flux[k] / pivot if k < m - 1 else 0.0
        sizes.after[k] = (sizes.number[k] + lower * sizes.after[k - 1]) / pivot
    for k in range(m - 2, 0, -1):
        sizes.after[k] += sizes.upper[k] * sizes.after[k + 1]
    bound = 0.0
    for k in range(m - 1):
        sizes.flux[k] = sizes.forward[k] * sizes.after[k] - sizes.flux[k] * sizes.after[k + 1]
        # By what passes between sizes, not by differences of numbers, which would lose all digits.
        bound += sizes.flux[k] * (sizes.size[1] if k == 0 else sizes.gap[k])
    return bound * dt


@inner
def _spread(depths, dt):
    """Split the metal's activity at the end of a step into `fixed` and `free`."""
    z = depths.held.size
    conductance = depths.conductance
    for i in range(z):
        held = depths.held[i] / dt
        below, above = conductance[i], conductance[i + 1]
        source = held * depths.activity[i] + depths.lost[i]
        if i == z - 1:
            source += above
        last_fixed, last_free, last_upper = 0.0, 1.0, 0.0
        if i > 0:
            last_fixed, last_free = depths.fixed[i - 1], depths.free[i - 1]
            last_upper = depths.upper[i - 1]
        pivot = held + below + above - (below * last_upper if i > 0 else 0.0) + depths.lost[i]
        depths.fixed[i] = (source + below * last_fixed) / pivot
        depths.free[i] = below * last_free / pivot
        depths.upper[i] = above / pivot
    for i in range(z - 2, -1, -1):
        depths.fixed[i] += depths.upper[i] * depths.fixed[i + 1]
        depths.free[i] += depths.upper[i] * depths.free[i + 1]


@inner
def _activity(sizes, m, depths, source, S, guess, dt):
    """S of the interface at the end of a step, from the balance of vacancies (secant)."""
    # What enters the metal is fixed + free S of the interface: what its layers gain and lose and
    # the sink takes, as the difference across the first, thin layer would lose all digits.
    last = depths.held.size - 1
    fixed = depths.conductance[last + 1] * (depths.fixed[last] - 1.0)
    free = depths.conductance[last + 1] * depths.free[last]
    for i in range(last + 1):
        held = depths.held[i] / dt
        fixed += held * (depths.fixed[i] - depths.activity[i]) + depths.lost[i] * (
            depths.fixed[i] - 1.0
        )
        free += (held + depths.lost[i]) * depths.free[i]
    fixed, free = fixed - depths.lost_at_interface, free + depths.lost_at_interface
    low, f_low, x = S, 0.0, S
    for iteration in range(_ITERATIONS):
        bound = step_sizes(sizes, m, x, dt)
        f = source - (sizes.lone * (x - S) + bound) / dt
        f -= fixed + free * x
        if iteration == 0:
            f_low = f
            x = guess if abs(guess / S - 1.0) > _APART else S * (1.0 + _APART)
            continue
        if f == f_low:
            break
        new = x - f * (x - low) / (f - f_low)
        if abs(new - x) <= _TOLERANCE * x:
            break
        low, f_low = x, f
        # A secant far from the root can leap below 0, where ln S has no value.
        x = min(max(new, 0.5 * x), 2.0 * x)
    return x


@entry
def follow(sizes, depths, source, first_dt, step_ln_S, step_time, longest, rows):
    """Follow the interface from S = 1 until its voids no longer become more.

    - `source`: vacancies made per cm² and s.
    - `first_dt`, `longest`: first step, and time at which it ends at the latest, s.
    - `step_ln_S`, `step_time`: change of ln S in a step, and growth of the step from one to the
      next.
    - `rows` (float64[:, 4]): out: time, S, clusters per cm² beyond the critical size of the moment,
      vacancies in them.

    Returns the number of rows written.
    """
    S, rate, time, dt, n_rows = 1.0, 0.0, 0.0, first_dt, 0
    S_top, time_top = 1.0, 0.0
    while n_rows < rows.shape[0] and time < longest:
        # Up to some sizes beyond the largest clusters there are: the rest of the grid stays empty.
        k = sizes.size.size - 1
        while k > 1 and sizes.number[k] < _EMPTY:
            k -= 1
        m = min(k + _AHEAD, sizes.size.size)
        _spread(depths, dt)
        guess = S * math.exp(min(max(rate * dt, -0.05), 0.05))
        new = _activity(sizes, m, depths, source, S, guess, dt)
        change = math.log(new / S)
        # Rates go as powers of S as high as the size of a nucleus: too large a step is taken again.
        if abs(change) > 3.0 * step_ln_S and dt > first_dt:
            dt *= 0.5
            continue
        rate = change / dt
        for k in range(m):
            sizes.number[k] = sizes.after[k]
        for i in range(depths.held.size):
            depths.activity[i] = depths.fixed[i] + depths.free[i] * new
        S, time = new, time + dt
        if S_top < S:
            S_top, time_top = S, time
        top, ln_S = 0, math.log(S)
        highest = -sizes.ln_Z[0] - ln_S
        for k in range(m):
            # The largest work at the S of this moment separates voids from clusters that dissolve
            # again.
            work = -sizes.ln_Z[k] - sizes.size[k] * ln_S
            if work > highest:
                top, highest = k, work
        voids = vacancies = 0.0
        for k in range(top + 1, m):
            voids += sizes.number[k]
            vacancies += sizes.number[k] * sizes.size[k]
        rows[n_rows, 0], rows[n_rows, 1] = time, S
        rows[n_rows, 2], rows[n_rows, 3] = voids, vacancies
        n_rows += 1
        # Forty rows back, as one step may change nothing while dt is still small.
        before = max(0, n_rows - 40)
        if time > 3.0 * time_top and voids > 0.0 and voids < 1.0001 * rows[before, 2]:
            break
        wanted = step_ln_S / max(abs(change), 1e-12)
        dt = min(dt * min(max(wanted, 0.5), 1.0 + step_time), longest - time + 1e-9)
    return n_rows
