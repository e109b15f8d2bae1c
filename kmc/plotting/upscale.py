"""Pictures of a population of voids: sections, maps, sizes, events, summary."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure, SubFigure
from matplotlib.patheffects import withStroke

from kmc.common.formatting import duration, figure
from kmc.errors import InputError
from kmc.plotting import statistics, style
from kmc.plotting.microscope import NOTHING, describe, stripping
from kmc.systems.population.life import KINDS
from kmc.systems.population.result import PopulationRun

_MAX_MAPS = 6


# --- from above -----------------------------------------------------------------------------------


def _chosen(run: PopulationRun, frames: Sequence[int] | None, most: int) -> list[int]:
    """Frames to draw: those asked for, or some whose contact differs."""
    if frames is not None:
        return list(frames)[: 3 * most]
    # Frames of one square: those of another replica would look like a jump in time.
    first = np.flatnonzero(run.frames["replica"] == 0)
    if not len(first):
        return []
    if run.run.get("protocol"):
        return ends_of_steps(run)
    samples = run.replicas[0]
    resting = samples["phase"][run.frames["sample"][first]] > 0
    if resting.any():
        rest, ended = first[resting], first[~resting][-1:]
        return [*ended.tolist(), *rest[style.evenly(len(rest), most - len(ended))].tolist()]
    # Frames at equal steps of the loss: at equal steps of the charge many may look alike.
    loss = 1 - samples["contact_fraction"][run.frames["sample"][first]]
    shares = np.linspace(0.05, 0.95, most)
    picked = np.unique([first[np.argmin(np.abs(loss - share))] for share in shares])
    # Under pressure contact hardly changes: frames along the charge show more than a single one.
    enough = len(picked) >= min(most, len(first))
    return (picked if enough else first[style.evenly(len(first), most)]).tolist()


def _sheet(
    runs: Sequence[PopulationRun], width_in: float, height_in: float, foot_in: float = 0.01
) -> tuple[style.Picture, SubFigure]:
    """A page whose panels carry the names of several runs."""
    about = describe(runs[0])
    return style.sheet(runs, (width_in, height_in), about, names=[""], foot_in=foot_in)


def _maps(
    runs: Sequence[PopulationRun], names: Sequence[str], frames: Sequence[int] | None
) -> Figure:
    """Footprints seen from above, blue where contact is lost."""
    shown = [_chosen(run, frames, _MAX_MAPS if len(runs) == 1 else 3) for run in runs]
    panels = [(run, frame) for run, some in zip(runs, shown, strict=True) for frame in some]
    if not panels:
        raise InputError("there is no frame to draw", advice="Wait for the run to go on.")
    columns = min(3, len(panels))
    rows = [panels[i : i + columns] for i in range(0, len(panels), columns)]
    page, body = _sheet(runs, max(0.6, columns / 3) * style.PAGE_IN, 2.45 * len(rows))
    for panel, (run, frame) in style.grid(body, rows):
        draw_map(panel, run, frame)
        if len(runs) > 1:
            panel.set_ylabel(names[runs.index(run)])
    return page


# Contact is grey as the metal; the deeper the gap, the darker its blue.
_DEPTH = LinearSegmentedColormap.from_list("gap", ["#CFE3F2", style.BLUE, "#00233A"])


def draw_map(panel: Axes, run: PopulationRun, frame: int, highest_um: float | None = None) -> None:
    """The gap of a frame from above, blue on the grey of contact, and a key of its height."""
    edge, h = run.edge_um, run.gap_um(frame)
    # A square in full contact has no gap to make a scale of.
    highest = max(h.max() if highest_um is None else highest_um, 1e-9)
    panel.set_facecolor(style.METAL)
    look: dict[str, Any] = {"cmap": _DEPTH, "vmin": 0, "vmax": highest}
    panel.imshow(np.ma.masked_equal(h, 0.0), extent=(0, edge, 0, edge), **look)
    # Voids too small for the grid are points with a volume: their dots have no scale.
    mine = run.points["frame"] == frame
    x, y = run.points["x_um"][mine], run.points["y_um"][mine]
    panel.scatter(x, y, s=0.6, color=style.BLUE, lw=0, clip_on=True)
    panel.set(xlim=(0, edge), ylim=(0, edge), aspect="equal", xticks=[], yticks=[])
    panel.spines[:].set_visible(True)
    panel.set_title(f"{when(run, frame)}: contact {contact_percent(run, frame):.3g} %", pad=3)
    # A bar of a round length in the lower left corner; the size of the gap in the other one.
    bar, inset = _nice(edge / 4), 0.05 * edge
    white = [withStroke(linewidth=3.5, foreground="white")]
    panel.plot([inset, inset + bar], [inset, inset], color=style.BLACK, lw=2, path_effects=white)
    middle = inset + bar / 2, inset + 0.025 * edge
    style.write_over(panel.text, *middle, f"{bar:g} µm", ha="center", va="bottom")
    if h.any():
        text = f"gap up to {figure(h.max(), 'µm')}"
        style.write_over(panel.text, 0.95 * edge, inset, text, ha="right", va="bottom", fontsize=6)


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
    run.gap_um(0)  # refuses the files of an earlier kmc, which hold no gap
    own = np.flatnonzero(run.frames["replica"] == 0)
    lost = run.frames["h_um"][own] > 0
    # A line through one void alone would show more, or less, than the contact of the square.
    off = lost.mean(axis=2) - lost.mean(axis=(1, 2))[:, None]
    return int(np.argmin((off**2).sum(axis=0)))


def draw_section(panel: Axes, run: PopulationRun, frame: int, row: int, highest_um: float) -> None:
    """The section along a row of the grid, as a microscope shows it: electrolyte below, voids dark,
    metal above, true aspect, with room for the largest gap of all frames.
    """
    h = run.gap_um(frame)[row]
    n, edge = len(h), run.edge_um
    # A narrow square is repeated, which it is by its nature.
    times = max(1, int(np.ceil(_SECTION_um / edge - 1e-9)))
    width = min(_SECTION_um, times * edge)
    x = np.arange(times * n + 1) * edge / n
    # Metal above the largest gap and electrolyte below, as a micrograph shows them.
    above, below = highest_um + 2.0, 3.0
    panel.axhspan(0, above, color="#C9C9C9", lw=0)
    panel.axhspan(-below, 0, color="#8C8671", lw=0)
    panel.stairs(np.tile(h, times), x, baseline=0, fill=True, color=_VOID, lw=0)
    panel.set(xlim=(0, width), ylim=(-below, above), aspect="equal", xticks=[], yticks=[])
    panel.spines[:].set_visible(False)


def _section_page(
    runs: Sequence[PopulationRun], names: Sequence[str], frames: Sequence[int] | None
) -> Figure:
    """Sections along one line of each run, in the order of the charge."""
    shown = []
    for run in runs:
        own = np.flatnonzero(run.frames["replica"] == 0)
        charge = run.frames["capacity_mAh_cm2"][own]
        if frames is not None:
            some = list(frames)[:_FEW]
        # Cycles and runs that end before the second image have frames of their own choice.
        elif run.run.get("protocol") or not len(own) or charge[-1] < _AT_mAh_cm2[1]:
            some = _chosen(run, None, _MAX_MAPS)
        else:
            wanted = [c for c in _AT_mAh_cm2 if c <= charge[-1] * 1.01]
            picked = [int(own[np.argmin(np.abs(charge - c))]) for c in wanted]
            some = list(dict.fromkeys([*picked, int(own[-1])]))[-_FEW:]
        shown.append(some)
    panels = max(len(some) for some in shown)
    if not panels:
        raise InputError("there is no frame to draw", advice="Wait for the run to go on.")
    width = style.PAGE_IN / len(runs) - 0.7
    lines = [section_line(run) for run in runs]
    highest = [
        max((run.gap_um(f)[line].max() for f in some), default=0.0)
        for run, line, some in zip(runs, lines, shown, strict=True)
    ]
    # The tallest section decides: all panels have one scale, for height as for width.
    each_in = max(0.28, *(width * (high + 5.0) / _SECTION_um + 0.06 for high in highest))
    page, body = _sheet(runs, style.PAGE_IN, 0.2 + panels * each_in + 0.4)
    axes = body.subplots(panels, len(runs), squeeze=False)
    for column, (run, some, name) in enumerate(zip(runs, shown, names, strict=True)):
        for panel, frame in zip(axes[:, column], some, strict=False):
            draw_section(panel, run, frame, lines[column], highest[column])
            panel.set_ylabel(when(run, frame), rotation=0, ha="right", va="center", fontsize=6.5)
        for panel in axes[len(some) :, column]:
            panel.set_axis_off()
        if len(runs) > 1:
            axes[0, column].set_title(name, loc="left")
        last = axes[min(panels, len(some)) - 1, column]
        bar, y = _nice(last.get_xlim()[1] / 8), last.get_ylim()[0] / 2
        last.plot([2, 2 + bar], [y, y], color="white", lw=1.6)
        last.text(2.8 + bar, y, f"{bar:g} µm", color="white", va="center", fontsize=6)
    note = "metal light, voids black, electrolyte dark; height and width on one scale"
    narrow = {figure(run.edge_um, "µm"): None for run in runs if run.edge_um < _SECTION_um}
    if narrow:
        note += f"; the periodic square of {' or '.join(narrow)} is repeated"
    body.supxlabel(note, fontsize=6, color=style.GREY)
    return page


# --- events ---------------------------------------------------------------------------------------

_EVENT_LOOK = {
    "coalesces": (style.BLUE, "o"),
    "splits": (style.VERMILLION, "^"),
    "collapses": (style.GREEN, "v"),
}


def _two_panels_each(
    runs: Sequence[PopulationRun],
    names: Sequence[str],
    height_in: float,
    x_label: str,
    draw: Callable[[PopulationRun, Axes, Axes], None],
    **shared: Any,
) -> Figure:
    """A row of two panels for each run."""
    page, body = _sheet(runs, style.PAGE_IN, height_in * len(runs) + 0.2)
    axes = body.subplots(len(runs), 2, squeeze=False, **shared)
    for (left, right), run, name in zip(axes, runs, names, strict=True):
        draw(run, left, right)
        if len(runs) > 1:
            left.set_title(name, loc="left")
    for panel in axes[-1]:
        panel.set_xlabel(x_label)
    return page


def _events(runs: Sequence[PopulationRun], names: Sequence[str], *_: object) -> Figure:
    """What happened to the voids on the grid: the width of each against the charge, and counts."""

    def draw(run: PopulationRun, sizes: Axes, counts: Axes) -> None:
        run.gap_um(0)  # refuses the files of an earlier kmc, which list no events
        events, s = run.events, run.samples
        for what, (colour, marker) in _EVENT_LOOK.items():
            mine = events["kind"] == KINDS.index(what)
            # As a disc of the same area: what a plan view would give as its diameter.
            width = np.sqrt(4 * events["area_um2"][mine] / np.pi)
            charge = events["capacity_mAh_cm2"][mine]
            sizes.scatter(charge, width, s=7, color=colour, marker=marker, lw=0, alpha=0.7)
            column = {"coalesces": "coalescences"}.get(what, what)
            counts.plot(s["capacity_mAh_cm2"], s[column], color=colour, label=column)
        if (events["kind"] > 0).any():
            style.log_axis(sizes.yaxis)
        else:
            style.empty(sizes, "no void on the grid split, met or closed")
        sizes.set_ylabel("width of the void that\nended or came off (µm)")
        # Counts of the square: per mm² a handful of events would read as tens of thousands.
        counts.set_ylabel(f"events so far in a\nsquare of {figure(run.edge_um, 'µm')}")
        counts.set_ylim(bottom=0)
        counts.legend(fontsize=6, loc="upper left", handlelength=1.2)

    return _two_panels_each(runs, names, 2.3, "capacity (mAh/cm²)", draw, sharex=True)


# --- sizes ----------------------------------------------------------------------------------------


def _sizes(
    runs: Sequence[PopulationRun], names: Sequence[str], frames: Sequence[int] | None
) -> Figure:
    """Footprints' width, √(4A/π), in some frames: number that are wider, area that is narrower."""

    def draw(run: PopulationRun, number: Axes, area: Axes) -> None:
        shown = _chosen(run, frames, 5)
        for frame, colour in zip(shown, style.ramp(len(shown)), strict=False):
            footprint = np.sort(run.of_frame(frame)["footprint_um2"])
            footprint = footprint[footprint > 0]
            if not len(footprint):
                continue
            width = np.sqrt(4 * footprint / np.pi)
            # Shares of the interface, as loss of contact is: areas of voids do not overlap.
            covered = 100 * np.cumsum(footprint) / run.edge_um**2
            statistics.cumulative(number, width, colour, when(run, frame), lw=1.2)
            rise = np.append(width[0], width), np.append(0.0, covered)
            area.step(*rise, where="post", color=colour, lw=1.2)
        number.set_ylabel(f"wider voids in a\nsquare of {figure(run.edge_um, 'µm')}")
        area.set_ylabel("interface under voids\nthat are narrower (%)")
        if number.get_legend_handles_labels()[0]:
            style.log_axis(number.xaxis)
            style.log_axis(number.yaxis)
            area.set_ylim(0, min(100.0, area.get_ylim()[1]))
            number.legend(fontsize=6, handlelength=1.4)
        else:
            style.empty(area, "no voids in these frames")
            for panel in (number, area):
                panel.set(xticks=[], yticks=[])

    label = "width of the footprint, √(4A/π) (µm)"
    return _two_panels_each(runs, names, 2.4, label, draw, sharex="row")


