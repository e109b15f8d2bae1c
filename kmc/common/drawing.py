"""What a result asks of packages above it: its pictures, and what its kind of run does.

The names are looked up when they are wanted: an import of `kmc.plotting` or `kmc.systems` below
them would make a circle, and matplotlib takes a second to load.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any


def drawn(picture: str, *results: Any, **options: Any) -> Any:
    """A matplotlib figure by the function of `kmc.plotting` of that name."""
    # Late: tables alone need no matplotlib.
    return getattr(import_module("kmc.plotting"), picture)(*results, **options)


def kinds_of_run() -> dict[str, Any]:
    """Name of a kind of run → its `kmc.systems.system.System`."""
    return import_module("kmc.systems").SYSTEMS


def registered(kind: str) -> Any:
    """The kind of run of that name."""
    return kinds_of_run()[kind]
