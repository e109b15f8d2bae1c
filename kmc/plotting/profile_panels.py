"""Profiles of Mg and vacancies by atomic layer, and Mg in lithium plated under an alloy."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from kmc.analysis import mixing
from kmc.analysis.profiles import Profiles
from kmc.plotting import style
from kmc.plotting.pages import page_of

_MAX_MOMENTS = 5
_ROW_IN = 1.35
_COLOURS = {25: style.BLUE, 60: style.VERMILLION}
_DEPTH = 2.0  # of the plated metal that is shown


def profiles_picture(found: Sequence, names: Sequence[str] = ("",), runs: Sequence = ()) -> Figure:
    """Vacancy and Mg profiles at several times of one run, or at the end of several runs.

    Below them, against capacity: the Mg coverage of the first layer and the roughness of the
    interface.
    """
    is_single = len(found) == 1
    alloy = any(_has_mg(p) for p in found)
    rows = 4 if alloy else 2
    page, body = page_of(runs, rows * _ROW_IN + 0.5, names)
    axes = body.subplots(rows, 1)
    by_layer, by_time = axes[: rows // 2], axes[rows // 2 :]
    tables = [profile.interface for profile in found]
    x_key, scale, x_label, last = style.table_axis(tables)
    for i, profile in enumerate(found):
        table = profile.table
        frames = np.unique(table["frame"])
        chosen = frames[style.evenly(len(frames), _MAX_MOMENTS)] if is_single else frames[-1:]
        shades = style.ramp(len(chosen)) if is_single else [style.run_colour(i)]
        for frame, colour in zip(chosen, shades, strict=True):
            rows_of = table[table["frame"] == frame].sort_values("layer")
            options = {"color": colour, "label": style.moment_of(rows_of.iloc[0], x_key), "lw": 1.1}
            options |= {} if is_single else style.run_style(i)
            z = rows_of["z_nm"].to_numpy(float)
            by_layer[0].plot(z, 100 * rows_of["vacancy_fraction"], **options)
            if alloy and _has_mg(profile):
                by_layer[1].plot(z, rows_of["mg_relative"], **options)
    by_layer[0].set(ylabel="vacancies (%)", ylim=(0, None))
    if is_single:
        title = "at" if x_key == "time_s" else "after"
        by_layer[0].legend(loc="upper right", handlelength=1.6, title=title)
    if alloy:
        by_layer[1].axhline(1, color=style.GREY, lw=0.6, ls=":")
        by_layer[1].set(ylabel="Mg\n(relative to bulk)", ylim=(0, None))
        by_layer[0].sharex(by_layer[1])
        by_layer[0].tick_params(labelbottom=False)
    by_layer[-1].set_xlabel("distance from the first layer (nm)")
    # Below: the interface alone, every frame of every run.
    for i, (profile, table) in enumerate(zip(found, tables, strict=True)):
        x, with_mg = table[x_key].to_numpy(float) / scale, alloy and _has_mg(profile)
        columns = ("roughness_nm", "mg_coverage")[: 1 + with_mg]
        style.curves(by_time[: 1 + with_mg], x, table, columns, **style.run_style(i))
    by_time[0].set_ylabel("roughness (nm)")
    if alloy:
        by_time[1].set(ylabel="Mg coverage\nof L1", ylim=(0, 1))
        by_time[0].sharex(by_time[1])
        by_time[0].tick_params(labelbottom=False)
    by_time[-1].set(xlabel=x_label, xlim=(0, last or 1))
    body.align_ylabels(axes)
    return page


def _has_mg(profile: Profiles) -> bool:
    return bool(profile.table["mg_fraction"].max() > 0)


# --- Mg in plated lithium -------------------------------------------------------------------------


def mixing_picture(found: Sequence, names: Sequence[str], runs: Sequence) -> Figure:
    """Profiles of 13 µm plated for 10 h at 25 and 60 °C, and Mg by layer of boxes below.

    The diffusivities are those of the first run's parameter set.
    """
    page, body = page_of(runs, 4.9, [""])
    panels = body.subplots(2, 1)
    _diffusion(panels[0], runs[0].params)
    # Mg of every layer at the first and at the last frame of each run.
    for i, (profile, name) in enumerate(zip(found, names, strict=True)):
        frames = np.unique(profile.table["frame"])
        colour = style.run_colour(i)
        for frame, moment, dash in ((frames[0], "start", ":"), (frames[-1], "end", "-")):
            rows = profile.table[profile.table["frame"] == frame].sort_values("layer")
            look: Any = {"ls": dash, "marker": "" if moment == "start" else "o", "ms": 2.5}
            look |= {"color": colour, "label": f"{name} " * (len(found) > 1) + f"at the {moment}"}
            panels[1].plot(rows["layer"], 100 * rows["mg_per_site"], **look)
    panels[1].set(xlabel="layer of the box (1 at the electrolyte)", ylabel="Mg (% of the sites)")
    panels[1].set(xlim=(0.5, None), ylim=(0, None))
    panels[1].xaxis.set_major_locator(MaxNLocator(integer=True))
    panels[1].legend(fontsize=6)
    return page


def _diffusion(panel: Axes, parameters: Mapping[str, Any]) -> None:
    z = np.linspace(0, _DEPTH * mixing.PLATED_um, 400)
    time_s = 3600 * mixing.HOURS
    keys = {c: f"diffusivity_Mg_{c}C_cm2_s" for c in mixing.MEASURED}
    at = {c: float(parameters[key]) for c, key in keys.items() if key in parameters}
    panel.axvspan(0, mixing.PLATED_um, color=style.METAL, lw=0)
    for celsius, D in at.items():
        colour, measured = _COLOURS[celsius], mixing.MEASURED[celsius]
        share = mixing.film_share(mixing.PLATED_um, D, time_s)
        label = f"{celsius} °C: {100 * share:.0f} %, measured {100 * measured:.0f} %"
        film = mixing.film_profile(z, mixing.PLATED_um, D, time_s)
        growing = mixing.growing_profile(z, mixing.PLATED_um, D, time_s)
        panel.plot(z, film, color=colour, label=label)
        panel.plot(z, growing, color=colour, ls="--", lw=0.9)
        panel.plot(mixing.PLATED_um / 2, measured, "s", color=colour, ms=4)
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
