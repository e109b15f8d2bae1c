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
doi:10.1063/1.1378322). How many are to be expected follows from the stress at the *end* of the
leap (backward Euler, `Body.flow`): the trial stress σ_tr, which no creep would leave, falls to

    σ_e + 3 G Δt A (σ_e/σ_ref)^n = σ_tr

while all sites together stay in equilibrium. A leap longer than the relaxation of the material
(seconds; a lithiation takes hours) so ends at the stress of steady flow, σ_ref (rate/A)^(1/n),
and not at a share of what the leap has swollen.
"""

from typing import NamedTuple

import numpy as np

from kmc.errors import KmcError
from kmc.systems.cathode.elastic import PlaneStrain, area_modulus_GPa, shear_modulus_GPa
from kmc.systems.cathode.microstructure import ACTIVE, FRAME, Microstructure

# So many that the shot noise of the events leaves no stress that one would see: with 10 000 the
# noise of a leap of 1e-3 was 4 MPa, a fifth of the flow stress of Li2Se.
PORTIONS = 1_000_000
OPEN_STIFFNESS = 1e-4  # of the active material: what an open site keeps of its moduli
COHESION = 1e-3  # area strain beyond φ at which a site that bears load parts
_TRIES = 4  # at finding which sites bear load; in the second half no site parts any more
_UNSETTLED = 4  # sites that may still change when the search ends
_NEWTON, _ROUGH = 60, 2  # iterations at most; between two searches
_PRECISION = 3e-4  # of a force, relative to the largest of steady flow and of the walls
_STEPS = ((1, 0), (-1, 0), (0, 1), (0, -1))


class Solid(NamedTuple):
    """Elastic constants, and Norton's law where the exponent is not 0."""

    modulus_GPa: float
    poisson_ratio: float
    # rate_per_s, stress_GPa, exponent: A, σ_ref and n; n = 0 is a material that does not creep
    rate_per_s: float = 0.0
    stress_GPa: float = 1.0
    exponent: float = 0.0

    @property
    def creeps(self) -> bool:
        return self.exponent > 0


def relaxed_GPa(
    trial_GPa: np.ndarray, solid: Solid, time_s: float
) -> tuple[np.ndarray, np.ndarray]:
    """Equivalent stress σ_e at the end of a step of backward Euler, and dσ_e/dσ_tr.

    The root of σ_e + 3 G Δt A (σ_e/σ_ref)^n = σ_tr, in plane strain without creep out of the plane:
    creep takes √3/2 ε̇ along an axis, and the shear stress σ_e/√3 falls by 2 G times that.
    """
    n, shear = solid.exponent, shear_modulus_GPa(solid.modulus_GPa, solid.poisson_ratio)
    trial = np.maximum(trial_GPa, 1e-15) / solid.stress_GPa
    c = 3.0 * shear * solid.rate_per_s * time_s / solid.stress_GPa
    if c == 0.0:
        return trial * solid.stress_GPa, np.ones_like(trial)
    x = np.minimum(trial, (trial / c) ** (1.0 / n))  # above the root: Newton comes down to it
    for _ in range(50):
        down = (x + c * x**n - trial) / (1.0 + c * n * x ** (n - 1.0))
        x -= down
        if (down <= 1e-13 * x).all():
            break
    return x * solid.stress_GPa, 1.0 / (1.0 + c * n * x ** (n - 1.0))


