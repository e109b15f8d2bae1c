"""A local worker: reads jobs from standard input, one JSON object a line, until it closes.

A job is a point to run, or trajectories whose summary numbers are wanted.

When the sweep that started it dies, the operating system closes the pipe, and the worker ends.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading

from kmc.campaign.run_point import run_point


def main() -> None:
    """Do jobs until standard input closes."""
    results = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)  # output of libraries must not mix with the results
    jobs: queue.SimpleQueue = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(jobs,), daemon=True).start()
    import kmc.systems.electrode.run  # noqa: F401 - loaded while the first worker compiles

    results.write("ready\n")
    while True:
        job = jobs.get()
        if "files" in job:
            from kmc.campaign.scalars import read_entries

            result = read_entries(**job)
        else:
            result = run_point(**job)
        results.write(json.dumps(result) + "\n")


def _listen(jobs: queue.SimpleQueue) -> None:
    for line in sys.stdin:
        jobs.put(json.loads(line))
    os._exit(0)
