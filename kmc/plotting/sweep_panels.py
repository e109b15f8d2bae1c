"""Results of sweeps: lines with confidence bands, heat maps, thresholds."""

import textwrap
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import scipy
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from kmc.campaign.dataset import axis_name, choices, places
from kmc.campaign.scalars import charge_text
from kmc.common.catalogue import nearest
from kmc.common.formatting import figure, label, listed, plural, quantity
from kmc.common.late import pandas as pd
from kmc.common.late import xarray as xr
from kmc.errors import InputError
from kmc.plotting import style

CONFIDENCE = 0.95
DEFAULT = "contact_fraction"
_LOG_FROM = 20.0  # values whose ends differ by this factor have a logarithmic axis
_SHARES = ("fraction", "coverage", "share", "efficiency", "_per_plated")  # ends of names
_MAX_LINES = 12
_LABEL = 30  # letters along the y axis
_MAX_TEXTS = 30  # cells of a heat map with their numbers


def sweep_table(
    ds: "xr.Dataset",
    what: str | None = None,
    *,
    x: str | None = None,
    y: str | None = None,
    at: float | None = None,
    where: Mapping[str, Any] | None = None,
) -> "pd.DataFrame":
    """Means over replicas with their confidence intervals, one row for each point drawn.

    - `ds`: from `kmc.load_sweep`, with `at` among its capacities where that is given.
    - `what`, `x`, `y`: a number of the dataset, by default what its kind of run is about; its axes,
      by default those that vary, in the order of the sweep file.
    - `at`: capacity, in the unit at which `ds` was read; the end of each run by default.
    - `where`: axis → value, for the axes that are not drawn.

    Returns DataFrame: the axes, `n` (replicas with a number), `mean`, `std`, and `low`, `high`:
    Student's t interval of 95 %, NaN with fewer than two replicas or where all are equal, which is
    no sign of certainty. Of a charge at which contact is lost, `censored` too: runs that ended
    before count with the charge at their end, so that the mean is a lower bound and has no
    interval.

    Raises `InputError`: there is no such number or axis, or an axis that varies is neither drawn
    nor chosen.
    """
    what, chosen = what or headline(ds, at), where or {}
    mask = ds[what].attrs.get("censored", "") if what in ds else ""
    numeric = [
        str(name)
        for name, values in ds.data_vars.items()
        if values.dtype.kind in "fb" and not str(name).endswith("_at")
    ]
    if what not in numeric:
        raise InputError(
            f"there is no number {what!r} in this sweep",
            advice=f"{nearest(what, numeric)}There are: {', '.join(numeric)}.",
        )
    # Such as the number of events: only columns of the samples have a value at a charge.
    if at is not None and f"{what}_at" not in ds:
        raise InputError(
            f"{what} is not a number at a capacity",
            advice="It belongs to a run as a whole: leave the capacity away.",
        )
    values = ds[what] if at is None else ds[f"{what}_at"].sel({_at_dim(ds): at})
    if mask:
        values = values.where(~ds[mask], ds[_charge_of(what)])
    values, x_name, y_name = _reduced(ds, values, x, y, chosen)
    axes = [x_name] if y_name is None else [y_name, x_name]
    dims = [*(ds[name].dims[0] for name in axes), "replica"]

    def rows_of(found: "xr.DataArray") -> "pd.DataFrame":
        """A row a setting, a column a replica."""
        stacked = found.transpose(*dims).values.astype(float).reshape(-1, found.sizes["replica"])
        return pd.DataFrame(np.where(np.isfinite(stacked), stacked, np.nan))

    numbers = rows_of(values)
    settings = []
    for name in axes:
        own = list(ds[name].values)
        # A value that stands twice is distinguished by the keys that are zipped with it.
        if len({str(value) for value in own}) < len(own):
            rows = zip(own, *(ds[other].values for other in _zipped(ds, name)), strict=True)
            own = [", ".join(map(_shown, row)) for row in rows]
        settings.append(own)
    grid = pd.MultiIndex.from_product(settings, names=axes)
    table = grid.to_frame(index=False)
    n, mean, std = numbers.count(axis=1), numbers.mean(axis=1), numbers.std(axis=1)
    # Few replicas: Student's t, as the scatter itself is estimated from them.
    half = scipy.stats.t.ppf(0.5 + CONFIDENCE / 2, n - 1) * std / np.sqrt(n)
    # Equal replicas have no scatter to estimate an interval from, which is not certainty.
    half = half.where(half > 0)
    table["n"], table["mean"], table["std"] = n, mean, std
    if mask:
        bounds = rows_of(_reduced(ds, ds[mask], x, y, chosen)[0]).sum(axis=1).astype(int)
        table["censored"] = bounds
        # The mean of bounds is a bound itself, and its scatter says nothing.
        half, table["std"] = half.where(bounds == 0), std.where(bounds == 0)
    table["low"], table["high"] = mean - half, mean + half
    return table


