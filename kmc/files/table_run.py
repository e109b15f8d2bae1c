"""A run as its file holds it: what `kmc.load` returns of it.

Every kind of run has the same protocol: ``samples``, ``frames``, ``to_dataframe()``,
``to_xarray()``, ``summary()``, ``to_json()``, ``plot()``.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from kmc.common.formatting import html_table, plural
from kmc.common.json_files import json_safe
from kmc.common.late import pandas as pd
from kmc.common.late import xarray as xr
from kmc.files import integrity as guard
from kmc.files.checkpoint import Table, unpack
from kmc.files.samples import Columns
from kmc.files.table_file import CHECKPOINT
from kmc.files.table_reader import PIECE_NUMBERS, arrays_of_frames, rows_of

_STATE_BYTES, _STATE_BYTES_A_BYTE = 2**28, 64  # that a state unpacks to, at most


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


class FrameArrays:
    """An array of every frame, read and compared with its checksums when a frame is asked for.

    Takes the place of an array of all frames where they would fill the memory. Its first axis
    counts the frames; ``numpy.asarray`` reads them all.
    """

    def __init__(self, run: "TableRun", path: str):
        self._run, self._path = run, path
        self.dtype, self.shape = np.dtype(run.datasets[path][0]), tuple(run.datasets[path][1])
        self.ndim = len(self.shape)
        self._first, self._block = -1, np.empty((0, *self.shape[1:]))  # frames that were read ahead

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, int | np.integer):
            index = range(len(self))[key]
            if not 0 <= index - self._first < len(self._block):
                # Each reading opens the file: who goes forward gets many frames at once.
                forward = index > self._first >= 0
                n = max(1, PIECE_NUMBERS // max(1, math.prod(self.shape[1:]))) if forward else 1
                frames = self._run.read(self._path, slice(index, index + n))
                self._first, self._block = index, frames if forward else frames[:0]
                return frames[0].copy()
            return self._block[index - self._first].copy()
        return np.asarray(self)[key]

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[i] for i in range(len(self)))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self._run.read(self._path, slice(None)).astype(dtype or self.dtype, copy=False)

    def copy(self) -> np.ndarray:
        """All frames."""
        return np.array(self)


class TableRun:
    """A run as its file holds it; made by `kmc.load`.

    For depositions, cathodes and kinds of other packages; a box of atoms is a `Trajectory`.

    - `path`: Path.
    - `kind`: "electrode", "population", "deposition", "cathode" …
    - `system`: what its kind is and does (`kmc.systems.system`).
    - `samples`: `/samples` as named arrays, one value a row; of several replicas their mean.
    - `replicas`: the same of each replica.
    - `frames`: `/frames`, arrays whose first axis counts the frames; ``sample`` is the row of the
      same time.
    - `lists`: one row a thing and frame; each is an attribute, too.
    - `constants`: arrays that do not change.
    - `run`, `resolved`: settings by section, defaults filled in; everything the run used, these
      included.
    - `facts`, `params`: what followed from the settings before the run, and the parameters.
    - `finished`: bool.
    - `stop_reason`: empty while the run is going on, and after a kill.
    - `run_file`, `kmc_version`: text of the run file; the version that wrote the file.
    - `seed`, `schema_version`: int.
    """

    frames: Any
    params: Any

    # Times and charges, against which everything else is drawn.
    _coordinates: tuple[str, ...] = ("time_s",)

    def __init__(
        self, path: Path, system: Any, record: dict[str, Any], arrays: dict[str, np.ndarray]
    ):
        self.path, self.system, self.kind = path, system, system.name
        self.finished: bool = record["finished"]
        self.stop_reason: str = record["stop_reason"]
        self.schema_version: int = record["schema_version"]
        self.kmc_version: str = record["kmc_version"]
        self.seed: int = record["seed"]
        self.run_file: str = record["run_file"]
        self.resolved: dict[str, Any] = record["resolved"]
        self.run: dict[str, Any] = self.resolved.get("run", {})
        self.metal: str = self.resolved.get("metal", "Li")
        self.params = self.resolved["parameters"]
        self.facts: dict[str, Any] = self.resolved.get("facts", {})
        self.arrays, self.datasets = arrays, record["datasets"]
        self._late: dict[str, FrameArrays] = {}
        fixed = system.layout.group
        groups: dict[str, dict[str, np.ndarray]] = {"samples": {}, "frames": {}, fixed: {}}
        for place, values in arrays.items():
            group, _, name = place.rpartition("/")
            if group:
                groups.setdefault(group, {})[name] = values
        for place in arrays_of_frames(self.datasets) - system.layout.late - arrays.keys():
            frames: Any = FrameArrays(self, place)
            groups["frames"][place.rpartition("/")[2]] = frames

        def columns(group: str) -> Columns:
            found, order = groups[group], system.layout.samples
            # Those of the samples in their order; the record has all in that of the alphabet.
            names = [*(n for n in order if n in found), *(n for n in found if n not in order)]
            units = {name: system.layout.of(f"{group}/{name}")[0] for name in names}
            return Columns({name: found[name] for name in names}, units)

        self.samples, self.frame_columns = columns("samples"), columns("frames")
        self.frames, self.constants = self.frame_columns, columns(fixed)
        replicas = sorted(int(g.split("/")[1]) for g in groups if g.startswith("replicas/"))
        self.replicas = [columns(f"replicas/{i}") for i in replicas] or [self.samples]
        self.lists = {
            name: columns(name)
            for name in groups
            if "/" not in name and name not in ("samples", "frames", fixed)
        }

    def __getattr__(self, name: str) -> Any:
        lists = self.__dict__.get("lists", {})
        if name in lists:
            return lists[name]
        raise AttributeError(f"a run of kind {self.__dict__.get('kind')!r} has no {name!r}")

    @property
    def is_complete(self) -> bool:
        """Whether it has all that `kmc verify` recomputes; files of some earlier kmc do not."""
        return True

    def frame_array(self, name: str, index: int) -> np.ndarray:
        """An array of one frame, read and compared with its checksum if it was not yet."""
        if name in self.frame_columns:
            return self.frame_columns[name][index]
        if name not in self._late:
            self._late[name] = FrameArrays(self, f"frames/{name}")
        return self._late[name][index]

    def read(self, path: str, rows: slice | None = None) -> np.ndarray:
        """A dataset, or some rows of it; what was not read yet is compared with its checksums."""
        if path in self.arrays:
            return self.arrays[path][rows or slice(None)]
        return guard.read(self.path, lambda file: rows_of(file, path, self.datasets[path], rows))

    @property
    def checkpoint(self) -> Table | None:
        """State from which the run goes on; None where there is none, or it is damaged."""
        if CHECKPOINT not in {*self.arrays, *self.datasets}:
            return None
        stored = self.read(CHECKPOINT)
        return unpack(stored.tobytes(), _STATE_BYTES + _STATE_BYTES_A_BYTE * len(stored))

    def to_dataframe(self) -> "pd.DataFrame":
        """The samples as a pandas table, units in ``attrs["units"]``."""
        return self.samples.to_dataframe()

    def _tables(self) -> Iterator[tuple[str, str, Columns]]:
        """Prefix of the names, dimension and columns of what `to_xarray` holds."""
        yield "", "sample", self.samples
        yield "frame_", "frame", self.frame_columns
        yield "", "", self.constants

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
        if self.system.facts is not None:
            return self.system.facts(self)
        record = {
            "format": self.system.layout.format,
            "system": self.kind,
            "name": self.resolved["name"],
            "finished": self.finished,
            "stop_reason": self.stop_reason,
            "seed": self.seed,
            "kmc_version": self.kmc_version,
            "run": self.run,
            "facts": self.facts,
        }
        samples = {name: values.astype(float) for name, values in self.samples.items()}
        final = {name: values[-1] for name, values in samples.items() if len(values)}
        return dict(json_safe({**record, "final": final, "samples": samples}))

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
        names = [".samples", ".frames", *(f".{name}" for name in self.lists), ".facts", ".plot()"]
        return "\n".join([self._title(), *lines, f"  see {', '.join(names)}"])

    def _title(self) -> str:
        return f"{self.path.name}, {self.system.noun}"

    def _repr_html_(self) -> str:
        return html_table(self.summary(), caption=self._title())
