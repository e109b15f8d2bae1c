"""Creep of the metal: Norton's law and the rate at which it closes voids.

Pure functions, units in the names. docs/model/mechanics.md discusses the law and its numbers.
"""

from __future__ import annotations

import math

from kmc.common.units import K_B_J, N_A
from kmc.errors import InputError
from kmc.model.parameters import ParameterSet

R_kJ_mol_K = K_B_J * N_A * 1e-3  # gas constant
REFERENCE_K = 298.15  # temperature of the sets' reference strain rate

KEYS = (
    *("creep_reference_rate_per_s", "creep_reference_stress_MPa", "creep_exponent"),
    *("creep_activation_energy_kJ_mol", "creep_stress_limit_MPa"),
)


def strain_rate_Hz(parameters: ParameterSet, stress_MPa: float, temperature_K: float) -> float:
    """Steady strain rate of Norton's law, 1/s.

    ε̇ = A σ^n exp(−Q/RT), with A given through the strain rate ε̇0 at a stress σ0 and 298.15 K:
    A = ε̇0 σ0^(−n) exp(Q/R·298.15 K). So a change of n turns the law about (σ0, ε̇0).
    """
    value = parameters.value
    reduced = stress_MPa / value("creep_reference_stress_MPa")
    arrhenius = value("creep_activation_energy_kJ_mol") / R_kJ_mol_K
    arrhenius *= 1 / REFERENCE_K - 1 / temperature_K
    rate = value("creep_reference_rate_per_s") * math.exp(arrhenius)
    return rate * reduced ** value("creep_exponent")


def local_stress_MPa(pressure_MPa: float, contact_fraction: float, limit_MPa: float) -> float:
    """Stress in the metal that is left in contact: the pressure over the contact, up to a limit."""
    if pressure_MPa == 0.0:
        return 0.0
    if contact_fraction * limit_MPa <= pressure_MPa:
        return limit_MPa
    return pressure_MPa / contact_fraction


def void_stress_MPa(
    pressure_MPa: float, contact_fraction: float, exponent: float, limit_MPa: float
) -> float:
    """Stress at which Norton's law closes a void of an interface with this contact, up to a limit.

    3P/(2n (1 − f^(1/n))) with the share f = (1 − θ)^1.5 of a cell that its void takes: 3P/(2n) for
    a lone void (Budiansky, Hutchinson and Slutsky, in Mechanics of Solids, 1982), towards P/θ where
    contact vanishes.
    """
    # From an area to a volume: voids that take the share 1 − θ of the interface, as high as they
    # are wide.
    filled = max(0.0, 1.0 - contact_fraction) ** 1.5
    solid = 1.0 - filled ** (1.0 / exponent)
    if 2 * exponent * solid * limit_MPa <= 3 * pressure_MPa:
        return limit_MPa
    return 3 * pressure_MPa / (2 * exponent * solid)


def closure_rate_Hz(
    parameters: ParameterSet, pressure_MPa: float, contact_fraction: float, temperature_K: float
) -> float:
    """Rate at which creep closes each void vacancy, 1/s.

    A void loses volume at dV/dt = −1.5 ε̇(σ) V with the σ of `void_stress_MPa`.

    Raises `InputError`: the set has no creep law.
    """
    if pressure_MPa == 0.0:
        return 0.0
    missing = [key for key in KEYS if not parameters.has(key)]
    if missing:
        raise InputError(
            f"parameter set {parameters.name!r} has no {missing[0]}: how this metal creeps under "
            "stack_pressure_MPa is unknown",
            advice="Set stack_pressure_MPa = 0, or use a set with a creep law, such as li_li2s.",
        )
    limit = parameters.value("creep_stress_limit_MPa")
    exponent = parameters.value("creep_exponent")
    stress = void_stress_MPa(pressure_MPa, contact_fraction, exponent, limit)
    return 1.5 * strain_rate_Hz(parameters, stress, temperature_K)
