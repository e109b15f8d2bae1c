"""Field of gaps: time of a step against cells, beside the plain version and on all cores; runs.

Larger grids are copies of one square whose contact is 0.6. --cells 4096 goes on to 4096²; --runs
follows 50, 100 and 200 µm to 3 mAh/cm² too.
"""

from __future__ import annotations

import argparse
import math
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests" / "systems" / "population"), str(ROOT / "tests" / "reference")]

from common import arguments, fresh, show, write_json  # noqa: E402
from plain_gaps import PlainGaps  # noqa: E402
from squares import SITE_um3, STRIP_per_um2_s, setting  # noqa: E402

from kmc.common.threads import cores  # noqa: E402
from kmc.systems.population.gaps import Gaps  # noqa: E402

HEIGHT_um_s = STRIP_per_um2_s * SITE_um3
UM_PER_mAh_cm2 = 4.84
RUNS = ((50.0, 0.06), (50.0, 0.0063), (100.0, 0.06), (200.0, 0.06))  # µm, flaws per µm²


def begun(edge_um: float, contact: float = 0.6) -> Gaps:
    """0.06 voids per µm², cells of 0.25 µm, until so much contact is left."""
    flaws = max(2, round(0.06 * edge_um**2))
    gaps = Gaps(setting(edge_um, 0.25, flaws, rounding_length_um=1.8), np.random.default_rng(1))
    while gaps.contact_fraction > contact:
        gaps.step(1e9)
    return gaps


def tiled(gaps: Gaps, copies: int) -> Gaps:
    """A square of copies × copies of a developed one: the same shapes on more cells."""
    given = replace(
        gaps.setting,
        edge_um=gaps.setting.edge_um * copies,
        n_cells=gaps.setting.n_cells * copies,
        flaws=None,
    )
    larger, own = Gaps(given, np.random.default_rng(1)), gaps.arrays()
    for name in ("h_um", "surface", "cell_flux"):
        own[name] = np.tile(own[name], (copies, copies))
    larger.restore(own)
    larger.points.keep(np.zeros(len(larger.points), bool))
    return larger


def timed_step(gaps: Gaps, clock: Callable[[], float] = time.process_time) -> tuple[float, float]:
    """Seconds and iterations of the solver, means of two steps."""
    solver, start = gaps.ledger.solver_steps, clock()
    for _ in range(2):
        gaps.dt_s = 20.0
        gaps.step(1e9)
    return (clock() - start) / 2, (gaps.ledger.solver_steps - solver) / 2


def gain_of_cores(own: Gaps, copies: int) -> float:
    """Time by the clock on one core over that on all: median of three pairs, taken in turns."""
    ratios = []
    for _ in range(3):
        took = []
        for threads in (1, cores()):
            os.environ["OMP_NUM_THREADS"] = str(threads)
            gaps = tiled(own, copies)
            gaps.dt_s = 20.0
            gaps.step(1e9)
            took.append(timed_step(gaps, time.perf_counter)[0])
        ratios.append(took[0] / took[1])
    os.environ["OMP_NUM_THREADS"] = "1"
    return statistics.median(ratios)


def cost_of_steps(most: int) -> list[dict[str, float]]:
    """A step of 20 s on squares of up to `most` cells along an edge."""
    rows, own = [], begun(32.0)
    for copies in (1, 2, 4, 8, 16, 32):
        gaps = tiled(own, copies)
        n = gaps.setting.n_cells
        if n > most:
            break
        plain = PlainGaps(gaps.setting, gaps.h_um.copy(), tolerance=5e-4) if n <= 256 else None
        step_s, iterations = timed_step(gaps)
        row = {"edge_cells": n, "step_ms": 1e3 * step_s, "iterations": iterations}
        row["ns_per_cell_and_log2"] = 1e9 * step_s / (n * n * math.log2(n * n))
        if plain is not None:
            start = time.process_time()
            plain.step(20.0)
            row["plain_ms"] = 1e3 * (time.process_time() - start)
            row["ratio"] = row["plain_ms"] / row["step_ms"]
        if n >= 1024 and cores() > 1:
            row["gain_of_cores"] = gain_of_cores(own, copies)
        rows.append(row)
    return rows


def iterations_by_contact(contacts: Sequence[float]) -> list[dict[str, float]]:
    """Iterations of a step's solve as contact is lost."""
    flaws = round(0.06 * 32.0**2)
    gaps = Gaps(setting(32.0, 0.25, flaws, rounding_length_um=1.8), np.random.default_rng(1))
    rows = []
    for contact in contacts:
        while gaps.contact_fraction > contact and gaps.step(1e9):
            pass
        before = gaps.ledger.solver_steps
        gaps.step(1e9)
        solved = gaps.ledger.solver_steps - before
        rows.append({"contact": gaps.contact_fraction, "iterations": solved})
    return rows


def whole_run(edge_um: float, density_per_um2: float) -> dict[str, float]:
    """A run to 3 mAh/cm², or until contact is lost; in a process of its own, for its memory."""
    begun(6.0, 0.9)  # compiles
    flaws = round(density_per_um2 * edge_um**2)
    gaps = Gaps(setting(edge_um, 0.25, flaws, rounding_length_um=2.7), np.random.default_rng(1))
    end, start = 3 * UM_PER_mAh_cm2 / HEIGHT_um_s, time.process_time()
    while gaps.time_s < end and gaps.step(end) and gaps.contact_fraction > 0.01:
        pass
    return {
        "edge_um": edge_um,
        "flaws_per_um2": density_per_um2,
        "capacity_mAh_cm2": gaps.time_s * HEIGHT_um_s / UM_PER_mAh_cm2,
        "steps": gaps.ledger.steps,
        "run_s": time.process_time() - start,
        "peak_MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> None:
    def more(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--cells", type=int, default=1024, help="most along an edge")
        parser.add_argument("--runs", action="store_true", help="also whole runs")

    given = arguments(__doc__, more)
    os.environ["OMP_NUM_THREADS"] = "1"
    begun(6.0, 0.9)  # compiles
    steps = cost_of_steps(min(given.cells, 256) if given.quick else given.cells)
    headings = {
        "edge_cells": "cells\nalong an edge",
        "step_ms": "step\n(ms)",
        "ns_per_cell_and_log2": "per cell and\nlog2 cells (ns)",
        "iterations": "iterations",
        "plain_ms": "plain\n(ms)",
        "ratio": "ratio",
        "gain_of_cores": "gain of\nall cores",
    }
    show("A step of the field of gaps, processor time", steps, headings)
    solves = iterations_by_contact((0.9, 0.7) if given.quick else (0.9, 0.7, 0.5, 0.3, 0.1, 0.03))
    show("Its solve", solves, {"contact": "contact", "iterations": "iterations"})
    runs = [fresh(whole_run, *case) for case in RUNS] if given.runs else []
    if runs:
        headings = {
            "edge_um": "edge\n(µm)",
            "flaws_per_um2": "flaws\n(1/µm²)",
            "capacity_mAh_cm2": "reached\n(mAh/cm²)",
            "steps": "steps",
            "run_s": "run\n(s)",
            "peak_MB": "peak\n(MB)",
        }
        show("Whole runs, processor time", runs, headings)
    write_json(given.out, "gaps", steps, solves=solves, runs=runs)


if __name__ == "__main__":
    main()
