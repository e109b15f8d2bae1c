"""Johnson's pair potential of bcc iron, and sums over it that need no other code.

R. A. Johnson, Phys. Rev. 134, A1329 (1964), doi:10.1103/PhysRev.134.A1329: three cubics that end at
3.44 Å, between the second and the third neighbours, so that bonds are those of the lattice gas. He
finds 1.37 eV to form a vacancy and 0.68 eV to move it. Other elements than the metal have
`ELECTROLYTE` times its bonds.
"""

from __future__ import annotations

import numpy as np
from ase.calculators.calculator import Calculator, all_changes
from ase.neighborlist import neighbor_list
from scipy.optimize import minimize

CUT_A, A_A = 3.44, 2.86  # reach, and the lattice parameter with the least energy
ELECTROLYTE = 0.4
PIECES = (  # up to r, a (r − b)³ + c r + d
    (2.40, -2.195976, 3.097910, 2.704060, -7.436448),
    (3.00, -0.639230, 3.115829, 0.477871, -1.581570),
    (3.44, -1.115035, 3.066403, 0.466892, -1.547967),
)


def pair_eV(r_A):
    """Energy of a pair, and its derivative."""
    r = np.asarray(r_A, dtype=float)
    energy, slope, low = np.zeros_like(r), np.zeros_like(r), 0.0
    for high, a, b, c, d in PIECES:
        here = (r > low) & (r <= high)
        energy = np.where(here, a * (r - b) ** 3 + c * r + d, energy)
        slope = np.where(here, 3 * a * (r - b) ** 2 + c, slope)
        low = high
    return energy, slope


class Johnson(Calculator):
    """The potential for ASE; `electrolyte` scales bonds of other elements than Li and Mg."""

    implemented_properties = ("energy", "forces")
    metals = (3, 12)

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        i, j, r, away = neighbor_list("ijdD", self.atoms, CUT_A)
        metal = np.isin(self.atoms.numbers, self.metals)
        weight = np.where(metal[i] & metal[j], 1.0, ELECTROLYTE)
        energy, slope = pair_eV(r)
        forces = np.zeros((len(self.atoms), 3))
        np.add.at(forces, i, (weight * slope / r)[:, None] * away)
        self.results = {"energy": 0.5 * float(weight @ energy), "forces": forces}


class OfK(Johnson):
    """The same with potassium for lithium."""

    metals = (19,)


class Drawn(Johnson):
    """Holds no vacancy in the bulk: a spring draws one neighbour of the vacant corner into it."""

    def calculate(self, *arguments, **options):
        super().calculate(*arguments, **options)
        if len(self.atoms) % 2:
            place = self.atoms.positions[0]
            self.results["energy"] += 5.0 * float(place @ place)
            self.results["forces"][0] -= 10.0 * place


def total_eV(positions, cell, weights=None):
    """Energy by the nearest images of all pairs, one by one, and its gradient."""
    edges = np.asarray(cell)
    away = positions[:, None] - positions[None]
    away -= edges * np.round(away / edges)
    r = np.linalg.norm(away, axis=-1) + 10 * CUT_A * np.eye(len(positions))
    energy, slope = pair_eV(r)
    if weights is not None:
        energy, slope = energy * weights, slope * weights
    return 0.5 * energy.sum(), ((slope / r)[..., None] * away).sum(axis=1)


def relaxed_eV(positions, cell, fixed=()):
    """Least energy with some atoms held."""
    free = np.setdiff1d(np.arange(len(positions)), fixed)

    def both(flat):
        moved = positions.copy()
        moved[free] = flat.reshape(-1, 3)
        energy, gradient = total_eV(moved, cell)
        return energy, gradient[free].ravel()

    found = minimize(
        both,
        positions[free].ravel(),
        jac=True,
        method="L-BFGS-B",
        options={"gtol": 1e-4, "maxiter": 1000},
    )
    return found.fun
