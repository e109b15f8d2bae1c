"""A model at given conditions: the rates of every process on a lattice."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from kmc.common.units import K_B_eV, MICRO_eV
from kmc.errors import InputError
from kmc.kernels import selection, tables
from kmc.model.electrode import Electrode
from kmc.model.equilibrium import Relaxation, relaxation_of
from kmc.model.hamiltonian import LI, MG, N_INTERFACE_LAYERS
from kmc.model.interphase import Interphase
from kmc.model.kernel_lattice import KernelLattice
from kmc.model.solute import activation_energy_ueV, solute_correlation, solute_drag

_HIGHEST_EXPONENT = 500.0  # energies over kT; exp() leaves double precision beyond 700
_STRIP_OCTAVES = selection.N_BINS // 2 - 4  # between the weakest and the strongest strip weight
_NO_SHARE, _MAX_SHARE = 1e-3, 0.9  # of the box in the resistance up to the sink
_UNIT_MARGIN = 1e-9  # keeps the commonest rate safely inside its bin


@dataclass(frozen=True)
class Model(Electrode):
    """Rates of every process on a lattice at given conditions.

    Its parameters are those of `Electrode`; refused are conditions that the event loop could not
    run.

    Raises `InputError`: pressure without an interface, chemistries that do not fit, or energies
    whose Boltzmann factors leave the range of numbers or of the bins.
    """

    def __post_init__(self):
        _check(self)

    # --- the reservoir ---

    @property
    def absorption_rate_Hz(self) -> float:
        """Rate D_v/(d L) at which the reservoir fills an isolated vacancy of the top layer.

        D_v = a² ν exp(−E0/kT) is not subject to barrier raising; d is the layer spacing and L the
        distance of the sink (`sink_distance_um`). The reservoir has what the box leaves of the
        resistance L/D_v between L3, where undisturbed metal begins, and the sink.
        """
        if not self.has_interface or math.isinf(self.sink_distance_um):
            return 0.0
        return self.vacancy_diffusivity_A2_s / (
            self.lattice.layer_spacing_A * self.sink_distance_A * (1.0 - self.box_share)
        )

    @property
    def box_share(self) -> float:
        """Share of the box in the resistance to vacancies from L3 to the sink, at most 0.9.

        (H/D_box)/(L/D_v) with the height H of the layers above L3. A sink nearer than the top of
        the box has no reservoir of its own: then the resistance is that of the box, and a tenth of
        L/D_v more.
        """
        if not self.has_interface or math.isinf(self.sink_distance_um):
            return 0.0
        slowed = max(0, self.lone_floor_ueV - int(self.barriers_ueV[0]))
        height_A = max(0, self.lattice.layers - N_INTERFACE_LAYERS) * self.lattice.layer_spacing_A
        share = height_A / self.sink_distance_A / self.boltzmann(slowed)
        # Below a thousandth a box at true rates counts as nothing, as it always has: trajectories
        # without barrier raising stay the same to the last byte.
        return 0.0 if slowed == 0 and share < _NO_SHARE else min(share, _MAX_SHARE)

    @property
    def emission_rate_per_site_Hz(self) -> float:
        """Rate at which a top-layer site is offered a vacancy: absorption times exp(−E_f/kT).

        With absorption weighted by the bonds of the vacancy's surroundings (`tables`), every
        exchange with the reservoir obeys detailed balance at the bulk's equilibrium concentration.
        """
        return self.absorption_rate_Hz * self.boltzmann(self.hamiltonian.bulk_formation_ueV)

    # --- barrier raising ---

    @property
    def at_equilibrium(self) -> bool:
        """Whether vacancies are in equilibrium with one another between slow events: no hop is
        followed, and the reservoir is an `ElectrodeProfile`."""
        return self.max_hops_per_strip_per_site == math.inf

    @cached_property
    def floor_ueV(self) -> int:
        """Lowest barrier of barrier raising in µeV; 0 leaves every rate exact.

        From a ratio: the barrier of a hop that is `max_hops_per_strip_per_site` times as fast as
        the stripping of one interface site. From a factor: E0 + kT ln(`slow_down_by`) with the
        lowest E0 of the set, so that neither current nor temperature changes the factor.
        """
        if self.slow_down_by is not None:
            raised = self.kT_ueV * math.log(self.slow_down_by)
            return max(0, round(int(self.barriers_ueV.min()) + raised))
        if self.max_hops_per_strip_per_site is not None and not self.at_equilibrium:
            per_site_Hz = abs(self.strip_rate_per_site_Hz)
            if per_site_Hz == 0:
                raise InputError(
                    "acceleration.max_hops_per_strip_per_site = "
                    f"{self.max_hops_per_strip_per_site:g} needs a current to compare hops with",
                    advice="Set conditions.current_density_mA_cm2 or overpotential_V above 0, or "
                    "give acceleration.saddle_floor_eV instead.",
                )
            # Sum of logarithms: the product of extreme values could overflow.
            fastest = math.log(self.max_hops_per_strip_per_site)
            fastest += math.log(per_site_Hz)
            floor = self.kT_ueV * (math.log(self.attempt_frequency_Hz) - fastest)
            return max(0, round(floor))
        return round((self.saddle_floor_eV or 0.0) * MICRO_eV)

    @cached_property
    def lone_floor_ueV(self) -> int:
        """Floor of a lone vacancy in the metal, µeV: never above `floor_ueV`.

        E0 + kT ln(s L/H), with the distance L of the sink, at which the box of height H has the
        share s = `box_resistance_share` of the resistance L/D_v; where the box has less than that
        without any floor, there is none. A box without an open reservoir has one floor for all
        hops.
        """
        if not self.has_interface or math.isinf(self.sink_distance_um):
            return self.floor_ueV
        height_A = self.lattice.layers * self.lattice.layer_spacing_A
        ratio = self.box_resistance_share * self.sink_distance_A / height_A
        if ratio <= 1.0:
            return 0
        own = int(self.barriers_ueV[0]) + math.floor(self.kT_ueV * math.log(ratio))
        return min(self.floor_ueV, own)

    @cached_property
    def interface_floor_ueV(self) -> int:
        """Floor of a lone vacancy that leaves or enters L1, µeV: never above `floor_ueV`.

        Vacancies cross the interface by hops between L1 and L2, whose conductance for each site of
        L1 is K = z ν exp(−(E_f(L1) + E_a)/kT)/4 with z hops up. On a disc of the N sites of the
        box, with a sink at its rim, the strip rate J of a site makes S higher in the middle by
        J N/(4πK). The floor is that at which this is `lateral_supersaturation`.
        """
        allowed, strips_Hz = self.lateral_supersaturation, abs(self.strip_rate_Hz)
        if allowed is None or not self.has_interface or strips_Hz == 0.0:
            return self.floor_ueV
        binding = self.site_binding_ueV(LI)
        change = int(binding[2] - binding[1])
        activation = int(activation_energy_ueV(int(self.barriers_ueV[0]), change, 0))
        lower = min(activation, activation - change)  # of the two directions: it is raised to E
        first = self.lattice.neighbours(0, 1)
        ways = int((self.lattice.layer[first[first >= 0]] == 2).sum())
        saddle = self.hamiltonian.bulk_formation_ueV + binding[1] - binding[0] + activation
        ratio = allowed * math.pi * ways * self.attempt_frequency_Hz / strips_Hz
        own = lower + math.floor(self.kT_ueV * math.log(ratio) - float(saddle))
        return min(self.floor_ueV, own) if own > lower else 0

    @cached_property
    def lone_floors_ueV(self) -> np.ndarray:
        """Floor of a hop of a lone vacancy by the classes of its ends, int64 of shape (4, 4).

        Hops with no end in L1 and at least one in L3 or above have `lone_floor_ueV`, the others
        `interface_floor_ueV`.
        """
        floors = np.full((tables.N_CLASSES, tables.N_CLASSES), self.lone_floor_ueV, dtype=np.int64)
        floors[1, :] = floors[:, 1] = floors[2, 2] = self.interface_floor_ueV
        return floors

    @cached_property
    def relaxation(self) -> Relaxation:
        """Moves between two strips where vacancies are in equilibrium; takes a second."""
        return relaxation_of(self.lattice, self.hamiltonian, self.kT_ueV)

    # --- Mg moved by vacancies that are not followed ---

    @property
    def exchange_floor_ueV(self) -> int:
        """Energy of the saddle of an Mg in bulk Li over the state without the vacancy, µeV."""
        h = self.hamiltonian
        beside = h.bulk_binding_ueV(LI) + int(h.bond1[LI, MG] - h.bond1[LI, LI])
        return int(beside - self.kink_ueV + self.barriers_ueV[2])

    @cached_property
    def mg_exchange_rate_Hz(self) -> float:
        """Rate D_Mg/a² at which an Mg and one Li beside it change places in bulk Li at S = 1.

        f ν exp(−(E_f,1 + E0)/kT), less what vacancies slowed in the box do of it themselves.
        """
        if not self.mg_exchange or "Mg" not in self.parameters.species:
            return 0.0
        f = solute_correlation(self.parameters, self.hamiltonian, self.temperature_K)
        slowed = max(0, self.lone_floor_ueV - int(self.barriers_ueV[2]))
        # In equilibrium between strips no vacancy of the box moves any Mg.
        left = 1.0 if self.at_equilibrium else -math.expm1(-slowed / self.kT_ueV)
        return f * left * self.attempt_frequency_Hz * self.boltzmann(self.exchange_floor_ueV)

    @cached_property
    def mg_drag(self) -> float:
        """R: Mg that a flux of vacancies moves the other way, over its share (`solute_drag`)."""
        return solute_drag(self.parameters, self.hamiltonian, self.temperature_K)

    @property
    def refill_mg_fraction(self) -> float:
        """Share of Mg in what fills absorbed vacancies."""
        if not self.dragged_mg or self.reservoir_mg_fraction == 0.0:
            return self.reservoir_mg_fraction
        return self.mg_drag * self.reservoir_mg_fraction

    @property
    def fastest_hop_Hz(self) -> float:
        """Rate of a hop at the lowest barrier: ν without barrier raising."""
        return self.attempt_frequency_Hz * self.boltzmann(self.floor_ueV)

    def hop_classes(self) -> list[dict]:
        """Hop classes with their barriers at ΔE = 0 and the factor by which raising slows them."""
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

    # --- tables of the kernels ---

    def layer_class(self) -> np.ndarray:
        """Site class of each layer, int of shape (n_layers,): 1, 2, 3 at the interface, else 0."""
        layer = np.arange(1, self.lattice.layers + 1)
        return np.where(layer <= self.n_classes_used, layer, 0)

    @cached_property
    def interaction_shells(self) -> int:
        """Shells whose occupation changes a hop's rate: 0, 1 or 2."""
        h = self.hamiltonian
        if np.any(h.bond2):
            return 2
        floors_differ = bool((self.lone_floors_ueV != self.floor_ueV).any())
        return 1 if np.any(h.bond1) or "Mg" in self.parameters.species or floors_differ else 0

    @property
    def unit_Hz(self) -> float:
        """Unit of the rates in the kernels' tables."""
        if self.bin_unit_Hz is not None:
            return self.bin_unit_Hz
        barrier = int(activation_energy_ueV(int(self.barriers_ueV[0]), 0, self.lone_floor_ueV))
        alone = 8 * self.attempt_frequency_Hz * self.boltzmann(barrier)
        return alone * (1 + _UNIT_MARGIN)

    def weakest_strip_ueV(self) -> int:
        """Below the binding of every electroactive atom, whatever the signs of the energies."""
        h = self.hamiltonian
        lowest = -max(0, *(int(other.phi[LI].max()) for other in self.hamiltonians))
        lowest += 8 * min(0, h.chi)
        for bond, n in ((h.bond1, 8), (h.bond2, 6)):
            lowest += n * min(0, int(bond[LI, LI:].min()))
        return lowest

    def strongest_strip_ueV(self) -> int:
        """Above the binding of every electroactive atom, likewise."""
        h = self.hamiltonian
        strongest = self.strip_reference_ueV
        for layer in (1, 2):
            n1, n2 = h.n_neighbours[:, layer]
            bonds = n1 * h.bond1[LI, LI:].max() + n2 * h.bond2[LI, LI:].max()
            beside_mg = max(0, h.chi) * n1 if layer == 1 else 0
            for other in self.hamiltonians:
                strongest = max(strongest, int(bonds - other.phi[LI, layer] + beside_mg))
        return strongest

    @cached_property
    def kernel_lattice(self) -> KernelLattice:
        return KernelLattice(self.lattice, self.interaction_shells, self.hamiltonian.chi != 0)


