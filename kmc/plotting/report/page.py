"""The page of a report: its parts as plain data, and their HTML.

Everything that is printed may come from the file of a stranger. The template escapes all of it,
links lead to https alone, and a content security policy forbids scripts and anything that is not in
the page itself.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

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
    def of(cls, figure: Any, text: str) -> EmbeddedPicture:
        """A matplotlib figure as it is saved by kmc."""
        buffer = io.BytesIO()
        with style.styled():
            figure.savefig(buffer, format="png", dpi=_DPI, facecolor="white")
        width_in, height_in = figure.get_size_inches()
        return cls(
            base64.b64encode(buffer.getvalue()).decode("ascii"),
            text,
            round(width_in * 96 * 1.15),
            round(height_in * 96 * 1.15),
            width_in > _NARROW_IN,
        )


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
class Section:
    """A heading and what stands below it; on a wide screen side by side if `beside`."""

    title: str
    parts: list[Any] = field(default_factory=list)
    beside: bool = False


@dataclass
class Page:
    """A report.

    - `title`, `subtitle`: name of the file or folder, and what it is.
    """

    title: str
    subtitle: str
    sections: list[Section] = field(default_factory=list)

    def add(self, title: str, *parts: Any) -> Section:
        """A new section at the end."""
        self.sections.append(Section(title, [part for part in parts if part is not None]))
        return self.sections[-1]

    def html(self) -> str:
        """The page as HTML; every text in it is escaped."""
        template = _environment().get_template("report.html.j2")
        sections = [section for section in self.sections if section.parts]
        return template.render(
            title=self.title,
            subtitle=self.subtitle,
            # Anchors that no name in a file decides.
            sections=[(f"part{number}", one) for number, one in enumerate(sections, start=1)],
        )


def _environment() -> Environment:
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
    environment.filters["parts"] = _parts
    environment.tests["link"] = lambda cell: isinstance(cell, Link)
    environment.tests["badge"] = lambda cell: isinstance(cell, Badge)
    return environment


def _parts(text: Any) -> list[str]:
    """Text split by backticks, each second part code; one part where they have no pairs."""
    parts = clean(text).split("`")
    return parts if len(parts) % 2 else [clean(text)]
