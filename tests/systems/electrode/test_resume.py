"""Runs that stop and go on: what they write is what an undisturbed run writes."""

from __future__ import annotations

import math
import os
import random
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
from marks import slow, slow_but
from same_files import assert_same
from table_files import edited

from kmc import load
from kmc.common.progress import Silent
from kmc.errors import InputError
from kmc.files import checkpoint
from kmc.files.saving import SavedWhole, WriteLock
from kmc.files.table_file import TableWriter
from kmc.runfile.load import load_run
from kmc.systems import job, system
from kmc.systems import run as resume
from kmc.systems.electrode import run
from kmc.systems.run import run_to_file

BASE = {
    "system.size": [8, 8, 10],
    "acceleration.max_hops_per_strip_per_site": 3e3,
    "stop.capacity_monolayers": 1.0,
    "output.sample_every_monolayers": 0.05,
    "output.frame_every_monolayers": 0.2,
}
CLOSED = {
    "conditions.current_density_mA_cm2": 0.0,
    "acceleration.max_hops_per_strip_per_site": None,
    "acceleration.saddle_floor_eV": 0.1,
    "stop.capacity_monolayers": None,
    "stop.events": 20_000,
    "output.sample_every_monolayers": None,
    "output.frame_every_monolayers": None,
    "output.sample_every_s": 1e-8,
    "output.frame_every_events": 3000,
    "system.vacancy_fraction": 0.02,
}
KINDS = {
    "li": ("strip_li_hops", BASE),
    "limg_110": ("strip_limg", {**BASE, "system.lattice": "bcc_110"}),
    "limg_111": ("strip_limg", {**BASE, "system.lattice": "bcc_111"}),
    "bulk": ("strip_limg", {**BASE, **CLOSED, "system.boundary": "periodic",
                            "system.mg_coverage_L1": None}),
    "held voltage under pressure": (
        "strip_limg",
        {**BASE, "conditions.current_density_mA_cm2": None, "conditions.overpotential_V": 0.02,
         "conditions.stack_pressure_MPa": 3.0, "stop.capacity_monolayers": 0.5},
    ),
    "rest": ("strip_li_hops", {**BASE, "stop.capacity_monolayers": 0.5, "rest.time_s": 0.1}),
    "flaws": ("strip_li_hops", {**BASE, "interface.patches": [[1.0, 1.0, 0.6]], "system.lattice":
                           "bcc_111", "interface.void_density_per_um2": 1e5,
                           "interface.void_radius_nm": 0.7, "interface.void_height_nm": 0.5}),
    "superbasins": ("lithiophilic_exact", {**BASE, "acceleration.max_hops_per_strip_per_site": None,
                                           "stop.capacity_monolayers": 3.0}),
    "patchy": ("patchy", {**BASE, "interface.correlation_length_nm": 0.7}),
    "equilibrium": ("strip_li", {**BASE, "system.size": [12, 12, 12],
                                 "acceleration.max_hops_per_strip_per_site": math.inf}),
}  # fmt: skip


@pytest.fixture(scope="module")
def whole(request, tmp_path_factory):
    """Path of an undisturbed run of a kind, computed once."""
    done = {}

    def get(kind):
        if kind not in done:
            done[kind] = tmp_path_factory.mktemp("whole") / f"{kind}.h5"
            run_to_file(load_run(*KINDS[kind]), done[kind], progress=False)
        return done[kind]

    return get


class StopAfter(Silent):
    """Asks a run to stop after so many chunks of the loop; it is shown before it is carried out."""

    def __init__(self, interruption, chunks):
        self.interruption, self.chunks = interruption, chunks

    def update(self, fraction, text):
        self.chunks -= 1
        self.interruption().requested = self.chunks <= 0


def run_in_pieces(monkeypatch, kind, path, chance) -> int:
    """Run a kind to its end, interrupted at random; returns how often."""
    most = 15 if kind == "equilibrium" else 3000  # attempts are strips there, some 140
    monkeypatch.setattr(run, "_next_chunk", lambda *_: chance.randrange(1, most))
    monkeypatch.setattr(run, "_FIRST_CHUNK", min(500, most))
    pieces = []

    def progress_for(*_):
        pieces.append(1)
        return StopAfter(lambda: interruption, chance.randrange(1, 12))

    class Captured(job.Interruption):
        def __enter__(self):
            nonlocal interruption
            interruption = super().__enter__()
            return interruption

    interruption = None
    monkeypatch.setattr(job, "Interruption", Captured)
    monkeypatch.setattr(system, "progress_for", progress_for)
    trajectory = run_to_file(load_run(*KINDS[kind]), path)
    while not trajectory.finished:
        assert trajectory.stop_reason == "interrupted"
        trajectory = resume.resume(path, check_every=5000)
    return len(pieces)


