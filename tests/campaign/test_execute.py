"""Sweeps are run to their end, whatever is killed on the way, here and on a Dask cluster."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from pathlib import Path

import fake
import fake_results
import h5py
import numpy as np
import pytest

import kmc
from kmc.campaign import run_point as point_module
from kmc.campaign.cluster import DaskWorkers, connect, queue_cluster
from kmc.campaign.execute import MAX_ATTEMPTS, Tally, run_sweep
from kmc.campaign.folder import make_folder, open_folder
from kmc.campaign.local import LocalWorkers
from kmc.campaign.plan import read_plan
from kmc.campaign.run_point import run_point
from kmc.common.progress import Silent
from kmc.errors import InputError, KmcError

TINY = """
run = "strip_li"
replicas = 2
[grid]
"conditions.temperature_K" = [298.15, 333.15]
[set]
"system.size" = [6, 6, 8]
"stop.capacity_monolayers" = 0.3
"acceleration.max_hops_per_strip_per_site" = 1e3
"""
# Some seconds a point: time to kill something.
LONG = TINY.replace("[6, 6, 8]", "[16, 16, 12]").replace("1e3", "1e6").replace("0.3", "0.6")


def folder_of(text: str, path: Path):
    file = path.with_suffix(".toml")
    file.write_text(text, encoding="utf-8")
    return make_folder(path, read_plan(file))


@pytest.fixture
def folder(tmp_path):
    return folder_of(TINY, tmp_path / "out")


def local(count=2):
    return lambda place, points: LocalWorkers(min(count, points), place / "workers.log")


def results(folder) -> dict[str, tuple]:
    """What a sweep came to, for comparison: all that does not depend on when and where it ran."""
    found = {}
    for point in folder.plan.points:
        t = kmc.load(folder.trajectory_path(point))
        assert t.finished
        last = t.frames[-1].occupancy.tobytes()
        found[point.name] = (t.seed, t.samples.time_s.tobytes(), last)
    return found


class Scripted:
    """Workers that do as a function says, at once."""

    def __init__(self, answer, slots=1):
        self.slots, self.answer, self.jobs, self.submitted = slots, answer, deque(), []
        self.closed = False

    def submit(self, job):
        self.submitted.append(job["name"])
        self.jobs.append(job)

    def wait(self, timeout_s):
        if not self.jobs:
            return []
        job = self.jobs.popleft()
        state, error = self.answer(job, self.submitted.count(job["name"]))
        return [{"name": job["name"], "state": state, "error": error, "details": "", "wall_s": 1.0}]

    def close(self):
        self.closed = True


class Recorded(Silent):
    def __init__(self):
        self.messages, self.states = [], []

    def message(self, text):
        self.messages.append(text)

    def update(self, fraction, text, parts=()):
        self.states.append(text)


def touch(folder, job):
    shutil.copy(some_trajectory(), Path(job["folder"]) / "points" / f"{job['name']}.h5")
    return "done", ""


@functools.cache
def some_trajectory() -> Path:
    return fake.write(Path(tempfile.mkdtemp()) / "some.h5", box=fake.lattice(cells=(4, 4)))


# --- bookkeeping ----------------------------------------------------------------------------------


def test_what_fails_is_reported_and_the_rest_goes_on(folder):
    bad = folder.plan.points[1].name
    workers = Scripted(
        lambda job, n: ("failed", "no") if job["name"] == bad else touch(folder, job)
    )
    heard = Recorded()
    tally = run_sweep(folder, lambda place, points: workers, heard)
    assert (tally.done, tally.failed, tally.interrupted) == (3, 1, False)
    assert [point.name for point, _ in tally.failures] == [bad]
    assert heard.messages == [f"failed: {bad}: no"]
    assert workers.closed
    assert [row.state for row in open_folder(folder.path).status()].count("failed") == 1

    again = Scripted(lambda job, n: touch(folder, job))
    tally = run_sweep(folder, lambda place, points: again, Silent())
    assert again.submitted == [bad]
    assert (tally.done, tally.failed) == (4, 0)
    tally = run_sweep(folder, None, Silent())  # nothing to do: nobody is asked to work
    assert tally.done == 4


def test_a_point_whose_worker_dies_is_put_back(folder):
    workers = Scripted(lambda job, n: ("lost", "gone") if n == 1 else touch(folder, job))
    tally = run_sweep(folder, lambda place, points: workers, Silent())
    assert tally.done == 4
    assert len(workers.submitted) == 8


def test_a_point_that_kills_every_worker_is_given_up(folder):
    bad = folder.plan.points[0].name
    workers = Scripted(
        lambda job, n: ("lost", "gone") if job["name"] == bad else touch(folder, job)
    )
    tally = run_sweep(folder, lambda place, points: workers, Silent())
    assert workers.submitted.count(bad) == MAX_ATTEMPTS
    assert (tally.done, tally.failed) == (3, 1)
    assert "gone, 3 times" in tally.failures[0][1]


def test_one_point_starts_first(tmp_path):
    """The loop is compiled once, not once in each worker."""
    folder = folder_of('run = "strip_li"\nreplicas = 6\n', tmp_path / "replicas")
    seen = []

    class Watched(Scripted):
        def wait(self, timeout_s):
            seen.append([job["name"] for job in self.jobs])
            return super().wait(timeout_s)

    workers = Watched(lambda job, n: touch(folder, job), slots=6)
    assert run_sweep(folder, lambda place, points: workers, Silent()).done == 6
    assert seen[0] == [folder.plan.points[0].name]
    assert len(seen[1]) == 5


def test_a_full_disk_stops_the_sweep(folder, monkeypatch):
    usage = shutil.disk_usage(folder.path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    workers = Scripted(lambda job, n: ("failed", "cannot be written further"))
    with pytest.raises(KmcError, match=r"the disk of .* is full"):
        run_sweep(folder, lambda place, points: workers, Silent())
    assert len(workers.submitted) == 1
    assert workers.closed
    assert not folder.is_locked()


# --- one point ------------------------------------------------------------------------------------


def test_a_point_is_what_kmc_run_makes_of_its_file(folder, tmp_path):
    point = folder.plan.points[0]
    with folder.owned() as owner:
        folder.prepare(point)
        outcome = run_point(str(folder.path), point.name, owner)
    assert outcome["state"] == "done", outcome
    alone = kmc.run(folder.run_file_path(point), output=tmp_path / "alone.h5", progress=False)
    there = kmc.load(folder.trajectory_path(point))
    assert np.array_equal(there.samples.time_s, alone.samples.time_s)
    assert np.array_equal(there.frames[-1].occupancy, alone.frames[-1].occupancy)
    assert there.run_file == folder.plan.run_toml(point)


def test_a_point_stops_when_nobody_wants_it_any_more(folder):
    point = folder.plan.points[0]
    folder.prepare(point)
    assert run_point(str(folder.path), point.name, "somebody of yesterday")["state"] == "stopped"
    assert not folder.trajectory_path(point).exists()


def test_a_point_that_another_process_runs_is_left_alone(folder, monkeypatch):
    from filelock import FileLock

    point = folder.plan.points[0]
    monkeypatch.setattr(point_module, "_WAIT_FOR_LOCK_S", 0.1)
    with FileLock(folder.path / "running" / f".{point.name}.lock"):
        assert run_point(str(folder.path), point.name, "me")["state"] == "busy"


@pytest.mark.parametrize(
    ("problem", "error"),
    [
        (InputError("bad value", advice="do this"), "bad value"),
        (MemoryError(), "not enough memory"),
        (ZeroDivisionError("by zero"), "ZeroDivisionError: by zero"),
    ],
)
def test_any_error_of_a_point_is_told(folder, monkeypatch, problem, error):
    def fail(*arguments):
        raise problem

    monkeypatch.setattr(point_module, "_run_or_resume", fail)
    point = folder.plan.points[0]
    with folder.owned() as owner:
        folder.prepare(point)
        outcome = run_point(str(folder.path), point.name, owner)
    assert (outcome["state"], outcome["error"]) == ("failed", error)


# --- processes of this machine --------------------------------------------------------------------


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Results of TINY and LONG when nothing happens."""
    found = {}
    for name, text in (("tiny", TINY), ("long", LONG)):
        folder = folder_of(text, tmp_path_factory.mktemp("undisturbed") / name)
        tally = run_sweep(folder, local(), Silent())
        assert tally.done == 4, tally
        assert os.listdir(folder.path / "running") == []
        assert (folder.path / "workers.log").read_text() == ""
        found[name] = results(folder)
    return found


