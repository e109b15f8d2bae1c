"""Strips and plates at connected metal alone: what is connected, what is drawn, what is left."""

from __future__ import annotations

import numpy as np
import pytest
from observed import logged

from kmc.kernels import connection, rates, tables, transfer
from kmc.kernels.charge import refresh_strip_weights
from kmc.kernels.jit import entry
from kmc.model.connectivity import Collector
from kmc.model.electrochemistry import Drive
from kmc.model.lattice import Lattice
from kmc.model.model import Model
from kmc.model.parameters import load_parameters
from kmc.systems.electrode import snapshot
from kmc.systems.electrode.configuration import connection_of
from kmc.systems.electrode.engine import Engine

BOX = Lattice("bcc_100", (8, 8), 10, "interface", 3.506)
ISLAND = [1, 2, 9, 10]  # of L1


def model_of(box: Lattice = BOX) -> Model:
    return Model(
        box,
        load_parameters("li_li2s"),
        temperature_K=298.15,
        current_density_mA_cm2=0.5,
        electrode_thickness_um=float("inf"),
        max_hops_per_strip_per_site=1e2,
        plating=True,
    )


def island() -> np.ndarray:
    """Metal from L5 up, and four atoms at the electrolyte below a gap of three layers."""
    occupancy = np.ones(BOX.n_sites, dtype=np.uint8)
    n = BOX.sites_per_layer
    occupancy[: 4 * n] = 0
    occupancy[ISLAND] = 1
    return occupancy


def patchy() -> np.ndarray:
    """The same with half of L1 to L4 there."""
    occupancy = island().reshape(10, 8, 8)
    occupancy[:4, :, 4:] = 1
    return occupancy.ravel()


@entry
def _is_connected(geometry, state, net, site):
    return connection.is_connected(geometry, state.site_state, net, site)


@entry
def _draw(geometry, law, channels, state, scratch, net, rng):
    refresh_strip_weights(geometry, law, channels, state, scratch)
    if channels.plating:
        return transfer.draw_plate(geometry, law, state, scratch, net, rng)
    return transfer.draw_strip(geometry, law, state, scratch, net, rng)


def draw(engine: Engine, net: connection.Connection) -> int:
    """Kernel number of the next site of a given current."""
    parts = engine.geometry, engine.law, engine.channels, engine.state, engine.scratch
    return int(_draw(*parts, net, engine.rng))


@pytest.mark.parametrize("lattice", ["bcc_100", "bcc_110", "bcc_111"])
def test_connected_is_what_the_flood_fill_finds(lattice):
    box = Lattice(lattice, (6, 6), 12, "interface", 3.506)
    model = model_of(box)
    rng = np.random.default_rng(1)
    for share in (0.2, 0.3, 0.5, 0.9):
        occupancy = (rng.random(box.n_sites) < share).astype(np.uint8)
        engine = Engine(model, occupancy, rng)
        columns = rng.random(box.sites_per_layer) < 0.1
        for conductive in (None, columns):
            collector = Collector(box, conductive)
            net, connected_now = connection_of(model, collector), collector.connected(occupancy)
            for site in np.flatnonzero(occupancy):
                number = model.kernel_lattice.kernel_sites(site)
                found = _is_connected(engine.geometry, engine.state, net, number)
                assert found == connected_now[site]


@pytest.mark.slow
@pytest.mark.validation
def test_an_atom_is_drawn_by_its_weight_among_connected_ones():
    """Weights of connected atoms over their sum; z-test of each class of weights, 99.9 %."""
    engine = Engine(model_of(), patchy(), np.random.default_rng(3))
    connected_now = Collector(BOX).connected(engine.occupancy())
    assert not connected_now[ISLAND].any()
    net = connection_of(engine.model, Collector(BOX))
    n, drawn = 1500, []
    for _ in range(n):
        site = draw(engine, net)
        drawn.append(rates.strip_weight(engine.law, engine.state.site_state[site]))
        assert connected_now[int(engine.model.kernel_lattice.lattice_sites(site))]
    members = np.concatenate([*engine.bin_members("strips").values()])
    assert not connected_now[members].all()
    numbers = engine.model.kernel_lattice.kernel_sites(members[connected_now[members]])
    weights = np.array(
        [rates.strip_weight(engine.law, engine.state.site_state[site]) for site in numbers]
    )
    for weight in np.unique(weights):
        share = weights[weights == weight].sum() / weights.sum()
        found = np.isclose(drawn, weight).sum()
        assert abs(found - n * share) < 3.9 * np.sqrt(n * share * (1 - share))


