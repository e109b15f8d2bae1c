"""Shapes of groups of sites in a periodic box: extents, centroids, wetting angle."""

from collections.abc import Sequence

import numpy as np
import scipy
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from kmc.common.units import A_per_nm
from kmc.model.lattice import Lattice

MIN_CONTACT_SITES = 20  # that a wetting angle needs: about 5 atoms across
_ANGLES = np.linspace(1e-3, np.pi - 1e-3, 4001)  # of the void, rad


def labels(there: np.ndarray, periodic: Sequence[int] = (0, 1)) -> tuple[np.ndarray, int]:
    """Connected components of the cells of a grid, by shared faces.

    - `there`: array of bool.
    - `periodic`: axes whose two ends are joined.

    Returns ndarray of int, int: number of the component of each cell, from 1, and 0 elsewhere; how
    many there are.
    """
    numbers, n = scipy.ndimage.label(there)
    # ndimage knows no periodic edges: numbers that meet across one are joined as a graph.
    seams = (numbers.take([0, -1], axis).swapaxes(0, axis).reshape(2, -1) for axis in periodic)
    pairs = np.concatenate([np.zeros((2, 0), int), *seams], axis=1)
    first, second = pairs[:, (pairs > 0).all(axis=0)]
    if not len(first):
        return numbers, n
    graph = coo_array((np.ones(len(first)), (first, second)), shape=(n + 1, n + 1))
    count, component = connected_components(graph, directed=False)
    return component[numbers], count - 1  # 0 is joined to nothing and stays first


def planes_spanned(present: np.ndarray, periodic: bool) -> np.ndarray:
    """Planes from the lowest to the highest one present, for each row of (n_groups, n_planes).

    In a periodic box all planes except the longest empty interval, over the boundary.
    """
    n_planes = present.shape[1]
    if periodic:
        return _span(present)[1]
    lowest = present.argmax(axis=1)
    highest = n_planes - 1 - present[:, ::-1].argmax(axis=1)
    return highest - lowest + 1


