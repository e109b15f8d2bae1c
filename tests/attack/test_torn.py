"""Saves that are cut: by a kill at each step of them, and by a disk that wrote some blocks only.

Both are tried on the successive contents of a file of each kind as its run saved it. With
KMC_ATTACK=2 there are 500 of each for each kind.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from pathlib import Path

import pytest
from killing import KINDS as RUNS
from killing import assert_same, drafts
from test_kinds import KINDS, TIMES, files, read, same_numbers  # noqa: F401 - fixtures

import kmc
from kmc.common import outputs
from kmc.files import saving
from kmc.runfile.load import load_run
from kmc.systems.run import run_to_file

TRIES = 500 if TIMES > 1 else 20
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="forks"),
]


@pytest.fixture(scope="module")
def saves(tmp_path_factory):
    """What each save of a run of each kind left on the disk, the whole run last."""
    found = {}
    for kind in KINDS:
        name, overrides = RUNS[{"electrode": "li"}.get(kind, kind)]
        path, contents = tmp_path_factory.mktemp("saves") / "run.h5", []
        put = saving.put_in_place

        def note(draft, target, put=put, contents=contents):
            contents.append(Path(draft).read_bytes())
            put(draft, target)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(saving, "put_in_place", note)
            patch.setattr(saving, "_SAVE_EVERY_S", 0.0)
            patch.setattr(saving, "_SAVING_SHARE", 1.0)
            run_to_file(load_run(name, overrides), path, progress=False)
        # Of many saves some: each is resumed below.
        step = max(1, len(contents) // 8)
        found[kind] = [*contents[:-1:step], contents[-1]]
        assert len(found[kind]) > 2, kind
    return found


def killed_while_saving(path: Path, content: bytes, step: str, size: int) -> None:
    """Save in a process of its own that ends without a word at a step, or after some bytes."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    try:
        end = lambda *_: os._exit(9)  # noqa: E731
        if step == "write":

            def write(draft, data):
                with open(draft, "wb") as file:
                    file.write(data[:size])
                    file.flush()
                    os._exit(9)

            Path.write_bytes = write
        elif step == "lock":
            saving.WriteLock.__init__ = end
        elif step == "sync":
            outputs._sync = end
        elif step == "rename":
            outputs.os.replace = end
        else:  # the name is there, and not yet on the disk
            rename = os.replace
            outputs.os.replace = lambda draft, target: (rename(draft, target), os._exit(9))
        saving.SavedWhole(path).begin(memoryview(content))
    finally:
        os._exit(8)


@pytest.mark.parametrize("kind", KINDS)
def test_killed_at_each_step_of_a_save(saves, tmp_path, kind):
    chance, contents, seen = random.Random(kind), saves[kind], Counter()
    path = tmp_path / "run.h5"
    for _ in range(TRIES):
        at = chance.randrange(len(contents) - 1)
        old, new = contents[at : at + 2]
        path.write_bytes(old)
        step = chance.choice(["write", "write", "lock", "sync", "rename", "named"])
        killed_while_saving(path, new, step, chance.randrange(len(new)))
        assert path.read_bytes() == (new if step == "named" else old), step
        seen[step] += bool(drafts(tmp_path))
        saving.SavedWhole(path)
        assert drafts(tmp_path) == []
    assert all(seen[step] for step in ("write", "lock", "sync", "rename")), seen


@pytest.mark.parametrize("kind", KINDS)
def test_every_save_is_resumed_to_the_same_end(saves, tmp_path, kind):
    path, whole = tmp_path / "run.h5", tmp_path / "whole.h5"
    whole.write_bytes(saves[kind][-1])
    for content in saves[kind][:-1]:
        path.write_bytes(content)
        assert kmc.verify(path).passed
        if kmc.load(path).finished:  # all but the checkpoint is there
            continue
        kmc.resume(path, progress=False)
        assert_same(path, whole)


@pytest.mark.parametrize("kind", KINDS)
def test_blocks_of_two_saves(saves, read, tmp_path, kind):  # noqa: F811
    """A disk that lies about what it has written leaves old, new and empty blocks."""
    chance, contents, said = random.Random(kind), saves[kind], Counter()
    path, whole = tmp_path / "bad.h5", tmp_path / "whole.h5"
    for _ in range(TRIES):
        at = chance.randrange(len(contents) - 1)
        old, new = contents[at : at + 2]
        block, torn = chance.choice([512, 4096]), bytearray(new)
        share = chance.choice([0.02, 0.2, 0.5])
        lost = [start for start in range(0, len(new), block) if chance.random() < share]
        lost = lost or [chance.randrange(len(new)) // block * block]
        empty = chance.random() < 0.5
        for start in lost:
            end = min(start + block, len(new))
            piece = b"" if empty else old[start:end]
            torn[start:end] = piece.ljust(end - start, b"\0")
        if chance.random() < 0.1:
            del torn[lost[0] :]
        path.write_bytes(torn)
        result = read(path)
        said[result.partition(":")[0]] += 1
        if result.startswith("passed"):  # what is lost is free space, or says nothing
            whole.write_bytes(new)
            same_numbers(whole, path)
    assert said["refused"] > TRIES / 4, said
