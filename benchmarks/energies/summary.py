"""What the shipped tables of energies say: pairs and clusters, adhesion, bonds at an electrolyte.

python benchmarks/energies/summary.py         # every table
python benchmarks/energies/summary.py li2s_110
"""

from __future__ import annotations

import math
import sys

import clusters
import interfaces

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
        elif name in clusters.CLUSTERS and name != "vacancy":
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
        for key, beyond in beyond_singles(name, potential).items():
            excess = table[key]["excess_eV"]
            print(f"  {key}: {excess:.3f} eV, {beyond:+.3f} eV beyond its single vacancies")


def of_electrolyte(name: str) -> dict[str, dict[str, float]]:
    """By potential: W/γ of a table, and means of single vacancies of L1 to L3 in units of E_f.

    Three of the nine (LiCl) or four (LiF) sites of a layer differ, as the cell has an axis of four,
    and count as often as they occur; of other cells the sites that are computed count the same.
    """
    found = {}
    for potential in dict.fromkeys(row["potential"] for row in ase_clusters.energies(name)):
        table, bulk = of_potential(name, potential), of_potential("li", potential)
        both, numbers = table["interface"], {}
        adhesion = -both["excess_eV"] / both["area_A2"] * J_m2
        numbers["W/gamma"] = adhesion / surface_energy_J_m2(potential)
        for layer in ("L1", "L2", "L3"):
            rows = [r for k, r in table.items() if k.startswith(layer) and r["removed"] == 1]
            often = [1] * len(rows)
            if name == "licl_100":
                often = [4, 4, 1] if layer == "L2" else [1, 4, 4]
            elif name == "lif_100":
                often = [4] if layer == "L2" else [1, 2, 1]
            if rows and len(rows) == len(often):
                total = sum(n * r["excess_eV"] for n, r in zip(often, rows, strict=True))
                numbers[layer] = total / sum(often) / bulk["vacancy"]["excess_eV"]
        found[potential] = numbers
    return found


def of_set(name: str, vacancy_eV: float = 0.5, gamma_J_m2: float = 0.416) -> dict[str, float]:
    """Quantities of a set: means of the potentials, scaled to E_f and γ(100) of li_li2s_clusters.

    `spread_…`: half of the difference between the potentials; nothing where there is one alone.
    Vacancies are left out where none is computed.
    """
    tables = list(of_electrolyte(name).values())
    vacancies = "L1" in tables[0]

    def mean(key: str) -> float:
        return sum(table[key] for table in tables) / len(tables)

    def spread(key: str) -> float:
        return (max(t[key] for t in tables) - min(t[key] for t in tables)) / 2

    values = {
        "work_of_adhesion_J_m2": gamma_J_m2 * mean("W/gamma"),
        "contact_angle_deg": math.degrees(math.acos(max(min(mean("W/gamma") - 1, 1), -1))),
    }
    if vacancies:
        values["formation_energy_L1_eV"] = vacancy_eV * mean("L1")
        values["formation_energy_L1_to_L2_eV"] = vacancy_eV * (mean("L2") - mean("L1"))
    if len(tables) > 1:
        values["spread_adhesion_J_m2"] = gamma_J_m2 * spread("W/gamma")
        if vacancies:
            values |= {f"spread_{layer}_eV": vacancy_eV * spread(layer) for layer in ("L1", "L2")}
    return values


def beyond_singles(name: str, potential: str) -> dict[str, float]:
    """Energy of groups of vacancies less that of their single vacancies, in eV.

    Groups with a site that is not computed alone are left out.
    """
    table = of_potential(name, potential)
    beyond = {}
    for key, sites in interfaces.vacancies(interfaces.INTERFACES[name], "").items():
        singles = [interfaces.label([site]) for site in sites]
        if len(sites) > 1 and {key, *singles} <= set(table):
            alone = sum(table[single]["excess_eV"] for single in singles)
            beyond[key] = table[key]["excess_eV"] - alone
    return beyond


if __name__ == "__main__":
    names = sorted(path.stem for path in ase_clusters.FOLDER.glob("li*.csv"))
    for chosen in sys.argv[1:] or names:
        if chosen == "li":
            print_bulk()
        elif "_" in chosen:
            print_interface(chosen)
