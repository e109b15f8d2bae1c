"""`kmc run`, `resume`, `extend`, `verify`, `repair`: run files and their files of any kind."""

import sys
from pathlib import Path
from typing import Any

import click

import kmc
from kmc.cli import shared as ui
from kmc.common.formatting import duration
from kmc.common.outputs import check_output, check_trajectory_name
from kmc.common.progress import frame_progress
from kmc.errors import InputError, KmcError

FAILED = 1


class _WithKinds(click.Command):
    """Lists the kinds of run in its help; they are imported only then."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from kmc.runfile.kinds import KINDS, find_more

        find_more()
        sections = [f"[{k.section}]" if k.section else "none of these" for k in KINDS.values()]
        nouns = [kind.noun for kind in KINDS.values()]
        with formatter.section("Kinds of run, by a section of the run file"):
            formatter.write_dl(list(zip(sections, nouns, strict=True)))
        super().format_epilog(ctx, formatter)


@click.command(
    "run", cls=_WithKinds, epilog=ui.help_text("run"), short_help="Run a simulation of any kind."
)
@ui.named_argument("runs")
@ui.run_options
@ui.check_every_option
@ui.quiet_option
def run(
    name_or_path: str,
    output: Path | None,
    settings: tuple[str, ...],
    seed: int | None,
    force: bool,
    quiet: bool,
    check_every: int | None = None,
    kind: str = "",
) -> None:
    """Run NAME_OR_PATH: a shipped run, or the path of a run file.

    Everything is checked before anything is computed. Writes a file (HDF5) that can be read while
    the run goes on, a picture beside it, and prints a summary.
    """
    from kmc.runfile.load import load_run

    overrides, origins = ui.read_settings(settings, seed)
    run_file = load_run(name_or_path, overrides, origins=origins)
    path = Path(f"{run_file.name}.h5") if output is None else output
    picture = ui.picture_of(path)
    # Endings other than .h5 are allowed, and .png would be overwritten by the picture.
    if path == picture:
        raise InputError(
            f"{path} would be both the file of the run and its picture",
            advice="Give the file a name that ends in .h5; the picture goes beside it.",
        )
    # All of it before the run, whose hours a name that cannot be written would waste.
    check_trajectory_name(path)
    check_output(path, force)
    check_output(picture, force, what="picture")
    from kmc.systems.run import run_to_file

    if not quiet and kind in ("", run_file.kind):  # of another kind `run_to_file` says what it is
        from kmc.campaign.plan import SETUP_S
        from kmc.runfile.run_file import ends
        from kmc.systems import SYSTEMS
        from kmc.systems.slowing import warn_of_another_drive

        # Before the first event: where the run will end, and about how long it takes.
        seconds = SETUP_S + SYSTEMS[run_file.kind].seconds(run_file)
        estimated = seconds == seconds  # NaN where no stop gives the number of events
        cost = f"; about {duration(max(seconds, 1.0), 2)} of processor" if estimated else ""
        if end := ends(run_file):  # kinds of other packages have stops of their own
            click.echo(f"{run_file.name} ends {end}{cost}", err=True)
        warn_of_another_drive(name_or_path, overrides)
    result = run_to_file(
        run_file, path, kind=kind, overwrite=force, progress=not quiet, check_every=check_every
    )
    ui.finish(result, quiet=quiet, checked=check_every)


@click.command(
    "upscale",
    epilog=ui.help_text("upscale"),
    short_help="A population of voids, from nanometres to what a microscope sees.",
)
@ui.named_argument("runs")
@ui.run_options
@ui.quiet_option
def upscale(**options: Any) -> None:
    """Run NAME_OR_PATH, a run file with a section [upscale]; kmc run does the same.

    The gap between metal and electrolyte on a periodic square: where voids begin, how they grow,
    meet and split, and how the metal comes down.
    """
    assert run.callback is not None  # the function of the command above
    run.callback(kind="population", **options)


@click.command(short_help="Continue an interrupted or killed run.", epilog=ui.help_text("resume"))
@ui.file_argument
@ui.check_every_option
@ui.quiet_option
def resume(file: Path, check_every: int | None, quiet: bool) -> None:
    """Continue the run of FILE, of any kind, in place.

    For a run that was stopped by Ctrl-C, a batch system (SIGTERM) or the end of its terminal
    (SIGHUP), ended by its stop.wall_time_s, or killed: it continues from the last checkpoint, which
    is saved every three seconds, of large files less often, and the file becomes that of an
    uninterrupted run, byte for byte.
    """
    with ui.notes():
        result = kmc.resume(file, progress=not quiet, check_every=check_every)
    ui.finish(result, quiet=quiet, checked=check_every)


@click.command(short_help="Continue a finished run to another end.", epilog=ui.help_text("extend"))
@ui.file_argument
@ui.set_option("The new end; none removes one. May be repeated.")
@ui.count_option("--cycles", "N more cycles: of the last entry of the protocol, or of a cathode.")
@ui.check_every_option
@ui.quiet_option
def extend(
    file: Path, settings: tuple[str, ...], quiet: bool, check_every: int | None, cycles: int | None
) -> None:
    """Continue the run of FILE, of any kind, beyond its end, in place.

    The file becomes that of a run with the new end, or with as many more cycles, from its
    beginning. A box of atoms goes on from where it ended (after an end by time_s it is
    statistically equivalent, with other random numbers); other kinds are computed again, as where
    their rows and frames stand follows from the end.
    """
    overrides, origins = ui.read_settings(settings)
    # Zero cycles more is no change: the new end is then that of --set.
    options: dict[str, Any] = {"cycles": cycles or 0, "check_every": check_every}
    with ui.notes():
        result = kmc.extend(file, overrides, origins=origins, progress=not quiet, **options)
    ui.finish(result, quiet=quiet, checked=check_every)


@click.command(short_help="Check the consistency of a trajectory.", epilog=ui.help_text("verify"))
@ui.files_argument
@ui.flag("-q --quiet", "Print only inconsistencies.")
def verify(files: tuple[Path, ...], quiet: bool) -> None:
    """Check that the trajectories FILE..., finished or still being written, are consistent.

    Recomputes from every frame (of more than 4096 the last ones), without the event loop, the
    energy to the last µeV, vacancies, contact and Mg, and compares them with the sample of the same
    time; sums events, hops, vacancies and charge; checks the order of the rows, every checksum and
    the position of every site. Prints the first inconsistency.
    """
    # One bad file of many must not hide the others: the worst exit code counts.
    codes = []
    for file in files:
        try:
            with frame_progress(file.name, not quiet) as progress:
                result = kmc.verify(file, progress=progress)
        except KmcError as problem:
            if len(files) == 1:
                raise
            click.echo(f"Error: {problem}", err=True)
            codes.append(problem.exit_code)
            continue
        if not quiet:
            click.echo(str(result))
        elif not result.passed:
            click.echo(f"{file}: {result.breach}")
        codes.append(0 if result.passed else FAILED)
    sys.exit(max(codes))


@click.command(
    short_help="Deprecated: kmc verify checks a file.",
    epilog=ui.help_text("repair"),
)
@ui.file_argument
@ui.output_option("Not used any more.", "NEW")
@ui.force_option("NEW")
def repair(file: Path, output: Path | None, force: bool) -> None:
    """Deprecated, and does nothing: a file is replaced whole at each save.

    After a kill or on a full disk it is the one of the last save, whole, and kmc resume goes on
    with it. One that was damaged since is refused.
    """
    raise InputError(
        f"kmc repair is deprecated and wrote nothing: {file} is replaced whole at each save, so "
        "that none is left half written",
        advice=f"kmc verify {ui.quoted(file)} checks it, kmc resume goes on with a run that was "
        "killed; of a damaged file take a copy, or run it again.",
    )
