"""Dead lithium at a given current and at a held voltage, against the oracle and by hand."""

import contextlib
from collections import Counter

import naive
import numpy as np
import pytest
from checks import Frozen
from marks import slow
from naive import LI, MG, VACANCY
from paired_engines import PairedEngines, Setup
from scipy import stats

from kmc.kernels import tables
from kmc.model.connectivity import Collector

LATTICES = tuple(naive.ORIENTATIONS)
CONDITIONS = {
    "temperature_K": 600.0,
    "floor_eV": 0.7,
    "electrode_thickness_um": 6000.0,
    "layers": 10,
    "overrides": {"exchange_current_density_mA_cm2": 1e6},
    "spares": True,
}
DRIVES = {
    "voltage strips": {"overpotential_V": 0.05},
    "voltage plates": {"overpotential_V": -0.05},
    "current strips": {"current_density_mA_cm2": 6e5},
    "current plates": {"current_density_mA_cm2": -6e5},
}


def sponge(setup, rng, magnesium=0) -> np.ndarray:
    """Metal over some layers of which a third of L1 and a seventh of the others is left.

    Two atoms at least could be stripped but for being dead, two others and two vacant sites react.
    """
    n = setup.kmc_lattice().sites_per_layer
    oracle = setup.naive(np.full(setup.n_sites, LI))
    occupancy = np.full(setup.n_sites, LI, dtype=np.uint8)
    depth = 7 if setup.lattice == "bcc_111" else 4  # none of them is beside the metal
    places = rng.permutation(np.arange(depth * n, setup.n_sites))
    occupancy[places[:magnesium]] = MG
    share = np.repeat([0.35, *[0.15] * (depth - 1)], n)
    while True:
        occupancy[: depth * n] = np.where(rng.random(depth * n) < share, LI, VACANCY)
        oracle.occupancy = occupancy.tolist()
        weights = oracle.strip_weights()
        connected_now, vacant = oracle.reached(weights), oracle.reached(oracle.plate_weights())
        if min(len(weights) - len(connected_now), len(connected_now), len(vacant)) >= 2:
            break
    if magnesium:
        occupancy[np.flatnonzero(occupancy[: depth * n] == LI)[::5]] = MG
    return occupancy


@pytest.mark.slow
@pytest.mark.parametrize("conductive", [(), (3, 4, 5)], ids=["", "scaffold"])
@pytest.mark.parametrize("drive", DRIVES)
@pytest.mark.parametrize(
    ("name", "magnesium"),
    [
        ("bcc_100", 25),
        slow("bcc_100", 0),
        ("bcc_110", 25),
        slow("bcc_110", 0),
        ("bcc_111", 0),
        slow("bcc_111", 25),
    ],
)
def test_dead_lithium_event_for_event(name, magnesium, drive, conductive):
    """Draws on dead metal are rejected, or drawn again among connected metal, by both."""
    setup = Setup(
        lattice=name,
        values=naive.LIMG_LI2S if magnesium else naive.LI_LI2S,
        mg_fraction=0.2 if magnesium else 0.0,
        conductive=conductive,
        **DRIVES[drive],
        **CONDITIONS,
    )
    kinds, spared = Counter(), 0
    for seed in range(8):
        occupancy = sponge(setup, np.random.default_rng([12, seed]), magnesium)
        paired = PairedEngines(setup, occupancy, seed, attempts=1000)
        paired.compare_state()
        oracle = paired.oracle
        with contextlib.suppress(naive.NoEvent):
            while paired.attempts < 25 and (oracle.strip_weights() or oracle.plate_weights()):
                event = paired.attempt()
                kinds[event and event.kind] += 1
        paired.compare_state()
        spared += oracle.spared
    assert spared >= 2
    assert kinds["strip"] + kinds["plate"] >= 5, kinds


