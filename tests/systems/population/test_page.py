"""docs/upscaling.md prints what its runs give (`page.CASES`)."""

from __future__ import annotations

import math
import re
from pathlib import Path

import page
import pytest

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
