"""Colours, fonts, scales and saving, common to all pictures."""

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any

import matplotlib
import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import XAxis, YAxis
from matplotlib.figure import Figure, SubFigure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import LogLocator, NullFormatter
from numpy.typing import ArrayLike

from kmc.common.conditions import driven_by, temperatures
from kmc.common.formatting import duration, figure, monolayers, prefix_for
from kmc.common.late import pandas as pd
from kmc.common.outputs import replacing
from kmc.errors import InputError
from kmc.files.reader import Trajectory
from kmc.files.samples import Frame

COLUMN_IN = 3.4  # one column of most journals, 86 mm
PAGE_IN = 7.0  # two columns, 178 mm
DPI = 300
_HEAD_IN, _LINE_IN = 0.34, 0.106  # of a heading: name and conditions, each further line
_LETTERS_PER_IN = 23  # of these

# Colours of Okabe and Ito, distinguishable by every kind of colour vision.
BLUE, SKY, VERMILLION, BLACK = "#0072B2", "#56B4E9", "#D55E00", "#222222"
GREEN, PURPLE, ORANGE, GREY = "#009E73", "#CC79A7", "#E69F00", "#777777"
MAGNESIUM = "#F5C368"  # in a grey print between the metal and the lowest gap
METAL = "#E4E4E4"
ELECTROLYTE = "#F6EFD2"
CHEMISTRIES = ("#F4CEDD", "#DCCDF0", "#E6DDB4")  # metal on the second, third, fourth chemistry
OUTLINE = "#B0307A"

# Of several trajectories; the dashes distinguish them without colour.
_DASHED, _DOTTED, _DASH_DOT = (0, (4, 1.5)), (0, (1.2, 1.2)), (0, (5, 1.2, 1.2, 1.2))
_RUN_COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, BLACK, SKY)
_RUN_DASHES = ("-", _DASHED, _DOTTED, _DASH_DOT, "-", _DASHED, "-")

_SHEET = Path(__file__).with_name("kmc.mplstyle")
STYLE: Any = matplotlib.rc_params_from_file(_SHEET, use_default_template=False)


def styled():
    """A context with the style of kmc for making and saving figures, whatever the user's is."""
    return matplotlib.style.context(["default", STYLE])


