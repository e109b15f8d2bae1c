"""The notebook of the half cell runs as it stands, and its voltage is that of the closed form."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from matplotlib.figure import Figure

pybamm = pytest.importorskip("pybamm")

NOTEBOOK = Path(__file__).resolve().parents[2] / "docs" / "pybamm.ipynb"


@pytest.mark.slow
def test_the_half_cell(tmp_path, monkeypatch):
    """η = (2kT/e) [asinh(j/2θj0) − asinh(j/2j0)] + j R_c between the two voltages."""
    monkeypatch.chdir(tmp_path)
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    assert not any(cell.get("outputs") for cell in cells)
    names: dict = {}
    for cell in cells:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), names)
    last = names["table"].iloc[-1]
    j, contact = last["current_density_mA_cm2"], last["contact_fraction"]
    thermal_mV = 1e3 * 8.617333262e-5 * 298.15
    transfer = 2 * thermal_mV * (math.asinh(j / 2 / contact) - math.asinh(j / 2))
    assert contact < 0.2
    assert names["loss_mV"] == pytest.approx(transfer + j * last["constriction_ohm_cm2"], abs=0.1)
    assert isinstance(names["figure"], Figure)
    assert len(names["q"]) == len(names["table"])
