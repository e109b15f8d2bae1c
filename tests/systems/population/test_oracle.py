"""The field of gaps equals the plain version of the same equations (reference/plain_gaps.py)."""

from __future__ import annotations

import numpy as np
import pytest
from marks import slow
from plain_gaps import PlainGaps
from squares import medium, setting

from kmc.systems.population import gaps as module
from kmc.systems.population.gaps import Gaps


@pytest.mark.parametrize(
    ("sinks", "R_star_um", "hysteresis_deg"),
    [
        ((2.0, np.inf), 2.0, 0),
        slow((np.inf, 4.0), 2.0, 0),
        slow((2.0, np.inf), 0.2, 0),
        ((2.0, np.inf), 2.0, 20),
    ],
)
def test_a_field_of_gaps_equals_the_plain_version(monkeypatch, sinks, R_star_um, hysteresis_deg):
    """Two caps that grow into one another across an edge of the square, to the solver's error.

    With R* of 0.2 µm the lips of rims are thinner than the grid resolves; with hysteresis rims are
    pinned at first.
    """
    monkeypatch.setattr(module, "_TOLERANCE", 1e-11)
    more = {"rounding_length_um": R_star_um, "contact_angle_hysteresis_deg": hysteresis_deg}
    given = setting(4.0, 0.25, flaws=0, medium=medium(*sinks), **more)
    fast = Gaps(given, np.random.default_rng(1))
    fast._draw(3.7, 3.1, 0.5)
    fast._draw(1.6, 2.2, 0.9)
    if hysteresis_deg:
        fast.outline.slope[:] = 0.9
    fast._locate()
    plain = PlainGaps(fast.setting, fast.h_um.copy())
    fast.dt_s = 1.0
    if hysteresis_deg:
        plain.slope[:] = 0.9
        plain.locate()
    turned = []
    for _ in range(10):
        before = fast.time_s
        fast.step(1e9)
        plain.step(fast.time_s - before)
        fast.dt_s = min(fast.dt_s, 20.0)
        turned.append(fast.outline.slope.min())
    assert (0.9 < turned[0] < 1) == (hysteresis_deg > 0)
    assert turned[-1] == 1
    assert np.abs(fast.outline.slope - plain.slope).max() < 1e-7
    assert (fast.outline.largest > 1) == (R_star_um < 1)
    assert 0.2 < 1 - fast.contact_fraction < 0.7
    assert np.abs(fast.h_um - plain.h_um).max() < 1e-7
    assert np.abs(fast.cover - plain.cover).max() < 1e-6
    site = fast.setting.medium.site_volume_um3
    assert fast.ledger.settled * site == pytest.approx(plain.settled_um, rel=1e-7)
