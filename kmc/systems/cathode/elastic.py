"""Stress equilibrium of a square lattice of sites in plane strain: one bilinear element a site.

Site (i, j) is the unit square between the nodes (i, j) and (i+1, j+1); lengths are in sites. The
walls of the square are symmetry planes: no displacement normal to them, no shear. The area strain
of a site is its mean over the site (selective reduced integration), so that the area strains of all
sites add up to zero exactly.

With the area strain t = ε_xx + ε_yy, the stress in the plane is

    σ = K (t − o) I + 2 G dev (ε − ε_cr),     K = E / (2 (1 + ν)(1 − 2ν)),   G = E / (2 (1 + ν)),

where o is the area strain that the site would have without stress, and ε_cr its creep strain, which
changes the shape and not the area.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.sparse import csc_matrix
from scipy.sparse.linalg import splu

from kmc.errors import InputError


class Field(NamedTuple):
    """Elastic field at the middle of each site, arrays of shape (edge, edge).

    Attributes
    ----------
    area_strain : ndarray
        t = ε_xx + ε_yy.
    difference : ndarray
        ε_xx − ε_yy.
    shear : ndarray
        γ_xy = 2 ε_xy.
    """

    area_strain: np.ndarray
    difference: np.ndarray
    shear: np.ndarray


def area_modulus_GPa(modulus_GPa, poisson_ratio):
    """K = λ + G of plane strain: mean stress in the plane over area strain."""
    return modulus_GPa / (2.0 * (1.0 + poisson_ratio) * (1.0 - 2.0 * poisson_ratio))


def shear_modulus_GPa(modulus_GPa, poisson_ratio):
    """G = E / 2(1 + ν)."""
    return modulus_GPa / (2.0 * (1.0 + poisson_ratio))


class PlaneStrain:
    """Finite elements on edge × edge sites between symmetry planes.

    Parameters
    ----------
    edge : int
        Sites along an edge, at least 2.
    """

    def __init__(self, edge: int):
        if edge < 2:
            raise InputError(
                f"a lattice of {edge} × {edge} sites is too small", advice="At least 2."
            )
        self.edge = edge
        node = np.arange((edge + 1) ** 2).reshape(edge + 1, edge + 1)
        corners = np.stack([node[:-1, :-1], node[1:, :-1], node[1:, 1:], node[:-1, 1:]], axis=-1)
        corners = corners.reshape(-1, 4)
        self._degrees = np.stack([2 * corners, 2 * corners + 1], axis=2).reshape(-1, 8)
        inner = np.ones((edge + 1, edge + 1, 2), dtype=bool)
        inner[[0, -1], :, 0] = False
        inner[:, [0, -1], 1] = False
        free = inner.ravel()
        self._free = np.flatnonzero(free)
        number = np.full(free.size, -1)
        number[self._free] = np.arange(len(self._free))
        rows = number[np.repeat(self._degrees, 8, axis=1)].ravel()
        columns = number[np.tile(self._degrees, (1, 8))].ravel()
        self._kept = (rows >= 0) & (columns >= 0)
        n = len(self._free)
        keys, self._slot = np.unique(
            columns[self._kept] * n + rows[self._kept], return_inverse=True
        )
        self._indices = (keys % n).astype(np.int32)
        self._starts = np.searchsorted(keys // n, np.arange(n + 1)).astype(np.int32)
        middle = _gradient(0.5, 0.5)
        self._divergence = middle[0] + middle[1]
        self._difference = middle[0] - middle[1]
        self._shear = middle[2]
        self._stiffness_area = np.outer(self._divergence, self._divergence)
        deviator = np.array([[1.0, -1.0, 0.0], [-1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
        offset = 0.5 / np.sqrt(3.0)
        points = [_gradient(0.5 + a * offset, 0.5 + b * offset) for a in (-1, 1) for b in (-1, 1)]
        self._stiffness_shear = sum(g.T @ deviator @ g for g in points) / 4.0

    def factorize(self, area_modulus_GPa: np.ndarray, shear_modulus_GPa: np.ndarray) -> None:
        """Set the moduli K and G of the sites, arrays of shape (edge, edge), all above 0."""
        K, G = area_modulus_GPa.reshape(-1), shear_modulus_GPa.reshape(-1)
        blocks = K[:, None, None] * self._stiffness_area + G[:, None, None] * self._stiffness_shear
        data = np.bincount(self._slot, blocks.ravel()[self._kept], minlength=len(self._indices))
        n = len(self._free)
        self._factors = splu(
            csc_matrix((data, self._indices, self._starts), shape=(n, n)),
            permc_spec="MMD_AT_PLUS_A",
            diag_pivot_thresh=0.0,
            options={"SymmetricMode": True},
        )
        self._K, self._G = K, G

    def solve(
        self,
        free_area: np.ndarray,
        creep_difference: np.ndarray | None = None,
        creep_shear: np.ndarray | None = None,
    ) -> Field:
        """Equilibrium between the walls, with the moduli of `factorize`.

        Parameters
        ----------
        free_area : ndarray, shape (edge, edge)
            o of each site.
        creep_difference, creep_shear : ndarray, shape (edge, edge), optional
            ε_xx − ε_yy and γ_xy of the creep strain; zero by default.
        """
        forces = (self._K * free_area.reshape(-1))[:, None] * self._divergence
        if creep_difference is not None:
            forces += (self._G * creep_difference.reshape(-1))[:, None] * self._difference
        if creep_shear is not None:
            forces += (self._G * creep_shear.reshape(-1))[:, None] * self._shear
        moved = np.zeros(2 * (self.edge + 1) ** 2)
        load = np.bincount(self._degrees.ravel(), forces.ravel(), minlength=len(moved))
        moved[self._free] = self._factors.solve(load[self._free])
        local = moved[self._degrees]
        shape = (self.edge, self.edge)
        return Field(
            (local @ self._divergence).reshape(shape),
            (local @ self._difference).reshape(shape),
            (local @ self._shear).reshape(shape),
        )


def _gradient(x: float, y: float) -> np.ndarray:
    """ε_xx, ε_yy and γ_xy of the 8 displacements of the corners, at a point of the site."""
    along_x = np.array([-(1 - y), 1 - y, y, -y])
    along_y = np.array([-(1 - x), -x, x, 1 - x])
    out = np.zeros((3, 8))
    out[0, ::2] = out[2, 1::2] = along_x
    out[1, 1::2] = out[2, ::2] = along_y
    return out
