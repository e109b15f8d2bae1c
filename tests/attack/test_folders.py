"""Folders of a stranger: under links, pipes and devices nothing of mine is opened or changed, and
damaged files end no command in a traceback, a hang or a full memory.

The slow suite tries some cases of each kind of folder; KMC_ATTACK multiplies them.
"""

import io
import json
import os
import random
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import stand_in
from commands import run

from kmc.campaign.calibration.calibrate import calibrate
from kmc.common.json_files import MAX_BYTES
from kmc.papers import run as studies

pytest.importorskip("ase")
import johnson
from ase.build import bulk
from ase.io import write

TIMES = int(os.environ.get("KMC_ATTACK", "1"))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="forks"),
]
BOX = "--set system.size=[8,8,10] --set stop.capacity_monolayers=0.04 --workers 1"
SWEEP = """
run = "strip_li_hops"
[grid]
"conditions.temperature_K" = [300]
[set]
"system.size" = [8, 8, 10]
"stop.capacity_monolayers" = 0.04
"""
# Of each kind the command that makes or continues the folder, and those that read it.
COMMANDS = {
    "sweep": (
        "sweep sweep.toml -o sweep --workers 1",
        "sweep sweep.toml -o sweep --job-array",
        "sweep-plot sweep -o picture.png --force",
        "report sweep -o report.html --force",
    ),
    "converge": (
        f"converge strip_li_hops {BOX} --ratios 1e3,1e4 -o converge",
        "report converge -o report.html --force",
    ),
    "critical": (
        f"critical strip_li_hops {BOX} --vary conditions.temperature_K --between 280 340 "
        "--criterion contact_fraction<0.9998 --at 0.04 --max-runs 4 --replicas 2 -o critical",
        "report critical -o report.html --force",
    ),
    "study": ("study interlayer -o study --dry-run", "report study -o report.html --force"),
    "calibration": ("report calibration -o report.html --force",),
    "own_configurations": (
        "params from-ase slab.xyz --calculator johnson:Johnson --cells 2 --repeat 1 --no-relax "
        "-o own.toml --force",
    ),
}
# Names that kmc keeps there at times.
ALSO = {
    "sweep": "owner lock.held running/x.json running/.x.lock failures/x.json job_array.sh logs "
    "points/x.part.h5 .index.9.part.json critical.png",
    "converge": "owner converge.csv",
    "critical": "owner critical.json",
    "study": "efficiency convergence_x nucleation_x.json",
    "calibration": "wave_9 corner.png posterior_1/cell",
    "own_configurations": "bulk-2.unfinished.extxyz .bulk-2.9.part.extxyz",
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder of each kind, beside the files that its commands name."""
    place = tmp_path_factory.mktemp("made")
    (place / "sweep.toml").write_text(SWEEP)
    a = johnson.A_A
    slab = bulk("Li", "bcc", a=a, cubic=True).repeat((2, 2, 6))
    slab.symbols[slab.positions[:, 2] < 1.5 * a / 2] = "Cl"
    slab.set_cell([2 * a, 2 * a, 8 * a])
    write(place / "slab.xyz", slab, format="extxyz")
    for kind in ("sweep", "converge", "critical", "own_configurations"):
        assert run(COMMANDS[kind][0].split(), place).code == 0
    with pytest.MonkeyPatch.context() as patch:  # a study of no runs
        patch.setattr(studies.StudyStep, "run", lambda step, folder, *_: step.plan(folder) is None)
        studies.run_study(place / "study", study="interlayer", progress=False)
    rng = np.random.default_rng(7)
    _, data = stand_in.measured(rng, np.array([0.5, 0.6, 0.3]))
    problem = stand_in.problem(data, posterior_runs=2, waves=1)
    calibrate(problem, place / "calibration", simulate=stand_in.simulate(rng))
    return place


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def attacked(made: Path, place: Path, kind: str, name: str) -> Path:
    """The path of a file, without it, in a new copy of its folder."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    for item in made.iterdir():
        if item.is_file():
            shutil.copy(item, place)
    shutil.copytree(made / kind, place / kind)
    path = place / kind / name
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


@pytest.mark.parametrize("kind", COMMANDS)
def test_nothing_is_opened_or_changed_through_a_link(made, tmp_path, kind):
    mine, chance = tmp_path / "mine", random.Random(kind)
    (mine / "folder").mkdir(parents=True)
    (mine / "text").write_text("mine")
    before = contents(mine)
    names = [*contents(made / kind), *ALSO[kind].split()]
    for number in range(12 * TIMES):
        name = names[number] if TIMES > 1 and number < len(names) else chance.choice(names)
        path = attacked(made, tmp_path / "place", kind, name)
        ways = {"text": mine / "text", "nothing": mine / "new", "folder": mine / "folder"}
        ways |= {"itself": path.name, "device": "/dev/zero", "pipe": None}
        way = chance.choice([*ways])
        if way == "pipe":
            os.mkfifo(path)
        else:
            path.symlink_to(ways[way])
        command = chance.choice(COMMANDS[kind]).split()
        found = run(command, tmp_path / "place", untouched=mine)
        assert found.code == 2, (name, way, command, found)
        assert f"{path.name} is " in found.text
        assert not found.failures, (name, way, command, found)
        assert contents(mine) == before, (name, way, command)


def places(value, path=()):
    """Where in JSON each value is."""
    yield path
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(item, (*path, key))


OTHERS = (b"", b"null", b"[]", b"{}", b"5", b"NaN", b'"x"', b"[" * 10**5, b"[[[1]]]", b"\xff\xfe")
WRONG = (None, "x", -1, 1e308, float("nan"), [], {}, [[]], 2**70, True, "\x1b[31m", "../../x")


def damages(data: bytes, chance: random.Random):
    """The content of a file, damaged in many ways; None for a file that is larger than any."""
    yield from (*OTHERS, data[: len(data) // 3], data[: len(data) - 9], bytes(len(data)), None)
    for _ in range(4):
        flipped = bytearray(data or b" ")
        flipped[chance.randrange(len(flipped))] ^= 1 << chance.randrange(8)
        yield bytes(flipped)
    try:
        paths = [*places(json.loads(data))]
    except (ValueError, RecursionError):
        paths = []
    for way in chance.sample(paths[1:], min(20, len(paths[1:]))):
        value = whole = json.loads(data)
        for key in way[:-1]:
            value = value[key]
        value[way[-1]] = chance.choice(WRONG)
        yield json.dumps(whole).encode()
    if data.startswith(b"PK"):
        yield from archives(data)


def archives(data: bytes):
    """Archives of arrays that are not those of a calibration, and bombs of them."""
    arrays = dict(np.load(io.BytesIO(data)))

    def packed(name, values):
        file = io.BytesIO()
        np.savez_compressed(file, **{**arrays, name: values})
        return file.getvalue()

    for name in ("theta", "posterior", "posterior_u"):
        for values in (np.full_like(arrays[name], np.nan), np.zeros((3, 7, 2)), np.zeros((0, 3))):
            yield packed(name, values)
        for values in (np.array(5.0), np.array(["x"] * 4), np.array([{}], dtype=object)):
            yield packed(name, values)
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("posterior.npy", bytes(2**28 + 1))
    yield bomb.getvalue()
    # A directory that states less than there is, and an array that states more.
    place = bomb.getvalue().rindex(b"PK\x01\x02") + 24
    yield bomb.getvalue()[:place] + (100).to_bytes(4, "little") + bomb.getvalue()[place + 4 :]
    head, huge = io.BytesIO(), io.BytesIO()
    about = {"descr": "<f8", "fortran_order": False, "shape": (10**9, 3)}
    np.lib.format.write_array_header_1_0(head, about)
    with zipfile.ZipFile(huge, "w") as archive:
        archive.writestr("theta.npy", head.getvalue() + bytes(80))
    yield huge.getvalue()


@pytest.mark.parametrize("kind", COMMANDS)
def test_damage_ends_in_words(made, tmp_path, kind):
    chance, tried = random.Random(kind), 0
    files = {n: d for n, d in contents(made / kind).items() if not n.endswith((".h5", "lock"))}
    cases = [(name, data) for name, whole in files.items() for data in damages(whole, chance)]
    for name, data in chance.sample(cases, min(len(cases), 15 * TIMES)):
        path = attacked(made, tmp_path / "place", kind, name)
        with path.open("wb") as file:
            file.write(data or b"")
            file.truncate(10 * MAX_BYTES if data is None else len(data))
        command = chance.choice(COMMANDS[kind]).split()
        found = run(command, tmp_path / "place")
        assert found.code in (0, 1, 2), (name, data, command, found)
        assert not found.failures, (name, data and data[:500], command, found)
        tried += 1
    assert tried > 10
