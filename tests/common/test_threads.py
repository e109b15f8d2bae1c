"""Rows shared between threads: each once, whatever their number."""

from __future__ import annotations

import numpy as np
import pytest

from kmc.common import threads


@pytest.mark.parametrize(("rows", "number"), [(7, 1), (7, 2), (7, 3), (2, 3)])
def test_every_row_is_done_once(rows, number):
    done = np.zeros(rows, dtype=int)

    def count(first, last):
        done[first:last] += 1

    threads.over_rows(count, rows, number)
    assert done.tolist() == [1] * rows


def test_an_error_of_any_thread_is_raised():
    def refuse(first, last):
        if last == 9:
            raise ValueError("last block")

    with pytest.raises(ValueError, match="last block"):
        threads.over_rows(refuse, 9, 3)


def test_threads_are_no_more_than_cores_and_omp_num_threads(monkeypatch):
    monkeypatch.setattr(threads, "cores", lambda: 4)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert [threads.threads_for(n) for n in (100, 639, 640, 960, 5000)] == [1, 1, 2, 3, 4]
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert threads.threads_for(5000) == 2
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert threads.threads_for(5000) == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "9")
    assert threads.threads_for(5000) == 4
