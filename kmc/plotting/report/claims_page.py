"""The report of a study: its claims, its figures and its steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from kmc import plotting
from kmc.campaign.convergence.outcome import read_study
from kmc.campaign.folder import SweepFolder, open_folder
from kmc.common.formatting import figure, label
from kmc.common.json_files import read_json
from kmc.errors import InputError, KmcError
from kmc.plotting.report import common
from kmc.plotting.report.page import Badge, Page, Table, Text
from kmc.systems.run import load

# How each is shown, in the order of `kmc.papers.claims.VERDICTS`; a strange file may have others.
_VERDICTS = {
    **{"reproduced": "good", "rank only": "half", "not reproduced": "bad", "by input": "none"},
    **dict.fromkeys(("by definition", "by fit", "not addressable", "not run"), "none"),
}


def study_page(folder: Path) -> Page:
    """The page of a study folder, finished or not."""
    head = read_json(folder / "study.json")
    if not isinstance(head, dict) or head.get("format") != "kmc study":
        raise InputError(f"{folder / 'study.json'} is not that of a study of kmc")
    page = Page(
        folder.resolve().name, f"Study {head.get('study', '')} (kmc study), plan {head.get('plan')}"
    )
    found = folder / "claims.json"
    content = read_json(found) if found.is_file() else {"claims": []}
    if not isinstance(content, dict) or not isinstance(content.get("claims"), list):
        raise InputError(f"{found} is not a table of claims")
    claims = [claim for claim in content["claims"] if isinstance(claim, dict)]
    if claims:
        page.add("Claims", _tally(claims), _overview(claims))
    page.add("Figures", *_figures(folder, content.get("pictures", [])))
    page.add("Conditions", *_conditions(content))
    for paper in dict.fromkeys(str(claim.get("paper")) for claim in claims):
        chosen = [claim for claim in claims if str(claim.get("paper")) == paper]
        page.add(f"One by one: {paper}", *map(claim_part, chosen))
    page.add("Convergence", *_convergence(folder))
    names = [str(step.get("name", "")) for step in head.get("steps", [])]
    rows = [
        (name, _state(folder, name), step.get("command", ""), step.get("what", ""))
        for name, step in zip(names, head.get("steps", []), strict=True)
    ]
    page.add("Steps", Table(rows, ("step", "state", "by hand, in the folder", "what"), notes=True))
    _inputs(page, folder, names)
    common.add_versions(page, {"study by": f"kmc {head.get('kmc', 'unknown')}"})
    return page


def _conditions(content: Mapping[str, Any]) -> list[Table]:
    """Means at each condition, a table for each kind of run."""
    tables = []
    for title, rows in dict(content.get("conditions", {})).items():
        if rows:
            head = [label(str(key)) for key in rows[0]]
            cells = [[_value(value) for value in row.values()] for row in rows]
            tables.append(Table(cells, head, f"{title}: means at each condition"))
    return tables


def _tally(claims: Sequence[Mapping[str, Any]]) -> Text:
    verdicts = [str(claim.get("verdict")) for claim in claims]
    ordered = [v for v in dict.fromkeys((*_VERDICTS, *verdicts)) if v in verdicts]
    counts = ", ".join(f"{verdicts.count(v)} {v}" for v in ordered)
    return Text(
        [
            f"{len(claims)} claims: {counts}.",
            "A verdict follows from the figures by a rule: reproduced where each figure meets the "
            "paper's range and each order holds, rank only where the orders alone hold "
            "or the paper gives no range, by input or by definition where the answer was put in.",
        ]
    )


def _overview(claims: Sequence[Mapping[str, Any]]) -> Table:
    calibrated = any(map(calibrated_text, claims))
    rows = [
        (
            claim.get("title", ""),
            badge(claim),
            claim.get("statement", ""),
            _runs(claim),
            *((calibrated_text(claim),) if calibrated else ()),
        )
        for claim in claims
    ]
    head = ("claim", "verdict", "paper", "runs", *(("calibrated",) if calibrated else ()))
    return Table(rows, head, notes=True)


def verdict_text(claim: Mapping[str, Any]) -> str:
    """The verdict of a claim, with a mark where its rule was chosen after its counts were seen."""
    after = " (rule chosen after the counts)" if claim.get("rule_after") else ""
    return f"{claim.get('verdict')}{after}"


def calibrated_text(claim: Mapping[str, Any]) -> str:
    """Verdict and figures over a calibration; empty where there is none."""
    found = claim.get("calibrated")
    return f"{found.get('verdict')} ({_runs(found)})" if found else ""


def badge(claim: Mapping[str, Any]) -> Badge:
    """The verdict of a claim."""
    return Badge(verdict_text(claim), _VERDICTS.get(str(claim.get("verdict")), "none"))


def _runs(claim: Mapping[str, Any]) -> str:
    return "; ".join(figure_text(one) for one in claim.get("figures", []))


def figure_text(one: Mapping[str, Any]) -> str:
    """``Li 47.7 (45.6 to 49.8) 1/100 µm``."""
    unit = "" if one.get("unit") == "1" else f" {one.get('unit')}".replace(" °", "°")
    value, low, high = (one.get(key) for key in ("value", "low", "high"))
    text = f"{one.get('label')}: {_value(value)}"
    if one.get("runs", 0) > 1 and isinstance(value, float) and low != high:
        text += f" ({_value(low)} to {_value(high)})"
    return text + (unit if isinstance(value, float) else "")


def _value(value: Any) -> str:
    if value is None:
        return "not run"
    return figure(value) if isinstance(value, float) else str(value)


def claim_part(claim: Mapping[str, Any]) -> Table:
    """A claim with everything that belongs to it."""
    orders = [
        f"{order.get('text')}: {'yes' if order.get('holds') else 'no'}"
        for order in claim.get("orders", [])
    ]
    inputs = claim.get("inputs", [])
    carrying = [entry for entry in inputs if entry.get("carries")]
    rows = [
        ("paper", claim.get("statement", "")),
        ("where", claim.get("where", "")),
        ("runs", _runs(claim)),
        ("order", "; ".join(orders)),
        ("inputs that change the verdict", "; ".join(map(_carried, carrying))),
        ("inputs that do not", ", ".join(str(e.get("input")) for e in inputs if e not in carrying)),
        ("shown by", claim.get("command", "")),
        ("calibrated, median and 90 %", calibrated_text(claim)),
        ("rule changed", claim.get("rule_after", "")),
        ("how and why", claim.get("analysis", "")),
    ]
    title = str(claim.get("title", ""))
    return Table([row for row in rows if row[1]], caption=title, verdict=badge(claim))


def _carried(entry: Mapping[str, Any]) -> str:
    return f"{entry.get('input')}: {entry.get('verdict')} ({_runs(entry)})"


def _figures(folder: Path, pictures: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Pictures that the paper's file asks for, of the first run of each of their names."""
    parts = []
    for wanted in pictures:
        found = {name: _first(folder, *place) for name, place in wanted["runs"].items()}
        runs = {name: run for name, run in found.items() if run is not None}
        if runs:
            parts.append(common.picture(partial(_draw, runs, wanted["what"]), wanted["text"]))
    return parts


