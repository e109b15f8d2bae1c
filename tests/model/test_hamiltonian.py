"""kmc.model.hamiltonian against the oracle's calibration, to the last µeV."""

import naive
import numpy as np
import pytest
from naive import LI, MG, VACANCY
from paired_engines import Setup, parameter_set, random_occupancy

from kmc.errors import InputError
from kmc.model import lattice as lattice_module
from kmc.model.hamiltonian import calibrate
from kmc.model.lattice import Lattice
from kmc.model.parameters import load_parameters

LATTICES = tuple(naive.ORIENTATIONS)
SETS = {
    "li_li2s": naive.LI_LI2S,
    "limg_li2s": naive.LIMG_LI2S,
    "lattice_gas": naive.LATTICE_GAS,
}
CURVED = {"Li": naive.CURVED, "Li-Mg": naive.LIMG_CURVED}
BOXES = [(name, b) for name in LATTICES for b in ("interface", "periodic")]


def compare(hamiltonian, energies):
    np.testing.assert_array_equal(hamiltonian.bond1, energies.bond[0])
    np.testing.assert_array_equal(hamiltonian.bond2, energies.bond[1])
    np.testing.assert_array_equal(hamiltonian.phi, energies.site)
    assert hamiltonian.chi == energies.chi
    for table in (hamiltonian.bond1, hamiltonian.bond2, hamiltonian.phi):
        assert table.dtype == np.int64
    assert isinstance(hamiltonian.chi, int)


def alike(energies, hamiltonian):
    """The oracle's energies with integers that the two round alike, to compare configurations."""
    bond = np.array([hamiltonian.bond1, hamiltonian.bond2])
    return energies._replace(bond=bond, site=hamiltonian.phi, chi=hamiltonian.chi)


@pytest.mark.parametrize("name", SETS)
def test_shipped_parameters_are_those_of_the_oracle(name):
    """Two people typed the same numbers."""
    shipped = load_parameters(name)
    for key, value in SETS[name].items():
        assert shipped.value(key) == value, key


@pytest.mark.parametrize("values", SETS)
@pytest.mark.parametrize(("name", "boundary"), BOXES)
def test_calibration(name, boundary, values):
    """Bonds, φ and χ of the shipped sets on the three orientations."""
    lattice = Lattice(name, (5, 6), 12, boundary, 3.506)
    hamiltonian = calibrate(load_parameters(values), lattice)
    box = naive.lattice(name, (5, 6), 12, boundary)
    compare(hamiltonian, naive.calibrate(SETS[values], box))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", LATTICES)
def test_calibration_of_other_numbers(name, seed):
    """The same for DFT energies that nobody chose: no number is built in."""
    rng = np.random.default_rng(seed)
    values = dict(naive.LIMG_LI2S)
    for key in values:
        if key.endswith("_eV") and "fill" not in key:
            values[key] *= float(rng.uniform(0.5, 1.5))
        elif key.endswith("_eV") or key == "second_shell_ratio":
            values[key] += float(rng.uniform(-0.3, 0.3))
    lattice = Lattice(name, (4, 4), 9, "interface", 3.506)
    box = naive.lattice(name, (4, 4), 9, "interface")
    hamiltonian, energies = calibrate(parameter_set(values), lattice), naive.calibrate(values, box)
    np.testing.assert_allclose(hamiltonian.bond1, energies.bond[0], atol=1)  # a tie may round
    np.testing.assert_allclose(hamiltonian.phi, energies.site, atol=1)
    assert hamiltonian.chi == pytest.approx(energies.chi, abs=1)


@pytest.mark.parametrize("values", CURVED)
@pytest.mark.parametrize(("name", "boundary"), BOXES)
def test_calibration_with_coordination(name, boundary, values):
    """The same where atoms with several vacant neighbours cost more, and vacancies of L1 repel."""
    lattice = Lattice(name, (5, 6), 12, boundary, 3.506)
    hamiltonian = calibrate(parameter_set(CURVED[values]), lattice)
    box = naive.lattice(name, (5, 6), 12, boundary)
    energies = naive.calibrate(CURVED[values], box)
    np.testing.assert_allclose(hamiltonian.bond1, energies.bond[0], atol=1)  # a tie may round
    np.testing.assert_allclose(hamiltonian.bond2, energies.bond[1], atol=1)
    np.testing.assert_allclose(hamiltonian.phi, energies.site, atol=1)
    assert hamiltonian.chi == pytest.approx(energies.chi, abs=1)
    assert not hamiltonian.is_pairwise
    beta, weight = energies.beta, energies.weight
    table = [[round(beta * (v1 + weight * v2) ** 2 * 1e6) for v2 in range(7)] for v1 in range(9)]
    np.testing.assert_array_equal(hamiltonian.coordination_ueV, [table] * 4)


