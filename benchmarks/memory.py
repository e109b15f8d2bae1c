"""How much memory a site takes: the arrays of the event loop, and what the process grew by.

Every size has a process of its own. "arrays" counts what the loop keeps: words, places in the bins,
and the bins in use; "grown" is the resident memory of the process with a running box less that
before the box was made (compiled code included in neither), "peak" the same for the highest mark,
which making the box needs for a moment.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from common import arguments, draw, fresh, show, write_json

CELLS = (17, 37, 79, 126, 200)  # 2 n³ sites: 9 826 … 16 000 000
FRACTION = 0.01


def _status(key: str) -> int:
    """A line of this process's status in bytes (Linux)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key):
            return int(line.split()[1]) * 1024
    raise SystemExit("memory.py reads /proc, which only Linux has")


def _state_bytes(engine: Any) -> int:
    """Memory that the loop keeps for a box: site states, places in the bins, members in use."""
    state = engine.state
    used = state.site_state.nbytes + state.dirty.nbytes
    for bins in (state.hops, state.strips):
        used += bins.where.nbytes + int(bins.count.sum()) * bins.members.itemsize
    return used


def measure(n: int) -> dict[str, float]:
    """Bytes a site of a bulk box of 2 n³ sites."""
    from kmc.systems.electrode import benchmark

    benchmark.bulk_engine(6, 12, 4).advance(events=100)  # compiled code comes in
    before = _status("VmRSS")
    sites = 2 * n**3
    engine = benchmark.bulk_engine(n, 2 * n, max(1, round(FRACTION * sites)))
    engine.advance(events=100_000)
    return {
        "sites": sites,
        "arrays_MB": _state_bytes(engine) / 1e6,
        "arrays_per_site": _state_bytes(engine) / sites,
        "grown_per_site": (_status("VmRSS") - before) / sites,
        "peak_per_site": (_status("VmHWM") - before) / sites,
    }


def main() -> None:
    given = arguments(__doc__)
    rows = [fresh(measure, n) for n in (CELLS[:3] if given.quick else CELLS)]
    headings = {
        "sites": "sites",
        "arrays_MB": "arrays\n(MB)",
        "arrays_per_site": "arrays\n(bytes/site)",
        "grown_per_site": "grown\n(bytes/site)",
        "peak_per_site": "peak\n(bytes/site)",
    }
    show("Memory, bulk, 1 % vacant", rows, headings)
    write_json(given.out, "memory", rows, vacancy_fraction=FRACTION)
    sites = [row["sites"] for row in rows]
    curves = {
        "arrays of the loop": (sites, [row["arrays_per_site"] for row in rows]),
        "process, running": (sites, [row["grown_per_site"] for row in rows]),
        "process, peak": (sites, [row["peak_per_site"] for row in rows]),
    }
    draw(given.out, "memory", curves, "sites", "memory (bytes per site)", lowest=5)


if __name__ == "__main__":
    main()
