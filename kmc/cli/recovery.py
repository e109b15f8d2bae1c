"""`kmc resume`, `kmc extend`, `kmc verify` and `kmc repair`: commands on existing trajectories."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from kmc.cli.shared import (
    check_every_option,
    file_argument,
    file_option,
    files_argument,
    finish,
    force_option,
    notes,
    option,
    quiet_option,
    quoted,
    read_settings,
    set_option,
)
from kmc.common.progress import frame_progress
from kmc.errors import KmcError

FAILED = 1


@click.command(
    short_help="Continue an interrupted or killed run.",
    epilog="\b\nExamples:\n  kmc resume strip_li.h5\n"
    "  kmc resume strip_li.h5 --check-every 1000000",
)
@file_argument
@check_every_option
@quiet_option
def resume(file: Path, check_every: int | None, quiet: bool) -> None:
    """Continue the run of FILE, of any kind, in place.

    For a run that was stopped by Ctrl-C, a batch system (SIGTERM) or the end of its terminal
    (SIGHUP), ended by its stop.wall_time_s, or killed: it continues from the last checkpoint, which
    a box writes every three seconds and others every twenty, large files less often, and the file
    becomes that of an uninterrupted run, byte for byte.
    """
    from kmc.systems.run import resume as continue_run

    with notes():
        trajectory = continue_run(file, progress=not quiet, check_every=check_every)
    finish(trajectory, quiet=quiet, checked=check_every)


@click.command(
    short_help="Continue a finished run to another end.",
    epilog="\b\nExamples:\n  kmc extend strip_li.h5 --set stop.capacity_monolayers=4\n"
    "  kmc extend strip_li.h5 --set stop.capacity_monolayers=none --set stop.contact_fraction=0.3\n"
    "  kmc extend cycle_li.h5 --cycles 10",
)
@file_argument
@set_option("The new end; none removes one. May be repeated.", "stop.KEY=VALUE")
@option(
    "--cycles",
    type=click.IntRange(min=1),
    default=None,
    metavar="N",
    help="Carry out the last entry of the protocol N more times.",
)
@check_every_option
@quiet_option
def extend(
    file: Path,
    settings: tuple[str, ...],
    cycles: int | None,
    check_every: int | None,
    quiet: bool,
) -> None:
    """Continue the run of the trajectory FILE beyond its end, in place.

    The trajectory becomes that of a run with the new [stop], or with as many more cycles of its
    [[protocol]], from its beginning. After an end by
    time_s it is statistically equivalent, with other random numbers.
    """
    from kmc.systems.run import extend as continue_run

    overrides, origins = read_settings(settings)
    with notes():
        trajectory = continue_run(
            file,
            overrides,
            cycles=cycles or 0,
            origins=origins,
            progress=not quiet,
            check_every=check_every,
        )
    finish(trajectory, quiet=quiet, checked=check_every)


@click.command(
    short_help="Check the consistency of a trajectory.",
    epilog="\b\nExamples:\n  kmc verify strip_li.h5\n"
    "  kmc verify *.h5 --quiet && echo consistent\n\n"
    "Exit codes: 0 consistent, 1 not consistent, 2 not readable as a trajectory.",
)
@files_argument
@option("-q", "--quiet", is_flag=True, help="Print only inconsistencies.")
def verify(files: tuple[Path, ...], quiet: bool) -> None:
    """Check that the trajectories FILE..., finished or still being written, are consistent.

    Recomputes from every frame, without the event loop, the energy to the last µeV, vacancies,
    contact and Mg, and compares them with the sample of the same time; sums events, hops, vacancies
    and charge; checks the order of the rows, every checksum and the position of every site. Prints
    the first inconsistency.
    """
    from kmc.systems.run import verify as check

    codes = []
    for file in files:
        try:
            with frame_progress(file.name, not quiet) as progress:
                found = check(file, progress=progress)
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


@click.command(
    short_help="Recover the undamaged part of a trajectory.",
    epilog="\b\nExample:\n  kmc repair strip_li.h5 -o saved.h5",
)
@file_argument
@file_option(
    "-o",
    "--output",
    metavar="NEW",
    help="The new trajectory; NAME.repaired.h5 beside FILE by default.",
)
@force_option("NEW")
def repair(file: Path, output: Path | None, force: bool) -> None:
    """Write a new trajectory with all of FILE that passes its checksums.

    FILE is not changed. Where its checkpoint and all rows before it are undamaged, kmc resume
    recomputes what is lost after it.
    """
    from kmc.systems.run import needed

    save = needed(file, "repair")
    output = output or file.parent / f"{file.stem}.repaired{file.suffix}"
    done = save(file, output, overwrite=force)
    for problem in done.problems:
        click.echo(f"Damaged: {problem}")
    if done.whole:
        click.echo("Nothing is damaged.")
    click.echo(
        f"Saved {done.samples[0]} of {done.samples[1]} samples and {done.frames[0]} of "
        f"{done.frames[1]} frames in {output}"
    )
    if not done.whole:
        what = "from its checkpoint" if done.resumable else "from its beginning"
        click.echo(f"\nNext:\n  kmc info {quoted(output)}\n  kmc resume {quoted(output)}   {what}")
