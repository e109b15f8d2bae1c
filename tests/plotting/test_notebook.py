"""Pictures that change in a notebook, without a notebook."""

from __future__ import annotations

import sys
import types

import fake
import pytest

from kmc import load, plotting
from kmc.common import progress
from kmc.errors import InputError

pytest.importorskip("ipywidgets")


class ZMQInteractiveShell:
    """The class by which IPython's shell of a kernel is known."""


def test_a_notebook_has_bars_of_its_own(monkeypatch):
    assert not progress.in_notebook()
    module = types.SimpleNamespace(get_ipython=ZMQInteractiveShell)
    monkeypatch.setitem(sys.modules, "IPython", module)
    assert progress.in_notebook()
    shown = progress.display_for("a run", True)
    assert isinstance(shown, progress.Live)
    assert shown._bars.console.is_jupyter
    monkeypatch.setattr(progress, "find_spec", lambda name: None)
    assert not progress.in_notebook()


def test_a_running_file_is_drawn_until_it_ends(tmp_path, monkeypatch):
    path = fake.write(tmp_path / "run.h5", n_frames=1, finished=None)
    updates = []

    class Handle:
        def update(self, figure):
            updates.append(figure)

    def sleep(seconds):
        assert seconds == 0.5
        path.unlink()
        fake.write(path, n_frames=2, samples_per_frame=2)

    monkeypatch.setattr("IPython.display.display", lambda figure, display_id: Handle())
    monkeypatch.setattr("time.sleep", sleep)
    found = plotting.watch(path, "contact", 0.5)
    assert found.finished
    assert len(updates) == 1


def test_the_slider_shows_the_frame_it_stands_at(tmp_path):
    t = load(fake.write(tmp_path / "run.h5", n_frames=3))
    widget = plotting.slider(t)
    (control,) = [child for child in widget.children if hasattr(child, "max")]
    assert (control.min, control.max, control.value) == (0, 2, 2)
    figure = widget.f(frame=1)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert plotting.draw("map", t, frames="1").axes[0].get_title(loc="left") in titles
    with pytest.raises(InputError, match="no picture of a single frame"):
        plotting.slider(t, "summary")