def headline(ds: "xr.Dataset", at: float | None = None) -> str:
    """What is drawn of a sweep unless another number is asked for."""
    name = str(ds.attrs.get("headline", DEFAULT))
    return name if at is None or f"{name}_at" in ds else DEFAULT


def _charge_of(what: str) -> str:
    """The column of charge in whose unit a loss of contact is given."""
    return f"capacity_{'mAh_cm2' if what.endswith('mAh_cm2') else 'monolayers'}"


def _at_dim(ds: "xr.Dataset") -> str:
    """The dimension of capacities, ``at_monolayers`` or ``at_mAh_cm2``; empty without one."""
    return next((str(dim) for dim in ds.dims if str(dim).startswith("at_")), "")


def _zipped(ds: "xr.Dataset", name: str) -> list[str]:
    """Other keys that change along the axis of a key."""
    dim = ds[name].dims[0]
    return [str(n) for n, c in ds.coords.items() if c.dims == (dim,) and n not in (name, dim)]


def _reduced(
    ds: "xr.Dataset", values: "xr.DataArray", x: str | None, y: str | None, where: Mapping[str, Any]
) -> "tuple[xr.DataArray, str, str | None]":
    """Values with x, y and replica as their only dimensions, and the names of x and y."""

    def dim_of(name: str | None) -> str | None:
        return None if name is None else str(ds[name].dims[0])

    def axis_of(dim: str) -> str:
        # Keys that are zipped share a dimension without a key: the first of them stands for it.
        named = (n for n, c in ds.coords.items() if c.dims == (dim,) and "key" in c.attrs)
        return dim if "key" in ds[dim].attrs else str(next(named))

    drawn = [str(name) for name in ds.coords if name not in ("replica", _at_dim(ds))]
    for name, value in where.items():
        axis = axis_name(ds, name, drawn)
        values = values.isel({ds[axis].dims[0]: places(ds[axis], value)[:1]})
    x, y = (axis_name(ds, axis, drawn) if axis else None for axis in (x, y))
    dims = [str(dim) for dim in values.dims if dim not in ("replica", _at_dim(ds))]
    remaining = [d for d in dims if values.sizes[d] > 1 and d not in (dim_of(x), dim_of(y))]
    if x is None:
        x = axis_of(remaining.pop(0) if remaining else next(d for d in dims if d != dim_of(y)))
    if y is None and remaining:
        y = axis_of(remaining.pop(0))
    if y is not None and dim_of(x) == dim_of(y):
        raise InputError(f"{x} and {y} vary together: they are one axis", advice="Draw one.")
    if remaining:
        name = axis_of(remaining[0])
        raise InputError(
            f"{name} varies as well, and a picture has two axes",
            advice=f"Choose one of its values, such as --where {name}={ds[name].values[0]}. "
            + choices(ds[name]),
        )
    kept = {dim_of(x), dim_of(y), "replica"}
    return values.isel({dim: 0 for dim in dims if dim not in kept}), x, y


# --- pictures -------------------------------------------------------------------------------------


@style.styled()
def sweep_picture(
    ds: "xr.Dataset",
    what: str | None = None,
    *,
    at: float | None = None,
    heatmap: bool = False,
    **axes: Any,
) -> Figure:
    """Lines with confidence bands, one for each value of y; or a heat map.

    See `sweep_table` for the parameters.
    """
    what = what or headline(ds, at)
    table = sweep_table(ds, what, at=at, **axes)
    moment = charge_text(at, _at_dim(ds).removeprefix("at_")) if at is not None else ""
    if not table["n"].any():
        raise InputError(
            f"no run of this sweep has a number {what}" + (f" at {moment}" if moment else ""),
            advice="Runs may end before, or not be done: `kmc sweep` again runs what is missing.",
        )
    axes_names = [str(name) for name in table.columns[: list(table.columns).index("n")]]
    about = ds[what].attrs
    unit, name = about.get("units", "1"), about.get("label", quantity(what)[0])
    if "label" in about:  # of a charge, whose unit its name has
        unit = _charge_of(what).removeprefix("capacity_").replace("mAh_cm2", "mAh/cm²")
    named = f"{name} ({unit})" if unit != "1" else label(what)
    moment = f"at {moment}" if moment else "at the end of the run"
    title = named if "censored" in table else f"{named}\n{moment}"
    if heatmap:
        return _heat_map(table, axes_names, title)
    return _lines(table, axes_names, title, what, _zipped(ds, axes_names[-1]))


