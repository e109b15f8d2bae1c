"""Movies of a box of atoms: the interface and a cross-section side by side, the curves below."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kmc.files.reader import Trajectory
from kmc.plotting import maps, section_panels, style
from kmc.plotting.movie import DPI, MoviePages, new_page

_WIDTH_IN = 8.0
_CURVES_IN = 1.75
_FOOT_IN = 0.75  # colour bar


class BoxMovie(MoviePages):
    """The movie of a box of atoms: interface and cross-section, and the curves below."""

    def __init__(self, trajectory: Trajectory, frames: Sequence[int]):
        self.trajectory = trajectory
        self.frames = [trajectory.frames[i] for i in frames]
        lattice = trajectory.lattice
        # One scale for all frames, so that colours keep their meaning.
        self._most, step = 0, 1.0
        for frame in self.frames:
            view = maps.view_of(trajectory, frame)
            self._most, step = max(self._most, view.most), view.step
        self._view = maps.view_of(trajectory, self.frames[-1])
        self._scale = maps.scale_for(self._most, step)
        self._cut = section_panels.cut_through(lattice, [self.frames[-1]])
        self._build()

    def _build(self) -> None:
        view, cut, t = self._view, self._cut, self.trajectory
        half = _WIDTH_IN / 2 - 0.6
        panels = min(5.0, max(1.0, half * max(view.shape, cut.shape)))
        heights = [0.3, panels + 0.85 + _FOOT_IN, _CURVES_IN]
        height = 2 * round(sum(heights) * DPI / 2) / DPI  # video wants even numbers of pixels
        self.page = new_page(_WIDTH_IN, height)
        head, body, foot = style.stack(self.page, heights)
        head.text(0.012, 0.45, t.path.stem, weight="bold", size=10, va="center")
        self._clock = head.text(0.988, 0.45, "", size=9, va="center", ha="right")
        left, right = body.subplots(1, 2)
        width = int(half * DPI * 1.5)
        self._nearest_map = maps.nearest_place(view.places_nm, view.size_nm, width)
        self._nearest_cut = section_panels.nearest_site(cut, width)
        self._map = maps.draw_map(left, view, self._scale, nearest=self._nearest_map)
        maps.mark_cut(left, view, cut.at_nm)
        left.set_title(view.title.partition(" at ")[0], loc="left")
        self._section = section_panels.draw_section(
            right, cut, self.frames[-1], t.lattice, nearest=self._nearest_cut
        )
        right.set_title(f"{cut.title} (dashed line)", loc="left")
        if self._scale.colours is not None:
            maps.depth_bar(body, left, view, self._scale, aspect=22)
        keys = section_panels.keys(
            metal=t.metal,
            mg="Mg" in t.species,
            electrolyte=t.has_interface,
            dead=section_panels.has_dead(t),
        )
        keys += maps.chemistry_keys([view])
        right.legend(
            handles=keys,
            loc="upper center",
            bbox_to_anchor=(0.5, -0.42 / max(0.2, half * cut.shape)),
            ncols=2 if len(keys) < 5 else 3,
            handlelength=1,
            handleheight=1,
            columnspacing=1.2,
        )
        self._curves(foot)
        self.fix_layout()

    def _curves(self, part) -> None:
        axes = part.subplots(1, 1)
        t, samples = self.trajectory, self.trajectory.samples
        if t.has_current:
            key, scale, label = "capacity_monolayers", 1.0, "capacity (monolayers)"
        else:
            key = "time_s"
            times = samples[key] if len(samples) else np.zeros(1)
            scale, label = style.scaled_axis(times, "time", "s")
        self._now = [getattr(f, key) / scale for f in self.frames]
        axes.set_xlabel(label)
        if not len(samples):
            style.empty(axes, "no samples yet")
        else:
            x = samples[key] / scale
            if t.has_interface and t.has_current:
                volts = samples["overpotential_V"].copy()
                volts[~np.isfinite(volts)] = np.nan
                axes.plot(x, 1e3 * volts, color=style.VERMILLION, marker="o" * (len(x) == 1))
                axes.set_ylabel("overpotential (mV)", color=style.VERMILLION)
                axes.set_ylim(bottom=0)
            else:
                axes.plot(x, samples["vacancies"], color=style.VERMILLION)
                axes.set_ylabel("vacancies", color=style.VERMILLION)
                axes.locator_params(axis="y", integer=True)
            if t.has_interface:
                other = axes.twinx()
                other.plot(x, samples["contact_fraction"], color=style.BLUE, ls=(0, (4, 1.5)))
                other.set_ylim(0, 1.05)
                other.set_ylabel("contact fraction", color=style.BLUE)
                other.spines["right"].set_visible(True)
            style.span(axes, x)
        axes.locator_params(axis="y", nbins=5)
        self._cursor = axes.axvline(self._now[-1], color=style.BLACK, lw=0.9)
        (self._head,) = axes.plot(
            [self._now[-1]],
            [1.0],
            "v",
            color=style.BLACK,
            ms=5,
            transform=axes.get_xaxis_transform(),
            clip_on=False,
        )

    def show(self, index: int) -> None:
        """Draw the frame number `index` of those chosen."""
        frame, t = self.frames[index], self.trajectory
        view = maps.view_of(t, frame)
        self._map.set_data(maps.pixels_of(view, self._scale, self._nearest_map))
        self._section.set_data(
            section_panels.pixels_of(self._cut, frame, t.lattice, self._nearest_cut)
        )
        self._clock.set_text(f"{style.moment(t, frame)}   (frame {frame.index})")
        self._cursor.set_xdata([self._now[index]] * 2)
        self._head.set_xdata([self._now[index]])
