"""Sweep files: a run, the settings that vary, and the number of replicas.

    run = "strip_li"                                   # a shipped run, or a path from this file
    replicas = 3                                       # runs a setting, with different seeds
    seed = 1

    [grid]                                             # every combination
    "conditions.temperature_K" = [298.15, 333.15]
    "parameters.second_shell_ratio" = [0.4, 0.5]

    [zip]                                              # side by side: lists of one length
    "conditions.current_density_mA_cm2" = [0.25, 0.5]
    "stop.capacity_monolayers" = [1, 2]

    [set]                                              # the same in every run
    "system.size" = [24, 24, 24]

`read_plan` checks the file and lists the points.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from kmc.campaign.points import (
    MAX_SEED,
    REMOVED,
    ZIP,
    Plan,
    Point,
    canonical,
    combinations,
    removed,
    toml_text,
    without_removed,
)
from kmc.common import catalogue
from kmc.common.validation import Checked, Problem, kind, number_of, raise_problems, show
from kmc.errors import InputError
from kmc.model.quantities import QUANTITIES
from kmc.runfile.load import SECTIONS, RunFile, load_run, run_tables
from kmc.runfile.sections import System

__all__ = ["MAX_SEED", "REMOVED", "ZIP", "Plan", "Point", "canonical", "read_plan"]

MAX_POINTS = 100_000
KEYS = ("run", "replicas", "seed", "grid", "zip", "set")
_FULLY_CHECKED = 200  # points checked as complete runs; 3 ms each
_MAX_PROBLEMS = 5
_SEED_KEY = "random.seed"


# --- reading --------------------------------------------------------------------------------------


def read_plan(file: str | Path) -> Plan:
    """Read and check a sweep file.

    Every value is checked by itself. Complete runs are checked for every point of a small sweep,
    and in a large one for a selection in which every value occurs; the other combinations are
    checked when they are run.

    Parameters
    ----------
    file : str or Path
        Path of a sweep file, or the name of one that comes with kmc.

    Raises
    ------
    InputError
        The file is invalid; nothing has been computed or written then.
    """
    path = catalogue.locate("studies", file)
    text = catalogue.read_text(path)
    given = catalogue.read_toml(path)
    source = str(path)
    if "run" not in given and set(given) & set(SECTIONS):
        raise InputError(
            f"{source} is a run file, not a sweep file",
            advice='A sweep file has run = "strip_li" and a [grid]. For this file: kmc run.',
        )
    _only_known_keys(given, source)
    base, base_path = _base(given.get("run"), path)
    replicas = _integer(given, "replicas", 1, 1, MAX_POINTS, source)
    seed = _integer(given, "seed", 1, 0, MAX_SEED, source)
    changes = {
        name: _settings(given.get(name, {}), name, source) for name in ("grid", "zip", "set")
    }
    _each_key_once(changes, source)
    axes = _axes(changes["grid"], changes["zip"], source)
    total = replicas * math.prod(len(values) for values in axes.values())
    if total > MAX_POINTS:
        raise InputError(
            f"{source} asks for {_many(total)} runs; at most {MAX_POINTS} fit in one sweep",
            advice="Use fewer values or replicas, or several sweep files.",
        )
    axes = {axis: [_found(value, axis, path.parent) for value in axes[axis]] for axis in axes}
    fixed = {key: _found(value, key, path.parent) for key, value in changes["set"].items()}
    check = _Check(base_path, fixed, source)
    check.base()
    check.single_values(axes)
    origins = {key: check.origin(key, value) for key, value in fixed.items()}
    plan = Plan(
        name=path.stem,
        base=base,
        axes=axes,
        replicas=replicas,
        seed=seed,
        fixed=fixed,
        tables=run_tables(base_path, without_removed(fixed), origins),
        text=text,
    )
    check.complete_runs(plan)
    plan.inputs.update(_hashes(plan))
    _distinct_names(plan, source)
    return plan


def _only_known_keys(given: Mapping, source: str) -> None:
    problems = []
    for key in given:
        if key in KEYS:
            continue
        advice = f"{catalogue.nearest(key, KEYS)}A sweep file has {', '.join(KEYS)}."
        if key.partition(".")[0] in SECTIONS:
            advice = "Put it below [grid], [zip] or [set]."
        problems.append(Problem(f"{key!r} in {source} is not known", advice))
    raise_problems(problems, source)


def _base(run: Any, path: Path) -> tuple[str, Path]:
    """The base run as the file names it, and its path."""
    if not isinstance(run, str) or not run:
        message = f"{path} does not name a run" if run is None else f"run in {path} must be text"
        raise InputError(message, advice='Write run = "strip_li", or the path of a run file.')
    beside = path.parent / run
    if run.endswith(".toml") and beside.is_file():
        return run, beside.resolve()
    try:
        found = catalogue.locate("runs", run)
    except InputError as error:
        raise InputError(
            f"run = {show(run)} in {path}: {error.message}", advice=error.advice
        ) from None
    return run, found.resolve()


def _integer(given: Mapping, key: str, default: int, low: int, high: int, source: str) -> int:
    value = given.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InputError(
            f"{key} = {show(value)} in {source} cannot be used",
            advice=f"Allowed: a whole number from {low} to {high}.",
        )
    return value


def _settings(table: Any, name: str, source: str) -> dict[str, Any]:
    """``"section.key"`` → value; TOML's own dotted keys give the same as quoted ones."""
    if not isinstance(table, dict):
        raise InputError(
            f"{name!r} in {source} must be a section, not {kind(table)}",
            advice=f"Write [{name}] on a line of its own, its keys below.",
        )
    flat: dict[str, Any] = {}
    for key, value in table.items():
        inner = {f"{key}.{k}": v for k, v in value.items()} if isinstance(value, dict) else None
        for full, item in (inner if inner and "." not in key else {key: value}).items():
            if full in flat:
                raise InputError(f"{full!r} is twice in [{name}] of {source}")
            flat[full] = item
    return flat


