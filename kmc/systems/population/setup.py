"""A population from a run file: everything it follows from, computed or looked up."""

import math
import warnings
from dataclasses import dataclass, replace

import numpy as np

from kmc.common.progress import Progress
from kmc.errors import InputError, KmcWarning
from kmc.model import creep
from kmc.model.dft_check import contact_angle_of_energies_deg
from kmc.model.electrochemistry import capacity_mAh_cm2
from kmc.model.parameters import ParameterSet
from kmc.model.sinks import sink_distance
from kmc.nuclei.burst import nucleation_burst
from kmc.nuclei.field import Medium
from kmc.nuclei.nucleation_conditions import coverage_of
from kmc.nuclei.vapour import ClusterVapour, medium_of, vapour_of
from kmc.runfile.kind_checks import under_pressure
from kmc.runfile.kind_sections import MAX_CELLS, cells_along_edge
from kmc.runfile.load import RunFile
from kmc.systems.population.body import Viscous
from kmc.systems.population.schedule import flux_per_um2_s
from kmc.systems.population.setting import (
    FINE_CELL_OVER_LIP,
    FlawPatches,
    GapSetting,
    ROUNDING_TIME_s,
)
from kmc.systems.population.voltage import Kinetics, kinetics_at

_WIDEST_CELL_um = 0.5
_CELL_OVER_DISTANCE = 1 / 10  # of cells to the mean distance of the voids that are expected
_CELL_OVER_LIP = 0.7  # of voids that nucleate: too many for cells that resolve their lips
_COARSEST_OVER_LIP = 2.0  # of cells that were asked for
_SLICES = 4000
_INSTANT = 0.5  # R* of relaxation = "instant", of the square's edge, for voids as wide as it
_UM2_PER_CM2 = 1e8
_A2_PER_UM2 = 1e8


@dataclass(frozen=True)
class Prepared:
    """What a run of a population needs."""

    run: RunFile
    parameters: ParameterSet
    setting: GapSetting
    kinetics: Kinetics
    #: Numbers that follow from the input before anything is run, with units in their names.
    facts: dict[str, float]


def _facts(setting: GapSetting, kinetics: Kinetics, **known: float) -> dict[str, float]:
    medium, transport = setting.medium, setting.vapour.model.transport
    # Above a thickness of some sink depths the electrode's own thickness no longer counts.
    far = sink_distance(medium.thickness_um, medium.sink_length_um, medium.sink_depth_um)
    sites = transport.L1_density_cm2 / _UM2_PER_CM2
    facts = {
        "site_volume_um3": medium.site_volume_um3,
        "monolayer_mAh_cm2": capacity_mAh_cm2(sites, _A2_PER_UM2, kinetics.valence),
        "bulk_conductance_per_um_s": medium.bulk_per_um_s,
        "interface_conductance_per_s": medium.interface_per_s,
        "interface_length_um": medium.interface_per_s / medium.bulk_per_um_s,
        "sink_depth_um": medium.sink_depth_um,
        "sink_distance_um": far,
        # Flux balance of a metal without voids: S − 1 is the flux times the distance to the sinks.
        "supersaturation_without_voids": 1 + setting.strip_per_um2_s * far / medium.bulk_per_um_s,
        "height_over_radius": setting.height_over_radius,
        "contact_slope": setting.slope,
        "gamma_J_m2": setting.vapour.model.cap.gamma_J_m2,
        "capillary_length_um": setting.vapour.capillary_um,
        "rounding_length_um": setting.rounding_length_um,
        "wagner_length_um": kinetics.wagner_length_um,
        "edge_um": setting.edge_um,
        "cell_um": setting.pitch_um,
        **known,
    }
    # Attributes of the file are plain numbers; an infinite distance is a way that does not exist.
    return {key: value for key, value in facts.items() if math.isfinite(value)}


