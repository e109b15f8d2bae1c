"""The section [upscale] of a run file, and what must hold for a run that has it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

from kmc.sections import _key
from kmc.validation import Checked, Count, Number, Problem

if TYPE_CHECKING:
    from kmc.conditions import RunFile
    from kmc.runchecks import Origin

MOST_CELLS = 4096  # of the grid along an edge: 1 GB
FEWEST_CELLS = 16
# Sections that describe a box of atoms, and keys of others that do.
_OF_A_BOX = ("interface", "acceleration", "output")
_KEYS_OF_A_BOX = {"system": ("size", "vacancy_fraction"), "conditions": ("strip_weight_lambda",)}
_STOPS = ("contact_fraction", "overpotential_V")


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
        10.0, "C of τ = R³kT/(C D_v c_eq γΩ); of the order of 1 to 30", gt=0, le=1e6
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
        None, "height over width of a void, with shape = \"aspect\"", example=0.25, gt=0, le=5
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
    grid_um: Number = _key(
        0.25, "cells of the grid on which the diffusion field is solved, at most", gt=0, le=100
    )
    series_resistance_ohm_cm2: Number = _key(
        0.0, "in series with the interface: pellet, counter electrode", ge=0, le=1e6
    )
    replicas: Count = _key(1, "independent populations, averaged over", ge=1, le=1000)
    samples: Count = _key(
        100, "rows of numbers, evenly spaced in charge, up to the capacity", ge=1, le=100_000
    )
    samples_per_decade: Count = _key(
        8, "more rows, so many in each power of ten of charge from 1e-7 mAh/cm²", ge=0, le=1000
    )
    frames: Count = _key(
        20, "lists of all voids, evenly spaced in charge; beside them three in each power of ten", ge=1, le=10_000
    )
    @property
    def n_cells(self) -> int:
        """Cells of the grid along an edge: a number that FFTs like."""
        wanted = max(FEWEST_CELLS, math.ceil(self.domain_um / self.grid_um - 1e-9))
        return next(n for n in range(wanted + wanted % 2, 4 * wanted + 2, 2) if _smooth(n))


def without_box(tables: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The sections of a population's run without what only a box of atoms has."""
    kept = {name: dict(table) for name, table in tables.items() if name not in _OF_A_BOX}
    for section, keys in _KEYS_OF_A_BOX.items():
        for key in keys:
            kept[section].pop(key, None)
    return kept


def _smooth(n: int) -> bool:
    for factor in (2, 3, 5):
        while n % factor == 0:
            n //= factor
    return n == 1


def upscale_checks(run: RunFile, origin: Origin) -> list[Problem]:
    """What is wrong with a run of a population whose single values are all in order."""
    problems = [*_no_box(run, origin), *_flaws(run, origin), *_shape(run, origin)]
    conditions, upscale = run.conditions, run.upscale
    if run.system.boundary == "periodic":
        said = origin.shown("system", "boundary", "periodic")
        problems.append(
            Problem(f"{said}: [upscale] needs an interface", 'Set boundary = "interface".')
        )
    if conditions.overpotential_V is not None:
        said = origin.shown("conditions", "overpotential_V", conditions.overpotential_V)
        problems.append(
            Problem(f"{said}: a population of voids has no held voltage", "Give a current.")
        )
    elif conditions.current_density_mA_cm2 <= 0:
        said = origin.shown("conditions", "current_density_mA_cm2", 0)
        problems.append(
            Problem(
                f"{said}: without a current no voids begin",
                "Give a current above 0; a [rest] with time_s follows it.",
            )
        )
    if run.rest.events is not None:
        said = origin.shown("rest", "events", run.rest.events)
        problems.append(Problem(f"{said}: a population has no events", "Give rest.time_s."))
    most = upscale.domain_um / MOST_CELLS
    if upscale.n_cells > MOST_CELLS:
        said = origin.shown("upscale", "grid_um", upscale.grid_um)
        problems.append(
            Problem(
                f"{said} makes {upscale.n_cells} × {upscale.n_cells} cells of a square of "
                f"{upscale.domain_um:g} µm, more than memory should hold",
                f"Use {most:.2g} or more, or a smaller domain_um.",
            )
        )
    return problems


