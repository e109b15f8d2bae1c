"""The posterior of the inputs on the emulators, which inputs matter, and what to measure next."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kmc.campaign.calibration.data import Datum, discrepancy_of
from kmc.campaign.calibration.emulator import Emulators
from kmc.campaign.calibration.history import distances
from kmc.campaign.calibration.problem import Problem
from kmc.errors import InputError

STEPS, BURN_IN = 1500, 500  # of emcee; chains of these problems forget within some tens of steps
KEPT = 2000  # samples kept
LEVELS = (0.05, 0.5, 0.95)  # of the table: median and 90 % interval
IDLE = 0.05  # total Sobol index in no number above it: the input does not matter
_HYPOTHETICAL = 200  # values that a new measurement might have
_SOBOL_POINTS = 2**9


@dataclass(frozen=True)
class Posterior:
    """Samples of the inputs."""

    u: np.ndarray  # shape (n, inputs), in the unit cube: 0 and 1 are the ends of a prior
    steps: float  # longest autocorrelation time of a chain, in steps
    independent: float  # samples of the whole chains over that time


def log_likelihood(emulators: Emulators, data: Sequence[Datum], u: np.ndarray) -> np.ndarray:
    """Of all data at places of the unit cube, shape (n,); −inf outside it and where runs fail.

    Normal with the variance of emulator, single run, measurement and discrepancy; of a charge that
    is only known to be larger the probability of that.
    """
    from scipy.special import log_ndtr

    inside = ((u >= 0) & (u <= 1)).all(axis=1)
    u = np.clip(u, 0, 1)
    total = np.where(inside & emulators.runs(u), 0.0, -np.inf)
    for datum in data:
        mean, variance, scatter = emulators.predict(datum.of, u)
        # Scatter of a single run, as the experiment is one cell and not a mean over cells.
        variance = variance + scatter**2 + datum.variance
        z = (datum.value - mean) / np.sqrt(variance)
        total += log_ndtr(-z) if datum.beyond else -0.5 * (z**2 + np.log(variance))
    return total


def sample(
    emulators: Emulators, data: Sequence[Datum], plausible: np.ndarray, seed: int
) -> Posterior:
    """Samples of the posterior by emcee (10.1086/670067), whose chains begin at `plausible` places.

    `InputError` where emcee is not installed.
    """
    try:
        import emcee
    except ImportError:
        raise InputError(
            "emcee is not installed", advice='pip install "kmc-voids[calibrate]"'
        ) from None
    inputs = plausible.shape[1]
    # The stretch move needs twice as many walkers as inputs to span the space at all.
    walkers = max(32, 4 * inputs)
    rng = np.random.default_rng(seed)
    start = plausible[rng.integers(len(plausible), size=walkers)]
    # Equal starting places would be one walker: the stretch between them has no length.
    start = np.clip(start + 1e-3 * rng.standard_normal(start.shape), 1e-6, 1 - 1e-6)
    chain = emcee.EnsembleSampler(
        walkers, inputs, lambda u: log_likelihood(emulators, data, u), vectorize=True
    )
    chain.random_state = np.random.RandomState(seed).get_state()
    chain.run_mcmc(start, STEPS, skip_initial_state_check=True)
    times = np.atleast_1d(chain.get_autocorr_time(discard=BURN_IN, quiet=True, tol=0))
    time = float(np.nanmax(times)) if np.isfinite(times).any() else float(STEPS)
    flat = chain.get_chain(discard=BURN_IN, flat=True)
    chosen = flat[np.linspace(0, len(flat) - 1, min(KEPT, len(flat))).astype(int)]
    return Posterior(chosen, time, len(flat) / max(time, 1.0))


def totals(emulators: Emulators, inputs: int, seed: int) -> dict[str, np.ndarray]:
    """Total Sobol index of every input in every emulated number, over the priors.

    The share of its variance that would be left if all other inputs were known
    (`scipy.stats.sobol_indices`).
    """
    from scipy.stats import sobol_indices, uniform

    found = {}
    for emulator in emulators.emulators:
        indices = sobol_indices(
            # Twice, as scipy fails where there is one number of one input.
            func=lambda x, e=emulator: np.stack([e.predict(x.T)[0]] * 2),
            n=_SOBOL_POINTS,
            dists=[uniform()] * inputs,
            rng=np.random.default_rng(seed),
        )
        found[emulator.of.name] = np.clip(indices.total_order.reshape(2, inputs)[0], 0, None)
    return found


def narrowing(
    problem: Problem, emulators: Emulators, posterior: Posterior, seed: int
) -> list[dict[str, Any]]:
    """By how much one more measurement would narrow each input, on average over its outcomes.

    Each emulated number is measured once more, to `precision_percent`. Hypothetical outcomes are
    drawn from the posterior; samples are weighted by each, and the variance that is left is
    averaged. The model's discrepancy and the scatter of one run limit what it can show. Rows, the
    most telling first: ``measure``, ``to``, and ``left``, the share of each input's variance.
    """
    rng = np.random.default_rng(seed)
    u, percent = posterior.u, problem.settings.precision_percent
    rows: list[dict[str, Any]] = []
    before = u.var(axis=0)
    for emulator in emulators.emulators:
        of = emulator.of
        mean, variance = emulator.predict(u)
        typical = float(of.plain(np.median(mean)))
        error = percent / 100 * (1 if of.log else abs(typical))
        allowed = discrepancy_of(of, typical, problem.discrepancy, problem.source)
        noise = error**2 + allowed**2 + emulator.scatter**2 + float(variance.mean())
        # Outcomes that the model itself expects: a measurement outside them would question the
        # model.
        outcomes = rng.choice(mean, _HYPOTHETICAL)
        outcomes = outcomes + math.sqrt(noise) * rng.standard_normal(_HYPOTHETICAL)
        weights = np.exp(-0.5 * (outcomes[:, None] - mean) ** 2 / noise)
        weights /= weights.sum(axis=1, keepdims=True)
        left = (weights @ u**2 - (weights @ u) ** 2).mean(axis=0) / np.maximum(before, 1e-12)
        left = {n: float(min(1, v)) for n, v in zip(problem.priors, left, strict=True)}
        rows.append({"measure": of.name, "to": f"{percent:g} %", "left": left})
    return sorted(rows, key=lambda row: min(row["left"].values()))


def table(problem: Problem, posterior: Posterior) -> list[dict[str, float | str]]:
    """Median and 90 % interval of every input, and how much of the prior's width is left."""
    values = problem.values(posterior.u)
    rows: list[dict[str, float | str]] = []
    for i, (name, prior) in enumerate(problem.priors.items()):
        low, median, high = (float(q) for q in np.quantile(values[:, i], LEVELS))
        ends = np.quantile(posterior.u[:, i], LEVELS)
        rows.append(
            {
                "input": name,
                "key": " and ".join(prior.keys),
                "experiments": ", ".join(prior.experiments or problem.experiments),
                "low": low,
                "median": median,
                "high": high,
                "width_left": float((ends[2] - ends[0]) / (LEVELS[2] - LEVELS[0])),
            }
        )
    return rows


def worst(emulators: Emulators, data: Sequence[Datum], u: np.ndarray) -> list[tuple[str, float]]:
    """Data by their distance at the least implausible of some places, largest first."""
    every = distances(emulators, data, u)
    best = every[:, int(np.argmin(every.max(axis=0)))]
    names = (datum.of.name for datum in data)
    return sorted(zip(names, map(float, best), strict=True), key=lambda row: -row[1])
