"""Walks of a lone vacancy drawn at once: against the exact chain, and against hop by hop."""

from __future__ import annotations

import dataclasses
import math
import os

import naive
import numpy as np
import pytest
from marks import slow
from numba import njit
from observed import vacancy_rates_Hz
from paired_engines import Setup
from scipy import linalg, stats

from kmc.errors import InputError
from kmc.kernels import lone_vacancy, tables
from kmc.model import rate_tables
from kmc.model.model import Model
from kmc.systems.electrode import snapshot

pytestmark = pytest.mark.slow

SEED = 20
FLAT = {"formation_energy_L1_eV": 0.65}  # vacancies leave the interface for the metal
compiled = pytest.mark.skipif(
    os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"),
    reason="a million walks take minutes without compilation",
)


def setup_of(layers=8, cells=(6, 6), floor_eV=0.25, current=2e3, **overrides) -> Setup:
    return Setup(
        cells=cells,
        layers=layers,
        overrides=overrides,
        floor_eV=floor_eV,
        current_density_mA_cm2=current,
        electrode_thickness_um=0.5,
    )


def model_of(setup: Setup, superbasins: bool) -> Model:
    return dataclasses.replace(setup.model(), superbasins=superbasins)


def occupancy_of(setup: Setup, layer: int | None = None) -> np.ndarray:
    occupancy = np.full(setup.n_sites, naive.LI, dtype=np.uint8)
    if layer is not None:
        occupancy[layer * setup.box.sites_per_layer] = naive.VACANCY
    return occupancy


@njit
def many_walks(walk, others, layer, n, rng):
    """Ends, times and hops by way of so many walks."""
    ways = np.zeros((n, tables.N_WAYS), np.int64)
    counters = np.zeros(tables.N_COUNTERS, dtype=np.int64)
    ends, hops, times = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n)
    for i in range(n):
        counters[:] = 0
        ends[i], hops[i], times[i] = lone_vacancy._draw_walk(walk, others, layer, counters, rng)
        ways[i] = counters[tables.HOPS_BY_WAY : tables.HOPS_BY_WAY + tables.N_WAYS]
    return ends, hops, times, ways


class Chain:
    """The absorbing Markov chain of the layers, by linear algebra."""

    def __init__(self, walk: tables.LoneVacancy, others: float):
        n = walk.layers
        self.leave = np.full(n, others)
        self.leave[-1] += walk.absorption
        self.rates = np.diag(walk.rate[1, :-1], 1) + np.diag(walk.rate[0, 1:], -1)
        self.Q = self.rates - np.diag(self.rates.sum(axis=1) + self.leave)
        self.dwell = linalg.inv(-self.Q)  # mean time in layer m of a walk from layer s

    def ends(self, start: int) -> np.ndarray:
        return self.dwell[start] * self.leave

    def crossings(self, start: int) -> np.ndarray:
        return self.dwell[start][:, None] * self.rates

    def ways(self, start: int) -> np.ndarray:
        """Mean hops by way; an atom goes up as the vacancy comes down."""
        crossings, mean = self.crossings(start), np.zeros(tables.N_WAYS)
        for m in range(len(self.leave) - 1):
            stage = tables.FIRST_WAY + 2 * min(m, 2)
            mean[stage : stage + 2] += crossings[m + 1, m], crossings[m, m + 1]
        return mean

    def ended_by(self, start: int, time: float) -> float:
        return 1.0 - linalg.expm(self.Q * time)[start].sum()


