"""Whether two replicas at once run as fast as one alone: in threads, and in processes.

Speeds are relative to one replica alone, measured in between so that a machine that slows down
does so for both; 1.00 is perfect. The yardstick of `kmc bench`, which shares nothing with anyone,
runs the same way first: where it does not reach 1 the machine is busy or has no second core, and no
program could.
"""

from __future__ import annotations

import os
import statistics
import threading
import time
from collections.abc import Callable

import numpy as np
from common import arguments, finish, show, start, start_together, wait_for_start, write_json

from kmc.kernels import tables
from kmc.systems.electrode import benchmark

CASES = {
    "yardstick": None,
    "bulk_1pct": lambda seed: benchmark.CASES["bulk_1pct"][1](seed),
    "bulk_1pct_1M": lambda seed: benchmark.CASES["bulk_1pct_1M"][1](seed),
    "strip_li_hops": lambda seed: benchmark.strip_engine("strip_li_hops", seed),
}
STEPS_PER_EVENT = 20  # of the yardstick, so that it takes about as long


def prepared(name: str, seed: int) -> Callable[[int], float]:
    """A case ready to run, its code compiled: events → seconds."""
    if name == "yardstick":
        table = np.ones(1 << 20, dtype=np.int64)

        def run(events: int) -> None:
            benchmark.yardstick_loop(table, STEPS_PER_EVENT * events)
    else:
        engine = CASES[name](seed)

        def run(events: int) -> None:
            engine.advance(events=engine.count(tables.EVENTS) + events)

    def timed(events: int) -> float:
        before = time.perf_counter()
        run(events)
        return time.perf_counter() - before

    timed(1000)
    return timed


def replica(name: str, seed: int, events: int) -> float:
    """One replica in this process, which waits until all are ready; returns seconds."""
    timed = prepared(name, seed)
    wait_for_start()
    return timed(events)


def in_processes(name: str, count: int, events: int) -> float:
    """Mean seconds of replicas that run at once, each in a process."""
    running = [start(replica, name, seed, events) for seed in range(1, count + 1)]
    start_together(running)
    return statistics.mean([finish(process) for process in running])


def in_threads(name: str, count: int, events: int) -> float:
    """Mean seconds of replicas that run at once, each in a thread of this process."""
    replicas = [prepared(name, seed) for seed in range(1, count + 1)]
    seconds = [0.0] * count
    ready = threading.Barrier(count)

    def work(i: int) -> None:
        ready.wait()
        seconds[i] = replicas[i](events)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statistics.mean(seconds)


def main() -> None:
    given = arguments(__doc__)
    events, repeats = (2_000_000, 3) if given.quick else (10_000_000, 3)
    rows = []
    for name in list(CASES)[:2] if given.quick else CASES:
        for how, run in (("threads", in_threads), ("processes", in_processes)):
            speeds = [run(name, 1, events) / run(name, 2, events) for _ in range(repeats)]
            rows.append({"case": name, "replicas": how, "speed_each": statistics.median(speeds)})
            rows[-1] |= {"lowest": min(speeds), "highest": max(speeds)}
    headings = {
        "case": "case",
        "replicas": "two replicas\nin",
        "speed_each": "speed of each\n(one alone = 1)",
        "lowest": "lowest",
        "highest": "highest",
    }
    show(f"Two replicas at once, {os.cpu_count()} cores", rows, headings)
    write_json(given.out, "two_cores", rows)


if __name__ == "__main__":
    main()
