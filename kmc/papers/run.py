"""Studies, one for each paper: `run_study` runs the steps of one, one after the other, each skipped
where it is done, and judges the claims of its paper.

    study.json            what the study is: paper, plan, steps, versions
    NAME.toml, NAME/      a sweep: its file as `kmc sweep` takes it, and its folder
    convergence_*/        convergence studies, as of `kmc converge`
    nucleation_*.json     as of `kmc nucleation --json`
    claims.json           the table of claims

Interrupted, it goes on with the same call: what a sweep has is never run again. The papers are of
different systems and share no run. Another paper is a TOML file beside this module.
"""

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kmc.campaign.calibration.calibrate import load_calibration
from kmc.campaign.convergence.findings import ratio_text
from kmc.campaign.convergence.levels import Levels
from kmc.campaign.execute import run_plan
from kmc.campaign.folder import open_folder
from kmc.campaign.local import MakeWorkers
from kmc.campaign.plan import Plan, read_plan
from kmc.common.json_files import check_contents, json_safe, read_json
from kmc.common.outputs import claim_folder, write_text
from kmc.common.provenance import collect
from kmc.common.threads import cores
from kmc.common.validation import toml_value
from kmc.errors import InputError
from kmc.papers.claims import NOT_RUN, number_of
from kmc.papers.paper import NAMES, Paper, paper
from kmc.papers.readings import NONE, Reading, Runs, mean, read_samples, read_study

STUDY_FILE, CLAIMS_FILE = "study.json", "claims.json"
FORMAT = "kmc study"
VERSION = 1


@dataclass(frozen=True)
class StudyStep:
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
        tally = run_plan(self.plan(folder), own, make, workers=workers, progress=progress)
        return tally.interrupted

    def done(self, folder: Path) -> int:
        """Runs that are there."""
        own = folder / self.name
        return len(open_folder(own).done()) if (own / "index.json").is_file() else 0


def steps_of(study: Paper, plan: str) -> list[StudyStep]:
    """The steps of a plan: what most claims are judged from comes first."""
    chosen = study.planned(plan)
    return [_step(chosen, step) for step in chosen.steps]


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


def _step(study: Paper, step: Mapping[str, Any]) -> StudyStep:
    name, base, replicas = step["name"], step["run"], step["replicas"]

    def plan(folder: Path) -> Plan:
        if converges:
            asked = Levels(base, tuple(values), replicas=replicas, settings=step["set"])
            return asked.plan(folder / name)
        write_text(folder / f"{name}.toml", sweep_text(study, step))
        return read_plan(folder / f"{name}.toml")

    converges = step.get("kind") == "converge"
    values: Sequence[Any] = step["ratios"] if converges else study.rows_of(step)
    command = f"kmc sweep {name}.toml"
    if converges:
        # So that a reader can repeat the step by hand: kmc converge has no file for its settings.
        settings = " ".join(f'--set {key}="{value}"' for key, value in step["set"].items())
        command = f"kmc converge {base} --ratios {','.join(map(ratio_text, values))}"
        command += f" --replicas {replicas} {settings} -o {name}"
    points, seconds = len(values) * replicas, step.get("seconds", 1.0)
    return StudyStep(name, step["what"], command, plan, points, seconds)


def planned_lines(
    folder: str | Path,
    plan: str = "default",
    *,
    study: str = "operando",
    workers: int | None = None,
) -> list[str]:
    """What `run_study` would run, how long and where; nothing is written."""
    steps, workers = steps_of(_chosen(study, plan), plan), workers or cores()
    if Path(folder).is_dir():
        check_contents(Path(folder))
    lines, seconds = [], 0.0
    for step in steps:
        todo = step.points - step.done(Path(folder))
        seconds += (here := todo * step.seconds)
        runs = f"{todo} runs to do of {step.points}" if todo else f"all {step.points} runs done"
        lines.append(f"{step.name:24} {runs:>21} {math.ceil(here / 60):4} min  {step.what}")
    # Steps follow each other, but each of them has enough runs for all workers.
    total = math.ceil(seconds / 60 / workers)
    shared = "core" if workers == 1 else "cores"
    return [*lines, f"About {total} min on {workers} {shared}, in {folder}."]


def _chosen(study: str, plan: str) -> Paper:
    if study not in NAMES:
        raise InputError(f"there is no study {study!r}", advice=f"Choose {', '.join(NAMES)}.")
    chosen = paper(study)
    if plan not in ("default", *chosen.plans):
        plans = ", ".join(("default", *chosen.plans))
        raise InputError(f"there is no plan {plan!r} of {study}", advice=f"Choose {plans}.")
    return chosen


def plan_of(folder: str | Path) -> str:
    """The plan that a study folder holds; "default" where there is none yet."""
    path = Path(folder)
    return _read_head(path)["plan"] if (path / STUDY_FILE).is_file() else "default"


