"""Run files: what is simulated, under which conditions, until when, and how often it is recorded.

A run file is TOML with the sections of `RunFile`. `load_run` reads one, applies overrides, and
checks everything that can be checked before anything is computed. Every key carries its unit.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, PrivateAttr, ValidationError, ValidationInfo, model_validator

from kmc import catalogue
from kmc.errors import InputError
from kmc.parameters import ParameterSet, load_parameters
from kmc.runchecks import Origin, cross_checks, given_keys
from kmc.sections import (
    Acceleration,
    Cadence,
    Conditions,
    Interface,
    Output,
    Random,
    Rest,
    Stop,
    System,
)
from kmc.upscale_section import Upscale, upscale_checks, without_box
from kmc.validation import Checked, Number, Problem, kind, problems_of, raise_problems, show


class RunFile(Checked):
    """Everything a run needs, checked and with its defaults filled in.

    Attributes
    ----------
    system, interface, conditions, acceleration, stop, rest, output, random
        The sections.
    parameters : dict of str to float
        Overrides of values of the parameter set.
    """

    system: System = Field(default_factory=System)
    interface: Interface = Field(default_factory=Interface)
    conditions: Conditions = Field(default_factory=Conditions)
    acceleration: Acceleration = Field(default_factory=Acceleration)
    stop: Stop = Field(default_factory=Stop)
    rest: Rest = Field(default_factory=Rest)
    output: Output = Field(default_factory=Output)
    upscale: Upscale = Field(default_factory=Upscale)
    random: Random = Field(default_factory=Random)
    parameters: dict[str, Number] = Field(default_factory=dict)
    _name: str = PrivateAttr("run")
    _text: str = PrivateAttr("")
    _origin: Path | None = PrivateAttr(None)

    @property
    def name(self) -> str:
        """Stem of the run file."""
        return self._name

    @property
    def text(self) -> str:
        """The run file as it was written, without overrides."""
        return self._text

    @property
    def origin(self) -> Path | None:
        """Path of the run file; None where the run was made in Python."""
        return self._origin

    @property
    def sample_cadence(self) -> Cadence:
        return self._cadence("sample")

    @property
    def frame_cadence(self) -> Cadence:
        return self._cadence("frame")

    def _cadence(self, what: str) -> Cadence:
        for unit in ("monolayers", "events", "s"):
            every = getattr(self.output, f"{what}_every_{unit}")
            if every is not None:
                return Cadence(every, unit)
        raise AssertionError(f"no cadence for {what}")  # the validator fills it in

    def parameter_set(self) -> ParameterSet:
        """The parameter set of the run, with its overrides."""
        return load_parameters(self.system.params, self.parameters)

    def resolved(self) -> dict[str, dict[str, Any]]:
        """All sections with their defaults, as plain JSON-able data; infinity is ``"inf"``."""
        tables = self.model_dump(mode="python")
        if self.is_population:
            return _plain(without_box(tables))
        del tables["upscale"]
        return _plain(tables)

    @property
    def is_population(self) -> bool:
        """Whether this is a run of a population of voids (`kmc upscale`), not of a box."""
        return "upscale" in self.model_fields_set

    @model_validator(mode="after")
    def _check(self, info: ValidationInfo) -> RunFile:
        origin = (info.context or {}).get("origin") or Origin("the run")
        if self.is_population:
            raise_problems(upscale_checks(self, origin), origin.source)
            return self
        raise_problems(cross_checks(self, origin), origin.source)
        defaults = {}
        for what, monolayers, events in (("sample", 0.02, 10_000), ("frame", 0.2, 100_000)):
            if not given_keys(self.output, f"{what}_every_"):
                conditions = self.conditions
                current = conditions.current_density_mA_cm2 > 0
                current = current or conditions.overpotential_V is not None
                name = f"{what}_every_{'monolayers' if current else 'events'}"
                defaults[name] = monolayers if current else events
        # Filled in once all is checked; a frozen model is set behind its own back only here.
        self.__dict__["output"] = self.output.model_copy(update=defaults)
        return self


SECTIONS = tuple(RunFile.model_fields)


def _plain(value: Any) -> Any:
    """A value as JSON knows it: lists for tuples, the text "inf" for infinity."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return "inf" if isinstance(value, float) and math.isinf(value) else value


