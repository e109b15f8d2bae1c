"""The points of a sweep: their settings, names, seeds and run files.

A point's name and its seed follow from its own settings, its replica and the seed of the sweep, not
from the points around it: a longer list of values leaves the points that were there as they were.
"""

import hashlib
import itertools
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field, TypeAdapter, ValidationError

from kmc.common.validation import toml_document

MAX_SEED = 2**53 - 1  # JSON and table readers represent integers exactly up to here
ZIP = "zip"  # name of the axis whose values change side by side
REMOVED = "none"  # as a value: the key is removed and has its default
_LONGEST_NAME = 100
_SEED_KEY = "random.seed"


@dataclass(frozen=True)
class Point:
    """One run of a sweep."""

    index: int  # place in the plan: the last axis changes faster than the first, replicas fastest
    name: str  # stem of its files; depends on its settings and replica alone
    settings: dict[str, Any]  # ``"section.key"`` → value, for the keys that vary
    replica: int  # from 0
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)]


@dataclass(frozen=True)
class Plan:
    """A checked sweep."""

    name: str  # stem of the sweep file
    base: str  # the run, as the file names it
    # axis → its values, first the grid, then ``"zip"``, whose values are tables of its members
    axes: dict[str, list]
    replicas: int
    seed: int
    fixed: dict[str, Any]  # what [set] changes
    tables: dict[str, dict]  # sections of the base run with [set] in place
    # parameter and lattice files used → hash of their contents
    inputs: dict[str, str] = field(default_factory=dict)
    text: str = ""  # the sweep file

    @cached_property
    def points(self) -> Sequence[Point]:
        """Every run, in the order of the grid."""
        short = [key.split(".")[1] for key in self.keys]
        labels = {
            key: name if short.count(name) == 1 else key
            for key, name in zip(self.keys, short, strict=True)
        }
        runs = itertools.product(combinations(self.axes), range(self.replicas))
        return [
            Point(i, _name(row, labels, replica), row, replica, _seed(self.seed, row, replica))
            for i, (row, replica) in enumerate(runs)
        ]

    @property
    def keys(self) -> list[str]:
        """Every key that varies."""
        named = [self.axes[ZIP][0] if axis == ZIP else (axis,) for axis in self.axes]
        return list(itertools.chain.from_iterable(named))

    def to_json(self) -> dict[str, Any]:
        """Everything `from_json` needs, as JSON-able data."""
        names = ("name", "base", "axes", "replicas", "seed", "fixed", "tables", "inputs")
        points = [vars(point) for point in self.points]
        return {**{name: getattr(self, name) for name in names}, "points": points}

    @classmethod
    def from_json(cls, data: Mapping[str, Any], text: str) -> "Plan":
        """The plan of `to_json`; its settings are not checked again.

        ValueError, TypeError or KeyError where it has another layout, or points that its axes do
        not give.
        """
        rest = {key: value for key, value in data.items() if key != "points"}
        try:
            plan = TypeAdapter(Plan).validate_python({**rest, "text": text})
            points = TypeAdapter(list[Point]).validate_python(data["points"])
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
        # Settings that a hand or another program changed would run under the names of others.
        rows = plan.axes.get(ZIP, [])
        if rows and not all(isinstance(row, dict) and row.keys() == rows[0].keys() for row in rows):
            raise ValueError("the rows of zip have different keys")
        if len(points) != plan.replicas * math.prod(map(len, plan.axes.values())) or not points:
            raise ValueError(f"{len(points)} points are not those of its axes")
        planned = itertools.product(combinations(plan.axes), range(plan.replicas))
        for index, (point, (settings, replica)) in enumerate(zip(points, planned, strict=True)):
            if (point.index, point.replica, point.settings) != (index, replica, settings):
                raise ValueError(f"point {index} has other settings than its axes give")
        # Names and seeds of that time: another version may derive others.
        plan.__dict__["points"] = points
        return plan

    def run_tables(self, point: Point) -> dict[str, dict]:
        """Sections of the run file of a point, its seed included."""
        tables = {name: dict(table) for name, table in self.tables.items()}
        for key, value in {**point.settings, _SEED_KEY: point.seed}.items():
            section, name = key.split(".")
            if value == REMOVED:
                tables.get(section, {}).pop(name, None)
            else:
                tables.setdefault(section, {})[name] = value
        return tables

    def run_toml(self, point: Point) -> str:
        """Run file of a point: `kmc run` on it gives the trajectory that the sweep gives."""
        title = f"# {point.name}: a point of the sweep {self.name!r}, as a run of its own."
        return f"{title}\n\n{toml_document(self.run_tables(point))}"


