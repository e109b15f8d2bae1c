"""Power cuts: whatever of the unsynchronised writes is lost, what was flushed is there."""

from __future__ import annotations

import contextlib
import random
import sys
import zlib

import fake
import h5py
import numpy as np
import pytest
from power import Disk

from kmc.campaign.folder import make_folder
from kmc.campaign.plan import read_plan
from kmc.common.outputs import replacing
from kmc.errors import InputError
from kmc.files import schema, transaction
from kmc.files.reader import load
from kmc.files.repair import repair
from kmc.files.transaction import Transaction, recovered
from kmc.files.writer import TrajectoryWriter
from kmc.runfile.load import load_run
from kmc.systems.electrode import resume
from kmc.systems.electrode.run import run_to_file
from kmc.systems.electrode.verification.trajectory import verify

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

SMALL = {
    "system.size": [6, 6, 8],
    "acceleration.max_hops_per_strip_per_site": 1e3,
    "stop.capacity_monolayers": 0.3,
}


@pytest.fixture
def disk(monkeypatch):
    return Disk(monkeypatch)


COLUMNS = [e for e in schema.SAMPLE_COLUMNS if e.name in schema.required_columns(2)]


def new_writer(path, box):
    return TrajectoryWriter(
        path,
        lattice=box,
        columns=COLUMNS,
        run_text=fake.RUN_TEXT,
        resolved=fake.resolved(box),
        seed=7,
    )


def append(writer, box, step: int) -> None:
    row = {entry.name: step * 100 + n for n, entry in enumerate(COLUMNS)}
    writer.append_sample(row)
    occupancy = np.random.default_rng(step).integers(0, 3, box.n_sites).astype(np.uint8)
    names = ("events", "time_s", "capacity_monolayers", "capacity_mAh_cm2")
    writer.append_frame(occupancy, **{name: row[name] for name in names})


def check(path, box, at_least: int, last_frames: int = 10**9) -> int:
    """Rows and (the last) frames of a file as `append` gave them; how many there are."""
    t = load(path)
    n = len(t.samples)
    assert min(n, len(t.frames)) >= at_least
    for place, entry in enumerate(COLUMNS):
        assert np.array_equal(t.samples[entry.name], np.arange(n) * 100 + place), entry.name
    for step in range(max(0, len(t.frames) - last_frames), len(t.frames)):
        expected = np.random.default_rng(step).integers(0, 3, box.n_sites)
        assert np.array_equal(t.frames[step].occupancy, expected)
    return n


@pytest.mark.slow
def test_whatever_a_cut_during_a_commit_leaves_is_read(disk, tmp_path, monkeypatch):
    """Cuts after each write of many commits; the indices grow through all kinds of block."""
    chance = random.Random(2)
    box, path, cut = fake.lattice(cells=(4, 4)), tmp_path / "run.h5", tmp_path / "cut.h5"
    writer = new_writer(path, box)
    flushed, looked, journals = 0, 0, []
    write = Transaction._write

    def write_and_cut(self, offset, data):
        nonlocal looked
        write(self, offset, data)
        if chance.random() < 0.2 or (looked < 20 and offset == self.base_size):
            cut.write_bytes(disk.layers[-1].after_a_cut(chance))
            check(cut, box, flushed, last_frames=3)
            looked += 1
            journals.append(recovered(cut) is not None)

    monkeypatch.setattr(Transaction, "_write", write_and_cut)
    for count in (1, 2, 1, 36):
        for step in range(flushed, flushed + count):
            append(writer, box, step)
        writer.flush()
        flushed += count
        disk.layers = disk.layers[-1:]
    writer.close(finished=True, stop_reason="done")
    assert looked > 40
    assert check(path, box, flushed) == flushed
    assert len(disk.layers[-1].pending) == 0
    assert any(journals), "no cut left a file that needs its journal: the test is blind"


@pytest.mark.slow
def test_after_a_cut_a_run_goes_on_and_a_file_is_repaired(disk, tmp_path, monkeypatch):
    """With everything of the last commit lost that was not synchronised, but its journal."""
    path, left = tmp_path / "run.h5", []
    write = Transaction._write

    def write_and_keep(self, offset, data):
        write(self, offset, data)
        if offset != self.base_size:
            left.append(disk.layers[-1].after_a_cut(random.Random(len(left))))

    monkeypatch.setattr(Transaction, "_write", write_and_keep)
    monkeypatch.setattr("kmc.systems.electrode.run._FLUSH_EVERY_S", 0.0)
    monkeypatch.setattr("kmc.systems.electrode.run._FIRST_CHUNK", 500)
    monkeypatch.setattr("kmc.systems.electrode.run._next_chunk", lambda *_: 500)
    run_to_file(load_run("strip_li", SMALL), path, progress=False)
    monkeypatch.undo()
    whole = load(path)
    assert len(left) > 20
    cut, chosen = tmp_path / "cut.h5", 0
    for content in random.Random(4).sample(left, len(left)):
        cut.write_bytes(content)
        if recovered(cut) is None or chosen == 2:
            continue
        chosen += 1
        assert verify(cut).passed, verify(cut).breach
        repair(cut, tmp_path / "repaired.h5", overwrite=True)
        assert verify(tmp_path / "repaired.h5").passed
        if not load(cut).finished:
            resume.resume(cut, progress=False)
        assert np.array_equal(load(cut).samples.time_s, whole.samples.time_s)
    assert chosen == 2


