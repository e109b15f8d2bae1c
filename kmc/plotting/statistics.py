"""Statistics of voids: numbers, sizes, lifelines, and ripening."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D

from kmc.analysis.history import VoidHistory
from kmc.analysis.ripening import Ripening
from kmc.common.formatting import plural
from kmc.plotting import style
from kmc.plotting.pages import page_of

_MAX_MOMENTS = 4  # size distributions in one panel
_MAX_LINES = 40  # lifelines in one picture
_LIGHT, _DARK = 0.42, 1.0


# --- number and volume ----------------------------------------------------------------------------


def voids_picture(histories: Sequence[VoidHistory], names: Sequence[str], runs: Sequence) -> Figure:
    """Number of voids, their share of the vacancies' volume and the largest, frame by frame."""
    page, body = page_of(runs, 3.7, names)
    _draw_numbers(body, histories)
    return page


@style.styled()
def plot_voids(history: VoidHistory) -> Figure:
    """Number, volume and lifelines of the voids of one run; `VoidHistory.plot`."""
    lives = _height(_lanes(history)) + 1.2
    page = style.new_figure(style.COLUMN_IN, 3.7 + lives)
    upper, lower = style.stack(page, [3.7, lives])
    _draw_numbers(upper, [history])
    _draw_lifelines(lower, [history], [""])
    return page


_NUMBERS = {
    "voids": "voids",
    "volume_nm3": "volume of\nall voids (nm³)",
    "largest_nm3": "volume of the\nlargest (nm³)",
}


def _draw_numbers(body: SubFigure, histories: Sequence[VoidHistory]) -> None:
    axes = body.subplots(3, 1, sharex=True)
    moments = []
    for history in histories:
        groups = history.table.groupby("frame")["volume_nm3"]
        numbers = {"voids": groups.size(), "volume_nm3": groups.sum(), "largest_nm3": groups.max()}
        frames = history.counts[["frame", "capacity_monolayers", "time_s"]].set_index("frame")
        # A frame without voids has no group, but stands in the curves.
        moments.append(frames.assign(**numbers).fillna(0.0))
    x_key, scale, x_label, last = style.table_axis(moments)
    for i, table in enumerate(moments):
        x, look = table[x_key].to_numpy(float) / scale, style.run_style(i)
        style.curves(axes, x, table, tuple(_NUMBERS), **look)
    for panel, label in zip(axes, _NUMBERS.values(), strict=True):
        panel.set_ylabel(label)
    for line in axes[0].lines:
        line.set_drawstyle("steps-post")
    axes[0].locator_params(axis="y", integer=True)
    axes[-1].set(xlabel=x_label, xlim=(0, last or 1))
    body.align_ylabels(axes)


# --- sizes ----------------------------------------------------------------------------------------


def sizes_picture(
    histories: Sequence[VoidHistory],
    names: Sequence[str],
    runs: Sequence,
    frames: Sequence[Sequence[int]] | None,
) -> Figure:
    """Cumulative size distribution of the voids of a box, at several times of each run.

    A cumulative distribution needs no bins, which few voids would not fill. For one run four times
    are shown, for several the last frame of each.
    """
    is_single = len(histories) == 1
    x_key = style.table_axis([history.counts for history in histories])[0]
    most, chosen = _MAX_MOMENTS if is_single else 1, list(frames or [])
    for history in histories if not frames else ():
        every = history.counts["frame"].to_numpy()
        # Frames with voids, spread over the run; the last one where none has any.
        some = every[np.isin(every, history.table["frame"].unique())]
        some = some[style.evenly(len(some), most + 1)][-most:] if len(some) else every[-1:]
        chosen.append(some.tolist())
    labels = [
        [style.moment_of(h.counts.set_index("frame").loc[frame], x_key) for frame in some]
        for h, some in zip(histories, chosen, strict=True)
    ]
    if not is_single:
        names = [f"{name}, {of_run[-1]}" for name, of_run in zip(names, labels, strict=True)]
    page, body = page_of(runs, 2.85 if is_single else 2.5, [""] if is_single else names)
    axes = body.subplots(1, 1)
    drawn = 0
    for i, history in enumerate(histories):
        shades = style.ramp(len(chosen[i])) if is_single else [style.run_colour(i)] * len(chosen[i])
        dashes = {} if is_single else {"linestyle": style.run_style(i)["linestyle"]}
        for frame, colour, label in zip(chosen[i], shades, labels[i], strict=True):
            volumes = history.table.loc[history.table["frame"] == frame, "volume_nm3"]
            drawn += len(volumes) > 0
            cumulative(axes, volumes.to_numpy(), colour, label, **dashes)
    axes.set(xlabel="void volume V (nm³)", ylabel="voids of volume ≥ V\nin the box")
    if not drawn:
        style.empty(axes, "no voids")
        axes.set(xticks=[], yticks=[])
        return page
    axes.set(xscale="log", yscale="log")
    for axis in (axes.xaxis, axes.yaxis):
        style.plain_log_axis(axis, *axis.get_view_interval())
    if is_single:
        body.legend(loc="outside lower center", ncols=2, handlelength=1.6)
    return page


