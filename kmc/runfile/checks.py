"""Checks of a run that involve several values, or a lattice or parameter file."""

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from kmc.common import catalogue
from kmc.common.validation import Problem, toml_value
from kmc.errors import InputError
from kmc.model.lattice import Lattice, load_unit_cell
from kmc.model.parameters import ParameterSet, load_parameters
from kmc.runfile.interface_checks import interface_geometry, interface_keys
from kmc.runfile.protocol import PLATE
from kmc.runfile.run_file import Origin, RunFile, given_keys
from kmc.runfile.sections import MAX_SITES, Stop

# Peak memory of a process while a box is set up and its first frame written, measured from 2 to 8
# million sites; the event loop itself needs about 14 of them.
BYTES_PER_SITE = 90
MAX_SAMPLES = 10**7  # 5 GB
MAX_FRAMES = 10**6  # each a chunk with a checksum in the record, which may be 16 MB
MAX_SITES_IN_FRAMES = 10**13  # a byte each before they are packed

CURRENT, VOLTAGE = "conditions.current_density_mA_cm2", "conditions.overpotential_V"
RATIO = "acceleration.max_hops_per_strip_per_site"
# The values with which superbasins are implemented: a lone vacancy in pure Li, a given current.
_OF_SUPERBASINS = {
    "system.lattice": "bcc_100",
    "system.boundary": "interface",
    "system.mg_fraction": 0.0,
    "system.mg_coverage_L1": None,
    "conditions.stack_pressure_MPa": 0.0,
    VOLTAGE: None,
    "conditions.exchange": False,
}
_IN_EQUILIBRIUM = {  # the values beside the ratio inf
    "system.boundary": "interface",
    "acceleration.superbasins": False,
    "acceleration.lateral_supersaturation": None,
    "conditions.exchange": False,
}
WITH_STEPS = {  # the values beside [[protocol]], whose steps have their own
    VOLTAGE: None,
    "conditions.exchange": False,
    "acceleration.superbasins": False,
    "system.boundary": "interface",
}
_OF_AN_INTERFACE = {  # what only an interface has, with the value at which it does nothing
    "conditions.stack_pressure_MPa": 0.0,
    "conditions.sink_length_um": math.inf,
    "conditions.sink_depth_um": math.inf,
    CURRENT: 0.0,
    VOLTAGE: None,
    "stop.contact_fraction": None,
    "system.mg_coverage_L1": None,
}
_EXCLUSIVE = (  # section, and beginnings of the keys of which it can have one
    ("acceleration", ("max_hops_per_strip_per_site", "saddle_floor_eV", "slow_down_by")),
    ("output", ("sample_every_",)),
    ("output", ("frame_every_",)),
)
_ENDS = ("capacity_monolayers", "capacity_mAh_cm2", "time_s")
_CERTAIN = ("events", "time_s", "wall_time_s")  # stops that come without a current, too
SINKS = ("electrode_thickness_um", "sink_length_um", "sink_depth_um")


def value_of(run: RunFile, place: str) -> Any:
    """The value of a key of a run, ``"section.key"``."""
    section, key = place.split(".")
    return getattr(getattr(run, section), key)


def differing(run: RunFile, wanted: Mapping[str, Any]) -> list[str]:
    """The keys, ``"section.key"``, that have another value than the one wanted."""
    return [place for place, value in wanted.items() if value_of(run, place) != value]


def cross_checks(run: RunFile, origin: Origin) -> list[Problem]:
    """Problems of a run whose single values are all valid."""
    problems = [
        *_exclusive(run, origin),
        *_needs_an_interface(run, origin),
        *_drive(run, origin),
        *_equilibrium(run, origin),
        *_without_current(run, origin),
        *_stops(run, origin),
        *_superbasins(run, origin),
        *interface_keys(run, origin),
    ]
    if problems:
        return problems
    # Files are read for a run whose keys agree alone: one mistake gives one message.
    lattice = _lattice(run, origin)
    # How many frames fit on a disk follows from the number of sites: the box comes first.
    problems = [*(lattice or _records(run, origin)), *_composition(run, origin)]
    return problems or interface_geometry(run, origin)


