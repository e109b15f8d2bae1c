"""Creep of the metal: diffusional flow beside Norton's law, and how fast they close voids.

Pure functions, units in the names. docs/model/mechanics.md discusses the law and its numbers.
"""

import math
from dataclasses import dataclass

from kmc.common.units import K_B_J, N_A, K_B_eV
from kmc.errors import InputError
from kmc.model.parameters import ParameterSet
from kmc.model.quantities import UNSTATED

R_kJ_mol_K = K_B_J * N_A * 1e-3  # gas constant
REFERENCE_K = 298.15  # temperature of the sets' reference strain rate
RADIUS_OVER_DEPTH = 2.8  # of the contact of a Berkovich indent, as a disc of the same area
_FLOW_OVER_HARDNESS = 1 / 3  # Tabor's rule

NORTON = (
    *("creep_reference_rate_per_s", "creep_reference_stress_MPa", "creep_exponent"),
    "creep_activation_energy_kJ_mol",
)
KEYS = (*NORTON, "creep_stress_limit_MPa")


@dataclass(frozen=True)
class CreepLaw:
    """ε̇ = m σ + A (σ − σ_th)₊^n at a temperature.

    m σ is diffusional flow (Nabarro and Herring), A (σ − σ_th)^n that of dislocations. They act
    above a stress that falls with size: hardness × depth^1.17 is one number for indents of lithium
    (Herbert et al., J. Mater. Res. 33, 1361 (2018), doi:10.1557/jmr.2018.85), the flow stress a
    third of the hardness, and an indent of depth d as wide as a void of radius 2.8 d.
    """

    rate_per_s: float  #: A at 1 MPa
    exponent: float  #: n
    linear_per_MPa_s: float = 0.0  #: m, 1/(3η)
    threshold_hardness_MPa: float = 0.0  #: at 1 µm of depth; 0 for no threshold
    threshold_size_exponent: float = 1.17

    def threshold_MPa(self, radius_um: float) -> float:
        """σ_th for a void, or a contact, of this radius."""
        if not self.threshold_hardness_MPa:
            return 0.0
        depth_um = radius_um / RADIUS_OVER_DEPTH
        hardness = self.threshold_hardness_MPa * depth_um**-self.threshold_size_exponent
        return _FLOW_OVER_HARDNESS * hardness

    def strain_rate_Hz(self, stress_MPa: float, radius_um: float = math.inf) -> float:
        beyond = max(0.0, stress_MPa - self.threshold_MPa(radius_um))
        return self.linear_per_MPa_s * stress_MPa + self.rate_per_s * beyond**self.exponent


def law_of(parameters: ParameterSet, temperature_K: float) -> CreepLaw:
    """The law of a parameter set.

    A = ε̇0 σ0^(−n) exp[Q/R (1/298.15 K − 1/T)]: a change of n turns the law about (σ0, ε̇0). The
    linear rate is that of 25 °C, with an activation energy of its own.

    Raises `InputError`: the set lacks one of `NORTON`.
    """
    if missing := [key for key in NORTON if not parameters.has(key)]:
        raise InputError(
            f"parameter set {parameters.name!r} has no {missing[0]}: how this metal creeps under a "
            "stack pressure is unknown",
            advice="Leave out the pressure (or upscale.body), or use a set with a creep law, such "
            "as li_li2s.",
        )

    def value(key: str) -> float:
        return parameters.value(key) if parameters.has(key) else UNSTATED[key]

    colder = 1 / REFERENCE_K - 1 / temperature_K
    norton = math.exp(value("creep_activation_energy_kJ_mol") / R_kJ_mol_K * colder)
    linear = math.exp(value("linear_creep_activation_eV") / K_B_eV * colder)
    exponent = value("creep_exponent")
    reduced = 1.0 / value("creep_reference_stress_MPa")
    return CreepLaw(
        value("creep_reference_rate_per_s") * norton * reduced**exponent,
        exponent,
        value("linear_creep_per_MPa_s") * linear,
        value("creep_threshold_hardness_MPa"),
        value("creep_threshold_size_exponent"),
    )


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
    parameters: ParameterSet,
    pressure_MPa: float,
    contact_fraction: float,
    temperature_K: float,
    void_radius_um: float = math.inf,
) -> float:
    """Rate at which creep closes each void vacancy, 1/s.

    A void loses volume at dV/dt = −1.5 ε̇ V, each branch of the law at the `void_stress_MPa` of its
    own exponent; the radius is that with which the threshold of dislocations falls.

    Raises `InputError`: the set has no creep law.
    """
    if pressure_MPa == 0.0:
        return 0.0
    law, limit = law_of(parameters, temperature_K), parameters.value("creep_stress_limit_MPa")
    norton = void_stress_MPa(pressure_MPa, contact_fraction, law.exponent, limit)
    linear = void_stress_MPa(pressure_MPa, contact_fraction, 1.0, limit)
    beyond = max(0.0, norton - law.threshold_MPa(void_radius_um))
    return 1.5 * (law.linear_per_MPa_s * linear + law.rate_per_s * beyond**law.exponent)
