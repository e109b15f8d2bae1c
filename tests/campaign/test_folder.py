"""The folder of a sweep: what it remembers, what it refuses, and that one works on it at a time."""

from __future__ import annotations

import errno
import functools
import json
import operator
import os
import subprocess
import sys
from pathlib import Path

import fake
import pytest

from kmc.campaign import point_files, scalars
from kmc.campaign.dataset import load_sweep
from kmc.campaign.execute import run_plan
from kmc.campaign.folder import check_folder, make_folder, open_folder
from kmc.campaign.plan import read_plan
from kmc.common.version import __version__
from kmc.errors import InputError, KmcError, KmcWarning
from kmc.plotting.report.sources import report

WHOLE = b"\x89HDF\r\n\x1a\n" + bytes(100)  # what a quick look takes for complete
TWO = 'run = "strip_li"\n[grid]\n"conditions.temperature_K" = [300, 310]\n'


@pytest.fixture
def plan_of(tmp_path):
    def read(text: str):
        path = tmp_path / "study.toml"
        path.write_text(text, encoding="utf-8")
        return read_plan(path)

    return read


@pytest.fixture
def folder(plan_of, tmp_path):
    return make_folder(tmp_path / "out", plan_of(TWO))


def states(folder) -> list[str]:
    return [row.state for row in folder.status()]


def test_opened_again_it_is_the_same(folder):
    again = open_folder(folder.path)
    assert again.plan == folder.plan
    assert again.plan.points == folder.plan.points
    assert states(again) == ["missing", "missing"]
    assert (folder.path / "sweep.toml").read_text() == TWO


def test_states_of_points(folder):
    first, second = folder.plan.points
    folder.trajectory_path(first).write_bytes(WHOLE)
    folder.record_done(first, 1.5)
    folder.record_failure(second, "it broke", "somewhere", 0.5)
    assert states(folder) == ["done", "failed"]
    assert folder.status()[1].error == "it broke"
    report = json.loads(folder.failure_path(second).read_text())
    assert report["settings"] == {"conditions.temperature_K": 310}
    assert [line.wall_s for line in folder.log()] == [1.5, 0.5]
    folder.prepare(second)
    assert states(folder) == ["done", "missing"]
    assert folder.run_file_path(second).exists()


def test_a_file_that_is_no_trajectory_is_no_point_that_is_done(folder):
    folder.trajectory_path(folder.plan.points[0]).write_bytes(b"not a trajectory")
    assert states(folder) == ["missing", "missing"]


def test_unfinished_files_are_not_points(folder):
    for name in ("{}.part.h5", ".{}.h5"):
        (folder.path / "points" / name.format(folder.plan.points[0].name)).write_bytes(b"x")
    assert states(folder) == ["missing", "missing"]


def test_a_finished_point_whose_file_is_empty_or_cut_short_is_not_done(folder):
    point = folder.plan.points[0]
    folder.record_done(point, 1.0)
    for content in (b"", b"not a trajectory", WHOLE[:7]):
        folder.trajectory_path(point).write_bytes(content)
        assert states(folder) == ["missing", "missing"]


def test_a_damaged_trajectory_is_set_aside_and_said(folder):
    point = folder.plan.points[0]
    folder.record_done(point, 1.0)
    folder.trajectory_path(point).write_bytes(WHOLE)
    with pytest.warns(KmcWarning, match=r"was set aside as .*\.aside-1\.h5, and the point starts"):
        assert folder.clean_up() == set()
    assert not folder.trajectory_path(point).exists()
    aside = folder.path / "points" / f"{point.name}.aside-1.h5"
    assert aside.read_bytes() == WHOLE
    assert states(folder) == ["missing", "missing"]


def test_drafts_that_kills_left_behind_are_removed(folder):
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    dead = [folder.path / f".index.{process.pid}.part.json",
            folder.path / "points" / f".a.h5.{process.pid}.part"]  # fmt: skip
    of_this_process = folder.path / "points" / f".b.h5.{os.getpid()}.part"
    for path in (*dead, of_this_process):
        path.write_bytes(b"half")
    folder.clean_up()
    assert [path.exists() for path in (*dead, of_this_process)] == [False, False, True]