class Picture(Figure):
    """A figure that shows itself in a notebook, with or without pyplot."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        with styled():
            # Less than in print: a notebook keeps every picture in its file.
            self.savefig(buffer, format="png", dpi=180)
        return buffer.getvalue()


def new_figure(width_in: float, height_in: float) -> Picture:
    """An empty page with a tight constrained layout."""
    layout = ConstrainedLayoutEngine(
        w_pad=0.04, h_pad=0.03, hspace=0.0, wspace=0.0, rect=(0, 0, 1, 1 - 0.05 / height_in)
    )
    return Picture(figsize=(width_in, height_in), layout=layout)


def stack(page: Figure | SubFigure, heights: Sequence[float]) -> list[SubFigure]:
    """Parts of a page from top to bottom, with these relative heights."""
    parts: Any = page.subfigures(len(heights), 1, squeeze=False, height_ratios=heights)
    return list(parts[:, 0])


def save(picture: Figure, path: str | Path) -> None:
    """Write a figure as .png, .svg or .pdf.

    Raises `InputError`: the file cannot be written, or its ending is not that of a picture.
    """
    try:
        with styled(), replacing(Path(path)) as draft:
            picture.savefig(draft)
    except ValueError as problem:
        raise InputError(
            f"picture {path} cannot be written: {problem}",
            advice="Give a writable place and a name that ends in .png, .svg or .pdf.",
        ) from None


# A legend above its panel.
ABOVE: dict[str, Any] = {
    "loc": "lower left",
    "bbox_to_anchor": (0.0, 0.98),
    "fontsize": 6,
    "ncols": 4,
    "handlelength": 1.0,
    "columnspacing": 1.0,
    "handletextpad": 0.5,
    "borderaxespad": 0.1,
}


# --- what stands above the panels -----------------------------------------------------------------


def _basis(run: Any, width_in: float) -> list[str]:
    """What a run rests on, in lines for a page of this width."""
    letters = int(width_in * _LETTERS_PER_IN)
    return wrap(run.rests_on, letters, max_lines=6, placeholder=" …", break_on_hyphens=False)


def head_in(run: Any, width_in: float) -> float:
    """Height of the heading of a run on a page of this width."""
    return _HEAD_IN + _LINE_IN * max(2, len(_basis(run, width_in)))


def heading(part: SubFigure, run: Any, more: Sequence[str] = ()) -> None:
    """Name and conditions of a run of any kind, and what it rests on, on a part of `head_in`.

    Of `more` the first stands beside the parameter set, the others, such as the size of the box, at
    the right of the name.
    """
    width_in = part.get_figure(root=True).get_figwidth()
    first, second, third = (1.0 - d / head_in(run, width_in) for d in (0.08, 0.25, _HEAD_IN))
    part.text(0.02, first, plain(run.path.stem), weight="bold", size=8.5, va="center")
    size = plain(", ".join(more[1:]))
    part.text(0.98, first, size, ha="right", va="center", color=GREY)
    part.text(0.02, second, plain("   ".join(conditions_of(run, *more[:1]))), va="center")
    text = plain("\n".join(_basis(run, width_in)))
    part.text(0.02, third, text, va="top", color=GREY, fontsize=5.5)


def conditions_of(run: Any, *more: str) -> list[str]:
    """Parameter set, what stands beside it, temperature, drive and acceleration of a run."""
    conditions = run.run.get("conditions", {})
    # Each part may lack: kinds of run have different sections.
    parts = [str(run.run.get("system", {}).get("params", "")), *more, temperatures(run.run)]
    if {"current_density_mA_cm2", "overpotential_V"} & set(conditions):
        parts.append(driven_by(conditions))
    ratio = run.run.get("acceleration", {}).get("max_hops_per_strip_per_site")
    event = "ions" if "deposition" in run.run else "strips"
    if ratio == "inf":
        parts.append(f"equilibrium between {event}")
    elif ratio:
        parts.append(f"hops/{event} ≤ {figure(ratio)}")
    return [text for text in parts if text]


def sheet(
    runs: Sequence[Any],
    size_in: tuple[float, float],
    about: Sequence[str] = (),
    *,
    names: Sequence[Any] | None = None,
    keys: Sequence[Any] = (),
    foot_in: float = 0.0,
    columns: int = 1,
) -> tuple[Picture, SubFigure]:
    """A page and its part for the panels; below it the key of their colours, if there are `keys`.

    At its top stands the heading of one run (`about`: see `heading`), or the key of the curves of
    several, `names`: empty ones where panels carry the names.
    """
    names = run_names(runs) if names is None else names
    foot_in = 0.25 if keys else foot_in
    # A row of the key is 0.16 inches; without one there is a margin alone.
    top_in = 0.1 + 0.16 * -(-len(names) // columns) if any(names) else 0.08
    top_in = head_in(runs[0], size_in[0]) if len(runs) == 1 else top_in
    page = new_figure(size_in[0], top_in + size_in[1] + foot_in)
    head, body, *foot = stack(page, [top_in, size_in[1], *([foot_in] if foot_in else [])])
    if len(runs) == 1:
        heading(head, runs[0], about)
    else:
        draw_key(head, names, columns)
    if keys:
        patch_key(foot[0], keys)
    return page, body


def draw_key(
    part: Figure | SubFigure, names: Sequence[str], columns: int = 1, loc: str = "center left"
) -> None:
    """The names of the runs with the colours and dashes of their curves."""
    if any(names):
        keys = [Line2D([], [], lw=1.6, label=name, **run_style(i)) for i, name in enumerate(names)]
        place: Any = {"loc": loc, "ncols": columns, "borderaxespad": 0.3}
        part.legend(handles=keys, handlelength=2.6, **place)


def patch_key(
    part: Figure | SubFigure, keys: Sequence[Any], columns: int = 0, loc: str = "center"
) -> None:
    """What colours mean: small squares, in one row unless `columns` says how many."""
    look: Any = {"loc": loc, "ncols": columns or len(keys)}
    part.legend(handles=keys, handlelength=1, handleheight=1, columnspacing=1.2, **look)


def curves(
    axes: Sequence[Axes], x: np.ndarray, table: Any, columns: Sequence[str], **look: Any
) -> None:
    """Columns of a table in panels one below the other, with dots where there are few rows."""
    for panel, name in zip(axes, columns, strict=True):
        line(panel, x, np.asarray(table[name]), **look)
        panel.set_ylim(bottom=0, auto=True)  # the curves of a further run may be higher


def shade_steps(panels: Sequence[Axes], x: np.ndarray, current: np.ndarray) -> None:
    """Grey behind the rows in which the current plates, hatched where none flows.

    A row at a change of the current belongs to the step that ends with it.
    """
    # Hatched, not in a second grey: a rest must not pass for plating in a grey print.
    looks: tuple[tuple[np.ndarray, dict[str, Any]], ...] = (
        (current < 0, {"facecolor": GREY, "alpha": 0.16}),
        (current == 0, {"facecolor": "none", "edgecolor": GREY, "hatch": "....", "alpha": 0.35}),
    )
    for mask, look in looks:
        inside = np.concatenate([[False], mask, [False]]).astype(int)
        for first, last in np.flatnonzero(np.diff(inside)).reshape(-1, 2):
            for panel in panels:
                panel.axvspan(x[max(first - 1, 0)], x[last - 1], lw=0, zorder=0, **look)


def write_over(write: Callable[..., Any], *where: Any, **look: Any) -> None:
    """Text over curves or a map by `Axes.text` or `Axes.annotate`, with a thin white outline.

    A white box would hide what lies below it. The outline is an artist of its own, as SVG and PDF
    turn a text with an effect into paths, which nobody can search or edit.
    """
    outline = [withStroke(linewidth=1.6, foreground="white")]
    write(*where, **look | {"color": "white"}, path_effects=outline)
    write(*where, **look)


_LETTER_IN = 0.066  # mean width of a letter of a title
_RESTS = 0.1  # share of the time without current from which the axis is the time

# --- trajectories and their axes ------------------------------------------------------------------


def rest_starts_s(trajectory: Trajectory) -> float:
    """Time at which the current was switched off; 0 where it never was."""
    # Runs without rest or steps have no such column.
    if "phase" not in trajectory.samples:
        return 0.0
    running = trajectory.samples["phase"] == 0
    return 0.0 if running.all() else float(trajectory.samples["time_s"][running][-1])


def moment(trajectory: Trajectory, frame: Frame) -> str:
    """Capacity of a frame, or its time where no current flows."""
    start_s = rest_starts_s(trajectory)
    if start_s and frame.time_s > start_s:
        return f"{duration(frame.time_s - start_s)} of rest"
    # Steps of a protocol pass a capacity several times: only the time is unique.
    cycled = "step" in trajectory.samples and trajectory.samples["step"].any()
    if trajectory.has_current and not cycled:
        return monolayers(frame.capacity_monolayers)
    return f"t = {duration(frame.time_s)}"


def moment_of(row: "pd.Series", x_key: str) -> str:
    """Capacity or time of a row of a table; `x_key` as from `table_axis`."""
    if x_key == "frame":
        return f"frame {row[x_key]}"
    if x_key == "capacity_monolayers":
        return monolayers(row["capacity_monolayers"])
    return f"t = {duration(row['time_s'])}"


def run_colour(index: int) -> str:
    return _RUN_COLOURS[index % len(_RUN_COLOURS)]


def run_style(index: int) -> dict[str, Any]:
    """Colour and dashes of the curve of the run number `index`."""
    return {"color": run_colour(index), "linestyle": _RUN_DASHES[index % len(_RUN_DASHES)]}


def run_names(files: Sequence[Any]) -> list[str]:
    """Names of files (by their `path`), with their folder where they are equal otherwise."""
    paths = [Path(file.path) for file in files]
    names = [path.stem for path in paths]
    # Points of two sweeps, or one run repeated elsewhere, have equal file names.
    if len(set(names)) < len(names):
        names = [f"{path.resolve().parent.name}/{path.stem}" for path in paths]
    return [plain(name) for name in names]


def plain(text: str) -> str:
    """A text from a file or its name, without control characters, and without formulas.

    matplotlib would read what stands between two dollars as one.
    """
    shown = "".join(c if c.isprintable() or c.isspace() else "\ufffd" for c in text)
    return shown.replace("$", r"\$")


def panel_title(name: str, when: str, width_in: float) -> str:
    """Name of a run and the moment of a panel, on two lines and shortened where they are long."""
    letters = max(8, int(width_in / _LETTER_IN))
    if len(name) + len(when) + 2 <= letters:
        return f"{name}, {when}"
    if len(name) > letters:  # runs differ at either end of their names
        half = (letters - 1) // 2
        name = f"{name[:half]}…{name[-half:]}"
    return f"{name}\n{when}"


def charge_axis(axes: Axes, mAh_cm2_per_monolayer: float, monolayers: float) -> None:
    """The capacity in charge per area, along the top."""
    units = ((1.0, "mAh"), (1e3, "µAh"), (1e6, "nAh"))
    charge = mAh_cm2_per_monolayer * monolayers
    # The unit in which the charge at the end of the axis is one or more.
    scale, unit = next((pair for pair in units if charge * pair[0] >= 1), units[-1])
    each = mAh_cm2_per_monolayer * scale
    functions = (lambda thickness: thickness * each, lambda charge: charge / each)
    top = axes.secondary_xaxis("top", functions=functions)
    top.set_xlabel(f"capacity ({unit}/cm²)")
    axes.spines["top"].set_visible(True)


def scaled_axis(values: np.ndarray, name: str, unit: str) -> tuple[float, str]:
    """Divisor and label with the SI prefix that suits the largest value."""
    scale, prefix = prefix_for(np.abs(values).max(initial=0.0))
    return scale, f"{name} ({prefix}{unit})"


def line(
    axes: Axes, x: Sequence[float] | np.ndarray, y: ArrayLike, color: str, **look: Any
) -> None:
    """A curve, with dots where it has few points."""
    marker = "o" if len(x) < 4 else None
    # Clipped where it is empty: without a place of its own it would spoil the layout of the page.
    axes.plot(x, y, color=color, marker=marker, markersize=3, clip_on=not len(x), **look)


def note(page: Figure, text: str) -> None:
    """Small grey text below the panels, from the left edge on."""
    page.supxlabel(text, fontsize=6, color=GREY, x=0.02, ha="left")


def beside(axes: Axes, text: str, at: tuple, shift: tuple[float, float], **look: Any) -> None:
    """Text some points off a place, by `Axes.annotate`."""
    axes.annotate(text, at, xytext=shift, textcoords="offset points", **look)


def span(axes: Axes, x: Sequence[float] | np.ndarray) -> None:
    """Limits of the x axis from the first to the last value, also where these are equal."""
    if len(x):
        axes.set_xlim(x[0], x[-1] if x[-1] > x[0] else x[0] + 1)


def plain_log_axis(axis: XAxis | YAxis, low: float, high: float) -> None:
    """Ticks of a logarithmic axis as plain numbers, by the number of decades."""
    decades = np.log10(high / low)
    # Few decades want ticks between the powers of ten, many leave no room for them.
    subs = (1, 2, 5) if decades < 1.5 else (1, 3) if decades < 2.5 else (1,)
    axis.set_major_locator(LogLocator(subs=subs))
    axis.set_major_formatter(lambda value, _: f"{value:,.10g}".replace(",", "\u2009"))
    axis.set_minor_formatter(NullFormatter())


def log_axis(axis: XAxis | YAxis) -> None:
    """Make an axis logarithmic, with plain numbers."""
    axis.axes.set(**{f"{axis.axis_name}scale": "log"})
    plain_log_axis(axis, *axis.get_view_interval())


def grid(
    part: Figure | SubFigure, rows: Sequence[Sequence[Any]], **shared: Any
) -> Iterator[tuple[Any, Any]]:
    """Axes for what stands in rows, one at a time; where a row is shorter the place stays blank."""
    panels = part.subplots(len(rows), max(map(len, rows)), squeeze=False, **shared)
    for line, row in zip(panels, rows, strict=True):
        yield from zip(line, row, strict=False)
        for axes in line[len(row) :]:
            axes.set_visible(False)


def layers(
    axes: Axes,
    x: np.ndarray,
    values: Mapping[str, np.ndarray],
    looks: Sequence[tuple[str, str, str]],
    least: float = 0.0,
    **look: Any,
) -> float:
    """Fill what adds up, layer on layer, and what is below 0 under each other.

    `looks` has the name of each value, its label and its colour; layers that are nowhere thicker
    than `least` are left out. Returns the highest sum.
    """
    highest, lowest = np.zeros((2, len(x)))
    for name, label, colour in looks:
        start = np.where(values[name] < 0, lowest, highest)
        if np.abs(values[name]).max(initial=0.0) > least:
            axes.fill_between(x, start, start + values[name], color=colour, label=label, **look)
        highest = highest + np.maximum(values[name], 0)
        lowest = lowest + np.minimum(values[name], 0)
    return float(highest.max(initial=0.0))


def empty(axes: Axes, text: str) -> None:
    """Print in an empty panel why nothing is drawn."""
    place: dict[str, Any] = {"ha": "center", "va": "center", "transform": axes.transAxes}
    # In the layout a long text would push its panel away.
    axes.text(0.5, 0.5, text, color=GREY, wrap=True, **place).set_in_layout(False)


def depths(share: np.ndarray) -> np.ndarray:
    """Colours from light (0) to dark (1), for sizes, depths and sequences in time."""
    return matplotlib.colormaps["YlGnBu"](share)


def ramp(n: int) -> list:
    """n colours from light to dark, for a sequence in time; all are visible in print."""
    # Lighter shades than 0.4 vanish on white paper; a single colour is the darkest.
    return list(depths(np.linspace(0.4, 1.0, max(n, 2))))[-n:]


def evenly(n: int, most: int) -> list[int]:
    """At most `most` evenly spaced indices of n, with the first and the last."""
    if n <= most:
        return list(range(n))
    return sorted({round(i) for i in np.linspace(0, n - 1, most)})


def table_axis(tables: Sequence) -> tuple[str, float, str, float]:
    """Column, divisor and label of the x axis, and its last value over the divisor.

    The capacity, or the time where that stands still over a tenth of it, or falls.
    """

    def rests(table: "pd.DataFrame") -> bool:
        # A table of voids or layers has many rows of one moment.
        moments = table[["time_s", "capacity_monolayers"]].drop_duplicates().sort_values("time_s")
        steps_s = np.diff(moments["time_s"].to_numpy(float))
        steps = np.diff(moments["capacity_monolayers"].to_numpy(float))
        return bool((steps < 0).any() or steps_s[steps == 0].sum() > _RESTS * steps_s.sum())

    def last(column: str) -> float:
        return max((float(t[column].max()) for t in tables if len(t)), default=0.0)

    # Results that were made without a run, from arrays, have frames alone.
    if any("time_s" not in t for t in tables):
        return "frame", 1.0, "frame (1)", last("frame")
    if last("capacity_monolayers") > 0 and not any(map(rests, tables)):
        return "capacity_monolayers", 1.0, "capacity (monolayers)", last("capacity_monolayers")
    scale, label = scaled_axis(np.array([last("time_s")]), "time", "s")
    return "time_s", scale, label, last("time_s") / scale
