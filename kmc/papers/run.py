"""The studies, one for each paper: `run_study` runs the steps of one, one after the other, each
skipped where it is done, and judges the claims of its paper.

    study.json            what the study is: paper, plan, steps, versions
    NAME.toml, NAME/      a sweep: its file as `kmc sweep` takes it, and its folder
    convergence_*/        convergence studies, as of `kmc converge`
    nucleation_*.json     as of `kmc nucleation --json`
    checks.json           rows of `kmc params check`
    claims.json           the table of claims

Interrupted, it goes on with the same call: what a sweep has is never run again.

A study has one paper, as the papers are of different systems and share no run: each is run, resumed
and reported by itself. Another paper is a `Study` in `STUDIES`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from kmc.campaign.execute import Workers
from kmc.campaign.folder import open_folder
from kmc.campaign.local import LocalWorkers, cores
from kmc.common.json_files import read_json
from kmc.common.provenance import collect
from kmc.errors import InputError
from kmc.papers import cathode, cathode_claims, interlayer, interlayer_claims, operando_claims
from kmc.papers.claims import Claim
from kmc.papers.operando import PLANS
from kmc.papers.operando_evidence import box_conditions, conditions
from kmc.papers.operando_steps import read_operando, steps_of
from kmc.papers.steps import MakeWorkers, Step, write

STUDY_FILE, CLAIMS_FILE = "study.json", "claims.json"
FORMAT = "kmc study"
VERSION = 1


@dataclass(frozen=True)
class Study:
    """A paper, the runs that are laid beside it, and its claims.

    Attributes
    ----------
    name, paper : str
        Name of the study, and the reference of the paper.
    claims : sequence of Claim
    plans : mapping of str to callable
        The steps of each plan; "default" is always there.
    read : callable
        From the folder of the study, and whether to show progress, to what the judges take.
    conditions : mapping of str to callable, optional
        Tables of means: from what `read` gives to rows of plain data, by the title of the table.
    """

    name: str
    paper: str
    claims: Sequence[Claim]
    plans: Mapping[str, Callable[[], list[Step]]]
    read: Callable[[Path, bool], Any]
    conditions: Mapping[str, Callable[[Any], list[dict[str, Any]]]] = field(default_factory=dict)


STUDIES = {
    study.name: study
    for study in (
        Study(
            "operando",
            operando_claims.PAPER,
            operando_claims.CLAIMS,
            {name: partial(steps_of, size) for name, size in PLANS.items()},
            read_operando,
            {"populations of voids": conditions, "boxes of atoms": box_conditions},
        ),
        Study(
            "interlayer",
            interlayer_claims.PAPER,
            interlayer_claims.CLAIMS,
            {"default": interlayer.steps},
            interlayer.read,
            {"deposits": interlayer.conditions},
        ),
        Study(
            "cathode",
            cathode_claims.PAPER,
            cathode_claims.CLAIMS,
            {"default": cathode.steps},
            cathode.read,
            {"cathodes": cathode.conditions},
        ),
    )
}


# --- the study ------------------------------------------------------------------------------------


def run_study(
    folder: str | Path,
    plan: str = "default",
    *,
    study: str = "operando",
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
        How much is run: "reduced", "default" or "full" for the operando paper, else "default".
    study : str
        One of `STUDIES`.
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
        There is no such study or plan, or the folder holds something else.
    KeyboardInterrupt
        Ctrl-C; what is done is kept, and the next call goes on.
    """
    if study not in STUDIES:
        raise InputError(f"there is no study {study!r}", advice=f"Choose {', '.join(STUDIES)}.")
    chosen, path = STUDIES[study], Path(folder)
    if plan not in chosen.plans:
        raise InputError(
            f"there is no plan {plan!r} of {study}", advice=f"Choose {', '.join(chosen.plans)}."
        )
    _open(path, study, plan)
    steps = chosen.plans[plan]()
    head = json.dumps(_head(study, plan, steps), indent=1, ensure_ascii=False)
    write(path / STUDY_FILE, head)

    def local(sweep_folder: Path) -> Callable[[int], Workers]:
        return lambda points: LocalWorkers(
            min(points, workers or cores()), sweep_folder / "workers.log"
        )

    for number, step in enumerate(steps, start=1):
        report(f"[{number}/{len(steps)}] {step.what}")
        if step.run(path, make_workers or local, progress):
            raise KeyboardInterrupt
    return judge(path, progress=progress)


def _open(path: Path, study: str, plan: str) -> None:
    """Make the folder, or check that it holds this study with this plan."""
    if (path / STUDY_FILE).is_file():
        known = _read_head(path)
        if (known["study"], known["plan"]) != (study, plan):
            raise InputError(
                f"{path} holds the study {known['study']!r} with the plan {known['plan']!r}, not "
                f"{study!r} with {plan!r}",
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


def _read_head(path: Path) -> dict[str, str]:
    """Study, plan and version of kmc of a study folder."""
    found = _read_study(path)
    return {key: found[key] for key in ("study", "plan", "kmc")}


def _read_study(path: Path) -> dict[str, Any]:
    """What study.json says, its layout checked."""
    file = path / STUDY_FILE
    try:
        found = read_json(file)
        names = [str(step["name"]) for step in found.get("steps", [])]
        if not all(re.fullmatch(r"\w{1,100}", name) for name in names):
            raise ValueError("a step has an impossible name")
        return {key: str(found[key]) for key in ("study", "plan", "kmc")} | {"steps": names}
    except (InputError, ValueError, KeyError, TypeError, AttributeError):
        raise InputError(
            f"{file} cannot be read, or is damaged", advice="Use another folder with -o."
        ) from None


def _head(study: str, plan: str, steps: Sequence[Step]) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "version": VERSION,
        "study": study,
        "plan": plan,
        "kmc": collect()["kmc"],
        "steps": [
            {"name": step.name, "what": step.what, "command": step.command} for step in steps
        ],
    }


def judge(folder: str | Path, *, progress: bool = False) -> list[dict[str, Any]]:
    """Judge the claims of the paper from the runs in a study folder, and write claims.json.

    Parameters
    ----------
    folder : str or Path
    progress : bool
        Show the progress of reading the runs on stderr.

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
    head = _read_head(path)
    if head["study"] not in STUDIES:
        raise InputError(
            f"{path} holds the study {head['study']!r}, which this kmc does not know",
            advice=f"It knows {', '.join(STUDIES)}.",
        )
    study = STUDIES[head["study"]]
    runs = study.read(path, progress)
    found = [{"paper": study.name, **claim.judged(runs)} for claim in study.claims]
    content = {
        "format": "kmc claims",
        "version": VERSION,
        **head,
        "papers": {study.name: study.paper},
        "runs": _done(path),
        "claims": found,
        "conditions": {title: rows(runs) for title, rows in study.conditions.items()},
    }
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    write(path / CLAIMS_FILE, text + "\n")
    return found


def _done(path: Path) -> dict[str, list[int]]:
    """Runs that are done and planned of each step that is a sweep; [0, 0] where none has begun."""
    found = {}
    for name in _read_study(path)["steps"]:
        if name in {entry.name for entry in path.iterdir() if (entry / "index.json").is_file()}:
            opened = open_folder(path / name)
            found[name] = [len(opened.done()), len(opened.plan.points)]
        elif not (path / f"{name}.json").is_file():
            found[name] = [0, 0]
    return found
