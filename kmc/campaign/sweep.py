"""A sweep from Python: from a file, a shipped study or a dict to an xarray Dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kmc.campaign.dataset import load_sweep
from kmc.campaign.execute import run_plan
from kmc.campaign.plan import plan_of, read_plan
from kmc.campaign.points import combinations
from kmc.errors import InputError
from kmc.systems.slowing import warn_of_hidden_effects

if TYPE_CHECKING:
    import xarray as xr


def sweep(
    study: str | Path | Mapping[str, Any],
    *,
    output: str | Path | None = None,
    workers: int | None = None,
    progress: bool = True,
    at_monolayers: float | Sequence[float] = (),
    at_mAh_cm2: float | Sequence[float] = (),
) -> xr.Dataset:
    """Run every point of a sweep that is not done yet, and load the results.

    Parameters
    ----------
    study : str, Path or mapping
        A shipped study (``study_temperature``), the path of a sweep file, or what such a file
        holds: ``{"run": "strip_li", "replicas": 3, "grid": {"conditions.temperature_K": [298.15,
        333.15]}, "set": {…}}``; None as a value removes a key.
    output : str or Path, optional
        Folder of the sweep; the name of the study by default, ``sweep`` for a mapping. A folder
        that is there is gone on with.
    workers : int, optional
        Runs at a time; all cores by default.
    progress : bool
        Show progress on stderr.
    at_monolayers, at_mAh_cm2 : float or sequence of float
        Capacities at which the Dataset has values too; see `kmc.load_sweep`.

    Returns
    -------
    xarray.Dataset
        As `kmc.load_sweep`. Points that failed are in it with state "failed" and their error.

    Raises
    ------
    kmc.errors.InputError
        The study or the folder cannot be used; nothing has been run then.
    KeyboardInterrupt
        Ctrl-C; points that are done are kept, and the next call goes on.

    Examples
    --------
    >>> ds = kmc.sweep({"run": "strip_li", "replicas": 2,
    ...                 "grid": {"system.mg_fraction": [0.0]}})             # doctest: +SKIP
    """
    plan = plan_of(study) if isinstance(study, Mapping) else read_plan(study)
    folder = Path(plan.name if output is None else output)
    if workers is not None and workers < 1:
        raise InputError(f"workers = {workers}: at least 1 is needed")
    warn_of_hidden_effects(plan.tables, combinations(plan.axes))
    tally = run_plan(plan, folder, workers=workers, progress=progress)
    if tally.interrupted:
        raise KeyboardInterrupt
    return load_sweep(folder, at_monolayers=at_monolayers, at_mAh_cm2=at_mAh_cm2, progress=progress)
