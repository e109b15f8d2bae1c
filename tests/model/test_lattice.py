"""kmc.model.lattice against sites and neighbours worked out by the oracle."""

import naive
import numpy as np
import pytest

from kmc.errors import InputError
from kmc.model.lattice import BOUNDARIES, Lattice, load_unit_cell

A = 3.506
NAMES = tuple(naive.ORIENTATIONS)
PERIOD = {"bcc_100": 2, "bcc_110": 2, "bcc_111": 6}
SIZES = (((4, 4), 8), ((5, 7), 9), ((7, 4), 13), ((6, 5), 12))


def boxes():
    for name in NAMES:
        for cells, layers in SIZES:
            for boundary in BOUNDARIES:
                if boundary == "periodic" and layers % PERIOD[name]:
                    continue
                yield name, cells, layers, boundary


ids = "{0[0]}-{0[1][0]}x{0[1][1]}x{0[2]}-{0[3]}".format


@pytest.fixture(params=list(boxes()), ids=ids)
def pair(request):
    """The same box from kmc and from the oracle."""
    name, cells, layers, boundary = request.param
    return (
        Lattice(name, cells, layers, boundary, A),
        naive.lattice(name, cells, layers, boundary, A),
    )


def test_sites_and_layers(pair):
    """Positions in the documented numbering; L1 at z = 0, numbering layer by layer."""
    ours, oracle = pair
    assert (ours.n_sites, ours.sites_per_layer) == (oracle.n_sites, oracle.sites_per_layer)
    np.testing.assert_allclose(ours.positions_A, oracle.positions * A, atol=1e-9)
    np.testing.assert_allclose(ours.box_A, oracle.box * A)
    np.testing.assert_array_equal(ours.layer, oracle.layer)
    np.testing.assert_array_equal(ours.layer, 1 + np.arange(ours.n_sites) // ours.sites_per_layer)
    assert ours.layer.dtype == np.int32
    assert ours.layers == oracle.layers
    assert ours.layer_spacing_A == pytest.approx(oracle.spacing * A)
    assert ours.site_area_A2 == pytest.approx(oracle.site_area_cm2 * 1e16)
    # One atom fills its share of the crystal: a³/2.
    assert ours.site_area_A2 * ours.layer_spacing_A == pytest.approx(A**3 / 2)


@pytest.mark.parametrize("shell", [1, 2])
def test_neighbours(pair, shell):
    """The same neighbours as by distances between all pairs; −1 where the box ends."""
    ours, oracle = pair
    table = ours.neighbour_table(shell)
    assert table.shape == (ours.n_sites, (8, 6)[shell - 1])
    assert table.dtype == np.int32
    for site in range(ours.n_sites):
        found = sorted(int(j) for j in table[site] if j >= 0)
        assert found == oracle.in_box(site, shell), f"site {site}"
        np.testing.assert_array_equal(table[site], ours.neighbours(site, shell))
    sites = np.arange(6).reshape(2, 3)
    np.testing.assert_array_equal(ours.neighbours(sites, shell), table[sites])


@pytest.mark.parametrize("shell", [1, 2])
def test_tables_are_symmetric(pair, shell):
    """If j is a neighbour of i, i is one of j; direction by direction in opposite pairs."""
    ours, _ = pair
    table = ours.neighbour_table(shell)
    i, k = np.nonzero(table >= 0)
    j = table[i, k]
    assert len(set(zip(i.tolist(), j.tolist(), strict=True))) == len(i)
    assert set(zip(i.tolist(), j.tolist(), strict=True)) == set(
        zip(j.tolist(), i.tolist(), strict=True)
    )
    if ours.boundary == "periodic":
        assert (table >= 0).all()


@pytest.mark.parametrize("shell", [1, 2])
def test_missing_neighbours_lie_outside_the_box(pair, shell):
    """−1 only near L1 and the top, as many as the oracle finds in the open."""
    ours, oracle = pair
    table = ours.neighbour_table(shell)
    reach = {"bcc_100": 2, "bcc_110": 2, "bcc_111": 3}[oracle.name]
    inner = (ours.layer > reach) & (ours.layer <= ours.layers - reach)
    assert (table[inner] >= 0).all()
    if ours.boundary == "interface":
        assert (table[ours.layer == 1] < 0).any(axis=1).all()
        assert (table[ours.layer == ours.layers] < 0).any(axis=1).all()


def test_distance(pair):
    """Shortest distance over the in-plane images, and along z only when periodic."""
    ours, oracle = pair
    rng = np.random.default_rng(5)
    i, j = rng.integers(ours.n_sites, size=(2, 40))
    expected = np.linalg.norm(oracle.displacement(oracle.positions[i], oracle.positions[j]), axis=1)
    np.testing.assert_allclose(ours.distance_A(i, j), expected * A, atol=1e-9)
    assert ours.distance_A(3, 3) == 0.0
    first = ours.neighbours(0, 1)
    np.testing.assert_allclose(ours.distance_A(0, first[first >= 0]), np.sqrt(3) / 2 * A)


@pytest.mark.parametrize("name", NAMES)
def test_direction_order_does_not_depend_on_the_site(name):
    """Direction k is the same step for every site of one kind of layer, inside the box."""
    box = Lattice(name, (6, 6), 12, "periodic", A)
    cell = load_unit_cell(name)
    table = box.neighbour_table(1)
    per_cell = cell.sites_per_layer_cell
    kind = (box.layer - 1) % cell.n_layer_types * per_cell + np.arange(box.n_sites) % per_cell
    step = box.positions_A[table] - box.positions_A[:, None, :]
    step -= box.box_A * np.round(step / box.box_A)
    for k in range(cell.n_variants):
        same = step[kind == k]
        np.testing.assert_allclose(same, np.broadcast_to(same[0], same.shape), atol=1e-9)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"cells": (3, 8)}, ["3 cells", "at least 4"]),
        ({"cells": (8, 0)}, ["0 cells", "at least 4"]),
        ({"layers": 7}, ["7 layers", "at least 8"]),
        ({"boundary": "open"}, ["'open'", "interface", "periodic"]),
        ({"name": "bcc_101"}, ["bcc_101", "bcc_100", "bcc_110", "bcc_111"]),
        ({"boundary": "periodic", "layers": 9}, ["9 layers", "8 or 10"]),
        (
            {"name": "bcc_111", "boundary": "periodic", "layers": 14},
            ["14 layers", "every 6", "12 or 18"],
        ),
    ],
)
def test_impossible_boxes_are_refused(change, words):
    """The message names the value and what is allowed."""
    arguments = {
        "name": "bcc_100",
        "cells": (4, 4),
        "layers": 8,
        "boundary": "interface",
        "lattice_parameter_A": A,
    }
    with pytest.raises(InputError) as caught:
        Lattice(**{**arguments, **change})
    for word in words:
        assert word in str(caught.value)


