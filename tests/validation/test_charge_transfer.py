"""Oxidation and reduction of single sites against the balance they must keep.

Fixed seeds. Where hops would blur what is measured, a saddle floor of 5 eV freezes them.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import naive
import numpy as np
import pytest
from checks import Estimate, agrees, li_box
from naive import LI, MG, VACANCY
from paired_engines import Setup

from kmc.kernels import charge, rates, tables
from kmc.model import supersaturation
from kmc.model.electrochemistry import (
    Drive,
    charge_transfer_overpotential_V,
    concentration_overpotential_V,
    thermal_voltage_V,
    vacancy_activity,
)
from kmc.model.lattice import Lattice
from kmc.model.model import Model
from kmc.model.parameters import load_parameters
from kmc.systems.electrode.engine import Engine

pytestmark = pytest.mark.validation

LATTICES = tuple(naive.ORIENTATIONS)
FROZEN_eV = 5.0


def site_rates_Hz(engine, volts) -> tuple[dict[int, float], dict[int, float]]:
    """Rates of oxidation and of reduction of every site of the box, by the kernels, 1/s."""
    per_strip, per_plate = engine.model.charge_transfer_rates_Hz(volts)
    state, near = engine.state.site_state, engine.scratch.near[2]
    strips, plates = {}, {}
    for site in range(2 * engine.geometry.sites_per_layer):
        here = int(engine.model.kernel_lattice.kernel_sites(np.array([site]))[0])
        if not charge.meets_electrolyte(engine.geometry, state, here, near):
            continue
        species = rates.species_of(state[here])
        if species == LI:
            strips[site] = per_strip * rates.strip_weight(engine.law, state[here])
        elif species == VACANCY:
            plates[site] = per_plate * rates.plate_weight(engine.law, state[here])
    return strips, plates


@pytest.mark.parametrize(("alpha", "strength"), [(0.5, 0.5), (0.3, 0.8), (0.5, 0.0)])
@pytest.mark.parametrize("magnesium", [False, True], ids=["Li", "LiMg"])
@pytest.mark.parametrize("name", LATTICES)
def test_strip_against_plate_in_an_enumerated_box(name, magnesium, alpha, strength):
    """r_ox/r_red = exp[(eη − (ΔH − E_k))/kT] for every pair of 64 states, η = 0 and 160 mV.

    Six sites around one of L1 are vacant or Li in all ways; ΔH is the difference of the whole
    Hamiltonian, E_k half the bonds of a bulk atom. With Mg one L1 and one L2 site are Mg, so that
    atoms of L2 take part. Exact: the tolerances are for rounding.
    """
    setup = Setup(
        name,
        (4, 4),
        12,
        values=naive.LIMG_LI2S if magnesium else naive.LI_LI2S,
        overrides={"charge_transfer_coefficient": alpha},
        strip_weight_lambda=strength,
        overpotential_V=0.0,
        temperature_K=400.0,
    )
    box, model = setup.box, setup.model()
    kT = naive.K_B_EV * setup.temperature_K
    above = [j for j in box.in_box(0, 1) if box.layer[j] == 2]
    around = [j for j in box.in_box(0, 2) if box.layer[j] == 1] or [
        j for j in range(1, box.sites_per_layer)
    ]
    start = li_box(setup)
    if magnesium:
        first = next(j for j in box.in_box(above[0], 1) if box.layer[j] == 1 and j != 0)
        start[first], start[above[-1]] = MG, MG
    above += [j for j in box.in_box(0, 2) if box.layer[j] == 2]
    around, above = ([j for j in sites if start[j] == LI] for sites in (around, above))
    free = [0, *around[:3], *above[:2]]
    found = {}
    for pattern in itertools.product((VACANCY, LI), repeat=len(free)):
        occupancy = start.copy()
        occupancy[free] = pattern
        engine = setup.engine(occupancy, model=model, alloy=magnesium)
        found[pattern] = model.energy_ueV(occupancy), *site_rates_Hz(engine, 0.0)
        at_160 = site_rates_Hz(engine, 0.16)
        factors = (math.exp(alpha * 0.16 / kT), math.exp(-(1 - alpha) * 0.16 / kT))
        for at_0, now, factor in zip(found[pattern][1:], at_160, factors, strict=True):
            assert now == pytest.approx({s: r * factor for s, r in at_0.items()}, rel=1e-12, abs=0)
    pairs = 0
    kink_ueV = setup.naive(start).formation_bulk
    for pattern, (energy, strips, _) in found.items():
        for place, site in enumerate(free):
            if pattern[place] != LI or site not in strips:
                continue
            after = (*pattern[:place], VACANCY, *pattern[place + 1 :])
            energy_after, _, plates = found[after]
            if strips[site] == 0.0:
                assert plates.get(site, 0.0) == 0.0
                continue
            cost = (energy_after - energy - kink_ueV) * 1e-6
            expected = math.exp(-cost / kT)
            assert strips[site] / plates[site] == pytest.approx(expected, rel=1e-9, abs=0)
            pairs += 1
    of_first_layer = sum(site < box.sites_per_layer for site in free)
    assert pairs >= of_first_layer * 2 ** (len(free) - 1) >= 16


def test_an_atom_without_metal_beside_it_takes_no_part():
    """No electron reaches it: it is not oxidised, and no ion is reduced on its site."""
    setup = Setup("bcc_100", (4, 4), 8, overpotential_V=0.0)
    start = li_box(setup)
    near = {j for shell in (1, 2) for j in setup.box.in_box(0, shell)}
    start[list(near)] = VACANCY
    strips, _ = site_rates_Hz(setup.engine(start), 0.0)
    assert strips[0] == 0.0
    start[0] = VACANCY
    _, plates = site_rates_Hz(setup.engine(start), 0.0)
    assert plates[0] == 0.0
    assert 0 not in setup.naive(start).plateable()
    assert sum(rate > 0 for rate in plates.values()) == len(setup.naive(start).plateable())


@pytest.mark.slow
@pytest.mark.parametrize(("alpha", "strength"), [(0.5, 0.5), (0.3, 0.2)])
def test_a_frozen_first_layer_in_equilibrium_with_the_electrolyte(alpha, strength):
    """Strips and plates alone hold L1 at exp[−(E − n eη)/kT]; no net current flows then.

    All 65 536 states of a 4 × 4 layer enumerated at 700 K and η = 0.2 V; mean number of vacancies
    and of pairs of neighbours to within 4 standard errors of 1 %, and strips less plates is no more
    than the layer holds.
    """
    n, kelvin, volts = 4, 700.0, 0.2
    setup = Setup(
        "bcc_100",
        (n, n),
        8,
        temperature_K=kelvin,
        overrides={"charge_transfer_coefficient": alpha},
        strip_weight_lambda=strength,
        overpotential_V=volts,
        floor_eV=FROZEN_eV,
    )
    oracle = setup.naive(li_box(setup))
    kT = naive.K_B_EV * kelvin
    alone = (oracle.change({0: VACANCY}) - oracle.formation_bulk) * 1e-6
    bond = oracle.energies.bond[1, LI, LI] * 1e-6
    vacant = (np.arange(2 ** (n * n))[:, None] >> np.arange(n * n)) & 1
    grid = vacant.reshape(-1, n, n)
    pairs = sum((grid * np.roll(grid, 1, axis)).sum(axis=(1, 2)) for axis in (1, 2))
    number = vacant.sum(axis=1)
    weight = np.exp(-(number * (alone - volts) - pairs * bond) / kT)
    expected = (weight @ np.column_stack([number, pairs])) / weight.sum()

    engine = setup.engine(li_box(setup), 11)
    events_each, blocks = 20, 30_000
    seen = np.zeros((blocks, 2))
    span_s = events_each / sum(engine.channels.unit_Hz * x for x in (
        engine.channels.strip_per_weight * n * n, engine.channels.plate_per_weight))  # fmt: skip
    for k in range(blocks):
        engine.advance(time_s=(k + 1) * span_s)
        layer = (engine.contact() == 0).reshape(n, n).astype(int)
        seen[k] = layer.sum(), sum((layer * np.roll(layer, 1, axis)).sum() for axis in (0, 1))
    half = seen[blocks // 100 :]
    for column, exact in enumerate(expected):
        means = half[:, column][: len(half) // 50 * 50].reshape(50, -1).mean(axis=1)
        error = means.std(ddof=1) / math.sqrt(means.size)
        assert error < 0.01 * exact
        assert means.mean() == pytest.approx(exact, abs=4 * error)
    assert abs(engine.net_strips) <= n * n
    assert engine.count(tables.PLATES) > 20_000


@pytest.mark.slow
@pytest.mark.parametrize("open_", [True, False], ids=["reservoir", "closed"])
@pytest.mark.parametrize("name", LATTICES)
def test_the_activity_of_vacancies_is_measured_right(name, open_):
    """S_c = 1 in equilibrium with the reservoir at η = 0, and S in a closed box held at kT ln S.

    Isolated vacancies of L1 and L2 over those expected, with hops at 800 K; 4 standard errors that
    are below 1.25 %, so that 5 % would be noticed.
    """
    kelvin, activity = 800.0, 1.0 if open_ else 1.2  # at 1.5 the metal of (110) leaves the box
    kT = naive.K_B_EV * kelvin
    cells = {"bcc_100": (8, 8), "bcc_110": (6, 6), "bcc_111": (5, 5)}[name]
    layers = {"bcc_100": 8, "bcc_110": 8, "bcc_111": 18}[name]
    setup = Setup(
        name,
        cells,
        layers,
        temperature_K=kelvin,
        overpotential_V=kT * math.log(activity),
        overrides={"exchange_current_density_mA_cm2": 1e6},
        floor_eV=0.75,
        electrode_thickness_um=10.0 if open_ else math.inf,
    )
    engine = setup.engine(li_box(setup), 21)
    engine.advance(events=20_000)
    start_s, step_s, samples = engine.time_s, 0.015 * engine.time_s, []
    for k in range(4_000):
        engine.advance(time_s=start_s + (k + 1) * step_s)
        samples.append(engine.state.activity.copy())
    blocks = np.array(samples).reshape(40, -1, 2).mean(axis=1)
    ratio = Estimate.of_blocks(blocks[:, tables.SEEN], blocks[:, tables.EXPECTED])
    agrees(ratio, activity, resolution=0.0125)


def interface_V(setup, sign: int, strips: int, **sinks) -> tuple[float, float]:
    """Mean η of a current ±j without drops, over rows of 30 ions, and the share pushed.

    θ is that of an interface in equilibrium but for the few vacancies that come and go.
    """
    model = replace(setup.model(), plating=True, **sinks)
    engine = setup.engine(li_box(setup), 5, model=model)
    engine.pushes = True
    engine.set_drive(Drive(sign * setup.current_density_mA_cm2))
    engine.channels = engine.channels._replace(forgetting=0.0)  # rows that do not overlap
    rows = []
    for n in range(30, strips, 30):
        engine.advance(strips=n)
        rows.append(engine.state.activity.copy())
        engine.begin_row()
    known = np.array([row for row in rows if np.isfinite(row).all()])
    pushed = engine.count(tables.PUSHES) / strips
    if not len(known):
        return math.nan, pushed
    S = vacancy_activity(*known.sum(axis=0))
    contact = 1 - S * math.exp(-0.28 / (naive.K_B_EV * setup.temperature_K))
    thermal_V = thermal_voltage_V(setup.temperature_K)
    j = sign * setup.current_density_mA_cm2
    transfer = charge_transfer_overpotential_V(
        j, model.exchange_current_density_mA_cm2, contact, thermal_V
    )
    return concentration_overpotential_V(S, thermal_V) + transfer, pushed


@pytest.mark.slow
def test_strong_sinks_make_both_polarities_alike():
    """Strip and plate at a flat interface: the same |η| for the same |j| where sinks hold S near 1.

    800 K, j = j0: 2kT asinh(1/2) = 66.3 mV, and 5 mV of kT ln S (S = 1.07 by the network, 0.93
    while plating). Without sinks stripping costs kT ln 34 = 243 mV more, and plating at a full
    interface pushes the metal up, which has no overpotential. 5 mV, no count of standard errors: at
    kT = 69 meV it is 7 % of S, which here is known from 39 rows of 30 ions.
    """
    setup = Setup(
        cells=(8, 8),
        layers=8,
        temperature_K=800.0,
        current_density_mA_cm2=5e4,
        overrides={"exchange_current_density_mA_cm2": 5e4},
        electrode_thickness_um=100.0,
        floor_eV=0.3,
    )
    near = replace(setup.model(), sink_length_um=0.1)
    s = supersaturation.of_layers(near)[:2] - 1
    assert np.all((s > 0.05) & (s < 0.08))
    (strip, none), (plate, few) = (
        interface_V(setup, sign, 1200, sink_length_um=0.1) for sign in (1, -1)
    )
    assert none == 0
    assert few < 0.05
    kT = naive.K_B_EV * 800
    expected = 2 * kT * math.asinh(0.5) + kT * math.log(1 + s[0])
    assert strip == pytest.approx(expected, abs=0.005)
    assert plate == pytest.approx(-expected, abs=0.005)
    assert abs(strip + plate) < 0.005
    far, pushed = interface_V(setup, -1, 300)
    assert math.isnan(far)
    assert pushed > 0.8


def test_a_given_current_is_the_net_current_and_the_balance_that_of_its_sites():
    """Σ (r_ox − r_red) = j A/e at the η of a sample, to rounding: η has a closed form."""
    setup = Setup(cells=(6, 6), layers=9, current_density_mA_cm2=0.5, floor_eV=0.45)
    engine = setup.engine(li_box(setup, 0, 40), 31)
    for strips in range(1, 30):
        engine.advance(strips=strips)
        volts = engine.sample()["overpotential_sites_V"]
        there, back = (sum(rates.values()) for rates in site_rates_Hz(engine, volts))
        assert there - back == pytest.approx(engine.model.strip_rate_Hz, rel=1e-6)
    assert engine.count(tables.PLATES) == 0


@pytest.mark.parametrize("current", [0.5, 0.0, -0.5])
def test_the_potential_does_not_depend_on_the_size_of_the_box(current):
    """The same interface twice as wide either way: the same η to 1e-12 V, 0 mA/cm² included, as the
    sums of four times as many terms round differently.

    Without current it is that at which Σ r_ox = Σ r_red, the equilibrium of these sites.
    """
    found = []
    rng = np.random.default_rng(5)
    small = np.where(rng.random((12, 6, 6)) < 0.05, 0, 1).astype(np.uint8)
    for times in (1, 2):
        box = Lattice("bcc_100", (6 * times, 6 * times), 12, "interface", 3.506)
        model = Model(
            box,
            load_parameters("li_li2s"),
            temperature_K=298.15,
            current_density_mA_cm2=current or 0.5,
            max_hops_per_strip_per_site=1e3,
            plating=True,
        )
        occupancy = np.tile(small, (1, times, times)).ravel()
        engine = Engine(model, occupancy, np.random.default_rng(0))
        if current:
            found.append(engine.interface_overpotential_V())
        else:
            oxidation, reduction = engine.exchange_rates_Hz()
            found.append(model.kT_ueV * 1e-6 * np.log(reduction / oxidation))
    assert found[0] == pytest.approx(found[1], abs=1e-12)
    assert np.isfinite(found[0])


def test_exchange_keeps_the_charge_and_does_not_change_the_current():
    """With the exchange on, strips less plates is Poisson in time with mean j A t/e; 99.9 %."""
    setup = Setup(
        cells=(12, 12), layers=9, current_density_mA_cm2=0.5, floor_eV=0.4, exchange=True,
        electrode_thickness_um=1.0,
    )  # fmt: skip
    engine = setup.engine(li_box(setup), 32)
    engine.advance(strips=100)
    expected = engine.model.strip_rate_Hz * engine.time_s
    assert engine.net_strips == 100
    assert engine.net_strips == pytest.approx(expected, abs=3.3 * math.sqrt(100))
    assert engine.count(tables.PLATES) > 100
    without = replace(setup, exchange=False).engine(li_box(setup), 32)
    without.advance(strips=100)
    assert without.count(tables.PLATES) == 0
