"""Measured data to lay beside runs: a table with a row for each image or reading.

A first line that begins with # is the title; further such lines are comments. Columns, of which
those without a measurement are left out or left empty:

    series                  name of the sample; the name of the file by default
    metal                   "Li", "Li-Mg", "Na" …: has the colour of the first run of it
    capacity_mAh_cm2        charge passed; empty for a value that holds at every capacity
    contact_loss_percent    share of the interface without contact
    voids_per_100um         voids per 100 µm of a cross-section line
    width_um, height_um     mean width and height of the voids
    overpotential_mV
    NAME_error              half length of the error bar of the column NAME, in its unit
    note                    text beside the point; a row with a note and no number is an event
    event                   rise, coalescence, split or gap at that charge, for `kmc calibrate`
    panel                   panel of an event: contact_loss, voids, width, height or overpotential

The numbers of the operando paper are such a file, ``kmc/analysis/zhao_2025.csv``.
"""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kmc.analysis.cycler import charge_and_overpotential, is_cycler, stated
from kmc.common import metals
from kmc.common.catalogue import nearest
from kmc.common.formatting import listed
from kmc.common.late import pandas as pd
from kmc.common.tables import read_table
from kmc.errors import InputError, KmcWarning

PAPER = Path(__file__).with_name("zhao_2025.csv")
# Panel of the picture → its column.
QUANTITIES = {
    "contact_loss": "contact_loss_percent",
    "voids": "voids_per_100um",
    "width": "width_um",
    "height": "height_um",
    "overpotential": "overpotential_mV",
}
CAPACITY = "capacity_mAh_cm2"
METALS = tuple(name for metal in metals.METALS for name in (metal, f"{metal}-Mg"))
_ERRORS = [f"{column}_error" for column in (CAPACITY, *QUANTITIES.values())]
_NUMBERS = [CAPACITY, *QUANTITIES.values(), *_ERRORS]
_TEXTS = ["series", "metal", "panel", "note", "event"]
_NOT_NEGATIVE = [name for name in _NUMBERS if name != QUANTITIES["overpotential"]]
# A loss that never exceeds 1 but reaches this is rather a fraction than a percentage.
_FRACTION = 0.2
_VOLTS = 1.0  # overpotentials that never reach this are rather volts than millivolts


@dataclass(frozen=True)
class Measured:
    """Measured data, from `read_measured`: to draw your own points into pictures of runs."""

    title: str  # first comment of the file, or its name
    table: "pd.DataFrame"  # all columns of this module; NaN, empty text where the file has none

    @property
    def series(self) -> list[str]:
        """Names of the samples, in the order of the file."""
        return list(dict.fromkeys(self.table["series"]))


def measured_tables(data: str | Path | Sequence[str | Path], paper: bool) -> list[Measured]:
    """The tables of some files, behind that of the operando paper where it is wanted."""
    files = [data] if isinstance(data, str | Path) else list(data)
    return [read_measured(file) for file in ([PAPER] if paper else []) + files]


def rows_of_pictures(
    rows: Sequence[tuple[str, float, Mapping[str, Any]]], voids: "Sequence[pd.DataFrame]"
) -> "tuple[pd.DataFrame, pd.DataFrame]":
    """Tables of what was measured in pictures: a row for each (series, charge), and every void."""
    table = pd.DataFrame([{"series": name, CAPACITY: c, **row} for name, c, row in rows])
    return table, pd.concat(voids, ignore_index=True)


def read_measured(path: str | Path) -> Measured:
    """Read a table of measured data, or the file of a cycler (`kmc.analysis.cycler`).

    Raises `InputError`: the file cannot be read, has no such columns, or a value is no number or
    out of range.
    """
    path = Path(path)
    table = read_table(path)
    if is_cycler(table):
        charge, voltage = charge_and_overpotential(table)
        columns: dict[str, Any] = {CAPACITY: charge, (name := QUANTITIES["overpotential"]): voltage}
        columns[f"{name}_error"] = stated(table, f"{name}_error")
        frame = pd.DataFrame(
            dict.fromkeys(_TEXTS, "") | dict.fromkeys(_NUMBERS, math.nan) | columns
        )
        return Measured(path.stem, frame.assign(series=path.stem))
    # A misspelt column would else count as one that was not measured.
    known = [*_TEXTS[:2], *_NUMBERS, *_TEXTS[2:]]
    for name in table.names:
        if name not in known:
            raise InputError(
                f"{path}: there is no column {name!r}",
                advice=f"{nearest(name, known)}Columns: {', '.join(known)}; or those of a cycler "
                "with their units, such as Voltage(V), Current(mA), Time(s).",
            )
    if CAPACITY not in table.names or not set(table.names) & set(QUANTITIES.values()):
        raise InputError(
            f"{path} lacks the columns of measured data",
            advice=f"It needs {CAPACITY} and at least one of {', '.join(QUANTITIES.values())}.",
        )
    rows = pd.DataFrame({name: table.column(name) for name in _TEXTS}, dtype=object)
    for name, values in table.numbers(_NUMBERS).items():
        rows[name] = values
        if name in _NOT_NEGATIVE and (rows[name] < 0).any():
            row = int((rows[name] < 0).to_numpy().argmax())
            text = f"{path}, row {row + 1}: {name} = {values[row]:g} is negative"
            raise InputError(text, advice="Is it a typo?")
    rows.loc[rows["series"] == "", "series"] = path.stem
    _check_rows(path, rows)
    return Measured(table.title or path.stem, rows)


def _check_rows(path: Path, table: "pd.DataFrame") -> None:
    if not len(table):
        raise InputError(f"{path} has no rows", advice="Give a row for each image or reading.")
    for name, allowed in (("metal", METALS), ("panel", tuple(QUANTITIES))):
        strange = [value for value in table[name] if value and value not in allowed]
        if strange:
            raise InputError(
                f"{path}: {name} = {strange[0]!r} is not known",
                advice=f"Use {listed([*map(repr, allowed)])}, or leave it empty.",
            )
    loss = QUANTITIES["contact_loss"]
    if (table[loss] > 100).any():
        raise InputError(
            f"{path}: {loss} = {table[loss].max():g} is above 100", advice="It is a percentage."
        )
    lost = table[loss].dropna()
    if len(lost) > 1 and _FRACTION < lost.max() <= 1:
        warnings.warn(
            f"{path}: {loss} is at most {lost.max():g}. Are these fractions? A percentage is "
            "wanted, 100 where all contact is lost",
            KmcWarning,
            stacklevel=3,
        )
    volts = table[QUANTITIES["overpotential"]].abs().max()
    if 0 < volts < _VOLTS:
        warnings.warn(
            f"{path}: {QUANTITIES['overpotential']} is at most {volts:g}. Are these volts? "
            "Millivolts are wanted",
            KmcWarning,
            stacklevel=3,
        )
    values = table[list(QUANTITIES.values())]
    noted = (table["note"] != "") | (table["event"] != "")
    empty = values.isna().all(axis=1) & (~noted | table[CAPACITY].isna())
    if empty.any():
        raise InputError(
            f"{path}, row {int(empty.to_numpy().argmax()) + 1} holds no number",
            advice="Give a measured value, or a capacity and a note for an event.",
        )
