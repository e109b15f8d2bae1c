"""Sweeps that a command writes itself: as a file, read and checked like any other."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kmc.common import catalogue
from kmc.common.validation import toml_value
from kmc.sweep.plan import REMOVED, Plan, read_plan


def written_plan(
    name: str,
    says: str,
    base: str,
    origin: Path,
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
    name, says : str
        Of the file, and its first line.
    base : str
        Name of a shipped run, or path of a run file.
    origin : Path
        Where that run was found.
    vary : str
        ``section.key``
    values : sequence of float
    replicas, seed : int
    fixed : mapping
        ``section.key`` → value in every run; None removes the key.

    Raises
    ------
    InputError
        See `kmc.sweep.plan.read_plan`.
    """
    run = base if base in catalogue.names("runs") else str(Path(origin).resolve())
    lines = [
        f"# {says}",
        f"run = {toml_value(run)}",
        f"replicas = {replicas}",
        f"seed = {seed}",
        "",
        "[grid]",
        f"{toml_value(vary)} = {toml_value(list(values))}",
        "",
        "[set]",
        *(
            f"{toml_value(key)} = {toml_value(REMOVED if value is None else value)}"
            for key, value in fixed.items()
        ),
    ]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{name}.toml"
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return read_plan(file)
