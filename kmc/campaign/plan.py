"""Sweep files: a run, the settings that vary, and the number of replicas (docs/sweeps.md).

`read_plan` checks the file and lists the points; `plan_of` does so for a dict.
"""

import functools
import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from kmc.campaign.folder import SweepFolder
from kmc.campaign.points import (
    MAX_SEED,
    REMOVED,
    ZIP,
    Plan,
    Point,
    canonical,
    combinations,
    without_removed,
)
from kmc.common import catalogue, validation
from kmc.errors import InputError
from kmc.model.quantities import QUANTITIES
from kmc.runfile.load import SECTIONS, RunFile, load_run, run_tables
from kmc.runfile.sections import System
from kmc.systems import SYSTEMS

MAX_POINTS = 100_000
KEYS = ("run", "replicas", "seed", "grid", "zip", "set")
_FULLY_CHECKED = 200  # points checked as complete runs; 3 ms each
_MAX_PROBLEMS = 5


def read_plan(file: str | Path) -> Plan:
    """Read and check a sweep file.

    Every value is checked by itself. Complete runs are checked for every point of a small sweep,
    and in a large one for a selection in which every value occurs; the other combinations are
    checked when they are run.
    """
    path = catalogue.locate("studies", file)
    return _plan(catalogue.read_text(path), str(path), path.stem, path.parent)


def plan_of(
    study: Mapping[str, Any], name: str = "sweep", comment: str = "", *, resolve: bool = True
) -> Plan:
    """The plan of a sweep given as a dict, as by `kmc.sweep`, `kmc converge` or `kmc critical`.

    None as a value removes a key. `name` and `comment` are stem and first line of its sweep file.
    With `resolve` paths become absolute; settings of the command line are kept as they were typed,
    so that a folder of earlier runs goes on.
    """
    source = "the dict of the sweep"
    validation.raise_problems(_unknown_keys(study, source, "A sweep has"), source)
    tables = {key: study[key] for key in ("grid", "zip", "set") if study.get(key)}
    for key, table in tables.items():
        if not isinstance(table, Mapping):
            raise InputError(
                f"{key} = {table!r} in {source} must be a dict",
                advice='Such as {"conditions.temperature_K": [298.15, 333.15]}.',
            )

    def plain(value: Any, resolve: bool) -> Any:
        if hasattr(value, "tolist"):  # numpy arrays and numbers
            value = value.tolist()
        if isinstance(value, list | tuple):
            return [plain(item, resolve) for item in value]
        # The path of a file has to hold from everywhere; any other text is a name.
        path = isinstance(value, Path) or (isinstance(value, str) and value.endswith(".toml"))
        if resolve and path:
            return str(Path(value).resolve())
        return REMOVED if value is None else dict(value) if isinstance(value, Mapping) else value

    lines = [f"# {comment}"] if comment else []
    for key in ("run", "replicas", "seed"):
        if key in study:
            value = study[key]
            if key == "run" and isinstance(value, str) and "/" in value:
                value = Path(value)
            lines.append(f"{key} = {validation.toml_value(plain(value, True))}")
    flat = {
        key: {str(k): plain(value, resolve) for k, value in table.items()}
        for key, table in tables.items()
    }
    text = "\n".join(lines) + (f"\n\n{validation.toml_document(flat)}" if flat else "\n")
    return _plan(text, source, name, None)


