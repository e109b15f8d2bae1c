"""Coulombic efficiency: charge stripped over charge plated, by cycle and by Aurbach's protocol."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kmc.errors import InputError
from kmc.runfile.protocol import PLATE, STRIP, Block, plan_of, stored_blocks

if TYPE_CHECKING:
    from kmc.trajectory.reader import Trajectory


def aurbach_efficiency(n_cycles: int, Q_p: float, Q_c: float, Q_s: float) -> float:
    """Coulombic efficiency by Aurbach's protocol: (N Q_c + Q_s)/(N Q_c + Q_p).

    As measured in doi:10.1038/s41467-025-60609-4 (S2): 3 mAh/cm² plated, 10 cycles of 1 mAh/cm²,
    and a strip to 1 V.

    Parameters
    ----------
    n_cycles : int
        N, cycles between the reservoir and the final strip.
    Q_p, Q_c, Q_s : float
        Charge of the reservoir that is plated first, of a cycle (each way), and of the final strip,
        in one unit.

    Raises
    ------
    InputError
        A negative number, or nothing is plated.

    Examples
    --------
    >>> eta = aurbach_efficiency(10, Q_p=3.0, Q_c=1.0, Q_s=2.7)  # mAh/cm²
    >>> round(eta, 4)
    0.9769
    """
    given = {"n_cycles": n_cycles, "Q_p": Q_p, "Q_c": Q_c, "Q_s": Q_s}
    for name, value in given.items():
        if not value >= 0:
            raise InputError(f"{name} = {value} is negative or no number", advice="Use 0 or more.")
    plated = n_cycles * Q_c + Q_p
    if plated == 0:
        raise InputError("n_cycles Q_c + Q_p = 0: nothing is plated, so there is no efficiency")
    return (n_cycles * Q_c + Q_s) / plated


@dataclass(frozen=True)
class CycleCharge:
    """Charge of one cycle, in atoms of the box.

    Attributes
    ----------
    cycle : int
        Pass of a block of the protocol, from 1.
    stripped, plated : int
        Net charge of the steps that stripped, and of those that plated.
    dead_Li : int
        Atoms not connected to the current collector at its end; -1 in a file without the column.
    """

    cycle: int
    stripped: int
    plated: int
    dead_Li: int

    @property
    def efficiency(self) -> float | None:
        """Stripped over plated charge; None where the cycle does only one of the two."""
        return self.stripped / self.plated if self.stripped and self.plated else None


def cycles(t: Trajectory) -> list[CycleCharge]:
    """Charge of every cycle of a protocol that has been completed; empty without a protocol.

    Parameters
    ----------
    t : Trajectory
    """
    plan = plan_of(stored_blocks(t.run))
    if not plan or "step" not in t.samples or not len(t.samples):
        return []
    net, last = _net_by_step(t)
    done = int(t.samples["step"][-1]) - (0 if t.finished else 1)
    found = []
    for cycle in range(1, plan[-1].cycle + 1):
        steps = [planned.number for planned in plan if planned.cycle == cycle]
        if steps[-1] > done:
            break
        charge = [net[n] for n in steps]
        row = last[steps[-1]]
        dead = int(t.samples["dead_Li"][row]) if "dead_Li" in t.samples else -1
        found.append(
            CycleCharge(
                cycle, sum(max(q, 0) for q in charge), sum(max(-q, 0) for q in charge), dead
            )
        )
    return found


def _net_by_step(t: Trajectory) -> tuple[dict[int, int], dict[int, int]]:
    """Strips less plates of each step, and its last row: a row at a change belongs to the end."""
    s = t.samples
    steps = s["step"]
    net = s["strips"] - s["plates"]
    rows = np.flatnonzero(np.diff(steps, append=steps[-1] + 1))
    before, charge = 0, {}
    for row in rows:
        charge[int(steps[row])] = int(net[row]) - before
        before = int(net[row])
    return charge, {int(steps[row]): int(row) for row in rows}


def aurbach_of(t: Trajectory) -> float | None:
    """Efficiency by Aurbach's protocol, from the charge that passed; None for another protocol.

    The protocol is a plate step (the reservoir), a repeated block of one strip and one plate, and a
    strip step. Where a cycle did not pass its whole charge, sums take the place of N Q_c:
    (Σ stripped)/(Σ plated) over all of it.
    """
    blocks = stored_blocks(t.run)
    if not is_aurbach(blocks) or not t.finished:
        return None
    found = cycles(t)
    if len(found) != blocks[1].repeat + 2:
        return None
    plated = sum(cycle.plated for cycle in found)
    return sum(cycle.stripped for cycle in found) / plated if plated else None


def is_aurbach(blocks: tuple[Block, ...]) -> bool:
    """Whether a protocol is reservoir, cycles, final strip; rests may stand between."""
    kinds = [tuple(s.do for s in block.steps if s.do in (STRIP, PLATE)) for block in blocks]
    held = any(step.do not in (STRIP, PLATE, "rest") for block in blocks for step in block.steps)
    if held or len(kinds) != 3:
        return False
    cycled = sorted(kinds[1]) == [PLATE, STRIP]
    alone = blocks[0].repeat == blocks[2].repeat == 1
    return kinds[0] == (PLATE,) and cycled and kinds[2] == (STRIP,) and alone


def facts(t: Trajectory) -> dict[str, Any]:
    """Cycles and efficiencies as ``kmc info FILE --json`` prints them; None where not known.

    ``coulombic_efficiency`` has an entry for each completed cycle, ``aurbach_efficiency`` is of the
    run; ``cycles`` holds the charge of each in atoms, ``dead_Li`` the atoms at the last sample.
    """
    found = cycles(t)
    s = t.samples
    return {
        "cycles": [
            {"cycle": c.cycle, "stripped": c.stripped, "plated": c.plated, "dead_Li": c.dead_Li}
            for c in found
        ],
        "coulombic_efficiency": [cycle.efficiency for cycle in found],
        "aurbach_efficiency": aurbach_of(t),
        "dead_Li": int(s["dead_Li"][-1]) if "dead_Li" in s and len(s) else None,
    }
