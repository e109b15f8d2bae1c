"""How Mg comes to the interface as metal is used up: limits of docs/model/transport.md."""

from __future__ import annotations

import math
from dataclasses import replace

import naive
import numpy as np
import pytest
from naive import LI, MG
from paired_engines import PairedEngines, Setup, random_occupancy

from kmc.kernels import tables
from kmc.systems.electrode import snapshot

pytestmark = pytest.mark.validation

SHARE = 0.1
HOT = Setup(
    cells=(4, 4),
    layers=9,
    values=naive.LIMG_LI2S,
    temperature_K=1500.0,
    current_density_mA_cm2=3e10,
    electrode_thickness_um=4e-5,
    mg_fraction=0.3,
    dragged_mg=True,
)
# Mg that never hops, and creep that keeps pace with the current: metal moves as whole columns.
FROZEN = Setup(
    cells=(24, 24),
    layers=12,
    values=naive.LIMG_LI2S,
    overrides={"barrier_Mg_eV": 1.5},
    current_density_mA_cm2=0.5,
    stack_pressure_MPa=9.0,
    mg_fraction=SHARE,
    floor_eV=0.40,
)


def random_alloy(setup: Setup, rng) -> np.ndarray:
    return np.where(rng.random(setup.n_sites) < setup.mg_fraction, MG, LI).astype(np.uint8)


@pytest.mark.slow
def test_dragged_mg_event_for_event():
    """Vacancies absorbed are filled with R c of Mg: the oracle's 300 events, at 1500 K."""
    rng = np.random.default_rng(50)
    paired = PairedEngines(HOT, random_occupancy(HOT.n_sites, rng, 6, 25), 51, attempts=20_000)
    kinds = paired.follow(events=300)
    assert kinds.total() - kinds[None] == 300
    paired.compare_state()
    assert kinds["absorb"] > 20, kinds
    assert not snapshot.differences(paired.engine)
    # R is far enough from 1 for the two ways of supply to be told apart.
    assert 0.3 * 0.5 < HOT.model().refill_mg_fraction < 0.3 * 0.8


@pytest.mark.slow
@pytest.mark.parametrize("dragged", [False, True])
def test_refill_of_a_stripped_interface(dragged):
    """Mg in over vacancies absorbed is c, or R c for vacancies that go on to a distant sink.

    Mg cannot hop here, so that nothing changes what is offered: binomial, within 4 standard errors.
    """
    setup = replace(FROZEN, stack_pressure_MPa=0.0, electrode_thickness_um=1.0, dragged_mg=dragged)
    engine = setup.engine(np.full(setup.n_sites, LI, np.uint8), 52)
    engine.advance(strips=setup.box.sites_per_layer * 3)
    absorbed, mg = engine.count(tables.ABSORBED), engine.count(tables.ABSORBED_MG)
    share = setup.model().refill_mg_fraction
    assert absorbed > 1000
    assert abs(mg - share * absorbed) < 4 * math.sqrt(share * absorbed)
    assert int((engine.occupancy() == MG).sum()) == mg - engine.count(tables.EMITTED_MG)


def test_frozen_mg_enriches_linearly():
    """Metal that follows brings c Mg a monolayer and nothing takes it away: linear, to the atom.

    Binomial within 4 standard errors. It stays where columns sink, above the voids: Li leaves L1 by
    hops, so that L1 gains less than half of it.
    """
    setup, n = FROZEN, FROZEN.box.sites_per_layer
    engine = setup.engine(random_alloy(setup, np.random.default_rng(53)), 54)
    start = engine.occupancy().reshape(setup.layers, n) == MG
    for monolayers in (2, 4):
        engine.advance(strips=monolayers * n)
        now = engine.occupancy().reshape(setup.layers, n) == MG
        closed, mg = engine.count(tables.CLOSURES), engine.count(tables.CLOSURES_MG)
        assert now.sum() == start.sum() + mg
        assert closed > 0.9 * monolayers * n
        assert abs(mg - SHARE * closed) < 4 * math.sqrt(SHARE * (1 - SHARE) * closed)
        assert 0 <= now[0].sum() - start[0].sum() < 0.5 * SHARE * closed
