"""Posterior predictive runs: the true code at samples of the posterior, fitted and held out."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from kmc.campaign.calibration.data import Datum
from kmc.campaign.calibration.design import Results, Simulate
from kmc.campaign.calibration.posterior import LEVELS, Posterior
from kmc.campaign.calibration.problem import Problem
from kmc.common.json_files import read_json
from kmc.common.outputs import write_text

WITHIN, OUTSIDE, NOT_JUDGED = "within", "outside", "not judged"


def runs_of(
    problem: Problem, posterior: Posterior, simulate: Simulate, folder: Path
) -> dict[str, Results]:
    """One run of every experiment at some samples of the posterior; none without `posterior_runs`.

    The samples are kept in the folder: more of them add runs, and none is made twice.
    """
    count = problem.settings.posterior_runs
    if not count:
        return {}
    folder.mkdir(exist_ok=True)
    kept = folder / "design.json"
    places = np.array(read_json(kept) if kept.is_file() else []).reshape(-1, posterior.u.shape[1])
    if len(places) < count:
        order = np.random.default_rng(problem.settings.seed).permutation(len(posterior.u))
        places = np.concatenate([places, posterior.u[order[len(places) : count]]])
        write_text(kept, json.dumps(places.tolist()))
    found = {}
    for name in problem.experiments:
        settings = [problem.settings_of(name, u) for u in places]
        # No replicas: the scatter of single runs belongs to the prediction.
        found[name] = simulate(name, settings, problem.observables(name), 1, folder / name)
    return found


def beside(problem: Problem, results: dict[str, Results], seed: int) -> list[dict[str, Any]]:
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
            "runs": len(values),
            "never": float(bounds.mean()) if len(bounds) else math.nan,
            "source": about.source,
        }
        row |= _interval(datum, values, bounds, rng)
        if about.held_out and not about.verified:
            row["verdict"] = NOT_JUDGED
        rows.append(row)
    return rows


def _interval(
    datum: Datum, values: np.ndarray, bounds: np.ndarray, rng: np.random.Generator
) -> dict[str, Any]:
    """90 % interval of the prediction in the unit of the datum, and the verdict."""
    if not len(values):
        return {"low": math.nan, "median": math.nan, "high": math.nan, "verdict": NOT_JUDGED}
    wide = np.repeat(values, 200)
    wide = wide + datum.discrepancy * rng.standard_normal(len(wide))
    # What never happened in a run lies beyond its end, however far.
    wide[np.repeat(bounds, 200)] = np.inf
    low, median, high = np.quantile(wide, LEVELS, method="inverted_cdf")
    if datum.beyond:
        within = float((wide > datum.value).mean()) >= LEVELS[0]
    else:
        within = low <= datum.value + 2 * datum.error and datum.value - 2 * datum.error <= high
    ends = {"low": low, "median": median, "high": high}
    plain = {key: float(datum.of.plain(end)) for key, end in ends.items()}
    return {**plain, "verdict": WITHIN if within else OUTSIDE}
