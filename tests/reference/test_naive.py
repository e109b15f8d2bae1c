"""The oracle checked against statements it was not written from."""

import itertools
import math

import naive
import numpy as np
import pytest
from naive import LI, MG, VACANCY

LATTICES = tuple(naive.ORIENTATIONS)
HOT = 900.0  # K, so that no event is too rare to matter


def mixed_occupancy(box, seed, vacancies=0.06, magnesium=0.15):
    """Random occupancy with all three species near the interface."""
    rng = np.random.default_rng(seed)
    return rng.choice(
        [VACANCY, LI, MG], size=box.n_sites, p=[vacancies, 1 - vacancies - magnesium, magnesium]
    ).tolist()


def perfect(box):
    return [LI] * box.n_sites


def first_site(box, layer):
    return int(np.flatnonzero(box.layer == layer)[0])


def formation_energy_eV(box, energies, layer, bulk):
    """Take one Li out of a layer of a perfect box, put it on a kink of the bulk."""
    removed = naive.energy_change(box, energies, perfect(box), {first_site(box, layer): VACANCY})
    return removed * 1e-6 - bulk


@pytest.mark.parametrize("boundary", ["interface", "periodic"])
@pytest.mark.parametrize("name", LATTICES)
def test_every_site_is_bcc(name, boundary):
    """8 first and 6 second neighbours everywhere but below; opposite neighbours in pairs."""
    box = naive.lattice(name, (4, 5), 12, boundary)
    for site in range(box.n_sites):
        shells = [box.neighbours[0][site], box.neighbours[1][site]]
        if boundary == "periodic" or box.layer[site] > 4:
            assert [len(shell) for shell in shells] == [8, 6]
        for shell, members in enumerate(shells):
            for j in members:
                assert j >= box.n_sites or site in box.neighbours[shell][j]
    density = box.n_sites / np.prod(box.box)
    assert density == pytest.approx(2.0)  # two atoms in a³


def test_neighbours_of_the_interface_layer():
    """(100) has no in-plane first neighbours, (110) has four; (111) none."""
    expected = {"bcc_100": (4, 5, 0), "bcc_110": (6, 4, 4), "bcc_111": (4, 3, 0)}
    for name, (n1, n2, in_plane) in expected.items():
        box = naive.lattice(name, (5, 5), 12, "interface")
        first, second = box.in_box(0, 1), box.in_box(0, 2)
        assert (len(first), len(second)) == (n1, n2)
        assert sum(box.layer[j] == 1 for j in first) == in_plane


@pytest.mark.parametrize("name", LATTICES)
@pytest.mark.parametrize("values", [naive.LI_LI2S, naive.LIMG_LI2S], ids=["Li", "LiMg"])
def test_formation_energies(name, values):
    """0.500 / 0.280 / 0.430 eV (S4, Fig. 2c,d) on every orientation."""
    box = naive.lattice(name, (5, 5), 12, "interface")
    energies = naive.calibrate(values, box)
    found = [formation_energy_eV(box, energies, layer, 0.5) for layer in (7, 1, 2)]
    assert found == pytest.approx([0.500, 0.280, 0.430], abs=1e-4)
    periodic = naive.lattice(name, (5, 5), 12, "periodic")
    bulk = naive.calibrate(values, periodic)
    assert not bulk.site.any()
    assert bulk.chi == 0
    for layer in (1, 2, 12):
        assert formation_energy_eV(periodic, bulk, layer, 0.5) == pytest.approx(0.5, abs=1e-4)


def test_calibration_of_bcc_100_is_the_one_of_the_design():
    """The numbers that docs/model/energy.md quotes."""
    box = naive.lattice("bcc_100", (5, 5), 12, "interface")
    energies = naive.calibrate(naive.LI_LI2S, box)
    assert energies.bond[:, LI, LI] * 1e-6 == pytest.approx([0.0909, 0.0455], abs=5e-5)
    assert energies.site[LI, 1] * 1e-6 == pytest.approx(-0.189, abs=5e-4)
    assert energies.site[LI, 2] * 1e-6 == pytest.approx(0.0245, abs=5e-5)


