"""Nonsense that is well-formed: said, with the value, where it came from, and what is usual."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

from kmc.analysis.measured import read_measured
from kmc.errors import InputError, KmcWarning
from kmc.runfile.load import load_run
from kmc.systems.population.result import PopulationRun

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("name", "values", "part"),
    [
        ("cell_li", {"conditions.temperature_K": 900}, "= 900: Li melts at 453.7 K"),
        ("strip_li", {"conditions.temperature_K": 454}, "= 454: Li melts at 453.7 K"),
        (
            "cell_li",
            {"system.params": "na_nasicon", "conditions.temperature_K": 373.15},
            "Na melts",
        ),
        ("cell_li", {"upscale.contact_angle_deg": 1}, "= 1: voids are 110 times as high"),
        ("cell_li", {"upscale.contact_angle_deg": 179}, "= 179: voids are 0.0087 times as high"),
        (
            "cell_li",
            {"conditions.electrode_thickness_um": 1.0, "upscale.capacity_mAh_cm2": 1.0},
            "that is 4.84 µm of Li, and .*electrode_thickness_um'] = 1.0 is used up before",
        ),
    ],
)
def test_nonsense_is_said(name, values, part):
    with pytest.warns(KmcWarning, match=part.replace("]", "\\]")):
        load_run(name, values)


@pytest.mark.parametrize("kind", ["temperature_K = 453", "contact_angle_deg = 20"])
def test_what_is_possible_is_not(kind):
    key, _, value = kind.partition(" = ")
    section = "conditions" if key == "temperature_K" else "upscale"
    with warnings.catch_warnings():
        warnings.simplefilter("error", KmcWarning)
        load_run("cell_li", {f"{section}.{key}": float(value)})


@pytest.mark.parametrize(
    "name", [p.stem for p in sorted((ROOT / "runs").glob("*.toml")) if "[system]" in p.read_text()]
)
def test_shipped_runs_are_plausible(name):
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*(melts|usual are|used up)")
        load_run(name)


def test_volts_in_a_column_of_millivolts(tmp_path):
    table = tmp_path / "mine.csv"
    table.write_text("capacity_mAh_cm2,overpotential_mV\n0.1,0.025\n0.2,0.06\n")
    with pytest.warns(KmcWarning, match="overpotential_mV is at most 0.06. Are these volts"):
        read_measured(table)


def test_a_contact_of_90_is_no_share():
    with pytest.raises(InputError, match="contact 90 is no share between 0 and 1"):
        PopulationRun.charge_at_contact(None, 90)
    run = type("Run", (), {"samples": {"contact_fraction": np.ones(2)}})()
    assert np.isnan(PopulationRun.charge_at_contact(run, 0.9))


def test_a_set_without_a_melting_point_is_refused_in_words():
    """A material of a cathode has none: what it lacks is named, and no traceback is printed."""
    with pytest.raises(InputError, match="'se' has no 'lattice_parameter_A'"):
        load_run("upscale_pressure", {"system.params": "se"})
