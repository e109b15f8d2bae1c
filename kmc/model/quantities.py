"""Meaning and allowed values of each key of a parameter file.

Other keys are errors, so that a misspelt key is not ignored.
"""

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


def _above(highest: float) -> tuple[float, float, bool]:
    """From above 0 to this."""
    return 0, highest, True


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
UNSTATED = {
    "formation_entropy_bulk_k": 0.0,
    "linear_creep_per_MPa_s": 0.0,
    "linear_creep_activation_eV": 0.54,
    "creep_threshold_hardness_MPa": 0.0,
    "creep_threshold_size_exponent": 1.17,
}

# Key, allowed values, meaning. Inputs of the model first, then reference values for its results.
# fmt: off
_INPUTS: tuple[tuple[str, tuple, str], ...] = (
    ("lattice_parameter_A", (0.1, 100), "edge of the cubic bcc cell"),
    ("attempt_frequency_Hz", _above(1e16), "prefactor of every hop rate"),
    ("formation_energy_bulk_eV", _above(10), "vacancy formation energy in the bulk"),
    ("formation_entropy_bulk_k", (-20, 20),
     "vacancy formation entropy in the bulk and, assumed equal, at the interface; 0 where a "
     "set does not give it. It multiplies the flux of lone vacancies at a given S by its "
     "exponential and leaves bonds, and the energies of clusters, alone"),
    ("formation_energy_L1_eV", _ENERGY, "vacancy formation energy in L1, at the interface"),
    ("formation_energy_L1_to_L2_eV", _ENERGY, "change of energy when an L1 vacancy goes to L2"),
    ("second_shell_ratio", (0, 2), "bond to a second neighbour over bond to a first, ε2/ε1"),
    ("second_shell_bond_eV", _ENERGY,
     "bond to a second neighbour, in place of second_shell_ratio where a set gives both"),
    ("coordination_curvature_eV", (-1, 1),
     "β: an atom with v1 vacant first and v2 vacant second neighbours has β (v1 + r v2)² beyond "
     "its bonds; 0 where a set does not give it, as the next two"),
    ("coordination_second_shell_weight", (-10, 10), "r of the same"),
    ("bond_L1_vacancies_eV", _ENERGY,
     "energy gained by two vacancies of L1 that are second neighbours in the plane, beyond what "
     "they gain in the bulk; below 0 they repel"),
    ("barrier_Li_eV", _BARRIER, "hop barrier of the metal without change of energy"),
    ("barrier_Li_near_Mg_eV", _BARRIER, "the same with an Mg beside either end of the hop"),
    ("barrier_Mg_eV", _BARRIER, "hop barrier of Mg"),
    ("formation_energy_Mg_shell1_eV", _ENERGY, "bulk vacancy beside an Mg, first neighbour"),
    ("formation_energy_Mg_shell2_eV", _ENERGY, "bulk vacancy beside an Mg, second neighbour"),
    ("fill_Li_near_Mg_eV", _ENERGY,
     "change of energy when the metal of L2 fills an L1 vacancy beside an Mg of L2"),
    ("fill_Mg_near_Mg_eV", _ENERGY, "the same when that Mg itself fills the vacancy"),
    ("exchange_current_density_mA_cm2", _above(1e6),
     "exchange current density of the flat interface"),
    ("charge_transfer_coefficient", (0.01, 0.99),
     "share α of the overpotential that drives oxidation; 0.5 where a set does not give it"),
    ("rim_exchange_weight", (0, 1e6),
     "exchange of the rim of a contact beyond that of flat contact: flat sites to each "
     "lattice parameter of rim"),
    ("creep_reference_rate_per_s", _above(1e6),
     "strain rate of steady creep at the reference stress and 298.15 K"),
    ("creep_reference_stress_MPa", _above(1e5), "stress of that strain rate"),
    ("creep_exponent", (1, 20), "stress exponent n of Norton's law"),
    ("creep_activation_energy_kJ_mol", (0, 1000), "activation energy Q of creep"),
    ("creep_stress_limit_MPa", _above(1e5),
     "highest local stress: lost contact concentrates the pressure up to this"),
    ("linear_creep_per_MPa_s", (0, 1e3),
     "rate of diffusional creep, linear in stress, beside Norton's law at 298.15 K; 0 where a "
     "set does not give it"),
    ("linear_creep_activation_eV", (0, 10),
     "activation energy of diffusional creep; that of self-diffusion, 0.54, where not given"),
    ("creep_threshold_hardness_MPa", (0, 1e6),
     "hardness at 1 µm of depth of the law by which dislocations creep only above a stress "
     "that falls with the size of the void; 0 (no threshold) where not given"),
    ("creep_threshold_size_exponent", (0, 5),
     "exponent of depth with which that hardness falls; 1.17 where not given"),
    ("electrolyte_conductivity_mS_cm", _above(1e6),
     "ionic conductivity of the electrolyte at 25 °C"),
    ("electrolyte_activation_eV", _BARRIER, "activation energy of the electrolyte's conductivity"),
    ("cohesive_energy_eV", _above(10), "binding of an atom of the metal, against the free atom"),
    ("adsorption_energy_eV", (0, 10),
     "binding of a lone metal atom on the substrate, against the free atom"),
    ("surface_barrier_eV", _BARRIER, "hop barrier of a lone metal atom on the substrate"),
    ("metal_surface_barrier_eV", _BARRIER, "hop barrier of a lone atom on a terrace of the metal"),
    ("step_barrier_eV", _BARRIER,
     "Ehrlich-Schwoebel barrier: what a hop to another layer costs beyond"),
    ("youngs_modulus_GPa", _above(2000), "Young's modulus"),
    ("poisson_ratio", (0, 0.45), "Poisson's ratio"),
    ("strain_rate_sensitivity", (0.01, 1),
     "m = d ln σ / d ln(strain rate); Norton's exponent is n = 1/m"),
    ("lithiation_volume_change", (0, 3),
     "relative change of volume from the delithiated to the lithiated state"),
    ("pair_bond_eV", _ENERGY, "bond between first neighbours of the lattice gas"),
)
_TARGETS: tuple[tuple[str, tuple, str], ...] = (
    ("molar_volume_cm3_mol", _above(1000), "molar volume of the metal"),
    ("formation_energy_Mg_shell3_eV", _ENERGY, "bulk vacancy near an Mg, third neighbour"),
    ("fill_Li_far_from_Mg_eV", _ENERGY,
     "change of energy when the metal of L2 fills an L1 vacancy far from the Mg"),
    *((f"formation_energy_pair_shell{shell}_eV", _ENERGY,
       f"per vacancy, of two bulk vacancies that are {shell}. neighbours")
      for shell in range(1, 6)),
    *((f"surface_energy_{face}_J_m2", (0, 100), f"of the free surface ({face})")
      for face in ("100", "110", "111")),
    ("work_of_adhesion_J_m2", (0, 100), "work of adhesion to the electrolyte"),
    ("contact_angle_deg", (0, 180), "contact angle on the electrolyte"),
    ("contact_angle_alloy_deg", (0, 180), "contact angle of the alloy on the electrolyte"),
    ("diffusivity_Mg_25C_cm2_s", _above(1), "diffusivity of Mg in metal, 25 °C"),
    ("diffusivity_Mg_60C_cm2_s", _above(1), "diffusivity of Mg in metal, 60 °C"),
    ("alloy_Mg_fraction", (0, 1), "atomic fraction of Mg in the alloy studied"),
    ("foil_thickness_um", _above(1e5), "thickness of the foil studied"),
)
# fmt: on
QUANTITIES: dict[str, Meaning] = {
    key: Meaning(text, *allowed)._replace(role=role)
    for role, rows in (("input", _INPUTS), ("target", _TARGETS))
    for key, allowed, text in rows
}
