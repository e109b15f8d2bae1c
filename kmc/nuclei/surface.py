"""The half-space of sites that clusters live on, and the weights of its sites."""

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np

from kmc.common.units import K_B_eV, MICRO_eV
from kmc.errors import InputError
from kmc.kernels import cluster_sites as kernel
from kmc.model.hamiltonian import LI, MG, VACANCY, Hamiltonian, calibrate
from kmc.model.lattice import Lattice
from kmc.model.parameters import ParameterSet

_PROBE = (6, 6, 12)  # cells and layers of the box that energies and steps are taken from
_INTERFACE_LAYERS = 6  # of it: layers whose sites may differ from the bulk
_TOLERANCE = 1e-6  # units of a
_WIDEST, _HIGHEST = 128, 132  # columns and layers; clusters that reach so far have no weight


@dataclass(frozen=True)
class Surface:
    """Sites and energies of the metal above one interface, in plane and upwards without end.

    `lattice` is the name or path of a lattice file; `mg_coverage` and `mg_fraction` are the shares
    of Mg in L1 and in all other layers, at random.
    """

    parameters: ParameterSet
    lattice: str
    temperature_K: float
    mg_coverage: float = 0.0
    mg_fraction: float = 0.0

    def __post_init__(self):
        if not (math.isfinite(self.temperature_K) and self.temperature_K > 0):
            raise InputError(
                f"temperature_K = {self.temperature_K} is out of range",
                advice="Give a temperature above 0 K.",
            )
        for key in ("mg_coverage", "mg_fraction"):
            value = getattr(self, key)
            if not 0 <= value < 1:
                raise InputError(
                    f"{key} = {value:g} is out of range",
                    advice="Give a share from 0 to below 1: without Li there is no vacancy.",
                )
            if value > 0 and "Mg" not in self.parameters.species:
                raise InputError(
                    f"{key} = {value:g}, but the parameter set {self.parameters.name} has no Mg",
                    advice="Use limg_li2s, or another set with Mg.",
                )

    @property
    def kT_ueV(self) -> float:
        return K_B_eV * self.temperature_K * MICRO_eV

    @property
    def has_mg(self) -> bool:
        return self.mg_coverage > 0 or self.mg_fraction > 0

    @cached_property
    def probe(self) -> Lattice:
        """A small box of the same lattice, for energies and neighbours."""
        a = self.parameters.value("lattice_parameter_A")
        return Lattice(self.lattice, _PROBE[:2], _PROBE[2], "interface", a)

    @cached_property
    def hamiltonian(self) -> Hamiltonian:
        return calibrate(self.parameters, self.probe)

    @property
    def site_area_cm2(self) -> float:
        """Interface area of one L1 site."""
        return self.probe.site_area_A2 * 1e-16

    @property
    def site_volume_cm3(self) -> float:
        """Volume of an atom, a³/2."""
        return self.probe.lattice_parameter_A**3 * 0.5e-24

    @cached_property
    def formation_ueV(self) -> np.ndarray:
        """E_f of a lone vacancy in pure Li by layer from L1, the last entry that of the bulk."""
        h = self.hamiltonian
        layers = range(1, _INTERFACE_LAYERS + 1)
        kink = h.kink_binding_ueV
        lone = [h.binding_ueV(LI, k) - kink for k in layers]
        return np.array([*lone, h.bulk_formation_ueV])

    def film_eV(self, layers: int) -> float:
        """Energy per L1 site to vacate whole layers from the interface up, in pure Li.

        Where some thickness makes it negative the metal does not wet this face: a flat void spreads
        by itself, and no cap describes it.
        """
        h, box = self.hamiltonian, self.probe
        occupancy = np.where(box.layer <= layers, VACANCY, LI)
        change = h.energy_ueV(occupancy, box) - h.perfect_energy_ueV(box)
        return (change / box.sites_per_layer - layers * h.kink_binding_ueV) / MICRO_eV

    @cached_property
    def vectors(self) -> np.ndarray:
        """Vectors to the 14 neighbours, first shell first, in units of a; shape (14, 3)."""
        cell = self.probe.unit_cell
        d_layer, d_x, d_y, column = np.concatenate([moves[0] for moves in cell.moves]).T
        target = (d_layer % cell.n_layer_types) * cell.sites_per_layer_cell + column
        plane = cell.in_plane[target] - cell.in_plane[0]
        plane = plane + np.column_stack((d_x, d_y)) * cell.edges[:2]
        return np.column_stack((plane, d_layer * (cell.edges[2] / cell.n_layer_types)))

    @cached_property
    def steps(self) -> np.ndarray:
        """Steps to the 14 neighbours, int of shape (14, 3): along two primitive vectors, layers.

        The vectors are the shortest that span L1, so every site of every layer has the same steps.
        """
        # Three first neighbours that span the lattice: any with the volume of a site, a³/2.
        first = self.vectors[: kernel.N_FIRST]
        triples = (list(t) for t in product(range(8), repeat=3) if t[0] > t[1] > t[2])
        chosen = next(t for t in triples if abs(abs(np.linalg.det(first[t])) - 0.5) < 1e-6)
        points = np.array(list(product(range(-3, 4), repeat=3))) @ first[chosen]
        height = points[:, 2] / min(abs(points[np.abs(points[:, 2]) > _TOLERANCE, 2]))
        length = np.linalg.norm(points, axis=1)
        order = np.argsort(length, kind="stable")
        # The two shortest that span a layer, and the shortest one to the next layer.
        plane = [i for i in order if abs(height[i]) < _TOLERANCE and length[i] > _TOLERANCE]
        a = points[plane[0]]
        b = next(
            points[i] for i in plane if abs(a[0] * points[i, 1] - a[1] * points[i, 0]) > _TOLERANCE
        )
        up = next(points[i] for i in order if abs(height[i] - 1) < _TOLERANCE)
        steps = np.linalg.solve(np.column_stack((a, b, up)), self.vectors.T).T
        whole = np.rint(steps).astype(np.int64)
        assert np.abs(steps - whole).max() < 1e-4
        return whole

    # --- arrays of the kernels --------------------------------------------------------------------

    def geometry(self, largest: int) -> kernel.ClusterLattice:
        """Lattice and weights for clusters of up to `largest` vacancies, Mg averaged over.

        Every shape C has the mean over all arrangements of Mg of its Boltzmann factor: no Mg on its
        sites, and beside it Li or Mg each with its own energy. Metals mix ideally in this
        Hamiltonian, so the mean is a product over sites and exact.
        """
        steps = self.steps
        # A power of two, so that a column wraps by a mask; wider than any cluster can reach.
        side = 2 ** math.ceil(math.log2(largest * np.abs(steps[:, :2]).max() + 2))
        side = min(side, _WIDEST)
        pad = int(np.abs(steps[:, 2]).max())
        layers = min(pad * largest, _HIGHEST) + 2 * pad
        # The coordination of the atoms around is counted with these atoms.
        h = self.hamiltonian
        lone = h.lone_coordination_ueV(*h.n_neighbours[:, 1 : _INTERFACE_LAYERS + 1])
        lone = np.append(lone, h.lone_coordination_ueV(8, 6))
        pairs_ueV = self.formation_ueV - lone
        energy = np.full(layers, pairs_ueV[-1], dtype=float)
        n = min(len(pairs_ueV), layers - pad)
        energy[pad : pad + n] = pairs_ueV[:n]
        lithium = np.full(layers, 1.0 - self.mg_fraction)
        lithium[pad] = 1.0 - self.mg_coverage
        log_beside = self.log_mg - self._coordination_kT
        return kernel.ClusterLattice(
            d_column=steps[:, 0] + side * steps[:, 1],
            d_layer=steps[:, 2].copy(),
            counted=self._counted,
            shift=round(2 * math.log2(side)),
            base=pad,
            by_site=0,
            site=lithium * np.exp(-energy / self.kT_ueV),
            bond=self._bond(log_beside),
            log_beside=log_beside,
            with_beside=int(log_beside.any()),
            together=hanging_together(steps),
        )

    @cached_property
    def _counted(self) -> np.ndarray:
        """What a vacancy adds to the counts of its neighbours; int64 of shape (2, 14)."""
        first, up = np.arange(kernel.N_NEAR) < kernel.N_FIRST, self.steps[:, 2]
        counted = np.tile(np.where(first, kernel.FIRST, kernel.SECOND), (2, 1))
        # One in L1 counts with χ for L2 above it, and with its bond to others of L1.
        counted[1] += kernel.INTERFACE * np.where(first, up == 1, up == 0)
        return counted

    @property
    def log_mg(self) -> np.ndarray:
        """ln[(1 − x) + x exp(−e/kT)] of a metal site of L1, of L2 and above, by its counts.

        Zeros without Mg; shape (3, N_CODES).
        """
        h, log = self.hamiltonian, np.zeros((3, kernel.N_CODES))
        if self.has_mg:
            code = np.arange(kernel.N_CODES)
            first, second, facing = code & 15, code >> 4 & 7, code >> 7
            extra1, extra2 = (int(b[LI, MG] - b[LI, LI]) for b in (h.bond1, h.bond2))
            for kind, share in enumerate((self.mg_coverage, self.mg_fraction, self.mg_fraction)):
                # Only an L2 site faces vacancies of L1 that count with χ.
                extra = first * extra1 + second * extra2 + (facing * h.chi if kind == 1 else 0)
                log[kind] = np.log1p(share * np.expm1(-extra / self.kT_ueV))
        return log

    @property
    def _coordination_kT(self) -> np.ndarray:
        """Energy of coordination of the same sites, in kT; shape (3, N_CODES)."""
        code = np.arange(kernel.N_CODES)
        # Counts beyond those of a site never occur.
        first, second = np.minimum(code & 15, 8), np.minimum(code >> 4 & 7, 6)
        table = self.hamiltonian.coordination_ueV
        return np.array([table[c, first, second] for c in (1, 2, 0)]) / self.kT_ueV

    def quenched_geometry(self, largest: int, rng: np.random.Generator) -> kernel.ClusterLattice:
        """The same with one arrangement of Mg drawn; sites that hold Mg have the weight 0."""
        plain = self.geometry(largest)
        n_columns, n_layers = 1 << plain.shift, plain.site.size
        shares = np.full((n_layers, 1), self.mg_fraction)
        shares[plain.base] = self.mg_coverage
        shares[: plain.base] = 0.0
        mg = rng.random((n_layers, n_columns)) < shares
        h = self.hamiltonian
        # What the drawn Mg beside a site adds to the energy of a vacancy there.
        extra = np.zeros((n_layers, n_columns))
        column = np.arange(n_columns)
        for j in range(kernel.N_NEAR):
            shell = (h.bond1, h.bond2)[j >= kernel.N_FIRST]
            cost = float(shell[LI, MG] - shell[LI, LI])
            beside = mg[:, (column + plain.d_column[j]) % n_columns]
            up = int(plain.d_layer[j])
            beside = np.roll(beside, -up, axis=0)
            extra += cost * beside
            if h.chi and j < kernel.N_FIRST and up == 1:
                extra[plain.base] += h.chi * beside[plain.base]
        # The mean over arrangements holds the chance of Li; a drawn arrangement has Li or not.
        pure = plain.site / (1.0 - shares[:, 0])
        site = np.where(mg, 0.0, pure[:, None] * np.exp(-extra / self.kT_ueV))
        log_beside = -self._coordination_kT
        return plain._replace(
            by_site=1,
            site=site.ravel(),
            bond=self._bond(log_beside),
            log_beside=log_beside,
            with_beside=int(log_beside.any()),
        )

    def _bond(self, log_beside: np.ndarray) -> np.ndarray:
        """Factor of vacating a site by its counts: bonds gained, and its own lf left behind."""
        h, code = self.hamiltonian, np.arange(kernel.N_CODES)
        bonds = (code & 15) * int(h.bond1[LI, LI]) + (code >> 4 & 7) * int(h.bond2[LI, LI])
        bonds = np.array([bonds + (code >> 7) * h.bond_L1_ueV, bonds, bonds])
        with np.errstate(over="ignore"):  # counts that no site has
            return np.exp(bonds / self.kT_ueV - log_beside)


