"""Coulombic efficiency: charge stripped over charge plated, by cycle and by Aurbach's protocol."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from kmc.common.formatting import plural
from kmc.files.reader import Trajectory
from kmc.runfile.protocol import PLATE, STRIP, Block, plan_of, stored_blocks


@dataclass(frozen=True)
class CycleCharge:
    """Charge of one cycle, in atoms of the box; of a population as a height in µm."""

    cycle: int  # pass of a block of the protocol, from 1
    # stripped, plated: net charge of the steps that stripped, and of those that plated
    stripped: float
    plated: float
    # atoms not connected to the current collector at its end; -1 in a file without the column
    dead_Li: int

    @property
    def efficiency(self) -> float | None:
        """Stripped over plated charge; None where the cycle does only one of the two."""
        return self.stripped / self.plated if self.stripped and self.plated else None


def cycles(t: Any) -> list[CycleCharge]:
    """Charge of every cycle of a protocol that has been completed; empty without a protocol."""
    plan = plan_of(stored_blocks(t.run))
    if not plan or "step" not in t.samples or not len(t.samples):
        return []
    net, last = net_by_step(t)
    # A run that goes on is in the middle of its last step, whose charge is not complete.
    done = int(t.samples["step"][-1]) - (0 if t.finished else 1)
    passes = []
    for cycle in range(1, plan[-1].cycle + 1):
        steps = [planned.number for planned in plan if planned.cycle == cycle]
        if steps[-1] > done:
            break
        # By the sign of the net charge of each step: at a held voltage a step does both.
        charge = [net[n] for n in steps]
        row = last[steps[-1]]
        dead = int(t.samples["dead_Li"][row]) if "dead_Li" in t.samples else -1
        stripped, plated = (sum(max(sign * q, 0) for q in charge) for sign in (1, -1))
        passes.append(CycleCharge(cycle, stripped, plated, dead))
    return passes


# Columns of what was stripped and plated, of a box, a deposition and a population.
_CHARGES = (("strips", "plates"), ("stripped", "plated"), ("stripped_um", "plated_um"))


def net_by_step(t: Any) -> tuple[dict[int, Any], dict[int, int]]:
    """Strips less plates of each step, and its last row: a row at a change belongs to the end."""
    s = t.samples
    stripped, plated = next(pair for pair in _CHARGES if pair[0] in s)
    steps, net = s["step"], s[stripped] - s[plated]
    rows = np.flatnonzero(np.diff(steps, append=steps[-1] + 1))
    charges = np.diff(net[rows], prepend=0).tolist()
    charge = dict(zip(steps[rows].astype(int).tolist(), charges, strict=True))
    return charge, {int(steps[row]): int(row) for row in rows}


class Aurbach(NamedTuple):
    """Efficiencies of Aurbach's protocol, from the charge that passed."""

    # Σ stripped / Σ plated from the reservoir on: (N Q_c + Q_s)/(N Q_c + Q_p) where each cycle
    # passes its whole charge. What lay there before the reservoir is not counted as plated
    efficiency: float
    formation: float | None  # the same of the steps before the reservoir; None without any
    lost: int  # plated less stripped from the reservoir on, atoms of the box

    def loss(self, dead: int) -> str:
        """What the loss is made of, as text; there is no side reaction that would take a share.

        - `dead`: atoms not connected to the current collector at the end.
        """
        if self.lost <= 0:
            return "nothing lost"
        dead = min(dead, self.lost)
        text = f"lost {plural(self.lost, 'atom')}: {dead} dead"
        if left := self.lost - dead:
            text += f", {left} left where a strip ended by its voltage or contact"
            text += " (compare other cutoffs and max_hops_per_strip_per_site)"
        return text


