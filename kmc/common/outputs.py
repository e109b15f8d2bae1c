"""Outputs of a command: the endings of their files, checks before any work, and
atomic replacement.

Endings stand here so that the command line lists them without loading matplotlib.
"""

import contextlib
import errno
import os
import re
import stat
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from kmc.common.json_files import check_contents
from kmc.errors import InputError, KmcError

PICTURE_ENDINGS = (".png", ".svg", ".pdf")
MOVIE_ENDINGS = (".gif", ".mp4")
_ATOMS = (".xyz", ".extxyz", ".dump", ".lammpstrj")
ATOM_ENDINGS = (*_ATOMS, *(f"{ending}.gz" for ending in _ATOMS))
SURFACE_ENDINGS = (".vtk",)
TABLE_ENDINGS = (".csv", ".parquet")


def check_ending(path: Path, endings: Sequence[str], what: str = "output") -> None:
    """Check that a file has one of some endings (lower case); any is allowed if there are none."""
    if endings and not path.name.lower().endswith(tuple(endings)):
        # In words, as for a person who reads it: .png, .svg or .pdf.
        allowed = ", ".join(endings[:-1]) + (" or " if endings[:-1] else "") + endings[-1]
        ending = f"ends in {path.suffix}" if path.suffix else "has no ending"
        raise InputError(f"{what} {path} {ending}", advice=f"Use a name that ends in {allowed}.")


# Endings of files that are no HDF5: a trajectory with such a name would mislead.
_NOT_HDF5 = (
    *(".txt", ".csv", ".json", ".toml", ".dat", ".log", ".md", ".py", ".npy", ".npz"),
    *(".parquet", ".xlsx", ".zip", ".gz", *PICTURE_ENDINGS, *MOVIE_ENDINGS, *ATOM_ENDINGS),
)


def check_trajectory_name(path: str | Path) -> None:
    """Check that the name of a trajectory does not say that it is something else.

    Raises `InputError`: its ending is that of another format.
    """
    path = Path(path)
    if path.suffix.lower() in _NOT_HDF5:
        raise InputError(
            f"output {path} ends in {path.suffix}, and a trajectory is an HDF5 file",
            advice=f"Use {path.with_suffix('.h5')}; kmc export writes other formats of it.",
        )


