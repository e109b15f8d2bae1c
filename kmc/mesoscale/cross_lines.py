"""Voids on cross-section lines, as a microscope sees them on a polished cut.

A line cuts footprints; each cut is a void of the picture, its length the width, and the highest
point of the void above the line its height. Lines run along x and along y, evenly spaced.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from kmc.kernels import discs
from kmc.mesoscale.voids import Voids

LINES = 256  # in each direction


@dataclass(frozen=True)
class Cuts:
    """What lines across a population meet.

    Attributes
    ----------
    line : int64 array, shape (n_cuts,)
        Line of each cut: those along y first, then those along x.
    width_um, height_um : float64 arrays, shape (n_cuts,)
    length_um : float
        Of all lines together.
    n_lines : int
    """

    line: np.ndarray
    width_um: np.ndarray
    height_um: np.ndarray
    length_um: float
    n_lines: int

    @property
    def per_100um(self) -> float:
        """Cuts per 100 µm of line."""
        return 100.0 * len(self.line) / self.length_um

    @property
    def mean_width_um(self) -> float:
        """Mean chord; NaN without any."""
        return float(self.width_um.mean()) if len(self.line) else math.nan

    @property
    def mean_height_um(self) -> float:
        """Mean of the largest heights over the cuts; NaN without any."""
        return float(self.height_um.mean()) if len(self.line) else math.nan

    @property
    def contact_loss(self) -> float:
        """Share of the lines that lies under voids."""
        return float(self.width_um.sum()) / self.length_um


def cut(voids: Voids, n_lines: int = LINES) -> Cuts:
    """Cut a population by `n_lines` lines in each direction."""
    return cut_discs(
        *voids.wrapped(), voids.radius_um, voids.count * voids.site_volume_um3, voids, n_lines
    )


def cut_discs(x_um, y_um, radius_um, volume_um3, voids: Voids, n_lines: int) -> Cuts:
    """The same from lobes; of `voids` shape and edge count alone."""
    edge = voids.edge_um
    lines = np.arange(n_lines) * (edge / n_lines)
    parts = []
    for axis in (0, 1):
        line, begin, end, disc = discs.chords(x_um, y_um, radius_um, lines, edge, axis)
        key, low, high, number = discs.merge_chords(line, begin, end, disc, edge)
        offset = np.sqrt(np.maximum(0.0, radius_um[disc] ** 2 - ((end - begin) / 2) ** 2))
        height = np.zeros(len(key))
        if len(disc):
            heights = voids.shape.height_um(radius_um[disc], volume_um3[disc], offset)
            np.maximum.at(height, number, heights)
        parts.append((key + axis * n_lines, high - low, height))
    line, width, height = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Cuts(line, width, height, 2 * n_lines * edge, 2 * n_lines)
