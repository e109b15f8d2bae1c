"""Charge and voltage from the files of cyclers, by the names and units of their columns.

EC-Lab text (.mpt) and whatever names its columns as NAME(UNIT) or NAME/UNIT, as Neware, Arbin and
Landt do: "Voltage(V)", "Ewe/V", "I/mA", "Current(A)", "Capacity(mAh)", "time/s".
"""

import math
import re

import numpy as np

from kmc.common.tables import Table
from kmc.errors import InputError

READINGS = 100  # that are kept of a curve, evenly over the charge
_VALUES = {"v": 1.0, "a": 1.0, "ah": 1.0, "s": 1.0, "min": 60.0, "h": 3600.0, "sec": 1.0}
_PREFIXES = {"": 1.0, "m": 1e-3, "µ": 1e-6, "u": 1e-6, "k": 1e3}
_NAMES = {  # in the order of preference
    "voltage": (
        "ewe-ece",
        "ecell",
        "voltage",
        "cellvoltage",
        "ewe",
        "<ewe>",
        "potential",
        "e",
        "u",
    ),
    "current": ("i", "<i>", "current", "currentdensity"),
    "charge": ("(q-qo)", "capacity", "q", "charge", "chargecapacity", "dischargecapacity"),
    "time": ("totaltime", "cumulativetime", "testtime", "runtime", "elapsedtime", "time", "t"),
}
_ENDS = {"voltage": ("v",), "current": ("a",), "charge": ("ah",), "time": ("s", "sec", "min", "h")}
_CLOCK = re.compile(
    r"(?:(\d+)\s*(?:-|days?,?|d|)\s*\b|(.+)[\sT])?(?:(\d+):)?(\d+):(\d+(?:[.,]\d+)?)\s*([AP]M)?",
    re.IGNORECASE,
)
_UNSET_CM2 = 0.001  # what EC-Lab writes where nobody stated an area


def _column(table: Table, what: str) -> tuple[str, float, bool] | None:
    """A column by its quantity: its name, its unit in V, A, Ah or s, and whether it is per cm²."""
    columns: dict[str, tuple[str, float, bool]] = {}
    for name in table.names:
        plain = name.replace("μ", "µ").replace("·", "").replace("²", "2").lower()
        if match := re.fullmatch(r"(.+?)[\s_]*(?:[(\[]([^()\[\]]+)[)\]]|/([^/]+(?:/cm2)?))", plain):
            unit = (match[2] or match[3]).replace(".", "").replace(" ", "").replace("^", "")
            bare = unit.removesuffix("/cm2").removesuffix("cm-2")
            for end in _ENDS[what]:
                prefix = bare.removesuffix(end)
                if bare.endswith(end) and prefix in _PREFIXES:
                    key = re.sub(r"[\s_.]", "", match[1])
                    scale = _PREFIXES[prefix] * _VALUES[end]
                    columns.setdefault(key, (name, scale, bare != unit))
                    break
        elif what == "time" and ":" in "".join(table.column(name)[:1]):  # 0:00:10, without a unit
            columns.setdefault(re.sub(r"[\s_]", "", plain), (name, 1.0, False))
    return next((columns[name] for name in _NAMES[what] if name in columns), None)


def is_cycler(table: Table) -> bool:
    """Whether a table has a voltage, and a charge or a current over time."""
    has = {what for what in _NAMES if _column(table, what)}
    return "voltage" in has and ("charge" in has or {"current", "time"} <= has)


