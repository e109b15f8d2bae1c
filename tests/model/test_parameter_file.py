"""Parameter files that kmc writes: the template, and sets from a dict."""

from __future__ import annotations

import re

import pytest
from click.testing import CliRunner

import kmc
from kmc.cli.app import main
from kmc.errors import InputError
from kmc.model.parameter_file import template
from kmc.model.parameters import load_parameters
from kmc.model.quantities import QUANTITIES


@pytest.mark.parametrize("base", ["li_li2s", "limg_li2s"])
def test_the_template_is_the_set_it_starts_from(tmp_path, base):
    path = tmp_path / "my_set.toml"
    path.write_text(template(path.name, base), encoding="utf-8")
    mine, below = load_parameters(path), load_parameters(base)
    inputs = {k: q.value for k, q in below.quantities.items() if QUANTITIES[k].role == "input"}
    assert {key: quantity.value for key, quantity in mine.quantities.items()} == inputs
    everything = re.sub(r"^# (\[quantities|value|unit|note|assumed)", r"\1", path.read_text(),
                        flags=re.MULTILINE)  # fmt: skip
    path.write_text(everything, encoding="utf-8")
    given = load_parameters(path)
    assert all(given[key].assumed for key in inputs)
    assert {key: given.value(key) for key in inputs} == inputs


def test_kmc_params_init(tmp_path):
    call = CliRunner().invoke
    path = tmp_path / "mine.toml"
    done = call(main, ["params", "init", str(path)])
    assert done.exit_code == 0, done.output
    assert load_parameters(path).name == "mine"
    assert call(main, ["params", "init", str(path)]).exit_code == 2
    assert (
        call(main, ["params", "init", "-", "--base", "limg_li2s"]).output.count("[quantities.") > 5
    )


def test_a_set_from_a_dict(tmp_path):
    path = tmp_path / "mine.toml"
    source = {"citation": "A. B, J. 1 (2026)", "title": "T", "doi": "10.1000/xyz"}
    mine = kmc.write_parameters(
        path,
        {
            "formation_energy_L1_eV": 0.31,
            "barrier_Li_eV": {"value": 0.06, "source": "S1", "note": "Table 2"},
        },
        sources={"S1": source},
    )
    assert mine.value("formation_energy_L1_eV") == 0.31
    assert mine["formation_energy_L1_eV"].assumed
    assert mine["barrier_Li_eV"].source == ("S1",)
    sim = kmc.Simulation("strip_li", {"system.params": str(path), "system.size": [8, 8, 10]})
    assert sim.job.model.barriers_ueV.tolist() == [60_000]


@pytest.mark.parametrize(
    ("quantities", "says"),
    [
        ({"barier_Li_eV": 0.1}, "Did you mean 'barrier_Li_eV'"),
        ({"barrier_Li_eV": -1.0}, "out of range"),
        ({"barrier_Li_eV": {"value": 0.1, "source": "S1"}}, "not in [sources]"),
        ({"barrier_Li_eV": {"value": 0.1, "unit": "meV"}}, "disagrees with the key"),
    ],
)
def test_a_dict_that_is_no_set(tmp_path, quantities, says):
    with pytest.raises(InputError) as caught:
        kmc.write_parameters(tmp_path / "mine.toml", quantities)
    assert says in str(caught.value)
    assert ".part" not in str(caught.value)
    assert not list(tmp_path.iterdir())
