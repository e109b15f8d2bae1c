"""`kmc converge`: do the numbers of a run hold at other ratios of hops to strips?"""

from __future__ import annotations

import json
import shlex
import sys
import textwrap
from pathlib import Path
from typing import Any

import click

from kmc.cli.shared import (
    INTERRUPTED,
    console,
    every_run_option,
    quiet_option,
    read_settings,
    workers_option,
)
from kmc.errors import InputError

_PICTURES = (".png", ".svg", ".pdf")

_EPILOG = """\
\b
Examples:
  kmc converge strip_li --dry-run             what would run, and how long
  kmc converge strip_li                       five ratios, 1e3 to 1e7, four runs each
  kmc converge strip_li --at 0.2              the same runs, read at 0.2 monolayers
  kmc converge strip_li --ratios 1e8          one rung more; only that is run
  kmc converge strip_li --replicas 8          more runs at each rung
  kmc converge my_run.toml --ratios 1e4,1e5,1e6 --set system.size="[64, 64, 24]" -o large

A number has converged when the 90 % interval of the difference between the last two rungs lies
within the tolerance (two one-sided tests). "Still changing" and "the scatter is too wide" are other
answers, and both say what would be needed. Laws are fitted to the highest rungs that lie on one;
intervals come from a bootstrap over the replicas.

The folder is that of a sweep: a second call runs only what is missing, rungs and replicas of
earlier calls stay in the ladder, and kmc.load_sweep reads it.

\b
In Python:
  c = kmc.converge("strip_li", at=0.2); c.findings["void_density_per_um2"].physical

Exit codes: 0 all runs done (converged or not), 1 some failed, 2 the input cannot be used,
130 interrupted; the same command goes on.
"""


def parse_ratios(text: str | None) -> tuple[float, ...] | None:
    """Read ``1e4,1e5,1e6``.

    Raises
    ------
    InputError
        It is no list of numbers.
    """
    if text is None:
        return None
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise InputError(
            f"--ratios {text} is no list of numbers", advice="Write --ratios 1e4,1e5,1e6."
        ) from None


@click.command(
    short_help="Do the numbers of a run hold at other ratios of hops to strips?", epilog=_EPILOG
)
@click.argument("name_or_path")
@click.option(
    "--ratios",
    metavar="R1,R2,...",
    help="Rungs: values of acceleration.max_hops_per_strip_per_site.",
)
@click.option(
    "--rungs",
    type=int,
    metavar="N",
    help="Without --ratios: so many rungs, ten times apart, up to ten times the ratio of the run; "
    "5 by default.",
)
@click.option("--replicas", type=int, default=4, show_default=True, help="Runs at each rung.")
@click.option(
    "--at",
    type=float,
    metavar="CAPACITY",
    help="Monolayers at which contact and voids are read; the end of each run by default.",
)
@click.option(
    "--tolerance",
    type=float,
    default=0.1,
    show_default=True,
    help="Change that a tenfold ratio may make, as a share of the number (of contact loss: or a "
    "tenth of that of the interface, if that is more).",
)
@every_run_option
@click.option("--seed", type=int, default=1, show_default=True, help="Seed of the ladder.")
@workers_option
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Where the runs go; NAME_converge by default.",
)
@click.option(
    "--plot",
    "picture",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The picture, .png, .svg or .pdf; converge.png in the folder by default.",
)
@click.option("--no-plot", is_flag=True, help="Draw no picture.")
@click.option("--csv", type=click.Path(path_type=Path), metavar="FILE", help="Also write a table.")
@click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Also write everything as JSON.",
)
@click.option("--dry-run", is_flag=True, help="Print what would run, how long and how much disk.")
@quiet_option
def converge(
    name_or_path: str,
    ratios: str | None,
    rungs: int | None,
    replicas: int,
    at: float | None,
    tolerance: float,
    settings: tuple[str, ...],
    seed: int,
    workers: int | None,
    output: Path | None,
    picture: Path | None,
    no_plot: bool,
    csv: Path | None,
    json_file: Path | None,
    dry_run: bool,
    quiet: bool,
) -> None:
    """Run NAME_OR_PATH at a ladder of ratios, and say which of its numbers hold.

    Fast hops are slowed until the fastest is RATIO times as frequent as stripping at one site. The
    ladder shows contact loss, void density, mean void width and onset capacity against that ratio,
    marks what has converged, fits power laws, and follows them to the physical ratio, where nothing
    is slowed.
    """
    if ratios is not None and rungs is not None:
        raise InputError("--ratios and --rungs exclude each other", advice="Give one.")
    if picture is not None and no_plot:
        raise InputError("--plot and --no-plot exclude each other", advice="Give one.")
    _check_endings({picture: _PICTURES, csv: (".csv",), json_file: (".json",)})

    from kmc.cli.sweeps import dry_run_of, tell_failures
    from kmc.common.formatting import plural
    from kmc.sweep.convergence import study
    from kmc.sweep.convergence.results import check_reading, read_ladder
    from kmc.sweep.folder import check_folder

    check_reading(at, tolerance)
    asked = study.Ladder(
        name_or_path,
        parse_ratios(ratios),
        study.RUNGS if rungs is None else rungs,
        replicas,
        read_settings(settings)[0],
        seed,
    )
    folder = output or Path(f"{asked.check().run.name}_converge")
    plan = asked.plan(folder)
    existing = check_folder(folder, plan)
    if dry_run:
        dry_run_of(plan, existing, folder, workers)
        return
    tally = study.climb(plan, folder, workers=workers, progress=not quiet)
    tell_failures(tally, folder)
    if tally.interrupted:
        sys.exit(INTERRUPTED)
    found = read_ladder(folder, at=at, tolerance=tolerance, workers=workers)
    written = _write(found, None if no_plot else picture or folder / "converge.png", csv, json_file)
    if not quiet:
        each = f", {plural(_runs_each(found), 'run')} a rung" if _runs_each(found) else ""
        click.echo(f"{found.base}: contact and voids {found.moment}")
        click.echo(f"Means with 95 % intervals (Student's t){each}")
        console().print(_table(found))
        width = min(console().width, 100)
        for line in found.lines():
            click.echo(f"\n{textwrap.fill(line, width, break_on_hyphens=False)}")
        click.echo(f"\nWrote {', '.join([*written, f'the runs in {folder}'])}")
        _say_next(found, folder)
    if tally.failed:
        sys.exit(1)


