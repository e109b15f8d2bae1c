"""The numbers of docs/deposition.md: ``python tests/systems/deposition_page.py FOLDER``.

Means over seeds with 95 % confidence intervals (Student's t). A test compares them with the page.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np
from scipy.stats import t as student

import kmc
from kmc.systems.deposition.cycles import aurbach_of

SUBSTRATES = {
    "ZnO (002)": "li_zno_002",
    "ZnO (202)": "li_zno_202",
    "ZnO (020)": "li_zno_020",
    "LiZn": "li_lizn",
    "carbon": "li_carbon",
}
MEASURED = {"ZnO (002)": 99.89, "ZnO (202)": 96.48, "ZnO (020)": 95.53, "carbon": 91.62}
SIZE = [24, 24, 32]
PLATED = {
    "system.size": SIZE,
    "stop.capacity_monolayers": 4,
    "output.sample_every_monolayers": 0.5,
    "output.frame_every_monolayers": 4,
}
COLUMNS = ("coverage", "roughness_layers", "max_height_layers")


def interval(values) -> str:
    """Mean and half of the 95 % interval, as the page prints them."""
    values = np.asarray(values, dtype=float)
    half = student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return f"{values.mean():.2f} ± {half:.2f}"


def shapes(folder: Path, seeds=range(1, 4)) -> Iterator[str]:
    """Rows of the first table: coverage at one monolayer; the deposit at four."""
    for label, params in SUBSTRATES.items():
        first, last = [], {name: [] for name in COLUMNS}
        for seed in seeds:
            changes = {**PLATED, "system.params": params, "random.seed": seed}
            path = folder / f"{params}_{seed}.h5"
            s = kmc.run(
                "plate_zno_002", changes, output=path, overwrite=True, progress=False
            ).samples
            first.append(np.interp(1.0, s["capacity_monolayers"], s["coverage"]))
            for name in COLUMNS:
                last[name].append(s[name][-1])
        told = " | ".join(interval(values) for values in (first, *last.values()))
        yield f"| {label} | {told} |"


def efficiencies(folder: Path) -> Iterator[str]:
    """Rows of the second table: atoms dead over plated (%), and the efficiency without them."""
    study = kmc.sweep("study_efficiency", output=folder / "study_efficiency", progress=False)
    for label, params in SUBSTRATES.items():
        runs = [found for _, found in study.sweep.trajectories(params=params)]
        dead = [100 * found.samples["dead_per_plated"][-1] for found in runs]
        efficiency = [aurbach_of(found) for found in runs]
        known = [value for value in efficiency if value is not None]
        told = f"{100 * np.mean(known):.2f}" if len(known) == len(efficiency) else "–"
        yield f"| {label} | {MEASURED.get(label, '–')} | {told} | {interval(dead)} |"


if __name__ == "__main__":
    place = Path(sys.argv[1])
    place.mkdir(exist_ok=True)
    for row in chain(shapes(place), efficiencies(place)):
        print(row, flush=True)
