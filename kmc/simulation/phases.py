"""Phases of a run: each has its current, its stops and its cadence.

A run strips until the first stop of its file, and may rest without current after it.
"""

from __future__ import annotations

from dataclasses import dataclass

from kmc.model.model import Model
from kmc.runfile.load import RunFile
from kmc.runfile.sections import Stop
from kmc.simulation.engine import Engine
from kmc.simulation.stopping import Recorder, StopRules

STRIP, REST = 0, 1


@dataclass(frozen=True)
class Beginning:
    """Start of a phase, as stored in checkpoints.

    Attributes
    ----------
    phase : int
        0 strip (or no current at all), 1 rest: the column `phase` of the samples.
    time_s : float
    events : int
    before : str
        Why the phase before it ended; empty for the first.
    """

    phase: int = STRIP
    time_s: float = 0.0
    events: int = 0
    before: str = ""


class Phase:
    """Stops and records of one phase of a run.

    Attributes
    ----------
    beginning : Beginning
    rules : StopRules
    samples, frames : Recorder
    """

    def __init__(self, run: RunFile, model: Model, beginning: Beginning):
        n_L1 = model.lattice.sites_per_layer
        self.beginning = beginning
        self._run = run
        if beginning.phase == STRIP:
            self.rules = StopRules(run.stop, model)
            self.samples = Recorder(run.sample_cadence, n_L1)
            self.frames = Recorder(run.frame_cadence, n_L1)
        else:
            self.rules = StopRules(_end_of_rest(run, beginning), model)
            self.samples, self.frames = (
                Recorder(cadence, n_L1, {"s": beginning.time_s}.get(cadence.unit, beginning.events))
                for cadence in (run.rest.cadence("sample"), run.rest.cadence("frame"))
            )

    def enter(self, engine: Engine) -> None:
        """Set the engine's rates to those of this phase."""
        if self.beginning.phase == REST:
            engine.rest()

    def next(self, engine: Engine, reason: str) -> Beginning | None:
        """The next phase after this one has ended for a reason; None at the end of the run."""
        if self.beginning.phase == STRIP and self._run.rest.wanted:
            return Beginning(REST, engine.time_s, engine.events, reason)
        return None

    def ending(self, reason: str, engine: Engine) -> str:
        """Stop reason of a run that ends in this phase."""
        if self.beginning.phase == STRIP:
            return reason
        rested_s = engine.time_s - self.beginning.time_s
        if reason.startswith(("time_s", "events")):
            reason = f"rested for {rested_s:.4g} s"
        return f"{self.beginning.before}; then {reason}"


def _end_of_rest(run: RunFile, beginning: Beginning) -> Stop:
    time_s, events = run.rest.time_s, run.rest.events
    return Stop(
        time_s=None if time_s is None else beginning.time_s + time_s,
        events=None if events is None else beginning.events + events,
        wall_time_s=run.stop.wall_time_s,
    )
