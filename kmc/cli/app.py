"""The command `kmc`.

Only click and the standard library are imported here; numba, matplotlib and other libraries are
imported by the command that needs them, so that `kmc --help` is fast.
"""

import contextlib
import errno
import json
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click

from kmc.cli import shared as ui
from kmc.cli.converge import converge
from kmc.cli.image import image
from kmc.cli.nucleation import nucleation
from kmc.cli.params import params
from kmc.cli.pictures import export, impedance, movie, plot, report
from kmc.cli.results import compare, critical, sweep_plot
from kmc.cli.run import extend, repair, resume, run, upscale, verify
from kmc.cli.studies import calibrate, study
from kmc.cli.sweeps import sweep
from kmc.common import catalogue
from kmc.common.outputs import check_output
from kmc.common.version import __version__
from kmc.errors import InputError, KmcError


class _Group(click.Group):
    """A group whose commands report a `KmcError` as a message, without a traceback."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        # Print ? for what the encoding of the terminal lacks (cp1252 has no →), not a traceback.
        for stream in (sys.stdout, sys.stderr):
            if not (getattr(stream, "encoding", None) or "").lower().startswith("utf"):
                with contextlib.suppress(AttributeError, ValueError, OSError):
                    stream.reconfigure(errors="replace")  # type: ignore[union-attr]
        # The backend of a notebook and settings of the user's are not for pictures in files, and a
        # damaged file of settings would end matplotlib's import.
        os.environ.update(MPLBACKEND="agg", MATPLOTLIBRC=os.devnull)
        if os.path.exists("matplotlibrc"):  # matplotlib reads it before that of the variable
            with contextlib.chdir(os.path.dirname(__file__)):
                import kmc.plotting  # noqa: F401
        try:
            with warnings.catch_warnings():
                warnings.showwarning = _warn
                return super().main(*args, **kwargs)
        except KmcError as error:
            _print_error(error)
            sys.exit(error.exit_code)
        except MemoryError:
            _print_error(KmcError("not enough memory", advice="Use a smaller size in [system]."))
            sys.exit(1)
        # A damaged file may make any of its readers fail: the file is at fault, not the command.
        except Exception as problem:
            reason: KmcError | None
            if isinstance(problem, OSError) and problem.errno == errno.ENAMETOOLONG:
                name = str(problem.filename)
                text = f"a name of {len(name)} characters is too long: {name[:40]}…"
                reason = InputError(text)
            else:
                from kmc.systems.run import damage_in

                reason = damage_in((args or [kwargs.get("args")])[0] or sys.argv[1:])
            # Nothing is wrong with the input: a mistake in kmc keeps its traceback.
            if reason is None:
                raise
            _print_error(reason)
            sys.exit(reason.exit_code)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            # click would turn it into "Aborted!" and exit code 1.
            text = "\nInterrupted. Finished runs of a sweep or study are kept: repeat the command."
            click.echo(text, err=True)
            ctx.exit(ui.INTERRUPTED)


def _warn(message: Warning | str, *_: Any, **__: Any) -> None:
    """A warning in one line on stderr, without the place in the code that raised it."""
    click.secho("Warning: ", fg="yellow", nl=False, err=True)
    click.echo(str(message), err=True)


def _print_error(error: KmcError) -> None:
    click.secho("Error: ", fg="red", nl=False, err=True)
    click.echo(error.message, err=True)
    if error.advice:
        click.echo(error.advice, err=True)


@click.group(
    cls=_Group,
    epilog=ui.help_text("kmc"),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="kmc", message="%(prog)s %(version)s")
def main() -> None:
    """Kinetic Monte Carlo of vacancies and voids at metal-electrolyte interfaces.

    Strips a lithium or lithium-magnesium electrode atom by atom, lets its vacancies hop, and
    records contact, voids and overpotential.
    """


@main.command(
    short_help="Write a commented run file to start from.",
    epilog=ui.help_text("init"),
)
@click.argument("file", default="run.toml", type=click.Path(path_type=Path))
@ui.option(
    "--scale",
    "atoms: a box of nanometres; cell: micrometres and mAh/cm².",
    type=click.Choice(["atoms", "cell"], case_sensitive=False),
    default="atoms",
)
@ui.every_run_option
@ui.force_option("FILE")
def init(file: Path, scale: str, settings: tuple[str, ...], force: bool) -> None:
    """Write a commented run file with every key, its unit, default and range, of either scale.

    FILE is run.toml by default; - prints it. For another metal than lithium it marks the inputs
    that are those of lithium cells.
    """
    from kmc.runfile.load import load_run
    from kmc.runfile.template import SCALES, template
    from kmc.systems.population.result import OF_LITHIUM

    values, origins = ui.read_settings(settings)
    run = load_run(SCALES[scale][3] or "strip_li", values, origins=origins)
    marked = [key for key in OF_LITHIUM if f"upscale.{key}" not in values]
    marked *= scale == "cell" and run.parameter_set().metal != "Li"
    made = partial(template, scale=scale, settings=values, of_lithium=marked)
    ui.write_template(file, made, force, "run file", "kmc run")
    if marked:
        click.echo(f"Of lithium cells, to be replaced by those of yours: {', '.join(marked)}.")
    # A file that is printed goes into a pipe: nothing else may be in it.
    if str(file) != "-":
        other = {"atoms": "cell, in micrometres and mAh/cm²", "cell": "atoms, in nanometres"}[scale]
        click.echo(f"The other scale is --scale {other}.")


@main.command(
    short_help="Print the summary of a trajectory.",
    epilog=ui.help_text("info"),
)
@ui.file_argument
@ui.flag("--all full", "Everything, numerics and their limits too.")
@ui.flag("--json as_json", "The numbers as JSON, for programs.")
def info(file: Path, full: bool, as_json: bool) -> None:
    """Print the summary of FILE, a run of any kind, finished or still being written."""
    from kmc.systems.run import load

    run = load(file)
    if as_json:
        # JSON has no NaN, and ASCII is read whatever the encoding of the reader.
        click.echo(json.dumps(run.to_json(), indent=2, ensure_ascii=True, allow_nan=False))
    else:
        ui.print_panel(run, run.summary(full), ui.console())
        if full and len(rows := _course(run)):
            ui.console().print(
                ui.table(("number", "start", "end", "largest", "unit"), rows, left=[0, 4])
            )


def _course(found: Any) -> list[tuple[str, ...]]:
    """Columns of the samples, without those that are 0 or, of voltages, negligible."""
    import numpy as np

    from kmc.common.formatting import figure
    from kmc.systems import SYSTEMS

    system, rows = SYSTEMS[found.kind], []
    columns = {name: np.asarray(v, dtype=float) for name, v in found.samples.items()}
    most = {name: np.abs(v[np.isfinite(v)]).max(initial=0.0) for name, v in columns.items()}
    for name, values in columns.items():
        least = 1e-3 * most.get("overpotential_V", 0.0) if name.endswith("_V") else 0.0
        finite = values[np.isfinite(values)]
        if most[name] <= least or name in ("phase", "step", "cycle"):
            continue
        largest = finite[np.argmax(np.abs(finite))]
        unit = system.samples.get(name, ("1",))[0]
        # What rounding leaves of a number is none.
        ends = (x if abs(x) > 1e-12 * most[name] else 0.0 for x in (finite[0], finite[-1], largest))
        rows.append((name, *map(figure, ends), "" if unit == "1" else unit))
    return rows


@main.command(epilog=ui.help_text("bench"))
@ui.option("--case cases", "Only this one; repeatable.", "NAME", multiple=True)
@ui.file_option("--json json_file", "Also write JSON.")
def bench(cases: tuple[str, ...], json_file: Path | None) -> None:
    """Measure the cost of an event on this machine, on one core.

    Prints nanoseconds per event (median and range of five runs), also in units of a yardstick, a
    fixed loop of arithmetic and memory reads, for comparison between machines. Takes about half a
    minute.
    """
    from kmc.systems.electrode import benchmark

    # Before the event loop is compiled for nothing.
    for name in cases:
        if name not in benchmark.CASES:
            raise InputError(
                f"{name!r} is not a case of kmc bench",
                advice=f"{catalogue.nearest(name, benchmark.CASES)}"
                f"Cases: {', '.join(benchmark.CASES)}.",
            )
    if json_file is not None:
        check_output(json_file, overwrite=True)
    console = ui.console()
    results: list[benchmark.CaseCost] = []
    with console.status("preparing (the first run compiles the event loop)") as status:
        yardstick = benchmark.yardstick_ns()
        for name in cases or benchmark.CASES:
            status.update(f"{name}: {benchmark.CASES[name][0]}")
            results += benchmark.run_cases([name])
    console.print(cost_table(results, yardstick))
    what = "a multiplication and a random read from 8 MB"
    console.print(f"One yardstick ({what}): {yardstick:.2f} ns")
    ui.write(json.dumps(benchmark.as_json(results, yardstick), indent=2), json_file)
    ui.say_written(json_file)


def cost_table(results: Sequence[Any], yardstick: float) -> Any:
    """Costs of the cases of `kmc bench`, in ns and in yardsticks."""
    columns: dict[str, Callable[[Any], str]] = {
        "case": lambda r: r.name,
        "ns per\nevent": lambda r: f"{r.ns_per_event:.0f}",
        "range\nof five": lambda r: f"{r.ns_lowest:.0f}-{r.ns_highest:.0f}",
        "yard-\nsticks": lambda r: f"{r.ns_per_event / yardstick:.1f}",
        "draws per\nevent": lambda r: f"{r.attempts_per_event:.2f}",
        "sites": lambda r: f"{r.sites:,}".replace(",", " "),
        "vacancies": lambda r: f"{r.vacancies:,}".replace(",", " "),
    }
    return ui.table(columns, results, "Cost of an event, one core", padding=(0, 1, 0, 0))


@main.group()
def runs() -> None:
    """Shipped runs."""


@runs.command("list")
def runs_list() -> None:
    """List the shipped runs, the sweeps for `kmc sweep`, and files for `kmc calibrate`."""
    for kind in ("runs", "studies", "calibrations"):
        for name in catalogue.names(kind):
            first = catalogue.read_text(catalogue.locate(kind, name)).splitlines()[0]
            click.echo(f"{name:22s} {first.lstrip('# ')}")


# Each command imports what it needs when it runs, so that this list costs nothing.
for _command in (
    *(params, run, resume, extend, verify, repair),
    *(plot, movie, export, image, impedance),
    *(sweep, sweep_plot, critical, converge, compare, calibrate),
    *(nucleation, upscale, study, report),
):
    main.add_command(_command)
