"""Pictures of a trajectory, for the screen and for one column of print."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, Colormap, ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from scipy.spatial import cKDTree

from kmc.analysis import voids
from kmc.errors import InputError
from kmc.lattice import Lattice
from kmc.trajectory import Frame, Trajectory
from kmc.wording import duration, figure

COLUMN_IN = 3.4  # one column of most journals, 86 mm
_DPI = 300
_A_per_nm = 10.0

# Okabe and Ito's colours, which every kind of colour vision tells apart.
BLUE, SKY, VERMILLION, BLACK = "#0072B2", "#56B4E9", "#D55E00", "#222222"
MAGNESIUM = "#F0B44C"
METAL = "#E4E4E4"
_DEPTHS = matplotlib.colormaps["YlGnBu"]
_DEPTH_RANGE = (0.42, 1.0)  # its light end would pass for metal in a grey print
_MOST_STEPS = 8  # of the colour bar; more depths than that share steps

_STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 7,
    "axes.labelsize": 7.5,
    "axes.titlesize": 7.5,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": BLACK,
    "axes.labelcolor": BLACK,
    "axes.axisbelow": True,
    "axes.grid": False,
    "text.color": BLACK,
    "xtick.color": BLACK,
    "ytick.color": BLACK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "legend.frameon": False,
    "legend.fontsize": 7,
    "lines.linewidth": 1.3,
    "savefig.dpi": _DPI,
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
}


def save_overview(trajectory: Trajectory, path: str | Path) -> None:
    """Save the first picture of a run.

    Two curves against capacity, or against time without a current: contact fraction and
    overpotential where there is an interface with a current. Below them the map of the interface in
    the last frame, with the height of the gap over each L1 site as colour; of a periodic box, which
    has no interface, the vacancies as seen along z.

    Parameters
    ----------
    trajectory : Trajectory
    path : str or Path
        A ``.png``, ``.svg`` or ``.pdf`` file.

    Raises
    ------
    InputError
        The file cannot be written, or its ending is no picture's.
    """
    with matplotlib.rc_context(_STYLE):
        picture = overview(trajectory)
        try:
            picture.savefig(path)
        except (OSError, ValueError) as problem:
            raise InputError(
                f"picture {path} cannot be written: {problem}",
                advice="Give a writable place and a name that ends in .png, .svg or .pdf.",
            ) from None


def overview(trajectory: Trajectory) -> Figure:
    """The figure that `save_overview` saves."""
    frames = trajectory.frames
    view = _view(trajectory, frames[-1]) if len(frames) else None
    curves_in, map_in = 2.75, view.height_in if view else 0.0
    heights = [0.34, curves_in, map_in]
    size = (COLUMN_IN, sum(heights))
    page = Figure(figsize=size, layout="constrained")
    page.get_layout_engine().set(w_pad=0.04, h_pad=0.03, hspace=0.0, wspace=0.0)
    parts = page.subfigures(3 if view else 2, 1, height_ratios=heights[: 3 if view else 2])
    _heading(parts[0], trajectory)
    _curves(parts[1], trajectory)
    if view:
        _map(parts[2], view)
    return page


def _heading(part, trajectory: Trajectory) -> None:
    conditions = trajectory.run.get("conditions", {})
    box = trajectory.box
    words = [trajectory.run.get("system", {}).get("params", "–".join(trajectory.species))]
    words.append(box["name"])
    if conditions.get("temperature_K"):
        words.append(figure(conditions["temperature_K"], "K", 5))
    if _has_current(trajectory):
        words.append(figure(conditions["current_density_mA_cm2"], "mA/cm²"))
    ratio = trajectory.acceleration.get("max_hops_per_strip_per_site")
    if ratio:
        words.append(f"hops/strips ≤ {figure(ratio)}")
    part.text(0.02, 0.72, trajectory.path.stem, weight="bold", size=8.5, va="center")
    part.text(0.02, 0.25, "   ".join(word for word in words if word), va="center")


def _has_current(trajectory: Trajectory) -> bool:
    conditions = trajectory.run.get("conditions", {})
    return conditions.get("current_density_mA_cm2", 0.0) > 0


# --- the curves -----------------------------------------------------------------------------------


def _curves(part, trajectory: Trajectory) -> None:
    upper, lower = part.subplots(2, 1, sharex=True)
    samples = trajectory.samples
    if not len(samples):
        for axes in (upper, lower):
            axes.set_axis_off()
        upper.text(0.5, 0.0, "no samples yet", ha="center", transform=upper.transAxes)
        return
    with_current = _has_current(trajectory)
    if with_current:
        x, x_label = samples["capacity_monolayers"], "capacity (monolayers)"
    else:
        x, x_label = _scaled(samples["time_s"], "time", "s")
    if trajectory.has_interface:
        _draw_contact(upper, x, trajectory)
    else:
        energy = samples["energy_eV"] - samples["energy_eV"][0]
        _line(upper, x, energy, BLUE)
        upper.set_ylabel("energy change (eV)")
    if trajectory.has_interface and with_current:
        _draw_overpotential(lower, x, samples["overpotential_V"])
    else:
        _line(lower, x, samples["vacancies"], VERMILLION)
        lower.set_ylabel("vacancies")
        lower.locator_params(axis="y", integer=True)
    lower.set_xlabel(x_label)
    lower.set_xlim(x[0], x[-1] if x[-1] > x[0] else x[0] + 1)
    if with_current and x[-1] > 0:
        _charge_axis(upper, samples["capacity_mAh_cm2"][-1] / x[-1], x[-1])
    part.align_ylabels([upper, lower])
    if len(trajectory.frames) and with_current:
        _mark_frame((upper, lower), trajectory.frames[-1].capacity_monolayers, x[-1])


def _line(axes: Axes, x, y, colour: str, **style) -> None:
    """A curve; a dot as well where there are too few points for a line."""
    marker = "o" if len(x) < 4 else None
    axes.plot(x, y, color=colour, marker=marker, markersize=3, clip_on=False, **style)


def _draw_contact(axes: Axes, x, trajectory: Trajectory) -> None:
    samples = trajectory.samples
    _line(axes, x, samples["contact_fraction"], BLUE, label="metal")
    if "Mg" in trajectory.species:
        _line(axes, x, samples["contact_fraction_Li"], SKY, linestyle="--", label="Li")
        axes.legend(loc="lower left", ncols=2, handlelength=1.8)
    axes.set_ylim(0, 1.05)
    axes.set_ylabel("contact fraction")


def _draw_overpotential(axes: Axes, x, volts) -> None:
    known = np.isfinite(volts)
    scale, unit = (1e3, "mV") if not known.any() or volts[known].max() < 1 else (1.0, "V")
    highest = 1.0
    if known.any():
        _line(axes, x[known], volts[known] * scale, VERMILLION)
        highest = volts[known].max() * scale
    axes.set_ylim(0, 1.12 * highest if highest > 0 else 1.0)
    axes.set_ylabel(f"overpotential ({unit})")
    lost = x[~known]
    if len(lost):
        top = axes.get_xaxis_transform()
        axes.plot(
            lost, np.full(len(lost), 0.98), "^", color=BLACK, ms=4, transform=top, clip_on=False
        )
        side = "right" if lost[0] > 0.5 * (x[0] + x[-1]) else "left"
        axes.annotate(
            "no electroactive atom",
            (lost[0], 0.98),
            xycoords=top,
            xytext=(-6 if side == "right" else 6, 0),
            textcoords="offset points",
            ha=side,
            va="center",
        )


def _charge_axis(axes: Axes, mAh_cm2_per_monolayer: float, monolayers: float) -> None:
    """The capacity in charge per area, along the top."""
    units = ((1.0, "mAh"), (1e3, "µAh"), (1e6, "nAh"))
    charge = mAh_cm2_per_monolayer * monolayers
    scale, unit = next((pair for pair in units if charge * pair[0] >= 1), units[-1])
    per_monolayer = mAh_cm2_per_monolayer * scale
    top = axes.secondary_xaxis(
        "top", functions=(lambda x: x * per_monolayer, lambda charge: charge / per_monolayer)
    )
    top.set_xlabel(f"capacity ({unit}/cm²)")
    axes.spines["top"].set_visible(True)


def _mark_frame(axes_pair, capacity: float, last: float) -> None:
    """Where the map below was taken, if that is not the end of the curves."""
    if capacity < last * (1 - 1e-3):
        for axes in axes_pair:
            axes.axvline(capacity, color=BLACK, lw=0.6, ls=":")


def _scaled(values: np.ndarray, name: str, unit: str) -> tuple[np.ndarray, str]:
    """Values with the prefix that makes their largest readable, and the label of their axis."""
    largest = np.abs(values).max(initial=0.0)
    prefixes = ((1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"), (1e-12, "p"))
    fitting = (pair for pair in prefixes if largest >= pair[0] or not largest)
    scale, prefix = next(fitting, prefixes[-1])
    return values / scale, f"{name} ({prefix}{unit})"


# --- the map --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _View:
    """The box seen along z: a number for each place, and how to show it.

    Attributes
    ----------
    places_nm : ndarray, shape (n, 2)
        In the plane; each place is drawn as the area that is nearer to it than to any other.
    steps : ndarray of int, shape (n,)
        What is shown as colour, in whole steps; 0 is metal.
    step : float
        What one step stands for.
    mg : ndarray of bool, shape (n,)
        Places with Mg, drawn in a colour of their own.
    """

    places_nm: np.ndarray
    size_nm: np.ndarray
    steps: np.ndarray
    step: float
    mg: np.ndarray
    decimals: int
    label: str
    title: str
    metal: str
    nothing: str
    axes: tuple[str, str]

    @property
    def height_in(self) -> float:
        """Height of the map with its title and colour bar, inches."""
        map_in = 2.7 * self.size_nm[1] / self.size_nm[0]
        return max(0.7, map_in) + 1.05


def _view(trajectory: Trajectory, frame: Frame) -> _View:
    lattice, occupancy = trajectory.lattice, frame.occupancy
    moment = (
        f"{figure(frame.capacity_monolayers)} monolayers"
        if _has_current(trajectory)
        else f"t = {duration(frame.time_s)}"
    )
    if trajectory.has_interface:
        n = lattice.sites_per_layer
        height = voids.open_height_nm(occupancy, lattice)
        step = voids.layers_to_same_place(lattice) * lattice.layer_spacing_A / _A_per_nm
        shown = {
            "steps": np.rint(height / step).astype(int),
            "step": step,
            "mg": occupancy[:n] == 2,
            "decimals": 2,
            "label": "height of the gap (nm)",
            "title": f"Interface at {moment}",
            "metal": "Li in contact" if "Mg" in trajectory.species else "metal in contact",
            "nothing": "contact everywhere",
        }
    else:
        n = voids.layers_to_same_place(lattice) * lattice.sites_per_layer
        shown = {
            "steps": (occupancy.reshape(-1, n) == 0).sum(axis=0),
            "step": 1.0,
            "mg": np.zeros(n, dtype=bool),
            "decimals": 0,
            "label": "vacancies along z",
            "title": f"Box along z at {moment}",
            "metal": "no vacancy",
            "nothing": "no vacancies",
        }
    return _oriented(lattice, n, shown)


def _oriented(lattice: Lattice, n: int, shown: dict) -> _View:
    """The view with the longer edge of the box across the page."""
    places = lattice.positions_A[:n, :2] / _A_per_nm
    size = lattice.box_A[:2] / _A_per_nm
    axes = ("x", "y")
    if size[1] > size[0]:
        places, size, axes = places[:, ::-1], size[::-1], axes[::-1]
    return _View(places_nm=places, size_nm=size, axes=axes, **shown)


def _map(part, view: _View) -> None:
    axes = part.subplots(1, 1)
    nearest = _nearest_place(view)
    levels, norm, ticks = _colours(int(view.steps.max()), view.step)
    image = np.empty((*nearest.shape, 4))
    image[:] = matplotlib.colors.to_rgba(METAL)
    image[view.mg[nearest]] = matplotlib.colors.to_rgba(MAGNESIUM)
    vacant = view.steps[nearest] > 0
    if levels is not None:
        image[vacant] = levels(norm(view.steps[nearest][vacant] * view.step))
    axes.imshow(
        image,
        extent=(0, view.size_nm[0], 0, view.size_nm[1]),
        origin="lower",
        interpolation="nearest",
    )
    axes.set_xlabel(f"{view.axes[0]} (nm)")
    axes.set_ylabel(f"{view.axes[1]} (nm)")
    axes.set_title(view.title, loc="left")
    axes.spines[["top", "right"]].set_visible(True)
    keys = [Patch(facecolor=METAL, edgecolor="#888888", linewidth=0.4, label=view.metal)]
    if view.mg.any():
        keys.append(Patch(facecolor=MAGNESIUM, label="Mg in contact"))
    if levels is None:
        axes.set_title(view.nothing, loc="right")
    else:
        scale = matplotlib.cm.ScalarMappable(norm, levels)
        bar = part.colorbar(
            scale, ax=axes, location="bottom", aspect=28, pad=0.02, shrink=0.9, ticks=ticks
        )
        bar.set_label(view.label)
        bar.minorticks_off()
        bar.ax.tick_params(size=0)
        bar.outline.set_visible(False)
        bar.ax.xaxis.set_major_formatter(lambda value, _: f"{value:.{view.decimals}f}")
    part.legend(handles=keys, loc="outside lower center", ncols=2, handlelength=1, handleheight=1)


def _nearest_place(view: _View) -> np.ndarray:
    """Index of the place nearest to each pixel, over the periodic edges; shape (height, width)."""
    width = int(2.7 * _DPI)
    height = max(8, round(width * view.size_nm[1] / view.size_nm[0]))
    x = (np.arange(width) + 0.5) * view.size_nm[0] / width
    y = (np.arange(height) + 0.5) * view.size_nm[1] / height
    pixels = np.stack(np.meshgrid(x, y), axis=-1)
    tree = cKDTree(view.places_nm % view.size_nm, boxsize=view.size_nm)
    return tree.query(pixels, workers=1)[1]


def _colours(most: int, step: float) -> tuple[Colormap | None, Normalize | None, np.ndarray]:
    """Colour map, norm and ticks for values of 1 to ``most`` steps, one colour each if few."""
    if most < 1:
        return None, None, np.array([])
    if most <= _MOST_STEPS:
        colours = _DEPTHS(np.linspace(*_DEPTH_RANGE, max(most, 2)))[:most]
        edges = (np.arange(most + 1) + 0.5) * step
        return ListedColormap(colours), BoundaryNorm(edges, most), np.arange(1, most + 1) * step
    colours = ListedColormap(_DEPTHS(np.linspace(*_DEPTH_RANGE, 256)))
    spread = max(1, math.ceil(most / _MOST_STEPS))
    return colours, Normalize(step, most * step), np.arange(1, most + 1, spread) * step
