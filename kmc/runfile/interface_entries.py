"""The list-valued keys of [interface]: chemistries, and flaws at stated places."""

from __future__ import annotations

from typing import Any

from pydantic import Field, TypeAdapter

from kmc.common.validation import Checked, Number, entries_of, kind, number_of, refuse, show
from kmc.model.interphase import MAX_CHEMISTRIES


class Chemistry(Checked):
    """A chemistry that parts of the interface have instead of that of [system].

    Of the parameter set `params`, with overrides of its values; on a `fraction` of the L1 sites,
    None where a mask says which. Electrons reach metal on a conductive one: a scaffold.
    """

    params: str
    fraction: Number | None = Field(None, ge=0, le=1)
    parameters: dict[str, Number] = Field(default_factory=dict)
    conductive: bool = False


_CHEMISTRIES = TypeAdapter(tuple[Chemistry, ...])


def chemistries(value: Any) -> tuple[Chemistry, ...]:
    """Check the list of chemistries."""
    if not isinstance(value, list | tuple):
        raise refuse(f"must be a list of tables, not {kind(value)}")
    if not 1 <= len(value) < MAX_CHEMISTRIES:
        raise refuse(f"has {len(value)} entries; 1 to {MAX_CHEMISTRIES - 1} fit")
    return entries_of(_CHEMISTRIES, value, {"": Chemistry, "parameters": Checked})


def places(value: Any, names: tuple[str, ...]) -> tuple[tuple[float, ...], ...]:
    """Check a list of flaws, each a list of numbers of these names."""
    wanted = f"[{', '.join(names)}]"
    if not isinstance(value, list | tuple):
        raise refuse(f"must be a list of lists {wanted}, not {kind(value)}")
    if not value:
        raise refuse("is empty")
    return tuple(_place(item, names, wanted, n) for n, item in enumerate(value, 1))


def _place(item: Any, names: tuple[str, ...], wanted: str, n: int) -> tuple[float, ...]:
    if not isinstance(item, list | tuple) or len(item) != len(names):
        raise refuse(f"entry {n}: {show(item)} is not a list {wanted}")
    numbers = []
    for name, given in zip(names, item, strict=True):
        number, problem = number_of(given)
        if problem:
            raise refuse(f"entry {n}: {name} = {show(given)} {problem}")
        if number <= 0 and not name.startswith(("x", "y")):
            raise refuse(f"entry {n}: {name} = {show(given)} is not above 0")
        numbers.append(number)
    return tuple(numbers)
