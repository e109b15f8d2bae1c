"""A box of atoms that is driven step by step from Python, without a file.

>>> sim = kmc.Simulation("strip_li", {"system.size": [16, 16, 16]})      # doctest: +SKIP
>>> while not sim.step(monolayers=0.1):                                  # doctest: +SKIP
...     print(sim.samples.contact_fraction[-1], len(sim.voids()))
"""

import inspect
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from kmc.analysis import voids
from kmc.common.progress import Silent
from kmc.errors import InputError
from kmc.files.samples import Columns, Named
from kmc.files.schema import COUNTS, SAMPLES
from kmc.kernels import tables
from kmc.model.lattice import Lattice
from kmc.runfile.kinds import BOX
from kmc.runfile.load import load_run
from kmc.runfile.run_file import RunFile
from kmc.systems.electrode import run as runs
from kmc.systems.electrode.engine import UNLIMITED
from kmc.systems.electrode.phases import Beginning
from kmc.systems.electrode.stopping import ROUNDING, is_reached
from kmc.systems.in_memory import Memory, TableSimulation
from kmc.systems.job import INTERRUPTED, Goal, carry_out, the_one_of


class BoxView:
    """The box of atoms of a run at this moment."""

    @property
    def _box(self) -> Any:
        return self

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


class LiveSample(Named, BoxView):
    """One sample of a run that is going on: its columns, and the box at that moment.

    Columns are those of `/samples`: ``sample["time_s"]`` or ``sample.time_s``.
    """

    def __init__(self, row: Mapping[str, float], simulation: runs.ElectrodeJob):
        super().__init__(row)
        self._simulation = simulation

    @property
    def _box(self) -> runs.ElectrodeJob:
        if not isinstance(self._simulation, runs.ElectrodeJob):
            raise InputError(
                "the sample of a run that is no box of atoms has columns alone, "
                "not occupancy, lattice and voids",
                advice=f"There are: {', '.join(self)}.",
            )
        return self._simulation


def observer_of(
    callback: Callable[[LiveSample], Any],
) -> Callable[[dict, runs.ElectrodeJob], bool]:
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

    def observe(row: dict, simulation: runs.ElectrodeJob) -> bool:
        answer = callback(LiveSample(row, simulation))
        if answer not in (None, True, False):
            raise InputError(
                f"the callback returned {answer!r} at {row['time_s']:.4g} s",
                advice="Return True to stop the run, False or None to go on.",
            )
        return bool(answer)

    return observe


Runnable = str | Path | Mapping[str, Any] | RunFile


def _run_file(run: Runnable, overrides: Mapping[str, Any] | None) -> RunFile:
    if not isinstance(run, RunFile):
        return load_run(run, overrides)
    if overrides:
        raise InputError(
            "overrides with a run that has been checked already",
            advice="Give the name, the path or the dict of the run with them.",
        )
    return run