def load_run(
    name_or_path: str | Path,
    overrides: Mapping[str, Any] | None = None,
    *,
    origins: Mapping[str, str] | None = None,
) -> RunFile:
    """Read, override and check a run file.

    Parameters
    ----------
    name_or_path : str or Path
        A shipped run (``strip_li``) or the path of a run file.
    overrides : mapping, optional
        ``"section.key"`` → value; None removes the key, so that its default holds.
    origins : mapping, optional
        ``"section.key"`` → where the override was typed, for messages.

    Raises
    ------
    InputError
        Anything that cannot be used as given; nothing has been computed or written then.
    """
    path = catalogue.locate("runs", name_or_path)
    text = catalogue.read_text(path)
    origins = dict(origins or {})
    for key, value in (overrides or {}).items():
        origins.setdefault(key, f"overrides[{key!r}] = {show(value)}")
    run = _checked(run_tables(path, overrides, origins), str(path), origins)
    run._name, run._text, run._origin = path.stem, text, path
    return run


def restored_run(
    tables: Mapping[str, Mapping[str, Any]],
    path: Path,
    text: str,
    overrides: Mapping[str, Any] | None = None,
    *,
    origins: Mapping[str, str] | None = None,
) -> RunFile:
    """A run again from what its trajectory says of it.

    Parameters
    ----------
    tables : mapping
        What `RunFile.resolved` returned when the run began.
    path : Path
        The trajectory.
    text : str
        The run file as it was written.
    overrides, origins : mapping, optional
        As for `load_run`.

    Raises
    ------
    InputError
        As for `load_run`; also where a parameter or lattice file is not there any more.
    """
    given = {
        section: {key: value for key, value in table.items() if value is not None}
        for section, table in _sections(dict(tables), str(path)).items()
    }
    conditions = given.get("conditions", {})
    if "overpotential_V" in conditions:  # then the current that stands there was nobody's choice
        conditions.pop("current_density_mA_cm2", None)
    origins = dict(origins or {})
    for key, value in (overrides or {}).items():
        origins.setdefault(key, f"overrides[{key!r}] = {show(value)}")
        _apply(given, key, value, origins[key])
    run = _checked(given, str(path), origins)
    run._name, run._text, run._origin = path.stem, text, None
    return run


def _checked(tables: dict, source: str, origins: Mapping[str, str]) -> RunFile:
    """Sections with overrides in place as a checked run."""
    origin = Origin(source, origins)
    try:
        return RunFile.model_validate(tables, context={"origin": origin})
    except ValidationError as error:
        raise_problems(_problems(error, origin), source)
        raise


def run_tables(
    path: Path, overrides: Mapping[str, Any] | None, origins: Mapping[str, str]
) -> dict[str, dict]:
    """Sections of a run file with overrides in place; only that they are sections is checked.

    Parameters
    ----------
    path : Path
        The run file.
    overrides, origins : mapping
        As for `load_run`, with an origin for every override.
    """
    tables = _sections(catalogue.read_toml(path), str(path))
    _resolve_paths(tables, path.parent)
    for key, value in (overrides or {}).items():
        _apply(tables, key, value, origins[key])
    return tables


def _sections(tables: dict, source: str) -> dict[str, dict]:
    """The sections of a file; anything else at its top level is refused."""
    if isinstance(tables.get("run"), str):
        raise InputError(
            f"{source} is a sweep file, not a run file",
            advice=f"It describes many runs: kmc sweep {source}",
        )
    problems = []
    listed = ", ".join(f"[{name}]" for name in SECTIONS)
    for name, table in tables.items():
        if name not in SECTIONS:
            section = isinstance(table, dict)
            what = f"section [{name}]" if section else f"key {name!r} outside a section"
            advice = f"{catalogue.nearest(name, SECTIONS)}Sections: {listed}."
            if not section and (home := _home(name)):
                advice = f"Put it below [{home}]."
            problems.append(Problem(f"{what} in {source} is not known", advice))
        elif not isinstance(table, dict):
            said = f"{name!r} in {source} must be a section, not {kind(table)}"
            problems.append(Problem(said, f"Write [{name}] on a line of its own, its keys below."))
    raise_problems(problems, source)
    return {name: dict(table) for name, table in tables.items()}


