"""What `kmc verify` recomputes of a deposition."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from kmc.common.metals import VALENCES
from kmc.files.check_result import Breach, differences, falls
from kmc.files.table_run import TableRun
from kmc.model.electrochemistry import strip_rate_Hz
from kmc.runfile.protocol import PLATE, STRIP, plan_of, stored_blocks
from kmc.systems.deposition.shape import describe

_SIGMAS = 6.0  # of the shot noise of a step's charge


def _atoms(run: TableRun) -> Iterator[Breach]:
    s = run.samples
    yield from differences("atoms", "/samples/atoms", s["atoms"], s["plated"] - s["stripped"])


def _dead(run: TableRun) -> Iterator[Breach]:
    s = run.samples
    share = s["dead_Li"] / np.maximum(1, s["plated"])
    place = "/samples/dead_per_plated"
    yield from differences("dead atoms over plated ones", place, s["dead_per_plated"], share)


def _order(run: TableRun) -> Iterator[Breach]:
    for name in ("time_s", "plated", "stripped", "hops", "attempts", "step"):
        yield from falls("order of the rows", f"/samples/{name}", run.samples[name])


def _frames(run: TableRun) -> Iterator[Breach]:
    for i, row in enumerate(run.frames["sample"]):
        found = describe(run.frames["occupied"][i], run.facts["spacing_A"] / 10)
        for name, value in found.items():
            stored = run.samples[name][row]
            if not np.isclose(stored, value, rtol=1e-12, atol=0, equal_nan=True):
                yield Breach(f"{name} of a frame", f"/samples/{name}", row, stored, value)


def _charge(run: TableRun) -> Iterator[Breach]:
    """Charge over time is the current, within the shot noise of its atoms."""
    s, columns = run.samples, run.constants["substrate"].size
    area = run.facts["spacing_A"] ** 2 * columns
    plan = [planned.step for planned in plan_of(stored_blocks(run.run))]
    for number in np.unique(s["step"]).astype(int):
        rows = np.flatnonzero(s["step"] == number)
        first, last = max(0, rows[0] - 1), rows[-1]
        what = int(s["phase"][last])
        step = plan[number - 1] if plan else None
        if what == 0 or (step is not None and step.do not in (PLATE, STRIP)):
            continue
        current = run.run["conditions"]["current_density_mA_cm2"]
        if step is not None:
            current = step.current_density_mA_cm2
        charge = (s["plated"] + s["stripped"])[[first, last]]
        passed, seconds = charge[1] - charge[0], s["time_s"][last] - s["time_s"][first]
        expected = strip_rate_Hz(current, area, VALENCES[run.metal]) * seconds
        if not abs(passed - expected) <= _SIGMAS * np.sqrt(max(expected, passed, 1.0)):
            check = "charge follows from the current"
            yield Breach(check, "/samples/plated", last, passed, f"{expected:.6g}")


CHECKS = (
    ("atoms = plated − stripped", _atoms),
    ("dead atoms over plated ones", _dead),
    ("rows are in order", _order),
    ("charge follows from the current, within its shot noise", _charge),
    ("coverage, heights, islands and dead atoms of every frame", _frames),
)
