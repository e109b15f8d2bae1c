"""Contact loss, number, width and height of voids on cross-section lines, of boxes and populations.

The layout is that of Fig. 1b–e of the operando paper, for comparison side by side.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from textwrap import wrap
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kmc.analysis.cross_section import CrossSection
from kmc.analysis.measured import QUANTITIES, Measured
from kmc.common.formatting import figure, plural
from kmc.files.reader import Trajectory
from kmc.plotting import style
from kmc.plotting.measured_panels import draw_measured, has, last_capacity, legend
from kmc.plotting.pages import about
from kmc.systems.population.result import PopulationRun

LEFT_mAh_cm2 = 1e-5
NOTHING = f"nothing yet from {LEFT_mAh_cm2:.0e} mAh/cm² on"
_ROW_IN = 1.12
_MAX_BOXES = 16
_MAX_mV = 400.0  # an overpotential that diverges at the end would flatten everything before it
_SCALES_DIFFER = (
    "Scales differ: a box of nanometres has no voids of micrometres. Compare ranks, ratios and "
    "trends, not sizes."
)
_LABELS = {
    "contact_loss": "contact loss (%)",
    "voids": "voids per\n100 µm of line",
    "width": "void width (µm)",
    "height": "void height (µm)",
    "overpotential": "overpotential\n(mV)",
}


@dataclass(frozen=True)
class Seen:
    """What cross-section lines show of one run, one row each time.

    `metal` (``Li``, ``Li-Mg`` …) gives measured data of that metal the colour of the run; `note`
    names the lines. `x` is charge or time in the unit of the axis, `contact_loss` in percent,
    `voids` on a length of line; `sizes` has "width" and "height" by quartile, or ``mean`` and
    ``max``. Of `volts_mV`, x and overpotential, a second pair is drawn thin.
    """

    name: str
    metal: str
    note: str
    x: np.ndarray
    contact_loss: np.ndarray
    voids: np.ndarray
    sizes: Mapping[str, Mapping[str, np.ndarray]]
    volts_mV: Sequence[tuple[np.ndarray, np.ndarray]] = field(default=())


# --- what each kind of run has to show ------------------------------------------------------------


def sections_picture(
    sections: Sequence[CrossSection],
    names: Sequence[str] = (),
    runs: Sequence[Trajectory] = (),
    measured: Sequence[Measured] = (),
) -> Figure:
    """Contact loss, voids on a line, and box charts of width and height of boxes of atoms.

    Measured data have a second column, on their own scales. Overpotentials are drawn where measured
    data have one.
    """
    names = names or [""] * len(sections)
    metals = ["-".join(t.species) for t in runs] or [""] * len(sections)
    x_key, scale, x_label, _ = style.table_axis([section.table for section in sections])
    lengths = {section.line_length_nm for section in sections}
    # A box is nanometres wide: its count for 100 µm would be one void times ten thousand.
    length_nm = lengths.pop() if len(lengths) == 1 else 10.0
    of_line = f"voids on {figure(length_nm, 'nm')}\nof line"
    volts: list[list[tuple]] = [[] for _ in sections]
    for t, pairs in zip(runs, volts, strict=False) if has(measured, "overpotential") else ():
        if x_key in t.samples and "overpotential_V" in t.samples:
            pairs.append((t.samples[x_key] / scale, 1e3 * t.samples["overpotential_V"]))
    seen = []
    for section, name, metal, pairs in zip(sections, names, metals, volts, strict=True):
        table, last = section.table, section.table.iloc[-1]
        cuts, voids = int(last["voids"]), int(last["voids_in_box"])
        note = f"{plural(section.n_lines, 'line')} of {figure(section.line_length_nm, 'nm')}; "
        note += f"last frame: {plural(cuts, 'cut')} of {plural(voids, 'void')}"
        sizes = {
            what: {
                quartile: table[f"{what}_{quartile}_nm"].to_numpy(float)
                for quartile in ("min", "q1", "median", "q3", "max")
            }
            for what in ("width", "height")
        }
        x, loss, density = (
            table[column].to_numpy(float) for column in (x_key, "contact_loss", "voids_per_nm")
        )
        on_line = density * length_nm
        seen.append(Seen(name, metal, note, x / scale, 100 * loss, on_line, sizes, pairs))
    own = {"voids": of_line, "width": "void width (nm)", "height": "void height (nm)"}
    head = (runs[0], about(runs[0])) if len(runs) == 1 else None
    return _page(seen, _LABELS | own, x_label, measured, beside=True, head=head)


def populations_picture(
    runs: Sequence[PopulationRun], names: Sequence[str], measured: Sequence[Measured]
) -> Figure:
    """The same of populations of voids, with measured data in the same axes."""
    # Images at equal intervals, as those of a microscope, want an axis like theirs; measured points
    # would all stand at the right edge of a logarithmic one.
    equal = all(run.run["upscale"].get("image_every_min") for run in runs)
    logarithmic = not (equal or measured)
    seen = []
    for run, name in zip(runs, names, strict=True):
        s = stripping(run)
        x = s["capacity_mAh_cm2"]
        note = f"lines along x and y across {plural(len(run.replicas), 'square')} of "
        note += figure(run.edge_um, "µm")
        if resolution := run.run["upscale"].get("resolution_um"):
            note += f", seen at {figure(resolution, 'µm')}"
        sizes = {
            what: {kind: s[f"{kind}_{what}_um"] for kind in ("mean", "max")}
            for what in ("width", "height")
        }
        volts = [(x, 1e3 * s[column]) for column in ("overpotential_V", "concentration_V")]
        loss = 100 * (1 - s["contact_fraction"])
        metal = run.metal + "-Mg" * bool(run.facts.get("mg_coverage"))
        seen.append(Seen(name, metal, note, x, loss, s["voids_per_100um"], sizes, volts))
    notes = ["Thick: mean width and height, overpotential; thin: the largest, vacancies' share."]
    if any((run.samples["current_density_mA_cm2"] < 0).any() for run in runs):
        notes.append("Of runs that plate: the first strip alone; the summary shows every cycle.")
    head = (runs[0], describe(runs[0])) if len(runs) == 1 else None
    if head and logarithmic:
        s = runs[0].samples
        at = int(np.argmax(np.where(s["phase"] == 0, s["concentration_V"], -np.inf)))
        charge, peak = s["capacity_mAh_cm2"][at], 1e3 * s["concentration_V"][at]
        # Voids nucleate so early that the peak may lie left of the axis.
        if charge < LEFT_mAh_cm2:
            notes.append(
                f"Vacancies take at most {peak:.0f} mV of it, at {figure(charge, 'mAh/cm²')}."
            )
    about: dict[str, Any] = {"logarithmic": logarithmic, "notes": notes, "head": head}
    return _page(seen, _LABELS, "capacity (mAh/cm²)", measured, beside=False, **about)


def describe(run: PopulationRun) -> tuple[str, ...]:
    """Lattice and square of a population, for its heading."""
    square = f"periodic square of {figure(run.edge_um, 'µm')}"
    if "cell_um" in run.facts:
        square += f", cells of {figure(run.facts['cell_um'], 'µm')}"
    if len(run.replicas) > 1:
        square += f", mean of {len(run.replicas)}"
    return (run.run["system"]["lattice"], square)


def stripping(run: PopulationRun) -> dict[str, np.ndarray]:
    """Rows with a charge to show on a logarithmic axis, of the (first) stripping alone."""
    s = run.samples
    kept = (s["phase"] == 0) & (s["capacity_mAh_cm2"] >= LEFT_mAh_cm2)
    # Later strips begin where plating ended: their charge is no position on this axis.
    kept &= np.cumsum(s["current_density_mA_cm2"] <= 0) == 0
    return {name: values[kept] for name, values in s.items()}


# --- the page -------------------------------------------------------------------------------------


def _page(
    seen: Sequence[Seen],
    labels: Mapping[str, str],
    x_label: str,
    measured: Sequence[Measured],
    *,
    beside: bool,
    logarithmic: bool = False,
    notes: Sequence[str] = (),
    head: tuple[Any, Sequence[str]] | None = None,
) -> Figure:
    """Panels of the runs; measured data beside them on their own scales, or in the same axes.

    `head` is a single run and what its heading says of it.
    """
    colours = [style.run_colour(i) for i in range(len(seen))]
    metals = [one.metal for one in seen]
    shown = [what for what in labels if what != "overpotential" or any(o.volts_mV for o in seen)]
    # Boxes and images share no scale: side by side, not on top of each other.
    two = beside and bool(measured)
    # A single run beside data needs its name, too: both have the colour of the metal.
    several = len(seen) > 1
    names = [one.name for one in seen] if several or measured else []
    keys = legend(measured, metals, colours) if measured else []
    notes = [*notes, *(f"{one.name}: " * several + one.note for one in seen)]
    if measured:
        titles = "; ".join(m.title for m in measured)
        notes.append(f"Points, bands and dotted lines are measured: {titles}.")
    if two:
        notes.append(_SCALES_DIFFER)
    width = style.PAGE_IN if two else style.COLUMN_IN + (0.0 if beside else 0.6)
    lines = [line for one in notes for line in wrap(one, int(19 * width), break_on_hyphens=False)]
    rows = max(-(-len(names) // 2), -(-len(keys) // 3) if two else 0)
    above = (0.1 + 0.16 * rows if rows else 0.05) + (0.2 if two else 0.0)
    above += 0.0 if two else 0.16 * -(-len(keys) // 2)
    body, foot = len(shown) * _ROW_IN + 0.6, 0.05 + 0.12 * len(lines)
    name_in = style.head_in(head[0], width) if head else 0.01
    page = style.new_figure(width, name_in + above + body + foot)
    first, top, middle, bottom = style.stack(page, [name_in, above, body, foot])
    if head:
        style.heading(first, *head)
    axes = middle.subplots(len(shown), 2 if two else 1, sharex="col", squeeze=False)
    panels = dict(zip(shown, axes[:, 0], strict=True))
    last = max((float(one.x.max(initial=0.0)) for one in seen), default=0.0)
    _curves(panels, seen, colours, last)
    for what, panel in panels.items():
        panel.set_ylabel(labels[what])
    axes[-1, 0].set_xlabel(x_label)
    if beside:
        axes[0, 0].set_xlim(0, 1.04 * last if last > 0 else 1.0)
    else:
        # Axes that hold the runs and measured data: sizes on logarithmic ones.
        counted = [m.table[QUANTITIES["voids"]].max() for m in measured]
        most = max([panels["voids"].get_ylim()[1], *(1.15 * n for n in counted if n > 0)])
        panels["voids"].set_ylim(0, most)
        if "overpotential" in panels:
            volts = panels["overpotential"]
            volts.set_ylim(0, min(_MAX_mV, volts.get_ylim()[1]))
        for what in ("width", "height"):
            if np.isfinite(panels[what].dataLim.minposy):  # else no void yet: nothing above 0
                panels[what].set_yscale("log")
                panels[what].autoscale(axis="y")
                style.plain_log_axis(panels[what].yaxis, *panels[what].get_ylim())
        if logarithmic:
            axes[0, 0].set_xscale("log")
        furthest = max(1.05 * last_capacity(measured), 1.05 * last, 10 * LEFT_mAh_cm2)
        axes[0, 0].set_xlim(LEFT_mAh_cm2 if logarithmic else 0.0, furthest)
        if not last:
            style.empty(axes[0, 0], NOTHING)
    if two:
        # Data in their own units: a box of nanometres and an image share no scale.
        right, far = dict(zip(shown, axes[:, 1], strict=True)), last_capacity(measured) or 1.0
        for name, panel in right.items():
            panel.set(xlim=(-0.03 * far, 1.1 * far), ylabel=_LABELS[name])
        draw_measured(right, measured, metals, colours)
        for name, panel in right.items():
            if has(measured, name):
                panel.set_ylim(0, 100 if name == "contact_loss" else 1.1 * panel.get_ylim()[1])
            else:
                quantity = _LABELS[name].partition("(")[0].rstrip()
                panel.set(yticks=[], ylabel=f"{quantity}\n(no number)")
        axes[-1, 1].set_xlabel("capacity (mAh/cm²)")
    elif measured:
        draw_measured(panels, measured, metals, colours, logarithmic=logarithmic)
    if two:
        top.text(0.09, 0.02, "simulation", weight="bold", va="bottom")
        top.text(0.57, 0.02, "measured", weight="bold", va="bottom")
    if keys:  # marks of measured series above their column, lines of the runs above the left one
        place: dict[str, Any] = {"loc": "lower left", "ncols": 2}
        if two:
            place = {"loc": "upper left", "bbox_to_anchor": (0.55, 1.0), "ncols": 3}
        # A second legend takes the place of the first, unless that is kept as an artist.
        top.add_artist(top.legend(handles=keys, handlelength=1.0, borderaxespad=0.3, **place))
    style.draw_key(top, names, 2, loc="upper left")
    for letter, panel in zip("abcde", panels.values(), strict=False):
        panel.text(-0.24, 1.02, letter, weight="bold", size=8.5, transform=panel.transAxes)
    bottom.text(0.02, 0.98, "\n".join(lines), va="top", color=style.GREY, fontsize=6)
    middle.align_ylabels(axes[:, 0])
    return page


def _curves(
    panels: Mapping[str, Axes], seen: Sequence[Seen], colours: Sequence[str], last: float
) -> None:
    """Curves of all runs, in their panels."""
    width = 0.75 * (last if last > 0 else 1.0) / _MAX_BOXES / len(seen)
    for i, run in enumerate(seen):
        look = style.run_style(i)
        style.line(panels["contact_loss"], run.x, run.contact_loss, **look)
        style.line(panels["voids"], run.x, run.voids, **look)
        for what, sizes in run.sizes.items():
            if "median" in sizes:
                # Lines at the extremes and the median, a box from the first to third quartile.
                # Boxes of several runs stand side by side, no more than the page has room for.
                some = np.flatnonzero(np.isfinite(sizes["median"]))
                some = some[:: max(1, -(-len(some) // _MAX_BOXES))]
                if not len(some):
                    continue
                at, half = (run.x + (i - (len(seen) - 1) / 2) * width)[some], 0.42 * width
                low, first, median, third, high = (values[some] for values in sizes.values())
                box: dict[str, Any] = {"color": colours[i], "alpha": 0.35, "ec": colours[i]}
                panels[what].vlines(at, low, high, color=colours[i], lw=0.6)
                panels[what].bar(at, third - first, 2 * half, bottom=first, lw=0.6, **box)
                for ends, thick in ((median, 1.4), (low, 0.8), (high, 0.8)):
                    panels[what].hlines(ends, at - half, at + half, color=colours[i], lw=thick)
                continue
            panels[what].plot(run.x, sizes["mean"], **look)
            panels[what].plot(run.x, sizes["max"], **look | {"linewidth": 0.6, "alpha": 0.7})
        for k, (x, volts) in enumerate(run.volts_mV):
            thin = {"linewidth": 0.6, "alpha": 0.7} if k else {}
            panels["overpotential"].plot(x, volts, **look | thin)
    panels["contact_loss"].set_ylim(0, 100)
    panels["voids"].set_ylim(bottom=0)
    for what in ("width", "height"):
        panels[what].set_ylim(0, 1.04 * panels[what].get_ylim()[1])
