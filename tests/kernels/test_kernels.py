"""The compiled event loop against the oracle, event for event, and against itself."""

import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import naive
import numpy as np
import pytest
from marks import slow
from naive import LI, MG, VACANCY
from observed import logged, vacancy_rates_Hz
from paired_engines import PairedEngines, Setup, all_rates, random_occupancy

from kmc.kernels import loop, selection, tables
from kmc.model import rate_tables

LATTICES = tuple(naive.ORIENTATIONS)


def faces(n_mg: int, quick_mg: int | None = None) -> list:
    """Cases of a face and a number of Mg atoms; half of them wait for the slow suite.

    With `quick_mg = 0` the alloy does, whose loop with another drive is compiled anew.
    """
    mg = n_mg if quick_mg is None else quick_mg
    quick = {("bcc_100", mg), ("bcc_110", 0), ("bcc_111", mg)}
    return [
        pytest.param(
            name,
            magnesium,
            id=f"{name}-{'LiMg' if magnesium else 'Li'}",
            marks=() if (name, magnesium) in quick else pytest.mark.slow,
        )
        for name in LATTICES
        for magnesium in (0, n_mg)
    ]


# Hot, with a current and a reservoir so fast that all processes compete with the hops.
OPEN = {
    "temperature_K": 1500.0,
    "current_density_mA_cm2": 3e10,
    "electrode_thickness_um": 2e-4,
    "layers": 9,
}
COLD = {"temperature_K": 298.15, "current_density_mA_cm2": 0.5, "electrode_thickness_um": 100.0}


def run_paired(setup, seed, events, *, vacancies=6, magnesium=0, every=40, alloy=None):
    """Follow both for so many events; returns how often each kind occurred."""
    rng = np.random.default_rng([seed, 99])
    occupancy = random_occupancy(setup.n_sites, rng, vacancies, magnesium)
    paired = PairedEngines(setup, occupancy, seed, attempts=20 * events, alloy=alloy)
    paired.compare_state()
    kinds = paired.follow(events=events, every=every)
    assert kinds.total() - kinds[None] == events
    paired.compare_state()
    count = paired.engine.count
    kinds["plate"] += paired.waited
    assert count(tables.EVENTS) == sum(kinds.values()) - kinds[None] + kinds["exchange"]
    assert count(tables.HOPS) == kinds["hop"]
    assert count(tables.STRIPS) == kinds["strip"] + kinds["exchange"]
    assert count(tables.PLATES) == kinds["plate"] + kinds["exchange"]
    assert count(tables.ABSORBED) == kinds["absorb"]
    assert count(tables.EMITTED) == kinds["emit"]
    assert count(tables.CLOSURES) == kinds["close"]
    assert count(tables.VACANCIES) == len(paired.oracle.vacancies())
    return kinds


@pytest.mark.parametrize(("seed", "events"), [(1, 200), slow(2, 400)])
@pytest.mark.parametrize(("name", "magnesium"), faces(25))
def test_every_process_event_for_event(name, magnesium, seed, events):
    """Hops, strips, absorption and emission on an open interface: the same events."""
    setup = Setup(
        lattice=name,
        values=naive.LIMG_LI2S if magnesium else naive.LI_LI2S,
        mg_fraction=0.2 if magnesium else 0.0,
        **OPEN,
    )
    kinds = run_paired(setup, seed, events, magnesium=magnesium)
    assert all(kinds[kind] >= 3 for kind in ("hop", "strip", "absorb", "emit")), kinds
    assert kinds[None] > 0  # thinning was at work


@pytest.mark.parametrize("floor_eV", [slow(None), 0.2], ids=["exact", "floor"])
@pytest.mark.parametrize(("name", "magnesium"), faces(20))
def test_periodic_box_event_for_event(name, magnesium, floor_eV):
    """Hops in a periodic box, with and without the saddle floor."""
    setup = Setup(
        lattice=name,
        cells=(4, 5),
        layers=12,
        boundary="periodic",
        values=naive.LIMG_LI2S if magnesium else naive.LI_LI2S,
        temperature_K=700.0,
        floor_eV=floor_eV,
    )
    kinds = run_paired(setup, 3, 300, vacancies=12, magnesium=magnesium)
    assert kinds["hop"] == 300


