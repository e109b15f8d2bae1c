"""Pictures by name (`draw`), `plot` methods of results of the analysis, and pictures that change in
a notebook: a run that goes on, and a slider through frames."""

import time
from collections.abc import Callable, Mapping, Sequence
from itertools import compress
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from kmc.analysis.cross_section import cross_section
from kmc.analysis.history import voids
from kmc.analysis.measured import Measured, measured_tables
from kmc.analysis.profiles import profiles as profiles_of
from kmc.analysis.voids import DEFAULT_MIN_SIZE
from kmc.common.progress import FrameProgress
from kmc.errors import InputError, optional_library
from kmc.files.frame_selection import choose_frames
from kmc.files.reader import Trajectory
from kmc.plotting import microscope, pages, profile_panels, statistics, style
from kmc.plotting.cathode_panels import CATHODE_PICTURES
from kmc.plotting.deposition_panels import DEPOSITION_PICTURES
from kmc.plotting.upscale import POPULATION_PICTURES
from kmc.runfile.kinds import BOX
from kmc.systems import SYSTEMS
from kmc.systems.run import load

# What draws each picture of a box: of runs and frames, or of an analysis of each run.
_PLAIN = {
    "summary": pages.summary_picture,
    "contact": pages.contact_picture,
    "map": pages.map_picture,
    "section": pages.section_picture,
}
_OF_ANALYSES: dict[str, Callable[..., Figure]] = {
    "profiles": profile_panels.profiles_picture,
    "mixing": profile_panels.mixing_picture,
    "voids": statistics.voids_picture,
    "lifelines": statistics.lifelines_picture,
}
_WITH_INTERFACE = ("microscope", "profiles", "mixing")
# Of the other kinds: functions of runs, their names, and numbers of frames or None.
_TABLES: dict[str, Mapping[str, Callable[..., Figure]]] = {
    "population": POPULATION_PICTURES,
    "deposition": DEPOSITION_PICTURES,
    "cathode": CATHODE_PICTURES,
}


@style.styled()
def draw(
    what: str,
    runs: Any,
    *,
    frames: str | Sequence[int] | None = None,
    names: Sequence[str] | None = None,
    min_size: int = DEFAULT_MIN_SIZE,
    paper: bool = False,
    data: str | Path | Sequence[str | Path] = (),
    progress: FrameProgress | None = None,
) -> Figure:
    """A picture of one or several runs of one kind.

    - `what`: one of ``run.system.pictures``; by the name.
    - `runs`: several are drawn in the same panels, or side by side.
    - `frames`: frames to use (`frame_selection.choose_frames`); the default depends on the picture.
    - `names`: of the runs; those of their files by default.
    - `min_size`: smallest number of connected vacancies of a void of a box.
    - `paper`: with ``microscope``: also the data of the operando paper.
    - `data`: with ``microscope``: CSV files of measured data (`kmc.analysis.measured`).
    - `progress`: called with the number of frames done and to do.

    Returns matplotlib.figure.Figure: shows itself in a notebook; `save` writes it.

    Raises `InputError`: there is no such picture or frame, or the runs lack the data for it.
    """
    runs = list(runs) if isinstance(runs, list | tuple) else [runs]
    if not runs:
        raise InputError("no run was given", advice="Give at least one.")
    system = SYSTEMS[runs[0].kind]
    if what not in system.pictures:
        raise InputError(
            f"there is no picture {what!r} of {system.noun}",
            advice=f"Choose {', '.join(system.pictures)}.",
        )
    if (paper or data) and what != "microscope":
        raise InputError(
            f"measured data have no place in the picture {what!r}",
            advice="Draw microscope." if "microscope" in system.pictures else "Leave them out.",
        )
    names = list(names or style.run_names(runs))
    measured = measured_tables(data, paper)
    if system.name == BOX:
        return _of_boxes(what, runs, names, frames, min_size, measured, progress)
    for run in runs:
        if not len(run.samples if system.name == "population" else run.frames):
            raise InputError(f"{run.path} holds no sample yet", advice="Wait for the run to go on.")
    chosen = None if frames is None else choose_frames(frames, len(runs[0].frames))
    # Several populations have one set of curves; the summary shows one run with its maps.
    if what == "microscope" or (what == "summary" and system.name == "population" and runs[1:]):
        return microscope.populations_picture(runs, names, measured)
    return (system.drawings or _TABLES[system.name])[what](runs, names, chosen)


