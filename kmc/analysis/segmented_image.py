"""Voids along the interface of a segmented SEM or CT image, measured as on cross-section lines.

A segmented image has one grey value for each phase; others are segmented first, see
`kmc.analysis.segmentation`. The interface is where the electrolyte ends towards the metal, column
by column; without an electrolyte it is the edge of the image. Void pixels that touch, by an edge or
a corner, are one void; it counts when one of its pixels lies at the interface. Each slice of a
stack is a line. See `kmc.analysis.cross_section` for runs.
"""

import warnings
from collections import Counter
from dataclasses import dataclass

import numpy as np
import scipy

from kmc.analysis import segmentation
from kmc.analysis.cross_section import line_statistics
from kmc.analysis.measured import QUANTITIES
from kmc.common.formatting import listed, plural
from kmc.common.late import pandas as pd
from kmc.errors import InputError, KmcWarning

METAL_SIDES = ("above", "below")
_TILE_PIXELS = 2_000_000
_MAX_SHOWN = 3  # slices of a stack in its picture
_MAX_LOSS = 0.95  # of contact at an edge of the image, which may be no interface
_MAX_VOID = 0.4  # of the pixels; a larger share is that of a phase
_nm_per_um = 1e3


@dataclass(frozen=True)
class ImageVoids:
    """Voids of an image, from `measure_image`.

    To compare a cross-section under the microscope with that of a run, by the same definitions.

    - `row`: columns of `kmc.analysis.cross_section.CrossSection.table` without frame and time:
      contact_loss, voids, voids_per_100um, width_mean_nm, height_median_nm, …
    - `voids`: one row for each void: line, width_nm, height_nm, area_nm2, at_edge (it reaches the
      left or right edge of the image, so that it may be wider than seen).
    - `n_lines`: slices; 1 for a plain image.
    - `notes`: how it was segmented and what was not counted; `views`: up to three slices to draw.
    """

    row: dict[str, float]
    voids: "pd.DataFrame"
    line_length_nm: float
    n_lines: int
    notes: tuple[str, ...] = ()
    views: tuple[segmentation.View, ...] = ()

    def measured_row(self) -> dict[str, float]:
        """Its columns of a table of `kmc.analysis.measured`; errors are standard deviations."""
        row = {
            QUANTITIES["contact_loss"]: 100 * self.row["contact_loss"],
            QUANTITIES["voids"]: self.row["voids_per_100um"],
        }
        for name in ("width", "height"):
            values = self.voids[f"{name}_nm"].to_numpy(float) / _nm_per_um
            # Of a sample, with n − 1: the voids of an image stand for those of the whole interface.
            deviation = float(values.std(ddof=1)) if len(values) > 1 else np.nan
            row[QUANTITIES[name]] = float(values.mean()) if len(values) else np.nan
            row[f"{QUANTITIES[name]}_error"] = deviation
        return row


