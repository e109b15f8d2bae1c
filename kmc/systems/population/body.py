"""The metal as a viscous half-space: how it flows towards the electrolyte where it has contact.

Pressure p on contact moves the surface of a half-space of viscosity η away by p̂/(2ηk) (the elastic
half-space of K. L. Johnson, Contact Mechanics, 1985, §13.2, with E = 3η and ν = 1/2). The velocity
u towards the electrolyte follows what recedes on contact, u = r; under voids the pressure is given,
0 or that of capillarity, and its mean is that of the stack. This is the mixed boundary problem of
the vacancies and of the current with the kernel 1/k, and the same solver takes it.

A gap of radius a under P closes at (2/3) P a³/η in volume (tests/systems/population/test_body.py).
"""

import math
from dataclasses import dataclass

import numpy as np
import scipy

from kmc.model.creep import CreepLaw
from kmc.nuclei.field import Absorbers, Medium, SurfaceField

_TOLERANCE = 1e-3  # as of the vacancies; of the largest velocity some 6e-4
_OPENINGS = 8  # rounds in which contact under too much tension opens
_STILL_MPa = 1e-6  # stress below which the metal does not flow
_CONSTANT = 1e-6  # relative change of a viscosity that counts as one number
_RIGID_MPa_s = 1e30  # viscosity of metal below the threshold of the only branch it has


@dataclass(frozen=True)
class Viscous(CreepLaw):
    """The creep law of the metal, and what its contact bears."""

    #: Tension beyond which contact opens; infinite where it never does.
    adhesion_MPa: float = math.inf
    #: γ of the capillary pressure on the roof of a void, beside the stack pressure.
    surface_energy_J_m2: float = 0.0

    def viscosity_MPa_s(self, stress_MPa: float, radius_um: float = math.inf) -> float:
        """Secant viscosity σ/(3ε̇) at the size of a void."""
        stress = max(stress_MPa, _STILL_MPa)
        return stress / max(3 * self.strain_rate_Hz(stress, radius_um), stress / _RIGID_MPa_s)


@dataclass(frozen=True)
class Flow:
    """Motion of the metal at a moment."""

    velocity_um_s: np.ndarray  #: u, towards the electrolyte; shape (n, n)
    pressure_MPa: np.ndarray  #: on the metal, means over cells; shape (n, n)
    contact: np.ndarray  #: share of each cell on contact, without what has opened; shape (n, n)
    #: η, and then the stress on contact that it belongs to, the mean of the absolute pressure; at
    #: rims the pressure is singular, and its square has no mean.
    viscosity_MPa_s: float
    stress_MPa: float


