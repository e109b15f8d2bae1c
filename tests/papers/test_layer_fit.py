"""The surface layer fitted on bare carbon alone, as docs/study_interlayer.md has it."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

import kmc
from kmc.analysis.coulombic import aurbach_of
from kmc.papers import paper

PAGE = Path(__file__).resolve().parents[2] / "docs" / "study_interlayer.md"
CARBON_PERCENT = 100 - 91.62  # lost, by the paper


@pytest.mark.long
def test_the_layer_is_fitted_on_the_loss_of_carbon(tmp_path):
    """Between two thicknesses by a line, seeds 1 to 4; the study takes it for every substrate."""
    thickness, lost = (0.015, 0.055), []
    for layer in thickness:
        runs = []
        for seed in range(1, 5):
            changes = {
                "system.params": "li_carbon",
                "system.size": [8, 8, 32],
                "acceleration.max_hops_per_strip_per_site": math.inf,
                "deposition.surface_layer_nm": layer,
                "random.seed": seed,
            }
            path = tmp_path / f"{layer}_{seed}.h5"
            run = kmc.run("aurbach_zno_002", changes, output=path, progress=False)
            runs.append(100 * (1 - aurbach_of(run).efficiency))
        lost.append(np.mean(runs))
    fitted = thickness[0] + (CARBON_PERCENT - lost[0]) * np.diff(thickness)[0] / np.diff(lost)[0]
    assert f"{fitted:.3f} nm" == "0.057 nm"
    assert paper("interlayer").sets["layer"] == {"deposition.surface_layer_nm": 0.057}
    text = " ".join(PAGE.read_text(encoding="utf-8").split())
    assert f"losses of {lost[0]:.2f} and {lost[1]:.2f} % at 0.015 and 0.055 nm" in text
