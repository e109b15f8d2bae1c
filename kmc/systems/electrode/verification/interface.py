"""The interface of a frame by itself: weights, balance of the sites, constriction, rims.

Written from the energies alone; nothing of the event loop takes part.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np

from kmc.common.units import A_per_nm, K_B_eV, MICRO_eV
from kmc.model import electrochemistry
from kmc.model.constriction import Rim, Spreading
from kmc.model.hamiltonian import LI, MG, VACANCY, Hamiltonian
from kmc.model.lattice import Lattice


class InterfaceColumns:
    """Columns of a sample that follow from the occupancy of its frame.

    - `hamiltonians`: one for each chemistry.
    - `chemistry` (ndarray, shape (sites_per_layer,))
    - `settings`: ``charge_transfer`` of what the file holds as `resolved`.
    - `valence`: electrons an atom.
    """

    def __init__(
        self,
        lattice: Lattice,
        hamiltonians: list[Hamiltonian],
        chemistry: np.ndarray,
        settings: Mapping[str, Any],
        temperature_K: float,
        valence: int,
    ):
        self.lattice, self.settings, self.temperature_K = lattice, settings, temperature_K
        self.thermal_V = electrochemistry.thermal_voltage_V(temperature_K, valence)
        self._n = lattice.sites_per_layer
        sites = np.arange(2 * self._n)
        self._near = [lattice.neighbours(sites, shell) for shell in (1, 2)]
        self._bonds = (hamiltonians[0].bond1, hamiltonians[0].bond2)
        self._chi = hamiltonians[0].chi
        self._shells = (1, 2) if np.any(self._bonds[1]) else (1,)
        layer = 1 + sites // self._n
        kind = np.asarray(chemistry).ravel()[sites % self._n]
        phi = np.array([h.phi[LI, 1:3] for h in hamiltonians])
        self._phi = phi[kind, layer - 1]

    @cached_property
    def _spreading(self) -> Spreading:
        return Spreading(self.lattice)

    @cached_property
    def _rim(self) -> Rim:
        return Rim(self.lattice)

    def _counts(
        self, occupancy: np.ndarray, shell: int, species: int, layer: int | None = None
    ) -> np.ndarray:
        """Neighbours of every site of L1 and L2 that hold a species, in one layer or in all."""
        near = self._near[shell - 1]
        matches = (near >= 0) & (occupancy[near] == species)
        if layer is not None:
            matches &= near // self._n == layer - 1
        return matches.sum(axis=1)

    def weights(
        self, occupancy: np.ndarray, reached: np.ndarray | None = None
    ) -> tuple[float, float]:
        """Σ exp[−λ (B − B_ref)/kT] over what strips, Σ exp[(1 − λ)(B − B_ref)/kT] where it plates.

        - `occupancy` (array of uint8, shape (n_sites,))
        - `reached` (array of bool, shape (2 sites_per_layer,)): sites that take part where dead
          lithium is spared (`Collector.reached`).
        """
        here = occupancy[: 2 * self._n]
        binding = -self._phi.astype(float)
        metal = np.zeros(here.size, dtype=int)
        for shell in (1, 2):
            for species in (LI, MG):
                number = self._counts(occupancy, shell, species)
                binding += self._bonds[shell - 1][LI, species] * number
                if shell in self._shells:
                    metal += number
        first = np.arange(here.size) < self._n
        # An atom that leaves L1 beside Mg of L2 leaves a pair behind, which has the energy χ.
        binding += np.where(first, self._chi * self._counts(occupancy, 1, MG, layer=2), 0)
        meets = (first | (self._counts(occupancy, 1, MG, layer=1) > 0)) & (metal > 0)
        if reached is not None:
            meets &= reached
        kT = K_B_eV * self.temperature_K
        # Against a flat L1, so that an atom of it has the weight 1.
        excess = (binding / MICRO_eV - self.settings["flat_binding_eV"]) / kT
        share = self.settings["strip_weight_lambda"]
        strips = np.exp(-share * excess[meets & (here == LI)]).sum()
        plates = np.exp((1 - share) * excess[meets & (here == VACANCY)]).sum()
        return float(strips), float(plates)

    def columns(
        self,
        occupancy: np.ndarray,
        current_density_mA_cm2: float,
        reached: np.ndarray | None = None,
    ) -> dict[str, float]:
        """Weights, rims, constriction, and the overpotential that balances the sites."""
        settings = self.settings
        contact = occupancy[: self._n] != VACANCY
        rim_per_A = self._rim.length_per_area_per_A(contact)
        strips, plates = self.weights(occupancy, reached)
        out = {"strip_weight": strips / self._n, "rim_per_nm": rim_per_A * A_per_nm}
        if current_density_mA_cm2 == 0.0:
            return out
        resistance = 0.0
        if settings["conductivity_mS_cm"] is not None:
            resistance = electrochemistry.spreading_resistance_ohm_cm2(
                self._spreading.length_A(contact) * settings["pattern_scale"],
                settings["conductivity_mS_cm"],
            )
        out["overpotential_constriction_V"] = electrochemistry.drop_V(
            current_density_mA_cm2, resistance
        )
        # Weights are against a flat L1, and reduction against a kink of the bulk.
        to_kink = settings["flat_binding_eV"] - settings["kink_binding_eV"]
        out["overpotential_sites_V"] = electrochemistry.net_rate_overpotential_V(
            current_density_mA_cm2 / settings["exchange_current_density_mA_cm2"],
            strips / self._n,
            plates / self._n * float(np.exp(to_kink / (K_B_eV * self.temperature_K))),
            self.thermal_V,
            settings["alpha"],
        )
        return out