def _plan(text: str, source: str, name: str, folder: Path | None) -> Plan:
    """The plan of the text of a sweep file; paths in it are seen from `folder`."""
    content = catalogue.parse_toml(text, source)
    if "run" not in content and set(content) & set(SECTIONS):
        raise InputError(
            f"{source} is a run file, not a sweep file",
            advice='A sweep file has run = "strip_li" and a [grid]. For this file: kmc run.',
        )
    validation.raise_problems(_unknown_keys(content, source, "A sweep file has"), source)
    base, base_path = _base(content.get("run"), source, folder)
    replicas = _integer(content, "replicas", 1, MAX_POINTS, source)
    seed = _integer(content, "seed", 0, MAX_SEED, source)
    changes = _changes(content, source)
    axes = _axes(changes["grid"], changes["zip"], source)
    total = replicas * math.prod(len(values) for values in axes.values())
    # Before points are listed: a billion names fill the memory.
    if total > MAX_POINTS:
        many = total if total < 10**9 else "billions of"
        raise InputError(
            f"{source} asks for {many} runs; at most {MAX_POINTS} fit in one sweep",
            advice="Use fewer values or replicas, or several sweep files.",
        )
    axes = {axis: [_found(value, axis, folder) for value in axes[axis]] for axis in axes}
    fixed = {key: _found(value, key, folder) for key, value in changes["set"].items()}
    # Every value by itself: its key, its type and its range.
    # The base run need not be complete without the values that the axes supply.
    if not all(_fits(key, value) for key, value in fixed.items()):
        load_run(base_path, without_removed(fixed), origins=_origins(fixed, source))
    rows = (row if axis == ZIP else {axis: row} for axis, some in axes.items() for row in some)
    wrong = (row for row in rows if not all(_fits(key, value) for key, value in row.items()))
    _check_runs(base_path, fixed, wrong, source)
    tables = run_tables(base_path, without_removed(fixed), _origins(fixed, source))
    _check_runs(base_path, fixed, _spread(axes), source)
    plan = Plan(name, base, axes, replicas, seed, fixed, tables, text=text)
    plan.inputs.update(_hashes(plan))
    # File systems of macOS and Windows take a and A for one.
    if len({point.name.casefold() for point in plan.points}) < len(plan.points):
        raise InputError(
            f"some points of {source} would have the same file name",
            advice="Use texts that differ in more than case and punctuation.",
        )
    return plan


def _unknown_keys(content: Mapping, source: str, has: str) -> Iterator[validation.Problem]:
    for key in content:
        if str(key).partition(".")[0] in SECTIONS:
            yield validation.Problem(
                f"{key!r} in {source} is not known", "Put it below [grid], [zip] or [set]."
            )
        elif key not in KEYS:
            advice = f"{catalogue.nearest(str(key), KEYS)}{has} {', '.join(KEYS)}."
            yield validation.Problem(f"{key!r} in {source} is not known", advice)


def _base(run: Any, source: str, folder: Path | None) -> tuple[str, Path]:
    """The base run as the file names it, and its path."""
    if not isinstance(run, str) or not run:
        message = f"{source} does not name a run"
        raise InputError(
            message if run is None else f"run in {source} must be text",
            advice='Write run = "strip_li", or the path of a run file.',
        )
    if folder and run.endswith(".toml") and (folder / run).is_file():
        return run, (folder / run).resolve()
    try:
        return run, catalogue.locate("runs", run).resolve()
    except InputError as error:
        message = f"run = {validation.show(run)} in {source}: {error.message}"
        raise InputError(message, advice=error.advice) from None


def _integer(content: Mapping, key: str, low: int, high: int, source: str) -> int:
    value = content.get(key, 1)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InputError(
            f"{key} = {validation.show(value)} in {source} cannot be used",
            advice=f"Allowed: a whole number from {low} to {high}.",
        )
    return value


