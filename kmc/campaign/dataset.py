"""The results of a sweep as an `xarray.Dataset`.

Every axis of the sweep is a dimension, and so is `replica`. What has not been run, or has failed,
is NaN; `state` says which.
"""

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kmc.campaign import scalars
from kmc.campaign.folder import SweepFolder, open_folder
from kmc.campaign.point_files import stems
from kmc.campaign.points import REMOVED, ZIP, Plan
from kmc.common.catalogue import nearest
from kmc.common.figures import drawn
from kmc.common.formatting import quantity
from kmc.common.late import pandas as pd
from kmc.common.late import xarray as xr
from kmc.common.progress import Progress, progress_for
from kmc.errors import InputError, KmcError
from kmc.files.table_run import with_netcdf_encoding
from kmc.runfile.kinds import kind_of
from kmc.systems import SYSTEMS
from kmc.systems.run import load
from kmc.systems.system import MONOLAYERS, System

_TAKEN = {"replica", "state", "error"}
_TEXTS = {
    "state": "done, running, failed, missing or unreadable",
    "error": "Why a run failed",
    "stop_reason": "Why a run ended",
    "path": "Trajectory of the run",
}


def load_sweep(
    folder: str | Path,
    *,
    at_monolayers: float | Sequence[float] = (),
    at_mAh_cm2: float | Sequence[float] = (),
    onset_contact: float = scalars.ONSET_CONTACT,
    progress: bool = True,
) -> "xr.Dataset":
    """Numbers of every run of a sweep, with its axes and `replica` as dimensions.

    - `folder`: made by ``kmc sweep`` or ``kmc critical``; may still be growing.
    - `at_monolayers`, `at_mAh_cm2`: capacities at which every number is read as well, into
      variables that end in ``_at``; the latter is the unit of populations of voids.
    - `onset_contact`: `onset_capacity_monolayers` is where the contact fraction first falls below
      this.
    - `progress`: show the progress of reading on stderr; numbers are cached in the folder.

    Returns xarray.Dataset: every column of the samples and of the voids at the end of each run;
    where contact falls below `onset_contact` and below one half, in monolayers or, of populations,
    in mAh/cm², with `onset_censored` and `half_contact_censored` where a finished run kept it;
    `state` (done, running, failed, missing, unreadable), `error`, `seed`, `stop_reason` and `path`
    of each run. Units are in the attributes. ``.sweep`` opens trajectories, see `SweepAccessor`.

    Raises `InputError`: no folder of a sweep, or a capacity or fraction that is out of range.
    """
    wanted = _wanted(at_monolayers, at_mAh_cm2)
    if not 0 < onset_contact <= 1:
        raise InputError(f"onset_contact = {onset_contact}: a fraction above 0 and at most 1")
    sweep = open_folder(folder)
    plan, system = sweep.plan, _system(sweep)
    with progress_for(Path(folder).name, progress) as shown:
        rows = _read(sweep, wanted, onset_contact, shown)
    coordinates = _coordinates(plan)
    dims = [*(ZIP if axis == ZIP else _short(plan)[axis] for axis in plan.axes), "replica"]
    shape = (*map(len, plan.axes.values()), plan.replicas)
    finals = [row["final"] for row in rows]
    names = sorted({name for row in finals for name in row}, key=number_order)

    def array(values: Sequence[Any], dtype: Any = float) -> np.ndarray:
        placed = np.empty(len(rows), dtype)
        placed[:] = values
        return placed.reshape(shape)  # points stand in the order of the grid, replicas fastest

    def numbers(name: str, dicts: Sequence[Mapping[str, float]]) -> np.ndarray:
        return array([row.get(name, math.nan) for row in dicts])

    variables: dict[str, Any] = {}
    for name in names:
        attrs = dict(zip(("units", "long_name"), scalars.meaning(name), strict=True))
        # A sample column with the name of an axis is renamed.
        key = f"{name}_end" if name in coordinates else name
        variables[key] = (dims, numbers(name, finals), attrs)
        if wanted:
            at = [numbers(name, [row["at"].get(place.key, {}) for row in rows]) for place in wanted]
            at_dims = [*dims, f"at_{wanted[0].unit}"]
            variables[f"{name}_at"] = (at_dims, np.stack(at, axis=-1), attrs)
    if (charge := system.charge) is not None and "contact_fraction" in system.samples:
        finished = array([row["state"] == "done" for row in rows], bool)
        lost = {
            "onset": (f"onset_{charge.column}", onset_contact, f"contact of {onset_contact:g}"),
            "half_contact": (
                f"half_contact_{charge.unit}",
                scalars.HALF_CONTACT,
                "half of the contact",
            ),
        }
        for stem, (name, contact, label) in lost.items():
            mask = f"{stem}_censored"
            charges = numbers(repr(float(contact)), [row["onset"] for row in rows])
            text = f"contact first falls below {contact:g}"
            attrs = {
                "units": scalars.meaning(charge.column)[0],
                "censored": mask,
                "label": f"charge to {label}",
                "long_name": f"Capacity in {charge.unit.replace('_', '/')} where {text}",
            }
            variables[name] = (dims, charges, attrs)
            # A run that still goes on may lose its contact yet; only a finished one is a bound.
            censored = finished & np.isnan(charges)
            variables[mask] = (dims, censored, {"long_name": f"Ended before {text}"})
        if charge != MONOLAYERS:
            # The name that the onset had before populations were compared by mAh/cm².
            layers, own = (numbers(c, finals) for c in (MONOLAYERS.column, charge.column))
            old = variables[f"onset_{charge.column}"][1] * layers / own
            attrs = {"units": "1", "long_name": "The same onset in monolayers"}
            variables["onset_capacity_monolayers"] = (dims, old, attrs)
    for name, text in _TEXTS.items():
        values = array([row[name] for row in rows], object)
        variables[name] = (dims, values, {"long_name": text})
    seeds = array([point.seed for point in plan.points], np.uint64)
    variables["seed"] = (dims, seeds, {"long_name": "Seed of the run"})

    attrs = {"folder": str(folder), "kind": "kmc sweep", "headline": _headline(sweep)}
    ds = xr.Dataset(variables, coordinates, attrs).assign_coords(replica=np.arange(plan.replicas))
    ds = with_netcdf_encoding(ds)
    if wanted:
        dim, at_values = f"at_{wanted[0].unit}", [place.value for place in wanted]
        units = {"long_name": "capacity", "units": wanted[0].unit.replace("_", "/")}
        ds = ds.assign_coords({dim: (dim, at_values, units)})
    # Once a process: xarray warns of an accessor that is registered again.
    if not hasattr(xr.Dataset, "sweep"):
        xr.register_dataset_accessor("sweep")(SweepAccessor)
    return ds


