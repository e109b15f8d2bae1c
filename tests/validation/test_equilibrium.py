"""Equilibrium against exact Boltzmann statistics: detailed balance, enumerated boxes, reservoir."""

import itertools
import math

import naive
import numpy as np
import pytest
from checks import RIGHT, Estimate, agrees, li_box, logs
from marks import slow
from naive import LI, MG, VACANCY
from numba import njit
from observed import vacancy_rates_Hz
from paired_engines import Setup, random_occupancy

from kmc.kernels import tables

pytestmark = pytest.mark.validation


# ---- one vacancy -------------------------------------------------------------------------------


def check_layer_occupation(
    make=RIGHT, name="bcc_100", events=15_000_000, temperature_K=298.15, floor_eV=None
):
    """Time of one vacancy in L1, L2 and deeper, against exp(−E/kT) of each layer."""
    layers = {"bcc_100": 8, "bcc_110": 8, "bcc_111": 12}[name]
    setup = Setup(name, (4, 4), layers, temperature_K=temperature_K, floor_eV=floor_eV)
    box, chunk = setup.box, events // 60
    oracle = setup.naive(li_box(setup))
    energy = np.array([oracle.change({site: VACANCY}) for site in range(box.n_sites)])
    # The interface layers one by one; everything deeper is one class (bulk: one energy).
    deep = int((energy == energy[-1]).argmax()) // box.sites_per_layer + 1
    group = np.minimum(box.layer, deep) - 1
    engine = make.engine(setup, li_box(setup, 0), 301, log_events=chunk)
    weight = np.exp(-(energy - energy[-1]) * 1e-6 / oracle.kT)
    share = np.bincount(group, weights=weight) / weight.sum()
    times, site = [], 0
    for start, log in logs(engine, events, chunk):
        places = np.concatenate([[site], log.site_from[:-1]])
        waits = np.diff(log.time_s, prepend=start)
        times.append(np.bincount(group[places], weights=waits, minlength=deep))
        site = log.site_from[-1]
    times = np.array(times)
    measured = [Estimate.of_blocks(times[:, k], times[:, -1]) for k in range(deep - 1)]
    for k, ratio in enumerate(measured):  # per site, against the bulk
        agrees(ratio, share[k] / share[-1])
    sites = np.bincount(group)
    return [ratio.value * sites[-1] / sites[k] for k, ratio in enumerate(measured)]


@pytest.mark.slow
def test_layer_occupation_at_room_temperature():
    """One vacancy at 298.15 K lives in L1 : L2 : bulk as 5233 : 15.2 : 1 (0.28 / 0.43 / 0.50 eV).

    Time average over fifteen million hops on bcc_100, each ratio to about 1 %; 99.98 %. 5 % of the
    rounded figures is five standard errors.
    """
    ratios = check_layer_occupation()
    assert ratios[0] == pytest.approx(5233, rel=0.05, abs=0)
    assert ratios[1] == pytest.approx(15.2, rel=0.05, abs=0)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "temperature_K"), [("bcc_110", 700.0), ("bcc_111", 400.0)])
def test_layer_occupation_of_other_faces(name, temperature_K):
    """The same with first neighbours inside L1 (110) and bonds missing in L3 (111); 99.98 %."""
    check_layer_occupation(name=name, temperature_K=temperature_K, events=9_000_000)


# ---- every pair of states ----------------------------------------------------------------------


