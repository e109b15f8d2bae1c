"""Geometry of discs in a periodic square, against brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kmc.kernels import discs


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
    first, second = discs.overlaps(x, y, radius, 1.0)
    near = np.triu(distances(x, y) < radius[:, None] + radius, 1)
    found = {(min(i, j), max(i, j)) for i, j in zip(first.tolist(), second.tolist(), strict=True)}
    assert len(found) == len(first)
    assert found == set(zip(*map(np.ndarray.tolist, np.nonzero(near)), strict=True))


def pixels(x, y, radius, n):
    """Whether the centres of n × n cells lie in any of the discs, one by one."""
    at = (np.arange(n) + 0.5) / n
    out = np.zeros((n, n), bool)
    for a, b, r in zip(x, y, radius, strict=True):
        dx, dy = (np.abs(at - c) for c in (a, b))
        dx, dy = np.minimum(dx, 1 - dx), np.minimum(dy, 1 - dy)
        out |= dx**2 + dy[:, None] ** 2 <= r**2
    return out


def test_cells_are_covered_as_their_sub_cells_are():
    x, y, radius = some(9, 40, 0.002, 0.08)
    on, covered = discs.cover(x, y, radius, 20, 1.0)
    fine = pixels(x, y, radius, 160)
    bits = covered.astype("<u8").view(np.uint8).reshape(20, 20, 8)
    rows = np.unpackbits(bits, axis=2, bitorder="little").reshape(20, 20, 8, 8)
    np.testing.assert_array_equal(rows.transpose(0, 2, 1, 3).reshape(160, 160), fine)
    np.testing.assert_array_equal(discs.bits_set(covered), rows.sum(axis=(2, 3)))
    np.testing.assert_array_equal(on >= 0, covered > 0)
    centre = (np.array(np.divmod(np.flatnonzero(on >= 0), 20)) + 0.5) / 20
    away = np.abs(centre[:, :, None] - np.array([y, x])[:, None])
    away = np.minimum(away, 1 - away)
    deepest = (radius**2 - (away**2).sum(axis=0)).max(axis=1)
    picked = on[on >= 0]
    depth = (radius**2 - (away**2).sum(axis=0))[np.arange(len(picked)), picked]
    inside = deepest > 0  # else the disc of the greatest depth may not reach the cell
    np.testing.assert_allclose(depth[inside], deepest[inside], atol=1e-12)


@pytest.mark.parametrize(("n", "radius"), [(12, 0.08), (40, 0.12), (60, 0.2)])
def test_area_of_unions_is_that_of_a_fine_grid(n, radius):
    """Also where a union winds around the square, and where it leaves holes."""
    x, y, _ = some(n, n, 1, 2)
    radius = radius * np.linspace(0.5, 1.5, n)
    first, second = discs.overlaps(x, y, radius, 1.0)
    area, rim = discs.unions(x, y, radius, np.zeros(n, np.int64), 1, first, second, 1.0)
    _, covered = discs.cover(x, y, radius, 250, 1.0)
    assert area[0] == pytest.approx(discs.bits_set(covered).mean() / 64, abs=2e-4)
    assert rim[0] > 0 or area[0] == pytest.approx(1)


def test_two_discs_have_the_area_and_rim_of_a_lens():
    x, y, radius = np.array([0.02, 0.98]), np.array([0.5, 0.5]), np.array([0.05, 0.05])
    first, second = discs.overlaps(x, y, radius, 1.0)
    area, rim = discs.unions(x, y, radius, np.zeros(2, np.int64), 1, first, second, 1.0)
    half = math.acos(0.02 / 0.05)
    lens = 2 * (0.05**2 * half - 0.02 * math.sqrt(0.05**2 - 0.02**2))
    assert area[0] == pytest.approx(2 * math.pi * 0.05**2 - lens, rel=1e-12)
    assert rim[0] == pytest.approx(4 * 0.05 * (math.pi - half), rel=1e-12)


def test_each_owner_has_the_area_of_its_own_discs():
    x, y, radius = some(5, 30, 0.02, 0.1)
    first, second = discs.overlaps(x, y, radius, 1.0)
    area, _ = discs.unions(x, y, radius, np.arange(30), 30, first, second, 1.0)
    np.testing.assert_allclose(area, math.pi * radius**2, rtol=1e-9)


@pytest.mark.parametrize("axis", [0, 1])
def test_chords_cover_what_the_grid_covers(axis):
    x, y, radius = some(6, 25, 0.02, 0.12)
    lines = np.arange(400) / 400
    line, begin, end, disc = discs.chords(x, y, radius, lines, 1.0, axis)
    key, low, high, number = discs.merge_chords(line, begin, end, disc, 1.0)
    on = pixels(x, y, radius, 1200)
    assert (high - low).sum() / 400 == pytest.approx(on.mean(), abs=1e-3)
    rows = on[:, 1::3].T if axis == 0 else on[1::3]
    starts = np.sum(rows & ~np.roll(rows, 1, axis=1), axis=1)
    # Lines run a third of a pixel beside the centres: a graze may be seen by one of them only.
    assert np.bincount(key, minlength=400).sum() == pytest.approx(starts.sum(), rel=0.02)
    assert number.max() < len(key)


def test_intervals_meet_across_the_end_of_the_circle():
    key = np.zeros(4, np.int64)
    begin, end = np.array([0.9, -0.05, 0.3, 0.1]), np.array([1.02, 0.08, 0.4, 0.31])
    _, low, high, number = discs.merge_chords(key, begin, end, key, 1.0)
    assert sorted((high - low).round(12)) == [0.18, 0.3]
    assert number[0] == number[1] != number[2] == number[3]


def test_spreading_and_gathering_are_each_others_transpose():
    x, y, values = some(8, 20, 0.1, 1)
    grid = np.zeros((32, 32))
    discs.spread(x, y, values, 1 / 32, 4, 1.0, grid)
    assert grid.sum() == pytest.approx(values.sum(), rel=1e-12)
    other = np.random.default_rng(1).random((32, 32))
    there = values @ discs.gather(x, y, other, 1 / 32, 4, 1.0)
    assert there == pytest.approx((grid * other).sum(), rel=1e-12)
