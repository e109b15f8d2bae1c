"""Maps of the interface: contact with the electrolyte, and the height of the gaps."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm, Colormap, ListedColormap, Normalize, to_rgba
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Patch
from scipy.spatial import cKDTree

from kmc.analysis import voids
from kmc.common.units import A_per_nm
from kmc.files.reader import Trajectory
from kmc.files.samples import Frame
from kmc.model.lattice import Lattice
from kmc.plotting import style

WIDTH_IN = 2.7  # of a map or section on a page of one column
_DEPTHS = matplotlib.colormaps["YlGnBu"]
_DEPTH_RANGE = (0.5, 1.0)  # lighter colours resemble Mg and metal in a grey print
_MAX_STEPS = 8  # of the colour bar; more depths than that share steps
_EDGE = "#888888"


@dataclass(frozen=True)
class View:
    """The box seen along z: a number for each position, and its presentation.

    Each of `places_nm` (n, 2) is drawn as its Voronoi cell, with its number of `steps` of the size
    `step` as colour; 0 is metal. Places with `mg` have a colour of their own; patches of another
    `chemistry` than 0 are tinted and outlined. `axes` are those along the width and the height.
    """

    places_nm: np.ndarray
    size_nm: np.ndarray
    steps: np.ndarray
    step: float
    mg: np.ndarray
    chemistry: np.ndarray
    chemistries: tuple[str, ...]
    decimals: int
    label: str
    title: str
    metal: str
    nothing: str
    axes: tuple[str, str]

    @property
    def shape(self) -> float:
        """Height over width."""
        return self.size_nm[1] / self.size_nm[0]

    @property
    def crosses_edge(self) -> bool:
        """Whether a gap leaves the map at one edge and comes in at the opposite one."""
        spacing = np.sqrt(self.size_nm.prod() / max(1, len(self.places_nm)))
        places = self.places_nm[self.steps > 0] % self.size_nm
        first, last = places < spacing, places > self.size_nm - 1.01 * spacing
        return bool((first.any(axis=0) & last.any(axis=0)).any())

    @property
    def most(self) -> int:
        return int(self.steps.max(initial=0))


def view_of(trajectory: Trajectory, frame: Frame) -> View:
    """The interface in a frame; for a periodic box the number of vacancies along z."""
    lattice, occupancy = trajectory.lattice, frame.occupancy
    when = style.moment(trajectory, frame)
    if trajectory.has_interface:
        n = lattice.sites_per_layer
        height = voids.open_height_nm(occupancy, lattice)
        step = voids.layers_to_same_place(lattice) * lattice.layer_spacing_A / A_per_nm
        shown = {
            "steps": np.rint(height / step).astype(int),
            "step": step,
            "mg": occupancy[:n] == 2,
            "chemistry": trajectory.chemistry,
            "chemistries": trajectory.chemistries,
            "decimals": 2,
            "label": "height of the gap (nm)",
            "title": f"Interface at {when}",
            "metal": f"{trajectory.metal if 'Mg' in trajectory.species else 'metal'} in contact",
            "nothing": "contact everywhere",
        }
    else:
        n = voids.layers_to_same_place(lattice) * lattice.sites_per_layer
        shown = {
            "steps": (occupancy.reshape(-1, n) == 0).sum(axis=0),
            "step": 1.0,
            "mg": np.zeros(n, dtype=bool),
            "chemistry": np.zeros(n, dtype=int),
            "chemistries": (),
            "decimals": 0,
            "label": "vacancies along z",
            "title": f"Box along z at {when}",
            "metal": "no vacancy",
            "nothing": "no vacancies",
        }
    first = across(lattice)
    # Along the longer edge of the box, as a page is wider than high in a column.
    order = [first, 1 - first]
    places = lattice.positions_A[:n, order] / A_per_nm
    size = lattice.box_A[order] / A_per_nm
    return View(places_nm=places, size_nm=size, axes=("xy"[first], "xy"[1 - first]), **shown)


def across(lattice: Lattice) -> int:
    """Axis of the box along the width of the page: the longer one."""
    return int(lattice.box_A[1] > lattice.box_A[0])


def nearest_place(
    places: np.ndarray, size: np.ndarray, width_px: int, *, closed: bool = False
) -> np.ndarray:
    """Index of the place nearest to each pixel, shape (height, width).

    Over the periodic edges; if `closed`, over those to the left and right alone.
    """
    # A long, narrow box still gets some rows of pixels.
    height_px = max(8, round(width_px * size[1] / size[0]))
    # Each pixel has the colour of the nearest site, so no site is blurred by interpolation.
    x = (np.arange(width_px) + 0.5) * size[0] / width_px
    y = (np.arange(height_px) + 0.5) * size[1] / height_px
    pixels = np.stack(np.meshgrid(x, y), axis=-1)
    period = np.array([size[0], 0.0 if closed else size[1]])
    inside = places.copy()
    inside[:, period > 0] %= period[period > 0]
    # Voronoi cells by the nearest site: atoms of bcc (110) and (111) stand on no square grid.
    tree = cKDTree(inside, boxsize=period)
    return tree.query(pixels, workers=1)[1]


@dataclass(frozen=True)
class DepthScale:
    """Colours for 1 to ``most`` steps, discrete if they are few."""

    colours: Colormap | None
    norm: Normalize | None
    ticks: np.ndarray


def scale_for(most: int, step: float) -> DepthScale:
    """The colour scale of maps whose highest gap has `most` steps."""
    if most < 1:
        return DepthScale(None, None, np.array([]))
    if most <= _MAX_STEPS:
        few = _DEPTHS(np.linspace(*_DEPTH_RANGE, max(most, 2)))[:most]
        edges = (np.arange(most + 1) + 0.5) * step
        ticks = np.arange(1, most + 1) * step
        return DepthScale(ListedColormap(few), BoundaryNorm(edges, most), ticks)
    colours = ListedColormap(_DEPTHS(np.linspace(*_DEPTH_RANGE, 256)))
    # More steps than eye and print distinguish share a continuous scale.
    spread = max(1, math.ceil(most / _MAX_STEPS))
    ticks = np.arange(1, most + 1, spread) * step
    return DepthScale(colours, Normalize(step, most * step), ticks)


def pixels_of(view: View, scale: DepthScale, nearest: np.ndarray) -> np.ndarray:
    """The map as RGBA, shape (height, width, 4)."""
    colour = np.tile(to_rgba(style.METAL), (len(view.steps), 1))
    for index, tint in enumerate(style.CHEMISTRIES, 1):
        colour[view.chemistry == index] = to_rgba(tint)
    colour[view.mg] = to_rgba(style.MAGNESIUM)
    open_ = view.steps > 0
    if scale.colours is not None and scale.norm is not None and open_.any():
        colour[open_] = scale.colours(scale.norm(view.steps[open_] * view.step))
    return colour[nearest]


def draw_map(
    axes: Axes,
    view: View,
    scale: DepthScale,
    width_in: float = WIDTH_IN,
    nearest: np.ndarray | None = None,
) -> None:
    """Draw one map, with its axes in nm but without title, key and colour bar."""
    if nearest is None:
        nearest = nearest_place(view.places_nm, view.size_nm, int(width_in * style.DPI))
    width, height = view.size_nm
    axes.imshow(pixels_of(view, scale, nearest), extent=(0, width, 0, height))
    below = view.chemistry[nearest]
    x, y = (
        (np.arange(n) + 0.5) * size / n
        for n, size in zip(below.shape[::-1], view.size_nm, strict=True)
    )
    # Patches of another chemistry have an outline, as voids on them hide their tint.
    for inside in (below == index for index in range(1, len(view.chemistries))):
        if inside.any() and not inside.all():
            axes.contour(x, y, inside, levels=[0.5], colors=style.OUTLINE, linewidths=0.7)
    axes.set(xlabel=f"{view.axes[0]} (nm)", ylabel=f"{view.axes[1]} (nm)")
    axes.spines[["top", "right"]].set_visible(True)
    axes.locator_params(nbins=6)
    # A strip has no room for as many numbers along its short side.
    if view.shape < 0.25:
        axes.locator_params(axis="y", nbins=2)


def chemistry_keys(views: Sequence[View]) -> list[Patch]:
    """Legend of the patches of other chemistries; empty without them."""
    names: dict[tuple[int, str], None] = {}
    for view in views:
        present = (i for i in range(1, len(view.chemistries)) if (view.chemistry == i).any())
        names |= dict.fromkeys((index, view.chemistries[index]) for index in present)
    edge: dict[str, Any] = {"edgecolor": style.OUTLINE, "linewidth": 0.7}
    return [
        Patch(facecolor=style.CHEMISTRIES[index - 1], label=f"on {name}", **edge)
        for index, name in names
    ]


def keys_of(views: Sequence[View]) -> list[Patch]:
    """Legend of the colours that show no depth."""
    metal = next((v.metal for v in views if v.mg.any()), views[0].metal)
    keys = [Patch(facecolor=style.METAL, edgecolor=_EDGE, linewidth=0.4, label=metal)]
    if any(v.mg.any() for v in views):
        keys.append(Patch(facecolor=style.MAGNESIUM, label="Mg in contact"))
    return keys + chemistry_keys(views)


def depth_bar(
    part: Figure | SubFigure,
    axes: Axes | Sequence[Axes],
    views: Sequence[View],
    scale: DepthScale,
    **options: Any,
) -> None:
    """The colour bar below one or several maps."""
    mappable = ScalarMappable(scale.norm, scale.colours)
    look: Any = {"location": "bottom", "aspect": 28, "pad": 0.02, "shrink": 0.9} | options
    bar = part.colorbar(mappable, ax=axes, ticks=scale.ticks, **look)
    # One void at a corner is drawn in four pieces.
    note = "\nedges are periodic: a void goes on at the opposite one"
    bar.set_label(views[0].label + (note if any(v.crosses_edge for v in views) else ""))
    bar.minorticks_off()
    bar.ax.tick_params(size=0)
    bar.outline.set_visible(False)
    bar.ax.xaxis.set_major_formatter(lambda value, _: f"{value:.{views[0].decimals}f}")


def mark_cut(axes: Axes, view: View, at_nm: float) -> None:
    """Where the cross-section shown beside a map was cut."""
    axes.axhline(at_nm, color="white", lw=1.2, alpha=0.8)
    axes.axhline(at_nm, color=style.VERMILLION, lw=0.8, ls=(0, (5, 2)))
    for x, sign in ((0.0, 5), (view.size_nm[0], 4)):
        axes.plot(x, at_nm, marker=sign, color=style.VERMILLION, ms=4, clip_on=False)
