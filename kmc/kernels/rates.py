"""Energies and rates of single events, read off the site states of the sites they touch.

The functions at the end have a version for a pure metal and one for an alloy. Which of them a loop
is compiled with follows from the type of the tables handed in (`OneSpecies` or `TwoSpecies`), so
that a pure metal does not pay for Mg.

Rates are in units of `Channels.unit_Hz`.
"""

import math

import numpy as np
from numba.extending import overload

from kmc.kernels import tables as t
from kmc.kernels.jit import index, inner


@inner
def species_of(packed):
    return (packed >> t.SPECIES_SHIFT) & 3


@inner
def class_of(packed):
    return (packed >> t.CLASS_SHIFT) & 3


@inner
def _row_of(packed):
    """Class and chemistry of a site: its row in the tables of `OneSpecies`."""
    return class_of(packed) | ((packed >> (t.CHEMISTRY_SHIFT - 2)) & 12)


# --- alloy -----------------------------------------------------------------------------------


@inner
def _two_binding(law, species, packed):
    return (
        law.site_ueV[species, packed & t.MASK_SITE]
        + law.mg_bonds_ueV[species, (packed >> t.MG_SHIFT) & t.MASK_MG]
    )


@inner
def _two_target(law, packed_to):
    return (
        _two_binding(law, t.LI, packed_to),
        _two_binding(law, t.MG, packed_to),
        class_of(packed_to),
        (packed_to >> t.MG_SHIFT) & t.MASK_FIRST,
        t.NV1 if packed_to & t.MASK_VACANCIES == 0 else -1,
    )


