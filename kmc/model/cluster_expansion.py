"""Quantities from a cluster expansion of metal and vacancies that reduces to points and pairs.

An expansion is asked for energies, never for its parameters: of the perfect metal, of one vacancy,
and of every pair up to the fourth shell. From these follow E_f and the bonds of the first two
shells; what points and those pairs then leave of the energies of all clusters of up to four
vacancies on two shells is the residual. An expansion with more in it is refused with what that is.

The expansion of a slab adds the energies of L1 and L2: vacancies layer by layer, and pairs by the
layers of both. Its atoms have the energy of the bulk's expansion, to which a removed atom goes.
"""

import functools
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
    """An expansion: its metal, edge of the bcc cell in Å, and total energy in eV of atoms.

    That of a slab has its cell as `slab`, every site of the metal taken, and no edge of its own.
    """

    metal: str
    lattice_A: float
    energy_eV: Callable[[Any], float]
    name: str
    slab: Any = None

    def vacated_eV(self, perfect: Any, *vacant: int) -> float:
        """Energy of perfect metal with some sites vacant."""
        atoms = perfect.copy()
        atoms.symbols[list(vacant)] = "X"
        return self.energy_eV(atoms)


def read_expansion(path: str | Path) -> Expansion:
    """A cluster expansion of icet (.ce) or smol (.json, .mson).

    Raises `InputError`: the library is not installed, the file is no expansion, or it is not one of
    a bcc metal and vacancies on one kind of site.
    """
    path = Path(path)
    readers = {".ce": ("icet", _of_icet), ".json": ("smol", _of_smol), ".mson": ("smol", _of_smol)}
    if path.suffix.lower() not in readers:
        advice = "Give a .ce of icet, or a .json or .mson of smol."
        raise InputError(f"{path} is no cluster expansion", advice=advice)
    library, reader = readers[path.suffix.lower()]
    try:
        cell, positions, species, energy = reader(path)
    except ImportError:
        raise InputError(
            f"{library} is not installed, which wrote {path}", advice=f"pip install {library} ase"
        ) from None
    except Exception as problem:  # whatever the library raises
        raise InputError(f"{path} cannot be read by {library}: {problem}") from None
    kinds = {frozenset(s) for s in species if len(s) > 1}
    metals = sorted(set().union(*kinds) - {"X", "Vacancy", "Vac"})
    if [len(kind) for kind in kinds] != [2] or len(metals) != 1 or metals[0] not in METALS:
        listed = ", ".join(sorted({one for site in species for one in site}))
        raise InputError(
            f"{path} expands {listed} on {len(positions)} sites of its cell",
            advice="kmc takes one bcc metal and vacancies on all sites that may change.",
        )
    if len(positions) > 1:
        from ase import Atoms

        symbols = [metals[0] if len(s) > 1 else next(iter(s)) for s in species]
        slab = Atoms(symbols, positions, cell=cell, pbc=True)
        return Expansion(metals[0], math.nan, energy, f"{path.name} ({library})", slab)
    a = (2 * abs(np.linalg.det(cell))) ** (1 / 3)
    # Eight neighbours at √3/2 a and six at a are bcc, in whatever cell the file has it.
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
    species = [set(site) for site in space.chemical_symbols]
    cell, positions = prim.cell.array, prim.positions
    return cell, positions, species, lambda atoms: len(atoms) * expansion.predict(atoms)


def _of_smol(path: Path) -> tuple:
    from pymatgen.core import Structure
    from smol.cofe import ClusterExpansion
    from smol.cofe.space import get_allowed_species
    from smol.io import load_work

    work = load_work(str(path))
    names = [name for name, value in work.items() if isinstance(value, ClusterExpansion)]
    if len(names) != 1:
        raise ValueError(f"it holds {len(names)} expansions {names}, and must hold one")
    expansion = work[names[0]]
    prim = expansion.structure
    spaces = get_allowed_species(prim)
    species = [{"X" if type(s).__name__ == "Vacancy" else s.symbol for s in p} for p in spaces]

    def energy(atoms: Any) -> float:
        atoms = atoms[[symbol != "X" for symbol in atoms.get_chemical_symbols()]]
        symbols, cell = atoms.get_chemical_symbols(), atoms.cell.array
        made = Structure(cell, symbols, atoms.positions, coords_are_cartesian=True)
        matrix = np.rint(cell @ np.linalg.inv(prim.lattice.matrix)).astype(int)
        return float(expansion.predict(made, normalized=False, scmatrix=matrix))

    return prim.lattice.matrix, prim.cart_coords, species, energy


