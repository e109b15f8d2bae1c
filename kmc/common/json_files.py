"""Text and JSON from files that may be damaged, or be no files at all."""

import contextlib
import errno
import json
import math
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kmc.errors import InputError

MAX_BYTES = 2**28  # more than numbers of the 100 000 points that a sweep may have


def read_bytes(path: Path, *, max_bytes: int = MAX_BYTES) -> bytes:
    """Bytes of a regular file.

    Raises `OSError`: there is none, it is too large, or something else, as reading from a pipe
    could block for ever.
    """
    # Before it is opened: opening a pipe waits until somebody writes to it.
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    if status.st_size > max_bytes:
        raise OSError(errno.EFBIG, f"it is larger than {max_bytes // 2**20} MB", str(path))
    return Path(path).read_bytes()


def read_text(path: Path, errors: str = "strict", *, max_bytes: int = MAX_BYTES) -> str:
    """UTF-8 text of a regular file; `errors` is that of ``bytes.decode``.

    A byte-order mark at its beginning, as editors of Windows write it, is left out.

    Raises `UnicodeDecodeError`, and `OSError` as `read_bytes` does.
    """
    return read_bytes(path, max_bytes=max_bytes).decode("utf-8-sig", errors)


def check_contents(folder: Path) -> None:
    """Check that a folder that kmc keeps holds files and folders alone.

    kmc makes no links in the folders of sweeps, studies and calibrations. In that of a stranger
    one would lead reading and writing elsewhere, and a pipe or a device would never end. The
    folder itself is named by the user and may be a link.

    Raises `InputError`: something else is there, or the folder cannot be read.
    """
    folders = [os.fspath(folder)]  # a stranger's may be deeper than Python calls itself
    try:
        while folders:
            for entry in os.scandir(folders.pop()):
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                elif not entry.is_file(follow_symlinks=False):
                    kind = "a link" if entry.is_symlink() else "no regular file"
                    raise InputError(
                        f"{entry.path} is {kind}, and kmc makes files alone in its folders",
                        advice="Put the file itself in its place, or remove it.",
                    )
    except OSError as problem:
        raise InputError(f"{folder} cannot be read: {problem.strerror or problem}") from None


def read_json(path: Path) -> Any:
    """What a JSON file holds.

    Raises `InputError`: it cannot be read, or is no JSON.
    """
    try:
        return json.loads(read_text(path))
    except OSError as problem:
        raise InputError(f"{path} cannot be read: {problem.strerror or problem}") from None
    except (ValueError, RecursionError):
        raise InputError(f"{path} is not JSON", advice="Is it a file that kmc wrote?") from None


def json_lines(path: Path) -> list[Any]:
    """Values of a file with one of JSON a line, without those that cannot be read."""
    values: list[Any] = []
    with contextlib.suppress(OSError):
        for line in read_text(path, "replace").splitlines():
            with contextlib.suppress(ValueError, RecursionError):
                values.append(json.loads(line))
    return values


def json_safe(value: Any, infinite: str | None = None) -> Any:
    """A value as strict JSON can hold it: lists for tuples and arrays, null for NaN.

    Infinity is null, too, or what `infinite` says.
    """
    if isinstance(value, Mapping):
        return {key: json_safe(item, infinite) for key, item in value.items()}
    # Arrays, and single numbers of numpy, which json refuses.
    if hasattr(value, "tolist"):  # of numpy
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [json_safe(item, infinite) for item in value]
    # JSON has neither NaN nor infinity, and readers of other languages fail at them.
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else infinite
    return value
