"""The saddle floor leaves equilibrium as it is: floored runs, exact runs, and a walk without rates.

Closed boxes, so that the number of vacancies is conserved. The temperature is one at which an exact
run can be afforded: at 298 K it would spend all its hops on flickering, while at 900 K (pure metal)
and 1200 K (alloy, where Mg must find a vacancy to go anywhere) voids form and dissolve and Mg comes
and goes thousands of times in some million hops. Three floors: one that raises only the steep hops
(0.03 eV, below all barriers), one between the barriers of Li and Mg (0.08 eV), and one above all
of them (0.35 eV, that of the shipped runs at a ratio of 1e6).
"""

import math
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import naive
import numpy as np
import pytest
from checks import RIGHT, Estimate, Maker, NotConclusive, logs
from marks import slow
from naive import LI, MG, VACANCY
from paired_engines import Setup, random_occupancy
from sampler import SIZES, box_of, follow, metropolis, total_energy
from test_equilibrium import check_layer_occupation

from kmc.kernels import tables

pytestmark = pytest.mark.validation

BLOCKS = 40
SIGMAS = 4.0  # a right floor passes with 99.99 % for each number
HIGH_eV = 0.35
PURE = Setup(cells=(5, 5), layers=10, temperature_K=900.0)
# Mg likes L1 less than by DFT, so that some of it is elsewhere: 0.3 eV instead of 0.67.
ALLOY = Setup(
    values=naive.LIMG_LI2S,
    overrides={"fill_Mg_near_Mg_eV": -0.30},
    temperature_K=1200.0,
)
BOXES = {
    "pure": (PURE, 8, 0),
    "periodic": (replace(PURE, boundary="periodic"), 8, 0),
    "alloy": (ALLOY, 6, 20),
}
LAYERS = ("L1", "L2", "deeper")
VOIDS = {"1": (0, 1), "2": (1, 2), "3 to 4": (2, 4), "5 or more": (4, SIZES)}
EVENTS = {"pure": 4_000_000, "periodic": 4_000_000, "alloy": 8_000_000}


class Blocks(NamedTuple):
    """What blocks of a run or walk hold."""

    layers: np.ndarray  # float64[blocks, species, L1 L2 deeper]
    sizes: np.ndarray  # float64[blocks, SIZES]: vacancies by the size of their void

    def occupation(self, species) -> dict[str, Estimate]:
        """Share of the vacancies (or Mg) in each layer."""
        of_all = self.layers[:, species]
        return {
            name: Estimate.of_blocks(of_all[:, k], of_all.sum(axis=1))
            for k, name in enumerate(LAYERS)
        }

    def voids(self) -> dict[str, Estimate]:
        """Share of the vacancies in voids of each size."""
        return {
            name: Estimate.of_blocks(self.sizes[:, a:b].sum(axis=1), self.sizes.sum(axis=1))
            for name, (a, b) in VOIDS.items()
        }


def start(name):
    setup, vacancies, magnesium = BOXES[name]
    rng = np.random.default_rng(600)
    return setup, random_occupancy(setup.n_sites, rng, vacancies, magnesium)


