"""Z_n: the statistical weight of clusters of n vacancies at an interface.

Z_n, per L1 site, is the sum of exp(−E/kT) over all clusters of n vacancies, each counted once
modulo translation, that are connected by shells 1 and 2 and have at least one vacancy in L1. E is
the energy of the model's Hamiltonian with the atoms taken out put on kinks of the bulk: a vacancy
costs E_f(layer), a pair of vacancies gains one bond. No rate enters.

Small n are enumerated; beyond, a walk that adds, removes and moves vacancies with a bias that makes
all sizes equally frequent (a flat histogram; Wang and Landau, 10.1103/PhysRevLett.86.2050) gives
the ratios Z_(n+1)/Z_n from the mean acceptance of growth and shrinking (Wang, Tay and Swendsen,
10.1103/PhysRevLett.82.476).

With energies of coordination a cluster of one layer turns into one of several at some size, and a
walk that has a bias for sizes alone does not find the way. There all pairs of size and number of
vacancies in L1 are made equally frequent, as far as they weigh something.
"""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kmc.common.progress import Progress, progress_for
from kmc.errors import InputError
from kmc.kernels import cluster_sites as kernel
from kmc.kernels import cluster_walk
from kmc.nuclei.surface import Surface, empty_cluster, root_site

ENUMERATED = 7  # 1.4 million clusters
SMALLEST_N_MAX, LARGEST_N_MAX = 8, 400
WALKERS = 12
STEPS_PER_SIZE = 80_000  # and walker; 5 million for n ≤ 60
_LEARNING_STEPS = 25_000  # for each size, of a walk that learns the bias, and of one that tests it
_MAX_ROUNDS = 8
_FIRST_FACTOR = 0.5  # ln f
# A walk with a bias for each size and footprint learns in rounds of so many steps for each pair.
_STEPS_PER_PAIR, _ROUNDS = 1500, 8
_LONGER = 4000  # steps for each pair of a walk that counts
_LEAST_kT = 12.0  # below the commonest footprint of a size: rarer ones are left rare
_CHUNKS = 4  # calls of the kernel for each walker, for the progress bar


@dataclass(frozen=True)
class ClusterFreeEnergies:
    """ln Z_n of clusters at one interface and temperature."""

    surface: Surface  #: parameter set, lattice, temperature and shares of Mg
    ln_Z: np.ndarray  #: from n = 1, per L1 site; shape (n_max,)
    #: Standard errors over independent walkers; 0 where enumerated; shape (n_max,).
    ln_Z_error: np.ndarray
    enumerated: int  #: largest n that was enumerated
    #: With its error, from the walks alone, anchored at n = 1, to be compared with the enumeration;
    #: shape (n_max,).
    sampled_ln_Z: np.ndarray
    sampled_error: np.ndarray
    footprint: np.ndarray  #: mean number of vacancies in L1; shape (n_max,)
    #: Mean number of layers above L1 of a vacancy of the cluster; shape (n_max,).
    mean_layer: np.ndarray
    #: Independent walks; then the steps of each, and the seed.
    walkers: int
    steps: int
    seed: int
    curves: np.ndarray | None = field(repr=False, compare=False, default=None)

    @property
    def n_max(self) -> int:
        return len(self.ln_Z)

    @property
    def n(self) -> np.ndarray:
        """1 … n_max."""
        return np.arange(1, self.n_max + 1)

    def facts(self) -> dict[str, Any]:
        """What they were computed for and how."""
        of_surface = ("lattice", "temperature_K", "mg_coverage", "mg_fraction")
        return {
            "parameters": self.surface.parameters.name,
            **{key: getattr(self.surface, key) for key in of_surface},
            **{key: getattr(self, key) for key in ("enumerated", "walkers", "steps", "seed")},
        }