class Body:
    """A viscous half-space above a periodic square."""

    def __init__(self, law: Viscous, edge_um: float, n_cells: int):
        self.law, self.edge_um = law, edge_um
        # Unit conductance, no sinks: the kernel is 1/k. The mean has any resistance, as it comes
        # out with the unknown mean velocity.
        self._field = SurfaceField(Medium(1.0, 0.0, 0.0, 0.0, math.inf, 1.0), edge_um, n_cells)
        self._mean = (-1.0, edge_um / 8)
        # Answers of late, to begin with.
        self._held, self._uneven = np.zeros((2, n_cells, n_cells))
        self._stress_MPa = 0.0

    def arrays(self) -> dict[str, np.ndarray]:
        names = ("held", "uneven", "stress_MPa")
        return {f"body_{name}": np.array(getattr(self, f"_{name}")) for name in names}

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        self._held, self._uneven = arrays["body_held"].copy(), arrays["body_uneven"].copy()
        self._stress_MPa = float(arrays["body_stress_MPa"])

    def flow(
        self,
        contact: np.ndarray,
        recession_um_s: np.ndarray,
        suction_MPa: np.ndarray,
        P_MPa: float,
        radius_um: float = math.inf,
    ) -> Flow:
        """Velocity and pressure for a map of contact.

        Arrays are (n, n): the share of each cell on contact, some of it above 0; r where there is
        contact; the capillary pressure 2γ/R on roofs, where there are any. P is the mean pressure.
        """
        area = self._field.pitch_um**2
        contact = contact.copy()
        constant = self._constant_viscosity(radius_um)
        for _ in range(_OPENINGS):
            cells = np.flatnonzero(contact)
            recedes = recession_um_s.ravel()[cells]
            roofs = -suction_MPa * (1 - contact) * area
            # The problem is linear in its data: with η = 1/2, roofs under suction, which bear the
            # load with the contact, and contact that has to recede at r, by pressures without a
            # mean, which η then scales. Where η does not depend on the stress the two are one. How
            # fast the body moves as a whole is unknown: it follows from the load.
            load = P_MPa * self.edge_um**2 - float(roofs.sum())
            drive = 2 * constant * recedes
            held = self._solved(cells, contact, roofs, drive, self._held, load)
            moved = np.zeros_like(held)
            if not constant:
                moved = self._solved(cells, contact, None, recedes, self._uneven, 0.0)
            self._held, self._uneven = held, moved
            still, forced = held.ravel()[cells] / area, moved.ravel()[cells] / area
            share = contact.ravel()[cells]
            stress, viscosity = self._stress(still, forced, float(share.sum()), radius_um)
            self._stress_MPa = stress
            if constant and abs(viscosity / constant - 1) > _CONSTANT:
                constant = 0.0  # the stress has left the range in which it was
                continue
            on = still + 2 * viscosity * forced
            # Cells under too much tension open together, and the rest is solved again without them.
            torn = on < -self.law.adhesion_MPa * share
            if not torn.any() or torn.all():
                break
            contact.ravel()[cells[torn]] = 0.0
        pressure = roofs / area
        pressure.ravel()[cells] += on
        # As a whole the body moves so that contact recedes as given, in its mean.
        loads = (pressure * area).astype(np.float32)  # single precision: 1e-6 of a velocity
        free = self._field.convolved(loads, 0.0).astype(float)
        level = float((share * (2 * viscosity * recedes + free.ravel()[cells])).sum())
        level /= float(share.sum())
        velocity = (level - free) / (2 * viscosity)
        return Flow(velocity, pressure, contact, viscosity, stress)

    def _constant_viscosity(self, radius_um: float) -> float:
        """η where it is one number for stresses of a third to three times the last; else 0."""
        if not self._stress_MPa:
            return 0.0
        ends = (self._stress_MPa / 3, 3 * self._stress_MPa)
        low, high = (self.law.viscosity_MPa_s(stress, radius_um) for stress in ends)
        return low if abs(high / low - 1) < _CONSTANT else 0.0

    def _solved(
        self,
        cells: np.ndarray,
        contact: np.ndarray,
        given: np.ndarray | None,
        values: np.ndarray,
        guess: np.ndarray,
        total: float,
    ) -> np.ndarray:
        """Loads on contact, `total` in sum, that with the given ones move it by −values: (n, n).

        But for the motion of the body as a whole, which the sum decides.
        """
        none = np.zeros(0)
        absorbers = Absorbers(cells, contact.ravel()[cells], values, none, none, none, none)
        begin = (guess.ravel()[cells], none)
        grid = np.zeros(contact.shape) if given is None else -given
        out = np.zeros(contact.shape)
        solution = self._field.solve(grid, self._mean, absorbers, begin, _TOLERANCE, True, total)
        out.ravel()[cells] = solution.cell_per_s
        return out

    def _stress(
        self, still: np.ndarray, forced: np.ndarray, area: float, radius_um: float
    ) -> tuple[float, float]:
        """Stress and secant viscosity that belong together: mean |still + 2η forced| = σ(η)."""

        def excess(log_stress: float) -> float:
            eta = self.law.viscosity_MPa_s(math.exp(log_stress), radius_um)
            return math.exp(log_stress) - float(np.abs(still + 2 * eta * forced).sum()) / area

        # σ rises and η falls with the logarithm: one crossing.
        low, high = math.log(_STILL_MPa), math.log(1e6)
        at_rest = excess(low) > 0
        found = low if at_rest else scipy.optimize.brentq(excess, low, high, xtol=1e-9)
        stress = math.exp(found)
        return stress, self.law.viscosity_MPa_s(stress, radius_um)
