"""Options and helpers of several commands."""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from kmc.errors import InputError, KmcError, KmcWarning, printable

INTERRUPTED = 130  # 128 + SIGINT, as shells count it
_FRAME_WIDTH = 6  # a border and a space on either side, two spaces between the columns


def option(*names: str, **about: Any) -> Callable:
    """An option of a command; its default is shown in the help, where it has one."""
    shown = not about.get("is_flag") and about.get("default") is not None
    return click.option(*names, **({"show_default": shown} | about))


def file_option(*names: str, metavar: str = "FILE", **about: Any) -> Callable:
    """An option that names a file."""
    return option(*names, type=click.Path(path_type=Path), metavar=metavar, **about)


def folder_option(*names: str, **about: Any) -> Callable:
    """An option that names a folder."""
    kind = click.Path(path_type=Path, file_okay=False)
    return option(*names, type=kind, metavar="FOLDER", **about)


quiet_option = option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
check_every_option = option(
    "--check-every",
    type=click.IntRange(min=1),
    metavar="N",
    help="Every N events rebuild all counts, rates and energies from scratch and compare them "
    "exactly; a difference stops the run. The cost of 1000000 is negligible.",
)


def set_option(help: str, metavar: str = "SECTION.KEY=VALUE") -> Callable:
    """``--set``, into the argument ``settings``."""
    return option("--set", "settings", multiple=True, metavar=metavar, help=help)


def with_options(*options: Callable) -> Callable:
    """Several options as one decorator."""

    def decorate(command: Callable) -> Callable:
        for one in reversed(options):
            command = one(command)
        return command

    return decorate


def force_option(what: str) -> Callable:
    return option("--force", is_flag=True, help=f"Overwrite {what}.")


every_run_option = set_option("Change one key of the run file in every run. May be repeated.")
workers_option = option(
    "-j",
    "--workers",
    type=click.IntRange(1, 10_000),
    metavar="N",
    help="Runs at a time; all cores by default.",
)
seed_option = option("--seed", type=int, default=1, help="Seed of the study.")
files_argument = click.argument(
    "files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path)
)
file_argument = click.argument("file", type=click.Path(path_type=Path))
min_size_option = option(
    "--min-size",
    type=click.IntRange(min=1),
    default=4,
    metavar="N",
    help="Fewest connected vacancies that make a void.",
)
run_options = with_options(
    file_option(
        "-o",
        "--output",
        help="File to write (HDF5); NAME.h5 in the current folder by default. The picture goes "
        "beside it.",
    ),
    set_option("Change one key of the run file. May be repeated."),
    option("--seed", type=int, metavar="N", help="The same as --set random.seed=N."),
    force_option("the file and the picture"),
)


def named_argument(*kinds: str, name: str = "name_or_path") -> Callable:
    """A shipped file or the path of one's own; Tab completes both."""

    def complete(ctx: click.Context, parameter: click.Parameter, typed: str) -> list[str]:
        from kmc.common import catalogue

        shipped = [one for kind in kinds for one in catalogue.names(kind)]
        own = [path.as_posix() for path in sorted(Path().glob("*.toml"))]
        return [one for one in (*shipped, *own) if one.startswith(typed)]

    return click.argument(name, shell_complete=complete)


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


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    title: str = "",
    caption: str = "",
    *,
    left: int = 0,
    **look: Any,
) -> Any:
    """A table for the terminal: numbers to the right of the first `left` columns of text."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    usual: dict[str, Any] = {"box": box.SIMPLE_HEAD, "title_style": "bold", "title_justify": "left"}
    usual |= {"title": title or None, "caption": caption or None, "caption_justify": "left"}
    made = Table(**usual | look)
    for i, column in enumerate(columns):
        made.add_column(column, justify="left" if i < left else "right", vertical="bottom")
    for row in rows:
        made.add_row(*(Text(printable(cell)) for cell in row))  # a stranger's file may say it
    return made


def read_settings(settings: tuple[str, ...], seed: int | None = None) -> tuple[dict, dict]:
    """Overrides and their origins; the last of several values of a key counts."""
    from kmc.runfile.load import parse_override

    overrides: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for text in settings:
        key, value = parse_override(text)
        if key in origins:
            # Both may come from a script and its user; the last one is meant, but not in silence.
            warnings.warn(f"{key} is given twice: {text} counts", KmcWarning, stacklevel=2)
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


def draw(found: Any, picture: Path) -> bool:
    """Draw the picture beside a run; a failure is reported, as the file is safe."""
    from kmc.plotting import save

    try:
        save(found.plot("summary"), picture)
    except (OSError, KmcError) as problem:
        click.echo(f"The picture {picture} was not drawn: {problem}", err=True)
        return False
    return True


def _print_next(found: Any, picture: Path | None) -> None:
    path = found.path
    click.echo(f"\n{'Trajectory' if found.kind == 'electrode' else 'File':10}  {path}")
    if picture is not None:
        click.echo(f"Picture     {picture}")
    click.echo("\nNext:")
    if found.stop_reason == "interrupted":
        click.echo(f"  kmc resume {quoted(path)}")
    click.echo(f"  kmc info {quoted(path)} --all")
    for options in found.system.next:
        click.echo(f"  kmc plot {quoted(path)} {options}")
    click.echo(f'  python: import kmc; t = kmc.load("{path.as_posix()}"); t')


def quoted(path: Path) -> str:
    import shlex

    return shlex.quote(str(path))


def print_panel(found: Any, rows: list[tuple[str, str]], out: Any = None) -> None:
    """Print pairs of label and text in a frame with the name of the file; piped, without colour.

    Parameters
    ----------
    found : Trajectory, PopulationRun or TableRun
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
        table.add_row(name, Text(textwrap.fill(printable(text), width, break_on_hyphens=False)))
    colour = "green" if found.finished else "yellow"
    title = Text(found.path.name, style="bold")
    out.print(Panel(table, title=title, title_align="left", border_style=colour, expand=False))


def finish(found: Any, *, quiet: bool, checked: int | None = None) -> None:
    """Draw the picture beside a run, print its summary, and suggest commands.

    Exits with `INTERRUPTED` after an interruption.
    """
    picture = picture_of(found.path)
    drawn = draw(found, picture)
    if not quiet:
        print_panel(found, found.summary(), console())
        if checked:
            click.echo(f"\nSelf-check  every {checked} events and at the end: no difference")
        _print_next(found, picture if drawn else None)
    if found.stop_reason == "interrupted":
        sys.exit(INTERRUPTED)
