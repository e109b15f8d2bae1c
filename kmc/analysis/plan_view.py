"""Voids in plan views of an interface: optical or SEM images from above, and frames of populations.

Pixels of voids that touch, by an edge or a corner, are one void. The number per area counts a void
unless it reaches the right or the lower edge, which makes it that of an endless image (H. J. G.
Gundersen, J. Microsc. 111, 219 (1977), doi:10.1111/j.1365-2818.1977.tb00062.x, for a frame).
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy

from kmc.analysis import segmentation
from kmc.common.formatting import listed, plural
from kmc.common.late import pandas as pd
from kmc.errors import InputError, optional_library


@dataclass(frozen=True)
class PlanView:
    """Voids of one image from above, from `measure_plan`.

    To compare an interface that was laid bare with the contact map of a population.

    - `row`: contact_loss_percent, voids_per_mm2, diameter_um (mean, of circles of the same area),
      diameter_um_error (standard deviation), max_diameter_um, neighbour_um (mean distance of a
      centre to the nearest other one) and neighbour_ratio, that distance over 1/(2√density): 1 for
      places at random, more for even ones (P. J. Clark and F. C. Evans, Ecology 35, 445 (1954),
      doi:10.2307/1931034). NaN where there is nothing to take the mean of.
    - `voids`: one row for each void: x_um, y_um, area_um2, diameter_um, neighbour_um, at_edge (it
      reaches an edge and may be larger than seen; it is not in the mean diameter).
    - `notes`, `views`: of an image, how it was segmented, what was not counted, and what to draw.
    """

    row: dict[str, float]
    voids: "pd.DataFrame"
    notes: tuple[str, ...] = ()
    views: tuple[segmentation.View, ...] = ()


def measure_plan(void: np.ndarray, um_per_pixel: float, *, min_size: int = 4) -> PlanView:
    """Measure the voids of a plan view.

    - `void` (ndarray of bool, shape (height, width)): pixels without contact.
    - `min_size`: fewest connected pixels that make a void; smaller ones count as contact.

    Raises `InputError`: the scale is no length, or scikit-image is not installed.
    """
    if not 1e-9 < um_per_pixel < 1e9:  # areas and their sums stay finite
        raise InputError(
            f"{um_per_pixel} µm is no width of a pixel", advice="Give --scale, the width in nm."
        )
    with optional_library("scikit-image", "image"):
        from skimage.measure import label, regionprops_table
    # By corners, too, as on cross-section lines: a thinner bridge of metal is below a pixel.
    labels = label(np.asarray(void, dtype=bool), connectivity=2)
    regions = regionprops_table(labels, properties=("area", "centroid", "bbox"))
    keep = regions["area"] >= min_size
    area, y, x, top, left, bottom, right = (
        regions[name][keep]
        for name in ("area", "centroid-0", "centroid-1", "bbox-0", "bbox-1", "bbox-2", "bbox-3")
    )
    height, width = labels.shape
    # Two of the four edges: a void that is cut counts once in two images side by side.
    ends = (bottom == height) | (right == width)
    at_edge = ends | (top == 0) | (left == 0)
    centres = np.column_stack([x, y]) * um_per_pixel
    nearest = np.full(len(area), np.nan)
    if len(area) > 1:
        nearest = scipy.spatial.cKDTree(centres).query(centres, k=2)[0][:, 1]
    diameter = 2 * np.sqrt(area / np.pi) * um_per_pixel
    # Large voids reach an edge more often, so this mean is low where voids are as wide as images.
    whole = diameter[~at_edge]
    square_um2 = labels.size * um_per_pixel**2
    density = np.count_nonzero(~ends) / square_um2
    apart = float(nearest.mean()) if len(area) > 1 else np.nan
    row = {
        "contact_loss_percent": 100 * float(area.sum()) / labels.size,
        "voids_per_mm2": 1e6 * density,
        "diameter_um": float(whole.mean()) if len(whole) else np.nan,
        "diameter_um_error": float(whole.std(ddof=1)) if len(whole) > 1 else np.nan,
        "max_diameter_um": float(diameter.max()) if len(area) else np.nan,
        "neighbour_um": apart,
        "neighbour_ratio": apart * 2 * float(np.sqrt(density)) if density else np.nan,
    }
    voids = pd.DataFrame(
        {
            "x_um": centres[:, 0],
            "y_um": centres[:, 1],
            "area_um2": area * um_per_pixel**2,
            "diameter_um": diameter,
            "neighbour_um": nearest,
            "at_edge": at_edge,
        }
    )
    return PlanView(row, voids)


def measure_plan_image(
    image: np.ndarray,
    um_per_pixel: float,
    *,
    void: float | None = None,
    threshold: str | None = None,
    bright: bool = False,
    min_size: int = 4,
    rim: int | None = None,
) -> PlanView:
    """Measure the voids of an image from above, without what is burned into it.

    - `image`: ndarray, shape (height, width) or (1, height, width).
    - `void`: grey value of voids, 0 by default; with a threshold a value in their class.
    - `threshold`, `bright`, `rim`: as of `segmented_image.measure_image`.

    Raises `InputError`: the image has no such value, is neither segmented nor has a threshold, or
    is a stack.
    """
    image = image[0] if image.ndim == 3 and len(image) == 1 else image
    if image.ndim != 2:
        raise InputError(
            f"a stack of {len(image)} slices is no plan view", advice="Give one image."
        )
    top, bottom = segmentation.info_bars(image)
    inner = image[top : len(image) - bottom]
    if threshold is not None:
        phases_by = segmentation.of_greys(inner[np.newaxis], threshold, void=void, bright=bright)
    else:
        counts = segmentation.value_counts(inner[np.newaxis])
        void = void or 0
        if void not in counts:
            raise InputError(
                f"no pixel has the value {void:g}; there are {segmentation.shares_of(counts)}",
                advice="Give --void with the value of voids, --threshold for an image that is not "
                "segmented, or leave out an image without voids.",
            )
        # The rarest of three values may be a rim between the two others.
        others = [value for value, _ in counts.most_common() if value != void]
        phases_by = segmentation.of_mask(void, others[1] if len(others) > 1 else None, counts)
    phases = phases_by.phases(inner)
    width = segmentation.share_rims(phases, phases_by.middle, rim)
    mask = phases == segmentation.VOID
    burned, n_burned = _scale_bars(mask)
    mask &= ~burned
    plan = measure_plan(mask, um_per_pixel, min_size=min_size)
    labels, n = scipy.ndimage.label(mask, structure=np.ones((3, 3)))
    small = mask & (segmentation.region_sizes(labels, n) < min_size)[labels]
    shown = np.full(image.shape, segmentation.View.BAR, np.uint8)
    shown[top : len(image) - bottom] = np.select(
        [burned | small, mask],
        [segmentation.View.IGNORED, segmentation.View.VOID],
        segmentation.View.METAL,
    )
    texts = [f"an info bar of {plural(top + bottom, 'row')}"] if top + bottom else []
    if n_burned:
        texts.append(f"{plural(n_burned, 'region')} of a scale bar and its label")
    if small.any():
        texts.append(f"{plural(int(small.sum()), 'pixel')} in voids of less than {min_size}")
    void_px = float(plan.voids["diameter_um"].median()) / um_per_pixel
    rim_note = segmentation.rim_text(width, phases_by.middle, void_px)
    notes = [phases_by.text, f"not counted: {listed(texts)}" if texts else "", rim_note]
    step = segmentation.View.step(image.shape)
    view = segmentation.View(image[::step, ::step], shown[::step, ::step])
    return replace(plan, notes=tuple(filter(None, notes)), views=(view,))


def _scale_bars(mask: np.ndarray) -> tuple[np.ndarray, int]:
    """Pixels of scale bars and the letters beside them, and how many regions these are.

    A bar is six times as wide as high, 4 % of the image or more, and a full rectangle or a line
    with marks at its ends; or it is a rectangle with letters in it. Letters are regions within half
    its length above and below, less than 40 % of it high, that are no discs.
    """
    # Letters in a box are holes of it.
    labels, n = scipy.ndimage.label(
        scipy.ndimage.binary_fill_holes(mask), structure=np.ones((3, 3))
    )
    boxes = scipy.ndimage.find_objects(labels)
    size = segmentation.region_sizes(labels, n)[1:]
    ink = segmentation.region_sizes(np.where(mask, labels, 0), n)[1:]
    left, right, top, bottom = np.array(
        [(x.start, x.stop, y.start, y.stop) for y, x in boxes] or np.zeros((0, 4)), dtype=int
    ).T
    wide, high = right - left, bottom - top
    full, long = size >= 0.97 * wide * high, wide >= np.maximum(6 * high, 0.04 * mask.shape[1])
    for k in np.flatnonzero(long & ~full):
        rows = (labels[boxes[k]] == k + 1).sum(axis=1)
        line = rows[rows >= 0.97 * wide[k]].sum()
        full[k] = line > 0 and size[k] - line <= 0.1 * wide[k] * high[k]
    away = (left > 0) & (right < mask.shape[1]) & (top > 0) & (bottom < mask.shape[0])
    lettered = (ink < 0.98 * size) & (wide < 0.6 * mask.shape[1]) & (high < 0.25 * mask.shape[0])
    disc = (ink > 0.7 * wide * high) & (np.maximum(wide, high) < 1.4 * np.minimum(wide, high))
    burned = np.zeros(n + 1, dtype=bool)
    for bar in np.flatnonzero(full & (away & long | lettered & (wide >= 0.04 * mask.shape[1]))):
        reach = 0 if lettered[bar] else wide[bar] / 2
        beside = (left >= left[bar] - reach) & (right <= right[bar] + reach)
        beside &= (top >= top[bar] - reach) & (bottom <= bottom[bar] + reach)
        beside = beside & (high <= 0.4 * wide[bar]) | (np.arange(n) == bar)
        letters = high[beside & ~disc & ~full]
        # A point is a disc, too, but smaller than letters.
        point = high < (np.median(letters) / 2 if len(letters) else 0)
        burned[1:] |= beside & (~disc | point)
    return burned[labels] & mask, int(burned.sum())


def plans_of_run(found: Any, *, min_size: int = 4) -> list[tuple[str, float, PlanView]]:
    """The frames of a population of voids, measured as images are.

    Raises `InputError`: the run is of another kind.
    """
    if not hasattr(found, "gap_um"):
        raise InputError(
            f"{found.path} is no population of voids",
            advice="Boxes of atoms are nanometres wide; give a run of kmc upscale.",
        )
    views = []
    # One replica, as an image shows one piece of interface.
    for index in np.flatnonzero(np.asarray(found.frames["replica"]) == 0):
        gap = found.gap_um(int(index))
        view = measure_plan(gap > 0, found.edge_um / len(gap), min_size=min_size)
        views.append((found.path.stem, float(found.frames["capacity_mAh_cm2"][index]), view))
    return views