def cumulative(axes: Axes, sizes: np.ndarray, colour: Any, label: str, **look: Any) -> None:
    """Number of voids at least as large as each, which needs no bins; a dot at the largest.

    Counts of the box or square: per µm² a single void of a box would read as thousands.
    """
    if not len(sizes):
        axes.plot([], [], color=colour, label=f"{label} (no void)", **look)
        return
    x, number = np.sort(sizes), np.arange(len(sizes), 0, -1)
    # The curve begins to the left of the smallest void: all voids are larger than that.
    x, number = np.append(x[0] * 0.8, x), np.append(number[0], number)
    axes.plot(x, number, drawstyle="steps-pre", color=colour, label=label, **look)
    axes.plot(x[-1], number[-1], "o", ms=2.5, color=colour)


# --- lifelines ------------------------------------------------------------------------------------

_EVENTS: dict[str, dict[str, Any]] = {
    "nucleation": {"ls": "", "marker": "|", "ms": 5, "color": style.BLACK},
    "collapse": {"ls": "", "marker": "x", "ms": 4, "color": style.VERMILLION},
    "coalescence": {"color": style.GREY},
    "split": {"color": style.PURPLE, "ls": "--"},
}


def lifelines_picture(
    histories: Sequence[VoidHistory], names: Sequence[str], runs: Sequence
) -> Figure:
    """Each void as a line from its first to its last frame, with its volume as colour and width.

    Thin lines connect voids that coalesce or split. Of more than forty voids those with the largest
    maximum volume are shown.
    """
    names = names if len(histories) > 1 else [""]
    page, body = page_of(runs, 1.2 + sum(_height(_lanes(h)) for h in histories), [""])
    _draw_lifelines(body, histories, names)
    return page


def _height(lanes: dict) -> float:
    """Of a panel of lifelines, in inches."""
    return 0.4 + 0.085 * max(8, len(lanes))


def _draw_lifelines(
    page: SubFigure, histories: Sequence[VoidHistory], names: Sequence[str]
) -> None:
    lanes = [_lanes(history) for history in histories]
    options: Any = {"sharex": True, "squeeze": False, "height_ratios": list(map(_height, lanes))}
    all_axes = page.subplots(len(histories), 1, **options)[:, 0]
    x_key, scale, x_label, last = style.table_axis([history.counts for history in histories])
    volumes = np.concatenate([h.table["volume_nm3"].to_numpy(float) for h in histories])
    low, high = (volumes.min(), volumes.max()) if len(volumes) else (0.1, 1.0)
    # A single volume has no range to take logarithms of.
    norm = LogNorm(low, high if high > low else 10 * low)
    colours = ListedColormap(style.depths(np.linspace(_LIGHT, _DARK, 256)))
    for axes, history, lane, name in zip(all_axes, histories, lanes, names, strict=True):
        total = history.table["track"].nunique()
        _draw_tracks(axes, history, lane, x_key, scale, colours, norm)
        text = plural(total, "void")
        if total > len(lane):
            text = f"the {len(lane)} largest of {text}"
        axes.set_title(f"{name}: {text}" if name else text, loc="left", pad=3)
    all_axes[-1].set(xlabel=x_label, xlim=(-0.01 * last, 1.02 * last or 1.0))
    if len(volumes):
        place: Any = {"location": "bottom", "aspect": 28, "pad": 0.02, "shrink": 0.9}
        bar = page.colorbar(ScalarMappable(norm, colours), ax=list(all_axes), **place)
        bar.set_label("void volume (nm³)")
        style.plain_log_axis(bar.ax.xaxis, float(norm.vmin or 0), float(norm.vmax or 0))
        bar.outline.set_visible(False)
    keys = [Line2D([], [], label=kind, **{"lw": 0.8} | look) for kind, look in _EVENTS.items()]
    look: Any = {"ncols": 4, "handlelength": 1.4, "columnspacing": 1.0}
    page.legend(handles=keys, loc="outside lower center", **look)


