"""Coulombic efficiency of a deposition by Aurbach's protocol."""

from __future__ import annotations

import numpy as np

from kmc.analysis.coulombic import aurbach_efficiency
from kmc.runfile.protocol import PLATE, STRIP, plan_of, stored_blocks
from kmc.trajectory.table_run import TableRun


def charges(run: TableRun) -> list[tuple[str, int]]:
    """What each finished step did, and the atoms it plated or stripped."""
    plan = [planned.step for planned in plan_of(stored_blocks(run.run))]
    s, found, before = run.samples, [], 0.0
    passed = s["plated"] + s["stripped"]
    for number, step in enumerate(plan, 1):
        rows = np.flatnonzero(s["step"] == number)
        if not len(rows):
            break
        found.append((step.do, round(passed[rows[-1]] - before)))
        before = passed[rows[-1]]
    return found


def aurbach_of(run: TableRun) -> float | None:
    """Efficiency of plate (reservoir), N × (strip, plate), strip; None for another protocol.

    Steps before the reservoir, such as a formation cycle, and rests do not count. Where a cycle did
    not pass its whole charge, the sums take its place, as in `kmc.analysis.coulombic`.
    """
    moved = [(do, atoms) for do, atoms in charges(run) if do in (PLATE, STRIP)]
    kinds = [do for do, _ in moved]
    blocks = stored_blocks(run.run)
    cycles = max((block.repeat for block in blocks), default=0)
    tail = [PLATE, *[STRIP, PLATE] * cycles, STRIP]
    if cycles < 2 or kinds[-len(tail) :] != tail or not run.finished:
        return None
    counted = [atoms for _, atoms in moved[-len(tail) :]]
    plated, stripped = sum(counted[0::2]), sum(counted[1::2])
    return aurbach_efficiency(0, plated, 0.0, stripped)
