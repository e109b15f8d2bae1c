"""Pictures of a population of voids: as the microscope sees it, from above, sizes, and a
summary."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import EllipseCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from kmc.analysis.measured import QUANTITIES, Measured, measured_tables
from kmc.common.formatting import duration, figure, plural
from kmc.errors import InputError
from kmc.mesoscale.cross_lines import LINES
from kmc.mesoscale.result import PopulationRun
from kmc.plotting import style
from kmc.plotting.measured import draw_measured, last_capacity, legend, title
from kmc.plotting.upscale_cycles import cycles_picture, ends_of_steps

POPULATION_PICTURES = ("summary", "microscope", "map", "sizes")
_ROW_IN = 1.12
_LEFT_mAh_cm2 = 1e-5
_NOTHING = f"nothing yet from {_LEFT_mAh_cm2:.0e} mAh/cm² on"
_MOST_MAPS = 6
_BINS = 12  # of a decade of width


def population_picture(
    runs: PopulationRun | Sequence[PopulationRun],
    *,
    what: str = "microscope",
    paper: bool = False,
    data: str | Path | Sequence[str | Path] = (),
    frames: Sequence[int] | None = None,
    names: Sequence[str] | None = None,
) -> Figure:
    """A picture of one or several populations.

    Parameters
    ----------
    runs : PopulationRun or sequence of PopulationRun
    what : str
        One of `POPULATION_PICTURES`.
    paper : bool
        With ``microscope``: the numbers of the operando paper in the same axes.
    data : str, Path or sequence of them
        With ``microscope``: CSV files of measured data (`kmc.analysis.measured`).
    frames : sequence of int, optional
        Frames of ``map`` and ``sizes``.
    names : sequence of str, optional
        Of the runs; those of their files by default.

    Raises
    ------
    InputError
        There is no such picture, or nothing to draw.
    """
    runs = [runs] if isinstance(runs, PopulationRun) else list(runs)
    if what not in POPULATION_PICTURES:
        raise InputError(
            f"there is no picture {what!r} of a population of voids",
            advice=f"Choose {', '.join(POPULATION_PICTURES)}.",
        )
    for run in runs:
        if not len(run.samples["time_s"]):
            raise InputError(f"{run.path} holds no sample yet", advice="Wait for the run to go on.")
    if (paper or data) and what != "microscope":
        raise InputError(
            f"measured data have no place in the picture {what!r}", advice="Draw microscope."
        )
    names = style.run_names(runs) if names is None else list(names)
    tables = measured_tables(data, paper)
    with style.styled():
        if what == "microscope":
            return _microscope(runs, names, tables)
        if what == "map":
            return _maps(runs, names, frames)
        if what == "sizes":
            return _sizes(runs, names, frames)
        if runs[0].run.get("protocol"):
            return cycles_picture(runs[0], draw_map)
        return _summary(runs, names)


def _page(names: Sequence[str], rows: int, columns: int, width: float, **shared):
    """A page with a legend above panels; returns the page and its panels."""
    told = len(names) > 1
    head = 0.1 + 0.16 * -(-len(names) // 2) if told else 0.05
    body = rows * _ROW_IN + 0.55
    page = style.new_figure(width, head + body)
    top, bottom = style.stack(page, [head, body])
    axes = bottom.subplots(rows, columns, squeeze=False, **shared)
    if told:
        keys = [
            Line2D([], [], lw=1.6, label=name, **style.run_style(i)) for i, name in enumerate(names)
        ]
        top.legend(handles=keys, loc="upper left", ncols=2, handlelength=2.4, borderaxespad=0.3)
    return page, bottom, axes


def _stripping(run: PopulationRun) -> dict[str, np.ndarray]:
    """Rows with a charge to show on a logarithmic axis, of the (first) stripping alone."""
    s = run.samples
    kept = (s["phase"] == 0) & (s["capacity_mAh_cm2"] >= _LEFT_mAh_cm2)
    kept &= np.cumsum(s["current_density_mA_cm2"] <= 0) == 0
    return {name: values[kept] for name, values in s.items()}


# --- the microscope -------------------------------------------------------------------------------


def _microscope(
    runs: Sequence[PopulationRun], names: Sequence[str], tables: Sequence[Measured]
) -> Figure:
    """Contact loss, cuts per 100 µm, width, height and overpotential against capacity."""
    page, body, axes = _page(names, 5, 1, 4.6 if tables else style.COLUMN_IN + 0.6, sharex="col")
    panels = axes[:, 0]
    labels = (
        "contact loss (%)",
        "voids per\n100 µm of line",
        "void width (µm)",
        "void height (µm)",
        "overpotential (mV)",
    )
    last = 0.0
    for i, run in enumerate(runs):
        s, look = _stripping(run), style.run_style(i)
        x = s["capacity_mAh_cm2"]
        if not len(x):
            continue
        last = max(last, float(x[-1]))
        panels[0].plot(x, 100 * (1 - s["contact_fraction"]), **look)
        panels[1].plot(x, s["voids_per_100um"], **look)
        for panel, what in ((panels[2], "width"), (panels[3], "height")):
            panel.plot(x, s[f"mean_{what}_um"], **look)
            panel.plot(x, s[f"max_{what}_um"], **look | {"linewidth": 0.6, "alpha": 0.7})
        panels[4].plot(x, 1e3 * s["overpotential_V"], **look)
        panels[4].plot(x, 1e3 * s["concentration_V"], **look | {"linewidth": 0.6, "alpha": 0.7})
    for panel, label in zip(panels, labels, strict=True):
        panel.set_ylabel(label)
    panels[0].set_ylim(0, 100)
    panels[1].set_ylim(bottom=0)
    panels[4].set_ylim(0, _top(panels[4], 400))
    for panel in panels[2:4]:
        panel.set_yscale("log")
        style.plain_log_axis(panel.yaxis, *panel.get_ylim())
    panels[0].set_xscale("log")
    furthest = max(1.3 * last_capacity(tables), 1.05 * last, 10 * _LEFT_mAh_cm2)
    panels[0].set_xlim(_LEFT_mAh_cm2, furthest)
    panels[-1].set_xlabel("capacity (mAh/cm²)")
    if not last:
        style.empty(panels[0], _NOTHING)
    elif len(runs) == 1:
        _tell_peak(panels[4], runs[0])
    if tables:
        colours = [style.run_colour(i) for i in range(len(runs))]
        metals = [_metal(run) for run in runs]
        named = dict(zip(QUANTITIES, panels, strict=True))
        draw_measured(named, tables, metals, colours, logarithmic=True)
        panels[0].legend(
            handles=legend(tables, metals, colours),
            loc="upper left",
            bbox_to_anchor=(0.0, 0.78),
            handlelength=1.0,
        )
    notes = ["Thick: mean width and height, overpotential; thin: the largest, (kT/e) ln S."]
    if any((run.samples["current_density_mA_cm2"] < 0).any() for run in runs):
        notes.append("Of runs that plate: the first strip alone; the summary shows every cycle.")
    notes += [
        f"{name}: {plural(len(run.replicas), 'square')} of {figure(run.edge_um, 'µm')} with "
        f"{plural(2 * LINES, 'line')} each"
        for name, run in zip(names, runs, strict=True)
    ]
    if tables:
        notes.append(f"Points, bands and dotted lines are measured: {title(tables)}.")
    text = "\n".join(fill(note, 95, break_on_hyphens=False) for note in notes)
    page.supxlabel(text, fontsize=6, color=style.GREY, x=0.02, ha="left")
    for letter, panel in zip("abcde", panels, strict=True):
        panel.text(-0.17, 1.0, letter, weight="bold", size=8.5, transform=panel.transAxes)
    body.align_ylabels(panels)
    return page


def _top(panel: Axes, most: float) -> float:
    return min(most, panel.get_ylim()[1])


def _tell_peak(panel: Axes, run: PopulationRun) -> None:
    """The largest (kT/e) ln S, where it lies left of the axis: voids nucleate that early."""
    s = run.samples
    at = int(np.argmax(np.where(s["phase"] == 0, s["concentration_V"], -np.inf)))
    if s["capacity_mAh_cm2"][at] < _LEFT_mAh_cm2:
        charge = figure(s["capacity_mAh_cm2"][at], "mAh/cm²")
        text = f"largest (kT/e) ln S: {1e3 * s['concentration_V'][at]:.0f} mV at {charge}"
        panel.text(0.02, 0.06, text, transform=panel.transAxes, color=style.GREY, fontsize=6.5)


def _metal(run: PopulationRun) -> str:
    metal = run.resolved.get("metal", "Li")
    return f"{metal}-Mg" if run.facts.get("mg_coverage") else metal


# --- from above -----------------------------------------------------------------------------------


def _chosen(run: PopulationRun, frames: Sequence[int] | None, most: int) -> list[int]:
    """Frames to draw: those asked for, or some whose contact differs."""
    n = len(run.frames["time_s"])
    if frames is not None:
        return list(frames)[: 3 * most]
    first = np.flatnonzero(run.frames["replica"] == 0)
    if not len(first):
        return []
    if run.run.get("protocol"):
        return ends_of_steps(run)
    samples = run.replicas[0]
    resting = samples["phase"][run.frames["sample"][first]] > 0
    if resting.any():
        rest, ended = first[resting], first[~resting][-1:]
        some = [int(rest[i]) for i in style.evenly(len(rest), most - len(ended))]
        return [*(int(i) for i in ended), *some]
    loss = 1 - samples["contact_fraction"][run.frames["sample"][first]]
    shown = [int(first[np.argmin(np.abs(loss - share))]) for share in np.linspace(0.05, 0.95, most)]
    picked = sorted(dict.fromkeys(shown))
    return picked or style.evenly(n, most)


def _maps(
    runs: Sequence[PopulationRun], names: Sequence[str], frames: Sequence[int] | None
) -> Figure:
    """Footprints seen from above, blue where contact is lost."""
    columns = 3
    shown = [_chosen(run, frames, _MOST_MAPS if len(runs) == 1 else columns) for run in runs]
    panels = [(run, frame) for run, some in zip(runs, shown, strict=True) for frame in some]
    if not panels:
        raise InputError("there is no frame to draw", advice="Wait for the run to go on.")
    rows = -(-len(panels) // columns)
    page = style.new_figure(style.PAGE_IN, 2.45 * rows)
    axes = page.subplots(rows, columns, squeeze=False)
    for panel in axes.ravel()[len(panels) :]:
        panel.set_axis_off()
    for panel, (run, frame) in zip(axes.ravel(), panels, strict=False):
        draw_map(panel, run, frame)
        if len(runs) > 1:
            panel.set_ylabel(names[runs.index(run)])
    return page


def draw_map(panel: Axes, run: PopulationRun, frame: int) -> None:
    """Footprints of a frame from above, blue on the grey of contact."""
    edge = run.edge_um
    _, discs = run.of_frame(frame)
    panel.add_patch(Rectangle((0, 0), edge, edge, color=style.METAL, lw=0))
    x, y, radius = discs["x_um"], discs["y_um"], discs["radius_um"]
    places, sizes = [], []
    for dx in (-edge, 0.0, edge):
        for dy in (-edge, 0.0, edge):
            near = (np.abs(x + dx - edge / 2) < edge / 2 + radius) & (
                np.abs(y + dy - edge / 2) < edge / 2 + radius
            )
            places.append(np.column_stack((x[near] + dx, y[near] + dy)))
            sizes.append(radius[near])
    offsets, diameter = np.concatenate(places), 2 * np.concatenate(sizes)
    if len(offsets):
        discs_drawn = EllipseCollection(
            diameter,
            diameter,
            np.zeros(len(diameter)),
            units="xy",
            offsets=offsets,
            transOffset=panel.transData,
            facecolor=style.BLUE,
            edgecolor="none",
        )
        discs_drawn.set_clip_path(Rectangle((0, 0), edge, edge, transform=panel.transData))
        panel.add_collection(discs_drawn)
    panel.set_xlim(0, edge)
    panel.set_ylim(0, edge)
    panel.set_aspect("equal")
    panel.set_xticks([])
    panel.set_yticks([])
    for spine in panel.spines.values():
        spine.set_visible(True)
    samples = run.replicas[int(run.frames["replica"][frame])]
    row = int(run.frames["sample"][frame])
    contact = 100 * samples["contact_fraction"][row]
    panel.set_title(f"{when(run, frame)}: contact {contact:.3g} %", pad=3)
    bar = _nice(edge / 4)
    panel.plot([0.05 * edge, 0.05 * edge + bar], [0.05 * edge] * 2, color=style.BLACK, lw=2)
    panel.text(
        0.05 * edge + bar / 2,
        0.075 * edge,
        f"{bar:g} µm",
        ha="center",
        va="bottom",
        bbox={"facecolor": "white", "alpha": 0.75, "lw": 0, "pad": 1},
    )


def _nice(length: float) -> float:
    """A round length not above one."""
    power = 10.0 ** np.floor(np.log10(length))
    return next(float(f * power) for f in (5, 2, 1) if f * power <= length * 1.0001)


# --- sizes ----------------------------------------------------------------------------------------


def _sizes(
    runs: Sequence[PopulationRun], names: Sequence[str], frames: Sequence[int] | None
) -> Figure:
    """Distribution of the footprints' width, √(4A/π), in some frames: number, and area."""
    page = style.new_figure(style.PAGE_IN, 2.4 * len(runs) + 0.2)
    axes = page.subplots(len(runs), 2, squeeze=False, sharex="row")
    for (number, area), run, name in zip(axes, runs, names, strict=True):
        shown = _chosen(run, frames, 5)
        for frame, colour in zip(shown, style.ramp(len(shown)), strict=False):
            voids, _ = run.of_frame(frame)
            footprint = voids["footprint_um2"][voids["footprint_um2"] > 0]
            if not len(footprint):
                continue
            width = np.sqrt(4 * footprint / np.pi)
            low, high = np.log10([width.min() * 0.99, width.max() * 1.01])
            edges = np.arange(np.floor(low * _BINS), np.ceil(high * _BINS) + 1) / _BINS
            per_decade = _BINS / run.edge_um**2
            counts, _ = np.histogram(width, 10**edges)
            order = np.argsort(width)
            covered = 100 * np.cumsum(footprint[order]) / run.edge_um**2
            look = {"color": colour, "lw": 1.2}
            density = np.where(counts, counts * per_decade, np.nan)
            number.stairs(density, 10**edges, baseline=None, **look)
            edge = [width.min()], [width.max() * 1e3]
            up = np.concatenate([edge[0], width[order], edge[1]]), [0.0, *covered, covered[-1]]
            area.step(*up, where="post", label=when(run, frame), **look)
        number.set_yscale("log")
        number.set_ylabel("voids per µm²\nand decade of width")
        area.set_ylim(0, min(100.0, area.get_ylim()[1]))
        area.set_ylabel("interface under voids\nthat are narrower (%)")
        if area.get_legend_handles_labels()[0]:
            number.set_xscale("log")
            number.relim()
            area.set_xlim(number.dataLim.x0 / 1.2, number.dataLim.x1 * 1.2)
            style.plain_log_axis(area.xaxis, *area.get_xlim())
            area.legend(fontsize=6, handlelength=1.4, loc="upper left")
        else:
            style.empty(area, "no voids in these frames")
            number.set_yscale("linear")
            for panel in (number, area):
                panel.set(xticks=[], yticks=[])
        if len(runs) > 1:
            number.set_title(name, loc="left")
    for panel in axes[-1]:
        panel.set_xlabel("width of the footprint, √(4A/π) (µm)")
    return page


