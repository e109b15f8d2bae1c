"""The Boltzmann distribution of a closed box by two ways: a Metropolis walk, and a run's log.

The walk knows nothing of kmc: its energies are the oracle's, its moves exchange any two sites, and
no rate or barrier comes into it.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import naive
import numpy as np
from naive import LI, MG, VACANCY
from numba import njit

N_GROUPS = 3  # L1, L2, deeper
SIZES = 12  # void sizes told apart; the last holds all larger ones


class Box(NamedTuple):
    """Neighbours and energies of a box as arrays.

    `near` lists the 14 neighbours of each site, −1 where there is none in the box; the energy of a
    pair is ``pair[kind, species, species]``, that of a site with the reservoir ``own[species]``.
    """

    near: np.ndarray  # int64[n_sites, 14]
    kind: np.ndarray  # int64[n_sites, 14]
    pair: np.ndarray  # int64[4, 3, 3]
    own: np.ndarray  # int64[3, n_sites]
    group: np.ndarray  # int64[n_sites]


def box_of(setup) -> Box:
    """Arrays of a `paired.Setup`."""
    box, n = setup.box, setup.n_sites
    energies = naive.calibrate(setup.all_values, box)
    near, kind = np.full((n, 14), -1), np.zeros((n, 14), dtype=np.int64)
    own = np.array([[energies.site[s, layer] for layer in box.layer] for s in range(3)])
    for i in range(n):
        k = 0
        for shell in (0, 1):
            for j in box.neighbours[shell][i]:
                if j >= n:  # the reservoir is Li
                    own[:, i] -= energies.bond[shell, :, LI]
                    continue
                near[i, k] = j
                layers = (box.layer[i], box.layer[j])
                facing = {(1, 2): 2, (2, 1): 3}.get(layers, 0) if shell == 0 else 1
                kind[i, k] = facing if energies.chi else shell
                k += 1
    pair = -energies.bond[[0, 1, 0, 0]].astype(np.int64)
    pair[2, VACANCY, MG] += energies.chi
    pair[3, MG, VACANCY] += energies.chi
    group = np.zeros(n, dtype=np.int64)
    if box.boundary == "interface":
        group = np.minimum(box.layer, N_GROUPS) - 1
    return Box(near, kind, pair, own.astype(np.int64), group)


@njit
def energy_around(box, occupancy, i, species):
    """Energy of a site with this species, bonds included."""
    energy = box.own[species, i]
    for k in range(14):
        j = box.near[i, k]
        if j >= 0:
            energy += box.pair[box.kind[i, k], species, occupancy[j]]
    return energy


@njit
def total_energy(box, occupancy):
    """Energy of the box in µeV; every pair once."""
    energy = 0
    for i in range(occupancy.size):
        around = energy_around(box, occupancy, i, occupancy[i])
        energy += around + box.own[occupancy[i], i]
    return energy // 2


@njit
def void_sizes(box, occupancy, vacancies, n_vacancies, label, stack, found):
    """Add to `found` the number of vacancies in voids of each size (shells 1 and 2)."""
    for a in range(n_vacancies):
        if label[vacancies[a]]:
            continue
        label[vacancies[a]] = True
        stack[0] = vacancies[a]
        top = size = 1
        while top:
            top -= 1
            site = stack[top]
            for k in range(14):
                j = box.near[site, k]
                if j >= 0 and occupancy[j] == VACANCY and not label[j]:
                    label[j] = True
                    stack[top] = j
                    top += 1
                    size += 1
        found[min(size, SIZES) - 1] += size
    for a in range(n_vacancies):
        label[vacancies[a]] = False


@njit
def metropolis(box, occupancy, defects, kT_ueV, sweeps, seed):
    """Numbers of a walk of so many sweeps, one row each: an exchange tried for every defect."""
    np.random.seed(seed)  # noqa: NPY002 (numba's own generator)
    n, n_defects = occupancy.size, defects.size
    layers = np.zeros((sweeps, 3, N_GROUPS))
    sizes = np.zeros((sweeps, SIZES))
    vacancies, stack = np.zeros(n_defects, np.int64), np.zeros(n_defects, np.int64)
    label = np.zeros(n, np.bool_)
    for sweep in range(sweeps):
        for _ in range(n_defects):
            d = np.random.randint(n_defects)  # noqa: NPY002
            i, j = defects[d], np.random.randint(n)  # noqa: NPY002
            a, b = occupancy[i], occupancy[j]
            if a == b:
                continue
            before = energy_around(box, occupancy, i, a) + energy_around(box, occupancy, j, b)
            occupancy[i], occupancy[j] = b, a
            # A bond between the two is in both sums, before and after alike.
            change = energy_around(box, occupancy, i, b) + energy_around(box, occupancy, j, a)
            for k in range(14):
                if box.near[i, k] == j:
                    kind = box.kind[i, k]
                    change -= box.pair[kind, b, a]
                    before -= box.pair[kind, a, b]
            change -= before
            if change > 0 and np.random.random() >= math.exp(-change / kT_ueV):  # noqa: NPY002
                occupancy[i], occupancy[j] = a, b
                continue
            for e in range(n_defects):
                if defects[e] == j and b != LI:
                    defects[e] = i
            defects[d] = j
        count = 0
        for e in range(n_defects):
            site = defects[e]
            layers[sweep, occupancy[site], box.group[site]] += 1
            if occupancy[site] == VACANCY:
                vacancies[count] = site
                count += 1
        void_sizes(box, occupancy, vacancies, count, label, stack, sizes[sweep])
    return layers, sizes


@njit
def follow(box, occupancy, start, log, interval, layers, sizes):
    """Add up a log: time in layers for each species but Li, void sizes at equal intervals."""
    site_from, site_to, time_s = log
    vacancies = np.flatnonzero(occupancy == VACANCY)
    here = np.zeros((3, N_GROUPS))
    for i in range(occupancy.size):
        here[occupancy[i], box.group[i]] += 1
    label = np.zeros(occupancy.size, np.bool_)
    stack = np.zeros(vacancies.size, np.int64)
    now = start
    due = (math.floor(start / interval) + 1) * interval
    for k in range(site_from.size):
        while due <= time_s[k]:
            void_sizes(box, occupancy, vacancies, vacancies.size, label, stack, sizes)
            due += interval
        layers += here * (time_s[k] - now)
        now = time_s[k]
        a, b = site_from[k], site_to[k]
        species = occupancy[a]
        here[species, box.group[a]] -= 1
        here[species, box.group[b]] += 1
        here[VACANCY, box.group[b]] -= 1
        here[VACANCY, box.group[a]] += 1
        occupancy[b], occupancy[a] = species, VACANCY
        for v in range(vacancies.size):
            if vacancies[v] == b:
                vacancies[v] = a
