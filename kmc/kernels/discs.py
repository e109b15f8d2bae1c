"""Points in a periodic square: sums to and from a grid, and over pairs.

Lengths are in any one unit; the square has edge `edge`.
"""

import math

import numpy as np

from kmc.kernels.jit import allocating


@allocating
def _weights(position, pitch, width, reach, out):
    """Gaussian weights of the cells around a position along one axis; returns the first cell."""
    start = math.floor(position / pitch) - reach
    total = 0.0
    for k in range(2 * reach + 1):
        distance = (start + k + 0.5) * pitch - position
        out[k] = math.exp(-0.5 * (distance / width) ** 2)
        total += out[k]
    for k in range(2 * reach + 1):
        # So that values are spread whole, wherever in its cell the point lies.
        out[k] /= total
    return start


@allocating
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


@allocating
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


@allocating
def pair_sums(first, second, coupling, values):
    """Σ over pairs of coupling × the other's value, for each point."""
    out = np.zeros(values.size)
    for k in range(first.size):
        out[first[k]] += coupling[k] * values[second[k]]
        out[second[k]] += coupling[k] * values[first[k]]
    return out
