"""Outputs of a command: which there are, the endings of their files, checks before any work, and
atomic replacement.

Names and endings stand here so that the command line lists them without loading matplotlib.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from kmc.errors import InputError

# Pictures of trajectories with one line each; `kmc.plotting.draw` draws them.
PICTURES = {
    "summary": "curves, the last map and a cross-section",
    "contact": "contact fraction and overpotential",
    "map": "the interface, with the height of the gaps",
    "section": "cross-sections: metal, voids, electrolyte",
    "microscope": "contact loss, voids per 100 µm, widths and heights on cross-section lines",
    "sizes": "void size distribution",
    "voids": "number, volume and largest void",
    "lifelines": "every void from nucleation to collapse, with coalescence and splitting",
    "profiles": "Mg and vacancies by layer, and Mg at the interface",
}
PICTURE_ENDINGS = (".png", ".svg", ".pdf")
MOVIE_ENDINGS = (".gif", ".mp4")
ATOM_ENDINGS = (".xyz", ".extxyz")
TABLE_ENDINGS = (".csv", ".parquet")


def check_ending(path: Path, endings: Sequence[str], what: str = "output") -> None:
    """Check that a file has one of some endings (lower case); any is allowed if there are none."""
    if endings and path.suffix.lower() not in endings:
        allowed = ", ".join(endings[:-1]) + (" or " if endings[:-1] else "") + endings[-1]
        found = f"ends in {path.suffix}" if path.suffix else "has no ending"
        raise InputError(f"{what} {path} {found}", advice=f"Use a name that ends in {allowed}.")


def check_output(
    path: str | Path, overwrite: bool = False, endings: Sequence[str] = (), what: str = "output"
) -> Path:
    """Check, before any work is done, that a file can be written.

    Parameters
    ----------
    path : str or Path
        The file; a link is followed, and stays one.
    overwrite : bool
        Whether an existing file may be replaced.
    endings : sequence of str
        Allowed endings, lower case; any without.
    what : str
        Name of the file in messages.

    Raises
    ------
    InputError
        The ending is another one, the path is a folder or no regular file, its folder is missing or
        not writable, or the file exists already.
    """
    path = Path(path)
    try:
        target = Path(os.path.realpath(path))
        exists = target.exists()
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or problem
        raise InputError(
            f"{what} {path} cannot be written: {reason}", advice="Give another name."
        ) from None
    if target.is_dir():
        raise InputError(f"{what} {path} is a folder", advice="Give the name of a file.")
    check_ending(path, endings, what)
    folder = target.parent if path.is_symlink() else path.parent
    if exists and not target.is_file():
        raise InputError(f"{what} {path} is not a regular file", advice="Give another name.")
    if not folder.is_dir():
        raise InputError(
            f"{what} {path}: there is no folder {folder}",
            advice="Create the folder first, or give another place.",
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(
            f"{what} {path}: the folder {folder} is not writable", advice="Give another place."
        )
    if exists and not overwrite:
        raise InputError(
            f"{what} {path} exists already",
            advice="Give another name, or overwrite it: --force (kmc), overwrite=True (Python).",
        )
    if exists and not os.access(target, os.W_OK):
        raise InputError(
            f"{what} {path} exists and is write-protected", advice="Give another name."
        )
    return path


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary file beside `path`, which replaces `path` atomically at the end of the block."""
    path = Path(path)
    draft = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield draft
        os.replace(draft, path)
    except OSError as problem:
        raise InputError(
            f"{path} cannot be written: {problem.strerror or problem}",
            advice="Choose a folder that exists, that you may write to and that has space.",
        ) from None
    finally:
        with contextlib.suppress(OSError):
            draft.unlink()
