"""The list-valued keys of [interface]: chemistries, and flaws at stated places."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kmc.common.catalogue import nearest
from kmc.common.validation import kind, number_of, refuse, show
from kmc.model.interphase import MAX_CHEMISTRIES

_KEYS = ("params", "fraction", "parameters", "conductive")


@dataclass(frozen=True)
class Chemistry:
    """A chemistry that parts of the interface have instead of that of [system].

    Attributes
    ----------
    params : str
        Parameter set: a shipped name or a path.
    fraction : float or None
        Share of the L1 sites; None where a mask says which.
    parameters : dict of str to float
        Overrides of values of that set.
    conductive : bool
        Whether electrons reach metal on it: a scaffold of the current collector.
    """

    params: str
    fraction: float | None = None
    parameters: dict[str, float] = field(default_factory=dict)
    conductive: bool = False


def chemistries(value: Any) -> tuple[Chemistry, ...]:
    """Check the list of chemistries."""
    if not isinstance(value, list | tuple):
        raise refuse(f"must be a list of tables, not {kind(value)}")
    if not 1 <= len(value) < MAX_CHEMISTRIES:
        raise refuse(f"has {len(value)} entries; 1 to {MAX_CHEMISTRIES - 1} fit")
    return tuple(
        item if isinstance(item, Chemistry) else _chemistry(item, f"entry {n}: ")
        for n, item in enumerate(value, 1)
    )


def _chemistry(item: Any, entry: str) -> Chemistry:
    if not isinstance(item, Mapping):
        raise refuse(f"{entry}must be a table, not {kind(item)}")
    for key in item:
        if key not in _KEYS:
            advice = f"{nearest(key, _KEYS)}Keys of an entry: {', '.join(_KEYS)}"
            raise refuse(f"{entry}{key!r} is not a known key", advice)
    if not isinstance(item.get("params"), str):
        raise refuse(f"{entry}params must name a parameter set")
    fraction = item.get("fraction")
    if fraction is not None:
        fraction, problem = number_of(fraction)
        if problem or not 0 <= fraction <= 1:
            raise refuse(f"{entry}fraction = {show(item['fraction'])} is not from 0 to 1")
    overrides = item.get("parameters", {})
    if not isinstance(overrides, Mapping):
        raise refuse(f"{entry}parameters must be a table, not {kind(overrides)}")
    values = {}
    for key, given in overrides.items():
        values[key], problem = number_of(given)
        if problem:
            raise refuse(f"{entry}parameters.{key} = {show(given)} {problem}")
    conductive = item.get("conductive", False)
    if not isinstance(conductive, bool):
        raise refuse(f"{entry}conductive = {show(conductive)} is not true or false")
    return Chemistry(item["params"], fraction, values, conductive)


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
