"""Shape of a deposit: coverage, height, roughness, islands, and what is not connected."""

import numpy as np

from kmc.analysis.shapes import labels


def heights(occupied: np.ndarray) -> np.ndarray:
    """Layers up to the highest atom of each column, [y, x], from [z, y, x]."""
    layers = np.arange(1, occupied.shape[0] + 1)[:, None, None]
    return (layers * (occupied > 0)).max(axis=0)


def connected(occupied: np.ndarray) -> np.ndarray:
    """Atoms from which neighbours lead to the substrate, bool [z, y, x]."""
    parts, n = labels(occupied > 0, (1, 2))
    held = np.zeros(n + 1, dtype=bool)
    # The lowest layer stands on the substrate; component 0 is what is no metal.
    held[parts[0]] = True
    held[0] = False
    return held[parts]


def describe(occupied: np.ndarray, spacing_nm: float) -> dict[str, float]:
    """Numbers of a deposit, those of `/samples` that follow from the atoms alone.

    - `occupied`: array, [z, y, x].
    - `spacing_nm`: edge of a cell.
    """
    top = heights(occupied)
    parts, islands = labels(top > 0)
    columns = top.size
    sizes = np.bincount(parts.ravel(), minlength=islands + 1)[1:]
    covered = int(sizes.sum())
    atoms = int(np.count_nonzero(occupied))
    dead = atoms - int(connected(occupied).sum()) if atoms else 0
    nan = float("nan")
    # Coverage is what touches the substrate; height, roughness and islands are seen from above.
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