def combinations(axes: Mapping[str, list]) -> Iterator[dict[str, Any]]:
    """Settings of every point of some axes, the last axis fastest."""
    for values in itertools.product(*axes.values()):
        settings: dict[str, Any] = {}
        for axis, value in zip(axes, values, strict=True):
            settings.update(value if axis == ZIP else {axis: value})
        yield settings


def canonical(value: Any) -> str:
    """Canonical text of a value, independent of the order of keys and the form of numbers."""

    def plain(item: Any) -> Any:
        if isinstance(item, bool):
            return item
        if isinstance(item, int):
            # 300 and 300.0 are one setting; from 2^53 on a float would merge two integers.
            return float(item) if abs(item) < 2**53 else hex(item)
        if isinstance(item, dict):
            return {key: plain(item[key]) for key in sorted(item)}
        return [plain(part) for part in item] if isinstance(item, list | tuple) else item

    return json.dumps(plain(value), ensure_ascii=True, default=str, separators=(",", ":"))


def _seed(sweep_seed: int, settings: Mapping[str, Any], replica: int) -> int:
    # Grids are compared on the same flaws, whose places follow from the seed alone.
    settings = {key: value for key, value in settings.items() if key != "upscale.grid_um"}
    # From a hash, so that a point keeps its seed when values are added around it. SeedSequence
    # makes neighbouring hashes into streams that are independent for any number of points.
    key = hashlib.sha256(f"{canonical(settings)}#{replica}".encode()).digest()
    spawn_key = [int.from_bytes(key[i : i + 4], "big") for i in range(0, 16, 4)]
    state = np.random.SeedSequence(sweep_seed, spawn_key=spawn_key).generate_state(1, np.uint64)
    return int(state[0]) & MAX_SEED


def _name(settings: Mapping[str, Any], labels: Mapping[str, str], replica: int) -> str:
    """File name of a point without its ending, such as ``temperature_K=310,mg_fraction=0.03,r1``.

    What a file name cannot hold is replaced, and a hash of the settings keeps such names apart.
    """
    parts, exact = [], True
    for key, value in settings.items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            spelt = f"{value:.12g}"
            exact = exact and float(spelt) == value
        elif isinstance(value, str):
            spelt = Path(value).stem if value.endswith(".toml") else value
            exact = exact and spelt == value
        else:
            spelt = canonical(value).strip('"[]')
        parts.append(re.sub(r"[^A-Za-z0-9_.=+-]+", "_", f"{labels[key]}={spelt}"))
        exact = exact and parts[-1] == f"{labels[key]}={spelt}"
    stem = ",".join(parts)
    if not exact or len(stem) > _LONGEST_NAME:
        # Two settings that differ in what a file name cannot hold must not share a file.
        digest = hashlib.sha256(canonical(settings).encode()).hexdigest()[:8]
        stem = f"{stem[:_LONGEST_NAME]},{digest}"
    return f"{stem},r{replica + 1}" if stem else f"r{replica + 1}"


def without_removed(settings: Mapping[str, Any] | None) -> dict[str, Any]:
    """Settings with None, as `load_run` takes it, for a key that is removed."""
    return {key: None if value == REMOVED else value for key, value in (settings or {}).items()}