def _at(run: PopulationRun, frame: int, column: str) -> float:
    """Column of the samples at the time of a frame, of its own replica."""
    samples = run.replicas[int(run.frames["replica"][frame])]
    return float(samples[column][int(run.frames["sample"][frame])])


def contact_percent(run: PopulationRun, frame: int) -> float:
    return 100 * _at(run, frame, "contact_fraction")


def when(run: PopulationRun, frame: int) -> str:
    """Charge of a frame, or how long the current has been off."""
    if _at(run, frame, "step"):
        current = _at(run, frame, "current_density_mA_cm2")
        did = "stripped" if current > 0 else "plated" if current < 0 else "rested"
        return f"cycle {_at(run, frame, 'cycle'):.0f}, {did}"
    if _at(run, frame, "phase") == 0:
        return figure(run.frames["capacity_mAh_cm2"][frame], "mAh/cm²")
    samples = run.replicas[int(run.frames["replica"][frame])]
    switched_s = samples["time_s"][samples["phase"] == 0][-1]
    return f"{duration(run.frames['time_s'][frame] - switched_s)} of rest"


# --- summary --------------------------------------------------------------------------------------

_TERMS = (
    ("concentration_V", "vacancies left in the metal", style.SKY),
    ("charge_transfer_V", "charge transfer", style.ORANGE),
    ("constriction_V", "constriction", style.GREEN),
    ("series_V", "series", style.GREY),
)
_SHARES = (
    ("voids_um", "voids", style.BLUE),
    ("settled_um", "settled", style.GREEN),
    ("sink_um", "far sink", style.ORANGE),
    ("storage_um", "storage", style.SKY),
)
_VOLUMES = (
    ("voids_um", "voids", style.BLUE, "-"),
    ("dead_um", "cut off", style.VERMILLION, "--"),
    ("pushed_back_um", "metal pushed back", style.GREEN, ":"),
)