def check_output(
    path: str | Path, overwrite: bool = False, endings: Sequence[str] = (), what: str = "output"
) -> Path:
    """Check, before any work is done, that a file can be written.

    `endings` are those allowed, in lower case; `what` names the file in messages. The file of a
    run is written where a link leads; any other takes the place of the link.

    Raises `InputError`: the ending is another one, the path is a folder or no regular file, its
    folder is missing or not writable, or the file exists already.
    """
    path = Path(path)
    if any(unicodedata.category(letter) == "Cc" for letter in str(path)):
        raise InputError(
            f"{what} {path} has a control character in its name", advice="Give another name."
        )
    try:
        target = Path(os.path.realpath(path))
        exists = target.exists()
    except OSError as problem:
        raise InputError(
            f"{what} {path} cannot be written: {problem.strerror}", advice="Give another name."
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
    if exists and not overwrite:
        raise InputError(
            f"{what} {path} exists already",
            advice="Give another name, or overwrite it: --force (kmc), overwrite=True (Python).",
        )
    if exists and not os.access(target, os.W_OK):
        raise InputError(
            f"{what} {path} exists and is write-protected", advice="Give another name."
        )
    try:  # rights alone do not say it: quotas, file systems that are read-only or not of files
        for draft in {draft_of(target), draft_of(path)}:
            draft.touch()
            draft.unlink()
    except OSError as problem:
        raise InputError(
            f"{what} {path} cannot be written: {problem.strerror}", advice="Give another place."
        ) from None
    return path


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary file beside `path`, which replaces `path`, a link too, at the end of the block.

    Raises `KmcError`: the disk is full or fails, at the end of the work: no `InputError`, which
    would say that nothing was computed. `check_output` comes before the work.
    """
    draft = draft_of(path, path.suffix)
    try:
        yield draft
        put_in_place(draft, path)
    except OSError as problem:
        raise KmcError(
            f"{path} cannot be written: {problem.strerror or problem}",
            advice=room(
                problem, "Choose a folder that exists, that you may write to and that has space."
            ),
        ) from None
    finally:
        with contextlib.suppress(OSError):
            draft.unlink()


def room(problem: OSError, otherwise: str) -> str:
    """What gives a file that was not written its room: a higher limit of its size, `otherwise`."""
    if problem.errno != errno.EFBIG or os.name == "nt":
        return otherwise
    import resource

    limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    if limit == resource.RLIM_INFINITY:
        return "Its file system holds no file of this size: give another place."
    return f"No file may be larger than {limit / 1e6:.3g} MB here (ulimit -f): raise that limit."


def put_in_place(draft: Path, target: Path) -> None:
    """Give a complete file its name; everything written as a whole goes this way.

    A kill or a power cut leaves the old file or the new one: the content is on the disk before the
    name changes, and the name before this returns. The permissions of a file that is replaced stay.

    Raises `OSError`: the disk is full or fails; `target` is what it was.
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


_DRAFT = re.compile(r"\.(.+)\.(\d+)\.part(\.[^.]+)?")


def draft_of(target: Path, ending: str = "") -> Path:
    """Name of a file of this process beside `target`, for what will take its place."""
    # The ending stays last: matplotlib and imageio take the format from it.
    stem = target.name.removesuffix(ending) if ending else target.name
    return target.with_name(f".{stem}.{os.getpid()}.part{ending}")


def remove_drafts(folder: Path, of: str = "") -> None:
    """Remove drafts that processes left behind when they were killed: of one file, or of all.

    Of a file with this name, that is, and of pictures beside it. Drafts of other files may be those
    of processes on other machines.
    """
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            draft = _DRAFT.fullmatch(name)
            if not draft or (of and draft[1] not in (of, Path(of).stem)):
                continue
            if os.name == "nt":  # where signal 0, which asks whether a process runs, is Ctrl-C
                continue
            try:
                os.kill(int(draft[2]), 0)
            except (ProcessLookupError, OverflowError):
                with contextlib.suppress(OSError):
                    os.unlink(Path(folder) / name)
            except OSError:  # it runs, as another user
                continue


def write_text(path: Path, text: str) -> None:
    """Replace a text file whole."""
    with replacing(path) as draft:
        draft.write_text(text, encoding="utf-8")


_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what the cells of one begin with


def csv_of(table: Any) -> str:
    """A pandas table as CSV.

    Names and messages come from the user's files: a text that a spreadsheet would run as a formula
    gets an apostrophe in front of it (OWASP, "CSV Injection").
    """
    harmless = table.map(
        lambda cell: f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
    )
    return harmless.to_csv(index=False)


def claim_folder(path: Path, head: str) -> bool:
    """Whether a folder has the file `head` of its owner already; else it is made, or empty.

    Raises `InputError`: it holds other files, or links, or cannot be made.
    """
    # Its own folder, of an interrupted sweep say, is taken up again.
    if (path / head).is_file():
        check_contents(path)
        return True
    if not path.parent.is_dir():
        raise InputError(f"{path}: there is no folder {path.parent}", advice="Make it first.")
    try:
        path.mkdir(exist_ok=True)
        strangers = sorted(entry.name for entry in path.iterdir())
    except OSError as problem:
        raise InputError(
            f"{path} cannot be made: {problem.strerror or problem}",
            advice="Choose a folder that you may write to with -o.",
        ) from None
    # An empty folder may have been made for this.
    if strangers:
        raise InputError(
            f"{path} holds other files, such as {strangers[0]}",
            advice="Use another folder with -o.",
        )
    return False
