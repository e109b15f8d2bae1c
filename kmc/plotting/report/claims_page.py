"""Reports of studies, with their claims, figures and steps, and of calibrations."""

import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from kmc import plotting
from kmc.campaign.calibration.calibrate import load_calibration
from kmc.campaign.convergence.outcome import read_study
from kmc.campaign.folder import SweepFolder, open_folder
from kmc.campaign.points import Point
from kmc.common.formatting import figure, label, quantity
from kmc.common.json_files import read_json
from kmc.errors import InputError, KmcError
from kmc.plotting.report import page as html
from kmc.systems.run import load

# How each is shown, in the order of `kmc.papers.claims.VERDICTS`; a strange file may have others.
_VERDICTS = {
    **{"reproduced": "good", "rank only": "half", "not reproduced": "bad", "by input": "none"},
    **dict.fromkeys(("by definition", "by fit", "not addressable", "not run"), "none"),
}


def study_page(folder: Path) -> html.Page:
    """The page of a study folder, finished or not."""
    head = read_json(folder / "study.json")
    if not isinstance(head, dict) or head.get("format") != "kmc study":
        raise InputError(f"{folder / 'study.json'} is not that of a study of kmc")
    page = html.Page(
        folder.resolve().name, f"Study {head.get('study', '')} (kmc study), plan {head.get('plan')}"
    )
    claims_path = folder / "claims.json"
    content = read_json(claims_path) if claims_path.is_file() else {"claims": []}
    claims = [claim for claim in content["claims"] if isinstance(claim, dict)]
    if claims:
        verdicts = [str(claim.get("verdict")) for claim in claims]
        ordered = [v for v in dict.fromkeys((*_VERDICTS, *verdicts)) if v in verdicts]
        counts = ", ".join(f"{verdicts.count(v)} {v}" for v in ordered)
        tally = html.Text([f"{len(claims)} claims: {counts}.", _RULE])
        names = ["claim", "verdict", "paper", "runs"]
        cells = [[c.get("title", ""), badge(c), c.get("statement", ""), _runs(c)] for c in claims]
        if any(map(calibrated_text, claims)):
            names.append("calibrated")
            cells = [[*row, calibrated_text(c)] for row, c in zip(cells, claims, strict=True)]
        page.add("Claims", tally, html.Table(cells, names, notes=True))
    page.add("Figures", *_figures(folder, content.get("pictures", [])))
    means = [
        html.Table(
            [[_value(value) for value in row.values()] for row in rows],
            [label(str(key)) for key in rows[0]],
            f"{title}: means at each condition",
        )
        for title, rows in dict(content.get("conditions", {})).items()
        if rows
    ]
    page.add("Conditions", *means)
    for paper in dict.fromkeys(str(claim.get("paper")) for claim in claims):
        chosen = [claim for claim in claims if str(claim.get("paper")) == paper]
        page.add(f"One by one: {paper}", *map(claim_part, chosen))
    parts: list[Any] = []
    for path in sorted(folder.glob("convergence_*/index.json")):
        name = path.parent.name
        try:
            study = read_study(path.parent)
        except KmcError as problem:  # one that is not finished must not cost the page
            parts.append(html.Text([f"{name}: {problem.message}"]))
            continue
        text = f"{name}: each number against the ratio of hops to stripped atoms"
        drawn = html.picture(partial(plotting.convergence_picture, study), text)
        parts += [html.Text([f"{name}:", *study.lines()]), drawn]
    page.add("Convergence", *parts)
    steps = {str(step.get("name", "")): step for step in head.get("steps", [])}
    opened = {name: _opened(folder, name) for name in steps}
    rows = []
    for name, step in steps.items():
        state, sweep = "not run", opened[name]
        if sweep is not None:
            state = f"{len(sweep.done())} of {len(sweep.plan.points)} runs"
        elif Path(name).name == name and (folder / f"{name}.json").is_file():
            state = "done"
        rows.append((name, state, step.get("command", ""), step.get("what", "")))
    page.add(
        "Steps", html.Table(rows, ("step", "state", "by hand, in the folder", "what"), notes=True)
    )
    # Settings of the first sweep, and the parameters of every set that one of them takes.
    sweeps = [sweep for sweep in opened.values() if sweep is not None]
    if sweeps:
        page.add(f"Settings of {sweeps[0].path.name}", html.settings_table(sweeps[0].plan.tables))
    for name in dict.fromkeys(_set_of(s, point) for s in sweeps for point in s.plan.points):
        html.add_parameters(page, name, f"Parameters and sources: {name}")
    html.add_versions(page, {"study by": f"kmc {head.get('kmc', 'unknown')}"})
    return page


