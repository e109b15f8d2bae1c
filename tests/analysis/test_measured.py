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
        ("capacity_mAh_cm2,width_um,width_um\n1,2,3\n", "2 columns width_um"),
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
    (tmp_path / "binary.csv").write_bytes(b"capacity_mAh_cm2\0\0\1")
    with pytest.raises(InputError, match="is no CSV table but a binary file"):
        read_measured(tmp_path / "binary.csv")


def test_fractions_in_a_column_of_percent_are_said(tmp_path):
    head = "capacity_mAh_cm2,contact_loss_percent\n"
    fractions = write(tmp_path / "fractions.csv", head + "0.1,0.05\n0.5,0.4\n1,0.9\n")
    with pytest.warns(KmcWarning, match=r"at most 0.9. Are these fractions"):
        read_measured(fractions)
    read_measured(write(tmp_path / "early.csv", head + "0.01,0.05\n0.02,0.1\n"))
    read_measured(write(tmp_path / "percent.csv", head + "0.1,0.5\n0.5,40\n"))


# --- as spreadsheets write them -------------------------------------------------------------------

ROWS = [("capacity_mAh_cm2", "width_um", "note"), ("0.5", "2.25", "größer"), ("1", "1120.5", "")]
PLAIN = "\n".join(",".join(row) for row in ROWS)
GERMAN = PLAIN.replace(",", ";").replace(".", ",")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        PLAIN.replace(",", "\t"),
        PLAIN.replace("\n", ",,\r\n") + "\n,,,\n",  # Excel's empty columns and rows
        GERMAN,
        "sep=;\n" + GERMAN,
        GERMAN.replace("1120,5", "1.120,5"),
        GERMAN.replace("1120,5", "1\u00a0120,5"),
        GERMAN.replace(";", "\t"),
        PLAIN.replace("1120.5", '"1,120.5"'),
    ],
)
def test_every_table_of_a_spreadsheet_is_the_same(tmp_path, text, encoding):
    (tmp_path / "a.csv").write_bytes(text.encode(encoding))
    table = read_measured(tmp_path / "a.csv").table
    assert table[CAPACITY].tolist() == [0.5, 1.0]
    assert table["width_um"].tolist() == [2.25, 1120.5]
    assert table["note"].tolist() == ["größer", ""]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("capacity_mAh_cm2;width_um\n0,5;1.120\n", "width_um = '1.120' may be 1.12 or 1120"),
        ("capacity_mAh_cm2;width_um\n1,120;2\n", "'1,120' may be 1.12 or 1120"),
        ("capacity_mAh_cm2\twidth_um\n1.120\t2.250\n", "'1.120' may be 1.12 or 1120"),
        ("width_um,capacity_mAh_cm2\n4.924,31\n", "width_um = '4.924' may be 4.924 or 4924"),
        ("capacity_mAh_cm2,width_um\n31,4.924\n120,1.003\n", "'4.924' may be 4.924 or 4924"),
        ("capacity_mAh_cm2,width_um\n1.120,2.250\n31,2.250\n", "'1.120' may be 1.12 or 1120"),
        ('capacity_mAh_cm2,width_um\n0.5,"1,120"\n', "'1,120' may be 1.12 or 1120"),
        ("capacity_mAh_cm2,width_um,height_um,note\n0,05,4,12\n", "'05': are these decimal commas"),
        ("capacity_mAh_cm2,width_um\n0,05,4,12\n", "row 1 has 4 fields"),
        ("capacity_mAh_cm2;width_um\n0,5;2\n0.6;2\n", "'0.6' is no number"),
        ("capacity_mAh_cm2;width_um\n0,5;1.2.3\n", "'1.2.3' is no number"),
        ("capacity_mAh_cm2;width_um\n0,5;0 5\n", "'0 5' is no number"),
        ("capacity_mAh_cm2;width_um\n0,5;1.12.000\n", "is no number"),
    ],
)
def test_numbers_of_two_readings_are_refused_with_both(tmp_path, text, part):
    with pytest.raises(InputError) as told:
        read_measured(write(tmp_path / "bad.csv", text))
    assert part in told.value.message
    assert told.value.advice