@pytest.mark.parametrize("name", LATTICES)
def test_fill_energies_and_mg_repulsion(name):
    """−0.16 / −0.67 eV at the interface, 0.53 / 0.515 eV in the bulk."""
    box = naive.lattice(name, (5, 5), 12, "interface")
    energies = naive.calibrate(naive.LIMG_LI2S, box)
    vacancy = first_site(box, 1)
    second_layer = [j for j in box.in_box(vacancy, 1) if box.layer[j] == 2]
    for mg in second_layer:
        occupancy = perfect(box)
        occupancy[vacancy], occupancy[mg] = VACANCY, MG
        fill_mg = naive.energy_change(box, energies, occupancy, {vacancy: MG, mg: VACANCY})
        assert fill_mg * 1e-6 == pytest.approx(-0.67, abs=1e-4)
        others = [j for j in second_layer if j != mg]
        lengths = [
            np.linalg.norm(box.displacement(box.positions[mg], box.positions[j])) for j in others
        ]
        donor = others[int(np.argmin(lengths))]
        fill_li = naive.energy_change(box, energies, occupancy, {vacancy: LI, donor: VACANCY})
        assert fill_li * 1e-6 == pytest.approx(-0.16, abs=1e-4)
    bulk = first_site(box, 7)
    for shell, energy in ((1, 0.530), (2, 0.515)):
        occupancy = perfect(box)
        occupancy[box.in_box(bulk, shell)[-1]] = MG
        removed = naive.energy_change(box, energies, occupancy, {bulk: VACANCY})
        assert removed * 1e-6 - 0.5 == pytest.approx(energy, abs=1e-4)


def test_magnesium_mixes_ideally_in_the_bulk():
    """Two Mg side by side cost what two Mg far apart cost (docs/model/energy.md)."""
    box = naive.lattice("bcc_100", (5, 5), 12, "periodic")
    energies = naive.calibrate(naive.LIMG_LI2S, box)
    occupancy = perfect(box)
    alone = naive.energy_change(box, energies, occupancy, {0: MG})
    for shell in (1, 2):
        occupancy = perfect(box)
        occupancy[box.in_box(0, shell)[0]] = MG
        beside = naive.energy_change(box, energies, occupancy, {0: MG})
        assert abs(beside - alone) <= 2  # rounding of the bonds, µeV


@pytest.mark.parametrize("boundary", ["interface", "periodic"])
@pytest.mark.parametrize("name", LATTICES)
def test_local_energy_change_is_the_full_one(name, boundary):
    """Differences from the bonds at the changed sites equal differences of the whole H."""
    box = naive.lattice(name, (4, 5), 12, boundary)
    energies = naive.calibrate(naive.LIMG_LI2S, box)
    rng = np.random.default_rng(11)
    occupancy = mixed_occupancy(box, 12)
    for trial in range(25):
        site = int(rng.integers(box.n_sites if trial % 2 else 3 * box.sites_per_layer))
        partner = int(rng.choice(box.in_box(site, 1)))
        changes = {site: occupancy[partner], partner: occupancy[site]}
        if trial % 3 == 0:
            changes = {site: int(rng.integers(3))}
        changed = list(occupancy)
        for where, species in changes.items():
            changed[where] = species
        full = [naive.hamiltonian(box, energies, state) for state in (occupancy, changed)]
        kept = list(occupancy)
        assert naive.energy_change(box, energies, occupancy, changes) == full[1] - full[0]
        assert occupancy == kept
        occupancy = changed


def test_energy_of_a_perfect_box_by_hand():
    """Bonds of a periodic perfect crystal: 4 ε1 + 3 ε2 an atom."""
    box = naive.lattice("bcc_110", (4, 4), 8, "periodic")
    energies = naive.calibrate(naive.LI_LI2S, box)
    by_hand = -box.n_sites * (4 * 90909 + 3 * 45455)
    assert naive.hamiltonian(box, energies, perfect(box)) == by_hand


