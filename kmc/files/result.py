"""What the result of a run of any kind has: samples, frames, tables, a summary, JSON, pictures."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from kmc.common.formatting import html_table, plural
from kmc.common.late import pandas as pd
from kmc.common.late import xarray as xr
from kmc.files.samples import Columns


def with_netcdf_encoding(dataset: "xr.Dataset") -> "xr.Dataset":
    """The dataset, whose integers that netCDF 3 cannot hold are written as float64.

    xarray writes netCDF 3 by scipy where no other library is installed, with integers of 32 bits.
    Counts and seeds are below 2**53, up to which float64 is exact.
    """
    for variable in dataset.variables.values():
        kind = variable.dtype.kind
        if kind in "iu" and variable.size and np.abs(variable.values).max() > 2**31 - 1:
            variable.encoding["dtype"] = "float64"
    return dataset


class Result:
    """A run as its file holds it.

    Attributes
    ----------
    path : Path
    kind : str
        "electrode", "population", "deposition", "cathode" …
    system : System
        What its kind is and does (`kmc.systems.system`).
    samples : Columns
        `/samples` as named arrays, one value a row.
    run, resolved : dict
        Settings by section, defaults filled in; everything the run used, these included.
    finished : bool
    stop_reason : str
        Empty while the run is going on, and after a kill.
    run_file, kmc_version : str
        Text of the run file; the version that wrote the file.
    seed, schema_version : int
    """

    path: Path
    samples: Columns

    _coordinates: tuple[str, ...] = ("time_s",)

    def __init__(self, path: Path, system: Any, record: dict[str, Any]):
        self.path, self.system, self.kind = path, system, system.name
        self.finished: bool = record["finished"]
        self.stop_reason: str = record["stop_reason"]
        self.schema_version: int = record["schema_version"]
        self.kmc_version: str = record["kmc_version"]
        self.seed: int = record["seed"]
        self.run_file: str = record["run_file"]
        self.resolved: dict[str, Any] = record["resolved"]
        self.run: dict[str, Any] = self.resolved.get("run", {})

    def to_dataframe(self) -> "pd.DataFrame":
        """The samples as a pandas table, units in ``attrs["units"]``."""
        return self.samples.to_dataframe()

    def _tables(self) -> Iterator[tuple[str, str, Columns]]:
        """Prefix of the names, dimension and columns of what `to_xarray` holds."""
        yield "", "sample", self.samples

    def to_xarray(self) -> "xr.Dataset":
        """Samples over ``sample`` and frames over ``frame``, with ``attrs["units"]`` each.

        Columns of the frames are ``frame_time_s`` and so on; ``attrs`` has the path, the seed, the
        state and the run file.
        """
        variables: dict[str, Any] = {}
        for prefix, dimension, columns in self._tables():
            for name, values in columns.items():
                first = [dimension] if dimension else []
                # Maps have two more dimensions, which belong to no other variable.
                more = [f"{name}_{i}" for i in range(values.ndim - len(first))]
                units = {"units": columns.units.get(name, "1")}
                # A copy, as an xarray is made to be changed, and the run is read-only.
                variables[f"{prefix}{name}"] = ([*first, *more], values.copy(), units)
        attrs = {
            "path": str(self.path),
            "kind": self.kind,
            "kmc_version": self.kmc_version,
            "seed": self.seed,
            "finished": int(self.finished),
            "stop_reason": self.stop_reason,
            "run_file": self.run_file,
        }
        dataset = with_netcdf_encoding(xr.Dataset(variables, attrs=attrs))
        # Times and charges, against which everything else is drawn.
        return dataset.set_coords([name for name in self._coordinates if name in variables])

    def summary(self, full: bool = False) -> list[tuple[str, str]]:
        """Pairs of label and text, as `kmc info` prints them, or `kmc info --all` in full."""
        return self.system.summed_up(self, full)

    @property
    def rests_on(self) -> str:
        """What its numbers rest on, in one line: slowing, voids, cells, and assumed inputs.

        The row Trust of its summary, and how many inputs of its parameter set are assumed.
        """
        inputs = self.resolved.get("parameters", {}).values()
        assumed = sum(bool(one.get("assumed")) for one in inputs if isinstance(one, dict))
        text = f"{plural(assumed, 'input')} of the parameter set assumed" if assumed else ""
        return "; ".join(filter(None, (dict(self.summary()).get("Trust", ""), text)))

    def to_json(self) -> dict[str, Any]:
        """The run in numbers, as `kmc info --json` prints it; NaN and infinity are null."""
        return self.system.facts(self)

    def plot(self, what: str = "summary", **options: Any) -> Any:
        """A picture of the run, a matplotlib figure that shows itself in a notebook.

        - `what`: as for ``kmc plot --what``; `kmc plot FILE --help` lists those of each kind.
        - `options`: ``frames``, ``min_size``, ``paper``; see `kmc.plotting.draw`.

        Raises `InputError`: there is no such picture, or the run lacks the data for it.
        """
        return self.system.plot([self], what, **options)

    def __repr__(self) -> str:
        rows = self.summary()
        width = max(len(label) for label, _ in rows)
        lines = [f"  {label:{width}}  {text}" for label, text in rows]
        return "\n".join([self._title(), *lines])

    def _title(self) -> str:
        return f"{self.path.name}, {self.system.noun}"

    def _repr_html_(self) -> str:
        return html_table(self.summary(), caption=self._title())
