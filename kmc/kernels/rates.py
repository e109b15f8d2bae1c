"""Energies and rates of single events, read off the site states of the sites they touch.

Each public function has a version for a pure metal and one for an alloy. Which of them a loop is
compiled with follows from the type of the tables handed in (`OneSpecies` or `TwoSpecies`), so that
a pure metal does not pay for Mg.

Rates are in units of `Channels.unit_Hz`.
"""

from __future__ import annotations

import math

import numpy as np
from numba.extending import overload

from kmc.kernels.jit import index, inner
from kmc.kernels.tables import (
    BLOCKED,
    CHEMISTRY_SHIFT,
    CLASS_SHIFT,
    CX,
    EXPECTED_UNIT,
    HOP_MG_SHIFT,
    LI,
    MASK_FIRST,
    MASK_HOP,
    MASK_METAL,
    MASK_MG,
    MASK_SITE,
    MASK_VACANCIES,
    MG,
    MG_SHIFT,
    MOST_EXPECTED,
    NM1,
    NV1,
    SPECIES_SHIFT,
    OneSpecies,
    TwoSpecies,
)


@inner
def species_of(packed):
    return (packed >> SPECIES_SHIFT) & 3


@inner
def class_of(packed):
    return (packed >> CLASS_SHIFT) & 3


@inner
def _row_of(packed):
    """Class and chemistry of a site: its row in the tables of `OneSpecies`."""
    return class_of(packed) | ((packed >> (CHEMISTRY_SHIFT - 2)) & 12)


# --- pure metal ------------------------------------------------------------------------------


@inner
def _one_target(law, packed_to):
    return law.first_hop[packed_to & MASK_HOP]


@inner
def _one_hop_rate(law, target, packed_from):
    return law.hop_rate[index(target + (packed_from & MASK_HOP))]


@inner
def _one_hop_energy(law, target, packed_from):
    return law.hop_energy_ueV[index(target + (packed_from & MASK_HOP))]


@inner
def _one_barrier_kind(law, packed_to, packed_from):
    return 0


@inner
def _one_binding(law, species, packed):
    return law.binding_ueV[_row_of(packed), packed & MASK_VACANCIES]


@inner
def _one_strip_weight(law, packed):
    return law.strip_weight[_row_of(packed), packed & MASK_VACANCIES]


@inner
def _one_plate_weight(law, packed):
    return law.plate_weight[_row_of(packed), packed & MASK_VACANCIES]


@inner
def _one_expected(law, packed):
    return law.expected[_row_of(packed)]


@inner
def _one_absorption(law, species, packed):
    return law.absorption[packed & MASK_VACANCIES] if species == LI else 0.0


# --- alloy -----------------------------------------------------------------------------------


@inner
def _two_binding(law, species, packed):
    return (
        law.site_ueV[species, packed & MASK_SITE]
        + law.mg_bonds_ueV[species, (packed >> MG_SHIFT) & MASK_MG]
    )


@inner
def _two_target(law, packed_to):
    return (
        _two_binding(law, LI, packed_to),
        _two_binding(law, MG, packed_to),
        class_of(packed_to),
        (packed_to >> MG_SHIFT) & MASK_FIRST,
        NV1 if packed_to & MASK_VACANCIES == 0 else -1,
    )


@inner
def _two_hop_energy(law, target, packed_from):
    is_mg = (packed_from >> (SPECIES_SHIFT + 1)) & 1
    binding_li, binding_mg, class_to, _, _ = target
    return (
        law.hop_ueV[class_to, index((packed_from & MASK_HOP) | is_mg << HOP_MG_SHIFT)]
        + law.mg_bonds_ueV[LI + is_mg, index((packed_from >> MG_SHIFT) & MASK_MG)]
        - (binding_mg if is_mg else binding_li)
    )


@inner
def activation_energy(barrier_ueV, energy_ueV, floor_ueV):
    """Activation energy with barrier raising (Chatterjee and Voter 2010, 10.1063/1.3409606).

    max(E0 + dE/2, dE, 0), raised equally for the hop and its reverse.

    The floor division makes forward minus reverse equal dE to the last µeV.
    """
    forward = max(barrier_ueV + (energy_ueV >> 1), energy_ueV, 0)
    lower = min(forward, forward - energy_ueV)
    return forward + max(0, floor_ueV - lower)


