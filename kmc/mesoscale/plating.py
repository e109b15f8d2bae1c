"""Plating closes voids from their rims: some shrink to nothing, of others the top is cut off.

What is assumed: metal that is plated on contact reaches the voids at their rims, every length of
rim the same (the Wagner length is far above a void's size), and it pushes the metal back only where
no void is left. No source gives the resistance of that way, and none is charged for it.

How the metal grows there, with nothing that rounds the void off: by the same thickness in all
directions from the rim, until the metal meets in the middle of the footprint. What is left above
is cut off from the electrolyte, and dead: for a cap of 93.6°, 6.4 % of the void (`cut_off_share`).
In between footprint and cap's footprint fall together, dA = dA_cap/(1 − d^(2/3)) with that share d,
while rounding (`coalescence`) brings A back to A_cap: a void that rounds off faster than it is
filled stays a cap and vanishes whole.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from kmc.mesoscale.voids import Shape, Voids

_SLICES = 4000


@dataclass(frozen=True)
class Plated:
    """What became of plated metal; vacancies.

    Attributes
    ----------
    filled : float
        Of voids, by the metal.
    cut_off : float
        Left in voids, or lobes of voids, that closed.
    pushed : float
        Metal that found no void: it pushes the metal back.
    closed : int
        Lobes that closed.
    """

    filled: float
    cut_off: float
    pushed: float
    closed: int


def cut_off_share(shape: Shape) -> float:
    """Share of a cap further from its rim than the rim from the cap's axis.

    By slices of its height; 1 − π/2 + 3√3/8 = 0.0787 for a hemisphere.
    """
    t = shape.height_over_radius
    sphere = (1 + t * t) / (2 * t)
    z = (np.arange(_SLICES) + 0.5) * t / _SLICES
    outline = np.sqrt(np.maximum(0.0, sphere**2 - (z - (t - sphere)) ** 2))
    reach = np.sqrt(np.maximum(0.0, 1 - z * z))
    inside = np.where(z < 1, np.minimum(outline, 1 - reach), outline)
    outside = np.where(z < 1, np.maximum(0.0, outline**2 - (1 + reach) ** 2), 0.0)
    volume = math.pi * float((inside**2 + outside).sum()) * t / _SLICES
    return volume / shape.volume_factor


def plate(voids: Voids, vacancies: float, share: float, least: np.ndarray) -> Plated:
    """Fill so many vacancies of voids, from all rims alike; `measure` before and afterwards.

    Parameters
    ----------
    voids : Voids
    vacancies : float
        How many atoms are plated.
    share : float
        d, of a round void that is cut off; 0 where voids round off at once.
    least : float64 array, shape (n_lobes,)
        Vacancies that a lobe keeps, those of a flaw; it never closes where this is above 0.
    """
    if not voids.lobes:
        return Plated(0.0, 0.0, vacancies, 0)
    factor = 1.0 / (1.0 - share ** (2 / 3))
    area, cap = math.pi * voids.radius_um**2, _cap_um2(voids, voids.count)
    closing = np.sqrt(np.maximum(0.0, cap - area / factor) / math.pi) ** 3
    closing *= voids.shape.volume_factor / voids.site_volume_um3
    stays = least > 0
    room = np.maximum(0.0, voids.count - np.where(stays, least, closing))
    given = _shared(vacancies, room, _rims(voids))
    closed = (given >= room) & ~stays
    left = voids.count - given
    smaller = area - factor * (cap - _cap_um2(voids, left))
    voids.count = left
    open_ = ~closed & (given > 0)
    scale = voids.scale.copy()
    scale[open_] = np.sqrt(np.maximum(smaller, 0.0)[open_] / _cap_um2(voids, left)[open_])
    voids.scale = scale
    voids.age = np.where(voids.total(given) > 0, 0.0, voids.age)
    cut_off = float(left[closed].sum())
    voids.drop(closed)
    filled = float(given.sum())
    return Plated(filled, cut_off, vacancies - filled, int(np.count_nonzero(closed)))


def _cap_um2(voids: Voids, count: np.ndarray) -> np.ndarray:
    return math.pi * voids.shape.radius_um(count * voids.site_volume_um3) ** 2


def _rims(voids: Voids) -> np.ndarray:
    """Length of rim of each lobe, µm: that of its void, shared by radius."""
    radius = np.maximum(voids.radius_um, 1e-12)
    return voids.rim_um[voids.owner] * radius / voids.total(radius)[voids.owner]


def _shared(amount: float, room: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Share an amount out by weight, to each no more than its room; what is left over is not."""
    given = np.zeros(len(room))
    while amount > 0:
        wanting = np.where(given < room, weight, 0.0)
        total = float(wanting.sum())
        if total <= 0:
            break
        more = amount * wanting / total
        full = (given + more >= room) & (wanting > 0)
        if not full.any():
            return given + more
        amount -= float((room - given)[full].sum())
        given[full] = room[full]
    return given
