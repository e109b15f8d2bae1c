"""What was measured: tables in the panels of a picture, micrographs, plan views, spectra."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from textwrap import wrap
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from kmc.analysis.measured import CAPACITY, METALS, QUANTITIES, Measured
from kmc.analysis.segmentation import View
from kmc.analysis.spectrum import Spectrum
from kmc.common.late import pandas as pd
from kmc.plotting import style

_LOOKS = {  # colour of each kind of pixel, and its name
    View.METAL: (style.METAL, "metal"),
    View.ELECTROLYTE: (style.SKY, "electrolyte"),
    View.VOID: (style.VERMILLION, "void, counted"),
    View.IGNORED: (style.PURPLE, "not counted"),
    View.BAR: (style.GREY, "info bar"),
}
_HEAD_IN, _LINE_IN = 0.34, 0.125
_MARKERS = "osD^vP"
_FAR = 0.7  # of an axis: notes stand to the left of what lies beyond


def has(tables: Sequence[Measured], panel: str) -> bool:
    """Whether any of the tables has a number for a panel."""
    return any(m.table[QUANTITIES[panel]].notna().any() for m in tables)


def last_capacity(tables: Sequence[Measured]) -> float:
    """Largest capacity of the tables, mAh/cm²."""
    return max((float(m.table[CAPACITY].fillna(0.0).max()) for m in tables), default=0.0)


def draw_measured(
    panels: Mapping[str, Axes],
    tables: Sequence[Measured],
    metals: Sequence[str],
    colours: Sequence[str],
    *,
    logarithmic: bool = False,
) -> None:
    """Draw measured data in axes whose limits are set, by the names of `QUANTITIES`.

    A row with a capacity and a value is a point with its error bar, one without a capacity a dashed
    level, one with a note alone a dotted line. On a logarithmic axis, which has no 0, a value at
    the capacity 0 is a band. Data have the colour of the first run of their metal.
    """
    for rank, (rows, look) in enumerate(_series(tables, metals, colours)):
        printed: set[tuple[str, str]] = set()
        for row in rows.to_dict("records"):
            values = {p: row[q] for p, q in QUANTITIES.items() if np.isfinite(row[q])}
            if not values:
                # A note alone: a dotted line in its panel, or in all; the text once in each.
                there, at = [row["panel"]] if row["panel"] else list(panels), row[CAPACITY]
                for panel in filter(panels.__contains__, there):
                    panels[panel].axvline(at, color=look["color"], lw=0.8, ls=":", zorder=1)
                if there[0] in panels and (there[0], row["note"]) not in printed:
                    printed.add((there[0], row["note"]))
                    axes = panels[there[0]]
                    height = (0.28 if logarithmic else 0.4) + 0.08 * (rank % 2)
                    ha = _side(axes, at)
                    shift, place = (3 if ha == "left" else -3, 0), axes.get_xaxis_transform()
                    _say(axes, at, height, row["note"], shift, look["color"], ha, xycoords=place)
            for panel, value in values.items():
                if panel not in panels:
                    continue
                error = row[f"{QUANTITIES[panel]}_error"]
                axes, at = panels[panel], row[CAPACITY]
                if not np.isfinite(at):
                    axes.axhline(value, lw=0.8, ls="--", color=style.GREY, zorder=1)
                    end = axes.get_xlim()[0 if logarithmic else 1]
                    ha = "left" if logarithmic else "right"
                    _say(axes, end, value, row["note"], (0, -6), style.BLACK, ha)
                elif logarithmic and at <= axes.get_xlim()[0]:
                    half = error if np.isfinite(error) and error > 0 else 0.01 * value
                    most = 100.0 if panel == "contact_loss" else np.inf
                    band = max(value - half, 0.0), min(value + half, most)
                    axes.axhspan(*band, color=look["color"], alpha=0.16, lw=0)
                    left, right = axes.get_xlim()
                    at = left * (right / left) ** (0.01 + 0.27 * (rank % 2))
                    _say(axes, at, value, row["note"], (2, 0), look["color"])
                else:
                    bar = error if np.isfinite(error) else None
                    marks: dict[str, Any] = {"ms": 4, "capsize": 2.5, "lw": 1, "clip_on": False}
                    axes.errorbar(at, value, bar, zorder=3, **marks, **look)
                    # Notes of two samples at one place stand above each other.
                    ha = _side(axes, at)
                    shift = (8 if ha == "left" else -8, -4 if rank % 2 == 0 else 5)
                    _say(axes, at, value, row["note"], shift, look["color"], ha)


def legend(
    tables: Sequence[Measured], metals: Sequence[str], colours: Sequence[str]
) -> list[Line2D]:
    """Marker and name of each sample."""
    names = [name for m in tables for name in m.series]
    looks = [look for _, look in _series(tables, metals, colours)]
    return [
        Line2D([], [], ls="", ms=4, marker=look.pop("fmt"), label=name, **look)
        for name, look in zip(names, looks, strict=True)
    ]


def _series(
    tables: Sequence[Measured], metals: Sequence[str], colours: Sequence[str]
) -> "Iterator[tuple[pd.DataFrame, dict[str, Any]]]":
    """Rows of each sample, with its colour and marker."""
    taken: dict[str, str | None] = dict.fromkeys(METALS)
    for metal, of_run in zip(metals, colours, strict=True):
        taken[metal] = taken.get(metal) or of_run
    order = (style.BLUE, style.VERMILLION, style.GREEN, style.PURPLE, style.ORANGE, style.BLACK)
    free = [c for c in order if c not in colours]
    number, drawn = 0, set()
    for measured in tables:
        for _, rows in measured.table.groupby("series", sort=False):
            metal = rows["metal"].iloc[0]
            if not (colour := taken.get(metal)):
                colour = free.pop(0) if free else style.GREY
                if metal in taken:
                    taken[metal] = colour
            # Filled once in each colour: a second sample of a metal has open markers.
            inside = "white" if colour in drawn else colour
            drawn.add(colour)
            yield rows, {"color": colour, "fmt": _MARKERS[number % len(_MARKERS)], "mfc": inside}
            number += 1


def _side(axes: Axes, x: float) -> str:
    """Side of a text that begins at x: the one with more room."""
    along = axes.transAxes.inverted().transform(axes.transData.transform((x, 0.0)))[0]
    return "left" if along < _FAR else "right"


def _say(
    axes: Axes,
    x: float,
    y: float,
    note: str,
    shift: tuple[float, float],
    colour: str,
    ha: str = "left",
    **place: Any,
) -> None:
    if note:
        look = {"ha": ha, "va": "center", "color": colour, "fontsize": 6.5, "zorder": 2.5} | place
        style.write_over(partial(style.beside, axes), note, (x, y), shift, **look)


# --- plan views -----------------------------------------------------------------------------------

_PLAN = (
    ("contact_loss_percent", "contact loss (%)"),
    ("voids_per_mm2", "voids per mm²"),
    ("diameter_um", "mean diameter (µm)"),
    ("neighbour_um", "nearest neighbour (µm)"),
)


@style.styled()
def plan_picture(table: "pd.DataFrame", runs: Collection[str] = ()) -> Figure:
    """Contact loss, density, diameter and distance of voids from above against charge.

    Of a table with a row for each plan view; its series that are `runs` are lines.
    """
    page = style.new_figure(style.COLUMN_IN, 6.4)
    panels = page.subplots(len(_PLAN), 1, sharex=True)
    for index, (series, rows) in enumerate(table.groupby("series", sort=False)):
        rows = rows.sort_values(CAPACITY)
        look: dict[str, Any] = {"ls": "none", "marker": _MARKERS[index % 6]}
        if series in runs:
            look = {"ls": "-", "marker": "." if len(rows) < 30 else ""}
        for panel, (name, _) in zip(panels, _PLAN, strict=True):
            errors = rows.get(f"{name}_error")
            shown = None if errors is None or series in runs else errors
            look |= {"color": style.run_colour(index), "label": str(series), "ms": 4, "lw": 1.1}
            panel.errorbar(rows[CAPACITY], rows[name], shown, capsize=2, **look)
    for panel, (_, label) in zip(panels, _PLAN, strict=True):
        panel.set(ylabel=label, ylim=(0, None))
    panels[0].legend(loc="best")
    panels[-1].set_xlabel("capacity (mAh/cm²)")
    page.align_ylabels(panels)
    return page


# --- impedance spectra ----------------------------------------------------------------------------

_SPECTRA = 6
_SPREAD = 10.0  # largest resistance of the curves in one panel over the least
_DISTINCT = 1.05  # resistances of two curves


@style.styled()
def impedance_picture(table: "pd.DataFrame", measured: Sequence[Spectrum] = ()) -> Figure:
    """Nyquist curves of some frames, dots at 1 MHz, 10 kHz and 100 Hz, and the resistances of all.

    Measured spectra are open marks, their resistances dashed lines.

    Frames of more than ten times the least resistance, which would hide the others, have a panel of
    their own, with the last one. Of equal curves one is drawn, the last or the first.

    - `table`: from `kmc.systems.population.impedance.impedances`.
    """
    ohm = table.groupby("frame")["Z_real_ohm_cm2"].max()
    bound = _SPREAD * ohm.min()
    groups: list[list[Any]] = [[], []]
    for frame in [ohm.index[-1], *ohm.index[:-1]]:
        group = groups[int(ohm[frame] > bound)]
        if all(abs(np.log(ohm[frame] / ohm[other])) > np.log(_DISTINCT) for other in group):
            group.append(frame)
    groups = [sorted(group) for group in groups if group]
    groups = [[group[i] for i in style.evenly(len(group), _SPECTRA)] for group in groups]
    page = style.new_figure(style.COLUMN_IN, 2.4 + 2.8 * len(groups))
    *upper, lower = page.subplots(len(groups) + 1, 1, height_ratios=[1.25] * len(groups) + [1])
    for axes, group in zip(upper, groups, strict=True):
        for index, frame in enumerate(group):
            rows = table[table["frame"] == frame]
            label, colour = f"{rows['capacity_mAh_cm2'].iloc[0]:.3g}", style.run_colour(index)
            style.line(axes, rows["Z_real_ohm_cm2"], -rows["Z_imag_ohm_cm2"], colour, label=label)
            decades = rows[rows["frequency_Hz"].isin((1e6, 1e4, 1e2))]
            real, imaginary = decades["Z_real_ohm_cm2"], -decades["Z_imag_ohm_cm2"]
            axes.plot(real, imaginary, "o", ms=3, color=colour)
        # A measured spectrum is in the panel of curves like it, or in the only one.
        here = [
            spectrum
            for spectrum in measured
            if len(groups) < 2 or (spectrum.Z_ohm_cm2.real.max() > bound) == (group is groups[1])
        ]
        for index, spectrum in enumerate(here):
            look = {"color": style.BLACK, "marker": _MARKERS[index % 6], "mfc": "none", "ms": 3}
            Z, first = spectrum.Z_ohm_cm2, spectrum is measured[0]
            axes.plot(Z.real, -Z.imag, ls="none", label=spectrum.path.stem, **look)
            look = {"color": style.BLACK, "ls": "--", "lw": 0.7}
            lower.axhline(spectrum.interface_ohm_cm2, label="measured" if first else None, **look)
        # Equal scales on both axes: only so is a relaxation a half circle.
        reals = [float(spectrum.Z_ohm_cm2.real.max()) for spectrum in here]
        widest = 1.05 * max(float(ohm[group].max()), *reals, 0.0)
        axes.set(xlim=(0, widest), ylim=(0, 0.8 * widest), aspect="equal")
        axes.set(xlabel="Re Z (Ω cm²)", ylabel="−Im Z (Ω cm²)")
        axes.legend(title="mAh/cm²", loc="upper left", ncols=2)
    last = table.groupby("frame").first()
    marker = "o" if len(last) < 20 else ""
    for name, label, colour in (
        ("transfer_ohm_cm2", "charge transfer", style.ORANGE),
        ("constriction_ohm_cm2", "constriction", style.BLUE),
    ):
        shown = last[last[name] > 0]
        look = {"color": colour, "label": label, "marker": marker, "ms": 3}
        lower.plot(shown["capacity_mAh_cm2"], shown[name], **look)
    lower.set_yscale("log")
    lower.xaxis.set_major_locator(MaxNLocator(5))
    lower.set(xlabel="capacity (mAh/cm²)", ylabel="resistance (Ω cm²)")
    lower.legend(loc="best")
    style.note(page, "dots on the curves: 1 MHz, 10 kHz and 100 Hz, from left to right")
    return page


# --- micrographs ------------------------------------------------------------------------------


@style.styled()
def segmentation_picture(views: Sequence[View], name: str, notes: Sequence[str]) -> Figure:
    """Each view in grey values, with the interface and the outlines of its voids, and its phases.

    - `notes`: sentences below: the result, how it was segmented, what was not counted.
    """
    height, width = views[0].shown.shape
    # Beside each other where the image is high, else one above the other.
    columns = 2 if height > 0.6 * width else 1
    each_in = style.PAGE_IN / columns * height / width + 0.05
    rows = 2 * len(views) // columns
    lines = [line for text in notes for line in wrap(text, 130, break_on_hyphens=False)]
    foot_in = 0.1 + _LINE_IN * len(lines)
    page = style.new_figure(style.PAGE_IN, _HEAD_IN + rows * each_in + foot_in)
    head, body, foot = style.stack(page, [_HEAD_IN, rows * each_in, foot_in])
    panels = body.subplots(rows, columns, squeeze=False).ravel()
    kinds = list(_LOOKS)
    colours = ListedColormap([_LOOKS[kind][0] for kind in kinds])
    for view, grey, phases in zip(views, panels[::2], panels[1::2], strict=True):
        grey.imshow(view.pixels, cmap="gray", origin="upper")
        void = view.shown == View.VOID
        if void.any() and not void.all():
            grey.contour(void, [0.5], colors=[style.VERMILLION], linewidths=0.7)
        phases.imshow(view.shown, colours, vmin=-0.5, vmax=len(kinds) - 0.5, origin="upper")
        for axes in (grey, phases):
            axes.set(xticks=[], yticks=[])
            axes.spines[["left", "bottom"]].set_visible(False)
            if view.interface is not None:
                # Between the pixels of the metal and those of the electrolyte.
                across = range(len(view.interface))
                axes.plot(across, view.interface - 0.5, color=style.BLUE, lw=0.8, scalex=False)
    seen = {kind for view in views for kind in kinds if (view.shown == kind).any()}
    keys = [Patch(color=_LOOKS[kind][0], label=_LOOKS[kind][1]) for kind in kinds if kind in seen]
    if views[0].interface is not None:
        keys.append(Patch(facecolor="none", edgecolor=to_rgba(style.BLUE), label="interface"))
    head.text(0.01, 0.55, style.plain(name), weight="bold", size=8.5, va="center")
    style.patch_key(head, keys, loc="right")
    foot.text(0.01, 0.98, style.plain("\n".join(lines)), va="top", color=style.BLACK, fontsize=6.5)
    return page
