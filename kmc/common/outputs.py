"""Files that a command makes: never over another one unasked, whole or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from kmc.errors import InputError

_ELSEWHERE = "Choose another output with -o, or use --force to overwrite it."


def check_new(path: Path, endings: Sequence[str], *, force: bool = False) -> Path:
    """Tell in advance that a file of one of these kinds can be made here.

    Raises
    ------
    InputError
        The ending is another one, the folder is missing, or the file exists and `force` is not set.
    """
    path = Path(path)
    try:
        path.exists()
    except (OSError, ValueError) as problem:
        words = getattr(problem, "strerror", None) or problem
        raise InputError(f"{path} cannot be written: {words}", advice=_ELSEWHERE) from None
    if path.is_dir():
        raise InputError(f"{path} is a folder", advice="Give the name of a file.")
    if path.suffix.lower() not in endings:
        allowed = ", ".join(endings[:-1]) + (" or " if endings[:-1] else "") + endings[-1]
        what = f"ends in {path.suffix}" if path.suffix else "has no ending"
        raise InputError(f"{path} {what}", advice=f"Use a name that ends in {allowed}.")
    if not path.parent.is_dir():
        raise InputError(f"{path}: there is no folder {path.parent}", advice="Make it first.")
    if not os.access(path.parent, os.W_OK):
        raise InputError(f"{path}: the folder cannot be written", advice="Choose another one.")
    if path.exists() and not force:
        raise InputError(f"{path} exists already", advice=_ELSEWHERE)
    return path


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file beside `path` to write to; it takes the place of `path` once all went well."""
    path = Path(path)
    beside = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield beside
        os.replace(beside, path)
    except OSError as problem:
        raise InputError(
            f"{path} cannot be written: {problem.strerror or problem}",
            advice="Choose a folder that exists, that you may write to and that has space.",
        ) from None
    finally:
        with contextlib.suppress(OSError):
            beside.unlink()
