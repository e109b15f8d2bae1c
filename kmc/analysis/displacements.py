"""Displacements of particles from a list of hops, and numbers with errors by block averaging."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from kmc.common.units import A_per_nm
from kmc.model.lattice import Lattice

BLOCKS = 20


@dataclass(frozen=True)
class Estimate:
    """A number with its standard error and unit; ``float()`` gives the number."""

    value: float
    error: float
    unit: str = "1"

    def __float__(self) -> float:
        return float(self.value)

    def __repr__(self) -> str:
        unit = "" if self.unit == "1" else f" {self.unit}"
        return f"{self.value:.4g} ± {self.error:.2g}{unit}"


def block_ratio(
    numerators: ArrayLike, denominators: ArrayLike, unit: str = "1", blocks: int = BLOCKS
) -> Estimate:
    """Ratio of two sums over consecutive intervals of a run, with its error.

    The intervals are grouped into at most `blocks` equal blocks; the scatter of the blocks about
    the ratio gives the error (delta method). Blocks must be longer than the correlation time.

    - `numerators`, `denominators` (array of float, shape (n,)): in the order of time.

    Examples
    --------
    >>> block_ratio([1.0, 2.0, 3.0, 2.0], [1.0, 1.0, 1.0, 1.0], "nm")
    2 ± 0.41 nm
    """
    numerators = np.asarray(numerators, dtype=float)
    denominators = np.broadcast_to(np.asarray(denominators, dtype=float), numerators.shape)
    total = denominators.sum()
    if not len(numerators) or total == 0:
        return Estimate(np.nan, np.nan, unit)
    # Blocks are longer than the memory of the hops; single values would give too small errors.
    edges = np.linspace(0, len(numerators), min(blocks, len(numerators)) + 1).astype(int)[:-1]
    above = np.add.reduceat(numerators, edges)
    below = np.add.reduceat(denominators, edges)
    ratio, n = above.sum() / total, len(above)
    if n < 2:
        return Estimate(float(ratio), np.nan, unit)
    # Delta method: each block is compared with what the ratio of all makes of its denominator.
    scatter = np.sqrt(n / (n - 1) * ((above - ratio * below) ** 2).sum())
    return Estimate(float(ratio), float(scatter / abs(total)), unit)


def hop_vectors_nm(lattice: Lattice, site_from: np.ndarray, site_to: np.ndarray) -> np.ndarray:
    """Displacement of each hop, nm, float64 of shape (n, 3), over the periodic boundaries."""
    delta = lattice.positions_A[site_to] - lattice.positions_A[site_from]
    for axis in range(3 if lattice.boundary == "periodic" else 2):
        edge = lattice.box_A[axis]
        # A hop is shorter than half of an edge, so the nearest image is the true one.
        delta[:, axis] -= edge * np.round(delta[:, axis] / edge)
    return delta / A_per_nm


def identities(leaves: np.ndarray, arrives: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Assign hops to particles.

    A particle that leaves a site arrived there with the last hop to it, or was there initially.

    - `leaves`, `arrives` (ndarray of int, shape (n,)): sites of each hop in the order of time: from
      and to for atoms, to and from for vacancies.

    Returns `particle` (ndarray of int64, shape (n,)): first hop of the particle, which identifies
    it. Returns `before` (ndarray of int64, shape (n,)): its hop before this one; −1 for its first.
    """
    n = len(leaves)
    # By place, then by time: the last arrival before a departure is one binary search away.
    order = np.lexsort((np.arange(n), arrives))
    key = arrives[order] * np.int64(n + 1) + order  # ascending
    place = np.searchsorted(key, leaves * np.int64(n + 1) + np.arange(n)) - 1
    candidate = order[np.maximum(place, 0)]
    known = (place >= 0) & (arrives[candidate] == leaves)
    before = np.where(known, candidate, -1)
    particle = np.where(known, candidate, np.arange(n))
    while True:  # pointer doubling
        further = particle[particle]
        if np.array_equal(further, particle):
            return particle, before
        particle = further


def windows_of(time_s: np.ndarray, start_s: float, span: float, n: int) -> tuple[np.ndarray, float]:
    """Window of each hop, and the length of a window in s."""
    window = np.minimum(((time_s - start_s) / span * n).astype(np.int64), n - 1)
    return window, span / n


def displacements_of(window, particle, step):
    """Displacement of each particle in each window where it moves: windows, particles, vectors."""
    n = int(particle.max(initial=0)) + 1
    # One number for window and particle, so that one sum serves both.
    pair, inverse = np.unique(window * n + particle, return_inverse=True)
    return pair // n, pair % n, sums_of(inverse, step, len(pair))


def squares_of(
    window: np.ndarray, particle: np.ndarray, step: np.ndarray, n_windows: int
) -> np.ndarray:
    """Sum of square displacements of all particles, for each window."""
    where, _, moved = displacements_of(window, particle, step)
    return np.bincount(where, weights=(moved**2).sum(axis=1), minlength=n_windows)


def sums_of(window: np.ndarray, step: np.ndarray, n_windows: int) -> np.ndarray:
    """Sum of displacements in each window, shape (n_windows, 3)."""
    parts = [np.bincount(window, weights=step[:, k], minlength=n_windows) for k in range(3)]
    return np.stack(parts, axis=1)
