"""Calibrations of data that the code itself made with known inputs, on squares of 10 µm."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from kmc.campaign.calibration.calibrate import calibrate
from kmc.campaign.calibration.data import Datum
from kmc.campaign.calibration.design import Sweeps
from kmc.campaign.calibration.problem import read_problem

FILE = """
[calibrate]
points = 32
waves = 1
replicas = 2
posterior_runs = 0

[priors]
sinks = { key = "conditions.sink_length_um", log_uniform = [1, 10] }
flaws = { key = "upscale.flaw_density_per_um2", log_uniform = [0.1, 0.6] }

[discrepancy]
voids_per_100um = 0.0
width_um = 0.0
contact_loss_percent = 0.0

[experiments.cell]
run = "operando_li"
data = "cell.csv"
set = { "upscale.domain_um" = 10, "upscale.capacity_mAh_cm2" = 0.09, "upscale.frames" = 1 }
"""
DATA = """# made up: replaced by runs
capacity_mAh_cm2,contact_loss_percent,contact_loss_percent_error,voids_per_100um,voids_per_100um_error,width_um,width_um_error
0.08,20,2,20,2,2.0,0.1
"""
SEED = 11  # set before the first run of this test


@pytest.mark.long
@pytest.mark.validation
def test_20_truths_of_the_code_itself(tmp_path):
    """One design serves all: what differs is one more run at known inputs, and its errors.

    Binomial: an honest 90 % interval holds 15 to 20 of 20 with a probability of 98.9 %.
    """
    (tmp_path / "cell.csv").write_text(DATA)
    (tmp_path / "fit.toml").write_text(FILE)
    problem = read_problem(tmp_path / "fit.toml")
    sweeps, observables = Sweeps(problem, progress=False), problem.observables("cell")
    rng = np.random.default_rng(SEED)
    places = rng.random((20, 2))
    rows = [problem.settings_of("cell", u) for u in places]
    truths = sweeps("cell", rows, observables, 1, tmp_path / "truths")

    def shared(experiment, settings, of, replicas, folder):
        return sweeps(experiment, settings, of, replicas, tmp_path / "design")

    ranks, lost = [], 0
    for number, (u, values) in enumerate(zip(places, truths.values[:, 0], strict=True)):
        data = [
            Datum(d.of, float(d.of.scaled(value)) + d.error * rng.standard_normal(), d.error, 0.0)
            for d, value in zip(problem.fitted, values, strict=True)
        ]
        case = replace(problem, data=data)
        found = calibrate(case, tmp_path / str(number), simulate=shared)
        if found.plausible:
            ranks.append((found.samples["posterior_u"] < u).mean(axis=0))
        else:
            lost += 1
    held = ((np.array(ranks) > 0.05) & (np.array(ranks) < 0.95)).sum(axis=0)
    counts = np.histogram(np.array(ranks), 5, (0, 1))[0]
    print(f"held {held} of 20, {lost} without any plausible input, ranks {counts}")
    assert (held >= 15).all(), (held, lost, counts)
    assert (held <= 20).all()


IDLE = """
resistance = { key = "conditions.series_resistance_ohm_cm2", uniform = [0, 30] }
"""


@pytest.mark.long
@pytest.mark.validation
def test_an_input_without_effect_and_a_model_without_the_sinks_of_the_truth(tmp_path):
    """The resistance of the pellet moves no void; without a sink at the interface none fits."""
    (tmp_path / "cell.csv").write_text(DATA)
    file = FILE.replace("points = 32", "points = 16").replace(
        "\n[discrepancy]", IDLE + "\n[discrepancy]"
    )
    (tmp_path / "fit.toml").write_text(file)
    problem = read_problem(tmp_path / "fit.toml")
    truth = {"conditions.sink_length_um": 1.5, "upscale.flaw_density_per_um2": 0.3,
             "conditions.series_resistance_ohm_cm2": 14.3}  # fmt: skip
    observables = problem.observables("cell")
    found = Sweeps(problem, progress=False)("cell", [truth], observables, 4, tmp_path / "truth")
    values = np.nanmean(found.values[0], axis=0)
    data = [
        Datum(d.of, float(d.of.scaled(value)), d.error, 0.0)
        for d, value in zip(problem.fitted, values, strict=True)
    ]
    right = replace(problem, data=data)
    fit = calibrate(right, tmp_path / "with", simulate=Sweeps(right, progress=False))
    print(fit.lines())
    assert fit.plausible
    assert fit.content["idle"] == ["resistance"]
    cell = problem.experiments["cell"]
    off = cell.model_copy(update={"set": {**cell.set, "conditions.sink_length_um": "none"}})
    priors = {name: prior for name, prior in problem.priors.items() if name != "sinks"}
    wrong = replace(right, experiments={"cell": off}, priors=priors)
    fit = calibrate(wrong, tmp_path / "without", simulate=Sweeps(wrong, progress=False))
    print(fit.lines())
    assert not fit.plausible
    assert "No input is left plausible" in "\n".join(fit.lines())
