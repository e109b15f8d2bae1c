"""Surface of gaps on a grid: where the contact line runs in a cell, and surface diffusion.

A cell of the grid holds the mean height of the gap in it. In the cells that the contact line
crosses the gap is a wedge: a plane of the contact slope, whose place follows from the mean height
and the direction of the slope. So the line moves continuously through cells, and a cell that the
gap covers in part knows its share. Heights here are in units of slope × pitch, lengths of pitch.
"""

import math

import numpy as np

from kmc.kernels.jit import allocating, index

DRY, LINE, FULL = 0, 1, 2
FLAT = 0.01  # least component of the normal: keeps the cubic of a wedge regular
_THIN = 1e-5  # below this mean height a cell is contact
_SMALL = 0.1  # cover below which a cell's plane moves as if it had this much
_BENT = 0.5  # largest second derivative that is put in beyond a line
_REACH = 2
_FIRST = 1e-3  # mean height that a wedge must have in a cell to enter it


@allocating
def wedge_height(d, a, b):
    """Mean over the unit cell of a plane d + n·x where it is above 0; a ≥ b: half its slopes."""
    if d >= a + b:
        return d
    if d <= -a - b:
        return 0.0
    total = (d + a + b) ** 3
    if d > b - a:
        total -= (d + a - b) ** 3
    if d > a - b:
        total -= (d - a + b) ** 3
    return total / (24 * a * b)


@allocating
def wedge_cover(d, a, b):
    """Share of the unit cell in which the plane d + n·x is above 0: the derivative by d."""
    if d >= a + b:
        return 1.0
    if d <= -a - b:
        return 0.0
    total = (d + a + b) ** 2
    if d > b - a:
        total -= (d + a - b) ** 2
    if d > a - b:
        total -= (d - a + b) ** 2
    return min(1.0, total / (8 * a * b))


@allocating
def wedge_place(height, a, b):
    """The d of which `wedge_height` is `height`."""
    if height >= a + b:
        return height
    if height <= b * b / (3 * a):
        return (24 * a * b * height) ** (1 / 3) - a - b
    # Here the line crosses two opposite sides of the cell, and the mean is quadratic in d.
    u = math.sqrt(4 * a * height - b * b / 3)
    if u <= 2 * a - b:
        return u - a
    d = height
    # Newton from above, where the mean is convex in d: every step stays on that side.
    for _ in range(30):
        left = a + b - d
        step = (d + left**3 / (24 * a * b) - height) / (1 - left**2 / (8 * a * b))
        d -= step
        if abs(step) < 1e-14:
            break
    return d


@allocating
def _halves(x, y):
    """Half the slopes of a plane with the direction (x, y), the larger first; (0, 0): unknown."""
    a, b = abs(x) / 2, abs(y) / 2
    if a < b:
        a, b = b, a
    return (a if a > 0 else 0.5), max(b, FLAT)


@allocating
def locate(h, slope, nx, ny, cover, place, kind, start, end):
    """Kinds of cells in the rows from `start` to before `end`, and the gap's plane at the line.

    - `h`, `slope` (float64 arrays, shape (n, n)): mean heights; slopes of the line, 1 or less.
    - `nx`, `ny`, `cover`, `place` (float64 arrays, shape (n, n)): filled: direction in which the
      gap gets higher (0 where unknown), share of the cell under the gap, height of the plane at the
      cell's centre, below 0 where that is on contact.
    - `kind` (int8 array, shape (n, n)): filled: DRY, LINE (it or a neighbour is crossed by the
      line) or FULL.
    """
    n = h.shape[0]
    for i in range(start, end):
        up, down = i - 1 if i else n - 1, i + 1 if i + 1 < n else 0
        for j in range(n):
            value = h[i, j]
            nx[i, j] = ny[i, j] = 0.0
            if value <= 0:
                cover[i, j], place[i, j], kind[i, j] = 0.0, 0.0, DRY
                continue
            left, right = j - 1 if j else n - 1, j + 1 if j + 1 < n else 0
            e, w, s, o = h[i, right], h[i, left], h[down, j], h[up, j]
            se, sw, ne, nw = h[down, right], h[down, left], h[up, right], h[up, left]
            # Diagonal neighbours too: a line through a corner crosses a cell whose four sides are
            # all open.
            if min(min(e, w, s, o), min(se, sw, ne, nw)) > 0:
                cover[i, j], place[i, j], kind[i, j] = 1.0, value, FULL
                continue
            kind[i, j] = LINE
            # Sobel: exact for a plane, and single cells count less than in a plain difference.
            gx = 2 * (e - w) + (se - sw) + (ne - nw)
            gy = 2 * (s - o) + (se - ne) + (sw - nw)
            norm = math.hypot(gx, gy)
            if norm > 1e-12 * value:
                nx[i, j], ny[i, j] = gx / norm, gy / norm
            a, b = _halves(nx[i, j], ny[i, j])
            d = wedge_place(value / slope[i, j], a, b)
            place[i, j], cover[i, j] = slope[i, j] * d, wedge_cover(d, a, b)


