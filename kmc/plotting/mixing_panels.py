"""Mg in lithium plated under an alloy: one-dimensional diffusion, and the layers of a box."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from kmc.analysis import mixing
from kmc.plotting import style
from kmc.plotting.pages import page_of

_COLOURS = {25: style.BLUE, 60: style.VERMILLION}
_DEPTH = 2.0  # of the plated metal that is shown


def mixing_picture(
    found: Sequence, names: Sequence[str], runs: Sequence, parameters: Mapping[str, Any]
) -> Figure:
    """Profiles of 13 µm plated for 10 h at 25 and 60 °C, and Mg by layer of boxes below.

    Parameters
    ----------
    found : sequence of Profiles
    names : sequence of str
    runs : sequence of Trajectory
    parameters : mapping
        Those of a run; ``diffusivity_Mg_25C_cm2_s`` and ``diffusivity_Mg_60C_cm2_s`` are drawn.
    """
    page, body = page_of(runs, 4.9, [""])
    panels = body.subplots(2, 1)
    _diffusion(panels[0], parameters)
    _layers(panels[1], found, names)
    return page


def _diffusion(panel: Axes, parameters: Mapping[str, Any]) -> None:
    z = np.linspace(0, _DEPTH * mixing.PLATED_um, 400)
    time_s = 3600 * mixing.HOURS
    keys = {c: f"diffusivity_Mg_{c}C_cm2_s" for c in mixing.MEASURED}
    at = {c: float(parameters[key]) for c, key in keys.items() if key in parameters}
    panel.axvspan(0, mixing.PLATED_um, color=style.METAL, lw=0)
    for one in mixing.beside_paper(at):
        colour, D = _COLOURS[one.celsius], one.diffusivity_cm2_s
        label = f"{one.celsius} °C: {100 * one.film:.0f} %, measured {100 * one.measured:.0f} %"
        film = mixing.film_profile(z, mixing.PLATED_um, D, time_s)
        growing = mixing.growing_profile(z, mixing.PLATED_um, D, time_s)
        panel.plot(z, film, color=colour, label=label)
        panel.plot(z, growing, color=colour, ls="--", lw=0.9)
        panel.plot(mixing.PLATED_um / 2, one.measured, "s", color=colour, ms=4)
    panel.set_xlim(0, z[-1])
    panel.set_ylim(0, 1.45)
    panel.set_xlabel("distance from the electrolyte (µm); grey: plated")
    panel.set_ylabel("Mg (relative to the alloy)")
    if not at:
        style.empty(panel, "the parameter set has no diffusivity of Mg")
        return
    panel.legend(fontsize=6, loc="upper left", title="share mixed after 10 h", title_fontsize=6)
    text = "line: plated at once\ndashed: steadily\nsquares: means, Zhao et al."
    panel.text(0.98, 0.03, text, fontsize=5.5, color=style.GREY, ha="right",
               transform=panel.transAxes)  # fmt: skip


def _layers(panel: Axes, found: Sequence, names: Sequence[str]) -> None:
    """Mg of every layer at the first and at the last frame of each run."""
    for i, (profile, name) in enumerate(zip(found, names, strict=True)):
        frames = np.unique(profile.table["frame"])
        colour = style.run_colour(i)
        for frame, moment, line, marker in (
            (frames[0], "at the start", ":", ""),
            (frames[-1], "at the end", "-", "o"),
        ):
            rows = profile.table[profile.table["frame"] == frame].sort_values("layer")
            label = f"{name} {moment}" if len(found) > 1 else moment
            share = 100 * rows["mg_per_site"]
            panel.plot(
                rows["layer"], share, color=colour, ls=line, marker=marker, ms=2.5, label=label
            )
    panel.set_xlabel("layer of the box (1 at the electrolyte)")
    panel.set_ylabel("Mg (% of the sites)")
    panel.set_ylim(bottom=0)
    panel.set_xlim(left=0.5)
    panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    panel.legend(fontsize=6)
