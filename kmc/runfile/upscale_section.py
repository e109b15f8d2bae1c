"""The section [upscale] of a run file: a population of voids instead of a box of atoms."""

from __future__ import annotations

import math
from typing import Any, Literal

from kmc.common.validation import Checked, Count, Number
from kmc.runfile.sections import _key

MOST_CELLS = 4096  # of the grid along an edge: 1 GB
FEWEST_CELLS = 16
_CELL_um = 0.25  # without grid_um; at most
_CELL_OVER_DISTANCE = 1 / 3  # of cells to the mean distance of voids

# Sections that describe a box of atoms, and keys of others that do.
OF_A_BOX = ("interface", "acceleration", "output")
KEYS_OF_A_BOX = {
    "system": ("size", "vacancy_fraction"),
    "conditions": ("strip_weight_lambda", "contact_pattern_um", "plate_on_void_surfaces"),
}


class Upscale(Checked):
    """A population of voids on micrometres of interface, instead of a box of atoms."""

    domain_um: Number = _key(
        100.0, "edge of the periodic square of interface", ge=0.5, le=5000, reason="see grid_um"
    )
    capacity_mAh_cm2: Number = _key(1.5, "charge at which the current ends", gt=0, le=1000)
    relaxation: Literal["kinetic", "none", "instant"] = _key(
        "kinetic",
        "how the footprint of voids that met rounds off: in its time τ(R), never, or at once",
        allowed='"kinetic", "none" or "instant"',
    )
    relaxation_constant: Number = _key(
        10.0, "C of τ = R³kT/(C D_v c_eq γΩ); of the order of 10", gt=0, le=1e6
    )
    shape: Literal["cap", "aspect"] = _key(
        "cap",
        "of a void: a spherical cap with the contact angle, or with a given aspect ratio",
        allowed='"cap" or "aspect"',
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
        allowed='"homogeneous", "flaws" or "both"',
    )
    flaw_density_per_um2: Number | None = _key(
        None, "patches without contact at the start, at random places", example=0.06, gt=0, le=1e4
    )
    flaw_radius_nm: Number | None = _key(
        None, "radius of those patches", example=20.0, gt=0, le=1e5
    )
    sharing: Literal["field", "equal"] = _key(
        "field",
        "who gets the vacancies: whom diffusion leads them to, or every void the same, to compare",
        allowed='"field" or "equal"',
    )
    grid_um: Number | None = _key(
        None,
        "cells of the grid on which the diffusion field is solved, at most; without it 0.25, or a "
        "third of the mean distance of the voids that are expected, where that is less",
        example=0.25,
        ge=1e-4,
        le=100,
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
        "lists of all voids, evenly spaced in charge; beside them three in each power of ten, and "
        "one whenever a tenth of the contact has gone",
        ge=1,
        le=10_000,
    )

    def cells_along_edge(self, voids_per_um2: float = 0.0) -> int:
        """Cells of the grid along an edge where so many voids are expected.

        A number that FFTs like, unless it is refused anyway.
        """
        cell_um = self.grid_um
        if cell_um is None:
            cell_um = _CELL_um
            if voids_per_um2 > 0:
                cell_um = min(cell_um, _CELL_OVER_DISTANCE / math.sqrt(voids_per_um2))
        wanted = max(FEWEST_CELLS, math.ceil(self.domain_um / cell_um - 1e-9))
        if wanted > MOST_CELLS:
            return wanted
        return next(n for n in range(wanted + wanted % 2, 4 * wanted + 2, 2) if _smooth(n))


def _smooth(n: int) -> bool:
    for factor in (2, 3, 5):
        while n % factor == 0:
            n //= factor
    return n == 1


def without_box(tables: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The sections of a population's run without what only a box of atoms has."""
    kept = {name: dict(table) for name, table in tables.items() if name not in OF_A_BOX}
    if not kept["protocol"].get("blocks"):
        del kept["protocol"]
    else:
        del kept["upscale"]["capacity_mAh_cm2"]  # the steps have their own
    for section, keys in KEYS_OF_A_BOX.items():
        for key in keys:
            kept[section].pop(key, None)
    return kept
