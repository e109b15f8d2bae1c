"""docs/upscaling.md prints what its runs give (`page.CASES`)."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import page
import pytest

import kmc

TEXT = (Path(__file__).resolve().parents[3] / "docs" / "upscaling.md").read_text(encoding="utf-8")


def row(case: str) -> dict[str, float]:
    """The numbers that the page prints for a case; those it leaves out are not there."""
    lines = [line for line in TEXT.splitlines() if line.startswith(f"| {case} |")]
    cells = [cell.strip() for cell in lines[-1].strip("|").split("|")][1:]
    assert len(cells) == len(page.COLUMNS), lines
    return {c: float(t) for c, t in zip(page.COLUMNS, cells, strict=True) if re.match(r"\d", t)}


def test_the_page_has_a_row_for_every_case():
    for case in page.CASES:
        assert row(case), case


@pytest.mark.long
@pytest.mark.validation
@pytest.mark.parametrize("case", page.CASES)
def test_the_page_prints_what_its_runs_give(case):
    """Equal seeds give equal runs on one machine; 3 % where the order of sums differs."""
    found, printed = page.measure(page.CASES[case]), row(case)
    assert {c for c in page.COLUMNS if math.isfinite(found[c])} == set(printed)
    for name, value in printed.items():
        assert value == pytest.approx(found[name], rel=0.03), (case, name)


@pytest.mark.slow
@pytest.mark.validation
@pytest.mark.parametrize(("place", "hysteresis_deg"), [(0, 0), (1, 10), (2, 20)])
def test_the_page_prints_what_hysteresis_does(tmp_path, place, hysteresis_deg):
    """3 % where the order of sums differs, as above."""
    numbers = r"([\d., ]+)"
    said = rf"half at {numbers} and nine tenths at {numbers}, its\s+voids {numbers} µm"
    line = re.search(said, TEXT)
    printed = [float(values.split(", ")[place]) for values in line.groups()]
    changes = {"upscale.contact_angle_hysteresis_deg": hysteresis_deg, "upscale.frames": 1}
    run = kmc.run("cell_li", changes, output=tmp_path / "cell.h5", progress=False)
    s = run.samples
    width = float(np.interp(0.125, s["capacity_mAh_cm2"], s["mean_width_um"]))
    found = [run.charge_at_contact(0.5), run.charge_at_contact(0.1), width]
    assert found == pytest.approx(printed, rel=0.03)


@pytest.mark.slow
@pytest.mark.validation
def test_a_cell_begins_at_the_voltage_of_measured_self_diffusion(tmp_path):
    """26 ± 5 mV up to 0.05 mAh/cm², of which the pellet has 7 and charge transfer 12 to 14."""
    changes = {"upscale.domain_um": 20, "upscale.capacity_mAh_cm2": 0.05, "upscale.frames": 1}
    s = kmc.run("cell_li", changes, output=tmp_path / "cell.h5", progress=False).samples
    begun = s["capacity_mAh_cm2"] > 1e-3
    assert 1e3 * s["overpotential_V"][begun] == pytest.approx(26, abs=5)


@pytest.mark.long
@pytest.mark.validation
@pytest.mark.parametrize("current", [0.5, 0.05])
def test_the_page_prints_what_a_line_scan_of_mg_sees(tmp_path, current):
    """3 % where the order of sums differs, as above."""
    changes = {
        "upscale.domain_um": 40.0,
        "upscale.pressure_share": 1.0,
        "upscale.capacity_mAh_cm2": 4.0,
        "conditions.current_density_mA_cm2": current,
    }
    run = kmc.upscale("operando_limg", changes, output=tmp_path / "limg.h5", progress=False)
    numbers = re.search(r"mAh/cm²: ([\d.]+) at\s+0\.5 mA/cm² and ([\d.]+) at 0\.05", TEXT).groups()
    printed = float(numbers[current == 0.05])
    assert run.magnesium().line_scan(np.array([0.5])) == pytest.approx([printed], abs=1e-3)


@pytest.mark.long
@pytest.mark.validation
@pytest.mark.parametrize(("run", "column"), [("operando_li", 0), ("operando_limg", 2)])
def test_the_page_prints_the_runs_beside_the_images(tmp_path, run, column):
    """As printed, to one unit of the last digit."""
    s = kmc.upscale(run, output=tmp_path / "run.h5", progress=False).samples
    charge = s["capacity_mAh_cm2"]

    def at(name: str, *charges: float) -> list[float]:
        return [float(np.interp(q, charge, s[name])) for q in charges]

    def cells(label: str) -> list[float]:
        line = next(t for t in TEXT.splitlines() if t.startswith(f"| {label}"))
        return [float(x) for x in re.findall(r"[\d.]+", line.strip("|").split("|")[1 + column])]

    assert cells("voids per 100") == pytest.approx(at("voids_per_100um", 0.125, 0.25), abs=0.5)
    assert cells("mean width then") == pytest.approx(at("mean_width_um", 0.125, 0.25), abs=0.1)
    assert cells("widest void at 0.5") == pytest.approx(at("max_width_um", 0.5), abs=1)
    settled = at("settled_um", 0.125)[0] / at("stripped_um", 0.125)[0]
    assert cells("settled share") == pytest.approx([settled], abs=0.01)
    volts = [1e3 * at(name, 0.125)[0] for name in ("overpotential_V", "concentration_V")]
    assert cells("overpotential at 0.125") == pytest.approx(volts, abs=1)
    highest = float(np.nanmax(s["max_height_um"]))
    assert cells("largest height")[0] == pytest.approx(highest, abs=0.1)
