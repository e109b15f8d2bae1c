"""Checks of a run with a section [cathode]."""

from __future__ import annotations

from kmc.common.validation import Problem
from kmc.runfile.checks import load_named
from kmc.runfile.run_file import Origin, RunFile

NEEDED = ("youngs_modulus_GPa", "poisson_ratio")
NEEDED_OF_ACTIVE = (*NEEDED, "lithiation_volume_change")
CREEP = ("creep_reference_rate_per_s", "creep_reference_stress_MPa", "strain_rate_sensitivity")


def cathode_checks(run: RunFile, origin: Origin) -> list[Problem]:
    """What is wrong with a cathode whose single values are all in order."""
    return [*_sets(run, origin), *_fractions(run, origin)]


def _sets(run: RunFile, origin: Origin) -> list[Problem]:
    """The sets have elastic constants, and both states of the active material creep or neither."""
    given = [
        ("system", "params", run.system.params, NEEDED_OF_ACTIVE),
        ("cathode", "lithiated_params", run.cathode.lithiated_params, NEEDED),
        ("cathode", "frame_params", run.cathode.frame_params, NEEDED),
    ]
    creeps = {}
    for section, key, name, needed in given:
        if name is None:
            continue
        parameters = load_named(run, origin, section, key, name)
        if isinstance(parameters, Problem):
            return [parameters]
        law = [quantity for quantity in CREEP if parameters.has(quantity)]
        missing = [q for q in (*needed, *(CREEP if law else ())) if not parameters.has(q)]
        if missing:
            return [
                Problem(
                    f"{origin.shown(section, key, name)}: a material of a cathode needs "
                    f"{', '.join(missing)}",
                    "Use a set such as se, li2se, fes, licoo2 or mo6se8.",
                )
            ]
        creeps[key] = bool(law)
    if creeps.get("lithiated_params", creeps["params"]) != creeps["params"]:
        said = origin.shown("cathode", "lithiated_params", run.cathode.lithiated_params)
        return [
            Problem(
                f"{said} and {run.system.params}: only one of them has a creep law",
                "Give two states of one material.",
            )
        ]
    return []


def _fractions(run: RunFile, origin: Origin) -> list[Problem]:
    filled = run.cathode.active_fraction + run.cathode.frame_fraction
    problems = []
    if filled > 0.95:
        said = origin.shown("cathode", "active_fraction", run.cathode.active_fraction)
        problems.append(
            Problem(
                f"{said} with frame_fraction = {run.cathode.frame_fraction:g} leaves "
                f"{1 - filled:.3g} of the volume for pores",
                "At least 0.05 must be pores.",
            )
        )
    if run.cathode.edge_sites < 2 * run.cathode.grain_sites:
        said = origin.shown("cathode", "grain_sites", run.cathode.grain_sites)
        problems.append(
            Problem(
                f"{said} is more than half of edge_sites = {run.cathode.edge_sites}",
                "A representative volume holds many grains: at least four.",
            )
        )
    return problems
