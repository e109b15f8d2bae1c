"""Picture of a convergence study: four numbers against the ratio, with their power laws."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from kmc.campaign.convergence.findings import Finding, Plateau, exponent_text, ratio_text
from kmc.campaign.convergence.outcome import Convergence
from kmc.campaign.convergence.power_law import PowerLaw
from kmc.common.formatting import figure
from kmc.plotting import style

_VERDICTS = {
    "converged": "converged",
    "changing": "still changing",
    "unclear": "scatter too wide",
    "unknown": "not known",
}


@style.styled()
def convergence_picture(found: Convergence) -> Figure:
    """The numbers of a convergence study against the ratio, a panel each."""
    rows = math.ceil(len(found.findings) / 2)
    page = style.new_figure(1.7 * style.COLUMN_IN, 2.45 * rows)
    panels = page.subplots(rows, 2, sharex=True)
    for axes, one in zip(panels.flat, found.findings.values(), strict=False):
        _panel(axes, one, found.physical_ratio)
    for axes in panels.flat[len(found.findings) :]:
        axes.set_visible(False)
    plateau = any(one.physical for one in found.findings.values())
    low, high = min(found.ratios), found.physical_ratio if plateau else max(found.ratios)
    for axes in panels.flat:
        axes.set_xscale("log")
        axes.set_xlim(low / 3, high * (5 if plateau else 3))
        axes.xaxis.set_major_locator(LogLocator(numticks=20))
        axes.xaxis.set_minor_locator(NullLocator())
        labels = [tick for tick in axes.get_xticks() if low / 2 < tick < high * 5]
        axes.set_xticks(labels[:: 2 if len(labels) > 6 else 1])
        axes.xaxis.set_major_formatter(lambda value, _: f"$10^{{{round(math.log10(value))}}}$")
    for axes in panels.flat[len(found.findings) - 2 : len(found.findings)]:
        axes.set_xlabel("ratio: hops per stripped atom of a site")
        axes.tick_params(labelbottom=True)
    runs = f"{found.runs} runs of {found.base}"
    page.suptitle(f"{runs}; contact and voids {found.moment}", fontsize=7.5, x=0.02, ha="left")
    _legend(page, found)
    return page


def _panel(axes: Axes, one: Finding, physical: float) -> None:
    positive = [level for level in one.levels if level.n and level.mean > 0]
    unit = f" ({one.observable.unit or f'share of {one.observable.whole}'})"
    axes.set_ylabel(one.observable.label + unit)
    axes.set_title(_title(one), fontsize=6.5, loc="left")
    if one.physical is not None:
        axes.axvline(physical, color=style.GREY, lw=0.6, ls=":")
    if not positive:
        style.empty(axes, "no run has any")
        axes.set_yticks([])
        return
    axes.set_yscale("log")
    if one.law is not None:
        _law(axes, one.law)
    if one.physical is not None:
        _end(axes, one.physical, physical)
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


def _law(axes: Axes, law: PowerLaw) -> None:
    """The law over the levels that it rests on; no run supports it beyond."""
    ratios = np.geomspace(law.ratios[0], law.ratios[-1], 100)
    values, low, high = law.at(ratios)
    axes.plot(ratios, values, color=style.BLUE, lw=1.0)
    if not np.isnan(low).any():
        axes.fill_between(ratios, low, high, color=style.BLUE, alpha=0.15, lw=0)


def _end(axes: Axes, end: Plateau, physical: float) -> None:
    """The physical ratio of a converged number: value, interval, and the widest interval."""
    axes.plot(physical, end.value, "D", color=style.VERMILLION, ms=4, zorder=4)
    wide, narrow = [end.widest_low, end.widest_high], [end.low, end.high]
    axes.plot([physical] * 2, wide, color=style.VERMILLION, lw=0.8)
    axes.plot([physical] * 2, narrow, color=style.VERMILLION, lw=2.2, solid_capstyle="butt")


def _limits(axes: Axes, one: Finding, positive) -> None:
    """Limits of the y axis: all means, their intervals unless very wide, and the physical ratio."""
    ends = [level.mean for level in positive] + [r.high for r in one.levels if r.high > 0]
    ends += [level.low for level in positive if level.low > 0.1 * level.mean]
    if one.physical is not None:
        ends += [one.physical.value, one.physical.widest_low, one.physical.widest_high]
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
        shade = "; shade: 95 %" if bars else ""
        handles.append(Line2D([], [], color=style.BLUE, lw=1.0, label=f"power law{shade}"))
    if any(one.physical for one in ones):
        text = "physical ratio, if nothing changes; thin: with the tolerance"
        handles.append(mark("D", style.VERMILLION, text))
    page.legend(handles=handles, loc="outside lower left", ncols=2, fontsize=6)
