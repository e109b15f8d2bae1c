"""History of speed: what the same jobs cost at one commit after another.

python benchmarks/history.py                   # measures this checkout, adds a point, prints all
python benchmarks/history.py --other FOLDER    # the same of an older checkout
python benchmarks/history.py --print           # prints the table and measures nothing

Points are kept in history.json, their table in docs/benchmarks.md. Work is counted, which gives the
same numbers on every machine; `tests/kernels/test_work.py` compares it with the last point. Time is
processor time divided by that of a fixed loop, the yardstick, which runs before and after every
repeat in the same process: what else the machine does slows both. The median of the repeats is
kept, and half the distance between their quartiles.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "benchmarks.md"
MARK = "<!-- Made by benchmarks/history.py -->\n"
REPEATS = 3
EVENTS = 50_000  # of the counts of work
BOX = {  # of strip_li and strip_limg: later changes of the shipped runs leave it alone
    "system__size": [32, 32, 24],
    "system__vacancy_fraction": 0.02,
    "conditions__current_density_mA_cm2": 0.5,
    "acceleration__max_hops_per_strip_per_site": 1e5,
}
# Modules by today's name, then those of older commits.
BENCHMARK = ("kmc.systems.electrode.benchmark", "kmc.simulation.benchmark", "kmc.benchmark")
GAPS = ("kmc.systems.population.gaps", "kmc.population.gaps")
FIELD = {
    "system.params": "li_li2s",
    "conditions.current_density_mA_cm2": 0.5,
    "upscale.domain_um": 12,
    "upscale.capacity_mAh_cm2": 0.6,
}


LOOP = ("bulk_1pct", "strip_li", "strip_limg")
# Columns of the page: case, key of its work or None for its time, heading.
COLUMNS = (
    *((name, key, f"{name}: {unit}") for name in LOOP
      for key, unit in (("refreshes", "refreshes"), (None, "time"))),
    ("field", "steps", "field: steps"), ("field", "iterations", "iterations"),
    ("field", None, "time of a step"), ("sweep", "kB", "sweep: kB of a point"),
    ("sweep", None, "time of a point"), ("load", None, "time to load a file"),
)  # fmt: skip


# --- one checkout, in a process of its own -------------------------------------------------------


def first_of(names: tuple[str, ...]) -> Any:
    """The first of these modules that the checkout has; None without any."""
    for name in names:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return None


@functools.cache
def table_8MB() -> Any:
    return importlib.import_module("numpy").ones(1 << 20, dtype="int64")


def yardstick() -> float:
    """Processor seconds of a step of the fixed loop: a multiplication and a read from 8 MB."""
    start = time.process_time()
    first_of(BENCHMARK).yardstick_loop(table_8MB(), 1_000_000)
    return (time.process_time() - start) / 1e6


def used() -> float:
    """Processor seconds of this process and of those it started: a sweep may start workers."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime


def timed(job: Callable[[], Callable[[], float]], repeats: int) -> dict[str, float]:
    """Time of one part (an event, a step, a point, a file) in steps of the yardstick.

    Parameters
    ----------
    job : callable
        Prepares, and returns what is timed; that returns how many parts it did.
    """
    ratios = []
    for _ in range(repeats + 1):
        run = job()
        before, start = yardstick(), used()
        parts = run()
        seconds = used() - start
        ratios.append(seconds / parts / ((before + yardstick()) / 2))
    ratios = ratios[1:]  # the first compiles
    low, median, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return {"time": median, "spread": (high - low) / 2 / median}


def engine_of(name: str) -> Any:
    module = first_of(BENCHMARK)
    if name.startswith("strip"):
        return module.strip_engine(name, 1, **BOX)
    return module.CASES[name][1](1)


def loop_work(name: str) -> dict[str, float]:
    """Draws and refreshed vacancies per event of a case of `kmc bench`."""
    tables = importlib.import_module("kmc.kernels.tables")
    engine = engine_of(name)
    engine.advance(events=EVENTS)
    events = engine.count(tables.EVENTS)
    return {
        "attempts": engine.count(tables.ATTEMPTS) / events,
        "refreshes": engine.count(tables.REFRESHES) / events,
    }


def loop_case(name: str, repeats: int) -> dict[str, Any]:
    def job():
        engine = engine_of(name)
        engine.advance(events=1)
        return lambda: engine.advance(events=200_000) * 0 + 200_000

    return {"work": loop_work(name), **timed(job, repeats)}


def run_field(folder: Path) -> dict[str, int]:
    """Steps and iterations of the solver of a square of 12 µm, its voids from nucleation."""
    import kmc

    made = []
    gaps = first_of(GAPS).Gaps
    begin = gaps.__init__

    def noting(self, *given):
        begin(self, *given)
        made.append(self)

    gaps.__init__ = noting
    try:
        kmc.run("upscale_li", FIELD, output=folder / "field.h5", overwrite=True, progress=False)
    finally:
        gaps.__init__ = begin
    return {"steps": made[-1].ledger.steps, "iterations": made[-1].ledger.solver_steps}


