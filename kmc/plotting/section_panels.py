"""Cross-sections of the box: metal above, electrolyte below."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.patches import Patch, Rectangle

from kmc.analysis import voids
from kmc.common.units import A_per_nm
from kmc.files.reader import Trajectory
from kmc.files.samples import Frame
from kmc.model.lattice import Lattice
from kmc.plotting import maps, style

# No blues and greens: beside a section these are heights of the gap.
VOID, LONE, DEAD = "#5B2A86", "#B48BD0", "#C0392B"
_LI, _MG, _LONE, _VOID, _DEAD = range(5)
_COLOURS = np.array([to_rgba(c) for c in (style.METAL, style.MAGNESIUM, LONE, VOID, DEAD)])
_HATCH: dict[str, Any] = {"edgecolor": "#B8A860", "hatch": "//////"}
_ELECTROLYTE: dict[str, Any] = {"facecolor": style.ELECTROLYTE, **_HATCH}
_BAND = 0.35  # height of the electrolyte drawn below, nm, for a box 10 nm wide


@dataclass(frozen=True)
class Cut:
    """A slice one unit cell thick, perpendicular to the interface.

    `sites` lie in it, at `places_nm` (n, 2) along the cut and above L1; `size_nm` is its length and
    the height of the box, `axis` its direction, and `at_nm` where on the `other` axis it was cut.
    """

    sites: np.ndarray
    places_nm: np.ndarray
    size_nm: np.ndarray
    half_layer_nm: float
    at_nm: float
    axis: str
    other: str
    has_electrolyte: bool

    @property
    def band_nm(self) -> float:
        usual = _BAND * self.size_nm[0] / 10
        return min(usual, 0.4 * self.size_nm[1]) if self.has_electrolyte else 0.0

    @property
    def shape(self) -> float:
        """Height over width, electrolyte included."""
        return (self.size_nm[1] + self.band_nm) / self.size_nm[0]

    @property
    def title(self) -> str:
        return f"Cross-section at {self.other} = {self.at_nm:.1f} nm"


def cut_through(lattice: Lattice, frames: Sequence[Frame]) -> Cut:
    """The slice along the longer edge of the box with most vacancies in the frames."""
    along = maps.across(lattice)
    other = 1 - along
    # By unit cells, not by rows of atoms: those of bcc alternate between two positions.
    edge = lattice.unit_cell.edges[other] * lattice.lattice_parameter_A
    row = np.floor(lattice.positions_A[:, other] / edge + 1e-6).astype(int)
    n_rows = lattice.cells[other]
    vacancies = np.zeros(n_rows)
    for frame in frames:
        vacancies += np.bincount(row[frame.occupancy == 0], minlength=n_rows)
    # The slice with most vacancies shows the largest void; a random one often shows none.
    chosen = int(vacancies.argmax()) if vacancies.any() else n_rows // 2
    sites = np.flatnonzero(row == chosen)
    spacing = lattice.layer_spacing_A / A_per_nm
    places = lattice.positions_A[sites][:, [along, 2]] / A_per_nm
    places[:, 1] += spacing / 2  # a layer fills the space half-way to its neighbours
    return Cut(
        sites=sites,
        places_nm=places,
        size_nm=lattice.box_A[[along, 2]] / A_per_nm,
        half_layer_nm=spacing / 2,
        at_nm=(chosen + 0.5) * edge / A_per_nm,
        axis="xy"[along],
        other="xy"[other],
        has_electrolyte=lattice.has_interface,
    )


def nearest_site(cut: Cut, width_px: int) -> np.ndarray:
    """Index of the place nearest to each pixel, shape (height, width)."""
    return maps.nearest_place(cut.places_nm, cut.size_nm, width_px, closed=cut.has_electrolyte)


def pixels_of(cut: Cut, frame: Frame, lattice: Lattice, nearest: np.ndarray) -> np.ndarray:
    """The section as RGBA, shape (height, width, 4)."""
    cavities = voids.find(frame.occupancy, lattice)
    species = frame.occupancy[cut.sites]
    state = np.full(len(species), _LI)
    state[species == 2] = _MG
    if lattice.has_interface:
        state[(species == 1) & frame.dead[cut.sites]] = _DEAD
    state[species == 0] = np.where(cavities.labels[cut.sites][species == 0] > 0, _VOID, _LONE)
    return _COLOURS[state][nearest]


def draw_section(
    axes: Axes, cut: Cut, frame: Frame, lattice: Lattice, *, nearest: np.ndarray | None = None
) -> None:
    """Draw one cross-section, without title and key."""
    if nearest is None:
        nearest = nearest_site(cut, int(maps.WIDTH_IN * style.DPI))
    # z = 0 is the middle of L1: the interface is half a layer below.
    base, width = -cut.half_layer_nm, cut.size_nm[0]
    low, high = base - cut.band_nm, base + cut.size_nm[1]
    axes.imshow(pixels_of(cut, frame, lattice, nearest), extent=(0, width, base, high))
    if cut.has_electrolyte:
        band = Rectangle((0, low), width, cut.band_nm, linewidth=0.0, **_ELECTROLYTE)
        axes.add_patch(band)
        axes.axhline(base, color=style.BLACK, lw=0.6)
    axes.set(xlim=(0, width), ylim=(low, high), xlabel=f"{cut.axis} (nm)", ylabel="z (nm)")
    axes.spines[["top", "right"]].set_visible(True)
    axes.locator_params(axis="x", nbins=6)
    if cut.shape < 0.15:
        axes.set_yticks([0, float(f"{cut.size_nm[1] - cut.half_layer_nm:.1g}")])
    else:
        axes.locator_params(axis="y", nbins=4)


def keys_of(trajectories: Sequence[Trajectory]) -> list[Patch]:
    """Legend of the colours of cross-sections of some runs."""
    metal = ", ".join(dict.fromkeys(t.metal for t in trajectories))
    border: dict[str, Any] = {"edgecolor": "#888888", "linewidth": 0.4}
    patches = [Patch(facecolor=style.METAL, label=metal, **border)]
    if any("Mg" in t.species for t in trajectories):
        patches.append(Patch(facecolor=style.MAGNESIUM, label="Mg"))
    # Metal that the current collector does not reach.
    if any("dead_Li" in t.samples and t.samples["dead_Li"].any() for t in trajectories):
        patches.append(Patch(facecolor=DEAD, label=f"dead {metal} (not connected)"))
    patches.append(Patch(facecolor=VOID, label=f"void (≥ {voids.DEFAULT_MIN_SIZE} vacancies)"))
    patches.append(Patch(facecolor=LONE, label="other vacancy"))
    if any(t.has_interface for t in trajectories):
        patches.append(Patch(label="electrolyte", linewidth=0.4, **_ELECTROLYTE))
    return patches