def _span(present: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First plane after the longest empty interval of a ring, and the number of planes spanned."""
    n_planes = present.shape[1]
    if not len(present):
        return np.zeros(0, dtype=int), np.zeros(0, dtype=int)
    # A ring laid out twice: the longest gap is then one interval wherever it lies.
    twice = np.concatenate((present, present), axis=1)
    place = np.where(twice, np.arange(2 * n_planes), -1)
    gap = np.arange(2 * n_planes) - np.maximum.accumulate(place, axis=1)
    longest = gap[:, n_planes:].argmax(axis=1)
    spanned = n_planes - gap[np.arange(len(gap)), n_planes + longest]
    return (longest + 1) % n_planes, spanned


def planes_A(lattice: Lattice, axis: int) -> np.ndarray:
    """Coordinates of the atomic planes along an axis, Å, ascending from 0 in the box.

    - `axis` ({0, 1, 2}): x, y or z.
    """
    if axis == 2:
        return np.arange(lattice.layers) * lattice.layer_spacing_A
    offsets = np.unique(np.round(lattice.unit_cell.in_plane[:, axis], 6))
    cells = np.arange(lattice.cells[axis])[:, None] * lattice.unit_cell.edges[axis]
    return (cells + offsets).ravel() * lattice.lattice_parameter_A


def place_in_box(
    sites: np.ndarray,
    members: np.ndarray,
    n_groups: int,
    in_layer: np.ndarray,
    lattice: Lattice,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Centroids and extents of groups of sites, over the periodic boundaries.

    A group is unwrapped at its longest empty interval and averaged; for one without an empty plane
    the centroid is the phase of its mean on the unit circle.

    - `sites`, `members` (ndarray of int, shape (n,)): sites and the group each belongs to, from 0.
    - `in_layer` (ndarray of int, shape (n_groups, n_layers)): sites of a group by layer.

    Returns `centroid_nm` (ndarray of float64, shape (n_groups, 3)). Returns `extent_x_nm`,
    `extent_y_nm` (ndarray of float64, shape (n_groups,)).
    """
    centroid, extents = np.zeros((n_groups, 3)), []
    for axis in (0, 1):
        planes = planes_A(lattice, axis)
        reach = lattice.box_A[axis]
        where = lattice.positions_A[sites, axis]
        # A little below the site, as a rounded coordinate may lie on either side of its plane.
        index = np.searchsorted(planes, where - 1e-3 * lattice.lattice_parameter_A)
        count = np.bincount(members * len(planes) + index, minlength=n_groups * len(planes))
        count = count.reshape(n_groups, len(planes))
        spanned = planes_spanned(count > 0, periodic=True)
        extents.append(spanned * reach / len(planes) / A_per_nm)
        centroid[:, axis] = _mean_on_ring(count, planes, reach)
    planes, reach = planes_A(lattice, 2), lattice.box_A[2]
    if not lattice.has_interface:
        # A box without an interface is periodic along z, too.
        centroid[:, 2] = _mean_on_ring(in_layer, planes, reach)
    elif n_groups:
        centroid[:, 2] = in_layer @ planes / in_layer.sum(axis=1)
    return centroid / A_per_nm, extents[0], extents[1]


def _mean_on_ring(count: np.ndarray, planes: np.ndarray, reach: float) -> np.ndarray:
    """Mean coordinate of each row of counts on a ring of the length `reach`."""
    if not len(count):
        return np.zeros(0)
    start, spanned = _span(count > 0)
    along = (planes[None, :] - planes[start][:, None]) % reach
    # Unwrapped from its first plane on, so that a void over the edge is averaged in one piece.
    mean = planes[start] + (count * along).sum(axis=1) / count.sum(axis=1)
    # Without an empty plane there is no place to unwrap at; the phase of the mean needs none.
    phase = np.angle(count @ np.exp(2j * np.pi * planes / reach))
    around = spanned == count.shape[1]
    mean[around] = phase[around] / (2 * np.pi) * reach
    return mean % reach


def wetting_angle_deg(
    volume_nm3: np.ndarray,
    contact_area_nm2: np.ndarray,
    contact_sites: np.ndarray,
    spacing_nm: float,
    is_cap: np.ndarray,
) -> np.ndarray:
    """Angle of the metal on the electrolyte around each void, through the metal.

    The void is taken for a spherical cap on the plane of L1, with its contact area as base and the
    volume above that plane, which is half a layer of the contact less than the volume of its sites.
    The cap with the angle α inside the void has ::

        V / A^(3/2) = (2 + cos α)(1 − cos α)² / (3 √π sin³ α)

    and the metal has θ = 180° − α, as in F(θ) = (2 − cos θ)(1 + cos θ)²/4 of a lens void. Voids of
    a lattice have facets: the angle distinguishes flat from tall, not Young angles of a degree.

    - `volume_nm3`, `contact_area_nm2`: ndarray of float, shape (n_voids,).
    - `contact_sites`: ndarray of int, shape (n_voids,).
    - `spacing_nm`: distance of atomic layers.
    - `is_cap` (ndarray of bool, shape (n_voids,)): false for voids that cannot be one, as those
      closed around the box.

    Returns ndarray of float64, shape (n_voids,): degrees; NaN for voids with fewer than
    `MIN_CONTACT_SITES` sites of contact and those that are no caps.
    """
    angle = np.full(len(volume_nm3), np.nan)
    use = is_cap & (contact_sites >= MIN_CONTACT_SITES)
    # A site of L1 reaches half a layer below the plane on which the cap stands.
    above = volume_nm3[use] - contact_area_nm2[use] * spacing_nm / 2
    ratio = above / contact_area_nm2[use] ** 1.5
    cosine = np.cos(_ANGLES)
    curve = (2 + cosine) * (1 - cosine) ** 2 / (3 * np.sqrt(np.pi) * np.sin(_ANGLES) ** 3)
    # The curve rises with the angle all the way, so that it can be read backwards.
    angle[use] = 180 - np.degrees(np.interp(ratio, curve, _ANGLES))
    return angle
