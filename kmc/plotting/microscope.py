"""Contact loss, number, width and height of voids on cross-section lines.

The layout is that of Fig. 1b–e of the operando paper, for comparison side by side.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from kmc.plotting import style

_ROW_IN = 1.12
_MOST_BOXES = 16
# Operando microscopy of Zhao et al., Nature Communications (2025), 10.1038/s41467-025-59567-8: the
# numbers stated in the text and in Fig. 1, at 0.2 MPa and 0.5 mA/cm², over 160 µm of interface.
CITATION = "Zhao et al., Nat. Commun. (2025)"
LAST_mAh_cm2 = 3.0
CONTACT_LOSS_OF_RISE = 90.0  # %, where the overpotential of Li rises steeply
COALESCENCE_mAh_cm2 = 0.25  # Li: voids coalesce from here
GAP_mAh_cm2 = 1.25  # Li: all voids have become one gap
FIRST_COUNT = {"Li": (16.0, 18.0), "Mg": (2.0, 3.0)}  # voids per 100 µm
FIRST_WIDTH_um = {"Li": (2.2, 1.3), "Mg": (3.8, 1.0)}  # mean and deviation
SPLIT = (0.5, 20.0)  # Li-Mg: mAh/cm² and width in µm at which voids split
WIDTH_FALLS_mAh_cm2 = (0.625, 1.0, 2.375)  # Li-Mg: the largest width drops
HEIGHT_FALLS_mAh_cm2 = (0.5, 1.0, 2.625)  # Li-Mg: the largest height drops

_QUANTITIES = (("width", "void width"), ("height", "void height"))


def microscope_picture(
    sections: Sequence,
    names: Sequence[str] | None = None,
    alloys: Sequence[bool] | None = None,
    *,
    with_paper: bool = False,
) -> Figure:
    """Contact loss, voids per 100 µm, and box charts of width and height against capacity.

    Parameters
    ----------
    sections : sequence of CrossSection
        One for each run, from `kmc.cross_section`.
    names : sequence of str, optional
        Names of the runs.
    alloys : sequence of bool, optional
        Which runs contain Mg: data of the paper have the colour of the first run of each metal.
    with_paper : bool
        Also draw the data of the operando paper, on their own scales: a box of nanometres has no
        voids of micrometres, but ranks, ratios and trends can be compared.
    """
    names = list(names or [""] * len(sections))
    named = any(names)
    head = (0.1 + 0.16 * -(-len(names) // 2) if named else 0.05) + (0.3 if with_paper else 0.0)
    foot = 0.3 if with_paper else 0.0
    body = 4 * _ROW_IN + 0.75
    width = style.PAGE_IN if with_paper else style.COLUMN_IN
    page = style.new_figure(width, head + body + foot)
    top, middle, bottom = style.stack(page, [head, body, max(foot, 0.01)])
    axes = middle.subplots(4, 2 if with_paper else 1, sharex="col", squeeze=False)
    colours = [style.run_colour(i) for i in range(len(sections))]
    _runs(list(axes[:, 0]), sections, colours)
    if named:
        keys = [
            Line2D([], [], lw=1.6, label=name, **style.run_style(i)) for i, name in enumerate(names)
        ]
        top.legend(handles=keys, loc="upper left", ncols=2, handlelength=2.4, borderaxespad=0.3)
    # With the paper the letters are those of its figure.
    for letter, panel in zip("bcde" if with_paper else "abcd", axes[:, 0], strict=True):
        panel.text(
            -0.21 if with_paper else -0.25,
            1.0,
            letter,
            weight="bold",
            size=8.5,
            va="center",
            transform=panel.transAxes,
        )
    if with_paper:
        lithium, alloy = _colours_of_metals(alloys or [False] * len(sections), colours)
        _paper(list(axes[:, 1]), lithium, alloy)
        top.text(0.09, 0.12, "simulation", weight="bold", va="center")
        top.text(0.57, 0.12, f"operando, {CITATION}", weight="bold", va="center")
        bottom.text(
            0.5,
            0.5,
            "Scales differ: a box of nanometres has no voids of micrometres. Compare ranks, "
            "ratios and trends, not sizes.",
            ha="center",
            va="center",
            color=style.GREY,
        )
    middle.align_ylabels(axes[:, 0])
    return page


def _runs(axes: Sequence[Axes], sections: Sequence, colours: Sequence[str]) -> None:
    tables = [section.table for section in sections]
    x_key, scale, x_label = style.table_axis(tables)
    last = max((t[x_key].max() / scale for t in tables if len(t)), default=0.0)
    for i, table in enumerate(tables):
        x = table[x_key].to_numpy(float) / scale
        options = style.run_style(i) | {"clip_on": False}
        few: dict[str, Any] = {"marker": "o", "ms": 3} if len(x) < 4 else {}
        axes[0].plot(x, 100 * table["contact_loss"], **options, **few)
        axes[1].plot(x, table["voids_per_100um"], **options, **few)
    axes[0].set_ylabel("contact loss (%)")
    axes[0].set_ylim(0, 100)
    axes[1].set_ylabel("voids per\n100 µm of line")
    axes[1].set_ylim(bottom=0)
    axes[1].yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}".replace(",", "\u2009"))
    for panel, (quantity, label) in zip(axes[2:], _QUANTITIES, strict=True):
        for i, table in enumerate(tables):
            _boxes(panel, table, quantity, x_key, scale, last, i, len(tables), colours[i])
        panel.set_ylabel(f"{label} (nm)")
        panel.set_ylim(bottom=0)
    axes[-1].set_xlabel(x_label)
    axes[-1].set_xlim(0, 1.02 * last if last > 0 else 1.0)


def _boxes(panel, table, quantity, x_key, scale, last, index, of, colour) -> None:
    """Box charts: lines at the extremes and the median, a box from the first to third quartile."""
    rows = table[np.isfinite(table[f"{quantity}_median_nm"].to_numpy(float))]
    if not len(rows):
        return
    rows = rows.iloc[:: -(-len(rows) // _MOST_BOXES)]
    pitch = (last if last > 0 else 1.0) / _MOST_BOXES
    width = 0.75 * pitch / of
    x = rows[x_key].to_numpy(float) / scale + (index - (of - 1) / 2) * width
    low, first, median, third, high = (
        rows[f"{quantity}_{name}_nm"].to_numpy(float)
        for name in ("min", "q1", "median", "q3", "max")
    )
    half = 0.42 * width
    panel.vlines(x, low, high, color=colour, lw=0.6)
    panel.bar(x, third - first, 2 * half, bottom=first, color=colour, alpha=0.35, ec=colour, lw=0.6)
    panel.hlines(median, x - half, x + half, color=colour, lw=1.4)
    for ends in (low, high):
        panel.hlines(ends, x - half, x + half, color=colour, lw=0.8)


def _colours_of_metals(alloys: Sequence[bool], colours: Sequence[str]) -> tuple[str, str]:
    """Colours of the first run of Li and of the first of Li-Mg, or such as no run has."""
    free = [c for c in (style.BLUE, style.VERMILLION, style.GREEN) if c not in colours]
    lithium = next((c for mg, c in zip(alloys, colours, strict=True) if not mg), None)
    alloy = next((c for mg, c in zip(alloys, colours, strict=True) if mg), None)
    lithium = lithium or free.pop(0)
    return lithium, alloy or next(c for c in free if c != lithium)


def _paper(axes: Sequence[Axes], lithium: str, alloy: str) -> None:
    """The numbers stated in the paper, in its units."""
    loss, number, width, height = axes
    for panel in axes:
        panel.set_xlim(-0.08, LAST_mAh_cm2)
        panel.axvline(GAP_mAh_cm2, color=lithium, lw=0.7, ls=":")
    loss.set_ylim(0, 100)
    loss.set_ylabel("contact loss (%)")
    loss.axhline(CONTACT_LOSS_OF_RISE, color=style.GREY, lw=0.8, ls="--")
    _annotate(
        loss,
        LAST_mAh_cm2,
        CONTACT_LOSS_OF_RISE,
        "overpotential steep",
        (0, -6),
        ha="right",
    )
    loss.plot(GAP_mAh_cm2, 100, "s", color=lithium, ms=4.5, clip_on=False)
    _annotate(loss, GAP_mAh_cm2, 40, "Li: one gap", (4, 0), lithium)
    number.set_ylim(0, 20)
    number.set_ylabel("voids per\n100 µm of line")
    for metal, colour, text in (
        ("Li", lithium, "Li 16–18"),
        ("Mg", alloy, "Li-Mg 2–3, then rises"),
    ):
        low, high = FIRST_COUNT[metal]
        number.errorbar(
            0, (low + high) / 2, (high - low) / 2, fmt="o", color=colour, ms=4, capsize=2.5, lw=1
        )
        _annotate(number, 0, (low + high) / 2, text, (7, 0), colour)
    number.axvline(COALESCENCE_mAh_cm2, color=lithium, lw=0.7, ls=":")
    _annotate(number, COALESCENCE_mAh_cm2, 10, "Li: voids coalesce", (3, 0), lithium)
    width.set_ylim(0, 25)
    width.set_ylabel("void width (µm)")
    for metal, colour, text, shift in (
        ("Li", lithium, "Li 2.2 ± 1.3", (9, -4)),
        ("Mg", alloy, "Li-Mg 3.8 ± 1.0", (9, 5)),
    ):
        mean, deviation = FIRST_WIDTH_um[metal]
        x = 0.0 if metal == "Li" else 0.05
        width.errorbar(x, mean, deviation, fmt="o", color=colour, ms=4, capsize=2.5, lw=1)
        _annotate(width, 0, mean, text, shift, colour)
    width.plot(*SPLIT, "D", color=alloy, ms=4)
    _annotate(width, *SPLIT, "Li-Mg ≈ 20, splits", (6, 0), alloy)
    _falls(width, WIDTH_FALLS_mAh_cm2, 10, "Li-Mg: largest width falls", alloy)
    height.set_yticks([])
    height.set_ylim(0, 1)
    height.set_ylabel("void height\n(no number stated)")
    _falls(height, HEIGHT_FALLS_mAh_cm2, 0.5, "Li-Mg: largest height falls", alloy)
    height.set_xlabel("capacity (mAh/cm²)")


def _falls(panel: Axes, at: Sequence[float], y: float, text: str, colour: str) -> None:
    panel.plot(at, [y] * len(at), "v", color=colour, ms=5)
    _annotate(panel, at[1], y, text, (0, 10), colour, ha="left")


def _annotate(panel: Axes, x, y, text, shift, colour=None, ha: str = "left") -> None:
    panel.annotate(
        text,
        (x, y),
        xytext=shift,
        textcoords="offset points",
        ha=ha,
        va="center",
        color=colour or style.BLACK,
        fontsize=6.5,
    )
