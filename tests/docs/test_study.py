"""The pages of the studies show their claims, docs/study_*.json, and these are what the runs gave.

The JSON is the ``claims.json`` of a run of a study. ``python tests/docs/test_study.py`` brings its
texts up to date and writes the tables of the pages anew; with the folder of a study it takes its
claims first. A page of an earlier version (`OLDER`) keeps its runs and texts; its verdicts are
those of today's rule.
"""

from __future__ import annotations

import json
import math
import re
import sys
from pathlib import Path

import pytest

from kmc.common.formatting import label
from kmc.papers import NAMES, paper, run_study
from kmc.papers import run as run_module
from kmc.papers.claims import (
    BY_DEFINITION,
    BY_FIT,
    BY_INPUT,
    NOT_ADDRESSABLE,
    NOT_REPRODUCED,
    NOT_RUN,
    RANK_ONLY,
    REPRODUCED,
    VERDICTS,
    Evidence,
    Figure,
    Order,
)
from kmc.papers.readings import RunMean
from kmc.papers.run import steps_of
from kmc.plotting.report.claims_page import figure_text, verdict_text

DOCS = Path(__file__).resolve().parents[2] / "docs"
OLDER: dict[str, str] = {}  # studies whose runs were others
TODAY = [name for name in NAMES if name not in OLDER]
AT_HAND = "python tests/docs/test_study.py"
MARK = f"<!-- Below: from the claims of the runs, by {AT_HAND} -->"
ALL = DOCS / "studies.md"
_IN_THE_CLAIMS = (
    "carbon with another",
    "cathodes with one input",
    "boxes of atoms",
)  # tables that say no more


def page_of(study: str) -> Path:
    return DOCS / f"study_{study}.md"


def claims(study: str) -> dict:
    return json.loads((DOCS / f"study_{study}.json").read_text(encoding="utf-8"))


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\u00a0", " ")


def _figures(one: dict) -> str:
    """The figures of a claim in a cell; ends of intervals stand in one word."""
    texts = (re.sub(r" to ([^ ]+\))", r"…\1", figure_text(figure)) for figure in one["figures"])
    return _cell("; ".join(texts)) or "–"


def _table(head, rows) -> list[str]:
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    return lines + [f"| {' | '.join(row)} |" for row in rows]


def _counts(claims: list[dict], key: str = "verdict") -> str:
    """How many have which verdict; those of others and of ours apart."""
    texts = []
    for apart in (False, True):
        some = [c[key] if key == "verdict" else c[key]["verdict"] for c in claims
                if bool(c["apart"]) == apart and key in c]  # fmt: skip
        counts = ", ".join(f"{some.count(v)} {v}" for v in VERDICTS if v in some)
        whose = "of others or ours" if apart else "claims"
        texts += [f"{len(some)} {whose}: {counts}"] if some else []
    return "; ".join(texts)


def _missing(found: dict) -> str:
    """What of the plan has not been run, in one sentence; empty where all of it has."""
    gaps = [
        f"{of - n} of the {of} runs of `{name}`" if of else f"`{name}`"
        for name, (n, of) in found["runs"].items()
        if n < of or not of
    ]
    return f" **Not run yet: {', '.join(gaps)}.**" if gaps else ""


def _conditions(found: dict) -> list[str]:
    lines = []
    for title, rows in found["conditions"].items():
        if rows and not title.startswith(_IN_THE_CLAIMS):
            cells = [
                ["–" if v is None else f"{v:.3g}" if isinstance(v, float | int) else v
                 for key, v in row.items() if key != "runs"]
                for row in rows
            ]  # fmt: skip
            head = [label(key) for key in rows[0] if key != "runs"]
            lines += ["", f"Means of {title}:", "", *_table(head, cells)]
    return lines


def _carried(claim: dict) -> str:
    """Inputs that turn the verdict, by the verdict they turn it to."""
    found: dict[str, list[str]] = {}
    for entry in claim["inputs"]:
        if entry["carries"]:
            found.setdefault(entry["verdict"], []).append(entry["input"])
    return "; ".join(f"{verdict} with {', '.join(names)}" for verdict, names in found.items())


def _notes(claim: dict, brief: bool) -> str:
    """What fails, how it is compared, and which inputs turn the verdict.

    Brief where there are two columns: how it is compared stands in `kmc report` and claims.json.
    """
    failed = [order["text"] for order in claim["orders"] if not order["holds"]]
    failed = failed if len(claim["orders"]) > 1 else []  # the verdict says it of a single one
    parts = [f"Does not hold: {'; '.join(failed)}."] if failed and not brief else []
    parts += [claim["analysis"]] if claim["analysis"] and not brief else []
    parts += [f"Rule: {claim['rule_after']}."] if claim.get("rule_after") else []
    carried = _carried(claim)
    parts += [f"**{carried[0].upper()}{carried[1:]}.**"] if carried else []
    return f"- *{claim['title']}*: {' '.join(parts)}" if parts else ""


