"""The field of gaps in plain numpy: the same equations, one line after the other.

Drawn voids only, no points, rigid body, stripping. Vacancies by conjugate gradients without a
preconditioner, surface diffusion by whole arrays, the contact line by bisection cell by cell.
`kmc.systems.population.gaps.Gaps` has to agree with it step by step
(tests/systems/population/test_oracle.py).
"""

from __future__ import annotations

import itertools
import math

import numpy as np

from kmc.analysis.shapes import labels
from kmc.nuclei.field import MeanField
from kmc.nuclei.spreading import patch_resistance_s
from kmc.systems.population.setting import GapSetting

RIGHT, LEFT, DOWN, UP = (0, 1), (0, -1), (1, 0), (-1, 0)
SIDES = (RIGHT, LEFT, DOWN, UP)


def beside(grid, side):
    """Value of the neighbour at a side, for every cell."""
    return np.roll(grid, (-side[0], -side[1]), axis=(0, 1))


def halves(nx, ny):
    a, b = sorted((abs(nx) / 2, abs(ny) / 2), reverse=True)
    return a, max(b, 0.01)


def corners(d, a, b, power):
    """Σ ± (d ± a ± b)₊^power: volume and cover of a wedge in a unit cell."""
    signs = ((1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1))
    return sum(s * max(0.0, d + p * a + q * b) ** power for p, q, s in signs)


def wedge_height(d, a, b):
    return corners(d, a, b, 3) / (24 * a * b)


def wedge_cover(d, a, b):
    return min(1.0, corners(d, a, b, 2) / (8 * a * b))


def wedge_place(height, a, b):
    low, high = -a - b, max(height, a + b)
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if wedge_height(middle, a, b) < height else (low, middle)
    return (low + high) / 2


