"""Voids that meet become one; its footprint, the union of theirs, rounds off in its own time.

A void whose footprint A is larger than that of its cap has dA/dt = −(A − A_cap)/τ, as W. Koch and
S. K. Friedlander put it for sintering particles (J. Colloid Interface Sci. 140, 419 (1990),
doi:10.1016/0021-9797(90)90362-R). τ is that of the faster of two ways: through the metal,

    τ = R³ kT / (C D_v c_eq γ Ω),

and along the interface, τ = R⁴ kT / (C D_i c_i δ γ Ω), with δ c_i D_i the conductance of the layer;
R is the radius of the cap. Two spheres of a continuum have C = 9, and within a third so have small
hot voids, whose atoms take a third way: along the wall of the void. It is left out, since cold
walls have facets and what they conduct is not one number (docs/upscaling.md).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from kmc.mesoscale.field import Medium
from kmc.mesoscale.voids import ROUND_AGE, Voids

Relaxation = Literal["kinetic", "none", "instant"]
# A footprint within this of its cap's area and with an outline this much longer than a circle's,
# squared, counts as round.
_NEAR_CAP, _NEAR_CIRCLE = 0.01, 1.25
_MOST_ROUNDS = 10_000


@dataclass(frozen=True)
class Rounding:
    """How fast footprints round off.

    Attributes
    ----------
    relaxation : {"kinetic", "none", "instant"}
    medium : Medium
    capillary_um : float
        γΩ/kT.
    constant : float
        C.
    """

    relaxation: Relaxation
    medium: Medium
    capillary_um: float
    constant: float

    def time_s(self, radius_um) -> np.ndarray:
        """τ(R) of the faster way."""
        radius = np.asarray(radius_um, dtype=float)
        volume = self.medium.site_volume_um3
        # D_v c_eq = κ_b Ω, as ρ Ω = 1; the layer's δ D_i c_i is κ_i Ω likewise.
        scale = self.constant * self.capillary_um * volume
        bulk = radius**3 / (scale * self.medium.bulk_per_um_s)
        if self.medium.interface_per_s == 0.0:
            return bulk
        return np.minimum(bulk, radius**4 / (scale * self.medium.interface_per_s))


def meet(voids: Voids, rounding: Rounding) -> int:
    """Make one void of all that touch; returns how many there are fewer.

    With instant rounding a new cap may touch others, and so on until none does.
    """
    before = len(voids)
    pairs = voids.measure()
    for _ in range(_MOST_ROUNDS):
        joined = _join(voids, pairs)
        if joined is None:
            break
        if rounding.relaxation == "instant":
            voids.round_off(joined)
            pairs = voids.measure()
        else:
            voids.measure()
            break
    return before - len(voids)


def _join(voids: Voids, pairs: tuple[np.ndarray, np.ndarray]) -> np.ndarray | None:
    """Give touching voids one owner; returns the voids that have grown so, None if there are
    none."""
    first, second = pairs
    owners = voids.owner[first], voids.owner[second]
    across = owners[0] != owners[1]
    if not across.any():
        return None
    first, second = first[across], second[across]
    links = voids.owner[first], voids.owner[second]
    n = len(voids)
    graph = sparse.coo_array((np.ones(len(first)), links), shape=(n, n)).tocsr()
    n_new, label = csgraph.connected_components(graph, directed=False)
    _stand_together(voids, first, second, label)
    counts = voids.counts
    # The largest of those that become one gives its name; ties go to the older.
    order = np.lexsort((voids.number, -counts))
    leader = np.full(n_new, -1)
    for void in order[::-1]:
        leader[label[void]] = void
    rank = np.argsort(leader, kind="stable")  # as before, by the place of the leader
    renumber = np.empty(n_new, np.int64)
    renumber[rank] = np.arange(n_new)
    owner = renumber[label[voids.owner]]
    by_owner = np.argsort(owner, kind="stable")
    for name in ("x_um", "y_um", "count", "scale", "floor_um"):
        setattr(voids, name, getattr(voids, name)[by_owner])
    others = (
        np.bincount(label, voids.area_um2, minlength=n_new)[rank] / voids.area_um2[leader[rank]]
    )
    voids.owner = owner[by_owner]
    # A void that swallows a small one has hardly less of its way to go.
    voids.age = voids.age[leader[rank]] * np.clip(2.0 - others, 0.0, 1.0)
    voids.number = voids.number[leader[rank]]
    grown = np.bincount(label, minlength=n_new) > 1
    return np.sort(renumber[np.flatnonzero(grown)])


def _stand_together(voids: Voids, first, second, label) -> None:
    """Shift voids by whole edges so that those that become one stand side by side."""
    edge = voids.edge_um
    near: dict[int, list[tuple[int, int, int]]] = {}
    for i, j in zip(first.tolist(), second.tolist(), strict=True):
        a, b = int(voids.owner[i]), int(voids.owner[j])
        near.setdefault(a, []).append((b, i, j))
        near.setdefault(b, []).append((a, j, i))
    shift_x, shift_y = np.zeros(len(voids)), np.zeros(len(voids))
    seen: set[int] = set()
    for start in sorted(near):
        if start in seen:
            continue
        seen.add(start)
        waiting = [start]
        while waiting:
            void = waiting.pop()
            for other, i, j in near[void]:
                if other in seen:
                    continue
                seen.add(other)
                dx = voids.x_um[i] + shift_x[void] - voids.x_um[j]
                dy = voids.y_um[i] + shift_y[void] - voids.y_um[j]
                shift_x[other] = edge * math.floor(dx / edge + 0.5)
                shift_y[other] = edge * math.floor(dy / edge + 0.5)
                waiting.append(other)
    voids.x_um = voids.x_um + shift_x[voids.owner]
    voids.y_um = voids.y_um + shift_y[voids.owner]


def relax(voids: Voids, rounding: Rounding, dt_s: float) -> None:
    """Let footprints round off for a while; `measure` has been called, and is at the end.

    A footprint keeps its outline while it shrinks (or spreads, where its lobes have grown over one
    another, or plated metal has grown under it) about its centre, and becomes the disc of its cap
    once nothing of its excess is left.
    """
    if rounding.relaxation != "kinetic":
        return
    loose = np.flatnonzero((voids.lobes_of > 1) | (voids.age < ROUND_AGE))
    if not len(loose):
        return
    cap, area = voids.cap_area_um2[loose], voids.area_um2[loose]
    tau = rounding.time_s(np.sqrt(cap / math.pi))
    wanted = cap + (area - cap) * np.exp(-dt_s / tau)
    voids.age = voids.age.copy()
    voids.age[loose] = np.minimum(ROUND_AGE, voids.age[loose] + dt_s / tau)
    outline = voids.rim_um[loose] ** 2 / (4 * math.pi * np.maximum(area, 1e-300))
    done = (np.abs(wanted / cap - 1) < _NEAR_CAP) & (outline < _NEAR_CIRCLE)
    done |= voids.age[loose] >= ROUND_AGE
    factor = np.ones(len(voids))
    factor[loose[~done]] = np.sqrt(wanted[~done] / area[~done])
    x, y = voids.means()
    own = factor[voids.owner]
    voids.x_um = x[voids.owner] + (voids.x_um - x[voids.owner]) * own
    voids.y_um = y[voids.owner] + (voids.y_um - y[voids.owner]) * own
    voids.scale = voids.scale * own
    voids.round_off(loose[done])
    voids.measure()