@pytest.mark.slow
def test_a_killed_worker_costs_only_its_own_point(tmp_path, undisturbed):
    folder = folder_of(LONG, tmp_path / "out")
    made = []

    class Killing(LocalWorkers):
        submitted = 0

        def submit(self, task):
            self.submitted += 1
            super().submit(task)

        def wait(self, timeout_s):
            if self.submitted == 3 and not made:  # the first runs alone; both begin now
                wait_for(lambda: len(list((folder.path / "running").glob("*.json"))) == 2)
                made.append(self._processes[0])
                made[0].send_signal(signal.SIGKILL)
            return super().wait(timeout_s)

    heard = Recorded()
    make = lambda place, points: Killing(2, folder.path / "workers.log")  # noqa: E731
    tally = run_sweep(folder, make, heard)
    assert made
    assert [text for text in heard.messages if "signal 9" in text]
    assert tally.done == 4
    assert results(folder) == undisturbed["long"]


@pytest.mark.slow
def test_a_killed_sweep_takes_its_workers_along_and_goes_on(tmp_path, undisturbed):
    folder = folder_of(LONG, tmp_path / "out")
    command = [sys.executable, "-m", "kmc.cli", "sweep", f"{folder.path}.toml", "-o"]
    process = subprocess.Popen([*command, folder.path], stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: list((folder.path / "running").glob("*.json")))
        workers = children(process.pid)
        assert workers
        assert folder.is_locked()
    finally:
        process.kill()
        process.wait()
    wait_for(lambda: not any(is_running(pid) for pid in workers))
    assert len(folder.done()) < 4
    assert run_sweep(folder, local(), Silent()).done == 4
    assert results(folder) == undisturbed["long"]


