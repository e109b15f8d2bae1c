"""Movies of a population of voids: from above, on a cut, and the curves beside them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context

from kmc.common.progress import FrameProgress
from kmc.errors import InputError
from kmc.mesoscale.result import PopulationRun
from kmc.mesoscale.voids import Shape
from kmc.plotting import style
from kmc.plotting.movie import MOVIE_TYPE, MoviePages, check_movie, new_page
from kmc.plotting.upscale import draw_map, when

_WIDTH_IN, _HEIGHT_IN = 8.0, 4.2
_CUT_POINTS = 900


def save_population_movie(
    run: PopulationRun,
    path: str | Path,
    *,
    frames: Sequence[int] | None = None,
    per_second: float = 8.0,
    progress: FrameProgress | None = None,
) -> None:
    """Write a movie of a population.

    Parameters
    ----------
    run : PopulationRun
    path : str or Path
        A ``.gif``, or an ``.mp4`` where the program ffmpeg is installed.
    frames : sequence of int, optional
        Frames to show; all of the first replica by default.
    per_second : float
        Frames per second, 0.1 to 60.
    progress : callable, optional
        Called with the number of frames drawn and to draw.

    Raises
    ------
    InputError
        There is no frame, ffmpeg is missing, or the file cannot be written.
    """
    path = Path(path)
    check_movie(path, per_second)
    chosen = np.flatnonzero(run.frames["replica"] == 0) if frames is None else frames
    if not len(chosen):
        raise InputError(f"{run.path} has no frames yet", advice="Wait for the run to write one.")
    with style.styled(), rc_context(MOVIE_TYPE):
        PopulationMovie(run, [int(frame) for frame in chosen]).write(path, per_second, progress)


class PopulationMovie(MoviePages):
    """The movie of a population of voids: from above, a cut, and the curves beside them."""

    def __init__(self, run: PopulationRun, frames: Sequence[int]):
        self.run, self.frames = run, list(frames)
        self._at_um = run.edge_um / 2
        self._highest_um = self._highest()
        self._build()

    def _highest(self) -> float:
        """Height of the strip of the cut, the same in all frames."""
        high = max(float(self._profile(frame)[1].max()) for frame in self.frames)
        return max(1.3 * high, 0.01 * self.run.edge_um)

    def _profile(self, frame: int) -> tuple[np.ndarray, np.ndarray]:
        """Height of the voids along a line through the middle of the square."""
        run = self.run
        _, discs = run.of_frame(frame)
        edge = run.edge_um
        x = np.linspace(0, edge, _CUT_POINTS)
        height = np.zeros(_CUT_POINTS)
        shape = Shape(run.facts["height_over_radius"])
        away = discs["y_um"] - self._at_um
        away -= edge * np.rint(away / edge)
        for i in np.flatnonzero(np.abs(away) < discs["radius_um"]):
            along = x - discs["x_um"][i]
            along -= edge * np.rint(along / edge)
            offset = np.hypot(along, away[i])
            radius, volume = discs["radius_um"][i], discs["volume_um3"][i]
            under = offset < radius
            lobe = shape.height_um(radius, volume, offset[under])
            height[under] = np.maximum(height[under], lobe)
        return x, height

    def _build(self) -> None:
        self.page = new_page(_WIDTH_IN, _HEIGHT_IN)
        head, body = style.stack(self.page, [0.25, _HEIGHT_IN - 0.25])
        head.text(0.012, 0.45, self.run.path.stem, weight="bold", size=10, va="center")
        self._clock = head.text(0.988, 0.45, "", size=9, va="center", ha="right")
        parts: Any = body.subfigures(1, 2, width_ratios=(0.95, 1.0))
        left, right = parts
        self._above = left.subplots(1, 1)
        self._cut, self._contact, self._volts = right.subplots(
            3, 1, gridspec_kw={"height_ratios": (0.6, 1.0, 1.0)}
        )
        self._curves()
        self._draw(self.frames[-1])
        self.fix_layout()

    def _curves(self) -> None:
        run = self.run
        samples = run.replicas[int(run.frames["replica"][self.frames[0]])]
        resting = bool((samples["phase"] > 0).any())
        key = "time_s" if resting else "capacity_mAh_cm2"
        label = "time (s)" if resting else "capacity (mAh/cm²)"
        some = samples[key] > 0
        x = samples[key][some]
        self._contact.plot(x, 100 * samples["contact_fraction"][some], color=style.BLUE)
        self._contact.set_ylim(0, 103)
        self._contact.set_ylabel("contact (%)")
        volts = 1e3 * samples["overpotential_V"][some]
        volts[~np.isfinite(volts)] = np.nan
        self._volts.plot(x, volts, color=style.VERMILLION)
        self._volts.set_ylim(bottom=0)
        self._volts.set_ylabel("overpotential (mV)")
        self._volts.set_xlabel(label)
        for panel in (self._contact, self._volts):
            panel.set_xscale("log")
            if len(x) > 1:
                panel.set_xlim(x[0], x[-1])
        self._contact.tick_params(labelbottom=False)
        first = float(x[0]) if len(x) else 1.0
        self._now = [max(first, float(run.frames[key][frame])) for frame in self.frames]
        self._cursors = [
            panel.axvline(self._now[-1], color=style.BLACK, lw=0.9)
            for panel in (self._contact, self._volts)
        ]

    def _draw(self, frame: int) -> None:
        run, edge = self.run, self.run.edge_um
        self._above.clear()
        draw_map(self._above, run, frame)
        self._above.axhline(self._at_um, color=style.BLACK, lw=0.8, ls=(0, (4, 3)))
        self._above.set_title("")
        self._above.set_title("from above: voids blue, contact grey", loc="left")
        x, height = self._profile(frame)
        self._cut.clear()
        self._cut.axhspan(0, self._highest_um, color=style.METAL, lw=0)
        self._cut.axhspan(-0.25 * self._highest_um, 0, color=style.ELECTROLYTE, lw=0)
        self._cut.fill_between(x, 0, height, color=style.BLUE, lw=0)
        self._cut.set_xlim(0, edge)
        self._cut.set_ylim(-0.25 * self._highest_um, self._highest_um)
        self._cut.set_xticks([])
        self._cut.set_ylabel("height (µm)")
        self._cut.set_title("cut along the dashed line", loc="left")

    def show(self, index: int) -> None:
        """Draw the frame number `index` of those chosen."""
        frame, run = self.frames[index], self.run
        self._draw(frame)
        samples = run.replicas[int(run.frames["replica"][frame])]
        row = int(run.frames["sample"][frame])
        contact = 100 * samples["contact_fraction"][row]
        self._clock.set_text(f"{when(run, frame)}   contact {contact:.3g} %   (frame {frame})")
        for cursor in self._cursors:
            cursor.set_xdata([self._now[index]] * 2)
