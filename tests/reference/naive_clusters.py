"""Z_n written out plainly: every cluster of a box is listed, every energy is a difference of H."""

from __future__ import annotations

import math

import naive
import numpy as np
from naive import LI, MG, VACANCY

CELLS = {"bcc_100": (7, 7), "bcc_110": (6, 6), "bcc_111": (6, 5)}


def box_of(lattice: str, largest: int) -> naive.NaiveLattice:
    """A box that clusters of `largest` vacancies neither cross nor leave."""
    reach = 3 if lattice == "bcc_111" else 2
    layers = max(8, 2 * (reach * (largest - 1) + 1))
    return naive.lattice(lattice, CELLS[lattice], layers, "interface")


def clusters(box: naive.NaiveLattice, largest: int):
    """Sets of sites that hang together and touch L1, by their number of sites."""
    sizes = [{frozenset([i]) for i in range(box.n_sites) if box.layer[i] == 1}]
    for _ in range(largest - 1):
        larger = set()
        for found in sizes[-1]:
            for i in found:
                for j in box.in_box(i, 1) + box.in_box(i, 2):
                    if j not in found:
                        larger.add(found | {j})
        sizes.append(larger)
    return sizes


def energy_eV(box, energies, occupancy, found) -> float:
    """Energy to take these Li atoms out and put them on kinks of the bulk."""
    change = naive.energy_change(box, energies, occupancy, dict.fromkeys(found, VACANCY))
    kink = (8 * energies.bond[0, LI, LI] + 6 * energies.bond[1, LI, LI]) / 2
    return (change - len(found) * kink) / 1e6


def Z(lattice: str, largest: int, temperature_K: float, values=naive.LI_LI2S) -> np.ndarray:
    """Z_1 … Z_largest per L1 site in pure Li."""
    box = box_of(lattice, largest)
    energies = naive.calibrate(values, box)
    occupancy = [LI] * box.n_sites
    kT = naive.K_B_EV * temperature_K
    sums = []
    for size in clusters(box, largest):
        weights = [math.exp(-energy_eV(box, energies, occupancy, c) / kT) for c in size]
        sums.append(math.fsum(weights) / box.sites_per_layer)
    return np.array(sums)


def Z_of_maps(lattice, largest, temperature_K, coverage, fraction, maps, rng) -> np.ndarray:
    """Z_1 … Z_largest per L1 site on maps of Mg drawn at random, shape (maps, largest).

    A cluster may cover Li sites alone: Mg does not move, and is not stripped.
    """
    box = box_of(lattice, largest)
    energies = naive.calibrate(naive.LIMG_LI2S, box)
    kT = naive.K_B_EV * temperature_K
    share = np.where(box.layer == 1, coverage, fraction)
    sizes = clusters(box, largest)
    out = np.zeros((maps, largest))
    for m in range(maps):
        occupancy = np.where(rng.random(box.n_sites) < share, MG, LI).tolist()
        for k, size in enumerate(sizes):
            out[m, k] = math.fsum(
                math.exp(-energy_eV(box, energies, occupancy, c) / kT)
                for c in size
                if all(occupancy[i] == LI for i in c)
            )
    return out / box.sites_per_layer
