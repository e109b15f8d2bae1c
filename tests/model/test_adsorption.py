"""Substrates with computed energies, as `benchmarks/energies/adsorption.csv` gives them."""

from __future__ import annotations

import csv
import math
import re
from pathlib import Path

import numpy as np
import pytest

from kmc.model.parameters import load_parameters

ENERGIES = Path(__file__).resolve().parents[2] / "benchmarks" / "energies"
POTENTIALS = {"CHGNet": "chgnet", "SevenNet": "7net-0"}
SETS = {  # set: surface, and the path of its barrier
    "li_graphene": ("graphene", "barrier0"),
    "li_lizn_220": ("lizn_220", "barrier0"),
    "li_lizn_112": ("lizn_112", "barrier0"),
    "li_zno_002_computed": ("zno_002_Zn", "barrier0"),
    "li_zno_020_computed": ("zno_020", "barrier0"),
}
AT_REST_eV_A = 0.17  # atoms were relaxed to 0.1 eV/Å or for 40 steps


def table() -> dict[tuple[str, str, str], dict[str, str]]:
    with (ENERGIES / "adsorption.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {(row["potential"].split()[0], row["surface"], row["what"]): row for row in rows}


def values(surface: str, what: str, sources: tuple[str, ...]) -> np.ndarray:
    rows = table()
    return np.array([float(rows[POTENTIALS[s], surface, what]["value"]) for s in sources])


@pytest.mark.parametrize("name", SETS)
def test_a_computed_set_has_the_energies_of_the_table(name):
    """The mean of the potentials that it names, and half their difference in the note."""
    surface, path = SETS[name]
    params = load_parameters(name)
    wets, barrier = params["adsorption_energy_eV"], params["surface_barrier_eV"]
    assert not wets.assumed
    assert not barrier.assumed
    adhesion = values(surface, "film", wets.source)
    over_2_gamma = adhesion / (2 * values("li_100", "surface", wets.source))
    bond = params.value("formation_energy_bulk_eV") / 3
    expected = params.value("cohesive_energy_eV") - 3 * bond + bond * over_2_gamma
    assert wets.value == pytest.approx(expected.mean(), abs=6e-4)
    barriers = values(surface, path, barrier.source)
    assert barrier.value == pytest.approx(barriers.mean(), abs=6e-4)
    for ratio in over_2_gamma:
        assert f"{ratio:.2f}" in wets.note
    for atom in values(surface, "adsorption", wets.source):
        assert f"{atom:.2f}" in wets.note
    for quantity, found in ((wets, expected), (barrier, barriers)):
        assert ("alone" in quantity.note) == (len(found) == 1)
        if len(found) == 2:
            (stated,) = re.findall(r"pread(?: of)? ([\d.]+) eV", quantity.note)
            assert float(stated) == pytest.approx(
                np.ptp(found) / 2, abs=0.6 * 10 ** -(len(stated) - 2)
            )
    used = [(surface, "film", wets), (surface, path, barrier)]
    for at, what, quantity in used:
        forces = [float(table()[POTENTIALS[s], at, what]["force_eV_A"]) for s in quantity.source]
        assert ("is not at rest (" in quantity.note) == (max(forces) > AT_REST_eV_A)
    angle = re.search(r"angle (\d+)°", params.description)
    cosine = 2 * over_2_gamma.mean() - 1  # Young and Dupré: W/γ - 1
    assert ("wets" in params.description) == (cosine >= 1)
    if angle:
        assert math.degrees(math.acos(cosine)) == pytest.approx(float(angle.group(1)), abs=0.6)


def test_an_atom_on_zno_020_is_at_rest():
    """4.09 eV stood here for one that was stopped at 1.6 eV/Å."""
    on = table()["chgnet", "zno_020", "adsorption"]
    assert float(on["value"]) == pytest.approx(4.59, abs=5e-3)
    assert float(on["force_eV_A"]) < 0.05
    text = (ENERGIES.parent / "README.md").read_text(encoding="utf-8")
    assert "is bound by 4.59 eV at rest" in text
