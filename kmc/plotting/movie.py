"""Movies of runs of every kind: from above, a second panel, and two curves with a cursor."""

import contextlib
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from PIL import Image

from kmc.common.formatting import monolayers
from kmc.common.outputs import MOVIE_ENDINGS, check_output, replacing
from kmc.common.progress import FrameProgress
from kmc.errors import InputError, KmcError
from kmc.plotting import cathode_panels, deposition_panels, maps, section_panels, style, upscale

_DPI = 110
_TYPE: Any = {"font.size": 8, "axes.labelsize": 8.5, "axes.titlesize": 8.5, "legend.fontsize": 8}
_WIDTH_IN, _HEIGHT_IN = 8.0, 4.2
_PIXELS = 600  # across a map of a box
_GIF_COLOURS, _EXACT, _STEP = 192, 32, 8
_LAST_FRAME_S = 1.5  # duration of the last frame, before a GIF starts again


def save_movie(
    run: Any,
    path: str | Path,
    *,
    frames: Sequence[int] | None = None,
    per_second: float = 8.0,
    progress: FrameProgress | None = None,
) -> int:
    """Write a movie of a run of any kind; returns the number of its frames.

    - `run`: trajectory, PopulationRun or TableRun.
    - `path`: a ``.gif``, or an ``.mp4`` where the program ffmpeg is installed.
    - `frames`: frames to show; all by default, of a population those of the first replica.
    - `per_second`: frames per second, 0.1 to 60.
    - `progress`: called with the number of frames drawn and to draw.

    Raises `InputError`: there is no frame, ffmpeg is missing, or the file cannot be written.
    """
    if run.kind not in SCENES:
        raise InputError(
            f"{run.path} is {run.system.noun}, of which there are no movies",
            advice=f"kmc plot {run.path} --what map shows its frames.",
        )
    path = check_output(path, True, MOVIE_ENDINGS)
    if not 0.1 <= per_second <= 60:
        raise InputError(f"{per_second:g} frames per second", advice="Allowed: 0.1 to 60.")
    # What is missing is refused before minutes of drawing.
    gif = path.suffix.lower() == ".gif"
    if not gif and shutil.which("ffmpeg") is None:
        raise InputError(
            f"{path}: an MP4 needs the program ffmpeg, which is not on the PATH",
            advice="Install ffmpeg, or give a name that ends in .gif.",
        )
    if frames is not None:
        chosen = [int(i) for i in frames]
    else:
        has_replicas = isinstance(run.frames, Mapping) and "replica" in run.frames
        # Of the first replica: a movie goes on in time.
        replica = run.frames["replica"] if has_replicas else np.zeros(len(run.frames))
        chosen = np.flatnonzero(replica == 0).tolist()
    if not chosen:
        raise InputError(f"{run.path} has no frames yet", advice="Wait for the run to write one.")
    with style.styled(), rc_context(_TYPE):
        movie = _Movie(run, chosen)
        with replacing(path) as draft:
            write = _write_gif if gif else _write_mp4
            write(movie, draft, per_second, progress or (lambda done, of: None))
    return len(chosen)


# --- what each kind shows -------------------------------------------------------------------------


class Scene(NamedTuple):
    """What a kind of run shows.

    A panel draws a frame in empty axes: ``panel(axes, frame, first)``, where `first` is true once,
    for what stays, such as a colour bar. `x` and the curves have a value a row, `at` is the place
    of each chosen frame on the same axis; `heights` are those of the second panel and the curves.
    """

    panels: tuple[Callable[..., None], Callable[..., None]]
    x: np.ndarray
    x_label: str
    curves: tuple[tuple[np.ndarray, str], tuple[np.ndarray, str]]
    at: np.ndarray
    when: Callable[[int], str]
    heights: tuple[float, float, float]
    keys: Sequence[Any] = ()
    logarithmic: bool = False


def _finite_mV(volts: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(volts), 1e3 * volts, np.nan)


