"""Shape of a deposit: coverage, height, roughness, islands, and what is not connected."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components


def labels(there: np.ndarray, periodic: Sequence[int]) -> tuple[np.ndarray, int]:
    """Connected components by shared faces.

    - `there`: array of bool.
    - `periodic`: axes whose two ends are joined.

    Returns ndarray of int, int: number of the component of each place, from 1, and 0 elsewhere; how
    many there are.
    """
    found, n = ndimage.label(there)
    # ndimage knows no periodic edges: components on both sides of one are joined.
    first, last = [np.arange(n + 1)], [np.arange(n + 1)]
    for axis in periodic:
        a, b = np.take(found, 0, axis).ravel(), np.take(found, -1, axis).ravel()
        joined = (a > 0) & (b > 0)
        first.append(a[joined])
        last.append(b[joined])
    i, j = np.concatenate(first), np.concatenate(last)
    pairs = coo_matrix((np.ones(len(i)), (i, j)), shape=(n + 1, n + 1))
    count, component = connected_components(pairs, directed=False)
    return component[found] if n else found, count - 1


def heights(occupied: np.ndarray) -> np.ndarray:
    """Layers up to the highest atom of each column, [y, x], from [z, y, x]."""
    layers = np.arange(1, occupied.shape[0] + 1)[:, None, None]
    return (layers * (occupied > 0)).max(axis=0)


def connected(occupied: np.ndarray) -> np.ndarray:
    """Atoms from which neighbours lead to the substrate, bool [z, y, x]."""
    found, n = labels(occupied > 0, (1, 2))
    held = np.zeros(n + 1, dtype=bool)
    # The lowest layer stands on the substrate; component 0 is what is no metal.
    held[found[0]] = True
    held[0] = False
    return held[found]


def describe(occupied: np.ndarray, spacing_nm: float) -> dict[str, float]:
    """Numbers of a deposit, those of `/samples` that follow from the atoms alone.

    - `occupied`: array, [z, y, x].
    - `spacing_nm`: edge of a cell.
    """
    top = heights(occupied)
    found, islands = labels(top > 0, (0, 1))
    columns = top.size
    sizes = np.bincount(found.ravel(), minlength=islands + 1)[1:]
    covered = int(sizes.sum())
    atoms = int(np.count_nonzero(occupied))
    dead = atoms - int(connected(occupied).sum()) if atoms else 0
    nan = float("nan")
    return {
        "atoms": atoms,
        "coverage": float(np.count_nonzero(occupied[0])) / columns,
        "mean_height_layers": float(top.sum()) / columns,
        "island_height_layers": float(top.sum()) / covered if covered else nan,
        "max_height_layers": float(top.max()),
        "roughness_layers": float(top.std()),
        "islands": islands,
        "islands_per_um2": islands / (columns * spacing_nm**2 * 1e-6),
        "island_area_nm2": covered / islands * spacing_nm**2 if islands else nan,
        "largest_island_share": float(sizes.max()) / covered if islands else nan,
        "dead_Li": dead,
        "dead_fraction": dead / atoms if atoms else 0.0,
    }