def test_a_kill_at_each_write_of_the_last_commit(tmp_path, monkeypatch):
    """`resume` completes the file from the journal, and every reader then sees the end."""
    path, cut, left = tmp_path / "run.h5", tmp_path / "cut.h5", []
    write, commit = Transaction._write, Transaction.commit

    def write_and_keep(self, offset, data):
        if self._path == path:
            left.append(path.read_bytes())
            whole = memoryview(bytes(data))
            write(self, offset, whole[: len(whole) // 2])
            left.append(path.read_bytes())
        write(self, offset, data)

    def noted_commit(self):
        left.clear()
        commit(self)

    monkeypatch.setattr(Transaction, "_write", write_and_keep)
    monkeypatch.setattr(Transaction, "commit", noted_commit)
    run_to_file(load_run("strip_li", SMALL), path, progress=False)
    monkeypatch.undo()
    whole, outcomes = load(path), []
    assert len(left) >= 8
    for content in left:
        cut.write_bytes(content)
        finished, needed = load(cut).finished, recovered(cut) is not None
        with pytest.warns(match="completed from the") if needed else contextlib.nullcontext():
            found = resume.resume(cut, progress=False)
        assert found.finished
        with h5py.File(cut) as file:
            assert file.attrs["finished"]
            assert file.attrs["stop_reason"] == whole.stop_reason
        assert np.array_equal(found.samples.time_s, whole.samples.time_s)
        assert recovered(cut) is None
        if needed:
            assert finished
            assert cut.read_bytes() == path.read_bytes()
            with pytest.raises(InputError, match="is finished"):
                resume.resume(cut, progress=False)
        outcomes.append(needed)
    assert 4 < sum(outcomes) < len(outcomes)


def test_journals_that_kmc_did_not_write_are_not_used(tmp_path):
    path = fake.write(tmp_path / "run.h5", n_frames=1)
    whole = path.read_bytes()
    change, footer = transaction._CHANGE.pack, transaction._FOOTER.pack
    one = change(0, 4) + b"none"
    many = b"".join(change(place, 1) + b"x" for place in range(5000))
    for body in (one[:-3], one + b"rest", change(2**63, 1) + b"x", many):
        end = footer(len(whole), len(body), zlib.crc32(body), b"kmc journal\n")
        path.write_bytes(whole + body + end)
        assert recovered(path) is None
        assert load(path).finished


def test_a_journal_that_is_damaged_or_done_is_not_used(disk, tmp_path):
    box, path = fake.lattice(cells=(4, 4)), tmp_path / "run.h5"
    writer = new_writer(path, box)
    append(writer, box, 0)
    writer.flush()
    data = path.read_bytes()
    assert data.endswith(b"kmc journal\n")
    assert recovered(path) is None  # all of it is in the file
    before = disk.layers[-1]
    append(writer, box, 1)
    writer.flush()
    writer.close(finished=True, stop_reason="done")
    assert before is not disk.layers[-1]
    base = path.read_bytes()
    for tail in (b"kmc journal\n" * 20, data[-60:], b"\0" * 28 + b"kmc journal\n"):
        path.write_bytes(base + tail)
        assert recovered(path) is None
        assert check(path, box, 2) == 2


def test_a_finished_file_ends_where_hdf5_says(tmp_path):
    from kmc.files.transaction import stored_end

    path = fake.write(tmp_path / "run.h5", box=fake.lattice(cells=(4, 4)), n_frames=2)
    assert stored_end(path.read_bytes()[:64]) == path.stat().st_size


# --- files that are replaced as a whole -----------------------------------------------------------


def assert_complete(disk, name: str) -> None:
    """Each replaced file was on the disk before it got its name, and then the name was."""
    mine = [(old, new) for target, old, new in disk.replaced if target.name == name]
    assert mine
    for _, new in mine:
        assert new, "a power cut leaves an empty file"
    assert not disk.unsynced_folders


def test_run_resume_and_extend(disk, tmp_path):
    path = tmp_path / "run.h5"
    run_to_file(load_run("strip_li", {**SMALL, "stop.wall_time_s": 1e-9}), path, progress=False)
    assert_complete(disk, "run.h5")
    before = load(path)
    resume.extend(path, {"stop.wall_time_s": None}, progress=False)
    assert_complete(disk, "run.h5")
    target, old, new = disk.replaced[-1]
    assert target == path
    for content, n in ((old, len(before.samples)), (new, 1)):
        (tmp_path / "cut.h5").write_bytes(content)
        assert len(load(tmp_path / "cut.h5").samples) >= n - 1
    assert verify(path).passed


def test_every_other_file_that_is_replaced(disk, tmp_path):
    with replacing(tmp_path / "table.csv") as beside:
        beside.write_text("1,2\n")
    assert_complete(disk, "table.csv")
    assert disk.replaced[-1][2] == b"1,2\n"
    file = tmp_path / "study.toml"
    file.write_text('run = "strip_li"\n[grid]\n"conditions.temperature_K" = [300, 310]\n')
    folder = make_folder(tmp_path / "out", read_plan(file))
    assert_complete(disk, "index.json")
    assert_complete(disk, "sweep.toml")
    folder.prepare(folder.plan.points[0])
    assert_complete(disk, f"{folder.plan.points[0].name}.toml")


def test_a_point_gets_its_name_when_it_is_on_the_disk(disk, tmp_path):
    from kmc.campaign.run_point import run_point

    file = tmp_path / "study.toml"
    text = "".join(f'"{key}" = {value}\n' for key, value in SMALL.items())
    file.write_text(f'run = "strip_li"\n[grid]\n"conditions.temperature_K" = [300]\n[set]\n{text}')
    folder = make_folder(tmp_path / "out", read_plan(file))
    (point,) = folder.plan.points
    with folder.owned() as owner:
        folder.prepare(point)
        assert run_point(str(folder.path), point.name, owner)["state"] == "done"
    assert_complete(disk, f"{point.name}.h5")
    assert disk.replaced[-1][2] == folder.trajectory_path(point).read_bytes()
