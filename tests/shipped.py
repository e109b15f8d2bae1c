"""The run files that come with kmc."""

from __future__ import annotations

from functools import cache

from kmc.common import catalogue
from kmc.runfile.load import load_run


@cache
def kinds() -> dict[str, str]:
    """Kind of every shipped run by its name; tests are chosen by it while they are collected."""
    return {name: load_run(name).kind for name in catalogue.names("runs")}