def check_detailed_balance(make=RIGHT, floor_eV=None, temperature_K=298.15, thickness_um=1e-3):
    """Rates both ways for all pairs of states of a box with one vacancy and one Mg."""
    setup = Setup(
        values=naive.LIMG_LI2S,
        temperature_K=temperature_K,
        floor_eV=floor_eV,
        electrode_thickness_um=thickness_um,
        mg_fraction=0.2,
    )
    lattice = setup.kmc_lattice()
    table = lattice.neighbour_table(1)
    model = make.model(setup)
    oracle = setup.naive(li_box(setup))
    kT = oracle.kT

    def moved(site, shift):
        """The same site seen after an in-plane translation that takes `shift` to the origin."""
        layer, rest = divmod(site, 16)
        y, x = divmod(rest, 4)
        return layer * 16 + ((y - shift // 4) % 4) * 4 + (x - shift % 4) % 4

    def canonical(vacancy, magnesium):
        shift = vacancy % 16
        return moved(vacancy, shift), moved(magnesium, shift)

    rates, energies = {}, {}
    for vacancy in range(0, setup.n_sites, 16):
        for magnesium in range(setup.n_sites):
            if magnesium == vacancy:
                continue
            occupancy = li_box(setup, vacancy)
            occupancy[magnesium] = MG
            engine = setup.engine(occupancy, 0, model=model)
            rates[vacancy, magnesium] = vacancy_rates_Hz(engine, vacancy)
            # The oracle's energy: the kernel's own ΔE cannot vouch for itself.
            oracle.occupancy = occupancy.tolist()
            energies[vacancy, magnesium] = oracle.energy()
    pairs = 0
    for (vacancy, magnesium), forward in rates.items():
        for k in range(8):
            atom = int(table[vacancy, k])
            if atom < 0:
                assert forward[k] == 0.0
                continue
            after = (atom, vacancy) if atom == magnesium else (atom, magnesium)
            # The opposite direction of the new vacancy leads back.
            origin = moved(vacancy, atom % 16)
            new = canonical(*after)
            back = [k for k in range(8) if table[new[0], k] == origin]
            change = energies[new] - energies[vacancy, magnesium]
            ratio = forward[k] / rates[new][back[0]]
            assert ratio == pytest.approx(math.exp(-change * 1e-6 / kT), rel=1e-9, abs=0)
            pairs += 1
        # Exchange with the reservoir: against emission from the filled site.
        if vacancy >= setup.n_sites - 16:
            occupancy = li_box(setup, vacancy)
            occupancy[magnesium] = MG
            oracle.occupancy = occupancy.tolist()
            for species, share, bulk in ((LI, 0.8, 1_000_002), (MG, 0.2, 1_000_002 + 330_000)):
                binding = -oracle.change({vacancy: species})
                ratio = forward[7 + species] / model.emission_rate_per_site_Hz
                expected = share * math.exp((binding - bulk + 500_001) * 1e-6 / kT)
                assert ratio == pytest.approx(expected, rel=1e-9, abs=0)
        elif vacancy < setup.n_sites - 16:
            assert not forward[8:].any()
    assert pairs > 7000
    return pairs


# 0.03 raises steep hops alone, 0.058 and 0.08 lie between the barriers of Li, Li beside Mg and Mg.
FLOORS_eV = [None, slow(0.03), slow(0.058), 0.08, slow(0.3)]


@pytest.mark.slow
@pytest.mark.parametrize("floor_eV", FLOORS_eV)
def test_detailed_balance_of_every_pair(floor_eV):
    """w_ij/w_ji = exp(−ΔE/kT) for all 7 112 pairs of a 4×4×8 box with one vacancy and one Mg.

    Up to translations; hops of Li and Mg through the whole box, and absorption of Li and Mg against
    emission. The rates are the kernel's, the energies the oracle's. Exact.
    """
    check_detailed_balance(floor_eV=floor_eV)


def check_detailed_balance_along_a_run(
    make=RIGHT, name="bcc_110", floor_eV=None, events=150, vacancies=40, thickness_um=math.inf
):
    """The same for each event of a crowded box: forward rate before it, reverse rate after it."""
    setup = Setup(
        name, (4, 4), 12, values=naive.LIMG_LI2S, temperature_K=1200.0, floor_eV=floor_eV,
        electrode_thickness_um=thickness_um, mg_fraction=0.2,
    )  # fmt: skip
    lattice = setup.kmc_lattice()
    table = lattice.neighbour_table(1)
    occupancy = random_occupancy(setup.n_sites, np.random.default_rng(302), vacancies, 80)
    engine = make.engine(setup, occupancy, 302, log_events=events)
    oracle = setup.naive(occupancy)
    for done in range(events):
        before = {site: vacancy_rates_Hz(engine, site) for site in oracle.vacancies()}
        engine.advance(events=done + 1)
        log = engine.log
        source, target = int(log.site_from[done]), int(log.site_to[done])
        if log.kind[done] != tables.HOP:
            oracle.occupancy = engine.occupancy().tolist()
            continue
        change = oracle.change({target: int(log.species[done]), source: VACANCY})
        forward = before[target][list(table[target]).index(source)]
        reverse = vacancy_rates_Hz(engine, source)[list(table[source]).index(target)]
        ratio = math.exp(-change * 1e-6 / oracle.kT)
        assert forward / reverse == pytest.approx(ratio, rel=1e-9, abs=0)
        oracle.apply(naive.Event("hop", source, target, int(log.species[done]), 0.0))


@pytest.mark.parametrize("floor_eV", FLOORS_eV)
@pytest.mark.parametrize("name", naive.ORIENTATIONS)
def test_detailed_balance_in_a_crowd(name, floor_eV):
    """w_ij/w_ji = exp(−ΔE/kT) along a run with a tenth vacant and a fifth Mg; exact."""
    check_detailed_balance_along_a_run(name=name, floor_eV=floor_eV)


@pytest.mark.slow
def test_detailed_balance_of_every_pair_with_two_floors():
    """A lone vacancy has a floor of 0.12 eV above L2 and of 0.3 eV elsewhere; exact."""
    check_detailed_balance(floor_eV=0.3, thickness_um=0.1)


@pytest.mark.parametrize("name", naive.ORIENTATIONS)
def test_detailed_balance_in_a_crowd_with_two_floors(name):
    """Vacancies that meet and part: alone before and after, or on one side of a hop; exact."""
    for vacancies in (3, 12, 40):
        check_detailed_balance_along_a_run(
            name=name, floor_eV=0.4, vacancies=vacancies, thickness_um=0.02
        )


# ---- an enumerated box -------------------------------------------------------------------------


@njit
def time_per_class(v1, v2, mg, start, site_from, site_to, time_s, group, beside, n_groups):
    """Time in each class of (group of v1, group of v2, group of Mg, adjacencies).

    Follows two vacancies and one Mg through a log; returns the times and the last state.
    """
    times = np.zeros((n_groups, n_groups, n_groups, 2, 3))
    now = start
    for k in range(site_from.size):
        a, b = group[v1], group[v2]
        if a > b:
            a, b = b, a
        near = beside[v1, mg] + beside[v2, mg]
        times[a, b, group[mg], beside[v1, v2], near] += time_s[k] - now
        now = time_s[k]
        if mg == site_from[k]:
            mg = site_to[k]
        if v1 == site_to[k]:
            v1 = site_from[k]
        else:
            v2 = site_from[k]
    return times, v1, v2, mg


def exact_classes(setup, group, beside):
    """Boltzmann share of each class, by enumerating all positions of two vacancies and one Mg.

    H is a sum over sites and pairs of sites, so its value for three defects follows from one and
    two; the test checks that on random states.
    """
    oracle = setup.naive(li_box(setup))
    n = setup.n_sites
    one = {s: np.array([oracle.change({i: s}) for i in range(n)]) for s in (VACANCY, MG)}
    pair = {}
    for second in (VACANCY, MG):
        pair[second] = np.zeros((n, n))
        for i, j in itertools.product(range(n), range(n)):
            if i != j:
                both = oracle.change({i: VACANCY, j: second})
                pair[second][i, j] = both - one[VACANCY][i] - one[second][j]

    def energy(v1, v2, mg):
        return (
            one[VACANCY][v1] + one[VACANCY][v2] + one[MG][mg]
            + pair[VACANCY][v1, v2] + pair[MG][v1, mg] + pair[MG][v2, mg]
        )  # fmt: skip

    rng = np.random.default_rng(303)
    perfect = oracle.energy()
    for _ in range(20):
        v1, v2, mg = (int(i) for i in rng.permutation(n)[:3])
        state = li_box(setup, v1, v2)
        state[mg] = MG
        oracle.occupancy = state.tolist()
        assert oracle.energy() - perfect == energy(v1, v2, mg)

    n_groups = group.max() + 1
    share = np.zeros((n_groups, n_groups, n_groups, 2, 3))
    v1, v2 = np.triu_indices(n, 1)
    low, high = np.minimum(group[v1], group[v2]), np.maximum(group[v1], group[v2])
    for mg in range(n):
        apart = (v1 != mg) & (v2 != mg)
        weight = np.where(apart, np.exp(-energy(v1, v2, mg) * 1e-6 / oracle.kT), 0.0)
        near = beside[v1, mg] + beside[v2, mg]
        np.add.at(share, (low, high, group[mg], beside[v1, v2], near), weight)
    return share / share.sum()


def check_enumerated_box(
    make=RIGHT, events=30_000_000, temperature_K=1200.0, floor_eV=None, resolution=0.015
):
    # Mg likes L1 less than by DFT and hops faster than Li, so that it comes and goes often enough.
    setup = Setup(
        values=naive.LIMG_LI2S,
        overrides={
            "fill_Mg_near_Mg_eV": -0.30,
            "barrier_Li_eV": 0.30,
            "barrier_Li_near_Mg_eV": 0.30,
            "barrier_Mg_eV": 0.05,
        },
        temperature_K=temperature_K,
        floor_eV=floor_eV,
    )
    n, chunk = setup.n_sites, events // 80
    group = np.minimum(setup.box.layer, 3) - 1  # L1, L2, deeper
    beside = np.zeros((n, n), dtype=np.int64)
    for site in range(n):
        beside[site, setup.box.in_box(site, 1)] = 1
    exact = exact_classes(setup, group, beside)
    v1, v2, mg = 3, 60, 77
    occupancy = li_box(setup, v1, v2)
    occupancy[mg] = MG
    engine = make.engine(setup, occupancy, 304, log_events=chunk)
    times = []
    for start, log in logs(engine, events, chunk):
        spent, v1, v2, mg = time_per_class(
            v1, v2, mg, start, log.site_from, log.site_to, log.time_s, group, beside, 3
        )
        times.append(spent)
    state = engine.occupancy()
    assert state[mg] == MG
    assert state[v1] == state[v2] == VACANCY
    times = np.array(times)
    total = times.sum(axis=(1, 2, 3, 4, 5))
    worst, sharp = 0.0, 0
    for index in np.ndindex(exact.shape):
        found = times[(slice(None), *index)]
        if exact[index] == 0.0:
            assert not found.any()
        elif exact[index] > 2e-4:
            share = Estimate.of_blocks(found, total)
            worst = max(worst, abs(share.value - exact[index]) / share.error)
            sharp += share.error < 0.01 * exact[index]
    # Marginals: sharp enough for 5 %.
    margins = {"Mg by layer": (0, 1, 3, 4), "vacancies by layer": (2, 3, 4), "vv": (0, 1, 2, 4),
               "v Mg": (0, 1, 2, 3)}  # fmt: skip
    for axes in margins.values():
        wanted = exact.sum(axis=axes)
        found = times.sum(axis=tuple(a + 1 for a in axes))
        for index in np.ndindex(wanted.shape):
            if wanted[index] > 0.005:
                estimate = Estimate.of_blocks(found[(slice(None), *index)], total)
                agrees(estimate, wanted[index], sigmas=4.5, resolution=resolution)
    assert worst < 4.5
    return worst, sharp


@pytest.mark.slow
@pytest.mark.parametrize(("events", "resolution"), [(6_000_000, 0.035), slow(30_000_000, 0.015)])
def test_enumerated_box_with_magnesium(events, resolution):
    """Two vacancies and one Mg in 128 sites: occupation by Boltzmann, all 1 024 128 states summed.

    Time-weighted shares of classes by layers and adjacency; sharp to 1.5 % or better (3.5 % in the
    short run) for every marginal above 0.5 %. About 60 numbers within 4.5 standard errors: 99.9 %.
    """
    check_enumerated_box(events=events, resolution=resolution)


@pytest.mark.long
@pytest.mark.parametrize("floor_eV", [0.15, 0.4])
def test_enumerated_box_with_a_floor(floor_eV):
    """The same with a floor between the barriers of Mg and Li, and above both.

    Mg, no longer faster than Li, gets about more slowly: four times the hops.
    """
    check_enumerated_box(events=120_000_000, floor_eV=floor_eV)


# ---- the reservoir -----------------------------------------------------------------------------


@njit
def time_per_number(vacant, number, start, site_from, site_to, time_s, group, n_groups):
    """Time with no vacancy, and with exactly one in each group of sites; follows a log."""
    times = np.zeros(n_groups + 1)
    now = start
    for k in range(site_from.size):
        if number == 0:
            times[0] += time_s[k] - now
        elif number == 1:
            where = 0
            while not vacant[where]:
                where += 1
            times[1 + group[where]] += time_s[k] - now
        now = time_s[k]
        if site_from[k] >= 0:
            vacant[site_from[k]] = True
            number += 1
        if site_to[k] >= 0:
            vacant[site_to[k]] = False
            number -= 1
    return times, number


def check_reservoir(make=RIGHT, events=14_000_000, temperature_K=800.0):
    """Probability of one vacancy in each layer against none, in equilibrium with the reservoir."""
    setup = Setup(temperature_K=temperature_K, electrode_thickness_um=1e-3)
    group = np.minimum(setup.box.layer, 3) - 1
    chunk = events // 50
    engine = make.engine(setup, li_box(setup), 305, log_events=chunk)
    vacant, number, times = np.zeros(setup.n_sites, dtype=bool), 0, []
    for start, log in logs(engine, events, chunk):
        spent, number = time_per_number(
            vacant, number, start, log.site_from, log.site_to, log.time_s, group, 3
        )
        times.append(spent)
    times = np.array(times)
    kT = naive.K_B_EV * temperature_K
    for k, (energy, sites) in enumerate(((0.28, 16), (0.43, 16), (0.50, 96))):
        expected = sites * math.exp(-energy / kT)
        agrees(Estimate.of_blocks(times[:, 1 + k], times[:, 0]), expected)


@pytest.mark.slow
def test_equilibrium_with_the_reservoir():
    """P(one vacancy in a layer)/P(none) = n exp(−E_f/kT): the reservoir fixes c_eq of the bulk.

    Grand-canonical statistics of a small open box at 800 K, exact with interactions because other
    numbers of vacancies are left out. Three ratios to 1 %; 99.98 %.
    """
    check_reservoir()
