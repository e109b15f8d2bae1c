"""What the scripts of this folder share: arguments, fresh processes, tables, JSON and pictures."""

from __future__ import annotations

import argparse
import inspect
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

# Nothing of kmc and no library comes in with this module: compile_time.py measures imports.

HERE = Path(__file__).resolve().parent
MARKERS = ("o", "s", "^", "D", "v", "P", "X")


def arguments(
    what: str, more: Callable[[argparse.ArgumentParser], object] | None = None
) -> argparse.Namespace:
    """Command line of every script: ``quick`` and ``out``, a folder that exists afterwards.

    `more` adds what one script takes besides.
    """
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("--quick", action="store_true", help="fewer points, shorter runs")
    parser.add_argument(
        "--out",
        type=Path,
        default=HERE / "results",
        metavar="FOLDER",
        help="where JSON and pictures go (default: results/ beside the scripts)",
    )
    if more is not None:
        more(parser)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    return given


def quantity(value: float) -> str:
    """A number in three figures, thousands apart."""
    if value == 0 or 1e-3 <= abs(value) < 100:
        return f"{value:.3g}"
    return f"{value:,.0f}".replace(",", " ") if abs(value) >= 100 else f"{value:.1e}"


def show(title: str, rows: Sequence[dict[str, Any]], headings: dict[str, str]) -> None:
    """Print rows as a table.

    Parameters
    ----------
    headings : dict
        Heading, with unit, of every column to print, by its key in the rows; lines are kept.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for key, heading in headings.items():
        is_text = bool(rows) and isinstance(rows[0].get(key), str)
        table.add_column(heading, justify="left" if is_text else "right", no_wrap=True)
    for row in rows:
        cells = [row.get(key, "") for key in headings]
        table.add_row(*[c if isinstance(c, str) else quantity(c) for c in cells])
    Console(highlight=False).print(table)


def write_json(folder: Path, name: str, rows: Sequence[dict[str, Any]], **more: Any) -> None:
    """Write NAME.json: the rows, the yardstick of `kmc bench`, versions and machine."""
    from kmc.common import provenance
    from kmc.systems.electrode import benchmark

    data = {
        "benchmark": name,
        "yardstick_ns": benchmark.yardstick_ns(),
        "provenance": {**provenance.collect(), "cores": os.cpu_count()},
        **more,
        "rows": list(rows),
    }
    path = folder / f"{name}.json"
    path.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    print(f"Wrote {path}")


def draw(
    folder: Path,
    name: str,
    curves: dict[str, tuple[Sequence[float], Sequence[float]]],
    x_label: str,
    y_label: str,
    lowest: float | None = None,
) -> None:
    """Draw curves on log-log axes into NAME.png; colour, marker and label tell them apart."""
    from matplotlib.ticker import LogFormatter, LogLocator

    from kmc.plotting import style

    with style.styled():
        page = style.new_figure(style.COLUMN_IN, 2.6)
        axes = page.add_subplot()
        for i, (label, (x, y)) in enumerate(curves.items()):
            marker = MARKERS[i % len(MARKERS)]
            axes.loglog(x, y, **style.run_style(i), marker=marker, markersize=3.5, label=label)
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
        low, high = axes.get_ylim()
        axes.set_ylim(low if lowest is None else min(lowest, low), 1.15 * high)
        if high / axes.get_ylim()[0] < 100:  # less than two decades: label 1, 2, 5
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_major_formatter(LogFormatter(minor_thresholds=(9, 9)))
            axes.yaxis.set_minor_formatter("")
        axes.grid(True, which="major", color="0.9", linewidth=0.5)
        if len(curves) > 1:
            axes.legend(fontsize=6.5)
        path = folder / f"{name}.png"
        style.save(page, path)
    print(f"Wrote {path}")


# --- fresh processes ------------------------------------------------------------------------------

_READY = "ready"
_CALL = """\
import json, sys
sys.path.insert(0, sys.argv[1])
module = __import__(sys.argv[2])
print(json.dumps(getattr(module, sys.argv[3])(*json.loads(sys.argv[4]))))
"""


def start(function: Callable, *given: Any, **environment: str) -> subprocess.Popen:
    """Call a function of a script of this folder in a new process; `finish` gets its result."""
    module = Path(inspect.getsourcefile(function)).stem
    command = [sys.executable, "-c", _CALL, str(HERE), module, function.__name__, json.dumps(given)]
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


def wait_for_start() -> None:
    """In a process made by `start`: say that all is ready and wait for `start_together`."""
    print(_READY, flush=True)
    sys.stdin.readline()


def start_together(processes: Sequence[subprocess.Popen]) -> None:
    """Wait until all processes are ready, then let all go on at once."""
    for process in processes:
        while (line := process.stdout.readline()) and line.strip() != _READY:
            pass
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()


def finish(process: subprocess.Popen) -> Any:
    """What the function returned; other things it printed are dropped."""
    printed, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"a measuring process failed with exit code {process.returncode}")
    return json.loads(printed.splitlines()[-1])


def fresh(function: Callable, *given: Any, **environment: str) -> Any:
    """Call a function of a script of this folder in a new process and wait for its result."""
    return finish(start(function, *given, **environment))
