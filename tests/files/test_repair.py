"""What is saved of damaged trajectories."""

from __future__ import annotations

import random

import h5py
import numpy as np
import pytest
from click.testing import CliRunner

from kmc.cli.app import main
from kmc.errors import FileFormatError, InputError
from kmc.files.reader import load
from kmc.files.repair import repair
from kmc.runfile.load import load_run
from kmc.systems import job
from kmc.systems.electrode import resume, run
from kmc.systems.run import run_to_file

RUN = {
    "system.size": [8, 8, 10],
    "acceleration.max_hops_per_strip_per_site": 1e3,
    "stop.capacity_monolayers": 1.0,
    "output.sample_every_monolayers": 0.05,
    "output.frame_every_monolayers": 0.1,
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "run.h5"
    run_to_file(load_run("strip_li", RUN), path, progress=False)
    return path


@pytest.fixture
def damaged(whole, tmp_path):
    path = tmp_path / "damaged.h5"
    path.write_bytes(whole.read_bytes())
    return path


def chunk(path, name, index):
    """Offset and size in bytes of a chunk of a dataset."""
    with h5py.File(path) as file:
        info = file[name].id.get_chunk_info(index)
        return info.byte_offset, info.size


def assert_same(path, other):
    one, two = load(path), load(other)
    for name in one.samples:
        np.testing.assert_array_equal(one.samples[name], two.samples[name])
    assert len(one.frames) == len(two.frames)
    for mine, others in zip(one.frames, two.frames, strict=True):
        np.testing.assert_array_equal(mine.occupancy, others.occupancy)
    assert (one.finished, one.stop_reason) == (two.finished, two.stop_reason)
    assert (one.resolved, one.run_file) == (two.resolved, two.run_file)


def test_a_sound_file_comes_out_as_it_was(whole, tmp_path):
    done = repair(whole, tmp_path / "new.h5")
    assert done.whole
    assert done.problems == []
    assert_same(tmp_path / "new.h5", whole)


def test_one_damaged_frame_costs_one_frame(damaged, whole, tmp_path):
    offset, size = chunk(damaged, "frames/occupancy", 4)
    with damaged.open("r+b") as file:
        file.seek(offset + size // 2)
        file.write(b"\xff\xfe")
    done = repair(damaged, tmp_path / "new.h5")
    assert done.problems == ["1 of 11 frames are damaged"]
    assert (done.samples, done.frames) == ((21, 21), (10, 11))
    assert not done.resumable  # the hole lies before the checkpoint
    saved = load(tmp_path / "new.h5")
    kept = [frame.events for frame in load(whole).frames]
    del kept[4]
    assert [frame.events for frame in saved.frames] == kept
    assert (saved.finished, saved.stop_reason) == (False, "repaired")
    resume.resume(tmp_path / "new.h5", progress=False)  # from the beginning
    assert_same(tmp_path / "new.h5", whole)


def test_one_damaged_row_costs_one_row(damaged, tmp_path):
    with h5py.File(damaged, "r+") as file:
        file["samples/energy_eV"][7] += 1e-6
    with pytest.raises(FileFormatError, match="row 7"):
        load(damaged)
    done = repair(damaged, tmp_path / "new.h5")
    assert done.samples == (20, 21)
    assert done.problems == ["1 of 21 sample rows are damaged"]
    assert len(load(tmp_path / "new.h5").samples) == 20


def test_what_was_lost_behind_a_checkpoint_is_computed_again(tmp_path, whole, monkeypatch):
    """An interrupted run whose last frame, the one of the interruption, is damaged."""
    monkeypatch.setattr(run, "_next_chunk", lambda *_: 1000)
    path = tmp_path / "run.h5"

    class Asked(job.Interruption):
        calls = 0

        @property
        def requested(self):
            Asked.calls += 1
            return Asked.calls > 14  # the first after the initial state, the others after a chunk

        @requested.setter
        def requested(self, value):
            pass

    monkeypatch.setattr(run, "_FIRST_CHUNK", 1000)
    monkeypatch.setattr(job, "Interruption", Asked)
    run_to_file(load_run("strip_li", RUN), path, progress=False)
    monkeypatch.undo()
    frames = len(load(path).frames)
    offset, _ = chunk(path, "frames/occupancy", frames - 1)
    with path.open("r+b") as file:
        file.seek(offset + 20)
        file.write(b"\xff\xfe")
    done = repair(path, tmp_path / "new.h5")
    assert done.frames == (frames - 1, frames)
    assert done.resumable
    resume.resume(tmp_path / "new.h5", progress=False)
    assert_same(tmp_path / "new.h5", whole)


@pytest.mark.slow
@pytest.mark.parametrize("attempts", [10, pytest.param(60, marks=pytest.mark.slow)])
def test_cut_short_or_spoilt_anywhere(whole, tmp_path, attempts):
    """Each is repaired to a file that opens, or refused in one sentence; the original stays.

    A file cut short is always refused: files are replaced whole, so none is left by a kill.
    """
    content, chance = whole.read_bytes(), random.Random(5)
    path, new = tmp_path / "bad.h5", tmp_path / "new.h5"
    repaired, reasons = 0, set()
    for attempt in range(attempts):
        spoilt = bytearray(content)
        if attempt % 2:
            del spoilt[chance.randrange(len(spoilt)) :]
        else:
            start = chance.randrange(len(spoilt))
            spoilt[start : start + 64] = chance.randbytes(len(spoilt[start : start + 64]))
        path.write_bytes(spoilt)
        try:
            done = repair(path, new, overwrite=True)
        except FileFormatError as refused:
            reasons.add((attempt % 2, "is cut short" in str(refused)))
        else:
            reasons.add((attempt % 2, False))
            t = load(new)
            assert len(t.samples) == done.samples[0]
            assert [frame.occupancy.size for frame in t.frames] == [640] * done.frames[0]
            repaired += 1
        assert path.read_bytes() == spoilt
    assert reasons == {(0, False), (1, True)}
    assert repaired > attempts // 4  # half of those with 64 bytes overwritten


def test_outputs_are_not_overwritten(whole, tmp_path):
    (tmp_path / "new.h5").write_text("mine")
    with pytest.raises(InputError, match="exists already"):
        repair(whole, tmp_path / "new.h5")


def test_the_command(damaged):
    with h5py.File(damaged, "r+") as file:
        file["samples/energy_eV"][7] += 1e-6
    result = CliRunner().invoke(main, ["repair", str(damaged)])
    assert result.exit_code == 0
    assert "Damaged: 1 of 21 sample rows are damaged" in result.output
    assert "kmc resume" in result.output
    assert load(damaged.with_name("damaged.repaired.h5")).stop_reason == "repaired"
    again = CliRunner().invoke(main, ["repair", str(damaged)], standalone_mode=True)
    assert again.exit_code == 2
    missing = CliRunner().invoke(main, ["repair", "nowhere.h5"])
    assert missing.exit_code == 2


def test_rows_that_were_taken_out_are_missed(damaged, tmp_path):
    with h5py.File(damaged, "r+") as file:
        for column in file["samples"].values():
            rest = np.delete(column[:], 7)
            column.resize(len(rest), axis=0)
            column[...] = rest
    done = repair(damaged, tmp_path / "new.h5")
    assert done.samples == (20, 21)
    assert not done.whole
    assert not done.resumable
    assert done.problems == ["1 sample rows and 0 frames are missing"]


# --- tracebacks there were ------------------------------------------------------------------------


def test_zero_bytes_in_the_reason_of_the_end(damaged, tmp_path):
    with h5py.File(damaged, "r+") as file:
        value = np.array(b"done\0 and\0 more", dtype=h5py.string_dtype("utf-8", 512))
        file["record"].attrs.modify("stop_reason", value)
    assert repair(damaged, tmp_path / "new.h5").whole
    assert load(tmp_path / "new.h5").stop_reason.startswith("done")
    assert CliRunner().invoke(main, ["info", str(damaged)]).exit_code == 0


@pytest.mark.parametrize(
    "change", [{"layers": 2**62}, {"cells": [2**31, 2**31]}, {"layers": -1}, {"layers": 10**6}]
)
def test_boxes_that_no_file_holds(damaged, tmp_path, change):
    import json

    import fuzz

    with h5py.File(damaged, "r+") as file:
        record = json.loads(file["record"][:].tobytes())
        record["lattice"] |= change
        fuzz.replace_record(file, record)
    result = CliRunner().invoke(main, ["repair", str(damaged), "-o", str(tmp_path / "new.h5")])
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    assert not (tmp_path / "new.h5").exists()


def test_a_superblock_that_claims_an_enormous_end(damaged, tmp_path):
    with damaged.open("r+b") as file:
        file.seek(28)
        file.write((2**62).to_bytes(8, "little"))
    result = CliRunner().invoke(main, ["repair", str(damaged), "-o", str(tmp_path / "new.h5")])
    assert result.exit_code == 2
    assert "cut short" in result.stderr
