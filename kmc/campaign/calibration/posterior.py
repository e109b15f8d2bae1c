"""Which inputs data leave possible, their posterior, what it predicts, and what to measure next."""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy

from kmc.campaign.calibration.data import Datum, discrepancy_of
from kmc.campaign.calibration.design import Results, Simulate, read_design, sobol
from kmc.campaign.calibration.emulator import Emulators
from kmc.campaign.calibration.problem import InverseProblem
from kmc.common.outputs import write_text
from kmc.errors import optional_library

CANDIDATES = 2**13
_ROUNDS = 8  # of candidates and of refinement, where few are plausible
_STEP = 0.1  # of a refinement, in shares of the prior; halved each round


def _offsets(
    emulators: Emulators, data: Sequence[Datum], u: np.ndarray
) -> Iterator[tuple[Datum, np.ndarray, np.ndarray]]:
    """Each datum, how far it is above the emulator in standard deviations, and their variance."""
    for datum in data:
        mean, variance, scatter = emulators.predict(datum.of, u)
        # Scatter of a single run, as the experiment is one cell and not a mean over cells.
        variance = variance + scatter**2 + datum.variance
        yield datum, (datum.value - mean) / np.sqrt(variance), variance


def distances(emulators: Emulators, data: Sequence[Datum], u: np.ndarray) -> np.ndarray:
    """Distance of each datum from the emulator in standard deviations, shape (data, n)."""
    # A charge that is only known to be larger rules out smaller ones alone.
    return np.array(
        [np.maximum(z, 0.0) if d.beyond else np.abs(z) for d, z, _ in _offsets(emulators, data, u)]
    )


def implausibility(emulators: Emulators, data: Sequence[Datum], u: np.ndarray) -> np.ndarray:
    """Largest distance over the data; infinite where runs are refused. Shape (n,).

    History matching (Craig et al. 1997; Vernon, Goldstein and Bower, Bayesian Anal. 5, 619 (2010),
    10.1214/10-BA524); inputs above 3 are ruled out: three standard deviations hold 95 % of any
    distribution with one peak (Pukelsheim 1994, 10.1080/00031305.1994.10476030).
    """
    # The largest and no sum: one number that cannot be met rules an input out, however well others
    # fit.
    worst = distances(emulators, data, u).max(axis=0)
    return np.where(emulators.runs(u), worst, np.inf)


