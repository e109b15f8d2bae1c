"""Saves that are cut: by a kill at each step of them, and by a disk that wrote some blocks only.

Two files of each kind stand for two saves in turn: of equal layout and with other numbers, so that
blocks of the one fit into the other. With KMC_ATTACK=2 there are 500 of each for each kind.
"""

from __future__ import annotations

import gzip
import os
import random
from collections import Counter
from pathlib import Path

import fake
import pytest
from killing import drafts
from table_files import rewrite
from test_kinds import GOLDEN, KINDS, OLD, TIMES, same_numbers

import kmc
from kmc.common import outputs
from kmc.errors import KmcError
from kmc.files import saving

TRIES = 500 if TIMES > 1 else 20
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="forks"),
]


@pytest.fixture(scope="module")
def saves(tmp_path_factory):
    """Bytes of two files of each kind that differ in their numbers alone."""
    folder, found = tmp_path_factory.mktemp("saves"), {}
    path, whole = folder / "run.h5", folder / "whole.h5"
    found["electrode"] = []
    for monolayers in (1.0, 2.0):
        path.unlink(missing_ok=True)
        found["electrode"].append(fake.write(path, monolayers=monolayers).read_bytes())

    def halves(arrays):
        for place, values in arrays.items():
            if values.dtype.kind == "f":
                arrays[place] = values / 2

    for kind, name in zip(KINDS[1:], OLD[1:], strict=True):
        whole.write_bytes(gzip.decompress((GOLDEN / f"{name}.h5.gz").read_bytes()))
        contents = []
        for edit in (halves, lambda arrays: None):
            rewrite(whole, path, edit)
            contents.append(path.read_bytes())
        found[kind] = contents
    return found


def killed_while_saving(path: Path, content: bytes, step: str, size: int) -> None:
    """Save in a process of its own that ends without a word at a step, or after some bytes."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return

    def end(*_):
        os._exit(9)

    def write(draft, data):
        with open(draft, "wb") as file:
            file.write(data[:size])
        end()

    rename = os.replace
    try:
        if step == "write":
            Path.write_bytes = write
        elif step == "lock":
            saving.WriteLock.__init__ = end
        elif step == "sync":
            outputs._sync = end
        elif step == "rename":
            outputs.os.replace = end
        else:  # the name is there, and not yet on the disk
            outputs.os.replace = lambda draft, target: (rename(draft, target), end())
        saving.SavedWhole(path).save(memoryview(content))
    finally:
        os._exit(8)


@pytest.mark.parametrize("kind", KINDS)
def test_killed_at_each_step_of_a_save(saves, tmp_path, kind):
    (old, new), chance, seen = saves[kind], random.Random(kind), Counter()
    path = tmp_path / "run.h5"
    for number in range(TRIES):
        path.write_bytes(old)
        step = ("write", "write", "lock", "sync", "rename", "named")[number % 6]
        killed_while_saving(path, new, step, chance.randrange(len(new)))
        assert path.read_bytes() == (new if step == "named" else old), step
        seen[step] += bool(drafts(tmp_path))
        saving.SavedWhole(path)  # whoever saves next removes what is left
        assert drafts(tmp_path) == []
    # The lock is taken before anything is written.
    assert all(seen[step] for step in ("write", "sync", "rename")), seen
    assert not seen["named"]
    assert not seen["lock"]


def read(path: Path) -> str:
    """What becomes of a file: "passed", "breach" or "refused"; anything else fails the test."""
    try:
        kmc.load(path)
        # All numbers of tables are compared with their checksums by now.
        return "passed" if path.stem == "tables" or kmc.verify(path).passed else "breach"
    except KmcError:
        return "refused"


@pytest.mark.parametrize("kind", KINDS)
def test_blocks_of_two_saves(saves, tmp_path, kind):
    """A disk that lies about what it has written leaves old, new and empty blocks."""
    (old, new), chance, found = saves[kind], random.Random(kind), Counter()
    path, whole = tmp_path / "tables.h5", tmp_path / "whole.h5"
    if kind == "electrode":
        path = tmp_path / "box.h5"
    whole.write_bytes(new)
    for _ in range(TRIES):
        block, torn = chance.choice([512, 4096]), bytearray(new)
        share, empty = chance.choice([0.02, 0.2, 0.5]), chance.random() < 0.5
        lost = [start for start in range(0, len(new), block) if chance.random() < share]
        lost = lost or [chance.randrange(len(new)) // block * block]
        for start in lost:
            end = min(start + block, len(new))
            piece = b"" if empty else old[start:end]
            torn[start:end] = piece.ljust(end - start, b"\0")
        if chance.random() < 0.1:
            del torn[lost[0] :]
        path.write_bytes(torn)
        os.utime(path, (0, 0))
        what = read(path)
        found[what] += 1
        if what == "passed":  # what is lost is free space, or says nothing
            same_numbers(whole, path)
    print(kind, dict(found))
    assert found["refused"] > TRIES / 4, found