def prepare(run: RunFile, progress: bool | Progress = False) -> Prepared:
    """Compute what a run of a population needs; the free energies of clusters take seconds.

    Raises `InputError`: the parameter set has no interface, no creep law where there is a pressure,
    or no angle; or the voids that are expected want more cells than memory should hold.
    """
    parameters, conditions, upscale = run.parameter_set(), run.conditions, run.upscale
    temperature = conditions.temperature_K
    for key in ("exchange_current_density_mA_cm2", "electrolyte_conductivity_mS_cm"):
        if not parameters.has(key):
            raise InputError(
                f"parameter set {parameters.name!r} has no {key}: it describes no interface",
                advice="Use a set with an interface, such as li_li2s.",
            )
    system = run.system
    if (system.mg_fraction or system.mg_coverage_L1) and "Mg" not in parameters.species:
        raise InputError(
            f"the run {run.name} has Mg, but parameter set {parameters.name!r} has none",
            advice="Use limg_li2s, or remove mg_fraction and mg_coverage_L1.",
        )
    coverage = coverage_of(run, parameters)
    body = _body(run, parameters)
    vapour = vapour_of(
        *(parameters, system.lattice, temperature, coverage, system.mg_fraction, progress)
    )
    if vapour.model.cap.gamma_J_m2 <= 0:
        raise InputError(
            f"conditions.temperature_K = {temperature:g} of the run {run.name}: the walls of voids "
            f"have no free energy left ({vapour.model.cap.gamma_J_m2:.2g} J/m²)",
            advice="Use a lower temperature; the metal of this model is no solid there.",
        )
    thickness_um, length_um = conditions.electrode_thickness_um, conditions.sink_length_um
    depth_um = _sink_depth_um(run, vapour)
    medium = medium_of(vapour.model.transport, thickness_um, length_um, depth_um)
    # Of the run or of its steps in order, those of plating below 0.
    currents = [planned.step.drive.current_density_mA_cm2 for planned in run.protocol.plan]
    currents = currents if run.has_protocol else [conditions.current_density_mA_cm2]
    # Voids to be expected: flaws, and where voids nucleate those of the first burst. Whichever are
    # more numerous set the distance of the voids.
    density = upscale.flaw_density_per_um2 or 0.0
    if upscale.nucleation != "flaws":
        sinks = {"sink_length_um": length_um, "sink_depth_um": medium.sink_depth_um}
        burst = nucleation_burst(vapour.model, max(currents), thickness_um, **sinks)
        density = max(density, burst.density_per_um2)
    aspect, angle = _shape(run, parameters, coverage)
    edge = upscale.edge_um(density)
    rounding = _rounding_length_um(run, vapour, medium, edge)
    fluxes = [flux_per_um2_s(current, parameters.valence) for current in currents]
    # A rim of speed v has a lip of thickness (B/v)^(1/3); v is about twice the speed at which the
    # metal recedes, where voids have lost half of the contact.
    rim_um_s = 2 * max(abs(flux) for flux in fluxes) * medium.site_volume_um3
    lip = (rounding**4 / ROUNDING_TIME_s / rim_um_s) ** (1 / 3)
    setting = GapSetting(
        edge_um=edge,
        n_cells=_cells(run, edge, density, rounding, lip),
        medium=medium,
        vapour=vapour,
        strip_per_um2_s=fluxes[0],
        homogeneous=upscale.nucleation != "flaws",
        flaws=_flaws(run, edge, vapour),
        height_over_radius=aspect,
        contact_angle_hysteresis_deg=upscale.contact_angle_hysteresis_deg,
        rounding_length_um=rounding,
        round_at_once=upscale.rounding_length_um is None and upscale.relaxation == "instant",
        body=body and replace(body, surface_energy_J_m2=vapour.model.cap.gamma_J_m2),
        pressure_MPa=conditions.stack_pressure_MPa,
        pressure_share=upscale.pressure_share,
        fixture_stiffness_MPa_per_um=upscale.fixture_stiffness_MPa_per_um,
        counter_electrode_share=upscale.counter_electrode_share,
        cut_off_share=cut_off_share(aspect),
    )
    series = conditions.series_resistance_ohm_cm2
    kinetics = kinetics_at(parameters.value, temperature, series, parameters.valence)
    facts = _facts(
        setting,
        kinetics,
        mg_coverage=coverage,
        contact_angle_deg=angle,  # NaN where an aspect ratio was given
        voids_expected_per_um2=density,
        resolving_cell_um=_CELL_OVER_LIP * lip,  # of cells that resolve the lip of a void
    )
    return Prepared(run, parameters, setting, kinetics, facts)


def _body(run: RunFile, parameters: ParameterSet) -> Viscous | None:
    """The metal's creep, where a pressure asks for it or the run says so."""
    # One step under pressure is enough: the metal then creeps in all of them.
    pressed = under_pressure(run) and run.upscale.pressure_share > 0
    if run.upscale.body == "rigid" or (run.upscale.body is None and not pressed):
        return None
    law = creep.law_of(parameters, run.conditions.temperature_K)
    return Viscous(**vars(law), adhesion_MPa=run.upscale.adhesion_MPa)