def when(run: PopulationRun, frame: int) -> str:
    """Charge of a frame, or how long the current has been off."""
    samples = run.replicas[int(run.frames["replica"][frame])]
    row = int(run.frames["sample"][frame])
    if samples["step"][row]:
        current = samples["current_density_mA_cm2"][row]
        did = "stripped" if current > 0 else "plated" if current < 0 else "rested"
        return f"cycle {samples['cycle'][row]:.0f}, {did}"
    if samples["phase"][int(run.frames["sample"][frame])] == 0:
        return figure(run.frames["capacity_mAh_cm2"][frame], "mAh/cm²")
    switched_s = samples["time_s"][samples["phase"] == 0][-1]
    return f"{duration(run.frames['time_s'][frame] - switched_s)} of rest"


# --- summary --------------------------------------------------------------------------------------

_TERMS = (
    ("concentration_V", "(kT/e) ln S", style.SKY),
    ("charge_transfer_V", "charge transfer", style.ORANGE),
    ("constriction_V", "constriction", style.GREEN),
    ("series_V", "series", style.GREY),
)


def _summary(runs: Sequence[PopulationRun], names: Sequence[str]) -> Figure:
    """The first run from above, and its contact, voids, supersaturation and overpotential."""
    run = runs[0]
    page = style.new_figure(style.PAGE_IN, 4.9)
    top, bottom = style.stack(page, [2.3, 2.6])
    shown = _chosen(run, None, 3)
    maps = top.subplots(1, max(1, len(shown)), squeeze=False)[0]
    for panel, frame in zip(maps, shown, strict=False):
        draw_map(panel, run, frame)
    if not shown:
        style.empty(maps[0], "no frame yet")
        maps[0].set_axis_off()
    axes = bottom.subplots(2, 2, sharex="col")
    resting = run.samples["phase"] > 0
    s = run.samples if resting.any() else _stripping(run)
    x = s["time_s"] if resting.any() else s["capacity_mAh_cm2"]
    some = x > 0
    x = x[some]
    if not len(x):
        for panel in axes.ravel():
            panel.set_axis_off()
        style.empty(axes[0, 0], _NOTHING)
        return page
    contact, lines, voltage, budget = axes.ravel()
    contact.plot(x, 100 * s["contact_fraction"][some], color=style.BLUE)
    contact.set_ylim(0, 101)
    contact.set_ylabel("contact (%)")
    lines.plot(x, s["voids_per_100um"][some], color=style.BLUE)
    lines.set_ylim(bottom=0)
    lines.set_ylabel("voids per 100 µm")
    twin = lines.twinx()
    twin.plot(x, s["mean_width_um"][some], color=style.VERMILLION, ls="--")
    twin.set_yscale("log")
    twin.set_ylabel("mean width (µm)", color=style.VERMILLION)
    twin.spines["right"].set_visible(True)
    style.plain_log_axis(twin.yaxis, *twin.get_ylim())
    lower = np.zeros(len(x))
    for name, label, colour in _TERMS:
        upper = lower + np.nan_to_num(1e3 * s[name][some], posinf=1e3)
        if (upper - lower).max(initial=0) > 0.5:
            voltage.fill_between(x, lower, upper, color=colour, lw=0, label=label)
        lower = upper
    voltage.set_ylabel("overpotential (mV)")
    voltage.set_ylim(0, min(500.0, 1.4 * lower.max(initial=1.0)))  # room for the key
    voltage.legend(fontsize=6, loc="upper left", handlelength=1.0)
    lower = np.zeros(len(x))
    made = np.maximum((s["stripped_um"] + s["initial_um"])[some], 1e-30)
    for name, colour in (
        ("voids_um", style.BLUE),
        ("creep_um", style.GREEN),
        ("sink_um", style.ORANGE),
        ("storage_um", style.SKY),
    ):
        share = 100 * s[name][some] / made
        if share.max(initial=0) < 0.1:
            continue
        budget.fill_between(
            x, lower, lower + share, color=colour, lw=0, label=name.removesuffix("_um")
        )
        lower = lower + share
    budget.set_ylim(0, 100)
    budget.set_ylabel("stripped volume (%)")
    budget.legend(
        fontsize=6,
        loc="lower right",
        handlelength=1.0,
        frameon=True,
        framealpha=0.85,
        edgecolor="w",
    )
    for panel in axes.ravel():
        panel.set_xscale("log")
        if len(x) > 1:
            panel.set_xlim(x[0], x[-1])
    for panel in axes[1]:
        panel.set_xlabel("time (s)" if resting.any() else "capacity (mAh/cm²)")
    return page
