"""The tables of docs/dev name files that are there, and what is in them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILE = re.compile(r"`((?:kmc|tests|docs|params|runs|lattices)/[\w./]*|CHANGELOG\.md)`")
NAME = re.compile(r"`([A-Za-z_]\w*)`")


def rows(page: Path) -> list[tuple[str, str]]:
    """First and last cell of the rows of the tables of a page."""
    found = []
    for line in page.read_text(encoding="utf-8").splitlines():
        if line.startswith("| ") and "---" not in line:
            cells = [cell.strip() for cell in line.strip("|").split(" | ")]
            found.append((cells[0], cells[-1]))
    return found


PAGES = sorted((ROOT / "docs" / "dev").glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_file_that_a_page_names_is_there(page):
    named = FILE.findall(page.read_text(encoding="utf-8"))
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_names_of_a_row_stand_in_the_file_of_the_row(page):
    wrong = []
    for first, last in rows(page):
        files = [ROOT / name for name in FILE.findall(first + last) if name.endswith(".py")]
        if files:
            text = "\n".join(file.read_text(encoding="utf-8") for file in files)
            text += " ".join(str(file) for file in ROOT.glob("kmc/*"))
            wrong += [(first, name) for name in NAME.findall(last) if name not in text]
    assert wrong == []


def test_a_new_process_takes_ten_files_of_code_and_tests():
    page = ROOT / "docs" / "dev" / "add_a_process.md"
    table = (
        page.read_text(encoding="utf-8").partition("## Files to change")[2].partition("\n## ")[0]
    )
    always = [
        line for line in table.splitlines() if line.startswith("| `") and "only if" not in line
    ]
    code = [line for line in always if re.match(r"\| `(kmc|tests)/", line)]
    assert len(code) == 10
    assert len(always) == 11  # the last row has both pages
