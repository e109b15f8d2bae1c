"""Depositions in equilibrium between arrivals, against enumeration and the limit of slowed runs."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from test_deposition_kernel import atoms_of, energies, naive_of

import kmc
from kmc.errors import InputError
from kmc.kernels import deposition as kernel
from kmc.kernels.deposition_equilibrium import equilibrate
from kmc.model.adatoms import adatoms, times_of
from kmc.model.parameters import load_parameters
from kmc.runfile.load import load_run
from kmc.systems.deposition.box import box_of, empty_state, exchange_rates, vacant_sites
from kmc.systems.deposition.run import DepositionJob
from kmc.systems.deposition.summary import summary

RATIO = "acceleration.max_hops_per_strip_per_site"
SMALL = {"system.size": [10, 10, 12], "stop.capacity_monolayers": 1, RATIO: math.inf}


@pytest.mark.validation
def test_three_atoms_have_boltzmann_occupancies():
    """Every connected state of three atoms on two substrates, enumerated.

    8000 looks, each after some twenty moves of an atom: nearly independent. χ² a state scatters by
    √(2/192) = 0.1 about 1, and the mean energy by its spread over √8000; five of each are allowed.
    Rates without the substrate, or with bonds 5 % weaker, miss by more.
    """
    size, e, n = (3, 3, 2), energies(1500.0), 8000
    surface = np.array([[0, 1, 1], [0, 0, 1], [1, 0, 0]], dtype=np.uint8)
    naive, box = naive_of(e, size, surface), box_of(size, surface, e.places)
    state, rng = empty_state(box), np.random.default_rng(5)
    for site in range(3):
        kernel.add(box, state, site)
    vacant, rates = vacant_sites(state), exchange_rates(e)
    seen: dict[frozenset, int] = {}
    for _ in range(n):
        equilibrate(box, state, vacant, *rates, 6.0, rng)
        key = frozenset(atoms_of(state, size))
        seen[key] = seen.get(key, 0) + 1
    energy = {}
    for chosen in itertools.combinations(itertools.product(range(3), range(3), range(2)), 3):
        naive.atoms = set(chosen)
        if len(naive.connected()) == 3:
            energy[frozenset(chosen)] = naive.energy()
    assert set(seen) <= set(energy)
    weights = {key: math.exp(-value / e.kT_eV) for key, value in energy.items()}
    share = {key: weight / sum(weights.values()) for key, weight in weights.items()}
    squares = [(seen.get(key, 0) - n * p) ** 2 / (n * p) for key, p in share.items()]
    assert np.mean(squares) == pytest.approx(1.0, abs=0.5)
    expected = sum(energy[key] * p for key, p in share.items())
    spread = math.sqrt(sum((energy[key] - expected) ** 2 * p for key, p in share.items()))
    mean = sum(energy[key] * count for key, count in seen.items()) / n
    assert mean == pytest.approx(expected, abs=5 * spread / math.sqrt(n))


def test_dead_atoms_stay_and_nothing_joins_them():
    size, e = (6, 6, 6), energies(1500.0)
    box = box_of(size, np.zeros((6, 6), dtype=np.uint8), e.places)
    state, rng = empty_state(box), np.random.default_rng(1)
    dead = [(3 * 6 + 1) * 6 + x for x in (1, 2)]
    for site in [*dead, 0, 1, 2, 6, 7, 8, 36, 37]:
        kernel.add(box, state, site)
    vacant, rates = vacant_sites(state), exchange_rates(e)
    moves = 0
    for _ in range(40):
        moves += equilibrate(box, state, vacant, *rates, 20.0, rng)
        assert state.counts[kernel.DEAD] == 2
        assert not state.connected[dead].any()
        assert state.counts[kernel.ATOMS] == 10 == state.occupied.sum()
        assert state.n_connected.sum() == 8
    assert moves > 500


@pytest.mark.validation
def test_a_crystal_is_as_high_for_its_width_as_adhesion_says():
    """Height over width is 1 − φ/ε: the least of (ε − φ) w² + 2 ε w h at w² h atoms (Winterbottom).

    With φ = ε/2 and 32 atoms w = 4 and h = 2, whose layers are whole, 3 ε below the flat island
    that it begins as; of the next shapes 5 × 4 × 2 costs ε/2, 19 times rarer at 298 K.
    """
    bond, n = 1 / 6, 14
    e = energies(298.15, bond_eV=bond, substrate_eV=(bond / 2, 0.4, 0.0))
    box = box_of((n, n, 10), np.zeros((n, n), dtype=np.uint8), e.places)
    state, rng = empty_state(box), np.random.default_rng(2)
    for site in [y * n + x for y in range(6) for x in range(6)][:32]:
        kernel.add(box, state, site)
    vacant, rates = vacant_sites(state), exchange_rates(e)
    footprints = []
    for k in range(40):
        equilibrate(box, state, vacant, *rates, 400.0, rng)
        if k >= 20:
            footprints.append(int(state.occupied[: n * n].sum()))
    assert np.mean(footprints) == pytest.approx(16, abs=1.5)


@pytest.mark.slow
@pytest.mark.validation
def test_slowed_runs_approach_equilibrium():
    """Coverage of carbon at one monolayer, mean of four, and how far it is from the limit.

    0.60, 0.45, 0.36 at 1e4, 1e6, 1e7 and 0.26 in the limit, each within 0.03.
    """
    means = []
    for ratio in (1e4, 1e6, 1e7, math.inf):
        covered = []
        for seed in range(1, 5):
            job = DepositionJob(
                load_run("plate_carbon", {**SMALL, RATIO: ratio, "random.seed": seed})
            )
            while job.charge() < job.columns:
                list(job.advance())
            covered.append(job.row(1, 1)["coverage"])
        means.append(np.mean(covered))
    away = np.array(means[:3]) - means[3]
    assert away[0] > 0.25
    assert away[1] < 0.7 * away[0]
    assert away[2] < 0.5 * away[0]


def test_a_state_taken_up_again_goes_on_as_before():
    def job():
        changes = {"system.size": [6, 6, 12], "deposition.surface_layer_nm": 0.1}
        return DepositionJob(load_run("plate_carbon", {**SMALL, **changes}))

    whole, first, second = job(), job(), job()
    for _ in range(30):
        list(whole.advance())
    for _ in range(12):
        list(first.advance())
    second.restore(first.state())
    for _ in range(18):
        list(second.advance())
    assert whole.charge() > 20
    assert (whole.occupied == second.occupied).all()
    assert whole.time_s == second.time_s
    assert (whole.atoms.layer == second.atoms.layer).all()


def test_times_that_must_be_short():
    """At 1 mA/cm² on 10 nm: an atom each e/(10 A/m² 1e-16 m²); a barrier of 0.6 eV takes 1.7 s."""
    e = adatoms([load_parameters("li_zno_202")], 298.15, 0.0)
    times = times_of(e, 10 * e.area_A2 * 1e-20 / 1.602176634e-19)
    assert times.arrivals_s == pytest.approx(1.602e-4, rel=1e-3)
    hops_Hz = 2.6e12 * math.exp(-0.6 / (8.617333e-5 * 298.15))
    diffusivity_cm2_s = (e.spacing_A * 1e-8) ** 2 * hops_Hz
    assert times.diffusion_s[0] == pytest.approx((1e-6) ** 2 / (4 * diffusivity_cm2_s), rel=1e-4)
    assert times.slowest_s == times.diffusion_s[0]
    ratio = math.exp(-e.step_eV / e.kT_eV)
    assert times.step_s == pytest.approx(times.diffusion_s[1] / ratio)


@pytest.mark.parametrize(
    ("run", "changes", "message"),
    [
        ("plate_zno_202", {}, "no equilibrium between two arrivals"),
        ("plate_carbon", {"conditions.current_density_mA_cm2": 30.0}, "at 30 mA/cm²"),
        ("plate_carbon", {"deposition.hops": False}, "exclude each other"),
    ],
)
def test_refused_where_atoms_are_slower_than_arrivals(run, changes, message):
    with pytest.raises(InputError, match=message):
        load_run(run, {RATIO: math.inf, **changes})


def test_a_run_says_how_far_it_holds(tmp_path):
    found = kmc.run("plate_carbon", SMALL, output=tmp_path / "a.h5", progress=False)
    assert kmc.verify(found.path).passed
    text = dict(summary(found))["Equilibrium"].replace("\xa0", " ")
    assert "160 µs on 10 nm × 10 nm, which lone atoms cross in 14.6 µs" in text
    assert found.samples["hops"][-1] == 0
    again = kmc.run("plate_carbon", SMALL, output=tmp_path / "b.h5", progress=False)
    assert again.path.read_bytes() == found.path.read_bytes()
