"""The lattice-gas Hamiltonian and its calibration from DFT energies.

    H = − Σ_<ij>1 ε1(s_i,s_j) − Σ_<ij>2 ε2(s_i,s_j) + Σ_i φ(s_i, layer_i)
        + χ · #{(p,q): p ∈ L1 vacant, q ∈ L2 is Mg, p and q first neighbours}
        + Σ_atoms K(class of the layer, v1, v2) − b · #{pairs of second neighbours vacant in L1}

v1, v2 are the vacant first and second neighbours of an atom, K = β (v1 + r v2)², so that atoms lose
the more by each further neighbour the more they miss already. K and b are 0 in sets without them.

Sites below L1 do not exist: the electrolyte acts through φ and χ, and an atom of L1 misses nothing
there. (Counted as missing, the neighbours that L1 has not would make the adhesion that follows from
single vacancies negative; an electrolyte that metal wets at 94° replaces about half of them.) Sites
above the top layer belong to the metal reservoir and hold Li, so the top layer is bulk. All
energies are integers in µeV.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from kmc.common.units import MICRO_eV
from kmc.errors import InputError
from kmc.kernels.tables import LI, MG, VACANCY
from kmc.model.lattice import Lattice
from kmc.model.parameters import ParameterSet

N_INTERFACE_LAYERS = 3  # bcc(111) sites miss neighbours below down to L3
_REACH = 3  # layers from a site to its farthest neighbour, on bcc(111)


def _no_coordination() -> np.ndarray:
    return np.zeros((4, 9, 7), dtype=np.int64)


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
    # int64, shape (4, 9, 7): energy of an atom, Li or Mg, by class of its layer (0 bulk, else 1 to
    # 3 for L1 to L3), vacant first and vacant second neighbours; 0 where none is vacant
    coordination_ueV: np.ndarray = field(default_factory=_no_coordination)
    bond_L1_ueV: int = 0  # gained by two vacancies of L1 that are second neighbours in the plane

    @property
    def is_pairwise(self) -> bool:
        """Whether H is one of pairs and site energies alone, which the event loop has tables of."""
        return not (self.coordination_ueV.any() or self.bond_L1_ueV)

    def lone_coordination_ueV(self, n1, n2):
        """Coordination energy that a lone vacancy with these numbers of metal neighbours costs."""
        # Calibration gives every class of layer the same table.
        return n1 * self.coordination_ueV[0, 1, 0] + n2 * self.coordination_ueV[0, 0, 1]

    def binding_ueV(self, species: int, layer: int) -> int:
        """Energy to take an atom of `species` off a site of `layer` whose neighbours are all Li."""
        n1, n2 = self.n_neighbours[:, layer]
        pairs = n1 * self.bond1[species, LI] + n2 * self.bond2[species, LI]
        return int(pairs - self.phi[species, layer] + self.lone_coordination_ueV(n1, n2))

    def bulk_binding_ueV(self, species: int) -> int:
        """The same in bulk Li."""
        pairs = 8 * self.bond1[species, LI] + 6 * self.bond2[species, LI]
        return int(pairs + self.lone_coordination_ueV(8, 6))

    @property
    def kink_binding_ueV(self) -> float:
        """Binding of Li at a kink of the bulk, the energy of the metal per atom: half its bonds."""
        return int(8 * self.bond1[LI, LI] + 6 * self.bond2[LI, LI]) / 2

    @property
    def bulk_formation_ueV(self) -> float:
        """Formation energy of a vacancy in bulk Li, its atom at a kink."""
        return self.bulk_binding_ueV(LI) - self.kink_binding_ueV

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
        occupancy = np.asarray(occupancy)
        total = int(self.phi[occupancy, lattice.layer].sum())
        for shell, bond in ((1, self.bond1), (2, self.bond2)):
            twice = 0
            for part, table in lattice.neighbour_parts(shell):
                here = occupancy[part]
                partner = occupancy[table]  # −1 wraps to the last site and is masked out below
                inside = table >= 0
                # Each pair stands in the table twice, at either end.
                twice += int(bond[here[:, None], partner][inside].sum())
                # What is missing above is the reservoir, which is all Li; below there is nothing.
                above = (~inside).sum(axis=1) * (lattice.layer[part] > lattice.layers // 2)
                total -= int((bond[here, LI] * above).sum())
            total -= twice // 2
        if self.chi and lattice.has_interface:
            vacant = np.flatnonzero((lattice.layer == 1) & (occupancy == VACANCY))
            table = lattice.neighbours(vacant, 1)
            pairs = (table >= 0) & (lattice.layer[table] == 2) & (occupancy[table] == MG)
            total += self.chi * int(pairs.sum())
        if not self.is_pairwise:
            total += self._many_body_ueV(occupancy, lattice)
        return total

    def _many_body_ueV(self, occupancy: np.ndarray, lattice: Lattice) -> int:
        """What coordination and vacancies beside each other in L1 add to H."""
        if lattice.has_interface:
            # Atoms of the reservoir miss what is vacant in the top layers.
            above = np.full(_REACH * lattice.sites_per_layer, LI)
            occupancy = np.concatenate((occupancy, above))
            lattice = replace(lattice, layers=lattice.layers + _REACH)
        vacant = occupancy == VACANCY
        near = lattice.has_interface & (lattice.layer <= N_INTERFACE_LAYERS)
        places, total = np.where(near, lattice.layer, 0), 0
        tables = (lattice.neighbour_parts(1), lattice.neighbour_parts(2))
        for (part, first), (_, second) in zip(*tables, strict=True):
            v1, v2 = ((vacant[table] & (table >= 0)).sum(axis=1) for table in (first, second))
            total += int(self.coordination_ueV[places[part], v1, v2][~vacant[part]].sum())
        if self.bond_L1_ueV and lattice.has_interface:
            table = lattice.neighbours(np.flatnonzero(vacant & (lattice.layer == 1)), 2)
            pairs = (table >= 0) & vacant[table] & (lattice.layer[table] == 1)
            total -= self.bond_L1_ueV * (int(pairs.sum()) // 2)
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

    - E_f(bulk) = (8 ε1 + 6 ε2)/2 + 8 β + 6 β r² for Li, with ε2/ε1 or ε2, β and r given;
    - E_f(L1), E_f(L2) = n1 ε1 + n2 ε2 + n1 β + n2 β r² − φ(Li) − (8 ε1 + 6 ε2)/2 for the
      neighbours of that layer;
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
    coordination = _no_coordination()
    bond_L1 = 0.0
    if parameters.has("pair_bond_eV"):
        bond1[LI, LI] = parameters.value("pair_bond_eV")
    else:
        bulk = parameters.value("formation_energy_bulk_eV")
        weight = _value_or_0(parameters, "coordination_second_shell_weight")
        missing = np.arange(9)[:, None] + weight * np.arange(7)
        beta = _value_or_0(parameters, "coordination_curvature_eV")
        coordination[:] = _to_ueV(beta * missing**2)
        # The energy of an atom in the metal: what a vacancy costs beyond its atoms' coordination.
        kink = bulk - _lone(coordination, 8, 6)
        if parameters.has("second_shell_bond_eV"):
            bond2[LI, LI] = parameters.value("second_shell_bond_eV")
            bond1[LI, LI] = (2 * kink - 6 * bond2[LI, LI]) / 8
        else:
            ratio = parameters.value("second_shell_ratio")
            bond1[LI, LI] = 2 * kink / (8 + 6 * ratio)
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
        lone = [_lone(coordination, *counts[:, layer]) for layer in (1, 2)]
        for layer, formation in ((1, formation_L1), (2, formation_L2)):
            n1, n2 = counts[:, layer]
            pairs = n1 * bond1[LI, LI] + n2 * bond2[LI, LI]
            phi[LI, layer] = pairs + lone[layer - 1] - formation - kink
        bond_L1 = _value_or_0(parameters, "bond_L1_vacancies_eV")
        if "Mg" in parameters.species:
            phi[MG, 2] = phi[LI, 2]
            chi, phi[MG, 1] = _fill_conditions(
                parameters, lattice, bond1, bond2, phi, counts, lone[1] - lone[0]
            )
    return Hamiltonian(
        bond1=_to_ueV(bond1),
        bond2=_to_ueV(bond2),
        phi=_to_ueV(phi),
        chi=int(_to_ueV(chi)),
        n_neighbours=counts,
        coordination_ueV=coordination,
        bond_L1_ueV=int(_to_ueV(bond_L1)),
    )


def _value_or_0(parameters: ParameterSet, key: str) -> float:
    return parameters.value(key) if parameters.has(key) else 0.0


def _lone(coordination: np.ndarray, n1: int, n2: int) -> float:
    """Coordination energy in eV that a lone vacancy with so many metal neighbours costs."""
    return float(n1 * coordination[0, 1, 0] + n2 * coordination[0, 0, 1]) / MICRO_eV


def _to_ueV(energy_eV):
    return np.rint(np.asarray(energy_eV) * MICRO_eV).astype(np.int64)


def _fill_conditions(parameters, lattice, bond1, bond2, phi, counts, lone_change):
    """χ and φ(Mg,L1) from the two ways to fill an L1 vacancy beside an Mg in L2.

    `lone_change`: coordination energy of a lone vacancy in L2 less that of one in L1, eV.
    """
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
    chi = leave - arrive + lone_change - parameters.value("fill_Li_near_Mg_eV")

    leave = (n1_L2 - 1) * bond1[LI, MG] + n2_L2 * bond2[LI, MG] - phi[MG, 2] - chi
    arrive = (n1_L1 - 1) * bond1[LI, MG] + n2_L1 * bond2[LI, MG]  # − φ(Mg,L1)
    phi_mg = parameters.value("fill_Mg_near_Mg_eV") - leave + arrive - lone_change
    return chi, phi_mg
