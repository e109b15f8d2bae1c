"""Decorators of the kernels."""

from __future__ import annotations

import pickle
from pathlib import Path

import numba
import numpy as np
import pytest
from numba import config, njit
from numba.core.caching import IndexDataCacheFile

from kmc.kernels.jit import entry, inner, rare, reported_compilation

VERSION = pickle.dumps(numba.__version__)


@inner
def double(x):
    return 2 * x


@rare
def plus_one(x):
    return double(x) + 1


def sum_of(values):
    total = 0.0
    for value in values:
        total += plus_one(value)
    return total


def test_parts_run_as_python_where_python_calls_them():
    assert double("ab") == "abab"  # no compiled function takes text
    assert plus_one(3.0) == 7.0


@pytest.mark.skipif(config.DISABLE_JIT, reason="nothing is compiled")
def test_compilation_is_reported_once():
    compiled, reports = njit(sum_of), []

    def report(done, of):
        reports.append((done, of))

    with reported_compilation(compiled, report):
        assert compiled(np.arange(3.0)) == 9.0
    assert reports[0][1] == 2  # double and plus_one
    assert reports[-1] == (2, 2)
    before = len(reports)
    with reported_compilation(compiled, report):
        compiled(np.arange(3.0))
    assert len(reports) == before


def test_a_full_disk_does_not_keep_a_kernel_from_running(monkeypatch):
    """Where compiled code cannot be kept, it is used all the same."""

    def full(*_):
        raise OSError(27, "File too large")

    monkeypatch.setattr(IndexDataCacheFile, "save", full)

    @entry
    def doubled(x):
        return 2 * x

    assert doubled(np.int64(21)) == 42


@pytest.mark.skipif(config.DISABLE_JIT, reason="nothing is compiled")
@pytest.mark.parametrize(
    "damage", [b"", pickle.dumps(numba.__version__) + b"ckmc.kernels\nGone\n."]
)
def test_code_kept_by_another_version_is_compiled_again(damage):
    """Its index names classes that this version has not."""

    @entry
    def tripled(x):
        return 3 * x

    assert tripled(np.int64(2)) == 6
    path = Path(tripled._cache._cache_file._index_path)
    assert path.is_file()
    path.write_bytes(damage)
    again = entry(tripled.py_func)
    assert again(np.int64(2)) == 6
    assert len(path.read_bytes()) > len(damage)  # and kept


@pytest.mark.skipif(config.DISABLE_JIT, reason="nothing is compiled")
def test_a_part_is_linked_into_its_callers_and_nothing_else_is_made_of_it():
    compiled = njit(sum_of)
    assert compiled(np.arange(3.0)) == 9.0
    for part in (double, plus_one):
        for overload in part.dispatcher.overloads.values():
            assert type(overload.library).__name__ == "_PartLibrary"
            assert overload.fndesc.llvm_func_name in overload.library.get_llvm_str()
