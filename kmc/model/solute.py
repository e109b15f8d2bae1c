"""Barriers of single hops, and the correlation of the hops of an Mg that one vacancy moves."""

from __future__ import annotations

import math

import numpy as np

from kmc.common.units import K_B_eV, MICRO_eV
from kmc.model.hamiltonian import LI, MG, Hamiltonian
from kmc.model.parameters import ParameterSet


def activation_energy_ueV(barrier_ueV, energy_ueV, floor_ueV):
    """Activation energy of a hop, integers in µeV (arrays welcome).

    max(E0 + ΔE/2, ΔE, 0), raised by max(0, floor − the lower of forward and reverse). The floor
    division makes forward minus reverse equal ΔE exactly, so detailed balance is exact.
    """
    energy = np.asarray(energy_ueV)
    forward = np.maximum(np.maximum(barrier_ueV + (energy >> 1), energy), 0)
    lower = np.minimum(forward, forward - energy)
    return forward + np.maximum(0, floor_ueV - lower)


def solute_correlation(
    parameters: ParameterSet, hamiltonian: Hamiltonian, temperature_K: float, reach: int = 12
) -> float:
    """Correlation factor of an Mg in bulk Li that one vacancy moves, from the rates of the model.

    After an exchange the vacancy stands behind the Mg; it walks until it exchanges with it again
    or is `reach` half-cells away in x, y or z, from where it comes back from every side alike. With
    P_k the chances of the next exchange to go along direction k, f = (1 + t)/(1 − t) and
    t = Σ P_k cos θ_k (Manning, Phys. Rev. 116, 819 (1959), doi:10.1103/PhysRev.116.819).
    """
    from scipy.sparse import csc_matrix
    from scipy.sparse.linalg import spsolve

    kT_ueV = K_B_eV * MICRO_eV * temperature_K
    cube = np.array(np.meshgrid(*[np.arange(-reach, reach + 1)] * 3)).reshape(3, -1).T
    parity = (cube & 1).sum(axis=1)
    places = cube[((parity == 0) | (parity == 3)) & np.any(cube != 0, axis=1)]  # Mg at the origin
    number = {tuple(place): i for i, place in enumerate(places.tolist())}
    squared = (places**2).sum(axis=1)  # 3 and 4 in the first two shells
    bonds = [hamiltonian.bond1, hamiltonian.bond2]
    energy = np.zeros(len(places), dtype=np.int64)  # of the vacancy, against pure Li
    for shell, bond in zip((3, 4), bonds, strict=True):
        energy[squared == shell] = bond[LI, MG] - bond[LI, LI]
    steps = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, -1).T
    e0 = {
        key: round(parameters.value(f"barrier_{key}_eV") * MICRO_eV)
        for key in ("Li", "Li_near_Mg", "Mg")
    }
    exchange = math.exp(-e0["Mg"] / kT_ueV)
    rows, columns, rates, leave = [], [], [], np.zeros(len(places))
    for i, place in enumerate(places.tolist()):
        for step in steps.tolist():
            to = (place[0] + step[0], place[1] + step[1], place[2] + step[2])
            if to == (0, 0, 0):
                leave[i] += exchange
                continue
            j = number.get(to)
            change = 0 if j is None else int(energy[j] - energy[i])
            near = squared[i] == 3 or (j is not None and squared[j] == 3)
            barrier = e0["Li_near_Mg" if near else "Li"]
            rate = math.exp(-int(activation_energy_ueV(barrier, change, 0)) / kT_ueV)
            leave[i] += rate
            if j is not None:
                rows.append(j)
                columns.append(i)
                rates.append(-rate)
    diagonal = np.arange(len(places))
    matrix = csc_matrix(
        (np.append(rates, leave), (np.append(rows, diagonal), np.append(columns, diagonal)))
    )
    start = np.zeros(len(places))
    start[number[1, 1, 1]] = 1.0
    dwell = spsolve(matrix, start)
    # The last jump of the Mg was along −(1, 1, 1), the next one is towards the vacancy.
    cosine = sum(dwell[number[tuple(step)]] * exchange * -float(step.sum()) / 3.0 for step in steps)
    return float((1.0 + cosine) / (1.0 - cosine))
