"""Current, charge and overpotential.

An atom leaves z electrons, the valence of its metal. Overpotentials count in kT/(ze).
"""

import math
from typing import NamedTuple

import scipy

from kmc.common.units import E_C, A_per_nm, K_B_eV, mAh_C

_CM2_PER_A2 = 1e-16
_CM_PER_A = 1e-8
_UM_PER_CM = 1e4
_T_25C_K = 298.15
_PRIOR = 0.02  # vacancies


class Drive(NamedTuple):
    """What drives the charge transfer of an interface: a current, a voltage, or nothing."""

    # given current: above 0 atoms are stripped, below 0 ions are plated
    current_density_mA_cm2: float = 0.0
    # overpotential held instead, above 0 to strip and below 0 to plate
    overpotential_V: float | None = None
    stack_pressure_MPa: float | None = None  # pressure meanwhile; that of the run where None

    @property
    def flows(self) -> bool:
        """Whether charge passes."""
        return self.overpotential_V is not None or self.current_density_mA_cm2 != 0.0

    @property
    def plates(self) -> bool:
        """Whether its direction is that of plating."""
        if self.overpotential_V is not None:
            return self.overpotential_V < 0.0
        return self.current_density_mA_cm2 < 0.0


def thermal_voltage_V(temperature_K: float, valence: int = 1) -> float:
    """kT/(ze)."""
    return K_B_eV * temperature_K / valence


def strip_rate_Hz(current_density_mA_cm2: float, area_A2: float, valence: int = 1) -> float:
    """Atoms oxidised per second on an area: j A/(ze)."""
    return current_density_mA_cm2 * 1e-3 * area_A2 * _CM2_PER_A2 / (valence * E_C)


def flux_per_cm2_s(current_density_mA_cm2: float, valence: int = 1) -> float:
    """Atoms oxidised per second and cm²: j/(ze)."""
    return current_density_mA_cm2 * 1e-3 / (valence * E_C)


def capacity_mAh_cm2(n_atoms: float, area_A2: float, valence: int = 1) -> float:
    """Areal capacity of a number of stripped atoms (Faraday's law): N z e/A."""
    return n_atoms * (valence * E_C) / (area_A2 * _CM2_PER_A2) / mAh_C


def zinc_oxide_mAh_cm2(thickness_nm: float) -> float:
    """Charge that turns ZnO into LiZn and Li2O: ZnO + 3 Li → LiZn + Li2O, three electrons a Zn.

    Two thirds pass at about 0.5 V (ZnO + 2 Li → Zn + Li2O), one at about 0.2 V (Zn + Li → LiZn;
    Shen et al., 10.1038/s41467-025-60609-4). The density is that of the crystal: two formula units
    in its hexagonal cell (a = 3.2498, c = 5.2066 Å: Kisi and Elcombe, 10.1107/S0108270189004269).
    """
    volume_A3 = math.sqrt(3) / 2 * 3.2498**2 * 5.2066
    return capacity_mAh_cm2(thickness_nm * A_per_nm / volume_A3 * 2, 1.0, 3)


def atoms_of_capacity(capacity_mAh_cm2: float, area_A2: float, valence: int = 1) -> float:
    """Stripped atoms of an areal capacity, the inverse of `capacity_mAh_cm2`."""
    return capacity_mAh_cm2 * mAh_C * area_A2 * _CM2_PER_A2 / (valence * E_C)


# --- the interface as an area -----------------------------------------------------------------


def effective_area(
    contact_fraction: float,
    rim_weight: float = 0.0,
    spacing_A: float = 0.0,
    rim_length_per_area_per_A: float = 0.0,
) -> float:
    """Area that carries the charge transfer, over the area of the interface.

    a_eff = θ + w̄_rim a l: the contact, and the atoms at its rim, which are bound more weakly than
    those of a flat interface and exchange more often with the electrolyte.

    - `contact_fraction`: θ, share of the interface in contact.
    - `rim_weight`: w̄_rim, exchange of the rim beyond that of flat contact: in sites of a flat
      interface, for each lattice parameter of rim.
    - `spacing_A`: a, lattice parameter.
    - `rim_length_per_area_per_A`: l, length of rim per area of interface, 1/Å. It is the reciprocal
      of a length of the pattern: at micrometres the rim is worth less than 1 % of the contact.
    """
    return contact_fraction + rim_weight * spacing_A * rim_length_per_area_per_A


