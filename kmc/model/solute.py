"""Barriers of single hops, and the correlation of the hops of an Mg that one vacancy moves."""

import itertools
import math
from typing import NamedTuple

import numpy as np
import scipy

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


_BESIDE = tuple(itertools.product((-1, 1), repeat=3))  # first neighbours of a site, half-cells


class _Walk(NamedTuple):
    """A vacancy around an Mg at the origin, up to `reach` half-cells away in x, y or z.

    Rates are over ν. ``rate[i, j]`` is that of the hop from place i to j, ``leave[i]`` that of
    all that happens at i, ``beyond[i]`` the sum of rate times z over the hops out of reach;
    `exchange` is the rate at which the Mg and a vacancy beside it change places.
    """

    places: np.ndarray
    number: dict[tuple[int, ...], int]
    rate: "scipy.sparse.csc_matrix"
    leave: np.ndarray
    beyond: np.ndarray
    exchange: float


def _walk_around_mg(
    parameters: ParameterSet, hamiltonian: Hamiltonian, temperature_K: float, reach: int
) -> _Walk:
    kT_ueV = K_B_eV * MICRO_eV * temperature_K
    cube = np.array(np.meshgrid(*[np.arange(-reach, reach + 1)] * 3)).reshape(3, -1).T
    # In half cells bcc sites have coordinates all even or all odd.
    parity = (cube & 1).sum(axis=1)
    places = cube[((parity == 0) | (parity == 3)) & np.any(cube != 0, axis=1)]  # Mg at the origin
    number = {tuple(place): i for i, place in enumerate(places.tolist())}
    squared = (places**2).sum(axis=1)  # 3 and 4 in the first two shells
    bonds = [hamiltonian.bond1, hamiltonian.bond2]
    energy = np.zeros(len(places), dtype=np.int64)  # of the vacancy, against pure Li
    for shell, bond in zip((3, 4), bonds, strict=True):
        energy[squared == shell] = bond[LI, MG] - bond[LI, LI]
    e0 = {
        key: round(parameters.value(f"barrier_{key}_eV") * MICRO_eV)
        for key in ("Li", "Li_near_Mg", "Mg")
    }
    exchange = math.exp(-e0["Mg"] / kT_ueV)
    hops, leave, beyond = [], np.zeros(len(places)), np.zeros(len(places))
    for i, place in enumerate(places.tolist()):
        for step in _BESIDE:
            to = (place[0] + step[0], place[1] + step[1], place[2] + step[2])
            if to == (0, 0, 0):
                leave[i] += exchange
                continue
            j = number.get(to)
            # Out of reach the Mg is felt no more: the energy there is that of pure Li.
            change = 0 if j is None else int(energy[j] - energy[i])
            near = squared[i] == 3 or (j is not None and squared[j] == 3)
            barrier = e0["Li_near_Mg" if near else "Li"]
            rate = math.exp(-int(activation_energy_ueV(barrier, change, 0)) / kT_ueV)
            leave[i] += rate
            if j is None:
                beyond[i] += rate * to[2]
            else:
                hops.append((i, j, rate))
    here, there, rates = zip(*hops, strict=True)
    matrix = scipy.sparse.csc_matrix((rates, (here, there)), shape=(len(places), len(places)))
    return _Walk(places, number, matrix, leave, beyond, exchange)


def solute_correlation(
    parameters: ParameterSet, hamiltonian: Hamiltonian, temperature_K: float, reach: int = 12
) -> float:
    """Correlation factor of an Mg in bulk Li that one vacancy moves, from the rates of the model.

    After an exchange the vacancy stands behind the Mg; it walks until it exchanges with it again
    or is `reach` half-cells away in x, y or z, from where it comes back from every side alike. With
    P_k the chances of the next exchange to go along direction k, f = (1 + t)/(1 − t) and
    t = Σ P_k cos θ_k (Manning, Phys. Rev. 116, 819 (1959), doi:10.1103/PhysRev.116.819).
    """
    walk = _walk_around_mg(parameters, hamiltonian, temperature_K, reach)
    start = np.zeros(len(walk.places))
    start[walk.number[1, 1, 1]] = 1.0
    balance = (scipy.sparse.diags(walk.leave) - walk.rate.T).tocsc()
    dwell = scipy.sparse.linalg.spsolve(balance, start)
    # The last jump of the Mg was along −(1, 1, 1), the next one is towards the vacancy.
    cosine = sum(dwell[walk.number[k]] * walk.exchange * -sum(k) / 3.0 for k in _BESIDE)
    return float((1.0 + cosine) / (1.0 - cosine))


def solute_drag(
    parameters: ParameterSet, hamiltonian: Hamiltonian, temperature_K: float, reach: int = 12
) -> float:
    """R: Mg that a flux of vacancies through bulk Li moves the other way, over its share c.

    In a gradient g of the supersaturation along z, far from all other Mg, let the vacancy be at
    place r as seen from an Mg at z_Mg with the probability exp(−E(r)/kT) (1 + g (z_Mg + u(r))) of
    the dilute steady state. Hops conserve it, and so do exchanges, which take Mg and vacancy from
    (z_Mg, k) to (z_Mg + k_z, −k):

        Σ_j w(r → j) (u_j − u_r) + [r = k] w_ex (k_z + u(−k) − u(k)) = 0,   u = z out of reach,

    and the flux of Mg over that of vacancies, 4 w_Li g on the same scale, is
    R/c with R = (w_ex exp(−E(k)/kT)/w_Li) (2 u(k) − 1), the mean over the k that are up. Atoms that
    hop like Li have u = z and R = 1. A slow Mg is in the way of the vacancies, which so are more
    frequent before it than behind: u(k) is 1.5 as on an insulating sphere.
    """
    walk = _walk_around_mg(parameters, hamiltonian, temperature_K, reach)
    known = walk.beyond.copy()
    for k in _BESIDE:
        known[walk.number[k]] += walk.exchange * k[2]
    here = [walk.number[k] for k in _BESIDE]
    behind = [walk.number[-k[0], -k[1], -k[2]] for k in _BESIDE]
    shape, rates = walk.rate.shape, [walk.exchange] * len(here)
    swaps = scipy.sparse.csc_matrix((rates, (here, behind)), shape=shape)
    balance = (scipy.sparse.diags(walk.leave) - walk.rate - swaps).tocsc()
    u = scipy.sparse.linalg.spsolve(balance, known)
    kT_ueV = K_B_eV * MICRO_eV * temperature_K
    apart = int(hamiltonian.bond1[LI, MG] - hamiltonian.bond1[LI, LI])
    lithium = math.exp(-round(parameters.value("barrier_Li_eV") * MICRO_eV) / kT_ueV)
    ahead = np.mean([u[walk.number[k]] for k in _BESIDE if k[2] > 0])
    return float(walk.exchange / lithium * math.exp(-apart / kT_ueV) * (2.0 * ahead - 1.0))
