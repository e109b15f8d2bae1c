"""Lithium (100) on surfaces of electrolytes: structures for `cluster_energies.py`."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.build import bulk, make_supercell
from clusters import Structure

LAYERS = 6  # of metal
GAP_A = 2.2  # between electrolyte and metal, to begin with
VACUUM_A = 14.0


@dataclass(frozen=True)
class Interface:
    """How an electrolyte meets Li(100)."""

    crystal: Callable[[float], Atoms]  # primitive cell for the edge a (Å)
    guess_A: float  # edge to begin with
    # orthogonal cell of the slab in units of a, its last vector along the normal
    cell: tuple[tuple[float, float, float], ...]
    thickness: float  # of the slab, in cells along the normal
    repeats: tuple[int, int]  # cells along the interface
    metal: tuple[int, int]  # cells of the metal's layer along the interface
    turned: bool = False  # rows of L1 along the diagonal of the cell, which has two sites
    shift: float = 0.0  # of the crystal along the normal, in cells, before the slab is cut


def antifluorite(symbols: str) -> Callable[[float], Atoms]:
    return lambda a: bulk(symbols, "fluorite", a=a)


def rocksalt(symbols: str) -> Callable[[float], Atoms]:
    return lambda a: bulk(symbols, "rocksalt", a=a)


def lithium_nitride(a: float) -> Atoms:
    """Li3N, hexagonal (P6/mmm), with its measured c/a."""
    places = [(0, 0, 0), (1 / 3, 2 / 3, 0), (2 / 3, 1 / 3, 0), (0, 0, 1 / 2)]
    cell = (a, a, 1.063 * a, 90, 90, 120)
    return Atoms("NLi3", scaled_positions=places, cell=cell, pbc=True)


# Turned by 26.6° an area of 5 ions of each kind is a square under 2 × 2 cells of lithium.
_TURNED = ((1.5, -0.5, 0), (0.5, 1.5, 0), (0, 0, 1))
INTERFACES = {
    "li2s_110": Interface(
        *(antifluorite("SLi2"), 5.70, ((1, -1, 0), (0, 0, 1), (0.5, 0.5, 0)), 2, (3, 3), (7, 5))
    ),
    "li2o_111": Interface(
        antifluorite("OLi2"),
        4.63,
        ((0.5, -0.5, 0), (0.5, 0.5, -1), (1, 1, 1)),
        2 / 3,
        (1, 3),
        (1, 5),
        shift=1 / 6,
    ),
    "lif_100": Interface(rocksalt("LiF"), 4.06, _TURNED, 1.5, (1, 1), (2, 2)),
    "licl_100": Interface(rocksalt("LiCl"), 5.15, np.eye(3), 2, (2, 2), (3, 3)),
    "li3n_001": Interface(
        *(lithium_nitride, 3.64, ((1, 0, 0), (0, math.sqrt(3), 0), (0, 0, 1.063)), 2),
        *((4, 3), (3, 4)),
        turned=True,
    ),
}


def electrolyte(spec: Interface, a: float) -> Atoms:
    """A slab of the electrolyte alone; z is not periodic and has no vacuum."""
    crystal = spec.crystal(a)
    turn = np.rint(np.array(spec.cell) * a @ np.linalg.inv(crystal.cell.array))
    slab = make_supercell(crystal, turn)
    slab.set_cell(np.diag(slab.cell.lengths()), scale_atoms=True)
    height = slab.cell.array[2, 2]
    slab.positions[:, 2] += (spec.shift + 1e-3) * height
    slab.wrap()
    slab = slab.repeat((*spec.repeats, math.ceil(spec.thickness)))
    return slab[slab.positions[:, 2] < spec.thickness * height]


def sites(spec: Interface) -> list[tuple[int, int, int]]:
    """Layer from 1 on, and both coordinates in half a cell, of each atom of the metal."""
    inside: list[tuple[int, int, int]] = []
    for layer in range(LAYERS):
        odd = layer % 2
        # Turned, a cell has (0, 0) and (1, 1), and in the next layer (1, 0) and (0, 1).
        cell = ((odd, 0), (1 - odd, 1)) if spec.turned else ((odd, odd),)
        for i, j in itertools.product(*map(range, spec.metal)):
            inside += [(layer + 1, 2 * i + x, 2 * j + y) for x, y in cell]
    return inside


def structures(
    spec: Interface, metal_A: float, electrolyte_A: float, chosen: str
) -> list[Structure]:
    """Film, slab, both together, and what is removed from L1 to L4 (`vacancies`)."""
    below = electrolyte(spec, electrolyte_A)
    below.positions[:, 2] -= below.positions[:, 2].max()
    edges = below.cell.lengths()[:2]
    steps = edges / (2 * np.array(spec.metal))  # half a cell of the metal
    # Layers of a strained film are as far apart as its volume wants.
    area = edges.prod() / (len(sites(spec)) / LAYERS)
    spacing = metal_A**3 / 2 / area
    places = [(i * steps[0], j * steps[1], GAP_A + (n - 1) * spacing) for n, i, j in sites(spec)]
    height = GAP_A + LAYERS * spacing - below.positions[:, 2].min() + VACUUM_A
    cell = (*edges, height)
    film = Atoms(f"Li{len(places)}", places, cell=cell, pbc=True)
    slab = Atoms(below.symbols, below.positions, cell=cell, pbc=True)
    area_A2 = float(edges.prod())
    both = Structure("interface", film + slab, "film+electrolyte", 0, area_A2)
    made = [
        Structure("film", film, "", 0, 2 * area_A2),
        Structure("electrolyte", slab, "", 0),
        both,
    ]
    index = {site: i for i, site in enumerate(sites(spec))}
    for name, vacant in vacancies(spec, chosen).items():
        gone = tuple(index[site] for site in vacant)
        made.append(Structure(name, None, "interface", len(gone), vacant=gone))
    return made


def vacancies(spec: Interface, chosen: str) -> dict[str, list[tuple[int, int, int]]]:
    """Sites removed in each structure, by name."""
    if chosen == "singles" or spec.turned or min(spec.metal) < 5:
        # Of a square cell of 3 × 3 sites these are all kinds: corner, edge and inside. Of 2 × 2 a
        # layer between two atoms of L1 has one kind, and of a single cell a row would be removed.
        first = [(n, i, j) for n, i, j in sites(spec) if n <= 3 and i <= j <= 3]
        if max(spec.metal) == 2:
            first = [(n, i, j) for n, i, j in first if n != 2 or j == 1]
        if min(spec.metal) == 1:
            first = []
        return {label([site]): [site] for site in first}
    corner = 2  # of the patches, in half cells: not an edge of the cell, which means nothing
    L1 = {(i, j): (1, corner + 2 * i, corner + 2 * j) for i in range(4) for j in range(4)}
    L2 = {(i, j): (2, corner + 2 * i + 1, corner + 2 * j + 1) for i in range(2) for j in range(2)}
    square = {n: [L1[i, j] for i in range(n) for j in range(n)] for n in (2, 3, 4)}
    made = [[site] for site in square[2]]
    made += [[L1[a], L1[b]] for a, b in (((0, 0), (1, 0)), ((0, 0), (0, 1)))]
    named = {label(group): group for group in made}
    named["L1_square_4"] = square[2]
    more = [[site] for site in square[3] if site not in square[2]]
    more += [[L1[a], L1[b]] for a, b in (((1, 0), (1, 1)), ((0, 1), (1, 1)), ((0, 0), (1, 1)))]
    named |= {label(group): group for group in more}
    named["L1_square_9"] = square[3]
    rest = [[site] for site in square[4] if site not in square[3]]
    rest += [[site] for site in L2.values()] + [[L1[0, 0], L2[0, 0]]]
    named |= {label(group): group for group in rest}
    named["L1_square_16"] = square[4]
    named["pit_9_4"] = square[3] + list(L2.values())
    deep = [(n, corner + 2 * i + (n + 1) % 2, corner + (n + 1) % 2) for n in (3, 4) for i in (0, 1)]
    return named | {label([site]): [site] for site in deep}


def label(group: list[tuple[int, int, int]]) -> str:
    return "+".join(f"L{n}_{i}_{j}" for n, i, j in group)
