"""kmc.model.model: rates of every process against the oracle."""

import math
from dataclasses import replace

import naive
import numpy as np
import pytest
from naive import LI, MG
from observed import vacancy_rates_Hz
from paired_engines import Setup, parameter_set

from kmc.errors import InputError
from kmc.model import rate_tables
from kmc.model.dft_check import check_rows
from kmc.model.lattice import Lattice
from kmc.model.model import Model
from kmc.model.parameters import load_parameters
from kmc.model.solute import activation_energy_ueV

LATTICES = tuple(naive.ORIENTATIONS)


def perfect(setup):
    return np.full(setup.n_sites, LI)


@pytest.mark.parametrize("values", [naive.LI_LI2S, naive.LIMG_LI2S, naive.LATTICE_GAS])
@pytest.mark.parametrize("name", LATTICES)
def test_rates_of_current_and_reservoir(name, values):
    """Strip rate j A/e, absorption D_v/(d L), emission exp(−E_f/kT) of it (docs/model/)."""
    setup = Setup(
        name,
        (5, 6),
        9,
        values=values,
        temperature_K=333.15,
        current_density_mA_cm2=0.7,
        electrode_thickness_um=25.0,
    )
    model, oracle = setup.model(), setup.naive(perfect(setup))
    assert model.strip_rate_Hz == pytest.approx(oracle.strip_rate, rel=1e-12, abs=0)
    per_site = oracle.strip_rate / setup.box.sites_per_layer
    assert model.strip_rate_per_site_Hz == pytest.approx(per_site, rel=1e-12, abs=0)
    assert model.absorption_rate_Hz == pytest.approx(oracle.k_absorb, rel=1e-12, abs=0)
    assert model.emission_rate_per_site_Hz == pytest.approx(oracle.k_emit, rel=1e-12, abs=0)
    assert model.strip_reference_ueV == oracle.binding_reference


@pytest.mark.parametrize(
    "change",
    [{"boundary": "periodic"}, {"electrode_thickness_um": math.inf}],
    ids=["periodic", "closed"],
)
def test_no_reservoir(change):
    setup = Setup(**{"electrode_thickness_um": 100.0, **change})
    model = setup.model()
    assert model.absorption_rate_Hz == 0.0
    assert model.emission_rate_per_site_Hz == 0.0
    assert not rate_tables.channels(model).absorbs


def test_the_interface_of_the_paper():
    """3.8 monolayers a second at 0.5 mA/cm² (docs/model/); η of the whole contact.

    By area (2kT/e) asinh(j/2j0); site by site, without any vacancy to plate onto, (2kT/e) ln(j/j0).
    """
    setup = Setup(current_density_mA_cm2=0.5, electrode_thickness_um=100.0)
    assert setup.model().strip_rate_per_site_Hz == pytest.approx(3.84, abs=0.02)
    row = setup.engine(perfect(setup)).sample()
    thermal = 2 * naive.K_B_EV * 298.15
    by_area, by_sites = thermal * math.asinh(0.25), thermal * math.log(0.5)
    assert row["overpotential_V"] == pytest.approx(by_area, rel=1e-12, abs=0)
    assert row["overpotential_charge_transfer_V"] == row["overpotential_V"]
    assert row["overpotential_sites_V"] == pytest.approx(by_sites, rel=1e-12, abs=0)


@pytest.mark.parametrize("ratio", [1e3, 1e5, 1e7, 1e15])
def test_floor_from_a_ratio(ratio):
    """The fastest hop is `ratio` times the strip rate of a site; never below no floor at all."""
    setup = Setup(current_density_mA_cm2=0.5)
    lattice = setup.kmc_lattice()
    model = Model(
        lattice,
        parameter_set(naive.LI_LI2S),
        current_density_mA_cm2=0.5,
        temperature_K=298.15,
        max_hops_per_strip_per_site=ratio,
    )
    expected = naive.floor_from_ratio_eV(setup.box, naive.LI_LI2S, setup.conditions(), ratio)
    assert model.floor_ueV == max(0, round(expected * 1e6))
    if expected > 0:
        fastest = 2.6e12 * math.exp(-model.floor_ueV * 1e-6 / (naive.K_B_EV * 298.15))
        assert fastest / model.strip_rate_per_site_Hz == pytest.approx(ratio, rel=1e-4, abs=0)
        assert model.fastest_hop_Hz == pytest.approx(fastest, rel=1e-12, abs=0)


