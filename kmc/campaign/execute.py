"""Runs the missing points of a sweep on local or cluster workers."""

import math
import shutil
import time
import warnings
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kmc.campaign.dataset import load_sweep
from kmc.campaign.folder import SweepFolder, make_folder
from kmc.campaign.local import MakeWorkers, Workers, local_workers
from kmc.campaign.plan import costs, plan_of, read_plan
from kmc.campaign.points import Plan, Point, combinations
from kmc.campaign.run_point import BUSY, DONE, FAILED, LOST, STOPPED
from kmc.common.interruption import Interruption
from kmc.common.late import xarray as xr
from kmc.common.progress import Part, Progress, display_for
from kmc.errors import InputError, KmcError, KmcWarning
from kmc.systems.slowing import warn_of_hidden_effects

MAX_ATTEMPTS = 3  # of a point whose worker process ends during it
_WAIT_S = 0.25
_COMPILED = 0.02  # share of a point that shows that the event loop has been compiled
_STOP_S = 10.0  # time that running points have to stop
_MIN_FREE_BYTES = 2 * 2**20
_STOPPED = "it was stopped from outside"


@dataclass
class Tally:
    """State of a sweep."""

    total: int  # points; those done by earlier calls of the same command included
    done: int = 0
    failed: int = 0
    running: list[Part] = field(default_factory=list)
    slots: int = 0  # points that could run at once
    interrupted: bool = False
    # points that failed in this call, with the error
    failures: list[tuple[Point, str]] = field(default_factory=list)
    # messages for the user, such as names of files that were set aside
    notes: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """``12 of 40 done, 1 failed, 2 running``."""
        parts = [f"{self.done} of {self.total} done"]
        if self.failed:
            parts.append(f"{self.failed} failed")
        parts.append(f"{len(self.running)} running")
        if not self.slots:
            parts.append("waiting for workers")
        return ", ".join(parts)


def run_sweep(folder: SweepFolder, make_workers: MakeWorkers, display: Progress) -> Tally:
    """Run every point that is not done; points that failed before are tried again.

    `make_workers` is called once the folder is locked, unless every point is done. The tally is
    ``interrupted`` after Ctrl-C or SIGTERM. `KmcError` where the folder cannot be written any more,
    or no worker can be started.
    """
    with Interruption() as interruption, folder.owned() as owner:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", KmcWarning)
            done = folder.clean_up()
        # Points that failed are among them: memory or a node may have been the cause.
        todo = [point for point in folder.plan.points if point.name not in done]
        tally = Tally(total=len(folder.plan.points), done=len(done))
        tally.notes += [str(item.message) for item in caught]
        if todo:
            workers = make_workers(folder.path, len(todo))
            try:
                with display:
                    for note in tally.notes:
                        display.message(note)
                    _Loop(folder, owner, workers, display, tally, todo).run(interruption)
            finally:
                folder.disown()
                workers.close()
        return tally


def run_plan(
    plan: Plan,
    folder: str | Path,
    make_workers: MakeWorkers | None = None,
    *,
    workers: int | None = None,
    progress: bool = True,
) -> Tally:
    """Run what the folder of a plan lacks, by `workers` local processes unless others are made."""
    made = make_folder(folder, plan)
    make = make_workers or local_workers(workers)
    return run_sweep(made, make, display_for(made.path.name, progress))


def sweep(
    study: str | Path | Mapping[str, Any],
    *,
    output: str | Path | None = None,
    workers: int | None = None,
    progress: bool = True,
    at_monolayers: float | Sequence[float] = (),
    at_mAh_cm2: float | Sequence[float] = (),
) -> "xr.Dataset":
    """Run every point of a sweep that is not done yet, and load the results.

    - `study`: a shipped study (``study_temperature``), the path of a sweep file, or what such a
      file holds: ``{"run": "strip_li", "replicas": 3, "grid": {"conditions.temperature_K": [298.15,
      333.15]}, "set": {…}}``; None as a value removes a key.
    - `output`: folder of the sweep, which is gone on with if it is there; the name of the study by
      default, ``sweep`` for a mapping.
    - `workers`: runs at a time; all cores by default.
    - `progress`: show progress on stderr.
    - `at_monolayers`, `at_mAh_cm2`: capacities at which the Dataset has values too; see
      `kmc.load_sweep`.

    Returns the Dataset of `kmc.load_sweep`, failed points with their error. Raises `InputError`
    before anything has been run, KeyboardInterrupt on Ctrl-C: the next call goes on.
    """
    plan = plan_of(study) if isinstance(study, Mapping) else read_plan(study)
    folder = Path(plan.name if output is None else output)
    if workers is not None and workers < 1:
        raise InputError(f"workers = {workers}: at least 1 is needed")
    warn_of_hidden_effects(plan.tables, combinations(plan.axes))
    tally = run_plan(plan, folder, workers=workers, progress=progress)
    if tally.interrupted:
        raise KeyboardInterrupt
    return load_sweep(folder, at_monolayers=at_monolayers, at_mAh_cm2=at_mAh_cm2, progress=progress)