def test_permissions_of_a_file_survive(folder):
    for name in ("index.json", "sweep.toml"):
        (folder.path / name).chmod(0o640)
        folder.write(name, "new")
        assert (folder.path / name).stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    "content", [b"\xff\xfe\x00", b"{}\n[]\n3\n", b'{"name": {}, "state": 1, "wall_s": []}\n']
)
def test_damaged_lines_of_the_log_are_left_out(folder, content):
    (folder.path / "log.jsonl").write_bytes(content)
    assert folder.log() == []
    assert folder.clean_up() == set()
    folder.record_done(folder.plan.points[0], 1.0)
    assert [line.name for line in folder.log()] == [folder.plan.points[0].name]


def test_a_folder_without_its_index_goes_on_with_the_same_sweep_file(folder, plan_of):
    """What the message about a damaged index says to do."""
    first = folder.plan.points[0]
    fake.write(folder.trajectory_path(first), box=fake.lattice(cells=(4, 4)), n_frames=1)
    folder.record_done(first, 1.0)
    (folder.path / "index.json").write_bytes(b"\0" * 100)
    with pytest.raises(InputError, match=r"index\.json is damaged(.|\n)*Remove that file only"):
        make_folder(folder.path, plan_of(TWO))
    (folder.path / "index.json").unlink()
    with pytest.raises(InputError, match="differs from the sweep file given"):
        make_folder(folder.path, plan_of(TWO.replace("310", "320")))
    again = make_folder(folder.path, plan_of(TWO))
    assert again.clean_up() == {first.name}
    assert open_folder(folder.path).plan.points == again.plan.points


WRONG = ["x", -1, None, [], {}, 1e400, 2**70, True, "none", [[[]]], {"a": 1}]


def places(value, path=()):
    """Paths of all that is in a JSON value."""
    yield path
    named = list(value.items()) if isinstance(value, dict) else []
    for key, item in named or (enumerate(value) if isinstance(value, list) else ()):
        yield from places(item, (*path, key))


SEED = ("plan", "points", 0, "seed")


@pytest.mark.parametrize(
    ("chosen", "values"),
    [([SEED], ["x", -1]), pytest.param(None, WRONG, marks=pytest.mark.slow)],
)
def test_any_other_value_in_the_index_is_told(folder, chosen, values):
    """Or does not matter, such as the version of kmc; no other error is raised."""
    text = (folder.path / "index.json").read_text()
    refused = 0
    for path in chosen or places(json.loads(text)):
        for wrong in values:
            index = {"": json.loads(text)}
            *way, last = ("", *path)
            functools.reduce(operator.getitem, way, index)[last] = wrong
            (folder.path / "index.json").write_text(json.dumps(index[""]))
            try:
                load_sweep(folder.path, progress=False)
            except InputError:
                refused += 1
    assert refused == len(values) if chosen else refused > 100


@pytest.mark.parametrize("name", ["scalars.jsonl", "log.jsonl"])
def test_damaged_numbers_are_read_again(folder, name):
    point = folder.plan.points[0]
    fake.write(folder.trajectory_path(point), box=fake.lattice(cells=(4, 4)), n_frames=1)
    folder.record_done(point, 1.0)
    for entry in ("[" * 100_000, "5", '{"at": 5}', '{"at": {}, "onset": [], "final": {}}'):
        version = f'"version": {scalars._VERSION}, "kmc": "{__version__}"'
        text = f'{{{version}, "name": "{point.name}", "entry": {entry}}}'
        (folder.path / name).write_text(text)
        assert load_sweep(folder.path, progress=False).contact_fraction.notnull().sum() == 1


