"""Pictures of results: a result names a function of `kmc.plotting`, which stands above it."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_MODULE = "kmc.plotting"


def drawn(picture: str, *results: Any, **options: Any) -> Any:
    """A matplotlib figure by the function of `kmc.plotting` of that name.

    The name is looked up when a picture is wanted: an import of `kmc.plotting` below it would make
    a circle, and matplotlib takes a second to load.
    """
    return getattr(import_module(_MODULE), picture)(*results, **options)
