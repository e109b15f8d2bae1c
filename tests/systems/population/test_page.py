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
    line = next(t for t in TEXT.splitlines() if t.startswith(f"| at {current:g} mA/cm² |"))
    printed = [float(cell) for cell in line.strip("|").split("|")[1:]]
    assert run.magnesium().line_scan(np.array([0.5, 1.5, 2.5, 4.5])) == pytest.approx(
        printed, rel=0.03
    )
