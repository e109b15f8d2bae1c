"""Voids on cross-section lines, as a microscope sees them on a polished cut.

Lines run along every row and every column of the grid. A run of cells with a gap is a void of the
picture: its width is what of them is not in contact, its height the largest h. A microscope of
resolution r sees no contact shorter than r between two voids, and no void narrower or lower than r.

Voids that are smaller than two cells are points of the model; lines meet a disc of radius R
2R/edge² times per length, on a mean chord of πR/2, below two thirds of the height of a parabola.
"""

import math

import numpy as np

CHORD, RISE = math.pi / 4, 2 / 3  # mean chord over diameter, mean height over the largest


def cut(
    h_um: np.ndarray,
    edge_um: float,
    resolution_um: float = 0.0,
    *,
    cover: np.ndarray | None = None,
    point_radius_um: np.ndarray | None = None,
    point_height_um: np.ndarray | None = None,
) -> dict[str, float]:
    """The columns of `/samples` that follow from lines; means are NaN without any void.

    - `point_radius_um`, `point_height_um`: footprint and largest height of the voids that are
      points.
    - Others as of `voids_on_lines`.
    """
    width, height, _ = voids_on_lines(h_um, edge_um, resolution_um, cover)
    length = 2 * len(h_um) * edge_um
    radius = np.zeros(0) if point_radius_um is None else point_radius_um
    high = np.zeros(0) if point_height_um is None else point_height_um
    seen = (2 * CHORD * radius >= resolution_um) & (RISE * high >= resolution_um)
    across = 2 * radius[seen]
    # A line meets discs in proportion to their width, so that wide ones count more in the means.
    total = float(across.sum())
    of_points = total * length / edge_um**2
    n = len(width) + of_points
    columns = {"voids_per_100um": 100.0 * n / length}
    for name, drawn, of_point in (
        ("width", width, CHORD * float((across**2).sum())),
        ("height", height, RISE * float((across * high[seen]).sum())),
    ):
        each = of_point / total if total else 0.0
        mean = (float(drawn.sum()) + of_points * each) / n if n else math.nan
        largest = float(drawn.max()) if len(drawn) else math.nan
        columns |= {f"mean_{name}_um": mean, f"max_{name}_um": largest}
    return columns


def voids_on_lines(
    h_um: np.ndarray, edge_um: float, resolution_um: float = 0.0, cover: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Width and height in µm of each void on the lines, and its line: along x first, then along y.

    - `h_um`: periodic field of gaps h ≥ 0, shape (n, n).
    - `resolution_um`: of the microscope.
    - `cover`: share of each cell that is not in contact, above 0 where h is; 1 there by default.
    """
    n = len(h_um)
    share = (h_um > 0).astype(float) if cover is None else cover
    planes = ((h_um, share), (h_um.T, share.T))
    along_x, along_y = (_runs(*plane, edge_um / n, resolution_um) for plane in planes)
    width, height = (np.concatenate([along_x[k], along_y[k]]) for k in (0, 1))
    return width, height, np.concatenate([along_x[2], along_y[2] + n])


def _runs(h_um: np.ndarray, share: np.ndarray, cell_um: float, resolution_um: float) -> tuple:
    """Widths, heights and rows of the voids along the rows of a periodic field."""
    is_open, n = h_um > 0, len(h_um)
    h_um, share, is_open = _from_contact(is_open, h_um, share, is_open)
    row, begin, end = _stretches(~is_open)
    # Beside cells in contact that of the cells at either end of the two voids.
    ends = 2 - share[row, begin - 1] - share[row, end % n]
    # Two voids with less contact between them than the microscope resolves are one to it.
    hidden = (end - begin + ends) * cell_um < resolution_um
    for i, first, last in zip(row[hidden], begin[hidden], end[hidden], strict=True):
        is_open[i, first:last] = True
        share[i, np.arange(first - 1, last + 1) % n] = 1.0
    if hidden.any():
        h_um, share, is_open = _from_contact(is_open, h_um, share, is_open)
    row, begin, end = _stretches(is_open)
    if not len(row):
        return np.zeros(0), np.zeros(0), row
    # Pairs of bounds in the rows laid end to end, with a column of nothing behind each.
    bounds = np.stack([row * (n + 1) + begin, row * (n + 1) + end], axis=1).ravel()
    sums, highest = (
        how.reduceat(np.pad(values, ((0, 0), (0, 1))).ravel(), bounds)[::2]
        for how, values in ((np.add, share), (np.maximum, h_um))
    )
    width = sums * cell_um
    seen = (width >= resolution_um) & (highest >= resolution_um)
    return width[seen], highest[seen], row[seen]


def _from_contact(is_open: np.ndarray, *planes: np.ndarray) -> list[np.ndarray]:
    """Planes with each row begun where contact begins, so that no void goes over its end."""
    start = np.argmax(~is_open & np.roll(is_open, 1, axis=1), axis=1)
    place = (start[:, None] + np.arange(len(is_open))) % len(is_open)
    return [np.take_along_axis(plane, place, axis=1) for plane in planes]


def _stretches(is_open: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row, first column and column behind the last of each stretch of true cells."""
    n = len(is_open)
    padded = np.zeros((n, n + 2), dtype=np.int8)
    padded[:, 1:-1] = is_open
    turns = np.diff(padded, axis=1)
    row, begin = np.nonzero(turns == 1)
    _, end = np.nonzero(turns == -1)
    return row, begin, end
