"""A run that is tables and maps, as its file holds it: what `kmc.load` returns of it.

Every kind of run has the same protocol: ``samples``, ``frames``, ``to_dataframe()``,
``to_xarray()``, ``summary()``, ``to_json()``, ``plot()``.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from kmc.common.formatting import html_table
from kmc.common.json_files import json_safe
from kmc.errors import FileFormatError
from kmc.files import integrity as guard
from kmc.files import table_file as schema
from kmc.files.checkpoint import Table, unpack
from kmc.files.samples import Columns

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

KINDS = ("|u1", "|i1", "<u2", "<i2", "<u4", "<i4", "<u8", "<i8", "<f4", "<f8")
_RECORD_BYTES = 2**24
_MOST_DATASETS = 10_000  # each replica has as many as there are columns
# All datasets are read at once. Maps that are nearly empty pack to a hundredth.
_BYTES, _BYTES_A_BYTE = 2**28, 64
_CHECKPOINT_BYTES = 2**30  # unpacked
_OLD = ("format", "kmc_version", "stop_reason")


def state_of(stored: np.ndarray | None) -> Table | None:
    """State from which a run goes on, its arrays its own; None without, or where it is damaged."""
    state = None if stored is None else unpack(stored.tobytes(), _CHECKPOINT_BYTES)
    own = (state or {}).items()
    copies = {k: v.copy() if isinstance(v, np.ndarray) else v for k, v in own}
    return None if state is None else copies


class TableRun:
    """A run as its file holds it; made by `kmc.load`.

    Attributes
    ----------
    path : Path
    kind : str
        "population", "deposition", "cathode" …
    samples : Columns
        `/samples`, one row a time; of several replicas their mean.
    replicas : list of Columns
        The same of each replica.
    frames : Columns
        `/frames`, arrays whose first axis counts the frames; ``sample`` is the row of the same
        time.
    lists : dict of str to Columns
        One row a thing and frame; each is an attribute, too.
    constants : Columns
        Arrays that do not change.
    system : System
        What its kind is and does (`kmc.systems.system`).
    run, facts, params, resolved : dict
        Settings by section, what followed from them before the run, and the parameters.
    finished : bool
    stop_reason, run_file, kmc_version : str
    seed, schema_version : int
    """

    def __init__(
        self, system: Any, path: Path, record: dict[str, Any], arrays: dict[str, np.ndarray]
    ):
        self.path, self.system = path, system
        self.schema_version: int = record["schema_version"]
        self.kind: str = record["system"]
        self.kmc_version: str = record["kmc_version"]
        self.finished: bool = record["finished"]
        self.stop_reason: str = record["stop_reason"]
        self.seed: int = record["seed"]
        self.run_file: str = record["run_file"]
        self.resolved: dict[str, Any] = record["resolved"]
        self.run: dict[str, Any] = self.resolved["run"]
        self.metal: str = self.resolved.get("metal", "Li")
        self.params: dict[str, Any] = self.resolved["parameters"]
        self.facts: dict[str, Any] = self.resolved["facts"]
        self.arrays = arrays
        groups: dict[str, dict[str, np.ndarray]] = {"samples": {}, "frames": {}, "constants": {}}
        for place, values in arrays.items():
            group, _, name = place.rpartition("/")
            if group:
                groups.setdefault(group, {})[name] = values

        def columns(group: str) -> Columns:
            units = {name: system.layout.of(f"{group}/{name}")[0] for name in groups[group]}
            return Columns(groups[group], units)

        self.samples, self.frames = columns("samples"), columns("frames")
        self.constants = columns("constants")
        replicas = sorted(int(g.split("/")[1]) for g in groups if g.startswith("replicas/"))
        self.replicas = [columns(f"replicas/{i}") for i in replicas] or [self.samples]
        self.lists = {
            name: columns(name)
            for name in groups
            if "/" not in name and name not in ("samples", "frames", "constants")
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

    def to_dataframe(self) -> pd.DataFrame:
        """`/samples` as a pandas table, units in ``attrs["units"]``."""
        return self.samples.table

    def to_xarray(self) -> xr.Dataset:
        """Samples over ``sample`` and frames over ``frame``, with units; ``attrs`` has the rest."""
        import xarray as xr

        variables: dict[str, Any] = {}
        for prefix, dimension, columns in (
            ("", "sample", self.samples),
            ("frame_", "frame", self.frames),
            ("", "", self.constants),
        ):
            for name, values in columns.items():
                first = [dimension] if dimension else []
                more = [f"{name}_{i}" for i in range(values.ndim - len(first))]
                facts = {"units": columns.units.get(name, "1")}
                variables[f"{prefix}{name}"] = ([*first, *more], values, facts)
        attrs = {
            "path": str(self.path),
            "kind": self.kind,
            "kmc_version": self.kmc_version,
            "seed": self.seed,
            "finished": int(self.finished),
            "stop_reason": self.stop_reason,
            "run_file": self.run_file,
        }
        return xr.Dataset(variables, attrs=attrs).set_coords("time_s")

    def summary(self, full: bool = False) -> list[tuple[str, str]]:
        """Pairs of label and text, as `kmc info` prints them, or `kmc info --all` in full."""
        return self.system.summed_up(self, full)

    def _repr_html_(self) -> str:
        return html_table(self.summary(), caption=f"{self.path.name}, {self.kind}")

    @property
    def checkpoint(self) -> Table | None:
        """State from which the run goes on; None where there is none, or it is damaged."""
        return state_of(self.arrays.get(schema.CHECKPOINT))

    def of_frame(self, name: str, frame: int) -> Columns:
        """The rows of a list in a frame; −1 is the last."""
        listed = self.lists[name]
        inside = listed["frame"] == range(len(self.frames["sample"]))[frame]
        return Columns({key: values[inside] for key, values in listed.items()}, listed.units)

    def to_json(self) -> dict[str, Any]:
        """The numbers as plain data; NaN and infinity are null."""
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
        # The run and its facts are JSON already.
        samples = {name: values.astype(float) for name, values in self.samples.items()}
        final = {name: values[-1] for name, values in samples.items() if len(values)}
        return {**record, "final": json_safe(final), "samples": json_safe(samples)}

    def plot(self, what: str = "summary", **options: Any) -> Any:
        """A picture, see `kmc plot`; a matplotlib figure."""
        return self.system.plot([self], what, **options)

    def __repr__(self) -> str:
        rows = self.summary()
        width = max(len(label) for label, _ in rows)
        lines = [f"{self.path.name}, {self.system.noun}"]
        lines += [f"  {label:{width}}  {text}" for label, text in rows]
        see = [".samples", ".frames", *(f".{name}" for name in self.lists), ".facts", ".plot()"]
        return "\n".join([*lines, f"  {'see':{width}}  {', '.join(see)}"])


# --- reading --------------------------------------------------------------------------------------


def load(path: str | Path, systems: Mapping[str, Any]) -> TableRun:
    """Open a file of tables.

    Parameters
    ----------
    path : str or Path
    systems : mapping
        Name of a kind → `kmc.systems.system.System`; its ``result`` makes the run.

    Raises
    ------
    InputError
        There is no such file.
    FileFormatError
        It is not one of tables, is damaged, or of a newer schema.
    """
    path = Path(path)
    system = system_of(path, systems)
    return guard.read(path, lambda file: system.result(path, *contents(file, systems)))


def system_of(path: str | Path, systems: Mapping[str, Any]) -> Any:
    """The `System` of a file of tables; see `load`."""
    path = Path(path)
    guard.check_readable(path)
    guard.check_heaps(path)  # before HDF5 reads a text of an attribute
    name = guard.read(path, lambda file: _head(file, systems)["system"])
    if name not in systems:
        raise FileFormatError(
            f"{path} is of a kind {name!r} that this kmc does not know",
            advice=f"It knows {', '.join(systems)}: update kmc, or register the kind first.",
        )
    return systems[name]


def contents(
    file: h5py.File, systems: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Record and arrays by path; every checksum is compared.

    Raises
    ------
    FileFormatError, LookupError, TypeError, ValueError
        A newer schema, or a file that kmc did not write so.
    """
    record = _head(file, systems)
    without_record = "datasets" not in record
    if without_record:
        record |= _texts_and_datasets(file)
    _check_record(file, record)
    arrays = _arrays(file, record["datasets"])
    if without_record:
        _check_attributes(file, record)
    complete = systems[record["system"]].complete
    if without_record and complete is not None:
        complete(record, arrays)
    _check_lengths(file, arrays)
    labels = record.get("labels_crc32")  # files of earlier versions have none
    if labels is not None and labels != guard.labels_checksum(file, (schema.RECORD, *arrays)):
        raise FileFormatError(f"{file.filename} is damaged: a unit or description has changed")
    return record, arrays