def _no_box(run: RunFile, origin: Origin) -> list[Problem]:
    """Keys that only a box of atoms has."""
    found: list[tuple[str, str, Any]] = []
    for section in _OF_A_BOX:
        table = getattr(run, section)
        found += [(section, key, getattr(table, key)) for key in sorted(table.model_fields_set)]
    for section, keys in _KEYS_OF_A_BOX.items():
        table = getattr(run, section)
        found += [(section, key, getattr(table, key)) for key in keys if key in table.model_fields_set]
    for key in sorted(run.stop.model_fields_set - set(_STOPS)):
        if getattr(run.stop, key) is not None:
            found.append(("stop", key, getattr(run.stop, key)))
    return [
        Problem(
            f"{origin.shown(section, key, value)} belongs to a box of atoms, and this run has a "
            "section [upscale]",
            "Remove it; the end of the current is upscale.capacity_mAh_cm2, or [stop] with "
            f"{' or '.join(_STOPS)}."
            if section == "stop"
            else "Remove it.",
        )
        for section, key, value in found
        if value is not None
    ]


def _flaws(run: RunFile, origin: Origin) -> list[Problem]:
    """Flaws have a density and a radius, and room."""
    upscale = run.upscale
    keys = ("flaw_density_per_um2", "flaw_radius_nm")
    given = [key for key in keys if getattr(upscale, key) is not None]
    if upscale.nucleation == "homogeneous":
        return [
            Problem(
                f"{origin.shown('upscale', key, getattr(upscale, key))} has no meaning with "
                'nucleation = "homogeneous"',
                'Set nucleation = "flaws" or "both", or remove the key.',
            )
            for key in given
        ]
    missing = [key for key in keys if key not in given]
    if missing:
        said = origin.shown("upscale", "nucleation", upscale.nucleation)
        return [Problem(f"{said} needs {' and '.join(missing)}", "Give both in [upscale].")]
    number = upscale.flaw_density_per_um2 * upscale.domain_um**2
    said = origin.shown("upscale", "flaw_density_per_um2", upscale.flaw_density_per_um2)
    if number < 1:
        return [
            Problem(
                f"{said} is no flaw in a square of {upscale.domain_um:g} µm",
                f"Use {1 / upscale.domain_um**2:.2g} or more, or a larger domain_um.",
            )
        ]
    if number > 2_000_000:
        return [Problem(f"{said} is {number:.2g} flaws in the square", "Use at most 2000000.")]
    covered = upscale.flaw_density_per_um2 * math.pi * (upscale.flaw_radius_nm * 1e-3) ** 2
    if covered > 0.5:
        return [
            Problem(
                f"{said} with {origin.shown('upscale', 'flaw_radius_nm', upscale.flaw_radius_nm)} "
                f"covers {100 * covered:.3g} % of the interface before it begins",
                "Use smaller or fewer flaws: at most half of the interface.",
            )
        ]
    return []


def _shape(run: RunFile, origin: Origin) -> list[Problem]:
    """A cap has an angle, another shape an aspect ratio, and not both."""
    upscale = run.upscale
    if upscale.shape == "aspect" and upscale.aspect_ratio is None:
        said = origin.shown("upscale", "shape", "aspect")
        return [Problem(f"{said} needs aspect_ratio", "Give upscale.aspect_ratio.")]
    wrong = "contact_angle_deg" if upscale.shape == "aspect" else "aspect_ratio"
    value = getattr(upscale, wrong)
    if value is None:
        return []
    said = origin.shown("upscale", wrong, value)
    return [Problem(f'{said} has no meaning with shape = "{upscale.shape}"', "Remove it.")]
