"""Parameter sets as tables for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from kmc.common.metals import shown_key
from kmc.model.quantities import QUANTITIES

if TYPE_CHECKING:
    from kmc.model.dft_check import Row
    from kmc.model.parameters import ParameterSet, Quantity

ASSUMED = Text("assumed", style="bold yellow")


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def list_table(sets: Sequence[ParameterSet]) -> Table:
    """One line for each set."""
    table = _table("Name", "Species", "Values", "Assumed", "Description")
    for parameters in sets:
        assumed = sum(quantity.assumed for quantity in parameters.quantities.values())
        table.add_row(
            parameters.name,
            ", ".join(parameters.species),
            str(len(parameters.quantities)),
            str(assumed),
            parameters.description,
        )
    return table


def show_table(parameters: ParameterSet, notes: bool = True) -> RenderableType:
    """Every quantity with its value, unit and source; below them the notes."""
    parts: list[RenderableType] = [
        Text.assemble((parameters.name, "bold"), f": {parameters.description}"),
        Text(f"Species: {', '.join(parameters.species)}"),
    ]
    if parameters.base:
        parts.append(Text(f"Based on {parameters.base}, which supplies the other values"))
    for role, title in (("input", "Inputs of the model"), ("target", "Reference values")):
        chosen = {
            key: quantity
            for key, quantity in parameters.quantities.items()
            if QUANTITIES[key].role == role
        }
        if chosen:
            values = _values(chosen, parameters.metal)
            parts += [Text(), Text(title, style="bold underline"), values]
            if notes:
                parts += [Text(), *_notes(chosen, parameters.metal)]
    assumed = sum(quantity.assumed for quantity in parameters.quantities.values())
    if parameters.sources:
        parts += [Text(), Text("Sources", style="bold underline")]
    for key, cited in parameters.sources.items():
        parts.append(Text.assemble((key, "cyan"), f": {cited.citation}"))
    parts += [
        Text(),
        Text.assemble(
            f"{assumed} of {len(parameters.quantities)} values are ",
            ASSUMED,
            f". References: kmc params cite {parameters.name}",
        ),
    ]
    return Group(*parts)


def _values(quantities: dict[str, Quantity], metal: str) -> Table:
    table = _table("Quantity", "Value", "Unit", "Source")
    table.columns[1].justify = "right"
    for key, quantity in quantities.items():
        source = Text(", ".join(quantity.source))
        if quantity.assumed:
            source = Text(", ").join([Text(text) for text in quantity.source] + [ASSUMED])
        if quantity.from_memory:
            source.append(", from memory")
        value = f"{quantity.value:g}".replace("e+", "e")
        table.add_row(shown_key(key, metal), value, quantity.unit, source)
    return table


def _notes(quantities: dict[str, Quantity], metal: str) -> list[RenderableType]:
    lines: list[RenderableType] = []
    for key, quantity in quantities.items():
        name = Text.assemble((shown_key(key, metal), "cyan"), f" ({QUANTITIES[key].text})")
        lines.append(name)
        note = Text.assemble(ASSUMED, ". ", quantity.note) if quantity.assumed else quantity.note
        lines.append(Padding(note, (0, 0, 0, 4), expand=False))
    return lines


def computed_table(found: Mapping[str, Mapping[str, Any]], metal: str) -> Table:
    """Quantities that were computed, each with its value and where it comes from."""
    table = _table("Quantity", "Value", "From")
    table.columns[1].justify = "right"
    for key, entry in found.items():
        table.add_row(shown_key(key, metal), f"{entry['value']:.4f}", entry["note"])
    return table


def check_table(rows: Sequence[Row], reference: str = "DFT") -> RenderableType:
    """Reference values and those of the model; below them every miss with its reason.

    Parameters
    ----------
    rows : sequence of kmc.model.dft_check.Row
    reference : str
        Origin of the reference values, for the head of the column.
    """
    table = _table("Configuration", "Unit", reference, "Model", "Difference", "")
    for column in table.columns[2:5]:
        column.justify = "right"
    for row in rows:
        table.add_row(
            row.name,
            row.unit,
            _number(row.dft, row.unit),
            row.instead or _number(row.model, row.unit),
            _number(row.difference, row.unit, signed=True),
            Text.assemble(_VERDICTS[row.ok], (", assumed", "yellow") if row.assumed else ""),
        )
    misses = [row for row in rows if row.ok is False]
    remarks = [row for row in rows if row.ok is not False and row.note]
    parts: list[RenderableType] = [table]
    for title, chosen, style in (("Misses", misses, "bold red"), ("Notes", remarks, "cyan")):
        if chosen:
            parts += [Text(), Text(title, style="bold underline")]
        for row in chosen:
            parts.append(Text(row.name, style=style))
            parts.append(Padding(Text(row.note), (0, 0, 0, 4), expand=False))
    return Group(*parts, Text(), Text(_verdict(rows)))


def _verdict(rows: Sequence[Row]) -> str:
    """How many rows agree, in one sentence."""
    from kmc.model.dft_check import TOLERANCE_eV

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
    misses = sum(row.ok is False for row in rows)
    text += f". {misses or 'No'} miss{'' if misses == 1 else 'es'}"
    alone = len(rows) - len(compared)
    if alone:
        text += f"; {alone} row{'' if alone == 1 else 's'} (–) with nothing to compare"
    return f"{text}."


_VERDICTS = {
    True: Text("ok", style="green"),
    False: Text("MISS", style="bold red"),
    None: Text("–"),
}
_FORMATS = {"eV": ".4f", "°": ".1f", "cm³/mol": ".2f", "cm²/s": ".2e"}
_DIFFERENCE_FORMATS = {"cm²/s": ".1e"}  # a small difference of close numbers has fewer digits


def _number(value: float | None, unit: str, *, signed: bool = False) -> str:
    if value is None:
        return "–"
    form = _FORMATS.get(unit, ".3g")
    if not signed:
        return f"{value:{form}}"
    text = f"{value:+{_DIFFERENCE_FORMATS.get(unit, form)}}"
    # Rounding of a sum is no difference: never −0.0000.
    return text.replace("-", "+", 1) if float(text) == 0 else text


def citations(parameters: ParameterSet) -> str:
    """References of a set as plain text, with the quantities that use each."""
    blocks = []
    for key, source in parameters.sources.items():
        used = ", ".join(parameters.cited_by(key))
        blocks.append(
            f"[{key}] {source.citation}\n    {source.title}\n    {source.url}\n    for: {used}"
        )
    own = [key for key, quantity in parameters.quantities.items() if not quantity.source]
    if own:
        blocks.append(f"Assumed, without a reference: {', '.join(own)}")
    return "\n\n".join(blocks)
