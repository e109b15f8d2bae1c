"""Figures of docs/cycling.md, repeated."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest

import kmc
from kmc.analysis import coulombic

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow


def ends(samples) -> np.ndarray:
    """The last row of each step."""
    return np.flatnonzero(np.diff(samples["step"], append=np.inf))


def test_a_scaffold_keeps_lithium_connected(tmp_path):
    """The same spots without and with conduction: dead lithium, and contact after each strip."""
    found = {}
    for name in ("dead_lithium", "scaffold"):
        t = kmc.run(name, output=tmp_path / f"{name}.h5", progress=False)
        assert kmc.verify(t.path).passed
        s = t.samples
        strips = ends(s)[::2]
        found[name] = (s["dead_Li"].max(), s["dead_Li"][strips], s["contact_fraction"][strips])
        assert coulombic.facts(t)["coulombic_efficiency"] == [1.0, 1.0]
    assert found["dead_lithium"][0] == 13
    assert found["dead_lithium"][1].tolist() == [13, 12]
    assert found["dead_lithium"][2] == pytest.approx([0.571, 0.575], abs=1e-3)
    assert found["scaffold"][0] == 1
    assert found["scaffold"][1].tolist() == [0, 0]
    assert found["scaffold"][2] == pytest.approx([0.583, 0.556], abs=1e-3)


@pytest.mark.parametrize("ratio", [1e4, 1e5, 1e6])
def test_aurbachs_efficiency_does_not_depend_on_the_ratio(ratio, tmp_path):
    """With the paper's cutoff; at 0.11 V it was 0.65 to 1.000 over these ratios."""
    changed = {"acceleration.max_hops_per_strip_per_site": ratio}
    t = kmc.run("aurbach", changed, output=tmp_path / "run.h5", progress=False)
    found = coulombic.aurbach_of(t)
    assert (found.efficiency, found.lost, t.samples["dead_Li"][-1]) == (1.0, 0, 0)
    facts = coulombic.facts(t)
    assert facts["aurbach_efficiency"] == facts["formation_efficiency"] == 1.0
    assert all(value is None or value <= 1.0 for value in facts["coulombic_efficiency"])


@pytest.mark.parametrize("cutoff_V", ["0.08", "0.12", "0.15"])
@pytest.mark.parametrize("column", [1, 2])
def test_a_low_cutoff_is_a_loss_that_is_not_converged(cutoff_V, column, tmp_path):
    """Table of docs/cycling.md, its last column apart."""
    page = (ROOT / "docs" / "cycling.md").read_text(encoding="utf-8")
    row = next(line for line in page.splitlines() if line.startswith(f"| {cutoff_V} |"))
    run = tomllib.loads((ROOT / "runs" / "aurbach.toml").read_text(encoding="utf-8"))
    run["acceleration"]["max_hops_per_strip_per_site"] = (1e4, 1e5)[column - 1]
    for block in run["protocol"]:
        for key, text in list(block.items()):
            if key == "step":
                block[key] = text.replace("1 V", f"{cutoff_V} V")
            elif key == "steps":
                block[key] = [step.replace("1 V", f"{cutoff_V} V") for step in text]
    t = kmc.run(run, output=tmp_path / "run.h5", progress=False)
    found, dead = coulombic.aurbach_of(t), int(t.samples["dead_Li"][-1])
    assert f"{found.efficiency:.3f}" == row.split("|")[column + 1].strip()
    assert dead == 0
    assert f"0 dead, {found.lost} left where a strip ended" in found.loss(dead).replace("\xa0", " ")


@pytest.mark.parametrize("name", ["cycle_li", "cycle_limg"])
def test_plate_steps_pass_their_charge(name, tmp_path):
    """Every plate step with an end by charge passes it: no efficiency above 1."""
    t = kmc.run(name, output=tmp_path / "run.h5", progress=False)
    assert coulombic.facts(t)["coulombic_efficiency"] == [1.0] * 3
