"""Options and helpers of several commands."""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from kmc.errors import InputError, KmcError, KmcWarning

INTERRUPTED = 130  # 128 + SIGINT, as shells count it
_FRAME_WIDTH = 6  # a border and a space on either side, two spaces between the columns

quiet_option = click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
check_every_option = click.option(
    "--check-every",
    type=click.IntRange(min=1),
    metavar="N",
    help="Every N events rebuild all counts, rates and energies from scratch and compare them "
    "exactly; a difference stops the run. The cost of 1000000 is negligible.",
)
every_run_option = click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="SECTION.KEY=VALUE",
    help="Change one key of the run file in every run. May be repeated.",
)
_RUN_OPTIONS = (
    click.option(
        "-o",
        "--output",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="File to write (HDF5); NAME.h5 in the current folder by default. The picture goes "
        "beside it.",
    ),
    click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="SECTION.KEY=VALUE",
        help="Change one key of the run file. May be repeated.",
    ),
    click.option("--seed", type=int, metavar="N", help="The same as --set random.seed=N."),
    click.option("--force", is_flag=True, help="Overwrite the file and the picture."),
)
workers_option = click.option(
    "-j",
    "--workers",
    type=click.IntRange(1, 10_000),
    metavar="N",
    help="Runs at a time; all cores by default.",
)


def run_options(command: Callable) -> Callable:
    """The options of a command that runs one run file into one file."""
    for option in reversed(_RUN_OPTIONS):
        command = option(command)
    return command


@contextlib.contextmanager
def notes() -> Iterator[None]:
    """Print warnings of kmc in this block on standard error, one sentence each."""
    with warnings.catch_warnings():
        default = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *place: Any) -> None:
            if issubclass(category, KmcWarning):
                click.echo(f"Note: {message}", err=True)
            else:
                default(message, category, *place)

        warnings.simplefilter("always", KmcWarning)
        warnings.showwarning = show  # type: ignore[assignment]
        yield


def console() -> Any:
    from rich.console import Console

    return Console(highlight=False)


def read_settings(settings: tuple[str, ...], seed: int | None = None) -> tuple[dict, dict]:
    """Overrides and their origins; the last of several values of a key counts."""
    from kmc.runfile.load import parse_override

    overrides: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for text in settings:
        key, value = parse_override(text)
        overrides[key], origins[key] = value, f"--set {text}"
    if seed is not None:
        overrides["random.seed"], origins["random.seed"] = seed, f"--seed {seed}"
    return overrides, origins


def picture_of(path: Path) -> Path:
    """The picture beside a trajectory: run.h5 → run.png, run.v2 → run.v2.png."""
    if path.is_dir() or not path.name:
        raise InputError(f"{path} is a folder", advice="Give the name of a file, like run.h5.")
    known = path.suffix.lower() in (".h5", ".hdf5", ".png")
    return path.with_suffix(".png") if known else path.with_name(f"{path.name}.png")


def draw(trajectory: Any, picture: Path) -> bool:
    """Draw the picture; a failure is reported, as the trajectory is safe."""
    from kmc.plotting import save_overview

    try:
        save_overview(trajectory, picture)
    except (OSError, KmcError) as problem:
        click.echo(f"The picture {picture} was not drawn: {problem}", err=True)
        return False
    return True


def _print_next(path: Path, picture: Path | None) -> None:
    click.echo(f"\nTrajectory  {path}")
    if picture is not None:
        click.echo(f"Picture     {picture}")
    click.echo("\nNext:")
    click.echo(f"  kmc info {quoted(path)}")
    click.echo(f'  python: import kmc; t = kmc.load("{path.as_posix()}"); t')


def quoted(path: Path) -> str:
    import shlex

    return shlex.quote(str(path))


def print_summary(trajectory: Any, out: Any = None) -> None:
    """Print the summary of a trajectory; piped, the output has no colour."""
    from kmc.analysis.summary import summary

    print_panel(trajectory, summary(trajectory), out)


def print_panel(found: Any, rows: list[tuple[str, str]], out: Any = None) -> None:
    """Print pairs of label and text in a frame with the name of the file.

    Parameters
    ----------
    found : Trajectory or PopulationRun
    rows : list of tuple of str
    out : rich.console.Console, optional
        Where to; standard output if not given.
    """
    import textwrap

    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    out = out or console()
    # Wrapped here, because rich breaks lines at no-break spaces.
    width = max(20, out.width - max(len(name) for name, _ in rows) - _FRAME_WIDTH)
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for name, text in rows:
        table.add_row(name, Text(textwrap.fill(text, width, break_on_hyphens=False)))
    colour = "green" if found.finished else "yellow"
    title = Text(found.path.name, style="bold")
    out.print(Panel(table, title=title, title_align="left", border_style=colour, expand=False))


def finish(trajectory: Any, *, quiet: bool, checked: int | None) -> None:
    """Show the result of a run; exits with `INTERRUPTED` after an interruption."""
    _show_result(trajectory, quiet=quiet, checked=checked)
    if trajectory.stop_reason == "interrupted":
        sys.exit(INTERRUPTED)


def _show_result(trajectory: Any, *, quiet: bool, checked: int | None) -> None:
    """Draw the picture beside a trajectory, print the summary, and suggest commands."""
    path = trajectory.path
    picture = picture_of(path)
    drawn = draw(trajectory, picture)
    if quiet:
        return
    print_summary(trajectory, console())
    if checked:
        click.echo(f"\nSelf-check  every {checked} events and at the end: no difference")
    _print_next(path, picture if drawn else None)
