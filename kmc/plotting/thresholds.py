"""Pictures of thresholds: one with its runs and fit, or several against a second variable."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import binomtest

from kmc.campaign.critical.question import Critical
from kmc.common.formatting import figure, label, quantity
from kmc.plotting import style, sweep_panels

_TITLE_CHARACTERS = 46  # of 7 points in a column of 8.9 cm


@style.styled()
def threshold_picture(found: Critical) -> Figure:
    """Share of runs that meet a criterion against a variable, with fit and interval."""
    page = style.new_figure(style.COLUMN_IN, 2.7)
    axes = page.subplots()
    search, scale = found.search, found.search.fit.scale
    values, hits, runs = (np.array(v, float) for v in (search.values, search.hits, search.runs))
    share = hits / runs
    found_one = search.fit
    # Where no value has runs of both kinds, any slope between two points fits as well.
    mixed = bool(((hits > 0) & (hits < runs)).any())
    notes = [f"{int(runs.sum())} runs", "bars: 95 % (Wilson)"]
    if found_one.rising is not None:
        notes += ["line: logistic fit"] * mixed + ["shade: interval of the threshold"]
        if mixed:
            line = np.array([scale.value(u) for u in np.linspace(0, 1, 400)])
            axes.plot(line, found_one.probability(line), color=style.BLUE, lw=1.0)
        start, end = max(found_one.low, scale.low), min(found_one.high, scale.high)
        axes.axvspan(start, end, color=style.BLUE, alpha=0.15, lw=0)
        if scale.low <= found_one.value <= scale.high:
            axes.axvline(found_one.value, color=style.BLUE, lw=0.7, ls="--")
    low, high = wilson(hits, runs)
    bar: dict[str, Any] = {"ecolor": style.GREY, "elinewidth": 0.5, "alpha": 0.5}
    axes.errorbar(values, share, [share - low, high - share], fmt="none", **bar)
    axes.plot(values, share, "o", color=style.BLACK, ms=2.5, clip_on=False)
    if scale.log:
        axes.set_xscale("log")
        style.plain_log_axis(axes.xaxis, scale.low, scale.high)
        axes.set_xlim(scale.low / 1.1, scale.high * 1.1)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel(label(found.vary))
    axes.set_ylabel("share of runs with\n" + _criterion_text(found).replace(" at ", "\nat "))
    parts = found.sentence.replace(" (", "\n(", 1).splitlines()
    lines = [textwrap.fill(part, _TITLE_CHARACTERS) for part in parts]
    axes.set_title("\n".join(lines), fontsize=7, loc="left")
    style.note(page, "; ".join(notes))
    return page


@style.styled()
def threshold_map_picture(
    found: Sequence[Critical], against: str, values: Sequence[float]
) -> Figure:
    """Thresholds against a second variable; arrows where only one side of them is known."""
    page = style.new_figure(style.COLUMN_IN, 2.6)
    axes = page.subplots()
    scale = found[0].search.fit.scale
    known = [(v, f.search.fit) for v, f in zip(values, found, strict=True) if f.bracketed]
    if known:
        xs, fits = zip(*known, strict=True)
        middle = np.array([f.value for f in fits])
        errors = [middle - [f.low for f in fits], [f.high for f in fits] - middle]
        look: dict[str, Any] = {"color": style.BLUE, "ms": 3.5, "lw": 1.0, "elinewidth": 0.8}
        axes.errorbar(xs, middle, errors, fmt="o-", capsize=2, **look)
    for value, one in zip(values, found, strict=True):
        _mark_open(axes, value, one)
    if scale.log:
        axes.set_yscale("log")
        style.plain_log_axis(axes.yaxis, scale.low, scale.high)
    pad = 1.3 if scale.log else 1.0
    axes.set_ylim(scale.low / pad, scale.high * pad)
    sweep_panels.scale_axis(axes, "x", np.array(values, float))
    axes.set_xlabel(label(against))
    axes.set_ylabel(f"critical {label(found[0].vary)}")
    axes.set_title(f"half of the runs: {_criterion_text(found[0])}", fontsize=7, loc="left")
    open_ones = len(known) < len(found)
    runs = sum(sum(f.search.runs) for f in found)
    beyond = "; arrows: beyond the range searched" if open_ones else ""
    style.note(page, f"{runs} runs; bars: 95 % interval{beyond}")
    return page


def _mark_open(axes: Axes, value: float, one: Critical) -> None:
    """An arrow from the bound of a threshold outside the range."""
    side = one.side
    if side is None:
        return
    bound, up = side
    axes.plot([value], [bound], marker="_", color=style.GREY, ms=6)
    arrow = {"arrowstyle": "<-", "color": style.GREY, "lw": 0.9}
    style.beside(axes, "", (value, bound), (0, 14 if up else -14), arrowprops=arrow)


def _criterion_text(found: Critical) -> str:
    name = quantity(found.criterion.name)
    sign = {"<=": "≤", ">=": "≥"}.get(found.criterion.sign, found.criterion.sign)
    unit = f" {name[1]}" if name[1] else ""
    at = "" if found.at is None else f" {found.question.moment}"
    return f"{name[0]} {sign} {figure(found.criterion.bound)}{unit}{at}"


def wilson(hits: np.ndarray, runs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """95 % interval of a share, Wilson, J. Am. Stat. Assoc. 22, 209 (1927).

    Examples
    --------
    >>> low, high = wilson(np.array([0.0]), np.array([4.0]))
    >>> round(float(high[0]), 2)  # none of four runs: the probability may still be a half
    0.49
    """
    pairs = zip(hits.astype(int).tolist(), runs.astype(int).tolist(), strict=True)
    # Not the normal approximation: where none or all of a few runs hit, that has no width at all.
    ends = np.array([binomtest(k, n).proportion_ci(method="wilson") for k, n in pairs])
    return ends[:, 0], ends[:, 1]
