"""The tables of docs/model/mechanics.md, from the runs they name.

``python tests/docs/test_mechanics.py`` prints their rows.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest

import kmc

PAGE = Path(__file__).resolve().parents[2] / "docs/model/mechanics.md"
SERIES = {"0.2": "pressure_0p2", "1": "pressure_1", "1.5": "pressure_1p5", "7": "pressure_7"}
PRESSURES_MPa = (0.2, 1.0, 1.5, 7.0)
NOT_RUN = "not run"  # creep faster than every hop takes minutes

# First words of a row → changed inputs; 7 MPa is left out where creep is faster than in the set.
_RATE = "parameters.creep_reference_rate_per_s"
INPUTS = {
    "of the set": {},
    "A × 3": {_RATE: 0.03},
    "A / 3": {_RATE: 0.01 / 3},
    "c = 1": {"parameters.creep_closure_factor": 1.0},
    "n = 7.6": {"parameters.creep_exponent": 7.6},
    "n = 5.6": {"parameters.creep_exponent": 5.6},
    "limit 5 MPa": {"parameters.creep_stress_limit_MPa": 5.0},
    "limit 2 MPa": {"parameters.creep_stress_limit_MPa": 2.0},
}
FASTER = ("A × 3", "n = 7.6")


def series_rows(folder: Path, pressure: str) -> dict[str, list[str]]:
    """Rows of the pressure series by their label."""
    t = kmc.run(SERIES[pressure], output=folder / "run.h5", overwrite=True, progress=False)
    s = t.samples
    at = [int(np.argmin(abs(s.capacity_monolayers - n))) for n in range(5)]
    creep = s.closures[-1] / t.lattice.sites_per_layer
    head = f"{pressure} MPa"
    return {
        f"{head}: contact": [
            *(f"{s.contact_fraction[i]:.2g}" for i in at),
            f"{s.local_stress_MPa[-1]:.3g} MPa",
            f"{creep:.2f}",
        ],
        f"{head}: charge transfer, mV": [
            *(f"{1e3 * s.overpotential_charge_transfer_V[i]:.0f}" for i in at), "", "",
        ],
        f"{head}: concentration, mV": [
            *(f"{1e3 * s.overpotential_concentration_V[i]:.0f}" for i in at), "", "",
        ],
    }  # fmt: skip


def inputs_row(folder: Path, label: str) -> list[str]:
    """Contact and charge transfer at each pressure, means of the last 0.2 of 4 monolayers."""
    cells = []
    for pressure in PRESSURES_MPa:
        if pressure == 7.0 and label in FASTER:
            cells.append(NOT_RUN)
            continue
        changes = {
            "system.size": [24, 24, 24],
            "acceleration.max_hops_per_strip_per_site": 1e5,
            "conditions.stack_pressure_MPa": pressure,
            **INPUTS[label],
        }
        run = kmc.run(
            "pressure_1", changes, output=folder / "run.h5", overwrite=True, progress=False
        )
        late = run.samples.capacity_monolayers >= 3.8
        contact = run.samples.contact_fraction[late].mean()
        volts = run.samples.overpotential_charge_transfer_V[late].mean()
        cells.append(f"{contact:.2f}, {1e3 * volts:.0f}")
    return cells


def row_of_page(label: str) -> list[str]:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    line = next(line for line in lines if line.startswith(f"| {label}"))
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


@pytest.mark.long
@pytest.mark.parametrize("pressure", SERIES)
def test_pressure_series(pressure, tmp_path):
    for label, cells in series_rows(tmp_path, pressure).items():
        assert row_of_page(label) == cells


@pytest.mark.long
@pytest.mark.parametrize("label", INPUTS)
def test_which_inputs_decide(label, tmp_path):
    assert row_of_page(label) == inputs_row(tmp_path, label)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        for name in SERIES:
            for label, cells in series_rows(Path(folder), name).items():
                print("|", " | ".join([label, *cells]), "|", flush=True)
        for label in INPUTS:
            print("|", " | ".join([label, *inputs_row(Path(folder), label)]), "|", flush=True)
