"""Diffusion and drift from the frames of a trajectory, with errors by block averaging.

Frames hold no atom identities and hence no tracer diffusion, but collective displacements: the sum
of the positions of all atoms of a species does not depend on their identities, apart from whole
edges of the periodic box. While that sum moves by much less than half an edge between frames, its
displacement is exact, and so are the Onsager coefficients of vacancies and Mg, the drift of Mg, and
the diffusion of vacancies that do not interact.

The box must be periodic, without a current. Displacements are in nm, times in s of the simulated
time: with raised barriers hops are slowed accordingly.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from kmc.common.formatting import plural
from kmc.common.late import pandas as pd
from kmc.common.units import A_per_nm
from kmc.errors import InputError
from kmc.files.frame_selection import chosen_frames, lattice_of
from kmc.files.reader import Trajectory
from kmc.model.hamiltonian import LI, MG, VACANCY
from kmc.model.lattice import Lattice

BLOCKS = 20
NAMES = {VACANCY: "vacancy", LI: "Li", MG: "Mg"}
CM2_PER_NM2 = 1e-14
_MAX_RMS_OF_EDGE = 1 / 6  # rms of a sum of positions between frames; folded at random it is 1/√12


@dataclass(frozen=True)
class Estimate:
    """A number with its standard error and unit; ``float()`` gives the number."""

    value: float
    error: float
    unit: str = "1"

    def __float__(self) -> float:
        return float(self.value)

    def __repr__(self) -> str:
        unit = "" if self.unit == "1" else f" {self.unit}"
        return f"{self.value:.4g} ± {self.error:.2g}{unit}"


def block_ratio(
    numerators: ArrayLike, denominators: ArrayLike, unit: str = "1", blocks: int = BLOCKS
) -> Estimate:
    """Ratio of two sums over consecutive intervals of a run, with its error.

    The intervals are grouped into at most `blocks` equal blocks; the scatter of the blocks about
    the ratio gives the error (delta method). Blocks must be longer than the correlation time.

    - `numerators`, `denominators` (array of float, shape (n,)): in the order of time.

    Examples
    --------
    >>> block_ratio([1.0, 2.0, 3.0, 2.0], [1.0, 1.0, 1.0, 1.0], "nm")
    2 ± 0.41 nm
    """
    numerators = np.asarray(numerators, dtype=float)
    denominators = np.broadcast_to(np.asarray(denominators, dtype=float), numerators.shape)
    total = denominators.sum()
    if not len(numerators) or total == 0:
        return Estimate(np.nan, np.nan, unit)
    # Blocks are longer than the memory of the hops; single values would give too small errors.
    edges = np.linspace(0, len(numerators), min(blocks, len(numerators)) + 1).astype(int)[:-1]
    above = np.add.reduceat(numerators, edges)
    below = np.add.reduceat(denominators, edges)
    ratio, n = above.sum() / total, len(above)
    if n < 2:
        return Estimate(float(ratio), np.nan, unit)
    # Delta method: each block is compared with what the ratio of all makes of its denominator.
    scatter = np.sqrt(n / (n - 1) * ((above - ratio * below) ** 2).sum())
    return Estimate(float(ratio), float(scatter / abs(total)), unit)


def onsager_of(
    moved: dict[int, np.ndarray], length: ArrayLike, lattice: Lattice, blocks: int
) -> tuple[dict[tuple[str, str], Estimate], Estimate]:
    """Onsager coefficients times kT by pair of species, 1/(nm s), and the drift of Mg.

    - `moved`: sum of the displacements of a species in each window, nm, shape (n, 3).
    - `length`: of the windows, s.

    ``L_ab = ⟨ΔR_a·ΔR_b⟩/(6 V t)``. The drift is ``−L(Mg, vacancy)/L(vacancy, vacancy)``: share of
    Mg in the atoms that drift against the vacancies; without preference it is the share of Mg in
    the metal. NaN without Mg.
    """
    # Per volume: twice the box has twice the product of displacements.
    volume_nm3 = float(np.prod(lattice.box_A)) / A_per_nm**3
    onsager = {}
    for a, one in moved.items():
        for b, other in moved.items():
            if a <= b:
                product = (one * other).sum(axis=1) / (6 * volume_nm3)
                value = block_ratio(product, length, "1/(nm s)", blocks)
                onsager[NAMES[a], NAMES[b]] = onsager[NAMES[b], NAMES[a]] = value
    drift = Estimate(np.nan, np.nan)
    if MG in moved:
        # A regression of Mg on vacancies: both have noise, but only their common part is drift.
        along = -(moved[MG] * moved[VACANCY]).sum(axis=1)
        drift = block_ratio(along, (moved[VACANCY] ** 2).sum(axis=1), blocks=blocks)
    return onsager, drift


class Transport:
    """Collective transport from frames; made by `transport`.

    For Onsager coefficients of a closed box at rest, from a file that is there already.

    - `table` (DataFrame): quantity, value, error, unit: the Onsager coefficients ``L_…`` (times
      kT), D_vacancy_ideal (collective, equals D of vacancies where they do not interact) and
      mg_drift (see `onsager_of`). NaN where the frames are too far apart.
    - `resolved`: whether frames are close enough for a species: the sum of its positions moves by
      less than a sixth of each edge of the box (root mean square).
    - `displacement_nm` (dict of str to ndarray, shape (n_frames − 1, 3)): sum of the displacements
      of all of a species between frames, within half an edge.
    - `interval_s`: ndarray, shape (n_frames − 1,).
    """

    def __init__(
        self,
        moved: dict[int, np.ndarray],
        interval_s: np.ndarray,
        lattice: Lattice,
        n_vacancies: int,
        blocks: int,
    ):
        box_nm = lattice.box_A / A_per_nm
        self.interval_s = interval_s
        self.displacement_nm = {NAMES[s]: values for s, values in moved.items()}
        self.resolved = {
            NAMES[s]: bool(np.all(np.sqrt((v**2).mean(axis=0)) <= _MAX_RMS_OF_EDGE * box_nm))
            for s, v in moved.items()
        }
        onsager, drift = onsager_of(moved, interval_s, lattice, blocks)
        rows, names = [], list(self.displacement_nm)
        for (a, b), value in onsager.items():
            if names.index(a) <= names.index(b):
                rows.append((f"L_{a}_{b}", value, self.resolved[a] and self.resolved[b]))
        squares = (moved[VACANCY] ** 2).sum(axis=1) * CM2_PER_NM2
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

    - `t`: of a periodic box without a current.
    - `frames`: all by default; leave out those before equilibrium.
    - `blocks`: blocks for the errors.

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
