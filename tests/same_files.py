"""Files of runs compared dataset by dataset."""

from __future__ import annotations

from pathlib import Path

import h5py


def contents(path: Path) -> dict[str, tuple]:
    """Type, shape and bytes of every dataset of a file."""
    found = {}

    def visit(name, item):
        if isinstance(item, h5py.Dataset):
            found[name] = (item.dtype.str, item.shape, item[()].tobytes())

    with h5py.File(path) as file:
        file.visititems(visit)
    return found


def assert_same(path: Path, other: Path) -> None:
    one, two = contents(path), contents(other)
    assert one.keys() == two.keys()
    assert [name for name in one if one[name] != two[name]] == []