def _each_key_once(changes: Mapping[str, Mapping], source: str) -> None:
    problems = []
    places: dict[str, str] = {}
    for name, table in changes.items():
        for key in table:
            where = f"in [{name}] of {source}"
            if key in places:
                message = f"{key!r} is in [{places[key]}] and in [{name}] of {source}"
                problems.append(Problem(message, "Keep one of them."))
            places[key] = name
            if key == _SEED_KEY:
                advice = "Every point has a seed of its own: set seed and replicas of the sweep."
                problems.append(Problem(f"{key!r} {where} cannot be set", advice))
            elif key.count(".") != 1 or not all(key.split(".")):
                advice = 'Write "section.key", for example "conditions.temperature_K".'
                problems.append(
                    Problem(f"{key!r} {where} does not name a section and a key", advice)
                )
    raise_problems(problems, source)


def _axes(grid: Mapping[str, Any], zipped: Mapping[str, Any], source: str) -> dict[str, list]:
    problems = []
    for name, table in (("grid", grid), ("zip", zipped)):
        for key, values in table.items():
            where = f"{key!r} in [{name}] of {source}"
            if not isinstance(values, list):
                problems.append(
                    Problem(f"{where} must be a list of values, not {kind(values)}",
                            f'Write "{key}" = [{show(values)}], or put it below [set].')
                )  # fmt: skip
            elif not values:
                problems.append(Problem(f"{where} is an empty list", "Give at least one value."))
            elif name == "grid":
                problems += _repeated(values, where)
    if not problems and len({len(values) for values in zipped.values()}) > 1:
        lengths = ", ".join(f"{key!r} has {len(values)}" for key, values in zipped.items())
        problems.append(
            Problem(f"the lists of [zip] in {source} differ in length: {lengths}",
                    "Their values are taken side by side; make them equally long.")
        )  # fmt: skip
    raise_problems(problems, source)
    axes = {key: list(values) for key, values in grid.items()}
    if zipped:
        rows = zip(*zipped.values(), strict=True)
        axes[ZIP] = [dict(zip(zipped, row, strict=True)) for row in rows]
        raise_problems(_repeated(axes[ZIP], f"[zip] of {source}"), source)
    return axes


def _repeated(values: Sequence, where: str) -> list[Problem]:
    seen, problems = set(), []
    for value in values:
        spelt = canonical(value)
        if spelt in seen:
            message = f"{where} has {toml_text(value)} twice"
            problems.append(Problem(message, "For several runs of one setting give replicas."))
        seen.add(spelt)
    return problems


def _found(value: Any, key: str, folder: Path) -> Any:
    """A value, with the path of a parameter or lattice file resolved from the sweep file."""
    if key == ZIP:
        return {name: _found(item, name, folder) for name, item in value.items()}
    beside = isinstance(value, str) and value.endswith(".toml") and folder / value
    if key in ("system.params", "system.lattice") and beside and beside.is_file():
        return str(beside.resolve())
    return value


