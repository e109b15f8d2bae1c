"""Growth at a full interface: columns, counts of every species, the state against a fresh one."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from marks import slow
from observed import logged

from kmc.kernels import tables
from kmc.model.lattice import Lattice
from kmc.model.model import Model
from kmc.model.parameters import load_parameters
from kmc.systems.electrode import growth, snapshot
from kmc.systems.electrode.engine import Engine

A = 3.506


@pytest.mark.parametrize(
    ("before", "site", "after", "out"),
    [
        ([1, 2, 1, 1], 0, [1, 1, 2, 1], 1),  # up to the top: the topmost Li leaves
        ([1, 1, 1, 2], 1, [1, 1, 1, 1], 2),  # from L2 on; Mg leaves
        ([1, 2, 0, 1], 0, [1, 1, 2, 1], 0),  # as far as the vacancy, which is filled
        ([1, 1, 1, 0], 0, [1, 1, 1, 1], 0),
        ([2, 1, 0, 0], 1, [2, 1, 1, 0], 0),  # the first of two
        ([1, 1, 1, 1], 3, [1, 1, 1, 1], 1),
    ],
)
def test_columns(before, site, after, out):
    """One column among others of Mg, which stay as they are."""
    occupancy = np.full((4, 3), tables.MG, dtype=np.uint8)
    occupancy[:, 1] = before
    flat = occupancy.ravel().copy()
    assert growth.raise_column(flat, 3 * site + 1, 3) == out
    assert flat.reshape(4, 3)[:, 1].tolist() == after
    assert np.all(flat.reshape(4, 3)[:, [0, 2]] == tables.MG)


def test_columns_keep_atoms():
    """Species in + species that stay = species that were there, for random columns."""
    rng = np.random.default_rng(1)
    for _ in range(200):
        column = rng.choice([0, 1, 2], size=6, p=[0.2, 0.6, 0.2]).astype(np.uint8)
        column[0] = tables.LI
        moved = column.copy()
        out = growth.raise_column(moved, 0, 1)
        counts = np.bincount(column, minlength=3), np.bincount(moved, minlength=3)
        change = counts[1] - counts[0]
        expected = np.array([0, 1, 0])  # the ion
        expected[out] -= 1  # an atom at the top, or the vacancy that was filled
        assert change.tolist() == expected.tolist()


@pytest.mark.parametrize("lattice", ["bcc_100", "bcc_110", "bcc_111"])
def test_li_at_the_electrolyte(lattice):
    """As the naive oracle has it: L1, and L2 with an Mg of L1 as a first neighbour."""
    box = Lattice(lattice, (4, 4), 8, "interface", A)
    rng = np.random.default_rng(2)
    occupancy = rng.choice([1, 2], size=box.n_sites, p=[0.7, 0.3]).astype(np.uint8)
    n, expected = box.sites_per_layer, []
    for site in range(2 * n):
        below = [j for j in box.neighbours(site, 1) if 0 <= j < n and occupancy[j] == tables.MG]
        if occupancy[site] == tables.LI and (site < n or below):
            expected.append(site)
    assert growth.replaceable(occupancy, box).tolist() == expected
    occupancy[:n] = tables.LI
    assert growth.replaceable(occupancy, box).tolist() == list(range(n))


@pytest.mark.parametrize("params", ["li_li2s", slow("limg_li2s")])
def test_an_engine_pushes(params):
    """A full box, 40 ions: every count follows, the state is that of a fresh engine."""
    box = Lattice("bcc_100", (6, 6), 10, "interface", A)
    mg = 0.2 if params == "limg_li2s" else 0.0
    model = Model(
        box,
        load_parameters(params),
        temperature_K=298.15,
        current_density_mA_cm2=-0.5,
        electrode_thickness_um=float("inf"),
        max_hops_per_strip_per_site=1e3,
        plating=True,
    )
    rng = np.random.default_rng(4)
    occupancy = np.where(rng.random(box.n_sites) < mg, 2, 1).astype(np.uint8)
    engine = Engine(model, occupancy, rng, alloy=mg > 0, log_events=1000)
    engine.pushes = True
    engine.advance(strips=40)
    count = engine.count
    assert count(tables.PLATES) == 40 == -engine.net_strips
    assert count(tables.PUSHES) == count(tables.PUSHED_OUT) == 40
    assert count(tables.EVENTS) == 120 == len(logged(engine))
    found = np.bincount(engine.occupancy(), minlength=3)
    was = np.bincount(occupancy, minlength=3)
    out_mg = count(tables.PUSHED_OUT_MG)
    assert (found - was).tolist() == [0, out_mg, -out_mg]
    assert snapshot.differences(engine) == []
    saved = snapshot.take(engine)
    again = snapshot.restore(model, saved)
    again.pushes = True
    for one in (engine, again):
        one.advance(strips=50)
    assert np.array_equal(engine.occupancy(), again.occupancy())
    assert engine.time_s == again.time_s


def test_nothing_happens_without_li_at_the_electrolyte():
    lattice = Lattice("bcc_100", (4, 4), 8, "interface", A)
    occupancy = np.full(lattice.n_sites, tables.MG, dtype=np.uint8)
    engine = SimpleNamespace(
        model=SimpleNamespace(lattice=lattice), occupancy=lambda: occupancy, spares=False
    )
    assert not growth.push_back(engine)
