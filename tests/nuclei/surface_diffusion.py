"""Two spheres that touch round off by surface diffusion: the continuum's answer, no lattice.

v_n = −B Δ_s H on a surface of revolution, H its curvature and B = M γ Ω²/kT, with parametric finite
elements after Barrett, Garcke and Nürnberg (J. Comput. Phys. 222, 441 (2007),
doi:10.1016/j.jcp.2006.07.026): the outline X(s) = (x, r) and H at the next time solve

    ∫ r (X' − X)/dt · n φ = B ∫ r H'_s φ_s,        ∫ r H' n · η + ∫ r X'_s · η_s + ∫ η_r = 0.

Lengths are in units of a radius, times in units of its fourth power over B.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.linalg import spsolve

_GAUSS = (0.5 - 0.5 / math.sqrt(3), 0.5 + 0.5 / math.sqrt(3))


def step(outline: np.ndarray, dt: float) -> np.ndarray:
    """The outline, shape (n, 2), from axis to axis, a time dt later."""
    n = len(outline)
    left, right = np.arange(n - 1), np.arange(1, n)
    along = outline[right] - outline[left]
    length = np.hypot(*along.T)
    normal = np.column_stack((along[:, 1], -along[:, 0])) / length[:, None]
    r_mean = (outline[left, 1] + outline[right, 1]) / 2
    rows, columns, values = [], [], []
    known = np.zeros(3 * n)  # x, r, H

    def add(row, column, value):
        rows.append(row)
        columns.append(column)
        values.append(value)

    for at in _GAUSS:
        ends = ((left, 1 - at), (right, at))
        r = outline[left, 1] * (1 - at) + outline[right, 1] * at
        for i, share_i in ends:
            np.add.at(known, n + i, -length / 2 * share_i)
            for j, share_j in ends:
                for k in (0, 1):
                    mass = length / 2 * r * share_i * share_j * normal[:, k]
                    add(2 * n + i, k * n + j, mass)
                    add(k * n + i, 2 * n + j, mass)
                    np.add.at(known, 2 * n + i, mass * outline[j, k])
    for i, sign_i in ((left, -1), (right, 1)):
        for j, sign_j in ((left, -1), (right, 1)):
            stiffness = r_mean / length * sign_i * sign_j
            add(2 * n + i, 2 * n + j, -dt * stiffness)
            add(i, j, stiffness)
            add(n + i, n + j, stiffness)
    rows, columns, values = (np.concatenate(part) for part in (rows, columns, values))
    on_axis = np.array([n, 2 * n - 1])
    free = ~np.isin(rows, on_axis)
    rows, columns = np.append(rows[free], on_axis), np.append(columns[free], on_axis)
    known[on_axis] = 0.0
    matrix = coo_array((np.append(values[free], (1.0, 1.0)), (rows, columns)), (3 * n, 3 * n))
    return spsolve(matrix.tocsc(), known).reshape(3, n)[:2].T


def moments(outline: np.ndarray) -> tuple[float, float]:
    """Volume, and (⟨x²⟩ − ⟨y²⟩)/(⟨x²⟩ + ⟨y²⟩)."""
    x, r = outline.T
    middle, r_mean, dx = (x[1:] + x[:-1]) / 2, (r[1:] + r[:-1]) / 2, x[:-1] - x[1:]
    slices = math.pi * dx * (r[1:] ** 2 + r[1:] * r[:-1] + r[:-1] ** 2) / 3
    volume = slices.sum()
    xx = (slices * middle**2).sum() / volume
    yy = math.pi / 4 * (dx * r_mean**4).sum() / volume
    return volume, (xx - yy) / (xx + yy)


def pair(apart: float, n: int) -> np.ndarray:
    """Outline of two unit spheres whose centres are so far apart, less than 2."""
    angle = np.linspace(0, math.acos(-apart / 2), n)
    half = np.column_stack((apart / 2 + np.cos(angle), np.sin(angle)))
    return np.vstack((half, half[-2::-1] * (-1, 1)))


def rounding_constant(apart: float, n: int = 40, first_dt: float = 1e-5, last_dt: float = 5e-4):
    """C: R⁴/(B t), R the radius of the sphere of both and t the time to 1/e of the elongation."""
    outline = pair(apart, n)
    outline[[0, -1], 1] = 0.0
    volume, first = moments(outline)
    time, dt = 0.0, first_dt
    while moments(outline)[1] > first / math.e:
        outline = step(outline, dt)
        time, dt = time + dt, min(1.03 * dt, last_dt)
    return (3 * volume / (4 * math.pi)) ** (4 / 3) / time
