"""Stop rules of a run, and the times at which samples and frames are due."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from kmc.kernels import tables
from kmc.model import electrochemistry
from kmc.model.model import Model
from kmc.runfile.protocol import Step
from kmc.runfile.sections import Cadence, Stop
from kmc.systems.electrode.engine import UNLIMITED, Engine

_ROUNDING = 1e-6  # keeps 2 monolayers of 1024 sites at 2048 atoms, not 2049

_COUNTERS = {"events": tables.EVENTS, "vacant_L1": tables.VACANT_L1}


def _count(engine: Engine, counter: str) -> int:
    """What the loop compares with a limit: a counter, or the net charge in atoms."""
    return engine.net_charge if counter == "before_strip" else engine.count(_COUNTERS[counter])


_ENDINGS = {
    tables.NO_ELECTROACTIVE: "no electroactive atom left at the interface",
    tables.NO_EVENT: "no event is possible any more",
    tables.NO_SITE: "no vacant site left to plate on",
}


EARLY = tuple(_ENDINGS.values())  # ends of a step of a protocol that were not asked for


@dataclass(frozen=True)
class _Rule:
    """A stop at a value of a counter of the event loop."""

    counter: str
    value: int
    reason: str


class StopRules:
    """The stops of a run file as limits of the event loop.

    Attributes
    ----------
    limits : dict
        Arguments of `Engine.advance` for the stops that the loop itself checks.
    """

    def __init__(self, stop: Stop, model: Model):
        self.stop = stop
        self._rules = list(_rules(stop, model))
        self.limits: dict[str, float] = {}
        for rule in self._rules:
            self.limits[rule.counter] = min(rule.value, self.limits.get(rule.counter, UNLIMITED))
        if stop.time_s is not None:
            self.limits["time_s"] = stop.time_s

    def reached(self, reason: int, engine: Engine) -> str:
        """Stop reason, empty while no stop is reached.

        Parameters
        ----------
        reason : int
            Returned by `Engine.advance`.
        """
        if reason in _ENDINGS:
            return _ENDINGS[reason]
        if reason == tables.TIME_IS_UP:
            return f"time_s reached {self.stop.time_s:g}"
        for rule in self._rules:
            if _reached(rule.counter, rule.value, engine):
                return rule.reason
        return ""

    def overpotential_reached(self, overpotential_V: float) -> str:
        """The same for the overpotential, which is computed with every sample."""
        limit = self.stop.overpotential_V
        if limit is not None and overpotential_V >= limit:
            return f"overpotential_V reached {limit:g}"
        return ""

    def contact_reached(self, contact_fraction: float) -> str:
        """The same for a contact that rises, which is compared with every sample."""
        return ""

    def ends_the_run(self, reason: str) -> bool:
        """Whether a stop ends the whole run, not only a step of its protocol."""
        return True

    def fraction(self, engine: Engine, start_vacant_L1: int) -> float:
        """Progress towards the nearest stop, 0 to 1."""
        done = [0.0]
        for counter, value in self.limits.items():
            if counter == "time_s":
                done.append(engine.time_s / value)
            elif counter == "vacant_L1":
                way = max(1, value - start_vacant_L1)
                done.append((engine.count(tables.VACANT_L1) - start_vacant_L1) / way)
            else:
                done.append(_count(engine, counter) / max(1, value))
        return min(1.0, max(done))


class StepRules(StopRules):
    """The ends of a step of a protocol, and those of the whole run that hold beside them.

    Parameters
    ----------
    stop : Stop
        Of the run: events.
    model : Model
    step : Step
    charge : int
        Net charge in atoms at the start of the step, in its direction.
    start_s : float
        Time at the start of the step.
    """

    def __init__(self, stop: Stop, model: Model, step: Step, charge: int, start_s: float):
        until = step.until
        self._start_charge = charge
        self._start_s = start_s
        self._duration_s = until.time_s
        self._sign = -1.0 if step.drive.plates else 1.0
        self._rising = until.contact_fraction
        falling = None
        if step.drive.flows and not step.drive.plates:
            self._rising, falling = None, until.contact_fraction
        if falling == 1.0:
            falling = math.nextafter(1.0, 0.0)  # one vacant site is below
        own = Stop(
            capacity_monolayers=until.capacity_monolayers,
            capacity_mAh_cm2=until.capacity_mAh_cm2,
            contact_fraction=falling,
            overpotential_V=until.overpotential_V,
            events=stop.events,
        )
        super().__init__(own, model)
        self._rules = [
            replace(rule, value=rule.value + charge) if rule.counter == "before_strip" else rule
            for rule in self._rules
        ]
        if "before_strip" in self.limits:
            self.limits["before_strip"] += charge
        if until.time_s is not None:
            self.limits["time_s"] = start_s + until.time_s

    def reached(self, reason: int, engine: Engine) -> str:
        if reason == tables.TIME_IS_UP:
            return f"time_s reached {self._duration_s:g}"
        return super().reached(reason, engine)

    def overpotential_reached(self, overpotential_V: float) -> str:
        return super().overpotential_reached(self._sign * overpotential_V)

    def contact_reached(self, contact_fraction: float) -> str:
        if self._rising is not None and contact_fraction >= self._rising:
            return f"contact_fraction rose to {self._rising:g}"
        return ""

    def ends_the_run(self, reason: str) -> bool:
        return reason.startswith("events")

    def fraction(self, engine: Engine, start_vacant_L1: int) -> float:
        done = [0.0]
        if "before_strip" in self.limits:
            way = max(1, self.limits["before_strip"] - self._start_charge)
            done.append((engine.net_charge - self._start_charge) / way)
        if self._duration_s:
            done.append((engine.time_s - self._start_s) / self._duration_s)
        return min(1.0, max(done))


def _rules(stop: Stop, model: Model):
    n_L1 = model.lattice.sites_per_layer
    if stop.capacity_monolayers is not None:
        # Whole atoms: a charge between two of them is passed with the later one.
        atoms = math.ceil(stop.capacity_monolayers * n_L1 - _ROUNDING)
        yield _Rule(
            "before_strip", atoms, f"capacity_monolayers reached {stop.capacity_monolayers:g}"
        )
    if stop.capacity_mAh_cm2 is not None:
        area = model.interface_area_A2
        exact = electrochemistry.atoms_of_capacity(
            stop.capacity_mAh_cm2, area, model.parameters.valence
        )
        atoms = math.ceil(exact - _ROUNDING)
        yield _Rule("before_strip", atoms, f"capacity_mAh_cm2 reached {stop.capacity_mAh_cm2:g}")
    if stop.contact_fraction is not None:
        # Compared as a count, which the loop keeps, and not as a share, which it would divide for.
        vacant = math.ceil(n_L1 * (1.0 - stop.contact_fraction) - _ROUNDING)
        yield _Rule("vacant_L1", vacant, f"contact_fraction fell to {stop.contact_fraction:g}")
    if stop.events is not None:
        yield _Rule("events", stop.events, f"events reached {stop.events}")


def _reached(limit: str, value: float, engine: Engine) -> bool:
    """Whether the run stands at a limit of the loop, and has gone as far as it may there."""
    if limit == "pause_time_s":
        return engine.time_s >= value
    if limit == "before_strip" and not engine.strip_is_due:
        return False
    return _count(engine, limit) >= value


class Recorder:
    """Schedule of samples or of frames.

    A record shows the state at its time, at each multiple of a cadence in s. At a multiple of a
    cadence in charge it shows the state in which the next atom is about to leave: as atoms leave at
    random, that is the state of any moment, without a vacancy that has just come. At a multiple of
    a cadence in events it shows the state right after that event.

    Attributes
    ----------
    passed : int
        Multiples of the cadence already recorded; the state of the schedule.
    """

    def __init__(self, cadence: Cadence, sites_per_layer: int, start: float = 0):
        self.cadence = cadence
        self.passed = 0
        self._start = start  # time, events or monolayers from which the multiples are counted
        self._sites_per_layer = sites_per_layer

    def limit(self) -> dict[str, float]:
        """Limit of `Engine.advance` at which the next record is due."""
        due = self._start + (self.passed + 1) * self.cadence.every
        if self.cadence.unit == "monolayers":
            return {"before_strip": math.ceil(due * self._sites_per_layer - _ROUNDING)}
        if self.cadence.unit == "events":
            return {"events": round(due)}
        return {"pause_time_s": due}

    def is_due(self, engine: Engine) -> bool:
        """Whether a record is due now; if so, the one after it becomes the next."""
        ((key, due),) = self.limit().items()
        if not _reached(key, due, engine):
            return False
        reached = engine.time_s if key == "pause_time_s" else _count(engine, key)
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
