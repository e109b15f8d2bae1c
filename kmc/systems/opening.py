"""Runs, opens and checks a box of atoms, a population of voids or another system alike."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from kmc.common.progress import Progress
from kmc.errors import InputError
from kmc.population import file as schema
from kmc.population import result
from kmc.population import run as upscale
from kmc.population.result import PopulationRun
from kmc.population.verify import verify as verify_population
from kmc.runfile.run_file import RunFile
from kmc.simulation import run as box
from kmc.systems import run as systems
from kmc.systems.result import SystemRun, is_system
from kmc.systems.result import load as load_system
from kmc.trajectory import integrity, reader
from kmc.trajectory.reader import Trajectory
from kmc.verification import trajectory
from kmc.verification.result import Verification


def run_to_file(
    run: RunFile, output: str | Path, *, overwrite: bool = False, progress: bool | Progress = True
) -> Trajectory | PopulationRun | SystemRun:
    """Run a checked run file of any kind; see `kmc.run`."""
    if run.is_population:
        return upscale.run_to_file(run, output, overwrite=overwrite, progress=progress)
    if run.is_system:
        return systems.run_to_file(run, output, overwrite=overwrite, progress=progress)
    return box.run_to_file(run, output, overwrite=overwrite, progress=progress)


def holds_population(path: str | Path) -> bool:
    """Whether a file is one of `kmc upscale`; what cannot be read as one is not."""
    return _holds(path, schema.is_population)


def holds_system(path: str | Path) -> bool:
    """Whether a file is of a run with the section of a system, such as [deposition]."""
    return _holds(path, is_system)


def _holds(path: str | Path, question: Callable[[Any], bool]) -> bool:
    try:
        return integrity.read(Path(path), question)
    except InputError:
        return False


def load(path: str | Path) -> Trajectory | PopulationRun | SystemRun:
    """Open a file written by ``kmc run`` or ``kmc upscale``.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    Trajectory, PopulationRun or SystemRun

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
    if holds_system(path):
        return load_system(path)
    return result.load(path) if holds_population(path) else reader.load(path)


def resume(path: str | Path, **options: Any) -> Trajectory | PopulationRun:
    """Continue an interrupted run of a box or of a population (`kmc.simulation.resume`)."""
    if holds_system(path):
        found = load_system(path)
        raise InputError(
            f"{path} is of a system ({found.kind}), whose runs take minutes and keep no checkpoint",
            advice=f"Run it again: kmc run {found.resolved['name']} --force",
        )
    if holds_population(path):
        return upscale.resume(path, **options)
    from kmc.simulation.resume import resume as go_on_with_box

    return go_on_with_box(path, **options)


def refuse_other_than_box(path: str | Path, command: str) -> None:
    """Say what to do instead where `kmc extend` or `kmc repair` knows boxes of atoms alone.

    Raises
    ------
    InputError
        The file is a population of voids or of another system.
    """
    if holds_system(path):
        found = load_system(path)
        name = found.resolved["name"]
        raise InputError(
            f"{path} is of a system ({found.kind}): kmc {command} is for boxes of atoms",
            advice=f"Its runs take minutes: change the run file and run it again, kmc run {name} "
            "--force.",
        )
    if not holds_population(path):
        return
    name = result.load(path).resolved.get("name", "RUN")
    again = f"kmc upscale {name} --force"
    advice = f"Change capacity or steps in its run file and run it again: {again}."
    if command == "repair":
        advice = f"kmc verify {path} checks it; one that fails is run again: {again}."
    raise InputError(
        f"{path} is a population of voids: kmc {command} is for boxes of atoms", advice=advice
    )


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
    if holds_system(path):
        return systems.verify(path, progress=progress)
    check = verify_population if holds_population(path) else trajectory.verify
    return check(path, progress=progress)
