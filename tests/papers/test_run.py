"""The plan of the study, its folder, and the command."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from functools import partial

import pytest
from click.testing import CliRunner

from kmc.campaign.plan import read_plan
from kmc.cli.app import main
from kmc.errors import InputError
from kmc.papers import PLANS, STUDIES, operando, operando_steps, run_study
from kmc.papers import steps as steps_module
from kmc.papers.operando import Size
from kmc.papers.run import judge
from kmc.papers.steps import Step


@pytest.mark.slow
@pytest.mark.parametrize("plan", PLANS)
def test_every_sweep_of_a_plan_is_valid(plan, tmp_path):
    """Each by itself, with the checks of `kmc sweep`: no run of hours ends at its first point."""
    size = PLANS[plan]
    texts = {
        "operando": operando.population_text("a", operando.operando_rows(size), 2, size),
        "conditions": operando.population_text("a", operando.condition_rows(size), 1, size),
        "inputs": operando.population_text("a", operando.variant_rows(size), 1, size),
        "box": operando.box_text("a", operando.box_rows(size), size),
        "box_first": operando.first_box_text("a", operando.first_box_rows(), size),
        "box_random": operando.random_text("a", operando.random_rows(), size),
        "box_inputs": operando.box_text("a", operando.box_variant_rows(size), size),
    }
    for name, text in texts.items():
        file = tmp_path / f"{name}.toml"
        file.write_text(text, encoding="utf-8")
        assert read_plan(file).points


@pytest.mark.parametrize("study", ["interlayer", "cathode"])
def test_every_sweep_of_the_other_studies_is_valid(study, tmp_path, monkeypatch):
    found = {}

    def note(plan, folder, make, progress):
        found[folder.name] = len(plan.points)
        return False

    monkeypatch.setattr(steps_module, "_run_plan", note)
    for step in STUDIES[study].plans["default"]():
        assert not step.run(tmp_path, None, False)
    assert min(found.values()) >= 3
    assert set(found) >= {"interlayer": {"efficiency", "map"}, "cathode": {"selenium"}}[study]


def test_the_conditions_asked_for_are_in_the_plan():
    """Li and 1, 3, 10, 20 % Mg; 0.05, 0.5, 2 mA/cm²; 0.2 to 7 MPa; 25 and 60 °C."""

    def values(rows, key):
        return {row[key] for row in rows if key in row}

    full = operando.condition_rows(PLANS["full"])
    assert values(full, "system.mg_fraction") == {0.0, 0.01, 0.03, 0.1, 0.2}
    assert values(full, "conditions.current_density_mA_cm2") == {0.05, 0.5, 2.0}
    assert values(full, "conditions.stack_pressure_MPa") >= {0.2, 1.0, 1.5, 7.0, 14.0, 50.0}
    assert values(full, "conditions.temperature_K") == {298.15, 333.15}
    whole = operando.box_rows(PLANS["default"])
    # 7 MPa at 25 °C and 0.5, 2 mA/cm² alone; lithium and the foil at the first conditions apart.
    assert len(whole) == 5 * (3 * 2 * 3 + 2) - 2
    assert len(operando.box_rows(PLANS["full"])) == 5 * 3 * 2 * 4 - 2
    for plan in PLANS.values():
        rows = operando.condition_rows(plan)
        assert all(row not in rows[i + 1 :] for i, row in enumerate(rows))
        assert all(row not in rows for row in operando.operando_rows(plan))


@pytest.mark.parametrize("study", STUDIES)
def test_steps_name_the_commands_that_repeat_them(study):
    steps = {step.name: step for step in STUDIES[study].plans["default"]()}
    assert len(steps) == len(STUDIES[study].plans["default"]())
    known = set(main.commands)
    assert all(step.command.split()[1] in known for step in steps.values())
    if study == "operando":
        assert "--ratios 1e4,1e5,1e6 " in steps["convergence_strip_li"].command


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


def planned(monkeypatch, steps):
    """The operando study with a reduced plan of some steps."""
    changed = replace(STUDIES["operando"], plans={"reduced": steps})
    monkeypatch.setitem(STUDIES, "operando", changed)


@pytest.mark.parametrize("steps", [5, [5], [{}], [{"name": "../x"}], "x", {"name": 1}])
def test_a_damaged_study_is_told(tmp_path, steps):
    head = {"format": "kmc study", "study": "operando", "plan": "full", "kmc": "1", "steps": steps}
    (tmp_path / "study.json").write_text(json.dumps(head))
    with pytest.raises(InputError, match=r"study\.json cannot be read, or is damaged"):
        judge(tmp_path)
    told = CliRunner().invoke(main, ["report", str(tmp_path), "-o", str(tmp_path / "page.html")])
    assert told.exit_code in (0, 2), told.output
    assert isinstance(told.exception, SystemExit | None)


def test_an_interruption_keeps_what_is_done_and_goes_on(tmp_path, monkeypatch):
    calls = []

    def steps():
        def run(name):
            def step(folder, make, progress):
                calls.append(name)
                return name == "second" and calls.count(name) == 1

            return step

        return [Step(n, n, "kmc sweep x", run(n)) for n in ("first", "second", "third")]

    planned(monkeypatch, steps)
    with pytest.raises(KeyboardInterrupt):
        run_study(tmp_path / "s", "reduced", progress=False)
    assert not (tmp_path / "s" / "claims.json").exists()
    claims = run_study(tmp_path / "s", "reduced", progress=False)
    assert calls == ["first", "second", "first", "second", "third"]
    assert {claim["verdict"] for claim in claims} == {"not run", "not addressable"}


def test_the_command_prints_the_claims(tmp_path, monkeypatch):
    only = Step("checks", "Checks", "kmc params check", operando_steps._check)
    planned(monkeypatch, lambda: [only])
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
    refused = CliRunner().invoke(main, ["study", "operando", "--judge-only", "-o", str(tmp_path)])
    assert refused.exit_code == 2


TINY = Size(4, 6, 4, 0.005, 2, 1, 1, False, False, (8, 8, 10), 2, 2, 0.5, 2, 7e7, (1e2, 1e3))


@pytest.mark.long
def test_a_whole_study(tmp_path, monkeypatch):
    """Every step at its smallest; what is done is not run again."""
    planned(monkeypatch, partial(operando_steps.steps_of, TINY))
    claims = run_study(tmp_path / "s", "reduced", progress=False)
    missing = [c["name"] for c in claims if c["verdict"] == "not run"]
    assert missing == []
    for claim in claims:
        for figure in claim["figures"]:
            assert figure["value"] is not None, claim["name"]
            if isinstance(figure["value"], float):
                assert math.isfinite(figure["value"])
    first = (tmp_path / "s" / "claims.json").read_bytes()
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "s").rglob("points/*.h5")}
    run_study(tmp_path / "s", "reduced", progress=False)
    assert {path: path.stat().st_mtime_ns for path in files} == files
    assert (tmp_path / "s" / "claims.json").read_bytes() == first
