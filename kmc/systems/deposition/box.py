"""A box of sites for the kernel: its arrays, and the rates at a current."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kmc.kernels import deposition as kernel
from kmc.model.adatoms import NEIGHBOURS, Adatoms
from kmc.model.electrochemistry import strip_rate_Hz


def box_of(size: tuple[int, int, int], surface: np.ndarray, places: int) -> kernel.Box:
    """What does not change; `surface` is [y, x]."""
    nx, ny, nz = size
    return kernel.Box(nx, ny, nz, places - 1, np.ascontiguousarray(surface.reshape(-1)))


def empty_state(box: kernel.Box) -> kernel.State:
    """A bare substrate."""
    columns, sites = box.nx * box.ny, box.nx * box.ny * box.nz
    bins = (box.metal + 1) * kernel.PER_PLACE
    return kernel.State(
        occupied=np.zeros(sites, np.uint8),
        neighbours=np.zeros(sites, np.int8),
        connected=np.zeros(sites, np.uint8),
        top=np.zeros(columns, np.int32),
        members=np.zeros((bins, sites), np.int32),
        size=np.zeros(bins, np.int64),
        n_connected=np.zeros(bins, np.int64),
        where=np.zeros(sites, np.int32),
        stack=np.zeros(sites, np.int32),
        seen=np.zeros(sites, np.int64),
        searches=np.zeros(1, np.int64),
        counts=np.zeros(6, np.int64),
        clock=np.zeros(1, np.float64),
    )


@dataclass(frozen=True)
class DepositionDrive:
    """What a step does: `kernel.REST`, `PLATE` or `STRIP`, at a current above 0."""

    what: int
    current_density_mA_cm2: float


def law_of(
    energies: Adatoms,
    box: kernel.Box,
    drive: DepositionDrive,
    *,
    hops: bool = True,
    strip_weight_lambda: float = 0.5,
    strip_cutoff_V: float = np.inf,
) -> kernel.Law:
    """Rates at a current.

    Stripped is one of the connected atoms with a free side, in proportion to exp(−λ B/kT); those
    that need more than the cutoff are left out.
    """
    rates = energies.hop_rates_Hz()
    own = np.einsum("kkn->kn", rates[:, :, 0, :])  # no hop from a place is faster than within it
    saddle = energies.saddle_eV()
    lowest = np.einsum("kk->k", saddle[:, :, 0])
    ratio = np.exp(-(saddle - lowest[:, None, None]) / energies.kT_eV)
    weight = np.exp(
        -strip_weight_lambda
        * (energies.binding_eV() - energies.binding_eV().min())
        / energies.kT_eV
    )
    weight[energies.potential_V() > strip_cutoff_V] = 0.0
    weight[-1, NEIGHBOURS:] = 0.0  # has no free side
    weight[:-1, NEIGHBOURS - 1 :] = 0.0
    per_site = strip_rate_Hz(drive.current_density_mA_cm2, energies.area_A2, energies.valence)
    return kernel.Law(
        bound=np.ascontiguousarray(own.reshape(-1) * hops),
        ratio=np.ascontiguousarray(ratio),
        weight=np.ascontiguousarray(weight.reshape(-1)),
        drive=drive.what,
        drive_Hz=0.0 if drive.what == kernel.REST else per_site * box.nx * box.ny,
    )