def run(name, floor_eV, seed, make=RIGHT, events=None) -> Blocks:
    """Time in each layer, and void sizes at equal intervals, of a run in a closed box."""
    setup, occupancy = start(name)
    setup = replace(setup, floor_eV=floor_eV)
    events = events or EVENTS[name]
    chunk = events // BLOCKS
    engine = make.engine(setup, occupancy, seed, log_events=chunk)
    engine.advance(events=events // 20)
    interval = engine.time_s / (events // 20) * 40  # some forty hops
    box, state = box_of(setup), engine.occupancy().astype(np.int64)
    layers, sizes = np.zeros((BLOCKS, 3, len(LAYERS))), np.zeros((BLOCKS, SIZES))
    for k, (begin, log) in enumerate(logs(engine, chunk * BLOCKS, chunk)):
        moves = (log.site_from, log.site_to, log.time_s)
        follow(box, state, begin, moves, interval, layers[k], sizes[k])
    np.testing.assert_array_equal(state, engine.occupancy())
    return Blocks(layers, sizes)


@lru_cache
def right_run(name, floor_eV, seed, events) -> Blocks:
    return run(name, floor_eV, seed, events=events)


@lru_cache
def walk(name, sweeps) -> Blocks:
    """The Boltzmann distribution, by exchanging any two sites."""
    setup, occupancy = start(name)
    state = occupancy.astype(np.int64)
    defects, kT_ueV = np.flatnonzero(state != LI), naive.K_B_EV * setup.temperature_K * 1e6
    metropolis(box_of(setup), state, defects, kT_ueV, sweeps // 10, 601)
    layers, sizes = metropolis(box_of(setup), state, defects, kT_ueV, sweeps, 602)
    return Blocks(
        layers.reshape(BLOCKS, -1, *layers.shape[1:]).sum(axis=1),
        sizes.reshape(BLOCKS, -1, SIZES).sum(axis=1),
    )


def alike(one, other, resolution):
    """Assert that two sets of estimates agree, and that they are sharp enough to be compared.

    `resolution` is the largest standard error allowed, relative to the number.
    """
    for name, a in one.items():
        b = other[name]
        error = math.hypot(a.error, b.error)
        deviation = (a.value - b.value) / error
        assert abs(deviation) <= SIGMAS, f"{name}: {a} and {b}, {deviation:+.1f} sigma"
    for name, a in one.items():
        error = math.hypot(a.error, other[name].error)
        if error > resolution * a.value:
            raise NotConclusive(f"{name}: {a} and {other[name]} are not sharp enough")


def references(name, events):
    """An exact run of as many hops, and a walk that is sharper still."""
    events = events or EVENTS[name]
    return right_run(name, None, 603, events), walk(name, 200_000 * max(1, events // 5_000_000))


def floored(name, floor_eV, make, events) -> Blocks:
    if make is RIGHT:
        return right_run(name, floor_eV, 604, events or EVENTS[name])
    return run(name, floor_eV, 604, make, events)


def check_layers(make=RIGHT, floor_eV=HIGH_eV, name="pure", events=None, resolution=0.015):
    """Vacancies in L1, L2 and deeper: floored against exact, and against the walk."""
    run = floored(name, floor_eV, make, events).occupation(VACANCY)
    for reference in references(name, events):
        alike(run, reference.occupation(VACANCY), resolution)
    return run


def check_void_sizes(make=RIGHT, floor_eV=HIGH_eV, name="pure", events=None, resolution=0.015):
    """Vacancies alone, in pairs and in voids: floored against exact, and against the walk."""
    run = floored(name, floor_eV, make, events).voids()
    for reference in references(name, events):
        alike(run, reference.voids(), resolution)
    return run


def check_enrichment(make=RIGHT, floor_eV=HIGH_eV, name="alloy", events=None, resolution=0.025):
    """Mg in L1, L2 and deeper: floored against exact, and against the walk."""
    run = floored(name, floor_eV, make, events).occupation(MG)
    for reference in references(name, events):
        alike(run, reference.occupation(MG), resolution)
    return run


# ---- the reference itself ------------------------------------------------------------------------


@pytest.mark.parametrize("face", naive.ORIENTATIONS)
def test_the_walk_has_the_energies_of_the_model(face):
    """Bond by bond, crowded with vacancies and Mg: exact."""
    setup = replace(ALLOY, lattice=face, layers=12)
    rng = np.random.default_rng(605)
    for _ in range(5):
        state = random_occupancy(setup.n_sites, rng, 30, 60)
        assert total_energy(box_of(setup), state.astype(np.int64)) == setup.naive(state).energy()


@pytest.mark.long
def test_exact_runs_are_in_equilibrium():
    """Without a floor the runs agree with the walk: about twenty numbers within 4 sigma."""
    for name in ("pure", "alloy"):
        exact, reference = references(name, None)
        alike(exact.occupation(VACANCY), reference.occupation(VACANCY), 0.015)
        alike(exact.voids(), reference.voids(), 0.03)
    alike(exact.occupation(MG), reference.occupation(MG), 0.025)


# ---- the floor -----------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("floor_eV", [slow(0.03), HIGH_eV])
def test_layers_and_voids_of_a_pure_metal(floor_eV):
    """Share of 8 vacancies in L1, L2 and deeper, and in voids of each size, at 900 K.

    Against an exact run and against the walk, each number to 1.5 % or better; fourteen comparisons
    a floor within 4 standard errors: 99.9 %.
    """
    check_layers(floor_eV=floor_eV)
    check_void_sizes(floor_eV=floor_eV)


@pytest.mark.slow
def test_enrichment_of_an_alloy():
    """The next test in short: the share of the Mg in each layer to 5 %; 99.98 %."""
    check_enrichment(events=2_000_000, resolution=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("floor_eV", [0.08, HIGH_eV])
def test_layers_voids_and_enrichment_of_an_alloy(floor_eV):
    """20 Mg and 6 vacancies at 1200 K: also the share of the Mg in L1, which it prefers.

    Twenty comparisons a floor within 4 standard errors: 99.9 %. Sharp to 1.5 % for vacancies in
    layers, 3 % for voids, 2.5 % for Mg.
    """
    found = check_enrichment(floor_eV=floor_eV)
    sites = ALLOY.n_sites / ALLOY.box.layers
    enrichment = found["L1"].value / sites * (ALLOY.n_sites - 2 * sites) / found["deeper"].value
    assert enrichment > 2  # more in L1, site by site, than in the bulk
    check_layers(floor_eV=floor_eV, name="alloy")
    check_void_sizes(floor_eV=floor_eV, name="alloy", resolution=0.03)


@pytest.mark.slow
def test_one_vacancy_at_room_temperature():
    """298.15 K under the floor of `strip_li`: L1 : L2 : bulk still as 5233 : 15.2 : 1; 99.98 %.

    One vacancy can be followed there, and its distribution is exactly known. Each ratio within 4
    standard errors of at most 1 %; 5 % of the rounded figures is five of them.
    """
    ratios = check_layer_occupation(floor_eV=0.345)
    assert ratios[0] == pytest.approx(5233, rel=0.05, abs=0)
    assert ratios[1] == pytest.approx(15.2, rel=0.05, abs=0)


@pytest.mark.long
@pytest.mark.parametrize("floor_eV", [0.03, 0.08, HIGH_eV])
def test_sharper(floor_eV):
    """The same with ten times the hops, each number to 1 % or better, and in a periodic box."""
    check_layers(floor_eV=floor_eV, events=40_000_000, resolution=0.008)
    check_void_sizes(floor_eV=floor_eV, events=40_000_000, resolution=0.01)
    check_void_sizes(floor_eV=floor_eV, name="periodic", events=40_000_000, resolution=0.01)
    check_layers(floor_eV=floor_eV, name="alloy", events=60_000_000, resolution=0.01)
    check_void_sizes(floor_eV=floor_eV, name="alloy", events=60_000_000, resolution=0.015)
    check_enrichment(floor_eV=floor_eV, events=60_000_000, resolution=0.012)


# ---- floors done wrong ---------------------------------------------------------------------------


def uphill(factor) -> Maker:
    """Hops that lead up by ΔE > 0 have their rate multiplied by ``factor(ΔE in eV)``.

    Under a floor above all barriers, where an alloy's rate depends on ΔE alone.
    """

    def change(law):
        if isinstance(law, tables.OneSpecies):
            energy = np.maximum(law.hop_energy_ueV, 0) * 1e-6
            return law._replace(hop_rate=law.hop_rate * np.where(energy > 0, factor(energy), 1.0))
        assert law.floor_rules
        energy = (np.arange(law.rate_coarse.size) * 1024 + 512 - law.floors_ueV[-1]) * 1e-6
        higher = np.arange(law.rate_coarse.size) > law.floors_ueV[-1] >> 10
        factors = np.where(higher, factor(np.maximum(energy, 0.0)), 1.0)
        return law._replace(rate_coarse=law.rate_coarse * factors)

    return Maker(law=change)


def raised_uphill_only(temperature_K) -> Maker:
    """The floor raises a hop that leads up and forgets its reverse, which is faster by this."""
    kT = naive.K_B_EV * temperature_K
    return uphill(lambda dE: np.exp(-(HIGH_eV - np.maximum(0.055 - dE / 2, 0.0)) / kT))


def clamped(temperature_K) -> Maker:
    """max(E_a, E_floor) for each direction by itself, the obvious mistake."""
    kT = naive.K_B_EV * temperature_K

    def factor(dE):
        exact = np.maximum(0.055 + dE / 2, dE)
        return np.exp((HIGH_eV + dE - np.maximum(exact, HIGH_eV)) / kT)

    return uphill(factor)


FIVE_PERCENT_UPHILL = uphill(lambda dE: np.full_like(dE, 1 / 1.05))
T_pure, T_alloy = PURE.temperature_K, ALLOY.temperature_K


@pytest.mark.slow
@pytest.mark.parametrize("mistake", [raised_uphill_only, clamped])
def test_a_wrong_floor_is_noticed_at_once(mistake):
    """By each check, in an eighth of the hops, and by more than its resolution."""
    for check, name, temperature_K in (
        (check_layers, "pure", T_pure),
        (check_void_sizes, "pure", T_pure),
        (check_enrichment, "alloy", T_alloy),
    ):
        wrong = mistake(temperature_K)
        with pytest.raises(AssertionError, match="sigma"):
            check(make=wrong, name=name, events=EVENTS[name] // 8)
