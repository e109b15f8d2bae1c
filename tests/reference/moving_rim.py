"""A ridge of gap between two contact lines, by finite differences on a mesh that moves with them.

∂h/∂t = −h'''' + v/a on −a < x < a with h(a) = 0, h'(a) = −1 and no flux, h'''(a) = 0, from the
parabola of that slope; v is the volume gained by each half in unit time. The mesh is stretched with
a(t), each step implicit: a is where the height at the line comes out as 0.
"""

from __future__ import annotations

import numpy as np
from scipy import optimize

FOURTH = ((-2, 1.0), (-1, -4.0), (0, 6.0), (1, -4.0), (2, 1.0))


def half_width(begin: float, v: float, times: np.ndarray, n: int = 60) -> np.ndarray:
    """a at `times`, the first of which is 0; steps in between as they are."""
    xi = np.linspace(0, 1, n + 1)
    h, widths = begin * (1 - xi**2) / 2, [begin]
    for dt in np.diff(times):

        def stepped(a: float, h=h, dt=dt, last=widths[-1]) -> np.ndarray:
            dx, stretch = a / n, (a - last) / dt
            A, b = np.zeros((n + 3, n + 3)), np.zeros(n + 3)
            for i in range(n + 1):
                A[i, i] += 1
                for offset, weight in FOURTH:
                    A[i, abs(i + offset)] += dt * weight / dx**4
                A[i, i + 1] -= dt * xi[i] * stretch / (2 * dx)
                A[i, abs(i - 1)] += dt * xi[i] * stretch / (2 * dx)
            b[: n + 1] = h + dt * v / a
            A[n + 1, [n + 1, n - 1]], b[n + 1] = (1, -1), -2 * dx
            A[n + 2, [n + 2, n + 1, n - 1, n - 2]] = 1, -2, 2, -1
            return np.linalg.solve(A, b)[: n + 1]

        a = optimize.brentq(lambda a: stepped(a)[-1], 0.98 * widths[-1], 1.1 * widths[-1])
        h = stepped(a)
        widths.append(a)
    return np.array(widths)
