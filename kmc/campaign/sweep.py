"""A sweep from Python: from a file, a shipped study or a dict to an xarray Dataset."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kmc.campaign.dataset import load_sweep
from kmc.campaign.execute import run_sweep
from kmc.campaign.folder import check_folder, make_folder
from kmc.campaign.local import LocalWorkers, cores
from kmc.campaign.plan import KEYS, Plan, read_plan
from kmc.campaign.points import REMOVED
from kmc.campaign.slowing import warn_of_hidden_effects
from kmc.common import catalogue
from kmc.common.progress import display_for
from kmc.common.validation import toml_value
from kmc.errors import InputError

if TYPE_CHECKING:
    import xarray as xr


def sweep(
    study: str | Path | Mapping[str, Any],
    *,
    output: str | Path | None = None,
    workers: int | None = None,
    progress: bool = True,
    at_monolayers: float | Sequence[float] = (),
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
    at_monolayers : float or sequence of float
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
    plan = _plan_of(study) if isinstance(study, Mapping) else read_plan(study)
    folder = Path(plan.name if output is None else output)
    if workers is not None and workers < 1:
        raise InputError(f"workers = {workers}: at least 1 is needed")
    warn_of_hidden_effects(plan)
    check_folder(folder, plan)
    opened = make_folder(folder, plan)

    def make(points: int) -> LocalWorkers:
        return LocalWorkers(min(points, workers or cores()), opened.path / "workers.log")

    tally = run_sweep(opened, make, display_for(folder.name, progress))
    if tally.interrupted:
        raise KeyboardInterrupt
    return load_sweep(folder, at_monolayers=at_monolayers, progress=progress)


def _plan_of(study: Mapping[str, Any]) -> Plan:
    """The plan of a sweep given as a dict; relative paths begin at the current folder."""
    unknown = [key for key in study if key not in KEYS]
    if unknown:
        raise InputError(
            f"{unknown[0]!r} in the dict of the sweep is not known",
            advice=f"{catalogue.nearest(str(unknown[0]), KEYS)}A sweep has {', '.join(KEYS)}.",
        )
    tables = {key: study[key] for key in ("grid", "zip", "set") if study.get(key)}
    for key, table in tables.items():
        if not isinstance(table, Mapping):
            raise InputError(
                f"{key} = {table!r} in the dict of the sweep must be a dict",
                advice='Such as {"conditions.temperature_K": [298.15, 333.15]}.',
            )
    lines = [
        f"{key} = {toml_value(_absolute(study[key]))}"
        for key in ("run", "replicas", "seed")
        if key in study
    ]
    for key, table in tables.items():
        lines += ["", f"[{key}]"]
        lines += [f"{toml_value(name)} = {_toml(value)}" for name, value in table.items()]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "sweep.toml"
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        try:
            return read_plan(file)
        except InputError as error:
            here = "the dict of the sweep"
            message, advice = error.message, error.advice or ""
            raise InputError(
                message.replace(str(file), here), advice=advice.replace(str(file), here) or None
            ) from None


def _absolute(value: Any) -> Any:
    """A path of a run file from everywhere; anything else as it is."""
    if isinstance(value, Path) or (isinstance(value, str) and value.endswith(".toml")):
        return str(Path(value).resolve())
    return value


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return toml_value(dict(value))
    if hasattr(value, "tolist"):  # numpy arrays and numbers
        value = value.tolist()
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return toml_value(REMOVED if value is None else _absolute(value))
