"""Steps of a study: sweeps, convergence studies and files that take up where they were left."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kmc.campaign.convergence.findings import ratio_text
from kmc.campaign.convergence.levels import Levels
from kmc.campaign.execute import Workers, run_plan
from kmc.campaign.folder import open_folder
from kmc.campaign.plan import Plan, read_plan
from kmc.common.outputs import replacing
from kmc.common.validation import toml_value
from kmc.papers.paper import Paper
from kmc.papers.readings import CHECKS_FILE, NONE, check_values

MakeWorkers = Callable[[Path], Callable[[int], Workers]]
"""From the folder of a sweep to a function that starts workers for a number of points."""


@dataclass(frozen=True)
class Step:
    """A part of a study.

    Attributes
    ----------
    name, what, command : str
        Of its files in the study folder; in words; the same by hand, in the study folder.
    run : callable
        Does what is missing; called with the folder, workers and whether to show progress.
        Returns whether it was interrupted.
    points : int
        Runs, 0 of a step that is a file.
    seconds : float
        Processor time of a run, measured when the study was sized.
    """

    name: str
    what: str
    command: str
    run: Callable[[Path, MakeWorkers, bool], bool]
    points: int = 0
    seconds: float = 1.0

    def done(self, folder: Path) -> int:
        """Runs that are there; of a step that is a file 1 where it is."""
        if (folder / self.name / "index.json").is_file():
            return len(open_folder(folder / self.name).done())
        return int(not self.points and (folder / f"{self.name}.json").is_file())


def steps_of(study: Paper, plan: str) -> list[Step]:
    """The steps of a plan: what most claims are judged from comes first."""
    chosen = study.planned(plan)
    kinds = {"sweep": _sweep, "converge": _levels, "checks": _checks}
    return [kinds[step.get("kind", "sweep")](chosen, step) for step in chosen.steps]


def sweep_text(study: Paper, step: Mapping[str, Any]) -> str:
    """The sweep file of a step: its rows side by side in [zip]."""
    rows = study.rows_of(step)
    keys = list(dict.fromkeys(key for row in rows for key in row))
    lines = [f"# {step['what']}", f"run = {toml_value(step['run'])}"]
    lines += [f"replicas = {step['replicas']}", "seed = 1", "", "[zip]"]
    for key in keys:
        # [zip] wants a value of each key in each row, "none" where neither row nor study has one.
        values = [row.get(key, study.defaults.get(key, NONE)) for row in rows]
        lines.append(f'"{key}" = [{", ".join(toml_value(value) for value in values)}]')
    fixed = step.get("set", {}).items()
    lines += ["", "[set]", *(f'"{key}" = {toml_value(value)}' for key, value in fixed)]
    return "\n".join(lines) + "\n"


def _step(step: Mapping[str, Any], command: str, run: Any, points: int = 0) -> Step:
    return Step(step["name"], step["what"], command, run, points, step.get("seconds", 1.0))


def _sweep(study: Paper, step: Mapping[str, Any]) -> Step:
    name, points = step["name"], len(study.rows_of(step)) * step["replicas"]

    def run(folder: Path, make: MakeWorkers, progress: bool) -> bool:
        write(folder / f"{name}.toml", sweep_text(study, step))
        return _run_plan(read_plan(folder / f"{name}.toml"), folder / name, make, progress)

    return _step(step, f"kmc sweep {name}.toml", run, points)


def _levels(study: Paper, step: Mapping[str, Any]) -> Step:
    """A convergence study."""
    name, base, ratios, replicas = (step[key] for key in ("name", "run", "ratios", "replicas"))
    asked = Levels(base, tuple(ratios), replicas=replicas, settings=step["set"])

    def run(folder: Path, make: MakeWorkers, progress: bool) -> bool:
        return _run_plan(asked.plan(folder / name), folder / name, make, progress)

    given = " ".join(f'--set {key}="{value}"' for key, value in step["set"].items())
    listed = ",".join(map(ratio_text, ratios))
    command = f"kmc converge {base} --ratios {listed} --replicas {replicas} {given} -o {name}"
    return _step(step, command, run, len(ratios) * replicas)


def _checks(study: Paper, step: Mapping[str, Any]) -> Step:
    def run(folder: Path, make: MakeWorkers, progress: bool) -> bool:
        if not (folder / CHECKS_FILE).is_file():
            rows = check_values(step["params"])
            write(folder / CHECKS_FILE, json.dumps(rows, indent=1, ensure_ascii=False))
        return False

    return _step(step, f"kmc params check {step['params']}", run)


def _run_plan(plan: Plan, folder: Path, make: MakeWorkers, progress: bool) -> bool:
    return run_plan(plan, folder, make(folder), progress=progress).interrupted


def write(path: Path, text: str) -> None:
    """Write a file of a study folder in one piece."""
    with replacing(path) as draft:
        draft.write_text(text, encoding="utf-8")


def lines_of(steps: list[Step], folder: Path, workers: int) -> list[str]:
    """What will run, how long and where: for `kmc study NAME --dry-run`."""
    lines, seconds = [], 0.0
    for step in steps:
        todo = max(step.points or 1, 1) - step.done(folder)
        seconds += (here := todo * step.seconds)
        runs = f"{todo} of {step.points} runs" if step.points else "a file" if todo else "done"
        lines.append(f"{step.name:24} {runs:>16} {math.ceil(here / 60):5} min  {step.what}")
    total = math.ceil(seconds / 60 / workers)
    shared = "core" if workers == 1 else "cores"
    lines.append(f"About {total} min on {workers} {shared}, in {folder}.")
    return lines
