"""A run: from a checked run file to a trajectory on disk."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from kmc.errors import KmcError
from kmc.files import checkpoint, schema
from kmc.files.record import check_layout
from kmc.files.writer import TrajectoryWriter
from kmc.kernels import loop, tables
from kmc.kernels.jit import reported_compilation
from kmc.model.initial.composition import initial_occupancy
from kmc.runfile.load import RunFile
from kmc.systems.electrode import snapshot
from kmc.systems.electrode.engine import UNLIMITED, Engine
from kmc.systems.electrode.phases import Beginning, Phase, first_beginning
from kmc.systems.electrode.setup import set_up
from kmc.systems.job import Ended, Frame, Item, Job, Row

_CHUNK_S = 0.1  # interval at which the loop returns for Ctrl-C, progress and flushes
_FIRST_CHUNK = 20_000  # attempts
_NUMBER = (int, float)
_STATE = {  # of a state, beside that of the engine
    "phase": {
        **{"phase": (int,), "time_s": _NUMBER, "events": (int,), "before": (str,)},
        **{"step?": (int,), "strips?": (int,), "early?": (int,)},
    },
    "recorded": [(int,)],
    "start_vacant_L1": (int,),
}


class ElectrodeJob(Job):
    """One run: the model, the running configuration, and when to record and to stop.

    - `run`: a checked run file (`kmc.runfile.load.load_run`).
    - `state`: earlier result of `state`: the run continues from it, or ends at once where it had
      ended.
    - `check_every`: interval in events at which the state is compared with one rebuilt from
      scratch.

    Raises `KmcError`: the state does not fit the run.
    """

    goes_on_after_its_end = True

    def __init__(
        self, run: RunFile, *, state: checkpoint.Table | None = None, check_every: int | None = None
    ):
        super().__init__()
        self.run_file = run
        self.check_every = check_every
        self.wall_time_s = run.stop.wall_time_s
        self.restored = state
        self._began: float | None = None
        self._loaded: tuple[float, int] | None = None  # time and events after the first chunk
        self._chunk = _FIRST_CHUNK
        self._sample = self._frame = False  # whether the present state is recorded
        self._ended: list | None = None
        self._sound = 0  # events up to which a check found no difference
        self._next_check: int = UNLIMITED
        self._check_s = math.inf  # duration of the last check
        # A stream each: more flaws, or another map, must not change the events' random numbers.
        start, events, for_flaws, for_map = np.random.SeedSequence(run.random.seed).spawn(4)
        self.setup = set_up(run, for_flaws, for_map)
        self.model = self.setup.model
        if state is None:
            system = run.system
            occupancy = initial_occupancy(
                self.model,
                np.random.default_rng(start),
                vacancy_fraction=system.vacancy_fraction,
                mg_fraction=system.mg_fraction,
                mg_coverage_L1=system.mg_coverage_L1,
                flaws=self.setup.flaws.sites,
            )
            self.engine = Engine(self.model, occupancy, np.random.default_rng(events))
            self._enter(first_beginning(run))
            self._start_vacant_L1 = self.engine.count(tables.VACANT_L1)
        else:
            # Rebuilt from the run file and compared with the state, so that an edited file or
            # another parameter set is refused instead of continued.
            check_layout(state, _STATE, "state")
            check_layout([*(state["ended"] or ())][:1], [(str,)], "state.ended")
            self.phase = Phase(run, self.model, Beginning(**state["phase"]))
            self.engine = snapshot.restore(self.setup.models[self.phase.temperature_K], state)
            self.phase.label(self.engine)
            recorders, passed = self.phase.recorders, state["recorded"]
            if len(passed) not in (2, len(recorders)):  # earlier versions know of no observations
                raise KmcError("the checkpoint does not fit the run: state.recorded")
            for recorder, number in zip(recorders, passed, strict=False):
                recorder.passed = number
            self._start_vacant_L1 = state["start_vacant_L1"]

    def state(self) -> checkpoint.Table:
        """Everything needed to continue from here; at the end of a run also why it ended, whether a
        sample and a frame were due there, and why its last phase ended."""
        return {
            "attempts": self.engine.count(tables.ATTEMPTS),
            "phase": asdict(self.phase.beginning),
            "recorded": [recorder.passed for recorder in self.phase.recorders],
            "start_vacant_L1": self._start_vacant_L1,
            "ended": self._ended,
            **snapshot.take(self.engine),
        }

    def advance(self) -> Iterator[Item]:
        """A chunk of events, or up to the next sample, frame, stop or self-check."""
        if self._began is None:
            self._began = time.monotonic()
            self._next_check = self.engine.count(tables.EVENTS) + (self.check_every or UNLIMITED)
            if self.restored is None:
                yield from self._record(sample=True, frame=True)
                return
            if self.restored["ended"]:
                ended = self.restored["ended"]
                _, self._sample, self._frame, *reached = ended
                following = self.phase.next(self.engine, reached[0]) if any(reached) else None
                if following is None:  # killed between the last checkpoint and the end of the file
                    self._ended = ended
                    yield Ended(ended[0])
                    return
                yield from self._change(following)  # the protocol is longer now
        if self.check_s:
            self._check()
        engine, phase, ends = self.engine, self.phase, self.phase.ends
        reason = self._advance_engine()
        reached = ends.reached(reason, engine)
        if phase.observes and phase.observations.is_due(engine):
            engine.observe_at_rest()
        # The state at a sample does not depend on the chunks: a limit of the loop ends there.
        frame = phase.frames.is_due(engine)
        sample = phase.samples.is_due(engine) or frame
        self._sample = self._frame = False
        if sample:
            for item in self._record(sample=True, frame=frame):
                yield item
                if isinstance(item, Row):
                    reached = reached or ends.reached_at(item.values)
        if not reached:
            return
        following = phase.next(engine, reached)
        if following is not None:
            yield from self._change(following)
            return
        self._ended = [phase.ending(reached, engine), self._sample, self._frame, reached]
        yield Ended(self._ended[0])

    def _advance_engine(self) -> int:
        """A call of the event loop; returns why it came back."""
        engine = self.engine

        def compiling(done: int, of: int) -> None:
            self.bar.update(0.0, f"compiling the event loop, once: {done} of {of} functions")

        def under_way(compiles: bool) -> None:
            self.interruption.compiling = compiles

        limits = self._limits()
        # Chunks are counted in attempts, which the clock of the machine does not change: where
        # the loop returns has no influence on what it computes.
        limits["events"] = min(self._next_check, limits.get("events", UNLIMITED))
        attempts, before = engine.count(tables.ATTEMPTS), time.monotonic()
        left_out = loop.left_out(engine.parts())
        with reported_compilation(loop.advance, compiling, left_out, under_way):
            reason = engine.advance(**limits, attempts=attempts + self._chunk)
        now = time.monotonic()
        if self._loaded is None:
            self._loaded = (now, engine.count(tables.EVENTS))
        if engine.count(tables.ATTEMPTS) - attempts >= self._chunk:
            self._chunk = _next_chunk(self._chunk, now - before)
        return reason

    def _change(self, following: Beginning) -> Iterator[Item]:
        """The end of a phase, unless it is recorded already; begins the next."""
        if self.check_every:
            self._check()
        yield from self._record(sample=not self._sample, frame=not self._frame)
        self._enter(following)

    def closing(self, reason: str) -> Iterator[Item]:
        if self.check_every:
            self._check()
        yield from self._record(sample=not self._sample, frame=not self._frame)

    @property
    def check_s(self) -> float:
        due = self.engine.count(tables.EVENTS) >= self._next_check
        return self._check_s if due else 0.0

    def _limits(self) -> dict[str, Any]:
        """Limits of the event loop, to stop or to record."""
        limits: dict[str, Any] = dict(self.phase.ends.limits)
        for recorder in self.phase.recorders if self.phase.observes else self.phase.recorders[:2]:
            for key, value in recorder.limit().items():
                limits[key] = min(value, limits.get(key, UNLIMITED))
        return limits

    def _check(self) -> None:
        """Compare the state with one rebuilt from scratch."""
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
        self._next_check = self._sound + (self.check_every or UNLIMITED)
        self._check_s = time.monotonic() - start

    def _enter(self, beginning: Beginning) -> None:
        """Begin a phase."""
        self.phase = Phase(self.run_file, self.model, beginning)
        self.engine.set_model(self.setup.models[self.phase.temperature_K])
        self.phase.enter(self.engine)

    def _record(self, *, sample: bool, frame: bool) -> Iterator[Item]:
        """A sample and a frame of the present state, as wanted."""
        # Before the row: voltage of the interface and exchange of Mg are those of this moment, and
        # hold until the next one.
        self.engine.split_voltage()
        self.engine.update_mixing()
        row = self.engine.sample()
        self._sample, self._frame = self._sample or sample, self._frame or frame
        if sample:
            self.engine.begin_row()
            yield Row(row)
        if frame:
            at = {entry.name: row[entry.name] for entry in schema.FRAME_COLUMNS}
            yield Frame({"occupancy": self.engine.occupancy(), **at})

    def progress(self) -> tuple[float, str] | None:
        """Share and state, with the speed since the first chunk, which includes the compilation."""
        if self._loaded is None:
            return None
        engine, model = self.engine, self.model
        n_L1 = model.lattice.sites_per_layer
        parts = []
        if model.has_interface:
            parts.append(f"{engine.count(tables.STRIPS) / n_L1:.2f} monolayers")
            parts.append(f"contact {1 - engine.count(tables.VACANT_L1) / n_L1:.2f}")
        else:
            parts.append(f"{engine.time_s:.3g} s")
        now, (loaded_s, events) = time.monotonic(), self._loaded
        if now > loaded_s:
            speed = (engine.count(tables.EVENTS) - events) / (now - loaded_s)
            parts.append(f"{speed / 1e6:.2f} M events/s")
        done = self.phase.fraction(engine, self._start_vacant_L1)
        # Whichever end is nearer: the limit of wall time may come first.
        if self.wall_time_s and self._began is not None:
            done = min(1.0, max(done, (now - self._began) / self.wall_time_s))
        return done, "  ".join(parts)


def _next_chunk(chunk: int, seconds: float) -> int:
    """Attempts that take about `_CHUNK_S`."""
    return max(1000, int(chunk * min(4.0, max(0.25, _CHUNK_S / max(seconds, 1e-6)))))


def writer(path: Path, run: RunFile, simulation: ElectrodeJob) -> TrajectoryWriter:
    """The file of a run, in the place of one that is there."""
    interphase = simulation.setup.interphase
    return TrajectoryWriter(
        path,
        lattice=simulation.model.lattice,
        chemistry=None if interphase is None else interphase.chemistry,
        run_text=run.text,
        resolved=simulation.setup.resolved(),
        seed=run.random.seed,
        overwrite=True,
    )
