"""Pictures of studies of many runs: convergence, thresholds, calibrations."""

import math
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullLocator

from kmc.campaign.calibration.calibrate import Calibration
from kmc.campaign.calibration.sentences import plain
from kmc.campaign.convergence.findings import Axis, Finding, Level, exponent_text
from kmc.campaign.convergence.outcome import Convergence
from kmc.campaign.critical.question import Critical
from kmc.common.formatting import figure, label, quantity
from kmc.errors import InputError
from kmc.plotting import style, sweep_panels

# --- convergence ----------------------------------------------------------------------------------

_TITLES = {
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
    for axes, finding in zip(panels.flat, found.findings.values(), strict=False):
        _panel(axes, finding, found.physical_ratio, found.axis)
    for axes in panels.flat[len(found.findings) :]:
        axes.set_visible(False)
    # The physical ratio is orders beyond the levels: shown where a number reaches it.
    plateau = any(finding.physical for finding in found.findings.values())
    slows = found.axis.slows
    most = max(ratio for ratio in found.ratios if math.isfinite(ratio))
    low, high = min(found.ratios), found.physical_ratio if plateau else most
    for axes in panels.flat:
        axes.set(xscale="log", xlim=(low / 3, high * (5 if plateau else 3)))
        if not slows:
            axes.set(xlim=(low / 1.3, high * 1.3))
            axes.set_xticks(found.ratios, [f"{value:g}" for value in found.ratios])
            axes.xaxis.set_minor_locator(NullLocator())
            continue
        axes.xaxis.set_major_locator(LogLocator(numticks=20))
        axes.xaxis.set_minor_locator(NullLocator())
        labels = [tick for tick in axes.get_xticks() if low / 2 < tick < high * 5]
        axes.set_xticks(labels[:: 2 if len(labels) > 6 else 1])
        axes.xaxis.set_major_formatter(lambda value, _: f"$10^{{{round(math.log10(value))}}}$")
    for axes in panels.flat[len(found.findings) - 2 : len(found.findings)]:
        axes.set_xlabel(
            "ratio: hops per stripped atom of a site" if slows else f"{found.axis.noun} (µm)"
        )
        axes.tick_params(labelbottom=True)
    runs = f"{found.runs} runs of {found.base}"
    page.suptitle(f"{runs}; contact and voids {found.moment}", fontsize=7.5, x=0.02, ha="left")
    _legend(page, found)
    return page


def _panel(axes: Axes, one: Finding, physical: float, axis: Axis) -> None:
    positive = [level for level in one.levels if level.n and level.mean > 0]
    unit = f"share of {one.observable.whole}" if one.observable.percent else one.observable.unit
    axes.set_ylabel(one.observable.label + (f" ({unit})" if unit else ""))
    title = _TITLES[one.verdict]
    if one.verdict == "converged":
        title += f" from {axis.text(one.converged_from)} on"
    if axis.slows:
        title += f"; exponent {exponent_text(one.law)}" if one.law else "; no power law"
    axes.set_title(title, fontsize=6.5, loc="left")
    if one.physical is not None:
        axes.axvline(physical, color=style.GREY, lw=0.6, ls=":")
    if not positive:
        style.empty(axes, "no run has any")
        axes.set_yticks([])
        return
    axes.set_yscale("log")
    if (limit := one.equilibrium) is not None and limit.mean > 0:
        axes.axhline(limit.mean, color=style.VERMILLION, lw=0.9, ls="--")
    if one.law is not None:
        # Over the levels that it rests on: no run supports it beyond.
        ratios = np.geomspace(one.law.ratios[0], one.law.ratios[-1], 100)
        values, low, high = one.law.at(ratios)
        axes.plot(ratios, values, color=style.BLUE, lw=1.0)
        if not np.isnan(low).any():
            axes.fill_between(ratios, low, high, color=style.BLUE, alpha=0.15, lw=0)
    if (end := one.physical) is not None:  # value, its interval, and the widest one
        axes.plot(physical, end.value, "D", color=style.VERMILLION, ms=4, zorder=4)
        wide, narrow = [end.widest_low, end.widest_high], [end.low, end.high]
        axes.plot([physical] * 2, wide, color=style.VERMILLION, lw=0.8)
        axes.plot([physical] * 2, narrow, color=style.VERMILLION, lw=2.2, solid_capstyle="butt")
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
            ends: Any = [[below], [level.high - level.mean]]
            bar: Any = {"fmt": "none", "ecolor": colour, "elinewidth": 0.9, "capsize": 2}
            axes.errorbar(level.ratio, level.mean, ends, zorder=2, **bar)
        face = "white" if off else colour
        marker = "s" if level.converged else "o"
        axes.plot(level.ratio, level.mean, marker, color=colour, mfc=face, ms=4, zorder=3)
    for level in one.levels:
        if level.n and not level.mean and level.high > 0:
            axes.plot(level.ratio, level.high, "v", color=style.BLUE, mfc="white", ms=4, zorder=3)
    _limits(axes, one, positive)


def _limits(axes: Axes, one: Finding, positive: Sequence[Level]) -> None:
    """Limits of the y axis: all means, their intervals unless very wide, and the physical ratio."""
    ends = [level.mean for level in positive] + [r.high for r in one.levels if r.high > 0]
    ends += [level.low for level in positive if level.low > 0.1 * level.mean]
    if one.equilibrium is not None and one.equilibrium.mean > 0:
        ends.append(one.equilibrium.mean)
    if one.physical is not None:
        ends += [one.physical.value, one.physical.widest_low, one.physical.widest_high]
    # An interval that reaches nearly 0 would take all decades of the axis.
    low = max(min(ends), 1e-6 * max(ends))
    high = max(ends)
    axes.set_ylim(low / 1.4, high * 1.4)
    if high / low < 300:
        style.plain_log_axis(axes.yaxis, low / 1.4, high * 1.4)
        axes.yaxis.set_major_formatter(lambda value, _: figure(value))


def _legend(page: Figure, found: Convergence) -> None:
    """Legend of the marks that occur."""

    def mark(marker: str, colour: str, text: str, **more: Any) -> Line2D:
        return Line2D([], [], ls="", marker=marker, color=colour, ms=4, label=text, **more)

    findings = found.findings.values()
    laws = [finding.law for finding in findings if finding.law]
    levels = [level for finding in findings for level in finding.levels]
    bars = found.replicas > 1
    handles = [mark("o", style.BLUE, "mean, 95 % (Student's t)" if bars else "one run")]
    if any(law.left_out for law in laws):
        handles.append(mark("o", style.GREY, "off the law, left out", mfc="white"))
    if any(finding.equilibrium is not None for finding in found.findings.values()):
        text = "equilibrium between strips (inf)"
        handles.append(Line2D([], [], color=style.VERMILLION, ls="--", lw=0.9, label=text))
    if any(level.converged for level in levels):
        handles.append(mark("s", style.GREEN, "converged"))
    if any(level.censored for level in levels):
        handles.append(mark("^", style.BLUE, "at least: some runs ended first", mfc="white"))
    if any(level.n and not level.mean and level.high > 0 for level in levels):
        handles.append(mark("v", style.BLUE, "none seen: 95 % below", mfc="white"))
    if laws:
        shade = "; shade: 95 %" if bars else ""
        handles.append(Line2D([], [], color=style.BLUE, lw=1.0, label=f"power law{shade}"))
    if any(finding.physical for finding in findings):
        text = "physical ratio, if nothing changes; thin: with the tolerance"
        handles.append(mark("D", style.VERMILLION, text))
    page.legend(handles=handles, loc="outside lower left", ncols=2, fontsize=6)


# --- thresholds -----------------------------------------------------------------------------------

_TITLE_CHARACTERS = 46  # of 7 points in a column of 8.9 cm


@style.styled()
def threshold_picture(found: Critical) -> Figure:
    """Share of runs that meet a criterion against a variable, with fit and interval."""
    page = style.new_figure(style.COLUMN_IN, 2.7)
    axes = page.subplots()
    search, scale = found.search, found.search.fit.scale
    values, hits, runs = (np.array(v, float) for v in (search.values, search.hits, search.runs))
    share = hits / runs
    fitted = search.fit
    # Where no value has runs of both kinds, any slope between two points fits as well.
    mixed = bool(((hits > 0) & (hits < runs)).any())
    notes = [f"{int(runs.sum())} runs", "bars: 95 % (Wilson)"]
    if fitted.rising is not None:
        notes += ["line: logistic fit"] * mixed + ["shade: interval of the threshold"]
        if mixed:
            line = np.array([scale.value(u) for u in np.linspace(0, 1, 400)])
            axes.plot(line, fitted.probability(line), color=style.BLUE, lw=1.0)
        # An interval may be open on one side: it is drawn as far as the search went.
        start, end = max(fitted.low, scale.low), min(fitted.high, scale.high)
        axes.axvspan(start, end, color=style.BLUE, alpha=0.15, lw=0)
        if scale.low <= fitted.value <= scale.high:
            axes.axvline(fitted.value, color=style.BLUE, lw=0.7, ls="--")
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
    bracketed = [(v, f.search.fit) for v, f in zip(values, found, strict=True) if f.bracketed]
    if bracketed:
        xs, fits = zip(*bracketed, strict=True)
        middle = np.array([f.value for f in fits])
        errors = [middle - [f.low for f in fits], [f.high for f in fits] - middle]
        look: dict[str, Any] = {"color": style.BLUE, "ms": 3.5, "lw": 1.0, "elinewidth": 0.8}
        axes.errorbar(xs, middle, errors, fmt="o-", capsize=2, **look)
    for value, critical in zip(values, found, strict=True):
        if critical.side is not None:  # an arrow from the bound of a threshold outside the range
            bound, up = critical.side
            axes.plot([value], [bound], marker="_", color=style.GREY, ms=6)
            arrow = {"arrowstyle": "<-", "color": style.GREY, "lw": 0.9}
            style.beside(axes, "", (value, bound), (0, 14 if up else -14), arrowprops=arrow)
    if scale.log:
        axes.set_yscale("log")
        style.plain_log_axis(axes.yaxis, scale.low, scale.high)
    pad = 1.3 if scale.log else 1.0
    axes.set_ylim(scale.low / pad, scale.high * pad)
    sweep_panels.scale_axis(axes, "x", np.array(values, float))
    axes.set(xlabel=label(against), ylabel=f"critical {label(found[0].vary)}")
    axes.set_title(f"half of the runs: {_criterion_text(found[0])}", fontsize=7, loc="left")
    runs = sum(sum(f.search.runs) for f in found)
    beyond = "; arrows: beyond the range searched" * (len(bracketed) < len(found))
    style.note(page, f"{runs} runs; bars: 95 % interval{beyond}")
    return page


def _criterion_text(found: Critical) -> str:
    test, (name, unit) = found.criterion, quantity(found.criterion.name)
    sign = {"<=": "≤", ">=": "≥"}.get(test.sign, test.sign)
    at = "" if found.at is None else found.question.moment
    return " ".join(filter(None, (name, sign, figure(test.bound), unit, at)))


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
    ends = np.array([scipy.stats.binomtest(k, n).proportion_ci(method="wilson") for k, n in pairs])
    return ends[:, 0], ends[:, 1]


# --- calibrations ---------------------------------------------------------------------------------

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
    # Axes of the prior, so that the picture shows what the data left of it.
    every = np.concatenate([prior, values])
    ends = list(zip(every.min(axis=0), every.max(axis=0), strict=True))
    labels = []
    for name in names:
        unit = quantity(found.content["inputs"][name]["keys"][0])[1]
        labels.append(name.replace("_", " ") + (f"\n({unit})" if unit else ""))
    n, edge = len(names), max(style.COLUMN_IN, 1.05 * len(names))
    page = style.new_figure(edge, edge)
    for i, row in enumerate(page.subplots(n, n, squeeze=False)):
        for j, axes in enumerate(row):
            if j > i:  # every pair stands once
                axes.set_visible(False)
                continue
            if i == j:
                axes.axhline(1 / (ends[i][1] - ends[i][0]), color=style.GREY, lw=0.7)
                bars: dict[str, Any] = {"color": style.SKY, "lw": 0, "bins": _BINS}
                axes.hist(values[:, i], range=ends[i], density=True, **bars)
                axes.set_yticks([])
                axes.spines["left"].set_visible(False)
            else:
                # Density with the lines that hold given shares of the samples.
                pair = values[:, j], values[:, i]
                density, *edges = np.histogram2d(*pair, _BINS, (ends[j], ends[i]))
                # With few samples a bin, the lines would follow their noise.
                density = scipy.ndimage.gaussian_filter(density, 1.0)
                falling = np.sort(density.ravel())[::-1]
                inside = np.cumsum(falling) / falling.sum()
                levels = [float(falling[np.searchsorted(inside, share)]) for share in _SHARES]
                middle = [0.5 * (edge[1:] + edge[:-1]) for edge in edges]
                steps = np.unique([*levels, density.max() + 1e-9])
                axes.contourf(*middle, density.T, steps, colors=[style.SKY, style.BLUE], alpha=0.6)
                axes.set_ylim(ends[i])
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
    # What was fitted first: only what was held out tests the model.
    rows = [*(r for r in rows if not r["held_out"]), *(r for r in rows if r["held_out"])]
    measured = {d["quantity"]: d for d in found.content["measured"]}
    page = style.new_figure(style.PAGE_IN, 0.7 + 0.21 * len(rows))
    axes = page.subplots()
    for place, row in enumerate(rows):
        datum = measured[f"{row['experiment']}: {row['quantity']}"]
        colour = _VERDICTS[row["verdict"]]
        ends = (math.inf if row[key] == "never" else row[key] for key in ("low", "median", "high"))
        low, median, high = (end / datum["value"] for end in ends)
        # Beyond a factor of 30 a ratio is drawn at the edge, with an arrow.
        axes.plot([max(low, 0.03), min(high, 30)], [place, place], color=colour, lw=2.2)
        if np.isfinite(median):
            axes.plot(median, place, "|", color=style.BLACK, ms=6)
        if high > 30:
            axes.plot(30, place, ">", color=colour, ms=4)
        # A run that ended first gives a bound, which has no error bar.
        if datum["beyond"]:
            axes.plot(1, place, ">", mfc="none", mec=style.BLACK, ms=4.5, mew=0.8)
        else:
            two_errors = min(2 * datum["error"] / datum["value"], 0.95)
            ring: Any = {"mfc": "white", "ecolor": style.BLACK, "mec": style.BLACK, "mew": 0.7}
            axes.errorbar(1, place, xerr=two_errors, fmt="o", ms=3, lw=0.7, **ring)
    held = sum(not row["held_out"] for row in rows)
    if held < len(rows):
        axes.axhline(held - 0.5, color=style.GREY, lw=0.5, ls=":")
    axes.set(xscale="log", xlim=(0.03, 36))
    axes.set_xticks(ticks := [0.1, 0.3, 1, 3, 10], list(map(str, ticks)))
    axes.minorticks_off()
    axes.set(ylim=(len(rows) - 0.5, -0.5), xlabel="over the measured value")
    names = [f"{r['experiment']}, {plain(r['quantity'])}: {r['measured']}" for r in rows]
    axes.set_yticks(range(len(rows)), names, fontsize=6)
    style.note(
        page,
        "circle: measured, two standard errors (arrow: only known to be larger); bar: 90 % of runs "
        "with the stated discrepancy, blue within, red outside,\ngrey not judged; tick: median; "
        "below the dotted line: not fitted",
    )
    return page