def _box(run: Any, frames: Sequence[int]) -> Scene:
    # Read once: each frame of a box is decompressed from the file.
    chosen = {i: run.frames[i] for i in frames}
    views = {i: maps.view_of(run, frame) for i, frame in chosen.items()}
    last, s = views[frames[-1]], run.samples
    # One scale for all frames, so that colours keep their meaning.
    scale = maps.scale_for(max(view.most for view in views.values()), last.step)
    cut = section_panels.cut_through(run.lattice, [chosen[frames[-1]]])
    of_map = maps.nearest_place(last.places_nm, last.size_nm, _PIXELS)
    of_cut = section_panels.nearest_site(cut, _PIXELS)

    def above(axes: Any, frame: int, first: bool) -> None:
        maps.draw_map(axes, views[frame], scale, nearest=of_map)
        maps.mark_cut(axes, last, cut.at_nm)
        axes.set_title(last.title.partition(" at ")[0], loc="left")
        if first and scale.colours is not None:
            maps.depth_bar(axes.figure, axes, list(views.values()), scale, aspect=22)

    def section(axes: Any, frame: int, first: bool) -> None:
        section_panels.draw_section(axes, cut, chosen[frame], run.lattice, nearest=of_cut)
        axes.set_title(f"{cut.title} (dashed line)", loc="left")

    key, divisor, label, _ = style.table_axis([s.table])
    if run.has_interface and run.has_current:
        second = (_finite_mV(s["overpotential_V"]), "overpotential\n(mV)")
    else:
        second = (s["vacancies"], "vacancies")
    first = (s["contact_fraction"], "contact\nfraction")
    if not run.has_interface:
        first = (s["energy_eV"] - s["energy_eV"][:1], "energy change\n(eV)")
    x, at = s[key] / divisor, np.array([getattr(f, key) for f in chosen.values()]) / divisor
    keys = section_panels.keys_of([run]) + maps.chemistry_keys([last])

    def when(frame: int) -> str:
        return style.moment(run, chosen[frame])

    heights = (1.6, 1.0, 1.0)
    return Scene((above, section), x, label, (first, second), at, when, heights, keys)


def _population(run: Any, frames: Sequence[int]) -> Scene:
    line = upscale.section_line(run)
    gaps = [run.gap_um(frame) for frame in frames]
    # One scale for all frames, from above as in the section.
    deepest, highest = (max(float(h[cut].max()) for h in gaps) for cut in (slice(None), line))
    s = run.replicas[int(run.frames["replica"][frames[0]])]

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
        return f"{upscale.when(run, frame)}   contact {upscale.contact_percent(run, frame):.3g} %"

    # Rests and plating stand still or go back along the charge: only the time goes on.
    by_time = bool((np.diff(s["capacity_mAh_cm2"]) <= 0).any())
    key, label = ("time_s", "time (s)") if by_time else ("capacity_mAh_cm2", "capacity (mAh/cm²)")
    some = s[key] > 0
    curves = (
        (100 * s["contact_fraction"][some], "contact (%)"),
        (_finite_mV(s["overpotential_V"][some]), "overpotential (mV)"),
    )
    x, at = s[key][some], run.frames[key][list(frames)]
    logarithmic = not run.run.get("protocol")
    # A logarithmic axis has no 0: the first frame stands at its left end.
    at = np.maximum(at, x[:1].max(initial=0.0)) if logarithmic else at
    heights = (0.6, 1.0, 1.0)
    return Scene((above, cut), x, label, curves, at, when, heights, logarithmic=logarithmic)


