"""The files of the points of a sweep, and the log of those that ended."""

import contextlib
import errno
import functools
import os
import tempfile
import warnings
from pathlib import Path
from typing import NamedTuple

from filelock import BaseFileLock, FileLock, SoftFileLock

from kmc.common.json_files import json_lines
from kmc.errors import KmcError, KmcWarning


class EndedPoint(NamedTuple):
    """A line of the log: a point that ended, and the time it took."""

    name: str
    state: str
    wall_s: float


def read_log(path: Path) -> list[EndedPoint]:
    """Points that ended, in the order in which they did; a damaged line is left out."""
    points: list[EndedPoint] = []
    for row in json_lines(path):
        with contextlib.suppress(ValueError, KeyError, TypeError):
            points.append(EndedPoint(str(row["name"]), str(row["state"]), float(row["wall_s"])))
    return points


def stems(folder: Path, ending: str) -> set[str]:
    """Names in a folder without their ending, except hidden and unfinished files."""
    try:
        names = os.listdir(folder)
    except OSError:
        return set()
    return {
        name.removesuffix(ending)
        for name in names
        if name.endswith(ending) and name[0] != "." and not name.endswith(f".part{ending}")
    }


def is_finished(path: Path, *, look_inside: bool = True) -> bool:
    """Whether the file of a point exists, can be read, and is that of a finished run.

    Without a look inside the file only must not be empty or truncated: it has its name since it is
    finished.
    """
    from kmc.files.integrity import check_readable
    from kmc.systems.run import load

    with contextlib.suppress(KmcError):
        if look_inside:
            return load(path).finished
        # Quicker than to read it all, which counts where a sweep has thousands of points.
        check_readable(path)
        return True
    return False


def set_aside(path: Path, why: str) -> None:
    """Rename a trajectory that a sweep cannot use, with a warning."""
    stem = path.name.removesuffix(".h5").removesuffix(".part")
    number = 1
    while (aside := path.with_name(f"{stem}.aside-{number}.h5")).exists():
        number += 1
    os.replace(path, aside)
    warnings.warn(
        f"{path.name} was set aside as {aside.name}, and the point starts again: {why}",
        KmcWarning,
        stacklevel=2,
    )


def lock_of(path: Path, timeout_s: float = 0.0) -> BaseFileLock:
    """A lock between processes; on a file system without locks the file ``NAME.held`` is one."""
    if _has_locks(path.parent):
        return FileLock(path, timeout=timeout_s)
    return SoftFileLock(path.with_name(f"{path.name}.held"), timeout=timeout_s)


@functools.lru_cache
def _has_locks(folder: Path) -> bool:
    # Whether files of a folder can be locked; some file systems of clusters have no locks.
    try:
        import fcntl
    except ImportError:  # Windows, where every file system can
        return True
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as problem:
        return problem.errno not in (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)
    return True
