"""The file of a population: HDF5, schema 1, every dataset with unit and meaning.

    /samples/NAME          one row of numbers each time; the mean over the replicas
    /replicas/I/NAME       the same of each replica, where there are several
    /frames/NAME           when the voids were listed
    /voids/NAME            one row a void and frame
    /discs/NAME            one row a lobe: the footprint of a void is the union of its discs

The root says what the file is, which kmc wrote it, from which run, and whether it is finished. The
file is replaced whole each time, so that it is complete at every moment; equal runs give equal
bytes.
"""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from kmc._version import __version__
from kmc.common.outputs import replacing
from kmc.errors import FileFormatError

FORMAT = "kmc population"
SCHEMA_VERSION = 1
_OPTIONS = {"libver": ("v110", "v110")}

SAMPLES: dict[str, tuple[str, str]] = {
    "time_s": ("s", "Time since the current was switched on"),
    "capacity_mAh_cm2": ("mAh/cm2", "Charge stripped less charge plated, per area"),
    "phase": ("1", "0 with current, 1 rest"),
    "step": ("1", "Number of the step of the protocol, from 1; 0 without one"),
    "cycle": ("1", "Pass of a block of the protocol, from 1; 0 without one"),
    "current_density_mA_cm2": ("mA/cm2", "Current density, below 0 while plating"),
    "contact_fraction": ("1", "Share of the interface that is not under a void"),
    "voids_per_um2": ("1/µm2", "Voids per area"),
    "voids_per_100um": ("1/100 µm", "Cuts of voids per 100 µm of cross-section line"),
    "mean_width_um": ("µm", "Mean length of those cuts; NaN without any"),
    "max_width_um": ("µm", "Largest of them"),
    "mean_height_um": ("µm", "Mean of the largest height of the void over each cut"),
    "max_height_um": ("µm", "Largest of them"),
    "mean_radius_um": ("µm", "Mean over the voids of the radius of the cap of their volume"),
    "supersaturation": ("1", "Vacancy activity at the contact, mean over it"),
    "max_supersaturation": ("1", "The same, largest on the grid"),
    "overpotential_V": ("V", "Sum of the four terms below"),
    "concentration_V": ("V", "(kT/e) ln S_c"),
    "charge_transfer_V": ("V", "(2kT/e) asinh[j/(2 j0 θ)]"),
    "constriction_V": ("V", "j R_c, constriction in the electrolyte"),
    "series_V": ("V", "j R_series"),
    "stress_MPa": ("MPa", "Stress in the metal that is left in contact"),
    "stripped_um": ("µm", "Height of the metal stripped so far"),
    "initial_um": ("µm", "Volume of the flaws at the start, as a height"),
    "voids_um": ("µm", "Volume of the voids, as a height"),
    "sink_um": ("µm", "Vacancies gone to the sink behind the metal, as a height"),
    "creep_um": ("µm", "Volume closed by creep, as a height"),
    "storage_um": ("µm", "Vacancies beyond equilibrium in the metal, as a height"),
    "plated_um": ("µm", "Height of the metal plated so far"),
    "filled_um": ("µm", "Of it in voids"),
    "pushed_back_um": ("µm", "Of it where no void was left: it pushes the metal back"),
    "dead_um": ("µm", "Volume of voids that plating cut off, as a height"),
    "rim_per_um": ("1/µm", "Outline of the voids per area"),
    "nucleated_per_um2": ("1/µm2", "Voids nucleated so far"),
    "met_per_um2": ("1/µm2", "Voids that became part of another so far"),
    "dissolved_per_um2": ("1/µm2", "Voids that dissolved so far"),
    "closed_per_um2": ("1/µm2", "Voids, or lobes of them, that plating closed so far"),
}
# Columns that files written before plating do not have.
LATER = (
    "step",
    "cycle",
    "current_density_mA_cm2",
    "plated_um",
    "filled_um",
    "pushed_back_um",
    "dead_um",
    "closed_per_um2",
)
FRAMES: dict[str, tuple[str, str, str]] = {
    "time_s": ("<f8", "s", "Time of the frame"),
    "capacity_mAh_cm2": ("<f8", "mAh/cm2", "Charge passed per area"),
    "sample": ("<i8", "1", "Row of /samples (of the replica) at the same time"),
    "replica": ("<i8", "1", "Replica, from 0"),
}
VOIDS: dict[str, tuple[str, str, str]] = {
    "frame": ("<i8", "1", "Row of /frames"),
    "number": ("<i8", "1", "Name of the void, which it keeps"),
    "x_um": ("<f8", "µm", "Centre of the void's volume"),
    "y_um": ("<f8", "µm", "Centre of the void's volume"),
    "volume_um3": ("<f8", "µm3", "Volume"),
    "footprint_um2": ("<f8", "µm2", "Area without contact"),
}
DISCS: dict[str, tuple[str, str, str]] = {
    "frame": ("<i8", "1", "Row of /frames"),
    "void": ("<i8", "1", "Number of the void it is part of"),
    "x_um": ("<f8", "µm", "Axis of the lobe"),
    "y_um": ("<f8", "µm", "Axis of the lobe"),
    "radius_um": ("<f8", "µm", "Radius of its footprint"),
    "volume_um3": ("<f8", "µm3", "Its volume"),
}


