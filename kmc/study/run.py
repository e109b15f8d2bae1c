"""Runs a study: its steps one after the other, each skipped where it is done, then its claims.

    study.json            what the study is: plan, steps, versions
    NAME.toml, NAME/      a sweep: its file as `kmc sweep` takes it, and its folder
    convergence_*/        convergence studies, as of `kmc converge`
    nucleation_*.json     as of `kmc nucleation --json`
    checks.json           rows of `kmc params check`
    claims.json           the table of claims

Interrupted, it goes on with the same call: what a sweep has is never run again.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kmc.common.outputs import replacing
from kmc.common.progress import display_for
from kmc.common.provenance import collect
from kmc.errors import InputError
from kmc.study import operando
from kmc.study.claims import Claim
from kmc.study.operando import PLANS, Size
from kmc.study.operando_claims import CLAIMS, PAPER
from kmc.study.operando_evidence import Runs, conditions
from kmc.study.readings import read_step
from kmc.sweep.convergence.sentences import ratio_text
from kmc.sweep.convergence.study import Study as Levels
from kmc.sweep.execute import Workers, run_sweep
from kmc.sweep.folder import check_folder, make_folder
from kmc.sweep.local import LocalWorkers, cores
from kmc.sweep.plan import Plan, read_plan

STUDY_FILE, CLAIMS_FILE, CHECKS_FILE = "study.json", "claims.json", "checks.json"
FORMAT = "kmc study"
VERSION = 1

POPULATIONS, BOXES = (
    ("operando", "conditions", "inputs"),
    ("box_first", "box", "box_random", "box_inputs"),
)

MakeWorkers = Callable[[Path], Callable[[int], Workers]]
"""From the folder of a sweep to a function that starts workers for a number of points."""


@dataclass(frozen=True)
class Paper:
    """A paper whose claims are judged.

    Attributes
    ----------
    name, reference : str
    claims : sequence of Claim
    read : callable
        From the folder of the study to what the judges of the claims take.
    conditions : callable, optional
        From that to rows of plain data, one for each condition that was run.
    """

    name: str
    reference: str
    claims: Sequence[Claim]
    read: Callable[[Path], Any]
    conditions: Callable[[Any], list[dict[str, Any]]] = lambda runs: []


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


def read_operando(folder: Path) -> Runs:
    """The runs that the claims of the operando paper are judged from."""
    checks = folder / CHECKS_FILE
    rows = json.loads(checks.read_text(encoding="utf-8")) if checks.is_file() else []
    return Runs(
        [reading for step in POPULATIONS for reading in read_step(folder, step)],
        [reading for step in BOXES for reading in read_step(folder, step)],
        {row["name"]: math.nan if row["model"] is None else row["model"] for row in rows},
    )


# Another paper adds its entry here; its runs are steps of its own, or any files in the folder.
PAPERS = (Paper("operando", PAPER, CLAIMS, read_operando, conditions),)


# --- steps ----------------------------------------------------------------------------------------


def steps_of(size: Size) -> list[Step]:
    """The steps of the operando study: what most claims are judged from comes first."""
    voids = operando.population_text
    populations = (
        (
            "operando",
            "Populations of voids, Li and Li0.97Mg0.03 as in the operando cell",
            lambda what: voids(what, operando.operando_rows(size), size.replicas, size),
        ),
        (
            "inputs",
            "Populations of voids with one input changed",
            lambda what: voids(what, operando.variant_rows(size), size.variants, size),
        ),
        (
            "conditions",
            "Populations of voids at other compositions, currents, pressures, temperatures",
            lambda what: voids(what, operando.condition_rows(size), size.others, size),
        ),
    )
    boxes = (
        (
            "box_first",
            "Boxes of atoms, Li and Li0.97Mg0.03 as in the operando cell",
            lambda what: operando.first_box_text(what, operando.first_box_rows(), size),
        ),
        (
            "box_inputs",
            "Boxes of atoms with one input changed",
            lambda what: operando.first_box_text(what, operando.box_variant_rows(size), size),
        ),
        (
            "box_random",
            "Boxes of atoms whose first layer begins as random as the bulk",
            lambda what: operando.random_text(what, operando.random_rows(), size),
        ),
    )
    grid = (
        "box",
        "Boxes of atoms at other compositions, currents, pressures, temperatures",
        lambda what: operando.box_text(what, operando.box_rows(size), size),
    )
    return [
        Step(
            "checks",
            "Energies, adhesion, contact angle and diffusivities of the parameter set",
            "kmc params check limg_li2s",
            _check,
        ),
        *(_sweep(*entry) for entry in boxes),
        _levels("strip_li", size),
        _levels("strip_limg", size),
        *(_sweep(*entry) for entry in populations),
        _nucleation("li", "li_li2s", {}),
        _nucleation(
            "limg",
            "limg_li2s",
            {"mg_coverage": operando.COVERAGE, "mg_fraction": operando.FOIL},
        ),
        _sweep(*grid),
    ]


def _sweep(name: str, what: str, text: Callable[[str], str]) -> Step:
    def run(folder: Path, make: MakeWorkers, progress: bool) -> bool:
        file = folder / f"{name}.toml"
        _write(file, text(what))
        return _run_plan(read_plan(file), folder / name, make, progress)

    return Step(name, what, f"kmc sweep {name}.toml", run)


def _levels(run_name: str, size: Size) -> Step:
    settings = {"system.size": list(size.box), "stop.capacity_monolayers": 1.0}

    def run(folder: Path, make: MakeWorkers, progress: bool) -> bool:
        target = folder / f"convergence_{run_name}"
        asked = Levels(run_name, size.ratios, replicas=size.first_boxes, settings=settings)
        return _run_plan(asked.plan(target), target, make, progress)

    ratios = ",".join(map(ratio_text, size.ratios))
    command = (
        f"kmc converge {run_name} --ratios {ratios} --replicas {size.first_boxes} "
        f'--set system.size="{list(size.box)}" --set stop.capacity_monolayers=1 '
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


def _nucleation(metal: str, params: str, given: Mapping[str, Any]) -> Step:
    def run(folder: Path, make: MakeWorkers, progress: bool) -> bool:
        path = folder / f"nucleation_{metal}.json"
        if not path.is_file():
            from kmc.mesoscale.study import nucleation

            found = nucleation(params, **given, progress=progress)
            _write(path, json.dumps(found.to_json(), indent=1, allow_nan=False))
        return False

    options = "".join(f" --{key.replace('_', '-')} {value:g}" for key, value in given.items())
    return Step(
        f"nucleation_{metal}",
        f"Nucleation at the true rates, {params}",
        f"kmc nucleation {params}{options} --json nucleation_{metal}.json",
        run,
    )


def _check(folder: Path, make: MakeWorkers, progress: bool) -> bool:
    from kmc.model.parameters import load_parameters
    from kmc.verification.dft import check_rows

    path = folder / CHECKS_FILE
    if not path.is_file():
        rows = [
            {"name": row.name, "unit": row.unit, "paper": row.dft, "model": row.model}
            for row in check_rows(load_parameters("limg_li2s"))
        ]
        _write(path, json.dumps(rows, indent=1, ensure_ascii=False))
    return False


# --- the study ------------------------------------------------------------------------------------


def run_study(
    folder: str | Path,
    plan: str = "default",
    *,
    make_workers: MakeWorkers | None = None,
    workers: int | None = None,
    progress: bool = True,
    report: Callable[[str], None] = lambda text: None,
) -> list[dict[str, Any]]:
    """Run what a study lacks, and judge its claims.

    Parameters
    ----------
    folder : str or Path
        Made if it is not there; a study of the same plan is gone on with.
    plan : str
        One of `PLANS`.
    make_workers : callable, optional
        Where runs are carried out; local processes by default.
    workers : int, optional
        Local processes; all cores by default.
    progress : bool
        Show progress on stderr.
    report : callable
        Receives a line for each step.

    Returns
    -------
    list of dict
        The claims, as in claims.json.

    Raises
    ------
    InputError
        There is no such plan, or the folder holds something else.
    KeyboardInterrupt
        Ctrl-C; what is done is kept, and the next call goes on.
    """
    if plan not in PLANS:
        raise InputError(f"there is no plan {plan!r}", advice=f"Choose {', '.join(PLANS)}.")
    size, path = PLANS[plan], Path(folder)
    _open(path, plan)
    steps = steps_of(size)
    _write(path / STUDY_FILE, json.dumps(_head(plan, steps), indent=1, ensure_ascii=False))

    def local(sweep_folder: Path) -> Callable[[int], Workers]:
        return lambda points: LocalWorkers(
            min(points, workers or cores()), sweep_folder / "workers.log"
        )

    for number, step in enumerate(steps, start=1):
        report(f"[{number}/{len(steps)}] {step.what}")
        if step.run(path, make_workers or local, progress):
            raise KeyboardInterrupt
    return judge(path)


def _open(path: Path, plan: str) -> None:
    """Make the folder, or check that it holds a study of this plan."""
    file = path / STUDY_FILE
    if file.is_file():
        try:
            known = json.loads(file.read_text(encoding="utf-8"))["plan"]
        except (OSError, ValueError, KeyError, TypeError):
            raise InputError(
                f"{file} cannot be read", advice="Use another folder with -o."
            ) from None
        if known != plan:
            raise InputError(
                f"{path} holds the plan {known!r}, not {plan!r}",
                advice="Use another folder with -o, or the plan it holds.",
            )
        return
    try:
        path.mkdir(exist_ok=True)
        strangers = sorted(entry.name for entry in path.iterdir())
    except OSError as problem:
        raise InputError(
            f"{path} cannot be made: {problem.strerror or problem}",
            advice="Choose a folder that you may write to with -o.",
        ) from None
    if strangers:
        raise InputError(
            f"{path} holds other files, such as {strangers[0]}",
            advice="Use another folder with -o.",
        )


def _head(plan: str, steps: Sequence[Step]) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "version": VERSION,
        "study": "operando",
        "plan": plan,
        "kmc": collect()["kmc"],
        "steps": [
            {"name": step.name, "what": step.what, "command": step.command} for step in steps
        ],
    }


def judge(folder: str | Path) -> list[dict[str, Any]]:
    """Judge the claims of every paper from the runs in a study folder, and write claims.json.

    Raises
    ------
    InputError
        It is not the folder of a study.
    """
    path = Path(folder)
    if not (path / STUDY_FILE).is_file():
        raise InputError(
            f"{path} is not the folder of a study", advice="kmc study operando makes one."
        )
    found, rows = [], {}
    for paper in PAPERS:
        runs = paper.read(path)
        rows[paper.name] = paper.conditions(runs)
        for claim in paper.claims:
            found.append({"paper": paper.name, **claim.judged(runs)})
    head = json.loads((path / STUDY_FILE).read_text(encoding="utf-8"))
    content = {
        "format": "kmc claims",
        "version": VERSION,
        "study": head["study"],
        "plan": head["plan"],
        "kmc": head["kmc"],
        "papers": {paper.name: paper.reference for paper in PAPERS},
        "claims": found,
        "conditions": rows,
    }
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    _write(path / CLAIMS_FILE, text + "\n")
    return found


def _write(path: Path, text: str) -> None:
    with replacing(path) as draft:
        draft.write_text(text, encoding="utf-8")
