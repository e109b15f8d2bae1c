"""A billion events: no drift, no leak, no slow-down, and every check from scratch passes.

One run as `kmc run --check-every` does it, trajectory included: the box of strip_li without
current, 1 % vacant, its voids forming and dissolving. Costs are of processor time, so that other
work on the machine does not show.

    python benchmarks/long_run.py              # 1e9 events; --quick: 2e7
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from common import arguments, draw, show, write_json

from kmc import load
from kmc.common.interruption import Interruption
from kmc.common.progress import Silent
from kmc.runfile.load import load_run
from kmc.systems import SYSTEMS
from kmc.systems.electrode.run import ElectrodeJob
from kmc.systems.job import carry_out

EVENTS = {True: 20_000_000, False: 1_000_000_000}
PARTS = 20  # rows of the table


class Watch(Silent):
    """Notes processor time and memory each time another part of the run is done."""

    def __init__(self, simulation: ElectrodeJob, events: int):
        self.simulation, self.events = simulation, events
        self.rows: list[dict[str, float]] = []
        self._last = (0, time.process_time())

    def update(self, fraction: float, text: str, parts: Sequence = ()) -> None:
        done, now = self.simulation.engine.sample()["events"], time.process_time()
        before, then = self._last
        if done - before < self.events / PARTS:
            return
        self.rows.append(
            {
                "events": done,
                "ns_per_event": 1e9 * (now - then) / (done - before),
                "resident_MB": resident_MB(),
            }
        )
        self._last = (done, now)
        last = self.rows[-1]
        print(
            f"{done:.3g} events  {last['ns_per_event']:.0f} ns each  {last['resident_MB']:.0f} MB",
            file=sys.stderr,
        )


def resident_MB() -> float:
    """Memory of this process now (Linux), or at its most elsewhere."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize() / 1e6
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def main() -> None:
    given = arguments(__doc__)
    events = EVENTS[given.quick]
    run = load_run(
        "strip_li_hops",
        {
            "conditions.current_density_mA_cm2": 0.0,
            "acceleration.max_hops_per_strip_per_site": None,
            "acceleration.saddle_floor_eV": 0.1,
            "system.vacancy_fraction": 0.01,
            "stop.capacity_monolayers": None,
            "stop.events": events,
            "output.sample_every_events": events // 1000,
            "output.frame_every_events": events // 100,
        },
    )
    simulation = ElectrodeJob(run, check_every=events // 10)
    watch = Watch(simulation, events)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "long.h5"
        writer = SYSTEMS["electrode"].writer(path, run, simulation)
        with Interruption() as interruption:
            carry_out(simulation, writer, watch, interruption)
        samples = load(path).samples
        size_MB = path.stat().st_size / 1e6
        energy = samples.energy_eV
    rows = watch.rows
    show(
        f"{events:.3g} events, checked from scratch ten times: no difference",
        rows,
        {"events": "events", "ns_per_event": "ns/event", "resident_MB": "resident MB"},
    )
    half = len(energy) // 2
    ends = [np.mean(energy[half : half + half // 2]), np.mean(energy[half + half // 2 :])]
    print(f"mean energy in the third and in the last quarter: {ends[0]:.3f}, {ends[1]:.3f} eV")
    print(f"trajectory: {size_MB:.1f} MB, {len(samples)} samples")
    write_json(given.out, "long_run", rows, events=events, energy_eV=ends)
    draw(
        given.out,
        "long_run",
        {"cost": ([row["events"] for row in rows], [row["ns_per_event"] for row in rows])},
        "events",
        "ns per event",
        lowest=10,
    )


if __name__ == "__main__":
    main()
