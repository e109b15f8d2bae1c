"""The field of gaps against limits that are known."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from squares import STRIP_per_um2_s, Vapour, medium, run, setting

from kmc.errors import InputError
from kmc.systems.population.gaps import Gaps
from kmc.systems.population.state import Flaws


@pytest.mark.validation
@pytest.mark.parametrize(("length", "depth"), [(5.0, math.inf), (math.inf, 3.0), (4.0, 8.0)])
def test_supersaturation_with_sinks(length, depth):
    """S − 1 = (j/e)/(K/λ + Kκ coth κL) far from voids, to 1 %; K/λ or its like left out is seen."""
    metal = medium(length, depth)
    gaps = run(Gaps(setting(flaws=0, medium=metal), np.random.default_rng(1)), 500.0)
    into = 1 / length + (1 / depth) / math.tanh(100.0 / depth) if depth < math.inf else 1 / length
    if math.isinf(depth):
        into += 1 / 100.0
    assert gaps.S_contact - 1 == pytest.approx(STRIP_per_um2_s / (3.6e8 * into), rel=0.01)


def test_every_vacancy_is_counted_and_a_restored_field_goes_on_alike():
    gaps = run(Gaps(setting(), np.random.default_rng(2)), 300.0)
    assert gaps.contact_fraction < 0.95
    assert gaps.ledger.settled > 0
    stored = {key: value.copy() for key, value in gaps.arrays().items()}
    again = Gaps(setting(), np.random.default_rng(5))
    again.restore(stored)
    run(gaps, 400.0)
    run(again, 400.0)
    assert gaps.h_um.tobytes() == again.h_um.tobytes()
    assert vars(gaps.ledger) == vars(again.ledger)


def test_plating_fills_the_gaps_and_then_lifts_the_body():
    gaps = run(Gaps(setting(), np.random.default_rng(2)), 300.0)
    gaps.switch(-STRIP_per_um2_s)
    run(gaps, 700.0)
    assert gaps.contact_fraction > 0.99
    assert gaps.ledger.grown > 0
    assert gaps.ledger.plated == pytest.approx(gaps.ledger.filled + gaps.ledger.grown)


def test_no_surface_diffusion_is_refused():
    with pytest.raises(InputError, match="rounding_length_um"):
        setting(rounding_length_um=0.0)


@pytest.mark.validation
def test_each_flaw_grows_only_above_its_own_supersaturation():
    """S > exp(2γΩ/kTr), r of the flaw; below it a flaw stays as it is beside others that grow."""
    given = replace(setting(20.0, 0.25, flaws=0, medium=medium(0.5)), flaws=Flaws(0, 0.05))
    gaps = Gaps(given, np.random.default_rng(1))
    radius = np.array([0.03, 0.05, 0.09, 0.15])
    begun = math.pi * radius**2 * Flaws.height_um
    gaps.points.add([2.0, 7.0, 12.0, 17.0], [5.0, 15.0, 5.0, 15.0], begun, radius)
    gaps.ledger.initial = gaps.in_voids_per_um2
    run(gaps, 0.5)
    critical = 2 * Vapour.capillary_um / math.log(gaps.S_contact)  # 65 nm
    assert radius[1] < critical < radius[2]
    assert gaps.points.volume_um3[:2] == pytest.approx(begun[:2], rel=1e-9)
    assert (gaps.points.volume_um3[2:] > 1.5 * begun[2:]).all()
