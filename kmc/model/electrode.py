"""A metal at given conditions: its energies, its charge transfer and its creep."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from kmc.common.units import A_per_um, K_B_eV, MICRO_eV
from kmc.kernels import tables
from kmc.model import creep, electrochemistry
from kmc.model.hamiltonian import LI, N_INTERFACE_LAYERS, Hamiltonian, calibrate, total_energy_ueV
from kmc.model.interphase import Interphase
from kmc.model.lattice import Lattice
from kmc.model.parameters import ParameterSet
from kmc.model.sinks import sink_distance


@dataclass(frozen=True)
class Electrode:
    """A metal at given conditions: its energies, its charge transfer and its creep.

    A run file hands on the keys of [conditions] and [acceleration] that have the name of a field.
    """

    lattice: Lattice
    parameters: ParameterSet
    temperature_K: float
    # Above 0 atoms are stripped, below 0 ions are plated, 0 switches both off.
    current_density_mA_cm2: float = 0.0
    # Metal from the interface to the perfect sink of vacancies; λ of the interface and 1/κ of the
    # metal as sinks (`sink_distance`). Where all three are infinite the reservoir is closed.
    electrode_thickness_um: float = math.inf
    sink_length_um: float = math.inf
    sink_depth_um: float = math.inf
    # λ, share of the differences in binding that oxidation feels; reduction feels the rest.
    strip_weight_lambda: float = 0.5
    # Mg in the metal above the box, which refills absorbed vacancies and closed voids. With
    # `dragged_mg` they bring the share of Mg that they move on a way to a distant sink: `mg_drag`
    # times that fraction.
    reservoir_mg_fraction: float = 0.0
    dragged_mg: bool = False
    # Barrier raising (Chatterjee and Voter, J. Chem. Phys. 132, 194101 (2010),
    # doi:10.1063/1.3409606), at most one of the three; exact rates without. The lowest barrier of a
    # hop and its reverse, the ratio of hops to strips that it follows from, or the factor by which
    # hops of the lowest barrier E0 of the set are slowed at ΔE = 0.
    saddle_floor_eV: float | None = None
    max_hops_per_strip_per_site: float | None = None
    slow_down_by: float | None = None
    # With raised barriers, the largest share that the box may have in the resistance between the
    # interface and the sink of vacancies; it sets the lowest barrier of lone vacancies.
    box_resistance_share: float = 0.2
    # Largest difference of S along the interface that the slowed hops of lone vacancies between L1
    # and L2 may cause; None leaves them the floor of all hops.
    lateral_supersaturation: float | None = None
    mg_exchange: bool = False  # Mg and Li beside it change places as unslowed vacancies would do it
    stack_pressure_MPa: float = 0.0  # under which the metal creeps; 0 switches creep off
    overpotential_V: float | None = None  # held instead of a current
    # Edge of the square of the cell that the box stands for in the constriction of the current; by
    # default it is the box as it is.
    pattern_um: float | None = None
    # Everything in series with the interface: the electrolyte's thickness over κ, the other
    # electrode.
    series_resistance_ohm_cm2: float = 0.0
    exchange: bool = False  # at a given current, strip and plate what is exchanged beyond it, too
    interphase: Interphase | None = None  # chemistries; by default all is that of `parameters`
    # Reference rate of the bins of the selection; no result depends on it. By default just above
    # the total rate of a lone vacancy in the bulk, the most frequent rate.
    bin_unit_Hz: float | None = None
    superbasins: bool = False  # draw the walk of the only vacancy at once (`kernels.lone_vacancy`)
    # Keep the weights of plating although the drive at the start does not plate: an engine is then
    # free to change its drive (`Engine.set_drive`).
    plating: bool = False
    # A voltage or a pressure comes later: the event loop has its part for that compiled at the
    # start, instead of being compiled again.
    holds_voltage: bool = False
    creeps: bool = False

    @cached_property
    def hamiltonian(self) -> Hamiltonian:
        return calibrate(self.parameters, self.lattice)

    @cached_property
    def hamiltonians(self) -> list[Hamiltonian]:
        """One for each chemistry of the interface; they differ in φ alone."""
        sets = self.interphase.parameters[1:] if self.interphase else ()
        return [self.hamiltonian, *(calibrate(parameters, self.lattice) for parameters in sets)]

    def energy_ueV(self, occupancy: np.ndarray) -> int:
        """H of a configuration, summed bond by bond, each site with its own chemistry."""
        chemistry = self.interphase.chemistry if self.interphase else None
        return total_energy_ueV(self.hamiltonians, chemistry, occupancy, self.lattice)

    @property
    def kT_ueV(self) -> float:
        return K_B_eV * self.temperature_K * MICRO_eV

    def boltzmann(self, energy_ueV: float) -> float:
        """exp(−E/kT)."""
        return math.exp(-energy_ueV / self.kT_ueV)

    @property
    def attempt_frequency_Hz(self) -> float:
        """ν exp(S_f/k), prefactor of every hop; ν where the set has no entropy.

        A box holds lone vacancies at exp(−E_f/kT), without the entropy, and hops them the more
        often: what they carry at a given S is the product and stays right, and so does detailed
        balance with clusters, whose weights know no such entropy (`ParameterSet.entropy_factor`).
        """
        nu_Hz = self.parameters.value("attempt_frequency_Hz")
        return nu_Hz * self.parameters.entropy_factor

    @cached_property
    def barriers_ueV(self) -> np.ndarray:
        """E0 of Li, Li beside Mg, Mg; int64 of shape (3,), or (1,) without Mg in the set."""
        keys = ["barrier_Li_eV"]
        if "Mg" in self.parameters.species:
            keys += ["barrier_Li_near_Mg_eV", "barrier_Mg_eV"]
        return np.array([round(self.parameters.value(key) * MICRO_eV) for key in keys])

    @property
    def has_interface(self) -> bool:
        return self.lattice.has_interface

    @property
    def n_classes_used(self) -> int:
        return N_INTERFACE_LAYERS if self.has_interface else 0

    def site_binding_ueV(self, species: int) -> np.ndarray:
        """Binding of an atom among Li by 4 * chemistry + class; class 0 is the bulk."""
        bulk = self.hamiltonian.bulk_binding_ueV(species)
        layers = range(1, self.n_classes_used + 1)
        rows = []
        for h in self.hamiltonians:
            values = [bulk] + [h.binding_ueV(species, layer) for layer in layers]
            rows += values + [bulk] * (tables.N_CLASSES - len(values))
        return np.array(rows, dtype=np.int64)

    @property
    def strip_reference_ueV(self) -> int:
        """Binding of a Li atom in a perfect, pure L1 of chemistry 0."""
        return int(self.site_binding_ueV(LI)[1])

    @property
    def kink_ueV(self) -> int:
        """Binding of Li at a kink of the bulk, half that of a bulk atom."""
        return round(self.hamiltonian.kink_binding_ueV)

    @property
    def drive(self) -> electrochemistry.Drive:
        """What drives charge transfer at the start."""
        return electrochemistry.Drive(self.current_density_mA_cm2, self.overpotential_V)

    @property
    def plates(self) -> bool:
        """Whether ions are ever reduced, so that the weights of vacant sites are needed."""
        given = self.plating or self.exchange or self.current_density_mA_cm2 < 0
        return self.has_interface and (given or self.overpotential_V is not None)

    @property
    def exchange_current_density_mA_cm2(self) -> float:
        return self.parameters.value("exchange_current_density_mA_cm2")

    @property
    def thermal_V(self) -> float:
        """kT/(ze)."""
        return electrochemistry.thermal_voltage_V(self.temperature_K, self.parameters.valence)

    def rate_per_site_Hz(self, current_density_mA_cm2: float) -> float:
        """Atoms of a current per second and L1 site: j A/(ze) over the sites."""
        given = (current_density_mA_cm2, self.lattice.site_area_A2, self.parameters.valence)
        return electrochemistry.strip_rate_Hz(*given)

    @property
    def exchange_rate_per_site_Hz(self) -> float:
        """Rate at which an atom of a flat, pure L1 is oxidised at η = 0."""
        return self.rate_per_site_Hz(self.exchange_current_density_mA_cm2)

    @property
    def alpha(self) -> float:
        """α, share of the overpotential that drives oxidation."""
        key = "charge_transfer_coefficient"
        return self.parameters.value(key) if self.parameters.has(key) else 0.5

    @property
    def strip_rate_per_site_Hz(self) -> float:
        """Atoms stripped per second and L1 site, negative if plated.

        Where a voltage is held instead of a current it is what the flat, pure interface would pass
        in equilibrium with the metal's kinks.
        """
        if self.overpotential_V is None:
            return self.rate_per_site_Hz(self.current_density_mA_cm2)
        forward, backward = self._factors(self.overpotential_V)
        return self.exchange_rate_per_site_Hz * (forward - backward)

    def _factors(self, overpotential_V: float) -> tuple[float, float]:
        """Factors of oxidation and of reduction at an overpotential."""
        return electrochemistry.charge_transfer_factors(overpotential_V, self.thermal_V, self.alpha)

    def steady_rate_per_site_Hz(self, overpotential_V: float) -> float:
        """Net strips per second and L1 site of a flat interface held at η, in the steady state.

        k (f − S b) with S = 1 + what this flux builds up on its way to the sinks; in a closed
        electrode, which has no steady state, that of S = 1.
        """
        k_Hz = self.exchange_rate_per_site_Hz
        forward, backward = self._factors(overpotential_V)
        # The flux itself raises S: solved at once, as it is linear in the flux.
        built_up_s = 0.0  # S − 1 per flux
        if math.isfinite(self.sink_distance_um):
            bulk = self.boltzmann(self.hamiltonian.bulk_formation_ueV)
            distance_A2 = self.sink_distance_A * self.lattice.layer_spacing_A
            built_up_s = distance_A2 / (self.vacancy_diffusivity_A2_s * bulk)
        return k_Hz * (forward - backward) / (1.0 + k_Hz * backward * built_up_s)

    @property
    def strip_rate_Hz(self) -> float:
        return self.strip_rate_per_site_Hz * self.lattice.sites_per_layer

    def charge_transfer_rates_Hz(self, overpotential_V: float) -> tuple[float, float]:
        """Rates of oxidation and of reduction at weight 1 (`sums_of_weights` of the kernels).

        With w_i = exp[−λ (B_i − B_ref)/kT] and v_i = exp[(1 − λ)(B_i − B_ref)/kT] site i has
        r_ox = k w_i exp[α zeη/kT] and r_red = k v_i exp[(B_ref − B_k)/kT] exp[−(1 − α) zeη/kT], so
        that r_ox/r_red = exp[(zeη − (B_i − B_k))/kT], B_k being the binding at a kink of the bulk.
        """
        forward, backward = self._factors(overpotential_V)
        rate = self.exchange_rate_per_site_Hz
        to_kink = math.exp((self.strip_reference_ueV - self.kink_ueV) / self.kT_ueV)
        return rate * forward, rate * to_kink * backward

    @property
    def conductivity_mS_cm(self) -> float | None:
        """κ of the electrolyte at this temperature; None where the set does not give it."""
        values = self.parameters
        if not values.has("electrolyte_conductivity_mS_cm"):
            return None
        activation_eV = 0.0
        if values.has("electrolyte_activation_eV"):
            activation_eV = values.value("electrolyte_activation_eV")
        return electrochemistry.conductivity_mS_cm(
            values.value("electrolyte_conductivity_mS_cm"), activation_eV, self.temperature_K
        )

    def charge_transfer(self) -> dict[str, float | None]:
        """Everything the overpotential follows from besides the state of the box, JSON-able."""
        values = self.parameters
        exchange, conductivity = self.exchange_current_density_mA_cm2, self.conductivity_mS_cm
        rim = "rim_exchange_weight"
        wagner = None
        if conductivity is not None:
            wagner = electrochemistry.wagner_length_um(
                conductivity, exchange, self.temperature_K, values.valence
            )
        return {
            "exchange_current_density_mA_cm2": exchange,
            "alpha": self.alpha,
            "lattice_parameter_A": self.lattice.lattice_parameter_A,
            "strip_weight_lambda": self.strip_weight_lambda,
            "kink_binding_eV": self.kink_ueV / MICRO_eV,
            "flat_binding_eV": self.strip_reference_ueV / MICRO_eV,
            "conductivity_mS_cm": conductivity,
            "wagner_length_um": wagner,
            "pattern_um": self.pattern_um,
            "pattern_scale": self.pattern_scale,
            "rim_exchange_weight": values.value(rim) if values.has(rim) else None,
            "series_resistance_ohm_cm2": self.series_resistance_ohm_cm2,
        }

    @property
    def pattern_scale(self) -> float:
        """Length of the cell's contact pattern over that of the box, 1 unless it is given."""
        if self.pattern_um is None:
            return 1.0
        return self.pattern_um * A_per_um / math.sqrt(self.lattice.area_A2)

    def effective_area(self, contact_fraction: float, rim_per_A: float) -> float:
        """Share of the area that carries charge transfer: the contact, and its rim.

        The rim counts where the length of the pattern is given; at the scale of the box, a few
        nanometres, its weight is that of the box and of no cell.
        """
        key = "rim_exchange_weight"
        if self.pattern_um is None or not self.parameters.has(key):
            return contact_fraction
        return electrochemistry.effective_area(
            contact_fraction,
            self.parameters.value(key),
            self.lattice.lattice_parameter_A,
            rim_per_A / self.pattern_scale,
        )

    def pressure_MPa(self, drive: electrochemistry.Drive | None = None) -> float:
        """Stack pressure under a drive: its own, or that of the run."""
        own = None if drive is None else drive.stack_pressure_MPa
        return self.stack_pressure_MPa if own is None else own

    def local_stress_MPa(
        self, vacant_L1: int, drive: electrochemistry.Drive | None = None
    ) -> float:
        """Stress in the metal left in contact when so many sites of L1 are vacant."""
        pressure_MPa = self.pressure_MPa(drive)
        if pressure_MPa == 0.0:
            return 0.0
        contact = 1.0 - vacant_L1 / self.lattice.sites_per_layer
        limit = self.parameters.value("creep_stress_limit_MPa")
        return creep.local_stress_MPa(pressure_MPa, contact, limit)

    def closure_rate_Hz(
        self, contact_fraction: float, drive: electrochemistry.Drive | None = None
    ) -> float:
        """Rate at which creep closes one void vacancy: 1.5 ε̇ at the stress of this contact.

        Its size is that of one void over all of the contact that is lost.
        """
        void_A2 = max(1.0 - contact_fraction, 0.0) * self.lattice.area_A2
        radius_um = 1e-4 * math.sqrt(max(void_A2, self.lattice.site_area_A2) / math.pi)
        pressure = self.pressure_MPa(drive)
        return creep.closure_rate_Hz(
            self.parameters, pressure, contact_fraction, self.temperature_K, radius_um
        )

    @property
    def vacancy_diffusivity_A2_s(self) -> float:
        """D_v = a² ν exp(−E0/kT) of a lone vacancy in Li, not slowed, Å²/s."""
        a_A = self.lattice.lattice_parameter_A
        return a_A**2 * self.attempt_frequency_Hz * self.boltzmann(self.barriers_ueV[0])

    @property
    def sink_distance_um(self) -> float:
        """Λ: distance of one perfect sink with the resistance of all; infinite closes the box.

        The box is nanometres high and λ micrometres long, so that S is the same on either side of
        it: the sink of the interface is put into the reservoir, in parallel with the metal's. It
        counts as if all of the interface were in contact, whatever voids the box holds.
        """
        return sink_distance(self.electrode_thickness_um, self.sink_length_um, self.sink_depth_um)

    @property
    def sink_distance_A(self) -> float:
        """`sink_distance_um` in Å."""
        return self.sink_distance_um * A_per_um