@allocating
def _second(place, cells, weights, m):
    """Second derivative along the normal just inside the line; 0 where cells are missing."""
    own, px, py = place[cells[m, 0]], place[cells[m, 1]], place[cells[m, 3]]
    total = weights[m, 0] * (place[cells[m, 2]] - 2 * px + own)
    total += weights[m, 1] * (place[cells[m, 4]] - 2 * py + own)
    total += weights[m, 2] * (place[cells[m, 5]] - px - py + own)
    return min(_BENT, max(-_BENT, total))


@allocating
def _along(i, j, place, slope, kind, nx, ny, second):
    """Second derivative along the line, −1/R on the rim of a disc: a parabola through its cells."""
    n = place.shape[0]
    x, y, own = nx[i, j], ny[i, j], place[i, j]
    s2 = s3 = s4 = es = es2 = 0.0
    for di in range(-_REACH, _REACH + 1):
        ii = _wrapped(i + di, n)
        for dj in range(-_REACH, _REACH + 1):
            jj = _wrapped(j + dj, n)
            if (di == 0 and dj == 0) or kind[ii, jj] != LINE:
                continue
            into, s = x * dj + y * di, x * di - y * dj
            if abs(into) > 0.75 or x * nx[ii, jj] + y * ny[ii, jj] < 0.5:
                continue
            e = place[ii, jj] - own - slope * into - 0.5 * second * into * into
            s2 += s * s
            s3 += s**3
            s4 += s**4
            es += e * s
            es2 += e * s * s
    # Of the normal equations: 0 where all cells of the line stand at one distance along it.
    det = s2 * s4 - s3 * s3
    if det <= 1e-9 * s2 * s4:
        return 0.0
    return min(_BENT, max(-_BENT, 2 * (s2 * es2 - s3 * es) / det))


@allocating
def _wrapped(i, n):
    """i mod n of an i that is less than n out of range: a division takes ten times as long."""
    return i + n if i < 0 else (i - n if i >= n else i)


