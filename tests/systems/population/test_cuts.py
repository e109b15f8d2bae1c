"""Cross-section lines: counts, widths and heights of known fields, resolution, points."""

from __future__ import annotations

import numpy as np
import pytest

from kmc.systems.population.cuts import cut, voids_on_lines

EDGE, N = 20.0, 200


def caps(centres, radius: float, height: float, n: int = N) -> np.ndarray:
    """Parabolic caps on the periodic square, the higher one where they overlap."""
    at = (np.arange(n) + 0.5) * EDGE / n
    h = np.zeros((n, n))
    for x, y in centres:
        dx, dy = ((at - c + EDGE / 2) % EDGE - EDGE / 2 for c in (x, y))
        r2 = dx[None] ** 2 + dy[:, None] ** 2
        h = np.maximum(h, height * np.maximum(1 - r2 / radius**2, 0))
    return h


@pytest.mark.validation
def test_chords_of_a_disc():
    """2R/edge² cuts per length, mean chord πR/2, mean height 2/3 of a parabola.

    Cells of 0.1 µm: one row of 60 more or less is 1.7 % of the cuts, half a cell 1 % of the mean
    chord, and the widest is known to a cell. Heights are of the second order in the cell.
    """
    for centre in ((3.0, 7.0), (0.1, 19.9)):
        found = cut(caps([centre], 3.0, 1.5), EDGE)
        assert found["voids_per_100um"] == pytest.approx(100 * 6 / EDGE**2, rel=0.02)
        assert found["mean_width_um"] == pytest.approx(np.pi * 3 / 2, rel=0.01)
        assert found["mean_height_um"] == pytest.approx(1.0, rel=0.01)
        assert found["max_width_um"] == pytest.approx(6.0, abs=0.1)
        assert found["max_height_um"] == pytest.approx(1.5, abs=0.01)


def test_points_are_cut_as_discs_are():
    point = {"point_radius_um": np.array([2.0]), "point_height_um": np.array([0.8])}
    drawn, expected = cut(caps([(10, 10)], 2.0, 0.8), EDGE), cut(np.zeros((N, N)), EDGE, **point)
    for name in ("voids_per_100um", "mean_width_um", "mean_height_um"):
        assert expected[name] == pytest.approx(drawn[name], rel=0.02)
    assert cut(np.zeros((N, N)), EDGE, 3.2, **point)["voids_per_100um"] == 0


def test_the_microscope_joins_what_it_cannot_part_and_misses_what_is_small():
    h = np.zeros((N, N))
    h[:, 0:20] = 1.0  # 2 µm, round the edge with the next one
    h[:, 190:200] = 1.0
    h[:, 23:30] = 1.0  # 0.3 µm of contact between
    h[:, 60:62] = 1.0  # 0.2 µm wide
    h[:, 100:120] = 0.1  # low
    seen = [voids_on_lines(h, EDGE, r) for r in (0.0, 0.25, 0.4)]
    widths = [np.sort(width[line == 0]) for width, _, line in seen]
    np.testing.assert_allclose(widths[0], [0.2, 0.7, 2.0, 3.0])
    np.testing.assert_allclose(widths[1], [0.7, 3.0])
    np.testing.assert_allclose(widths[2], [4.0])


def test_a_line_without_contact_is_one_void_as_long_as_the_square():
    assert voids_on_lines(np.full((8, 8), 0.3), EDGE)[0].tolist() == [EDGE] * 16
    found = cut(np.zeros((8, 8)), EDGE)
    assert np.isnan(found["mean_width_um"])
    assert np.isnan(found["max_width_um"])


def test_widths_are_those_of_the_part_without_contact():
    """A stripe of 1.55 µm whose cells at both rims are partly in contact."""
    h, cover = np.zeros((20, 20)), np.zeros((20, 20))
    h[:, 2:19] = 1.0
    cover[:, 2:19] = 1.0
    cover[:, 2], cover[:, 18] = 0.25, 0.25
    # It does not see 0.45 µm of contact at a resolution of 0.5 µm.
    for resolution_um, expected in ((0.0, 1.55), (0.4, 1.55), (0.5, 2.0)):
        width, _, line = voids_on_lines(h, 2.0, resolution_um, cover)
        np.testing.assert_allclose(width[line < 20], expected)
