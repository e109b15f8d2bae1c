"""What a run file sets up before the first event: lattice, models, flaws; and the record of it."""

import math
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from kmc.common.units import MICRO_eV
from kmc.model import creep, supersaturation
from kmc.model.electrochemistry import flux_per_cm2_s
from kmc.model.hamiltonian import LI
from kmc.model.initial.chemistry_map import chemistries, interphase_of
from kmc.model.initial.flaws import Flaws, draw_flaws
from kmc.model.interphase import Interphase
from kmc.model.lattice import Lattice
from kmc.model.model import Model
from kmc.model.parameters import ParameterSet
from kmc.nuclei.capture import VacancyTransport
from kmc.nuclei.surface import Surface
from kmc.nuclei.vapour import medium_of
from kmc.runfile.kind_sections import Upscale
from kmc.runfile.run_file import RunFile

_UM2_PER_CM2 = 1e8
_NM_PER_UM = 1e3


@dataclass(frozen=True)
class Setup:
    """What a run file sets up."""

    run: RunFile
    parameters: ParameterSet
    interphase: Interphase | None  # chemistries of the interface, where there are several
    model: Model  # at the temperature of [conditions]
    models: dict[float, Model]  # by temperature in K: that one, and those of single steps
    flaws: Flaws

    def resolved(self) -> dict:
        """Everything that determines this run, as plain JSON-able data."""
        h = self.model.hamiltonian
        many_body: dict = {}
        if not h.is_pairwise:
            many_body = {"coordination": h.coordination_ueV.tolist(), "bond_L1": h.bond_L1_ueV}
        acceleration = self.run.acceleration
        # How far lone vacancies in the metal are slowed, and the supersaturation they build up.
        slowed = max(0, self.model.lone_floor_ueV - int(self.model.barriers_ueV[0]))
        lone: dict[str, Any] = {
            "lone_floor_eV": self.model.lone_floor_ueV / MICRO_eV,
            "lone_slowed_by": float(np.exp(slowed / self.model.kT_ueV)),
            "box_resistance_share": self.model.box_share,
        }
        if acceleration.lateral_supersaturation is not None:
            lone["interface_floor_eV"] = self.model.interface_floor_ueV / MICRO_eV
        ratio = acceleration.max_hops_per_strip_per_site
        if self.model.at_equilibrium:
            ratio, measured = None, self.model.relaxation
            lone["equilibrium"] = {
                "pairs_per_strip": measured.pairs_per_strip(),
                "contact_pairs": measured.contact_pairs,
                "S_pairs": measured.S_pairs,
                **_validity(self.model),
            }
        elif self.model.absorption_rate_Hz > 0 and self.model.strip_rate_per_site_Hz > 0:
            layers = supersaturation.of_layers(self.model)
            lone["supersaturation"] = supersaturation.electrode(self.model)
            lone["supersaturation_L1"], lone["supersaturation_L3"] = layers[0], layers[2]
        charged = self.parameters.has("exchange_current_density_mA_cm2")
        # Without an interface, or an exchange current in the set, no overpotential follows.
        extra: dict = {}
        if self.model.has_interface and charged:
            extra["charge_transfer"] = self.model.charge_transfer()
        # The same, and how far barriers are raised, at the temperatures of single steps.
        others = [model for model in self.models.values() if model is not self.model]
        if others:
            extra["temperatures"] = [
                {
                    "temperature_K": model.temperature_K,
                    "saddle_floor_eV": model.floor_ueV / MICRO_eV,
                    "lone_floor_eV": model.lone_floor_ueV / MICRO_eV,
                    "classes": model.hop_classes(),
                    "charge_transfer": model.charge_transfer(),
                }
                for model in others
            ]
        return {
            "run": self.run.resolved(),
            "parameter_set": self.parameters.name,
            "interface": {
                **self.flaws.resolved(),
                "chemistry": [
                    {**entry, "phi_L1": h.phi[:, 1].tolist(), "phi_L2": h.phi[:, 2].tolist()}
                    for entry, h in zip(
                        chemistries(self.run.chemistry_names(), self.interphase),
                        self.model.hamiltonians if self.interphase else (),
                        strict=True,
                    )
                ],
            },
            "species": list(self.parameters.species),
            "parameters": self.parameters.resolved(),
            "hamiltonian": {
                "unit": "µeV",
                "species": ["vacancy", self.parameters.metal, "Mg"],
                "bond1": h.bond1.tolist(),
                "bond2": h.bond2.tolist(),
                "phi_L1": h.phi[:, 1].tolist(),
                "phi_L2": h.phi[:, 2].tolist(),
                "chi": h.chi,
                **many_body,
            },
            "acceleration": {
                "max_hops_per_strip_per_site": ratio,
                "slow_down_by": acceleration.slow_down_by,
                "saddle_floor_eV": self.model.floor_ueV / MICRO_eV,
                "superbasins": acceleration.superbasins,
                "strip_rate_per_site_Hz": self.model.strip_rate_per_site_Hz,
                "fastest_hop_Hz": self.model.fastest_hop_Hz,
                "classes": self.model.hop_classes(),
                **lone,
            },
            **extra,
            "reservoir": {
                "absorption_rate_Hz": self.model.absorption_rate_Hz,
                "emission_rate_per_site_Hz": self.model.emission_rate_per_site_Hz,
            },
        }


