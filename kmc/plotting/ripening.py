"""Void sizes through a rest."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from kmc.plotting import style


def ripening_picture(found) -> Figure:
    """Every void's size against the time of the rest, and below it the mean radius and the number.

    Parameters
    ----------
    found : kmc.analysis.ripening.Ripening
    """
    with style.styled():
        table = found.table
        page = style.new_figure(style.COLUMN_IN, 3.6)
        upper, lower = page.subplots(2, 1, sharex=True)
        scale, label = style.scaled_axis(table["rest_s"].to_numpy(), "time of rest", "s")
        x = table["rest_s"].to_numpy() / scale
        times = np.concatenate([np.full(len(v), t) for t, v in zip(x, found.volumes, strict=True)])
        upper.plot(
            times, np.concatenate(found.volumes), ".", color=style.BLUE, ms=2.5, clip_on=False
        )
        upper.set_yscale("log")
        upper.set_ylabel("size of each void\n(vacancies)")
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
