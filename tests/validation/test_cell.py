"""Creep, held voltages and interfaces of several chemistries against their laws.

Fixed seeds. Where hops would blur what is measured, a saddle floor of 5 eV freezes them.
"""

from __future__ import annotations

import math
from dataclasses import replace

import naive
import numpy as np
import pytest
from checks import Estimate, agrees, li_box, logs
from marks import slow
from naive import LI, MG, VACANCY
from observed import logged, vacancy_rates_Hz
from paired_engines import Setup, random_occupancy
from scipy import stats

from kmc.kernels import tables
from kmc.model.parameters import load_parameters

pytestmark = pytest.mark.validation

LATTICES = tuple(naive.ORIENTATIONS)
FROZEN_eV = 5.0


# ---- creep -------------------------------------------------------------------------------------


def ball(box, center_layer, radius) -> np.ndarray:
    """Sites within `radius` (units of a) of the first site of a layer."""
    center = box.positions[np.flatnonzero(box.layer == center_layer)[0]]
    return np.flatnonzero(np.linalg.norm(box.displacement(center, box.positions), axis=1) < radius)


def creeping(name, **changes) -> Setup:
    cells = {"bcc_100": (7, 7), "bcc_110": (7, 5), "bcc_111": (5, 4)}[name]
    layers = {"bcc_100": 14, "bcc_110": 12, "bcc_111": 30}[name]
    return Setup(name, cells, layers, stack_pressure_MPa=1.5, floor_eV=FROZEN_eV, **changes)


@pytest.mark.slow
@pytest.mark.parametrize("name", LATTICES)
def test_waiting_times_of_closures(name):
    """c ε̇(P/contact) × (void vacancies) × Δt is Exp(1) while voids at the interface close.

    Both factors are the oracle's, from the configuration before each closure. Kolmogorov–Smirnov
    over 20 voids, 99.9 %; the mean of them at 4 standard errors.
    """
    setup = creeping(name)
    void = ball(setup.box, 1, 2.1)
    start = li_box(setup, *void)
    model, reduced = setup.model(), []
    for seed in range(20):
        engine = setup.engine(start, seed, log_events=len(void), model=model)
        oracle = setup.naive(start)
        done = 0
        while oracle.voids():
            rate, before = oracle.closure_rate * len(oracle.voids()), engine.time_s
            done += 1
            assert engine.advance(events=done) == tables.PAUSED
            event = logged(engine)[-1]
            assert event.kind == "closure"
            assert event.site_to in oracle.voids()
            reduced.append(rate * (engine.time_s - before))
            oracle.apply(naive.Event("close", -1, event.site_to, event.species, 0.0))
        np.testing.assert_array_equal(engine.occupancy(), oracle.occupancy)
        assert engine.energy_ueV == oracle.energy()
    assert stats.kstest(reduced, "expon").pvalue > 1e-3
    assert np.mean(reduced) == pytest.approx(1.0, abs=4 / math.sqrt(len(reduced)))


