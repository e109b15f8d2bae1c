"""Contact loss, number, width and height of voids on cross-section lines.

The layout is that of Fig. 1b–e of the operando paper, for comparison side by side.
"""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from kmc.analysis.measured import Measured
from kmc.common.formatting import figure, plural
from kmc.plotting import style
from kmc.plotting.measured_panels import draw_measured, has, last_capacity, legend, title

_ROW_IN = 1.12
_MAX_BOXES = 16
_SCALES_DIFFER = (
    "Scales differ: a box of nanometres has no voids of micrometres. Compare ranks, ratios and "
    "trends, not sizes."
)
_PANELS = ("contact_loss", "voids", "width", "height")
_QUANTITIES = (("width", "void width"), ("height", "void height"))


def microscope_picture(
    sections: Sequence,
    names: Sequence[str] | None = None,
    metals: Sequence[str] | None = None,
    *,
    measured: Sequence[Measured] = (),
    overpotentials: Sequence[tuple] = (),
) -> Figure:
    """Contact loss, voids per 100 µm, and box charts of width and height against capacity.

    Parameters
    ----------
    sections : sequence of CrossSection
        One for each run, from `kmc.cross_section`.
    names : sequence of str, optional
        Names of the runs.
    metals : sequence of str, optional
        ``Li``, ``Li-Mg`` … of each run: measured data have the colour of the first run of theirs.
    measured : sequence of Measured
        Measured data in a second column, on their own scales: a box of nanometres has no voids of
        micrometres, but ranks, ratios and trends can be compared.
    overpotentials : sequence of (ndarray, ndarray)
        Capacity in monolayers or time in s, and overpotential in V, of each run: drawn where
        measured data have an overpotential.
    """
    names = list(names or [""] * len(sections))
    named, beside = any(names), bool(measured)
    metals = metals or [""] * len(sections)
    colours = [style.run_colour(i) for i in range(len(sections))]
    shown = [*_PANELS, *(["overpotential"] if has(measured, "overpotential") else [])]
    keys_measured = legend(measured, metals, colours) if beside else []
    lines = max(-(-len(names) // 2) if named else 0, -(-len(keys_measured) // 3))
    head = (0.1 + 0.16 * lines if lines else 0.05) + (0.2 if beside else 0.0)
    notes = _notes(sections, names)
    if beside:
        notes += [f"Measured: {title(measured)}.", _SCALES_DIFFER]
    notes = [
        line for note in notes for line in wrap(note, 135 if beside else 64, break_on_hyphens=False)
    ]
    foot = 0.05 + 0.12 * len(notes)
    body = len(shown) * _ROW_IN + 0.75
    width = style.PAGE_IN if beside else style.COLUMN_IN
    page = style.new_figure(width, head + body + foot)
    top, middle, bottom = style.stack(page, [head, body, foot])
    axes = middle.subplots(len(shown), 2 if beside else 1, sharex="col", squeeze=False)
    _runs(list(axes[:, 0]), sections, colours, overpotentials if len(shown) > len(_PANELS) else ())
    if named:
        keys = [
            Line2D([], [], lw=1.6, label=name, **style.run_style(i)) for i, name in enumerate(names)
        ]
        top.legend(handles=keys, loc="upper left", ncols=2, handlelength=2.4, borderaxespad=0.3)
    for letter, panel in zip("abcde", axes[:, 0], strict=False):
        panel.text(
            -0.21 if beside else -0.25,
            1.0,
            letter,
            weight="bold",
            size=8.5,
            va="center",
            transform=panel.transAxes,
        )
    if beside:
        _measured_column(dict(zip(shown, axes[:, 1], strict=True)), measured, metals, colours)
        top.add_artist(
            top.legend(
                handles=keys_measured,
                loc="upper left",
                bbox_to_anchor=(0.55, 1.0),
                ncols=3,
                handlelength=1.0,
                borderaxespad=0.3,
            )
        )
        top.text(0.09, 0.02, "simulation", weight="bold", va="bottom")
        top.text(0.57, 0.02, "measured", weight="bold", va="bottom")
    bottom.text(0.02, 0.98, "\n".join(notes), va="top", color=style.GREY, fontsize=6)
    middle.align_ylabels(axes[:, 0])
    return page


def _notes(sections: Sequence, names: Sequence[str]) -> list[str]:
    """Basis of the last frame of each run: lines, cuts and the voids that they cut."""
    notes = []
    for section, name in zip(sections, names, strict=True):
        last = section.table.iloc[-1]
        cuts, voids = int(last["voids"]), int(last["voids_in_box"])
        text = f"{plural(section.n_lines, 'line')} of {figure(section.line_length_nm, 'nm')}; "
        text += f"last frame: {plural(cuts, 'cut')} of {plural(voids, 'void')}"
        notes.append(f"{name}: {text}" if name else text)
    return notes


def _runs(
    axes: Sequence[Axes], sections: Sequence, colours: Sequence[str], overpotentials: Sequence
) -> None:
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
    for panel, (quantity, label) in zip(axes[2:4], _QUANTITIES, strict=True):
        for i, table in enumerate(tables):
            _boxes(panel, table, quantity, x_key, scale, last, i, len(tables), colours[i])
        panel.set_ylabel(f"{label} (nm)")
        panel.set_ylim(0, 1.04 * panel.get_ylim()[1])
    for i, (at, volts) in enumerate(overpotentials):
        axes[4].plot(at / scale, 1e3 * volts, **style.run_style(i))
        axes[4].set_ylabel("overpotential\n(mV)")
    axes[-1].set_xlabel(x_label)
    axes[-1].set_xlim(0, 1.04 * last if last > 0 else 1.0)


def _boxes(panel, table, quantity, x_key, scale, last, index, of, colour) -> None:
    """Box charts: lines at the extremes and the median, a box from the first to third quartile."""
    rows = table[np.isfinite(table[f"{quantity}_median_nm"].to_numpy(float))]
    if not len(rows):
        return
    rows = rows.iloc[:: -(-len(rows) // _MAX_BOXES)]
    pitch = (last if last > 0 else 1.0) / _MAX_BOXES
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


def _measured_column(panels: dict, tables: Sequence[Measured], metals, colours) -> None:
    """Measured data in their own units."""
    last = last_capacity(tables) or 1.0
    labels = {
        "contact_loss": "contact loss (%)",
        "voids": "voids per\n100 µm of line",
        "width": "void width (µm)",
        "height": "void height (µm)",
        "overpotential": "overpotential\n(mV)",
    }
    for name, panel in panels.items():
        panel.set_xlim(-0.03 * last, 1.1 * last)
        panel.set_ylabel(labels[name])
    draw_measured(panels, tables, metals, colours)
    for name, panel in panels.items():
        if has(tables, name):
            panel.set_ylim(0, 100 if name == "contact_loss" else 1.1 * panel.get_ylim()[1])
        else:
            panel.set_yticks([])
            panel.set_ylabel(f"{labels[name].rpartition(' (')[0] or labels[name]}\n(no number)")
    panels[next(reversed(panels))].set_xlabel("capacity (mAh/cm²)")
