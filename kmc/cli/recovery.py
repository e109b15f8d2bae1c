"""Commands that go on with a run from its trajectory."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from kmc.cli.shared import (
    INTERRUPTED,
    check_every_option,
    quiet_option,
    quoted,
    read_settings,
    show_result,
)

_FILE = click.argument("file", type=click.Path(path_type=Path))


@click.command(
    short_help="Go on with an interrupted or killed run.",
    epilog="\b\nExamples:\n  kmc resume strip_li.h5\n"
    "  kmc resume strip_li.h5 --check-every 1000000",
)
@_FILE
@check_every_option
@quiet_option
def resume(file: Path, check_every: int | None, quiet: bool) -> None:
    """Go on with the run of the trajectory FILE, in place.

    For a run that was stopped by Ctrl-C or a batch system (SIGTERM), ended by its
    stop.wall_time_s, or killed: it goes on from the last checkpoint, which a run writes every three
    seconds, and the trajectory becomes the one of an undisturbed run, to the last byte.
    """
    from kmc.mesoscale.opening import holds_population

    if holds_population(file):
        from kmc.cli.upscale import show_population
        from kmc.mesoscale.upscale import resume as go_on_with_population

        show_population(go_on_with_population(file, progress=not quiet), quiet=quiet)
        return
    from kmc.continuation import resume as go_on

    trajectory = go_on(file, progress=not quiet, check_every=check_every)
    show_result(trajectory, quiet=quiet, checked=check_every)
    if trajectory.stop_reason == "interrupted":
        sys.exit(INTERRUPTED)


@click.command(
    short_help="Go on with a finished run to another end.",
    epilog="\b\nExamples:\n  kmc extend strip_li.h5 --set stop.capacity_monolayers=4\n"
    "  kmc extend strip_li.h5 --set stop.capacity_monolayers=none --set stop.contact_fraction=0.3",
)
@_FILE
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="stop.KEY=VALUE",
    help="The new end; none removes one. May be repeated.",
)
@check_every_option
@quiet_option
def extend(file: Path, settings: tuple[str, ...], check_every: int | None, quiet: bool) -> None:
    """Go on with the run of the trajectory FILE beyond its end, in place.

    The trajectory becomes the one that a run with the new [stop] from its beginning would have
    written. Behind an end by time_s it is as good a one, with other random numbers.
    """
    from kmc.continuation import extend as go_on

    overrides, origins = read_settings(settings)
    trajectory = go_on(
        file, overrides, origins=origins, progress=not quiet, check_every=check_every
    )
    show_result(trajectory, quiet=quiet, checked=check_every)
    if trajectory.stop_reason == "interrupted":
        sys.exit(INTERRUPTED)


@click.command(
    short_help="Save what can be saved of a damaged trajectory.",
    epilog="\b\nExample:\n  kmc repair strip_li.h5 -o saved.h5",
)
@_FILE
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="NEW",
    help="The new trajectory; NAME.repaired.h5 beside FILE by default.",
)
@click.option("--force", is_flag=True, help="Overwrite NEW.")
def repair(file: Path, output: Path | None, force: bool) -> None:
    """Write a new trajectory with all of FILE that passes its checksums.

    FILE may be cut short or damaged inside; it is not changed. Where a checkpoint survived behind
    unbroken rows, kmc resume computes again what was lost after it.
    """
    from kmc.trajectory_repair import repair as save

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
        what = "goes on from its checkpoint" if done.resumable else "runs it from its beginning"
        click.echo(f"\nNext:\n  kmc info {quoted(output)}\n  kmc resume {quoted(output)}   {what}")
