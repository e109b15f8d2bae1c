"""A run: from a checked run file to a trajectory on disk."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from kmc.common.interruption import Interruption
from kmc.common.progress import Progress, progress_for
from kmc.errors import InputError, KmcError
from kmc.files import checkpoint
from kmc.files.reader import Trajectory, load
from kmc.files.writer import TrajectoryWriter
from kmc.kernels import loop, tables
from kmc.kernels.jit import reported_compilation
from kmc.model.initial.composition import initial_occupancy
from kmc.runfile.kinds import BOX, KINDS
from kmc.runfile.load import RunFile
from kmc.systems.electrode import snapshot
from kmc.systems.electrode.engine import UNLIMITED, Engine
from kmc.systems.electrode.phases import Beginning, Phase, first_beginning
from kmc.systems.electrode.setup import set_up
from kmc.systems.job import INTERRUPTED, STOPPED_BY_CALLBACK

_CHUNK_S = 0.1  # interval at which the loop returns for Ctrl-C, progress and flushes
_FIRST_CHUNK = 20_000  # attempts


class Simulation:
    """One run: the model, the running configuration, and when to record and to stop.

    Parameters
    ----------
    run : RunFile
        A checked run file (`kmc.runfile.load.load_run`).
    state : checkpoint.Table, optional
        Earlier result of `state`: the run continues from it, or ends at once where it had ended.
    check_every : int, optional
        Interval in events at which the state is compared with one rebuilt from scratch.

    Raises
    ------
    KmcError
        The state does not fit the run.
    """

    def __init__(
        self, run: RunFile, *, state: checkpoint.Table | None = None, check_every: int | None = None
    ):
        self.run_file = run
        self.check_every = check_every
        self.observer: Callable[[dict, Simulation], bool] | None = None  # of every sample
        self._asked_to_stop = ""
        self._sound = 0  # events up to which a check found no difference
        self.restored = state
        start, events, for_flaws, for_map = np.random.SeedSequence(run.random.seed).spawn(4)
        self.setup = set_up(run, for_flaws, for_map)
        self.model = self.setup.model
        if state is None:
            self.engine = self._begin(start, events)
            self._enter(first_beginning(run))
            self._start_vacant_L1 = self.engine.count(tables.VACANT_L1)
        else:
            self.phase = Phase(run, self.model, Beginning(**state["phase"]))
            self.engine = snapshot.restore(self.setup.models[self.phase.temperature_K], state)
            self.phase.label(self.engine)
            self.phase.samples.passed, self.phase.frames.passed = state["recorded"]
            self._start_vacant_L1 = state["start_vacant_L1"]

    def _begin(self, start, events) -> Engine:
        """Engine in the initial configuration, by the seeds of the start and of the events."""
        system = self.run_file.system
        occupancy = initial_occupancy(
            self.model,
            np.random.default_rng(start),
            vacancy_fraction=system.vacancy_fraction,
            mg_fraction=system.mg_fraction,
            mg_coverage_L1=system.mg_coverage_L1,
            flaws=self.setup.flaws.sites,
        )
        return Engine(self.model, occupancy, np.random.default_rng(events))

    def state(self, writer: TrajectoryWriter, ended: list | None = None) -> checkpoint.Table:
        """Everything needed to continue after the rows that `writer` has received.

        Parameters
        ----------
        writer : TrajectoryWriter
        ended : list, optional
            At the end of a run: its stop reason, whether a sample and a frame were due there, and
            why its last phase ended (empty if by the clock or a callback).
        """
        return {
            "attempts": self.engine.count(tables.ATTEMPTS),
            **writer.position,
            "phase": asdict(self.phase.beginning),
            "recorded": [self.phase.samples.passed, self.phase.frames.passed],
            "start_vacant_L1": self._start_vacant_L1,
            "ended": ended,
            **snapshot.take(self.engine),
        }

    def run(
        self,
        writer: TrajectoryWriter,
        progress: Progress,
        interruption: Interruption | None = None,
    ) -> str:
        """Run to the first stop, recording into `writer`; returns why it stopped.

        The writer is always closed: an exception leaves a readable, unfinished file. `interruption`
        carries a request to stop.

        Raises
        ------
        KmcError
            The disk is full or fails, or a self-check found a difference.
        """
        stop_reason, state = "", None
        try:
            with progress:
                stop_reason, state = self._loop(writer, progress, interruption or Interruption())
        finally:
            finished = bool(stop_reason) and stop_reason != INTERRUPTED
            writer.close(finished=finished, stop_reason=stop_reason, checkpoint=state)
        return stop_reason

    def _loop(
        self, writer: TrajectoryWriter, progress: Progress, interruption: Interruption
    ) -> tuple[str, bytes]:
        """Run to the end of the last phase; returns why it ended, and the state there."""
        engine = self.engine
        start = flushed = time.monotonic()
        check_s = writer.flush_every_s  # duration of the last check
        loaded = None  # time and events after the first chunk, which includes the compilation
        chunk = _FIRST_CHUNK
        if self.restored is None:
            self._record(writer, sample=True, frame=True)
            if self._asked_to_stop:
                return self._end(writer, self._asked_to_stop, True, True)
        elif self.restored["ended"]:
            stop_reason, sample, frame, *reached = self.restored["ended"]
            following = self.phase.next(engine, reached[0]) if any(reached) else None
            if following is None:  # killed between the last checkpoint and the end of the file
                return self._end(writer, stop_reason, sample, frame, *reached)
            self._change(writer, following, sample, frame)  # the protocol is longer now
        next_check = engine.count(tables.EVENTS) + (self.check_every or UNLIMITED)

        def compiling(done: int, of: int) -> None:
            progress.update(0.0, f"compiling the event loop, once: {done} of {of} functions")

        def under_way(compiles: bool) -> None:
            interruption.compiling = compiles

        while True:
            phase, rules = self.phase, self.phase.rules
            limits = self._limits()
            limits["events"] = min(next_check, limits.get("events", UNLIMITED))
            attempts = engine.count(tables.ATTEMPTS)
            before = time.monotonic()
            left_out = loop.left_out(engine.parts())
            with reported_compilation(loop.advance, compiling, left_out, under_way):
                reason = engine.advance(**limits, attempts=attempts + chunk)
            now = time.monotonic()
            if loaded is None:
                loaded = (now, engine.count(tables.EVENTS))
            if engine.count(tables.ATTEMPTS) - attempts >= chunk:
                chunk = _next_chunk(chunk, now - before)

            reached = rules.reached(reason, engine)
            frame = phase.frames.is_due(engine)
            sample = phase.samples.is_due(engine) or frame
            if sample:
                row = self._record(writer, sample=True, frame=frame)
                reached = reached or rules.overpotential_reached(row["overpotential_V"])
                reached = reached or rules.contact_reached(row["contact_fraction"])
            pausing = "" if reached else rules.wall_time_reached(now - start)
            pausing = pausing or ("" if reached else self._asked_to_stop)
            if interruption.requested and not reached:
                pausing = pausing or INTERRUPTED
            if pausing:
                return self._end(writer, pausing, sample, frame)
            if reached:
                following = phase.next(engine, reached)
                if following is None:
                    ending = phase.ending(reached, engine)
                    return self._end(writer, ending, sample, frame, reached)
                self._change(writer, following, sample, frame)
                continue
            due = engine.count(tables.EVENTS) >= next_check
            # A long check delays the next flush, so the flush comes before it.
            if now - flushed + (check_s if due else 0.0) >= writer.flush_every_s:
                writer.flush(checkpoint.pack(self.state(writer)))
                flushed = time.monotonic()
            if due:
                check_s = self._check()
                next_check = engine.count(tables.EVENTS) + (self.check_every or UNLIMITED)
            progress.update(
                phase.fraction(engine, self._start_vacant_L1, now - start),
                self._status(now - loaded[0], engine.count(tables.EVENTS) - loaded[1]),
            )

    def _change(
        self, writer: TrajectoryWriter, following: Beginning, sample: bool, frame: bool
    ) -> None:
        """Record the end of a phase, unless it is recorded already, and begin the next."""
        if self.check_every:
            self._check()
        self._record(writer, sample=not sample, frame=not frame)
        self._enter(following)

    def _end(
        self,
        writer: TrajectoryWriter,
        stop_reason: str,
        sample: bool,
        frame: bool,
        reached: str = "",
    ) -> tuple[str, bytes]:
        """Record the end, unless it is recorded already; returns the stop reason and the state.

        The state is taken before the rows that exist only because the run ends here: a run that
        continues drops them, and so equals an uninterrupted one.
        """
        ended = None if stop_reason == INTERRUPTED else [stop_reason, sample, frame, reached]
        state = checkpoint.pack(self.state(writer, ended))
        if self.check_every:
            writer.flush(state)
            self._check()
        self._record(writer, sample=not sample, frame=not frame)
        return stop_reason, state

    def _limits(self) -> dict[str, Any]:
        """Limits of the event loop, to stop or to record."""
        limits: dict[str, Any] = dict(self.phase.rules.limits)
        for recorder in (self.phase.samples, self.phase.frames):
            for key, value in recorder.limit().items():
                limits[key] = min(value, limits.get(key, UNLIMITED))
        return limits

    def _check(self) -> float:
        """Compare the state with one rebuilt from scratch; returns the seconds that took."""
        start = time.monotonic()
        problems = snapshot.differences(self.engine)
        if problems:
            events = self.engine.count(tables.EVENTS)
            raise KmcError(
                f"self-check after {events} events: the running state differs from one rebuilt "
                f"from scratch: {'; '.join(problems)}",
                advice=f"Do not use this run beyond {self._sound} events, where the last check "
                "found no difference. Please report it with the run file, the seed and the output "
                "of kmc --version.",
            )
        self._sound = self.engine.count(tables.EVENTS)
        return time.monotonic() - start

    def _enter(self, beginning: Beginning) -> None:
        """Begin a phase."""
        self.phase = Phase(self.run_file, self.model, beginning)
        self.engine.set_model(self.setup.models[self.phase.temperature_K])
        self.phase.enter(self.engine)

    def _record(self, writer: TrajectoryWriter, *, sample: bool, frame: bool) -> dict:
        """Append a sample and a frame of the present state, as wanted; returns the sample."""
        self.engine.split_voltage()
        self.engine.update_mixing()
        row = self.engine.sample()
        if sample:
            writer.append_sample(row)
            self.engine.begin_row()
            if self.observer is not None and self.observer(row, self):
                self._asked_to_stop = STOPPED_BY_CALLBACK
        if frame:
            writer.append_frame(self.engine.occupancy(), **_frame_values(row))
        return row

    def _status(self, wall_s: float, events: int) -> str:
        """One line on the state of the run, with the speed of `events` in `wall_s`."""
        engine, model = self.engine, self.model
        n_L1 = model.lattice.sites_per_layer
        parts = []
        if model.has_interface:
            parts.append(f"{engine.count(tables.STRIPS) / n_L1:.2f} monolayers")
            parts.append(f"contact {1 - engine.count(tables.VACANT_L1) / n_L1:.2f}")
        else:
            parts.append(f"{engine.time_s:.3g} s")
        if wall_s > 0:
            parts.append(f"{events / wall_s / 1e6:.2f} M events/s")
        return "  ".join(parts)


def _frame_values(sample: dict) -> dict:
    names = ("events", "time_s", "capacity_monolayers", "capacity_mAh_cm2")
    return {name: sample[name] for name in names}


def _next_chunk(chunk: int, seconds: float) -> int:
    """Attempts that take about `_CHUNK_S`."""
    return max(1000, int(chunk * min(4.0, max(0.25, _CHUNK_S / max(seconds, 1e-6)))))


def run_to_file(
    run: RunFile,
    output: str | Path,
    *,
    overwrite: bool = False,
    progress: bool | Progress = True,
    check_every: int | None = None,
    observer: Callable[[dict, Simulation], bool] | None = None,
) -> Trajectory:
    """Run a checked run file and write its trajectory.

    Parameters
    ----------
    run : RunFile
    output : str or Path
        HDF5 file to write.
    overwrite : bool
        Replace an existing file.
    progress : bool or Progress
        Show progress on stderr, or pass it to this object.
    check_every : int, optional
        Interval in events at which the state is compared with one rebuilt from scratch.
    observer : callable, optional
        Called with each sample and the simulation; True ends the run there.

    Returns
    -------
    Trajectory
        Of the new file; unfinished with stop_reason "interrupted" after Ctrl-C.

    Raises
    ------
    InputError
        The output exists or cannot be written; nothing has been computed then.
    KmcError
        Writing failed, or a check found a difference; earlier flushes stay readable.
    """
    if run.kind != BOX:
        raise InputError(
            f"the run {run.name} is {KINDS[run.kind].noun}, no box of atoms",
            advice=f"kmc run {run.name} and kmc.run run it.",
        )
    with Interruption() as interruption:
        simulation = Simulation(run, check_every=check_every)
        simulation.observer = observer
        if interruption.requested:
            raise KeyboardInterrupt
        interphase = simulation.setup.interphase
        writer = TrajectoryWriter(
            output,
            lattice=simulation.model.lattice,
            chemistry=None if interphase is None else interphase.chemistry,
            run_text=run.text,
            resolved=simulation.setup.resolved(),
            seed=run.random.seed,
            overwrite=overwrite,
        )
        simulation.run(writer, progress_for(run.name, progress), interruption)
    return load(output)