def test_workers_that_cannot_start_are_reported(folder, monkeypatch):
    monkeypatch.setattr("kmc.campaign.local._START", "raise SystemExit('no numba here')")
    with pytest.raises(KmcError, match="end before they are ready"):
        run_sweep(folder, local(), Silent())
    assert "no numba here" in (folder.path / "workers.log").read_text()


@pytest.mark.slow
def test_a_file_that_cannot_grow_is_a_clear_failure(folder, tmp_path, undisturbed):
    """As on a full disk: the point fails in words, and runs once there is room."""
    code = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "from kmc.cli.app import main; main()"
    )
    arguments = ["sweep", f"{folder.path}.toml", "-o", str(folder.path), "--workers", "1"]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr
    assert folder.done() == set()
    assert run_sweep(folder, local(), Silent()).done == 4
    assert results(folder) == undisturbed["tiny"]


# --- Dask -----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_dask_cluster_gives_the_same(folder, undisturbed):
    from distributed import LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        make = lambda folder, points: DaskWorkers(connect(cluster.scheduler_address))  # noqa: E731
        assert run_sweep(folder, make, Silent()).done == 4
    assert results(folder) == undisturbed["tiny"]


@pytest.mark.slow
def test_a_scheduler_and_workers_of_their_own_one_of_them_killed(tmp_path, undisturbed):
    folder = folder_of(LONG, tmp_path / "out")
    bin_ = Path(sys.executable).parent
    with contextlib.ExitStack() as stack:

        def start(*command):
            process = subprocess.Popen(
                command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=tmp_path
            )
            stack.callback(process.wait)
            stack.callback(process.kill)
            return process

        port, address_file = "0", tmp_path / "scheduler.json"
        start(bin_ / "dask", "scheduler", "--port", port, "--no-dashboard",
              "--host", "127.0.0.1", "--scheduler-file", address_file)  # fmt: skip
        wait_for(address_file.exists)
        worker = (bin_ / "dask", "worker", "--scheduler-file", address_file, "--no-nanny",
                  "--nthreads", "1", "--no-dashboard")  # fmt: skip
        workers = [start(*worker).pid, start(*worker).pid]
        address = json.loads(address_file.read_text())["address"]
        killed = []

        class Killing(DaskWorkers):
            def wait(self, timeout_s):
                busy = [who for who, keys in self._client.processing().items() if keys]
                if not killed and busy and any((folder.path / "running").glob("*.json")):
                    killed.append(self._client.run(os.getpid, workers=busy[:1])[busy[0]])
                    os.kill(killed[0], signal.SIGKILL)
                return super().wait(timeout_s)

        tally = run_sweep(folder, lambda place, points: Killing(connect(address)), Silent())
        assert killed[0] in workers
        assert tally.done == 4, tally
    assert results(folder) == undisturbed["long"]


