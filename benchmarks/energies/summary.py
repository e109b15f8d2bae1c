"""What the shipped tables of energies say: pairs and clusters, adhesion, bonds at an electrolyte.

python benchmarks/energies/summary.py         # every table
python benchmarks/energies/summary.py li2s_110
"""

from __future__ import annotations

import math
import sys

from kmc.common.units import E_C
from kmc.model import ase_clusters

J_m2 = E_C * 1e20  # of an eV/Å²


def of_potential(name: str, potential: str) -> dict[str, dict]:
    rows = ase_clusters.energies(name)
    return {row["structure"]: row for row in rows if row["potential"] == potential}


def surface_energy_J_m2(potential: str, face: str = "100") -> float:
    row = of_potential("li", potential)[f"surface_{face}"]
    return row["excess_eV"] / row["area_A2"] * J_m2


def print_bulk() -> None:
    """Excess energies in units of a vacancy, surfaces in J/m²."""
    potentials = list(dict.fromkeys(row["potential"] for row in ase_clusters.energies("li")))
    tables = [of_potential("li", potential) for potential in potentials]
    print("structure".ljust(24), *(potential.rjust(26) for potential in potentials))
    for name, row in tables[0].items():
        if name.startswith("surface_1") and row["area_A2"]:
            values = [t[name]["excess_eV"] / t[name]["area_A2"] * J_m2 for t in tables if name in t]
            unit = "J/m²"
        elif name in ase_clusters.CLUSTERS and name != "vacancy":
            values = [t[name]["excess_eV"] / t["vacancy"]["excess_eV"] for t in tables if name in t]
            unit = "vacancies"
        else:
            values, unit = [t[name]["excess_eV"] for t in tables if name in t], "eV"
        print(name.ljust(24), *(f"{value:.3f} {unit}".rjust(26) for value in values))


def print_interface(name: str) -> None:
    """Adhesion and angle, single vacancies, and what groups of them gain over their singles."""
    for potential in dict.fromkeys(row["potential"] for row in ase_clusters.energies(name)):
        table = of_potential(name, potential)
        both, gamma = table["interface"], surface_energy_J_m2(potential)
        adhesion = -both["excess_eV"] / both["area_A2"] * J_m2
        cosine = adhesion / gamma - 1
        angle = f"{math.degrees(math.acos(cosine)):.0f}°" if abs(cosine) <= 1 else "wets"
        print(
            f"{name}, {potential}: adhesion {adhesion:.3f} J/m², (100) {gamma:.3f}, angle {angle}"
        )
        vacancy = of_potential("li", potential)["vacancy"]["excess_eV"]
        for layer in ("L1", "L2", "L3", "L4"):
            values = [
                row["excess_eV"]
                for key, row in table.items()
                if key.startswith(f"{layer}_") and row["removed"] == 1
            ]
            if values:
                mean = sum(values) / len(values)
                listed = " ".join(f"{value:.3f}" for value in values)
                print(f"  {layer}: mean {mean:.3f} eV, {mean / vacancy:.2f} of the bulk: {listed}")
        for key, row in table.items():
            if row["removed"] > 1:
                print(f"  {key}: {row['excess_eV']:.3f} eV{_gain(key, row, table)}")


def _gain(key: str, row: dict, table: dict[str, dict]) -> str:
    """Energy beyond the single vacancies of the same sites, where all are computed."""
    if "+" in key:
        singles = key.split("+")
    else:
        places = [(2 * i + 2, 2 * j + 2) for i in range(4) for j in range(4)]
        edge = math.isqrt(9 if key.startswith("pit") else row["removed"])
        singles = [f"L1_{i}_{j}" for i, j in places if max(i, j) <= 2 * edge]
        if key.startswith("pit"):
            singles += [f"L2_{i}_{j}" for i in (3, 5) for j in (3, 5)]
    if not all(single in table for single in singles):
        return ""
    alone = sum(table[single]["excess_eV"] for single in singles)
    return f", single vacancies {alone:.3f} eV, together {row['excess_eV'] - alone:+.3f} eV"


if __name__ == "__main__":
    names = sorted(path.stem for path in ase_clusters.FOLDER.glob("li*.csv"))
    for chosen in sys.argv[1:] or names:
        if chosen == "li":
            print_bulk()
        elif "_" in chosen:
            print_interface(chosen)