def run_study(
    folder: str | Path,
    plan: str = "default",
    *,
    study: str = "operando",
    make_workers: MakeWorkers | None = None,
    workers: int | None = None,
    progress: bool = True,
    report: Callable[[str], None] = lambda text: None,
    calibration: str | Path | None = None,
) -> list[dict[str, Any]]:
    """Run what a study lacks, and judge its claims, which are returned as in claims.json.

    `folder` is made, or gone on with where it holds the same study and `plan` ("reduced", "default"
    or "full" for the operando paper). `make_workers` starts workers elsewhere, else `workers` local
    processes; `report` receives a line for each step. Over the posterior runs of a `calibration`,
    the folder of a finished `kmc calibrate`, claims are judged too.

    Raises `InputError`: there is no such study or plan, or the folder holds something else.
    `KeyboardInterrupt`: Ctrl-C; what is done is kept, and the next call goes on.
    """
    chosen, path = _chosen(study, plan), Path(folder)
    if calibration is not None:
        load_calibration(calibration)  # refused before the first run
    if claim_folder(path, STUDY_FILE):
        old = _read_head(path)
        # Runs of two plans would not be one study: the claims compare all of them.
        if (old["study"], old["plan"]) != (study, plan):
            raise InputError(
                f"{path} holds the study {old['study']!r} with the plan {old['plan']!r}, not "
                f"{study!r} with {plan!r}",
                advice="Use another folder with -o, or the plan it holds.",
            )
    steps = steps_of(chosen, plan)
    head = {
        **{"format": FORMAT, "version": VERSION, "study": study, "plan": plan},
        "kmc": collect()["kmc"],
        "steps": [{"name": s.name, "what": s.what, "command": s.command} for s in steps],
    }
    # Written anew each time: a newer kmc goes on with its own steps.
    write_text(path / STUDY_FILE, json.dumps(head, indent=1, ensure_ascii=False))

    for number, step in enumerate(steps, start=1):
        report(f"[{number}/{len(steps)}] {step.what}")
        if step.run(path, make_workers, workers, progress):
            raise KeyboardInterrupt
    return judge(path, progress=progress, calibration=calibration)


def _read_head(path: Path) -> dict[str, str]:
    """Study, plan and version of kmc of a study folder, the layout of study.json checked."""
    check_contents(path)
    file = path / STUDY_FILE
    try:
        head = read_json(file)
        names = [str(step["name"]) for step in head.get("steps", [])]
        # Names become paths below the folder, and a folder may come from a stranger.
        if not all(re.fullmatch(r"\w{1,100}", name) for name in names):
            raise ValueError("a step has an impossible name")
        return {key: str(head[key]) for key in ("study", "plan", "kmc")}
    except (InputError, ValueError, KeyError, TypeError, AttributeError):
        raise InputError(
            f"{file} cannot be read, or is damaged", advice="Use another folder with -o."
        ) from None


def judge(
    folder: str | Path, *, progress: bool = False, calibration: str | Path | None = None
) -> list[dict[str, Any]]:
    """Judge the claims of the paper from the runs in a study folder, and write claims.json.

    With a `calibration`, as of `run_study`, each claim has ``calibrated`` beside its figures.
    `InputError` where it is not the folder of a study.
    """
    path = Path(folder)
    if not (path / STUDY_FILE).is_file():
        raise InputError(
            f"{path} is not the folder of a study", advice="kmc study operando makes one."
        )
    head = _read_head(path)
    study = _chosen(head["study"], head["plan"]).planned(head["plan"])
    steps = steps_of(study, "default")  # `study` has its plan already
    runs = read_study(study, path, progress)
    claims = [{"paper": study.name, **claim.judged(runs)} for claim in study.claims]
    about = None
    if calibration is not None:
        posterior = load_calibration(calibration)
        samples = read_samples(study, posterior)
        for entry, claim in zip(claims, study.claims, strict=True):
            evidence = claim.over(samples) if claim.figures else None
            # What no experiment stands for, such as a box of atoms, is not in this column.
            if evidence is not None and evidence.verdict != NOT_RUN:
                entry["calibrated"] = {"verdict": evidence.verdict, **evidence.plain()}
        kept = ("title", "file", "kmc", "posterior", "waves", "worst")
        plain = json_safe(dict(posterior.content), "never")
        about = {"samples": len(samples), **{key: plain[key] for key in kept}}
    content = {
        "format": "kmc claims",
        "version": VERSION,
        **head,
        "papers": {study.name: study.paper},
        "runs": {step.name: [step.done(path), step.points] for step in steps},
        "calibration": about,
        "claims": claims,
        "pictures": study.pictures,
        "conditions": {table["title"]: _means(runs, table) for table in study.tables},
    }
    # JSON has no NaN: what was not run is null, what never came is "never".
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    write_text(path / CLAIMS_FILE, text + "\n")
    return claims


def missing(folder: str | Path) -> list[str]:
    """What of the plan of a study has not been run, step by step; empty where all of it has."""
    counts = read_json(Path(folder) / CLAIMS_FILE)["runs"]
    return [f"{of - n} of the {of} runs of {name}" for name, (n, of) in counts.items() if n < of]


def _means(runs: Runs, table: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Means over the runs that agree in some keys, as plain data."""
    short = {key: key.rpartition(".")[2] for key in table["by"]}
    groups: dict[tuple, list[Reading]] = {}
    for reading in runs.readings:
        if reading.step in table["in"]:
            named = {**reading.settings, "step": reading.step}
            place = tuple(runs.study.value(named, key) for key in short)
            groups.setdefault(place, []).append(reading)
    rows = []
    for place, some in groups.items():
        means = {name: number_of(mean(some, name)) for name in table["columns"]}
        rows.append({**dict(zip(short.values(), place, strict=True)), "runs": len(some), **means})
    return rows
