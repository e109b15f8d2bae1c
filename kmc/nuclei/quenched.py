"""Clusters among Mg atoms that do not move.

The mean of Z_n over all places and arrangements of Mg is exact without any arrangement: the mean of
a sum is the sum of the means, metals mix ideally, and so the mean Boltzmann factor of a shape is a
product over the sites it covers and those beside it (`Surface.geometry`). For the same reason it is
what Mg in equilibrium with the cluster gives at the same coverage.

That mean may rest on pockets of L1 so rare that a small piece of interface has none. Here the Mg of
such pieces is drawn and held, and clusters walk among it: they relocate through single vacancies,
which jump to any Li site of L1, so that pockets which no path through L1 joins are all met.
"""

from dataclasses import dataclass

import numpy as np

from kmc.common.progress import Progress, progress_for
from kmc.errors import InputError
from kmc.kernels.cluster_sites import ClusterLattice
from kmc.nuclei.clusters import ClusterFreeEnergies, Walk, learn_bias
from kmc.nuclei.surface import Surface

MAPS = 6
STEPS_PER_SIZE = 60_000
_SMALLEST_SIDE = 64  # of a map, L1 sites


@dataclass(frozen=True)
class QuenchedMaps:
    """ln Z_n on single arrangements of Mg.

    `ln_Z`, shape (maps, 2, n_max), is per L1 site and from n = 1: two walks on each map that began
    at different Li sites.
    """

    ln_Z: np.ndarray
    sites: int  #: of L1, of a map
    area_um2: float  #: of a map

    @property
    def mean(self) -> np.ndarray:
        """ln of the mean of Z_n over the maps, shape (n_max,)."""
        each = self.ln_Z.reshape(-1, self.ln_Z.shape[-1])
        top = each.max(axis=0)
        return top + np.log(np.exp(each - top).mean(axis=0))

    @property
    def typical(self) -> np.ndarray:
        """Mean of ln Z_n over the maps, shape (n_max,)."""
        return self.ln_Z.mean(axis=(0, 1))

    @property
    def spread(self) -> np.ndarray:
        """Standard deviation of ln Z_n from map to map, shape (n_max,)."""
        return self.ln_Z.mean(axis=1).std(axis=0, ddof=1)

    @property
    def start_difference(self) -> np.ndarray:
        """Root mean square difference of the two walks of a map, over √2, shape (n_max,)."""
        difference = self.ln_Z[:, 0] - self.ln_Z[:, 1]
        return np.sqrt((difference**2).mean(axis=0) / 2)


def quenched_maps(
    free: ClusterFreeEnergies,
    *,
    n_max: int | None = None,
    maps: int = MAPS,
    steps: int | None = None,
    seed: int = 1,
    progress: bool | Progress = False,
) -> QuenchedMaps:
    """Z_n on two or more single arrangements of Mg, drawn at random, by walks of so many steps.

    `free` is of the same interface with the mean over arrangements; its ln Z_n is the first bias.
    """
    surface: Surface = free.surface
    if maps < 2:
        raise InputError(f"maps = {maps}", advice="Two or more show how maps differ.")
    n_max = free.n_max if n_max is None else min(n_max, free.n_max)
    steps = STEPS_PER_SIZE * n_max if steps is None else steps
    wide = max(n_max, _SMALLEST_SIDE - 2)
    bar = progress_for("quenched Mg", progress)
    ln_Z = []
    with bar:
        for m in range(maps):
            geometry = surface.quenched_geometry(wide, np.random.default_rng([seed, 7, m]))
            bar.update(m / maps, f"arrangement {m + 1} of {maps}")
            ln_Z.append([_walk(geometry, free, n_max, steps, [seed, 8, m, k]) for k in (0, 1)])
    sites = 1 << geometry.shift
    area_um2 = sites * surface.site_area_cm2 * 1e8
    return QuenchedMaps(ln_Z=np.array(ln_Z), sites=sites, area_um2=area_um2)


def _walk(
    geometry: ClusterLattice, free: ClusterFreeEnergies, n_max: int, steps: int, seed: list[int]
) -> np.ndarray:
    """ln Z_n, n = 1 … n_max, of one walk that begins at a random Li site of L1."""
    rng = np.random.default_rng(seed)
    n_columns = 1 << geometry.shift
    first = geometry.base << geometry.shift
    weights = geometry.site[first : first + n_columns]
    lithium = np.flatnonzero(weights)
    if not lithium.size:
        raise InputError("no Li in L1 of this map", advice="Give a smaller mg_coverage.")
    start = first + int(rng.choice(lithium))
    many = not free.surface.hamiltonian.is_pairwise
    bias = learn_bias(geometry, free.ln_Z[:n_max], n_max, rng, start, many)
    walk = Walk(geometry, n_max, rng, first + int(rng.choice(lithium)), many)
    # A tenth to forget where it began, before anything is counted.
    walk.go(bias, steps // 10)
    walk.forget()
    walk.go(bias, steps)
    # Of single vacancies exactly, over the whole map: ratios then lead to larger clusters.
    single = np.log(weights.sum() / n_columns)
    return single + np.concatenate(([0.0], np.cumsum(walk.ln_ratios(bias))))