def hanging_together(steps: np.ndarray) -> np.ndarray:
    """For every set of neighbours of a site, whether they are one cluster without the site.

    - `steps`: ndarray of int, shape (14, 3).

    Returns ndarray of uint8, shape (2**14,).
    """
    known = {tuple(step) for step in steps}
    # Of all 2^14 sets at once, so that the walk looks up what it would otherwise search.
    touching = np.zeros(len(steps), dtype=np.int64)
    for i, a in enumerate(steps):
        for j, b in enumerate(steps):
            if tuple(b - a) in known:
                touching[i] |= 1 << j
    sets = np.arange(1 << len(steps))
    reached = sets & -sets  # the lowest member of each set
    while True:
        wider = reached.copy()
        for i in range(len(steps)):
            wider |= np.where(reached >> i & 1, touching[i], 0)
        wider &= sets
        if np.array_equal(wider, reached):
            return (reached == sets).astype(np.uint8)
        reached = wider


def empty_cluster(geometry: kernel.ClusterLattice, largest: int) -> kernel.Cluster:
    """No vacancies yet, in a box with room for `largest`."""
    n_columns = 1 << geometry.shift
    n_layers = len(geometry.site) // (n_columns if geometry.by_site else 1)
    n_sites = n_layers * n_columns
    occupancy = np.zeros(n_sites, dtype=np.uint8)
    pad = geometry.base * n_columns
    occupancy[:pad] = kernel.CLOSED
    occupancy[-pad:] = kernel.CLOSED
    if geometry.by_site:
        occupancy[geometry.site == 0.0] = kernel.CLOSED
    room = kernel.N_NEAR * (largest + 1)
    return kernel.Cluster(
        occupancy=occupancy,
        code=np.zeros(n_sites, dtype=np.int16),
        place=np.full(n_sites, -1, dtype=np.int32),
        vacant=np.zeros(largest + 2, dtype=np.int64),
        beside=np.zeros(room, dtype=np.int64),
        weight=np.zeros(room),
        number=np.zeros(4, dtype=np.int64),
        stack=np.zeros(largest + 2, dtype=np.int64),
        mark=np.zeros(n_sites, dtype=np.uint8),
    )


def root_site(geometry: kernel.ClusterLattice) -> int:
    """The L1 site in the middle of the plane."""
    n_columns = 1 << geometry.shift
    side = 1 << (geometry.shift // 2)
    return (geometry.base << geometry.shift) | (n_columns // 2 + side // 2)
