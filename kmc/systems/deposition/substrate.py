"""Substrate of a deposition: one surface, or islands of another on it."""

from __future__ import annotations

import numpy as np

from kmc.common.units import A_per_nm
from kmc.model.adatoms import check_same_metal, spacing_A
from kmc.model.parameters import ParameterSet, load_parameters
from kmc.runfile.run_file import RunFile

_MAX_ISLANDS = 100_000


def sets_of(run: RunFile) -> list[ParameterSet]:
    """Parameter sets of the substrate and, where there are any, of its islands."""
    sets = [run.parameter_set()]
    if run.deposition.island_params is not None:
        shared = {key: v for key, v in run.parameters.items() if key.startswith(_METAL)}
        sets.append(load_parameters(run.deposition.island_params, shared))
    check_same_metal(sets)
    return sets


# [parameters] of a run changes the metal on both, and the surface energies of the substrate only.
_METAL = ("lattice", "attempt", "formation", "cohesive", "metal_surface", "step")


def draw(run: RunFile, sets: list[ParameterSet], rng: np.random.Generator) -> np.ndarray:
    """Surface of each column: 0 the substrate, 1 islands; uint8 [y, x].

    Islands are discs with diameters drawn evenly between the two given, at places drawn evenly,
    until they cover their share; sites of the last one beyond it are left out, farthest first.
    """
    nx, ny = run.system.size[:2]
    surface = np.zeros((ny, nx), dtype=np.uint8)
    if len(sets) == 1:
        return surface
    spacing_nm = spacing_A(sets[0]) / A_per_nm
    wanted = round(run.deposition.island_fraction * nx * ny)
    y, x = np.mgrid[:ny, :nx]
    for _ in range(_MAX_ISLANDS):
        missing = wanted - int(surface.sum())
        if missing <= 0:
            break
        cx, cy = rng.random() * nx, rng.random() * ny
        radius = rng.uniform(*run.deposition.island_diameter_nm) / 2 / spacing_nm
        dx, dy = np.abs(x - cx), np.abs(y - cy)
        distance = np.hypot(np.minimum(dx, nx - dx), np.minimum(dy, ny - dy))
        new = np.flatnonzero((distance <= radius) & (surface == 0))
        nearest = new[np.argsort(distance.ravel()[new], kind="stable")][:missing]
        surface.ravel()[nearest] = 1
    return surface
