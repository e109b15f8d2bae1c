"""A model at given conditions, and the tables the kernels run on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from kmc import electrochemistry, mechanics, rate_tables
from kmc.assembly import KernelLattice
from kmc.errors import InputError
from kmc.hamiltonian import (
    LI,
    MG,
    N_INTERFACE_LAYERS,
    VACANCY,
    Hamiltonian,
    calibrate,
    total_energy_ueV,
)
from kmc.interphase import Interphase
from kmc.kernels import selection, tables
from kmc.lattice import Lattice
from kmc.modelchecks import check
from kmc.parameters import ParameterSet
from kmc.rate_tables import activation_energy_ueV
from kmc.units import K_B_eV, MICRO_eV

_UNIT_MARGIN = 1e-9  # keeps the commonest rate safely inside its bin


@dataclass(frozen=True)
class Model:
    """Rates of every process on a lattice at given conditions.

    Parameters
    ----------
    lattice : Lattice
    parameters : ParameterSet
    temperature_K : float
    current_density_mA_cm2 : float
        0 switches stripping off.
    electrode_thickness_um : float
        Distance from the box to the sink of vacancies; infinite closes the reservoir.
    strip_weight_lambda : float
        λ in w = exp(−λ (B − B_ref)/kT).
    reservoir_mg_fraction : float
        Mg fraction of the metal that refills absorbed vacancies.
    saddle_floor_eV, max_hops_per_strip_per_site : float, optional
        Acceleration (at most one of them); absent: exact rates.
    stack_pressure_MPa : float
        Pressure under which the metal creeps; 0 switches creep off.
    overpotential_V : float, optional
        Charge-transfer overpotential held instead of a current.
    interphase : Interphase, optional
        Chemistries of the interface; by default all of it is that of `parameters`.
    bin_unit_Hz : float, optional
        Rate that the selection's bins are counted from; no result depends on it. By default
        just above the total rate of a lone vacancy in the bulk, the commonest rate.
    superbasins : bool
        Draw the walk of a vacancy that is alone in the box at once (`kernels.lone`).
    """

    lattice: Lattice
    parameters: ParameterSet
    temperature_K: float
    current_density_mA_cm2: float = 0.0
    electrode_thickness_um: float = math.inf
    strip_weight_lambda: float = 0.5
    reservoir_mg_fraction: float = 0.0
    saddle_floor_eV: float | None = None
    max_hops_per_strip_per_site: float | None = None
    stack_pressure_MPa: float = 0.0
    overpotential_V: float | None = None
    interphase: Interphase | None = None
    bin_unit_Hz: float | None = None
    superbasins: bool = False

    def __post_init__(self):
        check(self)

    @cached_property
    def hamiltonian(self) -> Hamiltonian:
        return calibrate(self.parameters, self.lattice)

    @cached_property
    def hamiltonians(self) -> list[Hamiltonian]:
        """One for each chemistry of the interface; they differ in φ alone."""
        sets = self.interphase.parameters[1:] if self.interphase else ()
        return [self.hamiltonian, *(calibrate(parameters, self.lattice) for parameters in sets)]

    def energy_ueV(self, occupancy) -> int:
        """H of a configuration, summed bond by bond, each site with its own chemistry."""
        chemistry = self.interphase.chemistry if self.interphase else None
        return total_energy_ueV(self.hamiltonians, chemistry, occupancy, self.lattice)

    @property
    def kT_ueV(self) -> float:
        return K_B_eV * self.temperature_K * MICRO_eV

    @property
    def attempt_frequency_Hz(self) -> float:
        return self.parameters.value("attempt_frequency_Hz")

    @cached_property
    def barriers_ueV(self) -> np.ndarray:
        """E0 of Li, Li beside Mg, Mg; int64 of shape (3,), or (1,) without Mg in the set."""
        keys = ["barrier_Li_eV"]
        if "Mg" in self.parameters.species:
            keys += ["barrier_Li_near_Mg_eV", "barrier_Mg_eV"]
        return np.array([round(self.parameters.value(key) * MICRO_eV) for key in keys])

    # --- the interface and the reservoir ------------------------------------------------------

    @property
    def has_interface(self) -> bool:
        return self.lattice.boundary == "interface"

    @property
    def interface_area_A2(self) -> float:
        return float(self.lattice.box_A[0] * self.lattice.box_A[1])

    @property
    def strip_rate_per_site_Hz(self) -> float:
        """Atoms stripped per second and L1 site: j A/e over the sites.

        Where a voltage is held instead of a current it is what the flat, pure interface would pass.
        """
        current = self.current_density_mA_cm2
        if self.overpotential_V is not None:
            current = self.current_density_at_mA_cm2(self.overpotential_V, 1.0)
        return electrochemistry.strip_rate_Hz(current, self.lattice.site_area_A2)

    def current_density_at_mA_cm2(self, charge_transfer_V: float, mean_weight: float) -> float:
        """Current density of an interface with this mean strip weight at an overpotential."""
        return electrochemistry.current_density_mA_cm2(
            charge_transfer_V,
            self.parameters.value("exchange_current_density_mA_cm2"),
            mean_weight,
            self.temperature_K,
        )

    @property
    def strip_rate_Hz(self) -> float:
        return self.strip_rate_per_site_Hz * self.lattice.sites_per_layer

    @property
    def absorption_rate_Hz(self) -> float:
        """Rate D_v/(d L) at which the reservoir fills an isolated vacancy of the top layer.

        D_v = a² ν exp(−E0/kT) is never slowed by the saddle floor; d is the layer spacing.
        """
        if not self.has_interface or math.isinf(self.electrode_thickness_um):
            return 0.0
        a_A = self.lattice.lattice_parameter_A
        diffusivity = a_A**2 * self.attempt_frequency_Hz * self._boltzmann(self.barriers_ueV[0])
        return diffusivity / (self.lattice.layer_spacing_A * self.electrode_thickness_um * 1e4)

    @property
    def emission_rate_per_site_Hz(self) -> float:
        """Rate at which a top-layer site is offered a vacancy: absorption times exp(−E_f/kT).

        With absorption weighted by the bonds of the vacancy's surroundings (`tables`), every
        exchange with the reservoir obeys detailed balance at the bulk's equilibrium concentration.
        """
        return self.absorption_rate_Hz * self._boltzmann(self.hamiltonian.bulk_formation_ueV)

    def _boltzmann(self, energy_ueV):
        return math.exp(-energy_ueV / self.kT_ueV)

    # --- acceleration ---------------------------------------------------------------------------

    @cached_property
    def floor_ueV(self) -> int:
        """Saddle floor in µeV; 0 leaves every rate exact.

        From a ratio: the floor at which a hop limited by it is `max_hops_per_strip_per_site` times
        as fast as the stripping of one interface site.
        """
        if self.max_hops_per_strip_per_site is not None:
            if self.strip_rate_per_site_Hz <= 0:
                raise InputError(
                    "acceleration.max_hops_per_strip_per_site = "
                    f"{self.max_hops_per_strip_per_site:g} needs a current to compare hops with",
                    advice="Set conditions.current_density_mA_cm2 or overpotential_V above 0, or "
                    "give acceleration.saddle_floor_eV instead.",
                )
            # Logarithms one by one: the product of extreme values leaves the range of numbers.
            fastest = math.log(self.max_hops_per_strip_per_site)
            fastest += math.log(self.strip_rate_per_site_Hz)
            floor = self.kT_ueV * (math.log(self.attempt_frequency_Hz) - fastest)
            return max(0, round(floor))
        return round((self.saddle_floor_eV or 0.0) * MICRO_eV)

    @property
    def fastest_hop_Hz(self) -> float:
        """Rate of a hop without a barrier of its own: ν, or what the saddle floor leaves of it."""
        return self.attempt_frequency_Hz * self._boltzmann(self.floor_ueV)

    def hop_classes(self) -> list[dict]:
        """Hop classes with their barriers at ΔE = 0 and the factor the floor slows them by."""
        names = ("Li", "Li_near_Mg", "Mg")
        classes = []
        for name, barrier in zip(names, self.barriers_ueV, strict=False):
            raised = int(activation_energy_ueV(int(barrier), 0, self.floor_ueV))
            classes.append(
                {
                    "name": name,
                    "barrier_eV": int(barrier) / MICRO_eV,
                    "floored_barrier_eV": raised / MICRO_eV,
                    "slowed_by": math.exp((raised - int(barrier)) / self.kT_ueV),
                }
            )
        return classes

    # --- tables of the kernels --------------------------------------------------------------------

    @property
    def n_classes_used(self) -> int:
        return N_INTERFACE_LAYERS if self.has_interface else 0

    def layer_class(self) -> np.ndarray:
        """Site class of each layer, int of shape (n_layers,): 1, 2, 3 at the interface, else 0."""
        layer = np.arange(1, self.lattice.layers + 1)
        return np.where(layer <= self.n_classes_used, layer, 0)

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

    @cached_property
    def interaction_shells(self) -> int:
        """Shells whose occupation changes a hop's rate: 0, 1 or 2."""
        h = self.hamiltonian
        if np.any(h.bond2):
            return 2
        return 1 if np.any(h.bond1) or "Mg" in self.parameters.species else 0

    def law(self, alloy: bool):
        """Energy and rate tables: `OneSpecies`, or `TwoSpecies` when Mg may be present."""
        return rate_tables.two_species(self) if alloy else rate_tables.one_species(self)

    @property
    def unit_Hz(self) -> float:
        """Unit of the rates in the kernels' tables."""
        if self.bin_unit_Hz is not None:
            return self.bin_unit_Hz
        barrier = int(activation_energy_ueV(int(self.barriers_ueV[0]), 0, self.floor_ueV))
        alone = 8 * self.attempt_frequency_Hz * self._boltzmann(barrier)
        return alone * (1 + _UNIT_MARGIN)

    def _highest_rate(self) -> float:
        """Above every total rate a vacancy can have, 1/s."""
        h = self.hamiltonian
        gain = 0  # the most that Mg neighbours can hold an atom better than bulk Li
        if "Mg" in self.parameters.species:
            gain1, gain2 = (np.max(b[1:, MG] - b[1:, LI], initial=0) for b in (h.bond1, h.bond2))
            gain = int(8 * gain1 + 6 * gain2)
        absorbed = self.absorption_rate_Hz * self._boltzmann(-gain)
        return 8 * self.fastest_hop_Hz + 2 * absorbed

    def weakest_strip_ueV(self) -> int:
        """Below the binding of every electroactive atom, whatever the signs of the energies."""
        h = self.hamiltonian
        lowest = -max(0, *(int(other.phi[LI].max()) for other in self.hamiltonians))
        lowest += 8 * min(0, h.chi)
        for bond, n in ((h.bond1, 8), (h.bond2, 6)):
            lowest += n * min(0, int(bond[LI, LI:].min()))
        return lowest

    def _highest_strip_weight(self) -> float:
        """Above every strip weight."""
        exponent = self.strip_weight_lambda * (self.strip_reference_ueV - self.weakest_strip_ueV())
        return math.exp(max(0.0, exponent) / self.kT_ueV)

    def closure_rate_Hz(self, contact_fraction: float) -> float:
        """Rate at which creep closes one void vacancy: c ε̇ at the stress of this contact."""
        return mechanics.closure_rate_Hz(
            self.parameters, self.stack_pressure_MPa, contact_fraction, self.temperature_K
        )

    def local_stress_MPa(self, vacant_L1: int) -> float:
        """Stress in the metal left in contact when so many sites of L1 are vacant."""
        if self.stack_pressure_MPa == 0.0:
            return 0.0
        contact = 1.0 - vacant_L1 / self.lattice.sites_per_layer
        limit = self.parameters.value("creep_stress_limit_MPa")
        return mechanics.local_stress_MPa(self.stack_pressure_MPa, contact, limit)

    def channels(self, charge_transfer_V: float | None = None) -> tables.Channels:
        """Processes other than hops.

        Parameters
        ----------
        charge_transfer_V : float, optional
            Charge-transfer overpotential that is held; `overpotential_V` by default.
        """
        emission_Hz = self.emission_rate_per_site_Hz * self.lattice.sites_per_layer
        strip_Hz = self.strip_rate_Hz if self.has_interface else 0.0
        per_weight_Hz = 0.0
        if self.overpotential_V is not None:
            held = self.overpotential_V if charge_transfer_V is None else charge_transfer_V
            current = self.current_density_at_mA_cm2(held, 1.0)
            strip_Hz = 0.0
            per_weight_Hz = electrochemistry.strip_rate_Hz(current, self.lattice.site_area_A2)
        n_L1 = self.lattice.sites_per_layer
        creep_Hz = np.empty(0)
        if self.stack_pressure_MPa > 0:
            creep_Hz = np.array([self.closure_rate_Hz(1 - n / n_L1) for n in range(n_L1 + 1)])
        return tables.Channels(
            unit_Hz=self.unit_Hz,
            strip=strip_Hz / self.unit_Hz,
            strip_per_weight=per_weight_Hz / self.unit_Hz,
            emission=emission_Hz / self.unit_Hz,
            absorbs=self.absorption_rate_Hz > 0.0,
            creep=creep_Hz / self.unit_Hz,
            mg_share=float(self.reservoir_mg_fraction),
        )

    @cached_property
    def kernel_lattice(self) -> KernelLattice:
        return KernelLattice(self.lattice, self.interaction_shells, self.hamiltonian.chi != 0)

    def new_state(self, occupancy, alloy: bool, capacity: int | None = None) -> tables.State:
        """Kernel state of a configuration, not yet counted and sorted (`kernels.loop.prepare`).

        Parameters
        ----------
        occupancy : array of uint8, shape (n_sites,)
        alloy : bool
            Whether the state will run with the tables for Mg.
        capacity : int, optional
            Vacancies that fit before the bins must grow.
        """
        occupancy = np.asarray(occupancy, dtype=np.uint8)
        chemistry = self.interphase.chemistry if self.interphase else None
        words = self.kernel_lattice.words(occupancy, self.layer_class(), chemistry)
        if capacity is None:
            capacity = int(1.25 * (occupancy == VACANCY).sum()) + 1024
        active = 2 * self.lattice.sites_per_layer if self.has_interface else 1
        counters = np.zeros(tables.N_COUNTERS, dtype=np.int64)
        counters[tables.ENERGY] = self._perfect_energy_ueV()
        return tables.State(
            words=words,
            hops=_empty_bins(words.size, capacity, self._highest_rate() / self.unit_Hz),
            strips=_empty_bins(active, active, self._highest_strip_weight()),
            counters=counters,
            clock=np.zeros(3),
            dirty=np.zeros(active, dtype=np.int32),
        )

    def _perfect_energy_ueV(self) -> int:
        """H of the box full of Li, without a look at every bond."""
        total = self.hamiltonian.perfect_energy_ueV(self.lattice)
        for k, h in enumerate(self.hamiltonians[1:], start=1):
            sites = int(np.count_nonzero(self.interphase.chemistry == k))
            total += sites * int((h.phi - self.hamiltonian.phi)[LI, 1:3].sum())
        return total

    def occupancy(self, state: tables.State) -> np.ndarray:
        """Species of the sites of the box, uint8 of shape (n_sites,)."""
        occupancy = np.empty((self.lattice.layers, self.lattice.sites_per_layer), dtype=np.uint8)
        for layer, words in enumerate(self.kernel_lattice.by_layer(state.words)):
            occupancy[layer] = (words >> tables.SPECIES_SHIFT) & 3
        return occupancy.reshape(-1)


