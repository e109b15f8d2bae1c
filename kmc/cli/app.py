"""The command `kmc`.

Only click and the standard library are imported here; numba, matplotlib and other libraries are
imported by the command that needs them, so that `kmc --help` is fast.
"""

from __future__ import annotations

import contextlib
import errno
import sys
import warnings
from pathlib import Path
from typing import Any

import click

from kmc.cli.calibrate import calibrate
from kmc.cli.compare import compare
from kmc.cli.converge import converge
from kmc.cli.image import image
from kmc.cli.impedance import impedance
from kmc.cli.nucleation import nucleation
from kmc.cli.own_interface import from_ase, from_ce, from_dft
from kmc.cli.pictures import export, movie, plot
from kmc.cli.recovery import extend, repair, resume, verify
from kmc.cli.report import report
from kmc.cli.run import run, upscale
from kmc.cli.shared import (
    INTERRUPTED,
    console,
    named_argument,
    print_panel,
    quoted,
)
from kmc.cli.study import study
from kmc.cli.sweep_results import critical, sweep_plot
from kmc.cli.sweeps import sweep
from kmc.common.outputs import check_output, replacing
from kmc.common.version import __version__
from kmc.errors import InputError, KmcError

_EPILOG = """\
\b
Examples:
  kmc run strip_li                    strip lithium: a trajectory, a picture, a summary
  kmc info strip_li.h5                the summary of a trajectory again
  kmc plot strip_li.h5 --what map     maps of the interface; kmc plot --help names all pictures
  kmc movie strip_li.h5               the run as a movie
  kmc export strip_li.h5              the atoms for OVITO and ASE
  kmc image cut.png --scale 12.5      voids in a segmented SEM image, to lay beside a run
  kmc verify strip_li.h5              is the file consistent?
  kmc run strip_li --set conditions.temperature_K=333.15 -o warm.h5
  kmc sweep study.toml                many runs from one file; kmc sweep --help shows one
  kmc sweep study_temperature         one of the studies of `kmc runs list` ...
  kmc sweep-plot study_temperature    ... and its picture
  kmc converge strip_li               convergence with the ratio of hops to strips
  kmc nucleation li_li2s              how voids nucleate at the true rates
  kmc run cell_li                     a cell in micrometres and mAh/cm²: when contact is lost
  kmc run plate_zno_002               lithium plated on a substrate: islands, films
  kmc study operando                  Li and Li-Mg beside the operando paper, with a table of claims
  kmc calibrate calibrate_operando    the inputs that measured numbers leave possible
  kmc report strip_li.h5              inputs, figures and results as one HTML page
  kmc init my_run.toml                a commented run file of your own
  kmc run my_run.toml
  kmc params show li_li2s             every number with its unit and source
  kmc params from-ase slab.xyz        numbers for an interface of your own

\b
In Python:
  import kmc
  t = kmc.load("strip_li.h5")
  t.samples.contact_fraction
  kmc.load_sweep("study_temperature")
"""


