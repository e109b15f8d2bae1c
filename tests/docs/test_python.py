"""docs/python.md is true: its examples run in the order of the page."""

from __future__ import annotations

from pathlib import Path

import pytest
from pages import blocks, python

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "python.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_examples(tmp_path):
    pytest.importorskip("ase")
    python("".join(text for _, text in blocks(PAGE, "python")), tmp_path)
    assert (tmp_path / "currents" / "index.json").exists()
