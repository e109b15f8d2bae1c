"""Nucleation in a small box with a slow reservoir: what Becker and Döring's sum leaves out.

1/I = Σ 1/(β_n N_n) has clusters that are held still, take up single vacancies alone, and find S
the same whatever they did before. In the boxes of `waiting`

- the reservoir's resistance is a part of that of the uptake, and a box holds few single vacancies,
  so one that a cluster has given off is taken up again before the reservoir has taken it away. The
  uptake for changes as fast as those at the top of the barrier is larger than the steady one. With
  G(s), that for changes as exp(s t), the box is a stock of C vacancies at S = 1, filled through E,
  that a cluster draws on through L: 1/G(s) = 1/L + 1/(E + s C);
- pairs and threes arrive as well, and each is a step of two or three sizes;
- clusters move themselves, and single vacancies and they meet at the sum of their diffusivities;
- other vacancies keep out of the sites beside a cluster.

The state is the size n of a cluster (0: none) and the number g of single vacancies.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import waiting
from moving import Mobilities
from scipy.optimize import least_squares
from scipy.sparse import coo_array, diags_array
from scipy.sparse.linalg import splu
from scipy.stats import poisson

RATES_Hz = (0.0, 1e6, 3e6)  # s, about those of the top of the barrier
SMALL_SHARE = 0.2  # of the exchange along the interface, to see what it does to the uptake
SHAPES = 4
N_MAX = 12
CARRIED = (2, 3)  # sizes of what arrives besides single vacancies


@dataclass(frozen=True)
class Parts:
    """What of it all is in."""

    stock: bool = True
    arriving: bool = True
    moving: bool = True
    crowding: bool = True


@lru_cache
def uptakes_Hz(box: waiting.Box) -> tuple[np.ndarray, np.ndarray]:
    """G_n(s) by n and `RATES_Hz`, and d ln G_n/d ln(exchange along the interface)."""
    found = waiting.shapes(box.temperature_K)
    sizes = [found[n][:SHAPES] for n in range(1, N_MAX)]

    def mean_Hz(along: float, rate_Hz: float) -> np.ndarray:
        return np.array(
            [np.mean([waiting.uptake_Hz(box, c, along, rate_Hz) for c in of]) for of in sizes]
        )

    G = np.column_stack([mean_Hz(0.0, rate) for rate in RATES_Hz])
    more = mean_Hz(SMALL_SHARE, 0.0)
    return G, (more / G[:, 0] - 1) / SMALL_SHARE


@lru_cache
def circuit(box: waiting.Box) -> tuple[float, float, np.ndarray]:
    """E and C of the box, and L of each size, from G(s) by least squares."""
    G, _ = uptakes_Hz(box)

    def miss(logs):
        E, C, L = math.exp(logs[0]), math.exp(logs[1]), np.exp(logs[2:, None])
        return np.log((1 / (1 / L + 1 / (E + np.array(RATES_Hz) * C))) / G).ravel()

    start = np.log(np.concatenate(([2 * G[0, 0], 7e-3], 2 * G[:, 0])))
    found = least_squares(miss, start)
    assert np.abs(found.fun).max() < 0.05
    return math.exp(found.x[0]), math.exp(found.x[1]), np.exp(found.x[2:])


@lru_cache
def mobilities(box: waiting.Box) -> Mobilities:
    return Mobilities.of(waiting.free_energies(box.temperature_K).surface, box.model)


@lru_cache
def neighbourhood(n: int, temperature_K: float) -> tuple[float, float]:
    """Weights at S = 1 of the single vacancies, and of the pairs in L1, that would touch n."""
    surface = waiting.free_energies(temperature_K).surface
    Z_2 = math.exp(waiting.free_energies(temperature_K).ln_Z[1])
    steps = [(0, 0, 0), *(tuple(int(x) for x in step) for step in surface.steps)]
    single, pair = [], []
    for cluster in waiting.shapes(temperature_K)[n]:
        beside = {(u + a, v + b, k + c) for k, u, v in cluster.tolist() for a, b, c in steps}
        layers = np.array([min(site[2], 6) for site in beside if site[2] >= 0])
        single.append(np.exp(-surface.formation_ueV[layers] / surface.kT_ueV).sum())
        first = {(u, v) for u, v, k in beside if k == 0}
        both = [len(first | {(u - a, v - b) for u, v in first}) for a, b in ((1, 0), (0, 1))]
        pair.append(Z_2 * np.mean(both))
    return float(np.mean(single)), float(np.mean(pair))


def rate_Hz(box: waiting.Box, S: float, size: int, parts: Parts) -> float:
    """Supercritical voids per second in a box, beyond the delay of the start.

    `size` vacancies are supercritical. The slowest mode of the chain, times the share of what is
    in it that has no cluster yet: other clusters of the box do not count.
    """
    free = waiting.free_energies(box.temperature_K)
    sites, mobile = box.model.lattice.sites_per_layer, mobilities(box)
    G, along = uptakes_Hz(box)
    E, C, L = circuit(box)
    take = L if parts.stock else G[:, 0]  # per size, from n = 1
    n = np.arange(1, N_MAX)
    weight = sites * np.exp(free.ln_Z[: N_MAX - 1] + n * math.log(S))
    if parts.crowding:
        touching = np.array([neighbourhood(int(k), box.temperature_K) for k in n])
        weight[1:] *= np.exp(-touching[1:] @ (S, S * S))
    faster = np.array([mobile.relative(int(k)) for k in n])
    # What a larger exchange along the interface adds to the uptake is all in the way to the void.
    step_Hz = {1: take + (along * faster * G[:, 0] if parts.moving else 0.0)}
    for m in CARRIED if parts.arriving else ():
        step_Hz[m] = along * G[:, 0] * mobile.flux(m, S) / m

    mean = C * S
    grid = np.arange(int(mean + 8 * math.sqrt(mean) + 12)) if parts.stock else np.arange(1)
    chance = poisson.pmf(grid, mean) if parts.stock else np.ones(1)
    sizes = [0, *range(2, size)]
    number = {k: i * len(grid) for i, k in enumerate(sizes)}
    held = np.concatenate([(weight[k - 1] if k else 1.0) * chance for k in sizes])
    bonds, ends = [], np.zeros(len(held))
    for k in sizes:
        here = number[k] + grid
        if parts.stock:
            bonds.append((here[:-1], here[1:], held[here[:-1]] * E * S))
        for m, per_S in step_Hz.items():
            used = m + (k == 0)  # single vacancies; the first is any of the box
            flow = (held[here] if k else weight[0] * chance) * per_S[max(k, 1) - 1] * S
            if parts.stock:
                for taken in range(used):
                    flow = flow * (grid - taken) / mean
            to = max(k, 1) + m
            at = flow > 0
            if to >= size:
                ends[here[at]] += flow[at]
            else:
                left = grid[at] - used * parts.stock
                bonds.append((here[at], number[to] + left, flow[at]))
    i, j, flow = (np.concatenate(column) for column in zip(*bonds, strict=True))
    between = coo_array((flow, (i, j)), shape=(len(held),) * 2)
    out = np.bincount(i, flow, minlength=len(held)) + np.bincount(j, flow, minlength=len(held))
    solve = splu((diags_array(out + ends) - between - between.T).tocsc()).solve
    share, rate = np.ones(len(held)), 0.0
    for _ in range(50):
        longer = solve(held * share)
        share, rate = longer / longer.max(), share.max() / longer.max()
    still_here = held * share
    return float(rate * still_here.sum() / still_here[: len(grid)].sum())


def correction(box: waiting.Box, S: float, parts: Parts | None = None) -> float:
    """Rate with these parts over that of single vacancies and clusters held still at fixed S."""
    size = min(waiting.supercritical(waiting.theories(box)["box"], S), N_MAX)
    plain = rate_Hz(box, S, size, Parts(False, False, False, False))
    return rate_Hz(box, S, size, parts or Parts()) / plain
