"""Commands of docs/your_own_files.md, section by section."""

from __future__ import annotations

from pathlib import Path

import pages
import pandas as pd
import pytest

TEXT = (Path(__file__).resolve().parents[2] / "docs/your_own_files.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return TEXT.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


@pytest.mark.slow
def test_images(tmp_path):
    """The voids that its example draws: eight of 24 and 40 pixels, 24 from above."""
    pytest.importorskip("skimage")
    blocks = pages.blocks(section("Images"), "python", "sh")
    printed = []
    for language, text in blocks:
        if language == "python":
            pages.python(text, tmp_path)
        else:
            printed += [pages.call(words, tmp_path) for words in pages.commands(text)]
    assert len(printed) == 4
    for text in printed[:2]:
        assert "8\xa0voids (80 per 100" in text
    table = pd.read_csv(tmp_path / "mine.csv")
    assert table["width_um"].tolist() == pytest.approx([24 / 80, 40 / 80], abs=2 / 80)
    assert table["contact_loss_percent"].tolist() == pytest.approx([24, 40], abs=2)
    plan = pd.read_csv(tmp_path / "plan.csv")
    assert plan["diameter_um"].tolist() == pytest.approx([24 / 4, 40 / 4], rel=0.02)
    assert {f"{n}_kmc.png" for n in ("sem1", "day1", "day2", "top1", "top2")} <= {
        path.name for path in tmp_path.iterdir()
    }
