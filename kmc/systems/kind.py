"""What a system hands over to the commands of kmc: a `Kind`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from kmc.common.progress import Progress
from kmc.runfile.run_file import RunFile
from kmc.systems.record import Record
from kmc.systems.result import SystemRun
from kmc.verification.result import Breach

Table = Mapping[str, tuple[str, str]]
"""Name → (unit, meaning)."""


@dataclass(frozen=True)
class Kind:
    """A system: what it records, how it runs, how its file is checked and summed up.

    Attributes
    ----------
    name : str
        Its section in a run file.
    noun : str
        What a run of it is, for messages: "a deposition".
    samples : Table
        Columns of `/samples`: one number each time. ``time_s`` is among them.
    frames : Table
        Arrays of `/frames`, whose first axis counts the frames. ``sample`` is among them: the row
        of `/samples` at the same time.
    constants : Table
        Arrays of `/constants`, written once.
    run : callable
        Runs a checked run file into a `Record`, asks ``stopped()`` now and then, and returns the
        reason of the end; `INTERRUPTED` where ``stopped()`` was true.
    checks : tuple of (str, callable)
        A claim on a file, and a function that yields breaches of it: what `kmc verify` recomputes.
    summary : callable
        Pairs of label and text for `kmc info`.
    """

    name: str
    noun: str
    samples: Table
    frames: Table
    constants: Table
    run: Callable[[RunFile, Record, Progress, Callable[[], bool]], str]
    checks: tuple[tuple[str, Callable[[SystemRun], Iterator[Breach]]], ...]
    summary: Callable[[SystemRun], list[tuple[str, str]]]