def reduce_expansion(
    expansion: Expansion,
    tolerance_meV: float = TOLERANCE_meV,
    slab: Expansion | None = None,
    lattice: str = "bcc_100",
) -> tuple[dict[str, dict[str, Any]], float]:
    """Quantities of the bulk and of a slab's L1 and L2, and the largest residual in meV.

    Raises `InputError`: pairs beyond the second shell, clusters of more vacancies, or layers beyond
    L2 matter more than the tolerance; the message names them. Or an expansion is missing.
    """
    from ase.build import bulk
    from ase.geometry import get_distances

    if expansion.slab is not None or (slab is not None and slab.slab is None):
        wrong = expansion.name if expansion.slab is not None else slab.name  # type: ignore[union-attr]
        raise InputError(
            f"{wrong} is the expansion of a {'slab' if expansion.slab is not None else 'bulk'}",
            advice="Missing is the other: kmc params from-ce BULK --slab SLAB; an atom that is "
            "removed from the slab goes to the bulk.",
        )
    a = expansion.lattice_A
    perfect = bulk(expansion.metal, "bcc", a=a, cubic=True).repeat(_CELLS)
    away = get_distances(perfect.positions[:1], perfect.positions, perfect.cell, True)[1][0] / a
    shells = [np.flatnonzero(np.isclose(away, shell, atol=1e-3)) for shell in _SHELLS]

    energy = functools.partial(expansion.vacated_eV, perfect)
    whole, one = energy(), energy(0)
    # The interaction of two vacancies: a common bond is cut once, and not twice.
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
    atoms, fewer, two = ({expansion.metal: len(perfect) - vacant} for vacant in range(3))
    energies = {
        "bulk": (whole, atoms),
        "bulk_vacancy": (one, fewer),
        "bulk_two_vacancies_shell1": (energy(0, int(shells[0][0])), two),
        "bulk_two_vacancies_shell2": (energy(0, int(shells[1][0])), two),
    }
    if slab is not None:
        of_slab, wrong = _of_layers(slab, a, lattice, pairs, one - whole, tolerance_meV)
        energies |= of_slab
        residual = max(residual, wrong)
    quantities = quantities_of(energies)
    quantities["lattice_parameter_A"] = {
        "value": round(float(a), 6),
        "note": "Edge of the bcc cell",
    }
    for entry in quantities.values():
        names = expansion.name if slab is None else f"{expansion.name}, {slab.name}"
        entry["note"] = (
            f"{entry['note'].rstrip('.')}; {names}; up to four vacancies on two shells "
            f"within {residual:.2f} meV, shells 3 and 4 within {max(far.values()):.2f} meV."
        )
    return quantities, residual


def _of_layers(
    slab: Expansion, a: float, lattice: str, pairs: list[float], removed_eV: float, most_meV: float
) -> tuple[dict[str, tuple[float, dict[str, int]]], float]:
    """Configurations of the interface, and the residual in meV.

    The model has energies of its own for vacancies in L1 and L2 alone, and one bond of each shell
    whatever the layers: what a slab's deeper layers and pairs by layer differ in is refused.
    """
    from kmc.model.ase_configurations import AseSettings, layers_of

    edges = np.linalg.norm(slab.slab.cell.array[:2], axis=1)
    perfect = slab.slab.repeat((*np.ceil(_CELLS * a / edges).astype(int), 1))
    layers = layers_of(perfect, AseSettings(metal=slab.metal, lattice=lattice), a)
    layers = layers[: len(layers) // 2 + 1]  # the others may feel the far side
    energy = functools.partial(slab.vacated_eV, perfect)
    whole = energy()
    alone = [energy(layer[0]) - whole for layer in layers]
    where = {site: number for number, layer in enumerate(layers) for site in layer}
    differ = {f"a vacancy in L{i + 1}": e - removed_eV for i, e in enumerate(alone) if i > 1}
    for i, layer in enumerate(layers[:3]):
        here, others = layer[0], [s for s in where if s != layer[0] and where[s] >= i]
        away = perfect.get_distances(here, others, mic=True) / a
        for site, distance in zip(others, away, strict=True):
            shell = int(np.argmin(np.abs(np.array(_SHELLS) - distance)))
            name = f"neighbours of shell {shell + 1} in L{i + 1} and L{where[site] + 1}"
            if name not in differ and abs(_SHELLS[shell] - distance) < 0.08:
                both = energy(here, site) - whole - alone[i] - alone[where[site]]
                differ[name] = both - (pairs[shell] if shell < 2 else 0.0)
    worst = max(differ, key=lambda name: abs(differ[name]))
    residual = 1e3 * abs(differ[worst])
    if residual > most_meV:
        raise InputError(
            f"{worst} cost {residual:.1f} meV other than in the bulk in {slab.name}",
            advice="The model has energies of L1 and L2 and bonds of two shells that are those of "
            "the bulk; use a thicker slab, or accept more with --tolerance.",
        )
    symbols = perfect.get_chemical_symbols()
    atoms = {s: symbols.count(s) for s in symbols}
    fewer = atoms | {slab.metal: atoms[slab.metal] - 1}
    return {
        "interface": (whole, atoms),
        "interface_vacancy_L1": (whole + alone[0], fewer),
        "interface_vacancy_L2": (whole + alone[1], fewer),
    }, residual
