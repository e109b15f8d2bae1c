"""How energies curve with coordination, from DFT of a vacancy, a surface and a patch in L1."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from kmc.common.units import E_C
from kmc.errors import InputError

SURFACE = "surface_100"  # metal between two (100) faces
# A square of four vacancies in L1, second neighbours in the plane, and each of its sites alone.
PATCH = "interface_four_vacancies_L1"
SINGLES = tuple(f"interface_vacancy_L1{site}" for site in ("", "b", "c", "d"))
_R = 0.4  # weight of second neighbours, of the fit to two potentials; energies hardly depend on it
# β times these: atoms beside a vacancy (8 first, 6 second neighbours), and of a site of the (100)
# surface (4 first neighbours and 1 second are missing in its layer, 1 second in the next).
_OF_VACANCY, _OF_SURFACE = 8 + 6 * _R**2, (4 + _R) ** 2 + _R**2


def of_surface(formation_eV: float, mu_eV: float, lattice_A: float, slab: Any) -> dict[str, Any]:
    """Bond of second neighbours ε2 and curvature β from a vacancy, 3 ε2 + β (8 + 6 r²), and from
    a site of the (100) surface, ε2 + β ((4 + r)² + r²), if first neighbours have no bond.

    - `mu_eV`: energy of an atom of the bulk. `slab`: an ``ase.Atoms`` with an energy.

    Raises `InputError`: the slab has no cell, or is not of one element.
    """
    if not hasattr(slab, "cell") or len(set(slab.symbols)) != 1:
        raise InputError(
            f"configuration {SURFACE!r} is no slab of the metal alone with a cell",
            advice="Give an ase.Atoms, or a file that ASE reads, of metal between two (100) faces.",
        )
    area_A2 = 2 * float(np.linalg.norm(np.cross(*slab.cell.array[:2])))
    gamma = (slab.get_potential_energy() - len(slab) * mu_eV) / area_A2
    beta = (gamma * lattice_A**2 - formation_eV / 3) / (_OF_SURFACE - _OF_VACANCY / 3)
    text = f"From E_f and γ of {SURFACE}, without a bond to first neighbours."
    values = {
        "second_shell_bond_eV": ((formation_eV - beta * _OF_VACANCY) / 3, text),
        "coordination_curvature_eV": (beta, text),
        "coordination_second_shell_weight": (_R, "Assumed, as in li_li2s_clusters."),
        "surface_energy_100_J_m2": (gamma * E_C * 1e20, f"(E({SURFACE}) − N E(bulk)/N(bulk))/2A."),
    }
    quantities = {
        k: {"value": round(value, 6), "note": note} for k, (value, note) in values.items()
    }
    quantities["coordination_second_shell_weight"]["assumed"] = True
    return quantities


def of_patch(
    beyond_eV: float | None, found: Mapping[str, Any], singles: int = 0
) -> dict[str, dict[str, Any]]:
    """Bond b of vacancies of L1 on bcc_100, from what a square of four costs beyond single ones,
    −4 ε2 + 20 β − 8 β r² − 4 b, with ε2 and β of `found`; 0, assumed, where that is None.

    - `singles`: of the four sites that have an energy of their own.
    """
    if beyond_eV is None:
        note = f"Assumed: there is no {PATCH} with its single vacancies."
        return {"bond_L1_vacancies_eV": {"value": 0.0, "note": note, "assumed": True}}
    beta = found["coordination_curvature_eV"]["value"]
    bond = (5 - 2 * _R**2) * beta - found["second_shell_bond_eV"]["value"] - beyond_eV / 4
    note = f"{PATCH} costs {beyond_eV:.4f} eV beyond single vacancies of {singles} of its 4 sites."
    return {"bond_L1_vacancies_eV": {"value": round(bond, 6), "note": note}}