def field_case(folder: Path, repeats: int) -> dict[str, Any]:
    def job():
        return lambda: run_field(folder)["steps"]

    return {"work": run_field(folder), **timed(job, repeats)}


def sweep_case(folder: Path, repeats: int) -> dict[str, Any]:
    """Points of one event in a small box: start, file and index are what is left."""
    from kmc.cli import main

    path, n, outs = folder / "points.toml", 10, []
    path.write_text(
        f'run = "strip_li"\nreplicas = {n}\n[set]\n"system.size" = [8, 8, 12]\n'
        '"stop.capacity_monolayers" = "none"\n"stop.events" = 1\n'
        '"acceleration.max_hops_per_strip_per_site" = 1e6\n'
    )

    def sweep() -> int:
        outs.append(Path(tempfile.mkdtemp(dir=folder)))
        try:
            main(["sweep", str(path), "-o", str(outs[-1] / "out"), "--workers", "1", "-q"])
        except SystemExit as end:
            if end.code:
                raise RuntimeError("kmc sweep failed") from end
        return n

    time_ = timed(lambda: sweep, repeats)
    sizes = [file.stat().st_size for file in outs[-1].rglob("*.h5")]
    return {"work": {"kB": round(statistics.median(sizes) / 1000)}, **time_}


def load_case(folder: Path, repeats: int) -> dict[str, Any]:
    """Opening the file of a box and reading a column of its samples."""
    import kmc

    path = folder / "load.h5"
    changes = {key.replace("__", "."): value for key, value in BOX.items()}
    changes |= {"stop.capacity_monolayers": 0.5, "random.seed": 1}
    kmc.run("strip_li", changes, output=path, overwrite=True, progress=False)

    def read() -> int:
        for _ in range(10):
            assert len(kmc.load(path).samples["time_s"])
        return 10

    size = path.stat().st_size
    return {"work": {"kB": round(size / 1000)}, **timed(lambda: read, repeats)}


def probe(repeats: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every case that the checkout in PYTHONPATH can run."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for case in LOOP:
            yield case, loop_case(case, repeats)
        if first_of(GAPS):
            yield "field", field_case(folder, repeats)
        yield "sweep", sweep_case(folder, repeats)
        yield "load", load_case(folder, repeats)


# --- all commits ---------------------------------------------------------------------------------


def measured(tree: Path, repeats: int) -> dict[str, Any]:
    """A point of the history: commit, date, and all cases of a checkout."""

    def git(*words: str) -> str:
        command = ["git", "-C", str(tree), *words]
        return subprocess.run(command, capture_output=True, text=True).stdout.strip()

    code = f"import sys; sys.path.append({str(HERE)!r}); import history, json\n"
    code += f"for case in history.probe({repeats}): print(json.dumps(case), flush=True)"
    printed = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(tree), "PYTHONSAFEPATH": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    cases = dict(json.loads(line) for line in printed.splitlines() if line.startswith('["'))
    commit, when = git("rev-parse", "--short", "HEAD"), git("log", "-1", "--format=%cI")
    now = datetime.now().astimezone().isoformat(timespec="seconds")
    return {"commit": commit or "no git", "date": when or now, "cases": cases}


def table(history: list[dict[str, Any]]) -> str:
    """The points as Markdown; times in steps of the yardstick."""
    lines = ["| commit | date | " + " | ".join(heading for *_, heading in COLUMNS) + " |"]
    lines.append("|---" * (len(COLUMNS) + 2) + "|")
    for point in history:
        cells = [f"`{point['commit']}`", point["date"][:10]]
        for case, key, _ in COLUMNS:
            found = point["cases"].get(case)
            if found is None:
                cells.append("–")
            elif key is None:
                time_ = found["time"] if case in LOOP else found["time"] / 1e6
                cells.append(f"{time_:.3g} ± {100 * found['spread']:.0f} %")
            else:
                cells.append(f"{found['work'][key]:.4g}")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def page(history: list[dict[str, Any]]) -> str:
    """docs/benchmarks.md with the table of these points."""
    return PAGE.read_text(encoding="utf-8").split(MARK)[0] + MARK + "\n" + table(history)


def stored(folder: Path = HERE) -> list[dict[str, Any]]:
    """The points in history.json, by date."""
    path = folder / "history.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--other", type=Path, default=HERE.parent, metavar="FOLDER")
    parser.add_argument("--out", type=Path, default=HERE, help="folder of history.json")
    parser.add_argument("--quick", action="store_true", help="two repeats instead of three")
    parser.add_argument("--print", action="store_true", help="measure nothing")
    given = parser.parse_args()
    history = stored(given.out)
    if not given.print:
        new = measured(given.other.resolve(), 2 if given.quick else REPEATS)
        history = [point for point in history if point["commit"] != new["commit"]] + [new]
        history.sort(key=lambda point: datetime.fromisoformat(point["date"]))
        text = json.dumps(history, indent=1) + "\n"
        (given.out / "history.json").write_text(text, encoding="utf-8")
        if given.out == HERE:
            PAGE.write_text(page(history), encoding="utf-8")
    print(table(history), end="")


if __name__ == "__main__":
    main()
