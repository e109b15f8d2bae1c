"""Discs and points in a periodic square: which overlap, and sums to and from a grid.

Lengths are in any one unit; the square has edge `edge`.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from kmc.kernels.jit import kept


def _compiled(function):
    return kept(njit(cache=True, nogil=True, error_model="numpy")(function))


@_compiled
def _shortest(delta, edge):
    """A difference of two coordinates over the nearest periodic image."""
    return delta - edge * math.floor(delta / edge + 0.5)


@_compiled
def _levels(radius):
    """Level of each disc: radii of one level differ by less than a factor of two."""
    smallest = radius[0]
    for value in radius:
        smallest = min(smallest, value)
    smallest = max(smallest, 1e-300)
    level = np.empty(radius.size, np.int64)
    for i in range(radius.size):
        level[i] = math.floor(math.log2(max(radius[i], smallest) / smallest) + 1e-9)
    return level


@_compiled
def _cells_of(x, y, members, edge, n_cells):
    """Cell list of some discs: start of each cell, and the discs sorted by cell."""
    start = np.zeros(n_cells * n_cells + 1, np.int64)
    where = np.empty(members.size, np.int64)
    for k in range(members.size):
        i = members[k]
        cx = min(n_cells - 1, int(x[i] / edge * n_cells))
        cy = min(n_cells - 1, int(y[i] / edge * n_cells))
        where[k] = cy * n_cells + cx
        start[where[k] + 1] += 1
    for c in range(n_cells * n_cells):
        start[c + 1] += start[c]
    fill = start[:-1].copy()
    order = np.empty(members.size, np.int64)
    for k in range(members.size):
        order[fill[where[k]]] = members[k]
        fill[where[k]] += 1
    return start, order


@_compiled
def overlaps(x, y, radius, edge):
    """Pairs of discs whose distance is below the sum of their radii.

    The discs are sorted into levels of like radius, each with a cell list of its own, so that the
    cost does not depend on how unequal they are.

    Parameters
    ----------
    x, y : float64 arrays, shape (n,)
        Centres, from 0 to below `edge`.
    radius : float64 array, shape (n,)
    edge : float

    Returns
    -------
    (first, second) : int64 arrays, shape (n_pairs,)
        Each pair once, in no particular order.
    """
    n = x.size
    size = max(16, 4 * n)
    first, second = np.empty(size, np.int64), np.empty(size, np.int64)
    found = 0
    if n == 0:
        return first[:0], second[:0]
    level = _levels(radius)
    for b in range(level.max() + 1):
        members = np.flatnonzero(level == b)
        if members.size == 0:
            continue
        largest = 0.0
        for i in members:
            largest = max(largest, radius[i])
        fit = int(edge / (2.0 * largest)) if largest > 0 else n
        n_cells = max(1, min(fit, int(math.sqrt(2.0 * members.size)) + 1))
        start, order = _cells_of(x, y, members, edge, n_cells)
        reach = 1 if n_cells > 2 else 0
        width = 2 * reach + 1 if n_cells > 2 else n_cells
        for i in range(n):
            if level[i] > b:
                continue
            cx = min(n_cells - 1, int(x[i] / edge * n_cells))
            cy = min(n_cells - 1, int(y[i] / edge * n_cells))
            for sy in range(width):
                row = (cy - reach + sy) % n_cells
                for sx in range(width):
                    cell = row * n_cells + (cx - reach + sx) % n_cells
                    for k in range(start[cell], start[cell + 1]):
                        j = order[k]
                        if level[i] == b and j <= i:
                            continue
                        dx = _shortest(x[j] - x[i], edge)
                        dy = _shortest(y[j] - y[i], edge)
                        reached = radius[i] + radius[j]
                        if dx * dx + dy * dy >= reached * reached:
                            continue
                        if found == size:
                            size *= 2
                            longer = np.empty(size, np.int64)
                            longer[:found] = first
                            first = longer
                            longer = np.empty(size, np.int64)
                            longer[:found] = second
                            second = longer
                        first[found], second[found] = i, j
                        found += 1
    return first[:found].copy(), second[:found].copy()


@_compiled
def _weights(position, pitch, width, reach, out):
    """Gaussian weights of the cells around a position along one axis; returns the first cell."""
    start = math.floor(position / pitch) - reach
    total = 0.0
    for k in range(2 * reach + 1):
        distance = (start + k + 0.5) * pitch - position
        out[k] = math.exp(-0.5 * (distance / width) ** 2)
        total += out[k]
    for k in range(2 * reach + 1):
        out[k] /= total
    return start


@_compiled
def spread(x, y, values, width, reach, edge, grid):
    """Add values at points to a grid, each shared out by a Gaussian of standard deviation `width`.

    `grid` has shape (n, n) and is changed; `reach` is the number of cells to each side.
    """
    n = grid.shape[0]
    pitch = edge / n
    wx, wy = np.empty(2 * reach + 1), np.empty(2 * reach + 1)
    for i in range(x.size):
        column = _weights(x[i], pitch, width, reach, wx)
        row = _weights(y[i], pitch, width, reach, wy)
        for a in range(2 * reach + 1):
            r = (row + a) % n
            share = values[i] * wy[a]
            for b in range(2 * reach + 1):
                grid[r, (column + b) % n] += share * wx[b]


@_compiled
def gather(x, y, grid, width, reach, edge):
    """Means of a grid around points, with the weights of `spread`."""
    n = grid.shape[0]
    pitch = edge / n
    wx, wy = np.empty(2 * reach + 1), np.empty(2 * reach + 1)
    out = np.zeros(x.size)
    for i in range(x.size):
        column = _weights(x[i], pitch, width, reach, wx)
        row = _weights(y[i], pitch, width, reach, wy)
        for a in range(2 * reach + 1):
            r = (row + a) % n
            part = 0.0
            for b in range(2 * reach + 1):
                part += grid[r, (column + b) % n] * wx[b]
            out[i] += wy[a] * part
    return out


@_compiled
def pair_sums(first, second, coupling, values):
    """Σ over pairs of coupling × the other's value, for each point."""
    out = np.zeros(values.size)
    for k in range(first.size):
        out[first[k]] += coupling[k] * values[second[k]]
        out[second[k]] += coupling[k] * values[first[k]]
    return out
