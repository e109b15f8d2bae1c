"""Displays of progress: bars, plain lines, and the callback of analyses."""

from __future__ import annotations

import io

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
