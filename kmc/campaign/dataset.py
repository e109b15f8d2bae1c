"""The results of a sweep as an `xarray.Dataset`.

    ds = kmc.load_sweep("temperature")
    ds.contact_fraction.mean("replica")
    ds.contact_fraction_at.sel(at_monolayers=0.5)
    ds.sweep.trajectory(temperature_K=333.15, replica=0).frames[-1]
    ds.to_dataframe()

Every axis of the sweep is a dimension, and so is `replica`. What has not been run, or has failed,
is NaN; `state` says which.
"""

from __future__ import annotations

import json
import math
import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kmc.campaign.folder import PointStatus, SweepFolder, open_folder
from kmc.campaign.local import LocalWorkers, cores
from kmc.campaign.plan import REMOVED, ZIP, Plan
from kmc.campaign.point_files import stems
from kmc.campaign.scalars import (
    DERIVED,
    HALF_CONTACT,
    ONSET_CONTACT,
    At,
    Run,
    ScalarCache,
    meaning,
    unit_of,
)
from kmc.common.catalogue import nearest
from kmc.common.drawing import drawn
from kmc.common.formatting import quantity
from kmc.common.progress import Progress, progress_for
from kmc.errors import InputError, KmcError
from kmc.runfile.kinds import kind_of
from kmc.systems import SYSTEMS
from kmc.systems.run import load
from kmc.systems.system import MONOLAYERS, System

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

_UNREADABLE = "unreadable"
# A worker takes some seconds to start; a job should take about one.
_FILES_A_WORKER, _FILES_A_JOB, _WAIT_S = 300, 50, 0.25
_TAKEN = {*DERIVED, "replica", "state", "error"}


@dataclass(frozen=True)
class Axis:
    """One dimension of a sweep.

    Attributes
    ----------
    dim : str
        Name of the dimension: the last part of the key, or ``zip``.
    members : dict
        Full key of the run file → its values along the axis; several for a zip.
    names : dict
        Full key → name of its coordinate.
    """

    dim: str
    members: dict[str, list]
    names: dict[str, str]

    def __len__(self) -> int:
        return len(next(iter(self.members.values())))

    def places(self) -> dict[tuple, int]:
        """Values of the members → place along the axis."""
        rows = zip(*self.members.values(), strict=True)
        return {tuple(_canonical(value) for value in row): i for i, row in enumerate(rows)}

    def place_of(self, settings: Mapping[str, Any]) -> tuple:
        return tuple(_canonical(settings[key]) for key in self.members)


