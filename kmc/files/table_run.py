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
from typing import Any

import h5py
import numpy as np

from kmc.common.drawing import kinds_of_run, registered
from kmc.common.json_files import json_safe
from kmc.errors import FileFormatError
from kmc.files import integrity as guard
from kmc.files import table_file as schema
from kmc.files.checkpoint import Table, unpack
from kmc.files.integrity import damaged
from kmc.files.record import TEXT, check_layout
from kmc.files.result import Result
from kmc.files.samples import Columns

KINDS = ("|u1", "|i1", "<u2", "<i2", "<u4", "<i4", "<u8", "<i8", "<f4", "<f8")
_MAX_DATASETS = 10_000  # each replica has as many as there are columns
# All datasets are read at once. Maps that are nearly empty pack to a hundredth.
_BYTES, _BYTES_A_BYTE = 2**28, 64
_OLD = ("format", "kmc_version", "stop_reason")
_RECORD = {
    **dict.fromkeys(("system", "kmc_version", "stop_reason", "run_file"), TEXT),
    **{"finished": (bool,), "seed": (int,), "datasets": {}},
    "resolved": {"run": {}, "parameters": {}, "facts": {}, "name": TEXT},
}


class TableRun(Result):
    """A run as its file holds it; made by `kmc.load`.

    For depositions, cathodes and kinds of other packages; a box of atoms is a `Trajectory`.

    Attributes
    ----------
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
    facts, params : dict
        What followed from the settings before the run, and the parameters.
    path, kind, run, resolved, finished, stop_reason, seed, run_file, kmc_version, schema_version
        As for a run of any kind (`kmc.files.result.Result`).
    """

    def __init__(self, path: Path, record: dict[str, Any], arrays: dict[str, np.ndarray]):
        super().__init__(path, record)
        self.kind = record["system"]
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
            layout = self.system.layout
            units = {name: layout.of(f"{group}/{name}")[0] for name in groups[group]}
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

    def _tables(self) -> Iterator[tuple[str, str, Columns]]:
        yield from super()._tables()
        yield "frame_", "frame", self.frames
        yield "", "", self.constants

    @property
    def checkpoint(self) -> Table | None:
        """State from which the run goes on; None where there is none, or it is damaged."""
        stored = self.arrays.get(schema.CHECKPOINT)
        if stored is None:
            return None
        state = unpack(stored.tobytes(), _BYTES + _BYTES_A_BYTE * len(stored))
        # Unpacked arrays look into the bytes of the file and cannot be written to.
        own = (state or {}).items()
        copies = {k: v.copy() if isinstance(v, np.ndarray) else v for k, v in own}
        return None if state is None else copies

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

    def __repr__(self) -> str:
        names = [".samples", ".frames", *(f".{name}" for name in self.lists), ".facts", ".plot()"]
        return f"{super().__repr__()}\n  see {', '.join(names)}"


# --- reading --------------------------------------------------------------------------------------


def load(path: str | Path, only: str = "") -> TableRun:
    """Open a file of tables, or those of its datasets alone whose path begins so.

    Raises `InputError`: there is no such file. `FileFormatError`: it is not one of tables, is
    damaged, or of a newer schema.
    """
    path = Path(path)
    record, arrays = guard.read(path, lambda file: contents(file, only))
    return registered(record["system"]).result(path, record, arrays)


def read_samples(path: str | Path) -> TableRun | None:
    """A run with its samples alone; None for a file of another layout, or of an earlier one.

    A sweep asks thousands of files for their numbers and for nothing else: frames and lists of
    things, most of a file, are neither read nor checked.
    """
    path = Path(path)
    version = guard.read(path, lambda file: guard.root_number(file, schema.MARKER))
    return load(path, "samples/") if version == schema.SCHEMA_VERSION else None


def kind_of(file: h5py.File) -> str:
    """Name of the kind of run of an open file; empty for one that is not of tables."""
    systems = kinds_of_run()
    markers = {system.marker for system in systems.values() if system.layout}
    if not markers & set(file.attrs):
        return ""
    guard.check_heaps(Path(file.filename))
    name = _head(file)["system"]
    if name not in systems:
        raise FileFormatError(
            f"{file.filename} is of a kind {name!r} that this kmc does not know",
            advice=f"It knows {', '.join(systems)}: update kmc, or register the kind first.",
        )
    return name