class Simulation(runs.ElectrodeJob, BoxView):
    """A run to be driven step by step, in memory, to look into it or to steer an experiment.

    Of a population, deposition or cathode it is a `kmc.systems.in_memory.TableSimulation`, whose
    steps are counted in rows, seconds or monolayers.

    Parameters
    ----------
    run : str, Path, mapping or RunFile
        A shipped run, the path of a run file, or its sections as a dict.
    overrides : mapping, optional
        ``{"section.key": value}`` as for `kmc.run`.
    state : optional
        Earlier state of the run, as ``state()`` returned it.
    check_every : int, optional
        Interval in events at which the state is compared with one rebuilt from scratch.

    Attributes
    ----------
    stop_reason : str
        Why the run ended; empty while it can go on.

    Raises `InputError`: the run is invalid.
    """

    _goal: Mapping[str, float] = MappingProxyType({})  # where the step that is going on ends
    _asked_atoms = -math.inf  # charge that steps in monolayers have asked for

    def __new__(
        cls, run: Runnable, overrides: Mapping[str, Any] | None = None, **options: Any
    ) -> Any:
        # Not in a function: `kmc.Simulation` stays the class of boxes for isinstance.
        checked = _run_file(run, overrides)
        if checked.kind == BOX:
            return super().__new__(cls)
        from kmc.systems import SYSTEMS

        system = SYSTEMS[checked.kind]
        if options:
            raise InputError(
                f"{', '.join(options)} of {checked.name}, which is {system.noun}",
                advice="Leave it out: it is for boxes of atoms.",
            )
        return TableSimulation(system, checked)

    def __init__(
        self,
        run: Runnable,
        overrides: Mapping[str, Any] | None = None,
        *,
        state: Mapping[str, Any] | None = None,
        check_every: int | None = None,
    ):
        super().__init__(_run_file(run, overrides), check_every=check_every)
        if state is not None:
            self.restore(state)
        _ = self.phase  # so that the box can be looked at before the first step
        self.stop_reason = ""
        self._memory = Memory()

    def step(
        self,
        *,
        events: int | None = None,
        time_s: float | None = None,
        monolayers: float | None = None,
    ) -> str:
        """Go on by so many events, seconds of simulated time, or monolayers of charge.

        Samples are taken at the cadence of the run file, and one where the step ends. Frames are
        not kept. A step in monolayers ends where the next atom is about to leave; small ones add up
        without rounding.

        Returns why the run has ended (`stop_reason`); empty where it can go on.

        Raises `InputError`: not exactly one of the three, a value that is not above 0, or
        monolayers without a current.
        """
        key, value = the_one_of(events=events, time_s=time_s, monolayers=monolayers)
        if key == "monolayers" and not (self.run_file.has_current and self.model.has_interface):
            raise InputError(
                f"step(monolayers={value:g}) in a run without a current: no charge passes",
                advice="Use step(time_s=…) or step(events=…).",
            )
        if self.stop_reason:
            return self.stop_reason
        engine = self.engine
        if key == "events":
            # A part of an event cannot be executed: the next whole one.
            self._goal = {"events": engine.count(tables.EVENTS) + math.ceil(value)}
        elif key == "time_s":
            self._goal = {"pause_time_s": engine.time_s + value}
        else:
            # Many small steps would add their rounding, unless each goes on from what was asked.
            if abs(self._asked_atoms - engine.net_charge) > 1:
                self._asked_atoms = engine.net_charge
            self._asked_atoms += value * self.model.lattice.sites_per_layer
            self._goal = {"before_strip": math.ceil(self._asked_atoms - ROUNDING)}
        if self._at_goal():  # less than an atom, which an earlier step has gone beyond
            return ""
        try:
            reason = carry_out(self, self._memory, Silent(), Goal(self._at_goal))  # type: ignore[arg-type]
        finally:
            self._goal = {}
        self.stop_reason = "" if reason == INTERRUPTED else reason
        return self.stop_reason

    def _at_goal(self) -> bool:
        ((limit, value),) = self._goal.items()
        return is_reached(limit, value, self.engine)

    def _enter(self, beginning: Beginning) -> None:
        # Charge counts in the direction of the current, which may turn within a step.
        before = self.engine.net_charge
        super()._enter(beginning)
        turned = self.engine.net_charge - before
        self._asked_atoms += turned
        if "before_strip" in self._goal:
            self._goal = {"before_strip": self._goal["before_strip"] + turned}

    def _limits(self) -> dict[str, Any]:
        limits = super()._limits()
        for key, value in self._goal.items():
            # Ends of the run file stay in force: whichever comes first ends the step.
            limits[key] = min(value, limits.get(key, UNLIMITED))
        return limits

    @property
    def samples(self) -> Columns:
        """The samples so far, as in a trajectory; none before the first step."""
        rows = self._memory.rows
        # Made anew each time: whoever holds an earlier one keeps the rows of that moment.
        columns = {
            name: np.array([row[name] for row in rows], np.int64 if name in COUNTS else float)
            for name in SAMPLES
        }
        return Columns(columns, {name: unit for name, (unit, _) in SAMPLES.items()})

    def __repr__(self) -> str:
        engine = self.engine
        charge = engine.net_strips / self.model.lattice.sites_per_layer
        state = self.stop_reason or "can go on"
        return (
            f"Simulation of {self.run_file.name}: {engine.time_s:.4g} s, {engine.events} events, "
            f"{charge:.4g} monolayers; {state}"
        )
