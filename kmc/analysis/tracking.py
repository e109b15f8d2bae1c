"""Tracking: matches the voids of consecutive frames.

Voids are matched by the sites they share. Two voids are linked when they share at least `overlap`
of the smaller one's sites, and a void that shares fewer with every other is linked to the one it
shares most with. Voids without a shared site, which may have moved by diffusion between two frames,
are then paired with the nearest unpaired one of the other frame, within `reach_nm` between
centroids over the periodic boundaries, nearest pairs first.

The links of two frames define the events:

==============  =================================================================================
nucleation      a void without a parent: it reached ``min_size`` since the frame before
collapse        a void without a child: closed, dissolved, or below ``min_size``
growth          one parent, one child, more sites
shrinkage       one parent, one child, fewer sites
coalescence     a void with several parents
split           a void with several children
==============  =================================================================================

Events that are reversed between two frames are not seen, and several events of one void between two
frames are seen as one: see `history.VoidHistory.cadence_report`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

KINDS = ("nucleation", "growth", "shrinkage", "coalescence", "split", "collapse")
OVERLAP = 0.1
REACH_nm = 1.0


@dataclass(frozen=True)
class Snapshot:
    """The voids of one frame, as used for matching."""

    sites: np.ndarray  # int, shape (n,): sites in voids, ascending
    members: np.ndarray  # int, shape (n,): the void each belongs to, from 0
    volume: np.ndarray  # int, shape (n_voids,): sites of each void
    centroid_nm: np.ndarray  # float, shape (n_voids, 3): inside the box

    def __len__(self) -> int:
        return len(self.volume)


@dataclass(frozen=True)
class Links:
    """Links between the voids of two frames."""

    # parent, child: int, shape (n_links,): voids of the earlier and the later frame, from 0, in
    # ascending order
    parent: np.ndarray
    child: np.ndarray
    shared: np.ndarray  # int, shape (n_links,): sites they share; 0 for a link by distance


@dataclass(frozen=True)
class VoidEvent:
    """An event between two frames; voids are numbered from 0."""

    kind: str
    parents: tuple[int, ...]
    children: tuple[int, ...]
    volume_change: int


def link(
    before: Snapshot,
    after: Snapshot,
    box_nm: np.ndarray,
    periodic: tuple[bool, bool, bool],
    *,
    overlap: float = OVERLAP,
    reach_nm: float = REACH_nm,
) -> Links:
    """Match the voids of two frames.

    - `box_nm` (array of float, shape (3,)): edges of the box.
    - `periodic`: directions in which the box is periodic.
    - `overlap`: fraction of the smaller void's sites that two voids must share.
    - `reach_nm`: largest displacement of a void without shared sites; 0 for none.
    """
    _, i, j = np.intersect1d(before.sites, after.sites, assume_unique=True, return_indices=True)
    pairs, shared = np.unique(
        before.members[i].astype(np.int64) * max(1, len(after)) + after.members[j],
        return_counts=True,
    )
    parent, child = np.divmod(pairs, max(1, len(after)))
    # Of the smaller void: a small one that a large one takes in shares all of its own sites.
    enough = shared >= overlap * np.minimum(before.volume[parent], after.volume[child])
    for one in (parent, child):  # a void below the overlap is linked to its best match
        served = np.isin(one, one[enough])
        order = np.lexsort((-shared, one))
        best = order[np.unique(one[order], return_index=True)[1]]
        enough[best[~served[best]]] = True
    parent, child, shared = parent[enough], child[enough], shared[enough]

    # Small voids hop as a whole between frames and share no site with where they were.
    # Of voids without a shared site alone: whoever shares one has its partner already.
    lost = np.setdiff1d(np.arange(len(before)), parent)
    new = np.setdiff1d(np.arange(len(after)), child)
    moved: dict[int, int] = {}  # places in `lost` and in `new`, each once
    if len(lost) and len(new) and reach_nm > 0:
        places = [before.centroid_nm[lost], after.centroid_nm[new]]
        ring = np.where(periodic, box_nm, 0.0)  # 0: not periodic
        # The tree takes coordinates from 0 on, also along an axis that is not periodic.
        places = [p - np.where(periodic, 0.0, np.concatenate(places).min(axis=0)) for p in places]
        one, other = (cKDTree(np.where(periodic, p % box_nm, p), boxsize=ring) for p in places)
        near = one.sparse_distance_matrix(other, reach_nm, output_type="ndarray")
        # By distance, then by number: equal distances are frequent on a lattice, and a file has to
        # give the same tracks each time it is read.
        for k in np.lexsort((near["j"], near["i"], near["v"])):
            a, b = int(near["i"][k]), int(near["j"][k])
            if a not in moved and b not in moved.values():
                moved[a] = b
    parent = np.concatenate((parent, lost[list(moved)]))
    child = np.concatenate((child, new[list(moved.values())]))
    shared = np.concatenate((shared, np.zeros(len(moved), dtype=shared.dtype)))
    order = np.lexsort((child, parent))
    return Links(parent[order], child[order], shared[order])


def events(before: Snapshot, after: Snapshot, links: Links) -> Iterator[VoidEvent]:
    """Events between two frames, in the order of `KINDS`.

    ``volume_change`` is the volume of the voids after the event minus that before it, in sites. A
    void that takes part in a coalescence and a split counts in both with its full volume. A void of
    constant volume has no event.
    """
    children = _partners(links.parent, links.child, len(before))
    parents = _partners(links.child, links.parent, len(after))
    for void, origin in enumerate(parents):
        if not origin:
            yield VoidEvent("nucleation", (), (void,), int(after.volume[void]))
    for kind, sign in (("growth", 1), ("shrinkage", -1)):
        for void, origin in enumerate(parents):
            if len(origin) == 1 and len(children[origin[0]]) == 1:
                change = int(after.volume[void]) - int(before.volume[origin[0]])
                if change * sign > 0:
                    yield VoidEvent(kind, tuple(origin), (void,), change)
    for void, origin in enumerate(parents):
        if len(origin) > 1:
            change = int(after.volume[void]) - int(before.volume[origin].sum())
            yield VoidEvent("coalescence", tuple(origin), (void,), change)
    for void, result in enumerate(children):
        if len(result) > 1:
            change = int(after.volume[result].sum()) - int(before.volume[void])
            yield VoidEvent("split", (void,), tuple(result), change)
    for void, result in enumerate(children):
        if not result:
            yield VoidEvent("collapse", (void,), (), -int(before.volume[void]))


def _partners(one: np.ndarray, other: np.ndarray, n: int) -> list[list[int]]:
    partners: list[list[int]] = [[] for _ in range(n)]
    for a, b in zip(one.tolist(), other.tolist(), strict=True):
        partners[a].append(b)
    return partners


def heirs(before: Snapshot, after: Snapshot, links: Links) -> np.ndarray:
    """The void of the earlier frame whose track each void continues.

    A void and a child are one track when each is the other's best match: most shared sites, then
    the larger void. So the track of the largest of coalescing voids continues, and that of a void
    that splits continues in its largest piece.

    Returns ndarray of int, shape (len(after),): number in the earlier frame; −1 where a track
    begins.
    """
    # Mutual: with the best parent alone, both pieces of a split would go on with one track; with
    # the best child alone, both parents of a coalescence would.
    best_parent = _best(links.child, links.parent, links.shared, before.volume, len(after))
    best_child = _best(links.parent, links.child, links.shared, after.volume, len(before))
    heir = np.full(len(after), -1)
    linked = np.flatnonzero(best_parent >= 0)
    mutual = linked[best_child[best_parent[linked]] == linked]
    heir[mutual] = best_parent[mutual]
    return heir


def _best(
    one: np.ndarray, other: np.ndarray, shared: np.ndarray, volume: np.ndarray, n: int
) -> np.ndarray:
    best = np.full(n, -1)
    order = np.lexsort((other, -volume[other], -shared))[::-1]
    best[one[order]] = other[order]  # the best is written last, and stays
    return best
