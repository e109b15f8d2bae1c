"""Checks the file of a population by recomputing its numbers from each other.

Volumes are balanced in every row, charge follows from current and time, volume and contact of every
frame from its gap, the terms of the overpotential from contact and supersaturation.
"""

import math
from collections.abc import Iterator

import numpy as np

from kmc.common.metals import VALENCES
from kmc.files.check_result import Breach, differences, first_breach
from kmc.files.table_file import mean_of
from kmc.files.table_run import Columns
from kmc.model.electrochemistry import capacity_mAh_cm2
from kmc.runfile.protocol import plan_of, stored_blocks
from kmc.systems.checks import frames_give, in_order, of_rows
from kmc.systems.population.life import KINDS
from kmc.systems.population.result import PopulationRun
from kmc.systems.population.voltage import kinetics_of

BALANCE = 1e-9  # of the volume stripped
_ROUNDING = 1e-9
_RISING = (
    *("time_s", "step", "nucleated_per_um2", "stripped_um", "dead_um"),
    *("splits", "collapses", "coalescences", "regained_fraction"),
)
_SINGLE = 1e-5  # the gap is stored in single precision: of its volume


def _balance(run: PopulationRun, s: Columns, place: str) -> Iterator[Breach]:
    made = s["stripped_um"] + s["initial_um"]
    ends = ("voids", "settled", "sink", "storage", "filled", "dead")
    gone = np.sum([s[f"{name}_um"] for name in ends], axis=0)
    # Written with "not smaller", as NaN would pass "larger than".
    wrong = ~(np.abs(made - gone) <= BALANCE * np.maximum(made, 1e-30))
    yield from first_breach("balance of volume", f"{place}/voids_um", wrong, gone, made)
    placed = s["filled_um"] + s["pushed_back_um"]
    wrong = ~(np.abs(s["plated_um"] - placed) <= BALANCE * np.maximum(s["plated_um"], 1e-30))
    yield from first_breach(
        "balance of plated metal", f"{place}/filled_um", wrong, placed, s["plated_um"]
    )


def _charge(run: PopulationRun, s: Columns, place: str) -> Iterator[Breach]:
    # The current of every row is that of its step, or of the run.
    current, plan = s["current_density_mA_cm2"], plan_of(stored_blocks(run.run))
    expected = run.run["conditions"]["current_density_mA_cm2"] * (s["phase"] == 0)
    if plan:
        wrong = (s["step"] < 1) | (s["step"] > len(plan))
        yield from first_breach("step", f"{place}/step", wrong, s["step"], math.nan)
        # Of a step that there is not; the first breach ends the check.
        steps = np.clip(s["step"].astype(int), 1, len(plan)) - 1
        expected = np.array([plan[n].step.drive.current_density_mA_cm2 for n in steps])
        cycles = np.array([plan[n].cycle for n in steps])
        yield from differences("cycle", f"{place}/cycle", s["cycle"], cycles)
    yield from differences("current", f"{place}/current_density_mA_cm2", current, expected)
    # The row at a change of current belongs to the step that ends, so that each row's current is
    # that of the interval before it.
    passed = current * np.diff(s["time_s"], prepend=0.0) / 3600
    expected, most = np.cumsum(passed), np.cumsum(np.abs(passed))
    close = _ROUNDING * most + 1e-18
    where, stored = f"{place}/capacity_mAh_cm2", s["capacity_mAh_cm2"]
    yield from differences("charge", where, stored, expected, close)
    charge_of_atom = capacity_mAh_cm2(1.0, 1e8, VALENCES[run.metal])
    per_charge = run.facts["site_volume_um3"] / charge_of_atom  # µm for each mAh/cm²
    for name, charge in (("stripped_um", passed > 0), ("plated_um", passed < 0)):
        expected = np.cumsum(np.abs(passed) * charge) * per_charge
        close = _ROUNDING * expected + 1e-18
        yield from differences("height", f"{place}/{name}", s[name], expected, close)


def _range(run: PopulationRun, s: Columns, place: str) -> Iterator[Breach]:
    wrong = ~((s["contact_fraction"] >= 0) & (s["contact_fraction"] <= 1))
    yield from first_breach(
        "range", f"{place}/contact_fraction", wrong, s["contact_fraction"], math.nan
    )


