"""Voids: connected vacant sites.

Two vacant sites belong to one void when they are first or second neighbours, also over the periodic
boundaries. Fewer than ``min_size`` connected vacancies are no void: lone vacancies and small
clusters exist in any metal at equilibrium.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from kmc.analysis import shapes
from kmc.common.units import A_per_nm
from kmc.model.lattice import Lattice

DEFAULT_MIN_SIZE = 4
_SITES_AT_ONCE = 100_000  # whose neighbours are in memory at a time


def label(occupancy: np.ndarray, lattice: Lattice) -> tuple[np.ndarray, int]:
    """Number the connected groups of vacant sites.

    - `occupancy` (ndarray of uint8, shape (n_sites,)): 0 where a site is vacant.
    - `lattice`: the box.

    Returns `labels` (ndarray of int32, shape (n_sites,)): 0 for metal; else the number of the
    group, from 1 in the order of their first sites. Returns `n_groups`.
    """
    occupancy = _checked(occupancy, lattice)
    labels = np.zeros(lattice.n_sites, dtype=np.int32)
    vacant = np.flatnonzero(occupancy == 0)
    if not len(vacant):
        return labels, 0
    # A graph of the vacancies alone: a box of millions of sites holds some thousands.
    place = np.full(lattice.n_sites + 1, -1, dtype=np.int32)  # the last entry: no such site
    place[vacant] = np.arange(len(vacant), dtype=np.int32)
    starts, ends = [], []
    for first in range(0, len(vacant), _SITES_AT_ONCE):
        some = vacant[first : first + _SITES_AT_ONCE]
        for shell in (1, 2):
            neighbour = place[lattice.neighbours(some, shell)]
            row, direction = np.nonzero(neighbour > place[some][:, None])  # each pair once
            starts.append(place[some[row]])
            ends.append(neighbour[row, direction])
    start, end = np.concatenate(starts), np.concatenate(ends)
    graph = coo_array((np.ones(len(start), np.uint8), (start, end)), shape=(len(vacant),) * 2)
    n_groups, group = connected_components(graph, directed=False)
    _, first_member = np.unique(group, return_index=True)
    number = np.empty(n_groups, dtype=np.int32)
    # By first site, as the library numbers components in an order of its own.
    number[np.argsort(first_member)] = np.arange(1, n_groups + 1, dtype=np.int32)
    labels[vacant] = number[group]
    return labels, n_groups


@dataclass(frozen=True)
class Void:
    """One void.

    - `label`: its number in `Voids.labels`; 1 is the largest.
    - `volume`: vacant sites.
    - `contact_sites`: L1 sites without metal because of it.
    - `contact_area_nm2`: interface area without metal because of it, nm².
    - `width_nm`: diameter of the circle with the area of its widest atomic layer, nm.
    - `height_nm`: atomic layers it spans, times their distance, nm.
    - `extent_x_nm`, `extent_y_nm`: atomic planes it spans along x and y, times their mean distance,
      over the periodic boundaries; the edge of the box where it spans all planes.
    - `x_nm`, `y_nm`, `z_nm`: centroid, inside the box; z = 0 is L1.
    - `aspect_ratio`: height over width.
    - `wetting_angle_deg`: angle of the metal on the electrolyte, of the spherical cap with the
      void's volume and contact area; NaN where the void is too small for one, see
      `shapes.wetting_angle_deg`.
    """

    label: int
    volume: int
    volume_nm3: float
    contact_sites: int
    contact_area_nm2: float
    width_nm: float
    height_nm: float
    extent_x_nm: float
    extent_y_nm: float
    x_nm: float
    y_nm: float
    z_nm: float
    aspect_ratio: float
    wetting_angle_deg: float


_PLACE = ("x_nm", "y_nm", "z_nm")
# Attributes of one void that are arrays of `Voids`, by the same name.
_OF_ALL = tuple(f.name for f in fields(Void) if f.name not in ("label", *_PLACE))


class Voids:
    """The voids of one frame, the largest first; a sequence of `Void`.

    For a single moment, such as the occupancy of a `kmc.Simulation`; `kmc.voids` follows them in
    time.

    - `volume`, `contact_sites`: ndarray of int, shape (n_voids,).
    - `volume_nm3`, `contact_area_nm2`, `width_nm`, `height_nm`, `extent_x_nm`, `extent_y_nm`,
      `aspect_ratio`, `wetting_angle_deg` (ndarray of float, shape (n_voids,)): See `Void`.
    - `centroid_nm`: ndarray of float, shape (n_voids, 3).
    - `labels` (ndarray of int32, shape (n_sites,)): number of the void a site belongs to, from 1; 0
      for metal and for vacancies outside voids.
    - `min_size`: smallest number of sites of a void.
    - `n_vacancies`: vacant sites in the box.
    - `n_outside`: of them, those in no void.
    - `n_lone`: of those outside, the ones without a vacant neighbour.
    - `n_small_clusters`: connected groups of 2 to ``min_size − 1`` vacancies.
    """

    def __init__(
        self,
        labels: np.ndarray,
        lattice: Lattice,
        min_size: int,
        sites: np.ndarray,
        members: np.ndarray,
        n_vacancies: int,
        n_lone: int = 0,
        n_small_clusters: int = 0,
    ):
        self.labels, self.min_size, self.n_vacancies = labels, min_size, n_vacancies
        self.n_lone, self.n_small_clusters = n_lone, n_small_clusters
        self.n_outside = n_vacancies - len(sites)
        n_voids = int(members.max(initial=-1)) + 1
        area_nm2 = lattice.site_area_A2 / A_per_nm**2
        spacing_nm = lattice.layer_spacing_A / A_per_nm
        layer = sites // lattice.sites_per_layer
        # One count of void and layer together: a mask for each void would read all sites each time.
        in_layer = np.bincount(
            members * lattice.layers + layer, minlength=n_voids * lattice.layers
        ).reshape(n_voids, lattice.layers)
        self.volume = in_layer.sum(axis=1)
        self.volume_nm3 = self.volume * area_nm2 * spacing_nm
        has_interface = lattice.has_interface
        self.contact_sites = in_layer[:, 0] * int(has_interface)
        self.contact_area_nm2 = self.contact_sites * area_nm2
        # Of the widest layer: a void with an overhang is as wide as it is seen from above.
        self.width_nm = 2 * np.sqrt(in_layer.max(axis=1, initial=0) * area_nm2 / np.pi)
        self.height_nm = shapes.planes_spanned(in_layer > 0, not has_interface) * spacing_nm
        self.aspect_ratio = self.height_nm / self.width_nm
        place = shapes.place_in_box(sites, members, n_voids, in_layer, lattice)
        self.centroid_nm, self.extent_x_nm, self.extent_y_nm = place
        almost_nm = (lattice.box_A - lattice.lattice_parameter_A) / A_per_nm
        # A void that meets its own image has no rim all around.
        no_cap = (self.extent_x_nm > almost_nm[0]) | (self.extent_y_nm > almost_nm[1])
        no_cap |= in_layer[:, -1] > 0  # open to the reservoir
        self.wetting_angle_deg = shapes.wetting_angle_deg(
            self.volume_nm3, self.contact_area_nm2, self.contact_sites, spacing_nm, ~no_cap
        )

    def __len__(self) -> int:
        return len(self.volume)

    def __getitem__(self, index: int) -> Void:
        if not -len(self) <= index < len(self):
            raise IndexError(f"void {index}: there are {len(self)}")
        values = {name: getattr(self, name)[index].item() for name in _OF_ALL}
        values |= zip(_PLACE, self.centroid_nm[index].tolist(), strict=True)
        if math.isnan(values["wetting_angle_deg"]):
            # The one NaN of Python, which is identical to itself: so a void equals itself.
            values["wetting_angle_deg"] = math.nan
        return Void(label=index % len(self) + 1, **values)

    def __iter__(self) -> Iterator[Void]:
        return (self[index] for index in range(len(self)))

    def __repr__(self) -> str:
        outside = f"{self.n_outside} of {self.n_vacancies} vacancies outside voids"
        if not len(self):
            return f"Voids: none of {self.min_size} sites or more; {outside}"
        lines = [f"Voids: {len(self)} of {self.min_size} sites or more; {outside}"]
        lines.append("  label   sites  contact/nm²  width/nm  height/nm")
        for void in list(self)[:10]:
            lines.append(
                f"  {void.label:>5}  {void.volume:>6}  {void.contact_area_nm2:>11.2f}"
                f"  {void.width_nm:>8.2f}  {void.height_nm:>9.2f}"
            )
        if len(self) > 10:
            lines.append(f"  … and {len(self) - 10} smaller ones")
        return "\n".join(lines)


def find(occupancy: np.ndarray, lattice: Lattice, min_size: int = DEFAULT_MIN_SIZE) -> Voids:
    """Voids of one frame.

    - `occupancy` (ndarray of uint8, shape (n_sites,)): 0 where a site is vacant.
    - `lattice`: the box.
    - `min_size`: smallest number of connected vacant sites of a void.

    Examples
    --------
    Thirty vacancies together on the interface of a box of 8 × 8 cells:

    >>> box = Lattice("bcc_100", (8, 8), 8, "interface", 3.506)
    >>> occupancy = np.ones(box.n_sites, dtype=np.uint8)
    >>> middle = np.hypot(*(box.positions_A[:, :2] - 14.0).T) < 6.0
    >>> occupancy[middle & (box.layer <= 3)] = 0
    >>> void = find(occupancy, box)[0]
    >>> void.volume, void.contact_sites, round(void.width_nm, 2)
    (30, 9, 1.37)
    """
    groups, n_groups = label(occupancy, lattice)
    sizes = np.bincount(groups, minlength=n_groups + 1)
    sizes[0] = 0
    # Stable, so that voids of one size keep the order of their sites in every run.
    order = np.argsort(-sizes, kind="stable")
    order = order[sizes[order] >= max(1, min_size)]
    rank = np.zeros(n_groups + 1, dtype=np.int32)
    rank[order] = np.arange(1, len(order) + 1, dtype=np.int32)
    labels = rank[groups]
    sites = np.flatnonzero(labels)
    return Voids(
        labels,
        lattice,
        min_size,
        sites,
        labels[sites] - 1,
        n_vacancies=int(sizes.sum()),
        n_lone=int(np.sum(sizes == 1)) if min_size > 1 else 0,
        n_small_clusters=int(np.sum((sizes > 1) & (sizes < min_size))),
    )


def open_height_nm(occupancy: np.ndarray, lattice: Lattice) -> np.ndarray:
    """Height of the gap over each L1 site: distance to the first metal atom straight above it.

    - `occupancy` (ndarray of uint8, shape (n_sites,)): 0 where a site is vacant.
    - `lattice`: the box.

    Returns ndarray of float64, shape (sites_per_layer,): nm; 0 where L1 holds metal. The reservoir
    above the box ends every gap.
    """
    metal = _checked(occupancy, lattice).reshape(lattice.layers, -1) != 0
    # A site of the next layer lies beside the column, not above it.
    step = layers_to_same_place(lattice)
    column = metal[::step]  # sites straight above each other
    free = np.where(column.any(axis=0), column.argmax(axis=0), len(column))
    return free * step * lattice.layer_spacing_A / A_per_nm


def layers_to_same_place(lattice: Lattice) -> int:
    """Layers from a site to the next one straight above it: 2 on bcc (100), (110); 3 on (111)."""
    cell = lattice.unit_cell
    layers = cell.in_plane.reshape(cell.n_layer_types, cell.sites_per_layer_cell, 2)
    same = (step for step in range(1, len(layers)) if np.allclose(layers[step], layers[0]))
    return next(same, len(layers))


def _checked(occupancy: np.ndarray, lattice: Lattice) -> np.ndarray:
    occupancy = np.asarray(occupancy)
    if occupancy.shape != (lattice.n_sites,):
        raise ValueError(
            f"occupancy has shape {occupancy.shape}; the lattice has {lattice.n_sites} sites"
        )
    return occupancy
