"""Runs that go on: in a closed box, under --check-every, under other versions."""

from __future__ import annotations

import json
import math
import warnings

import h5py
import numpy as np
import pytest
from click.testing import CliRunner

from kmc import load
from kmc.cli.app import main
from kmc.common import provenance
from kmc.errors import KmcError, KmcWarning
from kmc.files.table_file import TableWriter
from kmc.runfile.load import load_run
from kmc.systems import run as resume
from kmc.systems.electrode import run, snapshot
from kmc.systems.run import run_to_file

SMALL = {
    "system.size": [6, 6, 8],
    "acceleration.max_hops_per_strip_per_site": 1e3,
    "stop.capacity_monolayers": 0.5,
}
CLOSED = {**SMALL, "conditions.electrode_thickness_um": math.inf}


def assert_same(path, other) -> None:
    with h5py.File(path) as one, h5py.File(other) as two:
        for group in ("samples", "frames"):
            for name in one[group]:
                assert np.array_equal(one[group][name][:], two[group][name][:], equal_nan=True)


@pytest.mark.slow
def test_a_closed_box_is_resumed_and_extended(tmp_path):
    whole, path = tmp_path / "whole.h5", tmp_path / "run.h5"
    run_to_file(load_run("strip_li_hops", CLOSED), whole, progress=False)
    run_to_file(
        load_run("strip_li_hops", {**CLOSED, "stop.wall_time_s": 1e-9}), path, progress=False
    )
    resume.extend(path, {"stop.wall_time_s": None, "stop.capacity_monolayers": 0.3}, progress=False)
    resume.extend(path, {"stop.capacity_monolayers": 0.5}, progress=False)
    assert_same(path, whole)
    assert load(path).run["conditions"]["electrode_thickness_um"] == "inf"


@pytest.mark.slow
def test_the_shipped_run_in_a_closed_box_is_resumed(tmp_path):
    path = tmp_path / "run.h5"
    overrides = {"system.size": [6, 6, 8], "stop.wall_time_s": 1e-9, "rest.time_s": 1e-4}
    overrides |= {"interface.patches": None, "interface.voids": None}
    run_to_file(load_run("rest_li", overrides), path, progress=False)
    done = CliRunner().invoke(main, ["resume", str(path), "-q"])
    assert done.exit_code == 0, done.output


# --- --check-every --------------------------------------------------------------------------------


@pytest.mark.slow
def test_all_is_on_the_disk_before_a_check(tmp_path, monkeypatch):
    """A kill during a check, however long it takes, costs nothing that was computed."""
    path, behind = tmp_path / "run.h5", []
    differences = snapshot.differences

    def look(engine):
        state = load(path).checkpoint
        at = None if state is None else state["attempts"]
        behind.append(at == engine.count(run.tables.ATTEMPTS))
        return differences(engine)

    monkeypatch.setattr(snapshot, "differences", look)
    monkeypatch.setattr(run, "_FIRST_CHUNK", 100)
    monkeypatch.setattr(run, "_next_chunk", lambda *_: 100)
    # As if each check took longer than the interval of saves.
    monkeypatch.setattr("kmc.systems.job._SAVE_EVERY_S", 0.0)
    monkeypatch.setattr("kmc.systems.job._SAVING_SHARE", 1e9)
    run_to_file(load_run("strip_li_hops", SMALL), path, progress=False, check_every=50)
    assert len(behind) > 3
    assert all(behind)


@pytest.mark.slow
def test_a_long_check_is_expected_after_the_first(tmp_path, monkeypatch):
    """Clock and checks are simulated: chunks take 1 s and checks 26 s."""
    now, flushes, lost = [0.0], [0.0], []
    monkeypatch.setattr(run.time, "monotonic", lambda: now[0])
    advance, flush = run.Engine.advance, TableWriter.flush

    def slow_advance(self, **limits):
        now[0] += 1.0
        lost.append(now[0] - flushes[-1])
        return advance(self, **limits)

    def noted_flush(self, checkpoint=None):
        flush(self, checkpoint)
        flushes.append(now[0])

    def slow_check(engine):
        lost.append(now[0] - flushes[-1])
        now[0] += 26.0
        flushes.append(flushes.pop() + 26.0)  # a kill in that time costs nothing that was computed
        return []

    monkeypatch.setattr(run.Engine, "advance", slow_advance)
    monkeypatch.setattr(TableWriter, "flush", noted_flush)
    monkeypatch.setattr(snapshot, "differences", slow_check)
    monkeypatch.setattr(run, "_FIRST_CHUNK", 100)
    monkeypatch.setattr(run, "_next_chunk", lambda *_: 100)
    run_to_file(load_run("strip_li_hops", SMALL), tmp_path / "a.h5", progress=False, check_every=50)
    assert len(lost) > 10
    assert max(lost) <= 5.0


def test_a_check_that_fails_says_up_to_where_the_run_is_sound(tmp_path, monkeypatch):
    found = iter([[], ["a word differs"]])
    monkeypatch.setattr(snapshot, "differences", lambda engine: next(found))
    with pytest.raises(KmcError, match=r"(?s)a word differs.*beyond [1-9]\d* events"):
        run_to_file(
            load_run("strip_li_hops", SMALL), tmp_path / "run.h5", progress=False, check_every=50
        )


# --- other versions -------------------------------------------------------------------------------


@pytest.fixture
def of_yesterday(tmp_path, monkeypatch):
    """A run begun under another numpy."""
    path = tmp_path / "run.h5"
    collect = provenance.collect
    for module in ("kmc.common.provenance", "kmc.systems.electrode.run"):
        monkeypatch.setattr(f"{module}.collect", lambda: collect() | {"numpy": "1.0.0"})
    run_to_file(
        load_run("strip_li_hops", {**SMALL, "stop.wall_time_s": 1e-9}), path, progress=False
    )
    monkeypatch.undo()
    assert load(path).provenance["numpy"] == "1.0.0"
    return path


def test_other_versions_are_said_once(of_yesterday):
    def go_on(monolayers):
        changes = {"stop.wall_time_s": None, "stop.capacity_monolayers": monolayers}
        resume.extend(of_yesterday, changes, progress=False)

    with pytest.warns(KmcWarning, match=r"written with numpy 1\.0\.0, .* is continued with numpy"):
        go_on(0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        go_on(0.2)
    assert load(of_yesterday).provenance["numpy"] == "1.0.0"


@pytest.mark.slow
def test_the_command_says_so_on_standard_error(of_yesterday):
    done = CliRunner().invoke(
        main, ["extend", str(of_yesterday), "-q", "--set", "stop.wall_time_s=none"]
    )
    assert done.exit_code == 0, done.output
    assert done.stderr.startswith("Note: ")
    assert "differ in the last bits" in done.stderr


def test_the_same_versions_are_no_news(tmp_path):
    path = tmp_path / "run.h5"
    run_to_file(
        load_run("strip_li_hops", {**SMALL, "stop.wall_time_s": 1e-9}), path, progress=False
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        resume.extend(path, {"stop.wall_time_s": None}, progress=False)
    assert json.loads(json.dumps(load(path).provenance))["continued"].startswith("1 times")
