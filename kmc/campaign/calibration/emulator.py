"""Emulators: Gaussian processes that stand for the runs, one for each number that is compared.

A process is trained on the means over replicas, whose scatter is its noise (Andrianakis et al.,
PLoS Comput. Biol. 11, e1003968 (2015), 10.1371/journal.pcbi.1003968, for models with noise).
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import scipy

from kmc.campaign.calibration.data import Measurable
from kmc.campaign.calibration.design import Results
from kmc.errors import InputError, optional_library

FEWEST = 8  # settings with a number: fewer train no process
_NUGGET = 1e-6


def library() -> ModuleType:
    """scikit-learn's Gaussian processes; `InputError` where they are not installed."""
    with optional_library("scikit-learn", "calibrate"):
        from sklearn import gaussian_process
    return gaussian_process


def one_thread() -> Any:
    """A context in which linear algebra takes one core: on matrices of this size more cost time."""
    library()
    from threadpoolctl import threadpool_limits  # of scikit-learn

    return threadpool_limits(1)


@dataclass
class Emulator:
    """A trained process for one observable."""

    of: Measurable
    inputs: list[int]  # columns of the unit cube that it depends on
    scatter: float  # standard deviation of a single run about the mean of many
    # leave-one-out errors over their standard deviations, of the settings that are no bound
    errors: np.ndarray
    # factor by which the variance of the process was raised, as those errors were too large
    widening: float
    _trained: tuple

    def predict(self, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance of the mean over replicas at places of the unit cube, each (n,)."""
        mean, variance = _predicted(self._trained, np.atleast_2d(u)[:, self.inputs])
        return mean, variance * self.widening


def train(
    u: np.ndarray, results: Results, k: int, of: Measurable, inputs: list[int], seed: int
) -> Emulator:
    """The emulator of the k-th observable of one experiment at settings `u`, (settings, inputs).

    `inputs` are the columns of `u` that enter it, `seed` that of the search for length scales.
    `InputError` where fewer than 8 settings gave a number.
    """
    values, bounds = results.values[..., k], results.bounds[..., k]
    y = of.scaled(values)
    y[np.isnan(values)] = np.nan
    computed = ~np.isnan(y).all(axis=1)
    if computed.sum() < FEWEST:
        raise InputError(
            f"{of.name} is known at {computed.sum()} of {len(u)} settings; {FEWEST} are needed",
            advice="Look at the failures in the folder, narrow the priors, or raise "
            "calibrate.points.",
        )
    x, y, bound = (
        u[computed][:, inputs],
        y[computed],
        (bounds & ~np.isnan(values))[computed].any(axis=1),
    )
    count = (~np.isnan(y)).sum(axis=1)
    target = np.nanmean(y, axis=1)
    repeated = (count > 1) & ~bound
    # One scatter for all settings: two replicas each say little, hundreds together enough.
    degrees = (count[repeated] - 1).sum()
    squares = np.nansum((y[repeated] - target[repeated, None]) ** 2)
    scatter = float(np.sqrt(squares / degrees)) if degrees else 0.0
    noise = scatter**2 / count
    if bound.any() and (~bound).sum() >= FEWEST:
        # Schmee and Hahn (1979), 10.1080/00401706.1979.10489811: a bound is replaced by the mean
        # of what may lie above it by the process of the others, whose variance is its noise.
        seen = _fit(x[~bound], target[~bound], noise[~bound], not degrees, seed)
        mean, variance = _predicted(seen, x[bound])
        variance = variance + noise[bound]
        z = (target[bound] - mean) / np.sqrt(variance)
        # As a difference of logarithms: where the bound is far above, both are 0 as numbers.
        hazard = np.exp(scipy.stats.norm.logpdf(z) - scipy.stats.norm.logsf(z))
        target[bound] = mean + np.sqrt(variance) * hazard
        noise[bound] += variance * np.clip(1 + z * hazard - hazard**2, 1e-3, 1)
    trained = _fit(x, target, noise, not degrees, seed)
    # Leave-one-out: Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), 5.12.
    errors = (trained[2] / np.sqrt(np.diag(trained[3])))[~bound]
    if not degrees:
        scatter = float(np.sqrt(trained[6]) * trained[5])
    widening = max(1.0, float(np.mean(errors**2))) if len(errors) else 1.0
    return Emulator(of, inputs, scatter, errors, widening, trained)


@dataclass(frozen=True)
class _Matern:
    """Matérn covariance, ν = 5/2: scikit-learn's without its checks, for emcee's many calls."""

    amplitude: float
    lengths: np.ndarray

    def __call__(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        d = np.sqrt(5.0) * scipy.spatial.distance.cdist(a / self.lengths, b / self.lengths)
        return self.amplitude * (1 + d + d**2 / 3) * np.exp(-d)


def _fit(x: np.ndarray, y: np.ndarray, noise: np.ndarray, unknown: bool, seed: int) -> tuple:
    """Kernel, places, weights, inverse covariance, mean, scale and white noise of a process."""
    gp = library()
    k = gp.kernels
    # Priors of amplitude and length scale are for numbers of the order of one.
    mean, scale = float(y.mean()), float(y.std()) or 1.0
    kernel = k.ConstantKernel(1.0, (0.01, 100)) * k.Matern(
        np.full(x.shape[1], 0.5), (0.05, 50), nu=2.5
    )
    # Without replicas the scatter is a length scale's rival, and is fitted with them.
    white = k.WhiteKernel(0.05, (1e-6, 2.0) if unknown else (1e-6, 0.2))
    # alpha is the variance of each mean: known from the replicas, not fitted.
    model = gp.GaussianProcessRegressor(
        kernel + white, alpha=noise / scale**2 + _NUGGET, n_restarts_optimizer=0, random_state=seed
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a length scale at its bound: an input without effect
        model.fit(x, (y - mean) / scale)
    level = model.kernel_.k2.noise_level
    smooth = _Matern(float(model.kernel_.k1.k1.constant_value), model.kernel_.k1.k2.length_scale)
    covariance = smooth(x, x) + np.diag(noise / scale**2 + _NUGGET + level)
    inverse = np.linalg.inv(covariance)
    return smooth, x, inverse @ ((y - mean) / scale), inverse, mean, scale, level


def _predicted(trained: tuple, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    kernel, x, weights, inverse, mean, scale = trained[:6]
    # By the stored inverse: thousands of places a call, where scikit-learn would solve anew for
    # each.
    near = kernel(at, x)
    variance = kernel.amplitude - ((near @ inverse) * near).sum(axis=1)
    # An inverse loses digits where points crowd: the variance is kept above rounding.
    return mean + scale * (near @ weights), scale**2 * np.maximum(variance, _NUGGET)


class Emulators:
    """All emulators of a calibration, and where runs are refused (of `refusals`)."""

    def __init__(self, emulators: list[Emulator], possible: Sequence[tuple] = ()):
        self.emulators, self._possible = emulators, possible
        self.by_name = {e.of.name: e for e in emulators}

    def predict(self, of: Measurable, u: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        """Mean, its variance, and the scatter of a single run."""
        emulator = self.by_name[of.name]
        return *emulator.predict(u), emulator.scatter

    def runs(self, u: np.ndarray) -> np.ndarray:
        """Whether the nearest settings could be run: a refusal says that the inputs are not so."""
        out = np.ones(len(u), bool)
        for inputs, near, refused in self._possible:
            # Most of the nearest three: one failed run, as by a full disk, forbids no region.
            _, places = near.query(u[:, inputs], k=min(3, len(refused)))
            out &= np.atleast_2d(refused[places].T).mean(axis=0) < 0.5
        return out


def refusals(u: np.ndarray, results: Results, inputs: list[int]) -> list[tuple]:
    """What `Emulators.runs` needs of an experiment; empty where nothing was refused."""
    if not results.refused:
        return []
    refused = np.zeros(len(u), bool)
    refused[list(results.refused)] = True
    return [(inputs, scipy.spatial.cKDTree(u[:, inputs]), refused)]
