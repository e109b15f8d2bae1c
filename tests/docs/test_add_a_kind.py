"""docs/dev/add_a_kind.md: its kind runs, resumes, verifies, plots, sweeps, and is in the help."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "dev" / "add_a_kind.md"
CODE = re.search(r"```python\n(.*?)```", GUIDE.read_text("utf-8"), re.S)[1]
DRIVER = """
import kmc
from kmc.systems import job
from table_files import Asked

RUN = {"walk": {"steps": 50}, "random": {"seed": 3}}
whole = kmc.run(RUN, output="whole.h5", progress=False)
job.Interruption = lambda: Asked(17)
part = kmc.run(RUN, output="part.h5", progress=False)
assert part.stop_reason == "interrupted", part.stop_reason
job.Interruption = lambda: Asked(1000)
kmc.resume("part.h5", progress=False)
assert open("part.h5", "rb").read() == open("whole.h5", "rb").read()
assert len(whole.samples.x) == 51 and whole.frames.line.shape == (6, 20)
assert whole.to_dataframe()["x"].iloc[0] == 0
assert kmc.verify("whole.h5").passed
"""


def test_the_kind_is_short():
    assert len(CODE.splitlines()) <= 100


@pytest.mark.slow
def test_the_kind_of_the_guide_is_one_for_every_command(tmp_path):
    plugin = tmp_path / "plugin"
    facts = plugin / "walk-1.0.dist-info"
    facts.mkdir(parents=True)
    (plugin / "walk.py").write_text(CODE, encoding="utf-8")
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: walk\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text("[kmc.kinds]\nwalk = walk\n")
    paths = [str(plugin), str(Path(__file__).resolve().parents[1])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}

    def call(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, *words],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    call("-c", DRIVER)
    (tmp_path / "mine.toml").write_text("[walk]\nsteps = 30\n")
    assert "[walk]" in call("-m", "kmc", "run", "--help")
    assert "all steps are done" in call("-m", "kmc", "run", "mine.toml")
    assert (tmp_path / "mine.png").stat().st_size > 2000
    assert "passes" in call("-m", "kmc", "verify", "mine.h5")
    assert "Place" in call("-m", "kmc", "info", "mine.h5")
    call("-m", "kmc", "plot", "mine.h5", "whole.h5", "-o", "both.png")
    assert "31 rows" in call("-m", "kmc", "export", "mine.h5", "-o", "mine.csv")
    call("-m", "kmc", "report", "mine.h5")
    (tmp_path / "sweep.toml").write_text(
        'run = "mine.toml"\nreplicas = 1\nseed = 1\n\n[grid]\n"walk.steps" = [10, 20]\n'
    )
    call("-m", "kmc", "sweep", "sweep.toml", "--workers", "1", "-q")
    found = call(
        "-c",
        "import kmc; ds = kmc.load_sweep('sweep', progress=False);"
        "print(ds.time_s.values.ravel().tolist())",
    )
    assert found.strip().endswith("[10.0, 20.0]")
    # By default of a number that the kind has, in a process that opens none of the runs.
    call("-m", "kmc", "sweep-plot", "sweep", "--csv", "sweep.csv")
    rows = (tmp_path / "sweep.csv").read_text().splitlines()
    assert rows[0] == "steps,n,mean,std,low,high"
    assert len(rows) == 3
    call("-m", "kmc", "report", "sweep")
