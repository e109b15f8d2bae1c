"""Movies: the interface and a cross-section side by side, the curves below."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from PIL import Image

from kmc.common.outputs import MOVIE_ENDINGS, check_output, replacing
from kmc.common.progress import FrameProgress
from kmc.errors import InputError, KmcError
from kmc.plotting import maps, section_panels, style
from kmc.trajectory.reader import Trajectory
from kmc.trajectory.tables import Frame

DPI = 110
_WIDTH_IN = 8.0
_CURVES_IN = 1.75
_FOOT_IN = 0.75  # colour bar
MOVIE_TYPE: dict[Any, Any] = {
    "font.size": 8,
    "axes.labelsize": 8.5,
    "axes.titlesize": 8.5,
    "legend.fontsize": 8,
}
_GIF_COLOURS = 192
_EXACT = 32
_STEP = 8
_LAST_FRAME_S = 1.5  # duration of the last frame, before a GIF starts again


def save_movie(
    trajectory: Trajectory,
    path: str | Path,
    *,
    frames: Sequence[int] | None = None,
    per_second: float = 8.0,
    progress: FrameProgress | None = None,
) -> None:
    """Write a movie.

    Parameters
    ----------
    trajectory : Trajectory
    path : str or Path
        A ``.gif``, or an ``.mp4`` where the program ffmpeg is installed.
    frames : sequence of int, optional
        Frames to show; all by default.
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
    chosen = list(range(len(trajectory.frames))) if frames is None else list(frames)
    check_movie(path, per_second)
    if not chosen:
        raise InputError(
            f"{trajectory.path} has no frames yet", advice="Wait for the run to write one."
        )
    with style.styled(), rc_context(MOVIE_TYPE):
        movie = BoxMovie(trajectory, [trajectory.frames[i] for i in chosen])
        movie.write(path, per_second, progress)


def check_movie(path: Path, per_second: float) -> None:
    """Check that a movie of this kind can be made."""
    check_output(path, True, MOVIE_ENDINGS)
    if not 0.1 <= per_second <= 60:
        raise InputError(f"{per_second:g} frames per second", advice="Allowed: 0.1 to 60.")
    if path.suffix.lower() == ".mp4" and shutil.which("ffmpeg") is None:
        raise InputError(
            f"{path}: an MP4 needs the program ffmpeg, which is not on the PATH",
            advice="Install ffmpeg, or give a name that ends in .gif.",
        )


class MoviePages:
    """The page of a movie, on which one frame after the other is drawn.

    A subclass makes `page` and `frames`, and draws a frame in `show`.
    """

    page: Figure
    frames: list[Any]

    def show(self, index: int) -> None:
        """Draw the frame number `index` of those chosen."""
        raise NotImplementedError

    @property
    def canvas(self) -> FigureCanvasAgg:
        return cast(FigureCanvasAgg, self.page.canvas)

    @property
    def size_px(self) -> tuple[int, int]:
        return self.canvas.get_width_height()

    def fix_layout(self) -> None:
        """Keep the layout of the frame drawn last for all frames."""
        self.canvas.draw()
        self.page.set_layout_engine("none")

    def picture(self, index: int) -> Image.Image:
        """The page with one frame."""
        self.show(index)
        self.canvas.draw()
        return Image.frombuffer("RGBA", self.size_px, self.canvas.buffer_rgba()).convert("RGB")

    def pictures(self, progress: FrameProgress) -> Iterator[Image.Image]:
        """The page with each frame, one after the other."""
        for index in range(len(self.frames)):
            progress(index, len(self.frames))
            yield self.picture(index)
        progress(len(self.frames), len(self.frames))

    def write(self, path: Path, per_second: float, progress: FrameProgress | None) -> None:
        """Write the movie to a file, by its ending."""
        with replacing(path) as draft:
            write = _write_gif if path.suffix.lower() == ".gif" else _write_mp4
            write(self, draft, per_second, progress or (lambda done, of: None))


def new_page(width_in: float, height_in: float) -> Figure:
    """An empty page of a movie, with a canvas of pixels."""
    layout = ConstrainedLayoutEngine(w_pad=0.06, h_pad=0.04, hspace=0.0, wspace=0.0)
    page = Figure(figsize=(width_in, height_in), dpi=DPI, layout=layout)
    FigureCanvasAgg(page)
    return page


class BoxMovie(MoviePages):
    """The movie of a box of atoms: interface and cross-section, and the curves below."""

    def __init__(self, trajectory: Trajectory, frames: Sequence[Frame]):
        self.trajectory, self.frames = trajectory, list(frames)
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


def _write_gif(movie: MoviePages, path: Path, per_second: float, progress) -> None:
    # One palette for all frames keeps colours steady and the file small.
    palette = _palette(movie.picture(len(movie.frames) - 1))
    pictures = (
        picture.quantize(palette=palette, dither=Image.Dither.NONE)
        for picture in movie.pictures(progress)
    )
    each_ms = round(1000 / per_second)
    durations = [each_ms] * len(movie.frames)
    durations[-1] = max(each_ms, round(1000 * _LAST_FRAME_S))
    first = next(pictures)
    duration = durations if len(durations) > 1 else durations[0]
    first.save(path, save_all=True, append_images=pictures, duration=duration, loop=0)


def _palette(picture: Image.Image) -> Image.Image:
    """Palette of a page: the most frequent colours exactly, the others approximately."""
    colours: list[Any] = picture.getcolors(picture.width * picture.height) or []
    counted = sorted(colours, reverse=True)
    exact: np.ndarray = np.array(_apart([colour for _, colour in counted])[:_EXACT])
    shades = np.array(picture.quantize(_GIF_COLOURS - len(exact)).getpalette()).reshape(-1, 3)
    # Pillow matches colours within a few units: shades near an exact colour would replace it.
    apart = np.abs(shades[:, None].astype(int) - exact).max(axis=2).min(axis=1) > _STEP
    palette = Image.new("P", (1, 1))
    palette.putpalette(np.concatenate((exact, shades[apart])).astype(int).ravel().tolist())
    return palette


def _apart(colours: Sequence[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """Colours without those similar to an earlier one."""
    kept: list[tuple[int, int, int]] = []
    for colour in colours[: 8 * _EXACT]:
        if all(max(abs(a - b) for a, b in zip(colour, k, strict=True)) > _STEP for k in kept):
            kept.append(colour)
    return kept


def _write_mp4(movie: MoviePages, path: Path, per_second: float, progress) -> None:
    width, height = movie.size_px
    command = [
        *("ffmpeg", "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24"),
        *("-s", f"{width}x{height}", "-r", f"{per_second:g}", "-i", "-", "-an"),
        *("-pix_fmt", "yuv420p", "-movflags", "+faststart", str(path)),
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as encoder:
        assert encoder.stdin is not None
        assert encoder.stderr is not None
        try:
            for picture in movie.pictures(progress):
                encoder.stdin.write(picture.tobytes())
            encoder.stdin.close()
        except BrokenPipeError:
            pass  # its error output is reported below
        errors = encoder.stderr.read().decode(errors="replace").strip()
        encoder.stdin = None
    if encoder.returncode:
        last = errors.splitlines()[-1] if errors else f"exit code {encoder.returncode}"
        raise KmcError(f"ffmpeg failed: {last}", advice="Give a name that ends in .gif instead.")
