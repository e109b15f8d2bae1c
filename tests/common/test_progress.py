"""Displays of progress: bars, plain lines, and the callback of analyses."""

from __future__ import annotations

import io
import time

import pytest
from rich.console import Console

from kmc.common import progress as module
from kmc.common.progress import Live, Pace, Part, PlainLines, frame_progress, progress_for


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
    text = "12 of 40 done, 1 failed, 2 running"
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


def test_time_left_counts_from_the_first_step_of_the_work(monkeypatch):
    """A minute of compilation, then a half in ten seconds."""
    clock, pace = [0.0], Pace()
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    shown = []
    for clock[0], fraction in ((0.0, 0.0), (60.0, 0.01), (61.0, 0.02), (70.0, 0.51), (80.0, 1.0)):
        shown.append(pace.left(fraction))
    assert shown == ["", "", "", "9.8\u00a0s left", ""]


def test_plain_lines_tell_the_time_left(capsys, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    with PlainLines("study") as display:
        for clock[0], fraction in ((0.0, 0.1), (5.0, 0.2), (20.0, 0.3)):
            display.update(fraction, "3 of 10 done")
    assert capsys.readouterr().err == "study  30 %  3 of 10 done, 70\u00a0s left\n"


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
