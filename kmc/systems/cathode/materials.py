"""Materials of a cathode at a lithiation: elastic constants, Norton's law and free swelling.

S3 = X. Xiong et al., Nat. Commun. 15 (2024), doi:10.1038/s41467-024-48174-8.
"""

from __future__ import annotations

from dataclasses import dataclass

from kmc.model.parameters import ParameterSet, load_parameters
from kmc.runfile.run_file import RunFile
from kmc.systems.cathode.creep import Solid


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
    """Active material between its two states, and the frame.

    Attributes
    ----------
    sets : tuple of ParameterSet
        Active material before and after lithiation, and frame.
    first, lithiated, frame : Solid
    volume_change : float
    plane_share : float
    """

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
