"""Checks of a run with a section [deposition]."""

from __future__ import annotations

import math

from kmc.common.validation import Problem
from kmc.errors import InputError
from kmc.model.adatoms import NEEDED, check_same_metal
from kmc.model.parameters import ParameterSet
from kmc.runfile.checks import load_named
from kmc.runfile.protocol import HOLD
from kmc.runfile.run_file import Origin, RunFile

MOST_SITES = 20_000_000  # 8 arrays a site, 400 MB


def deposition_checks(run: RunFile, origin: Origin) -> list[Problem]:
    """What is wrong with a deposition whose single values are all in order."""
    return [
        *_sets(run, origin),
        *_size(run, origin),
        *_drive(run, origin),
        *_acceleration(run, origin),
    ]


def _sets(run: RunFile, origin: Origin) -> list[Problem]:
    """Substrate and islands have the energies of adatoms, on the same metal."""
    found: list[ParameterSet] = []
    given = [("system", "params", run.system.params)]
    if run.deposition.island_params is not None:
        given.append(("deposition", "island_params", run.deposition.island_params))
    for section, key, name in given:
        parameters = load_named(run, origin, section, key, name)
        if isinstance(parameters, Problem):
            return [parameters]
        missing = [quantity for quantity in NEEDED if not parameters.has(quantity)]
        if missing:
            said = origin.shown(section, key, name)
            return [
                Problem(
                    f"{said}: a substrate needs {', '.join(missing)}",
                    "Use a set of a substrate, such as li_zno_002, li_lizn or li_carbon.",
                )
            ]
        found.append(parameters)
    try:
        check_same_metal(found)
    except InputError as error:
        return [Problem(error.message, error.advice or "")]
    return []


def _size(run: RunFile, origin: Origin) -> list[Problem]:
    sites = math.prod(run.system.size)
    if sites <= MOST_SITES:
        return []
    said = origin.shown("system", "size", list(run.system.size))
    return [Problem(f"{said} is {sites} sites", f"Use at most {MOST_SITES}.")]


def _drive(run: RunFile, origin: Origin) -> list[Problem]:
    """A current and an end, or a protocol of plate, strip and rest."""
    stops = [key for key in ("capacity_monolayers", "capacity_mAh_cm2") if getattr(run.stop, key)]
    if not run.has_protocol:
        problems = []
        if run.conditions.current_density_mA_cm2 <= 0:
            said = origin.shown("conditions", "current_density_mA_cm2", 0)
            problems.append(Problem(f"{said}: nothing is plated", "Give a current above 0."))
        if not stops:
            problems.append(
                Problem(
                    f"section [stop] of {origin.source} has no capacity: the deposition never ends",
                    "Give capacity_monolayers or capacity_mAh_cm2.",
                )
            )
        return problems
    problems = []
    for key in stops:
        said = origin.shown("stop", key, getattr(run.stop, key))
        problems.append(
            Problem(f"{said} cannot be combined with [[protocol]]", "Steps have their own end.")
        )
    if run.conditions.current_is_given:
        current = run.conditions.current_density_mA_cm2
        said = origin.shown("conditions", "current_density_mA_cm2", current)
        problems.append(
            Problem(f"{said} cannot be combined with [[protocol]]", "Steps have their own current.")
        )
    for planned in run.protocol.plan:
        until = planned.step.until
        if planned.step.do == HOLD or until.overpotential_V or until.contact_fraction is not None:
            problems.append(
                Problem(
                    f"step {planned.number} of [[protocol]] in {origin.source}, {planned.step}: a "
                    "deposition has neither held voltages nor ends by voltage or contact",
                    "Plate, strip or rest, until a capacity or a time; a strip also ends when "
                    "nothing is left that can be stripped.",
                )
            )
            break
    return problems


def _acceleration(run: RunFile, origin: Origin) -> list[Problem]:
    both = run.acceleration.max_hops_per_strip_per_site, run.acceleration.saddle_floor_eV
    if None in both:
        return []
    said = origin.shown("acceleration", "max_hops_per_strip_per_site", both[0])
    return [Problem(f"{said} and saddle_floor_eV exclude each other", "Keep one of them.")]
