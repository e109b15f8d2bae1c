"""Current, charge and overpotential."""

from __future__ import annotations

import math

from kmc.common.units import E_C, K_B_eV

_CM2_PER_A2 = 1e-16
_CM_PER_A = 1e-8
_C_PER_MAH = 3.6
_T_25C_K = 298.15


def strip_rate_Hz(current_density_mA_cm2: float, area_A2: float) -> float:
    """Atoms oxidised per second on an area: j A / e."""
    return current_density_mA_cm2 * 1e-3 * area_A2 * _CM2_PER_A2 / E_C


def capacity_mAh_cm2(n_atoms: float, area_A2: float) -> float:
    """Areal capacity of a number of stripped atoms (Faraday's law): N e / A."""
    return n_atoms * E_C / (area_A2 * _CM2_PER_A2) / _C_PER_MAH


def atoms_of_capacity(capacity_mAh_cm2: float, area_A2: float) -> float:
    """Stripped atoms of an areal capacity, the inverse of `capacity_mAh_cm2`."""
    return capacity_mAh_cm2 * _C_PER_MAH * area_A2 * _CM2_PER_A2 / E_C


def charge_transfer_factors(overpotential_V: float, temperature_K: float) -> tuple[float, float]:
    """Factors of the oxidation of Li and of its reduction: exp(eη/2kT) and exp(−eη/2kT).

    The two balance in detail: their ratio is exp(eη/kT). The net current is j0 w̄ times their
    difference, 2 sinh(eη/2kT).
    """
    exponent = overpotential_V / (2 * K_B_eV * temperature_K)
    return math.exp(exponent), math.exp(-exponent)


def current_density_mA_cm2(
    overpotential_V: float,
    exchange_current_density_mA_cm2: float,
    mean_weight: float,
    temperature_K: float,
) -> float:
    """Net current density at a charge-transfer overpotential, the inverse of `overpotential_V`."""
    oxidation, reduction = charge_transfer_factors(overpotential_V, temperature_K)
    return exchange_current_density_mA_cm2 * mean_weight * (oxidation - reduction)


def overpotential_V(
    current_density_mA_cm2: float,
    exchange_current_density_mA_cm2: float,
    mean_weight: float,
    temperature_K: float,
) -> float:
    """Charge-transfer overpotential of the electroactive atoms.

    Solves j A/e = k0 Σ_i w_i · 2 sinh(e η / 2 k T) for η, with k0 such that a flat pure interface
    (every L1 site with w = 1) has the exchange current density j0.

    Parameters
    ----------
    mean_weight : float
        Σ_i w_i divided by the number of L1 sites; 1 for a flat interface of pure Li.

    Returns
    -------
    float
        η in V; infinite when current must flow and nothing is electroactive.
    """
    if current_density_mA_cm2 == 0.0:
        return 0.0
    if mean_weight <= 0.0:
        return math.inf
    ratio = current_density_mA_cm2 / (exchange_current_density_mA_cm2 * mean_weight)
    return 2 * K_B_eV * temperature_K * math.asinh(ratio / 2)


def conductivity_mS_cm(at_25C_mS_cm: float, activation_eV: float, temperature_K: float) -> float:
    """Conductivity of the electrolyte: Arrhenius from its value at 25 °C."""
    return at_25C_mS_cm * math.exp(-activation_eV / K_B_eV * (1 / temperature_K - 1 / _T_25C_K))


def spreading_resistance_ohm_cm2(length_A: float, conductivity_mS_cm: float) -> float:
    """Area-specific resistance of a half-space: `constriction.Spreading.length_A` over κ."""
    return length_A * _CM_PER_A / (conductivity_mS_cm * 1e-3)


def constriction_V(current_density_mA_cm2: float, resistance_ohm_cm2: float) -> float:
    """Drop of the current in the electrolyte on its way to the contacts: j R; 0 without current."""
    return current_density_mA_cm2 * 1e-3 * resistance_ohm_cm2 if current_density_mA_cm2 else 0.0


def charge_transfer_part_V(
    applied_V: float,
    exchange_current_density_mA_cm2: float,
    mean_weight: float,
    resistance_ohm_cm2: float,
    temperature_K: float,
) -> float:
    """Part of an applied overpotential that drives charge transfer.

    Solves η_ct + R j(η_ct) = η with j = j0 w̄ 2 sinh(e η_ct/2kT). The left side rises with η_ct,
    so there is one solution, between 0 and η.

    Parameters
    ----------
    applied_V : float
        η, of either sign.
    mean_weight : float
        As for `overpotential_V`.
    resistance_ohm_cm2 : float
        R of the present contact map, `spreading_resistance_ohm_cm2`.

    Returns
    -------
    float
        η_ct in V; the rest of η drops in the electrolyte. With infinite R nothing flows: 0.
    """
    from scipy.optimize import brentq

    if math.isinf(resistance_ohm_cm2):
        return 0.0
    resistance_V = resistance_ohm_cm2 * exchange_current_density_mA_cm2 * 1e-3 * mean_weight
    if applied_V == 0.0 or resistance_V == 0.0:
        return applied_V
    thermal_V = 2 * K_B_eV * temperature_K
    size = abs(applied_V)
    # At most this much, or the drop alone would exceed η; it also keeps sinh from overflowing.
    most = min(size, thermal_V * math.asinh(size / (2 * resistance_V)))
    if most == 0.0:
        return 0.0

    def excess(share: float) -> float:
        part = share * most
        return part + 2 * resistance_V * math.sinh(part / thermal_V) - size

    root = 1.0 if excess(1.0) <= 0.0 else brentq(excess, 0.0, 1.0, xtol=1e-15)
    return math.copysign(most * root, applied_V)