@inner
def _two_hop_rate(law, target, packed_from):
    if packed_from & BLOCKED:
        return 0.0
    energy = _two_hop_energy(law, target, packed_from)
    # Whether the atom sees this vacancy alone, and it no other.
    lone = packed_from & MASK_VACANCIES == target[4]
    floor_ueV = law.floors_ueV[index(target[2] << 2 | class_of(packed_from) if lone else 16)]
    if law.floor_rules:
        activation = floor_ueV + max(energy, 0)
    else:
        beside_mg = 1 if (target[3] | ((packed_from >> MG_SHIFT) & MASK_FIRST)) != 0 else 0
        barrier = law.barrier_ueV[2 * species_of(packed_from) + beside_mg]
        activation = activation_energy(barrier, energy, floor_ueV)
    return law.rate_coarse[index(activation >> 10)] * law.rate_fine[index(activation & 1023)]


@inner
def _two_barrier_kind(law, packed_to, packed_from):
    if species_of(packed_from) == MG:
        return 2
    return 1 if ((packed_to | packed_from) >> MG_SHIFT) & MASK_FIRST else 0


@inner
def _two_strip_weight(law, packed):
    excess = _two_binding(law, LI, packed) - law.strip_reference_ueV
    return math.exp(-law.strip_exponent * excess) * law.metal[packed & MASK_METAL]


@inner
def _two_plate_weight(law, packed):
    excess = _two_binding(law, LI, packed) - law.strip_reference_ueV
    return math.exp(law.plate_exponent * excess) * law.metal[packed & MASK_METAL]


@inner
def _two_expected(law, packed):
    excess = _two_binding(law, LI, packed) - law.kink_ueV
    number = min(math.exp(-excess * law.inverse_kT), MOST_EXPECTED)
    return np.int64(number / EXPECTED_UNIT + 0.5)


@inner
def _two_absorption(law, species, packed):
    excess = _two_binding(law, species, packed) - law.bulk_binding_ueV[species]
    return law.absorption[species] * math.exp(excess * law.inverse_kT)


@inner
def _two_exchange(law, packed_mg, packed_li):
    """Activation energy and energy change of an Mg and a Li beside it changing places.

    By way of a vacancy that comes to the place of the Li, takes the Mg there and leaves again. The
    activation energy is that of the hop of the Mg in between; both directions are raised alike
    until the faster one is as slow as in bulk Li.
    """
    class_mg, class_li = class_of(packed_mg), class_of(packed_li)
    removal = _two_binding(law, LI, packed_li)
    beside_vacancy = packed_mg + NV1 + (CX if class_mg == 2 and class_li == 1 else 0)
    hop = _two_hop_energy(law, _two_target(law, packed_li), beside_vacancy)
    beside_mg = packed_mg + NM1 + (CX if class_mg == 1 and class_li == 2 else 0)
    energy = removal + hop - _two_binding(law, LI, beside_mg)
    forward = removal - law.kink_ueV + activation_energy(law.barrier_ueV[2 * MG], hop, 0)
    raised = max(0, law.exchange_floor_ueV - min(forward, forward - energy))
    return forward + raised, energy


@inner
def _two_exchange_share(law, barrier_ueV):
    return math.exp((law.exchange_floor_ueV - barrier_ueV) * law.inverse_kT)


@inner
def _one_exchange(law, packed_mg, packed_li):
    return 0, 0


@inner
def _one_exchange_share(law, barrier_ueV):
    return 0.0


# --- one name for both, chosen by the type of the tables ---------------------------------------


def _chosen(law, one, two):
    """The implementation for a numba type of tables; None lets numba report the mismatch."""
    tables = getattr(law, "instance_class", None)
    return {OneSpecies: one, TwoSpecies: two}[tables].py_func if tables else None


def hop_target(law, packed_to):
    """What the hops into a vacant site have in common, to be handed to the functions below."""
    version = _one_target if isinstance(law, OneSpecies) else _two_target
    return version(law, packed_to)