def _system(sweep: SweepFolder) -> System:
    return SYSTEMS[kind_of(sweep.plan.tables).name]


def headline_of(folder: str | Path, at: float | None = None) -> str:
    """What a picture of the sweep in a folder shows by default, at a charge or over whole runs."""
    sweep = open_folder(folder)
    system = _system(sweep)
    whole = at is None or system.headline in system.samples
    return _headline(sweep) if whole else "contact_fraction"


def _headline(sweep: SweepFolder) -> str:
    """What its kind is about, by its name in the dataset: one that is an axis has another."""
    name = _system(sweep).headline
    return f"{name}_end" if name in _short(sweep.plan).values() else name


def charge_of(folder: str | Path) -> str:
    """The unit by which the runs of a sweep are compared: "monolayers" or "mAh_cm2"."""
    system = _system(open_folder(folder))
    if system.charge is None:
        raise InputError(
            f"{system.noun} passes no charge through an interface: there is no capacity to read at",
            advice="Leave --at away.",
        )
    return system.charge.unit


def _wanted(
    at_monolayers: float | Sequence[float], at_mAh_cm2: float | Sequence[float]
) -> list[scalars.At]:
    """The capacities asked for, ascending."""
    asked_of = {"monolayers": at_monolayers, "mAh_cm2": at_mAh_cm2}
    charges: list[scalars.At] = []
    for unit, asked in asked_of.items():
        values = [asked] if isinstance(asked, int | float) else list(asked)
        for value in values:
            if not (isinstance(value, int | float) and math.isfinite(value) and value >= 0):
                raise InputError(
                    f"at_{unit} = {value!r}: a capacity is not negative",
                    advice="Give a number of its unit, for example 0.5.",
                )
        if values and charges:
            raise InputError(
                "at_monolayers and at_mAh_cm2 are given at once",
                advice="Give the capacities in one unit.",
            )
        charges += [scalars.At(v, f"capacity_{unit}") for v in sorted({float(v) for v in values})]
    return charges


