"""Pictures of a population of voids: as a microscope counts it, sections, maps, sizes, summary."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from kmc.analysis.measured import QUANTITIES, Measured, measured_tables
from kmc.common.formatting import duration, figure, plural
from kmc.errors import InputError
from kmc.plotting import style
from kmc.plotting.measured_panels import draw_measured, last_capacity, legend, title
from kmc.plotting.upscale_cycles import cycles_picture, ends_of_steps
from kmc.population.life import KINDS
from kmc.population.result import PopulationRun

POPULATION_PICTURES = ("summary", "microscope", "section", "map", "sizes", "events")
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
        Frames of ``section``, ``map`` and ``sizes``.
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
        if what == "section":
            return _section_page(runs, names, frames)
        if what == "events":
            return _events(runs, names)
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
    # Images at equal intervals, as those of a microscope, want an axis like theirs.
    logarithmic = not all(run.run["upscale"].get("image_every_min") for run in runs)
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
    counted = [m.table[QUANTITIES["voids"]].max() for m in tables]
    panels[1].set_ylim(0, max([panels[1].get_ylim()[1], *(1.15 * n for n in counted if n > 0)]))
    panels[4].set_ylim(0, _top(panels[4], 400))
    for panel in panels[2:4]:
        panel.set_yscale("log")
        style.plain_log_axis(panel.yaxis, *panel.get_ylim())
    furthest = max(1.05 * last_capacity(tables), 1.05 * last, 10 * _LEFT_mAh_cm2)
    if logarithmic:
        panels[0].set_xscale("log")
    panels[0].set_xlim(_LEFT_mAh_cm2 if logarithmic else 0.0, furthest)
    panels[-1].set_xlabel("capacity (mAh/cm²)")
    if not last:
        style.empty(panels[0], _NOTHING)
    elif len(runs) == 1 and logarithmic:
        _tell_peak(panels[4], runs[0])
    if tables:
        colours = [style.run_colour(i) for i in range(len(runs))]
        metals = [_metal(run) for run in runs]
        named = dict(zip(QUANTITIES, panels, strict=True))
        draw_measured(named, tables, metals, colours, logarithmic=logarithmic)
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
        f"{name}: lines along x and y across {plural(len(run.replicas), 'square')} of "
        f"{figure(run.edge_um, 'µm')}{_resolution(run)}"
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


def _resolution(run: PopulationRun) -> str:
    resolution = run.run["upscale"].get("resolution_um")
    return f", seen at {figure(resolution, 'µm')}" if resolution else ""


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
    shown = [_chosen(run, frames, _MOST_MAPS if len(runs) == 1 else 3) for run in runs]
    panels = [(run, frame) for run, some in zip(runs, shown, strict=True) for frame in some]
    if not panels:
        raise InputError("there is no frame to draw", advice="Wait for the run to go on.")
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    page = style.new_figure(style.PAGE_IN * columns / 3, 2.45 * rows)
    axes = page.subplots(rows, columns, squeeze=False)
    for panel in axes.ravel()[len(panels) :]:
        panel.set_axis_off()
    for panel, (run, frame) in zip(axes.ravel(), panels, strict=False):
        draw_map(panel, run, frame)
        if len(runs) > 1:
            panel.set_ylabel(names[runs.index(run)])
    return page


# Contact is grey as the metal; the deeper the gap, the darker its blue.
_DEPTH = LinearSegmentedColormap.from_list("gap", ["#CFE3F2", style.BLUE, "#00233A"])


def draw_map(panel: Axes, run: PopulationRun, frame: int, highest_um: float | None = None) -> None:
    """The gap of a frame from above, blue on the grey of contact, and a key of its height."""
    edge, h = run.edge_um, run.gap_um(frame)
    highest = max(h.max() if highest_um is None else highest_um, 1e-9)
    panel.set_facecolor(style.METAL)
    panel.imshow(
        np.ma.masked_equal(h, 0.0),
        cmap=_DEPTH,
        vmin=0,
        vmax=highest,
        origin="lower",
        extent=(0, edge, 0, edge),
        interpolation="nearest",
    )
    mine = run.points["frame"] == frame
    panel.scatter(
        run.points["x_um"][mine],
        run.points["y_um"][mine],
        s=0.6,
        color=style.BLUE,
        lw=0,
        clip_on=True,
    )
    panel.set(xlim=(0, edge), ylim=(0, edge), aspect="equal", xticks=[], yticks=[])
    for spine in panel.spines.values():
        spine.set_visible(True)
    samples = run.replicas[int(run.frames["replica"][frame])]
    contact = 100 * samples["contact_fraction"][int(run.frames["sample"][frame])]
    panel.set_title(f"{when(run, frame)}: contact {contact:.3g} %", pad=3)
    scale_bar(panel, edge, edge)
    if h.any():
        text = f"gap up to {figure(h.max(), 'µm')}"
        box = {"facecolor": "white", "alpha": 0.75, "lw": 0, "pad": 1}
        panel.text(0.95 * edge, 0.05 * edge, text, ha="right", va="bottom", fontsize=6, bbox=box)


def scale_bar(panel: Axes, width_um: float, height_um: float) -> None:
    """A bar of a round length in the lower left corner."""
    bar = _nice(width_um / 4)
    x, y = 0.05 * width_um, 0.05 * height_um
    panel.plot([x, x + bar], [y, y], color=style.BLACK, lw=2)
    panel.text(
        x + bar / 2,
        y + 0.025 * height_um,
        f"{bar:g} µm",
        ha="center",
        va="bottom",
        bbox={"facecolor": "white", "alpha": 0.75, "lw": 0, "pad": 1},
    )


def _nice(length: float) -> float:
    """A round length not above one."""
    power = 10.0 ** np.floor(np.log10(length))
    return next(float(f * power) for f in (5, 2, 1) if f * power <= length * 1.0001)


# --- sections -------------------------------------------------------------------------------------

_SECTION_um = 100.0  # as wide as the images, where the square is
_AT_mAh_cm2 = (0.125, 0.25, 0.5, 0.75, 1.0, 1.25, 2.0, 3.0)  # of the operando images, and on
_VOID = "#1B1B1B"
_FEW = 8


def section_line(run: PopulationRun) -> int:
    """Row of the grid whose contact is nearest to that of the whole square in all frames."""
    own = np.flatnonzero(run.frames["replica"] == 0)
    lost = run.frames["h_um"][own] > 0
    off = lost.mean(axis=2) - lost.mean(axis=(1, 2))[:, None]
    return int(np.argmin((off**2).sum(axis=0)))


def draw_section(panel: Axes, run: PopulationRun, frame: int, row: int, highest_um: float) -> None:
    """A section as a microscope shows it: electrolyte below, voids dark, metal above, true aspect.

    Parameters
    ----------
    panel : Axes
    run : PopulationRun
    frame, row : int
        The row of the grid through which it goes.
    highest_um : float
        Largest gap that has to fit in.
    """
    h = run.gap_um(frame)[row]
    n, edge = len(h), run.edge_um
    # A narrow square is repeated, which it is by its nature.
    times = max(1, int(np.ceil(_SECTION_um / edge - 1e-9)))
    width = min(_SECTION_um, times * edge)
    x = np.arange(times * n + 1) * edge / n
    above, below = highest_um + 2.0, 3.0
    panel.axhspan(0, above, color="#C9C9C9", lw=0)
    panel.axhspan(-below, 0, color="#8C8671", lw=0)
    panel.stairs(np.tile(h, times), x, baseline=0, fill=True, color=_VOID, lw=0)
    panel.set(xlim=(0, width), ylim=(-below, above), aspect="equal", xticks=[], yticks=[])
    for spine in panel.spines.values():
        spine.set_visible(False)


def _section_page(
    runs: Sequence[PopulationRun], names: Sequence[str], frames: Sequence[int] | None
) -> Figure:
    """Sections along one line of each run, in the order of the charge."""
    shown = [_at_charges(run) if frames is None else list(frames)[:_FEW] for run in runs]
    panels = max(len(some) for some in shown)
    if not panels:
        raise InputError("there is no frame to draw", advice="Wait for the run to go on.")
    width = style.PAGE_IN / len(runs) - 0.7
    highest, heights = [], []
    for run, some in zip(runs, shown, strict=True):
        row = section_line(run)
        highest.append(max((run.gap_um(f)[row].max() for f in some), default=0.0))
        heights.append(width * (highest[-1] + 5.0) / _SECTION_um + 0.06)
    head = 0.35
    page = style.new_figure(style.PAGE_IN, head + panels * max(*heights, 0.28) + 0.25)
    axes = page.subplots(panels, len(runs), squeeze=False)
    for column, (run, some, name) in enumerate(zip(runs, shown, names, strict=True)):
        row = section_line(run)
        for i, panel in enumerate(axes[:, column]):
            if i >= len(some):
                panel.set_axis_off()
                continue
            draw_section(panel, run, some[i], row, highest[column])
            panel.set_ylabel(when(run, some[i]), rotation=0, ha="right", va="center", fontsize=6.5)
        axes[0, column].set_title(name, loc="left")
        last = axes[min(panels, len(some)) - 1, column]
        bar = _nice(last.get_xlim()[1] / 8)
        y = last.get_ylim()[0] / 2
        last.plot([2, 2 + bar], [y, y], color="white", lw=1.6)
        last.text(2.8 + bar, y, f"{bar:g} µm", color="white", va="center", fontsize=6)
    page.supxlabel(
        "metal light, voids black, electrolyte dark; height and width on one scale",
        fontsize=6,
        color=style.GREY,
    )
    return page


def _at_charges(run: PopulationRun) -> list[int]:
    """Frames of the first replica next to the charges of the images, or spread over a short run."""
    own = np.flatnonzero(run.frames["replica"] == 0)
    if run.run.get("protocol"):
        return ends_of_steps(run)
    charge = run.frames["capacity_mAh_cm2"][own]
    if not len(own) or charge[-1] < _AT_mAh_cm2[1]:
        return _chosen(run, None, _MOST_MAPS)
    wanted = [c for c in _AT_mAh_cm2 if c <= charge[-1] * 1.01]
    picked = [int(own[np.argmin(np.abs(charge - c))]) for c in wanted]
    return list(dict.fromkeys([*picked, int(own[-1])]))[-_FEW:]


# --- events ---------------------------------------------------------------------------------------

_EVENT_LOOK = {
    "coalesces": (style.BLUE, "o"),
    "splits": (style.VERMILLION, "^"),
    "collapses": (style.GREEN, "v"),
}


def _events(runs: Sequence[PopulationRun], names: Sequence[str]) -> Figure:
    """What happened to the voids on the grid: the width of each against the charge, and counts."""
    page = style.new_figure(style.PAGE_IN, 2.3 * len(runs) + 0.2)
    axes = page.subplots(len(runs), 2, squeeze=False, sharex=True)
    for (sizes, counts), run, name in zip(axes, runs, names, strict=True):
        run.gap_um(0)  # refuses the files of an earlier kmc, which list no events
        events, s = run.events, run.samples
        for what, (colour, marker) in _EVENT_LOOK.items():
            mine = events["kind"] == KINDS.index(what)
            width = np.sqrt(4 * events["area_um2"][mine] / np.pi)
            charge = events["capacity_mAh_cm2"][mine]
            sizes.scatter(charge, width, s=7, color=colour, marker=marker, lw=0, alpha=0.7)
            column = {"coalesces": "coalescences"}.get(what, what)
            area_mm2 = run.edge_um**2 * 1e-6
            rate = s[column] / area_mm2
            counts.plot(s["capacity_mAh_cm2"], rate, color=colour, label=column)
        if (events["kind"] > 0).any():
            sizes.set_yscale("log")
            style.plain_log_axis(sizes.yaxis, *sizes.get_ylim())
        else:
            style.empty(sizes, "no void on the grid split, met or closed")
        sizes.set_ylabel("width of the void that\nended or came off (µm)")
        counts.set_ylabel("events so far per mm²")
        counts.set_ylim(bottom=0)
        counts.legend(fontsize=6, loc="upper left", handlelength=1.2)
        if len(runs) > 1:
            sizes.set_title(name, loc="left")
    for panel in axes[-1]:
        panel.set_xlabel("capacity (mAh/cm²)")
    return page


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
            voids = run.of_frame(frame)
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
        ("settled_um", style.GREEN),
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