SIZES = [
    ("interface", (4, 4), 8),
    ("interface", (5, 7), 9),
    ("interface", (4, 6), 13),
    ("periodic", (5, 4), 12),
]


@pytest.mark.parametrize(("boundary", "cells", "layers"), SIZES)
@pytest.mark.parametrize("values", SETS)
@pytest.mark.parametrize("name", LATTICES)
def test_energy_of_any_configuration(name, values, boundary, cells, layers):
    """H of random boxes, crowded at both ends: equal integers."""
    setup = Setup(name, cells, layers, boundary, SETS[values])
    lattice = setup.kmc_lattice()
    hamiltonian = calibrate(parameter_set(SETS[values]), lattice)
    energies = naive.calibrate(SETS[values], setup.box)
    rng = np.random.default_rng(1)
    magnesium = setup.n_sites // 4 if "barrier_Mg_eV" in SETS[values] else 0
    for vacancies in (0, 1, setup.n_sites // 10, setup.n_sites // 2):
        occupancy = random_occupancy(setup.n_sites, rng, vacancies, magnesium)
        found = hamiltonian.energy_ueV(occupancy, lattice)
        assert isinstance(found, int)
        assert found == naive.hamiltonian(setup.box, energies, occupancy.tolist())


@pytest.mark.parametrize(("boundary", "cells", "layers"), SIZES)
@pytest.mark.parametrize("name", LATTICES)
def test_energy_with_coordination(name, boundary, cells, layers):
    """The same with a curvature of coordination and a bond in L1, to the last µeV."""
    setup = Setup(name, cells, layers, boundary, naive.LIMG_CURVED)
    lattice = setup.kmc_lattice()
    hamiltonian = calibrate(parameter_set(naive.LIMG_CURVED), lattice)
    energies = alike(naive.calibrate(naive.LIMG_CURVED, setup.box), hamiltonian)
    rng = np.random.default_rng(2)
    for vacancies in (1, setup.n_sites // 10, setup.n_sites // 2):
        occupancy = random_occupancy(setup.n_sites, rng, vacancies, setup.n_sites // 4)
        energy = hamiltonian.energy_ueV(occupancy, lattice)
        assert energy == naive.hamiltonian(setup.box, energies, occupancy.tolist())


@pytest.mark.parametrize("values", [naive.LIMG_LI2S, naive.LIMG_CURVED])
def test_energy_of_a_large_box_is_summed_by_parts(values, monkeypatch):
    setup = Setup("bcc_110", (5, 6), 12, "interface", values)
    box, hamiltonian = setup.kmc_lattice(), calibrate(parameter_set(values), setup.kmc_lattice())
    rng = np.random.default_rng(3)
    n = setup.n_sites
    occupancy = np.array(random_occupancy(n, rng, n // 5, n // 4))
    whole = hamiltonian.energy_ueV(occupancy, box)
    monkeypatch.setattr(lattice_module, "_SITES_KEPT", 77)
    assert len([*box.neighbour_parts(1)]) == -(-n // 77) > 5
    assert hamiltonian.energy_ueV(occupancy, box) == whole


def _energy_eV(values, vacant, name="bcc_100"):
    """Energy of vacancies, their atoms put on kinks of the bulk."""
    lattice = Lattice(name, (6, 6), 12, "interface", 3.506)
    hamiltonian = calibrate(parameter_set(values), lattice)
    occupancy = np.full(lattice.n_sites, LI)
    assert hamiltonian.energy_ueV(occupancy, lattice) == hamiltonian.perfect_energy_ueV(lattice)
    occupancy[vacant] = VACANCY
    change = hamiltonian.energy_ueV(occupancy, lattice) - hamiltonian.perfect_energy_ueV(lattice)
    return (change - len(vacant) * hamiltonian.kink_binding_ueV) * 1e-6


@pytest.mark.parametrize("name", LATTICES)
def test_lone_vacancies_cost_what_the_set_says_with_every_term(name):
    """0.28, 0.43 and 0.50 eV in L1, L2 and the metal up to the top layer, whatever β, r and b."""
    per_layer = Lattice(name, (6, 6), 12, "interface", 3.506).sites_per_layer
    for layer, expected in ((1, 0.28), (2, 0.43), (7, 0.50), (12, 0.50)):
        for values in (naive.LI_LI2S, naive.CURVED):
            energy = _energy_eV(values, [(layer - 1) * per_layer], name)
            assert energy == pytest.approx(expected, abs=1e-5)


def test_energies_of_pairs_and_of_a_film_by_hand():
    """A pair shares atoms: 2 E_f − ε + 2 β (1 or r)² for each atom beside both; on bcc (100).

    Second neighbours in L1 share two first neighbours above (two more would be electrolyte), and
    lose b. First neighbours in the metal have six common ones, each first of one and second of the
    other; second neighbours four, first of both.
    """
    b2, beta, r = (naive.CURVED[key] for key in list(naive.CURVED)[-4:-1])
    bond_L1 = naive.CURVED["bond_L1_vacancies_eV"]
    b1 = (0.5 - 8 * beta - 6 * beta * r**2 - 3 * b2) / 4
    lattice = Lattice("bcc_100", (6, 6), 12, "interface", 3.506)
    middle, top = 6 * lattice.sites_per_layer, 0
    first, second = (int(lattice.neighbours(middle, shell)[0]) for shell in (1, 2))
    beside = next(int(i) for i in lattice.neighbours(top, 2) if 0 <= i < lattice.sites_per_layer)
    # Each vacancy is spared the coordination of the atom that the other one took away.
    bulk1 = 1.0 - b1 - 2 * beta + 6 * 2 * beta * r
    bulk2 = 1.0 - b2 - 2 * beta * r**2 + 4 * 2 * beta
    L1 = 0.56 - b2 - 2 * beta * r**2 + 2 * 2 * beta - bond_L1
    for pair, expected in (
        ((middle, first), bulk1),
        ((middle, second), bulk2),
        ((top, beside), L1),
    ):
        assert _energy_eV(naive.CURVED, list(pair)) == pytest.approx(expected, abs=2e-5)


@pytest.mark.parametrize("values", [naive.LIMG_LI2S, naive.LIMG_CURVED])
@pytest.mark.parametrize("name", LATTICES)
def test_binding_energies(name, values):
    """Energy to take an atom off a site among Li, layer by layer."""
    setup = Setup(name, (4, 4), 9, values=values)
    hamiltonian = calibrate(parameter_set(values), setup.kmc_lattice())
    energies = alike(naive.calibrate(values, setup.box), hamiltonian)
    for layer in range(1, 10):
        site = (layer - 1) * setup.box.sites_per_layer + 3
        for species in (LI, MG):
            occupancy = [LI] * setup.n_sites
            occupancy[site] = species
            removed = naive.energy_change(setup.box, energies, occupancy, {site: VACANCY})
            assert hamiltonian.binding_ueV(species, layer) == removed
    if values is naive.LIMG_LI2S:
        assert hamiltonian.bulk_binding_ueV(LI) == 8 * 90909 + 6 * 45455
        assert hamiltonian.bulk_formation_ueV == hamiltonian.bulk_binding_ueV(LI) / 2
    assert hamiltonian.bulk_formation_ueV == pytest.approx(500_000, abs=10)


def test_formation_energies_on_bcc_100():
    """0.500 / 0.280 / 0.430 eV to 1e-3 by differences of energy_ueV on a real lattice (S4)."""
    lattice = Lattice("bcc_100", (6, 6), 12, "interface", 3.506)
    hamiltonian = calibrate(load_parameters("li_li2s"), lattice)
    perfect = np.full(lattice.n_sites, LI)
    for layer, expected in ((6, 0.500), (1, 0.280), (2, 0.430), (12, 0.500)):
        vacant = perfect.copy()
        vacant[np.flatnonzero(lattice.layer == layer)[0]] = VACANCY
        change = hamiltonian.energy_ueV(vacant, lattice) - hamiltonian.energy_ueV(perfect, lattice)
        kink = hamiltonian.bulk_binding_ueV(LI) / 2
        assert (change - kink) * 1e-6 == pytest.approx(expected, abs=1e-3)


def test_a_set_without_an_energy_is_refused():
    values = {k: v for k, v in naive.LI_LI2S.items() if k != "formation_energy_L1_eV"}
    with pytest.raises(InputError, match="formation_energy_L1_eV"):
        calibrate(parameter_set(values), Lattice("bcc_100", (4, 4), 8, "interface", 3.506))


def test_the_event_loop_refuses_energies_that_are_not_of_pairs():
    with pytest.raises(InputError, match="with which the event loop makes no hops"):
        Setup("bcc_100", (4, 4), 9, values=naive.CURVED).model()


@pytest.mark.parametrize("name", LATTICES)
def test_without_curvature_everything_is_as_with_pairs(name):
    """β = 0 and b = 0, whatever r: the same integers, so the same bytes of every run."""
    none = {"coordination_curvature_eV": 0.0, "bond_L1_vacancies_eV": 0.0}
    none["coordination_second_shell_weight"] = 0.7
    lattice = Lattice(name, (4, 4), 9, "interface", 3.506)
    plain, zero = (
        calibrate(parameter_set(naive.LIMG_LI2S | extra), lattice) for extra in ({}, none)
    )
    assert zero.is_pairwise
    for key in ("bond1", "bond2", "phi", "chi", "n_neighbours", "coordination_ueV", "bond_L1_ueV"):
        np.testing.assert_array_equal(getattr(plain, key), getattr(zero, key))
    Setup(name, (4, 4), 9, values=naive.LI_LI2S | none).model()  # the event loop takes it
