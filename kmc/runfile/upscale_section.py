"""The section [upscale] of a run file: a population of voids instead of a box of atoms."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar, Literal

from kmc.common.validation import Checked, Count, Number, NumberOrInf
from kmc.runfile.protocol import Protocol
from kmc.runfile.sections import Conditions, Rest, System, SystemSection, _key

MAX_CELLS = 2048  # of the grid along an edge: 1 GB
FEWEST_CELLS = 16
NARROWEST_um, WIDEST_um = 5.0, 300.0  # of a square whose edge is not given


def _all_but(section: type[Checked], *left_out: str) -> tuple[str, ...]:
    return tuple(key for key in section.model_fields if key not in left_out)


class Upscale(SystemSection):
    """A population of voids on micrometres of interface, instead of a box of atoms."""

    uses: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "system": _all_but(System, "size", "vacancy_fraction"),
        "conditions": _all_but(
            Conditions, "strip_weight_lambda", "contact_pattern_um", "plate_on_void_surfaces"
        ),
        "stop": ("contact_fraction", "overpotential_V"),
        "rest": _all_but(Rest),
        "protocol": _all_but(Protocol),
        "random": ("seed",),
    }

    domain_um: Number | None = _key(
        None,
        "edge of the periodic square of interface; without it that of the square on which "
        "voids_wanted are expected to begin",
        example=50.0,
        ge=0.5,
        le=5000,
        reason="see grid_um",
    )
    voids_wanted: Count = _key(
        200, "voids for which the square has room, without domain_um", ge=1, le=100_000
    )
    capacity_mAh_cm2: Number = _key(1.5, "charge at which the current ends", gt=0, le=1000)
    rounding_length_um: Number | None = _key(
        None,
        "R* of R*(t) = (B t)^¼ after 1e4 s: capillarity rounds off what is smaller. B is uncertain "
        "by orders; without it that of relaxation",
        example=1.8,
        gt=0,
        le=1000,
        reason="without rounding the rim of a spreading void has no thickness",
    )
    relaxation: Literal["kinetic", "none", "instant"] = _key(
        "kinetic",
        "without rounding_length_um: R* of diffusion through metal and interface, or larger than "
        "all voids",
        allowed='"kinetic" or "instant"',
    )
    relaxation_constant: Number = _key(
        10.0,
        "C of the kinetic τ(R*) = R*³kT/(C D_v c_eq γΩ) = 1e4 s; of the order of 10",
        gt=0,
        le=1e6,
    )
    body: Literal["rigid", "viscous"] | None = _key(
        None,
        "how the metal above voids comes down: as a whole, or flowing by creep under the pressure; "
        "without it viscous where there is a pressure. The rigid body is that of a metal that does "
        "not creep, not the limit of no pressure: capillarity draws on a viscous one, too",
    )
    pressure_share: Number = _key(
        1.0,
        "share of conditions.stack_pressure_MPa that this piece of interface carries, less than 1 "
        "near a free edge; 0 makes the body rigid unless it is given",
        ge=0,
        le=1,
    )
    dislocation_modulus_GPa: Number | None = _key(
        None,
        "αG of Taylor's law: dislocations of the density (σ/αGb)², σ = pressure_share times the "
        "stack pressure, are sinks beside those of sink_depth_um; without it none. Lithium: 0.85, "
        "0.3 of 2.83 GPa, assumed",
        example=0.85,
        gt=0,
        le=1000,
    )
    adhesion_MPa: NumberOrInf = _key(
        math.inf,
        "tension at which contact opens, with the viscous body; inf where it never does",
        ge=0,
    )
    contact_lost: Literal["end", "plate_back", "go_on"] = _key(
        "end",
        "when a strip step of a protocol ends early as no contact is left: the run ends, or later "
        "plate steps give back no more than was stripped, or they plate their full charge",
    )
    shape: Literal["cap", "aspect"] = _key(
        "cap",
        "of a void: a spherical cap with the contact angle, or with a given aspect ratio",
    )
    contact_angle_deg: Number | None = _key(
        None,
        "contact angle of the metal on the electrolyte; that of the parameter set without it",
        example=93.6,
        gt=0,
        lt=180,
    )
    aspect_ratio: Number | None = _key(
        None, 'height over width of a void, with shape = "aspect"', example=0.25, gt=0, le=5
    )
    nucleation: Literal["homogeneous", "flaws", "both"] = _key(
        "homogeneous",
        "where voids begin: anywhere on contact at the rate I(S), on flaws, or both",
    )
    flaw_density_per_um2: Number | None = _key(
        None, "patches without contact at the start, at random places", example=0.06, gt=0, le=1e4
    )
    flaw_radius_nm: Number | None = _key(
        None,
        "radius of those patches; with flaw_radius_sigma their median",
        example=20.0,
        gt=0,
        le=1e5,
    )
    flaw_radius_sigma: Number = _key(
        0.0, "width of the lognormal distribution of their radii: of ln r", ge=0, le=3
    )
    sharing: Literal["field", "equal"] = _key(
        "field",
        "who gets the vacancies: those to whom diffusion leads them",
        allowed='"field"',
    )
    grid_um: Number | None = _key(
        None,
        "cells of the grid, at most; without it as narrow as the voids to come and the rim of a "
        "spreading void (rounding_length_um) want them",
        example=0.25,
        ge=1e-3,
        le=100,
    )
    resolution_um: Number = _key(
        0.0,
        "of the microscope that counts voids on lines: it sees no narrower or lower void, and no "
        "narrower contact",
        ge=0,
        le=100,
    )
    image_every_min: Number | None = _key(
        None,
        "frames at this interval while a current flows, as a microscope takes images, in place of "
        "frames",
        example=15.0,
        gt=0,
        le=1e6,
    )
    replicas: Count = _key(1, "independent populations, averaged over", ge=1, le=1000)
    samples: Count = _key(
        100,
        "rows of numbers, evenly spaced in charge, up to the capacity or in each step",
        ge=1,
        le=100_000,
    )
    samples_per_decade: Count = _key(
        8, "more rows, so many in each power of ten of charge from 1e-7 mAh/cm²", ge=0, le=1000
    )
    frames: Count = _key(
        20,
        "fields of gaps, evenly spaced in charge; beside them three in each power of ten, and "
        "one whenever a tenth of the contact has gone",
        ge=1,
        le=10_000,
    )

    def edge_um(self, voids_per_um2: float) -> float:
        """Edge of the square: as given, or with room for `voids_wanted`."""
        if self.domain_um is not None:
            return self.domain_um
        # Some density, where nothing nucleates: the widest square is the best that can be done.
        density = max(voids_per_um2, self.flaw_density_per_um2 or 0.0, 1e-9)
        return min(max(math.sqrt(self.voids_wanted / density), NARROWEST_um), WIDEST_um)


def cells_along_edge(edge_um: float, cell_um: float) -> int:
    """Cells along an edge, at most `cell_um` wide: an even number that FFTs like."""
    wanted = max(FEWEST_CELLS, math.ceil(edge_um / cell_um - 1e-9))
    if wanted > MAX_CELLS:
        return wanted
    return next(n for n in range(wanted + wanted % 2, 4 * wanted + 2, 2) if _smooth(n))


def _smooth(n: int) -> bool:
    for factor in (2, 3, 5):
        while n % factor == 0:
            n //= factor
    return n == 1
