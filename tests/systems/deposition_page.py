"""The numbers of docs/deposition.md: ``python tests/systems/deposition_page.py`` prints its tables.

Means over seeds with 95 % confidence intervals (Student's t). A test compares them with the page.
"""

from __future__ import annotations

import tempfile
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


def shapes(folder: Path, seeds=range(1, 6)) -> list[str]:
    """Rows of the first table: coverage at one monolayer; the deposit at four."""
    rows = []
    for label, params in SUBSTRATES.items():
        first, last = [], {name: [] for name in COLUMNS}
        for seed in seeds:
            changes = {**PLATED, "system.params": params, "random.seed": seed}
            path = folder / f"{params}_{seed}.h5"
            s = kmc.run("plate_zno_002", changes, output=path, progress=False).samples
            first.append(np.interp(1.0, s["capacity_monolayers"], s["coverage"]))
            for name in COLUMNS:
                last[name].append(s[name][-1])
        told = " | ".join(interval(values) for values in (first, *last.values()))
        rows.append(f"| {label} | {told} |")
    return rows


def efficiencies(folder: Path, seeds=range(1, 4)) -> list[str]:
    """Rows of the second table: atoms dead over plated (%), and the efficiency without them."""
    rows = []
    for label, params in SUBSTRATES.items():
        dead, efficiency = [], []
        for seed in seeds:
            changes = {"system.params": params, "random.seed": seed}
            path = folder / f"aurbach_{params}_{seed}.h5"
            found = kmc.run("aurbach_zno_002", changes, output=path, progress=False)
            dead.append(100 * found.samples["dead_per_plated"][-1])
            efficiency.append(aurbach_of(found))
        known = [value for value in efficiency if value is not None]
        told = f"{100 * np.mean(known):.2f}" if len(known) == len(efficiency) else "–"
        rows.append(f"| {label} | {MEASURED.get(label, '–')} | {told} | {interval(dead)} |")
    return rows


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        for row in (*shapes(Path(name)), *efficiencies(Path(name))):
            print(row, flush=True)