@pytest.mark.slow
def test_jobs_of_a_queueing_system(folder, undisturbed, tmp_path, monkeypatch):
    """With an sbatch that starts the job script at once on this machine."""
    commands = {
        "sbatch": 'bash "$1" >/dev/null 2>&1 & echo "Submitted batch job $!"',
        "scancel": 'kill "$1"',
    }
    for name, line in commands.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{line}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)

    def make(place, points):
        # On a busy machine a job may need more than Dask's minute to find its scheduler.
        options = {"queue": "short", "interface": "lo", "job_name": "kmc", "death_timeout": 600}
        jobs = queue_cluster("SLURMCluster", 2, options)
        return DaskWorkers(jobs.get_client(), cluster=jobs)

    assert run_sweep(folder, make, Silent()).done == 4
    assert results(folder) == undisturbed["tiny"]


@pytest.mark.slow
def test_a_scheduler_that_dies_is_told(folder):
    from distributed import LocalCluster

    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster:
        workers = DaskWorkers(connect(cluster.scheduler_address))
        assert workers.slots == 1
    with pytest.raises(KmcError, match="scheduler does not answer"):
        run_sweep(folder, lambda place, points: workers, Silent())
    assert not folder.is_locked()


def test_no_scheduler_is_told(monkeypatch):
    monkeypatch.setattr("kmc.campaign.cluster._CONNECT_S", 1)
    with pytest.raises(InputError, match="no Dask scheduler answers at"):
        connect("tcp://127.0.0.1:9")


# --- display --------------------------------------------------------------------------------------


def test_state_of_a_sweep_as_text():
    tally = Tally(40, done=12, failed=1, slots=2)
    assert str(tally) == "12 of 40 done, 1 failed, 0 running"
    assert "waiting for workers" in str(Tally(3))


# --- tools ----------------------------------------------------------------------------------------


def wait_for(condition):
    """The guard is against hanging for ever: no machine is so slow."""
    end = time.monotonic() + 3600
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def is_running(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def children(pid: int) -> list[int]:
    """Processes that a process started."""
    threads = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(word) for file in threads for word in file.read_text().split()]


# --- what cannot be used is set aside, and said ---------------------------------------------------


@pytest.mark.slow
def test_done_points_whose_files_are_damaged_are_run_again(folder, undisturbed):
    assert run_sweep(folder, local(), Silent()).done == 4
    empty, damaged, cut = (folder.trajectory_path(point) for point in folder.plan.points[:3])
    empty.write_bytes(b"")
    data = bytearray(damaged.read_bytes())
    with h5py.File(damaged) as file:
        place = file["record"].id.get_chunk_info(0).byte_offset
    data[place : place + 100] = bytes(100)
    damaged.write_bytes(data)
    cut.write_bytes(cut.read_bytes()[:20_000])
    tally = run_sweep(folder, local(), Silent())
    assert (tally.done, tally.failed) == (4, 0)
    assert len([note for note in tally.notes if "was set aside as" in note]) == 3
    assert results(folder) == undisturbed["tiny"]
    kept = sorted(path.name for path in (folder.path / "points").glob("*.aside-1.h5"))
    assert len(kept) == 3


def test_an_unfinished_file_that_cannot_go_on_is_set_aside(folder):
    point = folder.plan.points[0]
    part = folder.path / "points" / f"{point.name}.part.h5"
    with folder.owned() as owner:
        folder.prepare(point)
        fake.write(part, box=fake.lattice(cells=(6, 6)), n_frames=2, finished=False)
        outcome = run_point(str(folder.path), point.name, owner)
    assert outcome["state"] == "done"
    assert "it has other settings" in outcome["notes"][0]
    aside = part.with_name(f"{point.name}.aside-1.h5")
    assert len(kmc.load(aside).frames) == 2
    assert not part.exists()


