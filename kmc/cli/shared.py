"""Options and helpers of several commands."""

import contextlib
import shlex
import sys
import textwrap
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click

from kmc.common import catalogue
from kmc.common.outputs import check_output, csv_of, write_text
from kmc.errors import InputError, KmcError, KmcWarning, printable
from kmc.files.frame_selection import HELP as FRAMES

INTERRUPTED = 130  # 128 + SIGINT, as shells count it
_FRAME_WIDTH = 6  # a border and a space on either side, two spaces between the columns
_TEXT_WIDTH = 100


def help_text(name: str) -> str:
    """What stands below the options in the help of a command: ``help/NAME.txt``.

    click fills paragraphs, but those with indented lines, such as examples, stay as they are.
    """
    text = (Path(__file__).parent / "help" / f"{name}.txt").read_text(encoding="utf-8")
    return "\n\n".join("\b\n" * ("\n " in part) + part for part in text.split("\n\n"))


# --- options --------------------------------------------------------------------------------------


def option(
    names: str, help: str | None = None, metavar: str | None = None, **about: Any
) -> Callable:
    """An option of a command; its default is shown in the help, where it has one.

    - `names`: as of the option, and that of its argument where it differs: ``"--json json_file"``.
    """
    # A flag is off unless it is given: its default is no news.
    shown = not about.get("is_flag") and about.get("default") is not None
    about = {"show_default": shown, "help": help, "metavar": metavar} | about
    return click.option(*names.split(), **about)


flag = partial(option, is_flag=True)
"""An option without a value."""
number = partial(option, type=float)
"""An option that takes a number."""


def file_option(
    names: str, help: str | None = None, metavar: str = "FILE", **about: Any
) -> Callable:
    """An option that names a file."""
    return option(names, help, metavar, type=click.Path(path_type=Path), **about)


def folder_option(names: str, help: str, **about: Any) -> Callable:
    """An option that names a folder."""
    kind = click.Path(path_type=Path, file_okay=False)
    return option(names, help, "FOLDER", type=kind, **about)


def output_option(help: str, metavar: str = "FILE") -> Callable:
    return file_option("-o --output", help, metavar)


def count_option(names: str, help: str, *, most: int | None = None, **about: Any) -> Callable:
    """An option that is a whole number, one at least."""
    return option(names, help, "N", type=click.IntRange(1, most), **about)


def set_option(help: str) -> Callable:
    """``--set``, into the argument ``settings``."""
    return option("--set settings", help, "SECTION.KEY=VALUE", multiple=True)


def capacity_option(what: str, otherwise: str) -> Callable:
    """``--at``."""
    unit = "mAh/cm² for populations of voids, monolayers for all others"
    text = f"Charge at which {what}: {unit}; {otherwise} by default."
    return number("--at", text, "CAPACITY")


def force_option(what: str) -> Callable:
    return flag("--force", f"Overwrite {what}.")


def with_options(*options: Callable) -> Callable:
    """Several options as one decorator."""

    def decorate(command: Callable) -> Callable:
        # As decorators stand: the last one is applied first, and help keeps the order.
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


quiet_option = flag("-q --quiet", "Print nothing but errors.")
dry_run_option = flag("--dry-run", "Print what would run, how long and how much disk.")
check_every_option = count_option(
    "--check-every",
    "Every N events rebuild all counts, rates and energies from scratch and compare them "
    "exactly; a difference stops the run. The cost of 1000000 is negligible.",
)
every_run_option = set_option("Change one key of the run file in every run. May be repeated.")
workers_option = count_option("-j --workers", "Runs at a time; all cores by default.", most=10_000)
seed_option = option("--seed", "Seed of the study.", type=int, default=1)
frames_option = option("--frames", f"Frames: {FRAMES}, such as ::5.", "WHICH")
min_size_option = count_option(
    "--min-size", "Fewest connected vacancies that make a void.", default=4
)
run_options = with_options(
    output_option(
        "File to write (HDF5); NAME.h5 in the current folder by default. The picture goes beside "
        "it."
    ),
    set_option("Change one key of the run file. May be repeated."),
    option("--seed", "The same as --set random.seed=N.", "N", type=int),
    force_option("the file and the picture"),
)
file_argument = click.argument("file", type=click.Path(path_type=Path))
files_argument = click.argument(
    "files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path)
)


