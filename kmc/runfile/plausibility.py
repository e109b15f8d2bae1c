"""Values that make no sense, and values of [parameters] that a run never reads: warned of."""

import math
import warnings

from kmc.common.formatting import figure
from kmc.common.metals import MELTING_POINTS_K, stored_key
from kmc.errors import KmcWarning
from kmc.model import adatoms
from kmc.model.electrochemistry import atoms_of_capacity
from kmc.model.quantities import QUANTITIES
from kmc.runfile.kind_checks import CREEP, NEEDED_OF_ACTIVE, under_pressure
from kmc.runfile.kinds import KINDS
from kmc.runfile.run_file import Origin, RunFile

CELSIUS_K = 273.15  # 0 °C
_COLD_K = 150.0  # colder than any cell, and warmer than any cell in °C
_USUAL_deg = (20.0, 160.0)  # below a void is a needle, above a film
_um_per_A = 1e-4

_ANGLES = ("contact_angle_deg", "contact_angle_alloy_deg")
_CREEP = {key for key in QUANTITIES if key.startswith(("creep_", "linear_creep_"))}
# Inputs of depositions and cathodes alone.
_OF_OTHERS = set(NEEDED_OF_ACTIVE) | {"strain_rate_sensitivity", "pair_bond_eV"}
_OF_OTHERS |= set(adatoms.OF_SUBSTRATE) | set(adatoms.OF_METAL[3:])
_OF_A_BOX = {key for key in QUANTITIES if QUANTITIES[key].role == "input"} - _OF_OTHERS
# The overpotential of a population has α = 1/2, and its rims are those of its contacts.
_OF_BOXES_ALONE = {"charge_transfer_coefficient", "rim_exchange_weight", "creep_stress_limit_MPa"}

READ: dict[str, set[str]] = {
    "electrode": _OF_A_BOX | {"pair_bond_eV"},
    "population": (_OF_A_BOX - _OF_BOXES_ALONE) | {*_ANGLES, "diffusivity_Mg_25C_cm2_s"},
    "deposition": set(adatoms.NEEDED),
    "cathode": {*NEEDED_OF_ACTIVE, *CREEP},
}
"""Name of a kind → quantities of a parameter set that its runs may read."""

_SERVES = {
    **dict.fromkeys(("work_of_adhesion_J_m2", *_ANGLES), "formation_energy_L1_eV"),
    "molar_volume_cm3_mol": "lattice_parameter_A",
    "formation_energy_Mg_shell3_eV": "formation_energy_Mg_shell2_eV",
    "fill_Li_far_from_Mg_eV": "fill_Li_near_Mg_eV",
    "alloy_Mg_fraction": "system.mg_fraction",
    "foil_thickness_um": "conditions.electrode_thickness_um",
    **dict.fromkeys((f"diffusivity_Mg_{c}C_cm2_s" for c in (25, 60)), "barrier_Mg_eV"),
    "rim_exchange_weight": "exchange_current_density_mA_cm2",
    **{key: "second_shell_ratio" for key in QUANTITIES if "_pair_shell" in key},
    **{key: "formation_energy_bulk_eV" for key in QUANTITIES if key.startswith("surface_energy")},
}
_OF_THE_ANGLE = "contact_angle_deg, of which W = γ (1 + cos θ) is the work of adhesion"


def warn_of_celsius(run: RunFile, origin: Origin) -> None:
    """Warn of a temperature in K that looks like one in °C."""
    for kelvin, shown in _temperatures(run, origin):
        if kelvin < _COLD_K:
            _warn(
                f"{shown} is {kelvin - CELSIUS_K:g} °C. Did you mean {kelvin:g} °C? That is "
                f"temperature_K = {kelvin + CELSIUS_K:g}"
            )


