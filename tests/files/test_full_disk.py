"""Full disks: nothing crashes, no draft keeps the disk full, and the message is true."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import fake
import pytest

import kmc
from kmc import load, verify
from kmc.errors import InputError
from kmc.runfile.load import load_run
from kmc.systems.run import run_to_file

ROOT = Path(__file__).resolve().parents[2]
SMALL = {
    "system.size": [8, 8, 10],
    "acceleration.max_hops_per_strip_per_site": 1e3,
    "stop.capacity_monolayers": 0.5,
}
# A file that may not grow beyond a limit fails where it would on a full disk.
_LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
from kmc.cli import main
sys.argv = ["kmc", *sys.argv[2:]]
main()
"""


def kmc_with(limit: int, *arguments) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", _LIMITED, str(limit), *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=600,
    )


def assert_told(done, code: int, *parts: str) -> None:
    """2 where nothing was computed, 1 where something was."""
    assert done.returncode == code, (done.returncode, done.stderr)
    assert "Traceback" not in done.stderr
    assert "Fatal" not in done.stderr
    for part in parts:
        assert part in done.stderr, done.stderr


SETTINGS = [part for key, value in SMALL.items() for part in ("--set", f"{key}={value}")]


@pytest.mark.slow
@pytest.mark.parametrize(
    "limit",
    [
        pytest.param(0, marks=pytest.mark.slow),
        100,
        pytest.param(3000, marks=pytest.mark.slow),
        20_000,
    ],
)
def test_at_creation(tmp_path, limit):
    done = kmc_with(limit, "run", "strip_li_hops", *SETTINGS, "-o", tmp_path / "run.h5", "-q")
    assert_told(done, 2, "cannot be written", f"than {limit / 1e6:.3g} MB here (ulimit -f)")
    assert "free" not in done.stderr
    assert os.listdir(tmp_path) == []


@pytest.mark.slow
def test_what_was_there_stays_when_it_should_be_replaced(tmp_path):
    path = tmp_path / "run.h5"
    path.write_bytes(b"precious" * 10)
    done = kmc_with(3000, "run", "strip_li_hops", *SETTINGS, "-o", path, "-q", "--force")
    assert_told(done, 2, "is what it was before")
    assert path.read_bytes() == b"precious" * 10
    assert os.listdir(tmp_path) == ["run.h5"]


@pytest.mark.slow
def test_resume_and_extend(tmp_path):
    """Too little for the copy, then enough for the copy and not for what follows."""
    path = tmp_path / "run.h5"
    often = {"output.sample_every_monolayers": 0.01, "output.frame_every_monolayers": 0.01}
    run_to_file(load_run("strip_li_hops", {**SMALL, **often}), path, progress=False)
    whole, rows = path.read_bytes(), len(load(path).samples)
    arguments = ("extend", path, "--set", "stop.capacity_monolayers=3", "-q")
    done = kmc_with(len(whole) // 2, *arguments)
    assert_told(done, 2, "is what it was before")
    assert path.read_bytes() == whole
    done = kmc_with(len(whole) + 3000, *arguments)
    assert_told(
        done, 1, "cannot be written further", "(ulimit -f)", "Everything up to t = ", "is safe in"
    )
    assert "No sample" not in done.stderr
    assert len(load(path).samples) >= rows - 1
    assert verify(path).passed
    assert os.listdir(tmp_path) == ["run.h5"]


@pytest.mark.slow
def test_a_resumed_run_keeps_its_state_where_the_disk_is_full(tmp_path):
    """Its file is much larger with a state than without one, which would find room."""
    path = tmp_path / "run.h5"
    settings = {"cathode.edge_sites": 16, "cathode.grain_sites": 6, "cathode.cycles": 1}
    kmc.run("cathode_se", settings, output=path, progress=False, callback=lambda row: row.cycle)
    content = path.read_bytes()
    done = kmc_with(len(content) // 2, "resume", path, "-q")
    assert_told(done, 2, "cannot be written", "is what it was before")
    assert path.read_bytes() == content
    assert kmc.resume(path, progress=False).finished


@pytest.mark.slow
def test_tables_and_pictures(tmp_path):
    """Tables are saved first with their first row, pictures when something has been computed."""
    settings = ("--set", "stop.capacity_monolayers=0.1", "--set", "system.size=[8,8,10]")
    done = kmc_with(3000, "run", "plate_carbon", *settings, "-o", tmp_path / "run.h5", "-q")
    assert_told(done, 2, "cannot be written", "0.003 MB here (ulimit -f)")
    assert os.listdir(tmp_path) == []
    fake.write(tmp_path / "box.h5", n_frames=1)
    done = kmc_with(3000, "plot", tmp_path / "box.h5", "-q")
    assert_told(done, 1, "box_summary.png cannot be written", "(ulimit -f)")
    assert os.listdir(tmp_path) == ["box.h5"]


def test_a_writer_that_goes_on_knows_what_is_safe(tmp_path, monkeypatch):
    from kmc.errors import KmcError

    path = tmp_path / "run.h5"
    run_to_file(load_run("strip_li_hops", SMALL), path, progress=False)
    t = load(path)
    writer = fake.writer_of(path, t.lattice, t.resolved)
    writer.go_on_after(t, {})
    writer.flush()
    last = t.samples.time_s[-1]

    def full(draft, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("kmc.files.saving.put_in_place", full)
    with pytest.raises(KmcError) as caught:
        writer.close(finished=True, stop_reason="done")
    assert f"Everything up to t = {last:.6g} s is safe" in str(caught.value)


def test_drafts_of_killed_processes_make_room(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    left = tmp_path / f".run.h5.{process.pid}.part"
    other = tmp_path / f".other.h5.{process.pid}.part"
    for path in (left, other):
        path.write_bytes(b"half")
    fake.write(tmp_path / "run.h5", n_frames=1)
    assert sorted(os.listdir(tmp_path)) == [other.name, "run.h5"]


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="mounts a file system: needs root"
)
@pytest.mark.parametrize("size_kB", [4, 32])
def test_a_disk_that_is_really_full(tmp_path, size_kB):
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size_kB}k", "tmpfs", str(disk)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("no file system may be mounted here")
    try:
        (disk / "others").write_bytes(b"x" * 4096)
        box = fake.lattice(cells=(24, 24), layers=12)
        with pytest.raises(InputError, match=r"(?s)No space left on device.*MB are free"):
            fake.write(disk / "run.h5", box=box)
        assert os.listdir(disk) == ["others"]
    finally:
        subprocess.run(["umount", str(disk)], check=False)


def test_permissions_of_a_trajectory_survive(tmp_path):
    path = fake.write(tmp_path / "run.h5", n_frames=1)
    path.chmod(0o600)
    box = fake.lattice()
    writer = fake.writer_of(path, box)
    writer.append_sample(dict.fromkeys(writer.tables.samples, 0))
    writer.close(finished=True, stop_reason="done")
    assert path.stat().st_mode & 0o777 == 0o600
