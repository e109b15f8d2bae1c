"""Voids along the interface of a segmented SEM or CT image, measured as on cross-section lines.

A segmented image has one grey value for each phase. The interface is where the electrolyte ends
towards the metal, column by column; without an electrolyte it is the edge of the image. Void pixels
that touch, by an edge or a corner, are one void; it counts when one of its pixels lies at the
interface. Each slice of a stack is a line. See `kmc.analysis.cross_section` for runs.
"""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from kmc.analysis.cross_section import line_statistics
from kmc.analysis.measured import QUANTITIES
from kmc.common.formatting import plural
from kmc.errors import InputError, KmcWarning

if TYPE_CHECKING:
    import pandas as pd

METAL_SIDES = ("above", "below")
_MAX_PIXELS = 100_000_000  # of a slice: 20 000 x 5 000; it takes seven bytes a pixel to measure
_MAX_SIDE = 200_000
_MAX_BYTES = 400_000_000  # of all slices, as they are read
_TILE_PIXELS = 2_000_000
_PICTURES = ("PNG", "JPEG", "BMP", "GIF")
_MAX_VALUES = 16  # an image with more grey values is not segmented
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
    """

    row: dict[str, float]
    voids: pd.DataFrame
    line_length_nm: float
    n_lines: int

    def measured_row(self) -> dict[str, float]:
        """Its columns of a table of `kmc.analysis.measured`; errors are standard deviations."""
        found = {
            QUANTITIES["contact_loss"]: 100 * self.row["contact_loss"],
            QUANTITIES["voids"]: self.row["voids_per_100um"],
        }
        for name in ("width", "height"):
            values = self.voids[f"{name}_nm"].to_numpy(float) / _nm_per_um
            # Of a sample, with n − 1: the voids of an image stand for those of the whole interface.
            deviation = float(values.std(ddof=1)) if len(values) > 1 else np.nan
            found[QUANTITIES[name]] = float(values.mean()) if len(values) else np.nan
            found[f"{QUANTITIES[name]}_error"] = deviation
        return found


def read_image(path: str | Path) -> np.ndarray:
    """Grey values of an image or a stack, shape (n_slices, height, width).

    Raises `InputError`: the file is no image with one value a pixel, or is too large: its size is
    looked at before it is decoded. Or it is a TIFF, and scikit-image, whose tifffile reads it, is
    not installed.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file", advice="Give an image: PNG, TIFF or JPEG.")
    try:
        with path.open("rb") as file:
            # By its first bytes, as names lie: little- or big-endian TIFF.
            tiff = file.read(4)[:2] in (b"II", b"MM")
        image = _read_tiff(path) if tiff else _read_picture(path)
    except InputError:
        raise
    except Exception as problem:  # the readers of each format raise errors of their own
        reason = (str(problem).splitlines() or [repr(problem)])[0]
        message = f"{path} cannot be read as an image: {reason}"
        raise InputError(message, advice="Give a PNG or TIFF.") from None
    if image.ndim >= 3 and image.shape[-1] in (3, 4):
        # Many programs save a grey image in three equal channels, with or without transparency.
        grey = image[..., 0]
        if any((image[..., channel] != grey).any() for channel in (1, 2)):
            raise InputError(f"{path} is in colour", advice="Save the segmentation in grey values.")
        image = np.ascontiguousarray(grey)
    if image.ndim == 2:
        image = image[np.newaxis]
    if image.ndim != 3 or not image.size:
        raise InputError(
            f"{path} has the shape {image.shape}", advice="Give an image, or a stack of slices."
        )
    return image


def _read_picture(path: Path) -> np.ndarray:
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # there is a limit here
        try:
            with Image.open(path, formats=_PICTURES) as picture:  # reads no pixels yet
                width, height = picture.size
                _check_size(path, (height, width), len(picture.getbands()))
                if picture.mode in ("1", "LA"):
                    return np.asarray(picture.convert("L"))
                plain = picture.mode in ("L", "F", "RGB", "RGBA") or picture.mode.startswith("I")
                return np.asarray(picture if plain else picture.convert("RGB"))
        except Image.DecompressionBombError:
            raise _too_large(path, "it has more pixels than any micrograph") from None


