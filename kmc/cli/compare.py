"""`kmc compare`: runs side by side."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import click

from kmc.cli.shared import console, file_option, files_argument, force_option, option, table
from kmc.common.outputs import check_output, replacing

_LONGEST_NAME = 24  # of a column; longer ones stand above the table
_EPILOG = """\
\b
Examples:
  kmc compare strip_li.h5 strip_limg.h5
  kmc compare cell_li.h5 pressed.h5 --at 0.1          at one charge, in mAh/cm²
  kmc compare cell_li.h5 pressed.h5 --all --csv table.csv

\b
In Python:
  kmc.compare("cell_li.h5", "pressed.h5", at=0.1).to_dataframe()
"""


@click.command(short_help="What differs between runs: inputs and results.", epilog=_EPILOG)
@files_argument
@option(
    "--at",
    type=float,
    metavar="CAPACITY",
    help="Charge at which results are read: mAh/cm² for populations of voids, monolayers for all "
    "others; the end of each run by default.",
)
@option("--all", "everything", is_flag=True, help="Also what is the same in all of them.")
@file_option("--csv", help="Also write the table.")
@file_option("--json", "json_file", help="Also write every input and result.")
@force_option("the output")
def compare(
    files: tuple[Path, ...],
    at: float | None,
    everything: bool,
    csv: Path | None,
    json_file: Path | None,
    force: bool,
) -> None:
    """Print the inputs in which the runs in FILEs differ, and their results; of any kind."""
    for path, ending in ((csv, ".csv"), (json_file, ".json")):
        if path is not None:
            check_output(path, force, (ending,))
    from kmc.campaign.compare import compare as lay_side_by_side

    found = lay_side_by_side(*files, at=at)
    _print(found, everything)
    if csv is not None:
        with replacing(csv) as draft:
            found.to_dataframe(everything=everything).to_csv(draft, index=False)
    if json_file is not None:
        with replacing(json_file) as draft:
            draft.write_text(found.to_json() + "\n", encoding="utf-8")


def _print(found: Any, everything: bool) -> None:
    from kmc.campaign.compare import text_of

    out, names = console(), list(found.names)
    if max(map(len, names)) > _LONGEST_NAME:
        names = [f"run {i}" for i in range(1, len(names) + 1)]
        for short, name in zip(names, found.names, strict=True):
            click.echo(f"{short}: {name}")
    for what, title in (("input", "Inputs"), ("result", f"Results {found.moment}")):
        every = [row for row in found.rows(everything=True) if row[0] == what]
        rows = [row for row in found.rows(everything=everything) if row[0] == what]
        units = what == "result"  # inputs have theirs in their names
        cells = [[name, *[unit] * units, *map(text_of, vs)] for _, name, unit, vs in rows]
        same = len(every) - len(rows)
        caption = f"{same} more agree (--all)" if same else ""
        heads = ["", *["unit"] * units, *names]
        out.print(table(heads, cells, title, caption, left=1 + units))
    for note in found.notes:
        click.echo(textwrap.fill(f"Note: {note}", min(out.width, 100), break_on_hyphens=False))
