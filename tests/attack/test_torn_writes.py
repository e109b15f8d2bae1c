"""Power cuts during runs, sector by sector: see `power` for the rules."""

from __future__ import annotations

import os
import random
import sys

import numpy as np
import pytest
from power import Disk

from kmc.files.reader import load
from kmc.files.repair import repair
from kmc.files.transaction import Transaction, recovered
from kmc.runfile.load import load_run
from kmc.systems.electrode import resume
from kmc.systems.electrode.run import run_to_file
from kmc.systems.electrode.verification.trajectory import verify

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]
TIMES = int(os.environ.get("KMC_ATTACK", "1"))
SMALL = {
    "system.size": [8, 8, 10],
    "acceleration.max_hops_per_strip_per_site": 3e3,
    "stop.capacity_monolayers": 0.5,
    "output.sample_every_monolayers": 0.01,
    "output.frame_every_monolayers": 0.02,
}


@pytest.mark.long
@pytest.mark.parametrize("name", ["strip_li", "strip_limg"])
def test_torn_writes(tmp_path, monkeypatch, name):
    """At every cut all that was flushed is there and passes; from some the run goes on."""
    path, cut = tmp_path / "run.h5", tmp_path / "cut.h5"
    disk, chance = Disk(monkeypatch), random.Random(name)
    write, commit = Transaction._write, Transaction.commit
    left, flushed = [], [0]

    def write_and_keep(self, offset, data):
        write(self, offset, data)
        if self._path == path and chance.random() < 0.3:
            left.append((disk.layers[-1].after_a_cut(chance), flushed[-1]))

    def noted_commit(self):
        commit(self)
        disk.layers = disk.layers[-1:]
        if self._path == path:
            flushed.append(len(load(path).samples))

    monkeypatch.setattr(Transaction, "_write", write_and_keep)
    monkeypatch.setattr(Transaction, "commit", noted_commit)
    monkeypatch.setattr("kmc.systems.electrode.run._FLUSH_EVERY_S", 0.0)
    monkeypatch.setattr("kmc.systems.electrode.run._FIRST_CHUNK", 1000)
    monkeypatch.setattr("kmc.systems.electrode.run._next_chunk", lambda *_: 1000)
    run_to_file(load_run(name, SMALL), path, progress=False)
    monkeypatch.undo()
    whole = load(path)
    chosen = chance.sample(left, min(len(left), 150 * TIMES))
    assert len(chosen) > 100
    torn = 0
    for number, (content, rows) in enumerate(chosen):
        cut.write_bytes(content)
        torn += recovered(cut) is not None
        found = verify(cut)
        assert found.passed, (number, found.breach)
        assert found.n_samples >= rows
        if number % 15 == 0:
            repair(cut, tmp_path / "repaired.h5", overwrite=True)
            assert verify(tmp_path / "repaired.h5").passed
            if not load(cut).finished:
                resume.resume(cut, progress=False)
            assert np.array_equal(load(cut).samples.time_s, whole.samples.time_s)
    assert torn > 10
