"""Pictures that change in a notebook: a run that goes on, and a slider through frames."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from kmc.errors import InputError
from kmc.plotting.draw import draw
from kmc.systems.run import load

_OF_ONE_FRAME = ("map", "section")


def watch(path: str | Path, what: str = "summary", every_s: float = 5.0) -> Any:
    """Draw a run of any kind again and again until it ends; returns it then.

    The run is another process, such as `kmc run` in a terminal or a point of a sweep. Interrupt the
    cell to stop looking; the run goes on.

    - `what`: picture, as for `kmc.plotting.draw`.
    - `every_s`: time between two pictures.

    Raises `InputError`: IPython is not installed, there is no such picture, or the file cannot be
    read.
    """
    try:
        from IPython.display import display
    except ImportError:
        raise _not_installed("IPython") from None
    t = load(path)
    handle = display(draw(what, t), display_id=True)
    while not t.finished:
        time.sleep(every_s)
        t = load(path)
        if handle is not None:  # without a notebook there is nothing to draw into
            handle.update(draw(what, t))
    return t


def slider(t: Any, what: str = "map") -> Any:
    """A slider through the frames of a run, with the picture of each.

    - `what` ({"map", "section"})

    Returns
    -------
    ipywidgets.interactive
        Shows itself in a notebook.

    Raises
    ------
    InputError
        ipywidgets is not installed, the picture is not that of a frame, or there is no frame yet.
    """
    try:
        import ipywidgets as widgets
    except ImportError:
        raise _not_installed("ipywidgets") from None
    if what not in _OF_ONE_FRAME:
        raise InputError(
            f"{what!r} is no picture of a single frame", advice='Choose "map" or "section".'
        )
    last = len(t.frames["sample"] if isinstance(t.frames, dict) else t.frames) - 1
    if last < 0:
        raise InputError(f"{t.path} has no frames yet", advice="Wait for the run to continue.")
    frame = widgets.IntSlider(value=last, min=0, max=last, continuous_update=False)
    return widgets.interactive(lambda frame: draw(what, t, frames=[frame]), frame=frame)


def _not_installed(name: str) -> InputError:
    return InputError(f"{name} is not installed", advice='pip install "kmc-voids[notebook]"')
