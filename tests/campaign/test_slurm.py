"""Jobs on a real Slurm of one node, started here where its programs are installed.

`apt-get install slurm-wlm munge`; needs root, and no Slurm or munge that runs already.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time

import pytest
from cli_calls import call

from kmc.campaign.cluster import queue_cluster
from kmc.campaign.folder import open_folder

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        os.name != "posix"
        or os.geteuid() != 0
        or not all(map(shutil.which, ("slurmctld", "slurmd", "sbatch", "munged"))),
        reason="needs slurm-wlm, munge and root",
    ),
]

CONF = """
ClusterName=kmc
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={place}/munge.socket
StateSaveLocation={place}/state
SlurmdSpoolDir={place}/spool
SlurmctldPidFile={place}/slurmctld.pid
SlurmdPidFile={place}/slurmd.pid
SlurmctldLogFile={place}/slurmctld.log
SlurmdLogFile={place}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
MpiDefault=none
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=4000 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""

STUDY = """
run = "strip_li"
[grid]
"conditions.temperature_K" = [290, 300, 310, 320]
[set]
"system.size" = [8, 8, 8]
"stop.capacity_monolayers" = 0.2
"acceleration.max_hops_per_strip_per_site" = 1e2
"""


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    """A Slurm of one node with its own munge, ports and folders; ended by its processes alone."""
    place = tmp_path_factory.mktemp("slurm")
    place.chmod(0o755)
    for name in ("state", "spool"):
        (place / name).mkdir()
    key = place / "munge.key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    host = socket.gethostname().partition(".")[0]
    with socket.socket() as first, socket.socket() as second:
        for one in (first, second):
            one.bind(("127.0.0.1", 0))
        ports = [one.getsockname()[1] for one in (first, second)]
    conf = place / "slurm.conf"
    conf.write_text(CONF.format(host=host, ports=ports, place=place, cpus=os.cpu_count()))
    environment = os.environ | {"SLURM_CONF": str(conf)}
    munge = [
        *("munged", "--foreground", "--force", f"--key-file={key}"),
        *(f"--socket={place}/munge.socket", f"--pid-file={place}/munge.pid"),
        *(f"--log-file={place}/munge.log", f"--seed-file={place}/munge.seed"),
    ]
    processes = []
    try:
        for command in (munge, ["slurmctld", "-D"], ["slurmd", "-D"]):
            with open(place / f"{command[0]}.out", "w") as out:
                processes.append(subprocess.Popen(command, env=environment, stdout=out, stderr=out))
            time.sleep(1)
        end = time.monotonic() + 600
        while time.monotonic() < end:
            found = subprocess.run(
                ["sinfo", "--noheader", "--format=%t"],
                env=environment,
                capture_output=True,
                text=True,
            )
            if found.stdout.strip() == "idle":
                break
            time.sleep(1)
        else:
            told = "\n".join(path.read_text() for path in place.glob("*.out"))
            pytest.skip(f"Slurm does not start here: {found.stdout}{found.stderr}\n{told}")
        yield environment
    finally:
        # A slurmd waits for its jobs, and goes on after SIGTERM as long as they do.
        subprocess.run(["scancel", "--user=root"], env=environment, capture_output=True)
        time.sleep(5)
        for process in reversed(processes):
            process.terminate()
        for process in processes:
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture
def here(slurm, tmp_path, monkeypatch):
    """A folder with a sweep file, with the commands of that Slurm."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SLURM_CONF", slurm["SLURM_CONF"])
    (tmp_path / "study.toml").write_text(STUDY)
    return tmp_path


@pytest.mark.parametrize(
    ("option", "part"),
    [("queue=nowhere", "invalid partition specified: nowhere"), ("memory=900GB", "Memory")],
)
def test_a_refused_job_ends_with_the_message_of_slurm(here, option, part):
    result = call(
        *("sweep", "study.toml", "--dask-jobqueue", "slurm", "--workers", 1),
        *("--cluster-option", "interface=lo", "--cluster-option", option),
    )
    assert result.exit_code == 2, result.output
    assert "the queueing system refuses the job" in result.stderr
    assert part.lower() in result.stderr.lower()


def test_an_array_runs_every_point_and_logs_into_the_folder(here):
    result = call(
        *("sweep", "study.toml", "--job-array", "--workers", 2),
        *("--cluster-option", "memory=1500MB", "--cluster-option", "walltime=00:30:00"),
    )
    assert result.exit_code == 0, result.output
    assert "2 tasks for 4 points" in result.stdout.replace("\u00a0", " ")
    done = subprocess.run(
        ["sbatch", "--wait", "study/job_array.sh"], capture_output=True, text=True, timeout=1500
    )
    logs = "\n".join(path.read_text() for path in (here / "study" / "logs").glob("*.log"))
    assert done.returncode == 0, done.stderr + logs
    assert len(open_folder("study").done(look_inside=True)) == 4
    assert logs.count(": done") == 4
    assert len(open_folder("study").log()) == 4
    assert call("sweep", "study.toml", "--job-array").stdout == "Nothing to run.\n"


def test_a_lost_job_is_submitted_again(here):
    from kmc.campaign.cluster import DaskWorkers

    jobs = queue_cluster("SLURMCluster", 1, {"interface": "lo", "memory": "1500MB"}, logs=here)
    workers = DaskWorkers(jobs.get_client(), cluster=jobs, jobs=1)
    try:
        _until(lambda: workers.slots == 1)
        (first,) = [worker.job_id for worker in jobs.workers.values()]
        subprocess.run(["scancel", first], check=True)
        _until(lambda: [w.job_id for w in jobs.workers.values()] not in ([first], []), workers)
        _until(lambda: workers.slots == 1)
        assert list(here.glob("*.out"))
    finally:
        workers.close()


def _until(met, workers=None, seconds=1800):
    end = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < end, "it did not happen"
        if workers is not None:
            workers.slots  # noqa: B018 - looks at the cluster
        time.sleep(0.5)
