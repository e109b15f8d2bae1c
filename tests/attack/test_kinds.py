"""Files of every kind of run under attack: read, or refused in words, soon and in little memory.

The readers run in a process of its own with limits on time and memory, forked from one that has
read a file of each kind. The slow suite tries a few cases of each attack; with KMC_ATTACK=2 each
dataset of each file has its turn, and damage 500 files of a kind. Checkpoints of earlier boxes are
left out: they were written in turn into two places, and one of both may be unfinished.
"""

from __future__ import annotations

import functools
import gzip
import json
import os
import random
import select
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import CliRunner
from commands import run
from table_files import rewrite

import kmc
from kmc.cli.app import main
from kmc.errors import KmcError

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "data" / "golden"
TIMES = int(os.environ.get("KMC_ATTACK", "1"))
OLD = (
    "136ba7f.electrode_li",
    "136ba7f.population_replicas",
    "136ba7f.deposition",
    "136ba7f.cathode",
)
MAX_S, MAX_MEMORY = 10, 10**9
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="forks"),
]

_CHILD = """
import json, os, resource, sys
import kmc
from kmc.cli.app import main
from kmc.errors import KmcError
from kmc.systems.run import system_of

for path in sys.argv[1:]:  # what is imported late, once for all
    system_of(path).summary(kmc.load(path))
    kmc.verify(path)
for line in sys.stdin:
    path = line.rstrip("\\n")
    listen, tell = os.pipe()
    child = os.fork()
    if not child:
        resource.setrlimit(resource.RLIMIT_AS, (4 << 30,) * 2)
        resource.setrlimit(resource.RLIMIT_CPU, (%d,) * 2)
        try:
            found = kmc.load(path)
            found.summary(full=True)
            found.to_json()
            done = kmc.verify(path)
            said = "passed" if done.passed else f"breach: {done.breach}"
        except KmcError as problem:
            said = f"refused: {problem.message}"
        except BaseException as problem:
            import traceback
            said = "!" + traceback.format_exc()[-900:]
        os.write(tell, said.encode("utf-8", "replace")[:1000])
        os._exit(0)
    os.close(tell)
    _, status, used = os.wait4(child, 0)
    said = os.read(listen, 2000).decode(errors="replace") or f"!killed, status {status}"
    os.close(listen)
    print(json.dumps([used.ru_maxrss * 1024, said]), flush=True)
"""