@pytest.mark.slow
@pytest.mark.parametrize("floor_eV", [0.45, 0.57], ids=["low floor", "high floor"])
@pytest.mark.parametrize(("name", "magnesium"), faces(20))
def test_real_conditions_event_for_event(name, magnesium, floor_eV):
    """298.15 K, 0.5 mA/cm², 100 µm: rates over many powers of two, λ-weighted strips.

    With the high floor the reservoir is closed, so that lone vacancies are as slow as all others
    and leave some of the events to the strips.
    """
    setup = Setup(
        lattice=name,
        cells=(5, 4),
        layers=10,
        values=naive.LIMG_LI2S if magnesium else naive.LI_LI2S,
        mg_fraction=0.03 if magnesium else 0.0,
        floor_eV=floor_eV,
        **{**COLD, "electrode_thickness_um": math.inf if floor_eV > 0.5 else 100.0},
    )
    kinds = run_paired(setup, 4, 250, vacancies=8, magnesium=magnesium)
    if floor_eV > 0.5:
        assert kinds["strip"] >= 3, kinds


@pytest.mark.slow
@pytest.mark.parametrize(
    ("thickness_um", "lateral"),
    [(2e-4, None), (0.1, None), (0.1, 3.0)],
    ids=["no floor", "a floor", "a floor at L1"],
)
@pytest.mark.parametrize(("name", "magnesium"), faces(20))
def test_lone_vacancies_in_the_metal_event_for_event(name, magnesium, thickness_um, lateral):
    """Lone vacancies above L2 have no floor, or one of 0.2 eV, and the others 0.35 eV, or one of
    their own where they leave L1.

    700 K, so that both kinds of hops compete; current and emission bring new vacancies.
    """
    setup = Setup(
        lattice=name,
        cells=(4, 4),
        layers=9,
        values=naive.LIMG_LI2S if magnesium else naive.LI_LI2S,
        mg_fraction=0.1 if magnesium else 0.0,
        temperature_K=700.0,
        current_density_mA_cm2=1e8,
        floor_eV=0.35,
        electrode_thickness_um=thickness_um,
        lateral_supersaturation=lateral,
    )
    model = setup.model()
    assert model.lone_floor_ueV < model.floor_ueV
    assert 0 < model.interface_floor_ueV <= model.floor_ueV
    assert (model.interface_floor_ueV < model.floor_ueV) == (lateral is not None)
    assert (model.lone_floor_ueV > 0) == (thickness_um > 1e-3)
    kinds = run_paired(setup, 6, 300, vacancies=6, magnesium=magnesium)
    assert kinds["hop"] > 100, kinds


@pytest.mark.parametrize("strength", [0.0, 1.0])
def test_strip_weights_event_for_event(strength):
    """λ = 0 (uniform) and λ = 1, on an interface that is already rough and half Mg."""
    setup = Setup(
        values=naive.LIMG_LI2S,
        strip_weight_lambda=strength,
        **{**OPEN, "temperature_K": 600.0, "current_density_mA_cm2": 2e11},
    )
    kinds = run_paired(setup, 5, 40, vacancies=20, magnesium=40)
    assert kinds["strip"] >= 8, kinds


# A creep law so fast that closures compete with the hops at 1500 K.
QUICK = (("bcc_100", 0),)
FAST_CREEP = {"creep_reference_rate_per_s": 1e6, "creep_exponent": 2.0}


@pytest.mark.parametrize(
    ("name", "magnesium"),
    [
        pytest.param(name, magnesium, marks=[] if (name, magnesium) in QUICK else pytest.mark.slow)
        for name in LATTICES
        for magnesium in (0, 25)
    ],
)
def test_creep_event_for_event(name, magnesium):
    """Closures among all other events: the same columns sink, energies to the last µeV."""
    setup = Setup(
        lattice=name,
        values=naive.LIMG_LI2S if magnesium else naive.LI_LI2S,
        mg_fraction=0.2 if magnesium else 0.0,
        overrides=FAST_CREEP,
        stack_pressure_MPa=3.0,
        **OPEN,
    )
    kinds = run_paired(setup, 4, 250, vacancies=25, magnesium=magnesium)
    assert kinds["close"] >= 5, kinds


