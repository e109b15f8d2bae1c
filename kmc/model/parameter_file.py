"""Writes parameter files: a commented template, and sets given as a dict."""

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kmc.common import catalogue
from kmc.common.metals import shown_key, stored_key
from kmc.common.outputs import check_output, replacing
from kmc.common.units import unit_of
from kmc.common.validation import toml_key, toml_value
from kmc.errors import InputError
from kmc.model.parameters import ParameterSet, load_parameters
from kmc.model.quantities import QUANTITIES

_WIDTH = 98
_HEAD = """\
# A parameter set of your own. Inputs that are not given here are those of `base`; what stands after
# a # is not set, with the value it has in `base`. Every quantity needs its unit, a note, and either
# a source (a key of [sources]) or assumed = true.
#
#     kmc params check {file}
#     kmc run strip_li --set system.params={file}

name = {name}
description = "What it is, in one line"
species = {species}
base = {base}

# [sources.Me2026]
# citation = "Authors, journal volume, page (year)"
# title = "Title"
# doi = "10.1000/xyz"
"""


def template(file: str = "my_set.toml", base: str = "li_li2s") -> str:
    """A valid parameter file in which every input of a shipped set stands as a comment.

    - `file`: name of the file, for its head.
    - `base`: shipped set whose values it starts from.

    Raises `InputError`: there is no such set, or it is a set on the base of another.
    """
    below = load_parameters(base)
    if below.base:
        raise InputError(
            f"{base} is itself a set on the base of {below.base}",
            advice=f"Start from {below.base}.",
        )
    name = toml_value(Path(file).stem)
    species, shown = toml_value(list(below.species)), toml_value(base)
    blocks = [_HEAD.format(file=file, name=name, species=species, base=shown)]
    for key, quantity in below.quantities.items():
        meaning = QUANTITIES[key]
        if meaning.role != "input":
            continue
        about = f"{meaning.text} [{meaning.allowed()}]"
        lines = textwrap.wrap(about, _WIDTH, initial_indent="# ", subsequent_indent="# ")
        lines += [
            f"# [quantities.{shown_key(key, below.metal)}]",
            f"# value = {toml_value(quantity.value)}",
            f"# unit = {toml_value(quantity.unit)}",
            '# note = "where it stands in the source, or why it was chosen"',
            "# assumed = true",
        ]
        blocks.append("\n".join(lines) + "\n")
    return "\n".join(blocks)


def write_parameters(
    path: str | Path,
    quantities: Mapping[str, Any],
    *,
    base: str = "li_li2s",
    metal: str | None = None,
    description: str = "",
    sources: Mapping[str, Mapping[str, Any]] | None = None,
    overwrite: bool = False,
) -> ParameterSet:
    """Write a parameter set given as a dict to a file that runs can name, and return it.

    - `path`: ends in ``.toml``; its stem is the name of the set.
    - `quantities`: key of a quantity → its value in the unit at the end of the key, or a dict with
      ``value``, ``source`` and ``note``. A bare number counts as assumed.
    - `base`: set of which everything else is taken.
    - `metal`: symbol; that of the base by default. For another metal the inputs of the base are
      copied into the file and marked as assumed.
    - `sources`: key → dict with ``citation``, ``title`` and ``doi``.
    - `overwrite`: replace `path` where it exists.

    Raises `InputError`: a key, a value or a source is not valid; nothing has been written then.

    Examples
    --------
    >>> kmc.write_parameters("mine.toml", {"formation_energy_L1_eV": 0.31})  # doctest: +SKIP
    >>> kmc.run("strip_li", {"system.params": "mine.toml"})                  # doctest: +SKIP
    """
    path = check_output(path, overwrite, (".toml",), "parameter file")
    below = load_parameters(base)
    metal = metal or below.metal
    quantities = {stored_key(str(key), metal): given for key, given in quantities.items()}
    lines = [
        f"name = {toml_value(path.stem)}",
        f"description = {toml_value(description or f'{base} with other values, from Python')}",
        f"species = {toml_value([metal, *below.species[1:]])}",
    ]
    if metal == below.metal:
        # A base of one's own by its whole path: the new file may stand in another folder.
        shown = base if base in catalogue.names("params") else below.origin
        lines.append(f"base = {toml_value(shown)}")
    else:
        copied = f"That of {below.metal} in {base}, for want of one of {metal}."
        quantities = {
            key: {"value": q.value, "note": copied}
            for key, q in below.quantities.items()
            if QUANTITIES[key].role == "input"
        } | quantities
    for key, source in (sources or {}).items():
        lines += ["", f"[sources.{toml_value(str(key))}]"]
        lines += [f"{name} = {toml_value(value)}" for name, value in source.items()]
    for key, given in quantities.items():
        entry = dict(given) if isinstance(given, Mapping) else {"value": given}
        entry = {"unit": unit_of(key), **entry}
        entry.setdefault("note", "given from Python")
        entry.setdefault("assumed", not entry.get("source"))
        lines += ["", f"[quantities.{toml_key(shown_key(key, metal))}]"]
        lines += [f"{name} = {toml_value(value)}" for name, value in entry.items()]
    with replacing(path) as draft:
        draft.write_text("\n".join(lines) + "\n", encoding="utf-8")
        try:  # refused before it takes the place of `path`
            load_parameters(draft)
        except InputError as error:
            message, advice = error.message, error.advice or ""
            raise InputError(
                message.replace(str(draft), str(path)),
                advice=advice.replace(str(draft), str(path)) or None,
            ) from None
    return load_parameters(path)
