"""Gaps followed in time: each kind of event, across the edges of the square too."""

from __future__ import annotations

import numpy as np
import pytest

from kmc.systems.population.life import APPEARS, COALESCES, COLLAPSES, SPLITS, Life, gaps_of

N, EDGE = 20, 10.0  # cells of 0.5 µm


def field(*boxes) -> np.ndarray:
    """h with boxes (rows, columns, height); indices are periodic."""
    h = np.zeros((N, N))
    for rows, columns, height in boxes:
        h[np.ix_(np.array(rows) % N, np.array(columns) % N)] = height
    return h


def test_gaps_are_connected_across_the_edges_of_the_square():
    found = gaps_of(field((range(-2, 2), range(-3, 1), 0.5), ([10], [10, 11], 1.0)), EDGE)
    assert sorted(found.area_um2) == pytest.approx([0.5, 4.0])
    assert sorted(found.volume_um3) == pytest.approx([0.5, 2.0])
    corner = int(np.argmax(found.area_um2))
    # Cells −3 to 0 along x and −2 to 1 along y: centres at −0.5 µm and 0.
    x_um, y_um = found.centres_um()
    assert (x_um[corner] + 5) % 10 - 5 == pytest.approx(-0.5)
    assert (y_um[corner] + 5) % 10 - 5 == pytest.approx(0.0)


def test_gaps_that_touch_at_a_corner_alone_are_two():
    assert len(gaps_of(field(([3], [3], 1.0), ([4], [4], 1.0)), EDGE)) == 2


def test_a_void_appears_splits_meets_and_collapses():
    life = Life(EDGE, N, least_um2=0.5)
    whole = field((range(5), range(8), 1.0))
    ((kind, number, other, area, volume, height),) = life.follow(whole)
    assert (kind, number, other) == (APPEARS, 1, 0)
    assert (area, volume, height) == pytest.approx((10.0, 10.0, 1.0))
    parted = whole.copy()
    parted[:, 5] = 0
    ((kind, number, other, area, *_),) = life.follow(parted)
    assert (kind, number, other, area) == (SPLITS, 2, 1, pytest.approx(2.5))
    assert life.regained_um2 == pytest.approx(1.25)
    assert life.follow(parted) == []
    ((kind, number, other, area, *_),) = life.follow(whole)
    assert (kind, number, other, area) == (COALESCES, 2, 1, pytest.approx(2.5))
    ((kind, number, *_),) = life.follow(np.zeros((N, N)))
    assert (kind, number) == (COLLAPSES, 1)
    assert life.counts.tolist() == [1, 1, 1, 1]
    assert life.regained_um2 == pytest.approx(11.25)


def test_a_crumb_counts_once_it_is_large_enough():
    """One cell of 0.25 µm² that comes off is a crumb of its void; grown to four it is a split."""
    life = Life(EDGE, N, least_um2=0.5)
    life.follow(field((range(4), range(8), 1.0)))
    assert life.follow(field((range(4), range(6), 1.0), ([0], [7], 1.0))) == []
    (event,) = life.follow(field((range(4), range(6), 1.0), ([0, 1], [7, 8], 1.0)))
    assert event[:3] == (SPLITS, 2, 1)
    assert life.follow(field((range(4), range(6), 1.0), ([0, 1], [7, 8], 1.0))) == []


def test_the_state_goes_on_where_it_was():
    first, second = Life(EDGE, N, 0.5), Life(EDGE, N, 0.5)
    for life in (first, second):
        life.follow(field((range(4), range(8), 1.0), ([10, 11], [10, 11], 2.0)))
    second = Life(EDGE, N, 0.5)
    second.restore(first.arrays())
    after = field((range(4), range(3), 1.0), (range(4), range(5, 8), 1.0))
    assert first.follow(after) == second.follow(after)
    np.testing.assert_array_equal(first.of_cell, second.of_cell)