class _Group(click.Group):
    """A group whose commands report a `KmcError` as a message, without a traceback."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        _print_everywhere()
        try:
            with warnings.catch_warnings():
                warnings.showwarning = _warn
                return super().main(*args, **kwargs)
        except KmcError as error:
            _print_error(error)
            sys.exit(error.exit_code)
        except OSError as problem:
            if problem.errno != errno.ENAMETOOLONG:
                raise
            name = str(problem.filename)
            _print_error(InputError(f"a name of {len(name)} characters is too long: {name[:40]}…"))
            sys.exit(InputError.exit_code)
        except MemoryError:
            _print_error(KmcError("not enough memory", advice="Use a smaller size in [system]."))
            sys.exit(1)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            # click would turn it into "Aborted!" and exit code 1.
            click.echo("\nInterrupted.", err=True)
            ctx.exit(INTERRUPTED)


def _print_everywhere() -> None:
    """Print ? for what the encoding of the terminal lacks (cp1252 has no →), not a traceback."""
    for stream in (sys.stdout, sys.stderr):
        encoding = (getattr(stream, "encoding", None) or "").lower()
        if not encoding.startswith("utf"):
            with contextlib.suppress(AttributeError, ValueError, OSError):
                stream.reconfigure(errors="replace")  # type: ignore[union-attr]


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
    epilog=_EPILOG,
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
    epilog="\b\nExamples:\n  kmc init\n  kmc init my_cell.toml --scale cell\n  kmc init - | less",
)
@click.argument("file", default="run.toml", type=click.Path(path_type=Path))
@click.option(
    "--scale",
    type=click.Choice(["atoms", "cell"], case_sensitive=False),
    default="atoms",
    show_default=True,
    help="atoms: a box of nanometres; cell: micrometres and mAh/cm².",
)
@click.option("--force", is_flag=True, help="Overwrite FILE.")
def init(file: Path, scale: str, force: bool) -> None:
    """Write a commented run file with every key, its unit, default and range, of either scale.

    FILE is run.toml by default; - prints it.
    """
    from kmc.runfile.template import template

    if str(file) == "-":
        click.echo(template(scale=scale), nl=False)
        return
    check_output(file, force, (".toml",), "run file")
    with replacing(file) as draft:
        draft.write_text(template(file.name, scale), encoding="utf-8")
    click.echo(f"Wrote {file}. Edit it, then: kmc run {quoted(file)}")
    other = {"atoms": "cell, in micrometres and mAh/cm²", "cell": "atoms, in nanometres"}[scale]
    click.echo(f"The other scale is --scale {other}.")


@main.command(
    short_help="Print the summary of a trajectory.",
    epilog="\b\nExamples:\n  kmc info strip_li.h5\n  kmc info strip_li.h5 --all\n"
    "  kmc info strip_li.h5 --json",
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--all", "full", is_flag=True, help="Everything, numerics and their limits too.")
@click.option("--json", "as_json", is_flag=True, help="The numbers as JSON, for programs.")
def info(file: Path, full: bool, as_json: bool) -> None:
    """Print the summary of FILE, a run of any kind, finished or still being written."""
    from kmc.systems.run import load

    found = load(file)
    if as_json:
        _echo_json(found.to_json())
    else:
        print_panel(found, found.summary(full), console())


def _echo_json(data: dict[str, Any]) -> None:
    import json

    click.echo(json.dumps(data, indent=2, ensure_ascii=True, allow_nan=False))


@main.command(epilog="\b\nExamples:\n  kmc bench\n  kmc bench --case strip_li --json here.json")
@click.option("--case", "cases", multiple=True, metavar="NAME", help="Only this one; repeatable.")
@click.option(
    "--json", "json_file", type=click.Path(path_type=Path), metavar="FILE", help="Also write JSON."
)
def bench(cases: tuple[str, ...], json_file: Path | None) -> None:
    """Measure the cost of an event on this machine, on one core.

    Prints nanoseconds per event (median and range of five runs), also in units of a yardstick, a
    fixed loop of arithmetic and memory reads, for comparison between machines. Takes about half a
    minute.
    """
    from kmc.cli.event_cost import run_and_print

    run_and_print(cases, json_file, console())


@main.group()
def runs() -> None:
    """Shipped runs."""


@runs.command("list")
def runs_list() -> None:
    """List the shipped runs, the sweeps for `kmc sweep`, and files for `kmc calibrate`."""
    from kmc.common import catalogue

    for kind in ("runs", "studies", "calibrations"):
        for name in catalogue.names(kind):
            first = catalogue.read_text(catalogue.locate(kind, name)).splitlines()[0]
            click.echo(f"{name:22s} {first.lstrip('# ')}")


@main.group(
    epilog="\b\nExamples:\n  kmc params list\n  kmc params show li_li2s\n"
    "  kmc params check limg_li2s --lattice bcc_110\n  kmc params cite li_li2s --bibtex"
)
def params() -> None:
    """Parameter sets: their numbers, sources and checks against DFT."""


@params.command("list")
def params_list() -> None:
    """List the shipped parameter sets."""
    from kmc.cli.parameter_tables import list_table
    from kmc.common import catalogue
    from kmc.model.parameters import load_parameters

    console().print(list_table([load_parameters(name) for name in catalogue.names("params")]))


@params.command(
    "init",
    short_help="Write a commented parameter file to start from.",
    epilog="\b\nExamples:\n  kmc params init my_set.toml\n  kmc params init - --base limg_li2s",
)
@click.argument("file", default="my_set.toml", type=click.Path(path_type=Path))
@click.option("--base", default="li_li2s", show_default=True, help="Shipped set to start from.")
@click.option("--force", is_flag=True, help="Overwrite FILE.")
def params_init(file: Path, base: str, force: bool) -> None:
    """Write a commented parameter file with every quantity, its unit, range and value in a set.

    FILE is my_set.toml by default; - prints it.
    """
    from kmc.model.parameter_file import template

    if str(file) == "-":
        click.echo(template(base=base), nl=False)
        return
    check_output(file, force, (".toml",), "parameter file")
    text = template(file.name, base)
    with replacing(file) as draft:
        draft.write_text(text, encoding="utf-8")
    click.echo(f"Wrote {file}. Edit it, then: kmc params check {quoted(file)}")


@params.command("show")
@named_argument("params", name="name")
@click.option("--notes/--no-notes", default=True, help="The note of each number, or only a table.")
def params_show(name: str, notes: bool) -> None:
    """Show every number of the set NAME with its unit, source and note.

    NAME is a shipped set or the path of a parameter file.
    """
    from kmc.cli.parameter_tables import show_table
    from kmc.model.parameters import load_parameters

    console().print(show_table(load_parameters(name), notes))


@params.command("check")
@named_argument("params", name="name")
@click.option("--lattice", default="bcc_100", show_default=True, help="Lattice to calibrate for.")
def params_check(name: str, lattice: str) -> None:
    """Rebuild the DFT configurations of the set NAME on a lattice and compare energies.

    Each energy is the difference of two total energies of the calibrated model, summed bond by
    bond, against the DFT value. A difference above 0.02 eV (or the limit in the note of the row) is
    marked as a miss, with the reason. Misses are no failure: the exit code is 0.
    """
    from kmc.cli.parameter_tables import check_table
    from kmc.model.adatoms_check import adatom_rows
    from kmc.model.dft_check import check_rows
    from kmc.model.parameters import load_parameters

    parameters = load_parameters(name)
    if parameters.has("adsorption_energy_eV"):  # of a substrate: no vacancies at an interface
        out = console()
        out.print(f"{parameters.name} on the simple cubic lattice of a deposition\n")
        out.print(check_table(adatom_rows(parameters), "Given"))
        return
    if parameters.has("youngs_modulus_GPa"):
        from kmc.systems.cathode.materials import material_rows

        out = console()
        out.print(f"{parameters.name} on the lattice of a cathode\n")
        out.print(check_table(material_rows(parameters), "Given"))
        return
    # The rows of a lattice gas follow from counting bonds, not from DFT.
    reference = "Exact" if parameters.has("pair_bond_eV") else "DFT"
    rows = check_rows(parameters, lattice)
    out = console()
    out.print(f"{parameters.name} on {lattice}\n")
    out.print(check_table(rows, reference))


@params.command("cite")
@named_argument("params", name="name")
@click.option("--bibtex", is_flag=True, help="BibTeX entries.")
def params_cite(name: str, bibtex: bool) -> None:
    """Print the references of the set NAME, with links and the quantities that use each."""
    from kmc.cli.parameter_tables import citations
    from kmc.model.parameters import load_parameters

    parameters = load_parameters(name)
    if bibtex:
        click.echo("\n\n".join(item.bibtex(key) for key, item in parameters.sources.items()))
    else:
        click.echo(citations(parameters))


for _command in (from_ase, from_ce, from_dft):
    params.add_command(_command)
for _command in (
    *(run, resume, extend, verify, repair),
    *(plot, movie, export, image, impedance),
    *(sweep, sweep_plot, critical, converge, compare, calibrate),
    *(nucleation, upscale, study, report),
):
    main.add_command(_command)