@pytest.mark.parametrize("floor_eV", [None, 0.2])
@pytest.mark.parametrize("values", [{}, FLAT], ids=["lithophobic", "lithiophilic"])
def test_rates_are_those_of_the_event_loop(values, floor_eV):
    """Layer by layer the hops up and down of a vacancy that is alone, to the last digits."""
    setup = setup_of(floor_eV=floor_eV, **values)
    model = setup.model()
    walk = rate_tables.lone_vacancy(model, wanted=True)
    neighbours = setup.kmc_lattice().neighbour_table(1)
    per_layer = setup.box.sites_per_layer
    for layer in range(setup.layers):
        engine = setup.engine(occupancy_of(setup, layer))
        site = layer * per_layer
        rates = vacancy_rates_Hz(engine, site) / model.unit_Hz
        to = np.where(neighbours[site] >= 0, neighbours[site] // per_layer, -9)
        for side, other in ((0, layer - 1), (1, layer + 1)):
            there = rates[:8][to == other].sum()
            assert walk.rate[side, layer] == pytest.approx(there, rel=1e-12), (layer, side)
        absorbed = rates[8:].sum()
        assert absorbed == pytest.approx(walk.absorption if layer == setup.layers - 1 else 0.0)


def worst_mean(chain: Chain, start: int, times, ways) -> float:
    """Largest deviation of the mean time and the mean hops of each way, in standard errors.

    Of ways with fewer than 25 hops to be expected nothing is said, and no count is taken to scatter
    less than a Poisson number.
    """
    n, mean = len(times), chain.ways(start)
    deviations = [(times.mean() - chain.dwell[start].sum()) / (times.std() / math.sqrt(n))]
    for way in np.flatnonzero(n * mean >= 25):
        variance = max(ways[:, way].var(), mean[way])
        deviations.append((ways[:, way].mean() - mean[way]) / math.sqrt(variance / n))
    return float(np.abs(deviations).max())


@pytest.mark.slow
@compiled
@pytest.mark.validation
@pytest.mark.parametrize("start", [0, 1, 4, 7])
@pytest.mark.parametrize("values", [{}, FLAT], ids=["lithophobic", "lithiophilic"])
@pytest.mark.parametrize("share", [1e-1, 1e-3])
def test_walks_follow_the_absorbing_chain(values, start, share):
    """Ends by χ², times by χ² against the phase-type law, hops of each way by their means.

    Exact: the fundamental matrix of the chain (Novotny 1995). χ² at p > 1e-4, means within 4.5
    standard errors.
    """
    walk = rate_tables.lone_vacancy(setup_of(floor_eV=0.25, **values).model(), wanted=True)
    others, n = share * walk.rate.max(), 40_000
    chain = Chain(walk, others)
    rng = np.random.default_rng([SEED, start])
    ends, hops, times, ways = many_walks(walk, others, start, n, rng)

    expected = n * chain.ends(start)
    seen = np.bincount(ends, minlength=walk.layers)
    common = expected >= 5
    pooled = [np.append(x[common], x[~common].sum()) for x in (seen, expected)]
    if pooled[1][-1] < 5:
        pooled = [np.append(x[:-2], x[-2:].sum()) for x in pooled]
    assert stats.chisquare(*pooled).pvalue > 1e-4

    edges = np.quantile(times[:2000], np.linspace(0, 1, 21)[1:-1])  # the others are tested
    below = np.array([0.0, *(chain.ended_by(start, t) for t in edges), 1.0])
    counts = np.histogram(times[2000:], [0, *edges, np.inf])[0]
    assert stats.chisquare(counts, counts.sum() * np.diff(below)).pvalue > 1e-4

    np.testing.assert_array_equal(ways.sum(axis=1), hops)
    assert not ways[:, tables.IN_LAYER].any()
    assert worst_mean(chain, start, times, ways) < 4.5


@pytest.mark.slow
@compiled
@pytest.mark.validation
@pytest.mark.parametrize(
    "wrong", [slow("up from L1"), slow("down from L2"), "in the bulk", slow("absorption"), "end"]
)
@pytest.mark.parametrize("values", [slow({}), FLAT])
def test_five_percent_are_noticed(values, wrong):
    """A chain with one rate 5 % off fails the check of the means from some start."""
    right = rate_tables.lone_vacancy(setup_of(floor_eV=0.25, **values).model(), wanted=True)
    rate, absorption = right.rate.copy(), right.absorption
    others = min(1e-2 * right.rate.max(), 3 * right.rate[1, 0])  # leaves L1 now and then
    chain, drawn = Chain(right, others), others
    if wrong == "up from L1":
        rate[1, 0] *= 1.05
    elif wrong == "down from L2":
        rate[0, 1] *= 1.05
    elif wrong == "in the bulk":
        rate[0, 4] *= 1.05
    elif wrong == "absorption":
        absorption *= 1.05
    else:
        drawn *= 1.05
    walk = right._replace(rate=rate, absorption=absorption)
    for start in (0, 1, 4, 7):
        rng = np.random.default_rng([SEED, 9, start])
        _, _, times, ways = many_walks(walk, drawn, start, 1_000_000, rng)
        if worst_mean(chain, start, times, ways) > 4.5:
            return
    pytest.fail(f"{wrong} 5 % off was not noticed from any start")


@compiled
@pytest.mark.validation
def test_steps_in_plane():
    """Each hop moves half a cell in x and in y, to either side alike: a binomial number of each.

    Three χ² at p > 1e-4: what is right passes with 99.97 %.
    """
    setup = setup_of(cells=(5, 7))
    walk = rate_tables.lone_vacancy(setup.model(), wanted=True)
    rng = np.random.default_rng(SEED)
    # From layer 0 to layer 3 in 3 hops: 2 * ix + 1 = ±3 or ±1, with 1, 3, 3, 1 chances in 8.
    column, n = 2 * 5 + 1, 20_000  # ix = 1, iy = 2

    @njit
    def columns(walk, column, n, rng):
        out = np.empty(n, np.int64)
        for i in range(n):
            out[i] = lone_vacancy._shifted_column(walk, column, 0, 3, 3, rng)
        return out

    found = columns(walk, column, n, rng)
    iy, ix = np.divmod(found, 5)
    for cell, before, size in ((ix, 1, 5), (iy, 2, 7)):
        steps = (
            cell - before + 2
        ) % size - 2  # −2, −1, 0, 1: half-cells −3, −1, 1, 3 less one half
        counts = [(steps == k).sum() for k in (-2, -1, 0, 1)]
        assert sum(counts) == n
        assert stats.chisquare(counts, n * np.array([1, 3, 3, 1]) / 8).pvalue > 1e-4
    together = np.histogram2d(ix, iy, (np.arange(6), np.arange(8)))[0]
    rows, columns_seen = together.sum(axis=1) > 0, together.sum(axis=0) > 0
    assert stats.chi2_contingency(together[rows][:, columns_seen]).pvalue > 1e-4


def run_of(setup: Setup, superbasins: bool, seed: int, strips: int, start=None):
    model = model_of(setup, superbasins)
    engine = setup.engine(occupancy_of(setup, start), seed, model=model, alloy=False)
    engine.advance(strips=strips)
    return engine


@pytest.mark.long
@compiled
@pytest.mark.validation
@pytest.mark.parametrize("values", [slow({}), FLAT])
def test_runs_are_the_same_as_hop_by_hop(values):
    """Time, contact, vacancies, absorbed and hops of 200 short runs each way: two-sample tests.

    Kolmogorov–Smirnov for what is continuous or has many values, at p > 1e-4 each.
    """
    setup = setup_of(layers=8, floor_eV=0.25, current=300.0, **values)
    names = ("time_s", "contact_fraction", "vacancies", "absorbed", "hops", "hops_Li_L1_up")
    rows = {}
    for superbasins in (False, True):
        samples = [run_of(setup, superbasins, 1000 + i, 12).sample() for i in range(200)]
        rows[superbasins] = {name: np.array([s[name] for s in samples]) for name in names}
    assert rows[True]["hops"].mean() > 300  # the walks are there
    for name in names:
        p = stats.ks_2samp(rows[False][name], rows[True][name]).pvalue
        assert p > 1e-4, (name, rows[False][name].mean(), rows[True][name].mean())


@compiled
def test_bookkeeping_after_walks():
    """Energy to the last µeV, counts, bins and sums of hops of a run with thousands of walks."""
    setup = setup_of(layers=10, cells=(8, 8), floor_eV=0.25, current=20.0, **FLAT)
    engine = run_of(setup, True, 3, 2000)
    assert engine.count(tables.HOPS) > 50 * engine.count(tables.STRIPS)
    assert engine.energy_ueV == engine.model.energy_ueV(engine.occupancy())
    assert not snapshot.differences(engine)
    ways = engine.state.counters[tables.HOPS_BY_WAY :]
    assert ways.sum() == engine.count(tables.HOPS)


@compiled
def test_the_same_seed_in_pieces():
    """Where the loop comes back between events does not matter to what follows."""
    setup = setup_of(layers=10, cells=(8, 8), floor_eV=0.25, current=20.0, **FLAT)
    whole = run_of(setup, True, 5, 300)
    model = model_of(setup, True)
    pieces = setup.engine(occupancy_of(setup), 5, model=model, alloy=False)
    for strips in range(1, 301):
        pieces.advance(strips=strips)
    assert pieces.time_s == whole.time_s
    np.testing.assert_array_equal(pieces.occupancy(), whole.occupancy())
    np.testing.assert_array_equal(pieces.state.counters, whole.state.counters)


@compiled
def test_a_time_limit_is_met_exactly():
    setup = setup_of(layers=8, floor_eV=0.25, current=20.0, **FLAT)
    engine = setup.engine(occupancy_of(setup), 7, model=model_of(setup, True), alloy=False)
    end = 200 / (engine.channels.strip * engine.channels.unit_Hz)
    assert engine.advance(time_s=end) == tables.TIME_IS_UP
    assert engine.time_s == end
    assert 120 < engine.count(tables.STRIPS) < 290


def test_models_that_it_is_not_made_for():
    for change in (
        {"lattice": "bcc_110"},
        {"stack_pressure_MPa": 1.0},
        {"values": naive.LIMG_LI2S, "mg_fraction": 0.1},
    ):
        setup = dataclasses.replace(setup_of(), **change)
        with pytest.raises(InputError, match="superbasins"):
            model_of(setup, True)
