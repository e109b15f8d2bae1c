"""Movies of populations, depositions and cathodes: from above, a second panel, and two curves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from kmc.common.formatting import monolayers
from kmc.plotting import cathode_panels, deposition_panels, style, upscale
from kmc.plotting.movie import MoviePages, new_page

_WIDTH_IN, _HEIGHT_IN = 8.0, 4.2


class Scene(NamedTuple):
    """What a kind of run shows: its panels, its curves, and the moment of a frame.

    A panel draws a frame in empty axes: ``panel(axes, frame, first)``, where `first` is true once,
    for what stays, such as a colour bar. `heights` are those of the second panel and the curves.
    """

    panels: tuple[Callable[..., None], Callable[..., None]]
    samples: Any
    x: str
    x_label: str
    curves: tuple[tuple[np.ndarray, str], tuple[np.ndarray, str]]
    when: Callable[[int], str]
    heights: tuple[float, float, float]


def _population(run: Any, frames: Sequence[int]) -> Scene:
    line = upscale.section_line(run)
    gaps = [run.gap_um(frame) for frame in frames]
    deepest, highest = (
        max(float(h.max()) for h in some) for some in (gaps, [h[line] for h in gaps])
    )
    samples = run.replicas[int(run.frames["replica"][frames[0]])]

    def above(axes: Any, frame: int, first: bool) -> None:
        upscale.draw_map(axes, run, frame, deepest)
        at_um = (line + 0.5) * run.edge_um / len(run.gap_um(frame))
        axes.axhline(at_um, color=style.VERMILLION, lw=0.8, ls=(0, (4, 3)))
        axes.set_title("")
        axes.set_title("from above: contact grey, deeper gaps darker", loc="left")

    def cut(axes: Any, frame: int, first: bool) -> None:
        upscale.draw_section(axes, run, frame, line, highest)
        axes.set_title("section along the dashed line, true to scale", loc="left")

    def when(frame: int) -> str:
        own = run.replicas[int(run.frames["replica"][frame])]
        contact = 100 * own["contact_fraction"][int(run.frames["sample"][frame])]
        return f"{upscale.when(run, frame)}   contact {contact:.3g} %"

    resting = bool((samples["phase"] > 0).any())
    volts = 1e3 * samples["overpotential_V"]
    curves = (
        (100 * samples["contact_fraction"], "contact (%)"),
        (np.where(np.isfinite(volts), volts, np.nan), "overpotential (mV)"),
    )
    x = ("time_s", "time (s)") if resting else ("capacity_mAh_cm2", "capacity (mAh/cm²)")
    return Scene((above, cut), samples, *x, curves, when, (0.6, 1.0, 1.0))


def _deposition(run: Any, frames: Sequence[int]) -> Scene:
    s, rows = run.samples, run.frames["sample"]
    highest = max(deposition_panels.highest(run, frame) for frame in frames)

    def above(axes: Any, frame: int, first: bool) -> None:
        title = "from above: height of the deposit"
        deposition_panels.draw_map(axes, run, frame, title, highest=highest, bar=first)

    def cut(axes: Any, frame: int, first: bool) -> None:
        deposition_panels.draw_section(axes, run, frame)
        axes.set_title("section through the highest column", fontsize=7)

    curves = ((s["coverage"], "coverage"), (s["roughness_layers"], "roughness\n(layers)"))
    # Strips of a protocol go back along the charge: only the time goes on.
    turns = bool((np.diff(s["capacity_monolayers"]) < 0).any())
    x = ("time_s", "time (s)") if turns else ("capacity_monolayers", "plated (monolayers)")

    def when(frame: int) -> str:
        return f"after {monolayers(float(s['capacity_monolayers'][rows[frame]]))}"

    return Scene((above, cut), s, *x, curves, when, (1.0, 0.8, 0.8))


def _cathode(run: Any, frames: Sequence[int]) -> Scene:
    hours = {**run.samples, "time_h": run.samples["time_s"] / 3600}

    def above(axes: Any, frame: int, first: bool) -> None:
        cathode_panels.draw_map(axes, run, frame)
        axes.set_title("orange active, grey frame, red crept into a pore, white open", fontsize=7)

    def stress(axes: Any, frame: int, first: bool) -> None:
        cathode_panels.draw_stress(axes, run, frame, bar=first)
        axes.set_title("equivalent stress", fontsize=7)

    curves = (
        (hours["contact_active_active"], "contact\nactive–active"),
        (hours["pore_area"], "open pores"),
    )
    when = partial(cathode_panels.moment, run)
    return Scene((above, stress), hours, "time_h", "time (h)", curves, when, (1.8, 0.8, 0.8))


SCENES = {"population": _population, "deposition": _deposition, "cathode": _cathode}


class RunMovie(MoviePages):
    """The movie of a run whose file is tables: a `Scene`, drawn anew for each frame."""

    @staticmethod
    def default_frames(run: Any) -> Sequence[int]:
        """Frames of the first replica: a movie goes on in time."""
        n = len(run.frames["sample"])
        return np.flatnonzero(np.asarray(run.frames.get("replica", np.zeros(n))) == 0).tolist()

    def __init__(self, run: Any, frames: Sequence[int]):
        self.frames, self._scene = list(frames), SCENES[run.kind](run, frames)
        self.page = new_page(_WIDTH_IN, _HEIGHT_IN)
        head, body = style.stack(self.page, [0.25, _HEIGHT_IN - 0.25])
        head.text(0.012, 0.45, run.path.stem, weight="bold", size=10, va="center")
        self._clock = head.text(0.988, 0.45, "", size=9, va="center", ha="right")
        parts: Any = body.subfigures(1, 2, width_ratios=(0.95, 1.0))
        ratios = {"height_ratios": self._scene.heights}
        second, *lower = parts[1].subplots(3, 1, gridspec_kw=ratios)
        self._panels = (parts[0].subplots(1, 1), second)
        self._curves(run, lower)
        self._draw(self.frames[-1], first=True)
        self.fix_layout()

    def _curves(self, run: Any, panels: Sequence[Any]) -> None:
        scene, logarithmic = self._scene, run.kind == "population"
        x = np.asarray(scene.samples[scene.x], dtype=float)
        some = x > 0 if logarithmic else np.ones(len(x), dtype=bool)
        colours = (style.BLUE, style.VERMILLION)
        for panel, (values, label), colour in zip(panels, scene.curves, colours, strict=True):
            style.line(panel, x[some], values[some], colour)
            panel.set_ylabel(label)
            panel.set_ylim(bottom=0)
            if logarithmic:
                panel.set_xscale("log")
            style.span(panel, x[some])
        if logarithmic and some.any():
            panels[0].set_ylim(0, 103)
            style.plain_log_axis(panels[1].xaxis, *panels[1].get_xlim())
        panels[0].tick_params(labelbottom=False, which="both")
        panels[1].set_xlabel(scene.x_label)
        # A logarithmic axis has no 0: the first frame stands at its left end.
        first = float(x[some][0]) if some.any() else 1.0
        at = run.frames[scene.x] if scene.x in run.frames else x[run.frames["sample"]]
        self._now = [max(first, float(at[frame])) for frame in self.frames]
        self._cursors = [
            panel.axvline(self._now[-1], color=style.BLACK, lw=0.9) for panel in panels
        ]

    def _draw(self, frame: int, first: bool = False) -> None:
        for axes, panel in zip(self._panels, self._scene.panels, strict=True):
            axes.clear()
            panel(axes, frame, first)

    def show(self, index: int) -> None:
        """Draw the frame number `index` of those chosen."""
        frame = self.frames[index]
        self._draw(frame)
        self._clock.set_text(f"{self._scene.when(frame)}   (frame {frame})")
        for cursor in self._cursors:
            cursor.set_xdata([self._now[index]] * 2)
