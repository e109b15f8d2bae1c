"""A ladder of ratios: four numbers against the ratio, their laws, and the physical ratio."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import LogLocator, NullLocator

from kmc.common.formatting import figure
from kmc.plotting import style
from kmc.sweep.convergence.findings import Finding
from kmc.sweep.convergence.report import Convergence
from kmc.sweep.convergence.sentences import exponent_words, ratio_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WORDS = {
    "converged": "converged",
    "changing": "still changing",
    "unclear": "scatter too wide",
    "unknown": "not known",
}


def ladder_picture(found: Convergence) -> Figure:
    """Contact loss, void density, mean width and onset capacity against the ratio.

    Parameters
    ----------
    found : kmc.sweep.convergence.report.Convergence
    """
    with style.styled():
        page = style.new_figure(1.7 * style.COLUMN_IN, 4.9)
        panels = page.subplots(2, 2, sharex=True)
        for axes, one in zip(panels.flat, found.findings.values(), strict=True):
            _panel(axes, one, found.physical_ratio)
        low, high = min(found.ratios), found.physical_ratio
        for axes in panels.flat:
            axes.set_xscale("log")
            axes.set_xlim(low / 3, high * 5)
            axes.xaxis.set_major_locator(LogLocator(numticks=20))
            axes.xaxis.set_minor_locator(NullLocator())
            labels = [tick for tick in axes.get_xticks() if low / 2 < tick < high * 5]
            axes.set_xticks(labels[:: 2 if len(labels) > 6 else 1])
            axes.xaxis.set_major_formatter(lambda value, _: f"$10^{{{round(math.log10(value))}}}$")
        for axes in panels[1]:
            axes.set_xlabel("ratio: hops per stripped atom of a site")
        runs = f"{found.runs} runs of {found.base}"
        page.suptitle(f"{runs}; contact and voids {found.moment}", fontsize=7.5, x=0.02, ha="left")
        _legend(page, found)
        return page


def _panel(axes: Axes, one: Finding, physical: float) -> None:
    positive = [rung for rung in one.rungs if rung.n and rung.mean > 0]
    unit = f" ({one.observable.unit or 'share of the interface'})"
    axes.set_ylabel(one.observable.words + unit)
    axes.set_title(_title(one), fontsize=6.5, loc="left")
    axes.axvline(physical, color=style.GREY, lw=0.6, ls=":")
    if not positive:
        style.empty(axes, "no run has any")
        axes.set_yticks([])
        return
    axes.set_yscale("log")
    if one.law is not None:
        _law(axes, one, physical)
    if one.physical is not None:
        _end(axes, one, physical)
    if one.bound is not None:
        _bound(axes, one, physical)
    left_out = one.law.left_out if one.law else ()
    for rung in positive:
        off = rung.ratio in left_out
        colour = style.GREEN if rung.converged else style.GREY if off else style.BLUE
        if rung.censored:
            axes.plot(rung.ratio, rung.mean, "^", color=colour, mfc="white", ms=4, zorder=3)
            continue
        if not math.isnan(rung.low):
            # On a logarithmic axis an end at zero is below the panel.
            below = rung.mean - max(rung.low, 1e-3 * rung.mean)
            axes.errorbar(
                rung.ratio,
                rung.mean,
                [[below], [rung.high - rung.mean]],
                fmt="none",
                ecolor=colour,
                elinewidth=0.9,
                capsize=2,
                zorder=2,
            )
        face = "white" if off else colour
        marker = "s" if rung.converged else "o"
        axes.plot(rung.ratio, rung.mean, marker, color=colour, mfc=face, ms=4, zorder=3)
    for rung in one.rungs:
        if rung.n and not rung.mean and rung.high > 0:
            axes.plot(rung.ratio, rung.high, "v", color=style.BLUE, mfc="white", ms=4, zorder=3)
    _limits(axes, one, positive)


def _title(one: Finding) -> str:
    words = _WORDS[one.verdict]
    if one.verdict == "converged":
        words += f" from {ratio_words(one.converged_from)} on"
    if one.law is None:
        return f"{words}; no power law"
    return f"{words}; exponent {exponent_words(one.law)}"


def _law(axes: Axes, one: Finding, physical: float) -> None:
    ratios = np.geomspace(one.law.ratios[0], physical, 200)
    values, low, high = one.law.at(ratios)
    inside = ratios <= one.law.ratios[-1]
    axes.plot(ratios[inside], values[inside], color=style.BLUE, lw=1.0)
    axes.plot(ratios[~inside], values[~inside], color=style.BLUE, lw=0.8, ls=(0, (3, 2)))
    if not np.isnan(low).any():
        axes.fill_between(ratios, low, high, color=style.BLUE, alpha=0.15, lw=0)


def _end(axes: Axes, one: Finding, physical: float) -> None:
    """The physical ratio: value, interval, and the widest interval."""
    end = one.physical
    axes.plot(physical, end.value, "D", color=style.VERMILLION, ms=4, zorder=4)
    if not math.isnan(end.low):
        wide, narrow = [end.widest_low, end.widest_high], [end.low, end.high]
        axes.plot([physical] * 2, wide, color=style.VERMILLION, lw=0.8)
        axes.plot([physical] * 2, narrow, color=style.VERMILLION, lw=2.2, solid_capstyle="butt")


def _bound(axes: Axes, one: Finding, physical: float) -> None:
    """An arrow from what the number is below, or above, at the physical ratio."""
    axes.plot([physical], [one.bound.value], marker="_", color=style.VERMILLION, ms=7, mew=1.2)
    axes.annotate(
        "",
        (physical, one.bound.value),
        xytext=(0, -14 if one.bound.below else 14),
        textcoords="offset points",
        arrowprops={"arrowstyle": "<-", "color": style.VERMILLION, "lw": 1.0},
    )


def _limits(axes: Axes, one: Finding, positive) -> None:
    """All means, intervals that are not beyond reason, and the physical ratio."""
    ends = [rung.mean for rung in positive] + [r.high for r in one.rungs if r.high > 0]
    ends += [rung.low for rung in positive if rung.low > 0.1 * rung.mean]
    if one.physical is not None:
        ends.append(one.physical.value)
        if not math.isnan(one.physical.low):
            ends += [one.physical.widest_low, one.physical.widest_high]
    if one.bound is not None:  # room for the arrow
        ends.append(one.bound.value / 4 if one.bound.below else one.bound.value * 2)
    low = max(min(ends), 1e-6 * max(ends))
    high = max(ends)
    axes.set_ylim(low / 1.4, high * 1.4)
    if high / low < 300:
        style.plain_log_axis(axes.yaxis, low / 1.4, high * 1.4)
        axes.yaxis.set_major_formatter(lambda value, _: figure(value))


def _legend(page: Figure, found: Convergence) -> None:
    """What the marks mean, as far as they occur."""
    from matplotlib.lines import Line2D

    def mark(marker: str, colour: str, text: str, **more) -> Line2D:
        return Line2D([], [], ls="", marker=marker, color=colour, ms=4, label=text, **more)

    ones = found.findings.values()
    laws = [one.law for one in ones if one.law]
    rungs = [rung for one in ones for rung in one.rungs]
    bars = found.replicas > 1
    handles = [mark("o", style.BLUE, "mean, 95 % (Student's t)" if bars else "one run")]
    if any(law.left_out for law in laws):
        handles.append(mark("o", style.GREY, "off the law, left out", mfc="white"))
    if any(rung.converged for rung in rungs):
        handles.append(mark("s", style.GREEN, "converged"))
    if any(rung.censored for rung in rungs):
        handles.append(mark("^", style.BLUE, "at least: some runs ended first", mfc="white"))
    if any(rung.n and not rung.mean and rung.high > 0 for rung in rungs):
        handles.append(mark("v", style.BLUE, "none seen: 95 % below", mfc="white"))
    if laws:
        shade = "; shade: 95 % (bootstrap)" if bars else ""
        handles.append(Line2D([], [], color=style.BLUE, lw=1.0, label=f"power law{shade}"))
    if any(one.physical for one in ones):
        thin = "; thin: whichever rungs one trusts" if bars else ""
        handles.append(mark("D", style.VERMILLION, f"physical ratio{thin}"))
    if any(one.bound for one in ones):
        text = "physical ratio: a bound, if the rungs go on bending"
        handles.append(mark("_", style.VERMILLION, text))
    page.legend(handles=handles, loc="outside lower left", ncols=2, fontsize=6)