def _lines(
    table: "pd.DataFrame", names: Sequence[str], title: str, what: str, zipped: Sequence[str]
) -> Figure:
    """Points, joined along x where nothing else changes between them."""
    page = style.new_figure(style.COLUMN_IN, 2.5)
    axes = page.subplots()
    x_name = names[-1]
    # Student's t knows no bounds: those of numbers that are not negative, and of shares.
    share = what.startswith("contact_") or what.endswith(_SHARES)
    low, high = table["mean"].min(), table["mean"].max()  # what is regained may add up to more
    ends = (0.0 if low >= 0 else None, 1.0 if share and high <= 1 else None)
    table = table.assign(low=table["low"].clip(*ends), high=table["high"].clip(*ends))
    groups = [("", table)] if len(names) == 1 else list(table.groupby(names[0], sort=False))
    # Colours and dashes repeat beyond: two lines would look alike.
    if len(groups) > _MAX_LINES:
        raise InputError(
            f"{names[0]} has {len(groups)} values: too many lines to distinguish",
            advice="Draw it as x, choose some values with --where, or use --heatmap.",
        )
    numeric = _numeric(table[x_name])
    # Many values of a number: a ramp shows their order, which separate colours do not.
    ordered = numeric and len(groups) > 3 and _numeric(table[names[0]])
    ramp = style.ramp(len(groups))
    for i, (value, rows) in enumerate(groups):
        rows = rows.sort_values(x_name) if numeric else rows
        at = rows[x_name].to_numpy(float) if numeric else np.arange(len(rows))
        look = {"color": ramp[i], "linestyle": "-"} if ordered else style.run_style(i)
        if not numeric or zipped:
            look = look | {"linestyle": ""}
        has_mean = rows["mean"].notna().to_numpy()
        text = "" if value == "" else _shown(value)
        dots: dict[str, Any] = {"marker": "o", "ms": 3, "label": text, "clip_on": False}
        axes.plot(at[has_mean], rows["mean"][has_mean], **dots, **look)
        if "censored" in rows and (bound := has_mean & (rows["censored"] > 0).to_numpy()).any():
            # Over the point, whose place it takes: the charge is at least this.
            mark = look | {"linestyle": "", "marker": "^", "ms": 5, "markerfacecolor": "white"}
            axes.plot(at[bound], rows["mean"][bound], clip_on=False, **mark)
        band = rows["low"].notna().to_numpy()
        if band.sum() > 1 and band[has_mean].all() and numeric and not zipped:
            shade: dict[str, Any] = {"color": look["color"], "alpha": 0.18, "lw": 0}
            axes.fill_between(at[band], rows["low"][band], rows["high"][band], **shade)
        elif band.any():
            half = [abs(rows[end] - rows["mean"])[band] for end in ("low", "high")]
            bar: dict[str, Any] = {"ecolor": look["color"], "elinewidth": 0.8, "capsize": 2}
            axes.errorbar(at[band], rows["mean"][band], half, fmt="none", **bar)
    if numeric:
        scale_axis(axes, "x", table[x_name].to_numpy(float))
        axes.set_xlabel(label(x_name))
    else:
        some = list(dict.fromkeys(table[x_name]))
        axes.set_xticks(range(len(some)), [str(item) for item in some])
        axes.set_xlabel(", ".join(map(label, (x_name, *zipped))))
    if what.startswith("contact_fraction"):
        axes.set_ylim(0, 1.05)
    elif table["mean"].min() >= 0:
        axes.set_ylim(0, None)
    axes.set_ylabel("\n".join(textwrap.fill(part, _LABEL) for part in title.split("\n")))
    if len(groups) > 1:
        place: dict[str, Any] = {"loc": "center left", "bbox_to_anchor": (1.0, 0.5)}
        axes.legend(title=label(names[0]), title_fontsize=7, **place)
        page.set_size_inches(style.COLUMN_IN + 1.0, 2.5)
    early = int(table["censored"].sum()) if "censored" in table else 0
    n = table["n"][table["n"] > 0]
    note = "one run a point: no interval"
    if n.max() > 1:
        note = f"mean of {_runs(n)} runs a point;\n"
        note += "band or bar: 95 % interval of the mean (Student's t)"
        note += ", none where all runs agree" * bool(table["std"].eq(0).any())
    if early:
        note += f";\ntriangle: at least, as {plural(early, 'run')} ended before"
    if numeric and zipped:
        note += f";\nnot joined: {listed(zipped)} change too"
    style.note(page, note)
    return page


def _runs(n: "pd.Series") -> str:
    return f"{n.min()}" if n.min() == n.max() else f"{n.min()} to {n.max()}"