def plating(run: RunFile, origin: Origin) -> Iterator[Problem]:
    """What a run at a current below 0 needs: an interface, and an end by charge or time."""
    plates = f"{origin.of(run, CURRENT)} plates"
    if run.system.boundary == "periodic":
        yield Problem(f"{plates}, which needs an interface", "Give 0.")
    if run.conditions.overpotential_V is not None:
        stated = f"{origin.of(run, CURRENT)} and {origin.of(run, VOLTAGE)}"
        yield Problem(f"{stated} exclude each other", "Remove one of them.")
    if all(getattr(run.stop, key) is None for key in _ENDS):
        yield Problem(f"{plates}, and may never end", f"Give [stop] one of {', '.join(_ENDS)}.")


def _needs_an_interface(run: RunFile, origin: Origin) -> Iterator[Problem]:
    for place in differing(run, _OF_AN_INTERFACE) if run.system.boundary == "periodic" else ():
        key = place.partition(".")[2]
        remedy = f"Set {key} = 0" if _OF_AN_INTERFACE[place] == 0 else f"Remove {key}"
        yield Problem(
            f'{origin.of(run, place)} needs an interface, and boundary is "periodic": there is no '
            "electrolyte below and no metal above the box",
            f'{remedy}, or set boundary = "interface".',
        )


def _drive(run: RunFile, origin: Origin) -> Iterator[Problem]:
    """Current, voltage, exchange and rest, each with what it needs or excludes."""
    of, c = partial(origin.of, run), run.conditions
    held = c.overpotential_V is not None
    if held and c.current_is_given and not run.has_protocol:
        yield Problem(
            f"{of(VOLTAGE)} and {of(CURRENT)} exclude each other",
            "Keep one: --set conditions.current_density_mA_cm2=none removes the current, "
            "--set conditions.overpotential_V=none the voltage.",
        )
    plates = any(planned.step.do == PLATE for planned in run.protocol.plan)
    if c.plate_on_void_surfaces and not plates:
        yield Problem(
            f"{of('conditions.plate_on_void_surfaces')} needs a step that plates at a given "
            "current",
            "Add one to [[protocol]], or remove the key; a held voltage plates at the interface "
            "alone.",
        )
    if not run.has_protocol and run.protocol.current_density_mA_cm2 is not None:
        yield Problem(
            f"{of('protocol.current_density_mA_cm2')} is the current of the steps of [[protocol]], "
            "and the run has none",
            "Give conditions.current_density_mA_cm2.",
        )
    if c.exchange and not c.current_density_mA_cm2 > 0:
        # Exchange beyond the net current goes with a given current, and with it alone.
        text, advice = "needs a current above 0", "Set current_density_mA_cm2 above 0, or "
        advice += "exchange = false."
        if held:
            text = "goes with a given current; a held voltage strips and plates anyway"
            advice = "Remove it (--set conditions.exchange=false)."
        yield Problem(f"{of('conditions.exchange')} {text}", advice)
    if keys := given_keys(run.rest):
        stated = of(f"rest.{keys[0]}")
        if not run.rest.wanted:
            yield Problem(f"{stated} without a rest", "Give rest.time_s or rest.events.")
        elif not run.has_current:
            yield Problem(
                f"{stated} needs a current above 0 to rest from",
                "Without a current the whole run is a rest: use [stop], and remove [rest].",
            )


def _excluded(
    run: RunFile, origin: Origin, what: str, places: Sequence[str], advice: str, more: str = ""
) -> list[Problem]:
    """What cannot stand beside a setting: the keys of some places, and what is stated as `more`."""
    stated = [*(origin.of(run, place) for place in places), *([more] if more else [])]
    text = f"{what} cannot be combined with {', '.join(stated)}"
    return [Problem(text, advice)] if stated else []


def _equilibrium(run: RunFile, origin: Origin) -> list[Problem]:
    if run.acceleration.max_hops_per_strip_per_site != math.inf:
        return []
    return _excluded(
        run,
        origin,
        origin.of(run, RATIO),
        differing(run, _IN_EQUILIBRIUM),
        "Remove these keys: between strips at an interface all is in equilibrium then, what sites "
        "exchange too, and no hops are followed that could be slowed or drawn in one step.",
    )


