"""Fields of gaps without free energies: a vapour with a given surface energy, and lithium."""

from __future__ import annotations

import math

import numpy as np

from kmc.nuclei.field import Medium
from kmc.systems.population.gaps import Gaps
from kmc.systems.population.setting import FlawPatches, GapSetting

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
    begin = FlawPatches(flaws, 0.05) if flaws else None
    # Of a contact slope of 2.
    given = {"medium": medium(5.0), "strip_per_um2_s": STRIP_per_um2_s}
    given |= {"height_over_radius": 0.8177316739} | more
    return GapSetting(edge_um, round(edge_um / cell_um), vapour=Vapour(), flaws=begin, **given)


def imbalance(gaps: Gaps) -> float:
    """What the ledger misses, relative to all vacancies that were made."""
    ledger = gaps.ledger
    gone = gaps.in_voids_per_um2 + ledger.settled + ledger.sink + gaps.mean.stored_per_um2
    gone += ledger.filled + ledger.dead
    made = ledger.stripped + ledger.initial
    return (made - gone) / made if made else 0.0


def run(gaps: Gaps, until_s: float) -> Gaps:
    while gaps.time_s < until_s * (1 - 1e-12) and gaps.step(until_s):
        assert abs(imbalance(gaps)) < 1e-9
    return gaps