def test_lattice_gas_has_first_neighbour_bonds_only():
    box = naive.lattice("bcc_100", (4, 4), 8, "interface")
    energies = naive.calibrate(naive.LATTICE_GAS, box)
    assert energies.bond[0, LI, LI] == 100_000
    assert np.count_nonzero(energies.bond) == 1
    assert not energies.site.any()
    assert energies.chi == 0


@pytest.mark.parametrize("floor", [None, 0.25])
@pytest.mark.parametrize("boundary", ["interface", "periodic"])
@pytest.mark.parametrize("name", LATTICES)
def test_detailed_balance_of_hops(name, boundary, floor):
    """k(i→j)/k(j→i) = exp(−ΔE/kT) and one barrier seen from both sides (docs/model/events.md)."""
    box = naive.lattice(name, (4, 4), 12, boundary)
    conditions = naive.Conditions(temperature_K=HOT, saddle_floor_eV=floor)
    occupancy = mixed_occupancy(box, 21)
    simulation = naive.NaiveSimulation(box, naive.LIMG_LI2S, conditions, occupancy)
    pairs = [
        (vacancy, atom)
        for vacancy in simulation.vacancies()
        for atom in box.in_box(vacancy, 1)
        if simulation.occupancy[atom] != VACANCY
    ]
    rng = np.random.default_rng(22)
    for k in rng.permutation(len(pairs))[:60]:
        vacancy, atom = pairs[k]
        barrier, change = simulation.barrier_after(vacancy, atom)
        rate = simulation.hop_rate(vacancy, atom)
        species = simulation.occupancy[atom]
        hop = naive.Event("hop", atom, vacancy, species, 0.0)
        back = naive.Event("hop", vacancy, atom, species, 0.0)
        simulation.apply(hop)
        reverse_barrier, reverse_change = simulation.barrier_after(atom, vacancy)
        reverse_rate = simulation.hop_rate(atom, vacancy)
        simulation.apply(back)
        assert reverse_change == -change
        assert barrier - reverse_barrier == change
        assert min(barrier, reverse_barrier) >= (0 if floor is None else 250_000)
        ratio = math.exp(-change * 1e-6 / simulation.kT)
        assert rate / reverse_rate == pytest.approx(ratio, rel=1e-12, abs=0)


@pytest.mark.parametrize("name", LATTICES)
def test_reservoir_is_in_detailed_balance(name):
    """Absorption over emission = exp((B + μ)/kT) with μ_X = kT ln x_X − B_bulk + E_f."""
    box = naive.lattice(name, (4, 4), 9, "interface")
    conditions = naive.Conditions(HOT, 0.0, 100.0, mg_fraction=0.2)
    simulation = naive.NaiveSimulation(
        box, naive.LIMG_LI2S, conditions, mixed_occupancy(box, 31, vacancies=0.2)
    )
    vacant = [i for i in simulation.top_sites() if simulation.occupancy[i] == VACANCY]
    assert vacant
    for site in vacant:
        for species, rate in simulation.absorption_rates(site):
            binding = -simulation.change({site: species}) * 1e-6
            bulk = 1.0 if species == LI else 1.0 + 8 * 0.030 + 6 * 0.015
            share = 0.8 if species == LI else 0.2
            mu = simulation.kT * math.log(share) - bulk + 0.5
            expected = math.exp((binding + mu) / simulation.kT)
            assert rate / simulation.k_emit == pytest.approx(expected, rel=1e-4, abs=0)


