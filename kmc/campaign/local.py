"""Runs points by an executor of `concurrent.futures`; here: processes of this machine."""

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from pathlib import Path
from typing import Any

from kmc.campaign.run_point import FAILED, LOST, run_point
from kmc.common.threads import cores
from kmc.errors import KmcError

# A point takes a core: threads of linear algebra would compete for it.
_ONE_THREAD = dict.fromkeys(
    ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"
)
# Workers import the package from the same place, also where it is not installed; it comes last on
# the path, so that files beside the package shadow no library.
_ROOT = str(Path(__file__).resolve().parents[2])
_START = f"import sys; sys.path.append({_ROOT!r}); from kmc.campaign.run_point import main; main()"
_STARTS = 3  # attempts to start a worker


class Lost(Exception):
    """The process that ran a point has ended, and how."""


class Workers:
    """Points that run somewhere, by an executor: here, or on a Dask cluster."""

    slots: int  # points that can run at once, at this moment

    def __init__(self, executor: Executor):
        self._executor = executor
        self._futures: dict[Future, str] = {}

    def submit(self, job: Mapping[str, Any]) -> None:
        """Start `run_point(**job)` somewhere."""
        self._futures[self._executor.submit(run_point, **job)] = job["name"]

    def wait(self, timeout_s: float) -> list[dict[str, Any]]:
        """Results of `run_point` for points that ended; ``state`` "lost" without one."""
        if not self._futures:
            time.sleep(timeout_s)
            return []
        ended, _ = wait_for(self._futures, timeout_s, FIRST_COMPLETED)
        return [self._outcome(future, self._futures.pop(future)) for future in ended]

    def _outcome(self, future: Future, name: str) -> dict[str, Any]:
        state = LOST
        try:
            return future.result()
        except CancelledError:
            error = "the cluster lost it"
        except Lost as problem:
            error = str(problem)
        except KmcError:  # no worker can be started
            raise
        except Exception as problem:
            state, error = FAILED, f"{type(problem).__name__}: {problem}"
        return {"name": name, "state": state, "error": error, "details": "", "wall_s": 0.0}

    def close(self) -> None:
        """End everything; a trajectory on disk is valid at every moment."""
        self._executor.shutdown(wait=True, cancel_futures=True)


class LocalWorkers(Workers):
    """`count` processes of this machine, each running one point at a time on one thread.

    A thread waits for each; `log` gets their standard error. `ProcessPoolExecutor` would run a
    user's script again in each process, and lose all points with one process that is killed.
    """

    def __init__(self, count: int, log: Path):
        super().__init__(ThreadPoolExecutor(count))
        self.slots, self._log, self._closed = count, log, False
        self._of_thread = threading.local()
        self._processes: list[subprocess.Popen] = []
        for _ in range(count):  # started at once, while the first point compiles
            self._executor.submit(self._process)

    def submit(self, job: Mapping[str, Any]) -> None:
        self._futures[self._executor.submit(self._run, job)] = job["name"]

    def _run(self, job: Mapping[str, Any]) -> dict[str, Any]:
        """Hand a job to the process of this thread and wait for its answer."""
        process = self._process()
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(json.dumps(job) + "\n")
            process.stdin.flush()
        line = process.stdout.readline()
        if line.endswith("\n"):
            return json.loads(line)
        self._of_thread.process = None
        code = _end(process)
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        text = f"the process that ran it ended with {how}"
        raise Lost(text + " (killed, perhaps because memory ran out)" * (code == -9))

    def _process(self) -> Any:
        if getattr(self._of_thread, "process", None) is not None:
            return self._of_thread.process
        for _ in range(_STARTS):
            if self._closed:
                raise CancelledError
            try:
                with open(self._log, "a", encoding="utf-8") as errors:
                    process: Any = subprocess.Popen(
                        # -P: files of the folder that the user is in shadow no library.
                        [sys.executable, "-P", "-c", _START],
                        stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE,
                        stderr=errors,
                        encoding="utf-8",
                        env={**os.environ, **_ONE_THREAD},
                        start_new_session=True,  # Ctrl-C reaches the sweep alone, which stops these
                    )
            except OSError as problem:
                raise KmcError(f"no worker can be started: {problem}") from None
            self._processes.append(process)
            if process.stdout.readline() == "ready\n":
                self._of_thread.process = process
                return process
            _end(process)
        raise KmcError(
            "the worker processes end before they are ready",
            advice=f"Their output is in {self._log}.",
        )

    def close(self) -> None:
        self._closed = True
        for process in self._processes:
            process.kill()
        super().close()
        for process in self._processes:
            _end(process)


def _end(process: subprocess.Popen) -> int:
    """Kill a process and close its pipes; returns its exit code."""
    process.kill()
    code = process.wait()
    for pipe in filter(None, (process.stdin, process.stdout)):
        with contextlib.suppress(OSError):
            pipe.close()
    return code


MakeWorkers = Callable[[Path, int], Workers]
"""Starts workers for the folder of a sweep and a number of points."""


def local_workers(workers: int | None = None) -> MakeWorkers:
    """As many processes as points or, if fewer, `workers` or all cores."""
    return lambda folder, points: LocalWorkers(
        min(points, workers or cores()), folder / "workers.log"
    )
