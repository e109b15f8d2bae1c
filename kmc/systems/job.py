"""One loop for every kind of run: it advances a `Job`, records what it gives, and heeds the clock.

A job knows its physics and where it stands; the loop knows Ctrl-C, the limit of wall time, progress
and when to save. A job that was saved and restored goes on as if it had not been interrupted, so
that the file is the same to the last byte::

    class Counter(Job):
        def advance(self):
            self.n += 1
            yield Row({"time_s": self.n})
            if self.n == 10:
                yield Ended("ten is reached")
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kmc.common.interruption import Interruption
from kmc.common.progress import Progress, Silent
from kmc.files.checkpoint import pack

INTERRUPTED = "interrupted"
STOPPED_BY_CALLBACK = "stopped by the callback"
WALL_TIME = "wall_time_s"
BY_THE_CLOCK = (WALL_TIME, STOPPED_BY_CALLBACK)
"""Stop reasons, or their beginnings, of runs that go on when they are resumed."""
_SAVE_EVERY_S = 3.0  # a crash loses at most this and a chunk: below the promised 5 s
_SAVING_SHARE = 0.03  # of the time of a run, at most ...
_SAVE_LATEST_S = 30.0  # ... unless so much would be lost in a crash


@dataclass(frozen=True)
class Row:
    """Numbers at one time: a row of `/samples`, with a value for every column."""

    values: Mapping[str, float]


@dataclass(frozen=True)
class Frame:
    """Arrays at the time of the last row: a frame, and lists of what is in it (voids, say)."""

    arrays: Mapping[str, Any]
    lists: Mapping[str, Mapping[str, Any]] | None = None


@dataclass(frozen=True)
class Listed:
    """Rows of a list that belong to no frame, such as events between two of them."""

    name: str
    columns: Mapping[str, Any]


class NextReplica:
    """The rows and frames that follow are of another, independent repetition."""


@dataclass(frozen=True)
class Ended:
    """The run is over, and why: a phrase for people."""

    reason: str


Item = Row | Frame | Listed | NextReplica | Ended


class Job:
    """A run in progress; each kind of run derives its own from it."""

    # Whether the file keeps the state at the end, from which `extend` goes on.
    goes_on_after_its_end = False

    def __init__(self) -> None:
        # What followed from the input before the run: JSON-able, with units in the names.
        self.facts: dict[str, Any] = {}
        # Parameters the run uses, as `ParameterSet.resolved` gives them; may be empty.
        self.parameters: dict[str, Any] = {}
        self.constants: dict[str, Any] = {}  # arrays that the file holds once
        self.resolved: dict[str, Any] = {}  # more of what the run used; JSON-able
        self.record: dict[str, Any] = {}  # more of what the file says of itself; JSON-able
        # Time on the wall after which the run pauses; `resume` goes on.
        self.wall_time_s: float | None = None
        self.check_every: int | None = None  # events between two self-checks, where there are some
        # Set by the loop, for work inside `advance` that takes long, such as a compilation.
        self.bar: Progress = Silent()
        self.interruption: Any = Interruption()

    def advance(self) -> Iterable[Item]:
        """Compute for a moment, a second at most, and give what is to be recorded.

        The first call gives the row, and perhaps a frame, of the initial state. The state that
        `state` returns is looked at only when all items have been taken.
        """
        raise NotImplementedError

    @property
    def check_s(self) -> float:
        """Seconds of the self-check with which `advance` begins, if any: the loop saves before."""
        return 0.0

    def progress(self) -> tuple[float, str] | None:
        """The share that is done, 0 to 1, and a line on the state; None while it is not known."""
        return 0.0, ""

    def state(self) -> dict[str, Any]:
        """All that is needed to go on: numbers, texts and lists (JSON-able), and arrays by name."""
        raise NotImplementedError

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up what `state` returned, in a job that has been made anew from the same run file.

        Raises `LookupError`, `TypeError`, `ValueError`: it does not fit.
        """
        raise NotImplementedError

    def compare(self, run: Any) -> None:
        """Compare what this job computes from with what a run to be continued was computed from.

        - `run`: a `kmc.files.table_run.TableRun`.

        Raises `InputError`: they differ.
        """

    def closing(self, reason: str) -> Iterable[Item]:
        """Rows that exist only because the run pauses or ends here; a resumed run drops them."""
        return ()


def carry_out(
    job: Job,
    recorder: Any,
    progress: Progress,
    interruption: Interruption,
    observer: Callable[[Mapping[str, float], Job], bool] | None = None,
) -> str:
    """Advance a job to its end, to its limit of wall time, or until someone asks to stop; says why.

    The recorder is always closed: an exception leaves a readable, unfinished file. Progress is
    reported only; the caller shows and ends it. The observer is called with every row and the job,
    and ends the run there where it returns True.
    """
    began, every_s = time.monotonic(), _SAVE_EVERY_S
    saved = -math.inf  # the beginning is saved at once: a file that cannot be written is noticed
    reason, last = "", None
    asked = False

    def take(items: Iterable[Item]) -> Iterator[str]:
        """Record items; gives the reasons of ends among them."""
        nonlocal asked
        for item in items:
            if isinstance(item, Row):
                recorder.append_sample(item.values)
                asked = asked or (observer is not None and observer(item.values, job))
            elif isinstance(item, Frame):
                recorder.append_frame(**item.arrays, **(item.lists or {}))
            elif isinstance(item, Listed):
                recorder.append_listed(item.name, item.columns)
            elif isinstance(item, NextReplica):
                recorder.next_replica()
            else:
                yield item.reason

    def state() -> bytes | None:
        position = recorder.position
        # Packed at once: the next chunk changes the arrays that the state points to.
        return None if position is None else pack({**job.state(), **position})

    job.bar, job.interruption = progress, interruption
    try:
        while True:
            end = "".join(take(job.advance()))
            now = time.monotonic()
            # An end of the run itself comes first: it must not depend on the clock or on who asks.
            if not end and job.wall_time_s is not None and now - began > job.wall_time_s:
                end = f"{WALL_TIME} reached {job.wall_time_s:g}"
            if not end and asked:
                end = STOPPED_BY_CALLBACK
            if not end and interruption.requested:
                end = INTERRUPTED
            if end:
                break
            # A long self-check would delay the next save, so that one comes before it.
            if now - saved + job.check_s >= every_s:
                recorder.flush(state())
                saved = time.monotonic()  # after the write: a slow disk must not fill the run
                took_s = saved - now  # large states take longer to compress than to write
                every_s = max(_SAVE_EVERY_S, min(took_s / _SAVING_SHARE, _SAVE_LATEST_S))
            if shown := job.progress():
                progress.update(*shown)
        goes_on = end == INTERRUPTED or end.startswith(BY_THE_CLOCK) or job.goes_on_after_its_end
        # The state is that before the rows of the end, which a run that goes on drops.
        last = state() if goes_on else None
        if job.check_every:
            recorder.flush(last)
        # After the state was taken: a resumed run drops these rows and writes its own.
        list(take(job.closing(end)))
        reason = end
    finally:
        # An exception leaves no reason: the file stays unfinished, at the state saved last.
        finished = bool(reason) and reason != INTERRUPTED
        recorder.close(finished=finished, stop_reason=reason, checkpoint=last)
    return reason
