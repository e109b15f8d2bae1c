"""Calibration files: what they say, and what is refused."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kmc.campaign.calibration.design import runs_left
from kmc.campaign.calibration.problem import Prior, read_problem
from kmc.campaign.points import without_removed
from kmc.errors import InputError
from kmc.runfile.load import load_run
from kmc.systems import SYSTEMS

FILE = """
[calibrate]
points = 8
candidates = ["cell: height_um at 0.25"]

[priors]
sinks = { key = "conditions.sink_length_um", log_uniform = [1.5, 12] }
flaws = { key = "upscale.flaw_density_per_um2", normal = [0.1, 0.02], experiments = ["cell"] }

[discrepancy]
voids_per_100um = "20 %"
height_um = 0.5
width_um = 0.3
capacity_mAh_cm2 = "10 %"

[experiments.cell]
run = "operando_li"
data = "images.csv"
set = { "upscale.domain_um" = 20 }

[experiments.next]
run = "operando_li"
data = "images.csv"
held_out = true
"""
DATA = """# images
capacity_mAh_cm2,capacity_mAh_cm2_error,voids_per_100um,voids_per_100um_error,width_um,width_um_error,contact_loss_percent,event
0.125,,17,1,2.0,0.4,,
1.0,0.2,,,,,90,
1.25,0.1,,,,,,gap
1.1,,,,,,,no split
"""


def read(tmp_path, file=FILE, data=DATA):
    (tmp_path / "images.csv").write_text(data)
    (tmp_path / "fit.toml").write_text(file)
    return read_problem(tmp_path / "fit.toml")


def test_numbers_charges_and_what_did_not_happen(tmp_path):
    problem = read(tmp_path)
    data = {d.of.name: d for d in problem.fitted}
    assert list(data) == [
        "cell: voids_per_100um at 0.125",
        "cell: width_um at 0.125",
        "cell: charge of contact_loss_percent=90",
        "cell: charge of gap",
        "cell: charge of split",
    ]
    voids, width, lost, _, split = data.values()
    assert (voids.value, voids.error, voids.discrepancy) == (17, 1, pytest.approx(3.4))
    # Widths and charges are compared by their logarithms: errors become relative.
    assert width.value == pytest.approx(math.log(2))
    assert (width.error, width.discrepancy) == (pytest.approx(0.2), pytest.approx(0.15))
    assert (lost.error, lost.discrepancy) == (pytest.approx(0.2), pytest.approx(0.1))
    assert split.beyond
    assert split.text == "above 1.1\N{NO-BREAK SPACE}mAh/cm²"
    assert width.text == "2 ± 0.4\N{NO-BREAK SPACE}µm"
    assert len(problem.data) == 2 * len(problem.fitted)


def test_readings_of_a_cycler_are_fitted_with_the_error_that_the_file_states(tmp_path):
    rows = "\n".join(f"{900 * step},0.5,{0.01 + step * 0.001}" for step in range(3))
    head = "Time(s),Current density(mA/cm2),Voltage(V)\n"
    stated = "# overpotential_mV_error = 0.5\n" + head + rows
    file = FILE.replace("[experiments.cell]", 'overpotential_mV = "5 %"\n[experiments.cell]')
    data = read(tmp_path, file, stated).fitted
    assert [(d.of.charge, d.value, d.error) for d in data] == [
        pytest.approx((0.125 * step, 10 + step, 0.5)) for step in range(3)
    ]
    with pytest.raises(InputError, match="has no overpotential_mV_error"):
        read(tmp_path, file, head + rows)


def test_inputs_are_shared_or_of_one_experiment(tmp_path):
    problem = read(tmp_path)
    assert problem.inputs_of("cell") == [0, 1]
    assert problem.inputs_of("next") == [0]
    settings = problem.settings_of("cell", np.array([0.5, 0.5]))
    assert settings == {
        "conditions.sink_length_um": pytest.approx(math.sqrt(18), rel=1e-5),
        "upscale.flaw_density_per_um2": pytest.approx(0.1),
    }


def test_priors_are_distributions():
    u = np.linspace(0, 1, 5)
    np.testing.assert_allclose(Prior(key="a.b", uniform=[1.0, 3.0]).value(u), 1 + 2 * u)
    logs = Prior(key="a.b", log_uniform=[1.0, 100.0]).value(u)
    np.testing.assert_allclose(logs, 100**u)
    normal = Prior(key="a.b", normal=[5.0, 2.0]).value(np.array([0.1587, 0.5, 0.8413]))
    np.testing.assert_allclose(normal, [3, 5, 7], atol=0.02)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("width_um = 0.3\n", "", "states no discrepancy for width_um"),
        ('"20 %"', '"much"', "neither a number nor a percentage"),
        ("log_uniform = [1.5, 12]", "log_uniform = [12, 1.5]", "is no range"),
        ("log_uniform = [1.5, 12]", "log_uniform = [0, 12]", "is no range"),
        ("log_uniform = [1.5, 12]", "uniform = [1, 2], normal = [1, 1]", "needs one of"),
        ("normal = [0.1, 0.02]", "normal = [0.1, 0]", "has no width"),
        ('experiments = ["cell"]', 'experiments = ["sell"]', "names the experiment 'sell'"),
        ('"upscale.flaw_density_per_um2"', '"conditions.sink_length_um"', "both set"),
        ('"conditions.sink_length_um"', '"conditions.sink_lenth_um"', "sink_lenth_um"),
        ('"conditions.sink_length_um"', '"parameters.youngs_modulus_GPa"', "youngs_modulus_GPa"),
        ('"cell: height_um at 0.25"', '"cell: hight_um at 0.25"', "candidates"),
        ('run = "operando_li"\ndata', 'run = "operando_na"\ndata', "operando_na"),
        ('run = "operando_li"\ndata', 'run = "plate_carbon"\ndata', "plate_carbon"),
        ("[experiments.next]", '[experiments."a/b"]', "no name of a folder"),
        ("points = 8", "points = 1", "points"),
        ("points = 8", "pints = 8", "pints"),
        ("[experiments.cell]", "[experiments.cell]\nheld_out = true", "fits nothing"),
    ],
)
def test_what_is_refused(tmp_path, old, new, message):
    with pytest.raises(InputError) as caught:
        read(tmp_path, FILE.replace(old, new, 1))
    assert message in f"{caught.value.message} {caught.value.advice}"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("17,1,", "17,,", "no voids_per_100um_error"),
        ("17,1,", "17,0,", "no measurement is exact"),
        ("0.125,,", ",,", "no capacity_mAh_cm2"),
        ("gap", "gasp", "event = 'gasp' is not known"),
        ("1.25,0.1,", "1.25,,", "needs a charge above 0 with an error"),
    ],
)
def test_data_that_cannot_be_fitted_are_refused(tmp_path, old, new, message):
    with pytest.raises(InputError, match=message):
        read(tmp_path, data=DATA.replace(old, new, 1))


def test_the_shipped_calibration_has_three_kinds_of_data():
    """Fitted; known when the form of creep was chosen; held out."""
    problem = read_problem("calibrate_operando")
    assert {d.of.experiment for d in problem.fitted} == {"Li", "Li-Mg", "Li 7 MPa"}
    held = {name: e for name, e in problem.experiments.items() if e.held_out}
    seen = {f"{name} MPa" for name in ("Li 1", "Li 1.5", "Li-Mg 0.2", "Li-Mg 1")}
    seen |= {"3 MPa, 0.2 mA", "0.4 MPa, 0.1 mA"}
    assert {name for name, e in problem.experiments.items() if e.seen} == seen
    for name in ("Li-Mg 14 MPa", "Li-Mg 50 MPa", "25 °C, 0.25 mA", "80 °C, 2.5 mA, 5 MPa"):
        assert name in held
    # A number from memory is shown and not judged.
    unverified = {name for name, e in held.items() if not e.verified}
    assert unverified == {"3 MPa, 0.2 mA", "0.4 MPa, 0.1 mA"}
    assert all(e.source for e in held.values())


def test_the_example_of_the_page_can_be_copied(tmp_path):
    page = Path(__file__).parents[3] / "docs" / "calibration.md"
    data, file = re.findall(r"^```(?:toml)?\n(.*?)^```", page.read_text("utf-8"), re.M | re.S)[:2]
    problem = read(tmp_path, file, data)
    assert [d.of.name for d in problem.fitted] == [
        "cell: voids_per_100um at 0.125",
        "cell: width_um at 0.125",
        "cell: charge of gap",
    ]


def test_runs_of_the_shipped_calibration_go_on_until_an_absence_rules_out():
    """What a run has not reached by its end is only then implausible: three standard deviations."""
    problem = read_problem("calibrate_operando")
    for datum in problem.fitted:
        about = problem.experiments[datum.of.experiment]
        if datum.of.event and datum.of.experiment == "Li":
            end = math.log(about.set["upscale.capacity_mAh_cm2"])
            assert end - datum.value > 3 * math.sqrt(datum.variance), datum.of.name


def test_the_time_of_a_run_that_states_none_is_that_of_its_kind(tmp_path):
    problem = read_problem("calibrate_operando")
    (name, about), *_ = problem.experiments.items()
    unstated = {name: about.model_copy(update={"seconds": None})}
    planned = runs_left(replace(problem, experiments=unstated), tmp_path)
    run = load_run(about.run, without_removed(about.set))
    expected = SYSTEMS["population"].seconds(run)
    assert {seconds for *_, seconds in planned.values()} == {expected}
    assert 0.1 < expected < 100.0