def test_three_decimals_are_no_thousands_where_the_table_says_so(tmp_path):
    for text, wanted in (
        ("capacity_mAh_cm2,width_um\n1.120,2.250\n", 1.12),
        ("capacity_mAh_cm2,width_um\n1.120,31.000\n", 1.12),
        ("capacity_mAh_cm2,width_um\n1.120,31\n1.2400,31\n", 1.12),  # as the message advises
        ("capacity_mAh_cm2,width_um\n1.120,31\n2.240,31.5\n", 1.12),
        ("capacity_mAh_cm2,width_um\n1.120,31\n0.240,31\n", 1.12),
        ("capacity_mAh_cm2,width_um,height_um,voids_per_100um\n1,5,2,5\n", 1.0),
        ("capacity_mAh_cm2;width_um\n1.120;0.5\n", 1.12),
        ("capacity_mAh_cm2;width_um\n1.120;2500\n", 1.12),
        ("capacity_mAh_cm2;width_um\n1,120;0,5\n", 1.12),
    ):
        assert read_measured(write(tmp_path / "a.csv", text)).table[CAPACITY][0] == wanted


# --- files of cyclers -----------------------------------------------------------------------------

HOURS, AREA_cm2, CURRENT_mA_cm2 = 2.0, 0.785, 0.5


def mpt(decimal=".", area="0.785 cm\N{SUPERSCRIPT TWO}", sign=1):
    """EC-Lab text of a constant current, whose voltage is 10 mV and 90 mV more at the end."""
    head = ["EC-Lab ASCII FILE", "Nb header lines : 6", "", "Galvanostatic Cycling"]
    head += [f"Electrode surface area : {area}"]
    lines = [*head, "mode\ttime/s\tcontrol/V/mA\tEwe/V\t<I>/mA\t(Q-Qo)/mA.h"]
    for step in range(1001):
        share = step / 1000
        current = sign * CURRENT_mA_cm2 * AREA_cm2
        cells = (1, 3600 * HOURS * share, current, sign * (0.01 + 0.09 * share), current, 7.0)
        lines.append("\t".join(f"{cell:.9E}".replace(".", decimal) for cell in cells))
    return "\n".join(lines).replace(".785", f"{decimal}785" if decimal == "," else ".785")


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("decimal", [".", ","])
def test_text_of_ec_lab(tmp_path, decimal, sign):
    """Charge by hand: 0.5 mA/cm² for two hours; thinned evenly."""
    path = write(tmp_path / "cell.mpt", mpt(decimal, sign=sign), "latin-1")
    table = read_measured(path).table
    assert len(table) == 100
    assert table[CAPACITY].iloc[-1] == pytest.approx(HOURS * CURRENT_mA_cm2, rel=1e-6)
    voltage = 10 + 90 * table[CAPACITY] / (HOURS * CURRENT_mA_cm2)
    assert table["overpotential_mV"].tolist() == pytest.approx(voltage.tolist(), abs=1e-6)
    assert set(table["series"]) == {"cell"}


