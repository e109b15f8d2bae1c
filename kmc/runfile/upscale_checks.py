"""Checks of a run with a section [upscale]."""

from __future__ import annotations

import math
from typing import Any

from kmc.common.validation import Problem
from kmc.runfile.protocol import HOLD, STRIP
from kmc.runfile.run_file import Origin, RunFile, given_keys
from kmc.runfile.upscale_section import (
    KEYS_OF_A_BOX,
    MOST_CELLS,
    OF_A_BOX,
    STOPS,
    cells_along_edge,
)


def upscale_checks(run: RunFile, origin: Origin) -> list[Problem]:
    """What is wrong with a run of a population whose single values are all in order."""
    problems = [*_no_box(run, origin), *_flaws(run, origin), *_shape(run, origin)]
    conditions, upscale = run.conditions, run.upscale
    if run.has_protocol:
        problems += _protocol(run, origin)
    if run.system.boundary == "periodic":
        said = origin.shown("system", "boundary", "periodic")
        problems.append(
            Problem(f"{said}: [upscale] needs an interface", 'Set boundary = "interface".')
        )
    sinks = ("electrode_thickness_um", "sink_length_um", "sink_depth_um")
    if math.isinf(min(getattr(conditions, key) for key in sinks)):
        said = origin.shown("conditions", "electrode_thickness_um", math.inf)
        problems.append(
            Problem(
                f"{said}: no vacancy could end anywhere",
                "Give it in µm, for example 1000, or a sink_length_um or sink_depth_um.",
            )
        )
    if run.has_protocol:
        pass
    elif conditions.overpotential_V is not None:
        said = origin.shown("conditions", "overpotential_V", conditions.overpotential_V)
        problems.append(
            Problem(f"{said}: a population of voids has no held voltage", "Give a current.")
        )
    elif conditions.current_density_mA_cm2 <= 0:
        current = conditions.current_density_mA_cm2
        said = origin.shown("conditions", "current_density_mA_cm2", current)
        problems.append(
            Problem(
                f"{said}: without a current no voids begin",
                "Give a current above 0; a [rest] with time_s follows it.",
            )
        )
    if run.rest.events is not None:
        said = origin.shown("rest", "events", run.rest.events)
        problems.append(Problem(f"{said}: a population has no events", "Give rest.time_s."))
    if upscale.resolution_um and upscale.resolution_um > 0.5 * (upscale.domain_um or math.inf):
        said = origin.shown("upscale", "resolution_um", upscale.resolution_um)
        problems.append(
            Problem(
                f"{said} is more than half of the square of {upscale.domain_um:g} µm",
                "Use a smaller resolution, or a larger domain_um.",
            )
        )
    return [*problems, *_rounding(run, origin), *_grid(run, origin)]


def _rounding(run: RunFile, origin: Origin) -> list[Problem]:
    """One way of saying how fast voids round off, and not that they do not."""
    upscale = run.upscale
    if upscale.relaxation == "none":
        said = origin.shown("upscale", "relaxation", "none")
        return [
            Problem(
                f"{said}: without rounding the rim of a spreading void has no thickness, and the "
                "grid alone would say how far it spreads",
                "Give upscale.rounding_length_um, 0.3 or more; or leave relaxation out.",
            )
        ]
    own = {
        key: type(upscale).model_fields[key].default
        for key in ("relaxation", "relaxation_constant")
    }
    both = [key for key, default in own.items() if getattr(upscale, key) != default]
    if upscale.rounding_length_um is not None and both:
        said = origin.shown("upscale", both[0], getattr(upscale, both[0]))
        return [Problem(f"{said} and rounding_length_um say the same twice", f"Remove {both[0]}.")]
    return []


def _grid(run: RunFile, origin: Origin) -> list[Problem]:
    """Cells that memory holds."""
    upscale = run.upscale
    if upscale.grid_um is None or upscale.domain_um is None:
        return []
    n_cells = cells_along_edge(upscale.domain_um, upscale.grid_um)
    if n_cells <= MOST_CELLS:
        return []
    return [
        Problem(
            f"{origin.shown('upscale', 'grid_um', upscale.grid_um)} makes {n_cells} × {n_cells} "
            f"cells of a square of {upscale.domain_um:g} µm, more than memory should hold",
            f"Use {1.1 * upscale.domain_um / MOST_CELLS:.2g} or more, or a smaller domain_um.",
        )
    ]


