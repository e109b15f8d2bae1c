"""The run of a box of atoms as a job: what it records, and when."""

import json
import math
import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import numpy as np

from kmc.common.provenance import collect, numerical_versions
from kmc.common.version import __version__
from kmc.errors import InputError, KmcError, KmcWarning
from kmc.files.schema import FRAME_COLUMNS
from kmc.kernels import loop, tables
from kmc.kernels.jit import reported_compilation
from kmc.model.initial.composition import initial_occupancy
from kmc.model.lattice import Lattice
from kmc.model.quantities import RETIRED
from kmc.runfile.load import RunFile
from kmc.systems.electrode import snapshot
from kmc.systems.electrode.engine import UNLIMITED, Engine
from kmc.systems.electrode.equilibrium_stepping import engine_of
from kmc.systems.electrode.phases import Beginning, Phase, first_beginning
from kmc.systems.electrode.setup import set_up
from kmc.systems.electrode.stopping import ROUNDING, is_reached
from kmc.systems.job import INTERRUPTED, Ended, Frame, Item, Job, Row

_CHUNK_S = 0.1  # interval at which the loop returns for Ctrl-C, progress and flushes
_FIRST_CHUNK = 20_000  # attempts


class ElectrodeJob(Job):
    """One run: the model, the running configuration, and when to record and to stop.

    - `run`: a checked run file (`kmc.runfile.load.load_run`).
    - `check_every`: interval in events at which the state is compared with one rebuilt from
      scratch.
    """

    goes_on_after_its_end = True

    def __init__(self, run: RunFile, *, check_every: int | None = None):
        super().__init__()
        self.run_file = run
        self.check_every = check_every
        self.wall_time_s = run.stop.wall_time_s
        self._restored: Mapping[str, Any] | None = None  # the state that was taken up
        self._began: float | None = None
        self._loaded: tuple[float, int] | None = None  # time and events after the first chunk
        self._chunk = _FIRST_CHUNK
        self._sample = self._frame = False  # whether the present state is recorded
        self._ended: list | None = None
        self._sound = 0  # events up to which a check found no difference
        self._next_check: int = UNLIMITED
        self._check_s = math.inf  # duration of the last check
        self._aim: dict[str, float] = {}  # limit of the loop at which `advance` ends the step
        self._asked_atoms = -math.inf  # charge that steps in monolayers have asked for
        # A stream each: more flaws, or another map, must not change the events' random numbers.
        seeds = np.random.SeedSequence(run.random.seed).spawn(4)
        self._start_seed, self._events_seed, for_flaws, for_map = seeds
        self.setup = set_up(run, for_flaws, for_map)
        self.model = self.setup.model
        self.resolved = self.setup.resolved()
        self.parameters = self.resolved["parameters"]
        interphase = self.setup.interphase
        chemistry = None if interphase is None else interphase.chemistry
        self.constants, self.record = of_lattice(self.model.lattice, chemistry)

    @cached_property
    def engine(self) -> Engine:
        """The running configuration; at the beginning the initial one."""
        system = self.run_file.system
        occupancy = initial_occupancy(
            self.model,
            np.random.default_rng(self._start_seed),
            vacancy_fraction=system.vacancy_fraction,
            mg_fraction=system.mg_fraction,
            mg_coverage_L1=system.mg_coverage_L1,
            flaws=self.setup.flaws.sites,
        )
        rng = np.random.default_rng(self._events_seed)
        return engine_of(self.model)(self.model, occupancy, rng)

    @cached_property
    def phase(self) -> Phase:
        """The phase of the run that is going on."""
        phase = self._phase_of(first_beginning(self.run_file))
        self._start_vacant_L1 = self.engine.count(tables.VACANT_L1)
        return phase

    def restore(self, state: Mapping[str, Any]) -> None:
        # Rebuilt from the run file and compared with the state, so that an edited file or
        # another parameter set is refused instead of continued.
        self._restored = state
        self.phase = Phase(self.run_file, self.model, Beginning(**state["phase"]))
        self.engine = snapshot.restore(self.setup.models[self.phase.temperature_K], dict(state))
        self.phase.label(self.engine)
        recorders, passed = self.phase.recorders, state["recorded"]
        if len(passed) not in (2, len(recorders)):  # earlier versions know of no observations
            raise KmcError("state.recorded is of another run")
        for recorder, number in zip(recorders, passed, strict=False):
            recorder.passed = int(number)
        self._start_vacant_L1 = state["start_vacant_L1"]

    def state(self) -> dict[str, Any]:
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
            self._began, _ = time.monotonic(), self.phase  # its current flows from the first row on
            self._next_check = self.engine.count(tables.EVENTS) + (self.check_every or UNLIMITED)
            if self._restored is None:
                yield from self._record(sample=True, frame=True)
                return
            if self._restored["ended"]:
                ended = self._restored["ended"]
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
        following = phase.next(engine, reached) if reached else None
        if reached and following is None:
            self._ended = [phase.ending(reached, engine), self._sample, self._frame, reached]
            yield Ended(self._ended[0])
            return
        if following is not None:
            yield from self._change(following)
        if self._aim and self._is_there():
            yield Ended(INTERRUPTED)

    def _advance_engine(self) -> int:
        """A call of the event loop; returns why it came back."""
        engine = self.engine

        def compiling(done: int, of: int) -> None:
            self.bar.update(0.0, f"compiling the event loop, once: {done} of {of} functions")

        engine.bar = self.bar
        limits = self._limits()
        # Chunks are counted in attempts, which the clock of the machine does not change: where
        # the loop returns has no influence on what it computes.
        limits["events"] = min(self._next_check, limits.get("events", UNLIMITED))
        attempts, before = engine.count(tables.ATTEMPTS), time.monotonic()
        left_out = loop.left_out(engine.parts())
        with reported_compilation(loop.advance, compiling, left_out, self.interruption.compiling):
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

    def compare(self, run: Any) -> None:
        if np.any(self.constants["chemistry"] != run.chemistry):
            raise InputError(
                f"{run.path} cannot be continued: its map of interface chemistries has changed "
                "since the run began",
                advice="Restore the mask.",
            )
        now, then = (
            {**settings, "parameters": _numbers(settings.get("parameters", {}), self.run_file)}
            for settings in (self.resolved, run.resolved)
        )
        # The end of a run may have changed; what its events are computed from may not.
        for key in sorted((now.keys() | then.keys()) - {"run", "name", "facts"}):
            if difference := _difference(now.get(key), then.get(key), key):
                raise InputError(
                    f"{run.path} cannot be continued: {difference}",
                    advice="Restore the parameter file, or use the version of kmc that wrote the "
                    f"trajectory ({run.kmc_version}).",
                )
        self.record["provenance"] = _continued(run)

    def _limits(self) -> dict[str, Any]:
        """Limits of the event loop, to stop or to record."""
        limits: dict[str, Any] = dict(self.phase.ends.limits)
        recorders = self.phase.recorders if self.phase.observes else self.phase.recorders[:2]
        for some in (*(recorder.limit() for recorder in recorders), self._aim):
            for key, value in some.items():
                limits[key] = min(value, limits.get(key, UNLIMITED))
        return limits

    def aim(self, key: str, value: float) -> bool:
        """Let `advance` end after so many "events", seconds ("time_s") or "monolayers" of charge.

        False where the run is there already: less than an atom, which an earlier step has gone
        beyond. Ends of the run file stay in force: whichever comes first ends the step.
        """
        engine, _ = self.engine, self.phase  # its current counts the charge
        if key == "events":
            # A part of an event cannot be executed: the next whole one.
            self._aim = {"events": engine.count(tables.EVENTS) + math.ceil(value)}
        elif key == "time_s":
            self._aim = {"pause_time_s": engine.time_s + value}
        else:
            # Many small steps would add their rounding, unless each goes on from what was asked.
            if abs(self._asked_atoms - engine.net_charge) > 1:
                self._asked_atoms = engine.net_charge
            self._asked_atoms += value * self.model.lattice.sites_per_layer
            self._aim = {"before_strip": math.ceil(self._asked_atoms - ROUNDING)}
        return not self._is_there()

    def _is_there(self) -> bool:
        ((limit, value),) = self._aim.items()
        return is_reached(limit, value, self.engine)

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
        before = self.engine.net_charge
        self.phase = self._phase_of(beginning)
        # Charge counts in the direction of the current, which may turn within a step.
        turned = self.engine.net_charge - before
        self._asked_atoms += turned
        if "before_strip" in self._aim:
            self._aim["before_strip"] += turned

    def _phase_of(self, beginning: Beginning) -> Phase:
        phase = Phase(self.run_file, self.model, beginning)
        self.engine.set_model(self.setup.models[phase.temperature_K])
        phase.enter(self.engine)
        return phase

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
            at: dict[str, Any] = {name: np.float64(row[name]) for name in FRAME_COLUMNS}
            at["events"] = np.int64(row["events"])
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
            # In equilibrium between strips hundreds a second, in the event loop millions.
            million = speed >= 1e4
            parts.append(f"{speed / 1e6:.2f} M events/s" if million else f"{speed:.0f} events/s")
        done = self.phase.fraction(engine, self._start_vacant_L1)
        # Whichever end is nearer: the limit of wall time may come first.
        if self.wall_time_s and self._began is not None:
            done = min(1.0, max(done, (now - self._began) / self.wall_time_s))
        return done, "  ".join(parts)


