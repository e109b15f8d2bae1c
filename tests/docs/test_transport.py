"""docs/model/transport.md is true: its figures are those of the runs of docs/transport.py."""

from __future__ import annotations

import math
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from kmc.model import supersaturation
from kmc.model.lattice import Lattice
from kmc.model.model import Model
from kmc.model.parameters import load_parameters

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "docs"))
import transport  # noqa: E402

PAGE = (ROOT / "docs" / "model" / "transport.md").read_text(encoding="utf-8")
TEXT = " ".join(PAGE.split())
SHARE = 0.03


def alloy() -> Model:
    lattice = Lattice("bcc_100", (6, 6), 12, "interface", 3.506)
    return Model(
        lattice,
        load_parameters("limg_li2s"),
        298.15,
        current_density_mA_cm2=0.5,
        electrode_thickness_um=100.0,
        slow_down_by=8e4,
        mg_exchange=True,
    )


def row(label: str) -> dict[float, float]:
    """A row of the table of runs: capacity in monolayers → number."""
    lines = PAGE.splitlines()
    cells = [
        [cell.strip() for cell in next(x for x in lines if x.startswith(f"| {name} |")).split("|")]
        for name in ("monolayers", label)
    ]
    pairs = zip(cells[0][2:-1], cells[1][2:-1], strict=True)
    return {float(x): float(y) for x, y in pairs if y}


def test_figures_of_the_derivation():
    """R with and without wind, D_Mg, and the piled up Mg, from the parameter set alone."""
    model = alloy()
    kT_eV = model.kT_ueV * 1e-6
    slow = model.barriers_ueV[2] - model.barriers_ueV[0]
    without = 0.9596 * math.exp(-(0.03 + slow * 1e-6) / kT_eV)
    d_mg = model.mg_exchange_rate_Hz * (3.506e-8) ** 2
    assert f"R = D_Mg/(D_v c_eq) = {without:.3f}" in TEXT
    assert f"**R = {model.mg_drag:.3f}**" in TEXT
    assert f"D_Mg = {d_mg:.1e} cm²/s" in TEXT
    spacing_cm = 3.506e-8 / 2
    full_s = math.pi * (spacing_cm / (2 * SHARE)) ** 2 / d_mg
    assert f"full at S t = {full_s:.0f} s for c = 0.03" in TEXT
    stripped_um, thick_um = 19.4, 100.0
    piled = 2 * model.mg_drag * math.sqrt(stripped_um / (math.pi * without * thick_um))
    depth_um = math.sqrt(without * thick_um * stripped_um)
    assert f"is {100 * piled:.0f} % over {depth_um:.1f} µm" in TEXT
    assert f"1/R = {1 / model.mg_drag:.0f} times as much" in TEXT
    assert supersaturation.electrode(model) > 100  # far above 1


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("transport")


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("0.5", ("Mg in L1, 0.5 mA/cm²", "contact, Li–Mg, Mg at its true rate")),
        ("0.05", ("Mg in L1, 0.05 mA/cm²", None)),
        ("slowed", ("Mg in L1, 0.5 mA/cm², Mg slowed", "contact, Li–Mg, Mg slowed")),
        ("Li", (None, "contact, Li")),
    ],
)
def test_table_of_runs(name, rows, folder):
    """Equal seeds give equal runs, so the figures are those of the page to the last digit."""
    t = transport.trajectory(name, folder)
    capacity = t.samples.capacity_monolayers[:]
    for label, values in zip(
        rows, (transport.coverage(t), t.samples.contact_fraction[:]), strict=True
    ):
        for monolayers, number in (row(label) if label else {}).items():
            at = int(np.argmin(np.abs(capacity - monolayers)))
            assert abs(values[at] - number) < 6e-4, (label, monolayers, values[at])
    if name == "0.5":
        before, _, _, _, after = transport.mg_monolayers(t)[::5]
        assert f"holds {after:.2f} instead of {before:.2f} monolayers" in TEXT
        assert f"instead of {transport.mg_monolayers(t)[5]:.2f}." in TEXT


@pytest.mark.slow
def test_supply_by_vacancies(folder):
    t = transport.trajectory("vacancies", folder)
    held = float(re.search(r"it holds ([\d.]+) after 5", TEXT)[1])
    assert transport.mg_monolayers(t)[-1] == pytest.approx(held, abs=0.006)
    assert transport.coverage(t)[-1] == 1.0
    assert t.samples.contact_fraction[-1] == 1.0
