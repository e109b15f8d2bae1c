"""Energies of vacancies beside each other by interatomic potentials.

`benchmarks/energies/cluster_energies.py` made the tables that stand in the folder `energies/`
beside this module.
"""

import csv
from pathlib import Path
from typing import Any

from kmc.errors import InputError

FOLDER = Path(__file__).parent / "energies"  # of the shipped tables


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
