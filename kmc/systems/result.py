"""The run of a system, as its file tells it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from kmc.common.drawing import drawn
from kmc.errors import FileFormatError
from kmc.population.file import read_array, read_text
from kmc.population.result import Columns
from kmc.systems.record import FORMAT, SCHEMA_VERSION
from kmc.trajectory.integrity import read


class SystemRun:
    """A run of a system such as a deposition; made by `kmc.load`.

    Attributes
    ----------
    path : Path
    kind : str
        Its section in the run file: "deposition".
    samples, frames, constants : Columns
        `/samples`, one row a time; `/frames`, arrays whose first axis counts the frames; arrays
        written once.
    run, facts, params, resolved : dict
        Settings by section, what followed from them, and the parameters.
    finished : bool
    stop_reason, run_file, kmc_version : str
    seed, schema_version : int
    """

    def __init__(self, path: Path, file: h5py.File):
        self.path = path
        self.kind = str(file.attrs["system"])
        self.schema_version = int(file.attrs["system_schema"])
        if self.schema_version > SCHEMA_VERSION:
            raise FileFormatError(
                f"{path} has system schema {self.schema_version}, but this kmc reads up to "
                f"{SCHEMA_VERSION}: update kmc"
            )
        self.kmc_version = str(file.attrs["kmc_version"])
        self.finished = bool(file.attrs["finished"])
        self.stop_reason = str(file.attrs["stop_reason"])
        self.seed = int(file.attrs["seed"])
        self.run_file = read_text(file, "run_file")
        self.resolved: dict[str, Any] = json.loads(read_text(file, "resolved"))
        self.run: dict[str, Any] = self.resolved["run"]
        self.params: dict[str, Any] = self.resolved["parameters"]
        self.facts: dict[str, Any] = self.resolved["facts"]
        self.samples = _group(file, "samples")
        self.frames = _group(file, "frames")
        self.constants = _group(file, "constants") if "constants" in file else Columns()

    def to_json(self) -> dict[str, Any]:
        """The summary's numbers as plain data; NaN and infinity are null."""

        def plain(value: float) -> float | None:
            return float(value) if np.isfinite(value) else None

        s = self.samples
        return {
            "format": FORMAT,
            "system": self.kind,
            "name": self.resolved["name"],
            "finished": self.finished,
            "stop_reason": self.stop_reason,
            "seed": self.seed,
            "kmc_version": self.kmc_version,
            "run": self.run,
            "facts": self.facts,
            "final": {name: plain(v[-1]) for name, v in s.items() if len(v)},
            "samples": {name: [plain(x) for x in v] for name, v in s.items()},
        }

    def plot(self, what: str = "summary", **options: Any) -> Any:
        """A picture, see `kmc plot`; a matplotlib figure."""
        return drawn("system_picture", [self], what=what, **options)

    def __repr__(self) -> str:
        ended = self.stop_reason or "still being written"
        return (
            f"{self.path.name}, {self.kind}: {ended}, {len(self.samples['time_s'])} samples, "
            f"{len(self.frames['sample'])} frames\n"
            f"  see .samples, .frames, .constants, .facts, .plot(); kmc info {self.path.name}"
        )


def is_system(file: h5py.File) -> bool:
    """Whether an open file is one of a system."""
    return "system_schema" in file.attrs


def load(path: str | Path) -> SystemRun:
    """Open the file of a system.

    Raises
    ------
    InputError
        There is no such file.
    FileFormatError
        It is not one of a system, is damaged, or of a newer schema.
    """
    path = Path(path)
    return read(path, lambda file: _checked(path, file))


def _checked(path: Path, file: h5py.File) -> SystemRun:
    if not is_system(file):
        raise FileFormatError(f"{path} is not the file of a system")
    return SystemRun(path, file)


def _group(file: h5py.File, name: str) -> Columns:
    if name not in file:
        raise FileFormatError(f"{file.filename} is damaged: /{name} is missing")
    return Columns({key: read_array(file, f"{name}/{key}") for key in file[name]})
