"""Every run that comes with kmc, with all of its state rebuilt and compared on the way."""

from __future__ import annotations

import pytest
import shipped
from marks import slow

from kmc.runfile.load import load_run
from kmc.systems.run import run_to_file

NAMES = [
    name
    for name, kind in shipped.kinds().items()
    if not name.startswith(("study_", "upscale_", "operando_"))  # see tests/systems/population
    and kind == "electrode"  # tests/systems
]


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [slow(name) if name == "lithiophilic_exact" else name for name in NAMES]
)
def test_the_beginning_under_the_self_check(name, tmp_path):
    end = {"stop.events": 20_000}
    if load_run(name).rest.time_s is not None:
        end |= {"rest.time_s": 0.01, "rest.frame_every_s": 0.002}
    t = run_to_file(load_run(name, end), tmp_path / "run.h5", progress=False, check_every=5_000)
    assert t.finished


@pytest.mark.long
@pytest.mark.parametrize("name", NAMES)
def test_the_whole_run_under_the_self_check(name, tmp_path):
    t = run_to_file(load_run(name), tmp_path / "run.h5", progress=False, check_every=1_000_000)
    assert t.finished
    assert "events reached" not in t.stop_reason