_RULE = (
    "A verdict follows from the figures by a rule: reproduced where each figure meets the paper's "
    "range and each order holds, rank only where the orders alone hold or the paper gives no "
    "range, by input or by definition where the answer was put in."
)


def verdict_text(claim: Mapping[str, Any]) -> str:
    """The verdict of a claim, with a mark where its rule was chosen after its counts were seen."""
    after = " (rule chosen after the counts)" if claim.get("rule_after") else ""
    return f"{claim.get('verdict')}{after}"


def calibrated_text(claim: Mapping[str, Any]) -> str:
    """Verdict and figures over a calibration; empty where there is none."""
    calibration = claim.get("calibrated")
    return f"{calibration.get('verdict')} ({_runs(calibration)})" if calibration else ""


def badge(claim: Mapping[str, Any]) -> html.Badge:
    """The verdict of a claim."""
    return html.Badge(verdict_text(claim), _VERDICTS.get(str(claim.get("verdict")), "none"))


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


def claim_part(claim: Mapping[str, Any]) -> html.Table:
    """A claim with everything that belongs to it."""
    orders = [
        f"{order.get('text')}: {'yes' if order.get('holds') else 'no'}"
        for order in claim.get("orders", [])
    ]
    inputs = claim.get("inputs", [])
    carrying = [entry for entry in inputs if entry.get("carries")]
    changed = [f"{e.get('input')}: {e.get('verdict')} ({_runs(e)})" for e in carrying]
    rows = [
        ("paper", claim.get("statement", "")),
        ("where", claim.get("where", "")),
        ("runs", _runs(claim)),
        ("order", "; ".join(orders)),
        ("inputs that change the verdict", "; ".join(changed)),
        ("inputs that do not", ", ".join(str(e.get("input")) for e in inputs if e not in carrying)),
        ("shown by", claim.get("command", "")),
        ("calibrated, median and 90 %", calibrated_text(claim)),
        ("rule changed", claim.get("rule_after", "")),
        ("how and why", claim.get("analysis", "")),
    ]
    title = str(claim.get("title", ""))
    return html.Table([row for row in rows if row[1]], caption=title, verdict=badge(claim))


