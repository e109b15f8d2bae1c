"""Mg and Li beside it that change places, by vacancies that are not followed."""

from __future__ import annotations

import math

import naive
import numpy as np
import pytest
from marks import slow
from naive import LI, MG
from paired_engines import PairedEngines, Setup, random_occupancy

from kmc.errors import InputError
from kmc.kernels import rates, tables
from kmc.systems.electrode import snapshot

HOT = Setup(
    cells=(4, 4),
    layers=9,
    values=naive.LIMG_LI2S,
    temperature_K=1200.0,
    floor_eV=0.35,
    mg_exchange=True,
)


@pytest.mark.slow
@pytest.mark.parametrize("name", naive.ORIENTATIONS)
def test_event_for_event(name):
    """Exchanges among hops, strips and creep: the same 300 events, energies to the last µeV."""
    setup = Setup(
        **{**HOT.__dict__, "lattice": name, "supersaturation": 3.0, "current_density_mA_cm2": 3e9}
    )
    rng = np.random.default_rng(40)
    paired = PairedEngines(setup, random_occupancy(setup.n_sites, rng, 6, 25), 41, attempts=20_000)
    kinds = paired.follow(events=300, every=50)
    assert kinds.total() - kinds[None] == 300
    paired.compare_state()
    assert kinds["mix"] > 20, kinds
    assert kinds["hop"] > 20, kinds
    assert not snapshot.differences(paired.engine)


@pytest.mark.parametrize("name", ["bcc_100", slow("bcc_110"), "bcc_111"])
def test_detailed_balance_of_every_pair(name):
    """Forward over reverse is exp(−ΔH/kT), and neither is faster than in bulk Li; exact."""
    setup = Setup(**{**HOT.__dict__, "lattice": name, "temperature_K": 400.0})
    rng = np.random.default_rng(42)
    occupancy = random_occupancy(setup.n_sites, rng, 15, 40)
    engine, oracle = setup.engine(occupancy), setup.naive(occupancy)
    lattice = engine.model.kernel_lattice
    pairs = 0
    for site in np.flatnonzero(occupancy == MG):
        for other in oracle.box.in_box(int(site), 1):
            if occupancy[other] != LI:
                continue
            places = lattice.kernel_sites(np.array([site, other]))
            packed = [int(x) for x in engine.state.site_state[places]]
            barrier, energy = rates.exchange_energies(engine.law, *packed)
            share = oracle.exchange_share(int(site), other)
            assert energy == oracle.change({int(site): LI, other: MG})
            assert rates.exchange_share(engine.law, barrier) == pytest.approx(share, rel=1e-12)
            oracle.occupancy[site], oracle.occupancy[other] = LI, MG
            reverse = oracle.exchange_share(other, int(site))
            oracle.occupancy[site], oracle.occupancy[other] = MG, LI
            ratio = math.exp(-energy * 1e-6 / oracle.kT)
            assert share / reverse == pytest.approx(ratio, rel=1e-9)
            assert max(share, reverse) <= 1.0
            pairs += 1
    assert pairs > 100


@pytest.mark.slow
@pytest.mark.validation
@pytest.mark.parametrize("supersaturation", [1.0, 20.0])
def test_diffusivity_of_Mg(supersaturation):
    """A lone Mg jumps 8 D/a² times a second, D = S f a² ν exp(−(E_f,1 + E0)/kT): 40 000 jumps.

    Standard error 0.5 %, within 4 of them; S f exp(−0.632 eV/kT) with f = 0.960 at 298.15 K.
    """
    setup = Setup(**{**HOT.__dict__, "boundary": "periodic", "layers": 8, "temperature_K": 298.15})
    occupancy = np.full(setup.n_sites, LI, dtype=np.uint8)
    occupancy[3] = MG
    engine = setup.engine(occupancy, 43)
    engine.set_mixing((supersaturation, 0, 0.0))
    engine.advance(events=40_000)
    assert engine.count(tables.MG_EXCHANGES) == 40_000
    kT = naive.K_B_EV * 298.15
    slowed = 1 - math.exp(-(0.35 - 0.102) / kT)
    true = 8 * supersaturation * 0.9596 * slowed * 2.6e12 * math.exp(-0.632 / kT)
    assert engine.count(tables.MG_EXCHANGES) / engine.time_s == pytest.approx(true, rel=0.02)