def number_order(name: str) -> tuple:
    """Order of variables: contact and voids first, then counters."""
    first = ("contact_fraction", "contact_fraction_Li", "overpotential_V", *scalars.derived())
    return (first.index(name), "") if name in first else (len(first), name)


def _read(
    folder: SweepFolder, wanted: Sequence[scalars.At], contact: float, progress: Progress
) -> list[dict[str, Any]]:
    """State and numbers of every point, in the order of the plan."""
    kept, status = scalars.Numbers(folder.path), folder.status()
    there, table = stems(folder.path / "points", ".h5"), []
    try:
        for i, point in enumerate(status, 1):
            file = folder.trajectory_path(point.point)
            row = {"final": {}, "at": {}, "onset": {}, "stop_reason": "", "path": ""}
            row |= {"state": point.state, "error": point.error}
            # What is there but damaged is missing to `kmc sweep`, which runs it again.
            damaged = point.state == "missing" and point.name in there and file.is_file()
            if point.state == "done" or damaged:
                row["path"] = str(file)
                try:
                    found = kept.of(point.name, file, wanted, contact)
                    row |= found if point.state == "done" else {}
                except (KmcError, OSError) as problem:
                    row |= {"state": "unreadable", "error": str(problem)}
            table.append(row)
            progress.update(i / len(status), f"run {i} of {len(status)}")
    finally:
        kept.save()  # also after Ctrl-C: the first reading of a large sweep takes minutes
    return table


def _short(plan: Plan) -> dict[str, str]:
    # ``conditions.temperature_K`` → ``temperature_K``, with its section where that is taken.
    # Short enough for ``sel(temperature_K=300)``.
    last, taken = [key.rpartition(".")[2] for key in plan.keys], {*_TAKEN, *scalars.derived()}
    return {
        key: key.replace(".", "_") if last.count(name) > 1 or name in taken else name
        for key, name in zip(plan.keys, last, strict=True)
    }


def _coordinates(plan: Plan) -> dict[str, Any]:
    coordinates: dict[str, Any] = {}
    short = _short(plan)
    for axis, rows in plan.axes.items():
        for key in rows[0] if axis == ZIP else [axis]:
            values: Sequence[Any] = [row[key] for row in rows] if axis == ZIP else rows
            name, unit = quantity(key)
            attrs = {"long_name": name, "units": unit or "1", "key": key}
            if axis == ZIP and (numbers := _with_removed(values)):
                values, attrs["nan"] = numbers, f"{key} = none: the key was removed"
            numeric = all(map(_is_number, values))
            if not numeric:  # as text: ``"[32, 32, 24]"``
                values = [v if isinstance(v, str) else json.dumps(v) for v in values]
            array = np.array(values, dtype=None if numeric else object)
            coordinates[short[key]] = (ZIP if axis == ZIP else short[key], array, attrs)
        if axis == ZIP:
            text = {"long_name": "place along the zipped keys"}
            coordinates[ZIP] = (ZIP, np.arange(len(rows)), text)
    return coordinates


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _with_removed(values: Sequence[Any]) -> list[float]:
    # Numbers among which some keys were removed, which are NaN; empty for anything else.
    # A coordinate along the zipped keys may hold NaN: their place, `zip`, is the index.
    kept = [value for value in values if value != REMOVED]
    if not kept or len(kept) == len(values) or not all(map(_is_number, kept)):
        return []
    return [math.nan if value == REMOVED else value for value in values]


