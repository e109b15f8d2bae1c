"""The whole suite runs on all cores where pytest-xdist is there; no test needs it."""

from __future__ import annotations

import gc
import os
import re
import zlib

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config) -> None:
    """Without paths and without -n: as many processes as cores, each file in one of them.

    pytest-cov has begun to measure one process by now: with --cov, ask for `-n auto` as well.
    """
    option = config.option
    on_its_own = config.args_source is not config.ArgsSource.ARGS
    if "PYTEST_XDIST_WORKER" in os.environ or not on_its_own:
        return
    os.environ["KMC_TESTS_COMPILE_FIRST"] = "1"  # inherited by the processes
    measures_coverage = getattr(option, "cov_source", []) != []  # None: what pyproject.toml states
    if getattr(option, "numprocesses", 0) is None and not measures_coverage:
        option.numprocesses = "auto"
        option.dist = "loadfile"


@pytest.hookimpl(wrapper=True)
def pytest_collection(session):
    """Collect tests without searching for unused objects: modules and tests stay until the end.

    The search takes half of the time of the collection.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session", autouse=True)
def compiled_once(tmp_path_factory):
    """Processes that run side by side compile each kernel once, and share it through numba's cache.

    Who needs a kernel that another process is compiling waits for it. A run of the whole suite
    begins with another kernel in each process.
    """
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker is None:
        yield
        return
    from filelock import FileLock
    from numba.core.caching import IndexDataCacheFile, NullCache
    from numba.core.dispatcher import Dispatcher

    shared = tmp_path_factory.getbasetemp().parent  # of all processes
    compile_, save = Dispatcher.compile, IndexDataCacheFile.save

    def compile_once(self, signature):
        if isinstance(self._cache, NullCache):
            return compile_(self, signature)
        name = f"{self.py_func.__name__}{zlib.crc32(str(signature).encode())}"
        with FileLock(shared / f"{name}.lock"):
            return compile_(self, signature)

    def save_alone(self, key, data):
        with FileLock(shared / "index.lock"):
            save(self, key, data)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Dispatcher, "compile", compile_once)
        patch.setattr(IndexDataCacheFile, "save", save_alone)
        if os.environ.get("KMC_TESTS_COMPILE_FIRST"):
            kinds = ("strip_li_hops", "strip_limg", "lithiophilic_exact")
            _compile(kinds[int(re.sub(r"\D", "", worker)) % len(kinds)])
        yield


def _compile(name: str) -> None:
    """Compile the kernels of a shipped run, or load them."""
    from kmc.runfile.load import load_run
    from kmc.systems.electrode.run import ElectrodeJob

    engine = ElectrodeJob(load_run(name, {"system.size": [8, 8, 12]})).engine
    engine.advance(events=1)
    engine.sample()
