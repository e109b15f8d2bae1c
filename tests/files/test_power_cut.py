"""Power cuts: every file that is replaced is on the disk before it gets its name."""

from __future__ import annotations

import sys

import pytest
from power import Disk

from kmc import load, verify
from kmc.campaign.folder import make_folder
from kmc.campaign.plan import read_plan
from kmc.common.outputs import replacing
from kmc.runfile.load import load_run
from kmc.systems import run as resume
from kmc.systems.run import run_to_file

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

SMALL = {
    "system.size": [6, 6, 8],
    "acceleration.max_hops_per_strip_per_site": 1e3,
    "stop.capacity_monolayers": 0.3,
}


@pytest.fixture
def disk(monkeypatch):
    return Disk(monkeypatch)


def assert_complete(disk, name: str) -> None:
    """Each replaced file was on the disk before it got its name, and then the name was."""
    mine = [(old, new) for target, old, new in disk.replaced if target.name == name]
    assert mine
    for _, new in mine:
        assert new, "a power cut leaves an empty file"
    assert not disk.unsynced_folders


def test_run_resume_and_extend(disk, tmp_path):
    path = tmp_path / "run.h5"
    run_to_file(
        load_run("strip_li_hops", {**SMALL, "stop.wall_time_s": 1e-9}), path, progress=False
    )
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
    file.write_text('run = "strip_li_hops"\n[grid]\n"conditions.temperature_K" = [300, 310]\n')
    folder = make_folder(tmp_path / "out", read_plan(file))
    assert_complete(disk, "index.json")
    assert_complete(disk, "sweep.toml")
    folder.prepare(folder.plan.points[0])
    assert_complete(disk, f"{folder.plan.points[0].name}.toml")


def test_a_point_gets_its_name_when_it_is_on_the_disk(disk, tmp_path):
    from kmc.campaign.run_point import run_point

    file = tmp_path / "study.toml"
    text = "".join(f'"{key}" = {value}\n' for key, value in SMALL.items())
    file.write_text(
        f'run = "strip_li_hops"\n[grid]\n"conditions.temperature_K" = [300]\n[set]\n{text}'
    )
    folder = make_folder(tmp_path / "out", read_plan(file))
    (point,) = folder.plan.points
    with folder.owned() as owner:
        folder.prepare(point)
        assert run_point(str(folder.path), point.name, owner)["state"] == "done"
    assert_complete(disk, f"{point.name}.h5")
    assert disk.replaced[-1][2] == folder.trajectory_path(point).read_bytes()
