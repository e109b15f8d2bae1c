"""Micrographs with blur and noise whose voids are known."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy import ndimage

GREYS = {"void": 30.0, "electrolyte": 120.0, "metal": 210.0}


@dataclass
class Cut:
    """A section: grey values, phases (0 void, 1 metal, 2 electrolyte), and what is true of it."""

    grey: np.ndarray
    phases: np.ndarray
    n_voids: int
    contact_loss: float
    width_px: float


def cut(
    rng: np.random.Generator,
    *,
    shape=(240, 600),
    n_voids=8,
    radius=(8, 22),
    blur=1.5,
    noise=6.0,
    roughness=2.0,
    pores=6,
    greys=GREYS,
) -> Cut:
    """Metal over a rough electrolyte, half ellipses of void at its edge, pores in both."""
    height, width = shape
    y, x = np.mgrid[:height, :width]
    wave = ndimage.gaussian_filter1d(rng.normal(size=width), 15, mode="wrap")
    edge = 0.62 * height + roughness * wave / wave.std()
    metal = y < edge
    phases = np.where(metal, 1, 2)
    pitch = width / n_voids
    widths = []
    void = np.zeros(shape, bool)
    for k in range(n_voids):
        r = rng.uniform(*radius)
        centre = (k + 0.5) * pitch + rng.uniform(-0.1, 0.1) * pitch
        tall = rng.uniform(0.6, 1.2) * r
        void |= ((x - centre) / r) ** 2 + ((y - edge[int(centre)]) / tall) ** 2 < 1
        widths.append(2 * r)
    phases[void & metal] = 0
    for _ in range(pores):  # away from the interface, on both sides
        r = rng.uniform(3, 6)
        low, high = ((r + 2, 0.3 * height), (0.8 * height, height - r - 2))[rng.integers(2)]
        py, px = rng.uniform(low, high), rng.uniform(r + 2, width - r - 2)
        phases[(x - px) ** 2 + (y - py) ** 2 < r**2] = 0
    values = np.array([greys["void"], greys["metal"], greys["electrolyte"]])[phases]
    grey = ndimage.gaussian_filter(values, blur) + rng.normal(0, noise, shape)
    grey = np.clip(np.rint(grey), 0, 255).astype(np.uint8)
    above = np.array([phases[int(np.ceil(edge[c])) - 1, c] for c in range(width)])
    return Cut(grey, phases, n_voids, float((above == 0).mean()), float(np.mean(widths)))


def three_levels(grey: np.ndarray, greys=GREYS) -> np.ndarray:
    """A mask of a grey image by thresholds half between its phases: 0, 128 and 255 by grey."""
    order = sorted(greys.values())
    levels = [(a + b) / 2 for a, b in pairwise(order)]
    return np.array([0, 128, 255], np.uint8)[np.digitize(ndimage.median_filter(grey, 3), levels)]
