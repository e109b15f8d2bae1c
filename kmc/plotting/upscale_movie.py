"""Movies of a population of voids: from above, on a cut, and the curves beside them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kmc.plotting import style
from kmc.plotting.movie import MoviePages, new_page
from kmc.plotting.upscale import draw_map, draw_section, section_line, when
from kmc.systems.population.result import PopulationRun

_WIDTH_IN, _HEIGHT_IN = 8.0, 4.2


class PopulationMovie(MoviePages):
    """The movie of a population of voids: from above, a cut, and the curves beside them."""

    @staticmethod
    def default_frames(run: PopulationRun) -> Sequence[int]:
        """Frames of the first replica: a movie goes on in time."""
        return [int(i) for i in np.flatnonzero(run.frames["replica"] == 0)]

    def __init__(self, run: PopulationRun, frames: Sequence[int]):
        self.run, self.frames = run, list(frames)
        self._row = section_line(run)
        gaps = [run.gap_um(frame) for frame in self.frames]
        self._highest_um = max(float(h[self._row].max()) for h in gaps)
        self._deepest_um = max(float(h.max()) for h in gaps)
        self._build()

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
        # The axis is logarithmic: the frame at charge 0 stands at its left end.
        first = float(x[0]) if len(x) else 1.0
        self._now = [max(first, float(run.frames[key][frame])) for frame in self.frames]
        self._cursors = [
            panel.axvline(self._now[-1], color=style.BLACK, lw=0.9)
            for panel in (self._contact, self._volts)
        ]

    def _draw(self, frame: int) -> None:
        run, edge = self.run, self.run.edge_um
        self._above.clear()
        draw_map(self._above, run, frame, self._deepest_um)
        at_um = (self._row + 0.5) * edge / len(run.gap_um(frame))
        self._above.axhline(at_um, color=style.VERMILLION, lw=0.8, ls=(0, (4, 3)))
        self._above.set_title("")
        self._above.set_title("from above: contact grey, deeper gaps darker", loc="left")
        self._cut.clear()
        draw_section(self._cut, run, frame, self._row, self._highest_um)
        self._cut.set_title("section along the dashed line, true to scale", loc="left")

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
