"""Populations without free energies: a vapour with a given surface energy, and what is built on
it."""

from __future__ import annotations

import math

import numpy as np

from kmc.mesoscale.coalescence import Rounding
from kmc.mesoscale.field import Medium
from kmc.mesoscale.population import Flaws, Population, Setting
from kmc.mesoscale.voids import Shape

SITE_um3 = 2.1548e-11  # lithium
CAPILLARY_um = 1.36e-3
STRIP_per_um2_s = 3.1208e7  # 0.5 mA/cm²
HEIGHT_um_s = STRIP_per_um2_s * SITE_um3
LITHIUM = Medium(6.16e6, 1.4e5, 163.8, 150.5, 100.0, SITE_um3)


class PlainVapour:
    """Gibbs and Thomson's law for caps, and a classical nucleation rate."""

    def __init__(self, shape: Shape, capillary_um: float = CAPILLARY_um, linear: bool = False):
        self.shape, self.capillary_um, self.linear = shape, capillary_um, linear

    def S_eq(self, count) -> np.ndarray:
        t = self.shape.height_over_radius
        radius = (
            self.shape.radius_um(np.asarray(count, dtype=float) * SITE_um3) * (1 + t * t) / (2 * t)
        )
        exponent = 2 * self.capillary_um / radius
        return 1 + exponent if self.linear else np.exp(exponent)

    def rate_per_um2_s(self, supersaturation) -> np.ndarray:
        log = np.log(np.maximum(supersaturation, 1.0001))
        return 1e13 * np.exp(-np.minimum(330 / log**2, 600.0))

    def nucleus(self, supersaturation) -> np.ndarray:
        return np.full(np.shape(supersaturation), 60.0)


def setting(
    edge_um: float,
    n_cells: int,
    *,
    relaxation: str = "kinetic",
    medium: Medium = LITHIUM,
    shape: Shape | None = None,
    flaws: int = 0,
    flaw_radius_um: float = 0.02,
    homogeneous: bool = False,
    sharing: str = "field",
    closure=lambda contact: 0.0,
    constant: float = 10.0,
    linear: bool = False,
    capillary_um: float = CAPILLARY_um,
) -> Setting:
    """A setting of pure lithium, or of another medium."""
    shape = shape or Shape.of_contact_angle(93.6)
    count = 8.136e6 * math.pi * flaw_radius_um**2
    return Setting(
        edge_um=edge_um,
        n_cells=n_cells,
        medium=medium,
        vapour=PlainVapour(shape, capillary_um, linear),
        shape=shape,
        rounding=Rounding(relaxation, medium, capillary_um, constant),
        strip_per_um2_s=STRIP_per_um2_s,
        homogeneous=homogeneous,
        flaws=Flaws(flaws, flaw_radius_um, count) if flaws else None,
        closure=closure,
        sharing=sharing,
    )


def stripped_to(population: Population, height_um: float) -> bool:
    """Strip until so much height is gone; False where contact ended first."""
    end = height_um / HEIGHT_um_s
    while population.time_s < end * (1 - 1e-12):
        if not population.step(end):
            return False
    return True
