"""Runs points on a Dask cluster whose workers share the folder of the sweep."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Mapping
from concurrent.futures import CancelledError
from typing import Any

from kmc.errors import InputError, KmcError
from kmc.sweep.point import FAILED, LOST, run_point

_LOOK_EVERY_S = 2.0  # interval of counting the workers
_CONNECT_S = 10
_DEFAULTS = {"cores": 1, "processes": 1, "memory": "2GB"}


def silence() -> None:
    """Silence the loggers of Dask, which print tracebacks where a connection ends."""
    _library("distributed")  # sets the levels of its loggers when it is imported
    for name in [*logging.root.manager.loggerDict, "asyncio"]:
        if name.partition(".")[0] in ("distributed", "tornado", "asyncio"):
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def connect(address: str) -> Any:
    """A client of the Dask scheduler at `address`.

    Raises
    ------
    InputError
        No scheduler there, or Dask is not installed.
    """
    distributed = _library("distributed")
    try:
        return distributed.Client(address, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, ValueError, TypeError) as problem:
        raise InputError(
            f"no Dask scheduler answers at {address}: {problem}",
            advice="`dask scheduler` prints its address, such as tcp://192.168.0.1:8786.",
        ) from None


def queue_cluster(queue: str, workers: int, options: Mapping[str, Any]) -> Any:
    """A cluster of `workers` jobs of a queueing system.

    Parameters
    ----------
    queue : str
        Class of dask_jobqueue, such as ``SLURMCluster``.
    workers : int
        Jobs to submit.
    options : mapping
        Arguments of the class of dask-jobqueue; one core and 2 GB a job unless given.

    Raises
    ------
    InputError
        dask-jobqueue is not installed or refuses the options.
    """
    library = _library("dask_jobqueue")
    try:
        cluster = getattr(library, queue)(**{**_DEFAULTS, **options})
    except (TypeError, ValueError, OSError, RuntimeError) as problem:
        raise InputError(
            f"a {queue} cannot be made with these options: {problem}",
            advice=f"--cluster-option takes the arguments of dask_jobqueue.{queue}.",
        ) from None
    cluster.scale(jobs=workers)
    return cluster


def _library(name: str) -> Any:
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError:
        raise InputError(
            f"{name} is not installed", advice='pip install "kmc-voids[cluster]"'
        ) from None


class DaskWorkers:
    """The workers of a Dask cluster, one point a thread.

    Dask gives the point of a worker that dies to another worker; a point that kills several is
    returned as failed.

    Parameters
    ----------
    client : distributed.Client
    most : int, optional
        Points at once; as many as the cluster has threads by default.
    cluster : optional
        Closed with the workers.
    """

    def __init__(self, client: Any, most: int | None = None, cluster: Any = None):
        self._client = client
        self._cluster = cluster
        self._most = most
        self._futures: dict[Any, str] = {}
        self._looked = -_LOOK_EVERY_S
        self._threads = 0
        self._submitted = 0

    @property
    def slots(self) -> int:
        """Points that can run at once; changes with the number of workers."""
        now = time.monotonic()
        if now - self._looked >= _LOOK_EVERY_S:
            self._looked = now
            try:
                self._threads = sum(self._client.nthreads().values())
            except (OSError, TimeoutError, RuntimeError) as problem:
                raise _gone(problem) from None
        return min(self._threads, self._most or self._threads)

    def submit(self, job: Mapping[str, str]) -> None:
        """Submit a point to the scheduler."""
        self._submitted += 1
        key = f"kmc-{job['owner']}-{self._submitted}"
        future = self._client.submit(run_point, **job, key=key, pure=False)
        self._futures[future] = job["name"]

    def wait(self, timeout_s: float) -> list[dict[str, Any]]:
        """Results of the points that ended within this time."""
        from distributed import wait

        if not self._futures:
            time.sleep(timeout_s)
            return []
        # The status of a future shows a cancellation, as by the death of the scheduler.
        with contextlib.suppress(TimeoutError, CancelledError), self._client.as_current():
            wait(list(self._futures), timeout=timeout_s, return_when="FIRST_COMPLETED")
        ended = [future for future in self._futures if future.status != "pending"]
        return [self._outcome(future, self._futures.pop(future)) for future in ended]

    def _outcome(self, future: Any, name: str) -> dict[str, Any]:
        if future.status == "finished":
            return future.result()
        if future.status == "cancelled" or future.status == "lost":
            if self._client.status != "running":
                raise _gone("the connection was closed")
            state, error = LOST, "the cluster lost it"
        else:
            problem = future.exception()
            state, error = FAILED, f"{type(problem).__name__}: {problem}"
        return {"name": name, "state": state, "error": error, "details": "", "wall_s": 0.0}

    def close(self) -> None:
        """Cancel waiting points; running ones stop by the file ``owner`` of the folder."""
        with contextlib.suppress(Exception):  # the scheduler may be gone already
            self._client.cancel(list(self._futures), force=True)
        for part in (self._client, self._cluster):
            if part is not None:
                with contextlib.suppress(Exception):
                    part.close()


def _gone(problem: object) -> KmcError:
    return KmcError(
        f"the Dask scheduler does not answer any more: {problem}",
        advice="Points that are done are safe; start the cluster again, then the same command.",
    )
