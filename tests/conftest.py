"""The whole suite runs on all cores where pytest-xdist is there; no test needs it."""

from __future__ import annotations

import os

import pytest

COMPILE_FIRST = "KMC_TESTS_COMPILE_FIRST"


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config) -> None:
    """Without paths and without -n: as many processes as cores, each file in one of them."""
    option = config.option
    on_its_own = config.args_source is not config.ArgsSource.ARGS
    is_worker = "PYTEST_XDIST_WORKER" in os.environ
    if not is_worker and on_its_own and getattr(option, "numprocesses", 0) is None:
        option.numprocesses = "auto"
        option.dist = "loadfile"
        os.environ[COMPILE_FIRST] = "1"  # the processes inherit it


@pytest.fixture(scope="session", autouse=True)
def compiled_once(tmp_path_factory):
    """Of a whole run: each kind of kernel is compiled by one process, the others load it from disk.

    They share numba's cache; its index is changed by one process at a time. Every process begins
    with another kind, and waits for those that others are at work on.
    """
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    if not (worker and os.environ.get(COMPILE_FIRST)):
        return
    from filelock import FileLock
    from numba.core.caching import IndexDataCacheFile

    kinds = ("strip_li", "strip_limg")
    shared = tmp_path_factory.getbasetemp().parent  # of all processes
    first = int(worker.removeprefix("gw")) % len(kinds)
    save = IndexDataCacheFile.save

    def save_alone(self, key, data):
        with FileLock(shared / "index.lock"):
            save(self, key, data)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(IndexDataCacheFile, "save", save_alone)
        for kind in kinds[first:] + kinds[:first]:
            with FileLock(shared / f"{kind}.lock"):
                _compile(kind)


def _compile(kind: str) -> None:
    """Compile the kernels of a run, or load them."""
    from kmc.runfile.load import load_run
    from kmc.simulation.run import Simulation

    engine = Simulation(load_run(kind, {"system.size": [8, 8, 12]})).engine
    engine.advance(events=1)
    engine.sample()
    engine.vacancy_rates_Hz(0)
