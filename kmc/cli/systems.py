"""Runs of other systems: what `kmc run` and `kmc info` print."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kmc.cli.shared import INTERRUPTED, picture_of, print_panel, quoted
from kmc.errors import KmcError

if TYPE_CHECKING:
    from kmc.runfile.load import RunFile
    from kmc.systems.result import SystemRun


def run_and_show(run: RunFile, path: Path, *, force: bool, quiet: bool) -> None:
    """Run a system, draw the picture beside its file, print the summary."""
    from kmc.systems.run import run_to_file

    found = run_to_file(run, path, overwrite=force, progress=not quiet)
    picture = picture_of(path)
    drawn = _draw(found, picture)
    if not quiet:
        print_system(found)
        click.echo(f"\nFile        {path}")
        if drawn:
            click.echo(f"Picture     {picture}")
        click.echo(f"\nNext:\n  kmc plot {quoted(path)} --what map\n  kmc verify {quoted(path)}")
    if not found.finished:
        sys.exit(INTERRUPTED)


def print_system(found: SystemRun) -> None:
    """Print what a run of a system did."""
    from kmc.systems.run import kind_of

    print_panel(found, kind_of(found).summary(found))


def _draw(found: SystemRun, picture: Path) -> bool:
    """A failure of the picture must not hide that the file is safe."""
    from kmc import plotting

    try:
        plotting.save(plotting.system_picture([found]), picture)
    except (OSError, KmcError) as problem:
        click.echo(f"The picture {picture} was not drawn: {problem}", err=True)
        return False
    return True