def aurbach(blocks: tuple[Block, ...], passed: Sequence[tuple[str, int]]) -> Aurbach | None:
    """Efficiencies by Aurbach's protocol; None for another, or one that did not come to its end.

    - `blocks`: the protocol: steps of a formation or none, a plate step (the reservoir), a repeated
      block of a strip and a plate, and a strip step.
    - `passed` (sequence of (str, int)): what each strip and plate step of the run did, in order,
      and the atoms that it moved.

    Examples
    --------
    >>> from kmc.runfile.protocol import blocks_of
    >>> cycle = ["Strip at 1 mA/cm2 until 1 monolayer", "Plate at 1 mA/cm2 until 1 monolayer"]
    >>> steps = ["Plate at 1 mA/cm2 until 3 monolayers", {"steps": cycle, "repeat": 10},
    ...          "Strip at 1 mA/cm2 until 1 V or 9 monolayers"]
    >>> passed = [("plate", 300), *[("strip", 100), ("plate", 100)] * 10, ("strip", 270)]
    >>> round(aurbach(blocks_of(steps), passed).efficiency, 4)
    0.9769
    """
    steps = sum(1 for planned in plan_of(blocks) if planned.step.do in (STRIP, PLATE))
    if not is_aurbach(blocks) or len(passed) != steps:
        return None

    def sums(part: Sequence[tuple[str, int]]) -> tuple[int, int]:
        plated, stripped = (sum(n for do, n in part if do == which) for which in (PLATE, STRIP))
        return plated, stripped

    # From its end: the reservoir, N cycles and the last strip are 2 (N + 1) steps.
    begin = len(passed) - 2 * (blocks[-2].repeat + 1)
    (before, back), (plated, stripped) = sums(passed[:begin]), sums(passed[begin:])
    if not plated:
        return None
    return Aurbach(stripped / plated, back / before if before else None, plated - stripped)


def aurbach_of(t: Any) -> Aurbach | None:
    """Efficiencies of a box of atoms or a deposition by Aurbach's protocol, see `aurbach`."""
    blocks = stored_blocks(t.run)
    # Before the last strip the reservoir is still there, and would count as lost.
    if not t.finished or not is_aurbach(blocks) or "step" not in t.samples:
        return None
    net = net_by_step(t)[0]
    passed = [
        (planned.step.do, abs(net[planned.number]))
        for planned in plan_of(blocks)
        if planned.step.do in (STRIP, PLATE) and planned.number in net
    ]
    return aurbach(blocks, passed)


def is_aurbach(blocks: tuple[Block, ...]) -> bool:
    """Whether a protocol ends with reservoir, cycles, final strip; rests may stand between."""
    kinds = [tuple(s.do for s in block.steps if s.do in (STRIP, PLATE)) for block in blocks]
    held = any(step.do not in (STRIP, PLATE, "rest") for block in blocks for step in block.steps)
    if held or len(kinds) < 3:
        return False
    # A cycle may begin with its plate or with its strip: both orders are accepted.
    cycled = sorted(kinds[-2]) == [PLATE, STRIP] and blocks[-2].repeat > 1
    # The reservoir and the last strip are not repeated: what they move is counted once.
    alone = blocks[-3].repeat == blocks[-1].repeat == 1
    return kinds[-3] == (PLATE,) and cycled and kinds[-1] == (STRIP,) and alone


def facts(t: Trajectory) -> dict[str, Any]:
    """Cycles and efficiencies as ``kmc info FILE --json`` prints them; None where not known.

    ``coulombic_efficiency`` has an entry for each completed cycle; ``aurbach_efficiency`` and,
    apart, ``formation_efficiency`` are of the run; ``cycles`` holds the charge of each in atoms,
    ``dead_Li`` the atoms at the last sample.
    """
    passes, whole = cycles(t), aurbach_of(t)
    s = t.samples
    return {
        "cycles": [
            {"cycle": c.cycle, "stripped": c.stripped, "plated": c.plated, "dead_Li": c.dead_Li}
            for c in passes
        ],
        "coulombic_efficiency": [cycle.efficiency for cycle in passes],
        "aurbach_efficiency": None if whole is None else whole.efficiency,
        "formation_efficiency": None if whole is None else whole.formation,
        "dead_Li": int(s["dead_Li"][-1]) if "dead_Li" in s and len(s) else None,
    }