def checksum(values: np.ndarray) -> int:
    """CRC-32 of the values, stored beside every dataset."""
    return zlib.crc32(np.ascontiguousarray(values).tobytes())


def write(
    path: Path,
    *,
    head: Mapping[str, Any],
    finished: bool,
    stop_reason: str,
    replicas: Sequence[Mapping[str, np.ndarray]],
    frames: Mapping[str, np.ndarray],
    voids: Mapping[str, np.ndarray],
    discs: Mapping[str, np.ndarray],
    checkpoint: Mapping[str, Any] | None = None,
) -> None:
    """Write a file whole, in the place of the one that may be there.

    Parameters
    ----------
    head : mapping
        ``run_file`` (text), ``resolved`` (JSON-able), ``seed``.
    replicas : sequence of mapping
        Columns of `SAMPLES` of each replica.
    frames, voids, discs : mapping
        Columns.
    checkpoint : mapping, optional
        Arrays and one text, from which an unfinished run goes on.
    """
    memory = io.BytesIO()  # HDF5 aborts the process where a disk is full
    with h5py.File(memory, "w", **_OPTIONS) as file:
        file.attrs["format"] = FORMAT
        file.attrs["population_schema"] = SCHEMA_VERSION
        file.attrs["kmc_version"] = __version__
        file.attrs["finished"] = bool(finished)
        file.attrs["stop_reason"] = stop_reason
        file.attrs["seed"] = int(head["seed"])
        write_text(file, "run_file", head["run_file"], "The run file as it was written")
        resolved = json.dumps(head["resolved"], ensure_ascii=False, sort_keys=True)
        write_text(file, "resolved", resolved, "Everything the run used, as JSON")
        for name, values in mean_of(replicas).items():
            write_array(file, f"samples/{name}", values, *SAMPLES[name])
        if len(replicas) > 1:
            for i, columns in enumerate(replicas):
                for name, values in columns.items():
                    write_array(file, f"replicas/{i}/{name}", values, *SAMPLES[name])
        for group, table, columns in (
            ("frames", FRAMES, frames),
            ("voids", VOIDS, voids),
            ("discs", DISCS, discs),
        ):
            for name, (dtype, unit, text) in table.items():
                write_array(file, f"{group}/{name}", columns[name].astype(dtype), unit, text)
        if checkpoint is not None:
            for name, value in checkpoint.items():
                if isinstance(value, str):
                    write_text(file, f"checkpoint/{name}", value, "State of the run")
                else:
                    write_array(file, f"checkpoint/{name}", value, "1", "State of the run")
    with replacing(Path(path)) as draft:
        draft.write_bytes(memory.getbuffer())


