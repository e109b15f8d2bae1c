"""Estimates of the wall time and disk space of a sweep before it is run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from kmc.campaign.folder import SweepFolder
from kmc.campaign.points import Plan, Point
from kmc.runfile.kinds import kind_of
from kmc.systems import SYSTEMS

_SETUP_S = 0.25  # for each point before its first event


class Cost(NamedTuple):
    """Estimated cost of the points that are not done."""

    compute_s: float  # time on one core; NaN where the number of events is unknown
    disk_bytes: float
    basis: str  # source of the estimate of the time, as a phrase


def estimate(plan: Plan, todo: Sequence[Point], folder: SweepFolder | None) -> Cost:
    """Time and disk of the points `todo`.

    The time that each kind of run estimates from its run file is scaled by the points of the folder
    that are done, where there are any.
    """
    if not todo:
        return Cost(0.0, 0.0, "nothing is missing")
    disk = sum(bytes_of(plan.run_tables(point)) for point in todo)
    amount = sum(work_of(plan.run_tables(point)) for point in todo)
    by_name = {point.name: point for point in plan.points}
    times_s = folder.times_s() if folder else {}
    if logged := by_name.keys() & times_s:
        work = sum(work_of(plan.run_tables(by_name[name])) for name in logged)
        spent = sum(times_s[name] for name in logged)
        noun = "point that is" if len(logged) == 1 else "points that are"
        return Cost(spent / work * amount, disk, f"from {len(logged)} {noun} done")
    return Cost(amount + _SETUP_S * len(todo), disk, "a rough guess from the run file")


def seconds_of(tables: Mapping[str, Mapping[str, Any]]) -> float:
    """Rough time of one run on a core; NaN where the number of events is unknown."""
    return _SETUP_S + work_of(tables)


def work_of(tables: Mapping[str, Mapping[str, Any]]) -> float:
    """The same without what every run takes before it begins."""
    return SYSTEMS[kind_of(tables).name].seconds(tables)


def bytes_of(tables: Mapping[str, Mapping[str, Any]]) -> float:
    """Rough size of the file of one run."""
    return SYSTEMS[kind_of(tables).name].file_bytes(tables)