def _figures(folder: Path, pictures: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Pictures that the paper's file asks for, of the first run of each of their names."""

    def draw(runs: Mapping[str, Any], what: str) -> Any:
        # All are of one kind: a picture of a paper's file names runs of one step, or equal ones.
        shown, names = list(runs.values()), list(runs)
        return shown[0].system.plot(shown, what, names=names, paper=what == "microscope")

    parts = []
    for wanted in pictures:
        runs = {}
        for name, (step, params) in wanted["runs"].items():
            opened = _opened(folder, step)
            if opened is None:  # the study may not have come to this step yet
                continue
            done = opened.done()
            for point in opened.plan.points:
                if point.name in done and _set_of(opened, point) == params:
                    runs[name] = load(opened.trajectory_path(point))
                    break
        if runs:
            parts.append(html.picture(partial(draw, runs, wanted["what"]), wanted["text"]))
    return parts


def _opened(folder: Path, step: str) -> SweepFolder | None:
    """The sweep of a step; a name in the study's files that leads elsewhere is not followed."""
    if not re.fullmatch(r"\w{1,100}", step) or not (folder / step / "index.json").is_file():
        return None
    return open_folder(folder / step)


def _set_of(opened: SweepFolder, point: Point) -> Any:
    """Parameter set of a point: its own, or that of the sweep."""
    base = dict(opened.plan.tables).get("system", {}).get("params")
    return point.settings.get("system.params", base)


# --- calibrations ---------------------------------------------------------------------------------

_KINDS = {"within": "good", "outside": "bad", "not judged": "none"}
_ROWS = 12  # measurements that are listed


def calibration_page(folder: Path) -> html.Page:
    """The page of a folder of `kmc calibrate`: inputs left, predictions, what to measure."""
    calibration = load_calibration(folder)
    content, inputs = calibration.content, calibration.inputs
    page = html.Page(content["title"], "Calibration (kmc calibrate)")
    page.add("Summary", html.Text([line.strip() for line in calibration.lines() if line]))
    if calibration.plausible:
        head = ("input", "prior", "median", "90 % interval", "width left")
        rows: list[Any] = []
        for row in content["posterior"]:
            about = content["inputs"][row["input"]]
            kind = next(key for key in ("uniform", "log_uniform", "normal") if about.get(key))
            unit = quantity(about["keys"][0])[1]
            prior = f"{kind.replace('_', '-')} {about[kind][0]:g}, {about[kind][1]:g}"
            interval = f"{figure(row['low'])} to {figure(row['high'], unit)}"
            idle = ", no effect" * (row["input"] in content["idle"])
            width_left = f"{100 * row['width_left']:.0f} %{idle}"
            rows.append((row["input"], prior, figure(row["median"]), interval, width_left))
        table = html.Table(rows, head)
        text = "Posterior of every input and pair of inputs"
        page.add("Inputs", table, html.picture(calibration.plot, text))
    if content["predictions"]:
        text = "Runs at samples of the posterior over the data"
        drawn = html.picture(partial(calibration.plot, "predictions"), text)
        head = ("quantity", "measured", "90 % of runs", "", "source")
        rows = []
        for row in content["predictions"]:
            # An end may be the word "never".
            low, high = (
                v if isinstance(v, str) else html.number(v and float(f"{v:.3g}"))
                for v in (row["low"], row["high"])
            )
            kind = "seen: " if row.get("seen") else "held out: " * row["held_out"]
            verdict = html.Badge(kind + row["verdict"], _KINDS[row["verdict"]])
            where = f"{row['experiment']}, {row['quantity']}"
            rows.append((where, row["measured"], f"{low} to {high}", verdict, row["source"]))
        page.add("Predictions", drawn, html.Table(rows, head))
    if content["next"]:
        rows = []
        for measure in content["next"][:_ROWS]:
            shares = (f"{100 * measure['left'][name]:.0f} %" for name in inputs)
            rows.append((f"{measure['measure']}, to {measure['to']}", *shares))
        caption = "Share of the variance of an input that one more measurement leaves"
        page.add("What to measure next", html.Table(rows, ("measurement", *inputs), caption))
    errors = []
    for emulator in content["emulators"]:
        misfit = (
            html.number(emulator[k] and round(emulator[k], 2)) for k in ("rms_error", "beyond_2")
        )
        errors.append((emulator["quantity"], emulator["settings"], *misfit))
    caption = "Left-one-out errors over their standard deviation: 1 and 0.05 are right"
    found_by = html.Table(errors, ("quantity", "settings", "rms of errors", "beyond 2"), caption)
    sobol = [(name, *(f"{row[n]:.2f}" for n in inputs)) for name, row in content["sobol"].items()]
    indices = html.Table(sobol, ("quantity", *inputs), "Total Sobol indices over the priors")
    page.add("Emulators", found_by, indices)
    stated = [(quantity(key)[0], str(value)) for key, value in content["discrepancy"].items()]
    page.add("Stated discrepancies", html.Table(stated, ("column", "one standard deviation")))
    if content["text"]:
        page.add("Calibration file", html.Listing(content["file"], content["text"]))
    html.add_versions(page, {"written by": f"kmc {content['kmc']}"})
    return page
