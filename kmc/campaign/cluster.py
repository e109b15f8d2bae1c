"""Runs points on a Dask cluster whose workers share the folder of the sweep."""

import contextlib
import ipaddress
import logging
import os
import re
import subprocess
import time
from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from kmc.campaign.local import Workers
from kmc.errors import InputError, KmcError, optional_library

_LOOK_EVERY_S = 2.0  # interval of counting the workers
_CONNECT_S = 10
_LOST_AFTER_S = 2  # a job whose worker has gone this long is lost
AGAIN = 3  # times that a lost job is submitted again, on average over the jobs
_DEFAULTS = {"cores": 1, "processes": 1, "memory": "2GB"}
# Workers insist on an address: any free port that only this machine reaches.
_LOOPBACK = "127.0.0.1:0"
_NO_DASHBOARD = {"dashboard": False, "dashboard_address": _LOOPBACK}
_CERTIFICATE, _KEY = "certificate.pem", "key.pem"


def silence() -> None:
    """Silence the loggers of Dask, which print tracebacks where a connection ends."""
    _library("distributed")  # sets the levels of its loggers when it is imported
    for name in [*logging.root.manager.loggerDict, "asyncio"]:
        if name.partition(".")[0] in ("distributed", "tornado", "asyncio"):
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def connect(address: str, *, tls: Path | None = None, trusted_network: bool = False) -> Any:
    """A client of the Dask scheduler at `address`; `InputError` where strangers could be one, too.

    `tls` is the folder of the certificate and key that scheduler, workers and client share
    (`security_of`). With `trusted_network` the user vouches for everybody who can reach it.
    """
    distributed = _library("distributed")
    host = urlsplit(address if "://" in address else f"tcp://{address}").hostname or ""
    local = host == "localhost" or address.startswith("inproc://")
    with contextlib.suppress(ValueError):  # a name, which may be that of any machine
        local = ipaddress.ip_address(host).is_loopback
    if not (tls or trusted_network or local):
        raise InputError(
            f"{address} is another machine, and whoever reaches its port can run code as you",
            advice="Give the folder of a certificate: --dask-tls FOLDER (kmc makes it), or "
            "--trusted-network where nobody else can reach the network. See docs/security.md.",
        )
    start = "`dask scheduler --host 127.0.0.1 --no-dashboard` prints its address, such as "
    start += "tcp://127.0.0.1:8786."
    if tls:
        files = f"--tls-ca-file {tls / _CERTIFICATE} --tls-cert {tls / _CERTIFICATE} "
        files += f"--tls-key {tls / _KEY} --no-dashboard"
        start = (
            "Start the scheduler and, on every node, workers with the same certificate:\n"
            f"  dask scheduler --protocol tls {files}\n"
            f"  dask worker tls://HOST:8786 --nthreads 1 {files}"
        )
    security = security_of(tls) if tls else None
    try:
        return distributed.Client(
            address, timeout=_CONNECT_S, set_as_default=False, security=security
        )
    except (OSError, ValueError, TypeError, RuntimeError) as problem:
        message = f"no Dask scheduler answers at {address}: {problem}"
        raise InputError(message, advice=start) from None


def security_of(folder: Path) -> Any:
    """Mutual TLS by the files of a folder; they are made if it is not there.

    Whoever has the key takes part: scheduler, workers and client prove to each other that they do,
    and nobody else is answered.
    """
    folder = Path(folder)
    certificate, key = folder / _CERTIFICATE, folder / _KEY
    if not folder.exists():
        made = temporary_security()
        try:
            folder.mkdir(mode=0o700)
            for path, text in ((certificate, made.tls_ca_file), (key, made.tls_client_key)):
                with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                    file.write(text)
        except OSError as problem:
            raise InputError(
                f"certificates cannot be written to {folder}: {problem.strerror}",
                advice="Give another folder with --dask-tls.",
            ) from None
    for path in (certificate, key):
        if not path.is_file():
            raise InputError(
                f"{folder} holds no {path.name}",
                advice="Give a folder that is not there yet: kmc makes it, with certificate and "
                "key in it.",
            )
    return _library("distributed").Security(
        require_encryption=True,
        tls_ca_file=str(certificate),
        **{f"tls_{role}_cert": str(certificate) for role in ("client", "scheduler", "worker")},
        **{f"tls_{role}_key": str(key) for role in ("client", "scheduler", "worker")},
    )