def _second(claim: dict) -> list[str]:
    """Figures without their labels, which the first column has, and the verdict."""
    found = claim.get("calibrated")
    if not found:
        return ["–", ""]
    first = {figure["label"] for figure in claim["figures"]}
    bare = [one | {"label": ""} if one["label"] in first else one for one in found["figures"]]
    return [re.sub(r"(^|; ): ", r"\1", _figures({"figures": bare})), f"**{found['verdict']}**"]


def tables(study: str) -> str:
    """The claims as Markdown: a table, means at each condition, and what is to be said of each."""
    found = claims(study)
    calibrated = bool(found.get("calibration"))
    rows = [
        [*map(_cell, (claim["title"], claim["statement"])),
         _figures(claim) if claim["figures"] else _cell(claim["analysis"]),
         f"**{verdict_text(claim)}**", *(_second(claim) if calibrated else ())]
        for claim in found["claims"]
    ]  # fmt: skip
    head = ["claim", "paper", "runs", "verdict", *(("calibrated", "") if calibrated else ())]
    lines = [
        "## Claims",
        "",
        f"Plan `{found['plan']}`, kmc {found['kmc']}. {_counts(found['claims'])}."
        f"{_missing(found)} In parentheses: 95 % intervals.",
        "",
        *_table(head, rows),
        "",
        *filter(None, (_notes(claim, calibrated) for claim in found["claims"] if claim["figures"])),
        *(() if calibrated else _conditions(found)),
    ]
    return "\n".join(lines) + "\n"


def overview() -> str:
    """How many claims of each paper have which verdict, as Markdown; each stands on its page."""
    lines = []
    for study in NAMES:
        found = claims(study)
        counted = f"{_counts(found['claims'])} ([each](study_{study}.md))."
        counted += _missing(found)
        lines += ["", f"## {found['papers'][study]}", "", counted]
        if found.get("calibration"):
            samples = found["calibration"]["samples"]
            text = f"Calibrated on Fig. 1 and 7 MPa, {samples} samples"
            lines += ["", f"{text}: {_counts(found['claims'], 'calibrated')}."]
    return "\n".join(lines[1:]) + "\n"


def with_tables(path: Path, text: str) -> str:
    head, mark, _ = path.read_text(encoding="utf-8").partition(MARK)
    assert mark, path
    return f"{head}{MARK}\n\n{text}"


@pytest.mark.parametrize("study", NAMES)
def test_a_page_shows_the_claims(study):
    text = page_of(study).read_text(encoding="utf-8")
    assert text == with_tables(page_of(study), tables(study)), f"run: {AT_HAND}"


def test_the_overview_shows_the_claims_of_all_papers():
    assert ALL.read_text(encoding="utf-8") == with_tables(ALL, overview()), f"run: {AT_HAND}"


def test_the_readme_counts_the_claims():
    """Those that the three papers make, as the runs that ship answer them."""
    every = [c["verdict"] for study in NAMES for c in claims(study)["claims"] if not c["apart"]]
    n = {verdict: every.count(verdict) for verdict in VERDICTS}
    text = (
        f"of {len(every)} claims it reproduces {n[REPRODUCED]}, {n[RANK_ONLY]} in rank only, "
        f"{n[NOT_REPRODUCED]} not; {n[BY_INPUT] + n[BY_DEFINITION] + n[BY_FIT]} hold by input, "
        f"definition or fit, {n[NOT_ADDRESSABLE]} are beyond the model"
    )
    readme = (DOCS.parent / "README.md").read_text(encoding="utf-8")
    assert text in " ".join(readme.split()), text


@pytest.mark.parametrize("study", TODAY)
def test_the_claims_are_those_of_the_code(study):
    """Texts are those of today; no claim is missing, and none was added by hand."""
    assert claims(study) == with_texts_of_today(study), f"run: {AT_HAND}"


def with_texts_of_today(study: str) -> dict:
    """The committed claims with the texts and the rule of the code; figures stay the run's."""
    found = claims(study)
    known = {} if study in OLDER else {claim.name: claim for claim in paper(study).claims}
    assert study not in OLDER or found["kmc"] == OLDER[study]
    assert study in OLDER or [claim["name"] for claim in found["claims"]] == [*known]
    for entry in found["claims"]:
        follows = known[entry["name"]].follows if known else ""
        if entry["verdict"] != NOT_ADDRESSABLE:
            for one in (entry, *entry["inputs"]):
                evidence = _evidence(one, follows)
                one |= {"verdict": evidence.verdict, **evidence.plain()}
            if "calibrated" in entry:
                fitted = BY_FIT if known[entry["name"]].fitted else follows
                evidence = _evidence(entry["calibrated"], fitted)
                entry["calibrated"] = {"verdict": evidence.verdict, **evidence.plain()}
            for one in entry["inputs"]:
                one["carries"] = one["verdict"] != entry["verdict"]
        if known:
            entry |= known[entry["name"]].texts(entry["verdict"])
    return found


