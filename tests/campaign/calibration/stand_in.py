"""A formula in place of runs, with known inputs: three numbers and a charge, with scatter."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from kmc.analysis.measured import CAPACITY
from kmc.campaign.calibration.data import Datum, Measurable
from kmc.campaign.calibration.design import Results
from kmc.campaign.calibration.problem import (
    CalibrationSettings,
    Experiment,
    InverseProblem,
    Prior,
)

PRIORS = {
    "sinks": Prior(key="a.sinks", log_uniform=[1.0, 20.0]),
    "flaws": Prior(key="a.flaws", log_uniform=[0.02, 0.5]),
    "idle": Prior(key="a.idle", uniform=[0.0, 1.0]),
}
NUMBERS = {
    "voids": Measurable("cell", "voids_per_100um", 0.125),
    "width": Measurable("cell", "width_um", 0.125),
    "gap": Measurable("cell", CAPACITY, event="gap"),
}
SCATTER = {"voids": 0.8, "width": 0.06, "gap": 0.06}  # of a run, on the scale of the comparison
ERROR = {"voids": 1.0, "width": 0.08, "gap": 0.08}  # of the measurement
END = 3.0  # charge at which runs end


def truth(row: dict[str, float]) -> dict[str, float]:
    """Means over many runs: few sinks keep few vacancies away, and many flaws share them."""
    sinks, flaws = row["a.sinks"], row["a.flaws"]
    return {
        "voids": 40 * flaws**0.5 * (1 - math.exp(-sinks / 4)),
        "width": math.log(1.2 * sinks**0.4 * flaws**-0.15),
        "gap": math.log(3.0 * flaws**-0.3 / sinks**0.8),
    }


def simulate(rng: np.random.Generator, calls: list | None = None, refuse=None):
    """A `Simulate` of that formula; counts its runs, and refuses some of them."""

    def run(experiment: str, settings, observables, replicas: int, folder: Path) -> Results:
        shape = (len(settings), replicas, len(observables))
        found = Results(np.full(shape, np.nan), np.zeros(shape, bool))
        for i, row in enumerate(settings):
            if refuse is not None and refuse(row):
                found.refused[i] = "the grid would have too many cells"
                continue
            for r in range(replicas):
                if calls is not None:
                    calls.append((experiment, tuple(row.items()), r))
                for k, of in enumerate(observables):
                    name = next(
                        n
                        for n, o in NUMBERS.items()
                        if o.event == of.event and o.column == of.column
                    )
                    value = truth(row)[name] + SCATTER[name] * rng.standard_normal()
                    value = float(of.plain(value))
                    found.bounds[i, r, k] = name == "gap" and value > END
                    found.values[i, r, k] = min(value, END) if name == "gap" else value
        return found

    return run


def problem(data: dict[str, float], discrepancy: float = 0.0, **settings) -> InverseProblem:
    """A calibration on those numbers, given on the scale of the comparison."""
    made = {"points": 32, "waves": 2, "replicas": 2, "posterior_runs": 0} | settings
    return InverseProblem(
        name="stand_in",
        source="stand_in.toml",
        settings=CalibrationSettings(**made),
        priors=PRIORS,
        experiments={"cell": Experiment(run="operando_li", data="none.csv")},
        data=[
            Datum(
                NUMBERS[name],
                min(value, math.log(END)) if name == "gap" else value,
                ERROR[name],
                discrepancy,
                beyond=name == "gap" and value > math.log(END),
            )
            for name, value in data.items()
        ],
        discrepancy=dict.fromkeys(("voids_per_100um", "width_um", CAPACITY), 0.0),
    )


def measured(rng: np.random.Generator, u: np.ndarray) -> tuple[dict[str, float], dict[str, float]]:
    """Inputs at a place of the unit cube, and one noisy measurement of one noisy run there."""
    row = {p.key: float(p.value(u[i])) for i, p in enumerate(PRIORS.values())}
    data = {
        name: value + SCATTER[name] * rng.standard_normal() + ERROR[name] * rng.standard_normal()
        for name, value in truth(row).items()
    }
    return row, data