class PlainGaps:
    """As `Gaps`; heights `h` in units of slope × pitch."""

    def __init__(self, setting: GapSetting, h_um: np.ndarray, tolerance: float = 1e-9):
        self.setting, self.tolerance = setting, tolerance
        self.unit = setting.slope * setting.pitch_um
        self.h = h_um / self.unit
        self.mean = MeanField(setting.medium, setting.edge_um)
        self.settled_um = 0.0
        self.kernel = self.cell_kernel()
        self.flux = np.zeros_like(self.h)
        self.slope = np.ones_like(self.h)
        self.locate()

    # --- the contact line -------------------------------------------------------------------------

    def locate(self):
        h, shape = self.h, self.h.shape
        around = [np.roll(h, s, axis=(0, 1)) for s in itertools.product((-1, 0, 1), repeat=2)]
        self.wet = h > 0
        self.line = self.wet & (np.min(around, axis=0) <= 0)
        gx, gy = np.zeros(shape), np.zeros(shape)
        for dy, dx in itertools.product((-1, 0, 1), repeat=2):
            value = np.roll(h, (-dy, -dx), axis=(0, 1))
            gx += dx * (2 if dy == 0 else 1) * value
            gy += dy * (2 if dx == 0 else 1) * value
        norm = np.hypot(gx, gy)
        known = self.line & (norm > 1e-12 * h)
        self.nx, self.ny = np.zeros(shape), np.zeros(shape)
        self.nx[known], self.ny[known] = gx[known] / norm[known], gy[known] / norm[known]
        self.cover, self.place = self.wet.astype(float), h.copy()
        for cell in zip(*np.nonzero(self.line), strict=True):
            a, b = halves(self.nx[cell], self.ny[cell]) if known[cell] else (0.5, 0.01)
            d = wedge_place(h[cell] / self.slope[cell], a, b)
            self.place[cell], self.cover[cell] = d * self.slope[cell], wedge_cover(d, a, b)

    def second(self, phi, i, j):
        """Second derivative along the normal in a cell of the line."""
        wet, n, x, y = self.wet, len(self.h), self.nx[i, j], self.ny[i, j]
        sx, sy = (1 if x > 0 else -1), (1 if y > 0 else -1)

        def at(di, dj):
            cell = ((i + di) % n, (j + dj) % n)
            return phi[cell], wet[cell]

        (p1, w1), (p2, w2), (q1, v1), (q2, v2), (c, wc) = (
            *(at(0, sx), at(0, 2 * sx), at(sy, 0), at(2 * sy, 0), at(sy, sx)),
        )
        own = phi[i, j]
        total = x * x * (p2 - 2 * p1 + own) if w1 and w2 else 0.0
        total += y * y * (q2 - 2 * q1 + own) if v1 and v2 else 0.0
        total += 2 * abs(x * y) * (c - p1 - q1 + own) if w1 and v1 and wc else 0.0
        return min(0.5, max(-0.5, total))

    def along(self, i, j):
        """Second derivative along the line: least squares c s + κ s²/2 over its cells nearby."""
        n, x, y = len(self.h), self.nx[i, j], self.ny[i, j]
        second, rows, rest = self.second(self.place, i, j), [], []
        for di, dj in itertools.product(range(-2, 3), repeat=2):
            cell, into = ((i + di) % n, (j + dj) % n), x * dj + y * di
            near = self.line[cell] and abs(into) <= 0.75 and (di, dj) != (0, 0)
            if near and x * self.nx[cell] + y * self.ny[cell] >= 0.5:
                s = x * di - y * dj
                rows.append((s, s * s / 2))
                plane = self.place[i, j] + self.slope[i, j] * into
                rest.append(self.place[cell] - plane - second * into**2 / 2)
        A = np.array(rows).reshape(-1, 2)
        if np.linalg.det(A.T @ A) <= 1e-9 * (A[:, 0] ** 2).sum() * (A[:, 1] ** 2).sum():
            return 0.0
        return min(0.5, max(-0.5, np.linalg.lstsq(A, np.array(rest), rcond=None)[0][1]))

    def beyond(self):
        """What planes leave out of the Laplacian at the line: a part that stays, and how much of
        the second derivative along the normal counts.
        """
        still, counts, n = np.zeros_like(self.h), np.zeros_like(self.h), len(self.h)
        for i, j in zip(*np.nonzero(self.line), strict=True):
            for di, dj in SIDES:
                if self.wet[(i + di) % n, (j + dj) % n]:
                    continue
                fall = -(self.nx[i, j] * dj + self.ny[i, j] * di)
                steep = self.slope[i, j]
                still[i, j] += steep * min(0.0, -fall) + (1 - fall**2) / 2 * self.along(i, j)
                if fall > 0:
                    counts[i, j] += fall * min(1.0, max(-0.5, fall / 2 - self.place[i, j] / steep))
        return still, counts

    def relax(self, rate, time, stages, mobility):
        """Surface diffusion by the same Runge-Kutta-Legendre stages."""
        (still, counts), wet, begin = self.beyond(), self.wet, self.h
        per = np.where(wet, 1 / np.maximum(self.cover, 0.1), 0.0)
        weight = 2 / (stages**2 + stages)
        older = phi = self.place
        for stage in range(1, stages + 1):
            bent = still.copy()
            for i, j in zip(*np.nonzero(counts), strict=True):
                bent[i, j] += counts[i, j] * self.second(phi, i, j)
            bend = sum(np.where(wet & beside(wet, s), beside(phi, s) - phi, 0.0) for s in SIDES)
            mu = -(bend + bent)
            flow = sum(
                np.minimum(self.cover, beside(self.cover, s))
                * np.maximum(mobility, beside(mobility, s))
                * (beside(mu, s) - mu)
                for s in SIDES
            )
            first, second = (2 * stage - 1) / stage, (1 - stage) / stage
            new = (
                first * phi
                + second * older
                + first * weight * time * per * (flow + np.where(wet, rate, 0.0))
            )
            older, phi = phi, new
        self.h = begin + np.where(wet, (phi - self.place) / np.where(wet, per, 1.0), 0.0)

    def clear(self):
        h, n, short, left = self.h, len(self.h), 0.0, 0.0
        for _ in range(2):
            for i, j in itertools.product(range(n), repeat=2):
                if h[i, j] == 0 or h[i, j] >= 1e-5:
                    continue
                sides = [((i + di) % n, (j + dj) % n) for di, dj in SIDES]
                best = max(sides, key=lambda cell: h[cell])
                if h[best] > abs(h[i, j]):
                    h[best] += h[i, j]
                    h[i, j] = 0.0
        thin = h < 1e-5
        short, left = -h[thin & (h < 0)].sum(), h[thin & (h > 0)].sum()
        h[thin] = 0.0
        return short, left

    def advance(self, time, mobility):
        n, taken = len(self.h), np.zeros_like(self.h)
        for i, j in zip(*np.nonzero(~self.wet), strict=True):
            wedges = []
            for di, dj in SIDES:
                cell = ((i + di) % n, (j + dj) % n)
                out = self.nx[cell] * dj + self.ny[cell] * di
                if self.line[cell] and out > 0.05:
                    steep, ab = self.slope[cell], halves(self.nx[cell], self.ny[cell])
                    reach = steep * wedge_height(self.place[cell] / steep - out, *ab)
                    wedges.append((cell, out * out, reach))
            weights = sum(w for _, w, _ in wedges)
            mean = sum(w * r for _, w, r in wedges) / weights if wedges else 0.0
            if mean < 1e-3:
                continue
            for cell, w, _ in wedges:
                share = -math.expm1(-4 * time * mobility[cell])
                part = min(share * mean * w / weights, 0.25 * self.h[cell])
                taken[cell] -= part
                taken[i, j] += part
        self.h = self.h + taken

    # --- vacancies --------------------------------------------------------------------------------

    def cell_kernel(self):
        """S in a cell from a flux into another: 1/(K q coth qL + K_i k² + K/λ) by wave vector."""
        s, m = self.setting, self.setting.medium
        n, p = s.n_cells, s.pitch_um
        kx = 2 * np.pi * np.fft.fftfreq(n, p)
        out = np.zeros((n, n))
        for gx, gy in itertools.product(2 * np.pi / p * np.arange(-3, 4), repeat=2):
            x, y = np.meshgrid(kx + gx, kx + gy)
            q = np.sqrt(x**2 + y**2 + 1 / m.sink_depth_um**2)
            q[q == 0] = np.inf
            into = m.bulk_per_um_s * (
                q / np.tanh(np.minimum(q * m.thickness_um, 500)) + 1 / m.sink_length_um
            )
            shape = np.sinc(x * p / 2 / np.pi) ** 2 * np.sinc(y * p / 2 / np.pi) ** 2
            out += shape / (into + m.interface_per_s * (x**2 + y**2))
        return out

    def convolved(self, flux, mean_s):
        waves = np.fft.fft2(flux)
        average = waves[0, 0] * mean_s
        waves = waves * self.kernel
        waves[0, 0] = average
        return np.fft.ifft2(waves).real / self.setting.pitch_um**2

    def vacancies(self, dt):
        """Vacancies that each cell takes in a second."""
        s, m, p2 = self.setting, self.setting.medium, self.setting.pitch_um**2
        names, count = labels(self.wet)
        over = np.ones(count + 1)
        volume = np.bincount(names.ravel(), self.h.ravel(), minlength=count + 1) * self.unit * p2
        over[1:] = s.vapour.S_eq(volume[1:] / m.site_volume_um3)
        over = over[names]
        contact = 1 - self.cover
        sink = m.bulk_per_um_s / m.sink_length_um
        flux = s.strip_per_um2_s / contact.mean() * p2 * contact + sink * p2 * self.cover * (
            over - 1
        )
        past, unit = self.mean.step(dt)
        shares = np.arange(1, 65) / 64
        patch = patch_resistance_s(np.sqrt(shares) * s.pitch_um, m.bulk_per_um_s, m.interface_per_s)
        rim = np.interp(self.cover, shares, 2.25 * (patch - patch[-1]))
        on = self.wet

        def apply(x):
            return np.where(on, self.convolved(x, unit) + rim * x, 0.0)

        base = self.convolved(flux, unit) + 1 + past
        wanted = np.where(on, base - over, 0.0)
        x = np.where(on, self.flux, 0.0)
        residual = wanted - apply(x)
        way, square = residual, (residual**2).sum()
        for _ in range(20000):
            if np.abs(residual).max() < self.tolerance * np.abs(wanted).max():
                break
            image = apply(way)
            x = x + square / (way * image).sum() * way
            residual = residual - square / (way * image).sum() * image
            new = (residual**2).sum()
            way, square = residual + new / square * way, new
        self.flux = x
        credit = sink * (self.cover * (over - 1)).mean()
        _, near = self.mean.advance(dt, s.strip_per_um2_s - x.sum() / s.edge_um**2 + credit)
        return x, near - credit * dt

    # --- rims that are pinned ---------------------------------------------------------------------

    def pin(self, gain):
        """The slope of a void's rims goes with its volume, between those at which rims move."""
        names, count = labels(self.wet)
        slope = np.zeros_like(self.h)
        for void in range(1, count + 1):
            own = names == void
            grown = 1 + gain[own].sum() / self.h[own].sum()
            slope[own] = np.clip(self.slope[own] * grown, self.setting.closing_slope, 1.0)
        for i, j in zip(*np.nonzero(~self.wet), strict=True):
            rows, columns = (np.arange(k - 3, k + 4) % len(slope) for k in (i, j))
            near = np.where(self.wet, slope, 0.0)[np.ix_(rows, columns)].max()
            slope[i, j] = near if near > 0 else 1.0
        self.slope = slope

    # --- a step -----------------------------------------------------------------------------------

    def step(self, dt):
        s = self.setting
        p, site = s.pitch_um, s.medium.site_volume_um3
        taken, near = self.vacancies(dt)
        settled = near * site / (1 - self.cover.mean())
        step = taken * site * dt / (p**2 * self.unit)
        step -= self.cover * settled / self.unit
        time = dt * s.surface_um4_s / p**4
        self.pin(step)
        mobility, (names, count) = np.ones_like(step), labels(self.wet)
        for void in range(1, count + 1):  # no lip (B/v)^(1/3) thinner than 1.5 cells
            own = names == void
            speed = 2 * step[own & self.line].mean() / time
            mobility[own] = max(1.0, 1.5**3 * speed)
        parts = max(1, math.ceil(np.abs(step[self.line]).max(initial=0.0) / 0.2))
        longest = max(1 / 64, 1 / parts)
        lowers = self.cover.sum() * settled / self.unit
        short = left = done = 0.0
        share = longest
        while done < 1:
            share = min(share, 1 - done)
            stiff = 36 * time * share * mobility.max()
            stages = max(3, math.ceil((math.sqrt(1 + 8 * stiff) - 1) / 2))
            begin = self.h
            self.relax(step / time, time * share, stages, mobility)
            if self.h.min() < -0.3 and share > 1 / 64:
                share, self.h = share / 2, begin
                continue
            self.h = np.where(self.wet, self.h, self.h + step * share)
            lacking, thin = self.clear()
            if lacking > lowers * share:
                self.h *= 1 - (lacking - lowers * share) / self.h.sum()
                lacking = lowers * share
            short, left, done = short + lacking, left + thin, done + share
            self.locate()
            self.advance(time * share, mobility)
            self.locate()
            share = min(1.5 * share, longest)
        per = self.unit * p**2
        self.mean.put(left * per / s.edge_um**2 / site)
        self.settled_um += settled - short * per / s.edge_um**2

    @property
    def h_um(self):
        return self.h * self.unit