def mean_of(replicas: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Means over the replicas of the rows that all of them have."""
    if not replicas:
        return {name: np.zeros(0) for name in SAMPLES}
    if len(replicas) == 1:
        return dict(replicas[0])
    rows = min(len(columns["time_s"]) for columns in replicas)
    times = [columns["time_s"][:rows] for columns in replicas]
    same = np.all([t == times[0] for t in times], axis=0)
    rows = rows if same.all() else int(np.argmin(same))
    out = {}
    for name in replicas[0]:
        stacked = np.stack([columns[name][:rows] for columns in replicas])
        known = np.isfinite(stacked) | np.isinf(stacked)
        total = np.where(known, stacked, 0.0).sum(axis=0)
        with np.errstate(invalid="ignore"):
            out[name] = total / known.sum(axis=0)
    out["time_s"] = times[0][:rows]
    return out


def write_array(file: h5py.File, path: str, values, unit: str, text: str) -> None:
    values = np.asarray(values)
    options = {}
    if values.size > 64:
        options = {"compression": "gzip", "compression_opts": 4, "shuffle": True, "chunks": True}
    made = file.create_dataset(path, data=values, track_times=False, **options)
    made.attrs["unit"] = unit
    made.attrs["description"] = text
    made.attrs["crc32"] = checksum(values)


def write_text(file: h5py.File, path: str, text: str, meaning: str) -> None:
    """Text as bytes, under a checksum."""
    values = np.frombuffer(text.encode("utf-8"), dtype=np.uint8)
    made = file.create_dataset(path, data=values, track_times=False)
    made.attrs["description"] = meaning
    made.attrs["unit"] = "UTF-8"
    made.attrs["crc32"] = checksum(values)


# --- reading --------------------------------------------------------------------------------------


def is_population(file: h5py.File) -> bool:
    """Whether an open file is one of a population."""
    return "population_schema" in file.attrs


def contents(file: h5py.File, *, checkpoint: bool = False) -> dict[str, Any]:
    """Everything in a file, its checksums compared.

    Raises
    ------
    FileFormatError
        A newer schema, a dataset that is missing or does not have its checksum.
    """
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
        "samples": _samples(file, "samples"),
        "frames": _columns(file, "frames", FRAMES),
        "voids": _columns(file, "voids", VOIDS),
        "discs": _columns(file, "discs", DISCS),
    }
    replicas = file.get("replicas")
    if replicas is None:
        out["replicas"] = [out["samples"]]
    else:
        names = [f"replicas/{i}" for i in range(len(replicas))]
        out["replicas"] = [_samples(file, name) for name in names]
    if "samples/current_density_mA_cm2" not in file:  # of a strip, and a rest perhaps
        current = out["resolved"]["run"]["conditions"]["current_density_mA_cm2"]
        for columns in [out["samples"], *out["replicas"]]:
            columns["current_density_mA_cm2"] = current * (columns["phase"] == 0)
    if checkpoint:
        group = file.get("checkpoint")
        out["checkpoint"] = (
            None if group is None else {name: read_array(group, name) for name in group}
        )
    return out


def _samples(file: h5py.File, group: str) -> dict[str, np.ndarray]:
    """Columns of `SAMPLES`; those of `LATER` are zero where the file has none of them."""
    old = f"{group}/step" not in file
    columns = _columns(file, group, [name for name in SAMPLES if not (old and name in LATER)])
    return {name: columns.get(name, np.zeros(len(columns["time_s"]))) for name in SAMPLES}


def _columns(file: h5py.File, group: str, table: Iterable[str]) -> dict[str, np.ndarray]:
    columns = {name: read_array(file, f"{group}/{name}") for name in table}
    lengths = {len(values) for values in columns.values()}
    if len(lengths) > 1:
        raise FileFormatError(f"{file.filename} is damaged: columns of /{group} differ in length")
    return columns


def read_array(file: h5py.Group, path: str) -> np.ndarray:
    name = file.file.filename
    if path not in file:
        raise FileFormatError(f"{name} is damaged: {path} is missing")
    dataset = file[path]
    values = dataset[...]
    if int(dataset.attrs["crc32"]) != checksum(values):
        raise FileFormatError(f"{name} is damaged: {path} fails its checksum")
    return values


def read_text(file: h5py.Group, path: str) -> str:
    """A text written by `write`."""
    return read_array(file, path).tobytes().decode("utf-8")