def _draw(runs: Mapping[str, Any], what: str) -> Any:
    # All are of one kind: a picture of the paper's file names runs of one step, or of equal ones.
    shown, names = list(runs.values()), list(runs)
    return shown[0].system.plot(shown, what, names=names, paper=what == "microscope")


def _first(folder: Path, step: str, params: str) -> Any:
    """The first run of a step with a parameter set; None where it is not done."""
    opened = _opened(folder, step)
    if opened is None:
        return None
    done, base = opened.done(), _base_set(opened)
    for point in opened.plan.points:
        if point.name in done and point.settings.get("system.params", base) == params:
            return load(opened.trajectory_path(point))
    return None


def _opened(folder: Path, step: str) -> SweepFolder | None:
    """The sweep of a step; a name in the study's files that leads elsewhere is not followed."""
    if not step or Path(step).name != step or not (folder / step / "index.json").is_file():
        return None
    return open_folder(folder / step)


def _base_set(opened: SweepFolder) -> Any:
    return dict(opened.plan.tables).get("system", {}).get("params")


def _convergence(folder: Path) -> list[Any]:
    parts: list[Any] = []
    for path in sorted(folder.glob("convergence_*/index.json")):
        name = path.parent.name
        try:
            found = read_study(path.parent)
        except KmcError as problem:  # one that is not finished must not cost the page
            parts.append(Text([f"{name}: {problem.message}"]))
            continue
        text = f"{name}: each number against the ratio of hops to stripped atoms"
        drawn = common.picture(partial(plotting.convergence_picture, found), text)
        parts += [Text([f"{name}:", *found.lines()]), drawn]
    return parts


def _state(folder: Path, name: str) -> str:
    """How far a step is."""
    opened = _opened(folder, name)
    if opened is not None:
        return f"{len(opened.done())} of {len(opened.plan.points)} runs"
    there = Path(name).name == name and (folder / f"{name}.json").is_file()
    return "done" if there else "not run"


def _inputs(page: Page, folder: Path, steps: Sequence[str]) -> None:
    """Settings of the first sweep, and the parameters of every set that a sweep takes."""
    sweeps = [opened for opened in (_opened(folder, step) for step in steps) if opened is not None]
    sets = dict.fromkeys(
        point.settings.get("system.params", _base_set(opened))
        for opened in sweeps
        for point in opened.plan.points
    )
    if sweeps:
        page.add(f"Settings of {sweeps[0].path.name}", common.settings_table(sweeps[0].plan.tables))
    for name in sets:
        common.add_parameters(page, name, f"Parameters and sources: {name}")
