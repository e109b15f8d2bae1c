"""Pictures of depositions: curves, maps of the height, cross-sections."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

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
from kmc.systems.deposition.summary import has_layer, layer_of

_MAX_MAPS = 6
_METAL, _SUBSTRATE, _ISLAND = "#868686", "#3B4CC0", "#B40426"
_LOST = "lost: dead (line), layer\n(dotted), monolayers"
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
    keys = keys_of(shown)
    page, body = style.sheet(runs, size, _about(runs[0]), names=names, keys=keys, columns=2)
    top, bottom = style.stack(body, [2.9, 2.5])
    axes = top.subplots(2, 2, sharex=True)
    # Strips go back along the charge: the sum of what passed either way only grows.
    passed = any((np.diff(run.samples["capacity_monolayers"]) < 0).any() for run in runs)
    curves = dict(_CURVES)
    if layers := any(has_layer(run) for run in runs):
        # Lost lithium in the place of islands, which a film does not have.
        del curves["islands_per_um2"]
        curves = {"coverage": curves.pop("coverage"), "dead_Li": _LOST, **curves}
    for axis, (column, label) in zip(axes.ravel(), curves.items(), strict=True):
        for i, run in enumerate(runs):
            s = run.samples
            columns = run.constants["substrate"].size
            x = (s["plated"] + s["stripped"]) / columns if passed else s["capacity_monolayers"]
            area_um2 = columns * (run.facts["spacing_A"] * 1e-4) ** 2
            factor = {"islands_per_um2": area_um2, "dead_Li": 1 / columns}.get(column, 1.0)
            axis.plot(x, s[column] * factor, **style.run_style(i))
            if column == "dead_Li":
                axis.plot(x, layer_of(run) / columns, color=style.run_colour(i), linestyle=":")
        axis.set(ylabel=label, ylim=(0, None))
    for axis in axes[1]:
        axis.set_xlabel("charge passed (monolayers)" if passed else "plated (monolayers)")
    if not layers:
        axes[0, 1].yaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    if len(shown) == 1:
        panels = bottom.subplots(1, 2, squeeze=False).T
    else:
        panels = bottom.subplots(2, len(shown), squeeze=False, height_ratios=[2, 1])
    for i, run in enumerate(shown):
        frame = len(run.frames) - 1 if frames is None else frames[-1]
        draw_map(panels[0, i], run, frame, names[i] if names else "from above, at the end")
        draw_section(panels[1, i], run, frame)
    if not names:
        panels[1, 0].set_title("section at the highest column", fontsize=7)
    return page


def _about(run: TableRun) -> tuple[str, str]:
    """Edges of the box for its heading, "13.4 × 13.4 nm, periodic", at the right of the name."""
    ny, nx = run.constants["substrate"].shape
    nm = run.facts["spacing_A"] / 10
    return "", f"{nx * nm:.3g} × {ny * nm:.3g} nm, periodic"


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
    for run, name in zip(runs, names, strict=True):
        every = style.evenly(len(run.frames), 4)
        chosen = list(frames)[:_MAX_MAPS] if frames else every
        # Frames of a run have one scale, so that growth shows.
        top = max(highest(run, frame) for frame in chosen)
        rows.append([(run, frame, name, top) for frame in chosen])
    size, keys = (2.3 * max(map(len, rows)), 2.1 * len(runs)), keys_of(runs, sections=False)
    page, body = style.sheet(runs, size, _about(runs[0]), names=[""], keys=keys)
    for axis, (run, frame, name, top) in style.grid(body, rows):
        charge = run.samples["capacity_monolayers"][run.frames["sample"][frame]]
        title = f"{name}\n" * (len(runs) > 1) + f"after {monolayers(float(charge))}"
        draw_map(axis, run, frame, title, highest=top)
    return page


def _sections(
    runs: Sequence[TableRun], names: Sequence[str], frames: Sequence[int] | None
) -> Figure:
    """Cross-sections, one row a run."""
    size, keys = (4.6, 1.3 * len(runs)), keys_of(runs)
    page, body = style.sheet(runs, size, _about(runs[0]), names=[""], keys=keys)
    for axis, (run, name) in style.grid(body, [[pair] for pair in zip(runs, names, strict=True)]):
        draw_section(axis, run, len(run.frames) - 1 if frames is None else frames[-1])
        if len(runs) > 1:
            axis.set_title(name, fontsize=7)
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
    look: dict[str, Any] = {"vmin": 1, "vmax": max(2, highest, int(top.max()))}
    image = axis.imshow(shown, extent=(0, nx * nm, 0, ny * nm), cmap="viridis", **look)
    if not top.any():
        style.empty(axis, "bare")
    islands = run.constants["substrate"]
    if islands.any():
        x, y = (np.arange(nx) + 0.5) * nm, (np.arange(ny) + 0.5) * nm
        axis.contour(x, y, islands, levels=[0.5], colors=_ISLAND, linewidths=0.6)
    axis.set_title(title, fontsize=7)
    axis.set(xlabel="x (nm)", ylabel="y (nm)")
    if bar:
        ticks = MaxNLocator(integer=True, nbins=5)
        axis.figure.colorbar(image, ax=axis, shrink=0.7, label="layers", ticks=ticks)


def draw_section(axis: Axes, run: TableRun, frame: int) -> None:
    """Cut through the column that is highest: metal grey, substrate below."""
    occupied = run.frames["occupied"][frame]
    # Through the highest column: a row in the middle often misses a lone island.
    row = int(np.unravel_index(np.argmax(heights(occupied)), occupied.shape[1:])[0])
    nm = run.facts["spacing_A"] / 10
    # Some empty layers above, so that a bare substrate has a height.
    high = int(max(4, heights(occupied).max() + 2))
    cut, surface = occupied[:high, row, :], run.constants["substrate"][row][None, :]
    width, top, below = cut.shape[1] * nm, high * nm, -0.06 * high * nm
    colours, look = ListedColormap([_METAL]), dict[str, Any](aspect="auto")
    axis.imshow(np.ma.masked_equal(cut, 0), extent=(0, width, 0, top), cmap=colours, **look)
    colours, look = ListedColormap([_SUBSTRATE, _ISLAND]), {"vmin": 0, "vmax": 1, **look}
    axis.imshow(surface, extent=(0, width, below, 0), cmap=colours, **look)
    axis.set(xlim=(0, width), ylim=(below, top), xlabel="x (nm)", ylabel="z (nm)")


DEPOSITION_PICTURES: Mapping[str, Callable[..., Figure]] = {
    "summary": _summary,
    "map": _maps,
    "section": _sections,
}