@pytest.mark.parametrize("celsius", [0.0, 25.0, 100.0])
@pytest.mark.parametrize("name", LATTICES)
def test_a_void_closes_in_the_time_of_the_law(name, celsius):
    """Away from the interface V(t) = V0 exp(−c ε̇ t): what is left after 1/(c ε̇) is V0/e.

    30 voids; 4 standard errors of a pure death process, √(V0 q (1 − q)) with q = 1/e, and 3 % of V0
    for vacancies that end up alone, which no longer creep.
    """
    setup = creeping(name, temperature_K=celsius + 273.15)
    void = ball(setup.box, setup.box.layers // 2, 1.9)
    start = li_box(setup, *void)
    model, left = setup.model(), []
    for seed in range(30):
        engine = setup.engine(start, seed, model=model)
        engine.advance(time_s=1.0 / model.closure_rate_Hz(1.0))
        assert engine.count(tables.VACANCIES) + engine.count(tables.CLOSURES) == void.size
        left.append(engine.count(tables.VACANCIES) / void.size)
    q = math.exp(-1)
    noise = 4 * math.sqrt(q * (1 - q) / (void.size * len(left)))
    assert np.mean(left) == pytest.approx(q, abs=noise + 0.03)


@pytest.mark.slow
@pytest.mark.parametrize("name", LATTICES)
def test_creep_conserves_the_alloy(name):
    """With Mg about, a void closes by as many atoms as entered at the top, each of its species."""
    setup = replace(
        creeping(name), values=naive.LIMG_LI2S, mg_fraction=0.3, electrode_thickness_um=math.inf
    )
    rng = np.random.default_rng(5)
    start = random_occupancy(setup.n_sites, rng, 0, setup.n_sites // 5)
    start[ball(setup.box, 3, 2.1)] = VACANCY
    engine = setup.engine(start, 6)
    engine.advance(events=40)
    sample = engine.sample()
    assert sample["closures"] == 40
    before, after = (np.bincount(o, minlength=3) for o in (start, engine.occupancy()))
    assert after[VACANCY] == before[VACANCY] - 40
    assert after[MG] == before[MG] + sample["closures_Mg"]
    assert after[LI] == before[LI] + 40 - sample["closures_Mg"]
    assert 0 < sample["closures_Mg"] < 40


def test_without_pressure_nothing_closes():
    setup = replace(creeping("bcc_100"), stack_pressure_MPa=0.0, floor_eV=None)
    engine = setup.engine(li_box(setup, *ball(setup.box, 1, 2.1)), 7)
    engine.advance(events=20_000)
    sample = engine.sample()
    assert sample["closures"] == 0
    assert sample["local_stress_MPa"] == 0.0


# ---- a voltage instead of a current --------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("magnesium", [False, True], ids=["Li", "LiMg"])
@pytest.mark.parametrize("name", LATTICES)
def test_waiting_times_at_a_held_voltage(name, magnesium):
    """(Σ r_ox + Σ r_red) × Δt is Exp(1) while the interface is stripped rough; 99.9 %.

    Strips are as frequent among these events as their rates say, to 4 standard errors.
    """
    setup = Setup(
        name,
        (5, 5),
        12,
        values=naive.LIMG_LI2S if magnesium else naive.LI_LI2S,
        overpotential_V=0.2,
        floor_eV=FROZEN_eV,
    )
    model, reduced, strips, shares = setup.model(), [], 0, []
    for seed in range(25):
        rng = np.random.default_rng(seed)
        start = random_occupancy(setup.n_sites, rng, 5, setup.n_sites // 5 if magnesium else 0)
        engine = setup.engine(start, seed, log_events=12, model=model)
        oracle = setup.naive(start)
        for done in range(12):
            there, back, before = oracle.strip_rate, oracle.plate_rate, engine.time_s
            current = engine.current_density_mA_cm2() * 1e-3 * oracle.area_cm2 / naive.E_C
            assert current == pytest.approx(there - back, rel=1e-9, abs=1e-9 * (there + back))
            assert engine.advance(events=done + 1) == tables.PAUSED
            reduced.append((there + back) * (engine.time_s - before))
            event = logged(engine)[-1]
            strips += event.kind == "strip"
            shares.append(there / (there + back))
            oracle.apply(naive.Event(event.kind, event.site_from, event.site_to, LI, 0.0))
    assert stats.kstest(reduced, "expon").pvalue > 1e-3
    share = np.array(shares)
    assert strips == pytest.approx(share.sum(), abs=4 * math.sqrt((share * (1 - share)).sum()))


def test_a_voltage_and_the_current_it_drives_are_inverse():
    """η of the current that η drives through the same interface is η again, to rounding."""
    held = Setup(layers=9, overpotential_V=0.3)
    engine = held.engine(random_occupancy(held.n_sites, np.random.default_rng(3), 9), 1)
    current = engine.current_density_mA_cm2()
    assert current > 0
    driven = Setup(layers=9, current_density_mA_cm2=current).engine(engine.occupancy(), 1)
    assert driven.interface_overpotential_V() == pytest.approx(0.3, rel=1e-12)
    oxidation, reduction = engine.exchange_rates_Hz()
    engine.set_interface_V(0.015)
    kT = naive.K_B_EV * 298.15
    net = oxidation * math.exp(0.0075 / kT) - reduction * math.exp(-0.0075 / kT)
    per_current = driven.model.strip_rate_Hz / current
    assert engine.current_density_mA_cm2() == pytest.approx(net / per_current, rel=1e-12)


def test_a_held_voltage_divides_among_interface_and_series():
    """η at the interface plus j (R_c + R_series) is the voltage held, and so is the total.

    To rounding: the root of that balance is found to 1e-15 V.
    """
    for ohm_cm2 in (0.0, 36.0, 1e4):
        setup = Setup(layers=9, cells=(6, 6), overpotential_V=0.3)
        model = replace(
            setup.model(), series_resistance_ohm_cm2=ohm_cm2, pattern_um=1000.0,
            parameters=load_parameters("li_li2s"),
        )  # fmt: skip
        start = random_occupancy(setup.n_sites, np.random.default_rng(4), 20)
        engine = setup.engine(start, 2, model=model)
        engine.split_voltage()
        row = engine.sample()
        drop = row["current_density_mA_cm2"] * 1e-3
        drop *= ohm_cm2 + engine.spreading_resistance_ohm_cm2()
        assert row["overpotential_sites_V"] + drop == pytest.approx(0.3, rel=1e-9)
        assert row["overpotential_V"] == 0.3
        terms = ("concentration", "charge_transfer", "constriction", "series")
        assert sum(row[f"overpotential_{term}_V"] for term in terms) == pytest.approx(0.3)
        assert row["overpotential_constriction_V"] > 0


# ---- several chemistries -------------------------------------------------------------------------

PHILIC = {"formation_energy_L1_eV": 0.40}  # beside 0.28: vacancies prefer the other patches


def patched(name, **changes) -> Setup:
    layers = {"bcc_100": 8, "bcc_110": 8, "bcc_111": 12}[name]
    columns = naive.lattice(name, (4, 4), layers, "interface").sites_per_layer
    chemistry = tuple(int(2 * c >= columns) for c in range(columns))  # two halves
    return Setup(name, (4, 4), layers, others=(PHILIC,), chemistry=chemistry, **changes)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "floor_eV"),
    [
        ("bcc_100", 0.15),
        ("bcc_111", None),
        *(slow("bcc_110", floor_eV) for floor_eV in (None, 0.15)),
        slow("bcc_100", None),
        slow("bcc_111", 0.15),
    ],
)
def test_patches_hold_vacancies_as_boltzmann_says(name, floor_eV):
    """Time of one vacancy in L1 of either chemistry against the rest of the box; 99.98 %.

    Expected from exp(−E/kT) over all sites, energies of the oracle; six million hops at 600 K. The
    oracle's own ratio of chemistries to 1e-3: bonds are whole µeV, 2e-5 kT each.
    """
    events, chunk = 6_000_000, 100_000
    setup = patched(name, temperature_K=600.0, floor_eV=floor_eV)
    box = setup.box
    oracle = setup.naive(li_box(setup))
    energy = np.array([oracle.change({site: VACANCY}) for site in range(box.n_sites)])
    chemistry = np.array(setup.chemistry)[np.arange(box.n_sites) % box.sites_per_layer]
    group = np.where(box.layer == 1, chemistry, 2)
    weight = np.exp(-(energy - energy[-1]) * 1e-6 / oracle.kT)
    share = np.bincount(group, weights=weight)
    engine = setup.engine(li_box(setup, 0), 401, log_events=chunk)
    times, site = [], 0
    for start, log in logs(engine, events, chunk):
        places = np.concatenate([[site], log.site_from[:-1]])
        times.append(
            np.bincount(group[places], weights=np.diff(log.time_s, prepend=start), minlength=3)
        )
        site = log.site_from[-1]
    times = np.array(times)
    for k in (0, 1):
        agrees(Estimate.of_blocks(times[:, k], times[:, 2]), share[k] / share[2])
    kept = np.bincount(group)
    ratio = (share[0] / kept[0]) / (share[1] / kept[1])
    assert ratio == pytest.approx(math.exp(0.12 / (naive.K_B_EV * 600.0)), rel=1e-3)


@pytest.mark.parametrize("floor_eV", [None, 0.3], ids=["exact", "floor"])
@pytest.mark.parametrize("magnesium", [0, 60], ids=["Li", "LiMg"])
@pytest.mark.parametrize("name", LATTICES)
def test_detailed_balance_across_the_boundary(name, magnesium, floor_eV):
    """w_ij/w_ji = exp(−ΔE/kT) for each hop of a crowded box, many between chemistries; exact."""
    setup = patched(
        name,
        values=naive.LIMG_LI2S if magnesium else naive.LI_LI2S,
        temperature_K=1200.0,
        floor_eV=floor_eV,
    )
    table = setup.kmc_lattice().neighbour_table(1)
    start = random_occupancy(setup.n_sites, np.random.default_rng(402), 25, magnesium)
    engine, oracle = setup.engine(start, 403, log_events=120), setup.naive(start)
    for done in range(120):
        before = {site: vacancy_rates_Hz(engine, site) for site in oracle.vacancies()}
        engine.advance(events=done + 1)
        event = logged(engine)[-1]
        change = oracle.change({event.site_to: event.species, event.site_from: VACANCY})
        forward = before[event.site_to][list(table[event.site_to]).index(event.site_from)]
        back = vacancy_rates_Hz(engine, event.site_from)
        reverse = back[list(table[event.site_from]).index(event.site_to)]
        expected = math.exp(-change * 1e-6 / oracle.kT)
        assert forward / reverse == pytest.approx(expected, rel=1e-9, abs=0)
        oracle.apply(naive.Event("hop", event.site_from, event.site_to, event.species, 0.0))
