"""Checks of a run with a section [upscale]."""

from __future__ import annotations

import math
from collections.abc import Iterator

from kmc.common.validation import Problem
from kmc.runfile.protocol import HOLD, STRIP
from kmc.runfile.run_file import Origin, Rule, RunFile, broken, given_keys
from kmc.runfile.upscale_section import (
    KEYS_OF_A_BOX,
    MOST_CELLS,
    OF_A_BOX,
    STOPS,
    Upscale,
    cells_along_edge,
)

_MOST_FLAWS = 2_000_000
_SINKS = ("electrode_thickness_um", "sink_length_um", "sink_depth_um")


def _differs(run: RunFile, key: str) -> bool:
    return getattr(run.upscale, key) != Upscale.model_fields[key].default


_RULES = (
    Rule(
        lambda run: run.upscale.shape == "aspect" and run.upscale.aspect_ratio is None,
        "{upscale.shape} needs aspect_ratio",
        "Give upscale.aspect_ratio.",
    ),
    Rule(
        lambda run: run.upscale.shape == "aspect" and run.upscale.contact_angle_deg is not None,
        '{upscale.contact_angle_deg} has no meaning with shape = "aspect"',
        "Remove it.",
    ),
    Rule(
        lambda run: run.upscale.shape != "aspect" and run.upscale.aspect_ratio is not None,
        '{upscale.aspect_ratio} has no meaning with shape = "{run.upscale.shape}"',
        "Remove it.",
    ),
    Rule(
        lambda run: run.system.boundary == "periodic",
        "{system.boundary}: [upscale] needs an interface",
        'Set boundary = "interface".',
    ),
    Rule(
        lambda run: math.isinf(min(getattr(run.conditions, key) for key in _SINKS)),
        "{conditions.electrode_thickness_um}: no vacancy could end anywhere",
        "Give it in µm, for example 1000, or a sink_length_um or sink_depth_um.",
    ),
    Rule(
        lambda run: not run.has_protocol and run.conditions.overpotential_V is not None,
        "{conditions.overpotential_V}: a population of voids has no held voltage",
        "Give a current.",
    ),
    Rule(
        lambda run: (
            not run.has_protocol
            and run.conditions.overpotential_V is None
            and run.conditions.current_density_mA_cm2 <= 0
        ),
        "{conditions.current_density_mA_cm2}: without a current no voids begin",
        "Give a current above 0; a [rest] with time_s follows it.",
    ),
    Rule(
        lambda run: run.rest.events is not None,
        "{rest.events}: a population has no events",
        "Give rest.time_s.",
    ),
    Rule(
        lambda run: run.upscale.resolution_um > 0.5 * (run.upscale.domain_um or math.inf),
        "{upscale.resolution_um} is more than half of the square of {run.upscale.domain_um:g} µm",
        "Use a smaller resolution, or a larger domain_um.",
    ),
    # One way of saying how fast voids round off, and not that they do not.
    Rule(
        lambda run: run.upscale.relaxation == "none",
        "{upscale.relaxation}: without rounding the rim of a spreading void has no thickness, and "
        "the grid alone would say how far it spreads",
        "Give upscale.rounding_length_um, 0.3 or more; or leave relaxation out.",
    ),
    Rule(
        lambda run: (
            run.upscale.rounding_length_um is not None and run.upscale.relaxation == "instant"
        ),
        "{upscale.relaxation} and rounding_length_um say the same twice",
        "Remove relaxation.",
    ),
    Rule(
        lambda run: (
            run.upscale.rounding_length_um is not None
            and run.upscale.relaxation == "kinetic"
            and _differs(run, "relaxation_constant")
        ),
        "{upscale.relaxation_constant} and rounding_length_um say the same twice",
        "Remove relaxation_constant.",
    ),
)


def upscale_checks(run: RunFile, origin: Origin) -> list[Problem]:
    """What is wrong with a run of a population whose single values are all in order."""
    problems = [*_no_box(run, origin), *_flaws(run, origin)]
    if run.has_protocol:
        problems += _protocol(run, origin)
    return [*problems, *broken(_RULES, run, origin), *_grid(run, origin)]


def _grid(run: RunFile, origin: Origin) -> Iterator[Problem]:
    """Cells that memory holds."""
    upscale = run.upscale
    if upscale.grid_um is None or upscale.domain_um is None:
        return
    n_cells = cells_along_edge(upscale.domain_um, upscale.grid_um)
    if n_cells > MOST_CELLS:
        yield Problem(
            f"{origin.of(run, 'upscale.grid_um')} makes {n_cells} × {n_cells} cells of a square of "
            f"{upscale.domain_um:g} µm, more than memory should hold",
            f"Use {1.1 * upscale.domain_um / MOST_CELLS:.2g} or more, or a smaller domain_um.",
        )


