"""Checks of a run that involve several values, or a lattice or parameter file."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Sequence
from typing import Any

from kmc.common import catalogue
from kmc.common.validation import Problem, toml_value
from kmc.errors import InputError, KmcWarning
from kmc.model.lattice import Lattice, load_unit_cell
from kmc.model.parameters import ParameterSet, load_parameters
from kmc.runfile.interface_checks import interface_geometry, interface_keys
from kmc.runfile.protocol import PLATE
from kmc.runfile.run_file import Origin, RunFile, given_keys
from kmc.runfile.sections import MAX_SITES, Stop

# Peak memory of a process while a box is set up and its first frame written, measured from 2 to 8
# million sites; the event loop itself needs about 14 of them.
BYTES_PER_SITE = 90
CELSIUS_K = 273.15  # 0 °C
_COLD_K = 150.0  # colder than any cell, and warmer than any cell in °C
MOST_SAMPLES = 10**8  # 15 GB
MOST_FRAMES = 10**7
MOST_SITES_IN_FRAMES = 10**13  # a byte each before they are packed


# Section, key and the value at which it does nothing, of what only an interface has.
_OF_AN_INTERFACE = (
    ("conditions", "stack_pressure_MPa", 0.0),
    ("conditions", "sink_length_um", math.inf),
    ("conditions", "sink_depth_um", math.inf),
    ("conditions", "current_density_mA_cm2", 0.0),
    ("conditions", "overpotential_V", None),
    ("stop", "contact_fraction", None),
    ("system", "mg_coverage_L1", None),
)
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
_WITH_STEPS = (  # the values beside [[protocol]], whose steps have their own
    ("conditions", "overpotential_V", None),
    ("conditions", "exchange", False),
    ("acceleration", "superbasins", False),
    ("system", "boundary", "interface"),
)
Wanted = Sequence[tuple[str, str, Any]]


def cross_checks(run: RunFile, origin: Origin) -> list[Problem]:
    """Problems of a run whose single values are all valid."""
    flows = run.has_current
    problems = [
        *_exclusive(run, origin),
        *_needs_interface(run, origin),
        *_voltage(run, origin),
        *_void_surfaces(run, origin),
        *_without_protocol(run, origin),
        *_charge_exchange(run, origin),
        *([] if flows else _without_current(run, origin)),
        *_stops(run, origin, flows),
        *_rest(run, origin, flows),
        *_superbasins(run, origin, flows),
        *interface_keys(run, origin),
    ]
    if problems:
        return problems
    lattice = _lattice(run, origin)
    problems = [*(lattice or _records(run, origin)), *_composition(run, origin)]
    return problems or interface_geometry(run, origin)


def differing(run: RunFile, origin: Origin, wanted: Wanted) -> list[str]:
    """The keys of a table of section, key and value that have another value, as given."""
    values = [(section, key, getattr(getattr(run, section), key)) for section, key, _ in wanted]
    return [
        origin.shown(*given)
        for given, (_, _, value) in zip(values, wanted, strict=True)
        if given[2] != value
    ]


def _needs_interface(run: RunFile, origin: Origin) -> list[Problem]:
    if run.system.boundary != "periodic":
        return []
    problems = []
    for section, key, idle in _OF_AN_INTERFACE:
        for shown in differing(run, origin, [(section, key, idle)]):
            advice = f"Set {key} = 0" if idle == 0 else f"Remove {key}"
            problems.append(
                Problem(
                    f'{shown} needs an interface, and boundary is "periodic": there is no '
                    "electrolyte below and no metal above the box",
                    f'{advice}, or set boundary = "interface".',
                )
            )
    return problems


def warn_of_celsius(run: RunFile, origin: Origin) -> None:
    """Warn of a temperature in K that looks like one in °C."""
    kelvin = run.conditions.temperature_K
    given = [(kelvin, origin.shown("conditions", "temperature_K", kelvin))]
    given += [
        (step.temperature_K, f"temperature_K = {step.temperature_K:g} in step {n} of [[protocol]]")
        for n, _, step in run.protocol.plan
        if step.temperature_K is not None
    ]
    for kelvin, shown in given:
        if kelvin >= _COLD_K:
            continue
        warnings.warn(
            f"{shown} is {kelvin - CELSIUS_K:g} °C. Did you mean {kelvin:g} °C? That is "
            f"temperature_K = {kelvin + CELSIUS_K:g}",
            KmcWarning,
            stacklevel=2,
        )


def plating_checks(run: RunFile, origin: Origin) -> list[Problem]:
    """What a run at a current below 0 needs: an interface, and an end by charge or time."""
    current = run.conditions.current_density_mA_cm2
    shown = origin.shown("conditions", "current_density_mA_cm2", current)
    problems = []
    if run.system.boundary == "periodic":
        problems.append(Problem(f"{shown} plates, which needs an interface", "Give 0."))
    if run.conditions.overpotential_V is not None:
        volts = origin.shown("conditions", "overpotential_V", run.conditions.overpotential_V)
        problems.append(Problem(f"{shown} and {volts} exclude each other", "Remove one of them."))
    ends = ("capacity_monolayers", "capacity_mAh_cm2", "time_s")
    if all(getattr(run.stop, key) is None for key in ends):
        problems.append(
            Problem(f"{shown} plates, and may never end", f"Give [stop] one of {', '.join(ends)}.")
        )
    return problems


def _without_protocol(run: RunFile, origin: Origin) -> list[Problem]:
    current = run.protocol.current_density_mA_cm2
    if run.has_protocol or current is None:
        return []
    shown = origin.shown("protocol", "current_density_mA_cm2", current)
    return [
        Problem(
            f"{shown} is the current of the steps of [[protocol]], and the run has none",
            "Give conditions.current_density_mA_cm2.",
        )
    ]


def protocol_checks(run: RunFile, origin: Origin) -> list[Problem]:
    """What a run with [[protocol]] must leave to its steps."""
    given = [("rest", key) for key in given_keys(run.rest)]
    given += [("stop", k) for k in given_keys(run.stop) if k not in ("events", "wall_time_s")]
    if run.conditions.current_is_given:
        given.append(("conditions", "current_density_mA_cm2"))
    found = [origin.shown(a, key, getattr(getattr(run, a), key)) for a, key in given]
    found += differing(run, origin, _WITH_STEPS)
    if not found:
        return []
    return [
        Problem(
            f"{', '.join(found)} cannot be combined with [[protocol]]",
            "Steps have their own current or voltage and their own end, on an interface; [stop] "
            "may have events and wall_time_s.",
        ),
    ]


def _void_surfaces(run: RunFile, origin: Origin) -> list[Problem]:
    """Plating on voids needs a step that plates at a given current."""
    plates = any(planned.step.do == PLATE for planned in run.protocol.plan)
    if not run.conditions.plate_on_void_surfaces or plates:
        return []
    return [
        Problem(
            f"{origin.shown('conditions', 'plate_on_void_surfaces', True)} needs a step that "
            "plates at a given current",
            "Add one to [[protocol]], or remove the key; a held voltage plates at the interface "
            "alone.",
        )
    ]


def _voltage(run: RunFile, origin: Origin) -> list[Problem]:
    """A voltage excludes a current."""
    voltage = run.conditions.overpotential_V
    if voltage is None or run.has_protocol:
        return []
    shown = origin.shown("conditions", "overpotential_V", voltage)
    if run.conditions.current_is_given:
        current = run.conditions.current_density_mA_cm2
        other = origin.shown("conditions", "current_density_mA_cm2", current)
        return [
            Problem(
                f"{shown} and {other} exclude each other",
                "Keep one: --set conditions.current_density_mA_cm2=none removes the current, "
                "--set conditions.overpotential_V=none the voltage.",
            )
        ]
    return []


def _charge_exchange(run: RunFile, origin: Origin) -> list[Problem]:
    """Exchange beyond the net current goes with a given current, and with it alone."""
    conditions = run.conditions
    if not conditions.exchange or conditions.current_density_mA_cm2 > 0:
        return []
    shown = origin.shown("conditions", "exchange", True)
    if conditions.overpotential_V is not None:
        return [
            Problem(
                f"{shown} goes with a given current; a held voltage strips and plates anyway",
                "Remove it (--set conditions.exchange=false).",
            )
        ]
    advice = "Set current_density_mA_cm2 above 0, or exchange = false."
    return [Problem(f"{shown} needs a current above 0", advice)]


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
            advice = "Keep one of them."
            if len(in_file) < len(given):
                advice = _drop(section, (in_file or given)[0])
            problems.append(Problem(f"{listed} exclude each other", advice))
    return problems


def _drop(section: str, key: str) -> str:
    return f"Keep one of them: --set {section}.{key}=none removes that of the file."


def _without_current(run: RunFile, origin: Origin) -> list[Problem]:
    """Settings that need a current, in a run without one."""
    problems = []
    ratio = run.acceleration.max_hops_per_strip_per_site
    if ratio is not None:
        shown = origin.shown("acceleration", "max_hops_per_strip_per_site", ratio)
        advice = (
            "There is no strip rate without a current. Use slow_down_by or saddle_floor_eV, or "
            "remove the key (--set acceleration.max_hops_per_strip_per_site=none)."
        )
        problems.append(Problem(f"{shown} needs a current above 0", advice))
    for what in ("sample", "frame"):
        key = f"{what}_every_monolayers"
        value = getattr(run.output, key)
        if value is not None:
            advice = (
                f"No charge passes. Use {what}_every_events or {what}_every_s, or remove the key "
                f"(--set output.{key}=none)."
            )
            shown = f"{origin.shown('output', key, value)} needs a current above 0"
            problems.append(Problem(shown, advice))
    conditions = run.conditions
    sinks = (conditions.electrode_thickness_um, conditions.sink_length_um, conditions.sink_depth_um)
    closed = run.system.boundary == "periodic" or math.isinf(min(sinks))
    if closed and not run.system.vacancy_fraction and not run.interface.has_flaws:
        problems.append(
            Problem(
                f"nothing can happen in the run of {origin.source}: no current, no reservoir and "
                "vacancy_fraction = 0",
                "Set vacancy_fraction in [system] above 0, or give [interface] a void.",
            )
        )
    return problems


def _stops(run: RunFile, origin: Origin, current: bool) -> list[Problem]:
    """Whether the run has an end."""
    given = given_keys(run.stop)
    if run.has_protocol:
        return []
    if not given:
        return [
            Problem(
                f"section [stop] of {origin.source} is missing or empty: the run would never end",
                f"Give at least one of {', '.join(Stop.model_fields)}.",
            )
        ]
    certain = ("events", "time_s", "wall_time_s")
    if not current and not set(given) & set(certain):
        return [
            Problem(
                f"the run of {origin.source} may never end: no current flows, and [stop] has only "
                f"{', '.join(given)}",
                f"Add one of {', '.join(certain)}.",
            )
        ]
    return []


def _rest(run: RunFile, origin: Origin, current: bool) -> list[Problem]:
    """Whether the rest follows a current and has an end."""
    given = given_keys(run.rest)
    if not given:
        return []
    shown = origin.shown("rest", given[0], getattr(run.rest, given[0]))
    if not run.rest.wanted:
        return [Problem(f"{shown} without a rest", "Give rest.time_s or rest.events.")]
    if not current:
        advice = "Without a current the whole run is a rest: use [stop], and remove [rest]."
        return [Problem(f"{shown} needs a current above 0 to rest from", advice)]
    return []


def _superbasins(run: RunFile, origin: Origin, flows: bool) -> list[Problem]:
    """Superbasins are implemented for a lone vacancy in pure Li under a given current only."""
    if not run.acceleration.superbasins:
        return []
    found = differing(run, origin, _OF_SUPERBASINS)
    if not flows:
        current = run.conditions.current_density_mA_cm2
        found.append(origin.shown("conditions", "current_density_mA_cm2", current))
    if run.interface.chemistry:
        found.append(origin.shown("interface", "chemistry", "several"))
    if not found:
        return []
    shown = origin.shown("acceleration", "superbasins", True)
    return [
        Problem(
            f"{shown} cannot be combined with {', '.join(found)}",
            "Superbasins need pure Li on bcc_100 at an interface, a given current, and neither "
            "pressure nor exchange. Remove it (--set acceleration.superbasins=false).",
        )
    ]


def _lattice(run: RunFile, origin: Origin) -> list[Problem]:
    """Whether the box exists and its sites can be numbered."""
    system = run.system
    try:
        cell = load_unit_cell(system.lattice)
    except InputError as error:
        shown = origin.shown("system", "lattice", system.lattice)
        return [Problem(f"{shown}: {error.message}", error.advice or "")]
    nx, ny, layers = system.size
    sites = nx * ny * layers * cell.sites_per_layer_cell
    if sites > MAX_SITES:
        shown = origin.shown("system", "size", list(system.size))
        size, largest = _bytes(sites * BYTES_PER_SITE), _bytes(MAX_SITES * BYTES_PER_SITE)
        return [
            Problem(
                f"{shown} is {sites} sites, about {size} of memory",
                f"At most {MAX_SITES} sites ({largest}) can be numbered; 1000000 are a large run.",
            )
        ]
    memory, machine = sites * BYTES_PER_SITE, machine_bytes()
    if machine is not None and memory > machine:
        shown = origin.shown("system", "size", list(system.size))
        most = machine // BYTES_PER_SITE
        return [
            Problem(
                f"{shown} is {sites} sites, about {_bytes(memory)} of memory, and this machine has "
                f"{_bytes(machine)}",
                f"About {most} sites fit here; 1000000 are a large run.",
            )
        ]
    vacancies = system.vacancy_fraction * sites
    if 0 < vacancies < 0.5:
        shown = origin.shown("system", "vacancy_fraction", system.vacancy_fraction)
        return [
            Problem(
                f"{shown} leaves no vacancy among {sites} sites", f"Use {1 / sites:.2g} or more."
            )
        ]
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
    if stop.wall_time_s is not None:
        return []
    ends = {"monolayers": stop.capacity_monolayers, "events": stop.events, "s": stop.time_s}
    sites = math.prod(run.system.size) * load_unit_cell(run.system.lattice).sites_per_layer_cell
    for what, most in (
        ("sample", MOST_SAMPLES),
        ("frame", min(MOST_FRAMES, MOST_SITES_IN_FRAMES // sites)),
    ):
        for unit, end in ends.items():
            key = f"{what}_every_{unit}"
            every = getattr(run.output, key)
            if every is None or end is None or end / most <= every:
                continue
            shown = origin.shown("output", key, every)
            least = toml_value(float(f"{end / most:.1g}"))
            problems.append(
                Problem(
                    f"{shown} makes {end / every:.1e} {what}s until the run stops at "
                    f"{toml_value(end)}, and a file should not hold more than {most}",
                    f"Use {least} or more.",
                )
            )
    return problems


def _bytes(count: int) -> str:
    return f"{count / 1e9:.0f} GB" if count < 10**15 else f"{count / 1e9:.1e} GB"


def _composition(run: RunFile, origin: Origin) -> list[Problem]:
    """Whether the parameter set exists and has the metals of the run."""
    system = run.system
    try:
        path = catalogue.locate("params", system.params)
    except InputError as error:
        shown = origin.shown("system", "params", system.params)
        return [Problem(f"{shown}: {error.message}", error.advice or "")]
    parameters = load_parameters(
        path,
        run.parameters,
        where=lambda key: origin.where("parameters", key),
        shown=lambda key, value: origin.shown("parameters", key, value),
    )
    coverage = system.mg_coverage_L1
    supply = None if system.mg_supply == "metal" else system.mg_supply
    problems = []
    if "Mg" not in parameters.species:
        for key, value in (
            ("mg_fraction", system.mg_fraction),
            ("mg_coverage_L1", coverage),
            ("mg_supply", supply),
        ):
            if value:
                problems.append(
                    Problem(
                        f"{origin.shown('system', key, value)}, but parameter set "
                        f"{parameters.name!r} has no Mg",
                        f"Use a set with Mg: params = {_sets_with_mg()}.",
                    )
                )
    elif coverage == "equilibrium" and not system.mg_fraction:
        shown = origin.shown("system", "mg_coverage_L1", coverage)
        problems.append(Problem(f"{shown} needs Mg in the bulk", "Set mg_fraction above 0."))
    return problems


def load_named(
    run: RunFile, origin: Origin, section: str, key: str, name: str
) -> ParameterSet | Problem:
    """The set that a key names, that of [system] with the run's [parameters]; or what is wrong."""
    own = section == "system"
    try:
        return load_parameters(
            name,
            run.parameters if own else None,
            where=lambda key: origin.where("parameters", key),
            shown=lambda key, value: origin.shown("parameters", key, value),
        )
    except InputError as error:
        if own and "parameters" in run.model_fields_set:
            raise
        return Problem(f"{origin.shown(section, key, name)}: {error.message}", error.advice or "")


def _sets_with_mg() -> str:
    shipped = [name for name in catalogue.names("params") if "Mg" in load_parameters(name).species]
    return " or ".join(f'"{name}"' for name in shipped) or "the path of a parameter file"