def _changes(content: Mapping, source: str) -> dict[str, dict[str, Any]]:
    """grid, zip and set as ``"section.key"`` → value; TOML's dotted keys are as quoted ones."""
    changes: dict[str, dict[str, Any]] = {"grid": {}, "zip": {}, "set": {}}
    places: dict[str, str] = {}
    problems = []
    for name, flat in changes.items():
        table = content.get(name, {})
        if not isinstance(table, dict):
            raise InputError(
                f"{name!r} in {source} must be a section, not {validation.kind(table)}",
                advice=f"Write [{name}] on a line of its own, its keys below.",
            )
        for key, value in table.items():
            dotted = isinstance(value, dict) and value and "." not in key
            rows = {f"{key}.{k}": v for k, v in value.items()} if dotted else {key: value}
            for full, item in rows.items():
                where = f"{full!r} in [{name}] of {source}"
                if full in places:
                    message = f"{full!r} is in [{places[full]}] and in [{name}] of {source}"
                    problems.append(validation.Problem(message, "Keep one of them."))
                places[full], flat[full] = name, item
                if full == "random.seed":
                    advice = (
                        "Every point has a seed of its own: set seed and replicas of the sweep."
                    )
                    problems.append(validation.Problem(f"{where} cannot be set", advice))
                elif full.count(".") != 1 or not all(full.split(".")):
                    advice = 'Write "section.key", for example "conditions.temperature_K".'
                    message = f"{where} does not name a section and a key"
                    problems.append(validation.Problem(message, advice))
    validation.raise_problems(problems, source)
    return changes


def _axes(grid: Mapping[str, Any], zipped: Mapping[str, Any], source: str) -> dict[str, list]:
    problems = []
    for name, table in (("grid", grid), ("zip", zipped)):
        for key, values in table.items():
            where = f"{key!r} in [{name}] of {source}"
            if not isinstance(values, list):
                message = f"{where} must be a list of values, not {validation.kind(values)}"
                advice = f'Write "{key}" = [{validation.show(values)}], or put it below [set].'
                problems.append(validation.Problem(message, advice))
            elif not values:
                problems.append(
                    validation.Problem(f"{where} is an empty list", "Give at least one value.")
                )
            elif name == "grid":
                problems += _repeated(values, where)
    if not problems and len({len(values) for values in zipped.values()}) > 1:
        lengths = ", ".join(f"{key!r} has {len(values)}" for key, values in zipped.items())
        message = f"the lists of [zip] in {source} differ in length: {lengths}"
        advice = "Their values are taken side by side; make them equally long."
        problems.append(validation.Problem(message, advice))
    validation.raise_problems(problems, source)
    axes = {key: list(values) for key, values in grid.items()}
    if zipped:
        rows = zip(*zipped.values(), strict=True)
        axes[ZIP] = [dict(zip(zipped, row, strict=True)) for row in rows]
        validation.raise_problems(_repeated(axes[ZIP], f"[zip] of {source}"), source)
    return axes


def _repeated(values: Sequence, where: str) -> Iterator[validation.Problem]:
    seen = set()
    for value in values:
        if (spelt := canonical(value)) in seen:
            advice = "For several runs of one setting give replicas."
            yield validation.Problem(f"{where} has {validation.toml_value(value)} twice", advice)
        seen.add(spelt)


def _found(value: Any, key: str, folder: Path | None) -> Any:
    """A value, with the path of a parameter or lattice file resolved from the sweep file."""
    if key == ZIP:
        return {name: _found(item, name, folder) for name, item in value.items()}
    named = key in ("system.params", "system.lattice") and isinstance(value, str)
    if folder and named and value.endswith(".toml") and (folder / value).is_file():
        return str((folder / value).resolve())
    return value


def _check_runs(
    base: Path, fixed: Mapping[str, Any], rows: Iterable[Mapping[str, Any]], source: str
) -> None:
    """Complete runs with some settings, until several problems have been found."""
    problems: dict[validation.Problem, None] = {}
    for settings in rows:
        changes = {**fixed, **settings}
        try:
            load_run(base, without_removed(changes), origins=_origins(changes, source))
        except InputError as error:
            problems[validation.Problem(error.message, error.advice or "")] = None
        if len(problems) >= _MAX_PROBLEMS:
            break
    validation.raise_problems(problems, source)


def _origins(changes: Mapping[str, Any], source: str) -> dict[str, str]:
    return {key: f"{key} = {validation.show(value)} of {source}" for key, value in changes.items()}


