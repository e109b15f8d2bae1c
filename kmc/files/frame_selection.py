"""Frames that an analysis uses, chosen as ``all``, ``-1``, ``0,20,-1``, ``10:`` or ``::5``."""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kmc.common.progress import FrameProgress
from kmc.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from kmc.files.reader import Trajectory
    from kmc.files.samples import Frame
    from kmc.model.lattice import Lattice

HELP = "all, last, a number (from 0; -1 is the last), a list 0,20,-1, or a range FROM:TO:STEP"
_NUMBER = re.compile(r"[+-]?\d+")


def choose_frames(
    choice: str | int | slice | Iterable[int] | None, n: int, path: Path | None = None
) -> list[int]:
    """Indices of the selected frames.

    - `choice` (str, int, slice, iterable of int or None): text as typed on the command line, or
      indices as in Python; None means all.
    - `n`: frames of the trajectory.
    - `path`: the trajectory, for messages.

    Raises `InputError`: the text is no selection, there is no such frame, or none is selected.

    Examples
    --------
    >>> choose_frames("::5", 21), choose_frames("0,-1", 21)
    ([0, 5, 10, 15, 20], [0, 20])
    """
    name = "the trajectory" if path is None else str(path)
    if not n:
        raise InputError(
            f"{name} has no frames yet",
            advice="A run writes its first frame at the start; output.frame_every_… sets the rest.",
        )
    if choice is None:
        return list(range(n))
    if isinstance(choice, slice):
        found = list(range(n)[choice])
    elif isinstance(choice, str):
        found = [i for part in choice.split(",") for i in _part(part.strip(), choice, n, name)]
    elif isinstance(choice, Iterable):
        found = [_index(int(i), n, name) for i in choice]
    else:
        found = [_index(int(choice), n, name)]
    if not found:
        raise InputError(
            f"frames {choice!r} select none of the {n} frames of {name}", advice=f"Give {HELP}."
        )
    return found


def _part(text: str, choice: str, n: int, name: str) -> list[int]:
    if text in ("all", "last"):
        return list(range(n)) if text == "all" else [n - 1]
    if _NUMBER.fullmatch(text):
        return [_index(int(text), n, name)]
    # As in Python, but none of its errors: what is typed is checked before it is a slice.
    bounds = [bound.strip() for bound in text.split(":")]
    if len(bounds) not in (2, 3) or not all(b == "" or _NUMBER.fullmatch(b) for b in bounds):
        raise InputError(f"frames {choice!r} are no selection", advice=f"Give {HELP}.")
    numbers = [int(b) if b else None for b in bounds]
    if len(numbers) == 3 and numbers[2] == 0:
        raise InputError(f"frames {choice!r} have a step of 0", advice=f"Give {HELP}.")
    return list(range(n)[slice(*numbers)])


def _index(i: int, n: int, name: str) -> int:
    if not -n <= i < n:
        raise InputError(
            f"there is no frame {i}: {name} holds {n}",
            advice=f"Frames count from 0 to {n - 1}; -1 is the last.",
        )
    return i % n


def lattice_of(t: "Trajectory", analysis: str, instead: str = "") -> "Lattice":
    """The lattice of a box of atoms.

    Raises `InputError`: the run is of another kind; `instead` is said of a population.
    """
    if not hasattr(t, "lattice"):
        raise InputError(
            f"{t.path} is {t.system.noun}: {analysis} takes a box of atoms",
            advice=f"Of a population {instead}" if instead and hasattr(t, "gap_um") else "",
        )
    return t.lattice


def chosen_frames(t: "Trajectory", frames: slice | Sequence[int] | None) -> list[int]:
    """Numbers of the selected frames, ascending and each once; all by default.

    Raises `InputError`: the trajectory has no frames, or not these.
    """
    # Ascending: voids are tracked forwards in time.
    return sorted(set(choose_frames(frames, len(t.frames), t.path)))


def frame_columns(t: "Trajectory", indices: Sequence[int]) -> "dict[str, np.ndarray]":
    """Number, capacity and time of the frames, as columns of a table."""
    import numpy as np  # here, as the command line takes `HELP` without loading it

    chosen = np.asarray(indices, dtype=int)
    return {
        "frame": chosen,
        "capacity_monolayers": t.frames.capacity_monolayers[chosen],
        "capacity_mAh_cm2": t.frames.capacity_mAh_cm2[chosen],
        "time_s": t.frames.time_s[chosen],
    }


def each_frame(
    t: "Trajectory", indices: "Sequence[int] | np.ndarray", progress: FrameProgress | None = None
) -> "Iterator[Frame]":
    """The frames one after the other; `progress` is called after each."""
    for done, index in enumerate(indices):
        # One at a time: a frame of 16 M sites is 16 MB.
        yield t.frames[index]
        if progress is not None:
            progress(done + 1, len(indices))
