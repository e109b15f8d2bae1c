"""Pages of a movie, one frame after the other, as a GIF or an MP4."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from PIL import Image

from kmc.common.outputs import MOVIE_ENDINGS, check_output, replacing
from kmc.common.progress import FrameProgress
from kmc.errors import InputError, KmcError

DPI = 110
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


def _write_gif(movie: MoviePages, path: Path, per_second: float, progress) -> None:
    # One palette for all frames keeps colours steady and the file small.
    palette = _palette(movie.picture(len(movie.frames) - 1))
    pictures = (
        picture.quantize(palette=palette, dither=Image.Dither.NONE)
        for picture in movie.pictures(progress)
    )
    each_ms = round(1000 / per_second)
    durations = [each_ms] * len(movie.frames)
    # The end is what one wants to look at before a GIF begins again.
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
