"""Pictures of depositions: curves, maps of the height, cross-sections."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from kmc.common.formatting import monolayers
from kmc.plotting import style
from kmc.systems.deposition.shape import heights
from kmc.trajectory.table_run import TableRun

_MAX_MAPS = 6
_CURVES = {
    "coverage": "coverage",
    "islands_per_um2": "islands (1/µm²)",
    "island_height_layers": "height of islands\n(layers)",
    "roughness_layers": "roughness (layers)",
}


def _summary(
    runs: Sequence[TableRun], names: Sequence[str], frames: Sequence[int] | None
) -> Figure:
    """Curves of every run; below, map and section of the last frame of each."""
    shown = list(runs[:4])
    page = style.new_figure(max(4.6, 1.75 * len(shown) + 0.4), 2.9 + 2.5)
    top, bottom = style.stack(page, [2.9, 2.5])
    axes = top.subplots(2, 2, sharex=True)
    passed = any((np.diff(run.samples["capacity_monolayers"]) < 0).any() for run in runs)
    for axis, (column, label) in zip(axes.ravel(), _CURVES.items(), strict=True):
        for i, run in enumerate(runs):
            s = run.samples
            columns = run.constants["substrate"].size
            x = (s["plated"] + s["stripped"]) / columns if passed else s["capacity_monolayers"]
            axis.plot(x, s[column], label=names[i], **style.run_style(i))
        axis.set_ylabel(label)
        axis.set_ylim(bottom=0)
    for axis in axes[1]:
        axis.set_xlabel("charge passed (monolayers)" if passed else "plated (monolayers)")
    if len(runs) > 1:
        axes[0, 0].legend(fontsize=6)
    if len(shown) == 1:
        panels = bottom.subplots(1, 2, squeeze=False).T
    else:
        panels = bottom.subplots(2, len(shown), squeeze=False, height_ratios=[2, 1])
    for i, run in enumerate(shown):
        frame = len(run.frames["sample"]) - 1 if frames is None else frames[-1]
        _map(panels[0, i], run, frame, names[i])
        _section(panels[1, i], run, frame)
    return page


def _maps(runs: Sequence[TableRun], names: Sequence[str], frames: Sequence[int] | None) -> Figure:
    """Heights from above, one row a run."""
    rows = []
    for run in runs:
        n = len(run.frames["sample"])
        rows.append(list(frames)[:_MAX_MAPS] if frames else style.evenly(n, 4))
    wide = max(len(row) for row in rows)
    page = style.new_figure(2.3 * wide, 2.1 * len(runs))
    axes = page.subplots(len(runs), wide, squeeze=False)
    for i, (run, row) in enumerate(zip(runs, rows, strict=True)):
        highest = max(_highest(run, frame) for frame in row)
        for axis in axes[i]:
            axis.set_visible(False)
        for axis, frame in zip(axes[i], row, strict=False):
            axis.set_visible(True)
            charge = run.samples["capacity_monolayers"][run.frames["sample"][frame]]
            title = f"{names[i]}\nafter {monolayers(float(charge))}"
            _map(axis, run, frame, title, highest=highest)
    return page


def _sections(
    runs: Sequence[TableRun], names: Sequence[str], frames: Sequence[int] | None
) -> Figure:
    """Cross-sections, one row a run."""
    page = style.new_figure(4.6, 1.3 * len(runs) + 0.2)
    axes = page.subplots(len(runs), 1, squeeze=False)
    for i, run in enumerate(runs):
        frame = len(run.frames["sample"]) - 1 if frames is None else frames[-1]
        _section(axes[i, 0], run, frame)
        axes[i, 0].set_title(names[i], fontsize=7)
    return page


def _highest(run: TableRun, frame: int) -> int:
    return int(heights(run.frames["occupied"][frame]).max())


def _map(axis: Axes, run: TableRun, frame: int, title: str, *, highest: int = 0) -> None:
    """Height of each column, on a scale up to `highest`; bare substrate is white, its islands are
    hatched by a contour.
    """
    top = heights(run.frames["occupied"][frame])
    nm = run.facts["spacing_A"] / 10
    ny, nx = top.shape
    shown = np.ma.masked_equal(top, 0)
    image = axis.imshow(
        shown,
        origin="lower",
        extent=(0, nx * nm, 0, ny * nm),
        cmap="viridis",
        vmin=1,
        vmax=max(2, highest, int(top.max())),
        interpolation="nearest",
    )
    if not top.any():
        style.empty(axis, "bare")
    islands = run.constants["substrate"]
    if islands.any():
        x, y = (np.arange(nx) + 0.5) * nm, (np.arange(ny) + 0.5) * nm
        axis.contour(x, y, islands, levels=[0.5], colors="tab:red", linewidths=0.6)
    axis.set_title(title, fontsize=7)
    axis.set_xlabel("x (nm)")
    axis.set_ylabel("y (nm)")
    bar = axis.figure.colorbar(image, ax=axis, shrink=0.7, label="layers")
    bar.locator = MaxNLocator(integer=True, nbins=5)
    bar.update_ticks()


def _section(axis: Axes, run: TableRun, frame: int) -> None:
    """Cut through the column that is highest: metal grey, substrate below."""
    occupied = run.frames["occupied"][frame]
    row = int(np.unravel_index(np.argmax(heights(occupied)), occupied.shape[1:])[0])
    nm = run.facts["spacing_A"] / 10
    cut = occupied[:, row, :]
    high = int(max(4, heights(occupied).max() + 2))
    axis.imshow(
        np.ma.masked_equal(cut[:high], 0),
        origin="lower",
        extent=(0, cut.shape[1] * nm, 0, high * nm),
        cmap="Greys",
        vmin=0,
        vmax=1.8,
        interpolation="nearest",
        aspect="auto",
    )
    surface = run.constants["substrate"][row][None, :]
    axis.imshow(
        surface,
        extent=(0, cut.shape[1] * nm, -0.06 * high * nm, 0),
        cmap="coolwarm",
        vmin=0,
        vmax=1,
        interpolation="nearest",
        aspect="auto",
    )
    axis.set_xlim(0, cut.shape[1] * nm)
    axis.set_ylim(-0.06 * high * nm, high * nm)
    axis.set_xlabel("x (nm)")
    axis.set_ylabel("z (nm)")


DEPOSITION_PICTURES: Mapping[str, Callable[..., Figure]] = {
    "summary": _summary,
    "map": _maps,
    "section": _sections,
}
