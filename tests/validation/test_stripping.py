"""Stripping: voids that coalesce, slower hops that lose more contact, what Mg does.

Every difference demanded is several times the scatter between seeds, which for the contact of one
run is 0.03 to 0.05 (pure Li, Mg coverage up to 0.3) or about 0.02 (0.6 and more).
"""

from __future__ import annotations

import numpy as np
import pytest

from kmc.analysis import voids
from kmc.kernels import tables
from kmc.runfile.load import load_run
from kmc.systems.electrode.run import ElectrodeJob

pytestmark = pytest.mark.validation


def strip(name, monolayers, **overrides):
    """Engines of a run after each of these many monolayers."""
    changes = {key.replace("__", "."): value for key, value in overrides.items()}
    simulation = ElectrodeJob(load_run(name, changes))
    for monolayer in monolayers:
        simulation.engine.advance(
            strips=round(monolayer * simulation.model.lattice.sites_per_layer)
        )
        yield simulation.engine


def contact(engine) -> float:
    return engine.sample()["contact_fraction"]


def n_voids(engine) -> int:
    return len(voids.find(engine.occupancy(), engine.model.lattice, min_size=4))


@pytest.mark.slow
def test_lithium_loses_contact_and_its_voids_coalesce():
    """32×32 cells, 24 layers, means of 3 seeds: 6 voids become 1; slower hops lose more contact."""
    early, late, left = [], [], {1e4: [], 1e5: []}
    for ratio, contacts in left.items():
        for seed in range(3):
            first, last = (
                (n_voids(engine), contact(engine))
                for engine in strip(
                    "strip_li_hops",
                    (0.25, 2.0),
                    random__seed=seed,
                    system__size=[32, 32, 24],
                    acceleration__max_hops_per_strip_per_site=ratio,
                )
            )
            contacts.append(last[1])
            if ratio == 1e4:
                early.append(first[0])
                late.append(last[0])
    assert np.mean(early) >= 4
    assert np.mean(late) <= np.mean(early) / 2
    assert np.mean(left[1e4]) < np.mean(left[1e5]) - 0.12


def test_an_open_reservoir_keeps_the_interface_flat():
    """Ratio 1e7 with the sink 1 µm away: vacancies leave before voids nucleate.

    The same with the sink at 100 µm does lose contact, as S − 1 = j L Ω/(e D_v c_eq) grows with L:
    the comparison is at the same charge.
    """
    flat, pitted = (
        next(
            strip(
                "strip_li_hops",
                (0.5,),
                system__size=[16, 16, 24],
                acceleration__max_hops_per_strip_per_site=1e7,
                conditions__electrode_thickness_um=thickness,
            )
        )
        for thickness in (1.0, 100.0)
    )
    assert contact(flat) > 0.97
    assert n_voids(flat) == 0
    assert flat.count(tables.ABSORBED) > 0.9 * flat.count(tables.STRIPS)
    assert contact(pitted) < 0.93


def contact_under_mg(coverage, ratio) -> float:
    """Contact after 3 monolayers of 24×24 cells with 3 % Mg; mean of 2 seeds."""
    left = [
        contact(engine)
        for seed in range(2)
        for engine in strip(
            "strip_limg",
            (3.0,),
            random__seed=seed,
            system__size=[24, 24, 24],
            system__mg_coverage_L1=coverage,
            acceleration__max_hops_per_strip_per_site=ratio,
        )
    ]
    return float(np.mean(left))


@pytest.mark.slow
def test_mg_keeps_contact_the_more_it_covers_L1():
    """After 3 monolayers, from L1 as random as the bulk to nearly full."""
    left = [contact_under_mg(coverage, 1e4) for coverage in (None, 0.3, 0.6, 0.95)]
    assert all(np.diff(left) > 0.1), left
    assert left[-1] > 0.95


@pytest.mark.slow
@pytest.mark.parametrize("coverage", [None, 0.3, 0.6])
def test_mg_keeps_more_contact_the_faster_the_hops(coverage):
    left = [contact_under_mg(coverage, ratio) for ratio in (1e4, 1e6)]
    assert left[1] > left[0] + 0.15, left
