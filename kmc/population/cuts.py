"""Voids on cross-section lines, as a microscope sees them on a polished cut.

Lines run along every row and every column of the grid. A run of cells without contact is a void of
the picture: its length is the width, its largest h the height. A microscope of resolution r does
not see contact shorter than r between two voids, nor voids that are narrower or lower than r.

Voids that are smaller than two cells are points of the model; lines meet a disc of radius R
2R/edge² times per length, on a mean chord of πR/2, below two thirds of the height of a parabola.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

CHORD, RISE = math.pi / 4, 2 / 3  # mean chord over diameter, mean height over the largest


@dataclass(frozen=True)
class Cuts:
    """What the lines across a field of gaps meet.

    Attributes
    ----------
    width_um, height_um : float64 arrays, shape (n_cuts,)
    line : int64 array, shape (n_cuts,)
        Line of each cut: those along x first, then those along y.
    length_um : float
        Of all lines together.
    point_number, point_width_um, point_height_um : float
        Expected cuts of points in that length, and their means.
    """

    width_um: np.ndarray
    height_um: np.ndarray
    line: np.ndarray
    length_um: float
    point_number: float
    point_width_um: float
    point_height_um: float

    @property
    def per_100um(self) -> float:
        """Cuts per 100 µm of line."""
        return 100.0 * (len(self.width_um) + self.point_number) / self.length_um

    @property
    def mean_width_um(self) -> float:
        """Mean width; NaN without any."""
        return self._mean(self.width_um, self.point_width_um)

    @property
    def mean_height_um(self) -> float:
        """Mean of the largest heights of the cuts; NaN without any."""
        return self._mean(self.height_um, self.point_height_um)

    def _mean(self, drawn: np.ndarray, of_points: float) -> float:
        n = len(drawn) + self.point_number
        return (float(drawn.sum()) + self.point_number * of_points) / n if n else math.nan

    @property
    def max_width_um(self) -> float:
        return float(self.width_um.max()) if len(self.width_um) else math.nan

    @property
    def max_height_um(self) -> float:
        return float(self.height_um.max()) if len(self.height_um) else math.nan


def cut(
    h_um: np.ndarray,
    edge_um: float,
    resolution_um: float = 0.0,
    point_radius_um: np.ndarray | None = None,
    point_height_um: np.ndarray | None = None,
) -> Cuts:
    """Cut a periodic field of gaps h ≥ 0, shape (n, n), along every row and column.

    Parameters
    ----------
    h_um : ndarray
    edge_um : float
    resolution_um : float
        Of the microscope.
    point_radius_um, point_height_um : ndarray, optional
        Footprint and largest height of the voids that are points.
    """
    n = len(h_um)
    parts = [_runs(plane, edge_um / n, resolution_um) for plane in (h_um, h_um.T)]
    width, height = (np.concatenate([part[k] for part in parts]) for k in (0, 1))
    line = np.concatenate([parts[0][2], parts[1][2] + n])
    length = 2 * n * edge_um
    radius = np.zeros(0) if point_radius_um is None else point_radius_um
    high = np.zeros(0) if point_height_um is None else point_height_um
    seen = (2 * CHORD * radius >= resolution_um) & (RISE * high >= resolution_um)
    across = 2 * radius[seen]
    total = float(across.sum())
    return Cuts(
        width,
        height,
        line,
        length,
        total * length / edge_um**2,
        CHORD * float((across**2).sum()) / total if total else 0.0,
        RISE * float((across * high[seen]).sum()) / total if total else 0.0,
    )


def _runs(h_um: np.ndarray, cell_um: float, resolution_um: float) -> tuple:
    """Widths, heights and rows of the voids along the rows of a periodic field."""
    rows, is_open = _from_contact(h_um, h_um > 0)
    contact, begin, end = _stretches(~is_open)
    short = (end - begin) * cell_um < resolution_um
    for row, first, last in zip(contact[short], begin[short], end[short], strict=True):
        is_open[row, first:last] = True
    rows, is_open = _from_contact(rows, is_open)
    row, begin, end = _stretches(is_open)
    width = (end - begin) * cell_um
    padded = np.zeros((len(rows), len(rows) + 1))
    padded[:, :-1] = rows
    at = row * padded.shape[1] + begin
    height = np.maximum.reduceat(padded.ravel(), at) if len(at) else np.zeros(0)
    seen = (width >= resolution_um) & (height >= resolution_um)
    return width[seen], height[seen], row[seen]


def _from_contact(h_um: np.ndarray, is_open: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same rows begun where contact begins, so that no stretch goes over the end of a row."""
    start = np.argmax(~is_open & np.roll(is_open, 1, axis=1), axis=1)
    place = (start[:, None] + np.arange(len(h_um))) % len(h_um)
    return np.take_along_axis(h_um, place, axis=1), np.take_along_axis(is_open, place, axis=1)


def _stretches(is_open: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row, first column and column behind the last of each stretch of true cells."""
    n = len(is_open)
    padded = np.zeros((n, n + 2), dtype=np.int8)
    padded[:, 1:-1] = is_open
    turns = np.diff(padded, axis=1)
    row, begin = np.nonzero(turns == 1)
    _, end = np.nonzero(turns == -1)
    return row, begin, end
