"""The lattice-gas Hamiltonian and its calibration from DFT energies.

    H = − Σ_<ij>1 ε1(s_i,s_j) − Σ_<ij>2 ε2(s_i,s_j) + Σ_i φ(s_i, layer_i)
        + χ · #{(p,q): p ∈ L1 vacant, q ∈ L2 is Mg, p and q first neighbours}

Sites below L1 do not exist: the electrolyte acts through φ and χ. Sites above the top layer belong
to the metal reservoir and hold Li, so the top layer is bulk. All energies are integers in µeV.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kmc.common.units import MICRO_eV
from kmc.errors import InputError
from kmc.kernels.tables import LI, MG, VACANCY
from kmc.model.lattice import Lattice
from kmc.model.parameters import ParameterSet

N_INTERFACE_LAYERS = 3  # bcc(111) sites miss neighbours below down to L3


@dataclass(frozen=True)
class Hamiltonian:
    """Energies of the lattice gas, integers in µeV."""

    # bond1, bond2: int64, shape (3, 3): ε of the first and second shell between species 0 vacancy,
    # 1 Li, 2 Mg
    bond1: np.ndarray
    bond2: np.ndarray
    # int64, shape (3, n_layers + 1): site energy by species and layer; layer 1 is L1, column 0 is
    # unused
    phi: np.ndarray
    chi: int  # energy of a vacant L1 site beside an Mg in L2
    # int64, shape (2, n_layers + 1): metal neighbours of a perfect site by shell and layer, the
    # reservoir's included
    n_neighbours: np.ndarray

    def binding_ueV(self, species: int, layer: int) -> int:
        """Energy to take an atom of `species` off a site of `layer` whose neighbours are all Li."""
        n1, n2 = self.n_neighbours[:, layer]
        return int(
            n1 * self.bond1[species, LI] + n2 * self.bond2[species, LI] - self.phi[species, layer]
        )

    def bulk_binding_ueV(self, species: int) -> int:
        """The same in bulk Li."""
        return int(8 * self.bond1[species, LI] + 6 * self.bond2[species, LI])

    @property
    def bulk_formation_ueV(self) -> float:
        """Formation energy of a vacancy in bulk Li: half of its bonds, the rest stay at a kink."""
        return self.bulk_binding_ueV(LI) / 2

    def perfect_energy_ueV(self, lattice: Lattice) -> int:
        """H of a box full of Li."""
        total = int(self.phi[LI, 1:].sum()) * lattice.sites_per_layer
        first = np.arange(lattice.layers) * lattice.sites_per_layer
        for shell, bond in ((1, self.bond1), (2, self.bond2)):
            inside = (lattice.neighbours(first, shell) >= 0).sum(axis=1)
            above = self.n_neighbours[shell - 1, 1:] - inside
            # Two sites of the box share a bond inside it; one to the reservoir belongs to one.
            n_bonds = int((inside + 2 * above).sum()) * lattice.sites_per_layer // 2
            total -= n_bonds * int(bond[LI, LI])
        return total

    def energy_ueV(self, occupancy: np.ndarray, lattice: Lattice) -> int:
        """H of a configuration, summed bond by bond.

        - `occupancy` (array of int, shape (n_sites,)): 0 vacancy, 1 Li, 2 Mg.
        - `lattice`: the box; its own neighbours are used, none of the event loop's counts.
        """
        occupancy = np.asarray(occupancy, dtype=np.int64)
        total = int(self.phi[occupancy, lattice.layer].sum())
        for shell, bond in ((1, self.bond1), (2, self.bond2)):
            table = lattice.neighbour_table(shell)
            partner = occupancy[table]  # −1 wraps to the last site and is masked out below
            inside = table >= 0
            energies = bond[occupancy[:, None], partner]
            # Each pair stands in the table twice, at either end.
            total -= int(energies[inside].sum()) // 2
            # Neighbours that are missing above are the reservoir, which is all Li; those below do
            # not exist.
            above = (~inside).sum(axis=1) * (lattice.layer > lattice.layers // 2)
            total -= int((bond[occupancy, LI] * above).sum())
        if self.chi and lattice.has_interface:
            vacant = np.flatnonzero((lattice.layer == 1) & (occupancy == VACANCY))
            table = lattice.neighbours(vacant, 1)
            pairs = (table >= 0) & (lattice.layer[table] == 2) & (occupancy[table] == MG)
            total += self.chi * int(pairs.sum())
        return total


def total_energy_ueV(
    hamiltonians: Sequence[Hamiltonian],
    chemistry: np.ndarray | None,
    occupancy: np.ndarray,
    lattice: Lattice,
) -> int:
    """H of a configuration on an interface of several chemistries, each site with its own φ.

    - `hamiltonians`: one for each chemistry; they differ in φ alone.
    - `chemistry` (array of int, shape (sites_per_layer,), or None): chemistry below each column of
      sites; not needed for a single one.
    - `occupancy`: array of int, shape (n_sites,).
    """
    occupancy = np.asarray(occupancy)
    first, *others = hamiltonians
    total = first.energy_ueV(occupancy, lattice)
    n = lattice.sites_per_layer
    for k, other in enumerate(others, start=1):
        here = chemistry == k
        for layer in (1, 2):
            species = occupancy[(layer - 1) * n : layer * n][here]
            total += int((other.phi - first.phi)[species, layer].sum())
    return total


def calibrate(parameters: ParameterSet, lattice: Lattice) -> Hamiltonian:
    """Hamiltonian that reproduces the DFT energies of a parameter set on a lattice.

    Conditions, one for each unknown (E_f: vacancy formation energy against a kink of the bulk):

    - E_f(bulk) = (8 ε1 + 6 ε2)/2 for Li, with ε2/ε1 given;
    - E_f(L1), E_f(L2) = n1 ε1 + n2 ε2 − φ(Li) − E_f(bulk) for the neighbours of that layer;
    - ε(Li,Mg) = ε(Li,Li) + what an Mg at that distance adds to E_f in the bulk;
    - ε(Mg,Mg) = 2 ε(Li,Mg) − ε(Li,Li): ideal mixing, no ordering energy;
    - φ(Mg,L2) = φ(Li,L2): Mg in a perfect L2 is neutral against bulk Mg apart from bonds;
    - χ from the L1 vacancy beside an Mg in L2 that Li fills: Li of L2, nearest to that Mg;
    - φ(Mg,L1) from the same vacancy filled by that Mg.

    A set with ``pair_bond_eV`` is a plain lattice gas: ε1 given, everything else zero.

    Raises `InputError`: the set lacks an energy that the calibration needs.
    """
    bond1, bond2 = np.zeros((3, 3)), np.zeros((3, 3))
    phi = np.zeros((3, lattice.layers + 1))
    chi = 0.0
    # Metal neighbours of a perfect site; above the middle whatever is missing belongs to the
    # reservoir, as no step reaches both ends.
    counts = np.zeros((2, lattice.layers + 1), dtype=np.int64)
    first = np.arange(lattice.layers) * lattice.sites_per_layer
    upper = np.arange(1, lattice.layers + 1) > lattice.layers // 2
    for shell in (1, 2):
        table = lattice.neighbours(first, shell)
        counts[shell - 1, 1:] = np.where(upper, table.shape[1], (table >= 0).sum(axis=1))
    if parameters.has("pair_bond_eV"):
        bond1[LI, LI] = parameters.value("pair_bond_eV")
    else:
        bulk = parameters.value("formation_energy_bulk_eV")
        ratio = parameters.value("second_shell_ratio")
        bond1[LI, LI] = 2 * bulk / (8 + 6 * ratio)
        bond2[LI, LI] = ratio * bond1[LI, LI]
    if "Mg" in parameters.species:
        for shell, bond in ((1, bond1), (2, bond2)):
            repulsion = parameters.value(f"formation_energy_Mg_shell{shell}_eV") - bulk
            bond[LI, MG] = bond[MG, LI] = bond[LI, LI] + repulsion
            # No ordering energy, so that Mg mixes ideally and means over arrangements are products.
            bond[MG, MG] = 2 * bond[LI, MG] - bond[LI, LI]
    if lattice.has_interface and not parameters.has("pair_bond_eV"):
        formation_L1 = parameters.value("formation_energy_L1_eV")
        formation_L2 = formation_L1 + parameters.value("formation_energy_L1_to_L2_eV")
        for layer, formation in ((1, formation_L1), (2, formation_L2)):
            n1, n2 = counts[:, layer]
            phi[LI, layer] = n1 * bond1[LI, LI] + n2 * bond2[LI, LI] - formation - bulk
        if "Mg" in parameters.species:
            phi[MG, 2] = phi[LI, 2]
            chi, phi[MG, 1] = _fill_conditions(parameters, lattice, bond1, bond2, phi, counts)
    return Hamiltonian(
        bond1=_to_ueV(bond1),
        bond2=_to_ueV(bond2),
        phi=_to_ueV(phi),
        chi=int(_to_ueV(chi)),
        n_neighbours=counts,
    )


def _to_ueV(energy_eV):
    return np.rint(np.asarray(energy_eV) * MICRO_eV).astype(np.int64)


def _fill_conditions(parameters, lattice, bond1, bond2, phi, counts):
    """χ and φ(Mg,L1) from the two ways to fill an L1 vacancy beside an Mg in L2."""
    vacancy = 0
    above = lattice.neighbours(vacancy, 1)
    above = above[above >= 0]
    above = above[lattice.layer[above] == 2]
    if len(above) < 2:
        raise InputError(
            f"{lattice.name}: an L1 site has {len(above)} first neighbours in L2, "
            "and the fill energies of an L1 vacancy need two"
        )
    magnesium, others = above[0], above[1:]
    distance = lattice.distance_A(magnesium, others)
    # The DFT moved the Li nearest to the Mg: farther ones have another energy on some faces.
    lithium = others[np.argmin(distance)]
    shell = next((s for s in (1, 2) if magnesium in lattice.neighbours(lithium, s)), 0)
    extra = bond1[LI, MG] - bond1[LI, LI] if shell == 1 else 0.0
    extra = bond2[LI, MG] - bond2[LI, LI] if shell == 2 else extra

    (n1_L1, n1_L2), (n2_L1, n2_L2) = counts[0, 1:3], counts[1, 1:3]
    # Bonds of the atom before and after, each without the one to the site that is vacant then.
    leave = (n1_L2 - 1) * bond1[LI, LI] + n2_L2 * bond2[LI, LI] + extra - phi[LI, 2]
    arrive = (
        (n1_L1 - 2) * bond1[LI, LI] + bond1[LI, MG] + n2_L1 * bond2[LI, LI] - phi[LI, 1]
    )  # + χ, as the vacancy beside Mg disappears
    chi = leave - arrive - parameters.value("fill_Li_near_Mg_eV")

    leave = (n1_L2 - 1) * bond1[LI, MG] + n2_L2 * bond2[LI, MG] - phi[MG, 2] - chi
    arrive = (n1_L1 - 1) * bond1[LI, MG] + n2_L1 * bond2[LI, MG]  # − φ(Mg,L1)
    phi_mg = parameters.value("fill_Mg_near_Mg_eV") - leave + arrive
    return chi, phi_mg
