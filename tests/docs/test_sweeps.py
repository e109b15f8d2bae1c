"""docs/sweeps.md is true: its sweep file, commands and Python run in the order of the page."""

from __future__ import annotations

from pathlib import Path

import pytest
from pages import blocks, call, commands, python

from kmc.common import catalogue

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "sweeps.md").read_text(encoding="utf-8")
FAST, _, FIELD = PAGE.partition("## The picture of the field")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder in which the page has been followed, up to the map that takes minutes."""
    folder = tmp_path_factory.mktemp("sweeps")
    for language, text in blocks(FAST):
        if language == "toml":
            (folder / "currents.toml").write_text(text, encoding="utf-8")
        elif language == "python":
            python(text, folder)
        else:  # tests/campaign/test_slurm.py submits where there is a Slurm
            for words in commands(text):
                call(words, folder)
    return folder


@pytest.mark.slow
def test_the_page_leaves_pictures_and_tables(folder):
    written = {path.name for path in folder.iterdir()}
    assert {"currents", "currents_contact_fraction.png", "widths.csv"} <= written
    assert (folder / "strip_li_critical" / "critical.png").read_bytes().startswith(b"\x89PNG")
    header, *rows = (folder / "widths.csv").read_text().splitlines()
    assert header.split(",") == ["current_density_mA_cm2", "n", "mean", "std", "low", "high"]
    assert len(rows) == 3


@pytest.mark.slow
def test_a_second_call_runs_nothing(folder):
    before = sorted(p.stat().st_mtime_ns for p in folder.glob("*/points/*.h5"))
    words, *_ = commands(dict(blocks(FAST.partition("## Where")[2]))["sh"])
    assert "Critical current density" in call(words, folder)
    assert sorted(p.stat().st_mtime_ns for p in folder.glob("*/points/*.h5")) == before


def test_every_study_is_listed():
    for name in catalogue.names("studies"):
        assert f"`{name}`" in FIELD


@pytest.mark.long
def test_the_picture_of_the_field(tmp_path):
    """The map as the page has it, each end within twice the width of its interval."""
    import pandas as pd

    ((_, text),) = blocks(FIELD)
    (words,) = commands(text)
    call(words, tmp_path)
    table = pd.read_csv(tmp_path / "critical_current" / "critical.csv")
    assert table["bracketed"].all()
    assert table["critical_value"].is_monotonic_increasing
    energy = table.set_index("parameters.formation_energy_L1_eV")["critical_value"]
    for place, stated in ((0.28, 0.74), (0.45, 78.0), (0.65, 890.0)):
        assert f"{stated:g}" in FIELD
        assert stated / 1.7 < energy[place] < stated * 1.7
