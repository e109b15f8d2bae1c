"""Nucleation and population under the box's own rates against boxes of the event loop."""

from __future__ import annotations

import math

import numpy as np
import overlap
import pytest

import kmc

SEEDS = {1e6: (1, 2, 3, 4), 1e7: (1, 2, 3, 4)}


@pytest.mark.validation
@pytest.mark.slow
@pytest.mark.parametrize("ratio", [1e6, 1e7])
def test_voids_of_the_box_and_of_a_population_under_its_rates(ratio, tmp_path):
    """After 0.2 monolayers of 22 nm × 22 nm: void density, contact lost and width.

    Within 3 standard errors of the two means, and a tenth of the model's value beside them: the
    way to a void and its shape are those of a continuum.
    """
    boxes = []
    for seed in SEEDS[ratio]:
        changes = {
            "acceleration.max_hops_per_strip_per_site": ratio,
            "stop.capacity_monolayers": 0.2,
            "output.frame_every_monolayers": 0.05,
            "output.sample_every_monolayers": 0.005,
            "random.seed": seed,
        }
        path = tmp_path / f"{seed}.h5"
        boxes.append(
            overlap.box_numbers(kmc.run("ladder_li", changes, output=path, progress=False))
        )
    boxes = np.array(boxes)
    model = overlap.populations(overlap.Box(ratio).settings()["lone"], range(8))
    at = 3 * overlap.READ_AT.index(0.2)
    for column, name in ((at, "density"), (at + 1, "width"), (at + 2, "contact")):
        both = boxes[:, column], model[:, column]
        if name == "contact":
            both = tuple(1 - values for values in both)
        error = math.hypot(*(values.std(ddof=1) / math.sqrt(len(values)) for values in both))
        first, second = (float(values.mean()) for values in both)
        assert abs(first - second) < 3 * error + 0.1 * second, (name, first, second, error)


@pytest.mark.long
@pytest.mark.validation
@pytest.mark.parametrize("ratio", [1e6, 1e7, 1e8])
def test_first_voids_come_at_the_supersaturation_of_the_burst(ratio, tmp_path):
    """S on the way to the first void, and the charge until it, of 48 boxes and 48 populations.

    S within 2 standard errors and a twentieth. The charge within 2 standard errors, each below 8 %
    of it, but not at 1e6: hops to a growing cluster are slowed there. docs/upscaling.md has both.
    """
    boxes = []
    for seed in range(1, 49):
        changes = {
            "acceleration.max_hops_per_strip_per_site": ratio,
            "stop.capacity_monolayers": 0.08,
            "output.frame_every_monolayers": 0.002,
            "output.sample_every_monolayers": 0.0005,
            "random.seed": seed,
        }
        path = tmp_path / f"{seed}.h5"
        run = kmc.run("ladder_li", changes, output=path, progress=False)
        boxes.append(overlap.box_approach(run))
    boxes = np.array(boxes)
    model = overlap.approach(overlap.Box(ratio).settings()["lone"], range(48))
    for column, name, systematic in ((0, "charge", 0.0), (1, "S", 0.05)):
        pair = boxes[:, column], model[:, column]
        error = math.hypot(*(values.std(ddof=1) / math.sqrt(len(values)) for values in pair))
        first, second = (float(values.mean()) for values in pair)
        assert error < 0.08 * second
        if name == "S" or ratio > 1e6:
            assert abs(first - second) < 2 * error + systematic * second, (name, first, second)


@pytest.mark.long
@pytest.mark.parametrize(("ratio", "charge"), [(1e6, 0.037), (1e7, 0.028)])
def test_what_pairs_and_threes_store_lowers_the_supersaturation(ratio, charge):
    """Figures of docs/upscaling.md: S on the way to the first void is 306 with that storage."""
    setting = overlap.storing_small_clusters(overlap.Box(ratio).settings()["lone"], 320.0)
    first, S = overlap.approach(setting, range(48)).T
    assert S.mean() == pytest.approx(306, abs=2)
    assert first.mean() == pytest.approx(charge, abs=2 * first.std() / math.sqrt(48))
