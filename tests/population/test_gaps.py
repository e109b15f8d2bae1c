"""The field of gaps against limits that are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from squares import STRIP_per_um2_s, medium, run, setting

from kmc.errors import InputError
from kmc.population.gaps import Gaps


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
