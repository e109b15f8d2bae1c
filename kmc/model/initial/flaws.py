"""Initial flaws of the interface: contactless patches and voids.

A patch is a disc of vacant L1 sites. A void is a spherical cap of vacant sites. Metal fills the box
from half a layer below L1, so that each site stands for its own volume: caps stand on that plane,
and the volume of their sites is that of the cap within the discreteness of the lattice.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from kmc.common.units import A_per_nm, nm2_per_um2
from kmc.model.lattice import Lattice

_METAL_ABOVE = 4  # layers left above a void: bonds reach three layers up on bcc (111)


@dataclass(frozen=True)
class Flaws:
    """Flaws of an initial interface."""

    patches_nm: np.ndarray  # shape (n, 3): x, y and radius of each patch
    voids_nm: np.ndarray  # shape (n, 4): x, y, radius and height of each void
    sites: np.ndarray  # int: initially vacant sites of the flaws, each once

    def resolved(self) -> dict:
        """The flaws as JSON-able data."""
        return {
            "patches": self.patches_nm.tolist(),
            "voids": self.voids_nm.tolist(),
            "vacant_sites": len(self.sites),
        }


def draw_flaws(interface: Any, lattice: Lattice, seed: np.random.SeedSequence) -> Flaws:
    """Draw the flaws of a run.

    The number of each kind is drawn from the Poisson distribution of its mean, density times area,
    and each position is uniform: flaws may overlap. Patches and voids have separate generators, so
    that neither depends on the number of the other.

    - `interface`: section [interface] of a run file.
    """
    own, found = interface, []
    void_nm = (own.void_radius_nm, own.void_height_nm)
    kinds = (
        (own.patch_density_per_um2, own.patches, (own.patch_radius_nm,)),
        (own.void_density_per_um2, own.voids, void_nm),
    )
    for child, (density_per_um2, given, shape) in zip(seed.spawn(2), kinds, strict=True):
        rng, edges = np.random.default_rng(child), lattice.box_A[:2] / A_per_nm
        places = rng.random((rng.poisson(expected(density_per_um2, lattice)), 2)) * edges
        drawn = [[*place, *(length or 0.0 for length in shape)] for place in places]
        rows = np.array([*(given or ()), *drawn], dtype=float)
        found.append(rows.reshape(-1, 2 + len(shape)))
    patches, caps = found
    sites = [disc_sites(lattice, *patch) for patch in patches]
    sites += [cap_sites(lattice, *cap) for cap in caps]
    return Flaws(patches, caps, np.unique(np.concatenate([np.empty(0, dtype=np.int64), *sites])))


def expected(density_per_um2: float | None, lattice: Lattice) -> float:
    """Mean number of flaws of this density in a box."""
    return (density_per_um2 or 0.0) * (lattice.area_A2 / A_per_nm**2) / nm2_per_um2


def disc_sites(lattice: Lattice, x_nm: float, y_nm: float, radius_nm: float) -> np.ndarray:
    """L1 sites within a disc, periodic in plane."""
    return np.flatnonzero(_in_plane_nm(lattice, 0, x_nm, y_nm) <= radius_nm)


def cap_sites(
    lattice: Lattice, x_nm: float, y_nm: float, radius_nm: float, height_nm: float
) -> np.ndarray:
    """Sites within a spherical cap that stands on the plane half a layer below L1."""
    # Radius of the sphere that a cap of this foot and height belongs to.
    sphere = (radius_nm**2 + height_nm**2) / (2 * height_nm)
    spacing = lattice.layer_spacing_A / A_per_nm
    by_layer = []
    for layer in range(min(lattice.layers, math.ceil(height_nm / spacing))):
        from_centre = (layer + 0.5) * spacing - (height_nm - sphere)
        if abs(from_centre) < sphere and (layer + 0.5) * spacing < height_nm:
            radius = math.sqrt(sphere**2 - from_centre**2)
            inside = np.flatnonzero(_in_plane_nm(lattice, layer, x_nm, y_nm) <= radius)
            by_layer.append(layer * lattice.sites_per_layer + inside)
    return np.concatenate([np.empty(0, dtype=np.int64), *by_layer])


def widest_nm(radius_nm: float, height_nm: float) -> float:
    """Largest radius of a cap: that of its sphere above half of the sphere."""
    if height_nm <= radius_nm:
        return radius_nm
    return (radius_nm**2 + height_nm**2) / (2 * height_nm)


def highest_nm(lattice: Lattice) -> float:
    """Greatest height of a void that leaves metal above it."""
    return (lattice.layers - _METAL_ABOVE) * lattice.layer_spacing_A / A_per_nm


def _in_plane_nm(lattice: Lattice, layer: int, x_nm: float, y_nm: float) -> np.ndarray:
    """In-plane distance of the sites of a layer from a place, over the periodic edges."""
    n, edges = lattice.sites_per_layer, lattice.box_A[:2] / A_per_nm
    delta = lattice.positions_A[layer * n : (layer + 1) * n, :2] / A_per_nm - (x_nm, y_nm)
    delta -= edges * np.round(delta / edges)
    return np.hypot(*delta.T)
