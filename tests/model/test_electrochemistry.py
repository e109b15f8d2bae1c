"""Overpotential: its parts, and how an applied one divides among them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kmc.common.units import K_B_eV
from kmc.model import electrochemistry as ec
from kmc.model.parameters import load_parameters

T = 298.15


def current(eta_V: float, exchange: float, weight: float) -> float:
    return exchange * weight * 2 * math.sinh(eta_V / (2 * K_B_eV * T))


def test_conductivity_of_the_paper_at_both_temperatures():
    """3.5 mS/cm at 25 °C and 12.4 at 60 °C (S4, Methods)."""
    for name in ("li_li2s", "limg_li2s"):
        values = load_parameters(name)
        k25, energy = (
            values.value("electrolyte_conductivity_mS_cm"),
            values.value("electrolyte_activation_eV"),
        )
        assert ec.conductivity_mS_cm(k25, energy, 298.15) == 3.5
        assert ec.conductivity_mS_cm(k25, energy, 333.15) == pytest.approx(12.4, rel=0.005)


def test_units_of_the_spreading_resistance():
    """1 cm of electrolyte at 1 mS/cm is 1000 Ω cm², and drops 0.5 V at 0.5 mA/cm²."""
    assert ec.spreading_resistance_ohm_cm2(1e8, 1.0) == pytest.approx(1000.0)
    assert ec.constriction_V(0.5, 1000.0) == pytest.approx(0.5)
    assert ec.constriction_V(0.0, math.inf) == 0.0


@pytest.mark.parametrize("applied", [1e-9, 1e-3, 0.02, 0.3, 1.0, 5.0])
@pytest.mark.parametrize("resistance", [0.0, 1e-3, 16.0, 1e4, 1e12])
@pytest.mark.parametrize("weight", [1e-6, 1.0, 1e3])
def test_an_applied_overpotential_divides_into_its_parts(applied, resistance, weight):
    part = ec.charge_transfer_part_V(applied, 1.0, weight, resistance, T)
    assert 0 <= part <= applied
    if part < 2.0:
        drop = ec.constriction_V(current(part, 1.0, weight), resistance)
        assert part + drop == pytest.approx(applied, rel=1e-6)


def test_the_part_is_that_of_the_galvanostatic_run():
    weight, resistance = 2.5, 16.4
    eta = ec.overpotential_V(0.5, 1.0, weight, T)
    total = eta + ec.constriction_V(0.5, resistance)
    assert ec.charge_transfer_part_V(total, 1.0, weight, resistance, T) == pytest.approx(eta)


def test_it_falls_with_resistance_and_changes_sign_with_the_overpotential():
    resistances = np.geomspace(1e-3, 1e9, 40)
    parts = [ec.charge_transfer_part_V(0.05, 1.0, 1.0, r, T) for r in resistances]
    assert np.all(np.diff(parts) < 0)
    assert ec.charge_transfer_part_V(-0.05, 1.0, 1.0, 16.0, T) == pytest.approx(
        -ec.charge_transfer_part_V(0.05, 1.0, 1.0, 16.0, T)
    )
    assert ec.charge_transfer_part_V(0.05, 1.0, 1.0, math.inf, T) == 0.0
    assert ec.charge_transfer_part_V(0.0, 1.0, 1.0, 16.0, T) == 0.0
    assert ec.charge_transfer_part_V(0.05, 1.0, 0.0, 16.0, T) == 0.05
