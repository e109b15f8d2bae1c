"""How long compilation takes, and how soon a run starts once it is cached.

Every number is that of a real process: "compiling" has an empty cache folder of its own, "cached"
is the next process that uses the same folder. The last rows are whole commands `kmc run`, from
Enter to the end of the first event.
"""

from __future__ import annotations

import contextlib
import io
import statistics
import tempfile
import time
from pathlib import Path

from common import arguments, fresh, show, write_json


def compile_and_start(name: str) -> dict[str, float]:
    """Seconds until the package is imported, and from there to the first event of a run."""
    before = time.perf_counter()
    from kmc.systems.electrode import benchmark

    imported = time.perf_counter()
    engine = benchmark.bulk_engine(10, 20, 20) if name == "bulk" else benchmark.strip_engine(name)
    engine.advance(events=1)
    return {"import_s": imported - before, "first_event_s": time.perf_counter() - imported}


def run_until_first_event(name: str, pressed_s: float, folder: str) -> float:
    """Seconds from Enter to the first event of a whole `kmc run`."""
    from kmc.cli import app
    from kmc.kernels import loop

    returned = []
    advance = loop.advance

    def noting(*given):
        reason = advance(*given)
        returned.append(time.time())
        return reason

    loop.advance = noting
    command = ["run", name, "-q", "-o", str(Path(folder) / "run.h5"), "--force"]
    command += ["--set", "stop.capacity_monolayers=none", "--set", "stop.events=1"]
    with contextlib.redirect_stdout(io.StringIO()):
        app.main(command, standalone_mode=False)
    return returned[0] - pressed_s


def main() -> None:
    given = arguments(__doc__)
    rows = []
    names = (
        ("strip_li_hops",)
        if given.quick
        else ("strip_li_hops", "strip_limg", "cycle_li", "pressure_1", "bulk")
    )
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            cache = str(Path(folder) / name)
            for what in ("compiling", "cached"):
                row = fresh(compile_and_start, name, NUMBA_CACHE_DIR=cache)
                rows.append({"case": name, "what": what, **row, "total_s": sum(row.values())})
        for name in names[:2]:
            cache = str(Path(folder) / name)
            repeats = 2 if given.quick else 5
            seconds = [
                fresh(run_until_first_event, name, time.time(), folder, NUMBA_CACHE_DIR=cache)
                for _ in range(repeats + 1)  # the first one compiles what only a run needs
            ][1:]
            total = statistics.median(seconds)
            rows.append({"case": f"kmc run {name}", "what": "Enter to first event"})
            rows[-1] |= {"total_s": total, "lowest_s": min(seconds), "highest_s": max(seconds)}
    headings = {
        "case": "case",
        "what": "",
        "import_s": "import\n(s)",
        "first_event_s": "first event\n(s)",
        "total_s": "total\n(s)",
    }
    show("Compilation and start", rows, headings)
    write_json(given.out, "compile_time", rows)


if __name__ == "__main__":
    main()