def _heat_map(table: "pd.DataFrame", names: Sequence[str], title: str) -> Figure:
    if len(names) < 2:
        raise InputError("a heat map needs two axes that vary", advice="Leave --heatmap away.")
    y_name, x_name = names
    for name in names:
        if not _numeric(table[name]):
            raise InputError(f"{name} is not numeric", advice="Leave --heatmap away.")
    page = style.new_figure(style.COLUMN_IN + 0.6, 2.7)
    axes = page.subplots()
    grid, top = (
        table.pivot(index=y_name, columns=x_name, values=one).sort_index().sort_index(axis=1)
        for one in ("mean", "high")
    )
    xs, ys = (np.asarray(values, dtype=float) for values in (grid.columns, grid.index))
    values, half = grid.to_numpy(float), (top - grid).to_numpy(float)
    logarithmic = np.nanmin(values) > 0 and np.nanmax(values) / np.nanmin(values) > 100
    # Over four intervals at least: the scatter of equal settings would fill the whole scale.
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    least = 4 * float(np.nanmedian(half)) if np.isfinite(half).any() else 0.0
    more = max(0.0, (least - (high - low)) / 2)
    norm = LogNorm() if logarithmic else Normalize(low - more, high + more)
    look: dict[str, Any] = {"cmap": "YlGnBu_r", "edgecolors": "white", "linewidth": 0.4}
    mesh = axes.pcolormesh(_edges(xs), _edges(ys), np.ma.masked_invalid(values), norm=norm, **look)
    axes.set_facecolor("#DDDDDD")
    scale_axis(axes, "x", xs, _edges(xs))
    scale_axis(axes, "y", ys, _edges(ys))
    axes.set(xlabel=label(x_name), ylabel=label(y_name))
    bar = page.colorbar(mesh, ax=axes, pad=0.02, aspect=25)
    bar.set_label(title)
    bar.outline.set_linewidth(0.5)
    blank = "; grey: no number" if np.isnan(values).any() else ""
    if np.isfinite(half).any():
        blank += f"; 95 % interval of a mean: ± {figure(float(np.nanmedian(half)))} (median)"
        if values.size <= _MAX_TEXTS:
            middle_x, middle_y = (0.5 * (e[1:] + e[:-1]) for e in (_edges(xs), _edges(ys)))
            places = product(np.where(ys == 0, middle_y, ys), np.where(xs == 0, middle_x, xs))
            for (y, x), value, error in zip(places, values.flat, half.flat, strict=True):
                if np.isfinite(value):
                    scatter = f"\n± {figure(error, digits=1)}" if np.isfinite(error) else ""
                    # Ink that shows on its cell: by the luminance of the colour.
                    dark = np.dot(mesh.to_rgba(value)[:3], [0.299, 0.587, 0.114]) < 0.5
                    ink: dict[str, Any] = {"color": "white" if dark else style.BLACK, "fontsize": 5}
                    axes.text(x, y, figure(value) + scatter, ha="center", va="center", **ink)
    style.note(page, f"mean of {_runs(table['n'])} runs a point{blank}")
    return page


def _edges(values: np.ndarray) -> np.ndarray:
    """Borders of the cells around some ascending values, halfway between them."""
    if len(values) == 1:
        pad = 0.05 * abs(values[0]) or 0.5
        return np.array([values[0] - pad if values[0] else 0.0, values[0] + pad])
    decades = spans_decades(values)
    scaled = np.log(values) if decades else values
    middle = 0.5 * (scaled[1:] + scaled[:-1])
    edges = np.concatenate([[2 * scaled[0] - middle[0]], middle, [2 * scaled[-1] - middle[-1]]])
    if decades:
        return np.exp(edges)
    # Of a quantity that cannot be negative, such as a pressure, the axis begins at 0.
    return np.maximum(edges, 0.0) if values.min() >= 0 else edges


def spans_decades(values: np.ndarray) -> bool:
    finite = values[np.isfinite(values)]
    return len(finite) > 1 and finite.min() > 0 and finite.max() / finite.min() >= _LOG_FROM


def scale_axis(axes: Axes, which: str, values: np.ndarray, edges: np.ndarray | None = None) -> None:
    """Make the x or y axis logarithmic, with plain numbers, where the values span decades."""
    if spans_decades(values):
        axes.set(**{f"{which}scale": "log"})
        ends = values if edges is None else edges
        axis = axes.xaxis if which == "x" else axes.yaxis
        style.plain_log_axis(axis, float(ends.min()), float(ends.max()))


def _numeric(column: "pd.Series") -> bool:
    return column.dtype.kind in "if"


def _shown(value: Any) -> str:
    return figure(float(value), digits=5) if isinstance(value, int | float) else str(value)