def _head(file: h5py.File, systems: Mapping[str, Any]) -> dict[str, Any]:
    """The record; of a file of an earlier schema only what its attributes say."""
    tables = {system.marker: name for name, system in systems.items() if system.layout}
    marker = next((marker for marker in (schema.MARKER, *tables) if marker in file.attrs), None)
    version = None if marker is None else guard.root_number(file, marker)
    if marker is None or version is None:
        raise FileFormatError(f"{file.filename} is no file of tables of kmc")
    if version > schema.SCHEMA_VERSION:
        raise FileFormatError(
            f"{file.filename} has {marker.replace('_', ' ')} {version}, but this kmc reads up to "
            f"{schema.SCHEMA_VERSION}: update kmc"
        )
    if marker == schema.MARKER and version > 1:
        return {**_record(file), "schema_version": version}
    record: dict[str, Any] = {name: str(guard.attribute(file, name)) for name in _OLD}
    # Before there was one format of tables, the marker was that of the kind.
    own = guard.attribute(file, "system") if marker == schema.MARKER else tables[marker]
    record["system"] = str(own)
    record["finished"] = bool(guard.root_number(file, "finished"))
    record["seed"] = guard.root_number(file, "seed")
    return {**record, "schema_version": version}


def _record(file: h5py.File) -> dict[str, Any]:
    stored = guard.dataset(file, schema.RECORD, kinds=("|u1",))
    if len(stored) > _RECORD_BYTES:
        raise FileFormatError(f"{file.filename} is damaged: /record states {len(stored)} bytes")
    data = stored[:].tobytes()
    # Before it is parsed: JSON from a damaged file may be deep or wrong in ways no check foresees.
    if zlib.crc32(data) != guard.root_number(file, "record_crc32"):
        raise FileFormatError(f"{file.filename} is damaged: /record fails its checksum")
    record = json.loads(data)
    for name in schema.ROOT:
        if guard.attribute(file, name) != record[name]:
            raise FileFormatError(
                f"{file.filename} is damaged: its attribute {name} is not that of /record"
            )
    return record