def match(
    emulators: Emulators, data: Sequence[Datum], inputs: int, limit: float, wanted: int, seed: int
) -> tuple[np.ndarray, float, float]:
    """Places of the unit cube with an implausibility below `limit`, shape (n, inputs).

    Empty where there is none. With the share of the priors that is plausible, by Sobol points, and
    the lowest implausibility found.
    """
    rng = np.random.default_rng(seed)
    u = sobol(CANDIDATES, inputs, seed)
    worst = implausibility(emulators, data, u)
    kept, share = u[worst < limit], float((worst < limit).mean())
    # Where nothing is plausible the search needs places to start from: the least implausible.
    best, lowest = u[np.argsort(worst)[:20]], float(worst.min())
    # Where few are found, the neighbourhood of the best is searched before "none" is the answer.
    for step in _STEP * 0.5 ** np.arange(_ROUNDS):
        if len(kept) >= 4 * wanted:
            break
        start = kept if len(kept) >= 20 else best
        near = start[rng.integers(len(start), size=CANDIDATES // 4)]
        near = np.clip(near + step * rng.standard_normal(near.shape), 0, 1)
        worst = implausibility(emulators, data, near)
        kept = np.concatenate([kept, near[worst < limit]])
        best = np.concatenate([best, near[np.argsort(worst)[:20]]])
        best = best[np.argsort(implausibility(emulators, data, best))[:20]]
        lowest = min(lowest, float(worst.min()))
    return kept, share, lowest


def spread(places: np.ndarray, points: int) -> np.ndarray:
    """Some of the places that lie as far from each other as they can: the next wave."""
    if len(places) <= points:
        return places
    chosen = [0]
    distance = np.linalg.norm(places - places[0], axis=1)
    while len(chosen) < points:
        # Farthest point first: as even as a design of the same size, in a region of any shape.
        chosen.append(int(np.argmax(distance)))
        distance = np.minimum(distance, np.linalg.norm(places - places[chosen[-1]], axis=1))
    return places[chosen]


# Of emcee. With inputs and data of calibrate_operando and a power law for its runs, chains forget
# in 30 steps by differential evolution and in 175 by stretches: 128 walkers have 4900 independent
# samples, 32 walkers by stretches had 200.
STEPS, BURN_IN, WALKERS = 1500, 500, 128
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
    inside = ((u >= 0) & (u <= 1)).all(axis=1)
    u = np.clip(u, 0, 1)
    total = np.where(inside & emulators.runs(u), 0.0, -np.inf)
    for datum, z, variance in _offsets(emulators, data, u):
        total += scipy.special.log_ndtr(-z) if datum.beyond else -0.5 * (z**2 + np.log(variance))
    return total


def sample(
    emulators: Emulators, data: Sequence[Datum], plausible: np.ndarray, seed: int
) -> Posterior:
    """Samples of the posterior by emcee (10.1086/670067), whose chains begin at `plausible` places.

    `InputError` where emcee is not installed.
    """
    with optional_library("emcee", "calibrate"):
        import emcee
    inputs = plausible.shape[1]
    # A move needs twice as many walkers as inputs to span the space at all.
    walkers = max(WALKERS, 4 * inputs)
    moves = [(emcee.moves.DEMove(), 0.8), (emcee.moves.DESnookerMove(), 0.2)]
    rng = np.random.default_rng(seed)
    start = plausible[rng.integers(len(plausible), size=walkers)]
    # Equal starting places would be one walker: moves go along differences, which are none.
    start = np.clip(start + 1e-3 * rng.standard_normal(start.shape), 1e-6, 1 - 1e-6)
    chain = emcee.EnsembleSampler(
        walkers,
        inputs,
        lambda u: log_likelihood(emulators, data, u),
        moves=moves,
        vectorize=True,
    )
    chain.random_state = np.random.RandomState(seed).get_state()
    chain.run_mcmc(start, STEPS, skip_initial_state_check=True)
    times = np.atleast_1d(chain.get_autocorr_time(discard=BURN_IN, quiet=True, tol=0))
    time = float(np.nanmax(times)) if np.isfinite(times).any() else float(STEPS)
    drawn = chain.get_chain(discard=BURN_IN)  # (steps, walkers, inputs)
    # All walkers at a few steps: neighbours in a chain are nearly the same sample.
    steps = np.linspace(0, len(drawn) - 1, math.ceil(KEPT / walkers)).astype(int)
    chosen = drawn[steps].reshape(-1, inputs)[:KEPT]
    return Posterior(chosen, time, drawn.shape[0] * walkers / max(time, 1.0))


def totals(emulators: Emulators, inputs: int, seed: int) -> dict[str, np.ndarray]:
    """Total Sobol index of every input in every emulated number, over the priors.

    The share of its variance that would be left if all other inputs were known
    (`scipy.stats.sobol_indices`).
    """
    total_indices = {}
    for emulator in emulators.emulators:
        indices = scipy.stats.sobol_indices(
            # Twice, as scipy fails where there is one number of one input.
            func=lambda x, e=emulator: np.stack([e.predict(x.T)[0]] * 2),
            n=_SOBOL_POINTS,
            dists=[scipy.stats.uniform()] * inputs,
            rng=np.random.default_rng(seed),
        )
        # Estimates of an index near zero may be below it.
        total_indices[emulator.of.name] = np.clip(
            indices.total_order.reshape(2, inputs)[0], 0, None
        )
    return total_indices


def narrowing(
    problem: InverseProblem, emulators: Emulators, posterior: Posterior, seed: int
) -> list[dict[str, Any]]:
    """By how much one more measurement would narrow each input, on average over its outcomes.

    Each emulated number is measured once more, to `precision_percent`. Hypothetical outcomes are
    drawn from the posterior; samples are weighted by each, and the variance that is left is
    averaged. The model's discrepancy and the scatter of one run limit what it can show. Rows, the
    most informative first: ``measure``, ``to``, and ``left``, the share of each input's variance.
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
        # Weight of each sample given each outcome, a row an outcome: no new chain is run.
        weights = np.exp(-0.5 * (outcomes[:, None] - mean) ** 2 / noise)
        weights /= weights.sum(axis=1, keepdims=True)
        left = (weights @ u**2 - (weights @ u) ** 2).mean(axis=0) / np.maximum(before, 1e-12)
        left = {n: float(min(1, v)) for n, v in zip(problem.priors, left, strict=True)}
        rows.append({"measure": of.name, "to": f"{percent:g} %", "left": left})
    return sorted(rows, key=lambda row: min(row["left"].values()))


def table(problem: InverseProblem, posterior: Posterior) -> list[dict[str, float | str]]:
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


WITHIN, OUTSIDE, NOT_JUDGED = "within", "outside", "not judged"


def runs_of(
    problem: InverseProblem, posterior: Posterior, simulate: Simulate, folder: Path
) -> dict[str, Results]:
    """One run of every experiment at some samples of the posterior; none without `posterior_runs`.

    The samples are kept in the folder: more of them add runs, and none is made twice.
    """
    count = problem.settings.posterior_runs
    if not count:
        return {}
    folder.mkdir(exist_ok=True)
    kept = folder / "design.json"
    places = read_design(kept, posterior.u.shape[1]) if kept.is_file() else posterior.u[:0]
    if len(places) < count:
        # One order for any number of runs: more of them go on where fewer ended.
        order = np.random.default_rng(problem.settings.seed).permutation(len(posterior.u))
        places = np.concatenate([places, posterior.u[order[len(places) : count]]])
        write_text(kept, json.dumps(places.tolist()))
    predictions = {}
    for name in problem.experiments:
        settings = [problem.settings_of(name, u) for u in places]
        # No replicas: the scatter of single runs belongs to the prediction.
        predictions[name] = simulate(name, settings, problem.observables(name), 1, folder / name)
    return predictions


def beside(problem: InverseProblem, results: dict[str, Results], seed: int) -> list[dict[str, Any]]:
    """Predictions beside the data: a row for each measured number.

    The interval holds the scatter of runs, of the posterior, and the stated discrepancy; the datum
    is within it where its own interval, two standard errors, meets it. What is held out and has no
    statement of how it was verified is not judged.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for datum in problem.data:
        name = datum.of.experiment
        if name not in results:
            continue
        k = problem.observables(name).index(datum.of)
        values = results[name].values[:, 0, k]
        bounds = results[name].bounds[~np.isnan(values), 0, k]
        values = datum.of.scaled(values[~np.isnan(values)])
        about = problem.experiments[name]
        row: dict[str, Any] = {
            "experiment": name,
            "quantity": datum.of.name.partition(": ")[2],
            "unit": datum.of.unit,
            "measured": datum.text,
            "held_out": about.held_out,
            "seen": about.seen,
            "runs": len(values),
            "never": float(bounds.mean()) if len(bounds) else math.nan,
            "source": about.source,
        }
        low = median = high = math.nan
        verdict = NOT_JUDGED
        if len(values):
            wide = np.repeat(values, 200)
            wide = wide + datum.discrepancy * rng.standard_normal(len(wide))
            # What never happened in a run lies beyond its end, however far.
            wide[np.repeat(bounds, 200)] = np.inf
            low, median, high = np.quantile(wide, LEVELS, method="inverted_cdf")
            two = 2 * datum.error
            within = low <= datum.value + two and datum.value - two <= high
            if datum.beyond:
                within = float((wide > datum.value).mean()) >= LEVELS[0]
            verdict = WITHIN if within else OUTSIDE
        for key, end in (("low", low), ("median", median), ("high", high)):
            row[key] = float(datum.of.plain(end))
        row["verdict"] = NOT_JUDGED if about.held_out and not about.verified else verdict
        rows.append(row)
    return rows