def test_an_unfinished_file_that_is_finished_only_gets_its_name(folder, monkeypatch):
    """Killed between the end of the run and the name of its file."""
    point = folder.plan.points[0]
    part = folder.path / "points" / f"{point.name}.part.h5"
    with folder.owned() as owner:
        folder.prepare(point)
        kmc.run(folder.run_file_path(point), output=part, progress=False)
        before = part.read_bytes()
        monkeypatch.setattr("kmc.systems.run.run_to_file", None)
        assert run_point(str(folder.path), point.name, owner)["state"] == "done"
    assert folder.trajectory_path(point).read_bytes() == before


@pytest.mark.slow
def test_notes_reach_the_user(folder, monkeypatch):
    from click.testing import CliRunner

    from kmc.cli.app import main

    point = folder.plan.points[0]
    folder.trajectory_path(point).write_bytes(b"")
    arguments = ["sweep", f"{folder.path}.toml", "-o", str(folder.path), "-q"]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    assert done.stderr.count("Note: ") == 1
    assert f"{point.name}.h5 was set aside" in done.stderr


def interrupt(folder, point, monkeypatch) -> Path:
    """The file of a point whose run was interrupted after its first chunk."""
    from kmc.common.interruption import Interruption
    from kmc.common.progress import Silent as NoProgress
    from kmc.runfile.load import load_run
    from kmc.systems import SYSTEMS
    from kmc.systems.electrode import run as simulation
    from kmc.systems.job import carry_out

    class AfterTheFirstEvent(Interruption):
        requested = property(lambda self: begun.engine.events > 0, lambda self, value: None)

    part = folder.path / "points" / f"{point.name}.part.h5"
    with monkeypatch.context() as patch:
        patch.setattr(simulation, "_FIRST_CHUNK", 500)
        run = load_run(folder.run_file_path(point))
        begun = simulation.ElectrodeJob(run)
        writer = SYSTEMS["electrode"].writer(part, run, begun)
        assert carry_out(begun, writer, NoProgress(), AfterTheFirstEvent()) == "interrupted"
    return part


def test_closed_boxes_go_on_in_a_sweep(tmp_path, monkeypatch):
    """They were begun again in silence, because infinity did not come back from the file."""
    text = TINY.replace('"system.size"', '"conditions.electrode_thickness_um" = inf\n"system.size"')
    folder = folder_of(text, tmp_path / "closed")
    point = folder.plan.points[0]
    with folder.owned() as owner:
        folder.prepare(point)
        interrupt(folder, point, monkeypatch)
        monkeypatch.setattr("kmc.systems.run.run_to_file", None)
        outcome = run_point(str(folder.path), point.name, owner)
    assert outcome["state"] == "done", outcome
    assert outcome["notes"] == []


def test_an_unfinished_file_stays_in_place_when_the_disk_is_full(folder, monkeypatch):
    point = folder.plan.points[0]

    def full(draft, target):
        raise OSError(28, "No space left on device")

    with folder.owned() as owner:
        folder.prepare(point)
        part = interrupt(folder, point, monkeypatch)
        left = part.read_bytes()
        monkeypatch.setattr("kmc.files.saving.put_in_place", full)
        outcome = run_point(str(folder.path), point.name, owner)
    assert outcome["state"] == "failed"
    assert "No space left on device" in outcome["error"]
    assert outcome["notes"] == []
    assert part.read_bytes() == left


def test_finished_populations_are_known(tmp_path):
    from kmc.campaign.point_files import is_finished
    from kmc.systems.population.columns import TABLES

    samples = {column: np.zeros(1) for column in TABLES.samples}
    tables = {
        name: {column: np.zeros(1, int) for column in table}
        for name, table in {"frames": TABLES.frames, **TABLES.lists}.items()
    }
    resolved = {"run": {}, "name": "a", "parameters": {}, "facts": {}}
    path = tmp_path / "a.h5"
    for finished in (False, True):
        head = {"run_file": "", "resolved": resolved, "finished": finished, "stop_reason": ""}
        fake_results.put_population(path, head, samples, tables)
        assert is_finished(path) == finished
    path.write_bytes(path.read_bytes()[:-100])
    assert not is_finished(path)


