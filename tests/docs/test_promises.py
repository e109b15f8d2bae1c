"""docs/promises.md lists what there is, and CITATION.cff says what the README says."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import click
import pytest
from box_schema import SCHEMA
from test_docs import CLASS, CLASSES, TYPES, sample_row

import kmc
from kmc import errors
from kmc.cli.app import main
from kmc.cli.run import FAILED
from kmc.cli.shared import INTERRUPTED
from kmc.files.table_file import SCHEMA_VERSION

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "promises.md").read_text(encoding="utf-8")
CITATION = (ROOT / "CITATION.cff").read_text(encoding="utf-8")


def section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def commands(group: click.Group = main, prefix: str = "kmc") -> set[str]:
    found = set()
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            found |= commands(command, f"{prefix} {name}")
        else:
            found.add(f"{prefix} {name}")
    return found


def test_the_names_of_the_package():
    listed = re.findall(r"`kmc\.(\w+)`", section("Python").partition("\n\nTheir ")[0])
    assert sorted(listed) == dir(kmc) == sorted(kmc.__all__)
    assert all(getattr(kmc, name) for name in listed)


def test_the_packages_below_it():
    packages = {path.parent.name for path in (ROOT / "kmc").glob("*/__init__.py")}
    assert packages <= set(re.findall(r"`kmc\.(\w+)`", section("Python")))


@pytest.mark.parametrize("name", [name for name in kmc.__all__ if name != "__version__"])
def test_a_name_stays_what_it_is_when_asked_again(name):
    """A module of the same name would take the place of a function at its second use."""
    assert callable(getattr(kmc, name))
    assert getattr(kmc, name) is getattr(kmc, name)


def test_the_commands():
    text = section("Command line").partition("|")[0]
    assert set(re.findall(r"`(kmc [a-z -]+)`", text)) == commands()


def test_the_exit_codes():
    listed = re.findall(r"^\| (\d+) \|", section("Command line"), flags=re.MULTILINE)
    assert [int(code) for code in listed] == [
        0,
        errors.KmcError.exit_code,
        errors.InputError.exit_code,
        INTERRUPTED,
    ]
    assert errors.KmcError.exit_code == FAILED
    # As shells count the ends of processes that do not handle a signal.
    (signals,) = re.findall(r"^\| (\d+), (\d+) \|", section("Command line"), flags=re.MULTILINE)
    assert [int(code) - 128 for code in signals] == [1, 15]


def test_every_dataset_is_documented_with_type_unit_and_meaning():
    page = (ROOT / "docs" / "trajectory.md").read_text(encoding="utf-8")
    assert f"schema {SCHEMA_VERSION}" in page
    parts = re.split(r"^### (\w+)\[sample\]$", page, flags=re.MULTILINE)
    of_samples = dict(zip(parts[1::2], parts[2::2], strict=True))
    classes = 0
    for entry in SCHEMA:
        if CLASS.match(entry.path):  # one row for all of them
            classes += 1
            assert (entry.dtype, entry.shape, entry.unit) == ("<i8", "sample", "1")
            assert CLASSES in of_samples["int64"]
            continue
        if entry.shape == "sample":  # below the heading of its type
            assert sample_row(entry) in of_samples[TYPES[entry.dtype]].splitlines()
            continue
        (line,) = [row for row in page.splitlines() if row.startswith(f"| `{entry.path}`")]
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        assert len(cells) == 3
        tail = f"[{entry.shape}]" if entry.shape else ""
        tail += f", {entry.unit}" if entry.unit != "1" else ""
        kinds = r"(u?int|float)\d+"
        assert re.fullmatch(kinds + re.escape(tail), cells[1])
        assert cells[2] == entry.description
    assert classes == 18


def cff() -> dict[str, str]:
    """Scalars at the top level; the file keeps to `key: value` lines and simple lists."""
    pairs = re.findall(r"^([a-z-]+): +(.+)$", CITATION, flags=re.MULTILINE)
    return {key: value.strip('"') for key, value in pairs}


def test_the_citation_is_that_of_this_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    fields = cff()
    # What CFF 1.2.0 requires: cff-version, message, title, authors.
    assert fields["cff-version"] == "1.2.0"
    assert fields["message"]
    assert fields["version"] == kmc.__version__
    assert fields["license"] == project["license"]
    assert fields["title"].startswith(project["name"])
    authors = re.findall(r"^  - name: (.+)$", CITATION, flags=re.MULTILINE)
    assert authors == [author["name"] for author in project["authors"]]
    keywords = CITATION.partition("keywords:\n")[2]
    assert re.findall(r"^  - (.+)$", keywords, flags=re.MULTILINE) == project["keywords"]


def test_the_readme_cites_the_same():
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").replace("> ", "").split())
    fields = cff()
    (author,) = re.findall(r"^  - name: (.+)$", CITATION, flags=re.MULTILINE)
    name, what = fields["title"].split(": ")
    assert f"{author}, {name} {fields['version']}: {what} (2" in readme