def _many(total: int) -> str:
    return str(total) if total < 10**9 else "billions of"


# --- checking -------------------------------------------------------------------------------------


class _Check:
    """Checks the runs of a sweep by `load_run`, with the messages of `kmc run`."""

    def __init__(self, base: Path, fixed: Mapping[str, Any], source: str):
        self._base, self._fixed, self._source = base, dict(fixed), source

    def origin(self, key: str, value: Any) -> str:
        return f"{key} = {show(value)} of {self._source}"

    def base(self) -> None:
        """The base run with [set]; values that the axes supply may be missing."""
        for key, value in self._fixed.items():
            section, name = key.split(".")
            if not _fits(section, name, value):
                self._load({})
                return

    def single_values(self, axes: Mapping[str, list]) -> None:
        """Every value by itself: its key, its type and its range."""
        problems = []
        for axis, values in axes.items():
            for value in values:
                settings = value if axis == ZIP else {axis: value}
                for key, item in settings.items():
                    section, name = key.split(".")
                    if not _fits(section, name, item):
                        problems += self._problem(settings)
                        break
                if len(set(problems)) >= _MAX_PROBLEMS:
                    raise_problems(problems, self._source)
        raise_problems(problems, self._source)

    def complete_runs(self, plan: Plan) -> None:
        """All runs of a small sweep; of a large one some in which every value occurs."""
        problems: list[Problem] = []
        for settings in _spread(plan.axes):
            problems += self._problem(settings)
            if len(set(problems)) >= _MAX_PROBLEMS:
                break
        raise_problems(problems, self._source)

    def _problem(self, settings: Mapping[str, Any]) -> list[Problem]:
        try:
            self._load(settings)
        except InputError as error:
            return [Problem(error.message, error.advice or "")]
        return []

    def _load(self, settings: Mapping[str, Any]) -> None:
        changes = {**self._fixed, **settings}
        origins = {key: self.origin(key, value) for key, value in changes.items()}
        load_run(self._base, without_removed(changes), origins=origins)


def _fits(section: str, name: str, value: Any) -> bool:
    """Whether a value is valid for its key by itself; other values are checked in a run."""
    if section not in SECTIONS:
        return False
    value = removed(value)
    if section == "parameters":
        known = QUANTITIES.get(name)
        return known is not None and (value is None or known.allows(number_of(value)[0]))
    model = RunFile.model_fields[section].annotation
    if not (isinstance(model, type) and issubclass(model, Checked)):
        return False
    if value is None:
        return name in model.model_fields
    try:
        model.model_validate({name: value})
    except ValidationError as error:
        return all(item["loc"][:1] != (name,) for item in error.errors(include_url=False))
    return True


def _spread(axes: Mapping[str, list]) -> Iterator[dict[str, Any]]:
    """Settings of all points if they are few, else of a selection with every value."""
    if math.prod(len(values) for values in axes.values()) <= _FULLY_CHECKED:
        yield from combinations(axes)
        return
    longest = max(len(values) for values in axes.values())
    step = max(1, math.ceil(longest / _FULLY_CHECKED))
    for k in range(0, longest, step):
        chosen = {axis: [values[k % len(values)]] for axis, values in axes.items()}
        yield next(combinations(chosen))


def _distinct_names(plan: Plan, source: str) -> None:
    if len({point.name.casefold() for point in plan.points}) < len(plan.points):
        raise InputError(
            f"some points of {source} would have the same file name",
            advice="Use texts that differ in more than case and punctuation.",
        )


# --- files ----------------------------------------------------------------------------------------


def _hashes(plan: Plan) -> dict[str, str]:
    """SHA-256 of the parameter and lattice files that the points use."""
    found = {}
    for key, catalogue_kind in (("params", "params"), ("lattice", "lattices")):
        full = f"system.{key}"
        default = System.model_fields[key].default
        used = {str(plan.tables.get("system", {}).get(key, default))}
        for axis, values in plan.axes.items():
            if axis == full or (axis == ZIP and full in values[0]):
                used |= {value[full] if axis == ZIP else value for value in values}
        for name in sorted(used - {REMOVED}):
            content = catalogue.read_text(catalogue.locate(catalogue_kind, name))
            found[name] = hashlib.sha256(content.encode()).hexdigest()
    return found
