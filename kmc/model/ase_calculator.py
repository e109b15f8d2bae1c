"""The ASE calculator of `kmc params from-ase`: found by its name, tried, and recognised again."""

import math
from typing import Any

import numpy as np

from kmc.errors import InputError

_RATTLE_A = 0.1  # displacements of the reference, so that it has forces
_SAME_eV_ATOM = 1e-5  # above the noise of single precision


def reference_energies(
    slab: Any, metal: str, lattice_A: float, calculator: Any, name: str, forces: bool = True
) -> list[float]:
    """Energies in eV an atom of the slab and of disordered metal: what a calculator is known by.

    - `forces`: whether they are wanted, too.

    Raises `InputError`: the calculator fails for these elements, or has no forces.
    """
    from ase.build import bulk

    disordered = bulk(metal, "bcc", a=lattice_A, cubic=True).repeat(2)
    disordered.rattle(_RATTLE_A, seed=0)
    energies = []
    for atoms in (slab.copy(), disordered):
        atoms.calc = calculator
        try:
            energies.append(float(atoms.get_potential_energy()) / len(atoms))
            largest = float(np.abs(atoms.get_forces()).max()) if forces else 0.0
        except Exception as problem:  # calculators raise errors of their own
            raise InputError(
                f"calculator {name} fails for {atoms.symbols}: {type(problem).__name__}: {problem}",
                advice="It must have energies and forces for every element of the slab; without "
                "forces --no-relax takes perfect places.",
            ) from None
        if not (math.isfinite(energies[-1]) and math.isfinite(largest)):
            raise InputError(
                f"calculator {name} gives {energies[-1]:g} eV an atom and forces of {largest:g} "
                f"eV/Å for {atoms.symbols}",
                advice="Look at the slab, or use another calculator.",
            )
    return energies


def same_energies(energies: list[float], kept: Any) -> bool:
    """Whether two lists of reference energies are of one calculator."""
    try:
        return bool(np.abs(np.subtract(energies, kept)).max() < _SAME_eV_ATOM)
    except (TypeError, ValueError):  # a file that was changed
        return False


def load_calculator(spec: str) -> Any:
    """An ASE calculator by its name in ASE, or as MODULE:OBJECT.

    - `spec`: ``emt``, ``lj`` … of ASE, made without arguments; or an object of an importable
      module, a file of the current folder among them: a calculator, or what returns one when
      called.

    Raises `InputError`: there is no such calculator, or it cannot be made.
    """
    import pkgutil
    import sys

    from ase.calculators.calculator import get_calculator_class

    try:
        if ":" not in spec:
            factory = get_calculator_class(spec)
        else:
            sys.path.insert(0, "")
            try:
                factory = pkgutil.resolve_name(spec.replace(".py:", ":"))
            finally:
                sys.path.remove("")
        made = (
            factory
            if hasattr(factory, "get_potential_energy") and not isinstance(factory, type)
            else factory()
        )
    except Exception as problem:  # whatever a module of the user raises
        raise InputError(
            f"calculator {spec!r} cannot be made: {type(problem).__name__}: {problem}",
            advice="Give MODULE:OBJECT, such as my_potential:calculator for an object of "
            "my_potential.py in this folder, or the name of a calculator of ASE.",
        ) from None
    if not hasattr(made, "get_potential_energy"):
        raise InputError(
            f"calculator {spec!r} is a {type(made).__name__} without get_potential_energy",
            advice="Give an ASE calculator, or a function that returns one.",
        )
    return made
