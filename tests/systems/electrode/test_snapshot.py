"""States put back, and the check that a running state is what its species say."""

from __future__ import annotations

import numpy as np
import pytest

from kmc.errors import KmcError
from kmc.files import checkpoint
from kmc.kernels import tables
from kmc.runfile.load import load_run
from kmc.systems.electrode import snapshot
from kmc.systems.electrode.run import ElectrodeJob
from kmc.systems.run import run_to_file

RUNS = {
    "li": ("strip_li_hops", {}),
    "limg_110": ("strip_limg", {"system.lattice": "bcc_110"}),
}
SMALL = {"system.size": [8, 8, 10], "acceleration.max_hops_per_strip_per_site": 3e3}


@pytest.fixture(params=RUNS)
def engine(request):
    """In the middle of a run, with vacancies, stale strip weights and everything."""
    name, overrides = RUNS[request.param]
    engine = ElectrodeJob(load_run(name, {**SMALL, **overrides})).engine
    engine.advance(events=20_000, strips=60)
    return engine


def test_nothing_differs_in_a_sound_state(engine):
    assert snapshot.differences(engine) == []
    assert engine.count(tables.N_DIRTY) > 0
    assert engine.count(tables.VACANCIES) > 5


def test_what_is_put_back_goes_on_in_the_same_way(engine):
    saved = checkpoint.unpack(checkpoint.pack(snapshot.take(engine)))
    other = snapshot.restore(engine.model, saved)
    for each in (engine, other):
        each.advance(events=40_000, strips=100)
    assert other.sample() == engine.sample()
    assert other.rng.bit_generator.state == engine.rng.bit_generator.state
    np.testing.assert_array_equal(other.occupancy(), engine.occupancy())
    assert other.state.activity.tolist() == engine.state.activity.tolist()
    for which in ("hops", "strips", "plates"):
        one, two = engine.bin_members(which), other.bin_members(which)
        assert {b: m.tolist() for b, m in one.items()} == {b: m.tolist() for b, m in two.items()}


def _vacancy(engine) -> int:
    members = engine.bin_members("hops")
    return int(engine.model.kernel_lattice.kernel_sites(next(iter(members.values())))[0])


def _swap_bin(engine):
    """A vacancy in the bin below its own."""
    bins, site = engine.state.hops, _vacancy(engine)
    from kmc.kernels.selection import POSITION_BITS, put

    b = int(bins.where[site]) >> POSITION_BITS
    put(bins, site, b - 1)


def _wrong_mass(engine):
    engine.state.hops.window[np.argmax(engine.state.hops.count) // 64] += 2


def _wrong_place(engine):
    bins = engine.state.hops
    b = int(np.argmax(bins.count))
    bins.members[b, 0] = bins.members[b, bins.count[b] - 1]


def _wrong_strip_weight(engine):
    from kmc.kernels.selection import POSITION_BITS, put

    bins = engine.state.strips
    numbering = engine.model.kernel_lattice
    dirty = numbering.lattice_sites(engine.state.dirty[: engine.count(tables.N_DIRTY)])
    clean = np.setdiff1d(np.flatnonzero(bins.where >= 0), numbering.strip_members(dirty))
    b = int(bins.where[clean[0]]) >> POSITION_BITS
    put(bins, int(clean[0]), b + 1)


DAMAGE = {
    "energy": lambda e: e.state.counters.__setitem__(tables.ENERGY, e.energy_ueV + 1),
    "vacancies": lambda e: e.state.counters.__setitem__(tables.VACANCIES, 1),
    "count around a site": lambda e: e.state.site_state.__setitem__(
        _vacancy(e), e.state.site_state[_vacancy(e)] ^ tables.NV1
    ),
    "bin": _swap_bin,
    "mass": _wrong_mass,
    "place": _wrong_place,
    "strip weight": _wrong_strip_weight,
}


@pytest.mark.parametrize("what", DAMAGE)
def test_any_difference_is_found(engine, what):
    DAMAGE[what](engine)
    assert snapshot.differences(engine)


def test_a_state_of_another_run_is_refused(engine):
    saved = snapshot.take(engine)
    saved["counters"][tables.ENERGY] += 1
    with pytest.raises(KmcError, match="checkpoint does not fit the run: energy"):
        snapshot.restore(engine.model, saved)
    saved = snapshot.take(engine)
    saved["hop_bins"] = saved["hop_bins"][1:]
    with pytest.raises(KmcError, match="checkpoint does not fit"):
        snapshot.restore(engine.model, saved)


def test_a_difference_stops_the_run(tmp_path, monkeypatch):
    """And the file does not look like that of a finished run."""
    run = load_run("strip_li_hops", {**SMALL, "stop.capacity_monolayers": 1.0})
    path = tmp_path / "run.h5"
    checks = []

    def differences(engine):
        checks.append(engine.count(tables.EVENTS))
        return ["energy: 1 in the run, 2 rebuilt"] if len(checks) == 3 else []

    monkeypatch.setattr(snapshot, "differences", differences)
    with pytest.raises(KmcError, match=r"self-check after 3000 events: .* energy: 1 in the run"):
        run_to_file(run, path, progress=False, check_every=1000)
    assert checks == [1000, 2000, 3000]
    from kmc import load

    assert not load(path).finished


# --- bytes ----------------------------------------------------------------------------------------


def test_tables_come_back_as_they_were():
    table = {
        "a": np.arange(12, dtype=np.int32).reshape(3, 4),
        "empty": np.empty((0, 2), dtype=np.int32),
        "clock": np.array([0.1, np.inf]),
        "text": "µ",
        "large": 2**127,
        "nested": {"state": {"inc": 3}},
        "nothing": None,
    }
    back = checkpoint.unpack(checkpoint.pack(table) + b"what an older, longer one left behind")
    assert back.keys() == table.keys()
    for name, value in table.items():
        if isinstance(value, np.ndarray):
            assert back[name].dtype == value.dtype
            np.testing.assert_array_equal(back[name], value)
        else:
            assert back[name] == value
    assert checkpoint.pack(back) == checkpoint.pack(table)


def test_damaged_bytes_are_no_checkpoint():
    data = checkpoint.pack({"a": np.arange(100), "b": 1})
    assert checkpoint.unpack(b"") is None
    assert checkpoint.unpack(data[:-1]) is None
    for place in range(len(data)):
        damaged = bytearray(data)
        damaged[place] ^= 4
        assert checkpoint.unpack(bytes(damaged)) is None