class SweepAccessor:
    """``ds.sweep`` of a dataset from `load_sweep`, or of any selection of it.

    To get from a number of a sweep to the runs behind it, and to draw the sweep.

    >>> ds.sweep.trajectory(temperature_K=298.15, replica=0)                 # doctest: +SKIP
    """

    def __init__(self, dataset: "xr.Dataset"):
        self._dataset = dataset

    def trajectory(self, **where: Any) -> scalars.Run:
        """The trajectory of one run, chosen by its coordinates; axes of length 1 may be left out.

        Raises `InputError`: no run or several runs match, or the run is not done.
        """
        rows = self._chosen(where)
        if rows.path.size != 1:
            several = ", ".join(f"{dim} ({n})" for dim, n in rows.path.sizes.items() if n > 1)
            raise InputError(
                f"{rows.path.size} runs match, not one",
                advice=f"Choose one of {several}.",
            )
        state = rows.state.values.item()
        if state != "done":
            error = rows.error.values.item()
            raise InputError(f"that run is {state}" + (f": {error}" if error else ""))
        return load(rows.path.values.item())

    def trajectories(self, **where: Any) -> Iterator[tuple[dict[str, Any], scalars.Run]]:
        """Coordinates and trajectory of each run that is done, opened one after the other."""
        stacked = self._chosen(where)
        dims = list(stacked.path.dims)
        for index in np.ndindex(stacked.path.shape):
            run = stacked.isel(dict(zip(dims, index, strict=True)))
            if run.state.values.item() == "done":
                labels = {
                    str(name): value.values.item()
                    for name, value in run.coords.items()
                    if value.ndim == 0 and not str(name).startswith("at_")
                }
                yield labels, load(run.path.values.item())

    def status(self) -> "pd.DataFrame":
        """A row for each run: its coordinates, state, error, stop_reason, seed and path."""
        names = ["state", "error", "stop_reason", "seed", "path"]
        return self._dataset[names].to_dataframe().reset_index()

    def plot(self, **options: Any) -> Any:
        """The picture of `kmc sweep-plot`; see `kmc.plotting.sweep_panels.sweep_picture`."""
        return drawn("sweep_picture", self._dataset, **options)

    def _chosen(self, where: Mapping[str, Any]) -> "xr.Dataset":
        chosen = self._dataset[["path", "state", "error"]]
        for name, value in where.items():
            coordinate = chosen[axis_name(chosen, name, map(str, self._dataset.coords))]
            if coordinate.ndim:
                chosen = chosen.isel({coordinate.dims[0]: places(coordinate, value)})
        return chosen


def axis_name(ds: "xr.Dataset", name: str, axes: Iterable[str]) -> str:
    """The one of some axes that has a name, or stands for a key of the run file."""
    keys = {axis: ds[axis].attrs.get("key", axis) for axis in axes if axis in ds}
    for axis, key in keys.items():
        if name in (axis, key):
            return axis
    raise InputError(
        f"there is no axis {name!r} in this sweep",
        advice=f"{nearest(name, keys)}Axes: {', '.join(keys)}.",
    )


def choices(axis: "xr.DataArray") -> str:
    """The values of an axis, for messages."""
    return f"Values of {axis.name}: {', '.join(str(item) for item in axis.values)}."


def places(axis: "xr.DataArray", value: Any) -> np.ndarray:
    """Where a value stands along an axis; `InputError` where it does not."""
    fits = np.flatnonzero([_same(value, item) for item in axis.values])
    if not fits.size:
        raise InputError(f"{axis.name} = {value} is not in the sweep", advice=choices(axis))
    return fits


def _same(asked: Any, value: Any) -> bool:
    if isinstance(value, float) and math.isnan(value):
        return asked is None or asked == REMOVED or asked != asked
    try:
        return math.isclose(float(asked), float(value), rel_tol=1e-9)
    except (TypeError, ValueError):
        return str(asked) == str(value) or json.dumps(asked) == value
