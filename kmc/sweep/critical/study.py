"""`kmc.critical`: a search for a critical value, from Python."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kmc.sweep.critical.criterion import parse_criterion
from kmc.sweep.critical.question import Critical, Question
from kmc.sweep.critical.search import find
from kmc.sweep.critical.threshold import Scale
from kmc.sweep.points import removed


def critical(
    run: str | Path,
    *,
    vary: str,
    between: tuple[float, float],
    criterion: str,
    at: float | None = None,
    settings: Mapping[str, Any] | None = None,
    replicas: int = 4,
    tolerance: float = 0.2,
    max_runs: int = 120,
    seed: int = 1,
    output: str | Path | None = None,
    workers: int | None = None,
    progress: bool = True,
) -> Critical:
    """Find the value of one key at which half of the runs meet a criterion.

    Parameters
    ----------
    run : str or Path
        A shipped run, or the path of a run file.
    vary : str
        Numeric key of the run, such as ``"conditions.current_density_mA_cm2"``.
    between : tuple of two floats
        Range searched.
    criterion : str
        Such as ``"contact_fraction<0.7"`` or ``"voids>=3"``.
    at : float, optional
        Capacity in monolayers at which runs end and are judged; the end of the run by default.
    settings : mapping, optional
        ``{"section.key": value}`` in every run; None or "none" removes the key.
    replicas : int
        Runs at each value, at least 2.
    tolerance : float
        Half width of the 95 % interval at which the search ends, as a share of the value.
    max_runs : int
        Runs at which the search ends.
    seed : int
        Of the study; the seed of every run follows from it.
    output : str or Path, optional
        Folder of the runs; NAME_critical by default. A second call uses the runs that are there.
    workers : int, optional
        Runs at a time; all cores by default.
    progress : bool
        Show the progress of the runs on stderr.

    Returns
    -------
    kmc.sweep.critical.question.Critical
        ``value``, ``low`` and ``high``, `sentence`, `lines`, `table`.

    Raises
    ------
    kmc.errors.InputError
        Invalid input; nothing has been run then.
    kmc.errors.KmcError
        All runs at a value failed.
    """
    question = Question(
        base=str(run),
        vary=vary,
        scale=Scale.between(*between),
        criterion=parse_criterion(criterion),
        at=at,
        replicas=replicas,
        tolerance=tolerance,
        most_runs=max_runs,
        settings={key: removed(value) for key, value in (settings or {}).items()},
        seed=seed,
    )
    name = question.check().name
    question.warn_of_hidden_effects()
    folder = Path(f"{name}_critical" if output is None else output)
    return find(question, folder, workers=workers, progress=progress)
