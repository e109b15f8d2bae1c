"""`kmc params`: parameter sets, their numbers, sources and checks, and sets of one's own."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kmc.cli import shared as ui
from kmc.common import catalogue
from kmc.common.metals import shown_key
from kmc.common.outputs import check_output
from kmc.common.progress import display_for
from kmc.errors import InputError

if TYPE_CHECKING:
    from kmc.model.dft_check import CheckRow
    from kmc.model.parameters import ParameterSet, Quantity

_BASES = {"Li": "li_li2s", "LiMg": "limg_li2s", "Na": "na_nasicon"}
_RUNS = {"Na": "strip_na"}
_LOOK: dict[str, Any] = {
    **{"box": None, "pad_edge": False, "show_edge": False},
    **{"header_style": "bold", "vertical": "top"},
}


@click.group(epilog=ui.help_text("params"))
def params() -> None:
    """Parameter sets: their numbers, sources and checks against DFT."""


@params.command("list")
def list_sets() -> None:
    """List the shipped parameter sets."""
    from kmc.model.parameters import load_parameters

    rows = [
        (p.name, ", ".join(p.species), str(len(p.quantities)), str(_assumed(p)), p.description)
        for p in map(load_parameters, catalogue.names("params"))
    ]
    heads = ("Name", "Species", "Values", "Assumed", "Description")
    ui.console().print(ui.table(heads, rows, left=range(5), **_LOOK))


@params.command(
    "init",
    short_help="Write a commented parameter file to start from.",
    epilog=ui.help_text("params-init"),
)
@click.argument("file", default="my_set.toml", type=click.Path(path_type=Path))
@ui.option("--base", "Shipped set to start from.", default="li_li2s")
@ui.force_option("FILE")
def init_set(file: Path, base: str, force: bool) -> None:
    """Write a commented parameter file with every quantity, its unit, range and value in a set.

    FILE is my_set.toml by default; - prints it.
    """
    from kmc.model.parameter_file import template

    made = partial(template, base=base)
    ui.write_template(file, made, force, "parameter file", "kmc params check")


@params.command("show")
@ui.named_argument("params", name="name")
@click.option("--notes/--no-notes", default=True, help="The note of each number, or only a table.")
def show(name: str, notes: bool) -> None:
    """Show every number of the set NAME with its unit, source and note.

    NAME is a shipped set or the path of a parameter file.
    """
    from rich.padding import Padding
    from rich.text import Text

    from kmc.model.parameters import load_parameters
    from kmc.model.quantities import QUANTITIES

    parameters, out = load_parameters(name), ui.console()
    assumed = Text("assumed", style="bold yellow")

    def source_of(quantity: "Quantity") -> Text:
        source = Text(", ").join([*map(Text, quantity.source), *[assumed] * quantity.assumed])
        return source.append(", from memory" * quantity.from_memory)

    columns: dict[str, Callable[[Any], str | Text]] = {
        "Quantity": lambda row: shown_key(row[0], parameters.metal),
        "Value": lambda row: f"{row[1].value:g}".replace("e+", "e"),
        "Unit": lambda row: row[1].unit,
        "Source": lambda row: source_of(row[1]),
    }
    out.print(f"[bold]{parameters.name}[/bold]: {parameters.description}")
    out.print(f"Species: {', '.join(parameters.species)}")
    if parameters.base:
        out.print(f"Based on {parameters.base}, which supplies the other values")
    for role, title in (("input", "Inputs of the model"), ("target", "Reference values")):
        every = parameters.quantities.items()
        chosen = {key: quantity for key, quantity in every if QUANTITIES[key].role == role}
        if chosen:
            out.print(f"\n[bold underline]{title}[/bold underline]")
            out.print(ui.table(columns, chosen.items(), left=(0, 2, 3), **_LOOK))
        if chosen and notes:
            out.print()
        # Below the table: a note is a paragraph, which no column has room for.
        for key, quantity in chosen.items() if notes else ():
            heading = shown_key(key, parameters.metal), "cyan"
            note = Text.assemble(assumed, ". ") if quantity.assumed else Text()
            note.append(quantity.note)
            padded = Padding(note, (0, 0, 0, 4), expand=False)
            out.print(Text.assemble(heading, f" ({QUANTITIES[key].text})"), padded, sep="\n")
    if parameters.sources:
        out.print("\n[bold underline]Sources[/bold underline]")
    for key, cited in parameters.sources.items():
        # Not as markup: a citation of somebody's file may hold brackets.
        out.print(Text.assemble((key, "cyan"), f": {cited.citation}"))
    out.print(
        f"\n{_assumed(parameters)} of {len(parameters.quantities)} values are "
        f"[bold yellow]assumed[/bold yellow]. References: kmc params cite {parameters.name}"
    )


@params.command("check")
@ui.named_argument("params", name="name")
@ui.option("--lattice", "Lattice to calibrate for.", default="bcc_100")
def check(name: str, lattice: str) -> None:
    """Rebuild the DFT configurations of the set NAME on a lattice and compare energies.

    Each energy is the difference of two total energies of the calibrated model, summed bond by
    bond, against the DFT value. A difference above 0.02 eV (or the limit in the note of the row) is
    marked as a miss, with the reason. Misses are no failure: the exit code is 0.
    """
    from kmc.model.dft_check import adatom_rows, check_rows
    from kmc.model.parameters import load_parameters

    parameters, reference = load_parameters(name), "Given"
    # Each kind of model has its own reference configurations.
    if parameters.has("adsorption_energy_eV"):  # of a substrate: no vacancies at an interface
        where, rows = "the simple cubic lattice of a deposition", adatom_rows(parameters)
    elif parameters.has("youngs_modulus_GPa"):
        from kmc.systems.cathode.materials import material_rows

        where, rows = "the lattice of a cathode", material_rows(parameters)
    else:
        where, rows = lattice, check_rows(parameters, lattice)
        # The rows of a lattice gas follow from counting bonds, not from DFT.
        reference = "Exact" if parameters.has("pair_bond_eV") else "DFT"
    ui.console().print(f"{parameters.name} on {where}\n")
    print_check(rows, reference)


@params.command("cite")
@ui.named_argument("params", name="name")
@ui.flag("--bibtex", "BibTeX entries.")
def cite(name: str, bibtex: bool) -> None:
    """Print the references of the set NAME, with links and the quantities that use each."""
    from kmc.model.parameters import load_parameters

    parameters = load_parameters(name)
    if bibtex:
        blocks = [source.bibtex(key) for key, source in parameters.sources.items()]
    else:
        blocks = [
            f"[{key}] {source.citation}\n    {source.title}\n    {source.url}\n"
            f"    for: {', '.join(parameters.cited_by(key))}"
            for key, source in parameters.sources.items()
        ]
        # A number without a source must not look as if the references covered it.
        own = [key for key, quantity in parameters.quantities.items() if not quantity.source]
        blocks += [f"Assumed, without a reference: {', '.join(own)}"] * bool(own)
    click.echo("\n\n".join(blocks))


_target_options = ui.with_options(
    ui.file_option("-o --output", metavar="FILE.toml", default=Path("mine.toml")),
    ui.option("--base", "Set of which everything else is taken.", "NAME"),
    ui.option("--citation", "Where the numbers are published; with --doi.", "TEXT"),
    ui.option("--doi", "Without a reference the numbers count as assumed.", "DOI"),
    ui.force_option("the output"),
    ui.quiet_option,
)


class _Target:
    """Where a set is written and what it is based on; checked before anything is computed."""

    def __init__(self, options: dict[str, Any]):
        """Takes the options of a target out of those that were given to a command."""
        self.output, self.force, self.quiet = (options.pop(k) for k in ("output", "force", "quiet"))
        self._base, citation, doi = (options.pop(key) for key in ("base", "citation", "doi"))
        check_output(self.output, self.force, (".toml",), "parameter file")
        # A citation that nobody can look up is no source, and a bare DOI says nothing.
        if bool(citation) != bool(doi):
            raise InputError("a reference needs both --citation and --doi")
        source = {"citation": citation, "title": citation, "doi": doi}
        self.sources: Any = {"own": source} if citation else None

    def base(self, metal: str, solute: str) -> str:
        """The set of everything else."""
        base = self._base or _BASES.get(f"{metal}{solute}")
        if base is None:
            raise InputError(
                f"there is no shipped set of {metal}{'-' * bool(solute)}{solute}",
                advice="Name another with --base: what is not computed, such as j0 and creep, is "
                f"copied from it and marked as assumed, e.g. {_BASES['LiMg' if solute else 'Na']}.",
            )
        return base

    def write(
        self,
        values: dict[str, dict[str, Any]],
        base: str,
        metal: Any,
        what: str,
        missing: Mapping[str, str] | None = None,
    ) -> None:
        """Write the set, and print its numbers beside what the calibrated model makes of them.

        `missing` are quantities that could not be computed, with the reasons: those of the base.
        """
        from kmc.model.dft_check import check_rows
        from kmc.model.parameter_file import write_parameters
        from kmc.model.parameters import load_parameters

        # With a reference of their own the numbers are no longer assumed.
        if self.sources:
            values |= {k: e | {"source": "own"} for k, e in values.items() if not e.get("assumed")}
        about: Any = {"metal": metal, "description": f"{base} with the energies of {what}"}
        about |= {"sources": self.sources, "overwrite": self.force}
        below, left_out = load_parameters(base), {}
        for key, reason in (missing or {}).items():
            if below.has(key):
                note = f"Not computed, as {reason}. That of {base}."
                left_out[key] = {"value": below.value(key), "assumed": True, "note": note}
            click.secho("Warning: ", fg="yellow", nl=False, err=True)
            click.echo(f"{shown_key(key, metal)} is not computed, as {reason}", err=True)
        if left_out:
            names = ", ".join(shown_key(key, metal) for key in left_out)
            about["description"] += f"; without {names}"
        parameters = write_parameters(self.output, values | left_out, base=base, **about)
        if self.quiet:
            return
        columns: dict[str, Callable[[Any], str]] = {
            "Quantity": lambda row: shown_key(row[0], parameters.metal),
            "Value": lambda row: f"{row[1]['value']:.4f}",
            "From": lambda row: row[1]["note"],
        }
        ui.console().print(ui.table(columns, values.items(), left=(0, 2), **_LOOK))
        click.echo(f"\nWrote {self.output}; everything else is that of {base}\n")
        # Whether pairs and points of the model give back what they were made from.
        print_check(check_rows(parameters), "Computed")
        file, run = ui.quoted(self.output), _RUNS.get(parameters.metal, "strip_li")
        ui.print_next(f"kmc run {run} --set system.params={file}", f"kmc nucleation {file}")


_lattice_option = ui.option("--lattice", "Face at the interface.", default="bcc_100")


@params.command(
    "from-ase",
    short_help="A set from an ASE calculator and a slab.",
    epilog=ui.help_text("from-ase"),
)
@click.argument("slab", type=click.Path(path_type=Path))
@ui.option(
    "--calculator",
    "One of ASE by name, or a calculator (or a function that makes one) of a module.",
    "NAME|MODULE:OBJECT",
    required=True,
)
@ui.option("--metal", "Element of the metal.", default="Li")
@ui.option("--solute", "An alloy: Mg beside vacancies.", "Mg", default="", show_default=False)
@_lattice_option
@ui.option(
    "--cells",
    "Edges of the bulk cell, in cubic cells; the last is used.",
    type=int,
    multiple=True,
    default=(3, 4),
)
@ui.option(
    "--repeat repeats",
    "Repeats of the slab along the interface; the last is used.",
    type=int,
    multiple=True,
    default=(1, 2),
)
@ui.number("--fmax fmax_eV_A", "Largest force, eV/Å.", default=0.01)
@ui.option("--steps max_steps", "Of a relaxation at most.", type=int, default=500)
@ui.option("--images", "Of the path of a hop.", type=int, default=5)
@ui.option("--site", "Atom of SLAB (from 0) that leaves L1.", "N", type=int)
@ui.number(
    "--metal-range metal_range_A",
    "Heights in Å where the metal is, if its element is in the electrolyte too.",
    "LOW HIGH",
    nargs=2,
)
@click.option("--relax/--no-relax", default=True, help="Perfect places alone; then no barriers.")
@ui.flag("--clusters", "Also pairs to shell 5, (100), four vacancies in L1.")
@_target_options
def from_ase(slab: Path, calculator: str, **options: Any) -> None:
    """Compute a parameter set from SLAB with an ASE calculator, write it and check it.

    Formation energies of vacancies in the bulk, L1 and L2, bonds from pairs of vacancies, and
    barriers, each relaxed and in two sizes. A configuration that relaxes into another is refused.
    """
    target = _Target(options)
    from kmc.model.ase_calculator import load_calculator
    from kmc.model.ase_configurations import AseSettings
    from kmc.model.ase_energies import Configurations
    from kmc.model.ase_files import read_structure

    # The slab and the calculator are read before the first relaxation, which may take days.
    atoms, settings = read_structure(slab), AseSettings(**options)
    base, output = target.base(settings.metal, settings.solute), target.output
    made = load_calculator(calculator)
    # Each relaxed configuration is kept there, so that the same command goes on after a crash.
    folder = output.with_name(f"{output.stem}_configurations")
    with display_for(output.stem, not target.quiet) as display, ui.notes():
        asked = (atoms, made, calculator, settings, folder, display.update)
        computed = Configurations(*asked)
        values = computed.run()
    what = f"{slab.name} with {calculator}"
    target.write(values, base, settings.metal, what, computed.missing_quantities())


@params.command(
    "from-ce", short_help="A set from a cluster expansion.", epilog=ui.help_text("from-ce")
)
@ui.file_argument
@ui.number("--tolerance", "Largest residual.", "meV", default=5.0)
@ui.file_option("--slab", "Expansion of a slab: energies of L1, L2.")
@_lattice_option
@_target_options
def from_ce(file: Path, tolerance: float, slab: Path | None, lattice: str, **options: Any) -> None:
    """Write a parameter set from FILE, an expansion (icet .ce, smol .json or .mson) of a metal."""
    target = _Target(options)
    from kmc.model.cluster_expansion import read_expansion, reduce_expansion

    expansion = read_expansion(file)
    with ui.notes():
        layers = None if slab is None else read_expansion(slab)
        values, _ = reduce_expansion(expansion, tolerance, layers, lattice)
    base = target.base(expansion.metal, "")
    target.write(values, base, expansion.metal, f"the expansion {file.name}")


@params.command(
    "from-dft", short_help="A set from finished calculations.", epilog=ui.help_text("from-dft")
)
@click.argument("table", type=click.Path(path_type=Path))
@ui.flag(
    "--allow-unconverged",
    "Only warn of forces above 0.2 eV/Å and of electronic steps that ran out.",
)
@_target_options
def from_dft(table: Path, allow_unconverged: bool, **options: Any) -> None:
    """Write a parameter set from the finished calculations that TABLE names, and check it."""
    target = _Target(options)
    from kmc.model.dft_energies import configuration, metal_of, quantities_of, read_configurations

    with ui.notes():
        cases = read_configurations(table, allow_unconverged)
        values = quantities_of(cases)
    # An alloy if any of the calculations has Mg: its base set must have Mg, too.
    elements = {e for name, atoms in cases.items() for e in configuration(name, atoms).atoms}
    metal = metal_of(cases)
    base = target.base(metal or "Li", "Mg" if "Mg" in elements else "")
    target.write(values, base, metal, f"the calculations of {table.name}")


def _assumed(parameters: "ParameterSet") -> int:
    return sum(quantity.assumed for quantity in parameters.quantities.values())


def print_check(rows: "Sequence[CheckRow]", reference: str) -> None:
    """Print reference values and those of the model; below them every miss with its reason."""
    from rich.padding import Padding
    from rich.text import Text

    from kmc.model.dft_check import TOLERANCE_eV

    marks = {True: ("ok", "green"), False: ("MISS", "bold red"), None: ("–", "")}
    columns: dict[str, Callable[[CheckRow], str | Text]] = {
        "Configuration": lambda row: row.name,
        "Unit": lambda row: row.unit,
        reference: lambda row: number(row.dft, row.unit),
        "Model": lambda row: row.instead or number(row.model, row.unit),
        "Difference": lambda row: number(row.difference, row.unit, signed=True),
        "": lambda row: Text.assemble(marks[row.ok], (", assumed" * row.assumed, "yellow")),
    }
    out = ui.console()
    out.print(ui.table(columns, rows, left=(0, 1, 5), **_LOOK))
    misses = [row for row in rows if row.ok is False]
    remarks = [row for row in rows if row.ok is not False and row.note]
    # A miss without its reason would look like an error of the program.
    for title, chosen, style in (("Misses", misses, "bold red"), ("Notes", remarks, "cyan")):
        if chosen:
            out.print(f"\n[bold underline]{title}[/bold underline]")
        for row in chosen:
            note = Padding(Text(row.note), (0, 0, 0, 4), expand=False)
            out.print(Text(row.name, style=style), note, sep="\n")
    # How many rows agree, in one sentence: energies by themselves, as they have one tolerance.
    compared = [row for row in rows if row.ok is not None]
    energies = [row for row in compared if row.unit == "eV"]
    others = [row for row in compared if row.unit != "eV"]
    parts = []
    if energies:
        good = sum(bool(row.ok) for row in energies)
        text = f"{good} of {len(energies)} energies are within {TOLERANCE_eV:g} eV"
        assumed = sum(row.assumed for row in energies)
        parts.append(text + f" ({assumed} compared with an assumed value)" * bool(assumed))
    if others:
        noun = "other rows" if energies else "rows"
        parts.append(f"{sum(bool(row.ok) for row in others)} of {len(others)} {noun} agree")
    text = "; ".join(parts) or "Nothing was compared"
    text += f". {len(misses) or 'No'} miss{'' if len(misses) == 1 else 'es'}"
    if alone := len(rows) - len(compared):
        text += f"; {alone} row{'s' * (alone != 1)} (–) with nothing to compare"
    out.print(f"\n{text}.", markup=False)


_FORMATS = {"eV": ".4f", "°": ".1f", "cm³/mol": ".2f", "cm²/s": ".2e"}
_DIFFERENCE_FORMATS = {"cm²/s": ".1e"}  # a small difference of close numbers has fewer digits


def number(value: float | None, unit: str, *, signed: bool = False) -> str:
    if value is None:
        return "–"
    form = _FORMATS.get(unit, ".3g")
    if not signed:
        return f"{value:{form}}"
    text = f"{value:+{_DIFFERENCE_FORMATS.get(unit, form)}}"
    # Rounding of a sum is no difference: never −0.0000.
    return text.replace("-", "+", 1) if float(text) == 0 else text