def _fields(section: str) -> dict:
    """Fields of a section; none for [parameters], whose keys belong to the parameter set."""
    model = RunFile.model_fields[section].annotation
    return getattr(model, "model_fields", {})


def _home(key: str) -> str:
    """Section a key belongs to, empty where there is none."""
    return next((section for section in SECTIONS if key in _fields(section)), "")


def _resolve_paths(tables: dict, folder: Path) -> None:
    """Paths in a run file are those seen from its own folder, where that file exists."""
    system, interface = tables.get("system", {}), tables.get("interface", {})
    holders = [(system, "params"), (system, "lattice"), (interface, "mask")]
    listed = interface.get("chemistry")
    for item in listed if isinstance(listed, list) else ():
        if isinstance(item, dict):
            holders.append((item, "params"))
    for table, key in holders:
        value = table.get(key)
        is_path = isinstance(value, str) and (value.endswith(".toml") or key == "mask")
        if is_path and (folder / value).is_file():
            table[key] = str(folder / value)


def _apply(tables: dict, key: Any, value: Any, origin: str) -> None:
    """Put one override into the sections."""
    parts = key.split(".") if isinstance(key, str) else []
    if len(parts) != 2 or not all(parts):
        home = _home(parts[0]) if len(parts) == 1 else ""
        hint = f"Did you mean {home}.{parts[0]}? " if home else ""
        raise InputError(
            f"{key!r} in {origin} does not name a section and a key",
            advice=f"{hint}Write section.key, for example conditions.temperature_K.",
        )
    section, name = parts
    if section not in SECTIONS:
        raise InputError(
            f"unknown section {section!r} in {origin}",
            advice=f"{catalogue.nearest(section, SECTIONS)}Sections: {', '.join(SECTIONS)}.",
        )
    if value is None and (name in _fields(section) or section == "parameters"):
        tables.setdefault(section, {}).pop(name, None)
    else:
        tables.setdefault(section, {})[name] = value


def _problems(error: ValidationError, origin: Origin) -> list[Problem]:
    """Plain sentences for what pydantic found in a run file."""

    def where(location: tuple) -> str:
        return origin.where(*location[:2])

    def shown(location: tuple, value: Any) -> str:
        return origin.shown(location[0], location[-1], value)

    def fields(location: tuple) -> dict:
        return _fields(location[0]) if location else RunFile.model_fields

    def group(location: tuple) -> str:
        return f"[{location[0]}]" if location else "the run file"

    return problems_of(error, where, shown, fields, group, origin.source)


def parse_override(text: str) -> tuple[str, Any]:
    """Split ``section.key=value`` and read the value.

    The value is TOML; a bare word is text, so that names need no quotes; ``none`` is None and
    removes the key.

    Raises
    ------
    InputError
        No "=", nothing on one side of it, or a value that is neither TOML nor a bare word.

    Examples
    --------
    >>> parse_override("system.size=[48, 48, 24]")
    ('system.size', [48, 48, 24])
    >>> parse_override("system.lattice=bcc_110")
    ('system.lattice', 'bcc_110')
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
    try:
        parsed = catalogue.parse_toml(f"value = {raw}", f"--set {text}")
    except InputError:
        parsed = {}
    if set(parsed) == {"value"}:
        return key, parsed["value"]
    if re.fullmatch(r"[^\s\"'\[\]{}=#][^\"'\[\]{}=#\n]*", raw):
        return key, raw
    raise InputError(
        f"the value of --set {text} is not a TOML value",
        advice="Numbers, words, true, false and lists like [32, 32, 24] are; quote it for the "
        "shell where it holds brackets or spaces.",
    )
