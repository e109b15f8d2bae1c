"""The interface a run starts with, from its [interface] section: chemistries and their map."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from kmc.chemistry_map import map_from_mask, random_map
from kmc.lattice import Lattice
from kmc.masks import read_mask
from kmc.parameters import ParameterSet, load_parameters

if TYPE_CHECKING:
    from kmc.conditions import RunFile

# What makes a chemistry. [parameters] of a run changes these for [system] alone, and every other
# value for all chemistries, since the metal is one and the same.
OF_THE_INTERFACE = (
    "formation_energy_L1_eV",
    "formation_energy_L1_to_L2_eV",
    "fill_Li_near_Mg_eV",
    "fill_Mg_near_Mg_eV",
)


def chemistry_sets(
    run: RunFile, shown: Callable[[str, Any], str] | None = None
) -> tuple[ParameterSet, ...]:
    """Parameter sets of the chemistries, that of [system] first.

    Parameters
    ----------
    run : RunFile
    shown : callable, optional
        Key and value of an override → how messages show it.

    Raises
    ------
    InputError
        No such set, or an override of what it does not have.
    """
    shared = {key: v for key, v in run.parameters.items() if key not in OF_THE_INTERFACE}
    sets = [run.parameter_set()]
    for entry in run.interface.chemistry or ():
        sets.append(load_parameters(entry.params, shared | entry.parameters, shown=shown))
    return tuple(sets)


def chemistry_map(run: RunFile, lattice: Lattice, rng: np.random.Generator) -> np.ndarray | None:
    """Chemistry of each L1 site; None where the whole interface is one.

    Returns
    -------
    ndarray of uint8, shape (sites_per_layer,), or None
    """
    section = run.interface
    if not section.chemistry:
        return None
    if section.mask is not None:
        return map_from_mask(lattice, read_mask(section.mask, len(section.chemistry) + 1))
    fractions = [entry.fraction or 0.0 for entry in section.chemistry]
    return random_map(lattice, fractions, section.correlation_length_nm, rng)


def resolved(run: RunFile, sets: tuple[ParameterSet, ...], chemistry: np.ndarray | None) -> list:
    """The chemistries with their share and energies, as JSON-able data."""
    if chemistry is None:
        return []
    names = (run.system.params, *(entry.params for entry in run.interface.chemistry or ()))
    count = np.bincount(chemistry, minlength=len(sets))
    return [
        {
            "params": name,
            "sites": int(n),
            "fraction": float(n / chemistry.size),
            "parameters": {
                key: parameters.value(key) for key in OF_THE_INTERFACE if parameters.has(key)
            },
        }
        for name, n, parameters in zip(names, count, sets, strict=True)
    ]
