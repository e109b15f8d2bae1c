"""Kills at random moments of runs, of resumed and extended runs, and of sweeps.

Whatever is killed, the same commands lead to the same bytes. `pytest -m slow tests/attack` takes
some minutes; set KMC_ATTACK to a number to multiply the attempts.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time

import pytest
from killing import KINDS, ROOT, drafts, kill_soon, start
from same_files import assert_same

import kmc
from kmc import verify
from kmc.campaign.folder import open_folder
from kmc.errors import InputError

pytestmark = pytest.mark.slow
TIMES = int(os.environ.get("KMC_ATTACK", "1"))

LONGEST_S = {"population": 4.0, "deposition": 1.0, "cathode": 1.0}


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_runs(tmp_path, kind):
    name, overrides = KINDS[kind]
    whole, path = tmp_path / "whole.h5", tmp_path / "run.h5"
    assert start(whole, name, overrides, "run").wait() == 0
    chance, killed = random.Random(kind), 0
    for _ in range(8 * TIMES):
        how = "resume" if path.exists() else "run"
        longest_s = LONGEST_S.get(kind, 0.6)
        killed += kill_soon(start(path, name, overrides, how), chance, longest_s)
        if path.exists():
            found = kmc.verify(path)
            assert found.passed, found.breach
            if found.finished:
                assert_same(path, whole)
                path.unlink()
    if not path.exists() or not kmc.load(path).finished:
        end = start(path, name, overrides, "resume" if path.exists() else "run")
        assert end.wait() == 0, end.stderr.read()
    assert_same(path, whole)
    assert killed > 2
    assert drafts(tmp_path) == []


def test_extended_runs(tmp_path):
    """A kill leaves the old end or a run on its way to the new one, never less than there was."""
    name, overrides = KINDS["li"]
    first, whole, path = tmp_path / "first.h5", tmp_path / "whole.h5", tmp_path / "run.h5"
    assert start(first, name, {**overrides, "stop.capacity_monolayers": 0.5}, "run").wait() == 0
    assert start(whole, name, {**overrides, "stop.capacity_monolayers": 1.0}, "run").wait() == 0
    chance, rows = random.Random(8), len(kmc.load(first).samples)
    for _ in range(6 * TIMES):
        path.write_bytes(first.read_bytes())
        kill_soon(start(path, name, {}, "1.0"), chance, 0.5)
        t = kmc.load(path)
        assert len(t.samples) >= rows - 1
        assert verify(path).passed
        wanted = t.run["stop"]["capacity_monolayers"]
        if not (t.finished and wanted == 1.0):
            end = start(path, name, {}, "1.0" if wanted == 0.5 else "resume")
            assert end.wait() == 0, end.stderr.read()
        assert_same(path, whole)


SWEEP = """
run = "strip_li_hops"
replicas = 2
[grid]
"conditions.temperature_K" = [298.15, 333.15]
[set]
"system.size" = [8, 8, 10]
"stop.capacity_monolayers" = 0.5
"acceleration.max_hops_per_strip_per_site" = 3e5
"""


def test_sweeps(tmp_path):
    """The master is killed again and again, then the sweep is the one that was left alone."""
    file = tmp_path / "study.toml"
    file.write_text(SWEEP)

    def command(folder):
        return subprocess.Popen(
            [sys.executable, "-m", "kmc.cli", "sweep", file, "-o", folder, "-q", "--workers", "2"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
        )  # fmt: skip

    assert command(tmp_path / "whole").wait() == 0
    chance = random.Random(5)
    for _ in range(5 * TIMES):
        kill_soon(command(tmp_path / "out"), chance, 12.0)
    end = command(tmp_path / "out")
    assert end.wait() == 0, end.stderr.read()
    whole, out = open_folder(tmp_path / "whole"), open_folder(tmp_path / "out")
    for point in whole.plan.points:
        assert_same(out.trajectory_path(point), whole.trajectory_path(point))
    assert drafts(out.path) == []
    assert [name for name in drafts(out.path / "points") if ".part" in name] == []


# The cathode study with three of its runs, of one cycle each.
STUDY = """
import sys
from kmc.papers import run
from kmc.papers.paper import Paper

steps_of = run.steps_of
def short(chosen, plan):
    steps = [{**s, "rows": [[{"cathode.cycles": 1}]], "replicas": 1} for s in chosen.steps[:3]]
    return steps_of(Paper(**{**vars(chosen), "steps": steps}), plan)
run.steps_of = short
run.run_study(sys.argv[1], "default", study="cathode", workers=1, progress=False)
"""


@pytest.mark.long
def test_studies(tmp_path):
    """Killed again and again, a study comes to the same claims."""

    def command(folder):
        return subprocess.Popen(
            [sys.executable, "-c", STUDY, folder],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
        )  # fmt: skip

    whole = command(tmp_path / "whole")
    assert whole.wait() == 0, whole.stderr.read()
    chance = random.Random(9)
    for _ in range(4 * TIMES):
        kill_soon(command(tmp_path / "out"), chance, 15.0)
    end = command(tmp_path / "out")
    assert end.wait() == 0, end.stderr.read()
    claims = [(tmp_path / name / "claims.json").read_text() for name in ("whole", "out")]
    assert claims[0] == claims[1]
    assert drafts(tmp_path / "out") == []


def test_workers(tmp_path):
    """Processes of a sweep are killed under it: their points are run again."""
    file = tmp_path / "study.toml"
    file.write_text(SWEEP)
    sweep = subprocess.Popen(
        [sys.executable, "-m", "kmc.cli", "sweep", file, "-o", tmp_path / "out", "-q"],
        stderr=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    chance, killed = random.Random(6), 0
    while sweep.poll() is None and killed < 3:
        try:
            sweep.wait(chance.uniform(4.0, 9.0))
        except subprocess.TimeoutExpired:
            children = subprocess.run(
                ["ps", "--ppid", str(sweep.pid), "-o", "pid="], capture_output=True, text=True
            ).stdout.split()
            if children:
                os.kill(int(chance.choice(children)), 9)
                killed += 1
    assert sweep.wait() == 0, sweep.stderr.read()
    folder = open_folder(tmp_path / "out")
    assert len(folder.clean_up()) == 4
    for point in folder.plan.points:
        assert verify(folder.trajectory_path(point)).passed


@pytest.mark.parametrize(
    ("kind", "longer"),
    [
        ("li", {"stop.capacity_monolayers": 20.0}),
        ("population", {"upscale.domain_um": 60.0}),
        ("deposition", {"stop.capacity_monolayers": 50.0}),
        ("cathode", {"cathode.cycles": 50}),
    ],
)
def test_a_file_under_two_writers(tmp_path, kind, longer):
    """The second one is refused, whatever the first one is doing."""
    name, overrides = KINDS[kind]
    path = tmp_path / "run.h5"
    first = start(path, name, {**overrides, **longer}, "run")
    try:
        while not path.exists():
            assert first.poll() is None
            time.sleep(0.01)
        for second in (kmc.resume, lambda path, **_: kmc.run(name, output=path, overwrite=True)):
            with pytest.raises(InputError, match="being written by another process"):
                second(path, progress=False)
    finally:
        first.kill()
        first.wait()
