"""Profiles of Mg and vacancies by atomic layer, and their pair distribution.

profiles = kmc.profiles(t)
profiles.table        # by frame and layer, as a line scan across the interface shows it
profiles.interface    # by frame: coverage, enrichment, roughness
profiles.radial()     # vacancies around Mg in the last frame
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from kmc.analysis.voids import open_height_nm
from kmc.common.figures import drawn
from kmc.common.formatting import figure, plural
from kmc.common.late import pandas as pd
from kmc.common.progress import FrameProgress
from kmc.common.units import A_per_nm
from kmc.errors import InputError
from kmc.files.frame_selection import chosen_frames, each_frame, frame_columns, lattice_of
from kmc.files.reader import Trajectory
from kmc.model.hamiltonian import LI, MG, VACANCY
from kmc.model.lattice import Lattice


def profiles(
    t: Trajectory,
    frames: slice | Sequence[int] | None = None,
    *,
    bulk_layers: tuple[int, int] | None = None,
    progress: FrameProgress | None = None,
) -> "Profiles":
    """Composition of a trajectory by layer.

    - `frames`: frames to analyse; all by default.
    - `bulk_layers`: first and last layer of the bulk; the upper third of the box by default, all of
      it where there is no interface. The operando paper takes it 20 µm from the collector.
    - `progress`: called with the number of frames done and to do.

    Raises `InputError`: there are no such frames or layers.
    """
    lattice = lattice_of(t, "kmc.profiles")
    if bulk_layers is None:
        # Far from the interface, where its enrichment has decayed.
        first = lattice.layers - lattice.layers // 3 + 1 if t.has_interface else 1
        bulk_layers = (first, lattice.layers)
    if not 1 <= bulk_layers[0] <= bulk_layers[1] <= lattice.layers:
        raise InputError(
            f"bulk_layers = {bulk_layers}: the box has layers 1 to {lattice.layers}",
            advice="Give the first and the last layer, counted from the electrolyte.",
        )
    indices = chosen_frames(t, frames)
    counts = np.empty((len(indices), lattice.layers, 3), dtype=np.int64)
    heights = np.full((len(indices), 2), np.nan)
    for row, frame in enumerate(each_frame(t, indices, progress)):
        counts[row] = species_by_layer(frame.occupancy, lattice)
        if t.has_interface:
            height = open_height_nm(frame.occupancy, lattice)
            heights[row] = height.mean(), height.std()
    return Profiles(t, frame_columns(t, indices), counts, heights, bulk_layers)


def species_by_layer(occupancy: np.ndarray, lattice: Lattice) -> np.ndarray:
    """Vacancies, Li and Mg in each layer, int64 of shape (n_layers, 3)."""
    # One number for layer and species: a single pass over the sites counts both.
    place = (lattice.layer - 1) * 3 + np.asarray(occupancy)
    return np.bincount(place, minlength=3 * lattice.layers).reshape(lattice.layers, 3)


def vacancies_around_mg(
    occupancy: np.ndarray, lattice: Lattice, r_max_nm: float = 1.2
) -> "pd.DataFrame":
    """Pair distribution of Mg and vacancies, relative to random positions of the vacancies.

    The reference has the vacancies of each layer at random within that layer, so that neither their
    profile nor the edges of the box contribute: ``g = 1`` is no preference, below 1 Mg repels
    vacancies.

    - `occupancy` (ndarray of uint8, shape (n_sites,)): 0 vacancy, 1 Li, 2 Mg.
    - `r_max_nm`: largest distance.

    Returns one row for each distance of sites: r_nm, pairs, expected, g, g_error (of counting,
    √pairs over expected: vacancies in voids come together, so scatter is larger). g is NaN where
    nothing is expected.

    Raises `InputError`: `r_max_nm` is more than half of the box.
    """
    occupancy = np.asarray(occupancy)
    periodic = np.array([True, True, not lattice.has_interface])
    most_nm = float(lattice.box_A[periodic].min()) / 2 / A_per_nm
    if not 0 < r_max_nm <= most_nm:
        raise InputError(
            f"r_max_nm = {r_max_nm}: half of the box is {figure(most_nm, 'nm')}",
            advice="Distances beyond it are not unique.",
        )
    # Distances of bcc sites: in half cells their coordinates are all even or all odd.
    most = r_max_nm * A_per_nm / lattice.lattice_parameter_A
    reach = np.arange(-int(2 * most) - 1, int(2 * most) + 2)
    i, j, k = np.meshgrid(reach, reach, reach)
    bcc = (i % 2 == j % 2) & (j % 2 == k % 2)
    squares = np.unique((i**2 + j**2 + k**2)[bcc])
    radii = np.sqrt(squares[squares > 0]) / 2
    near = radii <= most * (1 + 1e-9)
    radii = (radii[near] if near.any() else radii[:1]) * lattice.lattice_parameter_A
    # Borders halfway between the distances that sites can have: no pair lies on a border.
    between = np.concatenate(([radii[0] / 2], (radii[:-1] + radii[1:]) / 2, [radii[-1] + 0.01]))
    points = lattice.positions_A
    ring = np.where(periodic, lattice.box_A, 0.0)

    def tree(sites):
        # Along periodic axes alone: the tree takes coordinates inside its box.
        return cKDTree(points[sites] % np.where(periodic, lattice.box_A, np.inf), boxsize=ring)

    mg, vacant = np.flatnonzero(occupancy == MG), np.flatnonzero(occupancy == VACANCY)
    pairs = expected = np.zeros(len(radii))
    if len(mg) and len(vacant):
        centre = tree(mg)
        # Random within each layer: otherwise the enrichment at the interface would look like a
        # preference of Mg for vacancies.
        share = species_by_layer(occupancy, lattice)[:, VACANCY] / lattice.sites_per_layer
        layers = np.flatnonzero(share > 0)
        where = np.flatnonzero(np.isin(lattice.layer - 1, layers))
        weights = share[lattice.layer[where] - 1]
        pairs = np.diff(centre.count_neighbors(tree(vacant), between))
        expected = np.diff(centre.count_neighbors(tree(where), between, weights=(None, weights)))
    with np.errstate(divide="ignore", invalid="ignore"):
        g = np.where(expected > 0, pairs / expected, np.nan)
        error = np.where(expected > 0, np.sqrt(pairs) / expected, np.nan)
    columns = {"r_nm": radii / A_per_nm, "pairs": pairs.astype(np.int64), "expected": expected}
    return pd.DataFrame(columns | {"g": g, "g_error": error})


class Profiles:
    """Composition by layer and frame; made by `profiles`.

    To compare with line scans of Mg, and to see in which layers vacancies are.

    - `table` (DataFrame): one row for each frame and layer: frame, capacity_monolayers,
      capacity_mAh_cm2, time_s, layer, z_nm, vacancy_fraction, mg_per_site and li_per_site (of all
      sites), mg_fraction (of the metal), and, over the bulk of the same frame, vacancy_relative,
      mg_relative (per site: the intensity of a line scan) and mg_enrichment (of the metal). NaN
      where bulk has none.
    - `interface` (DataFrame): one row for each frame: frame, time and capacities, mg_coverage,
      li_coverage and vacancy_coverage of L1 (of its sites), mg_enrichment_L1 (fraction in the metal
      of L1 over that of bulk), mg_excess_nm2 (Mg in the box beyond bulk composition of the metal
      there, for each nm² of interface), bulk_mg_fraction, bulk_vacancy_fraction, mean_gap_nm and
      roughness_nm (mean and root mean square of the height of the first metal over each L1 site).
      In a periodic box the columns of the interface are NaN.
    - `counts` (ndarray of int64, shape (n_frames, n_layers, 3)): vacancies, Li and Mg.
    - `bulk_layers`: (int, int).
    """

    def __init__(self, t, columns, counts, heights, bulk_layers):
        self._trajectory, self._columns = t, columns
        self.counts, self.bulk_layers = counts, tuple(bulk_layers)
        lattice = t.lattice
        n_frames, n_layers, _ = counts.shape
        per_site = counts / lattice.sites_per_layer
        with np.errstate(divide="ignore", invalid="ignore"):
            # Of the metal, not of the sites: vacancies in a void would look like a lack of Mg.
            in_metal = counts[..., MG] / (counts[..., LI] + counts[..., MG])
            bulk = slice(bulk_layers[0] - 1, bulk_layers[1])
            of_bulk = counts[:, bulk].sum(axis=1)
            bulk_site = of_bulk / of_bulk.sum(axis=1, keepdims=True)
            bulk_metal = of_bulk[:, MG] / (of_bulk[:, LI] + of_bulk[:, MG])
            relative = np.where(bulk_site > 0, 1.0, np.nan)[:, None] * per_site
            relative = relative / bulk_site[:, None]
            enrichment = in_metal / np.where(bulk_metal > 0, bulk_metal, np.nan)[:, None]
        table = {name: np.repeat(values, n_layers) for name, values in columns.items()}
        layers = np.arange(1, n_layers + 1)
        table["layer"] = np.tile(layers, n_frames)
        table["z_nm"] = (table["layer"] - 1) * lattice.layer_spacing_A / A_per_nm
        table["vacancy_fraction"] = per_site[..., VACANCY].ravel()
        table["mg_fraction"] = in_metal.ravel()
        table["mg_per_site"] = per_site[..., MG].ravel()
        table["li_per_site"] = per_site[..., LI].ravel()
        table["vacancy_relative"] = relative[..., VACANCY].ravel()
        table["mg_relative"] = relative[..., MG].ravel()
        table["mg_enrichment"] = enrichment.ravel()
        self.table: pd.DataFrame = pd.DataFrame(table)

        unknown = 1.0 if t.has_interface else np.nan
        area_nm2 = lattice.area_A2 / A_per_nm**2
        metal = counts[..., LI].sum(axis=1) + counts[..., MG].sum(axis=1)
        # Beyond bulk composition of the metal that is left: stripping Li alone is no excess.
        excess = counts[..., MG].sum(axis=1) - bulk_metal * metal
        self.interface: pd.DataFrame = pd.DataFrame(
            {
                **columns,
                "mg_coverage": unknown * per_site[:, 0, MG],
                "li_coverage": unknown * per_site[:, 0, LI],
                "vacancy_coverage": unknown * per_site[:, 0, VACANCY],
                "mg_enrichment_L1": unknown * enrichment[:, 0],
                "mg_excess_nm2": unknown * excess / area_nm2,
                "bulk_mg_fraction": bulk_metal,
                "bulk_vacancy_fraction": bulk_site[:, VACANCY],
                "mean_gap_nm": heights[:, 0],
                "roughness_nm": heights[:, 1],
            }
        )

    def radial(self, frame: int = -1, r_max_nm: float = 1.2) -> "pd.DataFrame":
        """Vacancies around Mg in one frame of the trajectory: see `vacancies_around_mg`.

        - `frame`: number of the frame in the trajectory; negative ones count from its end.
        """
        t = self._trajectory
        return vacancies_around_mg(t.frames[frame].occupancy, t.lattice, r_max_nm)

    def plot(self, **options: Any) -> Any:
        """Profiles at several times, coverage and roughness; a matplotlib figure."""
        return drawn("profiles_picture", [self], **options)

    def __len__(self) -> int:
        return len(self.counts)

    def __repr__(self) -> str:
        last = self.interface.iloc[-1]
        first, final = self.bulk_layers
        lines = [
            f"Profiles: {plural(len(self), 'frame')}, {plural(self.counts.shape[1], 'layer')}; "
            f"bulk is L{first} to L{final}"
        ]
        if np.isfinite(last["mg_coverage"]):
            lines.append(
                f"  at last  L1 holds {100 * last['li_coverage']:.1f} % metal, "
                f"{100 * last['mg_coverage']:.1f} % Mg, "
                f"{100 * last['vacancy_coverage']:.1f} % vacancies"
            )
            lines.append(f"  surface  roughness {figure(last['roughness_nm'], 'nm')}")
        lines.append(
            f"  bulk     {100 * last['bulk_mg_fraction']:.2f} % Mg of the metal, "
            f"vacancy fraction {figure(last['bulk_vacancy_fraction'])}"
        )
        lines.append("  see      .table, .interface, .radial()")
        return "\n".join(lines)
