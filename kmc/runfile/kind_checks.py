"""Checks of runs with a section of their own kind: those that all share, deposition, cathode."""

from __future__ import annotations

import math
from collections.abc import Iterator

from kmc.common.validation import Problem
from kmc.errors import InputError
from kmc.model.adatoms import NEEDED as NEEDED_OF_SUBSTRATE
from kmc.model.adatoms import check_same_metal
from kmc.model.parameters import ParameterSet
from kmc.runfile import kinds
from kmc.runfile.checks import load_named
from kmc.runfile.protocol import HOLD
from kmc.runfile.run_file import Origin, Rule, RunFile, broken

MOST_SITES = 20_000_000  # of a deposition: 8 arrays a site, 400 MB
_CAPACITIES = ("capacity_monolayers", "capacity_mAh_cm2")
NEEDED = ("youngs_modulus_GPa", "poisson_ratio")
NEEDED_OF_ACTIVE = (*NEEDED, "lithiation_volume_change")
CREEP = ("creep_reference_rate_per_s", "creep_reference_stress_MPa", "strain_rate_sensitivity")


def exclusive_kinds(run: RunFile, origin: Origin) -> list[Problem]:
    """A run is of one kind."""
    given = [f"[{name}]" for name in kinds.sections() if name in run.model_fields_set]
    if len(given) < 2:
        return []
    text = f"{' and '.join(given)} in {origin.source} exclude each other"
    return [Problem(text, "Keep one of them.")]


def unused_keys(run: RunFile, origin: Origin) -> list[Problem]:
    """Keys that a run file gives and its kind of run does not use."""
    kind = kinds.KINDS[run.kind]
    if kind.uses is None:
        return []
    return [
        Problem(
            f"{origin.of(run, f'{section}.{key}')} has no meaning in a run with [{kind.section}]",
            f"Remove it; of [{section}] it uses {', '.join(used) or 'nothing'}.",
        )
        for section in sorted(run.model_fields_set - {kind.section, "parameters"})
        for used in [kind.uses.get(section, ())]
        for key in sorted(getattr(run, section).model_fields_set - set(used))
        if getattr(getattr(run, section), key) is not None
    ]


# --- deposition -----------------------------------------------------------------------------------

_SIZE = Rule(
    lambda run: math.prod(run.system.size) > MOST_SITES,
    "{system.size} is {sites} sites",
    f"Use at most {MOST_SITES}.",
)
_WITHOUT_STEPS = (
    Rule(
        lambda run: run.conditions.current_density_mA_cm2 <= 0,
        "{conditions.current_density_mA_cm2}: nothing is plated",
        "Give a current above 0.",
    ),
    Rule(
        lambda run: not any(getattr(run.stop, key) for key in _CAPACITIES),
        "section [stop] of {source} has no capacity: the deposition never ends",
        "Give capacity_monolayers or capacity_mAh_cm2.",
    ),
)
_ACCELERATION = Rule(
    lambda run: (
        run.acceleration.max_hops_per_strip_per_site is not None
        and run.acceleration.saddle_floor_eV is not None
    ),
    "{acceleration.max_hops_per_strip_per_site} and saddle_floor_eV exclude each other",
    "Keep one of them.",
)


def deposition_checks(run: RunFile, origin: Origin) -> list[Problem]:
    """What is wrong with a deposition whose single values are all in order."""
    steps = _steps(run, origin) if run.has_protocol else broken(_WITHOUT_STEPS, run, origin)
    return [
        *_substrates(run, origin),
        *broken([_SIZE], run, origin, sites=str(math.prod(run.system.size))),
        *steps,
        *broken([_ACCELERATION], run, origin),
    ]


def _substrates(run: RunFile, origin: Origin) -> list[Problem]:
    """Substrate and islands have the energies of adatoms, on the same metal."""
    found: list[ParameterSet] = []
    given = [("system", "params", run.system.params)]
    if run.deposition.island_params is not None:
        given.append(("deposition", "island_params", run.deposition.island_params))
    for section, key, name in given:
        parameters = load_named(run, origin, section, key, name)
        if isinstance(parameters, Problem):
            return [parameters]
        missing = [quantity for quantity in NEEDED_OF_SUBSTRATE if not parameters.has(quantity)]
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


def _steps(run: RunFile, origin: Origin) -> Iterator[Problem]:
    """A protocol plates, strips and rests; its steps have what the run has without one."""
    instead = {f"stop.{key}": "end" for key in _CAPACITIES if getattr(run.stop, key)}
    if run.conditions.current_is_given:
        instead["conditions.current_density_mA_cm2"] = "current"
    for key, own in instead.items():
        shown = origin.of(run, key)
        yield Problem(
            f"{shown} cannot be combined with [[protocol]]", f"Steps have their own {own}."
        )
    for planned in run.protocol.plan:
        until = planned.step.until
        if planned.step.do == HOLD or until.overpotential_V or until.contact_fraction is not None:
            yield Problem(
                f"step {planned.number} of [[protocol]] in {origin.source}, {planned.step}: a "
                "deposition has neither held voltages nor ends by voltage or contact",
                "Plate, strip or rest, until a capacity or a time; a strip also ends when "
                "nothing is left that can be stripped.",
            )
            return


# --- cathode --------------------------------------------------------------------------------------

_FRACTIONS = (
    Rule(
        lambda run: run.cathode.active_fraction + run.cathode.frame_fraction > 0.95,
        "{cathode.active_fraction} with frame_fraction = {run.cathode.frame_fraction:g} leaves "
        "{pores} of the volume for pores",
        "At least 0.05 must be pores.",
    ),
    Rule(
        lambda run: run.cathode.edge_sites < 2 * run.cathode.grain_sites,
        "{cathode.grain_sites} is more than half of edge_sites = {run.cathode.edge_sites}",
        "A representative volume holds many grains: at least four.",
    ),
)


def cathode_checks(run: RunFile, origin: Origin) -> list[Problem]:
    """What is wrong with a cathode whose single values are all in order."""
    pores = 1 - (run.cathode.active_fraction + run.cathode.frame_fraction)
    return [*_materials(run, origin), *broken(_FRACTIONS, run, origin, pores=f"{pores:.3g}")]


def _materials(run: RunFile, origin: Origin) -> list[Problem]:
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
