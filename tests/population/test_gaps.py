"""The field of gaps against limits that are known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kmc.errors import InputError
from kmc.mesoscale.field import Medium
from kmc.population.gaps import Flaws, Gaps, GapSetting

SITE_um3 = 2.1548e-11  # lithium
CAPILLARY_um = 1.36e-3
STRIP_per_um2_s = 3.1208e7  # 0.5 mA/cm²


class Vapour:
    """Gibbs and Thomson's law for voids; no nucleation."""

    capillary_um = CAPILLARY_um

    def S_eq(self, count) -> np.ndarray:
        radius = np.cbrt(np.asarray(count, dtype=float) * SITE_um3 / (math.pi / 2))
        return np.exp(2 * CAPILLARY_um / radius)

    def rate_per_um2_s(self, supersaturation) -> np.ndarray:
        return np.zeros_like(supersaturation)

    def nucleus(self, supersaturation) -> np.ndarray:
        return np.full_like(supersaturation, 60.0)


def medium(sink_length_um: float = math.inf, sink_depth_um: float = math.inf) -> Medium:
    """Lithium with about the measured self-diffusion."""
    return Medium(3.6e8, 8.3e6, 9.7e3, 8.9e3, 100.0, SITE_um3, sink_length_um, sink_depth_um)


def setting(edge_um: float = 12.0, cell_um: float = 0.25, flaws: int = 8, **more) -> GapSetting:
    begin = Flaws(flaws, 0.05) if flaws else None
    given = {"medium": medium(5.0), "strip_per_um2_s": STRIP_per_um2_s} | more
    return GapSetting(edge_um, round(edge_um / cell_um), vapour=Vapour(), flaws=begin, **given)


def run(gaps: Gaps, until_s: float) -> Gaps:
    while gaps.time_s < until_s * (1 - 1e-12) and gaps.step(until_s):
        assert abs(gaps.imbalance) < 1e-9
    return gaps


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