@pytest.mark.parametrize(
    "head",
    [
        "Test_Time(s),Current(A),Voltage(V)",
        "Total Time,Current(mA),Voltage(V)",
        "time/min,Current Density (mA/cm²),Ecell/mV",
        "Step,Capacity(mAh),Voltage (mV)",
    ],
)
def test_columns_of_other_cyclers(tmp_path, head):
    lines = ["# area_cm2 = 0.785", head]
    for step in range(5):
        seconds, charge = 1800 * step, 0.25 * step  # mAh/cm²
        row = {
            "Test_Time(s)": seconds,
            "Total Time": f"{seconds // 3600}:{seconds % 3600 // 60:02}:00",
            "time/min": seconds / 60,
            "Current(A)": 0.5e-3 * AREA_cm2,
            "Current(mA)": 0.5 * AREA_cm2,
            "Current Density (mA/cm²)": 0.5,
            "Voltage(V)": 0.01 + step * 0.001,
            "Ecell/mV": 10 + step,
            "Voltage (mV)": 10 + step,
            "Capacity(mAh)": charge * AREA_cm2,
            "Step": 1,
        }
        lines.append(",".join(str(row[name]) for name in head.split(",")))
    table = read_measured(write(tmp_path / "neware.csv", "\n".join(lines))).table
    assert table[CAPACITY].tolist() == pytest.approx([0.0, 0.25, 0.5, 0.75, 1.0])
    assert table["overpotential_mV"].tolist() == pytest.approx([10, 11, 12, 13, 14])


@pytest.mark.parametrize(
    "clock",
    [
        "{h}:{m:02}:{s:02}",
        "{d}-{r:02}:{m:02}:{s:02}",  # Neware
        "{d}d {r:02}:{m:02}:{s:02}",  # Maccor
        "11/{e:02}/2024 {r:02}:{m:02}:{s:06.3f}",  # EC-Lab and BT-Lab with absolute time
        "2024-11-{e:02}T{r:02}:{m:02}:{s:02}",
        "{e:02}-Nov-24 {q}:{m:02}:{s:02} {half}",
    ],
)
def test_times_of_a_clock(tmp_path, clock):
    """Two and a half days of 0.1 mA/cm² between two rests, in which nothing flows: 6 mAh/cm²."""
    lines = ["# area_cm2 = 1", "Cumulative Time,Current(mA),Voltage(V)"]
    for quarter in range(241):  # of an hour
        seconds = 900 * quarter
        hour = seconds // 3600
        half = {"q": (hour % 24 - 1) % 12 + 1, "half": "AM" if hour % 24 < 12 else "PM"}
        days = {"d": hour // 24, "e": 25 + hour // 24, "r": hour % 24, "h": hour}
        text = clock.format(**days, **half, m=seconds % 3600 // 60, s=seconds % 60)
        lines.append(f"{text},{0.1 * (quarter < 240)},0.05")
    table = read_measured(write(tmp_path / "a.csv", "\n".join(lines))).table
    assert table[CAPACITY].iloc[-1] == pytest.approx(0.1 * 239 / 4)


def test_no_charge_flows_before_a_current_is_switched_on_or_after_it_is_off(tmp_path):
    """Text of BT-Lab: rests with a reading every ten minutes, one minute of 1 mA between them."""
    rows = [(0, 0), (600, 0), (601, 1), (660, 1), (1260, 0), (1860, 0), (1861, -1), (1920, -1)]
    head = ["BT-Lab ASCII FILE", "Nb header lines : 4", "Electrode surface area : 1 cm²"]
    lines = [*head, "time/s\tEcell/V\tI/mA", *(f"{t}\t0.1\t{i}" for t, i in rows)]
    table = read_measured(write(tmp_path / "a.mpt", "\n".join(lines), "latin-1")).table
    assert table[CAPACITY].max() == pytest.approx(59 / 3600)
    assert table[CAPACITY].iloc[-1] == pytest.approx(0.0, abs=1e-12)


def test_an_area_that_nobody_stated_is_asked_for(tmp_path):
    for text in (mpt(area="0.001 cm²"), "time/s,I/mA,Ewe/V\n0,1,0.1\n1,1,0.1\n"):
        with pytest.raises(InputError, match="does not state the area") as told:
            read_measured(write(tmp_path / "cell.mpt", text, "latin-1"))
        assert "# area_cm2 = 0.785" in told.value.advice
    path = write(tmp_path / "c.mpt", "# area_cm2 = 0.785\n" + mpt(area="0.001 cm²"), "utf-8")
    assert read_measured(path).table[CAPACITY].iloc[-1] == pytest.approx(1.0, rel=1e-6)
