"""Shapes that facets hold (benchmarks/facets.py): parallel tempering, and the page's figures."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from marks import long

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))

import facets

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.validation
@pytest.mark.slow
def test_swaps_leave_each_temperature_its_distribution(monkeypatch):
    """Energy of eight vacancies at 600 and 700 K, with swaps and without: within 4 errors."""
    monkeypatch.setattr(facets, "CELLS", (6, 6))
    monkeypatch.setattr(facets, "LAYERS", 10)
    monkeypatch.setattr(facets, "PAIRS", 300)
    kelvin, start = np.array([600.0, 700.0]), facets.compact(8)
    ladder = facets.Ladder(np.array([start, start]), kelvin, np.random.default_rng(1))
    rows = np.array([ladder.step() for _ in range(600)])
    assert 0.2 < ladder.swapped / ladder.tried < 0.99
    assert ladder.trips > 10
    swapped, error = facets.mean_and_error(rows)
    for k, T in enumerate(kelvin):
        box, rng = facets.box_of(start, T), np.random.default_rng(2)
        plain = np.array([[box.equilibrate(300, rng).energy_ueV * 1e-6] for _ in range(600)])
        expected, other = facets.mean_and_error(plain)
        assert abs(swapped[k, 0] - expected[0]) < 4 * np.hypot(error[k, 0], other[0])


@pytest.mark.validation
@pytest.mark.parametrize("start", [pytest.param("compact", marks=pytest.mark.slow), long("grown")])
def test_shapes_of_the_page(start):
    """Contact and S of the compact and of the grown void of 3157 vacancies, as the script begins.

    Grown from other seeds it is another pyramid, with contact 0.759 of seed 4.
    """
    page = (ROOT / "docs/model/equilibrium.md").read_text(encoding="utf-8")
    contact, S = map(float, re.search(rf"{start} \(contact ([\d.]+), S ([\d.]+)", page).groups())
    rng = np.random.default_rng(1)
    T = np.array([298.15])
    occupancy = facets.compact(3157) if start == "compact" else facets.grown(3157, T[0], rng)
    ((_, found, found_S),) = facets.heated(occupancy, T, rng)
    assert found == pytest.approx(contact, abs=0.004)
    assert found_S == pytest.approx(S, rel=0.04)
