"""Quantities from a cluster expansion of metal and vacancies that reduces to points and pairs.

An expansion is asked for energies, never for its parameters: of the perfect metal, of one vacancy,
and of every pair up to the fourth shell. From these follow E_f and the bonds of the first two
shells; what points and those pairs then leave of the energies of all clusters of up to four
vacancies on two shells is the residual. An expansion with more in it is refused with what that is.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kmc.common.metals import METALS
from kmc.errors import InputError
from kmc.model.dft_energies import quantities_of

TOLERANCE_meV = 5.0
_CELLS = 4  # no vacancy meets its own image within the fourth shell
_SHELLS = (math.sqrt(3) / 2, 1.0, math.sqrt(2), math.sqrt(11) / 2)  # in units of a


class Expansion(NamedTuple):
    """A bulk expansion: its metal, edge of the bcc cell in Å, and total energy in eV of atoms."""

    metal: str
    lattice_A: float
    energy_eV: Callable[[Any], float]
    name: str


def read_expansion(path: str | Path) -> Expansion:
    """A cluster expansion of icet (.ce) or smol (.json).

    Raises
    ------
    InputError
        The library is not installed, the file is no expansion, or it is not one of a bcc metal and
        vacancies on one kind of site.
    """
    path = Path(path)
    readers = {".ce": ("icet", _of_icet), ".json": ("smol", _of_smol)}
    if path.suffix not in readers:
        raise InputError(
            f"{path} is no cluster expansion", advice="Give a .ce of icet or .json of smol."
        )
    library, reader = readers[path.suffix]
    try:
        cell, positions, species, energy = reader(path)
    except ImportError:
        raise InputError(
            f"{library} is not installed, which wrote {path}", advice=f"pip install {library} ase"
        ) from None
    except Exception as problem:  # whatever the library raises
        raise InputError(f"{path} cannot be read by {library}: {problem}") from None
    metals = sorted(set(species) - {"X", "Vacancy", "Vac"})
    if len(positions) != 1 or len(species) != 2 or len(metals) != 1 or metals[0] not in METALS:
        raise InputError(
            f"{path} expands {', '.join(sorted(species))} on {len(positions)} sites of its cell",
            advice="kmc takes one bcc metal and vacancies on one kind of site. Interfaces: "
            "kmc params from-ase with the potential behind the expansion.",
        )
    a = (2 * abs(np.linalg.det(cell))) ** (1 / 3)
    edges = sorted(
        np.linalg.norm(np.array(list(itertools.product((-1, 0, 1), repeat=3))) @ cell, axis=1)
    )
    if not np.allclose(edges[1:15], [a * math.sqrt(3) / 2] * 8 + [a] * 6, rtol=1e-3):
        raise InputError(f"the lattice of {path} is not bcc", advice="kmc has bcc metals alone.")
    return Expansion(metals[0], float(a), energy, f"{path.name} ({library})")


def _of_icet(path: Path) -> tuple:
    from icet import ClusterExpansion

    expansion = ClusterExpansion.read(str(path))
    space = expansion.get_cluster_space_copy()
    prim = space.primitive_structure
    species = {s for site in space.chemical_symbols for s in site}
    return (
        prim.cell.array,
        prim.positions,
        species,
        lambda atoms: len(atoms) * expansion.predict(atoms),
    )


def _of_smol(path: Path) -> tuple:
    from pymatgen.core import Structure
    from smol.cofe import ClusterExpansion
    from smol.cofe.space import get_allowed_species
    from smol.io import load_work

    (expansion,) = (v for v in load_work(str(path)).values() if isinstance(v, ClusterExpansion))
    prim = expansion.structure
    spaces = get_allowed_species(prim)
    species = {"X" if type(s).__name__ == "Vacancy" else s.symbol for p in spaces for s in p}

    def energy(atoms: Any) -> float:
        atoms = atoms[[symbol != "X" for symbol in atoms.get_chemical_symbols()]]
        symbols, cell = atoms.get_chemical_symbols(), atoms.cell.array
        made = Structure(cell, symbols, atoms.positions, coords_are_cartesian=True)
        matrix = np.rint(cell @ np.linalg.inv(prim.lattice.matrix)).astype(int)
        return float(expansion.predict(made, normalized=False, scmatrix=matrix))

    return prim.lattice.matrix, prim.cart_coords, species, energy


def reduce_expansion(
    expansion: Expansion, tolerance_meV: float = TOLERANCE_meV
) -> tuple[dict[str, dict[str, Any]], float]:
    """Quantities of the bulk, each with value and note, and the largest residual in meV.

    Raises
    ------
    InputError
        Pairs beyond the second shell or clusters of more vacancies matter more than the tolerance;
        the message names them.
    """
    from ase.build import bulk
    from ase.geometry import get_distances

    a = expansion.lattice_A
    perfect = bulk(expansion.metal, "bcc", a=a, cubic=True).repeat(_CELLS)
    away = get_distances(perfect.positions[:1], perfect.positions, perfect.cell, True)[1][0] / a
    shells = [np.flatnonzero(np.isclose(away, shell, atol=1e-3)) for shell in _SHELLS]

    def energy(*vacant: int) -> float:
        atoms = perfect.copy()
        atoms.symbols[list(vacant)] = "X"
        return expansion.energy_eV(atoms)

    whole, one = energy(), energy(0)
    pairs = [energy(0, int(shell[0])) + whole - 2 * one for shell in shells]
    far = {3: 1e3 * abs(pairs[2]), 4: 1e3 * abs(pairs[3])}
    for shell, size in far.items():
        if size > tolerance_meV:
            raise InputError(
                f"vacancies that are neighbours of shell {shell} interact by {size:.1f} meV in "
                f"{expansion.name}, and bonds of the model end at shell 2",
                advice=f"Expand with a cutoff between {a:.2f} and {a * _SHELLS[2]:.2f} Å.",
            )
    residual = 0.0
    near = [0, *map(int, shells[0]), *map(int, shells[1])]
    between = get_distances(perfect.positions[near], None, perfect.cell, True)[1] / a
    seen = set()
    for size in (3, 4):
        for vacant in itertools.combinations(range(1, len(near)), size - 1):
            chosen = (0, *vacant)
            some = between[np.ix_(chosen, chosen)].round(3)
            shape = tuple(sorted(tuple(sorted(row)) for row in some.tolist()))
            if shape in seen:  # congruent clusters have one energy
                continue
            seen.add(shape)
            model = whole + size * (one - whole)
            for i, j in itertools.combinations(chosen, 2):
                model += sum(pairs[k] for k in (0, 1) if abs(between[i, j] - _SHELLS[k]) < 1e-3)
            wrong = 1e3 * abs(energy(*(near[i] for i in chosen)) - model)
            residual = max(residual, wrong)
            if wrong > tolerance_meV:
                names = ", ".join(f"{between[0, i]:.2f} a" for i in vacant)
                raise InputError(
                    f"{size} vacancies, the others {names} from the first, cost {wrong:.1f} meV "
                    f"beyond their points and pairs in {expansion.name}",
                    advice="Fit the expansion with points and pairs alone, or accept more with "
                    "--tolerance.",
                )
    n, atoms = len(perfect), {expansion.metal: len(perfect)}
    fewer = {expansion.metal: n - 1}
    two = {expansion.metal: n - 2}
    given = {
        "bulk": (whole, atoms),
        "bulk_vacancy": (one, fewer),
        "bulk_two_vacancies_shell1": (energy(0, int(shells[0][0])), two),
        "bulk_two_vacancies_shell2": (energy(0, int(shells[1][0])), two),
    }
    found = quantities_of(given)
    found["lattice_parameter_A"] = {"value": round(float(a), 6), "note": "Edge of the bcc cell"}
    for entry in found.values():
        entry["note"] = (
            f"{entry['note'].rstrip('.')}; {expansion.name}; up to four vacancies on two shells "
            f"within {residual:.2f} meV, shells 3 and 4 within {max(far.values()):.2f} meV."
        )
    return found, residual