# --- validation ---


def _check(model: Model) -> None:
    """Refuse a model that the event loop could not run."""
    if model.interphase is not None:
        _check_interphase(model, model.interphase)
    if model.stack_pressure_MPa and not model.has_interface:
        raise InputError(
            f"stack_pressure_MPa = {model.stack_pressure_MPa:g} needs an interface: a periodic "
            "box has no metal above it that could sink into its voids",
            advice='Set stack_pressure_MPa = 0, or boundary = "interface".',
        )
    # Rates of hops are tables of the sites beside the two ends; coordination of those sites depends
    # on seventy. In equilibrium between strips (an infinite ratio) no hop is made.
    if not model.hamiltonian.is_pairwise and model.max_hops_per_strip_per_site != math.inf:
        raise InputError(
            f"the parameter set {model.parameters.name!r} has energies of coordination "
            "(coordination_curvature_eV, bond_L1_vacancies_eV), with which the event loop makes no "
            "hops",
            advice="Use it in `kmc nucleation`, or a set of pairs such as li_li2s.",
        )
    lattice = model.lattice
    flat = lattice.unit_cell.name == "bcc_100" and model.has_interface and model.interphase is None
    driven = model.stack_pressure_MPa > 0 or model.plates
    # The walk of a lone vacancy is drawn layer by layer: nothing else may change its rates.
    if model.superbasins and (driven or not flat or model.reservoir_mg_fraction > 0):
        raise InputError(
            "superbasins = True is made for pure Li on one chemistry of bcc_100 at an interface, "
            "with a given current and without pressure or exchange",
            advice="Set superbasins = False.",
        )
    if model.exchange and (model.plating or model.current_density_mA_cm2 < 0):
        raise InputError(
            "exchange = True is made for a current that strips and does not change its direction",
            advice="Set exchange = False; a held voltage strips and plates at once.",
        )
    if model.exchange and model.alpha != 0.5:
        raise InputError(
            "exchange = True is made for charge_transfer_coefficient = 0.5, and the parameter set "
            f"{model.parameters.name!r} has {model.alpha:g}",
            advice="Set exchange = False, or hold a voltage: there every coefficient goes.",
        )
    if model.mg_exchange and "Mg" not in model.parameters.species:
        raise InputError(
            f"mg_exchange = True needs Mg, and the set {model.parameters.name!r} has none",
            advice="Set mg_exchange = False, or use a set with Mg, such as limg_li2s.",
        )
    # With the largest energies that the tables can hold: one infinite rate would stop the loop.
    h = model.hamiltonian
    highest_ueV = model.floor_ueV + int(model.barriers_ueV.max()) + 8 * abs(h.chi)
    highest_ueV += int(8 * np.abs(h.bond1).max() + 6 * np.abs(h.bond2).max())
    highest_ueV += max(int(np.abs(other.phi).max()) for other in model.hamiltonians)
    highest_eV = highest_ueV / MICRO_eV
    lowest_K = highest_eV / (_HIGHEST_EXPONENT * K_B_eV)
    if model.temperature_K < lowest_K:
        raise InputError(
            f"temperature_K = {model.temperature_K:g} is too low for the energies of parameter "
            f"set {model.parameters.name!r}, up to {highest_eV:.2g} eV: their Boltzmann factors "
            "leave the range of the computer's numbers",
            advice=f"Use at least {math.ceil(lowest_K)} K.",
        )
    strips = model.current_density_mA_cm2 != 0 or model.overpotential_V is not None
    if model.has_interface and (strips or model.plates):
        share = model.strip_weight_lambda
        if model.plates:
            share = max(share, 1.0 - share)
        span_eV = share * (model.strongest_strip_ueV() - model.weakest_strip_ueV()) / MICRO_eV
        octaves = span_eV / (K_B_eV * model.temperature_K * math.log(2))
        # Weights that span more octaves than the bins: no draw might ever be accepted.
        if octaves > _STRIP_OCTAVES:
            lowest_K = model.temperature_K * octaves / _STRIP_OCTAVES
            raise InputError(
                f"temperature_K = {model.temperature_K:g} is too low for strip_weight_lambda = "
                f"{model.strip_weight_lambda:g} and the energies of parameter set "
                f"{model.parameters.name!r}: the weights of strongly and weakly bound atoms differ "
                f"by a factor of up to 2^{octaves:.0f}",
                advice=f"Use at least {math.ceil(lowest_K)} K, or a smaller strip_weight_lambda.",
            )


def _check_interphase(model: Model, interphase: Interphase) -> None:
    """Refuse a map that does not fit the box, or chemistries that differ in more than φ."""
    n = model.lattice.sites_per_layer
    if not model.has_interface:
        raise InputError("chemistries of an interface need one, and the box is periodic")
    if interphase.chemistry.shape != (n,):
        raise InputError(
            f"the map of the interface has shape {interphase.chemistry.shape}, and a layer of the "
            f"box has {n} sites"
        )
    base = model.hamiltonian
    for parameters, h in zip(interphase.parameters[1:], model.hamiltonians[1:], strict=True):
        bonds = np.array_equal(h.bond1, base.bond1) and np.array_equal(h.bond2, base.bond2)
        if not bonds or abs(h.chi - base.chi) > 1:  # µeV, of rounding
            raise InputError(
                f"parameter set {parameters.name!r} gives "
                f"{f'chi = {h.chi / MICRO_eV:g} eV' if bonds else 'bonds'} other than "
                f"{f'the {base.chi / MICRO_eV:g} eV' if bonds else 'those'} of the run's set "
                f"{model.parameters.name!r}",
                advice="Chemistries of one interface share bonds and chi: keep the step from L1 to "
                "L2 and the fill by Li of the run's set.",
            )
