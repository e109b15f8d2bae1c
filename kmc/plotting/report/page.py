"""The page of a report: its parts as plain data, their HTML, and parts that several reports share.

Everything that is printed may come from the file of a stranger. The template escapes all of it,
links lead to https alone, and a content security policy forbids scripts and anything that is not in
the page itself.
"""

import base64
import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from PIL import Image

from kmc.common import catalogue
from kmc.common.formatting import figure, quantity
from kmc.common.json_files import read_bytes
from kmc.common.provenance import collect
from kmc.errors import KmcError
from kmc.model.parameters import Source, load_parameters
from kmc.plotting import style

_DPI = 200
_NARROW_IN = 4.2  # figures up to this width stay readable on a telephone; wider ones scroll
# Unprintable in HTML: control characters but tab and newline, and halves of surrogate pairs.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_LINK = re.compile(r"https://[\w.~/:?#@!$&'()*+,;=%-]+")


def clean(text: Any) -> str:
    """Text without characters that HTML cannot hold; each becomes �."""
    return _UNPRINTABLE.sub("\ufffd", str(text))


@dataclass(frozen=True)
class Link:
    """A cell with a link; only its text where the address is not one of https."""

    text: str
    address: str

    @property
    def safe(self) -> bool:
        return _LINK.fullmatch(self.address) is not None


@dataclass(frozen=True)
class Badge:
    """A verdict: a word and how it is shown, ``good``, ``bad``, ``half`` or ``none``."""

    text: str
    kind: str = "none"


@dataclass(frozen=True)
class Table:
    """Rows under a head; the first cell of a row names it.

    - `rows`: cells: text, numbers, `Link`, `Badge`.
    - `head`: empty for pairs of label and text.
    - `notes`: the last column is running text: on a narrow screen each row becomes a block.
    - `verdict`: of a claim, whose title is the caption.
    """

    rows: Sequence[Sequence[Any]]
    head: Sequence[str] = ()
    caption: str = ""
    notes: bool = False
    verdict: Badge | None = None
    kind: str = "table"


@dataclass(frozen=True)
class EmbeddedPicture:
    """A figure as PNG.

    - `data`: PNG in base 64.
    - `text`: what it shows, for those who cannot see it and as its caption.
    - `wide`: it scrolls in its own frame on a narrow screen.
    """

    data: str
    text: str
    width_px: int
    height_px: int
    wide: bool
    kind: str = "picture"

    @classmethod
    def of(cls, figure: Any, text: str) -> "EmbeddedPicture":
        """A matplotlib figure as it is saved by kmc."""
        buffer = io.BytesIO()
        with style.styled():
            figure.savefig(buffer, format="png", dpi=_DPI, facecolor="white")
        width_in, height_in = figure.get_size_inches()
        # 96 pixels of a page are an inch; the fonts of print are small on a screen.
        size_px = round(width_in * 96 * 1.15), round(height_in * 96 * 1.15)
        data = base64.b64encode(buffer.getvalue()).decode("ascii")
        return cls(data, text, *size_px, width_in > _NARROW_IN)


@dataclass(frozen=True)
class Text:
    """Paragraphs."""

    paragraphs: Sequence[str]
    kind: str = "text"


@dataclass(frozen=True)
class Listing:
    """Text as it was written, such as a run file; folded up."""

    title: str
    text: str
    kind: str = "listing"


@dataclass
class Page:
    """A report.

    - `title`, `subtitle`: name of the file or folder, and what it is.
    - `sections`: title, parts, and whether these stand side by side on a wide screen.
    """

    title: str
    subtitle: str
    sections: list[dict[str, Any]] = field(default_factory=list)

    def add(self, title: str, *parts: Any, beside: bool = False) -> None:
        """A new section at the end, unless it is empty."""
        some = [part for part in parts if part is not None]
        # A heading above nothing would look like a fault.
        if some:
            self.sections.append({"title": title, "parts": some, "beside": beside})

    def html(self) -> str:
        """The page as HTML; every text in it is escaped."""
        environment = Environment(
            loader=PackageLoader("kmc.plotting.report"),
            # Every text of a file is hostile until it is escaped.
            autoescape=select_autoescape(default=True, default_for_string=True),
            undefined=StrictUndefined,
            # Applied to everything that the template prints, before it is escaped.
            finalize=lambda value: value if hasattr(value, "__html__") else clean(value),
            trim_blocks=True,
            lstrip_blocks=True,
        )
        # Each second part is code; a text in which backticks have no pairs is one part.
        environment.filters["parts"] = lambda text: (
            parts if len(parts := clean(text).split("`")) % 2 else [clean(text)]
        )
        environment.tests["link"] = lambda cell: isinstance(cell, Link)
        environment.tests["badge"] = lambda cell: isinstance(cell, Badge)
        template = environment.get_template("report.html.j2")
        return template.render(
            title=self.title,
            subtitle=self.subtitle,
            # Anchors that no name in a file decides.
            sections=[(f"part{number}", one) for number, one in enumerate(self.sections, start=1)],
        )


# --- parts that several reports share -------------------------------------------------------------

_MAX_PNG_BYTES = 20_000_000


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
    try:
        data = read_bytes(path, max_bytes=_MAX_PNG_BYTES)
        with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
            width, height = image.size
    except (OSError, ValueError, Image.DecompressionBombError):
        return None
    # No wider than the column of text of a page.
    shown = min(1.0, 900 / max(1, width))
    size_px = round(width * shown), round(height * shown)
    return EmbeddedPicture(base64.b64encode(data).decode("ascii"), text, *size_px, width > 1500)


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
    # References come from the shipped set alone: a file does not carry them.
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
    made_by = f"kmc {here['kmc']}, Python {here['python']}"
    every = {**rows, "report made by": made_by, "report made": here["created"]}
    page.add("Versions", Table([(key, number(value)) for key, value in every.items()]))
