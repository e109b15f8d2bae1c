"""What kmc writes it reads: files of every kind whose frames hold nothing, and all they can hold.

The bounds of a reader are made as much smaller as the files are, so that stated and stored bytes
are in the same proportion as in a run of hundreds of megabytes.
"""

from __future__ import annotations

import dataclasses

import fake
import fake_results
import h5py
import numpy as np
import pytest
from table_files import rewrite

import kmc
from kmc.errors import FileFormatError
from kmc.files import check_result, integrity, table_reader
from kmc.systems.run import system_of

SMALLER = 2**12
N_FRAMES = 300
RUNS = {
    "deposition": (
        "aurbach_zno_002",
        {"system.size": [8, 8, 8], "acceleration.max_hops_per_strip_per_site": 1e4},
    ),
    "cathode": (
        "cathode_se",
        {"cathode.edge_sites": 16, "cathode.grain_sites": 6, "cathode.cycles": 1},
    ),
}


@pytest.fixture(scope="module", params=["box", "population", *RUNS])
def source(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "box":
        return fake.write(folder / "box.h5", box=fake.lattice(cells=(8, 8)))
    if request.param == "population":
        return fake_results.voids(folder)
    return kmc.run(*RUNS[request.param], output=folder / "run.h5", progress=False).path


def maps_of(arrays):
    """Arrays of frames, by their names."""
    return [p for p, v in arrays.items() if p.startswith("frames/") and v.ndim > 1]


def of_many_frames(source, target, filled):
    """The file again, with many frames that hold zeros, or random bytes."""
    rng = np.random.default_rng(3)

    def edit(arrays):
        for path, values in arrays.items():
            if path.startswith("frames/"):
                shape = (N_FRAMES, *values.shape[1:])
                arrays[path] = np.resize(values, shape)
                if values.ndim > 1 and filled:
                    random = rng.bytes(arrays[path].nbytes)
                    arrays[path] = np.frombuffer(random, values.dtype).reshape(shape)
                elif values.ndim > 1:
                    arrays[path] = np.zeros(shape, values.dtype)
        written.update(arrays)

    written: dict[str, np.ndarray] = {}
    rewrite(source, target, edit)
    return written


@pytest.mark.parametrize("filled", [False, True], ids=["emptiest", "fullest"])
def test_what_is_written_is_read(source, filled, tmp_path, monkeypatch):
    path = tmp_path / "run.h5"
    written = of_many_frames(source, path, filled)
    monkeypatch.setattr(integrity, "_BYTES", integrity._BYTES // SMALLER)
    monkeypatch.setattr(integrity, "_SLACK_BYTES", 0)
    monkeypatch.setattr(table_reader, "_FRAME_NUMBERS", table_reader._FRAME_NUMBERS // SMALLER)
    maps = maps_of(written)
    stated = sum(written[p].nbytes for p in maps)
    assert stated > integrity._BYTES
    run = kmc.load(path)
    assert not {*maps} & {*run.arrays}
    run.summary()
    for place in maps:
        name = place.rpartition("/")[2]
        frames = run.frames[name] if run.kind != "electrode" else None
        for index in (0, 17, N_FRAMES - 1):
            expected = written[place][index].tobytes()
            assert run.frame_array(name, index).tobytes() == expected
            assert frames is None or frames[index].tobytes() == expected
        if frames is not None:
            assert np.asarray(frames).tobytes() == written[place].tobytes()
            assert len(frames) == N_FRAMES


def test_a_changed_frame_is_noticed_when_it_is_read(source, tmp_path, monkeypatch):
    path = tmp_path / "run.h5"
    written = of_many_frames(source, path, False)
    monkeypatch.setattr(table_reader, "_FRAME_NUMBERS", 0)
    place = maps_of(written)[-1]
    with h5py.File(path, "r+") as file:
        file[place][7] = 1
    run = kmc.load(path)
    name = place.rpartition("/")[2]
    run.frame_array(name, 6)
    with pytest.raises(FileFormatError, match="fails its checksum, at row 7"):
        run.frame_array(name, 7)
    with pytest.raises(FileFormatError, match="fails its checksum"):
        kmc.verify(path)


def test_of_very_many_frames_the_last_ones_are_recomputed(source, tmp_path, monkeypatch):
    """The time of `kmc verify` is bounded; every checksum is compared."""
    path = tmp_path / "run.h5"
    of_many_frames(source, path, False)
    monkeypatch.setattr(check_result, "_MAX_RECOMPUTED", 7)
    looked_at = []

    def check(run):
        looked_at.extend(check_result.recomputed(len(run.frame_columns["sample"])))
        return iter(())

    system = dataclasses.replace(system_of(path), checks=(("frames", check),))
    assert "frames (the last 7 recomputed below)" in system.verify(path).checks[0]
    assert looked_at == [*range(N_FRAMES - 7, N_FRAMES)]


def test_frames_of_another_number_are_refused(source, tmp_path, monkeypatch):
    def edit(arrays):
        for place in maps_of(arrays):
            arrays[place] = arrays[place][:-1]

    monkeypatch.setattr(table_reader, "_FRAME_NUMBERS", 0)
    rewrite(source, tmp_path / "run.h5", edit)
    with pytest.raises(FileFormatError, match="another number of frames"):
        kmc.load(tmp_path / "run.h5")
