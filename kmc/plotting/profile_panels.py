"""Profiles of Mg and vacancies by atomic layer, as in a line scan across the interface."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from kmc.plotting import style
from kmc.plotting.pages import page_of

_MAX_MOMENTS = 5
_ROW_IN = 1.35


def profiles_picture(
    found: Sequence, names: Sequence[str] | None = None, runs: Sequence = ()
) -> Figure:
    """Vacancy and Mg profiles at several times of one run, or at the end of several runs.

    Below them, against capacity: the Mg coverage of the first layer and the roughness of the
    interface.
    """
    one = len(found) == 1
    alloy = any(_has_mg(p) for p in found)
    rows = 4 if alloy else 2
    page, body = page_of(runs, rows * _ROW_IN + 0.5, names or [""])
    axes = body.subplots(rows, 1)
    by_layer, by_time = axes[: rows // 2], axes[rows // 2 :]
    x_key, _, _ = style.table_axis([profile.interface for profile in found])
    for i, profile in enumerate(found):
        table = profile.table
        frames = np.unique(table["frame"])
        chosen = frames[style.evenly(len(frames), _MAX_MOMENTS)] if one else frames[-1:]
        shades = style.ramp(len(chosen)) if one else [style.run_colour(i)]
        for frame, colour in zip(chosen, shades, strict=True):
            rows_of = table[table["frame"] == frame].sort_values("layer")
            options = {"color": colour, "label": style.moment_of(rows_of.iloc[0], x_key), "lw": 1.1}
            if not one:
                options |= style.run_style(i)
            z = rows_of["z_nm"].to_numpy(float)
            by_layer[0].plot(z, 100 * rows_of["vacancy_fraction"], **options)
            if alloy and _has_mg(profile):
                by_layer[1].plot(z, rows_of["mg_relative"], **options)
    by_layer[0].set_ylabel("vacancies (%)")
    by_layer[0].set_ylim(bottom=0)
    if one:
        by_layer[0].legend(
            loc="upper right", handlelength=1.6, title="at" if x_key == "time_s" else "after"
        )
    if alloy:
        by_layer[1].axhline(1, color=style.GREY, lw=0.6, ls=":")
        by_layer[1].set_ylabel("Mg\n(relative to bulk)")
        by_layer[1].set_ylim(bottom=0)
        by_layer[0].sharex(by_layer[1])
        by_layer[0].tick_params(labelbottom=False)
    by_layer[-1].set_xlabel("distance from the first layer (nm)")
    _against_capacity(by_time, found, alloy)
    body.align_ylabels(axes)
    return page


def _has_mg(profile) -> bool:
    return bool(profile.table["mg_fraction"].max() > 0)


def _against_capacity(axes, found: Sequence, alloy: bool) -> None:
    tables = [profile.interface for profile in found]
    x_key, scale, x_label = style.table_axis(tables)
    last = max((table[x_key].max() / scale for table in tables), default=0.0)
    for i, (profile, table) in enumerate(zip(found, tables, strict=True)):
        x, with_mg = table[x_key].to_numpy(float) / scale, alloy and _has_mg(profile)
        columns = ("roughness_nm", "mg_coverage")[: 1 + with_mg]
        style.curves(axes[: 1 + with_mg], x, table, columns, **style.run_style(i))
    axes[0].set_ylabel("roughness (nm)")
    if alloy:
        axes[1].set_ylabel("Mg coverage\nof L1")
        axes[1].set_ylim(0, 1)
        axes[0].sharex(axes[1])
        axes[0].tick_params(labelbottom=False)
    axes[-1].set_xlabel(x_label)
    axes[-1].set_xlim(0, last if last > 0 else 1)
