"""Checks of a trajectory file before its content is used; the file is not trusted.

An HDF5 file can link to other files, name filters that load a library, and state sizes larger than
its content. A trajectory does none of that, and a file that does is refused: reading opens no other
file, loads no code, and takes no more memory than the stored bytes can fill.
"""

from __future__ import annotations

import json
import math
import re
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py

from kmc.errors import FileFormatError, InputError
from kmc.model.lattice import MOST_SITES_A_CELL
from kmc.trajectory.schema import (
    FRAME_OCCUPANCY,
    LATTICE_ENTRIES,
    RECORD,
    SCHEMA,
    SCHEMA_VERSION,
    required_columns,
)
from kmc.trajectory.transaction import SIGNATURE, stored_end

_ENTRIES = {entry.path: entry for entry in SCHEMA}
# gzip, shuffle, fletcher32: what kmc writes. Others may be plugins, which HDF5 would load.
_FILTERS = (h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32)
_MOST_PACKED = 1100  # bytes that one byte of gzip can unpack to; 1032 by its format
_SLACK_BYTES = 4096  # very short datasets, checksums included


def dataset(file: h5py.File, path: str, *, sized: bool = True) -> h5py.Dataset:
    """A dataset of plain numbers that the file itself holds.

    Parameters
    ----------
    file : h5py.File
    path : str
        Such as ``"/samples/time_s"``.
    sized : bool
        Whether all of it will be read: its length must then agree with its stored bytes.

    Raises
    ------
    FileFormatError
        The dataset is a link, is stored in another file, has a filter or type that trajectories do
        not use, or a size beyond its stored bytes.
    KeyError
        There is no such dataset.
    """
    place: Any = file
    for name in path.strip("/").split("/"):
        links = place.id.links
        if not links.exists(name.encode()):
            raise KeyError(f"object {name!r} doesn't exist")
        if links.get_info(name.encode()).type != h5py.h5l.TYPE_HARD:
            raise _refused(file, path, "is a link, which could lead to another file")
        place = place[name]
    if not isinstance(place, h5py.Dataset):
        raise _refused(file, path, "is not a dataset")
    plan = place.id.get_create_plist()
    if plan.get_layout() == h5py.h5d.VIRTUAL or plan.get_external_count():
        raise _refused(file, path, "keeps its numbers in another file")
    filters = [plan.get_filter(i)[0] for i in range(plan.get_nfilters())]
    if not set(filters) <= set(_FILTERS):
        raise _refused(file, path, "is packed in a way that a trajectory is not")
    entry = _ENTRIES.get(f"/{path.strip('/')}")
    kinds: tuple[str, ...] = ("<i8", "<f8")
    dimensions = 1  # columns of the samples that the schema does not list
    if entry is not None:
        kinds, dimensions = (entry.dtype,), len(entry.shape.split(", "))
    if place.dtype.str not in kinds or place.ndim != dimensions:
        raise _refused(file, path, f"holds {place.dtype} in {place.ndim} dimensions")
    file_size = file.id.get_filesize()
    stored = place.id.get_storage_size() if sized else file_size
    stated = place.dtype.itemsize * math.prod(place.shape if sized else place.shape[1:])
    most = min(stored, file_size) * (_MOST_PACKED if h5py.h5z.FILTER_DEFLATE in filters else 1)
    if stated > most + _SLACK_BYTES:
        raise FileFormatError(
            f"{file.filename} is damaged: {path} states {stated} bytes and has {stored}"
        )
    return place


def occupancies(file: h5py.File, box: dict[str, Any]) -> h5py.Dataset:
    """The occupancies of the frames; they must have as many sites as the lattice of the record.

    Raises
    ------
    FileFormatError, KeyError
        As for `dataset`.
    ValueError
        They do not fit: a lattice as large as the record states could exhaust the memory.
    """
    found = dataset(file, FRAME_OCCUPANCY.path)
    n_sites = len(dataset(file, LATTICE_ENTRIES[1].path, sized=False))
    unit_cells = math.prod(box["cells"]) * box["layers"]
    most = MOST_SITES_A_CELL * unit_cells
    if found.shape[1:] != (n_sites,) or unit_cells < 1 or n_sites % unit_cells or n_sites > most:
        raise ValueError(f"frames of shape {found.shape[1:]} do not fit the lattice")
    return found


def _refused(file: h5py.File, path: str, what: str) -> FileFormatError:
    return FileFormatError(f"{file.filename} is not a kmc trajectory: {path} {what}")


