"""Two touching voids in the event loop at true rates: how long they take to become one round void.

The elongation of the vacancies' second moments along the interface falls to 1/e. docs/upscaling.md
prints the means; the law R³ or R⁴ with one constant C does not show at these sizes.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from kmc.analysis import voids
from kmc.mesoscale.coalescence import Rounding
from kmc.mesoscale.setup import prepare
from kmc.mesoscale.voids import Shape
from kmc.runfile.load import load_run
from kmc.simulation.run import Simulation

A_nm = 0.351
HEIGHT_OVER_RADIUS = 0.78  # of the clusters of `kmc nucleation`


def touching(radius_a: float, temperature_K: float, seed: int) -> Simulation:
    """A closed box with two caps side by side, no current, nothing slowed."""
    radius = radius_a * A_nm
    apart = 2 * radius - 0.3 * A_nm
    cells = 2 * math.ceil((4 * radius + 2.88) / A_nm / 2) + 4
    layers = 2 * math.ceil(3 * HEIGHT_OVER_RADIUS * radius / A_nm / 2 * 2) + 8
    middle = cells * A_nm / 2
    places = [middle - apart / 2, middle + apart / 2]
    changes = {
        "system.size": [cells, cells, layers],
        "conditions.temperature_K": temperature_K,
        "conditions.current_density_mA_cm2": 0.0,
        "conditions.electrode_thickness_um": math.inf,
        "acceleration.max_hops_per_strip_per_site": None,
        "stop.capacity_monolayers": None,
        "stop.time_s": 1e9,
        "interface.voids": [[x, middle, radius, HEIGHT_OVER_RADIUS * radius] for x in places],
        "random.seed": seed,
    }
    return Simulation(load_run("strip_li", changes))


def elongation(simulation: Simulation) -> tuple[float, int]:
    """(⟨x²⟩ − ⟨y²⟩)/(⟨x²⟩ + ⟨y²⟩) of the largest void, and its vacancies."""
    lattice = simulation.model.lattice
    labels, _ = voids.label(np.asarray(simulation.engine.occupancy()), lattice)
    sites = np.flatnonzero(labels == 1 + np.argmax(np.bincount(labels)[1:]))
    x, y = lattice.positions_A[sites, :2].T
    return (x.var() - y.var()) / (x.var() + y.var()), len(sites)


def rounding_time_s(radius_a: float, temperature_K: float, seed: int, chunk: int):
    """Time at which the elongation has fallen to 1/e, and the number of vacancies."""
    simulation = touching(radius_a, temperature_K, seed)
    first, count = elongation(simulation)
    for events in range(chunk, 1000 * chunk, chunk):
        simulation.engine.advance(events=events)
        if elongation(simulation)[0] < first / math.e:
            return simulation.engine.time_s, count
    raise AssertionError("still two voids")


@pytest.mark.long
@pytest.mark.validation
def test_small_voids_round_off_faster_than_by_metal_and_interface_and_not_as_a_power_of_four():
    """450 K, R of 3 and 4 lattice parameters, 5 seeds: C of 440 and 150, exponent near 8."""
    prepared = prepare(load_run("upscale_li", {"conditions.temperature_K": 450.0}))
    medium = prepared.setting.medium
    rounding = Rounding("kinetic", medium, prepared.vapour.capillary_um, 1.0)
    means, radii = [], []
    for radius_a, chunk in ((3, 20_000), (4, 100_000)):
        runs = [rounding_time_s(radius_a, 450.0, seed, chunk) for seed in range(1, 6)]
        means.append(math.exp(np.mean([math.log(time_s) for time_s, _ in runs])))
        volume = runs[0][1] * medium.site_volume_um3
        radii.append(float(Shape(HEIGHT_OVER_RADIUS).radius_um(volume)))
    constants = [float(rounding.time_s(r)) / t for r, t in zip(radii, means, strict=True)]
    assert 440 / 2 < constants[0] < 440 * 2
    assert 150 / 2 < constants[1] < 150 * 2
    exponent = math.log(means[1] / means[0]) / math.log(radii[1] / radii[0])
    assert exponent > 5
