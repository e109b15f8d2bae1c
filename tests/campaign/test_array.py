"""Job arrays, and jobs of a queue that are lost, without a queueing system."""

from __future__ import annotations

import shlex
import subprocess
import sys
import types

import fake
import pytest
from cli_calls import call

from kmc.campaign import array
from kmc.campaign import cluster as module
from kmc.campaign.cluster import AGAIN, DaskWorkers, job_defaults, submit_missing
from kmc.campaign.folder import make_folder, open_folder
from kmc.campaign.plan import read_plan
from kmc.errors import InputError, KmcError

STUDY = """
run = "strip_li"
[grid]
"parameters.second_shell_ratio" = [0.3, 0.4, 0.5, 0.6, 0.7]
[set]
"system.size" = [8, 8, 8]
"stop.capacity_monolayers" = 2
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study.toml").write_text(STUDY)
    return make_folder(tmp_path / "study", read_plan(tmp_path / "study.toml"))


def test_the_script_says_what_it_asks_for(folder):
    options = {"memory": "4GB", "queue": "short", "account": "me"}
    path = array.write_script(folder, 3, options)
    lines = path.read_text().splitlines()
    for line in (
        *("#SBATCH --array=0-2", "#SBATCH --mem=4G", "#SBATCH --partition=short"),
        *("#SBATCH --account=me", "#SBATCH --time=24:00:00", "#SBATCH --cpus-per-task=1"),
        f"#SBATCH --output={folder.path.resolve()}/logs/array-%A-%a.log",
    ):
        assert line in lines
    assert (folder.path / "logs").is_dir()
    assert subprocess.run(["bash", "-n", str(path)]).returncode == 0
    assert all(folder.run_file_path(point).exists() for point in folder.plan.points)


@pytest.mark.parametrize("name", ["array", "output", "job-name", "a b", "x\ny"])
def test_options_of_its_own_are_refused(folder, name):
    with pytest.raises(InputError, match="cannot be used with --job-array"):
        array.write_script(folder, 1, {name: "1"})
    assert not (folder.path / array.SCRIPT).exists()


NAMES = ["a b", "it's 100%", "$(touch pwned)", "`touch pwned`", "a;touch pwned", "a#b", "x&y"]


@pytest.mark.parametrize("name", NAMES)
def test_names_reach_python_and_no_shell(tmp_path, monkeypatch, name):
    """The script runs with a stand-in for Python that notes its arguments."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / f"{name}.toml").write_text(STUDY)
    place = tmp_path / f"{name} out"
    folder = make_folder(place, read_plan(tmp_path / f"{name}.toml"))
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\nfor one in "$@"; do printf "%s\\0" "$one"; done > noted\n')
    python.chmod(0o700)
    monkeypatch.setattr(array.sys, "executable", str(python))
    script = array.write_script(folder, 2, {"comment": "of # mine"})
    subprocess.run(["bash", str(script)], check=True, env={"SLURM_ARRAY_TASK_ID": "1"})
    *_, where, _, task, tasks, _ = (tmp_path / "noted").read_text().split("\0")
    assert (where, task, tasks) == (str(place.resolve()), "1", "2")
    assert not (tmp_path / "pwned").exists()
    asked = [line for line in script.read_text().splitlines() if line.startswith("#SBATCH")]
    # sbatch takes quotation marks like a shell; a percent sign begins a replacement.
    words = [shlex.split(line.removeprefix("#SBATCH")) for line in asked]
    assert {len(line) for line in words} == {1}
    logs = f"{place.resolve()}/logs/".replace("%", "%%")
    assert [f"--output={logs}array-%A-%a.log"] in words
    assert ["--comment=of # mine"] in words


@pytest.mark.parametrize("name", ["a\nb", 'a"b', "a\\b", "a\rb"])
def test_names_that_sbatch_cannot_be_given_are_refused(tmp_path, name):
    (tmp_path / f"{name}.toml").write_text(STUDY)
    plan = read_plan(tmp_path / f"{name}.toml")
    folder = make_folder(tmp_path / name, plan)
    with pytest.raises(InputError, match="which a job array cannot have") as told:
        array.write_script(folder, 1, {})
    assert "-o" in told.value.advice
    assert not (folder.path / array.SCRIPT).exists()
    script = array.write_script(make_folder(tmp_path / "out", plan), 1, {}).read_text()
    assert [line for line in script.splitlines() if "touch" in line] == []
    assert "#SBATCH --job-name=kmc-a_b" in script
    with pytest.raises(InputError, match="which a job array cannot have"):
        array.write_script(make_folder(tmp_path / "out", plan), 1, {"comment": name})


def test_dask_jobqueue_is_given_plain_paths_alone(tmp_path):
    """It writes them into a script as they are."""
    for name in ("a b", "$(touch pwned)", "a\nb"):
        with pytest.raises(InputError, match="cannot have"):
            module.queue_cluster("SLURMCluster", 1, {}, shared=tmp_path / name)


