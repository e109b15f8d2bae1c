"""Meaning and allowed values of each key of a parameter file.

Other keys are errors, so that a misspelt key is not ignored.
"""

from __future__ import annotations

from typing import NamedTuple


class Meaning(NamedTuple):
    """One quantity of a parameter file; its unit is in the name of the key."""

    text: str  # meaning
    # lowest, highest: allowed values, bounds included unless `positive`
    lowest: float
    highest: float
    positive: bool = False  # zero is not allowed
    # {"input", "target"}: Whether it is an input of the model, or a reference value for its
    # results
    role: str = "input"

    def allows(self, value: float) -> bool:
        return self.lowest <= value <= self.highest and not (self.positive and value <= 0)

    @property
    def allowed(self) -> str:
        """The range as text."""
        if self.positive:
            return f"above 0 and at most {self.highest:g}"
        return f"from {self.lowest:g} to {self.highest:g}"


# No energy of this model is near 10 eV: larger values are in meV or kJ/mol.
_ENERGY = (-10.0, 10.0)
_BARRIER = (0.0, 10.0)

# Quantities of earlier versions: a file that has one is read without it, and a warning says why.
RETIRED: dict[str, str] = {
    "contact_magnification": "constriction is now that of the true length of the contact pattern; "
    "give conditions.contact_pattern_um in the run file, or leave it at the length of the box",
    "creep_closure_factor": "voids close by the law of a cell, which has no such factor",
}

# What a set with vacancies has without giving it; a run file may give it all the same.
UNSTATED = {"formation_entropy_bulk_k": 0.0}

QUANTITIES: dict[str, Meaning] = {
    "lattice_parameter_A": Meaning("edge of the cubic bcc cell", 0.1, 100),
    "molar_volume_cm3_mol": Meaning("molar volume of the metal", 0, 1000, True, "target"),
    "attempt_frequency_Hz": Meaning("prefactor of every hop rate", 0, 1e16, positive=True),
    "formation_energy_bulk_eV": Meaning("vacancy formation energy in the bulk", 0, 10, True),
    "formation_entropy_bulk_k": Meaning(
        "vacancy formation entropy in the bulk and, assumed equal, at the interface; 0 where a set "
        "does not give it. It multiplies the flux of lone vacancies at a given S by its "
        "exponential and leaves bonds, and the energies of clusters, alone",
        -20,
        20,
    ),
    "formation_energy_L1_eV": Meaning("vacancy formation energy in L1, at the interface", *_ENERGY),
    "formation_energy_L1_to_L2_eV": Meaning(
        "change of energy when an L1 vacancy goes to L2", *_ENERGY
    ),
    "second_shell_ratio": Meaning("bond to a second neighbour over bond to a first, ε2/ε1", 0, 2),
    "barrier_Li_eV": Meaning("hop barrier of the metal without change of energy", *_BARRIER),
    "barrier_Li_near_Mg_eV": Meaning("the same with an Mg beside either end of the hop", *_BARRIER),
    "barrier_Mg_eV": Meaning("hop barrier of Mg", *_BARRIER),
    "formation_energy_Mg_shell1_eV": Meaning(
        "bulk vacancy beside an Mg, first neighbour", *_ENERGY
    ),
    "formation_energy_Mg_shell2_eV": Meaning(
        "bulk vacancy beside an Mg, second neighbour", *_ENERGY
    ),
    "formation_energy_Mg_shell3_eV": Meaning(
        "bulk vacancy near an Mg, third neighbour", *_ENERGY, role="target"
    ),
    "fill_Li_near_Mg_eV": Meaning(
        "change of energy when the metal of L2 fills an L1 vacancy beside an Mg of L2", *_ENERGY
    ),
    "fill_Mg_near_Mg_eV": Meaning("the same when that Mg itself fills the vacancy", *_ENERGY),
    "fill_Li_far_from_Mg_eV": Meaning(
        "change of energy when the metal of L2 fills an L1 vacancy far from the Mg",
        *_ENERGY,
        role="target",
    ),
    "exchange_current_density_mA_cm2": Meaning(
        "exchange current density of the flat interface", 0, 1e6, positive=True
    ),
    "charge_transfer_coefficient": Meaning(
        "share α of the overpotential that drives oxidation; 0.5 where a set does not give it",
        0.01,
        0.99,
    ),
    "rim_exchange_weight": Meaning(
        "exchange of the rim of a contact beyond that of flat contact: flat sites to each lattice "
        "parameter of rim",
        0,
        1e6,
    ),
    "creep_reference_rate_per_s": Meaning(
        "strain rate of steady creep at the reference stress and 298.15 K", 0, 1e6, positive=True
    ),
    "creep_reference_stress_MPa": Meaning("stress of that strain rate", 0, 1e5, positive=True),
    "creep_exponent": Meaning("stress exponent n of Norton's law", 1, 20),
    "creep_activation_energy_kJ_mol": Meaning("activation energy Q of creep", 0, 1000),
    "creep_stress_limit_MPa": Meaning(
        "highest local stress: lost contact concentrates the pressure up to this",
        0,
        1e5,
        positive=True,
    ),
    "electrolyte_conductivity_mS_cm": Meaning(
        "ionic conductivity of the electrolyte at 25 °C", 0, 1e6, positive=True
    ),
    "electrolyte_activation_eV": Meaning(
        "activation energy of the electrolyte's conductivity", *_BARRIER
    ),
    "cohesive_energy_eV": Meaning(
        "binding of an atom of the metal, against the free atom", 0, 10, True
    ),
    "adsorption_energy_eV": Meaning(
        "binding of a lone metal atom on the substrate, against the free atom", 0, 10
    ),
    "surface_barrier_eV": Meaning("hop barrier of a lone metal atom on the substrate", *_BARRIER),
    "metal_surface_barrier_eV": Meaning(
        "hop barrier of a lone atom on a terrace of the metal", *_BARRIER
    ),
    "step_barrier_eV": Meaning(
        "Ehrlich-Schwoebel barrier: what a hop to another layer costs beyond", *_BARRIER
    ),
    "youngs_modulus_GPa": Meaning("Young's modulus", 0, 2000, positive=True),
    "poisson_ratio": Meaning("Poisson's ratio", 0, 0.45),
    "strain_rate_sensitivity": Meaning(
        "m = d ln σ / d ln(strain rate); Norton's exponent is n = 1/m", 0.01, 1
    ),
    "lithiation_volume_change": Meaning(
        "relative change of volume from the delithiated to the lithiated state", 0, 3
    ),
    "pair_bond_eV": Meaning("bond between first neighbours of the lattice gas", *_ENERGY),
    "work_of_adhesion_J_m2": Meaning("work of adhesion to the electrolyte", 0, 100, role="target"),
    "contact_angle_deg": Meaning("contact angle on the electrolyte", 0, 180, role="target"),
    "contact_angle_alloy_deg": Meaning(
        "contact angle of the alloy on the electrolyte", 0, 180, role="target"
    ),
    "diffusivity_Mg_25C_cm2_s": Meaning("diffusivity of Mg in metal, 25 °C", 0, 1, True, "target"),
    "diffusivity_Mg_60C_cm2_s": Meaning("diffusivity of Mg in metal, 60 °C", 0, 1, True, "target"),
    "alloy_Mg_fraction": Meaning("atomic fraction of Mg in the alloy studied", 0, 1, role="target"),
    "foil_thickness_um": Meaning("thickness of the foil studied", 0, 1e5, True, "target"),
}