def _deposition(run: Any, frames: Sequence[int]) -> Scene:
    s, rows = run.samples, run.frames["sample"]
    highest = max(deposition_panels.highest(run, frame) for frame in frames)

    def above(axes: Any, frame: int, first: bool) -> None:
        title = "from above: height of the deposit"
        deposition_panels.draw_map(axes, run, frame, title, highest=highest, bar=first)

    def cut(axes: Any, frame: int, first: bool) -> None:
        deposition_panels.draw_section(axes, run, frame)
        axes.set_title("section through the highest column", fontsize=7)

    def when(frame: int) -> str:
        return f"after {monolayers(float(s['capacity_monolayers'][rows[frame]]))}"

    curves = ((s["coverage"], "coverage"), (s["roughness_layers"], "roughness\n(layers)"))
    # Strips of a protocol go back along the charge: only the time goes on.
    by_time = bool((np.diff(s["capacity_monolayers"]) < 0).any())
    of_charge = "capacity_monolayers", "plated (monolayers)"
    key, label = ("time_s", "time (s)") if by_time else of_charge
    at, keys = s[key][rows[list(frames)]], deposition_panels.keys_of([run])
    return Scene((above, cut), s[key], label, curves, at, when, (1.0, 0.8, 0.8), keys)


def _cathode(run: Any, frames: Sequence[int]) -> Scene:
    s = run.samples

    def above(axes: Any, frame: int, first: bool) -> None:
        cathode_panels.draw_map(axes, run, frame)
        axes.set_title("materials", fontsize=7)

    def stress(axes: Any, frame: int, first: bool) -> None:
        cathode_panels.draw_stress(axes, run, frame, bar=first)
        axes.set_title("equivalent stress", fontsize=7)

    curves = (
        (s["contact_active_active"], "contact\nactive–active"),
        (s["pore_area"], "open pores"),
    )
    # Charge goes up and down in every cycle: only the time goes on.
    hours = s["time_s"] / 3600
    at, keys = hours[run.frames["sample"][list(frames)]], cathode_panels.keys()
    when = partial(cathode_panels.moment, run)
    return Scene((above, stress), hours, "time (h)", curves, at, when, (1.8, 0.8, 0.8), keys)


SCENES = {
    "electrode": _box,
    "population": _population,
    "deposition": _deposition,
    "cathode": _cathode,
}


# --- the page, and files of it --------------------------------------------------------------------


class _Movie:
    """The page of a movie, drawn anew for each frame."""

    def __init__(self, run: Any, frames: Sequence[int]):
        self.frames, self._scene = list(frames), SCENES[run.kind](run, frames)
        layout = ConstrainedLayoutEngine(w_pad=0.06, h_pad=0.04, hspace=0.0, wspace=0.0)
        page = Figure(figsize=(_WIDTH_IN, _HEIGHT_IN), dpi=_DPI, layout=layout)
        self.canvas = FigureCanvasAgg(page)
        foot_in = 0.3 if self._scene.keys else 0.01
        head, body, foot = style.stack(page, [0.25, _HEIGHT_IN - 0.25 - foot_in, foot_in])
        head.text(0.012, 0.45, style.plain(run.path.stem), weight="bold", size=10, va="center")
        self._clock = head.text(0.988, 0.45, "", size=9, va="center", ha="right")
        parts: Any = body.subfigures(1, 2, width_ratios=(0.95, 1.0))
        ratios = {"height_ratios": self._scene.heights}
        second, *lower = parts[1].subplots(3, 1, gridspec_kw=ratios)
        self._panels = (parts[0].subplots(1, 1), second)
        if self._scene.keys:
            style.patch_key(foot, self._scene.keys)
        scene, colours = self._scene, (style.BLUE, style.VERMILLION)
        for panel, (values, label), colour in zip(lower, scene.curves, colours, strict=True):
            style.line(panel, scene.x, values, colour)
            panel.set_ylabel(label)
            # Overpotentials of plating and changes of energy are negative; other curves begin at 0.
            if not np.nanmin(values, initial=0.0) < 0:
                panel.set_ylim(bottom=0)
            if scene.logarithmic:
                panel.set_xscale("log")
            style.span(panel, scene.x)
        if scene.logarithmic and len(scene.x):
            lower[0].set_ylim(0, 103)
            style.plain_log_axis(lower[1].xaxis, *lower[1].get_xlim())
        lower[0].tick_params(labelbottom=False, which="both")
        lower[1].set_xlabel(scene.x_label)
        self._cursors = [panel.axvline(scene.at[-1], color=style.BLACK, lw=0.9) for panel in lower]
        # The last frame has most to show: the layout that holds it holds the others.
        self._draw(self.frames[-1], first=True)
        self.canvas.draw()
        page.set_layout_engine("none")  # that of the frame drawn last is kept for all

    def _draw(self, frame: int, first: bool = False) -> None:
        for axes, panel in zip(self._panels, self._scene.panels, strict=True):
            axes.clear()
            panel(axes, frame, first)

    def picture(self, index: int) -> Image.Image:
        """The page with the frame number `index` of those chosen."""
        frame = self.frames[index]
        self._draw(frame)
        self._clock.set_text(f"{self._scene.when(frame)}   (frame {frame})")
        for cursor in self._cursors:
            cursor.set_xdata([self._scene.at[index]] * 2)
        self.canvas.draw()
        size = self.canvas.get_width_height()
        return Image.frombuffer("RGBA", size, self.canvas.buffer_rgba()).convert("RGB")

    def pictures(self, progress: FrameProgress) -> Iterator[Image.Image]:
        """The page with each frame, one after the other."""
        for index in range(len(self.frames)):
            progress(index, len(self.frames))
            yield self.picture(index)
        progress(len(self.frames), len(self.frames))


