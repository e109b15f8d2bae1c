"""Selections of frames: ``all``, ``-1``, ``0,20,-1``, ``10:``, ``::5``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from kmc.errors import InputError

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
