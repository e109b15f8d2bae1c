"""Tables of measured data: what is read, and what is refused."""

from __future__ import annotations

import math

import pytest

from kmc.analysis.measured import CAPACITY, PAPER, measured_tables, read_measured
from kmc.errors import InputError, KmcWarning


def write(path, text, encoding="utf-8"):
    path.write_text(text, encoding=encoding)
    return path


def test_the_paper_is_such_a_table():
    """Numbers typed again from Fig. 1 and the text, 10.1038/s41467-025-59567-8."""
    paper = read_measured(PAPER)
    assert paper.series == ["Li", "Li-Mg"]
    first = paper.table[paper.table[CAPACITY] == 0]
    counts = first.dropna(subset=["voids_per_100um"]).set_index("series")
    low, high = (
        counts["voids_per_100um"] + sign * counts["voids_per_100um_error"] for sign in (-1, 1)
    )
    assert (low["Li"], high["Li"], low["Li-Mg"], high["Li-Mg"]) == (16, 18, 2, 3)
    widths = first.dropna(subset=["width_um"]).set_index("series")
    assert widths.loc["Li", ["width_um", "width_um_error"]].tolist() == [2.2, 1.3]
    assert widths.loc["Li-Mg", ["width_um", "width_um_error"]].tolist() == [3.8, 1.0]
    events = paper.table[paper.table["note"].str.contains("falls")]
    assert events[CAPACITY].tolist() == [0.625, 1.0, 2.375, 0.5, 1.0, 2.625]


def test_commas_and_semicolons(tmp_path):
    comma = write(tmp_path / "a.csv", "capacity_mAh_cm2,width_um\n0.5, 2.25\n,3\n")
    point = write(
        tmp_path / "b.csv", "# B\n# more\ncapacity_mAh_cm2;width_um\n0,5;2,25\n;3\n", "utf-8-sig"
    )
    for path, title in ((comma, "a"), (point, "B")):
        found = read_measured(path)
        assert found.title == title
        assert found.series == [path.stem]
        assert found.table["width_um"].tolist() == [2.25, 3.0]
        assert found.table[CAPACITY][0] == 0.5
        assert math.isnan(found.table[CAPACITY][1])
    assert [m.title for m in measured_tables([comma, point], True)][1:] == ["a", "B"]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("capacity_mAh_cm2,widht_um\n1,2\n", "there is no column 'widht_um'"),
        ("series,width_um\na,2\n", "lacks the columns"),
        ("capacity_mAh_cm2,width_um\n", "has no rows"),
        ("capacity_mAh_cm2,width_um\n1,wide\n", "row 1: width_um = 'wide' is no number"),
        ("capacity_mAh_cm2,width_um\n1,nan\n", "is no number"),
        ("capacity_mAh_cm2,width_um\n-1,2\n", "is negative"),
        ("capacity_mAh_cm2,contact_loss_percent\n1,102\n", "above 100"),
        ("capacity_mAh_cm2,width_um,metal\n1,2,Ca\n", "metal = 'Ca'"),
        ("capacity_mAh_cm2,width_um,panel\n1,2,left\n", "panel = 'left'"),
        ("capacity_mAh_cm2,width_um,note\n1,2,a\n2,,\n", "row 2 holds no number"),
        ("", "is no CSV table"),
        ('capacity_mAh_cm2,width_um\n1,"2\n', "is no CSV table"),
        ("capacity_mAh_cm2,width_um\n1,2,3,4\n1,2\n", "is no CSV table"),
    ],
)
def test_refused(tmp_path, text, part):
    with pytest.raises(InputError) as told:
        read_measured(write(tmp_path / "bad.csv", text))
    assert part in told.value.message
    assert told.value.advice


def test_what_is_no_text_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_measured(tmp_path / "missing.csv")
    with pytest.raises(InputError, match="UTF-8"):
        read_measured(write(tmp_path / "latin.csv", "capacity_mAh_cm2,µ\n", "latin-1"))


def test_fractions_in_a_column_of_percent_are_said(tmp_path):
    head = "capacity_mAh_cm2,contact_loss_percent\n"
    fractions = write(tmp_path / "fractions.csv", head + "0.1,0.05\n0.5,0.4\n1,0.9\n")
    with pytest.warns(KmcWarning, match=r"at most 0.9. Are these fractions"):
        read_measured(fractions)
    read_measured(write(tmp_path / "early.csv", head + "0.01,0.05\n0.02,0.1\n"))
    read_measured(write(tmp_path / "percent.csv", head + "0.1,0.5\n0.5,40\n"))
