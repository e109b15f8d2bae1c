"""kmc.Simulation of depositions, populations and cathodes: steps, rows, frames; bad callbacks."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

import kmc
from kmc.errors import InputError
from kmc.files.checkpoint import pack, unpack

PLATED = {
    "system.size": [10, 10, 8],
    "stop.capacity_monolayers": 0.6,
    "output.sample_every_monolayers": 0.1,
    "output.frame_every_monolayers": 0.3,
    "acceleration.max_hops_per_strip_per_site": 1e3,
}
CATHODE = {"cathode.edge_sites": 16, "cathode.grain_sites": 6, "cathode.steps": 4}
CATHODE |= {"cathode.cycles": 1}


def test_steps_make_the_rows_that_a_file_would_have(tmp_path):
    sim = kmc.Simulation("plate_zno_002", PLATED)
    assert len(sim.samples.time_s) == 0
    assert sim.frame == {}
    steps = 0
    while not sim.step(monolayers=0.2):
        steps += 1
        assert sim.samples.capacity_monolayers[-1] == pytest.approx(0.2 * steps, abs=0.11)
    assert sim.stop_reason == "capacity_monolayers reached 0.6" == sim.step(rows=1)
    t = kmc.run("plate_zno_002", PLATED, output=tmp_path / "run.h5", progress=False)
    for name, values in t.samples.items():
        assert np.array_equal(sim.samples[name], values, equal_nan=True), name
    assert np.array_equal(sim.frame["occupied"], t.frames.occupied[-1])
    assert sim.samples.units == t.samples.units
    assert "capacity_monolayers reached 0.6" in repr(sim)


@pytest.mark.parametrize("name", ["strip_li_hops", "plate_zno_002"])
def test_another_simulation_goes_on_from_a_state(name):
    first = kmc.Simulation(name, PLATED)
    first.step(monolayers=0.25)
    second = kmc.Simulation(name, PLATED, state=unpack(pack(first.state())))
    for sim in (first, second):
        assert sim.step(time_s=100.0) == "capacity_monolayers reached 0.6"
    assert first.samples[-1] == second.samples[-1]


def test_charge_counts_in_the_direction_of_the_current():
    """Plating 3 and stripping it again is 6 monolayers; a step ends a row of 0.1 late at most."""
    plan = [{"step": "Plate at 1 mA/cm2 until 3 monolayers"}]
    plan += [{"step": "Strip at 1 mA/cm2 until 5 monolayers"}]
    changes = {"system.size": [10, 10, 8], "output.sample_every_monolayers": 0.1}
    changes |= {"acceleration.max_hops_per_strip_per_site": 1e2, "protocol.blocks": plan}
    sim = kmc.Simulation("aurbach_zno_002", changes)
    ends = [0.0]
    while not sim.step(monolayers=0.5):
        ends.append(sim.samples.capacity_monolayers[-1])
    charge = [after - before for before, after in pairwise(ends)]
    plated = [step for step in charge if step > 0]
    stripped = [-step for step in charge if step < 0]
    assert len(plated) in (5, 6)
    assert len(stripped) in (4, 5, 6)
    turning = len(plated) - 1  # the step in which the current turns ends below 3 monolayers
    assert plated[:turning] + stripped[1:] == pytest.approx([0.55] * (len(charge) - 2), abs=0.06)


def test_rows_and_seconds_of_a_cathode_which_has_no_charge():
    sim = kmc.Simulation("cathode_se", CATHODE)
    assert sim.step(rows=1) == ""
    assert sim.samples.cycle.tolist() == [0]
    assert sim.step(time_s=1.0) == ""  # to the row at the end of the lithiation
    assert sim.samples.lithiation.tolist() == [0, 1]
    with pytest.raises(InputError, match="a cathode in which no charge passes"):
        sim.step(monolayers=1)
    assert sim.step(rows=10) == "all cycles done"
    assert "bears_load" in sim.frame


@pytest.mark.parametrize(
    ("step", "says"),
    [({}, "rows=, time_s=, monolayers="), ({"rows": 1, "time_s": 1}, "Give one"),
     ({"rows": 0}, "above 0")],
)  # fmt: skip
def test_steps_that_cannot_be_taken(step, says):
    with pytest.raises(InputError, match=says):
        kmc.Simulation("plate_zno_002", PLATED).step(**step)


def test_options_of_boxes_are_refused():
    with pytest.raises(InputError, match=r"--check-every 10: .* of kind 'deposition'"):
        kmc.Simulation("plate_zno_002", PLATED, check_every=10)


@pytest.mark.parametrize("name", ["strip_li_hops", "plate_zno_002"])
@pytest.mark.parametrize("callback", [3, lambda: True, lambda sample, more: True])
def test_a_callback_that_cannot_be_called_fails_before_anything_is_written(
    tmp_path, name, callback
):
    path = tmp_path / "run.h5"
    with pytest.raises(InputError, match="cannot be called with a sample"):
        kmc.run(name, output=path, progress=False, callback=callback)
    assert not list(tmp_path.iterdir())


def test_a_callback_that_asks_for_the_box_of_a_deposition(tmp_path):
    with pytest.raises(InputError, match="no box of atoms has columns alone"):
        kmc.run("plate_zno_002", PLATED, output=tmp_path / "run.h5", progress=False,
                callback=lambda sample: sample.occupancy.sum() > 0)  # fmt: skip