def temporary_security() -> Any:
    """Mutual TLS by a certificate and a key that exist as long as this process."""
    _library("cryptography")
    return _library("distributed").Security.temporary()


def queue_cluster(
    queue: str,
    workers: int,
    options: Mapping[str, Any],
    *,
    shared: Path | None = None,
    logs: Path | None = None,
    trusted_network: bool = False,
) -> Any:
    """A cluster of `workers` jobs of a queueing system, under mutual TLS.

    `queue` is a class of dask_jobqueue, such as ``SLURMCluster``, and `options` are its arguments.
    The certificate is made here for the time of the cluster: the jobs read it from `shared`, a
    folder that they share with this machine, where only the user can. With `trusted_network` there
    is none. No dashboard is open to other machines. What the jobs print goes to `logs`.
    """
    for folder in (Path(shared or "."), Path(logs or ".")):
        # dask-jobqueue writes the paths into a script as they are.
        if not re.fullmatch(r"[\w@+=:,./-]+", str(folder.resolve())):
            raise InputError(
                f"{folder.resolve()} has a space or another character that a job script of "
                "dask-jobqueue cannot have",
                advice="Give a folder with -o whose path has letters, digits and @ + = : , . / _ - "
                "alone, or use --job-array, which allows more.",
            )
    library = _library("dask_jobqueue")
    _library("dask").config.set({"distributed.deploy.lost-worker-timeout": f"{_LOST_AFTER_S}s"})
    secured: dict[str, Any] = {
        "scheduler_options": _NO_DASHBOARD,
        "worker_extra_args": ["--no-dashboard", "--dashboard-address", _LOOPBACK],
    }
    if logs is not None:
        secured["log_directory"] = str(Path(logs).resolve())
    if not trusted_network:
        # Whoever reaches the port of a scheduler could run code as its user.
        secured["security"] = temporary_security()
        secured["shared_temp_directory"] = str(Path(shared or ".").resolve())
    try:
        cluster = getattr(library, queue)(**{**_DEFAULTS, **secured, **options})
    except (TypeError, ValueError, OSError, RuntimeError) as problem:
        raise InputError(
            f"a {queue} cannot be made with these options: {problem}",
            advice=f"--cluster-option takes the arguments of dask_jobqueue.{queue}.",
        ) from None
    try:
        submit_missing(cluster, workers)
    except KmcError as problem:
        cluster._created.clear()  # close asserts that each job was submitted
        cluster.close()
        raise InputError(problem.message, advice=problem.advice) from None
    return cluster


def submit_missing(cluster: Any, jobs: int) -> None:
    """Submit the jobs that the cluster lacks; `KmcError` where the queueing system refuses one."""

    async def submit() -> None:
        cluster.scale(jobs=jobs)
        # Scale does this in the background, where a refusal reaches nobody.
        await cluster._correct_state()

    try:
        cluster.sync(submit)
    except (RuntimeError, OSError) as problem:
        # What the command that submits a job printed, from the message of dask-jobqueue.
        _, colon, printed = str(problem).partition("stderr:")
        reason = " ".join((printed if colon else str(problem)).split()) or "it gives no reason"
        raise KmcError(
            f"the queueing system refuses the job: {reason}",
            advice="Change --cluster-option, such as queue=short, memory=2GB or "
            "walltime=12:00:00; --dry-run shows what is asked for.",
        ) from None


