"""Voids of a population: their shape, their places, and the discs that make up their footprints.

A void is one or more lobes, each a spherical cap on the interface; lobes of one void share a vapour
of vacancies. A void that has rounded off is one lobe. Volumes are counts of vacancies.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from kmc.kernels import discs

_WIDEST = 0.499  # radius of a disc over the edge of the square, at most


@dataclass(frozen=True)
class Shape:
    """A spherical cap: V = s R³, height t R, on a footprint of radius R.

    Attributes
    ----------
    height_over_radius : float
        t; tan(α/2) for a cap whose surface meets the electrolyte at the angle α inside the void.
    """

    height_over_radius: float

    @classmethod
    def of_contact_angle(cls, angle_deg: float) -> Shape:
        """The cap that the metal's contact angle on the electrolyte makes, α = 180° − θ."""
        return cls(math.tan(math.radians(180.0 - angle_deg) / 2))

    @property
    def volume_factor(self) -> float:
        """s = V/R³ = π t (3 + t²)/6."""
        t = self.height_over_radius
        return math.pi * t * (3 + t * t) / 6

    def radius_um(self, volume_um3) -> np.ndarray:
        """Radius of the footprint of a cap."""
        return np.cbrt(np.asarray(volume_um3) / self.volume_factor)

    def height_um(self, radius_um, volume_um3, offset_um) -> np.ndarray:
        """Height of a lobe at a distance from its axis: its cap, stretched to its volume."""
        t = self.height_over_radius
        reduced = np.minimum(1.0, np.asarray(offset_um) / radius_um)
        sphere = (1 + t * t) / (2 * t)
        profile = np.sqrt(np.maximum(0.0, sphere**2 - reduced**2)) - (sphere - t)
        stretch = np.asarray(volume_um3) / (self.volume_factor * np.asarray(radius_um) ** 3)
        return np.asarray(radius_um) * np.maximum(0.0, profile) * stretch


ROUND_AGE = 4.0  # what is left of the excess of its footprint then, 2 %, goes at once
_LOBES = ("x_um", "y_um", "count", "scale", "floor_um")