def _lanes(history: VoidHistory) -> dict[int, int]:
    """Row of each void: in the order of the first frame, coalescing ones beside each other."""
    table = history.table
    if not len(table):
        return {}
    lives = table.groupby("track").agg(first=("frame", "min"), most=("volume_sites", "max"))
    # By the largest volume that a void had, not its last: a collapsed one may matter most.
    largest = lives.nlargest(_MAX_LINES, "most")
    shown = largest.sort_values(["first", "most"], ascending=[True, False])
    into: dict[int, int] = {}
    for row in history.events.itertuples():
        pairs = [(p, c) for p in row.parents for c in row.children if p != c]
        if row.kind == "coalescence":
            into |= dict(pairs)
        elif row.kind == "split":
            into |= {c: p for p, c in pairs if c not in into}
    families: dict[int, list[int]] = {}
    for track in shown.index:
        root, seen = track, set()
        while root in into and root not in seen:  # a split that coalesces again is a circle
            seen.add(root)
            root = into[root]
        families.setdefault(root, []).append(track)
    order = [track for family in families.values() for track in family]
    return {track: place for place, track in enumerate(order)}


def _draw_tracks(
    axes: Axes,
    history: VoidHistory,
    lane: Mapping[int, int],
    x_key: str,
    scale: float,
    colours: ListedColormap,
    norm: LogNorm,
) -> None:
    """The line of each void, and marks of its events."""
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set(ylim=(max(8, len(lane)) - 0.3, -0.9), ylabel="voids")
    if not lane:
        style.empty(axes, "no voids")
        return
    table = history.table
    largest = table["volume_nm3"].max()
    for track, rows in table[table["track"].isin(lane)].groupby("track"):
        rows = rows.sort_values("frame")
        x, y = rows[x_key].to_numpy(float) / scale, lane[track]
        volume = rows["volume_nm3"].to_numpy(float)
        if len(x) == 1:
            axes.plot(x, [y], "o", ms=2.2, color=colours(norm(volume[0])))
            continue
        ends = np.column_stack((x, np.full(len(x), y)))
        parts = np.stack((ends[:-1], ends[1:]), axis=1)
        # As the cube root, a length: by volume all but the largest would be hairlines.
        widths = 1.2 + 3.0 * np.cbrt(volume[1:] / largest)
        look: Any = {"linewidths": widths, "capstyle": "round"}
        axes.add_collection(LineCollection(list(parts), colors=colours(norm(volume[1:])), **look))
    first_x = history.counts[x_key].to_numpy(float)[0] / scale
    # Where the line of a void ends: its event is placed between two frames.
    ends = history.table.sort_values("frame").groupby("track")[x_key].agg(["first", "last"]) / scale
    for row in history.events.itertuples():
        x = getattr(row, x_key) / scale
        parents = [t for t in row.parents if t in lane]
        children = [t for t in row.children if t in lane]
        # What the first frame holds may be older: only later voids are seen to nucleate.
        if row.kind == "nucleation" and x > first_x:
            axes.plot([x] * len(children), [lane[t] for t in children], **_EVENTS[row.kind])
        elif row.kind == "collapse":
            at = [ends.loc[t, "last"] for t in parents]
            axes.plot(at, [lane[t] for t in parents], **_EVENTS[row.kind] | {"ms": 3.5})
        elif row.kind in ("coalescence", "split"):
            merges = row.kind == "coalescence"
            many, single = (parents, children[:1]) if merges else (children, parents[:1])
            for track, other in ((a, b) for a in many for b in single if a != b):
                begin, look = ends.loc[track, "last"] if merges else x, _EVENTS[row.kind]
                axes.plot([begin, x], [lane[track], lane[other]], lw=0.7, zorder=1, **look)


# --- ripening -------------------------------------------------------------------------------------


@style.styled()
def ripening_picture(found: Ripening) -> Figure:
    """Size of every void against the time of the rest; below it the mean radius and the number."""
    table = found.table
    page = style.new_figure(style.COLUMN_IN, 3.6)
    upper, lower = page.subplots(2, 1, sharex=True)
    scale, label = style.scaled_axis(table["rest_s"].to_numpy(), "time of rest", "s")
    x = table["rest_s"].to_numpy() / scale
    times = np.concatenate([np.full(len(v), t) for t, v in zip(x, found.volumes, strict=True)])
    upper.plot(times, np.concatenate(found.volumes), ".", color=style.BLUE, ms=2.5, clip_on=False)
    # Ripening spreads sizes over decades: the few large voids grow by the many small ones.
    upper.set(yscale="log", ylabel="size of each void\n(vacancies)")
    style.line(lower, x, table["mean_radius_nm"], style.VERMILLION)
    lower.set_ylabel("mean radius (nm)", color=style.VERMILLION)
    lower.set_ylim(0, 1.15 * table["mean_radius_nm"].max())
    number = lower.twinx()
    style.line(number, x, table["voids"], style.BLUE, linestyle="--")
    number.set_ylabel("voids", color=style.BLUE)
    number.set_ylim(0, 1.15 * max(1, table["voids"].max()))
    number.spines["right"].set_visible(True)
    number.locator_params(axis="y", integer=True)
    lower.set_xlabel(label)
    style.span(lower, x)
    return page