def test_a_ratio_needs_a_current():
    lattice = Lattice("bcc_100", (4, 4), 8, "interface", 3.506)
    with pytest.raises(InputError, match="max_hops_per_strip_per_site"):
        Model(
            lattice,
            parameter_set(naive.LI_LI2S),
            temperature_K=298.15,
            max_hops_per_strip_per_site=1e5,
        )


@pytest.mark.parametrize("temperature_K", [273.15, 298.15, 373.15])
@pytest.mark.parametrize("current_density_mA_cm2", [0.1, 50.0])
@pytest.mark.parametrize("factor", [3.0, 7e5])
def test_a_constant_factor(temperature_K, current_density_mA_cm2, factor):
    """The lowest class by the factor, others down to the same rate; exact rates are not touched."""
    model = Model(
        Lattice("bcc_100", (4, 4), 8, "interface", 3.506),
        load_parameters("limg_li2s"),
        temperature_K=temperature_K,
        current_density_mA_cm2=current_density_mA_cm2,
        slow_down_by=factor,
    )
    kT_eV = naive.K_B_EV * temperature_K
    for entry in model.hop_classes():
        expected = max(1.0, factor * math.exp(-(entry["barrier_eV"] - 0.055) / kT_eV))
        assert entry["slowed_by"] == pytest.approx(expected, rel=1e-4)
    exact = Model(model.lattice, model.parameters, temperature_K=temperature_K)
    assert model.vacancy_diffusivity_A2_s == exact.vacancy_diffusivity_A2_s


def test_floor_in_eV_and_no_floor():
    assert Setup(floor_eV=0.3).model().floor_ueV == 300_000
    assert Setup().model().floor_ueV == 0