_TEXT, _NUMBER, _NUMBER_OR_NONE = (str,), (int, float), (int, float, type(None))
# Required layout of the JSON of /record. Keys that may be absent end in "?"; "*" is any.
_RECORD = {
    "kmc_version": _TEXT,
    "run_file": _TEXT,
    "provenance?": {"created?": _TEXT},
    "seed": (int,),
    "lattice": {
        "name": _TEXT,
        "boundary": ("interface", "periodic"),
        "cells": [(int,)],
        "layers": (int,),
        "lattice_parameter_A": _NUMBER,
        "box_A": [_NUMBER],
    },
    "resolved": {
        "run?": {
            "system?": {"params?": _TEXT},
            "conditions?": {
                "temperature_K?": _NUMBER,
                "current_density_mA_cm2?": _NUMBER,
                "overpotential_V?": _NUMBER_OR_NONE,
                "exchange?": (bool,),
                "stack_pressure_MPa?": _NUMBER,
            },
            "interface?": {
                "patch_density_per_um2?": _NUMBER_OR_NONE,
                "void_density_per_um2?": _NUMBER_OR_NONE,
            },
            "rest?": {"time_s?": _NUMBER_OR_NONE, "events?": _NUMBER_OR_NONE},
        },
        "charge_transfer?": {
            "exchange_current_density_mA_cm2": _NUMBER,
            "alpha": _NUMBER,
            "lattice_parameter_A": _NUMBER,
            "strip_weight_lambda": _NUMBER,
            "kink_binding_eV": _NUMBER,
            "flat_binding_eV": _NUMBER,
            "conductivity_mS_cm": _NUMBER_OR_NONE,
            "wagner_length_um": _NUMBER_OR_NONE,
            "pattern_um": _NUMBER_OR_NONE,
            "pattern_scale": _NUMBER,
            "rim_exchange_weight": _NUMBER_OR_NONE,
            "series_resistance_ohm_cm2": _NUMBER,
        },
        "interface?": {
            "patches?": [[_NUMBER]],
            "voids?": [[_NUMBER]],
            "vacant_sites?": (int,),
            "chemistry?": [
                {
                    "params": _TEXT,
                    "sites?": (int,),
                    "fraction": _NUMBER,
                    "phi_L1?": [(int,)],
                    "phi_L2?": [(int,)],
                }
            ],
        },
        "species?": [_TEXT],
        "parameters?": {
            "*": {"value": _NUMBER, "unit?": _TEXT, "note?": _TEXT, "assumed?": (bool,)}
        },
        "acceleration?": {
            "max_hops_per_strip_per_site?": _NUMBER_OR_NONE,
            "saddle_floor_eV?": _NUMBER,
            "superbasins?": (bool,),
            "strip_rate_per_site_Hz?": _NUMBER_OR_NONE,
            "fastest_hop_Hz?": _NUMBER,
            "lone_floor_eV?": _NUMBER,
            "lone_slowed_by?": _NUMBER,
            "box_resistance_share?": _NUMBER,
            "supersaturation?": _NUMBER,
            "supersaturation_L1?": _NUMBER,
            "supersaturation_L3?": _NUMBER,
            "classes?": [{"name": _TEXT, "barrier_eV": _NUMBER, "slowed_by?": _NUMBER}],
        },
    },
}
_LENGTHS = {"cells": 2, "box_A": 3}


def check_record(record: Any, columns: tuple[str, ...]) -> None:
    """Check that the JSON of `/record` has the layout that the readers rely on.

    Parameters
    ----------
    record : object
        As read.
    columns : tuple of str
        Names that its list of sample columns must contain.

    Raises
    ------
    ValueError
        The message names the place.
    """
    _check_layout(record, _RECORD, "record")
    listed = record.get("columns")
    _check_layout(listed, [[_TEXT]], "record.columns")
    if any(len(pair) != 2 for pair in listed):
        raise ValueError("record.columns holds more than names and units")
    names = [name for name, _ in listed]
    if missing := [name for name in columns if name not in names]:
        raise ValueError(f"record.columns lacks {missing[0]!r}")
    if len(set(names)) < len(names):
        raise ValueError("record.columns names a column twice")


def _check_layout(value: Any, layout: Any, place: str) -> None:
    if isinstance(layout, dict):
        if not isinstance(value, dict):
            raise ValueError(f"{place} is not a table")
        some = {key: inner for key, inner in layout.items() if key != "*"}
        some |= dict.fromkeys(value if "*" in layout else (), layout.get("*"))
        for key, inner in some.items():
            name = key.rstrip("?")
            if name in value:
                _check_layout(value[name], inner, f"{place}.{name}")
            elif name == key:
                raise ValueError(f"{place} lacks {name!r}")
    elif isinstance(layout, list):
        if not isinstance(value, list):
            raise ValueError(f"{place} is not a list")
        if len(value) != _LENGTHS.get(place.rpartition(".")[2], len(value)):
            raise ValueError(f"{place} has {len(value)} entries")
        for item in value:
            _check_layout(item, layout[0], place)
    elif isinstance(layout[0], str):
        if value not in layout:
            raise ValueError(f"{place} is none of {', '.join(layout)}")
    elif not isinstance(value, layout) or (isinstance(value, bool) and bool not in layout):
        raise ValueError(f"{place} is not {'text' if layout == _TEXT else 'a number'}")
    elif isinstance(value, int) and value.bit_length() > 63:
        raise ValueError(f"{place} is an enormous integer")


