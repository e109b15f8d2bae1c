"""Exponent m of the stack pressure P ∝ j^m that keeps the same contact, for each branch of creep.

    python benchmarks/pressure_exponent.py             # four minutes; some of: linear Norton both

Squares of `cell_li`; for two currents the pressure at which a given contact is left after a given
charge, by bisection in its logarithm. Seeds differ in the places of flaws; the interval is
Student's, 95 %. Cells measured: 0.53 (Kasemchainan 2019), 1.2 (Wang 2019), 1 (Spencer Jolly 2020,
2021).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from common import arguments, write_json
from scipy import optimize, stats

import kmc

BRANCHES: dict[str, dict[str, float]] = {
    "linear": {"creep_reference_rate_per_s": 1e-30, "creep_threshold_hardness_MPa": 0.0},
    "Norton": {"linear_creep_per_MPa_s": 0.0, "creep_threshold_hardness_MPa": 0.0},
    "both": {},
}
CURRENTS_mA_cm2 = (0.1, 1.0)
SQUARE = {
    "upscale.domain_um": 12.0,
    "upscale.grid_um": 0.32,
    "upscale.flaw_density_per_um2": 0.1,
    "upscale.capacity_mAh_cm2": 0.5,
    "upscale.samples": 10,
    "upscale.samples_per_decade": 0,
    "upscale.frames": 1,
}
CONTACT = 0.5
SEEDS = tuple(range(1, 9))
_LOWEST_MPa, _HIGHEST_MPa = 0.01, 50.0


def contact(branch: Mapping[str, float], current: float, pressure_MPa: float, seed: int) -> float:
    """Contact after the charge of `SQUARE`; that of one gap where it was lost before."""
    changes = SQUARE | {f"parameters.{key}": value for key, value in branch.items()}
    changes |= {
        "conditions.current_density_mA_cm2": current,
        "conditions.stack_pressure_MPa": pressure_MPa,
        "random.seed": seed,
    }
    with tempfile.TemporaryDirectory() as folder:
        run = kmc.run("cell_li", changes, output=Path(folder) / "one.h5", progress=False)
        return float(run.samples["contact_fraction"][-1])


def pressure_MPa(branch: Mapping[str, float], current: float, seed: int) -> float:
    """Stack pressure that leaves `CONTACT`, to 5 %."""

    def excess(log_pressure: float) -> float:
        return contact(branch, current, float(np.exp(log_pressure)), seed) - CONTACT

    low, high = np.log([_LOWEST_MPa, _HIGHEST_MPa])
    return float(np.exp(optimize.brentq(excess, low, high, xtol=0.05, rtol=1e-9)))


def exponent(branch: Mapping[str, float], seed: int) -> tuple[float, list[float]]:
    """m over the currents, and the pressures."""
    pressures = [pressure_MPa(branch, current, seed) for current in CURRENTS_mA_cm2]
    return float(np.polyfit(np.log(CURRENTS_mA_cm2), np.log(pressures), 1)[0]), pressures


def over_seeds(
    branch: Mapping[str, float], seeds: Sequence[int] = SEEDS
) -> tuple[float, float, list[float]]:
    """Mean of m, half of its interval, and geometric means of the pressures in MPa."""
    slopes, pressures = zip(*(exponent(branch, seed) for seed in seeds), strict=True)
    half = stats.t.ppf(0.975, len(seeds) - 1) * stats.sem(slopes)
    return float(np.mean(slopes)), float(half), stats.gmean(pressures).tolist()


def main() -> None:
    def branches(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("branch", nargs="*", help=f"{', '.join(BRANCHES)} (default: all)")

    given = arguments("Exponent of the stack pressure that keeps the same contact.", branches)
    if unknown := set(given.branch) - set(BRANCHES):
        sys.exit(f"no branch {', '.join(sorted(unknown))}: give some of {', '.join(BRANCHES)}")
    rows = []
    print(f"contact {CONTACT} after {SQUARE['upscale.capacity_mAh_cm2']} mAh/cm²")
    for name in given.branch or BRANCHES:
        seeds = SEEDS[:2] if given.quick else SEEDS
        slope, half, pressures = over_seeds(BRANCHES[name], seeds)
        shown = ", ".join(f"{p:.2g}" for p in pressures)
        print(f"{name:8s} m = {slope:.2f} ± {half:.2f}; {shown} MPa", flush=True)
        rows.append({"branch": name, "m": slope, "half_interval": half, "pressure_MPa": pressures})
    write_json(given.out, "pressure_exponent", rows, currents_mA_cm2=CURRENTS_mA_cm2)


if __name__ == "__main__":
    main()
