"""Checks of a run that involve several values, or a lattice or parameter file."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from kmc.common import catalogue
from kmc.common.validation import Problem, toml_value
from kmc.errors import InputError
from kmc.model.lattice import Lattice, load_unit_cell
from kmc.model.parameters import ParameterSet, load_parameters
from kmc.runfile.interface_checks import interface_geometry, interface_keys
from kmc.runfile.protocol import PLATE
from kmc.runfile.run_file import Origin, Rule, RunFile, broken, given_keys
from kmc.runfile.sections import MAX_SITES, Stop

# Peak memory of a process while a box is set up and its first frame written, measured from 2 to 8
# million sites; the event loop itself needs about 14 of them.
BYTES_PER_SITE = 90
MAX_SAMPLES = 10**7  # 5 GB
MAX_FRAMES = 10**6  # each a chunk with a checksum in the record, which may be 16 MB
MAX_SITES_IN_FRAMES = 10**13  # a byte each before they are packed


# The values with which superbasins are implemented: a lone vacancy in pure Li, a given current.
_OF_SUPERBASINS = (
    ("system", "lattice", "bcc_100"),
    ("system", "boundary", "interface"),
    ("system", "mg_fraction", 0.0),
    ("system", "mg_coverage_L1", None),
    ("conditions", "stack_pressure_MPa", 0.0),
    ("conditions", "overpotential_V", None),
    ("conditions", "exchange", False),
)
WITH_STEPS = (  # the values beside [[protocol]], whose steps have their own
    ("conditions", "overpotential_V", None),
    ("conditions", "exchange", False),
    ("acceleration", "superbasins", False),
    ("system", "boundary", "interface"),
)
_ENDS = ("capacity_monolayers", "capacity_mAh_cm2", "time_s")
_CERTAIN = ("events", "time_s", "wall_time_s")  # stops that come without a current, too
SINKS = ("electrode_thickness_um", "sink_length_um", "sink_depth_um")
_RATIO = "{acceleration.max_hops_per_strip_per_site}"
_CURRENT = "{conditions.current_density_mA_cm2}"
Wanted = Sequence[tuple[str, str, Any]]


def _idle(run: RunFile) -> bool:
    """Whether nothing can happen without a current."""
    # Vacancies come from a reservoir or another sink at a finite distance, or were there.
    sinks = (getattr(run.conditions, key) for key in SINKS)
    closed = run.system.boundary == "periodic" or math.isinf(min(sinks))
    return closed and not run.system.vacancy_fraction and not run.interface.has_flaws


def differs(section: str, key: str, value: Any, run: RunFile) -> bool:
    return getattr(getattr(run, section), key) != value


def _exchanges_alone(run: RunFile) -> bool:
    # Exchange beyond the net current goes with a given current, and with it alone.
    return run.conditions.exchange and not run.conditions.current_density_mA_cm2 > 0


# What a run at a current below 0 needs: an interface, and an end by charge or time.
PLATING = (
    Rule(
        lambda run: run.system.boundary == "periodic",
        f"{_CURRENT} plates, which needs an interface",
        "Give 0.",
    ),
    Rule(
        lambda run: run.conditions.overpotential_V is not None,
        f"{_CURRENT} and {{conditions.overpotential_V}} exclude each other",
        "Remove one of them.",
    ),
    Rule(
        lambda run: all(getattr(run.stop, key) is None for key in _ENDS),
        f"{_CURRENT} plates, and may never end",
        f"Give [stop] one of {', '.join(_ENDS)}.",
    ),
)
_ALWAYS = (
    Rule(
        lambda run: (
            run.conditions.overpotential_V is not None
            and run.conditions.current_is_given
            and not run.has_protocol
        ),
        f"{{conditions.overpotential_V}} and {_CURRENT} exclude each other",
        "Keep one: --set conditions.current_density_mA_cm2=none removes the current, "
        "--set conditions.overpotential_V=none the voltage.",
    ),
    Rule(
        lambda run: (
            run.conditions.plate_on_void_surfaces
            and not any(planned.step.do == PLATE for planned in run.protocol.plan)
        ),
        "{conditions.plate_on_void_surfaces} needs a step that plates at a given current",
        "Add one to [[protocol]], or remove the key; a held voltage plates at the interface alone.",
    ),
    Rule(
        lambda run: not run.has_protocol and run.protocol.current_density_mA_cm2 is not None,
        "{protocol.current_density_mA_cm2} is the current of the steps of [[protocol]], and the "
        "run has none",
        "Give conditions.current_density_mA_cm2.",
    ),
    Rule(
        lambda run: _exchanges_alone(run) and run.conditions.overpotential_V is not None,
        "{conditions.exchange} goes with a given current; a held voltage strips and plates anyway",
        "Remove it (--set conditions.exchange=false).",
    ),
    Rule(
        lambda run: _exchanges_alone(run) and run.conditions.overpotential_V is None,
        "{conditions.exchange} needs a current above 0",
        "Set current_density_mA_cm2 above 0, or exchange = false.",
    ),
)
_IN_EQUILIBRIUM = (
    Rule(
        lambda run: run.system.boundary == "periodic",
        f"{_RATIO} needs an interface: without one there is nothing but equilibrium",
        'Set boundary = "interface", or give a ratio.',
    ),
    Rule(
        lambda run: run.acceleration.superbasins,
        f"{_RATIO} follows no hops, and {{acceleration.superbasins}} draws those of a vacancy",
        "Remove one of them.",
    ),
    Rule(
        lambda run: run.conditions.exchange,
        f"{_RATIO} holds all that {{conditions.exchange}} would exchange between two strips",
        "Remove conditions.exchange (--set conditions.exchange=false).",
    ),
    Rule(
        lambda run: run.acceleration.lateral_supersaturation is not None,
        f"{_RATIO} slows nothing, and {{acceleration.lateral_supersaturation}} says how far",
        "Remove acceleration.lateral_supersaturation.",
    ),
)
_WITHOUT_CURRENT = (
    Rule(
        lambda run: run.acceleration.max_hops_per_strip_per_site not in (None, math.inf),
        "{acceleration.max_hops_per_strip_per_site} needs a current above 0",
        "There is no strip rate without a current. Use slow_down_by or saddle_floor_eV, or "
        "remove the key (--set acceleration.max_hops_per_strip_per_site=none).",
    ),
    *(
        Rule(
            partial(differs, "output", f"{what}_every_monolayers", None),
            f"{{output.{what}_every_monolayers}} needs a current above 0",
            f"No charge passes. Use {what}_every_events or {what}_every_s, or remove the key "
            f"(--set output.{what}_every_monolayers=none).",
        )
        for what in ("sample", "frame")
    ),
    Rule(
        _idle,
        "nothing can happen in the run of {source}: no current, no reservoir and "
        "vacancy_fraction = 0",
        "Set vacancy_fraction in [system] above 0, or give [interface] a void.",
    ),
)
_REST = (
    Rule(
        lambda run: given_keys(run.rest) and not run.rest.wanted,
        "{rest} without a rest",
        "Give rest.time_s or rest.events.",
    ),
    Rule(
        lambda run: run.rest.wanted and not run.has_current,
        "{rest} needs a current above 0 to rest from",
        "Without a current the whole run is a rest: use [stop], and remove [rest].",
    ),
)
_OF_AN_INTERFACE = tuple(  # what only an interface has, with the value at which it does nothing
    Rule(
        partial(differs, section, key, idle),
        f'{{{section}.{key}}} needs an interface, and boundary is "periodic": there is no '
        "electrolyte below and no metal above the box",
        f'{f"Set {key} = 0" if idle == 0 else f"Remove {key}"}, or set boundary = "interface".',
    )
    for section, key, idle in (
        ("conditions", "stack_pressure_MPa", 0.0),
        ("conditions", "sink_length_um", math.inf),
        ("conditions", "sink_depth_um", math.inf),
        ("conditions", "current_density_mA_cm2", 0.0),
        ("conditions", "overpotential_V", None),
        ("stop", "contact_fraction", None),
        ("system", "mg_coverage_L1", None),
    )
)
_STOPS = (
    Rule(
        lambda run: not given_keys(run.stop),
        "section [stop] of {source} is missing or empty: the run would never end",
        f"Give at least one of {', '.join(Stop.model_fields)}.",
    ),
    Rule(
        lambda run: (
            given_keys(run.stop)
            and not run.has_current
            and not set(given_keys(run.stop)) & set(_CERTAIN)
        ),
        "the run of {source} may never end: no current flows, and [stop] has only {stops}",
        f"Add one of {', '.join(_CERTAIN)}.",
    ),
)


def cross_checks(run: RunFile, origin: Origin) -> list[Problem]:
    """Problems of a run whose single values are all valid."""
    rules = [
        *(_OF_AN_INTERFACE if run.system.boundary == "periodic" else ()),
        *_ALWAYS,
        *_REST,
        *(_IN_EQUILIBRIUM if run.acceleration.max_hops_per_strip_per_site == math.inf else ()),
        *(() if run.has_current else _WITHOUT_CURRENT),
        *(() if run.has_protocol else _STOPS),
    ]
    problems = [
        *_exclusive(run, origin),
        *broken(rules, run, origin, stops=", ".join(given_keys(run.stop))),
    ]
    if run.acceleration.superbasins:
        # They are implemented for a lone vacancy in pure Li under a given current only.
        found = differing(run, origin, _OF_SUPERBASINS)
        if not run.has_current:
            found.append(origin.of(run, "conditions.current_density_mA_cm2"))
        if run.interface.chemistry:
            found.append(origin.shown("interface", "chemistry", "several"))
        if found:
            stated = origin.of(run, "acceleration.superbasins")
            text = f"{stated} cannot be combined with {', '.join(found)}"
            advice = (
                "Superbasins need pure Li on bcc_100 at an interface, a given current, and neither "
                "pressure nor exchange. Remove it (--set acceleration.superbasins=false)."
            )
            problems.append(Problem(text, advice))
    problems += interface_keys(run, origin)
    if problems:
        return problems
    # Files are read for a run whose keys agree alone: one mistake gives one message.
    lattice = _lattice(run, origin)
    # How many frames fit on a disk follows from the number of sites: the box comes first.
    problems = [*(lattice or _records(run, origin)), *_composition(run, origin)]
    return problems or interface_geometry(run, origin)


def differing(run: RunFile, origin: Origin, wanted: Wanted) -> list[str]:
    """The keys of a table of section, key and value that have another value, as given."""
    return [
        origin.of(run, f"{section}.{key}")
        for section, key, value in wanted
        if differs(section, key, value, run)
    ]


def steps_instead(
    run: RunFile, origin: Origin, wanted: Wanted = (("conditions", "overpotential_V", None),)
) -> list[Problem]:
    """What a run with [[protocol]] must leave to its steps; beside those keys a table of values."""
    given = [f"rest.{key}" for key in given_keys(run.rest)]
    given += [f"stop.{k}" for k in given_keys(run.stop) if k not in ("events", "wall_time_s")]
    if run.conditions.current_is_given:
        given.append("conditions.current_density_mA_cm2")
    if "capacity_mAh_cm2" in run.upscale.model_fields_set:
        given.append("upscale.capacity_mAh_cm2")
    found = [origin.of(run, key) for key in given] + differing(run, origin, wanted)
    if not found:
        return []
    text = f"{', '.join(found)} cannot be combined with [[protocol]]"
    return [Problem(text, "Steps have their own current or voltage and their own end.")]


def _exclusive(run: RunFile, origin: Origin) -> list[Problem]:
    """Keys that exclude each other."""
    groups = [
        ("acceleration", ("max_hops_per_strip_per_site", "saddle_floor_eV", "slow_down_by")),
        ("output", ("sample_every_",)),
        ("output", ("frame_every_",)),
    ]
    problems = []
    for section, prefixes in groups:
        given = given_keys(getattr(run, section), prefixes)
        units = [key.split("_", 2)[2] for key in given]
        if run.has_protocol and run.holds and units == ["monolayers", "s"]:
            continue  # each for its steps
        if len(given) > 1:
            listed = " and ".join(f"{key} ({origin.where(section, key)})" for key in given)
            in_file = [key for key in given if f"{section}.{key}" not in origin.overrides]
            advice = "Keep one of them"
            if len(in_file) < len(given):
                advice += f": --set {section}.{(in_file or given)[0]}=none removes that of the file"
            problems.append(Problem(f"{listed} exclude each other", f"{advice}."))
    return problems


def _lattice(run: RunFile, origin: Origin) -> list[Problem]:
    system = run.system
    try:
        cell = load_unit_cell(system.lattice)
    except InputError as error:
        return [Problem(f"{origin.of(run, 'system.lattice')}: {error.message}", error.advice or "")]
    nx, ny, layers = system.size
    # bcc_110 has two sites of a layer in a cell, bcc_100 one.
    sites = nx * ny * layers * cell.sites_per_layer_cell
    memory, machine = sites * BYTES_PER_SITE, machine_bytes()
    text = f"{origin.of(run, 'system.size')} is {sites} sites, about {_bytes(memory)} of memory"
    if sites > MAX_SITES:
        largest = _bytes(MAX_SITES * BYTES_PER_SITE)
        advice = f"At most {MAX_SITES} sites ({largest}) can be numbered; 1000000 are a large run."
        return [Problem(text, advice)]
    # Before the box is made: a process that swaps or is killed says less than a message.
    if machine is not None and memory > machine:
        text += f", and this machine has {_bytes(machine)}"
        advice = f"About {machine // BYTES_PER_SITE} sites fit here; 1000000 are a large run."
        return [Problem(text, advice)]
    # Below half a vacancy the number that is drawn rounds to none, and the run would be idle.
    vacancies = system.vacancy_fraction * sites
    if 0 < vacancies < 0.5:
        shown = origin.of(run, "system.vacancy_fraction")
        advice = f"Use {1 / sites:.2g} or more."
        return [Problem(f"{shown} leaves no vacancy among {sites} sites", advice)]
    try:
        Lattice(system.lattice, (nx, ny), layers, system.boundary, 1.0)
    except InputError as error:
        return [Problem(f"{error.message} ({origin.where('system', 'size')})", error.advice or "")]
    return []


def machine_bytes() -> int | None:
    """Memory of this machine; None where the system does not report it."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def _records(run: RunFile, origin: Origin) -> list[Problem]:
    """Whether the samples and frames up to the stop fit on a disk.

    Checked where cadence and stop have the same unit and there is no limit of wall time.
    """
    stop, problems = run.stop, []
    # With a limit on the clock a run may end long before its other stops.
    if stop.wall_time_s is not None:
        return []
    ends = {"monolayers": stop.capacity_monolayers, "events": stop.events, "s": stop.time_s}
    sites = math.prod(run.system.size) * load_unit_cell(run.system.lattice).sites_per_layer_cell
    for what, most in (
        ("sample", MAX_SAMPLES),
        ("frame", min(MAX_FRAMES, MAX_SITES_IN_FRAMES // sites)),
    ):
        for unit, end in ends.items():
            key = f"{what}_every_{unit}"
            every = getattr(run.output, key)
            if every is None or end is None or end / most <= every:
                continue
            least = toml_value(float(f"{end / most:.1g}"))
            text = (
                f"{origin.of(run, f'output.{key}')} makes {end / every:.1e} {what}s until the run "
                f"stops at {toml_value(end)}, and a file should not hold more than {most}"
            )
            problems.append(Problem(text, f"Use {least} or more."))
    return problems


def _bytes(count: int) -> str:
    return f"{count / 1e9:.0f} GB" if count < 10**15 else f"{count / 1e9:.1e} GB"


def _composition(run: RunFile, origin: Origin) -> list[Problem]:
    system = run.system
    parameters = load_named(run, origin, "system", "params", system.params)
    if isinstance(parameters, Problem):
        return [parameters]
    if "Mg" not in parameters.species:
        sets = [f'"{n}"' for n in catalogue.names("params") if "Mg" in load_parameters(n).species]
        advice = (
            f"Use a set with Mg: params = {' or '.join(sets) or 'the path of a parameter file'}."
        )
        given = {key: getattr(system, key) for key in ("mg_fraction", "mg_coverage_L1")}
        given["mg_supply"] = system.mg_supply != "metal"
        return [
            Problem(
                f"{origin.of(run, f'system.{key}')}, but parameter set {parameters.name!r} has no "
                "Mg",
                advice,
            )
            for key, value in given.items()
            if value
        ]
    if system.mg_coverage_L1 == "equilibrium" and not system.mg_fraction:
        shown = origin.of(run, "system.mg_coverage_L1")
        return [Problem(f"{shown} needs Mg in the bulk", "Set mg_fraction above 0.")]
    return []


def load_named(
    run: RunFile, origin: Origin, section: str, key: str, name: str
) -> ParameterSet | Problem:
    """The set that a key names, that of [system] with the run's [parameters]; or what is wrong."""
    try:
        path = catalogue.locate("params", name)
    except InputError as error:
        return Problem(f"{origin.shown(section, key, name)}: {error.message}", error.advice or "")
    # With the run's own values, so that a misspelt key is named with its place in the run file.
    return load_parameters(
        path,
        run.parameters if section == "system" else None,
        where=lambda key: origin.where("parameters", key),
        shown=lambda key, value: origin.shown("parameters", key, value),
    )


def load_all(
    run: RunFile, origin: Origin, needs: Mapping[str, Sequence[str]], noun: str, such_as: str
) -> dict[str, ParameterSet] | Problem:
    """The sets that some keys name, each with the quantities that it needs; or what is wrong."""
    found = {}
    for place, needed in needs.items():
        section, key = place.split(".")
        # An optional key that names no set needs nothing.
        if (name := getattr(getattr(run, section), key)) is None:
            continue
        parameters = load_named(run, origin, section, key, name)
        if isinstance(parameters, Problem):
            return parameters
        if missing := [quantity for quantity in needed if not parameters.has(quantity)]:
            stated = origin.shown(section, key, name)
            return Problem(f"{stated}: {noun} needs {', '.join(missing)}", f"Use a set {such_as}.")
        found[place] = parameters
    return found
