"""Progress on standard error: a live display on a terminal, plain lines elsewhere.

One display serves runs, sweeps and analyses: a bar for the whole, and a bar for each part that is
running at the moment, such as a point of a sweep.
"""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from typing import Any, NamedTuple, Self

from kmc.common.formatting import duration

_PLAIN_EVERY_S = 10.0
_MAX_PARTS = 16  # bars of parts on a terminal
_WIDE = 100  # characters of a terminal on which a bar is long
_KNOWN = 0.02  # share of the work from which the pace is known
_PREPARING = "preparing (the first run compiles the event loop)"

FrameProgress = Callable[[int, int], None]
"""Callback of an analysis: frames done, frames in all."""


class Part(NamedTuple):
    """Something that is running: its name, the fraction done (0 to 1), and a line on its state."""

    name: str
    fraction: float
    text: str


class Silent:
    """Prints nothing; base of all displays, and what an object of the user's may stand in for."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *problem: object) -> None:
        pass

    def update(self, fraction: float, text: str, parts: Sequence[Part] = ()) -> None:
        """The fraction done (0 to 1), one line on the state, and what is running."""

    def message(self, text: str) -> None:
        """An event worth a line of its own, such as a failure."""


Progress = Silent
"""What receives the progress of a run, and of something with several parts."""


class Share(Silent):
    """A share of another progress, from `low` to `high`."""

    def __init__(self, bar: Progress, low: float, high: float):
        self.bar, self.low, self.high = bar, low, high

    def update(self, fraction: float, text: str, parts: Sequence[Part] = ()) -> None:
        self.bar.update(self.low + (self.high - self.low) * fraction, text)


class Pace:
    """Time left at the pace since the work got going."""

    def __init__(self) -> None:
        self._begun: tuple[float, float] | None = None  # time and share at the first step

    def left(self, fraction: float) -> str:
        """``5 min left``; empty while too little is done to know it, and at the end."""
        if not 0 < fraction < 1:
            return ""
        # Before its first step a run compiles, and one that is resumed has done a share already.
        now_s = time.monotonic()
        from_s, from_share = self._begun = self._begun or (now_s, fraction)
        if fraction - from_share < _KNOWN:
            return ""
        left_s = (now_s - from_s) * (1 - fraction) / (fraction - from_share)
        return f"{duration(max(1.0, float(f'{left_s:.2g}')))} left"


class PlainLines(Silent):
    """One line every ten seconds, and every message, for logs and pipes."""

    def __init__(self, title: str):
        self.title, self._pace = title, Pace()

    def __enter__(self) -> "PlainLines":
        self._last = time.monotonic()
        return self

    def update(self, fraction: float, text: str, parts: Sequence[Part] = ()) -> None:
        now, time_left = time.monotonic(), self._pace.left(fraction)
        # A log keeps every line: one in ten seconds shows the pace of hours.
        if now - self._last >= _PLAIN_EVERY_S:
            self._last = now
            line = ", ".join(filter(None, (text, time_left)))
            self.message(f"{self.title} {100 * fraction:3.0f} %  {line}")

    def message(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)


class Live(Silent):
    """Bars with elapsed and remaining time, which change in place, on a console of rich."""

    def __init__(self, title: str, console: Any = None):
        from rich import progress as bars
        from rich.console import Console
        from rich.table import Column

        console = console or Console(stderr=True, highlight=False)
        # All columns but the text have a width of their own: a narrow terminal cuts the text.
        wide = console.width >= _WIDE
        self._name_width = 34 if wide else 20
        line = Column(ratio=1, no_wrap=True, overflow="ellipsis")
        short = Column(no_wrap=True, min_width=11)

        self._bars = bars.Progress(
            bars.SpinnerColumn(),
            bars.TextColumn("{task.fields[name]}", markup=False, table_column=Column(no_wrap=True)),
            bars.BarColumn(bar_width=20 if wide else 8),
            bars.TaskProgressColumn(),
            bars.TextColumn("{task.fields[text]}", markup=False, table_column=line),
            bars.TimeElapsedColumn(),
            bars.TextColumn("{task.fields[left]}", table_column=short),
            console=console,
            transient=True,
            expand=True,
        )
        self._whole = self._add(title, _PREPARING)
        self._parts: dict[str, tuple[Any, Pace]] = {}

    def _add(self, name: str, text: str) -> tuple[Any, Pace]:
        shown = shortened(name, self._name_width)
        return self._bars.add_task(name, total=1.0, name=shown, text=text, left=""), Pace()

    def _set(self, bar: tuple[Any, Pace], fraction: float, text: str) -> None:
        self._bars.update(bar[0], completed=fraction, text=text, left=bar[1].left(fraction))

    def __enter__(self) -> "Live":
        self._bars.start()
        return self

    def __exit__(self, *problem: object) -> None:
        self._bars.stop()

    def update(self, fraction: float, text: str, parts: Sequence[Part] = ()) -> None:
        # No more than fit: rich cuts off a live display that is higher than the terminal.
        shown = {part.name: part for part in parts[:_MAX_PARTS]}
        if len(parts) > len(shown):
            text = f"{text} (and {len(parts) - len(shown)} more)"
        self._set(self._whole, fraction, text)
        for name in self._parts.keys() - shown.keys():
            self._bars.remove_task(self._parts.pop(name)[0])
        for name, part in shown.items():
            if name not in self._parts:
                self._parts[name] = self._add(name, "")
            self._set(self._parts[name], part.fraction, part.text)

    def message(self, text: str) -> None:
        self._bars.console.print(text, markup=False)


def shortened(name: str, width: int) -> str:
    """A name that fits, by its end: there the points of a sweep differ."""
    return name if len(name) <= width else f"…{name[len(name) - width + 1 :]}"


def in_notebook() -> bool:
    """Whether a Jupyter kernel runs this, with the widgets that bars need."""
    if "IPython" not in sys.modules or find_spec("ipywidgets") is None:
        return False
    shell = sys.modules["IPython"].get_ipython()
    return type(shell).__name__ == "ZMQInteractiveShell"


def display_for(title: str, wanted: bool) -> Progress:
    """Bars on a terminal and in a notebook, lines elsewhere, nothing if not wanted."""
    if not wanted:
        return Silent()
    # A notebook is no terminal, and still shows bars that change.
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
