"""Contact and overpotential against capacity, of one or several runs."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D

from kmc.files.reader import Trajectory
from kmc.plotting import style


def draw_curves(
    part: Figure | SubFigure, trajectories: Sequence[Trajectory], *, mark_frames: bool = False
) -> None:
    """Two panels: contact fraction and overpotential, or energy and vacancies without them."""
    upper, lower = part.subplots(2, 1, sharex=True)
    runs = [t for t in trajectories if len(t.samples)]
    if not runs:
        for axes in (upper, lower):
            axes.set_axis_off()
        upper.text(0.5, 0.0, "no samples yet", ha="center", transform=upper.transAxes)
        return
    with_current = all(t.has_current for t in runs)
    cycled = any("step" in t.samples and t.samples["step"].any() for t in runs)
    by_charge = with_current and not cycled and not any(style.rest_starts_s(t) for t in runs)
    interface = all(t.has_interface for t in runs)
    scale = 1.0
    if by_charge:
        xs = [t.samples["capacity_monolayers"] for t in runs]
        x_label = "capacity (monolayers)"
    else:
        longest = max((t.samples["time_s"] for t in runs), key=lambda time: time[-1])
        scale, x_label = style.scaled_axis(longest, "time", "s")
        xs = [t.samples["time_s"] / scale for t in runs]
    if interface:
        _draw_contact(upper, xs, runs)
    else:
        for index, (x, t) in enumerate(zip(xs, runs, strict=True)):
            energy = t.samples["energy_eV"]
            style.line(upper, x, energy - energy[0], **style.run_style(index))
        upper.set_ylabel("energy change (eV)")
    if interface and with_current:
        _draw_overpotential(lower, xs, runs)
    else:
        for index, (x, t) in enumerate(zip(xs, runs, strict=True)):
            colours = style.run_style(index) if len(runs) > 1 else {"color": style.VERMILLION}
            style.line(lower, x, t.samples["vacancies"], **colours)
        lower.set_ylabel("vacancies")
        lower.locator_params(axis="y", integer=True)
    lower.set_xlabel(x_label)
    style.span(lower, max(xs, key=lambda x: x[-1]))
    # The longest run sets the axis: curves of others end where their runs did.
    furthest = float(max(x[-1] for x in xs))
    if by_charge and furthest > 0:
        row = next(t.samples for t, x in zip(runs, xs, strict=True) if x[-1] == furthest)
        style.charge_axis(upper, float(row["capacity_mAh_cm2"][-1]) / furthest, furthest)
    part.align_ylabels([upper, lower])
    if mark_frames and len(runs) == 1 and len(runs[0].frames) and by_charge:
        capacity = runs[0].frames[-1].capacity_monolayers
        if capacity < furthest * (1 - 1e-3):  # the map below is not of the end of the curves
            for axes in (upper, lower):
                axes.axvline(capacity, color=style.BLACK, lw=0.6, ls=":")
    if cycled and len(runs) == 1:  # of several, steps need not coincide
        current = runs[0].samples["current_density_mA_cm2"]
        style.shade_steps((upper, lower), xs[0], np.where(runs[0].samples["phase"] > 0, 0, current))
        text = "grey: plating; dotted: rest"
        upper.set_title(text, loc="right", color=style.GREY, fontsize=6, pad=2)
    for index, t in enumerate(runs):
        if not cycled and (start_s := style.rest_starts_s(t)):
            colour = style.BLACK if len(runs) == 1 else style.run_colour(index)
            for axes in (upper, lower):
                axes.axvline(start_s / scale, color=colour, lw=0.6, ls=":")
            if index == 0:
                at, place = (start_s / scale, 0.06), upper.get_xaxis_transform()
                style.beside(upper, "rest", at, (4, 0), xycoords=place)


def _draw_contact(axes: Axes, xs: Sequence[np.ndarray], trajectories: Sequence[Trajectory]) -> None:
    alloys = any("Mg" in t.species for t in trajectories)
    for index, (x, t) in enumerate(zip(xs, trajectories, strict=True)):
        colours = style.run_style(index)
        style.line(axes, x, t.samples["contact_fraction"], label="metal", **colours)
        if "Mg" in t.species:
            alone = t.samples["contact_fraction_Li"]
            if len(trajectories) == 1:
                style.line(axes, x, alone, style.SKY, linestyle="--", label=t.metal)
            else:
                style.line(axes, x, alone, colours["color"], linewidth=0.7)
    axes.set(ylim=(0, 1.05), ylabel="contact fraction")
    if not alloys:
        return
    if len(trajectories) == 1:
        axes.legend(loc="lower left", ncols=2, handlelength=1.8)
    else:
        metals = dict.fromkeys(t.metal for t in trajectories if "Mg" in t.species)
        _thick_and_thin(axes, "metal", f"{', '.join(metals)} alone", "lower left")


def _thick_and_thin(axes: Axes, thick: str, thin: str, loc: Any) -> None:
    """Key of what the widths of the lines mean: colours and dashes are those of the runs."""
    widths = ((1.3, thick), (0.7, thin))
    keys = [Line2D([], [], color=style.BLACK, lw=lw, label=text) for lw, text in widths]
    axes.legend(handles=keys, loc=loc, ncols=2, handlelength=1.8)


def _draw_overpotential(
    axes: Axes, xs: Sequence[np.ndarray], trajectories: Sequence[Trajectory]
) -> None:
    volts = [t.samples["overpotential_V"] for t in trajectories]
    terms = _terms(trajectories[0]) if len(xs) == 1 else {}
    has_voltage = [np.isfinite(v) for v in volts]
    # Samples without an electroactive atom are infinite and would leave no scale for the others.
    finite = np.concatenate([v[k] for v, k in zip(volts, has_voltage, strict=True)])
    highest, lowest = finite.max(initial=0.0), finite.min(initial=0.0)
    scale, unit = (1e3, "mV") if highest < 1 else (1.0, "V")
    if terms and has_voltage[0].any():
        # Where the total is not known, neither is the stack: it is left blank.
        heights = {name: np.where(has_voltage[0], v, 0.0) * scale for name, v in terms.items()}
        looks = [(name, *_TERMS[name]) for name in terms]
        fill: dict[str, Any] = {"alpha": 0.55, "linewidth": 0, "where": has_voltage[0]}
        style.layers(axes, xs[0], heights, looks, -1.0, **fill)
        lowest = min(lowest, *(v[has_voltage[0]].min() for v in terms.values()))
    for index, (x, v, k) in enumerate(zip(xs, volts, has_voltage, strict=True)):
        colours = style.run_style(index) if len(xs) > 1 else {"color": style.VERMILLION}
        if terms:
            colours = {"color": style.BLACK, "label": "total"}
        if k.any():
            style.line(axes, x, np.where(k, v, np.nan) * scale, **colours)
        # Infinite where no atom can be stripped; NaN, no site to plate on, is left blank.
        if len(lost := x[np.isinf(v)]):
            top = axes.get_xaxis_transform()
            mark: Any = {"color": colours["color"] if len(xs) > 1 else style.BLACK, "ms": 6}
            axes.plot(lost, [0.98] * len(lost), "|", transform=top, clip_on=False, **mark)
            # The text stands on the side with more room.
            side = "right" if lost[0] > 0.5 * (x[0] + x[-1]) else "left"
            shift, look = (-6 if side == "right" else 6, 0), {"ha": side, "va": "center"}
            text = "no electroactive atom"
            style.beside(axes, text, (lost[0], 0.98), shift, xycoords=top, **look)
    # The key stands above the curves, in room that is added to the axis.
    room = 1.12
    name = "overpotential_concentration_V"
    rest = [
        v - t.samples[name] if name in t.samples else None
        for v, t in zip(volts, trajectories, strict=True)
    ]
    if len(xs) > 1 and any(r is not None for r in rest):
        for index, (x, r, k) in enumerate(zip(xs, rest, has_voltage, strict=True)):
            if r is not None and k.any():
                axes.plot(x[k], r[k] * scale, lw=0.7, **style.run_style(index))
        _thick_and_thin(axes, "total", "without concentration", "upper right")
        room = 1.4
    elif axes.get_legend_handles_labels()[0]:
        close: dict[str, Any] = {"handlelength": 1.2, "columnspacing": 1.0, "handletextpad": 0.5}
        axes.legend(loc="upper left", ncols=2, **close)
        room = 1.7
    axes.set_ylim(1.1 * lowest * scale, room * highest * scale if highest > 0 else 1.0)
    axes.set_ylabel(f"overpotential ({unit})")


# What the stack is built of, bottom to top: what rises with lost contact stands at the bottom.
_TERMS = {
    "overpotential_charge_transfer_V": ("charge transfer", style.ORANGE),
    "overpotential_constriction_V": ("constriction", style.GREEN),
    "overpotential_series_V": ("series", style.GREY),
    "overpotential_concentration_V": ("vacancies (concentration)", style.SKY),
}
_SHOWN = 0.002  # of the highest total: thinner layers of the stack are left out


def _terms(trajectory: Trajectory) -> dict[str, np.ndarray]:
    """Terms of the overpotential of a run that are thick enough to be seen."""
    samples = trajectory.samples
    there = {name: samples[name] for name in _TERMS if name in samples}
    finite = {name: volts[np.isfinite(volts)] for name, volts in there.items()}
    highest = max((np.abs(volts).max(initial=0.0) for volts in finite.values()), default=0.0)
    return {
        name: volts
        for name, volts in there.items()
        if highest > 0 and np.abs(finite[name]).max(initial=0.0) > _SHOWN * highest
    }
