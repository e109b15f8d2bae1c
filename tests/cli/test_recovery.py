"""`kmc resume` and `kmc extend`, in the runner and as processes that are stopped."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner

from kmc.cli.app import main
from kmc.trajectory.reader import load

SMALL = ["--set", "system.size=[8, 8, 10]", "--set", "acceleration.max_hops_per_strip_per_site=1e3"]


def call(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_extend_and_what_it_refuses(folder):
    half = ["--set", "stop.capacity_monolayers=0.5", "-o", "run.h5"]
    assert call("run", "strip_li", *SMALL, *half).exit_code == 0
    result = call("resume", "run.h5")
    assert result.exit_code == 2
    assert "run.h5 is finished" in result.output
    assert "kmc extend FILE --set stop.KEY=VALUE" in result.output
    result = call("extend", "run.h5")
    assert result.exit_code == 2
    assert "no new end" in result.output
    result = call("extend", "run.h5", "--set", "stop.capacity_monolayer=1")
    assert result.exit_code == 2
    assert "capacity_monolayers" in result.output
    result = call("extend", "run.h5", "--set", "conditions.temperature_K=300")
    assert result.exit_code == 2
    assert (
        "--set conditions.temperature_K=300 would change what the run has computed" in result.output
    )
    assert load("run.h5").samples.capacity_monolayers[-1] == 0.5
    (folder / "run.png").unlink()
    result = call("extend", "run.h5", "--set", "stop.capacity_monolayers=1", "--check-every", 500)
    assert result.exit_code == 0
    assert "Self-check  every 500 events and at the end: no difference" in result.output
    assert "capacity_monolayers reached 1" in result.output
    assert (folder / "run.png").exists()
    assert load("run.h5").run["stop"]["capacity_monolayers"] == 1


@pytest.mark.parametrize("command", ["resume", "repair"])
def test_files_that_are_not_there_or_not_ours(folder, command):
    (folder / "text.h5").write_text("text")
    for name in ("nothing.h5", "text.h5", "."):
        result = call(command, name)
        assert result.exit_code == 2
        assert result.output.startswith("Error: ")


def test_a_file_of_schema_1_is_not_continued(folder, request):
    path = folder / "old.h5"
    path.write_bytes((request.path.parents[1] / "data" / "schema_1.h5").read_bytes())
    result = call("extend", path, "--set", "stop.capacity_monolayers=1")
    assert result.exit_code == 2
    assert "cannot be continued by this version" in result.output


LONG = [*SMALL, "--set", "stop.capacity_monolayers=none", "--set", "stop.events=3000000"]
LONG += ["--set", "conditions.current_density_mA_cm2=0", "--set", "system.vacancy_fraction=0.02"]
LONG += ["--set", "acceleration.max_hops_per_strip_per_site=none"]
LONG += ["--set", "acceleration.saddle_floor_eV=0.1", "--set", "system.boundary=periodic"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_by_a_signal_and_resumed(folder, number):
    """As a user or a batch system does it; the process answers with exit code 130."""
    command = [sys.executable, "-m", "kmc.cli.app"]
    child = subprocess.Popen([*command, "run", "strip_li", *LONG, "-o", "run.h5", "-q"], cwd=folder)
    path = folder / "run.h5"
    while child.poll() is None and not (path.exists() and len(load(path).samples)):
        time.sleep(0.01)
        if path.exists() and path.stat().st_size:
            time.sleep(0.3)
            break
    child.send_signal(number)
    assert child.wait() == 130
    stopped = load(path)
    assert (stopped.finished, stopped.stop_reason) == (False, "interrupted")
    done = subprocess.run(
        [*command, "resume", "run.h5"], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "events reached 3000000" in done.stdout
    assert load(path).finished