def set_up(
    run: RunFile, for_flaws: np.random.SeedSequence, for_map: np.random.SeedSequence
) -> Setup:
    """Set up a run, with the seeds of its flaws and of the map of its interface.

    Raises `InputError`: what the run file asks for does not fit together, or the parameter set
    lacks what it needs.
    """
    parameters = run.parameter_set()
    system, a_A = run.system, parameters.value("lattice_parameter_A")
    lattice = Lattice(system.lattice, system.size[:2], system.size[2], system.boundary, a_A)
    interphase = interphase_of(
        run.interface, run.chemistry_sets(), lattice, np.random.default_rng(for_map)
    )
    model = _model(run, parameters, lattice, interphase)
    models = {model.temperature_K: model}
    for planned in run.protocol.plan:
        kelvin = planned.step.temperature_K
        if kelvin is not None and kelvin not in models:
            # Once for each temperature: tables of rates take seconds, and steps repeat.
            models[kelvin] = replace(model, temperature_K=kelvin)
    flaws = draw_flaws(run.interface, lattice, for_flaws)
    return Setup(run, parameters, interphase, model, models, flaws)


def _model(
    run: RunFile, parameters: ParameterSet, lattice: Lattice, interphase: Interphase | None
) -> Model:
    conditions = run.conditions
    drives = [planned.step.drive for planned in run.protocol.plan]
    for planned in run.protocol.plan:  # a set without a creep law says so before anything runs
        pressure, kelvin = planned.step.stack_pressure_MPa, planned.step.temperature_K
        if pressure:
            kelvin = conditions.temperature_K if kelvin is None else kelvin
            creep.closure_rate_Hz(parameters, pressure, 1.0, kelvin)
    # A key of [conditions] or [acceleration] that `Model` has by the same name is handed on.
    named = {
        field.name: getattr(section, field.name)
        for section in (conditions, run.acceleration)
        for field in fields(Model)
        if hasattr(section, field.name)
    }
    others = {
        "current_density_mA_cm2": run.drive.current_density_mA_cm2,
        "overpotential_V": run.drive.overpotential_V,
        "pattern_um": conditions.contact_pattern_um,
        "reservoir_mg_fraction": run.system.mg_fraction,
        "dragged_mg": run.system.mg_supply == "vacancies",
        "interphase": interphase,
        "plating": any(drive.plates or drive.overpotential_V is not None for drive in drives),
        "holds_voltage": any(drive.overpotential_V is not None for drive in drives),
        "creeps": any(planned.step.stack_pressure_MPa for planned in run.protocol.plan),
    }
    return Model(lattice, parameters, **named | others)


def _validity(model: Model) -> dict[str, float]:
    """How far equilibrium between strips holds: how fast a void rounds off, and S is one number.

    A void of radius R is rounded off along the interface in R⁴/(C Γ Ω K_i) with the capillary
    length Γ = γΩ/kT and K_i = N_s D_i c_i (`kmc.nuclei.capture`), which must be short beside the
    time in which it grows by a tenth: ``rounding_s_per_nm4``, that time over R⁴. Between two places
    a distance ℓ apart S differs by J/(K k + K_i k²), k = 2π/ℓ: ``lateral_difference_S``, across the
    box. γ is that of (100), half of the bonds cut. Mg does not move with the vacancies:
    ``mg_hops_per_strip`` is how often one beside a vacancy would hop between two strips.
    """
    surface = Surface(model.parameters, model.lattice.unit_cell.name, model.temperature_K)
    medium = medium_of(VacancyTransport(surface), model.electrode_thickness_um)
    h, a_um = model.hamiltonian, model.lattice.lattice_parameter_A * 1e-4
    gamma_ueV_um2 = (4 * int(h.bond1[LI, LI]) + int(h.bond2[LI, LI])) / 2 / a_um**2
    capillary_um = gamma_ueV_um2 * medium.site_volume_um3 / model.kT_ueV
    constant = Upscale.model_fields["relaxation_constant"].default
    per_um4 = constant * capillary_um * medium.site_volume_um3 * medium.interface_per_s
    flux = flux_per_cm2_s(abs(model.current_density_mA_cm2), model.parameters.valence)
    k = 2 * math.pi / (math.sqrt(model.lattice.area_A2) * 1e-4)
    conducted = medium.bulk_per_um_s * k + medium.interface_per_s * k * k
    limits = {
        "rounding_s_per_nm4": 1.0 / per_um4 / _NM_PER_UM**4,
        "lateral_difference_S": flux / _UM2_PER_CM2 / conducted,
    }
    strips_Hz = abs(model.strip_rate_per_site_Hz) * model.lattice.sites_per_layer
    if "Mg" in model.parameters.species and strips_Hz > 0:
        hop_Hz = model.attempt_frequency_Hz * model.boltzmann(int(model.barriers_ueV[2]))
        limits["mg_hops_per_strip"] = hop_Hz / strips_Hz
    return limits
