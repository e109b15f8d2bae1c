"""Voids on cross-section lines over the interface, as in operando microscopy.

A cut along the normal shows a line of the interface. The operando paper (Zhao et al., Nat. Commun.
2025, doi:10.1038/s41467-025-59567-8, Fig. 1b–e) reports contact loss, the number of voids, and box
charts of their widths and heights on such lines. A void that a line cuts twice counts twice, one
beside the line does not count, and a wide void is on more lines than a narrow one.

    section = kmc.cross_section(t)
    section.table        # one row for each frame
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import scipy
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from kmc.analysis.shapes import planes_spanned
from kmc.analysis.voids import DEFAULT_MIN_SIZE, Voids, find
from kmc.common.figures import drawn
from kmc.common.formatting import figure, plural
from kmc.common.late import pandas as pd
from kmc.common.progress import FrameProgress
from kmc.common.units import A_per_nm
from kmc.errors import InputError
from kmc.files.frame_selection import chosen_frames, each_frame, frame_columns, lattice_of
from kmc.files.reader import Trajectory
from kmc.model.lattice import Lattice

_nm_per_100_um = 1e5
_QUARTILES = {"min": 0.0, "q1": 0.25, "median": 0.5, "q3": 0.75, "max": 1.0}


def cross_section(
    t: Trajectory | np.ndarray,
    lattice: Lattice | None = None,
    *,
    n_lines: int | None = None,
    direction: str = "x",
    depth_nm: float | None = None,
    min_size: int = DEFAULT_MIN_SIZE,
    frames: slice | Sequence[int] | None = None,
    progress: FrameProgress | None = None,
) -> "CrossSection":
    """Cut a trajectory, or one occupancy, along lines over the interface.

    - `t` (Trajectory or ndarray of uint8, shape (n_sites,)): an occupancy needs its `lattice`.
    - `n_lines`: number of evenly spaced lines; one for each row of cells by default.
    - `direction` ({"x", "y"}): direction of the lines.
    - `depth_nm`: depth of the cut that is seen; one row of cells by default, rounded to whole rows.
      A pixel, one cell of the lattice wide and one atomic layer high, is void where at least half
      of its sites are.
    - `min_size`: smallest number of connected vacancies of a void; smaller clusters are ignored.
    - `frames`: frames to look at; all by default.
    - `progress`: called with the number of frames done and to do.

    Raises `InputError`: the box has no interface, or an argument is outside its range.

    Examples
    --------
    >>> kmc.cross_section(t, n_lines=8).table.voids_per_100um                # doctest: +SKIP

    An occupancy, with a trench of two cells along y:

    >>> box = Lattice("bcc_100", (8, 8), 8, "interface", 3.506)
    >>> occupancy = np.ones(box.n_sites, dtype=np.uint8)
    >>> occupancy[(box.positions_A[:, 0] < 7.0) & (box.layer <= 2)] = 0
    >>> cross_section(occupancy, box).table[["contact_loss", "voids"]].iloc[0].tolist()
    [0.25, 8.0]
    """
    if isinstance(t, np.ndarray):
        if lattice is None:
            raise InputError("an occupancy alone has no shape", advice="Give its lattice, too.")
        columns = {"frame": np.zeros(1, dtype=int)}
        occupancies = iter([t])
    else:
        advice = ".samples has what lines show, .gap_um(frame)[row] is the height along one."
        lattice = lattice_of(t, "kmc.cross_section", advice)
        indices = chosen_frames(t, frames)
        columns = frame_columns(t, indices)
        occupancies = (frame.occupancy for frame in each_frame(t, indices, progress))
    if not lattice.has_interface:
        raise InputError("a periodic box has no interface to cut", advice="Use kmc.voids(t).")
    if direction not in ("x", "y"):
        raise InputError(f"direction = {direction!r} is not known", advice='Choose "x" or "y".')
    along = 0 if direction == "x" else 1
    n_rows = lattice.cells[1 - along]
    row_nm = lattice.box_A[1 - along] / n_rows / A_per_nm
    n_lines = n_rows if n_lines is None else n_lines
    if not 1 <= n_lines <= n_rows:
        raise InputError(
            f"n_lines = {n_lines} is not possible: the box has {n_rows} rows of cells along "
            f"{direction}",
            advice=f"Choose 1 to {n_rows}.",
        )
    depth_nm = row_nm if depth_nm is None else depth_nm
    if not 0 < depth_nm <= row_nm * n_rows * (1 + 1e-9):
        raise InputError(
            f"depth_nm = {depth_nm}: the box is {figure(row_nm * n_rows, 'nm')} deep",
            advice="Choose more than 0 and at most that.",
        )
    cavities = (find(occupancy, lattice, min_size) for occupancy in occupancies)
    deep = max(1, round(depth_nm / row_nm))
    return CrossSection(cavities, columns, lattice, direction, n_lines, deep, min_size)


def voids_on_lines(image: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Voids at the interface on each line of an image.

    Void pixels that touch, by an edge or a corner and over the ends of a line, are one void; it
    counts when it reaches the lowest layer.

    - `image`: ndarray of bool, shape (n_lines, n_layers, n_pixels).

    Returns `line`, `width`, `height` (ndarray of int, shape (n_voids,)): line it is on; pixels and
    layers it spans.
    """
    # Lines are slices through the box, often far apart: voids of two lines are not joined.
    touching = np.zeros((3, 3, 3), dtype=bool)
    touching[1] = True  # within a line only
    labels, n = scipy.ndimage.label(image, structure=touching)
    # Empty first entries give `concatenate` its type where no label meets an edge.
    starts, ends = [np.zeros(0, dtype=int)], [np.zeros(0, dtype=int)]
    n_layers = image.shape[1]
    # ndimage knows no periodic edges, so labels are joined across them, corners included.
    # One layer up, level, one down: voids touch by corners, over the ends as within a line.
    for shift in (-1, 0, 1):  # over the ends of the lines
        lower, upper = max(0, -shift), n_layers - max(0, shift)
        left, right = labels[:, lower:upper, 0], labels[:, lower + shift : upper + shift, -1]
        both = (left > 0) & (right > 0)
        starts.append(left[both])
        ends.append(right[both])
    start, end = np.concatenate(starts), np.concatenate(ends)
    joined = coo_array((np.ones(len(start), np.uint8), (start, end)), shape=(n + 1, n + 1))
    n_voids, group = connected_components(joined, directed=False)
    line, layer, pixel = np.nonzero(labels)
    void = group[labels[line, layer, pixel]]
    along = np.zeros((n_voids, image.shape[2]), dtype=bool)
    along[void, pixel] = True
    lowest = np.full(n_voids, n_layers)
    highest = np.zeros(n_voids, dtype=int)
    np.minimum.at(lowest, void, layer)
    np.maximum.at(highest, void, layer)
    line_of = np.zeros(n_voids, dtype=int)
    line_of[void] = line
    # Pores inside the metal are not seen as loss of contact.
    seen = np.flatnonzero(lowest == 0)
    seen = seen[np.argsort(line_of[seen], kind="stable")]
    return line_of[seen], planes_spanned(along[seen], periodic=True), highest[seen] + 1