def contents(file: h5py.File, only: str = "") -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Record and arrays by path, all or those that begin so; every checksum is compared.

    Raises `FileFormatError`, `LookupError`, `TypeError`, `ValueError`: a newer schema, or a file
    that kmc did not write so.
    """
    kind_of(file)
    record = _head(file)
    without_record = "datasets" not in record
    if without_record:
        # An earlier schema had the rest of it in two texts, and a checksum at each dataset.
        datasets: dict[str, Any] = {}
        for path in _paths(file):
            found = guard.dataset(file, path, kinds=KINDS, dimensions=None)
            crc = guard.attribute(found, "crc32")
            datasets[path] = [found.dtype.str, list(found.shape), crc]
        texts = _arrays(file, {name: datasets.pop(name) for name in ("run_file", "resolved")})
        record["run_file"] = texts["run_file"].tobytes().decode("utf-8")
        record["resolved"] = json.loads(texts["resolved"].tobytes())
        record["datasets"] = datasets
    check_layout(record, _RECORD)
    listed = {path: of for path, of in record["datasets"].items() if path.startswith(only)}
    # All sizes are known to fit the file before the first number is read.
    arrays = _arrays(file, listed)
    _check_lengths(file, arrays)
    if only:
        return record, arrays
    if without_record:
        # Attributes of an earlier schema had no checksum: they must fit what had one.
        given = record["resolved"]["run"].get("random", {}).get("seed")
        ended = record["stop_reason"] not in ("", "interrupted")
        if given is not None and record["seed"] != given:
            raise damaged(file, f"its seed is {record['seed']}, and that of its run {given}")
        if record["finished"] != ended:
            reason = f"with stop_reason {record['stop_reason']!r}"
            raise damaged(file, f"finished is {record['finished']} {reason}")
    complete = registered(record["system"]).complete
    if without_record and complete is not None:
        complete(record, arrays)
    _check_frames(file, arrays)
    labels = record.get("labels_crc32")  # files of earlier versions have none
    if labels is not None and labels != guard.labels_checksum(file, (schema.RECORD, *arrays)):
        raise damaged(file, "a unit or description has changed")
    return record, arrays


def _head(file: h5py.File) -> dict[str, Any]:
    """The record; of a file of an earlier schema only what its attributes say."""
    tables = {system.marker: name for name, system in kinds_of_run().items() if system.layout}
    marker = next((marker for marker in (schema.MARKER, *tables) if marker in file.attrs), None)
    version = None if marker is None else guard.root_number(file, marker)
    if marker is None or version is None:
        raise FileFormatError(f"{file.filename} is no file of tables of kmc")
    guard.checked_version(file, version, marker.replace("_", " "), schema.SCHEMA_VERSION)
    if marker == schema.MARKER and version > 1:
        data = guard.record_bytes(file)
        # Before it is parsed: JSON from a damaged file may be deep or wrong in ways no check
        # foresees.
        if zlib.crc32(data) != guard.root_number(file, "record_crc32"):
            raise damaged(file, "/record fails its checksum")
        found = json.loads(data)
        for name in schema.ROOT:
            if guard.attribute(file, name) != found[name]:
                raise damaged(file, f"its attribute {name} is not that of /record")
        return {**found, "schema_version": version}
    record: dict[str, Any] = {name: str(guard.attribute(file, name)) for name in _OLD}
    # Before there was one format of tables, the marker was that of the kind.
    own = guard.attribute(file, "system") if marker == schema.MARKER else tables[marker]
    record["system"] = str(own)
    record["finished"] = bool(guard.root_number(file, "finished"))
    record["seed"] = guard.root_number(file, "seed")
    return {**record, "schema_version": version}


def _paths(group: h5py.Group, prefix: str = "") -> Iterator[str]:
    """Datasets of a file of an earlier schema, without following links."""
    for name in group:
        place = prefix + name
        if group.get(name, getlink=True).__class__ is not h5py.HardLink:
            raise damaged(group.file, f"/{place} is a link")
        if isinstance(group[name], h5py.Dataset):
            yield place
        elif place.count("/") > 1:  # replicas/0/NAME is the deepest, and groups may form a circle
            raise damaged(group.file, f"/{place} is a group")
        elif place != schema.CHECKPOINT:  # arrays of that version's own state, which none takes up
            yield from _paths(group[name], f"{place}/")


def _arrays(file: h5py.File, datasets: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Every dataset that the record lists, with its type, shape and checksum."""
    if len(datasets) > _MAX_DATASETS:
        raise damaged(file, f"it lists {len(datasets)} datasets")
    places, stated = {}, 0
    for path, (dtype, shape, _) in datasets.items():
        found = guard.dataset(file, path, kinds=KINDS, dimensions=len(shape))
        if found.dtype.str != dtype or list(found.shape) != list(shape):
            raise damaged(
                file, f"{path} is {found.dtype} {found.shape}, and was {dtype} {tuple(shape)}"
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
        arrays[path] = guard.values_of(found)
        if schema.checksum(arrays[path]) != datasets[path][2]:
            raise damaged(file, f"{path} fails its checksum")
    return arrays


def _check_lengths(file: h5py.File, arrays: Mapping[str, np.ndarray]) -> None:
    """Refuse columns of different lengths, and samples without a time."""
    lengths: dict[str, set[int]] = {}
    for path, values in arrays.items():
        group = path.rpartition("/")[0]
        if group in ("", "constants"):
            continue
        if not values.ndim or (group != "frames" and values.ndim != 1):
            raise damaged(file, f"{path} has {values.ndim} dimensions")
        lengths.setdefault(group, set()).add(len(values))
    for group, found in lengths.items():
        if len(found) > 1:
            raise damaged(file, f"columns of /{group} differ in length")
    if "samples/time_s" not in arrays:
        raise damaged(file, "/samples/time_s is missing")


def _check_frames(file: h5py.File, arrays: Mapping[str, np.ndarray]) -> None:
    """Refuse frames of rows, and lists of frames, that do not exist."""
    if "frames/sample" not in arrays:
        raise damaged(file, "/frames/sample is missing")
    # A frame counts rows of its own replica, as the mean may have fewer.
    of = arrays.get("frames/replica", np.zeros(len(arrays["frames/sample"]), int))
    for row, replica in zip(arrays["frames/sample"], of, strict=True):
        own = arrays.get(f"replicas/{int(replica)}/time_s")
        rows = arrays["samples/time_s"] if own is None else own
        if not 0 <= row < len(rows):
            raise damaged(file, f"/frames/sample names row {row} of {len(rows)}")
    for path, values in arrays.items():
        if (
            path.endswith("/frame")
            and len(values)
            and not 0 <= values.min() <= values.max() < len(of)
        ):
            raise damaged(file, f"/{path} names a frame of {len(of)} that does not exist")
