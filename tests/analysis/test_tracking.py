"""Life stories on sequences in which every event is known."""

from __future__ import annotations

import fake
import numpy as np
import pytest

from kmc import load
from kmc.analysis import tracking, voids
from kmc.analysis.history import VoidHistory
from kmc.analysis.history import voids as history_of
from kmc.errors import InputError

CELLS = 20
BOX = fake.lattice("bcc_100", (CELLS, CELLS), 10)


def frame(*blocks, box=BOX) -> np.ndarray:
    """Occupancy with vacant blocks of cells (x, y, width, depth), two layers high."""
    occupancy = np.ones((box.layers, box.cells[1], box.cells[0]), dtype=np.uint8)
    for x, y, width, depth in blocks:
        columns, rows = np.arange(x, x + width) % box.cells[0], np.arange(y, y + depth)
        occupancy[:2, (rows % box.cells[1])[:, None], columns] = 0
    return occupancy.ravel()


def follow(*frames, box=BOX, min_size=4, **rules) -> VoidHistory:
    n = np.arange(len(frames))
    columns = {
        "frame": n,
        "capacity_monolayers": 0.5 * n,
        "capacity_mAh_cm2": 1e-5 * n,
        "time_s": 0.1 * n,
    }
    found = (voids.find(one, box, min_size) for one in frames)
    return VoidHistory(found, columns, box, min_size, **rules)


def told(history) -> list[tuple]:
    events = history.events
    return [
        (row.frame, row.kind, len(row.parents), len(row.children), row.volume_change_sites)
        for row in events.itertuples()
    ]


@pytest.mark.parametrize("shift", [(0, 0), (15, 0), (0, 14), (17, 18)])
def test_each_kind_of_event_alone(shift):
    """Also where the voids lie across the periodic edges."""

    def at(*blocks):
        return frame(*((x + shift[0], y + shift[1], w, d) for x, y, w, d in blocks))

    metal = at()
    small, large = at((4, 4, 3, 3)), at((4, 4, 5, 3))
    apart, joined = at((4, 4, 3, 3), (8, 4, 3, 3)), at((4, 4, 7, 3))
    expected = {
        "nucleation": ((metal, small), (0, 1, 18)),
        "growth": ((small, large), (1, 1, 12)),
        "shrinkage": ((large, small), (1, 1, -12)),
        "coalescence": ((apart, joined), (2, 1, 6)),
        "split": ((joined, apart), (1, 2, -6)),
        "collapse": ((small, metal), (1, 0, -18)),
    }
    assert tuple(expected) == tracking.KINDS
    for kind, (frames, (parents, children, change)) in expected.items():
        history = follow(*frames)
        assert told(history) == [(1, kind, parents, children, change)]
        [event] = history.events.itertuples()
        assert event.capacity_monolayers == 0.5
        assert event.time_s == 0.1
        assert event.volume_change_nm3 == pytest.approx(change * 3.506**3 / 2000)
    assert told(follow(small, small)) == []


def test_several_events_at_once():
    """Nucleation, growth, shrinkage, coalescence of three over an edge, split and collapse."""
    before = frame(
        (0, 0, 2, 2),  # grows
        (6, 0, 3, 2),  # shrinks
        (17, 5, 2, 3),  # three that join over the edge in x
        (0, 5, 2, 3),
        (3, 5, 2, 3),
        (5, 12, 7, 3),  # splits
        (14, 12, 2, 2),  # collapses
    )
    after = frame(
        (0, 0, 3, 2),
        (6, 0, 2, 2),
        (17, 5, 8, 3),
        (5, 12, 3, 3),
        (9, 12, 3, 3),
        (16, 17, 2, 2),  # nucleates, beyond the reach of the one that collapsed
    )
    history = follow(before, after)
    assert told(history) == [
        (1, "nucleation", 0, 1, 8),
        (1, "growth", 1, 1, 4),
        (1, "shrinkage", 1, 1, -4),
        (1, "coalescence", 3, 1, 12),
        (1, "split", 1, 2, -6),
        (1, "collapse", 1, 0, -8),
    ]
    volumes = history.table.groupby("frame").volume_sites.sum()
    assert history.events.volume_change_sites.sum() == volumes[1] - volumes[0]
    back = follow(after, before)
    assert sorted(event[1] for event in told(back)) == sorted(
        ["collapse", "shrinkage", "growth", "split", "coalescence", "nucleation"]
    )


def test_coalescence_and_split_of_one_void_between_two_frames():
    """A splits, and one piece joins with B: both are told."""
    before = frame((2, 5, 7, 3), (11, 5, 3, 3))
    after = frame((2, 5, 3, 3), (6, 5, 8, 3))
    history = follow(before, after)
    assert [event[1] for event in told(history)] == ["coalescence", "split"]
    split = history.events[history.events.kind == "split"].iloc[0]
    assert len(split.children) == 2


def test_a_void_that_moved_is_the_same_within_reach():
    one = frame((1, 4, 2, 2))
    near = frame((19, 4, 2, 2))  # two cells, 0.70 nm, over the edge: no shared site
    history = follow(one, near)
    assert told(history) == []
    assert history.graph.by.tolist() == ["distance"]
    assert history.table.track.tolist() == [1, 1]
    assert [event[1] for event in told(follow(one, near, reach_nm=0.6))] == [
        "nucleation",
        "collapse",
    ]
    # The nearest pair comes first, and every void is used once.
    two = follow(frame((1, 4, 2, 2), (8, 4, 2, 2)), frame((3, 4, 2, 2)))
    assert [event[1] for event in told(two)] == ["collapse"]