# Hops slowed down and an exchange current so large that charge transfer keeps up with them.
# So thick that lone vacancies have the lowest barrier of the others, and do not crowd out charge.
FAST_EXCHANGE = {
    "temperature_K": 600.0,
    "floor_eV": 0.65,
    "electrode_thickness_um": 6000.0,
    "layers": 9,
    "overrides": {"exchange_current_density_mA_cm2": 1e6},
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("alpha", "strength", "volts"),
    [
        pytest.param(0.5, 0.5, 0.05, id="strip", marks=pytest.mark.slow),
        pytest.param(0.3, 0.8, 0.05, id="asymmetric"),
        pytest.param(0.5, 0.5, 0.0, id="equilibrium", marks=pytest.mark.slow),
        pytest.param(0.5, 0.5, -0.1, id="plate"),
    ],
)
@pytest.mark.parametrize(("name", "magnesium"), faces(25))
def test_voltage_event_for_event(name, magnesium, alpha, strength, volts):
    """At a given voltage every site is stripped and plated at its own rate, hops between."""
    overrides = {**FAST_EXCHANGE["overrides"], "charge_transfer_coefficient": alpha}
    setup = Setup(
        lattice=name,
        values=naive.LIMG_LI2S if magnesium else naive.LI_LI2S,
        mg_fraction=0.2 if magnesium else 0.0,
        overpotential_V=volts,
        strip_weight_lambda=strength,
        **{**FAST_EXCHANGE, "overrides": overrides},
    )
    kinds = run_paired(setup, 5, 120, magnesium=magnesium)
    assert kinds["plate"] >= 3, kinds
    assert kinds["strip"] >= 3 or volts < 0, kinds
    assert kinds[None] >= 1, kinds


@pytest.mark.parametrize(("name", "magnesium"), faces(25, quick_mg=0))
def test_plating_event_for_event(name, magnesium):
    """A given current that plates: each ion onto a vacant site drawn by its weight."""
    setup = Setup(
        lattice=name,
        values=naive.LIMG_LI2S if magnesium else naive.LI_LI2S,
        mg_fraction=0.2 if magnesium else 0.0,
        strip_weight_lambda=0.4,
        current_density_mA_cm2=-6e5,
        **FAST_EXCHANGE,
    )
    occupancy = random_occupancy(setup.n_sites, np.random.default_rng([7, 99]), 60, magnesium)
    paired = PairedEngines(setup, occupancy, 7, attempts=2000)
    kinds = paired.follow(attempts=80)  # the interface may be full before
    if kinds.total() < 80:
        assert paired.engine.advance() == tables.NO_SITE
    else:
        paired.compare_state()
    assert kinds["plate"] >= 2, kinds
    assert kinds["strip"] == 0, kinds
    assert kinds["hop"] >= 3, kinds
    assert paired.engine.count(tables.PLATES) == kinds["plate"] + paired.waited


@pytest.mark.slow
@pytest.mark.parametrize("drive", ["current", "voltage"])
@pytest.mark.parametrize(("name", "magnesium"), faces(25))
def test_plating_under_pressure_event_for_event(name, magnesium, drive):
    """Plates, closures and hops at once: all on the same sites, energies to the last µeV."""
    creep = {**FAST_CREEP, "creep_reference_rate_per_s": 300.0}
    drives = {"current": {"current_density_mA_cm2": -6e6}, "voltage": {"overpotential_V": -0.05}}
    setup = Setup(
        lattice=name,
        values=naive.LIMG_LI2S if magnesium else naive.LI_LI2S,
        mg_fraction=0.2 if magnesium else 0.0,
        stack_pressure_MPa=3.0,
        **drives[drive],
        **{**FAST_EXCHANGE, "overrides": FAST_EXCHANGE["overrides"] | creep},
    )
    vacancies = int(0.4 * setup.n_sites)
    occupancy = random_occupancy(
        setup.n_sites, np.random.default_rng([7, 99]), vacancies, magnesium
    )
    paired = PairedEngines(setup, occupancy, 7, attempts=2000)
    kinds = paired.follow(attempts=150)  # the interface may be full before
    if kinds.total() == 150:
        paired.compare_state()
    assert kinds["plate"] >= 3, kinds
    assert kinds["close"] >= 3, kinds
    assert kinds["hop"] >= 3, kinds


