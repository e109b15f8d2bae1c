"""Values of [parameters] that a run never reads: warned of, with the key that would serve."""

import warnings

from kmc.common.metals import stored_key
from kmc.errors import KmcWarning
from kmc.model import adatoms
from kmc.model.quantities import QUANTITIES
from kmc.runfile.kind_checks import CREEP, NEEDED_OF_ACTIVE, under_pressure
from kmc.runfile.kinds import KINDS
from kmc.runfile.run_file import RunFile

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


def warn_of_unused(run: RunFile) -> None:
    """Warn of each value of [parameters] that has no effect in this run."""
    if run.kind not in READ or not run.parameters:
        return
    metal = run.parameter_set().metal
    for name in run.parameters:
        if text := _unused(run, stored_key(name, metal)):
            # Without the value, so that a sweep of it warns once.
            warnings.warn(f"parameters.{name} has no effect in {text}", KmcWarning, stacklevel=2)


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
