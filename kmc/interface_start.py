"""The interface a run starts with, from its [interface] section: chemistries and their map."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from kmc.chemistry_map import map_from_mask, random_map
from kmc.interphase import INTERFACE_KEYS, Interphase
from kmc.lattice import Lattice
from kmc.masks import read_mask
from kmc.parameters import ParameterSet, load_parameters

if TYPE_CHECKING:
    from kmc.conditions import RunFile


def chemistry_sets(
    run: RunFile, shown: Callable[[str, Any], str] | None = None
) -> tuple[ParameterSet, ...]:
    """Parameter sets of the chemistries, that of [system] first.

    [parameters] of a run changes the energies of the interface for [system] alone, and every other
    value for all chemistries, since the metal is one and the same.

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
    shared = {key: v for key, v in run.parameters.items() if key not in INTERFACE_KEYS}
    sets = [run.parameter_set()]
    for entry in run.interface.chemistry or ():
        sets.append(load_parameters(entry.params, shared | entry.parameters, shown=shown))
    return tuple(sets)


def interphase_of(run: RunFile, lattice: Lattice, rng: np.random.Generator) -> Interphase | None:
    """The chemistries of a run and which L1 site stands on which; None where there is but one."""
    section = run.interface
    if not section.chemistry:
        return None
    if section.mask is not None:
        mask = read_mask(section.mask, len(section.chemistry) + 1)
        chemistry = map_from_mask(lattice, mask)
    else:
        fractions = [entry.fraction or 0.0 for entry in section.chemistry]
        chemistry = random_map(lattice, fractions, section.correlation_length_nm, rng)
    return Interphase(chemistry, chemistry_sets(run))


def chemistries(run: RunFile, found: Interphase | None) -> list[dict]:
    """The chemistries with their share and energies, as JSON-able data."""
    if found is None:
        return []
    names = (run.system.params, *(entry.params for entry in run.interface.chemistry or ()))
    count = np.bincount(found.chemistry, minlength=len(found.parameters))
    return [
        {
            "params": name,
            "sites": int(n),
            "fraction": float(n / found.chemistry.size),
            "parameters": {
                key: parameters.value(key) for key in INTERFACE_KEYS if parameters.has(key)
            },
        }
        for name, n, parameters in zip(names, count, found.parameters, strict=True)
    ]
