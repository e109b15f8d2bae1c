"""Pictures of cathodes: contact, pores and stress against the cycle, maps of the microstructure."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from kmc.files.table_run import TableRun
from kmc.plotting import style
from kmc.systems.cathode.microstructure import ACTIVE, FRAME, PORE
from kmc.systems.cathode.run import DELITHIATED, LITHIATED

# X. Xiong et al., Nat. Commun. 15 (2024), doi:10.1038/s41467-024-48174-8: cycles 1 and 20 of its
# simulation of selenium.
PUBLISHED = {
    "contact_active_active": (0.705, 0.844),
    "contact_active_frame": (0.670, 0.795),
    "stress_active_GPa": (0.099, 0.067),
    "stress_frame_GPa": (0.171, 0.156),
}
# The same: its control, pores that reopen where nothing creeps; no value of selenium.
WITHOUT_CREEP = {"pore_area": 0.78}
_CURVES = {
    "contact_active_active": (LITHIATED, "contact active–active"),
    "contact_active_frame": (LITHIATED, "contact active–frame"),
    "pore_area": (DELITHIATED, "pores, delithiated"),
    "stress_active_GPa": (LITHIATED, "stress, active (GPa)"),
    "stress_frame_GPa": (LITHIATED, "stress, frame (GPa)"),
}
_COLOURS = {PORE: "#ffffff", FRAME: "#5b6770", ACTIVE: "#e0a03a"}
_CREPT = "#b2402e"
_KEYS = {
    "active material": _COLOURS[ACTIVE],
    "crept into a pore": _CREPT,
    "frame": _COLOURS[FRAME],
    "pore, or open": _COLOURS[PORE],
}
_MAX_MAPS = 6


def _summary(
    runs: Sequence[TableRun], names: Sequence[str], frames: Sequence[int] | None
) -> Figure:
    """Curves against the cycle beside published values; below, maps of the first run."""
    # Maps are of the first run, under its heading; curves of others are named in their key.
    page, body = style.sheet(runs[:1], (6.9, 5.4), _about(runs[0]), keys=keys())
    top, bottom = style.stack(body, [3.4, 2.0])
    axes = top.subplots(2, 3).ravel()
    selenium = any(run.facts["materials"][0] == "se" for run in runs)
    for axis, (column, (phase, label)) in zip(axes, _CURVES.items(), strict=False):
        for i, run in enumerate(runs):
            at = run.samples["phase"] == phase
            x, y = run.samples["cycle"][at], run.samples[column][at]
            style.line(axis, x, y, label=names[i], **style.run_style(i))
        if selenium and column in WITHOUT_CREEP:
            text = "Xiong et al., without creep"
            axis.axhline(WITHOUT_CREEP[column], color="0.5", ls=":", lw=1, label=text)
        elif selenium:
            # A mark at cycle 20 would stretch the axis of a run of two cycles.
            last = max(run.run["cathode"]["cycles"] for run in runs)
            shown = [(c, v) for c, v in zip((1, 20), PUBLISHED[column], strict=True) if c <= last]
            axis.plot(*zip(*shown, strict=True), "kx", label="Xiong et al. (Se)")
        axis.set(xlabel="cycle", ylabel=label)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        # Stresses of several runs, such as with and without creep, may differ by orders.
        if column.startswith("stress") and len(runs) > 1:
            axis.set_yscale("log")
        else:
            axis.set_ylim(0, 1.08 * axis.get_ylim()[1])
    axes[-1].axis("off")
    # One key for all panels, as they share the curves of the runs and most marks of the paper.
    legend: dict[str, Artist] = {}
    for axis in axes[:-1]:
        handles, labels = axis.get_legend_handles_labels()
        legend |= dict(zip(labels, handles, strict=True))
    axes[-1].legend(legend.values(), legend.keys(), loc="center", fontsize=7)
    chosen = _chosen(runs[0], frames, 3)[:3]
    panels = bottom.subplots(1, 4)
    for axis, frame in zip(panels, chosen, strict=False):
        draw_map(axis, runs[0], frame)
    for axis in panels[len(chosen) : 3]:
        axis.axis("off")
    # The lithiated end of the last cycle, where the material is swollen and bears most.
    draw_stress(panels[3], runs[0], chosen[min(2, len(chosen)) - 1])
    return page


def _maps(runs: Sequence[TableRun], names: Sequence[str], frames: Sequence[int] | None) -> Figure:
    """Microstructure above, equivalent stress below, frame by frame, for each run."""
    rows: list[list[tuple]] = []
    for run, name in zip(runs, names, strict=True):
        chosen = _chosen(run, frames, _MAX_MAPS)
        named = [name if len(runs) > 1 else "", *[""] * len(chosen)]
        rows.append([(draw_map, run, *each) for each in zip(chosen, named, strict=False)])
        rows.append([(draw_stress, run, frame) for frame in chosen])
    size = (1.75 * max(map(len, rows)) + 0.5, 3.3 * len(runs))
    page, body = style.sheet(runs, size, _about(runs[0]), names=[""], keys=keys())
    for axis, (draw, *of) in style.grid(body, rows):
        draw(axis, *of)
    return page


def _about(run: TableRun) -> tuple[str, ...]:
    """Materials and size of a run, for its heading; sites have no length in this model."""
    edge, rate = len(run.constants["material"]), run.run["cathode"]["c_rate_per_h"]
    lithiated, frame = run.facts["materials"][1:3]
    return f"to {lithiated} in {frame}", f"{rate:g} C, {edge} × {edge} sites (no length scale)"


def keys() -> list[Patch]:
    """Legend of the colours of the microstructure."""
    border: dict[str, Any] = {"edgecolor": style.GREY, "lw": 0.4}
    return [Patch(facecolor=colour, label=label, **border) for label, colour in _KEYS.items()]


def _chosen(run: TableRun, frames: Sequence[int] | None, most: int) -> list[int]:
    """Frames to show: the start, and the ends of the halves of the first and last cycle."""
    if frames:
        return list(frames)[:most]
    n = len(run.frames)
    wanted = [0, n - 2, n - 1] if most < 5 else [0, 1, 2, n - 2, n - 1]
    return sorted({frame for frame in wanted if 0 <= frame < n})


def moment(run: TableRun, frame: int) -> str:
    row = run.frames["sample"][frame]
    cycle, phase = int(run.samples["cycle"][row]), run.samples["phase"][row]
    if phase == LITHIATED:
        return f"cycle {cycle}, lithiated"
    return f"cycle {cycle}, delithiated" if phase == DELITHIATED else "start"


def draw_map(axis: Axes, run: TableRun, frame: int, name: str = "") -> None:
    """Materials; white is open, red what has crept into sites that began as pores."""
    material = run.constants["material"]
    rgb = np.zeros((*material.shape, 3))
    for kind, colour in _COLOURS.items():
        rgb[material == kind] = to_rgb(colour)
    row = run.frames["sample"][frame]
    fill = run.frames["portions"][frame] * (1.0 + run.samples["swelling"][row])
    fill = np.clip(fill / run.facts["portions_per_site"], 0.0, 1.0)[..., None]
    opened = np.clip(run.frames["open_area"][frame], 0.0, 1.0)[..., None]
    pore = (material == PORE)[..., None]
    pushed = (1.0 - opened - fill).clip(0.0, 1.0)
    inside = fill * np.array(to_rgb(_CREPT)) + pushed * np.array(to_rgb(_COLOURS[ACTIVE])) + opened
    shown = np.where(pore, inside, rgb * (1.0 - opened) + opened)
    title = f"{name}\n{moment(run, frame)}" if name else moment(run, frame)
    _image(axis, shown.clip(0, 1), title)


def _image(axis: Axes, shown: np.ndarray, title: str, **look: Any) -> AxesImage:
    """A field in a frame without ticks: sites have no length in this model."""
    axis.set_title(title, fontsize=7)
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set_visible(True)
    return axis.imshow(shown.swapaxes(0, 1), **look)


def draw_stress(axis: Axes, run: TableRun, frame: int, *, bar: bool = True) -> None:
    """Equivalent stress; white is open."""
    stress, bears = run.frames["equivalent_GPa"], run.frames["bears_load"][frame]
    # A few sites at corners bear far more than the others and would set the scale.
    look: dict[str, Any] = {"vmin": 0, "vmax": max(float(np.quantile(stress, 0.98)), 1e-3)}
    shown = np.ma.masked_where(bears == 0, stress[frame])
    image = _image(axis, shown, f"stress, {moment(run, frame)}", cmap="viridis", **look)
    if bar:
        axis.figure.colorbar(image, ax=axis, shrink=0.8, label="GPa")


CATHODE_PICTURES: Mapping[str, Callable[..., Figure]] = {"summary": _summary, "map": _maps}
