"""Whole runs of two checkouts in turns on one core: cost of an event, and the ratio.

Both run the same seeds a stretch of events at a time, one after the other, so that what else the
machine does hits both alike; the processor time of every stretch is compared with that of the same
stretch of the other. Afterwards both boxes must be in the same state, or the script says so.
"""

from __future__ import annotations

import hashlib
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from common import HERE, arguments, finish, show, start, write_json

RUNS = ("strip_li_hops", "strip_limg")
BULK = {"bulk_1pct": (40, 80, 1280), "bulk_1pct_16M": (200, 400, 160_000)}  # cells, layers, vacant
QUICK = (*RUNS, "bulk_1pct")
BULK_EVENTS = 2_000_000
STRETCH = 50_000  # events


def serve() -> None:
    """In a process of its own: make the engines that are asked for and run stretches of events."""
    import kmc
    from kmc.kernels import tables
    from kmc.runfile.load import load_run
    from kmc.systems.electrode import benchmark

    print(json.dumps(str(Path(kmc.__file__).resolve().parents[1])), flush=True)
    if hasattr(os, "sched_setaffinity"):  # the same core for both (Linux)
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    for line in sys.stdin:
        name, most = json.loads(line)
        if name in BULK:
            engine, strips = benchmark.bulk_engine(*BULK[name]), sys.maxsize
        else:
            engine = benchmark.strip_engine(name, 1)
            monolayers = load_run(name).stop.capacity_monolayers
            strips = int(monolayers * engine.model.lattice.sites_per_layer)
        engine.advance(events=1)  # compiles
        print(json.dumps(True), flush=True)
        for _ in sys.stdin:
            before = engine.count(tables.EVENTS)
            watch = time.process_time()
            engine.advance(events=min(before + STRETCH, most), strips=strips)
            seconds = time.process_time() - watch
            events = engine.count(tables.EVENTS) - before
            state = hashlib.sha256(engine.state.counters.tobytes() + engine.occupancy().tobytes())
            print(json.dumps([events, seconds, state.hexdigest()]), flush=True)
            if events == 0:
                break
    print("null")


def ask(process: subprocess.Popen, question: Any) -> Any:
    process.stdin.write(json.dumps(question) + "\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


def compare(name: str, most: int, processes: list[subprocess.Popen]) -> dict[str, Any]:
    """One run in both, stretch by stretch; the one that goes first changes every time."""
    for process in processes:
        ask(process, [name, most])
    stretches: list[list[list]] = []
    order = (0, 1)
    while not stretches or stretches[-1][0][0] > 0:
        both: list[list] = [[], []]
        for i in order:
            both[i] = ask(processes[i], "on")
        order = order[::-1]
        stretches.append(both)
    last = stretches.pop()
    events = sum(one[0] for one, _ in stretches)
    seconds = [sum(both[i][1] for both in stretches) for i in (0, 1)]
    ratios = [one[1] / two[1] for one, two in stretches]
    tenth = max(1, len(ratios) // 10)
    return {
        "case": name,
        "events": events,
        "other_ns": 1e9 * seconds[0] / events,
        "this_ns": 1e9 * seconds[1] / events,
        "ratio": statistics.median(ratios),
        "ratio_first": statistics.median(ratios[:tenth]),
        "ratio_last": statistics.median(ratios[-tenth:]),
        "state": "same" if last[0][2] == last[1][2] else "DIFFERS",
    }


def main() -> None:
    def more(parser):
        parser.add_argument(
            "--other", type=Path, required=True, metavar="FOLDER", help="the other checkout"
        )

    given = arguments(__doc__, more)
    if not (given.other / "kmc" / "kernels").is_dir():
        raise SystemExit(f"--other {given.other}: no kmc/kernels in it. Give a checkout of kmc.")
    processes = []
    for tree in (given.other.resolve(), HERE.parent):
        # Nothing of the folder it is started in.
        processes.append(start(serve, PYTHONPATH=str(tree), PYTHONSAFEPATH="1"))
        imported = json.loads(processes[-1].stdout.readline())
        if imported != str(tree):
            raise SystemExit(f"{imported} was imported instead of {tree}")
    rows = []
    for name in QUICK if given.quick else (*RUNS, *BULK):
        most = BULK_EVENTS if name in BULK else sys.maxsize
        rows.append(compare(name, min(most, 500_000) if given.quick else most, processes))
        print(f"{name} done", flush=True)
    for process in processes:
        finish(process)
    headings = {
        "case": "case",
        "events": "events",
        "other_ns": "other\n(ns)",
        "this_ns": "this\n(ns)",
        "ratio": "ratio\nmedian",
        "ratio_first": "first\ntenth",
        "ratio_last": "last\ntenth",
        "state": "state\nafter",
    }
    show("Cost of an event in whole runs, in turns", rows, headings)
    write_json(given.out, "two_versions", rows, other=str(given.other), stretch=STRETCH)


if __name__ == "__main__":
    main()