def test_an_ion_waits_for_a_vacant_site():
    """Few vacancies, fast hops: ions wait until one comes to L1, and are plated at once there."""
    setup = Setup(current_density_mA_cm2=-3e9, temperature_K=1500.0)
    occupancy = np.ones(setup.n_sites, dtype=np.uint8)
    occupancy[-4:] = VACANCY
    paired = PairedEngines(setup, occupancy, 3, attempts=20_000)
    ended = ""
    while not ended:
        try:
            paired.attempt()
        except naive.NoEvent as end:
            ended = str(end)
    assert ended == "no vacant site left to plate on"
    assert paired.waited >= 1
    assert paired.engine.advance() == tables.NO_SITE


def test_a_box_that_is_full_is_not_plated():
    """The second ion finds the first waiting: no charge has passed, and the reason says why."""
    setup = Setup(current_density_mA_cm2=-0.5)
    engine = setup.engine(np.ones(setup.n_sites, dtype=np.uint8))
    assert engine.advance() == tables.NO_SITE
    assert engine.net_charge == 0


@pytest.mark.parametrize(("name", "magnesium"), faces(25, quick_mg=0))
def test_exchange_event_for_event(name, magnesium):
    """At a given current: net strips, and pairs of a strip and a plate that keep the charge."""
    setup = Setup(
        lattice=name,
        values=naive.LIMG_LI2S if magnesium else naive.LI_LI2S,
        mg_fraction=0.2 if magnesium else 0.0,
        current_density_mA_cm2=2e5,
        exchange=True,
        **FAST_EXCHANGE,
    )
    kinds = run_paired(setup, 6, 100, magnesium=magnesium)
    assert kinds["exchange"] >= 10, kinds
    assert kinds["strip"] >= 2, kinds
    assert kinds[None] >= 1, kinds


@pytest.mark.slow
@pytest.mark.parametrize("floor_eV", [None, slow(0.2)])
@pytest.mark.parametrize("magnesium", [slow(0), 25])
@pytest.mark.parametrize("name", ["bcc_100", slow("bcc_110"), slow("bcc_111")])
def test_chemistries_event_for_event(name, magnesium, floor_eV):
    """Four chemistries in patches: every rate and energy with the site energies of its own."""
    columns = naive.lattice(name, (4, 4), 9, "interface").sites_per_layer
    chemistry = np.random.default_rng(6).integers(0, 4, columns)
    others = ({"formation_energy_L1_eV": e} for e in (0.65, 0.5, 0.1))
    setup = Setup(
        lattice=name,
        values=naive.LIMG_LI2S if magnesium else naive.LI_LI2S,
        others=tuple(others),
        chemistry=tuple(int(k) for k in chemistry),
        floor_eV=floor_eV,
        stack_pressure_MPa=3.0,
        overrides=FAST_CREEP,
        **OPEN,
    )
    kinds = run_paired(setup, 8, 150, vacancies=15, magnesium=magnesium)
    assert kinds["strip"] >= 3, kinds


@pytest.mark.parametrize("name", LATTICES)
def test_one_chemistry_by_name_is_the_plain_interface(name):
    """A map that names one set four times changes no event."""
    plain = Setup(lattice=name, stack_pressure_MPa=3.0, overrides=FAST_CREEP, **OPEN)
    columns = plain.box.sites_per_layer
    chemistry = tuple(int(k) for k in np.random.default_rng(8).integers(0, 4, columns))
    mapped = replace(plain, others=({}, {}, {}), chemistry=chemistry)
    occupancy = random_occupancy(plain.n_sites, np.random.default_rng(9), 25)
    runs = [setup.engine(occupancy, 10, log_events=2000) for setup in (plain, mapped)]
    for engine in runs:
        engine.advance(events=2000)
    assert logged(runs[0]) == logged(runs[1])
    assert runs[0].count(tables.CLOSURES) > 10


@pytest.mark.slow
@pytest.mark.parametrize("name", LATTICES)
def test_tables_of_the_alloy_give_the_pure_metal(name):
    """Without Mg the alloy's tables run the same events as the oracle."""
    setup = Setup(lattice=name, values=naive.LIMG_LI2S, **OPEN)
    run_paired(setup, 6, 150, alloy=True)


def test_another_unit_event_for_event():
    """Rates measured in another unit fall into other bins; the oracle's follow."""
    setup = Setup(lattice="bcc_111", bin_unit_Hz=3.3e11, values=naive.LIMG_LI2S, **OPEN)
    run_paired(setup, 9, 150, magnesium=25)


