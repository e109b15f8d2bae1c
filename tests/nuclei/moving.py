"""Small clusters of vacancies that move along the interface: how many there are, and how fast.

A void takes up what reaches it, and a share of that arrives as pairs and threes. All shapes of n
vacancies that are connected by shells 1 and 2 and touch L1 are listed, less translations along it.
A cluster moves by the hops of the event loop from one shape to another; hops that part it are left
out. Its diffusivity follows from the mean square of a step and the correlation of steps,

    Z_n D_n = Σ_i π_i (½ Σ_j w_ij Δ_ij² − b_i χ_i),    b_i = Σ_j w_ij Δ_ij,    −W χ = b,

with π_i = exp(−E_i/kT) and Δ the step of the cluster's centre along one direction of L1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array, diags_array
from scipy.sparse.linalg import spsolve

from kmc.model.model import Model
from kmc.nuclei.surface import Surface

LARGEST = 4  # of five only a tenth as mobile as single vacancies


def _at_origin(sites):
    """Sites in order, with the first (a lowest one) at the origin of L1."""
    ordered = sorted(sites, key=lambda site: (site[2], site[0], site[1]))
    u, v, _ = ordered[0]
    return tuple((site[0] - u, site[1] - v, site[2]) for site in ordered)


def _moved(site, step):
    return tuple(int(x) + int(d) for x, d in zip(site, step, strict=True))


def shapes(steps, n: int) -> list[tuple]:
    """Every cluster of n vacancies with one in L1, less translations along L1."""
    found = {((0, 0, 0),)}
    for _ in range(n - 1):
        beside = ((c, _moved(site, step)) for c in found for site in c for step in steps)
        found = {_at_origin((*c, site)) for c, site in beside if site[2] >= 0 and site not in c}
    return sorted(found)


def _rate_Hz(model: Model, change_ueV: float, floor_ueV: float) -> float:
    """Of a hop that changes the energy so, with a lowest barrier."""
    saddle = max(model.barriers_ueV[0] + change_ueV / 2, change_ueV, 0)
    saddle += max(0, floor_ueV - min(saddle, saddle - change_ueV))
    return model.attempt_frequency_Hz * math.exp(-saddle / model.kT_ueV)


def mobility(surface: Surface, model: Model, n: int) -> tuple[float, float]:
    """Z_n per L1 site, and Z_n D_n in a²/s along the interface, on bcc (100).

    Every hop has another vacancy beside it, so all are raised to the common lowest barrier.
    """
    h, single_ueV = surface.hamiltonian, surface.formation_ueV
    steps = [_moved((0, 0, 0), step) for step in surface.steps]
    bond_ueV = {step: int((h.bond1 if k < 8 else h.bond2)[1, 1]) for k, step in enumerate(steps)}
    found = shapes(steps, n)
    number = {shape: i for i, shape in enumerate(found)}
    energy = np.array([sum(single_ueV[min(site[2], 6)] for site in shape) for shape in found])
    for i, shape in enumerate(found):
        for k, site in enumerate(shape):
            apart = (_moved(site, [-x for x in other]) for other in shape[:k])
            energy[i] -= sum(bond_ueV.get(step, 0) for step in apart)
    hops = []
    for i, shape in enumerate(found):
        for k, site in enumerate(shape):
            others = shape[:k] + shape[k + 1 :]
            for step in steps[:8]:
                to = _moved(site, step)
                j = number.get(_at_origin((*others, to))) if to not in others else None
                if j is not None:
                    rate = _rate_Hz(model, energy[j] - energy[i], model.floor_ueV)
                    # of the centre along x: layers go by half a cell
                    hops.append((i, j, rate, (step[0] + step[2] / 2) / n))
    i, j, rate, step = (np.array(column) for column in zip(*hops, strict=True))
    weight = np.exp(-(energy - energy.min()) / model.kT_ueV)
    flow = weight[i] * rate
    drift = np.bincount(i, flow * step, minlength=len(found))
    out = np.bincount(i, flow, minlength=len(found))
    # Shifts all of chi by a constant at most, which drift, of mean zero, does not feel.
    pinned = diags_array(out + 1e-12 * out.max())
    between = coo_array((flow, (i, j)), shape=(len(found),) * 2)
    chi = spsolve((pinned - between).tocsc(), drift)
    scale = math.exp(-energy.min() / model.kT_ueV)
    return float(weight.sum() * scale), float((flow @ step**2 / 2 - drift @ chi) * scale)


@dataclass(frozen=True)
class Mobilities:
    """Z_n and Z_n D_n (a²/s) by n of single vacancies and small clusters."""

    known: dict[int, tuple[float, float]]

    @classmethod
    def of(cls, surface: Surface, model: Model, largest: int = LARGEST) -> Mobilities:
        """Single vacancies move from L1 by L2.

        Their Z_1 D_1 is the equilibrium exchange of an L1 site with one above it, times a².
        """
        change = surface.formation_ueV[1] - surface.formation_ueV[0]
        Z_1 = math.exp(-surface.formation_ueV[0] / surface.kT_ueV)
        single = (Z_1, Z_1 * _rate_Hz(model, change, model.lone_floors_ueV[1, 2]))
        more = {n: mobility(surface, model, n) for n in range(2, largest + 1)}
        return cls({1: single, **more})

    def flux(self, n: int, S: float) -> float:
        """Vacancies that clusters of n carry along the interface, over those of single ones.

        In equilibrium with single vacancies of activity S there are Z_n S^n a site; each carries n.
        """
        return n * self.known[n][1] * S ** (n - 1) / self.known[1][1]

    def relative(self, n: int) -> float:
        """D_n/D_1, 0 beyond the largest known."""
        if n not in self.known:
            return 0.0
        (Z_n, ZD_n), (Z_1, ZD_1) = self.known[n], self.known[1]
        return ZD_n / Z_n / (ZD_1 / Z_1)
