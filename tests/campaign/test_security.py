"""Sweeps on a cluster: nobody without the key takes part, and no port is open to the network."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner

from kmc.campaign import cluster as module
from kmc.campaign.cluster import connect, queue_cluster, security_of
from kmc.cli.app import main
from kmc.errors import InputError

distributed = pytest.importorskip("distributed")
pytest.importorskip("cryptography")
pytest.importorskip("dask_jobqueue")


@pytest.fixture
def jobs(tmp_path, monkeypatch):
    """A cluster of a queueing system whose jobs never start: its scheduler is what matters."""
    for name in ("sbatch", "scancel"):
        (tmp_path / name).write_text("#!/bin/sh\necho Submitted batch job 1\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    made = []

    def make(**more):
        shared = tmp_path / "shared"
        shared.mkdir(exist_ok=True)
        made.append(queue_cluster("SLURMCluster", 1, {"interface": "lo"}, shared=shared, **more))
        return made[-1]

    yield make
    for one in made:
        one.close()


def ask(address: str, security=None) -> dict:
    """What a stranger would do first: connect, and ask the scheduler who it is.

    Without `distributed.Client`: one that could not connect is collected at any later moment, and
    waits for ever if that happens while the next one starts.
    """

    async def identity() -> dict:
        options = security.get_connection_args("client") if security else {}
        async with distributed.rpc(address, timeout=5, connection_args=options) as scheduler:
            return await scheduler.identity()

    return asyncio.run(identity())


def test_a_stranger_is_turned_away_and_the_owner_is_not(jobs):
    cluster = jobs()
    address = cluster.scheduler_address
    assert address.startswith("tls://")
    with cluster.get_client() as client:
        assert client.run_on_scheduler(lambda: 3) == 3
    plain = address.replace("tls://", "tcp://")
    assert ask(address, cluster.security)["type"] == "Scheduler"
    with pytest.raises((OSError, ValueError, TypeError, RuntimeError)):
        ask(plain)
    with pytest.raises((OSError, ValueError, TypeError, RuntimeError)):
        ask(address)  # encrypted, without a certificate
    with pytest.raises((OSError, ValueError, TypeError, RuntimeError)):
        ask(address, distributed.Security.temporary())  # with one of its own
    with cluster.get_client() as client:
        assert client.run_on_scheduler(lambda: 3) == 3


def test_a_stranger_s_worker_is_turned_away(jobs):
    cluster = jobs()

    async def offer():
        worker = distributed.Worker(cluster.scheduler_address, death_timeout=3, dashboard=False)
        await asyncio.wait_for(worker.start(), timeout=20)

    with pytest.raises((OSError, ValueError, TypeError, RuntimeError, asyncio.TimeoutError)):
        asyncio.run(offer())
    assert cluster.scheduler_info["workers"] == {}


def test_no_dashboard_and_no_other_port_is_open_to_the_network(jobs):
    cluster = jobs()
    scheduler = cluster.scheduler
    assert not any("status" in str(route) for route in scheduler.http_application.applications)
    addresses = {sock.getsockname()[0] for sock in scheduler.http_server._sockets.values()}
    assert addresses == {"127.0.0.1"}
    script = cluster.job_script()
    assert "--no-dashboard" in script
    assert "--dashboard-address 127.0.0.1:0" in script
    assert "--tls-key" in script


def test_the_key_of_the_jobs_is_readable_for_the_user_alone(jobs, tmp_path):
    cluster = jobs()
    files = list((tmp_path / "shared").iterdir())
    assert files
    for path in files:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not any("PRIVATE KEY" in line for line in cluster.job_script().splitlines())


def test_without_the_library_that_makes_certificates_it_is_refused(monkeypatch):
    def missing(name):
        raise InputError(
            f"{name} is not installed", advice='pip install ".[cluster]" in a clone of kmc'
        )

    library = module._library
    monkeypatch.setattr(
        module, "_library", lambda name: missing(name) if name == "cryptography" else library(name)
    )
    with pytest.raises(InputError, match="cryptography is not installed"):
        queue_cluster("SLURMCluster", 1, {})


def test_only_a_user_who_says_so_goes_without(jobs):
    cluster = jobs(trusted_network=True)
    assert cluster.scheduler_address.startswith("tcp://")


@pytest.mark.parametrize(
    "address", ["tcp://10.0.0.1:8786", "tls://10.0.0.1:8786", "node1:8786", "tcp://[::]:8786", "x"]
)
def test_another_machine_without_a_certificate_is_refused(address):
    with pytest.raises(InputError, match=r"(?s)can run code as you.*--dask-tls"):
        connect(address)


@pytest.mark.slow
def test_this_machine_is_not(monkeypatch):
    monkeypatch.setattr(module, "_CONNECT_S", 1)
    for address in ("tcp://127.0.0.1:9", "localhost:9", "tcp://[::1]:9"):
        with pytest.raises(InputError, match="no Dask scheduler answers"):
            connect(address)


def test_a_folder_of_certificates_is_made_and_used(tmp_path, monkeypatch):
    folder = tmp_path / "keys"
    security = security_of(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "key.pem").stat().st_mode) == 0o600
    key = (folder / "key.pem").read_bytes()

    async def serve():
        async with distributed.Scheduler(
            host="127.0.0.1", port=0, security=security, dashboard=False,
            dashboard_address="127.0.0.1:0", protocol="tls",
        ) as scheduler:  # fmt: skip
            loop = asyncio.get_running_loop()
            client = await loop.run_in_executor(
                None, lambda: connect(scheduler.address, tls=folder)
            )
            assert await loop.run_in_executor(None, lambda: client.ncores()) == {}
            await loop.run_in_executor(None, client.close)
            monkeypatch.setattr(module, "_CONNECT_S", 3)
            stranger = loop.run_in_executor(
                None, lambda: connect(scheduler.address, tls=tmp_path / "other")
            )
            with pytest.raises(InputError, match="no Dask scheduler answers"):
                await stranger

    asyncio.run(serve())
    assert (folder / "key.pem").read_bytes() == key
    (folder / "key.pem").unlink()
    with pytest.raises(InputError, match=r"holds no key\.pem"):
        security_of(folder)


def test_how_to_start_a_cluster_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_CONNECT_S", 1)
    with pytest.raises(InputError) as caught:
        connect("tls://127.0.0.1:9", tls=tmp_path / "keys")
    assert "dask scheduler --protocol tls --tls-ca-file" in caught.value.advice
    assert "--no-dashboard" in caught.value.advice


def test_options_that_contradict_each_other(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("s.toml").write_text('run = "strip_li"\n[grid]\n"conditions.temperature_K" = [300]\n')
    for options in (["--dask-tls", "k"], ["--dask", "tcp://127.0.0.1:9", "--dask-tls", "k",
                                          "--trusted-network"]):  # fmt: skip
        done = CliRunner().invoke(main, ["sweep", "s.toml", *options])
        assert done.exit_code == 2, done.output
        assert "--dask-tls" in done.stderr


@pytest.mark.slow
def test_workers_of_this_machine_open_no_port(tmp_path):
    """They talk through pipes: the only sockets that listen are those of before."""
    from kmc.campaign.local import LocalWorkers

    def listening() -> set[str]:
        lines = [
            line.split()
            for name in ("tcp", "tcp6", "udp", "udp6")
            if Path(f"/proc/self/net/{name}").exists()
            for line in Path(f"/proc/self/net/{name}").read_text().splitlines()[1:]
        ]
        return {line[9] for line in lines if line[3] in ("0A", "07")}

    def of(process: int) -> set[str]:
        found = set()
        for link in Path(f"/proc/{process}/fd").iterdir():
            target = str(link.readlink())
            if target.startswith("socket:["):
                found.add(target[8:-1])
        return found

    if not Path("/proc/self/net/tcp").exists():
        pytest.skip("no /proc/self/net/tcp here, which lists the sockets that listen")
    workers = LocalWorkers(1, tmp_path / "log")
    try:
        workers._executor.submit(int).result()  # its one thread is free once the process is ready
        (process,) = workers._processes
        assert not of(process.pid) & listening()
    finally:
        workers.close()
