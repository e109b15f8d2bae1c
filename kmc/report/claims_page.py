"""The report of a study: its claims, its figures and its steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from kmc import plotting
from kmc.campaign.convergence.reading import read_study
from kmc.campaign.folder import open_folder
from kmc.common.formatting import figure, label
from kmc.common.json_files import read_json
from kmc.errors import InputError, KmcError
from kmc.report import common
from kmc.report.page import Badge, ClaimEntry, Page, Table, Text
from kmc.runfile.kinds import BOX
from kmc.systems.run import load

_KINDS = {
    "reproduced": "good",
    "rank only": "half",
    "not reproduced": "bad",
}
_MICROSCOPE = (
    "Contact loss, cuts of voids on 100 µm of line, widths, heights and overpotential of the first "
    "population of each metal, beside the operando images of Zhao et al. (2025), "
    "10.1038/s41467-025-59567-8"
)


@dataclass(frozen=True)
class _Shown:
    """What the page of a study shows of its runs.

    Attributes
    ----------
    step, params : str
        The sweep whose settings are listed, and the parameter set.
    runs : mapping of str to tuple of str
        Name in the pictures → step and parameter set of a run; the first replica is drawn.
    pictures : mapping of str to tuple
        Picture → its caption, and the names of the runs that are in it.
    """

    step: str
    params: str
    runs: Mapping[str, tuple[str, str]]
    pictures: Mapping[str, tuple[str, Sequence[str]]]


_SHOWN = {
    "operando": _Shown(
        "operando",
        "limg_li2s",
        {"Li": ("operando", "li_li2s"), "Li-Mg": ("operando", "limg_li2s")},
        {
            "microscope": (_MICROSCOPE, ("Li", "Li-Mg")),
            "map": ("The interface from above: contact in grey, voids in blue", ("Li", "Li-Mg")),
        },
    ),
    "interlayer": _Shown(
        "efficiency",
        "li_carbon",
        {"ZnO (002)": ("efficiency", "li_zno_002"), "carbon": ("efficiency", "li_carbon")},
        {
            "summary": (
                "Lithium on ZnO (002) and on carbon by Aurbach's protocol, the first run of each",
                ("ZnO (002)", "carbon"),
            ),
            "map": ("The deposits from above", ("ZnO (002)", "carbon")),
        },
    ),
    "cathode": _Shown(
        "selenium",
        "se",
        {"Se": ("selenium", "se"), "FeS": ("fes", "fes"), "LiCoO2": ("licoo2", "licoo2")},
        {
            "summary": (
                "Contact, pores and stress at the end of each lithiation and delithiation, the "
                "first run of each active material",
                ("Se", "FeS", "LiCoO2"),
            ),
            "map": ("The microstructure with selenium, and its stress", ("Se",)),
        },
    ),
}


def study_page(folder: Path) -> Page:
    """The page of a study folder, finished or not."""
    head = read_json(folder / "study.json")
    if not isinstance(head, dict) or head.get("format") != "kmc study":
        raise InputError(f"{folder / 'study.json'} is not that of a study of kmc")
    page = Page(
        folder.resolve().name, f"Study {head.get('study', '')} (kmc study), plan {head.get('plan')}"
    )
    content = _content(folder)
    claims = [claim for claim in content.get("claims", []) if isinstance(claim, dict)]
    if claims:
        page.add("Claims", _tally(claims), _overview(claims))
    shown = _SHOWN.get(str(head.get("study")))
    if shown is not None:
        page.add("Figures", *_figures(folder, shown))
    page.add("Conditions", *_conditions(content))
    for paper in dict.fromkeys(str(claim.get("paper")) for claim in claims):
        chosen = [claim for claim in claims if str(claim.get("paper")) == paper]
        page.add(f"One by one: {paper}", *map(claim_part, chosen))
    page.add("Convergence", *_convergence(folder))
    steps = [
        (step.get("name", ""), _state(folder, str(step.get("name", ""))), step.get("command", ""),
         step.get("what", ""))
        for step in head.get("steps", [])
    ]  # fmt: skip
    page.add("Steps", Table(steps, ("step", "state", "by hand, in the folder", "what"), notes=True))
    if shown is not None:
        _inputs(page, folder, shown)
    common.add_versions(page, {"study by": f"kmc {head.get('kmc', 'unknown')}"})
    return page


def _content(folder: Path) -> dict[str, Any]:
    """What claims.json holds; empty where the study has not come so far."""
    path = folder / "claims.json"
    if not path.is_file():
        return {}
    found = read_json(path)
    if not isinstance(found, dict) or not isinstance(found.get("claims"), list):
        raise InputError(f"{path} is not a table of claims")
    return found


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
    counts = ", ".join(f"{verdicts.count(v)} {v}" for v in dict.fromkeys(verdicts))
    return Text(
        [
            f"{len(claims)} claims: {counts}.",
            "A verdict follows from the figures by a rule: reproduced where each 95 % interval "
            "meets the paper's range and each order holds, rank only where the orders alone hold "
            "or the paper gives no range, by input or by definition where the answer was put in.",
        ]
    )


def _overview(claims: Sequence[Mapping[str, Any]]) -> Table:
    rows = [
        (
            claim.get("title", ""),
            badge(claim),
            claim.get("statement", ""),
            "; ".join(figure_text(one) for one in claim.get("figures", [])),
        )
        for claim in claims
    ]
    return Table(rows, ("claim", "verdict", "paper", "runs"), notes=True)


def verdict_text(claim: Mapping[str, Any]) -> str:
    """The verdict of a claim, with a mark where its rule was chosen after its counts were seen."""
    after = " (rule chosen after the counts)" if claim.get("rule_after") else ""
    return f"{claim.get('verdict')}{after}"


def badge(claim: Mapping[str, Any]) -> Badge:
    """The verdict of a claim."""
    return Badge(verdict_text(claim), _KINDS.get(str(claim.get("verdict")), "none"))


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


def claim_part(claim: Mapping[str, Any]) -> ClaimEntry:
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
        ("runs", "; ".join(figure_text(one) for one in claim.get("figures", []))),
        ("order", "; ".join(orders)),
        ("inputs that change the verdict", "; ".join(map(_carried, carrying))),
        ("inputs that do not", ", ".join(str(e.get("input")) for e in inputs if e not in carrying)),
        ("shown by", claim.get("command", "")),
        ("rule changed", claim.get("rule_after", "")),
        ("how and why", claim.get("analysis", "")),
    ]
    return ClaimEntry(str(claim.get("title", "")), badge(claim), [row for row in rows if row[1]])


def _carried(entry: Mapping[str, Any]) -> str:
    figures = ", ".join(figure_text(one) for one in entry.get("figures", []))
    return f"{entry.get('input')}: {entry.get('verdict')} ({figures})"


def _figures(folder: Path, shown: _Shown) -> list[Any]:
    """Pictures of the first run of each name."""
    found = {name: _first(folder, *place) for name, place in shown.runs.items()}
    parts = []
    for what, (text, wanted) in shown.pictures.items():
        names = [name for name in wanted if found[name] is not None]
        runs = [found[name] for name in names]
        if runs:
            parts.append(common.picture(partial(_draw, runs, names, what), text))
    return parts


def _draw(runs: Sequence[Any], names: Sequence[str], what: str) -> Any:
    return runs[0].system.plot(runs, what, names=names, paper=what == "microscope")


def _first(folder: Path, step: str, params: str) -> Any:
    """The first run of a step with a parameter set; None where it is not done."""
    if not (folder / step / "index.json").is_file():
        return None
    opened = open_folder(folder / step)
    done = opened.done()
    base = dict(opened.plan.tables).get("system", {}).get("params")
    for point in opened.plan.points:
        if point.name in done and point.settings.get("system.params", base) == params:
            found = load(opened.trajectory_path(point))
            if found.kind != BOX:
                return found
    return None


def _convergence(folder: Path) -> list[Any]:
    parts: list[Any] = []
    for path in sorted(folder.glob("convergence_*")):
        if not (path / "index.json").is_file():
            continue
        try:
            found = read_study(path)
        except KmcError as problem:
            parts.append(Text([f"{path.name}: {problem.message}"]))
            continue
        parts.append(Text([f"{path.name}:", *found.lines()]))
        parts.append(
            common.picture(
                lambda found=found: plotting.convergence_picture(found),  # type: ignore[misc]
                f"{path.name}: each number against the ratio of hops to stripped atoms",
            )
        )
    return parts


def _state(folder: Path, name: str) -> str:
    """How far a step is; a name of the study file that leads elsewhere is not followed."""
    if not name or Path(name).name != name:
        return "not run"
    if (folder / name / "index.json").is_file():
        opened = open_folder(folder / name)
        return f"{len(opened.done())} of {len(opened.plan.points)} runs"
    return "done" if (folder / f"{name}.json").is_file() else "not run"


def _inputs(page: Page, folder: Path, shown: _Shown) -> None:
    """Settings and parameters; the alloy's set holds those of lithium too."""
    from kmc.model.parameters import load_parameters

    if (folder / shown.step / "index.json").is_file():
        tables = dict(open_folder(folder / shown.step).plan.tables)
        tables["system"] = {**tables.get("system", {}), "params": shown.params}
        common.add_inputs(page, tables, load_parameters(shown.params).resolved())
