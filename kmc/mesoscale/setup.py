"""A population from a run file: everything it follows from, computed or looked up."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from kmc.common.progress import Progress
from kmc.errors import InputError
from kmc.mesoscale.burst import nucleation_burst
from kmc.mesoscale.coalescence import Rounding
from kmc.mesoscale.conditions import equilibrium_coverage
from kmc.mesoscale.overpotential import Kinetics
from kmc.mesoscale.plating import cut_off_share
from kmc.mesoscale.population import Flaws, Setting
from kmc.mesoscale.schedule import flux_per_um2_s
from kmc.mesoscale.surface import Surface
from kmc.mesoscale.vapour import ClusterVapour, medium_of, vapour_of
from kmc.mesoscale.voids import Shape
from kmc.model import creep
from kmc.model.electrochemistry import capacity_mAh_cm2, conductivity_mS_cm
from kmc.model.parameters import ParameterSet
from kmc.runfile.load import RunFile
from kmc.runfile.upscale_section import MOST_CELLS

_UM2_PER_CM2 = 1e8
_A2_PER_UM2 = 1e8


@dataclass(frozen=True)
class Prepared:
    """What a run of a population needs.

    Attributes
    ----------
    run : RunFile
    parameters : ParameterSet
    setting : Setting
    kinetics : Kinetics
    vapour : ClusterVapour
    mg_coverage : float
    contact_angle_deg : float
        NaN where an aspect ratio was given.
    """

    run: RunFile
    parameters: ParameterSet
    setting: Setting
    kinetics: Kinetics
    vapour: ClusterVapour
    mg_coverage: float
    contact_angle_deg: float

    @property
    def monolayer_mAh_cm2(self) -> float:
        """Charge of a layer of atoms."""
        sites = self.vapour.model.transport.L1_density_cm2 / _UM2_PER_CM2
        return capacity_mAh_cm2(sites, _A2_PER_UM2)

    def closure_at(self, stack_pressure_MPa: float) -> Callable[[float], float]:
        """Rate at which creep closes voids, 1/s, as a function of the contact fraction."""
        return _closure(self.parameters, stack_pressure_MPa, self.run.conditions.temperature_K)

    def facts(self) -> dict[str, float]:
        """Numbers that follow from the input before anything is run, with units in their names."""
        medium, setting = self.setting.medium, self.setting
        rounding = setting.rounding
        thickness = medium.thickness_um
        steady = 1 + setting.strip_per_um2_s * thickness / medium.bulk_per_um_s
        out = {
            "site_volume_um3": medium.site_volume_um3,
            "monolayer_mAh_cm2": self.monolayer_mAh_cm2,
            "bulk_conductance_per_um_s": medium.bulk_per_um_s,
            "interface_conductance_per_s": medium.interface_per_s,
            "interface_length_um": medium.interface_per_s / medium.bulk_per_um_s,
            "supersaturation_without_voids": steady,
            "mg_coverage": self.mg_coverage,
            "volume_factor": setting.shape.volume_factor,
            "height_over_radius": setting.shape.height_over_radius,
            "contact_angle_deg": self.contact_angle_deg,
            "cut_off_share": setting.cut_off_share,
            "gamma_J_m2": self.vapour.model.cap.gamma_J_m2,
            "capillary_length_um": rounding.capillary_um,
            "relaxation_time_50nm_s": float(rounding.time_s(0.05)),
            "relaxation_time_1um_s": float(rounding.time_s(1.0)),
            "wagner_length_um": self.kinetics.wagner_length_um,
            "cell_um": setting.edge_um / setting.n_cells,
        }
        return {key: value for key, value in out.items() if math.isfinite(value)}


def pressures_of(run: RunFile) -> set[float]:
    """Stack pressures of the run and of its steps, MPa."""
    own = (planned.step.stack_pressure_MPa for planned in run.protocol.plan)
    return {run.conditions.stack_pressure_MPa, *(p for p in own if p is not None)}


def prepare(run: RunFile, progress: bool | Progress = False) -> Prepared:
    """Compute what a run of a population needs; the free energies of clusters take seconds.

    Raises
    ------
    InputError
        The parameter set has no interface, no creep law where there is a pressure, or no angle;
        or the voids that are expected want more cells of the grid than memory should hold.
    """
    parameters, conditions, upscale = run.parameter_set(), run.conditions, run.upscale
    temperature = conditions.temperature_K
    for key in ("exchange_current_density_mA_cm2", "electrolyte_conductivity_mS_cm"):
        if not parameters.has(key):
            raise InputError(
                f"parameter set {parameters.name!r} has no {key}: it describes no interface",
                advice="Use a set with an interface, such as li_li2s.",
            )
    if parameters.has("pair_bond_eV"):
        raise InputError(
            f"parameter set {parameters.name!r} is a plain lattice gas without an interface",
            advice="Use a set with interface energies, such as li_li2s.",
        )
    coverage = _coverage(run, parameters)
    for pressure in pressures_of(run):
        creep.closure_rate_Hz(parameters, pressure, 1.0, temperature)
    vapour = vapour_of(
        parameters,
        run.system.lattice,
        temperature,
        coverage,
        run.system.mg_fraction,
        progress,
    )
    if vapour.model.cap.gamma_J_m2 <= 0:
        raise InputError(
            f"conditions.temperature_K = {temperature:g} of the run {run.name}: the walls of voids "
            f"have no free energy left ({vapour.model.cap.gamma_J_m2:.2g} J/m²)",
            advice="Use a lower temperature; the metal of this model is no solid there.",
        )
    medium = medium_of(vapour.model.transport, conditions.electrode_thickness_um)
    shape, angle = _shape(run, parameters, coverage)
    rounding = Rounding(
        upscale.relaxation, medium, vapour.capillary_um, upscale.relaxation_constant
    )

    current = conditions.current_density_mA_cm2
    setting = Setting(
        edge_um=upscale.domain_um,
        n_cells=_cells(run, vapour),
        medium=medium,
        vapour=vapour,
        shape=shape,
        rounding=rounding,
        strip_per_um2_s=flux_per_um2_s(current),
        homogeneous=upscale.nucleation != "flaws",
        flaws=_flaws(run, vapour),
        closure=_closure(parameters, conditions.stack_pressure_MPa, temperature),
        sharing=upscale.sharing,
        cut_off_share=cut_off_share(shape),
    )
    kinetics = Kinetics(
        temperature,
        parameters.value("exchange_current_density_mA_cm2"),
        conductivity_mS_cm(
            parameters.value("electrolyte_conductivity_mS_cm"),
            parameters.value("electrolyte_activation_eV"),
            temperature,
        ),
        conditions.series_resistance_ohm_cm2,
    )
    return Prepared(run, parameters, setting, kinetics, vapour, coverage, angle)


def _closure(parameters: ParameterSet, pressure_MPa: float, temperature_K: float):
    def closure(contact_fraction: float) -> float:
        return creep.closure_rate_Hz(parameters, pressure_MPa, contact_fraction, temperature_K)

    return closure


def _coverage(run: RunFile, parameters: ParameterSet) -> float:
    system = run.system
    if (system.mg_fraction or system.mg_coverage_L1) and "Mg" not in parameters.species:
        raise InputError(
            f"the run {run.name} has Mg, but parameter set {parameters.name!r} has none",
            advice="Use limg_li2s, or remove mg_fraction and mg_coverage_L1.",
        )
    if system.mg_coverage_L1 == "equilibrium":
        plain = Surface(parameters, system.lattice, run.conditions.temperature_K)
        return equilibrium_coverage(plain, system.mg_fraction)
    return float(system.mg_fraction if system.mg_coverage_L1 is None else system.mg_coverage_L1)


def _shape(run: RunFile, parameters: ParameterSet, coverage: float) -> tuple[Shape, float]:
    upscale = run.upscale
    if upscale.shape == "aspect":
        assert upscale.aspect_ratio is not None, "checked with the run file"
        return Shape(2 * upscale.aspect_ratio), math.nan
    angle = upscale.contact_angle_deg
    if angle is None:
        alloy = run.system.mg_fraction > 0 or coverage > 0
        keys = ["contact_angle_alloy_deg"] if alloy else []
        key = next((k for k in [*keys, "contact_angle_deg"] if parameters.has(k)), None)
        if key is None:
            raise InputError(
                f'parameter set {parameters.name!r} has no contact_angle_deg for shape = "cap"',
                advice='Give upscale.contact_angle_deg, or shape = "aspect" with aspect_ratio.',
            )
        angle = parameters.value(key)
    return Shape.of_contact_angle(angle), angle


def _cells(run: RunFile, vapour: ClusterVapour) -> int:
    """Cells of the grid along an edge, for the flaws and the voids that nucleate between them."""
    upscale, conditions = run.upscale, run.conditions
    density = upscale.flaw_density_per_um2 or 0.0
    if upscale.grid_um is None and upscale.nucleation != "flaws":
        steps = [planned.step.drive.current_density_mA_cm2 for planned in run.protocol.plan]
        strongest = max(steps) if steps else conditions.current_density_mA_cm2
        thickness = conditions.electrode_thickness_um
        burst = nucleation_burst(vapour.model, strongest, thickness)
        density = max(density, burst.density_per_um2)
    n_cells = upscale.cells_along_edge(density)
    if n_cells > MOST_CELLS:
        most_um = 0.9 * upscale.domain_um * MOST_CELLS / n_cells
        raise InputError(
            f"the run {run.name} makes some {density:.2g} voids per µm², for which a square of "
            f"{upscale.domain_um:g} µm needs more cells than memory should hold",
            advice=f"Use an upscale.domain_um of {most_um:.2g} or less, or give upscale.grid_um.",
        )
    return n_cells


def _flaws(run: RunFile, vapour: ClusterVapour) -> Flaws | None:
    """Flaws as unbonded patches: their sites of L1 are vacant at the start."""
    upscale = run.upscale
    if upscale.nucleation == "homogeneous":
        return None
    assert upscale.flaw_density_per_um2 is not None, "checked with the run file"
    assert upscale.flaw_radius_nm is not None, "checked with the run file"
    number = round(upscale.flaw_density_per_um2 * upscale.domain_um**2)
    radius = upscale.flaw_radius_nm * 1e-3
    sites = vapour.model.transport.L1_density_cm2 / _UM2_PER_CM2 * math.pi * radius**2
    return Flaws(number, radius, max(sites, 3.0))
