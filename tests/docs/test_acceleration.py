"""docs/acceleration.md is true: its commands and Python run, and its figures agree with each other.

The study of the page takes minutes; here it is run in a box of 36 sites at the interface.
"""

from __future__ import annotations

import math
import re
from pathlib import Path

import pandas as pd
import pytest
from pages import blocks, call, commands, python

from kmc.campaign.convergence.levels import physical_ratio_of
from kmc.runfile.load import load_run

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "acceleration.md").read_text(encoding="utf-8")
TEXT = " ".join(PAGE.split())
SMALL = [
    *("--set", "system.size=[6, 6, 8]", "--set", "stop.capacity_monolayers=0.25"),
    *("--replicas", "2"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder in which the commands of the page have been run, in a small box."""
    folder = tmp_path_factory.mktemp("acceleration")
    for _, text in blocks(PAGE, "sh"):
        for words in commands(text):
            call(words, folder, *SMALL)
    return folder


@pytest.mark.slow
def test_the_commands(folder):
    made = folder / "ladder_li_converge"
    assert (made / "converge.png").read_bytes().startswith(b"\x89PNG")
    assert len(list((made / "points").glob("*.h5"))) == 10


@pytest.mark.slow
def test_the_python(folder):
    ((_, text),) = blocks(PAGE, "python")
    small = 'settings={"system.size": [6, 6, 8], "stop.capacity_monolayers": 0.25}, replicas=2'
    assert text.count("at=0.2)") == 1
    names = python(text.replace("at=0.2)", f"at=0.2, {small})"), folder)
    assert names["density"].verdict in ("converged", "changing", "unclear", "unknown")
    assert len(list((folder / "ladder_li_converge" / "points").glob("*.h5"))) == 10


def test_the_physical_ratio():
    assert f"{physical_ratio_of(load_run('ladder_li')):.1e}" == "6.8e+11"
    assert "6.8e11 at 0.5 mA/cm² and 25 °C" in TEXT


def ratios_to_the_limit(path: Path) -> pd.DataFrame:
    """Means, by number and ratio, of the study that ends with equilibrium."""
    rows = pd.read_csv(path).query("kind != 'plateau'")
    return rows.pivot(index="observable", columns="ratio", values="mean")


def test_the_limit_of_the_ratio():
    """What the page says of `ratios.csv`: from 1e7 on contact and width are those of equilibrium,
    S and the absorbed share of slowed runs are not."""
    table = ratios_to_the_limit(ROOT / "docs" / "ratios.csv")
    assert table.columns.tolist() == [1e4, 1e5, 1e6, 1e7, 1e8, 1e9, math.inf]
    loss, width, S, absorbed = (
        table.loc[name]
        for name in ("contact_loss", "mean_void_width_nm", "vacancy_activity", "absorbed_share")
    )
    assert f"({100 * loss[math.inf]:.2g} %, {width[math.inf]:.2g} nm) from 1e7 and 1e8 on" in TEXT
    assert loss[1e7] == pytest.approx(loss[math.inf], abs=0.005)
    assert width[1e8] == pytest.approx(width[math.inf], rel=0.1)
    shown = (1e4, 1e6, 1e9, math.inf)
    text = "S is {:.3g}, {:.3g}, {:.3g} and {:.3g} at".format(*(S[ratio] for ratio in shown))
    assert text in TEXT
    text = "{:.0f}, {:.0f}, {:.0f} and {:.0f} %".format(*(100 * absorbed[r] for r in shown))
    assert f"absorbed share {text}" in TEXT


@pytest.mark.long
def test_the_study_to_the_limit(tmp_path):
    """The command of the page gives its table; four minutes. Chains of equilibrium may end
    otherwise on another processor: their means within a tenth, a third of the absorbed share."""
    (command,) = re.findall(r"`(kmc converge strip_li_hops [^`]*inf [^`]*)`", TEXT)
    call([*command.split(), "--csv", "ratios.csv", "--workers", "1"], tmp_path)
    ours = ratios_to_the_limit(ROOT / "docs" / "ratios.csv")
    again = ratios_to_the_limit(tmp_path / "ratios.csv")
    slowed = [ratio for ratio in ours.columns if math.isfinite(ratio)]
    assert again[slowed].to_numpy() == pytest.approx(ours[slowed].to_numpy(), rel=1e-6)
    within = pd.Series(0.1, index=ours.index)
    within["absorbed_share"] = 0.33
    assert ((again[math.inf] / ours[math.inf] - 1).abs() < within).all()


@pytest.mark.long
def test_the_figures_of_the_page(tmp_path):
    """The study as the page has it. Equal seeds give equal runs, so its figures as printed."""
    ((_, text),) = blocks(PAGE, "sh")
    *_, words = commands(text)
    told = " ".join(call(words, tmp_path).replace("\u00a0", " ").split())
    rows = re.findall(r"^\| (1e\d) \| (.*?) \|$", PAGE, flags=re.MULTILINE)
    assert len(rows) == 5
    for ratio, cells in rows:
        for cell in cells.split(" | "):
            assert cell in told, (ratio, cell)
    for figures in (
        "The levels that agree have 3.4 % (95 %: 3.1 to 3.7)",
        "−50 % (95 %: −112 to +12 %) from 1e7 to 1e8",
        "+39 % (95 %: +21 to +56 %) from 1e7 to 1e8",
        "ratio^−0.33 (−0.38 to −0.29) from 1e4 to 1e8",
        "ratio^0.17",
        "At the physical ratio 6.8e11 void density, mean void width and onset capacity are open",
    ):
        assert figures in told
    for figures in (
        "3.4 % (95 %: 3.1 to 3.7)",
        "ratio^−0.33 (−0.38 to −0.29)",
        "ratio^0.17",
        "39 %",
    ):
        assert figures in TEXT
