"""`kmc bench`: what it prints and writes, and what it refuses. The figures are not judged here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from kmc.cli.app import cost_table, main
from kmc.systems.electrode import benchmark

PROMISED = (
    "bulk_dilute",
    "bulk_1pct",
    "bulk_5pct",
    "bulk_1pct_1M",
    "strip_li",
    "strip_limg",
    "strip_li_late",
)
PROMISED_KEYS = {"ns_per_event", "events", "sites", "vacancies"}


@pytest.fixture
def short(monkeypatch):
    """Every case a few events long, and repeated twice."""
    cases = {name: (text, make, 50) for name, (text, make, _) in benchmark.CASES.items()}
    monkeypatch.setattr(benchmark, "CASES", cases)
    monkeypatch.setattr(benchmark, "REPEATS", 2)


@pytest.fixture
def call(monkeypatch, tmp_path):
    """`kmc bench` in an empty folder, on a terminal of 80 columns."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    return lambda *arguments: CliRunner().invoke(main, ["bench", *map(str, arguments)])


@pytest.mark.slow
def test_all_cases_are_measured_and_shown(short, call, tmp_path):
    result = call("--json", "here.json")
    assert result.exit_code == 0, result.output
    assert all(name in result.stdout for name in benchmark.CASES)
    assert "…" not in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert "Wrote here.json" in result.stdout

    data = json.loads((tmp_path / "here.json").read_text())
    assert data["yardstick_ns"] > 0
    assert set(PROMISED) <= data["cases"].keys()
    for row in data["cases"].values():
        assert row.keys() >= PROMISED_KEYS
        assert 0 < row["ns_lowest"] <= row["ns_per_event"] <= row["ns_highest"]
        assert row["events"] == 50
        assert row["attempts_per_event"] >= 1


@pytest.mark.parametrize(
    ("name", "sites", "vacancies"),
    [
        ("bulk_dilute", 128_000, 12),
        ("bulk_1pct", 128_000, 1280),
        ("bulk_5pct", 128_000, 6400),
        ("bulk_free", 128_000, 1280),
        ("bulk_1pct_1M", 1_000_000, 10_000),
    ],
)
def test_bulk_cases_are_what_their_names_say(name, sites, vacancies):
    (result,) = benchmark.run_cases([name], events=10)
    assert (result.name, result.events) == (name, 10)
    assert (result.sites, result.vacancies) == (sites, vacancies)


def test_bulk_cases_run_at_half_the_barrier_and_half_the_bond():
    model = benchmark.CASES["bulk_1pct"][1](1).model
    barrier, bond = (model.parameters.value(k) for k in ("barrier_Li_eV", "pair_bond_eV"))
    assert model.kT_ueV == pytest.approx(barrier / 2 * 1e6)
    assert model.kT_ueV == pytest.approx(bond / 2 * 1e6)
    assert model.floor_ueV == 0


def test_one_case_alone(short, call):
    result = call("--case", "strip_li")
    assert result.exit_code == 0, result.output
    assert "strip_li" in result.stdout
    assert "bulk_1pct" not in result.stdout


def test_the_longest_figures_fit_80_columns(monkeypatch):
    row = benchmark.CaseCost("bulk_1pct_1M", 9999, 9999, 9999, 1, 16_000_000, 3_200_000, 1.25, 9.0)
    console = Console(width=80, record=True)
    console.print(cost_table([row], 1.0))
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= 80
    assert "16 000 000" in text
    assert "…" not in text


def test_unknown_case_is_refused_before_anything_is_measured(call, monkeypatch):
    monkeypatch.setattr(benchmark, "yardstick_ns", lambda: pytest.fail("measured"))
    result = call("--case", "bulk_1pc")
    assert result.exit_code == 2
    assert "'bulk_1pc' is not a case of kmc bench" in result.stderr
    assert "bulk_1pct" in result.stderr


def test_json_in_a_folder_that_is_not_there_is_refused_first(call, monkeypatch, tmp_path):
    monkeypatch.setattr(benchmark, "yardstick_ns", lambda: pytest.fail("measured"))
    result = call("--json", tmp_path / "none" / "here.json")
    assert result.exit_code == 2
    assert "there is no folder" in result.stderr


def test_the_yardstick_needs_nothing_of_kmc():
    assert benchmark.yardstick_ns() > 0


SCRIPTS = [
    path
    for path in sorted((Path(__file__).resolve().parents[2] / "benchmarks").glob("*.py"))
    if path.stem not in ("common", "side_by_side")  # which needs the source of SPPARKS
]


@pytest.mark.slow
def test_what_the_scripts_import_is_there():
    """Runs of all of them are long, and a name that moved away is seen by the import."""
    statements = "; ".join(f"import {script.stem}" for script in SCRIPTS)
    command = [sys.executable, "-c", statements]
    done = subprocess.run(command, capture_output=True, text=True, cwd=SCRIPTS[0].parent)
    assert done.returncode == 0, done.stderr


@pytest.mark.long
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_every_script_runs(script, tmp_path):
    command = [sys.executable, str(script), "--quick", "--out", str(tmp_path)]
    if script.stem == "two_versions":
        command += ["--other", str(script.parents[1])]  # this one twice
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=3600)
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.glob("*.json"))


def test_the_comparison_says_what_it_needs(tmp_path):
    script = Path(__file__).resolve().parents[2] / "benchmarks" / "side_by_side.py"
    command = [sys.executable, str(script), "--out", str(tmp_path), "--spparks", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1
    assert "git clone https://github.com/spparks/spparks" in done.stderr


@pytest.mark.slow
def test_the_late_stage_is_counted_from_its_own_beginning():
    """What was stripped before is no part of the cost; a late event refreshes more vacancies."""
    late, first = (benchmark.measure(name, benchmark.CASES[name][1], 20_000, repeats=1)
                   for name in ("strip_li_late", "strip_li"))  # fmt: skip
    assert late.events == first.events == 20_000
    assert late.vacancies > 2 * first.vacancies
    assert late.refreshes_per_event > 1.5 * first.refreshes_per_event
