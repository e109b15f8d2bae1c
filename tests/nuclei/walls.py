"""Transport of atoms along free surfaces, counted hop by hop in closed periodic boxes of Li.

In equilibrium the sum P of the displacements of all atoms spreads as ⟨P_x²⟩ = 2 t Σ m, with m the
conductance for a gradient of μ/kT along x and Σ over everything that conducts: ρ D_v c_eq for each
volume of metal, and M for each area of wall, times the mean of 1 − n_x² (n the normal: 1 for a wall
along x, 2/3 for a sphere).
"""

from __future__ import annotations

import math

import numpy as np
from event_log import hop_vectors_nm

from kmc.analysis import voids
from kmc.analysis.transport import Estimate
from kmc.common.units import K_B_J, A_per_nm, K_B_eV
from kmc.kernels import tables
from kmc.model.lattice import Lattice
from kmc.model.model import Model
from kmc.model.parameters import load_parameters
from kmc.nuclei.capture import VacancyTransport
from kmc.nuclei.surface import Surface
from kmc.systems.electrode.engine import Engine

PARAMETERS = load_parameters("li_li2s")
A_nm = PARAMETERS.value("lattice_parameter_A") / A_per_nm
SITE_nm3 = A_nm**3 / 2
VACANCY, LI = 0, 1
FACES = {"bcc_100": ((12, 12), 24), "bcc_110": ((12, 9), 24), "bcc_111": ((9, 6), 36)}
_EVENTS = 5_000  # of the shortest window
_LOG = 1_000_000


def periodic_model(lattice: str, cells, layers: int, temperature_K: float) -> Model:
    """Li without an interface, at true rates."""
    box = Lattice(lattice, cells, layers, "periodic", A_nm * A_per_nm)
    return Model(box, PARAMETERS, temperature_K)