@allocating
def bends(place, slope, nx, ny, kind, work, first, last, cells, weights, start, end):
    """What planes leave out of the Laplacian beyond a line: lists it, and what bends with h.

    Contact takes no part in differences, so a plane goes on there with its own slope and with the
    curvature of the line. The slope is the contact slope at the line, not at the faces of its
    cell; it differs by the second derivative along the normal times their distance.

    - `first`, `last` (int64 arrays, shape (n)): where each row begins in the lists, with room for
      all of the line; filled: where it ends.
    - `cells` (int64 array, shape (m, 6)): filled: cells of the line with contact beside them, by
      their numbers in rows of n + 2: itself and the five on which its second derivative rests.
    - `weights` (float64 array, shape (m, 5)): filled: of the three parts of that, then by how much
      it counts, and what does not bend.
    """
    n = place.shape[0]
    wide = n + 2
    flat = work[4].ravel()
    for i in range(start, end):
        m = first[i]
        for j in range(n):
            if kind[i, j] != LINE:
                continue
            x, y, steep = nx[i, j], ny[i, j], slope[i, j]
            counts = across = out = 0.0
            for side in range(4):
                ii, jj = _side(i, j, side, n)
                if kind[ii, jj] != DRY:
                    continue
                # seen from the neighbour: `side` is where this cell looks, so the fall is −n·e
                fall = -_outward(nx, ny, i, j, side)
                out += steep * min(0.0, -fall)
                across += 0.5 * (1 - fall * fall)
                if fall > 0:
                    counts += fall * min(1.0, max(-0.5, fall / 2 - place[i, j] / steep))
            if across == 0.0 and out == 0.0:
                continue
            sx, sy = (1 if x > 0 else -1), (1 if y > 0 else -1)
            jj, ii = _wrapped(j + sx, n), _wrapped(i + sy, n)
            j2, i2 = _wrapped(jj + sx, n), _wrapped(ii + sy, n)
            wx = x * x if kind[i, jj] != DRY and kind[i, j2] != DRY else 0.0
            wy = y * y if kind[ii, j] != DRY and kind[i2, j] != DRY else 0.0
            both = kind[i, jj] != DRY and kind[ii, j] != DRY and kind[ii, jj] != DRY
            row = i * wide + 1
            cells[m, 0], cells[m, 1], cells[m, 2] = row + j, row + jj, row + j2
            cells[m, 3], cells[m, 4] = ii * wide + 1 + j, i2 * wide + 1 + j
            cells[m, 5] = ii * wide + 1 + jj
            weights[m, 0], weights[m, 1] = wx, wy
            weights[m, 2], weights[m, 3] = 2 * abs(x * y) if both else 0.0, counts
            if across > 0:
                second = _second(flat, cells, weights, m)
                out += across * _along(i, j, place, steep, kind, nx, ny, second)
            weights[m, 4] = out
            m += 1
        last[i] = m


# In the two functions below each loop stores to few arrays, so that LLVM can prove them apart and
# computes four cells at a time; and rows have ghost cells, as a branch at their ends would stop it.


@allocating
def _potentials(up, own, down, right, above, below, bent, out):
    """−∇² of the planes in a row of cells; `right`, `above`, `below` are the covers of faces."""
    n = own.size - 2
    for k in range(n):
        j = index(k) + index(1)
        before, after = j - index(1), j + index(1)
        a = own[j]
        e, w, s, o = own[after] - a, own[before] - a, up[j] - a, down[j] - a
        total = bent[j]
        total += e if right[j] > 0 else 0.0
        total += w if right[before] > 0 else 0.0
        total += s if above[j] > 0 else 0.0
        total += o if below[j] > 0 else 0.0
        out[j] = -total
    out[0], out[n + 1] = out[n], out[1]


@allocating
def _potentials_of(i, phi, right, below, first, last, cells, weights, bent, out):
    """`_potentials` of row i of planes; `bent` is zeros before and after."""
    n, wide = phi.shape[0], phi.shape[1]
    i = _wrapped(i, n)
    a, b = (i - 1 if i else n - 1), (i + 1 if i + 1 < n else 0)
    flat = phi.ravel()
    for m in range(first[i], last[i]):
        second = _second(flat, cells, weights, m)
        bent[cells[m, 0] - i * wide] = weights[m, 4] + weights[m, 3] * second
    _potentials(phi[a], phi[i], phi[b], right[i], below[a], below[i], bent, out)
    for m in range(first[i], last[i]):
        bent[cells[m, 0] - i * wide] = 0.0


@allocating
def _exchange(up, own, down, right, above, below, gain, per, weights, phi, older, flow):
    """A stage in a row of cells: what flows in through their faces, and what they gain.

    The next planes take the place of the older ones.
    """
    n = own.size - 2
    first, second, scale = weights
    for k in range(n):
        j = index(k) + index(1)
        before, after = j - index(1), j + index(1)
        a = own[j]
        total = right[j] * (own[after] - a) + right[before] * (own[before] - a)
        total += above[j] * (up[j] - a) + below[j] * (down[j] - a)
        flow[j] = total
    for k in range(n):
        j = index(k) + index(1)
        older[j] = first * phi[j] + second * older[j] + scale * per[j] * (flow[j] + gain[j])
    older[0], older[n + 1] = older[n], older[1]


