"""Progress on standard error: a live display on a terminal, plain lines elsewhere.

One display serves runs, sweeps and analyses: a bar for the whole, and a bar for each part that is
running at the moment, such as a point of a sweep.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from typing import Any, NamedTuple, Protocol

_PLAIN_EVERY_S = 10.0
_MAX_PARTS = 16  # bars of parts on a terminal
_PREPARING = "preparing (the first run compiles the event loop)"

FrameProgress = Callable[[int, int], None]
"""Callback of an analysis: frames done, frames in all."""


class Part(NamedTuple):
    """Something that is running: its name, the fraction done (0 to 1), and a line on its state."""

    name: str
    fraction: float
    text: str


class Progress(Protocol):
    """Receives the progress of a run."""

    def __enter__(self) -> Progress: ...

    def __exit__(self, *problem: object) -> None: ...

    def update(self, fraction: float, text: str) -> None:
        """The fraction done (0 to 1), and one line on the state."""


class Display(Protocol):
    """Receives the progress of something with several parts."""

    def __enter__(self) -> Display: ...

    def __exit__(self, *problem: object) -> None: ...

    def update(self, fraction: float, text: str, parts: Sequence[Part] = ()) -> None:
        """The fraction done (0 to 1), one line on the state, and what is running."""

    def message(self, text: str) -> None:
        """An event worth a line of its own, such as a failure."""


class Silent:
    """Prints nothing."""

    def __enter__(self) -> Silent:
        return self

    def __exit__(self, *problem: object) -> None:
        pass

    def update(self, fraction: float, text: str, parts: Sequence[Part] = ()) -> None:
        pass

    def message(self, text: str) -> None:
        pass


class PlainLines:
    """One line every ten seconds, and every message, for logs and pipes."""

    def __init__(self, title: str):
        self.title = title

    def __enter__(self) -> PlainLines:
        self._last = time.monotonic()
        return self

    def __exit__(self, *problem: object) -> None:
        pass

    def update(self, fraction: float, text: str, parts: Sequence[Part] = ()) -> None:
        now = time.monotonic()
        if now - self._last >= _PLAIN_EVERY_S:
            self._last = now
            self.message(f"{self.title} {100 * fraction:3.0f} %  {text}")

    def message(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)


class Live:
    """Bars with elapsed and remaining time, which change in place.

    Parameters
    ----------
    title : str
    console : rich.console.Console, optional
        Standard error by default.
    """

    def __init__(self, title: str, console: Any = None):
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            Progress,
            SpinnerColumn,
            TaskProgressColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        self._bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TaskProgressColumn(),
            TextColumn("{task.fields[text]}", markup=False),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console or Console(stderr=True, highlight=False),
            transient=True,
        )
        self._whole = self._bars.add_task(title, total=1.0, text=_PREPARING)
        self._parts: dict[str, Any] = {}

    def __enter__(self) -> Live:
        self._bars.start()
        return self

    def __exit__(self, *problem: object) -> None:
        self._bars.stop()

    def update(self, fraction: float, text: str, parts: Sequence[Part] = ()) -> None:
        shown = {part.name: part for part in parts[:_MAX_PARTS]}
        if len(parts) > len(shown):
            text = f"{text} (and {len(parts) - len(shown)} more)"
        self._bars.update(self._whole, completed=fraction, text=text)
        for name in self._parts.keys() - shown.keys():
            self._bars.remove_task(self._parts.pop(name))
        for name, part in shown.items():
            if name not in self._parts:
                self._parts[name] = self._bars.add_task(name, total=1.0, text="")
            self._bars.update(self._parts[name], completed=part.fraction, text=part.text)

    def message(self, text: str) -> None:
        self._bars.console.print(text, markup=False)


def in_notebook() -> bool:
    """Whether a Jupyter kernel runs this, with the widgets that bars need."""
    if "IPython" not in sys.modules or find_spec("ipywidgets") is None:
        return False
    shell = sys.modules["IPython"].get_ipython()
    return type(shell).__name__ == "ZMQInteractiveShell"


def display_for(title: str, wanted: bool) -> Display:
    """Bars on a terminal and in a notebook, lines elsewhere, nothing if not wanted."""
    if not wanted:
        return Silent()
    if in_notebook():
        from rich.console import Console

        return Live(title, Console(force_jupyter=True))
    return Live(title) if sys.stderr.isatty() else PlainLines(title)


def progress_for(title: str, wanted: bool | Progress) -> Progress:
    """`display_for` a flag; an object that receives progress itself is returned as it is."""
    return display_for(title, wanted) if isinstance(wanted, bool) else wanted


@contextlib.contextmanager
def frame_progress(title: str, wanted: bool) -> Iterator[FrameProgress]:
    """A display of an analysis, as the callback that analyses take."""
    with display_for(title, wanted) as display:
        display.update(0.0, "")

        def update(done: int, of: int) -> None:
            display.update(done / of if of else 1.0, f"frame {done} of {of}")

        yield update