def _shape(run: RunFile, parameters: ParameterSet, coverage: float) -> tuple[float, float]:
    """Height over radius of a small void, and its contact angle."""
    upscale = run.upscale
    if upscale.shape == "aspect":
        assert upscale.aspect_ratio is not None, "checked with the run file"
        return 2 * upscale.aspect_ratio, math.nan
    alloy = run.system.mg_fraction > 0 or coverage > 0
    keys = [*(["contact_angle_alloy_deg"] if alloy else []), "contact_angle_deg"]
    stated = [parameters.value(key) for key in keys if parameters.has(key)]
    if upscale.contact_angle_deg is not None:
        angle = upscale.contact_angle_deg
    elif stated:
        angle = stated[0]
    else:
        angle = contact_angle_of_energies_deg(parameters, run.system.lattice)
        if not 1.0 <= angle <= 179.0:  # a void of such a metal is a needle or a film
            raise InputError(
                f"parameter set {parameters.name!r} has no contact_angle_deg, and its energies "
                "give none: the metal spreads, or does not wet at all (kmc params check)",
                advice='Give upscale.contact_angle_deg, or shape = "aspect" with aspect_ratio.',
            )
        # Energies of a few DFT cells are no measured angle: the run says what it assumed.
        warnings.warn(
            f"parameter set {parameters.name!r} has no contact_angle_deg: {angle:.1f}° is used, "
            "which follows from its energies (kmc params check); upscale.contact_angle_deg "
            "replaces it",
            KmcWarning,
            stacklevel=2,
        )
    # The metal meets the electrolyte at the angle, the void at what is left of 180°.
    return math.tan(math.radians(180 - angle) / 2), angle


def cut_off_share(height_over_radius: float) -> float:
    """Share of a cap further from its rim than the rim from its axis: plating cuts it off.

    By slices of its height; 1 − π/2 + 3√3/8 = 0.0787 for a hemisphere.
    """
    t = height_over_radius
    sphere = (1 + t * t) / (2 * t)
    # The rim has radius 1: t is the height of the cap, its sphere has the centre t − sphere above
    # the interface.
    z = (np.arange(_SLICES) + 0.5) * t / _SLICES
    wall = np.sqrt(np.maximum(0.0, sphere**2 - (z - (t - sphere)) ** 2))
    reach = np.sqrt(np.maximum(0.0, 1 - z * z))
    # Points closer to the rim than its radius form a torus: cut off is what a slice has in its
    # hole and beyond it.
    inside = np.where(z < 1, np.minimum(wall, 1 - reach), wall)
    outside = np.where(z < 1, np.maximum(0.0, wall**2 - (1 + reach) ** 2), 0.0)
    return float((inside**2 + outside).sum() / (wall**2).sum())


def _rounding_length_um(
    run: RunFile, vapour: ClusterVapour, medium: Medium, edge_um: float
) -> float:
    """R* after `ROUNDING_TIME_s`: as given, or of the faster way, through metal or interface.

    τ = R³kT/(C D_v c_eq γΩ) and R⁴kT/(C D_i c_i δ γΩ); D_v c_eq is κ_b Ω as ρΩ = 1, and δ D_i c_i
    is κ_i Ω likewise.
    """
    upscale = run.upscale
    if upscale.rounding_length_um is not None:
        return upscale.rounding_length_um
    if upscale.relaxation == "instant":
        return _INSTANT * edge_um
    scale = upscale.relaxation_constant * vapour.capillary_um * medium.site_volume_um3
    scale *= ROUNDING_TIME_s
    # Both ways are open at once, and the one that has rounded the larger void off by then decides.
    bulk = (scale * medium.bulk_per_um_s) ** (1 / 3)
    return max(bulk, (scale * medium.interface_per_s) ** 0.25)


