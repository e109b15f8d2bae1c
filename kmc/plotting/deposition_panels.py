"""Pictures of depositions: curves, maps of the height, cross-sections."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from kmc.common.formatting import monolayers
from kmc.files.table_run import TableRun
from kmc.plotting import style
from kmc.systems.deposition.shape import heights

_MAX_MAPS = 6
_METAL, _SUBSTRATE, _ISLAND = "#868686", "#3B4CC0", "#B40426"
_CURVES = {
    "coverage": "coverage",
    "islands_per_um2": "islands in the box",  # per µm² a single one would read as thousands
    "island_height_layers": "height of islands\n(layers)",
    "roughness_layers": "roughness (layers)",
}


def _summary(
    runs: Sequence[TableRun], names: Sequence[str], frames: Sequence[int] | None
) -> Figure:
    """Curves of every run; below, map and section of the last frame of each."""
    shown = list(runs[:4])
    names = list(names) if len(runs) > 1 else []
    size = (max(4.6, 1.75 * len(shown) + 0.4), 2.9 + 2.5)
    about = ("", _size(runs[0]))
    page, body, foot = style.sheet(runs, size, about, names=names, foot_in=0.25, columns=2)
    top, bottom = style.stack(body, [2.9, 2.5])
    axes = top.subplots(2, 2, sharex=True)
    passed = any((np.diff(run.samples["capacity_monolayers"]) < 0).any() for run in runs)
    for axis, (column, label) in zip(axes.ravel(), _CURVES.items(), strict=True):
        for i, run in enumerate(runs):
            s = run.samples
            columns = run.constants["substrate"].size
            x = (s["plated"] + s["stripped"]) / columns if passed else s["capacity_monolayers"]
            area_um2 = columns * (run.facts["spacing_A"] * 1e-4) ** 2
            number = s[column] * (area_um2 if column == "islands_per_um2" else 1.0)
            axis.plot(x, number, **style.run_style(i))
        axis.set_ylabel(label)
        axis.set_ylim(bottom=0)
    for axis in axes[1]:
        axis.set_xlabel("charge passed (monolayers)" if passed else "plated (monolayers)")
    axes[0, 1].yaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    if len(shown) == 1:
        panels = bottom.subplots(1, 2, squeeze=False).T
    else:
        panels = bottom.subplots(2, len(shown), squeeze=False, height_ratios=[2, 1])
    for i, run in enumerate(shown):
        frame = len(run.frames["sample"]) - 1 if frames is None else frames[-1]
        draw_map(panels[0, i], run, frame, names[i] if names else "from above, at the end")
        draw_section(panels[1, i], run, frame)
    if not names:
        panels[1, 0].set_title("section at the highest column", fontsize=7)
    style.patch_key(foot, keys_of(shown))
    return page


def _size(run: TableRun) -> str:
    """Edges of the box: "13.4 × 13.4 nm, periodic"."""
    ny, nx = run.constants["substrate"].shape
    nm = run.facts["spacing_A"] / 10
    return f"{nx * nm:.3g} × {ny * nm:.3g} nm, periodic"


def keys_of(runs: Sequence[TableRun], *, sections: bool = True) -> list[Patch]:
    """Legend of the colours of maps and sections of some runs."""
    surfaces = ", ".join(dict.fromkeys(run.facts["surfaces"][0] for run in runs))
    keys = []
    if sections:
        keys = [Patch(color=_METAL, label="metal"), Patch(color=_SUBSTRATE, label=surfaces)]
    if any(run.constants["substrate"].any() for run in runs):
        keys.append(Patch(color=_ISLAND, label="islands on it (outlined from above)"))
    return [*keys, Patch(facecolor="white", edgecolor=style.GREY, lw=0.5, label="bare, or open")]


def _maps(runs: Sequence[TableRun], names: Sequence[str], frames: Sequence[int] | None) -> Figure:
    """Heights from above, one row a run."""
    rows = []
    for run in runs:
        n = len(run.frames["sample"])
        rows.append(list(frames)[:_MAX_MAPS] if frames else style.evenly(n, 4))
    wide = max(len(row) for row in rows)
    size = (2.3 * wide, 2.1 * len(runs))
    page, body, foot = style.sheet(runs, size, ("", _size(runs[0])), names=[""], foot_in=0.25)
    style.patch_key(foot, keys_of(runs, sections=False))
    axes = body.subplots(len(runs), wide, squeeze=False)
    for i, (run, row) in enumerate(zip(runs, rows, strict=True)):
        top = max(highest(run, frame) for frame in row)
        for axis in axes[i]:
            axis.set_visible(False)
        for axis, frame in zip(axes[i], row, strict=False):
            axis.set_visible(True)
            charge = run.samples["capacity_monolayers"][run.frames["sample"][frame]]
            title = f"after {monolayers(float(charge))}"
            title = f"{names[i]}\n{title}" if len(runs) > 1 else title
            draw_map(axis, run, frame, title, highest=top)
    return page


def _sections(
    runs: Sequence[TableRun], names: Sequence[str], frames: Sequence[int] | None
) -> Figure:
    """Cross-sections, one row a run."""
    size = (4.6, 1.3 * len(runs))
    page, body, foot = style.sheet(runs, size, ("", _size(runs[0])), names=[""], foot_in=0.25)
    style.patch_key(foot, keys_of(runs))
    axes = body.subplots(len(runs), 1, squeeze=False)
    for i, run in enumerate(runs):
        frame = len(run.frames["sample"]) - 1 if frames is None else frames[-1]
        draw_section(axes[i, 0], run, frame)
        if len(runs) > 1:
            axes[i, 0].set_title(names[i], fontsize=7)
    return page


def highest(run: TableRun, frame: int) -> int:
    return int(heights(run.frames["occupied"][frame]).max())


def draw_map(
    axis: Axes, run: TableRun, frame: int, title: str, *, highest: int = 0, bar: bool = True
) -> None:
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
        axis.contour(x, y, islands, levels=[0.5], colors=_ISLAND, linewidths=0.6)
    axis.set_title(title, fontsize=7)
    axis.set_xlabel("x (nm)")
    axis.set_ylabel("y (nm)")
    if bar:
        ticks = MaxNLocator(integer=True, nbins=5)
        axis.figure.colorbar(image, ax=axis, shrink=0.7, label="layers", ticks=ticks)


def draw_section(axis: Axes, run: TableRun, frame: int) -> None:
    """Cut through the column that is highest: metal grey, substrate below."""
    occupied = run.frames["occupied"][frame]
    # Through the highest column: a row in the middle often misses a lone island.
    row = int(np.unravel_index(np.argmax(heights(occupied)), occupied.shape[1:])[0])
    nm = run.facts["spacing_A"] / 10
    cut = occupied[:, row, :]
    high = int(max(4, heights(occupied).max() + 2))
    axis.imshow(
        np.ma.masked_equal(cut[:high], 0),
        origin="lower",
        extent=(0, cut.shape[1] * nm, 0, high * nm),
        cmap=ListedColormap([_METAL]),
        interpolation="nearest",
        aspect="auto",
    )
    surface = run.constants["substrate"][row][None, :]
    axis.imshow(
        surface,
        extent=(0, cut.shape[1] * nm, -0.06 * high * nm, 0),
        cmap=ListedColormap([_SUBSTRATE, _ISLAND]),
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
