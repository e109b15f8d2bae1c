"""Field of gaps: cost of a step against cells, beside the plain version, and of whole runs.

python benchmarks/gaps.py                 # processor seconds, some minutes
python benchmarks/gaps.py --cells 4096    # steps on larger grids, made of copies of a square
python benchmarks/gaps.py --runs          # also 50, 100 and 200 µm to 3 mAh/cm²
"""

from __future__ import annotations

import math
import resource
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests" / "systems" / "population"), str(ROOT / "tests" / "reference")]

from plain_gaps import PlainGaps  # noqa: E402
from squares import SITE_um3, STRIP_per_um2_s, setting  # noqa: E402

from kmc.systems.population.gaps import Gaps  # noqa: E402

HEIGHT_um_s = STRIP_per_um2_s * SITE_um3
UM_PER_mAh_cm2 = 4.84


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


def timed_step(gaps: Gaps) -> tuple[float, float]:
    """Processor seconds and iterations of the solver, means of two steps."""
    solver, start = gaps.ledger.solver_steps, time.process_time()
    for _ in range(2):
        gaps.dt_s = 20.0
        gaps.step(1e9)
    return (time.process_time() - start) / 2, (gaps.ledger.solver_steps - solver) / 2


def cost_of_steps(most: int) -> None:
    """Time of a step of 20 s against cells, and of the plain version beside it."""
    print("cells    ms per step   ns per cell and log2 cells   iterations   plain ms   ratio")
    own = begun(32.0)
    for copies in (1, 2, 4, 8, 16, 32):
        gaps = tiled(own, copies)
        n = gaps.setting.n_cells
        if n > most:
            break
        plain = PlainGaps(gaps.setting, gaps.h_um.copy(), tolerance=5e-4) if n <= 256 else None
        fast, solved = timed_step(gaps)
        each = 1e9 * fast / (n * n * math.log2(n * n))
        text = f"{n:4d}²   {1e3 * fast:12.1f}   {each:26.1f}   {solved:10.1f}"
        if plain is not None:
            start = time.process_time()
            plain.step(20.0)
            slow = time.process_time() - start
            text += f"   {1e3 * slow:8.0f}   {slow / fast:5.0f}"
        print(text, flush=True)


def iterations_by_contact() -> None:
    """Iterations of a step's solve as contact is lost."""
    print("contact   iterations of a solve")
    flaws = round(0.06 * 32.0**2)
    gaps = Gaps(setting(32.0, 0.25, flaws, rounding_length_um=1.8), np.random.default_rng(1))
    for contact in (0.9, 0.7, 0.5, 0.3, 0.1, 0.03):
        while gaps.contact_fraction > contact and gaps.step(1e9):
            pass
        before = gaps.ledger.solver_steps
        gaps.step(1e9)
        print(f"{gaps.contact_fraction:7.3f}   {gaps.ledger.solver_steps - before:8d}", flush=True)


def whole_runs() -> None:
    print("µm    flaws/µm²   mAh/cm² reached   steps   s of one core   peak MB")
    for edge_um, density in ((50.0, 0.06), (50.0, 0.0063), (100.0, 0.06), (200.0, 0.06)):
        flaws = round(density * edge_um**2)
        gaps = Gaps(setting(edge_um, 0.25, flaws, rounding_length_um=2.7), np.random.default_rng(1))
        end, start = 3 * UM_PER_mAh_cm2 / HEIGHT_um_s, time.process_time()
        while gaps.time_s < end and gaps.step(end) and gaps.contact_fraction > 0.01:
            pass
        used = time.process_time() - start
        charge = gaps.time_s * HEIGHT_um_s / UM_PER_mAh_cm2
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"{edge_um:4.0f}   {density:9.4f}   {charge:15.2f}   {gaps.ledger.steps:5d}   "
            f"{used:13.1f}   {peak:7.0f}",
            flush=True,
        )


if __name__ == "__main__":
    begun(6.0, 0.9)  # compiles
    most = int(sys.argv[sys.argv.index("--cells") + 1]) if "--cells" in sys.argv else 1024
    cost_of_steps(most)
    iterations_by_contact()
    if "--runs" in sys.argv:
        whole_runs()