SMALL = {
    "cathode_se": {"cathode.edge_sites": 24, "cathode.cycles": 2, "cathode.steps": 8},
    "plate_carbon": {"system.size": [16, 16, 8], "stop.capacity_monolayers": 0.5},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_points_of_every_kind_go_on_where_they_were(name, tmp_path, monkeypatch):
    """A sweep that is stopped asks its points to save their state; nothing is set aside."""
    table = "\n".join(f'"{key}" = {value}' for key, value in SMALL[name].items())
    folder = folder_of(f'run = "{name}"\n[set]\n{table}\n', tmp_path / "out")
    (point,) = folder.plan.points
    folder.prepare(point)
    whole = tmp_path / "whole.h5"
    kmc.run(folder.run_file_path(point), output=whole, progress=False)
    monkeypatch.setattr(point_module, "_REPORT_EVERY_S", 0.0)
    update, left = point_module.Heartbeat.update, [3]

    def and_stop_the_sweep(self, fraction, text):
        left[0] -= 1
        if not left[0]:
            folder.disown()
        update(self, fraction, text)

    monkeypatch.setattr(point_module.Heartbeat, "update", and_stop_the_sweep)
    with folder.owned() as owner:
        assert run_point(str(folder.path), point.name, owner)["state"] == "stopped"
    begun = kmc.load(folder.path / "points" / f"{point.name}.part.h5")
    assert begun.checkpoint is not None
    assert len(begun.samples["time_s"]) < len(kmc.load(whole).samples["time_s"])
    with folder.owned() as owner:
        outcome = run_point(str(folder.path), point.name, owner)
    assert (outcome["state"], outcome["notes"]) == ("done", [])
    assert not list((folder.path / "points").glob("*.aside*"))
    assert same_numbers(kmc.load(folder.trajectory_path(point)), kmc.load(whole))


def same_numbers(one, other) -> bool:
    return all(np.array_equal(one.arrays[n], other.arrays[n], equal_nan=True) for n in other.arrays)


@pytest.mark.slow
def test_a_point_killed_before_its_first_checkpoint_begins_again(tmp_path):
    """It has nothing to go on from, and nothing worth setting aside."""
    folder = folder_of('run = "plate_carbon"\n[set]\n"system.size" = [16, 16, 8]\n'
                       '"stop.capacity_monolayers" = 0.2\n', tmp_path / "out")  # fmt: skip
    (point,) = folder.plan.points
    folder.prepare(point)
    part = folder.path / "points" / f"{point.name}.part.h5"
    kmc.run(folder.run_file_path(point), output=part, progress=False)
    from kmc.files import table_file

    there = kmc.load(part)
    record = {
        name: getattr(there, name) for name in ("kmc_version", "seed", "run_file", "resolved")
    }
    record |= {"format": table_file.FORMAT, "system": there.kind, "finished": False,
               "stop_reason": ""}  # fmt: skip
    part.write_bytes(table_file.content(record, there.arrays, there.system.layout))
    assert kmc.load(part).checkpoint is None
    with folder.owned() as owner:
        outcome = run_point(str(folder.path), point.name, owner)
    assert (outcome["state"], outcome["notes"]) == ("done", [])
    assert not list((folder.path / "points").glob("*.aside*"))


def test_the_share_that_is_done_goes_by_work(tmp_path):
    """Three quick points of four are not three quarters of the time."""
    from kmc.campaign.execute import _Loop

    folder = folder_of('run = "strip_li"\n[grid]\n"acceleration.max_hops_per_strip_per_site" = '
                       "[1e3, 1e4, 1e5, 1e8]\n", tmp_path / "out")  # fmt: skip
    shown = []
    display = Silent()
    display.update = lambda share, text, parts=(): shown.append(share)
    tally = Tally(4)
    workers = type("W", (), {"slots": 2})()
    points = list(folder.plan.points)
    loop = _Loop(folder, "me", workers, display, tally, points)
    while len(loop.waiting) > 1:
        loop.waiting.popleft()
        tally.done += 1
    loop._look()
    assert 0 < shown[-1] < 0.01