def _texts_and_datasets(file: h5py.File) -> dict[str, Any]:
    """The rest of the record of an earlier schema, which had it in two texts and attributes."""
    datasets: dict[str, Any] = {}
    for path in _paths(file):
        found = guard.dataset(file, path, kinds=KINDS, dimensions=None)
        crc = guard.attribute(found, "crc32")
        datasets[path] = [found.dtype.str, list(found.shape), crc]
    texts = _arrays(file, {name: datasets.pop(name) for name in ("run_file", "resolved")})
    return {
        "run_file": texts["run_file"].tobytes().decode("utf-8"),
        "resolved": json.loads(texts["resolved"].tobytes()),
        "datasets": datasets,
    }


def _check_attributes(file: h5py.File, record: dict[str, Any]) -> None:
    """Refuse attributes of an earlier schema, which had no checksum, that do not fit the rest."""
    given = record["resolved"]["run"].get("random", {}).get("seed")
    ended = record["stop_reason"] not in ("", "interrupted")
    if given is not None and record["seed"] != given:
        wrong = f"its seed is {record['seed']}, and that of its run {given}"
    elif record["finished"] != ended:
        wrong = f"finished is {record['finished']} with stop_reason {record['stop_reason']!r}"
    else:
        return
    raise FileFormatError(f"{file.filename} is damaged: {wrong}")


