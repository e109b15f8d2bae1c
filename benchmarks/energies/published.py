"""Published DFT of lithium beside interatomic potentials: `published.csv`.

    python benchmarks/energies/published.py training.json test.json --out published.csv

The two files are data/Li of github.com/materialsvirtuallab/mlearn (PBE; Y. Zuo et al., J. Phys.
Chem. A 124, 731 (2020), 10.1021/acs.jpca.9b08723; slabs as R. Tran et al., 10.1038/sdata.2016.80).
γ of 13 faces, (E − N E(bulk)/N)/2A, at the geometries of the DFT. And what E_f of DFT has more
than that of a potential: mean of E(DFT) − E(potential) over snapshots at 300 K with a vacancy,
less 53/54 of that without one.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from kmc.common.units import E_C

SHIPPED = Path(__file__).with_name("published.csv")


def of_file(path: Path) -> list[tuple[str, Atoms, float]]:
    """Description, atoms and energy (eV) of each structure."""
    found = []
    for entry in json.loads(path.read_text(encoding="utf-8")):
        structure = entry["structure"]
        places = [site["xyz"] for site in structure["sites"]]
        cell = structure["lattice"]["matrix"]
        atoms = Atoms(f"Li{len(places)}", places, cell=cell, pbc=True)
        found.append((entry["description"], atoms, entry["outputs"]["energy"]))
    return found


def rows(structures: list[tuple[str, Atoms, float]], calculator: Any = None) -> dict[str, float]:
    """γ by face in J/m², of DFT, or of a calculator with what DFT's E_f has more, in eV."""

    def energy(atoms: Atoms, dft: float) -> float:
        if calculator is None:
            return dft
        atoms.calc = calculator
        return atoms.get_potential_energy()

    bulk = next((a, e) for name, a, e in structures if name == "Ground state crystal")
    mu_eV = energy(*bulk) / len(bulk[0])
    values = {}
    for name, atoms, dft in structures:
        if "surface" in name:
            face = name[name.index("(") + 1 : -1].replace("_", "")
            area_A2 = 2 * np.linalg.norm(np.cross(*atoms.cell.array[:2]))
            excess = energy(atoms, dft) - len(atoms) * mu_eV
            values[f"gamma_{face}_J_m2"] = float(excess / area_A2 * E_C * 1e20)
    if calculator is not None:
        differences = [
            [
                dft - energy(a, dft)
                for name, a, dft in structures
                if kind in name and "300 K" in name
            ]
            for kind in ("Vacancy", "normal structure")
        ]
        vacancy, perfect = (np.mean(each) for each in differences)
        errors = [np.std(each, ddof=1) / len(each) ** 0.5 for each in differences]
        values["vacancy_DFT_has_more_eV"] = float(vacancy - 53 / 54 * perfect)
        values["vacancy_error_eV"] = float(np.hypot(*errors))
    return dict(sorted(values.items()))


def table() -> dict[str, dict[str, float]]:
    """The shipped table: values by quantity, of `PBE` and each potential."""
    with SHIPPED.open(newline="", encoding="utf-8") as file:
        return {
            row.pop("quantity"): {key: float(value) for key, value in row.items() if value}
            for row in csv.DictReader(file)
        }


def main() -> None:
    import cluster_energies

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", type=Path, nargs=2)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--potentials", nargs="+", default=["chgnet", "7net-0"])
    args = parser.parse_args()
    structures = list(itertools.chain(*map(of_file, args.files)))
    columns = {"PBE": rows(structures)}
    for potential in args.potentials:
        calculator, name = cluster_energies.potential(potential)
        columns[name] = rows(structures, calculator)
    with args.out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["quantity", *columns])
        for key in columns[name]:
            values = [f"{column[key]:.4f}" if key in column else "" for column in columns.values()]
            writer.writerow([key, *values])


if __name__ == "__main__":
    main()