def _check_endings(files: dict[Path | None, tuple[str, ...]]) -> None:
    for file, endings in files.items():
        if file is not None and file.suffix.lower() not in endings:
            raise InputError(
                f"{file} does not end in {' or '.join(endings)}",
                advice=f"Use a name that ends in {endings[0]}.",
            )
        if file is not None and file.is_dir():
            raise InputError(f"{file} is a folder", advice="Give the name of a file.")


def _write(found: Any, picture: Path | None, csv: Path | None, json_file: Path | None) -> list[str]:
    """Picture, table and JSON, as far as they are wanted; their names."""
    from kmc.common.outputs import replacing

    if picture is not None:
        from kmc.plotting.style import save

        save(found.plot(), picture)
    if csv is not None:
        with replacing(csv) as beside:
            found.table().to_csv(beside, index=False)
    if json_file is not None:
        with replacing(json_file) as beside:
            text = json.dumps(found.to_json(), indent=2, ensure_ascii=False, allow_nan=False)
            beside.write_text(text + "\n", encoding="utf-8")
    return [str(file) for file in (picture, csv, json_file) if file is not None]


def _table(found: Any) -> Any:
    """One line a rung, and one for the physical ratio."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from kmc.sweep.convergence.sentences import ratio_words, short

    findings = list(found.findings.values())
    each = _runs_each(found)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
    table.add_column("ratio", justify="right")
    if not each:
        table.add_column("runs", justify="right")
    for one in findings:
        unit = "%" if one.observable.percent else one.observable.unit
        table.add_column(f"{one.observable.words}\n{unit}", justify="right")
    for i, ratio in enumerate(found.ratios):
        cells = [] if each else [str(max(one.rungs[i].n for one in findings))]
        cells += [_cell(one.rungs[i], 100.0 if one.observable.percent else 1.0) for one in findings]
        table.add_row(ratio_words(ratio), *(Text(cell) for cell in cells))
    if any(one.physical or one.bound for one in findings):
        table.add_section()
        cells = [] if each else [Text("–")]
        for one in findings:
            end = one.physical
            text = "no law"
            if one.bound is not None:
                scale = 100.0 if one.observable.percent else 1.0
                text = f"{'<' if one.bound.below else '>'} {short(scale * one.bound.value)}"
            if end is not None:
                scale = 100.0 if one.observable.percent else 1.0
                text = short(scale * end.value)
                if end.low == end.low:
                    ends = short(scale * end.widest_low), short(scale * end.widest_high)
                    text += "\n" + " – ".join(ends)
            cells.append(Text(text))
        table.add_row(f"{ratio_words(found.physical_ratio)}\nphysical", *cells)
    marks = []
    if any(rung.converged for one in findings for rung in one.rungs):
        marks.append("✓ converged")
    if any(rung.censored for one in findings for rung in one.rungs):
        marks.append("≥ some runs ended before the onset")
    if any(one.physical for one in findings):
        marks.append("physical: by the laws, with the range of all choices of rungs")
    if any(one.bound for one in findings):
        marks.append("< and >: no law, but a bound if the rungs go on bending")
    table.caption = "; ".join(marks) or None
    table.caption_justify = "left"
    return table


def _runs_each(found: Any) -> int:
    """Runs at every rung; 0 where rungs have different numbers of them."""
    counts = {
        max(one.rungs[i].n for one in found.findings.values()) for i in range(len(found.ratios))
    }
    return counts.pop() if len(counts) == 1 else 0


def _cell(rung: Any, scale: float) -> str:
    from kmc.sweep.convergence.sentences import short

    if not rung.n:
        return "–"
    text = ("≥ " if rung.censored else "") + f"{float(f'{scale * rung.mean:.3g}'):.7g}"
    if rung.low == rung.low:
        text += f" ± {short(scale * (rung.high - rung.mean))}"
    return text + (" ✓" if rung.converged else "")


def _say_next(found: Any, folder: Path) -> None:
    click.echo("\nNext:")
    what = "voids" + ("" if found.at is None else f" --at {found.at:g}")
    click.echo(f"  kmc sweep-plot {shlex.quote(str(folder))} --what {what}")
    click.echo(f'  python: import kmc; kmc.load_sweep("{folder.as_posix()}")')