def _canonical(value: Any) -> str:
    """Text that is equal for equal values, such as 1 and 1.0."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    return json.dumps(value)


def short_names(keys: Sequence[str], taken: Iterable[str] = ()) -> dict[str, str]:
    """``conditions.temperature_K`` → ``temperature_K``, with its section where that is taken."""
    last = [key.rpartition(".")[2] for key in keys]
    reserved = set(taken)
    return {
        key: key.replace(".", "_") if last.count(name) > 1 or name in reserved else name
        for key, name in zip(keys, last, strict=True)
    }


def axes_of(plan: Plan) -> list[Axis]:
    """The dimensions of a plan, with names short enough for ``sel(temperature_K=300)``."""
    found: dict[str, dict[str, list]] = {}
    for name, values in plan.axes.items():
        keys = values[0] if name == ZIP else [name]
        rows = values if name == ZIP else [{name: value} for value in values]
        found[name] = {key: [row[key] for row in rows] for key in keys}
    short = short_names([key for members in found.values() for key in members], _TAKEN)
    return [
        Axis(ZIP if name == ZIP else short[name], members, {key: short[key] for key in members})
        for name, members in found.items()
    ]


def coordinate(values: Sequence[Any]) -> np.ndarray:
    """Values of an axis as numbers where all are, else as text: ``"[32, 32, 24]"``."""
    if all(isinstance(v, int | float) and not isinstance(v, bool) for v in values):
        return np.array(values)
    return np.array([v if isinstance(v, str) else json.dumps(v) for v in values], dtype=object)


def load_sweep(
    folder: str | Path,
    *,
    at_monolayers: float | Sequence[float] = (),
    at_mAh_cm2: float | Sequence[float] = (),
    onset_contact: float = ONSET_CONTACT,
    progress: bool = True,
) -> xr.Dataset:
    """Numbers of every run of a sweep, with its axes and `replica` as dimensions.

    Parameters
    ----------
    folder : str or Path
        Made by ``kmc sweep`` or ``kmc critical``; may still be growing.
    at_monolayers : float or sequence of float
        Capacities at which every number is read as well, into variables that end in ``_at``.
    at_mAh_cm2 : float or sequence of float
        The same in mAh/cm², the unit of populations of voids.
    onset_contact : float
        `onset_capacity_monolayers` is where the contact fraction first falls below this.
    progress : bool
        Show the progress of reading on stderr; numbers are cached in the folder.

    Returns
    -------
    xarray.Dataset
        Every column of the samples and of the voids at the end of each run; where contact falls
        below `onset_contact` and below one half, in monolayers or, of populations, in mAh/cm², with
        `onset_censored` and `half_contact_censored` where a finished run kept it; `state` (done,
        running, failed, missing, unreadable),
        `error`, `seed`, `stop_reason` and `path` of each run. Units are in the attributes.
        ``.sweep`` opens trajectories, see `SweepAccessor`.

    Raises
    ------
    InputError
        This is no folder of a sweep, or a capacity or fraction is out of range.
    """
    import xarray as xr

    wanted = _wanted(at_monolayers, at_mAh_cm2)
    if not 0 < onset_contact <= 1:
        raise InputError(f"onset_contact = {onset_contact}: a fraction above 0 and at most 1")
    opened = open_folder(folder)
    system = SYSTEMS[kind_of(opened.plan.tables).name]
    charge = system.charge if "contact_fraction" in system.samples else None
    with progress_for(Path(folder).name, progress) as shown:
        rows = _read(opened, wanted, onset_contact, shown)
    axes = axes_of(opened.plan)
    dims = [axis.dim for axis in axes] + ["replica"]
    at_dim = f"at_{wanted[0].unit}" if wanted else ""
    shape = (*map(len, axes), opened.plan.replicas)
    points = opened.plan.points
    where = tuple(np.array(_positions(opened.plan, axes)).T)
    found = [rows[point.name] for point in points]
    finals = [row["final"] for row in found]
    names = sorted({name for row in finals for name in row}, key=number_order)

    def array(values: Sequence[Any], dtype: Any = float) -> np.ndarray:
        placed = np.empty(shape, dtype)  # a plan has a point at every place
        placed[where] = values
        return placed

    def numbers(name: str, dicts: Sequence[Mapping[str, float]]) -> np.ndarray:
        return array([one.get(name, math.nan) for one in dicts])

    def texts_of(key: str) -> np.ndarray:
        return array([row[key] for row in found], object)

    def variable(name: str, values: np.ndarray, more: Sequence[str] = ()) -> Any:
        unit, text = meaning(name)
        return ([*dims, *more], values, {"units": unit, "long_name": text})

    known = {short for axis in axes for short in axis.names.values()}
    variables: dict[str, Any] = {}
    for name in names:
        # A sample column with the name of an axis is renamed.
        variables[f"{name}_end" if name in known else name] = variable(name, numbers(name, finals))
    read_at = [[row["at"].get(one.key, {}) for row in found] for one in wanted]
    for name in names if wanted else ():
        at = [numbers(name, dicts) for dicts in read_at]
        variables[f"{name}_at"] = variable(name, np.stack(at, axis=-1), [at_dim])
    states = texts_of("state")
    if charge is not None:
        finished = states == "done"
        onsets = {
            contact: array([row["onset"].get(repr(float(contact)), math.nan) for row in found])
            for contact in (onset_contact, HALF_CONTACT)
        }
        variables |= _crossings(charge.column, onset_contact, onsets, finished, dims)
        if charge != MONOLAYERS:
            # The name that the onset had before populations were compared by mAh/cm².
            layers, own = (numbers(c, finals) for c in (MONOLAYERS.column, charge.column))
            old = onsets[onset_contact] * layers / own
            attrs = {"units": "1", "long_name": "The same onset in monolayers"}
            variables["onset_capacity_monolayers"] = (dims, old, attrs)
    texts = {
        "state": (states, "done, running, failed, missing or unreadable"),
        "error": (texts_of("error"), "Why a run failed"),
        "stop_reason": (texts_of("stop_reason"), "Why a run ended"),
        "seed": (array([point.seed for point in points], np.uint64), "Seed of the run"),
        "path": (texts_of("path"), "Trajectory of the run"),
    }
    for name, (values, text) in texts.items():
        variables[name] = (dims, values, {"long_name": text})

    attrs = {"folder": str(folder), "kind": "kmc sweep", "headline": system.headline}
    ds = xr.Dataset(variables, _coordinates(axes), attrs)
    ds = ds.assign_coords(replica=np.arange(opened.plan.replicas))
    if wanted:
        units = {"long_name": "capacity", "units": wanted[0].unit.replace("_", "/")}
        ds = ds.assign_coords({at_dim: (at_dim, [one.value for one in wanted], units)})
    if not hasattr(xr.Dataset, "sweep"):
        xr.register_dataset_accessor("sweep")(SweepAccessor)
    return ds


def _system_of(folder: str | Path) -> System:
    return SYSTEMS[kind_of(open_folder(folder).plan.tables).name]


def headline_of(folder: str | Path) -> str:
    """What a picture of the sweep in a folder shows by default."""
    return _system_of(folder).headline


def charge_of(folder: str | Path) -> str:
    """The unit by which the runs of a sweep are compared: "monolayers" or "mAh_cm2".

    Raises
    ------
    InputError
        They pass no charge.
    """
    system = _system_of(folder)
    if system.charge is None:
        raise InputError(
            f"{system.noun} passes no charge through an interface: there is no capacity to read at",
            advice="Leave --at away.",
        )
    return unit_of(system.charge.column)


def _crossings(
    column: str,
    onset_contact: float,
    onsets: Mapping[float, np.ndarray],
    finished: np.ndarray,
    dims: Sequence[str],
) -> dict[str, Any]:
    """Variables of where contact is lost, and of the finished runs that ended before."""
    unit = unit_of(column)
    found: dict[str, Any] = {}
    for name, mask, contact, label in (
        (f"onset_{column}", "onset_censored", onset_contact, f"contact of {onset_contact:g}"),
        (f"half_contact_{unit}", "half_contact_censored", HALF_CONTACT, "half of the contact"),
    ):
        text = f"contact first falls below {contact:g}"
        attrs = {"units": meaning(column)[0], "censored": mask, "label": f"charge to {label}"}
        attrs["long_name"] = f"Capacity in {unit.replace('_', '/')} where {text}"
        found[name] = (dims, onsets[contact], attrs)
        # A run that still goes on may lose its contact yet; only a finished one is a bound.
        censored = finished & np.isnan(onsets[contact])
        found[mask] = (dims, censored, {"long_name": f"Ended before {text}"})
    return found


def _wanted(
    at_monolayers: float | Sequence[float], at_mAh_cm2: float | Sequence[float]
) -> list[At]:
    """The capacities asked for, ascending."""
    given = {"capacity_monolayers": at_monolayers, "capacity_mAh_cm2": at_mAh_cm2}
    found: list[At] = []
    for column, asked in given.items():
        some = [asked] if isinstance(asked, int | float) else list(asked)
        for value in some:
            if not (isinstance(value, int | float) and math.isfinite(value) and value >= 0):
                raise InputError(
                    f"at_{unit_of(column)} = {value!r}: a capacity is not negative",
                    advice="Give a number of its unit, for example 0.5.",
                )
        if some and found:
            raise InputError(
                "at_monolayers and at_mAh_cm2 are given at once",
                advice="Give the capacities in one unit.",
            )
        found += [At(value, column) for value in sorted({float(value) for value in some})]
    return found


def number_order(name: str) -> tuple:
    """Order of variables: contact and voids first, then counters."""
    first = ("contact_fraction", "contact_fraction_Li", "overpotential_V", *DERIVED)
    return (first.index(name), "") if name in first else (len(first), name)


def _read(
    folder: SweepFolder, wanted: Sequence[At], contact: float, progress: Progress
) -> dict[str, dict]:
    """State and numbers of every point."""
    cache, status = ScalarCache.of(folder.path), folder.status()
    files = {row.name: folder.trajectory_path(row.point) for row in status if row.state == "done"}
    # What is there but damaged is missing to `kmc sweep`, which runs it again.
    there = stems(folder.path / "points", ".h5")
    files |= {
        row.name: file
        for row in status
        if row.state == "missing"
        and row.name in there
        and (file := folder.trajectory_path(row.point)).is_file()
    }
    entries = {name: cache.known(name, file, wanted, contact) for name, file in files.items()}
    todo = [name for name, entry in entries.items() if entry is None]
    errors: dict[str, str] = {}
    try:
        entries |= _read_in_parallel([files[name] for name in todo], wanted, contact, progress)
        for i, name in enumerate(todo):
            try:
                entry = entries[name] or cache.read(name, files[name], wanted, contact)
                cache.keep(name, entry)
                entries[name] = entry
            except (KmcError, OSError) as problem:
                errors[name] = str(problem)
            progress.update((i + 1) / len(todo), f"run {i + 1} of {len(todo)}")
    finally:
        cache.save()  # also after Ctrl-C: the first reading of a large sweep takes minutes
    return {
        row.name: _row(row, files.get(row.name), entries.get(row.name), errors.get(row.name))
        for row in status
    }


def _row(
    point: PointStatus, file: Path | None, entry: Mapping[str, Any] | None, error: str | None
) -> dict[str, Any]:
    """State and numbers of one point."""
    row: dict[str, Any] = {"final": {}, "at": {}, "onset": {}, "stop_reason": "", "path": ""}
    row |= {"state": point.state, "error": point.error, "path": str(file or "")}
    if error is not None:
        return row | {"state": _UNREADABLE, "error": error}
    if entry is None or point.state != "done":
        return row
    return row | {key: entry[key] for key in ("final", "at", "onset", "stop_reason")}


def _read_in_parallel(
    files: Sequence[Path], wanted: Sequence[At], contact: float, progress: Progress
) -> dict[str, dict]:
    """Entries of files by all cores, where many have to be opened, at some 10 ms each."""
    count = min(cores(), len(files) // _FILES_A_WORKER)
    found: dict[str, dict] = {}
    if count < 2:
        return found
    pieces = deque(files[i : i + _FILES_A_JOB] for i in range(0, len(files), _FILES_A_JOB))
    running = 0
    workers = LocalWorkers(count, Path(os.devnull))
    try:
        while pieces or running:
            while pieces and running < workers.slots:
                job = {"wanted": list(wanted), "contact": contact}
                some = [str(file) for file in pieces.popleft()]
                workers.submit({"name": str(len(pieces)), "files": some, **job})
                running += 1
            for result in workers.wait(_WAIT_S):
                running -= 1
                found |= result.get("entries", {})
                progress.update(len(found) / len(files), f"{len(found)} of {len(files)} files")
    except KmcError:  # no worker starts: the files are read here
        pass
    finally:
        workers.close()
    return found


def _positions(plan: Plan, axes: Sequence[Axis]) -> list[tuple[int, ...]]:
    """Where each point stands in an array with the axes and replicas as dimensions."""
    places = [(axis, axis.places()) for axis in axes]
    return [
        (*(place[axis.place_of(point.settings)] for axis, place in places), point.replica)
        for point in plan.points
    ]


def _coordinates(axes: Sequence[Axis]) -> dict[str, Any]:
    coordinates: dict[str, Any] = {}
    for axis in axes:
        for key, values in axis.members.items():
            name, unit = quantity(key)
            attrs = {"long_name": name, "units": unit or "1", "key": key}
            if axis.dim == ZIP and (numbers := _with_removed(values)):
                values, attrs["nan"] = numbers, f"{key} = none: the key was removed"
            coordinates[axis.names[key]] = (axis.dim, coordinate(values), attrs)
        if axis.dim == ZIP:
            text = {"long_name": "place along the zipped keys"}
            coordinates[ZIP] = (ZIP, np.arange(len(axis)), text)
    return coordinates


def _with_removed(values: Sequence[Any]) -> list[float]:
    """Numbers among which some keys were removed, which are NaN; empty for anything else.

    A coordinate along the zipped keys may hold NaN: their place, `zip`, is the index.
    """
    kept = [value for value in values if value != REMOVED]
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in kept)
    if not kept or len(kept) == len(values) or not numbers:
        return []
    return [math.nan if value == REMOVED else value for value in values]


class SweepAccessor:
    """``ds.sweep`` of a dataset from `load_sweep`, or of any selection of it.

    Examples
    --------
    >>> ds.sweep.trajectory(temperature_K=298.15, replica=0)                 # doctest: +SKIP
    >>> ds.sweep.status()                                                    # doctest: +SKIP
    """

    def __init__(self, dataset: xr.Dataset):
        self._dataset = dataset

    def trajectory(self, **where: Any) -> Run:
        """The trajectory of one run, chosen by its coordinates; axes of length 1 may be left out.

        Raises
        ------
        InputError
            No run or several runs match, or the run is not done.
        """
        rows = self._chosen(where)
        if rows.path.size != 1:
            left = ", ".join(f"{dim} ({n})" for dim, n in rows.path.sizes.items() if n > 1)
            raise InputError(
                f"{rows.path.size} runs match, not one",
                advice=f"Choose one of {left}.",
            )
        state = rows.state.values.item()
        if state != "done":
            error = rows.error.values.item()
            raise InputError(f"that run is {state}" + (f": {error}" if error else ""))
        return load(rows.path.values.item())

    def trajectories(self, **where: Any) -> Iterator[tuple[dict[str, Any], Run]]:
        """Coordinates and trajectory of each run that is done, opened one after the other."""
        stacked = self._chosen(where)
        dims = list(stacked.path.dims)
        for index in np.ndindex(stacked.path.shape):
            one = stacked.isel(dict(zip(dims, index, strict=True)))
            if one.state.values.item() == "done":
                labels = {
                    str(name): value.values.item()
                    for name, value in one.coords.items()
                    if value.ndim == 0 and not str(name).startswith("at_")
                }
                yield labels, load(one.path.values.item())

    def status(self) -> pd.DataFrame:
        """A row for each run: its coordinates, state, error, stop_reason, seed and path."""
        names = ["state", "error", "stop_reason", "seed", "path"]
        return self._dataset[names].to_dataframe().reset_index()

    def plot(self, **options: Any) -> Any:
        """The picture of `kmc sweep-plot`; see `kmc.plotting.sweep_panels.sweep_picture`."""
        return drawn("sweep_picture", self._dataset, **options)

    def _chosen(self, where: Mapping[str, Any]) -> xr.Dataset:
        known = [str(name) for name in self._dataset.coords]
        for name in where:
            if name not in known:
                raise InputError(
                    f"there is no axis {name!r}",
                    advice=f"{nearest(name, known)}Axes: {', '.join(known)}.",
                )
        chosen = self._dataset[["path", "state", "error"]]
        for name, value in where.items():
            coordinate = chosen[name]
            if coordinate.ndim == 0:
                continue
            fits = np.array([_same(value, item) for item in coordinate.values])
            if not fits.any():
                values = ", ".join(str(item) for item in coordinate.values)
                raise InputError(
                    f"{name} = {value!r} is not in the sweep", advice=f"It has {values}."
                )
            chosen = chosen.isel({coordinate.dims[0]: np.flatnonzero(fits)})
        return chosen


def _same(asked: Any, value: Any) -> bool:
    """Whether a value equals one of an axis; numbers within a relative 1e-9."""
    if isinstance(value, float) and math.isnan(value):
        return asked is None or asked == REMOVED or asked != asked
    if isinstance(asked, int | float) and isinstance(value, int | float | np.number):
        return math.isclose(asked, value, rel_tol=1e-9)
    return str(asked) == str(value) or (not isinstance(asked, str) and json.dumps(asked) == value)
