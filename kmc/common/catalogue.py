"""Finds and reads the TOML files of `lattices/`, `params/` and `runs/`."""

import contextlib
import copy
import difflib
import functools
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path

from kmc.common import json_files
from kmc.errors import InputError

KINDS = ("lattices", "params", "runs")
_KNOWN_AS = {  # kind → what such a file is, the command that lists them, and what to do with one
    "runs": ("a run", "kmc runs list", "kmc run {0}"),
    "studies": ("a sweep file", "kmc runs list", "It describes many runs: kmc sweep {0}"),
    "calibrations": ("a calibration file", "kmc runs list", "kmc calibrate {0}"),
    "params": (
        "a parameter set",
        "kmc params list",
        "kmc params show {0}; in a run: --set system.params={0}",
    ),
    "lattices": ("a lattice", "", "In a run: --set system.lattice={0}"),
}
_PREFIXES = {"studies": "study_", "calibrations": "calibrate_"}  # kinds that stand in `runs/`, too
MAX_BYTES = 4 * 2**20  # of a TOML file; the largest shipped one has a thousandth of it
MAX_DEEP = 20  # levels of nested tables and lists; shipped files have three
_PART = r"""(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')"""
_DEEP_KEY = re.compile(rf"(?<![\w\"'-])(?:{_PART}[ \t]*+\.[ \t]*+){{{MAX_DEEP}}}")


def _folder(kind: str) -> Path:
    # Folder of a kind: inside the installed package, else beside it in a checkout.
    kind = "runs" if kind in _PREFIXES else kind
    here = Path(__file__).resolve().parent.parent  # the package kmc
    installed = here / kind
    return installed if installed.is_dir() else here.parent / kind


def names(kind: str) -> list[str]:
    """Names of the shipped files of a kind, sorted."""
    stems = sorted(path.stem for path in _folder(kind).glob("*.toml"))
    if kind in _PREFIXES:
        return [name for name in stems if name.startswith(_PREFIXES[kind])]
    if kind == "runs":
        return [name for name in stems if not name.startswith(tuple(_PREFIXES.values()))]
    return stems


def nearest(name: str, choices: Iterable[str]) -> str:
    """``Did you mean …?`` with the closest valid choice, or an empty string."""
    close = difflib.get_close_matches(name, list(choices), n=1, cutoff=0.5)
    return f"Did you mean {close[0]!r}? " if close else ""


def locate(kind: str, name_or_path: str | Path) -> Path:
    """Path of a shipped file by its bare name, or of a user's own file by its path.

    Raises `InputError`: no such file; the message lists the shipped ones.
    """
    text = str(name_or_path)
    if text.endswith(".toml") or "/" in text or "\\" in text:
        path, missing = Path(text), ": no such file"
        with contextlib.suppress(OSError, ValueError):  # names too long, or with a zero byte
            if path.is_file():
                return path
            missing = " is a folder" if path.is_dir() else missing
        raise InputError(f"{shown(text)}{missing}", advice=_paths_or_names(kind))
    if text in names(kind):
        return _folder(kind) / f"{text}.toml"
    if other := use_of(text):
        what, advice = other
        raise InputError(f"{text} is {what}, not {_KNOWN_AS[kind][0]}", advice=advice)
    with contextlib.suppress(OSError, ValueError):
        if Path(text).exists():
            what = "is a folder" if Path(text).is_dir() else "does not end in .toml"
            advice = _paths_or_names(kind)
            if Path(text).suffix == ".h5":
                advice = f"Of a trajectory: kmc info {text}, kmc resume {text}. {advice}"
            raise InputError(f"{shown(text)} {what}", advice=advice)
    raise InputError(
        f"{shown(text)!r} is not among the shipped {kind}",
        advice=f"{nearest(text, names(kind))}{_paths_or_names(kind)}",
    )