def warn_of_values(run: RunFile, origin: Origin) -> None:
    """Warn of values of [parameters] without effect; of a metal also of what makes no sense.

    That is molten metal, voids that are films or needles, and a foil that is used up.
    """
    for name in run.parameters if run.kind in READ else ():
        if text := _unused(run, stored_key(name, run.parameter_set().metal)):
            # Without the value, so that a sweep of it warns once.
            _warn(f"parameters.{name} has no effect in {text}")
    if run.kind not in ("electrode", "population"):
        return
    parameters = run.parameter_set()
    melts_K = MELTING_POINTS_K.get(parameters.metal, math.inf)
    for kelvin, shown in _temperatures(run, origin):
        if kelvin >= melts_K:
            _warn(f"{shown}: {parameters.metal} melts at {melts_K:g} K, and the model is a crystal")
    angle, shown = run.upscale.contact_angle_deg, origin.of(run, "upscale.contact_angle_deg")
    if angle is None and run.kind == "population" and parameters.has("contact_angle_deg"):
        angle = parameters.value("contact_angle_deg")
        shown = f"contact_angle_deg = {angle:g} of {parameters.name}"
    if angle is not None and not _USUAL_deg[0] <= angle <= _USUAL_deg[1]:
        ratio = figure(math.tan(math.radians(180 - angle) / 2), digits=2)
        usual = f"usual are {_USUAL_deg[0]:g}° to {_USUAL_deg[1]:g}°"
        _warn(f"{shown}: voids are {ratio} times as high as their radius; {usual}")
    section = "stop" if run.kind == "electrode" else "upscale"
    charges = [(getattr(run, section).capacity_mAh_cm2, f"{section}.capacity_mAh_cm2")]
    if run.has_protocol:
        steps = [step for _, _, step in run.protocol.plan if step.do == "strip"]
        charges = [(step.until.capacity_mAh_cm2, "") for step in steps]
    charge, key = max(charges, key=lambda pair: pair[0] or 0.0, default=(None, ""))
    # Two atoms in the cubic cell of a bcc metal, whose face has a² of area.
    edge_A = parameters.value("lattice_parameter_A")
    cells = atoms_of_capacity(charge or 0.0, edge_A**2, parameters.valence) / 2
    thickness_um = run.conditions.electrode_thickness_um
    if cells * edge_A * _um_per_A > thickness_um:
        shown = origin.of(run, key) if key else f"a step strips {charge:g} mAh/cm²"
        _warn(
            f"{shown}: that is {cells * edge_A * _um_per_A:.3g} µm of {parameters.metal}, and "
            f"{origin.of(run, 'conditions.electrode_thickness_um')} is used up before"
        )


def _unused(run: RunFile, key: str) -> str:
    """The kind of run, why it does not read a quantity, and what would serve; empty if it does."""
    noun, upscale = KINDS[run.kind].noun, run.upscale
    if key not in READ[run.kind]:
        if run.kind in ("deposition", "cathode"):
            return f"{noun}, which reads {', '.join(sorted(READ[run.kind]))}"
        of_voids = run.kind == "population" and key == "work_of_adhesion_J_m2"
        serves = _OF_THE_ANGLE if of_voids else _SERVES.get(key)
        return f"{noun}; what serves is {serves}" if serves else noun
    if key in _ANGLES and (upscale.contact_angle_deg or upscale.shape == "aspect"):
        return f"{noun} whose [upscale] states the shape of voids"
    has_mg = bool(run.system.mg_fraction or run.system.mg_coverage_L1)
    angle = _ANGLES[has_mg and run.parameter_set().has(_ANGLES[1])]
    if key in _ANGLES and key != angle:
        return f"{noun} with{'' if has_mg else 'out'} Mg; what serves is {angle}"
    if key == "rim_exchange_weight" and run.conditions.contact_pattern_um is None:
        return f"{noun} without conditions.contact_pattern_um"
    if run.kind in ("electrode", "population") and key in _CREEP and not _creeps(run):
        return f"{noun} whose metal does not creep: give conditions.stack_pressure_MPa"
    return ""


def _creeps(run: RunFile) -> bool:
    if run.kind == "population" and run.upscale.body is not None:
        return run.upscale.body == "viscous"
    return under_pressure(run) and run.upscale.pressure_share > 0


def _temperatures(run: RunFile, origin: Origin) -> list[tuple[float, str]]:
    """Temperatures of a run and of its steps, and how they are given."""
    return [(run.conditions.temperature_K, origin.of(run, "conditions.temperature_K"))] + [
        (step.temperature_K, f"temperature_K = {step.temperature_K:g} in step {n} of [[protocol]]")
        for n, _, step in run.protocol.plan
        if step.temperature_K is not None
    ]


def _warn(text: str) -> None:
    warnings.warn(text, KmcWarning, stacklevel=3)
