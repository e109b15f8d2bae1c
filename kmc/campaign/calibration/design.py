"""Runs of a calibration: Sobol points of the priors, each experiment an ordinary sweep folder.

As sweeps the runs are resumed, replicated and sent to a cluster like those of `kmc sweep`, and none
is made twice. `Simulate` is all that the statistics know of them, so that they can be tested on a
formula in place of a run.
"""

import contextlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import scipy

from kmc.campaign.calibration.data import Measurable, observed
from kmc.campaign.calibration.problem import Experiment, InverseProblem
from kmc.campaign.execute import run_sweep
from kmc.campaign.folder import make_folder, open_folder
from kmc.campaign.local import MakeWorkers, local_workers
from kmc.campaign.plan import Plan, plan_of
from kmc.campaign.points import without_removed
from kmc.common.catalogue import names
from kmc.common.json_files import read_json
from kmc.common.progress import display_for
from kmc.errors import InputError
from kmc.runfile.load import load_run
from kmc.systems import SYSTEMS
from kmc.systems.run import load


@dataclass
class Results:
    """What the runs of one experiment gave."""

    # shape (settings, replicas, observables): NaN where a run was refused, failed or does not have
    # the number
    values: np.ndarray
    bounds: np.ndarray  # where the value is only a lower bound: the run ended first
    # setting → why none of its runs could be made
    refused: dict[int, str] = field(default_factory=dict)

    def extended(self, more: "Results") -> "Results":
        """With those of another wave behind."""
        refused = self.refused | {len(self.values) + i: why for i, why in more.refused.items()}
        return Results(
            np.concatenate([self.values, more.values]),
            np.concatenate([self.bounds, more.bounds]),
            refused,
        )


Simulate = Callable[[str, Sequence[dict[str, float]], Sequence[Measurable], int, Path], Results]
"""Experiment, settings of its runs, what to read, replicas and a folder → `Results`."""


def read_design(path: Path, inputs: int) -> np.ndarray:
    """Places of the unit cube in a design.json, shape (n, inputs); `InputError` without them."""
    content, places = read_json(path), np.full((1, 1), np.nan)
    with contextlib.suppress(ValueError, TypeError, OverflowError):  # of numpy, for other content
        places = np.array(content, dtype=float).reshape(len(content), inputs)
    if not ((places >= 0) & (places <= 1)).all():
        raise InputError(
            f"{path} holds no places for {inputs} inputs",
            advice="Remove it with the runs beside it; the same command makes them again.",
        )
    return places


def sobol(points: int, inputs: int, seed: int) -> np.ndarray:
    """Scrambled Sobol points of the unit cube, shape (points, inputs)."""
    rng = np.random.default_rng(seed)
    # Sobol points are balanced in powers of two alone: drawn to the next one, then cut.
    drawn = scipy.stats.qmc.Sobol(inputs, rng=rng).random_base2(math.ceil(math.log2(points)))
    return drawn[:points]


class Sweeps:
    """`Simulate` by sweeps of the true code, on workers that `make_workers` starts."""

    def __init__(
        self,
        problem: InverseProblem,
        make_workers: MakeWorkers | None = None,
        workers: int | None = None,
        progress: bool = True,
    ):
        self.problem, self.progress = problem, progress
        self._make = make_workers or local_workers(workers)

    def __call__(
        self,
        experiment: str,
        settings: Sequence[dict[str, float]],
        observables: Sequence[Measurable],
        replicas: int,
        folder: Path,
    ) -> Results:
        """Run what the folder lacks, and read every run; KeyboardInterrupt on Ctrl-C."""
        results = Results(
            np.full((len(settings), replicas, len(observables)), math.nan),
            np.zeros((len(settings), replicas, len(observables)), bool),
        )
        about = self.problem.experiments[experiment]
        for i, row in enumerate(settings):
            try:
                load_run(about.run, without_removed({**about.set, **row}))
            except InputError as problem:  # such as a square of too many cells
                results.refused[i] = problem.message
        # Equal settings are one run: a projection of the design may repeat them.
        rows = {_mark(row): row for i, row in enumerate(settings) if i not in results.refused}
        if not rows:
            return results
        plan = self.plan(experiment, list(rows.values()), replicas, folder.name)
        title = f"{folder.parent.name}, {experiment}"
        opened = make_folder(folder, plan)
        tally = run_sweep(opened, self._make, display_for(title, self.progress))
        if tally.interrupted:
            raise KeyboardInterrupt
        places: dict[str, list[int]] = {}
        for i, row in enumerate(settings):
            places.setdefault(_mark(row), []).append(i)
        for status in opened.status():
            point = status.point
            at = places[_mark(point.settings)]
            if status.state != "done":
                results.refused |= dict.fromkeys(at, status.error or status.state)
                continue
            run = load(opened.trajectory_path(point))
            columns = SYSTEMS[run.kind].columns
            samples = run.samples if columns is None else columns(run)
            # Voids are counted on images as often as the run file takes them, by charge.
            minutes = run.run.get("upscale", {}).get("image_every_min") or 0.0
            current = run.run.get("conditions", {}).get("current_density_mA_cm2", 0.0)
            for k, of in enumerate(observables):
                value, bound = observed(samples, run.stop_reason, of, minutes / 60 * current)
                results.values[at, point.replica, k] = value
                results.bounds[at, point.replica, k] = bound
        return results

    def plan(
        self, experiment: str, rows: Sequence[dict[str, float]], replicas: int, name: str
    ) -> Plan:
        """The sweep of some settings of an experiment."""
        about: Experiment = self.problem.experiments[experiment]
        study: dict[str, Any] = {
            "run": about.run,
            "replicas": replicas,
            "seed": self.problem.settings.seed,
            "set": {key: value for key, value in about.set.items() if key not in rows[0]},
        }
        if rows[0]:
            study["zip"] = {key: [row[key] for row in rows] for key in rows[0]}
        if about.run not in names("runs"):
            study["run"] = str(Path(about.run).resolve())
        comment = f"Written by kmc calibrate: {experiment} of {self.problem.name}"
        return plan_of(study, name, comment, resolve=False)


def _mark(row: dict[str, Any]) -> str:
    return repr(sorted(row.items()))


def runs_left(problem: InverseProblem, folder: Path) -> dict[str, tuple[int, int, float]]:
    """Of each sweep the runs that are done and planned, and processor time of a run in seconds.

    The time is that of runs in the folder, else as the file states it, else by the kind of run.
    """
    s, planned = problem.settings, {}
    for name, about in problem.experiments.items():
        steps = {} if about.held_out else {f"wave_{w + 1}": s.points for w in range(s.waves)}
        steps = {step: runs * s.replicas for step, runs in steps.items()}
        steps |= {f"posterior_{s.waves}": s.posterior_runs} if s.posterior_runs else {}
        for step, runs in steps.items():
            took: list[float] = []
            if (folder / step / name / "index.json").is_file():
                took = list(open_folder(folder / step / name).times_s().values())
            seconds = float(np.mean(took)) if took else about.seconds
            if not seconds:
                run = load_run(about.run, without_removed(about.set))
                seconds = SYSTEMS[run.kind].seconds(run)
            planned[f"{step}/{name}"] = (min(len(took), runs), runs, seconds)
    return planned
