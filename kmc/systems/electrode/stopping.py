"""Ends of the phases of a run, and the times at which samples and frames are due."""

import math
from collections.abc import Iterator, Mapping

from kmc.kernels import tables
from kmc.model import electrochemistry
from kmc.model.model import Model
from kmc.runfile.protocol import Step
from kmc.runfile.sections import Cadence, Stop
from kmc.systems.electrode.engine import UNLIMITED, Engine

ROUNDING = 1e-6  # keeps 2 monolayers of 1024 sites at 2048 atoms, not 2049
_COUNTERS = {"events": tables.EVENTS, "vacant_L1": tables.VACANT_L1}
_ENDINGS = {
    tables.NO_ELECTROACTIVE: "no electroactive atom left at the interface",
    tables.NO_EVENT: "no event is possible any more",
    tables.NO_SITE: "no vacant site left to plate on",
}
EARLY = tuple(_ENDINGS.values())  # ends of a step of a protocol that were not asked for


def _now(limit: str, engine: Engine) -> float:
    """What the loop compares with a limit: the clock, the net charge in atoms, or a counter."""
    if limit in ("time_s", "pause_time_s"):
        return engine.time_s
    return engine.net_charge if limit == "before_strip" else engine.count(_COUNTERS[limit])


def is_reached(limit: str, value: float, engine: Engine) -> bool:
    """Whether the run stands at a limit of the loop, and has gone as far as it may there."""
    if limit == "before_strip" and not engine.strip_is_due:
        return False
    return _now(limit, engine) >= value


class Ends:
    """The stops of a phase as limits of the event loop.

    - `stop`: counted from `start`.
    - `start`: limit of the loop → its value at the beginning of the phase; charge in the direction
      of the current.
    - `step`: the step of a protocol that the phase is.
    - `limits`: arguments of `Engine.advance` for the stops that the loop itself checks.
    """

    def __init__(self, stop: Stop, model: Model, start: Mapping[str, float], step: Step | None):
        self.stop, self._start, self._step = stop, start, step
        # Contact rises while metal is plated, and the limits of the loop see it fall alone.
        self._rising = None if step is None or strips(step) else step.until.contact_fraction
        self._sign = -1.0 if step is not None and step.drive.plates else 1.0
        self._stops = list(_stops(stop, model, start))
        self.limits: dict[str, float] = {}
        for limit, value, _ in self._stops:
            self.limits[limit] = min(value, self.limits.get(limit, UNLIMITED))
        if stop.time_s is not None:
            self.limits["time_s"] = start["time_s"] + stop.time_s

    def reached(self, reason: int, engine: Engine) -> str:
        """Stop reason, empty while no stop is reached.

        - `reason`: returned by `Engine.advance`.
        """
        if reason in _ENDINGS:
            return _ENDINGS[reason]
        if reason == tables.TIME_IS_UP:
            at_s = self.limits["time_s"] if self._step is None else self.stop.time_s
            return f"time_s reached {at_s:g}"
        reasons = (text for limit, value, text in self._stops if is_reached(limit, value, engine))
        return next(reasons, "")

    def reached_at(self, row: Mapping[str, float]) -> str:
        """The same for overpotential and rising contact, which each sample has."""
        volts, contact = self.stop.overpotential_V, self._rising
        if volts is not None and self._sign * row["overpotential_V"] >= volts:
            return f"overpotential_V reached {volts:g}"
        if contact is not None and row["contact_fraction"] >= contact:
            return f"contact_fraction rose to {contact:g}"
        return ""

    def end_the_run(self, reason: str) -> bool:
        """Whether a stop ends the whole run, not only a step of its protocol."""
        return self._step is None or reason.startswith("events")

    def fraction(self, engine: Engine, start_vacant_L1: int) -> float:
        """Progress towards the nearest stop, 0 to 1; of a step, by charge and time."""
        start, done = {**self._start, "vacant_L1": start_vacant_L1}, [0.0]
        for limit, value in self.limits.items():
            way, begun = value - start.get(limit, 0), start.get(limit, 0)
            # Contact and events say nothing of how far a step is: these ends may never come.
            if way > 0 and (self._step is None or limit in ("before_strip", "time_s")):
                done.append((_now(limit, engine) - begun) / way)
        return min(1.0, max(done))