def measure_image(
    image: np.ndarray,
    nm_per_pixel: float,
    *,
    void: float | None = None,
    electrolyte: float | None = None,
    metal: str = "above",
    min_size: int = 4,
    threshold: str | None = None,
    bright: bool = False,
    rim: int | None = None,
) -> ImageVoids:
    """Measure voids along the interface of a segmented or a grey image.

    - `image` (ndarray, shape (height, width) or (n_slices, height, width)): grey value of each
      pixel; row 0 is the top.
    - `void`: grey value of voids; by default 0, with a threshold the darkest class.
    - `electrolyte`: grey value of the electrolyte; without it the metal ends at the edge of the
      image.
    - `metal` ({"above", "below"}): where the metal lies, seen from the electrolyte.
    - `min_size`: fewest connected pixels that make a void.
    - `threshold`, `bright`: of an image that is not segmented, see `segmentation.of_greys`.
    - `rim`: most pixels of a rim of the third phase, see `segmentation.share_rims`.

    Raises `InputError`: the image has no such value, too many values, a column without electrolyte,
    or, without the electrolyte, voids that all lie off the edge.

    Examples
    --------
    >>> measure_image(read_image("cut.png"), 12.5, void=0).row["voids_per_100um"]  # doctest: +SKIP
    """
    if metal not in METAL_SIDES:
        raise InputError(f"metal = {metal!r} is not known", advice='Choose "above" or "below".')
    if not 1e-6 < nm_per_pixel < 1e12:  # squares and sums of lengths stay finite
        raise InputError(
            f"nm_per_pixel = {nm_per_pixel} is no length", advice="Give the width of a pixel in nm."
        )
    stack = image[np.newaxis] if image.ndim == 2 else image
    own = () if threshold else (electrolyte, _metal_value(stack[0], void or 0, electrolyte))
    bars = np.max([segmentation.info_bars(values, own) for values in stack], axis=0)
    whole, stack = stack, stack[:, bars[0] : stack.shape[1] - bars[1]]
    if threshold is not None:
        phases_by = segmentation.of_greys(
            stack, threshold, void=void, electrolyte=electrolyte, bright=bright
        )
    else:
        counts = segmentation.value_counts(stack)
        phases_by = segmentation.of_mask(void or 0, electrolyte, counts)
        _warn_of_shares(counts, void or 0, electrolyte)
    # The electrolyte is below from here on: heights count upwards, against the row number.
    turn = slice(None, None, 1 if metal == "above" else -1)
    n_rows, n_columns = stack.shape[1:]
    shown = np.unique(np.linspace(0, len(stack) - 1, _MAX_SHOWN).round())
    rows, opens, views, ignored = [], [], [], Counter[str]()
    for line, values in enumerate(stack):
        phases = np.ascontiguousarray(phases_by.phases(values)[turn])
        ignored["rim"] = max(ignored["rim"], segmentation.share_rims(phases, phases_by.middle, rim))
        # Row of the interface in each column; the edge of the image without an electrolyte.
        at = np.full(n_columns, n_rows)
        if electrolyte is not None:
            at = _interface(phases, metal)
            for start in range(0, n_columns, step := max(1, _TILE_PIXELS // n_rows)):
                part = slice(start, start + step)
                inside = (phases[:, part] == segmentation.ELECTROLYTE) & (
                    np.arange(n_rows)[:, None] < at[part]
                )
                ignored["grey"] += int(inside.sum())
        labels, n_labels = scipy.ndimage.label(
            phases == segmentation.VOID, structure=np.ones((3, 3))
        )
        # The pixel just above the electrolyte in each column: contact is lost where it is void.
        touching = labels[np.maximum(at - 1, 0), np.arange(n_columns)]
        # Label 0, no void, is made to be there: columns in contact point to it.
        names, touching = np.unique(np.append(touching, 0), return_inverse=True)
        number = np.zeros(n_labels + 1, labels.dtype)
        number[names] = np.arange(len(names))  # from 1 for the voids at the interface, 0 for others
        size, area, width, height = _measures(labels, number, at)
        edge = np.isin(np.arange(len(names)), number[labels[:, [0, -1]]])
        counted = size >= min_size
        counted[0] = False
        ignored["inside"] += n_labels + 1 - len(names)
        ignored["small"] += len(names) - 1 - int(counted.sum())
        rows += [
            (line, width[k] * nm_per_pixel, height[k] * nm_per_pixel, area[k] * nm_per_pixel**2,
             bool(edge[k]))
            for k in np.flatnonzero(counted)
        ]  # fmt: skip
        opens.append(counted[touching[:-1]])
        if line in shown:
            views.append(_view(phases, counted[number], labels, at, turn, bars, whole[line]))
    table = pd.DataFrame(rows, columns=["line", "width_nm", "height_nm", "area_nm2", "at_edge"])
    if electrolyte is None and not len(table) and ignored["inside"]:
        edge_name = "lower" if metal == "above" else "upper"
        raise InputError(
            f"none of the {plural(ignored['inside'], 'void')} of the image lies at its {edge_name} "
            "edge, where the metal ends without an electrolyte",
            advice="Give --electrolyte, a grey value of it, or crop the image at the interface.",
        )
    length, lines = n_columns * nm_per_pixel, table["line"].to_numpy(int)
    width, height = (table[name].to_numpy(float) for name in ("width_nm", "height_nm"))
    statistics = line_statistics(np.array(opens), lines, width, height, length)
    if electrolyte is None and statistics["contact_loss"] > _MAX_LOSS:
        warnings.warn(
            f"{100 * statistics['contact_loss']:.0f} % of the edge of the image are void: if that "
            "is the electrolyte, give --electrolyte, a grey value of it",
            KmcWarning,
            stacklevel=2,
        )
    void_px = float(np.median(width)) / nm_per_pixel if len(width) else np.nan
    rim_note = segmentation.rim_text(ignored["rim"], phases_by.middle, void_px)
    notes = (phases_by.text, _ignored(ignored, bars, min_size), rim_note)
    return ImageVoids(
        statistics, table, length, len(stack), tuple(filter(None, notes)), tuple(views)
    )


def _metal_value(values: np.ndarray, void: float, electrolyte: float | None) -> float | None:
    """The most common other value of a mask."""
    grey_values, counts = np.unique(values, return_counts=True)
    others = [v for v in grey_values[np.argsort(-counts)].tolist() if v not in (void, electrolyte)]
    return others[0] if others else None


def _ignored(ignored: Counter[str], bars: np.ndarray, min_size: int) -> str:
    """What of an image was not measured, in words."""
    texts = []
    if ignored["inside"]:
        texts.append(f"{plural(ignored['inside'], 'void')} away from the interface")
    if ignored["small"]:
        texts.append(f"{plural(ignored['small'], 'void')} of less than {min_size} pixels")
    if ignored["grey"]:
        texts.append(f"{plural(ignored['grey'], 'pixel')} of the electrolyte's grey in the metal")
    if bars.any():
        texts.append(f"an info bar of {plural(int(bars.sum()), 'row')}")
    return f"not counted: {listed(texts)}" if texts else ""


def _view(
    phases: np.ndarray,
    counted: np.ndarray,
    labels: np.ndarray,
    at: np.ndarray,
    turn: slice,
    bars: np.ndarray,
    values: np.ndarray,
) -> segmentation.View:
    """What was measured in an image, for the eye."""
    step, n_rows = segmentation.View.step(values.shape), len(phases)
    phases, labels = phases[::step, ::step], labels[::step, ::step]
    row = at[::step]
    shown = np.full(phases.shape, segmentation.View.METAL, np.uint8)
    shown[phases == segmentation.ELECTROLYTE] = segmentation.View.ELECTROLYTE
    above = step * np.arange(len(phases))[:, None] < row
    shown[(phases == segmentation.ELECTROLYTE) & above] = segmentation.View.IGNORED
    shown[phases == segmentation.VOID] = segmentation.View.IGNORED
    shown[(phases == segmentation.VOID) & counted[labels]] = segmentation.View.VOID
    edge = row if turn.step == 1 else n_rows - row
    before, behind = (
        np.full((bar // step, len(row)), segmentation.View.BAR, np.uint8) for bar in bars
    )
    whole = np.concatenate([before, shown[turn], behind])
    return segmentation.View(values[::step, ::step], whole, (bars[0] + edge) / step)


def _measures(labels: np.ndarray, number: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, ...]:
    """Pixels of each region; of those above the interface: number, width and height.

    - `labels` (ndarray of int, shape (height, width)): label of each pixel.
    - `number` (ndarray of int): number of the region of each label; results are in this order.
    - `at` (ndarray of int, shape (width,)): row of the interface in each column.
    """
    n_rows, n_columns = labels.shape
    count = int(number.max()) + 1
    size, area, height, last = np.zeros((4, count), dtype=np.int64)
    first = np.full(count, n_columns)
    step = max(1, _TILE_PIXELS // n_rows)
    for start in range(0, n_columns, step):  # in tiles: coordinates take 16 bytes a pixel
        tile = number[labels[:, start : start + step]]
        y, x = np.nonzero(tile)
        region, x = tile[y, x], x + start
        size += np.bincount(region, minlength=count)
        rise = at[x] - y
        above = rise > 0  # not enclosed in the electrolyte
        region, x = region[above], x[above]
        area += np.bincount(region, minlength=count)
        np.minimum.at(first, region, x)
        np.maximum.at(last, region, x)
        np.maximum.at(height, region, rise[above])
    return size, area, last - first + 1, height


def _interface(phases: np.ndarray, metal: str) -> np.ndarray:
    """Row of the uppermost pixel of the electrolyte in each column of an image.

    The electrolyte is what hangs together with its edge of the image, or the largest piece: grey of
    the same kind inside the metal, as of labels, is none.

    Refused is an electrolyte where the metal should be: no void could be seen there.
    """
    pieces, n = scipy.ndimage.label(phases == segmentation.ELECTROLYTE)
    sizes = segmentation.region_sizes(pieces, n)
    own = np.zeros(n + 1, dtype=bool)
    own[pieces[-1]] = True
    own[sizes.argmax()] = True
    own[0] = False
    there = own[pieces]
    del pieces
    if not there.any(axis=0).all():
        column = int((~there.any(axis=0)).argmax())
        raise InputError(
            f"column {column} of the image has no electrolyte",
            advice="Crop the image to columns that show the interface.",
        )
    # The uppermost, as pores inside the electrolyte are no interface.
    at = there.argmax(axis=0)
    share = float(np.mean(at == 0))
    if share > 0.5:
        edge, other = ("upper", "below") if metal == "above" else ("lower", "above")
        raise InputError(
            f"the electrolyte lies at the {edge} edge of the image in "
            f"{100 * share:.0f} % of its columns, and no metal is left {metal} it",
            advice="Are the values of metal and electrolyte swapped? Give --electrolyte the other "
            f"one, or turn the image over with --metal {other}.",
        )
    return at


def _warn_of_shares(counts: Counter[float], void: float, electrolyte: float | None) -> None:
    """Warn of a mask without an electrolyte whose voids may be a phase, or lie off the edge."""
    if electrolyte is not None:  # then a large share of voids may be real
        return
    share = counts[void] / sum(counts.values())
    if share > _MAX_VOID:
        warnings.warn(
            f"{100 * share:.0f} % of the image are voids, {void:g}: is that the value of the metal "
            f"or the electrolyte? There are {segmentation.shares_of(counts)}",
            KmcWarning,
            stacklevel=3,
        )
    if len(set(counts) - {void}) > 1:
        warnings.warn(
            "without the value of the electrolyte the metal ends at the edge of the image, and the "
            f"voids are those at this edge; there are {segmentation.shares_of(counts)}",
            KmcWarning,
            stacklevel=3,
        )
