"""The report of a calibration: inputs that are left, predictions, and what to measure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kmc.campaign.calibration.calibrate import load_calibration
from kmc.common.formatting import figure, quantity
from kmc.plotting.report import common
from kmc.plotting.report.page import Badge, Listing, Page, Table, Text

_KINDS = {"within": "good", "outside": "bad", "not judged": "none"}
_ROWS = 12  # measurements that are listed


def calibration_page(folder: Path) -> Page:
    """The page of a folder of `kmc calibrate`."""
    found = load_calibration(folder)
    content = found.content
    page = Page(content["title"], "Calibration (kmc calibrate)")
    page.add("Summary", Text([line.strip() for line in found.lines() if line]))
    if found.plausible:
        page.add(
            "Inputs",
            Table([_input(row, content) for row in content["posterior"]],
                  ("input", "prior", "median", "90 % interval", "width left")),
            common.picture(found.plot, "Posterior of every input and pair of inputs"),
        )  # fmt: skip
    if content["predictions"]:
        page.add(
            "Predictions",
            common.picture(
                lambda: found.plot("predictions"), "Runs at samples of the posterior over the data"
            ),
            Table([_prediction(row) for row in content["predictions"]],
                  ("quantity", "measured", "90 % of runs", "", "source")),
        )  # fmt: skip
    if content["next"]:
        inputs = found.inputs
        rows = [
            (f"{row['measure']}, to {row['to']}",
             *(f"{100 * row['left'][name]:.0f} %" for name in inputs))
            for row in content["next"][:_ROWS]
        ]  # fmt: skip
        caption = "Share of the variance of an input that one more measurement leaves"
        page.add("What to measure next", Table(rows, ("measurement", *inputs), caption))
    page.add("Emulators", *_emulators(content, found.inputs))
    stated = [(quantity(key)[0], str(value)) for key, value in content["discrepancy"].items()]
    page.add("Stated discrepancies", Table(stated, ("column", "one standard deviation")))
    if content["text"]:
        page.add("Calibration file", Listing(content["file"], content["text"]))
    common.add_versions(page, {"written by": f"kmc {content['kmc']}"})
    return page


def _input(row: Mapping[str, Any], content: Mapping[str, Any]) -> tuple[str, ...]:
    about = content["inputs"][row["input"]]
    kind = next(key for key in ("uniform", "log_uniform", "normal") if about.get(key))
    unit = quantity(about["keys"][0])[1]
    prior = f"{kind.replace('_', '-')} {about[kind][0]:g}, {about[kind][1]:g}"
    interval = f"{figure(row['low'])} to {figure(row['high'], unit)}"
    left = f"{100 * row['width_left']:.0f} %"
    left += ", no effect" if row["input"] in content["idle"] else ""
    return row["input"], prior, figure(row["median"]), interval, left


def _prediction(row: Mapping[str, Any]) -> tuple[Any, ...]:
    ends = [v if isinstance(v, str) else common.number(v and float(f"{v:.3g}"))
            for v in (row["low"], row["high"])]  # fmt: skip
    held = "held out: " if row["held_out"] else ""
    return (
        f"{row['experiment']}, {row['quantity']}",
        row["measured"],
        f"{ends[0]} to {ends[1]}",
        Badge(f"{held}{row['verdict']}", _KINDS[row["verdict"]]),
        row["source"],
    )


def _emulators(content: Mapping[str, Any], inputs: list[str]) -> list[Table]:
    errors = [
        (e["quantity"], e["settings"], common.number(e["rms_error"] and round(e["rms_error"], 2)),
         common.number(e["beyond_2"] and round(e["beyond_2"], 2)))
        for e in content["emulators"]
    ]  # fmt: skip
    indices = [
        (name, *(f"{row[one]:.2f}" for one in inputs)) for name, row in content["sobol"].items()
    ]
    return [
        Table(errors, ("quantity", "settings", "rms of errors", "beyond 2"),
              "Left-one-out errors over their standard deviation: 1 and 0.05 are right"),
        Table(indices, ("quantity", *inputs), "Total Sobol indices over the priors"),
    ]  # fmt: skip
