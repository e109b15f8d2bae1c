"""Runs points in local processes."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kmc.campaign.run_point import LOST
from kmc.errors import KmcError

_ONE_THREAD = dict.fromkeys(
    ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"
)
# Workers import the package from the same place, also where it is not installed; it comes last on
# the path, so that files beside the package shadow no library.
_ROOT = str(Path(__file__).resolve().parents[2])
_START = f"import sys; sys.path.append({_ROOT!r}); from kmc.campaign.worker import main; main()"
_STARTS = 3  # attempts to start each worker


def cores() -> int:
    """Cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Worker:
    def __init__(self, log: Path):
        with open(log, "a", encoding="utf-8") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-c", _START],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                encoding="utf-8",
                env={**os.environ, **_ONE_THREAD},
                start_new_session=True,  # Ctrl-C reaches the sweep alone, which stops its workers
            )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._input, self.output = self.process.stdin, self.process.stdout
        self.job: str | None = None
        self.ready = False

    def send(self, job: Mapping[str, Any]) -> None:
        self.job = job["name"]
        # `wait` detects a worker that has died.
        with contextlib.suppress(BrokenPipeError):
            self._input.write(json.dumps(job) + "\n")
            self._input.flush()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self._input, self.output):
            with contextlib.suppress(OSError):
                pipe.close()


class LocalWorkers:
    """Local processes, each running one point at a time on one thread.

    A worker that dies is replaced, and its point is returned as "lost". A worker gets points once
    it has reported that it is ready.

    Parameters
    ----------
    count : int
        Processes.
    log : Path
        File for their standard error.
    """

    def __init__(self, count: int, log: Path):
        self._count = count
        self._log = log
        self._deaths_at_start = 0
        self._selector = selectors.DefaultSelector()
        self._workers: list[_Worker] = []
        try:
            for _ in range(count):
                self._start()
        except OSError as problem:
            self.close()
            raise KmcError(f"no worker can be started: {problem}") from None

    @property
    def slots(self) -> int:
        """Points that can run at once: workers that are ready."""
        return sum(worker.ready for worker in self._workers)

    def _start(self) -> None:
        worker = _Worker(self._log)
        self._workers.append(worker)
        self._selector.register(worker.output, selectors.EVENT_READ, worker)

    def submit(self, job: Mapping[str, Any]) -> None:
        """Give a point, or another job with a ``name``, to an idle worker."""
        free = next(w for w in self._workers if w.ready and w.job is None)
        free.send(job)

    def wait(self, timeout_s: float) -> list[dict[str, Any]]:
        """Results of the points that ended within this time, and of those lost with a worker."""
        outcomes = []
        for key, _ in self._selector.select(timeout_s):
            worker = key.data
            line = worker.process.stdout.readline()
            if not line.endswith("\n"):
                outcomes += self._replace(worker)
            elif not worker.ready:
                worker.ready, self._deaths_at_start = True, 0
            else:
                outcomes.append(json.loads(line))
                worker.job = None
        return outcomes

    def _replace(self, worker: _Worker) -> list[dict[str, Any]]:
        self._selector.unregister(worker.output)
        self._workers.remove(worker)
        worker.kill()
        if not worker.ready:
            self._deaths_at_start += 1
            if self._deaths_at_start >= _STARTS * self._count:
                raise KmcError(
                    "the worker processes end before they are ready",
                    advice=f"Their output is in {self._log}.",
                )
        self._start()
        if worker.job is None:
            return []
        code = worker.process.returncode
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        error = f"the process that ran it ended with {how}"
        if code == -9:
            error += " (killed, perhaps because memory ran out)"
        return [{"name": worker.job, "state": LOST, "error": error, "details": "", "wall_s": 0.0}]

    def close(self) -> None:
        """Kill all workers; a trajectory on disk is valid at every moment."""
        for worker in self._workers:
            worker.kill()
        self._workers.clear()
        self._selector.close()