def charge_transfer_overpotential_V(
    current_density_mA_cm2: float,
    exchange_current_density_mA_cm2: float,
    contact_fraction_effective: float,
    thermal_V: float,
    alpha: float = 0.5,
) -> float:
    """Overpotential of charge transfer through the contacted area (Butler and Volmer).

    Solves j = j0 a_eff {exp[α zeη/kT] − exp[−(1 − α) zeη/kT]}; with α = 1/2 that is
    η = (2kT/ze) asinh[j/(2 j0 a_eff)].

    Returns η in V, of the sign of j; infinite when current must flow and there is no contact.
    """
    if current_density_mA_cm2 == 0.0:
        return 0.0
    if contact_fraction_effective <= 0.0:
        return math.copysign(math.inf, current_density_mA_cm2)
    ratio = current_density_mA_cm2 / (exchange_current_density_mA_cm2 * contact_fraction_effective)
    return net_rate_overpotential_V(ratio, 1.0, 1.0, thermal_V, alpha)


def vacancy_activity(seen, expected):
    """Vacancy activity from the vacancies seen, over those expected in equilibrium.

    A fiftieth of a vacancy is added to both, so that an interface of which nothing is known yet
    counts as in equilibrium and the logarithm stays finite; where more than one vacancy is
    expected it changes the activity by less than 2 %.

    - `seen`, `expected` (float or array): sums over the same moments.
    """
    return (seen + _PRIOR) / (expected + _PRIOR)


def concentration_overpotential_V(vacancy_activity: float, thermal_V: float) -> float:
    """Potential at which an interface with this vacancy activity passes no net current.

    (kT/ze) ln S: an atom taken out of the lattice leaves a vacancy, and where these are S times as
    active as in equilibrium with the kinks of the metal, each costs kT ln S more.
    """
    return thermal_V * math.log(vacancy_activity)


def wagner_length_um(
    conductivity_mS_cm: float,
    exchange_current_density_mA_cm2: float,
    temperature_K: float,
    valence: int = 1,
) -> float:
    """Length of a contact pattern above which constriction outweighs charge transfer, µm.

    κ kT/(ze j0): over it, at small currents, the electrolyte drops as much as charge transfer does
    (Wagner number 1; IUPAC Gold Book, doi:10.1351/goldbook.C01456).
    """
    exchange = valence * exchange_current_density_mA_cm2
    return conductivity_mS_cm * K_B_eV * temperature_K / exchange * _UM_PER_CM


# --- site by site -----------------------------------------------------------------------------


def charge_transfer_factors(
    overpotential_V: float, thermal_V: float, alpha: float = 0.5
) -> tuple[float, float]:
    """Factors of oxidation and of reduction: exp[α zeη/kT] and exp[−(1 − α) zeη/kT].

    Their ratio is exp(zeη/kT), whatever α.
    """
    exponent = overpotential_V / thermal_V
    return math.exp(alpha * exponent), math.exp(-(1 - alpha) * exponent)