def charge_and_overpotential(table: Table) -> tuple[np.ndarray, np.ndarray]:
    """Charge in mAh/cm² and voltage in mV of a symmetric cell, or one with a reference.

    The charge is the current over time where both are there, so that a counter that begins again
    with each step does no harm. The sign is that of stripping, in which most charge passes.

    Raises `InputError`: a number cannot be read, or the area of the electrode is not stated.
    """
    columns = {what: one for what in _NAMES if (one := _column(table, what))}
    if missing := {"current", "time"} - set(columns):
        columns = {what: one for what, one in columns.items() if what in ("voltage", "charge")}
    else:
        columns.pop("charge", None)
    texts = {one[0]: table.column(one[0]) for one in columns.values()}
    clock = (
        columns["time"][0]
        if "time" in columns and ":" in "".join(texts[columns["time"][0]])
        else ""
    )
    numbers = table.numbers([name for name in texts if name != clock])
    if clock:
        numbers[clock] = _seconds(texts[clock])
        columns["time"] = (clock, 1.0, False)
    values = {what: one[1] * np.array(numbers[one[0]]) for what, one in columns.items()}
    whole = np.all([np.isfinite(v) for v in values.values()], axis=0)
    values = {what: v[whole] for what, v in values.items()}
    if missing:
        charge_mAh, areal = 1e3 * values["charge"], columns["charge"][2]
    else:
        # Times of Neware begin again with each step.
        step_s = np.maximum(np.diff(values["time"], prepend=values["time"][:1]), 0.0)
        now, areal = values["current"], columns["current"][2]
        before = np.concatenate((now[:1], now[:-1]))
        # A current that jumps has been switched: it flowed neither before nor, in a rest, behind.
        smooth = np.abs(now - before) <= np.abs(now + before) / 2
        least = np.where(now * before > 0, np.sign(now) * np.minimum(abs(now), abs(before)), 0.0)
        charge_mAh = np.cumsum(np.where(smooth, (now + before) / 2, least) * step_s) / 3.6
    if not areal:
        charge_mAh = charge_mAh / area_cm2(table)
    if not len(charge_mAh):
        raise InputError(f"{table.path} has no rows", advice="Give the readings of a cycler.")
    sign = -1.0 if charge_mAh[np.abs(charge_mAh).argmax()] < 0 else 1.0
    way = np.concatenate(([0.0], np.cumsum(np.abs(np.diff(charge_mAh)))))
    kept = np.unique(np.searchsorted(way, np.linspace(0, way[-1], READINGS)))
    return sign * charge_mAh[kept], 1e3 * sign * values["voltage"][kept]


def _seconds(texts: list[str]) -> list[float]:
    """Times of a clock: 0:00:10, with days before it as 1-00:00:10, or with a date, which counts
    as a day later than the one before it; NaN for others."""
    dates: dict[str, int] = {}
    seconds = []
    for match in map(_CLOCK.fullmatch, texts):
        days, date, h, m, s, half = match.groups() if match else (0, "", 0, 0, "nan", "")
        day = dates.setdefault(date, len(dates)) if date else int(days or 0)
        hour = int(h or 0) % 12 + 12 * (half.upper() == "PM") if half else int(h or 0)
        seconds.append(86400.0 * day + 3600 * hour + 60 * int(m) + float(s.replace(",", ".")))
    return seconds


def area_cm2(table: Table) -> float:
    """Area of the electrode that the head of a file or a comment states.

    Raises `InputError`: there is none, or the one that EC-Lab writes where nobody stated any.
    """
    area = stated(table, "electrode surface area|area_cm2")
    if math.isnan(area) or area in (0.0, _UNSET_CM2):
        raise InputError(
            f"{table.path} does not state the area of the electrode (above {_UNSET_CM2:g} cm²)",
            advice="Write a first line such as # area_cm2 = 0.785 into a copy of the file.",
        )
    return area


def stated(table: Table, name: str) -> float:
    """A number that a comment states as NAME = NUMBER or NAME : NUMBER; NaN without one."""
    pattern = re.compile(rf"(?:{name})\s*[:=]\s*(\d+(?:[.,]\d+)?)", re.IGNORECASE)
    matches = (match[1] for line in table.comments if (match := pattern.search(line)))
    return float(next(matches, "nan").replace(",", "."))
