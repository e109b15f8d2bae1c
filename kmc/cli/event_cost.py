"""Output of `kmc bench`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from kmc.cli import shared as ui
from kmc.common import catalogue
from kmc.common.outputs import check_output
from kmc.errors import InputError
from kmc.systems.electrode import benchmark


def run_and_print(
    names: Sequence[str], json_file: Path | None, console: Console, events: int | None = None
) -> None:
    """Measure cases (all by default), print a table, and write JSON where a file is given.

    `events` is the length of every case instead of its own.
    """
    for name in names:
        if name not in benchmark.CASES:
            raise InputError(
                f"{name!r} is not a case of kmc bench",
                advice=f"{catalogue.nearest(name, benchmark.CASES)}"
                f"Cases: {', '.join(benchmark.CASES)}.",
            )
    if json_file is not None:
        check_output(json_file, overwrite=True)
    with console.status("preparing (the first run compiles the event loop)") as status:
        yardstick = benchmark.yardstick_ns()
        results: list[benchmark.CaseCost] = []
        for name in names or benchmark.CASES:
            status.update(f"{name}: {benchmark.CASES[name][0]}")
            results.extend(benchmark.run_cases([name], events))
    console.print(_table(results, yardstick))
    console.print(
        f"One yardstick (a multiplication and a random read from 8 MB): {yardstick:.2f} ns"
    )
    ui.write(json.dumps(benchmark.as_json(results, yardstick), indent=2), json_file)
    ui.say_written(json_file)


def _table(results: Sequence[benchmark.CaseCost], yardstick: float) -> Any:
    heads = ("case", "ns per\nevent", "range\nof five", "yard-\nsticks", "draws per\nevent")
    rows = [
        (
            r.name,
            f"{r.ns_per_event:.0f}",
            f"{r.ns_lowest:.0f}-{r.ns_highest:.0f}",
            f"{r.ns_per_event / yardstick:.1f}",
            f"{r.attempts_per_event:.2f}",
            f"{r.sites:,}".replace(",", " "),
            f"{r.vacancies:,}".replace(",", " "),
        )
        for r in results
    ]
    title = "Cost of an event, one core"
    return ui.table((*heads, "sites", "vacancies"), rows, title, padding=(0, 1, 0, 0))
