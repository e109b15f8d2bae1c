"""Net and gross flux of each class of hops between layers: the effect of barrier raising on it.

A class with equal numbers of hops up and down keeps the layers it connects in equilibrium with each
other, however much slower the hops are. Where every hop goes one way, slowing delays the transport
by the same factor. The index, net over gross without its sign, is that of barrier raising
(Chatterjee and Voter, J. Chem. Phys. 132, 194101 (2010), doi:10.1063/1.3409606).
"""

import math
from dataclasses import dataclass

import numpy as np

from kmc.files.reader import Trajectory
from kmc.files.schema import HOP_CLASSES, HOPS_BY_WAY

STAGES = ("L1", "L2", "deep")
HARMLESS = 0.01
HARMFUL = 0.1
_SIGMAS = 3  # standard deviations of noise that a net flux must exceed


@dataclass(frozen=True)
class Exchange:
    """Hops of one class between layers."""

    hop_class: str  # ``Li``, ``Li_near_Mg`` or ``Mg``
    stage: str  # by the lower end of the hop: ``L1``, ``L2`` or ``deep``
    # up, down: hops of atoms away from the electrolyte, and towards it
    up: int
    down: int
    steps: int = 1  # layers above L2 that ``deep`` averages over; 1 for the others

    @property
    def gross(self) -> int:
        """Hops both ways."""
        return self.up + self.down

    @property
    def net(self) -> int:
        """Net number of hops up; negative where atoms come down, as to fill stripped sites."""
        return self.up - self.down

    @property
    def index(self) -> float:
        """``|net| / gross``: 0 in equilibrium, 1 where no hop is reversed; NaN without hops."""
        return abs(self.net) / self.gross if self.gross else math.nan

    @property
    def noise(self) -> float:
        """Index of independent hops at equilibrium: 1/√gross.

        Hops of one vacancy across the same plane alternate, so the actual noise is smaller.
        """
        return 1 / math.sqrt(self.gross) if self.gross else math.nan

    @property
    def resolved(self) -> bool:
        """Whether the net flux exceeds the noise."""
        return self.gross > 0 and self.index >= _SIGMAS * self.noise

    @property
    def at_most(self) -> float:
        """The index where it is resolved, else its upper bound by the noise."""
        return self.index if self.resolved else min(1.0, _SIGMAS * self.noise)

    @property
    def verdict(self) -> str:
        """``equilibrium``, ``near`` or ``off``, by `at_most` over all steps; or ``unknown``."""
        # Each step between layers may be off by the index, and deviations of all steps add up.
        total = self.at_most * self.steps
        if not self.gross:
            return "unknown"
        if total <= HARMLESS:
            return "equilibrium"
        if total <= HARMFUL:
            return "near"
        return "off" if self.resolved else "unknown"


def exchanges(trajectory: Trajectory) -> list[Exchange]:
    """Hops of each class and stage that had any, while current flowed (or all, without any).

    Returns an empty list for a file of an earlier kmc, which did not count hops by way.
    """
    samples = trajectory.samples
    if not len(samples) or any(name not in samples for name in HOPS_BY_WAY):
        return []
    flows = np.flatnonzero(samples["phase"] == 0)
    # While current flowed: in a rest all classes come to equilibrium, which would hide what was
    # not.
    last = int(flows[-1]) if len(flows) else 0
    # L1 and L2 have stages of their own, and the top layer has none above it to exchange with.
    above = max(1, trajectory.lattice.layers - (3 if trajectory.has_interface else 0))
    rows = []
    for hop_class, name in HOP_CLASSES.items():
        for stage in STAGES:
            up, down = (
                int(samples[f"{name}_{stage}_{way}"][last] - samples[f"{name}_{stage}_{way}"][0])
                for way in ("up", "down")
            )
            if min(up, down) >= 0 < up + down:  # a damaged file may hold any number
                steps = above if stage == "deep" else 1
                rows.append(Exchange(hop_class, stage, up, down, steps))
    return rows
