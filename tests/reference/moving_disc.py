"""A round void below a metal that is stripped: finite volumes in r on a mesh that moves with it.

    ∂h/∂t = −B ∇⁴h + g(r),    h(a) = 0,    h'(a) = −s,    no flux of −∇²h through r = a

The growth g is the flux of vacancies into a disc of one supersaturation from contact with an even
flux, all of which ends in it, in a round cell of the radius b (`FluxIntoDisc`). The mesh is
stretched with a(t); each step is implicit, and a is where the height at the line comes out as 0.
Rings exchange volumes, so that the balance holds to rounding.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import interpolate, linalg, optimize, special

_RINGS, _WAVES = 24, 4000


class FluxIntoDisc:
    """Distribution of the flux over discs in round cells of the radius b, by Galerkin's method.

    Rings of even flux, and a line at the rim: what the interface carries, K_i k² beside K k of the
    metal, arrives there. S is even in the mean over each ring and at the rim. `layer` is K_i/K.
    """

    def __init__(self, b: float, layer: float):
        self._waves = special.jn_zeros(1, _WAVES) / b
        mean = special.jv(0, self._waves * b) ** 2 / 2
        self._weights = 1 / (mean * (self._waves + layer * self._waves**2))
        self.b, self._nodes = b, np.sin(np.linspace(0, math.pi / 2, _RINGS + 1))
        self._radii = b * np.linspace(0.15, 0.95, 41)
        # Share of the flux within each node, without the line at the rim.
        self._within = np.array([self._solved(a) for a in self._radii])

    def _solved(self, a: float) -> np.ndarray:
        k, r = self._waves, a * self._nodes
        inner = 2 * r[:, None] * special.jv(1, k * r[:, None]) / k
        rings = np.diff(inner, axis=0) / np.diff(r**2)[:, None]
        parts = np.vstack([rings, special.jv(0, k * a)])  # transforms of a total flux of 1 each
        contact = -inner[-1] / (self.b**2 - a**2)
        matrix = np.ones((_RINGS + 2, _RINGS + 2))
        matrix[:-1, :-1] = (parts * self._weights) @ parts.T
        matrix[-1, -1] = 0.0
        right = np.append((parts * self._weights) @ contact, 1.0)
        return np.append(0.0, np.cumsum(np.linalg.solve(matrix, right)[:_RINGS]))

    def into(self, a: float, faces: np.ndarray) -> np.ndarray:
        """Share of the flux that goes into each ring between `faces`, in shares of a."""
        at = np.interp(a, self._radii, np.arange(len(self._radii)))
        i = min(int(at), len(self._radii) - 2)
        within = (1 - at + i) * self._within[i] + (at - i) * self._within[i + 1]
        # In the variable in which the nodes are even: the flux of a metal alone is smooth in it.
        seen = interpolate.PchipInterpolator(np.arcsin(self._nodes), within)(np.arcsin(faces))
        seen[-1] = 1.0
        return np.diff(seen)


class MovingDisc:
    """A void that begins as a paraboloid of the contact slope.

    - `slope`, `B`, `flux`: s, B in µm⁴/s, and j as height of metal stripped in a second, µm/s.
    - `radius`: a at the beginning.
    - `into`: where the flux goes, in a cell of the radius b.
    """

    def __init__(
        self, slope: float, B: float, radius: float, into: FluxIntoDisc, flux: float, n: int = 120
    ):
        self.slope, self.B, self.a, self.b, self.flux = slope, B, radius, into.b, flux
        self.into = into
        # Faces of the rings in shares of a, denser towards the rim.
        self.faces = np.sin(np.linspace(0, math.pi / 2, n + 1))
        self.areas = math.pi * np.diff(self.faces**2)
        squares = (self.faces[1:] ** 2 + self.faces[:-1] ** 2) / 2
        self.centres = np.sqrt(squares)
        # Length of a face over the distance of the centres beside it: does not depend on a.
        self.conduct = 2 * math.pi * self.faces[1:-1] / np.diff(self.centres)
        laplace = np.diag(np.append(-self.conduct, 0.0) - np.append(0.0, self.conduct))
        laplace += np.diag(self.conduct, 1) + np.diag(self.conduct, -1)
        stiff = laplace @ (laplace / self.areas[:, None])
        self.bands = np.zeros((5, n))
        for k in range(-2, 3):
            self.bands[2 - k, max(0, k) : n + min(0, k)] = np.diagonal(stiff, k)
        # The mean of s a/2 (1 − r²/a²) over a ring is that at the mean of its r².
        self.volumes = slope * radius**3 / 2 * (1 - squares) * self.areas
        self.begun, self.gained, self.time = float(self.volumes.sum()), 0.0, 0.0

    @property
    def contact(self) -> float:
        return 1 - (self.a / self.b) ** 2

    @property
    def stripped(self) -> float:
        """Height of metal that has been stripped from the cell, µm."""
        return self.flux * self.time

    @property
    def imbalance(self) -> float:
        return (float(self.volumes.sum()) - self.begun - self.gained) / self.gained

    def step(self, dt: float) -> None:
        a = optimize.brentq(
            lambda a: self._at_line(self._heights(a, dt), a),
            0.97 * self.a,
            1.1 * self.a,
            xtol=1e-13,
        )
        h, gains = self._heights(a, dt), self._gains(a, dt)
        through = np.zeros(len(h) + 1)
        through[1:-1] = self.B * dt * self.conduct * np.diff(self._potentials(h, a))
        through[1:-1] += self._swept(a) * (h[1:] + h[:-1]) / 2
        self.volumes = self.volumes + gains + np.diff(through)
        self.gained += float(gains.sum())
        self.a, self.time = a, self.time + dt

    def _potentials(self, h: np.ndarray, a: float) -> np.ndarray:
        """−∇²h; the outer face of the last ring has the contact slope."""
        through = np.zeros(len(h) + 1)
        through[1:-1] = self.conduct * np.diff(h)
        through[-1] = -2 * math.pi * a * self.slope
        return -np.diff(through) / (self.areas * a**2)

    def _swept(self, a: float) -> np.ndarray:
        """Areas over which the inner faces of the mesh move."""
        return math.pi * self.faces[1:-1] ** 2 * (a**2 - self.a**2)

    def _gains(self, a: float, dt: float) -> np.ndarray:
        return self.flux * dt * math.pi * self.b**2 * self.into.into(a, self.faces)

    def _heights(self, a: float, dt: float) -> np.ndarray:
        """Mean heights of the rings after a step to the radius a."""
        bands, n = self.B * dt / a**2 * self.bands, len(self.areas)
        half = self._swept(a) / 2
        bands[2] += self.areas * a**2
        bands[2, :-1] -= half
        bands[2, 1:] += half
        bands[1, 1:] -= half
        bands[3, :-1] += half
        right = self.volumes + self._gains(a, dt)
        bend = self._potentials(np.zeros(n), a)  # of the contact slope alone
        right[-2:] += self.B * dt * self.conduct[-1] * bend[-1] * np.array([1.0, -1.0])
        return linalg.solve_banded((2, 2), bands, right)

    def _at_line(self, h: np.ndarray, a: float) -> float:
        """Height at r = a of the parabola through the last two centres with the contact slope."""
        d1, d2 = a * (1 - self.centres[-1]), a * (1 - self.centres[-2])
        bend = (h[-2] - h[-1] - self.slope * (d2 - d1)) / (d2**2 - d1**2)
        return float(h[-1] - self.slope * d1 - bend * d1**2)


def stripped_at(contacts: tuple[float, ...], disc: MovingDisc, share: float = 4e-3) -> list[float]:
    """Heights stripped at which contact falls below these values, in falling order."""
    out, wanted = [], list(contacts)
    # A step takes a cap about this share of its radius further.
    while wanted:
        dt = share * math.pi * disc.slope * 0.75 * disc.a**3 / (math.pi * disc.b**2 * disc.flux)
        before = disc.contact, disc.stripped
        disc.step(dt)
        while wanted and disc.contact < wanted[0]:
            part = (before[0] - wanted.pop(0)) / (before[0] - disc.contact)
            out.append(before[1] + part * (disc.stripped - before[1]))
    return out
