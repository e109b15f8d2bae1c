"""Dead metal: atoms that the current collector does not reach."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from kmc.errors import FileFormatError
from kmc.model.connectivity import Collector, conductive_columns, conductive_flags
from kmc.model.lattice import Lattice


def flood(lattice, occupancy):
    """Dead sites by the components of the graph of all neighbours, with one for the metal above."""
    sites = np.arange(lattice.n_sites)
    taller = Lattice(lattice.unit_cell.name, lattice.cells, lattice.layers + 6, "interface", 3.506)
    near = np.concatenate([taller.neighbours(sites, shell) for shell in (1, 2)], axis=1)
    above = lattice.n_sites
    rows = np.repeat(sites, near.shape[1])
    columns = np.minimum(near.ravel(), above)
    metal = np.append(occupancy != 0, True)
    kept = (columns >= 0) & metal[rows] & metal[columns]
    shape = (above + 1, above + 1)
    graph = coo_array((np.ones(kept.sum()), (rows[kept], columns[kept])), shape=shape)
    labels = connected_components(graph, directed=False)[1]
    return np.flatnonzero(metal[:-1] & (labels[:-1] != labels[above]))


@pytest.mark.parametrize("share", [0.5, 0.75, 0.85])
@pytest.mark.parametrize("name", ["bcc_100", "bcc_110", "bcc_111"])
def test_dead_metal_is_that_of_a_flood_fill(name, share):
    lattice = Lattice(name, (6, 5), 14, "interface", 3.506)
    rng = np.random.default_rng(3)
    for _ in range(10):
        occupancy = (rng.random(lattice.n_sites) > share).astype(np.uint8)
        found = Collector(lattice).dead(occupancy)
        assert np.array_equal(found, flood(lattice, occupancy))
    assert share < 0.7 or found.size


def test_an_island_is_dead_until_a_neighbour_joins_it():
    lattice = Lattice("bcc_100", (6, 6), 12, "interface", 3.506)
    collector, n = Collector(lattice), lattice.sites_per_layer
    occupancy = np.ones(lattice.n_sites, dtype=np.uint8)
    assert collector.dead(occupancy).size == 0
    occupancy[: 4 * n] = 0
    occupancy[[7, 8]] = 1, 2  # on the electrolyte, under four vacant layers
    assert collector.dead(occupancy).tolist() == [7, 8]
    assert collector.dead_li(occupancy) == 1
    occupancy[7 + 2 * n] = 1  # second neighbours above each other bridge the gap
    assert collector.dead(occupancy).size == 0


@pytest.mark.parametrize(
    "run",
    [0.5, {"interface": 1}, {"interface": {"chemistry": 0.5}}, {"interface": {"chemistry": [1]}}],
)
def test_settings_of_a_damaged_file_are_refused(run):
    with pytest.raises(FileFormatError, match="no list of tables"):
        conductive_flags(run)


def test_flags_by_column():
    run = {"interface": {"chemistry": [{"params": "x", "conductive": True}, {"params": "y"}]}}
    flags = conductive_flags(run)
    assert flags == [True, False]
    assert conductive_flags({}) == []
    chemistry = np.array([0, 1, 2, 1], dtype=np.uint8)
    assert conductive_columns(flags, chemistry).tolist() == [False, True, False, True]
    with pytest.raises(FileFormatError, match="chemistry 2"):
        conductive_columns([True], chemistry)
