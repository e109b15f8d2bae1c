"""Impedance spectra: Nyquist picture, and resistances against charge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from kmc.plotting import style

if TYPE_CHECKING:
    import pandas as pd

_CURVES = 6
_SPREAD = 10.0  # largest resistance of a curve over the least


@style.styled()
def impedance_picture(table: pd.DataFrame) -> Figure:
    """Nyquist curves of some frames, dots at 1 MHz, 10 kHz and 100 Hz, and the resistances of all.

    Frames of more than ten times the least resistance would hide the others, and have no curve.

    - `table`: from `kmc.systems.population.impedance.impedances`.
    """
    largest = table.groupby("frame")["Z_real_ohm_cm2"].transform("max")
    shown = table[largest <= _SPREAD * largest.min()]
    frames = [rows for _, rows in shown.groupby("frame")]
    page = style.new_figure(style.COLUMN_IN, 5.2)
    upper, lower = page.subplots(2, 1, height_ratios=(1.25, 1))
    for index, at in enumerate(style.evenly(len(frames), _CURVES)):
        rows = frames[at]
        label = f"{rows['capacity_mAh_cm2'].iloc[0]:.3g}"
        real, imaginary = rows["Z_real_ohm_cm2"], -rows["Z_imag_ohm_cm2"]
        style.line(upper, real, imaginary, style.run_colour(index), label=label)
        decades = rows[rows["frequency_Hz"].isin((1e6, 1e4, 1e2))]
        real, imaginary = decades["Z_real_ohm_cm2"], -decades["Z_imag_ohm_cm2"]
        upper.plot(real, imaginary, "o", ms=3, color=style.run_colour(index))
    widest = 1.05 * float(shown["Z_real_ohm_cm2"].max())
    upper.set(xlim=(0, widest), ylim=(0, 0.8 * widest), aspect="equal")
    upper.set_xlabel("Re Z (Ω cm²)")
    upper.set_ylabel("−Im Z (Ω cm²)")
    upper.legend(title="mAh/cm²", loc="upper left", ncols=2)
    last = table.groupby("frame").first()
    for name, label, colour in (
        ("transfer_ohm_cm2", "charge transfer", style.ORANGE),
        ("constriction_ohm_cm2", "constriction", style.BLUE),
    ):
        marker = "o" if len(last) < 20 else ""
        left = last[last[name] > 0]
        lower.plot(
            left["capacity_mAh_cm2"], left[name], color=colour, label=label, marker=marker, ms=3
        )
    lower.set_yscale("log")
    lower.xaxis.set_major_locator(MaxNLocator(5))
    lower.set_xlabel("capacity (mAh/cm²)")
    lower.set_ylabel("resistance (Ω cm²)")
    lower.legend(loc="best")
    style.note(page, "dots on the curves: 1 MHz, 10 kHz and 100 Hz, from left to right")
    return page
