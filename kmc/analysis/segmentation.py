"""Phases of a micrograph: from a mask with one value for each, or from grey values by thresholds.

Thresholds are Otsu's (N. Otsu, IEEE Trans. Syst. Man Cybern. 9, 62 (1979),
doi:10.1109/TSMC.1979.4310076; several by P. S. Liao, T. S. Chen, P. C. Chung, J. Inf. Sci. Eng. 17,
713 (2001)) where the histogram has one peak for each phase; noise is removed by a median filter.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import scipy

from kmc.common.formatting import listed, plural
from kmc.errors import InputError, optional_library

VOID, METAL, ELECTROLYTE = 0, 1, 2  # phases of a pixel

_MAX_VALUES = 16  # an image with more grey values is no mask
_CODES = 16  # a mask whose values are below this numbers its phases; else they are greys
_MIN_APART = 50  # grey values of a mask are at least their range over this apart
_BINS = 128
_SMOOTH_BINS = 2.0
_MIN_SHARE = 5e-4  # of the pixels, of a phase that is searched for
_MIN_PROMINENCE = 0.5  # of a peak of the histogram, over its height
_MAX_GRADIENT = 2.5  # of pixels of the histogram, over the median: those at edges are mixed
_MIN_GRADIENT = 0.02  # a pixel, of the range of grey values: flat also in an image without noise
_MIN_HELD = 0.6  # share of the pixels in the peaks
_MIN_SIGMA = 3.0  # from a threshold to the peaks beside it: 0.1 % of a phase lie beyond
_MAX_RADIUS = 3  # of the median filter
_MAX_SAMPLE = 8_000_000  # pixels
_MAX_LETTER = 0.7  # share of its box that the median letter covers; a disc covers 0.79
_MAX_BURNED = 0.05  # share of what is burned in as pure white or black

_MAX_SIDE = 1600  # pixels of a picture
_BLOCK = 4_000_000  # pixels

_MAX_RIM = 10  # pixels
_MAX_THICK_RIM = 1 / 3  # of a rim over the width of a void, without a word on errors
_MAX_METAL_RIM = 0.1  # the same of a rim in the metal's grey
_MIN_RIM = 0.15  # share of the edges between two phases at which the third lies between


@dataclass(frozen=True)
class Segmentation:
    """How pixels become phases: values of a mask, or classes between thresholds.

    - `void`, `electrolyte`: a grey value, or with `levels` the number of a class from the darkest.
    - `levels`: thresholds; none for a mask. `radius` is that of the median filter before them.
    - `middle`: the phase between the other two in grey, None where greys have no order.
    """

    void: float
    electrolyte: float | None
    levels: tuple[float, ...] = ()
    radius: int = 0
    middle: int | None = None
    text: str = ""

    def phases(self, values: np.ndarray) -> np.ndarray:
        """Phase of each pixel of an image: uint8, `VOID`, `METAL` or `ELECTROLYTE`."""
        if self.levels:
            values = np.digitize(_median(values, self.radius), self.levels, right=True)
        phases = np.full(values.shape, METAL, np.uint8)
        phases[values == self.void] = VOID
        if self.electrolyte is not None:
            phases[values == self.electrolyte] = ELECTROLYTE
        return phases


@dataclass(frozen=True)
class View:
    """An image and what was measured in it, to be drawn.

    - `pixels`, `shown`: ndarray, shape (height, width): grey values, and `METAL`, `ELECTROLYTE`,
      `VOID` for one that counts, `IGNORED` and `BAR`.
    - `interface` (ndarray, shape (width,)): row of the interface; None in a view from above.
    """

    METAL, ELECTROLYTE, VOID, IGNORED, BAR = range(5)

    pixels: np.ndarray
    shown: np.ndarray
    interface: np.ndarray | None = None

    @staticmethod
    def step(shape: Sequence[int]) -> int:
        """Of how many rows and columns one is drawn: a picture has no more than some 1600."""
        return -(-max(shape) // _MAX_SIDE)


def value_counts(stack: np.ndarray) -> Counter[float]:
    """Grey values of a mask, and how many pixels have each.

    Raises `InputError`: there are too many, or they lie too close to each other, for a mask.
    """
    counts: Counter[float] = Counter()
    for part in stack:
        values, numbers = np.unique(part, return_counts=True)
        counts.update(dict(zip(values.tolist(), numbers.tolist(), strict=True)))
        if len(counts) > _MAX_VALUES:
            raise _no_mask(f"the image has {plural(len(counts), 'grey value')} or more")
    values = np.array(sorted(counts))
    at = int(np.diff(values, append=np.inf).argmin())
    # As a JPEG leaves them at every edge, though there be few of them.
    if values[-1] >= _CODES and np.any(np.diff(values[at : at + 2]) < np.ptp(values) / _MIN_APART):
        pair = f"{values[at]:g} and {values[at + 1]:g}"
        raise _no_mask(f"the image has grey values as close as {pair}")
    return counts


def _no_mask(why: str) -> InputError:
    advice = "Let kmc image part it with --threshold otsu, or give each phase one value first, "
    advice += "as with Fiji or ilastik, and save PNG or TIFF, no JPEG."
    return InputError(f"{why}: it is not segmented", advice=advice)


def shares_of(counts: Counter[float]) -> str:
    """``0 (5.2 %), 255 (94.8 %)``."""
    total = sum(counts.values())
    return ", ".join(f"{value:g} ({100 * counts[value] / total:.1f} %)" for value in sorted(counts))


def of_mask(void: float, electrolyte: float | None, counts: Counter[float]) -> Segmentation:
    """A mask as it is.

    Raises `InputError`: a value that no pixel has, or one for both phases.
    """
    for name, value in (("void", void), ("electrolyte", electrolyte)):
        if value is not None and value not in counts:
            raise InputError(
                f"no pixel has the value {value:g} of the {name}",
                advice=f"There are {shares_of(counts)}: give that of the {name}, --{name} VALUE.",
            )
    if void == electrolyte:
        raise InputError(
            f"void and electrolyte have one value, {void:g}", advice="They must differ."
        )
    others = [value for value, _ in counts.most_common() if value not in (void, electrolyte)]
    middle = None
    if others and electrolyte is not None and max(counts) >= _CODES:
        order = sorted(((void, VOID), (electrolyte, ELECTROLYTE), (others[0], METAL)))
        middle = order[1][1]
    return Segmentation(void, electrolyte, middle=middle)


def of_greys(
    stack: np.ndarray,
    threshold: str,
    *,
    void: float | None = None,
    electrolyte: float | None = None,
    bright: bool = False,
) -> Segmentation:
    """Phases of a grey image by thresholds.

    - `threshold`: ``otsu``, or one or two grey values, as ``80`` or ``80,160``.
    - `void`, `electrolyte`: a grey value in the class of the phase; voids are the darkest by
      default, with `bright` the brightest.

    Raises `InputError`: the histogram does not have a peak for each phase, or the phases are in one
    class.
    """
    n = 2 if electrolyte is None else 3
    radius = 0
    if threshold == "otsu":
        levels, radius = _otsu(stack, n)
        name = "Otsu" if n == 2 else "multi-Otsu"
        text = f"{plural(n - 1, 'threshold')} by {name}"
        text += f" after a median over {2 * radius + 1} × {2 * radius + 1} pixels" * bool(radius)
    else:
        try:
            levels = tuple(sorted(float(part) for part in threshold.split(",")))
        except ValueError:
            raise InputError(
                f"--threshold {threshold} is neither otsu nor a grey value",
                advice='Give a number, two such as 80,160, or "otsu".',
            ) from None
        if len(levels) != n - 1:
            raise InputError(
                f"--threshold {threshold} parts {plural(len(levels) + 1, 'phase')}, and "
                f"{'with' if n == 3 else 'without'} --electrolyte there are {n}",
                advice="Give one grey value between two phases.",
            )
        text = plural(n - 1, "threshold")
    text = f"{text}: {listed([f'{level:.4g}' for level in levels])}"
    if void is None:
        void = np.inf if bright else -np.inf
    of_void = int(np.digitize(void, levels, right=True))
    other = None if electrolyte is None else int(np.digitize(electrolyte, levels, right=True))
    if of_void == other:
        raise InputError(
            f"void and electrolyte are one class: {text}",
            advice="Give --electrolyte, and --void if voids are neither the darkest nor, with "
            "--bright, the brightest, a grey value of their own class.",
        )
    middle = VOID if of_void == 1 else ELECTROLYTE if other == 1 else METAL
    return Segmentation(of_void, other, levels, radius, middle if n == 3 else None, text)


def _otsu(stack: np.ndarray, n: int) -> tuple[tuple[float, ...], int]:
    """Thresholds between n phases, and the radius of the median filter that they need."""
    with optional_library("scikit-image", "image"):
        from skimage.filters import threshold_multiotsu
    slices = max(1, min(len(stack), _MAX_SAMPLE // stack[0].size))
    sample = stack[np.linspace(0, len(stack) - 1, slices).round().astype(int)]
    seen = []
    # The weakest filter with which the histogram separates: a stronger one rounds small voids.
    for radius in range(_MAX_RADIUS + 1):
        flat = np.concatenate([_flat(_median(part, radius)) for part in sample])
        for values in (flat, _without_burned(flat)):
            counts, centres = _histogram(values)
            peaks, sigma = _peaks(counts)
            seen.append([f"{centres[peak]:.4g}" for peak in peaks])
            if len(peaks) != n:
                continue
            otsu = threshold_multiotsu(hist=(counts, centres), classes=n)
            parts = np.digitize(centres, otsu, right=True)
            # Half way between the means of the classes, where Otsu's criterion has its maximum and
            # a blurred edge its place; in an empty valley all thresholds are equally good to it.
            means = np.bincount(parts, counts * centres) / np.bincount(parts, counts)
            levels = (means[1:] + means[:-1]) / 2
            at = np.interp(levels, centres, np.arange(len(centres)))
            away = _MIN_SIGMA * sigma
            clear = (at - peaks[:-1] >= away[:-1]) & (peaks[1:] - at >= away[1:])
            # A shaded image has steep ends and no peaks: these have to hold most of the pixels.
            bins = np.arange(len(counts))[:, None]
            near = (np.abs(bins - peaks) <= away).any(axis=1)
            if clear.all() and counts[near].sum() >= _MIN_HELD * counts.sum():
                return tuple(float(level) for level in levels), radius
    raise InputError(
        f"the grey values do not part into {n} phases: peaks of the histogram lie at "
        f"{listed(seen[-1])}" + " and overlap" * (len(seen[-1]) == n),
        advice="Give the values between them yourself, as --threshold "
        f"{'80' if n == 2 else '80,160'}, crop to the phases, even out the illumination, or "
        "segment it with Fiji or ilastik.",
    )


def _median(values: np.ndarray, radius: int) -> np.ndarray:
    return scipy.ndimage.median_filter(values, size=2 * radius + 1) if radius else values


def _flat(values: np.ndarray) -> np.ndarray:
    """Values of the pixels that lie on no edge between two phases."""
    gradient = scipy.ndimage.gaussian_gradient_magnitude(values.astype(np.float32), 1.0)
    limit = max(_MAX_GRADIENT * np.median(gradient), _MIN_GRADIENT * np.ptp(values.astype(float)))
    return values[gradient <= limit]


def _without_burned(values: np.ndarray) -> np.ndarray:
    """Values without pure black and white, where these are so few that they may be labels."""
    kept = values
    for extreme in (kept.min(), kept.max()):
        pure = kept == extreme
        if pure.mean() < _MAX_BURNED:
            kept = kept[~pure]
    return kept


def _histogram(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Smooth histogram between the outermost values, and the centres of its bins."""
    low, high = (float(end) for end in (values.min(), values.max()))
    # As many bins as whole grey values, at most: else a third of them would stay empty.
    bins = _BINS if values.dtype.kind == "f" else int(np.clip(high - low + 1, 2, _BINS))
    if values.dtype.kind != "f":
        low, high = low - 0.5, high + 0.5
    counts, edges = np.histogram(values, bins, (low, max(high, low + 1e-9)))
    width = max(0.8, _SMOOTH_BINS * bins / _BINS)
    smooth = scipy.ndimage.gaussian_filter1d(counts.astype(float), width, mode="constant")
    return smooth, (edges[1:] + edges[:-1]) / 2