QUICK_KINDS = ("li", "limg_110", "bulk")


@pytest.mark.slow
@pytest.mark.parametrize("kind", slow_but(QUICK_KINDS, KINDS))
def test_an_interrupted_run_goes_on_as_if_nothing_had_happened(kind, whole, tmp_path, monkeypatch):
    path = tmp_path / "pieces.h5"
    expected = whole(kind)
    assert run_in_pieces(monkeypatch, kind, path, random.Random(7)) >= 3
    assert_same(path, expected)


@pytest.mark.slow
def test_a_finished_run_is_not_resumed_but_extended(whole, tmp_path):
    kind, path = "li", tmp_path / "short.h5"
    base, overrides = KINDS[kind]
    run_to_file(
        load_run(base, {**overrides, "stop.capacity_monolayers": 0.33}), path, progress=False
    )
    with pytest.raises(InputError, match=r"short\.h5 is finished: capacity_mono"):
        resume.resume(path)
    with pytest.raises(InputError, match="there already"):
        resume.extend(path, {"stop.capacity_monolayers": 0.2})
    with pytest.raises(InputError, match=r"seed.*\n.*its end alone can change: .*stop\."):
        resume.extend(path, {"random.seed": 3})
    with pytest.raises(InputError, match="no new end"):
        resume.extend(path, {})
    assert len(load(path).frames) == 3  # 0, 0.2 and the end
    resume.extend(path, {"stop.capacity_monolayers": 1.0}, progress=False)
    assert_same(path, whole(kind))
    assert load(path).provenance["continued"].startswith("1 times")


def test_a_run_stopped_by_its_wall_time_can_go_on(whole, tmp_path):
    base, overrides = KINDS["li"]
    path = tmp_path / "batch.h5"
    first = run_to_file(
        load_run(base, {**overrides, "stop.wall_time_s": 1e-9}), path, progress=False
    )
    assert first.stop_reason == "wall_time_s reached 1e-09"
    resume.extend(path, {"stop.wall_time_s": None}, progress=False)
    assert_same(path, whole("li"))


def test_killed_between_the_end_and_saying_so(whole, tmp_path, monkeypatch):
    """The end is on the disk as a checkpoint before the file is marked as finished."""
    base, overrides = KINDS["li"]
    path = tmp_path / "killed.h5"
    monkeypatch.setattr(TableWriter, "close", lambda self, checkpoint, **_: self.flush(checkpoint))
    run_to_file(load_run(base, overrides), path, progress=False)
    monkeypatch.undo()
    assert not load(path).finished
    trajectory = resume.resume(path, progress=False)
    assert trajectory.stop_reason == "capacity_monolayers reached 1"
    assert_same(path, whole("li"))


def test_two_processes_do_not_write_one_file(whole, tmp_path, monkeypatch):
    run_file = load_run(*KINDS["li"])
    path = tmp_path / "busy.h5"
    run_to_file(run_file, path, progress=False, observer=lambda *_: True)
    lock = WriteLock(path)
    with pytest.raises(InputError, match="being written by another process"):
        resume.resume(path)
    lock.release()
    resume.resume(path, progress=False)
    assert_same(path, whole("li"))


def test_another_parameter_set_is_not_mixed_in(tmp_path):
    own = tmp_path / "own.toml"
    own.write_text(Path(load_run("strip_li_hops").parameter_set().origin).read_text())
    base, overrides = KINDS["li"]
    path = tmp_path / "own.h5"
    run_to_file(
        load_run(base, {**overrides, "system.params": str(own), "stop.capacity_monolayers": 0.1}),
        path,
        progress=False,
    )
    own.write_text(own.read_text().replace("value = 0.055", "value = 0.056"))
    with pytest.raises(InputError, match=r"cannot be continued.*0\.055"):
        resume.extend(path, {"stop.capacity_monolayers": 0.2})
    own.unlink()
    with pytest.raises(InputError, match=r"own\.toml"):
        resume.extend(path, {"stop.capacity_monolayers": 0.2})


