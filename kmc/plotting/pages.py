"""The overview of a run, and pictures of curves, maps and cross-sections."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Patch

from kmc.common.formatting import figure
from kmc.errors import InputError
from kmc.files.reader import Trajectory
from kmc.files.samples import Frame
from kmc.plotting import curves, maps, section_panels, style

_MAX_PANELS = 24

# Frames to draw: their numbers, or which of so many; by default each picture has its own.
Chosen = Sequence[int] | Callable[[int], Sequence[int]] | None


def about(trajectory: Trajectory) -> tuple[str, str]:
    """Lattice and size of a box, for its heading."""
    nx, ny = trajectory.box["cells"]
    return trajectory.box["name"], f"{nx} × {ny} × {trajectory.box['layers']}"


def page_of(
    runs: Sequence[Trajectory], height_in: float, names: Sequence[Any] | None = None
) -> tuple[style.Picture, SubFigure]:
    """A page of one column for runs of boxes, and the part of it for their panels."""
    more = about(runs[0]) if len(runs) == 1 else ()
    return style.sheet(runs, (style.COLUMN_IN, height_in), more, names=names)


@style.styled()
def overview(trajectory: Trajectory) -> Figure:
    """The overview of a run: contact and overpotential, map of the interface, cross-section.

    Against capacity, or time without a current; the map is that of the last frame, with the height
    of the gap over each L1 site as colour, the section that with most vacancies; for a periodic box
    the vacancies along z.
    """
    frames = trajectory.frames
    heights = [style.head_in(trajectory, style.COLUMN_IN), 2.75]
    view = cut = None
    if len(frames):
        shown, s = frames[-1], trajectory.samples
        cycles = s["cycle"] if "cycle" in s else np.zeros(0)
        # Of cycles that end in full contact, the frame of least contact in the last one.
        if len(cycles) and cycles[-1] and s["contact_fraction"][-1] == 1.0:
            rows = np.searchsorted(s["time_s"], [frame.time_s for frame in frames])
            rows = np.minimum(rows, len(cycles) - 1)
            in_last = cycles[rows] == cycles[-1]
            shown = frames[int(np.argmin(np.where(in_last, s["contact_fraction"][rows], np.inf)))]
        view = maps.view_of(trajectory, shown)
        cut = section_panels.cut_through(trajectory.lattice, [shown])
        panels = max(0.35, maps.WIDTH_IN * view.shape) + max(0.35, maps.WIDTH_IN * cut.shape)
        panels += 0.16 * len(maps.chemistry_keys([view]))
        heights.append(panels + 1.75)
    page = style.new_figure(style.COLUMN_IN, sum(heights))
    parts = style.stack(page, heights)
    style.heading(parts[0], trajectory, about(trajectory))
    curves.draw_curves(parts[1], [trajectory], mark_frames=True)
    if view is not None and cut is not None:  # the map and the section below it have one scale
        ratios = [max(0.1, view.shape), max(0.1, cut.shape)]
        upper, lower = parts[2].subplots(2, 1, height_ratios=ratios)
        scale = maps.scale_for(view.most, view.step)
        maps.draw_map(upper, view, scale)
        maps.mark_cut(upper, view, cut.at_nm)
        upper.set_title(view.title, loc="left")
        upper.set_xlabel("")
        section_panels.draw_section(lower, cut, shown, trajectory.lattice)
        lower.set_title(f"{cut.title} (dashed line)", loc="left")
        if scale.colours is None:
            upper.set_title(view.nothing, loc="right")
        else:
            maps.depth_bar(parts[2], [upper, lower], [view], scale)
        _section_key(parts[2], [trajectory], maps.chemistry_keys([view]))
    return page


def _section_key(
    part: SubFigure, trajectories: Sequence[Trajectory], more: Sequence[Patch] = ()
) -> None:
    keys = [*section_panels.keys_of(trajectories), *more]
    style.patch_key(part, keys, 2 if len(keys) == 4 or more else 3, "outside lower center")


# --- panels of one kind, of one or several files --------------------------------------------------


def summary_picture(trajectories: Sequence[Trajectory], frames: Chosen = None) -> Figure:
    """The overview of one run; of several, their curves in one panel and their last maps."""
    if len(trajectories) == 1 and frames is None:
        return overview(trajectories[0])
    rows, tallest = _rows(trajectories, frames, 1, 0.4)
    page, body = page_of(trajectories, 2.75 + sum(tallest) + 0.95, _labels(trajectories))
    middle, below = style.stack(body, [2.75, sum(tallest) + 0.95])
    curves.draw_curves(middle, trajectories)
    _map_grid(below, trajectories, rows, tallest)
    return page


def contact_picture(trajectories: Sequence[Trajectory], frames: Chosen = None) -> Figure:
    """Contact fraction and overpotential of one or several runs."""
    page, body = page_of(trajectories, 2.75, _labels(trajectories))
    curves.draw_curves(body, trajectories)
    return page


def map_picture(trajectories: Sequence[Trajectory], frames: Chosen = None) -> Figure:
    """Maps of the interface: frames of one run side by side, or the last of each run."""
    rows, tallest = _rows(trajectories, frames, 4 if len(trajectories) == 1 else 1, 0.3)
    page, body = page_of(trajectories, sum(tallest) + 0.95, [""])
    _map_grid(body, trajectories, rows, tallest)
    return page


def section_picture(trajectories: Sequence[Trajectory], frames: Chosen = None) -> Figure:
    """Cross-sections, one below the other: frames of one run, or the last of each run."""
    chosen = _chosen(trajectories, frames, 4 if len(trajectories) == 1 else 1)
    panels = []
    for t, some, name in zip(trajectories, chosen, style.run_names(trajectories), strict=True):
        cut = section_panels.cut_through(t.lattice, some)
        panels += [(t, cut, frame, name) for frame in some]
    # Panels of one length share an axis; others need a scale each.
    alike = len({(cut.axis, cut.size_nm[0]) for _, cut, _, _ in panels}) == 1
    heights = [max(0.4, 2.75 * cut.shape) + (0.27 if alike else 0.5) for _, cut, _, _ in panels]
    page, body = page_of(trajectories, sum(heights) + 0.75, [""])
    all_axes = body.subplots(len(panels), 1, height_ratios=heights, squeeze=False)[:, 0]
    for axes, (t, cut, frame, name) in zip(all_axes, panels, strict=True):
        section_panels.draw_section(axes, cut, frame, t.lattice)
        when = style.moment(t, frame)
        title = f"{when}, {cut.other} = {cut.at_nm:.1f} nm"
        if len(trajectories) > 1:
            title = style.panel_title(name, when, 2.75)
        axes.set_title(title, loc="left", pad=3)
        if axes is not all_axes[-1] and alike:  # the axis of the last panel serves them all
            axes.set_xlabel("")
            axes.tick_params(labelbottom=False)
    _section_key(body, trajectories)
    return page


def _chosen(trajectories: Sequence[Trajectory], frames: Chosen, default: int) -> list[list[Frame]]:
    """Frames of each run: those asked for, else `default` of them spread over the run."""
    chosen = []
    for t in trajectories:
        n = len(t.frames)
        if not n:
            raise InputError(
                f"{t.path} has no frames yet",
                advice="Wait for the run to write one; `kmc plot --what contact` needs none.",
            )
        if frames is not None:
            indices = list(frames(n) if callable(frames) else frames)
        elif default == 1:
            indices = [n - 1]
        else:
            indices = style.evenly(n, default + 1)[1:] or [0]
        chosen.append([t.frames[i] for i in indices])
    # A picture of hundreds of panels would take minutes and show nothing.
    panels = sum(len(some) for some in chosen)
    if panels > _MAX_PANELS:
        raise InputError(
            f"{panels} frames are too many for one picture",
            advice=f"Choose at most {_MAX_PANELS} with --frames, such as ::10 or 0,20,-1; "
            "`kmc movie` shows all.",
        )
    return chosen


def _rows(
    trajectories: Sequence[Trajectory], frames: Chosen, default: int, title_in: float
) -> tuple[list[list[maps.View]], list[float]]:
    """Maps in rows, and the heights of these in inches.

    One row a run where there are several frames of several runs.
    """
    pairs = zip(trajectories, _chosen(trajectories, frames, default), strict=True)
    views = [[maps.view_of(t, frame) for frame in some] for t, some in pairs]
    if len(views) > 1 and len(views[0]) > 1:
        columns = min(4, max(len(row) for row in views))
    else:
        views = [[view for row in views for view in row]]
        # Long boxes lie one below the other, as beside each other they would be mere strips.
        few = len(views[0]) == 1 or views[0][0].shape < 0.3
        columns = 1 if few else 2 if len(views[0]) <= 4 else 3
    rows = [row[i : i + columns] for row in views for i in range(0, len(row), columns)]
    return rows, [max(v.shape for v in row) * 2.9 / columns + title_in for row in rows]


def _map_grid(
    part: SubFigure,
    trajectories: Sequence[Trajectory],
    rows: Sequence[Sequence[maps.View]],
    heights: Sequence[float],
) -> None:
    """Maps with the time or capacity of each, and the file where there are several."""
    columns = max(map(len, rows))
    map_in = 2.9 / columns
    views = [view for row in rows for view in row]
    titles = [view.title.partition(" at ")[2] for view in views]
    if len(trajectories) > 1:
        each = len(views) // len(trajectories)
        for i, name in enumerate(style.run_names(trajectories)):  # once for each run
            titles[i * each] = style.panel_title(name, titles[i * each], map_in)
    names = iter(titles)
    highest = max(views, key=lambda v: v.most * v.step)
    scale = maps.scale_for(highest.most, highest.step)
    for axes, view in style.grid(part, rows, height_ratios=heights):
        maps.draw_map(axes, view, scale, map_in)
        axes.set_title(next(names), loc="left", pad=3)
        place = axes.get_subplotspec()
        if not place.is_first_col():
            axes.set_ylabel("")
        if not place.is_last_row():
            axes.set_xlabel("")
        if columns > 1:
            axes.locator_params(nbins=4)
    if scale.colours is not None:
        maps.depth_bar(part, list(part.axes), views, scale)
    style.patch_key(part, maps.keys_of(views), 2, "outside lower center")


def _labels(trajectories: Sequence[Trajectory]) -> list[str]:
    """The name of each run and its settings, for the key of its curves."""
    labels = []
    for t, name in zip(trajectories, style.run_names(trajectories), strict=True):
        system, conditions = (t.run.get(k, {}) for k in ("system", "conditions"))
        parts = [system.get("params", ""), t.box["name"]]
        if conditions.get("temperature_K"):
            parts.append(figure(conditions["temperature_K"], "K", 5))
        if conditions.get("stack_pressure_MPa"):
            parts.append(figure(conditions["stack_pressure_MPa"], "MPa"))
        labels.append(f"{name}: {style.plain(', '.join(text for text in parts if text))}")
    return labels