# --- opening a file that may be damaged, of another program, or still being written ---

_ATTEMPTS = 4  # a run that writes at this very moment is between two valid states for about 1 ms
_PAUSE_S = 0.02
_NOT_OURS = "is not a kmc trajectory"
_LOCKING = "file locking"  # in what HDF5 says of a file opened twice in one process, in two ways
# What h5py and numpy raise over content they cannot make sense of.
H5PY_ERRORS = (
    OSError,
    RuntimeError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    MemoryError,
)


def read(path: Path, reader: Callable[[h5py.File], Any]) -> Any:
    """Result of ``reader(file)``; any error is an `InputError` or `FileFormatError` on the file."""
    check_readable(path)
    for attempt in range(_ATTEMPTS):
        try:
            with open_to_read(path) as file:
                return reader(file)
        except FileFormatError as known:
            problem: FileFormatError = known
        except H5PY_ERRORS as damage:
            reason = reason_of(damage)
            if isinstance(damage, OSError) and _LOCKING in reason:
                raise FileFormatError(
                    f"{path} is open elsewhere in this process, with file locking that does not "
                    f"match: {reason}",
                    advice="Close that h5py.File first, or open it after kmc.load.",
                ) from None
            verdict = _NOT_OURS if "doesn't exist" in reason else "is damaged"
            problem = FileFormatError(f"{path} {verdict}: {reason}")
        if attempt + 1 < _ATTEMPTS:
            time.sleep(_PAUSE_S)
    raise problem from None


def open_to_read(path: Path) -> h5py.File:
    """Open a trajectory without a lock, as a run may be writing to it.

    A file that is open elsewhere in this process must be opened with the locking it has there.
    """
    problem: OSError | None = None
    for locking in (False, None, True):
        try:
            return h5py.File(path, "r", locking=locking)
        except OSError as refused:
            if _LOCKING not in str(refused):
                raise
            problem = problem or refused
    assert problem is not None
    raise problem


def check_readable(path: Path) -> None:
    """Check what needs no HDF5: missing, a folder, unreadable, empty, not HDF5, truncated."""
    try:
        mode = path.stat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):  # reading from a pipe would block
            raise InputError(f"{path} is not a regular file", advice="Give a trajectory file.")
        with path.open("rb") as file:
            head = file.read(64)
            size = file.seek(0, 2)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file", advice="`kmc run` writes trajectories.") from None
    except IsADirectoryError:
        raise InputError(f"{path} is a folder", advice="Give a trajectory file.") from None
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or problem
        raise InputError(f"{path} cannot be read: {reason}") from None
    if not size:
        raise FileFormatError(f"{path} is empty")
    if not head.startswith(SIGNATURE):
        raise FileFormatError(f"{path} {_NOT_OURS}: it is not an HDF5 file")
    end = stored_end(head)
    if end is not None and size < end:
        raise FileFormatError(f"{path} is cut short: {size} bytes are left of {end}")


def reason_of(problem: Exception) -> str:
    """Reason in a message of h5py, which has it in parentheses behind the operation."""
    text = " ".join(str(problem.args[0] if problem.args else "").split())
    reason = re.fullmatch(r"[^(]*\((.+)\)\.?", text)
    return (reason[1] if reason else text) or type(problem).__name__


def schema_version(file: h5py.File) -> int:
    """Schema of an open file; a newer one than this kmc reads is a `FileFormatError`."""
    path = file.filename
    version = root_number(file, "schema_version")
    if version is None:
        raise FileFormatError(f"{path} {_NOT_OURS}: it is an HDF5 file without a schema_version")
    if version > SCHEMA_VERSION:
        raise FileFormatError(
            f"{path} has schema {version}, but this kmc reads up to schema {SCHEMA_VERSION}: "
            "update kmc"
        )
    return version


def read_record(file: h5py.File) -> tuple[int, dict[str, Any], h5py.AttributeManager]:
    """Schema version, checked JSON of ``/record``, and the attributes of that dataset."""
    version = schema_version(file)
    found = dataset(file, RECORD.path)
    record = json.loads(found[:].tobytes())
    check_record(record, required_columns(version))
    return version, record, found.attrs


def root_number(file: h5py.File, name: str) -> int | None:
    """An integer or boolean attribute of the root; None if there is no such number."""
    if name not in file.attrs or file.attrs.get_id(name).dtype.kind not in "iub":
        return None
    return int(file.attrs[name])
