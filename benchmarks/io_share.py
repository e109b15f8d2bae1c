"""How much of a run goes into samples, frames and the file, and how long the file stops the loop.

strip_li as shipped, and the same in a box of a million sites with frames far more often than
anyone needs them, so that the longest stop is found.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from common import arguments, show, write_json

from kmc.common.interruption import Interruption
from kmc.common.progress import Silent
from kmc.runfile.load import load_run
from kmc.systems import SYSTEMS
from kmc.systems.electrode.run import ElectrodeJob
from kmc.systems.job import carry_out


class Stopwatch:
    """Adds up the time spent in some methods; what they call of each other counts once."""

    def __init__(self) -> None:
        self.total_s = self.longest_s = 0.0
        self._depth = 0

    def watch(self, owner: Any, *names: str) -> None:
        for name in names:
            setattr(owner, name, self._watched(getattr(owner, name)))

    def _watched(self, method):
        def timed(*given, **named):
            self._depth += 1
            before = time.perf_counter()
            try:
                return method(*given, **named)
            finally:
                self._depth -= 1
                if not self._depth:
                    spent = time.perf_counter() - before
                    self.total_s += spent
                    self.longest_s = max(self.longest_s, spent)

        return timed


def measure(name: str, overrides: dict[str, Any], folder: str) -> dict[str, Any]:
    """Run to the end and say where the time went."""
    run = load_run("strip_li_hops", overrides)
    simulation = ElectrodeJob(run)
    simulation.engine.advance(events=1)  # compiles
    simulation.engine.sample()
    writer = SYSTEMS["electrode"].writer(Path(folder) / f"{name}.h5", run, simulation)
    sampling, writing = Stopwatch(), Stopwatch()
    sampling.watch(simulation.engine, "sample", "occupancy")
    writing.watch(writer, "append_sample", "append_frame", "flush", "close")
    before = time.perf_counter()
    with Interruption() as interruption:
        carry_out(simulation, writer, Silent(), interruption)
    total = time.perf_counter() - before
    return {
        "case": name,
        "sites": simulation.model.lattice.n_sites,
        "run_s": total,
        "sampling_percent": 100 * sampling.total_s / total,
        "writing_percent": 100 * writing.total_s / total,
        "percent": 100 * (sampling.total_s + writing.total_s) / total,
        "longest_stop_s": max(writing.longest_s, sampling.longest_s),
    }


def main() -> None:
    given = arguments(__doc__)
    large = {
        "system.size": [200, 200, 25],
        "stop.capacity_monolayers": None,
        "stop.wall_time_s": 5.0 if given.quick else 20.0,
        "output.frame_every_events": 1_000_000,
    }
    with tempfile.TemporaryDirectory() as folder:
        rows = [
            measure("strip_li as shipped", {}, folder),
            measure("a million sites, many frames", large, folder),
        ]
    headings = {
        "case": "case",
        "run_s": "run\n(s)",
        "sampling_percent": "sampling\n(%)",
        "writing_percent": "writing\n(%)",
        "percent": "both\n(%)",
        "longest_stop_s": "longest\nstop (s)",
    }
    show("Share of sampling and writing", rows, headings)
    write_json(given.out, "io_share", rows)


if __name__ == "__main__":
    main()