@dataclass
class Voids:
    """The voids of a moment.

    Attributes
    ----------
    edge_um : float
        Edge of the periodic square.
    site_volume_um3 : float
    shape : Shape
    x_um, y_um : float64 arrays, shape (n_lobes,)
        Axes of the lobes; those of one void stand together, also beyond the square.
    count : float64 array
        Vacancies of each lobe.
    scale : float64 array
        Radius of a lobe over that of its cap; below 1 where a footprint has begun to round off.
    floor_um : float64 array
        Radius of the flaw under a lobe, below which its footprint does not go; 0 without one.
    owner : int64 array
        Void of each lobe, rising from 0.
    number : int64 array, shape (n,)
        A name of each void that it keeps; a void that swallows others keeps that of the largest.
    age : float64 array, shape (n,)
        Time since a void began to round off, in units of its τ; `ROUND_AGE` where it is round.
    radius_um : float64 array, shape (n_lobes,)
    area_um2, rim_um : float64 arrays, shape (n,)
        Footprint and its outline; up to date after `measure`.
    """

    edge_um: float
    site_volume_um3: float
    shape: Shape
    x_um: np.ndarray = field(default_factory=lambda: np.zeros(0))
    y_um: np.ndarray = field(default_factory=lambda: np.zeros(0))
    count: np.ndarray = field(default_factory=lambda: np.zeros(0))
    scale: np.ndarray = field(default_factory=lambda: np.zeros(0))
    floor_um: np.ndarray = field(default_factory=lambda: np.zeros(0))
    owner: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    number: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    age: np.ndarray = field(default_factory=lambda: np.zeros(0))
    named: int = 0
    span_the_square: bool = field(default=False, init=False)

    def __post_init__(self):
        self.measure()

    def __len__(self) -> int:
        return len(self.number)

    @property
    def lobes(self) -> int:
        return len(self.count)

    def measure(self) -> tuple[np.ndarray, np.ndarray]:
        """Bring radii, footprints and rims up to date; returns overlapping pairs of lobes."""
        cap = self.shape.radius_um(self.count * self.site_volume_um3)
        wanted = np.maximum(self.floor_um, self.scale * cap)
        self.radius_um = np.minimum(wanted, _WIDEST * self.edge_um)
        pairs = discs.overlaps(*self.wrapped(), self.radius_um, self.edge_um)
        self._sizes(pairs)
        self.span_the_square = self._meet_twice(*pairs)
        return pairs

    def _meet_twice(self, first: np.ndarray, second: np.ndarray) -> bool:
        """Whether a disc meets itself, or another on both ways round the periodic square.

        Footprints know one of the two ways only.
        """
        edge = self.edge_um
        dx, dy = (
            np.abs(v[first] - v[second] - edge * np.rint((v[first] - v[second]) / edge))
            for v in (self.x_um, self.y_um)
        )
        other = np.minimum(np.hypot(edge - dx, dy), np.hypot(dx, edge - dy))
        twice = other < self.radius_um[first] + self.radius_um[second]
        return bool(twice.any() or (self.radius_um >= _WIDEST * edge).any())

    def wrapped(self) -> tuple[np.ndarray, np.ndarray]:
        """Places of the lobes within the square."""
        x, y = np.mod(self.x_um, self.edge_um), np.mod(self.y_um, self.edge_um)
        x[x >= self.edge_um] = 0.0  # a rounding below zero
        y[y >= self.edge_um] = 0.0
        return x, y

    def _sizes(self, pairs: tuple[np.ndarray, np.ndarray]) -> None:
        n = len(self)
        self.lobes_of = np.bincount(self.owner, minlength=n)
        single = self.lobes_of[self.owner] == 1
        self.area_um2, self.rim_um = np.zeros(n), np.zeros(n)
        alone, radius = self.owner[single], self.radius_um[single]
        self.area_um2[alone] = math.pi * radius**2
        self.rim_um[alone] = 2 * math.pi * radius
        if single.all():
            return
        some = np.flatnonzero(~single)
        owners, own = np.unique(self.owner[some], return_inverse=True)
        place = np.full(self.lobes, -1)
        place[some] = np.arange(len(some))
        first, second = place[pairs[0]], place[pairs[1]]
        kept = (first >= 0) & (second >= 0)
        x, y = self.wrapped()
        area, rim = discs.unions(
            x[some],
            y[some],
            self.radius_um[some],
            own,
            len(owners),
            first[kept],
            second[kept],
            self.edge_um,
        )
        self.area_um2[owners], self.rim_um[owners] = area, rim

    # --- what the rest asks of them ---------------------------------------------------------------

    def total(self, values: np.ndarray) -> np.ndarray:
        """Sums over the lobes of each void."""
        return np.bincount(self.owner, values, minlength=len(self))

    @property
    def counts(self) -> np.ndarray:
        """Vacancies of each void."""
        return self.total(self.count)

    @property
    def cap_area_um2(self) -> np.ndarray:
        """Footprint that each void has once it is round."""
        cap = math.pi * self.shape.radius_um(self.counts * self.site_volume_um3) ** 2
        return np.maximum(cap, math.pi * self._floors() ** 2)

    def _floors(self) -> np.ndarray:
        out = np.zeros(len(self))
        np.maximum.at(out, self.owner, self.floor_um)
        return out

    def centres(self) -> tuple[np.ndarray, np.ndarray]:
        """Place of each void, the mean of its lobes by volume, within the square."""
        x, y = self.means()
        return np.mod(x, self.edge_um), np.mod(y, self.edge_um)

    def means(self) -> tuple[np.ndarray, np.ndarray]:
        """Place of each void as its lobes stand, also beyond the square."""
        weight = np.maximum(self.count, 1e-300)
        total = self.total(weight)
        return self.total(weight * self.x_um) / total, self.total(weight * self.y_um) / total

    @property
    def covered(self) -> float:
        """Share of the interface that lies under voids."""
        return min(1.0, float(self.area_um2.sum()) / self.edge_um**2)

    # --- changes ----------------------------------------------------------------------------------

    def add(self, x_um, y_um, count, floor_um=0.0) -> None:
        """New voids of one lobe each; `measure` afterwards."""
        n = len(x_um)
        self.x_um = np.concatenate([self.x_um, x_um])
        self.y_um = np.concatenate([self.y_um, y_um])
        self.count = np.concatenate([self.count, np.broadcast_to(count, n)])
        self.scale = np.concatenate([self.scale, np.ones(n)])
        self.floor_um = np.concatenate([self.floor_um, np.broadcast_to(floor_um, n)])
        self.owner = np.concatenate([self.owner, len(self) + np.arange(n)])
        self.number = np.concatenate([self.number, self.named + np.arange(n)])
        self.age = np.concatenate([self.age, np.full(n, ROUND_AGE)])
        self.named += n

    def keep(self, kept: np.ndarray) -> None:
        """Drop voids; `kept` is a mask of them. `measure` afterwards."""
        if kept.all():
            return
        lobes = kept[self.owner]
        for name in _LOBES:
            setattr(self, name, getattr(self, name)[lobes])
        renumbered = np.cumsum(kept) - 1
        self.owner = renumbered[self.owner[lobes]]
        self.number, self.age = self.number[kept], self.age[kept]

    def drop(self, lobes: np.ndarray) -> None:
        """Take away lobes (a mask of them), and voids that have none left; `measure` afterwards."""
        if not lobes.any():
            return
        for name in _LOBES:
            setattr(self, name, getattr(self, name)[~lobes])
        owner = self.owner[~lobes]
        left = np.bincount(owner, minlength=len(self)) > 0
        self.owner = (np.cumsum(left) - 1)[owner]
        self.number, self.age = self.number[left], self.age[left]

    def round_off(self, voids: np.ndarray) -> None:
        """Make these voids (their indices) caps at their centres; `measure` afterwards."""
        if not len(voids):
            return
        chosen = np.zeros(len(self), bool)
        chosen[voids] = True
        x, y = self.means()
        counts, floors = self.counts, self._floors()
        first = np.searchsorted(self.owner, np.arange(len(self)))  # owners rise
        kept = ~chosen[self.owner]
        kept[first[voids]] = True
        lead = first[voids]
        for name, values in (("x_um", x), ("y_um", y), ("count", counts), ("floor_um", floors)):
            array = getattr(self, name).copy()
            array[lead] = values[voids]
            setattr(self, name, array)
        self.scale = self.scale.copy()
        self.scale[lead] = 1.0
        self.age = self.age.copy()
        self.age[voids] = ROUND_AGE
        for name in _LOBES:
            setattr(self, name, getattr(self, name)[kept])
        self.owner = self.owner[kept]

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything that a later `Voids.restored` needs."""
        return {name: getattr(self, name) for name in (*_LOBES, "owner", "number", "age")}
