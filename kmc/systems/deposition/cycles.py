"""Charge of the steps of a deposition, and its Coulombic efficiency by Aurbach's protocol."""

from __future__ import annotations

import numpy as np

from kmc.analysis.coulombic import Aurbach, aurbach
from kmc.files.table_run import TableRun
from kmc.runfile.protocol import PLATE, STRIP, plan_of, stored_blocks


def charges(run: TableRun) -> list[tuple[str, int]]:
    """What each finished step did, and the atoms it plated or stripped."""
    plan = [planned.step for planned in plan_of(stored_blocks(run.run))]
    found: list[tuple[str, int]] = []
    s, before = run.samples, 0.0
    passed = s["plated"] + s["stripped"]
    for number, step in enumerate(plan, 1):
        rows = np.flatnonzero(s["step"] == number)
        if not len(rows):
            break
        found.append((step.do, round(passed[rows[-1]] - before)))
        before = passed[rows[-1]]
    return found


def aurbach_of(run: TableRun) -> Aurbach | None:
    """Efficiencies by Aurbach's protocol, see `kmc.analysis.coulombic.aurbach`."""
    if not run.finished:
        return None
    passed = [(do, atoms) for do, atoms in charges(run) if do in (PLATE, STRIP)]
    return aurbach(stored_blocks(run.run), passed)