def line_statistics(
    open_: np.ndarray,
    line: np.ndarray,
    width_nm: np.ndarray,
    height_nm: np.ndarray,
    length_nm: float,
) -> dict[str, float]:
    """What a microscope reports of some lines along an interface.

    - `open_` (ndarray of bool, shape (n_lines, n_pixels)): pixels without contact.
    - `line` (ndarray of int, shape (n_voids,)): line of each void.
    - `width_nm`, `height_nm`: ndarray, shape (n_voids,).
    - `length_nm`: of one line.

    Returns columns of `CrossSection.table`: contact_loss, voids, densities, widths, heights and
    gaps.
    """
    n_lines = len(open_)
    # Lines without any void count as zeros in the scatter.
    per_line = np.bincount(line, minlength=n_lines) / length_nm
    row = {
        "contact_loss": float(open_.mean()),
        "voids": len(line),
        "voids_per_nm": len(line) / (n_lines * length_nm),
        "voids_per_100um": len(line) / (n_lines * length_nm) * _nm_per_100_um,
        "voids_per_100um_sd": float(per_line.std()) * _nm_per_100_um,
        "gaps": int(np.sum(open_.all(axis=1))),
    }
    for name, values in (("width", width_nm), ("height", height_nm)):
        row[f"{name}_mean_nm"] = float(values.mean()) if len(values) else np.nan
        for quartile, share in _QUARTILES.items():
            key = f"{name}_{quartile}_nm"
            row[key] = float(np.quantile(values, share)) if len(values) else np.nan
    return row


