"""Axes, titles and colours that all pictures share."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from kmc.plotting import maps, section_panels, style

DATA = Path(__file__).parents[1] / "data"


def table(times, capacities) -> pd.DataFrame:
    return pd.DataFrame({"time_s": times, "capacity_monolayers": capacities})


@pytest.mark.parametrize(
    ("capacities", "key"),
    [
        ([0.0, 1.0, 2.0, 3.0], "capacity_monolayers"),
        ([0.0, 1.0, 1.0, 1.0], "time_s"),  # a rest
        ([0.0, 1.0, 0.5, 1.5], "time_s"),  # plating: a capacity is passed several times
        ([0.0, 0.0, 0.0, 0.0], "time_s"),
    ],
)
def test_the_axis_is_the_time_where_capacity_does_not_rise(capacities, key):
    assert style.table_axis([table([0.0, 1.0, 2.0, 3.0], capacities)])[0] == key


def test_long_titles_go_on_a_second_line_and_keep_both_ends_of_a_name():
    assert style.panel_title("run", "2 monolayers", 2.0) == "run, 2 monolayers"
    short = style.panel_title("a_run_of_lithium_at_60_C", "2 monolayers", 2.0)
    assert short == "a_run_of_lithium_at_60_C\n2 monolayers"
    first, second = style.panel_title("a" * 40 + "_hot", "2 monolayers", 1.45).split("\n")
    assert first.startswith("aaa")
    assert first.endswith("_hot")
    assert len(first) <= 1.45 / 0.066
    assert second == "2 monolayers"


def grey(colour) -> float:
    return float(np.dot(to_rgb(colour), [0.299, 0.587, 0.114]))


def test_metal_mg_and_gaps_are_distinguishable_in_a_grey_print():
    lowest = maps.scale_for(5, 0.35).colours(0)[:3]
    levels = [grey(style.METAL), grey(style.MAGNESIUM), grey(lowest)]
    assert np.all(np.diff(levels) < -0.1)


def test_voids_of_sections_have_no_colour_of_a_gap():
    gaps = maps.scale_for(50, 0.35).colours(np.linspace(0, 1, 256))[:, :3]
    for colour in (section_panels.VOID, section_panels.LONE):
        assert np.abs(gaps - to_rgb(colour)).max(axis=1).min() > 0.15


@pytest.mark.slow
def test_settings_of_the_user_change_no_picture(tmp_path):
    """A backend of a notebook, TeX, a damaged file of settings: the same bytes."""
    (rc := tmp_path / "rc").mkdir()
    (rc / "matplotlibrc").write_bytes(b"text.usetex: True\nbackend: nonsense\n\xff\xfe\n")
    arguments = ["plot", str(DATA / "schema_1.h5"), "--what", "contact", "--force", "-o", "a.png"]
    script = f"from kmc.cli import main; main({arguments})"
    pictures = []
    for settings in ({}, {"MPLBACKEND": "nonsense", "MATPLOTLIBRC": str(rc)}, {}):
        if pictures:  # a file in the current folder comes before that of the variable
            shutil.copy(rc / "matplotlibrc", tmp_path)
        command = [sys.executable, "-c", script]
        subprocess.run(command, check=True, cwd=tmp_path, env=os.environ | settings)
        pictures.append((tmp_path / "a.png").read_bytes())
    assert pictures[0] == pictures[1] == pictures[2]


def test_settings_in_python_change_no_picture(tmp_path):
    pictures = []
    for settings in ({}, {"text.usetex": True, "axes.grid": True, "lines.linestyle": ":"}):
        with matplotlib.rc_context(settings), style.styled():
            page = style.new_figure(3, 2)
            page.subplots().plot([1, 2])
        with matplotlib.rc_context(settings):
            style.save(page, tmp_path / "a.png")
        pictures.append((tmp_path / "a.png").read_bytes())
    assert pictures[0] == pictures[1]
