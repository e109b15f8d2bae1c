"""Sites, neighbours and energies of the oracle (see `naive`)."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

VACANCY, LI, MG = 0, 1, 2
K_B_EV = 8.617333262145179e-05  # eV/K, exact in the SI of 2019
E_C = 1.602176634e-19  # C, exact

# Directions spanning the interface and its normal (into the metal), crystal coordinates.
ORIENTATIONS = {
    "bcc_100": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "bcc_110": ((0, 0, 1), (1, -1, 0), (1, 1, 0)),
    "bcc_111": ((1, -1, 0), (1, 1, -2), (1, 1, 1)),
}
SHELL_DISTANCES = (math.sqrt(3) / 2, 1.0)  # units of a

# The numbers of the parameter files, typed a second time on purpose.
LI_LI2S = {
    "lattice_parameter_A": 3.506,
    "attempt_frequency_Hz": 2.6e12,
    "formation_energy_bulk_eV": 0.50,
    "formation_energy_L1_eV": 0.28,
    "formation_energy_L1_to_L2_eV": 0.15,
    "second_shell_ratio": 0.5,
    "barrier_Li_eV": 0.055,
    "exchange_current_density_mA_cm2": 1.0,
    "creep_reference_rate_per_s": 0.01,
    "creep_reference_stress_MPa": 1.0,
    "creep_exponent": 6.6,
    "creep_activation_energy_kJ_mol": 37.0,
    "creep_stress_limit_MPa": 10.0,
}
LIMG_LI2S = {
    **LI_LI2S,
    "barrier_Li_near_Mg_eV": 0.061,
    "barrier_Mg_eV": 0.102,
    "formation_energy_Mg_shell1_eV": 0.53,
    "formation_energy_Mg_shell2_eV": 0.515,
    "fill_Li_near_Mg_eV": -0.16,
    "fill_Mg_near_Mg_eV": -0.67,
}
# Numbers of no metal, with every term of the Hamiltonian.
CURVED = {
    **{key: value for key, value in LI_LI2S.items() if key != "second_shell_ratio"},
    "second_shell_bond_eV": 0.13,
    "coordination_curvature_eV": 0.0071,
    "coordination_second_shell_weight": 0.4,
    "bond_L1_vacancies_eV": -0.031,
}
LIMG_CURVED = {**LIMG_LI2S, **CURVED}
LATTICE_GAS = {
    "lattice_parameter_A": 3.506,
    "attempt_frequency_Hz": 1e12,
    "pair_bond_eV": 0.1,
    "barrier_Li_eV": 0.1,
    "exchange_current_density_mA_cm2": 1.0,
}


def micro(energy_eV: float) -> int:
    """Energy in eV as integer µeV, rounded once."""
    return round(energy_eV * 1e6)


class NaiveLattice:
    """Bcc sites in an oriented box, and who is whose neighbour.

    Parameters
    ----------
    name : str
        Key of `ORIENTATIONS`.
    cells : (int, int)
        Cells along the two in-plane directions.
    layers : int
        Atomic layers along the normal.
    boundary : {"interface", "periodic"}
    a_A : float
        Lattice parameter in Å.

    Attributes
    ----------
    positions : ndarray, shape (n_sites, 3)
        Units of a.
    layer : ndarray, shape (n_sites,)
        1 is the layer at the electrolyte.
    neighbours : tuple of two lists
        ``neighbours[s][i]``: sites of shell s + 1 of site i. Sites from n_sites on are the
        reservoir above an interface box: metal Li that never moves.
    """

    def __init__(self, name, cells, layers, boundary, a_A=3.506):
        self.name, self.cells, self.layers, self.boundary = name, tuple(cells), layers, boundary
        self.a_A = a_A
        along_x, along_y, normal = (np.array(d) for d in ORIENTATIONS[name])
        reservoir = 4 if boundary == "interface" else 0
        # Twice the crystal coordinates are integers: all even or all odd on a bcc lattice.
        heights = sorted(
            {int(abs(np.dot(p, normal))) for p in [(1, 1, 1), (1, 1, -1), (1, -1, 1), (2, 0, 0)]}
            - {0}
        )
        step = math.gcd(*heights)  # of (twice coordinate)·normal between atomic layers
        points = self._points(along_x, along_y, normal, step * (layers + reservoir))
        lengths = [math.sqrt(d @ d) for d in (along_x, along_y, normal)]
        xyz = np.column_stack(
            [points @ d / (2 * math.sqrt(d @ d)) for d in (along_x, along_y, normal)]
        )
        layer = points @ normal // step + 1
        # Numbering: layer, then cell row, cell, then y and x inside the cell.
        cell_x = points @ along_x // (2 * (along_x @ along_x))
        cell_y = points @ along_y // (2 * (along_y @ along_y))
        order = np.lexsort((points @ along_x, points @ along_y, cell_x, cell_y, layer))
        xyz, layer = xyz[order], layer[order]
        inside = layer <= layers
        self.n_sites = int(inside.sum())
        self.sites_per_layer = self.n_sites // layers
        self.positions = xyz[inside]
        self.layer = layer[inside]
        self.layer_list = self.layer.tolist()
        self.spacing = step / (2 * lengths[2])
        self.box = np.array([cells[0] * lengths[0], cells[1] * lengths[1], layers * self.spacing])
        self.site_area_cm2 = self.box[0] * self.box[1] * (a_A * 1e-8) ** 2 / self.sites_per_layer
        self.neighbours = self._neighbours(xyz)

    def _points(self, along_x, along_y, normal, height):
        """Twice the crystal coordinates of every bcc point in the box, by trying all of them."""
        corners = np.array(
            [
                i * 2 * self.cells[0] * along_x
                + j * 2 * self.cells[1] * along_y
                + k * height * normal / (normal @ normal)
                for i in (0, 1)
                for j in (0, 1)
                for k in (0, 1)
            ]
        )
        low = np.floor(corners.min(axis=0)).astype(int) - 1
        high = np.ceil(corners.max(axis=0)).astype(int) + 1
        grid = np.stack(
            np.meshgrid(*[np.arange(low[k], high[k] + 1) for k in range(3)], indexing="ij"), -1
        ).reshape(-1, 3)
        grid = grid[(grid % 2 == grid[:, :1] % 2).all(axis=1)]
        for direction, limit in (
            (along_x, 2 * self.cells[0] * (along_x @ along_x)),
            (along_y, 2 * self.cells[1] * (along_y @ along_y)),
            (normal, height),
        ):
            along = grid @ direction
            grid = grid[(along >= 0) & (along < limit)]
        return grid

    def displacement(self, start, end):
        """Shortest vector from one position to another over the periodic images, units of a."""
        delta = np.asarray(end) - np.asarray(start)
        for axis in range(3 if self.boundary == "periodic" else 2):
            delta[..., axis] -= self.box[axis] * np.round(delta[..., axis] / self.box[axis])
        return delta

    def _neighbours(self, xyz):
        shells = ([], [])
        for site in range(self.n_sites):
            distance = np.linalg.norm(self.displacement(xyz[site], xyz.copy()), axis=1)
            for shell, radius in enumerate(SHELL_DISTANCES):
                near = np.flatnonzero(np.abs(distance - radius) < 1e-6)
                shells[shell].append([int(j) for j in near])
        return shells

    def in_box(self, site, shell):
        """Neighbours of a site in shell 1 or 2 that are sites of the box."""
        return [j for j in self.neighbours[shell - 1][site] if j < self.n_sites]


@lru_cache(maxsize=64)
def lattice(name, cells, layers, boundary, a_A=3.506):
    """A NaiveLattice, built once."""
    return NaiveLattice(name, cells, layers, boundary, a_A)


class Energies(NamedTuple):
    """Numbers of the Hamiltonian in integer µeV.

    bond : ndarray, shape (2, 3, 3); site : ndarray, shape (3, layers + 1); chi : int;
    own : dict, site → its energies by species where they are not those of its layer;
    beta, weight, bond_L1 : of vacancies beside each other, in eV (`many_body`).
    """

    bond: np.ndarray
    site: np.ndarray
    chi: int
    own: dict = {}  # noqa: RUF012 - never changed
    beta: float = 0.0
    weight: float = 0.0
    bond_L1: float = 0.0


# What the energy is linear in. The unknowns of the calibration, in this order.
_UNKNOWNS = (
    ("bond", 0, LI, LI),
    ("bond", 1, LI, LI),
    ("bond", 0, LI, MG),
    ("bond", 1, LI, MG),
    ("bond", 0, MG, MG),
    ("bond", 1, MG, MG),
    ("site", LI, 1),
    ("site", LI, 2),
    ("site", MG, 1),
    ("site", MG, 2),
    ("chi",),
)


def _features(box: NaiveLattice, occupancy) -> np.ndarray:
    """H = features · unknowns: counts of bonds, atoms per layer and vacancy-Mg pairs."""
    species = np.concatenate([occupancy, np.full(10 * box.sites_per_layer, LI)])
    counts = dict.fromkeys(_UNKNOWNS, 0)
    for shell in (0, 1):
        for i in range(box.n_sites):
            for j in box.neighbours[shell][i]:
                if j > i and species[i] and species[j]:
                    low, high = sorted((int(species[i]), int(species[j])))
                    counts["bond", shell, low, high] -= 1
    for i in range(box.n_sites):
        if species[i] and box.layer[i] <= 2:
            counts["site", int(species[i]), int(box.layer[i])] += 1
        if species[i] == VACANCY and box.layer[i] == 1:
            counts["chi",] += sum(species[j] == MG and box.layer[j] == 2 for j in box.in_box(i, 1))
    return np.array([counts[key] for key in _UNKNOWNS], dtype=float)


def many_body(box: NaiveLattice, energies: Energies, occupancy) -> int:
    """What atoms with several vacant neighbours cost, less the bonds of vacancies in L1, in µeV.

    β (v1 + r v2)² for each atom with v1 vacant first and v2 vacant second neighbours, atoms of the
    reservoir among them; what lies below L1 is not vacant.
    """
    if not (energies.beta or energies.bond_L1):
        return 0
    n = box.n_sites
    missing = {}  # atom → its vacant first and second neighbours
    pairs = 0
    for i in range(n):
        if occupancy[i] != VACANCY:
            continue
        for shell in (0, 1):
            for j in box.neighbours[shell][i]:
                if j >= n or occupancy[j] != VACANCY:
                    missing.setdefault(j, [0, 0])[shell] += 1
                elif shell == 1 and i < j and box.layer[i] == box.layer[j] == 1:
                    pairs += 1
    if box.boundary == "periodic":
        pairs = 0
    beta, weight = energies.beta, energies.weight
    squares = [micro(beta * (v1 + weight * v2) ** 2) for v1, v2 in missing.values()]
    return sum(squares) - micro(energies.bond_L1) * pairs


def _unit(*key) -> np.ndarray:
    return np.array([float(key == unknown) for unknown in _UNKNOWNS])


def _has_mg(unknown) -> bool:
    kind, *rest = unknown
    return MG in rest[1:] if kind == "bond" else kind == "site" and rest[0] == MG


@lru_cache(maxsize=8)
def _conditions(name):
    """Rows of the linear conditions: a dict of energy differences in terms of the unknowns.

    And the configurations before and after, by the same names.
    """
    box = lattice(name, (5, 5), 12, "interface")

    def occupied(changes):
        occupancy = np.full(box.n_sites, LI)
        for site, species in changes.items():
            occupancy[site] = species
        return occupancy

    def difference(before, after):
        return _features(box, occupied(after)) - _features(box, occupied(before))

    def site_of(layer):
        return int(np.flatnonzero(box.layer == layer)[0])

    middle, top, second = site_of(7), site_of(1), site_of(2)
    # An atom at a kink of the bulk has half the bonds of a bulk atom.
    kink = 0.5 * difference({middle: VACANCY}, {})
    near = [j for j in box.in_box(top, 1) if box.layer[j] == 2]
    mg = near[0]

    def distance_to_mg(site):
        return np.linalg.norm(box.displacement(box.positions[mg], box.positions[site]))

    donor = min((j for j in near if j != mg), key=distance_to_mg)
    shell1, shell2 = box.in_box(middle, 1)[0], box.in_box(middle, 2)[0]
    changes = {
        "bulk": ({}, {middle: VACANCY}),
        "L1": ({}, {top: VACANCY}),
        "L2": ({}, {second: VACANCY}),
        "Mg shell 1": ({shell1: MG}, {shell1: MG, middle: VACANCY}),
        "Mg shell 2": ({shell2: MG}, {shell2: MG, middle: VACANCY}),
        "fill Li": ({top: VACANCY, mg: MG}, {donor: VACANCY, mg: MG}),
        "fill Mg": ({top: VACANCY, mg: MG}, {top: MG, mg: VACANCY}),
    }
    rows = {key: difference(*ends) + ("fill" not in key) * kink for key, ends in changes.items()}
    states = {key: tuple(occupied(each) for each in ends) for key, ends in changes.items()}
    return rows, states


def calibrate(values, box: NaiveLattice) -> Energies:
    """Numbers of the Hamiltonian from the DFT energies, for one orientation.

    Each DFT energy is a difference of H between two configurations, and H is linear in bonds, site
    energies and χ: eleven linear conditions for eleven unknowns (five for pure Li).
    """
    bond = np.zeros((2, 3, 3), dtype=int)
    site = np.zeros((3, box.layers + 1), dtype=int)
    more = {
        "beta": values.get("coordination_curvature_eV", 0.0),
        "weight": values.get("coordination_second_shell_weight", 0.0),
        "bond_L1": values.get("bond_L1_vacancies_eV", 0.0),
    }
    if "pair_bond_eV" in values:
        bond[0, LI, LI] = micro(values["pair_bond_eV"])
        return Energies(bond, site, 0)  # a plain lattice gas has nothing else
    rows, states = _conditions(box.name)
    # What no unknown has part in comes off the energies that they have to make up.
    plain = Energies(bond, site, 0, **more)
    whole = lattice(box.name, (5, 5), 12, "interface")
    beyond = {
        name: (many_body(whole, plain, after) - many_body(whole, plain, before)) / 1e6
        for name, (before, after) in states.items()
    }
    l1 = values["formation_energy_L1_eV"]
    system = [
        (rows["bulk"], values["formation_energy_bulk_eV"] - beyond["bulk"]),
        (rows["L1"], l1 - beyond["L1"]),
        (rows["L2"], l1 + values["formation_energy_L1_to_L2_eV"] - beyond["L2"]),
    ]
    second = _unit("bond", 1, LI, LI)
    if "second_shell_bond_eV" in values:
        system.append((second, values["second_shell_bond_eV"]))
    else:
        ratio = values["second_shell_ratio"]
        system.append((second - ratio * _unit("bond", 0, LI, LI), 0.0))
    if "barrier_Mg_eV" in values:
        system += [
            (_unit("site", MG, 2) - _unit("site", LI, 2), 0.0),
            *(
                (rows[name], values[key] - beyond[name])
                for name, key in (
                    ("Mg shell 1", "formation_energy_Mg_shell1_eV"),
                    ("Mg shell 2", "formation_energy_Mg_shell2_eV"),
                    ("fill Li", "fill_Li_near_Mg_eV"),
                    ("fill Mg", "fill_Mg_near_Mg_eV"),
                )
            ),
        ]
        for shell in (0, 1):  # ideal mixing
            mixing = (
                _unit("bond", shell, MG, MG)
                + _unit("bond", shell, LI, LI)
                - 2 * _unit("bond", shell, LI, MG)
            )
            system.append((mixing, 0.0))
    else:
        with_mg = [key for key in _UNKNOWNS if key == ("chi",) or _has_mg(key)]
        system += [(_unit(*key), 0.0) for key in with_mg]
    solution = np.linalg.solve(np.array([row for row, _ in system]), [rhs for _, rhs in system])
    chi = 0
    for key, value in zip(_UNKNOWNS, solution, strict=True):
        if key[0] == "bond":
            bond[key[1], key[2], key[3]] = bond[key[1], key[3], key[2]] = micro(value)
        elif box.boundary == "periodic":
            continue  # no interface: every layer is bulk
        elif key[0] == "site":
            site[key[1], key[2]] = micro(value)
        else:
            chi = micro(value)
    return Energies(bond, site, chi, **more)


def with_chemistries(box: NaiveLattice, values, others, chemistry) -> Energies:
    """Energies of an interface whose column c stands on chemistry[c]: 0, or 1 + place in others."""
    base = calibrate(values, box)
    own = {}
    for k, changed in enumerate(others, start=1):
        site = calibrate({**values, **changed}, box).site
        for i in range(2 * box.sites_per_layer):
            if chemistry[i % box.sites_per_layer] == k:
                own[i] = [int(energy) for energy in site[:, box.layer[i]]]
    return base._replace(own=own)


def hamiltonian(box: NaiveLattice, energies: Energies, occupancy, touching=None) -> int:
    """H in µeV; with `touching`, only the terms that involve one of these sites."""
    n, layers = box.n_sites, box.layer_list
    bond, site, chi, own = _plain(energies)
    sites = range(n) if touching is None else touching
    # Atoms two bonds apart share it: no few sites have part in it alone.
    total = many_body(box, energies, occupancy)
    for i in sites:
        s_i, layer = occupancy[i], layers[i]
        total += own[i][s_i] if i in own else site[s_i][layer]
        for shell in (0, 1):
            row = bond[shell][s_i]
            for j in box.neighbours[shell][i]:
                if j < i and j in sites:
                    continue  # counted from the other end
                total -= row[occupancy[j] if j < n else LI]
        if chi and layer <= 2:
            for j in box.neighbours[0][i]:
                if j >= n or (j < i and j in sites):
                    continue
                ends = ((layer, s_i), (layers[j], occupancy[j]))
                if ((1, VACANCY), (2, MG)) in (ends, ends[::-1]):
                    total += chi
    return total


_PLAIN: dict[int, tuple] = {}


def _plain(energies: Energies):
    """The tables as lists of Python integers: quicker to index, and they never overflow."""
    key = id(energies)
    if key not in _PLAIN or _PLAIN[key][0] is not energies:
        tables = (energies.bond.tolist(), energies.site.tolist(), int(energies.chi), energies.own)
        _PLAIN[key] = (energies, tables)
    return _PLAIN[key][1]


def energy_change(box, energies, occupancy, changes) -> int:
    """H after − H before, in µeV, when the sites in `changes` (site → species) change."""
    old = {site: occupancy[site] for site in changes}
    before = hamiltonian(box, energies, occupancy, changes)
    for site, species in changes.items():
        occupancy[site] = species
    after = hamiltonian(box, energies, occupancy, changes)
    for site, species in old.items():
        occupancy[site] = species
    return after - before
