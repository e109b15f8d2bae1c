"""What a sweep will take, before it is run: time on the clock and room on the disk."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from kmc.conditions import load_run
from kmc.electrochemistry import atoms_of_capacity
from kmc.errors import KmcError
from kmc.sections import Conditions, System
from kmc.sweep.folder import SweepFolder
from kmc.sweep.plan import Plan, Point

_SETUP_S = 0.25  # for each point before its first event
_PILOT_S = 3.0
_A2_PER_CELL = 12.3  # 3.506 Å squared: good enough to count atoms for an estimate
# Measured on shipped runs: the empty file, its lattice, a compressed frame without and with Mg,
# a row of samples.
_FILE_BYTES = 180_000
_LATTICE_BYTES_PER_SITE = 1.5
_FRAME_BYTES_PER_SITE = (0.03, 0.1)
_SAMPLE_BYTES = 160
_FRAMES_UNKNOWN = 12


class Estimate(NamedTuple):
    """What the points that are not done will take.

    Attributes
    ----------
    compute_s : float
        Time on one core; NaN where it could not be measured.
    disk_bytes : float
    basis : str
        What the time was taken from, as a phrase.
    """

    compute_s: float
    disk_bytes: float
    basis: str


def estimate(plan: Plan, todo: Sequence[Point], folder: SweepFolder | None) -> Estimate:
    """Time and disk of the points `todo`.

    Time per unit of work, which is stripped atoms times hops per atom, comes from the points of the
    folder that are done, else from the first seconds of the first point. Work is not all there is
    to it: voids change the number of hops, so that the result is a guess.
    """
    disk = sum(_bytes_of(plan.run_tables(point)) for point in todo)
    if not todo:
        return Estimate(0.0, 0.0, "nothing is missing")
    amount = sum(_work(plan.run_tables(point)) for point in todo)
    by_name = {point.name: point for point in plan.points}
    logged = [line for line in folder.log() if line.state == "done"] if folder else []
    logged = [line for line in logged if line.name in by_name]
    if logged:
        work = sum(_work(plan.run_tables(by_name[line.name])) for line in logged)
        spent = sum(line.wall_s for line in logged)
        noun = "point that is" if len(logged) == 1 else "points that are"
        return Estimate(spent / work * amount, disk, f"from {len(logged)} {noun} done")
    spent, seen = _pilot(plan, todo[0])
    basis = f"from {seen} {todo[0].name}; a rough guess"
    compute_s = spent / _work(plan.run_tables(todo[0])) * amount + _SETUP_S * len(todo)
    return Estimate(compute_s, disk, basis)


class _Enough(Exception):
    """The pilot has seen what it wants to see."""


class _Watch:
    """Progress of a pilot: from when the loop is compiled, for some seconds."""

    def __init__(self) -> None:
        self.rows: list[tuple[float, float]] = []  # time, fraction

    def __enter__(self) -> _Watch:
        return self

    def __exit__(self, *problem: object) -> None:
        pass

    def update(self, fraction: float, text: str) -> None:
        self.rows.append((time.monotonic(), fraction))
        if self.rows[-1][0] - self.rows[0][0] > _PILOT_S:
            raise _Enough

    def whole_s(self) -> float:
        """Time of the whole run at the pace seen; NaN where it was too short to see one."""
        if len(self.rows) < 2:
            return math.nan
        (t0, f0), (t1, f1) = self.rows[0], self.rows[-1]
        return (t1 - t0) / (f1 - f0) if f1 > f0 else math.nan


def _pilot(plan: Plan, point: Point) -> tuple[float, str]:
    """Seconds that a point takes, from running it or the start of it; and which of both."""
    from kmc.simulation import run_to_file

    watch = _Watch()
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "pilot.toml"
        file.write_text(plan.run_toml(point), encoding="utf-8")
        start = time.monotonic()
        try:
            run_to_file(load_run(file), file.with_suffix(".h5"), progress=watch)
        except _Enough:
            return watch.whole_s(), f"the first {_PILOT_S:g} s of"
        except KmcError:  # this point cannot run; it says so when its turn comes
            return math.nan, "nothing of"
        return time.monotonic() - (watch.rows[0][0] if watch.rows else start), "running"


def _work(tables: Mapping[str, Mapping[str, Any]]) -> float:
    """Events to expect, in units that cancel out between points of one sweep."""
    stop = tables.get("stop", {})
    strips = _monolayers(tables) * _sites(tables)[1]
    ratio = tables.get("acceleration", {}).get("max_hops_per_strip_per_site") or 1.0
    if not math.isnan(strips):
        return strips * ratio
    return float(stop.get("events") or 1.0)


def _monolayers(tables: Mapping[str, Mapping[str, Any]]) -> float:
    """Monolayers to be stripped; NaN where something else ends the run."""
    stop = tables.get("stop", {})
    monolayers = [float(stop["capacity_monolayers"])] if "capacity_monolayers" in stop else []
    if "capacity_mAh_cm2" in stop:
        monolayers.append(atoms_of_capacity(float(stop["capacity_mAh_cm2"]), _A2_PER_CELL))
    return min(monolayers, default=math.nan)


def _sites(tables: Mapping[str, Mapping[str, Any]]) -> tuple[int, int]:
    """Sites of the box and of one layer, those of (100) for every face."""
    size = tables.get("system", {}).get("size", System.model_fields["size"].default)
    return math.prod(size), size[0] * size[1]


def _bytes_of(tables: Mapping[str, Mapping[str, Any]]) -> float:
    """Size of a trajectory, about."""
    output, system = tables.get("output", {}), tables.get("system", {})
    monolayers = _monolayers(tables)
    current = tables.get("conditions", {}).get(
        "current_density_mA_cm2", Conditions.model_fields["current_density_mA_cm2"].default
    )
    records = {}
    for what, every in (("sample", 0.02), ("frame", 0.2)):
        given = [key for key in output if key.startswith(f"{what}_every_")]
        step = output.get(f"{what}_every_monolayers", every)
        known = (
            current and not math.isnan(monolayers) and given in ([], [f"{what}_every_monolayers"])
        )
        records[what] = monolayers / step + 2 if known else _FRAMES_UNKNOWN
    sites, _ = _sites(tables)
    per_site = _FRAME_BYTES_PER_SITE[bool(system.get("mg_fraction"))]
    rows = records["sample"] * _SAMPLE_BYTES + records["frame"] * sites * per_site
    return _FILE_BYTES + sites * _LATTICE_BYTES_PER_SITE + rows
