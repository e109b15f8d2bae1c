"""A cell of sodium: what is of lithium cells is marked, and what is in series is said."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

import kmc
from kmc.cli.app import main
from kmc.model.parameters import load_parameters
from kmc.runfile.load import load_run
from kmc.systems.population.result import OF_LITHIUM

SMALL = {
    "system.params": "na_nasicon",
    "upscale.contact_angle_deg": 100.0,
    "upscale.domain_um": 12.0,
    "upscale.grid_um": 0.5,
    "upscale.capacity_mAh_cm2": 0.002,
    "upscale.samples": 4,
    "upscale.samples_per_decade": 1,
    "upscale.frames": 2,
    "upscale.flaw_radius_nm": 150.0,
}


@pytest.mark.parametrize("name", ["cell_li", "operando_li"])
def test_the_inputs_of_lithium_are_those_of_its_runs(name):
    run = load_run(name)
    sections = (run.conditions, run.upscale)
    for key, value in OF_LITHIUM.items():
        (given,) = (getattr(section, key) for section in sections if hasattr(section, key))
        assert given == value


@pytest.mark.slow
def test_what_is_of_lithium_cells_is_marked(tmp_path):
    path = tmp_path / "na.h5"
    words = [f"--set={key}={value}" for key, value in SMALL.items()]
    printed = CliRunner().invoke(main, ["run", "cell_li", *words, "-o", str(path)])
    assert printed.exit_code == 0, printed.output
    assert "--what microscope" in printed.output
    assert "--paper" not in printed.output
    said = dict(kmc.load(path).summary())
    names = "flaw_density_per_um2, rounding_length_um, series_resistance_ohm_cm2"
    # The radius of flaws was given for this cell.
    assert said["Trust"].endswith(f"; inferred from lithium cells, not Na: {names}")
    κ_mS_cm = load_parameters("na_nasicon").value("electrolyte_conductivity_mS_cm")
    thickness = f"{143 * κ_mS_cm:.3g}\u00a0µm of this electrolyte"
    assert said["Overpotential"].endswith(f"; 14.3 Ω cm² in series are {thickness}")