def test_isolated_vacancy_is_absorbed_at_the_diffusion_rate():
    """D_v/(d L) with D_v = a² ν exp(−E0/kT) (docs/model/events.md)."""
    box = naive.lattice("bcc_100", (4, 4), 9, "interface")
    occupancy = perfect(box)
    occupancy[-1] = VACANCY
    simulation = naive.NaiveSimulation(
        box, naive.LI_LI2S, naive.Conditions(298.15, 0.0, 100.0), occupancy
    )
    diffusivity = (3.506e-8) ** 2 * 2.6e12 * math.exp(-0.055 / (naive.K_B_EV * 298.15))  # cm²/s
    expected = diffusivity / (1.753e-8 * 100e-4)
    assert [species for species, _ in simulation.absorption_rates(box.n_sites - 1)] == [LI]
    assert simulation.absorption_rates(box.n_sites - 1)[0][1] == pytest.approx(expected)


def test_strip_weights_and_overpotential_of_the_flat_interface():
    """Every L1 atom weighs 1; without a vacant site nothing is reduced, and j = j0 exp(eη/2kT)."""
    box = naive.lattice("bcc_100", (4, 5), 9, "interface")
    conditions = naive.Conditions(298.15, 0.5)
    simulation = naive.NaiveSimulation(box, naive.LI_LI2S, conditions, perfect(box))
    weights = simulation.strip_weights()
    assert sorted(weights) == list(range(box.sites_per_layer))
    assert list(weights.values()) == pytest.approx([1.0] * box.sites_per_layer)
    kT = naive.K_B_EV * 298.15
    assert simulation.overpotential_V() == pytest.approx(2 * kT * math.log(0.5))
    # 0.5 mA/cm² strips 3.8 monolayers a second (docs/model/electrochemistry.md).
    assert simulation.strip_rate / box.sites_per_layer == pytest.approx(3.84, abs=0.02)


def test_electroactive_sites_follow_the_magnesium():
    """Li of L2 counts when an L1 neighbour is Mg; Mg never strips."""
    box = naive.lattice("bcc_100", (4, 4), 9, "interface")
    occupancy = perfect(box)
    occupancy[5] = MG
    simulation = naive.NaiveSimulation(
        box, naive.LIMG_LI2S, naive.Conditions(298.15, 0.5), occupancy
    )
    above = [j for j in box.in_box(5, 1) if box.layer[j] == 2]
    expected = [i for i in range(16) if i != 5] + above
    assert simulation.electroactive() == sorted(expected)


@pytest.mark.parametrize("name", LATTICES)
def test_steps_follow_the_list_of_rates(name):
    """Every event chosen is on the list, the bookkeeping of atoms closes, and time runs on."""
    box = naive.lattice(name, (4, 4), 8, "interface")
    conditions = naive.Conditions(1500.0, 1e9, 0.001, mg_fraction=0.1)
    simulation = naive.NaiveSimulation(
        box, naive.LIMG_LI2S, conditions, mixed_occupancy(box, 41, 0.02, 0.1)
    )
    rng = np.random.default_rng(42)
    kinds = set()
    for _ in range(60):
        possible = {event for event, rate in simulation.list_rates() if rate > 0}
        before = np.bincount(simulation.occupancy, minlength=3)
        event = simulation.step(rng)
        assert event._replace(dt=0.0) in possible
        assert event.dt > 0
        after = np.bincount(simulation.occupancy, minlength=3)
        kinds.add(event.kind)
        change = np.zeros(3, dtype=int)
        if event.kind in ("strip", "emit"):
            change[event.species] -= 1
            change[VACANCY] += 1
        elif event.kind == "absorb":
            change[event.species] += 1
            change[VACANCY] -= 1
        assert (after - before == change).all()
    assert "hop" in kinds