def row_length(capacity: int) -> int:
    """Room for this many members in a bin, such that bins do not share lines of the cache.

    Rows a power of two apart would all begin in the same few lines.
    """
    line = 16  # int32
    return line * (2 * (capacity // (2 * line)) + 1 + 2 * (capacity % (2 * line) > line))


def _empty_bins(n_sites: int, capacity: int, highest: float) -> tables.Bins:
    """Bins whose highest holds the highest rate there can be; rates far below share the lowest."""
    n = selection.N_BINS
    octaves = max(0, math.ceil(math.log2(highest)))
    unit_bin = n - 2 - 2 * octaves
    b = np.arange(n)
    window_octaves = 1 << (selection.WINDOW_BITS - 1)
    exponent = b // 2 - unit_bin // 2
    return tables.Bins(
        members=np.empty((n, row_length(capacity)), dtype=np.int32),
        count=np.zeros(n, dtype=np.int64),
        bound=np.where(b % 2 == 0, 1.0, 1.5) * np.exp2(exponent),
        window=np.zeros(selection.N_WINDOWS, dtype=np.int64),
        scale=np.exp2(window_octaves * np.arange(selection.N_WINDOWS) - unit_bin // 2 - 1),
        top=np.arange(selection.N_WINDOWS) << selection.WINDOW_BITS,
        where=np.full(n_sites, selection.NONE, dtype=np.int32),
        unit_bin=unit_bin,
    )
