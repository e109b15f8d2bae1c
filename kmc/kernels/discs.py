"""Discs in a periodic square: which overlap, the area and rim of their unions, chords, grids.

Footprints of voids are unions of discs. Lengths are in any one unit; the square has edge `edge`.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from kmc.kernels.jit import kept


def _compiled(function):
    return kept(njit(cache=True, nogil=True, error_model="numpy")(function))


_TWO_PI = 2.0 * math.pi


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
def _open_arcs(low, high):
    """Gaps that covered intervals, within [0, 2π], leave: their starts and ends."""
    order = np.argsort(low)
    starts, ends = np.empty(low.size + 1), np.empty(low.size + 1)
    n, reached = 0, 0.0
    for k in order:
        if low[k] > reached:
            starts[n], ends[n] = reached, low[k]
            n += 1
        reached = max(reached, high[k])
    if reached < _TWO_PI:
        starts[n], ends[n] = reached, _TWO_PI
        n += 1
    return starts[:n], ends[:n]


@_compiled
def _height(a, b, low, high):
    """sin b − sin a over the part of [a, b] that lies in [low, high]."""
    first, last = max(a, low), min(b, high)
    return math.sin(last) - math.sin(first) if last > first else 0.0


@_compiled
def _under_arc(cx, radius, a, b, edge):
    """∫ x dy along an arc, x taken into [0, edge)."""
    area = radius * cx * (math.sin(b) - math.sin(a))
    area += 0.5 * radius * radius * (b - a + 0.5 * (math.sin(2 * b) - math.sin(2 * a)))
    if cx - radius < 0.0:  # left of 0 from φ0 to 2π − φ0
        limit = math.acos(max(-1.0, -cx / radius))
        area += edge * radius * _height(a, b, limit, _TWO_PI - limit)
    elif cx + radius > edge:  # right of the edge from −φ0 to φ0
        limit = math.acos(min(1.0, (edge - cx) / radius))
        turned = _height(a, b, 0.0, limit) + _height(a, b, _TWO_PI - limit, _TWO_PI)
        area -= edge * radius * turned
    return area


@_compiled
def unions(x, y, radius, owner, n_owners, first, second, edge):
    """Area and rim of the union of the discs of each owner, exactly.

    Green's theorem on the arcs that no other disc of the owner covers; a union may wind around the
    periodic square. Discs are smaller than the square.

    Parameters
    ----------
    x, y, radius : float64 arrays, shape (n,)
        Centres within the square.
    owner : int64 array, shape (n,)
        From 0 to ``n_owners − 1``.
    first, second : int64 arrays
        Overlapping pairs (`overlaps`); those of different owners are passed over.
    edge : float

    Returns
    -------
    (area, rim) : float64 arrays, shape (n_owners,)
    """
    n = x.size
    area, rim = np.zeros(n_owners), np.zeros(n_owners)
    n_near = np.zeros(n + 1, np.int64)
    for k in range(first.size):
        if owner[first[k]] == owner[second[k]]:
            n_near[first[k] + 1] += 1
            n_near[second[k] + 1] += 1
    for i in range(n):
        n_near[i + 1] += n_near[i]
    fill, near = n_near[:-1].copy(), np.empty(n_near[-1], np.int64)
    for k in range(first.size):
        i, j = first[k], second[k]
        if owner[i] == owner[j]:
            near[fill[i]] = j
            near[fill[j]] = i
            fill[i] += 1
            fill[j] += 1
    low, high = np.empty(2 * n + 2), np.empty(2 * n + 2)
    for i in range(n):
        covered, n_low = False, 0
        if low.size < 2 * (n_near[i + 1] - n_near[i]) + 2:
            low = np.empty(2 * (n_near[i + 1] - n_near[i]) + 2)
            high = np.empty(low.size)
        for k in range(n_near[i], n_near[i + 1]):
            j = near[k]
            dx, dy = _shortest(x[j] - x[i], edge), _shortest(y[j] - y[i], edge)
            distance = math.sqrt(dx * dx + dy * dy)
            if distance + radius[i] <= radius[j]:
                if distance > 0.0 or radius[i] < radius[j] or j < i:
                    covered = True
                    break
                continue
            if distance + radius[j] <= radius[i]:
                continue
            cosine = (distance * distance + radius[i] ** 2 - radius[j] ** 2) / (
                2 * distance * radius[i]
            )
            half = math.acos(max(-1.0, min(1.0, cosine)))
            begin = (math.atan2(dy, dx) - half) % _TWO_PI
            low[n_low], high[n_low] = begin, min(begin + 2 * half, _TWO_PI)
            n_low += 1
            if begin + 2 * half > _TWO_PI:
                low[n_low], high[n_low] = 0.0, begin + 2 * half - _TWO_PI
                n_low += 1
        if covered:
            continue
        starts, ends = _open_arcs(low[:n_low], high[:n_low])
        for a, b in zip(starts, ends):  # noqa: B905 (numba has no strict)
            rim[owner[i]] += radius[i] * (b - a)
            area[owner[i]] += _under_arc(x[i], radius[i], a, b, edge)
    # The line x = 0, where coordinates jump, bounds every union that crosses it.
    line, begin, end, disc = chords(x, y, radius, np.zeros(1), edge, 0)
    key = np.empty(line.size, np.int64)
    for k in range(line.size):
        key[k] = owner[disc[k]]
    merged_key, merged_begin, merged_end, _ = merge_chords(key, begin, end, disc, edge)
    for k in range(merged_key.size):
        area[merged_key[k]] += edge * (merged_end[k] - merged_begin[k])
    return area, rim


@_compiled
def chords(x, y, radius, lines, edge, axis):
    """Where straight lines cut discs.

    Parameters
    ----------
    x, y, radius : float64 arrays, shape (n,)
    lines : float64 array, shape (n_lines,)
        Evenly spaced offsets, rising from 0.
    edge : float
    axis : {0, 1}
        0: lines x = offset, which run along y; 1: lines y = offset, along x.

    Returns
    -------
    (line, begin, end, disc)
        One entry a chord, begin < end; begin may be negative and end beyond `edge`.
    """
    across, along = (x, y) if axis == 0 else (y, x)
    pitch = edge / lines.size
    n = 0
    for i in range(x.size):
        n += int(2 * radius[i] / pitch) + 2
    line, disc = np.empty(n, np.int64), np.empty(n, np.int64)
    begin, end = np.empty(n), np.empty(n)
    n = 0
    for i in range(x.size):
        lowest = math.ceil((across[i] - radius[i]) / pitch)
        highest = math.floor((across[i] + radius[i]) / pitch)
        for number in range(int(lowest), int(highest) + 1):
            offset = number * pitch - across[i]
            half = math.sqrt(max(0.0, radius[i] * radius[i] - offset * offset))
            if half == 0.0:
                continue
            line[n], disc[n] = number % lines.size, i
            begin[n], end[n] = along[i] - half, along[i] + half
            n += 1
    return line[:n].copy(), begin[:n].copy(), end[:n].copy(), disc[:n].copy()


@_compiled
def merge_chords(key, begin, end, disc, edge):
    """Unions of the intervals of each key on a circle of length `edge`.

    Returns
    -------
    (key, begin, end, number)
        The unions, and for each interval given the number of the union it is part of.
    """
    n = key.size
    number = np.empty(n, np.int64)
    out_key, out_begin, out_end = np.empty(n, np.int64), np.empty(n), np.empty(n)
    if n == 0:
        return out_key, out_begin, out_end, number
    shifted = begin - edge * np.floor(begin / edge)
    by_place = np.argsort(shifted)
    order = by_place[np.argsort(key[by_place], kind="mergesort")]
    found, position = 0, 0
    while position < n:
        last = position
        while last < n and key[order[last]] == key[order[position]]:
            last += 1
        base = found
        for k in range(position, last):
            i = order[k]
            low, high = shifted[i], shifted[i] + end[i] - begin[i]
            if found > base and low <= out_end[found - 1]:
                out_end[found - 1] = max(out_end[found - 1], high)
            else:
                out_key[found], out_begin[found], out_end[found] = key[i], low, high
                found += 1
            number[i] = found - 1
        # What runs over the end of the circle may meet unions at its beginning, again and again.
        while found - base > 1 and out_end[found - 1] - edge >= out_begin[base]:
            absorbed = base
            out_end[found - 1] = max(out_end[found - 1], out_end[base] + edge)
            for k in range(position, last):
                i = order[k]
                if number[i] == absorbed:
                    number[i] = found - 1
                if number[i] > absorbed:
                    number[i] -= 1
            for k in range(base, found - 1):
                out_key[k], out_begin[k], out_end[k] = (
                    out_key[k + 1],
                    out_begin[k + 1],
                    out_end[k + 1],
                )
            found -= 1
        if out_end[found - 1] - out_begin[found - 1] > edge:
            out_end[found - 1] = out_begin[found - 1] + edge
        position = last
    return out_key[:found].copy(), out_begin[:found].copy(), out_end[:found].copy(), number


@_compiled
def cover(x, y, radius, n_cells, edge):
    """How discs cover the cells of a grid, each cell by its 8 × 8 sub-cells.

    Parameters
    ----------
    x, y, radius : float64 arrays, shape (n,)
    n_cells : int
        Cells along an edge; cell (row, column) is centred at ((column + ½), (row + ½)) pitch.
    edge : float

    Returns
    -------
    (on, covered) : int64 and uint64 arrays, shape (n_cells, n_cells)
        Disc in which the centre of each cell lies deepest (or, where none reaches the centre, to
        which it is nearest), of those that cover a part of the cell, −1 for none; and the
        sub-cells whose centres are covered, bit 8 × row + column.
    """
    fine = edge / (n_cells * 8)
    on = np.full((n_cells, n_cells), -1, np.int64)
    covered = np.zeros((n_cells, n_cells), np.uint64)
    depth = np.full((n_cells, n_cells), -np.inf)
    for i in range(x.size):
        squared = radius[i] * radius[i]
        for fine_row in range(
            math.ceil((y[i] - radius[i]) / fine - 0.5),
            math.floor((y[i] + radius[i]) / fine - 0.5) + 1,
        ):
            dy = (fine_row + 0.5) * fine - y[i]
            half = math.sqrt(max(0.0, squared - dy * dy))
            low = math.ceil((x[i] - half) / fine - 0.5)
            high = math.floor((x[i] + half) / fine - 0.5)
            row = fine_row // 8
            r, shift = row % n_cells, 8 * (fine_row - 8 * row)
            for column in range(low // 8, high // 8 + 1 if high >= low else low // 8):
                c = column % n_cells
                begin, end = max(low - 8 * column, 0), min(high - 8 * column, 7)
                bits = (1 << (end + 1)) - (1 << begin)
                covered[r, c] |= np.uint64(bits) << np.uint64(shift)
                away_x = (8 * column + 4) * fine - x[i]
                away_y = (8 * row + 4) * fine - y[i]
                inside = squared - away_x * away_x - away_y * away_y
                if inside > depth[r, c]:
                    depth[r, c] = inside
                    on[r, c] = i
    return on, covered


@_compiled
def bits_set(covered):
    """Number of bits that are set in each of an array of uint64, as int64."""
    out = np.zeros(covered.size, np.int64)
    flat = covered.ravel()
    for i in range(out.size):
        left = flat[i]
        while left:
            left &= left - np.uint64(1)
            out[i] += 1
    return out.reshape(covered.shape)


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
