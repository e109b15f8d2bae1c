"""Parts that several kinds of report share: inputs with their sources, versions, pictures."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kmc.common import catalogue
from kmc.common.formatting import figure, quantity
from kmc.common.provenance import collect
from kmc.errors import KmcError
from kmc.model.parameters import Source, load_parameters
from kmc.plotting.report.page import Badge, EmbeddedPicture, Link, Page, Table, Text, clean

_MAX_PNG_BYTES = 20_000_000
_PNG = b"\x89PNG\r\n\x1a\n"


def number(value: Any, digits: int = 6) -> str:
    """A value of an input or a result as text."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return figure(value, digits=digits)
    if value is None:
        return "–"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def picture(draw: Callable[[], Any], text: str) -> Any:
    """A figure, or a sentence why there is none: a picture must not cost the whole report."""
    try:
        return EmbeddedPicture.of(draw(), text)
    except (KmcError, ValueError) as problem:  # matplotlib cannot read some names as text
        return Text([f"Not drawn: {text} ({clean(problem)})"])


def picture_file(path: Path, text: str) -> Any:
    """A PNG that a command left in a folder, embedded; None where there is none."""
    from PIL import Image

    try:
        if path.stat().st_size > _MAX_PNG_BYTES:
            return None
        data = path.read_bytes()
        with Image.open(path) as image:
            width, height = image.size
    except (OSError, ValueError, Image.DecompressionBombError):
        return None
    if not data.startswith(_PNG):
        return None
    shown = min(1.0, 900 / max(1, width))
    return EmbeddedPicture(
        base64.b64encode(data).decode("ascii"),
        text,
        round(width * shown),
        round(height * shown),
        width > 1500,
    )


# --- inputs ---------------------------------------------------------------------------------------


def settings_table(sections: Mapping[str, Any]) -> Table:
    """Settings of a run by section, with their units."""
    rows = []
    for section, keys in sections.items():
        if not isinstance(keys, Mapping):
            rows.append((section, number(keys), ""))
            continue
        for key, value in keys.items():
            if value is not None:
                rows.append((f"{section}.{key}", number(value), quantity(key)[1]))
    return Table(rows, ("setting", "value", "unit"), notes=True)


def parameter_table(parameters: Mapping[str, Any], sources: Mapping[str, Source]) -> Table:
    """Parameters with unit, source and note.

    - `parameters`: as `ParameterSet.resolved` gives them.
    - `sources`: known references by their key.
    """
    rows = []
    for key, entry in parameters.items():
        if not isinstance(entry, Mapping):
            continue
        keys = entry.get("source") or []
        given: Any = ", ".join(map(str, keys))
        if entry.get("assumed"):
            given = Badge("assumed" + (f", {given}" if given else ""), "half")
        elif keys and keys[0] in sources:
            given = Link(given, sources[keys[0]].url)
        unit = "" if entry.get("unit") == "1" else str(entry.get("unit", ""))
        rows.append((key, number(entry.get("value")), unit, given, entry.get("note", "")))
    return Table(rows, ("parameter", "value", "unit", "source", "note"), notes=True)


def add_parameters(
    page: Page, name: Any, title: str, parameters: Mapping[str, Any] | None = None
) -> None:
    """A section of the parameters of a set with their sources.

    Those of the set that comes with kmc where none are given. A set given by a path is not opened:
    a file may come from a stranger, and its path with it.
    """
    shipped = load_parameters(name) if name in catalogue.names("params") else None
    if parameters is None:
        parameters = {} if shipped is None else shipped.resolved()
    if not parameters:
        return
    sources = {} if shipped is None else dict(shipped.sources)
    assumed = sum(bool(dict(entry).get("assumed")) for entry in parameters.values())
    references = [(key, one.citation, Link(one.title, one.url)) for key, one in sources.items()]
    page.add(
        title,
        Text([f"{assumed} of {len(parameters)} values are assumed: no source gives them."]),
        parameter_table(parameters, sources),
        Table(references, ("source", "citation", "title"), notes=True) if references else None,
    )


def add_inputs(
    page: Page, settings: Mapping[str, Any], parameters: Mapping[str, Any], *more: Any
) -> None:
    """The sections of settings and of parameters with their sources."""
    page.add("Settings", settings_table(settings), *more)
    system = settings.get("system")
    name = system.get("params") if isinstance(system, Mapping) else None
    add_parameters(page, name, "Parameters and sources", parameters)


def add_versions(page: Page, rows: Mapping[str, Any]) -> None:
    """Versions and seeds: of the result, and of the kmc that made the report."""
    here = collect()
    now = [
        ("report made by", f"kmc {here['kmc']}, Python {here['python']}"),
        ("report made", here["created"]),
    ]
    page.add("Versions", Table([(key, number(value)) for key, value in rows.items()] + now))
