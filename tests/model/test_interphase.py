"""Maps of interface chemistries: what fits together and what does not."""

from dataclasses import replace

import naive
import numpy as np
import pytest
from paired_engines import Setup, parameter_set, random_occupancy

from kmc.errors import InputError
from kmc.model.interphase import Interphase

BASE = parameter_set(naive.LI_LI2S)
ALLOY = parameter_set(naive.LIMG_LI2S)


def other(**values):
    return parameter_set(naive.LI_LI2S | values)


def test_a_map_names_only_sets_that_are_there():
    with pytest.raises(InputError, match="names chemistry 2, and there are 2"):
        Interphase(np.array([0, 1, 2]), (BASE, other(formation_energy_L1_eV=0.6)))


def test_at_most_four_chemistries():
    with pytest.raises(InputError, match="5 chemistries"):
        Interphase(np.zeros(4), (BASE,) * 5)


def test_sets_must_share_everything_but_the_interface():
    with pytest.raises(InputError, match=r"barrier_Li_eV is 0\.06"):
        Interphase(np.zeros(4), (BASE, other(barrier_Li_eV=0.06)))
    with pytest.raises(InputError, match="of Li and Mg, the run's set"):
        Interphase(np.zeros(4), (BASE, ALLOY))


def test_a_set_that_changes_chi_is_refused():
    changed = parameter_set(naive.LIMG_LI2S | {"formation_energy_L1_to_L2_eV": 0.10})
    columns = np.zeros(16)
    setup = Setup(values=naive.LIMG_LI2S)
    with pytest.raises(InputError, match="gives chi = "):
        build(setup, Interphase(columns, (ALLOY, changed)))


def test_the_map_must_fit_the_box():
    setup = Setup()
    with pytest.raises(InputError, match=r"has shape \(5,\), and a layer of the box has 16"):
        build(setup, Interphase(np.zeros(5), (BASE, BASE)))
    periodic = Setup(boundary="periodic")
    with pytest.raises(InputError, match="periodic"):
        build(periodic, Interphase(np.zeros(16), (BASE, BASE)))


def build(setup, interphase):
    return replace(setup.model(), interphase=interphase)


@pytest.mark.parametrize("name", naive.ORIENTATIONS)
def test_the_energy_of_a_patchy_box(name):
    """`Model.energy_ueV` bond by bond equals the oracle's H for a random configuration."""
    columns = naive.lattice(name, (4, 4), 12, "interface").sites_per_layer
    chemistry = tuple(int(k) for k in np.random.default_rng(1).integers(0, 3, columns))
    setup = Setup(
        name,
        layers=12,
        values=naive.LIMG_LI2S,
        others=({"formation_energy_L1_eV": 0.6}, {"formation_energy_L1_eV": 0.4}),
        chemistry=chemistry,
    )
    occupancy = random_occupancy(setup.n_sites, np.random.default_rng(2), 30, 60)
    assert setup.model().energy_ueV(occupancy) == setup.naive(occupancy).energy()
