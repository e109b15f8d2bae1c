"""kmc.model.hamiltonian against the oracle's calibration, to the last µeV."""

import naive
import numpy as np
import pytest
from naive import LI, MG, VACANCY
from paired_engines import Setup, parameter_set, random_occupancy

from kmc.errors import InputError
from kmc.model.hamiltonian import calibrate
from kmc.model.lattice import Lattice
from kmc.model.parameters import load_parameters

LATTICES = tuple(naive.ORIENTATIONS)
SETS = {
    "li_li2s": naive.LI_LI2S,
    "limg_li2s": naive.LIMG_LI2S,
    "lattice_gas": naive.LATTICE_GAS,
}
BOXES = [(name, b) for name in LATTICES for b in ("interface", "periodic")]


def compare(hamiltonian, energies):
    np.testing.assert_array_equal(hamiltonian.bond1, energies.bond[0])
    np.testing.assert_array_equal(hamiltonian.bond2, energies.bond[1])
    np.testing.assert_array_equal(hamiltonian.phi, energies.site)
    assert hamiltonian.chi == energies.chi
    for table in (hamiltonian.bond1, hamiltonian.bond2, hamiltonian.phi):
        assert table.dtype == np.int64
    assert isinstance(hamiltonian.chi, int)


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


@pytest.mark.parametrize("name", LATTICES)
def test_binding_energies(name):
    """Energy to take an atom off a site among Li, layer by layer."""
    setup = Setup(name, (4, 4), 9, values=naive.LIMG_LI2S)
    hamiltonian = calibrate(parameter_set(naive.LIMG_LI2S), setup.kmc_lattice())
    energies = naive.calibrate(naive.LIMG_LI2S, setup.box)
    for layer in range(1, 10):
        site = (layer - 1) * setup.box.sites_per_layer + 3
        for species in (LI, MG):
            occupancy = [LI] * setup.n_sites
            occupancy[site] = species
            removed = naive.energy_change(setup.box, energies, occupancy, {site: VACANCY})
            assert hamiltonian.binding_ueV(species, layer) == removed
    assert hamiltonian.bulk_binding_ueV(LI) == 8 * 90909 + 6 * 45455
    assert hamiltonian.bulk_formation_ueV == hamiltonian.bulk_binding_ueV(LI) / 2


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
