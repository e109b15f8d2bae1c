"""What a run of a system records: rows, frames and constants, written whole to one HDF5 file."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from kmc._version import __version__
from kmc.common.outputs import replacing
from kmc.population.file import write_array, write_text
from kmc.runfile.run_file import RunFile

INTERRUPTED = "interrupted"  # as the reason of an end: the run is not finished

FORMAT = "kmc system"
SCHEMA_VERSION = 1
_OPTIONS = {"libver": ("v110", "v110")}
_SAVE_EVERY_S = 20.0


class Record:
    """Rows, frames and constants of a run.

    Parameters
    ----------
    path : Path
        The file; it is replaced whole each time, so that it is complete at every moment.
    run : RunFile
    tables : dict of str to mapping
        ``samples``, ``frames``, ``constants``: name → (unit, meaning).

    Attributes
    ----------
    facts : dict
        What followed from the input before the run: JSON-able, with units in the names.
    parameters : dict
        Parameters the run used, as ``ParameterSet.resolved()`` gives them; may be empty.
    """

    def __init__(self, path: Path, run: RunFile, tables: Mapping[str, Mapping]):
        self.path, self.run, self.tables = path, run, tables
        self.facts: dict[str, Any] = {}
        self.parameters: dict[str, Any] = {}
        self.constants: dict[str, np.ndarray] = {}
        self._samples: list[dict[str, float]] = []
        self._frames: list[dict[str, Any]] = []
        self._saved = time.monotonic()

    @property
    def rows(self) -> int:
        """Samples so far."""
        return len(self._samples)

    def sample(self, row: Mapping[str, float]) -> None:
        """Add a row; its names are those of ``tables["samples"]``."""
        self._samples.append({name: float(row[name]) for name in self.tables["samples"]})
        if time.monotonic() - self._saved > _SAVE_EVERY_S:
            self.write(False, "")

    def frame(self, arrays: Mapping[str, Any]) -> None:
        """Add a frame of the last sample; all frames have the same shapes."""
        given = {**arrays, "sample": len(self._samples) - 1}
        self._frames.append({name: np.array(given[name]) for name in self.tables["frames"]})

    def write(self, finished: bool, stop_reason: str) -> None:
        """Write the file, in the place of the one that may be there."""
        memory = io.BytesIO()  # HDF5 aborts the process where a disk is full
        with h5py.File(memory, "w", **_OPTIONS) as file:
            file.attrs["format"] = FORMAT
            file.attrs["system"] = self.run.kind
            file.attrs["system_schema"] = SCHEMA_VERSION
            file.attrs["kmc_version"] = __version__
            file.attrs["finished"] = bool(finished)
            file.attrs["stop_reason"] = stop_reason
            file.attrs["seed"] = int(self.run.random.seed)
            write_text(file, "run_file", self.run.text, "The run file as it was written")
            resolved = {
                "run": self.run.resolved(),
                "name": self.run.name,
                "parameters": self.parameters,
                "facts": self.facts,
            }
            text = json.dumps(resolved, ensure_ascii=False, sort_keys=True)
            write_text(file, "resolved", text, "Everything the run used, as JSON")
            for name, facts in self.tables["samples"].items():
                values = np.array([row[name] for row in self._samples], dtype=float)
                write_array(file, f"samples/{name}", values, *facts)
            for name, facts in self.tables["frames"].items():
                stacked = [frame[name] for frame in self._frames]
                write_array(file, f"frames/{name}", np.array(stacked), *facts)
            for name, facts in self.tables["constants"].items():
                if name in self.constants:
                    write_array(file, f"constants/{name}", self.constants[name], *facts)
        with replacing(self.path) as draft:
            draft.write_bytes(memory.getbuffer())
        self._saved = time.monotonic()
