"""Values of [parameters] without effect: named, and no others."""

from __future__ import annotations

import sys
import warnings

import pytest

import kmc
from kmc.errors import KmcWarning
from kmc.model.parameters import ParameterSet
from kmc.runfile.load import load_run
from kmc.runfile.plausibility import READ
from kmc.systems.population.setup import prepare

PRESSED = {"conditions.stack_pressure_MPa": 1.0}


@pytest.mark.parametrize(
    ("name", "values", "part"),
    [
        (
            "cell_li",
            {"work_of_adhesion_J_m2": 0.6},
            "population of voids; what serves is contact_a",
        ),
        ("strip_li", {"work_of_adhesion_J_m2": 0.6}, "box of atoms; what serves is formation_en"),
        ("strip_li", {"contact_angle_deg": 60}, "what serves is formation_energy_L1_eV"),
        ("cell_li", {"charge_transfer_coefficient": 0.4}, "population of voids$"),
        ("cell_li", {"creep_exponent": 5}, "give conditions.stack_pressure_MPa"),
        ("strip_li", {"creep_exponent": 5}, "give conditions.stack_pressure_MPa"),
        ("cycle_li", {"foil_thickness_um": 50}, "conditions.electrode_thickness_um"),
        ("operando_limg", {"diffusivity_Mg_60C_cm2_s": 1e-12}, "barrier_Mg_eV"),
        ("operando_limg", {"contact_angle_deg": 80}, "with Mg; what serves is contact_angle_alloy"),
        ("plate_carbon", {"formation_entropy_bulk_k": 1}, "deposition, which reads adsorption"),
    ],
)
def test_a_value_without_effect_is_named(name, values, part):
    ((key, value),) = values.items()
    with pytest.warns(KmcWarning, match=f"parameters.{key}.*has no effect in .*{part}"):
        load_run(name, {f"parameters.{key}": value})


def test_an_angle_beside_that_of_the_run_is_named():
    with pytest.warns(KmcWarning, match=r"whose \[upscale\] states the shape"):
        load_run("cell_li", {"parameters.contact_angle_deg": 60, "upscale.contact_angle_deg": 70})


@pytest.mark.parametrize(
    ("name", "more", "key", "value"),
    [
        ("cell_li", {}, "contact_angle_deg", 60.0),
        ("cell_li", PRESSED, "creep_exponent", 5.0),
        ("cell_li", {"upscale.body": "viscous"}, "creep_exponent", 5.0),
        ("strip_li", PRESSED, "creep_exponent", 5.0),
        ("strip_li", {}, "formation_energy_L1_eV", 0.3),
        ("operando_limg", {}, "contact_angle_alloy_deg", 80.0),
    ],
)
def test_a_value_with_an_effect_is_not(name, more, key, value):
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*has no effect")
        load_run(name, {**more, f"parameters.{key}": value})


def _read(monkeypatch, start) -> set[str]:
    read: set[str] = set()
    value = ParameterSet.__getitem__

    def noted(self, key):
        # The key of the cache of clusters is every value; nothing is computed from it.
        if sys._getframe(2).f_code.co_name != "<genexpr>":
            read.add(str(key))
        return value(self, key)

    monkeypatch.setattr(ParameterSet, "__getitem__", noted)
    start()
    return read


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("strip_limg", {**PRESSED, "conditions.contact_pattern_um": 6.0}),
        ("operando_limg", PRESSED),
    ],
)
def test_the_list_of_a_kind_holds_what_its_runs_read(name, more, monkeypatch):
    # An edge that no other test has: surfaces are cached, and a cached one reads nothing.
    more = {**more, "parameters.lattice_parameter_A": 3.4812}
    run = load_run(name, more)
    of_voids = run.kind == "population"
    read = _read(
        monkeypatch, lambda: prepare(run) if of_voids else kmc.Simulation(name, more).job.phase
    )
    assert read <= READ[run.kind]
    assert {"lattice_parameter_A", "electrolyte_conductivity_mS_cm", "barrier_Li_eV"} <= read