@pytest.mark.slow
def test_selection_is_exact_in_one_state():
    """Shares of chosen events against their rates: χ² over 4 000 draws, 99.9 % confidence."""
    from scipy import stats

    box = naive.lattice("bcc_100", (4, 4), 8, "interface")
    occupancy = perfect(box)
    for site, species in {0: VACANCY, 17: MG, 70: VACANCY, 127: VACANCY}.items():
        occupancy[site] = species
    conditions = naive.Conditions(2500.0, 4e11, 1e-4, mg_fraction=0.1)
    simulation = naive.NaiveSimulation(box, naive.LIMG_LI2S, conditions, occupancy)
    listed = simulation.list_rates()
    kinds = sorted({event.kind for event, _ in listed})
    assert kinds == ["absorb", "emit", "hop", "strip"]
    groups = {}
    for event, rate in listed:
        key = (event.kind, event.species, event.site_to)
        groups[key] = groups.get(key, 0.0) + rate
    counts = dict.fromkeys(groups, 0)
    rng = np.random.default_rng(51)
    draws, waited = 4000, 0.0
    while sum(counts.values()) < draws:
        dt, event = simulation.attempt(rng)
        waited += dt
        if event is not None:
            counts[event.kind, event.species, event.site_to] += 1
    total = sum(groups.values())
    expected = np.array([draws * rate / total for rate in groups.values()])
    observed = np.array(list(counts.values()))
    enough = expected >= 5
    assert enough.sum() >= 6
    observed, expected = observed[enough], expected[enough]
    expected *= observed.sum() / expected.sum()
    assert stats.chisquare(observed, expected).pvalue > 1e-3
    assert waited * total / draws == pytest.approx(1.0, abs=4 / math.sqrt(draws))


def test_bins_hold_their_rates():
    """Bin b is the first whose bound reaches the rate."""
    rng = np.random.default_rng(61)
    bounds = naive.POWERS_OF_TWO
    for rate in itertools.chain(10.0 ** rng.uniform(-6, 14, 200), [8.0, 0.125]):
        b = naive.bin_of(rate, bounds)
        assert bounds[b - 1] < rate <= bounds[b]
    assert naive.bin_of(1e-300, bounds) == 0


@pytest.mark.slow
def test_the_events_do_not_depend_on_the_bins():
    """One bin for everything (plain rejection) gives the shares of the list of rates as well."""
    box = naive.lattice("bcc_100", (4, 4), 8, "interface")
    occupancy = perfect(box)
    occupancy[0] = occupancy[40] = VACANCY
    mean = {}
    for name, bounds in (("one bin", (1e14,)), ("powers of two", naive.POWERS_OF_TWO)):
        simulation = naive.NaiveSimulation(
            box, naive.LI_LI2S, naive.Conditions(900.0), occupancy, bounds=bounds
        )
        total = sum(rate for _, rate in simulation.list_rates())
        rng, waits, firsts = np.random.default_rng(62), [], 0
        for _ in range(500):
            simulation.occupancy = list(occupancy)
            event = simulation.step(rng)
            waits.append(event.dt * total)
            firsts += event.site_to == 0
        share = sum(r for e, r in simulation_rates(simulation, occupancy) if e.site_to == 0) / total
        assert firsts / 500 == pytest.approx(share, abs=4 * math.sqrt(share / 500))
        mean[name] = np.mean(waits)
    assert list(mean.values()) == pytest.approx([1.0, 1.0], abs=4 / math.sqrt(500))


def simulation_rates(simulation, occupancy):
    simulation.occupancy = list(occupancy)
    return simulation.list_rates()


def test_floor_from_ratio():
    """ν exp(−E_floor/kT) is `ratio` times the strip rate of one site (docs/model/events.md)."""
    box = naive.lattice("bcc_100", (4, 4), 8, "interface")
    conditions = naive.Conditions(298.15, 0.5)
    floor = naive.floor_from_ratio_eV(box, naive.LI_LI2S, conditions, 1e5)
    rate = 2.6e12 * math.exp(-floor / (naive.K_B_EV * 298.15))
    assert rate / 3.84 == pytest.approx(1e5, rel=0.01, abs=0)


def test_magnesium_values_extend_the_lithium_values():
    assert {key: naive.LIMG_LI2S[key] for key in naive.LI_LI2S} == naive.LI_LI2S
