"""Metals that an electrode can be of: bcc, with the charge of their ions.

Elsewhere the code calls the metal that is stripped Li, as do columns of files and keys of
parameter sets: ``contact_fraction_Li`` is the share of L1 that holds that metal, whichever it is.
What a user reads and writes carries its symbol.
"""

import re

METALS = {
    "Li": "lithium",
    "Na": "sodium",
    "K": "potassium",
    "Rb": "rubidium",
    "Cs": "caesium",
    "Ba": "barium",
}
# z: electrons an atom leaves. It enters the charge of an atom, ze, and the voltage kT/(ze) over
# which every rate of charge transfer changes (`kmc.model.electrochemistry`).
VALENCES = dict.fromkeys(METALS, 1) | {"Ba": 2}
# CRC Handbook of Chemistry and Physics.
MELTING_POINTS_K = {"Li": 453.7, "Na": 370.9, "K": 336.7, "Rb": 312.5, "Cs": 301.6, "Ba": 1000.0}
ATOMIC_NUMBERS = {"X": 0, "Li": 3, "Na": 11, "Mg": 12, "K": 19, "Rb": 37, "Cs": 55, "Ba": 56}


def stored_key(key: str, metal: str) -> str:
    """Name of a quantity within kmc: ``barrier_Na_eV`` of a set of Na is ``barrier_Li_eV``."""
    return re.sub(rf"(?<=_){metal}(?=_)", "Li", key)


def shown_key(key: str, metal: str) -> str:
    """Name of a quantity as the user of a metal writes it.

    >>> shown_key("barrier_Li_near_Mg_eV", "Na")
    'barrier_Na_near_Mg_eV'
    """
    return re.sub(r"(?<=_)Li(?=_)", metal, key)