def test_a_few_shared_sites_do_not_join_large_voids():
    before, after = frame((0, 0, 8, 8), (9, 0, 6, 8)), frame((0, 0, 7, 8), (8, 0, 7, 8))
    assert {row[1] for row in told(follow(before, after))} == {"growth", "shrinkage"}
    assert follow(before, before).graph.shared_sites.tolist() == [128, 96]


def test_matching_equals_brute_force():
    """Links by overlap, by sets of sites, on random frames in all three orientations."""
    for name in ("bcc_100", "bcc_110", "bcc_111"):
        box = fake.lattice(name, (6, 6), 12)
        rng = np.random.default_rng(len(name))
        frames = [(rng.random(box.n_sites) > 0.1).astype(np.uint8) for _ in range(2)]
        frames[1] = np.where(rng.random(box.n_sites) < 0.6, frames[0], frames[1])
        found = [voids.find(one, box, 2) for one in frames]
        sets = [[set(np.flatnonzero(v.labels == k + 1)) for k in range(len(v))] for v in found]
        shared = {(i, j): len(a & b) for i, a in enumerate(sets[0]) for j, b in enumerate(sets[1])}
        expected = {
            (i, j): n
            for (i, j), n in shared.items()
            if n
            and (
                n >= 0.1 * min(len(sets[0][i]), len(sets[1][j]))
                or n == max(shared[i, k] for k in range(len(sets[1])))
                or n == max(shared[k, j] for k in range(len(sets[0])))
            )
        }
        history = follow(*frames, box=box, min_size=2, reach_nm=0.0)
        graph = history.graph
        links = zip(graph.void - 1, graph.next_void - 1, graph.shared_sites, strict=True)
        assert {(i, j): n for i, j, n in links} == expected


def test_tracks_have_their_beginning_and_end():
    history = follow(
        frame((2, 2, 3, 3)),
        frame((2, 2, 3, 3), (8, 2, 2, 2)),
        frame((2, 2, 4, 3), (7, 2, 3, 2)),
        frame((2, 2, 8, 3)),  # the larger one goes on
        frame((2, 2, 4, 3), (7, 2, 2, 2)),  # its larger piece goes on
        frame((7, 2, 2, 2)),
    )
    lives = history.tracks.set_index("track")
    assert lives.begin.tolist() == ["start", "nucleation", "split"]
    assert lives.end.tolist() == ["collapse", "coalescence", "end"]
    assert lives.first_frame.tolist() == [0, 1, 4]
    assert lives.last_frame.tolist() == [4, 2, 5]
    assert lives.max_sites.tolist() == [48, 12, 8]
    assert lives.last_time_s.tolist() == pytest.approx([0.4, 0.2, 0.5])


def test_cadence_report():
    grown = [frame((2, 2, 2 + k, 3)) for k in range(5)]
    blink = frame((2, 2, 3, 3), (12, 12, 2, 2))
    grown[1] = blink
    report = follow(*grown).cadence_report()
    assert report.index.tolist() == [1, 2, 4]
    assert report.frames.tolist() == [5, 3, 2]
    assert report.growth.tolist() == [4, 2, 1]
    assert report.nucleation.tolist() == [1, 0, 0]
    assert report.tracks.tolist() == [2, 1, 1]
    assert report.monolayers_between.tolist() == [0.5, 1.0, 2.0]
    with pytest.raises(InputError, match="every = 0"):
        follow(*grown).cadence_report([0])


def test_a_trajectory(tmp_path):
    t = load(fake.write(tmp_path / "t.h5", box=fake.lattice(cells=(16, 16), layers=12)))
    history = history_of(t)
    assert len(history) == len(t.frames)
    table = history.table
    for index in range(len(t.frames)):
        found = voids.find(t.frames[index].occupancy, t.lattice)
        rows = table[table.frame == index]
        assert rows.void.tolist() == list(range(1, len(found) + 1))
        assert rows.volume_sites.tolist() == found.volume.tolist()
        np.testing.assert_array_equal(rows.wetting_angle_deg, found.wetting_angle_deg)
        np.testing.assert_array_equal(history.labels(index), found.labels)
        count = history.counts.iloc[index]
        assert count.voids == len(found)
        assert count.vacancies == found.n_vacancies
        assert count.vacancies_in_voids == found.volume.sum()
    np.testing.assert_array_equal(history.labels(-1), history.labels(len(t.frames) - 1))
    assert repr(history).startswith("VoidHistory: ")

    done = []
    some = history_of(t, frames=slice(1, None, 2), progress=lambda k, n: done.append((k, n)))
    assert some.frames == [1, 3, 5]
    assert done == [(1, 3), (2, 3), (3, 3)]
    with pytest.raises(InputError, match="frame 2 is not in this history"):
        some.labels(2)
    assert history_of(t, frames=[-1, 0]).frames == [0, 5]
    for wrong in ({"frames": [9]}, {"min_size": 0}, {"overlap": 2}, {"reach_nm": -1}):
        with pytest.raises(InputError, match=r"frame 9|min_size = 0|overlap = 2|reach_nm = -1"):
            history_of(t, **wrong)
    with pytest.raises(InputError, match="no frames"):
        history_of(load(fake.write(tmp_path / "none.h5", n_frames=0)))


def test_nothing_ever():
    history = follow(frame(), frame())
    assert history.table.empty
    assert history.events.empty
    assert history.graph.empty
    assert history.tracks.empty
    assert history.counts.voids.tolist() == [0, 0]
    assert history.cadence_report().tracks.tolist() == [0, 0, 0]
    assert "events   none" in repr(history)
