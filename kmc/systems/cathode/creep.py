"""Swelling, contact and creep of the active material on the lattice of sites.

Each site of active material or pore holds an integer number of *portions* of active material; a
full site holds `PORTIONS` of them before lithiation. At an area swelling s they cover, without
stress, the share φ = portions · (1 + s) / PORTIONS of a site, and the site itself has the area
J = 1 + t (t: its area strain). A site bears load where J < φ and is open, in part or as a whole,
where J > φ: active material carries no tension across a gap. Grains that shrink come loose, and
with the next lithiation meet again where they were.

Norton's law of steady creep, ε̇ = A (σ_e/σ_ref)^n, is a rate of events. One event shortens a site by
the area of one portion, δ = (1 + s) / PORTIONS, along its axis of compression; in plane strain the
rate is

    √3/2 · A (σ_e/σ_ref)^n / δ        (σ_e = √3 τ: creep without strain out of the plane).

What the site loses along that axis it gains along the other. Where the neighbour on that side is
open, the portion moves into it; elsewhere the site itself becomes wider and its surroundings give
way. Events are drawn in leaps, a Poisson number a site (Gillespie, J. Chem. Phys. 115, 1716 (2001),
doi:10.1063/1.1378322). Within a leap the stress of a site falls as at fixed strain (`relaxed_GPa`),
so that a leap takes out no more strain than the stress drives.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from kmc.systems.cathode.elastic import PlaneStrain, area_modulus_GPa, shear_modulus_GPa
from kmc.systems.cathode.microstructure import ACTIVE, FRAME, Microstructure

PORTIONS = 10_000
OPEN_STIFFNESS = 1e-4  # of the active material: what an open site keeps of its moduli
COHESION = 1e-3  # area strain beyond φ at which a site that bears load parts
_TRIES = 4  # at finding which sites bear load; in the second half no site parts any more
_UNSETTLED = 4  # sites that may still change when the search ends
_STEPS = ((1, 0), (-1, 0), (0, 1), (0, -1))


class Solid(NamedTuple):
    """Elastic constants, and Norton's law where the exponent is not 0.

    Attributes
    ----------
    modulus_GPa, poisson_ratio : float
    rate_per_s, stress_GPa, exponent : float
        A, σ_ref and n; n = 0 is a material that does not creep.
    """

    modulus_GPa: float
    poisson_ratio: float
    rate_per_s: float = 0.0
    stress_GPa: float = 1.0
    exponent: float = 0.0

    @property
    def creeps(self) -> bool:
        return self.exponent > 0


def relaxed_GPa(stress_GPa: np.ndarray, solid: Solid, time_s: float) -> np.ndarray:
    """Equivalent stress after a time at fixed strain, in plane strain without strain out of it.

    The stress τ = σ_e/√3 falls by 2 G times the creep strain √3/2 ε̇ along an axis:
    dσ_e/dt = −3 G A (σ_e/σ_ref)^n.
    """
    n = solid.exponent
    stress = np.maximum(stress_GPa, 1e-12)
    shear = shear_modulus_GPa(solid.modulus_GPa, solid.poisson_ratio)
    share = 3.0 * shear * solid.rate_per_s * (stress / solid.stress_GPa) ** n * time_s / stress
    if n == 1:
        return stress * np.exp(-share)
    return stress * (1.0 + (n - 1.0) * share) ** (-1.0 / (n - 1.0))


class Body:
    """The lattice of sites: portions, creep strain, which sites bear load, and the elastic field.

    Parameters
    ----------
    start : Microstructure
    frame : Solid

    Attributes
    ----------
    portions : ndarray of int64, shape (edge, edge)
    creep_difference, creep_shear : ndarray, shape (edge, edge)
        ε_xx − ε_yy and γ_xy of the creep strain.
    bears_load : ndarray of bool, shape (edge, edge)
    area_strain, mean_GPa, shear_GPa, equivalent_GPa : ndarray, shape (edge, edge)
        Of the last equilibrium: t, the mean stress in the plane (pressure is negative), the largest
        shear stress in the plane, and the equivalent stress.
    factorizations : int
        Of the stiffness matrix so far.
    """

    def __init__(self, start: Microstructure, frame: Solid):
        self.start, self.frame = start, frame
        self.is_frame = start.material == FRAME
        self.is_grain = start.material == ACTIVE
        self.portions = np.where(self.is_grain, PORTIONS, 0).astype(np.int64)
        self.creep_difference = np.zeros(start.material.shape)
        self.creep_shear = np.zeros(start.material.shape)
        self.bears_load = self.is_frame | self.is_grain
        self._elements = PlaneStrain(len(start.material))
        self.factorizations = 0

    def fill(self, swelling: float) -> np.ndarray:
        """φ of each site."""
        return self.portions * ((1.0 + swelling) / PORTIONS)

    def open_area(self, swelling: float) -> np.ndarray:
        """J − φ of the sites that stand open, 0 of the others."""
        room = np.maximum(1.0 + self.area_strain - self.fill(swelling), 0.0)
        return np.where(self.bears_load, 0.0, room)

    def find_load(self, active: Solid, swelling: float) -> None:
        """Find which sites bear load, and their moduli.

        Parameters
        ----------
        active : Solid
            Active material at this lithiation.
        swelling : float
            Its free area strain s.
        """
        K, G = (
            np.where(self.is_frame, modulus(*self.frame[:2]), modulus(*active[:2]))
            for modulus in (area_modulus_GPa, shear_modulus_GPa)
        )
        G = np.where(self.is_frame | self.is_grain, G, OPEN_STIFFNESS * G)  # pores: pressure only
        for attempt in range(_TRIES):
            loaded = self.bears_load
            soft = np.where(loaded, 1.0, OPEN_STIFFNESS)
            self._K, self._G = K * soft, G * np.where(self.is_grain, soft, 1.0)
            self._elements.factorize(self._K, self._G)
            self.factorizations += 1
            self._solve(swelling)
            beyond = self._field.area_strain - self.fill(swelling) + 1.0
            now = self.is_frame | (beyond < np.where(loaded, COHESION, 0.0))
            if attempt >= _TRIES // 2:
                now |= loaded
            if (now != loaded).sum() <= _UNSETTLED:
                break
            self.bears_load = now

    def _solve(self, swelling: float) -> None:
        free = np.where(self.is_frame, 0.0, self.fill(swelling) - 1.0)
        own = np.where(self.bears_load | self.is_grain, free, 0.0)
        self._field = self._elements.solve(own, self.creep_difference, self.creep_shear)
        self._free = free

    def equilibrate(self, active: Solid, swelling: float, out_of_plane: float = 0.0) -> None:
        """Elastic field and stress, with the sites that bear load by the last `find_load`.

        Parameters
        ----------
        active, swelling
            As for `find_load`.
        out_of_plane : float
            Free strain normal to the plane, of a material that does not creep.
        """
        self._solve(swelling)
        field, loaded = self._field, self.bears_load
        self.area_strain = field.area_strain
        self.mean_GPa = np.where(loaded, self._K * (field.area_strain - self._free), 0.0)
        G = np.where(loaded & (self.is_frame | self.is_grain), self._G, 0.0)
        self._along = G * (field.difference - self.creep_difference)
        self._across = G * (field.shear - self.creep_shear)
        self.shear_GPa = np.hypot(self._along, self._across)
        normal = -(1.0 - 2.0 * self.frame.poisson_ratio) * self.mean_GPa  # σ_zz − mean in the plane
        if active.creeps:
            normal = np.where(self.is_frame, normal, 0.0)
        else:
            own = -(1.0 - 2.0 * active.poisson_ratio) * self.mean_GPa
            own -= active.modulus_GPa * out_of_plane * loaded
            normal = np.where(self.is_frame, normal, own)
        self.equivalent_GPa = np.sqrt(3.0 * self.shear_GPa**2 + normal**2)

    def creep(
        self, rng: np.random.Generator, active: Solid, swelling: float, time_s: float
    ) -> tuple[int, int]:
        """One leap of creep at the stress of the last equilibrium.

        Returns
        -------
        events, moved : int
            Events, and portions that moved to another site.
        """
        if not active.creeps:
            return 0, 0
        sites = np.flatnonzero(self.is_grain & self.bears_load & (self.shear_GPa > 1e-9))
        if not len(sites):
            return 0, 0
        stress = self.equivalent_GPa.ravel()[sites]
        portion = (1.0 + swelling) / PORTIONS
        modulus = shear_modulus_GPa(*active[:2])
        strain = (stress - relaxed_GPa(stress, active, time_s)) / (2.0 * np.sqrt(3.0) * modulus)
        events = rng.poisson(strain / portion)
        tau = self.shear_GPa.ravel()[sites]
        along, across = self._along.ravel()[sites] / tau, self._across.ravel()[sites] / tau
        moved = self._move(rng, sites, along, events, swelling)
        shape = (2 * events - moved) * portion
        self.creep_difference.reshape(-1)[sites] += shape * along
        self.creep_shear.reshape(-1)[sites] += shape * across
        return int(events.sum()), int(moved.sum())

    def _move(self, rng, sites, along, events, swelling) -> np.ndarray:
        """Move portions into open neighbours on the axis of extension; how many left each site."""
        edge = len(self.portions)
        room = (self.open_area(swelling) * PORTIONS / (1.0 + swelling)).astype(np.int64).ravel()
        portions = self.portions.reshape(-1)
        x, y = np.divmod(sites, edge)
        left = np.zeros(len(sites), dtype=np.int64)
        for step in rng.permutation(4):
            dx, dy = _STEPS[step]
            a, b = x + dx, y + dy
            inside = (a >= 0) & (a < edge) & (b >= 0) & (b < edge)
            inside &= (along > 0) == (dx != 0)
            giver = np.flatnonzero(inside)
            taker = a[giver] * edge + b[giver]
            count = np.minimum(events[giver] - left[giver], portions[sites[giver]])
            count = np.clip(count, 0, room[taker])  # each taker has one giver in a direction
            portions[sites[giver]] -= count
            portions[taker] += count
            room[taker] -= count
            left[giver] += count
        return left