def _without_current(run: RunFile, origin: Origin) -> Iterator[Problem]:
    """What has no meaning without a current, and whether anything can happen then."""
    if run.has_current:
        return
    if run.acceleration.max_hops_per_strip_per_site not in (None, math.inf):
        yield Problem(
            f"{origin.of(run, RATIO)} needs a current above 0",
            "There is no strip rate without a current. Use slow_down_by or saddle_floor_eV, or "
            f"remove the key (--set {RATIO}=none).",
        )
    for what in ("sample", "frame"):
        place = f"output.{what}_every_monolayers"
        if value_of(run, place) is not None:
            yield Problem(
                f"{origin.of(run, place)} needs a current above 0",
                f"No charge passes. Use {what}_every_events or {what}_every_s, or remove the key "
                f"(--set {place}=none).",
            )
    # Vacancies come from a reservoir or another sink at a finite distance, or were there.
    sinks = (getattr(run.conditions, key) for key in SINKS)
    closed = run.system.boundary == "periodic" or math.isinf(min(sinks))
    if closed and not run.system.vacancy_fraction and not run.interface.has_flaws:
        yield Problem(
            f"nothing can happen in the run of {origin.source}: no current, no reservoir and "
            "vacancy_fraction = 0",
            "Set vacancy_fraction in [system] above 0, or give [interface] a void.",
        )


def _stops(run: RunFile, origin: Origin) -> Iterator[Problem]:
    if run.has_protocol:
        return
    stops = given_keys(run.stop)
    if not stops:
        yield Problem(
            f"section [stop] of {origin.source} is missing or empty: the run would never end",
            f"Give at least one of {', '.join(Stop.model_fields)}.",
        )
    elif not run.has_current and not set(stops) & set(_CERTAIN):
        yield Problem(
            f"the run of {origin.source} may never end: no current flows, and [stop] has only "
            f"{', '.join(stops)}",
            f"Add one of {', '.join(_CERTAIN)}.",
        )


def _superbasins(run: RunFile, origin: Origin) -> list[Problem]:
    # They are implemented for a lone vacancy in pure Li under a given current only.
    if not run.acceleration.superbasins:
        return []
    return _excluded(
        run,
        origin,
        origin.of(run, "acceleration.superbasins"),
        differing(run, _OF_SUPERBASINS) + [CURRENT] * (not run.has_current),
        "Superbasins need pure Li on bcc_100 at an interface, a given current, and neither "
        "pressure nor exchange. Remove it (--set acceleration.superbasins=false).",
        origin.shown("interface", "chemistry", "several") if run.interface.chemistry else "",
    )


def steps_instead(
    run: RunFile, origin: Origin, wanted: Mapping[str, Any] = {VOLTAGE: None}
) -> list[Problem]:
    """What a run with [[protocol]] must leave to its steps; beside those keys a table of values."""
    places = [f"rest.{key}" for key in given_keys(run.rest)]
    places += [f"stop.{k}" for k in given_keys(run.stop) if k not in ("events", "wall_time_s")]
    places += [CURRENT] * run.conditions.current_is_given
    if "capacity_mAh_cm2" in run.upscale.model_fields_set:
        places.append("upscale.capacity_mAh_cm2")
    places += differing(run, wanted)
    advice = "Remove these keys: steps have their own current or voltage and their own end."
    return _excluded(run, origin, f"[[protocol]] of {origin.source}", places, advice)


def _exclusive(run: RunFile, origin: Origin) -> Iterator[Problem]:
    """Keys that exclude each other."""
    for section, prefixes in _EXCLUSIVE:
        keys = given_keys(getattr(run, section), prefixes)
        units = [key.split("_", 2)[2] for key in keys]
        if run.has_protocol and run.holds and units == ["monolayers", "s"]:
            continue  # each for its steps
        if len(keys) > 1:
            stated = " and ".join(f"{key} ({origin.where(section, key)})" for key in keys)
            in_file = [key for key in keys if f"{section}.{key}" not in origin.overrides]
            advice = "Keep one of them"
            if len(in_file) < len(keys):
                advice += f": --set {section}.{(in_file or keys)[0]}=none removes that of the file"
            yield Problem(f"{stated} exclude each other", f"{advice}.")


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
        of_mg = {key: getattr(system, key) for key in ("mg_fraction", "mg_coverage_L1")}
        of_mg["mg_supply"] = system.mg_supply != "metal"
        if not (wrong := [key for key, value in of_mg.items() if value]):
            return []  # before sets are read for advice: a sweep checks hundreds of runs
        sets = [f'"{n}"' for n in catalogue.names("params") if "Mg" in load_parameters(n).species]
        advice = (
            f"Use a set with Mg: params = {' or '.join(sets) or 'the path of a parameter file'}."
        )
        text = f"but parameter set {parameters.name!r} has no Mg"
        return [Problem(f"{origin.of(run, f'system.{key}')}, {text}", advice) for key in wrong]
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
    sets = {}
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
        sets[place] = parameters
    return sets
