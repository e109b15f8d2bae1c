"""docs/study_operando.md shows docs/study_operando.json, and that is what the runs gave.

The JSON is the ``claims.json`` of a run of the study. ``python tests/docs/test_study.py`` brings
its texts up to date and writes the tables of the page anew.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from kmc.common.formatting import label
from kmc.report.studies import figure_text
from kmc.study import PLANS, run_study
from kmc.study import run as module
from kmc.study.claims import NOT_ADDRESSABLE, Evidence, Figure, Order
from kmc.study.operando_claims import CLAIMS
from kmc.study.readings import Measured

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE, CLAIMS_FILE = DOCS / "study_operando.md", DOCS / "study_operando.json"
TEXTS = ("title", "statement", "where", "analysis", "command")
MARK = "<!-- Below: from study_operando.json, by python tests/docs/test_study.py -->"


def claims() -> dict:
    return json.loads(CLAIMS_FILE.read_text(encoding="utf-8"))


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\u00a0", " ")


def _figures(one: dict) -> str:
    return _cell("; ".join(figure_text(figure) for figure in one["figures"])) or "–"


def tables() -> str:
    """The claims as Markdown: all of them, then each with its inputs."""
    found = claims()
    verdicts = [claim["verdict"] for claim in found["claims"]]
    counts = ", ".join(f"{verdicts.count(v)} {v}" for v in dict.fromkeys(verdicts))
    lines = [
        "## Claims",
        "",
        f"Plan `{found['plan']}`, kmc {found['kmc']}. {len(verdicts)} claims: {counts}.",
        "",
        "| claim | paper | runs, mean (95 %) | verdict | inputs that change it |",
        "|---|---|---|---|---|",
    ]
    for claim in found["claims"]:
        carried = ", ".join(entry["input"] for entry in claim["inputs"] if entry["carries"])
        cells = (claim["title"], claim["statement"], _figures(claim), f"**{claim['verdict']}**")
        lines.append(f"| {' | '.join(map(_cell, cells))} | {_cell(carried) or '–'} |")
    rows = found["conditions"]["operando"]
    lines += ["", "Means of the populations at each condition:", ""]
    lines.append(f"| {' | '.join(label(key) for key in rows[0])} |")
    lines.append("|---" * len(rows[0]) + "|")
    for row in rows:
        cells = ("–" if v is None else f"{v:.3g}" if v != "never" else v for v in row.values())
        lines.append(f"| {' | '.join(cells)} |")
    for claim in found["claims"]:
        lines += ["", f"### {claim['title']}", "", f"{claim['where']}. {claim['analysis']}"]
        orders = [f"{o['text']}: {'yes' if o['holds'] else 'no'}" for o in claim["orders"]]
        if orders:
            lines += ["", f"Order: {'; '.join(orders)}."]
        if claim["command"]:
            lines += ["", f"Shown by `{claim['command']}`."]
        if claim["inputs"]:
            lines += ["", "| one input changed | runs | verdict |", "|---|---|---|"]
            for entry in claim["inputs"]:
                verdict = f"**{entry['verdict']}**" if entry["carries"] else entry["verdict"]
                lines.append(f"| {_cell(entry['input'])} | {_figures(entry)} | {verdict} |")
    return "\n".join(lines) + "\n"


def page_with_tables() -> str:
    head, mark, _ = PAGE.read_text(encoding="utf-8").partition(MARK)
    assert mark
    return f"{head}{MARK}\n\n{tables()}"


def test_the_page_shows_the_claims():
    text = PAGE.read_text(encoding="utf-8")
    assert text == page_with_tables(), "run: python tests/docs/test_study.py"


def test_the_claims_are_those_of_the_code():
    """Texts are those of today; no claim is missing, and none was added by hand."""
    assert claims() == with_texts_of_today(), "run: python tests/docs/test_study.py"


def with_texts_of_today() -> dict:
    """The committed claims with the texts of the code; figures and verdicts stay the run's."""
    found = claims()
    assert [claim["name"] for claim in found["claims"]] == [claim.name for claim in CLAIMS]
    for claim, entry in zip(CLAIMS, found["claims"], strict=True):
        entry |= {key: getattr(claim, key) for key in TEXTS}
    return found


def _evidence(entry: dict) -> Evidence:
    """Figures and orders as they were before they became JSON."""

    def number(value):
        return math.inf if value == "never" else value

    figures = []
    for one in entry["figures"]:
        m = Measured(*(number(one[key]) for key in ("value", "low", "high")), one["runs"])
        paper = None if one["paper"] is None else tuple(map(number, one["paper"]))
        measured = None if one["value"] is None else m
        figures.append(Figure(one["label"], one["unit"], measured, paper))
    return Evidence(figures, [Order(o["text"], o["holds"]) for o in entry["orders"]])


def test_verdicts_follow_from_the_figures():
    for claim in claims()["claims"]:
        if claim["verdict"] == NOT_ADDRESSABLE:
            assert claim["figures"] == []
            continue
        for entry in (claim, *claim["inputs"]):
            assert entry["verdict"] == _evidence(entry).verdict, claim["name"]
        for entry in claim["inputs"]:
            assert entry["carries"] == (entry["verdict"] != claim["verdict"])


@pytest.mark.slow
def test_runs_give_the_claims_again(tmp_path, monkeypatch):
    """The parameter set and the populations at the operando conditions, as in the plan."""
    found = claims()
    kept = ("checks", "operando")
    steps = module.steps_of

    def some(size):
        return [step for step in steps(size) if step.name in kept]

    monkeypatch.setattr(module, "steps_of", some)
    again = run_study(tmp_path / "study", found["plan"], progress=False)
    assert PLANS[found["plan"]].replicas == found["claims"][0]["figures"][0]["runs"]
    for new, old in zip(again, found["claims"], strict=True):
        if new["verdict"] in ("not run", "not addressable"):
            continue
        assert new["verdict"] == old["verdict"], new["name"]
        for one, other in zip(new["figures"], old["figures"], strict=True):
            # Populations are deterministic; last bits may differ on another processor, and grow.
            if isinstance(one["value"], float) and math.isfinite(one["value"]):
                low, high = other["low"], other["high"]
                slack = 0.02 * abs(other["value"])
                assert low - slack <= one["value"] <= high + slack, (new["name"], one)
            else:
                assert one["value"] == other["value"], (new["name"], one)


if __name__ == "__main__":
    fresh = json.dumps(with_texts_of_today(), indent=1, ensure_ascii=False)
    CLAIMS_FILE.write_text(fresh + "\n", encoding="utf-8")
    PAGE.write_text(page_with_tables(), encoding="utf-8")