def _peaks(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bins of the peaks of a histogram, and their standard deviations in bins."""
    # A slope that no eye sees: of equal maxima on a plateau each would count as prominent.
    padded = np.concatenate([[0.0], counts * (1 + 1e-6 * np.arange(len(counts))), [0.0]])
    peaks, about = scipy.signal.find_peaks(padded, prominence=0.0)
    peaks = peaks[about["prominences"] >= _MIN_PROMINENCE * padded[peaks]]
    # The share of a peak, from valley to valley.
    valleys = [0, *(a + padded[a:b].argmin() for a, b in pairwise(peaks)), len(padded)]
    share = np.array([padded[a:b].sum() for a, b in pairwise(valleys)])
    peaks = peaks[(share >= _MIN_SHARE * padded.sum())[: len(peaks)]]
    sigma = []
    for peak in peaks:
        below = padded < padded[peak] / 2
        left = peak - np.flatnonzero(below[:peak])[-1]
        right = np.flatnonzero(below[peak:])[0]
        # The steeper side: mixed pixels at edges broaden the other one.
        sigma.append(min(left, right) / 1.18)
    return peaks - 1, np.array(sigma)


# --- what a picture has besides the phases --------------------------------------------------------


def info_bars(values: np.ndarray, own: Collection[float | None] = ()) -> tuple[int, int]:
    """Rows of a bar with text at the upper and at the lower edge of an image, 0 without one.

    A bar has one value in 40 % of each row, ends in a straight line from side to side, and holds
    at least three separate letters; on its own value it has no end, and its letters are lines of
    text (see `_text_rows`).

    - `own`: values that the image has at its edge without a bar.
    """
    bars = []
    for image in (values, values[::-1]):
        rows = 0
        while rows < 0.3 * len(image):
            line, numbers = np.unique(image[rows], return_counts=True)
            value = line[numbers.argmax()]
            if value in own:
                break
            shares = (image[rows : rows + len(image) // 3] == value).mean(axis=1)
            thick = int((shares < 0.4).argmax()) if (shares < 0.4).any() else 0
            # Its edge is straight, as no void's or electrolyte's is.
            if not thick or shares[thick - 1] - shares[thick] < 0.5:
                break
            rows += thick
        letters = image[:rows] != image[0, 0] if rows else np.zeros((1, 1), bool)
        text = 0.005 < letters.mean() < 0.4 and scipy.ndimage.label(letters)[1] >= 3
        bars.append(rows if text and rows >= 8 else _text_rows(image))
    return bars[0], bars[1]


def _text_rows(image: np.ndarray) -> int:
    """Rows of lines of text at the upper edge of an image of their own ground, 0 without them.

    A line lies between rows of the ground alone and has five letters or more, most of them with
    one common edge below or above, and open or hollow, as compact voids are not.
    """
    ink = image[: int(0.3 * len(image))] != image[0, 0]
    filled = ink.any(axis=1)
    changes = np.flatnonzero(np.diff(filled)) + 1
    if not len(changes) or filled[0]:
        return 0
    end = 0
    for start, stop in zip(changes[::2], changes[1::2], strict=False):
        labels, n = scipy.ndimage.label(ink[start:stop], structure=np.ones((3, 3)))
        boxes = scipy.ndimage.find_objects(labels)
        area = np.array([(y.stop - y.start) * (x.stop - x.start) for y, x in boxes])
        open_share = np.median(region_sizes(labels, n)[1:] / area)
        ends = np.array([(y.start, stop - start - y.stop) for y, _ in boxes])
        aligned = (ends <= 1).mean(axis=0).max()
        if n < 5 or stop - start < 6 or open_share > _MAX_LETTER or aligned < 0.5:
            break
        end = int(stop)
    # The ground above a text is as high as below it, as far as there are no voids.
    below = np.flatnonzero(filled[end:])
    free = int(below[0]) if len(below) else len(filled) - end
    return end + min(int(changes[0]), free) if end else 0


def share_rims(phases: np.ndarray, middle: int | None, rim: int | None = None) -> int:
    """Share a rim of the third phase between two others out to them, half to each, in place.

    A blurred edge between black and white passes through grey, which a segmentation by grey values
    takes for the phase of that grey. Such a rim is a run of pixels of one phase, along a row or a
    column, between the two others.

    - `phases` (ndarray of uint8, shape (height, width)).
    - `middle`: phase that may be a rim; any where it is None.
    - `rim`: most pixels of a rim; by default it is searched for, and there is one where it lies at
      15 % or more of the edge between two phases.

    Returns the width of the rim, 0 without one.
    """
    widest, width = 0, phases.shape[1]
    for third in (VOID, METAL, ELECTROLYTE) if middle is None else (middle,):
        row, first, length, ends = _runs_between(phases, third)
        column, top, height, tips = _runs_between(phases.T, third)
        lengths = np.concatenate([length, height])
        limit = rim
        if rim is None:
            near = lengths[lengths <= _MAX_RIM]
            touching = sum(np.count_nonzero(_meet(view, third)) for view in (phases, phases.T))
            there = len(near) and len(near) >= _MIN_RIM * (len(near) + touching)
            # Runs across an oblique rim are longer than it is wide.
            limit = int(np.ceil(1.7 * np.median(near))) if there else 0
        start = np.concatenate([row * width + first, top * width + column])
        step = np.concatenate([np.ones_like(length), np.full_like(height, width)])
        either = np.concatenate([ends, tips])
        # The longest first: of a pixel in two runs the shorter one, written later, counts.
        order = np.argsort(-lengths, kind="stable")
        order = order[lengths[order] <= limit]
        if not len(order):
            continue
        n = lengths[order]
        along = np.arange(n.sum()) - np.repeat(np.cumsum(n) - n, n)
        at = np.repeat(start[order], n) + along * np.repeat(step[order], n)
        second = 2 * along + 1 > np.repeat(n, n)
        phases.ravel()[at] = np.where(second, *np.repeat(either[order][:, ::-1], n, axis=0).T)
        widest = max(widest, int(np.median(n)))
    return widest


def rim_text(width: int, middle: int | None, void_px: float) -> str:
    """What `share_rims` did, for the user; empty where there was no rim.

    - `middle`: phase that was the rim; `void_px`: median width of the voids, NaN without any.
    """
    if not width:
        return ""
    text = f"a rim of {plural(width, 'pixel')} in the grey of the third phase between two others "
    text += "was shared between these (--rim 0 keeps it)"
    # Where the metal is the middle grey, the blurred corners of voids at the interface are metal,
    # which no threshold corrects; a deconvolution does.
    if width > (_MAX_METAL_RIM if middle == METAL else _MAX_THICK_RIM) * void_px:
        share = 100 * width / void_px
        text += f"; that is {share:.0f} % of the median width of the voids, and widths may be too "
        text += "small by about as much, unless the image is deconvolved first"
    return text


def region_sizes(labels: np.ndarray, n: int) -> np.ndarray:
    """Pixels of each of n regions, by its label; 0 for the label 0, which is none."""
    sizes = np.zeros(n + 1, np.int64)
    block = max(1, _BLOCK // labels.shape[1])
    for start in range(0, len(labels), block):  # bincount takes eight bytes a pixel
        sizes += np.bincount(labels[start : start + block].ravel(), minlength=n + 1)
    sizes[0] = 0
    return sizes


def _meet(phases: np.ndarray, third: int) -> np.ndarray:
    """Where two neighbours in a row are the two phases that are not `third`."""
    left, right = phases[:, :-1], phases[:, 1:]
    return (left != right) & (left != third) & (right != third)


def _runs_between(phases: np.ndarray, third: int) -> tuple[np.ndarray, ...]:
    """Runs of a phase in rows, between the two others: row, first pixel, length, and what is before
    and behind, shape (n_runs, 2)."""
    inside, width = phases == third, phases.shape[1]
    row, before = np.nonzero(~inside[:, :-1] & inside[:, 1:])
    starts = row * width + before + 1
    row, last = np.nonzero(inside[:, :-1] & ~inside[:, 1:])
    # Runs that begin at the left edge have no start here, those that reach the right one no end.
    at = np.searchsorted(starts, row * width + last, side="right") - 1
    there = (at >= 0) & (starts[at] // width == row) if len(starts) else np.zeros(len(at), bool)
    row, first, last = row[there], starts[at[there]] % width, last[there]
    ends = np.stack([phases[row, first - 1], phases[row, last + 1]], axis=1)
    between = ends[:, 0] != ends[:, 1]
    return row[between], first[between], (last - first + 1)[between], ends[between]
