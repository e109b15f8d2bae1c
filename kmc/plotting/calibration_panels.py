"""Pictures of a calibration: its posterior in pairs of inputs, and predictions beside the data."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kmc.campaign.calibration.sentences import plain
from kmc.common.formatting import quantity
from kmc.errors import InputError
from kmc.plotting import style

if TYPE_CHECKING:
    from kmc.campaign.calibration.calibrate import Calibration

_BINS = 24
_SHARES = (0.9, 0.5)  # of the posterior inside the outer and the inner line
_VERDICTS = {"within": style.BLUE, "outside": style.VERMILLION, "not judged": style.GREY}


@style.styled()
def calibration_picture(found: Calibration, what: str = "corner") -> Figure:
    """ "corner", the posterior of every input and pair of inputs, or "predictions" over what is
    measured.

    Raises `InputError`: there is no such picture, or nothing to draw in it.
    """
    if what not in ("corner", "predictions"):
        raise InputError(f"there is no picture {what!r}", advice="Choose corner or predictions.")
    if not found.content["posterior" if what == "corner" else "predictions"]:
        raise InputError(f"{found.folder} has no {what}", advice="\n".join(found.lines()))
    return _corner(found) if what == "corner" else _predictions(found)


def _corner(found: Calibration) -> Figure:
    names, theta = found.inputs, found.samples["posterior"]
    logs = [about.get("log_uniform") is not None for about in found.content["inputs"].values()]
    prior, values = (
        np.where(logs, np.log10(np.where(logs, some, 1.0)), some)
        for some in (found.samples["theta"], theta)
    )
    every = np.concatenate([prior, values])
    ends = list(zip(every.min(axis=0), every.max(axis=0), strict=True))
    labels = [_label(name, found.content["inputs"][name]["keys"][0]) for name in names]
    n, edge = len(names), max(style.COLUMN_IN, 1.05 * len(names))
    page = style.new_figure(edge, edge)
    for i, row in enumerate(page.subplots(n, n, squeeze=False)):
        for j, axes in enumerate(row):
            if j > i:
                axes.set_visible(False)
                continue
            if i == j:
                axes.axhline(1 / (ends[i][1] - ends[i][0]), color=style.GREY, lw=0.7)
                bars: dict[str, Any] = {"color": style.SKY, "lw": 0}
                axes.hist(values[:, i], bins=_BINS, range=ends[i], density=True, **bars)
                axes.set_yticks([])
                axes.spines["left"].set_visible(False)
            else:
                _pair(axes, values[:, j], values[:, i], ends[j], ends[i])
                _ticks(axes.yaxis, ends[i], logs[i], shown=j == 0)
            axes.set_xlim(ends[j])
            _ticks(axes.xaxis, ends[j], logs[j], shown=i == n - 1)
            if i == n - 1:
                axes.set_xlabel(labels[j], fontsize=6)
            if j == 0 and i:
                axes.set_ylabel(labels[i], fontsize=6)
    text = "grey: prior; dark and light blue hold 50 and 90 % of the posterior"
    page.suptitle(f"{found.content['title']}\n{text}", fontsize=7, x=0.98, ha="right")
    return page


def _label(name: str, key: str) -> str:
    unit = quantity(key)[1]
    plain = name.replace("_", " ")
    return f"{plain}\n({unit})" if unit else plain


def _pair(
    axes: Axes, x: np.ndarray, y: np.ndarray, across: tuple[float, float], up: tuple[float, float]
) -> None:
    """Density with the lines that hold given shares of the samples."""
    from scipy.ndimage import gaussian_filter

    density, *edges = np.histogram2d(x, y, _BINS, (across, up))
    density = gaussian_filter(density, 1.0)
    falling = np.sort(density.ravel())[::-1]
    inside = np.cumsum(falling) / falling.sum()
    levels = [float(falling[np.searchsorted(inside, share)]) for share in _SHARES]
    middle = [0.5 * (edge[1:] + edge[:-1]) for edge in edges]
    axes.contourf(*middle, density.T, np.unique([*levels, density.max() + 1e-9]),
                  colors=[style.SKY, style.BLUE], alpha=0.6)  # fmt: skip
    axes.set_ylim(up)


def _ticks(axis: Any, ends: tuple[float, float], log: bool, shown: bool) -> None:
    """Two or three round ticks; of a logarithm at 1, 2, 5, 10, …."""
    if log:
        for digits in ((1, 2, 5), (1, 1.5, 2, 3, 5, 7)):
            values: Any = [m * 10.0**e for e in range(-12, 13) for m in digits]
            values = [v for v in values if ends[0] <= np.log10(v) <= ends[1]]
            if len(values) > 1:
                break
        values = values[:: max(1, math.ceil(len(values) / 3))]
        places = np.log10(values)
    else:
        step = float(f"{(ends[1] - ends[0]) / 3:.1g}")
        places = values = np.arange(np.ceil(ends[0] / step), ends[1] / step + 1e-9) * step
    texts = [f"{v:g}" for v in values] if shown else [""] * len(places)
    axis.set_ticks(places, texts, fontsize=5.5)


def _predictions(found: Calibration) -> Figure:
    """Ratio of prediction to measurement, a line each; what is held out below the fitted."""
    rows = [row for row in found.content["predictions"] if row["median"] is not None]
    rows = [*(r for r in rows if not r["held_out"]), *(r for r in rows if r["held_out"])]
    measured = {d["quantity"]: d for d in found.content["measured"]}
    page = style.new_figure(style.PAGE_IN, 0.7 + 0.21 * len(rows))
    axes = page.subplots()
    for place, row in enumerate(rows):
        datum = measured[f"{row['experiment']}: {row['quantity']}"]
        colour = _VERDICTS[row["verdict"]]
        low, median, high = (
            (math.inf if row[key] == "never" else row[key]) / datum["value"]
            for key in ("low", "median", "high")
        )
        axes.plot([max(low, 0.03), min(high, 30)], [place, place], color=colour, lw=2.2)
        if np.isfinite(median):
            axes.plot(median, place, "|", color=style.BLACK, ms=6)
        if high > 30:
            axes.plot(30, place, ">", color=colour, ms=4)
        if datum["beyond"]:
            axes.plot(1, place, ">", mfc="none", mec=style.BLACK, ms=4.5, mew=0.8)
        else:
            axes.errorbar(1, place, xerr=min(2 * datum["error"] / datum["value"], 0.95), fmt="o",
                          ms=3, mfc="white", ecolor=style.BLACK, mec=style.BLACK, lw=0.7,
                          mew=0.7)  # fmt: skip
    held = sum(not row["held_out"] for row in rows)
    if held < len(rows):
        axes.axhline(held - 0.5, color=style.GREY, lw=0.5, ls=":")
    axes.set_xscale("log")
    axes.set_xlim(0.03, 36)
    axes.set_xticks([0.1, 0.3, 1, 3, 10], ["0.1", "0.3", "1", "3", "10"])
    axes.minorticks_off()
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks(
        range(len(rows)),
        [f"{r['experiment']}, {plain(r['quantity'])}: {r['measured']}" for r in rows],
        fontsize=6,
    )
    axes.set_xlabel("over the measured value")
    style.note(
        page,
        "circle: measured, two standard errors (arrow: only known to be larger); bar: 90 % of runs "
        "with the stated discrepancy, blue within, red outside,\ngrey not judged; tick: median; "
        "below the dotted line: held out",
    )
    return page
