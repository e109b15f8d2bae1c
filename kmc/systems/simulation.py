"""A run of any kind that is driven step by step from Python, without a file; samples of a run.

>>> sim = kmc.Simulation("strip_li", {"system.size": [16, 16, 16]})      # doctest: +SKIP
>>> while not sim.step(monolayers=0.1):                                  # doctest: +SKIP
...     print(sim.samples.contact_fraction[-1], len(sim.voids()))
"""

import inspect
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kmc.analysis import voids
from kmc.common.interruption import Interruption
from kmc.common.progress import Silent
from kmc.errors import InputError
from kmc.files.samples import Columns, Named
from kmc.model.lattice import Lattice
from kmc.runfile.load import load_run
from kmc.runfile.run_file import RunFile
from kmc.systems import SYSTEMS
from kmc.systems.electrode.run import ElectrodeJob
from kmc.systems.job import INTERRUPTED, STOPPED_BY_CALLBACK, Job, carry_out


class LiveBox:
    """The box of atoms of a run at this moment."""

    job: Job

    @property
    def _box(self) -> ElectrodeJob:
        if not isinstance(self.job, ElectrodeJob):
            raise InputError(
                "a run that is no box of atoms has columns alone, not occupancy, lattice and voids",
                advice="`samples` of a `kmc.Simulation` has its columns, `frame` its arrays.",
            )
        return self.job

    @property
    def occupancy(self) -> np.ndarray:
        """What each site holds now, uint8 of shape (n_sites,): 0 vacancy, 1 Li, 2 Mg."""
        return self._box.engine.occupancy()

    @property
    def lattice(self) -> Lattice:
        """The box: positions in Å, layers, neighbours."""
        return self._box.model.lattice

    def voids(self, min_size: int = voids.DEFAULT_MIN_SIZE) -> voids.Voids:
        """Voids of at least `min_size` connected vacancies at this moment."""
        return voids.find(self.occupancy, self.lattice, min_size)


class LiveSample(Named, LiveBox):
    """One sample of a run that is going on: its columns, and the box at that moment.

    Columns are those of `/samples`: ``sample["time_s"]`` or ``sample.time_s``.
    """

    def __init__(self, row: Mapping[str, float], job: Job):
        super().__init__(row)
        self.job = job


def observer_of(
    callback: Callable[[LiveSample], Any],
) -> Callable[[Mapping[str, float], Job], bool]:
    """What the loop calls with each sample and the run at that moment; True asks it to stop.

    Raises `InputError`: the callback cannot be called with one sample: before anything is computed.
    """
    try:
        inspect.signature(callback).bind(None)
    except (TypeError, ValueError) as problem:
        # A builtin may have no signature to look at, and is called then.
        if not callable(callback) or isinstance(problem, TypeError):
            raise InputError(
                f"callback = {callback!r} cannot be called with a sample: {problem}",
                advice="Give a function of one argument, def watch(sample): ...",
            ) from None

    def observe(row: Mapping[str, float], job: Job) -> bool:
        answer = callback(LiveSample(row, job))
        if answer not in (None, True, False):
            raise InputError(
                f"the callback returned {answer!r} at {row['time_s']:.4g} s",
                advice="Return True to stop the run, False or None to go on.",
            )
        return bool(answer)

    return observe


class Memory:
    """Takes the place of the file: keeps rows and the last frame of the present replica."""

    position = None  # no state is kept, so that a step does not pack one

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []
        self.frame: dict[str, Any] = {}

    def append_sample(self, row: Mapping[str, float]) -> None:
        self.rows.append(dict(row))

    def append_frame(self, **arrays: Any) -> None:
        # The run goes on in its own arrays, so that those of a frame are copied.
        self.frame = {
            name: value if isinstance(value, Mapping) else np.array(value)
            for name, value in arrays.items()
        }

    def append_listed(self, name: str, columns: Mapping[str, Any]) -> None:
        """Events between frames are not kept."""

    def next_replica(self) -> None:
        self.rows, self.frame = [], {}

    def flush(self, checkpoint: bytes | None = None) -> None:
        """There is no file."""

    def close(self, **ending: Any) -> None:
        """There is no file."""