def _sink_depth_um(run: RunFile, vapour: ClusterVapour) -> float:
    """1/κ of the metal's sinks: κ² is their density, that of Taylor's dislocations in it.

    ρ = (σ/αGb)², b = a√3/2 of bcc metal (Taylor, Proc. R. Soc. Lond. A 145, 362 (1934),
    doi:10.1098/rspa.1934.0106).
    """
    modulus, depth_um = run.upscale.dislocation_modulus_GPa, run.conditions.sink_depth_um
    if modulus is None:
        return depth_um
    own = (planned.step.stack_pressure_MPa for planned in run.protocol.plan)
    pressures = {run.conditions.stack_pressure_MPa, *(p for p in own if p is not None)}
    if len(pressures) > 1:
        raise InputError(
            f"upscale.dislocation_modulus_GPa = {modulus:g} of the run {run.name}: its steps have "
            f"{len(pressures)} stack pressures, and the density of dislocations is that of one",
            advice="Give all steps one stack_pressure_MPa, or sink_depth_um.",
        )
    burgers_um = 1e4 * vapour.model.transport.lattice_parameter_cm * math.sqrt(3) / 2
    stress_MPa = run.upscale.pressure_share * pressures.pop()
    # Densities of sinks add, and κ² is a density.
    kappa = math.hypot(1 / depth_um, stress_MPa / (1e3 * modulus * burgers_um))
    return 1 / kappa if kappa else math.inf


def cell_at(voids_per_um2: float) -> float:
    """Width of a cell in µm that has some cells across the distance of voids."""
    if voids_per_um2 <= 0:
        return _WIDEST_CELL_um
    return min(_WIDEST_CELL_um, _CELL_OVER_DISTANCE / math.sqrt(voids_per_um2))


def _cells(run: RunFile, edge_um: float, density: float, rounding_um: float, lip: float) -> int:
    """Cells along an edge: some across the distance of voids and across the lip of a moving rim."""
    cell = run.upscale.grid_um
    if cell is None:
        # The narrowest of what has to be resolved: contact, the lip at a moving rim, the distance
        # of voids.
        share = FINE_CELL_OVER_LIP if run.upscale.nucleation == "flaws" else _CELL_OVER_LIP
        if run.upscale.cells_per_rim is not None:
            share = 1 / run.upscale.cells_per_rim
        cell = min(_WIDEST_CELL_um, share * lip, cell_at(density))
    elif cell > _COARSEST_OVER_LIP * lip:
        raise InputError(
            f"upscale.grid_um = {cell:g} of the run {run.name}: cells of this width do not resolve "
            f"the rim of a spreading void, {lip:.2g} µm thick (rounding_length_um)",
            advice=f"Give {_CELL_OVER_LIP * lip:.2g} µm or less, or leave grid_um out.",
        )
    elif cell > _CELL_OVER_LIP * lip:
        warnings.warn(
            f"upscale.grid_um = {cell:g} of the run {run.name} is {cell / lip:.2g} of the rim of a "
            f"spreading void, {lip:.2g} µm thick: a lone void loses contact a third too late at "
            f"0.75, and later with wider cells; give {_CELL_OVER_LIP * lip:.2g} µm or less",
            KmcWarning,
            stacklevel=2,
        )
    n_cells = cells_along_edge(edge_um, cell)
    if n_cells > MAX_CELLS:
        raise InputError(
            f"the run {run.name} wants cells of {cell:.2g} µm ({density:.2g} voids per µm², rims "
            f"that round off over {rounding_um:.2g} µm in 1e4 s), more of them in a square of "
            f"{edge_um:g} µm than memory should hold",
            advice=f"Use an upscale.domain_um of {0.9 * MAX_CELLS * cell:.2g} or less, or give "
            "upscale.grid_um.",
        )
    return n_cells


def _flaws(run: RunFile, edge_um: float, vapour: ClusterVapour) -> FlawPatches | None:
    """Flaws as unbonded patches: a layer of atoms is missing at the start."""
    upscale = run.upscale
    if upscale.nucleation == "homogeneous":
        return None
    assert upscale.flaw_density_per_um2 is not None, "checked with the run file"
    assert upscale.flaw_radius_nm is not None, "checked with the run file"
    surface = vapour.model.transport.surface
    # cm to µm; volume over area of a site is the thickness of one layer.
    layer_um = 1e4 * surface.site_volume_cm3 / surface.site_area_cm2
    number = round(upscale.flaw_density_per_um2 * edge_um**2)
    radius_um, sigma = upscale.flaw_radius_nm * 1e-3, upscale.flaw_radius_sigma
    return FlawPatches(number, radius_um, sigma, layer_um, upscale.flaws_reopen)
