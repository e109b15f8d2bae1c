"""Sweeps given as a dict, by `kmc.sweep`, `kmc converge` or `kmc critical`: written and read."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kmc.campaign.plan import KEYS, REMOVED, Plan, read_plan
from kmc.common import catalogue
from kmc.common.validation import toml_value
from kmc.errors import InputError


def generated_plan(
    name: str,
    comment: str,
    base: str,
    origin: Path | None,
    *,
    vary: str,
    values: Sequence[float],
    replicas: int,
    seed: int,
    fixed: Mapping[str, Any],
) -> Plan:
    """The sweep of a run in which one key varies.

    Parameters
    ----------
    name : str
        Stem of the sweep file.
    comment : str
        Its first line.
    base : str
        Name of a shipped run, or path of a run file.
    origin : Path, optional
        Path of that run; `base` is one by default.
    vary : str
        ``section.key``
    values : sequence of float
    replicas, seed : int
    fixed : mapping
        ``section.key`` → value in every run; None removes the key.

    Raises
    ------
    InputError
        See `kmc.campaign.plan.read_plan`.
    """
    run = base if base in catalogue.names("runs") else str(Path(origin or base).resolve())
    tables = {"grid": {vary: list(values)}, "set": dict(fixed)}
    return plan_of(
        {"run": run, "replicas": replicas, "seed": seed, **tables}, name, comment, resolve=False
    )


def plan_of(
    study: Mapping[str, Any], name: str = "sweep", comment: str = "", *, resolve: bool = True
) -> Plan:
    """The plan of a sweep given as a dict.

    Parameters
    ----------
    study : mapping
        What a sweep file holds; None as a value removes a key.
    name : str
        Stem of the sweep file.
    comment : str
        Its first line, if any.
    resolve : bool
        Make paths of files absolute, from the current folder; settings of the command line are
        kept as they were typed, so that a folder of earlier runs goes on.

    Raises
    ------
    InputError
        See `kmc.campaign.plan.read_plan`.
    """
    unknown = [key for key in study if key not in KEYS]
    if unknown:
        raise InputError(
            f"{unknown[0]!r} in the dict of the sweep is not known",
            advice=f"{catalogue.nearest(str(unknown[0]), KEYS)}A sweep has {', '.join(KEYS)}.",
        )
    tables = {key: study[key] for key in ("grid", "zip", "set") if study.get(key)}
    for key, table in tables.items():
        if not isinstance(table, Mapping):
            raise InputError(
                f"{key} = {table!r} in the dict of the sweep must be a dict",
                advice='Such as {"conditions.temperature_K": [298.15, 333.15]}.',
            )
    lines = [f"# {comment}"] if comment else []
    lines += [
        f"{key} = {toml_value(_absolute(study[key]))}"
        for key in ("run", "replicas", "seed")
        if key in study
    ]
    for key, table in tables.items():
        lines += ["", f"[{key}]"]
        lines += [f"{toml_value(key)} = {_toml(value, resolve)}" for key, value in table.items()]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{name}.toml"
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        try:
            return read_plan(file)
        except InputError as error:
            here = "the dict of the sweep"
            message, advice = error.message, error.advice or ""
            raise InputError(
                message.replace(str(file), here), advice=advice.replace(str(file), here) or None
            ) from None


def _absolute(value: Any) -> Any:
    """A path of a run file from everywhere; anything else as it is."""
    if isinstance(value, Path) or (isinstance(value, str) and value.endswith(".toml")):
        return str(Path(value).resolve())
    return value


def _toml(value: Any, resolve: bool) -> str:
    if isinstance(value, Mapping):
        return toml_value(dict(value))
    if hasattr(value, "tolist"):  # numpy arrays and numbers
        value = value.tolist()
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(item, resolve) for item in value) + "]"
    if value is None:
        return toml_value(REMOVED)
    return toml_value(_absolute(value) if resolve else value)