@pytest.mark.parametrize("spares", [True, False])
def test_an_island_is_stripped_only_where_it_is_not_spared(spares):
    engine = Engine(model_of(), island(), np.random.default_rng(5))
    engine.spares = spares
    reason = engine.advance(strips=1, events=20_000)
    if spares:
        assert reason == tables.NO_ELECTROACTIVE
        assert engine.count(tables.STRIPS) == 0
    else:
        assert engine.count(tables.STRIPS) == 1


def test_limits_and_restoring_change_nothing():
    """In one call, in calls of a few events, and with a snapshot at a strip that is due."""
    whole, parts = (Engine(model_of(), patchy(), np.random.default_rng(7)) for _ in range(2))
    whole.spares = parts.spares = True
    whole.advance(strips=25)
    while True:
        parts.advance(strips=25, events=parts.events + 40)
        if parts.count(tables.STRIPS) == 25:
            break
        parts.advance(before_strip=parts.net_charge, events=parts.events + 10)
        if parts.strip_is_due:
            parts = snapshot.restore(parts.model, snapshot.take(parts))
            parts.spares = True
    assert parts.count(tables.STRIPS) == whole.count(tables.STRIPS) == 25
    assert np.array_equal(parts.occupancy(), whole.occupancy())
    assert snapshot.differences(whole) == []


def vacant_reached(occupancy, void_surfaces: bool) -> np.ndarray:
    """Vacant sites that an ion reaches beside connected metal, by plain searches."""
    n, connected_now = BOX.sites_per_layer, Collector(BOX).connected(occupancy)
    near = np.concatenate([BOX.neighbour_table(shell) for shell in (1, 2)], axis=1)
    reached = {int(site) for site in np.flatnonzero(occupancy[:n] == 0)}
    waiting = list(reached) if void_surfaces else []
    while waiting:
        for other in near[waiting.pop()].tolist():
            if other >= 0 and occupancy[other] == 0 and other not in reached:
                reached.add(other)
                waiting.append(other)
    beside = [s for s in reached if any(k >= 0 and connected_now[k] for k in near[s].tolist())]
    return np.array(sorted(beside))


@pytest.mark.validation
@pytest.mark.parametrize("void_surfaces", [False, True])
def test_a_site_is_drawn_by_its_weight_beside_connected_metal(void_surfaces):
    """An island under a gap and a closed void take no ion; with void surfaces open voids do.

    1500 draws: the binomial count of each weight within 3.9 standard errors, 99.99 %.
    """
    occupancy = patchy().reshape(10, 8, 8)
    occupancy[:5, 2:4, 5:7] = 0  # an open void in the metal
    occupancy[7, 6, 6] = 0  # a closed one
    occupancy = occupancy.ravel()
    engine = Engine(model_of(), occupancy, np.random.default_rng(4))
    engine.set_drive(Drive(-0.5))
    net = connection_of(engine.model, Collector(BOX), void_surfaces)
    expected = vacant_reached(occupancy, void_surfaces)
    assert (expected >= 2 * BOX.sites_per_layer).any() == void_surfaces
    numbers = engine.model.kernel_lattice.kernel_sites(expected)
    weights = np.array(
        [rates.plate_weight(engine.law, engine.state.site_state[site]) for site in numbers]
    )
    n = 1500
    drawn = np.array([draw(engine, net) for _ in range(n)])
    assert np.isin(drawn, numbers).all()
    found = np.array([rates.plate_weight(engine.law, engine.state.site_state[s]) for s in drawn])
    for weight in np.unique(weights):
        share = weights[weights == weight].sum() / weights.sum()
        count = np.isclose(found, weight).sum()
        assert abs(count - n * share) < 3.9 * np.sqrt(n * share * (1 - share)) + 1e-9


def test_void_surfaces_are_plated_to_the_end():
    """A box with an open void is filled from all of its surface; the state stays sound."""
    occupancy = np.ones(BOX.n_sites, dtype=np.uint8).reshape(10, 8, 8)
    occupancy[:5, 2:6, 2:6] = 0
    engine = Engine(model_of(), occupancy.ravel(), np.random.default_rng(4), log_events=4000)
    engine.set_drive(Drive(-0.5))
    engine.spares = engine.void_surfaces = True
    engine.advance(strips=40, events=3000)
    plated = [event.site_to for event in logged(engine) if event.kind == "plate"]
    assert max(plated) >= 2 * BOX.sites_per_layer
    assert snapshot.differences(engine) == []
    assert engine.count(tables.VACANCIES) == 80 - len(plated)