def net_rate_overpotential_V(
    net: float, oxidation: float, reduction: float, thermal_V: float, alpha: float = 0.5
) -> float:
    """Overpotential at which oxidation outruns reduction by `net`.

    Solves  a exp[α zeη/kT] − b exp[−(1 − α) zeη/kT] = net.

    - `net`, `oxidation`, `reduction`: the net rate and the rates a and b at η = 0, in one unit.

    Returns η in V; infinite when nothing can be oxidised for a positive net rate (or reduced for a
    negative one), and 0 when there is neither a rate nor anything to react.
    """
    a, b = oxidation, reduction
    if net == 0.0 and a == b:
        return 0.0
    # One reaction alone has no balance to start from: its own exponential passes the rate.
    if a <= 0.0 or b <= 0.0:
        if a > 0.0 and net > 0.0:
            return thermal_V / alpha * math.log(net / a)
        if b > 0.0 and net < 0.0:
            return -thermal_V / (1 - alpha) * math.log(-net / b)
        return math.copysign(math.inf, net if net else b - a)
    # From the potential at which nothing flows, with the exchange rate there: no overflow.
    rest = math.log(b / a)
    exchange = math.exp(alpha * math.log(b) + (1 - alpha) * math.log(a))
    ratio = net / exchange
    # The quadratic in exp(y/2) that α = 1/2 leaves; other α have no closed form.
    if alpha == 0.5:
        return thermal_V * (rest + 2 * math.asinh(ratio / 2))
    if ratio == 0.0:
        return thermal_V * rest
    # Within these the faster of the two terms alone is enough to pass the ratio.
    most = (math.log1p(abs(ratio)) + 1.0) / (alpha if ratio > 0 else 1 - alpha)
    low, high = (0.0, most) if ratio > 0 else (-most, 0.0)

    def excess(y: float) -> float:
        return math.exp(alpha * y) - math.exp(-(1 - alpha) * y) - ratio

    return thermal_V * (rest + scipy.optimize.brentq(excess, low, high, xtol=1e-15))


# --- the electrolyte --------------------------------------------------------------------------


def conductivity_mS_cm(at_25C_mS_cm: float, activation_eV: float, temperature_K: float) -> float:
    """Conductivity of the electrolyte: Arrhenius from its value at 25 °C."""
    return at_25C_mS_cm * math.exp(-activation_eV / K_B_eV * (1 / temperature_K - 1 / _T_25C_K))


def spreading_resistance_ohm_cm2(length_A: float, conductivity_mS_cm: float) -> float:
    """Area-specific resistance of a half-space: `constriction.Spreading.length_A` over κ."""
    return length_A * _CM_PER_A / (conductivity_mS_cm * 1e-3)


def drop_V(current_density_mA_cm2: float, resistance_ohm_cm2: float) -> float:
    """Drop j R of the current in an area-specific resistance; 0 without current."""
    return current_density_mA_cm2 * 1e-3 * resistance_ohm_cm2 if current_density_mA_cm2 else 0.0


def interface_part_V(
    applied_V: float,
    oxidation: float,
    reduction: float,
    drop_V_per_rate: float,
    thermal_V: float,
    alpha: float = 0.5,
) -> float:
    """Part of an applied overpotential that is left at the interface.

    Solves η + R {a exp[α zeη/kT] − b exp[−(1 − α) zeη/kT]} = η_applied. The left side rises with η,
    so there is one solution; it lies between the applied overpotential and the one at which nothing
    flows, (kT/ze) ln(b/a).

    - `oxidation`, `reduction`: a and b, rates at η = 0.
    - `drop_V_per_rate`: r in V per unit of those rates: what electrolyte and series resistance
      drop.

    Returns η in V; the rest drops before the interface. With infinite R nothing flows.
    """
    # Without a drop, or anything that could carry a current, the interface has all of the voltage.
    if drop_V_per_rate == 0.0 or (oxidation <= 0.0 and reduction <= 0.0):
        return applied_V
    if oxidation > 0.0 and reduction > 0.0:
        rest_V = thermal_V * math.log(reduction / oxidation)
    else:  # far enough for the one reaction there is to stop
        rest_V = math.copysign(abs(applied_V) + 200 * thermal_V, -1.0 if oxidation > 0.0 else 1.0)
    if math.isinf(drop_V_per_rate):
        return rest_V

    def excess(eta: float) -> float:
        forward, backward = charge_transfer_factors(eta, thermal_V, alpha)
        return eta + drop_V_per_rate * (oxidation * forward - reduction * backward) - applied_V

    # Between no current and no drop, whichever of the two voltages is the higher one.
    low, high = sorted((rest_V, applied_V))
    # Beyond this either way the drop alone would exceed what there is; it keeps exp from overflow.
    low, high = max(low, rest_V - 600 * thermal_V), min(high, rest_V + 600 * thermal_V)
    if excess(low) >= 0.0:
        return low
    if excess(high) <= 0.0:
        return high
    return scipy.optimize.brentq(excess, low, high, xtol=1e-15)
