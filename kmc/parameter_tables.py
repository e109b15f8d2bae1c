"""Parameter sets as tables for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from kmc.quantities import QUANTITIES

if TYPE_CHECKING:
    from kmc.parameters import ParameterSet, Quantity
    from kmc.reference import Row

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
    for role, title in (("input", "What the model is built from"), ("target", "To compare with")):
        chosen = {
            key: quantity
            for key, quantity in parameters.quantities.items()
            if QUANTITIES[key].role == role
        }
        if chosen:
            parts += [Text(), Text(title, style="bold underline"), _values(chosen)]
            if notes:
                parts += [Text(), *_notes(chosen)]
    assumed = sum(quantity.assumed for quantity in parameters.quantities.values())
    parts += [
        Text(),
        Text.assemble(
            f"{assumed} of {len(parameters.quantities)} values are ",
            ASSUMED,
            f". References: kmc params cite {parameters.name}",
        ),
    ]
    return Group(*parts)


def _values(quantities: dict[str, Quantity]) -> Table:
    table = _table("Quantity", "Value", "Unit", "Source")
    table.columns[1].justify = "right"
    for key, quantity in quantities.items():
        source = Text(", ".join(quantity.source))
        if quantity.assumed:
            source = Text(", ").join([Text(text) for text in quantity.source] + [ASSUMED])
        table.add_row(key, f"{quantity.value:g}".replace("e+", "e"), quantity.unit, source)
    return table


def _notes(quantities: dict[str, Quantity]) -> list[RenderableType]:
    lines: list[RenderableType] = []
    for key, quantity in quantities.items():
        lines.append(Text.assemble((key, "cyan"), f" ({QUANTITIES[key].text})"))
        note = Text.assemble(ASSUMED, ". ", quantity.note) if quantity.assumed else quantity.note
        lines.append(Padding(note, (0, 0, 0, 4), expand=False))
    return lines


def check_table(rows: Sequence[Row], reference: str = "DFT") -> RenderableType:
    """Reference values beside those of the model, and below them the remarks.

    Parameters
    ----------
    rows : sequence of kmc.reference.Row
    reference : str
        What the model is compared with, for the head of the column.
    """
    table = _table("Configuration", "Unit", reference, "Model", "Difference", "")
    for column in table.columns[2:5]:
        column.justify = "right"
    for row in rows:
        table.add_row(
            row.name,
            row.unit,
            _number(row.dft, row.unit),
            _number(row.model, row.unit),
            _number(row.difference, row.unit, signed=True),
            _VERDICTS[row.ok],
        )
    parts: list[RenderableType] = [table]
    remarks = [row for row in rows if row.note]
    if remarks:
        parts.append(Text())
    for row in remarks:
        style = "bold red" if row.ok is False else "cyan"
        parts.append(Text(row.name, style=style))
        parts.append(Padding(Text(row.note), (0, 0, 0, 4), expand=False))
    compared = [row for row in rows if row.ok is not None]
    misses = sum(not row.ok for row in compared)
    parts += [
        Text(),
        Text(f"{len(compared) - misses} of {len(compared)} rows agree."),
    ]
    return Group(*parts)


_VERDICTS = {
    True: Text("ok", style="green"),
    False: Text("MISS", style="bold red"),
    None: Text("-"),
}


def _number(value: float | None, unit: str, *, signed: bool = False) -> str:
    if value is None:
        return "-"
    sign = "+" if signed else ""
    if unit == "eV":
        # Adding zero turns −0.0 into 0.0: rounding of a sum is no difference.
        return f"{round(value, 4) + 0.0:{sign}.4f}"
    return f"{value:{sign}.3g}"


def citations(parameters: ParameterSet) -> str:
    """References of a set as plain text, with what rests on each."""
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
