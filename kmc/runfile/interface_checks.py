"""Checks of the [interface] section that need the lattice, the parameter sets or the mask."""

from collections.abc import Iterator

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

# Keys that make a patch or a void together.
_GROUPS = (
    ("patch_density_per_um2", "patch_radius_nm"),
    ("void_density_per_um2", "void_radius_nm", "void_height_nm"),
)


def interface_keys(run: RunFile, origin: Origin) -> list[Problem]:
    """Keys that need another key, or an interface; no file is read."""
    section, entries = run.interface, run.interface.chemistry or ()
    stated = [key for key in Interface.model_fields if getattr(section, key) not in (None, 0.0)]
    shown = {key: origin.of(run, f"interface.{key}") for key in stated}
    if stated and run.system.boundary == "periodic":
        text = f'{shown[stated[0]]} needs an interface, and boundary is "periodic"'
        return [Problem(text, "Remove it.")]
    problems = []
    for keys in _GROUPS:
        # A density without a size, or the other way round, makes no flaw.
        missing = [key for key in keys if key not in stated]
        if 0 < len(missing) < len(keys):
            there = next(key for key in keys if key in stated)
            advice = f"Give all of {', '.join(keys)}, or none."
            problems.append(Problem(f"{shown[there]} needs {' and '.join(missing)}", advice))
    # Keys that say where chemistries are, which need some.
    chosen = [key for key in ("mask", "correlation_length_nm") if key in stated]
    at, total = origin.where("interface", "chemistry"), sum(e.fraction or 0.0 for e in entries)
    if not entries:
        advice = 'Add chemistry = [{ params = "li_philic_015", fraction = 0.2 }].'
        problems += [Problem(f"{shown[key]} needs chemistry", advice) for key in chosen]
    elif section.mask is not None:
        if any(entry.fraction is not None for entry in entries):
            text = f"fraction in chemistry {at} and mask exclude each other"
            problems.append(Problem(text, "Remove fraction from the entries, or mask."))
        if len(chosen) == 2:
            text = f"{shown[chosen[1]]} and mask exclude each other"
            problems.append(Problem(text, "Keep one of them."))
    elif any(entry.fraction is None for entry in entries):
        advice = "Give each entry a fraction of the L1 sites, or the interface a mask."
        problems.append(Problem(f"chemistry {at} has an entry without fraction", advice))
    # A sum of decimal fractions is rounded, and may exceed 1 by a few 1e-16.
    elif total > 1 + 1e-9:
        text = f"the fractions of chemistry {at} add up to {total:g}"
        problems.append(Problem(text, "Together at most 1; the rest is params of [system]."))
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
    edges_nm = lattice.box_A[:2] / A_per_nm
    problems: list[Problem] = []
    # Radius and height of every flaw by its key; the height of a patch is 0.
    shapes: dict[str, list[tuple]] = {
        "patch_radius_nm": [(section.patch_radius_nm, 0.0)],
        "void_radius_nm": [(section.void_radius_nm, section.void_height_nm)],
        "patches": [(radius, 0.0) for _, _, radius in section.patches or ()],
        "voids": [(radius, height) for _, _, radius, height in section.voids or ()],
    }
    for key, flaws_nm in shapes.items():
        if flaws_nm and flaws_nm[0][0]:
            problems += _misfits(run, origin, key, flaws_nm, lattice)
    for key in ("patches", "voids"):
        for place in getattr(section, key) or ():
            if not (0 <= place[0] <= edges_nm[0] and 0 <= place[1] <= edges_nm[1]):
                at = origin.where("interface", key)
                allowed = f"x from 0 to {edges_nm[0]:.4g} nm, y from 0 to {edges_nm[1]:.4g} nm"
                text = f"{show(place)} of {key} {at} lies outside the box"
                problems.append(Problem(text, f"{allowed}; or enlarge size."))
                break
    # Beyond half of the edge a patch would correlate with its own periodic image.
    half_nm = float(edges_nm.min()) / 2
    if section.correlation_length_nm > half_nm:
        text = f"{origin.of(run, 'interface.correlation_length_nm')} is too long for the box"
        advice = f"At most {half_nm:.3g} nm, half of the shorter edge; or enlarge size."
        problems.append(Problem(text, advice))
    key = "chemistry"
    try:
        Interphase(np.zeros(lattice.sites_per_layer), run.chemistry_sets())
        key = "mask"
        if section.mask is not None and section.chemistry:
            read_mask(section.mask, len(section.chemistry) + 1)
    except InputError as error:
        text = f"{error.message} ({key} {origin.where('interface', key)})"
        problems.append(Problem(text, error.advice or ""))
    return problems


def _misfits(
    run: RunFile, origin: Origin, key: str, shapes: list, lattice: Lattice
) -> Iterator[Problem]:
    """Flaws too small to contain a site, or too large for the box: the first that is wrong."""
    smallest, lowest = (
        length_A / A_per_nm for length_A in (lattice.lattice_parameter_A, lattice.layer_spacing_A)
    )
    widest, highest = float(lattice.box_A[:2].min()) / (2 * A_per_nm), flaws.highest_nm(lattice)
    shown = origin.of(run, f"interface.{key}")
    if min(radius for radius, _ in shapes) < smallest:
        text = f"{shown}: a flaw so small may contain no site"
        yield Problem(text, f"Use at least the lattice parameter, {smallest:.4g} nm.")
    elif any(0 < height < lowest for _, height in shapes):
        text = f"{shown}: a void so flat may contain no site"
        yield Problem(text, f"Use at least the distance of two atomic layers, {lowest:.4g} nm.")
    elif max(flaws.widest_nm(*shape) if shape[1] else shape[0] for shape in shapes) >= widest:
        text = f"{shown}: a flaw so wide would overlap its periodic image"
        advice = f"Below {widest:.4g} nm, half of the shorter edge of the box; or enlarge size."
        yield Problem(text, advice)
    elif max(height for _, height in shapes) > highest:
        stated = origin.of(run, "interface.void_height_nm") if key == "void_radius_nm" else shown
        advice = f"At most {highest:.3g} nm, so that metal is left above it; or add layers to size."
        yield Problem(f"{stated}: a void so high leaves no metal above it", advice)
