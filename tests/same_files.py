"""Files of runs compared dataset by dataset."""

from __future__ import annotations

import json
from pathlib import Path

import h5py


def contents(path: Path) -> dict[str, tuple]:
    """Type, shape and bytes of every dataset of a file."""
    found = {}

    def visit(name, item):
        if isinstance(item, h5py.Dataset) and name != "record":
            found[name] = (item.dtype.str, item.shape, item[()].tobytes())

    with h5py.File(path) as file:
        file.visititems(visit)
        record = json.loads(file["record"][()].tobytes())
    # That a run was continued, and when, is the one thing by which it differs.
    record.pop("provenance", None)
    return found | {"record": ("", (), json.dumps(record).encode())}


def assert_same(path: Path, other: Path) -> None:
    one, two = contents(path), contents(other)
    assert one.keys() == two.keys()
    assert [name for name in one if one[name] != two[name]] == []
