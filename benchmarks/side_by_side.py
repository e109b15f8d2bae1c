"""The same job in SPPARKS and here, in turns on one core: cost of an event, and the ratio.

Needs the source of SPPARKS (spparks.github.io), C++ and make: SPPARKS is compiled in a copy with
-O3 -march=native. The job is spparks/in.bulk with other sizes and fractions, tree solver; the
README beside this script says what corresponds to what.
"""

from __future__ import annotations

import re
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from common import HERE, arguments, show, write_json

INPUT = HERE / "spparks" / "in.bulk"
RUN_FILE = HERE / "spparks" / "bulk.toml"
CASES = ((40, 1e-4), (40, 1e-2), (40, 5e-2), (80, 1e-2))  # cells, vacant fraction
QUICK_CASES = ((40, 1e-2),)
FLAGS = "-O3 -march=native"


def build(source: Path, folder: Path) -> Path:
    """Compile SPPARKS without MPI in a copy of its source; returns the program."""
    if not (source / "src" / "MAKE" / "Makefile.serial").is_file():
        raise SystemExit(
            f"--spparks {source}: no src/MAKE/Makefile.serial in it. Give the folder of the source "
            "of SPPARKS, as `git clone https://github.com/spparks/spparks` makes it."
        )
    for tool in ("make", "g++"):
        if shutil.which(tool) is None:
            raise SystemExit(f"{tool} is needed to compile SPPARKS and is not installed")
    print(f"Compiling SPPARKS with {FLAGS} ...", flush=True)
    copy = folder / "src"
    shutil.copytree(source / "src", copy, ignore=shutil.ignore_patterns("Obj_*", "spk_*", "*.o"))
    command = ["make", "-j2", "serial", f"CCFLAGS={FLAGS} -std=c++17"]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return copy / "spk_serial"


def spparks_ns(program: Path, cells: int, fraction: float, end: float, seed: int) -> float:
    """Nanoseconds per event of SPPARKS, up to a time in its own unit."""
    text = INPUT.read_text()
    for old, new in (
        ("56789", str(seed)),
        ("0 40 0 40 0 40", " ".join(["0", str(cells)] * 3)),
        ("fraction 0.01 ", f"fraction {fraction} "),
        ("run             1000.0", f"run {end}"),
        ("stats           100.0", f"stats {end / 10}"),
    ):
        assert old in text, old
        text = text.replace(old, new)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "in").write_text(text)
        done = subprocess.run(
            [program, "-in", "in"], cwd=folder, capture_output=True, text=True, check=True
        )
    seconds = float(re.search(r"Loop time of (\S+)", done.stdout).group(1))
    lines = done.stdout[: done.stdout.index("Loop time")].splitlines()
    headings = next(line.split() for line in lines if "1stHops" in line)
    events = float(lines[-1].split()[headings.index("1stHops")])
    return 1e9 * seconds / events


def kmc_ns(cells: int, fraction: float, time_s: float, seed: int) -> float:
    """Nanoseconds per event here, after compilation, up to a time in seconds."""
    from kmc.kernels import tables
    from kmc.runfile.load import load_run
    from kmc.systems.electrode.run import ElectrodeJob

    changes = {"system.size": [cells, cells, 2 * cells], "system.vacancy_fraction": fraction}
    run = load_run(RUN_FILE, {**changes, "random.seed": seed})
    engine = ElectrodeJob(run).engine
    engine.advance(events=1)
    before, start = engine.count(tables.EVENTS), time.perf_counter()
    engine.advance(time_s=time_s)
    return 1e9 * (time.perf_counter() - start) / (engine.count(tables.EVENTS) - before)


def main() -> None:
    def more(parser):
        parser.add_argument("--spparks", type=Path, required=True, metavar="FOLDER", help="source")

    given = arguments(__doc__, more)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        program = build(given.spparks, Path(folder))
        for cells, fraction in QUICK_CASES if given.quick else CASES:
            sites = 2 * cells**3
            end = 1000 * 1280 / (sites * fraction)  # about 800 000 events
            theirs, ours = [], []
            for seed in range(1, 3 if given.quick else 6):
                theirs.append(spparks_ns(program, cells, fraction, end, 56789 + seed))
                ours.append(kmc_ns(cells, fraction, end * 1e-12, seed))
            ratios = [a / b for a, b in zip(theirs, ours, strict=True)]
            rows.append(
                {
                    "sites": sites,
                    "vacancy_fraction": fraction,
                    "spparks_ns": statistics.median(theirs),
                    "kmc_ns": statistics.median(ours),
                    "ratio": statistics.median(ratios),
                    "ratio_lowest": min(ratios),
                    "ratio_highest": max(ratios),
                }
            )
    headings = {
        "sites": "sites",
        "vacancy_fraction": "vacant",
        "spparks_ns": "SPPARKS\n(ns)",
        "kmc_ns": "kmc\n(ns)",
        "ratio": "ratio",
        "ratio_lowest": "lowest",
        "ratio_highest": "highest",
    }
    show("Cost of an event, one core, in turns", rows, headings)
    write_json(given.out, "side_by_side", rows, flags=FLAGS)


if __name__ == "__main__":
    main()
