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


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    """`strip_li_hops` as it comes, at 1e6."""
    return run(tmp_path_factory.mktemp("shipped"), "strip_li_hops")


def contact(trajectory) -> float:
    return float(trajectory.samples.contact_fraction[-1])


def printed(value: float, text: str) -> bool:
    """Whether a number is the one of a page, at the page's number of decimals."""
    return abs(value - float(text)) <= 0.51 * 10.0 ** -len(text.partition(".")[2])


def family(folder: Path) -> list[float]:
    return [contact(run(folder, "strip_li_hops", system__params=name)) for name in FAMILY]


def series(folder: Path) -> list[float]:
    return [contact(run(folder, name, stop__capacity_monolayers=1)) for name in SERIES]


def exchange(t) -> list[float]:
    """Hops per stripped atom, index at L1, L2 and above in percent, contact."""
    index = {one.stage: 100 * one.index for one in balance.exchanges(t)}
    hops = t.samples.hops[-1] / t.samples.strips[-1]
    return [float(hops), *(index[stage] for stage in balance.STAGES), contact(t)]


def seeds(folder: Path, ratio: float) -> np.ndarray:
    """Voids at 0.2 and 2 monolayers and contact of 12 seeds, shape (12, 3)."""
    rows = []
    for seed in range(1, 13):
        t = run(
            folder,
            "strip_li_hops",
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
def test_exchange_between_layers(ratio, shipped, tmp_path):
    at_ratio = {"acceleration__max_hops_per_strip_per_site": float(ratio)}
    t = shipped if ratio == "1e6" else run(tmp_path, "strip_li_hops", **at_ratio)
    assert t.acceleration["max_hops_per_strip_per_site"] == float(ratio)
    text = page("docs/model/events.md")
    row = re.search(
        rf"\| {ratio} \| (\d+) \| ([\d.]+) % \| ([\d.]+) % \| ([\d.]+) % \| (\S+) \|", text
    )
    for found, number in zip(exchange(t), row.groups(), strict=True):
        assert printed(found, number)


@pytest.mark.long
@pytest.mark.parametrize("ratio", ["1e5", "1e6"])
def test_twelve_seeds(ratio, tmp_path):
    """Of the README; the number of voids is rounded to a whole one there."""
    row = re.search(
        rf"\| {ratio}(?: \(`strip_li_hops`\))? \| (\d+) \| (\d+) \| (\S+) \|", page("README.md")
    )
    for found, number in zip(seeds(tmp_path, float(ratio)).mean(axis=0), row.groups(), strict=True):
        assert printed(found, number)


def last_fifth(samples, *names: str) -> list[float]:
    """Means over the last fifth of two monolayers."""
    late = samples.capacity_monolayers >= 1.6
    return [float(samples[name][late].mean()) for name in names]


def terms(s) -> list[float]:
    """Concentration term: highest, where, S there, at the end; sites and area, mV."""
    at = int(s.overpotential_concentration_V.argmax())
    volts = 1e3 * s.overpotential_concentration_V
    sites_V, area_V = last_fifth(s, "overpotential_sites_V", "overpotential_V")
    where = float(s.capacity_monolayers[at])
    return [volts[at], where, s.vacancy_activity[at], volts[-1], 1e3 * sites_V, 1e3 * area_V]


def without_voids(folder: Path) -> list[float]:
    """Sites, concentration and charge transfer of pressure_7 at 20 MPa, mV, last fifth."""
    names = ("sites", "concentration", "charge_transfer")
    s = run(folder, "pressure_7", conditions__stack_pressure_MPa=20.0).samples
    return [1e3 * volts for volts in last_fifth(s, *(f"overpotential_{n}_V" for n in names))]


LAMBDAS = {
    "λ = 0": {"conditions__strip_weight_lambda": 0.0},
    "λ = 0.5": {},
    "λ = 1": {"conditions__strip_weight_lambda": 1.0},
    "λ = 0.5, `exchange = true`": {"conditions__exchange": True},
}


def by_lambda(folder: Path, changes: dict) -> list[float]:
    """Contact, charge transfer, concentration, sites (mV) and strip weight, of two seeds."""
    names = ("charge_transfer", "concentration", "sites")
    columns = ["contact_fraction", *(f"overpotential_{n}_V" for n in names), "strip_weight"]
    means = []
    for seed in (1, 2):
        settings = {"system__size": [20, 20, 24], "random__seed": seed, **changes}
        ratio = {"acceleration__max_hops_per_strip_per_site": 1e5}
        means.append(
            last_fifth(run(folder, "strip_li_hops", **settings, **ratio).samples, *columns)
        )
    return list(np.mean(means, axis=0) * [1, 1e3, 1e3, 1e3, 1])


def test_terms_of_the_overpotential(shipped):
    text = page("docs/model/electrochemistry.md")
    numbers = re.search(
        r"in `strip_li_hops` it is (\d+) mV after ([\d.]+) monolayers \(S = (\d+).*?"
        r"and (\d+) mV after two.*?`strip_li_hops` it is (\d+) mV where the area has (\d+) \(means",
        text,
    )
    for found, number in zip(terms(shipped.samples), numbers.groups(), strict=True):
        assert printed(found, number)


def test_sites_without_voids(tmp_path):
    text = page("docs/model/electrochemistry.md")
    numbers = re.search(
        r"balance at (\d+) mV, where the area has (\d+) of concentration and (\d+) of", text
    )
    for found, number in zip(without_voids(tmp_path), numbers.groups(), strict=True):
        assert printed(found, number)


@pytest.mark.parametrize("label", LAMBDAS)
def test_what_depends_on_lambda(label, tmp_path):
    text = (ROOT / "docs/model/electrochemistry.md").read_text(encoding="utf-8")
    row = next(line for line in text.splitlines() if line.startswith(f"| {label} |"))
    cells = [cell.strip() for cell in row.strip("| ").split("|")][1:]
    for found, number in zip(by_lambda(tmp_path, LAMBDAS[label]), cells, strict=True):
        assert printed(found, number)
