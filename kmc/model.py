"""A model at given conditions, and the tables the kernels run on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from kmc import electrochemistry
from kmc.assembly import KernelLattice
from kmc.errors import InputError
from kmc.hamiltonian import LI, MG, N_INTERFACE_LAYERS, VACANCY, Hamiltonian, calibrate
from kmc.kernels import selection, tables
from kmc.lattice import Lattice
from kmc.parameters import ParameterSet
from kmc.units import K_B_eV, MICRO_eV

_FINE = 1024  # µeV per step of the coarse Boltzmann table
_HIGHEST_EXPONENT = 500.0  # energies over kT; exp() leaves double precision beyond 700
_STRIP_OCTAVES = selection.N_BINS // 2 - 4  # between the weakest and the strongest strip weight
_UNIT_MARGIN = 1e-9  # keeps the commonest rate safely inside its bin


def activation_energy_ueV(barrier_ueV, energy_ueV, floor_ueV):
    """Activation energy of a hop, integers in µeV (arrays welcome).

    max(E0 + ΔE/2, ΔE, 0), raised by max(0, floor − the lower of forward and reverse). The floor
    division makes forward minus reverse equal ΔE exactly, so detailed balance is exact.
    """
    energy = np.asarray(energy_ueV)
    forward = np.maximum(np.maximum(barrier_ueV + (energy >> 1), energy), 0)
    lower = np.minimum(forward, forward - energy)
    return forward + np.maximum(0, floor_ueV - lower)


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
    bin_unit_Hz : float, optional
        Rate that the selection's bins are counted from; no result depends on it. By default
        just above the total rate of a lone vacancy in the bulk, the commonest rate.
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
    bin_unit_Hz: float | None = None

    def __post_init__(self):
        h = self.hamiltonian
        highest_eV = self.floor_ueV + int(self.barriers_ueV.max()) + 8 * abs(h.chi)
        highest_eV += int(8 * np.abs(h.bond1).max() + 6 * np.abs(h.bond2).max())
        highest_eV = (highest_eV + int(np.abs(h.phi).max())) / MICRO_eV
        lowest_K = highest_eV / (_HIGHEST_EXPONENT * K_B_eV)
        if self.temperature_K < lowest_K:
            raise InputError(
                f"temperature_K = {self.temperature_K:g} is too low for the energies of parameter "
                f"set {self.parameters.name!r}, up to {highest_eV:.2g} eV: their Boltzmann factors "
                "leave the range of the computer's numbers",
                advice=f"Use at least {math.ceil(lowest_K)} K.",
            )
        if self.has_interface and self.current_density_mA_cm2 > 0:
            self._check_strip_weights()

    def _check_strip_weights(self) -> None:
        """Refuse weights that span more octaves than the bins: no draw might ever be accepted."""
        h = self.hamiltonian
        strongest = self.strip_reference_ueV
        for layer in (1, 2):
            n1, n2 = h.n_neighbours[:, layer]
            bonds = n1 * h.bond1[LI, LI:].max() + n2 * h.bond2[LI, LI:].max()
            beside_mg = max(0, h.chi) * n1 if layer == 1 else 0
            strongest = max(strongest, int(bonds - h.phi[LI, layer] + beside_mg))
        span_eV = self.strip_weight_lambda * (strongest - self._weakest_strip_ueV()) / MICRO_eV
        octaves = span_eV / (K_B_eV * self.temperature_K * math.log(2))
        if octaves > _STRIP_OCTAVES:
            lowest_K = self.temperature_K * octaves / _STRIP_OCTAVES
            raise InputError(
                f"temperature_K = {self.temperature_K:g} is too low for strip_weight_lambda = "
                f"{self.strip_weight_lambda:g} and the energies of parameter set "
                f"{self.parameters.name!r}: the weights of strongly and weakly bound atoms differ "
                f"by a factor of up to 2^{octaves:.0f}",
                advice=f"Use at least {math.ceil(lowest_K)} K, or a smaller strip_weight_lambda.",
            )

    @cached_property
    def hamiltonian(self) -> Hamiltonian:
        return calibrate(self.parameters, self.lattice)

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
        """Atoms stripped per second and L1 site: j A/e over the sites."""
        return electrochemistry.strip_rate_Hz(
            self.current_density_mA_cm2, self.lattice.site_area_A2
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
                    advice="Set conditions.current_density_mA_cm2 above 0, or give "
                    "acceleration.saddle_floor_eV instead.",
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

    def _site_binding(self, species: int) -> np.ndarray:
        """Binding of an atom among Li by class; class 0 is the bulk."""
        bulk = self.hamiltonian.bulk_binding_ueV(species)
        layers = range(1, self.n_classes_used + 1)
        values = [bulk] + [self.hamiltonian.binding_ueV(species, layer) for layer in layers]
        return np.array(values + [bulk] * (tables.N_CLASSES - len(values)), dtype=np.int64)

    @property
    def strip_reference_ueV(self) -> int:
        """Binding of a Li atom in a perfect, pure L1."""
        return int(self._site_binding(LI)[1])

    @cached_property
    def interaction_shells(self) -> int:
        """Shells whose occupation changes a hop's rate: 0, 1 or 2."""
        h = self.hamiltonian
        if np.any(h.bond2):
            return 2
        return 1 if np.any(h.bond1) or "Mg" in self.parameters.species else 0

    def law(self, alloy: bool):
        """Energy and rate tables: `OneSpecies`, or `TwoSpecies` when Mg may be present."""
        return self._alloy_law() if alloy else self._pure_law()

    @property
    def unit_Hz(self) -> float:
        """Unit of the rates in the kernels' tables."""
        if self.bin_unit_Hz is not None:
            return self.bin_unit_Hz
        barrier = int(activation_energy_ueV(int(self.barriers_ueV[0]), 0, self.floor_ueV))
        alone = 8 * self.attempt_frequency_Hz * self._boltzmann(barrier)
        return alone * (1 + _UNIT_MARGIN)

    def _pure_law(self) -> tables.OneSpecies:
        h = self.hamiltonian
        e1, e2 = int(h.bond1[LI, LI]), int(h.bond2[LI, LI])
        site = self._site_binding(LI)
        # Index of a hop (see `tables.OneSpecies`): class of the atom, then the difference of the
        # packed counts (nv1 + 16 nv2), atom minus vacancy.
        index = np.arange(256 * tables.N_CLASSES)
        packed = index % 256 - 128
        d_nv1 = (packed + 7) % 16 - 7
        d_nv2 = (packed - d_nv1) // 16
        pair = site[index // 256][None, :] - site[:, None]
        energy = pair - e1 * d_nv1 - e2 * d_nv2 + e1
        activation = activation_energy_ueV(int(self.barriers_ueV[0]), energy, self.floor_ueV)
        rate = np.exp(-activation / self.kT_ueV) * (self.attempt_frequency_Hz / self.unit_Hz)
        blocked = np.zeros_like(rate)
        counts = np.arange(128)
        lost = e1 * (counts & 15) + e2 * (counts >> 4)
        binding = site[:, None] - lost
        excess = (binding - self.strip_reference_ueV) / self.kT_ueV
        return tables.OneSpecies(
            hop_rate=np.concatenate([rate, blocked], axis=1),
            hop_energy_ueV=np.concatenate([energy, blocked], axis=1).astype(np.int32),
            binding_ueV=binding.astype(np.int32),
            strip_weight=np.exp(-self.strip_weight_lambda * excess),
            absorption=np.exp(-lost / self.kT_ueV) * (self.absorption_rate_Hz / self.unit_Hz),
        )

    def _alloy_law(self) -> tables.TwoSpecies:
        h = self.hamiltonian
        if "Mg" not in self.parameters.species:
            raise InputError(
                f"the parameter set {self.parameters.name} has no Mg",
                advice="Use a set with Mg, such as limg_li2s.",
            )
        bits = np.arange(tables.MASK_SITE + 1)
        nv1, nv2, classes, cx = bits & 15, (bits >> 4) & 7, (bits >> 8) & 3, bits >> 11
        counts = np.arange(tables.MASK_MG + 1)
        nm1, nm2 = counts & 15, counts >> 4
        site = np.zeros((3, bits.size), dtype=np.int64)
        mg_bonds = np.zeros((3, counts.size), dtype=np.int64)
        pair = np.zeros((3, 4, 4), dtype=np.int64)
        for x in (LI, MG):
            site[x] = self._site_binding(x)[classes] - h.bond1[x, LI] * nv1 - h.bond2[x, LI] * nv2
            site[x] += h.chi * cx * (classes == 1)  # a vacancy of L1 stays behind, beside cx Mg
            mg_bonds[x] = (h.bond1[x, MG] - h.bond1[x, LI]) * nm1
            mg_bonds[x] += (h.bond2[x, MG] - h.bond2[x, LI]) * nm2
            pair[x] = h.bond1[x, x]
        site[MG] -= h.chi * cx * (classes == 2)  # an Mg of L2 takes its pairs along
        pair[MG, 1, 2] += h.chi
        pair[MG, 2, 1] += h.chi
        highest = self.floor_ueV + int(self.barriers_ueV.max())
        highest += 2 * int(np.abs(site).max() + np.abs(mg_bonds).max())
        barriers, share = self.barriers_ueV, self.reservoir_mg_fraction
        coarse = np.exp(-_FINE * np.arange(highest // _FINE + 2) / self.kT_ueV)
        return tables.TwoSpecies(
            site_ueV=site.astype(np.int32),
            mg_bonds_ueV=mg_bonds.astype(np.int32),
            pair_ueV=pair.reshape(3, 16).astype(np.int32),
            barrier_ueV=np.array([0, 0, *barriers[:2], *barriers[[2, 2]]], dtype=np.int32),
            floor_ueV=self.floor_ueV,
            floor_rules=self.floor_ueV >= int(self.barriers_ueV.max()),
            rate_coarse=coarse * (self.attempt_frequency_Hz / self.unit_Hz),
            rate_fine=np.exp(-np.arange(_FINE) / self.kT_ueV),
            strip_reference_ueV=self.strip_reference_ueV,
            strip_exponent=self.strip_weight_lambda / self.kT_ueV,
            absorption=np.array([0.0, 1.0 - share, share])
            * (self.absorption_rate_Hz / self.unit_Hz),
            bulk_binding_ueV=np.array([0, h.bulk_binding_ueV(LI), h.bulk_binding_ueV(MG)]),
            inverse_kT=1.0 / self.kT_ueV,
        )

    def _highest_rate(self) -> float:
        """Above every total rate a vacancy can have, 1/s."""
        h = self.hamiltonian
        gain = 0  # the most that Mg neighbours can hold an atom better than bulk Li
        if "Mg" in self.parameters.species:
            gain1, gain2 = (np.max(b[1:, MG] - b[1:, LI], initial=0) for b in (h.bond1, h.bond2))
            gain = int(8 * gain1 + 6 * gain2)
        absorbed = self.absorption_rate_Hz * self._boltzmann(-gain)
        return 8 * self.fastest_hop_Hz + 2 * absorbed

    def _weakest_strip_ueV(self) -> int:
        """Below the binding of every electroactive atom, whatever the signs of the energies."""
        h = self.hamiltonian
        lowest = -max(0, int(h.phi[LI].max())) + 8 * min(0, h.chi)
        for bond, n in ((h.bond1, 8), (h.bond2, 6)):
            lowest += n * min(0, int(bond[LI, LI:].min()))
        return lowest

    def _highest_strip_weight(self) -> float:
        """Above every strip weight."""
        exponent = self.strip_weight_lambda * (self.strip_reference_ueV - self._weakest_strip_ueV())
        return math.exp(max(0.0, exponent) / self.kT_ueV)

    def channels(self) -> tables.Channels:
        emission_Hz = self.emission_rate_per_site_Hz * self.lattice.sites_per_layer
        return tables.Channels(
            unit_Hz=self.unit_Hz,
            strip=self.strip_rate_Hz / self.unit_Hz if self.has_interface else 0.0,
            emission=emission_Hz / self.unit_Hz,
            absorbs=self.absorption_rate_Hz > 0.0,
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
        words = self.kernel_lattice.words(occupancy, self.layer_class())
        if capacity is None:
            capacity = int(1.25 * (occupancy == VACANCY).sum()) + 1024
        active = 2 * self.lattice.sites_per_layer if self.has_interface else 1
        counters = np.zeros(tables.N_COUNTERS, dtype=np.int64)
        counters[tables.ENERGY] = self.hamiltonian.perfect_energy_ueV(self.lattice)
        return tables.State(
            words=words,
            hops=_empty_bins(words.size, capacity, self._highest_rate() / self.unit_Hz),
            strips=_empty_bins(active, active, self._highest_strip_weight()),
            counters=counters,
            clock=np.zeros(2),
            dirty=np.zeros(active, dtype=np.int32),
        )

    def occupancy(self, state: tables.State) -> np.ndarray:
        """Species of the sites of the box, uint8 of shape (n_sites,)."""
        occupancy = np.empty((self.lattice.layers, self.lattice.sites_per_layer), dtype=np.uint8)
        for layer, words in enumerate(self.kernel_lattice.by_layer(state.words)):
            occupancy[layer] = (words >> tables.SPECIES_SHIFT) & 3
        return occupancy.reshape(-1)


def _empty_bins(n_sites: int, capacity: int, highest: float) -> tables.Bins:
    """Bins whose highest holds the highest rate there can be; rates far below share the lowest."""
    n = selection.N_BINS
    octaves = max(0, math.ceil(math.log2(highest)))
    unit_bin = n - 2 - 2 * octaves
    b = np.arange(n)
    window_octaves = 1 << (selection.WINDOW_BITS - 1)
    exponent = b // 2 - unit_bin // 2
    return tables.Bins(
        members=np.empty((n, capacity), dtype=np.int32),
        count=np.zeros(n, dtype=np.int64),
        bound=np.where(b % 2 == 0, 1.0, 1.5) * np.exp2(exponent),
        window=np.zeros(selection.N_WINDOWS, dtype=np.int64),
        scale=np.exp2(window_octaves * np.arange(selection.N_WINDOWS) - unit_bin // 2 - 1),
        top=np.arange(selection.N_WINDOWS) << selection.WINDOW_BITS,
        where=np.full(n_sites, selection.NONE, dtype=np.int32),
        unit_bin=unit_bin,
    )
