"""The way from a result to its picture.

Analysis stands below plotting and imports nothing of it: pictures are looked up by name when
somebody asks for one, as `kmc` looks up its own names.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any


def draw(name: str, *results: Any, **options: Any) -> Any:
    """Figure drawn by the function of that name in ``kmc.plotting``."""
    return getattr(import_module("kmc.plotting"), name)(*results, **options)
