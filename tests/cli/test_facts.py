"""`kmc info --json`: keys that are documented, for every kind of file."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import fake
import pytest
from click.testing import CliRunner

from kmc import load
from kmc.cli.app import main

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "trajectory.md").read_text(encoding="utf-8")


def told(path) -> dict:
    done = CliRunner().invoke(main, ["info", str(path), "--json"])
    assert done.exit_code == 0, done.output

    def no_constant(text):
        raise AssertionError(text)

    return json.loads(done.stdout, parse_constant=no_constant)


@pytest.mark.parametrize("species", [("Li",), ("Li", "Mg")])
def test_the_numbers_are_those_of_the_file(tmp_path, species):
    path = fake.write(tmp_path / "run.h5", species=species)
    t, data = load(path), told(path)
    listed = PAGE.partition("## Its summary for programs")[2].partition("<!--")[0]
    named = {key for line in re.findall(r"^\| (`.*?) \|", listed, flags=re.MULTILINE)
             for key in re.findall(r"`(\w+)`", line)}  # fmt: skip
    assert set(data) == named
    assert data["n_samples"] == len(t.samples)
    for name in t.samples:
        last = t.samples[name][-1].item()
        assert data["final"][name] == (last if math.isfinite(last) else None), name
    assert data["units"]["time_s"] == "s"
    assert data["last_frame"]["time_s"] == t.frames[-1].time_s
    sizes = [void["vacancies"] for void in data["last_frame"]["voids"]]
    assert sizes == sorted(sizes, reverse=True)
    assert data["run"]["conditions"]["temperature_K"] == 298.15


def test_a_run_that_has_only_begun(tmp_path):
    data = told(fake.write(tmp_path / "run.h5", n_frames=0, finished=None))
    assert data["final"] is None
    assert data["last_frame"] is None
    assert data["finished"] is False