def _next_chunk(chunk: int, seconds: float) -> int:
    """Attempts that take about `_CHUNK_S`."""
    return max(1000, int(chunk * min(4.0, max(0.25, _CHUNK_S / max(seconds, 1e-6)))))


def of_lattice(
    lattice: Lattice, chemistry: np.ndarray | None = None
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays and the part of the record that a file has of its box, and where it came from.

    - `chemistry`: that of each L1 site, shape (sites_per_layer,); None where there is one, 0.
    """
    layer = np.zeros(lattice.sites_per_layer, np.uint8)
    arrays = {
        "positions_A": lattice.positions_A,
        "layer": lattice.layer.astype(np.int32),
        "chemistry": layer if chemistry is None else chemistry.astype(np.uint8),
    }
    box = {
        "name": lattice.name,
        "boundary": lattice.boundary,
        "cells": list(lattice.cells),
        "layers": lattice.layers,
        "lattice_parameter_A": lattice.lattice_parameter_A,
        "box_A": lattice.box_A.tolist(),
    }
    return arrays, {"provenance": collect(), "lattice": box}


def _continued(run: Any) -> dict[str, str]:
    """Provenance of a run that goes on; warns where it may differ in the last bits."""
    provenance = dict(run.provenance)
    times = int(provenance.get("continued", "0").split()[0]) + 1
    now = datetime.now(UTC).isoformat(timespec="seconds")
    provenance["continued"] = f"{times} times, last by kmc {__version__} at {now}"
    before = provenance.get("continued_with", numerical_versions(provenance))
    versions = numerical_versions(collect())
    if versions != before:
        provenance["continued_with"] = versions
        warnings.warn(
            f"{run.path} was written with {before} and is continued with {versions}: it may differ "
            "in the last bits from an uninterrupted run",
            KmcWarning,
            stacklevel=2,
        )
    return provenance


def _numbers(parameters: dict[str, dict], run: RunFile) -> dict[str, dict]:
    """Values and units of parameters: a note that is reworded leaves a run what it is.

    Only creep asked for the quantities that are gone; without pressure nothing creeps.
    """
    steps = (planned.step.stack_pressure_MPa for planned in run.protocol.plan)
    pressed = bool(run.conditions.stack_pressure_MPa or any(steps))
    return {
        key: {part: table.get(part) for part in ("value", "unit")}
        for key, table in parameters.items()
        if pressed or key not in RETIRED
    }


def _difference(now: Any, then: Any, name: str) -> str:
    """The first value that has changed since the run began; empty if there is none."""
    if isinstance(now, dict) and isinstance(then, dict):
        for key in sorted(now.keys() | then.keys()):
            if found := _difference(now.get(key), then.get(key), f"{name}.{key}"):
                return found
        return ""
    # As JSON, in which the file has it: tuples are lists there, and NaN equals itself.
    same = json.dumps(now, sort_keys=True) == json.dumps(then, sort_keys=True)
    return "" if same else f"{name} was {then} when the run began and is {now} now"
