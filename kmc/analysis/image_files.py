"""Grey values of micrographs, and what their files say of them: scale, photometry, pages.

A picture is as a viewer shows it: 0 is black also where a TIFF stores white as 0.
"""

import math
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from kmc.errors import InputError, optional_library

_MAX_PIXELS = 100_000_000  # of a slice: 20 000 x 5 000; it takes ten bytes a pixel to measure
_MAX_SIDE = 200_000
_MAX_BYTES = 400_000_000  # of all slices, as they are read
_PICTURES = ("PNG", "JPEG", "BMP", "GIF")
# A resolution of 1200 dots per inch is 21 µm: coarser ones are those of a screen or a printer.
_COARSEST_nm = 20e3
_SQUARE = 0.02
_UNITS_nm = {"pm": 1e-3, "å": 0.1, "nm": 1.0, "mm": 1e6, "cm": 1e7, "m": 1e9, "inch": 2.54e7}
_UNITS_nm |= dict.fromkeys(("um", "µm", "μm", "micron", "microns", "micrometer"), 1e3)
_UNITS_nm |= {"nanometer": 1.0, "millimeter": 1e6}


@dataclass(frozen=True)
class Micrograph:
    """An image or a stack as it was read.

    - `pixels`: ndarray, shape (n_slices, height, width); grey values, row 0 at the top.
    - `nm_per_pixel`: scale that the file states, None without one; `scale_source` is where.
    - `notes`: sentences on what is not as a viewer would expect it, or was left out.
    """

    pixels: np.ndarray
    nm_per_pixel: float | None = None
    scale_source: str = ""
    notes: tuple[str, ...] = ()


def read_image(path: str | Path) -> np.ndarray:
    """Grey values of an image, shape (n_slices, height, width); see `read_micrograph`."""
    return read_micrograph(path).pixels


def read_micrograph(path: str | Path) -> Micrograph:
    """Read an image or a TIFF stack with the scale that it states.

    Raises `InputError`: the file is no image with one value a pixel, its pixels are not square, or
    it is too large: its size is looked at before it is decoded. Or it is a TIFF, and scikit-image,
    whose tifffile reads it, is not installed.
    """
    path = Path(path)
    if not path.is_file():
        text = f"{path} is a folder" if path.is_dir() else f"{path}: no such file"
        raise InputError(text, advice="Give an image: PNG, TIFF or JPEG.")
    try:
        with path.open("rb") as file:
            # By its first bytes, as names lie: little- or big-endian TIFF.
            tiff = file.read(4)[:2] in (b"II", b"MM")
        seen = _read_tiff(path) if tiff else _read_picture(path)
    except InputError:
        raise
    except Exception as problem:  # the readers of each format raise errors of their own
        reason = (str(problem).splitlines() or [repr(problem)])[0]
        message = f"{path} cannot be read as an image: {reason}"
        raise InputError(message, advice="Give a PNG or TIFF.") from None
    image = seen.pixels
    if image.ndim == 2:
        image = image[np.newaxis]
    if image.ndim != 3 or not image.size:
        raise InputError(
            f"{path} has the shape {image.shape}", advice="Give an image, or a stack of slices."
        )
    if image.dtype.kind not in "biuf" or not np.isfinite(image).all():
        raise InputError(
            f"{path} has pixels that are no numbers", advice="Crop it to its grey values."
        )
    return replace(seen, pixels=image)


def _one_channel(path: Path, image: np.ndarray) -> np.ndarray:
    """Grey values of an image whose last axis are channels."""
    # Many programs save a grey image in three equal channels, with or without transparency.
    grey = image[..., 0]
    if image.shape[-1] > 2 and any((image[..., k] != grey).any() for k in (1, 2)):
        advice = "Save it in grey values; of slices, three or four, with photometric='minisblack'."
        raise InputError(f"{path} is in colour", advice=advice)
    return np.ascontiguousarray(grey)


def _read_picture(path: Path) -> Micrograph:
    from PIL import Image, ImageOps

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # there is a limit here
        try:
            with Image.open(path, formats=_PICTURES) as picture:  # reads no pixels yet
                width, height = picture.size
                _check_size(path, (height, width), len(picture.getbands()))
                several = getattr(picture, "n_frames", 1)
                notes = (f"it holds {several} pictures: the first is measured",) * (several > 1)
                per_inch = picture.info.get("dpi", (0, 0))
                scale = _square(path, *(2.54e7 / float(d) if d else 0.0 for d in per_inch))
                source = "its resolution" if scale else ""
                turned = ImageOps.exif_transpose(picture) or picture  # as viewers show it
                return Micrograph(_pixels(path, turned), scale, source, notes)
        except Image.DecompressionBombError:
            raise _too_large(path, "it has more pixels than any micrograph") from None


def _pixels(path: Path, picture: Any) -> np.ndarray:
    if picture.mode in ("1", "LA"):
        return np.asarray(picture.convert("L"))
    if picture.mode in ("L", "F") or picture.mode.startswith("I"):
        return np.asarray(picture)
    plain = picture.mode in ("RGB", "RGBA")
    return _one_channel(path, np.asarray(picture if plain else picture.convert("RGB")))


