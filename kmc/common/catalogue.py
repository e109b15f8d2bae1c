"""Finds and reads the TOML files of `lattices/`, `params/` and `runs/`."""

from __future__ import annotations

import contextlib
import difflib
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kmc.errors import InputError

KINDS = ("lattices", "params", "runs")
_STUDY = "study_"  # sweep files stand in `runs/` as well, as the kind "studies"
MAX_BYTES = 4 * 2**20  # of a TOML file; the largest shipped one has a thousandth of it
MAX_DEEP = 20  # levels of nested tables and lists; shipped files have three


def _folder(kind: str) -> Path:
    """Folder of a kind: inside the installed package, else beside it in a checkout."""
    kind = "runs" if kind == "studies" else kind
    here = Path(__file__).resolve().parent.parent  # the package kmc
    installed = here / kind
    return installed if installed.is_dir() else here.parent / kind


def names(kind: str) -> list[str]:
    """Names of the shipped files of a kind, sorted."""
    found = sorted(path.stem for path in _folder(kind).glob("*.toml"))
    if kind in ("runs", "studies"):
        return [name for name in found if name.startswith(_STUDY) == (kind == "studies")]
    return found


def nearest(name: str, choices: Iterable[str]) -> str:
    """``Did you mean …?`` with the closest valid choice, or an empty string."""
    close = difflib.get_close_matches(name, list(choices), n=1, cutoff=0.5)
    return f"Did you mean {close[0]!r}? " if close else ""


def locate(kind: str, name_or_path: str | Path) -> Path:
    """Path of a shipped file by its bare name, or of a user's own file by its path.

    Raises
    ------
    InputError
        No such file; the message lists the shipped ones.
    """
    text = str(name_or_path)
    if text.endswith(".toml") or "/" in text or "\\" in text:
        path, missing = Path(text), ": no such file"
        with contextlib.suppress(OSError, ValueError):  # names too long, or with a zero byte
            if path.is_file():
                return path
            missing = " is a folder" if path.is_dir() else missing
        raise InputError(
            f"{shown(text)}{missing}",
            advice=f"Give the path of a TOML file, or a shipped name: {', '.join(names(kind))}.",
        )
    if text in names(kind):
        return _folder(kind) / f"{text}.toml"
    if kind == "runs" and text in names("studies"):
        raise InputError(
            f"{text} is a sweep file, not a run file",
            advice=f"It describes many runs: kmc sweep {text}",
        )
    with contextlib.suppress(OSError, ValueError):
        if Path(text).exists():
            what = "is a folder" if Path(text).is_dir() else "does not end in .toml"
            advice = f"Give the path of a TOML file, or a shipped name: {', '.join(names(kind))}."
            if Path(text).suffix == ".h5":
                advice = f"Of a trajectory: kmc info {text}, kmc resume {text}. {advice}"
            raise InputError(f"{shown(text)} {what}", advice=advice)
    raise InputError(
        f"{shown(text)!r} is not among the shipped {kind}",
        advice=f"{nearest(text, names(kind))}Shipped: {', '.join(names(kind))}; "
        "or give the path of a TOML file.",
    )


def shown(text: str, longest: int = 200) -> str:
    """A text for a message, truncated to a length."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def read_text(path: Path) -> str:
    """Text of a file; unreadable files are an InputError."""
    try:
        with Path(path).open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise InputError(
                f"{path} is larger than {MAX_BYTES // 2**20} MB",
                advice="Run, parameter and lattice files are a few kB of text.",
            )
        return data.decode("utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise InputError(
            f"{path} cannot be read: {problem}", advice="It must be a UTF-8 text file."
        ) from None


def read_toml(path: Path) -> dict:
    """Contents of a TOML file; syntax errors are an InputError with line and column."""
    return parse_toml(read_text(path), str(path))


def parse_toml(text: str, source: str) -> dict:
    """Contents of a TOML text that came from `source`.

    Raises
    ------
    InputError
        It is not TOML, or more deeply nested than anything kmc reads.
    """
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise InputError(f"{source} is not valid TOML: {problem}") from None
    except RecursionError:
        raise _too_deep(source) from None
    except ValueError:  # Python reads no integer of more than some thousand digits
        raise InputError(f"{source} is not valid TOML: it holds an enormous integer") from None
    level: list = [tables]
    for _ in range(MAX_DEEP):
        level = [item for value in level for item in _items(value)]
    if level:
        raise _too_deep(source)
    return tables


def _items(value: Any) -> list:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _too_deep(source: str) -> InputError:
    return InputError(
        f"{source} nests tables and lists more than {MAX_DEEP} deep",
        advice="No key needs more than three.",
    )