def _summary(runs: Sequence[PopulationRun], *_: object) -> Figure:
    """The first run from above; contact, voids on a line, overpotential, where the metal went.

    Against the charge; against the time where current rests or changes its sign.
    """
    run = runs[0]
    page, body = _sheet([run], style.PAGE_IN, 2.25 + 2.7, 0.0)
    top, bottom = style.stack(body, [2.25, 2.7])
    shown = _chosen(run, None, 3)
    maps = top.subplots(1, max(1, len(shown)), squeeze=False)[0]
    for panel, frame in zip(maps, shown, strict=False):
        draw_map(panel, run, frame)
    if not shown:
        style.empty(maps[0], "no frame yet")
        maps[0].set_axis_off()
    axes = bottom.subplots(2, 2, sharex="col")
    cycled, rested = bool(run.run.get("protocol")), (run.samples["phase"] > 0).any()
    s = run.samples if cycled or rested else stripping(run)
    x, label = s["capacity_mAh_cm2"], "capacity (mAh/cm²)"
    if cycled:
        x, label = s["time_s"] / 3600.0, "time (h)"
    elif rested:
        x, label = s["time_s"], "time (s)"
    some = np.ones(len(x), bool) if cycled else x > 0
    x, s = x[some], {name: values[some] for name, values in s.items()}
    contact, lines, voltage, metal = panels = axes.ravel()
    if not len(x):
        for panel in panels:
            panel.set_axis_off()
        style.empty(contact, NOTHING)
        return page
    contact.plot(x, 100 * s["contact_fraction"], color=style.BLUE)
    contact.set(ylim=(0, 101), ylabel="contact (%)")
    if run.run["upscale"].get("fixture_stiffness_MPa_per_um"):
        pressed = contact.twinx()
        pressed.plot(x, s["stack_pressure_MPa"], color=style.VERMILLION, ls="--")
        pressed.set_ylabel("stack pressure (MPa)", color=style.VERMILLION)
        pressed.set_ylim(bottom=0)
        pressed.spines["right"].set_visible(True)
        contact.set_ylabel("contact (%)", color=style.BLUE)
    lines.plot(x, s["voids_per_100um"], color=style.BLUE)
    lines.set_ylim(bottom=0)
    lines.set_ylabel("voids per 100 µm", color=style.BLUE)
    # Number and width differ by orders: the mean width has an axis of its own.
    width = lines.twinx()
    width.plot(x, s["mean_width_um"], color=style.VERMILLION, ls="--")
    width.set_ylabel("mean width (µm)", color=style.VERMILLION)
    width.spines["right"].set_visible(True)
    style.log_axis(width.yaxis)
    if cycled:
        voltage.plot(x, 1e3 * s["overpotential_V"], color=style.BLUE)
        voltage.axhline(0, color=style.GREY, lw=0.6, ls=":")
        for name, text, colour, dash in _VOLUMES:
            metal.plot(x, s[name], color=colour, ls=dash, label=text)
        metal.set(ylim=(0, None), ylabel="height (µm)")
        style.shade_steps(panels, x, s["current_density_mA_cm2"])
    else:
        # Infinite where no contact is left: drawn beyond the top of the panel.
        volts = {name: np.nan_to_num(1e3 * s[name], posinf=1e3) for name, *_ in _TERMS}
        most = style.layers(voltage, x, volts, _TERMS, 0.5, lw=0)
        # Near the end the overpotential diverges and would flatten everything before it.
        voltage.set_ylim(0, min(500.0, 1.1 * max(most, 1.0)))
        # Flaws are there before the first atom is stripped and share the same balance.
        made = np.maximum(s["stripped_um"] + s["initial_um"], 1e-30)
        shares = {name: 100 * s[name] / made for name, *_ in _SHARES}
        style.layers(metal, x, shares, _SHARES, 0.1, lw=0)
        metal.set(ylim=(0, 100), ylabel="stripped volume (%)")
        for panel in panels:
            panel.set_xscale("log")
    voltage.set_ylabel("overpotential (mV)")
    for panel in (voltage, metal):
        panel.set_xlabel(label)
        if panel.get_legend_handles_labels()[0]:  # above the panel: nothing is hidden
            panel.legend(**style.ABOVE)
    if len(x) > 1:
        contact.set_xlim(x[0], x[-1])
        lines.set_xlim(x[0], x[-1])
    if cycled:
        page.supxlabel("grey: plating; dotted: rest", fontsize=6, color=style.GREY)
    return page


def ends_of_steps(run: PopulationRun) -> list[int]:
    """Frames at the ends of the first strip, of the first plate after it, and of the last strip."""
    frames, samples = run.frames, run.replicas[0]
    own = np.flatnonzero(frames["replica"] == 0)
    if not len(own):
        return []
    step = samples["step"][frames["sample"][own]]
    last_of = {int(n): int(own[step == n][-1]) for n in np.unique(step)}
    # Steps without current, rests, are no end of interest: they have neither sign.
    sign = {n: samples["current_density_mA_cm2"][frames["sample"][f]] for n, f in last_of.items()}
    strips = [n for n in last_of if sign[n] > 0]
    plates = [n for n in last_of if sign[n] < 0 and strips and n > strips[0]]
    chosen = [*strips[:1], *plates[:1], *strips[-1:]]
    return [last_of[n] for n in dict.fromkeys(chosen)]


POPULATION_PICTURES: Mapping[str, Callable[..., Figure]] = {
    "summary": _summary,
    "map": _maps,
    "section": _section_page,
    "sizes": _sizes,
    "events": _events,
}