# Surface diffusion ∂h/∂t = ∇·M∇(−∇²h) + rate over a time, the contact line held in its cells. M is
# the cover of a face, that of the cell with less of it, times the mobility of the one with more.
# Runge-Kutta-Legendre steps of first order (Meyer, Balsara and Aslam, MNRAS 422, 2102 (2012),
# doi:10.1111/j.1365-2966.2012.20744.x): (stages² + stages)/2 explicit steps of 1/36 in one. Each
# function works on the rows from `start` to before `end`, so that threads share them: `faces`,
# `bends`, `relax` for each stage, `finish_relaxing`.


@allocating
def faces(rate, mobility, cover, place, kind, work, start, end):
    """Set `work` to the planes of `locate`, the covers of faces and what cells gain.

    - `rate` (float64 array, shape (n, n)): what each cell gains in unit time.
    - `mobility` (float64 array, shape (n, n)): of each cell's surface, 1 or more.
    - `work` (float64 array, shape (6, n, n + 2)): kept from call to call, as new pages from the
      system would cost a third of the time.
    """
    n = rate.shape[0]
    right, below, per, gain, phi = work[0], work[1], work[2], work[3], work[4]
    for i in range(start, end):
        work[:4, i] = 0.0
        phi[i, 1:-1] = place[i]
        phi[i, 0], phi[i, n + 1] = place[i, n - 1], place[i, 0]
        work[5, i] = phi[i]
        next_row = i + 1 if i + 1 < n else 0
        for j in range(n):
            if kind[i, j] == DRY:
                continue
            after, own = (j + 1 if j + 1 < n else 0), mobility[i, j]
            right[i, j + 1] = min(cover[i, j], cover[i, after]) * max(own, mobility[i, after])
            below[i, j + 1] = min(cover[i, j], cover[next_row, j]) * max(own, mobility[next_row, j])
            per[i, j + 1], gain[i, j + 1] = 1 / max(cover[i, j], _SMALL), rate[i, j]
        right[i, 0] = right[i, n]


@allocating
def relax(stage, stages, time, work, first, last, cells, weights, start, end):
    """One stage of `stages`, from 1: the planes of odd ones go from work[4] to work[5].

    - `time`: of all stages, in units of pitch⁴/B.
    - `first`, `last`, `cells`, `weights`: of `bends`.
    """
    right, below, per, gain = work[0], work[1], work[2], work[3]
    phi, older = work[5 - stage % 2], work[4 + stage % 2]
    n = phi.shape[0]
    mu, bent, flow = np.empty((3, n + 2)), np.zeros(n + 2), np.empty(n + 2)
    weight = 2.0 / (stages * stages + stages)
    share = (2.0 * stage - 1.0) / stage
    of = (share, (1.0 - stage) / stage, share * weight * time)
    # Potentials of three rows at a time: one pass over memory, and none for theirs.
    for i in (start - 1, start):
        _potentials_of(i, phi, right, below, first, last, cells, weights, bent, mu[i % 3])
    for i in range(start, end):
        above, own, next_row = mu[(i + 2) % 3], mu[i % 3], mu[(i + 1) % 3]
        _potentials_of(i + 1, phi, right, below, first, last, cells, weights, bent, next_row)
        a = i - 1 if i else n - 1
        _exchange(
            *(above, own, next_row, right[i], below[a], below[i], gain[i], per[i]),
            *(of, phi[i], older[i], flow),
        )


@allocating
def finish_relaxing(h, step, stages, place, kind, work, start, end):
    """Add to `h` what the planes have moved by; it may come out below 0 where a cell empties.

    - `step` (float64 array, shape (n, n)): what each cell gains in all. Contact has it added as it
      is: it was under way to cells that have closed since.
    """
    per, phi = work[2], work[4 + stages % 2]
    for i in range(start, end):
        for j in range(h.shape[1]):
            if kind[i, j] == DRY:
                h[i, j] += step[i, j]
            else:
                h[i, j] += (phi[i, j + 1] - place[i, j]) / per[i, j + 1]


