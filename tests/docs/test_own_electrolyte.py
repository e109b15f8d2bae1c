"""The template of a set and a run in docs/parameters.md, "Your electrolyte without DFT"."""

from __future__ import annotations

import json
import math
import re
import warnings
from pathlib import Path

import pytest
from click.testing import CliRunner

from kmc.cli.app import main
from kmc.model.parameters import load_parameters
from kmc.runfile.load import load_run

PAGE = (Path(__file__).resolve().parents[2] / "docs/parameters.md").read_text(encoding="utf-8")
SECTION = PAGE.split("## Your electrolyte without DFT")[1].split("\n## ")[0]
SMALL = ("domain_um=12", "capacity_mAh_cm2=0.002", "samples=4", "frames=2")


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    texts = re.findall(r"```toml\n(.*?)```", SECTION, re.S)
    for name, text in zip(("my_electrolyte.toml", "my_cell.toml"), texts, strict=True):
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_template_is_a_run_of_its_set(folder):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run = load_run("my_cell.toml")
    parameters = run.parameter_set()
    assert parameters.name == "my_electrolyte"
    thickness_um = 10 * parameters.value("electrolyte_conductivity_mS_cm")
    thickness_um *= run.conditions.series_resistance_ohm_cm2
    assert thickness_um == pytest.approx(500)
    (key,) = run.parameters
    assert run.parameters[key] == load_parameters("li_measured").value(key)
    assert len(SECTION.split()) <= 250


@pytest.mark.slow
def test_the_template_runs_with_its_angle_and_pellet(folder):
    words = [f"--set=upscale.{text}" for text in SMALL]
    printed = CliRunner().invoke(main, ["run", "my_cell.toml", *words])
    assert printed.exit_code == 0, printed.output
    assert "500 µm of this electrolyte" in " ".join(
        printed.output.replace("\u00a0", " ").replace("│", " ").split()
    )
    facts = json.loads(CliRunner().invoke(main, ["info", "my_cell.h5", "--json"]).output)
    text = json.dumps(facts)
    assert "gamma_J_m2" in text
    angle = float(re.search(r'"contact_angle_deg": ([\d.]+)', text)[1])
    height = float(re.search(r'"height_over_radius": ([\d.]+)', text)[1])
    assert angle == 70
    assert height == pytest.approx(math.tan(math.radians(55)))
