"""When the rows and frames of a population are written."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from kmc.model.electrochemistry import capacity_mAh_cm2
from kmc.runfile.load import RunFile

_EARLIEST_mAh_cm2 = 1e-7  # 0.7 ms at 0.5 mA/cm²: before voids nucleate
_REST_ROWS, _REST_FRAMES = 60, 9
_REST_FIRST = 1e-4  # of the rest
_FRAMES_PER_DECADE = 3
_SAME = 1e-9


@dataclass(frozen=True)
class Due:
    """A row to be written: when, whether in the rest, and whether with a list of voids."""

    time_s: float
    rest: bool
    frame: bool


def schedule(run: RunFile, strip_per_um2_s: float) -> list[Due]:
    """Rows of a run in order: evenly in charge and in its logarithm, then those of the rest."""
    upscale = run.upscale
    per_s = capacity_mAh_cm2(strip_per_um2_s, 1e8)  # mAh/cm² each second
    end = upscale.capacity_mAh_cm2
    linear = np.linspace(0, end, upscale.samples + 1)
    marks = np.linspace(0, end, upscale.frames + 1)
    early = _decades(end, upscale.samples_per_decade)
    early_marks = _decades(end, _FRAMES_PER_DECADE) if early else []
    rows = _distinct([*linear, *marks, *early, *early_marks])
    frames = [*marks, *early_marks]
    due = [Due(c / per_s, False, _among(c, frames)) for c in rows]
    if run.rest.wanted:
        switched, length = end / per_s, run.rest.time_s
        times = np.geomspace(_REST_FIRST, 1.0, _REST_ROWS)
        marks = np.linspace(0, _REST_ROWS - 1, _REST_FRAMES).round()
        due += [Due(switched + length * t, True, i in marks) for i, t in enumerate(times)]
    return due


def _decades(end: float, per_decade: int) -> list[float]:
    """Charges from `_EARLIEST_mAh_cm2` to below `end`, so many in each power of ten."""
    if not per_decade or end <= _EARLIEST_mAh_cm2:
        return []
    n = math.ceil(math.log10(end / _EARLIEST_mAh_cm2) * per_decade)
    return [end * 10.0 ** (-k / per_decade) for k in range(1, n)]


def _distinct(values: list[float]) -> list[float]:
    """Values in order, without those that differ by roundings alone."""
    kept: list[float] = []
    for value in sorted(float(v) for v in values):
        if not kept or value - kept[-1] > _SAME * value:
            kept.append(value)
    return kept


def _among(value: float, others: list[float]) -> bool:
    return any(abs(value - other) <= _SAME * max(value, other) for other in others)
