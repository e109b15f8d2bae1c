"""A population of voids that is cycled: maps at ends of steps, and curves over all cycles."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kmc.plotting import style
from kmc.population.result import PopulationRun

_S_PER_H = 3600.0


def cycles_picture(run: PopulationRun, draw_map) -> Figure:
    """Contact, voids on a line, overpotential and the volumes that cycling leaves, against time.

    Parameters
    ----------
    run : PopulationRun
        With a protocol; of several replicas, the mean.
    draw_map : callable
        (axes, run, frame): footprints from above.
    """
    page = style.new_figure(style.PAGE_IN, 4.9)
    top, bottom = style.stack(page, [2.3, 2.6])
    shown = ends_of_steps(run)
    maps = top.subplots(1, max(1, len(shown)), squeeze=False)[0]
    for panel, frame in zip(maps, shown, strict=False):
        draw_map(panel, run, frame)
    if not shown:
        style.empty(maps[0], "no frame yet")
        maps[0].set_axis_off()
    axes = bottom.subplots(2, 2, sharex="col")
    contact, lines, voltage, volumes = axes.ravel()
    s = run.samples
    hours = s["time_s"] / _S_PER_H
    contact.plot(hours, 100 * s["contact_fraction"], color=style.BLUE)
    contact.set_ylim(0, 101)
    contact.set_ylabel("contact (%)")
    lines.plot(hours, s["voids_per_100um"], color=style.BLUE)
    lines.set_ylim(bottom=0)
    lines.set_ylabel("voids per 100 µm")
    voltage.plot(hours, 1e3 * s["overpotential_V"], color=style.BLUE)
    voltage.axhline(0, color=style.GREY, lw=0.6, ls=":")
    voltage.set_ylabel("overpotential (mV)")
    for name, label, colour, dash in (
        ("voids_um", "voids", style.BLUE, "-"),
        ("dead_um", "cut off", style.VERMILLION, "--"),
        ("pushed_back_um", "metal pushed back", style.GREEN, ":"),
    ):
        volumes.plot(hours, s[name], color=colour, ls=dash, label=label)
    volumes.set_ylabel("height (µm)")
    volumes.set_ylim(0, 1.3 * max(1e-9, *(s[n].max() for n in ("voids_um", "pushed_back_um"))))
    volumes.legend(fontsize=6, loc="upper left", ncols=3, handlelength=1.4, columnspacing=1.0)
    for panel in axes.ravel():
        _shade(panel, hours, s["current_density_mA_cm2"])
        if len(hours) > 1:
            panel.set_xlim(hours[0], hours[-1])
    for panel in axes[1]:
        panel.set_xlabel("time (h); grey: plating")
    return page


def ends_of_steps(run: PopulationRun) -> list[int]:
    """Frames at the ends of the first strip, of the first plate after it, and of the last strip."""
    frames, samples = run.frames, run.replicas[0]
    own = np.flatnonzero(frames["replica"] == 0)
    if not len(own):
        return []
    step = samples["step"][frames["sample"][own]]
    last_of = {int(n): int(own[np.flatnonzero(step == n)[-1]]) for n in np.unique(step)}
    sign = {n: samples["current_density_mA_cm2"][frames["sample"][f]] for n, f in last_of.items()}
    strips = [n for n in last_of if sign[n] > 0]
    plates = [n for n in last_of if sign[n] < 0 and strips and n > strips[0]]
    chosen = [*strips[:1], *plates[:1], *strips[-1:]]
    return [last_of[n] for n in dict.fromkeys(chosen)]


def _shade(panel: Axes, hours: np.ndarray, current: np.ndarray) -> None:
    """Grey where the current plates."""
    plating = np.concatenate([[False], current < 0, [False]])
    for first, last in np.flatnonzero(np.diff(plating.astype(int))).reshape(-1, 2):
        panel.axvspan(hours[max(first - 1, 0)], hours[last - 1], color=style.GREY, alpha=0.12, lw=0)
