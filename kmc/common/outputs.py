"""Files that a command makes: never over another one unasked, complete or not at all."""

from __future__ import annotations

import contextlib
import os
import re
import stat
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
    beside = draft_of(path, path.suffix)
    try:
        yield beside
        put_in_place(beside, path)
    except OSError as problem:
        raise InputError(
            f"{path} cannot be written: {problem.strerror or problem}",
            advice="Choose a folder that exists, that you may write to and that has space.",
        ) from None
    finally:
        with contextlib.suppress(OSError):
            beside.unlink()


def put_in_place(draft: Path, target: Path) -> None:
    """Give a complete file its name; everything written as a whole goes this way.

    A kill or a power cut leaves the old file or the new one: the content is on the disk before the
    name changes, and the name before this returns. The permissions of a file that is replaced stay.

    Raises
    ------
    OSError
        The disk is full or fails; `target` is what it was.
    """
    with contextlib.suppress(OSError):
        os.chmod(draft, stat.S_IMODE(os.stat(target).st_mode))
    _sync(draft, os.O_RDWR)
    os.replace(draft, target)
    with contextlib.suppress(OSError):  # some file systems do not know it for folders
        _sync(Path(target).parent, os.O_RDONLY)


def _sync(path: Path, how: int) -> None:
    number = os.open(path, how)
    try:
        os.fsync(number)
    finally:
        os.close(number)


_DRAFT = re.compile(r"\..+\.(\d+)\.part(\.[^.]+)?")


def draft_of(target: Path, ending: str = "") -> Path:
    """Name of a file of this process beside `target`, for what will take its place."""
    stem = target.name.removesuffix(ending) if ending else target.name
    return target.with_name(f".{stem}.{os.getpid()}.part{ending}")


def remove_drafts(folder: Path, start: str = "") -> None:
    """Remove drafts that processes left behind when they were killed.

    Parameters
    ----------
    folder : Path
    start : str
        Name of the file they would have become; all files by default.
    """
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            found = _DRAFT.fullmatch(name)
            if found and name.startswith(f".{start}") and not _is_alive(int(found[1])):
                with contextlib.suppress(OSError):
                    os.unlink(Path(folder) / name)


def _is_alive(process: int) -> bool:
    if os.name == "nt":  # where signal 0 is Ctrl-C
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True