@pytest.mark.parametrize(
    "change",
    [
        {"phase": {"phase": 0, "colour": "red"}},
        {"phase": {"phase": -1e308, "time_s": 0.0, "events": 0, "before": ""}},
        {"recorded": [1]},
        {"recorded": [[1], 2]},
        {"hop_bins": None},
        {"clock": "late"},
        {"clock": np.full(8, np.nan)},
        {"occupancy": np.zeros(3, dtype=np.uint8)},
        {"generator": {"bit_generator": "os"}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_checkpoint_that_makes_no_sense_is_refused(whole, tmp_path, change):
    path = tmp_path / "odd.h5"
    path.write_bytes(whole("li").read_bytes())
    with edited(path) as file:
        state = checkpoint.unpack(file["checkpoint"].tobytes())
        file["checkpoint"] = np.frombuffer(checkpoint.pack(state | change), np.uint8)
    before = path.read_bytes()
    with pytest.raises(InputError, match="checkpoint does not fit the run"):
        resume.extend(path, {"stop.capacity_monolayers": 2.0}, progress=False)
    assert path.read_bytes() == before


# --- kill -9 --------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "files", "chunk"),
    [("limg_110", 4, 700), slow("limg_110", 50, 700), slow("equilibrium", 4, 5)],
)
def test_files_as_kills_leave_them(kind, files, chunk, whole, tmp_path, monkeypatch):
    """After a kill the file is what the last save left; each of these becomes the same run."""
    run_file = load_run(*KINDS[kind])
    left = []
    put = SavedWhole._put

    def put_and_keep(self, content, until_s):
        put(self, content, until_s)
        left.append(bytes(content))

    monkeypatch.setattr(SavedWhole, "_put", put_and_keep)
    monkeypatch.setattr("kmc.systems.job._SAVE_EVERY_S", 0.0)
    monkeypatch.setattr("kmc.systems.job._SAVING_SHARE", 1e9)
    monkeypatch.setattr(run, "_next_chunk", lambda *_: chunk)
    monkeypatch.setattr(run, "_FIRST_CHUNK", chunk)
    run_to_file(run_file, tmp_path / "run.h5", progress=False)
    monkeypatch.undo()
    assert_same(tmp_path / "run.h5", whole(kind))
    assert len(left) > 20
    path = tmp_path / "left.h5"
    for content in random.Random(11).sample(left, min(files, len(left))):
        path.write_bytes(content)
        if not load(path).finished:
            resume.resume(path, progress=False)
        assert_same(path, tmp_path / "run.h5")


LONG = {
    **BASE,
    **CLOSED,
    "stop.events": 3_000_000,
    "output.sample_every_s": None,
    "output.sample_every_events": 20_000,
    "output.frame_every_events": 300_000,
}


def until_killed(path, kill_after: int, calls: int) -> int:
    """Signal that ended a process which runs, or resumes, and kills itself on the way; 0: none did.

    It writes a checkpoint after every 20 000 attempts; behind its checkpoint number `kill_after` it
    calls so many more functions.
    """
    child = os.fork()
    if child == 0:
        try:
            _run_and_die(path, kill_after, calls)
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _run_and_die(path, kill_after: int, calls: int) -> None:
    left = {"checkpoints": kill_after, "calls": calls}
    flush = TableWriter.flush

    def die(frame, event, argument):
        left["calls"] -= 1
        if left["calls"] < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def counted(self, *arguments):
        flush(self, *arguments)
        left["checkpoints"] -= 1
        if left["checkpoints"] == 0:
            sys.setprofile(die)

    TableWriter.flush = counted
    job._SAVE_EVERY_S, job._SAVING_SHARE = 0.0, 1e9
    run._next_chunk = lambda *_: 20_000
    if path.exists():
        resume.resume(path, progress=False)
    else:
        run_to_file(load_run("strip_li_hops", LONG), path, progress=False)


def position(path) -> int:
    """How far the run is that would go on from this file, in attempts; 0 for its beginning."""
    state = load(path).checkpoint
    return state["attempts"] if state else 0


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
@pytest.mark.parametrize("kills", [4, slow(10)])
def test_killed_several_times(tmp_path, kills):
    """kill -9 of a run and of its continuations, in the midst of whatever follows a checkpoint.

    The moment is counted in checkpoints and calls of functions: the speed of the machine plays no
    part.
    """
    expected, path = tmp_path / "expected.h5", tmp_path / "killed.h5"
    run_to_file(load_run("strip_li_hops", LONG), expected, progress=False)
    chance, reached = random.Random(3), [0]
    while len(reached) <= kills:
        code = until_killed(path, chance.randint(1, 12), chance.randrange(3000))
        assert code == -signal.SIGKILL
        reached.append(position(path))
    assert reached == sorted(set(reached))
    assert not load(path).finished
    resume.resume(path, progress=False)
    assert_same(path, expected)


def test_the_second_of_two_runs_into_a_new_file_ends_at_its_first_save(tmp_path):
    """No file was there when they began: the one that saves later would compute for nothing."""
    first, second = SavedWhole(tmp_path / "run.h5"), SavedWhole(tmp_path / "run.h5")
    first.save(memoryview(b"first"))
    with pytest.raises(InputError, match="being written by another process"):
        second.save(memoryview(b"second"))
    first.save(memoryview(b"more"))
    first.release()
    assert (tmp_path / "run.h5").read_bytes() == b"more"