def enumerate_weights(
    surface: Surface, largest: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Z, footprint, mean layer and number of clusters, from n = 1, by listing every cluster.

    Up to 7 vacancies take a tenth of a second, each further one thirteen times as long.
    """
    # Twice as wide: the root stays the first by number among all L1 sites in reach.
    geometry = surface.geometry(2 * largest + 2)
    cluster = empty_cluster(geometry, largest)
    sums, counts = np.zeros((largest + 1, 3)), np.zeros(largest + 1, dtype=np.int64)
    untried = np.zeros(kernel.N_NEAR * largest + 2, dtype=np.int64)
    scratch = untried, np.zeros((largest + 2, 2), dtype=np.int64), np.zeros(largest + 2)
    given = geometry, cluster, root_site(geometry), largest, sums, counts
    cluster_walk.enumerate_clusters(*given, *scratch)
    weight, foot, layers = sums[1:].T
    with np.errstate(invalid="ignore"):
        n = np.arange(1, largest + 1)
        return weight, foot / weight, layers / (weight * n), counts[1:]


class Walk:
    """One walk over clusters of 1 … n_max vacancies.

    It begins with the L1 site `start`, by default the middle of the plane. Its bias, and what it
    counts, go by the number of vacancies; with `by_footprint` by that and the number in L1.
    """

    def __init__(
        self,
        geometry: kernel.ClusterLattice,
        n_max: int,
        rng: np.random.Generator,
        start: int | None = None,
        by_footprint: bool = False,
    ):
        self.geometry, self.n_max, self.rng = geometry, n_max, rng
        self.stride = n_max + 2 if by_footprint else 0
        self.cluster = empty_cluster(geometry, n_max)
        cluster_walk.vacate(geometry, self.cluster, root_site(geometry) if start is None else start)
        self.forget()

    def forget(self) -> None:
        """Start the averages anew."""
        places = (self.n_max + 2) * max(self.stride, 1)
        self.visits = np.zeros(places, dtype=np.int64)
        self.chances, self.shapes = np.zeros((places, 4)), np.zeros((places, 2))

    def go(
        self, bias: np.ndarray, steps: int, learn: float = 0.0, flat: float | None = None
    ) -> None:
        """Take so many steps; `bias`, float64 by place, changes where `learn` > 0."""
        flat = 2.0 * self.n_max if flat is None else flat
        given = self.geometry, self.cluster, bias, self.stride, self.n_max, steps, learn, flat
        cluster_walk.walk(*given, self.rng, self.visits, self.chances, self.shapes)

    def ln_ratios(self, bias: np.ndarray) -> np.ndarray:
        """ln(Z_(n+1)/Z_n) for n = 1 … n_max − 1, from the flow between the sizes."""
        with np.errstate(divide="ignore", invalid="ignore"):
            weight, log = self.footprints(bias)
            visits = self.visits.reshape(weight.shape).sum(axis=0)
            # Of each size: that of its only footprint, or minus ln of the mean of exp(−bias).
            bias = -np.log(weight.sum(axis=0) / visits) - log
            chances = self.chances.reshape(len(weight), -1, 4).sum(axis=0)
            # Flows between neighbouring sizes balance: Z_n e^(b_n) up = Z_(n+1) e^(b_(n+1)) down.
            up = chances[1:-2, 0] / chances[1:-2, 1]
            down = chances[2:-1, 2] / chances[2:-1, 3]
            return np.log(up / down) - np.diff(bias[1:-1])

    def footprints(self, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Weights without the bias, and the logarithm of a factor on those of each size.

        Shapes (footprints, n_max + 2) and (n_max + 2,); without a bias by footprint all in one row.
        """
        rows = max(self.stride, 1)
        minus = -bias.reshape(rows, -1)
        log = np.where(self.visits.reshape(rows, -1) > 0, minus, -np.inf).max(axis=0)
        log = np.where(np.isfinite(log), log, 0.0)
        with np.errstate(over="ignore"):
            factor = np.exp(np.minimum(minus - log, 0.0))
        return self.visits.reshape(rows, -1) * factor, log

    def shape_sums(self, bias: np.ndarray) -> np.ndarray:
        """Sums of `shapes` and, in the last column, of visits, without the bias by footprint."""
        rows = max(self.stride, 1)
        weight, _ = self.footprints(bias)
        columns = np.column_stack((self.shapes, self.visits)).reshape(rows, -1, 3)
        each = np.maximum(self.visits.reshape(rows, -1), 1)
        return (columns * (weight / each)[:, :, None]).sum(axis=0)


def learn_bias(
    geometry: kernel.ClusterLattice,
    ln_Z: np.ndarray,
    n_max: int,
    rng: np.random.Generator,
    start: int | None = None,
    by_footprint: bool = False,
) -> np.ndarray:
    """A bias that makes all sizes about equally frequent, from a walk that learns it.

    `ln_Z` is what is known of it, from n = 1.

    Raises `InputError`: some size was never left upwards or downwards.
    """
    if by_footprint:
        return _learn_footprints(geometry, n_max, rng, start)
    # −ln Z_n where it is known, and on by a slope that falls as n^(−1/3), that of a cap.
    n_exact = len(ln_Z)
    bias = np.zeros(n_max + 2)
    bias[1 : n_exact + 1] = -ln_Z
    slope = (bias[n_exact] - bias[n_exact - 2]) / 2
    for n in range(n_exact + 1, n_max + 1):
        bias[n] = bias[n - 1] + slope * (n_exact / n) ** (1 / 3)
    walk = Walk(geometry, n_max, rng, start)
    for k in range(_MAX_ROUNDS):  # where a round was too short, the next is longer and gentler
        steps = (k + 1) * _LEARNING_STEPS * n_max
        walk.go(bias, steps, _FIRST_FACTOR / 2**k)
        walk.forget()
        walk.go(bias, steps)
        ratios = walk.ln_ratios(bias)
        if np.isfinite(ratios).all():
            bias[1:-1] = -np.concatenate(([0.0], np.cumsum(ratios)))
            return bias
    raise _unreached(n_max)


def _unreached(n_max: int) -> InputError:
    return InputError(
        f"clusters of {n_max} vacancies were not reached",
        advice="Give a smaller n_max, or a higher temperature (in K).",
    )


def _learn_footprints(
    geometry: kernel.ClusterLattice, n_max: int, rng: np.random.Generator, start: int | None
) -> np.ndarray:
    """The same for all pairs of size and footprint whose weight is not negligible.

    Wang and Landau's rounds, each with half the factor of the one before.
    """
    walk = Walk(geometry, n_max, rng, start, by_footprint=True)
    bias = np.zeros((n_max + 2) ** 2)
    for k in range(_ROUNDS):
        steps = 300_000 + _STEPS_PER_PAIR * n_max * (n_max + 1) // 2
        walk.go(bias, steps, _FIRST_FACTOR / 2**k, math.inf)
    table = np.where(bias < 0, bias, np.inf).reshape(n_max + 2, -1)
    lowest = table.min(axis=0)
    if not np.isfinite(lowest[1:-1]).all():
        raise _unreached(n_max)
    # Shapes that weigh nothing would take most of the time.
    capped = np.minimum(table, lowest + _LEAST_kT)
    return np.where(np.isfinite(capped), capped, 0.0).ravel()


def cluster_free_energies(
    surface: Surface,
    *,
    n_max: int = 60,
    seed: int = 1,
    walkers: int = WALKERS,
    steps: int | None = None,
    enumerated: int = ENUMERATED,
    by_footprint: bool | None = None,
    progress: bool | Progress = False,
) -> ClusterFreeEnergies:
    """ln Z_n for n = 1 … `n_max`.

    - `walkers`: independent walks; the error bars come from their scatter.
    - `steps`: of each walk; by default 80 000 for each size, or 4000 for each size and footprint.
    - `enumerated`: largest n that is enumerated.
    - `by_footprint`: whether pairs of size and footprint are sampled alike, or sizes alone; by
      default where there are energies of coordination.

    Raises `InputError`: a number out of range.
    """
    if not SMALLEST_N_MAX <= n_max <= LARGEST_N_MAX:
        raise InputError(
            f"n_max = {n_max} is out of range",
            advice=f"Give {SMALLEST_N_MAX} to {LARGEST_N_MAX} vacancies.",
        )
    if walkers < 2:
        raise InputError(f"walkers = {walkers}", advice="Two or more show the error.")
    if by_footprint is None:
        by_footprint = not surface.hamiltonian.is_pairwise
    if steps is None:
        longer = _LONGER * n_max * (n_max + 1) // 2 if by_footprint else 0
        steps = max(STEPS_PER_SIZE * n_max, longer)
    geometry = surface.geometry(n_max)
    weight, foot, layer, _ = enumerate_weights(surface, enumerated)
    exact = np.log(weight)
    learning = np.random.default_rng([seed, 0])
    bar = progress_for("clusters", progress)
    curves, shapes = [], np.zeros((n_max + 2, 3))
    with bar:
        bar.update(0.0, "learning the weights of the sizes")
        bias = learn_bias(geometry, exact, n_max, learning, by_footprint=by_footprint)
        for w in range(walkers):
            rng = np.random.default_rng([seed, w + 1])
            walk = Walk(geometry, n_max, rng, by_footprint=by_footprint)
            walk.go(bias, steps // 10)  # forget the start
            walk.forget()
            for chunk in range(_CHUNKS):
                share = (w + chunk / _CHUNKS) / walkers
                bar.update(share, f"walk {w + 1} of {walkers}")
                walk.go(bias, steps // _CHUNKS)
            curves.append(np.concatenate(([exact[0]], exact[0] + np.cumsum(walk.ln_ratios(bias)))))
            shapes += walk.shape_sums(bias)
    walks = np.array(curves)
    if not np.isfinite(walks).all():
        raise InputError(
            f"{n_max} vacancies were not reached by every walk",
            advice="Give a smaller n_max, or more steps.",
        )
    n_exact = len(exact)
    # Exact as far as it was enumerated; walks go on from there by their own ratios.
    beyond = walks[:, n_exact:] - walks[:, n_exact - 1 : n_exact] + exact[-1]
    visits = np.maximum(shapes[1:-1, 2], 1e-300)
    footprint, mean_layer = shapes[1:-1, 0] / visits, shapes[1:-1, 1] / visits
    mean_layer /= np.arange(1, n_max + 1)
    footprint[:n_exact], mean_layer[:n_exact] = foot, layer
    return ClusterFreeEnergies(
        surface=surface,
        ln_Z=np.concatenate((exact, beyond.mean(axis=0))),
        ln_Z_error=np.concatenate((np.zeros(n_exact), _error(beyond))),
        enumerated=n_exact,
        sampled_ln_Z=walks.mean(axis=0),
        sampled_error=_error(walks),
        footprint=footprint,
        mean_layer=mean_layer,
        walkers=walkers,
        steps=steps,
        seed=seed,
        curves=walks,
    )


def _error(curves: np.ndarray) -> np.ndarray:
    return curves.std(axis=0, ddof=1) / math.sqrt(len(curves))