def _read_tiff(path: Path) -> np.ndarray:
    try:
        from tifffile import TiffFile
    except ImportError:
        raise _not_installed() from None
    with TiffFile(path) as file:
        # The first alone: others of a file are mostly previews of the same image.
        shown = file.series[0]
        _check_size(path, shown.shape, shown.dtype.itemsize)
        return shown.asarray()


def _check_size(path: Path, shape: Sequence[int], bytes_a_number: int) -> None:
    """Refuse an image, by its stated size, before it is decoded."""
    colours = shape[-1] in (3, 4) and len(shape) > 2
    sides = shape[-3:-1] if colours else shape[-2:]
    text = " × ".join(map(str, shape))
    if math.prod(sides) > _MAX_PIXELS or max(shape) > _MAX_SIDE:
        raise _too_large(path, f"it has {text} pixels")
    if math.prod(shape) * bytes_a_number > _MAX_BYTES:
        raise _too_large(path, f"its {text} pixels take {bytes_a_number} bytes each")


def _too_large(path: Path, why: str) -> InputError:
    return InputError(
        f"{path} is too large: {why}; at most {_MAX_PIXELS // 10**6} million pixels an image or "
        f"slice, {_MAX_SIDE} on a side, and {_MAX_BYTES // 10**6} MB altogether are read",
        advice="Crop it to the interface, save it in 8 bits, or scale it down without "
        "interpolation, so that each phase keeps its value; --scale is that of the new pixels.",
    )


def measure_image(
    image: np.ndarray,
    nm_per_pixel: float,
    *,
    void: float = 0,
    electrolyte: float | None = None,
    metal: str = "above",
    min_size: int = 4,
) -> ImageVoids:
    """Measure voids along the interface of a segmented image.

    - `image` (ndarray, shape (height, width) or (n_slices, height, width)): grey value of each
      pixel; row 0 is the top.
    - `void`: grey value of voids.
    - `electrolyte`: grey value of the electrolyte; without it the metal ends at the edge of the
      image.
    - `metal` ({"above", "below"}): where the metal lies, seen from the electrolyte.
    - `min_size`: fewest connected pixels that make a void.

    Raises `InputError`: the image has no such value, too many values, or a column without
    electrolyte.

    Examples
    --------
    >>> measure_image(read_image("cut.png"), 12.5, void=0).row["voids_per_100um"]  # doctest: +SKIP
    """
    import pandas as pd

    if metal not in METAL_SIDES:
        raise InputError(f"metal = {metal!r} is not known", advice='Choose "above" or "below".')
    if not (0 < nm_per_pixel < float("inf")):
        raise InputError(
            f"nm_per_pixel = {nm_per_pixel} is no length", advice="Give the width of a pixel in nm."
        )
    stack = image[np.newaxis] if image.ndim == 2 else image
    _check_values(stack, void, electrolyte)
    # The electrolyte is below from here on: heights count upwards, against the row number.
    stack = stack if metal == "above" else stack[:, ::-1]
    n_rows, n_columns = stack.shape[1:]
    rows, opens = [], []
    for line, values in enumerate(stack):
        # Row of the interface in each column; the edge of the image without an electrolyte.
        at = np.full(n_columns, n_rows)
        if electrolyte is not None:
            at = _interface(values, electrolyte, metal)
        labels = ndimage.label(values == void, structure=np.ones((3, 3)))[0]
        # The pixel just above the electrolyte in each column: contact is lost where it is void.
        touching = labels[np.maximum(at - 1, 0), np.arange(n_columns)]
        # Label 0, no void, is made to be there: columns in contact point to it.
        names, touching = np.unique(np.append(touching, 0), return_inverse=True)
        number = np.zeros(labels.max(initial=0) + 1, labels.dtype)
        number[names] = np.arange(len(names))  # from 1 for the voids at the interface, 0 for others
        size, area, width, height = _measures(labels, number, at)
        edge = np.isin(np.arange(len(names)), number[labels[:, [0, -1]]])
        counted = size >= min_size
        counted[0] = False
        rows += [
            (line, width[k] * nm_per_pixel, height[k] * nm_per_pixel, area[k] * nm_per_pixel**2,
             bool(edge[k]))
            for k in np.flatnonzero(counted)
        ]  # fmt: skip
        opens.append(counted[touching[:-1]])
    table = pd.DataFrame(rows, columns=["line", "width_nm", "height_nm", "area_nm2", "at_edge"])
    length, lines = n_columns * nm_per_pixel, table["line"].to_numpy(int)
    width, height = (table[name].to_numpy(float) for name in ("width_nm", "height_nm"))
    statistics = line_statistics(np.array(opens), lines, width, height, length)
    return ImageVoids(statistics, table, length, len(stack))


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


