"""One void in equilibrium at a given number of vacancies: S, shape, and free energy against n.

The joint of the two scales: what the energies of the atoms make of a void for the field of gaps.
Full layers and facets make S(n) a sawtooth, so each size is a mean over a window of sizes about it.
Each is sampled by `VacancyEquilibrium` from a start of its own, flat or tall, and annealed, as a
void that only grows keeps the facets it has.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from kmc.common.figures import drawn
from kmc.common.progress import Progress, Share, progress_for
from kmc.errors import InputError
from kmc.kernels.tables import LI, MG, VACANCY
from kmc.model.equilibrium import VacancyEquilibrium
from kmc.model.hamiltonian import calibrate
from kmc.model.lattice import Lattice
from kmc.nuclei.clusters import ClusterFreeEnergies, cluster_free_energies
from kmc.nuclei.nucleation import CapLaw
from kmc.nuclei.nucleation_conditions import NucleationConditions

SMALLEST, LARGEST = 10, 100_000
_WINDOW = np.linspace(0.9, 1.1, 11)
_FLAT, _TALL = 0.2, 0.7  # height over width of the starts
_ANNEAL, _RELAX, _MEASURE = 400, 200, 40  # pairs of flips for each vacancy
_MIN_PAIRS = 100_000
_SNAPSHOTS = 8
_METASTABLE = 0.08  # relative difference of S from two starts; sampling makes some 0.03


@dataclass(frozen=True)
class EquilibriumVoid:
    """One size; means over a window of ±10 % in n."""

    n: int  #: vacancies of the box
    vacancies: float  #: of the void, without the lone ones around it
    S: float  #: activity at which it neither grows nor shrinks
    S_low: float  #: smallest and largest S of the window
    S_high: float
    S_annealed: float  #: at n itself
    S_unannealed: float  #: at n itself, from a flat start that was never hotter
    footprint: float  #: vacant sites of L1
    height_nm: float
    radius_nm: float  #: of a disc of the footprint
    volume_over_R3: float
    angle_deg: float  #: contact angle of the metal of a cap with this volume over R³
    ln_Z: float  #: per L1 site

    @property
    def metastable(self) -> bool:
        """Whether facets keep a shape that annealing changes."""
        return abs(self.S_unannealed / self.S_annealed - 1) > _METASTABLE and not self.dissolved

    @property
    def dissolved(self) -> bool:
        """Whether the vacancies are spread over the box."""
        return self.vacancies < 0.8 * self.n


@dataclass(frozen=True)
class EquilibriumVoids:
    """Voids in equilibrium at one interface, temperature and share of Mg.

    To see S, footprint and height against n at the energies of the atoms, and the contact angle
    that a population of voids has with them.
    """

    conditions: NucleationConditions
    clusters: ClusterFreeEnergies  #: whose ln Z_n goes on as −∫ ln S dn
    voids: list[EquilibriumVoid]

    def statements(self) -> list[str]:
        """What must stand beside the results."""
        lines = ["Means over eleven sizes within ±10 % of n, each annealed from its own start."]
        surface = self.conditions.surface
        for about, text in (
            ("dissolved", "lone vacancies of the box hold many of these; S is theirs"),
            ("metastable", "S without annealing is another: facets hold metastable shapes"),
        ):
            numbers = ", ".join(str(void.n) for void in self.voids if getattr(void, about))
            if numbers:
                lines.append(f"n = {numbers}: {text}.")
        if min(surface.film_eV(layers) for layers in range(1, 9)) < 0:
            lines.append(
                "The set does not wet this face: vacant layers gain energy, and a void spreads as "
                "a film until it fills its box."
            )
        if surface.has_mg:
            lines.append(
                "Mg lies at random, other for each size; ln Z begins with that of its mean."
            )
        return lines

    def to_json(self) -> dict[str, Any]:
        """A row for each size, what they were computed for, and the statements."""
        rows = {"voids": [asdict(void) for void in self.voids]}
        return self.clusters.facts() | rows | {"statements": self.statements()}

    def plot(self) -> Any:
        """S, shape and free energy against n."""
        return drawn("voids_picture", self)


def equilibrium_voids(
    conditions: NucleationConditions,
    sizes: Sequence[float],
    *,
    seed: int = 1,
    progress: bool | Progress = False,
) -> EquilibriumVoids:
    """Voids of so many vacancies at the interface, temperature and Mg of `conditions`.

    Some 6 ms of one core for each vacancy, 17 at 1e5, after the sampling of clusters of up to 40.

    Raises `InputError`: a size out of range.
    """
    wrong = [f"{n:g}" for n in sizes if not SMALLEST <= n <= LARGEST or n % 1]
    if wrong or not sizes:
        raise InputError(
            f"voids of {', '.join(wrong) or 'no'} vacancies",
            advice=f"Give whole numbers from {SMALLEST} to {LARGEST}.",
        )
    numbers = np.unique(np.array(sizes, dtype=int))
    done = 0.1 + 0.9 * np.cumsum([0, *numbers]) / numbers.sum()
    bar = progress_for("voids", progress)
    with bar:
        clusters = cluster_free_energies(
            conditions.surface, n_max=40, walkers=4, seed=seed, progress=Share(bar, 0.0, 0.1)
        )
        rows = [
            _void(conditions, int(n), seed, Share(bar, done[k], done[k + 1]))
            for k, n in enumerate(numbers)
        ]
    ln_Z = _ln_Z(clusters, *np.array([(row["vacancies"], row["S"]) for row in rows]).T)
    voids = [EquilibriumVoid(**row, ln_Z=float(x)) for row, x in zip(rows, ln_Z, strict=True)]
    return EquilibriumVoids(conditions, clusters, voids)


def _void(conditions: NucleationConditions, n: int, seed: int, bar: Progress) -> dict[str, Any]:
    """Everything about one size but its free energy."""
    sizes = np.rint(n * _WINDOW).astype(int)
    starts = [(size, (_FLAT, _TALL)[k % 2], True) for k, size in enumerate(sizes)]
    starts.append((n, _FLAT, False))
    rows = []
    for k, start in enumerate(starts):
        bar.update(k / len(starts), f"{n} vacancies, start {k + 1} of {len(starts)}")
        rows.append(_sample(conditions, *start, seed))
    *window, unannealed = rows
    # The mean is over ln S, whose sum over n is the free energy.
    vacancies, ln_S, footprint, layers = np.mean(window, axis=0).tolist()
    S = np.exp([row[1] for row in window])
    probe = conditions.surface.probe
    radius_nm = math.sqrt(footprint * probe.site_area_A2 / math.pi) / 10
    ratio = vacancies * (probe.lattice_parameter_A / 10) ** 3 / 2 / radius_nm**3
    return {
        "n": n,
        "vacancies": vacancies,
        "S": math.exp(ln_S),
        "S_low": float(S.min()),
        "S_high": float(S.max()),
        "S_annealed": float(S[len(S) // 2]),
        "S_unannealed": math.exp(unannealed[1]),
        "footprint": footprint,
        "height_nm": float(layers * probe.layer_spacing_A) / 10,
        "radius_nm": radius_nm,
        "volume_over_R3": ratio,
        "angle_deg": _angle_deg(ratio),
    }


def _sample(
    conditions: NucleationConditions, n: int, aspect: float, annealed: bool, seed: int
) -> tuple[float, ...]:
    """Vacancies of the void, ln S, footprint and layers, from one start."""
    # All starts of a size have the same Mg.
    lattice, occupancy = _box_with_void(conditions, n, aspect, np.random.default_rng([seed, n]))
    rng = np.random.default_rng([seed, n, annealed])
    hamiltonian = calibrate(conditions.parameters, lattice)
    box = VacancyEquilibrium(lattice, [hamiltonian], conditions.surface.kT_ueV, occupancy)
    if annealed:
        box.anneal(max(_ANNEAL * n, _MIN_PAIRS), rng)
    box.equilibrate(max(_RELAX * n // (4 if annealed else 1), _MIN_PAIRS), rng)
    times, voids = np.zeros(2), []
    for _ in range(_SNAPSHOTS):
        averages = box.equilibrate(max(_MEASURE * n, _MIN_PAIRS) // _SNAPSHOTS, rng)
        times += averages.residence, averages.residence_above
        layers = lattice.layer[_largest(box)]
        voids.append((len(layers), (layers == 1).sum(), layers.max()))
    size, footprint, height = np.mean(voids, axis=0)
    return size, math.log(times[0] / times[1]), footprint, height


def _box_with_void(
    conditions: NucleationConditions, n: int, aspect: float, rng: np.random.Generator
) -> tuple[Lattice, np.ndarray]:
    """A box with room around the void, and half an ellipsoid of vacancies at its interface."""
    surface = conditions.surface
    cell, a_A = surface.probe.unit_cell, surface.probe.lattice_parameter_A
    radius = (n / 2 / 1.4) ** (1 / 3)  # of a footprint with V/R³ = 1.4, in a; height 0.8 of it
    x, y = (max(math.ceil((3.6 * radius + 8) / edge), 4) for edge in cell.edges[:2])
    layers = max(math.ceil((1.5 * radius + 3) * a_A / surface.probe.layer_spacing_A), 14)
    lattice = Lattice(conditions.lattice, (x, y), layers, "interface", a_A)
    occupancy = np.full(lattice.n_sites, LI, dtype=np.uint8)
    shares = np.where(lattice.layer == 1, surface.mg_coverage, surface.mg_fraction)
    occupancy[rng.random(lattice.n_sites) < shares] = MG
    away = (lattice.positions_A - lattice.box_A / 2 * [1, 1, 0]) / [1, 1, 2 * aspect]
    distance = np.where(occupancy == LI, np.linalg.norm(away, axis=1), np.inf)
    occupancy[np.argsort(distance, kind="stable")[:n]] = VACANCY
    return lattice, occupancy


def _largest(box: VacancyEquilibrium) -> np.ndarray:
    """Sites of the largest void: vacancies connected by first and second neighbours."""
    sites = np.flatnonzero(box.occupancy == VACANCY)
    place = np.full(len(box.chain.occupancy), -1)
    place[sites] = np.arange(len(sites))
    near = place[box.box.near[sites]]
    row, k = np.nonzero(near >= 0)
    links = coo_array((np.ones(len(row)), (row, near[row, k])), shape=(len(sites), len(sites)))
    label = connected_components(links, directed=False)[1]
    return sites[label == np.argmax(np.bincount(label))]


def _ln_Z(clusters: ClusterFreeEnergies, n: np.ndarray, S: np.ndarray) -> np.ndarray:
    """ln Z_n of the clusters, and on by −∫ ln S dn, with ln S linear in n^(−1/3) as of caps."""
    first, beyond = float(clusters.n_max), n > clusters.n_max
    knots = np.append(first, n[beyond])
    ln_S = np.append(CapLaw.fit(clusters).slope(first), np.log(S[beyond]))
    fine = np.geomspace(first, knots[-1] + 1, 4000)
    values = np.interp(-(fine ** (-1 / 3)), -(knots ** (-1 / 3)), ln_S)
    work = np.append(0.0, np.cumsum(np.diff(fine) * (values[1:] + values[:-1]) / 2))
    small = np.interp(n, clusters.n.astype(float), clusters.ln_Z)
    return np.where(beyond, clusters.ln_Z[-1] - np.interp(n, fine, work), small)


def _angle_deg(volume_over_R3: float) -> float:
    """Contact angle of the metal above a void that is a cap with this volume over R³."""

    def excess(inside: float) -> float:
        c = math.cos(inside)
        return math.pi * (2 - 3 * c + c**3) / (3 * math.sin(inside) ** 3) - volume_over_R3

    return 180.0 - math.degrees(float(brentq(excess, 1e-3, math.pi - 1e-3)))
