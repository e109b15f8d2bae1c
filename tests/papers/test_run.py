"""The plan of a study, its folder, and the command."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from click.testing import CliRunner

from kmc.campaign.plan import read_plan
from kmc.cli.app import main
from kmc.errors import InputError
from kmc.papers import NAMES, paper, plan_of, run_study
from kmc.papers import run as run_module
from kmc.papers.run import StudyStep, steps_of, sweep_text

SWEEPS = [
    (name, step["name"])
    for name in NAMES
    for step in paper(name).steps
    if step.get("kind", "sweep") == "sweep"
]


@pytest.mark.parametrize(("study", "name"), SWEEPS)
def test_every_sweep_is_valid_and_has_the_runs_it_says(study, name, tmp_path):
    """With the checks of `kmc sweep`: no run of hours ends at its first point."""
    step = next(step for step in paper(study).steps if step["name"] == name)
    file = tmp_path / f"{name}.toml"
    file.write_text(sweep_text(paper(study), step), encoding="utf-8")
    planned = next(one for one in steps_of(paper(study), "default") if one.name == name)
    assert len(read_plan(file).points) == planned.points > 0


@pytest.mark.parametrize("study", NAMES)
def test_steps_name_the_commands_that_repeat_them(study):
    for plan in ("default", *paper(study).plans):
        steps = {step.name: step for step in steps_of(paper(study), plan)}
        assert len(steps) == len(paper(study).steps)
        assert all(step.command.split()[1] in main.commands for step in steps.values())
    if study == "operando":
        assert "--ratios 1e4,1e5,1e6 " in steps["convergence_strip_li"].command


def test_a_plan_changes_only_what_it_names():
    default, full = (
        {step["name"]: step for step in paper("operando").planned(plan).steps}
        for plan in ("default", "full")
    )
    assert (default["operando"]["replicas"], full["operando"]["replicas"]) == (4, 8)
    assert default["operando"]["rows"] == full["operando"]["rows"]
    assert default["convergence_strip_li"] == full["convergence_strip_li"]


def test_an_input_that_another_step_runs_is_not_run_twice():
    """1 MPa as an input is a row of `pressures`; both are read from there."""
    known = paper("operando")
    steps = {step["name"]: step for step in known.steps}
    pressed = {"family": "voids", "settings": {"conditions.stack_pressure_MPa": 1.0}}
    more = replace(known, inputs={**known.inputs, "1 MPa": pressed})
    carried = more.row(["Li voids", pressed["settings"]])
    assert any(more.same(row, carried) for row in more.rows_of(steps["pressures"]))
    assert more.rows_of(steps["inputs"]) == known.rows_of(steps["inputs"])
    assert len(known.rows_of(steps["inputs"])) == 20


@pytest.mark.parametrize("study", NAMES)
def test_a_study_takes_no_longer_than_it_may(study):
    """On two cores, by its own estimate."""
    seconds = sum((step.points or 1) * step.seconds for step in steps_of(paper(study), "default"))
    assert seconds / 2 <= 60 * (15 if study == "operando" else 10)


@pytest.mark.parametrize("study", NAMES)
def test_dry_run_says_what_how_long_and_where(study, tmp_path):
    folder = tmp_path / "s"
    done = CliRunner().invoke(main, ["study", study, "--dry-run", "-o", str(folder), "-j", "2"])
    assert done.exit_code == 0, done.output
    *steps, last = done.output.strip().splitlines()
    assert len(steps) == len(paper(study).steps)
    assert "min on 2 cores" in last
    assert str(folder) in last
    assert not folder.exists()


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(InputError, match=r"thesis\.tex"):
        run_study(tmp_path)
    with pytest.raises(InputError, match="no plan 'quick' of operando"):
        run_study(tmp_path / "new", "quick")
    with pytest.raises(InputError, match="no study 'anode'"):
        run_study(tmp_path / "new", study="anode")
    assert not (tmp_path / "new").exists()
    head = tmp_path / "study"
    head.mkdir()
    (head / "study.json").write_text('{"study": "operando", "plan": "full", "kmc": "0"}')
    with pytest.raises(InputError, match="'full', not 'operando' with 'reduced'"):
        run_study(head, "reduced")
    with pytest.raises(InputError, match=r"'operando'.*not 'cathode'"):
        run_study(head, study="cathode")
    (head / "study.json").write_text("[1")
    with pytest.raises(InputError, match="cannot be read"):
        run_study(head, "reduced")


@pytest.mark.parametrize("steps", [5, [5], [{}], [{"name": "../x"}], "x", {"name": 1}])
def test_a_damaged_study_is_told(tmp_path, steps):
    head = {"format": "kmc study", "study": "operando", "plan": "full", "kmc": "1", "steps": steps}
    (tmp_path / "study.json").write_text(json.dumps(head))
    with pytest.raises(InputError, match=r"study\.json cannot be read, or is damaged"):
        run_module.judge(tmp_path)
    told = CliRunner().invoke(main, ["report", str(tmp_path), "-o", str(tmp_path / "page.html")])
    assert told.exit_code in (0, 2), told.output
    assert isinstance(told.exception, SystemExit | None)


def planned(monkeypatch, steps):
    """The operando study with some steps."""
    monkeypatch.setattr(run_module, "steps_of", lambda study, plan: steps())


def test_an_interruption_keeps_what_is_done_and_goes_on(tmp_path, monkeypatch):
    calls = []

    class Told(StudyStep):
        def run(self, folder, make, workers, progress):
            calls.append(self.name)
            return self.name == "second" and calls.count("second") == 1

    steps = [Told(n, n, "kmc sweep x", read_plan, 1) for n in ("first", "second", "third")]
    planned(monkeypatch, lambda: steps)
    with pytest.raises(KeyboardInterrupt):
        run_study(tmp_path / "s", "reduced", progress=False)
    assert not (tmp_path / "s" / "claims.json").exists()
    claims = run_study(tmp_path / "s", "reduced", progress=False)
    assert calls == ["first", "second", "first", "second", "third"]
    of_the_set = [c["name"] for c in claims if c["verdict"] not in ("not run", "not addressable")]
    assert of_the_set == ["adhesion", "contact_angle", "diffusion_ratio", "mixing"]


@pytest.mark.slow
def test_the_command_prints_the_claims(tmp_path, monkeypatch):
    known = steps_of(paper("operando"), "reduced")
    planned(monkeypatch, lambda: known[:1] if (tmp_path / "more").exists() else [])
    folder = tmp_path / "s"
    done = CliRunner().invoke(main, ["study", "operando", "--plan", "reduced", "-o", str(folder)])
    assert done.exit_code == 0, done.output
    for text in ("Contact angle", "not addressable", "kmc report", "106"):
        assert text in done.output
    again = CliRunner().invoke(main, ["study", "operando", "--judge-only", "-q", "-o", str(folder)])
    assert (again.exit_code, again.output) == (0, "")
    claims = json.loads((folder / "claims.json").read_text("utf-8"))["claims"]
    angle = next(claim for claim in claims if claim["name"] == "contact_angle")
    assert angle["verdict"] == "rank only"
    assert angle["figures"][0]["value"] == pytest.approx(106.0, abs=0.05)
    (tmp_path / "more").touch()
    unfinished = (
        CliRunner().invoke(main, ["study", "operando", "--judge-only", "-o", str(folder)]).output
    )
    assert "Not run yet  8 of the 8 runs of operando" in unfinished
    assert f"kmc study operando -o {folder}" in unfinished
    # Which the plan of the folder goes on with, without being named.
    dry = CliRunner().invoke(main, ["study", "operando", "--dry-run", "-o", str(folder)]).output
    assert "8 runs to do of 8" in dry
    assert plan_of(folder) == "reduced"
    refused = CliRunner().invoke(main, ["study", "operando", "--judge-only", "-o", str(tmp_path)])
    assert refused.exit_code == 2
