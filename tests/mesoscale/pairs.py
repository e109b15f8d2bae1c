"""Bound pairs of vacancies on the interface: how many there are, and how fast they move.

A cluster takes up what reaches it, and a share of that arrives as pairs. A pair is enumerated: all
states in which two vacancies are first or second neighbours, less translations along L1. While it
is bound it moves by the hops of the event loop from one such state to another; hops that part it
are left out. Its diffusivity follows from the mean square of a step and the correlation of steps,

    Z_2 D_2 = Σ_i π_i (½ Σ_j w_ij Δ_ij² − b_i χ_i),    b_i = Σ_j w_ij Δ_ij,    −W χ = b,

with π_i = exp(−E_i/kT) and Δ the step of the pair's centre along one direction of L1.
"""

from __future__ import annotations

import math

import numpy as np

from kmc.mesoscale.surface import Surface
from kmc.model.model import Model

HIGHEST = 6  # layers that a pair may be in; at 298 K it is hardly ever above the third


def _pair(one, other):
    """The pair with its lower vacancy at the origin of its layer."""
    one, other = sorted((one, other), key=lambda site: (site[2], site[0], site[1]))
    return (0, 0, one[2]), (other[0] - one[0], other[1] - one[1], other[2])


def _moved(site, step):
    return tuple(int(x) + int(d) for x, d in zip(site, step, strict=True))


def pairs(surface: Surface, model: Model) -> tuple[float, float]:
    """Z_2 per L1 site, and Z_2 D_2 in a²/s along the interface, on bcc (100).

    Every hop has another vacancy beside it, so all are raised to the common lowest barrier.
    """
    h, kT = surface.hamiltonian, surface.kT_ueV
    steps = [_moved((0, 0, 0), step) for step in surface.steps]
    bond_ueV = {step: int((h.bond1 if k < 8 else h.bond2)[1, 1]) for k, step in enumerate(steps)}
    single_ueV = surface.formation_ueV

    def energy_ueV(one, other):
        apart = _moved(other, [-x for x in one])
        alone = sum(single_ueV[min(site[2], len(single_ueV) - 1)] for site in (one, other))
        return alone - bond_ueV.get(apart, 0), apart in bond_ueV

    inside = [_moved((0, 0, layer), step) for layer in range(HIGHEST) for step in steps]
    lower = [(0, 0, layer) for layer in range(HIGHEST) for _ in steps]
    states = dict.fromkeys(
        _pair(one, other)
        for one, other in zip(lower, inside, strict=True)
        if 0 <= other[2] < HIGHEST
    )
    number = {state: i for i, state in enumerate(states)}
    energy = np.array([energy_ueV(*state)[0] for state in states])
    rates, drift, square = (
        np.zeros((len(states),) * 2),
        np.zeros(len(states)),
        np.zeros(len(states)),
    )
    for i, state in enumerate(states):
        for one, other in (state, state[::-1]):
            for step in steps[:8]:
                to = _moved(one, step)
                if to == other or not 0 <= to[2] < HIGHEST:
                    continue
                after, bound = energy_ueV(to, other)
                if not bound:
                    continue
                change = after - energy[i]
                saddle = max(model.barriers_ueV[0] + change / 2, change, 0)
                saddle += max(0, model.floor_ueV - min(saddle, saddle - change))
                rate = model.attempt_frequency_Hz * math.exp(-saddle / kT)
                moved = (
                    step[0] + step[2] / 2
                ) / 2  # of the centre along x: layers go by half a cell
                rates[i, number[_pair(to, other)]] += rate
                drift[i] += rate * moved
                square[i] += rate * moved**2
    weight = np.exp(-energy / kT)
    generator = rates - np.diag(rates.sum(axis=1))
    chi = np.linalg.lstsq(-generator, drift, rcond=None)[0]
    return float(weight.sum()), float(weight @ (square / 2 - drift * chi))


def flux_by_pairs(surface: Surface, model: Model, S: float) -> float:
    """Vacancies that pairs carry along the interface, over those that single ones carry.

    In equilibrium with single vacancies of activity S there are Z_2 S² pairs a site, and a pair
    carries two: 2 Z_2 D_2 S²/(Z_1 D_1 S). On bcc (100) single vacancies move from L1 by L2, and
    Z_1 D_1 is the equilibrium exchange of an L1 site with one above it, times a².
    """
    kT, change = surface.kT_ueV, surface.formation_ueV[1] - surface.formation_ueV[0]
    saddle = max(model.barriers_ueV[0] + change / 2, change)
    saddle += max(0, model.lone_floors_ueV[1, 2] - min(saddle, saddle - change))
    single = model.attempt_frequency_Hz * math.exp(-(surface.formation_ueV[0] + saddle) / kT)
    return 2 * pairs(surface, model)[1] * S / single