def named_argument(*kinds: str, name: str = "name_or_path") -> Callable:
    """A shipped file or the path of one's own; Tab completes both."""

    def complete(ctx: click.Context, parameter: click.Parameter, typed: str) -> list[str]:
        shipped = [name for kind in kinds for name in catalogue.names(kind)]
        own = [path.as_posix() for path in sorted(Path().glob("*.toml"))]
        return [name for name in (*shipped, *own) if name.startswith(typed)]

    return click.argument(name, shell_complete=complete)


def read_settings(settings: Sequence[str], seed: int | None = None) -> tuple[dict, dict]:
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


def key_and_value(name: str, text: str, example: str, what: str = "KEY") -> tuple[str, str]:
    """Split what stands behind an option as KEY=VALUE."""
    key, _, value = (part.strip() for part in text.partition("="))
    if not (key and value):
        raise InputError(f"{name} {text} is not {what}=VALUE", advice=f"For example {example}.")
    return key, value


def numbers_of(name: str, text: str | None, example: str) -> tuple[float, ...]:
    """The numbers of an option such as 0.2,0.4,0.6; none without it."""
    try:
        return tuple(float(part) for part in text.split(",")) if text is not None else ()
    except ValueError:
        raise InputError(
            f"{name} {text} is no list of numbers",
            advice=f"Separate them by commas: {name} {example}.",
        ) from None


def refuse(*rules: tuple[Any, str, str]) -> None:
    """Raise `InputError` for the first rule that options break: whether, message, advice."""
    for broken, message, advice in rules:
        if broken:
            raise InputError(message, advice=advice)


# --- outputs --------------------------------------------------------------------------------------


def check_outputs(force: bool, *outputs: tuple[Path | None, Sequence[str]]) -> None:
    """Check, before anything is computed, that each output that is given can be written."""
    for path, endings in outputs:
        if path is not None:
            check_output(path, force, endings)


def write(content: Any, path: Path | None) -> None:
    """Write a figure, a table or a text, where a path is given for it."""
    # Commands pass every output, given or not: the test stands here once.
    if path is None:
        return
    if isinstance(content, str):
        write_text(path, content.rstrip("\n") + "\n")
    elif hasattr(content, "to_csv"):
        write_text(path, csv_of(content))
    else:
        from kmc.plotting import save

        save(content, path)


def draw(make: Callable[[], Any], path: Path | None) -> Path | None:
    """Write a picture beside a result; returns its path, None where it could not be drawn.

    The result stands without it: whatever goes wrong is told, and ends no command.
    """
    try:
        write(make(), path)
    except Exception as problem:
        reason = str(problem) if isinstance(problem, KmcError) else repr(problem)
        click.echo(f"The picture {path} was not drawn: {reason}", err=True)
        return None
    return path


def write_template(
    file: Path, template: Callable[..., str], force: bool, what: str, then: str
) -> None:
    """Write a file to start from, or print it where its name is -; say how to go on with it."""
    # As other programs take it: - is the standard output.
    if str(file) == "-":
        click.echo(template(), nl=False)
        return
    check_output(file, force, (".toml",), what)
    write(template(file.name), file)
    click.echo(f"Wrote {file}. Edit it, then: {then} {quoted(file)}")


def say_written(*paths: Path | None, more: str = "", quiet: bool = False) -> None:
    """``Wrote a.png, b.csv``."""
    names = [str(path) for path in paths if path is not None]
    if names and not quiet:
        click.echo(f"Wrote {', '.join(names)}{more}")


# --- what is printed ------------------------------------------------------------------------------


def reporter(quiet: bool) -> Callable[[str], None]:
    """Prints a line on standard error, unless nothing is to be printed."""
    return (lambda text: None) if quiet else (lambda text: click.echo(text, err=True))


def paragraph(text: str) -> str:
    """A text in lines of the width of the terminal."""
    return textwrap.fill(text, min(console().width, _TEXT_WIDTH), break_on_hyphens=False)


