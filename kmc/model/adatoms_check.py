"""The energies of a substrate's parameter set, rebuilt on the lattice of a deposition.

As in `kmc.model.dft_check`, every energy is a difference of total energies, summed bond by bond.
"""

from __future__ import annotations

import numpy as np

from kmc.model.adatoms import KINK, Adatoms, adatoms
from kmc.model.dft_check import CheckRow, row_of
from kmc.model.parameters import ParameterSet

_EDGE = 8  # of a periodic box


def adatom_rows(parameters: ParameterSet) -> list[CheckRow]:
    """Compare the model with the numbers of a set such as li_zno_002.

    - `parameters`: has the quantities `kmc.model.adatoms.NEEDED`.
    """
    e = adatoms([parameters], 298.15, 0.0)
    empty = np.zeros((_EDGE, _EDGE, _EDGE), dtype=bool)
    lone = empty.copy()
    lone[0, 0, 0] = True
    slab = empty.copy()
    slab[:3] = True
    kink = slab.copy()
    kink[3, :, :4] = True  # half a layer, and one atom at the end of a row on it
    kink[3, :4, 4] = True
    beside = kink.copy()
    beside[3, 4, 4] = True
    terrace = slab.copy()
    terrace[3, 4, 4] = True
    hole = slab.copy()
    hole[1, 4, 4] = False
    at_kink = _energy(kink, e) - _energy(beside, e)
    formation = _energy(hole, e) - _energy(slab, e) - at_kink
    saddle, binding = e.saddle_eV(), e.binding_eV()
    held = e.substrate_eV[0] - e.bond_eV
    rows = (
        ("lone Li on the substrate", "adsorption_energy_eV", -_energy(lone, e)),
        ("Li at a kink of the metal", "cohesive_energy_eV", at_kink),
        ("vacancy in the metal", "formation_energy_bulk_eV", formation),
        ("hop of a lone Li on it", "surface_barrier_eV", saddle[0, 0, 0] + binding[0, 0]),
        ("hop on a terrace", "metal_surface_barrier_eV", saddle[1, 1, 0] + binding[1, 1]),
    )
    found = [row_of(parameters, name, key, float(model)) for name, key, model in rows]
    on_terrace = _energy(slab, e) - _energy(terrace, e)
    found.append(
        CheckRow("lone Li on a terrace", "eV", None, float(on_terrace), None, "from the bonds")
    )
    note = "above 0 a film spreads" if held > 0 else "below 0: islands, no film"
    found.append(CheckRow("first layer, beyond a terrace", "eV", None, float(held), None, note))
    return found


def _energy(there: np.ndarray, e: Adatoms) -> float:
    """Total energy against free atoms, [z, y, x]; periodic in the plane, z = 0 on the substrate."""
    bonds = sum(int((there & np.roll(there, 1, axis)).sum()) for axis in (1, 2))
    bonds += int((there[1:] & there[:-1]).sum())
    per_atom = e.cohesive_eV - KINK * e.bond_eV
    first = int(there[0].sum())
    return -(bonds * e.bond_eV + first * e.substrate_eV[0] + int(there.sum()) * per_atom)