class Simulation(LiveBox):
    """A run to be driven step by step, in memory, to look into it or to steer an experiment.

    - `run`: a shipped run, the path of a run file, or its sections as a dict.
    - `overrides`: ``{"section.key": value}`` as for `kmc.run`.
    - `state`: earlier state of the run, as ``state()`` returned it.
    - `check_every`: of a box: interval in events at which the state is compared with one rebuilt
      from scratch.

    - `stop_reason`: why the run ended; empty while it can go on.
    - `job`: the state of the run, with the methods of its kind.
    - `facts`: what followed from the input before the run.

    Raises `InputError`: the run is invalid.
    """

    def __init__(
        self,
        run: str | Path | Mapping[str, Any] | RunFile,
        overrides: Mapping[str, Any] | None = None,
        *,
        state: Mapping[str, Any] | None = None,
        check_every: int | None = None,
    ):
        if overrides and isinstance(run, RunFile):
            raise InputError(
                "overrides with a run that has been checked already",
                advice="Give the name, the path or the dict of the run with them.",
            )
        self.run_file = run if isinstance(run, RunFile) else load_run(run, overrides)
        self.system = SYSTEMS[self.run_file.kind]
        self.system.refuse_check(check_every)
        self.job = self.system.prepare(self.run_file, Silent())
        self.job.check_every = check_every
        if state is not None:
            self.job.restore(state)
        self.facts = self.job.facts
        self.stop_reason = ""
        self._memory = Memory()

    def step(
        self,
        *,
        rows: int | None = None,
        events: int | None = None,
        time_s: float | None = None,
        monolayers: float | None = None,
    ) -> str:
        """Go on by so many rows, seconds of simulated time, or monolayers of charge.

        Samples are taken at the cadence of the run file; the first is that of the start. Charge
        counts in the direction of the current, which may turn.

        A box of atoms is driven by `events` instead of `rows`, and has one more sample where the
        step ends; one in monolayers ends where the next atom is about to leave, and small ones add
        up without rounding. Steps of other kinds end with the first row at their end or beyond.

        Returns why the run has ended (`stop_reason`); empty where it can go on.

        Raises `InputError`: not exactly one of the three, a value that is not above 0, or
        monolayers of a run in which no charge passes.
        """
        job = self.job
        counted = {"events": events} if isinstance(job, ElectrodeJob) else {"rows": rows}
        key, value = _the_one_of(**counted, time_s=time_s, monolayers=monolayers)
        passes = self.system.charge is not None and self.run_file.has_current
        if key == "monolayers" and not passes:
            raise InputError(
                f"step(monolayers={value:g}) of {self.system.noun} in which no charge passes",
                advice=f"Use step(time_s=…) or step({next(iter(counted))}=…).",
            )
        if self.stop_reason:
            return self.stop_reason
        end, observer = math.inf, None

        def reached(*_: Any) -> bool:
            return self._now(key) >= end

        if not isinstance(job, ElectrodeJob):
            end, observer = self._now(key) + value, reached
        elif not job.aim(key, value):
            return ""
        reason = carry_out(job, self._memory, Silent(), Interruption(), observer)
        self.stop_reason = "" if reason in (INTERRUPTED, STOPPED_BY_CALLBACK) else reason
        return self.stop_reason

    def _now(self, key: str) -> float:
        rows = self._memory.rows
        if key == "rows":
            return float(len(rows))
        if not rows:
            return 0.0
        if key == "time_s":
            return rows[-1]["time_s"]
        column = "capacity_monolayers"
        unit = 1.0 if column in rows[-1] else self.facts["monolayer_mAh_cm2"]
        column = column if column in rows[-1] else "capacity_mAh_cm2"
        # Charge that has passed: the capacity of a column falls again where the current turns.
        return float(np.abs(np.diff([row[column] for row in rows], prepend=0.0)).sum()) / unit

    def state(self) -> dict[str, Any]:
        """All that another `Simulation` needs to go on from here."""
        return self.job.state()

    @property
    def samples(self) -> Columns:
        """The rows so far, as in a file; of the present replica where there are several."""
        rows, layout = self._memory.rows, self.system.layout
        # Made anew each time: whoever holds an earlier one keeps the rows of that moment.
        columns = {
            name: np.array([row[name] for row in rows], int if name in layout.counts else float)
            for name in layout.samples
        }
        return Columns(columns, {name: unit for name, (unit, _) in layout.samples.items()})

    @property
    def frame(self) -> dict[str, Any]:
        """Arrays of the last frame by name; lists of what is in it are mappings of columns."""
        return self._memory.frame

    def __repr__(self) -> str:
        rows = self._memory.rows
        return (
            f"Simulation of {self.run_file.name}, {self.system.noun}: {self._now('time_s'):.4g} s, "
            f"{len(rows)} rows; {self.stop_reason or 'can go on'}"
        )


def _the_one_of(**given: float | None) -> tuple[str, float]:
    """Name and value of the one argument of a step that is given; see `Simulation.step`."""
    named = {key: value for key, value in given.items() if value is not None}
    if len(named) != 1:
        raise InputError(
            f"step({', '.join(f'{k}={v:g}' for k, v in named.items())})",
            advice=f"Give one of {', '.join(f'{key}=' for key in given)}.",
        )
    ((key, value),) = named.items()
    if not (math.isfinite(value) and value > 0):
        raise InputError(f"step({key}={value:g})", advice="Give a number above 0.")
    return key, value
