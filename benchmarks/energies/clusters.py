"""Structures of vacancies beside each other: in bulk bcc, and at its surfaces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import bulk as cell_of

from kmc.model.ase_configurations import FACES

# Face of a surface: vectors of its cell in units of a, the last one normal to it.
_FACES = {
    "100": np.array([(1, 0, 0), (0, 1, 0), (0, 0, 1)], float),
    "110": np.array([(0.5, -0.5, 0.5), (0.5, -0.5, -0.5), (1, 1, 0)], float),
    "111": np.array([(1, -1, 0), (0, 1, -1), (0.5, 0.5, 0.5)], float),
}
_VACUUM_A = 16.0
_CUBE = ((0, 0, 0), (2, 0, 0), (0, 2, 0), (2, 2, 0), (0, 0, 2), (2, 0, 2), (0, 2, 2), (2, 2, 2))
_STAR = tuple((x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1))
_AXES = ((2, 0, 0), (-2, 0, 0), (0, 2, 0), (0, -2, 0), (0, 0, 2), (0, 0, -2))
_EDGES = tuple(p for u in (-2, 2) for v in (-2, 2) for p in ((u, v, 0), (u, 0, v), (0, u, v)))
_BALL = ((0, 0, 0), *_STAR, *_AXES)
# Vacant sites in half the edge of the cubic cell: all coordinates even, or all odd.
CLUSTERS: dict[str, tuple[tuple[int, int, int], ...]] = {
    "vacancy": ((0, 0, 0),),
    "pair_111": ((0, 0, 0), (1, 1, 1)),
    "pair_200": ((0, 0, 0), (2, 0, 0)),
    "pair_220": ((0, 0, 0), (2, 2, 0)),
    "pair_311": ((0, 0, 0), (3, 1, 1)),
    "pair_222": ((0, 0, 0), (2, 2, 2)),
    "three_111_200": ((0, 0, 0), (1, 1, 1), (2, 0, 0)),
    "three_111_220": ((0, 0, 0), (1, 1, 1), (2, 2, 0)),
    "three_200_020": ((0, 0, 0), (2, 0, 0), (0, 2, 0)),
    "three_200_400": ((0, 0, 0), (2, 0, 0), (4, 0, 0)),
    "four_tetrahedron": ((0, 0, 0), (2, 0, 0), (1, 1, 1), (1, 1, -1)),
    "four_square": _CUBE[:4],
    "six_octahedron": (*_CUBE[:4], (1, 1, 1), (1, 1, -1)),
    "eight_cube": _CUBE,
    "nine_cube_and_centre": (*_CUBE, (1, 1, 1)),
    "fifteen_ball": _BALL,
    "twentyseven_ball": (*_BALL, *_EDGES),
}
LARGE_FROM = 8  # vacancies, from which on the supercell has an edge of five cells instead of four
_LAYERS = {"100": 12, "110": 9, "111": 21}  # of a slab, some 20 Å
_WIDE_LAYERS = 9  # of the slab with a vacancy or an adatom


@dataclass(frozen=True)
class Structure:
    """A structure whose energy is wanted.

    Its excess is E − E(reference) + `removed` µ, with µ of an atom of the bulk.
    """

    name: str
    atoms: Any  # to begin with; None where `vacant` atoms of the relaxed reference are removed
    # structure from which atoms are removed; "" is the bulk, atom for atom; A+B both of them
    reference: str
    removed: int  # atoms of metal fewer than the reference has; of an adatom −1
    area_A2: float = 0.0  # of surface or interface that the structure has more than its reference
    vacant: tuple[int, ...] = ()


def bulk(metal: str, lattice_A: float, edge: int = 4) -> Any:
    """A perfect supercell with edges of so many cubic cells."""
    return cell_of(metal, "bcc", a=lattice_A, cubic=True).repeat(edge)


def surface(metal: str, lattice_A: float, face: str, layers: int) -> Any:
    """A slab of one atom a layer, its normal along z, with vacuum above."""
    edges = _FACES[face] * lattice_A
    spacing = FACES[f"bcc_{face}"][0] * lattice_A
    first, normal = (edges[k] / np.linalg.norm(edges[k]) for k in (0, 2))
    frame = np.array([first, np.cross(normal, first), normal])
    # From layer to layer by the bond that leads to the next one, turned into the frame of the slab.
    step = frame @ np.array((0.5, 0.5, -0.5 if face == "111" else 0.5)) * lattice_A
    cell = np.zeros((3, 3))
    cell[:2] = edges[:2] @ frame.T
    cell[2, 2] = layers * spacing + _VACUUM_A
    slab = Atoms(f"{metal}{layers}", np.arange(layers)[:, None] * step, cell=cell, pbc=True)
    slab.wrap()
    slab.center(axis=2)
    return slab


def bulk_structures(metal: str, lattice_A: float) -> list[Structure]:
    """Supercells with the vacancies of `CLUSTERS`, at perfect places."""
    structures = []
    for name, places in CLUSTERS.items():
        edge = 4 if len(places) < LARGE_FROM else 5
        atoms = bulk(metal, lattice_A, edge)
        sites = np.rint(atoms.positions / (lattice_A / 2)).astype(int)
        vacant = {tuple(np.mod(place, 2 * edge)) for place in places}
        del atoms[[i for i, site in enumerate(sites) if tuple(site) in vacant]]
        structures.append(Structure(name, atoms, "", 0))
    return structures


def surface_structures(metal: str, lattice_A: float) -> list[Structure]:
    """Slabs of three faces with two surfaces each; a vacancy and an adatom on (100)."""
    slabs = {f"surface_{f}": surface(metal, lattice_A, f, layers) for f, layers in _LAYERS.items()}
    slab = surface(metal, lattice_A, "100", _WIDE_LAYERS).repeat((4, 4, 1))
    structures = []
    for name, atoms in (slabs | {"surface_100_wide": slab}).items():
        area_A2 = 2 * float(np.linalg.norm(np.cross(*atoms.cell.array[:2])))
        structures.append(Structure(name, atoms, "", 0, area_A2))
    top = int(np.argmax(slab.positions[:, 2]))
    vacancy, adatom = slab.copy(), slab.copy()
    del vacancy[top]
    adatom.append(metal)
    adatom.positions[-1] = slab.positions[top] + lattice_A / 2
    structures.append(Structure("surface_100_vacancy", vacancy, "surface_100_wide", 1))
    structures.append(Structure("surface_100_adatom", adatom, "surface_100_wide", -1))
    return structures