class CathodeBody:
    """The lattice of sites: portions, creep strain, which sites bear load, and the elastic field.

    - `pressure_MPa`: on the wall at the largest x, which gives way; without, all walls are fixed.

    - `portions` (ndarray of int64, shape (edge, edge))
    - `creep_strain` (ndarray, shape (4, edge, edge)): ε_xx − ε_yy, γ_xy and two strains of bending.
    - `bears_load` (ndarray of bool, shape (edge, edge))
    - `area_strain`, `mean_GPa`, `shear_GPa`, `equivalent_GPa` (ndarray, shape (edge, edge)): of the
      last equilibrium: t, the mean stress in the plane (pressure is negative), the largest shear
      stress in the plane, and the equivalent stress.
    - `factorizations` (int): of the stiffness matrix so far.
    """

    def __init__(self, start: Microstructure, frame: Solid, pressure_MPa: float | None = None):
        self.start, self.frame = start, frame
        self.is_frame = start.material == FRAME
        self.is_grain = start.material == ACTIVE
        self.portions = np.where(self.is_grain, PORTIONS, 0).astype(np.int64)
        self.creep_strain = np.zeros((4, *start.material.shape))
        self.area_strain = np.zeros(start.material.shape)
        self.bears_load = self.is_frame | self.is_grain
        self._elements = PlaneStrain(len(start.material), pressure_MPa is not None)
        self._pressure_GPa = 1e-3 * (pressure_MPa or 0.0)
        self._moved = np.zeros(self._elements.size)
        self.factorizations = 0

    @property
    def thickness(self) -> float:
        """Distance of the walls along x over that at the start."""
        return 1.0 + float(self.area_strain.mean())

    def fill(self, swelling: float) -> np.ndarray:
        """φ of each site."""
        return self.portions * ((1.0 + swelling) / PORTIONS)

    def open_area(self, swelling: float) -> np.ndarray:
        """J − φ of the sites that stand open, 0 of the others."""
        room = np.maximum(1.0 + self.area_strain - self.fill(swelling), 0.0)
        return np.where(self.bears_load, 0.0, room)

    def find_load(self, active: Solid, swelling: float, time_s: float = 0.0) -> None:
        """Find which sites bear load after a time of creep, and their moduli.

        - `active`: active material at this lithiation.
        - `swelling`: its free area strain s.
        - `time_s`: 0 for the elastic answer.
        """
        for attempt in range(_TRIES):
            loaded = self.bears_load
            self.flow(active, swelling, time_s, _ROUGH)
            beyond = self._strains[0] - self.fill(swelling) + 1.0
            now = self.is_frame | (beyond < np.where(loaded, COHESION, 0.0))
            # Sites that open and close in turn would go on for ever: from here on none parts.
            if attempt >= _TRIES // 2:
                now |= loaded
            if (now != loaded).sum() <= _UNSETTLED:
                break
            self.bears_load = now

    def flow(self, active: Solid, swelling: float, time_s: float, most: int = _NEWTON) -> None:
        """Equilibrium after a time of creep, all sites together: Newton's method.

        The sites of active material that bear load follow `relaxed_GPa`, with the stiffness
        dσ_e/dσ_tr along the axes of their stress and σ_e/σ_tr across them. What flows is the root
        mean square over a site, so that bending creeps as well: bending that stays elastic holds
        up the flow of the whole cathode, and did (twice the contact that stays open, half as much
        stress again in the frame).

        - `active`, `swelling`, `time_s`: as for `find_load`.
        - `most`: iterations after which the answer is taken as it is.

        Raises `KmcError`: it did not converge.
        """
        K, G = (
            np.where(self.is_frame, modulus(*self.frame[:2]), modulus(*active[:2]))
            for modulus in (area_modulus_GPa, shear_modulus_GPa)
        )
        G = np.where(self.is_frame | self.is_grain, G, OPEN_STIFFNESS * G)  # pores: pressure only
        # A little stiffness is left to open sites: without it the matrix is singular where grains
        # hang free.
        soft = np.where(self.bears_load, 1.0, OPEN_STIFFNESS)
        self._K, self._G = K * soft, G * np.where(self.is_grain, soft, 1.0)
        # The area strain that each site would have without stress.
        self._free = np.where(self.is_frame, 0.0, self.fill(swelling) - 1.0)
        self._own = np.where(self.bears_load | self.is_grain, self._free, 0.0)
        load = self._elements.plate(self._pressure_GPa)
        creeping = self.is_grain & self.bears_load & (active.creeps and time_s > 0)

        def respond(moved):
            strains = self._elements.strains(moved)
            trial = self._G * (strains[1:] - self.creep_strain)
            size = np.sqrt((trial**2).sum(axis=0))
            keep, slope = np.ones_like(size), np.ones_like(size)
            if creeping.any():
                held = np.maximum(np.sqrt(3.0) * size[creeping], 1e-15)
                left, slope[creeping] = relaxed_GPa(held, active, time_s)
                keep[creeping] = left / held
            stress = np.concatenate([[self._K * (strains[0] - self._own)], keep * trial])
            return strains, stress, trial / np.maximum(size, 1e-300), keep, slope

        first, second = np.triu_indices(4)
        same = (first == second)[:, None, None]
        moved = self._moved
        strains, stress, axes, keep, slope = respond(moved)
        for count in range(most + 1):
            missing = load - self._elements.forces(stress)
            scale = np.abs(stress[0]).max() * (_PRECISION if creeping.any() else 1e-9) + 1e-12
            if np.abs(missing).max() <= scale or (count == most < _NEWTON):
                break
            if count == most:
                raise KmcError(
                    f"the stress of the cathode found no equilibrium in {most} iterations",
                    advice="More cathode.steps change less at a time.",
                )
            # Along the stress the law of creep has its own slope; across it the stress only turns.
            tangent = keep * same + (slope - keep) * axes[first] * axes[second]
            stiffness = np.stack([self._K, *(self._G * tangent)])
            step = self._elements.factorize(stiffness).solve(missing)
            self.factorizations += 1
            share, slack = 1.0, abs(missing @ step)
            while True:
                strains, stress, axes, keep, slope = respond(moved + share * step)
                now = (load - self._elements.forces(stress)) @ step
                # The potential is convex; a step so long that its slope turns round is halved.
                if now > -0.5 * slack or share < 1e-3:
                    break
                share *= 0.5
            moved = moved + share * step
        self._moved, self._strains, self._keep = moved, strains, keep
        self._stress = stress

    def equilibrate(self, active: Solid, swelling: float, out_of_plane: float = 0.0) -> None:
        """Elastic field and stress, with the sites that bear load by the last `find_load`.

        - `active`, `swelling`: as for `find_load`.
        - `out_of_plane`: free strain normal to the plane, of a material that does not creep.
        """
        self.flow(active, swelling, 0.0)
        loaded = self.bears_load
        self.area_strain = self._strains[0]
        self.mean_GPa = np.where(loaded, self._K * (self.area_strain - self._free), 0.0)
        solid = loaded & (self.is_frame | self.is_grain)
        self.shear_GPa = np.where(solid, np.hypot(self._stress[1], self._stress[2]), 0.0)
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
        """One leap of creep, with the sites that bear load by the last `find_load`.

        Returns `events`, `moved`: Events, and portions that moved to another site.
        """
        if not active.creeps:
            return 0, 0
        self.flow(active, swelling, time_s)
        sites = np.flatnonzero(self.is_grain & self.bears_load)
        keep = self._keep.ravel()[sites]
        shears = self._stress[1:3].reshape(2, -1)[:, sites]
        size = np.maximum(np.hypot(*shears), 1e-15)
        along, across = shears / size
        portion = (1.0 + swelling) / PORTIONS
        modulus = shear_modulus_GPa(*active[:2])
        # Shear stress that creep has taken off: 2 G times the strain along an axis.
        flowed = size * np.maximum(1.0 / keep - 1.0, 0.0) / (2.0 * modulus)
        events = rng.poisson(flowed / portion)
        # Portions move into open neighbours on the axis of extension; how many left each site.
        edge, moved = len(self.portions), np.zeros(len(sites), dtype=np.int64)
        room = (self.open_area(swelling) * PORTIONS / (1.0 + swelling)).astype(np.int64).ravel()
        portions = self.portions.reshape(-1)
        x, y = np.divmod(sites, edge)
        # In random order: a direction that is always served first would make the cathode
        # anisotropic.
        for step in rng.permutation(4):
            dx, dy = _STEPS[step]
            a, b = x + dx, y + dy
            inside = (a >= 0) & (a < edge) & (b >= 0) & (b < edge)
            giver = np.flatnonzero(inside & ((along > 0) == (dx != 0)))
            taker = a[giver] * edge + b[giver]
            count = np.minimum(events[giver] - moved[giver], portions[sites[giver]])
            count = np.clip(count, 0, room[taker])  # each taker has one giver in a direction
            portions[sites[giver]] -= count
            portions[taker] += count
            room[taker] -= count
            moved[giver] += count
        strain = self.creep_strain.reshape(4, -1)
        strain[0, sites] += (2 * events - moved) * portion * along
        strain[1, sites] += (2 * events - moved) * portion * across
        bent = self._strains[3:].reshape(2, -1)[:, sites] - strain[2:, sites]
        strain[2:, sites] += (1.0 - keep) * bent
        return int(events.sum()), int(moved.sum())