def _no_box(run: RunFile, origin: Origin) -> list[Problem]:
    """Keys that only a box of atoms has."""
    found: list[tuple[str, str, Any]] = []
    for section in OF_A_BOX:
        table = getattr(run, section)
        found += [(section, key, getattr(table, key)) for key in sorted(table.model_fields_set)]
    for section, keys in KEYS_OF_A_BOX.items():
        table = getattr(run, section)
        found += [
            (section, key, getattr(table, key)) for key in keys if key in table.model_fields_set
        ]
    for key in sorted(run.stop.model_fields_set - set(STOPS)):
        if getattr(run.stop, key) is not None:
            found.append(("stop", key, getattr(run.stop, key)))
    return [
        Problem(
            f"{origin.shown(section, key, value)} belongs to a box of atoms, and this run has a "
            "section [upscale]",
            "Remove it; the end of the current is upscale.capacity_mAh_cm2, or [stop] with "
            f"{' or '.join(STOPS)}."
            if section == "stop"
            else "Remove it.",
        )
        for section, key, value in found
        if value is not None
    ]


def _protocol(run: RunFile, origin: Origin) -> list[Problem]:
    """What the steps have instead, and what a population cannot do in a step."""
    conditions = run.conditions
    given = [("rest", key, getattr(run.rest, key)) for key in given_keys(run.rest)]
    given += [("stop", key, getattr(run.stop, key)) for key in STOPS if key in given_keys(run.stop)]
    if conditions.current_is_given:
        given.append(("conditions", "current_density_mA_cm2", conditions.current_density_mA_cm2))
    if conditions.overpotential_V is not None:
        given.append(("conditions", "overpotential_V", conditions.overpotential_V))
    if "capacity_mAh_cm2" in run.upscale.model_fields_set:
        given.append(("upscale", "capacity_mAh_cm2", run.upscale.capacity_mAh_cm2))
    problems = [
        Problem(
            f"{origin.shown(*where)} cannot be combined with [[protocol]]",
            "Steps have their own current and their own end.",
        )
        for where in given
    ]
    for planned in run.protocol.plan:
        step = planned.step
        if step.do == HOLD:
            problems.append(
                Problem(
                    f"step {planned.number} of [[protocol]] ({step}): a population of voids has no "
                    "held voltage",
                    "Strip or plate with a current, until an overpotential_V where wanted.",
                )
            )
        elif step.temperature_K is not None:
            problems.append(
                Problem(
                    f"step {planned.number} of [[protocol]] has temperature_K = "
                    f"{step.temperature_K:g}: a population of voids has one temperature",
                    "Give conditions.temperature_K for the whole run.",
                )
            )
        else:
            continue
        break
    if not any(planned.step.do == STRIP for planned in run.protocol.plan):
        problems.append(Problem("no step of [[protocol]] strips", "Without it no voids begin."))
    return problems


def _flaws(run: RunFile, origin: Origin) -> list[Problem]:
    """Flaws have a density and a radius, and room; without a field there is nothing else."""
    upscale = run.upscale
    keys = ("flaw_density_per_um2", "flaw_radius_nm")
    given = [key for key in keys if getattr(upscale, key) is not None]
    if upscale.flaw_radius_sigma:
        given.append("flaw_radius_sigma")
    if upscale.sharing == "equal":
        return [
            Problem(
                f"{origin.shown('upscale', 'sharing', upscale.sharing)}: gaps take up what "
                "diffusion brings them",
                "Remove it; kmc 0.1 compared with equal shares.",
            )
        ]
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
    assert upscale.flaw_density_per_um2 is not None
    assert upscale.flaw_radius_nm is not None
    edge = upscale.edge_um(0.0)
    number = upscale.flaw_density_per_um2 * edge**2
    said = origin.shown("upscale", "flaw_density_per_um2", upscale.flaw_density_per_um2)
    if number < 1:
        return [
            Problem(
                f"{said} is no flaw in a square of {edge:g} µm",
                f"Use {1 / edge**2:.2g} or more, or a larger domain_um.",
            )
        ]
    if number > 2_000_000:
        return [Problem(f"{said} is {number:.2g} flaws in the square", "Use at most 2000000.")]
    # The mean of r² of a lognormal distribution of the median r0 is r0² exp(2 σ²).
    mean_square = (upscale.flaw_radius_nm * 1e-3) ** 2 * math.exp(2 * upscale.flaw_radius_sigma**2)
    covered = upscale.flaw_density_per_um2 * math.pi * mean_square
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
