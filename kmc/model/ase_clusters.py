"""Slabs of bcc metal, and energies of vacancies beside each other by interatomic potentials.

`benchmarks/energies/cluster_energies.py` made the tables that stand in the folder `energies/`
beside this module; `energies` reads them.
"""

import csv
from pathlib import Path
from typing import Any

import numpy as np

from kmc.errors import InputError
from kmc.model.ase_configurations import FACES

FOLDER = Path(__file__).parent / "energies"  # of the shipped tables
# Face of a surface: vectors of its cell in units of a, the last one normal to it.
_FACES = {
    "100": np.array([(1, 0, 0), (0, 1, 0), (0, 0, 1)], float),
    "110": np.array([(0.5, -0.5, 0.5), (0.5, -0.5, -0.5), (1, 1, 0)], float),
    "111": np.array([(1, -1, 0), (0, 1, -1), (0.5, 0.5, 0.5)], float),
}
_VACUUM_A = 16.0


def surface(metal: str, lattice_A: float, face: str, layers: int) -> Any:
    """A slab of one atom a layer, its normal along z, with vacuum above."""
    from ase import Atoms

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


def energies(name: str) -> list[dict[str, Any]]:
    """Rows of a shipped table: energies (eV) of relaxed structures by potential.

    - `name`: `li` (bulk and surfaces), or an electrolyte such as `li2s_110`.

    Keys: `potential` with its version, `structure`, `reference`, `removed` (atoms of metal fewer
    than the reference has), `atoms`, `cell_A` (edges), `area_A2`, `energy_eV`, `excess_eV`
    (E − E(reference) + `removed` µ, µ of an atom of the bulk), `free_atoms` (that moved),
    `force_eV_A` (the largest one left on them) and `steps`. Of a vacancy, `excess_eV` is its
    formation energy; of an interface, minus the work of adhesion times its area.

    Raises `InputError`: there is no such table.
    """
    names = sorted(path.stem for path in FOLDER.glob("*.csv"))
    if name not in names:
        raise InputError(
            f"there is no table of energies {name!r}", advice=f"Use one of: {', '.join(names)}."
        )
    kinds: dict[str, Any] = dict.fromkeys(("potential", "structure", "reference", "cell_A"), str)
    kinds |= dict.fromkeys(("removed", "atoms", "free_atoms", "steps"), int)
    with (FOLDER / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        return [{k: kinds.get(k, float)(v) for k, v in row.items()} for row in csv.DictReader(file)]
