"""`kmc report`: one HTML page of a result."""

from __future__ import annotations

from pathlib import Path

import click

from kmc.cli.shared import file_option, force_option, quiet_option

_EPILOG = """\
\b
Examples:
  kmc report strip_li.h5                       a run: strip_li_report.html
  kmc report upscale_li.h5 -o voids.html       a population of voids
  kmc report study_temperature                 the folder of a sweep
  kmc report strip_li_converge                 a convergence study, or a critical value
  kmc report li_li2s.json                      the JSON of kmc nucleation
  kmc report study_operando                    a study, with its table of claims
  kmc report calibrate_operando                a calibration

The page holds its figures and loads nothing from the network: it can be mailed, archived, and
opened in any browser.
"""


@click.command(
    "report",
    short_help="One self-contained HTML page of a run, a sweep or a study.",
    epilog=_EPILOG,
)
@click.argument("source", metavar="FILE_OR_FOLDER", type=click.Path(path_type=Path))
@file_option(
    "-o", "--output", help="A .html file; NAME_report.html beside FILE_OR_FOLDER by default."
)
@force_option("the page")
@quiet_option
def report(source: Path, output: Path | None, force: bool, quiet: bool) -> None:
    """Write one self-contained HTML page of FILE_OR_FOLDER.

    Inputs with their sources, convergence, figures, claims and versions of a trajectory, a
    population of voids, the JSON of a nucleation result, or the folder of a sweep, a convergence
    study, a search for a critical value or a study.
    """
    from kmc.plotting.report import report as write

    path = write(source, output, overwrite=force)
    if not quiet:
        click.echo(f"Wrote {path}")