def _interface(values: np.ndarray, electrolyte: float, metal: str) -> np.ndarray:
    """Row of the uppermost electrolyte pixel of each column of an image.

    Refused is an electrolyte where the metal should be: no void could be seen there.
    """
    # The uppermost, as pores inside the electrolyte are no interface.
    there = values == electrolyte
    if not there.any(axis=0).all():
        column = int((~there.any(axis=0)).argmax())
        raise InputError(
            f"column {column} of the image has no electrolyte",
            advice="Crop the image to columns that show the interface.",
        )
    at = there.argmax(axis=0)
    share = float(np.mean(at == 0))
    if share > 0.5:
        edge, other = ("upper", "below") if metal == "above" else ("lower", "above")
        raise InputError(
            f"the electrolyte, {electrolyte:g}, lies at the {edge} edge of the image in "
            f"{100 * share:.0f} % of its columns, and no metal is left {metal} it",
            advice="Are the values of metal and electrolyte swapped? Give --electrolyte the other "
            f"one, or turn the image over with --metal {other}.",
        )
    return at


def _check_values(stack: np.ndarray, void: float, electrolyte: float | None) -> None:
    found: Counter[float] = Counter()
    for part in stack:
        values, counts = np.unique(part, return_counts=True)
        found.update(dict(zip(values.tolist(), counts.tolist(), strict=True)))
        if len(found) > _MAX_VALUES:
            raise InputError(
                f"the image has {plural(len(found), 'grey value')} or more: it is not segmented",
                advice="Give each phase one value first, as with Fiji or ilastik; save no JPEG.",
            )
    shares = ", ".join(
        f"{value:g} ({100 * found[value] / stack.size:.1f} %)" for value in sorted(found)
    )
    # With an electrolyte a large share of voids may be real; without one it is mostly a phase.
    if electrolyte is None and found.get(void, 0) > _MAX_VOID * stack.size:
        warnings.warn(
            f"{100 * found[void] / stack.size:.0f} % of the image are voids, {void:g}: is that the "
            f"value of the metal or the electrolyte? There are {shares}",
            KmcWarning,
            stacklevel=3,
        )
    if electrolyte is None and len(set(found) - {void}) > 1:
        warnings.warn(
            "without the value of the electrolyte the metal ends at the edge of the image, and the "
            f"voids are those at this edge; there are {shares}",
            KmcWarning,
            stacklevel=3,
        )
    for name, value in (("void", void), ("electrolyte", electrolyte)):
        if value is not None and value not in found:
            raise InputError(
                f"no pixel has the value {value:g} of the {name}", advice=f"There are {shares}."
            )
    if void == electrolyte:
        raise InputError(
            f"void and electrolyte have one value, {void:g}", advice="They must differ."
        )


def _not_installed() -> InputError:
    return InputError("scikit-image is not installed", advice='pip install "kmc-voids[image]"')
