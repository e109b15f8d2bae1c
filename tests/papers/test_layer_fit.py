"""The surface layer fitted on bare carbon, and losses on other substrates: figures of the page."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

import kmc
from kmc.analysis.coulombic import aurbach_of

PAGE = Path(__file__).resolve().parents[2] / "docs" / "study_interlayer.md"
FITTED_nm = 0.057


@pytest.mark.long
@pytest.mark.parametrize(
    ("params", "ratio", "seeds"),
    [
        ("li_zno_002", math.inf, range(1, 5)),
        ("li_carbon", math.inf, range(5, 9)),
        ("li_zno_002", 1e6, range(1, 5)),
        ("li_zno_202", 1e6, range(1, 5)),
        ("li_zno_020", 1e6, range(1, 5)),
    ],
)
def test_losses_with_the_layer_of_carbon(params, ratio, seeds, tmp_path):
    """Mean of four runs, as the page prints it (equal seeds, equal numbers)."""
    lost = []
    for seed in seeds:
        changes = {
            "system.params": params,
            "system.size": [8, 8, 32],
            "acceleration.max_hops_per_strip_per_site": ratio,
            "deposition.surface_layer_nm": FITTED_nm,
            "random.seed": seed,
        }
        path = tmp_path / f"{seed}.h5"
        run = kmc.run("aurbach_zno_002", changes, output=path, progress=False)
        lost.append(100 * (1 - aurbach_of(run).efficiency))
    row = f"| {params} | {'inf' if ratio == math.inf else '1e6'} | {np.mean(lost):.2f} |"
    assert row in PAGE.read_text(encoding="utf-8")