@pytest.fixture(scope="module")
def read(files):
    """What a reader says of a file; the test fails where it takes too long or too much.

    With `pytest -s` the number of tries of each attack and the largest memory are printed.
    """
    tries, most = Counter(), 0
    with subprocess.Popen(
        [sys.executable, "-c", _CHILD % MAX_S, *(str(files[name]) for name in KINDS)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as process:

        def ask(path: Path) -> str:
            nonlocal most
            tries[os.environ["PYTEST_CURRENT_TEST"].partition("::")[2].partition("[")[0]] += 1
            os.utime(path, (0, 0))  # nobody is writing it at this moment
            process.stdin.write(f"{path}\n")
            process.stdin.flush()
            if not select.select([process.stdout], [], [], 300)[0]:
                pytest.exit(f"a reader waits for ever: {path}", 1)  # it would wait for it, too
            memory, said = json.loads(process.stdout.readline())
            most = max(most, memory)
            assert memory < MAX_MEMORY, said
            assert not said.startswith("!"), said
            return said

        yield ask
        process.stdin.close()
    print(f"\n{dict(tries)}, {most / 1e6:.0f} MB")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A file of each kind as this version writes it, and as an earlier one did."""
    folder = tmp_path_factory.mktemp("kinds")
    found = {}
    for name in OLD:
        path = folder / f"{name}.h5"
        path.write_bytes(gzip.decompress((GOLDEN / f"{name}.h5.gz").read_bytes()))
        found[name] = path
    for name in OLD[2:]:  # the same numbers in a file of today
        path = folder / f"{name.partition('.')[2]}.h5"
        rewrite(found[name], path, lambda arrays: None)
        found[path.stem] = path
    cell = {"upscale.domain_um": 5.0, "upscale.capacity_mAh_cm2": 0.02, "upscale.frames": 2}
    found["population"] = folder / "population.h5"
    kmc.run("cell_li", cell, output=found["population"], progress=False)
    box = {"system.size": [8, 8, 10], "stop.capacity_monolayers": 0.08}
    box["output.frame_every_monolayers"] = 0.02
    found["electrode"] = folder / "electrode.h5"
    kmc.run("strip_li_hops", box, output=found["electrode"], progress=False)
    return found


KINDS = ("electrode", "population", "deposition", "cathode")
EVERY = pytest.mark.parametrize(
    "name", [*KINDS, *(pytest.param(name, marks=pytest.mark.long) for name in OLD)]
)


def datasets(path: Path) -> list[str]:
    found = []
    with h5py.File(path) as file:
        file.visititems(lambda n, item: found.append(n) if isinstance(item, h5py.Dataset) else None)
    return [p for p in found if not ("." in path.stem and p.startswith("checkpoint/"))]


def chosen(places: list[str], chance: random.Random) -> list[str]:
    return places if TIMES > 1 else chance.sample(places, 3)


def refused(said: str, place: str) -> bool:
    """Whether a dataset was not read; what `kmc.load` leaves alone is a breach of `kmc.verify`."""
    return said.startswith("refused") or (said.startswith("breach") and f"/{place}" in said)


def elsewhere(path: Path) -> tuple[Path, Path]:
    """A copy of the file, and a pipe: what links lead to."""
    other, pipe = path.with_name("other.h5"), path.with_name("pipe.h5")
    shutil.copy(path, other)
    if not pipe.exists():
        os.mkfifo(pipe)
    return other, pipe


@EVERY
def test_nothing_outside_of_the_file_is_read(files, read, tmp_path, name):
    path, chance = tmp_path / "bad.h5", random.Random(name)
    shutil.copy(files[name], path)
    other, pipe = elsewhere(path)
    for place in chosen(datasets(files[name]), chance):
        for way in ("external", "pipe", "soft", "virtual", "raw"):
            shutil.copy(files[name], path)
            with h5py.File(path, "r+") as file:
                shape, dtype = file[place].shape, file[place].dtype
                attributes = dict(file[place].attrs)
                if way == "soft":
                    file["kept"] = file[place]
                del file[place]
                if way in ("external", "pipe"):
                    target = pipe if way == "pipe" else other
                    file[place] = h5py.ExternalLink(str(target), place)
                elif way == "soft":
                    file[place] = h5py.SoftLink("/kept")
                elif way == "virtual":
                    layout = h5py.VirtualLayout(shape, dtype)
                    if all(shape):
                        layout[...] = h5py.VirtualSource(str(other), place, shape)
                    file.create_virtual_dataset(place, layout)
                else:
                    raw = [(str(pipe), 0, h5py.h5f.UNLIMITED)]
                    file.create_dataset(place, shape, dtype, external=raw)
                for key, value in attributes.items() if way in ("virtual", "raw") else ():
                    file[place].attrs[key] = value
            assert refused(read(path), place), (place, way)
    with h5py.File(files[name]) as file:
        groups = [key for key in file if isinstance(file[key], h5py.Group)]
    for place in groups:
        shutil.copy(files[name], path)
        with h5py.File(path, "r+") as file:
            del file[place]
            file[place] = h5py.ExternalLink(str(pipe), place)
        assert not read(path).startswith("passed"), place


@EVERY
def test_every_edit_is_seen(files, read, tmp_path, name):
    """Of every number and text that is stored, with what HDF5 keeps beside it left alone."""
    path, chance = tmp_path / "bad.h5", random.Random(name)
    with h5py.File(files[name]) as file:
        roots = list(file.attrs)
    for place in chosen(datasets(files[name]), chance):
        shutil.copy(files[name], path)
        with h5py.File(path, "r+") as file:
            if not file[place].size:
                continue
            values = file[place][...]
            flat = values.reshape(-1).view(np.uint8)
            flat[chance.randrange(flat.size)] ^= 1 << chance.randrange(8)
            file[place][...] = values
        assert not read(path).startswith("passed"), place
    # Those of the first schemas have no checksum: what else the file says must fit.
    for key in {"seed", "finished"} & set(roots) if name in OLD else roots:
        shutil.copy(files[name], path)
        with h5py.File(path, "r+") as file:
            value = file.attrs[key]
            if isinstance(value, str | bytes):
                file.attrs[key] = "other"
            else:
                file.attrs.modify(key, np.asarray(value) ^ True)
        assert not read(path).startswith("passed"), key


@pytest.mark.parametrize("name", KINDS)
def test_every_unit_and_description_is_seen(files, read, tmp_path, name):
    """A column of V that is called mV is as wrong as one with other numbers."""
    path, chance = tmp_path / "bad.h5", random.Random(name)
    with h5py.File(files[name]) as file:
        labels = [
            (place, label)
            for place in chosen(datasets(files[name]), chance)
            for label in ("unit", "description")
            if label in file[place].attrs
        ]
    assert read(files[name]).startswith("passed")
    assert labels
    for place, label in labels:
        for value in ("other", None):
            shutil.copy(files[name], path)
            with h5py.File(path, "r+") as file:
                del file[place].attrs[label]
                if value:
                    file[place].attrs[label] = value
            assert not read(path).startswith("passed"), (place, label, value)


@EVERY
def test_rows_deleted_or_in_another_order_are_seen(files, read, tmp_path, name):
    path = tmp_path / "bad.h5"
    for group in ("samples", "frames"):
        for way in ("delete", "swap"):
            shutil.copy(files[name], path)
            with h5py.File(path, "r+") as file:
                for column in list(file[group]):
                    values, facts = file[group][column][...], dict(file[group][column].attrs)
                    if len(values) < 3:
                        continue
                    order = [0, *range(2, len(values))] if way == "delete" else [0, 2, 1]
                    kept = values[[*order, *range(3, len(values))] if way == "swap" else order]
                    del file[group][column]
                    file[group].create_dataset(
                        column, data=kept, chunks=True, maxshape=(None, *kept.shape[1:])
                    )
                    for key, value in facts.items():
                        file[group][column].attrs[key] = value
            assert not read(path).startswith("passed"), (group, way)


@EVERY
def test_bombs(files, read, tmp_path, name):
    """Datasets that state gigabytes, stored or not, under names that readers look at."""
    path, chance = tmp_path / "bad.h5", random.Random(name)
    for place in chosen(datasets(files[name]), chance):
        for chunks, shape in (((2**20,), (10**9,)), ((2**27,), (2**30,)), (None, (10**9,))):
            shutil.copy(files[name], path)
            with h5py.File(path, "r+") as file:
                dtype, facts = file[place].dtype, dict(file[place].attrs)
                shape = shape if file[place].ndim < 2 else (*shape, *file[place].shape[1:])
                del file[place]
                packed = {"chunks": (*chunks, *shape[1:]), "compression": "gzip"} if chunks else {}
                if chunks and np.prod(packed["chunks"]) * dtype.itemsize >= 2**32:
                    continue
                file.create_dataset(place, shape, dtype, **packed)
                for key, value in facts.items():
                    file[place].attrs[key] = value
            assert refused(read(path), place), place


@EVERY
def test_damage(files, read, tmp_path, name):
    """Bytes changed, blocks zeroed (heaps of texts among them), and files cut short."""
    content, chance, path = files[name].read_bytes(), random.Random(name), tmp_path / "bad.h5"
    heap = content.find(b"GCOL")
    places = [heap + at for at in (8, 16, 24)] if heap > 0 else []
    for number in range(500 if TIMES > 1 else 20):
        data = bytearray(content)
        place = places[number] if number < len(places) else chance.randrange(len(data))
        length = chance.choice([1, 8, 64, 512, 4096])
        if chance.random() < 0.1:
            del data[place:]
        elif chance.random() < 0.5 or number < len(places):
            data[place : place + length] = bytes(len(data[place : place + length]))
        else:
            data[place : place + length] = chance.randbytes(len(data[place : place + length]))
        path.write_bytes(data)
        said = read(path)
        if said.startswith("passed"):  # what was hit is free space, or says nothing
            same_numbers(files[name], path)


def same_numbers(one: Path, other: Path) -> None:
    with h5py.File(one) as first, h5py.File(other) as second:
        for place in datasets(one):
            if place.split("/")[0] != "checkpoint":
                assert first[place][...].tobytes() == second[place][...].tobytes(), place


@pytest.mark.parametrize("name", KINDS[1:])
def test_rows_that_are_not_there_are_told(files, tmp_path, name):
    """Frames of rows that do not exist, columns of two dimensions, an empty run, NaN."""
    path = tmp_path / "bad.h5"

    def sample(arrays):
        arrays["frames/sample"][-1] = 10**6

    def two(arrays):
        arrays["samples/time_s"] = np.stack([arrays["samples/time_s"]] * 2, axis=1)

    def nan(arrays):
        for place, values in arrays.items():
            if place.startswith("samples/") and values.dtype.kind == "f":
                values[-1] = np.nan

    for edit in (sample, two):
        rewrite(files[name], path, edit)
        with pytest.raises(KmcError):
            kmc.load(path)
    rewrite(files[name], path, nan)
    assert not kmc.verify(path).passed


@pytest.mark.parametrize("name", KINDS[1:])
def test_records_of_something_else(files, read, tmp_path, name):
    """Right checksums over a record that is not that of such a run."""
    path, given = tmp_path / "bad.h5", kmc.load(files[name]).resolved
    wrong = [{"run_file": []}, {"seed": "x"}, {"system": "none"}, {"resolved": {"run": []}}]
    for key in ("run", "facts"):
        for value in ({}, dict.fromkeys(given[key], 5), dict.fromkeys(given[key], "x")):
            wrong.append({"resolved": {**given, key: value}})
    for record in [*wrong, *({"system": kind} for kind in KINDS if kind != name)]:
        rewrite(files[name], path, lambda arrays: None, **record)
        assert not read(path).startswith("passed"), record


HOSTILE = (None, "x", "", -1, 0, 1e308, float("inf"), float("nan"), 2**63, True, [], {}, [[1e308]])
READING = ("info --all", "info --json", "verify", "compare SAME", "plot --force", "report --force")
EXTEND = {"electrode": "--set stop.capacity_monolayers=0.1", "deposition": "--cycles 1"}
EXTEND |= {"population": "--set upscale.capacity_mAh_cm2=0.03", "cathode": "--cycles 1"}


def leaves(value, path=()):
    """Where in nested settings each value and each table is."""
    yield path
    if isinstance(value, list):
        value = dict(enumerate(value[:2]))
    for key in value if isinstance(value, dict) else ():
        yield from leaves(value[key], (*path, key))


@pytest.mark.parametrize("name", KINDS)
def test_hostile_settings_under_right_checksums(files, tmp_path, name):
    """Whatever the settings, parameters and facts of a file are, no command ends in a traceback."""
    path, chance = tmp_path / "bad.h5", random.Random(name)
    places = [*leaves(kmc.load(files[name]).resolved)][1:]
    codes = Counter()
    for _ in range(8 * TIMES**5):
        resolved = json.loads(json.dumps(kmc.load(files[name]).resolved))
        *way, last = place = chance.choice(places)
        value = chance.choice(HOSTILE)
        functools.reduce(lambda table, key: table[key], way, resolved)[last] = value
        finished = chance.random() < 0.5
        record = {} if finished else {"finished": False, "stop_reason": ""}
        longer = f"extend {EXTEND[name]}" if finished else "resume"
        for command in (chance.choice(READING), longer):
            try:  # anew, as the second one writes it
                rewrite(files[name], path, lambda arrays: None, resolved=resolved, **record)
            except (TypeError, ValueError, AttributeError):  # the writer itself takes no such table
                break
            words = command.replace("SAME", str(files[name])).split()
            found = run([words[0], path, *words[1:]], tmp_path)
            codes[found.code] += 1
            # More rows than the file had may take their time.
            allowed = {"time", "ended by a signal"} if command is longer else set()
            assert set(found.failures) <= allowed, (command, place, value, found)
            assert found.code in (0, 1, 2) or allowed, (command, place, value, found)
    assert codes[0]
    assert codes[2]


@pytest.mark.parametrize("name", KINDS[1:])
def test_commands_say_what_verify_finds(files, tmp_path, name):
    """Maps without a site and right checksums end no command in a traceback."""
    path = tmp_path / "bad.h5"

    def edit(arrays):
        for place, values in arrays.items():
            if place.startswith("frames/") and values.ndim > 2:
                arrays[place] = np.zeros((len(values), 0, 0), values.dtype)

    rewrite(files[name], path, edit)
    codes = []
    for command in ("plot", "movie", "report"):
        done = CliRunner().invoke(main, [command, str(path), "--force"])
        codes.append(done.exit_code)
        assert done.exit_code == 0 or f"{path} is damaged" in done.output, (command, done.output)
    assert set(codes) - {0} == {2}
