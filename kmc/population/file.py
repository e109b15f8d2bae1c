"""The file of a population: HDF5, every dataset with unit, meaning and checksum.

    /samples/NAME          one row of numbers each time; the mean over the replicas
    /replicas/I/NAME       the same of each replica, where there are several
    /frames/NAME           when the gap was recorded, and h_um, the gap itself, in single precision
    /points/NAME           one row a frame and void that is smaller than two cells
    /events/NAME           one row a split, collapse, coalescence or new void

The root says what the file is, which kmc wrote it, from which run, and whether it is finished. The
file is replaced whole each time, so that it is complete at every moment; equal runs give equal
bytes. Files of schema 1, of the population of discs, have /voids and /discs in place of the gap;
they are read, not written.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from kmc._version import __version__
from kmc.errors import FileFormatError
from kmc.trajectory import integrity as guard
from kmc.trajectory import table_file, table_run
from kmc.trajectory.checkpoint import pack
from kmc.trajectory.table_file import Tables, mean_of

FORMAT = "kmc population"
SCHEMA_VERSION = 2  # of files that an earlier kmc wrote, with a schema of their own

SAMPLES: dict[str, tuple[str, str]] = {
    "time_s": ("s", "Time since the current was switched on"),
    "capacity_mAh_cm2": ("mAh/cm2", "Charge stripped less charge plated, per area"),
    "phase": ("1", "0 with current, 1 rest"),
    "step": ("1", "Number of the step of the protocol, from 1; 0 without one"),
    "cycle": ("1", "Pass of a block of the protocol, from 1; 0 without one"),
    "current_density_mA_cm2": ("mA/cm2", "Current density, below 0 while plating"),
    "contact_fraction": ("1", "Share of the interface in contact"),
    "voids_per_um2": ("1/µm2", "Voids per area, those smaller than two cells too"),
    "voids_per_100um": ("1/100 µm", "Voids on 100 µm of cross-section line"),
    "mean_width_um": ("µm", "Their mean width; NaN without any"),
    "max_width_um": ("µm", "The largest width of one that spans two cells"),
    "mean_height_um": ("µm", "Mean of their largest heights"),
    "max_height_um": ("µm", "The largest height"),
    "supersaturation": ("1", "Vacancy activity at the contact, mean over it"),
    "max_supersaturation": ("1", "The same, largest on the grid"),
    "overpotential_V": ("V", "Sum of the four terms below"),
    "concentration_V": ("V", "(kT/e) ln S"),
    "charge_transfer_V": ("V", "(2kT/e) asinh[j/(2 j0 θ √S)]"),
    "constriction_V": ("V", "j R_c, constriction in the electrolyte"),
    "series_V": ("V", "j R_series"),
    "stress_MPa": ("MPa", "Pressure over the share of the contact that carries it"),
    "stripped_um": ("µm", "Height of the metal stripped so far"),
    "initial_um": ("µm", "Volume of the flaws at the start, as a height"),
    "voids_um": ("µm", "Volume of the voids, as a height"),
    "settled_um": ("µm", "Height by which metal in contact has come down, mean over the square"),
    "sink_um": ("µm", "Vacancies gone to the sink behind the metal, as a height"),
    "storage_um": ("µm", "Vacancies beyond equilibrium in the metal, as a height"),
    "annihilated_fraction": ("1", "Share of the vacancies since the last row that ended at sinks"),
    "roof_velocity_um_s": ("µm/s", "Velocity of the metal over the voids towards the electrolyte"),
    "plated_um": ("µm", "Height of the metal plated so far"),
    "filled_um": ("µm", "Of it in voids"),
    "pushed_back_um": ("µm", "Of it where no void was left: it pushes the metal back"),
    "dead_um": ("µm", "Volume of voids that plating cut off, as a height"),
    "nucleated_per_um2": ("1/µm2", "Voids nucleated so far"),
    "dissolved_per_um2": ("1/µm2", "Voids smaller than two cells that dissolved so far"),
    "splits": ("1", "Parts that came off a void so far"),
    "collapses": ("1", "Voids that closed so far"),
    "coalescences": ("1", "Voids that became part of another so far"),
    "regained_fraction": ("1", "Area that came back into contact so far, over the square"),
}
FRAMES: dict[str, tuple[str, str, str]] = {
    "time_s": ("<f8", "s", "Time of the frame"),
    "capacity_mAh_cm2": ("<f8", "mAh/cm2", "Charge passed per area"),
    "sample": ("<i8", "1", "Row of /samples (of the replica) at the same time"),
    "replica": ("<i8", "1", "Replica, from 0"),
    "h_um": ("<f4", "µm", "Gap between metal and electrolyte by row (y) and column (x)"),
}
POINTS: dict[str, tuple[str, str, str]] = {
    "frame": ("<i8", "1", "Row of /frames"),
    "x_um": ("<f8", "µm", "Centre"),
    "y_um": ("<f8", "µm", "Centre"),
    "radius_um": ("<f8", "µm", "Radius of the footprint"),
    "volume_um3": ("<f8", "µm3", "Volume"),
}
EVENTS: dict[str, tuple[str, str, str]] = {
    "replica": ("<i8", "1", "Replica, from 0"),
    "time_s": ("<f8", "s", "Time at which it was seen"),
    "capacity_mAh_cm2": ("<f8", "mAh/cm2", "Charge passed per area"),
    "kind": ("<i8", "1", "0 appears, 1 splits, 2 coalesces, 3 collapses"),
    "void": ("<i8", "1", "The new void, or the one that ended"),
    "other": ("<i8", "1", "The void it came off, or became part of; 0 without"),
    "area_um2": ("<f8", "µm2", "Its area as it began, or before it ended"),
    "volume_um3": ("<f8", "µm3", "Its volume then"),
    "height_um": ("<f8", "µm", "Its largest height then"),
}
# What the lists of a file hold by its schema.
LISTS: dict[int, tuple[str, ...]] = {1: ("voids", "discs"), 2: ("points", "events")}
TABLES = {"frames": FRAMES, "points": POINTS, "events": EVENTS}


LAYOUT = Tables(
    samples=SAMPLES,
    frames={name: facts for name, (_, *facts) in FRAMES.items()},  # type: ignore[misc]
    lists={
        group: {name: facts for name, (_, *facts) in TABLES[group].items()}  # type: ignore[misc]
        for group in ("points", "events")
    },
)


def write(
    path: Path,
    *,
    head: Mapping[str, Any],
    finished: bool,
    stop_reason: str,
    replicas: Sequence[Mapping[str, np.ndarray]],
    tables: Mapping[str, Mapping[str, np.ndarray]],
    checkpoint: Mapping[str, Any] | None = None,
) -> None:
    """Write a file whole, in the place of the one that may be there.

    Parameters
    ----------
    head : mapping
        ``run_file`` (text), ``resolved`` (JSON-able), ``seed``.
    replicas : sequence of mapping
        Columns of `SAMPLES` of each replica.
    tables : mapping
        Columns of `TABLES`.
    checkpoint : mapping, optional
        Arrays and one text, from which an unfinished run goes on.
    """
    arrays = {f"samples/{name}": values for name, values in mean_of(replicas).items()}
    if len(replicas) > 1:
        for i, columns in enumerate(replicas):
            arrays |= {f"replicas/{i}/{name}": values for name, values in columns.items()}
    for group, table in TABLES.items():
        for name, (dtype, *_) in table.items():
            arrays[f"{group}/{name}"] = np.asarray(tables[group][name], dtype=dtype)
    if checkpoint is not None:
        arrays[table_file.CHECKPOINT] = np.frombuffer(pack(dict(checkpoint)), np.uint8)
    record = {
        **{"format": FORMAT, "system": "population", "kmc_version": __version__},
        **{"finished": bool(finished), "stop_reason": stop_reason, **head},
    }
    table_file.put(path, record, arrays, LAYOUT)


# --- reading --------------------------------------------------------------------------------------


def is_population(file: h5py.File) -> bool:
    """Whether an open file is one of a population."""
    return "population_schema" in file.attrs


def contents(file: h5py.File) -> dict[str, Any]:
    """Everything in a file, its checksums compared.

    Raises
    ------
    FileFormatError
        It is not one of a population, of a newer schema, or damaged.
    """
    if is_population(file):
        return _earlier_contents(file)
    record, arrays = table_run.contents(file)
    if record["system"] != "population":
        raise FileFormatError(f"{file.filename} is not the file of a population")

    def columns(group: str) -> dict[str, np.ndarray]:
        start = f"{group}/"
        return {p.removeprefix(start): v for p, v in arrays.items() if p.startswith(start)}

    replicas = sorted({int(path.split("/")[1]) for path in arrays if path.startswith("replicas/")})
    samples = columns("samples")
    return {
        **record,
        "arrays": arrays,
        "samples": samples,
        "replicas": [columns(f"replicas/{i}") for i in replicas] or [samples],
        "frames": columns("frames"),
        "lists": {name: columns(name) for name in ("points", "events")},
        "checkpoint": arrays.get(table_file.CHECKPOINT),
    }


def _earlier_contents(file: h5py.File) -> dict[str, Any]:
    """Contents of a file with a schema of its own, 1 or 2, whose runs cannot be continued."""
    version = int(file.attrs["population_schema"])
    if version > SCHEMA_VERSION:
        raise FileFormatError(
            f"{file.filename} has population schema {version}, but this kmc reads up to "
            f"{SCHEMA_VERSION}: update kmc"
        )
    out: dict[str, Any] = {
        "schema_version": version,
        "kmc_version": str(file.attrs["kmc_version"]),
        "finished": bool(file.attrs["finished"]),
        "stop_reason": str(file.attrs["stop_reason"]),
        "seed": int(file.attrs["seed"]),
        "run_file": read_text(file, "run_file"),
        "resolved": json.loads(read_text(file, "resolved")),
        "samples": _columns(file, "samples", SAMPLES if version > 1 else ("time_s",)),
        "lists": {name: _columns(file, name, TABLES.get(name, ())) for name in LISTS[version]},
        "frames": _columns(file, "frames", FRAMES if version > 1 else ("time_s",)),
    }
    replicas = file.get("replicas")
    if replicas is None:
        out["replicas"] = [out["samples"]]
    else:
        names = [f"replicas/{i}" for i in range(len(replicas))]
        out["replicas"] = [_columns(file, name, out["samples"]) for name in names]
    if "samples/current_density_mA_cm2" not in file:  # of schema 1: a strip, and a rest perhaps
        current = out["resolved"]["run"]["conditions"]["current_density_mA_cm2"]
        for columns in [out["samples"], *out["replicas"]]:
            none = np.zeros(len(columns["time_s"]))
            columns["current_density_mA_cm2"] = current * (columns["phase"] == 0)
            columns.update({name: none for name in ("step", "cycle", "plated_um")})
    return out


def _columns(file: h5py.File, group: str, needed: Iterable[str]) -> dict[str, np.ndarray]:
    """All columns of a group, among them those that are needed."""
    present = file.get(group, ())
    columns = {name: read_array(file, f"{group}/{name}") for name in [*needed, *present]}
    if len({len(values) for values in columns.values()}) > 1:
        raise FileFormatError(f"{file.filename} is damaged: columns of /{group} differ in length")
    return columns


def read_array(file: h5py.File, path: str) -> np.ndarray:
    name = file.filename
    if path not in file:
        raise FileFormatError(f"{name} is damaged: {path} is missing")
    dataset = guard.dataset(file, path, kinds=table_run.KINDS, dimensions=None)
    values = dataset[...]
    if int(dataset.attrs["crc32"]) != table_file.checksum(values):
        raise FileFormatError(f"{name} is damaged: {path} fails its checksum")
    return values


def read_text(file: h5py.File, path: str) -> str:
    """A text under a checksum."""
    return read_array(file, path).tobytes().decode("utf-8")