def _of_boxes(
    what: str,
    runs: Sequence[Trajectory],
    names: Sequence[str],
    frames: str | Sequence[int] | None,
    min_size: int,
    measured: Sequence[Measured],
    progress: FrameProgress | None,
) -> Figure:
    """A picture of boxes of atoms; see `draw`."""
    if what in _PLAIN:
        chosen = None if frames is None else (lambda n: choose_frames(frames, n))
        return _PLAIN[what](runs, chosen)
    for t in runs:
        if not len(t.frames):
            raise InputError(f"{t.path} has no frames yet", advice="Wait for the run to continue.")
        if what in _WITH_INTERFACE and not t.has_interface:
            raise InputError(
                f"{t.path} is a periodic box without an interface: there is no picture {what!r}",
                advice="Use --what voids, sizes, lifelines, map or section.",
            )
    if what == "mixing":
        of_alloys = ["Mg" in t.species for t in runs]
        if not any(of_alloys):
            raise InputError(f"{runs[0].path} has no Mg", advice="Use a run of limg_li2s.")
        runs, names = list(compress(runs, of_alloys)), list(compress(names, of_alloys))
    some = [None if frames is None else choose_frames(frames, len(t.frames), t.path) for t in runs]
    analyse: Callable[..., Any] = cross_section if what == "microscope" else voids
    options: dict[str, Any] = {"min_size": min_size}
    if what in ("profiles", "mixing"):
        analyse, options = profiles_of, {}

    def part(index: int) -> FrameProgress | None:
        """Progress over all runs, of the analysis of one."""
        if progress is None:
            return None
        return lambda done, of: progress(index * of + done, len(runs) * of)

    analyses = [
        # Of sizes, selected frames restrict the picture, not the tracking.
        analyse(t, frames=None if what == "sizes" else used, progress=part(i), **options)
        for i, (t, used) in enumerate(zip(runs, some, strict=True))
    ]
    if what == "microscope":
        return microscope.sections_picture(analyses, names, runs, measured)
    if what == "sizes":
        only = [indices for indices in some if indices is not None]
        return statistics.sizes_picture(analyses, names, runs, only or None)
    return _OF_ANALYSES[what](analyses, names, runs)


# `plot` of the results of the analysis.
sections_picture = style.styled()(microscope.sections_picture)
profiles_picture = style.styled()(profile_panels.profiles_picture)

# --- pictures that change in a notebook -----------------------------------------------------------

_OF_ONE_FRAME = ("map", "section")


def watch(path: str | Path, what: str = "summary", every_s: float = 5.0) -> Any:
    """Draw a run of any kind again and again until it ends; returns it then.

    The run is another process, such as `kmc run` in a terminal or a point of a sweep. Interrupt the
    cell to stop looking; the run goes on.

    - `what`: picture, as for `kmc.plotting.draw`.
    - `every_s`: time between two pictures.

    Raises `InputError`: IPython is not installed, there is no such picture, or the file cannot be
    read.
    """
    with optional_library("IPython", "notebook"):
        from IPython.display import display
    t = load(path)
    handle = display(draw(what, t), display_id=True)
    while not t.finished:
        time.sleep(every_s)
        t = load(path)
        if handle is not None:  # without a notebook there is nothing to draw into
            handle.update(draw(what, t))
    return t


def slider(t: Any, what: str = "map") -> Any:
    """A slider through the frames of a run, with the picture of each.

    - `what` ({"map", "section"})

    Returns ipywidgets.interactive: shows itself in a notebook.

    Raises `InputError`: ipywidgets is not installed, the picture is not that of a frame, or there
    is no frame yet.
    """
    with optional_library("ipywidgets", "notebook"):
        import ipywidgets as widgets
    if what not in _OF_ONE_FRAME:
        raise InputError(
            f"{what!r} is no picture of a single frame", advice='Choose "map" or "section".'
        )
    last = len(t.frames) - 1
    if last < 0:
        raise InputError(f"{t.path} has no frames yet", advice="Wait for the run to continue.")
    frame = widgets.IntSlider(value=last, min=0, max=last, continuous_update=False)
    return widgets.interactive(lambda frame: draw(what, t, frames=[frame]), frame=frame)
