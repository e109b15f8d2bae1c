"""Contact against charge for a cell model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from kmc.campaign.cell_model import (
    contact_curve,
    contact_table,
    pybamm_interpolant,
    read_contact,
    write_contact,
)
from kmc.cli.app import main
from kmc.errors import InputError

R_CT = 8.617333262e-5 * 298.15 / 1e-3  # Ω cm² at 1 mA/cm²


class Population:
    """What is used of a run of kmc upscale: contact falls as 1 − q j, R_c = 2 q Ω cm²."""

    kind, metal = "population", "Li"

    def __init__(self, current, pressure=0.0, last=1.0, seed=0):
        self.path = Path(f"run_{current}_{pressure}_{seed}.h5")
        q = np.linspace(0, last, 21)
        self.samples = {
            "current_density_mA_cm2": np.full(21, current),
            "capacity_mAh_cm2": q,
            "contact_fraction": 1 - q * current + 0.1 * seed * q,
            "constriction_V": 2e-3 * q * current,
        }
        self.params = {"exchange_current_density_mA_cm2": {"value": 1.0}}
        self.run = {"conditions": {"temperature_K": 298.15, "stack_pressure_MPa": pressure}}


@pytest.fixture
def table():
    return contact_table([Population(0.5), Population(0.9, last=0.8), Population(0.5, 1.0)])


def test_contact_and_resistances(table):
    assert len(table) == 63
    q, contact = contact_curve(
        table, "contact_fraction", current_density_mA_cm2=0.5, stack_pressure_MPa=0
    )
    assert contact == pytest.approx(1 - 0.5 * q)
    _, transfer = contact_curve(
        table, "transfer_ohm_cm2", current_density_mA_cm2=0.9, stack_pressure_MPa=0
    )
    assert transfer[[0, -1]] == pytest.approx([R_CT, R_CT / (1 - 0.72)])
    _, R = contact_curve(
        table, "constriction_ohm_cm2", current_density_mA_cm2=0.5, stack_pressure_MPa=1
    )
    assert R[-1] == pytest.approx(2.0)


def test_between_conditions_and_over_seeds(table):
    half = {"current_density_mA_cm2": 0.7, "stack_pressure_MPa": 0.0}
    q, contact = contact_curve(table, "contact_fraction", **half)
    assert contact == pytest.approx(1 - 0.7 * q)
    assert q[-1] == pytest.approx(0.8)
    seeds = contact_table([Population(0.5), Population(0.5, last=0.9, seed=1)])
    q, contact = contact_curve(seeds, "contact_fraction")
    assert contact == pytest.approx(1 - 0.45 * q)


def test_files_keep_the_table(table, tmp_path, monkeypatch):
    for ending in ("csv", "json"):
        (tmp_path / "runs").mkdir(exist_ok=True)
        (tmp_path / "runs" / "a.h5").touch()
        monkeypatch.setattr("kmc.campaign.cell_model.load", lambda path: Population(0.5))
        path = tmp_path / f"contact.{ending}"
        done = CliRunner().invoke(
            main, ["export", str(tmp_path / "runs"), "--to", "pybamm", "-o", str(path)]
        )
        assert done.exit_code == 0, done.output
        assert "21 rows" in done.stdout
        assert read_contact(path)["contact_fraction"].to_numpy() == pytest.approx(
            1 - 0.5 * np.linspace(0, 1, 21)
        )
    with pytest.raises(InputError, match="ends in"):
        write_contact(tmp_path / "runs", tmp_path / "x.txt")


def test_refused(table, tmp_path):
    for given, part in (
        ({}, "current_density_mA_cm2 = None is not in the table"),
        ({"current_density_mA_cm2": 2.0}, "2.0 is not in the table"),
        ({"current": 1.0}, "is no condition"),
    ):
        with pytest.raises(InputError, match=part):
            contact_curve(table, "contact_fraction", **given)
    resting = Population(0.5)
    resting.samples["current_density_mA_cm2"][-1] = 0.0
    with pytest.raises(InputError, match="no constant stripping current"):
        contact_table([resting])
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="lacks"):
        read_contact(tmp_path / "x.csv")
    with pytest.raises(InputError, match="there is no 'theta'"):
        contact_curve(table, "theta")


@pytest.mark.slow
def test_the_interpolant_of_pybamm_is_the_curve(table):
    pybamm = pytest.importorskip("pybamm")
    at = {"current_density_mA_cm2": 0.5, "stack_pressure_MPa": 0.0}
    symbol = pybamm_interpolant(table, "contact_fraction", 0.5 * pybamm.t / 3600, **at)
    for hours, contact in ((0.0, 1.0), (1.0, 0.75), (1.1, 0.725), (10.0, 0.5)):
        assert np.ravel(symbol.evaluate(t=3600.0 * hours)) == pytest.approx([contact])