def test_lattice_gas_event_for_event():
    """First-neighbour bonds only, half empty: hops with many vacancies around."""
    setup = Setup(
        lattice="bcc_100", boundary="periodic", values=naive.LATTICE_GAS, temperature_K=1850.0
    )
    run_paired(setup, 7, 200, vacancies=setup.n_sites // 2, every=100)


def test_other_sizes_event_for_event():
    """Odd cell numbers and layers in the numbering of edges."""
    setup = Setup(lattice="bcc_110", cells=(5, 7), values=naive.LIMG_LI2S, **OPEN)
    run_paired(setup, 8, 150, vacancies=10, magnesium=60)


@pytest.mark.slow
@pytest.mark.skipif("NUMBA_DISABLE_JIT" in os.environ, reason="this is that run")
def test_the_same_without_compilation():
    """Part of this file with NUMBA_DISABLE_JIT=1: what Python runs is what numba compiles."""
    chosen = (
        "(test_every_process_event_for_event and LiMg-2)",
        "(test_real_conditions_event_for_event and bcc_100-LiMg-high)",
        *("test_lattice_gas_event_for_event", "test_the_clock_stops", "test_bins"),
    )
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    here = Path(__file__)
    options = ["-q", "-x", "-p", "no:cacheprovider", "-m", "", "-k", " or ".join(chosen)]
    command = [sys.executable, "-m", "pytest", *options, str(here)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=here.parent)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert "passed" in done.stdout


# ---- the loop against itself --------------------------------------------------------------------


def long_run(name, magnesium, events, seed=11):
    conditions = {**OPEN, "current_density_mA_cm2": 1e9, "layers": 13}
    setup = Setup(
        lattice=name,
        cells=(7, 6),
        values=naive.LIMG_LI2S if magnesium else naive.LI_LI2S,
        mg_fraction=0.1 if magnesium else 0.0,
        **conditions,
    )
    rng = np.random.default_rng(seed)
    occupancy = random_occupancy(setup.n_sites, rng, 30, setup.n_sites // 10 if magnesium else 0)
    engine = setup.engine(occupancy, seed, log_events=events)
    engine.advance(events=events)
    return setup, occupancy, engine


@pytest.mark.parametrize("magnesium", [False, True], ids=["Li", "LiMg"])
@pytest.mark.parametrize("name", LATTICES)
def test_bookkeeping_after_many_events(name, magnesium):
    """20 000 events later counts, bins and energy are those of a fresh start from the occupancy."""
    setup, _, engine = long_run(name, magnesium, 20_000)
    fresh = setup.engine(engine.occupancy(), alloy=magnesium)
    assert engine.energy_ueV == fresh.energy_ueV == setup.naive(engine.occupancy()).energy()
    for counter in (tables.VACANCIES, tables.VACANT_L1, tables.MG_L1):
        assert engine.count(counter) == fresh.count(counter)
    ignored = tables.DIRTY
    np.testing.assert_array_equal(
        engine.state.site_state & ~ignored, fresh.state.site_state & ~ignored
    )
    ours, theirs = engine.bin_members(), fresh.bin_members()
    assert ours.keys() == theirs.keys()
    for b in ours:
        np.testing.assert_array_equal(np.sort(ours[b]), np.sort(theirs[b]))
    np.testing.assert_allclose(
        engine.interface_overpotential_V(),
        fresh.interface_overpotential_V(),
        rtol=1e-12,
    )


@pytest.mark.parametrize("magnesium", [False, True], ids=["Li", "LiMg"])
def test_the_log_replays_the_run(magnesium):
    """Moving atoms by the log from the start gives the end; time never goes back."""
    _, occupancy, engine = long_run("bcc_100", magnesium, 20_000)
    state = occupancy.copy()
    for event in logged(engine):
        if event.site_from >= 0:
            assert state[event.site_from] == event.species
            state[event.site_from] = VACANCY
        if event.site_to >= 0:
            assert state[event.site_to] == VACANCY
            state[event.site_to] = event.species
    np.testing.assert_array_equal(state, engine.occupancy())
    times = np.array([event.time_s for event in logged(engine)])
    assert (np.diff(times) > 0).all()
    assert times[-1] == engine.time_s


def replayed(setup, occupancy, engine) -> np.ndarray:
    """The end of a run from its start and its log, columns sinking as the log says."""
    oracle = setup.naive(occupancy)
    names = {"hop": "hop", "strip": "strip", "absorption": "absorb", "emission": "emit"}
    for event in logged(engine):
        kind = names.get(event.kind, "close")
        oracle.apply(naive.Event(kind, event.site_from, event.site_to, event.species, 0.0))
    return np.array(oracle.occupancy)


@pytest.mark.parametrize("magnesium", [False, slow(True)], ids=["Li", "LiMg"])
@pytest.mark.parametrize("name", LATTICES)
def test_bookkeeping_under_creep(name, magnesium):
    """20 000 events with closures: energy and counts of a fresh start; every atom accounted for."""
    setup = Setup(
        lattice=name,
        cells=(6, 6),
        values=naive.LIMG_LI2S if magnesium else naive.LI_LI2S,
        mg_fraction=0.2 if magnesium else 0.0,
        overrides=FAST_CREEP,
        stack_pressure_MPa=5.0,
        **{**OPEN, "current_density_mA_cm2": 1e9},
    )
    rng = np.random.default_rng(21)
    occupancy = random_occupancy(setup.n_sites, rng, 60, 60 if magnesium else 0)
    engine = setup.engine(occupancy, 22, log_events=20_000)
    assert engine.advance(events=20_000) == tables.PAUSED
    fresh = setup.engine(engine.occupancy(), alloy=magnesium)
    assert engine.energy_ueV == fresh.energy_ueV == setup.naive(engine.occupancy()).energy()
    ignored = tables.DIRTY
    np.testing.assert_array_equal(
        engine.state.site_state & ~ignored, fresh.state.site_state & ~ignored
    )
    np.testing.assert_array_equal(replayed(setup, occupancy, engine), engine.occupancy())
    sample = engine.sample()
    assert sample["closures"] > 100
    start, end = (np.bincount(o, minlength=3) for o in (occupancy, engine.occupancy()))
    gone = sample["strips"] + sample["emitted"] - sample["absorbed"] - sample["closures"]
    assert end[VACANCY] - start[VACANCY] == gone
    entered_mg = sample["absorbed_Mg"] + sample["closures_Mg"] - sample["emitted_Mg"]
    assert end[MG] - start[MG] == entered_mg


def test_same_seed_same_run():
    first, second = (long_run("bcc_100", True, 5000, seed=12)[2] for _ in range(2))
    assert logged(first) == logged(second)
    other = long_run("bcc_100", True, 5000, seed=13)[2]
    assert logged(first) != logged(other)


def test_chunks_do_not_change_the_run():
    """Stopping after every few events is the same run."""
    setup = Setup(values=naive.LIMG_LI2S, **{**OPEN, "current_density_mA_cm2": 1e9})
    occupancy = random_occupancy(setup.n_sites, np.random.default_rng(3), 8, 20)
    whole = setup.engine(occupancy, 5, log_events=3000)
    whole.advance(events=2000)
    parts = setup.engine(occupancy, 5, log_events=3000)
    for events in range(7, 2007, 7):
        parts.advance(events=min(events, 2000))
    assert logged(whole) == logged(parts)
    assert whole.time_s == parts.time_s


def test_the_clock_stops_exactly_at_the_time_limit():
    setup = Setup(boundary="periodic", temperature_K=900.0)
    occupancy = random_occupancy(setup.n_sites, np.random.default_rng(3), 3)
    engine = setup.engine(occupancy, 5)
    assert engine.advance(time_s=1e-9) == tables.TIME_IS_UP
    assert engine.time_s == 1e-9
    events = engine.count(tables.EVENTS)
    assert engine.advance(time_s=1e-9) == tables.TIME_IS_UP
    assert engine.count(tables.EVENTS) == events > 0


def test_nothing_to_do_and_nothing_to_strip():
    """A perfect closed box has no event; a box without electroactive atoms stops its current."""
    closed = Setup(boundary="periodic")
    engine = closed.engine(np.full(closed.n_sites, LI))
    assert engine.advance(events=1) == tables.NO_EVENT
    blocked = Setup(values=naive.LIMG_LI2S, current_density_mA_cm2=1.0)
    occupancy = np.full(blocked.n_sites, MG)
    occupancy[3 * 16 :] = LI
    engine = blocked.engine(occupancy)
    assert engine.advance(events=1) == tables.NO_ELECTROACTIVE
    assert math.isinf(engine.interface_overpotential_V())


def test_bins_grow_with_the_vacancies():
    """A run whose vacancies outgrow the room for them goes on, with the same bookkeeping."""
    setup = Setup(cells=(8, 8), floor_eV=0.7, current_density_mA_cm2=0.5)
    engine = setup.engine(np.full(setup.n_sites, LI), 3)
    engine.state = rate_tables.new_state(
        engine.model, np.full(setup.n_sites, LI), False, capacity=20
    )
    loop.prepare(engine.geometry, engine.law, engine.channels, engine.state, engine.scratch)
    reference = setup.engine(np.full(setup.n_sites, LI), 3)
    for run in (engine, reference):
        assert run.advance(strips=50) == tables.PAUSED
    assert engine.count(tables.VACANCIES) == 50
    assert engine.state.hops.members.shape[1] == 112  # room for 20, doubled, with whole lines
    assert engine.time_s == reference.time_s
    np.testing.assert_array_equal(engine.occupancy(), reference.occupancy())


@pytest.mark.parametrize("name", LATTICES)
def test_rates_in_a_crowded_box(name):
    """A third vacant, a third Mg: every rate of every vacancy, energies to the last µeV."""
    setup = Setup(lattice=name, values=naive.LIMG_LI2S, mg_fraction=0.3, **OPEN)
    third = setup.n_sites // 3
    occupancy = random_occupancy(setup.n_sites, np.random.default_rng(17), third, third)
    engine = setup.engine(occupancy)
    table = setup.kmc_lattice().neighbour_table(1)
    oracle = setup.naive(occupancy, directions=lambda site: table[site])
    assert engine.energy_ueV == oracle.energy()
    for vacancy in oracle.vacancies():
        np.testing.assert_allclose(
            vacancy_rates_Hz(engine, vacancy), all_rates(oracle, vacancy), rtol=1e-11
        )
    np.testing.assert_allclose(
        engine.interface_overpotential_V(), oracle.overpotential_V(), rtol=1e-9
    )


# ---- selection ----------------------------------------------------------------------------------


def empty_bins():
    """Bins for 50 members, as the model lays them out, and the highest rate they hold."""
    setup = Setup(values=naive.LIMG_LI2S)
    bins = rate_tables.new_state(setup.model(), np.full(setup.n_sites, LI), True, capacity=50).hops
    assert not bins.count.any()
    return bins, 8 * setup.model().fastest_hop_Hz / setup.model().unit_Hz


def test_bins_of_rates():
    """A rate is in the first bin whose bound reaches it, also at exact bounds and at the ends."""
    bins, highest = empty_bins()
    assert bins.bound[-1] >= highest
    assert (np.diff(bins.bound) > 0).all()
    rng = np.random.default_rng(23)
    rates = highest * 2.0 ** -rng.uniform(0, 90, 1000)
    for rate in [*rates, *bins.bound[bins.bound <= highest]]:
        b = selection.bin_of(bins, rate)
        assert b == naive.bin_of(rate, bins.bound)
        assert rate <= bins.bound[b]
    assert selection.bin_of(bins, 1e-300) == 0


def test_bins_hold_what_was_put_in():
    """Random insertions, moves and removals against a dict."""
    bins, highest = empty_bins()
    rng = np.random.default_rng(29)
    expected = {}
    for _ in range(3000):
        site = int(rng.integers(50))
        rate = 0.0 if rng.random() < 0.3 else float(highest * 2.0 ** -rng.uniform(0, 40))
        free = [s for s in range(50) if s not in expected]
        if rng.random() < 0.3 and site in expected and free:
            new = int(rng.choice(free))
            selection.reassign(bins, site, new, rate)
            del expected[site]
            site = new
        else:
            selection.assign(bins, site, rate)
        expected.pop(site, None)
        if rate > 0.0:
            expected[site] = naive.bin_of(rate, bins.bound)
        found = {
            int(s): int(b)
            for b in np.flatnonzero(bins.count)
            for s in bins.members[b, : bins.count[b]]
        }
        assert found == expected
        mass = sum(bins.bound[b] for b in expected.values())
        assert selection.total_mass(bins) == pytest.approx(mass, rel=1e-14, abs=0)