def _voltage(run: PopulationRun, s: Columns, place: str) -> Iterator[Breach]:
    kinetics = kinetics_of(run)
    columns = ("supersaturation", "contact_fraction", "current_density_mA_cm2")
    rows = zip(*(s[name] for name in columns), strict=True)
    terms = [kinetics.terms(S, contact, 0.0, current) for S, contact, current in rows]
    parts = ("concentration_V", "charge_transfer_V", "series_V")
    expected = {name: np.array([term[name] for term in terms]) for name in parts}
    # The constriction follows from the map, which frames alone have: its column is taken as it is.
    expected["overpotential_V"] = s["constriction_V"] + sum(s[name] for name in parts)
    for name, wanted in expected.items():
        yield from differences("overpotential", f"{place}/{name}", s[name], wanted, 1e-12)


def _pressure(run: PopulationRun, s: Columns, place: str) -> Iterator[Breach]:
    # Steps of a protocol set the fixture anew; files before 0.3 lack the column.
    if run.run.get("protocol") or "stack_pressure_MPa" not in s:
        return
    upscale = run.run["upscale"]
    swells = upscale["counter_electrode_share"] * (s["stripped_um"] - s["plated_um"])
    shorter = s["settled_um"] - s["pushed_back_um"] - swells
    expected = run.run["conditions"]["stack_pressure_MPa"]
    expected = expected - upscale["fixture_stiffness_MPa_per_um"] * shorter
    where, stored = f"{place}/stack_pressure_MPa", s["stack_pressure_MPa"]
    yield from differences("pressure", where, stored, np.maximum(0.0, expected), 1e-9)


def _mean(run: PopulationRun) -> Iterator[Breach]:
    expected = mean_of(run.replicas)
    for name, values in run.samples.items():
        if len(values) != len(expected[name]):
            length = f"{len(values)} rows"
            yield Breach("mean", f"/samples/{name}", None, length, len(expected[name]))
            return
        close = 1e-12 * np.abs(expected[name])
        yield from differences("mean", f"/samples/{name}", values, expected[name], close, True)


def _described(run: PopulationRun, frame: int) -> dict[str, float]:
    h, mine = run.gap_um(frame), run.points["frame"] == frame
    h = np.where(h < 0, np.nan, h)  # no gap is below 0
    # Points are smaller than cells: the grid does not hold them.
    volume = h.mean() + run.points["volume_um3"][mine].sum() / run.edge_um**2
    covered = np.pi * (run.points["radius_um"][mine] ** 2).sum() / run.edge_um**2
    contact = max(0.0, run.contact_map(frame).mean() - covered)
    # A frame does not hold the slopes of pinned rims: voids cover what the steepest leave, or more.
    if run.run["upscale"].get("contact_angle_hysteresis_deg", 0) > 0:
        stored = run.replicas[int(run.frames["replica"][frame])]["contact_fraction"]
        contact = min(contact, stored[int(run.frames["sample"][frame])])
    return {"voids_um": volume, "contact_fraction": contact}


def _events(run: PopulationRun) -> Iterator[Breach]:
    events = run.events
    for i, samples in enumerate(run.replicas):
        if not len(samples["time_s"]):
            continue
        # Events after the last row are in no count yet: a run may end, or be killed, in between.
        mine = (events["replica"] == i) & (events["time_s"] <= samples["time_s"][-1])
        listed = np.bincount(events["kind"][mine].astype(int), minlength=len(KINDS))
        for kind, name in ((1, "splits"), (2, "coalescences"), (3, "collapses")):
            if name in samples and listed[kind] != samples[name][-1]:
                place, counted = f"/events of replica {i}", samples[name][-1]
                yield Breach(name, place, None, listed[kind], counted)


CHECKS = (
    ("stripped + flaws = voids + settled + sink + storage + filled + cut off", of_rows(_balance)),
    ("charge follows from the current", of_rows(_charge)),
    ("rows are in order", in_order(*_RISING)),
    ("contact is a share", of_rows(_range)),
    ("overpotential follows from contact and S", of_rows(_voltage)),
    ("stack pressure follows from the fixture", of_rows(_pressure)),
    ("the mean over the replicas", _mean),
    ("volume and contact of every frame", frames_give(_described, _SINGLE)),
    ("events add up to the counts", _events),
)
"""A claim, and a function that yields breaches of it."""