class CrossSection:
    """Voids on lines over the interface; made by `cross_section`.

    To compare with micrographs: a void counts as often as lines meet it. Single voids and what
    becomes of them are in `kmc.voids`.

    - `table` (DataFrame): one row for each frame: frame, capacity_monolayers, capacity_mAh_cm2,
      time_s (without them for a bare occupancy), contact_loss (fraction of the line without metal
      in L1), voids (on all lines), voids_per_nm and voids_per_100um of line, voids_per_100um_sd
      (scatter of single lines), width_mean_nm and width_min_nm, _q1_, _median_, _q3_, _max_, the
      same of height, and gaps (lines that are one void from end to end), and voids_in_box, the
      voids of the whole box. NaN where there are no voids.
    - `voids` (DataFrame): one row for each void on a line: frame, line, width_nm, height_nm.
    - `length_nm`: length of all lines together.
    - `n_lines`: int.
    - `depth_nm`: as used: whole rows of cells.
    - `direction`: str.
    - `min_size`: int.
    """

    def __init__(
        self,
        found: Iterable[Voids],
        columns: dict[str, np.ndarray],
        lattice: Lattice,
        direction: str,
        n_lines: int,
        deep: int,  # rows of cells that a line shows
        min_size: int,
    ):
        along = 0 if direction == "x" else 1
        nx, ny = lattice.cells
        n_rows = lattice.cells[1 - along]
        self.n_lines, self.direction, self.min_size = n_lines, direction, min_size
        self.depth_nm = deep * (lattice.box_A[1 - along] / n_rows / A_per_nm)
        self.line_length_nm = float(lattice.box_A[along] / A_per_nm)
        self.length_nm = self.line_length_nm * n_lines
        self.pixel_nm = self.line_length_nm / lattice.cells[along]
        self.layer_nm = lattice.layer_spacing_A / A_per_nm
        # Whole rows: a line between two would see sites of neither.
        starts = np.arange(n_lines) * n_rows // n_lines
        rows, seen, self._images = [], [], []
        for frame, voids in zip(columns["frame"], found, strict=True):
            sites = (voids.labels > 0).reshape(lattice.layers, ny, nx, -1)
            # All sites that a cell has in a layer are one pixel.
            per_cell = (sites.swapaxes(1, 2) if direction == "y" else sites).mean(axis=3)
            shares = (per_cell[:, (at + np.arange(deep)) % n_rows].mean(axis=1) for at in starts)
            # Half of a pixel or more: a single vacancy is no void in a microscope.
            image = np.stack([share >= 0.5 for share in shares])
            line, width, height = voids_on_lines(image)
            width_nm, height_nm = width * self.pixel_nm, height * self.layer_nm
            seen.append(
                pd.DataFrame(
                    {"frame": frame, "line": line, "width_nm": width_nm, "height_nm": height_nm}
                )
            )
            row = line_statistics(image[:, 0], line, width_nm, height_nm, self.line_length_nm)
            rows.append(row | {"voids_in_box": len(voids)})
            # One bit a pixel, so that the images of hundreds of frames stay in memory.
            self._images.append(np.packbits(image))
            self._shape = image.shape
        self.table = pd.concat([pd.DataFrame(columns), pd.DataFrame(rows)], axis=1)
        # A frame without voids would change the types of the columns.
        full = [part for part in seen if len(part)] or seen[:1]
        self.voids = pd.concat(full, ignore_index=True)

    def image(self, frame: int, line: int) -> np.ndarray:
        """Void pixels of one line, bool of shape (n_layers, n_pixels); row 0 is L1.

        - `frame`: number of a frame in the trajectory; −1 is the last one here.
        - `line`: from 0 to ``n_lines − 1``.

        Raises `InputError`: there is no such frame or line.
        """
        frames = self.table["frame"].tolist()
        number = frames[frame] if -len(frames) <= frame < 0 else frame
        if number not in frames or not 0 <= line < self.n_lines:
            raise InputError(
                f"there is no frame {frame} with a line {line} in this section of "
                f"{plural(len(frames), 'frame')} and {plural(self.n_lines, 'line')}"
            )
        packed = self._images[frames.index(number)]
        bits = np.unpackbits(packed, count=int(np.prod(self._shape)))
        return bits.reshape(self._shape)[line].astype(bool)

    def plot(self, **options: Any) -> Any:
        """Contact loss, number, widths and heights against capacity; a matplotlib figure."""
        return drawn("sections_picture", [self], **options)

    def __len__(self) -> int:
        return len(self.table)

    def __repr__(self) -> str:
        last = self.table.iloc[-1]
        lines = [
            f"CrossSection: {plural(len(self), 'frame')}, {plural(self.n_lines, 'line')} along "
            f"{self.direction}, {figure(self.length_nm, 'nm')} in all, "
            f"{figure(self.depth_nm, 'nm')} deep",
            f"  at last  {plural(int(last['voids']), 'cut')} of "
            f"{plural(int(last['voids_in_box']), 'void')}, "
            f"contact loss {100 * last['contact_loss']:.1f} %",
        ]
        if last["voids"]:
            lines.append(
                f"  medians  width {figure(last['width_median_nm'], 'nm')}, "
                f"height {figure(last['height_median_nm'], 'nm')}"
            )
        lines.append("  see      .table, .voids, .image(frame, line)")
        return "\n".join(lines)