def use_of(name: str) -> tuple[str, str] | None:
    """What the shipped file of this name is and what to do with it; None where there is none.

    >>> use_of("strip_li")
    ('a run', 'kmc run strip_li')
    """
    for kind, (what, _, use) in _KNOWN_AS.items():
        if name in names(kind):
            return what, use.format(name)
    return None


def _paths_or_names(kind: str) -> str:
    """Advice: the few shipped names of a kind, or the command that lists the many."""
    command = _KNOWN_AS[kind][1]
    listed = f"{command} shows them" if command else ", ".join(names(kind))
    return f"Give the path of a TOML file, or a shipped name ({listed})."


def shown(text: str, longest: int = 200) -> str:
    """A text for a message, truncated to a length."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def read_text(path: Path) -> str:
    """Text of a file; unreadable files are an InputError."""
    try:
        return json_files.read_text(path, max_bytes=MAX_BYTES)
    except (OSError, ValueError) as problem:
        raise InputError(
            f"{path} cannot be read: {getattr(problem, 'strerror', None) or problem}",
            advice="It must be a UTF-8 text file, such as a run file; kmc info shows what an .h5 "
            "file was run from.",
        ) from None


def read_toml(path: Path) -> dict:
    """Contents of a TOML file; syntax errors are an InputError with line and column."""
    return parse_toml(read_text(path), str(path))


# A run reads its parameter set five times, and each point of a sweep does again.
_parsed = functools.lru_cache(maxsize=16)(tomllib.loads)


def parse_toml(text: str, source: str) -> dict:
    """Contents of a TOML text that came from `source`.

    Raises `InputError`: it is not TOML, or more deeply nested than anything kmc reads.
    """
    # Before parsing: tomllib keeps every beginning of a dotted key, the square of its length.
    if _DEEP_KEY.search(text):
        raise _too_deep(source)
    try:
        # A copy, as callers change the tables that they get.
        tables = copy.deepcopy(_parsed(text))
    except tomllib.TOMLDecodeError as problem:
        raise InputError(
            f"{source} is not valid TOML: {problem}", advice=_syntax_hint(text, str(problem))
        ) from None
    except RecursionError:
        raise _too_deep(source) from None
    except ValueError:  # Python reads no integer of more than some thousand digits
        raise InputError(f"{source} is not valid TOML: it holds an enormous integer") from None
    # Level by level, without recursion, which such a file could exhaust.
    level: list = [tables]
    for _ in range(MAX_DEEP):
        inner = [v.values() if isinstance(v, dict) else v for v in level if type(v) in (dict, list)]
        level = [item for items in inner for item in items]
    if level:
        raise _too_deep(source)
    return tables


def _syntax_hint(text: str, problem: str) -> str | None:
    """What a line that is no TOML was meant to be: a decimal comma, text without quotes, a unit."""
    place = re.search(r"line (\d+)", problem)
    lines = text.splitlines()
    if place is None or int(place[1]) > len(lines):
        return None
    # The line that the parser names, which is where it gave up.
    match = re.match(r"\s*([\w.\"-]+)\s*=\s*([^#]+)", lines[int(place[1]) - 1])
    if match is None:
        return None
    key, value = match[1], match[2].strip()
    if re.fullmatch(r"[-+]?\d+,\d+", value):
        return f"A decimal point instead of the comma: {key} = {value.replace(',', '.')}"
    if number := re.fullmatch(r"([-+]?[\d.]+(?:[eE][-+]?\d+)?)\s*[^\d\s.,\]].*", value):
        return f"A number without its unit, which the key names: {key} = {number[1]}"
    if re.fullmatch(r"[A-Za-z][\w./\\ -]*", value):
        return f'Text stands in quotes: {key} = "{value}"'
    return None


def _too_deep(source: str) -> InputError:
    return InputError(
        f"{source} nests tables and lists more than {MAX_DEEP} deep",
        advice="No key needs more than three.",
    )
