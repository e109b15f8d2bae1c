"""Field of gaps: cost of a step against cells, beside the plain version, and of whole runs.

python benchmarks/gaps.py            # seconds of one core, some minutes
python benchmarks/gaps.py --runs     # also 50 and 100 µm to 3 mAh/cm²
"""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests" / "population"), str(ROOT / "tests" / "reference")]

from plain_gaps import PlainGaps  # noqa: E402
from squares import SITE_um3, STRIP_per_um2_s, setting  # noqa: E402

from kmc.population.gaps import Gaps  # noqa: E402

HEIGHT_um_s = STRIP_per_um2_s * SITE_um3
UM_PER_mAh_cm2 = 4.84


def begun(edge_um: float, contact: float = 0.6) -> Gaps:
    """0.06 voids per µm², cells of 0.25 µm, until so much contact is left."""
    flaws = max(2, round(0.06 * edge_um**2))
    gaps = Gaps(setting(edge_um, 0.25, flaws, rounding_length_um=1.8), np.random.default_rng(1))
    while gaps.contact_fraction > contact:
        gaps.step(1e9)
    return gaps


def cost_of_steps() -> None:
    print("cells   ms per step   CG steps   plain ms   ratio")
    for edge_um in (12.5, 25.0, 50.0, 100.0):
        gaps = begun(edge_um)
        start, steps, solver = time.process_time(), gaps.ledger.steps, gaps.ledger.solver_steps
        begin = gaps.time_s
        while gaps.ledger.steps < steps + 12:
            gaps.step(1e9)
        fast = (time.process_time() - start) / 12
        solved = (gaps.ledger.solver_steps - solver) / 12
        text = f"{gaps.setting.n_cells:4d}²   {1e3 * fast:11.1f}   {solved:8.1f}"
        if edge_um <= 50:
            plain = PlainGaps(gaps.setting, gaps.h_um.copy(), tolerance=5e-4)
            start = time.process_time()
            plain.step((gaps.time_s - begin) / 12)
            slow = time.process_time() - start
            text += f"   {1e3 * slow:8.0f}   {slow / fast:5.0f}"
        print(text, flush=True)


def whole_runs() -> None:
    print("µm    flaws/µm²   mAh/cm² reached   steps   s of one core   peak MB")
    for edge_um, density in ((50.0, 0.06), (50.0, 0.0063), (100.0, 0.06), (100.0, 0.0063)):
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
    cost_of_steps()
    if "--runs" in sys.argv:
        whole_runs()