@dataclass
class _Loop:
    """Scheduling of points, the same for local processes and for a cluster."""

    folder: SweepFolder
    owner: str
    workers: Workers
    display: Progress
    tally: Tally
    todo: list[Point]

    def __post_init__(self) -> None:
        self.waiting = deque(self.todo)
        self.running: dict[str, Point] = {}
        self.compiled = False
        self.attempts: Counter[str] = Counter()
        # Shares are those of the work, as points of a grid may differ a thousandfold.
        work = [amount for amount, _ in costs(self.folder.plan, self.todo)]
        # One point without an estimate makes all count alike.
        sized = all(math.isfinite(amount) for amount in work)
        self.work = {p.name: w if sized else 1.0 for p, w in zip(self.todo, work, strict=True)}
        self.all_work, self.done_before = sum(self.work.values()), self.tally.done

    def run(self, interruption: Interruption) -> None:
        """Run points until all are done, or the user interrupts."""
        while self.running or self.waiting:
            if interruption.requested:
                self._stop()
                return
            while self.waiting and len(self.running) < self.workers.slots:
                # The event loop is compiled once and then cached on disk: the first point starts
                # alone, the others wait until it has compiled.
                if self.running and not self.compiled:
                    break
                self._start(self.waiting.popleft())
            for outcome in self.workers.wait(_WAIT_S):
                self._ended(outcome)
            self._look()

    def _start(self, point: Point) -> None:
        self.folder.prepare(point)
        self.attempts[point.name] += 1
        self.running[point.name] = point
        # Workers elsewhere have another working directory.
        place = str(self.folder.path.resolve())
        self.workers.submit({"folder": place, "name": point.name, "owner": self.owner})

    def _ended(self, outcome: Mapping[str, Any], *, stopping: bool = False) -> None:
        point = self.running.pop(outcome["name"])
        self.folder.forget_progress(point)
        for note in outcome.get("notes", ()):
            self.tally.notes.append(note)
            self.display.message(note)
        state, error = outcome["state"], outcome["error"]
        if state == DONE:
            self.compiled = True
            self.folder.record_done(point, outcome["wall_s"], outcome.get("numbers"))
            self.tally.done += 1
        # What was stopped with the sweep has not failed: the next call goes on with it.
        if state == DONE or stopping:
            return
        # No fault of the point: its worker died, or a worker of an earlier sweep still has it.
        if state in (LOST, BUSY, STOPPED) and self.attempts[point.name] < MAX_ATTEMPTS:
            self.display.message(f"{point.name}: {error or _STOPPED}; it is run again")
            self.waiting.appendleft(point)
            return
        if state != FAILED:
            error = f"{error or _STOPPED}, {MAX_ATTEMPTS} times in a row"
        self.folder.record_failure(point, error, outcome["details"], outcome["wall_s"])
        self.tally.failed += 1
        self.tally.failures.append((point, error))
        self.display.message(f"failed: {point.name}: {error}")
        # Every further point would fail in the same way.
        free = shutil.disk_usage(self.folder.path).free
        if free < _MIN_FREE_BYTES:
            raise KmcError(
                f"the disk of {self.folder.path} is full: {free} bytes are left",
                advice="Points that are done are safe. Free space, then repeat the command.",
            )

    def _look(self) -> None:
        """Update the state of the running points, and the display."""
        tally = self.tally
        tally.running, tally.slots = [], self.workers.slots
        for point in self.running.values():
            fraction, text = self.folder.progress(point) or (0.0, "preparing")
            self.compiled = self.compiled or fraction > _COMPILED
            tally.running.append(Part(point.name, fraction, text))
        waiting = sum(self.work[point.name] for point in self.waiting)
        waiting += sum(self.work[row.name] * (1 - row.fraction) for row in tally.running)
        rest = waiting / self.all_work if self.all_work else 0.0
        # By work: the first of many points, a thousandth of the time, must not count as one of ten.
        share = (1 - rest) * (tally.total - self.done_before) + self.done_before
        self.display.update(share / tally.total, str(tally), tally.running)

    def _stop(self) -> None:
        """Wait until running points have closed their files; those that finish count as done."""
        self.display.message("stopping; a second Ctrl-C stops at once")
        self.folder.disown()
        end = time.monotonic() + _STOP_S
        while self.running and time.monotonic() < end:
            for outcome in self.workers.wait(_WAIT_S):
                self._ended(outcome, stopping=True)
        self.tally.interrupted = self.tally.done < self.tally.total
