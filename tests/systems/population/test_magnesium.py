"""Mg in front of contact against limits of the advected profile."""

from __future__ import annotations

import math

import numpy as np
import pytest
from squares import medium

import kmc
from kmc.errors import InputError
from kmc.systems.population.magnesium import MagnesiumProfile

D_Mg_um2_s = 6.4e-6  # docs/model/transport.md


def profile(**how) -> MagnesiumProfile:
    return MagnesiumProfile(0.03, D_Mg_um2_s, medium(5.0), **how)


def excess_um(found: MagnesiumProfile) -> float:
    """∫ (c − c∞) dz over the whole profile, 100 µm deep."""
    return 100.0 * (float(found.line_scan([50.0], 100.0)[0]) - 0.03)


@pytest.mark.validation
def test_all_mg_of_the_metal_that_settled_is_in_front_of_contact():
    """∫(c − c∞) = c∞ u t, as nothing passes the front; S falls off linearly to L = 100 µm.

    To rounding: what flows between two cells cancels in the sum.
    """
    found = profile()
    found.follow(np.linspace(0, 3600, 40), np.linspace(0, 2.0, 40), np.full(40, 20.0))
    assert excess_um(found) == pytest.approx(0.03 * 2.0, rel=1e-9)


@pytest.mark.validation
def test_first_and_last_stages_of_the_pile():
    """c(0)/c∞ − 1 = 2u√(t/πD) at first, and grows at u²/D in the end; S = 1, so that D is even.

    The next term at first, u²t/2D, is 1.4 % of it here; in the end exp(−u²t/4D) is 0.7 %. The rest
    of 4 and 3 % is for cells and steps.
    """
    u, D = 3e-5, D_Mg_um2_s
    early = profile(first_um=2e-4)
    time_s = 1e-3 * D / u**2
    early.follow(
        np.geomspace(1e-4, 1, 60) * time_s, np.geomspace(1e-4, 1, 60) * u * time_s, np.ones(60)
    )
    assert early.fraction[0] / 0.03 - 1 == pytest.approx(
        2 * u * math.sqrt(time_s / math.pi / D), rel=0.04
    )
    late = profile()
    height = []
    for end in (20.0, 22.0):
        rows = np.linspace(0 if end == 20 else 20.0, end, 200) * D / u**2
        late.follow(rows, u * rows, np.ones(200))
        height.append(late.fraction[0] / 0.03)
    assert (height[1] - height[0]) / 2 == pytest.approx(1.0, rel=0.03)


@pytest.mark.validation
def test_the_profile_does_not_depend_on_the_current():
    """4 mAh/cm² at 0.05 and 0.5 mA/cm², S − 1 = 250 j: S D_Mg t and u t are the same."""
    scans = []
    for current in (0.05, 0.5):
        found = profile()
        time_s = np.linspace(0, 4 / current * 3600, 60)
        found.follow(time_s, np.linspace(0, 10.0, 60), np.full(60, 1 + 250 * current))
        scans.append(found.line_scan(np.arange(0.5, 12.0)))
    assert scans[0] == pytest.approx(scans[1], rel=0.08)  # 1 + 12.5 is not a tenth of 1 + 125
    assert scans[1][0] > 2 * scans[1][-1]


def test_a_line_scan_averages_over_its_width():
    found = profile()
    found.fraction = found.z_um.copy()
    assert found.line_scan([3.0, 10.0], 1.0) == pytest.approx([3.0, 10.0], rel=1e-2)
    assert found.line_scan([0.0], 2.0)[0] == pytest.approx(0.5, rel=2e-2)


@pytest.mark.slow
def test_a_run_with_mg_has_the_profile_of_what_settled(tmp_path):
    short = {"upscale.domain_um": 16, "upscale.capacity_mAh_cm2": 0.02}
    run = kmc.upscale("operando_limg", short, output=tmp_path / "limg.h5", progress=False)
    found = run.magnesium()
    settled = run.samples["settled_um"][-1] - run.samples["settled_um"][0]
    assert excess_um(found) == pytest.approx(0.03 * settled, rel=1e-6)
    assert 0.03 < found.coverage <= 1.0
    run.run["system"]["mg_fraction"] = 0.0
    with pytest.raises(InputError, match="has no Mg"):
        run.magnesium()
