"""Opens and checks a file of kmc, whichever kind it is: a box of atoms or a population of voids."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from kmc.errors import InputError
from kmc.mesoscale import file as schema
from kmc.mesoscale import result
from kmc.mesoscale.result import PopulationRun
from kmc.mesoscale.verify import verify as verify_population
from kmc.trajectory import integrity, reader
from kmc.trajectory.reader import Trajectory
from kmc.verification import trajectory
from kmc.verification.trajectory import Verification


def holds_population(path: str | Path) -> bool:
    """Whether a file is one of `kmc upscale`; what cannot be read as one is not."""
    try:
        return integrity.read(Path(path), schema.is_population)
    except InputError:
        return False


def load(path: str | Path) -> Trajectory | PopulationRun:
    """Open a file written by ``kmc run`` or ``kmc upscale``.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    Trajectory or PopulationRun

    Raises
    ------
    InputError
        There is no such file, or it cannot be read.
    FileFormatError
        It is not a file of kmc, is damaged, or of a newer schema.

    Examples
    --------
    >>> t = kmc.load("strip_li.h5")                                          # doctest: +SKIP
    >>> p = kmc.load("upscale_li.h5")                                        # doctest: +SKIP
    """
    return result.load(path) if holds_population(path) else reader.load(path)


def resume(path: str | Path, **options: Any) -> Trajectory | PopulationRun:
    """Continue an interrupted run of a box or of a population (`kmc.simulation.resume`)."""
    if holds_population(path):
        from kmc.mesoscale.upscale import resume as go_on

        return go_on(path, **options)
    from kmc.simulation.resume import resume as go_on_with_box

    return go_on_with_box(path, **options)


def verify(path: str | Path, *, progress: Callable[[int, int], None] | None = None) -> Verification:
    """Check a file written by ``kmc run`` or ``kmc upscale`` against itself.

    Parameters
    ----------
    path : str or Path
    progress : callable, optional
        Called with what is done and to do.

    Raises
    ------
    InputError, FileFormatError
        As for `load`.

    Examples
    --------
    >>> kmc.verify("strip_li.h5").passed                                     # doctest: +SKIP
    True
    """
    check = verify_population if holds_population(path) else trajectory.verify
    return check(path, progress=progress)
