"""Meaning and allowed values of each key of a parameter file, from the table beside this module.

Other keys are errors, so that a misspelt key is not ignored. Inputs of the model come first, then
reference values for its results. No energy of this model is near 10 eV: larger values are in meV or
kJ/mol.
"""

import csv
from pathlib import Path
from typing import NamedTuple

from kmc.common.units import DIMENSIONLESS


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

    def allowed(self, unit: str = DIMENSIONLESS) -> str:
        """The range as text, with its unit."""
        text = "above 0 and at most" if self.positive else f"from {self.lowest:g} to"
        return f"{text} {self.highest:g} {unit}".removesuffix(f" {DIMENSIONLESS}")


def _meaning(key: str, role: str, lowest: str, highest: str, text: str) -> Meaning:
    positive = lowest == "above 0"
    return Meaning(text, 0.0 if positive else float(lowest), float(highest), positive, role)


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

with Path(__file__).with_suffix(".csv").open(newline="", encoding="utf-8") as _rows:
    QUANTITIES = {row["key"]: _meaning(**row) for row in csv.DictReader(_rows)}
