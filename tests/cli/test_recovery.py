"""`kmc resume` and `kmc extend`, in the runner and as processes that are stopped."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest
from cli_calls import call
from marks import slow

from kmc import load

SMALL = ["--set", "system.size=[8, 8, 10]", "--set", "acceleration.max_hops_per_strip_per_site=1e3"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_extend_and_what_it_refuses(folder):
    half = ["--set", "stop.capacity_monolayers=0.5", "-o", "run.h5"]
    assert call("run", "strip_li", *SMALL, *half).exit_code == 0
    result = call("resume", "run.h5")
    assert result.exit_code == 2
    assert "run.h5 is finished" in result.output
    assert "kmc extend run.h5 --set KEY=VALUE" in result.output
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
    assert "capacity of 1 monolayer" in result.output
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


ENDLESS = [*SMALL, "--set", "stop.capacity_monolayers=none", "--set", "stop.events=100000000000"]
ENDLESS += ["--set", "conditions.current_density_mA_cm2=0", "--set", "system.vacancy_fraction=0.02"]
ENDLESS += ["--set", "acceleration.max_hops_per_strip_per_site=none"]
ENDLESS += ["--set", "acceleration.saddle_floor_eV=0.1", "--set", "system.boundary=periodic"]
ENDLESS += ["--set", "output.sample_every_events=1000000"]
ENDLESS += ["--set", "output.frame_every_events=100000000"]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, slow(signal.SIGINT)])
def test_stopped_by_a_signal_resumed_and_stopped_again(folder, number):
    """As a user or a batch system does it; the processes answer with exit code 130."""
    path = folder / "run.h5"
    run = ["run", "strip_li", *ENDLESS, "-o", "run.h5", "-q"]
    # Compiled and cached first: SIGTERM while the loop compiles ends the process, by design.
    short = call(*run[:-2], "compiled.h5", "-q", "--set", "stop.events=100")
    assert short.exit_code == 0, short.output
    events = []
    for command in (run, ["resume", "run.h5", "-q"]):
        child = subprocess.Popen([sys.executable, "-m", "kmc.cli", *command], cwd=folder)
        # A file is there before its first event, and is saved every three seconds.
        while not path.exists() or load(path).samples.events.max(initial=0) <= max(
            events, default=0
        ):
            assert child.poll() is None
            time.sleep(0.2)
        child.send_signal(number)
        assert child.wait() == 130
        stopped = load(path)
        assert (stopped.finished, stopped.stop_reason) == (False, "interrupted")
        events.append(stopped.samples.events[-1])
    assert events[1] > events[0] > 0
    end = events[1] + 1000
    result = call("extend", "run.h5", "--set", f"stop.events={end}")
    assert result.exit_code == 0, result.output
    assert f"{end} events reached" in result.output
    assert load(path).finished
