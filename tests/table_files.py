"""Files of tables with other numbers in them, and runs that are asked to stop."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

import kmc
from kmc.files import table_file


def rewrite(
    source: Path, target: Path, edit: Callable[[dict[str, np.ndarray]], None], **record
) -> None:
    """Write the file again with edited arrays or record and with the checksums that belong."""
    found = kmc.load(source)
    arrays = {path: found.read(path).copy() for path in [*found.arrays, *found.datasets]}
    if found.kind == "electrode" and "frames/occupancy" not in arrays:  # of an earlier version
        arrays["frames/occupancy"] = np.stack([frame.occupancy for frame in found.frames])
    edit(arrays)
    head = {
        "format": found.system.layout.format,
        "system": found.kind,
        "kmc_version": found.kmc_version,
        "finished": found.finished,
        "stop_reason": found.stop_reason,
        "seed": found.seed,
        "run_file": found.run_file,
        "resolved": found.resolved,
        "settings": table_file.settings_of(found.resolved),
    }
    if found.kind == "electrode":
        head |= {"lattice": found.box, "provenance": found.provenance}
    target.write_bytes(table_file.content(head | record, arrays, found.system.layout))


@contextlib.contextmanager
def edited(path: Path, **record) -> Iterator[dict[str, np.ndarray]]:
    """The arrays of a file, which is written again with what is done to them, as a forger would."""
    arrays: dict[str, np.ndarray] = {}
    rewrite(path, path, arrays.update)
    yield arrays

    def put(found: dict[str, np.ndarray]) -> None:
        found.clear()
        found.update(arrays)

    rewrite(path, path, put, **record)


class Asked:
    """Takes the place of `Interruption`: asks to stop at the n-th look, as Ctrl-C does."""

    def __init__(self, looks: int):
        self.left = looks

    def __enter__(self) -> Asked:
        return self

    def __exit__(self, *problem: object) -> None:
        pass

    @property
    def requested(self) -> bool:
        self.left -= 1
        return self.left < 0
