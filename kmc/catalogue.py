"""Finds and reads the TOML files of `lattices/`, `params/` and `runs/`."""

from __future__ import annotations

import difflib
import tomllib
from pathlib import Path

from kmc.errors import InputError

KINDS = ("lattices", "params", "runs")
_STUDY = "study_"  # sweep files stand in `runs/` as well, as the kind "studies"


def _folder(kind: str) -> Path:
    """Folder of a kind: inside the installed package, else beside it in a checkout."""
    kind = "runs" if kind == "studies" else kind
    here = Path(__file__).parent
    installed = here / kind
    return installed if installed.is_dir() else here.parent / kind


def names(kind: str) -> list[str]:
    """Names of the shipped files of a kind, sorted."""
    found = sorted(path.stem for path in _folder(kind).glob("*.toml"))
    if kind in ("runs", "studies"):
        return [name for name in found if name.startswith(_STUDY) == (kind == "studies")]
    return found


def nearest(word: str, choices) -> str:
    """A sentence fragment that names the closest valid choice, or an empty string."""
    close = difflib.get_close_matches(word, list(choices), n=1, cutoff=0.5)
    return f"Did you mean {close[0]!r}? " if close else ""


def locate(kind: str, name_or_path: str | Path) -> Path:
    """Path of a shipped file by its bare name, or of a user's own file by its path.

    Raises
    ------
    InputError
        No such file; the message lists what there is.
    """
    text = str(name_or_path)
    if text.endswith(".toml") or "/" in text or "\\" in text:
        path = Path(text)
        if path.is_file():
            return path
        raise InputError(
            f"{text}: no such file",
            advice=f"Give the path of a TOML file, or a shipped name: {', '.join(names(kind))}.",
        )
    path = _folder(kind) / f"{text}.toml"
    if path.is_file():
        return path
    raise InputError(
        f"{text!r} is not among the shipped {kind}",
        advice=f"{nearest(text, names(kind))}Shipped: {', '.join(names(kind))}; "
        "or give the path of a TOML file.",
    )


def read_text(path: Path) -> str:
    """Text of a file; unreadable files are an InputError."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise InputError(
            f"{path} cannot be read: {problem}", advice="It must be a UTF-8 text file."
        ) from None


def read_toml(path: Path) -> dict:
    """Contents of a TOML file; syntax errors are an InputError with line and column."""
    try:
        return tomllib.loads(read_text(path))
    except (ValueError, RecursionError) as problem:  # also whole numbers of thousands of digits
        raise InputError(f"{path} is not valid TOML: {problem}") from None
