"""Reads masks of interface chemistries: PNG images and NPY arrays."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from kmc.errors import InputError

MAX_PIXELS = 2**24  # 4096 × 4096; larger images are not unpacked
ENDINGS = (".png", ".npy")
_SMALLER = f"At most {MAX_PIXELS} pixels, as in 4096 × 4096; the box has fewer sites by far."


def read_mask(path: str | Path, n_chemistries: int) -> np.ndarray:
    """Chemistry of each pixel, row 0 at y = 0.

    A PNG is grey: black is chemistry 0, white the last one, equal steps between; colours count by
    their brightness. Its top is the top of the maps that ``kmc plot`` draws, large y. An NPY file
    holds the numbers themselves as ``[y, x]``.

    - `n_chemistries`: chemistries there are, that of [system] included.

    Returns ndarray of uint8, shape (rows, columns).

    Raises `InputError`: no such file, neither PNG nor NPY, damaged, too large, or with numbers out
    of range.
    """
    path = Path(path)
    if path.suffix.lower() not in ENDINGS:
        raise InputError(
            f"mask {path} is neither PNG nor NPY by its ending",
            advice="Save it as a grey PNG, or from Python with numpy.save as .npy.",
        )
    if not os.path.isfile(path):  # False, too, for a name that is no name
        what = "is not a file" if os.path.exists(path) else "does not exist"
        raise InputError(
            f"mask {path} {what}", advice="Its path is relative to the run file that names it."
        )
    read = _read_png if path.suffix.lower() == ".png" else _read_npy
    return np.ascontiguousarray(read(path, n_chemistries))


def _read_png(path: Path, n_chemistries: int) -> np.ndarray:
    from PIL.PngImagePlugin import PngImageFile

    try:
        with PngImageFile(path) as picture:  # reads no more than stands before the pixels
            width, height = picture.size
            if width * height > MAX_PIXELS:
                raise _too_large(path, width, height)
            if picture.mode.startswith("I"):  # 16 bits a pixel, which convert("L") would cut off
                grey, levels = np.asarray(picture).astype(np.uint16), 65536
            else:
                plain: Any = picture
                if "transparency" in picture.info or picture.mode in ("LA", "PA", "RGBA"):
                    opacity: Any = picture.convert("RGBA").getchannel("A")
                    if opacity.getextrema()[0] < 255:
                        raise InputError(
                            f"mask {path} has transparent pixels, which have no grey level",
                            advice="Save it without transparency.",
                        )
                    plain = picture.convert("RGB")
                grey, levels = np.asarray(plain.convert("L")), 256
    except InputError:
        raise
    # Pillow does not document what damaged files raise; SyntaxError and struct.error occur.
    except Exception as problem:
        raise InputError(
            f"mask {path} cannot be read as a PNG picture: {problem}",
            advice="Open it in a picture editor and save it again as PNG.",
        ) from None
    chemistry_of = np.rint(np.arange(levels) / (levels - 1) * (n_chemistries - 1))
    # A picture begins at its top, the map at y = 0.
    return chemistry_of.astype(np.uint8)[grey[::-1]]


def _read_npy(path: Path, n_chemistries: int) -> np.ndarray:
    try:
        # Memory-mapped: a header may state a size beyond that of the file.
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as problem:
        raise InputError(
            f"mask {path} cannot be read as an NPY array: {problem}",
            advice="Write it with numpy.save, as an array of whole numbers.",
        ) from None
    if not isinstance(array, np.ndarray) or array.ndim != 2 or not array.size:
        shape = f"of shape {array.shape}" if isinstance(array, np.ndarray) else "an archive"
        raise InputError(
            f"mask {path} is {shape}, not a two-dimensional array",
            advice="Save one array [y, x] with numpy.save.",
        )
    if array.size > MAX_PIXELS:
        raise _too_large(path, array.shape[1], array.shape[0])
    if array.dtype.kind not in "biu":
        raise InputError(
            f"mask {path} holds {array.dtype}, not whole numbers",
            advice='Save mask.astype("uint8"): 0 is params of [system], 1 the first chemistry.',
        )
    lowest, highest = int(array.min()), int(array.max())
    if lowest < 0 or highest >= n_chemistries:
        raise InputError(
            f"mask {path} holds {lowest if lowest < 0 else highest}, but there are chemistries 0 "
            f"to {n_chemistries - 1}",
            advice="0 is params of [system], 1 the first entry of chemistry.",
        )
    return array.astype(np.uint8)


def _too_large(path: Path, width: int, height: int) -> InputError:
    return InputError(f"mask {path} has {width} × {height} pixels", advice=_SMALLER)
