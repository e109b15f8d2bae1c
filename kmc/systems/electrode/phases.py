"""Phases of a run: each has its current, its stops and its cadence.

A run strips until the first stop of its file, and may rest without current after it. With a
protocol, each of its steps is a phase.
"""

from dataclasses import dataclass

from kmc.model.connectivity import conductive_columns
from kmc.model.electrochemistry import Drive
from kmc.model.model import Model
from kmc.runfile.load import RunFile
from kmc.runfile.protocol import HOLD, Step
from kmc.runfile.sections import Cadence, Stop
from kmc.systems.electrode.engine import Engine
from kmc.systems.electrode.stopping import EARLY, Ends, RecordTimes, stop_of

STRIP, REST = 0, 1
_OBSERVATIONS = 30  # of the isolated vacancies between two rows of a rest


@dataclass(frozen=True)
class Beginning:
    """Start of a phase, as stored in checkpoints.

    - `phase`: 0 strip (or no current at all), 1 rest: the column `phase` of the samples.
    - `before`: why the phase before it ended; empty for the first. In a protocol, why the first of
      the steps that ended early did so.
    - `step`: number of the step of the protocol, from 1; 0 without one.
    - `strips`: strips less plates.
    - `early`: steps of the protocol that ended before any of the ends they were given.
    """

    phase: int = STRIP
    time_s: float = 0.0
    events: int = 0
    before: str = ""
    step: int = 0
    strips: int = 0
    early: int = 0


class Phase:
    """Stops and records of one phase of a run.

    - `ends` (Ends)
    - `samples`, `frames` (RecordTimes); `observations`, where `observes`: moments at which the
      isolated vacancies are counted
    - `temperature_K` (float)
    """

    def __init__(self, run: RunFile, model: Model, beginning: Beginning):
        n_L1 = model.lattice.sites_per_layer
        self.beginning = beginning
        self._run, self._plan = run, run.protocol.plan
        self._conductive = None
        if model.interphase is not None:
            flags = [entry.conductive for entry in run.interface.chemistry or ()]
            self._conductive = conductive_columns(flags, model.interphase.chemistry)
        self.step = self._plan[beginning.step - 1] if beginning.step else None
        self.temperature_K = run.conditions.temperature_K
        step, charge, since = None, beginning.strips, beginning.events
        if self.step is not None:
            step = self.step.step
            if step.temperature_K is not None:
                self.temperature_K = step.temperature_K
            if step.drive.plates:  # so that plating rises to its end as stripping does
                charge = -charge
            since = 0  # the events at which a run stops are those of all its steps
            stop, cadences = stop_of(step, run.stop), []
            for cadence, every_s, parts in (
                (run.cadence("sample"), run.output.sample_every_s, 20),
                (run.cadence("frame"), run.output.frame_every_s, 2),
            ):
                # At a held voltage charge may come to a halt, and a rest passes none to count.
                if step.do == HOLD and every_s is not None:
                    cadence = Cadence(every_s, "s")
                elif cadence.unit == "monolayers" and not step.drive.flows:
                    assert step.until.time_s is not None, "a rest has a time"
                    cadence = Cadence(step.until.time_s / parts, "s")
                cadences.append(cadence)
        elif beginning.phase == STRIP:
            stop, cadences = run.stop, [run.cadence("sample"), run.cadence("frame")]
        else:
            rest = run.rest
            stop = Stop(time_s=rest.time_s, events=rest.events)
            cadences = [rest.cadence("sample"), rest.cadence("frame")]
        # The loop compares its own clock and counters with limits, so that these are absolute.
        start = {"before_strip": charge, "time_s": beginning.time_s, "events": since}
        self.ends = Ends(stop, model, start, step)
        begun = {"s": beginning.time_s, "events": beginning.events, "monolayers": charge / n_L1}
        flows = run.drive.flows and beginning.phase == STRIP
        if self.step is not None:
            flows = self.step.step.drive.flows
        self.observes = model.has_interface and not flows
        # A box holds a lone vacancy now and then: rows of a rest show a mean over many moments.
        every, unit = cadences[0]
        shorter = every / _OBSERVATIONS if unit == "s" else max(1, every // _OBSERVATIONS)
        cadences.append(Cadence(shorter, unit) if self.observes else cadences[0])
        self.samples, self.frames, self.observations = self.recorders = [
            RecordTimes(cadence, n_L1, begun[cadence.unit]) for cadence in cadences
        ]

    def enter(self, engine: Engine) -> None:
        """Set the engine's rates to those of this phase."""
        if self.step is not None:
            engine.set_drive(self.step.step.drive)
        elif self.beginning.phase == REST:
            engine.set_drive(Drive(stack_pressure_MPa=engine.drive.stack_pressure_MPa))
        self.label(engine)

    def label(self, engine: Engine) -> None:
        """Write number and cycle of this step into the samples, let plating go on where the
        interface is full, spare dead lithium."""
        engine.conductive = self._conductive
        if self.step is not None:
            engine.place = (self.step.number, self.step.cycle)
            engine.pushes = engine.spares = True
            engine.void_surfaces = self._run.conditions.plate_on_void_surfaces

    def next(self, engine: Engine, reason: str) -> Beginning | None:
        """The next phase after this one has ended for a reason; None at the end of the run."""
        if self.step is None:
            if self.beginning.phase == STRIP and self._run.rest.wanted:
                return Beginning(REST, engine.time_s, engine.events, reason)
            return None
        if self.ends.end_the_run(reason) or self.step.number == len(self._plan):
            return None
        before, early = self._early(reason)
        return Beginning(
            phase=_phase_of(self._plan[self.step.number].step),
            time_s=engine.time_s,
            events=engine.events,
            before=before,
            step=self.step.number + 1,
            strips=engine.net_strips,
            early=early,
        )

    def _early(self, reason: str) -> tuple[str, int]:
        """Why the first step that ended early did so, and how many there are by now."""
        begun = self.beginning
        if reason not in EARLY:
            return begun.before, begun.early
        assert self.step is not None
        # The first is named, as what comes after it often follows from it.
        first = begun.before or f"step {self.step.number} ({self.step.step}): {reason}"
        return first, begun.early + 1

    def fraction(self, engine: Engine, start_vacant_L1: int) -> float:
        """Progress of the run, 0 to 1."""
        done = self.ends.fraction(engine, start_vacant_L1)
        if self.step is None:
            return done
        return (self.step.number - 1 + done) / len(self._plan)

    def ending(self, reason: str, engine: Engine) -> str:
        """Stop reason of a run that ends in this phase."""
        if self.step is not None:
            first, early = self._early(reason)
            text = f"all {len(self._plan)} steps of the protocol are done"
            if self.ends.end_the_run(reason):
                text = f"{reason} in step {self.step.number} of {len(self._plan)}"
            return f"{text}; {early} ended early, the first was {first}" if early else text
        if self.beginning.phase == STRIP:
            return reason
        rested_s = engine.time_s - self.beginning.time_s
        if reason.startswith(("time_s", "events")):
            reason = f"rested for {rested_s:.4g} s"
        return f"{self.beginning.before}; then {reason}"


def first_beginning(run: RunFile) -> Beginning:
    """The start of a run."""
    if not run.has_protocol:
        return Beginning()
    return Beginning(phase=_phase_of(run.protocol.plan[0].step), step=1)


def _phase_of(step: Step) -> int:
    return STRIP if step.drive.flows else REST
