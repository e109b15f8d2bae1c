"""Threads that share the rows of a large square of cells."""

import functools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

_ROWS = 320  # fewest for which another thread gains more than handing over costs


def cores() -> int:
    """Cores this process may use."""
    # A container or a batch system may allow fewer cores than the machine has.
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def threads_for(n_rows: int) -> int:
    """Threads worth having for a square of so many rows: no more than OMP_NUM_THREADS, if set.

    Workers of a sweep have it set to 1, as each has a core.
    """
    stated = os.environ.get("OMP_NUM_THREADS", "")
    most = int(stated) if stated.isdecimal() else cores()
    return max(1, min(most, cores(), n_rows // _ROWS))


def over_rows(function: Callable[[int, int], object], n_rows: int, threads: int) -> None:
    """Call `function(first, last)` on blocks of rows, all at once, and wait for all of them.

    It must let go of the interpreter, as compiled functions do, and write to its own rows only:
    the result is then the same with any number of threads.
    """
    ends = [n_rows * k // threads for k in range(threads + 1)]
    blocks = list(pairwise(ends))
    # The first block is computed by this thread itself, which would only wait.
    others = [_pool(threads).submit(function, *block) for block in blocks[1:]]
    function(*blocks[0])
    for other in others:
        other.result()


@functools.cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads - 1, "kmc rows")