def strips(step: Step) -> bool:
    """Whether a step takes atoms away, so that contact falls to its end."""
    return step.drive.flows and not step.drive.plates


def stop_of(step: Step, run: Stop) -> Stop:
    """The ends of a step, and that of the whole run which holds beside them."""
    until = step.until
    falling = until.contact_fraction if strips(step) else None
    if falling == 1.0:
        falling = math.nextafter(1.0, 0.0)  # one vacant site is below
    return Stop(**{**dict(until), "contact_fraction": falling, "events": run.events})


def _stops(
    stop: Stop, model: Model, start: Mapping[str, float]
) -> Iterator[tuple[str, float, str]]:
    """Limit of the loop, its value, and the stop reason."""
    n_L1, passed = model.lattice.sites_per_layer, start["before_strip"]
    # Whole atoms: a charge between two of them is passed with the later one.
    if (layers := stop.capacity_monolayers) is not None:
        atoms = passed + math.ceil(layers * n_L1 - ROUNDING)
        yield "before_strip", atoms, f"capacity_monolayers reached {layers:g}"
    if (charge := stop.capacity_mAh_cm2) is not None:
        area_A2, valence = model.lattice.area_A2, model.parameters.valence
        exact = electrochemistry.atoms_of_capacity(charge, area_A2, valence)
        atoms = passed + math.ceil(exact - ROUNDING)
        yield "before_strip", atoms, f"capacity_mAh_cm2 reached {charge:g}"
    if (contact := stop.contact_fraction) is not None:
        # Compared as a count, which the loop keeps, and not as a share, which it would divide for.
        vacant = math.ceil(n_L1 * (1.0 - contact) - ROUNDING)
        yield "vacant_L1", vacant, f"contact_fraction fell to {contact:g}"
    if stop.events is not None:
        events = start["events"] + stop.events
        yield "events", events, f"events reached {events}"


class RecordTimes:
    """Schedule of samples or of frames.

    A record shows the state at its time, at each multiple of a cadence in s. At a multiple of a
    cadence in charge it shows the state in which the next atom is about to leave: as atoms leave at
    random, that is the state of any moment, without a vacancy that has just come. At a multiple of
    a cadence in events it shows the state right after that event.

    - `passed` (int): multiples of the cadence already recorded; the state of the schedule.
    """

    def __init__(self, cadence: Cadence, sites_per_layer: int, start: float):
        self.cadence = cadence
        self.passed = 0
        self._start = start  # time, events or monolayers from which the multiples are counted
        self._sites_per_layer = sites_per_layer

    def limit(self) -> dict[str, float]:
        """Limit of `Engine.advance` at which the next record is due."""
        due = self._start + (self.passed + 1) * self.cadence.every
        if self.cadence.unit == "monolayers":
            return {"before_strip": math.ceil(due * self._sites_per_layer - ROUNDING)}
        if self.cadence.unit == "events":
            return {"events": round(due)}
        return {"pause_time_s": due}

    def is_due(self, engine: Engine) -> bool:
        """Whether a record is due now; if so, the one after it becomes the next."""
        ((key, due),) = self.limit().items()
        if not is_reached(key, due, engine):
            return False
        reached = _now(key, engine)
        per_unit = self._sites_per_layer if key == "before_strip" else 1
        passed = reached - per_unit * self._start
        # One record for all multiples passed: an event can take longer than an interval.
        multiples = math.floor(passed / (per_unit * self.cadence.every))
        self.passed = max(self.passed, multiples - 1)
        step = 1  # doubled: the next multiple of a tiny cadence may round to the same time
        while due <= reached:
            self.passed += step
            step *= 2
            ((_, due),) = self.limit().items()
        return True
