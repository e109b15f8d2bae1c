"""`kmc upscale`: a population of voids on micrometres of interface."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kmc.cli.shared import (
    INTERRUPTED,
    picture_of,
    print_panel,
    quiet_option,
    quoted,
    read_settings,
    run_options,
)
from kmc.errors import InputError, KmcError

if TYPE_CHECKING:
    from kmc.population.result import PopulationRun

_EPILOG = """\
\b
Examples:
  kmc upscale upscale_li
  kmc upscale upscale_limg -o alloy.h5 --seed 7
  kmc upscale operando_li --set upscale.rounding_length_um=1 -o less_round.h5
  kmc upscale upscale_li --set conditions.current_density_mA_cm2=0.2 --force
  kmc plot upscale_li.h5 upscale_limg.h5 --what microscope --paper
  kmc info upscale_li.h5 --json

\b
In Python:
  p = kmc.upscale("upscale_li")
  p.samples.contact_fraction, p.gap_um(-1), p.voids.footprint_um2

What the numbers mean, and their assumptions: docs/upscaling.md.

Exit codes: 0 finished, 2 the input cannot be used (nothing was written), 1 the run failed,
130 interrupted; kmc resume goes on from what was recorded.
"""


@click.command(
    "upscale",
    short_help="A population of voids, from nanometres to what a microscope sees.",
    epilog=_EPILOG,
)
@click.argument("name_or_path")
@run_options
@quiet_option
def upscale(
    name_or_path: str,
    output: Path | None,
    settings: tuple[str, ...],
    seed: int | None,
    force: bool,
    quiet: bool,
) -> None:
    """Run NAME_OR_PATH, a run file with a section [upscale].

    The gap between metal and electrolyte on a periodic square: voids nucleate at the true rates
    or begin on flaws, share the stripped volume through the diffusion of vacancies, round off,
    meet and split, and the metal comes down where vacancies end. Writes an HDF5 file and a picture
    beside it, and prints a summary.
    """
    from kmc.runfile.load import load_run

    overrides, origins = read_settings(settings, seed)
    run = load_run(name_or_path, overrides, origins=origins)
    path = Path(f"{run.name}.h5") if output is None else output
    picture = picture_of(path)
    if path == picture:
        raise InputError(
            f"{path} would be the file and its picture at once",
            advice="Give the file a name that ends in .h5; the picture goes beside it.",
        )
    if picture.is_dir() or (picture.exists() and not force):
        what = "is a folder" if picture.is_dir() else "exists already"
        raise InputError(
            f"{picture}, the picture beside the file, {what}",
            advice="Choose another output with -o, or use --force to overwrite files.",
        )
    from kmc.population.run import run_to_file

    found = run_to_file(run, path, overwrite=force, progress=not quiet)
    show_population(found, quiet=quiet)


def show_population(found: PopulationRun, *, quiet: bool) -> None:
    """Draw the picture beside a population, print the summary; exit as an interrupted run does."""
    picture = picture_of(found.path)
    drawn = _draw(found, picture)
    if not quiet:
        print_summary(found)
        click.echo(f"\nPopulation  {found.path}")
        if drawn:
            click.echo(f"Picture     {picture}")
        click.echo("\nNext:")
        if not found.finished:
            click.echo(f"  kmc resume {quoted(found.path)}")
        click.echo(f"  kmc plot {quoted(found.path)} --what microscope --paper")
        click.echo(f"  kmc verify {quoted(found.path)}")
    if found.stop_reason == "interrupted":
        sys.exit(INTERRUPTED)


def _draw(found: PopulationRun, picture: Path) -> bool:
    """A failure of the picture must not hide that the file is safe."""
    from kmc import plotting

    try:
        plotting.save(plotting.population_picture([found], what="summary"), picture)
    except (OSError, KmcError) as problem:
        click.echo(f"The picture {picture} was not drawn: {problem}", err=True)
        return False
    return True


def print_summary(found: PopulationRun, out: Any = None) -> None:
    """Print what a population did."""
    print_panel(found, found.summary(), out)
