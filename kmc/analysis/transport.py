"""Diffusion and drift, with errors by block averaging.

From two sources:

- `transport` reads a **trajectory**. Frames hold no atom identities and hence no tracer diffusion,
  but collective displacements: the sum of the positions of all atoms of a species does not depend
  on their identities, apart from whole edges of the periodic box. While that sum moves by much less
  than half an edge between frames, its displacement is exact, and so are the Onsager coefficients
  of vacancies and Mg, the drift of Mg, and the diffusion of vacancies that do not interact.
- `diffusion` reads an **event log** (``Engine(…, log_events=N)``) with every hop: mean square
  displacements, tracer diffusion, and correlation factor.

Both need a periodic box without a current. Displacements are in nm, times in s of the simulated
time: with raised barriers hops are slowed accordingly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kmc.analysis import displacements
from kmc.analysis.displacements import BLOCKS, Estimate, block_ratio
from kmc.common.formatting import figure, plural
from kmc.common.units import A_per_nm
from kmc.errors import InputError
from kmc.files.frame_selection import chosen_frames, lattice_of
from kmc.model.hamiltonian import LI, MG, VACANCY
from kmc.model.lattice import Lattice

if TYPE_CHECKING:
    import pandas as pd

    from kmc.files.reader import Trajectory

_NAMES = {VACANCY: "vacancy", LI: "Li", MG: "Mg"}
_cm2_per_nm2 = 1e-14
_MAX_RMS_OF_EDGE = 1 / 6  # rms of a sum of positions between frames; folded at random it is 1/√12


# --- from an event log ----------------------------------------------------------------------------


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
    import pandas as pd

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
    step = displacements.hop_vectors_nm(lattice, site_from, site_to)
    span = float(time_s[-1] - start_s)
    vacant = np.flatnonzero(occupancy == VACANCY)
    atom, before = displacements.identities(site_from, site_to)
    vacancy, _ = displacements.identities(site_to, site_from)
    n_atoms = {s: int(np.sum(occupancy == s)) for s in (LI, MG) if np.any(occupancy == s)}

    if vacancy_windows is None:
        vacancy_windows = max(2, len(step) // (25 * len(vacant)))
    window, length = displacements.windows_of(time_s, start_s, span, vacancy_windows)
    # A vacancy goes the other way than the atom that fills it.
    squares = displacements.squares_of(window, vacancy, -step, vacancy_windows)
    # ⟨R²⟩ = 6 D t, for each vacancy.
    D_vacancy = block_ratio(
        squares / (6 * len(vacant)) * _cm2_per_nm2, length, "cm²/s", max(blocks, 2)
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
        f[_NAMES[s]] = Estimate(ratio, slope * cosine.error)
        when, window_s = displacements.windows_of(time_s[own], start_s, span, tracer_windows)
        mine = when, atom[own], step[own]
        tracer = Estimate(0.0, np.nan, "cm²/s")
        if len(hops) and tracer_windows >= blocks:
            squares = displacements.squares_of(*mine, tracer_windows) / (6 * n) * _cm2_per_nm2
            tracer = block_ratio(squares, window_s, "cm²/s", blocks)
        elif len(hops):
            # With fewer windows than blocks the scatter between atoms is all there is to go by;
            # those that did not move scatter, too.
            squares = (displacements.displacements_of(*mine)[2] ** 2).sum(axis=1)
            squares, number = squares * _cm2_per_nm2 / 6, n * tracer_windows
            mean = squares.sum() / number
            variance = max(0.0, (squares**2).sum() / number - mean**2)
            error = float(np.sqrt(variance / number)) / window_s
            tracer = Estimate(mean / window_s, error, "cm²/s")
        D_tracer[_NAMES[s]] = tracer
    moved = {VACANCY: displacements.sums_of(window, -step, vacancy_windows)}
    for s in n_atoms:
        moved[s] = displacements.sums_of(window[species == s], step[species == s], vacancy_windows)
    onsager, drift = _onsager(moved, length, lattice, blocks)
    kinds = [("vacancy", np.ones(len(step), bool), vacancy, -1.0, len(vacant))]
    kinds += [(_NAMES[s], species == s, atom, 1.0, n) for s, n in n_atoms.items()]
    rows = []
    # A power of four, so that windows join into the next longer ones without a second pass.
    n_windows = 4 ** int(np.log(max(4, len(step) / 16)) / np.log(4))
    window, lag_s = displacements.windows_of(time_s, start_s, span, n_windows)
    steps = [(window[own], particle[own], sign * step[own]) for _, own, particle, sign, _ in kinds]
    while n_windows >= 1:
        row: dict[str, float] = {"lag_s": lag_s, "windows": n_windows}
        for k, (name, _, _, _, n) in enumerate(kinds):
            where, particle, vector = displacements.displacements_of(*steps[k])
            squares = np.bincount(where, weights=(vector**2).sum(axis=1), minlength=n_windows)
            msd = block_ratio(squares / n, 1.0)
            row[f"msd_{name}_nm2"], row[f"msd_{name}_error_nm2"] = msd.value, msd.error
            steps[k] = where // 4, particle, vector  # four windows make the next longer one
        rows.append(row)
        n_windows, lag_s = n_windows // 4, lag_s * 4
    table = pd.DataFrame(rows)
    return Diffusion(D_vacancy, D_tracer, f, onsager, drift, table, len(step), span)


def _onsager(moved, length, lattice, blocks):
    # Per volume: twice the box has twice the product of displacements.
    volume_nm3 = float(np.prod(lattice.box_A)) / A_per_nm**3
    onsager = {}
    for a, one in moved.items():
        for b, other in moved.items():
            if a <= b:
                product = (one * other).sum(axis=1) / (6 * volume_nm3)
                value = block_ratio(product, length, "1/(nm s)", blocks)
                onsager[_NAMES[a], _NAMES[b]] = onsager[_NAMES[b], _NAMES[a]] = value
    drift = Estimate(np.nan, np.nan)
    if MG in moved:
        # A regression of Mg on vacancies: both have noise, but only their common part is drift.
        along = -(moved[MG] * moved[VACANCY]).sum(axis=1)
        drift = block_ratio(along, (moved[VACANCY] ** 2).sum(axis=1), blocks=blocks)
    return onsager, drift


# --- from the frames of a trajectory --------------------------------------------------------------


class Transport:
    """Collective transport from frames; made by `transport`.

    For Onsager coefficients of a closed box at rest, from a file that is there already.

    Attributes
    ----------
    table : DataFrame
        quantity, value, error, unit: the Onsager coefficients ``L_…`` (times kT), D_vacancy_ideal
        (collective, equals D of vacancies where they do not interact) and mg_drift (see
        `Diffusion`). NaN where the frames are too far apart.
    resolved : dict of str to bool
        Whether frames are close enough for a species: the sum of its positions moves by less than a
        sixth of each edge of the box (root mean square).
    displacement_nm : dict of str to ndarray, shape (n_frames − 1, 3)
        Sum of the displacements of all of a species between frames, within half an edge.
    interval_s : ndarray, shape (n_frames − 1,)
    """

    def __init__(
        self,
        moved: dict[int, np.ndarray],
        interval_s: np.ndarray,
        lattice: Lattice,
        n_vacancies: int,
        blocks: int,
    ):
        import pandas as pd

        box_nm = lattice.box_A / A_per_nm
        self.interval_s = interval_s
        self.displacement_nm = {_NAMES[s]: values for s, values in moved.items()}
        self.resolved = {
            _NAMES[s]: bool(np.all(np.sqrt((v**2).mean(axis=0)) <= _MAX_RMS_OF_EDGE * box_nm))
            for s, v in moved.items()
        }
        onsager, drift = _onsager(moved, interval_s, lattice, blocks)
        rows, names = [], list(self.displacement_nm)
        for (a, b), value in onsager.items():
            if names.index(a) <= names.index(b):
                rows.append((f"L_{a}_{b}", value, self.resolved[a] and self.resolved[b]))
        squares = (moved[VACANCY] ** 2).sum(axis=1) * _cm2_per_nm2
        ideal = block_ratio(squares / (6 * n_vacancies), interval_s, "cm²/s", blocks)
        rows.append(("D_vacancy_ideal", ideal, self.resolved["vacancy"]))
        if MG in moved:
            rows.append(("mg_drift", drift, all(self.resolved.values())))
        self.table: pd.DataFrame = pd.DataFrame(
            [
                (name, e.value if known else np.nan, e.error if known else np.nan, e.unit)
                for name, e, known in rows
            ],
            columns=["quantity", "value", "error", "unit"],
        )

    def __repr__(self) -> str:
        lines = [f"Transport: {plural(len(self.interval_s), 'interval')} between frames"]
        for row in self.table.itertuples():
            text = "frames too far apart"
            if np.isfinite(row.value):
                text = f"{Estimate(row.value, row.error, row.unit)}"
            lines.append(f"  {row.quantity:<18} {text}")
        return "\n".join(lines)


def transport(
    t: Trajectory, frames: slice | Sequence[int] | None = None, *, blocks: int = BLOCKS
) -> Transport:
    """Collective transport from the frames of a run at rest.

    Frames hold no tracer diffusion, see above; `diffusion` computes it from an event log.

    Parameters
    ----------
    t : Trajectory
        Of a periodic box without a current.
    frames : slice or sequence of int, optional
        All by default; leave out those before equilibrium.
    blocks : int
        Blocks for the errors.

    Raises `InputError`: the box is open, has no vacancies, or fewer than three frames.
    """
    lattice = lattice_of(t, "kmc.transport")
    if t.has_interface:
        raise InputError(
            f"{t.path} has an interface: atoms leave the box",
            advice='Transport needs system.boundary = "periodic" and no current.',
        )
    indices = chosen_frames(t, frames)
    if len(indices) < 3:
        raise InputError(f"{plural(len(indices), 'frame')} of {t.path}: transport needs three")
    present: dict[int, int] = {}
    sums: dict[int, list[np.ndarray]] = {}
    for index in indices:
        occupancy = t.frames[index].occupancy
        counts = np.bincount(occupancy, minlength=3)
        if not present:
            # Li follows from the others: the sum over all sites does not move.
            present = {s: int(counts[s]) for s in (VACANCY, MG) if counts[s]}
            if VACANCY not in present:
                raise InputError(f"{t.path} has no vacancies: nothing moves")
        # Displacements of a sum are those of its members while nobody enters or leaves.
        if any(counts[s] != n for s, n in present.items()):
            raise InputError(f"frame {index} of {t.path} holds other atoms than the first one")
        for s in present:
            sums.setdefault(s, []).append(lattice.positions_A[occupancy == s].sum(axis=0))
    moved = {}
    for s, totals in sums.items():
        # To the nearest image: a sum of positions is known up to whole edges alone.
        change = np.diff(np.array(totals), axis=0)
        moved[s] = (change - lattice.box_A * np.round(change / lattice.box_A)) / A_per_nm
    interval_s = np.diff(t.frames.time_s[indices])
    return Transport(moved, interval_s, lattice, present[VACANCY], blocks)
