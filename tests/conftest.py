"""The whole suite runs on all cores where pytest-xdist is there; no test needs it."""

from __future__ import annotations

import os

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config) -> None:
    """Without paths and without -n: as many processes as cores, each file in one of them."""
    option = config.option
    on_its_own = config.args_source is not config.ArgsSource.ARGS
    is_worker = "PYTEST_XDIST_WORKER" in os.environ
    if not is_worker and on_its_own and getattr(option, "numprocesses", 0) is None:
        option.numprocesses = "auto"
        option.dist = "loadfile"
