"""Discs and points in a periodic square, against brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kmc.kernels import discs
from kmc.nuclei.field import overlaps


def some(seed: int, n: int, smallest: float, largest: float):
    rng = np.random.default_rng(seed)
    x, y = rng.random((2, n))
    return x, y, np.exp(rng.uniform(math.log(smallest), math.log(largest), n))


def distances(x, y, edge=1.0):
    dx, dy = x[:, None] - x, y[:, None] - y
    dx, dy = dx - edge * np.rint(dx / edge), dy - edge * np.rint(dy / edge)
    return np.hypot(dx, dy)


@pytest.mark.parametrize(("n", "low", "high"), [(1, 0.1, 0.2), (7, 0.2, 0.4), (400, 1e-4, 0.1)])
def test_overlaps_are_those_of_all_pairs(n, low, high):
    x, y, radius = some(3, n, low, high)
    first, second = overlaps(x, y, radius, 1.0)
    near = np.triu(distances(x, y) < radius[:, None] + radius, 1)
    found = {(min(i, j), max(i, j)) for i, j in zip(first.tolist(), second.tolist(), strict=True)}
    assert len(found) == len(first)
    assert found == set(zip(*map(np.ndarray.tolist, np.nonzero(near)), strict=True))


def test_spreading_and_gathering_are_each_others_transpose():
    x, y, values = some(8, 20, 0.1, 1)
    grid = np.zeros((32, 32))
    discs.spread(x, y, values, 1 / 32, 4, 1.0, grid)
    assert grid.sum() == pytest.approx(values.sum(), rel=1e-12)
    other = np.random.default_rng(1).random((32, 32))
    there = values @ discs.gather(x, y, other, 1 / 32, 4, 1.0)
    assert there == pytest.approx((grid * other).sum(), rel=1e-12)