def _fits(key: str, value: Any) -> bool:
    """Whether a value is valid for its key by itself; other values are checked in a run."""
    section, name = key.split(".")
    if section not in SECTIONS:
        return False
    value = None if value == REMOVED else value
    if section == "parameters":
        entry = QUANTITIES.get(name)
        return entry is not None and (value is None or entry.allows(validation.number_of(value)[0]))
    model = RunFile.model_fields[section].annotation
    if not (isinstance(model, type) and issubclass(model, validation.Checked)):
        return False
    if value is None:
        return name in model.model_fields
    try:
        model.model_validate({name: value})
    except ValidationError as error:
        # Other errors are those of keys that the value stands beside in a whole run.
        return all(item["loc"][:1] != (name,) for item in error.errors(include_url=False))
    return True


def _spread(axes: Mapping[str, list]) -> Iterator[dict[str, Any]]:
    """Settings of all points if they are few, else of a selection with every value."""
    if math.prod(len(values) for values in axes.values()) <= _FULLY_CHECKED:
        yield from combinations(axes)
        return
    longest = max(len(values) for values in axes.values())
    for k in range(0, longest, max(1, math.ceil(longest / _FULLY_CHECKED))):
        # The k-th value of every axis at once: as few runs as the longest axis has values.
        chosen = {axis: [values[k % len(values)]] for axis, values in axes.items()}
        yield next(combinations(chosen))


def _hashes(plan: Plan) -> dict[str, str]:
    """SHA-256 of the parameter and lattice files that the points use."""
    hashes = {}
    for key, catalogue_kind in (("params", "params"), ("lattice", "lattices")):
        full = f"system.{key}"
        default = System.model_fields[key].default
        used = {str(plan.tables.get("system", {}).get(key, default))}
        for axis, values in plan.axes.items():
            if axis == full or (axis == ZIP and full in values[0]):
                used |= {value[full] if axis == ZIP else value for value in values}
        for name in sorted(used - {REMOVED}):
            # By content: a set that is edited between two calls would make a sweep of two models.
            content = catalogue.read_text(catalogue.locate(catalogue_kind, name))
            hashes[name] = hashlib.sha256(content.encode()).hexdigest()
    return hashes


SETUP_S = 0.25  # for each point before its first event


class Cost(NamedTuple):
    """Estimated cost of the points that are not done."""

    compute_s: float  # time on one core; NaN where the number of events is unknown
    disk_bytes: float
    basis: str  # source of the estimate of the time, as a phrase


def estimate(plan: Plan, todo: Sequence[Point], folder: SweepFolder | None) -> Cost:
    """Time and disk of the points `todo`.

    The time that each kind of run estimates from its run file is scaled by the points of the folder
    that are done, where there are any.
    """
    if not todo:
        return Cost(0.0, 0.0, "nothing is missing")
    amount, disk = (sum(column) for column in zip(*costs(plan, todo), strict=True))
    by_name = {point.name: point for point in plan.points}
    times_s = folder.times_s() if folder else {}
    if logged := by_name.keys() & times_s:
        work = sum(work for work, _ in costs(plan, [by_name[name] for name in logged]))
        spent = sum(times_s[name] for name in logged)
        noun = "point that is" if len(logged) == 1 else "points that are"
        return Cost(spent / work * amount, disk, f"from {len(logged)} {noun} done")
    return Cost(amount + SETUP_S * len(todo), disk, "a rough guess from the run file")


def costs(plan: Plan, points: Sequence[Point]) -> list[tuple[float, float]]:
    """Seconds and bytes of points; estimated once for the replicas of the same settings."""

    @functools.cache
    def of_settings(number: int) -> tuple[float, float]:
        run = RunFile.model_validate(plan.run_tables(plan.points[number * plan.replicas]))
        return SYSTEMS[run.kind].seconds(run), SYSTEMS[run.kind].file_bytes(run)

    return [of_settings(point.index // plan.replicas) for point in points]
