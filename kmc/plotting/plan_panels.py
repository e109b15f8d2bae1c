"""Plan views against charge: lines of runs, points of images."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from kmc.analysis.measured import CAPACITY
from kmc.plotting import style

if TYPE_CHECKING:
    import pandas as pd

_PANELS = (
    ("contact_loss_percent", "contact loss (%)"),
    ("voids_per_mm2", "voids per mm²"),
    ("diameter_um", "mean diameter (µm)"),
    ("neighbour_um", "nearest neighbour (µm)"),
)


def plan_picture(table: pd.DataFrame, runs: Collection[str] = ()) -> Figure:
    """Contact loss, density, diameter and distance of voids from above against charge.

    Parameters
    ----------
    table : DataFrame
        From `kmc.analysis.plan_view.plan_table`.
    runs : collection of str
        Series that are runs, drawn as lines.
    """
    with style.styled():
        page = style.new_figure(style.COLUMN_IN, 6.4)
        panels = page.subplots(len(_PANELS), 1, sharex=True)
        for index, (series, rows) in enumerate(table.groupby("series", sort=False)):
            rows = rows.sort_values(CAPACITY)
            look = {"ls": "-", "marker": "." if len(rows) < 30 else ""}
            look = look if series in runs else {"ls": "none", "marker": "osD^vP"[index % 6]}
            for panel, (name, _) in zip(panels, _PANELS, strict=True):
                errors = rows.get(f"{name}_error")
                panel.errorbar(
                    rows[CAPACITY],
                    rows[name],
                    yerr=None if errors is None or series in runs else errors,
                    color=style.run_colour(index),
                    label=str(series),
                    ms=4,
                    lw=1.1,
                    capsize=2,
                    **look,
                )
        for panel, (_, label) in zip(panels, _PANELS, strict=True):
            panel.set_ylabel(label)
            panel.set_ylim(bottom=0)
        panels[0].legend(loc="best")
        panels[-1].set_xlabel("capacity (mAh/cm²)")
        page.align_ylabels(panels)
        return page
