"""The representative volume: round grains of active material and frame, with pores between."""

from typing import NamedTuple

import numpy as np
import scipy

PORE, FRAME, ACTIVE = 0, 1, 2


class Microstructure(NamedTuple):
    """What stands on each site before the first cycle, arrays of shape (edge, edge)."""

    material: np.ndarray  # int8: `PORE`, `FRAME` or `ACTIVE`
    grain: np.ndarray  # int16: Number of the grain whose cell the site is in, from 0


def counts(edge: int, active_fraction: float, frame_fraction: float) -> tuple[int, int]:
    """Sites of active material and of the frame: fractions of edge², rounded."""
    return round(active_fraction * edge**2), round(frame_fraction * edge**2)


def build(
    rng: np.random.Generator,
    edge: int,
    grain_sites: float,
    active_fraction: float,
    frame_fraction: float,
    refinement: int = 1,
) -> Microstructure:
    """Grains of nearly equal size at random, which touch at single sites, cut at the end.

    Cells of a relaxed Voronoi pattern (mirrored at the walls) are shared out between the two
    materials in the ratio of their fractions. In each cell the sites that are farthest from its
    middle or next to its boundary are pores, just so many that the counts of sites are exact; at
    the middle of each boundary longer than two sites, the sites nearest to it stay solid: there the
    grains touch.

    - `edge`: sites along an edge.
    - `grain_sites`: mean distance of the middles of neighbouring grains, in sites.
    - `active_fraction`, `frame_fraction`: area fractions.
    - `refinement`: each site is cut into so many along both edges.
    """
    number = max(4, round(edge**2 / (np.sqrt(0.75) * grain_sites**2)))
    sites = np.stack(np.meshgrid(np.arange(edge), np.arange(edge), indexing="ij"), -1) + 0.5
    sites = sites.reshape(-1, 2)
    middle = rng.uniform(0, edge, (number, 2))
    for _ in range(8):  # Lloyd's iteration
        # Each middle goes to the mean of its cell, which makes grains of nearly equal size.
        cell = _mirrored(middle, edge).query(sites)[1] % number
        middle = (
            np.stack([np.bincount(cell, sites[:, k], number) for k in (0, 1)], -1)
            / np.maximum(np.bincount(cell, minlength=number), 1)[:, None]
        )
    distance, index = _mirrored(middle, edge).query(sites, k=min(8, 5 * number))
    index %= number
    cell, near = index[:, 0], distance[:, 0]
    other = np.where(index == cell[:, None], np.inf, distance).min(axis=1)
    need_active, need_frame = counts(edge, active_fraction, frame_fraction)
    # Cells at random until active material has its share: so both have the same surplus of sites.
    areas = np.bincount(cell, minlength=number)
    active = np.zeros(number, dtype=bool)
    target = areas.sum() * need_active / (need_active + need_frame)
    for chosen in rng.permutation(number):
        if areas[active].sum() + areas[chosen] / 2 <= target:
            active[chosen] = True
    # Sites beside a boundary come last, so that pores lie between grains; where two grains touch,
    # sites come first.
    score = near + grain_sites * np.maximum(0.0, 1.0 - (other - near) / 2)
    score[_touching(middle, sites, edge)] = -1.0
    material = np.full(edge**2, PORE, dtype=np.int8)
    for kind, need in ((ACTIVE, need_active), (FRAME, need_frame)):
        own = np.flatnonzero(active[cell] == (kind == ACTIVE))
        material[own[np.argsort(score[own], kind="stable")[:need]]] = kind
    cut = np.ones((refinement, refinement), dtype=np.int8)
    return Microstructure(
        *(np.kron(a.reshape(edge, edge), cut) for a in (material, cell.astype(np.int16)))
    )


def _images(middle: np.ndarray, edge: int) -> np.ndarray:
    parts = [middle]
    for k in (0, 1):
        for wall in (0.0, edge):
            image = middle.copy()
            image[:, k] = 2 * wall - image[:, k]
            parts.append(image)
    return np.concatenate(parts)


def _mirrored(middle: np.ndarray, edge: int) -> "scipy.spatial.cKDTree":
    """Tree of the middles and their images at the four walls; an index modulo their number."""
    return scipy.spatial.cKDTree(_images(middle, edge))


def _touching(middle: np.ndarray, sites: np.ndarray, edge: int) -> np.ndarray:
    """Sites beside the middle of the line between neighbouring grains, one on each side of it."""
    number = len(middle)
    points = _images(middle, edge)
    tree = scipy.spatial.cKDTree(sites)
    pairs = []
    pattern = scipy.spatial.Voronoi(points)
    for (a, b), ridge in zip(pattern.ridge_points, pattern.ridge_vertices, strict=True):
        if -1 in ridge or (a >= number and b >= number) or a % number == b % number:
            continue
        p, q = pattern.vertices[ridge]
        if np.hypot(*(p - q)) < 2.0:
            continue
        at = (points[a] + points[b]) / 2
        along = (points[b] - points[a]) / np.hypot(*(points[b] - points[a]))
        for shift in (-1.5, -0.5, 0.5, 1.5):
            place = at + shift * along
            if (place > 0).all() and (place < edge).all():
                pairs.append(tree.query(place)[1])
    return np.unique(np.array(pairs, dtype=int))
