"""Runs one point of a sweep, in a local or remote process."""

import contextlib
import json
import os
import queue
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from filelock import Timeout

from kmc.campaign.point_files import is_finished, lock_of, set_aside
from kmc.common.interruption import interrupt_gently
from kmc.common.json_files import read_text
from kmc.common.outputs import put_in_place
from kmc.common.progress import Part, Silent
from kmc.errors import InputError, KmcError, KmcWarning, OutputError

_REPORT_EVERY_S = 0.5
_WAIT_FOR_LOCK_S = 30.0  # a worker of an earlier sweep stops within a second

DONE, FAILED, STOPPED, BUSY, LOST = "done", "failed", "stopped", "busy", "lost"


class _Stopped(Exception):
    """The sweep that this point is run for no longer owns the folder."""


def run_point(folder: str, name: str, owner: str) -> dict[str, Any]:
    """Run one point to its end and rename its trajectory.

    `owner` is the identity of the sweep: the run stops as soon as the file ``owner`` of the folder
    differs, so that workers of a killed sweep do not disturb the next one.

    Returns ``name``, ``state`` (of the names above), ``error``, ``details``, ``wall_s``,
    ``numbers`` (for `SweepFolder.record_done`), and ``notes`` for the user. Nothing is raised: some
    errors cannot be pickled.
    """
    place, start = Path(folder), time.monotonic()
    state, error, details, numbers = DONE, "", "", None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", KmcWarning)
        try:
            with lock_of(place / "running" / f".{name}.lock", _WAIT_FOR_LOCK_S):
                finished, numbers = _run(place, name, owner)
                state = DONE if finished else STOPPED
        except _Stopped:
            state = STOPPED
        except Timeout:
            state, error = BUSY, "another process still runs this point"
        except KmcError as problem:
            state, error, details = FAILED, problem.message, problem.advice or ""
        except MemoryError:
            state, error = FAILED, "not enough memory"
        except Exception as problem:
            state, error = FAILED, f"{type(problem).__name__}: {problem}"
            details = traceback.format_exc()
    wall_s = time.monotonic() - start
    notes = [str(item.message) for item in caught if issubclass(item.category, KmcWarning)]
    ended = {"state": state, "error": error, "details": details, "wall_s": wall_s}
    return {"name": name, **ended, "numbers": numbers, "notes": notes}


def main() -> None:
    """A local worker: reads jobs, a line of JSON each, from standard input until it closes.

    A job has the arguments of `run_point`. When the sweep dies, the operating system closes the
    pipe, and the worker ends.
    """
    results = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)  # output of libraries must not mix with the results
    jobs: queue.SimpleQueue = queue.SimpleQueue()

    def listen() -> None:
        for line in sys.stdin:
            jobs.put(json.loads(line))
        os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    import kmc.systems.electrode.run  # noqa: F401 - loaded while the first worker compiles

    results.write("ready\n")
    while True:
        results.write(json.dumps(run_point(**jobs.get())) + "\n")


def _run(folder: Path, name: str, owner: str) -> tuple[bool, dict[str, Any] | None]:
    """Run the point; returns whether its trajectory is complete, and its summary numbers."""
    from kmc.runfile.load import load_run
    from kmc.systems.run import load

    trajectory = folder / "points" / f"{name}.h5"
    if trajectory.exists():
        if is_finished(trajectory):  # for an earlier sweep while this one was starting
            return True, _numbers(trajectory, load(trajectory))
        set_aside(trajectory, "it is damaged")
    heartbeat = Heartbeat(folder, name, owner)
    heartbeat.check_owner()
    part = folder / "points" / f"{name}.part.h5"
    ended = _run_or_resume(load_run(folder / "points" / f"{name}.toml"), part, heartbeat)
    if not ended.finished:
        return False, None
    # Before the file moves: what was read at the end of the run need not be read again.
    numbers = _numbers(part, ended)
    put_in_place(part, trajectory)
    return True, numbers


def _numbers(path: Path, run: Any) -> dict[str, Any] | None:
    """Summary numbers of a run: only a cache, so that `kmc.load_sweep` need not open the file."""
    from kmc.campaign.scalars import entry_of

    with contextlib.suppress(KmcError, OSError):
        return entry_of(path, run)
    return None


def _run_or_resume(run: Any, part: Path, heartbeat: "Heartbeat") -> Any:
    """Run into `part`, or continue it where it holds the same run; returns it as it ended."""
    from kmc.systems.run import load, resume, run_to_file

    if part.is_file():
        try:
            begun = load(part)
            if begun.run != run.resolved():
                set_aside(part, "it has other settings")
            elif begun.finished:
                return begun
            elif begun.checkpoint is not None:
                return resume(part, progress=heartbeat)
            # Killed before its first checkpoint, it has nothing to go on from: it is overwritten.
        except OutputError:  # the part itself is good
            raise
        except InputError as problem:  # damaged, or of another version of kmc
            if part.is_file():
                set_aside(part, problem.message)
    return run_to_file(run, part, overwrite=True, progress=heartbeat)


class Heartbeat(Silent):
    """Writes the progress of a point to a file, and stops the point when the owner changes."""

    def __init__(self, folder: Path, name: str, owner: str):
        self._file = folder / "running" / f"{name}.json"
        self._owner_file = folder / "owner"
        self._owner = owner
        self._next = 0.0

    def update(self, fraction: float, text: str, parts: Sequence[Part] = ()) -> None:
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + _REPORT_EVERY_S
        try:
            self.check_owner()
        except _Stopped:
            # A run that listens saves its checkpoint first; before one there is nothing to save.
            if not interrupt_gently():
                raise
        try:
            row = json.dumps({"fraction": fraction, "text": text}, ensure_ascii=False)
            self._file.write_text(row, encoding="utf-8")
        except OSError:  # a full disk is reported when the trajectory is written
            pass

    def check_owner(self) -> None:
        """Raise `_Stopped` if the folder has another owner, or none."""
        try:
            owner = read_text(self._owner_file)
        except FileNotFoundError:
            owner = ""
        except (OSError, ValueError):  # a shared disk may fail for a moment
            return
        if owner != self._owner:
            raise _Stopped