@inner
def _two_hop_energy(law, target, packed_from):
    is_mg = (packed_from >> (t.SPECIES_SHIFT + 1)) & 1
    binding_li, binding_mg, class_to, _, _ = target
    return (
        law.hop_ueV[class_to, index((packed_from & t.MASK_HOP) | is_mg << t.HOP_MG_SHIFT)]
        + law.mg_bonds_ueV[t.LI + is_mg, index((packed_from >> t.MG_SHIFT) & t.MASK_MG)]
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
    if packed_from & t.BLOCKED:
        return 0.0
    energy = _two_hop_energy(law, target, packed_from)
    # Whether the atom sees this vacancy alone, and it no other.
    lone = packed_from & t.MASK_VACANCIES == target[4]
    floor_ueV = law.floors_ueV[index(target[2] << 2 | class_of(packed_from) if lone else 16)]
    if law.floor_rules:
        activation = floor_ueV + max(energy, 0)
    else:
        beside_mg = 1 if (target[3] | ((packed_from >> t.MG_SHIFT) & t.MASK_FIRST)) != 0 else 0
        barrier = law.barrier_ueV[2 * species_of(packed_from) + beside_mg]
        activation = activation_energy(barrier, energy, floor_ueV)
    return law.rate_coarse[index(activation >> 10)] * law.rate_fine[index(activation & 1023)]


@inner
def _two_barrier_kind(law, packed_to, packed_from):
    if species_of(packed_from) == t.MG:
        return 2
    return 1 if ((packed_to | packed_from) >> t.MG_SHIFT) & t.MASK_FIRST else 0


@inner
def _two_strip_weight(law, packed):
    excess = _two_binding(law, t.LI, packed) - law.strip_reference_ueV
    return math.exp(-law.strip_exponent * excess) * law.metal[packed & t.MASK_METAL]


@inner
def _two_plate_weight(law, packed):
    excess = _two_binding(law, t.LI, packed) - law.strip_reference_ueV
    return math.exp(law.plate_exponent * excess) * law.metal[packed & t.MASK_METAL]


@inner
def _two_expected(law, packed):
    excess = _two_binding(law, t.LI, packed) - law.kink_ueV
    number = min(math.exp(-excess * law.inverse_kT), t.MAX_EXPECTED)
    return np.int64(number / t.EXPECTED_UNIT + 0.5)


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
    removal = _two_binding(law, t.LI, packed_li)
    beside_vacancy = packed_mg + t.NV1 + (t.CX if class_mg == 2 and class_li == 1 else 0)
    hop = _two_hop_energy(law, _two_target(law, packed_li), beside_vacancy)
    beside_mg = packed_mg + t.NM1 + (t.CX if class_mg == 1 and class_li == 2 else 0)
    energy = removal + hop - _two_binding(law, t.LI, beside_mg)
    forward = removal - law.kink_ueV + activation_energy(law.barrier_ueV[2 * t.MG], hop, 0)
    raised = max(0, law.exchange_floor_ueV - min(forward, forward - energy))
    return forward + raised, energy


# --- one name for both ------------------------------------------------------------------------


def by_type(versions, law_at=0):
    """One name for functions of which the type of an argument chooses.

    - `versions` (dict): type of a tuple of tables → function; the argument number `law_at` is one
      of these tuples.
    """

    def called(*arguments):
        return versions[type(arguments[law_at])](*arguments)

    # numba knows a tuple by its class alone, so that a loop is compiled with one version.
    @overload(called, strict=False)
    def _compiled(*arguments):
        version = versions.get(getattr(arguments[law_at], "instance_class", None))
        return getattr(version, "py_func", version)  # None lets numba report the mismatch

    return called


def _by_metal(one, two):
    return by_type({t.OneSpecies: one, t.TwoSpecies: two})


# What the hops into a vacant site have in common, handed to the functions below it.
hop_target = _by_metal(
    lambda law, packed_to: law.first_hop[packed_to & t.MASK_HOP],
    _two_target,
)
# Rate of a hop into the vacant site; 0 where there is no atom to hop. Energy change in µeV.
hop_rate = _by_metal(
    lambda law, target, packed: law.hop_rate[index(target + (packed & t.MASK_HOP))],
    _two_hop_rate,
)
hop_energy = _by_metal(
    lambda law, target, packed: law.hop_energy_ueV[index(target + (packed & t.MASK_HOP))],
    _two_hop_energy,
)
# Class of a hop: 0 Li, 1 Li beside Mg, 2 Mg.
barrier_kind = _by_metal(lambda law, packed_to, packed_from: 0, _two_barrier_kind)
# Energy in µeV to take an atom of this species off this site.
binding = _by_metal(
    lambda law, species, packed: law.binding_ueV[_row_of(packed), packed & t.MASK_VACANCIES],
    _two_binding,
)
# Rates of oxidation of this Li atom, and of reduction onto this vacant site, over those of a flat
# L1.
strip_weight = _by_metal(
    lambda law, packed: law.strip_weight[_row_of(packed), packed & t.MASK_VACANCIES],
    _two_strip_weight,
)
plate_weight = _by_metal(
    lambda law, packed: law.plate_weight[_row_of(packed), packed & t.MASK_VACANCIES],
    _two_plate_weight,
)
# Equilibrium number of vacancies in place of this atom among atoms, in `EXPECTED_UNIT`.
expected_vacancies = _by_metal(lambda law, packed: law.expected[_row_of(packed)], _two_expected)
# Rate at which the reservoir fills this vacancy with this species.
absorption = _by_metal(
    lambda law, species, packed: (
        law.absorption[packed & t.MASK_VACANCIES] if species == t.LI else 0.0
    ),
    _two_absorption,
)
# Whether a rate takes so long that those of a vacancy are worth keeping.
remembers_rates = _by_metal(lambda law: False, lambda law: True)
# Of Mg and Li beside it that change places: activation energy and energy change in µeV; rate over
# that in bulk Li, at most 1. A pure metal never asks.
exchange_energies = _by_metal(lambda law, packed_mg, packed_li: (0, 0), _two_exchange)
exchange_share = _by_metal(
    lambda law, barrier_ueV: 0.0,
    lambda law, barrier_ueV: math.exp((law.exchange_floor_ueV - barrier_ueV) * law.inverse_kT),
)