KEPT = (
    *("sweep.toml", "index.json", "scalars.jsonl", "log.jsonl", "lock", "owner", "critical.png"),
    *("points/P.h5", "points/P.toml", "failures/P.json", "running/P.json", "running/.P.lock"),
)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
@pytest.mark.parametrize("name", KEPT)
def test_links_and_pipes_in_place_of_files_are_refused(folder, plan_of, tmp_path, name):
    """Of a stranger's folder nothing is read from elsewhere, and nothing elsewhere is replaced."""
    path = folder.path / name.replace("P", folder.plan.points[0].name)
    outside = tmp_path / "mine.txt"
    outside.write_text("mine")
    for make in (lambda: path.symlink_to(outside), lambda: os.mkfifo(path)):
        path.unlink(missing_ok=True)
        make()
        for use in (
            lambda: load_sweep(folder.path, progress=False),
            lambda: make_folder(folder.path, plan_of(TWO)),
            lambda: run_plan(plan_of(TWO), folder.path, progress=False),
            lambda: report(folder.path, tmp_path / "report.html"),
        ):
            with pytest.raises(InputError, match=f"{path.name} is (a link|no regular file)"):
                use()
    assert outside.read_text() == "mine"


def test_a_folder_deeper_than_python_calls_itself(folder, monkeypatch):
    monkeypatch.chdir(folder.path)
    for _ in range(1200):
        os.mkdir("d")
        os.chdir("d")
    Path("link").symlink_to("/dev/zero")
    with pytest.raises(InputError, match="link is a link"):
        open_folder(folder.path)
    os.unlink("link")
    for _ in range(1200):  # which the remover of temporary folders cannot
        os.chdir("..")
        os.rmdir("d")


def test_a_link_to_the_folder_is_the_users(folder, tmp_path):
    (tmp_path / "short").symlink_to(folder.path)
    assert len(open_folder(tmp_path / "short").plan.points) == 2


def test_folders_that_cannot_be_written_are_refused_before_any_work(plan_of, tmp_path, monkeypatch):
    def refused(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refused)
    with pytest.raises(InputError, match="cannot be written: Permission denied"):
        make_folder(tmp_path / "out", plan_of(TWO))


def test_a_folder_in_place_of_a_progress_file_stops_nothing(folder):
    (folder.path / "running" / "x.json").mkdir()
    with folder.owned():
        assert states(folder) == ["missing", "missing"]


def test_names_of_points_in_an_index_stay_in_the_folder(folder):
    index = json.loads((folder.path / "index.json").read_text())
    index["plan"]["points"][0]["name"] = "../../outside"
    (folder.path / "index.json").write_text(json.dumps(index))
    with pytest.raises(InputError, match="impossible name"):
        open_folder(folder.path)


def test_a_log_cut_short_is_read_as_far_as_it_goes(folder):
    folder.record_done(folder.plan.points[0], 1.0)
    with open(folder.path / "log.jsonl", "a", encoding="utf-8") as file:
        file.write('{"name": "tempe')
    assert len(folder.log()) == 1
    folder.record_done(folder.plan.points[1], 2.0)
    assert [line.wall_s for line in folder.log()] == [1.0, 2.0]


def test_more_values_and_replicas_extend_it(folder, plan_of):
    first = folder.plan.points[0]
    folder.trajectory_path(first).write_bytes(WHOLE)
    folder.record_done(first, 1.0)
    more = 'run = "strip_li"\nreplicas = 2\n[grid]\n"conditions.temperature_K" = [290, 300, 310]\n'
    make_folder(folder.path, plan_of(more))
    rows = open_folder(folder.path).status()
    assert len(rows) == 6
    assert [row.name for row in rows if row.state == "done"] == [first.name]
    assert (folder.path / "sweep.toml").read_text() == more


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TWO.replace("300, ", ""), "1 points that are not in this one"),
        (
            TWO.replace("strip_li", "strip_limg"),
            "system.mg_coverage_L1 is not given there|params|max_hops",
        ),
        ("seed = 5\n" + TWO, "seed = 1, here seed = 5"),
        (TWO + '[set]\n"stop.capacity_monolayers" = 1\n', "capacity_monolayers is 2 there and 1"),
        (TWO + '"stop.events" = [5]\n', "there conditions.temperature_K vary"),
    ],
)
def test_another_sweep_is_refused(folder, plan_of, text, message):
    with pytest.raises(InputError, match=message):
        make_folder(folder.path, plan_of(text))
    assert (folder.path / "sweep.toml").read_text() == TWO


