"""Diffusion from an event log (``Engine(…, log_events=N)``), which follows every atom hop by hop.

Mean square displacements, tracer diffusion and correlation factor, against which the collective
displacements of `kmc.analysis.transport` are compared. The box must be periodic, without a current.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from kmc.analysis.transport import BLOCKS, CM2_PER_NM2, NAMES, Estimate, block_ratio, onsager_of
from kmc.common.formatting import figure, plural
from kmc.common.units import A_per_nm
from kmc.errors import InputError
from kmc.model.hamiltonian import LI, MG, VACANCY
from kmc.model.lattice import Lattice


@dataclass(frozen=True, repr=False)
class Diffusion:
    """Diffusion from an event log; made by `diffusion`.

    For tracer diffusion and correlation factors, which need every hop; a file has frames alone
    (`Transport`).

    - `D_vacancy`: from the mean square displacement of vacancies, cm²/s.
    - `D_tracer`: from that of the atoms of a species, cm²/s.
    - `correlation_factor`: ``(1 + ⟨cos θ⟩)/(1 − ⟨cos θ⟩)``, θ between consecutive hops of one atom.
      Exact for one kind of atom and dilute vacancies on a cubic lattice, and for dilute Mg in Li,
      whose hops keep that symmetry; in a concentrated alloy compare with D_tracer.
    - `onsager` (dict of (str, str) to Estimate): ``L_ab = ⟨ΔR_a·ΔR_b⟩/(6 V t)`` times kT, of all
      displacements of a species together; 1/(nm s).
    - `mg_drift`: ``−L(Mg, vacancy)/L(vacancy, vacancy)``: share of Mg in the atoms that drift
      against the vacancies; without preference it is the share of Mg in the metal. NaN without Mg.
    - `msd`: by lag: lag_s, windows, and for vacancies and each species ``msd_…_nm2`` and its error
      ``msd_…_error_nm2``.
    """

    D_vacancy: Estimate
    D_tracer: dict[str, Estimate]
    correlation_factor: dict[str, Estimate]
    onsager: dict[tuple[str, str], Estimate]
    mg_drift: Estimate
    msd: pd.DataFrame
    hops: int
    time_s: float

    def __repr__(self) -> str:
        lines = [f"Diffusion: {plural(self.hops, 'hop')} in {figure(self.time_s, 's')}"]
        lines.append(f"  D vacancy  {self.D_vacancy}")
        for name, value in self.D_tracer.items():
            lines.append(f"  D {name:<8} {value}, f = {self.correlation_factor[name]}")
        if np.isfinite(self.mg_drift.value):
            lines.append(f"  Mg drift   {self.mg_drift}")
        lines.append("  see        .msd, .onsager")
        return "\n".join(lines)


def diffusion(
    site_from: np.ndarray,
    site_to: np.ndarray,
    species: np.ndarray,
    time_s: np.ndarray,
    occupancy: np.ndarray,
    lattice: Lattice,
    *,
    start_s: float = 0.0,
    blocks: int = BLOCKS,
    vacancy_windows: int | None = None,
    tracer_windows: int = 1,
) -> Diffusion:
    """Mean square displacements and diffusion coefficients from every hop of a run.

    - `site_from`, `site_to` (ndarray of int, shape (n_hops,)): sites of each hop of an atom.
    - `species` (ndarray of int, shape (n_hops,)): what hopped: 1 Li, 2 Mg.
    - `time_s` (ndarray of float, shape (n_hops,)): time of each hop, ascending.
    - `occupancy` (ndarray of uint8, shape (n_sites,)): before the first hop.
    - `start_s`: time of that occupancy.
    - `blocks`: blocks for the errors.
    - `vacancy_windows`: intervals over which the displacement of vacancies is measured; one for
      about 25 hops of each by default. Their hops are nearly uncorrelated, so short intervals have
      least noise.
    - `tracer_windows`: the same for atoms, whose hops are correlated as long as the vacancy stays
      near: with one interval D_tracer is that of the whole run, its error the scatter between
      atoms.

    Raises `InputError`: the log holds events other than hops, or does not belong to the occupancy.
    """
    site_from, site_to = np.asarray(site_from, np.int64), np.asarray(site_to, np.int64)
    occupancy, species = np.asarray(occupancy), np.asarray(species)
    time_s = np.asarray(time_s, dtype=float)
    if len({len(site_from), len(site_to), len(species), len(time_s)}) != 1:
        raise InputError("site_from, site_to, species and time_s differ in length")
    if not len(time_s) or not time_s[-1] > start_s:
        raise InputError("the log is empty", advice="Make an Engine with log_events > 0.")
    if occupancy.shape != (lattice.n_sites,):
        raise InputError(
            f"occupancy has shape {occupancy.shape}; the lattice has {lattice.n_sites} sites"
        )
    if min(site_from.min(), site_to.min()) < 0:
        raise InputError(
            "the log holds atoms that enter or leave the box",
            advice="Diffusion needs a closed box: periodic and without a current.",
        )
    # The first hop at a site, out or in, determines its initial species.
    sites = np.concatenate((site_from, site_to))
    # Departures and arrivals in one list, so that the first of either decides.
    when = np.tile(np.arange(len(species)), 2)
    order = np.lexsort((when, sites))
    first = order[np.unique(sites[order], return_index=True)[1]]
    departs = first < len(species)
    started = np.where(departs, species[first % len(species)], VACANCY)
    if np.any(occupancy[sites[first]] != started) or not np.any(occupancy == VACANCY):
        raise InputError(
            "the log does not start from this occupancy",
            advice="Give the occupancy before the first logged hop; a full log drops later events.",
        )
    step = hop_vectors_nm(lattice, site_from, site_to)
    span = float(time_s[-1] - start_s)
    vacant = np.flatnonzero(occupancy == VACANCY)
    atom, before = identities(site_from, site_to)
    vacancy, _ = identities(site_to, site_from)
    n_atoms = {s: int(np.sum(occupancy == s)) for s in (LI, MG) if np.any(occupancy == s)}

    if vacancy_windows is None:
        vacancy_windows = max(2, len(step) // (25 * len(vacant)))
    window, length = windows_of(time_s, start_s, span, vacancy_windows)
    # A vacancy goes the other way than the atom that fills it.
    squares = squares_of(window, vacancy, -step, vacancy_windows)
    # ⟨R²⟩ = 6 D t, for each vacancy.
    D_vacancy = block_ratio(
        squares / (6 * len(vacant)) * CM2_PER_NM2, length, "cm²/s", max(blocks, 2)
    )

    D_tracer, f = {}, {}
    for s, n in n_atoms.items():
        own = species == s
        # A particle's first hop counts with cos θ = 0: it has none before it.
        hops = np.flatnonzero(own)
        length2, along = (
            (step[hops] ** 2).sum(axis=1),
            (step[hops] * step[before[hops]]).sum(axis=1),
        )
        cosine = block_ratio(np.where(before[hops] >= 0, along / length2, 0.0), 1.0, blocks=blocks)
        # f = (1 + c)/(1 − c) has the derivative 2/(1 − c)², which carries the error over.
        slope = 2 / (1 - cosine.value) ** 2  # of f by the mean cosine
        ratio = (1 + cosine.value) / (1 - cosine.value)
        f[NAMES[s]] = Estimate(ratio, slope * cosine.error)
        when, window_s = windows_of(time_s[own], start_s, span, tracer_windows)
        mine = when, atom[own], step[own]
        tracer = Estimate(0.0, np.nan, "cm²/s")
        if len(hops) and tracer_windows >= blocks:
            squares = squares_of(*mine, tracer_windows) / (6 * n) * CM2_PER_NM2
            tracer = block_ratio(squares, window_s, "cm²/s", blocks)
        elif len(hops):
            # With fewer windows than blocks the scatter between atoms is all there is to go by;
            # those that did not move scatter, too.
            squares = (displacements_of(*mine)[2] ** 2).sum(axis=1)
            squares, number = squares * CM2_PER_NM2 / 6, n * tracer_windows
            mean = squares.sum() / number
            variance = max(0.0, (squares**2).sum() / number - mean**2)
            error = float(np.sqrt(variance / number)) / window_s
            tracer = Estimate(mean / window_s, error, "cm²/s")
        D_tracer[NAMES[s]] = tracer
    moved = {VACANCY: sums_of(window, -step, vacancy_windows)}
    for s in n_atoms:
        moved[s] = sums_of(window[species == s], step[species == s], vacancy_windows)
    onsager, drift = onsager_of(moved, length, lattice, blocks)
    kinds = [("vacancy", np.ones(len(step), bool), vacancy, -1.0, len(vacant))]
    kinds += [(NAMES[s], species == s, atom, 1.0, n) for s, n in n_atoms.items()]
    rows = []
    # A power of four, so that windows join into the next longer ones without a second pass.
    n_windows = 4 ** int(np.log(max(4, len(step) / 16)) / np.log(4))
    window, lag_s = windows_of(time_s, start_s, span, n_windows)
    steps = [(window[own], particle[own], sign * step[own]) for _, own, particle, sign, _ in kinds]
    while n_windows >= 1:
        row: dict[str, float] = {"lag_s": lag_s, "windows": n_windows}
        for k, (name, _, _, _, n) in enumerate(kinds):
            where, particle, vector = displacements_of(*steps[k])
            squares = np.bincount(where, weights=(vector**2).sum(axis=1), minlength=n_windows)
            msd = block_ratio(squares / n, 1.0)
            row[f"msd_{name}_nm2"], row[f"msd_{name}_error_nm2"] = msd.value, msd.error
            steps[k] = where // 4, particle, vector  # four windows make the next longer one
        rows.append(row)
        n_windows, lag_s = n_windows // 4, lag_s * 4
    table = pd.DataFrame(rows)
    return Diffusion(D_vacancy, D_tracer, f, onsager, drift, table, len(step), span)


def hop_vectors_nm(lattice: Lattice, site_from: np.ndarray, site_to: np.ndarray) -> np.ndarray:
    """Displacement of each hop, nm, float64 of shape (n, 3), over the periodic boundaries."""
    delta = lattice.positions_A[site_to] - lattice.positions_A[site_from]
    for axis in range(3 if lattice.boundary == "periodic" else 2):
        edge = lattice.box_A[axis]
        # A hop is shorter than half of an edge, so the nearest image is the true one.
        delta[:, axis] -= edge * np.round(delta[:, axis] / edge)
    return delta / A_per_nm


def identities(leaves: np.ndarray, arrives: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Assign hops to particles.

    A particle that leaves a site arrived there with the last hop to it, or was there initially.

    - `leaves`, `arrives` (ndarray of int, shape (n,)): sites of each hop in the order of time: from
      and to for atoms, to and from for vacancies.

    Returns `particle` (ndarray of int64, shape (n,)): first hop of the particle, which identifies
    it. Returns `before` (ndarray of int64, shape (n,)): its hop before this one; −1 for its first.
    """
    n = len(leaves)
    # By place, then by time: the last arrival before a departure is one binary search away.
    order = np.lexsort((np.arange(n), arrives))
    key = arrives[order] * np.int64(n + 1) + order  # ascending
    place = np.searchsorted(key, leaves * np.int64(n + 1) + np.arange(n)) - 1
    candidate = order[np.maximum(place, 0)]
    known = (place >= 0) & (arrives[candidate] == leaves)
    before = np.where(known, candidate, -1)
    particle = np.where(known, candidate, np.arange(n))
    while True:  # pointer doubling
        further = particle[particle]
        if np.array_equal(further, particle):
            return particle, before
        particle = further


