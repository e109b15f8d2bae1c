"""Tables as instruments and spreadsheets write them: encodings, separators and decimal commas.

Every table of a user's is read here. A number whose locale is ambiguous, such as 1.120 in a table
with decimal commas, is refused with both readings, never guessed.
"""

import codecs
import csv
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from kmc.common.json_files import read_bytes
from kmc.errors import InputError

_MAX_BYTES = 50 * 2**20
_EC_LAB = re.compile(r"(?:#[^\n]*\n)*(?:EC|BT)-Lab ASCII FILE\s+Nb header lines\s*:\s*(\d+)")
_PLAIN = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)
_GROUPED = r"[+-]?[1-9]\d{0,2}(%s\d{3})"  # thousands, or three decimals
_SPACE = re.compile(r"(?<=\d)[\s'’](?=\d{3}(?!\d))")  # between thousands


@dataclass(frozen=True)
class Table:
    """Names of the columns, texts of the cells by row, lines of comment, and a title.

    The title is the comment of the first line, if it is one.
    """

    path: Path
    names: list[str]
    rows: list[list[str]]
    comments: list[str]
    title: str
    delimiter: str

    def column(self, name: str) -> list[str]:
        """Texts of a column; empty where the table has none of this name.

        Raises `InputError`: it has several.
        """
        if (count := self.names.count(name)) > 1:
            raise InputError(
                f"{self.path} has {count} columns {name}", advice="Give each a name of its own."
            )
        if not count:
            return [""] * len(self.rows)
        place = self.names.index(name)
        return [row[place] for row in self.rows]

    def numbers(self, names: Iterable[str]) -> dict[str, list[float]]:
        """Columns of numbers, NaN where a cell is empty; a column that is not there has none.

        Raises `InputError`: a cell is no number, or may be read in two ways.
        """
        cells = {
            name: [_SPACE.sub("", t).replace("\u2212", "-") for t in self.column(name)]
            for name in names
        }
        texts = [text for column in cells.values() for text in column]
        mark = next(filter(None, map(_decimal_mark, texts)), "")
        # Where others are written without them, what looks like thousands are three decimals; a
        # table parted by commas has them from a program that writes points, and as many decimals
        # in every number: beside 31, 4.924 may be a whole number, too.
        whole = [len(text.lstrip("+-")) for text in texts if re.fullmatch(r"[+-]?\d+", text)]
        if not mark and (max(whole, default=0) > 3 or (self.delimiter == "," and not whole)):
            mark = "."
        return {
            name: [self._number(name, row, text, mark) for row, text in enumerate(column, 1)]
            for name, column in cells.items()
        }

    def _number(self, name: str, row: int, text: str, mark: str) -> float:
        if not text:
            return float("nan")
        where = f"{self.path}, row {row}: {name} = {self.column(name)[row - 1]!r}"
        for other in ",.":
            if other != mark and re.fullmatch(_GROUPED % re.escape(other), text):
                point, whole = text.replace(other, "."), text.replace(other, "")
                raise InputError(
                    f"{where} may be {float(point):g} or {whole}",
                    advice=f"Write {float(point):.4f} or {whole}, and one decimal mark throughout.",
                )
        own = _decimal_mark(text) or mark or "."
        other = ",."[own == ","]
        plain = text.replace(own, ".") if other not in text else ""
        if re.fullmatch(rf"[+-]?\d{{1,3}}([{other}]\d{{3}})+([{own}]\d*)?", text):
            plain = text.replace(other, "").replace(own, ".")
        if self.delimiter == "," and re.fullmatch(r"[+-]?0\d+", text):
            raise InputError(
                f"{where}: are these decimal commas between fields that are parted by commas?",
                advice="Part the fields by semicolons, or write decimal points.",
            )
        mixed = mark and own != mark
        if mixed or not _PLAIN.fullmatch(plain) or not abs(float(plain)) < float("inf"):
            advice = "Leave the field empty where nothing was measured."
            if mixed:
                advice = f"Other numbers of the table have the decimal mark {mark!r}."
            raise InputError(f"{where} is no number", advice=advice)
        return float(plain)


def _decimal_mark(text: str) -> str:
    """The decimal mark that a number must have, whatever others are; empty where there is none."""
    marks = re.findall("[.,]", text)
    if len(marks) > 1:
        # 1.120,5 and 1,120.5; of 1.120.000 the mark is the other one.
        return marks[-1] if marks[-1] not in marks[:-1] else ",."[marks[-1] == ","]
    return "".join(marks) if not re.fullmatch(_GROUPED % "[.,]", text) else ""


def read_table(path: str | Path) -> Table:
    """A table of a text file: commas, semicolons or tabs; UTF-8, UTF-16 or Latin-1.

    The first line that is no comment (#) names the columns; the head of an EC-Lab file is comment.

    Raises `InputError`: the file cannot be read, is no text, or a row has too many fields.
    """
    path = Path(path)
    try:
        content = read_bytes(path, max_bytes=_MAX_BYTES)
    except OSError as problem:
        raise InputError(
            f"{path} cannot be read: {problem.strerror or problem}", advice="Give a table as CSV."
        ) from None
    text = _decoded(content)
    if "\0" in text:
        raise InputError(f"{path} is no CSV table but a binary file", advice="Export it as text.")
    lines = text.splitlines()
    if head := _EC_LAB.match(text):
        count = int(head[1]) - 1 + head[0].count("\n#") + head[0].startswith("#")
        lines = [f"# {line}" for line in lines[:count]] + lines[count:]
    comments = [line.lstrip("# ").strip() for line in lines if line.startswith("#")]
    body = [line for line in lines if line.strip(" ,;\t") and not line.startswith("#")]
    delimiter = ","
    if body and (stated := re.fullmatch(r"sep=(.)", body[0].strip('" '))):  # of Excel
        delimiter, body = stated[1], body[1:]
    elif body:
        bare = re.sub(r'"[^"]*"', "", body[0])
        delimiter = max(",;\t", key=bare.count)
    try:
        rows = [
            [cell.strip() for cell in row]
            for row in csv.reader(body, delimiter=delimiter, skipinitialspace=True, strict=True)
        ]
    except (csv.Error, TypeError) as problem:
        raise InputError(
            f"{path} is no CSV table: {problem}",
            advice="Its first line names the columns, such as capacity_mAh_cm2,width_um.",
        ) from None
    names = rows[0] if rows else []
    while names and not names[-1]:  # Excel's, of columns that were once filled
        names.pop()
    if not names:
        advice = "Its first line names the columns."
        raise InputError(f"{path} is no CSV table: it is empty", advice=advice)
    for number, row in enumerate(rows[1:], 1):
        if any(row[len(names) :]):
            raise InputError(
                f"{path} is no CSV table: row {number} has {len(row)} fields, and the first line "
                f"names {len(names)}",
                advice="Begin lines above the names of the columns with #; a text with a comma in "
                "it needs quotes; with decimal commas, part the fields by semicolons.",
            )
    width = len(names)
    filled = [row[:width] + [""] * (width - len(row)) for row in rows[1:]]
    title = comments[0] if comments and text.startswith("#") else ""
    return Table(path, names, filled, comments, title, delimiter)


def _decoded(content: bytes) -> str:
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", "replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:  # µ and ü of a Western Windows
        return content.decode("cp1252", "replace")