def _read_tiff(path: Path) -> Micrograph:
    with optional_library("scikit-image", "image"):
        from tifffile import TiffFile
    with TiffFile(path) as file:
        shown = file.series[0]
        page, axes = shown.keyframe, shown.axes
        sides = dict(zip(axes, shown.shape, strict=True))
        _check_size(path, shown.shape, shown.dtype.itemsize)
        others = [math.prod(other.shape) for other in file.series[1:]]
        if max(others, default=0) > math.prod(shown.shape) or sides.get("C", 1) > 1:
            holds = f"{len(others) + 1} images of different sizes" if others else "several channels"
            raise InputError(
                f"{path} holds {holds}", advice="Save the one to be measured as a file of its own."
            )
        turned = int(page.tags.valueof("Orientation") or 1)
        notes = []
        if others:  # mostly previews of the same image
            size = f"{sides.get('X', 0)} × {sides.get('Y', 0)} pixels"
            notes.append(f"it holds {len(others) + 1} images: the first, of {size}, is measured")
        if sides.get("T", 1) > 1:
            notes.append("its images in time are counted as lines of one sample")
        try:
            image = shown.asarray()
            inverted = page.photometric == 0  # MINISWHITE
        except ValueError as problem:
            if "imagecodecs" not in str(problem):
                raise
            # Without the package imagecodecs tifffile knows few compressions, and Pillow most; of
            # 8 bits or less it inverts by itself what is stored with white as 0.
            image = _by_pillow(path, [part.index for part in shown.pages if part is not None])
            axes, inverted = "YX", page.photometric == 0 and image.dtype.itemsize > 1
            turned = 1  # Pillow has done so by itself
        if "S" in axes:
            image = _one_channel(path, np.moveaxis(image, axes.index("S"), -1))
        if page.photometric == 0:
            notes.append("it stores white as 0: values are inverted, as viewers show them")
        if image.dtype == bool:
            image = image.astype(np.uint8)
        if inverted and image.dtype.kind in "u":
            image = np.subtract(2**page.bitspersample - 1, image, dtype=image.dtype)
        scale, source = _tiff_scale(path, file, page)
        image = np.squeeze(image)
        # As viewers show it: rows and columns exchanged, then turned over.
        image = image.swapaxes(-1, -2) if turned > 4 else image
        image = image[..., :: 1 - 2 * (turned in (3, 4, 7, 8)), :: 1 - 2 * (turned in (2, 3, 6, 7))]
        return Micrograph(np.ascontiguousarray(image), scale, source, tuple(notes))


def _by_pillow(path: Path, pages: Sequence[int]) -> np.ndarray:
    from PIL import Image

    slices = []
    with warnings.catch_warnings(), Image.open(path, formats=("TIFF",)) as picture:
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        for page in pages:
            picture.seek(page)
            # A mask of one bit keeps 0 and 1, as without compression; a palette its indices.
            whole = picture.mode in ("1", "P")
            slices.append(np.asarray(picture) if whole else _pixels(path, picture))
    return slices[0] if len(slices) == 1 else np.stack(slices)


def _tiff_scale(path: Path, file: Any, page: Any) -> tuple[float | None, str]:
    """Width of a pixel in nm by the metadata of a TIFF, and which they are."""

    def per_unit(name: str) -> float:
        tag = page.tags.get(name)
        numerator, denominator = tag.value if tag is not None else (0, 1)
        return denominator / numerator if numerator else 0.0

    def of_ome(axis: str) -> float:
        # By a pattern: XML of strangers may expand without end.
        text = file.ome_metadata or ""
        size = re.search(rf'\sPhysicalSize{axis}\s*=\s*"([^"]+)"', text)
        unit = re.search(rf'\sPhysicalSize{axis}Unit\s*=\s*"([^"]+)"', text)
        return float(size[1]) * _unit_nm(unit[1] if unit else "µm") if size else 0.0

    resolution = [per_unit("XResolution"), per_unit("YResolution")]
    candidates: list[tuple[str, list[float]]] = [("OME-XML", [of_ome("X"), of_ome("Y")])]
    scan = (file.fei_metadata or {}).get("Scan", {})
    sizes = [float(scan.get(f"Pixel{side}", 0)) * 1e9 for side in ("Width", "Height")]
    candidates.append(("the microscope's metadata", sizes))
    zeiss = (file.sem_metadata or {}).get("ap_image_pixel_size", ())
    if len(zeiss) == 3:
        candidates.append(("the microscope's metadata", [zeiss[1] * _unit_nm(zeiss[2])] * 2))
    if file.is_imagej:
        unit_nm = _unit_nm(str((file.imagej_metadata or {}).get("unit", "")))
        candidates.append(("ImageJ", [size * unit_nm for size in resolution]))
    else:
        unit = page.tags.get("ResolutionUnit")
        unit_nm = {2: 2.54e7, 3: 1e7}.get(int(unit.value) if unit is not None else 2, 0.0)
        candidates.append(("its resolution", [size * unit_nm for size in resolution]))
    for source, (x, y) in candidates:
        if scale := _square(path, x, y):
            return scale, source
    return None, ""


def _unit_nm(name: str) -> float:
    """Length of a unit in nm, 0 for one that is no length."""
    # ImageJ writes µ as an escape.
    return _UNITS_nm.get(name.strip().replace("\\u00B5", "µ").lower(), 0.0)


def _square(path: Path, x_nm: float, y_nm: float) -> float | None:
    """The width of a pixel, None where these are no sizes of one."""
    if not (0 < x_nm <= _COARSEST_nm and math.isfinite(x_nm)):
        return None
    if y_nm and abs(y_nm / x_nm - 1) > _SQUARE:
        raise InputError(
            f"{path}: its pixels are {x_nm:.4g} nm wide and {y_nm:.4g} nm high",
            advice="Scale it to square pixels, without interpolation where it is segmented.",
        )
    return x_nm


def _check_size(path: Path, shape: Sequence[int], bytes_a_number: int) -> None:
    """Refuse an image, by its stated size, before it is decoded."""
    sides = sorted(shape)[-2:]
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
