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

import numpy as np
from scipy.sparse import csc_matrix
from scipy.sparse.linalg import SuperLU, splu


def area_modulus_GPa(modulus_GPa, poisson_ratio):
    """K = λ + G of plane strain: mean stress in the plane over area strain."""
    return modulus_GPa / (2.0 * (1.0 + poisson_ratio) * (1.0 - 2.0 * poisson_ratio))


def shear_modulus_GPa(modulus_GPa, poisson_ratio):
    """G = E / 2(1 + ν)."""
    return modulus_GPa / (2.0 * (1.0 + poisson_ratio))


class PlaneStrain:
    """Finite elements on edge × edge sites between symmetry planes.

    - `edge`: sites along an edge, at least 2.
    - `pressed`: the wall at the largest x is a rigid plate that gives way to a pressure; fixed
      otherwise.
    """

    def __init__(self, edge: int, pressed: bool = False):
        self.edge = edge
        node = np.arange((edge + 1) ** 2).reshape(edge + 1, edge + 1)
        corners = np.stack([node[:-1, :-1], node[1:, :-1], node[1:, 1:], node[:-1, 1:]], axis=-1)
        corners = corners.reshape(-1, 4)
        inner = np.ones((edge + 1, edge + 1, 2), dtype=bool)
        inner[[0, -1], :, 0] = False
        inner[:, [0, -1], 1] = False
        n = int(inner.sum())
        order = 2 * _dissected(node)[:, None] + np.arange(2)
        number = np.full(inner.size, -1)
        number[order[inner.ravel()[order]]] = np.arange(n)
        number = number.reshape(inner.shape)
        if pressed:
            number[-1, :, 0] = n  # all nodes of the plate share one displacement
        # Numbers of the 8 displacements of a site; -1 of one that is fixed.
        degrees = np.stack([2 * corners, 2 * corners + 1], axis=2).reshape(-1, 8)
        self._degrees = number.ravel()[degrees]
        self.size = n + pressed
        rows = np.repeat(self._degrees, 8, axis=1).ravel()
        columns = np.tile(self._degrees, (1, 8)).ravel()
        self._kept = (rows >= 0) & (columns >= 0)
        # The pattern of the matrix is found once: an iteration fills in numbers alone.
        keys, self._slot = np.unique(
            columns[self._kept] * self.size + rows[self._kept], return_inverse=True
        )
        self._indices = (keys % self.size).astype(np.int32)
        self._starts = np.searchsorted(keys // self.size, np.arange(self.size + 1)).astype(np.int32)
        middle = _gradient(0.5, 0.5)
        modes = np.stack([middle[0] + middle[1], middle[0] - middle[1], middle[2]])
        offset = 0.5 / np.sqrt(3.0)
        points = [_gradient(0.5 + a * offset, 0.5 + b * offset) for a in (-1, 1) for b in (-1, 1)]
        deviator = np.array([[1.0, -1.0, 0.0], [-1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
        bending = sum(g.T @ deviator @ g for g in points) / 4.0
        bending -= np.outer(modes[1], modes[1]) + np.outer(modes[2], modes[2])
        # What a site resists beyond its mean strain: two modes of bending.
        values, vectors = np.linalg.eigh(bending)
        self._modes = np.concatenate([modes, (vectors * np.sqrt(values.clip(0))).T[-2:]])
        rows, columns = (1 + np.stack(np.triu_indices(4))).tolist()
        pairs = [(0, 0), *zip(rows, columns, strict=True)]
        blocks = [np.outer(self._modes[i], self._modes[k]) for i, k in pairs]
        self._blocks = np.stack([block + block.T * (i != k) for block, (i, k) in
                                 zip(blocks, pairs, strict=True)])  # fmt: skip

    def strains(self, moved: np.ndarray) -> np.ndarray:
        """t, ε_xx − ε_yy, γ_xy and two strains of bending, shape (5, edge, edge)."""
        local = np.where(self._degrees >= 0, moved[self._degrees], 0.0)
        return (self._modes @ local.T).reshape(5, self.edge, self.edge)

    def forces(self, stresses: np.ndarray) -> np.ndarray:
        """Forces on the displacements from stresses that go with `strains`."""
        local = stresses.reshape(5, -1).T @ self._modes
        there = self._degrees >= 0
        return np.bincount(self._degrees[there], local[there], minlength=self.size)

    def factorize(self, stiffness: np.ndarray) -> SuperLU:
        """Factors of the stiffness matrix.

        - `stiffness` (ndarray, shape (11, edge, edge)): k, and the upper triangle of the 4 × 4
          stiffness of the shears and bendings.
        """
        blocks = stiffness.reshape(11, -1).T @ self._blocks.reshape(11, -1)
        data = np.bincount(self._slot, blocks.ravel()[self._kept], minlength=len(self._indices))
        return splu(
            csc_matrix((data, self._indices, self._starts), shape=(self.size, self.size)),
            # Symmetric and positive definite: without pivots the order of the nodes is kept.
            permc_spec="NATURAL",
            diag_pivot_thresh=0.0,
            options={"SymmetricMode": True},
        )

    def plate(self, pressure_GPa: float) -> np.ndarray:
        """Forces of a pressure on the plate."""
        load = np.zeros(self.size)
        if pressure_GPa:
            load[-1] = -pressure_GPa * self.edge
        return load


def _dissected(node: np.ndarray) -> np.ndarray:
    """Numbers of a rectangle of nodes, halves first and the line between them last.

    Nested dissection (George, SIAM J. Numer. Anal. 10, 345 (1973)): half the time of the ordering
    that SuperLU finds by itself.
    """
    if min(node.shape) < 3:
        return node.ravel()
    if node.shape[0] < node.shape[1]:
        node = node.T
    half = len(node) // 2
    parts = (_dissected(node[:half]), _dissected(node[half + 1 :]), node[half])
    return np.concatenate(parts)


def _gradient(x: float, y: float) -> np.ndarray:
    """ε_xx, ε_yy and γ_xy of the 8 displacements of the corners, at a point of the site."""
    along_x = np.array([-(1 - y), 1 - y, y, -y])
    along_y = np.array([-(1 - x), -x, x, 1 - x])
    out = np.zeros((3, 8))
    out[0, ::2] = out[2, 1::2] = along_x
    out[1, 1::2] = out[2, ::2] = along_y
    return out
