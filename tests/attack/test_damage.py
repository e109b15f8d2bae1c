"""Some thousand damaged inputs: each is used or refused in words, and nothing else happens.

The generators are those of `fuzz`; here they get more cases and other seeds, and files of a real
run, with rows, frames and checkpoints, are damaged for every command that opens one.
"""

from __future__ import annotations

import os
import random
import shutil

import fuzz
import pytest
from killing import SMALL

import kmc
from kmc.campaign.folder import make_folder, open_folder
from kmc.campaign.plan import read_plan
from kmc.errors import InputError, KmcError
from kmc.runfile.load import load_run
from kmc.systems.run import run_to_file

pytestmark = pytest.mark.slow
TIMES = int(os.environ.get("KMC_ATTACK", "1"))


@pytest.fixture(scope="module", autouse=True)
def reader():
    fuzz.warm_up()
    yield
    fuzz.READER.stop()


@pytest.mark.parametrize("name", fuzz.TARGETS)
def test_generated_input(name):
    cases = round(2000 * TIMES * fuzz.TARGETS[name].share)
    assert fuzz.run_target(name, cases, start=9_000_000)["refused"]


def damage(data: bytes, chance: random.Random) -> bytes:
    """The bytes with one to three things done to them."""
    data = bytearray(data)
    for _ in range(chance.randrange(1, 4)):
        place, length = chance.randrange(len(data)), chance.randrange(1, 600)
        kind = chance.randrange(5)
        if kind == 0:
            data[place] ^= 1 << chance.randrange(8)
        elif kind == 1:
            data[place : place + length] = bytes(length)
        elif kind == 2:
            data[place : place + length] = chance.randbytes(length)
        elif kind == 3 and place:
            del data[place:]
        else:
            start = chance.randrange(len(data))
            data[place : place + length] = data[start : start + length]
    return bytes(data)


@pytest.fixture(scope="module")
def run_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("damage") / "run.h5"
    overrides = {**SMALL, "stop.capacity_monolayers": 0.4, "stop.events": 300_000}
    run_to_file(load_run("strip_limg", overrides), path, progress=False)
    return path


@pytest.mark.long
@pytest.mark.parametrize("use", ["verify", "extend"])
def test_files_of_a_run(run_file, tmp_path, use):
    """The file itself is used; of a damaged one hardly a byte has no checksum."""
    chance, content = random.Random(use), run_file.read_bytes()
    path, outcomes = tmp_path / "bad.h5", {"used": 0, "refused": 0}
    for number in range(150 * TIMES):
        path.write_bytes(damage(content, chance) if number else content)
        try:
            if use == "verify":
                assert kmc.verify(path).passed
            else:
                changes = {"stop.capacity_monolayers": 0.41, "stop.events": None}
                assert kmc.extend(path, changes, progress=False).finished
            outcomes["used"] += 1
        except KmcError:
            outcomes["refused"] += 1
        assert outcomes["used"]
    assert outcomes["refused"] > 100 * TIMES, outcomes


def test_folders_of_sweeps(tmp_path):
    file = tmp_path / "study.toml"
    file.write_text('run = "strip_li_hops"\n[grid]\n"conditions.temperature_K" = [300, 310]\n')
    folder = make_folder(tmp_path / "whole", read_plan(file))
    folder.record_done(folder.plan.points[0], 1.0)
    folder.record_failure(folder.plan.points[1], "no", "nothing", 1.0)
    chance, refused = random.Random(3), 0
    for number in range(300 * TIMES):
        out = tmp_path / "out"
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(folder.path, out)
        names = ["index.json", "log.jsonl", "sweep.toml", "failures"]
        name = names[number % 4]
        target = next((out / name).iterdir()) if name == "failures" else out / name
        target.write_bytes(damage(target.read_bytes(), chance))
        try:
            opened = open_folder(out)
            opened.status()
            opened.log()
            with opened.owned():
                pass
        except InputError as problem:
            refused += bool(problem.advice)
    assert refused > 20
