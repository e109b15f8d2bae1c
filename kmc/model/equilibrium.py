"""A box whose vacancies are in equilibrium with one another, their number given."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from kmc.errors import InputError
from kmc.kernels import equilibrium as kernel
from kmc.kernels.tables import LI, MG, VACANCY
from kmc.model.hamiltonian import N_INTERFACE_LAYERS, Hamiltonian
from kmc.model.lattice import Lattice

_SEED = 1  # of the relaxation that is measured
_BEFORE, _PAIRS = 50_000, 100_000  # of flips: from the start shape on, and measured
_ASPECT = 0.38  # height over width of the void at the start
HOTTEST = 2.0  # times the temperature, from which voids are annealed


@dataclass(frozen=True)
class EquilibriumAverages:
    """Means over a stretch of the chain with n vacancies, weighted by residence."""

    vacancies: int  #: n
    pairs: int  #: of flips
    #: Activity of the vacancies, Z_n/Z_(n+1); 1 in equilibrium with kinks of the bulk.
    S: float
    contact_fraction: float  #: metal of L1; 1 without an interface
    energy_ueV: float  #: less that of the box without vacancies, the atoms taken out put on kinks
    residence: float  #: with n vacancies; in units of the inverse rate of a flip without ΔE
    residence_above: float  #: with n + 1


@dataclass(frozen=True)
class Relaxation:
    """How fast the chain forgets its state, and how long it must run for each strip.

    Autocorrelation times ½ + Σ ρ_k, summed over 5 of them (Sokal, 10.1007/978-1-4899-0319-8_6), in
    pairs of flips. Shapes that facets hold for longer than the stretch measured do not show in it.
    """

    vacancies: int
    contact_fraction: float
    contact_pairs: float  #: autocorrelation time of the contact fraction
    S_pairs: float  #: that of the time with n + 1 vacancies, which S follows from

    def pairs_per_strip(self, tolerance: float = 5e-4) -> int:
        """Pairs of flips after each strip that keep the lag of the contact below `tolerance`.

        Where n grows by one at a time, the contact lags behind equilibrium by what it changes in
        one autocorrelation time, and a strip changes it by (1 − contact)/n at most. Of a large loss
        the lag may be 0.3 %. S is a mean over the strips in which n changed by a tenth.
        """
        loss = 1.0 - self.contact_fraction
        lag = loss / max(self.vacancies, 1) / max(tolerance, 0.003 * loss)
        return max(math.ceil(self.contact_pairs * lag), math.ceil(self.S_pairs / 10))


class VacancyEquilibrium:
    """Vacancies of a box, sampled from the Boltzmann distribution at a fixed number.

    Mg stays where it is. To be used where everything that moves vacancies is fast beside what
    changes their number::

        box = VacancyEquilibrium(lattice, electrode.hamiltonians, electrode.kT_ueV, occupancy,
                                 chemistry)
        averages = box.equilibrate(500, rng)        # S, contact_fraction, …
        box.flip(site)                              # a strip: one vacancy more, at this atom
        box.occupancy, box.formation_ueV            # the state now, and ΔE of every site

    The occupancy and the generator are all of the state: a box made anew from `occupancy` goes on
    with the same flips. `formation_ueV` plus the binding at a kink is the binding B of an atom,
    from which the weights of stripping follow.

    - `hamiltonians`: one for each chemistry, which differ in φ alone.
    - `kT_ueV`: kT in µeV.
    - `occupancy` (array of int, shape (n_sites,)): 0 vacancy, 1 Li, 2 Mg.
    - `chemistry` (array of int, shape (sites_per_layer,), or None): as in `total_energy_ueV`.

    Raises `InputError`: the box has no Li.
    """

    def __init__(
        self,
        lattice: Lattice,
        hamiltonians: Sequence[Hamiltonian],
        kT_ueV: float,
        occupancy: np.ndarray,
        chemistry: np.ndarray | None = None,
    ):
        self.lattice = lattice
        occupancy = np.asarray(occupancy, dtype=np.uint8)
        if not (occupancy == LI).any():
            raise InputError(
                "the box holds no Li, and a vacancy is made where a Li atom was",
                advice="Use a box of metal.",
            )
        self.box = _box(lattice, hamiltonians[0], kT_ueV)
        perfect = np.full(len(self.box.near) + 1, kernel.RESERVOIR, dtype=np.uint8)
        perfect[: lattice.n_sites] = np.where(occupancy == VACANCY, LI, occupancy)
        perfect[-1] = kernel.WALL
        energy = np.zeros(len(perfect), dtype=np.int64)
        energy[: lattice.n_sites] = _formation_ueV(
            lattice, hamiltonians, chemistry, perfect, self.box
        )
        self.chain = kernel.Chain(
            occupancy=perfect,
            energy=energy,
            vacant_near=np.zeros((len(perfect), 2), dtype=np.int64),
            sums=_sums(lattice.n_sites),
            numbers=np.zeros(3, dtype=np.int64),
            totals=np.zeros(4),
            touched=np.zeros(256, dtype=np.int64),
            is_touched=np.zeros(len(perfect), dtype=np.uint8),
            of_energy=np.zeros(1 << kernel.HASH_BITS, dtype=np.int64),
            rates=np.ones((1 << kernel.HASH_BITS, 2)),
        )
        kernel.refresh(self.box, self.chain)
        kernel.flip(self.box, self.chain, np.flatnonzero(occupancy == VACANCY))

    @property
    def occupancy(self) -> np.ndarray:
        """Species of each site, a copy; uint8 of shape (n_sites,)."""
        return self.chain.occupancy[: self.box.n_sites].copy()

    @property
    def vacancies(self) -> int:
        return int(self.chain.numbers[kernel.VACANCIES])

    @property
    def formation_ueV(self) -> np.ndarray:
        """ΔE of each site: its Li, or the Li that would fill it, taken to a kink; of Mg no number.

        int64, shape (n_sites,), a view that follows the chain.
        """
        return self.chain.energy[: self.box.n_sites]

    def flip(self, sites: ArrayLike) -> None:
        """Make a vacancy of the Li atom at each site, or fill the vacancy there with Li.

        Raises `InputError`: a site holds Mg.
        """
        sites = np.atleast_1d(np.asarray(sites, dtype=np.int64))
        if not sites.size:
            return
        mg = sites[self.chain.occupancy[sites] == MG]
        if len(mg):
            raise InputError(f"site {mg[0]} holds Mg", advice="Mg is fixed: flip a site of Li.")
        kernel.flip(self.box, self.chain, sites)

    def equilibrate(self, pairs: int, rng: np.random.Generator) -> EquilibriumAverages:
        """Make and fill vacancies, about so many pairs of flips; the number of vacancies stays.

        The chain ends after the time of so many pairs at the rate of the start (`kernel.advance`),
        so that the state it ends in is one of the Boltzmann distribution. A pair takes about 1 µs.
        """
        chain = self.chain
        chain.totals[:] = 0.0
        made = kernel.advance(self.box, chain, rng, pairs)
        if not made:  # the state as it is
            chain.totals[:] = np.array([1.0, math.nan, *chain.numbers[1:]])
        residence, above, times_L1, times_energy = chain.totals.tolist()
        n_L1 = self.box.n_interface
        return EquilibriumAverages(
            vacancies=self.vacancies,
            pairs=made,
            S=residence / above,
            contact_fraction=1.0 - times_L1 / (residence * n_L1) if n_L1 else 1.0,
            energy_ueV=times_energy / residence,
            residence=residence,
            residence_above=above,
        )

    def anneal(self, pairs: int, rng: np.random.Generator) -> None:
        """Free voids of the facets they have: heat to `HOTTEST` times T, cool in eight stages.

        About `pairs` pairs of flips in all. At T no new layer may begin on a facet for as long as
        a chain can last.
        """
        box, stages = self.box, np.linspace(HOTTEST, 1.0, 8)
        for factor in stages:
            self.box = box._replace(half=box.half / factor)
            kernel.refresh(self.box, self.chain)
            self.equilibrate(pairs // len(stages), rng)

    def relaxation(
        self, rng: np.random.Generator, pairs: int = 100_000, stretch: int = 50
    ) -> Relaxation:
        """Autocorrelation times along so many pairs, from means over stretches of them."""
        rows = [self.equilibrate(stretch, rng) for _ in range(max(pairs // stretch, 2))]
        contact = np.array([row.contact_fraction for row in rows])
        above = np.array([row.residence_above / row.residence for row in rows])
        return Relaxation(
            vacancies=self.vacancies,
            contact_fraction=float(contact.mean()),
            contact_pairs=stretch * _autocorrelation_time(contact),
            S_pairs=stretch * _autocorrelation_time(above),
        )


def _autocorrelation_time(series: np.ndarray) -> float:
    """½ + Σ ρ_k in steps of the series, cut at five times itself."""
    n, deviation = len(series), series - series.mean()
    if not deviation.any():
        return 0.5
    spectrum = np.abs(np.fft.rfft(deviation, 2 * n)) ** 2
    correlation = np.fft.irfft(spectrum)[:n]
    times = np.cumsum(correlation / correlation[0]) - 0.5
    cut = np.arange(n) >= 5 * times
    return float(max(times[np.argmax(cut) if cut.any() else -1], 0.5))


def _box(lattice: Lattice, hamiltonian: Hamiltonian, kT_ueV: float) -> kernel.Box:
    metal = lattice
    if lattice.has_interface:
        # Atoms of the reservoir feel what is vacant in the highest layers of the box.
        metal = replace(lattice, layers=lattice.layers + N_INTERFACE_LAYERS)
    near = np.concatenate([metal.neighbour_table(shell) for shell in (1, 2)], axis=1)
    layer = np.append(metal.layer, 0)
    at_interface = lattice.has_interface & (layer <= N_INTERFACE_LAYERS)
    bonds = [int(bond[LI, LI]) for bond in (hamiltonian.bond1, hamiltonian.bond2)]
    of_coordination = bool(hamiltonian.coordination_ueV.any())
    return (kernel.CoordinationBox if of_coordination else kernel.Box)(
        n_sites=lattice.n_sites,
        near=np.where(near < 0, metal.n_sites, near).astype(np.int32),
        layer_class=np.where(at_interface, layer, 0).astype(np.int8),
        n_interface=lattice.sites_per_layer if lattice.has_interface else 0,
        bonds=np.repeat(bonds, (kernel.N_FIRST, kernel.N_NEAR - kernel.N_FIRST)),
        bond_L1=hamiltonian.bond_L1_ueV,
        coordination=hamiltonian.coordination_ueV,
        by_coordination=of_coordination,
        half=0.5 / kT_ueV,
    )


def _formation_ueV(
    lattice: Lattice,
    hamiltonians: Sequence[Hamiltonian],
    chemistry: np.ndarray | None,
    perfect: np.ndarray,
    box: kernel.Box,
) -> np.ndarray:
    """ΔE of each site as if there were no vacancy, int64 of shape (n_sites,)."""
    h, layer = hamiltonians[0], lattice.layer
    first, second = np.split(box.near[: lattice.n_sites], [kernel.N_FIRST], axis=1)
    # Below L1 is nothing, and a vacancy has no bonds.
    bonding = np.array([VACANCY, LI, MG, VACANCY, LI])
    energy = h.bond1[LI, bonding[perfect[first]]].sum(axis=1)
    energy += h.bond2[LI, bonding[perfect[second]]].sum(axis=1)
    phi = np.array([each.phi[LI] for each in hamiltonians])
    kind = np.zeros(lattice.n_sites, dtype=np.int64)
    if chemistry is not None:
        # The chemistry below counts in L1 and L2; deeper all have the φ of the first.
        kind[: 2 * lattice.sites_per_layer] = np.tile(chemistry, 2)
    energy -= phi[kind, layer] + round(h.kink_binding_ueV)
    if h.chi and lattice.has_interface:
        facing = (perfect[first] == MG) & (box.layer_class[first] == 2)
        energy += np.where(layer == 1, h.chi * facing.sum(axis=1), 0)
    for shell, gain in ((first, (1, 0)), (second, (0, 1))):
        lone = h.coordination_ueV[:, *gain][box.layer_class[shell]]
        energy += np.where(perfect[shell] == kernel.WALL, 0, lone).sum(axis=1)
    return energy


def _sums(n_sites: int) -> kernel.Sums:
    """Empty trees over so many sites."""
    sizes = [n_sites]
    while sizes[-1] > 1:
        sizes.append(-(-sizes[-1] // kernel.BRANCHES))
    # Each level is filled up to whole nodes; the last one is the root.
    padded = [-(-size // kernel.BRANCHES) * kernel.BRANCHES for size in sizes[:-1]] + [1]
    first = np.concatenate(([0], np.cumsum(padded)))
    return kernel.Sums(
        value=np.zeros((2, first[-1])),
        first=first[:-1].astype(np.int64),
        stale=np.zeros((2, len(sizes), sizes[1] + 1), dtype=np.int64),
        n_stale=np.zeros((2, len(sizes)), dtype=np.int64),
        is_stale=np.zeros((2, first[-1]), dtype=np.uint8),
    )


def relaxation_of(lattice: Lattice, hamiltonian: Hamiltonian, kT_ueV: float) -> Relaxation:
    """Autocorrelation of one void of a monolayer, or of an eighth of the box, and what follows."""
    n = min(lattice.sites_per_layer, lattice.n_sites // 8)
    occupancy = np.full(lattice.n_sites, LI)
    # A compact void amid the interface.
    x, y, z = lattice.positions_A.T
    half, height = lattice.box_A / 2, (z - z.min()) / (2 * _ASPECT)
    squared = (x - half[0]) ** 2 + (y - half[1]) ** 2 + height**2
    occupancy[np.argsort(squared, kind="stable")[:n]] = VACANCY
    box = VacancyEquilibrium(lattice, [hamiltonian], kT_ueV, occupancy)
    rng = np.random.default_rng(_SEED)
    box.equilibrate(_BEFORE, rng)
    return box.relaxation(rng, _PAIRS)