def _evidence(entry: dict, follows: str = "") -> Evidence:
    """Figures and orders as they were before they became JSON."""

    def number(value):
        return math.inf if value == "never" else value

    figures = []
    for one in entry["figures"]:
        m = RunMean(*(number(one[key]) for key in ("value", "low", "high")), one["runs"])
        paper = None if one["paper"] is None else tuple(map(number, one["paper"]))
        measured = None if one["value"] is None else m
        figures.append(Figure(one["label"], one["unit"], measured, paper))
    return Evidence(figures, [Order(o["text"], o["holds"]) for o in entry["orders"]], follows)


@pytest.mark.parametrize("study", NAMES)
def test_verdicts_follow_from_the_figures(study):
    follows = {} if study in OLDER else {c.name: c.follows for c in paper(study).claims}
    for claim in claims(study)["claims"]:
        if claim["verdict"] == NOT_ADDRESSABLE:
            assert claim["figures"] == []
            continue
        for entry in (claim, *claim["inputs"]):
            assert entry["verdict"] == _evidence(entry, follows.get(claim["name"], "")).verdict
        for entry in claim["inputs"]:
            assert entry["carries"] == (entry["verdict"] != claim["verdict"])


def test_the_fit_of_the_cathode_is_that_of_its_runs():
    """σ_ref × 6 in docs/cathode.md: three numbers in the first and the third cycle."""
    page = (DOCS / "cathode.md").read_text(encoding="utf-8")
    text = page.partition("fit of one number")[2].partition("Shipped runs")[0]
    names = ["contact_frame", "stress_active", "stress_frame"]
    fitted = {
        claim["name"]: [f"{figure['value']:.3g}" for figure in entry["figures"]]
        for claim in claims("cathode")["claims"]
        for entry in claim["inputs"]
        if entry["input"] == "σ_ref × 6" and claim["name"] in names
    }
    assert [*fitted] == names
    for first, last, _ in fitted.values():
        assert re.search(rf"{first}(?: GPa in cycle 1\s+and|,)\s+{last}", text), (first, last)


def test_the_second_column_is_that_of_the_stored_calibration():
    """One run of kmc calibrate stands behind docs/calibration.md and the study's page."""
    stored = json.loads((DOCS / "calibration_operando.json").read_text(encoding="utf-8"))
    about = claims("operando")["calibration"]
    assert [about[key] for key in ("file", "posterior", "waves")] == [
        stored[key] for key in ("file", "posterior", "waves")
    ]
    judged = [c for c in claims("operando")["claims"] if "calibrated" in c]
    assert len(judged) >= 12


@pytest.mark.long
@pytest.mark.parametrize(
    ("study", "kept"),
    [("interlayer", ("map", "islands", "layer", "cycles_40")), ("cathode", ("licoo2", "fes"))],
)
def test_runs_give_the_claims_again(study, kept, tmp_path, monkeypatch):
    """Steps that some claims need alone, as in the plan; the others are judged as not run."""
    found = claims(study)
    steps = [step for step in steps_of(paper(study), found["plan"]) if step.name in kept]
    monkeypatch.setattr(run_module, "steps_of", lambda study, plan: steps)
    again = run_study(tmp_path / "study", found["plan"], study=study, progress=False)
    compared = 0
    for new, old in zip(again, found["claims"], strict=True):
        if new["verdict"] in (NOT_RUN, NOT_ADDRESSABLE):
            continue
        compared += 1
        assert new["verdict"] == old["verdict"], new["name"]
        for one, other in zip(new["figures"], old["figures"], strict=True):
            assert one["runs"] == other["runs"]
            # Runs are deterministic; last bits may differ on another processor, and grow.
            if isinstance(one["value"], float) and math.isfinite(one["value"]):
                low, high = other["low"], other["high"]
                slack = 0.02 * abs(other["value"])
                assert low - slack <= one["value"] <= high + slack, (new["name"], one)
            else:
                assert one["value"] == other["value"], (new["name"], one)
    assert compared >= 1


if __name__ == "__main__":
    for folder in map(Path, sys.argv[1:]):
        judged = json.loads((folder / "claims.json").read_text(encoding="utf-8"))
        target = DOCS / f"study_{judged['study']}.json"
        target.write_text(json.dumps(judged, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    for name in NAMES:
        fresh = json.dumps(with_texts_of_today(name), indent=1, ensure_ascii=False)
        (DOCS / f"study_{name}.json").write_text(fresh + "\n", encoding="utf-8")
        page = page_of(name)
        page.write_text(with_tables(page, tables(name)), encoding="utf-8")
    ALL.write_text(with_tables(ALL, overview()), encoding="utf-8")