def print_next(*commands: str) -> None:
    """Commands to go on with."""
    click.echo("\n  ".join(["\nNext:", *commands]))


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

        # Python shows an equal warning once: in a session of several runs each counts.
        warnings.simplefilter("always", KmcWarning)
        warnings.showwarning = show  # type: ignore[assignment]
        yield


def console() -> Any:
    from rich.console import Console

    # rich would colour every number and path.
    return Console(highlight=False)


def table(
    columns: Sequence[str] | Mapping[str, Callable[[Any], Any]],
    rows: Iterable[Any],
    title: str = "",
    caption: str = "",
    *,
    left: Sequence[int] = (),
    vertical: Any = "bottom",
    **look: Any,
) -> Any:
    """A table for the terminal: numbers to the right, the columns numbered in `left` to the left.

    A cell is text, or a `rich.text.Text` with colours; where `columns` has functions, that of a
    column makes its cell from a row.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    usual: dict[str, Any] = {"box": box.SIMPLE_HEAD, "title_style": "bold", "title_justify": "left"}
    usual |= {"title": title or None, "caption": caption or None, "caption_justify": "left"}
    made = Table(**usual | look)
    for i, column in enumerate(columns):
        justify: Any = "left" if i in left else "right"
        made.add_column(column, justify=justify, vertical=vertical, overflow="fold")
    if isinstance(columns, Mapping):
        rows = ([cell(row) for cell in columns.values()] for row in rows)
    for row in rows:  # a stranger's file may say what is in a cell
        made.add_row(*(c if isinstance(c, Text) else Text(printable(c)) for c in row))
    return made


def quoted(path: Any) -> str:
    return shlex.quote(str(path))


def print_panel(run: Any, rows: list[tuple[str, str]], out: Any) -> None:
    """Print pairs of label and text in a frame with the name of the file; piped, without colour."""
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    # Wrapped here, because rich breaks lines at no-break spaces.
    width = max(20, out.width - max(len(name) for name, _ in rows) - _FRAME_WIDTH)
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column()
    for name, text in rows:
        grid.add_row(name, Text(textwrap.fill(printable(text), width, break_on_hyphens=False)))
    # Yellow: the run goes on, or was interrupted.
    colour = "green" if run.finished else "yellow"
    title = Text(printable(run.path.name), style="bold")
    out.print(Panel(grid, title=title, title_align="left", border_style=colour, expand=False))


# --- the end of a run -----------------------------------------------------------------------------


def picture_of(path: Path) -> Path:
    """The picture beside a trajectory: run.h5 → run.png, run.v2 → run.v2.png."""
    if path.is_dir() or not path.name:
        raise InputError(f"{path} is a folder", advice="Give the name of a file, like run.h5.")
    # Of a name like run.v2 the last part is no ending of a file.
    of_a_run = path.suffix.lower() in (".h5", ".hdf5", ".png")
    return path.with_suffix(".png") if of_a_run else path.with_name(f"{path.name}.png")


def finish(run: Any, *, quiet: bool, checked: int | None = None) -> None:
    """Draw the picture beside a run, print its summary, and suggest commands.

    Exits with `INTERRUPTED` after an interruption.
    """
    path = run.path
    try:
        picture = draw(lambda: run.plot("summary"), picture_of(path))
    except KeyboardInterrupt:
        click.echo(f"\nThe run is safe; kmc plot {quoted(path)} draws its picture.", err=True)
        raise
    interrupted = run.stop_reason == "interrupted"
    if not quiet:
        print_panel(run, run.summary(), console())
        if checked:
            click.echo(f"\nSelf-check  every {checked} events and at the end: no difference")
        click.echo(f"\nFile        {path}")
        # A picture that failed is reported above: its name here would look like success.
        if picture:
            click.echo(f"Picture     {picture}")
        # The measured curves of --paper are of lithium cells.
        other = " --paper" if run.metal != "Li" else ""
        print_next(
            *[f"kmc resume {quoted(path)}"] * interrupted,
            f"kmc info {quoted(path)} --all",
            *(f"kmc plot {quoted(path)} {text.removesuffix(other)}" for text in run.system.next),
            f'python: import kmc; t = kmc.load("{path.as_posix()}"); t',
        )
    if interrupted:
        sys.exit(INTERRUPTED)