def windows_of(time_s: np.ndarray, start_s: float, span: float, n: int) -> tuple[np.ndarray, float]:
    """Window of each hop, and the length of a window in s."""
    window = np.minimum(((time_s - start_s) / span * n).astype(np.int64), n - 1)
    return window, span / n


def displacements_of(window, particle, step):
    """Displacement of each particle in each window where it moves: windows, particles, vectors."""
    n = int(particle.max(initial=0)) + 1
    # One number for window and particle, so that one sum serves both.
    pair, inverse = np.unique(window * n + particle, return_inverse=True)
    return pair // n, pair % n, sums_of(inverse, step, len(pair))


def squares_of(
    window: np.ndarray, particle: np.ndarray, step: np.ndarray, n_windows: int
) -> np.ndarray:
    """Sum of square displacements of all particles, for each window."""
    where, _, moved = displacements_of(window, particle, step)
    return np.bincount(where, weights=(moved**2).sum(axis=1), minlength=n_windows)


def sums_of(window: np.ndarray, step: np.ndarray, n_windows: int) -> np.ndarray:
    """Sum of displacements in each window, shape (n_windows, 3)."""
    parts = [np.bincount(window, weights=step[:, k], minlength=n_windows) for k in range(3)]
    return np.stack(parts, axis=1)
