"""`kmc params from-ase`, `from-dft`, `from-ce`: a parameter set for an interface of one's own."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, NamedTuple

import click

from kmc.cli.shared import (
    console,
    file_argument,
    notes,
    option,
    quiet_option,
    quoted,
    with_options,
)
from kmc.common.outputs import check_output
from kmc.errors import InputError

_FROM_ASE = """\
\b
Examples:
  kmc params from-ase slab.xyz --calculator mace.calculators:mace_mp -o mine.toml
  kmc params from-ase slab.xyz --calculator my_potential:calculator --metal Na
  kmc params from-ase slab.xyz --calculator lj --repeat 1 --repeat 2 --repeat 3

SLAB is metal on its electrolyte, relaxed, the interface normal to z, in any format of ASE; with
metal alone the lower surface is the interface. Some tens of relaxations: minutes with a potential,
days with DFT. Each finished configuration is kept beside the output, so after Ctrl-C or a crash the
same command goes on. For DFT on a cluster see kmc params from-dft --help. docs/parameters.md has
the list of configurations.
"""
_FROM_DFT = """\
\b
Examples:
  kmc params from-dft mine.csv -o mine.toml
  kmc params from-dft mine.csv -o mine.toml --citation "A. Author, J. 1, 1 (2026)" --doi 10.1000/x

\b
TABLE is a CSV file such as
  configuration,file
  bulk,bulk/OUTCAR
  bulk_vacancy,vacancy/vasprun.xml
  interface,slab.extxyz
  interface_vacancy_L1,L1.extxyz
docs/parameters.md names the configurations and what follows from which.
"""
_FROM_CE = """\
\b
Examples:
  kmc params from-ce vacancies.ce -o mine.toml
  kmc params from-ce vacancies.json --slab interface.json --tolerance 10