def job_defaults(queue: str, options: Mapping[str, Any]) -> dict[str, str]:
    """Cores, memory and wall time of a job of ``slurm``, say, and who states them."""
    texts = {}
    for name in ("cores", "memory", "walltime"):
        if name in options:
            texts[name] = str(options[name])
        elif name in _DEFAULTS:
            texts[name] = f"{_DEFAULTS[name]} (default)"
        else:
            _library("dask_jobqueue")
            value = _library("dask").config.get(f"jobqueue.{queue}.{name}", None)
            texts[name] = f"{value or 'not stated'} (default of dask-jobqueue)"
    return texts


def _library(name: str) -> Any:
    from importlib import import_module

    with optional_library(name, "cluster"):
        return import_module(name)


class DaskWorkers(Workers):
    """The workers of a Dask cluster, one point a thread.

    Dask gives the point of a worker that dies to another worker; a point that kills several is
    returned as failed.

    `most` points run at once, or as many as the cluster has threads. The `cluster` of `jobs` jobs
    is closed with the workers; jobs that end before the sweep does, as by their wall time, are
    submitted again, `AGAIN` times each on average.
    """

    def __init__(self, client: Any, most: int | None = None, cluster: Any = None, jobs: int = 0):
        # Another submission of the same point is another task: not `pure`.
        super().__init__(client.get_executor(pure=False))
        self._client = client
        self._cluster = cluster
        self._jobs = jobs
        self._again = 0
        self._most = most
        self._looked = -_LOOK_EVERY_S
        self._threads = 0

    @property
    def slots(self) -> int:  # type: ignore[override]  # of this cluster, at this moment
        """Points that can run at once; changes with the number of workers."""
        now = time.monotonic()
        if now - self._looked >= _LOOK_EVERY_S:
            self._looked = now
            try:
                self._threads = sum(self._client.nthreads().values())
            except (OSError, TimeoutError, RuntimeError) as problem:
                raise _gone(problem) from None
            if self._cluster is not None:
                self._submit_lost_jobs()
        return min(self._threads, self._most or self._threads)

    def _submit_lost_jobs(self) -> None:
        workers = self._cluster.workers
        connected = {worker["name"] for worker in self._cluster.scheduler_info["workers"].values()}
        waiting = {n: w for n, w in workers.items() if n not in connected and w.job_id}
        # Dask does not notice jobs of Slurm that ended before their worker connected.
        if waiting and type(self._cluster).__name__ == "SLURMCluster":
            with contextlib.suppress(OSError, subprocess.SubprocessError):
                command = ["squeue", "--noheader", "--format=%A"]
                done = subprocess.run(
                    command, capture_output=True, text=True, timeout=20, check=True
                )
                for name in waiting:
                    if str(workers[name].job_id) not in done.stdout.split():
                        del workers[name]
        lost = self._jobs - len(workers)
        if lost <= 0:
            return
        if self._again + lost <= AGAIN * self._jobs:
            self._again += lost
            submit_missing(self._cluster, self._jobs)
        elif not self._threads:
            raise KmcError(
                f"all jobs ended before the sweep was done; {self._again} were submitted again",
                advice="What they printed is in the folder logs of the sweep. Is kmc installed on "
                "the nodes, and are memory and walltime large enough?",
            )

    def _outcome(self, future: Future, name: str) -> dict[str, Any]:
        if future.cancelled() and self._client.status != "running":
            raise _gone("the connection was closed")
        return super()._outcome(future, name)

    def close(self) -> None:
        """Cancel waiting points; running ones stop by the file ``owner`` of the folder."""
        with contextlib.suppress(Exception):  # the scheduler may be gone already
            self._executor.shutdown(wait=False)
        for part in (self._client, self._cluster):
            if part is not None:
                with contextlib.suppress(Exception):
                    part.close()


def _gone(problem: object) -> KmcError:
    return KmcError(
        f"the Dask scheduler does not answer any more: {problem}",
        advice="Points that are done are safe; start the cluster again, then the same command.",
    )
