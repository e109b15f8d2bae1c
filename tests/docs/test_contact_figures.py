"""Contact fractions and flux indices that README and docs print, from the runs they name.

Equal seeds give equal runs, so figures of single runs are those of the pages to the last digit.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import kmc
from kmc.analysis import balance, voids

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
FAMILY = ("li_phobic_022", "li_phobic_011", "li_neutral", "li_philic_008", "li_philic_015")
SERIES = ("temperature_0C", "temperature_25C", "temperature_60C", "temperature_100C")


def page(name: str) -> str:
    return " ".join((ROOT / name).read_text(encoding="utf-8").split())


def run(folder: Path, name: str, **settings):
    settings = {key.replace("__", "."): value for key, value in settings.items()}
    return kmc.run(name, settings, output=folder / "run.h5", overwrite=True, progress=False)


def contact(trajectory) -> float:
    return float(trajectory.samples.contact_fraction[-1])


def printed(value: float, text: str) -> bool:
    """Whether a number is the one of a page, at the page's number of decimals."""
    return abs(value - float(text)) <= 0.51 * 10.0 ** -len(text.partition(".")[2])


def family(folder: Path) -> list[float]:
    return [contact(run(folder, "strip_li", system__params=name)) for name in FAMILY]


def series(folder: Path) -> list[float]:
    return [contact(run(folder, name, stop__capacity_monolayers=1)) for name in SERIES]


def exchange(folder: Path, ratio: float) -> list[float]:
    """Hops per stripped atom, index at L1, L2 and above in percent, contact."""
    t = run(folder, "strip_li", acceleration__max_hops_per_strip_per_site=ratio)
    index = {one.stage: 100 * one.index for one in balance.exchanges(t)}
    hops = t.samples.hops[-1] / t.samples.strips[-1]
    return [float(hops), *(index[stage] for stage in balance.STAGES), contact(t)]


def seeds(folder: Path, ratio: float) -> np.ndarray:
    """Voids at 0.2 and 2 monolayers and contact of 12 seeds, shape (12, 3)."""
    rows = []
    for seed in range(1, 13):
        t = run(
            folder,
            "strip_li",
            acceleration__max_hops_per_strip_per_site=ratio,
            random__seed=seed,
        )
        found = [len(voids.find(t.frames[i].occupancy, t.lattice)) for i in (1, -1)]
        rows.append([*found, contact(t)])
    return np.array(rows)


def test_family(tmp_path):
    text = page("docs/model/energy.md")
    numbers = re.search(r"the five have contact fractions of ([\d.]+, .*?) after two", text)[1]
    for found, number in zip(family(tmp_path), re.findall(r"[\d.]*\d", numbers), strict=True):
        assert printed(found, number)


def test_temperatures(tmp_path):
    text = page("docs/runs.md")
    numbers = re.search(r"After one monolayer contact is ([\d.]+, .*?) \(one seed", text)[1]
    for found, number in zip(series(tmp_path), re.findall(r"[\d.]*\d", numbers), strict=True):
        assert printed(found, number)


@pytest.mark.parametrize("ratio", ["1e4", "1e5", "1e6"])
def test_exchange_between_layers(ratio, tmp_path):
    text = page("docs/model/events.md")
    row = re.search(
        rf"\| {ratio} \| (\d+) \| ([\d.]+) % \| ([\d.]+) % \| ([\d.]+) % \| (\S+) \|", text
    )
    for found, number in zip(exchange(tmp_path, float(ratio)), row.groups(), strict=True):
        assert printed(found, number)


@pytest.mark.parametrize("ratio", ["1e5", "1e6"])
def test_twelve_seeds(ratio, tmp_path):
    """Of the README; the number of voids is rounded to a whole one there."""
    row = re.search(
        rf"\| {ratio}(?: \(as shipped\))? \| (\d+) \| (\d+) \| (\S+) \|", page("README.md")
    )
    for found, number in zip(seeds(tmp_path, float(ratio)).mean(axis=0), row.groups(), strict=True):
        assert printed(found, number)