def _no_box(run: RunFile, origin: Origin) -> Iterator[Problem]:
    """Keys that only a box of atoms has."""
    given = {name: sorted(getattr(run, name).model_fields_set) for name in OF_A_BOX}
    for name, of_a_box in KEYS_OF_A_BOX.items():
        given[name] = [key for key in of_a_box if key in getattr(run, name).model_fields_set]
    given["stop"] = sorted(run.stop.model_fields_set - set(STOPS))
    for section, keys in given.items():
        advice = "Remove it."
        if section == "stop":
            advice = (
                "Remove it; the end of the current is upscale.capacity_mAh_cm2, or [stop] with "
                f"{' or '.join(STOPS)}."
            )
        for key in keys:
            if getattr(getattr(run, section), key) is not None:
                yield Problem(
                    f"{origin.of(run, f'{section}.{key}')} belongs to a box of atoms, and this run "
                    "has a section [upscale]",
                    advice,
                )


def _protocol(run: RunFile, origin: Origin) -> Iterator[Problem]:
    """What the steps have instead, and what a population cannot do in a step."""
    given = [f"rest.{key}" for key in given_keys(run.rest)]
    given += [f"stop.{key}" for key in STOPS if key in given_keys(run.stop)]
    if run.conditions.current_is_given:
        given.append("conditions.current_density_mA_cm2")
    if run.conditions.overpotential_V is not None:
        given.append("conditions.overpotential_V")
    if "capacity_mAh_cm2" in run.upscale.model_fields_set:
        given.append("upscale.capacity_mAh_cm2")
    for key in given:
        yield Problem(
            f"{origin.of(run, key)} cannot be combined with [[protocol]]",
            "Steps have their own current and their own end.",
        )
    for planned in run.protocol.plan:
        step = planned.step
        if step.do == HOLD:
            yield Problem(
                f"step {planned.number} of [[protocol]] ({step}): a population of voids has no "
                "held voltage",
                "Strip or plate with a current, until an overpotential_V where wanted.",
            )
            break
        if step.temperature_K is not None:
            yield Problem(
                f"step {planned.number} of [[protocol]] has temperature_K = "
                f"{step.temperature_K:g}: a population of voids has one temperature",
                "Give conditions.temperature_K for the whole run.",
            )
            break
    if not any(planned.step.do == STRIP for planned in run.protocol.plan):
        yield Problem("no step of [[protocol]] strips", "Without it no voids begin.")


def _flaws(run: RunFile, origin: Origin) -> Iterator[Problem]:
    """Flaws have a density and a radius, and room; without a field there is nothing else."""
    upscale = run.upscale
    keys = ("flaw_density_per_um2", "flaw_radius_nm")
    given = [key for key in (*keys, "flaw_radius_sigma") if _differs(run, key)]
    if upscale.sharing == "equal":
        yield Problem(
            f"{origin.of(run, 'upscale.sharing')}: gaps take up what diffusion brings them",
            "Remove it; kmc 0.1 compared with equal shares.",
        )
        return
    if upscale.nucleation == "homogeneous":
        for key in given:
            yield Problem(
                f"{origin.of(run, f'upscale.{key}')} has no meaning with nucleation = "
                '"homogeneous"',
                'Set nucleation = "flaws" or "both", or remove the key.',
            )
        return
    if missing := [key for key in keys if key not in given]:
        said = origin.of(run, "upscale.nucleation")
        yield Problem(f"{said} needs {' and '.join(missing)}", "Give both in [upscale].")
        return
    assert upscale.flaw_density_per_um2 is not None
    assert upscale.flaw_radius_nm is not None
    edge = upscale.edge_um(0.0)
    number = upscale.flaw_density_per_um2 * edge**2
    said = origin.of(run, "upscale.flaw_density_per_um2")
    # The mean of r² of a lognormal distribution of the median r0 is r0² exp(2 σ²).
    mean_square = (upscale.flaw_radius_nm * 1e-3) ** 2 * math.exp(2 * upscale.flaw_radius_sigma**2)
    covered = upscale.flaw_density_per_um2 * math.pi * mean_square
    if number < 1:
        yield Problem(
            f"{said} is no flaw in a square of {edge:g} µm",
            f"Use {1 / edge**2:.2g} or more, or a larger domain_um.",
        )
    elif number > _MOST_FLAWS:
        yield Problem(f"{said} is {number:.2g} flaws in the square", f"Use at most {_MOST_FLAWS}.")
    elif covered > 0.5:
        yield Problem(
            f"{said} with {origin.of(run, 'upscale.flaw_radius_nm')} covers {100 * covered:.3g} % "
            "of the interface before it begins",
            "Use smaller or fewer flaws: at most half of the interface.",
        )
