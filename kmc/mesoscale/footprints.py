"""Voids as the diffusion field sees them: which cells they cover, which of them are points."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kmc.kernels import discs
from kmc.mesoscale.field import Drinkers, SurfaceField
from kmc.mesoscale.voids import Voids

SMALLEST = 3.0  # vacancies of a void


@dataclass
class Footprints:
    """Voids on the grid.

    Attributes
    ----------
    drinkers : Drinkers
    lobes : int64 array
        Lobe of each of the drinkers' cells.
    points, numbers : int64 arrays
        Voids that are points, and their names.
    point_cells : float64 array
        Cells that each of those covers, in parts.
    covered : uint64 array, shape (n, n)
        Sub-cells under voids (`discs.cover`).
    free : float64 array, shape (n, n)
        Share of each cell that is on contact.
    partly : int64 array
        Cells but those of the drinkers that are covered wholly, where S is S_eq.
    under : float
        Sum of S_eq over what is covered of them, in cells.
    """

    drinkers: Drinkers
    lobes: np.ndarray
    points: np.ndarray
    numbers: np.ndarray
    point_cells: np.ndarray
    covered: np.ndarray
    free: np.ndarray
    partly: np.ndarray
    under: float

    def mean_on_contact(self, supersaturation: np.ndarray) -> float:
        """Mean S on contact: that of the square without what is under voids, which have S_eq."""
        on = self.free.sum()
        return float((supersaturation.flat[self.partly].sum() - self.under) / on) if on else 1.0


def draw(voids: Voids, field: SurfaceField, S_eq: Callable[[np.ndarray], np.ndarray]) -> Footprints:
    """Put voids on the grid of a field.

    Parameters
    ----------
    voids : Voids
        Measured.
    field : SurfaceField
    S_eq : callable
        Vacancies of a void → the supersaturation at which it neither grows nor shrinks.
    """
    resolved = field.resolves(voids.area_um2)
    x, y = voids.wrapped()
    on, covered = discs.cover(x, y, voids.radius_um, field.n_cells, voids.edge_um)
    share = discs.bits_set(covered) / 64
    under = np.flatnonzero(on.ravel() >= 0)
    owner, under_share = voids.owner[on.flat[under]], share.flat[under]
    floors = np.zeros(len(voids))
    np.maximum.at(floors, voids.owner, voids.floor_um)
    flaw = voids.shape.volume_factor * floors**3 / voids.site_volume_um3
    pressure = S_eq(np.maximum(voids.counts, np.maximum(flaw, SMALLEST)))
    points = np.flatnonzero(~resolved)
    cx, cy = voids.centres()
    cx[cx >= voids.edge_um], cy[cy >= voids.edge_um] = 0.0, 0.0
    drawn = resolved[owner]
    cells = under[drawn]
    whole = drawn & (under_share == 1.0)
    drinkers = Drinkers(
        cells,
        under_share[drawn],
        pressure[owner[drawn]],
        cx[points],
        cy[points],
        np.sqrt(voids.area_um2[points] / math.pi),
        pressure[points],
    )
    return Footprints(
        drinkers=drinkers,
        lobes=on.flat[cells],
        points=points,
        numbers=voids.number[points],
        point_cells=np.bincount(owner, under_share, minlength=len(voids))[points],
        covered=covered,
        free=1.0 - share,
        partly=np.delete(np.arange(share.size), under[whole]),
        under=float((under_share * pressure[owner])[~whole].sum()),
    )