The expansion is of one bcc metal and vacancies. It is read by the library that wrote it, which must
be installed; a .ce holds pickled objects, so open only files that you trust. Energies of vacancies
alone, in pairs, threes and fours show whether it reduces to the points and pairs of the model.
"""
_BASES = {"Li": "li_li2s", "LiMg": "limg_li2s", "Na": "na_nasicon"}
_RUNS = {"Na": "strip_na"}
_output_options = (
    click.option(
        "-o",
        "--output",
        default="mine.toml",
        show_default=True,
        type=click.Path(path_type=Path),
        metavar="FILE.toml",
    ),
    click.option("--base", metavar="NAME", help="Set of which everything else is taken."),
    click.option("--citation", metavar="TEXT", help="Where the numbers are published; with --doi."),
    click.option("--doi", metavar="DOI", help="Without a reference the numbers count as assumed."),
    click.option("--force", is_flag=True, help="Overwrite the output."),
)


class _Target(NamedTuple):
    """Where a set is written and what it is based on."""

    output: Path
    base: str | None
    source: dict[str, str] | None
    force: bool
    quiet: bool


def _with_output(command: Any) -> Any:
    """Adds the options of the output; the command gets them as a checked `_Target`."""

    @functools.wraps(command)
    def checked(
        output: Path,
        base: str | None,
        citation: str | None,
        doi: str | None,
        force: bool,
        quiet: bool,
        **given: Any,
    ) -> None:
        check_output(output, force, (".toml",), "parameter file")
        command(_Target(output, base, _source(citation, doi), force, quiet), **given)

    return with_options(*_output_options, quiet_option)(checked)


@click.command("from-ase", short_help="A set from an ASE calculator and a slab.", epilog=_FROM_ASE)
@click.argument("slab", type=click.Path(path_type=Path))
@click.option(
    "--calculator",
    required=True,
    metavar="NAME|MODULE:OBJECT",
    help="One of ASE by name, or a calculator (or a function that makes one) of a module.",
)
@click.option("--metal", default="Li", show_default=True, help="Element of the metal.")
@click.option("--solute", default="", metavar="Mg", help="Also an alloy: Mg beside vacancies.")
@click.option("--lattice", default="bcc_100", show_default=True, help="Face at the interface.")
@click.option(
    "--cells",
    type=int,
    multiple=True,
    default=(3, 4),
    show_default=True,
    help="Edges of the bulk cell, in cubic cells; the last is used.",
)
@click.option(
    "--repeat",
    "repeats",
    type=int,
    multiple=True,
    default=(1, 2),
    show_default=True,
    help="Repeats of the slab along the interface; the last is used.",
)
@click.option("--fmax", type=float, default=0.01, show_default=True, help="Largest force, eV/Å.")
@click.option("--steps", type=int, default=500, show_default=True, help="Of a relaxation at most.")
@click.option("--images", type=int, default=5, show_default=True, help="Of the path of a hop.")
@click.option("--site", type=int, metavar="N", help="Atom of SLAB (from 0) that leaves L1.")
@click.option(
    "--metal-range",
    type=float,
    nargs=2,
    metavar="LOW HIGH",
    help="Heights in Å where the metal is, if its element is in the electrolyte too.",
)
@click.option("--relax/--no-relax", default=True, help="Perfect places alone; then no barriers.")
@_with_output
def from_ase(
    target: _Target,
    slab: Path,
    calculator: str,
    metal_range: tuple[float, float] | None,
    fmax: float,
    steps: int,
    **given: Any,
) -> None:
    """Compute a parameter set from SLAB with an ASE calculator, write it and check it.

    Formation energies of vacancies in the bulk, L1 and L2, bonds from pairs of vacancies, and
    barriers, each relaxed and in two sizes. A configuration that relaxes into another is refused.
    """
    from kmc.common.progress import display_for
    from kmc.model import ase_energies
    from kmc.model.ase_configurations import Settings
    from kmc.model.dft_energies import read_structure

    atoms = read_structure(slab)
    settings = Settings(fmax_eV_A=fmax, max_steps=steps, metal_range_A=metal_range or None, **given)
    base = _base(target, settings.metal, settings.solute)
    made = ase_energies.load_calculator(calculator)
    output = target.output
    folder = output.with_name(f"{output.stem}_configurations")
    with display_for(output.stem, not target.quiet) as display, notes():
        found = ase_energies.Configurations(
            atoms, made, calculator, settings, folder, display.update
        ).run()
    _write(target, found, base, settings.metal, f"{slab.name} with {calculator}")


@click.command("from-ce", short_help="A set from a cluster expansion.", epilog=_FROM_CE)
@file_argument
@option("--tolerance", type=float, default=5.0, metavar="meV", help="Largest residual.")
@option("--slab", type=click.Path(path_type=Path), help="Expansion of a slab: energies of L1, L2.")
@option("--lattice", default="bcc_100", show_default=True, help="Face at the interface.")
@_with_output
def from_ce(
    target: _Target,
    file: Path,
    tolerance: float,
    slab: Path | None,
    lattice: str,
) -> None:
    """Write a parameter set from FILE, a cluster expansion (icet .ce, smol .json) of a metal."""
    from kmc.model.cluster_expansion import read_expansion, reduce_expansion

    expansion = read_expansion(file)
    with notes():
        layers = None if slab is None else read_expansion(slab)
        found, _ = reduce_expansion(expansion, tolerance, layers, lattice)
    base = _base(target, expansion.metal, "")
    _write(target, found, base, expansion.metal, f"the expansion {file.name}")


@click.command("from-dft", short_help="A set from finished calculations.", epilog=_FROM_DFT)
@click.argument("table", type=click.Path(path_type=Path))
@_with_output
def from_dft(
    target: _Target,
    table: Path,
) -> None:
    """Write a parameter set from the finished calculations that TABLE names, and check it."""
    from kmc.model.dft_energies import (
        configuration,
        metal_of,
        quantities_of,
        read_configurations,
    )

    given = read_configurations(table)
    with notes():
        found = quantities_of(given)
    elements = {e for name, atoms in given.items() for e in configuration(name, atoms).atoms}
    metal = metal_of(given)
    base = _base(target, metal or "Li", "Mg" if "Mg" in elements else "")
    _write(target, found, base, metal, f"the calculations of {table.name}")


def _base(target: _Target, metal: str, solute: str) -> str:
    base = target.base or _BASES.get(f"{metal}{solute}")
    if base is None:
        raise InputError(
            f"there is no shipped set of {metal}{'-' * bool(solute)}{solute}",
            advice="Name another with --base: what is not computed, such as j0 and creep, is "
            f"copied from it and marked as assumed, e.g. {_BASES['LiMg' if solute else 'Na']}.",
        )
    return base


def _source(citation: str | None, doi: str | None) -> dict[str, str] | None:
    if bool(citation) != bool(doi):
        raise InputError("a reference needs both --citation and --doi")
    return {"citation": citation, "title": citation, "doi": doi} if citation and doi else None


def _write(
    target: _Target, found: dict[str, dict[str, Any]], base: str, metal: str | None, what: str
) -> None:
    """Write the set, and print its numbers beside what the calibrated model makes of them."""
    from kmc.cli.parameter_tables import check_table, computed_table
    from kmc.model.dft_check import check_rows
    from kmc.model.parameter_file import write_parameters

    output, source = target.output, target.source
    if source is not None:
        found = {key: entry | {"source": "own"} for key, entry in found.items()}
    parameters = write_parameters(
        output,
        found,
        base=base,
        metal=metal,
        description=f"{base} with the energies of {what}",
        sources=None if source is None else {"own": source},
        overwrite=target.force,
    )
    if target.quiet:
        return
    out = console()
    out.print(computed_table(found, parameters.metal))
    out.print(f"\nWrote {output}; everything else is that of {base}\n", markup=False)
    out.print(check_table(check_rows(parameters), "Computed"))
    out.print("\nNext:", markup=False)
    run = _RUNS.get(parameters.metal, "strip_li")
    out.print(f"  kmc run {run} --set system.params={quoted(output)}", markup=False)
    out.print(f"  kmc nucleation {quoted(output)}", markup=False)
