"""docs/deposition.md prints what its runs say."""

from __future__ import annotations

from pathlib import Path

import pytest

import kmc

PAGE = Path(__file__).resolve().parents[2] / "docs" / "deposition.md"


@pytest.mark.slow
@pytest.mark.validation
def test_adsorption_decides_whether_the_first_layer_closes(tmp_path):
    """Corners of study_deposition, in a smaller box: the numbers and the rank on the page.

    Equal seeds, numbers as printed. 0.95 and 0.97 part a layer that has closed from one that has
    not, and keep what was found.
    """
    changes = {
        "system.size": [24, 24, 16],
        "stop.capacity_monolayers": 1,
        "output.sample_every_monolayers": 0.5,
    }
    covered = {}
    for adsorption in (1.1, 1.25, 1.61, 4.32):
        for barrier in (0.1, 0.6):
            changes["parameters.adsorption_energy_eV"] = adsorption
            changes["parameters.surface_barrier_eV"] = barrier
            path = tmp_path / f"{adsorption}_{barrier}.h5"
            found = kmc.run("plate_carbon", changes, output=path, progress=False)
            covered[adsorption, barrier] = found.samples["coverage"][-1]
    for barrier in (0.1, 0.6):
        assert max(covered[1.1, barrier], covered[1.25, barrier]) < 0.95
        assert min(covered[1.61, barrier], covered[4.32, barrier]) > 0.97
    assert covered[1.1, 0.1] < covered[1.1, 0.6]
    assert covered[1.25, 0.1] > covered[1.25, 0.6]
    numbers = [
        f"{covered[adsorption, barrier]:.2f}"
        for adsorption in (1.1, 1.25)
        for barrier in (0.1, 0.6)
    ]
    text = " ".join(PAGE.read_text(encoding="utf-8").split())
    assert "{} and {} at 1.10 eV, {} and {} at 1.25 eV".format(*numbers) in text


@pytest.mark.slow
@pytest.mark.validation
def test_islands_of_zno_are_covered_first(tmp_path):
    """All of ZnO, and carbon far from all: 0.6 keeps what was found."""
    one = {"stop.capacity_monolayers": 1}
    found = kmc.run("plate_zno_on_carbon", one, output=tmp_path / "map.h5", progress=False)
    first, islands = found.frames["occupied"][-1][0] > 0, found.constants["substrate"] == 1
    assert first[islands].all()
    assert first[~islands].mean() < 0.6