@allocating
def advance(h, time, mobility, slope, place, nx, ny, kind):
    """Let wedges that reach beyond their cell enter the next one; the volume stays.

    - `h` (float64 array, shape (n, n)): not below 0; changed.
    - `time`, `mobility` (float, float64 array): of `relax`: where surface diffusion is slow only a
      share of what a wedge has beyond its cell enters.
    - `slope`, `place`, `nx`, `ny`, `kind` (arrays): of `locate` for h.
    """
    n = h.shape[0]
    taken = np.zeros_like(h)
    for i in range(n):
        up, down = i - 1 if i else n - 1, i + 1 if i + 1 < n else 0
        for j in range(n):
            if kind[i, j] != DRY:
                continue
            left, right = j - 1 if j else n - 1, j + 1 if j + 1 < n else 0
            # Most of contact is away from any line: the four tests of sides below take longer.
            if (
                kind[i, right] != LINE
                and kind[i, left] != LINE
                and kind[down, j] != LINE
                and kind[up, j] != LINE
            ):
                continue
            total = weights = 0.0
            for side in range(4):
                ii, jj = _side(i, j, side, n)
                out = _outward(nx, ny, ii, jj, side) if kind[ii, jj] == LINE else 0.0
                if out <= 0.05:
                    continue
                a, b = _halves(nx[ii, jj], ny[ii, jj])
                s = slope[ii, jj]
                reach = s * wedge_height(place[ii, jj] / s - out, a, b)
                total += out * out * reach
                weights += out * out
            if weights == 0.0 or total / weights < _FIRST:
                continue
            for side in range(4):
                ii, jj = _side(i, j, side, n)
                out = _outward(nx, ny, ii, jj, side) if kind[ii, jj] == LINE else 0.0
                if out <= 0.05:
                    continue
                # Exact for exponential filling, and never more than there is, however long the
                # step.
                share = -math.expm1(-4 * time * mobility[ii, jj])
                part = share * (total / weights) * out * out / weights
                # At most a quarter for each side: four neighbours together cannot take it below 0.
                part = min(part, 0.25 * h[ii, jj])
                taken[ii, jj] -= part
                taken[i, j] += part
    h += taken


@allocating
def _side(i, j, side, n):
    if side == 0:
        return i, j + 1 if j + 1 < n else 0
    if side == 1:
        return i, j - 1 if j else n - 1
    if side == 2:
        return i + 1 if i + 1 < n else 0, j
    return i - 1 if i else n - 1, j


@allocating
def _outward(nx, ny, i, j, side):
    """Fall of the plane of cell (i, j) towards the cell that sees it at `side`."""
    if side == 0:
        return nx[i, j]
    if side == 1:
        return -nx[i, j]
    if side == 2:
        return ny[i, j]
    return -ny[i, j]


@allocating
def clear(h):
    """Cells below 0 borrow from the highest cell beside them, and thin remainders go there.

    Returns (short, left): what was below 0 without such a neighbour, as a positive number;
    remainders without one.
    """
    n = h.shape[0]
    short = left = 0.0
    # Twice: what a cell hands on may in turn be too thin where it arrives.
    for _ in range(2):
        for i in range(n):
            for j in range(n):
                if h[i, j] == 0 or h[i, j] >= _THIN:
                    continue
                best, bi, bj = max(h[i, j], -h[i, j]), -1, -1
                for side in range(4):
                    ii, jj = _side(i, j, side, n)
                    if h[ii, jj] > best:
                        best, bi, bj = h[ii, jj], ii, jj
                if bi >= 0:
                    h[bi, bj] += h[i, j]
                    h[i, j] = 0.0
    for i in range(n):
        for j in range(n):
            if h[i, j] < _THIN:
                if h[i, j] < 0:
                    short -= h[i, j]
                else:
                    left += h[i, j]
                h[i, j] = 0.0
    return short, left


@allocating
def rim_lengths(nx, ny, kind, out):
    """Length of the contact line in each cell, in units of the pitch. Fills `out`, shape (n, n).

    By the faces to contact: a line that runs along a face belongs to no cell.
    """
    n = nx.shape[0]
    for i in range(n):
        for j in range(n):
            out[i, j] = 0.0
            if kind[i, j] != LINE:
                continue
            for side in range(4):
                ii, jj = _side(i, j, side, n)
                if kind[ii, jj] == DRY:
                    out[i, j] += max(0.0, -_outward(nx, ny, i, j, side))
