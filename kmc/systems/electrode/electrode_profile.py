"""Vacancies stored in the electrode behind a box: one-dimensional diffusion up to the sinks.

At true rates the supersaturation S of the interface and of the metal behind it follow

    C ∂S/∂t = J − K/λ (S − 1) + K ∂S/∂z at z = 0,   ρ c_eq ∂S/∂t = K [∂²S/∂z² − κ² (S − 1)]

with K = ρ D_v c_eq, C what lone vacancies of the first layers hold per unit of S, J the strips of a
site, S = 1 at the end of the metal, λ and 1/κ the other sinks (`kmc.model.sinks`). Where a void
stands, S at z = 0 is that of the void, and what flows into the metal is taken from it. Implicit in
time; all numbers are for one site of the interface.
"""

import numpy as np
from scipy.linalg.lapack import dgtsv

from kmc.model.model import Model
from kmc.nuclei.burst import metal
from kmc.nuclei.capture import VacancyTransport
from kmc.nuclei.surface import Surface

_DEEPEST = 30.0  # lengths 1/κ of metal that count
_FARTHEST_um = 1e4  # as thick as metal need be beside a sink in the interface


class ElectrodeProfile:
    """S of the interface and of layers of the metal.

    - `model`: its metal, temperature, thickness and sinks.
    - `stored`: C, vacancies per unit of S and site of the interface that stand in the first layers.
    - `activity` (float64 array): S of the interface, then of each layer.
    """

    def __init__(self, model: Model, stored: float):
        surface = Surface(
            model.parameters, model.lattice.unit_cell.name, model.temperature_K,
            mg_fraction=model.reservoir_mg_fraction,
        )  # fmt: skip
        transport = VacancyTransport(surface)
        thickness_um = min(
            model.electrode_thickness_um, _DEEPEST * model.sink_depth_um, _FARTHEST_um
        )
        depths = metal(
            transport.diffusivity_cm2_s,
            transport.site_density_cm3 * transport.bulk_vacancies,
            thickness_um * 1e-4,
            model.sink_length_um * 1e-4,
            model.sink_depth_um * 1e-4,
        )
        per_site = 1.0 / transport.L1_density_cm2
        self.held = np.concatenate(([stored], depths.held * per_site))
        self.conductance_Hz = depths.conductance * per_site
        self.lost_Hz = np.concatenate(([depths.lost_at_interface], depths.lost)) * per_site
        self.activity = np.ones(len(self.held))

    @property
    def S(self) -> float:
        return float(self.activity[0])

    @property
    def stored(self) -> float:
        """Vacancies per site of the interface beyond those of equilibrium."""
        return float(self.held @ (self.activity - 1.0))

    def step(self, dt_s: float, source: float = 0.0, S: float | None = None) -> float:
        """Go on by a time; returns the vacancies that a site of the interface gave to the metal.

        - `source`: vacancies made per site in this time, where S of the interface is a result.
        - `S`: of the interface, held, with a void there.
        """
        g = self.conductance_Hz * dt_s
        lost = self.lost_Hz * dt_s
        # Neighbours: interface, layers, and the sink at S = 1 behind the last.
        diagonal = self.held + lost
        diagonal[:-1] += g[:-1]
        diagonal[1:] += g[:-1]
        diagonal[-1] += g[-1]
        right = self.held * self.activity + lost
        right[-1] += g[-1]
        right[0] += source
        upper, lower = -g[:-1], -g[:-1]
        if S is not None:
            diagonal[0], upper[0], right[0] = 1.0, 0.0, S
        before = float(self.held[1:] @ self.activity[1:])
        self.activity = dgtsv(lower, diagonal, upper, right)[3]
        if S is None:
            return source
        # What the metal holds more, and what its sinks took: a difference across the first thin
        # layer would lose all digits.
        gained = float(self.held[1:] @ self.activity[1:]) - before
        taken = float(lost @ (self.activity - 1.0)) + g[-1] * (float(self.activity[-1]) - 1.0)
        return gained + taken