@pytest.mark.slow
@pytest.mark.validation
def test_equilibrium_of_one_Mg():
    """Without any vacancy one Mg is in each layer as exp(−H/kT) says, at 1200 K.

    4.5 standard errors of 20 blocks, by Student's t 99.8 % for all layers together.
    """
    engine = HOT.engine(np.where(np.arange(HOT.n_sites) == 40, MG, LI), 44, log_events=200_000)
    engine.advance(events=200_000)
    log, layers = engine.log, HOT.box.layer
    times = np.diff(np.append(log.time_s, log.time_s[-1]))
    blocks = np.zeros((20, HOT.layers))
    for block, part in enumerate(np.array_split(np.arange(200_000), 20)):
        np.add.at(blocks[block], layers[log.site_to[part]] - 1, times[part])
    found = blocks.sum(axis=0) / blocks.sum()
    oracle = HOT.naive(np.full(HOT.n_sites, LI))
    first = [int(np.flatnonzero(layers == k)[0]) for k in range(1, HOT.layers + 1)]
    energy = np.array([oracle.change({site: MG}) for site in first]) * 1e-6
    expected = np.exp(-(energy - energy.min()) / oracle.kT)
    expected /= expected.sum()
    share = blocks / blocks.sum(axis=1, keepdims=True)
    error = share.std(axis=0, ddof=1) / math.sqrt(20)
    assert np.all(np.abs(found - expected) < 4.5 * error + 1e-12), (found, expected, error)
    assert error[0] < 0.05 * expected[0]


def test_the_supersaturation_that_the_reservoir_sees():
    """S − 1 = net rate of absorption over k' c_eq of the top layer, over what the box leaves."""
    setup = Setup(**{**HOT.__dict__, "electrode_thickness_um": 0.1})
    engine = setup.engine(random_occupancy(setup.n_sites, np.random.default_rng(45), 0, 10), 46)
    engine.update_mixing()
    assert engine.mixing == (1.0, 0, 0.0)
    engine.state.clock[tables.TIME] = 1e-3
    engine.state.counters[tables.ABSORBED] = 500
    engine.state.counters[tables.EMITTED] = 200
    engine.update_mixing()
    model = engine.model
    per_site = 300 / 1e-3 / 16
    expected = 1 + per_site / model.emission_rate_per_site_Hz / (1 - model.box_share)
    assert engine.mixing == (pytest.approx(expected), 300, 1e-3)
    rate = model.mg_exchange_rate_Hz * expected / model.unit_Hz
    assert engine.channels.mg_exchange == pytest.approx(rate)


def test_a_state_is_taken_and_put_back():
    """Order of the list of Mg atoms and supersaturation with it: the same events follow."""
    setup = HOT
    occupancy = random_occupancy(setup.n_sites, np.random.default_rng(47), 6, 25)
    model = setup.model()
    whole = setup.engine(occupancy, 48, model=model)
    whole.set_mixing((4.0, 0, 0.0))
    whole.advance(events=500)
    again = snapshot.restore(model, snapshot.take(whole))
    for engine in (whole, again):
        engine.advance(events=1500)
    assert again.time_s == whole.time_s
    assert whole.count(tables.MG_EXCHANGES) > 50
    np.testing.assert_array_equal(again.occupancy(), whole.occupancy())
    np.testing.assert_array_equal(again.mg_sites(), whole.mg_sites())


def test_without_Mg_there_is_nothing_to_exchange():
    with pytest.raises(InputError, match="mg_exchange"):
        Setup(mg_exchange=True).model()
