"""Norton's law and what it makes of voids."""

import math
from dataclasses import replace

import numpy as np
import pytest
from naive import LATTICE_GAS, LI_LI2S
from paired_engines import Setup, parameter_set

from kmc.errors import InputError
from kmc.model import creep, rate_tables
from kmc.model.parameters import load_parameters

LI = load_parameters("li_li2s")


def test_the_anchor_and_the_exponent():
    """1e-2 /s at 1 MPa and 25 °C; ten times the stress is 10^6.6 times the rate."""
    assert creep.law_of(LI, 298.15).strain_rate_Hz(1.0) == pytest.approx(0.01)
    law = creep.law_of(LI, 298.15)
    ratio = law.strain_rate_Hz(10.0) / law.strain_rate_Hz(1.0)
    assert ratio == pytest.approx(10**6.6)


def test_the_prefactor_is_that_of_the_usual_form():
    """ε̇ = A σ^n exp(−Q/RT) with A = ε̇0 σ0^(−n) exp(Q/R 298.15 K); R = 8.314 J/(mol K)."""
    value = LI.value
    prefactor = value("creep_reference_rate_per_s") * math.exp(37000 / (8.314462618 * 298.15))
    prefactor *= value("creep_reference_stress_MPa") ** -value("creep_exponent")
    expected = prefactor * 1.7**6.6 * math.exp(-37000 / (8.314462618 * 330))
    assert creep.law_of(LI, 330.0).strain_rate_Hz(1.7) == pytest.approx(expected)


def test_arrhenius_from_0_to_100_celsius():
    """ln ε̇ against 1/T has the slope −Q/R."""
    kelvin = np.linspace(273.15, 373.15, 11)
    rates = [creep.law_of(LI, T).strain_rate_Hz(1.0) for T in kelvin]
    slope = np.polyfit(1 / kelvin, np.log(rates), 1)[0]
    assert slope == pytest.approx(-37000 / 8.314462618, rel=1e-9)


def test_local_stress_is_pressure_over_contact_up_to_the_limit():
    stress = [creep.local_stress_MPa(1.0, contact, 4.0) for contact in (1, 0.5, 0.25, 0.1, 0)]
    assert stress == [1.0, 2.0, 4.0, 4.0, 4.0]
    assert creep.local_stress_MPa(0.0, 0.0, 4.0) == 0.0


@pytest.mark.parametrize(
    ("contact", "times"), [(0.99, 7240), (0.9, 630), (0.5, 34.5), (0.355, 19.4)]
)
def test_a_cell_closes_slower_than_ten_times_the_strain_of_its_contact(contact, times):
    """1.5 A [3P/(2n(1 − f^(1/n)))]^n, f = (1 − θ)^1.5, beside 10 A (P/θ)^n of earlier versions."""
    rate = creep.closure_rate_Hz(LI, 0.2, contact, 298.15)
    f, n = (1 - contact) ** 1.5, 6.6
    assert rate == pytest.approx(1.5 * 0.01 * (0.6 / (2 * n * (1 - f ** (1 / n)))) ** n)
    before = 10 * creep.law_of(LI, 298.15).strain_rate_Hz(0.2 / contact)
    assert before / rate == pytest.approx(times, rel=0.01)


def test_limits_of_the_cell():
    """A lone void closes at 1.5 A (3P/2n)^n; P/θ as contact vanishes; linear metal; the limit."""
    lone = 1.5 * creep.law_of(LI, 298.15).strain_rate_Hz(3 / (2 * 6.6))
    assert creep.closure_rate_Hz(LI, 1.0, 1.0, 298.15) == pytest.approx(lone)
    assert creep.void_stress_MPa(1.0, 1e-4, 6.6, 1e6) == pytest.approx(1e4, rel=1e-3)
    assert creep.void_stress_MPa(2.0, 0.36, 1.0, 1e6) == pytest.approx(3 / (1 - 0.512))
    assert creep.void_stress_MPa(1.0, 0.0, 6.6, 10.0) == 10.0
    assert creep.void_stress_MPa(7.0, 0.5, 6.6, 10.0) == 10.0


def test_no_pressure_no_channel():
    setup = Setup(layers=9, stack_pressure_MPa=0.0)
    assert rate_tables.channels(setup.model()).creep.size == 0
    pressed = rate_tables.channels(replace(setup, stack_pressure_MPa=1.0).model()).creep
    assert pressed.size == setup.box.sites_per_layer + 1
    assert (np.diff(pressed) >= 0).all()  # less contact, more stress


def test_a_set_without_a_creep_law_says_so():
    with pytest.raises(InputError, match="no creep_reference_rate_per_s"):
        creep.closure_rate_Hz(parameter_set(LATTICE_GAS), 1.0, 1.0, 298.15)


def test_pressure_needs_an_interface():
    with pytest.raises(InputError, match="needs an interface"):
        Setup(boundary="periodic", stack_pressure_MPa=1.0).model()


def test_the_oracle_has_the_numbers_of_the_files():
    for name in ("li_li2s", "limg_li2s"):
        shipped = load_parameters(name)
        assert {key: shipped.value(key) for key in creep.KEYS} == {
            key: LI_LI2S[key] for key in creep.KEYS
        }


BOTH = load_parameters(
    "li_li2s",
    {
        "linear_creep_per_MPa_s": 1e-4,
        "linear_creep_activation_eV": 0.54,
        "creep_threshold_hardness_MPa": 16.2,
    },
)


@pytest.mark.parametrize(("depth_um", "flow_MPa"), [(1.0, 5.4), (5.0, 0.82), (20.0, 0.162)])
def test_the_threshold_falls_with_size_as_hardness_does(depth_um, flow_MPa):
    """1.545 N/m^0.83 of hardness × depth^1.17 is 16.2 MPa at 1 µm; a third of it at 2.8 depths."""
    law = creep.law_of(BOTH, 298.15)
    assert pytest.approx(16.2, rel=2e-3) == 1.545e-6 * 1e6**1.17
    assert law.threshold_MPa(2.8 * depth_um) == pytest.approx(flow_MPa, rel=0.01)
    assert creep.law_of(LI, 298.15).threshold_MPa(1.0) == 0.0


def test_the_two_branches_add():
    """Below the threshold the linear branch alone, above it Norton's of what is beyond."""
    law = creep.law_of(BOTH, 298.15)
    threshold = law.threshold_MPa(14.0)
    assert law.strain_rate_Hz(threshold / 2, 14.0) == pytest.approx(1e-4 * threshold / 2)
    wanted = 1e-4 * (threshold + 1) + 0.01
    assert law.strain_rate_Hz(threshold + 1, 14.0) == pytest.approx(wanted)
    warm = creep.law_of(BOTH, 333.15).linear_per_MPa_s
    assert warm / 1e-4 == pytest.approx(math.exp(0.54 / 8.617333e-5 * (1 / 298.15 - 1 / 333.15)))


def test_a_lone_void_in_a_linear_metal_closes_at_three_quarters_of_P_over_eta():
    """dV/dt = −(3P/4η) V of a sphere in a viscous metal, 1/(3η) its rate; Norton's below σ_th."""
    rate = creep.closure_rate_Hz(BOTH, 2.0, 1.0, 298.15, void_radius_um=0.01)
    assert rate == pytest.approx(0.75 * 2.0 * 3 * 1e-4)
    large = creep.closure_rate_Hz(BOTH, 2.0, 1.0, 298.15)
    assert large == pytest.approx(rate + creep.closure_rate_Hz(LI, 2.0, 1.0, 298.15))
