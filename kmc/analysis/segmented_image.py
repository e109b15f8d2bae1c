"""Voids along the interface of a segmented SEM or CT image, measured as on cross-section lines.

A segmented image has one grey value for each phase. The interface is where the electrolyte ends
towards the metal, column by column; without an electrolyte it is the edge of the image. Void pixels
that touch, by an edge or a corner, are one void; it counts when one of its pixels lies at the
interface. Each slice of a stack is a line. See `kmc.analysis.cross_section` for runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kmc.analysis.cross_section import line_statistics
from kmc.analysis.measured import CAPACITY, QUANTITIES
from kmc.common.formatting import plural
from kmc.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

METAL_SIDES = ("above", "below")
_MAX_PIXELS = 2_000_000_000
_MAX_VALUES = 16  # an image with more grey values is not segmented
_nm_per_um = 1e3


@dataclass(frozen=True)
class ImageVoids:
    """Voids of an image, from `measure_image`.

    Attributes
    ----------
    row : dict
        Columns of `kmc.analysis.cross_section.CrossSection.table` without frame and time:
        contact_loss, voids, voids_per_100um, width_mean_nm, height_median_nm, …
    voids : DataFrame
        One row for each void: line, width_nm, height_nm, area_nm2, at_edge (it reaches the left or
        right edge of the image, so that it may be wider than seen).
    line_length_nm : float
    n_lines : int
        Slices; 1 for a plain image.
    """

    row: dict[str, float]
    voids: pd.DataFrame
    line_length_nm: float
    n_lines: int

    def measured_row(self) -> dict[str, float]:
        """Its columns of a table of measured data (`kmc.analysis.measured`)."""
        found = {
            QUANTITIES["contact_loss"]: 100 * self.row["contact_loss"],
            QUANTITIES["voids"]: self.row["voids_per_100um"],
        }
        for name in ("width", "height"):
            values = self.voids[f"{name}_nm"].to_numpy(float) / _nm_per_um
            deviation = float(values.std(ddof=1)) if len(values) > 1 else np.nan
            found[QUANTITIES[name]] = float(values.mean()) if len(values) else np.nan
            found[f"{QUANTITIES[name]}_error"] = deviation
        return found


def measured_table(
    found: Sequence[ImageVoids], series: Sequence[str], capacities: Sequence[float]
) -> pd.DataFrame:
    """A table of measured data with a row for each image; errors are standard deviations."""
    import pandas as pd

    rows = [
        {"series": name, CAPACITY: capacity} | one.measured_row()
        for one, name, capacity in zip(found, series, capacities, strict=True)
    ]
    return pd.DataFrame(rows)


def voids_table(found: Sequence[ImageVoids], files: Sequence[str | Path]) -> pd.DataFrame:
    """The voids of all images, with the file of each."""
    import pandas as pd

    rows = [one.voids.assign(file=str(file)) for one, file in zip(found, files, strict=True)]
    return pd.concat(rows, ignore_index=True)


def read_image(path: str | Path) -> np.ndarray:
    """Grey values of an image or a stack, shape (n_slices, height, width).

    Raises
    ------
    InputError
        scikit-image is not installed, or the file is no image with one value a pixel.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file", advice="Give an image: PNG, TIFF or JPEG.")
    try:
        from skimage.io import imread
    except ImportError:
        raise _not_installed() from None
    try:
        image = np.asarray(imread(path))
    except Exception as problem:  # the readers of each format raise errors of their own
        raise InputError(
            f"{path} cannot be read as an image: {str(problem).splitlines()[0] or problem!r}",
            advice="Give a PNG or TIFF.",
        ) from None
    if image.ndim >= 3 and image.shape[-1] in (3, 4):
        colour = image[..., :3]
        if (colour != colour[..., :1]).any():
            raise InputError(f"{path} is in colour", advice="Save the segmentation in grey values.")
        image = colour[..., 0]
    if image.ndim == 2:
        image = image[np.newaxis]
    if image.ndim != 3 or not image.size or image.size > _MAX_PIXELS:
        raise InputError(
            f"{path} has the shape {image.shape}", advice="Give an image, or a stack of slices."
        )
    return image


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

    Parameters
    ----------
    image : ndarray, shape (height, width) or (n_slices, height, width)
        Grey value of each pixel; row 0 is the top.
    nm_per_pixel : float
    void : float
        Grey value of voids.
    electrolyte : float, optional
        Grey value of the electrolyte; without it the metal ends at the edge of the image.
    metal : {"above", "below"}
        Where the metal lies, seen from the electrolyte.
    min_size : int
        Fewest connected pixels that make a void.

    Raises
    ------
    InputError
        The image has no such value, too many values, or a column without electrolyte; or
        scikit-image is not installed.

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
    try:
        from skimage.measure import label, regionprops
    except ImportError:
        raise _not_installed() from None
    n_rows, n_columns = stack.shape[1:]
    rows, opens = [], []
    for line, values in enumerate(stack):
        at = np.full(n_columns, n_rows) if electrolyte is None else _interface(values, electrolyte)
        labels = label(values == void, connectivity=2)
        lowest = np.maximum(at - 1, 0)
        touching = labels[lowest, np.arange(n_columns)]
        open_ = np.zeros(n_columns, dtype=bool)
        for region in regionprops(labels):
            if region.area < min_size or region.label not in touching:
                continue
            open_ |= touching == region.label
            y, x = region.coords[:, 0], region.coords[:, 1]
            above = y < at[x]  # not enclosed in the electrolyte
            width = int(x[above].max() - x[above].min()) + 1
            height = int((at[x] - y)[above].max())
            edge = bool(x.min() == 0 or x.max() == n_columns - 1)
            area = int(above.sum()) * nm_per_pixel**2
            rows.append((line, width * nm_per_pixel, height * nm_per_pixel, area, edge))
        opens.append(open_)
    table = pd.DataFrame(rows, columns=["line", "width_nm", "height_nm", "area_nm2", "at_edge"])
    length = n_columns * nm_per_pixel
    statistics = line_statistics(
        np.array(opens),
        table["line"].to_numpy(int),
        table["width_nm"].to_numpy(float),
        table["height_nm"].to_numpy(float),
        length,
    )
    return ImageVoids(statistics, table, length, len(stack))


def _interface(values: np.ndarray, electrolyte: float) -> np.ndarray:
    """Row of the uppermost electrolyte pixel of each column of an image."""
    there = values == electrolyte
    if not there.any(axis=0).all():
        column = int((~there.any(axis=0)).argmax())
        raise InputError(
            f"column {column} of the image has no electrolyte",
            advice="Crop the image to columns that show the interface.",
        )
    return there.argmax(axis=0)


def _check_values(stack: np.ndarray, void: float, electrolyte: float | None) -> None:
    values, counts = np.unique(stack, return_counts=True)
    if len(values) > _MAX_VALUES:
        raise InputError(
            f"the image has {plural(len(values), 'grey value')}: it is not segmented",
            advice="Give each phase one value first, as with Fiji or ilastik; save no JPEG.",
        )
    shares = ", ".join(
        f"{value:g} ({100 * n / stack.size:.1f} %)" for value, n in zip(values, counts, strict=True)
    )
    for name, value in (("void", void), ("electrolyte", electrolyte)):
        if value is not None and value not in values:
            raise InputError(
                f"no pixel has the value {value:g} of the {name}", advice=f"There are {shares}."
            )
    if void == electrolyte:
        raise InputError(
            f"void and electrolyte have one value, {void:g}", advice="They must differ."
        )


def _not_installed() -> InputError:
    return InputError("scikit-image is not installed", advice='pip install "kmc-voids[image]"')
