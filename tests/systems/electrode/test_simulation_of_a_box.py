"""A run driven step by step, and callbacks at its samples."""

from __future__ import annotations

import numpy as np
import pytest

import kmc
from kmc.errors import InputError

SMALL = {
    "system.size": [8, 8, 10],
    "acceleration.max_hops_per_strip_per_site": 1e3,
    "stop.capacity_monolayers": 0.5,
    "output.sample_every_monolayers": 0.1,
}


def test_steps_make_the_run_that_a_file_would_have(tmp_path):
    """Same seed: the samples of the file are among those of the steps, to the last bit."""
    sim = kmc.Simulation("strip_li_hops", SMALL)
    before = sim.occupancy
    assert len(sim.samples) == 0
    steps = 0
    while not sim.step(monolayers=0.07):
        steps += 1
        assert len(sim.samples)
    assert steps == 6  # the seventh asks for 31.4 of 64 atoms, and the run ends at 32
    assert sim.stop_reason == "capacity_monolayers reached 0.5" == sim.step(events=3)
    t = kmc.run("strip_li_hops", SMALL, output=tmp_path / "run.h5", progress=False)
    for name in ("time_s", "vacancies", "capacity_monolayers", "contact_fraction", "hops"):
        assert set(t.samples[name].tolist()) <= set(sim.samples[name].tolist()), name
    assert np.array_equal(sim.occupancy, t.frames[-1].occupancy)
    assert not np.array_equal(before, sim.occupancy)
    assert len(sim.voids(min_size=1)) >= 1
    assert sim.lattice.n_sites == sim.occupancy.size
    assert "capacity_monolayers reached 0.5" in repr(sim)


def test_steps_of_each_kind_end_where_they_say():
    sim = kmc.Simulation("strip_li_hops", SMALL)
    assert sim.step(events=500) == ""
    assert sim.samples.events[-1] == 500
    assert sim.step(time_s=1e-3) == ""
    assert sim.samples.time_s[-1] - sim.samples.time_s[-2] == pytest.approx(1e-3, rel=1e-12)
    reached = sim.samples.capacity_monolayers[-1]
    for _ in range(10):  # less than a site each: no rounding adds up
        sim.step(monolayers=0.011)
    assert sim.samples.capacity_monolayers[-1] - reached == pytest.approx(0.11, abs=1.01 / 64)


def test_steps_of_charge_go_on_where_the_current_turns():
    """Plating counts as charge does; a step that asks for more than is left goes on in the next."""
    changes = {"system.size": [8, 8, 10], "acceleration.max_hops_per_strip_per_site": 1e3}
    sim = kmc.Simulation("cycle_li", changes)  # 1 monolayer each way, then a rest
    charges = []
    for _ in range(4):
        assert sim.step(monolayers=0.6) == ""
        charges.append(sim.samples.capacity_monolayers[-1])
    # The second strips 0.4 and plates 0.2, the fourth plates 0.2 and strips 0.4.
    assert charges == pytest.approx([0.6, 0.8, 0.2, 0.4], abs=1.01 / 64)


@pytest.mark.parametrize(
    ("step", "says"),
    [
        ({}, "events=, time_s=, monolayers="),
        ({"events": 1, "time_s": 1.0}, "events=, time_s=, monolayers="),
        ({"time_s": -1.0}, "above 0"),
    ],
)
def test_steps_that_cannot_be_taken(step, says):
    with pytest.raises(InputError) as caught:
        kmc.Simulation("strip_li_hops", SMALL).step(**step)
    assert says in caught.value.advice


def test_no_monolayers_without_a_current():
    rest = {
        "conditions.current_density_mA_cm2": 0,
        "system.vacancy_fraction": 0.01,
        "stop.capacity_monolayers": None,
        "stop.events": 1000,
        "output.sample_every_monolayers": None,
        "acceleration.max_hops_per_strip_per_site": None,
    }
    sim = kmc.Simulation("strip_li_hops", {**SMALL, **rest})
    with pytest.raises(InputError, match="in which no charge passes"):
        sim.step(monolayers=1)
    assert sim.step(events=2000) == "events reached 1000"


@pytest.mark.slow
def test_a_callback_sees_every_sample_and_stops_the_run(tmp_path):
    seen = []

    def watch(sample):
        seen.append((sample.capacity_monolayers, sample["time_s"], len(sample.voids(1))))
        assert sample.occupancy.shape == (sample.lattice.n_sites,)
        return sample.capacity_monolayers >= 0.3 - 1e-9

    path = tmp_path / "run.h5"
    t = kmc.run("strip_li_hops", SMALL, output=path, progress=False, callback=watch)
    assert t.finished
    assert t.stop_reason == "stopped by the callback"
    assert [row[0] for row in seen] == t.samples.capacity_monolayers.tolist()
    assert seen[-1][0] == pytest.approx(0.3, abs=1 / 64)
    whole = kmc.run("strip_li_hops", SMALL, output=tmp_path / "whole.h5", progress=False)
    again = kmc.resume(path, progress=False)
    assert again.stop_reason == whole.stop_reason
    for name in whole.samples:
        assert np.array_equal(again.samples[name], whole.samples[name], equal_nan=True), name


def test_a_callback_that_stops_at_once_or_answers_nonsense(tmp_path):
    t = kmc.run(
        "strip_li_hops",
        SMALL,
        output=tmp_path / "a.h5",
        progress=False,
        callback=lambda sample: True,
    )
    assert len(t.samples) == 1
    with pytest.raises(InputError, match="the callback returned 'stop'"):
        kmc.run("strip_li_hops", SMALL, output=tmp_path / "b.h5", progress=False,
                callback=lambda sample: "stop")  # fmt: skip


def test_a_run_from_a_dict(tmp_path):
    tables = {
        "system": {"size": [8, 8, 10], "params": "li_li2s"},
        "acceleration": {"max_hops_per_strip_per_site": 1e3, "saddle_floor_eV": None},
        "stop": {"capacity_monolayers": 0.2},
        "interface": {"voids": [[0.5, 0.5, 0.5, 0.5]]},
    }
    t = kmc.run(tables, {"random.seed": 4}, output=tmp_path / "run.h5", progress=False)
    assert t.finished
    assert t.seed == 4
    assert t.run["system"]["size"] == [8, 8, 10]
    (tmp_path / "again.toml").write_text(t.run_file, encoding="utf-8")
    same = kmc.run(tmp_path / "again.toml", {"random.seed": 4}, output=tmp_path / "again.h5",
                   progress=False)  # fmt: skip
    assert np.array_equal(same.samples.time_s, t.samples.time_s)
    with pytest.raises(InputError, match="section \\[sistem\\] in the dict of the run"):
        kmc.run({"sistem": {}}, output=tmp_path / "no.h5")
    with pytest.raises(InputError, match=r"events = -1 in section \[stop\] of the dict"):
        kmc.Simulation({"stop": {"events": -1}})
    assert not (tmp_path / "no.h5").exists()
