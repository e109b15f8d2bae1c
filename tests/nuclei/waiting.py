"""Waiting times for the first supercritical void in the event loop, and what theory says of them.

The box is open to a reservoir of vacancies of fixed activity S above its top layer.
docs/nucleation.md has a part of the table.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import numpy as np
from overlap import RaisedTransport
from scipy.sparse import coo_array, diags_array
from scipy.sparse.linalg import cg

from kmc.analysis import voids
from kmc.kernels import tables
from kmc.model.lattice import Lattice
from kmc.model.model import Model
from kmc.model.parameters import load_parameters
from kmc.nuclei.clusters import ClusterFreeEnergies, Walk, cluster_free_energies
from kmc.nuclei.nucleation import NucleationModel
from kmc.nuclei.surface import Surface
from kmc.systems.electrode.engine import Engine

PAST_BARRIER_kT = 3.0  # how far the work of a void has fallen when it counts as supercritical
LOOKS_PER_WAIT = 400  # looks at the box in the expected waiting time
SHAPES = 8  # clusters of each size whose uptake is solved
N_MAX = 20


@dataclass(frozen=True)
class Box:
    """A box of the event loop without current, at a lowest barrier.

    The electrode is so short that the reservoir holds S in the metal above L2.
    """

    saddle_floor_eV: float
    cells: int = 20
    layers: int = 12
    temperature_K: float = 298.15
    electrode_um: float = 0.02

    @cached_property
    def model(self) -> Model:
        parameters = load_parameters("li_li2s")
        a_A = parameters.value("lattice_parameter_A")
        lattice = Lattice("bcc_100", (self.cells, self.cells), self.layers, "interface", a_A)
        # A box whose lone vacancies are not slowed is itself part of the way to the sink: here the
        # reservoir alone has the resistance of `electrode_um`.
        height_um = (self.layers - 3) * lattice.layer_spacing_A * 1e-4
        slowed = 0.2 * self.electrode_um > self.layers * lattice.layer_spacing_A * 1e-4
        return Model(
            lattice=lattice,
            parameters=parameters,
            temperature_K=self.temperature_K,
            electrode_thickness_um=self.electrode_um + (0.0 if slowed else height_um),
            saddle_floor_eV=self.saddle_floor_eV,
        )

    def engine(self, S: float, seed: int) -> Engine:
        """Perfect metal under a reservoir of activity S."""
        occupancy = np.ones(self.model.lattice.n_sites, dtype=np.uint8)
        engine = Engine(self.model, occupancy, np.random.default_rng(seed))
        engine.channels = engine.channels._replace(emission=S * engine.channels.emission)
        return engine

    def waiting_time_s(self, S: float, size: int, look_s: float, seed: int) -> float:
        """When the largest void first has `size` vacancies, to within `look_s`."""
        engine, end = self.engine(S, seed), 0.0
        while True:
            end += look_s
            engine.advance(time_s=end)
            if engine.count(tables.VACANCIES) < size:
                continue
            labels, _ = voids.label(engine.occupancy(), self.model.lattice)
            if np.bincount(labels)[1:].max() >= size:
                return end - look_s / 2


@lru_cache
def free_energies(temperature_K: float = 298.15) -> ClusterFreeEnergies:
    surface = Surface(load_parameters("li_li2s"), "bcc_100", temperature_K)
    return cluster_free_energies(surface, n_max=N_MAX, seed=1, walkers=4, steps=1_000_000)


@lru_cache
def shapes(temperature_K: float = 298.15, each: int = SHAPES) -> dict[int, list[np.ndarray]]:
    """Clusters in equilibrium, by size: layer and place along both vectors of L1."""
    free = free_energies(temperature_K)
    geometry = free.surface.geometry(N_MAX)
    side = 1 << (geometry.shift // 2)
    walk = Walk(geometry, N_MAX, np.random.default_rng(7))
    bias = np.zeros(N_MAX + 2)
    bias[1:-1] = -free.ln_Z
    found: dict[int, list[np.ndarray]] = {n: [] for n in range(1, N_MAX)}
    while min(len(s) for s in found.values()) < each:
        walk.go(bias, 500)
        n = int(walk.cluster.number[0])
        if n < N_MAX and len(found[n]) < each:
            sites = walk.cluster.vacant[:n]
            column = sites & ((1 << geometry.shift) - 1)
            layer = (sites >> geometry.shift) - geometry.base
            found[n].append(np.column_stack((layer, column % side, column // side)))
    return found


def uptake_Hz(box: Box, cluster: np.ndarray, along: float = 0.0, rate_Hz: float = 0.0) -> float:
    """Vacancies per second and unit of S that a cluster takes up in the box.

    Single vacancies walk on the sites that do not touch it, with the rates of the event loop, and
    are taken up by the first hop to a site that does. Between sites of energies E_i and E_j the
    equilibrium exchange is ν exp(−[saddle]/kT) at S = 1, and the reservoir's that of emission.

    Parameters
    ----------
    box : Box
    cluster : ndarray of int, shape (n, 3)
        Held still: layer and place along both vectors of L1.
    along : float
        Share by which the exchange between L1 and L2 is larger, for what else moves.
    rate_Hz : float
        0 for a steady state; s for uptake that grows as exp(s t), which the box's single vacancies
        feed as well, exp(−E_i/kT) of them at S = 1.
    """
    model, surface = box.model, free_energies(box.temperature_K).surface
    steps, kT = surface.steps, model.kT_ueV
    n, top = box.cells, box.layers
    shape = (top, n, n)
    layer, u, v = np.indices(shape).reshape(3, -1)
    energy = surface.formation_ueV[np.minimum(np.arange(top), 5)][layer]
    kind = np.where(layer < 3, layer + 1, 0)

    beside = np.zeros(shape, dtype=bool)
    for d_u, d_v, d_layer in [(0, 0, 0), *steps]:
        sites = cluster + np.array([d_layer, d_u, d_v])
        sites = sites[(sites[:, 0] >= 0) & (sites[:, 0] < top)]
        beside[sites[:, 0], sites[:, 1] % n, sites[:, 2] % n] = True
    beside = beside.reshape(-1)

    rows, columns, values = [], [], []
    out = np.zeros(beside.size)
    for d_u, d_v, d_layer in steps[:8]:
        to = layer + d_layer
        inside = (to >= 0) & (to < top) & ~beside
        i = np.flatnonzero(inside)
        j = np.ravel_multi_index((to[i], (u[i] + d_u) % n, (v[i] + d_v) % n), shape)
        floor = np.where(beside[j], model.floor_ueV, model.lone_floors_ueV[kind[i], kind[j]])
        # The hop that ends beside the cluster goes down far: its lower end is of no account.
        change = np.where(beside[j], np.minimum(0, energy[j] - energy[i]), energy[j] - energy[i])
        saddle = np.maximum(np.maximum(model.barriers_ueV[0] + change / 2, change), 0)
        saddle += np.maximum(0, floor - np.minimum(saddle, saddle - change))
        exchange = model.attempt_frequency_Hz * np.exp(-(energy[i] + saddle) / kT)
        exchange = np.where(np.minimum(layer[i], to[i]) == 0, 1 + along, 1.0) * exchange
        rows.append(i)
        columns.append(j)
        values.append(exchange)
        np.add.at(out, i, exchange)
    reservoir = np.where((layer == top - 1) & ~beside, model.emission_rate_per_site_Hz, 0.0)
    reservoir += np.where(beside, 0.0, rate_Hz * np.exp(-energy / kT))
    rows, columns, values = (np.concatenate(x) for x in (rows, columns, values))
    free = np.flatnonzero(~beside)
    place = np.full(beside.size, -1)
    place[free] = np.arange(free.size)
    taken = beside[columns]
    between = coo_array(
        (-values[~taken], (place[rows[~taken]], place[columns[~taken]])), (free.size,) * 2
    )
    diagonal = coo_array(((out + reservoir)[free], (np.arange(free.size),) * 2), (free.size,) * 2)
    scale = 1 / np.sqrt(out[free] + reservoir[free])
    scaled = diags_array(scale) @ (between + diagonal).tocsr() @ diags_array(scale)
    solved, failed = cg(scaled, scale * reservoir[free], x0=1 / scale, rtol=1e-8, maxiter=5000)
    assert failed == 0
    activity = scale * solved
    return float((values[taken] * activity[place[rows[taken]]]).sum())


@dataclass(frozen=True)
class BoxNucleation(NucleationModel):
    """Nucleation with the uptake of clusters in the box in place of that of a half-space."""

    box: Box = field(default_factory=lambda: Box(0.2))

    @cached_property
    def _uptake_Hz(self) -> np.ndarray:
        found = shapes(self.box.temperature_K).values()
        return np.array([np.mean([uptake_Hz(self.box, c) for c in s]) for s in found])

    def capture_per_s(self, n) -> np.ndarray:
        known = self._uptake_Hz
        return np.interp(n, np.arange(1, len(known) + 1), known)


@lru_cache
def theories(box: Box) -> dict[str, NucleationModel]:
    """Theory with the box's uptake, and with `kmc nucleation`'s half-space.

    In the half-space the metal has the rate of lone vacancies, or the raised one.
    """
    free, model = free_energies(box.temperature_K), box.model
    barrier = float(model.barriers_ueV[0])
    found: dict[str, NucleationModel] = {}
    for name, floor in (("lone", model.lone_floor_ueV), ("raised", model.floor_ueV)):
        slowed = math.exp(max(0.0, floor - barrier) / model.kT_ueV)
        transport = RaisedTransport(free.surface, floor_eV=model.floor_ueV * 1e-6, slowed_by=slowed)
        found[name] = NucleationModel(free, transport)
    found["box"] = BoxNucleation(free, found["raised"].transport, box=box)
    return found


def supercritical(theory: NucleationModel, S: float) -> int:
    """The size at which the work has fallen by `PAST_BARRIER_kT`."""
    n = np.arange(1, N_MAX)
    work = theory.work_kT(S, n)
    top = int(np.argmax(work))
    return int(n[top + np.argmax(work[top:] < work[top] - PAST_BARRIER_kT)])


def mean_wait_s(theory: NucleationModel, S: float, size: int, n_sites: int) -> float:
    """1/(I A), with voids taken away at `size`."""
    n = np.arange(1, size)
    resistance = np.exp(theory.work_kT(S, n)) / theory.beta_per_s(n, S)
    return float(resistance.sum() / n_sites)


@dataclass(frozen=True)
class Case:
    """Waiting times at one lowest barrier and S."""

    box: Box
    S: float
    runs: int
    first_seed: int = 1

    def expected_s(self) -> dict[str, float]:
        found = theories(self.box)
        size = supercritical(found["box"], self.S)
        sites = self.box.model.lattice.sites_per_layer
        return {name: mean_wait_s(t, self.S, size, sites) for name, t in found.items()}

    def waits_s(self) -> np.ndarray:
        found = theories(self.box)["box"]
        size = supercritical(found, self.S)
        look_s = mean_wait_s(found, self.S, size, self.box.model.lattice.sites_per_layer)
        look_s /= LOOKS_PER_WAIT
        seeds = range(self.first_seed, self.first_seed + self.runs)
        return np.array([self.box.waiting_time_s(self.S, size, look_s, s) for s in seeds])
