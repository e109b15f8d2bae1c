"""Materials of a cathode at a lithiation: elastic constants, Norton's law and free swelling.

S3 = X. Xiong et al., Nat. Commun. 15 (2024), doi:10.1038/s41467-024-48174-8.
"""

import math
from dataclasses import dataclass

import numpy as np

from kmc.model.dft_check import CheckRow, row_of
from kmc.model.parameters import ParameterSet, load_parameters
from kmc.runfile.run_file import RunFile
from kmc.systems.cathode.cathode_body import CathodeBody, Solid, relaxed_GPa
from kmc.systems.cathode.elastic import shear_modulus_GPa
from kmc.systems.cathode.microstructure import ACTIVE, PORE, Microstructure

# Of a bar whose numbers are measured; step of its strain and stress, difference that is no miss.
_EDGE, _STRAIN, _SLACK = 8, 1e-3, 1e-2


def solid_of(parameters: ParameterSet) -> Solid:
    """Elastic constants of a set, and Norton's law (S3, Eq. 8) where it has one.

    n = 1/m (S3, Eq. 7); A and σ_ref are the strain rate and a third of the hardness of one
    indentation (S3, Eq. 5 and 6; Tabor). Eq. 4 is the same power law with its dependence on
    temperature and grain size, which one temperature does not show.
    """
    value = parameters.value
    elastic = value("youngs_modulus_GPa"), value("poisson_ratio")
    if not parameters.has("strain_rate_sensitivity"):
        return Solid(*elastic)
    return Solid(
        *elastic,
        rate_per_s=value("creep_reference_rate_per_s"),
        stress_GPa=1e-3 * value("creep_reference_stress_MPa"),
        exponent=1.0 / value("strain_rate_sensitivity"),
    )


@dataclass(frozen=True)
class Materials:
    """Active material between its two states, and the frame."""

    # active material before and after lithiation, and frame
    sets: tuple[ParameterSet, ParameterSet, ParameterSet]
    first: Solid
    lithiated: Solid
    frame: Solid
    volume_change: float
    plane_share: float

    def active(self, lithiation: float) -> Solid:
        """Active material at a lithiation: moduli, stress and n linear between the two states."""
        pairs = zip(self.first, self.lithiated, strict=True)
        return Solid(*(a + lithiation * (b - a) for a, b in pairs))

    def swelling(self, lithiation: float) -> tuple[float, float]:
        """Free area strain in the plane, and free strain out of it, at a lithiation.

        The volume is 1 + ΔV x (S3, Methods). A material that creeps relaxes what the plane strain
        holds back: its area grows to (1 + ΔV x)^plane_share. One that does not creep swells
        isotropically by ε = (1 + ΔV x)^(1/3) − 1, and ε_zz = 0 adds ν ε to each direction in the
        plane.
        """
        volume = 1.0 + self.volume_change * lithiation
        if self.first.creeps:
            return volume**self.plane_share - 1.0, 0.0
        strain = volume ** (1 / 3) - 1.0
        return 2.0 * (1.0 + self.first.poisson_ratio) * strain, strain


def materials_of(run: RunFile) -> Materials:
    """Materials of a checked run."""
    section = run.cathode
    first = load_parameters(run.system.params, run.parameters)
    lithiated = first
    if section.lithiated_params is not None:
        lithiated = load_parameters(section.lithiated_params)
    frame = load_parameters(section.frame_params)
    # On σ_ref alone: Norton's law has one scale, and a factor on the rate would say the same.
    factor = section.creep_stress_factor
    scaled = [
        solid._replace(stress_GPa=factor * solid.stress_GPa)
        for solid in (solid_of(first), solid_of(lithiated))
    ]
    return Materials(
        (first, lithiated, frame),
        scaled[0],
        scaled[1],
        solid_of(frame),
        first.value("lithiation_volume_change"),
        section.plane_share,
    )


# --- the numbers of a set, measured on the lattice ---


def material_rows(parameters: ParameterSet) -> list[CheckRow]:
    """Compare the model with the numbers of a set such as se.

    Young's modulus is that of a bar which swells between two walls and is free sideways, in plane
    strain: σ = E/(1 − ν²) times half the area strain. Rate and exponent of creep are those of its
    relaxation.

    - `parameters`: has a Young's modulus and Poisson's ratio.
    """
    solid = solid_of(parameters)
    bar = np.full((_EDGE, _EDGE), PORE)
    bar[: _EDGE // 2] = ACTIVE
    body = CathodeBody(Microstructure(bar, np.zeros_like(bar)), solid)
    body.find_load(solid, _STRAIN)
    body.equilibrate(solid, _STRAIN)
    stress = 2.0 * float(body.shear_GPa[0, 0])
    modulus = stress * 2.0 * (1.0 - solid.poisson_ratio**2) / _STRAIN
    found = [("bar between walls", "youngs_modulus_GPa", "GPa", modulus)]
    if solid.creeps:
        shear, rates = shear_modulus_GPa(solid.modulus_GPa, solid.poisson_ratio), []
        for stress in (solid.stress_GPa, (1.0 + _STRAIN) * solid.stress_GPa):
            # From the relaxation in so short a time that the stress hardly falls.
            time_s = 1e-6 * stress / (3.0 * shear * solid.rate_per_s)
            after = float(relaxed_GPa(np.array([stress]), solid, time_s)[0][0])
            rates.append((stress - after) / (3.0 * shear * time_s))
        first, second = rates
        m = math.log1p(_STRAIN) / math.log(second / first)
        key = "creep_reference_rate_per_s"
        found.append(("creep at the reference stress", key, "1/s", first))
        found.append(("Eq. 7: d ln σ / d ln rate", "strain_rate_sensitivity", "1", m))
    rows = [
        row_of(parameters, name, key, model, "", unit, _SLACK * parameters.value(key))
        for name, key, unit, model in found
    ]
    if parameters.has("lithiation_volume_change"):
        quantity = parameters["lithiation_volume_change"]
        note = "input of the swelling, nothing to compare"
        change = quantity.value
        rows.append(
            CheckRow("volume change", "1", change, None, None, note, assumed=quantity.assumed)
        )
    return rows