def test_activation_energy():
    """max(E0 + ΔE/2, ΔE, 0) and the floor; forward minus reverse is ΔE to the last µeV."""
    rng = np.random.default_rng(3)
    for _ in range(300):
        barrier = int(rng.integers(0, 200_000))
        floor = int(rng.choice([0, rng.integers(0, 900_000)]))
        change = int(rng.integers(-900_000, 900_000))
        forward = int(activation_energy_ueV(barrier, change, floor))
        reverse = int(activation_energy_ueV(barrier, -change, floor))
        assert forward - reverse == change
        bare = max(barrier + change // 2, change, 0)
        assert forward == bare + max(0, floor - min(bare, bare - change))
        assert min(forward, reverse) >= floor
    np.testing.assert_array_equal(
        activation_energy_ueV(55_000, np.array([0, 150_000, -150_000]), 0), [55_000, 150_000, 0]
    )


def test_hop_classes_and_what_the_floor_does_to_them():
    """Names, barriers and the factor by which a hop without ΔE is slowed."""
    classes = Setup(values=naive.LIMG_LI2S, floor_eV=0.08).model().hop_classes()
    assert [c["name"] for c in classes] == ["Li", "Li_near_Mg", "Mg"]
    assert [c["barrier_eV"] for c in classes] == [0.055, 0.061, 0.102]
    kT = naive.K_B_EV * 298.15
    expected = [math.exp(0.025 / kT), math.exp(0.019 / kT), 1.0]
    assert [c["slowed_by"] for c in classes] == pytest.approx(expected)
    assert [c["name"] for c in Setup().model().hop_classes()] == ["Li"]


def test_an_alloy_needs_a_set_with_mg():
    setup = Setup(values=naive.LI_LI2S)
    occupancy = perfect(setup)
    occupancy[5] = MG
    with pytest.raises(InputError, match="Mg"):
        setup.engine(occupancy)


def test_state_gives_the_occupancy_back():
    for name in LATTICES:
        setup = Setup(name, (5, 6), 12, "periodic", naive.LIMG_LI2S)
        occupancy = np.random.default_rng(2).integers(0, 3, setup.n_sites).astype(np.uint8)
        np.testing.assert_array_equal(setup.engine(occupancy).occupancy(), occupancy)


def test_no_strip_weight_is_beyond_the_highest_bin():
    """Bins are not checked while they are used; chi < 0 once led beyond their end."""
    values = {**naive.LIMG_LI2S, "fill_Li_near_Mg_eV": 0.6}
    model = Model(
        Lattice("bcc_100", (4, 4), 8, "interface", 3.506),
        parameter_set(values),
        temperature_K=700.0,
        current_density_mA_cm2=0.5,
        strip_weight_lambda=1.0,
    )
    assert model.hamiltonian.chi < 0
    law = rate_tables.law(model, alloy=True)
    bits = np.arange(law.site_ueV.shape[1])
    first, second, classes, pairs = bits & 15, (bits >> 4) & 7, (bits >> 8) & 3, bits >> 11
    possible = (first <= 8) & (second <= 6) & (pairs <= 4) & (classes > 0)
    lowest = law.site_ueV[1][possible].min() + law.mg_bonds_ueV[1].min()
    weight = np.exp(-law.strip_exponent * (lowest - law.strip_reference_ueV))
    state = rate_tables.new_state(model, np.ones(model.lattice.n_sites, dtype=np.uint8), alloy=True)
    assert weight <= state.strips.bound[-1]


def test_rates_reservoir_and_creep_from_0_to_100_celsius():
    """Hop rate, equilibrium concentration and closure rate follow Arrhenius (docs/model/).

    Slopes of their logarithms in 1/kT: −E0 = −0.055 eV, −E_f = −0.50 eV, −Q = −37 kJ/mol.
    """
    kelvin = np.linspace(273.15, 373.15, 6)
    found = []
    for temperature_K in kelvin:
        setup = Setup(
            layers=9,
            temperature_K=float(temperature_K),
            electrode_thickness_um=100.0,
            stack_pressure_MPa=1.0,
        )
        model = setup.model()
        occupancy = np.full(setup.n_sites, 1, dtype=np.uint8)
        vacancy = 5 * setup.box.sites_per_layer
        occupancy[vacancy] = 0
        hop = vacancy_rates_Hz(setup.engine(occupancy, model=model), vacancy)[:8]
        assert hop == pytest.approx([hop[0]] * 8)
        concentration = model.emission_rate_per_site_Hz / model.absorption_rate_Hz
        found.append([hop[0], concentration, model.closure_rate_Hz(1.0)])
    slopes = np.polyfit(1 / (naive.K_B_EV * kelvin), np.log(found), 1)[0]
    joule_per_eV_mol = naive.E_C * 6.02214076e23
    assert -slopes == pytest.approx([0.055, 0.50, 37e3 / joule_per_eV_mol], abs=1e-4)


def test_floor_of_lone_vacancies():
    """E0 + kT ln(s L/H), not above the other floor, and none where the box is no hindrance.

    0.273 eV for 24 layers, 100 µm and a share of 0.2 at 298.15 K.
    """
    kT = naive.K_B_EV * 298.15
    setup = Setup(layers=24, electrode_thickness_um=100.0, floor_eV=0.345)
    model = setup.model()
    height_um = 24 * 3.506e-4 / 2
    assert model.lone_floor_ueV == int((0.055 + kT * math.log(20 / height_um)) * 1e6)
    assert model.lone_floor_ueV == pytest.approx(273_000, abs=1000)
    assert model.box_share == pytest.approx(0.2 * 21 / 24, rel=1e-4)
    d_m, L_m = 3.506e-10 / 2, 1e-4
    D_v = (3.506e-10) ** 2 * 2.6e12 * math.exp(-0.055 / kT)
    expected = D_v / (d_m * L_m * (1 - model.box_share))
    assert model.absorption_rate_Hz == pytest.approx(expected, rel=1e-9)
    for change, floor in (
        ({"floor_eV": 0.2}, 200_000),
        ({"floor_eV": None}, 0),
        ({"electrode_thickness_um": math.inf}, 345_000),
        ({"boundary": "periodic"}, 345_000),
        ({"electrode_thickness_um": 0.02}, 0),
    ):
        changed = replace(setup, **change).model()
        assert changed.lone_floor_ueV == floor, change
    # Lone vacancies cross the box at their true rate, and it counts nevertheless.
    assert changed.box_share == pytest.approx(21 * 3.506e-4 / 2 / 0.02, rel=1e-12)


def test_the_share_of_the_box_has_no_jump():
    """Where lone vacancies are just not slowed (H = 0.2 L), share and reservoir are continuous."""
    setup = Setup(layers=24, floor_eV=0.345)
    height_um = 24 * 3.506e-4 / 2
    below, above = (
        replace(setup, electrode_thickness_um=factor * height_um / 0.2).model()
        for factor in (1 - 1e-6, 1 + 1e-6)
    )
    assert below.lone_floor_ueV == 0
    assert above.lone_floor_ueV > 0
    assert above.absorption_rate_Hz == pytest.approx(below.absorption_rate_Hz, rel=1e-4)


@pytest.mark.parametrize(
    ("sinks", "distance_um"),
    [
        ({}, 100.0),
        ({"sink_length_um": 5.0}, 100 / 21),
        ({"sink_depth_um": 3.0}, 3.0),
        ({"sink_depth_um": 3.0, "electrode_thickness_um": math.inf}, 3.0),
        ({"sink_length_um": 5.0, "electrode_thickness_um": math.inf}, 5.0),
        ({"sink_depth_um": 100.0}, 100 * math.tanh(1.0)),
        ({"sink_depth_um": 50.0, "sink_length_um": 20.0}, 1 / (1 / 20 + 0.02 / math.tanh(2.0))),
    ],
)
def test_sinks_are_one_perfect_sink_at_a_distance(sinks, distance_um):
    """Λ = 1/(1/λ + κ coth κL), the reservoir that of an electrode so thick; without sinks it is L.

    An electrode whose only sinks are these is open although it has no end.
    """
    setup = Setup(layers=24, floor_eV=0.345, electrode_thickness_um=100.0)
    model = replace(setup.model(), **sinks)
    assert model.sink_distance_um == pytest.approx(distance_um, rel=1e-12)
    same = replace(setup.model(), electrode_thickness_um=model.sink_distance_um)
    assert model.absorption_rate_Hz == same.absorption_rate_Hz > 0
    assert model.lone_floor_ueV == same.lone_floor_ueV


def test_which_hops_have_the_floor_of_lone_vacancies():
    """No end in L1, one at least in L3 or above; the same in both directions."""
    floors = Setup(layers=24, electrode_thickness_um=100.0, floor_eV=0.345).model().lone_floors_ueV
    np.testing.assert_array_equal(floors, floors.T)
    high = floors == 345_000
    assert high[1].all()
    assert high[2, 2]
    assert high.sum() == 8


def test_lone_vacancies_at_the_interface_are_slowed_to_a_difference_of_supersaturation():
    """Raised so, the network of L1 and L2 alone has S = 1 higher in the middle of the box's disc.

    J N/(4πK), K = ν exp(−(0.28 + 0.15 + E)/kT): 0.145 eV for 40 × 40 cells at 0.5 mA/cm².
    """
    setup = Setup(cells=(40, 40), layers=24, current_density_mA_cm2=0.5, floor_eV=0.345)
    model = replace(setup.model(), lateral_supersaturation=1.0)
    slowed = model.interface_floor_ueV * 1e-6
    K_Hz = 2.6e12 * math.exp(-(0.43 + slowed) / (naive.K_B_EV * 298.15))
    assert model.strip_rate_Hz / (4 * math.pi * K_Hz) == pytest.approx(1.0, rel=1e-3)
    assert replace(model, lateral_supersaturation=None).interface_floor_ueV == 345_000
    assert replace(model, current_density_mA_cm2=0.0).interface_floor_ueV == 345_000
    assert replace(model, lateral_supersaturation=1e-3).interface_floor_ueV == 0


def test_a_vacancy_in_L3_of_111_costs_less_than_in_L2():
    """It misses a first neighbour below, and no site energy makes up for it."""
    rows = {row.name: row.model for row in check_rows(load_parameters("li_li2s"), "bcc_111")}
    assert rows["vacancy in L3"] == pytest.approx(0.409, abs=5e-4)
    assert rows["vacancy in L2"] == pytest.approx(0.43, abs=1e-6)