@overload(hop_target)
def _hop_target(law, packed_to):
    return _chosen(law, _one_target, _two_target)


def hop_rate(law, target, packed_from):
    """Rate of a hop into the vacant site; 0 where there is no atom to hop."""
    version = _one_hop_rate if isinstance(law, OneSpecies) else _two_hop_rate
    return version(law, target, packed_from)


@overload(hop_rate)
def _hop_rate(law, target, packed_from):
    return _chosen(law, _one_hop_rate, _two_hop_rate)


def hop_energy(law, target, packed_from):
    """Energy change in µeV of a hop into the vacant site."""
    version = _one_hop_energy if isinstance(law, OneSpecies) else _two_hop_energy
    return version(law, target, packed_from)


@overload(hop_energy)
def _hop_energy(law, target, packed_from):
    return _chosen(law, _one_hop_energy, _two_hop_energy)


def barrier_kind(law, packed_to, packed_from):
    """Class of a hop: 0 Li, 1 Li beside Mg, 2 Mg."""
    version = _one_barrier_kind if isinstance(law, OneSpecies) else _two_barrier_kind
    return version(law, packed_to, packed_from)


@overload(barrier_kind)
def _barrier_kind(law, packed_to, packed_from):
    return _chosen(law, _one_barrier_kind, _two_barrier_kind)


def binding(law, species, packed):
    """Energy in µeV to take an atom of this species off this site."""
    version = _one_binding if isinstance(law, OneSpecies) else _two_binding
    return version(law, species, packed)


@overload(binding)
def _binding(law, species, packed):
    return _chosen(law, _one_binding, _two_binding)


def strip_weight(law, packed):
    """Oxidation rate of the Li atom on this site relative to one of a flat L1."""
    version = _one_strip_weight if isinstance(law, OneSpecies) else _two_strip_weight
    return version(law, packed)


@overload(strip_weight)
def _strip_weight(law, packed):
    return _chosen(law, _one_strip_weight, _two_strip_weight)


def plate_weight(law, packed):
    """Rate of reduction onto this vacant site relative to one vacancy of a flat L1."""
    version = _one_plate_weight if isinstance(law, OneSpecies) else _two_plate_weight
    return version(law, packed)


@overload(plate_weight)
def _plate_weight(law, packed):
    return _chosen(law, _one_plate_weight, _two_plate_weight)


def expected_vacancies(law, packed):
    """Equilibrium number of vacancies in place of this atom among atoms, in `EXPECTED_UNIT`."""
    version = _one_expected if isinstance(law, OneSpecies) else _two_expected
    return version(law, packed)


@overload(expected_vacancies)
def _expected_vacancies(law, packed):
    return _chosen(law, _one_expected, _two_expected)


def absorption(law, species, packed):
    """Rate at which the reservoir fills this vacancy with this species."""
    version = _one_absorption if isinstance(law, OneSpecies) else _two_absorption
    return version(law, species, packed)


@overload(absorption)
def _absorption(law, species, packed):
    return _chosen(law, _one_absorption, _two_absorption)


def exchange_energies(law, packed_mg, packed_li):
    """Activation energy and energy change in µeV of Mg and Li beside it changing places."""
    version = _one_exchange if isinstance(law, OneSpecies) else _two_exchange
    return version(law, packed_mg, packed_li)


@overload(exchange_energies)
def _exchange_energies(law, packed_mg, packed_li):
    return _chosen(law, _one_exchange, _two_exchange)


def exchange_share(law, barrier_ueV):
    """Rate of such an exchange over that in bulk Li, at most 1."""
    version = _one_exchange_share if isinstance(law, OneSpecies) else _two_exchange_share
    return version(law, barrier_ueV)


@overload(exchange_share)
def _exchange_share(law, barrier_ueV):
    return _chosen(law, _one_exchange_share, _two_exchange_share)


def remembers_rates(law):
    """Whether a rate takes so long that those of a vacancy are worth keeping."""
    return isinstance(law, TwoSpecies)


@overload(remembers_rates)
def _remembers_rates(law):
    alloy = getattr(law, "instance_class", None) is TwoSpecies
    return (lambda law: True) if alloy else (lambda law: False)
