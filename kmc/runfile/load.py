"""Reads run files: TOML with the sections of `RunFile`.

`load_run` reads a file, applies overrides, and checks everything that can be checked before
anything is computed. The name of every key ends in its unit.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from kmc.common import catalogue
from kmc.common.formatting import quantity
from kmc.common.validation import (
    Problem,
    kind,
    problems_of,
    raise_problems,
    show,
    toml_document,
)
from kmc.errors import InputError
from kmc.runfile import kind_checks
from kmc.runfile.checks import WITH_STEPS, cross_checks, plating, steps_instead
from kmc.runfile.kinds import BOX, CHECKS, KINDS, find_more
from kmc.runfile.plausibility import warn_of_celsius, warn_of_values
from kmc.runfile.protocol import CHARGES, ENDS
from kmc.runfile.run_file import SECTIONS, Origin, RunFile, from_resolved

CHECKS |= {
    "population": kind_checks.upscale_checks,
    "deposition": kind_checks.deposition_checks,
    "cathode": kind_checks.cathode_checks,
}


def load_run(
    name_or_path: str | Path | Mapping[str, Any],
    overrides: Mapping[str, Any] | None = None,
    *,
    origins: Mapping[str, str] | None = None,
) -> RunFile:
    """Read, override and check a run file.

    - `name_or_path`: a shipped run (``strip_li``), the path of a run file, or its sections: section
      → key → value, None for a key that is not set. Paths in it are relative to the current folder.
    - `overrides`: ``"section.key"`` → value, or section → key → value; None removes the key and
      restores its default.
    - `origins`: ``"section.key"`` → where the override was typed, for messages.

    Raises `InputError`: the input is invalid; nothing has been computed or written then.
    """
    find_more()
    overrides = dotted(overrides)
    origins = _all_origins(overrides, origins)
    if not isinstance(name_or_path, Mapping):
        path = catalogue.locate("runs", name_or_path)
        text = catalogue.read_text(path)
        run = checked_run(run_tables(path, overrides, origins), str(path), origins)
        run._name, run._text = path.stem, text
        return run
    source = "the dict of the run"
    sections: dict[str, Any] = {}
    for name, value in name_or_path.items():
        section, _, key = str(name).partition(".")
        if key and section in SECTIONS:  # "stop.time_s": 1, as overrides have it
            sections.setdefault(section, {})[key] = value
        elif isinstance(value, Mapping):
            sections.setdefault(name, {}).update(value)
        else:
            sections[name] = value
    tables = {
        name: {key: value for key, value in table.items() if value is not None}
        for name, table in _sections(sections, source).items()
    }
    _resolve_paths(tables, Path.cwd())
    text = toml_document(tables)  # a run file of the same meaning, which the trajectory stores
    _override(tables, overrides, origins)
    run = checked_run(tables, source, origins)
    run._name, run._text = "run", text
    return run


def dotted(settings: Mapping[str, Any] | None) -> dict[str, Any]:
    """Settings by ``"section.key"``, of which some may be given as section → key → value.

    >>> dotted({"stop": {"capacity_monolayers": 1}, "random.seed": 2})
    {'stop.capacity_monolayers': 1, 'random.seed': 2}
    """
    flat: dict[str, Any] = {}
    for name, value in (settings or {}).items():
        nested = name in SECTIONS and isinstance(value, Mapping)
        flat |= {f"{name}.{key}": v for key, v in value.items()} if nested else {name: value}
    return flat


def restored_run(
    tables: Mapping[str, Mapping[str, Any]],
    path: Path,
    text: str,
    overrides: Mapping[str, Any] | None = None,
    *,
    origins: Mapping[str, str] | None = None,
) -> RunFile:
    """The run file of a stored run: the sections that `RunFile.resolved` returned, and its text.

    Raises `InputError`: as for `load_run`; also where a parameter or lattice file is missing now.
    """
    given = from_resolved(_sections(dict(tables), str(path)))
    conditions = given.get("conditions", {})
    # What drives a protocol is stored there for readers; the run file gives neither.
    if "overpotential_V" in conditions or "protocol" in given:
        conditions.pop("current_density_mA_cm2", None)
    if "protocol" in given:
        conditions.pop("overpotential_V", None)
    # Files of 0.2 lack the key: their flaws began once, and so they go on.
    if given.get("upscale", {}).get("nucleation", "homogeneous") != "homogeneous":
        given["upscale"].setdefault("flaws_reopen", False)
    overrides = dotted(overrides)
    origins = _all_origins(overrides, origins)
    _override(given, overrides, origins)
    run = checked_run(given, str(path), origins)
    run._name, run._text = path.stem, text
    return run


def checked_run(
    tables: Mapping[str, Mapping[str, Any]],
    source: str = "the run",
    origins: Mapping[str, str] | None = None,
) -> RunFile:
    """A run from its sections, with everything checked and defaults filled in.

    `source` is where the sections come from, for messages; the rest is as for `load_run`.
    """
    origin = Origin(source, origins)
    try:
        run = RunFile.model_validate(tables)
    except ValidationError as error:

        def shown(location: tuple, value: Any) -> str:
            of_blocks = location[:2] == ("protocol", "blocks")
            if of_blocks and "protocol.blocks" not in origin.overrides:
                return f"[[protocol]] of {source}"
            return origin.shown(location[0], location[-1], value)

        found = problems_of(
            error,
            tables,
            RunFile,
            lambda location: origin.where(*location[:2]),
            shown,
            lambda location: f"[{location[0]}]" if location else "the run file",
            source,
        )
        raise_problems(found, source)
        raise
    # From here on single values are in order, and what they make together is checked.
    warn_of_celsius(run, origin)
    if run.kind != BOX:
        found = kind_checks.unused_keys(run, origin)
        raise_problems(found or CHECKS[run.kind](run, origin), source)
        warn_of_values(run, origin)
        return run.with_default_cadence() if "output" in (KINDS[run.kind].uses or ()) else run
    if run.conditions.current_density_mA_cm2 < 0 and not run.has_protocol:
        raise_problems(plating(run, origin), source)
        run = RunFile.model_validate(_as_protocol(tables, run))
    if run.has_protocol:
        raise_problems(steps_instead(run, origin, WITH_STEPS), source)
    raise_problems(cross_checks(run, origin), source)
    warn_of_values(run, origin)
    return run.with_default_cadence()


def _as_protocol(tables: Mapping[str, Mapping[str, Any]], run: RunFile) -> dict[str, Any]:
    """The sections of a run that plates, with a protocol instead of its current, stop and rest."""
    given = {name: dict(table) for name, table in tables.items()}
    # Plating has one implementation, that of a plate step; the section stays as the file has it.
    current = -run.conditions.current_density_mA_cm2
    del given["conditions"]["current_density_mA_cm2"]
    # The ends of [stop] become those of the step; events and the clock stay with the run.
    until = {key: getattr(run.stop, key) for key in ENDS if getattr(run.stop, key) is not None}
    for key in ENDS:
        given.get("stop", {}).pop(key, None)
    steps: list[dict[str, Any]] = [
        {"do": "plate", "current_density_mA_cm2": current, "until": until}
    ]
    if run.rest.time_s is not None:
        steps.append({"do": "rest", "until": {"time_s": given["rest"].pop("time_s")}})
    given["protocol"] = {"blocks": steps}
    return given


def run_tables(
    path: Path, overrides: Mapping[str, Any] | None, origins: Mapping[str, str]
) -> dict[str, dict]:
    """Sections of a run file with overrides applied, each with an origin; nothing is checked."""
    tables = _sections(catalogue.read_toml(path), str(path))
    _resolve_paths(tables, path.parent)
    _override(tables, overrides or {}, origins)
    return tables


def _all_origins(
    overrides: Mapping[str, Any] | None, origins: Mapping[str, str] | None
) -> dict[str, str]:
    """Where each override was typed; in Python the dict itself."""
    python = {key: f"overrides[{key!r}] = {show(v)}" for key, v in (overrides or {}).items()}
    return python | dict(origins or {})


def _override(
    tables: dict[str, dict], overrides: Mapping[str, Any], origins: Mapping[str, str]
) -> None:
    # Apply overrides to the sections; a charge at which to stop replaces that of the file.
    # Two stops by charge would act both, the nearer one first: `stop.capacity_mAh_cm2 = 1` for
    # strip_li would end at its 2 monolayers, 14 000 times earlier than asked for.
    for key, value in overrides.items():
        parts = key.split(".") if isinstance(key, str) else []
        if len(parts) != 2 or not all(parts):
            section = _section_of(parts[0]) if len(parts) == 1 else ""
            hint = f"Did you mean {section}.{parts[0]}? " if section else ""
            raise InputError(
                f"{key!r} in {origins[key]} does not name a section and a key",
                advice=f"{hint}Write section.key, for example conditions.temperature_K.",
            )
        section, name = parts
        if section not in SECTIONS:
            raise InputError(
                f"unknown section {section!r} in {origins[key]}",
                advice=f"{catalogue.nearest(section, SECTIONS)}Sections: {', '.join(SECTIONS)}.",
            )
        table = tables.setdefault(section, {})
        if value is None and (name in _fields(section) or section == "parameters"):
            table.pop(name, None)
        else:
            table[name] = value
    charges = [key for key in CHARGES if overrides.get(f"stop.{key}") is not None]
    for key in CHARGES:
        if charges and f"stop.{key}" not in overrides:
            tables.get("stop", {}).pop(key, None)


def _sections(tables: dict, source: str) -> dict[str, dict]:
    """The sections of a file; anything else at its top level is refused."""
    if isinstance(tables.get("run"), str):
        raise InputError(
            f"{source} is a sweep file, not a run file",
            advice=f"It describes many runs: kmc sweep {source}",
        )
    problems = []
    # Its tables are a list, which a section cannot be: they are its key `blocks`.
    if isinstance(tables.get("protocol"), list):  # [[protocol]]
        tables = {**tables, "protocol": {"blocks": tables["protocol"]}}
    listed = ", ".join(f"[{name}]" for name in SECTIONS)
    for name, table in tables.items():
        if name not in SECTIONS:
            section = isinstance(table, dict)
            what = f"section [{name}]" if section else f"key {name!r} outside a section"
            advice = f"{catalogue.nearest(name, SECTIONS)}Sections: {listed}."
            if not section and (owner := _section_of(name)):
                advice = f"Put it below [{owner}]."
            problems.append(Problem(f"{what} in {source} is not known", advice))
        elif name == "protocol" and isinstance(table, dict) and "blocks" not in table:
            advice = "Write [[protocol]], with two brackets, above each step or list of steps."
            problems.append(Problem(f"[protocol] in {source} has no steps of its own", advice))
        elif not isinstance(table, dict):
            message = f"{name!r} in {source} must be a section, not {kind(table)}"
            advice = f"Write [{name}] on a line of its own, its keys below."
            problems.append(Problem(message, advice))
    raise_problems(problems, source)
    return {name: dict(table) for name, table in tables.items()}


def _fields(section: str) -> dict:
    """Fields of a section; none for [parameters], whose keys belong to the parameter set."""
    model = RunFile.model_fields[section].annotation
    return getattr(model, "model_fields", {})


def _section_of(key: str) -> str:
    """Section a key belongs to, empty where there is none."""
    return next((section for section in SECTIONS if key in _fields(section)), "")


def _resolve_paths(tables: dict, folder: Path) -> None:
    """Resolve paths in a run file relative to its own folder, where that file exists."""
    # Beside the run file first, so that it means the same from every folder.
    listed = tables.get("interface", {}).get("chemistry")
    entries = [item for item in listed if isinstance(item, dict)] if type(listed) is list else []
    for table in (*tables.values(), *entries):
        for key, value in table.items():
            names_file = key == "mask" or (
                (key == "lattice" or str(key).endswith("params")) and str(value).endswith(".toml")
            )
            if names_file and isinstance(value, str) and os.path.isfile(folder / value):
                table[key] = str(folder / value)


def parse_override(text: str) -> tuple[str, Any]:
    """Split ``section.key=value`` and read the value.

    The value is TOML; a bare word is text, so that names need no quotes; a number may be followed
    by the unit of its key; ``none`` is None and removes the key.

    Raises `InputError`: no "=", nothing on one side of it, another unit than that of the key, or a
    value that is neither TOML nor a bare word.

    >>> parse_override("system.size=[48, 48, 24]")
    ('system.size', [48, 48, 24])
    >>> parse_override("conditions.current_density_mA_cm2=1 mA/cm²")
    ('conditions.current_density_mA_cm2', 1.0)
    """
    key, equals, raw = text.partition("=")
    text = catalogue.shown(text)
    key, raw = key.strip(), raw.strip()
    example = "Write section.key=value, for example --set conditions.temperature_K=333.15."
    if not equals:
        raise InputError(f"--set {text} has no '='", advice=example)
    if not key or not raw:
        missing = "key before" if not key else "value after"
        raise InputError(f"--set {text} has no {missing} the '='", advice=example)
    if raw.lower() == "none":
        return key, None
    # It is no TOML, and would be taken for a word below.
    if re.fullmatch(r"[-+]?\d+,\d+", raw):
        raise InputError(
            f"--set {text} has a decimal comma",
            advice=f"Write {key}={raw.replace(',', '.')}; a list stands in brackets.",
        )
    try:
        parsed = catalogue.parse_toml(f"value = {raw}", f"--set {text}")
    except InputError:
        parsed = {}
    if set(parsed) == {"value"}:
        return key, parsed["value"]
    if (number := _without_unit(key, raw, text)) is not None:
        return key, number
    # A shell takes the quotes away that TOML wants around a word.
    if re.fullmatch(r"[^\s\"'\[\]{}=#][^\"'\[\]{}=#\n]*", raw):
        return key, raw
    raise InputError(
        f"the value of --set {text} is not a TOML value",
        advice="Numbers, words, true, false and lists like [32, 32, 24] are; quote it for the "
        "shell where it holds brackets or spaces.",
    )


# The number is taken whole (an atomic group), so that the exponent of 1e-6 is no unit.
_NUMBER_AND_UNIT = re.compile(r"((?>[-+]?[\d.]+(?:[eE][-+]?\d+)?))\s*([^\d\s.,].*)")


def _without_unit(key: str, raw: str, text: str) -> float | None:
    """The number of "1 mA/cm2", where that is the unit of the key; None for other values."""
    match, unit = _NUMBER_AND_UNIT.fullmatch(raw), quantity(key)[1]
    if match is None or not unit:
        return None
    try:
        number = float(match[1])
    except ValueError:
        return None
    if _plain_unit(match[2]) != _plain_unit(unit):
        raise InputError(
            f"--set {text} is in {match[2]}, and {key.rpartition('.')[2]} in {unit}",
            advice=f"Write --set {key}=NUMBER, the value in {unit}.",
        )
    return number


def _plain_unit(unit: str) -> str:
    # A unit as people type it: mA cm-2, mA/cm^2 and mA/cm² are one.
    plain = unit.translate(str.maketrans("²³µμ", "23uu", " ^*·")).replace("cm-2", "/cm2")
    return plain.removesuffix("s") if plain.startswith("monolayer") else plain
