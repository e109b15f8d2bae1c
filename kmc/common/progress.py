"""Progress of a run: a live bar on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from typing import Protocol

_PLAIN_EVERY_S = 10.0


class Progress(Protocol):
    """What a run tells while it goes on."""

    def __enter__(self) -> Progress: ...

    def __exit__(self, *problem: object) -> None: ...

    def update(self, fraction: float, text: str) -> None:
        """`fraction` of the way to the first stop, and one line on how things stand."""


class Silent:
    """Says nothing."""

    def __enter__(self) -> Silent:
        return self

    def __exit__(self, *problem: object) -> None:
        pass

    def update(self, fraction: float, text: str) -> None:
        pass


class PlainLines:
    """One line every ten seconds, for logs and pipes."""

    def __init__(self, title: str):
        self.title = title

    def __enter__(self) -> PlainLines:
        self._last = time.monotonic()
        return self

    def __exit__(self, *problem: object) -> None:
        pass

    def update(self, fraction: float, text: str) -> None:
        now = time.monotonic()
        if now - self._last >= _PLAIN_EVERY_S:
            self._last = now
            print(f"{self.title} {100 * fraction:3.0f} %  {text}", file=sys.stderr, flush=True)


class Bar:
    """A live bar with the time that is left."""

    def __init__(self, title: str):
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

        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TaskProgressColumn(),
            TextColumn("{task.fields[text]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._bar.add_task(
            title, total=1.0, text="preparing (the first run compiles the event loop)"
        )

    def __enter__(self) -> Bar:
        self._bar.start()
        return self

    def __exit__(self, *problem: object) -> None:
        self._bar.stop()

    def update(self, fraction: float, text: str) -> None:
        self._bar.update(self._task, completed=fraction, text=text)


def progress_for(title: str, wanted: bool | Progress) -> Progress:
    """A bar on a terminal, lines elsewhere, nothing if not wanted; or what the caller brings."""
    if not isinstance(wanted, bool):
        return wanted
    if not wanted:
        return Silent()
    return Bar(title) if sys.stderr.isatty() else PlainLines(title)