def test_a_changed_parameter_file_is_refused(plan_of, tmp_path):
    from kmc.common import catalogue

    own = tmp_path / "own.toml"
    text = catalogue.read_text(catalogue.locate("params", "li_li2s"))
    own.write_text(text, encoding="utf-8")
    sweep = TWO + '[set]\n"system.params" = "own.toml"\n'
    make_folder(tmp_path / "own_out", plan_of(sweep))
    own.write_text(text + "\n# another\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"own\.toml has changed"):
        make_folder(tmp_path / "own_out", plan_of(sweep))


def test_a_folder_of_something_else_is_refused(plan_of, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("dear")
    with pytest.raises(InputError, match="not the folder of a sweep"):
        make_folder(tmp_path / "thesis", plan_of(TWO))
    with pytest.raises(InputError, match="is no folder"):
        open_folder(tmp_path / "nowhere")
    with pytest.raises(InputError, match="no folder"):
        check_folder(tmp_path / "no" / "where", plan_of(TWO))


@pytest.mark.parametrize("index", ["", "{", "[]", '{"version": 1, "plan": {}}', '{"plan": 3}'])
def test_a_damaged_index_is_told(folder, index):
    (folder.path / "index.json").write_text(index)
    with pytest.raises(InputError):
        open_folder(folder.path)


def test_an_index_of_a_newer_kmc_is_told(folder):
    index = json.loads((folder.path / "index.json").read_text())
    (folder.path / "index.json").write_text(json.dumps({**index, "version": 99}))
    with pytest.raises(InputError, match="Update kmc"):
        open_folder(folder.path)


def test_a_kill_before_the_index_leaves_a_folder_that_can_be_made(plan_of, tmp_path):
    path = tmp_path / "early"
    (path / "points").mkdir(parents=True)
    (path / "sweep.toml").write_text(TWO)
    assert states(make_folder(path, plan_of(TWO))) == ["missing", "missing"]


def test_the_second_owner_is_refused(folder):
    with folder.owned() as owner:
        assert (folder.path / "owner").read_text() == owner
        with (
            pytest.raises(InputError, match="another kmc sweep is running"),
            open_folder(folder.path).owned(),
        ):
            pass
        assert open_folder(folder.path).is_locked()
    assert not folder.is_locked()
    assert not (folder.path / "owner").exists()


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks(folder, monkeypatch, number):
    """A file keeps others out instead, with a warning; nothing is said of a full disk."""
    fcntl = pytest.importorskip("fcntl")

    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    point_files._has_locks.cache_clear()
    try:
        use = folder.owned()
        with pytest.warns(KmcWarning, match="has no locks") as noted:
            use.__enter__()
        assert len(noted) == 1
        assert folder.is_locked()
        other = open_folder(folder.path)
        with pytest.raises(InputError, match="another kmc sweep") as told, other.owned():
            pass
        assert "remove" in told.value.advice
        use.__exit__(None, None, None)
        assert not folder.is_locked()
        assert os.listdir(folder.path).count("lock.held") == 0
    finally:
        point_files._has_locks.cache_clear()


def test_the_lock_goes_with_a_killed_process(folder):
    code = (
        "import sys; from kmc.campaign.folder import open_folder\n"
        "with open_folder(sys.argv[1]).owned(): print('mine', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(folder.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout.readline() == "mine\n"
        assert folder.is_locked()
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()
    with folder.owned():
        pass


def test_a_point_is_running_while_somebody_works_on_it(folder):
    with folder.owned():
        name = folder.plan.points[0].name
        (folder.path / "running" / f"{name}.json").write_text('{"fraction": 0.5, "text": "half"}')
        assert states(open_folder(folder.path)) == ["running", "missing"]
        assert folder.progress(folder.plan.points[0]) == (0.5, "half")
    assert states(folder) == ["missing", "missing"]


def test_nothing_is_written_in_place(folder, monkeypatch):
    """A disk that fills while a file is written leaves the file as it was."""
    import pathlib

    def full(self, *arguments, **keywords):
        self.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pathlib.Path, "write_text", full)
    with pytest.raises(KmcError, match="No space left"):
        folder.write("sweep.toml", "new")
    assert (folder.path / "sweep.toml").read_text() == TWO
    assert [name for name in os.listdir(folder.path) if name.startswith(".")] == []
