"""How vacancies reach a void: through the metal and along the interface.

Vacancies of activity S (S = 1 in equilibrium with kinks of the bulk) diffuse in the metal with the
conductance per length K = ρ D_v c_eq and along the interface with the sheet conductance
K_i = N_s D_i c_i. In Fourier space a source J(k) on the interface of a half-space raises the
activity by J / (K k + K_i k²). A void that stands on a disc of radius R takes up

    G(R) (S − S_eq)        vacancies per second,

G → 4 K R for discs that are large against λ = K_i/K (a disc on a half-space, Weber's), and
G → 2π K_i / ln(2λ/(e^γ R)) for small ones, which are fed along the interface: γ = 0.577.
Diffusivities are the true ones: the saddle floor of the event loop plays no part unless it is asked
for.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from kmc.common.units import MICRO_eV
from kmc.errors import InputError
from kmc.kernels import cluster_sites as kernel
from kmc.model.electrochemistry import flux_per_cm2_s
from kmc.nuclei.spreading import disc_resistance_s
from kmc.nuclei.surface import Surface

_SPACING_CM = 1e-4  # of voids, for the sum of two conductances: 1 µm
CAPTURES = ("field", "sum")


@dataclass(frozen=True)
class VacancyTransport:
    """Equilibrium concentrations and mobilities of vacancies at one interface and temperature.

    No hop with an end in L1 or L2 has a barrier below `floor_eV`, the raised barriers of an event
    loop to compare with; 0: true rates. `capture` is "field", G(R) of the mixed boundary problem,
    or "sum", 4 K R + 2π K_i / ln(ℓ/R), metal and interface side by side, with ℓ the distance
    between voids, `spacing_cm`.
    """

    surface: Surface
    floor_eV: float = 0.0
    capture: str = "field"
    spacing_cm: float = _SPACING_CM

    def __post_init__(self):
        if self.capture not in CAPTURES:
            raise InputError(
                f"capture = {self.capture!r} is not known",
                advice=f"Choose one of {', '.join(CAPTURES)}.",
            )

    def _boltzmann(self, energy_ueV):
        return np.exp(-np.asarray(energy_ueV, dtype=float) / self.surface.kT_ueV)

    @property
    def attempt_frequency_Hz(self) -> float:
        return self.surface.parameters.value("attempt_frequency_Hz")

    @property
    def lattice_parameter_cm(self) -> float:
        return self.surface.probe.lattice_parameter_A * 1e-8

    @property
    def barrier_ueV(self) -> float:
        return self.surface.parameters.value("barrier_Li_eV") * MICRO_eV

    @property
    def site_density_cm3(self) -> float:
        """ρ, atoms per volume: 2/a³."""
        return 1.0 / self.surface.site_volume_cm3

    @property
    def L1_density_cm2(self) -> float:
        """N_s, L1 sites per area."""
        return 1.0 / self.surface.site_area_cm2

    @property
    def diffusivity_cm2_s(self) -> float:
        """D_v = a² ν exp(−E0/kT) of a vacancy in the metal."""
        hop_Hz = self.attempt_frequency_Hz * self._boltzmann(self.barrier_ueV)
        return float(self.lattice_parameter_cm**2 * hop_Hz)

    @cached_property
    def bulk_vacancies(self) -> float:
        """c_eq, vacancies per site of the bulk at S = 1; with Mg its mean over arrangements."""
        c_eq = float(self._boltzmann(self.surface.formation_ueV[-1]))
        return c_eq * self._mg_factor(layer=6) * self.surface.parameters.entropy_factor

    @cached_property
    def L1_vacancies(self) -> float:
        """c_i, lone vacancies per L1 site at S = 1 (Z_1, but for the entropy)."""
        c_eq = float(self._boltzmann(self.surface.formation_ueV[0]))
        return c_eq * self._mg_factor(layer=0) * self.surface.parameters.entropy_factor

    def _mg_factor(self, layer: int) -> float:
        """Mean over Mg of the Boltzmann factor of a lone vacancy, and the chance to find Li."""
        surface = self.surface
        if not surface.has_mg:
            return 1.0
        # Metals mix ideally, so that the mean over arrangements is a product over the neighbours.
        log_mg = surface.log_mg
        factor = 1.0 - (surface.mg_fraction if layer else surface.mg_coverage)
        for j, up in enumerate(surface.steps[:, 2]):
            if layer + up < 0:  # the electrolyte
                continue
            code = kernel.SECOND if j >= kernel.N_FIRST else kernel.FIRST
            if layer == 0 and j < kernel.N_FIRST:
                code += kernel.INTERFACE
            factor *= math.exp(log_mg[min(layer + up, 2), code])
        return factor

    @property
    def bulk_conductance_per_cm_s(self) -> float:
        """K = ρ D_v c_eq, vacancies per cm and s and unit of S."""
        return self.site_density_cm3 * self.diffusivity_cm2_s * self.bulk_vacancies

    @cached_property
    def interface_diffusivity_cm2_s(self) -> float:
        """D_i of a vacancy that lives in L1, the geometric mean of both directions.

        Every hop with an end in L1 counts with its equilibrium rate and the square of its step
        along the interface. At each site the steps of one kind cancel, so steps are uncorrelated
        and D_i = Σ rate · step²/4 is exact; on bcc (100), by L2 and back, ν a² exp(−0.15 eV/kT).
        """
        tensor = np.zeros((2, 2))
        surface = self.surface
        energy = surface.formation_ueV
        hops_Hz = self.attempt_frequency_Hz
        up_of, plane_of = surface.steps[:, 2], surface.vectors[:, :2] * self.lattice_parameter_cm
        for up, plane in zip(up_of[: kernel.N_FIRST], plane_of, strict=False):
            if up < 0:
                continue
            change = energy[min(up, len(energy) - 1)] - energy[0]
            saddle = max(self.barrier_ueV + change / 2, change, 0.0)
            floor = self.floor_eV * MICRO_eV
            # Both ways are raised alike, as the event loop does: detailed balance stays.
            saddle += max(0.0, floor - min(saddle, saddle - change))
            # A hop and its reverse; within L1 both stand in the list already.
            both = 2.0 if up else 1.0
            rate = both * hops_Hz * float(self._boltzmann(saddle))
            # A tensor, as steps of faces other than (100) differ by direction.
            tensor += 0.5 * rate * np.outer(plane, plane)
        # What Mg in L1 leaves of it, in an effective medium: two L1 sites below one L2 site, beside
        # each other or across, are joined, so that Li paths through L1 end at a coverage of 0.593.
        # The way through deeper layers is left to K.
        open_share = max(1e-6, 1.0 - surface.mg_coverage / 0.593)
        return math.sqrt(np.linalg.det(tensor)) * open_share

    @property
    def sheet_conductance_per_s(self) -> float:
        """K_i = N_s D_i c_i, vacancies per s and unit of S."""
        return self.L1_density_cm2 * self.interface_diffusivity_cm2_s * self.L1_vacancies

    @property
    def sheet_length_cm(self) -> float:
        """λ = K_i/K: discs smaller than this are fed along the interface."""
        return self.sheet_conductance_per_s / self.bulk_conductance_per_cm_s

    def conductance_per_s(self, radius_cm):
        """G(R): vacancies per second and unit of S that discs of these radii take up."""
        radius_cm = np.asarray(radius_cm, dtype=float)
        K, K_i = self.bulk_conductance_per_cm_s, self.sheet_conductance_per_s
        if self.capture == "sum":
            # The logarithm of a plane has no meaning for discs as wide as their distance.
            apart = np.maximum(self.spacing_cm / radius_cm, math.e)
            return 4 * K * radius_cm + 2 * math.pi * K_i / np.log(apart)
        return 1 / disc_resistance_s(radius_cm, K, K_i)

    def supersaturation(self, current_mA_cm2: float, distance_cm: float) -> float:
        """S at the interface in the steady state without voids: 1 + j Λ / (z e K).

        Λ is the distance of the perfect sink that takes up as much as all (`sink_distance`).
        """
        flux = flux_per_cm2_s(current_mA_cm2, self.surface.parameters.valence)
        return 1.0 + flux * distance_cm / self.bulk_conductance_per_cm_s
