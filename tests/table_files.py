"""Files of tables with other numbers in them, and runs that are asked to stop."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

import kmc
from kmc.files import table_file


def rewrite(
    source: Path, target: Path, edit: Callable[[dict[str, np.ndarray]], None], **record
) -> None:
    """Write the file again with edited arrays or record and with the checksums that belong."""
    found = kmc.load(source)
    arrays = {path: values.copy() for path, values in found.arrays.items()}
    edit(arrays)
    head = {
        "format": table_file.FORMAT,
        "system": found.kind,
        "kmc_version": found.kmc_version,
        "finished": found.finished,
        "stop_reason": found.stop_reason,
        "seed": found.seed,
        "run_file": found.run_file,
        "resolved": found.resolved,
    }
    target.write_bytes(table_file.content(head | record, arrays, found.system.layout))


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
