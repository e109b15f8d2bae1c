"""`kmc sweep`: what it prints, what it refuses, and how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import partial

import cli_calls
import pytest
from marks import slow

from kmc.campaign.folder import open_folder

HANGS_S = 3600  # nothing waits for so long, however slow the machine

TINY = """
run = "strip_li"
[grid]
"conditions.temperature_K" = [298.15, 333.15]
[set]
"system.size" = [6, 6, 8]
"stop.capacity_monolayers" = 0.3
"acceleration.max_hops_per_strip_per_site" = 1e3
"""


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A sweep file in the working folder."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "study.toml"
    path.write_text(TINY, encoding="utf-8")
    return path


call = partial(cli_calls.call, "sweep")
refused = partial(cli_calls.refused, "sweep")


def test_a_sweep_from_its_file_to_its_folder_and_again(study, tmp_path):
    result = call("study.toml", "--workers", 2)
    assert result.exit_code == 0, result.output
    assert "2 of 2\u00a0points done in study" in result.stdout
    folder = open_folder("study")
    assert [row.state for row in folder.status()] == ["done", "done"]
    times = [path.stat().st_mtime_ns for path in sorted((tmp_path / "study/points").glob("*.h5"))]

    again = call("study.toml")
    assert again.exit_code == 0
    assert times == [
        path.stat().st_mtime_ns for path in sorted((tmp_path / "study/points").glob("*.h5"))
    ]

    study.write_text("replicas = 2\n" + TINY, encoding="utf-8")
    dry = call("study.toml", "--dry-run")
    assert "4\u00a0points, 2\u00a0replicas each; 2 done" in dry.stdout
    assert "temperature_K=298.15,r2" in dry.stdout
    assert "temperature_K=298.15,r1" not in dry.stdout
    assert "from 2 points that are done" in dry.stdout
    assert len(open_folder("study").plan.points) == 2  # a dry run writes nothing


@pytest.mark.slow
def test_a_point_that_fails_is_told_with_its_file(study):
    # A run that starts, and finds no room for its trajectory where a folder stands.
    study.write_text(TINY, encoding="utf-8")
    call("study.toml", "--workers", 1)
    first, second = open_folder("study").plan.points
    folder = open_folder("study")
    folder.trajectory_path(first).unlink()
    (folder.path / "points" / f"{first.name}.part.h5").mkdir()
    result = call("study.toml", "--workers", 1)
    assert result.exit_code == 1
    assert f"points/{first.name}.toml" in result.stderr
    assert "is a folder" in result.stderr
    assert "Traceback" not in result.stderr
    states = {row.name: row.state for row in open_folder("study").status()}
    assert states == {first.name: "failed", second.name: "done"}


def test_dry_run_estimates_and_writes_nothing(study, tmp_path):
    result = call("study.toml", "--dry-run", "--workers", 2)
    assert result.exit_code == 0, result.output
    assert "conditions.temperature_K: 2\u00a0values" in result.stdout
    assert "seed" in result.stdout
    assert "Time    about" in result.stdout
    assert "MB in study" in result.stdout
    assert os.listdir(tmp_path) == ["study.toml"]


def test_dry_run_of_many_points_shows_the_ends(study):
    study.write_text("replicas = 5000\n" + TINY, encoding="utf-8")
    lines = call("study.toml", "--dry-run").stdout.splitlines()
    assert len(lines) < 25
    assert sum(line.strip() == "…" for line in lines) == 1
    assert any("r5000" in line for line in lines)


def test_refusals(study):
    assert "no such file" in refused("nowhere.toml")
    assert "exclude each other" in refused("study.toml", "--dask", "x", "--dask-jobqueue", "slurm")
    assert "needs --workers" in refused("study.toml", "--dask-jobqueue", "slurm")
    assert "needs --dask-jobqueue" in refused("study.toml", "--cluster-option", "queue=a")
    wrong = ("--dask-jobqueue", "slurm", "--workers", 1, "--cluster-option", "queue")
    assert "is not KEY=VALUE" in refused("study.toml", *wrong)
    study.write_text(TINY.replace("temperature_K", "temprature_K"), encoding="utf-8")
    assert "Did you mean 'temperature_K'" in refused("study.toml")
    assert not study.with_suffix("").exists()


@pytest.mark.parametrize("value", ["24", "24:00", "24h", "0:24"])
def test_a_wall_time_without_units_is_refused(study, value):
    """24 and 24:00 are 24 minutes for Slurm."""
    told = refused("study.toml", "--job-array", "--cluster-option", f"walltime={value}")
    assert f"walltime={value} does not say whether these are hours" in told
    assert "24:00:00" in told


@pytest.mark.parametrize("value", ["24:00:00", "2-0", "1-12:00:00"])
def test_wall_times_as_slurm_has_them(study, value):
    arguments = ("study.toml", "--job-array", "--dry-run", "--cluster-option", f"walltime={value}")
    assert f"walltime {value}" in call(*arguments).stdout


def test_more_tasks_than_clusters_take_are_pointed_at(study):
    study.write_text("replicas = 1001\n" + TINY, encoding="utf-8")
    told = call("study.toml", "--job-array", "--workers", 2002, "--dry-run").stdout
    assert "2002 tasks: many clusters take 1000 at most" in told.replace("\u00a0", " ")
    assert "at most" not in call("study.toml", "--job-array", "--dry-run").stdout


def test_a_wrong_option_of_the_queue_is_told(study):
    wrong = ("--dask-jobqueue", "slurm", "--workers", 1, "--cluster-option", "qeue=a")
    assert "a SLURMCluster cannot be made" in refused("study.toml", *wrong)


@pytest.mark.slow
def test_a_second_sweep_on_the_folder_is_refused(study):
    call("study.toml", "--workers", 1)
    study.write_text("replicas = 2\n" + TINY, encoding="utf-8")
    with open_folder("study").owned():
        assert "another kmc sweep is running points of study" in refused("study.toml")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, slow(signal.SIGINT)])
def test_stopped_by_a_signal_and_gone_on_with(study, number):
    """As a real process, in the midst of a run without end: 130, and a word on how to go on."""
    text = TINY.replace("[6, 6, 8]", "[24, 24, 64]").replace("1e3", "1e8").replace("0.3", "30")
    study.write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "kmc.cli", "sweep", "study.toml", "--workers", "1"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        while not list(study.parent.glob("study/running/*.json")):
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(number)
        _, errors = process.communicate(timeout=HANGS_S)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 130, errors
    assert "Repeat the command to continue" in errors
    assert "Traceback" not in errors
    assert not open_folder("study").is_locked()
    assert list(study.parent.glob("study/running/*")) == []