def _write_gif(movie: _Movie, path: Path, per_second: float, progress: FrameProgress) -> None:
    # One palette for all frames keeps colours steady and the file small: the most frequent colours
    # of the last one exactly, the others approximately.
    last = movie.picture(len(movie.frames) - 1)
    colours: list[Any] = last.getcolors(last.width * last.height) or []
    exact = np.empty((0, 3), int)
    for _, colour in sorted(colours, reverse=True)[: 8 * _EXACT]:
        # A shade that the eye cannot distinguish from a kept one would waste a place.
        if len(exact) < _EXACT and (np.abs(exact - colour).max(axis=1) > _STEP).all():
            exact = np.vstack((exact, colour))
    shades = np.array(last.quantize(_GIF_COLOURS - len(exact)).getpalette()).reshape(-1, 3)
    # Pillow matches colours within a few units: shades near an exact colour would replace it.
    apart = np.abs(shades[:, None].astype(int) - exact).max(axis=2).min(axis=1) > _STEP
    palette = Image.new("P", (1, 1))
    palette.putpalette(np.concatenate((exact, shades[apart])).astype(int).ravel().tolist())
    no = Image.Dither.NONE  # noise would differ from frame to frame
    pictures = (p.quantize(palette=palette, dither=no) for p in movie.pictures(progress))
    each_ms, others = round(1000 / per_second), len(movie.frames) - 1
    # The end is what one wants to look at before a GIF begins again.
    last_ms = max(each_ms, round(1000 * _LAST_FRAME_S))
    duration: Any = [*[each_ms] * others, last_ms] if others else last_ms
    next(pictures).save(path, save_all=True, append_images=pictures, duration=duration, loop=0)


def _write_mp4(movie: _Movie, path: Path, per_second: float, progress: FrameProgress) -> None:
    width, height = movie.canvas.get_width_height()
    # Raw frames go through a pipe: no folder of pictures is left when it fails.
    command = [
        *("ffmpeg", "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24"),
        *("-s", f"{width}x{height}", "-r", f"{per_second:g}", "-i", "-", "-an"),
        *("-pix_fmt", "yuv420p", "-movflags", "+faststart", str(path)),
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as encoder:
        assert encoder.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # its error output is reported below
            for picture in movie.pictures(progress):
                encoder.stdin.write(picture.tobytes())
        errors = encoder.communicate()[1].decode(errors="replace").strip()
    if encoder.returncode:
        last = errors.splitlines()[-1] if errors else f"exit code {encoder.returncode}"
        raise KmcError(f"ffmpeg failed: {last}", advice="Give a name that ends in .gif instead.")