def slab(model: Model) -> np.ndarray:
    """The lower half of the box full of Li: two flat walls."""
    occupancy = np.full(model.lattice.n_sites, VACANCY, dtype=np.uint8)
    occupancy[: model.lattice.n_sites // 2] = LI
    return occupancy


def hollow(model: Model, radius_nm: float, centres_nm) -> np.ndarray:
    """Li with spheres left out; their centres relative to the middle of the box."""
    lattice = model.lattice
    occupancy = np.full(lattice.n_sites, LI, dtype=np.uint8)
    for centre in centres_nm:
        from_centre = (lattice.positions_A - lattice.box_A / 2) / A_per_nm - np.asarray(centre)
        occupancy[(from_centre**2).sum(axis=1) < radius_nm**2] = VACANCY
    return occupancy


def largest_void(engine: Engine) -> np.ndarray:
    """Its sites."""
    labels, _ = voids.label(np.asarray(engine.occupancy()), engine.model.lattice)
    return np.flatnonzero(labels == 1 + np.argmax(np.bincount(labels)[1:]))


def sphere_radius_nm(count: float) -> float:
    """Radius of a sphere of so many sites."""
    return (3 * count * SITE_nm3 / (4 * math.pi)) ** (1 / 3)


def face_conductance(lattice: str, temperature_K: float, together: int = 4) -> Estimate:
    """M of a flat wall, 1/s, the mean of its two axes; 1e7 events, windows of `together` × 5000."""
    model = periodic_model(lattice, *FACES[lattice], temperature_K)
    engine = Engine(model, slab(model), np.random.default_rng(1), log_events=_LOG)
    engine.advance(events=1_000_000)
    sums, spans = _displacement_sums(engine, 2000)
    area_nm2 = 2 * model.lattice.area_A2 / A_per_nm**2
    return _conductance(model, sums[:, :2], spans, area_nm2, together)


def void_conductance(temperature_K: float, together=(16,)) -> tuple[list[Estimate], float]:
    """M of the wall of a round void of 1.76 nm, 1/s, for windows of so many times 5000 events, and
    the time of the shortest, s; 2e7 events."""
    cells = 16
    model = periodic_model("bcc_100", (cells, cells), 2 * cells, temperature_K)
    occupancy = hollow(model, 5 * A_nm, [(0.0, 0.0, 0.0)])
    engine = Engine(model, occupancy, np.random.default_rng(1), log_events=_LOG)
    engine.advance(events=2_000_000)
    sums, spans = _displacement_sums(engine, 4000)
    wall_nm2 = 2 / 3 * 4 * math.pi * sphere_radius_nm(len(largest_void(engine))) ** 2
    estimates = [_conductance(model, sums, spans, wall_nm2, n) for n in together]
    return estimates, float(spans.mean())


def _displacement_sums(engine: Engine, windows: int) -> tuple[np.ndarray, np.ndarray]:
    """P in consecutive windows of 5000 events, nm, and their lengths, s."""
    sums, spans = [], []
    while windows:
        n = min(windows, _LOG // _EVENTS)
        start = engine.time_s
        engine.state.counters[tables.LOGGED] = 0
        engine.advance(events=engine.count(tables.EVENTS) + n * _EVENTS)
        used = slice(n * _EVENTS)
        steps = hop_vectors_nm(
            engine.model.lattice, engine.log.site_from[used], engine.log.site_to[used]
        )
        sums.append(steps.reshape(n, _EVENTS, 3).sum(axis=1))
        ends = engine.log.time_s[_EVENTS - 1 : n * _EVENTS : _EVENTS]
        spans.append(np.diff(ends, prepend=start))
        windows -= n
    return np.concatenate(sums), np.concatenate(spans)


def _conductance(model: Model, sums, spans, wall_nm2: float, together: int) -> Estimate:
    """(⟨P²⟩/(2t) − what the metal conducts) for each area of wall, from windows joined."""
    n = len(sums) // together * together
    joined = sums[:n].reshape(-1, together, sums.shape[1]).sum(axis=1)
    squares = (joined**2).mean(axis=1)
    twice_s = 2 * spans[:n].sum()
    box_nm3 = math.prod(model.lattice.box_A) / A_per_nm**3
    surface = Surface(PARAMETERS, "bcc_100", model.temperature_K)
    metal = VacancyTransport(surface).bulk_conductance_per_cm_s * 1e-7 * box_nm3
    error = squares.std() * math.sqrt(len(squares)) / twice_s
    return Estimate((squares.sum() / twice_s - metal) / wall_nm2, error / wall_nm2, "1/s")


def gibbs_thomson_J_m2(temperature_K: float, samples: int = 400) -> Estimate:
    """γ from the vacancies that stand alone around a round void of 1.76 nm: ln S = 2γΩ/(R kT).

    S/c_eq⁻¹ is their number over that of atoms with no vacancy in two shells, exactly.
    """
    model = periodic_model("bcc_100", (16, 16), 32, temperature_K)
    engine = Engine(model, hollow(model, 5 * A_nm, [(0, 0, 0)]), np.random.default_rng(1))
    near = np.concatenate([model.lattice.neighbour_table(k) for k in (1, 2)], axis=1)
    lone, atoms = np.empty(samples), np.empty(samples)
    for k in range(samples):
        engine.advance(events=500_000 + (k + 1) * 20_000)
        full = np.asarray(engine.occupancy()) != VACANCY
        among_atoms = full[near].all(axis=1)
        lone[k], atoms[k] = (among_atoms & ~full).sum(), (among_atoms & full).sum()
    formation_eV = PARAMETERS.value("formation_energy_bulk_eV")
    log_S = math.log(lone.mean() / atoms.mean()) + formation_eV / (K_B_eV * temperature_K)
    blocks = [part.mean() for part in np.array_split(lone, 20)]
    error = np.std(blocks, ddof=1) / math.sqrt(20) / lone.mean()
    radius_nm = sphere_radius_nm(len(largest_void(engine)))
    scale = K_B_J * temperature_K * radius_nm * 1e-9 / (2 * SITE_nm3 * 1e-27)
    return Estimate(scale * log_S, scale * error, "J/m²")
