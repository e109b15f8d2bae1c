"""Follows pages of the documentation: their commands and their Python, as a reader would."""

from __future__ import annotations

import contextlib
import re
import shlex
from pathlib import Path

from click.testing import CliRunner

from kmc.cli import main


def blocks(page: str, *languages: str) -> list[tuple[str, str]]:
    """Language and text of the blocks of code of a page, of these languages alone if any."""
    found = re.findall(r"^```(\w+)\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)
    return [(name, text) for name, text in found if name in languages or not languages]


def commands(text: str) -> list[list[str]]:
    """The words of each command of a block, without those that fetch, install, test or submit."""
    lines = text.replace("\\\n", " ").splitlines()
    words = [shlex.split(part, comments=True) for line in lines for part in line.split("&&")]
    found = [w for w in words if w and w[0] not in ("git", "cd", "pip", "pytest", "sbatch")]
    assert {w[0] for w in found} <= {"kmc"}
    return found


def call(words: list[str], folder: Path, *more: str) -> str:
    """Give a command in this folder, which must succeed; what it prints.

    In this process: the kernels are loaded once, and `.ci/run` and tests/cli start real ones.
    """
    with contextlib.chdir(folder):
        done = CliRunner().invoke(main, [*words[1:], *more], prog_name="kmc")
    assert done.exit_code == 0, f"{words}\n{done.output}\n{done.exception!r}"
    assert "Traceback" not in done.stderr
    return done.stdout


def python(text: str, folder: Path) -> dict:
    """Run a block of Python in this folder; the names that it leaves."""
    names: dict = {"__name__": "page"}
    with contextlib.chdir(folder):
        exec(compile(text, "page", "exec", dont_inherit=True), names)
    return names
