"""The numbers of a material's parameter set, measured on the lattice of a cathode."""

from __future__ import annotations

import math

import numpy as np

from kmc.model.dft_check import Row
from kmc.model.parameters import ParameterSet
from kmc.systems.cathode.creep import Body, relaxed_GPa
from kmc.systems.cathode.elastic import shear_modulus_GPa
from kmc.systems.cathode.materials import solid_of
from kmc.systems.cathode.microstructure import ACTIVE, PORE, Microstructure

_EDGE = 8
_STRAIN = 1e-3  # free area strain of the bar, and relative step of stress
_SLACK = 1e-2  # relative difference that is no miss


def material_rows(parameters: ParameterSet) -> list[Row]:
    """Compare the model with the numbers of a set such as se.

    Young's modulus is that of a bar which swells between two walls and is free sideways, in plane
    strain: σ = E/(1 − ν²) times half the area strain. Rate and exponent of creep are those of its
    relaxation.

    Parameters
    ----------
    parameters : ParameterSet
        Has a Young's modulus and Poisson's ratio.
    """
    solid = solid_of(parameters)
    bar = np.full((_EDGE, _EDGE), PORE)
    bar[: _EDGE // 2] = ACTIVE
    body = Body(Microstructure(bar, np.zeros_like(bar)), solid)
    body.find_load(solid, _STRAIN)
    body.equilibrate(solid, _STRAIN)
    stress = 2.0 * float(body.shear_GPa[0, 0])
    modulus = stress * 2.0 * (1.0 - solid.poisson_ratio**2) / _STRAIN
    rows = [_row(parameters, "bar between walls", "youngs_modulus_GPa", "GPa", modulus)]
    if solid.creeps:
        first, second = (_creep_rate_per_s(solid, s) for s in (1.0, 1.0 + _STRAIN))
        m = math.log1p(_STRAIN) / math.log(second / first)
        name = "creep at the reference stress"
        rows.append(_row(parameters, name, "creep_reference_rate_per_s", "1/s", first))
        rows.append(
            _row(parameters, "Eq. 7: d ln σ / d ln rate", "strain_rate_sensitivity", "1", m)
        )
    if parameters.has("lithiation_volume_change"):
        quantity = parameters["lithiation_volume_change"]
        note = "input of the swelling, nothing to compare"
        change = quantity.value
        rows.append(Row("volume change", "1", change, None, None, note, assumed=quantity.assumed))
    return rows


def _row(parameters: ParameterSet, name: str, key: str, unit: str, model: float) -> Row:
    quantity = parameters[key]
    ok = abs(model / quantity.value - 1.0) <= _SLACK
    return Row(name, unit, quantity.value, model, ok, assumed=quantity.assumed)


def _creep_rate_per_s(solid, reduced: float) -> float:
    """Strain rate at a multiple of σ_ref, from the relaxation in a very short time."""
    stress = reduced * solid.stress_GPa
    shear = shear_modulus_GPa(solid.modulus_GPa, solid.poisson_ratio)
    time_s = 1e-6 * stress / (3.0 * shear * solid.rate_per_s)
    after = float(relaxed_GPa(np.array([stress]), solid, time_s)[0][0])
    return (stress - after) / (3.0 * shear * time_s)
