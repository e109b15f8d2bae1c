"""Vacancies in equilibrium, written out plainly: the chain, and enumeration of small boxes.

Every energy is a difference of two energies of the whole box, given as a function of the occupancy.
Species: 0 vacancy, 1 Li, 2 Mg. ΔE of a site is the energy of taking its Li to a kink of the bulk.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np

VACANCY, LI, MG = 0, 1, 2


def taken_out_ueV(
    energy: Callable[[np.ndarray], int], kink_ueV: int, occupancy: np.ndarray, site: int
) -> int:
    """ΔE of one site, whether it holds Li or a vacancy."""
    full, empty = occupancy.copy(), occupancy.copy()
    full[site], empty[site] = LI, VACANCY
    return energy(empty) - energy(full) - kink_ueV


def chain(
    energy: Callable[[np.ndarray], int],
    kink_ueV: int,
    kT_ueV: float,
    occupancy: np.ndarray,
    pairs: int,
    rng: np.random.Generator,
) -> tuple[int, float, float]:
    """Make a vacancy and fill one, in turn; changes `occupancy`.

    Ends after the time with n vacancies of so many pairs at the rate of the start. Returns the
    pairs made, and the summed mean times with n and with n + 1 vacancies.
    """
    rest, made, times = None, 0, [0.0, 0.0]
    while True:
        for above, (species, sign) in enumerate(((LI, -1), (VACANCY, +1))):
            sites = np.flatnonzero(occupancy == species)
            taken = [taken_out_ueV(energy, kink_ueV, occupancy, site) for site in sites]
            rates = np.exp(sign * np.array(taken) / (2 * kT_ueV))
            if species == LI:
                rest = pairs / rates.sum() if rest is None else rest
                rest += math.log1p(-rng.random()) / rates.sum()
                if rest <= 0:
                    return made, *times
            times[above] += 1 / rates.sum()
            place = np.searchsorted(np.cumsum(rates), rng.random() * rates.sum(), side="right")
            occupancy[sites[place]] = VACANCY if species == LI else LI
        made += 1


def enumerated(
    energy: Callable[[np.ndarray], int],
    kink_ueV: int,
    kT_ueV: float,
    metal: np.ndarray,
    n: int,
    sites: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """All ways of n vacancies among the Li of `metal`, or on `sites`, and their Boltzmann factors.

    Returns the sites, int of shape (ways, n), and float64 of shape (ways,): exp(−E/kT) with the
    atoms taken out put on kinks, less E of the box without vacancies. Their sum is Z_n.
    """
    full = energy(metal)
    among = np.flatnonzero(metal == LI) if sites is None else sites
    ways = list(itertools.combinations(among.tolist(), n))
    factors = []
    for way in ways:
        occupancy = metal.copy()
        occupancy[list(way)] = VACANCY
        factors.append(math.exp(-(energy(occupancy) - full - n * kink_ueV) / kT_ueV))
    return np.array(ways, dtype=int).reshape(len(ways), n), np.array(factors)