def _paths(group: h5py.Group, prefix: str = "") -> Iterator[str]:
    """Datasets of a file of an earlier schema, without following links."""
    for name in group:
        place = prefix + name
        if group.get(name, getlink=True).__class__ is not h5py.HardLink:
            raise FileFormatError(f"{group.file.filename} is damaged: /{place} is a link")
        if isinstance(group[name], h5py.Dataset):
            yield place
        elif place.count("/") > 1:  # replicas/0/NAME is the deepest, and groups may form a circle
            raise FileFormatError(f"{group.file.filename} is damaged: /{place} is a group")
        elif place != schema.CHECKPOINT:  # arrays of that version's own state, which none takes up
            yield from _paths(group[name], f"{place}/")


def _check_record(file: h5py.File, record: dict[str, Any]) -> None:
    """Refuse a record that lacks what readers rely on."""
    types = {
        **{"system": str, "kmc_version": str, "stop_reason": str, "run_file": str},
        **{"finished": bool, "seed": int, "resolved": dict, "datasets": dict},
    }
    wrong = [name for name, kind in types.items() if not isinstance(record.get(name), kind)]
    inside = record.get("resolved")
    if isinstance(inside, dict):
        wrong += [
            f"resolved.{name}"
            for name, kind in {"run": dict, "parameters": dict, "facts": dict, "name": str}.items()
            if not isinstance(inside.get(name), kind)
        ]
    if wrong:
        raise FileFormatError(f"{file.filename} is damaged: its record has no {', '.join(wrong)}")


def _arrays(file: h5py.File, datasets: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Every dataset that the record lists, with its type, shape and checksum."""
    if len(datasets) > _MOST_DATASETS:
        raise FileFormatError(f"{file.filename} is damaged: it lists {len(datasets)} datasets")
    places, stated = {}, 0
    for path, (dtype, shape, _) in datasets.items():
        found = guard.dataset(file, path, kinds=KINDS, dimensions=len(shape))
        if found.dtype.str != dtype or list(found.shape) != list(shape):
            raise FileFormatError(
                f"{file.filename} is damaged: {path} is {found.dtype} {found.shape}, and was "
                f"{dtype} {tuple(shape)}"
            )
        # Sizes are added up before a byte is read: empty chunks state what memory cannot hold.
        stated += found.dtype.itemsize * math.prod(found.shape)
        places[path] = found
    most = _BYTES + _BYTES_A_BYTE * guard.bytes_on_disk(file)
    if stated > most:
        raise FileFormatError(
            f"{file.filename} states {stated} bytes of numbers, more than a file of its size holds"
        )
    arrays = {}
    for path, found in places.items():
        values = found[...]
        if schema.checksum(values) != datasets[path][2]:
            raise FileFormatError(f"{file.filename} is damaged: {path} fails its checksum")
        arrays[path] = values
    return arrays


def _check_lengths(file: h5py.File, arrays: Mapping[str, np.ndarray]) -> None:
    """Refuse columns of different lengths, and frames of rows that do not exist."""

    def damaged(what: str) -> FileFormatError:
        return FileFormatError(f"{file.filename} is damaged: {what}")

    lengths: dict[str, set[int]] = {}
    for path, values in arrays.items():
        group = path.rpartition("/")[0]
        if group in ("", "constants"):
            continue
        if not values.ndim or (group != "frames" and values.ndim != 1):
            raise damaged(f"{path} has {values.ndim} dimensions")
        lengths.setdefault(group, set()).add(len(values))
    for group, found in lengths.items():
        if len(found) > 1:
            raise damaged(f"columns of /{group} differ in length")
    for path in ("samples/time_s", "frames/sample"):
        if path not in arrays:
            raise damaged(f"/{path} is missing")
    # A frame counts rows of its own replica, as the mean may have fewer.
    of = arrays.get("frames/replica", np.zeros(len(arrays["frames/sample"]), int))
    for row, replica in zip(arrays["frames/sample"], of, strict=True):
        own = arrays.get(f"replicas/{int(replica)}/time_s")
        rows = arrays["samples/time_s"] if own is None else own
        if not 0 <= row < len(rows):
            raise damaged(f"/frames/sample names row {row} of {len(rows)}")
    n_frames = len(of)
    for path, values in arrays.items():
        if (
            path.endswith("/frame")
            and len(values)
            and not (values.min() >= 0 and values.max() < n_frames)
        ):
            raise damaged(f"/{path} names a frame of {n_frames} that does not exist")
