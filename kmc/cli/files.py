"""`kmc verify`: whether a trajectory can be trusted."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from kmc.cli.pictures import telling
from kmc.errors import KmcError

FAILED = 1


@click.command(
    short_help="Check that a trajectory adds up.",
    epilog="\b\nExamples:\n  kmc verify strip_li.h5\n"
    "  kmc verify *.h5 --quiet && echo all sound\n\n"
    "Exit codes: 0 everything adds up, 1 something does not, 2 not readable as a trajectory.",
)
@click.argument(
    "files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path)
)
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but what does not add up.")
def verify(files: tuple[Path, ...], quiet: bool) -> None:
    """Check the trajectories FILE..., finished or still being written, against themselves.

    Recomputes from every frame, without the event loop: the energy to the last µeV, vacancies,
    contact and Mg, and compares them with the sample of the same moment; adds up events, hops,
    vacancies and charge; looks at the order of the rows, at every checksum, and at the place of
    every site. Of a population of voids it balances the volumes, and recomputes footprints, charge
    and overpotential. Names the first place that does not fit.
    """
    from kmc.mesoscale.opening import verify as check

    codes = []
    for file in files:
        try:
            with telling(file.name, quiet) as tell:
                found = check(file, progress=tell)
        except KmcError as problem:
            if len(files) == 1:
                raise
            click.echo(f"Error: {problem}", err=True)
            codes.append(problem.exit_code)
            continue
        if not quiet:
            click.echo(str(found))
        elif not found.passed:
            click.echo(f"{file}: {found.breach}")
        codes.append(0 if found.passed else FAILED)
    sys.exit(max(codes))
