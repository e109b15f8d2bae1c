"""Checks of the [interface] section that need the lattice, the parameter sets or the mask."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from kmc.common.units import A_per_nm
from kmc.common.validation import Problem, show
from kmc.errors import InputError
from kmc.model.initial import flaws
from kmc.model.initial.masks import read_mask
from kmc.model.interphase import Interphase
from kmc.model.lattice import Lattice
from kmc.model.parameters import load_parameters
from kmc.runfile.run_file import Origin, RunFile
from kmc.runfile.sections import Interface

_GROUPS = (
    ("patch", ("density_per_um2", "radius_nm")),
    ("void", ("density_per_um2", "radius_nm", "height_nm")),
)


def interface_keys(run: RunFile, origin: Origin) -> list[Problem]:
    """Keys that need another key, or an interface; no file is read."""
    section = run.interface
    given = [key for key in Interface.model_fields if getattr(section, key) not in (None, 0.0)]
    if not given:
        return []
    problems = []
    if run.system.boundary == "periodic":
        shown = origin.shown("interface", given[0], getattr(section, given[0]))
        return [Problem(f'{shown} needs an interface, and boundary is "periodic"', "Remove it.")]
    for kind, parts in _GROUPS:
        keys = [f"{kind}_{part}" for part in parts]
        missing = [key for key in keys if key not in given]
        if 0 < len(missing) < len(keys):
            there = next(key for key in keys if key in given)
            shown = origin.shown("interface", there, getattr(section, there))
            advice = f"Give all of {', '.join(keys)}, or none."
            problems.append(Problem(f"{shown} needs {' and '.join(missing)}", advice))
    return problems + _chemistry_keys(section, origin)


def _chemistry_keys(section: Interface, origin: Origin) -> list[Problem]:
    problems = []
    entries = section.chemistry
    if entries is None:
        for key in ("mask", "correlation_length_nm"):
            if value := getattr(section, key):
                shown = origin.shown("interface", key, value)
                advice = 'Add chemistry = [{ params = "li_philic_015", fraction = 0.2 }].'
                problems.append(Problem(f"{shown} needs chemistry", advice))
        return problems
    at = origin.where("interface", "chemistry")
    if section.mask is not None:
        if any(entry.fraction is not None for entry in entries):
            advice = "Remove fraction from the entries, or mask."
            problems.append(
                Problem(f"fraction in chemistry {at} and mask exclude each other", advice)
            )
        if section.correlation_length_nm:
            shown = origin.shown(
                "interface", "correlation_length_nm", section.correlation_length_nm
            )
            problems.append(Problem(f"{shown} and mask exclude each other", "Keep one of them."))
        return problems
    if any(entry.fraction is None for entry in entries):
        advice = "Give each entry a fraction of the L1 sites, or the interface a mask."
        return [*problems, Problem(f"chemistry {at} has an entry without fraction", advice)]
    total = math.fsum(entry.fraction or 0.0 for entry in entries)
    if total > 1 + 1e-9:
        shown = f"the fractions of chemistry {at} add up to {total:g}"
        problems.append(Problem(shown, "Together at most 1; the rest is params of [system]."))
    return problems


def interface_geometry(run: RunFile, origin: Origin) -> list[Problem]:
    """Whether flaws and patches fit the box, and sets and mask can be read.

    Called when everything else of the run is valid.
    """
    section, system = run.interface, run.system
    if section == Interface():
        return []
    a_A = load_parameters(system.params, run.parameters).value("lattice_parameter_A")
    lattice = Lattice(system.lattice, system.size[:2], system.size[2], system.boundary, a_A)
    problems = []
    for key, shapes in _shapes(section).items():
        problems += _size_problems(key, shapes, section, lattice, origin)
    for key in ("patches", "voids"):
        problems += _place_problems(key, getattr(section, key) or (), lattice, origin)
    half = float(lattice.box_A[:2].min()) / (2 * A_per_nm)
    if section.correlation_length_nm > half:
        shown = origin.shown("interface", "correlation_length_nm", section.correlation_length_nm)
        advice = f"At most {half:.3g} nm, half of the shorter edge; or enlarge size."
        problems.append(Problem(f"{shown} is too long for the box", advice))
    try:
        Interphase(np.zeros(lattice.sites_per_layer), run.chemistry_sets())
    except InputError as error:
        problems.append(_located(error, "chemistry", origin))
    try:
        if section.mask is not None and section.chemistry:
            read_mask(section.mask, len(section.chemistry) + 1)
    except InputError as error:
        problems.append(_located(error, "mask", origin))
    return problems


def _shapes(section: Interface) -> dict[str, list[tuple[float, float]]]:
    """Radius and height of every flaw by its key; the height of a patch is 0."""
    shapes: dict[str, list[tuple[float, float]]] = {}
    if section.patch_radius_nm:
        shapes["patch_radius_nm"] = [(section.patch_radius_nm, 0.0)]
    if section.void_radius_nm and section.void_height_nm:
        shapes["void_radius_nm"] = [(section.void_radius_nm, section.void_height_nm)]
    if section.patches:
        shapes["patches"] = [(radius, 0.0) for _, _, radius in section.patches]
    if section.voids:
        shapes["voids"] = [(radius, height) for _, _, radius, height in section.voids]
    return shapes


def _size_problems(
    key: str,
    shapes: list[tuple[float, float]],
    section: Interface,
    lattice: Lattice,
    origin: Origin,
) -> list[Problem]:
    """Flaws too small to contain a site, or too large for the box."""
    shown = origin.shown("interface", key, getattr(section, key))
    smallest = lattice.lattice_parameter_A / A_per_nm
    widest = float(lattice.box_A[:2].min()) / (2 * A_per_nm)
    highest = flaws.highest_nm(lattice)
    if min(radius for radius, _ in shapes) < smallest:
        advice = f"Use at least the lattice parameter, {smallest:.4g} nm."
        return [Problem(f"{shown}: a flaw so small may contain no site", advice)]
    lowest = lattice.layer_spacing_A / A_per_nm
    if any(0 < height < lowest for _, height in shapes):
        advice = f"Use at least the distance of two atomic layers, {lowest:.4g} nm."
        return [Problem(f"{shown}: a void so flat may contain no site", advice)]
    if max(flaws.widest_nm(*shape) if shape[1] else shape[0] for shape in shapes) >= widest:
        advice = f"Below {widest:.4g} nm, half of the shorter edge of the box; or enlarge size."
        return [Problem(f"{shown}: a flaw so wide would overlap its periodic image", advice)]
    if max(height for _, height in shapes) > highest:
        if key == "void_radius_nm":
            shown = origin.shown("interface", "void_height_nm", section.void_height_nm)
        advice = f"At most {highest:.3g} nm, so that metal is left above it; or add layers to size."
        return [Problem(f"{shown}: a void so high leaves no metal above it", advice)]
    return []


def _place_problems(
    key: str, listed: Sequence[Sequence[float]], lattice: Lattice, origin: Origin
) -> list[Problem]:
    """Flaws outside the box."""
    edges = lattice.box_A[:2] / A_per_nm
    outside = [
        place for place in listed if not (0 <= place[0] <= edges[0] and 0 <= place[1] <= edges[1])
    ]
    if not outside:
        return []
    shown = f"{show(outside[0])} of {key} {origin.where('interface', key)} lies outside the box"
    allowed = f"x from 0 to {edges[0]:.4g} nm, y from 0 to {edges[1]:.4g} nm"
    return [Problem(shown, f"{allowed}; or enlarge size.")]


def _located(error: InputError, key: str, origin: Origin) -> Problem:
    """An error of a file, with the key that names the file."""
    return Problem(f"{error.message} ({key} {origin.where('interface', key)})", error.advice or "")
