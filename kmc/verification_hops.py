"""What a trajectory says of hops from layer to layer, held against what is in L1."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from kmc.lattice import Lattice
from kmc.trajectory_schema import HOP_CLASSES, HOP_WAYS, HOPS_BY_WAY

Wrong = tuple[str, int, object, str]  # column, row, value, expected


def wrong_ways(rows: np.ndarray, lattice: Lattice) -> Iterator[Wrong]:
    """The first row of each count that does not follow from the others.

    Parameters
    ----------
    rows : structured ndarray
        `/samples`; nothing is checked where a file has no hops by way.
    lattice : Lattice
    """
    if not len(rows) or any(name not in rows.dtype.names for name in HOPS_BY_WAY):
        return
    yield from _parts(rows, lattice)
    if lattice.boundary == "interface":
        yield from _first_layer(rows, lattice.sites_per_layer)


def _parts(rows: np.ndarray, lattice: Lattice) -> Iterator[Wrong]:
    """Hops that change the layer are part of all; they are all where no neighbours share one."""
    in_plane = bool((lattice.unit_cell.moves[0][..., 0] == 0).any())
    for name in HOP_CLASSES.values():
        part = sum(rows[f"{name}_{way}"] for way in HOP_WAYS)
        wrong = part > rows[name] if in_plane else part != rows[name]
        for row in np.flatnonzero(wrong)[:1]:
            expected = f"{rows[name][row]}, as {name}"
            if in_plane:
                expected = f"at most {expected}"
            yield f"{name}_{HOP_WAYS[0]} + …", int(row), part[row], expected


def _first_layer(rows: np.ndarray, n_sites: int) -> Iterator[Wrong]:
    """Atoms of L1 are those at the start, less those gone up or stripped, with those come down.

    Creep moves columns without hops: rows after the first closure say nothing here.
    """
    rows = rows[rows["closures"] == 0]
    contact, by_li = (
        np.rint(rows[name] * n_sites).astype(np.int64)
        for name in ("contact_fraction", "contact_fraction_Li")
    )
    left = {
        kind: rows[f"{name}_L1_up"] - rows[f"{name}_L1_down"] for kind, name in HOP_CLASSES.items()
    }
    mg = contact - by_li
    for row in np.flatnonzero(mg != mg[0] - left["Mg"])[:1]:
        expected = f"{mg[0] - left['Mg'][row]}, by the hops of Mg"
        yield "contact_fraction_Li", int(row), f"that of {mg[row]} Mg in L1", expected
    stripped = by_li[0] - left["Li"] - left["Li_near_Mg"] - by_li
    wrong = (stripped < 0) | (stripped > rows["strips"])
    if not (contact != by_li).any() and not rows["hops_Mg"].any():
        wrong = stripped != rows["strips"]  # without Mg only L1 is stripped
    for row in np.flatnonzero(wrong)[:1]:
        expected = f"{rows['strips'][row]} as strips (L2 is stripped too beside Mg)"
        yield (
            "hops_Li_L1_up",
            int(row),
            f"such that {stripped[row]} Li of L1 are stripped",
            expected,
        )
