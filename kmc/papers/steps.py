"""Steps of a study: sweeps and convergence studies that take up where they were left."""

from __future__ import annotations

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
from kmc.common.outputs import write_text
from kmc.common.validation import toml_value
from kmc.papers.paper import Paper
from kmc.papers.readings import NONE

MakeWorkers = Callable[[Path], Callable[[int], Workers]]
"""From the folder of a sweep to a function that starts workers for a number of points."""


@dataclass(frozen=True)
class Step:
    """A part of a study: a sweep, or a convergence study."""

    name: str  # of its files in the study folder
    what: str  # in words
    command: str  # the same by hand, in the study folder
    plan: Callable[[Path], Plan]  # study folder → its sweep, with its file written there
    points: int  # runs
    seconds: float = 1.0  # processor time of a run, measured when the study was sized

    def run(
        self, folder: Path, make: MakeWorkers | None, workers: int | None, progress: bool
    ) -> bool:
        """Do what is missing; whether it was interrupted."""
        own = folder / self.name
        start = make(own) if make else None
        tally = run_plan(self.plan(folder), own, start, workers=workers, progress=progress)
        return tally.interrupted

    def done(self, folder: Path) -> int:
        """Runs that are there."""
        own = folder / self.name
        return len(open_folder(own).done()) if (own / "index.json").is_file() else 0


def steps_of(study: Paper, plan: str) -> list[Step]:
    """The steps of a plan: what most claims are judged from comes first."""
    chosen = study.planned(plan)
    kinds = {"sweep": _sweep, "converge": _levels}
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


def _sweep(study: Paper, step: Mapping[str, Any]) -> Step:
    name, points = step["name"], len(study.rows_of(step)) * step["replicas"]

    def plan(folder: Path) -> Plan:
        write_text(folder / f"{name}.toml", sweep_text(study, step))
        return read_plan(folder / f"{name}.toml")

    command = f"kmc sweep {name}.toml"
    return Step(name, step["what"], command, plan, points, step.get("seconds", 1.0))


def _levels(study: Paper, step: Mapping[str, Any]) -> Step:
    """A convergence study."""
    name, base, ratios, replicas = (step[key] for key in ("name", "run", "ratios", "replicas"))
    asked = Levels(base, tuple(ratios), replicas=replicas, settings=step["set"])
    given = " ".join(f'--set {key}="{value}"' for key, value in step["set"].items())
    listed = ",".join(map(ratio_text, ratios))
    command = f"kmc converge {base} --ratios {listed} --replicas {replicas} {given} -o {name}"
    points = len(ratios) * replicas
    seconds = step.get("seconds", 1.0)
    return Step(name, step["what"], command, lambda f: asked.plan(f / name), points, seconds)


def lines_of(steps: list[Step], folder: Path, workers: int) -> list[str]:
    """What will run, how long and where: for `kmc study NAME --dry-run`."""
    lines, seconds = [], 0.0
    for step in steps:
        todo = step.points - step.done(folder)
        seconds += (here := todo * step.seconds)
        runs = f"{todo} runs to do of {step.points}" if todo else f"all {step.points} runs done"
        lines.append(f"{step.name:24} {runs:>21} {math.ceil(here / 60):4} min  {step.what}")
    total = math.ceil(seconds / 60 / workers)
    shared = "core" if workers == 1 else "cores"
    lines.append(f"About {total} min on {workers} {shared}, in {folder}.")
    return lines
