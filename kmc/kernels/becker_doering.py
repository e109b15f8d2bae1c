"""One implicit step of the population of cluster sizes (Becker and Döring's equations).

Sizes stand on a grid n_0 = 1 < n_1 < …, spaced by 1 at first and wider beyond. Between two of them
the flux is that of drift and diffusion in n with detailed balance kept exactly (Scharfetter and
Gummel, 10.1109/T-ED.1969.16566); where the spacing is 1 it is Becker and Döring's own
G (S N_n − N_(n+1) Z_n/Z_(n+1)).
"""

from __future__ import annotations

import math

from kmc.kernels.jit import entry, source_fingerprint


def _compile(fingerprint):
    """The entry points of the kernel, cached on disk for these very sources."""

    @entry
    def step(size, gap, width, ln_Z, capture, sites, S, dt, before, after, flux, upper, forward):
        """Take an implicit Euler step at given activity S; returns the vacancies taken up.

        Parameters
        ----------
        size : float64[m]
            Grid of sizes, the first 1.
        gap : float64[m]
            Distance to the next size.
        width : float64[m]
            Sizes that a grid point stands for.
        ln_Z, capture : float64[m]
            ln Z, and G (1/s and unit of S), at the grid points.
        sites : float
            L1 sites per area.
        S, dt : float
            Activity at the end of the step, s.
        before, after : float64[m]
            Clusters per area and grid point; the first is that of lone vacancies, sites Z_1 S.
        flux : float64[m]
            Out: clusters per area and s that pass from each grid point to the next.
        upper, forward : float64[m]
            Scratch.

        Returns
        -------
        float
            Vacancies per area bound into clusters of two and more during the step.
        """
        if fingerprint < 0:
            return 0.0
        m = size.size
        ln_S = math.log(S)
        # Thomas's algorithm on N_k − dt (F_(k−1) − F_k) = before_k, k = 1 … m − 1; nothing leaves
        # the last size.
        after[0] = sites * math.exp(ln_Z[0] + ln_S)
        for k in range(m):
            forward[k] = 0.0
            flux[k] = 0.0
        for k in range(m - 1):
            drive = gap[k] * ln_S + ln_Z[k + 1] - ln_Z[k]  # ln of the ratio of the two ways
            # v = G (S − S_eq), S_eq = S exp(−drive/gap)
            velocity = -capture[k] * S * math.expm1(-drive / gap[k])
            if abs(drive) < 1e-8:
                growth = loss = capture[k] * S / gap[k]
            else:
                growth = velocity / -math.expm1(-drive)
                loss = velocity / math.expm1(drive)
            forward[k] = growth / width[k]
            flux[k] = loss / width[k + 1]  # of shrinking from k + 1, until the true flux is known
        previous = after[0]
        upper[0] = 0.0
        for k in range(1, m):
            lower = dt * forward[k - 1]
            diagonal = 1.0 + dt * (flux[k - 1] + forward[k])
            above = dt * flux[k] if k < m - 1 else 0.0
            pivot = diagonal - lower * upper[k - 1]
            upper[k] = above / pivot
            previous = (before[k] + lower * previous) / pivot
            after[k] = previous
        for k in range(m - 2, 0, -1):
            after[k] += upper[k] * after[k + 1]
        taken = 0.0
        for k in range(m - 1):
            flux[k] = forward[k] * after[k] - flux[k] * after[k + 1]
            taken += flux[k] * (size[1] if k == 0 else gap[k])
        flux[m - 1] = 0.0
        return taken * dt

    return step


step = _compile(source_fingerprint())