def test_tasks_share_the_points_and_log_them(folder, monkeypatch):
    owner = "somebody"
    seen = []

    def run_point(place, name, by):
        assert (place, by) == (str(folder.path), owner)
        seen.append(name)
        if "0.5" in name:
            bad = {"state": "failed", "error": "it broke", "details": "", "wall_s": 1.0}
            return {"name": name, "numbers": None, **bad}
        fake.write(folder.path / "points" / f"{name}.h5", n_frames=2)
        good = {"state": "done", "error": "", "details": "", "wall_s": 1.0}
        return {"name": name, "numbers": None, **good}

    monkeypatch.setattr(array, "run_point", run_point)
    failed = [array.run_task(folder.path, owner, task, 2) for task in (0, 1)]
    names = [point.name for point in folder.plan.points]
    assert seen == names[::2] + names[1::2]
    assert failed == [1, 0]
    opened = open_folder(folder.path)
    assert opened.done() == {name for name in names if "0.5" not in name}
    assert [row.error for row in opened.status() if row.state == "failed"] == ["it broke"]
    seen.clear()
    array.run_task(folder.path, owner, 0, 1)  # again: what is missing
    assert seen == [name for name in names if "0.5" in name]


@pytest.mark.slow
def test_tasks_of_an_older_script_stop(folder):
    """By the identity in the file `owner`, as the workers of a sweep that was killed."""
    path = array.write_script(folder, 1, {})
    old = path.read_text().split()[-4]
    assert (folder.path / "owner").read_text() in path.read_text()
    array.write_script(folder, 1, {})
    assert (folder.path / "owner").read_text() != old
    command = [sys.executable, "-m", "kmc.campaign.array", str(folder.path), "old", "0", "1"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert done.stdout.count(": stopped") == 5


def test_the_command_writes_it_and_the_dry_run_says_what_it_asks_for(folder):
    told = call("sweep", "study.toml", "--job-array", "--cluster-option", "memory=4GB", "--dry-run")
    assert told.exit_code == 0, told.output
    assert "walltime 24:00:00 (default), memory 4GB, cores 1 (default)" in told.stdout
    assert not (folder.path / array.SCRIPT).exists()
    told = call("sweep", "study.toml", "--job-array", "--workers", 2)
    assert "2 tasks for 5 points" in told.stdout.replace("\u00a0", " ")
    assert "sbatch study/job_array.sh" in told.stdout
    assert call("sweep", "study.toml", "--job-array", "--dask", "x").exit_code == 2


# --- jobs of dask-jobqueue ------------------------------------------------------------------------


class Cluster:
    """A cluster whose jobs can be lost, and whose queue may refuse them."""

    def __init__(self, refusal=""):
        self.workers, self.refusal, self.submitted = {}, refusal, 0
        self.scheduler_info = {"workers": {}}

    def scale(self, jobs):
        self.wanted = jobs

    async def _correct_state(self):
        if self.refusal:
            raise RuntimeError(f"Command exited with 1\nstdout:\n\nstderr:\n{self.refusal}\n")
        while len(self.workers) < self.wanted:
            self.submitted += 1
            self.workers[self.submitted] = types.SimpleNamespace(job_id=str(self.submitted))

    def sync(self, function):
        import asyncio

        asyncio.run(function())

    def close(self):
        pass


def test_a_refusal_ends_with_its_message():
    with pytest.raises(KmcError) as told:
        submit_missing(Cluster("sbatch: error: invalid partition"), 2)
    assert told.value.message.endswith("refuses the job: sbatch: error: invalid partition")
    assert "--cluster-option" in told.value.advice


def test_lost_jobs_are_submitted_again_so_often_and_no_more(monkeypatch):
    monkeypatch.setattr(module, "_LOOK_EVERY_S", 0.0)
    cluster = Cluster()
    submit_missing(cluster, 2)
    threads = {"one": 1}
    client = types.SimpleNamespace(nthreads=lambda: threads, get_executor=lambda pure: None)
    workers = DaskWorkers(client, cluster=cluster, jobs=2)
    for _ in range(2 * AGAIN):
        cluster.workers.popitem()
        assert workers.slots == 1
        assert len(cluster.workers) == 2
    assert cluster.submitted == 2 + 2 * AGAIN
    cluster.workers.popitem()
    assert workers.slots == 1  # another job still works
    threads.clear()
    with pytest.raises(KmcError, match=f"all jobs ended.*{2 * AGAIN} were submitted again"):
        workers.slots  # noqa: B018
    assert cluster.submitted == 2 + 2 * AGAIN


def test_what_a_job_asks_for(monkeypatch):
    pytest.importorskip("dask_jobqueue")
    asked = job_defaults("slurm", {"memory": "4GB"})
    assert asked["memory"] == "4GB"
    assert asked["cores"] == "1 (default)"
    assert asked["walltime"].endswith("(default of dask-jobqueue)")
