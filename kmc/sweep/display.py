"""How a sweep stands, on the screen: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import sys
import time
from typing import Any

from kmc.common.formatting import duration
from kmc.sweep.execute import Display, Tally

_PLAIN_EVERY_S = 10.0
_MOST_ROWS = 16
_BAR_WIDTH = 16


def headline(tally: Tally) -> str:
    """ "12 of 40 done, 1 failed, 2 running, about 5 min left"."""
    words = [f"{tally.done} of {tally.total} done"]
    if tally.failed:
        words.append(f"{tally.failed} failed")
    words.append(f"{len(tally.running)} running")
    if not tally.slots:
        words.append("waiting for workers")
    elif not math.isnan(tally.left_s):
        words.append(f"about {duration(max(1.0, float(f'{tally.left_s:.2g}')))} left")
    return ", ".join(words)


class Silent:
    """Says nothing."""

    def __enter__(self) -> Silent:
        return self

    def __exit__(self, *problem: object) -> None:
        pass

    def update(self, tally: Tally) -> None:
        pass

    def say(self, text: str) -> None:
        pass


class PlainLines(Silent):
    """One line every ten seconds and for whatever happens, for logs and pipes."""

    def __enter__(self) -> PlainLines:
        self._last = time.monotonic()
        return self

    def update(self, tally: Tally) -> None:
        now = time.monotonic()
        if now - self._last >= _PLAIN_EVERY_S:
            self._last = now
            self.say(headline(tally))

    def say(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)


class Live:
    """A table that changes in place: one line for the sweep, one for each running point."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live as RichLive

        self._console = Console(stderr=True, highlight=False)
        self._live = RichLive(console=self._console, transient=True, refresh_per_second=4)

    def __enter__(self) -> Live:
        self._live.start()
        return self

    def __exit__(self, *problem: object) -> None:
        self._live.stop()

    def update(self, tally: Tally) -> None:
        self._live.update(table_of(tally))

    def say(self, text: str) -> None:
        self._console.print(text, markup=False)


def table_of(tally: Tally) -> Any:
    """What is seen on a terminal."""
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True, overflow="ellipsis")
    table.add_column(width=_BAR_WIDTH, no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True, overflow="ellipsis")
    for row in tally.running[:_MOST_ROWS]:
        bar = ProgressBar(total=1.0, completed=row.fraction, width=_BAR_WIDTH)
        percent = f"{100 * row.fraction:.0f} %" if row.text != "preparing" else ""
        table.add_row(Text(row.name), bar, percent, Text(row.text))
    lines: list[Any] = [Text(headline(tally), style="bold"), table]
    if len(tally.running) > _MOST_ROWS:
        lines.append(Text(f"… and {len(tally.running) - _MOST_ROWS} more"))
    return Group(*lines)


def display_for(wanted: bool) -> Display:
    """A table on a terminal, lines elsewhere, nothing if not wanted."""
    if not wanted:
        return Silent()
    return Live() if sys.stderr.isatty() else PlainLines()
