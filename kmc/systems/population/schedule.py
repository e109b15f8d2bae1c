"""Stages of a population's run, each with its current and its ends, and when rows are written.

A run without [[protocol]] has one stage with current, and a rest where it asks for one; with a
protocol each step is a stage.
"""

import math
from dataclasses import dataclass

import numpy as np

from kmc.model.electrochemistry import flux_per_cm2_s
from kmc.runfile.load import RunFile
from kmc.runfile.protocol import Planned

_EARLIEST_mAh_cm2 = 1e-7  # 0.7 ms at 0.5 mA/cm²: before voids nucleate
_REST_ROWS, _REST_FRAMES = 60, 9
_REST_FIRST = 1e-4  # of the rest
_FRAMES_PER_DECADE = 3
_SAME = 1e-9
_S_PER_H, _S_PER_MIN = 3600.0, 60.0


@dataclass(frozen=True)
class Due:
    """A row to be written: when, from the beginning of its stage, and whether with all voids."""

    time_s: float
    frame: bool


@dataclass(frozen=True)
class Stage:
    """A part of a run with one current."""

    #: Of the step of the protocol, as cycle, from 1; 0 without one.
    number: int
    cycle: int
    current_density_mA_cm2: float  #: above 0 to strip, below 0 to plate
    due: tuple[Due, ...]  #: rows; the last is the end of the stage
    reason: str  #: what that end is
    #: With overpotential_V an end before it.
    contact_fraction: float | None
    overpotential_V: float | None
    stack_pressure_MPa: float
    ends_run: bool  #: whether the run ends with a stage that ends before its last row

    @property
    def rests(self) -> bool:
        return self.current_density_mA_cm2 == 0


def stages(run: RunFile, monolayer_mAh_cm2: float) -> list[Stage]:
    """The stages of a run in order.

    - `monolayer_mAh_cm2`: charge of a layer of atoms, for steps that end by monolayers.
    """
    if run.has_protocol:
        return [_step(run, planned, monolayer_mAh_cm2) for planned in run.protocol.plan]
    conditions, pressure = run.conditions, run.conditions.stack_pressure_MPa
    current, end = conditions.current_density_mA_cm2, run.upscale.capacity_mAh_cm2
    stop = run.stop
    rows = _with_current(run, end, current, early=True, start=True)
    ends = (stop.contact_fraction, stop.overpotential_V, pressure, True)
    plan = [Stage(0, 0, current, rows, "capacity_mAh_cm2", *ends)]
    if run.rest.wanted:
        assert run.rest.time_s is not None, "checked with the run file"
        rows = _resting(run.rest.time_s, _REST_ROWS, _REST_FRAMES)
        plan.append(Stage(0, 0, 0.0, rows, "rest over", None, None, pressure, True))
    return plan


def _step(run: RunFile, planned: Planned, monolayer_mAh_cm2: float) -> Stage:
    step, until = planned.step, planned.step.until
    current = step.drive.current_density_mA_cm2
    pressure = step.stack_pressure_MPa
    if pressure is None:
        pressure = run.conditions.stack_pressure_MPa
    if current == 0:
        assert until.time_s is not None, "a rest has a time"
        n = min(_REST_ROWS, run.upscale.samples)
        rows, reason = _resting(until.time_s, n, min(_REST_FRAMES, run.upscale.frames)), "time_s"
    else:
        ends = {
            "capacity_monolayers": (until.capacity_monolayers, monolayer_mAh_cm2),
            "capacity_mAh_cm2": (until.capacity_mAh_cm2, 1.0),
            "time_s": (until.time_s, abs(current) / _S_PER_H),
        }
        charges = {key: value * unit for key, (value, unit) in ends.items() if value is not None}
        # Whichever comes first; the others cannot be reached any more.
        reason = min(charges, key=lambda key: charges[key])
        first = planned.number == 1
        rows = _with_current(run, charges[reason], abs(current), early=current > 0, start=first)
    others = (until.contact_fraction, until.overpotential_V, pressure, False)
    return Stage(planned.number, planned.cycle, current, rows, reason, *others)


def _with_current(
    run: RunFile, end: float, current: float, *, early: bool, start: bool
) -> tuple[Due, ...]:
    """Rows evenly in charge, and in its logarithm where voids may begin."""
    upscale = run.upscale
    per_s = current / _S_PER_H
    linear = np.linspace(0, end, upscale.samples + 1)
    rows_early = _decades(end, upscale.samples_per_decade) if early else []
    if upscale.image_every_min is None:
        marks = np.linspace(0, end, upscale.frames + 1)
        marks_early = _decades(end, _FRAMES_PER_DECADE) if rows_early else []
    else:
        every = upscale.image_every_min * _S_PER_MIN * per_s
        marks = np.append(np.arange(0, end * (1 - _SAME), every), end)
        marks_early = []
    frames = np.array([*marks, *marks_early])
    rows: list[float] = []
    for charge in np.sort([*linear, *frames, *rows_early]).tolist():
        # Without those that differ by roundings alone.
        if (charge > 0 or start) and not (rows and charge - rows[-1] <= _SAME * charge):
            rows.append(charge)
    return tuple(Due(c / per_s, bool(np.isclose(c, frames, _SAME, 0).any())) for c in rows)


def _resting(length_s: float, rows: int, frames: int) -> tuple[Due, ...]:
    # Voids close within seconds at first and over hours later: evenly in the logarithm of time.
    times = np.geomspace(_REST_FIRST, 1.0, rows) if rows > 1 else np.ones(1)
    marks = np.linspace(0, rows - 1, frames).round()
    return tuple(Due(length_s * t, i in marks) for i, t in enumerate(times))


def _decades(end: float, per_decade: int) -> list[float]:
    """Charges from `_EARLIEST_mAh_cm2` to below `end`, so many in each power of ten."""
    if not per_decade or end <= _EARLIEST_mAh_cm2:
        return []
    n = math.ceil(math.log10(end / _EARLIEST_mAh_cm2) * per_decade)
    return [end * 10.0 ** (-k / per_decade) for k in range(1, n)]


def flux_per_um2_s(current_density_mA_cm2: float, valence: int) -> float:
    """Atoms per µm² and second of a current density."""
    return flux_per_cm2_s(current_density_mA_cm2, valence) / 1e8
