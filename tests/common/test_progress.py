"""Displays of progress: bars, plain lines, and the callback of analyses."""

from __future__ import annotations

import io
import time

import pytest
from rich.console import Console

from kmc.common.progress import Live, Part, PlainLines, frame_progress, progress_for


def test_live_display_shows_the_whole_and_its_parts():
    screen = io.StringIO()
    console = Console(width=120, file=screen, force_terminal=True)
    parts = [Part(f"p{k}", 0.25, "0.5 monolayers") for k in range(20)]
    with Live("study", console) as display:
        display.update(0.3, "12 of 40 done", parts)
        display.update(0.5, "20 of 40 done", parts[10:])
        display.message("failed: p1")
        display._bars.refresh()
        shown = [task.description for task in display._bars.tasks]
    assert set(shown) == {"study", *(part.name for part in parts[10:])}
    text = screen.getvalue()
    assert "20 of 40 done" in text
    assert "25%" in text
    assert "failed: p1" in text


@pytest.mark.parametrize("width", [80, 120])
def test_long_names_leave_bar_share_and_time_left(width):
    screen = io.StringIO()
    console = Console(width=width, file=screen, force_terminal=True, color_system=None)
    name = "current_density_mA_cm2=0.5,stack_pressure_MPa=0.2,formation_energy_L1_eV=0.45,r1"
    text = "12 of 40 done, 1 failed, 2 running, about 5 min left"
    with Live("study_interface_energy", console) as display:
        display.update(0.3, text, [Part(name, 0.4, "0.22 mAh/cm², contact 0.71, 51 voids")])
        display._bars.refresh()
        time.sleep(0.05)
        display.update(0.4, text, [Part(name, 0.5, "0.22 mAh/cm², contact 0.71, 51 voids")])
    whole, part = screen.getvalue().replace("\r", "\n").rstrip().splitlines()[-4:-2]
    for share, line in (("40%", whole), ("50%", part)):
        assert "━" in line
        assert share in line
        assert "left" in line
    assert "0.45,r1" in part
    assert "5 min left" in whole


def test_time_left_counts_from_the_first_step_of_the_work():
    display = Live("run", Console(file=io.StringIO(), width=120))
    task = display._whole
    with display:
        clock = display._bars.tasks[0]
        clock.start_time = display._bars.get_time() - 60.0  # compiled for a minute
        assert display._left(task, 0.0) == display._left(task, 0.01) == ""
        clock.start_time -= 10.0  # and worked for ten seconds
        assert display._left(task, 0.51) == "9.8\u00a0s left"


def test_plain_lines(capsys):
    with PlainLines("study") as display:
        display.update(0.3, "12 of 40 done", [Part("p1", 0.5, "")])
        display.message("failed: p1")
    assert capsys.readouterr().err == "failed: p1\n"


def test_an_object_that_receives_progress_is_used_as_it_is():
    own = PlainLines("own")
    assert progress_for("run", own) is own


def test_the_callback_of_an_analysis_prints_nothing_if_not_wanted(capsys):
    with frame_progress("map", False) as progress:
        progress(1, 2)
        progress(0, 0)
    assert capsys.readouterr().err == ""
