"""Steps of a study: sweeps, convergence studies and files that take up where they were left."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kmc.campaign.convergence.levels import Levels
from kmc.campaign.convergence.sentences import ratio_text
from kmc.campaign.execute import Workers, run_sweep
from kmc.campaign.folder import check_folder, make_folder
from kmc.campaign.plan import Plan, read_plan
from kmc.common.outputs import replacing
from kmc.common.progress import display_for
from kmc.common.validation import toml_value

NONE = "none"  # removes a key in a sweep file
Row = Mapping[str, Any]

MakeWorkers = Callable[[Path], Callable[[int], Workers]]
"""From the folder of a sweep to a function that starts workers for a number of points."""


@dataclass(frozen=True)
class Step:
    """A part of a study.

    Attributes
    ----------
    name : str
        Of its files in the study folder.
    what : str
    command : str
        The same by hand, in the study folder.
    run : callable
        Does what is missing; called with the folder, workers and whether to show progress.
        Returns whether it was interrupted.
    """

    name: str
    what: str
    command: str
    run: Callable[[Path, MakeWorkers, bool], bool]


def sweep_text(
    title: str,
    run: str,
    rows: Sequence[Row],
    replicas: int,
    fixed: Row,
    defaults: Row,
) -> str:
    """A sweep file in which the rows stand side by side in [zip].

    A row that does not name a key of another row has its value in `defaults`, or removes it.
    """
    keys = list(dict.fromkeys(key for row in rows for key in row))
    lines = [f"# {title}", f"run = {toml_value(run)}", f"replicas = {replicas}", "seed = 1"]
    lines += ["", "[zip]"]
    for key in keys:
        values = [row.get(key, defaults.get(key, NONE)) for row in rows]
        lines.append(f'"{key}" = [{", ".join(toml_value(value) for value in values)}]')
    lines += ["", "[set]"]
    lines += [f'"{key}" = {toml_value(value)}' for key, value in fixed.items()]
    return "\n".join(lines) + "\n"


def sweep_step(name: str, what: str, text: Callable[[str], str]) -> Step:
    """A sweep; its file is made from its description."""

    def run(folder: Path, make: MakeWorkers, progress: bool) -> bool:
        file = folder / f"{name}.toml"
        write(file, text(what))
        return _run_plan(read_plan(file), folder / name, make, progress)

    return Step(name, what, f"kmc sweep {name}.toml", run)


def levels_step(run_name: str, ratios: Sequence[float], replicas: int, size: Sequence[int]) -> Step:
    """A convergence study of the first monolayer."""
    settings = {"system.size": list(size), "stop.capacity_monolayers": 1.0}

    def run(folder: Path, make: MakeWorkers, progress: bool) -> bool:
        target = folder / f"convergence_{run_name}"
        asked = Levels(run_name, tuple(ratios), replicas=replicas, settings=settings)
        return _run_plan(asked.plan(target), target, make, progress)

    told = ",".join(map(ratio_text, ratios))
    command = (
        f"kmc converge {run_name} --ratios {told} --replicas {replicas} "
        f'--set system.size="{list(size)}" --set stop.capacity_monolayers=1 '
        f"-o convergence_{run_name}"
    )
    return Step(
        f"convergence_{run_name}", f"How {run_name} depends on the slowing of hops", command, run
    )


def _run_plan(plan: Plan, folder: Path, make: MakeWorkers, progress: bool) -> bool:
    check_folder(folder, plan)
    opened = make_folder(folder, plan)
    tally = run_sweep(opened, make(opened.path), display_for(folder.name, progress))
    return tally.interrupted


def write(path: Path, text: str) -> None:
    """Write a file of a study folder in one piece."""
    with replacing(path) as draft:
        draft.write_text(text, encoding="utf-8")
