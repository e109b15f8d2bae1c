"""Energies and rates of single events as tables, in the form the kernels look them up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kmc.errors import InputError
from kmc.hamiltonian import LI, MG
from kmc.kernels import tables

if TYPE_CHECKING:
    from kmc.model import Model

_FINE = 1024  # µeV per step of the coarse Boltzmann table
_CHEMISTRY = 1 << tables.CHEMISTRY_SHIFT  # columns of a table for each chemistry
_HOPS_TO_A_LAYER = 4  # of bcc (100)
_LEAST_HOPS = 30.0  # of a walk worth drawing at once: it takes as long as so many hops
_HOPS = 2048  # of them those that a hop of a pure metal can name


def activation_energy_ueV(barrier_ueV, energy_ueV, floor_ueV):
    """Activation energy of a hop, integers in µeV (arrays welcome).

    max(E0 + ΔE/2, ΔE, 0), raised by max(0, floor − the lower of forward and reverse). The floor
    division makes forward minus reverse equal ΔE exactly, so detailed balance is exact.
    """
    energy = np.asarray(energy_ueV)
    forward = np.maximum(np.maximum(barrier_ueV + (energy >> 1), energy), 0)
    lower = np.minimum(forward, forward - energy)
    return forward + np.maximum(0, floor_ueV - lower)


def one_species(model: Model) -> tables.OneSpecies:
    """Tables of a pure metal."""
    h, kT = model.hamiltonian, model.kT_ueV
    e1, e2 = int(h.bond1[LI, LI]), int(h.bond2[LI, LI])
    site = model.site_binding_ueV(LI)
    # Index of a hop (see `tables.OneSpecies`): chemistry and class of the atom, then the
    # difference of the packed counts (nv1 + 16 nv2), atom minus vacancy.
    index = np.arange(_HOPS // 2)
    packed = index % 256 - 128
    d_nv1 = (packed + 7) % 16 - 7
    d_nv2 = (packed - d_nv1) // 16
    n_chemistries = len(model.hamiltonians)
    columns = (n_chemistries - 1) * _CHEMISTRY + _HOPS
    hop_rate = np.zeros((site.size, columns))
    hop_energy = np.zeros((site.size, columns), dtype=np.int32)
    for chemistry in range(n_chemistries):
        pair = site[4 * chemistry + index // 256][None, :] - site[:, None]
        energy = pair - e1 * d_nv1 - e2 * d_nv2 + e1
        activation = activation_energy_ueV(int(model.barriers_ueV[0]), energy, model.floor_ueV)
        here = slice(chemistry * _CHEMISTRY, chemistry * _CHEMISTRY + index.size)
        hop_rate[:, here] = np.exp(-activation / kT) * (model.attempt_frequency_Hz / model.unit_Hz)
        hop_energy[:, here] = energy
    counts = np.arange(128)
    lost = e1 * (counts & 15) + e2 * (counts >> 4)
    binding = site[:, None] - lost
    excess = (binding - model.strip_reference_ueV) / kT
    return tables.OneSpecies(
        hop_rate=hop_rate,
        hop_energy_ueV=hop_energy,
        binding_ueV=binding.astype(np.int32),
        strip_weight=np.exp(-model.strip_weight_lambda * excess),
        absorption=np.exp(-lost / kT) * (model.absorption_rate_Hz / model.unit_Hz),
    )


def two_species(model: Model) -> tables.TwoSpecies:
    """Tables of an alloy."""
    h, kT = model.hamiltonian, model.kT_ueV
    if "Mg" not in model.parameters.species:
        raise InputError(
            f"the parameter set {model.parameters.name} has no Mg",
            advice="Use a set with Mg, such as limg_li2s.",
        )
    bits = np.arange(len(model.hamiltonians) * _CHEMISTRY)
    nv1, nv2, classes, cx = bits & 15, (bits >> 4) & 7, (bits >> 8) & 3, (bits >> 11) & 7
    rows = 4 * (bits >> tables.CHEMISTRY_SHIFT) + classes
    counts = np.arange(tables.MASK_MG + 1)
    nm1, nm2 = counts & 15, counts >> 4
    site = np.zeros((3, bits.size), dtype=np.int64)
    mg_bonds = np.zeros((3, counts.size), dtype=np.int64)
    pair = np.zeros((3, 4, 4), dtype=np.int64)
    for x in (LI, MG):
        site[x] = model.site_binding_ueV(x)[rows] - h.bond1[x, LI] * nv1 - h.bond2[x, LI] * nv2
        site[x] += h.chi * cx * (classes == 1)  # a vacancy of L1 stays behind, beside cx Mg
        mg_bonds[x] = (h.bond1[x, MG] - h.bond1[x, LI]) * nm1
        mg_bonds[x] += (h.bond2[x, MG] - h.bond2[x, LI]) * nm2
        pair[x] = h.bond1[x, x]
    site[MG] -= h.chi * cx * (classes == 2)  # an Mg of L2 takes its pairs along
    pair[MG, 1, 2] += h.chi
    pair[MG, 2, 1] += h.chi
    highest = model.floor_ueV + int(model.barriers_ueV.max())
    highest += 2 * int(np.abs(site).max() + np.abs(mg_bonds).max())
    barriers, share = model.barriers_ueV, model.reservoir_mg_fraction
    coarse = np.exp(-_FINE * np.arange(highest // _FINE + 2) / kT)
    return tables.TwoSpecies(
        site_ueV=site.astype(np.int32),
        mg_bonds_ueV=mg_bonds.astype(np.int32),
        pair_ueV=pair.reshape(3, 16).astype(np.int32),
        barrier_ueV=np.array([0, 0, *barriers[:2], *barriers[[2, 2]]], dtype=np.int32),
        floor_ueV=model.floor_ueV,
        floor_rules=model.floor_ueV >= int(model.barriers_ueV.max()),
        rate_coarse=coarse * (model.attempt_frequency_Hz / model.unit_Hz),
        rate_fine=np.exp(-np.arange(_FINE) / kT),
        strip_reference_ueV=model.strip_reference_ueV,
        strip_exponent=model.strip_weight_lambda / kT,
        absorption=np.array([0.0, 1.0 - share, share]) * (model.absorption_rate_Hz / model.unit_Hz),
        bulk_binding_ueV=np.array([0, h.bulk_binding_ueV(LI), h.bulk_binding_ueV(MG)]),
        inverse_kT=1.0 / kT,
    )


def lone_vacancy(model: Model, wanted: bool) -> tables.LoneVacancy | tables.NoWalks:
    """Rates of the only vacancy of a box, layer by layer, if wanted."""
    n = model.lattice.layers
    if not wanted:
        return tables.NoWalks(layers=n)
    # What is left behind has lost the bonds of an atom: hops follow these differences.
    site = model.site_binding_ueV(LI)[model.layer_class()]
    rate = np.zeros((2, n))
    for side, layers, energy in (
        (0, slice(1, n), -np.diff(site)),
        (1, slice(n - 1), np.diff(site)),
    ):
        activation = activation_energy_ueV(int(model.barriers_ueV[0]), energy, model.floor_ueV)
        hop = np.exp(-activation / model.kT_ueV) * (model.attempt_frequency_Hz / model.unit_Hz)
        rate[side, layers] = _HOPS_TO_A_LAYER * hop
    nx, ny = model.lattice.cells
    return tables.LoneVacancy(
        nx=nx,
        ny=ny,
        layers=n,
        rate=rate,
        absorption=model.absorption_rate_Hz / model.unit_Hz,
        most_others=float(rate.max()) / _LEAST_HOPS,
        lost=np.zeros((2, n)),
        kept=np.zeros((2, n)),
    )
