"""`kmc calibrate` on small squares of the true code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner

from kmc.cli import main

FILE = """
[calibrate]
points = 8
waves = 1
replicas = 1
posterior_runs = 2
implausibility = 8

[priors]
sinks = { key = "conditions.sink_length_um", log_uniform = [2, 10] }

[discrepancy]
contact_loss_percent = 15

[experiments.cell]
run = "operando_li"
data = "loss.csv"
set = { "upscale.domain_um" = 8, "upscale.capacity_mAh_cm2" = 0.06, "upscale.frames" = 1 }
seconds = 0.5
"""
DATA = """# contact
capacity_mAh_cm2,contact_loss_percent,contact_loss_percent_error
0.05,10,5
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "loss.csv").write_text(DATA)
    (tmp_path / "fit.toml").write_text(FILE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def kmc(*arguments):
    return CliRunner().invoke(main, arguments)


def test_a_dry_run_says_what_it_costs(folder):
    result = kmc("calibrate", "fit.toml", "--dry-run", "--workers", "2")
    assert result.exit_code == 0
    assert "wave_1/cell" in result.output
    assert "0 of    8 runs done" in result.output
    assert "At most 2.5 s with 2 workers" in result.output.replace("\N{NO-BREAK SPACE}", " ")
    more = kmc("calibrate", "fit.toml", "--dry-run", "--waves", "2").output
    assert "wave_2/cell" in more
    assert "wave_2" not in result.output
    assert not (folder / "fit").exists()


def test_the_help_shows_a_file_and_the_data():
    text = kmc("calibrate", "--help").output
    for word in ("[discrepancy]", "log_uniform", "held_out", "no rise", "--dry-run"):
        assert word in text


def test_a_missing_library_is_refused_with_the_remedy(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    result = kmc("calibrate", "fit.toml", "-q")
    assert result.exit_code == 2
    assert 'pip install ".[calibrate]" in a clone of kmc' in result.output


def test_a_quantity_without_discrepancy_is_refused(folder):
    (folder / "fit.toml").write_text(FILE.replace("contact_loss_percent = 15", ""))
    result = kmc("calibrate", "fit.toml")
    assert result.exit_code == 2
    assert "states no discrepancy for contact_loss_percent" in result.output


def runs_in(folder):
    """Ends of runs, by place: a run that was made twice is in it twice."""
    return [
        f"{log.parent}/{json.loads(line)['name']}"
        for log in folder.rglob("log.jsonl")
        for line in log.read_text().splitlines()
    ]


@pytest.mark.slow
def test_interrupted_and_repeated_it_makes_no_run_twice(folder):
    command = [sys.executable, "-m", "kmc.cli", "calibrate", "fit.toml", "--workers", "1"]
    begun = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 120
    while len(runs_in(folder)) < 3 and time.monotonic() < end:
        time.sleep(0.1)
    os.kill(begun.pid, signal.SIGKILL)
    begun.wait()
    before = runs_in(folder)
    assert 3 <= len(before) < 8
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    after = runs_in(folder)
    assert len(after) == len(set(after)) == 8 + 2
    assert set(before) <= set(after)
    assert "sinks:" in done.stdout
    for name in ("calibration.json", "posterior.csv", "predictions.csv", "samples.npz",
                 "corner.png", "predictions.png"):  # fmt: skip
        assert (folder / "fit" / name).is_file()
    again = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert runs_in(folder) == after
    assert again.returncode == 0