@pytest.mark.slow
@pytest.mark.validation
@pytest.mark.parametrize("conductive", [(), (6,)], ids=["", "scaffold"])
def test_strip_and_plate_balance_in_every_state_of_a_few_atoms(conductive):
    """All 256 states of eight sites below a gap: what is stripped can be plated again, and back.

    r_ox/r_red = exp[(eη − (B − B_k))/kT] where the current reaches an atom, none of both elsewhere;
    the sums of the kernel are those of the oracle. Exact: the tolerances are for rounding.
    """
    setup = Setup("bcc_100", layers=8, temperature_K=600.0, overpotential_V=0.03, spares=True,
                  conductive=conductive)  # fmt: skip
    n = setup.kmc_lattice().sites_per_layer
    start = np.full(setup.n_sites, LI, dtype=np.uint8)
    start[: 3 * n] = VACANCY
    free = [0, 1, 2, 3, 4, 6, n, 2 * n + 2]
    model, oracle = setup.model(), setup.naive(start)
    k_ox, k_red = oracle.voltage_rates
    rates, balanced, dead = {}, 0, 0
    for state in range(2 ** len(free)):
        occupancy = start.copy()
        occupancy[free] = (state >> np.arange(len(free))) & 1
        oracle.occupancy = occupancy.tolist()
        strips = oracle.transferring(oracle.strip_weights())
        plates = oracle.transferring(oracle.plate_weights())
        engine = setup.engine(occupancy, model=model)
        found = engine.exchange_rates_Hz()
        per = model.charge_transfer_rates_Hz(0.0)
        np.testing.assert_allclose(
            found, [per[0] * sum(strips.values()), per[1] * sum(plates.values())], rtol=1e-11
        )
        bindings = {site: oracle.binding(site) for site in free[:6]}
        rates[state] = (strips, plates, bindings)
        dead += len(oracle.strip_weights()) - len(strips)
    assert dead >= 50
    for state, (strips, _, bindings) in rates.items():
        for k, site in enumerate(free[:6]):
            if not state >> k & 1:
                continue
            plates = rates[state - (1 << k)][1]
            assert (site in strips) == (site in plates)
            if site in strips:
                change_eV = (bindings[site] - oracle.formation_bulk) * 1e-6
                expected = np.exp((setup.overpotential_V - change_eV) / oracle.kT)
                ratio = k_ox * strips[site] / (k_red * plates[site])
                assert ratio == pytest.approx(expected, rel=1e-9)
                balanced += 1
    assert balanced >= 100


@pytest.mark.slow
@pytest.mark.validation
def test_dead_metal_has_no_rate_at_a_held_voltage():
    """χ² of 20 000 events drawn from one state against the oracle's list without dead sites.

    χ² and waiting times at p > 1e-4 each: what is right passes with 99.98 %.
    """
    setup = Setup(overpotential_V=0.05, **CONDITIONS)
    occupancy = sponge(setup, np.random.default_rng(12))
    oracle = setup.naive(occupancy)
    listed = {event: rate for event, rate in oracle.list_rates() if rate > 0}
    dead = oracle.strip_weights().keys() - oracle.transferring(oracle.strip_weights()).keys()
    assert len(dead) >= 2
    frozen, counts, times = Frozen(setup, occupancy, 203), Counter(), []
    for _ in range(20_000):
        event, time_s = frozen.draw()
        counts[event if event.kind in ("strip", "plate") else event.kind] += 1
        times.append(time_s)
    expected = Counter()
    for event, rate in listed.items():
        expected[event if event.kind in ("strip", "plate") else event.kind] += rate
    assert counts.keys() <= expected.keys()
    assert sum(counts[event] for event in counts if event not in ("hop", "emit")) >= 1000
    total = sum(expected.values())
    groups = [event for event in expected if expected[event] * 20_000 / total >= 10]
    wanted = np.array([expected[event] for event in groups])
    seen = np.array([counts[event] for event in groups], dtype=float)
    assert stats.chisquare(seen, wanted * seen.sum() / wanted.sum()).pvalue > 1e-4
    assert stats.kstest(np.array(times) * total, "expon").pvalue > 1e-4


@pytest.mark.parametrize("volts", [0.05, -0.05])
def test_a_hold_ends_where_dead_metal_alone_is_left(volts):
    """An island below a gap: no event of charge, and the reason says that nothing is left."""
    setup = Setup(layers=10, overpotential_V=volts, spares=True, **{
        key: CONDITIONS[key] for key in ("temperature_K", "floor_eV", "overrides")
    })  # fmt: skip
    n = setup.kmc_lattice().sites_per_layer
    occupancy = np.full(setup.n_sites, LI, dtype=np.uint8)
    occupancy[: 4 * n] = VACANCY
    occupancy[[1, 2, 5, 6]] = LI
    assert not Collector(setup.kmc_lattice()).connected(occupancy)[:n].any()
    engine = setup.engine(occupancy)
    assert engine.exchange_rates_Hz() == (0.0, 0.0)
    assert engine.advance(attempts=100_000) == tables.NO_ELECTROACTIVE
    assert engine.count(tables.STRIPS) == engine.count(tables.PLATES) == 0
    engine = setup.engine(occupancy)
    engine.spares = False
    engine.advance(strips=1, attempts=100_000)
    assert engine.count(tables.STRIPS) + engine.count(tables.PLATES) >= 1