def _lattice_file(folder, text):
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


GOOD = """
name = "mine"
cell = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
basis = [[0.0, 0.0, 0.0], [0.5, 0.5, 0.5]]
shells = 2
"""


def test_a_lattice_file_of_the_user(tmp_path):
    box = Lattice(_lattice_file(tmp_path, GOOD), (4, 5), 8, "periodic", A)
    shipped = Lattice("bcc_100", (4, 5), 8, "periodic", A)
    np.testing.assert_array_equal(box.neighbour_table(1), shipped.neighbour_table(1))


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ("shells = 2", "", "shells"),
        ("[0, 0, 1]]", "[0, 1, 1]]", "orthogonal"),
        (", [0.5, 0.5, 0.5]", "", "not a bcc lattice"),
        ("shells = 2", "shells = 3", "is not 2"),
        ("[[1, 0, 0]", "[[1e-9, 0, 0]", "edges of 1e-09"),
        ("[[1, 0, 0]", "[[1e300, 0, 0]", "orthogonal"),
        ("[[1, 0, 0]", "[[1.1, 0, 0]", "not a bcc lattice"),
        ("[0.5, 0.5, 0.5]", "[0.5, 0.5, 0.5], [0, 0, 0]", "not a bcc lattice"),
        ("[0.5, 0.5, 0.5]", "[0.5, 0.5, nan]", "sites far outside"),
        ("[0.5, 0.5, 0.5]", "[0.5, 0.5]", "lists of three numbers"),
        ("[0.5, 0.5, 0.5]", "0.5", "lists of three numbers"),
    ],
)
def test_bad_lattice_files_are_refused(tmp_path, old, new, word):
    path = _lattice_file(tmp_path, GOOD.replace(old, new))
    with pytest.raises(InputError, match=word) as caught:
        load_unit_cell(path)
    assert "mine.toml" in str(caught.value)


def test_no_sites_no_neighbours():
    """An empty list of sites has an empty table of neighbours."""
    box = Lattice("bcc_100", (4, 4), 8, "interface", A)
    assert box.neighbours(np.array([], dtype=int), 1).shape == (0, 8)
    assert box.neighbours(np.array([], dtype=int), 2).shape == (0, 6)
