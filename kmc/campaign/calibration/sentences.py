"""A calibration as text: what is left of each input, what it predicts, what to measure next."""

import math
import re
from collections.abc import Mapping
from typing import Any

from kmc.common.formatting import figure, listed, quantity

_NARROWED = 0.5  # share of the prior's width below which the data say something of an input
_ROWS = 5  # measurements that are named
# A posterior as wide as its prior has its 95 % quantile at 5 % from the end of the prior.
_AT_END = 0.03


def plain(name: str) -> str:
    """A quantity as one would say it: `contact_loss_percent=90` is a contact loss of 90 %."""
    column, at, rest = name.partition(" at ")
    if at:
        return f"{quantity(column)[0]}{at}{rest}"
    return re.sub(r"(\w+)_percent=(\S+)", r"\1 of \2 %", name).replace("_", " ")


def lines_of(content: Mapping[str, Any]) -> list[str]:
    """The result, a line each: for the terminal and the report."""
    lines = [
        f"Wave {number}: {wave['settings']} settings; "
        f"{figure(100 * wave['plausible_share'], '%', 2)} of the priors stays plausible "
        f"(lowest implausibility {wave['lowest']:.2g})."
        for number, wave in enumerate(content["waves"], start=1)
    ]
    if refused := [f"{n} of {name}" for name, n in content["refused"].items() if n]:
        lines.append(f"Settings whose runs were refused or failed: {listed(refused)}.")
    emulators = content["emulators"]
    if rms := [e["rms_error"] for e in emulators if e["rms_error"] is not None]:
        lines.append(
            f"Emulators, left-one-out errors over their standard deviation: rms {min(rms):.2g} to "
            f"{max(rms):.2g} (1 is right)."
        )
        if never := [e["quantity"] for e in emulators if not e["settings"]]:
            lines.append(
                f"In no run before its end: {listed(never)}. Such bounds rule out less than "
                "numbers; let the runs go on for longer, or widen the priors."
            )
        if wide := [e["quantity"] for e in emulators if e["widening"] > 1.5]:
            lines.append(f"Too sure, and widened by their own errors: {listed(wide)}.")
    if content["plausible"]:
        return lines + _posterior(content)
    worst = listed([f"{name} ({z:.2g})" for name, z in content["worst"][:3]])
    return [
        *lines,
        "",
        f"No input is left plausible: the lowest implausibility is "
        f"{content['waves'][-1]['lowest']:.2g}. The model with these priors and discrepancies does "
        "not make these data.",
        f"Farthest off at the best inputs, in standard deviations: {worst}.",
        "A mechanism is missing, a prior too narrow, or a discrepancy or error stated too small.",
    ]


def _posterior(content: Mapping[str, Any]) -> list[str]:
    lines = ["", "Input, median (90 % interval), share of the prior's width that is left:"]
    for row in content["posterior"]:
        unit = quantity(row["key"].partition(" and ")[0])[1]
        ends = f"{figure(row['low'])} to {figure(row['high'], unit)}"
        effect = ""
        if row["input"] in content["idle"]:
            effect = ", without effect on any number here"
        else:
            if row["width_left"] > _NARROWED:
                effect = ", hardly narrowed"
            effect += at_end_of_prior(row, content["inputs"][row["input"]])
        lines.append(
            f"  {row['input']}: {figure(row['median'])} ({ends}), "
            f"{100 * row['width_left']:.0f} %{effect}"
        )
    if content["predictions"]:
        lines += ["", "Runs at samples of the posterior beside the data, 90 % interval:"]
        for row in content["predictions"]:
            # What never happens has no number: JSON holds "never", Python infinity.
            low, median, high = (
                "?" if end is None else "never" if end in ("never", math.inf) else figure(end)
                for end in (row["low"], row["median"], row["high"])
            )
            kind = ", seen" if row.get("seen") else ", held out"
            held = kind if row["held_out"] else ""  # what is fitted is neither
            lines.append(
                f"  {row['experiment']}, {plain(row['quantity'])}: {median} ({low} to {high}); "
                f"measured {row['measured']}: {row['verdict']}{held}"
            )
    if content["next"]:
        lines += ["", "One more measurement, and the share of an input's variance that it leaves:"]
        for row in content["next"][:_ROWS]:
            name, left = min(row["left"].items(), key=lambda item: item[1])
            lines.append(f"  {row['measure']} to {row['to']}: {100 * left:.0f} % of {name}")
    return lines


def at_end_of_prior(row: Mapping[str, Any], prior: Mapping[str, Any]) -> str:
    """Whether the data would go on beyond an end of the prior."""
    ends = prior["log_uniform"] or prior["uniform"]
    if ends is None:
        return ""
    scale = math.log if prior["log_uniform"] else float
    near = _AT_END * (scale(ends[1]) - scale(ends[0]))
    for end, quantile, name in ((ends[0], "low", "lower"), (ends[1], "high", "upper")):
        if abs(scale(end) - scale(row[quantile])) < near:
            return f", at the {name} end of its prior ({figure(end)})"
    return ""
