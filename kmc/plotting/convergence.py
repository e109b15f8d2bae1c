"""Picture of a convergence study: four numbers against the ratio, with their power laws."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import LogLocator, NullLocator

from kmc.common.formatting import figure
from kmc.plotting import style
from kmc.sweep.convergence.findings import Finding
from kmc.sweep.convergence.report import Convergence
from kmc.sweep.convergence.sentences import exponent_text, ratio_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_VERDICTS = {
    "converged": "converged",
    "changing": "still changing",
    "unclear": "scatter too wide",
    "unknown": "not known",
}


def convergence_picture(found: Convergence) -> Figure:
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
    positive = [level for level in one.levels if level.n and level.mean > 0]
    unit = f" ({one.observable.unit or 'share of the interface'})"
    axes.set_ylabel(one.observable.label + unit)
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
    for level in positive:
        off = level.ratio in left_out
        colour = style.GREEN if level.converged else style.GREY if off else style.BLUE
        if level.censored:
            axes.plot(level.ratio, level.mean, "^", color=colour, mfc="white", ms=4, zorder=3)
            continue
        if not math.isnan(level.low):
            # On a logarithmic axis an end at zero is below the panel.
            below = level.mean - max(level.low, 1e-3 * level.mean)
            axes.errorbar(
                level.ratio,
                level.mean,
                [[below], [level.high - level.mean]],
                fmt="none",
                ecolor=colour,
                elinewidth=0.9,
                capsize=2,
                zorder=2,
            )
        face = "white" if off else colour
        marker = "s" if level.converged else "o"
        axes.plot(level.ratio, level.mean, marker, color=colour, mfc=face, ms=4, zorder=3)
    for level in one.levels:
        if level.n and not level.mean and level.high > 0:
            axes.plot(level.ratio, level.high, "v", color=style.BLUE, mfc="white", ms=4, zorder=3)
    _limits(axes, one, positive)


def _title(one: Finding) -> str:
    title = _VERDICTS[one.verdict]
    if one.verdict == "converged":
        title += f" from {ratio_text(one.converged_from)} on"
    if one.law is None:
        return f"{title}; no power law"
    return f"{title}; exponent {exponent_text(one.law)}"


def _law(axes: Axes, one: Finding, physical: float) -> None:
    law = one.law
    assert law is not None
    ratios = np.geomspace(law.ratios[0], physical, 200)
    values, low, high = law.at(ratios)
    inside = ratios <= law.ratios[-1]
    axes.plot(ratios[inside], values[inside], color=style.BLUE, lw=1.0)
    axes.plot(ratios[~inside], values[~inside], color=style.BLUE, lw=0.8, ls=(0, (3, 2)))
    if not np.isnan(low).any():
        axes.fill_between(ratios, low, high, color=style.BLUE, alpha=0.15, lw=0)


def _end(axes: Axes, one: Finding, physical: float) -> None:
    """The physical ratio: value, interval, and the widest interval."""
    end = one.physical
    assert end is not None
    axes.plot(physical, end.value, "D", color=style.VERMILLION, ms=4, zorder=4)
    if not math.isnan(end.low):
        wide, narrow = [end.widest_low, end.widest_high], [end.low, end.high]
        axes.plot([physical] * 2, wide, color=style.VERMILLION, lw=0.8)
        axes.plot([physical] * 2, narrow, color=style.VERMILLION, lw=2.2, solid_capstyle="butt")


def _bound(axes: Axes, one: Finding, physical: float) -> None:
    """An arrow at the physical ratio, from the bound in the direction of the number."""
    bound = one.bound
    assert bound is not None
    axes.plot([physical], [bound.value], marker="_", color=style.VERMILLION, ms=7, mew=1.2)
    axes.annotate(
        "",
        (physical, bound.value),
        xytext=(0, -14 if bound.below else 14),
        textcoords="offset points",
        arrowprops={"arrowstyle": "<-", "color": style.VERMILLION, "lw": 1.0},
    )


def _limits(axes: Axes, one: Finding, positive) -> None:
    """Limits of the y axis: all means, their intervals unless very wide, and the physical ratio."""
    ends = [level.mean for level in positive] + [r.high for r in one.levels if r.high > 0]
    ends += [level.low for level in positive if level.low > 0.1 * level.mean]
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
    """Legend of the marks that occur."""
    from matplotlib.lines import Line2D

    def mark(marker: str, colour: str, text: str, **more) -> Line2D:
        return Line2D([], [], ls="", marker=marker, color=colour, ms=4, label=text, **more)

    ones = found.findings.values()
    laws = [one.law for one in ones if one.law]
    levels = [level for one in ones for level in one.levels]
    bars = found.replicas > 1
    handles = [mark("o", style.BLUE, "mean, 95 % (Student's t)" if bars else "one run")]
    if any(law.left_out for law in laws):
        handles.append(mark("o", style.GREY, "off the law, left out", mfc="white"))
    if any(level.converged for level in levels):
        handles.append(mark("s", style.GREEN, "converged"))
    if any(level.censored for level in levels):
        handles.append(mark("^", style.BLUE, "at least: some runs ended first", mfc="white"))
    if any(level.n and not level.mean and level.high > 0 for level in levels):
        handles.append(mark("v", style.BLUE, "none seen: 95 % below", mfc="white"))
    if laws:
        shade = "; shade: 95 % (bootstrap)" if bars else ""
        handles.append(Line2D([], [], color=style.BLUE, lw=1.0, label=f"power law{shade}"))
    if any(one.physical for one in ones):
        thin = "; thin: over all choices of levels" if bars else ""
        handles.append(mark("D", style.VERMILLION, f"physical ratio{thin}"))
    if any(one.bound for one in ones):
        text = "physical ratio: a bound, if the curvature continues"
        handles.append(mark("_", style.VERMILLION, text))
    page.legend(handles=handles, loc="outside lower left", ncols=2, fontsize=6)
